"""Schemathesis reads openapi.yaml, makes up requests of its own, good and bad, and judges every answer.

All of its checks run in all of its phases: the examples of the document, the bounds of each schema, random requests,
and chains along the links. schemathesis_hooks.py says what else is checked, documented.py what is no failure and why.

The two APIs are tried at the same time, each on a server of its own. Each operation gets 200 random requests beside all
others, the same in each run: what is red once is red again. HOOK_KEYS_LONG=1 makes that 2000, other ones in each run.
How many there were is printed at the end of the test run, and with which seed; HOOK_KEYS_SEED sets it.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Catcher, Server

HERE = Path(__file__).resolve().parent
LONG = os.environ.get("HOOK_KEYS_LONG") == "1"
EXAMPLES = 2000 if LONG else 200
SEED = int(os.environ.get("HOOK_KEYS_SEED") or (random.getrandbits(32) if LONG else 7))
SIDES = {"Okta's side": ["--include-path-regex", "^/api/"], "Kong's side": ["--exclude-path-regex", "^/api/"]}
DOCUMENT = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))


class Run:
    """Schemathesis at work on one side."""

    def __init__(self, side, directory, catcher):
        self.directory = Path(directory)
        # Thousands of keys and hooks are made, and few of them deleted.
        self.server = Server(directory, LIMITS_HOOK_KEYS_PER_ORG=10**6, LIMITS_INLINE_HOOKS_PER_ORG=10**6,
                             RATE_LIMITS_REQUESTS=0, RATE_LIMITS_FAILED_LOGINS=0)
        variables = {
            "CLIENTS_TOKEN": self.server.token,
            "CLIENTS_READER": self.server.new_token("okta.inlineHooks.read", "okta.logs.read", "keys.read"),
            "CLIENTS_CATCHER": catcher.base,
            "CLIENTS_BASE": self.server.base,
            "CLIENTS_REPORT": str(self.directory / "report.json"),
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "PYTHONPATH": str(HERE),
        }
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "run",
                   ROOT / "openapi.yaml", "--url", self.server.base, "--checks", "all",
                   "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(EXAMPLES),
                   "--seed", str(SEED), *SIDES[side]]
        self.output = self.directory / "schemathesis.log"
        with self.output.open("wb") as output:
            # Schemathesis keeps notes in the current directory.
            self.process = subprocess.Popen(
                command, cwd=directory, env=os.environ | variables, stdout=output, stderr=output)

    def result(self):
        """The status, what was printed, and the report."""
        status = self.process.wait()
        said = self.output.read_text(encoding="utf-8", errors="replace")
        report = self.directory / "report.json"
        return status, said, json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}


@pytest.fixture(scope="module")
def runs():
    catcher = Catcher()
    with tempfile.TemporaryDirectory() as directory:
        started = {}
        try:
            for number, side in enumerate(SIDES):
                place = Path(directory) / str(number)
                place.mkdir()
                started[side] = Run(side, place, catcher)
            yield started
        finally:
            for run in started.values():
                if run.process.poll() is None:
                    run.process.terminate()
                    run.process.wait(30)
                run.server.stop()
            catcher.shutdown()
            catcher.server_close()


@pytest.mark.parametrize("side", SIDES)
def test_no_answer_breaks_a_rule(runs, side, record_property):
    status, said, report = runs[side].result()
    record_property("schemathesis", summary(side, report))
    assert status == 0, said


@pytest.mark.parametrize("side", SIDES)
def test_no_answer_is_a_failure_of_the_server(runs, side):
    _, _, report = runs[side].result()
    assert [line for line in report["statuses"] if line.split()[-1].startswith("5")] == []


@pytest.mark.parametrize("side", SIDES)
def test_every_operation_had_its_share_of_requests(runs, side):
    _, _, report = runs[side].result()
    for operation in operations(side):
        assert report["cases"].get(f"fuzzing {operation}", 0) >= EXAMPLES, operation
        if is_closed(operation):
            # Cases that came with a token of their own making, or with none, are not sent again: that is up to half of
            # those of an operation with few parameters. Half of the others are for either.
            for who in ("nobody", "reader"):
                assert report["repeated"].get(f"{who} {operation}", 0) >= EXAMPLES / 8, (who, operation)


@pytest.mark.parametrize("side", SIDES)
def test_every_operation_succeeds_at_times(runs, side):
    _, _, report = runs[side].result()
    succeeded = {line.rsplit(" ", 1)[0] for line in report["statuses"] if line.split()[-1].startswith("2")}
    assert operations(side) - succeeded == set()


def test_no_hook_ever_pointed_away_from_the_test(runs):
    for run in runs.values():
        assert run.result()[2]["outside"] == []


def operations(side):
    of_okta = side == "Okta's side"
    return {f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items()
            if path.startswith("/api/") == of_okta
            for method in item if method in ("get", "put", "post", "patch", "delete")}


def is_closed(operation):
    method, path = operation.split()
    return DOCUMENT["paths"][path][method.lower()].get("security") != []


def summary(side, report):
    def total(counter):
        return sum(report.get(counter, {}).values())

    phases = Counter()
    for line, count in report.get("cases", {}).items():
        phases[line.split()[0]] += count
    by_phase = ", ".join(f"{count} {phase}" for phase, count in phases.items())
    lines = [f"{side}, seed {SEED}: {total('cases')} requests ({by_phase}), {total('repeated')} more without the right "
             f"to them; {total('documented')} answers documented as they are:"]
    sections = Counter()
    for line, count in report.get("documented", {}).items():
        sections[line.split(": ", 1)[1]] += count
    return "\n".join(lines + [f"  {count:6} {section}" for section, count in sections.most_common()])
