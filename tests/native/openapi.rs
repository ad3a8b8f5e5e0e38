//! `GET /openapi.json`: the document and the table of routes say the same.

use std::{collections::BTreeSet, env, fs};

use bitting::http::{openapi, routes::table};
use serde_json::{Map, Value};

use crate::support::{Envelope, World, envelope};

fn document() -> Value {
    let answer = World::new().get("/openapi.json", "");
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    answer.json
}

/// Every operation, by its method and its path.
fn operations(document: &Value) -> Vec<(String, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().iter().map(move |(method, it)| (path, method, it)));
    all.map(|(path, method, it)| (format!("{} {path}", method.to_uppercase()), it.as_object().unwrap())).collect()
}

/// All values of the member `name`, at any depth.
fn members<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(object) => {
            let own = object.get(name).into_iter();
            own.chain(object.values().flat_map(|value| members(value, name))).collect()
        }
        Value::Array(items) => items.iter().flat_map(|value| members(value, name)).collect(),
        _ => Vec::new(),
    }
}

/// Run this once with `UPDATE=1` after a change of a documented route or type.
#[test]
fn the_file_is_what_the_code_says() {
    let made = serde_json::to_string_pretty(&openapi::document()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/openapi.json");
    if env::var_os("UPDATE").is_some() {
        fs::write(path, &made).unwrap();
    }
    let update = "the document has changed: UPDATE=1 cargo test --test native openapi";
    assert!(fs::read_to_string(path).unwrap() == made, "{update}");
}

#[test]
fn the_document_has_every_native_route_and_nothing_else() {
    let document = document();
    let documented: BTreeSet<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let native = |path: &str| matches!(envelope(path), Envelope::Problem) && !path.starts_with("/v1/api_key");
    let rows = table().into_iter().filter(|(_, path, _)| native(path));
    let braces = |segment: &str| segment.strip_prefix(':').map_or(segment.to_owned(), |name| format!("{{{name}}}"));
    let rows =
        rows.map(|(method, path, _)| format!("{method} {}", path.split('/').map(braces).collect::<Vec<_>>().join("/")));
    assert_eq!(documented, rows.collect());
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let references: BTreeSet<&str> = members(&document, "$ref").into_iter().map(|it| it.as_str().unwrap()).collect();
    for reference in &references {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(references.contains(format!("#/components/{kind}/{name}").as_str()), "{name}");
        }
    }
}

#[test]
fn every_operation_names_its_parameters_its_scope_and_itself_once() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{name}");
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let documented: BTreeSet<String> = in_path.map(|it| format!("{{{}}}", it["name"].as_str().unwrap())).collect();
        let segments = name.split('/').filter(|segment| segment.starts_with('{')).map(str::to_owned);
        assert_eq!(documented, segments.collect(), "{name}");
        assert!(parameters.iter().all(|parameter| parameter["description"].is_string()), "{name}");
        let (_, _, access) = table()
            .into_iter()
            .find(|(method, path, _)| name == format!("{method} {}", path.replace(":id", "{id}")))
            .unwrap();
        let scope = operation.get("x-required-scope").and_then(Value::as_str);
        assert_eq!(scope, Some(access).filter(|access| access.contains(':')), "{name}");
    }
}

#[test]
fn every_schema_and_every_field_is_described() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name}");
        for fields in members(schema, "properties") {
            for (field, schema) in fields.as_object().unwrap() {
                assert!(schema["description"].is_string(), "{name}.{field}");
            }
        }
    }
}
