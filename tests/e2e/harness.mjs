// Runs the release build in workerd, with a real local D1 and KV, for tests.
//
//   const app = await start();
//   const response = await app.fetch("/v1/keys/self", { headers });
//   await app.close();
//
// As a program it prints one line, {"url", "operator_secret"}, and serves until its stdin closes.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
export const OPERATOR_SECRET = "an-operator-secret-for-tests-only";

// `isolates` copies of the Worker share the database and the cache, but no memory and no clock. What they ask of
// other servers, `internet` answers if it is given. With `holder` they share one holder of the feed.
// `neighbour` is the file of another Worker, which has the binding `BITTING`.
export async function start({ isolates = 1, holder = false, neighbour, vars = {}, services = {}, internet, port = 0 } = {}) {
  // Wrangler's own reader of its file would take longer to load than the Worker takes to start.
  const config = readFileSync(join(root, "wrangler.toml"), "utf8");
  const [, compatibilityDate] = /^compatibility_date = "(.+)"/m.exec(config);
  const configured = Object.fromEntries([...config.matchAll(/^([A-Z_]+) = "(.*)"/gm)].map(([, name, value]) => [name, value]));
  const limits = config.matchAll(/name = "(\w+)"\nnamespace_id = "(\d+)"\nsimple = { limit = (\d+), period = (\d+) }/g);
  const runtime = [];
  const shared = {
    compatibilityDate,
    modulesRoot: root,
    modules: modules(),
    bindings: { ...configured, OPERATOR_SECRET: OPERATOR_SECRET, ...vars },
    d1Databases: { DB: "DB" },
    kvNamespaces: { CACHE: "CACHE" },
    durableObjects: holder ? { FEED_HOLDER: { className: "FeedHolder", scriptName: "bitting-0", useSQLite: true } } : {},
    ratelimits: Object.fromEntries([...limits].map(([, name, namespace_id, limit, period]) =>
      [name, { namespace_id, simple: { limit: Number(limit), period: Number(period) } }])),
    serviceBindings: services,
    outboundService: internet,
  };
  const miniflare = new Miniflare(convertV4MiniflareOptions({
    host: "127.0.0.1",
    // Without this Miniflare asks Cloudflare for the details of a sample request.
    cf: false,
    handleStructuredLogs: (line) => runtime.push(line),
    workers: Array.from({ length: isolates }, (_, index) => ({
      name: `bitting-${index}`,
      // Straight into workerd: what it answers is what a client gets, also when the Worker breaks.
      unsafeDirectSockets: [{ host: "127.0.0.1", port: index === 0 ? port : 0 }],
      ...shared,
    })).concat(neighbour ? {
      name: "neighbour",
      compatibilityDate,
      modules: true,
      scriptPath: join(root, neighbour),
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
      serviceBindings: { BITTING: { name: "bitting-0", entrypoint: "Bitting" } },
    } : []),
  }));
  await miniflare.ready;
  const db = await miniflare.getD1Database("DB");
  for (const file of readdirSync(join(root, "migrations")).sort()) {
    await db.prepare(readFileSync(join(root, "migrations", file), "utf8")).run();
  }
  const all = await Promise.all(Array.from({ length: isolates }, async (_, index) => {
    const name = `bitting-${index}`;
    return isolate((await miniflare.unsafeGetDirectURL(name)).origin, await miniflare.getWorker(name));
  }));
  return {
    ...all[0],
    isolates: all,
    db,
    kv: await miniflare.getKVNamespace("CACHE"),
    neighbourUrl: neighbour && (await miniflare.unsafeGetDirectURL("neighbour")).origin,
    // What workerd itself wrote, uncaught exceptions among it.
    runtime,
    setClock: async (ms) => void (await Promise.all(all.map((one) => one.setClock(ms)))),
    advance: async (ms) => void (await Promise.all(all.map((one) => one.advance(ms)))),
    close: () => miniflare.dispose(),
  };
}

function isolate(url, worker) {
  const control = async (command) => (await fetch(`${url}/__test`, { method: "POST", body: JSON.stringify(command) })).json();
  return {
    url,
    fetch: (path, init) => fetch(url + path, { redirect: "manual", ...init }),
    // A request that the platform locates in a country.
    fetchFrom: (country, path, init) => worker.fetch(url + path, { ...init, cf: { country } }),
    scheduled: (cron, time = Date.now()) => worker.scheduled({ cron, scheduledTime: new Date(time) }),
    // The clock goes on from the instant it is set to.
    setClock: (ms) => control({ clock: ms }),
    advance: (ms) => control({ advance: ms }),
    // Lets timers run no longer than this; null: as long as they are set to.
    limitTimers: (ms) => control({ longestTimer: ms }),
    now: async () => (await control({})).now,
    // How large the Worker's memory in WebAssembly has become, in bytes.
    memory: async () => (await control({})).memory,
    // Makes the next calls of `name` ("DB.batch", "CACHE.put", "Date.now") fail: instead of the call, or
    // with `after` once it has been done. Without a message they are only delayed, by `delay` ms.
    fail: (name, { times = 1, message, after = false, delay = 0 } = {}) => control({ fault: { name, times, message, after, delay } }),
    heal: () => control({ resetFaults: true }),
    // What was asked of D1 and KV since the last io(), background work included.
    async io() {
      for (let tries = 0; tries < 100 && (await control({})).io.background > 0; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return (await control({ resetIo: true })).io;
    },
    // What was written to the console since the last logs().
    logs: async () => (await control({ resetLogs: true })).logs,
  };
}

function modules() {
  const built = readdirSync(join(root, "build"), { recursive: true }).map((file) => `build/${file}`);
  const named = ["tests/e2e/entry.mjs", "tests/e2e/memory.mjs", ...built.filter((file) => /\.(js|wasm)$/.test(file))];
  return named.map((file) => ({ type: file.endsWith(".wasm") ? "CompiledWasm" : "ESModule", path: join(root, file) }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const app = await start({ port: Number(process.env.PORT ?? 0) });
  console.log(JSON.stringify({ url: app.url, operator_secret: OPERATOR_SECRET }));
  process.stdin.resume().on("end", () => app.close());
}
