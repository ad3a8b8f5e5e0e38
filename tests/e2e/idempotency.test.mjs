// Idempotency-Key on the real D1: its message for a primary key that is there already, changes() within
// a batch, and an answer that gets lost when all is done.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertUnavailable, bootstrap, call, counts, create, rows, verify } from "./client.mjs";
import { start } from "./harness.mjs";

const DAY = 24 * 60 * 60 * 1000;
const LOST = "D1_ERROR: Network connection lost.";

let app;
let a;
let b;
let owner;
before(async () => {
  app = await start({ isolates: 2 });
  [a, b] = app.isolates;
  owner = (await bootstrap(a)).json.key;
  // Both have the owner's key in memory.
  for (const isolate of [a, b]) await call(isolate, "GET", "/v1/scopes", { key: owner });
});
after(() => app.close());

const MADE = { name: "made", scopes: ["datasets:read"] };
const post = (isolate, path, idempotencyKey, body, key = owner) =>
  call(isolate, "POST", path, { key, body, headers: { "Idempotency-Key": idempotencyKey } });

// What the requests that may be repeated are about, and the round trips of one.
const ROUTES = [
  ["/v1/keys", MADE, 1],
  ["/v1/api_key", { name: "made" }, 1],
  ["/v1/apikeys", { name: "made" }, 1],
  ["/v2/organization/api-keys", { name: "made" }, 1],
  ["/confident/v1/projects", { name: "made" }, 1],
  ["/v1/keys/:key_id/rotate", { grace_period_seconds: 60 }, 2],
  ["/v1/feedback", { trace_id: "01a3185c-0000-7000-8000-000000000001", label: "good" }, 1],
];

test("a request whose answer got lost is answered, and has made nothing twice, in either isolate", async () => {
  for (const [index, [template, body, trips]] of ROUTES.entries()) {
    for (const after of [false, true]) {
      const { id } = await create(a, owner, { kind: "org" });
      const path = template.replace(":key_id", id);
      const idempotencyKey = `lost-${index}-${after}`;
      const before = await counts(app);
      for (let n = 1; n < trips; n += 1) await a.fail("DB.batch", {});
      await a.fail("DB.batch", { message: LOST, after });
      assertUnavailableOf(path, await post(a, path, idempotencyKey, body));
      if (!after) assert.deepEqual(await counts(app), before, path);

      const answer = await post(a, path, idempotencyKey, body);
      assert.ok(answer.status < 300, JSON.stringify(answer.json));
      const made = await counts(app);
      // On a busy machine its copy of the feed may be old by now, and the refresh is not what is counted.
      await call(b, "GET", "/v1/scopes", { key: owner });
      await b.io();
      const again = await post(b, path, idempotencyKey, body);
      assert.ok((await b.io()).d1_calls <= trips + 1, path);
      assert.deepEqual([again.status, again.json], [answer.status, answer.json], path);
      assert.deepEqual(await counts(app), made, path);
      const event = template.endsWith("feedback") ? 0 : template.endsWith("projects") ? 2 : 1;
      assert.equal(made.audit_events, before.audit_events + event, path);
    }
  }
});

// Confident's and TruLayer's errors have shapes of their own.
function assertUnavailableOf(path, answer) {
  if (/^\/v1\/(keys|api_key)\b/.test(path)) assertUnavailable(answer);
  else assert.deepEqual([answer.status, answer.json.code ?? answer.json.error], [503, "unavailable"]);
}

test("of many at once one makes it, and all are told the same secret, which works", async () => {
  const before = await counts(app);
  const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => post(app.isolates[n % 2], "/v1/keys", "crowd", MADE)));
  assert.deepEqual(answers.map(({ status }) => status), Array(10).fill(201));
  assert.equal(new Set(answers.map(({ json }) => json.key)).size, 1);
  const made = await counts(app);
  assert.deepEqual([made.keys, made.audit_events], [before.keys + 1, before.audit_events + 1]);
  assert.equal((await verify(b, owner, answers[0].json.key)).json.valid, true);
});

test("another request, another secret of the caller and a header that is none are refused", async () => {
  const caller = await create(a, owner, { scopes: ["api-keys:*", "datasets:*"] });
  const first = await post(a, "/v1/keys", "refused", MADE, caller.key);
  assert.equal(first.status, 201);
  const code = async (...request) => (({ status, code }) => [status, code])(await post(a, ...request));
  assert.deepEqual(await code("/v1/keys", "refused", { ...MADE, name: "other" }, caller.key), [422, "idempotency_key_reused"]);
  assert.equal((await post(a, "/v1/keys", "refused", MADE)).status, 201, "another caller's is his own");
  for (const wrong of ["", "a b", "\u00e9", "k".repeat(256)]) assert.deepEqual(await code("/v1/keys", wrong, MADE), [400, "validation_failed"], wrong);

  const rotated = (await call(a, "POST", `/v1/keys/${caller.id}/rotate`, { key: owner, body: { grace_period_seconds: 60 } })).json;
  assert.deepEqual(await code("/v1/keys", "refused", MADE, rotated.key), [409, "idempotency_key_spent"]);
  assert.equal((await post(a, "/v1/keys", "refused", MADE, caller.key)).json.key, first.json.key);
  await call(a, "DELETE", `/v1/keys/${first.json.id}`, { key: owner });
  assert.deepEqual(await code("/v1/keys", "refused", MADE, caller.key), [409, "idempotency_key_spent"]);
});

test("after 24 hours the same request is a new one, and the sweep leaves nothing to derive a secret from", async () => {
  const first = (await post(a, "/v1/keys", "window", MADE)).json;
  await app.advance(DAY - 60_000);
  assert.equal((await post(a, "/v1/keys", "window", MADE)).json.key, first.key);
  await app.advance(60_001);
  assert.notEqual((await post(a, "/v1/keys", "window", MADE)).json.key, first.key);
  await a.scheduled("*/5 * * * *");
  assert.deepEqual(await rows(app, "SELECT count(*) AS n FROM idempotency_keys"), [{ n: 1 }]);
  await app.advance(DAY + 1);
  await a.io();
  await a.scheduled("*/5 * * * *");
  assert.deepEqual(await rows(app, "SELECT count(*) AS n FROM idempotency_keys"), [{ n: 0 }]);
});
