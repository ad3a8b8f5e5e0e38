// What a data team does, from a file to what it has learnt: each step by a key that may do no more than the step needs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, call, create, rows } from "./client.mjs";
import { start } from "./harness.mjs";

let app;
let owner;
before(async () => {
  app = await start({ isolates: 2 });
  owner = (await bootstrap(app)).json.key;
});
after(() => app.close());

const ANSWERS = [
  ["How do I return a jacket?", "Within 30 days.", "Within 30 days.", "pass"],
  ["Can I return shoes?", "Within 30 days.", "No.", "fail"],
  ["Who pays the postage?", "You do.", "You do.", "pass"],
  ["Is there a shop?", "In Basel.", "I do not know.", "fail"],
  ["When are you open?", "At nine.", "At nine.", "pass"],
  ["Do you ship abroad?", "Yes.", "Only here.", "fail"],
];

/** Calls a route by a new key that holds these scopes alone, and expects this status. */
async function by(scopes, status, method, path, body) {
  const { key } = await create(app, owner, { scopes });
  const isolate = app.isolates[Math.floor(Math.random() * app.isolates.length)];
  const answer = await call(isolate, method, path, { key, body });
  assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.json)}`);
  return answer.json;
}

test("a data team uploads, evaluates, deploys, runs, reviews and learns", async () => {
  const csv = ["question,expected,answer,verdict", ...ANSWERS.map((row) => row.map((field) => `"${field}"`).join(","))].join("\r\n");
  const { key: uploader } = await create(app, owner, { scopes: ["datasets:write"] });
  const sent = { method: "POST", headers: { authorization: `Bearer ${uploader}` }, body: csv };
  const uploaded = await app.fetch("/api/datasets/upload?name=Returns&format=csv", sent);
  const { public_id: dataset, row_count } = await uploaded.json();
  assert.deepEqual([uploaded.status, row_count], [201, ANSWERS.length]);
  assert.match(dataset, /^ds_/);
  for (const [column, role] of [["expected", "expected"], ["verdict", "judgment"]]) {
    await by(["datasets:write"], 200, "PATCH", `/api/datasets/${dataset}/columns/${column}`, { role });
  }
  await by(["datasets:write"], 201, "POST", `/api/datasets/${dataset}/columns`, { name: "why", role: "notes" });
  const details = await by(["datasets:read"], 200, "GET", `/api/datasets/${dataset}`);
  assert.deepEqual([details.preview.length, details.preview[1].answer], [ANSWERS.length, "No."]);

  // What is generated is looked at before it is deployed.
  const draft = await by(["evaluations:write"], 201, "POST", "/api/evaluations/generate", { dataset_id: dataset });
  assert.equal(draft.draft, true);
  await by(["live-evaluations:write", "live-evaluations:execute"], 409, "POST", "/api/live-evaluations", { evaluation_id: draft.public_id });
  const change = {
    draft: false,
    columns: [{ name: "question", type: "string" }, { name: "answer", type: "string" }, { name: "expected", type: "string" }],
    judge: { type: "exact_match", column: "answer", expected_column: "expected" },
  };
  await by(["evaluations:write"], 200, "PATCH", `/api/evaluations/${draft.public_id}`, change);
  const variant = { name: "Whatever the case", judge: { type: "normalized_match", column: "answer", expected_column: "expected" } };
  await by(["evaluations:write"], 201, "POST", `/api/evaluations/${draft.public_id}/variants`, variant);
  const bases = await by(["evaluations:read"], 200, "GET", "/api/evaluations?page=1&page_size=25&base_only=True");
  assert.deepEqual(bases.items.map(({ public_id }) => public_id), [draft.public_id]);

  const live = await by(["live-evaluations:write", "live-evaluations:execute"], 201, "POST", "/api/live-evaluations", { evaluation_id: draft.public_id });
  const listed = await by(["live-evaluations:read"], 200, "GET", "/api/live-evaluations");
  assert.deepEqual(listed.items.map(({ api_key }) => api_key), [""]);
  assert.ok(listed.items[0].api_key_preview.endsWith(live.api_key.slice(-4)));

  // CI has no key but that of the live evaluation.
  await call(app, "PATCH", "/v1/organizations/self", { key: owner, body: { credits: ANSWERS.length } });
  for (const [question, expected, answer, verdict] of ANSWERS) {
    const run = await call(app, "POST", `/api/eval/${live.public_id}`, { key: live.api_key, body: { inputs: { question, expected, answer } } });
    assert.deepEqual([run.status, run.json.judgment], [200, verdict], JSON.stringify(run.json));
  }
  const { status, code } = await call(app, "POST", `/api/eval/${live.public_id}`, { key: live.api_key, body: { inputs: { question: "q", answer: "a", expected: "a" } } });
  assert.deepEqual([status, code], [402, "insufficient_credits"]);
  assert.deepEqual(await rows(app, "SELECT credits FROM organizations"), [{ credits: 0 }]);

  const failed = await by(["results:read"], 200, "GET", `/api/results?live_evaluation_id=${live.public_id}&passed=false`);
  assert.deepEqual([failed.items.length, failed.has_more], [3, false]);
  const runs = failed.items.map(({ public_id }) => public_id);
  const item = await by(["review:write"], 201, "POST", "/api/review", { run_id: runs[0], reason: "too strict?" });
  await by(["review:write"], 409, "POST", "/api/review", { run_id: runs[0] });
  const queue = await by(["review:read"], 200, "GET", "/api/review?state=open");
  assert.deepEqual(queue.items.map(({ public_id }) => public_id), [item.public_id]);
  const path = `/api/review/${item.public_id}`;
  await by(["review:write"], 409, "POST", `${path}/promote`, { dataset_id: dataset });
  await by(["review:write"], 200, "POST", `${path}/judge`, { verdict: "pass", passed: true, notes: "that is so" });
  const promoted = await by(["review:write"], 200, "POST", `${path}/promote`, { dataset_id: dataset });
  assert.deepEqual([promoted.state, promoted.dataset_id, promoted.row_id], ["promoted", dataset, ANSWERS.length + 1]);

  const exporter = await create(app, owner, { scopes: ["datasets:read"] });
  const exported = await app.fetch(`/api/datasets/${dataset}/export?format=jsonl`, { headers: { authorization: `Bearer ${exporter.key}` } });
  const lines = (await exported.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines.length, ANSWERS.length + 1);
  const { question, expected, answer } = (await by(["results:read"], 200, "GET", `/api/results/${runs[0]}`)).inputs;
  assert.deepEqual(lines.at(-1), { question, expected, answer, verdict: "pass", why: "that is so" });

  const notes = await by(["error-analysis:execute"], 200, "POST", "/api/error-analysis/suggest-notes", { run_ids: runs });
  assert.deepEqual([notes.method, notes.notes.map(({ run_id }) => run_id)], ["deterministic", runs]);
  const texts = notes.notes.map(({ note }) => note);
  const { categories } = await by(["error-analysis:execute"], 200, "POST", "/api/error-analysis/suggest-categories", { notes: texts });
  assert.deepEqual(categories.flatMap(({ notes }) => notes).sort(), [0, 1, 2]);
  const fewer = await by(["error-analysis:execute"], 200, "POST", "/api/error-analysis/consolidate-categories", { categories });
  assert.equal(fewer.method, "deterministic");
});

test("a row of a hundred columns is changed, and one that grows beyond its chunk, too", async () => {
  const wide = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`c${index}`, { n: index }]));
  const { public_id } = await by(["datasets:write"], 201, "POST", "/api/datasets", { name: "wide", rows: [{ ...wide, c0: "before" }] });
  assert.deepEqual(await by(["datasets:write"], 200, "PATCH", `/api/datasets/${public_id}/rows/1`, wide), wide);
  const many = Array.from({ length: 45 }, (_, index) => ({ a: index }));
  const { public_id: grown } = await by(["datasets:write"], 201, "POST", "/api/datasets", { name: "grown", rows: many });
  const long = { a: "\u{1F600}".repeat(15_000) };
  for (let row = 1; row <= 45; row += 1) {
    const { status } = await call(app, "PATCH", `/api/datasets/${grown}/rows/${row}`, { key: owner, body: long });
    assert.equal(status, 200, `row ${row}`);
  }
  const page = await by(["datasets:read"], 200, "GET", `/api/datasets/${grown}/rows`);
  assert.deepEqual([page.row_ids, page.rows.every(({ a }) => a === long.a)], [many.map((_, index) => index + 1), true]);
});
