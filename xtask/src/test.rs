//! `npm test`: every check there is, from a new machine to the last summary line.

use std::thread::{self, ScopedJoinHandle};

use crate::Result;
use crate::build::{Profile, compile_surfaces, compile_tool, compile_worker, pack, pack_into};
use crate::deny;
use crate::process::{fail, run, run_with};
use crate::steps::{
    Stopwatch, book, chromium, npm_packages, proxies_and_go, python_packages, step, step_run, wasm_target,
};

/// Every surface but the evaluations.
const WITHOUT_EVALUATIONS: &str = "braintrust,confident,trulayer,pages,mcp";

/// Smaller Workers: the name of the step, the surfaces, and the most bytes after gzip. The budget of the whole one
/// stands in tests/e2e/keys.test.mjs.
const SMALLER: [(&str, &str, usize); 2] =
    [("Worker without evaluations", WITHOUT_EVALUATIONS, 1_050_000), ("Worker with keys alone", "", 795_000)];

/// The end of a clippy command.
const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

/// The output of the test runners.
struct Reports {
    end_to_end: String,
    browser: String,
    documents: String,
    sdk: String,
}

/// Runs all checks; the first that fails ends this program.
pub(crate) fn check_all() {
    let watch = Stopwatch::start();
    let (native, workerd) = thread::scope(|scope| {
        let packages = scope.spawn(npm_packages);
        let python = scope.spawn(python_packages);
        wasm_target();
        // Cargo's debug and release folders have separate locks, so that these two rows run side by side.
        let native = scope.spawn(native);
        let workerd = workerd(packages, python);
        (join(native), workerd)
    });

    let node = ["tests ", "pass ", "fail ", "skipped ", "duration_ms "];
    let of_node =
        |line: &str| line.strip_prefix("ℹ ").is_some_and(|line| node.iter().any(|name| line.starts_with(name)));
    print("cargo test", &native, |line| line.starts_with("test result: ") && !line.contains(" 0 passed; 0 failed"));
    print("node --test", &workerd.end_to_end, of_node);
    print("node --test, in a browser", &workerd.browser, of_node);
    print("node --test, documents and clients", &workerd.documents, of_node);
    print("Python SDK", &workerd.sdk, |line| ["Ran ", "OK", "FAILED"].iter().any(|start| line.starts_with(start)));
    println!("\nAll checks passed in {}.", watch.to_string().trim());
}

fn native() -> String {
    step_run("cargo fmt", &["cargo", "fmt", "--all", "--check"]);
    step("licences and sources", deny::check_quickly);
    let clippy = ["cargo", "clippy", "--quiet", "--locked", "--workspace", "--all-targets"];
    step_run("clippy", &[&clippy[..], &DENY_WARNINGS].concat());
    // `pack` is left out: it has no tests, and wasm-bindgen would be compiled a second time for it.
    let report = step_run("cargo test", &["cargo", "test", "--locked", "--workspace", "--exclude", "pack"]);
    let without = ["--no-default-features", "--features", WITHOUT_EVALUATIONS];
    let test = ["cargo", "test", "--locked", "--test", "without_evaluations"];
    let report = report + &step_run("cargo test, without evaluations", &[&test[..], &without].concat());
    let clippy = ["cargo", "clippy", "--quiet", "--locked", "--test", "without_evaluations"];
    step_run("clippy, without evaluations", &[&clippy[..], &without, &DENY_WARNINGS].concat());
    let clippy = ["cargo", "clippy", "--quiet", "--locked", "--lib", "--no-default-features"];
    step_run("clippy, keys alone", &[&clippy[..], &DENY_WARNINGS].concat());
    step("cargo doc", || {
        let doc = ["cargo", "doc", "--quiet", "--locked", "--workspace", "--no-deps", "--document-private-items"];
        run_with(&doc, &[("RUSTDOCFLAGS", "-D warnings")])
    });
    report
}

fn workerd<'scope>(packages: ScopedJoinHandle<'scope, ()>, python: ScopedJoinHandle<'scope, ()>) -> Reports {
    thread::scope(|scope| {
        let tool = scope.spawn(|| step("build tool", compile_tool));
        step("Worker, release profile", || compile_worker(Profile::Release));
        join(tool);
    });
    join(packages);
    step("build/", || pack(Profile::Release));
    let reports = thread::scope(|scope| {
        let node = ["node", "--test", "--test-reporter=spec"];
        let browser = scope.spawn(move || {
            chromium();
            // Debian's installer runs once at a time.
            proxies_and_go();
            step_run("tests in a browser", &[&node[..], &["tests/pages/*.test.mjs"]].concat())
        });
        let sdk = scope.spawn(move || {
            join(python);
            let unittest = ["target/python/bin/python", "-m", "unittest", "discover"];
            step_run("Python SDK tests", &[&unittest[..], &["--start-directory", "tests/sdk"]].concat())
        });
        scope.spawn(|| {
            // In the release profile, because the build has just compiled its procedural macros for it.
            let clippy = ["cargo", "clippy", "--quiet", "--locked", "--release", "--lib"];
            let crates = ["bitting", "bitting-keys", "bitting-http", "bitting-api", "bitting-pages", "bitting-evals"];
            let crates: Vec<&str> = crates.iter().flat_map(|name| ["--package", *name]).collect();
            let target = ["--target", "wasm32-unknown-unknown"];
            step_run("clippy for wasm32", &[&clippy[..], &crates, &target, &DENY_WARNINGS].concat());
            let alone = ["--package", "bitting", "--no-default-features"];
            step_run("clippy for wasm32, keys alone", &[&clippy[..], &alone, &target, &DENY_WARNINGS].concat())
        });
        scope.spawn(|| step_run("wrangler deploy --dry-run", &["wrangler", "deploy", "--dry-run"]));
        let end_to_end = step_run("end-to-end tests", &[&node[..], &["tests/e2e/*.test.mjs"]].concat());
        let (browser, sdk) = (join(browser), join(sdk));
        // After the others: their servers answer to clients that do not wait for long.
        let documents = ["tests/docs/*.test.mjs", "tests/clients/*.test.mjs"];
        let documents = step_run("documents and clients", &[&node[..], &documents].concat());
        Reports { end_to_end, browser, documents, sdk }
    });
    book();
    // Last, because they take the place of the Worker that cargo has compiled for all others.
    for (name, surfaces, budget) in SMALLER {
        step(name, || check_size(surfaces, budget));
    }
    reports
}

/// Builds the Worker with these surfaces alone, and compares its size with the budget.
fn check_size(surfaces: &str, budget: usize) -> Result {
    let folder = "target/smaller";
    compile_surfaces(Profile::Release, surfaces)?;
    pack_into(Profile::Release, folder)?;
    let gzip = "console.log(require('zlib').gzipSync(require('fs').readFileSync(process.argv[1])).length)";
    let bytes: usize = run(&["node", "-e", gzip, &format!("{folder}/index_bg.wasm")])?.trim().parse()?;
    println!("          {bytes} bytes after gzip, of {budget}");
    if bytes <= budget { Ok(()) } else { Err(format!("it has {bytes} bytes after gzip, and {budget} at most").into()) }
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|_| fail("a thread panicked"))
}

fn print(name: &str, report: &str, line: impl Fn(&str) -> bool) {
    println!("\n{name}");
    for text in report.lines().filter(|text| line(text)) {
        println!("  {text}");
    }
}
