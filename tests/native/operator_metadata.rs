//! The operator's metadata of a key: what a verification may trust, because no holder of a key can write it.

use serde_json::{Value, json};

use crate::support::{Answer, World, problem::assert_problem};

fn patch(world: &World, by: &str, id: &str, body: &Value) -> Answer {
    world.call("PATCH", &format!("/v1/keys/{id}"), by, body)
}

fn plan(name: &str) -> Value {
    json!({ "plan": name })
}

#[test]
fn nobody_but_the_operator_sets_the_operators_metadata() {
    let world = World::new();
    let owner = world.bootstrap();
    let (_, theirs, stranger) = world.stranger(&owner);
    let (_, _, member) = world.colleague(&owner, "member");
    let project = world.project(&owner, "p");
    let key = |body: Value| world.create_from(&owner, &body);
    let all = ["api-keys:*", "members:*", "audit:read", "projects:*"];
    let callers = [
        (theirs.clone(), stranger),
        (world.get("/v1/keys/self", &member).text("id"), member),
        key(json!({ "name": "a customer", "scopes": ["api-keys:*"] })),
        key(json!({ "name": "org", "kind": "org", "scopes": all })),
        key(json!({ "name": "proj", "kind": "proj", "project_id": project, "scopes": ["api-keys:*"] })),
    ];
    let before = |id: &str| world.database.value(&format!("SELECT operator_metadata FROM keys WHERE id = '{id}'"));
    for (id, caller) in &callers {
        for metadata in [plan("enterprise"), json!({})] {
            for target in [id, &theirs, &callers[2].0] {
                let answer = patch(&world, caller, target, &json!({ "operator_metadata": metadata }));
                assert_problem(&answer, 403, "exceeds_own_access");
                assert!(answer.detail().contains("`organization:write` can set `operator_metadata`"));
            }
            let both = json!({ "metadata": metadata, "operator_metadata": metadata });
            assert_problem(&patch(&world, caller, id, &both), 403, "exceeds_own_access");
        }
        let new = json!({ "name": "n", "scopes": [], "operator_metadata": plan("enterprise") });
        assert_problem(&world.post("/v1/keys", caller, &new), 403, "exceeds_own_access");
        assert_eq!(before(id), json!("{}"));
        assert_eq!(patch(&world, caller, id, &json!({ "metadata": plan("enterprise") })).status, 200);
        let told = world.verify(&owner, caller, &[]);
        assert_eq!((&told["metadata"], &told["operator_metadata"]), (&plan("enterprise"), &json!({})));
    }
}

#[test]
fn operator_sets_metadata_of_every_key_and_a_verification_tells_it_from_the_holders() {
    let world = World::new();
    let owner = world.bootstrap();
    let (strangers, theirs, stranger) = world.stranger(&owner);
    let (_, billing) = world.create_from(
        &owner,
        &json!({ "name": "billing", "kind": "org", "scopes": ["api-keys:write", "organization:write"] }),
    );
    let body = json!({ "name": "customer", "scopes": ["api-keys:*"], "metadata": plan("enterprise"), "operator_metadata": plan("free") });
    let created = world.post("/v1/keys", &billing, &json!({ "kind": "org", "name": "none", "scopes": [] }));
    assert_eq!((created.status, &created.json["operator_metadata"]), (201, &json!({})));
    let (own, customer) = world.create_from(&owner, &body);
    let event = world.get(&format!("/v1/keys/{own}/events"), &owner).json["items"][0]["details"].clone();
    assert_eq!(event["operator_metadata"], plan("free"));
    for (id, key, organization) in [(&own, &customer, None), (&theirs, &stranger, Some(&strangers))] {
        world.verify(&owner, key, &[]);
        world.settle();
        let warm = || {
            let isolate = world.another_isolate();
            assert_eq!(isolate.get("/v1/scopes", &owner).status, 200);
            isolate
        };
        let other = warm();
        assert_eq!(other.verify(&owner, key, &[])["source"], "kv");
        assert_eq!(other.verify(&owner, key, &[])["source"], "memory");
        let seq = || world.database.value("SELECT max(seq) FROM changes").as_i64();
        let before = seq();
        let answer = patch(&world, &billing, id, &json!({ "operator_metadata": plan("pro") }));
        assert_eq!((answer.status, &answer.json["operator_metadata"]), (200, &plan("pro")), "{}", answer.json);
        assert!(seq() > before, "the feed did not move");
        other.advance_ms(5_001);
        for (isolate, source) in [(&world, "d1"), (&other, "d1"), (&other, "memory"), (&warm(), "d1"), (&warm(), "kv")]
        {
            let told = isolate.verify(&owner, key, &[]);
            assert_eq!((&told["operator_metadata"], &told["source"]), (&plan("pro"), &json!(source)));
            isolate.settle();
        }
        let own = world.get("/v1/keys/self", key);
        assert_eq!(own.json["operator_metadata"], plan("pro"), "{}", own.json);
        // The holder sees who has done it, and so does the operator.
        let kinds = format!(
            "SELECT group_concat(actor_kind || ' ' || details) FROM audit_events WHERE subject = '{id}' \
             AND action = 'key.updated' AND json_extract(details, '$.operator_metadata.plan') = 'pro'"
        );
        let expected = match organization {
            None => r#"key {"operator_metadata":{"plan":"pro"}}"#.to_owned(),
            Some(organization) => format!(
                r#"operator {{"operator_metadata":{{"plan":"pro"}}}},key {{"operator_metadata":{{"plan":"pro"}},"organization_id":"{organization}"}}"#
            ),
        };
        assert_eq!(world.database.value(&kinds), json!(expected));
    }
    // Of another organization's key it is the one thing that the operator changes.
    let more = json!({ "name": "mine", "operator_metadata": plan("pro") });
    assert_problem(&patch(&world, &owner, &theirs, &more), 404, "not_found");
    assert_problem(&patch(&world, &owner, &theirs, &json!({ "name": "mine" })), 404, "not_found");
    let missing = patch(&world, &owner, &world.fresh_id(), &json!({ "operator_metadata": {} }));
    assert_problem(&missing, 404, "not_found");
    for (value, field) in [(json!({ "a": "x".repeat(4_089) }), "operator_metadata"), (json!(null), "operator_metadata")]
    {
        let answer = patch(&world, &owner, &theirs, &json!({ "operator_metadata": value }));
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field);
    }
    assert_eq!(patch(&world, &owner, &theirs, &json!({ "operator_metadata": { "a": "x".repeat(4_088) } })).status, 200);
}

#[test]
fn key_gives_nothing_of_its_operators_metadata_to_what_it_creates() {
    let world = World::new();
    let owner = world.bootstrap();
    let body = json!({ "name": "customer", "scopes": ["api-keys:*"], "operator_metadata": plan("pro") });
    let (id, customer) = world.create_from(&owner, &body);
    let (_, child) = world.create(&customer, "child", &[]);
    assert_eq!(world.verify(&owner, &child, &[])["operator_metadata"], json!({}));
    // A new secret is the same key.
    let rotated = world.post(&format!("/v1/keys/{id}/rotate"), &customer, &json!({})).text("key");
    assert_eq!(world.verify(&owner, &rotated, &[])["operator_metadata"], plan("pro"));
}
