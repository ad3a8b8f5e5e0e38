//! The house's own order: who may import whom, where SQL may stand, and that code, configuration and
//! documentation name the same things.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use bitting::entry::{check, tables};
use bitting_keys::domain::catalogue::Catalogue;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file of the code: its path from the root, and its text without comments and without its own tests.
struct Source {
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(ROOT);
    let (mut folders, mut sources) = (vec![root.join("src"), root.join("crates")], Vec::new());
    while let Some(folder) = folders.pop() {
        let paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.extension().is_none_or(|extension| extension != "rs") || name.contains("/build/") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            // The tests of a file are its last part.
            let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
            // An address in a text has two slashes, too.
            let comment =
                |line: &str| line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':')).map(|(at, _)| at);
            let code = |line: &str| line[..comment(line).unwrap_or(line.len())].to_owned();
            sources.push(Source { path: name, text: text.lines().map(code).collect::<Vec<_>>().join("\n") });
        }
    }
    assert!(sources.len() > 100, "the sources were not found");
    sources
}

/// What one source takes from a crate, its own or another, each as a whole path: `domain::key::Key`.
fn imports(text: &str, from: &str) -> Vec<String> {
    let start = format!("{from}::");
    let uses = text.match_indices(&start).map(|(at, found)| &text[at + found.len()..]);
    uses.flat_map(|path| expand("", path)).collect()
}

/// The paths of a tree of imports: `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expand(prefix: &str, tree: &str) -> Vec<String> {
    let end = tree.find(|next: char| !next.is_alphanumeric() && next != '_' && next != ':').unwrap_or(tree.len());
    let path = format!("{prefix}{}", &tree[..end]);
    let Some(group) = tree[end..].strip_prefix('{') else {
        return vec![path];
    };
    let (mut depth, mut start, mut paths) = (0_i32, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                let branch = group[start..at].trim();
                if !branch.is_empty() {
                    paths.extend(expand(&path, branch));
                }
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    paths
}

#[test]
fn expand_reads_trees_of_imports() {
    let text = "use crate::{\n  a::{b, c::{d, e as f}},\n  g,\n};\nfn f() { crate::h::i(1, 2) }";
    assert_eq!(imports(text, "crate"), ["a::b", "a::c::d", "a::c::e", "g", "h::i"]);
}

/// Cargo keeps the directions between crates. Within a crate, and for the rooms of another, this does.
#[test]
fn rooms_import_only_what_they_may() {
    let rooms: [(&str, &str, &[&str]); 14] = [
        ("crates/keys/src/domain/", "crate", &["ports", "storage", "app"]),
        ("crates/keys/src/ports.rs", "crate", &["storage", "app"]),
        ("crates/keys/src/storage/", "crate", &["app"]),
        ("crates/evals/src/domain/", "crate", &["storage", "app", "http"]),
        ("crates/evals/src/domain/", "bitting_keys", &["ports", "storage", "app"]),
        ("crates/evals/src/storage/", "crate", &["app", "http"]),
        ("crates/evals/src/storage/", "bitting_keys", &["app"]),
        ("crates/evals/src/app/", "crate", &["http"]),
        ("crates/evals/src/http/", "crate", &["storage"]),
        ("crates/evals/src/http/", "bitting_keys", &["storage"]),
        ("crates/http/", "bitting_keys", &["storage"]),
        ("crates/api/", "bitting_keys", &["storage"]),
        ("crates/pages/", "bitting_keys", &["storage"]),
        ("src/", "bitting_keys", &["storage"]),
    ];
    for source in sources() {
        for (_, from, forbidden) in rooms.iter().filter(|(room, ..)| source.path.starts_with(room)) {
            for import in imports(&source.text, from) {
                let is_of = |other: &&&str| import == **other || import.starts_with(&format!("{other}::"));
                assert!(!forbidden.iter().any(|other| is_of(&other)), "{} imports {from}::{import}", source.path);
            }
        }
    }
}

/// The files of handlers that other handlers of the crate may know, and those that know all handlers.
const SHARED: [&str; 8] = [
    "descendants_body",
    "json_rpc",
    "key_body",
    "key_verification",
    "operator_route",
    "organization_path",
    "permissions",
    "shares",
];
const ABOVE: [&str; 6] = ["document", "lib", "mcp", "mod", "routes", "tools"];

#[test]
fn handlers_know_no_other_handlers() {
    for source in sources() {
        let handlers =
            ["crates/api/src/", "crates/evals/src/http/"].iter().find(|room| source.path.starts_with(**room));
        let Some(name) = handlers.and_then(|room| source.path.strip_prefix(room)) else { continue };
        let name = name.trim_end_matches(".rs");
        if ABOVE.contains(&name) || name.ends_with("/mod") {
            continue;
        }
        for import in imports(&source.text, "crate") {
            let file = match import.strip_prefix("http::") {
                Some(path) => path,
                None if source.path.starts_with("crates/api/") => &import,
                None => continue,
            };
            let file = file.split("::").next().unwrap();
            assert!(SHARED.contains(&file), "{} imports {import}", source.path);
        }
    }
}

/// The crate of a file, and its module there: `domain::key` for `crates/keys/src/domain/key.rs`.
fn module(path: &str) -> (&str, String) {
    let (krate, file) = path.split_once("src/").unwrap();
    let module = file.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    (krate, if module == "lib" { String::new() } else { module })
}

/// The files of a crate from which each of its files imports something, by their modules.
fn imported_files(krate: &str, sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let own: Vec<(String, &Source)> = sources
        .iter()
        .filter(|source| module(&source.path).0 == krate)
        .map(|source| (module(&source.path).1, source))
        .collect();
    let modules: BTreeSet<&String> = own.iter().map(|(module, _)| module).collect();
    let file = |path: &str| {
        let ends = path.match_indices("::").map(|(end, _)| end).chain([path.len()]);
        ends.map(|end| path[..end].to_owned()).filter(|start| modules.contains(start)).last()
    };
    let edges = |name: &str, source: &Source| {
        let parent = name.rsplit_once("::").map_or("", |(parent, _)| parent);
        let relative = |word: &str, from: &str| {
            let uses = source.text.match_indices(word).filter(|(at, _)| {
                !source.text[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
            });
            let paths = uses.flat_map(|(at, word)| expand("", &source.text[at + word.len()..]));
            paths.map(|path| format!("{from}::{path}").trim_start_matches(':').to_owned()).collect::<Vec<_>>()
        };
        let all = [imports(&source.text, "crate"), relative("super::", parent), relative("self::", name)].concat();
        all.iter().filter_map(|path| file(path)).filter(|other| other != name).collect()
    };
    own.iter().map(|(name, source)| (name.clone(), edges(name, source))).collect()
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let sources = sources();
    let crates: BTreeSet<&str> = sources.iter().map(|source| module(&source.path).0).collect();
    assert!(crates.len() == 6, "{crates:?}");
    for krate in crates {
        let files = imported_files(krate, &sources);
        if krate == "crates/keys/" {
            assert!(
                files["app::keys"].contains("app::idempotency") && files["domain::feed"].contains("domain::snapshot")
            );
        }
        let in_a_circle = |file: &String| {
            let (mut reached, mut next) = (BTreeSet::new(), vec![file]);
            while let Some(file) = next.pop() {
                next.extend(files[file].iter().filter(|other| reached.insert(*other)));
            }
            reached.contains(file)
        };
        let circles: Vec<&String> = files.keys().filter(|file| in_a_circle(file)).collect();
        assert!(circles.is_empty(), "files of {krate} import one another: {circles:?}");
    }
}

#[test]
fn only_the_platform_knows_the_worker_crate() {
    for source in sources() {
        let knows = ["worker::", "wasm_bindgen", "js_sys"].iter().any(|name| source.text.contains(name));
        assert!(
            !knows || source.path.starts_with("src/platform/") || source.path == "src/worker.rs",
            "{}",
            source.path
        );
    }
}

#[test]
fn sql_stands_in_storage_alone() {
    for source in sources().iter().filter(|source| !source.path.contains("/src/storage/")) {
        for pair in
            [("SELECT ", ""), ("INSERT ", " INTO "), ("DELETE ", " FROM "), ("UPDATE ", " SET "), ("WHERE ", "")]
        {
            let sql = source.text.contains(pair.0) && source.text.contains(pair.1);
            assert!(!sql, "{} contains {pair:?}", source.path);
        }
    }
}

#[test]
fn code_never_gives_up() {
    for source in sources() {
        for word in [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("] {
            assert!(!source.text.contains(word), "{} contains {word}", source.path);
        }
    }
}

#[test]
fn repository_catalogue_fits_the_routes() {
    check(&Catalogue::parse(&read("catalogue.json")).unwrap()).unwrap();
}

/// The texts between two double quotes that consist of nothing but these characters.
fn quoted(text: &str, made_of: impl Fn(char) -> bool) -> BTreeSet<String> {
    let parts = text.split('"').skip(1).step_by(2);
    parts.filter(|part| !part.is_empty() && part.chars().all(&made_of)).map(str::to_owned).collect()
}

/// The names that the configuration reads.
fn config_names() -> BTreeSet<String> {
    let sources = sources();
    let files = ["crates/keys/src/app/config.rs", "crates/evals/src/app/settings.rs"];
    let files = sources.iter().filter(|source| files.contains(&source.path.as_str()));
    let upper = |character: char| character.is_ascii_uppercase() || character == '_';
    let names: BTreeSet<String> = files.flat_map(|source| quoted(&source.text, upper)).collect();
    assert!(names.contains("OPERATOR_SECRET") && names.contains("KEY_BRAND"), "{names:?}");
    names
}

#[test]
fn wrangler_toml_names_what_the_configuration_reads() {
    let text = read("wrangler.toml");
    let vars = text.split("[vars]").nth(1).unwrap();
    let vars = vars.split("\n[").next().unwrap();
    // Variables stand as `NAME = "value"`, secrets as `#   NAME   what it is`.
    let name = |line: &str| {
        let line = line.strip_prefix("#   ").unwrap_or(line);
        let name = line.split_whitespace().next()?;
        let upper = |character: char| character.is_ascii_uppercase() || character == '_';
        (name.len() > 3 && name.chars().all(upper)).then(|| name.to_owned())
    };
    assert_eq!(vars.lines().filter_map(name).collect::<BTreeSet<_>>(), config_names());
}

/// What a document names between backticks.
fn named(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The README and the pages of the book: each with its path and its text.
fn documents() -> Vec<(String, String)> {
    let pages = fs::read_dir(Path::new(ROOT).join("docs/src")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages = pages
        .map(|name| name.into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"));
    let paths = pages.map(|name| format!("docs/src/{name}")).chain(["README.md".to_owned()]);
    paths.map(|path| (path.clone(), read(&path))).collect()
}

#[test]
fn documents_name_every_route_error_and_variable() {
    let documents = documents();
    // Of two backticks the second may be missing at the end of a page, so each page is read for itself.
    let named: BTreeSet<&str> = documents.iter().flat_map(|(_, text)| named(text)).collect();
    let mut missing: Vec<String> = tables()
        .list()
        .into_iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .chain(error_codes())
        .chain(config_names())
        .chain(["/braintrust".to_owned(), "/confident".to_owned()])
        .filter(|name| !named.contains(name.as_str()))
        .collect();
    missing.sort();
    assert!(missing.is_empty(), "README.md and docs/src do not name {missing:#?}");
}

#[test]
fn every_error_has_an_anchor() {
    let page = read("docs/src/errors.md");
    for code in error_codes() {
        assert!(page.contains(&format!("\n### `{code}`\n")), "docs/src/errors.md has no heading for {code}");
    }
}

#[test]
fn threat_model_names_tests_that_exist() {
    let page = read("docs/src/threat-model.md");
    let named: BTreeSet<&str> = page.split('`').filter(|part| part.contains("::")).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let (module, function) = name.split_once("::").unwrap();
        let paths = [format!("tests/native/{module}.rs"), format!("tests/native/{module}/mod.rs")];
        let text =
            paths.iter().find_map(|path| fs::read_to_string(Path::new(ROOT).join(path)).ok()).unwrap_or_default();
        assert!(text.contains(&format!("fn {function}()")), "docs/src/threat-model.md names {name}");
    }
}

#[test]
fn readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 200, "README.md has {lines} lines: the rest belongs into docs");
}

/// The words with which no summary begins: it is a noun phrase or a verb in the third person.
const WH_WORDS: [&str; 13] =
    ["How", "If", "Since", "Until", "What", "When", "Where", "Whether", "Which", "Who", "Whom", "Whose", "Why"];

/// The words that are not said of people.
const GENDERED: [&str; 8] = ["he", "her", "him", "himself", "his", "she", "whoever", "whomever"];

/// The comments of a source, each with its line.
fn comments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("//"))
}

/// Every Rust file of the code and of the tooling, with its comments.
fn commented() -> Vec<(String, String)> {
    let folders = ["crates", "src", "xtask"].map(|folder| Path::new(ROOT).join(folder));
    let (mut open, mut files) = (Vec::from(folders), Vec::new());
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push((path.to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

#[test]
fn summaries_are_noun_phrases_or_verbs() {
    for (path, text) in commented() {
        let mut before = "";
        for line in text.lines().map(str::trim_start) {
            let doc = |line: &str| ["///", "//!"].into_iter().find(|start| line.starts_with(start));
            if let (Some(start), true) = (doc(line), doc(before) != doc(line)) {
                let word = line[start.len()..].split_whitespace().next().unwrap_or_default();
                assert!(!WH_WORDS.contains(&word), "{path}: {line}");
            }
            before = line;
        }
    }
}

#[test]
fn people_are_they() {
    let gendered = |text: &str| {
        let lower = text.to_lowercase();
        let mut words = lower.split(|character: char| !character.is_alphanumeric());
        words.find(|word| GENDERED.contains(word)).map(str::to_owned)
    };
    for (path, text) in commented() {
        for (line, comment) in comments(&text) {
            assert_eq!(gendered(comment), None, "{path}:{}", line + 1);
        }
    }
    let texts = documents().into_iter().chain([("api/openapi.json".to_owned(), read("api/openapi.json"))]);
    for (path, text) in texts {
        for (number, line) in text.lines().enumerate() {
            assert_eq!(gendered(line), None, "{path}:{}", number + 1);
        }
    }
}

/// The stable codes of all refusals: the lower-case texts in the functions that give them.
fn error_codes() -> BTreeSet<String> {
    let sources = sources();
    let code = |character: char| character.is_ascii_lowercase() || character == '_';
    let within = |path: &str, from: &str, to: &str| {
        let source = sources.iter().find(|source| source.path == path).unwrap();
        let text = source.text.split(from).nth(1).unwrap();
        quoted(text.split(to).next().unwrap(), code)
    };
    let mut codes = within("crates/http/src/problem.rs", "fn status_and_code", "fn detail");
    codes.extend(within("crates/keys/src/domain/decision.rs", "fn code", "pub fn decide"));
    for source in &sources {
        for kind in ["BadRequest", "Conflict", "AlreadyExists", "InProgress", "Unready", "Forbidden", "PaymentRequired"]
        {
            for error in source.text.split(&format!("Error::{kind} {{")).skip(1) {
                // Where one is made its message follows, where one is looked at the rest is left out.
                let made = error.split("message").next().unwrap();
                codes.extend(quoted(made.split("..").next().unwrap(), code));
            }
        }
    }
    for known in
        ["missing_api_key", "key_revoked", "already_bootstrapped", "conflict", "already_flagged", "judge_unavailable"]
    {
        assert!(codes.contains(known), "{codes:?}");
    }
    codes
}
