// What every suite here needs: servers of the real binary, and small HTTP services for them to call.
"use strict";

const { execFile, spawn } = require("node:child_process");
const { mkdtemp, rm } = require("node:fs/promises");
const http = require("node:http");
const { tmpdir } = require("node:os");
const { join, resolve } = require("node:path");
const { createInterface } = require("node:readline");
const { promisify } = require("node:util");

const root = resolve(__dirname, "../../..");

// Settings of whoever runs the tests must not reach the servers, nor their proxies or Okta settings the clients.
for (const name of Object.keys(process.env)) {
  if (/^(https?_proxy|all_proxy|okta_.*)$/i.test(name)) delete process.env[name];
}
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("HOOK_KEYS_")),
);

/** A server with a data directory of its own, which both end with the test or suite `t`; `settings` are variables. */
async function startServer(t, settings = {}) {
  const binary = process.env.HOOK_KEYS_BIN;
  if (!binary) throw new Error("HOOK_KEYS_BIN must name the built binary");
  const directory = await mkdtemp(join(tmpdir(), "hook-keys-js-"));
  const child = spawn(
    binary,
    ["dev", "--data-dir", directory, "--listen", "127.0.0.1:0", "--log", "warn"],
    { env: { ...environment, ...settings }, stdio: ["ignore", "pipe", "inherit"] },
  );
  t.after(async () => {
    await end(child);
    await rm(directory, { recursive: true });
  });
  const [base, token] = await greeting(child, /^ *Base URL +(\S+)/, /^ *API token +(\S+)/);
  return {
    base,
    token,
    /** One request as it stands, without any client between. */
    fetch: (path, options = {}) =>
      fetch(base + path, {
        ...options,
        headers: { authorization: `SSWS ${token}`, ...options.headers },
      }),
    /** The same with JSON both ways; throws where the answer is no 2xx. */
    async json(method, path, body) {
      const answer = await fetch(base + path, {
        method,
        headers: { authorization: `SSWS ${token}`, "content-type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return text === "" ? undefined : JSON.parse(text);
    },
    /** Another token of the same org, with these permissions alone. */
    async tokenFor(...permissions) {
      const options = permissions.flatMap((permission) => ["--permission", permission]);
      const { stdout } = await promisify(execFile)(
        binary,
        ["token", "create", "--data-dir", directory, "--org", "default", "--name", "test", "--json", ...options],
        { env: environment },
      );
      return JSON.parse(stdout).token;
    },
  };
}

/** A service on a free port of this machine: `answer(request)` gives `[status, body, headers]`, and a body that
 *  is neither text nor bytes goes out as JSON. */
async function startService(t, answer) {
  const calls = [];
  const server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const { method, url: path, headers } = request;
    const call = { method, path, headers, body: Buffer.concat(parts).toString() };
    calls.push(call);
    const failed = (error) => [500, { error: `${error}` }];
    const [status, body, more] = await Promise.resolve(call).then(answer).catch(failed);
    response.writeHead(status, { "content-type": "application/json", ...more });
    response.end(typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const close = () => {
    server.closeAllConnections();
    return new Promise((closed) => server.close(closed));
  };
  t.after(close);
  return { base: `http://127.0.0.1:${server.address().port}`, calls, close };
}

/** A directory that ends with the test `t`. */
async function temporaryDirectory(t) {
  const directory = await mkdtemp(join(tmpdir(), "hook-keys-js-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

/** What the first group of each pattern matches in the lines that `child` prints, within a minute. */
async function greeting(child, ...patterns) {
  const found = new Map();
  const lines = [];
  const deadline = setTimeout(() => child.kill(), 60_000);
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    for (const pattern of patterns) {
      const match = pattern.exec(line);
      if (match) found.set(pattern, match[1]);
    }
    if (found.size === patterns.length) break;
  }
  clearTimeout(deadline);
  child.stdout.resume(); // nobody reads the rest, and it must not wait for that
  if (found.size < patterns.length) throw new Error(`${child.spawnfile} ended too early:\n${lines.join("\n")}`);
  return patterns.map((pattern) => found.get(pattern));
}

/** Ends `child` by its own id, and waits until it is gone. */
async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((exit) => child.once("exit", exit));
  child.kill("SIGTERM");
  await gone;
}

module.exports = { root, startServer, startService, temporaryDirectory, greeting, end };
