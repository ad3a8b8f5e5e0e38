//! `GET /openapi.json`: the document and the table of routes say the same.

use std::{collections::BTreeSet, env, fs, sync::LazyLock};

use bitting::entry::tables;
use bitting_api::document::openapi;
use bitting_http::call::ANY;
use bitting_keys::domain::{conditions::Condition, decision::Refusal};
use serde_json::{Map, Value, json};

use crate::support::{
    Envelope, World,
    clients::client_files,
    envelope,
    examples::{Exchange, add_examples, exchanges},
    handlers::descriptions,
    reference::reference,
    request,
};

/// Returns the document as the code makes it, whatever the file says.
fn document() -> Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let mut document = openapi(tables(), &descriptions()).into();
        add_examples(&mut document);
        document
    });
    DOCUMENT.clone()
}

/// The document as the Worker serves it: what was in the file when this was built.
fn served() -> Value {
    let answer = World::new().get("/openapi.json", "");
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=300")));
    answer.json
}

#[test]
fn document_is_sent_once_to_a_caller_that_names_its_tag() {
    let world = World::new();
    let tag = world.get("/openapi.json", "").header("etag").unwrap().to_owned();
    let ask = |known: &str| {
        let mut request = request("GET", "/openapi.json", "", &Value::Null);
        request.headers.push(("if-none-match".to_owned(), known.to_owned()));
        world.send(&request)
    };
    for (known, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"other\", {tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
        (tag.trim_matches('"').to_owned(), 200),
    ] {
        let answer = ask(&known);
        assert_eq!((answer.status, answer.header("etag")), (status, Some(tag.as_str())), "{known}");
    }
}

/// Whether the files are to be written instead of compared.
fn updating() -> bool {
    env::var_os("UPDATE").is_some()
}

/// Every operation, by its method and its path.
fn operations(document: &Value) -> Vec<(String, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().iter().map(move |(method, it)| (path, method, it)));
    all.map(|(path, method, it)| (format!("{} {path}", method.to_uppercase()), it.as_object().unwrap())).collect()
}

/// A path of the table as the document writes it.
fn braces(path: &str) -> String {
    let segment = |segment: &str| segment.strip_prefix(':').map_or(segment.to_owned(), |name| format!("{{{name}}}"));
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
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
fn the_files_are_what_the_code_says() {
    let document = document();
    let update = "the document has changed: UPDATE=1 cargo test --test native openapi";
    let files = [
        ("api/openapi.json", serde_json::to_string_pretty(&document).unwrap() + "\n"),
        ("docs/src/reference.md", reference(&document)),
    ];
    for (name, made) in files.into_iter().chain(client_files(&document)) {
        let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
        if updating() {
            fs::write(&path, &made).unwrap();
        }
        assert!(fs::read_to_string(&path).unwrap_or_default() == made, "{update}");
    }
    let served = served();
    // What has just been written is served by the next build.
    assert!(updating() || served == document, "{update}");
}

/// The name of the operation of a row. A row for any method is documented once.
fn operation_name(method: &str, path: &str) -> String {
    format!("{} {}", if method == ANY { "GET" } else { method }, braces(path))
}

#[test]
fn the_document_has_every_native_route_and_nothing_else() {
    let document = document();
    let documented: BTreeSet<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    // These are other services' protocols.
    let foreign = |path: &str| path.starts_with("/v1/api_key") || path == "/v1/leaks/github";
    let native = |path: &str| matches!(envelope(path), Envelope::Problem) && !foreign(path);
    let rows = tables().list().into_iter().filter(|(_, path, _)| native(path));
    assert_eq!(documented, rows.map(|(method, path, _)| operation_name(method, path)).collect());
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
        let (_, _, access) =
            tables().list().into_iter().find(|(method, path, _)| name == operation_name(method, path)).unwrap();
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
                // What tells variants apart is described with each of them.
                let is_described =
                    schema["description"].is_string() || schema["const"].is_string() || *schema == json!({});
                assert!(is_described, "{name}.{field}");
            }
        }
    }
}

/// What is wrong with a value, by what its schema says of its structure: types, and which members there must
/// and may be.
fn misfit(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return misfit(document, document.pointer(&reference[1..]).unwrap(), value);
    }
    if let Some(schemas) = schema["anyOf"].as_array()
        && let misfits = schemas.iter().map(|schema| misfit(document, schema, value)).collect::<Vec<_>>()
        && misfits.iter().all(Option::is_some)
    {
        return Some(format!("none of {misfits:?}"));
    }
    let one_of = schema["enum"].as_array();
    if one_of.is_some_and(|values| !values.contains(value)) || schema.get("const").is_some_and(|it| it != value) {
        return Some(format!("{value} is not the one"));
    }
    let named = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = &schema["type"];
    if !types.is_null() && types != named && !types.as_array().is_some_and(|types| types.contains(&named.into())) {
        return Some(format!("{value} is no {types}"));
    }
    if let Value::Array(items) = value {
        return items.iter().find_map(|item| misfit(document, &schema["items"], item));
    }
    // A schema that says nothing of the members has said all by its type, or by one of `anyOf`.
    let (Value::Object(members), Some("object")) = (value, types.as_str()) else { return None };
    let missing = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = missing.filter(|name| !members.contains_key(*name)).map(|name| format!("{name} is missing")).next();
    missing.or_else(|| {
        members.iter().find_map(|(name, value)| {
            let member = schema["properties"].get(name).or(schema.get("additionalProperties"));
            match member {
                None | Some(Value::Bool(false)) => Some(format!("{name} is not declared")),
                Some(member) => misfit(document, member, value).map(|misfit| format!("{name}: {misfit}")),
            }
        })
    })
}

#[test]
fn misfit_finds_what_does_not_fit() {
    let schema = json!({
        "type": "object",
        "required": ["a"],
        "properties": { "a": { "type": ["integer", "null"] }, "b": { "$ref": "#/list" }, "c": { "enum": ["x"] } },
    });
    let document = json!({ "list": { "type": "array", "items": { "anyOf": [{ "const": 1 }, { "type": "object" }] } } });
    for (value, good) in [
        (json!({ "a": 1 }), true),
        (json!({ "a": null, "b": [1], "c": "x" }), true),
        (json!({ "a": 1, "b": [] }), true),
        (json!({}), false),
        (json!([]), false),
        (json!({ "a": "1" }), false),
        (json!({ "a": 1.5 }), false),
        (json!({ "a": 1, "b": {} }), false),
        (json!({ "a": 1, "b": [1, 2] }), false),
        (json!({ "a": 1, "b": [{ "d": 1 }] }), false),
        (json!({ "a": 1, "c": "y" }), false),
        (json!({ "a": 1, "d": 1 }), false),
    ] {
        assert_eq!(misfit(&document, &schema, &value).is_none(), good, "{value}");
    }
}

#[test]
fn every_request_and_every_answer_fits_its_schema() {
    let document = document();
    for Exchange { route, answer, is_repeatable } in exchanges() {
        let operation = &document["paths"][braces(route.template)][route.method.to_lowercase()];
        if operation.is_null() {
            continue;
        }
        let fits = |schema: &Value, value: &Value| {
            assert!(!schema.is_null(), "{route} has no schema");
            assert_eq!(misfit(&document, schema, value), None, "{route}: {value}");
        };
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if route.known.body.is_null() {
            let streamed = !operation["requestBody"]["content"]["application/octet-stream"].is_null();
            assert!(schema.is_null() || streamed, "{route}");
        } else {
            fits(schema, &route.known.body);
        }
        let documented = &operation["responses"][answer.status.to_string()];
        if answer.status == 204 {
            assert_eq!(documented, &json!({ "description": "Done, without a body" }), "{route}");
        } else if ["text/csv; charset=utf-8", "text/html"].iter().all(|kind| documented["content"].get(kind).is_none())
        {
            fits(&documented["content"]["application/json"]["schema"], &answer.json);
        }
        let in_header = |parameter: &Value| parameter["in"] == "header" && parameter["name"] == "Idempotency-Key";
        let repeatable = operation["parameters"].as_array().unwrap().iter().any(in_header);
        assert_eq!(is_repeatable, repeatable, "{route}");
        assert_eq!(operation["responses"].get("422").is_some(), repeatable, "{route}");
    }
}

#[test]
fn verification_results_have_every_code() {
    let document = document();
    let codes =
        |schema: &str| members(&document["components"]["schemas"][schema]["properties"]["code"], "enum")[0].clone();
    let documented = ["ValidKey", "InvalidKey", "UnknownKey"].map(codes);
    let documented = documented.iter().flat_map(|codes| codes.as_array().unwrap());
    let documented: BTreeSet<&str> = documented.map(|code| code.as_str().unwrap()).collect();
    let refusals = [
        Refusal::Malformed,
        Refusal::Unknown,
        Refusal::Revoked,
        Refusal::Disabled,
        Refusal::Expired,
        Refusal::UserRemoved,
        Refusal::ProjectDeleted,
        Refusal::RotatedOut,
        Refusal::OrganizationSuspended,
        Refusal::ConditionNotMet(Condition::Hours),
        Refusal::MissingScopes(Vec::new()),
    ];
    assert_eq!(documented, refusals.iter().map(Refusal::code).chain(["valid"]).collect());
}
