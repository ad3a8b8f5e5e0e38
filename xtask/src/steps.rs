//! Work that prints one line when it is done, and the set-up that a new machine needs.

use std::env;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::process::{fail, run, run_with};

/// The version of mdBook.
const MDBOOK: &str = "0.5.4";

/// The time since a moment.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins to measure.
    #[expect(clippy::disallowed_methods, reason = "a tool has no Clock port to ask")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Display for Stopwatch {
    /// Writes the seconds.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:6.1} s", self.0.elapsed().as_secs_f64())
    }
}

/// Does one piece of work, prints a line when it is done, and ends everything when it fails.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> T {
    let watch = Stopwatch::start();
    match work() {
        Ok(value) => {
            println!("{watch}  {name}");
            value
        }
        Err(error) => fail(&format!("{name}\n\n{error}")),
    }
}

/// Runs a program as a step and returns what it wrote.
pub(crate) fn step_run(name: &str, words: &[&str]) -> String {
    step(name, || run(words))
}

/// Does a step only if `inputs` changed since it last ended well. The file `stamp` holds them as they
/// were then; the times of the files tell nothing, because those of a copied checkout are in any order.
fn step_once(name: &str, stamp: &str, inputs: &str, work: impl FnOnce() -> Result) {
    if fs::read_to_string(stamp).is_ok_and(|known| known == inputs) {
        return;
    }
    step(name, || {
        work()?;
        if let Some(folder) = Path::new(stamp).parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(stamp, inputs)?)
    });
}

/// Reads an input of a step.
fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| fail(&format!("{}: {error}", path.display())))
}

/// Installs what `package-lock.json` names.
pub(crate) fn npm_packages() {
    step_once("npm packages", "node_modules/.bitting", &read("package-lock.json"), || {
        // npm writes this file last. Without it a run was interrupted, and npm would take half a package for a whole one.
        if !Path::new("node_modules/.package-lock.json").exists() && Path::new("node_modules").exists() {
            fs::remove_dir_all("node_modules")?;
        }
        // Not `npm ci`: it refuses a lock file that was written where the registry lacks other systems' binaries.
        run(&["npm", "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"])?;
        Ok(())
    });
}

/// Installs the standard library for wasm32. rustup does so by itself, since `rust-toolchain.toml`
/// names the target, except where `RUSTUP_AUTO_INSTALL` forbids it.
pub(crate) fn wasm_target() {
    let sysroot = run(&["rustc", "--print", "sysroot"]).unwrap_or_else(|error| fail(&format!("rustc\n\n{error}")));
    if !Path::new(sysroot.trim()).join("lib/rustlib/wasm32-unknown-unknown").exists() {
        step_run("wasm target", &["rustup", "target", "add", "wasm32-unknown-unknown"]);
    }
}

/// Brings the local D1 database to the newest migration.
pub(crate) fn local_database() {
    step_once("local database", ".wrangler/state/.migrated", &migrations(), || {
        run_with(&["wrangler", "d1", "migrations", "apply", "DB", "--local"], &[("CI", "1")])?;
        Ok(())
    });
}

fn migrations() -> String {
    let files = || -> std::io::Result<Vec<_>> { fs::read_dir("migrations")?.map(|file| Ok(file?.path())).collect() };
    let mut files = files().unwrap_or_else(|error| fail(&format!("migrations: {error}")));
    files.sort();
    files.iter().map(read).collect::<Vec<_>>().join("\0")
}

/// Installs the libraries of the vendors that the SDK tests run.
pub(crate) fn python_packages() {
    let folder = env::current_dir().unwrap_or_default();
    // The programs of a virtual environment name its folder, so in a copied checkout it is made anew.
    let inputs = format!("{}\n{}", folder.display(), read("tests/sdk/requirements.txt"));
    step_once("Python packages", "target/python/.bitting", &inputs, || {
        run(&["python3", "-m", "venv", "--clear", "target/python"])?;
        let pip = ["target/python/bin/pip", "install", "--quiet", "--disable-pip-version-check"];
        run(&[&pip[..], &["--requirement", "tests/sdk/requirements.txt"]].concat())?;
        Ok(())
    });
}

/// Builds the book, with the program that docs/book.toml names.
pub(crate) fn book() {
    let install = ["cargo", "install", "mdbook", "--quiet", "--locked", "--debug", "--version", MDBOOK];
    step_once("mdBook", "target/tools/.mdbook", MDBOOK, || {
        run(&[&install[..], &["--no-default-features", "--root", "target/tools"]].concat())?;
        Ok(())
    });
    step_run("the book", &["target/tools/bin/mdbook", "build", "docs"]);
}

/// Installs the browser for the tests of the pages, unless there is what `CHROMIUM` names, or Debian's.
pub(crate) fn chromium() {
    let named = env::var("CHROMIUM").ok();
    let path = named.as_deref().unwrap_or("/usr/bin/chromium");
    if Path::new(path).exists() {
        return;
    }
    if named.is_some() || !can_install() {
        fail(&format!("there is no {path}: install Chromium, or say where it is, CHROMIUM=/path/to/chromium npm test"));
    }
    install("Chromium", &["chromium"]);
}

/// Installs the proxies for the tests of their examples, and Go for those of its library. Where that is not possible, the
/// tests of those that are missing are skipped and say so, except in continuous integration.
pub(crate) fn proxies_and_go() {
    let folders = env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let is_there = |name: &str| folders.split(':').any(|folder| Path::new(folder).join(name).exists());
    let programs = ["nginx", "caddy", "haproxy", "go"];
    let missing = programs.into_iter().filter(|name| !is_there(name)).collect::<Vec<_>>().join(", ");
    if missing.is_empty() {
        return;
    }
    if can_install() {
        return install("proxies and Go", &["nginx-light", "caddy", "haproxy", "golang-go"]);
    }
    let message = format!("{missing}: not installed, so what needs them is not tested");
    if env::var_os("CI").is_some() {
        fail(&message);
    }
    println!("          {message}");
}

/// True if this program may install Debian's packages.
fn can_install() -> bool {
    nix::unistd::getuid().is_root() && Path::new("/usr/bin/apt-get").exists()
}

/// Installs Debian's packages.
fn install(name: &str, packages: &[&str]) {
    step(name, || {
        run(&["apt-get", "update"])?;
        let install = ["apt-get", "install", "--yes", "--no-install-recommends"];
        run_with(&[&install[..], packages].concat(), &[("DEBIAN_FRONTEND", "noninteractive")])?;
        Ok(())
    });
}
