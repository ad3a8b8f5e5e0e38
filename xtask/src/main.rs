//! `cargo xtask build [--dev]` compiles the Worker into `build/`, the folder that wrangler deploys.
//!
//! The steps are cargo, wasm-bindgen (as a library, because its command line tool is in no package
//! registry), an entry module and, for release, wasm-opt.
//!
//! `cargo xtask reference` writes the book's reference of the routes from the `OpenAPI` document.

mod reference;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use wasm_bindgen_cli_support::Bindgen;

use domain::catalogue::Catalogue;

/// The code with which the Worker reads the catalogue, so that a wrong one is found before it is deployed.
#[path = "../../src/domain"]
#[expect(dead_code, reason = "nothing here uses what it reads")]
mod domain {
    pub(crate) mod catalogue;
    pub(crate) mod schema;
    pub(crate) mod scope;
}

const TARGET: &str = "wasm32-unknown-unknown";

/// The module that Cloudflare calls. It needs no recovery of its own: wasm-bindgen's abort handler
/// marks an instance that panicked, trapped or was left by a foreign exception, and the worker
/// crate's hook has the next call start from a new instance.
const ENTRY: &str = "\
import { fetch, scheduled } from \"./index.js\";

export default { fetch, scheduled };
";

/// What rustc emits for wasm32 beyond the first version of WebAssembly.
const WASM_FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-exception-handling",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Wrangler runs one build command for `dev` and for `deploy`, and says which in this variable.
    let watching = env::var("WRANGLER_COMMAND").is_ok_and(|command| command == "dev");
    let result = match arguments[..] {
        ["build"] => build(watching),
        ["build", "--dev"] => build(true),
        ["reference"] => write_reference(),
        _ => Err("usage: cargo xtask build [--dev] | reference".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            // After a failed build `wrangler dev` answers nothing; so it goes on with the last good one.
            ExitCode::from(if watching { 0 } else { 1 })
        }
    }
}

fn write_reference() -> Result {
    enter_root()?;
    let openapi = fs::read_to_string("src/http/openapi.json")?;
    Ok(fs::write("docs/src/reference.md", reference::reference(&openapi)?)?)
}

fn enter_root() -> Result {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?;
    Ok(env::set_current_dir(root)?)
}

fn build(dev: bool) -> Result {
    enter_root()?;
    Catalogue::parse(&fs::read_to_string("catalogue.json")?).map_err(|message| format!("catalogue.json: {message}"))?;

    let profile = if dev { "dev" } else { "release" };
    run(Command::new("cargo").args(["build", "--quiet", "--locked", "--lib"]).args([
        "--target",
        TARGET,
        "--profile",
        profile,
    ]))?;

    let wasm = Path::new("target").join(TARGET).join(if dev { "debug" } else { "release" }).join("bitting.wasm");
    let stamp = Path::new("build/.profile");
    if is_made(stamp, profile, &[&wasm, &env::current_exe()?]) {
        return Ok(());
    }
    // Without its stamp a build that is interrupted from here on is made again by the next run.
    let _ = fs::remove_file(stamp);

    bind(&wasm, Path::new("build"))?;
    fs::write("build/worker.js", ENTRY)?;
    if !dev {
        let wasm = "build/index_bg.wasm";
        let optimizer = "node_modules/binaryen/bin/wasm-opt";
        run(Command::new("node").args([optimizer, "-O", wasm, "-o", wasm]).args(WASM_FEATURES))?;
    }
    fs::write(stamp, profile)?;
    Ok(())
}

/// Whether `stamp` was written for this profile after everything that it was made from.
fn is_made(stamp: &Path, profile: &str, inputs: &[&Path]) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    fs::read_to_string(stamp).is_ok_and(|made| made == profile)
        && inputs.iter().all(|input| changed(input) <= changed(stamp))
}

/// Writes `index.js`, which loads and wraps `index_bg.wasm`, the same in Rust's own terms.
fn bind(wasm: &Path, folder: &Path) -> Result {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name("index").typescript(false).force_enable_abort_handler(true);
    bindgen.module(true)?.generate(folder)?;

    let script = folder.join("index.js");
    let mut text = fs::read_to_string(&script)?;
    // Workers import a compiled module by the plain form; esbuild and workerd do not know the source phase.
    replace(&mut text, "import source ", "import ")?;
    // A callback of a broken instance must not be the call that makes the new one: wasm-bindgen 0.2.130
    // looks whether it is stale, then renews the instance, then runs it there on the old one's addresses.
    replace(&mut text, "const real = (...args) => {", "const real = (...args) => {\n        __wbg_call_guard();")?;
    fs::write(script, text)?;
    Ok(())
}

fn replace(text: &mut String, from: &str, to: &str) -> Result {
    if !text.contains(from) {
        return Err(format!("wasm-bindgen's output has changed: {from:?} is not in it").into());
    }
    *text = text.replace(from, to);
    Ok(())
}

fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{:?} ended with {status}", command.get_program()).into()) }
}
