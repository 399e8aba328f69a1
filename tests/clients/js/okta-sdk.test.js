// Okta's own SDK for Node against this service, told nothing but another URL and another token.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const okta = require("@okta/okta-sdk-nodejs");
const { startServer, startService } = require("./server.js");

const types = [
  "com.okta.import.transform",
  "com.okta.oauth2.tokens.transform",
  "com.okta.saml.tokens.transform",
  "com.okta.telephony.provider",
  "com.okta.user.credential.password.import",
  "com.okta.user.pre-registration",
];

test("Okta's SDK manages hook keys", async (t) => {
  const server = await startServer(t);
  const keys = client(server).hookKeyApi;
  const hooks = client(server).inlineHookApi;
  let key;

  await t.test("a new key is a typed object with dates, and brings its public half", async () => {
    key = await keys.createHookKey({ keyRequest: { name: "signing key" } });
    assert.ok(key instanceof okta.DetailedHookKeyInstance);
    assert.match(key.id, /^HKY[A-Za-z0-9]{17}$/);
    assert.match(key.keyId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(key.name, "signing key");
    assert.strictEqual(key.isUsed, false);
    assertDates(key);
    assert.deepEqual(key.lastUpdated, key.created);
    assert.ok(key._embedded instanceof okta.Embedded);
    const { n, ...rest } = key._embedded;
    assert.deepEqual(rest, { alg: "RSA", e: "AQAB", kid: key.keyId, kty: "RSA", use: null });
    assert.equal(Buffer.from(n, "base64url").length, 256);
  });

  await t.test("a key is read by its id, without its public half", async () => {
    const read = await keys.getHookKey({ hookKeyId: key.id });
    assert.ok(read instanceof okta.HookKey);
    const { _embedded, ...rest } = key;
    assert.deepEqual({ ...read }, rest);
  });

  await t.test("a public half is read by its keyId, and is the one that came with the key", async () => {
    const read = await keys.getPublicKey({ keyId: key.keyId });
    assert.ok(read instanceof okta.Embedded);
    assert.deepEqual(read, key._embedded);
  });

  await t.test("a list is a collection of keys, oldest first", async () => {
    const second = await keys.createHookKey({ keyRequest: { name: "second key" } });
    const listed = await all(await keys.listHookKeys());
    assert.deepEqual(listed.map(({ id }) => id), [key.id, second.id]);
    for (const each of listed) {
      assert.ok(each instanceof okta.HookKey);
      assertDates(each);
    }
    await keys.deleteHookKey({ hookKeyId: second.id });
    assert.deepEqual((await all(await keys.listHookKeys())).map(({ id }) => id), [key.id]);
  });

  await t.test("replacing a key changes its name and nothing else", async () => {
    const renamed = await keys.replaceHookKey({ hookKeyId: key.id, keyRequest: { name: "Schlüssel №2" } });
    assert.ok(renamed instanceof okta.DetailedHookKeyInstance);
    const { lastUpdated, ...rest } = renamed;
    const { lastUpdated: before, ...expected } = key;
    assert.deepEqual(rest, { ...expected, name: "Schlüssel №2" });
    assert.ok(lastUpdated >= before);
    assert.equal((await keys.getHookKey({ hookKeyId: key.id })).name, "Schlüssel №2");
  });

  await t.test("a key that a hook names is used and cannot be deleted, until the hook is gone", async () => {
    const { id: inlineHookId } = await hooks.createInlineHook({
      inlineHook: hook("names a key", oauth("https://service.example.com", { hookKeyId: key.id })),
    });
    assert.strictEqual((await keys.getHookKey({ hookKeyId: key.id })).isUsed, true);
    const refusal = await refused(keys.deleteHookKey({ hookKeyId: key.id }), 400, "E0000001");
    assert.match(refusal.errorCauses[0].errorSummary, /^hookKey: .*"names a key"/);
    await hooks.deactivateInlineHook({ inlineHookId });
    await hooks.deleteInlineHook({ inlineHookId });
    assert.strictEqual((await keys.getHookKey({ hookKeyId: key.id })).isUsed, false);
  });

  await t.test("a deleted key is gone under its id and under its keyId", async () => {
    assert.equal(await keys.deleteHookKey({ hookKeyId: key.id }), undefined);
    await refused(keys.getHookKey({ hookKeyId: key.id }), 404, "E0000007");
    await refused(keys.getPublicKey({ keyId: key.keyId }), 404, "E0000007");
    assert.deepEqual(await all(await keys.listHookKeys()), []);
  });
});

test("Okta's SDK manages and executes inline hooks", async (t) => {
  const server = await startServer(t);
  const hooks = client(server).inlineHookApi;
  const answer = { commands: [{ type: "com.okta.access.patch", value: [{ op: "add", path: "/claims/x", value: 1 }] }] };
  const service = await startService(t, ({ path }) =>
    path === "/token" ? [200, { access_token: "granted", token_type: "Bearer", expires_in: 300 }] : [200, answer],
  );
  let id;

  await t.test("a new hook is a typed object, active, and shows no secret", async () => {
    const created = await hooks.createInlineHook({ inlineHook: hook("first", http(service.base)) });
    ({ id } = created);
    assert.ok(created instanceof okta.InlineHookCreateResponse);
    assert.match(id, /^cal[A-Za-z0-9]{17}$/);
    assert.equal(created.status, "ACTIVE");
    assert.equal(created.type, "com.okta.oauth2.tokens.transform");
    assertDates(created);
    assert.ok(created.channel instanceof okta.InlineHookChannelHttp);
    assert.deepEqual(plain(created.channel), {
      type: "HTTP",
      version: "1.0.0",
      config: {
        authScheme: { key: "X-Api-Key", type: "HEADER" },
        headers: [{ key: "X-Tenant", value: "acme" }],
        method: "POST",
        uri: `${service.base}/hook`,
      },
    });
    assert.equal(created._links.self.href, `${server.base}/api/v1/inlineHooks/${id}`);
    assert.deepEqual(created._links.execute.hints.allow, ["POST"]);
  });

  await t.test("a hook is read as it was created", async () => {
    const read = await hooks.getInlineHook({ inlineHookId: id });
    assert.ok(read instanceof okta.InlineHook);
    assert.equal(read.name, "first");
    assert.ok(read._links.deactivate.href.endsWith(`/${id}/lifecycle/deactivate`));
    assert.equal(read._links.activate, undefined);
  });

  await t.test("executing sends the body and the headers, and gives back what the service answered", async () => {
    const payloadData = { data: { access: { claims: { sub: "user@example.com", größe: 1.5e3 } } } };
    assert.deepEqual(await hooks.executeInlineHook({ inlineHookId: id, payloadData }), answer);
    const call = service.calls.at(-1);
    assert.equal(call.body, JSON.stringify(payloadData));
    assert.equal(call.headers["x-api-key"], "key of the service");
    assert.equal(call.headers["x-tenant"], "acme");
    assert.equal(call.headers["content-type"], "application/json");
  });

  await t.test("an update changes what it names and leaves the rest, the secret included", async () => {
    const updated = await hooks.updateInlineHook({ inlineHookId: id, inlineHook: { name: "updated" } });
    assert.ok(updated instanceof okta.InlineHook);
    assert.equal(updated.name, "updated");
    assert.deepEqual(plain(updated.channel.config.headers), [{ key: "X-Tenant", value: "acme" }]);
    await hooks.executeInlineHook({ inlineHookId: id, payloadData: {} });
    assert.equal(service.calls.at(-1).headers["x-api-key"], "key of the service");
  });

  await t.test("a replacement drops what it leaves out", async () => {
    const channel = { type: "HTTP", version: "1.0.0", config: { uri: `${service.base}/new` } };
    const inlineHook = { ...hook("replaced", channel), version: "1.0.1" };
    const replaced = await hooks.replaceInlineHook({ inlineHookId: id, inlineHook });
    assert.ok(replaced instanceof okta.InlineHook);
    assert.equal(replaced.version, "1.0.1");
    assert.deepEqual(plain(replaced.channel.config), {
      authScheme: null,
      headers: [],
      method: "POST",
      uri: `${service.base}/new`,
    });
    await hooks.executeInlineHook({ inlineHookId: id, payloadData: {} });
    const call = service.calls.at(-1);
    assert.equal(call.path, "/new");
    assert.ok(!("x-api-key" in call.headers) && !("x-tenant" in call.headers));
  });

  await t.test("a list gives every hook of every type, or those of one type", async () => {
    const made = new Map([[types[1], [id]]]);
    for (const type of types) {
      const created = await hooks.createInlineHook({ inlineHook: { ...hook(type, http(service.base)), type } });
      made.set(type, [...(made.get(type) ?? []), created.id]);
    }
    const listed = await all(await hooks.listInlineHooks());
    assert.deepEqual(listed.map((each) => each.id).sort(), [...made.values()].flat().sort());
    for (const [type, ids] of made) {
      const some = await all(await hooks.listInlineHooks({ type }));
      assert.deepEqual(some.map((each) => each.id), ids);
      assert.ok(some.every((each) => each instanceof okta.InlineHook && each.type === type));
    }
  });

  await t.test("deactivating and activating can be repeated, and an inactive hook does not run", async () => {
    for (const _ of ["once", "again"]) {
      const inactive = await hooks.deactivateInlineHook({ inlineHookId: id });
      assert.equal(inactive.status, "INACTIVE");
      assert.ok(inactive._links.activate.href.endsWith(`/${id}/lifecycle/activate`));
      assert.deepEqual(inactive._links._delete.hints.allow, ["DELETE"]);
    }
    const calls = service.calls.length;
    await refused(hooks.executeInlineHook({ inlineHookId: id, payloadData: {} }), 400, "E0000001");
    assert.equal(service.calls.length, calls);
    for (const _ of ["once", "again"]) {
      assert.equal((await hooks.activateInlineHook({ inlineHookId: id })).status, "ACTIVE");
    }
  });

  await t.test("a channel with a client secret gets its token by it, and never shows it", async () => {
    const config = { authType: "client_secret_post", clientSecret: "hush", scope: "hooks" };
    const created = await hooks.createInlineHook({ inlineHook: hook("secret", oauth(service.base, config)) });
    assert.ok(created.channel instanceof okta.InlineHookChannelOAuth);
    assert.ok(created.channel.config instanceof okta.InlineHookOAuthClientSecretConfig);
    assert.equal(created.channel.config.scope, "hooks");
    assert.ok(!JSON.stringify(created).includes("hush"));
    await hooks.executeInlineHook({ inlineHookId: created.id, payloadData: {} });
    const [token, call] = service.calls.slice(-2);
    assert.deepEqual(Object.fromEntries(new URLSearchParams(token.body)), {
      grant_type: "client_credentials",
      client_id: "client",
      client_secret: "hush",
      scope: "hooks",
    });
    assert.equal(call.headers.authorization, "Bearer granted");
  });

  await t.test("a channel with a hook key is typed as such, and authenticates by an assertion", async () => {
    const { id: hookKeyId } = await client(server).hookKeyApi.createHookKey({ keyRequest: { name: "k" } });
    const created = await hooks.createInlineHook({ inlineHook: hook("key", oauth(service.base, { hookKeyId })) });
    assert.ok(created.channel.config instanceof okta.InlineHookOAuthPrivateKeyJwtConfig);
    assert.equal(created.channel.config.hookKeyId, hookKeyId);
    assert.deepEqual(await hooks.executeInlineHook({ inlineHookId: created.id, payloadData: {} }), answer);
    const form = new URLSearchParams(service.calls.at(-2).body);
    assert.equal(form.get("client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert.equal(form.get("client_assertion").split(".").length, 3);
  });

  await t.test("an active hook cannot be deleted, an inactive one is gone for good", async () => {
    const refusal = await refused(hooks.deleteInlineHook({ inlineHookId: id }), 400, "E0000001");
    assert.match(refusal.errorCauses[0].errorSummary, /^inlineHook: /);
    await hooks.deactivateInlineHook({ inlineHookId: id });
    assert.equal(await hooks.deleteInlineHook({ inlineHookId: id }), undefined);
    const gone = await refused(hooks.getInlineHook({ inlineHookId: id }), 404, "E0000007");
    assert.equal(gone.errorSummary, `Not found: Resource not found: ${id} (InlineHook)`);
  });

  await t.test("the SDK's cache knows a hook by its self link, and never shows an old state", async () => {
    const cached = client(server);
    const [{ id: inlineHookId }] = await all(await cached.inlineHookApi.listInlineHooks({ type: types[0] }));
    let requests = 0;
    cached.requestExecutor.on("request", () => (requests += 1));
    await cached.inlineHookApi.getInlineHook({ inlineHookId });
    const again = await cached.inlineHookApi.getInlineHook({ inlineHookId });
    assert.equal(requests, 1);
    assert.equal(again.status, "ACTIVE");
    await cached.inlineHookApi.deactivateInlineHook({ inlineHookId });
    assert.equal((await cached.inlineHookApi.getInlineHook({ inlineHookId })).status, "INACTIVE");
    assert.equal(requests, 3);
  });
});

/** A client of the SDK; its `requestExecutor` tells what it sends. */
function client(server, token = server.token) {
  return new okta.Client({ orgUrl: server.base, token });
}

async function all(collection) {
  const items = [];
  for await (const item of collection) items.push(item);
  return items;
}

/** A hook of the kind that makes claims for tokens. */
function hook(name, channel) {
  return { name, type: types[1], version: "1.0.0", channel };
}

function http(base) {
  const authScheme = { type: "HEADER", key: "X-Api-Key", value: "key of the service" };
  const headers = [{ key: "X-Tenant", value: "acme" }];
  return { type: "HTTP", version: "1.0.0", config: { uri: `${base}/hook`, method: "POST", headers, authScheme } };
}

function oauth(base, config) {
  const common = { uri: `${base}/hook`, tokenUrl: `${base}/token`, clientId: "client", authType: "private_key_jwt" };
  return { type: "OAUTH", version: "1.0.0", config: { ...common, ...config } };
}

/** Without the SDK's classes, to compare what they hold. */
function plain(value) {
  return JSON.parse(JSON.stringify(value));
}

function assertDates({ created, lastUpdated }) {
  for (const date of [created, lastUpdated]) {
    assert.ok(date instanceof Date);
    assert.ok(Math.abs(Date.now() - date) < 3_600_000, `${date} is no time of today`);
  }
}

/** Waits for the SDK's error, which must carry Okta's status and code. */
async function refused(promise, status, errorCode) {
  const error = await promise.then(
    () => assert.fail(`not refused with ${status} ${errorCode}`),
    (reason) => reason,
  );
  assert.ok(error instanceof okta.OktaApiError, error);
  assert.deepEqual([error.status, error.errorCode], [status, errorCode]);
  return error;
}
