// The memory that one tenant can make an isolate take. Cloudflare ends an isolate beyond 128 MB, with all its requests.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, call, create } from "./client.mjs";
import { start } from "./harness.mjs";

const MB = 1_048_576;
// What memory is for the rest of the Worker: the code, JavaScript's own heap, and other requests at the same time.
const MOST = 64 * MB;

let app;
let key;
before(async () => {
  app = await start({ isolates: 8 });
  key = (await bootstrap(app)).json.key;
});
after(() => app.close());

// What a request takes in an isolate of its own, and what an idle one has.
async function takes(name, isolate, act) {
  await call(isolate, "GET", "/v1/keys/self", { key });
  const idle = await isolate.memory();
  await act(isolate);
  const bytes = await isolate.memory();
  console.log(`${name}: ${(idle / MB).toFixed(1)} MB, then ${(bytes / MB).toFixed(1)} MB`);
  assert.ok(bytes <= MOST, `${name} takes ${bytes} bytes`);
}

const post = (isolate, path, body, type = "application/json") =>
  isolate.fetch(path, { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": type }, body });

test("no list takes more", async () => {
  const metadata = { ones: Array(2_040).fill(1) };
  for (let number = 0; number < 250; number += 1) {
    const made = await create(app, key, { name: `${number}`, metadata, operator_metadata: metadata, kind: "org", scopes: [] });
    assert.ok(made.id);
  }
  await takes("a page of the longest keys", app.isolates[1], async (isolate) => {
    const { json } = await call(isolate, "GET", "/v1/keys?limit=200", { key });
    assert.ok(json.items.length > 50 && json.has_more);
  });
  await takes("all keys of a vendor's list", app.isolates[2], async (isolate) => {
    const response = await isolate.fetch("/v1/api_key", { headers: { authorization: `Bearer ${key}` } });
    assert.equal(response.status, 200);
    assert.ok((await response.text()).length > 10_000);
  });
});

test("no body takes more", async () => {
  // The smallest values take the most memory for their length.
  const rows = (bytes) => `{"name":"n","rows":[${Array(Math.floor(bytes / 8)).fill('{"a":1}').join(",")}]}`;
  await takes("the largest data set in one request", app.isolates[3], async (isolate) => {
    const response = await post(isolate, "/api/datasets", rows(4 * MB - 100));
    await response.text();
    assert.ok(response.status < 500, `${response.status}`);
  });
  await takes("the largest data set of the smallest values", app.isolates[0], async (isolate) => {
    const row = `{"a":[${Array(32_000).fill(1).join(",")}]}`;
    const response = await post(isolate, "/api/datasets", `{"name":"n","rows":[${Array(64).fill(row).join(",")}]}`);
    assert.equal(response.status, 201, await response.text());
  });
  const trace = (number, bytes) => `{"id":"01900000-0000-7000-8000-${String(number).padStart(12, "0")}","name":"n","started_at":"2027-01-15T07:00:00Z","input":[${Array(Math.floor(bytes / 2)).fill("1").join(",")}]}`;
  await takes("the largest batch of traces", app.isolates[4], async (isolate) => {
    const response = await post(isolate, "/v1/ingest/batch", `{"traces":[${[1, 2, 3, 4].map((number) => trace(number, 990_000)).join(",")}]}`);
    assert.equal(response.status, 201, await response.text());
  });
});

test("no export takes more", async () => {
  const line = `${"x".repeat(60_000)}\n`;
  const upload = await post(app.isolates[5], "/api/datasets/upload?name=Large&format=csv", `a\n${line.repeat(300)}`, "text/csv");
  const text = await upload.text();
  assert.equal(upload.status, 201, text);
  const path = `/api/datasets/${JSON.parse(text).public_id}`;
  await takes("an export of 18 MB", app.isolates[6], async (isolate) => {
    const response = await isolate.fetch(`${path}/export?format=csv`, { headers: { authorization: `Bearer ${key}` } });
    assert.ok((await response.text()).length >= 18_000_000);
  });
  await takes("a page of the longest rows", app.isolates[7], async (isolate) => {
    const { json } = await call(isolate, "GET", `${path}/rows?starting_after=0&page_size=1000`, { key });
    assert.ok(json.has_more, JSON.stringify(json).slice(0, 200));
  });
});
