//! The book's reference of the routes, written from the `OpenAPI` document.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Where the document keeps its schemas.
const SCHEMAS: &str = "#/components/schemas/";

const INTRODUCTION: &str = "\
# Reference of the routes

<!-- This page is written by `UPDATE=1 cargo test --test native openapi` from the OpenAPI document. Do not edit it by hand. -->

Every native route, with its parameters, its body and its answers. A deployment serves the same description at
`GET /openapi.json`, as an OpenAPI 3.1 document. The routes for the libraries of other vendors are in
[Libraries of other vendors](vendors.md), and the statuses of refusals in [Errors](errors.md).

`:id` and its like stand for one segment of the path. A field that is not marked as required may be left out.
";

/// Writes the page from the document.
pub(crate) fn reference(document: &Value) -> String {
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    let mut answered = BTreeSet::new();
    for (path, methods) in object(document.get("paths")) {
        for (method, operation) in object(Some(methods)) {
            let tag = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or("other");
            let section = sections.entry(tag).or_default();
            section.push_str(&described(document, &method.to_uppercase(), path, operation, &mut answered));
        }
    }
    let mut page = INTRODUCTION.to_owned();
    for (tag, section) in sections {
        let _ = write!(page, "\n## {}\n{section}", title(tag));
    }
    page.push_str("\n## Objects\n\nThe objects that answers and bodies consist of.\n");
    for name in closure(document, answered) {
        let schema = schema(document, &name);
        let _ = write!(page, "\n### {name}\n");
        let text = text(schema.get("description"));
        if !text.is_empty() {
            let _ = write!(page, "\n{text}\n");
        }
        page.push_str(&shape(document, &schema));
    }
    page
}

/// One operation.
fn described(document: &Value, method: &str, path: &str, operation: &Value, answered: &mut BTreeSet<String>) -> String {
    let mut out = format!("\n### `{method} {}`\n", colons(path));
    let _ = write!(out, "\n{}. {}\n", text(operation.get("summary")), credential(operation));
    let description = text(operation.get("description"));
    if !description.is_empty() {
        let _ = write!(out, "\n{description}\n");
    }
    let parameters = operation.get("parameters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        out.push_str("\n| parameter | in | type | meaning |\n|---|---|---|---|\n");
        for parameter in parameters {
            let place = text(parameter.get("in"));
            let is_required = parameter.get("required") == Some(&Value::Bool(true)) && place != "path";
            let name = format!("`{}`{}", text(parameter.get("name")), if is_required { " (required)" } else { "" });
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            let meaning = text(parameter.get("description"));
            let _ = writeln!(out, "| {name} | {place} | {} | {meaning} |", cell(&kind(schema)));
        }
    }
    out.push_str(&body(document, operation, answered));
    let mut answers = Vec::new();
    let mut refusals = Vec::new();
    for (status, answer) in object(operation.get("responses")) {
        if answer.get("$ref").is_some() {
            refusals.push(format!("`{status}`"));
            continue;
        }
        let contents = object(answer.get("content"));
        let kinds = contents.map(|(content_type, content)| {
            let schema = content.get("schema").unwrap_or(&Value::Null);
            answered.extend(names(schema));
            if content_type == "application/json" { kind(schema) } else { format!("`{content_type}`") }
        });
        let kinds: Vec<String> = kinds.collect();
        let kinds = if kinds.is_empty() { "no body".to_owned() } else { kinds.join(" or ") };
        answers.push(format!("`{status}`: {kinds}"));
    }
    let _ = write!(out, "\nAnswers with {}.", answers.join("; "));
    if !refusals.is_empty() {
        let _ = write!(out, " Refused with {}.", refusals.join(", "));
    }
    out.push('\n');
    out
}

/// The body that an operation takes.
fn body(document: &Value, operation: &Value, answered: &mut BTreeSet<String>) -> String {
    let contents: Vec<_> = object(operation.pointer("/requestBody/content")).collect();
    let Some((content_type, content)) = contents.first() else {
        return String::new();
    };
    if *content_type != "application/json" || contents.len() > 1 {
        let types: Vec<String> = contents.iter().map(|(name, _)| format!("`{name}`")).collect();
        return format!("\nThe body is {}.\n", types.join(", "));
    }
    let schema = content.get("schema").unwrap_or(&Value::Null);
    let resolved = resolve(document, schema);
    answered.extend(names(&resolved));
    let fields = shape(document, &resolved);
    if fields.is_empty() { format!("\nThe body is {}.\n", kind(schema)) } else { fields }
}

/// The fields of an object, as a table; or what else a schema allows, as a sentence.
fn shape(document: &Value, schema: &Value) -> String {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties: Vec<_> = object(schema.get("properties")).collect();
    if !properties.is_empty() {
        let mut out = "\n| field | type | meaning |\n|---|---|---|\n".to_owned();
        for (name, property) in properties {
            let mark = if required.contains(&name.as_str()) { " (required)" } else { "" };
            let meaning = text(property.get("description"));
            let _ = writeln!(out, "| `{name}`{mark} | {} | {meaning} |", cell(&kind(property)));
        }
        return out;
    }
    let variants = variants(schema);
    if variants.is_empty() {
        return format!("\n{}\n", kind(schema));
    }
    let mut out = "\nOne of:\n\n".to_owned();
    for variant in variants {
        let variant = if variant.get("properties").is_some() { variant.clone() } else { resolve(document, variant) };
        let fields: Vec<String> = object(variant.get("properties"))
            .map(|(name, property)| format!("`{name}` ({})", kind(property)))
            .collect();
        let fields = if fields.is_empty() { kind(&variant) } else { fields.join(", ") };
        let meaning = text(variant.get("description"));
        let _ = writeln!(out, "- {fields}{}{meaning}", if meaning.is_empty() { "" } else { ": " });
    }
    out
}

/// What a schema allows, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix(SCHEMAS)) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(value) = schema.get("const") {
        return format!("`{value}`");
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    }
    let alternatives = variants(schema);
    if !alternatives.is_empty() && schema.get("type").is_none() {
        return alternatives.into_iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => return "any JSON".to_owned(),
    };
    let one = |name: &str| match name {
        "array" => format!("list of {}", schema.get("items").map_or_else(|| "any JSON".to_owned(), kind)),
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format.to_owned(),
            None => format!("string{}", range(schema, "minLength", "maxLength", " characters")),
        },
        "integer" | "number" => format!("{name}{}", range(schema, "minimum", "maximum", "")),
        name => name.to_owned(),
    };
    let kinds = names.into_iter().map(one).collect::<Vec<_>>().join(" or ");
    match schema.get("default") {
        None | Some(Value::Null) => kinds,
        Some(default) => format!("{kinds}; `{default}` by default"),
    }
}

/// The bounds of a number or a length, in a bracket.
fn range(schema: &Value, least: &str, most: &str, unit: &str) -> String {
    match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => format!(" ({least} to {most}{unit})"),
        (None, Some(most)) => format!(" (at most {most}{unit})"),
        (Some(least), None) => format!(" (at least {least}{unit})"),
        (None, None) => String::new(),
    }
}

/// The key, or other secret, that an operation asks for.
fn credential(operation: &Value) -> String {
    if let Some(scope) = operation.get("x-required-scope").and_then(Value::as_str) {
        return format!("Needs the scope `{scope}`.");
    }
    let needs = match operation.get("security") {
        None => "Needs any good key.",
        Some(schemes) if schemes.pointer("/0/operator").is_some() => "Needs the operator's secret.",
        Some(_) => "Needs no key.",
    };
    needs.to_owned()
}

/// All schemas that these need, themselves among them.
pub(super) fn closure(document: &Value, mut open: BTreeSet<String>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    while let Some(name) = open.pop_first() {
        if all.insert(name.clone()) {
            open.extend(names(&schema(document, &name)));
        }
    }
    all
}

/// The names of all schemas to which a value refers.
pub(super) fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match value.as_str().and_then(|target| target.strip_prefix(SCHEMAS)) {
                Some(target) if name == "$ref" => BTreeSet::from([target.to_owned()]),
                _ => names(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(names).collect(),
        _ => BTreeSet::new(),
    }
}

pub(super) fn schema(document: &Value, name: &str) -> Value {
    document.pointer(&format!("/components/schemas/{name}")).cloned().unwrap_or_default()
}

pub(super) fn resolve(document: &Value, value: &Value) -> Value {
    let name = value.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix(SCHEMAS));
    name.map_or_else(|| value.clone(), |name| schema(document, name))
}

pub(super) fn variants(schema: &Value) -> Vec<&Value> {
    let list = schema.get("oneOf").or_else(|| schema.get("anyOf"));
    list.and_then(Value::as_array).into_iter().flatten().collect()
}

pub(super) fn object(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flat_map(Object::iter)
}

/// A description as one line of Markdown, also in a table.
fn text(value: Option<&Value>) -> String {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    cell(&words.join(" "))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

/// A path as the rest of the book writes it.
fn colons(path: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => format!(":{name}"),
        None => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A tag as a title: `live_evaluations` is "Live evaluations".
fn title(tag: &str) -> String {
    let text = tag.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::reference;

    const DOCUMENT: &str = r##"{
        "paths": {
            "/v1/keys/{id}": {
                "patch": {
                    "summary": "Change a key", "tags": ["live_keys"], "x-required-scope": "keys:write",
                    "parameters": [
                        {"name": "id", "in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}},
                        {"name": "limit", "in": "query", "description": "How\nmany | at most.",
                         "schema": {"type": "integer", "minimum": 1, "maximum": 9, "default": 5}}
                    ],
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Change"}}}},
                    "responses": {
                        "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Key"}}}},
                        "404": {"$ref": "#/components/responses/404"}
                    }
                }
            },
            "/open": {"get": {"summary": "Look", "tags": ["live_keys"], "security": [], "responses": {"204": {}}}},
            "/first": {"post": {"summary": "Begin", "tags": ["all"], "security": [{"operator": []}], "responses": {"204": {}}}}
        },
        "components": {"schemas": {
            "Change": {"properties": {"name": {"type": "string", "maxLength": 8, "description": "The name."}}, "required": ["name"]},
            "Key": {"description": "A key.", "properties": {"state": {"$ref": "#/components/schemas/State"}}},
            "State": {"enum": ["on", "off"]},
            "Unused": {"type": "string"}
        }}
    }"##;

    #[test]
    fn reference_names_all_that_an_operation_takes_and_gives() {
        let page = reference(&serde_json::from_str(DOCUMENT).unwrap());
        for expected in [
            "## Live keys\n",
            "### `PATCH /v1/keys/:id`\n\nChange a key. Needs the scope `keys:write`.\n",
            "| `id` | path | uuid |  |\n",
            "| `limit` | query | integer (1 to 9); `5` by default | How many \\| at most. |\n",
            "| `name` (required) | string (at most 8 characters) | The name. |\n",
            "Answers with `200`: [Key](#key). Refused with `404`.\n",
            "### `GET /open`\n\nLook. Needs no key.\n\nAnswers with `204`: no body.\n",
            "### `POST /first`\n\nBegin. Needs the operator's secret.\n",
            "### Key\n\nA key.\n\n| field | type | meaning |\n|---|---|---|\n| `state` | [State](#state) |  |\n",
            "### State\n\n`\"on\"`, `\"off\"`\n",
        ] {
            assert!(page.contains(expected), "{expected}\nis not in\n{page}");
        }
        assert!(!page.contains("Unused"), "nothing answers with it");
    }
}
