//! The definitions of the tools of `/mcp`, generated from the API's document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";

/// Generates the file that the Worker reads: a tool on each line, by its name.
///
/// Every operation with a scope is a tool, except:
/// - Uploads and exports, because a tool cannot stream.
/// - Operations with a secret in the request or the response, because others may keep what a model reads.
pub(crate) fn file(document: &Value) -> String {
    let operations = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let scoped = operations.filter(|(_, operation)| operation["x-required-scope"].is_string());
    let tools: BTreeMap<&str, Value> =
        scoped.filter_map(|(method, operation)| tool(document, method, operation)).collect();
    let lines: Vec<String> = tools.iter().map(|(name, tool)| format!("{}:{tool}", json!(name))).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n")).replace(SCHEMAS, "#/$defs/")
}

fn tool<'a>(document: &Value, method: &str, operation: &'a Value) -> Option<(&'a str, Value)> {
    let body = operation.get("requestBody").map(|body| &body["content"]);
    let done = operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.starts_with('2'));
    let answers: Vec<&Value> = done.filter_map(|(_, answer)| answer.get("content")).collect();
    let takes_json = body.is_none_or(|types| types.as_object().unwrap().keys().eq(["application/json"]));
    let gives_json = answers.iter().all(|types| types.get("application/json").is_some());
    if !takes_json || !gives_json || operation["x-confidential"] == true {
        return None;
    }
    let (mut properties, mut required, mut query) = (Map::new(), Vec::new(), Vec::new());
    for parameter in operation["parameters"].as_array().unwrap().iter().filter(|it| it["in"] != "header") {
        let name = &parameter["name"];
        if parameter["in"] == "query" {
            query.push(name);
        }
        if parameter["required"] == true {
            required.push(name.clone());
        }
        let mut schema = parameter["schema"].clone();
        schema["description"] = parameter["description"].clone();
        properties.insert(name.as_str().unwrap().to_owned(), schema);
    }
    let mut named = Map::new();
    collect(document, &operation["parameters"], &mut named);
    collect(document, body.unwrap_or(&Value::Null), &mut named);
    let mut input = json!({ "type": "object", "additionalProperties": false });
    let mut body_from = "nothing";
    if let Some(body) = body.map(|types| &types["application/json"]["schema"]) {
        let name = body["$ref"].as_str().and_then(|reference| reference.strip_prefix(SCHEMAS)).unwrap_or_default();
        let schema = named.get(name).unwrap_or(body);
        let fields = schema.get("properties").and_then(Value::as_object);
        let distinct = fields.filter(|fields| !fields.keys().any(|name| properties.contains_key(name)));
        if let (Some(fields), Some(Value::Bool(false))) = (distinct, schema.get("additionalProperties")) {
            properties.extend(fields.clone());
            required.extend(schema["required"].as_array().cloned().unwrap_or_default());
            input["description"] = schema["description"].clone();
            named.remove(name);
            body_from = "rest";
        } else {
            // A field could have the name of a parameter.
            properties.insert("body".to_owned(), body.clone());
            required.push(json!("body"));
            body_from = "body";
        }
    }
    input["properties"] = properties.into();
    input["required"] = required.into();
    if !named.is_empty() {
        input["$defs"] = named.into();
    }
    let name = operation["operationId"].as_str().unwrap();
    let definition = json!({
        "name": name,
        "description": operation["summary"],
        "inputSchema": input,
        "annotations": {
            "readOnlyHint": method == "get",
            // An operation with the status 201 only adds something.
            "destructiveHint": method != "get" && operation["responses"].get("201").is_none(),
            "idempotentHint": (method != "post" && method != "patch"),
        },
    });
    Some((name, json!({ "query": query, "body": body_from, "definition": definition })))
}

/// Collects the schemas that a value refers to, and those that they refer to.
fn collect(document: &Value, value: &Value, found: &mut Map<String, Value>) {
    match value {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(|reference| reference.as_str()?.strip_prefix(SCHEMAS));
            if let Some(name) = name.filter(|name| !found.contains_key(*name)) {
                let schema = &document["components"]["schemas"][name];
                found.insert(name.to_owned(), schema.clone());
                collect(document, schema, found);
            }
            members.values().for_each(|value| collect(document, value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(document, value, found)),
        _ => {}
    }
}
