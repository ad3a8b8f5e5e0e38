//! The native routes as an `OpenAPI` 3.1 document, generated from the tables of routes and the types of requests and
//! responses. The generator is larger than the rest of the Worker, so a test runs it and compares the result with the
//! file that the Worker serves.

use std::collections::BTreeMap;

use bitting_http::{
    auth::Permission,
    call::ANY,
    operation::Operation,
    problem::{ProblemBody, title},
    route::{Access, Document, Route, Table},
    tables::Tables,
};
use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use bitting_keys::domain::catalogue::Surface;

/// The place of the named schemas.
const SCHEMAS: &str = "/components/schemas";

/// The groups of operations, by the files of their handlers.
const TAGS: [(&str, &str); 25] = [
    ("audit", "The audit log of an organization."),
    ("authorize", "The answer to proxies that ask before they forward."),
    ("bootstrap", "The first organization of a deployment."),
    ("datasets", "Data sets: columns, rows, uploads, exports and shares."),
    ("device_links", "Keys that a person approves for a program on another device."),
    ("error_analysis", "Notes and categories for runs that did not pass."),
    ("errors_page", "The codes of errors, for people."),
    ("evaluations", "Evaluations: input columns and a judge, with variants and shares."),
    ("exchange", "The exchange of a workload's token for a key."),
    ("feed", "The change feed, for services that keep copies of keys."),
    ("invitations", "Invitations to join an organization."),
    ("keys", "API keys: create, verify, list, change, rotate and revoke them."),
    ("leaks", "Reports of leaked keys, and the format by which scanners find them."),
    ("live_evaluations", "Deployed evaluations and their keys."),
    ("members", "The members of an organization, their roles and sign-in links."),
    ("openapi", "The description of this API."),
    ("organizations", "Organizations, their settings and projects."),
    ("review", "The queue of runs that people judge."),
    ("runs", "Runs of live evaluations and their results."),
    ("security_txt", "The contact for reports about security."),
    ("teams", "Teams of an organization, with which resources are shared."),
    ("tokens", "Short-lived tokens that services verify by themselves."),
    ("trusts", "Trusts in issuers of tokens, which workloads exchange for keys."),
    ("projects", "Projects of an organization."),
    ("scopes", "The scopes that keys can have."),
];

const DESCRIPTION: &str = "\
Issues, verifies, scopes, rotates and revokes API keys. A revoked key is refused everywhere within the deployment's \
staleness bound, which `max_staleness_ms` tells.

Send an API key as `Authorization: Bearer <key>`, in `X-API-Key`, or as the user name or password of Basic. Each operation names the scope that the key needs in \
`x-required-scope`. Errors are problem details (RFC 9457) with a stable `error.code`.

Lists are paged: `limit` items at most, the newest first. If `has_more` is true, send the id of the last item as \
`starting_after` to get the next page.";

/// Generates the document, for the test that keeps the file up to date. `descriptions` has the documentation of each
/// handler by its name, such as `keys::create`.
pub fn openapi(tables: &Tables, descriptions: &BTreeMap<String, String>) -> Map<String, Value> {
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
        let described = described(table, route, document, descriptions, &mut operation);
        if let Some(path) = paths.entry(path.join("/")).or_insert_with(|| json!({})).as_object_mut() {
            // A row for any method is described once.
            let method = if route.name.method == ANY { "GET" } else { route.name.method };
            path.insert(method.to_ascii_lowercase(), described);
        }
    }
    let problem = written.subschema_for::<ProblemBody<'_>>();
    let problems: Map<String, Value> = [400, 401, 402, 403, 404, 409, 412, 413, 422, 429, 503]
        .into_iter()
        .map(|status| (status.to_string(), refusal(status, &problem)))
        .collect();
    let mut schemas = written.take_definitions(true);
    // A type of both requests and responses is described as a request, which is true for the response, too.
    schemas.append(&mut read.take_definitions(true));
    schemas.values_mut().for_each(tidy_schema);
    schemas.values_mut().for_each(without_defaults);
    name_variants(&mut schemas);
    let mut paths = Value::Object(paths);
    tidy_schema(&mut paths);
    let used =
        |tag: &str| operations(&paths).any(|operation| operation.pointer("/tags/0").is_some_and(|name| name == tag));
    let tags: Vec<Value> = TAGS
        .into_iter()
        .filter(|(name, _)| used(name))
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    let members = [
        ("openapi", json!("3.1.0")),
        (
            "info",
            json!({
                "title": "Bitting",
                "version": env!("CARGO_PKG_VERSION"),
                "summary": "Creates, verifies, scopes, rotates, revokes and expires API keys.",
                "description": DESCRIPTION,
                "contact": { "name": "The operator of this deployment" },
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            }),
        ),
        ("servers", json!([{ "url": "/", "description": "This deployment" }])),
        ("security", json!([{ "key": [] }, { "header": [] }, { "basic": [] }])),
        ("tags", tags.into()),
        ("paths", paths),
        (
            "components",
            json!({
                "schemas": schemas,
                "responses": problems,
                "securitySchemes": {
                    "key": { "type": "http", "scheme": "bearer", "description": "An API key." },
                    "header": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key." },
                    "basic": { "type": "http", "scheme": "basic", "description": "An API key as the user name or the password." },
                    "operator": { "type": "http", "scheme": "bearer", "description": "The operator's secret." },
                },
            }),
        ),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Converts a segment of a path to the form of `OpenAPI`.
fn segment(segment: &str) -> String {
    segment.strip_prefix(':').map_or_else(|| segment.to_owned(), |name| format!("{{{name}}}"))
}

/// Returns all operations.
fn operations(paths: &Value) -> impl Iterator<Item = &Value> {
    let methods = paths.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object);
    methods.flat_map(Map::values)
}

fn described(
    table: &Table,
    route: &Route,
    document: &Document,
    descriptions: &BTreeMap<String, String>,
    operation: &mut Operation<'_>,
) -> Value {
    (document.describe)(operation);
    let security = match &route.access {
        Access::Public(_) => json!([]),
        Access::Operator(_) => json!([{ "operator": [] }]),
        // That of the whole document.
        Access::Key(..) | Access::Check(_) | Access::Tools => Value::Null,
    };
    operation.problem(503);
    if !matches!(route.access, Access::Public(_)) {
        operation.problem(401);
    }
    if route.action().is_some() {
        operation.problem(403);
    }
    if matches!(&route.access, Access::Key(Permission { paid: true, .. }, _)) {
        operation.problem(402);
    }
    if !["GET", ANY].contains(&route.name.method) {
        operation.problem(409);
    }
    let scope = match &route.access {
        Access::Key(Permission { scope, .. }, _) => scope.as_ref(),
        Access::Public(_) | Access::Operator(_) | Access::Check(_) | Access::Tools => None,
    };
    let mut described = json!({
        "operationId": document.operation_id(),
        "tags": [document.handler.split("::").next()],
        "summary": document.summary,
        "description": descriptions.get(document.handler_name()),
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

/// Rewrites what generators of clients cannot read: enumerations of one constant each, choices of one or within
/// another, formats that no standard knows, and defaults that say nothing.
fn tidy_schema(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(tidy_schema);
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            if members.get("format").is_some_and(|format| format == "uint") {
                members.remove("format");
            }
            enumerate(members);
            flatten_choices(members);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy_schema),
        _ => {}
    }
}

/// Writes a choice between constants, each with its description, as an enumeration.
fn enumerate(members: &mut Map<String, Value>) {
    let Some(variants) = members.get("oneOf").and_then(Value::as_array) else { return };
    let constant = |variant: &Value| variant.get("const").filter(|value| value.is_string()).cloned();
    let Some(values) = variants.iter().map(constant).collect::<Option<Vec<Value>>>() else { return };
    let described = variants.iter().zip(&values).filter_map(|(variant, value)| {
        let description = variant.get("description").and_then(Value::as_str)?;
        Some(format!("\n- `{}`: {description}", value.as_str()?))
    });
    let meanings: String = described.collect();
    let description = members.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{description}\n{meanings}").trim().to_owned();
    members.remove("oneOf");
    members.insert("type".to_owned(), "string".into());
    members.insert("enum".to_owned(), values.into());
    members.insert("description".to_owned(), description.into());
}

/// Gives each variant of a tagged choice a name of its own, as `RegexJudge` for the `Judge` of type `regex`, and tells
/// readers which member is the tag.
fn name_variants(schemas: &mut Map<String, Value>) {
    let mut named = Map::new();
    for (name, schema) in schemas.iter_mut() {
        let Some(variants) = schema.get_mut("oneOf").and_then(Value::as_array_mut) else { continue };
        let Some(tags) = variants.iter().map(tag).collect::<Option<Vec<(String, String)>>>() else { continue };
        let Some((member, _)) = tags.first().cloned() else { continue };
        let mut mapping = Map::new();
        for (variant, (_, tag)) in variants.iter_mut().zip(tags) {
            let variant_name = format!("{}{name}", pascal_case(&tag));
            let reference = format!("#{SCHEMAS}/{variant_name}");
            named.insert(variant_name, std::mem::replace(variant, json!({ "$ref": reference })));
            mapping.insert(tag, reference.into());
        }
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("discriminator".to_owned(), json!({ "propertyName": member, "mapping": mapping }));
        }
    }
    schemas.append(&mut named);
}

/// Returns the member of a variant that has one constant value, and that value.
fn tag(variant: &Value) -> Option<(String, String)> {
    let members = variant.get("properties")?.as_object()?;
    members.iter().find_map(|(name, schema)| Some((name.clone(), schema.get("const")?.as_str()?.to_owned())))
}

/// Returns `exact_match` as `ExactMatch`.
fn pascal_case(name: &str) -> String {
    let capitalized = |word: &str| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    name.split('_').map(capitalized).collect()
}

/// Takes choices within a choice into it, and replaces a choice of one by that one.
fn flatten_choices(members: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = members.get_mut("anyOf") else { return };
    let inner = |choice: &Value| match choice.as_object() {
        Some(only) if only.len() == 1 => only.get("anyOf").and_then(Value::as_array).cloned(),
        _ => None,
    };
    let flat: Vec<Value> =
        choices.iter().flat_map(|choice| inner(choice).unwrap_or_else(|| vec![choice.clone()])).collect();
    if let [Value::Object(only)] = flat.as_slice() {
        let only = only.clone();
        members.remove("anyOf");
        for (name, value) in only {
            members.entry(name).or_insert(value);
        }
    } else {
        members.insert("anyOf".to_owned(), flat.into());
    }
}

/// Moves the defaults of fields into their descriptions: a field with a default may be left out, and some generators
/// of clients ask for it.
fn without_defaults(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(default) = members.remove("default") {
                let description = members.get("description").and_then(Value::as_str).unwrap_or_default();
                let description = format!("{description} `{default}` by default.").trim().to_owned();
                members.insert("description".to_owned(), description.into());
            }
            members.values_mut().for_each(without_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_defaults),
        _ => {}
    }
}
