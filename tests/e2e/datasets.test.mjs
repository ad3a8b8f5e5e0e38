// Data sets on workerd: an upload and an export that are larger than one piece, read and written as they come.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, call, create, rows } from "./client.mjs";
import { start } from "./harness.mjs";

let app;
let owner;
before(async () => {
  app = await start();
  owner = (await bootstrap(app)).json.key;
});
after(() => app.close());

const ROWS = 20_000;
const row = (index) => `question ${index},"an ""answer"", which is ${"long ".repeat(8)}"\r\n`;
const csv = `question,answer\r\n${Array.from({ length: ROWS }, (_, index) => row(index + 1)).join("")}`;

const upload = (body, query = "name=big&format=csv") =>
  app.fetch(`/api/datasets/upload?${query}`, { method: "POST", headers: { authorization: `Bearer ${owner}` }, body, duplex: "half" });

// Sends a text in pieces that end anywhere, and breaks off in the middle if it is told to.
const pieces = (text, { breaksOff = false } = {}) => {
  const bytes = new TextEncoder().encode(text);
  return new ReadableStream({
    async start(controller) {
      for (let at = 0; at < bytes.length; at += 50_001) {
        if (breaksOff && at > bytes.length / 2) return controller.error(new Error("gone"));
        controller.enqueue(bytes.slice(at, at + 50_001));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      controller.close();
    },
  });
};

test("an upload comes back as it was, and costs a row of D1 for a hundred of its own", async () => {
  await app.io();
  const response = await upload(pieces(csv));
  const dataset = await response.json();
  assert.deepEqual([response.status, dataset.row_count], [201, ROWS], JSON.stringify(dataset));
  const { rows_written, calls } = await app.io();
  // Each chunk is a row in the table, one in its index, and one for the organization's usage.
  assert.ok(rows_written < (ROWS / 100) * 3 + 60, `${rows_written} rows written`);
  assert.ok(calls.filter((name) => name.startsWith("DB.batch")).length <= 4, calls.join());
  const path = `/api/datasets/${dataset.public_id}`;
  const exported = await app.fetch(`${path}/export?format=csv`, { headers: { authorization: `Bearer ${owner}` } });
  assert.equal(await exported.text(), csv);
  const everything = (await app.io()).rows_read;
  assert.ok(everything < (ROWS / 100) * 10, `${everything} rows read for all`);

  await app.io();
  const { json } = await call(app, "GET", `${path}/rows?page=${ROWS / 100}&page_size=100`, { key: owner });
  assert.deepEqual([json.row_ids[99], json.total, json.total_pages], [ROWS, ROWS, ROWS / 100]);
  const { rows_read } = await app.io();
  assert.ok(rows_read < 40, `${rows_read} rows read for the last page`);
  for (const row of [100, ROWS / 2, ROWS - 100]) {
    await app.io();
    await call(app, "GET", `${path}/rows?starting_after=${row}&page_size=100`, { key: owner });
    const { rows_read: after } = await app.io();
    assert.ok(after < 40, `${after} rows read behind row ${row}`);
  }
});

test("an upload that is wrong at its end, or breaks off, leaves nothing that anybody sees", async () => {
  const seen = async () => (await call(app, "GET", "/api/datasets", { key: owner })).json.items.length;
  const was = await seen();
  const wrong = await upload(pieces(`${csv}one field\r\n`));
  const problem = await wrong.json();
  assert.deepEqual([wrong.status, problem.error.field], [400, `row ${ROWS + 1}`]);
  await assert.rejects(upload(pieces(csv, { breaksOff: true })));
  assert.equal(await seen(), was);
});

test("rows are added, changed and removed on a real D1", async () => {
  const { json } = await call(app, "POST", "/api/datasets", { key: owner, body: { name: "small", rows: [{ a: 1 }, { a: "two" }, { a: null }] } });
  const path = `/api/datasets/${json.public_id}`;
  assert.deepEqual((await call(app, "POST", `${path}/rows`, { key: owner, body: { rows: [{ a: 4 }] } })).json, { row_ids: [4] });
  assert.deepEqual((await call(app, "PATCH", `${path}/rows/2`, { key: owner, body: { a: [{ deep: true }] } })).json, { a: [{ deep: true }] });
  const gone = await app.fetch(`${path}/rows/1`, { method: "DELETE", headers: { authorization: `Bearer ${owner}` } });
  assert.equal(gone.status, 200);
  const page = (await call(app, "GET", `${path}/rows`, { key: owner })).json;
  assert.deepEqual([page.row_ids, page.rows.map(({ a }) => a), page.total], [[2, 3, 4], [[{ deep: true }], null, 4], 3]);
});

test("a key that is revoked in the middle of its upload stores nothing", async () => {
  const { id, key } = await create(app, owner, { scopes: ["datasets:write"] });
  await call(app, "GET", "/v1/scopes", { key });
  await rows(app, "UPDATE keys SET revoked_at = 1 WHERE id = ?1", id);
  const response = await app.fetch("/api/datasets/upload?name=late&format=csv", { method: "POST", headers: { authorization: `Bearer ${key}` }, body: csv });
  assert.deepEqual([response.status, (await response.json()).error.code], [401, "key_revoked"]);
  assert.deepEqual(await rows(app, "SELECT count(*) AS n FROM datasets WHERE name = 'late' AND ends_at IS NULL"), [{ n: 0 }]);
});
