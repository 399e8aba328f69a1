"""Fresh servers for the tests, and a service for their hooks to call."""

import json
import os
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[3]


class Server:
    """A server of its own: the binary in HOOK_KEYS_BIN, with a new directory for its data."""

    def __init__(self, directory, **settings):
        self.binary = os.environ.get("HOOK_KEYS_BIN") or pytest.exit("HOOK_KEYS_BIN must name the binary to test")
        self.data = Path(directory) / "data"
        self.log = Path(directory) / "server.log"
        self.base = self.token = None
        variables = {f"HOOK_KEYS_{name}": str(value) for name, value in settings.items()}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [self.binary, "dev", "--data-dir", self.data, "--listen", "127.0.0.1:0", "--log", "warn"],
                stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | variables)
        for line in self.process.stdout:  # ends when the server does, so this waits for no longer than it lives
            self.base = line.split()[-1] if "Base URL" in line else self.base
            self.token = line.split()[-1] if "API token" in line else self.token
            if self.base and self.token:
                break
        assert self.base and self.token, f"the server did not start: {self.log.read_text()}"
        # What else it says must not fill the pipe.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0, f"the server did not end well: {self.log.read_text()}"

    def command(self, *arguments):
        done = subprocess.run([self.binary, *arguments, "--data-dir", self.data], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def new_token(self, *permissions, org="default"):
        chosen = [argument for permission in permissions for argument in ("--permission", permission)]
        made = self.command("token", "create", "--org", org, "--name", "+".join(permissions), "--json", *chosen)
        return json.loads(made)["token"]

    def call(self, method, path, body=None, status=200, token=None):
        answer = requests.request(
            method, self.base + path, json=body, headers={"Authorization": f"SSWS {token or self.token}"}, timeout=30)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def new_hook_key(self, name):
        return self.call("POST", "/api/v1/hook-keys", {"name": name})

    def new_hook(self, name, uri, **oauth):
        channel = {"type": "OAUTH" if oauth else "HTTP", "version": "1.0.0", "config": {"uri": uri, **oauth}}
        hook = {"name": name, "type": "com.okta.import.transform", "version": "1.0.0", "channel": channel}
        return self.call("POST", "/api/v1/inlineHooks", hook)


class Catcher(ThreadingHTTPServer):
    """Gives every client a token, answers every hook, and remembers what came: (path, headers, body)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), CatcherHandler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.caught = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class CatcherHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.caught.append((self.path, self.headers, body))
        is_token = b"grant_type=client_credentials" in body
        answer = json.dumps({"access_token": "caught", "token_type": "Bearer"} if is_token else {"commands": []})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory() as directory:
        server = Server(directory)
        yield server
        server.stop()


@pytest.fixture(scope="module")
def catcher():
    catcher = Catcher()
    yield catcher
    catcher.shutdown()
    catcher.server_close()


def pytest_terminal_summary(terminalreporter):
    """What Schemathesis counted, whatever the verdict."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, text in getattr(report, "user_properties", []):
                if name == "schemathesis" and report.when == "call":
                    terminalreporter.write_line(text)
