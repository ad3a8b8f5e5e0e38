// What only workerd can tell of the operator's own routes: real connections, both ways of streaming, time.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { bootstrap, create } from "./client.mjs";
import { start } from "./harness.mjs";

const SECRET = "a-forward-secret-for-tests-only-0123456789";
const file = JSON.parse(readFileSync(new URL("../../catalogue.json", import.meta.url), "utf8"));
const CHUNK = Buffer.alloc(64 * 1024, "x");
const CHUNKS = 80; // 5 MB

const origin = (server) => `http://127.0.0.1:${server.address().port}`;

let app;
let owner;
let upstream;
let asked;
let answer;

before(async () => {
  upstream = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  }).listen(0, "127.0.0.1");
  const gone = createServer().listen(0, "127.0.0.1");
  await Promise.all([once(upstream, "listening"), once(gone, "listening")]);
  const route = (path, rest) => ({ methods: ["GET", "POST", "DELETE"], path, scope: "orders:use", ...rest });
  const routes = [
    route("/orders/*rest", { upstream: origin(upstream), timeout_seconds: 1 }),
    // A busy machine takes more than a second for megabytes, and the answer comes after them.
    route("/orders/upload", { upstream: origin(upstream), timeout_seconds: 20 }),
    route("/signed/*rest", { upstream: origin(upstream), signed_body_bytes: 1000 }),
    route("/gone", { upstream: origin(gone) }),
    route("/bound/*rest", { service: "ORDERS" }),
    route("/unbound", { service: "NOTHING" }),
    route("/not-a-service", { service: "CACHE" }),
  ];
  gone.close();
  const resources = { ...file.resources, orders: { use: "See and change orders" } };
  app = await start({
    vars: { CATALOGUE: JSON.stringify({ ...file, resources, routes, origins: ["https://app.example"] }), FORWARD_SECRET: SECRET },
    services: { ORDERS: async (request) => Response.json({ url: request.url, method: request.method, body: await request.text(), key: request.headers.get("x-bitting-key-id") }) },
  });
  owner = (await bootstrap(app)).json;
});
beforeEach(() => {
  asked = [];
  answer = (request, response) => {
    request.resume();
    response.end("ok");
  };
});
after(async () => {
  upstream.closeAllConnections();
  upstream.close();
  await app.close();
});

const call = (path, init = {}) => app.fetch(path, { ...init, headers: { authorization: `Bearer ${owner.key}`, ...init.headers } });

/** A request whose body is sent when and as the test likes, and its answer. */
function open(method, path, headers = {}) {
  const request = httpRequest(app.url + path, { method, headers: { authorization: `Bearer ${owner.key}`, ...headers } });
  return { request, answered: once(request, "response").then(([response]) => response) };
}

test("what was sent arrives, says who asks, and cannot be forged", async () => {
  const forged = { "X-Bitting-Key-Id": "forged", "x-BITTING-scopes": "forged", X_Bitting_Key_Id: "forged", "X-Request-Id": "forged", Cookie: "a=forged", "X-Forwarded-For": "forged", "X-Real-IP": "forged", "CF-Connecting-IP": "192.0.2.7", "X-Own": "own" };
  let body = "";
  answer = async (request, response) => {
    for await (const chunk of request) body += chunk;
    response.writeHead(418, { "X-Own": "back", "Set-Cookie": "a=b", "Cache-Control": "max-age=7" }).end("an answer");
  };
  const { request, answered } = open("POST", "/orders/a%20b?x=%20&y=1", forged);
  request.end("a body");
  const response = await answered;
  response.setEncoding("utf8");
  assert.deepEqual([response.statusCode, await response.toArray(), body], [418, ["an answer"], "a body"]);
  assert.deepEqual([response.headers["x-own"], response.headers["cache-control"], response.headers["set-cookie"]], ["back", "max-age=7", undefined]);
  const [{ method, url, headers, rawHeaders }] = asked;
  assert.deepEqual([method, url, headers["x-own"]], ["POST", "/orders/a%20b?x=%20&y=1", "own"]);
  const { id } = await (await call("/v1/keys/self")).json();
  assert.deepEqual([headers["x-bitting-key-id"], headers["x-bitting-scopes"], headers["x-bitting-key-kind"]], [id, "*", "pat"]);
  assert.deepEqual([headers["x-forwarded-for"], headers["x-forwarded-proto"], headers["cf-connecting-ip"]], ["192.0.2.7", "http", undefined]);
  assert.equal(headers["x-request-id"], response.headers["x-request-id"]);
  assert.doesNotMatch(rawHeaders.join("\n"), new RegExp(`forged|${owner.key}`));
});

test("the documented verifier takes what was signed, and nothing else", async () => {
  // What a URL must encode, sent as no client that builds URLs would.
  const { request, answered } = open("POST", "/signed/{7}'?x='1'");
  request.end("signed");
  await answered;
  const [{ method, url, headers }] = asked;
  assert.equal(url, "/signed/%7B7%7D'?x=%271%27");
  const verifier = /```python\n(import base64.*?)```/s.exec(readFileSync(new URL("../../docs/src/gateway.md", import.meta.url), "utf8"))[1];
  const script = `${verifier}
import json, sys
for key, method, host, target, headers, body in json.load(sys.stdin):
    print(is_from_bitting(key, method, host, target, {name.title(): value for name, value in headers.items()}, body.encode()))`;
  const host = new URL(origin(upstream)).host;
  assert.equal(headers.host, host);
  const key = createHmac("sha256", SECRET).update(origin(upstream)).digest("hex");
  const other = createHmac("sha256", SECRET).update("https://others.example").digest("hex");
  const good = [key, method, host, url, headers, "signed"];
  const cases = [
    good,
    ...[SECRET, other].map((wrong) => good.with(0, wrong)),
    good.with(1, "DELETE"),
    good.with(2, "others.example"),
    good.with(3, "/signed/8?x=1"),
    good.with(4, { ...headers, "x-bitting-scopes": "orders:use" }),
    good.with(4, { ...headers, "x-bitting-project-id": "1" }),
    good.with(4, { ...headers, "x-forwarded-for": "192.0.2.1" }),
    good.with(4, { ...headers, "x-bitting-timestamp": String(headers["x-bitting-timestamp"] - 400) }),
    good.with(4, {}),
    good.with(5, "another"),
  ];
  const output = execFileSync("python3", ["-c", script], { input: JSON.stringify(cases), encoding: "utf8" });
  assert.deepEqual(output.trim().split("\n"), ["True", ...Array(cases.length - 1).fill("False")]);
});

test("a page of a listed origin asks without a key first, and no key is taken over plain HTTP", async () => {
  const ask = async (method, path, headers) => {
    const request = httpRequest(app.url + path, { method, headers });
    request.end();
    const [response] = await once(request, "response");
    response.resume();
    return [response.statusCode, response.headers["access-control-allow-origin"], response.headers.vary];
  };
  const preflight = (origin) => ({ origin, "access-control-request-method": "GET", "access-control-request-headers": "authorization" });
  assert.deepEqual(await ask("OPTIONS", "/orders/7", preflight("https://app.example")), [204, "https://app.example", "Origin"]);
  for (const origin of ["null", ["https://app.example", "https://other.example"]]) {
    assert.deepEqual(await ask("OPTIONS", "/orders/7", preflight(origin)), [405, undefined, "Origin"], origin);
  }
  answer = (request, response) => response.writeHead(200, { vary: "Accept", "access-control-allow-origin": "*" }).end();
  const authorization = `Bearer ${owner.key}`;
  assert.deepEqual(await ask("GET", "/orders/7", { authorization, origin: "https://app.example" }), [200, "https://app.example", "Accept, Origin"]);
  assert.equal(asked.length, 1);
  for (const host of ["keys.example.com", "localhost:80@keys.example.com", "localhost.keys.example.com", "127.1"]) {
    for (const path of ["/orders/7", "/v1/keys/self", "/mcp"]) assert.equal((await ask("GET", path, { authorization, host }))[0], 403, host + path);
  }
  assert.equal(asked.length, 1);
});

test("an upload is passed on while it is sent, whether its length is known or not", async () => {
  for (const headers of [{ "content-length": CHUNK.length * CHUNKS }, {}]) {
    let arrived;
    const first = new Promise((resolve) => (arrived = resolve));
    let bytes = 0;
    answer = (request, response) => {
      request.on("data", (chunk) => {
        bytes += chunk.length;
        arrived();
      });
      request.on("end", () => response.end(String(bytes)));
    };
    const { request, answered } = open("POST", "/orders/upload", headers);
    request.write(CHUNK);
    await first;
    for (let sent = 1; sent < CHUNKS; sent += 1) request.write(CHUNK);
    request.end();
    const response = await answered;
    assert.deepEqual([response.statusCode, Number((await response.toArray()).join(""))], [200, CHUNK.length * CHUNKS]);
    assert.equal(asked.pop().headers["content-length"], headers["content-length"]?.toString());
  }
});

test("a download is passed on while it is sent, and may take longer than the answer to begin", async () => {
  let more;
  answer = async (request, response) => {
    response.writeHead(200, { "content-length": CHUNK.length * CHUNKS }).write(CHUNK);
    await new Promise((resolve) => (more = resolve));
    for (let sent = 1; sent < CHUNKS; sent += 1) response.write(CHUNK);
    response.end();
  };
  const response = await call("/orders/download");
  assert.equal(response.headers.get("content-length"), String(CHUNK.length * CHUNKS));
  const reader = response.body.getReader();
  let bytes = (await reader.read()).value.length;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  more();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) bytes += chunk.value.length;
  assert.equal(bytes, CHUNK.length * CHUNKS);
});

test("a compressed answer, HEAD and a redirect come back as they are", async () => {
  const page = gzipSync("a page");
  answer = (request, response) => {
    if (request.url === "/orders/old") return response.writeHead(307, { location: "/orders/new" }).end();
    response.writeHead(200, { "content-encoding": "gzip", "content-length": page.length }).end(request.method === "HEAD" ? undefined : page);
  };
  const response = await call("/orders/page", { headers: { "accept-encoding": "gzip" } });
  assert.deepEqual([response.headers.get("content-encoding"), await response.text()], ["gzip", "a page"]);
  const head = await call("/orders/page", { method: "HEAD" });
  assert.deepEqual([head.status, asked.at(-1).method, await head.text()], [200, "HEAD", ""]);
  const moved = await call("/orders/old");
  assert.deepEqual([moved.status, moved.headers.get("location"), asked.length], [307, "/orders/new", 3]);
});

test("GET with a body is passed on without it", async () => {
  const { request, answered } = open("GET", "/orders/7", { "content-length": 6 });
  request.end("a body");
  assert.equal((await answered).statusCode, 200);
  assert.equal(asked[0].headers["content-length"], undefined);
});

test("a request that is refused reaches no server", async () => {
  const reader = await create(app, owner.key, { scopes: ["datasets:read"] });
  for (const [authorization, status] of [["", 401], ["Bearer bit_pat_x", 401], [`Bearer ${reader.key}`, 403]]) {
    for (const path of ["/orders/7", "/bound/7", "/gone"]) {
      const response = await call(path, { method: "POST", body: CHUNK, headers: { authorization } });
      assert.deepEqual([response.status, (await response.json()).status], [status, status]);
    }
  }
  assert.deepEqual(asked, []);
});

test("no answer in time is 504 and ends the request, no answer at all 502, and the log says which", async () => {
  const ended = new Promise((resolve) => (answer = (request, response) => response.on("close", resolve)));
  await app.logs();
  for (const [path, status, code] of [["/orders/slow", 504, "upstream_timeout"], ["/gone", 502, "upstream_failed"], ["/unbound", 502, "upstream_failed"], ["/not-a-service", 502, "upstream_failed"]]) {
    const response = await call(path);
    const text = await response.text();
    assert.deepEqual([response.status, JSON.parse(text).error.code], [status, code], path);
    assert.doesNotMatch(text, /127\.0\.0\.1|NOTHING|binding/i);
  }
  await ended;
  const lines = (await app.logs()).map((line) => line.message).filter((line) => line.includes("was not answered"));
  assert.equal(lines.length, 4, lines.join("\n"));
  assert.match(lines[2], /^GET \/unbound was not answered: .*NOTHING/);
});

test("a status that no answer can have breaks nothing", async () => {
  answer = (request, response) => response.writeHead(999).end();
  const response = await call("/orders/7");
  assert.deepEqual([response.status, (await response.json()).error.code], [502, "upstream_failed"]);
});

test("a service binding is asked like a server", async () => {
  const { key, ...got } = await (await call("/bound/a%20b?x=1", { method: "POST", body: "a body" })).json();
  assert.deepEqual(got, { url: "https://orders/bound/a%20b?x=1", method: "POST", body: "a body" });
  assert.match(key, /^[0-9a-f-]{36}$/);
});

test("a catalogue that is wrong is logged, and every request is 503", async () => {
  const broken = await start({ vars: { CATALOGUE: JSON.stringify({ ...file, routes: [{ methods: ["GET"], path: "/v1/keys", scope: "api-keys:read", service: "ORDERS" }] }) } });
  try {
    assert.equal((await broken.fetch("/v1/scopes")).status, 503);
    assert.match((await broken.logs()).map((line) => line.message).join("\n"), /routes\[0\]\.path: \/v1\/keys is Bitting's own/);
  } finally {
    await broken.close();
  }
});
