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
    /// The organization of all of these.
    pub(crate) organization: String,
    /// A project, and a key of it.
    pub(crate) project: String,
    pub(crate) project_key: String,
    /// An admin, who is in the team, and somebody who is not.
    pub(crate) member: String,
    pub(crate) colleague: String,
    pub(crate) team: String,
    /// Two open invitations: the id of one, the token of the other.
    pub(crate) invitation: String,
    pub(crate) token: String,
    /// A data set with one row, which is shared with the admin.
    pub(crate) dataset: String,
    /// An evaluation, which is shared with the admin, a live evaluation of it, and a run of that which did not pass.
    pub(crate) evaluation: String,
    pub(crate) live_evaluation: String,
    pub(crate) run: String,
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
        let organization = world.get("/v1/keys/self", owner).text("organization_id");
        let (member, colleague) = (world.user(&organization, "admin"), world.user(&organization, "member"));
        let people = format!("/v1/organizations/{organization}");
        let made = |path: &str, body: &Value| {
            let answer = world.post(&format!("{people}/{path}"), owner, body);
            assert_eq!(answer.status, 201, "{}", answer.json);
            answer
        };
        let team = made("teams", &json!({ "name": world.fresh_id() })).text("id");
        let placed = world.call("PUT", &format!("{people}/teams/{team}/members/{member}"), owner, &Value::Null);
        assert_eq!(placed.status, 204, "{}", placed.json);
        let invite = |email: String| made("invitations", &json!({ "email": email, "role": "member" }));
        let invitation = invite(format!("{}@example.com", world.fresh_id())).text("id");
        let token = invite(format!("{}@example.com", world.fresh_id())).text("token");
        let answer = world.post("/api/datasets", owner, &json!({ "name": "target", "rows": [{ "question": "why" }] }));
        assert_eq!(answer.status, 201, "{}", answer.json);
        let dataset = answer.text("public_id");
        let answer = world.post("/api/evaluations", owner, &new_evaluation());
        assert_eq!(answer.status, 201, "{}", answer.json);
        let evaluation = answer.text("public_id");
        let (live_evaluation, _) = world.deploy(owner, &evaluation);
        let inputs = json!({ "inputs": { "answer": "41" } });
        let run = world.post(&format!("/api/eval/{live_evaluation}"), owner, &inputs).text("public_id");
        let targets = Self {
            id,
            key,
            rotating,
            org_key,
            organization,
            project,
            project_key,
            member,
            colleague,
            team,
            invitation,
            token,
            dataset,
            evaluation,
            live_evaluation,
            run,
        };
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
            organization: wrong(),
            member: wrong(),
            colleague: wrong(),
            team: wrong(),
            invitation: wrong(),
            token: self.token.clone(),
            dataset: wrong(),
            evaluation: wrong(),
            live_evaluation: wrong(),
            run: wrong(),
        }
    }

    /// The ids of an item of the review queue and of its run, which are like those of the run.
    fn review(&self, number: &str) -> (String, String) {
        let digits = self.run.strip_prefix("run_").and_then(|digits| digits.get(..28)).unwrap_or_default();
        (format!("rev_{digits}{number}"), format!("run_{digits}{number}"))
    }

    /// Takes back what the calls have done to the targets. The rotation is one that never ends.
    pub(crate) fn restore(&self, world: &World) {
        let evaluation = new_evaluation();
        let ((open, open_run), (judged, judged_run)) = (self.review(OPEN), self.review(JUDGED));
        world.database.execute(&format!(
            "UPDATE keys SET revoked_at = NULL, rotates_at = NULL, outgoing_digest = NULL
             WHERE id IN ('{}', '{}', '{}', '{}');
             UPDATE keys SET rotates_at = {}, outgoing_digest = 'outgoing of ' || id, outgoing_pepper_version = 0,
             outgoing_start = 'start', outgoing_last4 = 'last' WHERE id = '{}';
             UPDATE projects SET deleted_at = NULL WHERE id = '{}';
             INSERT OR IGNORE INTO memberships (organization_id, user_id, role, created_at) VALUES ('{organization}', '{member}', 'admin', 0);
             INSERT OR IGNORE INTO teams (id, organization_id, name, created_at) VALUES ('{team}', '{organization}', '{team}', 0);
             INSERT OR IGNORE INTO team_members (team_id, user_id, organization_id, created_at) VALUES ('{team}', '{member}', '{organization}', 0);
             DELETE FROM team_members WHERE user_id = '{colleague}';
             INSERT OR IGNORE INTO invitations (id, organization_id, email, role, digest, expires_at, created_at, created_by)
             VALUES ('{invitation}', '{organization}', '{invitation}@example.com', 'member', '{invitation}', {later}, 0, '{id}');
             UPDATE datasets SET ends_at = NULL, columns = '{columns}',
             judgments = '[]', row_count = 1, next_row = 2 WHERE id = '{dataset}';
             DELETE FROM dataset_chunks WHERE dataset_id = '{dataset}';
             INSERT INTO dataset_chunks (dataset_id, first_row, row_count, cells) VALUES ('{dataset}', 1, 1, '[{{\"0\":\"why\"}}]');
             INSERT OR IGNORE INTO evaluations (id, organization_id, user_id, name, config, created_at, updated_at)
             SELECT '{evaluation}', '{organization}', user_id, 'target', '{config}', 0, 0 FROM datasets WHERE id = '{dataset}';
             INSERT OR IGNORE INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at)
             VALUES ('{dataset}', '{member}', '{organization}', 'user', 'read', 0),
             ('{evaluation}', '{member}', '{organization}', 'user', 'read', 0);
             INSERT OR IGNORE INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at)
             VALUES ('{live_evaluation}', '{member}', '{organization}', 'user', 'read', 0);
             UPDATE live_evaluations SET active = 1 WHERE id = '{live_evaluation}';
             DELETE FROM review_items WHERE live_evaluation_id = '{live_evaluation}';
             INSERT OR IGNORE INTO runs SELECT '{open_run}', {run} FROM runs WHERE id = '{run_id}';
             INSERT OR IGNORE INTO runs SELECT '{judged_run}', {run} FROM runs WHERE id = '{run_id}';
             INSERT INTO review_items (id, organization_id, run_id, live_evaluation_id, state, flagged_at, flagged_by_key, verdict)
             VALUES ('{open}', '{organization}', '{open_run}', '{live_evaluation}', 'open', 0, '{id}', NULL),
             ('{judged}', '{organization}', '{judged_run}', '{live_evaluation}', 'judged', 0, '{id}', 'good')",
            self.id,
            self.rotating,
            self.org_key,
            self.project_key,
            1_i64 << 50,
            self.rotating,
            self.project,
            organization = self.organization,
            member = self.member,
            colleague = self.colleague,
            team = self.team,
            invitation = self.invitation,
            dataset = self.dataset,
            live_evaluation = self.live_evaluation,
            evaluation = self.evaluation,
            run_id = self.run,
            run = "organization_id, live_evaluation_id, evaluation_id, key_id, user_id, state, inputs, judgment, passed, charged, \
                   created_at, finished_at, keep_until",
            columns = json!({
                "list": [
                    { "id": 0, "name": "question", "role": "input" },
                    { "id": 1, "name": "answer", "role": "input" },
                    { "id": 2, "name": "verdict", "role": "judgment" },
                ],
                "next_id": 3,
            }),
            config = json!({ "columns": evaluation["columns"], "judge": evaluation["judge"] }),
            id = self.id,
            later = 1_i64 << 50
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
    /// `anybody`, `operator`, `any key`, or the scope.
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
            (
                "POST",
                "/api/datasets"
                | "/api/datasets/upload"
                | "/api/evaluations"
                | "/api/evaluations/generate"
                | "/api/evaluations/:evaluation/variants"
                | "/api/live-evaluations/:live_evaluation/deactivate",
            )
            | ("PATCH", "/api/live-evaluations/:live_evaluation")
            | ("DELETE", "/api/datasets/:dataset" | "/api/evaluations/:evaluation") => 1,
            // The live evaluation and its key; the key that ends and the one that begins.
            ("POST", "/api/live-evaluations" | "/api/live-evaluations/:live_evaluation/regenerate") => 2,
            (_, template) if template.starts_with("/api/") => i64::from(template.ends_with("/:grantee")),
            ("GET", _) | ("POST", "/mcp" | "/v1/keys/verify" | "/v1/ingest/batch" | "/v1/feedback" | "/v1/eval") => 0,
            // That of the project or organization, and that of its first key.
            (
                "POST",
                "/v1/projects" | "/v2/projects" | "/v1/organizations" | "/v1/organizations/:organization/projects",
            ) => 2,
            _ => 1,
        }
    }
}

/// An evaluation to be made.
pub(crate) fn new_evaluation() -> Value {
    json!({
        "name": "made",
        "description": "d",
        "columns": [{ "name": "answer", "type": "string", "required": true }],
        "judge": { "type": "exact_match", "column": "answer", "expected": "42" },
    })
}

/// How the ids of an open and of a judged item of the review queue end.
const OPEN: &str = "0001";
const JUDGED: &str = "0002";

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
        let user = if method == "PUT" { &targets.colleague } else { &targets.member };
        let (item, _) = targets.review(if template.ends_with("/promote") { JUDGED } else { OPEN });
        let named = [
            (":organization", &targets.organization),
            (":project", &targets.project),
            (":invitation", &targets.invitation),
            (":token", &targets.token),
            (":team", &targets.team),
            (":user", user),
            (":grantee", &targets.member),
            (":dataset", &targets.dataset),
            (":live_evaluation", &targets.live_evaluation),
            (":item", &item),
            (":run", &targets.run),
            (":evaluation", &targets.evaluation),
            (":column", &"question".to_owned()),
            (":row", &"1".to_owned()),
            (":id", id),
        ];
        RouteCall {
            method,
            template,
            path: named.iter().fold(with_query(template), |path, (name, value)| path.replace(name, value)),
            access,
            body: body(method, template, targets),
        }
    };
    table().into_iter().map(call).collect()
}

/// The path with the parameters that it cannot do without.
fn with_query(template: &str) -> String {
    let query = match template {
        "/api/datasets/upload" => "?name=made&format=jsonl",
        "/api/datasets/:dataset/export" => "?format=jsonl",
        _ => "",
    };
    format!("{template}{query}")
}

/// A body with every field that the route knows and that can be sent together.
fn body(method: &str, template: &str, targets: &Targets) -> Value {
    match (method, template.trim_start_matches("/v1").trim_start_matches("/v2")) {
        ("POST", "/api/error-analysis/suggest-notes") => json!({ "runs": [targets.run] }),
        ("POST", "/api/error-analysis/suggest-categories") => json!({ "notes": ["The price is wrong"] }),
        ("POST", "/api/error-analysis/consolidate-categories") => {
            json!({ "categories": [{ "name": "price", "description": "d", "notes": [0] }] })
        }
        ("POST", "/api/datasets") => json!({
            "name": "made", "description": "d", "columns": [{ "name": "a", "role": "input" }], "rows": [{ "a": 1 }],
        }),
        ("PATCH", "/api/datasets/:dataset") => json!({
            "name": "changed", "description": "d",
            "judgments": [{ "name": "j", "question": "q", "verdicts": ["good"], "column": "question" }],
        }),
        ("POST", "/api/datasets/:dataset/columns") | ("PATCH", "/api/datasets/:dataset/columns/:column") => {
            json!({ "name": "b", "role": "notes" })
        }
        ("POST", "/api/datasets/:dataset/rows") => json!({ "rows": [{ "question": "how" }] }),
        ("POST", "/api/datasets/:dataset/rows/remove") => json!({ "row_ids": [1] }),
        ("PATCH", "/api/datasets/:dataset/rows/:row") => json!({ "question": "how" }),
        ("POST", "/api/evaluations") => new_evaluation(),
        ("POST", "/api/evaluations/generate") => json!({ "dataset": targets.dataset, "name": "generated" }),
        ("POST", "/api/evaluations/:evaluation/variants") => {
            json!({ "name": "variant", "description": "d", "columns": new_evaluation()["columns"], "judge": new_evaluation()["judge"] })
        }
        ("PATCH", "/api/evaluations/:evaluation") => json!({
            "name": "changed", "description": "d", "columns": new_evaluation()["columns"], "judge": new_evaluation()["judge"], "draft": false,
        }),
        ("POST", "/api/review") => json!({ "run": targets.run, "reason": "why" }),
        ("POST", "/api/review/:item/judge") => json!({ "verdict": "good", "passed": true, "notes": "n" }),
        ("POST", "/api/review/:item/reject") => json!({ "notes": "n" }),
        ("POST", "/api/review/:item/promote") => json!({ "dataset": targets.dataset }),
        ("PUT", template) if template.ends_with("/shares/:grantee") => json!({ "access": "write" }),
        ("POST", "/api/live-evaluations") | ("PATCH", "/api/live-evaluations/:live_evaluation") => {
            json!({ "evaluation": targets.evaluation, "name": "deployed", "description": "d" })
        }
        ("POST", "/api/eval/:live_evaluation") => json!({ "inputs": { "answer": "why" } }),
        ("POST", "/mcp") => json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} }),
        ("POST", "/bootstrap") => json!({ "organization": "B", "email": "b@example.com", "key_name": "b" }),
        ("POST", "/keys") => json!({ "name": "made", "scopes": ["api-keys:read"], "metadata": { "a": 1 } }),
        ("POST", "/keys/verify") => json!({ "key": targets.key, "scopes": ["datasets:read"] }),
        ("PATCH", "/keys/:id") => json!({ "name": "changed", "enabled": true, "expires_in_days": 3 }),
        ("POST", "/keys/:id/rotate") => json!({ "grace_period_seconds": 3_600, "expires_in_days": 3 }),
        ("POST", "/api_key" | "/apikeys" | "/organizations/:organization/teams") => json!({ "name": "made" }),
        ("POST", "/organizations") => json!({ "name": "named", "email": "b@example.com", "key_name": "first" }),
        ("PATCH", "/organizations/:organization") => json!({
            "name": "renamed",
            "default_expiry_days": 30,
            "longest_expiry_days": 300,
            "max_keys_per_user": 1_000,
            "audit_retention_days": 365,
            "trace_retention_days": 10,
        }),
        ("POST", "/organizations/:organization/projects")
        | ("PATCH", "/organizations/:organization/projects/:project") => {
            json!({ "name": "named", "description": "described" })
        }
        ("PUT", "/organization") | ("PATCH", "/organizations/:organization/teams/:team") => {
            json!({ "name": "renamed" })
        }
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
        ("PATCH", "/organizations/:organization/members/:user") => json!({ "role": "member" }),
        ("POST", "/organizations/:organization/invitations") => {
            json!({ "email": "new@example.com", "role": "admin", "expires_in_days": 3 })
        }
        ("POST", "/invitations/:token/accept") => json!({ "key_name": "first" }),
        ("GET" | "DELETE", _)
        | ("PUT", "/organizations/:organization/teams/:team/members/:user")
        | (
            "POST",
            "/api/datasets/upload"
            | "/organizations/:organization/members/:user/sign-in-links"
            | "/api/live-evaluations/:live_evaluation/activate"
            | "/api/live-evaluations/:live_evaluation/deactivate"
            | "/api/live-evaluations/:live_evaluation/regenerate",
        )
        | (_, "/apikeys/:id/rotate" | "/keys/:id/rotate/finish" | "/keys/:id/rotate/cancel") => Value::Null,
        _ => panic!("say here which body {method} {template} takes"),
    }
}

/// Every route that asks for a key.
pub(crate) fn every_key_route(targets: &Targets) -> Vec<RouteCall> {
    let mut routes = every_route(targets);
    routes.retain(|route| !["anybody", "operator"].contains(&route.access));
    routes
}
