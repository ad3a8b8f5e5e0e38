// What rotation, numbers, last uses and projects ask of the real D1: swapped columns, RETURNING, json_each.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { bootstrap, call, create, rows, verify } from "./client.mjs";
import { start } from "./harness.mjs";

const MINUTE = 60_000;

let app;
let a;
let b;
let owner;
before(async () => {
  app = await start({ isolates: 2 });
  [a, b] = app.isolates;
  owner = (await bootstrap(a)).json.key;
});
after(() => app.close());
// The clocks agree when a test begins, every feed is too old, and every isolate may write what it gathered.
beforeEach(async () => app.setClock((await a.now()) + MINUTE));

const path = ({ id }) => `/v1/keys/${id}`;
const get = async (key) => (await call(a, "GET", path(key), { key: owner })).json;
const code = async (isolate, key) => (await verify(isolate, owner, key)).json.code;

async function rotate(key, fields = { grace_period_seconds: 3600 }) {
  const answer = await call(a, "POST", `${path(key)}/rotate`, { key: owner, body: fields });
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
  return answer.json;
}

const end = (key, how) => call(a, "POST", `${path(key)}/rotate/${how}`, { key: owner });

// The columns of a key's secrets as they stand in the database.
async function secrets({ id }) {
  const columns = "digest, pepper_version, start, last4, last_used_at";
  const outgoing = columns.split(", ").map((name) => `outgoing_${name}`).join(", ");
  const [current] = await rows(app, `SELECT ${columns} FROM keys WHERE id = ?1`, id);
  const [other] = await rows(app, `SELECT ${outgoing}, outgoing_uses, rotates_at FROM keys WHERE id = ?1`, id);
  return [current, Object.values(other)];
}

const NONE = [null, null, null, null, null, 0, null];

test("a rotation moves the secret aside, a cancelled one moves it back, and a finished one forgets it", async () => {
  const made = await create(a, owner);
  assert.equal((await call(a, "GET", "/v1/keys/self", { key: made.key })).status, 200);
  await a.io();
  const [before] = await secrets(made);

  const first = await rotate(made);
  const [during, aside] = await secrets(made);
  assert.deepEqual(aside, [...Object.values(before), 0, Date.parse(first.rotation.rotates_at)]);
  assert.notEqual(during.digest, before.digest);
  assert.equal(during.last_used_at, null);
  assert.deepEqual(await Promise.all([made.key, first.key].map((key) => code(b, key))), ["valid", "valid"]);

  const cancelled = await end(made, "cancel");
  assert.deepEqual([cancelled.status, cancelled.json.rotation, cancelled.json.preview], [200, null, made.preview]);
  assert.deepEqual(await secrets(made), [before, NONE]);
  assert.deepEqual([await code(a, made.key), await code(a, first.key)], ["valid", "key_rotated"]);

  const second = await rotate(made);
  const finished = await end(made, "finish");
  assert.deepEqual([finished.status, finished.json.rotation, finished.json.preview], [200, null, second.preview]);
  assert.deepEqual((await secrets(made))[1], NONE);
  assert.deepEqual([await code(a, made.key), await code(a, second.key)], ["key_rotated", "valid"]);
  for (const how of ["cancel", "finish"]) {
    const late = await end(made, how);
    assert.deepEqual([late.status, late.code], [409, "no_rotation"]);
  }

  // The other isolate has both secrets of the first rotation in memory, and hears of it in time.
  await b.advance(6_000);
  assert.deepEqual(await Promise.all([made.key, first.key, second.key].map((key) => code(b, key))), ["key_rotated", "key_rotated", "valid"]);
  const { json } = await call(a, "GET", `${path(made)}/events`, { key: owner });
  const done = json.items.filter((event) => event.refusal === null);
  assert.deepEqual(done.map((event) => event.action), ["key.rotation_finished", "key.rotated", "key.rotation_cancelled", "key.rotated", "key.created"]);
});

test("the outgoing secret ends at its instant in every isolate, also while D1 is down and no sweep has come by", async () => {
  const made = await create(a, owner);
  const rotated = await rotate(made, { grace_period_seconds: 3 });
  for (const key of [made.key, rotated.key]) assert.equal(await code(b, key), "valid");
  await b.fail("DB.batch", { times: 1_000_000, message: "D1_ERROR: Network connection lost." });
  await b.setClock(Date.parse(rotated.rotation.rotates_at) - 500);
  assert.equal(await code(b, made.key), "valid");
  await b.setClock(Date.parse(rotated.rotation.rotates_at));
  assert.deepEqual([await code(b, made.key), await code(b, rotated.key)], ["key_rotated", "valid"]);
  await b.heal();

  await app.advance(MINUTE);
  await a.scheduled("*/5 * * * *");
  assert.deepEqual((await secrets(made))[1], NONE, "the sweep ends the rotation");
  assert.deepEqual([await code(b, made.key), await code(b, rotated.key)], ["key_rotated", "valid"]);
});

test("20 keys made at once, in two isolates, have 20 numbers without a gap", async () => {
  const path = "/v2/organization/api-keys";
  const [{ last }] = await rows(app, "SELECT max(number) AS last FROM keys");
  const made = await Promise.all(Array.from({ length: 20 }, (_, n) => call(app.isolates[n % 2], "POST", path, { key: owner, body: { name: "n" } })));
  assert.deepEqual(made.map(({ status }) => status), Array(20).fill(200));
  const numbers = made.map(({ json }) => json.data.id).sort((x, y) => x - y);
  assert.deepEqual(numbers, Array.from({ length: 20 }, (_, n) => last + 1 + n));
});

test("what was used is written a minute later, of both secrets, for a thousand uses at once", async () => {
  const made = await create(a, owner);
  const { key } = await rotate(made);
  const use = async (key) => assert.equal((await call(a, "GET", "/v1/scopes", { key })).status, 200);
  // Reads both keys, and lets the minute begin.
  for (const text of [made.key, key]) await use(text);
  await a.advance(MINUTE);
  await use(owner);
  await a.io();
  const [first, from] = [await get(made), await a.now()];
  for (let n = 0; n < 7; n += 1) await use(made.key);
  await use(key);
  for (let n = 0; n < 40; n += 1) {
    await Promise.all(Array.from({ length: 25 }, () => verify(a, owner, key)));
  }
  const to = await a.now();
  assert.ok(to - from < MINUTE, "this machine is too slow for this test");
  assert.equal((await a.io()).rows_written, 0, "the minute is not over");

  await a.advance(MINUTE);
  await use(owner);
  // Three secrets, of which two are of one key: the row of each key, twice that of the one, and each key's day.
  const { rows_written, calls } = await a.io();
  assert.ok(calls.includes("DB.batch(3)"), calls.join());
  assert.ok(rows_written > 0 && rows_written <= 6, `${rows_written} rows written`);
  const shown = await get(made);
  assert.equal(shown.rotation.outgoing_uses, first.rotation.outgoing_uses + 7);
  for (const text of [shown.last_used_at, shown.rotation.outgoing_last_used_at]) {
    assert.ok(Date.parse(text) >= from && Date.parse(text) <= to, text);
  }
  assert.equal(shown.updated_at, first.updated_at, "a use is no change");
});

test("a project that is deleted ends its keys in an isolate that has them in memory", async () => {
  const send = async (method, path, body) => (await call(a, method, `/confident/v1/projects${path}`, { key: owner, body })).json.data;
  const { project, apiKey } = await send("POST", "", { name: "p" });
  const second = (await send("POST", `/${project.id}/api-keys`, { name: "second" })).apiKey;
  for (const { value } of [apiKey, second]) {
    assert.equal(await code(b, value), "valid");
    assert.equal((await verify(b, owner, value)).json.source, "memory");
  }
  const [{ before }] = await rows(app, "SELECT max(seq) AS before FROM changes");
  assert.deepEqual(await send("DELETE", `/${project.id}`), { id: project.id, deleted: true });
  assert.deepEqual(await rows(app, "SELECT subject FROM changes WHERE seq > ?1", before), [{ subject: project.id }], "one change for all its keys");
  await b.advance(5_001);
  for (const { value } of [apiKey, second]) {
    assert.equal(await code(b, value), "project_deleted");
    assert.equal((await call(b, "GET", "/v1/keys/self", { key: value })).status, 401);
  }
});
