"""What Schemathesis is told about this API. It is loaded by Schemathesis itself (SCHEMATHESIS_HOOKS), in each of its
processes; test_schemathesis.py starts them and reads the report that is written at the end.

- Hooks that are made up get addresses of a service of the test, so that nobody else is ever called.
- Keys that are made up get key material that is real, or next to none of them would be taken.
- Every other random request for one thing is for a thing that is there.
- Each request is also sent without a token, and with a token that may only read: these answers are checked too.
- What the checks complain about although it is documented is listed in documented.py, and counted.
"""

import atexit
import gc
import json
import os
import re
import threading
import zlib
from collections import Counter, deque

import hypothesis.strategies._internal.regex as hypothesis_regex
import requests
import schemathesis
import yaml
from documented import is_documented
from key_material import with_real_material
from schemathesis.specs.openapi import checks as conformance

CATCHER = os.environ["CLIENTS_CATCHER"]  # the base URL of the one service that hooks may call
TOKEN = os.environ["CLIENTS_TOKEN"]  # one that may do everything
READER = os.environ["CLIENTS_READER"]  # a token that may only read
REPORT = os.environ["CLIENTS_REPORT"]  # where to write what was counted
SEEDED = json.loads(os.environ["CLIENTS_SEEDED"])  # what was there before the first request, by kind

counts = {"cases": Counter(), "statuses": Counter(), "documented": Counter(), "repeated": Counter()}
outside = []  # hooks that point elsewhere: there must be none
session = threading.local()
documents = {}
there = {kind: deque(maxlen=500) for kind in ("hook keys", "hooks", "idle hooks", "sets", "keys", "keys in sets")}

# Millions of small objects live long here; looking for circles among them took a fifth of the time.
gc.set_threshold(100_000, 50, 100)


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId", "")
    if operation in ("createInlineHook", "replaceInlineHook", "updateInlineHook"):
        case.body = to_catcher(case.body)
    elif case.meta and case.meta.generation.mode.is_positive and isinstance(case.body, dict):
        if operation in ("createKey", "upsertKey", "replaceKey", "updateKey", "createKeyInKeySet", "replaceKeyInKeySet",
                         "updateKeyOfKeySet", "validateEntity"):
            case.body = with_real_material(case.body, case.media_type)
    if case.meta and case.meta.phase.name.value == "fuzzing" and case.meta.generation.mode.is_positive:
        aim(case, operation)


@schemathesis.hook
def after_call(context, case, response):
    if response.request.method in ("POST", "PUT") and 200 <= response.status_code < 300 and response.content:
        remember(case, response)
    phase = case.meta.phase.name.value if case.meta else "other"
    counts["cases"][f"{phase} {case.operation.label}"] += 1
    counts["statuses"][f"{case.operation.label} {response.status_code}"] += 1
    if case.path.startswith("/api/v1/inlineHooks") and response.status_code == 200:
        for address in re.findall(r'"(?:uri|tokenUrl)":"([^"]*)"', response.text):
            if not address.startswith(CATCHER):
                outside.append(address)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    section = is_documented(failure, case, response)
    if section:
        counts["documented"][f"{type(failure).__name__}, {case.operation.label}: {section}"] += 1
    return not section


@schemathesis.check
def refused_without_the_right(ctx, response, case):
    """The same request without a token, and with one that may only read, is refused or answered as described."""
    phase = case.meta.phase.name.value if case.meta else "other"
    permission = case.operation.definition.raw.get("x-permission")
    if permission is None or phase == "coverage" or response.request.method != case.operation.method.upper():
        return
    headers = response.request.headers
    if headers.get("Kong-Admin-Token", headers.get("Authorization")) not in (TOKEN, f"SSWS {TOKEN}"):
        return  # This one was without a token, or with one that was made up.
    okta = case.path.startswith("/api/")
    for token in (None, READER):
        answer = repeat(response.request, token)
        counts["repeated"][f"{'reader' if token else 'nobody'} {case.operation.label}"] += 1
        if token is None:
            expected = [403] if okta else [401]
        elif permission.endswith("manage"):
            expected = [403]
        else:
            expected = [response.status_code]
        # What is wrong before the token is looked at, such as a path that is not UTF-8, is answered as it was.
        unread = response.status_code in (400, 404, 405) and answer.status_code == response.status_code
        who = "a token that may only read" if token else "no token"
        if answer.status_code not in expected and not (unread and case.meta.generation.mode.is_negative):
            raise AssertionError(f"with {who}: {answer.status_code}, expected {expected[0]}")
        for check in (conformance.status_code_conformance, conformance.content_type_conformance,
                      conformance.response_headers_conformance, conformance.response_schema_conformance):
            check(ctx, answer, case)


@schemathesis.deserializer("application/yaml")
def parsed_once(context, response):
    """openapi.yaml is always the same, and takes a tenth of a second to parse."""
    if response.content not in documents:
        documents[response.content] = yaml.safe_load(response.content)
    return documents[response.content]


def repeat(request, token):
    if not hasattr(session, "requests"):
        session.requests = requests.Session()
        session.requests.trust_env = False
    copy = request.copy()
    for name in ("Authorization", "Kong-Admin-Token", "If-None-Match"):
        copy.headers.pop(name, None)
    if token:
        copy.headers["Authorization"] = f"SSWS {token}"
    if "If-None-Match" in request.headers:
        copy.headers["If-None-Match"] = request.headers["If-None-Match"]
    answer = session.requests.send(copy, allow_redirects=False, timeout=30)
    return schemathesis.Response.from_requests(answer, verify=True)


def remember(case, response):
    answer = json.loads(response.content)
    if not isinstance(answer, dict) or "id" not in answer or answer["id"] in json.dumps(SEEDED):
        return
    if case.path.startswith("/api/v1/hook-keys"):
        there["hook keys"].append({"id": answer["id"]})
    elif case.path.startswith("/api/v1/inlineHooks"):
        there["hooks" if answer["status"] == "ACTIVE" else "idle hooks"].append({"id": answer["id"]})
    elif "kid" not in answer:
        there["sets"].append({"set": answer["id"]})
    else:
        there["keys"].append({"key": answer["id"]})
        if answer["set"]:
            there["keys in sets"].append({"set": answer["set"]["id"], "key": answer["id"]})


def aim(case, operation):
    if operation == "deleteInlineHook":
        kind = "idle hooks"
    else:
        paths = {"/api/v1/hook-keys/{id}": "hook keys", "/api/v1/inlineHooks/{id}": "hooks", "/keys/{key}": "keys",
                 "/key-sets/{set}/keys/{key}": "keys in sets", "/key-sets/{set}": "sets"}
        kind = next((kind for start, kind in paths.items() if case.path.startswith(start)), None)
    known, turn = there.get(kind), zlib.crc32(case.id.encode()) % 4
    if turn == 0 and kind in SEEDED and case.operation.method != "delete":
        # What was made since may be gone with its set.
        case.path_parameters = dict(SEEDED[kind])
    elif turn < 2 and known:
        case.path_parameters = dict(known[-1])
        if case.operation.method == "delete":
            known.pop()
        known.rotate(1)


def to_catcher(body):
    """The body with the scheme and the host of every URL replaced, whatever form the body has."""
    if isinstance(body, str):
        moved = re.sub(r"(?i)https?://[^/?#]*", CATCHER, body, count=1)
        return moved if len(moved) <= 1024 or len(body) > 1024 else moved[:1024]
    if isinstance(body, dict):
        return {name: to_catcher(value) for name, value in body.items()}
    if isinstance(body, list):
        return [to_catcher(value) for value in body]
    data = getattr(body, "data", body)
    if isinstance(data, bytes):
        moved = re.sub(rb'(?i)https?://[^/?#"]*', CATCHER.encode(), data)
        return type(body)(moved) if body is not data else moved
    return body


def remembered(make):
    """A pattern of large classes, such as that of names, takes half a second to become a strategy, and is asked for
    dozens of times."""
    known = {}

    def strategy(regex, fullmatch, *, alphabet, **more):
        key = (getattr(regex, "pattern", regex), getattr(regex, "flags", 0), fullmatch, repr(alphabet), repr(more))
        if key not in known:
            known[key] = make(regex, fullmatch, alphabet=alphabet, **more)
        return known[key]

    return strategy


hypothesis_regex.regex_strategy = remembered(hypothesis_regex.regex_strategy)


@atexit.register
def report():
    with open(REPORT, "w", encoding="utf-8") as file:
        json.dump({name: dict(counter) for name, counter in counts.items()} | {"outside": outside}, file)
