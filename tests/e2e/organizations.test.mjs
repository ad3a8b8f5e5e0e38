// A second organization on isolates that share D1 and KV and nothing else: made by the operator, limited
// by its own policy, suspended and resumed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, call, create, rows, verify } from "./client.mjs";
import { start } from "./harness.mjs";

const MAX_STALENESS_MS = 5_000;

let app;
let a;
let b;
let operator;
before(async () => {
  app = await start({ isolates: 2 });
  [a, b] = app.isolates;
  operator = (await bootstrap(a)).json.key;
});
after(() => app.close());

async function found(name) {
  const body = { name, email: "owner@beta.example", key_name: "first" };
  const answer = await call(a, "POST", "/v1/organizations", { key: operator, body });
  assert.equal(answer.status, 201, JSON.stringify(answer.json));
  return { path: `/v1/organizations/${answer.json.organization.id}`, id: answer.json.organization.id, key: answer.json.key.key };
}

const set = async (path, body) => {
  const answer = await call(a, "PATCH", path, { key: operator, body });
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
  return answer.json;
};

test("a suspended organization's keys are refused on every isolate, and work again when it is resumed", async () => {
  const { id, path, key } = await found("Beta");
  const second = (await create(b, key)).key;
  for (const isolate of [a, b]) {
    for (const text of [key, second]) assert.equal((await verify(isolate, operator, text)).json.valid, true);
  }
  const [{ changes }] = await rows(app, "SELECT count(*) AS changes FROM changes");
  assert.notEqual((await set(path, { suspended: true })).suspended_at, null);
  assert.equal((await rows(app, "SELECT seq FROM changes WHERE subject = ?1", id)).length, 1);
  assert.equal((await rows(app, "SELECT seq FROM changes")).length, changes + 1);

  // At once where it was done, and by whatever asks D1; elsewhere within the bound.
  assert.equal((await verify(a, operator, second)).json.code, "organization_suspended");
  const refused = await call(b, "GET", "/v1/keys/self", { key });
  assert.deepEqual([refused.status, refused.code], [403, "organization_suspended"]);
  await app.advance(MAX_STALENESS_MS + 1);
  for (const isolate of [a, b]) {
    for (const text of [key, second]) assert.equal((await verify(isolate, operator, text)).json.code, "organization_suspended");
    assert.equal((await call(isolate, "GET", "/v1/organizations", { key: operator })).json.items.length, 2);
  }

  assert.equal((await set(path, { suspended: false })).suspended_at, null);
  await app.advance(MAX_STALENESS_MS + 1);
  for (const isolate of [a, b]) {
    for (const text of [key, second]) assert.equal((await verify(isolate, operator, text)).json.valid, true);
    assert.equal((await call(isolate, "GET", path, { key })).json.id, id);
  }
});

test("a policy holds on the isolate that has not heard of it, and the limit on keys holds between two at once", async () => {
  const { path, key } = await found("Gamma");
  assert.equal((await call(b, "GET", "/v1/scopes", { key })).status, 200);
  await set(path, { default_expiry_days: 7, longest_expiry_days: 30, max_keys_per_user: 2 });
  const [row] = await rows(app, "SELECT typeof(longest_expiry_days) AS type, longest_expiry_days AS days FROM organizations WHERE name = 'Gamma'");
  assert.deepEqual(row, { type: "integer", days: 30 });
  const late = await call(b, "POST", "/v1/keys", { key, body: { name: "late", scopes: [], expires_in_days: 31 } });
  assert.deepEqual([late.status, late.json.error.field], [400, "expires_in_days"]);

  const body = { name: "one of two", scopes: [] };
  const both = await Promise.all([a, b].map((isolate) => call(isolate, "POST", "/v1/keys", { key, body })));
  assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409]);
  const [made, refused] = both.sort((one, other) => one.status - other.status);
  assert.equal(refused.code, "key_limit");
  assert.equal(Date.parse(made.json.expires_at) - Date.parse(made.json.created_at), 7 * 24 * 60 * 60 * 1000);
  assert.deepEqual((await call(a, "PATCH", path, { key, body: { default_expiry_days: 31 } })).code, "validation_failed");
});
