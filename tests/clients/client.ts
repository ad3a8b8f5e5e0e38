// A client as openapi-typescript and openapi-fetch make it from the API's document. It is type-checked before it runs.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "../../target/clients/schema.d.ts";

const [baseUrl, secret] = process.argv.slice(2);
const client = (key: string | undefined) => createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

const first = await client(secret).POST("/v1/bootstrap", {
  body: { organization: "Acme", email: "owner@acme.example", key_name: "first" },
});
assert.ok(first.data, JSON.stringify(first.error));
const owner = client(first.data.key);

// Only `name` and `scopes` are required: a default makes no field so.
const created = await owner.POST("/v1/keys", { body: { name: "reader", scopes: ["datasets:read"] } });
assert.ok(created.data, JSON.stringify(created.error));
const role: "member" | "admin" | "owner" = created.data.role;
assert.equal(role, "owner");

const read = await owner.GET("/v1/keys/{key_id}", { params: { path: { key_id: created.data.id } } });
assert.equal(read.data?.name, "reader");

const names: string[] = [];
let starting_after: string | undefined;
do {
  const page = await owner.GET("/v1/keys", { params: { query: { limit: 1, starting_after } } });
  assert.ok(page.data, JSON.stringify(page.error));
  names.push(...page.data.items.map((key) => key.name));
  starting_after = page.data.next_cursor ?? undefined;
} while (starting_after);
assert.deepEqual(names, ["reader", "first"]);

// `valid` tells the shapes of a verdict apart.
type Verdict = components["schemas"]["VerificationResult"];
const told = (verdict: Verdict): string => (verdict.valid ? verdict.key_id : verdict.code);
const verify = async (scopes: string[]) => {
  const { data, error } = await owner.POST("/v1/keys/verify", { body: { key: created.data.key, scopes } });
  assert.ok(data, JSON.stringify(error));
  return told(data);
};
assert.equal(await verify(["datasets:read"]), created.data.id);
assert.equal(await verify(["datasets:write"]), "insufficient_scope");

const uploaded = await owner.POST("/api/datasets/upload", {
  params: { query: { name: "Questions", format: "csv" } },
  headers: { "Content-Type": "text/csv" },
  body: "question,answer\nwhy,because\n",
  bodySerializer: (body) => body,
});
assert.ok(uploaded.data, JSON.stringify(uploaded.error));
assert.equal(uploaded.data.row_count, 1);

const revoked = await owner.DELETE("/v1/keys/{key_id}", { params: { path: { key_id: created.data.id } } });
assert.equal(revoked.data?.status, "revoked");

const refused = await owner.GET("/v1/keys/{key_id}", { params: { path: { key_id: crypto.randomUUID() } } });
assert.equal(refused.error?.error.code, "not_found");
console.log("done");
