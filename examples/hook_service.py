"""An external service for inline hooks, and the token endpoint that guards it. Needs PyJWT[crypto] and nothing else.

Run: python3 hook_service.py PORT CLIENT_ID JWK, where JWK is the public half of a hook key: a file, or the URL
http://HOST/api/v1/hook-keys/public/{keyId}, which is fetched once with the API token in the variable API_TOKEN.
Port 0 takes a free one; the first line printed is the base URL. Then create a hook with "uri" BASE/hook, "tokenUrl"
BASE/token, "clientId" CLIENT_ID, "authType" "private_key_jwt" and "hookKeyId" the id of that key.
"""
import json, os, secrets, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs
from urllib.request import Request, urlopen
import jwt

PORT, CLIENT, JWK = sys.argv[1:]
LIFE, ISSUED, SEEN = 300, {}, {}  # seconds; when each access token ends; when each jti that was seen ends
if JWK.startswith("http"):
    with urlopen(Request(JWK, headers={"Authorization": "SSWS " + os.environ["API_TOKEN"]}), timeout=10) as answer:
        KEY = json.load(answer)
else:
    with open(JWK, encoding="utf-8") as file: KEY = json.load(file)

def check(assertion):  # RFC 7523 section 3; raises where something is wrong
    if jwt.get_unverified_header(assertion).get("kid") != KEY["kid"]: raise jwt.InvalidTokenError("unknown kid")
    # The algorithm is fixed here: what the token or the JWK says about it counts for nothing.
    claims = jwt.decode(assertion, jwt.PyJWK(KEY, algorithm="RS256"), algorithms=["RS256"], audience=BASE + "/token",
                        issuer=CLIENT, subject=CLIENT, options={"require": ["iss", "sub", "aud", "exp", "jti"]})
    if claims["exp"] > time.time() + 3600: raise jwt.InvalidTokenError("exp is more than an hour ahead")
    forget(SEEN)
    if claims["jti"] in SEEN: raise jwt.InvalidTokenError("jti was seen before")
    SEEN[claims["jti"]] = claims["exp"]

def forget(ends):  # what has ended, so that memory does not fill up
    for key in [key for key, end in ends.items() if end < time.time()]: del ends[key]

class Service(BaseHTTPRequestHandler):
    timeout = 5  # seconds a silent client may keep it waiting
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        status, answer = {"/token": self.token, "/hook": self.hook}.get(self.path, lambda _: (404, {}))(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())
    def token(self, form):
        try: check(parse_qs(form).get("client_assertion", [""])[0])
        except jwt.PyJWTError as problem: return 401, {"error": "invalid_client", "error_description": str(problem)}
        forget(ISSUED)
        token = secrets.token_urlsafe(32)
        ISSUED[token] = time.time() + LIFE
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": LIFE}
    def hook(self, body):
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if ISSUED.get(token, 0) < time.time(): return 401, {"error": "invalid_token"}
        return 200, {"commands": [], "debugContext": {"received": json.loads(body)}}

server = HTTPServer(("127.0.0.1", int(PORT)), Service)
BASE = f"http://127.0.0.1:{server.server_port}"
print(BASE, flush=True)
server.serve_forever()
