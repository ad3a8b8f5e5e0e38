// The documents say what is true: every block of code in them is run as it is written there, against the real Worker,
// and every link in them leads somewhere. What the comments above blocks mean stands in pages.mjs.
//
// The `sh` blocks of a page are one session of bash. In it `URL=http://127.0.0.1:8787` is where the Worker really is,
// and `KEY=bit_pat_…` the first key, which the reader has from `npm run dev`.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, parse } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { bootstrap } from "../e2e/client.mjs";
import { start } from "../e2e/harness.mjs";
import { PAGES, ROOT, anchors, blocks, links, read } from "./pages.mjs";
import * as samples from "./samples.mjs";

const ADDRESS = "http://127.0.0.1:8787";
const PLACEHOLDER = "bit_pat_…";
const EXTENSIONS = { js: "mjs", python: "py" };
const END = "\x1e";

for (const page of PAGES) {
  const all = blocks(page).filter(({ language, order, included }) => language !== "text" && order !== "not run" && !included);
  if (all.length === 0) continue;
  test(`every block of ${page} runs`, async () => {
    const app = await start();
    try {
      const owner = (await bootstrap(app)).json;
      const real = (text) => text.replaceAll(ADDRESS, app.url).replaceAll(PLACEHOLDER, owner.key);
      const commands = all.flatMap((block, index) => (block.language === "sh" && block.order !== "run" ? [{ block, refused: isRefusal(all[index + 1]) }] : []));
      const printed = await session(commands, real);
      for (const [index, block] of all.entries()) await check(block, { app, owner, real, before: printed.get(lastCommand(all, index)) });
      const unhandled = app.runtime.filter((line) => line.level === "error");
      assert.deepEqual(unhandled, []);
    } finally {
      await app.close();
    }
  });
}

const lastCommand = (all, index) => all.slice(0, index).findLast(({ language }) => language === "sh");

/** Whether a block shows an answer that refuses. */
const isRefusal = (block) => block?.order === "answer" && JSON.parse(block.text).status >= 400;

/** Runs commands as one session, and gives what each block of them printed. Every request must go well where none is shown to be refused. */
async function session(commands, real) {
  const strict = `curl() { command curl --fail-with-body "$@"; }\n`;
  const script = commands.map(({ block, refused }) => `${refused ? "unset -f curl\n" : strict}${real(block.text)}\nprintf '${END}'\n`).join("");
  const bash = promisify(execFile)("bash", ["-euo", "pipefail", "-c", script], { cwd: ROOT, encoding: "utf8" });
  const { stdout } = await bash.catch((error) => {
    const failed = commands[error.stdout.split(END).length - 1];
    throw new Error(`${failed?.block.place}: ${error.stderr}\n${error.stdout.split(END).at(-1)}`);
  });
  const outputs = stdout.split(END);
  return new Map(commands.map(({ block }, index) => [block, outputs[index]]));
}

async function check({ place, language, text, order, rest }, world) {
  if (order === "run") {
    const extension = EXTENSIONS[language] ?? language;
    const file = join(ROOT, "target/docs", `${place.replace(/\W+/g, "-")}.${extension}`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, world.real(text));
    assert.ok(samples[rest], `${place}: samples.mjs has no ${rest}`);
    return samples[rest]({ ...world, text, file });
  }
  if (language === "json") {
    const shown = JSON.parse(text);
    if (order !== "answer") return;
    // The block may have printed several values.
    const values = execFileSync("jq", ["-c", "."], { input: world.before, encoding: "utf8" }).trim().split("\n");
    return assertShown(JSON.parse(values.at(-1)), shown, place);
  }
  if (language === "toml") return void execFileSync("python3", ["-c", "import sys, tomllib; tomllib.loads(sys.stdin.read())"], { input: text });
  assert.equal(language, "sh", `${place}: nothing runs a block of ${language || "no language"}`);
}

/** Everything that is shown is in the answer. A text with `…` stands for all that begin and end so. */
function assertShown(answer, shown, place) {
  if (typeof shown === "string" && shown.includes("…")) {
    const [first, last] = shown.split("…");
    assert.ok(typeof answer === "string" && answer.startsWith(first) && answer.endsWith(last), `${place}: ${answer} is not ${shown}`);
  } else if (shown !== null && typeof shown === "object") {
    if (Array.isArray(shown)) assert.equal(answer.length, shown.length, place);
    for (const [name, value] of Object.entries(shown)) {
      assert.ok(answer !== null && typeof answer === "object" && name in answer, `${place}: ${name} is not in ${JSON.stringify(answer)}`);
      assertShown(answer[name], value, place);
    }
  } else {
    assert.equal(answer, shown, place);
  }
}

test("what cannot be run says why", () => {
  for (const page of PAGES) {
    for (const { place, language, order, rest, included } of blocks(page)) {
      if (order === "not run") assert.match(rest ?? "", /\w{3}/, place);
      if (included) {
        const path = join(dirname(page), included);
        assert.ok(existsSync(join(ROOT, path)), place);
        assert.ok(order === "not run" || ["tests/docs/forward-auth.test.mjs", "tests/e2e/examples.test.mjs"].some((test) => read(test).includes(parse(path).name)), `${place}: no test runs ${path}`);
      } else if (["js", "python"].includes(language)) assert.equal(order, "run", place);
      assert.notEqual(language, "", `${place} names no language`);
    }
  }
});

test("every link leads to a file and a heading", () => {
  for (const page of PAGES) {
    for (const link of links(page)) {
      // A page of the repository's host.
      if (link.startsWith("../../actions/")) continue;
      const [path, anchor] = link.split("#");
      const target = path === "" ? page : join(dirname(page), path);
      assert.ok(existsSync(join(ROOT, target)), `${page}: ${link}`);
      if (page.startsWith("docs/")) assert.ok(target.startsWith("docs/src/"), `${page}: ${link} is not in the book`);
      if (anchor !== undefined) assert.ok(anchors(target).includes(anchor), `${page}: ${link}`);
    }
  }
});

test("every page is in the summary once", () => {
  const named = links("docs/src/SUMMARY.md").sort();
  const there = PAGES.filter((page) => page.startsWith("docs/src/") && page !== "docs/src/SUMMARY.md").map((page) => page.slice("docs/src/".length));
  assert.deepEqual(named, there.sort());
});
