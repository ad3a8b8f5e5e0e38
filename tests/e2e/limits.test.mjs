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

test("whoever guesses keys is told to wait, and nobody else is", async () => {
  const { key } = await create(app, first.key);
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 20_000) await new Promise((resolve) => setTimeout(resolve, left));
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
