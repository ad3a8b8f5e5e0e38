//! One route in the API's document. The types that read its requests and write its answers add to it.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// The part of the document that is about one route.
pub struct Operation<'a> {
    read: &'a mut SchemaGenerator,
    written: &'a mut SchemaGenerator,
    /// Its parameters.
    pub parameters: Vec<Value>,
    /// Its body.
    pub body: Option<Value>,
    /// Its answers by their statuses.
    pub responses: Map<String, Value>,
    /// Whether the request or the answer holds a secret.
    pub confidential: Option<bool>,
}

impl<'a> Operation<'a> {
    /// An operation of which nothing is said yet. The generators know the schemas that are read and written.
    pub fn new(read: &'a mut SchemaGenerator, written: &'a mut SchemaGenerator) -> Self {
        Self { read, written, parameters: Vec::new(), body: None, responses: Map::new(), confidential: None }
    }

    /// Parameters: a struct with a field for each.
    pub fn parameters<T: JsonSchema>(&mut self, place: &str) {
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
    pub fn body<T: JsonSchema>(&mut self) {
        let schema = self.read.subschema_for::<T>();
        self.body = Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }));
    }

    /// A body that is read piece by piece.
    pub fn upload(&mut self, description: &str) {
        let schema = json!({ "type": "string", "format": "binary" });
        self.body = Some(json!({
            "description": description,
            "required": true,
            "content": { "application/octet-stream": { "schema": schema } },
        }));
    }

    /// The answer to what went well.
    pub fn answer<T: JsonSchema>(&mut self, status: u16, content_type: &str) {
        let schema = self.written.subschema_for::<T>();
        let described = T::json_schema(self.written);
        let description = described.get("description").and_then(Value::as_str).unwrap_or("Done");
        let answer = json!({ "description": description, "content": { content_type: { "schema": schema } } });
        self.responses.insert(status.to_string(), answer);
    }

    /// The same answer as another type.
    pub fn another(&mut self, status: u16, content_type: &str, schema: &Value) {
        let content = self.responses.get_mut(&status.to_string()).and_then(|answer| answer.get_mut("content"));
        if let Some(content) = content.and_then(Value::as_object_mut) {
            content.insert(content_type.to_owned(), json!({ "schema": schema }));
        }
    }

    /// An answer without a body.
    pub fn empty(&mut self, status: u16) {
        self.responses.insert(status.to_string(), json!({ "description": "Done, without a body" }));
    }

    /// The header that makes a repeated request harmless.
    pub fn may_repeat(&mut self) {
        self.parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Whoever repeats a request with the same one within 24 hours gets the first one's answer.",
            "required": false,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
    }

    /// That the request or the answer holds a secret.
    pub fn confidential(&mut self) {
        self.confidential = Some(true);
    }

    /// A status with which it can be refused.
    pub fn problem(&mut self, status: u16) {
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
