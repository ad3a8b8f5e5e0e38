//! The native routes as an `OpenAPI` 3.1 document, made from the tables of routes and from the types that read the
//! requests and write the answers. Making it takes more code than all else that the Worker does, so a test makes
//! it and compares it with the file that the Worker serves.

use bitting_http::{
    auth::Permission,
    operation::Operation,
    problem::{ProblemBody, title},
    route::{Access, Document, Route, Table},
    tables::Tables,
};
use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use bitting_keys::domain::catalogue::Surface;

/// Where schemas that have a name stand.
const SCHEMAS: &str = "/components/schemas";

/// Makes the document, for the test that keeps the file up to date.
pub fn openapi(tables: &Tables) -> Map<String, Value> {
    let generator = |settings: SchemaSettings| {
        settings.with(|settings| {
            settings.definitions_path = SCHEMAS.into();
            settings.meta_schema = None;
        })
    };
    let mut read = generator(SchemaSettings::draft2020_12()).for_deserialize().into_generator();
    let mut written = generator(SchemaSettings::draft2020_12()).for_serialize().into_generator();
    let mut paths = Map::new();
    for (table, route) in tables.rows_with_tables() {
        let Some(document) = &route.document else { continue };
        let path: Vec<String> = route.name.path.split('/').map(segment).collect();
        let mut operation = Operation::new(&mut read, &mut written);
        let described = described(table, route, document, &mut operation);
        if let Some(path) = paths.entry(path.join("/")).or_insert_with(|| json!({})).as_object_mut() {
            path.insert(route.name.method.to_ascii_lowercase(), described);
        }
    }
    let problem = written.subschema_for::<ProblemBody<'_>>();
    let problems: Map<String, Value> = [400, 401, 402, 403, 404, 409, 413, 422, 503]
        .into_iter()
        .map(|status| (status.to_string(), refusal(status, &problem)))
        .collect();
    let mut schemas = written.take_definitions(true);
    // What is read and written is described as it is read: that fits what is written, too.
    schemas.append(&mut read.take_definitions(true));
    schemas.values_mut().for_each(tidy);
    let members = [
        ("openapi", json!("3.1.0")),
        (
            "info",
            json!({
                "title": "Bitting",
                "version": env!("CARGO_PKG_VERSION"),
                "summary": "Creates, verifies, scopes, rotates, revokes and expires API keys.",
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            }),
        ),
        ("paths", paths.into()),
        (
            "components",
            json!({
                "schemas": schemas,
                "responses": problems,
                "securitySchemes": {
                    "key": { "type": "http", "scheme": "bearer", "description": "An API key." },
                    "operator": { "type": "http", "scheme": "bearer", "description": "The operator's secret." },
                },
            }),
        ),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A segment of a path as `OpenAPI` writes it.
fn segment(segment: &str) -> String {
    segment.strip_prefix(':').map_or_else(|| segment.to_owned(), |name| format!("{{{name}}}"))
}

fn described(table: &Table, route: &Route, document: &Document, operation: &mut Operation<'_>) -> Value {
    (document.describe)(operation);
    let security = match &route.access {
        Access::Anybody(_) => json!([]),
        Access::Operator(_) => json!([{ "operator": [] }]),
        Access::Key(..) | Access::Tools => json!([{ "key": [] }]),
    };
    operation.problem(503);
    if !matches!(route.access, Access::Anybody(_)) {
        operation.problem(401);
    }
    if route.action().is_some() {
        operation.problem(403);
    }
    if matches!(&route.access, Access::Key(Permission { paid: true, .. }, _)) {
        operation.problem(402);
    }
    if route.name.method != "GET" {
        operation.problem(409);
    }
    let scope = match &route.access {
        Access::Key(Permission { scope, .. }, _) => scope.as_ref(),
        Access::Anybody(_) | Access::Operator(_) | Access::Tools => None,
    };
    let mut described = json!({
        "operationId": document.operation_id(),
        "tags": [document.handler.split("::").next()],
        "summary": document.summary,
        "security": security,
        "x-surface": table.surface.map(Surface::as_str),
        "x-required-scope": scope,
        "x-confidential": operation.confidential,
        "parameters": operation.parameters,
        "requestBody": operation.body,
        "responses": operation.responses,
    });
    if let Some(members) = described.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    described
}

fn refusal(status: u16, problem: &Schema) -> Value {
    json!({ "description": title(status), "content": { "application/problem+json": { "schema": problem } } })
}

/// Drops what says nothing: that a field which may be left out is then null.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
