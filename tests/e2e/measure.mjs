// Prints what the Worker asks of D1 and KV, how large it is, what memory saves, and what a large data set takes.
// Counts are exact and the same on every machine; of times only the ratio is worth anything.
//
//   node tests/e2e/measure.mjs
import { readFileSync, writeFileSync } from "node:fs";
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

// A large data set, in time and in memory of workerd, which holds the local D1 and KV as well.
const row = (number) => `question ${number},${"an answer ".repeat(3)}${number},pass\n`;
const csv = `question,answer,verdict\n${Array.from({ length: 100_000 }, (_, number) => row(number)).join("")}`;
const authorization = `Bearer ${owner}`;
const workerd = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
const megabytes = (field) =>
  workerd.map((pid) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024).reduce((sum, each) => sum + each);
const took = {};
async function large(name, action) {
  for (const pid of workerd) writeFileSync(`/proc/${pid}/clear_refs`, "5"); // Its peak from now on.
  const [before, from] = [megabytes("VmRSS"), performance.now()];
  const result = await measure(name, a, action);
  took[name] = { seconds: ((performance.now() - from) / 1000).toFixed(1), "MB more at most": Math.round(megabytes("VmHWM") - before) };
  return result;
}
const dataset = await large("upload, 100,000 rows", async () => {
  const response = await a.fetch("/api/datasets/upload?name=Large&format=csv", { method: "POST", headers: { authorization }, body: csv });
  return (await response.json()).public_id;
});
const path = `/api/datasets/${dataset}`;
await measure("a page of rows by number, the last", a, () => call(a, "GET", `${path}/rows?page=1000&page_size=100`, { key: owner }));
await measure("a page of rows by cursor, the last", a, () => call(a, "GET", `${path}/rows?starting_after=99900&page_size=100`, { key: owner }));
await large("export, 100,000 rows", async () => (await a.fetch(`${path}/export?format=csv`, { headers: { authorization } })).text());
console.table(table);
console.log(`${csv.length} bytes of CSV`);
console.table(took);

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
