// What runs the samples of the documents: each function takes a block, as a file and as text, and tries what it promises.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, parse } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { bootstrap, create } from "../e2e/client.mjs";
import { start } from "../e2e/harness.mjs";
import { REQUEST_TOKEN, issuer as startIssuer } from "../e2e/issuer.mjs";
import { ROOT, read } from "./pages.mjs";

const PYTHON = join(ROOT, "target/python/bin");
const catalogue = JSON.parse(read("catalogue.json"));

/** A Worker whose catalogue also has a product's scopes, and perhaps its routes; with a key for each need. */
async function product(vars = {}, routes = []) {
  const resources = { ...catalogue.resources, orders: { read: "See orders", write: "Change orders" } };
  const app = await start({ vars: { CATALOGUE: JSON.stringify({ ...catalogue, resources, routes }), ...vars } });
  const owner = (await bootstrap(app)).json;
  const key = async (...scopes) => (await create(app, owner.key, { scopes })).key;
  return { app, owner, verifier: await key("api-keys:verify"), reader: await key("orders:read"), other: await key("datasets:read") };
}

/** Tries a service that asks Bitting: a good key, all that is no good key, and Bitting gone. */
async function guards({ app, owner, reader, other }, ask) {
  try {
    let good = await ask(`Bearer ${reader}`);
    // A busy machine may be too slow for the first verification; a client tries again, as it is told to.
    for (let tries = 0; good.status === 503 && tries < 5; tries += 1) {
      await sleep(Number(good.headers.get("retry-after")) * 1000);
      good = await ask(`Bearer ${reader}`);
    }
    assert.deepEqual([good.status, (await good.json()).organization], [200, owner.organization_id]);
    for (const [authorization, status] of [[`Bearer ${other}`, 403], [`Bearer ${reader}x`, 401], ["Basic YTpi", 401], [undefined, 401]]) {
      assert.equal((await ask(authorization)).status, status, authorization);
    }
  } finally {
    await app.close();
  }
  const gone = await ask(`Bearer ${reader}`);
  assert.deepEqual([gone.status, gone.headers.get("retry-after")], [503, "2"]);
}

/** Runs a server of its own on a free port, and tries it. */
async function served(command, port, options) {
  const world = await product();
  const env = { ...process.env, ...options.env, BITTING_URL: world.app.url, BITTING_KEY: world.verifier };
  const server = spawn(command[0], command.slice(1), { env, cwd: ROOT, stdio: "ignore" });
  try {
    const ask = (authorization) => fetch(`http://127.0.0.1:${port}/orders`, { headers: authorization ? { authorization } : {} });
    for (let tries = 0; ; tries += 1) {
      try {
        await ask();
        break;
      } catch (error) {
        if (tries === 100 || server.exitCode !== null) throw error;
        await sleep(100);
      }
    }
    await guards(world, ask);
  } finally {
    server.kill();
    await world.app.close().catch(() => {});
  }
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return String(port);
}

export async function express({ file }) {
  const port = await freePort();
  await served([process.execPath, file], port, { env: { PORT: port } });
}

/** A service that keeps what it has verified: it refuses as the others do, and goes on for a while when Bitting is gone. */
export async function follower({ text, file }) {
  const library = join(ROOT, "clients/typescript");
  writeFileSync(file, text.replace('"bitting"', JSON.stringify(`${library}/index.js`)).replace('"bitting/middleware"', JSON.stringify(`${library}/middleware.js`)));
  const port = await freePort();
  await follows([process.execPath, file], port, { PORT: port });
}

export async function fastapi_follower({ file }) {
  const port = await freePort();
  const { dir, name } = parse(file);
  await follows([join(PYTHON, "uvicorn"), "--app-dir", dir, "--port", port, `${name}:app`], port, { PYTHONPATH: join(ROOT, "clients/python") });
}

/** The package is not published, so the module takes it from its folder. */
export async function go_follower({ text }) {
  if (!process.env.PATH.split(":").some((folder) => existsSync(join(folder, "go")))) return console.error("go is not there, so a sample of docs/src/feed.md is NOT TESTED");
  const folder = join(ROOT, "target/docs/go-follower");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "main.go"), text);
  const library = "bitting.dev/go";
  writeFileSync(join(folder, "go.mod"), `module orders\n\ngo 1.19\n\nrequire ${library} v0.0.0\n\nreplace ${library} => ${join(ROOT, "clients/go")}\n`);
  await promisify(execFile)("go", ["build", "-o", "main", "."], { cwd: folder, env: { ...process.env, GOCACHE: join(ROOT, "target/go"), GOPROXY: "off" } });
  const port = await freePort();
  await follows([join(folder, "main")], port, { PORT: port });
}

export async function token_in_javascript({ text, file }) {
  writeFileSync(file, text.replace('"bitting"', JSON.stringify(`${join(ROOT, "clients/typescript")}/index.js`)));
  assert.equal(await verifiesToken([process.execPath, file]), "true valid");
}

export async function token_in_python({ file }) {
  assert.equal(await verifiesToken([join(PYTHON, "python"), file]), "True valid");
}

async function verifiesToken([command, file]) {
  const { app, owner } = await product();
  try {
    const { key } = await create(app, owner.key, { scopes: ["verifier"] });
    const body = JSON.stringify({ audience: "https://orders.example.com", scopes: ["datasets:read"] });
    const answer = await app.fetch("/v1/tokens", { method: "POST", headers: { authorization: `Bearer ${owner.key}` }, body });
    const { token } = await answer.json();
    const variables = { BITTING_URL: app.url, BITTING_KEY: key, TOKEN: token, PYTHONPATH: join(ROOT, "clients/python") };
    const { stdout } = await promisify(execFile)(command, [file], { env: { ...process.env, ...variables } });
    return stdout.trim();
  } finally {
    await app.close();
  }
}

async function follows(command, port, variables) {
  const world = await product();
  const key = (await create(world.app, world.owner.key, { scopes: ["verifier"] })).key;
  const env = { ...process.env, BITTING_URL: world.app.url, BITTING_KEY: key, ...variables };
  const server = spawn(command[0], command.slice(1), { env, cwd: ROOT, stdio: "ignore" });
  try {
    const ask = (given) => fetch(`http://127.0.0.1:${port}/orders`, { headers: given ? { authorization: `Bearer ${given}` } : {} });
    for (let tries = 0; !(await ask().catch(() => false)); tries += 1) {
      assert.ok(tries < 100 && server.exitCode === null);
      await sleep(100);
    }
    for (const [given, status] of [[world.reader, 200], [world.other, 403], [`${world.reader}x`, 401], [undefined, 401]]) {
      assert.equal((await ask(given)).status, status, given);
    }
    assert.equal((await (await ask(world.reader)).json()).organization, world.owner.organization_id);
    await world.app.close();
    assert.equal((await ask(world.reader)).status, 200);
    for (let tries = 0; (await ask(world.reader)).status === 200; tries += 1) {
      assert.ok(tries < 100, "it goes on without Bitting");
      await sleep(100);
    }
    assert.equal((await ask(world.reader)).status, 503);
  } finally {
    server.kill();
    await world.app.close().catch(() => {});
  }
}

export async function fastapi({ file }) {
  const port = await freePort();
  const { dir, name } = parse(file);
  await served([join(PYTHON, "uvicorn"), "--app-dir", dir, "--port", port, `${name}:app`], port, {});
}

export async function worker({ file }) {
  const world = await product();
  const { default: sample } = await import(file);
  const env = { BITTING_KEY: world.verifier, BITTING: { fetch: (url, init) => fetch(world.app.url + new URL(url).pathname, init) } };
  await guards(world, (authorization) => sample.fetch(new Request("https://orders.example/orders", { headers: authorization ? { authorization } : {} }), env));
}

/** A program that is given a key and an address, and ends well. */
export async function python({ app, owner, file }) {
  const env = { ...process.env, BITTING_URL: app.url, BITTING_KEY: owner.key };
  await promisify(execFile)(join(PYTHON, "python"), [file], { env });
}

/** The operator's own routes, as the page shows them, before a server that answers. */
export async function routes({ text }) {
  const { routes: shown } = JSON.parse(text);
  const upstream = createServer((request, response) => response.end(JSON.stringify({ path: request.url, method: request.method })));
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const origin = `http://127.0.0.1:${upstream.address().port}`;
  const { app, owner, reader } = await product({}, shown.map(({ service, ...route }) => ({ ...route, upstream: origin })));
  try {
    const ask = async (method, path, key) => {
      const answer = await app.fetch(path, { method, headers: { authorization: `Bearer ${key}` } });
      return [answer.status, (await answer.json()).path];
    };
    assert.deepEqual(await ask("GET", "/orders/7", reader), [200, "/orders/7"]);
    assert.deepEqual(await ask("POST", "/orders/7/items", owner.key), [200, "/orders/7/items"]);
    assert.deepEqual(await ask("POST", "/orders/7/items", reader), [403, undefined]);
  } finally {
    upstream.close();
    await app.close();
  }
}

/** Routes that a proxy asks for. */
export async function authorized({ text }) {
  const { app, reader, owner } = await product({}, JSON.parse(text).routes);
  try {
    const ask = async (key, method, uri) => {
      const headers = { "x-api-key": key, "x-forwarded-method": method, "x-forwarded-uri": uri };
      return (await app.fetch("/v1/authorize", { headers })).status;
    };
    assert.equal(await ask(reader, "GET", "/orders/7"), 200);
    assert.equal(await ask(reader, "POST", "/orders/7/items"), 403);
    assert.equal(await ask(owner.key, "POST", "/orders/7/items"), 200);
    assert.equal(await ask(owner.key, "DELETE", "/orders/7"), 403);
  } finally {
    await app.close();
  }
}

/** A catalogue that the build takes. */
export async function catalogue_part({ text }) {
  const app = await start({ vars: { CATALOGUE: JSON.stringify({ ...catalogue, ...JSON.parse(text) }) } });
  try {
    const owner = (await bootstrap(app)).json;
    assert.ok(owner.key);
    const answer = await app.fetch("/v1/scopes", { headers: { authorization: `Bearer ${owner.key}` } });
    assert.equal(answer.status, 200);
  } finally {
    await app.close();
  }
}

/** The verifier of what is passed on; that it tells good from bad is tested with the gateway itself. */
export async function verifier({ file }) {
  execFileSync("python3", [file]);
}

/** The command of a client, which is given an address and a key. */
export async function claude({ text }) {
  const { stdout } = await promisify(execFile)("bash", ["-euc", `claude() { printf '%s\\n' "$@"; }\n${text}`]);
  const words = stdout.trim().split("\n");
  assert.deepEqual(words.slice(0, 4), ["mcp", "add", "--transport", "http"]);
  assert.equal(new URL(words[5]).pathname, "/mcp");
  assert.match(words.at(-1), /^Authorization: Bearer bit_pat_/);
}

/** The configuration of a client, with the address and the key put in: `/mcp` answers there. */
export async function mcp({ app, owner, text }) {
  const [server] = Object.values(Object.values(JSON.parse(text))[0]);
  assert.equal(new URL(server.url).pathname, "/mcp");
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  for (const [name, value] of Object.entries(server.headers)) headers[name] = value.replace("bit_pat_…", owner.key);
  const body = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };
  const answer = await app.fetch("/mcp", { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
}

/** The steps of a workflow, run as GitHub runs them, with an issuer that gives the workflow its token. */
export async function workflow({ app, owner, text }) {
  const lines = text.split("\n");
  const from = lines.findIndex((line) => line.trim() === "run: |") + 1;
  const script = lines.slice(from).map((line) => line.trim()).join("\n");
  const issuer = await startIssuer(app.now);
  try {
    const body = { name: "workflow", issuer: issuer.url, audience: app.url, claims: { sub: "repo:acme/web:*" }, scopes: ["datasets:read"] };
    const created = await app.fetch("/v1/organizations/self/trusts", {
      method: "POST",
      headers: { authorization: `Bearer ${owner.key}` },
      body: JSON.stringify(body),
    });
    const { id } = await created.json();
    const env = {
      ...process.env,
      BITTING_URL: app.url,
      TRUST: id,
      ACTIONS_ID_TOKEN_REQUEST_URL: `${issuer.url}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: REQUEST_TOKEN,
    };
    const { stdout } = await promisify(execFile)("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", script], { env });
    const [mask, ...rest] = stdout.split("\n");
    assert.match(mask, /^::add-mask::bit_org_/);
    const own = JSON.parse(rest.join("\n"));
    assert.deepEqual([own.name, own.created_by], ["repo:acme/web:ref:refs/heads/main", id]);
  } finally {
    issuer.close();
  }
}
