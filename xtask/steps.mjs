// What `npm run dev` and `npm test` share: running a command as a step with one line of progress, and
// all the set-up that a new machine needs. No dependencies: this runs before there are any.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const begun = performance.now();
const running = new Map(); // each program with the signal that ends it

process.chdir(join(dirname(fileURLToPath(import.meta.url)), ".."));
Object.assign(process.env, {
  // Wrangler needs a newer Node.js than the machine may have, so npm installs one for it.
  PATH: `${join(process.cwd(), "node_modules/.bin")}${delimiter}${process.env.PATH}`,
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
});

for (const [signal, number] of [["SIGHUP", 1], ["SIGINT", 2], ["SIGTERM", 15]]) {
  process.on(signal, () => process.exit(128 + number));
}
process.on("exit", () => {
  for (const [child, signal] of running) {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
});

/** Starts a program in a process group of its own, which ends with this process at the latest. */
export function start([program, ...words], signal, options) {
  const child = spawn(program, words, { detached: true, ...options });
  running.set(child, signal);
  child.on("error", (error) => fail(`${program}: ${error.message}`));
  child.on("close", () => running.delete(child));
  return child;
}

function fail(message) {
  console.error(`\nFAILED: ${message}`);
  process.exit(1);
}

/** Runs a program to its end and answers what it wrote. */
export function run(command, env = {}) {
  return new Promise((resolve, reject) => {
    // Killed outright: npm goes on for a while when asked to end, and would meet the next run's npm.
    const child = start(command, "SIGKILL", { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    let output = "";
    child.stdout.on("data", (text) => (output += text));
    child.stderr.on("data", (text) => (output += text));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${output}\n$ ${command.join(" ")}\nended with ${signal ?? code}`));
    });
  });
}

/** Does one piece of work, prints a line when it is done, and ends everything when it fails. */
export async function step(name, work) {
  const from = performance.now();
  try {
    const result = await work();
    console.log(`${seconds(from)}  ${name}`);
    return result;
  } catch (error) {
    fail(`${name}\n\n${error.message}`);
  }
}

export const seconds = (from = begun) => `${((performance.now() - from) / 1000).toFixed(1).padStart(6)} s`;

/** Does a step only if `inputs` changed since it last ended well, which the file `stamp` remembers. */
async function stepOnce(name, stamp, inputs, work) {
  const key = createHash("sha256").update(inputs).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === key) return;
  await step(name, work);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, key);
}

export const npmPackages = () =>
  stepOnce("npm packages", "node_modules/.bitting", readFileSync("package-lock.json"), () => {
    // npm writes this file last. Without it a run was interrupted, and npm would take half a package for a whole one.
    if (!existsSync("node_modules/.package-lock.json")) rmSync("node_modules", { recursive: true, force: true });
    // Not `npm ci`: it refuses a lock file that was written where the registry lacks other systems' binaries.
    return run(["npm", "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]);
  });

export async function wasmTarget() {
  const sysroot = (await run(["rustc", "--print", "sysroot"])).trim();
  if (existsSync(join(sysroot, "lib/rustlib/wasm32-unknown-unknown"))) return;
  await step("wasm target", () => run(["rustup", "target", "add", "wasm32-unknown-unknown"]));
}

/** The Worker in build/. Cargo compiles it and the tool that packs it side by side. */
export async function build({ dev, after }) {
  const profile = dev ? "dev" : "release";
  await Promise.all([
    step("build tool", () => run(["cargo", "build", "--quiet", "--locked", "--profile", "xtask", "--package", "xtask"])),
    step(`Worker, ${profile} profile`, () =>
      run(["cargo", "build", "--quiet", "--locked", "--lib", "--target", "wasm32-unknown-unknown", "--profile", profile])),
  ]);
  await after;
  await step("build/", () => run(["cargo", "xtask", "build", ...(dev ? ["--dev"] : [])]));
}

export const localDatabase = () =>
  stepOnce("local database", ".wrangler/state/.migrated", migrations(), () =>
    run(["wrangler", "d1", "migrations", "apply", "DB", "--local"], { CI: "1" }));

const migrations = () => readdirSync("migrations").sort().map((file) => readFileSync(join("migrations", file), "utf8")).join("\0");

export const pythonPackages = () =>
  stepOnce("Python packages", "target/python/.bitting", readFileSync("tests/sdk/requirements.txt"), async () => {
    await run(["python3", "-m", "venv", "--clear", "target/python"]);
    await run(["target/python/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", "tests/sdk/requirements.txt"]);
  });

/** The browser for the tests of the pages: whatever `CHROMIUM` names, or Debian's. */
export async function chromium() {
  const path = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (existsSync(path)) return;
  if (process.env.CHROMIUM || process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    fail(`there is no ${path}: install Chromium, or say where it is, CHROMIUM=/path/to/chromium npm test`);
  }
  await step("Chromium", async () => {
    await run(["apt-get", "update"]);
    await run(["apt-get", "install", "--yes", "--no-install-recommends", "chromium"], { DEBIAN_FRONTEND: "noninteractive" });
  });
}
