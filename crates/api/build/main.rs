//! Generates the files that the Worker serves: the API's document with the surfaces that are served, the tools from that
//! document, and the page of errors. The golden document is `api/openapi.json`; a test keeps it up to date.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a mistake must stop the build")]
#![expect(clippy::print_stdout, reason = "cargo reads it")]

mod errors_page;
mod tools;

use std::{
    collections::BTreeSet,
    env, fs,
    hash::{DefaultHasher, Hasher},
    path::Path,
};

use serde_json::Value;

const DOCUMENT: &str = "../../api/openapi.json";
const ERRORS: &str = "../../docs/src/errors.md";

fn main() {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    println!("cargo::rerun-if-changed={ERRORS}");
    println!("cargo::rerun-if-changed=build");
    let document: Value = serde_json::from_str(&fs::read_to_string(DOCUMENT).unwrap()).unwrap();
    let document = served(document);
    let text = document.to_string();
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    let out = env::var_os("OUT_DIR").unwrap();
    fs::write(Path::new(&out).join("openapi.etag"), format!("\"{:016x}\"", hasher.finish())).unwrap();
    fs::write(Path::new(&out).join("openapi.json"), text).unwrap();
    fs::write(Path::new(&out).join("errors.html"), errors_page::page(&fs::read_to_string(ERRORS).unwrap())).unwrap();
    fs::write(Path::new(&out).join("tools.json"), tools::file(&document)).unwrap();
}

/// Removes the operations of surfaces that are not in this build, and the tags and schemas that nothing else uses.
fn served(mut document: Value) -> Value {
    let paths = document["paths"].as_object_mut().unwrap();
    for path in paths.values_mut() {
        path.as_object_mut().unwrap().retain(|_, operation| is_served(operation));
    }
    paths.retain(|_, path| !path.as_object().unwrap().is_empty());
    let used: BTreeSet<String> = operations(&document).map(|operation| operation["tags"][0].to_string()).collect();
    document["tags"].as_array_mut().unwrap().retain(|tag| used.contains(&tag["name"].to_string()));
    let mut needed = BTreeSet::new();
    references(&document, &document["paths"], &mut needed);
    for kind in ["schemas", "responses"] {
        let all = document["components"][kind].as_object_mut().unwrap();
        all.retain(|name, _| needed.contains(&format!("#/components/{kind}/{name}")));
    }
    document
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
}

/// True if the surface of an operation has its Cargo feature.
fn is_served(operation: &Value) -> bool {
    let feature = |surface: &str| env::var_os(format!("CARGO_FEATURE_{}", surface.to_uppercase())).is_some();
    operation.get("x-surface").and_then(Value::as_str).is_none_or(feature)
}

/// Collects the references in a value, and those in their targets.
fn references(document: &Value, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str)
                && found.insert(reference.to_owned())
            {
                let place = reference.trim_start_matches('#');
                references(document, document.pointer(place).unwrap(), found);
            }
            members.values().for_each(|value| references(document, value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(document, value, found)),
        _ => {}
    }
}
