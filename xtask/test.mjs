// `npm test`: every check there is, from a new machine to the last summary line.
import { build, chromium, npmPackages, pythonPackages, run, seconds, step, wasmTarget } from "./steps.mjs";

const packages = npmPackages();
const python = pythonPackages();
await wasmTarget();

// Cargo's debug and release folders have separate locks, so that these two rows run side by side.
const [tests, [browser, node, docs, sdk]] = await Promise.all([native(), onWorkerd()]);

console.log("\ncargo test");
print(tests, /^test result: .*[1-9]\d* (passed|failed)/);
console.log("node --test");
print(node, /^ℹ (tests|pass|fail|skipped|duration_ms)/);
console.log("node --test, in a browser");
print(browser, /^ℹ (tests|pass|fail|skipped|duration_ms)/);
console.log("node --test, the documents");
print(docs, /^ℹ (tests|pass|fail|skipped|duration_ms)/);
console.log("Python SDK");
print(sdk, /^(Ran \d|OK|FAILED)/);
console.log(`\nAll checks passed in ${seconds().trim()}.`);

async function native() {
  await step("cargo fmt", () => run(["cargo", "fmt", "--all", "--check"]));
  await step("clippy", () => run(["cargo", "clippy", "--quiet", "--locked", "--all-targets", "--", "-D", "warnings"]));
  const output = await step("cargo test", () => run(["cargo", "test", "--locked"]));
  await step("cargo doc", () =>
    run(["cargo", "doc", "--quiet", "--locked", "--no-deps", "--document-private-items"], { RUSTDOCFLAGS: "-D warnings" }));
  return output;
}

async function onWorkerd() {
  await build({ dev: false, after: packages });
  return Promise.all([
    chromium().then(() => step("tests in a browser", () => run(["node", "--test", "--test-reporter=spec", "tests/pages/*.test.mjs"]))),
    step("end-to-end tests", () => run(["node", "--test", "--test-reporter=spec", "tests/e2e/*.test.mjs"])),
    python.then(() => step("documents", () => run(["node", "--test", "--test-reporter=spec", "tests/docs/*.test.mjs"]))),
    python.then(() => step("Python SDK tests", () => run(["target/python/bin/python", "-m", "unittest", "discover", "--start-directory", "tests/sdk"]))),
    // In the release profile, because the build has just compiled its procedural macros for it.
    step("clippy for wasm32", () =>
      run(["cargo", "clippy", "--quiet", "--locked", "--release", "--lib", "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"])),
    step("wrangler deploy --dry-run", () => run(["wrangler", "deploy", "--dry-run"])),
  ]);
}

function print(output, line) {
  for (const text of output.split("\n")) if (line.test(text)) console.log(`  ${text}`);
}
