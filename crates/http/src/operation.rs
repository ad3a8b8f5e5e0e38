//! One route in the API's document. The types of its request and its response add their parts.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// The part of the document that is about one route.
pub struct Operation<'a> {
    read: &'a mut SchemaGenerator,
    written: &'a mut SchemaGenerator,
    /// The parameters.
    pub parameters: Vec<Value>,
    /// The body of the request.
    pub body: Option<Value>,
    /// The responses by status.
    pub responses: Map<String, Value>,
    /// True if the request or the response contains a secret.
    pub confidential: Option<bool>,
}

impl<'a> Operation<'a> {
    /// Creates an empty operation. The generators collect the schemas of requests and of responses.
    pub fn new(read: &'a mut SchemaGenerator, written: &'a mut SchemaGenerator) -> Self {
        Self { read, written, parameters: Vec::new(), body: None, responses: Map::new(), confidential: None }
    }

    /// Adds parameters, from a struct with a field for each.
    pub fn parameters<T: JsonSchema>(&mut self, place: &str) {
        let schema = T::json_schema(self.read).to_value();
        let required = schema.get("required").and_then(Value::as_array);
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            // A parameter cannot be null. An optional one is left out.
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

    /// Sets the body.
    pub fn body<T: JsonSchema>(&mut self) {
        let schema = self.read.subschema_for::<T>();
        let described = T::json_schema(self.read);
        // A request without a body counts as one with an empty object.
        let required = ["required", "minProperties"].iter().any(|name| described.get(*name).is_some());
        self.body = Some(json!({ "required": required, "content": { "application/json": { "schema": schema } } }));
    }

    /// Sets a body that is a form.
    pub fn form<T: JsonSchema>(&mut self) {
        let schema = self.read.subschema_for::<T>();
        let content = json!({ "application/x-www-form-urlencoded": { "schema": schema } });
        self.body = Some(json!({ "required": true, "content": content }));
    }

    /// Sets a body that is streamed.
    pub fn upload(&mut self, description: &str) {
        let schema = json!({ "type": "string", "format": "binary" });
        self.body = Some(json!({
            "description": description,
            "required": true,
            "content": { "application/octet-stream": { "schema": schema } },
        }));
    }

    /// Adds a successful response.
    pub fn answer<T: JsonSchema>(&mut self, status: u16, content_type: &str) {
        let schema = self.written.subschema_for::<T>();
        let described = T::json_schema(self.written);
        let description = described.get("description").and_then(Value::as_str).unwrap_or("Done");
        let answer = json!({ "description": description, "content": { content_type: { "schema": schema } } });
        self.responses.insert(status.to_string(), answer);
    }

    /// Adds another media type to a response.
    pub fn another(&mut self, status: u16, content_type: &str, schema: &Value) {
        let content = self.responses.get_mut(&status.to_string()).and_then(|answer| answer.get_mut("content"));
        if let Some(content) = content.and_then(Value::as_object_mut) {
            content.insert(content_type.to_owned(), json!({ "schema": schema }));
        }
    }

    /// Adds a successful response without a body.
    pub fn empty(&mut self, status: u16) {
        self.responses.insert(status.to_string(), json!({ "description": "Done, without a body" }));
    }

    /// Adds the header that asks for a version.
    pub fn if_match(&mut self) {
        self.parameters.push(json!({
            "name": "If-Match",
            "in": "header",
            "description": "The `ETag` of the version that the change was made from. Another version is not changed.",
            "schema": { "type": "string" },
            "example": "\"1767225600000\"",
        }));
    }

    /// Adds the `ETag` to the successful response.
    pub fn tagged(&mut self) {
        if let Some(answer) = self.responses.get_mut("200") {
            answer["headers"] = json!({ "ETag": {
                "description": "The version of the resource, for `If-Match`.",
                "schema": { "type": "string" },
            } });
        }
    }

    /// Adds the header for safe retries.
    pub fn may_repeat(&mut self) {
        self.parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A key for safe retries. A request with the same key within 24 hours gets the response of the first.",
            "required": false,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
    }

    /// Marks the request or the response as confidential.
    pub fn confidential(&mut self) {
        self.confidential = Some(true);
    }

    /// Adds the status of a possible error, unless the route answers it in a shape of its own.
    pub fn problem(&mut self, status: u16) {
        let problem = || json!({ "$ref": format!("#/components/responses/{status}") });
        self.responses.entry(status.to_string()).or_insert_with(problem);
    }
}

/// Removes `null` from a schema.
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
