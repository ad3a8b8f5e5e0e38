// The TypeScript library: the rules of the feed, what breaking them does, the package, and the real Worker.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import expressApp from "express";
import { convertV4MiniflareOptions, Miniflare, Response as MiniflareResponse } from "miniflare";
import { OPERATOR_SECRET, start } from "../e2e/harness.mjs";
import { broken } from "./conformance.mjs";
import { typescript } from "./drivers.mjs";

const run = promisify(execFile);
const library = fileURLToPath(new URL("../../clients/typescript", import.meta.url));
const { Verifier, bearer } = await import(join(library, "index.js"));
const vectors = JSON.parse(readFileSync(new URL("../vectors/key_text.json", import.meta.url)));
const KEY = vectors.texts[0].text;

const folders = [];
function folder() {
  folders.push(mkdtempSync(join(tmpdir(), "bitting-")));
  return folders.at(-1);
}
after(() => folders.forEach((path) => rmSync(path, { recursive: true })));

test("the library keeps the rules of the feed", async () => {
  assert.deepEqual(await broken(await typescript(library), 2_000), []);
});

// Each takes one rule out of a copy of the library.
const MUTATIONS = {
  "a later change of a subject is not looked at": ["copies.js", "return newest > seq ? newest : 0;", "return this.#base > seq ? this.#base : 0;"],
  "an answer from before the base is believed": ["copies.js", "Math.max(this.#base, ...newer)", "Math.max(0, ...newer)"],
  "the age of the feed counts from the answer": ["index.js", "hear(answer, after, sentAt)", "hear(answer, after, this.#now())"],
  "the age of an answer counts from the answer": ["index.js", "keep(name, answer, sentAt)", "keep(name, answer, this.#now())"],
  "the age that Bitting tells is not added": ["copies.js", "sentAt - answer.age_ms", "sentAt"],
  "gaps are ignored": ["copies.js", "if (this.#base === undefined || !isWhole) {", "if (this.#base === undefined) {"],
  "an answer that was overtaken is applied": ["copies.js", "if (answer.head < this.head) return;", ""],
  "the feed vouches however old it is": ["copies.js", "&& this.feedAgeMs(now) <= this.boundMs", ""],
  "the feed vouches for answers from beyond its head": ["copies.js", "seq <= this.head && ", ""],
  "an answer is fresh for ever": ["copies.js", "elapsedMs < freshForMs && elapsedMs + ageMs < this.boundMs", "true"],
  "the older of two answers stays": ["copies.js", ".answer.seq > answer.seq) return;", ".answer.seq < answer.seq) return;"],
  "an end is not looked at": ["copies.js", "elapsedMs >= answer.ends_in_ms", "false"],
  "a bound of 0 is not looked at": ["copies.js", "this.boundMs > 0 && ", ""],
  "a token is believed whatever has changed since": ["copies.js", 'return this.#newerThan(claims) > 0 ? "token_outdated" : "valid";', 'return "valid";'],
  "a token is believed however old the feed is": ["copies.js", " || this.feedAgeMs(now) > limitMs", ""],
  "a token from before what is known is believed": ["copies.js", "newest > seq ? newest : 0", "Math.max(0, ...newer) > seq ? newest : 0"],
  "nothing is kept": ["copies.js", "this.#entries.set(name, { answer, sentAt, askedAt: sentAt });", ""],
};

for (const [name, [file, rule, instead]] of Object.entries(MUTATIONS)) {
  test(`conformance fails if ${name}`, async () => {
    const copy = folder();
    cpSync(library, copy, { recursive: true });
    const text = readFileSync(join(copy, file), "utf8");
    assert.equal(text.split(rule).length, 2, `${file} has \`${rule}\` once`);
    writeFileSync(join(copy, file), text.replace(rule, instead));
    assert.notDeepEqual(await broken(await typescript(copy), 2_000), []);
  });
}

describe("a verifier", () => {
  // Bitting, with these answers to verifications; by itself it knows no changes.
  function scene({ answer = {}, fails = () => false, options } = {}) {
    const asked = [];
    const world = { now: 1_000, asked, changes: [], head: 7 };
    world.verifier = new Verifier({
      url: "https://bitting.example/", key: "own", clock: () => world.now, ...options,
      fetch: async (url, init) => {
        asked.push(new URL(url).pathname);
        if (fails(asked.at(-1))) throw new TypeError("fetch failed");
        assert.equal(init.headers.authorization, "Bearer own");
        const body = init.body
          ? { valid: true, code: "valid", scopes: ["orders:read", "users:*"], seq: world.head, subjects: ["a"], age_ms: 0, fresh_for_ms: 5_000, ends_in_ms: null, ...answer }
          : { base: world.head, head: world.head, age_ms: 0, max_staleness_ms: 5_000, changes: world.changes };
        return Response.json(body);
      },
    });
    world.verify = async (scopes, key = KEY) => {
      const verdict = await world.verifier.verify(key, { scopes });
      await new Promise(setImmediate);
      return verdict;
    };
    return world;
  }

  test("asks nothing for a warm key, and polls the feed once in half the bound", async () => {
    const world = scene();
    assert.equal((await world.verify()).valid, true);
    assert.deepEqual(world.asked.splice(0), ["/v1/keys/verify", "/v1/feed"]);
    for (let at = 0; at < 100; at += 1) await world.verify();
    assert.deepEqual(world.asked, []);
    world.now += 2_501;
    await Promise.all(Array.from({ length: 100 }, () => world.verify()));
    assert.deepEqual(world.asked, ["/v1/feed"]);
  });

  test("asks once for callers that come together", async () => {
    const world = scene();
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => world.verify()));
    assert.equal(verdicts.every(({ valid }) => valid), true);
    assert.deepEqual(world.asked, ["/v1/keys/verify", "/v1/feed"]);
  });

  test("asks about a key with conditions each time, for each client, and joins no others", async () => {
    const asked = [];
    const fetch = async (url, init) => {
      if (!init.body) return Response.json({ base: 7, head: 7, age_ms: 0, max_staleness_ms: 5_000, changes: [] });
      const { client } = JSON.parse(init.body);
      asked.push(client?.ip);
      const valid = client?.ip === "192.0.2.7";
      const code = valid ? "valid" : "conditions_not_met";
      return Response.json({ valid, code, scopes: [], seq: 7, subjects: ["a"], age_ms: 0, fresh_for_ms: 0, ends_in_ms: null, conditional: true });
    };
    const verifier = new Verifier({ url: "https://bitting.example", key: "own", fetch });
    const verify = async (ip) => (await verifier.verify(KEY, ip && { client: { ip } })).status;
    const ips = ["192.0.2.7", "198.51.100.9", "192.0.2.7", undefined];
    assert.deepEqual(await Promise.all(ips.map(verify)), [200, 403, 200, 403]);
    const together = asked.splice(0).length;
    assert.ok(together >= 3, String(together));
    for (const ip of ips) assert.equal(await verify(ip), ip === "192.0.2.7" ? 200 : 403);
    assert.deepEqual(asked, ips);
    assert.equal(verifier.size, 0);
  });

  test("judges scopes itself", async () => {
    const world = scene();
    const missing = async (...scopes) => (await world.verify(scopes)).missing_scopes;
    assert.equal(await missing("orders:read", "users:write", "users:*"), undefined);
    assert.deepEqual(await missing("orders:write", "orders:*", "use:read", "users2:read"), ["orders:write", "orders:*", "use:read", "users2:read"]);
    const { valid, code, status } = await world.verify(["orders:write"]);
    assert.deepEqual({ valid, code, status }, { valid: false, code: "insufficient_scope", status: 403 });
    assert.equal((await scene({ answer: { scopes: null } }).verify(["anything:at-all"])).valid, true);
    assert.equal((await scene({ answer: { scopes: [] } }).verify(["orders:read"])).valid, false);
    // A key that is not valid is told that first.
    assert.equal((await scene({ answer: { valid: false, code: "key_revoked" } }).verify(["orders:write"])).code, "key_revoked");
  });

  test("is closed when Bitting cannot be asked", async () => {
    let down = false;
    const errors = [];
    const world = scene({ fails: () => down, options: { onError: (error) => errors.push(error.message) } });
    await world.verify();
    down = true;
    world.now += 4_999;
    assert.equal((await world.verify()).valid, true);
    world.now += 2;
    const { valid, code, status } = await world.verify();
    assert.deepEqual({ valid, code, status }, { valid: false, code: "unavailable", status: 503 });
    assert.ok(errors.includes("fetch failed"));
    down = false;
    assert.equal((await world.verify()).valid, true);
  });

  test("asks each time if nothing may be kept", async () => {
    const world = scene({ options: { maxStalenessMs: 0 } });
    for (let times = 0; times < 3; times += 1) assert.equal((await world.verify()).valid, true);
    assert.deepEqual(world.asked, Array(3).fill("/v1/keys/verify"));
  });

  test("keeps a key that nobody has for the bound", async () => {
    const world = scene({ answer: { valid: false, code: "invalid_api_key", seq: undefined, subjects: undefined, fresh_for_ms: undefined, age_ms: undefined } });
    assert.equal((await world.verify()).status, 401);
    world.asked.length = 0;
    world.now += 4_999;
    assert.equal((await world.verify()).code, "invalid_api_key");
    assert.deepEqual(world.asked, ["/v1/feed"]);
    world.now += 2;
    await world.verify();
    assert.deepEqual(world.asked.slice(1), ["/v1/keys/verify"]);
  });

  test("refuses what is no key without asking", async () => {
    const world = scene();
    for (const { text } of vectors.texts) assert.equal((await world.verify([], text)).valid, true, text);
    world.asked.length = 0;
    for (const text of ["", null, undefined]) assert.equal((await world.verifier.verify(text)).code, "missing_api_key");
    for (const text of [`${KEY.slice(0, -1)}5`, `${KEY}0`, ` ${KEY}`, `${KEY}\n`, "x".repeat(1_000_000), 7, {}]) {
      assert.equal((await world.verify([], text)).code, "malformed_api_key");
    }
    assert.deepEqual(world.asked, []);
  });

  test("keeps no more keys than it may, and drops the one that was not used for longest", async () => {
    const world = scene({ options: { maxKeys: 2 } });
    const [a, b, c] = [KEY, vectors.texts[1].text, vectors.generated[0].text === KEY ? vectors.generated.at(-1).text : vectors.generated[0].text];
    assert.equal(new Set([a, b, c]).size, 3);
    for (const key of [a, b, a, c]) await world.verify([], key);
    assert.equal(world.verifier.size, 2);
    world.asked.length = 0;
    await world.verify([], a);
    assert.deepEqual(world.asked, []);
    await world.verify([], b);
    assert.deepEqual(world.asked, ["/v1/keys/verify"]);
  });

  test("tells Bitting of a key's use every ten minutes", async () => {
    const world = scene();
    await world.verify();
    for (let seconds = 0; seconds < 600; seconds += 2) {
      world.now += 2_000;
      await world.verify();
    }
    assert.equal(world.asked.filter((path) => path === "/v1/keys/verify").length, 1);
    for (let times = 0; times < 10; times += 1) {
      world.now += 100;
      await world.verify();
    }
    assert.equal(world.asked.filter((path) => path === "/v1/keys/verify").length, 2);
  });

  test("gives answers that nobody can change", async () => {
    const world = scene({ answer: { metadata: { plan: "free" } } });
    const verdict = await world.verify();
    assert.throws(() => { verdict.metadata.plan = "pro"; }, TypeError);
    assert.throws(() => { verdict.scopes.push("all:*"); }, TypeError);
    verdict.valid = false;
    assert.equal((await world.verify()).valid, true);
  });

  test("reads the key of a header", () => {
    assert.equal(bearer("bearer  abc"), "abc");
    for (const header of [undefined, null, "", "Bearer", "Basic abc", "Bearer a b"]) assert.equal(bearer(header), undefined, header);
  });
});

describe("a token", async () => {
  const { privateKey, publicKey } = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const { x } = await crypto.subtle.exportKey("jwk", publicKey);
  const AUDIENCE = "https://orders.example.com";
  const encode = (part) => Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");

  async function sign(claims = {}, header = {}, key = privateKey) {
    const all = { iss: "https://bitting.example", aud: AUDIENCE, exp: 1_300, scope: "orders:read users:*", sub: "key", kind: "pat", organization_id: "o", seq: 7, subjects: ["a"], ...claims };
    const input = `${encode({ alg: "EdDSA", kid: "one", typ: "JWT", ...header })}.${encode(all)}`;
    return `${input}.${Buffer.from(await crypto.subtle.sign("Ed25519", key, Buffer.from(input))).toString("base64url")}`;
  }

  // Bitting, whose changes these are; its isolate reaches back to `reach`.
  function scene({ head = 7, changes = [], reach = 1, bound = 5_000 } = {}) {
    const asked = [];
    const world = { now: 1_000, asked, head, changes, keys: [{ kty: "OKP", crv: "Ed25519", kid: "one", x, alg: "EdDSA" }], down: false };
    world.verifier = new Verifier({
      url: "https://bitting.example/", key: "own", clock: () => world.now, wallClock: () => 1_000_000 + world.now,
      fetch: async (url) => {
        const { pathname, searchParams } = new URL(url);
        asked.push(pathname);
        if (world.down) throw new TypeError("fetch failed");
        if (pathname.endsWith("jwks.json")) return Response.json({ keys: world.keys });
        const after = Number(searchParams.get("after") ?? world.head);
        const isWhole = after >= reach;
        const news = isWhole ? world.changes.filter(([seq]) => seq > after) : [];
        return Response.json({ base: isWhole ? Math.min(after, world.head) : world.head, head: world.head, age_ms: 0, max_staleness_ms: bound, changes: news });
      },
    });
    world.code = async (token, options) => {
      const { code } = await world.verifier.verifyToken(token, { audience: AUDIENCE, ...options });
      await new Promise(setImmediate);
      return code;
    };
    return world;
  }

  test("is verified without a question while the feed is young", async () => {
    const world = scene({ head: 9, changes: [[8, "other"], [9, "another"]] });
    const token = await sign();
    const { valid, key_id, owner, scopes, status } = await world.verifier.verifyToken(token, { audience: AUDIENCE, scopes: ["users:write"] });
    assert.deepEqual({ valid, key_id, scopes, status }, { valid: true, key_id: "key", scopes: ["orders:read", "users:*"], status: 200 });
    assert.equal(owner.organization_id, "o");
    // A process that has just started reads the feed from the token on.
    assert.deepEqual(world.asked.splice(0), ["/.well-known/jwks.json", "/v1/feed"]);
    for (let times = 0; times < 100; times += 1) assert.equal(await world.code(token), "valid");
    assert.deepEqual(world.asked, []);
    assert.equal(await world.code(token, { scopes: ["orders:write"] }), "insufficient_scope");
    // So is one of a moment ago, and one from before what is known.
    assert.equal(await world.code(await sign({ seq: 12 })), "valid");
    assert.deepEqual(world.asked, []);
    assert.equal(await world.code(await sign({ seq: 3 })), "valid");
    assert.deepEqual(world.asked, ["/v1/feed"]);
  });

  test("ends with a change of its subjects within the bound, and when nobody can tell", async () => {
    const world = scene();
    const token = await sign();
    assert.equal(await world.code(token), "valid");
    [world.head, world.changes] = [8, [[8, "a"]]];
    world.now += 2_600;
    await world.code(token);
    assert.equal(await world.code(token), "token_outdated");
    assert.equal(await world.code(await sign({ seq: 8 })), "valid");
    world.down = true;
    world.now += 5_001;
    assert.equal(await world.code(await sign({ seq: 8 })), "unavailable");
  });

  test("from before all that Bitting can tell is outdated, and costs one question", async () => {
    const world = scene({ head: 20, reach: 15 });
    for (let times = 0; times < 5; times += 1) assert.equal(await world.code(await sign()), "token_outdated");
    assert.deepEqual(world.asked, ["/.well-known/jwks.json", "/v1/feed"]);
    assert.equal(await world.code(await sign({ seq: 17 })), "valid");
  });

  test("asks each time if nothing may be kept", async () => {
    const world = scene({ bound: 0 });
    for (let times = 0; times < 3; times += 1) assert.equal(await world.code(await sign()), "valid");
    assert.equal(world.asked.filter((path) => path === "/v1/feed").length, 3);
  });

  test("is refused if anything about it is wrong", async () => {
    const world = scene();
    const stranger = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    const [header, claims, signature] = (await sign()).split(".");
    const mac = (key) => createHmac("sha256", key).update(`${encode({ alg: "HS256", kid: "one" })}.${claims}`).digest("base64url");
    for (const [token, expected] of [
      ["", "missing_token"], [undefined, "missing_token"], ["a.b", "malformed_token"], ["a.b.c", "malformed_token"], [KEY, "malformed_token"],
      [`${header}.${claims}.${signature}.`, "malformed_token"],
      [`${header}.${claims}.`, "invalid_token"],
      [`${header}.${claims}.${signature.slice(0, -4)}AAAA`, "invalid_token"],
      [`${header}.${encode({ ...JSON.parse(atob(claims)), scope: "all:*" })}.${signature}`, "invalid_token"],
      [`${encode({ alg: "none", kid: "one" })}.${claims}.`, "malformed_token"],
      [`${encode({ alg: "HS256", kid: "one" })}.${claims}.${mac(x)}`, "malformed_token"],
      [`${encode({ alg: "EdDSA", kid: "one", crit: ["exp"] })}.${claims}.${signature}`, "malformed_token"],
      [await sign({}, {}, stranger.privateKey), "invalid_token"],
      [await sign({ aud: "https://other.example.com" }), "invalid_token"], [await sign({ aud: [AUDIENCE] }), "invalid_token"],
      [await sign({ iss: "https://evil.example" }), "invalid_token"],
      [await sign({ exp: 1_001 }), "token_expired"], [await sign({ exp: "1300" }), "malformed_token"],
      [await sign({ seq: undefined }), "malformed_token"], [await sign({ subjects: "a" }), "malformed_token"],
      ["x".repeat(20_000), "malformed_token"],
    ]) assert.equal(await world.code(token), expected, String(token).slice(0, 200));
    await assert.rejects(world.verifier.verifyToken(await sign(), {}), /audience/);
  });

  test("of an unknown key lets the keys be read at most every ten seconds, and a key that is gone is forgotten", async () => {
    const world = scene();
    const unknown = await sign({}, { kid: "two" });
    for (let times = 0; times < 20; times += 1) assert.equal(await world.code(unknown), "invalid_token");
    assert.deepEqual(world.asked.filter((path) => path.endsWith("jwks.json")).length, 1);
    world.now += 10_001;
    await world.code(unknown);
    assert.deepEqual(world.asked.filter((path) => path.endsWith("jwks.json")).length, 2);
    const token = await sign({ exp: 9_999 });
    assert.equal(await world.code(token), "valid");
    world.keys = [];
    world.now += 5 * 60_000;
    await world.code(token);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(await world.code(token), "invalid_token");
    // Keys that cannot be read again are not believed for ever.
    const other = scene();
    assert.equal(await other.code(token), "valid");
    other.down = true;
    other.now += 10 * 60_000 + 1;
    assert.equal(await other.code(token), "unavailable");
  });
});

test("a Worker keeps answers between its requests", async () => {
  const asked = [];
  const worker = `
    import { Verifier } from "./index.js";
    import { hono } from "./middleware.js";
    let verifier;
    export default {
      async fetch(request, env, executionCtx) {
        verifier ??= new Verifier({ url: "https://bitting.example", key: "own", fetch: (url, init) => env.BITTING.fetch(url, init) });
        const c = {
          req: { header: (name) => request.headers.get(name) }, executionCtx, set: () => {},
          json: (body, status, headers) => Response.json(body, { status, headers }),
        };
        return (await hono(verifier, { scopes: ["orders:read"] })(c, async () => {})) ?? Response.json({ size: verifier.size });
      },
    };`;
  const file = (path) => ({ type: "ESModule", path: join(library, path), contents: readFileSync(join(library, path), "utf8") });
  const miniflare = new Miniflare(convertV4MiniflareOptions({
    cf: false, compatibilityDate: "2026-01-01", modulesRoot: library,
    modules: [{ type: "ESModule", path: join(library, "worker.js"), contents: worker }, ...["index.js", "middleware.js", "copies.js", "key_text.js", "tokens.js"].map(file)],
    serviceBindings: {
      BITTING: async (request) => {
        asked.push(new URL(request.url).pathname);
        return MiniflareResponse.json(request.method === "POST"
          ? { valid: true, code: "valid", scopes: ["orders:*"], seq: 7, subjects: ["a"], age_ms: 0, fresh_for_ms: 5_000, ends_in_ms: null }
          : { base: 7, head: 7, age_ms: 0, max_staleness_ms: 5_000, changes: [] });
      },
    },
  }));
  try {
    const ask = async (key) => (await miniflare.dispatchFetch("https://orders.example/", { headers: { authorization: `Bearer ${key}` } })).status;
    const together = await Promise.all(Array.from({ length: 10 }, () => ask(KEY)));
    assert.deepEqual(new Set(together), new Set([200]));
    const cold = asked.length;
    for (let times = 0; times < 10; times += 1) assert.equal(await ask(KEY), 200);
    assert.ok(asked.length <= cold + 1, JSON.stringify(asked));
    assert.ok(asked.includes("/v1/feed"));
    assert.equal(await ask("none"), 401);
  } finally {
    await miniflare.dispose();
  }
});

describe("the package in front of the Worker", () => {
  let app, owner, module, server, verifier;
  const calls = [];
  let down = false;
  // The verifier's own clock, which a test moves together with the Worker's.
  let ahead = 0;

  const call = async (method, path, key, body) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const response = await app.fetch(path, { method, headers, body: body && JSON.stringify(body) });
    assert.ok(response.ok, `${method} ${path}: ${response.status}`);
    return response.json();
  };

  const advance = async (ms) => {
    ahead += ms;
    await app.advance(ms);
  };

  // What is behind an answer is done.
  const settled = async () => {
    for (let tries = 0; tries < 100 && calls.some(({ done }) => !done); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  const request = (path, key) => fetch(server.url + path, { headers: key ? { authorization: `Bearer ${key}` } : {} });

  before(async () => {
    const target = folder();
    const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", target], { cwd: library });
    const [{ filename, files }] = JSON.parse(stdout);
    assert.deepEqual(files.map(({ path }) => path).sort(), [
      "LICENSE-APACHE", "LICENSE-MIT", "README.md", "cli.js", "client.d.ts", "client.js", "copies.js", "index.d.ts", "index.js", "key_text.js", "middleware.d.ts",
      "middleware.js", "operations.js", "package.json", "tokens.js",
    ]);
    writeFileSync(join(target, "package.json"), JSON.stringify({ private: true, type: "module" }));
    await run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${filename}`], { cwd: target });
    const load = (name) => import(join(target, "node_modules/bitting", name));
    module = { ...(await load("index.js")), ...(await load("middleware.js")) };

    app = await start({ isolates: 2 });
    owner = (await call("POST", "/v1/bootstrap", OPERATOR_SECRET, { organization: "Acme", email: "owner@example.com", key_name: "first" })).key;
    const { key } = await call("POST", "/v1/keys", owner, { name: "service", kind: "org", scopes: ["verifier"] });
    let turn = 0;
    verifier = new module.Verifier({
      url: app.url, key, clock: () => performance.now() + ahead,
      // The two isolates in turn.
      fetch: async (url, init) => {
        const call = { path: new URL(url).pathname, done: false };
        calls.push(call);
        try {
          if (down) throw new TypeError("fetch failed");
          turn += 1;
          const { url: origin } = app.isolates[turn % 2];
          return await fetch(origin + url.slice(app.url.length), init);
        } finally {
          call.done = true;
        }
      },
    });
    const service = expressApp();
    service.get("/data", module.express(verifier, { scopes: ["datasets:read"] }), (req, res) => res.json({ name: req.key.name }));
    const listening = createServer(service).listen(0, "127.0.0.1");
    await new Promise((resolve) => listening.once("listening", resolve));
    server = { url: `http://127.0.0.1:${listening.address().port}`, close: () => listening.close() };
  });

  after(async () => {
    server?.close();
    await app?.close();
  });

  test("answers 401 and 403 as Bitting would", async () => {
    const { key } = await call("POST", "/v1/keys", owner, { name: "narrow", scopes: ["results:read"] });
    const none = await request("/data");
    assert.deepEqual([none.status, (await none.json()).error.code, none.headers.get("www-authenticate")], [401, "missing_api_key", "Bearer"]);
    assert.equal((await request("/data", KEY)).status, 401);
    const lacking = await request("/data", key);
    assert.equal(lacking.status, 403);
    assert.equal(lacking.headers.get("www-authenticate"), 'Bearer error="insufficient_scope", scope="datasets:read"');
  });

  test("asks nothing for a warm key", async () => {
    const { key } = await call("POST", "/v1/keys", owner, { name: "warm", scopes: ["datasets:*"] });
    assert.deepEqual(await (await request("/data", key)).json(), { name: "warm" });
    await settled();
    calls.length = 0;
    for (let times = 0; times < 50; times += 1) assert.equal((await request("/data", key)).status, 200);
    assert.ok(calls.every(({ path }) => path === "/v1/feed") && calls.length < 5, JSON.stringify(calls));
  });

  test("refuses a revoked key within the bound, and leaves the others warm", async () => {
    const [revoked, other] = await Promise.all(["revoked", "other"].map((name) =>
      call("POST", "/v1/keys", owner, { name, scopes: ["datasets:read"] })));
    for (let times = 0; times < 4; times += 1) {
      for (const { key } of [revoked, other]) assert.equal((await request("/data", key)).status, 200);
      await settled();
      await advance(1_300);
    }
    await call("DELETE", `/v1/keys/${revoked.id}`, owner);
    await advance(5_001);
    assert.equal((await request("/data", revoked.key)).status, 401);
    // The feed has told by now that nothing of the other key has changed.
    await settled();
    await request("/data", other.key);
    await settled();
    calls.length = 0;
    assert.equal((await request("/data", other.key)).status, 200);
    assert.deepEqual(calls.filter(({ path }) => path !== "/v1/feed"), []);
    assert.equal((await verifier.verify(revoked.key)).code, "key_revoked");
  });

  test("hears of a revocation before the bound while it is used", async () => {
    const { id, key } = await call("POST", "/v1/keys", owner, { name: "used", scopes: ["datasets:read"] });
    assert.equal((await request("/data", key)).status, 200);
    await settled();
    await call("DELETE", `/v1/keys/${id}`, owner);
    let waited = 0;
    while ((await request("/data", key)).status === 200) {
      await settled();
      await advance(500);
      waited += 500;
      assert.ok(waited <= 5_000, `${waited} ms after the revocation`);
    }
  });

  test("is closed after the bound when Bitting is down", async () => {
    const { key } = await call("POST", "/v1/keys", owner, { name: "held", scopes: ["datasets:read"] });
    assert.equal((await request("/data", key)).status, 200);
    await settled();
    down = true;
    assert.equal((await request("/data", key)).status, 200);
    await advance(5_001);
    const closed = await request("/data", key);
    assert.deepEqual([closed.status, closed.headers.get("retry-after"), (await closed.json()).error.code], [503, "1", "unavailable"]);
    down = false;
    assert.equal((await request("/data", key)).status, 200);
  });

  test("serves Hono and Fastify", async () => {
    const { key } = await call("POST", "/v1/keys", owner, { name: "framework", scopes: ["datasets:read"] });
    const ask = async (header, scopes) => {
      const set = {};
      const c = { req: { header: () => header }, json: (body, status) => ({ body, status }), set: (name, value) => { set[name] = value; } };
      const refused = await module.hono(verifier, { scopes })(c, async () => {});
      const sent = {};
      const reply = { code: (status) => Object.assign(reply, { status }), headers: () => reply, send: (body) => Object.assign(sent, { body, status: reply.status }) };
      const asked = { headers: { authorization: header } };
      await module.fastify(verifier, { scopes })(asked, reply);
      return [refused?.status ?? set.key.name, sent.status ?? asked.key.name];
    };
    assert.deepEqual(await ask(`Bearer ${key}`, ["datasets:read"]), ["framework", "framework"]);
    assert.deepEqual(await ask(`Bearer ${key}`, ["results:read"]), [403, 403]);
    assert.deepEqual(await ask(undefined, []), [401, 401]);
  });
});
