"""What the server signs and hands out is understood by PyJWT, jwcrypto, Debian's `jose` and openssl, each by itself."""

import base64
import json
import re
import shutil
import subprocess
import time
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jws as jwcrypto_jws

CLIENT = "interop-client"
CLAIMS = {"sub": "interop"}

# What the server keeps, how it signs, and whether Debian's jose can do it too: it has no curves of RFC 8037.
KINDS = {
    "RSA": (lambda: rsa.generate_private_key(65537, 2048), "RS256", True),
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), "ES256", True),
    "P-384": (lambda: ec.generate_private_key(ec.SECP384R1()), "ES384", True),
    "P-521": (lambda: ec.generate_private_key(ec.SECP521R1()), "ES512", True),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, "EdDSA", False),
}


@pytest.fixture(scope="module")
def jose():
    """Debian's command, as a function of its arguments and its input."""
    command = shutil.which("jose")
    if command is None:
        pytest.fail("the command `jose` is missing: apt-get install jose")

    def run(*arguments, text=""):
        return subprocess.run([command, *arguments], input=text, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def signed(server, catcher):
    """The assertion that a hook sends to its token endpoint, the public half of its key, and the endpoint."""
    key = server.new_hook_key("Interop")
    public = server.call("GET", f"/api/v1/hook-keys/public/{key['keyId']}")
    hook = server.new_hook("Interop", f"{catcher.base}/hook", clientId=CLIENT, tokenUrl=f"{catcher.base}/token",
                           authType="private_key_jwt", hookKeyId=key["id"])
    assert server.call("POST", f"/api/v1/inlineHooks/{hook['id']}/execute", {}) == {"commands": []}
    (token_path, _, form), (hook_path, headers, _) = catcher.caught
    assert (token_path, hook_path, headers["Authorization"]) == ("/token", "/hook", "Bearer caught")
    [assertion] = parse_qs(form.decode())["client_assertion"]
    return assertion, public, f"{catcher.base}/token"


def test_pyjwt_verifies_the_assertion_and_each_of_its_claims(signed):
    assertion, public, audience = signed
    key = jwt.PyJWK(public, algorithm="RS256")
    claims = jwt.decode(assertion, key, algorithms=["RS256"], audience=audience, issuer=CLIENT, subject=CLIENT,
                        options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]})
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti"}
    assert claims["exp"] - claims["iat"] == 300 and abs(claims["iat"] - time.time()) < 60
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": public["kid"]}


def test_jwcrypto_verifies_the_assertion(signed):
    assertion, public, audience = signed
    token = jwcrypto_jws.JWS.from_jose_token(assertion)
    token.verify(jwcrypto_jwk.JWK(**without_hints(public)), alg="RS256")
    assert json.loads(token.payload)["aud"] == audience


def test_debians_jose_verifies_the_assertion(signed, jose, tmp_path):
    assertion, public, audience = signed
    payload = verified_by_jose(jose, tmp_path, assertion, without_hints(public))
    assert json.loads(payload)["aud"] == audience


def test_every_library_refuses_the_assertion_when_it_was_altered_or_another_key_is_given(
        signed, server, jose, tmp_path):
    assertion, public, audience = signed
    other = server.new_hook_key("Another")["_embedded"]
    head, body, signature = assertion.split(".")
    claims = json.loads(unpadded(body)) | {"sub": "someone-else"}
    altered = ".".join([head, padless(json.dumps(claims).encode()), signature])
    for token, key in [(altered, public), (assertion, other)]:
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(token, jwt.PyJWK(key, algorithm="RS256"), algorithms=["RS256"], audience=audience)
        with pytest.raises(jwcrypto_jws.InvalidJWSSignature):
            jwcrypto_jws.JWS.from_jose_token(token).verify(jwcrypto_jwk.JWK(**without_hints(key)), alg="RS256")
        assert verified_by_jose(jose, tmp_path, token, without_hints(key)) is None


def test_the_libraries_agree_on_the_thumbprint_of_a_hook_key(signed, jose):
    public = without_hints(signed[1])
    expected = jwcrypto_jwk.JWK(**public).thumbprint()
    done = jose("jwk", "thp", "-i", "-", "-a", "S256", text=json.dumps(public))
    assert (done.returncode, done.stdout.strip()) == (0, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("brought", ["jwk", "pem"])
def test_a_key_brought_in_one_format_signs_and_verifies_crosswise_in_both(server, jose, tmp_path, kind, brought):
    make, algorithm, in_jose = KINDS[kind]
    key = bring(server, f"{kind} as {brought}", brought, make())
    private_jwk, public_jwk = private_and_public_jwk(server, key)
    pem = server.call("GET", f"/keys/{key['id']}?format=pem")["pem"]

    signers = {
        "PyJWT, JWK": lambda: jwt.encode(CLAIMS, jwt.PyJWK(private_jwk, algorithm=algorithm), algorithm),
        "PyJWT, PEM": lambda: jwt.encode(CLAIMS, pem["private_key"], algorithm),
        "jwcrypto, JWK": lambda: signed_by_jwcrypto(jwcrypto_jwk.JWK(**private_jwk), algorithm),
        "jwcrypto, PEM": lambda: signed_by_jwcrypto(jwcrypto_jwk.JWK.from_pem(pem["private_key"].encode()), algorithm),
    }
    verifiers = {
        "PyJWT, JWK": lambda token: jwt.decode(token, jwt.PyJWK(public_jwk, algorithm=algorithm), [algorithm]),
        "PyJWT, PEM": lambda token: jwt.decode(token, pem["public_key"], [algorithm]),
        "jwcrypto, JWK": lambda token: verified_by_jwcrypto(token, jwcrypto_jwk.JWK(**public_jwk), algorithm),
        "jwcrypto, PEM": lambda token: verified_by_jwcrypto(
            token, jwcrypto_jwk.JWK.from_pem(pem["public_key"].encode()), algorithm),
    }
    if in_jose:
        signers["jose"] = lambda: signed_by_jose(jose, private_jwk, algorithm)
        verifiers["jose"] = lambda token: json.loads(verified_by_jose(jose, tmp_path, token, public_jwk))
    for signer, sign in signers.items():
        token = sign()
        for verifier, verify in verifiers.items():
            assert verify(token) == CLAIMS, f"signed by {signer}, verified by {verifier}"


@pytest.mark.parametrize("kind", [*KINDS, "X25519"])
@pytest.mark.parametrize("brought", ["jwk", "pem"])
def test_openssl_reads_each_pem_and_finds_the_numbers_of_the_jwk(server, kind, brought):
    private_key = x25519.X25519PrivateKey.generate() if kind == "X25519" else KINDS[kind][0]()
    key = bring(server, f"{kind} for openssl as {brought}", brought, private_key)
    jwk, _ = private_and_public_jwk(server, key)
    pem = server.call("GET", f"/keys/{key['id']}?format=pem")["pem"]
    private = openssl("pkey", "-noout", "-check", "-text", text=pem["private_key"])
    public = openssl("pkey", "-pubin", "-noout", "-text", text=pem["public_key"])
    assert "Key is valid" in private
    assert numbers_of_openssl(private) >= set(numbers_of_jwk(jwk, private=True))
    assert numbers_of_openssl(public) >= set(numbers_of_jwk(jwk, private=False))
    assert openssl("pkey", "-pubout", text=pem["private_key"]) == pem["public_key"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_half_is_shown_only_to_a_token_that_may_see_it(server, kind):
    key = bring(server, f"{kind} in secret", "jwk", KINDS[kind][0]())
    token = server.new_token("keys.read")
    shown = json.loads(server.call("GET", f"/keys/{key['id']}", token=token)["jwk"])
    assert not jwcrypto_jwk.JWK(**shown).has_private
    pem = server.call("GET", f"/keys/{key['id']}?format=pem", token=token)["pem"]
    assert pem["private_key"] is None and not jwcrypto_jwk.JWK.from_pem(pem["public_key"].encode()).has_private


def without_hints(jwk):
    """The JWK without Okta's `alg`, which names no algorithm, and `use`, which is null: libraries insist on both."""
    assert (jwk["alg"], jwk["use"]) == ("RSA", None)
    return {name: value for name, value in jwk.items() if name not in ("alg", "use")}


def bring(server, name, brought, private):
    if brought == "jwk":
        jwk = json.loads(jwcrypto_jwk.JWK.from_pyca(private).export()) | {"kid": name}
        material = {"jwk": json.dumps(jwk)}
    else:
        pem = serialization.Encoding.PEM
        private_pem = private.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        public_pem = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        material = {"pem": {"private_key": private_pem, "public_key": public_pem}}
    return server.call("POST", "/keys", {"kid": name, **material}, status=201)


def private_and_public_jwk(server, key):
    """The key as JWK as a token that may see all sees it, and as one that may only read sees it."""
    path = f"/keys/{key['id']}?format=jwk"
    private = json.loads(server.call("GET", path)["jwk"])
    public = json.loads(server.call("GET", path, token=server.new_token("keys.read"))["jwk"])
    assert private.keys() > public.keys() and "d" not in public
    return private, public


def signed_by_jwcrypto(key, algorithm):
    token = jwcrypto_jws.JWS(json.dumps(CLAIMS))
    token.add_signature(key, protected=json.dumps({"alg": algorithm}))
    return token.serialize(compact=True)


def verified_by_jwcrypto(token, key, algorithm):
    jws = jwcrypto_jws.JWS.from_jose_token(token)
    jws.verify(key, alg=algorithm)
    return json.loads(jws.payload)


def signed_by_jose(jose, key, algorithm):
    template = {"payload": padless(json.dumps(CLAIMS).encode())}
    with_algorithm = key | {"alg": algorithm}  # it reads the algorithm from the key
    done = jose("jws", "sig", "-i", json.dumps(template), "-k", "-", "-c", text=json.dumps(with_algorithm))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def verified_by_jose(jose, directory, token, key):
    """The payload, or nothing if it does not verify."""
    (directory / "key.jwk").write_text(json.dumps(key))
    done = jose("jws", "ver", "-i", "-", "-k", str(directory / "key.jwk"), "-O", "-", text=token)
    return done.stdout if done.returncode == 0 else None


def openssl(*arguments, text):
    done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers_of_openssl(text):
    """Every number in the listing, those in lines of bytes and those written out."""
    blocks = re.findall(r"(?:^ {4}[0-9a-f:]+\n)+", text, re.MULTILINE)
    return {int(re.sub(r"[^0-9a-f]", "", block), 16) for block in blocks} | {
        int(number) for number in re.findall(r"xponent: (\d+) ", text)}


def numbers_of_jwk(jwk, private):
    def number(name):
        return int.from_bytes(unpadded(jwk[name]), "big")

    if jwk["kty"] == "EC":
        # openssl writes the point as 04, x and y in one.
        point = int.from_bytes(b"\4" + unpadded(jwk["x"]) + unpadded(jwk["y"]), "big")
        return [number("d"), point] if private else [point]
    if jwk["kty"] == "OKP":
        return [number("d"), number("x")] if private else [number("x")]
    return [number(name) for name in (["n", "e", "d", "p", "q", "dp", "dq", "qi"] if private else ["n", "e"])]


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def padless(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
