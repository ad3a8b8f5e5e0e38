#!/usr/bin/env node
// The command line. Secrets are read from and written to files and pipes, and are never an argument.
import { createHash, randomInt, randomUUID } from "node:crypto";
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { all, BittingError, Client } from "./client.js";
import { BASE62, checksum } from "./key_text.js";

const HELP = `Usage: bitting COMMAND [OPTIONS]

  login --url URL [--name NAME]    sign in: approve a key for this machine in a browser
  logout                           revoke that key and forget it
  whoami                           the key that is in use

  keys list [--status S] [--name N] [--prefix P] [--project-id ID]
  keys get ID
  keys create --name NAME --scope SCOPE... [--expires-in-days N] [--kind pat|org|proj]
              [--project-id ID] [--label L] [--metadata JSON] [--out FILE]
  keys rotate ID [--grace-period-seconds N] [--out FILE]
  keys revoke ID [--with-descendants] [--force]
  verify [--scope SCOPE...]        reads the key from standard input; exit code 1 if it is not good
  audit list [--action A] [--subject ID] [--since T] [--until T] [--limit N]
  audit tail [--action A] [--subject ID]
  audit export [--since T] [--until T]    as JSON Lines

  --json                           prints JSON, one value a line for lists
  --help, --version

A new secret goes to the file after --out, which must not exist, or to standard output if that is no terminal.
BITTING_URL and BITTING_KEY come before what \`login\` has stored.
`;

const CLAIM_MS = 10 * 60 * 1000;
const CLAIM_INTERVAL_MS = 3_000;
const ATTEMPTS = 3;
const TAIL_INTERVAL_MS = 2_000;

class UsageError extends Error {}

const text = { type: "string" };
const flag = { type: "boolean" };
const list = { type: "string", multiple: true };

const COMMANDS = {
  login: { run: login, options: { url: text, name: text } },
  logout: { run: logout },
  whoami: { run: async (cli) => cli.show(await cli.client.keys.getSelf()) },
  "keys list": { run: listKeys, options: { status: text, name: text, prefix: text, "project-id": text } },
  "keys get": { run: async (cli, { id }) => cli.show(await cli.client.keys.get({ key_id: id })), arguments: ["id"] },
  "keys create": {
    run: createKey,
    options: { name: text, scope: list, kind: text, label: text, metadata: text, out: text, "project-id": text, "expires-in-days": text },
  },
  "keys rotate": { run: rotateKey, options: { out: text, "grace-period-seconds": text }, arguments: ["id"] },
  "keys revoke": { run: revokeKey, options: { force: flag, "with-descendants": flag }, arguments: ["id"] },
  verify: { run: verify, options: { scope: list } },
  "audit list": { run: listEvents, options: { action: text, subject: text, since: text, until: text, limit: text } },
  "audit tail": { run: tail, options: { action: text, subject: text } },
  "audit export": { run: exportEvents, options: { since: text, until: text } },
};

/** What a command works with: the client, and the way to the terminal. */
class Cli {
  #client;

  constructor(json) {
    this.json = json;
  }

  get client() {
    this.#client ??= new Client(credentials());
    return this.#client;
  }

  /** Prints one resource. */
  show(value) {
    if (this.json) return print(JSON.stringify(value));
    const width = Math.max(...Object.keys(value).map(({ length }) => length));
    for (const [name, field] of Object.entries(value)) print(`${name.padEnd(width)}  ${cell(field)}`);
  }

  /** Prints a resource with its new secret: the secret alone to a pipe, or all but the secret beside a file. */
  reveal({ key, ...about }, out) {
    if (out) {
      out.write(`${key}\n`);
      this.show(about);
    } else if (this.json) {
      print(JSON.stringify({ ...about, key }));
    } else {
      print(key);
    }
  }

  /** Prints rows as they come, under a heading. */
  row(value, columns) {
    if (this.json) return print(JSON.stringify(value));
    if (!this.headed) print(columns.map(([name, width]) => name.toUpperCase().padEnd(width)).join("  ").trimEnd());
    this.headed = true;
    print(columns.map(([name, width]) => cell(value[name]).padEnd(width)).join("  ").trimEnd());
  }
}

async function main() {
  const words = process.argv.slice(2);
  const name = [words.slice(0, 2).join(" "), words[0]].find((it) => Object.hasOwn(COMMANDS, it ?? ""));
  if (!name && words.includes("--version")) return print(JSON.parse(readFileSync(new URL("package.json", import.meta.url))).version);
  if (words.includes("--help") || words[0] === "help") return print(HELP.trimEnd());
  if (!name) throw new UsageError(words.length > 0 ? `There is no command \`${words.slice(0, 2).join(" ")}\`` : "Give a command");
  const { run, options = {}, arguments: named = [] } = COMMANDS[name];
  const rest = words.slice(name.split(" ").length);
  const { values, positionals } = parsed(rest, { ...options, json: flag });
  if (positionals.length !== named.length) {
    // What is too much may be a secret, so that it is not repeated.
    throw new UsageError(named.length > positionals.length ? `\`${name}\` needs an ${named[0].toUpperCase()}` : `\`${name}\` takes fewer arguments`);
  }
  const given = Object.fromEntries(named.map((argument, at) => [argument, positionals[at]]));
  await run(new Cli(values.json), { ...values, ...given });
}

function parsed(args, options) {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message);
  }
}

async function login(cli, { url, name = `bitting on ${hostname()}` }) {
  const address = (url ?? process.env.BITTING_URL ?? stored()?.url)?.replace(/\/+$/, "");
  if (!address) throw new UsageError("`login` needs --url, the address of Bitting");
  if (!/^https:\/\/|^http:\/\/(localhost|127\.|\[::1\])/.test(address)) throw new UsageError("--url must begin with https://");
  const token = deviceToken();
  const digest = createHash("sha256").update(token).digest("hex");
  const code = digest.slice(0, 8).toUpperCase().replace(/^.{4}/, "$&-");
  const link = `${address}/settings/keys/new?${new URLSearchParams({ device: digest, name })}`;
  process.stderr.write(`Open this link in a browser, check that it shows the code ${code}, and approve:\n\n  ${link}\n\n`);
  const client = new Client({ url: address });
  const until = Date.now() + CLAIM_MS;
  for (;;) {
    const claimed = await claim(client, token);
    if (claimed) {
      store({ url: address, key: claimed.key, key_id: claimed.id });
      process.stderr.write(`Signed in. The key is in ${path()}.\n`);
      const { key: _, ...about } = claimed;
      return cli.show(about);
    }
    if (Date.now() > until) throw new Error("Nobody approved the link in ten minutes. Run `bitting login` again.");
    await sleep(CLAIM_INTERVAL_MS);
  }
}

async function claim(client, token) {
  try {
    return await client.deviceLinks.claim({ token });
  } catch (error) {
    if (error.code === "link_not_approved") return undefined;
    if (error.retryAfterSeconds === undefined) throw error;
    await sleep(error.retryAfterSeconds * 1_000);
    return undefined;
  }
}

async function logout() {
  const known = stored();
  if (!known) throw new Error("Nobody is signed in here.");
  try {
    await new Client(known).keys.revokeSelf();
  } catch (error) {
    // What has ended already needs no end. Else the key still works, and stays where it can be found.
    if (!(error instanceof BittingError && error.status === 401)) throw error;
  }
  rmSync(path());
  process.stderr.write("Signed out. The key is revoked.\n");
}

async function listKeys(cli, { status, name, prefix, "project-id": project_id }) {
  const columns = [["id", 36], ["status", 10], ["kind", 4], ["preview", 18], ["expires_at", 24], ["name", 0]];
  for await (const key of all(cli.client.keys.list, { status, name, prefix, project_id, limit: 100 })) cli.row(key, columns);
}

async function createKey(cli, { name, scope: scopes = [], kind, label, metadata, out, "project-id": project_id, "expires-in-days": days }) {
  if (!name) throw new UsageError("`keys create` needs --name");
  if (scopes.length === 0) throw new UsageError("`keys create` needs --scope, once or more");
  const body = { name, scopes, kind, label, project_id, metadata: metadata && object(metadata), expires_in_days: number(days, "--expires-in-days") };
  await withSecret(out, async (file) => cli.reveal(await repeatedly((options) => cli.client.keys.create(body, options)), file));
}

async function rotateKey(cli, { id, out, "grace-period-seconds": seconds }) {
  const body = { key_id: id, grace_period_seconds: number(seconds, "--grace-period-seconds") };
  await withSecret(out, async (file) => {
    const rotated = await repeatedly((options) => cli.client.keys.rotate(body, options));
    const known = stored();
    if (known?.key_id === rotated.id) store({ ...known, key: rotated.key });
    cli.reveal(rotated, file);
  });
}

/** Sends a request that makes a secret, again if its answer was lost: the same name gets the same secret. */
async function repeatedly(send) {
  const options = { idempotencyKey: randomUUID() };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send(options);
    } catch (error) {
      const isLost = !(error instanceof BittingError) || error.status >= 500;
      if (error instanceof TypeError && !error.cause || !isLost || attempt === ATTEMPTS) throw error;
      await sleep(attempt * 1_000);
    }
  }
}

/** Makes the place for a secret before there is one, and takes it away again if there is none. */
async function withSecret(out, work) {
  if (!out) {
    if (process.stdout.isTTY) throw new UsageError("A secret is not shown on a terminal. Give --out FILE, or a pipe");
    return work();
  }
  let file;
  try {
    file = openSync(out, "wx", 0o600);
  } catch (error) {
    throw new UsageError(error.code === "EEXIST" ? `${out} exists; a secret does not overwrite a file` : error.message);
  }
  try {
    await work({ write: (secret) => writeFileSync(file, secret) });
  } catch (error) {
    rmSync(out);
    throw error;
  } finally {
    closeSync(file);
  }
}

async function revokeKey(cli, { id, force, "with-descendants": with_descendants }) {
  cli.show(await cli.client.keys.revoke({ key_id: id, force, with_descendants }));
}

async function verify(cli, { scope: scopes }) {
  if (process.stdin.isTTY) process.stderr.write("The key, and then Enter and Ctrl-D:\n");
  const key = readFileSync(0, "utf8").trim();
  const verdict = await cli.client.keys.verify({ key, scopes });
  cli.show(verdict);
  if (!verdict.valid) process.exitCode = 1;
}

const EVENT_COLUMNS = [["at", 24], ["action", 24], ["subject", 36], ["refusal", 0]];

async function listEvents(cli, { action, subject, since, until, limit = "50" }) {
  const page = await cli.client.audit.list({ action, subject, since, until, limit: number(limit, "--limit") });
  for (const event of page.items) cli.row(event, EVENT_COLUMNS);
}

async function tail(cli, { action, subject }) {
  const question = { action, subject };
  let { id: last = 0 } = (await cli.client.audit.list({ ...question, limit: 1 })).items[0] ?? {};
  for (;;) {
    const events = [];
    for await (const event of all(cli.client.audit.list, { ...question, limit: 100 })) {
      if (event.id <= last) break;
      events.unshift(event);
    }
    for (const event of events) cli.row(event, EVENT_COLUMNS);
    last = events.at(-1)?.id ?? last;
    await sleep(TAIL_INTERVAL_MS);
  }
}

async function exportEvents(cli, { since, until }) {
  const query = new URLSearchParams(Object.entries({ since, until }).filter(([, value]) => value !== undefined));
  const { body } = await cli.client.request("GET", `/v1/audit-events?${query}`, { headers: { accept: "application/x-ndjson" } });
  await pipeline(body, process.stdout, { end: false });
}

function number(value, option) {
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw new UsageError(`${option} must be a whole number`);
  return Number(value);
}

function object(json) {
  try {
    const value = JSON.parse(json);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
  } catch {
    // It is told as what else is no object.
  }
  throw new UsageError("--metadata must be a JSON object");
}

/** The token that only this program knows; the link has its digest. */
function deviceToken() {
  const secret = Array.from({ length: 43 }, () => BASE62[randomInt(62)]).join("");
  return `bit_dev_${secret}${checksum(`bit_dev_${secret}`)}`;
}

function path() {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), ".config"), "bitting", "credentials.json");
}

function stored() {
  return existsSync(path()) ? JSON.parse(readFileSync(path(), "utf8")) : undefined;
}

// A file that is replaced whole is never half a key.
function store(known) {
  mkdirSync(dirname(path()), { recursive: true, mode: 0o700 });
  const next = `${path()}.${process.pid}`;
  writeFileSync(next, `${JSON.stringify(known)}\n`, { mode: 0o600 });
  chmodSync(next, 0o600);
  renameSync(next, path());
}

function credentials() {
  const { BITTING_URL: url, BITTING_KEY: key } = process.env;
  if (url && key) return { url, key };
  if (url || key) throw new UsageError("Set both BITTING_URL and BITTING_KEY, or neither");
  const known = stored();
  if (!known) throw new Error("Sign in with `bitting login --url URL`, or set BITTING_URL and BITTING_KEY.");
  return known;
}

// What others have written may hold what a terminal obeys.
function cell(value) {
  const shown = value === null || value === undefined ? "-" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return shown.replace(/[\u0000-\u001f\u007f-\u009f]/g, "�");
}

function print(line) {
  process.stdout.write(`${line}\n`);
}

// Whoever reads only the first lines ends the pipe.
process.stdout.on("error", (error) => process.exit(error.code === "EPIPE" ? 0 : 1));
try {
  await main();
} catch (error) {
  const usage = error instanceof UsageError;
  const code = error instanceof BittingError ? ` (${error.status} ${error.code})` : "";
  const why = error.cause?.message ? `: ${error.cause.message}` : "";
  process.stderr.write(`bitting: ${cell(error.message)}${code}${cell(why)}\n${usage ? "See `bitting --help`.\n" : ""}`);
  process.exitCode = usage ? 2 : 1;
}
