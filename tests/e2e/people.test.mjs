// A person comes by a link and goes with all his keys, over real HTTP, D1 and several isolates' memories.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, call, rows, verify } from "./client.mjs";
import { start } from "./harness.mjs";

const PEOPLE = "/v1/organizations/self";

let app;
let owner;
before(async () => {
  app = await start();
  owner = (await bootstrap(app)).json.key;
});
after(() => app.close());

const invite = async (email) => {
  const answer = await call(app, "POST", `${PEOPLE}/invitations`, { key: owner, body: { email, role: "admin" } });
  assert.equal(answer.status, 201, JSON.stringify(answer.json));
  return answer.json;
};

test("the link of an invitation opens, lets one person in, and its key works until he is removed", async () => {
  const { token, link: page } = await invite("Ann@Acme.example");
  assert.match(await (await fetch(page)).text(), /Acme/);
  const link = page.replace("/invitations/", "/v1/invitations/");
  const opened = await fetch(link);
  assert.equal(opened.status, 200);
  const { organization, email, role } = await opened.json();
  assert.deepEqual({ organization, email, role }, { organization: "Acme", email: "ann@acme.example", role: "admin" });

  const accept = async () => {
    const response = await fetch(`${link}/accept`, { method: "POST", body: JSON.stringify({ key_name: "Ann's first" }) });
    return { status: response.status, json: await response.json() };
  };
  const answers = await Promise.all([accept(), accept()]);
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, 404]);
  const { key, user_id } = answers.find((answer) => answer.status === 201).json;
  assert.equal((await fetch(link)).status, 404);
  assert.equal((await call(app, "GET", `${PEOPLE}/members/${user_id}`, { key })).json.email, "ann@acme.example");
  assert.equal((await verify(app, owner, key, { scopes: ["datasets:read"] })).json.code, "valid");

  const removed = await call(app, "DELETE", `${PEOPLE}/members/${user_id}`, { key: owner });
  assert.deepEqual([removed.status, removed.json.max_staleness_ms], [200, 5000]);
  assert.equal((await call(app, "GET", "/v1/keys/self", { key })).code, "user_removed");
  assert.equal((await verify(app, owner, key)).json.code, "user_removed");
  for (const table of ["invitations", "audit_events", "users", "keys"]) {
    assert.ok(!JSON.stringify(await rows(app, `SELECT * FROM ${table}`)).includes(token.slice(-49, -6)), table);
  }
});

test("no token stands in a log, also when D1 fails under it", async () => {
  const { token, link } = await invite("bob@acme.example");
  await app.fail("DB.batch", { message: "D1_ERROR: Network connection lost." });
  assert.equal((await fetch(link.replace("/invitations/", "/v1/invitations/"))).status, 503);
  const logs = JSON.stringify(await app.logs());
  assert.match(logs, /\/v1\/invitations\/:token failed/);
  assert.ok(!logs.includes(token.slice(-49, -6)));
});

test("a team is filled and ended, and answers without a body where there is nothing to say", async () => {
  const made = await call(app, "POST", `${PEOPLE}/teams`, { key: owner, body: { name: "red" } });
  const { user_id } = (await call(app, "GET", "/v1/keys/self", { key: owner })).json;
  const send = (method, path) => app.fetch(path, { method, headers: { authorization: `Bearer ${owner}` } });
  const team = `${PEOPLE}/teams/${made.json.id}`;
  assert.equal((await send("PUT", `${team}/members/${user_id}`)).status, 204);
  assert.deepEqual((await call(app, "GET", team, { key: owner })).json.members.map((member) => member.user_id), [user_id]);
  assert.equal((await send("DELETE", team)).status, 200);
  assert.equal((await call(app, "GET", team, { key: owner })).status, 404);
});
