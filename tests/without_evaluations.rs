//! The service without the evaluation platform: nothing of it is served, and nothing of it is told.
//!
//! `cargo test --test without_evaluations --no-default-features --features braintrust,confident,trulayer,pages,mcp`

#![cfg(not(feature = "evaluations"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    dead_code,
    reason = "a test says what it expects by failing, and uses a part of what the other tests share"
)]

#[path = "native/support/mod.rs"]
mod support;

use serde_json::{Value, json};

use support::{World, problem::assert_problem};

#[test]
fn routes_of_evaluations_are_not_there() {
    let world = World::new();
    let owner = world.bootstrap();
    for path in ["/api/datasets", "/api/evaluations", "/api/live-evaluations", "/api/results", "/api/review"] {
        assert_problem(&world.get(path, &owner), 404, "not_found");
    }
    assert_eq!(world.get("/v1/traces", &owner).status, 404);
    assert_eq!(world.get("/v1/keys/self", &owner).status, 200);
    assert_eq!(world.get("/v1/apikeys", &owner).status, 200);
}

#[test]
fn scopes_and_presets_of_evaluations_are_not_there() {
    let world = World::new();
    let owner = world.bootstrap();
    let catalogue = world.get("/v1/scopes", &owner).json.to_string();
    for word in ["datasets", "evaluations", "traces", "review", "results", "error-analysis", "\"mcp\""] {
        assert!(!catalogue.contains(word), "{word} is in {catalogue}");
    }
    let body = json!({ "name": "n", "scopes": ["datasets:read"] });
    assert_problem(&world.call("POST", "/v1/keys", &owner, &body), 400, "validation_failed");
}

#[test]
fn document_has_no_operation_of_evaluations_and_no_reference_into_nothing() {
    let document = World::new().get("/openapi.json", "").json;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.keys().all(|path| !path.starts_with("/api/")) && paths.contains_key("/v1/keys"), "{paths:?}");
    let mut references = 0;
    follow(&document, &document, &mut references);
    assert!(references > 100, "{references}");
}

fn follow(document: &Value, value: &Value, references: &mut usize) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
                *references += 1;
            }
            members.values().for_each(|value| follow(document, value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| follow(document, value, references)),
        _ => {}
    }
}

#[test]
fn tools_of_evaluations_are_not_there() {
    let world = World::new();
    let owner = world.bootstrap();
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let tools = world.call("POST", "/mcp", &owner, &message).json["result"]["tools"].to_string();
    let is_there = |name: &str| tools.contains(&format!("\"name\":\"{name}"));
    assert!(is_there("keys_list") && !is_there("datasets_") && !is_there("live_evaluations_"), "{tools}");
}
