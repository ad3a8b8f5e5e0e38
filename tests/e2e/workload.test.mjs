// Workloads: tokens of an issuer, with the signatures that workloads have, exchanged for keys. workerd's own cryptography
// checks them, and its own fetch reads the issuer's keys.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { bootstrap, call, rows, verify } from "./client.mjs";
import { start } from "./harness.mjs";
import { issuer as startIssuer, jwk, pair } from "./issuer.mjs";

let app;
let owner;
let issuer;
let trust;

const create = async (otherwise = {}) => {
  const body = {
    name: "deployments",
    issuer: issuer.url,
    audience: "https://keys.example.com",
    claims: { sub: "repo:acme/web:*" },
    scopes: ["datasets:read"],
    expires_in_seconds: 600,
    ...otherwise,
  };
  const answer = await call(app, "POST", "/v1/organizations/self/trusts", { key: owner.key, body });
  assert.equal(answer.status, 201, JSON.stringify(answer.json));
  return answer.json.id;
};

before(async () => {
  app = await start();
  owner = (await bootstrap(app)).json;
  issuer = await startIssuer(app.now);
  trust = await create();
});
after(async () => {
  issuer.close();
  await app.close();
});

// Each time from another address, because one has so many attempts.
let addresses = 0;
const exchange = async (token, fields = {}) => {
  const response = await app.fetch("/v1/tokens/exchange", {
    method: "POST",
    headers: { "cf-connecting-ip": `192.0.2.${(addresses += 1) % 250}` },
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      subject_token: token,
      audience: trust,
      ...fields,
    }),
  });
  assert.equal(response.headers.get("cache-control"), "no-store");
  return { status: response.status, json: await response.json() };
};
const refused = async (token, what, fields) => {
  const { status, json } = await exchange(token, fields);
  assert.deepEqual([status, json.error], [400, "invalid_grant"], `${what}: ${JSON.stringify(json)}`);
};
const tokens = async (count) => Promise.all(Array.from({ length: count }, async () => issuer.token(await issuer.claims())));

for (const [index, alg] of ["RS256", "ES256", "EdDSA"].entries()) {
  test(`a token with a signature of ${alg} is exchanged for a key that works`, async () => {
    const { status, json } = await exchange(issuer.token(await issuer.claims(), issuer.keys[index]));
    assert.deepEqual([status, json.token_type, json.expires_in, json.scope], [200, "Bearer", 600, "datasets:read"], JSON.stringify(json));
    const answer = await verify(app, owner.key, json.access_token, { scopes: ["datasets:read"] });
    assert.equal(answer.json.valid, true);
    const own = await call(app, "GET", "/v1/keys/self", { key: json.access_token });
    assert.deepEqual([own.json.kind, own.json.name, own.json.created_by], ["org", "repo:acme/web:ref:refs/heads/main", trust]);
  });
}

test("what does not match, or is not signed just so, gives no key", async () => {
  const claims = await issuer.claims();
  const at = claims.iat;
  const [rsa, ec] = issuer.keys;
  const good = issuer.token(claims);
  const [head, body, signature] = good.split(".");
  const none = Buffer.from(JSON.stringify({ alg: "none", kid: "RS256" })).toString("base64url");
  const hs = `${Buffer.from(JSON.stringify({ alg: "HS256", kid: "RS256" })).toString("base64url")}.${body}`;
  const shared = (secret) => `${hs}.${createHmac("sha256", secret).update(hs).digest("base64url")}`;
  const other = async (otherwise) => issuer.token(await issuer.claims(otherwise));
  const all = {
    "another audience": await other({ aud: "https://other.example" }),
    "another subject": await other({ sub: "repo:acme/website:ref:refs/heads/main" }),
    "another issuer": await other({ iss: "https://token.actions.githubusercontent.com" }),
    "it has expired": await other({ exp: at - 1 }),
    "it is not valid yet": await other({ nbf: at + 300 }),
    "it is too old": await other({ iat: at - 3700, exp: at + 300 }),
    "no algorithm": `${none}.${body}.`,
    "no algorithm, but a signature": `${none}.${body}.${signature}`,
    "the public key as a shared secret": shared(rsa.publicKey.export({ type: "spki", format: "pem" })),
    "the modulus as a shared secret": shared(rsa.publicKey.export({ format: "jwk" }).n),
    "another's key under the same id": issuer.token(claims, pair("RS256")),
    "the key of another algorithm": issuer.token(claims, ec, { kid: "RS256" }),
    "another algorithm for the same key": issuer.token(claims, ec, { alg: "RS256" }),
    "a key of its own": issuer.token(claims, pair("RS256"), { jwk: jwk(pair("RS256")) }),
    "an id that nobody has": issuer.token(claims, pair("RS256", "nobody's")),
    "other claims": `${head}.${Buffer.from(JSON.stringify({ ...claims, jti: "x" })).toString("base64url")}.${signature}`,
    "no signature": `${head}.${body}.`,
    "a short signature": `${head}.${body}.${signature.slice(0, 100)}`,
    "no token": "x",
  };
  const before = await rows(app, "SELECT id FROM keys");
  for (const [what, token] of Object.entries(all)) await refused(token, what);
  await refused(good, "another organization's trust", { audience: "01900000-0000-7000-8000-000000000001" });
  assert.equal((await rows(app, "SELECT id FROM keys")).length, before.length);
  assert.equal((await exchange(good)).status, 200, "none of this has used up the token");
});

test("a token for another organization gives no key", async () => {
  const made = await call(app, "POST", "/v1/organizations", {
    key: owner.key,
    body: { name: "Others", email: "owner@others.example", key_name: "first" },
  });
  const body = { name: "theirs", issuer: issuer.url, audience: "https://others.example", claims: { sub: "repo:acme/web:*" }, scopes: ["datasets:read"] };
  const theirs = await call(app, "POST", "/v1/organizations/self/trusts", { key: made.json.key.key, body });
  assert.equal(theirs.status, 201, JSON.stringify(theirs.json));
  await refused(issuer.token(await issuer.claims()), "ours", { audience: theirs.json.id });
  const token = issuer.token(await issuer.claims({ aud: "https://others.example" }));
  await refused(token, "theirs");
  const { json } = await exchange(token, { audience: theirs.json.id });
  assert.equal((await call(app, "GET", "/v1/keys/self", { key: json.access_token })).json.organization_id, made.json.organization.id);
});

test("of twenty exchanges of one token at once exactly one succeeds", async () => {
  const [token] = await tokens(1);
  const answers = await Promise.all(Array.from({ length: 20 }, () => exchange(token)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(19).fill(400)]);
  await refused(token, "later");
});

test("the issuer's keys are kept, a new one is found, and one that is gone is believed no more", async () => {
  issuer.asked = [];
  for (const token of await tokens(3)) assert.equal((await exchange(token)).status, 200);
  assert.deepEqual(issuer.asked, []);
  const old = issuer.keys[0];
  issuer.keys = [pair("RS256", "next"), ...issuer.keys.slice(1)];
  await app.advance(11_000);
  assert.equal((await exchange(issuer.token(await issuer.claims()))).status, 200);
  assert.deepEqual(issuer.asked, ["/.well-known/openid-configuration", "/jwks"]);
  await refused(issuer.token(await issuer.claims(), old), "the key that is gone");
  issuer.asked = [];
  for (let times = 0; times < 5; times += 1) await refused(issuer.token(await issuer.claims(), pair("ES256", `no ${times}`)), "unknown");
  assert.ok(issuer.asked.length <= 2, issuer.asked.join(" "));
});

test("an issuer that does not answer well gives 503, and is asked again some seconds later", async () => {
  const json = (response, value) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
  const at = (path, act) => (url, response) => url.pathname === path && (act(response), true);
  const answers = {
    "its keys are huge": at("/jwks", (response) => json(response, { keys: issuer.keys.map(jwk), x: "x".repeat(1_000_000) })),
    "its keys are elsewhere": at("/jwks", (response) => response.writeHead(302, { location: `${issuer.url}/other` }).end()),
    "its metadata are elsewhere": at("/.well-known/openid-configuration", (response) => response.writeHead(301, { location: `${issuer.url}/other` }).end()),
    "its metadata are another's": at("/.well-known/openid-configuration", (response) => json(response, { issuer: "https://other.example", jwks_uri: `${issuer.url}/jwks` })),
    "its keys are not JSON": at("/jwks", (response) => response.end("<html>")),
    "it breaks off": (_, response) => (response.destroy(), true),
    "it fails": (_, response) => (response.writeHead(500).end(), true),
  };
  for (const [what, answer] of Object.entries(answers)) {
    await app.advance(61 * 60_000);
    issuer.answer = answer;
    const [token] = await tokens(1);
    const { status, json } = await exchange(token);
    assert.deepEqual([status, json.error], [503, "unavailable"], `${what}: ${JSON.stringify(json)}`);
    issuer.answer = undefined;
    assert.equal((await exchange(token)).status, 503, "not at once");
    await app.advance(11_000);
    assert.equal((await exchange(token)).status, 200, what);
  }
});

test("the end of a trust ends its keys everywhere", async () => {
  const own = await create();
  const { json } = await exchange(issuer.token(await issuer.claims()), { audience: own });
  assert.equal((await verify(app, owner.key, json.access_token)).json.valid, true);
  const ended = await call(app, "DELETE", `/v1/organizations/self/trusts/${own}`, { key: owner.key });
  assert.equal(ended.status, 200, JSON.stringify(ended.json));
  assert.equal((await call(app, "GET", "/v1/keys/self", { key: json.access_token })).code, "key_revoked");
  await refused(issuer.token(await issuer.claims()), "the trust is gone", { audience: own });
});

test("the sweep deletes the keys of trusts three days after they expired, and the tokens with them", async () => {
  await app.advance(4 * 24 * 60 * 60_000);
  await app.scheduled("*/5 * * * *", await app.now());
  const [left] = await rows(app, "SELECT (SELECT count(*) FROM keys WHERE trust_id IS NOT NULL) AS keys, (SELECT count(*) FROM exchanged_tokens) AS tokens");
  assert.deepEqual(left, { keys: 0, tokens: 0 });
});
