// The life of a key over HTTP, and the glue between Rust and the real D1 and KV.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { assertUnavailable, beginMinute, bootstrap, cacheName, call, counts, create, rows, verify } from "./client.mjs";
import { OPERATOR_SECRET, start } from "./harness.mjs";

let app;
let owner;
before(async () => (app = await start()));
after(() => app.close());

test("two bootstraps at the same time: one makes the first key, the other leaves nothing behind", async () => {
  const answers = await Promise.all([bootstrap(app), bootstrap(app)]);
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, 409]);
  const one = { organizations: 1, users: 1, memberships: 1, keys: 1, audit_events: 1, changes: 1 };
  assert.deepEqual(await counts(app), one);
  const late = await bootstrap(app);
  assert.deepEqual([late.status, late.code, late.headers.get("x-should-retry")], [409, "already_bootstrapped", "false"]);
  assert.deepEqual(await counts(app), one);
  owner = answers.find((answer) => answer.status === 201).json.key;
});

test("a key is made, used, changed, switched off and on, listed, revoked and refused", async () => {
  const made = await create(app, owner, { name: "ci", scopes: ["api-keys:read"], expires_in_days: 30 });
  assert.match(made.key, /^bit_pat_[0-9A-Za-z]{49}$/);
  const path = `/v1/keys/${made.id}`;
  const self = await call(app, "GET", "/v1/keys/self", { key: made.key });
  const { key: _, ...shown } = made;
  assert.deepEqual([self.status, self.json], [200, shown]);
  assert.equal((await verify(app, owner, made.key, { scopes: ["api-keys:read"] })).json.code, "valid");
  assert.equal((await verify(app, owner, made.key, { scopes: ["datasets:read"] })).json.code, "insufficient_scope");

  const denied = await call(app, "POST", "/v1/keys", { key: made.key, body: { name: "more", scopes: [] } });
  assert.deepEqual([denied.status, denied.code], [403, "insufficient_scope"]);
  assert.equal(denied.json.detail, "Insufficient API key scopes. Required: ['api-keys:write']");

  const change = async (body) => assert.equal((await call(app, "PATCH", path, { key: owner, body })).status, 200);
  await change({ name: "ci 2", enabled: false });
  const disabled = await call(app, "GET", "/v1/keys/self", { key: made.key });
  assert.deepEqual([disabled.status, disabled.code], [401, "key_disabled"]);
  await change({ enabled: true });
  assert.equal((await call(app, "GET", "/v1/keys/self", { key: made.key })).json.name, "ci 2");

  const named = await call(app, "GET", "/v1/keys?name=ci%202", { key: owner });
  assert.deepEqual(named.json.items.map((key) => key.id), [made.id]);

  const revoked = await call(app, "DELETE", path, { key: owner });
  assert.deepEqual([revoked.status, revoked.json.status, revoked.json.max_staleness_ms], [200, "revoked", 5000]);
  const refused = await call(app, "GET", "/v1/keys/self", { key: made.key });
  assert.deepEqual([refused.status, refused.code], [401, "key_revoked"]);
  assert.match(refused.headers.get("www-authenticate"), /^Bearer .*error="invalid_token"/);
  assert.deepEqual((await call(app, "GET", "/v1/keys?name=ci%202", { key: owner })).json.items, []);

  await app.io();
  const { json } = await call(app, "GET", `${path}/events`, { key: owner });
  const actions = json.items.map((event) => event.action);
  assert.deepEqual(actions, ["refused", "key.revoked", "key.updated", "refused", "key.updated", "key.created"]);
});

test("names, metadata, NULLs and instants beyond 32 bits come back from D1 as they were sent", async () => {
  const names = ["<img src=x onerror=alert(1)>", "🔑 Ключ 鍵 e\u0301 👩‍👩‍👧", "'; DROP TABLE keys; --", "?1 ?2 \\ \" %"];
  const metadata = { nested: { list: [1, -2.5, true, null, "é"], empty: {} }, big: 9007199254740991, "<b>": "\u0000\u2028" };
  for (const name of names) {
    const made = await create(app, owner, { name, metadata, expires_at: "9999-12-31T23:59:59.999Z", kind: "org", scopes: [] });
    const { json } = await call(app, "GET", `/v1/keys/${made.id}`, { key: owner });
    assert.deepEqual([json.name, json.metadata, json.scopes], [name, metadata, []]);
    assert.deepEqual([json.expires_at, json.user_id, json.disabled_at, json.revoked_at], ["9999-12-31T23:59:59.999Z", null, null, null]);
    const list = await call(app, "GET", `/v1/keys?name=${encodeURIComponent(name)}`, { key: owner });
    assert.deepEqual(list.json.items, [json]);
  }
  const [row] = await rows(app, "SELECT typeof(expires_at) AS type, expires_at, user_id FROM keys WHERE name = ?1", names[0]);
  assert.deepEqual(row, { type: "integer", expires_at: 253402300799999, user_id: null });
});

test("a change answers with the row as UPDATE … RETURNING gives it, NULLs set and cleared", async () => {
  const made = await create(app, owner, { expires_in_days: 1, metadata: { a: 1 } });
  const change = async (body) => (await call(app, "PATCH", `/v1/keys/${made.id}`, { key: owner, body })).json;
  const changed = await change({ name: "🔑", expires_at: null, scopes: [], metadata: { b: null }, enabled: false });
  assert.deepEqual([changed.name, changed.expires_at, changed.scopes, changed.metadata, changed.status], ["🔑", null, [], { b: null }, "disabled"]);
  assert.ok(Date.parse(changed.disabled_at) > Date.parse(made.created_at));
  const again = await change({ enabled: true, expires_at: "2040-01-01" });
  assert.deepEqual([again.name, again.expires_at, again.disabled_at], ["🔑", "2040-01-01T00:00:00.000Z", null]);
  assert.deepEqual((await call(app, "GET", `/v1/keys/${made.id}`, { key: owner })).json, again);
});

test("pages of a list join without a gap in both directions, also over a revoked cursor", async () => {
  const made = [];
  for (let n = 0; n < 7; n += 1) made.unshift((await create(app, owner, { name: "paged" })).id);
  const page = async (query) => (await call(app, "GET", `/v1/keys?name=paged&limit=3${query}`, { key: owner })).json;
  const ids = ({ items }) => items.map((key) => key.id);
  const first = await page("");
  const second = await page(`&starting_after=${made[2]}`);
  const third = await page(`&starting_after=${made[5]}`);
  assert.deepEqual([ids(first), ids(second), ids(third)], [made.slice(0, 3), made.slice(3, 6), made.slice(6)]);
  assert.deepEqual([first.has_more, second.has_more, third.has_more], [true, true, false]);
  assert.deepEqual(ids(await page(`&ending_before=${made[6]}`)), made.slice(3, 6));
  assert.deepEqual(ids(await page(`&ending_before=${made[3]}`)), made.slice(0, 3));
  await call(app, "DELETE", `/v1/keys/${made[2]}`, { key: owner });
  assert.deepEqual(ids(await page(`&starting_after=${made[2]}`)), made.slice(3, 6));
});

test("a caller revoked behind a warm memory is refused by the guard, and nothing is written", async () => {
  const caller = await create(app, owner, { scopes: ["api-keys:write"] });
  const warm = () => call(app, "GET", "/v1/scopes", { key: caller.key });
  assert.equal((await warm()).status, 200);
  await rows(app, "UPDATE keys SET revoked_at = ?1 WHERE id = ?2", Date.now(), caller.id);
  const was = await counts(app);
  assert.equal((await warm()).status, 200, "the memory is still warm, or this test shows nothing");
  const refused = await call(app, "POST", "/v1/keys", { key: caller.key, body: { name: "late", scopes: [] } });
  assert.deepEqual([refused.status, refused.code], [401, "key_revoked"]);
  await app.io();
  assert.deepEqual(await counts(app), { ...was, audit_events: was.audit_events + 1 }, "but that it was refused");
});

test("a caller that was only renamed behind a warm memory passes the guard at the second attempt, once", async () => {
  const caller = await create(app, owner, { scopes: ["api-keys:write"] });
  await beginMinute(app, owner);
  await call(app, "GET", "/v1/scopes", { key: caller.key });
  await rows(app, "UPDATE keys SET name = 'renamed' WHERE id = ?1", caller.id);
  await app.io();
  await create(app, caller.key, { name: "after a rename", scopes: [] });
  assert.deepEqual((await app.io()).calls, ["DB.batch(4)", "DB.batch(2)", "DB.batch(4)"]);
  assert.equal((await rows(app, "SELECT id FROM keys WHERE name = 'after a rename'")).length, 1);
});

test("a batch whose last statement fails is rolled back whole", async () => {
  const { id } = await create(app, owner);
  const was = await counts(app);
  const broken = async (table, action) => {
    await rows(app, `CREATE TRIGGER broken BEFORE INSERT ON ${table} BEGIN SELECT raise(ABORT, 'the disk is full'); END`);
    assertUnavailable(await action());
    await rows(app, "DROP TRIGGER broken");
  };
  await broken("audit_events", () => call(app, "POST", "/v1/keys", { key: owner, body: { name: "half", scopes: [] } }));
  await broken("audit_events", () => call(app, "DELETE", `/v1/keys/${id}`, { key: owner }));
  await broken("changes", () => call(app, "DELETE", `/v1/keys/${id}`, { key: owner }));
  assert.deepEqual(await counts(app), was);
  assert.equal((await call(app, "GET", `/v1/keys/${id}`, { key: owner })).json.status, "active");
});

test("a create that D1 does not answer is 503: nothing is left if the batch was lost, all of it if the answer was", async () => {
  const made = (name) => call(app, "POST", "/v1/keys", { key: owner, body: { name, scopes: [] } });
  const message = "D1_ERROR: Network connection lost.";
  const was = await counts(app);
  await app.fail("DB.batch", { message });
  assertUnavailable(await made("lost"));
  assert.deepEqual(await counts(app), was);
  await app.fail("DB.batch", { message, after: true });
  assertUnavailable(await made("unanswered"));
  assert.deepEqual(await counts(app), { ...was, keys: was.keys + 1, audit_events: was.audit_events + 1 });
});

test("KV gets a snapshot after a miss under a fresh feed, with an expiry, and then is asked no more", async () => {
  const made = await create(app, owner);
  await beginMinute(app, owner);
  assert.equal((await verify(app, owner, made.key)).json.source, "d1");
  const name = await cacheName(app, made.id);
  assert.deepEqual((await app.io()).calls, [`CACHE.get ${name}`, "DB.batch(2)", `CACHE.put ${name}`]);
  const { keys } = await app.kv.list({ prefix: name });
  const lifetime = keys[0].expiration - Date.now() / 1000;
  assert.ok(lifetime > 3600 && lifetime <= 86_400, `${lifetime} s`);
  const value = await app.kv.get(name);
  assert.equal(JSON.parse(value.slice(64)).key_id, made.id, "behind its MAC");
  assert.equal((await verify(app, owner, made.key)).json.source, "memory");
  assert.deepEqual((await app.io()).calls, []);
});

test("what each route asks of D1 and KV is one batch, and nothing when it is warm", async () => {
  const { key } = await create(app, owner);
  await beginMinute(app, owner);
  await verify(app, owner, key);
  const io = async (action) => {
    await app.io();
    await action();
    const { d1_calls, kv_gets, kv_puts } = await app.io();
    return [d1_calls, kv_gets, kv_puts];
  };
  assert.deepEqual(await io(() => verify(app, owner, key)), [0, 0, 0]);
  assert.deepEqual(await io(() => verify(app, owner, key, { freshness: "strong" })), [1, 0, 0]);
  assert.deepEqual(await io(() => verify(app, owner, `${key.slice(0, -1)}-`)), [0, 0, 0]);
  assert.deepEqual(await io(() => call(app, "GET", "/v1/scopes", { key: owner })), [0, 0, 0]);
  assert.deepEqual(await io(() => create(app, owner)), [1, 0, 0]);
  assert.deepEqual(await io(() => call(app, "GET", "/v1/keys", { key: owner })), [1, 0, 0]);
});

test("1,000 warm verifications in a minute write nothing, and read no more than the feed, every few seconds", async () => {
  const { key } = await create(app, owner);
  await beginMinute(app, owner);
  await verify(app, owner, key);
  await app.io();
  for (let round = 0; round < 10; round += 1) {
    const answers = await Promise.all(Array.from({ length: 100 }, () => verify(app, owner, key)));
    assert.ok(answers.every((answer) => answer.json.valid));
  }
  const { d1_calls, statements, rows_written, kv_gets, kv_puts } = await app.io();
  assert.deepEqual({ rows_written, kv_gets, kv_puts }, { rows_written: 0, kv_gets: 0, kv_puts: 0 });
  assert.ok(statements === d1_calls && d1_calls <= 8, `${d1_calls} calls, ${statements} statements`);
});

// This stands at the end, so that it also sees what all tests above have left.
test("no key's text, nor its secret, nor the operator's secret stands in D1, KV or a log, whatever was called", async () => {
  const by = (await create(app, owner, { scopes: ["api-keys:*"] })).key;
  const { key, id } = await create(app, owner);
  const braintrust = (await call(app, "POST", "/v1/api_key", { key: owner, body: { name: "b" } })).json;
  // A mistake that people make: the key where its id belongs. The log must not keep it.
  const paths = [id, key].flatMap((id) => [`/v1/keys/${id}`, `/v1/keys/${id}/events`, `/v1/api_key/${id}`, `/braintrust/v1/api_key/${id}`]);
  paths.push("/v1/scopes", "/v1/keys", "/v1/keys/self", "/v1/keys/verify", "/v1/api_key", "/v1/bootstrap", `/${key}`, `/v1/keys?id=${key}`, `/v1/keys?prefix=${key}`);
  const bodies = [{ key }, { key, scopes: [key] }, { [key]: key }, { name: 5, scopes: key }, key];
  const everything = async () => {
    for (const path of paths) {
      const requests = [["GET"], ["DELETE"], ["PATCH", { name: "n" }], ...bodies.map((body) => ["POST", body])];
      await Promise.all(requests.map(([method, body]) => call(app, method, path, { key: by, body })));
    }
    await bootstrap(app);
    for (const text of [key, `${key}x`, OPERATOR_SECRET]) {
      await call(app, "GET", "/v1/keys/self", { key: text });
      await verify(app, owner, text);
    }
  };
  await everything();
  // Once more with every call to storage failing, in a new isolate's state: a feed that is too old.
  await app.advance(60_000);
  for (const name of ["DB.batch", "CACHE.get", "CACHE.put"]) await app.fail(name, { times: 1_000_000, message: "down" });
  await everything();
  await app.heal();
  await app.fail("Date.now", { message: "a trap in the middle of a request" });
  await app.fetch("/v1/keys/self", { headers: { authorization: `Bearer ${by}` } });
  await app.io();

  const texts = new Map([["logs", JSON.stringify(await app.logs())], ["workerd's log", JSON.stringify(app.runtime)]]);
  for (const { name } of await rows(app, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")) {
    texts.set(name, JSON.stringify(await rows(app, `SELECT * FROM ${name}`)));
  }
  for (const { name } of (await app.kv.list()).keys) texts.set(name, name + (await app.kv.get(name)));
  assert.match(texts.get("keys"), new RegExp(id), "the dump has what it should");
  assert.match(texts.get("logs"), /down/, "the log has what it should");
  assert.ok([...texts.keys()].some((name) => name.startsWith("snapshot:")), "the cache has what it should");
  for (const [place, text] of texts) {
    for (const secret of [owner, by, key, braintrust.key].map((key) => key.slice(-49, -6)).concat(OPERATOR_SECRET)) {
      const at = text.indexOf(secret);
      assert.equal(at, -1, `a secret stands in ${place}: …${text.slice(Math.max(0, at - 300), at + 60)}…`);
    }
  }
});

test("the Worker stays below its budget of bytes after gzip", () => {
  const bytes = gzipSync(readFileSync(new URL("../../build/index_bg.wasm", import.meta.url))).length;
  assert.ok(bytes < 1_430_000, `${bytes} bytes`);
});
