// The holder of the feed, a Durable Object that isolates share: what they ask it, and what happens when it fails. It runs
// beside the first isolate, with that one's clock and database.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, call, create, verify } from "./client.mjs";
import { start } from "./harness.mjs";

const BOUND_MS = 5_000;

let app;
let a;
let b;
let owner;
let made;
before(async () => {
  app = await start({ isolates: 2, holder: true });
  [a, b] = app.isolates;
  owner = (await bootstrap(a)).json.key;
  made = await create(a, owner);
  // KV holds both keys from here on.
  for (const key of [owner, made.key]) await verify(a, owner, key);
});
after(() => app.close());

// What a verification by `b` says, and the calls that it took.
async function ask(key = made.key) {
  await b.io();
  const { status, json } = await verify(b, owner, key);
  const { calls } = await b.io();
  return { status, ...json, calls: calls.map((name) => name.split(" ")[0]) };
}

test("a new isolate reads the feed from the holder and the keys from KV or D1", async () => {
  const first = await ask();
  assert.equal(first.valid, true);
  assert.equal(first.calls[0], "FEED_HOLDER.fetch");
  assert.ok(first.calls.filter((name) => name === "FEED_HOLDER.fetch").length === 1, String(first.calls));
  const second = await ask();
  assert.deepEqual([second.source, second.waited_for, second.calls], ["memory", null, []]);
});

test("an isolate that was idle waits for the holder and not for D1", async () => {
  await app.advance(60_000);
  await verify(a, owner, made.key);
  await b.fail("DB.batch", { times: 100, message: "D1_ERROR: Network connection lost." });
  const { valid, source, waited_for, age_ms, calls } = await ask();
  await b.heal();
  assert.deepEqual([valid, source, waited_for, calls.includes("FEED_HOLDER.fetch")], [true, "memory", "holder", true]);
  assert.ok(age_ms < BOUND_MS, `${age_ms}`);
});

test("a revocation reaches an isolate through the holder within the bound", async () => {
  const key = await create(a, owner);
  assert.equal((await ask(key.key)).valid, true);
  assert.equal((await call(a, "DELETE", `/v1/keys/${key.id}`, { key: owner })).status, 200);
  await b.fail("DB.batch", { times: 100, message: "D1_ERROR: Network connection lost." });
  await app.advance(BOUND_MS + 1);
  // The feed comes from the holder, which knows of the change, and the row has to come from D1, which `b` cannot reach.
  assert.equal((await ask(key.key)).status, 503);
  await b.heal();
  assert.equal((await ask(key.key)).code, "key_revoked");
});

test("a holder that fails or is slow costs a question to D1", async () => {
  for (const fault of [{ message: "the holder is gone" }, { delay: 2_000 }]) {
    await app.advance(60_000);
    await b.fail("FEED_HOLDER.fetch", { times: 1, ...fault });
    const { valid, waited_for, calls } = await ask();
    await b.heal();
    assert.deepEqual([valid, waited_for, calls.includes("DB.batch(3)")], [true, "d1", true], JSON.stringify(fault));
    assert.ok((await b.logs()).some(({ message }) => message.includes("the holder of the feed")));
  }
});

test("the holder reads the feed by itself while it is used, and stops when it is not", async () => {
  await app.advance(60_000);
  await ask();
  const polls = async () => (await a.io()).calls.filter((name) => name === "DB.batch(1)").length;
  const until = async (enough) => {
    let seen = 0;
    for (let tries = 0; tries < 100 && !enough(seen); tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      seen += await polls();
    }
    return seen;
  };
  assert.ok((await until((seen) => seen >= 2)) >= 2);
  await app.advance(61_000);
  // One more alarm finds that nobody has asked, and sets no other.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  await polls();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  assert.equal(await polls(), 0);
  assert.equal((await ask()).valid, true);
});

test("a deployment with read replicas asks through the Sessions API, and the primary's word is final", async () => {
  const other = await start({ holder: true, vars: { READ_REPLICAS: "1" } });
  try {
    const { key } = (await bootstrap(other)).json;
    const { key: second } = await create(other, key);
    const { valid, source, waited_for } = (await verify(other, key, second)).json;
    // workerd has no replicas here, so the primary answers in their place.
    assert.deepEqual([valid, source, waited_for], [true, "d1", "d1"]);
    assert.equal((await verify(other, key, second)).json.source, "memory");
    await other.io();
    assert.equal((await verify(other, key, "bit_pat_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1t0B34")).json.code, "invalid_api_key");
    const { calls } = await other.io();
    assert.equal(calls.filter((name) => name.startsWith("DB.batch")).length, 1, "nobody is asked twice");
  } finally {
    await other.close();
  }
});

test("a stranger cannot reach the holder", async () => {
  for (const path of ["/?since=0", "https://holder/?since=0"]) {
    const response = await fetch(new URL(path.startsWith("/") ? path : "/?since=0", b.url), { redirect: "manual" });
    assert.notEqual(response.headers.get("content-type"), "application/json", "it answers isolates alone");
  }
});
