// The command line and the client of the npm package, as they are installed, before the real Worker.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { OPERATOR_SECRET, start } from "../e2e/harness.mjs";

const run = promisify(execFile);
const library = fileURLToPath(new URL("../../clients/typescript", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "bitting-"));
const program = join(folder, "node_modules/.bin/bitting");
let app, owner, cookie, module;

before(async () => {
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: library });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${JSON.parse(stdout)[0].filename}`], { cwd: folder });
  module = await import(join(folder, "node_modules/bitting/client.js"));
  app = await start();
  owner = await new module.Client({ url: app.url, key: OPERATOR_SECRET }).bootstrap.create({ organization: "Acme", email: "owner@example.com", key_name: "first" });
  const response = await fetch(owner.sign_in_link, { method: "POST", headers: { origin: app.url }, redirect: "manual" });
  [cookie] = response.headers.get("set-cookie").split(";");
});
after(async () => {
  await app?.close();
  rmSync(folder, { recursive: true });
});

const client = () => new module.Client({ url: app.url, key: owner.key });
const environment = (variables) => ({ ...process.env, XDG_CONFIG_HOME: join(folder, "config"), ...variables });
const asOwner = () => ({ BITTING_URL: app.url, BITTING_KEY: owner.key });

// Runs the program with this input, and returns what it wrote and its exit code.
function bitting(args, { input = "", variables = asOwner(), heard = () => {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env: environment(variables) });
    const result = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) {
      child[name].setEncoding("utf8").on("data", (text) => {
        result[name] += text;
        heard(result, child);
      });
    }
    child.on("close", (code) => resolve({ ...result, code }));
    child.stdin.on("error", () => {}).end(input);
  });
}

// Approves the link on the settings pages, as a browser does.
async function approve(link, fields) {
  const page = await (await fetch(link, { headers: { cookie } })).text();
  const hidden = Object.fromEntries([...page.matchAll(/<input type="hidden" name="(\w+)" value="(\w+)"/g)].map(([, name, value]) => [name, value]));
  const name = /name="name" value="([^"]*)"/.exec(page)?.[1] ?? new URL(link).searchParams.get("name");
  const body = new URLSearchParams({ ...hidden, name, owner: "me", expires: "30", ...fields });
  const answer = await fetch(new URL("/settings/keys/new", link), { method: "POST", headers: { cookie, origin: app.url }, body });
  assert.match(await answer.text(), /<h1>Approved<\/h1>/);
  return page;
}

test("login waits until a person approves, and logout ends the key", async () => {
  const credentials = join(folder, "config/bitting/credentials.json");
  let approved;
  const variables = { BITTING_URL: "", BITTING_KEY: "" };
  const signedIn = await bitting(["login", "--url", `${app.url}/`, "--name", "laptop"], {
    variables,
    heard: ({ stderr }) => {
      const link = /http\S+/.exec(stderr)?.[0];
      if (link && stderr.endsWith("\n\n")) approved ??= approve(link, { scope: "api-keys:read" });
    },
  });
  assert.equal(signedIn.code, 0, signedIn.stderr);
  const code = /the code ([0-9A-F]{4}-[0-9A-F]{4})/.exec(signedIn.stderr)[1];
  assert.ok((await approved).includes(code));
  assert.match(signedIn.stdout, /^name +laptop$/m);
  const { key } = JSON.parse(readFileSync(credentials, "utf8"));
  assert.equal(statSync(credentials).mode & 0o777, 0o600);
  assert.ok(!(signedIn.stdout + signedIn.stderr).includes(key));
  const own = JSON.parse((await bitting(["whoami", "--json"], { variables })).stdout);
  assert.deepEqual([own.name, own.scopes, own.status], ["laptop", ["api-keys:read"], "active"]);
  const refused = await bitting(["audit", "list"], { variables });
  assert.deepEqual([refused.code, /403 insufficient_scope/.test(refused.stderr)], [1, true]);
  assert.equal((await bitting(["logout"], { variables })).code, 0);
  assert.equal((await client().keys.verify({ key })).code, "key_revoked");
  const gone = await bitting(["whoami"], { variables });
  assert.deepEqual([gone.code, /Sign in with/.test(gone.stderr)], [1, true]);
});

test("a new secret goes to a file or a pipe, and nowhere else", async () => {
  const out = join(folder, "ci.key");
  const create = ["keys", "create", "--name", "ci", "--scope", "datasets:read", "--scope", "results:read", "--expires-in-days", "7"];
  const made = await bitting([...create, "--out", out, "--json"]);
  assert.equal(made.code, 0, made.stderr);
  const [about, secret] = [JSON.parse(made.stdout), readFileSync(out, "utf8").trim()];
  assert.deepEqual([about.scopes, about.key, statSync(out).mode & 0o777], [["datasets:read", "results:read"], undefined, 0o600]);
  assert.ok(!(made.stdout + made.stderr).includes(secret));
  // No file is overwritten, no key is made for one, and no file is left without one.
  const keys = async () => (await client().keys.list({ limit: 100 })).items.length;
  const before = await keys();
  const again = await bitting([...create, "--out", out]);
  assert.deepEqual([again.code, /exists/.test(again.stderr), await keys()], [2, true, before]);
  const wrong = await bitting(["keys", "create", "--name", "x", "--scope", "no:such", "--out", `${out}2`]);
  assert.deepEqual([wrong.code, /no:such/.test(wrong.stderr), statSync(`${out}2`, { throwIfNoEntry: false })], [1, true, undefined]);
  const piped = await bitting(["keys", "rotate", about.id]);
  const rotated = piped.stdout.trim();
  assert.match(rotated, /^bit_pat_\w{49}$/);
  for (const [input, scopes, valid] of [[rotated, ["datasets:read"], true], [`${rotated}\n`, ["api-keys:write"], false], [secret, [], false], ["", [], false]]) {
    const verdict = await bitting(["verify", "--json", ...scopes.flatMap((scope) => ["--scope", scope])], { input });
    assert.equal(verdict.code, valid ? 0 : 1, verdict.stderr);
    if (input) assert.equal(JSON.parse(verdict.stdout).valid, valid);
  }
  const revoked = JSON.parse((await bitting(["keys", "revoke", about.id, "--json"])).stdout);
  assert.deepEqual([revoked.status, typeof revoked.effective_at], ["revoked", "string"]);
});

test("a secret is not shown on a terminal", async () => {
  const command = `${program} keys create --name shown --scope datasets:read`;
  const { stdout } = await run("script", ["--quiet", "--return", "--command", `${command} || echo "code $?"`, "/dev/null"], { env: environment(asOwner()) });
  assert.match(stdout, /not shown on a terminal/);
  assert.match(stdout, /code 2/);
  assert.doesNotMatch(stdout, /bit_pat_/);
});

test("lists are tables or JSON, and hold nothing that a terminal obeys", async () => {
  const { id } = await client().keys.create({ name: "a key with a long name", scopes: [], metadata: { note: "\u001b[31m\u009b" } });
  assert.match((await bitting(["keys", "get", id])).stdout, /^metadata +\{"note":"\\u001b\[31m�"\}$/m);
  const table = (await bitting(["keys", "list", "--name", "a key with a long name"])).stdout.split("\n");
  assert.match(table[0], /^ID +STATUS +KIND +PREVIEW +EXPIRES_AT +NAME$/);
  assert.match(table[1], /^[\w-]{36} +active +pat +bit_pat_\S+ +- +a key with a long name$/);
  const lines = (await bitting(["keys", "list", "--status", "all", "--json"])).stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.length >= 3 && lines.every(({ id }) => id));
  const events = (await bitting(["audit", "list", "--action", "key.created", "--limit", "2"])).stdout.trim().split("\n");
  assert.equal(events.length, 3);
  const exported = (await bitting(["audit", "export", "--since", "2020-01-01"])).stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(exported.length > 5 && exported.every(({ action }) => action));
});

test("tail prints events as they come, and none from before", async () => {
  const made = [];
  setTimeout(async () => {
    for (const name of ["one", "two"]) made.push(await client().keys.create({ name, scopes: [] }));
  }, 1_500);
  const heard = ({ stdout }, child) => stdout.trim().split("\n").length === 2 && child.kill();
  const { stdout } = await bitting(["audit", "tail", "--json", "--action", "key.created"], { heard });
  const subjects = stdout.trim().split("\n").map((line) => JSON.parse(line).subject);
  assert.deepEqual(subjects, made.map(({ id }) => id));
});

test("mistakes are told, and what may be a secret is not repeated", async () => {
  for (const [args, expected] of [
    [[], /Give a command/],
    [["keys"], /no command `keys`/],
    [["keys", "get"], /needs an ID/],
    [["verify", "bit_pat_secret"], /takes fewer arguments/],
    [["keys", "create", "--scope", "a:b"], /needs --name/],
    [["keys", "create", "--name", "x", "--scope", "datasets:read", "--expires-in-days", "ten"], /whole number/],
    [["keys", "create", "--name", "x", "--scope", "datasets:read", "--metadata", "[1]"], /JSON object/],
    [["keys", "list", "--nonsense"], /--nonsense/],
    [["login", "--url", "http://keys.example.com"], /https/],
  ]) {
    const { code, stdout, stderr } = await bitting(args);
    assert.deepEqual([code, stdout], [2, ""], `${args} ${stderr}`);
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /bit_pat_secret/);
  }
  const away = await bitting(["whoami"], { variables: { BITTING_URL: "http://127.0.0.1:9", BITTING_KEY: "x" } });
  assert.deepEqual([away.code, /^bitting: fetch failed/.test(away.stderr)], [1, true], away.stderr);
});

test("the client names refusals, reads lists to their end, and takes no path for an id", async () => {
  const api = client();
  const names = [];
  for await (const { name } of module.all(api.keys.list, { limit: 1, status: "all" })) names.push(name);
  assert.equal(names.length, (await api.keys.list({ limit: 100, status: "all" })).items.length);
  await assert.rejects(api.keys.get({ key_id: "00000000-0000-7000-8000-000000000000" }), ({ status, code, requestId }) => status === 404 && code === "not_found" && requestId.length === 36);
  for (const key_id of ["", "..", "self/../self", "a?b", undefined]) await assert.rejects(api.keys.get({ key_id }), TypeError);
  await assert.rejects(api.keys.get({ key_id: "self", nonsense: 1 }), /no parameter `nonsense`/);
  assert.equal((await api.organizations.get()).name, "Acme");
  const body = { name: "once", scopes: [] };
  const [one, two] = [await api.keys.create(body, { idempotencyKey: "same" }), await api.keys.create(body, { idempotencyKey: "same" })];
  assert.equal(one.key, two.key);
  await assert.rejects(api.keys.change({ key_id: one.id, name: "changed" }, { ifMatch: '"stale"' }), ({ status }) => status === 412);
});
