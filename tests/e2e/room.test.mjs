// The size that D1 tells with its results reaches the Worker.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { bootstrap, call, create } from "./client.mjs";
import { start } from "./harness.mjs";

const app = await start({ vars: { DATABASE_LIMIT_BYTES: "100000" } });
after(() => app.close());

test("a database beyond its watermark stores nothing large, and keys are still made and revoked", async () => {
  const owner = (await bootstrap(app)).json.key;
  const refused = await call(app, "POST", "/api/datasets", { key: owner, body: { name: "large" } });
  assert.deepEqual([refused.status, refused.json.error.code], [507, "database_full"]);
  const made = await create(app, owner);
  assert.equal((await call(app, "DELETE", `/v1/keys/${made.id}`, { key: owner })).status, 200);
  await app.logs();
  await app.scheduled("*/5 * * * *");
  const logs = JSON.stringify(await app.logs());
  assert.match(logs, /swept: .*; the database has [1-9][0-9]{4,} bytes/);
});
