//! Examples for the API's document: what each documented route was really asked, and what it really answered.

use serde_json::{Value, json};

use super::{
    Answer, OPERATOR_SECRET, World, request,
    routes::{RouteCall, every_route, prepared},
};

/// The most items of a list in an example.
const MAX_ITEMS: usize = 2;

/// A route that was called, and its answer.
pub(crate) struct Exchange {
    pub(crate) route: RouteCall,
    pub(crate) answer: Answer,
    /// True if the call has made the service remember an `Idempotency-Key`.
    pub(crate) is_repeatable: bool,
}

/// Calls every route once, each in a world of its own, with the credential that it asks for.
pub(crate) fn exchanges() -> Vec<Exchange> {
    let call = |route: RouteCall| {
        let (world, owner, _) = prepared();
        // There can be one bootstrap, and the prepared world has had it.
        let world = if route.template == "/v1/bootstrap" { World::new() } else { world };
        let credential = if route.access == "operator" { OPERATOR_SECRET.to_owned() } else { owner };
        let mut request = request(route.method, &route.path, &credential, &route.known.body);
        request.headers.push(("idempotency-key".to_owned(), route.name().replace(' ', "")));
        let before = world.database.count("idempotency_keys");
        let answer = world.send(&request);
        assert!(answer.status < 300, "{route}: {}", answer.json);
        let is_repeatable = world.database.count("idempotency_keys") > before;
        Exchange { route, answer, is_repeatable }
    };
    every_route(&prepared().2).into_iter().map(call).collect()
}

/// Adds to each operation of the document an example of its question and of its answer.
pub(crate) fn add_examples(document: &mut Value) {
    for Exchange { route, answer, .. } in exchanges() {
        let template: Vec<String> = route.template.split('/').map(braces).collect();
        let path = format!("/paths/{}/{}", template.join("~1"), route.method.to_lowercase());
        let Some(operation) = document.pointer_mut(&path) else { continue };
        if route.template == "/openapi.json" {
            continue;
        }
        if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json")
            && !route.known.body.is_null()
        {
            body["example"] = example(&route.known.body);
        }
        if let Some(body) = operation.pointer_mut(&format!("/responses/{}/content/application~1json", answer.status)) {
            body["example"] = example(&answer.json);
        }
    }
}

/// Returns a value with the first items of its lists, and with no text of a key or a link.
fn example(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().take(MAX_ITEMS).map(example).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), example(value))).collect(),
        Value::String(text) => json!(public(text)),
        other => other.clone(),
    }
}

/// Returns a text without its secret: secrets and previews begin with the brand, links end with a token.
fn public(text: &str) -> String {
    let (before, secret) = match (text.find("bit_"), text.contains('…') || text.contains("...")) {
        (Some(at), false) => text.split_at(at),
        _ => return text.to_owned(),
    };
    let kind = secret.rsplit_once('_').map_or("", |(kind, _)| kind);
    format!("{before}{kind}_EXAMPLE")
}

fn braces(segment: &str) -> String {
    segment.strip_prefix(':').map_or_else(|| segment.to_owned(), |name| format!("{{{name}}}"))
}
