/* A service for an inline hook to call, with its own token endpoint: node examples/hook_service.js PORT JWK

It trusts one hook key by its public JWK, as GET /api/v1/hook-keys/public/{keyId} answers it: JWK is a file, or a URL
that is fetched once, with the API token in the variable HOOK_KEYS_TOKEN. Port 0 takes a free one; the first line says
the base URL, here BASE. Give the hook the channel OAUTH with "authType": "private_key_jwt", "clientId":
"example-client", "tokenUrl": "BASE/token", "uri": "BASE/hook". Plain HTTP, so only this machine can reach it. */
const { createPublicKey, randomBytes, verify } = require("node:crypto");
const { readFile } = require("node:fs/promises");
const { createServer } = require("node:http");

const CLIENT = "example-client"; // the one clientId it knows
const taken = new Map(); // the jti of each assertion that bought a token, with the second that ends it
const tokens = new Map(); // the access tokens given out, likewise

async function main(port, source) {
  const jwk = JSON.parse(/^https?:/.test(source) ? await download(source) : await readFile(source, "utf8"));
  const trusted = { kid: jwk.kid, key: createPublicKey({ key: jwk, format: "jwk" }) };
  const server = createServer(async (request, response) => {
    const refuse = (problem) => [401, { error: "invalid_client", error_description: `${problem}` }];
    const [status, answer] = await route(request, trusted, base).catch(refuse);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });
  await new Promise((listening) => server.listen(Number(port), "127.0.0.1", listening));
  const base = `http://127.0.0.1:${server.address().port}`;
  console.log(base);
}
async function download(url) {
  const answer = await fetch(url, { headers: { authorization: `SSWS ${process.env.HOOK_KEYS_TOKEN}` } });
  return answer.ok ? answer.text() : Promise.reject(new Error(`${url} answers ${answer.status}`));
}
async function route(request, trusted, base) {
  let body = "";
  for await (const part of request) if ((body += part).length > 1e6) request.destroy(); // no hook sends so much
  const [now, call] = [Date.now() / 1000, `${request.method} ${request.url}`];
  for (const all of [taken, tokens]) for (const [each, end] of all) if (end <= now) all.delete(each);
  const assertion = new URLSearchParams(body).get("client_assertion");
  if (call === "POST /token") return [200, issue(assertion, trusted, `${base}/token`, now)];
  if (call !== "POST /hook") return [404, { error: "not found" }];
  if (!tokens.has(/^Bearer (.+)$/.exec(request.headers.authorization)?.[1])) return [401, { error: "invalid_token" }];
  const value = [{ op: "add", path: "/claims/department", value: "Sales" }];
  return [200, { commands: [{ type: "com.okta.access.patch", value }] }];
}
function issue(assertion, { kid, key }, audience, now) { // RFC 7523 section 3; throws where something is wrong
  const check = (sound, problem) => { if (!sound) throw new Error(problem); };
  const [head, body, signature] = assertion.split(".");
  const [header, claims] = [head, body].map((part) => JSON.parse(Buffer.from(part, "base64url")));
  check(header.alg === "RS256" && header.kid === kid, "alg or kid is not the trusted key's");
  const signed = [Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url")];
  check(verify("RSA-SHA256", ...signed), "the signature is not the trusted key's");
  check(claims.iss === CLIENT && claims.sub === CLIENT, `iss and sub are not both ${CLIENT}`);
  check(claims.aud === audience, `aud is not ${audience}`);
  check(claims.exp > now && claims.exp <= now + 3600, "exp is past, or more than an hour ahead");
  check(typeof claims.jti === "string" && !taken.has(claims.jti), "jti is missing, or was seen before");
  taken.set(claims.jti, claims.exp);
  const token = randomBytes(32).toString("base64url");
  tokens.set(token, now + 300);
  return { access_token: token, token_type: "Bearer", expires_in: 300 };
}
main(...process.argv.slice(2)).catch((problem) => { console.error(`${problem}`); process.exitCode = 1; });
