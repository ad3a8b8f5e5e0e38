// The files of examples/forward-auth/, which the book shows: each in the real program that it is for, between a caller and
// a server, with the real Worker to ask. In them `https://keys.example.com` is where the Worker is, `127.0.0.1:8080` where
// the program listens, and `127.0.0.1:3000` the server behind it.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { bootstrap, call, create } from "../e2e/client.mjs";
import { start } from "../e2e/harness.mjs";
import { ROOT, read } from "./pages.mjs";
import { freePort } from "./samples.mjs";

const EXAMPLES = "examples/forward-auth";
const PYTHON = join(ROOT, "target/python/bin");
const file = JSON.parse(read("catalogue.json"));
const ROUTES = [
  { methods: ["GET"], path: "/orders", scope: "orders:read" },
  { methods: ["GET"], path: "/orders/:id", scope: "orders:read" },
  { methods: ["POST"], path: "/orders", scope: "orders:write" },
];

/**
 * The programs: how each is started in its folder, and what is special about it. `own`: it is the server itself. `routes`:
 * it asks for the scope of the catalogue's route and so knows methods and paths; the others name `orders:read`.
 */
const PROGRAMS = {
  nginx: {
    files: ["nginx.conf"],
    routes: true,
    // The page shows a server; the rest of the file is where it writes without being root.
    wrap: (folder) => ({ "main.conf": `daemon off; pid ${folder}/pid; error_log ${folder}/log; events {}\nhttp { access_log off; ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")} include ${folder}/nginx.conf; }\n` }),
    command: (folder) => ["nginx", "-e", `${folder}/log`, "-c", `${folder}/main.conf`],
  },
  caddy: {
    files: ["Caddyfile"],
    wrap: (folder) => ({ main: `{\n\tadmin off\n}\nimport ${folder}/Caddyfile\n` }),
    command: (folder) => ["caddy", "run", "--adapter", "caddyfile", "--config", `${folder}/main`],
  },
  haproxy: {
    files: ["haproxy.cfg", "bitting.lua"],
    routes: true,
    command: () => ["haproxy", "-f", "haproxy.cfg"],
  },
  traefik: {
    files: ["traefik-dynamic.yml"],
    command: (folder, port) => [join(PYTHON, "traefik"), `--entrypoints.web.address=127.0.0.1:${port}`, `--providers.file.filename=${folder}/traefik-dynamic.yml`],
  },
  Express: {
    own: true,
    command: () => [process.execPath, join(ROOT, EXAMPLES, "express.mjs")],
  },
  Go: {
    own: true,
    needs: "go",
    build: (folder) => ["go", "build", "-o", `${folder}/main`, join(ROOT, EXAMPLES, "main.go")],
    command: (folder) => [`${folder}/main`],
  },
  FastAPI: {
    own: true,
    // By itself it believes what a proxy on its own machine says of the caller, and here the caller is on that machine.
    command: (_, port) => [join(PYTHON, "uvicorn"), "--no-proxy-headers", "--app-dir", join(ROOT, EXAMPLES), "--port", port, "fastapi_app:app"],
  },
};

/** Debian puts servers where not every user looks. */
const PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;
const isThere = (name) => name.includes("/") ? existsSync(name) : PATH.split(":").some((folder) => existsSync(join(folder, name)));

/** Sends a request with its path and its headers as they stand. */
async function ask(port, path, headers = {}, method = "GET", body = undefined) {
  const request = httpRequest({ host: "127.0.0.1", port, path, method, headers: { ...headers, ...(body && { "content-length": body.length }) }, agent: false });
  request.end(body);
  const [response] = await once(request, "response");
  response.setEncoding("utf8");
  return { status: response.statusCode, headers: response.headers, text: (await response.toArray()).join("") };
}

for (const [name, program] of Object.entries(PROGRAMS)) {
  const binary = program.needs ?? program.command("", "0")[0];
  const skip = isThere(binary) ? false : `${binary} is not there, so the example for ${name} is NOT TESTED: apt-get install nginx-light caddy haproxy golang-go`;
  if (skip) console.error(skip);
  test(`${name} lets in whom Bitting lets in, tells who it is, and nobody else`, { skip }, async () => {
    const resources = { ...file.resources, orders: { read: "See orders", write: "Change orders" } };
    const app = await start({ vars: { CATALOGUE: JSON.stringify({ ...file, resources, routes: ROUTES }) } });
    const asked = [];
    const upstream = createServer(async (request, response) => {
      const body = (await request.setEncoding("utf8").toArray()).join("");
      asked.push({ method: request.method, url: request.url, headers: request.headers, body });
      response.end(JSON.stringify({ organization: request.headers["x-bitting-organization-id"] }));
    }).listen(0, "127.0.0.1");
    await once(upstream, "listening");
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "bitting-"));
    const real = (text) => text
      .replaceAll("https://keys.example.com", app.url)
      .replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`)
      .replaceAll("127.0.0.1:3000", `127.0.0.1:${upstream.address().port}`);
    for (const example of program.files ?? []) writeFileSync(join(folder, example), real(readFileSync(join(ROOT, EXAMPLES, example), "utf8")));
    for (const [wrapper, text] of Object.entries(program.wrap?.(folder) ?? {})) writeFileSync(join(folder, wrapper), text);
    const [command, ...rest] = program.command(folder, port);
    if (program.build) {
      const [compiler, ...sources] = program.build(folder);
      execFileSync(compiler, sources, { env: { ...process.env, PATH, GOCACHE: join(ROOT, "target/go") } });
    }
    const env = { ...process.env, PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder, PORT: port, BITTING_URL: app.url };
    const server = spawn(command, rest, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    const said = [];
    for (const stream of [server.stdout, server.stderr]) stream.on("data", (data) => said.push(data));
    try {
      const owner = (await bootstrap(app)).json;
      const reader = await create(app, owner.key, { kind: "org", scopes: ["orders:read"] });
      const other = await create(app, owner.key, { scopes: ["datasets:read"] });
      const bearer = (key) => ({ authorization: `Bearer ${key}` });
      const basic = (text) => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });
      const get = (headers, path = "/orders") => ask(port, path, headers);
      // The server is there, and so is the one before it, as soon as the good key is let in.
      let good;
      for (let tries = 0; tries < 150 && good?.status !== 200; tries += 1) {
        assert.equal(server.exitCode, null, said.join(""));
        await sleep(100);
        good = await get(bearer(reader.key)).catch(() => undefined);
      }
      assert.deepEqual([good?.status, JSON.parse(good?.text ?? "{}").organization], [200, owner.organization_id], said.join(""));

      for (const headers of [{ "x-api-key": reader.key }, basic(`${reader.key}:`), basic(`api:${reader.key}`)]) {
        assert.equal((await get(headers)).status, 200, JSON.stringify(headers));
      }
      const before = asked.length;
      for (const [headers, status] of [[{}, 401], [bearer("nonsense"), 401], [bearer(`${reader.key}x`), 401], [basic("a:b"), 401], [bearer(other.key), 403], [{ "x-api-key": other.key }, 403]]) {
        const refused = await get(headers);
        assert.equal(refused.status, status, JSON.stringify(headers));
        // nginx passes the challenge on with a 401 alone.
        if (status === 401 || name !== "nginx") assert.match(refused.headers["www-authenticate"] ?? "", /^Bearer realm="bitting"/, JSON.stringify(headers));
      }
      // A key with conditions is judged by who has sent the request, and not by what they say of themselves.
      const conditional = async (conditions) => (await create(app, owner.key, { kind: "org", scopes: ["orders:read"], conditions })).key;
      const here = await conditional({ allowed_ips: ["127.0.0.0/8", "::1"] });
      const elsewhere = await conditional({ allowed_ips: ["192.0.2.0/24"] });
      const somewhere = await conditional({ allowed_countries: ["DE"] });
      const claims = { "x-bitting-client-ip": "192.0.2.7", "x-bitting-client-country": "DE", "x-forwarded-for": "192.0.2.7", "x-real-ip": "192.0.2.7", "cf-ipcountry": "DE" };
      assert.equal((await get({ ...bearer(here), ...claims })).status, 200);
      asked.length = before;
      for (const key of [elsewhere, somewhere]) assert.equal((await get({ ...bearer(key), ...claims })).status, 403);
      assert.ok([400, 401, 403].includes((await get({ ...bearer(reader.key), "x-api-key": other.key })).status));
      assert.equal(asked.length, before, "a refused request reaches the server");

      if (!program.own) await proxies({ program, port, asked, owner, reader });

      // Revoked, and then the time in which it may still be good is over.
      assert.equal((await call(app, "DELETE", `/v1/keys/${reader.id}`, { key: owner.key })).status, 200);
      await app.advance(5_001);
      assert.equal((await get(bearer(reader.key))).status, 401);
      // Nobody to ask: nobody is let in.
      const last = asked.length;
      await app.close();
      const gone = await get(bearer(owner.key));
      assert.ok(gone.status >= 500 && asked.length === last, `${gone.status}`);
    } finally {
      server.kill();
      if (server.exitCode === null) await once(server, "exit");
      upstream.closeAllConnections();
      upstream.close();
      await app.close().catch(() => {});
      rmSync(folder, { recursive: true });
    }
  });
}

/** What is a proxy's own to get right: the headers for its server, the body, the path. */
async function proxies({ program, port, asked, owner, reader }) {
  const bearer = { authorization: `Bearer ${reader.key}` };
  const forged = Object.fromEntries(["Key-Id", "Organization-Id", "User-Id"].map((name) => [`X-Bitting-${name}`, "forged"]));
  assert.equal((await ask(port, "/orders?x=%2F", { ...bearer, ...forged })).status, 200);
  const seen = asked.at(-1);
  assert.deepEqual([seen.url, seen.headers["x-bitting-key-id"], seen.headers["x-bitting-organization-id"]], ["/orders?x=%2F", reader.id, owner.organization_id]);
  // A key of the organization has no user.
  assert.equal(seen.headers["x-bitting-user-id"] ?? "", "");
  assert.doesNotMatch(JSON.stringify(seen.headers), new RegExp(`forged|${reader.key}`));

  const compressed = { "content-encoding": "gzip", "content-type": "application/json", "idempotency-key": "a b", origin: "https://app.example" };
  assert.equal((await ask(port, "/orders", { authorization: `Bearer ${owner.key}`, ...compressed }, "POST", "a body")).status, 200);
  assert.deepEqual([asked.at(-1).method, asked.at(-1).body], ["POST", "a body"]);

  const count = asked.length;
  // What a caller says of the request does not count.
  for (const headers of [{ "x-forwarded-method": "GET", "x-forwarded-uri": "/orders" }, { "x-original-method": "GET", "x-original-uri": "/orders" }]) {
    const { status } = await ask(port, "/orders", { ...bearer, ...headers }, "POST", "a body");
    assert.ok(program.routes ? status >= 400 : status === 200, `${status} ${JSON.stringify(headers)}`);
  }
  if (!program.routes) return;
  assert.equal((await ask(port, "/orders", bearer, "POST", "a body")).status, 403);
  for (const path of ["/other", "/orders/7/8", "//orders", "/orders/../admin", "/orders/%2e%2e", "/orders/%252e%252e", "/orders/..%2fadmin", "/orders/7;x", "/ORDERS"]) {
    const { status } = await ask(port, path, { authorization: `Bearer ${owner.key}` });
    assert.ok([400, 403].includes(status), `${status} ${path}`);
  }
  assert.equal(asked.length, count, "a refused request reaches the server");
  assert.equal((await ask(port, "/orders/7?scope=orders:fly", bearer)).status, 200);
}
