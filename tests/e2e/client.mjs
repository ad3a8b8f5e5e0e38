// The few things that every test does: calls with a key, answers as plain values, rows by SQL.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { OPERATOR_SECRET } from "./harness.mjs";

/** Calls a route. Every answer of the Worker must be JSON that no cache may store, so that is asserted here. */
export async function call(app, method, path, { key, body, headers } = {}) {
  const response = await app.fetch(path, {
    method,
    headers: { ...(key && { authorization: `Bearer ${key}` }), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.match(response.headers.get("content-type"), /^application\/(problem\+)?json$/);
  const json = await response.json();
  return { status: response.status, headers: response.headers, json, code: json.error?.code };
}

export const bootstrap = (app) =>
  call(app, "POST", "/v1/bootstrap", {
    key: OPERATOR_SECRET,
    body: { organization: "Acme", email: "owner@acme.example", key_name: "first" },
  });

/** The name in KV of a key's snapshot. It is derived from the digest with the operator's secret. */
export async function cacheName(app, id) {
  const [{ digest }] = await rows(app, "SELECT digest FROM keys WHERE id = ?1", id);
  const key = createHmac("sha256", OPERATOR_SECRET).update("bitting cache: names").digest();
  return `snapshot:6:${createHmac("sha256", key).update(Buffer.from(digest, "hex")).digest("hex")}`;
}

/** Makes a key and gives it with its text. */
export async function create(app, by, fields = {}) {
  const answer = await call(app, "POST", "/v1/keys", { key: by, body: { name: "a key", scopes: ["api-keys:read"], ...fields } });
  assert.equal(answer.status, 201, JSON.stringify(answer.json));
  return answer.json;
}

/** Asks whether a key is good, and gives the whole answer. */
export const verify = (app, by, key, fields = {}) => call(app, "POST", "/v1/keys/verify", { key: by, body: { key, ...fields } });

/** Begins the minute in which an isolate gathers what is used and writes none of it, so that what is counted is the test's own. */
export async function beginMinute(app, key) {
  await app.advance(60_000);
  await call(app, "GET", "/v1/scopes", { key });
  await app.io();
}

/** The rows of a statement, past the Worker and its counters. */
export const rows = async (app, sql, ...params) => (await app.db.prepare(sql).bind(...params).all()).results;

/** How many rows each table has. */
export async function counts(app) {
  const tables = ["organizations", "users", "memberships", "keys", "audit_events", "changes"];
  const [row] = await rows(app, `SELECT ${tables.map((table) => `(SELECT count(*) FROM ${table}) AS ${table}`).join(", ")}`);
  return row;
}

/** What refuses a call for the moment: a 503 that says when to come back, and nothing of what is wrong inside. */
export function assertUnavailable(answer) {
  assert.equal(answer.status, 503, JSON.stringify(answer.json));
  assert.equal(answer.code, "unavailable");
  assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
  assert.doesNotMatch(JSON.stringify(answer.json), /D1|SQL|KV|CACHE/);
}
