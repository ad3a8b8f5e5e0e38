// The programs in examples/, against the real Worker.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { bootstrap, call, create } from "./client.mjs";
import { start } from "./harness.mjs";

const examples = join(dirname(fileURLToPath(import.meta.url)), "../../examples");

let app;
let owner;
let asker;
let reader;
let stranger;
before(async () => {
  app = await start();
  owner = (await bootstrap(app)).json.key;
  asker = (await create(app, owner, { name: "asker", scopes: ["api-keys:verify"] })).key;
  reader = (await create(app, owner, { name: "reader", scopes: ["datasets:read"] })).key;
  stranger = (await create(app, owner, { name: "stranger", scopes: [] })).key;
});
after(() => app.close());

test("verify.sh says by its exit code whether a key is good for a scope", async () => {
  const verify = async (key, url = app.url) => {
    const env = { ...process.env, BITTING_URL: url, BITTING_KEY: asker };
    const child = spawn(join(examples, "verify.sh"), ["datasets:read"], { env, stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.end(`${key}\n`);
    const ended = new Promise((resolve) => child.on("close", resolve));
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await ended, stdout, stderr };
  };
  const good = await verify(reader);
  assert.equal(good.code, 0, good.stderr);
  assert.equal(JSON.parse(good.stdout).name, "reader");

  const denied = await verify(stranger);
  assert.deepEqual([denied.code, JSON.parse(denied.stdout).code], [1, "insufficient_scope"]);
  assert.deepEqual(await verify('" injected'), { code: 1, stdout: "", stderr: "this is no key\n" });
  assert.equal((await verify(reader, `${app.url}/no-such-path`)).code, 2);
});

test("service.mjs lets in only keys that are good for its scope", async () => {
  const service = new Miniflare(convertV4MiniflareOptions({
    host: "127.0.0.1",
    cf: false,
    modules: true,
    scriptPath: join(examples, "service.mjs"),
    compatibilityDate: "2026-11-01",
    bindings: { BITTING_KEY: asker },
    serviceBindings: {
      BITTING: async (request) => {
        const { pathname } = new URL(request.url);
        const { authorization } = Object.fromEntries(request.headers);
        return app.fetch(pathname, { method: request.method, headers: { authorization }, body: await request.text() });
      },
    },
  }));
  const ask = async (authorization) => {
    const response = await service.dispatchFetch("http://service/", { headers: authorization && { authorization } });
    return [response.status, await response.json()];
  };
  try {
    assert.deepEqual(await ask(`Bearer ${reader}`), [200, { message: "Hello, reader" }]);
    assert.deepEqual(await ask(undefined), [401, { error: { code: "missing_api_key" } }]);
    assert.deepEqual(await ask("Bearer nonsense"), [401, { error: { code: "malformed_api_key" } }]);
    assert.deepEqual(await ask(`Bearer ${stranger}`), [403, { error: { code: "insufficient_scope" } }]);

    const { json } = await call(app, "GET", "/v1/keys/self", { key: reader });
    assert.equal((await call(app, "DELETE", `/v1/keys/${json.id}`, { key: owner })).status, 200);
    assert.deepEqual(await ask(`Bearer ${reader}`), [401, { error: { code: "key_revoked" } }]);

    // Past every cache, and then the database does not answer.
    await app.advance(60_000);
    await app.fail("DB.batch", { times: 10, message: "the database is down" });
    assert.deepEqual(await ask(`Bearer ${stranger}`), [503, { error: { code: "unavailable" } }]);
  } finally {
    await service.dispose();
  }
});

test("worker.mjs calls Bitting as an object of the same account", async () => {
  const bitting = await start({ neighbour: "examples/worker.mjs" });
  try {
    const key = (await bootstrap(bitting)).json.key;
    const reader = await create(bitting, key, { name: "reader", scopes: ["datasets:read"] });
    const stranger = await create(bitting, key, { name: "stranger", scopes: [] });
    const ask = async (headers) => {
      const response = await fetch(bitting.neighbourUrl, { headers });
      return [response.status, await response.json()];
    };
    const good = await ask({ "X-API-Key": reader.key });
    assert.deepEqual([good[0], good[1].scopes], [200, ["datasets:read"]]);
    // What a caller says of another request does not choose the scope.
    const elsewhere = { "X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/v1/scopes", "X-Bitting-Scopes": "*" };
    for (const [headers, status, code] of [
      [{}, 401, "missing_api_key"],
      [{ authorization: "Bearer bit_pat_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1t0B34" }, 401, "invalid_api_key"],
      [{ authorization: `Bearer ${stranger.key}`, ...elsewhere }, 403, "insufficient_scope"],
    ]) {
      const [was, body] = await ask(headers);
      assert.deepEqual([was, body.error.code], [status, code]);
    }
    const conditions = { allowed_ips: ["192.0.2.0/24"] };
    const office = await create(bitting, key, { name: "office", scopes: ["datasets:read"], conditions });
    const from = async (ip, headers) => (await ask({ "X-API-Key": office.key, ...(ip && { "CF-Connecting-IP": ip }), ...headers }))[0];
    const forged = { "X-Bitting-Client-IP": "192.0.2.7", "X-Forwarded-For": "192.0.2.7", "X-Real-IP": "192.0.2.7" };
    assert.deepEqual([await from("192.0.2.7"), await from("198.51.100.9", forged), await from(undefined, forged)], [200, 403, 403]);
    assert.equal((await call(bitting, "DELETE", `/v1/keys/${reader.id}`, { key })).status, 200);
    assert.deepEqual((await ask({ "X-API-Key": reader.key }))[1].error.code, "key_revoked");
    await bitting.advance(60_000);
    await bitting.fail("DB.batch", { times: 10, message: "the database is down" });
    assert.equal((await ask({ "X-API-Key": reader.key }))[0], 503);
  } finally {
    await bitting.close();
  }
});

test("another Worker verifies keys and follows the feed through the entrypoint", async () => {
  const bitting = await start({ neighbour: "tests/e2e/neighbour.mjs" });
  try {
    const owner = (await bootstrap(bitting)).json.key;
    const { key: verifier } = await create(bitting, owner, { scopes: ["verifier"], kind: "org" });
    const { id, key } = await create(bitting, owner, { scopes: ["datasets:read"] });
    const rpc = async (...args) => (await fetch(bitting.neighbourUrl, { method: "POST", body: JSON.stringify(args) })).json();
    const { valid, seq, subjects } = await rpc("verify", { key, scopes: ["datasets:read"] }, verifier);
    const { head, base, changes } = await rpc("feed", null, verifier);
    assert.deepEqual([valid, head, base, changes], [true, seq, seq, []]);
    assert.equal((await call(bitting, "DELETE", `/v1/keys/${id}`, { key: owner })).status, 200);
    const news = await rpc("feed", head, verifier);
    assert.deepEqual([news.base, news.changes], [head, [[news.head, id]]]);
    assert.ok(subjects.includes(id));
    assert.equal((await rpc("verify", { key }, verifier)).code, "key_revoked");
    assert.match((await rpc("feed", head, key)).error, /^key_revoked: /);
  } finally {
    await bitting.close();
  }
});
