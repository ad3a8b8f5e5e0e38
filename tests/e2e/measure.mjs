// Prints what the Worker asks of D1 and KV, how large it is, and what memory saves.
// Counts are exact and the same on every machine; of times only the ratio is worth anything.
//
//   node tests/e2e/measure.mjs
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { bootstrap, call, create, verify } from "./client.mjs";
import { crowd } from "./crowd.mjs";
import { start } from "./harness.mjs";

const app = await start({ isolates: 3 });
const [a, b, c] = app.isolates;
const owner = (await bootstrap(a)).json.key;
await crowd(app, { total: 100_000, expired: 1_000 });
const table = {};

// `a` is warm: it has the caller and a fresh feed. The others serve their first request, behind which they
// write what was used, as every isolate does once a minute.
async function measure(name, isolate, action) {
  if (isolate === a) await call(a, "GET", "/v1/scopes", { key: owner });
  await isolate.io();
  const result = await action();
  const { d1_calls, statements, rows_read, rows_written, kv_gets, kv_puts } = await isolate.io();
  table[name] = { "D1 calls": d1_calls, statements, "rows read": rows_read, "rows written": rows_written, "KV gets": kv_gets, "KV puts": kv_puts };
  return result;
}

const made = await measure("create", a, () => create(a, owner));
await measure("verify, new key in a warm isolate", a, () => verify(a, owner, made.key));
await measure("verify, warm", a, () => verify(a, owner, made.key));
await measure("verify, freshness: strong", a, () => verify(a, owner, made.key, { freshness: "strong" }));
// A new isolate reads two keys: the caller's and the one that is asked about.
const other = await create(a, owner);
await measure("verify, new isolate, KV empty", b, () => verify(b, owner, other.key));
await measure("verify, new isolate, KV filled", c, () => verify(c, owner, made.key));
await b.advance(60_000);
await measure("verify, a minute later, 2 last uses written", b, () => verify(b, owner, other.key));
await measure("list, a page of 100", a, () => call(a, "GET", "/v1/keys?limit=100", { key: owner }));
await measure("revoke", a, () => call(a, "DELETE", `/v1/keys/${made.id}`, { key: owner }));
await measure("sweep, 1,000 expired among 100,000", a, () => a.scheduled("*/5 * * * *"));
await measure("sweep, nothing to do", a, () => a.scheduled("*/5 * * * *"));
console.table(table);

const wasm = readFileSync(new URL("../../build/index_bg.wasm", import.meta.url));
console.log(`wasm: ${wasm.length} bytes, ${gzipSync(wasm).length} gzipped`);

// Both kinds of request take turns, so that whatever else this machine does slows both down.
const { key } = await create(a, owner);
await verify(a, owner, key);
async function round(fields) {
  const from = performance.now();
  for (let n = 0; n < 100; n += 1) await verify(a, owner, key, fields);
  return performance.now() - from;
}
const ratios = [];
for (let n = 0; n < 15; n += 1) {
  const warm = await round({});
  ratios.push((await round({ freshness: "strong" })) / warm);
}
const [least, median, most] = [0, 7, 14].map((n) => ratios.sort((x, y) => x - y)[n].toFixed(2));
console.log(`a verification that asks D1 takes ${median} times as long as a warm one (15 rounds: ${least} to ${most}), with local storage`);
await app.close();
