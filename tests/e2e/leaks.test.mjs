// Reports of GitHub's secret scanning, as far as only workerd can tell: a real signature on P-256.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { after, before, test } from "node:test";
import { bootstrap, call, create } from "./client.mjs";
import { start } from "./harness.mjs";

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
let app;
let first;
let asked = [];
before(async () => {
  app = await start({
    internet: (request) => {
      asked.push([request.url, request.headers.get("user-agent")]);
      const key = publicKey.export({ type: "spki", format: "pem" });
      return Response.json({ public_keys: [{ key_identifier: "one", key, is_current: true }] });
    },
  });
  first = (await bootstrap(app)).json;
});
after(() => app.close());

const report = (body, signature, keyId = "one") =>
  app.fetch("/v1/leaks/github", {
    method: "POST",
    headers: { "github-public-key-identifier": keyId, "github-public-key-signature": signature },
    body,
  });

test("a report that GitHub has signed ends the key, and any other ends nothing", async () => {
  const { key } = await create(app, first.key);
  const body = JSON.stringify([{ token: key, type: "bitting_key", url: "https://github.com/a/b", source: "content" }]);
  const signature = sign("sha256", Buffer.from(body), privateKey).toString("base64");
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const forged = sign("sha256", Buffer.from(body), stranger).toString("base64");
  for (const [text, by, id] of [[body, forged], [body, ""], [`${body} `, signature], [body, signature, "two"]]) {
    const answer = await report(text, by, id);
    assert.deepEqual([answer.status, (await answer.json()).error.code], [403, "invalid_signature"]);
  }
  assert.equal((await call(app, "GET", "/v1/keys/self", { key })).status, 200);
  // A number of a signature has up to 33 bytes in DER, and fewer if it begins with zeros.
  for (let attempt = 0; attempt < 12; attempt += 1) {
    const text = JSON.stringify([{ token: `nothing ${attempt}`, type: "x", url: null }]);
    const answer = await report(text, sign("sha256", Buffer.from(text), privateKey).toString("base64"));
    assert.deepEqual([answer.status, (await answer.json())[0]?.label], [200, "false_positive"], `${attempt}`);
  }
});

test("the verdict names a key by its digest, and the keys of GitHub are read once", async () => {
  const { key } = await create(app, first.key);
  const body = JSON.stringify([{ token: key, type: "bitting_key", url: "https://github.com/a/b" }]);
  const answer = await report(body, sign("sha256", Buffer.from(body), privateKey).toString("base64"));
  const token_hash = createHash("sha256").update(key).digest("base64");
  assert.deepEqual([answer.status, await answer.json()], [200, [{ token_hash, token_type: "bitting_key", label: "true_positive" }]]);
  assert.equal((await call(app, "GET", "/v1/keys/self", { key })).json.error.code, "key_revoked");
  assert.deepEqual(asked, [["https://api.github.com/meta/public_keys/secret_scanning", "bitting"]]);
});
