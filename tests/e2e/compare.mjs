// Compares the CPU time of a warm verification in two checkouts, side by side, in alternating rounds of one run:
//
//   node tests/e2e/compare.mjs FOLDER OTHER_FOLDER
//
// Each folder has its packages and a release build in build/.
import { execSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";

const ROUNDS = 9;
const VERIFICATIONS = 4000;
const AT_ONCE = 20;
const TICK_MS = 10;

async function start(folder) {
  const child = spawn(`${folder}/node_modules/.bin/node`, [`${folder}/tests/e2e/harness.mjs`], { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  const { url, operator_secret } = await new Promise((resolve) => child.stdout.once("data", (line) => resolve(JSON.parse(line))));
  const below = (pid) => execSync(`pgrep -P ${pid} || true`, { encoding: "utf8" }).trim().split("\n").filter(Boolean).flatMap((own) => [own, ...below(own)]);
  const workerd = below(child.pid).find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("workerd"));
  const post = async (path, key, body) => (await fetch(url + path, { method: "POST", headers: { authorization: `Bearer ${key}` }, body: JSON.stringify(body) })).json();
  const owner = (await post("/v1/bootstrap", operator_secret, { organization: "A", email: "a@b.example", key_name: "k" })).key;
  const { key } = await post("/v1/keys", owner, { name: "warm", scopes: ["datasets:read"] });
  const verify = async () => {
    const { valid, code } = await post("/v1/keys/verify", owner, { key, scopes: ["datasets:read"] });
    if (!valid) throw new Error(code);
  };
  // The user and the system time of the process, in ticks.
  const cpuMs = () => readFileSync(`/proc/${workerd}/stat`, "utf8").split(") ")[1].split(" ").slice(11, 13).reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0);
  const round = async () => {
    const before = cpuMs();
    for (let done = 0; done < VERIFICATIONS; done += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, verify));
    return (cpuMs() - before) / VERIFICATIONS;
  };
  return { folder, round, times: [], stop: () => child.stdin.end() };
}

const apps = await Promise.all(process.argv.slice(2).map(start));
for (const app of apps) await app.round();
for (let round = 0; round < ROUNDS; round += 1) {
  for (const app of round % 2 ? apps.toReversed() : apps) app.times.push(await app.round());
}
const medians = apps.map(({ folder, times, stop }) => {
  stop();
  const median = times.toSorted((a, b) => a - b)[ROUNDS >> 1];
  console.log(`${folder}: ${median.toFixed(4)} ms of CPU for a verification`);
  return median;
});
console.log(`ratio: ${(medians[1] / medians[0]).toFixed(3)}`);
