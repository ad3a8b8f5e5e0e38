// The benchmark: what a request costs in workerd, beside constants and other ways. Writes RESULTS.md and two plots.
//
//   node bench/run.mjs                 everything, in about eight minutes
//   node bench/run.mjs check           only whether each one starts and answers as it should
//   node bench/run.mjs beside FOLDER   only verifications, beside those of another checkout with a release build
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";

const root = new URL("..", import.meta.url).pathname;
const ROUNDS = 31;
const ROUND_MS = 350;
const CONNECTIONS = 16;
const OTHER_CONNECTIONS = [1, 64];
const STARTS = 5;
const COUNTED = 50;
const TICK_MS = 10;

const sh = (command, ...args) => execFileSync(command, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });

function prepare() {
  sh("npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "bench");
  sh("cargo", "xtask", "build");
  sh("cargo", "build", "--quiet", "--locked", "--release", "--target", "wasm32-unknown-unknown", "--package", "bench-worker");
  mkdirSync(`${root}/target/bench`, { recursive: true });
  sh("target/xtask/pack", "target/wasm32-unknown-unknown/release/bench_worker.wasm", "target/bench");
  const wasm = "target/bench/index_bg.wasm";
  sh("node", "node_modules/binaryen/bin/wasm-opt", "--all-features", "-O", wasm, "-o", wasm);
}

const sorted = (numbers) => numbers.toSorted((a, b) => a - b);
const at = (numbers, share) => sorted(numbers)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))];

/** One answer of each, which must be what is expected. */
async function ask({ origins }, { name, worker, request, status = 200, has = "" }) {
  const { path, ...init } = request();
  const from = performance.now();
  const response = await fetch(origins[worker] + path, init);
  const text = await response.text();
  const ms = performance.now() - from;
  if (response.status !== status || !text.includes(has)) throw new Error(`${name}: ${response.status}, not ${status} with ${has}: ${text}`);
  return { bytes: Buffer.byteLength(text), ms };
}

/** What a request asks of D1 and KV, and how large the memory of the WebAssembly is, by the entry of the tests. */
async function count(results) {
  const app = await start({ counted: true });
  const control = async ({ worker }, command) => (await fetch(`${app.origins[worker]}/__test`, { method: "POST", body: JSON.stringify(command) })).json();
  for (const contestant of app.contestants) {
    for (let n = 0; n < 2; n += 1) await ask(app, contestant);
    for (let tries = 0; tries < 100 && (await control(contestant, {})).io.background > 0; tries += 1) await new Promise((resolve) => setTimeout(resolve, 20));
    await control(contestant, { resetIo: true });
    for (let n = 0; n < COUNTED; n += 1) await ask(app, contestant);
    const { io, memory } = await control(contestant, {});
    const result = (results[contestant.name] = { io: {}, memory });
    for (const name of ["d1_calls", "rows_read", "rows_written", "kv_gets", "kv_puts"]) result.io[name] = io[name] / COUNTED;
  }
  await app.close();
}

async function time(results, { beside, only = () => true } = {}) {
  const app = await start({ beside });
  const contestants = app.contestants.filter(only);
  for (const contestant of contestants) {
    const result = (results[contestant.name] ??= {});
    Object.assign(result, { name: contestant.name, gzip: app.gzip(contestant.worker), cpu: [], latencies: {}, first: [], wrong: [] });
    for (let n = 0; n < 2; n += 1) result.bytes = (await ask(app, contestant)).bytes;
  }
  const workerd = () => readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ").find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("workerd"));
  // The user and the system time of the process, in ticks.
  const cpuMs = () => readFileSync(`/proc/${workerd()}/stat`, "utf8").split(") ")[1].split(" ").slice(11, 13).reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0);
  async function round(contestant, connections, ms) {
    const origin = app.origins[contestant.worker];
    await drive(origin, contestant, connections, ms / 10);
    const before = cpuMs();
    const { times, wrong } = await drive(origin, contestant, connections, ms);
    const result = results[contestant.name];
    for (const answer of wrong) console.error(`${contestant.name}, ${connections} connections: ${answer}`);
    result.wrong.push(...wrong);
    (result.latencies[connections] ??= []).push(...times);
    return ((cpuMs() - before) * 1000) / times.length;
  }
  for (let n = 0; n < ROUNDS; n += 1) {
    console.error(`round ${n + 1} of ${ROUNDS}`);
    const order = n % 2 ? contestants.toReversed() : contestants;
    for (const contestant of order) results[contestant.name].cpu.push(await round(contestant, CONNECTIONS, ROUND_MS));
    if (n % 10) continue;
    for (const connections of OTHER_CONNECTIONS) for (const contestant of order) await round(contestant, connections, ROUND_MS);
  }
  // The first answer of each new isolate, in a process that has answered something else before.
  const isFirst = ({ worker }, index) => !/^(js|forward|creating.*)$/.test(worker) && contestants.findIndex((other) => other.worker === worker) === index;
  for (let n = 0; n < STARTS; n += 1) {
    await app.restart();
    await fetch(app.origins.forward).then((response) => response.text());
    for (const contestant of contestants.filter(isFirst)) results[contestant.name].first.push((await ask(app, contestant)).ms);
  }
  await app.close();
  for (const result of Object.values(results)) {
    result.cpu = { low: at(result.cpu, 0.25), median: at(result.cpu, 0.5), high: at(result.cpu, 0.75) };
    result.latencies = Object.fromEntries(Object.entries(result.latencies).map(([n, times]) => [n, [0.5, 0.95, 0.99].map((share) => at(times, share))]));
    result.first = result.first.length ? at(result.first, 0.5) : null;
  }
}

prepare();
const { start } = await import("./contestants.mjs");
const { drive } = await import("./load.mjs");
const [command, folder] = process.argv.slice(2);
const results = {};
if (command === "check") {
  const app = await start();
  for (const contestant of app.contestants) {
    for (let n = 0; n < 2; n += 1) await ask(app, contestant);
    console.log(`${contestant.name}: as expected`);
  }
  await app.close();
} else if (command === "beside" && folder) {
  await time(results, { beside: folder, only: ({ name }) => /constant|least|verify, warm/.test(name) });
  for (const { name, cpu } of Object.values(results)) console.log(`${name}: ${cpu.median.toFixed(0)} µs of CPU (${cpu.low.toFixed(0)} to ${cpu.high.toFixed(0)})`);
} else if (command === undefined) {
  const { report } = await import("./report.mjs");
  await count(results);
  await time(results);
  report(Object.values(results), { rounds: ROUNDS, ms: ROUND_MS, connections: CONNECTIONS, starts: STARTS });
} else {
  throw new Error("usage: node bench/run.mjs [check | beside FOLDER]");
}
