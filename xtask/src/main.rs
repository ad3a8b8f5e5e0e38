//! `cargo xtask COMMAND`: the tooling of this repository.
//!
//! - `dev`: serves the Worker on this machine and builds it anew on every save.
//! - `test`: runs every check there is, from a new machine to the last summary line.
//! - `build [--dev]`: compiles the Worker into `build/`, the folder that wrangler deploys.
//! - `deny`: runs cargo-deny, and installs it first if it is missing.
//! - `advisories FOLDER`: writes `xtask/advisories.txt` anew from a checkout of rustsec.org's database.

mod advisories;
mod build;
mod deny;
mod dev;
mod loopback;
mod process;
mod steps;
mod test;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use build::Profile;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let code = match act(&arguments) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("xtask: {error}");
            // After a failed build `wrangler dev` answers nothing; so it goes on with the last good one.
            i32::from(!(arguments == ["build"] && watching()))
        }
    };
    process::exit(code)
}

fn act(arguments: &[&str]) -> Result {
    env::set_current_dir(root(env::var_os("CARGO_MANIFEST_DIR"))?)?;
    process::end_on_signals()?;
    match arguments {
        ["dev"] => dev::serve(),
        ["test"] => {
            test::check_all();
            Ok(())
        }
        ["build"] => build::build(if watching() { Profile::Dev } else { Profile::Release }),
        ["build", "--dev"] => build::build(Profile::Dev),
        ["deny"] => deny::check_fully(),
        ["advisories", database] => advisories::copy(Path::new(database)),
        _ => Err("usage: cargo xtask dev|test|build [--dev]|deny|advisories FOLDER".into()),
    }
}

/// Returns the repository's folder. `manifest` is what `cargo run` says at run time: the folder that
/// was compiled in would be another checkout's, if this one was copied together with its `target/`.
fn root(manifest: Option<OsString>) -> Result<PathBuf> {
    let manifest = manifest.ok_or("run this as `cargo xtask`, which tells where the repository is")?;
    let root = Path::new(&manifest).parent().ok_or("xtask has no parent folder")?;
    if root.join("wrangler.toml").is_file() {
        Ok(root.to_owned())
    } else {
        Err(format!("there is no wrangler.toml in {}", root.display()).into())
    }
}

/// True inside `wrangler dev`. Wrangler has one build command for `dev` and `deploy`, and names the current one in this
/// variable.
fn watching() -> bool {
    env::var("WRANGLER_COMMAND").is_ok_and(|command| command == "dev")
}
