"""What Schemathesis is told about this API. It is loaded by Schemathesis itself (SCHEMATHESIS_HOOKS), in each of its
processes; test_schemathesis.py starts them and reads the report that is written at the end.

- Hooks that are made up get addresses of a service of the test, so that nobody else is ever called.
- Keys that are made up get key material that is real, or next to none of them would be taken.
- Every fourth random request for one thing is for a thing that was made for it.
- Each request is also sent without a token or with one that may only read, by turns: these answers are checked too.
- What the checks complain about although it is documented is listed in documented.py, and counted.
"""

import atexit
import gc
import json
import os
import re
import threading
from collections import Counter, defaultdict
from itertools import count

import hypothesis.strategies._internal.regex as hypothesis_regex
import requests
import schemathesis
import yaml
from documented import is_documented
from key_material import PEMS, with_real_material
from schemathesis.core.media_types import YAML_MEDIA_TYPES
from schemathesis.specs.openapi import checks as conformance

CATCHER = os.environ["CLIENTS_CATCHER"]  # the base URL of the one service that hooks may call
TOKEN = os.environ["CLIENTS_TOKEN"]  # one that may do everything
READER = os.environ["CLIENTS_READER"]  # a token that may only read
REPORT = os.environ["CLIENTS_REPORT"]  # where to write what was counted
BASE = os.environ["CLIENTS_BASE"]  # the base URL of the server

counts = {"cases": Counter(), "statuses": Counter(), "documented": Counter(), "repeated": Counter()}
outside = []  # hooks that point elsewhere: there must be none
session = threading.local()
documents = {}
turns = defaultdict(count)  # by operation, of requests that are aimed and of those that are repeated
read = {}  # what was made for requests that only read, by path
numbers = count()

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
    """The same request, by turns without a token and with one that may only read, is refused or answered as it should
    be."""
    phase = case.meta.phase.name.value if case.meta else "other"
    permission = case.operation.definition.raw.get("x-permission")
    if permission is None or phase == "coverage" or response.request.method != case.operation.method.upper():
        return
    headers = response.request.headers
    if headers.get("Kong-Admin-Token", headers.get("Authorization")) not in (TOKEN, f"SSWS {TOKEN}"):
        return  # This one was without a token, or with one that was made up.
    token = READER if next(turns["repeated", case.operation.label]) % 2 else None
    answer = repeat(response.request, token)
    counts["repeated"][f"{'reader' if token else 'nobody'} {case.operation.label}"] += 1
    if token is None:
        expected = 403 if case.path.startswith("/api/") else 401
    elif permission.endswith("manage"):
        expected = 403
    else:
        expected = response.status_code
    # What is wrong before the token is looked at, such as a path that is not UTF-8, is answered as it was.
    unread = response.status_code in (400, 404, 405, 431) and answer.status_code == response.status_code
    if answer.status_code != expected and not (unread and case.meta.generation.mode.is_negative):
        who = "a token that may only read" if token else "no token"
        raise AssertionError(f"with {who}: {answer.status_code}, expected {expected}")
    for check in (conformance.status_code_conformance, conformance.content_type_conformance,
                  conformance.response_headers_conformance, conformance.response_schema_conformance):
        check(ctx, answer, case)


# By all of its names: the first one known to Schemathesis is tried first.
@schemathesis.deserializer(*YAML_MEDIA_TYPES)
def parsed_once(context, response):
    """openapi.yaml is always the same, and takes a tenth of a second to parse."""
    if response.content not in documents:
        documents[response.content] = yaml.safe_load(response.content)
    return documents[response.content]


def repeat(request, token):
    copy = request.copy()
    for name in ("Authorization", "Kong-Admin-Token", "If-None-Match"):
        copy.headers.pop(name, None)
    if token:
        copy.headers["Authorization"] = f"SSWS {token}"
    if "If-None-Match" in request.headers:
        copy.headers["If-None-Match"] = request.headers["If-None-Match"]
    answer = own_session().send(copy, allow_redirects=False, timeout=30)
    return schemathesis.Response.from_requests(answer, verify=True)


def own_session():
    if not hasattr(session, "requests"):
        session.requests = requests.Session()
        session.requests.trust_env = False
    return session.requests


def post(path, body=None):
    answer = own_session().post(BASE + path, json=body, headers={"Authorization": f"SSWS {TOKEN}"}, timeout=30)
    assert answer.status_code in (200, 201), f"POST {path}: {answer.status_code} {answer.text}"
    return answer.json()


def hook_key():
    return post("/api/v1/hook-keys", {"name": f"for one request {next(numbers)}"})


def hook():
    channel = {"type": "HTTP", "version": "1.0.0", "config": {"uri": CATCHER}}
    return post("/api/v1/inlineHooks", {"name": f"for one request {next(numbers)}", "type": "com.okta.import.transform",
                                        "version": "1.0.0", "channel": channel})


def idle_hook():
    return post(f"/api/v1/inlineHooks/{hook()['id']}/lifecycle/deactivate")


def key_set():
    return post("/key-sets", {})


def key(path="/keys"):
    return post(path, {"kid": f"for-one-request-{next(numbers)}", "pem": {"public_key": PEMS[1][1]}})


def key_in_set():
    return key(f"/key-sets/{key_set()['id']}/keys")


# How to make what a path names, and its names in the path. The first path that fits counts.
THINGS = [
    ("/api/v1/hook-keys/public/{keyId}", hook_key, lambda it: {"keyId": it["keyId"]}),
    ("/api/v1/hook-keys/{id}", hook_key, lambda it: {"id": it["id"]}),
    ("/api/v1/inlineHooks/{id}/lifecycle/activate", idle_hook, lambda it: {"id": it["id"]}),
    ("/api/v1/inlineHooks/{id}", hook, lambda it: {"id": it["id"]}),
    ("/keys/{key}/set", key_in_set, lambda it: {"key": it["id"]}),
    ("/keys/{key}", key, lambda it: {"key": it["id"]}),
    ("/key-sets/{set}/keys/{key}", key_in_set, lambda it: {"set": it["set"]["id"], "key": it["id"]}),
    ("/key-sets/{set}", key_set, lambda it: {"set": it["id"]}),
]


def aim(case, operation):
    """Every fourth request is for a thing that was made for it. Schemathesis aims most others at what it has seen."""
    if next(turns["aimed", operation]) % 4:
        return
    for path, make, names in THINGS:
        if case.path.startswith(path):
            if case.method == "GET":
                # A key pair of its own for each request would take longer than all else.
                thing = read[path] = read.get(path) or make()
            else:
                thing = idle_hook() if operation == "deleteInlineHook" else make()
            case.path_parameters = names(thing)
            return


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
