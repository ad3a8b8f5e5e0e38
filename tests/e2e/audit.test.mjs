// The audit trail on a real D1: its triggers, what is written behind an answer, and an export that is
// longer than one piece.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, call, create, rows } from "./client.mjs";
import { start } from "./harness.mjs";

let app;
let owner;
let organization;
before(async () => {
  app = await start();
  owner = (await bootstrap(app)).json.key;
  organization = (await call(app, "GET", "/v1/keys/self", { key: owner })).json.organization_id;
});
after(() => app.close());

const fill = (events) =>
  rows(
    app,
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
     INSERT INTO audit_events (organization_id, subject, action, actor_kind, at, keep_until) SELECT ?1, 's' || i, 'filled', 'system', i, 1 << 50 FROM n`,
    organization,
    events,
  );

const lines = (key) => app.fetch("/v1/audit-events?action=filled", { headers: { authorization: `Bearer ${key}`, accept: "application/x-ndjson" } });

test("an event is written for ever, and says until when it is kept", async () => {
  await create(app, owner);
  const [event] = await rows(app, "SELECT at, keep_until, typeof(keep_until) AS type FROM audit_events ORDER BY id DESC LIMIT 1");
  assert.deepEqual(event, { at: event.at, keep_until: event.at + 365 * 24 * 60 * 60 * 1000, type: "integer" });
  await assert.rejects(rows(app, "UPDATE audit_events SET details = '{}'"), /an audit event is never changed/);
  await assert.rejects(rows(app, "REPLACE INTO audit_events SELECT * FROM audit_events"), /an audit event is never replaced/);
  await assert.rejects(rows(app, "DELETE FROM audit_events"), /an audit event is kept until its retention is over/);
});

test("a refused attempt is recorded behind its answer", async () => {
  const { id, key } = await create(app, owner, { scopes: [] });
  await call(app, "GET", "/v1/scopes", { key });
  await app.io();
  // The answer does not wait for the slow row.
  await app.fail("DB.batch", { delay: 500 });
  assert.equal((await call(app, "DELETE", `/v1/keys/${id}`, { key })).code, "insufficient_scope");
  const refused = () => rows(app, "SELECT subject, actor_id, refusal FROM audit_events WHERE action = 'refused'");
  assert.deepEqual(await refused(), []);
  await app.io();
  assert.deepEqual(await refused(), [{ subject: id, actor_id: id, refusal: "insufficient_scope" }]);
});

test("an export is streamed piece by piece, and is the list", async () => {
  await fill(2_500);
  await app.io();
  const response = await lines(owner);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const text = await response.text();
  const events = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(events.length, 2_500);
  assert.deepEqual((await app.io()).calls.filter((name) => name.startsWith("DB.batch(3)")).length, 3);
  const { json } = await call(app, "GET", "/v1/audit-events?action=filled&limit=1000", { key: owner });
  assert.deepEqual(events.slice(0, 1_000), json.items);
  assert.deepEqual(events.map(({ subject }) => subject), Array.from({ length: 2_500 }, (_, index) => `s${2_500 - index}`));
});

test("an export breaks off when its key ends", async () => {
  const { id, key } = await create(app, owner, { scopes: ["audit:read"] });
  await call(app, "GET", "/v1/scopes", { key });
  await app.io();
  // Each piece waits for its batch, so that the key ends before the second is read.
  await app.fail("DB.batch", { times: 3, delay: 1_000 });
  const response = await lines(key);
  await rows(app, "UPDATE keys SET revoked_at = 1 WHERE id = ?1", id);
  const decoder = new TextDecoder();
  let text = "";
  await assert.rejects(async () => {
    for await (const piece of response.body) text += decoder.decode(piece, { stream: true });
  });
  assert.ok(text.split("\n").length <= 1_001, "no second piece was sent");
});

test("a log is sealed by the sweep, and a check finds what was changed", async () => {
  const verify = async () => {
    let { json } = await call(app, "GET", "/v1/audit-events/verify", { key: owner });
    while (json.has_more) ({ json } = await call(app, "GET", `/v1/audit-events/verify?starting_after=${json.next_cursor}`, { key: owner }));
    return json;
  };
  await app.scheduled("*/5 * * * *");
  const before = await verify();
  assert.deepEqual([before.valid, before.fault, before.newest_seal.hash.length], [true, null, 64]);
  await rows(app, "DROP TRIGGER audit_events_stay");
  await rows(app, "UPDATE audit_events SET details = '{\"name\":\"other\"}' WHERE organization_id = ?1 AND number = 2", organization);
  const { valid, fault } = await verify();
  assert.deepEqual([valid, fault.code], [false, "event_changed"]);
});
