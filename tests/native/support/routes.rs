//! The table of routes as calls that can be made.

use bitting::http::routes::table;
use serde_json::{Value, json};

use super::{Answer, World};

/// What the calls of the routes are about: a key of each kind that some routes ask for.
#[derive(Clone)]
pub(crate) struct Targets {
    /// A personal key: its id and its text.
    pub(crate) id: String,
    pub(crate) key: String,
    /// A personal key of which a rotation is under way.
    pub(crate) rotating: String,
    /// A key of the organization.
    pub(crate) org_key: String,
    /// A project, and a key of it.
    pub(crate) project: String,
    pub(crate) project_key: String,
}

impl Targets {
    pub(crate) fn new(world: &World, owner: &str) -> Self {
        let (id, key) = world.create(owner, "target", &["datasets:read"]);
        let (rotating, _) = world.create(owner, "target", &["datasets:read"]);
        let rotation = world.post(&format!("/v1/keys/{rotating}/rotate"), owner, &json!({ "grace_period_seconds": 9 }));
        assert_eq!(rotation.status, 200, "{}", rotation.json);
        let body = json!({ "name": "target", "kind": "org", "scopes": ["datasets:read"] });
        let (org_key, _) = world.create_from(owner, &body);
        let project = world.project(owner, "target");
        let body = json!({ "name": "target", "kind": "proj", "project_id": project, "scopes": ["datasets:read"] });
        let (project_key, _) = world.create_from(owner, &body);
        let targets = Self { id, key, rotating, org_key, project, project_key };
        targets.restore(world);
        targets
    }

    /// The same words wherever an id belongs.
    pub(crate) fn named(&self, wrong: &str) -> Self {
        let wrong = || wrong.to_owned();
        Self {
            id: wrong(),
            key: self.key.clone(),
            rotating: wrong(),
            org_key: wrong(),
            project: wrong(),
            project_key: wrong(),
        }
    }

    /// Takes back what the calls have done to the targets. The rotation is one that never ends.
    pub(crate) fn restore(&self, world: &World) {
        world.database.execute(&format!(
            "UPDATE keys SET revoked_at = NULL, rotates_at = NULL, outgoing_digest = NULL
             WHERE id IN ('{}', '{}', '{}', '{}');
             UPDATE keys SET rotates_at = {}, outgoing_digest = 'outgoing of ' || id, outgoing_pepper_version = 0,
             outgoing_start = 'start', outgoing_last4 = 'last' WHERE id = '{}';
             UPDATE projects SET deleted_at = NULL WHERE id = '{}'",
            self.id,
            self.rotating,
            self.org_key,
            self.project_key,
            1_i64 << 50,
            self.rotating,
            self.project
        ));
    }
}

/// A row of the table of routes, with all that a call of it needs.
pub(crate) struct RouteCall {
    pub(crate) method: &'static str,
    /// The path as the table has it.
    pub(crate) template: &'static str,
    /// The path with the ids of a target in it.
    pub(crate) path: String,
    /// `anyone`, `operator`, `any key`, or the scope.
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

    /// How many audit events the call makes.
    pub(crate) fn events(&self) -> i64 {
        match (self.method, self.template) {
            ("GET", _) | ("POST", "/v1/keys/verify" | "/v1/ingest/batch" | "/v1/feedback" | "/v1/eval") => 0,
            // The project's own and that of its first key.
            ("POST", "/v1/projects" | "/v2/projects") => 2,
            _ => 1,
        }
    }
}

/// The id of a trace, as its sender chose it.
const TRACE: &str = "01a3185c-0000-7000-8000-000000000001";

/// Every route, called on these targets.
pub(crate) fn every_route(targets: &Targets) -> Vec<RouteCall> {
    let call = |(method, template, access): (&'static str, &'static str, &'static str)| {
        let id = match template {
            _ if template.contains("/projects/") => &targets.project_key,
            _ if template.contains("/organization/") => &targets.org_key,
            // Nobody can rotate the personal key of somebody else.
            "/v1/keys/:id/rotate" | "/v1/apikeys/:id/rotate" => &targets.org_key,
            "/v1/keys/:id/rotate/finish" | "/v1/keys/:id/rotate/cancel" => &targets.rotating,
            _ => &targets.id,
        };
        RouteCall {
            method,
            template,
            path: template.replace(":project", &targets.project).replace(":id", id),
            access,
            body: body(method, template, &targets.key),
        }
    };
    table().into_iter().map(call).collect()
}

/// A body with every field that the route knows and that can be sent together.
fn body(method: &str, template: &str, key: &str) -> Value {
    match (method, template.trim_start_matches("/v1").trim_start_matches("/v2")) {
        ("POST", "/bootstrap") => json!({ "organization": "B", "email": "b@example.com", "key_name": "b" }),
        ("POST", "/keys") => json!({ "name": "made", "scopes": ["api-keys:read"], "metadata": { "a": 1 } }),
        ("POST", "/keys/verify") => json!({ "key": key, "scopes": ["datasets:read"] }),
        ("PATCH", "/keys/:id") => json!({ "name": "changed", "enabled": true, "expires_in_days": 3 }),
        ("POST", "/keys/:id/rotate") => json!({ "grace_period_seconds": 3_600, "expires_in_days": 3 }),
        ("POST", "/api_key" | "/apikeys") => json!({ "name": "made" }),
        ("PUT", "/organization") => json!({ "name": "renamed" }),
        ("POST" | "PUT", "/projects" | "/projects/:project") => json!({ "name": "named", "description": "described" }),
        ("POST", "/organization/api-keys" | "/projects/:project/api-keys") => {
            json!({ "name": "made", "expiresInDays": 3 })
        }
        ("PUT", "/organization/api-keys/:id" | "/projects/:project/api-keys/:id") => json!({ "valid": true }),
        ("POST", "/organization/api-keys/:id/rotate" | "/projects/:project/api-keys/:id/rotate") => {
            json!({ "gracePeriodInHours": 1, "expiresInDays": 3 })
        }
        ("POST", "/ingest/batch") => json!({ "traces": [{ "id": TRACE }] }),
        ("POST", "/feedback") => json!({ "trace_id": TRACE, "label": "good" }),
        ("POST", "/eval") => json!({ "trace_id": TRACE, "evaluator_type": "llm", "metric_name": "tone" }),
        ("GET" | "DELETE", _) | (_, "/apikeys/:id/rotate" | "/keys/:id/rotate/finish" | "/keys/:id/rotate/cancel") => {
            Value::Null
        }
        _ => panic!("say here which body {method} {template} takes"),
    }
}

/// Every route that asks for a key.
pub(crate) fn every_key_route(targets: &Targets) -> Vec<RouteCall> {
    let mut routes = every_route(targets);
    routes.retain(|route| !["anyone", "operator"].contains(&route.access));
    routes
}
