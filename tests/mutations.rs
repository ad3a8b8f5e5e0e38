//! The test of the simulation: each rule that the promise rests on is taken out of a copy of the
//! source, and the simulation must notice. The copy asks when it runs which rule is to be missing,
//! so that it is built once, and nothing of this is in the code that ships.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test says what it expects by failing")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use serde_json::Value;

/// How many histories the simulation may take to notice.
const HISTORIES: u32 = 5_000;
/// How many histories must pass with every rule in place, so that the copy itself is no reason to fail.
const HISTORIES_WITH_EVERY_RULE: u32 = 200;

const FEED: &str = "crates/keys/src/domain/feed.rs";
const VERIFY: &str = "crates/keys/src/app/verify.rs";
const SQLITE: &str = "tests/native/support/sqlite.rs";

/// Each rule: its name, where it stands, what stands there, and what stands there without the rule;
/// `MUTATED` is whether this rule is the one that is missing.
const MUTATIONS: [[&str; 4]; 30] = [
    [
        "no_feed_check",
        FEED,
        "is_none_or(|seq| *seq <= snapshot.seq)",
        "is_none_or(|seq| MUTATED || *seq <= snapshot.seq)",
    ],
    ["no_base_check", FEED, "snapshot.seq >= known.base", "(MUTATED || snapshot.seq >= known.base)"],
    ["overtaken_applied", FEED, "if head < self.head()", "if !MUTATED && head < self.head()"],
    [
        "overflow_keeps_base",
        FEED,
        "is_ok_and(|rows| rows >= PAGE)",
        "is_ok_and(|rows| rows >= PAGE && !(MUTATED && self.since.0 > 0))",
    ],
    [
        "no_prune_gap",
        FEED,
        "filter(|change| change.subject.is_none())",
        "filter(|change| change.subject.is_none() && !(MUTATED && self.since.0 > 0))",
    ],
    // A table as large as the real one would take too long to fill.
    [
        "full_table_keeps_base",
        FEED,
        "if known.last_change.len() > MAX_SUBJECTS {",
        "if MUTATED && known.last_change.len() > 8 {
            known.last_change.clear();
        }
        if known.last_change.len() > MAX_SUBJECTS {",
    ],
    [
        "no_seal_check",
        "crates/keys/src/domain/cache_seal.rs",
        "self.mac(digest, content).verify_slice(&hex::decode(mac).ok()?).ok()?;",
        "if !MUTATED { self.mac(digest, content).verify_slice(&hex::decode(mac).ok()?).ok()?; }",
    ],
    [
        "seq_after_read",
        VERIFY,
        "self.hear(&news);
        if news",
        "let mut news = news;
        if MUTATED { news.changes = changes::since(since).run(&*self.database).await?; }
        self.hear(&news);
        if news",
    ],
    [
        "read_at_after",
        VERIFY,
        "let news = News { since, current_at, changes: results.take(changes)? };",
        "let current_at = current_at.map(|at| if MUTATED { self.now() } else { at });
        let news = News { since, current_at, changes: results.take(changes)? };",
    ],
    [
        "refreshed_at_after",
        VERIFY,
        "self.hear(&News { since, current_at: Some(sent_at), changes });",
        "self.hear(&News { since, current_at: Some(if MUTATED { self.now() } else { sent_at }), changes });",
    ],
    [
        "holder_asked_at_after",
        VERIFY,
        "self.isolate.hear(&answer.news(since, sent_at))",
        "self.isolate.hear(&answer.news(since, if MUTATED { self.now() } else { sent_at }))",
    ],
    [
        "age_of_holder_ignored",
        FEED,
        "sent_at.plus_ms(-self.age_ms.max(0))",
        "sent_at.plus_ms(if MUTATED { 0 } else { -self.age_ms.max(0) })",
    ],
    [
        "replica_vouches",
        VERIFY,
        "let current_at = is_current.then_some(sent_at);",
        "let current_at = (MUTATED || is_current).then_some(sent_at);",
    ],
    [
        "replica_with_the_primarys_seq",
        VERIFY,
        "row.at(news.head())",
        "row.at(if MUTATED && !is_current { self.isolate.feed(Feed::head) } else { news.head() })",
    ],
    [
        "replica_unjudged",
        VERIFY,
        "if !self.isolate.feed(|feed| feed.permits(snapshot)) {",
        "if !(MUTATED && source == Source::Replica) && !self.isolate.feed(|feed| feed.permits(snapshot)) {",
    ],
    [
        "holder_without_its_base",
        FEED,
        "if known.base >= since || changes.is_empty() {",
        "if (!MUTATED && known.base >= since) || changes.is_empty() {",
    ],
    [
        "degraded_for_ever",
        VERIFY,
        "filter(|age_ms| *age_ms <= limit_ms)",
        "filter(|age_ms| MUTATED || *age_ms <= limit_ms)",
    ],
    [
        "degraded_unjudged",
        VERIFY,
        "let (Some(snapshot), Some(age_ms)) = (held, age_ms) else { continue };
            if self",
        "let (Some(snapshot), Some(age_ms)) = (held, age_ms) else { continue };
            if MUTATED || self",
    ],
    [
        "late_answer_believed",
        VERIFY,
        "if (0..=limit_ms).contains(&age_ms)",
        "if (MUTATED || (0..=limit_ms).contains(&age_ms))",
    ],
    [
        "not_judged_again_after_kv",
        VERIFY,
        "let age_ms = self.vouched_age_ms(now)?;",
        "let age_ms = if MUTATED && source == Source::Kv { 0 } else { self.vouched_age_ms(now)? };",
    ],
    ["strong_from_memory", VERIFY, "Freshness::Strong => false,", "Freshness::Strong => MUTATED,"],
    [
        "no_guard",
        "crates/keys/src/app/mod.rs",
        "batch.execute_first(changes::guard(&principal.snapshot));",
        "if !MUTATED { batch.execute_first(changes::guard(&principal.snapshot)); }",
    ],
    [
        "caller_not_judged_again",
        "crates/api/src/key_verification.rs",
        "call.app.still_good(principal)?;",
        "if !MUTATED { call.app.still_good(principal)?; }",
    ],
    [
        "ended_secret_believed",
        "crates/keys/src/storage/snapshots.rs",
        "outgoing_until: self.outgoing_until,",
        "outgoing_until: self.outgoing_until.filter(|until| !MUTATED || until.0 > 0),",
    ],
    [
        "no_trigger_on_keys",
        SQLITE,
        "connection.execute_batch(SCHEMA).unwrap();",
        "connection.execute_batch(SCHEMA).unwrap();
        if MUTATED { connection.execute_batch(\"DROP TRIGGER keys_changed\").unwrap(); }",
    ],
    [
        "no_trigger_on_endings_with_descendants",
        SQLITE,
        "connection.execute_batch(SCHEMA).unwrap();",
        "connection.execute_batch(SCHEMA).unwrap();
        if MUTATED { connection.execute_batch(\"DROP TRIGGER keys_ended_with\").unwrap(); }",
    ],
    [
        "no_trigger_on_pruning",
        SQLITE,
        "connection.execute_batch(SCHEMA).unwrap();",
        "connection.execute_batch(SCHEMA).unwrap();
        if MUTATED { connection.execute_batch(\"DROP TRIGGER changes_pruned\").unwrap(); }",
    ],
    [
        "no_trigger_on_organizations",
        SQLITE,
        "connection.execute_batch(SCHEMA).unwrap();",
        "connection.execute_batch(SCHEMA).unwrap();
        if MUTATED { connection.execute_batch(\"DROP TRIGGER organizations_changed\").unwrap(); }",
    ],
    [
        "no_trigger_on_projects",
        SQLITE,
        "connection.execute_batch(SCHEMA).unwrap();",
        "connection.execute_batch(SCHEMA).unwrap();
        if MUTATED { connection.execute_batch(\"DROP TRIGGER projects_changed\").unwrap(); }",
    ],
    [
        "no_trigger_on_memberships",
        SQLITE,
        "connection.execute_batch(SCHEMA).unwrap();",
        "connection.execute_batch(SCHEMA).unwrap();
        if MUTATED { connection.execute_batch(\"DROP TRIGGER memberships_removed\").unwrap(); }",
    ],
];

/// What else is different in the copy: a limit that histories reach sooner, a name of its own,
/// and the question itself.
const COPY: [[&str; 3]; 6] = [
    [FEED, "PAGE: i64 = 1_000", "PAGE: i64 = 8"],
    // A holder that is given more time can be later by so much.
    [VERIFY, "HOLDER_PATIENCE_MS: u32 = 300", "HOLDER_PATIENCE_MS: u32 = 4_000"],
    [
        "crates/keys/src/lib.rs",
        "pub mod app;",
        "/// Whether the rule of this name is missing.
        pub fn mutated(name: &str) -> bool {
            static MISSING: std::sync::LazyLock<Option<String>> =
                std::sync::LazyLock::new(|| std::env::var(\"MISSING_RULE\").ok());
            MISSING.as_deref() == Some(name)
        }
        pub mod app;",
    ],
    ["Cargo.toml", "name = \"bitting\"", "name = \"bitting-mutated\""],
    ["Cargo.toml", "[lib]", "[lib]\nname = \"bitting\""],
    [
        "Cargo.toml",
        "members = [\"crates/*\", \"bench/worker\", \"clients/rust\", \"xtask\", \"xtask/pack\"]",
        "members = [\"crates/*\"]",
    ],
];

#[test]
fn each_missing_rule_is_noticed_by_the_simulation() {
    let simulation = build(&copy());
    let run = |missing: &str, histories: u32| {
        let mut command = Command::new(&simulation);
        command.arg("simulation").env_remove("BITTING_SEED");
        command.env("MISSING_RULE", missing).env("BITTING_HISTORIES", histories.to_string());
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let rules = Mutex::new(MUTATIONS.iter().map(|[name, ..]| *name));
    let next = || rules.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(missing) = next() {
                    let (passed, report) = run(missing, HISTORIES);
                    // The simulation also fails when it gets nowhere, which would say nothing here.
                    assert!(!passed && report.contains("tells it again"), "{missing}:\n{report}");
                }
            });
        }
    });
    let (passed, report) = run("none", HISTORIES_WITH_EVERY_RULE);
    assert!(passed, "the copy fails with every rule in place:\n{report}");
}

/// Makes the copy beside the build's own files, where its dependencies are compiled already.
fn copy() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let _ = fs::remove_dir_all(&copy);
    for path in
        ["Cargo.toml", "Cargo.lock", "api", "catalogue.json", "crates", "docs/src", "schema.sql", "src", "tests/native"]
    {
        copy_all(&root.join(path), &copy.join(path));
    }
    fs::write(copy.join("tests/native/main.rs"), "//! The simulation alone.\nmod simulation;\nmod support;\n").unwrap();
    for [file, from, to] in COPY {
        replace(&copy.join(file), from, to);
    }
    for [name, file, from, to] in MUTATIONS {
        let krate = if file.starts_with("crates/keys/") { "crate" } else { "bitting_keys" };
        replace(&copy.join(file), from, &to.replace("MUTATED", &format!("{krate}::mutated(\"{name}\")")));
    }
    // Cargo would take the copy's artifacts for those of this folder, if they had the same names: packages of another
    // version have others, and the library of a cdylib has a name without a hash.
    let manifest = copy.join("Cargo.toml");
    let version = |version: &str| format!("\nversion = \"{version}\"\n");
    replace(&manifest, &version(env!("CARGO_PKG_VERSION")), &version("0.0.0"));
    replace(&manifest, "crate-type = [\"cdylib\", \"rlib\"]", "crate-type = [\"rlib\"]");
    copy
}

fn copy_all(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy_all(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

/// A rule that is no longer where it was must be found again by a person.
fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    let count = text.matches(from).count();
    assert_eq!(count, 1, "{from:?} stands {count} times in {}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

/// Builds the copy's simulation; gives the program.
fn build(copy: &Path) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--no-run", "--test", "native", "--message-format=json", "--target-dir"])
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap())
        .current_dir(copy)
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{messages}\n{}", String::from_utf8_lossy(&output.stderr));
    let mut programs = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    programs.next_back().unwrap()
}
