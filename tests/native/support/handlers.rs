//! The documentation of handlers, read from the sources: it describes their operations in the API's document.

use std::{collections::BTreeMap, fs, path::Path};

/// The folders of the files with handlers.
const FOLDERS: [&str; 2] = ["crates/api/src", "crates/evals/src/http"];

/// The file of handlers that other files take over by this import.
const SHARED: &str = "crates/evals/src/http/shares.rs";
const SHARED_IMPORT: &str = "pub(crate) use crate::http::shares::";

/// Returns the documentation of every documented function, by its file and its name: `keys::create`.
pub(crate) fn descriptions() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = fs::read_to_string(root.join(SHARED)).unwrap();
    let files = FOLDERS.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut descriptions = BTreeMap::new();
    for path in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let module = path.file_stem().unwrap().to_str().unwrap();
        let source = fs::read_to_string(&path).unwrap();
        let shared = if source.contains(SHARED_IMPORT) { described(&shared) } else { Vec::new() };
        for (name, description) in described(&source).into_iter().chain(shared) {
            let known = descriptions.insert(format!("{module}::{name}"), description);
            assert_eq!(known, None, "{module}::{name} stands in two files");
        }
    }
    descriptions
}

/// Returns the functions of a source, each with its documentation, in which a blank line ends a paragraph.
fn described(source: &str) -> Vec<(String, String)> {
    let (mut functions, mut lines) = (Vec::new(), Vec::new());
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("///") {
            lines.push(text.trim());
        } else if let Some((_, rest)) = line.strip_prefix("pub").and_then(|rest| rest.split_once("fn ")) {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            let paragraphs = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
            functions.push((name.to_owned(), paragraphs.collect::<Vec<_>>().join("\n\n")));
            lines.clear();
        } else if !line.starts_with("#[") {
            lines.clear();
        }
    }
    functions.retain(|(_, description)| !description.is_empty());
    functions
}

#[test]
fn described_joins_lines_and_keeps_paragraphs() {
    let source = "/// A type.\nstruct A;\n\n/// Lists\n/// keys.\n///\n/// Sorted.\n#[cold]\npub(crate) async fn list<T>() {}\n\
                  pub fn bare() {}\n    /// Within.\n    fn inner() {}\n";
    assert_eq!(described(source), [("list".to_owned(), "Lists keys.\n\nSorted.".to_owned())]);
}
