//! The build of the Worker: cargo compiles it, `pack` turns it into modules, wasm-opt shrinks it.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::thread;

use crate::Result;
use crate::process::run;

const TARGET: &str = "wasm32-unknown-unknown";

/// The program that packs the Worker.
const PACK: &str = "target/xtask/pack";

/// The features of WebAssembly that rustc uses for wasm32.
const WASM_FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-exception-handling",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// A profile for compiling the Worker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The profile for a fast build.
    Dev,
    /// The profile for a fast and small Worker.
    Release,
}

impl Profile {
    /// Returns cargo's name of the profile.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    /// Returns the file that cargo writes in this profile.
    fn wasm(self) -> &'static str {
        match self {
            Self::Dev => "target/wasm32-unknown-unknown/debug/bitting.wasm",
            Self::Release => "target/wasm32-unknown-unknown/release/bitting.wasm",
        }
    }
}

/// Builds the Worker and prints the compiler's messages.
pub(crate) fn build(profile: Profile) -> Result {
    let (tool, worker) = thread::scope(|scope| {
        let tool = scope.spawn(compile_tool);
        let worker = compile_worker(profile);
        (tool.join(), worker)
    });
    print!("{}{}", tool.map_err(|_| "the build tool's thread panicked")??, worker?);
    pack(profile)
}

/// Compiles the program that packs the Worker.
pub(crate) fn compile_tool() -> Result<String> {
    let build = ["cargo", "build", "--quiet", "--locked", "--profile", "xtask", "--package", "pack"];
    run(&[&build[..], &["--no-default-features", "--features", &surfaces()?]].concat())
}

/// Compiles the Worker with the surfaces that the catalogue names.
pub(crate) fn compile_worker(profile: Profile) -> Result<String> {
    compile_surfaces(profile, &surfaces()?)
}

/// Compiles the Worker with these surfaces, whose names are those of Cargo features, with commas between them.
pub(crate) fn compile_surfaces(profile: Profile, surfaces: &str) -> Result<String> {
    let build = ["cargo", "build", "--quiet", "--locked", "--lib", "--package", "bitting", "--target", TARGET];
    let rest = ["--profile", profile.name(), "--no-default-features", "--features", surfaces];
    run(&[&build[..], &rest].concat())
}

/// Returns the names in the list `surfaces` of catalogue.json, with commas between them. The rest of the file is for
/// `pack` to read, which takes longer to compile.
fn surfaces() -> Result<String> {
    let text = fs::read_to_string("catalogue.json").map_err(|error| format!("catalogue.json: {error}"))?;
    let wrong = "catalogue.json: `surfaces` must be a list of names, as [\"pages\", \"mcp\"]";
    let list = text.split_once("\"surfaces\"").ok_or(wrong)?.1;
    let (before, list) = list.split_once('[').ok_or(wrong)?;
    let (list, _) = list.split_once(']').ok_or(wrong)?;
    let names: Vec<&str> = list.split(',').map(|name| name.trim().trim_matches('"')).collect();
    let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase());
    if before.trim() == ":" && names.iter().all(plain) { Ok(names.join(",")) } else { Err(wrong.into()) }
}

/// Creates the modules in `build/`, unless they are up to date.
pub(crate) fn pack(profile: Profile) -> Result {
    let stamp = "build/.inputs";
    let inputs = digest(profile)?;
    if fs::read_to_string(stamp).is_ok_and(|known| known == inputs) {
        return Ok(());
    }
    fs::create_dir_all("build")?;
    // Without its stamp a build that is interrupted from here on is made again by the next run.
    let _ = fs::remove_file(stamp);
    pack_into(profile, "build")?;
    fs::write(stamp, inputs)?;
    Ok(())
}

/// Creates the modules in a folder.
pub(crate) fn pack_into(profile: Profile, folder: &str) -> Result {
    fs::create_dir_all(folder)?;
    run(&[PACK, profile.wasm(), folder])?;
    if profile == Profile::Release {
        let wasm = &format!("{folder}/index_bg.wasm");
        let optimizer = ["node", "node_modules/binaryen/bin/wasm-opt", wasm, "-o", wasm];
        // gzip finds what repeats within 32 KiB, so functions that were made from one stand beside each other, in the
        // order of their names. The second run drops the names.
        let smaller = ["-g", "-O", "--reorder-functions-by-name"];
        run(&[&optimizer[..], &WASM_FEATURES, &smaller].concat())?;
        run(&[&optimizer[..], &WASM_FEATURES].concat())?;
    }
    Ok(())
}

/// Returns a digest of all inputs of `build/`.
fn digest(profile: Profile) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    // The last one names the version of wasm-opt.
    for path in [profile.wasm(), PACK, "catalogue.json", "package-lock.json"] {
        let content = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        hasher.write_usize(content.len());
        hasher.write(&content);
    }
    Ok(format!("{} {:016x}", profile.name(), hasher.finish()))
}
