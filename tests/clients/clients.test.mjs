// The API's document: linted, and made into a client that is type-checked and used against the Worker.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { OPERATOR_SECRET, start } from "../e2e/harness.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const DOCUMENT = "api/openapi.json";

// Runs a program of an npm package, and fails with all that it wrote.
async function run(program, ...args) {
  const file = join(root, "node_modules/.bin", program);
  try {
    return await promisify(execFile)(file, args, { cwd: root, maxBuffer: 64 << 20, env: { ...process.env, REDOCLY_TELEMETRY: "off" } });
  } catch (error) {
    assert.fail(`${program} ${args.join(" ")}\n${error.stdout}${error.stderr}`);
  }
}

test("redocly finds no error and no warning in the document", async () => {
  const { stdout, stderr } = await run("redocly", "lint", "bitting");
  assert.doesNotMatch(stdout + stderr, /warning/i);
});

test("spectral finds no error and no warning in the document", async () => {
  await run("spectral", "lint", "--fail-severity", "hint", DOCUMENT);
});

test("a TypeScript client that is made from the document type-checks and works", async () => {
  await run("openapi-typescript");
  await run("tsc", "--project", "tests/clients/tsconfig.json");
  const app = await start();
  try {
    const { stdout } = await run("node", "tests/clients/client.ts", app.url, OPERATOR_SECRET);
    assert.equal(stdout, "done\n");
  } finally {
    await app.close();
  }
});
