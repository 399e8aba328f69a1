"""Keys that are really keys, to put into requests whose shape is made up."""

import json
import zlib

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwcrypto.jwk import JWK

# Two RSA keys only: they take long to make, and long to check.
PRIVATE = [
    rsa.generate_private_key(65537, 2048),
    *(ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1) for _ in range(2)),
    *(curve.generate() for curve in (ed25519.Ed25519PrivateKey, x25519.X25519PrivateKey) for _ in range(2)),
]
JWKS = [json.loads(export()) for key in PRIVATE
        for export in (JWK.from_pyca(key).export, JWK.from_pyca(key).export_public)]
PEMS = [(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
         key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()) for key in PRIVATE]


def with_real_material(body, media_type):
    """The body with a real key wherever it has one. Which one depends on the body alone, so a run can be repeated."""
    chosen = zlib.crc32(repr(body).encode("utf-8", "surrogatepass"))
    jwk, (private, public) = JWKS[chosen % len(JWKS)], PEMS[chosen % len(PEMS)]
    body = dict(body)
    if isinstance(body.get("jwk"), str) and not body["jwk"].startswith("{vault://"):
        body.setdefault("kid", "made-up")
        body["jwk"] = json.dumps(jwk | {"kid": body["kid"]})
        if isinstance(body.get("pem"), dict):
            body["pem"] = None
        body = {name: value for name, value in body.items() if not name.startswith(("pem.", "pem["))}
    if isinstance(body.get("pem"), dict):
        halves = {"private_key": private, "public_key": public}
        body["pem"] = {name: halves[name] if isinstance(value, str) else value for name, value in body["pem"].items()}
    for half, text in [("private_key", private), ("public_key", public)]:
        # Both spellings at once would be a list.
        if f"pem.{half}" in body:
            body.pop(f"pem[{half}]", None)
        for name in (f"pem.{half}", f"pem[{half}]"):
            if name in body:
                body[name] = text
    return body
