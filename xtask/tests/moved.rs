//! A copied checkout, whose `target/` was compiled somewhere else.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Makes a folder with a program `cargo` that writes where it was started, and fails.
fn checkout(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("bin")).unwrap();
    let cargo = root.join("bin/cargo");
    fs::write(&cargo, "#!/bin/sh\npwd\nexit 1\n").unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    root
}

fn build(root: &Path, manifest: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("build").env("PATH", format!("{}:/usr/bin:/bin", root.join("bin").display()));
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("WRANGLER_COMMAND");
    if let Some(folder) = manifest {
        command.env("CARGO_MANIFEST_DIR", folder);
    }
    command.output().unwrap()
}

#[test]
fn build_works_where_cargo_says_and_not_where_it_was_compiled() {
    let root = checkout("moved");
    fs::write(root.join("wrangler.toml"), "").unwrap();
    fs::write(root.join("catalogue.json"), r#"{"surfaces": []}"#).unwrap();
    let output = build(&root, Some(&root.join("xtask")));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.lines().any(|line| Path::new(line.trim_start_matches("xtask: ")) == root), "{error}");
}

#[test]
fn build_refuses_to_guess_the_folder() {
    let root = checkout("unknown");
    for (manifest, reason) in [(None, "cargo xtask"), (Some(root.join("xtask")), "there is no wrangler.toml")] {
        let output = build(&root, manifest.as_deref());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(reason), "{error}");
    }
}
