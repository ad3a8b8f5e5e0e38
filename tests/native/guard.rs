//! The guard: a key that was good a moment ago, and is not any more, neither reads nor writes.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::{
    Snapshot, World,
    problem::assert_problem,
    request,
    routes::{RouteCall, Targets, every_key_route, prepared},
};

/// A world in which a colleague, who may do everything, has just made a request: this isolate's
/// memory vouches for his key.
struct Scene {
    world: World,
    user_id: String,
    key_id: String,
    key: String,
    targets: Targets,
}

impl Scene {
    fn new() -> Self {
        static BEFORE: LazyLock<(Snapshot, [String; 3], Targets)> = LazyLock::new(before);
        let (snapshot, [user_id, key_id, key], targets) = &*BEFORE;
        let world = World::restored(snapshot);
        assert_eq!(world.get("/v1/scopes", key).status, 200);
        assert_eq!(world.counted(|| world.get("/v1/scopes", key)).1, (0, 0, 0));
        let [user_id, key_id, key] = [user_id, key_id, key].map(Clone::clone);
        Self { world, user_id, key_id, key, targets: targets.clone() }
    }

    fn routes(&self) -> Vec<RouteCall> {
        every_key_route(&self.targets)
    }

    /// All that the database holds, but for what happens to the colleague's key.
    fn everything_else(&self) -> String {
        let dump = self.world.database.dump();
        let own = |line: &&str| {
            line.contains(&self.key_id)
                || line.starts_with("changes|")
                || line.starts_with("usage|")
                || line.starts_with("sqlite_")
        };
        dump.lines().filter(|line| !own(line)).collect::<Vec<_>>().join("\n")
    }

    /// What somebody else does to the colleague's key, and what he must be answered then.
    fn endings(&self) -> Vec<(String, u16, &'static str)> {
        let key = format!("WHERE id = '{}'", self.key_id);
        let now = self.world.clock.0.get().0;
        vec![
            (format!("UPDATE keys SET revoked_at = {now} {key}"), 401, "key_revoked"),
            (format!("UPDATE keys SET disabled_at = {now} {key}"), 401, "key_disabled"),
            (format!("UPDATE keys SET expires_at = {now} {key}"), 401, "api_key_expired"),
            (format!("UPDATE keys SET scopes = '[]' {key}"), 403, "insufficient_scope"),
            (format!("DELETE FROM keys {key}"), 401, "invalid_api_key"),
            (format!("DELETE FROM memberships WHERE user_id = '{}'", self.user_id), 401, "user_removed"),
            (format!("UPDATE organizations SET suspended_at = {now}"), 403, "organization_suspended"),
        ]
    }
}

/// A world with a colleague, the ids of him and of his key, its text, and the targets.
fn before() -> (Snapshot, [String; 3], Targets) {
    let (world, owner, targets) = prepared();
    let (user_id, key_id, key) = world.colleague(&owner, "owner");
    // What is shared with somebody he cannot share on, so this becomes his.
    for (table, id) in [
        ("datasets", &targets.dataset),
        ("evaluations", &targets.evaluation),
        ("live_evaluations", &targets.live_evaluation),
    ] {
        world.database.execute(&format!("UPDATE {table} SET user_id = '{user_id}' WHERE id = '{id}'"));
    }
    (world.snapshot(), [user_id, key_id, key], targets)
}

#[test]
fn every_route_that_asks_the_database_refuses_a_key_that_has_just_ended() {
    let endings = Scene::new().endings().len();
    for (index, route) in Scene::new().routes().iter().enumerate() {
        // The revocation, and one of the others in turn: what the guard asks is the same for all routes.
        for ending in [0, 1 + index % (endings - 1)] {
            let scene = Scene::new();
            let (sql, status, code) = &scene.endings()[ending];
            scene.world.database.execute(sql);
            let before = scene.world.database.dump();
            let (answer, io) = scene.world.counted(|| route.send(&scene.world, &scene.key));
            if route.known.round_trips == 0 {
                // A route that needs no database cannot know within the staleness bound.
                assert_eq!((answer.status, io), (200, (0, 0, 0)), "{route}");
                continue;
            }
            if *code == "insufficient_scope" && route.access == "any key" {
                assert_eq!(answer.status, 200, "{route}: {}", answer.json);
                continue;
            }
            assert_problem(&answer, *status, code);
            assert_eq!(scene.world.database.dump(), before, "{route} {sql}");
        }
    }
}

#[test]
fn every_batch_of_every_route_is_guarded() {
    for route in Scene::new().routes() {
        for pass in 0.. {
            let mut scene = Scene::new();
            let sql = format!("UPDATE keys SET revoked_at = 1 WHERE id = '{}'", scene.key_id);
            scene.world.meddle(pass, &sql);
            let before = scene.everything_else();
            let (answer, io) = scene.world.counted(|| route.send(&scene.world, &scene.key));
            if io.0 <= pass {
                // The route has no batch more: all were tried.
                break;
            }
            assert_problem(&answer, 401, "key_revoked");
            assert_eq!(scene.everything_else(), before, "{route}");
        }
    }
}

#[test]
fn both_batches_of_a_braintrust_list_by_organization_are_guarded() {
    for pass in 0..2 {
        let mut scene = Scene::new();
        let sql = format!("UPDATE keys SET revoked_at = 1 WHERE id = '{}'", scene.key_id);
        scene.world.meddle(pass, &sql);
        assert_problem(&scene.world.get("/v1/api_key?org_name=Acme", &scene.key), 401, "key_revoked");
    }
}

#[test]
fn every_route_goes_on_after_a_harmless_change_of_the_key() {
    for route in Scene::new().routes() {
        let scene = Scene::new();
        let rename = format!("UPDATE keys SET name = 'renamed' WHERE id = '{}'", scene.key_id);
        scene.world.database.execute(&rename);
        let answer = route.send(&scene.world, &scene.key);
        assert!(answer.status < 300, "{route}: {}", answer.json);
        let events = format!("SELECT count(*) FROM audit_events WHERE actor_id = '{}'", scene.key_id);
        assert_eq!(scene.world.database.value(&events), json!(route.known.events), "{route}");
    }
}

#[test]
fn a_lowered_role_holds_at_once() {
    let scene = Scene::new();
    let sql = format!("UPDATE memberships SET role = 'member' WHERE user_id = '{}'", scene.user_id);
    scene.world.database.execute(&sql);
    let path = format!("/v1/keys/{}", scene.targets.id);
    assert_problem(&scene.world.call("DELETE", &path, &scene.key, &Value::Null), 404, "not_found");
    let keys = scene.world.get("/v1/keys", &scene.key).json;
    assert_eq!(keys["items"].as_array().unwrap().len(), 1, "his own alone");
}

#[test]
fn a_strong_question_of_a_key_that_has_just_ended_is_refused() {
    let scene = Scene::new();
    scene.world.verify(&scene.key, &scene.targets.key, &[]);
    scene.world.database.execute(&scene.endings()[0].0);
    let body = json!({ "key": scene.targets.key, "freshness": "strong" });
    assert_problem(&scene.world.send(&request("POST", "/v1/keys/verify", &scene.key, &body)), 401, "key_revoked");
}

#[test]
fn a_snapshot_from_before_the_feeds_oldest_change_does_not_pass() {
    let scene = Scene::new();
    let now = scene.world.clock.0.get().0;
    // The revocation's own change is pruned away, as if this isolate had slept through all of it.
    scene.world.database.execute(&format!(
        "UPDATE keys SET revoked_at = {now} WHERE id = '{}';
         DELETE FROM changes",
        scene.key_id
    ));
    assert_problem(&scene.world.get("/v1/keys", &scene.key), 401, "key_revoked");
}
