// Cloudflare Access as it is in production: keys of RSA, signatures checked by workerd's own cryptography, and the
// team's keys from its https address, for which this test answers.
import assert from "node:assert/strict";
import { constants, createHmac, sign } from "node:crypto";
import { after, before, test } from "node:test";
import { bootstrap, rows } from "./client.mjs";
import { start } from "./harness.mjs";
import { DOMAIN, VARS, certs, jwk, pair, signed, text as said } from "./team.mjs";

const [first, second, strangers] = [pair(), pair(4096), pair()];

let app;
let owner;
let asked = [];
let answer = () => certs(jwk("first", first));

before(async () => {
  app = await start({
    vars: VARS,
    internet: (request) => {
      asked.push(`${request.method} ${request.url}`);
      return answer(request);
    },
  });
  owner = (await bootstrap(app)).json.user_id;
});
after(() => app.close());

const text = async (claims, header) => said("Owner@Acme.example", await app.now(), claims, header);

// Each time from another address, because one has so many attempts.
let people = 0;
const from = (token) => ({ "cf-access-jwt-assertion": token, "cf-connecting-ip": `192.0.2.${(people += 1)}` });

const show = async (token) => {
  const response = await app.fetch("/sign-in", { headers: from(token) });
  return { status: response.status, html: await response.text() };
};
const signIn = (token) =>
  app.fetch("/sign-in/access", {
    method: "POST",
    headers: { ...from(token), origin: app.url },
    body: new URLSearchParams({ user: owner, to: "/settings/devices" }),
  });
/** What came of asking for the page: whether it knows the owner, or its status. */
const known = async (token) => {
  const { status, html } = await show(token);
  return status === 200 ? /Go on to Acme/.test(html) : status;
};
const minutes = (count) => app.advance(count * 60_000);

test("whoever Access has let through is signed in with a click, and the team's keys are read once", async () => {
  const token = signed(await text(), first);
  const { status, html } = await show(token);
  assert.deepEqual([status, /owner@acme\.example/.test(html)], [200, true]);
  const begun = await signIn(token);
  assert.deepEqual([begun.status, begun.headers.get("location")], [303, "/settings/devices"]);
  const [cookie] = begun.headers.get("set-cookie").split(";");
  assert.equal((await app.fetch("/settings/devices", { headers: { cookie } })).status, 200);
  const [event] = await rows(app, "SELECT details FROM audit_events WHERE action = 'session.created'");
  assert.equal(JSON.parse(event.details).by, "cloudflare_access");
  assert.deepEqual(asked, [`GET https://${DOMAIN}/cdn-cgi/access/certs`]);
});

test("a token that the team has not signed just so signs nobody in, and costs no request", async () => {
  asked = [];
  const good = await text();
  const [, , signature] = signed(good, first).split(".");
  const hs256 = await text({}, { alg: "HS256" });
  const shared = (secret) => `${hs256}.${createHmac("sha256", secret).update(hs256).digest("base64url")}`;
  const tokens = {
    "another's key under the same id": signed(good, strangers),
    "other claims": `${await text({ email: "owner@acme.example" })}.${signature}`,
    "no signature": `${good}.`,
    "a short signature": `${good}.${signature.slice(0, 300)}`,
    "a long signature": `${good}.${signature}AAAA`,
    "another padding": signed(good, first, { padding: constants.RSA_PKCS1_PSS_PADDING }),
    "another hash": `${good}.${sign("sha512", Buffer.from(good), first.privateKey).toString("base64url")}`,
    "no algorithm": `${await text({}, { alg: "none" })}.`,
    "the public key as a shared secret": shared(first.publicKey.export({ type: "spki", format: "pem" })),
    "the modulus as a shared secret": shared(first.publicKey.export({ format: "jwk" }).n),
    "a key of its own": signed(await text({}, { jwk: jwk("first", strangers) }), strangers),
    "another application": signed(await text({ aud: ["f".repeat(64)] }), first),
    "another team": signed(await text({ iss: "https://evil.cloudflareaccess.com" }), first),
    "it is over": signed(await text({ exp: Math.floor((await app.now()) / 1000) - 1 }), first),
    "a program's": signed(await text({ email: undefined, common_name: "a program" }), first),
  };
  for (const [what, token] of Object.entries(tokens)) {
    const { status, html } = await show(token);
    assert.ok(status === 200 && html.includes("is not valid here") && !html.includes("Go on to"), what);
    const answer = await signIn(token);
    assert.deepEqual([answer.status, answer.headers.get("location"), answer.headers.get("set-cookie")], [303, "/sign-in", null], what);
  }
  assert.deepEqual(asked, []);
});

test("a new key of the team is found, an id that nobody has is not asked for again and again", async () => {
  await minutes(60);
  const [old, strange] = [signed(await text({}), first), signed(await text({}, { kid: "nobody's" }), strangers)];
  assert.equal(await known(old), true);
  await minutes(1);
  asked = [];
  answer = () => certs(jwk("second", second), jwk("first", first));
  const rotated = signed(await text({}, { kid: "second" }), second);
  assert.deepEqual([await known(rotated), await known(old), asked.length], [true, true, 1]);
  await minutes(1);
  asked = [];
  for (let times = 0; times < 5; times += 1) assert.equal(await known(strange), false);
  assert.equal(asked.length, 1);
});

test("without the team's keys the answer is 503, and nothing is made of what is no set of keys", async () => {
  const answers = {
    "it is down": () => new Response("no", { status: 500 }),
    "it points elsewhere": () => new Response(null, { status: 302, headers: { location: "https://evil.example/certs" } }),
    "it is no JSON": () => new Response("<html>"),
    "it is too long": () => new Response(JSON.stringify({ keys: [jwk("first", first)], public_cert: "x".repeat(100_000) })),
    "it does not answer": () => new Promise((resolve) => setTimeout(resolve, 500, certs(jwk("first", first)))),
  };
  await app.limitTimers(100);
  for (const [what, act] of Object.entries(answers)) {
    await minutes(60);
    asked = [];
    answer = act;
    const token = signed(await text(), first);
    assert.deepEqual([await known(token), await known(token), asked.length], [503, 503, 1], what);
  }
  await app.limitTimers(null);
  await minutes(1);
  answer = () => certs(jwk("first", first));
  assert.equal(await known(signed(await text(), first)), true);
});
