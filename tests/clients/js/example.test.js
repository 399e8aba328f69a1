// examples/hook_service.js as a process of its own: what it lets through, and what it refuses.
"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const { generateKeyPairSync } = require("node:crypto");
const { writeFile } = require("node:fs/promises");
const { join } = require("node:path");
const { test } = require("node:test");
const { SignJWT } = require("jose");
const { end, greeting, root, startServer, startService, temporaryDirectory } = require("./server.js");

const commands = [
  { type: "com.okta.access.patch", value: [{ op: "add", path: "/claims/department", value: "Sales" }] },
];

test("The example in JavaScript answers the hooks that its key vouches for, and nobody else", async (t) => {
  const server = await startServer(t);
  const key = await server.json("POST", "/api/v1/hook-keys", { name: "of the example" });
  const jwkUrl = `${server.base}/api/v1/hook-keys/public/${key.keyId}`;
  const example = await startExample(t, jwkUrl, { token: server.token });

  await t.test("a hook that signs with the trusted key gets its answer", async () => {
    const hook = await createHook(server, example, key.id);
    assert.deepEqual(await execute(server, hook), { status: 200, body: { commands } });
    assert.deepEqual(await execute(server, hook), { status: 200, body: { commands } });
  });

  await t.test("a JWK from a file is as good as one from the server", async () => {
    const file = join(await temporaryDirectory(t), "key.jwk");
    await writeFile(file, JSON.stringify(key._embedded));
    const another = await startExample(t, file);
    const hook = await createHook(server, another, key.id);
    assert.deepEqual(await execute(server, hook), { status: 200, body: { commands } });
  });

  await t.test("a hook that signs with another key is refused", async () => {
    const other = await server.json("POST", "/api/v1/hook-keys", { name: "not of the example" });
    const { status, body } = await execute(server, await createHook(server, example, other.id));
    assert.deepEqual([status, body.errorCode], [400, "E0000135"]);
    assert.match(body.errorCauses[0].errorSummary, /^token: .*401/);
  });

  await t.test("a hook with another clientId is refused", async () => {
    const hook = await createHook(server, example, key.id, { clientId: "somebody-else" });
    const { status, body } = await execute(server, hook);
    assert.deepEqual([status, body.errorCode], [400, "E0000135"]);
  });

  await t.test("an assertion buys one token, at its own audience, and none when it is sent again", async () => {
    // The hook asks another service for its token first, whose address the example then takes over.
    const service = await startService(t, () => [401, { error: "invalid_client" }]);
    assert.equal((await execute(server, await createHook(server, service.base, key.id))).status, 400);
    const assertion = new URLSearchParams(service.calls[0].body).get("client_assertion");
    await service.close();
    await refuses(example, assertion, /aud is not/);
    const heir = await startExample(t, jwkUrl, { token: server.token, port: new URL(service.base).port });
    assert.equal(heir, service.base);
    const { status, body } = await ask(heir, assertion);
    assert.deepEqual([status, body.token_type], [200, "Bearer"]);
    assert.deepEqual(await call(heir, body.access_token), { status: 200, body: { commands } });
    await refuses(heir, assertion, /jti/);
    const [head, claims, signature] = assertion.split(".");
    await refuses(heir, [head, claims, signature.slice(2) + "AA"].join("."), /signature/);
  });

  await t.test("an assertion that somebody else has signed is refused, whatever it claims", async () => {
    const forger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const claims = { iss: "example-client", sub: "example-client", aud: `${example}/token`, jti: "new" };
    const forged = await new SignJWT(claims)
      .setProtectedHeader({ alg: "RS256", kid: key.keyId, typ: "JWT" })
      .setExpirationTime("5m")
      .sign(forger);
    await refuses(example, forged, /signature/);
    const [, body] = forged.split(".");
    await refuses(example, `${encoded({ alg: "none", kid: key.keyId })}.${body}.`, /alg or kid/);
    // The public half as the secret of an HMAC, for verifiers that let the header choose.
    const secret = Buffer.from(JSON.stringify(key._embedded));
    const hmac = await new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", kid: key.keyId })
      .setExpirationTime("5m")
      .sign(secret);
    await refuses(example, hmac, /alg or kid/);
  });

  await t.test("what is no assertion is refused, and the service goes on", async () => {
    for (const text of ["", "a.b.c", "....", "bnVsbA.bnVsbA.bnVsbA"]) await refuses(example, text, /./);
    assert.equal((await fetch(`${example}/nothing`, { method: "POST" })).status, 404);
    const hook = await createHook(server, example, key.id);
    assert.equal((await execute(server, hook)).status, 200);
  });

  await t.test("a hook call without a token, or with an invented one, is refused", async () => {
    assert.equal((await fetch(`${example}/hook`, { method: "POST" })).status, 401);
    assert.equal((await call(example, "invented")).status, 401);
  });
});

/** The base URL of the example in a process of its own, which trusts the JWK at `source`. */
async function startExample(t, source, { token = "none", port = 0 } = {}) {
  const script = join(root, "examples/hook_service.js");
  const env = { ...process.env, HOOK_KEYS_TOKEN: token };
  const child = spawn(process.execPath, [script, String(port), source], { env, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => end(child));
  const [base] = await greeting(child, /^(http:\S+)/);
  return base;
}

/** The path of a new hook that calls the service at `base` and signs with the hook key `hookKeyId`. */
async function createHook({ json }, base, hookKeyId, more) {
  const config = {
    uri: `${base}/hook`,
    tokenUrl: `${base}/token`,
    clientId: "example-client",
    authType: "private_key_jwt",
    hookKeyId,
    ...more,
  };
  createHook.count = (createHook.count ?? 0) + 1;
  const { id } = await json("POST", "/api/v1/inlineHooks", {
    name: `hook ${createHook.count}`,
    type: "com.okta.oauth2.tokens.transform",
    version: "1.0.0",
    channel: { type: "OAUTH", version: "1.0.0", config },
  });
  return `/api/v1/inlineHooks/${id}`;
}

async function execute(server, hook) {
  const headers = { "content-type": "application/json" };
  const answer = await server.fetch(`${hook}/execute`, { method: "POST", headers, body: "{}" });
  return { status: answer.status, body: await answer.json() };
}

/** What the token endpoint at `base` answers to an assertion. */
function ask(base, assertion) {
  const body = new URLSearchParams({ grant_type: "client_credentials", client_assertion: assertion });
  return post(`${base}/token`, { body });
}

/** What the service at `base` answers to a hook with this access token. */
function call(base, token) {
  return post(`${base}/hook`, { headers: { authorization: `Bearer ${token}` }, body: "{}" });
}

async function refuses(base, assertion, why) {
  const { status, body } = await ask(base, assertion);
  assert.deepEqual([status, body.error], [401, "invalid_client"]);
  assert.match(body.error_description, why);
}

async function post(url, options) {
  const answer = await fetch(url, { method: "POST", ...options });
  return { status: answer.status, body: await answer.json() };
}

function encoded(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
