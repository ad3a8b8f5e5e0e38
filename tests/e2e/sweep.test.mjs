// The scheduled event, with more keys than it may read.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, call, counts, rows } from "./client.mjs";
import { crowd } from "./crowd.mjs";
import { start } from "./harness.mjs";

const TOTAL = 20_000;
const EXPIRED = 1_000;

let app;
let owner;
before(async () => {
  app = await start();
  // Older than any retention, and so the first to go.
  await rows(app, "INSERT INTO audit_events (organization_id, subject, action, actor_kind, at, keep_until) VALUES ('o', 's', 'old', 'system', 0, 0)");
  owner = (await bootstrap(app)).json.key;
});
after(() => app.close());

async function sweep() {
  await app.io();
  await app.scheduled("*/5 * * * *");
  return app.io();
}

const marked = async () => (await rows(app, "SELECT count(*) AS n FROM keys WHERE expired_at IS NOT NULL"))[0].n;
const expiries = () => rows(app, "SELECT count(*) AS n, count(DISTINCT subject) AS keys FROM audit_events WHERE action = 'key.expired'");

test("a sweep that D1 fails in the middle leaves whole batches, and the next one finishes", async () => {
  await crowd(app, { total: TOTAL, expired: EXPIRED });
  const { changes } = await counts(app);
  // One batch tells how far the feed is, and three seal the audit log.
  for (let batch = 0; batch < 5; batch += 1) await app.fail("DB.batch", {});
  await app.fail("DB.batch", { message: "D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset." });
  await sweep();
  assert.equal(await marked(), EXPIRED / 2);
  assert.deepEqual(await expiries(), [{ n: EXPIRED / 2, keys: EXPIRED / 2 }]);
  assert.match((await app.logs()).at(-1).message, /^the sweep stopped early and goes on at the next one: .*exceeded timeout/);

  const { rows_read, rows_written } = await sweep();
  assert.equal(await marked(), EXPIRED);
  assert.deepEqual(await expiries(), [{ n: EXPIRED, keys: EXPIRED }]);
  // For each key that is due: its row twice, its index, the event and its four indexes. The 19,000 others are not read.
  assert.ok(rows_read < 8 * EXPIRED, `${rows_read} rows read`);
  assert.ok(rows_written < 9 * EXPIRED, `${rows_written} rows written`);
  assert.deepEqual(await rows(app, "SELECT id FROM audit_events WHERE action = 'old'"), [], "events past their retention go");
  assert.equal((await counts(app)).changes, changes, "an expiry is no change");
});

test("a sweep that finds nothing to do reads a handful of rows and writes none", async () => {
  // The expiries of the sweep before are sealed.
  await sweep();
  const { rows_read, rows_written } = await sweep();
  assert.ok(rows_read < 100, `${rows_read} rows read`);
  assert.equal(rows_written, 0);
});

test("two sweeps at the same time record each expiry once", async () => {
  await rows(app, "UPDATE keys SET expires_at = 1 WHERE id IN (SELECT id FROM keys WHERE expires_at > ?1 LIMIT 1500)", Date.now());
  await Promise.all([app.scheduled("*/5 * * * *"), app.scheduled("*/5 * * * *")]);
  assert.equal(await marked(), EXPIRED + 1_500);
  assert.deepEqual(await expiries(), [{ n: EXPIRED + 1_500, keys: EXPIRED + 1_500 }]);
  const [{ subject }] = await rows(app, "SELECT subject FROM audit_events WHERE action = 'key.expired' ORDER BY id DESC LIMIT 1");
  const { json } = await call(app, "GET", `/v1/keys/${subject}/events`, { key: owner });
  const { action, actor, details } = json.items[0];
  assert.deepEqual({ action, actor, details }, {
    action: "key.expired",
    actor: { kind: "system", id: null, user_id: null },
    details: { expires_at: "1970-01-01T00:00:00.001Z" },
  });
});

test("a sweep prunes changes that are older than two days, and keys go on working", async () => {
  await rows(app, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100) INSERT INTO changes (subject, at) SELECT 's' || i, 0 FROM n");
  await rows(app, "UPDATE changes SET at = 0");
  const [{ head }] = await rows(app, "SELECT max(seq) AS head FROM changes");
  await sweep();
  assert.deepEqual(await rows(app, "SELECT seq, subject FROM changes"), [{ seq: head, subject: "pruned" }]);
  assert.equal((await call(app, "GET", "/v1/keys/self", { key: owner })).status, 200);
});
