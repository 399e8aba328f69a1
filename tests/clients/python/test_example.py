"""examples/hook_service.py, run as its docstring says, answers the hooks that it should, and nobody else."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import parse_qs

import jwt
import pytest
import requests
from conftest import ROOT, Catcher
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = "example-client"
BODY = {"data": {"access": {"claims": {"sub": "user@example.com"}}}}


@pytest.fixture(scope="module")
def key(server):
    return server.new_hook_key("Example")


@pytest.fixture(scope="module")
def service(server, key):
    url = f"{server.base}/api/v1/hook-keys/public/{key['keyId']}"
    with running(url, API_TOKEN=server.new_token("okta.inlineHooks.read")) as base:
        yield base


def test_a_hook_that_signs_with_the_trusted_key_is_answered(server, service, key):
    hook = hook_to(server, service, "Trusted", key["id"])
    assert execute(server, hook)["debugContext"]["received"] == BODY
    # The access token is used again, for as long as it lives.
    assert execute(server, hook)["debugContext"]["received"] == BODY


def test_the_public_half_may_come_from_a_file(server, key, tmp_path):
    file = tmp_path / "key.jwk"
    url = f"{server.base}/api/v1/hook-keys/public/{key['keyId']}"
    file.write_bytes(requests.get(url, headers={"Authorization": f"SSWS {server.token}"}, timeout=30).content)
    with running(file) as base:
        assert execute(server, hook_to(server, base, "From a file", key["id"]))["debugContext"]["received"] == BODY


def test_a_hook_that_signs_with_another_key_is_refused(server, service):
    other = server.new_hook_key("Not trusted")
    hook = hook_to(server, service, "Not trusted", other["id"])
    failure = execute(server, hook, status=400)
    assert failure["errorCode"] == "E0000135"
    assert "401" in failure["errorCauses"][0]["errorSummary"] and "token" in failure["errorCauses"][0]["errorSummary"]


def test_an_assertion_of_the_server_works_once(server, key, tmp_path):
    catcher = Catcher()
    execute(server, hook_to(server, catcher.base, "Caught", key["id"]))
    [assertion] = parse_qs(catcher.caught[0][2].decode())["client_assertion"]
    catcher.shutdown()
    catcher.server_close()
    file = tmp_path / "key.jwk"
    file.write_text(json.dumps(key["_embedded"]))
    # The assertion is for this address, where the example comes now.
    with running(file, port=catcher.server_port) as base:
        assert base == catcher.base
        assert ask(base, assertion).status_code == 200
        again = ask(base, assertion)
        assert (again.status_code, again.json()["error_description"]) == (401, "jti was seen before")


@pytest.mark.parametrize("changes", [
    {"iss": "another"}, {"sub": "another"}, {"aud": "http://127.0.0.1/token"}, {"exp": 1}, {"exp": 2**40},
    {"exp": None}, {"jti": None}, {"aud": None}, {"sub": None},
], ids=str)
def test_an_assertion_with_wrong_claims_is_refused(own_key, changes):
    service, private, public = own_key
    signed = jwt.encode(claims_of(service), private, "RS256", headers={"kid": public["kid"]})
    assert ask(service, signed).status_code == 200
    signed = jwt.encode(claims_of(service, **changes), private, "RS256", headers={"kid": public["kid"]})
    assert ask(service, signed).status_code == 401


def test_no_other_algorithm_key_or_kid_is_taken(own_key):
    service, private, public = own_key
    another = rsa.generate_private_key(65537, 2048)
    kid = {"kid": public["kid"]}
    for token in [
        jwt.encode(claims_of(service), None, "none", headers=kid),
        jwt.encode(claims_of(service), public["n"], "HS256", headers=kid),
        jwt.encode(claims_of(service), private, "PS256", headers=kid),
        jwt.encode(claims_of(service), another, "RS256", headers=kid),
        jwt.encode(claims_of(service), private, "RS256", headers={"kid": "another"}),
        jwt.encode(claims_of(service), private, "RS256"),
        "", "a.b.c",
    ]:
        assert ask(service, token).status_code == 401, token


def test_the_hook_is_answered_with_an_issued_token_only(service):
    for value in ["Bearer made-up", "Bearer ", "Basic x", ""]:
        headers = {"Authorization": value} if value else {}
        assert requests.post(f"{service}/hook", json=BODY, headers=headers, timeout=30).status_code == 401


@pytest.fixture(scope="module")
def own_key(tmp_path_factory):
    """A service that trusts a key of this test, to whom it can send what no server would sign."""
    private = rsa.generate_private_key(65537, 2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key(), as_dict=True) | {"kid": "own", "alg": "RSA"}
    file = tmp_path_factory.mktemp("own") / "key.jwk"
    file.write_text(json.dumps(public))
    with running(file) as base:
        yield base, private, public


@contextmanager
def running(jwk, port=0, **variables):
    example = ROOT / "examples" / "hook_service.py"
    process = subprocess.Popen([sys.executable, example, str(port), CLIENT, str(jwk)], env=os.environ | variables,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        base = process.stdout.readline().strip()
        assert base.startswith("http://127.0.0.1:"), "the example did not start"
        yield base
    finally:
        process.terminate()
        process.wait(30)


def claims_of(service, **changes):
    now = int(time.time())
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": f"{service}/token", "exp": now + 60, "jti": os.urandom(8).hex()}
    return {name: value for name, value in (claims | changes).items() if value is not None}


def hook_to(server, service, name, key_id):
    return server.new_hook(name, f"{service}/hook", clientId=CLIENT, tokenUrl=f"{service}/token",
                           authType="private_key_jwt", hookKeyId=key_id)


def execute(server, hook, status=200):
    return server.call("POST", f"/api/v1/inlineHooks/{hook['id']}/execute", BODY, status)


def ask(service, assertion):
    form = {"grant_type": "client_credentials", "client_assertion": assertion,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    return requests.post(f"{service}/token", data=form, timeout=30)
