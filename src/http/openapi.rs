//! `GET /openapi.json`: the native routes as an `OpenAPI` 3.1 document, made from the table of routes and
//! from the types that read the requests and write the answers. Making it takes more code than all else
//! that the Worker does, so a test makes it and compares it with the file that the Worker serves.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::http::{
    message::Response,
    problem::{Problem, ProblemBody, title},
    routes::{Access, Call, Document, ROUTES, Route},
    typed::Output,
};

/// Where schemas that have a name stand.
const SCHEMAS: &str = "/components/schemas";

/// What the document says of one route.
pub(crate) struct Operation<'a> {
    read: &'a mut SchemaGenerator,
    written: &'a mut SchemaGenerator,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: Map<String, Value>,
    confidential: Option<bool>,
}

impl Operation<'_> {
    /// Parameters: a struct with a field for each.
    pub(crate) fn parameters<T: JsonSchema>(&mut self, place: &str) {
        let schema = T::json_schema(self.read).to_value();
        let required = schema.get("required").and_then(Value::as_array);
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            // Nobody can send null here: what is optional is left out.
            not_null(&mut schema);
            self.parameters.push(json!({
                "name": name,
                "in": place,
                "description": description,
                "required": required.is_some_and(|required| required.iter().any(|field| field == name)),
                "schema": schema,
            }));
        }
    }

    /// The body.
    pub(crate) fn body<T: JsonSchema>(&mut self) {
        let schema = self.read.subschema_for::<T>();
        self.body = Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }));
    }

    /// A body of one of these types that is read piece by piece.
    pub(crate) fn upload(&mut self, content_types: &[&str]) {
        let content = content_types.iter().map(|name| ((*name).to_owned(), json!({ "schema": { "type": "string" } })));
        self.body = Some(json!({ "required": true, "content": content.collect::<Map<_, _>>() }));
    }

    /// The answer to what went well.
    pub(crate) fn answer<T: JsonSchema>(&mut self, status: u16, content_type: &str) {
        let schema = self.written.subschema_for::<T>();
        let answer = json!({ "description": "Done", "content": { content_type: { "schema": schema } } });
        self.responses.insert(status.to_string(), answer);
    }

    /// The same answer as another type.
    pub(crate) fn another(&mut self, status: u16, content_type: &str, schema: &Value) {
        let content = self.responses.get_mut(&status.to_string()).and_then(|answer| answer.get_mut("content"));
        if let Some(content) = content.and_then(Value::as_object_mut) {
            content.insert(content_type.to_owned(), json!({ "schema": schema }));
        }
    }

    /// An answer without a body.
    pub(crate) fn empty(&mut self, status: u16) {
        self.responses.insert(status.to_string(), json!({ "description": "Done" }));
    }

    /// The header that makes a repeated request harmless.
    pub(crate) fn may_repeat(&mut self) {
        self.parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Whoever repeats a request with the same one within 24 hours gets the first one's answer.",
            "required": false,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
    }

    /// That the request or the answer holds a secret.
    pub(crate) fn confidential(&mut self) {
        self.confidential = Some(true);
    }

    /// A status with which it can be refused.
    pub(crate) fn problem(&mut self, status: u16) {
        self.responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{status}") }));
    }
}

/// Takes `null` out of what a schema allows.
fn not_null(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(schemas)) = schema.get_mut("anyOf") {
        schemas.retain(|schema| schema.get("type").is_none_or(|name| name != "null"));
    }
}

/// The document, for the test that keeps the file up to date.
pub fn document() -> Map<String, Value> {
    let generator = |settings: SchemaSettings| {
        settings.with(|settings| {
            settings.definitions_path = SCHEMAS.into();
            settings.meta_schema = None;
        })
    };
    let mut read = generator(SchemaSettings::draft2020_12()).for_deserialize().into_generator();
    let mut written = generator(SchemaSettings::draft2020_12()).for_serialize().into_generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let Some(document) = &route.document else { continue };
        let path: Vec<String> = route.path.split('/').map(segment).collect();
        let mut operation = Operation {
            read: &mut read,
            written: &mut written,
            parameters: vec![],
            body: None,
            responses: Map::new(),
            confidential: None,
        };
        let described = described(route, document, &mut operation);
        if let Some(path) = paths.entry(path.join("/")).or_insert_with(|| json!({})).as_object_mut() {
            path.insert(route.method.to_ascii_lowercase(), described);
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

fn described(route: &Route, document: &Document, operation: &mut Operation<'_>) -> Value {
    (document.describe)(operation);
    let security = match &route.access {
        Access::Anybody(_) => json!([]),
        Access::Operator(_) => json!([{ "operator": [] }]),
        Access::Key(..) => json!([{ "key": [] }]),
    };
    operation.problem(503);
    if !matches!(route.access, Access::Anybody(_)) {
        operation.problem(401);
    }
    if let Access::Key(..) = route.access {
        operation.problem(403);
    }
    if route.path.starts_with("/api/") {
        operation.problem(402);
    }
    if route.method != "GET" {
        operation.problem(409);
    }
    let scope = match &route.access {
        Access::Key(Some(scope), _) => Some(scope),
        _ => None,
    };
    let mut described = json!({
        "operationId": document.operation_id(),
        "tags": [document.handler.split("::").next()],
        "summary": document.summary,
        "security": security,
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

/// The document as an answer.
pub(crate) struct File;

impl Output for File {
    fn response(self) -> Response {
        Response::text("application/json", include_str!("openapi.json"))
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Map<String, Value>>(200, "application/json");
    }
}

pub(crate) async fn get(_: &Call<'_>, (): ()) -> Result<File, Problem> {
    Ok(File)
}
