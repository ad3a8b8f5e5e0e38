// The libraries in other languages: the rules of the feed in random histories, and what breaking a rule does.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { broken } from "./conformance.mjs";
import { program } from "./drivers.mjs";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
// For a library that keeps the rules, and the most until one that breaks a rule must be caught.
const HISTORIES = 200;
const MOST = 3_000;

const folder = mkdtempSync(join(tmpdir(), "bitting-"));
after(() => rmSync(folder, { recursive: true }));

function replaced(file, rule, instead) {
  const text = readFileSync(file, "utf8");
  assert.equal(text.split(rule).length, 2, `${file} has \`${rule}\` once`);
  writeFileSync(file, text.replace(rule, instead));
}

const PYTHON = join(ROOT, "target/python/bin/python");
const python = (library) => program(PYTHON, [join(ROOT, "tests/clients/driver.py"), library], { knowsTokens: true });

// What no vector can tell. tests/sdk/test_bitting.py has the others.
const PYTHON_MUTATIONS = {
  "the age of the feed counts from the answer": ["verifier.py", "self._copies.hear(answer, asked.get(\"after\"), sent_at)", "self._copies.hear(answer, asked.get(\"after\"), self._now())"],
  "the age of an answer counts from the answer": ["verifier.py", "self._copies.keep(name, answer, sent_at)", "self._copies.keep(name, answer, self._now())"],
  "a token is believed whatever has changed since": ["copies.py", "return \"token_outdated\" if self._newer_than(claims) > 0 else \"valid\"", "return \"valid\""],
  "a token is believed however old the feed is": ["copies.py", " or self.feed_age_ms(now) > limit_ms", ""],
};

const GO_MUTATIONS = {
  "a later change of a subject is not looked at": ["copies.go", "seq := c.lastChange[subject]", "seq := c.base + int64(len(subject))*0"],
  "an answer from before the base is believed": ["copies.go", "newest := c.base", "newest := int64(0)"],
  "the age of the feed counts from the answer": ["verifier.go", "hear(heard, after, sentAt)", "hear(heard, after, v.now())"],
  "the age of an answer counts from the answer": ["verifier.go", "keep(of.name, got, sentAt)", "keep(of.name, got, v.now())"],
  "the age that Bitting tells is not added": ["copies.go", "sentAt-heard.AgeMS", "sentAt"],
  "gaps are ignored": ["copies.go", "!c.isFed || after == nil || heard.Base > *after", "!c.isFed"],
  "an answer that was overtaken is applied": ["copies.go", "heard.Head < c.head", "false"],
  "the feed vouches however old it is": ["copies.go", "isKnown && c.feedAgeMS(now) <= c.boundMS()", "isKnown"],
  "the feed vouches for answers from beyond its head": ["copies.go", " && *known.Seq <= c.head", ""],
  "an answer is fresh for ever": ["copies.go", "(known.FreshForMS == nil || elapsedMS < *known.FreshForMS) && elapsedMS+known.AgeMS < c.boundMS()", "true"],
  "the older of two answers stays": ["copies.go", "*a.Seq < *b.Seq", "*a.Seq > *b.Seq"],
  "an end is not looked at": ["copies.go", "elapsedMS >= *known.EndsInMS", "false"],
  "a bound of 0 is not looked at": ["copies.go", "c.boundMS() > 0 && ", ""],
  "nothing is kept": ["copies.go", "c.entries[name] = c.used", "_ = c.used"],
};

const PATH = process.env.PATH.split(":");
const skip = PATH.some((path) => existsSync(join(path, "go"))) ? false : "go is not there, so the Go library is NOT TESTED: apt-get install golang-go";
if (skip) console.error(skip);
const GO = join(ROOT, "clients/go");
const goEnv = { ...process.env, GOCACHE: join(ROOT, "target/go"), GOFLAGS: "-mod=mod", GOPROXY: "off" };

async function go(library) {
  const driver = join(mkdtempSync(join(folder, "go-")), "driver");
  await run("go", ["test", "-c", "-vet=off", "-o", driver, "."], { cwd: library, env: goEnv });
  return program(driver, [], { env: { BITTING_CONFORMANCE: "1" } });
}

const RUST_MUTATIONS = {
  "a later change of a subject is not looked at": ["copies.rs", "newer.fold(base, |newest, seq| newest.max(*seq))", "newer.fold(base, |newest, _| newest)"],
  "an answer from before the base is believed": ["copies.rs", "newer.fold(base, ", "newer.fold(base.min(0), "],
  "the age of the feed counts from the answer": ["verifier.rs", "self.state().copies.hear(news, after, sent_at);", "let now = self.state().now(); self.state().copies.hear(news, after, now.max(sent_at));"],
  "the age of an answer counts from the answer": ["verifier.rs", "self.state().copies.keep(*name, entry.clone());", "let entry = Entry::new(Answer::clone(&entry.answer), self.state().now()); self.state().copies.keep(*name, entry.clone());"],
  "the age that Bitting tells is not added": ["copies.rs", "sent_at - news.age_ms", "sent_at"],
  "gaps are ignored": ["copies.rs", "self.base.is_none() || !is_whole", "self.base.is_none() || is_whole && false"],
  "an answer that was overtaken is applied": ["copies.rs", "news.head < self.head", "false"],
  "the feed vouches however old it is": ["copies.rs", "is_known && self.feed_age_ms(now) <= bound_ms", "is_known"],
  "the feed vouches for answers from beyond its head": ["copies.rs", "answer.seq.is_some_and(|seq| seq <= self.head)", "answer.seq.is_some()"],
  "an answer is fresh for ever": ["copies.rs", " && age_ms < bound_ms;", " || true;"],
  "the older of two answers stays": ["copies.rs", "held > seq)", "held < seq)"],
  "an end is not looked at": ["copies.rs", "elapsed_ms >= ends_in_ms", "elapsed_ms >= ends_in_ms + f64::INFINITY"],
  "a bound of 0 is not looked at": ["copies.rs", "bound_ms > 0.0 && ", ""],
  "nothing is kept": ["copies.rs", "self.entries.insert(name, Entry { used: self.uses, ..entry });", "let _ = Entry { used: self.uses, ..entry };"],
};

// The library and its mutations are one program, so that it is compiled once.
async function rust() {
  const source = join(folder, "rust");
  const library = join(ROOT, "clients/rust");
  const changes = [undefined, ...Object.values(RUST_MUTATIONS)];
  for (const [number, change] of changes.entries()) {
    const part = join(source, `src/part${number}`);
    cpSync(join(library, "src"), part, { recursive: true });
    if (change) replaced(join(part, change[0]), change[1], change[2]);
    cpSync(join(part, "lib.rs"), join(part, "mod.rs"));
    rmSync(join(part, "lib.rs"));
    cpSync(join(library, "examples/conformance.rs"), join(part, "driver.rs"));
    for (const file of readdirSync(part)) {
      const text = readFileSync(join(part, file), "utf8").replaceAll("crate::", `crate::part${number}::`).replaceAll("bitting_client::", `crate::part${number}::`);
      writeFileSync(join(part, file), text.replace("\nfn main()", "\npub fn main()") + (file === "mod.rs" ? "\npub mod driver;\n" : ""));
    }
  }
  const parts = changes.map((_, number) => `mod part${number};`).join("\n");
  const arms = changes.map((_, number) => `Some("${number}") => part${number}::driver::main(),`).join("\n");
  writeFileSync(join(source, "src/main.rs"), `#![allow(warnings)]\n${parts}\nfn main() -> Result<(), Box<dyn std::error::Error>> {\nmatch std::env::args().nth(1).as_deref() {\n${arms}\n_ => Ok(()),\n}\n}\n`);
  const workspace = readFileSync(join(ROOT, "Cargo.toml"), "utf8");
  const dependencies = ["serde", "serde_json", "sha2"].map((name) => workspace.match(new RegExp(`^${name} = .*$`, "m"))[0]);
  writeFileSync(join(source, "Cargo.toml"), `[package]\nname = "followers"\nedition = "2024"\n\n[dependencies]\n${dependencies.join("\n")}\n\n[profile.dev]\ndebug = false\n\n[workspace]\n`);
  cpSync(join(ROOT, "Cargo.lock"), join(source, "Cargo.lock"));
  cpSync(join(ROOT, "rust-toolchain.toml"), join(source, "rust-toolchain.toml"));
  const target = join(ROOT, "target/followers");
  mkdirSync(target, { recursive: true });
  await run("cargo", ["build", "--quiet", "--offline"], { cwd: source, env: { ...process.env, CARGO_TARGET_DIR: target } });
  return join(target, "debug/followers");
}

// It is compiled while the other libraries are tried.
const compiled = rust();
compiled.catch(() => {});

async function rustDriver(number) {
  return program(await compiled, [String(number)]);
}

// A referee and a library wait for one another, so that two pairs fit on two cores.
describe("a library in another language", { concurrency: 2 }, () => {
  test("the Python library keeps the rules of the feed", async () => {
    assert.deepEqual(await broken(python(join(ROOT, "clients/python")), HISTORIES), []);
  });

  for (const [name, [file, rule, instead]] of Object.entries(PYTHON_MUTATIONS)) {
    test(`the Python library breaks them if ${name}`, async () => {
      const copy = mkdtempSync(join(folder, "python-"));
      cpSync(join(ROOT, "clients/python/bitting"), join(copy, "bitting"), { recursive: true });
      replaced(join(copy, "bitting", file), rule, instead);
      assert.notDeepEqual(await broken(python(copy), MOST), []);
    });
  }

  test("the Go library keeps the rules of the feed", { skip }, async () => {
    assert.deepEqual(await broken(await go(GO), HISTORIES), []);
  });

  test("the Go library has no complaints of its tools, and passes its own tests", { skip }, async () => {
    await run("go", ["vet", "."], { cwd: GO, env: goEnv });
    await run("go", ["test", "."], { cwd: GO, env: goEnv });
    assert.equal((await run("gofmt", ["-l", "."], { cwd: GO })).stdout, "");
  });

  for (const [name, [file, rule, instead]] of Object.entries(GO_MUTATIONS)) {
    test(`the Go library breaks them if ${name}`, { skip }, async () => {
      const copy = mkdtempSync(join(folder, "go-"));
      cpSync(GO, copy, { recursive: true });
      replaced(join(copy, file), rule, instead);
      assert.notDeepEqual(await broken(await go(copy), MOST), []);
    });
  }

  test("the Rust library keeps the rules of the feed", async () => {
    assert.deepEqual(await broken(await rustDriver(0), HISTORIES), []);
  });

  for (const [number, name] of Object.keys(RUST_MUTATIONS).entries()) {
    test(`the Rust library breaks them if ${name}`, async () => {
      assert.notDeepEqual(await broken(await rustDriver(number + 1), MOST), []);
    });
  }
});
