//! Known vulnerabilities of dependencies, from the copy of the database of rustsec.org in `xtask/advisories.txt`.
//!
//! `cargo xtask deny` asks the database itself, which not every machine reaches.

use std::fs;
use std::path::Path;

use semver::{Version, VersionReq};

use crate::Result;

/// The copy: a line for each vulnerability, with its id, the package, and the versions that do not have it.
const COPY: &str = "xtask/advisories.txt";

/// Writes the copy anew from a checkout of <https://github.com/rustsec/advisory-db>.
pub(crate) fn copy(database: &Path) -> Result {
    let mut lines = Vec::new();
    for package in fs::read_dir(database.join("crates"))? {
        for advisory in fs::read_dir(package?.path())? {
            lines.extend(line(&fs::read_to_string(advisory?.path())?));
        }
    }
    if lines.is_empty() {
        return Err(format!("{} has no advisories", database.display()).into());
    }
    lines.sort();
    fs::write(COPY, lines.join("\n") + "\n")?;
    Ok(())
}

/// Returns the line of an advisory; `None` for one that was withdrawn or tells of no vulnerability.
fn line(advisory: &str) -> Option<String> {
    let (_, head) = advisory.split_once("```toml\n")?;
    let (head, _) = head.split_once("\n```")?;
    let value = |name: &str| {
        let (_, rest) = head.split_once(&format!("\n{name} = \""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    if value("withdrawn").is_some() || value("informational").is_some() {
        return None;
    }
    let list = |name: &str| {
        let (_, rest) = head.split_once(&format!("\n{name} = ["))?;
        let (list, _) = rest.split_once(']')?;
        Some(list.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
    };
    let safe = [list("patched"), list("unaffected")].into_iter().flatten().flatten().collect::<Vec<_>>();
    Some(format!("{}\t{}\t{}", value("id")?, value("package")?, safe.join(" || ")))
}

/// Returns the packages of a lock file that have a known vulnerability.
pub(crate) fn vulnerable(lock: &str) -> Result<Vec<String>> {
    let copy = fs::read_to_string(COPY)?;
    let mut found = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |name: &str| {
            let prefix = format!("{name} = \"");
            package.lines().find_map(|line| line.strip_prefix(&prefix)?.strip_suffix('"'))
        };
        let (Some(name), Some(version)) = (value("name"), value("version")) else { continue };
        let version = Version::parse(version)?;
        for line in copy.lines() {
            let [id, package, safe] = *line.split('\t').collect::<Vec<_>>() else { continue };
            if package == name && !is_safe(&version, safe)? {
                found.push(format!("{name} {version} has {id}: https://rustsec.org/advisories/{id}"));
            }
        }
    }
    Ok(found)
}

/// True if a version is in one of these ranges.
fn is_safe(version: &Version, ranges: &str) -> Result<bool> {
    for range in ranges.split(" || ").filter(|range| !range.is_empty()) {
        if VersionReq::parse(range)?.matches(version) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use semver::Version;

    use super::{is_safe, line};

    #[test]
    fn line_has_the_versions_that_are_safe() {
        let advisory = |more: &str| {
            format!(
                "```toml\n[advisory]\nid = \"R-1\"\npackage = \"p\"{more}\n[versions]\npatched = [\n  \">=1.2\",\n \"^0.9.1\"]\nunaffected = [\"< 0.5\"]\n```\ntext"
            )
        };
        assert_eq!(line(&advisory("")).as_deref(), Some("R-1\tp\t>=1.2 || ^0.9.1 || < 0.5"));
        assert_eq!(line(&advisory("\nwithdrawn = \"2026-01-01\"")), None);
        assert_eq!(line(&advisory("\ninformational = \"unmaintained\"")), None);
    }

    #[test]
    fn is_safe_reads_every_range() {
        let safe = |version: &str, ranges: &str| {
            Version::parse(version).is_ok_and(|version| is_safe(&version, ranges).is_ok_and(|safe| safe))
        };
        for (version, expected) in
            [("1.2.0", true), ("1.1.9", false), ("0.9.2", true), ("0.9.0", false), ("0.4.9", true)]
        {
            assert_eq!(safe(version, ">=1.2 || ^0.9.1 || < 0.5"), expected, "{version}");
        }
        assert!(!safe("1.0.0", ""));
    }
}
