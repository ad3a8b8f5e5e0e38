//! The rules of `deny.toml` for dependencies.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::Result;
use crate::advisories::vulnerable;
use crate::process::{command, run, start};

/// The version of cargo-deny to install.
const CARGO_DENY: &str = "0.20.2";

/// The only source of dependencies.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Runs cargo-deny, and installs it first if it is missing.
pub(crate) fn check_fully() -> Result {
    if !Command::new("cargo-deny").arg("--version").output().is_ok_and(|output| output.status.success()) {
        show(&["cargo", "install", "--locked", "--version", CARGO_DENY, "cargo-deny"])?;
    }
    show(&["cargo-deny", "--locked", "check"])
}

/// Runs a program with the output of this one.
fn show(words: &[&str]) -> Result {
    let status = start(command(words)?, Signal::SIGTERM)?.wait()?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", words.join(" ")).into()) }
}

/// Checks the licences, the sources and the known vulnerabilities of all dependencies, without cargo-deny.
pub(crate) fn check_quickly() -> Result {
    let rules = fs::read_to_string("deny.toml")?;
    let allowed = allowed_licences(&rules).ok_or("deny.toml allows no licences")?;
    let tree = ["cargo", "tree", "--locked", "--quiet", "--workspace", "--target", "all", "--prefix", "none"];
    let tree = run(&[&tree[..], &["--edges", "normal,build,dev", "--format", "{p}\t{l}"]].concat())?;
    let mut wrong: Vec<String> = tree.lines().filter_map(|line| refused_licence(line, &allowed)).collect();
    let lock = fs::read_to_string("Cargo.lock")?;
    wrong.extend(foreign_sources(&lock).map(|source| format!("{source} is not crates.io")));
    wrong.extend(vulnerable(&lock)?);
    wrong.sort();
    wrong.dedup();
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n\nThe rules are in deny.toml.", wrong.join("\n")).into()) }
}

/// Returns the licences between `allow = [` and `]`.
fn allowed_licences(rules: &str) -> Option<Vec<&str>> {
    let (_, list) = rules.split_once("\nallow = [")?;
    let (list, _) = list.split_once(']')?;
    Some(list.split('"').skip(1).step_by(2).collect())
}

/// Returns the complaint about a line `name version<TAB>licence` of `cargo tree`, if there is one.
fn refused_licence(line: &str, allowed: &[&str]) -> Option<String> {
    let (package, licence) = line.trim_end_matches(" (*)").split_once('\t')?;
    // Our own packages are not published.
    let own = package.contains(" (/");
    let complaint = || format!("{package}: the licence {licence:?} is not allowed");
    (!own && !is_allowed(licence, allowed)).then(complaint)
}

/// True if an SPDX expression is allowed. Groups in parentheses stand only in an `AND` of
/// groups, which is all that the registry's packages use; anything else is refused.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    expression.split(" AND ").all(|group| {
        let group = group.strip_prefix('(').and_then(|group| group.strip_suffix(')')).unwrap_or(group);
        group.replace('/', " OR ").split(" OR ").any(|licence| allowed.contains(&licence.trim()))
    })
}

/// Returns the sources in a lock file that are not crates.io.
fn foreign_sources(lock: &str) -> impl Iterator<Item = &str> {
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    sources.map(|source| source.trim_matches('"')).filter(|source| *source != CRATES_IO)
}

#[cfg(test)]
mod tests {
    use super::{allowed_licences, foreign_sources, is_allowed, refused_licence};

    #[test]
    fn is_allowed_reads_expressions() {
        let allowed = allowed_licences("[licenses]\nallow = [\n    \"MIT\",\n    \"Zlib\",\n]\n").unwrap_or_default();
        for expression in ["MIT", "Apache-2.0 OR MIT", "Unlicense/MIT", "(MIT OR Apache-2.0) AND Zlib", "MIT AND Zlib"]
        {
            assert!(is_allowed(expression, &allowed), "{expression}");
        }
        for expression in ["", "GPL-3.0", "MIT AND GPL-3.0", "MIT WITH Classpath-exception-2.0", "(GPL-3.0) AND MIT"] {
            assert!(!is_allowed(expression, &allowed), "{expression}");
        }
    }

    #[test]
    fn refused_licence_leaves_out_our_own_packages() {
        assert_eq!(refused_licence("xtask v0.1.0 (/somewhere/xtask)\t", &["MIT"]), None);
        assert_eq!(refused_licence("log v0.4.35\tMIT (*)", &["MIT"]), None);
        assert!(refused_licence("log v0.4.35\tGPL-3.0", &["MIT"]).is_some());
        assert!(refused_licence("log v0.4.35\t", &["MIT"]).is_some());
    }

    #[test]
    fn foreign_sources_finds_what_is_not_on_crates_io() {
        let lock =
            "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"git+https://x.example\"";
        assert_eq!(foreign_sources(lock).collect::<Vec<_>>(), ["git+https://x.example"]);
    }
}
