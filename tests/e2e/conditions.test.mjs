// Conditions of keys, by what workerd tells of a client.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, create } from "./client.mjs";
import { start } from "./harness.mjs";

let app;
let owner;
before(async () => {
  app = await start();
  owner = (await bootstrap(app)).json.key;
});
after(() => app.close());

test("a country is the one that the platform tells, and not one that a caller claims", async () => {
  const { key } = await create(app, owner, { name: "german", scopes: [], conditions: { allowed_countries: ["DE"] } });
  const headers = { authorization: `Bearer ${key}` };
  const status = async (response) => (await response).status;
  assert.equal(await status(app.fetchFrom("DE", "/v1/keys/self", { headers })), 200);
  const claims = { ...headers, "CF-IPCountry": "DE" };
  assert.equal(await status(app.fetchFrom("FR", "/v1/keys/self", { headers: claims })), 403);
  assert.equal(await status(app.fetch("/v1/keys/self", { headers: claims })), 403);
});
