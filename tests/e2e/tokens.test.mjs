// Derived tokens with the platform's Ed25519: verified by a library for JWT, and by the one that follows the feed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createLocalJWKSet, createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from "jose";
import { Verifier } from "../../clients/typescript/index.js";
import { bootstrap, call, create } from "./client.mjs";
import { start } from "./harness.mjs";

const AUDIENCE = "https://orders.example.com";
const SECRETS = ["one-secret-of-at-least-32-characters", "two-secret-of-at-least-32-characters"];
let app, owner;
before(async () => {
  app = await start();
  owner = (await bootstrap(app)).json.key;
});
after(() => app.close());

const derive = async (key, body) => (await call(app, "POST", "/v1/tokens", { key, body: { audience: AUDIENCE, ...body } })).json.token;

test("a library for JWT verifies a token by the published keys alone", async () => {
  const { id, key } = await create(app, owner, { scopes: ["datasets:read", "results:read"] });
  const token = await derive(key, { scopes: ["datasets:read"], expires_in_seconds: 60 });
  const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", app.url));
  const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer: app.url, audience: AUDIENCE, algorithms: ["EdDSA"] });
  assert.deepEqual([payload.sub, payload.scope, payload.exp - payload.iat, protectedHeader.alg], [id, "datasets:read", 60, "EdDSA"]);
  await assert.rejects(jwtVerify(token, keys, { issuer: app.url, audience: "https://other.example.com" }), errors.JWTClaimValidationFailed);
  const [header, claims, signature] = token.split(".");
  const forged = `${header}.${Buffer.from(JSON.stringify({ ...payload, scope: "api-keys:write" })).toString("base64url")}.${signature}`;
  await assert.rejects(jwtVerify(forged, keys), errors.JWSSignatureVerificationFailed);
  assert.equal(claims.length > 0, true);
  const response = await app.fetch("/.well-known/jwks.json");
  assert.equal(response.headers.get("cache-control"), "public, max-age=300");
});

test("a token ends with its key within the bound, where the feed is followed", async () => {
  const { key: service } = await create(app, owner, { scopes: ["verifier"], kind: "org" });
  const { id, key } = await create(app, owner, { scopes: ["datasets:read"] });
  let ahead = 0;
  const asked = [];
  const verifier = new Verifier({
    url: app.url, key: service, clock: () => performance.now() + ahead,
    fetch: (url, init) => {
      asked.push(new URL(url).pathname);
      return fetch(url, init);
    },
  });
  const question = { audience: AUDIENCE, scopes: ["datasets:read"] };
  const token = await derive(key);
  assert.equal((await verifier.verifyToken(token, question)).key_id, id);
  asked.length = 0;
  for (let times = 0; times < 50; times += 1) assert.equal((await verifier.verifyToken(token, question)).valid, true);
  assert.deepEqual(asked, []);
  assert.equal((await call(app, "DELETE", `/v1/keys/${id}`, { key: owner })).status, 200);
  ahead += 5_001;
  await app.advance(5_001);
  assert.equal((await verifier.verifyToken(token, question)).code, "token_outdated");
  // A process that starts now knows that, too.
  const late = new Verifier({ url: app.url, key: service });
  assert.equal((await late.verifyToken(token, question)).code, "token_outdated");
});

test("a new signing key does not end the tokens of the one before", async () => {
  const [before, now] = await Promise.all([
    start({ vars: { TOKEN_SECRET: SECRETS[0] } }),
    start({ vars: { TOKEN_SECRET: SECRETS[1], TOKEN_SECRET_PREVIOUS: SECRETS[0] } }),
  ]);
  try {
    const first = (await bootstrap(before)).json.key;
    const { json } = await call(before, "POST", "/v1/tokens", { key: first, body: { audience: AUDIENCE, scopes: [] } });
    const keys = await (await now.fetch("/.well-known/jwks.json")).json();
    assert.equal(keys.keys[1].kid, decodeProtectedHeader(json.token).kid);
    assert.notEqual(keys.keys[0].kid, keys.keys[1].kid);
    await jwtVerify(json.token, createLocalJWKSet(keys), { audience: AUDIENCE });
  } finally {
    await Promise.all([before.close(), now.close()]);
  }
});
