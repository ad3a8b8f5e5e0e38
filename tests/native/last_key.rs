//! Nobody locks an organization out without having been told.

use serde_json::{Value, json};

use crate::support::{World, problem::assert_problem};

/// An organization with its owner's key and one that can list keys only.
fn world() -> (World, String, String) {
    let world = World::new();
    let owner = world.bootstrap();
    world.create(&owner, "reader", &["api-keys:read"]);
    let id = world.get("/v1/keys/self", &owner).text("id");
    (world, owner, id)
}

#[test]
fn last_managing_key_is_neither_revoked_nor_disabled_unless_forced() {
    for (method, path, body) in [
        ("DELETE", "/v1/keys", Value::Null),
        ("DELETE", "/v1/api_key", Value::Null),
        ("PATCH", "/v1/keys", json!({ "enabled": false })),
    ] {
        let (world, owner, id) = world();
        let before = world.database.dump();
        let answer = world.call(method, &format!("{path}/{id}"), &owner, &body);
        assert_problem(&answer, 409, "last_managing_key");
        assert_eq!(world.database.dump(), before, "{method} {path}");
        let answer = world.call(method, &format!("/v1/keys/{id}?force=true"), &owner, &body);
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!(world.get("/v1/keys/self", &owner).status, 401);
    }
}

/// A key that can manage keys but nothing else, beside the owner's; gives its id.
fn managing(world: &World, owner: &str) -> String {
    world.create(owner, "managing", &["api-keys:*"]).0
}

/// Takes full access from the owner's key, so that the other one matters for managing alone.
fn narrow_owner(world: &World) {
    world.database.execute("UPDATE keys SET scopes = '[\"api-keys:*\"]' WHERE name = 'first'");
}

#[test]
fn other_key_that_can_manage_keys_makes_room() {
    for (scopes, enough) in [
        (json!(["api-keys:write"]), true),
        (json!(["datasets:read", "api-keys:*"]), true),
        (json!(["api-keys:read", "api-keys:verify", "datasets:write"]), false),
        (json!([]), false),
    ] {
        let (world, owner, id) = world();
        world.create_from(&owner, &json!({ "name": "other", "scopes": scopes }));
        narrow_owner(&world);
        let answer = world.call("DELETE", &format!("/v1/keys/{id}"), &owner, &Value::Null);
        assert_eq!(answer.status == 200, enough, "{scopes}: {}", answer.json);
    }
}

#[test]
fn last_key_with_full_access_stays_beside_others_that_can_manage_keys() {
    for (method, body) in [
        ("DELETE", Value::Null),
        ("PATCH", json!({ "enabled": false })),
        ("PATCH", json!({ "scopes": ["api-keys:*"] })),
        ("PATCH", json!({ "expires_in_days": 7 })),
    ] {
        let (world, owner, id) = world();
        managing(&world, &owner);
        let before = world.database.dump();
        let path = format!("/v1/keys/{id}");
        assert_problem(&world.call(method, &path, &owner, &body), 409, "last_managing_key");
        assert_eq!(world.database.dump(), before, "{method} {body}");
        assert_eq!(world.post("/v1/api_key", &owner, &json!({ "name": "other" })).status, 200);
        assert_eq!(world.call(method, &path, &owner, &body).status, 200, "{method} {body}");
    }
}

#[test]
fn whatever_takes_the_last_managing_key_away_is_refused() {
    for (method, path, body, taken) in [
        ("DELETE", "", Value::Null, true),
        ("PATCH", "", json!({ "enabled": false }), true),
        ("PATCH", "", json!({ "scopes": ["api-keys:read"] }), true),
        ("PATCH", "", json!({ "scopes": ["api-keys:write"] }), false),
        ("PATCH", "", json!({ "expires_at": "2027-01-15T09:00:00Z" }), true),
        ("PATCH", "", json!({ "expires_in_days": 7 }), true),
        ("PATCH", "", json!({ "expires_in_days": 8 }), false),
        ("PATCH", "", json!({ "expires_in_days": 7, "enabled": true, "name": "renamed" }), true),
        ("POST", "/rotate", json!({ "expires_in_days": 7 }), true),
        ("POST", "/rotate", json!({ "expires_in_days": 8 }), false),
        ("POST", "/rotate", json!({}), false),
    ] {
        let (world, owner, id) = world();
        narrow_owner(&world);
        let before = world.database.dump();
        let answer = world.call(method, &format!("/v1/keys/{id}{path}"), &owner, &body);
        if taken {
            assert_problem(&answer, 409, "last_managing_key");
            assert_eq!(world.database.dump(), before, "{method} {body}");
        } else {
            assert_eq!(answer.status, 200, "{method} {body}: {}", answer.json);
        }
    }
}

#[test]
fn other_key_that_ends_soon_makes_room_only_for_one_that_ends_no_later() {
    for (this, other, enough) in [
        (Value::Null, json!("2027-01-15T08:01:00Z"), false),
        (Value::Null, json!("2027-01-22T08:00:00Z"), false),
        (Value::Null, json!("2027-01-22T08:00:00.001Z"), true),
        (Value::Null, Value::Null, true),
        (json!("2027-01-15T09:00:00Z"), json!("2027-01-15T08:59:59Z"), false),
        (json!("2027-01-15T09:00:00Z"), json!("2027-01-15T09:00:00Z"), true),
        (json!("2027-03-01T00:00:00Z"), json!("2027-02-01T00:00:00Z"), true),
    ] {
        let (world, owner, _) = world();
        let create = |expires_at: &Value| {
            let body = json!({ "name": "n", "scopes": ["api-keys:*"], "expires_at": expires_at });
            world.create_from(&owner, &body)
        };
        let (id, key) = create(&this);
        create(&other);
        world.database.execute("UPDATE keys SET disabled_at = 1 WHERE name = 'first'");
        let answer = world.call("DELETE", &format!("/v1/keys/{id}"), &key, &Value::Null);
        assert_eq!(answer.status == 200, enough, "{this} {other}: {}", answer.json);
        assert!(enough || answer.code() == "last_managing_key");
    }
}

#[test]
fn expiry_that_stays_is_no_loss() {
    let (world, owner, id) = world();
    world.database.execute("UPDATE keys SET expires_at = 1800000060000 WHERE name = 'first'");
    for expires_at in ["2027-01-15T08:01:00Z", "2027-01-15T08:00:30Z"] {
        let answer = world.call("PATCH", &format!("/v1/keys/{id}"), &owner, &json!({ "expires_at": expires_at }));
        let same = expires_at.ends_with("01:00Z");
        assert_eq!(answer.status, if same { 200 } else { 409 }, "{}", answer.json);
    }
}

#[test]
fn force_takes_full_access_and_the_role_of_what_it_ends() {
    let (world, owner, id) = world();
    let (_, admins_id, admin) = world.colleague(&owner, "admin");
    let (other, narrow) = world.create(&owner, "narrow", &["api-keys:*"]);
    let before = world.database.dump();
    let forced = |method: &str, id: &str, by: &str, body: &Value| {
        world.call(method, &format!("/v1/keys/{id}?force=true"), by, body)
    };
    for (by, id) in [(&narrow, &id), (&narrow, &admins_id), (&narrow, &other), (&admin, &id), (&admin, &other)] {
        for (method, body) in
            [("DELETE", Value::Null), ("PATCH", json!({ "enabled": false })), ("PATCH", json!({ "scopes": [] }))]
        {
            assert_problem(&forced(method, id, by, &body), 403, "exceeds_own_access");
        }
    }
    assert_eq!(world.database.dump(), before);
    assert_eq!(forced("DELETE", &admins_id, &admin, &Value::Null).status, 200);
    assert_eq!(forced("PATCH", &id, &owner, &json!({ "enabled": false })).status, 200);
}

#[test]
fn other_key_that_does_not_work_makes_no_room() {
    for ended in [
        "UPDATE keys SET disabled_at = 1 WHERE name = 'other'",
        "UPDATE keys SET revoked_at = 1 WHERE name = 'other'",
        "UPDATE keys SET expires_at = 1 WHERE name = 'other'",
        "UPDATE keys SET role = 'member' WHERE name = 'other'",
    ] {
        let (world, owner, id) = world();
        world.create(&owner, "other", &["api-keys:*"]);
        narrow_owner(&world);
        world.database.execute(ended);
        let answer = world.call("DELETE", &format!("/v1/keys/{id}"), &owner, &Value::Null);
        assert_problem(&answer, 409, "last_managing_key");
    }
}

#[test]
fn key_that_manages_nothing_ends_as_ever() {
    let (world, owner, _) = world();
    let (id, _) = world.create(&owner, "ci", &["datasets:read"]);
    for _ in 0..2 {
        assert_eq!(world.call("DELETE", &format!("/v1/keys/{id}"), &owner, &Value::Null).status, 200);
    }
}
