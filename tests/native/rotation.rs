//! Rotation in place: the same key with a new secret, and an outgoing one that ends in time.

use bitting::entry::{self, chores};
use bitting_keys::app::sweep::Swept;
use futures::{executor::block_on, future::join};
use serde_json::{Value, json};

use crate::{
    errors::UNKNOWN,
    support::{Answer, Rows, START, World, problem::assert_problem, read, request},
};

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A world with an owner's key, and a key to rotate.
struct Scene {
    world: World,
    owner: String,
    id: String,
    old: String,
}

impl Scene {
    fn new() -> Self {
        Self::with(&json!({ "name": "ci", "scopes": ["datasets:read"], "label": "prod" }))
    }

    fn with(body: &Value) -> Self {
        let world = World::new();
        let owner = world.bootstrap();
        let (id, old) = world.create_from(&owner, body);
        Self { world, owner, id, old }
    }

    fn path(&self, end: &str) -> String {
        format!("/v1/keys/{}{end}", self.id)
    }

    /// Rotates the key and expects that to work; gives the answer and the new secret.
    #[track_caller]
    fn rotate(&self, body: &Value) -> (Value, String) {
        let answer = self.world.post(&self.path("/rotate"), &self.owner, body);
        assert_eq!(answer.status, 200, "{}", answer.json);
        let new = answer.text("key");
        (answer.json, new)
    }

    fn end(&self, how: &str) -> Answer {
        self.world.post(&self.path(how), &self.owner, &Value::Null)
    }

    fn shown(&self) -> Value {
        self.world.get(&self.path(""), &self.owner).json
    }

    /// What verification says of a secret in the world's own isolate, which heard of each change at once.
    fn code(&self, key: &str) -> String {
        code(&self.world, &self.owner, key)
    }
}

fn code(world: &World, by: &str, key: &str) -> String {
    world.verify(by, key, &[])["code"].as_str().unwrap().to_owned()
}

fn hour() -> Value {
    json!({ "grace_period_seconds": 3_600 })
}

#[test]
fn rotation_without_grace_keeps_the_key_and_ends_its_secret_at_once() {
    let scene = Scene::new();
    let number =
        |scene: &Scene| scene.world.database.value(&format!("SELECT number FROM keys WHERE id = '{}'", scene.id));
    let (before, number_before) = (scene.shown(), number(&scene));
    scene.world.advance_ms(5);
    let (mut rotated, new) = scene.rotate(&json!({}));
    assert!(new.starts_with("bit_prod_pat_") && new != scene.old, "{new}");
    rotated.as_object_mut().unwrap().remove("key");
    let mut expected = before;
    expected["preview"] = json!(format!("{}…{}", &new[..12], &new[new.len() - 4..]));
    expected["updated_at"] = json!("2027-01-15T08:00:00.005Z");
    assert_eq!(rotated, expected);
    assert_eq!(scene.shown(), expected);
    assert_eq!(number(&scene), number_before);
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("key_rotated".into(), "valid".into()));
    let events = scene.world.get(&scene.path("/events"), &scene.owner).json;
    let actions: Vec<&Value> = events["items"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["key.rotated", "key.created"]);
    assert_eq!(scene.end("/rotate/cancel").code(), "no_rotation");
}

#[test]
fn other_isolates_refuse_a_secret_that_was_rotated_out_within_the_bound() {
    let scene = Scene::new();
    let other = scene.world.another_isolate();
    assert_eq!(code(&other, &scene.owner, &scene.old), "valid");
    other.settle();
    let (_, new) = scene.rotate(&json!({}));
    assert_eq!(code(&other, &scene.owner, &new), "valid", "the new secret needs no time to arrive");
    scene.world.advance_ms(5_001);
    assert_eq!(code(&other, &scene.owner, &scene.old), "key_rotated");
    assert_problem(&other.get("/v1/keys/self", &scene.old), 401, "key_rotated");
}

#[test]
fn guarded_routes_refuse_a_secret_that_was_just_rotated_out() {
    let scene = Scene::new();
    let other = scene.world.another_isolate();
    assert_eq!(other.get("/v1/scopes", &scene.old).status, 200);
    scene.rotate(&json!({}));
    assert_problem(&other.get("/v1/keys/self", &scene.old), 401, "key_rotated");
}

#[test]
fn grace_lets_both_secrets_work_until_its_millisecond_without_a_sweep() {
    let scene = Scene::new();
    let (rotated, new) = scene.rotate(&hour());
    assert_eq!(
        rotated["rotation"],
        json!({
            "rotates_at": "2027-01-15T09:00:00.000Z",
            "outgoing_preview": format!("{}…{}", &scene.old[..12], &scene.old[scene.old.len() - 4..]),
            "outgoing_last_used_at": null,
            "outgoing_last_used_from": null,
            "outgoing_uses": 0,
        })
    );
    for ms in [0, HOUR_MS - 1] {
        scene.world.clock.0.set(START.plus_ms(ms));
        let (old, new) = (scene.world.verify(&scene.owner, &scene.old, &[]), scene.code(&new));
        assert_eq!((&old["code"], &old["outgoing_until"]), (&json!("valid"), &rotated["rotation"]["rotates_at"]));
        assert_eq!(new, "valid");
    }
    scene.world.advance_ms(1);
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("key_rotated".into(), "valid".into()));
    assert_problem(&scene.world.get("/v1/keys/self", &scene.old), 401, "key_rotated");
    assert_problem(&scene.world.another_isolate().get("/v1/keys/self", &scene.old), 401, "key_rotated");
    assert_eq!(scene.shown()["rotation"], Value::Null);
}

#[test]
fn deadline_of_the_outgoing_secret_holds_in_what_kv_returns() {
    let scene = Scene::new();
    scene.rotate(&hour());
    let isolate = || {
        let world = scene.world.another_isolate();
        assert_eq!(world.get("/v1/scopes", &scene.owner).status, 200);
        world
    };
    let filling = isolate();
    assert_eq!(code(&filling, &scene.owner, &scene.old), "valid");
    filling.settle();
    scene.world.advance_ms(HOUR_MS);
    let answer = isolate().verify(&scene.owner, &scene.old, &[]);
    assert_eq!((&answer["source"], &answer["code"]), (&json!("kv"), &json!("key_rotated")));
}

#[test]
fn outgoing_secret_never_outlives_the_key() {
    let scene = Scene::with(&json!({ "name": "ci", "scopes": [], "expires_in_days": 1 }));
    let (rotated, new) = scene.rotate(&json!({ "grace_period_seconds": 2 * DAY_MS / 1000 }));
    assert_eq!(rotated["rotation"]["rotates_at"], rotated["expires_at"]);
    // An expiry that comes later, but lies earlier, ends both.
    scene.world.change(&scene.owner, &scene.id, &json!({ "expires_at": "2027-01-15T10:00:00Z" }));
    scene.world.advance_ms(2 * HOUR_MS - 1);
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("valid".into(), "valid".into()));
    scene.world.advance_ms(1);
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("api_key_expired".into(), "api_key_expired".into()));
    // A later expiry gives the outgoing secret no more time than it was promised.
    scene.world.change(&scene.owner, &scene.id, &json!({ "expires_at": null }));
    scene.world.clock.0.set(START.plus_ms(DAY_MS));
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("key_rotated".into(), "valid".into()));
}

#[test]
fn answers_to_the_outgoing_secret_carry_a_warning_and_its_uses_are_counted() {
    let scene = Scene::new();
    let (_, new) = scene.rotate(&hour());
    let world = scene.world.another_isolate();
    for path in ["/v1/scopes", "/v1/keys/self"] {
        let answer = world.get(path, &scene.old);
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!(answer.header("sunset"), Some("Fri, 15 Jan 2027 09:00:00 GMT"));
        let warning = answer.header("x-api-key-warning").unwrap();
        assert!(warning.contains("2027-01-15T09:00:00.000Z"), "{warning}");
        let answer = world.get(path, &new);
        assert_eq!((answer.header("sunset"), answer.header("x-api-key-warning")), (None, None));
    }
    world.settle();
    world.advance_ms(60_000);
    world.get("/v1/scopes", &scene.old);
    world.settle();
    let shown = scene.shown();
    assert_eq!(shown["rotation"]["outgoing_uses"], 3);
    assert_eq!(shown["rotation"]["outgoing_last_used_at"], "2027-01-15T08:01:00.000Z");
    assert_eq!(shown["last_used_at"], "2027-01-15T08:00:00.000Z", "the new secret's, from the same write");
}

#[test]
fn finish_ends_the_outgoing_secret_at_once() {
    let scene = Scene::new();
    let (_, new) = scene.rotate(&hour());
    let other = scene.world.another_isolate();
    assert_eq!(code(&other, &scene.owner, &scene.old), "valid");
    let finished = scene.end("/rotate/finish");
    assert_eq!((finished.status, &finished.json["rotation"]), (200, &Value::Null));
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("key_rotated".into(), "valid".into()));
    other.later.drop_all();
    scene.world.advance_ms(5_001);
    assert_eq!(code(&other, &scene.owner, &scene.old), "key_rotated");
    assert_eq!(code(&other, &scene.owner, &new), "valid");
    for how in ["/rotate/finish", "/rotate/cancel"] {
        assert_problem(&scene.end(how), 409, "no_rotation");
    }
}

#[test]
fn cancel_ends_the_new_secret_and_restores_the_old() {
    let scene = Scene::new();
    let mut before = scene.shown();
    let (_, new) = scene.rotate(&hour());
    let other = scene.world.another_isolate();
    assert_eq!(code(&other, &scene.owner, &new), "valid");
    let cancelled = scene.end("/rotate/cancel").json;
    before["updated_at"] = cancelled["updated_at"].clone();
    assert_eq!(cancelled, before);
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("valid".into(), "key_rotated".into()));
    other.later.drop_all();
    scene.world.advance_ms(2 * HOUR_MS);
    assert_eq!(code(&other, &scene.owner, &new), "key_rotated");
    assert_eq!(code(&other, &scene.owner, &scene.old), "valid");
    let answer = scene.world.get("/v1/keys/self", &scene.old);
    assert_eq!((answer.status, answer.header("sunset")), (200, None));
    assert_problem(&scene.end("/rotate/cancel"), 409, "no_rotation");
}

#[test]
fn expired_key_is_revived_by_a_new_expiry_alone_and_without_grace() {
    let scene = Scene::with(&json!({ "name": "ci", "scopes": [], "expires_in_days": 1 }));
    scene.world.advance_ms(DAY_MS);
    block_on(scene.world.app.sweep(chores())).unwrap();
    for (body, field) in [
        (json!({}), "expires_at"),
        (json!({ "expires_in_days": 1, "grace_period_seconds": 1 }), "grace_period_seconds"),
        (json!({ "expires_at": "2027-01-16T08:00:00Z" }), "expires_at"),
    ] {
        let answer = scene.world.post(&scene.path("/rotate"), &scene.owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field);
    }
    let (rotated, new) = scene.rotate(&json!({ "expires_in_days": 1 }));
    assert_eq!((&rotated["status"], &rotated["expires_at"]), (&json!("active"), &json!("2027-01-17T08:00:00.000Z")));
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("key_rotated".into(), "valid".into()));
    scene.world.advance_ms(DAY_MS);
    assert_eq!(
        block_on(scene.world.app.sweep(chores())).unwrap().rows("keys_expired"),
        1,
        "its new expiry is recorded, too"
    );
}

#[test]
fn expiry_is_kept_changed_or_removed_as_asked() {
    let scene = Scene::with(&json!({ "name": "ci", "scopes": [], "expires_in_days": 1 }));
    for (body, expires_at) in [
        (json!({}), json!("2027-01-16T08:00:00.000Z")),
        (json!({ "expires_in_days": 2 }), json!("2027-01-17T08:00:00.000Z")),
        (json!({ "expires_at": null }), Value::Null),
    ] {
        assert_eq!(scene.rotate(&body).0["expires_at"], expires_at, "{body}");
    }
    for (grace, good) in [(-1, false), (0, true), (365 * 86_400 + 1, false), (i64::MAX, false), (365 * 86_400, true)] {
        let body = json!({ "grace_period_seconds": grace });
        let answer = scene.world.post(&scene.path("/rotate"), &scene.owner, &body);
        assert_eq!(answer.status, if good { 200 } else { 400 }, "{grace}: {}", answer.json);
        assert!(good || answer.field() == "grace_period_seconds");
    }
}

#[test]
fn disabled_key_stays_disabled() {
    let scene = Scene::new();
    scene.world.change(&scene.owner, &scene.id, &json!({ "enabled": false }));
    let (rotated, new) = scene.rotate(&hour());
    assert_eq!(rotated["status"], "disabled");
    for key in [&scene.old, &new] {
        assert_eq!(scene.code(key), "key_disabled");
    }
}

#[test]
fn revoked_key_cannot_be_rotated_and_takes_both_secrets_with_it() {
    let scene = Scene::new();
    let (_, new) = scene.rotate(&hour());
    let other = scene.world.another_isolate();
    assert_eq!(
        (code(&other, &scene.owner, &scene.old), code(&other, &scene.owner, &new)),
        ("valid".into(), "valid".into())
    );
    scene.world.revoke(&scene.owner, &scene.id);
    other.later.drop_all();
    for world in [&scene.world, &other] {
        for key in [&scene.old, &new] {
            assert_eq!(code(world, &scene.owner, key), "key_revoked");
        }
        scene.world.advance_ms(5_001);
    }
    for how in ["/rotate", "/rotate/finish", "/rotate/cancel"] {
        assert_problem(&scene.world.post(&scene.path(how), &scene.owner, &json!({})), 409, "key_revoked");
    }
}

#[test]
fn second_rotation_has_to_wait_for_the_end_of_the_first() {
    let scene = Scene::new();
    let (_, second) = scene.rotate(&hour());
    let answer = scene.world.post(&scene.path("/rotate"), &scene.owner, &json!({}));
    assert_problem(&answer, 409, "rotation_pending");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    scene.world.advance_ms(HOUR_MS - 1);
    assert_eq!(scene.world.post(&scene.path("/rotate"), &scene.owner, &json!({})).code(), "rotation_pending");
    // A rotation whose grace is over is none, also before the sweep has come by.
    scene.world.advance_ms(1);
    for how in ["/rotate/finish", "/rotate/cancel"] {
        assert_problem(&scene.end(how), 409, "no_rotation");
    }
    let (rotated, third) = scene.rotate(&hour());
    assert_eq!(rotated["rotation"]["rotates_at"], "2027-01-15T10:00:00.000Z");
    let codes = [&scene.old, &second, &third].map(|key| scene.code(key));
    assert_eq!(codes, ["key_rotated", "valid", "valid"]);
}

#[test]
fn sweep_forgets_a_lapsed_rotation_once_and_not_before() {
    let scene = Scene::new();
    let (_, new) = scene.rotate(&hour());
    let sweep = || block_on(scene.world.app.sweep(chores())).unwrap();
    scene.world.advance_ms(HOUR_MS - 1);
    assert_eq!(sweep(), Swept::default());
    scene.world.advance_ms(1);
    assert_eq!(sweep(), Swept::from([("rotations_finished", 1)]));
    assert_eq!(sweep(), Swept::default());
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("key_rotated".into(), "valid".into()));
    let left =
        format!("SELECT coalesce(rotates_at, outgoing_digest, outgoing_last4) FROM keys WHERE id = '{}'", scene.id);
    assert_eq!(scene.world.database.value(&left), Value::Null);
}

#[test]
fn of_two_rotations_at_once_one_wins() {
    let scene = Scene::new();
    let isolate = || {
        let mut world = scene.world.another_isolate();
        assert_eq!(world.get("/v1/scopes", &scene.owner).status, 200);
        // Each batch lets the other take a turn.
        world.before_batches(|_, _| {});
        world
    };
    let (one, two) = (isolate(), isolate());
    let rotate = request("POST", &scene.path("/rotate"), &scene.owner, &hour());
    let (one, two) = block_on(join(entry::handle(&one.app, &rotate), entry::handle(&two.app, &rotate)));
    let json = |body| serde_json::from_slice::<Value>(&read(body)).unwrap();
    let (winner, loser) = if one.status == 200 { (one, two) } else { (two, one) };
    assert_eq!((winner.status, loser.status), (200, 409));
    assert_eq!(json(loser.body)["error"]["code"], "conflict");
    let new = json(winner.body)["key"].as_str().unwrap().to_owned();
    scene.world.advance_ms(5_001);
    assert_eq!((scene.code(&scene.old), scene.code(&new)), ("valid".into(), "valid".into()));
    let events = "SELECT count(*) FROM audit_events WHERE action = 'key.rotated'";
    assert_eq!(scene.world.database.value(events), 1);
}

/// Whoever rotates a key is told its secret, so he must be one who could have made the key.
#[test]
fn nobody_is_told_the_secret_of_a_key_that_he_could_not_have_made() {
    let world = World::new();
    let owner = world.bootstrap();
    let make = |body: Value| world.create_from(&owner, &body);
    let org = |name: &str, scopes: &[&str]| make(json!({ "name": name, "kind": "org", "scopes": scopes }));
    let (wide, _) = org("wide", &["datasets:read", "api-keys:write"]);
    let (empty, _) = org("empty", &[]);
    let (full, _) = org("full", &[]);
    world.database.execute(&format!("UPDATE keys SET scopes = NULL WHERE id = '{full}'"));
    let personal = world.get("/v1/keys/self", &owner).text("id");
    let (lent, _) = world.create(&owner, "lent", &[]);
    let (_, _, admin) = world.colleague(&owner, "admin");
    let (_, members, member) = world.colleague(&owner, "member");
    let (_, narrow) = world.create(&owner, "narrow", &["api-keys:read", "api-keys:write"]);
    let (_, short) =
        make(json!({ "name": "short", "kind": "org", "scopes": ["api-keys:*", "datasets:*"], "expires_in_days": 1 }));
    let (_, _, stranger) = world.stranger(&owner);
    let project = world.project(&owner, "project");
    let in_project = json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": ["api-keys:*"] });
    let (sibling, _) = make(in_project.clone());
    let (_, of_project) = make(in_project);
    let before = world.database.dump();
    for (by, target, body, status, code) in [
        (&admin, &personal, json!({}), 403, "exceeds_own_access"),
        (&admin, &lent, hour(), 403, "exceeds_own_access"),
        // A personal key acts as its user, so not even an owner is told another user's.
        (&admin, &members, json!({}), 403, "exceeds_own_access"),
        (&owner, &members, json!({}), 403, "exceeds_own_access"),
        // A key that an owner made may do what owners may.
        (&admin, &empty, json!({}), 403, "exceeds_own_access"),
        (&narrow, &wide, json!({}), 403, "exceeds_own_access"),
        (&narrow, &full, json!({}), 403, "exceeds_own_access"),
        (&narrow, &personal, hour(), 403, "exceeds_own_access"),
        (&short, &wide, json!({}), 403, "exceeds_own_access"),
        (&short, &wide, json!({ "expires_in_days": 2 }), 403, "exceeds_own_access"),
        (&short, &personal, json!({ "expires_in_days": 1 }), 403, "exceeds_own_access"),
        (&of_project, &sibling, json!({}), 403, "exceeds_own_access"),
        (&of_project, &wide, json!({}), 404, "not_found"),
        (&member, &empty, json!({}), 404, "not_found"),
        (&member, &lent, json!({}), 404, "not_found"),
        (&stranger, &empty, json!({}), 404, "not_found"),
    ] {
        let answer = world.post(&format!("/v1/keys/{target}/rotate"), by, &body);
        assert_problem(&answer, status, code);
        assert!(answer.json.get("key").is_none());
    }
    assert_eq!(world.database.dump(), before);
    // What each of them could have made, each of them may rotate.
    assert_eq!(world.post(&format!("/v1/keys/{empty}/rotate"), &narrow, &json!({})).status, 200);
    assert_eq!(world.post(&format!("/v1/keys/{wide}/rotate"), &short, &json!({ "expires_in_days": 1 })).status, 200);
}

#[test]
fn outgoing_secret_makes_nothing_that_outlives_it() {
    let scene = Scene::with(&json!({ "name": "admin", "scopes": ["api-keys:*"] }));
    let (_, new) = scene.rotate(&hour());
    let own = scene.path("");
    for (method, path, body) in [
        ("POST", scene.path("/rotate/cancel"), Value::Null),
        ("POST", "/v1/keys".to_owned(), json!({ "name": "n", "scopes": [], "expires_at": null })),
        ("POST", "/v1/keys".to_owned(), json!({ "name": "n", "scopes": [], "expires_in_days": 1 })),
    ] {
        let answer = scene.world.call(method, &path, &scene.old, &body);
        assert_problem(&answer, 403, "exceeds_own_access");
    }
    // What says nothing of an expiry ends with its maker, and so in an hour.
    let (id, _) = scene.world.create(&scene.old, "heir", &[]);
    let heir = scene.world.get(&format!("/v1/keys/{id}"), &scene.owner).json;
    assert_eq!(heir["expires_at"], scene.shown()["rotation"]["rotates_at"]);
    assert_eq!(scene.world.get(&own, &new).status, 200);
}

#[test]
fn key_can_rotate_itself() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, old) = world.create(&owner, "ci", &["api-keys:read", "api-keys:write"]);
    let answer = world.post(&format!("/v1/keys/{id}/rotate"), &old, &json!({}));
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_problem(&world.get("/v1/keys/self", &old), 401, "key_rotated");
    assert_eq!(world.get("/v1/keys/self", &answer.text("key")).text("id"), id);
}

#[test]
fn rotation_goes_over_to_the_present_pepper_and_keeps_the_stem() {
    let scene = Scene::new();
    let pepper = [("KEY_PEPPER", "a pepper of the tests"), ("KEY_BRAND", "other")];
    let world = scene.world.reconfigured(&pepper);
    let rotated = world.post(&scene.path("/rotate"), &scene.owner, &hour());
    let new = rotated.text("key");
    assert!(new.starts_with("bit_prod_pat_"), "{new}");
    for key in [&scene.old, &new] {
        assert_eq!(code(&world.another_isolate(), &scene.owner, key), "valid");
    }
    let versions =
        format!("SELECT pepper_version || ' ' || outgoing_pepper_version FROM keys WHERE id = '{}'", scene.id);
    assert_eq!(world.database.value(&versions), "1 0");
    assert_eq!(world.post(&scene.path("/rotate/cancel"), &scene.owner, &Value::Null).status, 200);
    assert_eq!(code(&world, &scene.owner, &scene.old), "valid");
}

#[test]
fn every_secret_that_a_key_had_is_known_as_rotated_out_while_the_key_is_on_record() {
    let scene = Scene::new();
    let mut ended = vec![scene.old.clone()];
    for body in [json!({}), hour()] {
        ended.push(scene.rotate(&body).1);
    }
    let cancelled = ended.pop().unwrap();
    assert_eq!(scene.end("/rotate/cancel").status, 200);
    let kept = ended.pop().unwrap();
    ended.push(cancelled);
    for world in [&scene.world, &scene.world.another_isolate()] {
        for secret in &ended {
            assert_eq!(code(world, &scene.owner, secret), "key_rotated");
            assert_problem(&world.get("/v1/keys/self", secret), 401, "key_rotated");
        }
        assert_eq!(code(world, &scene.owner, &kept), "valid");
    }
    let verified = scene.world.verify(&scene.owner, &ended[0], &[]);
    assert_eq!((&verified["key_id"], verified.get("outgoing_until")), (&json!(scene.id), None));
    scene.world.revoke(&scene.owner, &scene.id);
    assert_eq!(scene.code(&ended[0]), "key_revoked");
    scene.world.database.execute(&format!("DELETE FROM keys WHERE id = '{}'", scene.id));
    assert_eq!(scene.world.database.count("ended_secrets"), 0);
    assert_eq!(code(&scene.world.another_isolate(), &scene.owner, &ended[0]), "invalid_api_key");
}

#[test]
fn attempt_with_a_secret_that_was_rotated_out_is_in_the_audit_log() {
    let scene = Scene::with(&json!({ "name": "ci", "scopes": ["api-keys:*"] }));
    scene.rotate(&json!({}));
    let body = json!({ "name": "n", "scopes": [] });
    assert_problem(&scene.world.post("/v1/keys", &scene.old, &body), 401, "key_rotated");
    scene.world.settle();
    let refused = "SELECT group_concat(actor_id || ' ' || refusal) FROM audit_events WHERE action = 'refused'";
    assert_eq!(scene.world.database.value(refused), json!(format!("{} key_rotated", scene.id)));
}

#[test]
fn secret_that_was_rotated_out_costs_no_more_than_one_that_never_was() {
    let scene = Scene::new();
    scene.rotate(&json!({}));
    let cost = |secret: &str| {
        let world = scene.world.another_isolate();
        assert_eq!(world.get("/v1/scopes", &scene.owner).status, 200);
        world.settle();
        let first = world.counted(|| world.get("/v1/scopes", secret)).1;
        world.settle();
        (first, world.counted(|| world.get("/v1/scopes", secret)).1)
    };
    let (first, again) = cost(UNKNOWN);
    let (first_ended, again_ended) = cost(&scene.old);
    assert_eq!((first.0, first.1, again), (first_ended.0, first_ended.1, again_ended));
    assert_eq!(again, (0, 0, 0));
}

#[test]
fn key_remembers_its_newest_thousand_ended_secrets() {
    let scene = Scene::new();
    let database = &scene.world.database;
    for number in 0..1_001 {
        database.execute(&format!("UPDATE keys SET digest = 'secret {number}' WHERE id = '{}'", scene.id));
    }
    assert_eq!(database.count("ended_secrets"), 1_000);
    let oldest = "SELECT digest FROM ended_secrets ORDER BY rowid LIMIT 1";
    assert_eq!(database.value(oldest), json!("secret 0"), "the first secret is forgotten");
    assert_eq!(code(&scene.world.another_isolate(), &scene.owner, &scene.old), "invalid_api_key");
}
