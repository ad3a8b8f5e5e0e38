// Rate limits, as far as only workerd can tell: the bindings count, and what is beyond asks nothing.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { crc32 } from "node:zlib";
import { bootstrap, create } from "./client.mjs";
import { start } from "./harness.mjs";

let app;
let first;
before(async () => {
  app = await start();
  first = (await bootstrap(app)).json;
});
after(() => app.close());

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// A well-formed key that nobody has.
function unknown(number) {
  const text = `bit_pat_${String(number).padStart(43, "0")}`;
  let rest = crc32(text);
  let sum = "";
  for (let digit = 0; digit < 6; digit += 1) {
    sum = DIGITS[rest % 62] + sum;
    rest = Math.floor(rest / 62);
  }
  return text + sum;
}

const ask = (address, key) =>
  app.fetch("/v1/keys/self", { headers: { "cf-connecting-ip": address, authorization: `Bearer ${key}` } });

// The limits count from the beginning of a minute.
async function minute() {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 20_000) await new Promise((resolve) => setTimeout(resolve, left));
}

test("whoever guesses keys is told to wait, and nobody else is", async () => {
  const { key } = await create(app, first.key);
  await minute();
  assert.equal((await ask("2001:db8:1:2::1", first.key)).status, 200);
  const statuses = [];
  for (let number = 0; number < 70; number += 1) {
    const answer = await ask(`2001:db8:1:2::${number}`, unknown(number));
    statuses.push(answer.status);
    if (answer.status === 429) {
      assert.deepEqual([answer.headers.get("retry-after"), (await answer.json()).error.code], ["60", "rate_limited"]);
    }
  }
  // The guess beyond the limit is counted behind its answer.
  assert.deepEqual(statuses.slice(0, 61), Array(61).fill(401));
  assert.deepEqual(statuses.slice(-5), Array(5).fill(429));
  // The isolate knows the first key; the other is new to it.
  assert.equal((await ask("2001:db8:1:2::1", first.key)).status, 200);
  assert.equal((await ask("2001:db8:1:2::1", key)).status, 429);
  assert.equal((await ask("2001:db8:1:3::1", key)).status, 200);
  assert.doesNotMatch(JSON.stringify(await app.logs()), /are not counted/);
});

test("a guess asks KV and D1 once each, and beyond the limit nothing", async () => {
  await minute();
  await ask("192.0.2.7", first.key);
  const asked = async (from, to) => {
    await app.io();
    for (let number = from; number < to; number += 1) await ask("192.0.2.7", unknown(number));
    const { d1_calls, rows_read, rows_written, kv_gets, kv_puts } = await app.io();
    return { d1_calls, rows_read, rows_written, kv_gets, kv_puts };
  };
  // docs/src/cost.md has the price of it.
  assert.deepEqual(await asked(1_000, 1_050), { d1_calls: 50, rows_read: 350, rows_written: 0, kv_gets: 50, kv_puts: 0 });
  await asked(1_050, 1_065);
  assert.deepEqual(await asked(1_065, 1_165), { d1_calls: 0, rows_read: 0, rows_written: 0, kv_gets: 0, kv_puts: 0 });
});
