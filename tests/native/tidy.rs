//! The house's own order: who may import whom, where SQL may stand, and that code, configuration and
//! documentation name the same things.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use bitting::{
    domain::catalogue::Catalogue,
    entry::{check, tables},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file of `src`: its path from there, and its text without comments and without its own tests.
struct Source {
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let src = Path::new(ROOT).join("src");
    let (mut folders, mut sources) = (vec![src.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        let paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            // The tests of a file are its last part.
            let text = text.split("\n#[cfg(test)]\n").next().unwrap();
            // An address in a text has two slashes, too.
            let comment =
                |line: &str| line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':')).map(|(at, _)| at);
            let code = |line: &str| line[..comment(line).unwrap_or(line.len())].to_owned();
            sources.push(Source {
                path: path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned(),
                text: text.lines().map(code).collect::<Vec<_>>().join("\n"),
            });
        }
    }
    assert!(sources.len() > 30, "the sources were not found");
    sources
}

/// What one source takes from the rest of the crate, each as a whole path: `domain::key::Key`.
fn imports(text: &str) -> Vec<String> {
    let uses = text.match_indices("crate::").map(|(at, found)| &text[at + found.len()..]);
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
    assert_eq!(imports(text), ["a::b", "a::c::d", "a::c::e", "g", "h::i"]);
}

#[test]
fn rooms_import_only_what_they_may() {
    let rooms: [(&str, &[&str]); 10] = [
        ("domain/", &[]),
        ("ports.rs", &["domain"]),
        ("storage/", &["storage", "ports", "domain"]),
        ("app/", &["app", "storage", "ports", "domain"]),
        (
            "http/",
            &[
                "http",
                "app",
                "domain",
                "ports::Clock",
                "ports::Entropy",
                "ports::Incoming",
                "ports::LocalFuture",
                "ports::Outgoing",
                "ports::ByteSource",
                "ports::UpstreamError",
            ],
        ),
        (
            "platform/",
            &[
                "platform",
                "ports",
                "http::message",
                "domain::catalogue::Target",
                "domain::jwt::PublicKey",
                "domain::time",
            ],
        ),
        (
            "pages/",
            &[
                "pages",
                "http::body",
                "http::call",
                "http::dispatch",
                "http::event_body::lines",
                "http::message",
                "http::paging",
                "http::problem",
                "http::router",
                "app",
                "domain",
            ],
        ),
        (
            "entry.rs",
            &[
                "pages",
                "http",
                "app::App",
                "app::error::Error",
                "domain::catalogue::Catalogue",
                "ports::Clock",
                "ports::Entropy",
            ],
        ),
        ("worker.rs", &["platform", "entry", "app", "ports"]),
        ("lib.rs", &[]),
    ];
    for source in sources() {
        let room = rooms.iter().find(|(room, _)| source.path.starts_with(room));
        let (_, allowed) = room.unwrap_or_else(|| panic!("{} is in no room of the house", source.path));
        for import in imports(&source.text) {
            let fits = |room: &&str| import == **room || import.starts_with(&format!("{room}::"));
            assert!(allowed.iter().any(fits), "{} imports {import}", source.path);
        }
    }
}

/// The floors of `http`, the lowest first: what knows no route, the shapes that handlers share, the handlers, and what
/// looks at all handlers.
fn floor(file: &str) -> usize {
    match file {
        "auth" | "body" | "call" | "dispatch" | "event_body" | "input" | "json_rpc" | "message" | "operation"
        | "paging" | "problem" | "route" | "router" | "typed" => 0,
        "key_body" | "organization_path" | "shares" => 1,
        "document" | "mcp" | "mod" | "routes" | "tools" => 3,
        _ => 2,
    }
}

#[test]
fn floors_of_http_rest_on_those_below() {
    for source in sources() {
        let Some(name) = source.path.strip_prefix("http/").and_then(|file| file.strip_suffix(".rs")) else { continue };
        for import in imports(&source.text) {
            let Some(file) = import.strip_prefix("http::").and_then(|path| path.split("::").next()) else { continue };
            // Handlers know no other handlers.
            let rests = floor(file) < floor(name) || (floor(file) == floor(name) && floor(name) != 2);
            assert!(rests, "{} imports {import}", source.path);
        }
    }
}

/// The module of a file: `http::keys` for `http/keys.rs`, and `http` for `http/mod.rs`.
fn module(path: &str) -> String {
    path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::")
}

/// The files from which each file imports something, by their modules.
fn imported_files() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let modules: BTreeSet<String> = sources.iter().map(|source| module(&source.path)).collect();
    let file = |path: &str| {
        let ends = path.match_indices("::").map(|(end, _)| end).chain([path.len()]);
        ends.map(|end| &path[..end]).filter(|start| modules.contains(*start)).last().map(str::to_owned)
    };
    let edges = |source: &Source| {
        let own = module(&source.path);
        let parent = own.rsplit_once("::").map_or("", |(parent, _)| parent);
        let relative = |word: &str, from: &str| {
            let uses = source.text.match_indices(word).filter(|(at, _)| {
                !source.text[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
            });
            let paths = uses.flat_map(|(at, word)| expand("", &source.text[at + word.len()..]));
            paths.map(|path| format!("{from}::{path}")).collect::<Vec<_>>()
        };
        let all = [imports(&source.text), relative("super::", parent), relative("self::", &own)].concat();
        all.iter().filter_map(|path| file(path)).filter(|other| *other != own).collect()
    };
    sources.iter().map(|source| (module(&source.path), edges(source))).collect()
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let files = imported_files();
    assert!(files["http::keys"].contains("http::paging") && files["domain::feed"].contains("domain::snapshot"));
    let in_a_circle = |file: &String| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![file]);
        while let Some(file) = next.pop() {
            next.extend(files[file].iter().filter(|other| reached.insert(*other)));
        }
        reached.contains(file)
    };
    let circles: Vec<&String> = files.keys().filter(|file| in_a_circle(file)).collect();
    assert!(circles.is_empty(), "they import one another: {circles:?}");
}

#[test]
fn only_the_platform_knows_the_worker_crate() {
    for source in sources() {
        let knows = ["worker::", "wasm_bindgen", "js_sys"].iter().any(|name| source.text.contains(name));
        assert!(!knows || source.path.starts_with("platform/") || source.path == "worker.rs", "{}", source.path);
    }
}

#[test]
fn sql_stands_in_storage_alone() {
    for source in sources().iter().filter(|source| !source.path.starts_with("storage/")) {
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
    let config = sources.iter().find(|source| source.path == "app/config.rs").unwrap();
    let names = quoted(&config.text, |character| character.is_ascii_uppercase() || character == '_');
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
    let pages = pages.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".md"));
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
fn readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 200, "README.md has {lines} lines: the rest belongs into docs");
}

#[test]
fn documents_speak_of_people_as_they() {
    // The reference says what the code's own documentation says.
    for (path, text) in documents().iter().filter(|(path, _)| !path.ends_with("/reference.md")) {
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            let mut words = line.split(|character: char| !character.is_alphanumeric());
            let word = words.find(|word| ["he", "him", "his", "whoever"].contains(word));
            assert_eq!(word, None, "{path}:{}", number + 1);
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
    let mut codes = within("http/problem.rs", "fn status_and_code", "fn detail");
    codes.extend(within("domain/decision.rs", "fn code", "pub fn decide"));
    for source in &sources {
        for conflict in source.text.split("Error::Conflict {").skip(1) {
            // Where one is made its message follows, where one is looked at the rest is left out.
            let made = conflict.split("message").next().unwrap();
            codes.extend(quoted(made.split("..").next().unwrap(), code));
        }
    }
    for known in ["missing_api_key", "key_revoked", "already_bootstrapped", "conflict"] {
        assert!(codes.contains(known), "{codes:?}");
    }
    codes
}
