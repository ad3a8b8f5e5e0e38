//! The table of routes as calls that can be made.

use bitting::http::routes::table;
use serde_json::{Value, json};

use super::{Answer, World};

/// A row of the table of routes, with all that a call of it needs.
pub(crate) struct RouteCall {
    pub(crate) method: &'static str,
    /// The path as the table has it.
    pub(crate) template: &'static str,
    /// The path with a key's id in it.
    pub(crate) path: String,
    /// `operator`, `any key`, or the scope.
    pub(crate) access: &'static str,
    /// A body that the route takes; null where it takes none.
    pub(crate) body: Value,
}

impl RouteCall {
    pub(crate) fn send(&self, world: &World, key: &str) -> Answer {
        world.call(self.method, &self.path, key, &self.body)
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

/// Every route, called on the key with this id and this text.
pub(crate) fn every_route(id: &str, key: &str) -> Vec<RouteCall> {
    let call = |(method, template, access): (&'static str, &'static str, &'static str)| RouteCall {
        method,
        template,
        path: template.replace(":id", id),
        access,
        body: match (method, template.trim_start_matches("/braintrust")) {
            ("POST", "/v1/bootstrap") => json!({ "organization": "B", "email": "b@example.com", "key_name": "b" }),
            ("POST", "/v1/keys") => json!({ "name": "made", "scopes": ["api-keys:read"], "metadata": { "a": 1 } }),
            ("POST", "/v1/keys/verify") => json!({ "key": key, "scopes": ["datasets:read"] }),
            ("PATCH", "/v1/keys/:id") => json!({ "name": "changed", "enabled": true, "expires_in_days": 3 }),
            ("POST", "/v1/api_key") => json!({ "name": "made" }),
            ("GET" | "DELETE", _) => Value::Null,
            _ => panic!("say here which body {method} {template} takes"),
        },
    };
    table().into_iter().map(call).collect()
}

/// Every route that asks for a key.
pub(crate) fn every_key_route(id: &str, key: &str) -> Vec<RouteCall> {
    let mut routes = every_route(id, key);
    routes.retain(|route| route.access != "operator");
    routes
}
