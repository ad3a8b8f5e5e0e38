//! `pack WASM FOLDER`: turns the compiled Worker into the modules that workerd loads.
//!
//! Works in the repository's folder, and is a program of its own because wasm-bindgen takes longer
//! to compile than the rest of the tooling together. Here it is a library: its command line tool
//! is in no package registry.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

mod catalogue;

/// The module that Cloudflare calls. It needs no recovery of its own: wasm-bindgen's abort handler
/// marks an instance that panicked, trapped or was left by a foreign exception, and the worker
/// crate's hook has the next call start from a new instance.
const ENTRY: &str = include_str!("worker.js");

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [wasm, folder] => pack(Path::new(wasm), Path::new(folder)),
        _ => Err("usage: pack WASM FOLDER".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn pack(wasm: &Path, folder: &Path) -> Result {
    catalogue::check("catalogue.json")?;
    bind(wasm, folder)?;
    fs::write(folder.join("worker.js"), ENTRY)?;
    Ok(())
}

/// Writes `index.js`, which loads and wraps `index_bg.wasm`, the same in Rust's own terms.
fn bind(wasm: &Path, folder: &Path) -> Result {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name("index").typescript(false).force_enable_abort_handler(true);
    bindgen.module(true)?.generate(folder)?;

    let script = folder.join("index.js");
    let mut text = fs::read_to_string(&script)?;
    renew_before_callbacks(&mut text)?;
    fs::write(script, text)?;
    Ok(())
}

/// Has a callback of a broken instance renew the instance before it is found stale.
///
/// In wasm-bindgen 0.2.130 the function `real` of `makeClosure` and `makeMutClosure` first compares
/// `state.instance` with `__wbg_instance_id`, a check that came with
/// <https://github.com/wasm-bindgen/wasm-bindgen/pull/4644>, and then calls the export, whose wrapper
/// calls `__wbg_call_guard`, which renews a broken instance
/// (<https://github.com/wasm-bindgen/wasm-bindgen/pull/5083>). So the first callback after a panic
/// passes the check, and then runs in the new instance with addresses of the old one. With the guard
/// before the check, it throws "Cannot invoke closure from previous WASM instance", as a later one
/// does. Not reported upstream as far as is known, and unchanged on its main branch in August 2026.
fn renew_before_callbacks(text: &mut String) -> Result {
    let from = "const real = (...args) => {";
    if !text.contains(from) {
        return Err(format!("wasm-bindgen's output has changed: {from:?} is not in it").into());
    }
    *text = text.replace(from, &format!("{from}\n        __wbg_call_guard();"));
    Ok(())
}
