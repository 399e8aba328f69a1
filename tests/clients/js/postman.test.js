// The Postman collection, run by newman as a person would run it; and that it leaves nothing of openapi.yaml out.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { test } = require("node:test");
const jose = require("jose");
const yaml = require("js-yaml");
const newman = require("newman");
const { root, startServer, startService } = require("./server.js");

const collection = JSON.parse(readFileSync(join(root, "postman/hook-keys.postman_collection.json"), "utf8"));
const environment = JSON.parse(readFileSync(join(root, "postman/hook-keys.postman_environment.json"), "utf8"));
const operations = readOperations();

test("The Postman collection is green on a fresh server, and again, and again", async (t) => {
  const server = await startServer(t);
  const service = await startHookService(t, server);
  const variables = { baseUrl: server.base, token: server.token };

  await t.test("the first run, with a service for the hooks", async () => {
    const run = await runCollection({ ...variables, hookUrl: `${service.base}/plain`, oauthServiceUrl: service.base });
    assertGreen(run);
    assertSucceeded(run);
    assert.deepEqual(service.calls.map(({ path }) => path), ["/plain", "/token", "/hook"]);
  });

  await t.test("it leaves nothing behind", () => assertEmpty(server));

  await t.test("the second run on the same server, with the environment as it is shipped", async () => {
    const calls = service.calls.length;
    assertGreen(await runCollection(variables));
    assert.equal(service.calls.length, calls);
    await assertEmpty(server);
  });

  await t.test("a run after one that was cut short", async () => {
    const cut = await runCollection(variables, { folder: ["Create a hook key", "Create a key set"] });
    assertGreen(cut);
    assert.equal((await server.json("GET", "/api/v1/hook-keys")).length, 1);
    assertGreen(await runCollection(variables));
    assert.equal((await server.json("GET", "/key-sets")).data.length, 1);
  });

  await t.test("a run with a wrong token is red, wherever a token counts", async () => {
    const { run } = await runCollection({ ...variables, token: "00wrong" });
    const green = run.executions.filter(({ assertions }) => assertions.every(({ error }) => !error));
    for (const { item } of green) assert.match(item.parent().name, /^(Service|Refusals)$/, item.name);
  });
});

test("The Postman collection and openapi.yaml hold the same operations", async (t) => {
  const requests = itemsOf(collection).map(({ item }) => item).filter(({ request }) => request);

  for (const operation of operations) {
    await t.test(`${operation.name} is in the collection`, () => {
      assert.ok(requests.some((item) => operationOf(item.request.method, pathOf(item)) === operation));
    });
  }

  await t.test("what is no operation stands among the refusals", () => {
    const strangers = itemsOf(collection)
      .filter(({ item }) => item.request && !operationOf(item.request.method, pathOf(item)))
      .map(({ item, folder }) => [folder.name, item.name]);
    assert.deepEqual(strangers, [
      ["Refusals", "An unknown path"],
      ["Refusals", "A wrong method"],
      ["Refusals", "An unknown path"],
      ["Refusals", "A wrong method"],
    ]);
  });
});

test("The Postman collection can be imported, and explains itself", async (t) => {
  await t.test("it names version 2.1 of the format", () => {
    assert.equal(collection.info.schema, "https://schema.getpostman.com/json/collection/v2.1.0/collection.json");
    assert.equal(environment._postman_variable_scope, "environment");
  });

  await t.test("every folder, request and variable says what it is for", () => {
    for (const { item } of itemsOf(collection)) {
      assert.ok((item.request ?? item).description, `${item.name} has no description`);
    }
    for (const variable of [...collection.variable, ...environment.values]) {
      assert.ok(variable.description, `${variable.key} has no description`);
    }
  });

  await t.test("every request checks its own answer", () => {
    for (const { item } of itemsOf(collection).filter(({ item }) => item.request)) {
      const script = item.event.find(({ listen }) => listen === "test").script.exec.join("\n");
      assert.match(script, /pm\.test\(/, `${item.name} tests nothing`);
      assert.match(script, /to\.have\.status\(\d{3}\)/, `${item.name} does not look at the status`);
    }
  });

  await t.test("every variable that is used is declared, and every one declared is used", () => {
    const text = JSON.stringify(collection);
    const used = new Set([...text.matchAll(/\{\{(\w+)\}\}|(?:get|set)\(\\"(\w+)\\"/g)].map(([, a, b]) => a ?? b));
    const declared = [...collection.variable, ...environment.values].map(({ key }) => key);
    assert.deepEqual([...used].filter((name) => /^[a-z]/.test(name)).sort(), declared.sort());
  });

  await t.test("no token is in it", () => {
    const { value } = environment.values.find(({ key }) => key === "token");
    assert.doesNotMatch(value, /^00/);
    for (const [token] of JSON.stringify(collection).matchAll(/\b00[\w-]{40}\b/g)) assert.match(token, /^00x+$/);
  });
});

/** The summary of one run, with these values in the place of the environment's. */
function runCollection(variables, options = {}) {
  const envVar = Object.entries(variables).map(([key, value]) => ({ key, value }));
  return new Promise((done, failed) => {
    // A copy of each, because a run keeps its variables in them.
    const own = { collection: structuredClone(collection), environment: structuredClone(environment), envVar };
    newman.run({ ...own, timeoutRequest: 30_000, ...options }, (error, summary) =>
      error ? failed(error) : done(summary),
    );
  });
}

/** Nothing failed, every request got its answer, and each of its statuses is one that openapi.yaml knows. */
function assertGreen({ run }) {
  const failures = run.failures.map(({ source, error }) => `${source?.name}: ${error.test ?? ""}: ${error.message}`);
  assert.deepEqual(failures, []);
  assert.ok(run.executions.length > 0);
  for (const { item, request, response, assertions } of run.executions) {
    assert.ok(assertions?.length >= 2, `${item.name} has not been checked`);
    const operation = operationOf(request.method, request.url.getPath());
    const known = operation?.statuses ?? [404, 405];
    assert.ok(known.includes(response.code), `${item.name}: ${response.code} is not in openapi.yaml`);
  }
}

/** Every operation of openapi.yaml has been done, not only tried. */
function assertSucceeded({ run }) {
  const done = new Set(
    run.executions
      .filter(({ response }) => response.code < 300)
      .map(({ request }) => operationOf(request.method, request.url.getPath())),
  );
  assert.deepEqual(operations.filter((operation) => !done.has(operation)).map(({ name }) => name), []);
}

async function assertEmpty(server) {
  for (const path of ["/api/v1/hook-keys", "/api/v1/inlineHooks"]) assert.deepEqual(await server.json("GET", path), []);
  for (const path of ["/keys", "/key-sets", "/tags"]) assert.deepEqual((await server.json("GET", path)).data, []);
}

/** What the hooks of the collection call: one that takes the collection's secret, and one that trusts a hook key. */
function startHookService(t, server) {
  const audience = ({ headers, path }) => `http://${headers.host}${path}`;
  return startService(t, async (call) => {
    if (call.path === "/plain") {
      assert.equal(call.headers["x-api-key"], "secret of the service");
      return [200, { commands: [] }];
    }
    if (call.path === "/token") {
      const assertion = new URLSearchParams(call.body).get("client_assertion");
      const { kid } = jose.decodeProtectedHeader(assertion);
      const jwk = await server.json("GET", `/api/v1/hook-keys/public/${kid}`);
      const expected = { issuer: "example-client", subject: "example-client", audience: audience(call) };
      await jose.jwtVerify(assertion, await jose.importJWK(jwk, "RS256"), { ...expected, algorithms: ["RS256"] });
      return [200, { access_token: "granted", token_type: "Bearer", expires_in: 300 }];
    }
    assert.deepEqual([call.path, call.headers.authorization], ["/hook", "Bearer granted"]);
    return [200, { commands: [] }];
  });
}

/** Every folder and request below `parent`, each with the folder it is in. */
function itemsOf(parent) {
  return parent.item.flatMap((item) => [{ item, folder: parent }, ...(item.item ? itemsOf(item) : [])]);
}

/** The path of a request, with a variable for whole segments where it has one. */
function pathOf({ request }) {
  return request.url.raw.replace("{{baseUrl}}", "").split("?")[0];
}

function readOperations() {
  const { paths } = yaml.load(readFileSync(join(root, "openapi.yaml"), "utf8"));
  const methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
  return Object.entries(paths).flatMap(([path, item]) =>
    methods
      .filter((method) => item[method])
      .map((method) => ({
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        pattern: new RegExp(`^${path.replace(/\{[^}]+\}/g, "[^/]+")}$`),
        statuses: Object.keys(item[method].responses).map(Number),
      })),
  );
}

function operationOf(method, path) {
  return operations.find((operation) => operation.method === method && operation.pattern.test(path));
}
