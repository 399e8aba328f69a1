"""A toy for an inline hook to call: python3 examples/toy_service.py PORT JWK_FILE

For trying things out, NOT for production: one client, one access token, no TLS. JWK_FILE is the public half of a
hook key as GET /api/v1/hook-keys/public/{keyId} answers it. Port 0 takes a free one; the first line is the base URL.
"""
import base64, hashlib, json, secrets, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

CLIENT = "toy-client"  # the one clientId it knows
KEY = json.load(open(sys.argv[2], encoding="utf-8"))  # that client's registered public key
TOKEN, USED = secrets.token_urlsafe(32), set()  # the one access token; the jti of each assertion taken
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017 section 9.2, note 1

def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
def check(sound, problem):
    if not sound: raise ValueError(problem)

def check_assertion(jwt, audience):  # RFC 7523 section 3; raises where something is wrong
    head, body, signature = jwt.split(".")
    header, claims, now = json.loads(decoded(head)), json.loads(decoded(body)), time.time()
    check(header["alg"] == "RS256" and header["kid"] == KEY["kid"], "alg or kid is not the registered key's")
    n, e, s = (int.from_bytes(decoded(part), "big") for part in (KEY["n"], KEY["e"], signature))
    digest, size = SHA256_PREFIX + hashlib.sha256(f"{head}.{body}".encode()).digest(), (n.bit_length() + 7) // 8
    padded = b"\0\1" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest  # RFC 8017 section 8.2.2
    check(s < n and pow(s, e, n).to_bytes(size, "big") == padded, "the signature is not the registered key's")
    check(claims["iss"] == claims["sub"] == CLIENT, "iss and sub are not both " + CLIENT)
    check(claims["aud"] == audience, "aud is not " + audience)
    check(now < claims["exp"] <= now + 3600, "exp is past, or more than an hour ahead")
    check(claims["jti"] not in USED, "jti was seen before")
    USED.add(claims["jti"])

class Service(BaseHTTPRequestHandler):
    timeout = 5  # seconds a silent client may keep it waiting
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        status, answer = {"/token": self.token, "/hook": self.hook}.get(self.path, lambda _: (404, {}))(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())
    def token(self, form):  # the token endpoint
        try:
            check_assertion(parse_qs(form)["client_assertion"][0], base + "/token")
            return 200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300}
        except Exception as problem:  # whatever is wrong with it, the client is not known
            return 401, {"error": "invalid_client", "error_description": repr(problem)}
    def hook(self, _):  # what the hook calls, with a token from above and with nothing else
        if not secrets.compare_digest((self.headers["Authorization"] or "").encode(), b"Bearer " + TOKEN.encode()):
            return 401, {"error": "invalid_token"}
        patch = [{"op": "add", "path": "/claims/department", "value": "Sales"}]
        return 200, {"commands": [{"type": "com.okta.access.patch", "value": patch}]}

signal.alarm(3600)  # ends itself after an hour, in case it is forgotten
server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Service)  # only this machine can reach it
base = f"http://127.0.0.1:{server.server_port}"
print(base, flush=True)
server.serve_forever()
