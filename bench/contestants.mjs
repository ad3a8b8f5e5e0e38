// The Workers that are compared, in one workerd, each with a database and a cache of its own.
import { build } from "esbuild";
import { createHash, randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { crc32, gzipSync } from "node:zlib";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { crowd } from "../tests/e2e/crowd.mjs";

const root = new URL("..", import.meta.url).pathname;
const OPERATOR_SECRET = "an-operator-secret-for-the-benchmark";
const SIZES = [3, 1_000, 100_000];
const config = readFileSync(`${root}/wrangler.toml`, "utf8");
const [, compatibilityDate] = /^compatibility_date = "(.+)"/m.exec(config);

const file = (path, from = root) => ({ path, contents: readFileSync(`${from}/${path}`) });
const built = (folder, from = root) =>
  readdirSync(`${from}/${folder}`, { recursive: true }).filter((name) => /\.(js|wasm)$/.test(name)).map((name) => file(`${folder}/${name}`, from));

/** One module of a Worker in JavaScript, small as for a deployment. */
async function bundled(name) {
  const { outputFiles } = await build({
    entryPoints: [`${root}/bench/peers/${name}.mjs`],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*", "*/target/bench/index.js"],
  });
  return outputFiles[0].text.replace("../../target/bench/index.js", "../target/bench/index.js");
}

/** The modules of each Worker; the first is what workerd calls, and lies in a folder of the repository's root. */
async function workers(beside) {
  const rust = built("target/bench").filter(({ path }) => !path.endsWith("/worker.js"));
  const script = (contents) => ({ path: "build/worker.js", contents });
  const bitting = (from) => [file("build/worker.js", from), ...built("build", from).filter(({ path }) => path !== "build/worker.js")];
  const catalogue = JSON.parse(readFileSync(`${root}/catalogue.json`, "utf8"));
  catalogue.resources.orders = { use: "See and change orders" };
  catalogue.routes = [{ methods: ["GET"], path: "/orders/*rest", scope: "orders:use", service: "ORDERS" }];
  const vars = Object.fromEntries([...config.matchAll(/^([A-Z_]+) = "(.*)"/gm)].map(([, name, value]) => [name, value]));
  const limits = [...config.matchAll(/name = "(\w+)"\nnamespace_id = "(\d+)"/g)];
  const ours = {
    modules: bitting(root),
    bindings: { ...vars, OPERATOR_SECRET, CATALOGUE: JSON.stringify(catalogue) },
    serviceBindings: { ORDERS: "js" },
    // They are asked as in production, but let everything pass.
    ratelimits: Object.fromEntries(limits.map(([, name, namespace_id]) => [name, { namespace_id, simple: { limit: 1e9, period: 60 } }])),
  };
  const peer = async (name, rest) => ({ modules: [script(await bundled(name))], ...rest });
  const betterAuth = (STORAGE) => peer("better-auth", { bindings: { STORAGE } });
  return {
    js: await peer("constant"),
    rust: { modules: [script('import { fetch } from "../target/bench/index.js";\nexport default { fetch };'), ...rust] },
    synchronous: { modules: [script(await bundled("synchronous")), ...rust] },
    ...Object.fromEntries(SIZES.flatMap((size) => [[`bitting-${size}`, ours], [`creating-${size}`, ours]])),
    ...(beside && { beside: { ...ours, modules: bitting(beside) } }),
    forward: await peer("forward", { serviceBindings: { UPSTREAM: "js" } }),
    hono: await peer("hono"),
    "better-auth-database": await betterAuth("database"),
    "better-auth-cached": await betterAuth("cached"),
    "better-auth-kv": await betterAuth("kv"),
  };
}

/**
 * Starts all Workers and gives what is asked of them: `contestants`, each `{name, worker, request, status, has}`. With
 * `counted` they run behind the entry of the tests, which counts what they ask of D1 and KV. `beside` is another checkout
 * of Bitting, with a release build.
 */
export async function start({ counted = false, beside } = {}) {
  const all = await workers(beside);
  const names = Object.keys(all);
  const wrap = (modules) => {
    if (!counted) return modules;
    // The entry wraps two classes that only Bitting has.
    const [first, ...rest] = modules;
    const missing = ["Bitting", "FeedHolder"].filter((name) => !String(first.contents).includes(`class ${name}`));
    const contents = `${first.contents}\n${missing.map((name) => `export class ${name} {}`).join("\n")}`;
    return [file("tests/e2e/entry.mjs"), file("tests/e2e/memory.mjs"), { ...first, contents }, ...rest];
  };
  const options = convertV4MiniflareOptions({
    host: "127.0.0.1",
    cf: false,
    handleStructuredLogs: ({ level, message }) => level === "error" && console.error(message),
    workers: names.map((name) => ({
      name,
      compatibilityDate,
      compatibilityFlags: ["nodejs_compat"],
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      modulesRoot: root,
      ...all[name],
      modules: wrap(all[name].modules).map(({ path, contents }) => ({
        type: path.endsWith(".wasm") ? "CompiledWasm" : "ESModule",
        path: `${root}${path}`,
        contents,
      })),
      d1Databases: { DB: name },
      kvNamespaces: { CACHE: name },
    })),
  });
  const miniflare = new Miniflare(options);
  await miniflare.ready;
  const origins = {};
  const locate = async () => {
    for (const name of names) origins[name] = (await miniflare.unsafeGetDirectURL(name)).origin;
  };
  await locate();
  return {
    origins,
    contestants: await contestants(miniflare, origins, beside),
    /** Starts workerd anew; what is stored stays. */
    restart: async () => {
      await miniflare.setOptions(options);
      await locate();
    },
    gzip: (name) => all[name].modules.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0),
    close: () => miniflare.dispose(),
  };
}

async function contestants(miniflare, origins, beside) {
  const post = (path, key, body) => () => ({ method: "POST", path, headers: { authorization: `Bearer ${key}` }, body: JSON.stringify(body) });
  const get = (path, key) => () => ({ method: "GET", path, headers: { authorization: `Bearer ${key}` } });
  const send = async (worker, request) => {
    const { path, ...init } = request();
    const response = await fetch(origins[worker] + path, init);
    if (!response.ok) throw new Error(`${worker}${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };

  const checked = (number) => {
    const text = `key_${String(number).padStart(43, "0")}`;
    return `${text}-${crc32(text).toString(16).padStart(8, "0")}`;
  };
  const least = post("/verify", checked(1), { key: checked(2), scopes: ["datasets:read"] });
  const list = [
    { name: "constant, JavaScript", worker: "js", request: get("/", "k"), has: "ok" },
    { name: "constant, Rust", worker: "rust", request: get("/constant", "k"), has: "ok" },
    { name: "least possible in Rust, asynchronous", worker: "rust", request: least, has: '"valid":true' },
    { name: "least possible in Rust, synchronous", worker: "synchronous", request: least, has: '"valid":true' },
  ];

  /** A database of Bitting with so many keys. */
  async function furnish(worker, size, from = root) {
    const db = await miniflare.getD1Database("DB", worker);
    for (const name of readdirSync(`${from}/migrations`).sort()) await db.prepare(readFileSync(`${from}/migrations/${name}`, "utf8")).run();
    const { key: owner } = await send(worker, post("/v1/bootstrap", OPERATOR_SECRET, { organization: "A", email: "a@b.example", key_name: "owner" }));
    const create = async (name, scopes) => (await send(worker, post("/v1/keys", owner, { name, scopes }))).key;
    const keys = { owner, service: await create("service", ["api-keys:verify"]), subject: await create("subject", ["datasets:read", "orders:use"]) };
    if (size > 3) await crowd({ db }, { total: size - 3, expired: 0 });
    return keys;
  }
  const verify = ({ service, subject }, fields) => post("/v1/keys/verify", service, { key: subject, scopes: ["datasets:read"], ...fields });

  for (const size of SIZES) {
    const worker = `bitting-${size}`;
    const keys = await furnish(worker, size);
    const { owner, subject } = keys;
    const among = `, ${size.toLocaleString("en")} keys`;
    list.push({ name: `Bitting: verify, warm${among}`, worker, request: verify(keys), has: '"valid":true' });
    list.push({ name: `Bitting: verify, strong${among}`, worker, request: verify(keys, { freshness: "strong" }), has: '"source":"d1"' });
    if (size === SIZES[1]) {
      const unknown = (n) => {
        const digits = BigInt(`0x${createHash("sha256").update(String(n)).digest("hex")}`).toString().slice(0, 43);
        const text = `bit_pat_${digits}`;
        return text + base62(crc32(text));
      };
      const known = unknown(0);
      list.push(
        { name: "Bitting: authorize, warm", worker, request: get("/v1/authorize?scope=datasets:read", subject) },
        { name: "Bitting: malformed key", worker, request: get("/v1/authorize?scope=datasets:read", `${subject}0`), status: 401, has: "malformed_api_key" },
        { name: "Bitting: unknown key, asked again", worker, request: get("/v1/authorize?scope=datasets:read", known), status: 401, has: "invalid_api_key" },
        { name: "Bitting: unknown keys, all new", worker, request: () => get("/v1/authorize?scope=datasets:read", unknown(randomUUID()))(), status: 401, has: "invalid_api_key" },
        { name: "Bitting: GET /v1/keys/self", worker, request: get("/v1/keys/self", owner), has: '"name":"owner"' },
        { name: "Bitting: gateway to a service binding", worker, request: get("/orders/1", subject), has: "ok" },
        { name: "the same forwarding, JavaScript, no key", worker: "forward", request: get("/orders/1", subject), has: "ok" },
      );
    }
    const creating = `creating-${size}`;
    const create = post("/v1/keys", (await furnish(creating, size)).owner, { name: "k", scopes: ["datasets:read"] });
    list.push({ name: `Bitting: create${among}`, worker: creating, request: create, status: 201, has: '"key":"bit_' });
  }

  if (beside) {
    const keys = await furnish("beside", SIZES[1], beside);
    list.push({ name: `${beside}: verify, warm`, worker: "beside", request: verify(keys), has: '"valid":true' });
  }

  const key = checked(3);
  const kv = await miniflare.getKVNamespace("CACHE", "hono");
  await kv.put(`key:${createHash("sha256").update(key).digest("hex")}`, JSON.stringify({ id: "1", scopes: ["datasets:read"] }));
  list.push({ name: "Hono, SHA-256, KV", worker: "hono", request: post("/verify", "", { key }), has: '"valid":true' });
  for (const [storage, name] of [["database", "on D1"], ["cached", "KV before D1"], ["kv", "KV alone"]]) {
    const worker = `better-auth-${storage}`;
    const { key } = await send(worker, post("/setup", "", {}));
    list.push({ name: `Better Auth, ${name}`, worker, request: post("/verify", "", { key }), has: '"valid":true' });
  }
  return list;
}

/** Six digits of base 62, as at the end of Bitting's keys. */
function base62(number) {
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return Array.from({ length: 6 }, (_, place) => digits[Math.floor(number / 62 ** (5 - place)) % 62]).join("");
}
