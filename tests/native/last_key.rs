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
        let answer = world.call("DELETE", &format!("/v1/keys/{id}"), &owner, &Value::Null);
        assert_eq!(answer.status == 200, enough, "{scopes}: {}", answer.json);
    }
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
