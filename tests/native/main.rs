//! Everything that can be tested without workerd: the API over the real router, the production SQL
//! and schema over SQLite, the simulation of several isolates, and the house's own order.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test says what it expects by failing"
)]

mod support;

mod bootstrap;
mod braintrust;
mod errors;
mod guard;
mod key_text;
mod keys;
mod migrations;
mod simulation;
mod sweep;
mod tidy;
mod verify;

/// A file that is not named above would be no test at all, and nobody would miss it.
#[test]
fn every_file_is_named_above() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/native")).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        let named = include_str!("main.rs").contains(&format!("\nmod {module};"));
        assert!(named || module == "main", "{name} is not compiled");
    }
}
