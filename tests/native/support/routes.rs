//! The table of routes as calls that can be made.

use std::{convert::Infallible, fmt, sync::LazyLock};

use bitting::entry::tables;
use bitting_keys::domain::{key_text::Word, token::DeviceToken};
use serde_json::{Value, json};

use super::{Answer, Snapshot, World};

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
    pub(crate) trust: String,
    /// Two open invitations: the id of one, the token of the other.
    pub(crate) invitation: String,
    pub(crate) sign_in_link: String,
    pub(crate) token: String,
    /// The token of an approved device link.
    pub(crate) device_token: String,
    /// A data set with one row, which is shared with the admin.
    pub(crate) dataset: String,
    /// An evaluation, which is shared with the admin, a live evaluation of it, and a run of that which did not pass.
    pub(crate) evaluation: String,
    pub(crate) live_evaluation: String,
    pub(crate) run: String,
}

/// A world with an owner and targets, as a new isolate finds it.
static PREPARED: LazyLock<(Snapshot, String, Targets)> = LazyLock::new(|| {
    let world = World::new();
    let owner = world.bootstrap();
    let targets = Targets::new(&world, &owner);
    (world.snapshot(), owner, targets)
});

/// A world of its own for the call of one route; gives the world, the owner's key, and the targets.
pub(crate) fn prepared() -> (World, String, Targets) {
    let (snapshot, owner, targets) = &*PREPARED;
    (World::restored(snapshot), owner.clone(), targets.clone())
}

/// The token of a program that asks for a key.
pub(crate) fn device_token(seed: u8) -> DeviceToken {
    let fill = |bytes: &mut [u8]| {
        bytes.fill(seed);
        Ok::<(), Infallible>(())
    };
    DeviceToken::generate(&Word::parse("bit").unwrap(), fill).unwrap()
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
        let trust = made("trusts", &new_trust()).text("id");
        let placed = world.call("PUT", &format!("{people}/teams/{team}/members/{member}"), owner, &Value::Null);
        assert_eq!(placed.status, 204, "{}", placed.json);
        let invite = |email: String| made("invitations", &json!({ "email": email, "role": "member" }));
        let invitation = invite(format!("{}@example.com", world.fresh_id())).text("id");
        made(&format!("members/{member}/sign-in-links"), &Value::Null);
        let links = world.get(&format!("{people}/sign-in-links"), owner).json;
        let sign_in_link = links["items"][0]["id"].as_str().unwrap().to_owned();
        let token = invite(format!("{}@example.com", world.fresh_id())).text("token");
        let device_token = device_token(7);
        let (claimable, _) = world.create(owner, "target", &["datasets:read"]);
        world.database.execute(&format!(
            "INSERT OR REPLACE INTO device_links (digest, key_id, expires_at) \
             SELECT '{}', id, created_at + 600000 FROM keys WHERE id = '{claimable}'",
            device_token.digest().to_hex()
        ));
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
            trust,
            invitation,
            sign_in_link,
            token,
            device_token: device_token.expose().to_owned(),
            dataset,
            evaluation,
            live_evaluation,
            run,
        };
        targets.set_up(world);
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
            trust: wrong(),
            invitation: wrong(),
            sign_in_link: wrong(),
            token: self.token.clone(),
            device_token: self.device_token.clone(),
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

    /// What no route can bring about: a rotation that never ends, shares with somebody who has no key, and two items
    /// of the review queue, each with a run of its own.
    fn set_up(&self, world: &World) {
        let Self { rotating, organization, member, dataset, live_evaluation, evaluation, run, .. } = self;
        world.database.execute(&format!(
            "UPDATE keys SET rotates_at = {}, outgoing_digest = 'outgoing of ' || id, outgoing_pepper_version = 0,
             outgoing_start = 'start', outgoing_last4 = 'last' WHERE id = '{rotating}'",
            1_i64 << 50
        ));
        for shared in [dataset, evaluation, live_evaluation] {
            world.database.execute(&format!(
                "INSERT INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at)
                 VALUES ('{shared}', '{member}', '{organization}', 'user', 'read', 0)"
            ));
        }
        for (number, state, verdict) in [(OPEN, "open", "NULL"), (JUDGED, "judged", "'good'")] {
            let (item, item_run) = self.review(number);
            let columns = "organization_id, live_evaluation_id, evaluation_id, key_id, user_id, state, inputs, judgment, \
                           passed, charged, created_at, finished_at, keep_until";
            world.database.execute(&format!(
                "INSERT INTO runs (id, {columns}) SELECT '{item_run}', {columns} FROM runs WHERE id = '{run}';
                 INSERT INTO review_items
                 (id, organization_id, run_id, live_evaluation_id, state, flagged_at, flagged_by_key, verdict) VALUES
                 ('{item}', '{organization}', '{item_run}', '{live_evaluation}', '{state}', 0, '{}', {verdict})",
                self.id
            ));
        }
        let column = |id: u8, name: &str, role: &str| json!({ "id": id, "name": name, "role": role });
        let columns = [column(0, "question", "input"), column(1, "answer", "input"), column(2, "verdict", "judgment")];
        let columns = json!({ "list": columns, "next_id": 3 });
        world.database.execute(&format!("UPDATE datasets SET columns = '{columns}' WHERE id = '{dataset}'"));
    }
}

/// What a route makes, and a repetition of the request with the same `Idempotency-Key` does not make again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creates {
    Nothing,
    Something,
    /// The answer holds its secret.
    Secret,
}

/// What the walks know of a route.
#[derive(Clone)]
pub(crate) struct Known {
    /// A query with the parameters that the route cannot do without.
    query: &'static str,
    /// A body with every field that the route knows and that can be sent together; null: it takes none.
    pub(crate) body: Value,
    /// How often it asks the database, for a key that the isolate vouches for. The guard stops every route but those
    /// that never ask.
    pub(crate) round_trips: usize,
    /// How many audit events it makes.
    pub(crate) events: i64,
    pub(crate) creates: Creates,
    /// Whether it hands out what may do more than a key with a list of scopes may.
    pub(crate) hands_out: bool,
    /// Whether its body names targets, which strangers do not see.
    pub(crate) names_targets: bool,
}

impl Known {
    /// What holds of a route of which [`known`] says nothing else.
    fn usual(method: &str, template: &str) -> Self {
        let api = template.starts_with("/api/");
        Self {
            query: "",
            body: Value::Null,
            round_trips: 1,
            events: i64::from(method != "GET" && !api),
            creates: match method {
                "POST" if api => Creates::Something,
                "POST" => Creates::Secret,
                _ => Creates::Nothing,
            },
            hands_out: false,
            names_targets: false,
        }
    }

    fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    fn body(self, body: Value) -> Self {
        Self { body, ..self }
    }

    fn round_trips(self, round_trips: usize) -> Self {
        Self { round_trips, ..self }
    }

    fn events(self, events: i64) -> Self {
        Self { events, ..self }
    }

    fn creates(self, creates: Creates) -> Self {
        Self { creates, ..self }
    }

    fn hands_out(self) -> Self {
        Self { hands_out: true, ..self }
    }

    fn names_targets(self) -> Self {
        Self { names_targets: true, ..self }
    }
}

/// The one table of what the walks must know of a route: a new route gets a row if it takes a body, or is in another
/// way not as [`Known::usual`] says. Every failure of a walk names the route and this table.
#[expect(
    clippy::too_many_lines,
    clippy::match_same_arms,
    clippy::unnested_or_patterns,
    reason = "this is a table with a row for each route"
)]
fn known(method: &str, template: &str, targets: &Targets) -> Known {
    use Creates::{Nothing, Secret, Something};
    let route = Known::usual(method, template);
    let evaluation = new_evaluation();
    match (method, template) {
        ("POST", "/v1/bootstrap") => {
            route.body(json!({ "organization": "B", "email": "b@example.com", "key_name": "b" }))
        }
        ("POST", "/v1/operator/sign-in-links") => route.body(json!({ "email": "owner@example.com" })),
        ("POST", "/v1/leaks") => route
            .body(json!({ "keys": ["bit_pat_x"], "url": "https://example.com" }))
            .round_trips(0)
            .events(0)
            .creates(Nothing),
        ("POST", "/mcp") => route
            .body(json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} }))
            .events(0)
            // What a tool makes, its route makes.
            .creates(Nothing),
        ("GET", "/v1/scopes" | "/v1/feed") => route.round_trips(0),
        ("ANY", "/v1/authorize") => route.round_trips(0).events(0),
        ("POST", "/v1/tokens") => route
            .body(json!({ "audience": "https://orders.example.com", "scopes": [] }))
            .round_trips(0)
            .events(0)
            .creates(Nothing),
        ("GET", "/v1/audit-events/verify") => route.round_trips(2),

        ("POST", "/v1/keys") => {
            route.body(json!({ "name": "made", "scopes": ["api-keys:read"], "metadata": { "a": 1 } }))
        }
        ("POST", "/v1/keys/verify") => {
            route.body(json!({ "key": targets.key, "scopes": ["datasets:read"] })).events(0).creates(Nothing)
        }
        ("POST", "/v1/keys/:key_id/simulate") => {
            let client = json!({ "ip": "192.0.2.7", "country": "DE" });
            let body = json!({ "scopes": ["datasets:read"], "at": "2027-02-01T00:00:00Z", "client": client });
            route.body(body).events(0).creates(Nothing)
        }
        ("PATCH", "/v1/keys/:key_id") => {
            route.body(json!({ "name": "changed", "enabled": true, "expires_in_days": 3 })).round_trips(2)
        }
        ("POST", "/v1/keys/:key_id/rotate") => {
            route.body(json!({ "grace_period_seconds": 3_600, "expires_in_days": 3 })).round_trips(2)
        }
        ("POST", "/v1/keys/:key_id/rotate/finish" | "/v1/keys/:key_id/rotate/cancel") => {
            route.round_trips(2).creates(Nothing)
        }

        ("POST", "/v1/organizations") => {
            route.body(json!({ "name": "named", "email": "b@example.com", "key_name": "first" })).events(4).hands_out()
        }
        ("PATCH", "/v1/organizations/:organization_id") => route.body(json!({
            "name": "renamed",
            "default_expiry_days": 30,
            "longest_expiry_days": 300,
            "max_keys_per_user": 1_000,
            "audit_retention_days": 365,
            "trace_retention_days": 10,
            "on_leak": "disable",
        })),
        ("POST", "/v1/organizations/:organization_id/projects") => {
            route.body(json!({ "name": "named", "description": "described" })).events(2)
        }
        ("PATCH", "/v1/organizations/:organization_id/projects/:project_id") => {
            route.body(json!({ "name": "named", "description": "described" }))
        }
        ("PATCH", "/v1/organizations/:organization_id/members/:user_id") => route.body(json!({ "role": "member" })),
        // A link is worth a quarter of an hour: whoever repeats gets another.
        ("POST", "/v1/organizations/:organization_id/members/:user_id/sign-in-links") => {
            route.creates(Nothing).hands_out()
        }
        ("POST", "/v1/organizations/:organization_id/invitations") => {
            route.body(json!({ "email": "new@example.com", "role": "admin", "expires_in_days": 3 })).hands_out()
        }
        ("POST", "/v1/invitations/:token/accept") => route.body(json!({ "key_name": "first" })),
        ("POST", "/v1/device-links/claim") => {
            route.body(json!({ "token": targets.device_token })).round_trips(2).creates(Nothing)
        }
        ("POST", "/v1/organizations/:organization_id/teams") => {
            route.body(json!({ "name": "made" })).creates(Something)
        }
        ("POST", "/v1/organizations/:organization_id/trusts") => route.body(new_trust()).creates(Something),
        ("POST", "/v1/organizations/:organization_id/trusts/match") => {
            route.body(json!({ "claims": { "iss": "https://issuer.example" } })).events(0).creates(Nothing)
        }
        ("PATCH", "/v1/organizations/:organization_id/teams/:team_id") => route.body(json!({ "name": "renamed" })),

        ("PUT", template) if template.ends_with("/shares/:grantee_id") => {
            route.body(json!({ "access": "write" })).events(1)
        }
        ("DELETE", template) if template.ends_with("/shares/:grantee_id") => route.events(1),

        ("POST", "/api/datasets") => route
            .body(json!({
                "name": "made", "description": "d", "columns": [{ "name": "a", "role": "input" }], "rows": [{ "a": 1 }],
            }))
            .events(1),
        // Whoever repeats an upload, or one of the additions below, adds again.
        ("POST", "/api/datasets/upload") => route.query("?name=made&format=jsonl").events(1).creates(Nothing),
        ("GET", "/api/datasets/:dataset_id/export") => route.query("?format=jsonl"),
        ("PATCH", "/api/datasets/:dataset_id") => route
            .body(json!({
                "name": "changed", "description": "d",
                "judgments": [{ "name": "j", "question": "q", "verdicts": ["good"], "column": "question" }],
            }))
            .round_trips(2),
        ("DELETE", "/api/datasets/:dataset_id" | "/api/evaluations/:evaluation_id") => route.events(1),
        ("POST", "/api/datasets/:dataset_id/columns") => {
            route.body(json!({ "name": "b", "role": "notes" })).round_trips(2).creates(Nothing)
        }
        ("PATCH", "/api/datasets/:dataset_id/columns/:column") => {
            route.body(json!({ "name": "b", "role": "notes" })).round_trips(2)
        }
        ("DELETE", "/api/datasets/:dataset_id/columns/:column") => route.round_trips(2),
        ("POST", "/api/datasets/:dataset_id/rows") => {
            route.body(json!({ "rows": [{ "question": "how" }] })).round_trips(2).creates(Nothing)
        }
        ("POST", "/api/datasets/:dataset_id/rows/remove") => route.body(json!({ "row_ids": [1] })).creates(Nothing),
        ("PATCH", "/api/datasets/:dataset_id/rows/:row_id") => route.body(json!({ "question": "how" })).round_trips(2),

        ("POST", "/api/evaluations") => route.body(evaluation).events(1),
        ("POST", "/api/evaluations/generate") => route
            .body(json!({ "dataset_id": targets.dataset, "name": "generated" }))
            .round_trips(2)
            .events(1)
            .names_targets(),
        ("POST", "/api/evaluations/:evaluation_id/variants") => route
            .body(json!({
                "name": "variant", "description": "d", "columns": evaluation["columns"], "judge": evaluation["judge"],
            }))
            .round_trips(2)
            .events(1),
        ("PATCH", "/api/evaluations/:evaluation_id") => route
            .body(json!({
                "name": "changed", "description": "d", "columns": evaluation["columns"], "judge": evaluation["judge"],
                "draft": false,
            }))
            .round_trips(2),

        // The live evaluation and its key.
        ("POST", "/api/live-evaluations") => route
            .body(json!({ "evaluation_id": targets.evaluation, "name": "deployed", "description": "d" }))
            .round_trips(2)
            .events(2)
            .creates(Secret)
            .hands_out()
            .names_targets(),
        ("PATCH", "/api/live-evaluations/:live_evaluation_id") => {
            route.body(json!({ "evaluation_id": targets.evaluation, "name": "deployed", "description": "d" })).events(1)
        }
        ("POST", "/api/live-evaluations/:live_evaluation_id/activate") => route.creates(Nothing),
        ("POST", "/api/live-evaluations/:live_evaluation_id/deactivate") => route.events(1).creates(Nothing),
        // The key that ends and the one that begins.
        ("POST", "/api/live-evaluations/:live_evaluation_id/regenerate") => {
            route.round_trips(2).events(2).creates(Secret).hands_out()
        }
        ("POST", "/api/eval/:live_evaluation_id") => {
            route.body(json!({ "inputs": { "answer": "why" } })).round_trips(2)
        }

        ("POST", "/api/error-analysis/suggest-notes") => {
            route.body(json!({ "run_ids": [targets.run] })).creates(Nothing).names_targets()
        }
        ("POST", "/api/error-analysis/suggest-categories") => {
            route.body(json!({ "notes": ["The price is wrong"] })).creates(Nothing)
        }
        ("POST", "/api/error-analysis/consolidate-categories") => route
            .body(json!({ "categories": [{ "name": "price", "description": "d", "notes": [0] }] }))
            .creates(Nothing),

        ("POST", "/api/review") => route.body(json!({ "run_id": targets.run, "reason": "why" })).names_targets(),
        ("POST", "/api/review/:item_id/judge") => {
            route.body(json!({ "verdict": "good", "passed": true, "notes": "n" })).creates(Nothing)
        }
        ("POST", "/api/review/:item_id/reject") => route.body(json!({ "notes": "n" })).creates(Nothing),
        ("POST", "/api/review/:item_id/promote") => {
            route.body(json!({ "dataset_id": targets.dataset })).round_trips(2).creates(Nothing)
        }

        ("POST", "/v1/api_key") => route.body(json!({ "name": "made" })),

        ("PUT", "/v1/organization" | "/v2/organization") => route.body(json!({ "name": "renamed" })),
        ("POST", "/v1/projects" | "/v2/projects") => {
            route.body(json!({ "name": "named", "description": "described" })).events(2)
        }
        ("PUT", "/v1/projects/:project" | "/v2/projects/:project") => {
            route.body(json!({ "name": "named", "description": "described" }))
        }
        ("POST", "/v1/organization/api-keys" | "/v2/organization/api-keys") => {
            route.body(json!({ "name": "made", "expiresInDays": 3 }))
        }
        // A path by the number of a key reads the key, and a path below a project looks into that.
        ("PUT", "/v1/organization/api-keys/:id" | "/v2/organization/api-keys/:id") => {
            route.body(json!({ "valid": true })).round_trips(2)
        }
        ("DELETE", "/v1/organization/api-keys/:id" | "/v2/organization/api-keys/:id") => route.round_trips(2),
        ("POST", "/v2/organization/api-keys/:id/rotate") => {
            route.body(json!({ "gracePeriodInHours": 1, "expiresInDays": 3 })).round_trips(2)
        }
        ("GET", "/v1/projects/:project/api-keys" | "/v1/projects/:project/api-keys/:id")
        | ("GET", "/v2/projects/:project/api-keys" | "/v2/projects/:project/api-keys/:id") => route.round_trips(2),
        ("POST", "/v1/projects/:project/api-keys" | "/v2/projects/:project/api-keys") => {
            route.body(json!({ "name": "made", "expiresInDays": 3 })).round_trips(2)
        }
        ("PUT", "/v1/projects/:project/api-keys/:id" | "/v2/projects/:project/api-keys/:id") => {
            route.body(json!({ "valid": true })).round_trips(3)
        }
        ("DELETE", "/v1/projects/:project/api-keys/:id" | "/v2/projects/:project/api-keys/:id") => route.round_trips(3),
        ("POST", "/v2/projects/:project/api-keys/:id/rotate") => {
            route.body(json!({ "gracePeriodInHours": 1, "expiresInDays": 3 })).round_trips(3)
        }

        ("POST", "/v1/apikeys") => route.body(json!({ "name": "made" })),
        ("POST", "/v1/apikeys/:id/rotate") => route.round_trips(2),
        ("POST", "/v1/ingest/batch") => route.body(json!({ "traces": [{ "id": TRACE }] })).events(0).creates(Nothing),
        ("POST", "/v1/feedback") => {
            route.body(json!({ "trace_id": TRACE, "label": "good" })).events(0).creates(Something)
        }
        ("POST", "/v1/eval") => route
            .body(json!({ "trace_id": TRACE, "evaluator_type": "llm", "metric_name": "tone" }))
            .events(0)
            .creates(Something),
        _ => route,
    }
}

/// A row of the table of routes, with all that a call of it needs.
pub(crate) struct RouteCall {
    pub(crate) method: &'static str,
    /// The path as the table has it.
    pub(crate) template: &'static str,
    /// The path with the ids of a target in it.
    pub(crate) path: String,
    /// `public`, `operator`, `any key`, or the scope.
    pub(crate) access: &'static str,
    pub(crate) known: Known,
}

/// The route, for the messages of failures.
impl fmt::Display for RouteCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (what is known of it stands in tests/native/support/routes.rs, `known`)", self.name())
    }
}

impl RouteCall {
    pub(crate) fn send(&self, world: &World, key: &str) -> Answer {
        Answer { request: self.to_string(), ..world.call(self.method, &self.path, key, &self.known.body) }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    /// True if the call ends the key that asks, which every key may.
    pub(crate) fn ends_caller(&self) -> bool {
        self.name() == "DELETE /v1/keys/self"
    }
}

/// A trust to be made.
pub(crate) fn new_trust() -> Value {
    json!({
        "name": "made",
        "issuer": "https://issuer.example",
        "audience": "https://keys.example.com",
        "claims": { "sub": "repo:acme/*" },
        "scopes": ["datasets:read"],
        "expires_in_seconds": 600,
    })
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
            "/v1/keys/:key_id/rotate" | "/v1/apikeys/:id/rotate" => &targets.org_key,
            "/v1/keys/:key_id/rotate/finish" | "/v1/keys/:key_id/rotate/cancel" => &targets.rotating,
            _ => &targets.id,
        };
        let user = if method == "PUT" { &targets.colleague } else { &targets.member };
        let (item, _) = targets.review(if template.ends_with("/promote") { JUDGED } else { OPEN });
        let named = [
            (":organization_id", &targets.organization),
            (":project_id", &targets.project),
            (":project", &targets.project),
            (":invitation_id", &targets.invitation),
            (":sign_in_link_id", &targets.sign_in_link),
            (":token", &targets.token),
            (":team_id", &targets.team),
            (":trust_id", &targets.trust),
            (":user_id", user),
            (":grantee_id", &targets.member),
            (":dataset_id", &targets.dataset),
            (":live_evaluation_id", &targets.live_evaluation),
            (":item_id", &item),
            (":run_id", &targets.run),
            (":evaluation_id", &targets.evaluation),
            (":column", &"question".to_owned()),
            (":row_id", &"1".to_owned()),
            (":key_id", id),
            (":id", id),
        ];
        let known = known(method, template, targets);
        let path = format!("{template}{}", known.query);
        let path = named.iter().fold(path, |path, (name, value)| path.replace(name, value));
        RouteCall { method, template, path, access, known }
    };
    let mut routes: Vec<RouteCall> = tables().list().into_iter().map(call).collect();
    // One takes what GitHub has signed, one answers only if it is configured: tests/native/leaks.rs. And one takes a form
    // and what an issuer has signed: tests/native/trusts.rs.
    let others = ["/v1/leaks/github", "/.well-known/security.txt", "/v1/tokens/exchange"];
    routes.retain(|route| !others.contains(&route.template));
    // Walks that send all calls in one world reach the others first.
    routes.sort_by_key(RouteCall::ends_caller);
    routes
}

/// Every route that asks for a key.
pub(crate) fn every_key_route(targets: &Targets) -> Vec<RouteCall> {
    let mut routes = every_route(targets);
    routes.retain(|route| !["public", "operator"].contains(&route.access));
    routes
}
