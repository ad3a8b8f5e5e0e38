// The promise, on isolates that share D1 and KV and nothing else: a revoked key is refused within five
// seconds, at once by whatever asks D1, and no failure of D1 or KV ever makes a wrong yes.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { assertUnavailable, bootstrap, cacheName, call, create, rows, verify } from "./client.mjs";
import { start } from "./harness.mjs";

const MAX_STALENESS_MS = 5_000;
const lost = { times: 1_000_000, message: "D1_ERROR: Network connection lost." };

let app;
let a;
let b;
let owner;
before(async () => {
  app = await start({ isolates: 3 });
  [a, b] = app.isolates;
  owner = (await bootstrap(a)).json.key;
});
after(() => app.close());
// Every feed is too old when a test begins, so that its first request reads it.
beforeEach(() => app.advance(60_000));

// A key that `b` has in memory, under a feed that it has just read.
async function warmKey(fields) {
  const made = await create(a, owner, fields);
  assert.equal((await verify(b, owner, made.key)).json.valid, true);
  assert.equal((await verify(b, owner, made.key)).json.source, "memory");
  return made;
}

const revoke = async ({ id }) => assert.equal((await call(a, "DELETE", `/v1/keys/${id}`, { key: owner })).status, 200);

test("a key revoked in one isolate is refused in another, which has it in memory, after 5 seconds at the latest", async () => {
  const key = await warmKey();
  await revoke(key);
  const at = await b.now();
  // The refresh behind an answer would end it sooner; the bound must hold without it.
  await b.fail("DB.batch", lost);
  const soon = (await verify(b, owner, key.key)).json;
  assert.deepEqual([soon.valid, soon.source], [true, "memory"], "nothing has told this isolate yet");
  await b.setClock(at + MAX_STALENESS_MS - 1_000);
  const late = await verify(b, owner, key.key);
  if (late.status === 200) assert.ok(late.json.age_ms <= MAX_STALENESS_MS);
  await b.setClock(at + MAX_STALENESS_MS + 1);
  assertUnavailable(await verify(b, owner, key.key));
  await b.heal();
  const { valid, code, source } = (await verify(b, owner, key.key)).json;
  assert.deepEqual({ valid, code, source }, { valid: false, code: "key_revoked", source: "d1" });
});

test("under traffic the refresh behind an answer ends a revoked key before the 5 seconds are over", async () => {
  const key = await warmKey();
  await revoke(key);
  await b.advance(MAX_STALENESS_MS / 2 + 100);
  assert.equal((await verify(b, owner, key.key)).json.valid, true);
  await b.io();
  const { valid, age_ms } = (await verify(b, owner, key.key)).json;
  assert.equal(valid, false);
  assert.ok(age_ms < MAX_STALENESS_MS / 2);
});

test("KV going on to hold a revoked key makes no yes: neither where the feed is fresh nor in a new isolate", async () => {
  const made = await create(a, owner);
  await verify(a, owner, made.key);
  await a.io();
  const name = await cacheName(app, made.id);
  const old = await app.kv.get(name);
  assert.match(old, /"revoked_at":null/);

  await call(b, "GET", "/v1/scopes", { key: owner });
  const read = (await verify(b, owner, made.key)).json;
  assert.deepEqual([read.valid, read.source], [true, "kv"], "before the revocation KV is believed");

  await revoke(made);
  await app.advance(MAX_STALENESS_MS + 1);
  // The third isolate has never heard of anything: it reads the feed with its first request, and then
  // asks KV for the key.
  for (const isolate of app.isolates) {
    await app.kv.put(name, old);
    await call(isolate, "GET", "/v1/scopes", { key: owner });
    await isolate.io();
    const { valid, code } = (await verify(isolate, owner, made.key)).json;
    assert.deepEqual({ valid, code }, { valid: false, code: "key_revoked" });
    assert.deepEqual((await isolate.io()).calls.slice(0, 2), [`CACHE.get ${name}`, "DB.batch(2)"]);
  }
});

test("a revoked key is refused at once by every route that asks D1, and by a strong verification", async () => {
  const id = (await create(a, owner)).id;
  const body = { name: "too late", scopes: [] };
  const routes = [
    ["GET", "/v1/keys"],
    ["POST", "/v1/keys", body],
    ["GET", "/v1/keys/self"],
    ["GET", `/v1/keys/${id}`],
    ["PATCH", `/v1/keys/${id}`, { name: "too late" }],
    ["DELETE", `/v1/keys/${id}`],
    ["GET", `/v1/keys/${id}/events`],
    ["GET", "/v1/api_key"],
    ["POST", "/v1/api_key", { name: "too late" }],
    ["GET", `/v1/api_key/${id}`],
    ["DELETE", `/v1/api_key/${id}`],
  ];
  for (const [method, path, body] of routes) {
    await b.advance(60_000);
    const key = await warmKey({ scopes: ["api-keys:*"] });
    await revoke(key);
    assert.equal((await verify(b, owner, key.key)).json.source, "memory");
    const answer = await call(b, method, path, { key: key.key, body });
    assert.deepEqual([answer.status, answer.code], [401, "key_revoked"], `${method} ${path}`);
  }
  assert.equal((await call(a, "GET", `/v1/keys/${id}`, { key: owner })).json.status, "active");
  assert.deepEqual(await rows(app, "SELECT id FROM keys WHERE name = 'too late'"), []);

  const key = await warmKey();
  await revoke(key);
  assert.equal((await verify(b, owner, key.key)).json.valid, true);
  assert.equal((await verify(b, owner, key.key, { freshness: "strong" })).json.code, "key_revoked");
});

test("while D1 is down, warm keys pass until the 5 seconds are over; then 503 until it is back", async () => {
  const key = await warmKey();
  const at = await b.now();
  await b.logs();
  await b.fail("DB.batch", lost);
  assertUnavailable(await verify(b, owner, key.key, { freshness: "strong" }));
  const other = (await create(a, owner)).key;
  assertUnavailable(await verify(b, owner, other));
  await b.setClock(at + MAX_STALENESS_MS - 1_000);
  assert.equal((await verify(b, owner, key.key)).json.valid, true);
  await b.setClock(at + MAX_STALENESS_MS + 1);
  assertUnavailable(await verify(b, owner, key.key));
  assertUnavailable(await call(b, "GET", "/v1/keys/self", { key: key.key }));
  const [first] = (await b.logs()).filter(({ level }) => level === "error");
  assert.match(first.message, /^POST \/v1\/keys\/verify failed: D1_ERROR: Network connection lost\. \(request \S+\)$/);
  await b.heal();
  assert.equal((await verify(b, owner, key.key)).json.valid, true);
  assert.equal((await verify(b, owner, other)).json.valid, true);
});

test("while KV is down, or holds rubbish, D1 answers; KV is filled and read again when it is back", async () => {
  await call(b, "GET", "/v1/scopes", { key: owner });
  for (const name of ["CACHE.get", "CACHE.put"]) await b.fail(name, { times: 1_000_000, message: "KV GET failed: 500" });
  const source = async (isolate, { key }) => (await verify(isolate, owner, key)).json.source;
  assert.equal(await source(b, await create(a, owner)), "d1");
  await b.io();
  await b.heal();
  const made = await create(a, owner);
  assert.equal(await source(b, made), "d1");
  await b.io();
  await call(a, "GET", "/v1/scopes", { key: owner });
  assert.equal(await source(a, made), "kv");

  const other = await create(a, owner);
  await app.kv.put(await cacheName(app, other.id), '{"seq":', { expirationTtl: 60 });
  assert.equal(await source(b, other), "d1");
});
