// What only a real HTTP server shows: odd requests byte by byte, and a trap in the middle of one.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { bootstrap, call, counts, create, verify } from "./client.mjs";
import { start } from "./harness.mjs";

let app;
let owner;
before(async () => {
  app = await start();
  owner = (await bootstrap(app)).json.key;
});
after(() => app.close());

/** Sends bytes as they are and reads the answer to its end. */
async function raw(head, body = "") {
  const socket = connect(new URL(app.url).port, "127.0.0.1");
  const chunks = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  // The Worker may answer and close before it has read all that is sent.
  socket.on("error", () => {});
  const lines = [...head, "Host: localhost", "Connection: close", "", ""];
  socket.write(Buffer.concat([Buffer.from(lines.join("\r\n"), "latin1"), Buffer.from(body)]));
  await once(socket, "close");
  const [top, ...rest] = Buffer.concat(chunks).toString().split("\r\n\r\n");
  const [status, ...headers] = top.split("\r\n");
  return {
    status: Number(status.split(" ")[1]),
    headers: new Headers(headers.map((line) => line.split(/: (.*)/).slice(0, 2))),
    text: rest.join("\r\n\r\n"),
  };
}

/** The answer must be the Worker's own, in its envelope, and with this status and code. */
function assertProblem(answer, status, code) {
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  const problem = JSON.parse(answer.text);
  assert.deepEqual([answer.status, problem.status, problem.error.code], [status, status, code]);
  assert.equal(problem.request_id, answer.headers.get("x-request-id"));
  return problem;
}

const bearer = () => `Authorization: Bearer ${owner}`;

test("a body that is too large is refused, with its length announced or sent in chunks, before it is there", async () => {
  const announced = await raw(["POST /v1/keys HTTP/1.1", bearer(), "Content-Length: 10000000000"], "x".repeat(70_000));
  assertProblem(announced, 413, "body_too_large");
  const chunked = await raw(["POST /v1/keys HTTP/1.1", bearer(), "Transfer-Encoding: chunked"], `11170\r\n${"x".repeat(70_000)}\r\n`);
  assertProblem(chunked, 413, "body_too_large");
  const fits = JSON.stringify({ name: "n", scopes: [] }).padEnd(64 * 1024);
  const headers = { authorization: `Bearer ${owner}` };
  assert.equal((await app.fetch("/v1/keys", { method: "POST", headers, body: fits })).status, 201);
  assert.equal((await app.fetch("/v1/keys", { method: "POST", headers, body: `${fits} ` })).status, 413);
});

test("HEAD answers as GET without a body; a method that a path does not take is 405 with Allow", async () => {
  const head = await raw(["HEAD /v1/keys HTTP/1.1", bearer()]);
  assert.deepEqual([head.status, head.text, head.headers.get("cache-control")], [200, "", "no-store"]);
  assert.equal((await raw(["HEAD /v1/keys HTTP/1.1"])).status, 401);
  for (const method of ["OPTIONS", "PUT", "TRACE", "PROPFIND", "PURGE"]) {
    const answer = await raw([`${method} /v1/keys HTTP/1.1`, bearer()]);
    assertProblem(answer, 405, "method_not_allowed");
    assert.equal(answer.headers.get("allow"), "GET, POST");
  }
  assertProblem(await raw(["GET /v1/bootstrap HTTP/1.1", bearer()]), 405, "method_not_allowed");
});

test("GET and DELETE take a content type without a body, and a body that they have no use for", async () => {
  const { id } = await create(app, owner);
  const json = "Content-Type: application/json";
  for (const path of ["/v1/keys/self", "/v1/api_key", "/braintrust/v1/api_key"]) {
    assert.equal((await raw([`GET ${path} HTTP/1.1`, bearer(), json])).status, 200);
    assert.equal((await raw([`GET ${path} HTTP/1.1`, bearer(), json, "Content-Length: 3"], "{x:")).status, 200);
  }
  assert.equal((await raw([`DELETE /braintrust/v1/api_key/${id} HTTP/1.1`, bearer(), json])).status, 200);
  assert.equal((await raw([`DELETE /v1/keys/${id} HTTP/1.1`, bearer(), json, "Content-Length: 0"])).status, 200);
});

test("NUL, invalid UTF-8 and broken JSON in a body are 400, and nothing is written", async () => {
  const was = await counts(app);
  const bodies = ["", "\0", "{", "null", "[]", '"name"', '{"name":"\0"}', '{"name":"\\ud800","scopes":[]}', '{"name":"a\\u0000","scopes":[]}'];
  bodies.push(Buffer.from('{"name":"\xff\xfe","scopes":[]}', "latin1"), `${"[".repeat(60_000)}`, '{"name":"a","name":1,"scopes":[]}', "\ufeff{}");
  for (const body of bodies) {
    const length = Buffer.from(body).length;
    for (const [method, path] of [["POST", "/v1/keys"], ["POST", "/v1/keys/verify"], ["POST", "/v1/api_key"]]) {
      const answer = await raw([`${method} ${path} HTTP/1.1`, bearer(), `Content-Length: ${length}`], body);
      assertProblem(answer, 400, JSON.parse(answer.text).error.code);
    }
  }
  assert.deepEqual(await counts(app), was);
});

test("whatever stands in a path or a query is 200, 400 or 404, and names the parameter that is wrong", async () => {
  const get = (target) => raw([`GET ${target} HTTP/1.1`, bearer()]);
  for (const id of ["%00", "%ff%fe", "%zz", "%", "..%2fself", "%2e%2e", "self/", "'or'1", "a".repeat(8_000), "%F0%9F%94%91", ";", "self?/x/y"]) {
    const answer = await get(`/v1/keys/${id}`);
    if (answer.status !== 200) assertProblem(answer, 404, "not_found");
  }
  for (const path of ["//v1/keys", "/v1", "/v1/keys/", "/V1/keys", "/v1/keys/self/more", "/__proto__"]) {
    assertProblem(await get(path), 404, "not_found");
  }
  // Two of the same, with and without a value, broken escapes, bytes that are no UTF-8.
  assert.equal(JSON.parse((await get("/v1/keys?limit=0&limit=1")).text).items.length, 1);
  for (const query of ["?", "?&&", "?name=%00", "?name=%ff", "?name=%zz", "?name=+", "?prefix=%F0%9F%94%91", "?status=all&status=active#x"]) {
    assert.equal((await get(`/v1/keys${query}`)).status, 200, query);
  }
  for (const [query, field] of [["limit=1.5", "limit"], ["limit=", "limit"], ["limit=-1", "limit"], ["limit=99999999999999999999", "limit"], ["id=x", "id"], ["%00=1", "\\0"], ["starting_after=0", "starting_after"]]) {
    const problem = assertProblem(await get(`/v1/keys?${query}`), 400, "validation_failed");
    assert.equal(problem.error.field, field);
  }
  assert.equal((await get("/v1/api_key?limit=&unknown=1&ids=")).status, 200, "Braintrust's clients may send more");
});

test("an Authorization header that is huge, not ASCII or of another form is 401 without any I/O", async () => {
  await app.io();
  const values = ["", "Bearer", "Bearer ", "Basic YTpi", `Bearer ${"a".repeat(60_000)}`, "Bearer \xff\xfe", "Bearer \u00e9\u00e8", `Bearer ${owner}, Bearer ${owner}`, owner, `Bearer ${owner}\tx`];
  for (const value of values) {
    const answer = await raw(["GET /v1/keys/self HTTP/1.1", `Authorization: ${value}`]);
    assertProblem(answer, 401, /^(Bearer|Basic) \S/.test(value) ? "malformed_api_key" : "missing_api_key");
    assert.match(answer.headers.get("www-authenticate"), /^Bearer realm="bitting"/);
  }
  assert.deepEqual((await app.io()).calls, []);
  const spelled = await raw(["GET /v1/keys/self HTTP/1.1", `aUTHORIZATION:   bEARER   ${owner}  `]);
  assert.equal(spelled.status, 200);
});

test("a trap anywhere in a request leaves the next one served, and the one after", async () => {
  const { key } = await create(app, owner);
  for (let before = 0; before < 8; before += 1) {
    // A feed that is too old makes the request go the whole way through D1.
    await app.advance(60_000);
    if (before > 0) await app.fail("Date.now", { times: before });
    await app.fail("Date.now", { message: "a trap" });
    const broken = await app.fetch("/v1/keys/verify", {
      method: "POST",
      headers: { authorization: `Bearer ${owner}` },
      body: JSON.stringify({ key }),
    });
    const text = await broken.text();
    await app.heal();
    assert.deepEqual([broken.status, text], [500, "Internal Server Error"], `after ${before} readings of the clock`);
    for (let next = 0; next < 2; next += 1) {
      assert.equal((await verify(app, owner, key)).json.code, "valid");
      assert.equal((await call(app, "GET", "/v1/keys/self", { key })).status, 200);
    }
  }
});
