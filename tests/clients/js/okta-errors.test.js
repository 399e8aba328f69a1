// How failures of this service reach users of Okta's SDK for Node: as its typed error, or as a retry.
"use strict";

const assert = require("node:assert/strict");
const { request } = require("node:http");
const { test } = require("node:test");
const okta = require("@okta/okta-sdk-nodejs");
const { startServer, startService } = require("./server.js");

test("Okta's SDK makes its typed error of every failure", async (t) => {
  const server = await startServer(t);
  const reader = await server.tokenFor("okta.inlineHooks.read");
  const service = await startService(t, () => [500, "no JSON"]);
  const connect = (token = server.token) => new okta.Client({ orgUrl: server.base, token });
  const anonymous = connect();
  delete anonymous.http.defaultHeaders.Authorization;
  const keysUrl = `${server.base}/api/v1/hook-keys`;
  const post = (body, type) => connect().http.post(keysUrl, { body, headers: { "Content-Type": type } });
  const create = (name, { hookKeyApi } = connect()) => hookKeyApi.createHookKey({ keyRequest: { name } });
  const hookTo = async (uri) => {
    const channel = { type: "HTTP", version: "1.0.0", config: { uri } };
    const inlineHook = { name: uri, type: "com.okta.import.transform", version: "1.0.0", channel };
    const { id: inlineHookId } = await connect().inlineHookApi.createInlineHook({ inlineHook });
    return inlineHookId;
  };
  const execute = async (uri) =>
    connect().inlineHookApi.executeInlineHook({ inlineHookId: await hookTo(uri), payloadData: {} });
  await create("taken");

  const missing = "HKYnotthere0123456789";
  const unsupported = "Bad request.  Accept and/or Content-Type headers likely do not match supported values.";
  const forbidden = "You do not have permission to perform the requested action";
  const method = "The endpoint does not support the provided HTTP method";
  const cases = [
    ["a blank name", () => create(" "), 400, "E0000001", "Api validation failed: name", /^name: /],
    ["a name that is taken", () => create("taken"), 400, "E0000001", "Api validation failed: name", /already exists/],
    ["a name of the wrong type", () => create(7), 400, "E0000001", "Api validation failed: name", /^name: /],
    ["no JSON", () => post("{,}", "application/json"), 400, "E0000003", "The request body was not well-formed."],
    ["a body that is too large", () => create("x".repeat(2 ** 20)), 413, "E0000003", undefined, /^body: /],
    ["another media type", () => post("{}", "text/plain"), 400, "E0000021", unsupported],
    ["an unknown token", () => create("x", connect(`00${"x".repeat(40)}`)), 401, "E0000011", "Invalid token provided"],
    ["no token at all", () => create("x", anonymous), 403, "E0000005", "Invalid session"],
    ["a token without the permission", () => create("x", connect(reader)), 403, "E0000006", forbidden],
    ["a hook key that is not there", () => connect().hookKeyApi.getHookKey({ hookKeyId: missing }), 404, "E0000007",
      `Not found: Resource not found: ${missing} (HookKey)`],
    ["a path that is not there", () => connect().http.http(`${server.base}/api/v1/nothing`), 404, "E0000008",
      "The requested path was not found"],
    ["a method that the path does not take", () => connect().http.delete(keysUrl), 405, "E0000022", method],
    ["a hook that nobody answers", () => execute("https://127.0.0.1:9/hook"), 400, "E0000134", undefined, /^hook: /],
    ["a hook whose service fails", () => execute(`${service.base}/hook`), 400, "E0000135", undefined, /^hook: /],
  ];
  for (const [name, call, status, errorCode, summary, cause] of cases) {
    await t.test(`${name} is ${status} ${errorCode}`, async () => {
      const error = await failure(call());
      assert.deepEqual([error.status, error.errorCode, error.errorLink], [status, errorCode, errorCode]);
      if (summary !== undefined) assert.equal(error.errorSummary, summary);
      if (cause === undefined) assert.deepEqual(error.errorCauses, []);
      else assert.match(error.errorCauses[0].errorSummary, cause);
      assert.match(error.errorId, /^oae[\w-]{22}$/);
      assert.ok(error.url.startsWith(server.base));
      assert.equal(error.headers.get("content-type"), "application/json");
      // Okta gives every answer an id for its support, but those about the method.
      const requestId = error.headers.get("x-okta-request-id");
      if (status === 405) assert.equal(requestId, null);
      else assert.match(requestId, /^[0-9a-f]{32}$/);
    });
  }

  await t.test("a failing service is called once more, and then the failure is told", () => {
    assert.equal(service.calls.length, 2);
  });
});

// By a proxy, because there it need not wait: what the service itself says is further down.
test("Okta's SDK waits and tries again where it is told to", async (t) => {
  const server = await startServer(t);

  await t.test("a creation that was held back once succeeds, and happens once", async () => {
    const { hookKeyApi, told } = await behindLimit(t, server, 1);
    const key = await hookKeyApi.createHookKey({ keyRequest: { name: "held back" } });
    assert.ok(key instanceof okta.DetailedHookKeyInstance);
    assert.deepEqual(told, [["backoff", 0], ["resume", 1]]);
    const names = (await server.json("GET", "/api/v1/hook-keys")).map(({ name }) => name);
    assert.deepEqual(names, ["held back"]);
  });

  await t.test("the request that gets through says which one it repeats", async () => {
    const { hookKeyApi, passed } = await behindLimit(t, server, 2);
    const listed = await hookKeyApi.listHookKeys();
    assert.ok((await listed.next()).value instanceof okta.HookKey);
    assert.equal(passed.length, 1);
    assert.equal(passed[0].headers["x-okta-retry-for"], requestId(1));
    assert.equal(passed[0].headers["x-okta-retry-count"], "2");
  });

  await t.test("after two repetitions the refusal is told, and nothing has happened", async () => {
    const { hookKeyApi, passed } = await behindLimit(t, server, 3);
    const error = await failure(hookKeyApi.createHookKey({ keyRequest: { name: "refused" } }));
    assert.deepEqual([error.status, error.errorCode], [429, "E0000047"]);
    assert.equal(error.headers.get("x-rate-limit-remaining"), "0");
    assert.equal(passed.length, 0);
  });
});

test("Okta's SDK waits for the end of the window that this service tells it", async (t) => {
  const server = await startServer(t, {
    HOOK_KEYS_RATE_LIMITS_REQUESTS: "1",
    HOOK_KEYS_RATE_LIMITS_WINDOW: "2s",
  });
  const client = new okta.Client({ orgUrl: server.base, token: server.token });
  const told = [];
  client.requestExecutor.on("backoff", (_request, response, _id, delay) => {
    told.push([response.status, response.headers.get("x-rate-limit-remaining"), delay]);
  });
  // Until a request comes in a window that is used up, however slow the machine is.
  let attempts = 0;
  while (told.length === 0) {
    attempts += 1;
    await server.fetch("/api/v1/hook-keys");
    const key = await client.hookKeyApi.createHookKey({ keyRequest: { name: `held back ${attempts}` } });
    assert.ok(key instanceof okta.DetailedHookKeyInstance);
  }
  const [status, remaining, delay] = told[0];
  assert.deepEqual([status, remaining], [429, "0"]);
  // Reset less Date, and a second.
  assert.ok(delay >= 1000 && delay <= 3000, `${delay}`);
});

/** What the SDK throws, which must be its own error. */
async function failure(promise) {
  const error = await promise.then(() => assert.fail("not refused"), (reason) => reason);
  assert.ok(error instanceof okta.OktaApiError, error);
  return error;
}

/** A client behind a proxy that answers the first `refusals` requests as Okta does when there are too many. */
async function behindLimit(t, server, refusals) {
  const passed = [];
  const told = [];
  let seen = 0;
  const proxy = await startService(t, (call) => {
    if (++seen > refusals) {
      passed.push(call);
      return pass(server.base, call);
    }
    // The limit ended a second ago, and the SDK adds that second: so it need not wait.
    const now = Math.floor(Date.now() / 1000);
    const headers = {
      date: new Date(now * 1000).toUTCString(),
      "x-okta-request-id": requestId(seen),
      "x-rate-limit-limit": "600",
      "x-rate-limit-remaining": "0",
      "x-rate-limit-reset": String(now - 1),
    };
    const error = {
      errorCode: "E0000047",
      errorSummary: "API call exceeded rate limit due to too many requests.",
      errorLink: "E0000047",
      errorId: `oae${"x".repeat(22)}`,
      errorCauses: [],
    };
    return [429, error, headers];
  });
  const client = new okta.Client({ orgUrl: proxy.base, token: server.token });
  client.requestExecutor.on("backoff", (_request, _response, _id, delay) => told.push(["backoff", delay]));
  client.requestExecutor.on("resume", (next) => told.push(["resume", next.headers["X-Okta-Retry-Count"]]));
  return { hookKeyApi: client.hookKeyApi, told, passed };
}

function requestId(number) {
  return String(number).padStart(32, "0");
}

/** Sends a call on as it came, and gives back what it answers as it comes. */
function pass(base, { method, path, headers, body }) {
  return new Promise((passed, failed) => {
    const onward = request(base + path, { method, headers }, async (answer) => {
      const parts = [];
      for await (const part of answer) parts.push(part);
      passed([answer.statusCode, Buffer.concat(parts), answer.headers]);
    });
    onward.on("error", failed);
    onward.end(body);
  });
}
