// Signing in, as far as only workerd can tell: the limit of attempts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bootstrap, call, create } from "./client.mjs";
import { start } from "./harness.mjs";

let app;
let first;
before(async () => {
  app = await start();
  first = (await bootstrap(app)).json;
});
after(() => app.close());

const visitor = (address) => ({ "cf-connecting-ip": address, origin: app.url });
const signIn = (address, key) =>
  app.fetch("/sign-in", { method: "POST", headers: visitor(address), body: new URLSearchParams({ key }) });

test("whoever tries too often is told to wait, from whichever address of his network, and nobody else is", async () => {
  const { id, key } = await create(app, first.key);
  await call(app, "DELETE", `/v1/keys/${id}`, { key: first.key });
  // What is counted is counted by the minute of the clock on the wall.
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 20_000) await new Promise((resolve) => setTimeout(resolve, left));
  for (let attempt = 0; attempt < 30; attempt += 1) {
    const answer = await signIn(`2001:db8:1:2::${attempt}`, key);
    assert.deepEqual([answer.status, /was revoked/.test(await answer.text())], [403, true], `${attempt}`);
  }
  const answer = await signIn("2001:db8:1:2::30", key);
  const html = await answer.text();
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [429, "60"]);
  assert.match(html, /<h1>Too many attempts<\/h1>/);
  assert.match(html, /Try again in a minute/);
  assert.ok(!html.includes(key));
  // Not even with what is good, nor by a link; elsewhere it goes on.
  const link = new URL(first.sign_in_link).pathname;
  const limited = [
    await signIn("2001:db8:1:2:ffff::", first.key),
    await app.fetch(link, { headers: visitor("2001:db8:1:2::") }),
    await app.fetch(link, { method: "POST", headers: visitor("2001:db8:1:2::") }),
  ];
  assert.deepEqual(limited.map((answer) => answer.status), [429, 429, 429]);
  assert.equal((await signIn("2001:db8:1:3::", first.key)).status, 303);
  assert.equal((await app.fetch(link, { method: "POST", headers: visitor("192.0.2.1") })).status, 303);
  assert.doesNotMatch(JSON.stringify(await app.logs()), /are not counted/);
});
