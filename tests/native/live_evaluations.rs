//! Live evaluations: deployed, run by their own key and by people, paid for, switched off; and what their key may not.

use bitting::entry::{self, chores};
use bitting_http::message::Request;
use bitting_keys::ports::{Limit, UpstreamError};
use futures::{executor::block_on, future::join_all};
use serde_json::{Value, json};

use crate::support::{
    Answer, Limits, Rows, World,
    model::{Model, Turn},
    problem::assert_problem,
    request,
    routes::{Targets, every_key_route},
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A rule that passes those who ask why.
fn judge() -> Value {
    json!({ "type": "exact_match", "column": "user_query", "expected": "why" })
}

/// A world with a live evaluation, which passes those who ask why.
struct Scene {
    world: World,
    owner: String,
    evaluation: String,
    live: String,
    key: String,
}

impl Scene {
    fn new() -> Self {
        Self::judged_by(&judge())
    }

    fn judged_by(judge: &Value) -> Self {
        let world = World::new();
        let owner = world.bootstrap();
        let evaluation = world.evaluation(&owner, judge);
        let (live, key) = world.deploy(&owner, &evaluation);
        Self { world, owner, evaluation, live, key }
    }

    /// A live evaluation that a model judges.
    fn of_a_model() -> Self {
        Self::judged_by(&json!({ "type": "model", "instructions": "Is it polite?" }))
    }

    fn path(&self, below: &str) -> String {
        format!("/api/live-evaluations/{}{below}", self.live)
    }

    fn post(&self, below: &str) -> Answer {
        self.world.post(&self.path(below), &self.owner, &Value::Null)
    }

    fn details(&self) -> Value {
        self.world.get(&self.path(""), &self.owner).json
    }

    fn run(&self, by: &str) -> Answer {
        self.world.judge(by, &self.live, "why")
    }

    fn set_credits(&self, credits: i64) {
        self.world.database.execute(&format!("UPDATE organizations SET credits = {credits}"));
    }

    fn credits(&self) -> Value {
        self.world.database.value("SELECT credits FROM organizations")
    }

    fn runs(&self, state: &str) -> Value {
        self.world.database.value(&format!("SELECT count(*) FROM runs WHERE state = '{state}'"))
    }

    /// The id of the key that works.
    fn key_id(&self) -> String {
        let sql = format!("SELECT id FROM keys WHERE bound_to = '{}' AND revoked_at IS NULL", self.live);
        self.world.database.value(&sql).as_str().unwrap().to_owned()
    }
}

#[test]
fn whole_life_of_a_live_evaluation() {
    let scene = Scene::new();
    let details = scene.details();
    assert_eq!((&details["name"], &details["api_key"], &details["active"]), (&json!("Tone"), &json!(""), &json!(true)));
    let preview = format!("{}…{}", &scene.key[..12], &scene.key[scene.key.len() - 4..]);
    assert_eq!(details["api_key_preview"], json!(preview));
    assert_eq!(details["evaluation_id"], json!(scene.evaluation));
    assert_eq!(details["columns"][0]["name"], json!("user_query"));
    assert!(scene.key.starts_with("bit_sk_") && !scene.world.database.dump().contains(&scene.key));
    assert_eq!(
        scene.world.get("/api/live-evaluations", &scene.owner).json,
        json!({ "items": [details], "has_more": false, "next_cursor": null })
    );

    let judged = scene.run(&scene.key);
    assert_eq!(judged.status, 200, "{}", judged.json);
    assert_eq!(
        (&judged.json["judgment"], &judged.json["passed"], &judged.json["live_evaluation_id"]),
        (&json!("pass"), &json!(true), &json!(scene.live))
    );
    assert_eq!(scene.world.judge(&scene.owner, &scene.live, "how").json["judgment"], "fail");

    assert_eq!(scene.post("/deactivate").json["active"], json!(false));
    for by in [&scene.key, &scene.owner] {
        assert_problem(&scene.run(by), 409, "live_evaluation_inactive");
    }
    assert_eq!(scene.post("/activate").json["active"], json!(true));
    assert_eq!(scene.run(&scene.key).status, 200);

    let new = scene.post("/regenerate");
    assert_eq!(new.status, 200, "{}", new.json);
    assert_problem(&scene.run(&scene.key), 401, "key_revoked");
    assert_eq!(scene.run(&new.text("api_key")).status, 200);
    let change = json!({ "name": "Tone of voice", "description": "d" });
    let changed = scene.world.call("PATCH", &scene.path(""), &scene.owner, &change).json;
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Tone of voice"), &json!("d")));
    let events = scene.world.database.value(
        "SELECT json_group_array(action) FROM (SELECT action FROM audit_events
         WHERE action LIKE 'live%' OR subject IN (SELECT id FROM keys WHERE kind = 'sk') ORDER BY id)",
    );
    let told = json!([
        "key.created",
        "live_evaluation.deployed",
        "live_evaluation.deactivated",
        "live_evaluation.activated",
        "key.revoked",
        "key.created",
        "live_evaluation.updated",
    ]);
    assert_eq!(events, json!(told.to_string()));
}

#[test]
fn live_evaluation_stays_until_it_takes_over_the_change() {
    let scene = Scene::new();
    let other = json!({ "columns": [{ "name": "answer" }], "judge": { "type": "exact_match", "column": "answer", "expected": 42 } });
    scene.world.database.execute(&format!("UPDATE evaluations SET config = '{other}'"));
    assert_eq!(scene.run(&scene.key).json["passed"], json!(true));
    let patch = |evaluation: &str| {
        scene.world.call("PATCH", &scene.path(""), &scene.owner, &json!({ "evaluation_id": evaluation }))
    };
    let taken = patch(&scene.evaluation);
    assert_eq!(taken.json["columns"][0]["name"], json!("answer"), "{}", taken.json);
    let answer =
        scene.world.post(&format!("/api/eval/{}", scene.live), &scene.key, &json!({ "inputs": { "answer": 42 } }));
    assert_eq!(answer.json["passed"], json!(true), "{}", answer.json);

    let variant = scene.world.evaluation(&scene.owner, &judge());
    scene.world.database.execute(&format!("UPDATE evaluations SET draft = 1 WHERE id = '{variant}'"));
    let before = scene.details();
    assert_problem(&patch(&variant), 409, "evaluation_draft");
    assert_problem(&patch(&variant.replace("eval_0", "eval_1")), 404, "not_found");
    assert_eq!(scene.details(), before);
    scene.world.database.execute("UPDATE evaluations SET draft = 0");
    assert_eq!(patch(&variant).json["evaluation_id"], json!(variant));
    assert_eq!(scene.run(&scene.key).json["evaluation_id"], json!(variant));
}

#[test]
fn what_cannot_be_deployed_is_not() {
    let scene = Scene::new();
    let (_, _, colleague) = scene.world.colleague(&scene.owner, "admin");
    let deploy = |by: &str, evaluation: &str| {
        scene.world.post("/api/live-evaluations", by, &json!({ "evaluation_id": evaluation }))
    };
    let (_, lacking) = scene.world.create(&scene.owner, "lacking", &["live-evaluations:write"]);
    let before = scene.world.database.count("keys");
    assert_problem(&deploy(&colleague, &scene.evaluation), 404, "not_found");
    assert_problem(&deploy(&scene.owner, &scene.evaluation.replace("eval_0", "eval_1")), 404, "not_found");
    assert_problem(&deploy(&scene.owner, "eval_x"), 400, "validation_failed");
    assert_problem(&deploy(&lacking, &scene.evaluation), 403, "exceeds_own_access");
    assert_problem(&scene.world.post(&scene.path("/regenerate"), &lacking, &Value::Null), 403, "exceeds_own_access");
    scene.world.database.execute("UPDATE evaluations SET draft = 1");
    assert_problem(&deploy(&scene.owner, &scene.evaluation), 409, "evaluation_draft");
    assert_eq!((scene.world.database.count("keys"), scene.world.database.count("live_evaluations")), (before, 1));
}

#[test]
fn evaluation_that_changes_while_it_is_deployed_is_not_deployed() {
    for sql in [
        "UPDATE evaluations SET updated_at = 1",
        "UPDATE evaluations SET draft = 1",
        "UPDATE evaluations SET user_id = NULL",
        "DELETE FROM evaluations",
    ] {
        let mut scene = Scene::new();
        let evaluation = scene.world.evaluation(&scene.owner, &judge());
        scene.world.get("/v1/scopes", &scene.owner);
        scene.world.meddle(1, sql);
        let answer = scene.world.post("/api/live-evaluations", &scene.owner, &json!({ "evaluation_id": evaluation }));
        assert_problem(&answer, 409, "conflict");
        assert_eq!(scene.world.database.count("live_evaluations"), 1, "{sql}");
        assert_eq!(scene.world.database.value("SELECT count(*) FROM keys WHERE kind = 'sk'"), json!(1));
    }
}

#[test]
fn key_lasts_no_longer_than_its_maker_or_the_policy() {
    let scene = Scene::new();
    let make = |days: i64| {
        let body = json!({ "name": "m", "scopes": ["live-evaluations:*"], "expires_in_days": days });
        scene.world.create_from(&scene.owner, &body).1
    };
    let expiry = |by: &str| {
        let answer = scene.world.post(&scene.path("/regenerate"), by, &Value::Null);
        assert_eq!(answer.status, 200, "{}", answer.json);
        scene.world.get(&format!("/v1/keys/{}", scene.key_id()), &scene.owner).json["expires_at"].clone()
    };
    assert_eq!(expiry(&scene.owner), Value::Null);
    assert_eq!(expiry(&make(3)), json!("2027-01-18T08:00:00.000Z"));
    scene.world.database.execute("UPDATE organizations SET longest_expiry_days = 2");
    assert_eq!(expiry(&scene.owner), json!("2027-01-17T08:00:00.000Z"));
    scene.world.advance_ms(2 * DAY_MS);
    let key = scene.post("/regenerate").text("api_key");
    scene.world.advance_ms(2 * DAY_MS);
    assert_problem(&scene.run(&key), 401, "api_key_expired");
}

#[test]
fn inputs_that_do_not_fit_are_named_and_cost_nothing() {
    let scene = Scene::new();
    scene.set_credits(5);
    for (inputs, field) in [
        (json!({}), "inputs.user_query"),
        (json!({ "user_query": null }), "inputs.user_query"),
        (json!({ "user_query": 1 }), "inputs.user_query"),
        (json!({ "user_query": "a", "tone": "b" }), "inputs.tone"),
        (json!([]), "inputs"),
    ] {
        let path = format!("/api/eval/{}", scene.live);
        let answer = scene.world.post(&path, &scene.key, &json!({ "inputs": inputs }));
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field, "{}", answer.json);
    }
    assert_eq!((scene.credits(), scene.world.database.count("runs")), (json!(5), 0));
}

#[test]
fn key_of_a_live_evaluation_runs_it_and_nothing_else() {
    let scene = Scene::new();
    let targets = Targets::new(&scene.world, &scene.owner);
    for route in every_key_route(&targets) {
        if route.ends_caller() {
            // Every secret can end itself.
            continue;
        }
        let before = scene.world.database.dump();
        let answer = route.send(&scene.world, &scene.key);
        if route.template == "/api/eval/:live_evaluation_id" {
            // That is another one than the key's.
            assert_problem(&answer, 404, "not_found");
        } else {
            assert_problem(&answer, 403, "live_evaluation_key");
        }
        assert_eq!(scene.world.database.dump(), before, "{route}");
    }
    assert_eq!(scene.run(&scene.key).status, 200);
    let (_, other_key) = scene.world.deploy(&scene.owner, &targets.evaluation);
    assert_problem(&scene.run(&other_key), 404, "not_found");
}

#[test]
fn who_may_run_it() {
    let scene = Scene::new();
    let organization = scene.world.get("/v1/keys/self", &scene.owner).text("organization_id");
    let (user, _, colleague) = scene.world.colleague(&scene.owner, "member");
    let (_, _, stranger) = scene.world.stranger(&scene.owner);
    let (_, of_organization) = scene
        .world
        .create_from(&scene.owner, &json!({ "name": "org", "kind": "org", "scopes": ["live-evaluations:*"] }));
    assert_problem(&scene.run(&colleague), 404, "not_found");
    assert_problem(&scene.run(&stranger), 404, "not_found");
    assert_eq!(scene.run(&of_organization).status, 200);
    scene.world.database.execute(&format!(
        "INSERT INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at)
         VALUES ('{}', '{user}', '{organization}', 'user', 'read', 0)",
        scene.live
    ));
    assert_eq!(scene.run(&colleague).status, 200);
    assert_problem(&scene.world.post(&scene.path("/regenerate"), &colleague, &Value::Null), 403, "read_only");
    for below in ["/activate", "/deactivate"] {
        assert_problem(&scene.world.post(&scene.path(below), &colleague, &Value::Null), 403, "read_only");
    }
    let patch = scene.world.call("PATCH", &scene.path(""), &colleague, &json!({ "name": "mine" }));
    assert_problem(&patch, 403, "read_only");
    let listed = scene.world.get("/api/live-evaluations", &colleague).json;
    assert_eq!(listed["items"][0]["public_id"], json!(scene.live));
    scene.world.database.execute("DELETE FROM shares");
    assert_problem(&scene.run(&colleague), 404, "not_found");
    assert_eq!(scene.world.get("/api/live-evaluations", &colleague).json["items"], json!([]));
}

#[test]
fn live_evaluation_of_a_deleted_project_does_not_run() {
    let world = World::new();
    let owner = world.bootstrap();
    let project = world.project(&owner, "p");
    let body = json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": ["evaluations:write", "live-evaluations:write", "live-evaluations:execute"] });
    let (_, of_project) = world.create_from(&owner, &body);
    let (live, key) = world.live_evaluation(&of_project);
    assert_eq!(world.judge(&key, &live, "why").status, 200);
    assert_eq!(world.verify(&owner, &key, &[])["code"], "valid");
    let quiet = world.another_isolate();
    assert_eq!(quiet.verify(&owner, &key, &[])["code"], "valid");
    world.database.execute("UPDATE projects SET deleted_at = 1");
    let strong = json!({ "key": key, "freshness": "strong" });
    assert_eq!(world.post("/v1/keys/verify", &owner, &strong).json["code"], "project_deleted");
    quiet.advance_ms(5_001);
    assert_eq!(quiet.verify(&owner, &key, &[])["code"], "project_deleted");
    assert_problem(&world.judge(&key, &live, "why"), 401, "project_deleted");
    assert_problem(&world.judge(&owner, &live, "why"), 404, "not_found");
    // Its list says so, too.
    let keys = world.get("/v1/keys", &owner).json;
    let of_kind = |kind: &str| {
        let keys = keys["items"].as_array().unwrap().iter();
        keys.filter(|key| key["kind"] == kind).map(|key| key["status"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of_kind("sk"), ["project_deleted"]);
    assert!(of_kind("proj").iter().all(|status| *status == "project_deleted"));
    assert_eq!(of_kind("pat"), ["active"]);
}

#[test]
fn admins_see_and_end_the_key_like_any_other_and_members_do_not() {
    let scene = Scene::new();
    let id = scene.key_id();
    let path = format!("/v1/keys/{id}");
    let (_, _, admin) = scene.world.colleague(&scene.owner, "admin");
    let (_, _, member) = scene.world.colleague(&scene.owner, "member");
    let key = scene.world.get(&path, &admin).json;
    assert_eq!(
        (&key["kind"], &key["live_evaluation_id"], &key["scopes"], &key["role"]),
        (&json!("sk"), &json!(scene.live), &json!(["live-evaluations:execute"]), &json!("member"))
    );
    let ids = |by: &str| {
        let keys = scene.world.get("/v1/keys", by).json["items"].clone();
        keys.as_array().unwrap().iter().any(|key| key["id"] == json!(id))
    };
    assert!(ids(&admin) && !ids(&member));
    for (method, below) in [("GET", ""), ("DELETE", ""), ("POST", "/rotate")] {
        let body = if method == "POST" { json!({}) } else { Value::Null };
        assert_problem(&scene.world.call(method, &format!("{path}{below}"), &member, &body), 404, "not_found");
    }
    let verified = scene.world.verify(&admin, &scene.key, &["live-evaluations:execute"]);
    assert_eq!((&verified["valid"], &verified["owner"]["live_evaluation_id"]), (&json!(true), &json!(scene.live)));

    let scopes = scene.world.call("PATCH", &path, &admin, &json!({ "scopes": ["datasets:read"] }));
    assert_problem(&scopes, 400, "validation_failed");
    assert_eq!(scopes.field(), "scopes");
    scene.world.change(&admin, &id, &json!({ "enabled": false }));
    assert_problem(&scene.run(&scene.key), 401, "key_disabled");
    scene.world.change(&admin, &id, &json!({ "enabled": true, "name": "other" }));
    let rotated = scene.world.post(&format!("{path}/rotate"), &admin, &json!({ "grace_period_seconds": 60 }));
    assert_eq!(rotated.status, 200, "{}", rotated.json);
    for key in [&scene.key, &rotated.text("key")] {
        assert_eq!(scene.run(key).status, 200);
    }
    scene.world.revoke(&admin, &id);
    for key in [&scene.key, &rotated.text("key")] {
        assert_problem(&scene.run(key), 401, "key_revoked");
    }
    assert_eq!(scene.details()["api_key_preview"], Value::Null);
    let new = scene.post("/regenerate");
    assert_eq!(scene.run(&new.text("api_key")).status, 200, "also when there was none any more");
}

#[test]
fn no_key_of_kind_sk_is_made_by_hand() {
    let scene = Scene::new();
    let answer = scene.world.post("/v1/keys", &scene.owner, &json!({ "name": "sk", "kind": "sk", "scopes": [] }));
    assert_problem(&answer, 400, "validation_failed");
    assert!(answer.detail().contains("POST /api/live-evaluations"), "{}", answer.json);
}

#[test]
fn of_two_who_regenerate_at_once_one_does_and_there_is_one_key() {
    let scene = Scene::new();
    let isolate = || {
        let mut world = scene.world.another_isolate();
        world.get("/v1/scopes", &scene.owner);
        world.before_batches(|_, _| {});
        world
    };
    let worlds = [isolate(), isolate()];
    let request = request("POST", &scene.path("/regenerate"), &scene.owner, &Value::Null);
    let answers = block_on(join_all(worlds.iter().map(|world| entry::handle(&world.app, &request))));
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    scene.key_id();
    let sql = "SELECT json_group_array(revoked_at IS NULL) FROM (SELECT revoked_at FROM keys WHERE kind = 'sk' ORDER BY revoked_at IS NULL)";
    assert_eq!(scene.world.database.value(sql), json!("[0,1]"));
}

#[test]
fn regenerating_what_is_changed_meanwhile_ends_no_key() {
    let mut scene = Scene::new();
    scene.world.get("/v1/scopes", &scene.owner);
    scene.world.meddle(1, "UPDATE live_evaluations SET updated_at = updated_at + 1");
    assert_problem(&scene.post("/regenerate"), 409, "conflict");
    assert_eq!(scene.run(&scene.key).status, 200);
}

#[test]
fn each_run_costs_one_credit_and_none_is_overdrawn() {
    let scene = Scene::new();
    scene.set_credits(10);
    let isolate = || {
        let mut world = scene.world.another_isolate();
        world.get("/v1/scopes", &scene.owner);
        // Each batch lets the others take a turn.
        world.before_batches(|_, _| {});
        world
    };
    let worlds: Vec<World> = (0..30).map(|_| isolate()).collect();
    let path = format!("/api/eval/{}", scene.live);
    let run = request("POST", &path, &scene.key, &json!({ "inputs": { "user_query": "why" } }));
    let answers = block_on(join_all(worlds.iter().map(|world| entry::handle(&world.app, &run))));
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(402)), (10, 20));
    assert_eq!((scene.credits(), scene.runs("completed")), (json!(0), json!(10)));
    assert_problem(&scene.run(&scene.owner), 402, "insufficient_credits");
    scene.world.database.execute("UPDATE organizations SET credits = NULL");
    assert_eq!(scene.run(&scene.key).status, 200);
    assert_eq!(scene.credits(), Value::Null);
}

#[test]
fn run_that_is_stopped_before_it_is_stored_costs_nothing() {
    for (sql, status, code) in [
        ("UPDATE live_evaluations SET active = 0", 409, "live_evaluation_inactive"),
        ("UPDATE organizations SET credits = 0", 402, "insufficient_credits"),
        ("UPDATE live_evaluations SET user_id = NULL", 404, "not_found"),
    ] {
        let mut scene = Scene::new();
        scene.set_credits(3);
        scene.world.get("/v1/scopes", &scene.owner);
        scene.world.meddle(1, sql);
        assert_problem(&scene.run(&scene.owner), status, code);
        assert_eq!(scene.world.database.count("runs"), 0, "{sql}");
        assert!(scene.credits() == json!(3) || sql.contains("credits"), "{sql}");
    }
}

#[test]
fn run_costs_two_round_trips() {
    let scene = Scene::new();
    scene.run(&scene.key);
    assert_eq!(scene.world.counted(|| scene.run(&scene.key)).1, (2, 0, 0));
}

fn with_key(mut request: Request, key: &str) -> Request {
    request.headers.push(("idempotency-key".to_owned(), key.to_owned()));
    request
}

#[test]
fn repeated_run_costs_nothing_more() {
    let scene = Scene::new();
    scene.set_credits(1);
    let path = format!("/api/eval/{}", scene.live);
    let run = with_key(request("POST", &path, &scene.key, &json!({ "inputs": { "user_query": "why" } })), "k");
    let (first, second) = (scene.world.send(&run), scene.world.send(&run));
    assert_eq!((first.status, &first.json), (second.status, &second.json));
    assert_eq!((scene.credits(), first.status), (json!(0), 200));
    scene.world.database.execute("UPDATE runs SET state = 'running', judgment = NULL, passed = NULL");
    let answer = scene.world.send(&run);
    assert_problem(&answer, 409, "run_in_progress");
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (Some("2"), None));
    scene.world.database.execute("UPDATE runs SET state = 'failed'; UPDATE organizations SET credits = 1");
    let (third, fourth) = (scene.world.send(&run), scene.world.send(&run));
    assert_eq!((third.status, &third.json), (200, &fourth.json), "another try, once");
    assert_ne!(third.json["public_id"], first.json["public_id"]);
    assert_eq!((scene.credits(), scene.runs("completed")), (json!(0), json!(1)));
    scene.world.database.execute("DELETE FROM runs");
    assert_problem(&scene.world.send(&run), 409, "idempotency_key_spent");
}

/// What a model says that finds it good.
fn good() -> Turn {
    Turn::says(&json!({ "verdict": "pass", "explanation": "It says please." }))
}

#[test]
fn run_that_a_model_judges_costs_three_round_trips_and_one_credit() {
    let mut scene = Scene::of_a_model();
    scene.set_credits(1);
    scene.world.get("/v1/scopes", &scene.key);
    Model::of(&mut scene.world, [good()]);
    let (answer, io) = scene.world.counted(|| scene.run(&scene.key));
    assert_eq!((answer.status, io), (200, (3, 0, 0)), "{}", answer.json);
    assert_eq!((&answer.json["explanation"], scene.credits()), (&json!("It says please."), json!(0)));
    let stored = scene.world.get(&format!("/api/results/{}", answer.text("public_id")), &scene.owner).json;
    for field in ["state", "judgment", "passed", "explanation", "created_at", "finished_at"] {
        assert_eq!(stored[field], answer.json[field], "{field}");
    }
    assert_eq!(stored["state"], "completed");
}

#[test]
fn verdict_is_given_only_if_the_key_is_still_good() {
    for (sql, status) in [
        ("UPDATE keys SET revoked_at = 1 WHERE kind = 'sk'", 401),
        ("UPDATE keys SET disabled_at = 1 WHERE kind = 'sk'", 401),
        ("UPDATE organizations SET suspended_at = 1", 403),
        ("UPDATE keys SET name = 'renamed' WHERE kind = 'sk'", 200),
    ] {
        let mut scene = Scene::of_a_model();
        scene.set_credits(2);
        scene.world.get("/v1/scopes", &scene.key);
        Model::of(&mut scene.world, [good()]);
        scene.world.meddle(2, sql);
        let answer = scene.run(&scene.key);
        assert_eq!(answer.status, status, "{sql}: {}", answer.json);
        assert!(status == 200 || !answer.json.to_string().contains("please"), "{sql}");
        assert_eq!((scene.credits(), scene.runs("completed")), (json!(1), json!(1)), "stored and paid for once: {sql}");
    }
}

#[test]
fn run_that_the_sweep_has_ended_is_not_completed() {
    let mut scene = Scene::of_a_model();
    scene.set_credits(2);
    scene.world.get("/v1/scopes", &scene.key);
    Model::of(&mut scene.world, [good()]);
    scene.world.meddle(2, "UPDATE runs SET state = 'failed'; UPDATE organizations SET credits = credits + 1");
    assert_problem(&scene.run(&scene.key), 503, "unavailable");
    assert_eq!((scene.credits(), scene.runs("failed")), (json!(2), json!(1)));
}

#[test]
fn run_whose_model_fails_has_failed_and_its_credit_is_back() {
    let scene = Scene::of_a_model();
    scene.set_credits(1);
    let path = format!("/api/eval/{}", scene.live);
    let run = with_key(request("POST", &path, &scene.key, &json!({ "inputs": { "user_query": "why" } })), "k");
    for failed in 1..3 {
        // With the same Idempotency-Key it is tried again.
        assert_problem(&scene.world.send(&run), 503, "judge_not_configured");
        assert_eq!((scene.credits(), scene.runs("failed"), scene.runs("running")), (json!(1), json!(failed), json!(0)));
    }
}

#[test]
fn question_is_paid_for_unless_no_answer_has_arrived() {
    let no = || Turn::Fails(UpstreamError::Failed("no connection".to_owned()));
    let useless = || Turn::says(&json!({ "verdict": "maybe", "explanation": "" }));
    let late = || Turn::Fails(UpstreamError::TimedOut);
    let cases: [(&dyn Fn() -> Vec<Turn>, i64); 8] = [
        (&|| vec![useless(), useless()], 0),
        (&|| vec![no(), useless(), no()], 0),
        (&|| vec![Turn::Hangs, Turn::Hangs], 0),
        (&|| vec![Turn::Answers(200, Vec::new(), b"?".to_vec()), no(), no()], 0),
        (&|| vec![no(), no(), no()], 1),
        (&|| vec![late(), late()], 1),
        (&|| vec![Turn::BreaksOff, Turn::status(503), Turn::status(429)], 1),
        (&|| vec![Turn::status(400)], 1),
    ];
    for (number, (turns, left)) in cases.into_iter().enumerate() {
        let mut scene = Scene::of_a_model();
        scene.set_credits(1);
        scene.world.get("/v1/scopes", &scene.key);
        let model = Model::of(&mut scene.world, turns());
        assert_problem(&scene.run(&scene.key), 503, "judge_unavailable");
        assert_eq!((scene.credits(), scene.runs("failed")), (json!(left), json!(1)), "{number}");
        assert_eq!(model.asked.borrow().len(), turns().len(), "{number}");
        // No more is asked than is paid for.
        if left == 0 {
            let asked = model.asked.borrow().len();
            let answer = scene.run(&scene.key);
            assert_problem(&answer, 402, "insufficient_credits");
            assert!(answer.json["detail"].as_str().unwrap().contains("0 credits"), "{}", answer.json);
            assert_eq!(model.asked.borrow().len(), asked);
        }
    }
}

#[test]
fn run_beyond_the_limit_of_questions_is_neither_stored_nor_charged() {
    for (mut scene, status) in [(Scene::of_a_model(), 429), (Scene::new(), 200)] {
        scene.set_credits(1);
        scene.world.app.limiter = Limits::new(Limit::Questions, 0);
        assert_eq!(scene.run(&scene.key).status, status, "a rule asks no model");
        let left = i64::from(status == 429);
        assert_eq!((scene.credits(), scene.world.database.count("runs")), (json!(left), 1 - left));
    }
}

#[test]
fn broken_off_run_fails_after_ten_minutes_and_stays_paid_for() {
    let mut scene = Scene::of_a_model();
    scene.set_credits(700);
    scene.world.get("/v1/scopes", &scene.key);
    // It dies behind the batch that has paid.
    let mut dying = scene.world.another_isolate();
    dying.before_batches(|database, number| database.down.set(number > 2));
    assert_eq!(dying.judge(&scene.key, &scene.live, "why").status, 503);
    scene.world.database.down.set(false);
    assert_eq!((scene.credits(), scene.runs("running")), (json!(699), json!(1)));
    // Many of them, of two organizations, one of which has as many as it likes.
    let organization = scene.world.organization("Others");
    scene.world.database.execute(&format!(
        "INSERT INTO runs (id, organization_id, live_evaluation_id, evaluation_id, key_id, state, inputs, charged, created_at)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
         SELECT 'run_' || i, iif(i % 2, '{organization}', organization_id), live_evaluation_id, evaluation_id, key_id, state, inputs, i % 2 = 0, created_at FROM n, runs"
    ));
    let sweep = |world: &World| block_on(world.app.sweep(chores())).unwrap().rows("runs_failed");
    scene.world.advance_ms(10 * 60 * 1000 - 1);
    assert_eq!(sweep(&scene.world), 0);
    scene.world.advance_ms(1);
    assert_eq!((sweep(&scene.world), sweep(&scene.world)), (601, 0));
    assert_eq!((scene.runs("running"), scene.runs("failed")), (json!(0), json!(601)));
    let credits =
        |id: &str| scene.world.database.value(&format!("SELECT credits FROM organizations WHERE operator = {id}"));
    assert_eq!((credits("1"), credits("0")), (json!(699), Value::Null));
    scene.world = scene.world.another_isolate();
    assert_eq!(scene.run(&scene.key).status, 503, "and no model is there still");
}

#[test]
fn inactive_subscription_stops_its_key_too() {
    let scene = Scene::new();
    scene.world.database.execute("UPDATE organizations SET subscription = 'inactive'");
    for by in [&scene.key, &scene.owner] {
        assert_problem(&scene.run(by), 402, "subscription_inactive");
    }
}
