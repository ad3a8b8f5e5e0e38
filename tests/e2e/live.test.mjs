// Live evaluations on workerd: deployed, run by curl as the product's documentation says, paid for by many at once, ended.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { beginMinute, bootstrap, call, rows } from "./client.mjs";
import { start } from "./harness.mjs";

let app;
let owner;
before(async () => {
  app = await start({ isolates: 2 });
  owner = (await bootstrap(app)).json.key;
});
after(() => app.close());

const INPUTS = { user_query: "How do I return a jacket?", bot_response: "You can return any item within 30 days." };

async function deploy() {
  const body = {
    name: "Returns",
    columns: [{ name: "user_query", type: "string" }, { name: "bot_response", type: "string" }],
    judge: { type: "contains", column: "bot_response", expected: ["30 days"] },
  };
  const { json: evaluation } = await call(app, "POST", "/api/evaluations", { key: owner, body });
  const { status, json } = await call(app, "POST", "/api/live-evaluations", { key: owner, body: { evaluation_id: evaluation.public_id } });
  assert.equal(status, 201, JSON.stringify(json));
  return json;
}

// As the product's documentation shows it; gives the status and the answer.
async function curl(live, key) {
  const { stdout } = await promisify(execFile)("curl", [
    "--silent", "--write-out", "\n%{http_code}",
    "-X", "POST", `${app.url}/api/eval/${live}`,
    "-H", `Authorization: Bearer ${key}`,
    "-H", "Content-Type: application/json",
    "-d", JSON.stringify({ inputs: INPUTS }),
  ]);
  const [answer, status] = stdout.split("\n");
  return [Number(status), JSON.parse(answer)];
}

test("the whole life of a live evaluation and its key", async () => {
  const live = await deploy();
  assert.match(live.api_key, /^bit_sk_/);
  const [status, run] = await curl(live.public_id, live.api_key);
  assert.deepEqual([status, run.judgment, run.passed], [200, "pass", true], JSON.stringify(run));
  const path = `/api/live-evaluations/${live.public_id}`;
  const post = (below) => call(app, "POST", `${path}/${below}`, { key: owner });
  const code = async (key) => {
    const [status, answer] = await curl(live.public_id, key);
    return status === 200 ? 200 : answer.error.code;
  };

  const { json: fresh } = await post("regenerate");
  assert.notEqual(fresh.api_key, live.api_key);
  assert.equal(await code(live.api_key), "key_revoked", "at once, by the isolate that had it in memory");
  assert.equal(await code(fresh.api_key), 200);
  const keys = await call(app, "GET", "/v1/keys", { key: fresh.api_key });
  assert.deepEqual([keys.status, keys.json.error.code], [403, "live_evaluation_key"]);

  assert.equal((await post("deactivate")).json.active, false);
  assert.equal(await code(fresh.api_key), "live_evaluation_inactive");
  assert.equal((await post("activate")).json.active, true);
  assert.equal(await code(fresh.api_key), 200);

  const { json: results } = await call(app, "GET", `/api/results?live_evaluation_id=${live.public_id}&passed=true&limit=2`, { key: owner });
  assert.deepEqual([results.items.length, results.has_more], [2, true]);
  const { json: details } = await call(app, "GET", `/api/results/${run.public_id}`, { key: owner });
  assert.deepEqual([details.inputs, details.user_id, details.judgment], [INPUTS, null, "pass"]);
});

test("of 30 runs at once 10 credits pay 10", async () => {
  const live = await deploy();
  const body = { credits: 10 };
  assert.equal((await call(app, "PATCH", "/v1/organizations/self", { key: owner, body })).status, 200);
  const runs = Array.from({ length: 30 }, async (_, index) => {
    const isolate = app.isolates[index % app.isolates.length];
    return call(isolate, "POST", `/api/eval/${live.public_id}`, { key: live.api_key, body: { inputs: INPUTS } });
  });
  const statuses = (await Promise.all(runs)).map(({ status }) => status);
  assert.deepEqual([200, 402].map((status) => statuses.filter((each) => each === status).length), [10, 20], statuses.join());
  const spent = "SELECT (SELECT credits FROM organizations) AS credits, count(*) AS runs FROM runs WHERE live_evaluation_id = ?";
  assert.deepEqual(await rows(app, spent, live.public_id), [{ credits: 0, runs: 10 }]);
  await call(app, "PATCH", "/v1/organizations/self", { key: owner, body: { credits: null } });
});

test("a run is two round trips and few rows, however many there are", async () => {
  const live = await deploy();
  const run = () => call(app, "POST", `/api/eval/${live.public_id}`, { key: live.api_key, body: { inputs: INPUTS } });
  await call(app, "PATCH", "/v1/organizations/self", { key: owner, body: { credits: 100_000 } });
  await run();
  await beginMinute(app, owner);
  await run();
  const one = await app.io();
  const [{ id }] = await rows(app, "SELECT id FROM runs ORDER BY id DESC LIMIT 1");
  const columns = "organization_id, live_evaluation_id, evaluation_id, key_id, user_id, state, inputs, judgment, passed, charged, created_at, finished_at";
  const copies = `INSERT INTO runs (id, ${columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    SELECT printf('run_%032x', i), ${columns} FROM n, runs WHERE runs.id = ?`;
  await rows(app, copies, id);
  await app.io();
  await run();
  const another = await app.io();
  await call(app, "GET", `/api/results?limit=10`, { key: owner });
  const list = await app.io();
  console.log(`a run: ${JSON.stringify(one)}; among 5,000: ${JSON.stringify(another)}; a list of 10: ${JSON.stringify(list)}`);
  assert.equal(one.calls.filter((name) => name.startsWith("DB.batch")).length, 2, one.calls.join());
  // One of them counts the bytes of its inputs.
  assert.ok(one.rows_written <= 5 && another.rows_written <= 5, `${one.rows_written} and ${another.rows_written} rows written`);
  assert.ok(another.rows_read <= 40, `${another.rows_read} rows read`);
  assert.ok(list.rows_read <= 400, `${list.rows_read} rows read for a list`);
});
