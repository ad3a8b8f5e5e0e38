//! The native surface: `/v1/keys`.

use bitting::entry::chores;
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::support::{
    Answer, START, World,
    problem::{assert_not_stored, assert_problem},
    request,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A world and the key of its owner.
fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

fn patch(world: &World, by: &str, id: &str, body: &Value) -> Answer {
    world.call("PATCH", &format!("/v1/keys/{id}"), by, body)
}

fn delete(world: &World, by: &str, id: &str) -> Answer {
    world.call("DELETE", &format!("/v1/keys/{id}"), by, &Value::Null)
}

fn get(world: &World, by: &str, id: &str) -> Answer {
    world.get(&format!("/v1/keys/{id}"), by)
}

/// The ids on a page of a list, and whether it says that there are more.
fn page(world: &World, by: &str, query: &str) -> (Vec<String>, bool) {
    let answer = world.get(&format!("/v1/keys?{query}"), by);
    assert_eq!(answer.status, 200, "{query}: {}", answer.json);
    let ids = answer.json["items"].as_array().unwrap().iter();
    let ids = ids.map(|key| key["id"].as_str().unwrap().to_owned()).collect();
    (ids, answer.json["has_more"].as_bool().unwrap())
}

#[test]
fn whole_life_of_a_key() {
    let (world, owner) = world();
    let (id, key) = world.create(&owner, "ci", &["datasets:read"]);
    assert_eq!(world.get("/v1/keys/self", &key).json["id"], json!(id));
    let verified = world.verify(&owner, &key, &["datasets:read"]);
    assert_eq!(verified["valid"], json!(true), "{verified}");
    let revoked = delete(&world, &owner, &id);
    assert_eq!(revoked.status, 200, "{}", revoked.json);
    assert_eq!(revoked.json["max_staleness_ms"], json!(5000));
    let refused = world.get("/v1/keys/self", &key);
    assert_eq!((refused.status, refused.code()), (401, "key_revoked"));
    assert_eq!(world.verify(&owner, &key, &[])["code"], json!("key_revoked"));
}

#[test]
fn create_answers_with_the_whole_key_once() {
    let (world, owner) = world();
    let maker = world.get("/v1/keys/self", &owner).json;
    let body =
        json!({ "name": "Schlüssel 🔑", "scopes": ["datasets:*"], "label": "prod", "metadata": { "team": ["a"] } });
    let answer = world.post("/v1/keys", &owner, &body);
    assert_eq!(answer.status, 201, "{}", answer.json);
    assert_not_stored(&answer);
    let text = answer.text("key");
    assert!(text.starts_with("bit_prod_pat_"), "{text}");
    let mut created = answer.json;
    created.as_object_mut().unwrap().remove("key");
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(
        created,
        json!({
            "id": id,
            "name": "Schlüssel 🔑",
            "kind": "pat",
            "preview": format!("{}…{}", &text[..12], &text[text.len() - 4..]),
            "scopes": ["datasets:*"],
            "full_access": false,
            "role": "owner",
            "status": "active",
            "organization_id": maker["organization_id"],
            "user_id": maker["user_id"],
            "project_id": null,
            "live_evaluation_id": null,
            "metadata": { "team": ["a"] },
            "operator_metadata": {}, "conditions": null,
            "created_at": "2027-01-15T08:00:00.000Z",
            "created_by": maker["id"],
            "created_by_user": maker["user_id"],
            "updated_at": "2027-01-15T08:00:00.000Z",
            "expires_at": null,
            "disabled_at": null,
            "revoked_at": null,
            "last_used_at": null,
            "last_used_from": null,
            "rotation": null,
        })
    );
    assert_eq!(get(&world, &owner, &id).json, created);
    assert_eq!(world.get(&format!("/v1/keys?id={id}"), &owner).json["items"], json!([created]));
    assert_eq!(world.get("/v1/keys/self", &text).json, created);
}

#[test]
fn create_takes_and_refuses_fields() {
    let (world, owner) = world();
    let metadata = |bytes: usize| json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) });
    for (field, value, good) in [
        ("name", json!("é".repeat(255)), true),
        ("name", json!("é".repeat(256)), false),
        ("name", json!(""), false),
        ("name", json!(" \t "), false),
        ("name", json!("a\nb"), false),
        ("name", json!(null), false),
        ("scopes", json!([]), true),
        ("scopes", json!(["api-keys:*", "api-keys:read"]), true),
        ("scopes", json!(null), false),
        ("scopes", json!(["nothing:read"]), false),
        ("scopes", json!(["datasets:execute"]), false),
        ("scopes", json!(["*"]), false),
        ("scopes", json!(["*:*"]), false),
        ("scopes", json!(["datasets:read "]), false),
        ("kind", json!("pat"), true),
        ("kind", json!("org"), true),
        ("kind", json!("sk"), false),
        ("kind", json!("PAT"), false),
        ("label", json!("eu1"), true),
        ("label", json!("pat"), true),
        ("label", json!("Prod"), false),
        ("label", json!("a_b"), false),
        ("label", json!(""), false),
        ("label", json!("a".repeat(17)), false),
        ("metadata", json!({}), true),
        ("metadata", metadata(4096), true),
        ("metadata", metadata(4097), false),
        ("metadata", json!([]), false),
        ("metadata", json!(null), false),
        ("expires_at", json!(null), true),
        ("expires_at", json!("2027-01-15T08:00:00.001Z"), true),
        ("expires_at", json!("2027-01-15T08:00:00Z"), false),
        ("expires_at", json!("2020-01-01"), false),
        ("expires_at", json!("2027-02-30"), false),
        ("expires_at", json!("2027-02-01T00:00:00"), false),
        ("expires_at", json!("soon"), false),
        ("expires_at", json!(1_900_000_000_000_i64), false),
        ("expires_in_days", json!(1), true),
        ("expires_in_days", json!(36_500), true),
        ("expires_in_days", json!(36_501), false),
        // JSON has one kind of number.
        ("expires_in_days", json!(3.0), true),
        ("expires_in_days", json!(3.5), false),
        ("expires_in_days", json!(1e300), false),
        ("expires_in_days", json!(0), false),
        ("expires_in_days", json!(-1), false),
        ("expires_in_days", json!(i64::MAX), false),
    ] {
        let mut body = json!({ "name": "n", "scopes": [] });
        body[field] = value;
        let answer = world.post("/v1/keys", &owner, &body);
        if good {
            assert_eq!(answer.status, 201, "{body}: {}", answer.json);
        } else {
            assert_problem(&answer, 400, "validation_failed");
            let named = answer.json["error"]["field"].as_str().unwrap();
            assert!(named.starts_with(field), "{body}: {}", answer.json);
        }
    }
    for (kind, project_id) in
        [("proj", json!(null)), ("proj", json!(world.fresh_id())), ("pat", json!(world.fresh_id()))]
    {
        let body = json!({ "name": "n", "scopes": [], "kind": kind, "project_id": project_id });
        let answer = world.post("/v1/keys", &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.json["error"]["field"], "project_id", "{body}");
    }
    let both = json!({ "name": "n", "scopes": [], "expires_at": "2028-01-01", "expires_in_days": 1 });
    assert_problem(&world.post("/v1/keys", &owner, &both), 400, "validation_failed");
}

#[test]
fn create_reads_an_expiry_as_a_date_as_days_as_never_or_from_its_maker() {
    let (world, owner) = world();
    let (_, maker) =
        world.create_from(&owner, &json!({ "name": "maker", "scopes": ["api-keys:write"], "expires_in_days": 30 }));
    let in_30_days = json!("2027-02-14T08:00:00.000Z");
    let expiry = |by: &str, field: &str, value: Value| {
        let mut body = json!({ "name": "n", "scopes": [] });
        if !field.is_empty() {
            body[field] = value;
        }
        let answer = world.post("/v1/keys", by, &body);
        assert_eq!(answer.status, 201, "{}", answer.json);
        answer.json["expires_at"].clone()
    };
    for (field, value, expected) in [
        ("", json!(null), json!(null)),
        ("expires_at", json!(null), json!(null)),
        ("expires_at", json!("2027-06-01"), json!("2027-06-01T00:00:00.000Z")),
        ("expires_at", json!("2027-06-01T12:00:00.5+02:00"), json!("2027-06-01T10:00:00.500Z")),
        ("expires_in_days", json!(30), in_30_days.clone()),
    ] {
        assert_eq!(expiry(&owner, field, value), expected, "{field}");
    }
    assert_eq!(expiry(&maker, "", json!(null)), in_30_days);
    assert_eq!(expiry(&maker, "expires_in_days", json!(30)), in_30_days);
}

#[test]
fn create_never_gives_more_than_the_maker_holds() {
    let (world, owner) = world();
    let (_, narrow) = world.create_from(
        &owner,
        &json!({ "name": "narrow", "scopes": ["api-keys:write", "datasets:*"], "expires_in_days": 30 }),
    );
    let (_, member_id, member) = world.colleague(&owner, "member");
    let (_, _, admin) = world.colleague(&owner, "admin");
    let (_, org) = world.create_from(&owner, &json!({ "name": "org", "scopes": ["api-keys:*"], "kind": "org" }));
    let last = "2027-02-14T08:00:00.000Z";
    for (by, field, value, allowed) in [
        (&narrow, "scopes", json!(["datasets:read", "datasets:*"]), true),
        (&narrow, "scopes", json!(["api-keys:read"]), false),
        (&narrow, "scopes", json!(["api-keys:*"]), false),
        (&narrow, "expires_at", json!(last), true),
        (&narrow, "expires_at", json!("2027-02-14T08:00:00.001Z"), false),
        (&narrow, "expires_at", json!(null), false),
        (&narrow, "expires_in_days", json!(31), false),
        (&member, "scopes", json!(["api-keys:*", "datasets:*"]), true),
        (&member, "kind", json!("pat"), true),
        (&member, "kind", json!("org"), false),
        (&admin, "kind", json!("org"), true),
        (&org, "kind", json!("org"), true),
        (&org, "kind", json!("pat"), false),
        (&org, "scopes", json!(["datasets:read"]), false),
    ] {
        let mut body = json!({ "name": "n", "scopes": [] });
        body[field] = value;
        let before = world.database.count("keys");
        let answer = world.post("/v1/keys", by, &body);
        if allowed {
            assert_eq!(answer.status, 201, "{body}: {}", answer.json);
        } else {
            assert_problem(&answer, 403, "exceeds_own_access");
            assert_eq!(world.database.count("keys"), before);
        }
    }
    // A key that was made keeps its maker's role, also when that user is promoted later.
    let (_, made) = world.create(&member, "made", &["api-keys:*"]);
    world.database.execute("UPDATE memberships SET role = 'owner' WHERE role = 'member'");
    assert_eq!(world.get("/v1/keys/self", &made).json["role"], "member");
    assert_problem(
        &patch(&world, &made, &world.get("/v1/keys/self", &owner).text("id"), &json!({ "name": "n" })),
        404,
        "not_found",
    );
    assert_eq!(get(&world, &made, &member_id).status, 200);
}

#[test]
fn create_makes_a_key_of_its_makers_kind() {
    let (world, owner) = world();
    let (_, org) = world.create_from(&owner, &json!({ "name": "org", "scopes": ["api-keys:*"], "kind": "org" }));
    let (id, text) = world.create(&org, "another", &[]);
    assert!(text.starts_with("bit_org_"));
    let made = get(&world, &owner, &id).json;
    assert_eq!((&made["kind"], &made["user_id"]), (&json!("org"), &Value::Null));
    assert!(world.create(&owner, "personal", &[]).1.starts_with("bit_pat_"));
}

#[test]
fn create_uses_the_operators_brand() {
    let world = World::with_config(&[("KEY_BRAND", "acme")]);
    assert!(world.bootstrap().starts_with("acme_pat_"));
}

#[test]
fn who_reaches_which_keys() {
    let (world, owner) = world();
    let (_, member_id, member) = world.colleague(&owner, "member");
    let (_, other_id, _) = world.colleague(&owner, "member");
    let (_, admin_id, admin) = world.colleague(&owner, "admin");
    let (_, stranger_id, stranger) = world.stranger(&owner);
    let (org_id, org) = world.create_from(&owner, &json!({ "name": "org", "scopes": ["api-keys:*"], "kind": "org" }));
    for (by, id, reaches) in [
        (&member, &member_id, true),
        (&member, &other_id, false),
        (&member, &admin_id, false),
        (&member, &org_id, false),
        (&member, &stranger_id, false),
        (&admin, &member_id, true),
        (&admin, &org_id, true),
        (&admin, &stranger_id, false),
        (&owner, &admin_id, true),
        (&owner, &stranger_id, false),
        (&org, &member_id, true),
        (&org, &org_id, true),
        (&org, &stranger_id, false),
        (&stranger, &stranger_id, true),
        (&stranger, &member_id, false),
    ] {
        let (ids, _) = page(&world, by, "limit=1000");
        assert_eq!(ids.contains(id), reaches);
        let (ids, _) = page(&world, by, &format!("id={id}"));
        assert_eq!(ids.len(), usize::from(reaches));
        let answers = [
            get(&world, by, id),
            world.get(&format!("/v1/keys/{id}/events"), by),
            patch(&world, by, id, &json!({ "metadata": {} })),
        ];
        for answer in answers {
            if reaches {
                assert_eq!(answer.status, 200, "{}", answer.json);
            } else {
                assert_problem(&answer, 404, "not_found");
            }
        }
        if !reaches {
            let before = world.database.dump();
            assert_problem(&delete(&world, by, id), 404, "not_found");
            assert_eq!(world.database.dump(), before);
        }
    }
    // Within reach, revoking works; the caller's own key included, while another has full access.
    assert_eq!(world.post("/v1/api_key", &stranger, &json!({ "name": "spare" })).status, 200);
    for (by, id) in [(&admin, &member_id), (&org, &other_id), (&stranger, &stranger_id)] {
        assert_eq!(delete(&world, by, id).json["status"], "revoked");
    }
    assert_problem(&world.get("/v1/keys/self", &stranger), 401, "key_revoked");
}

/// 25 keys, each in a millisecond of its own; their ids, the newest first. The owner's key is the oldest.
fn twenty_six(world: &World, owner: &str) -> Vec<String> {
    let mut ids = vec![world.get("/v1/keys/self", owner).text("id")];
    for number in 0..25 {
        world.advance_ms(1);
        ids.push(world.create(owner, &format!("key {number}"), &[]).0);
    }
    ids.reverse();
    ids
}

#[test]
fn list_pages_through_all_keys_in_both_directions() {
    let (world, owner) = world();
    let all = twenty_six(&world, &owner);
    let (mut forward, mut query) = (Vec::new(), "limit=7".to_owned());
    loop {
        let (ids, has_more) = page(&world, &owner, &query);
        query = format!("limit=7&starting_after={}", ids.last().unwrap());
        forward.push(ids);
        if !has_more {
            break;
        }
    }
    assert_eq!(forward.iter().map(Vec::len).collect::<Vec<_>>(), [7, 7, 7, 5]);
    assert_eq!(forward.concat(), all);
    assert_eq!(page(&world, &owner, &query), (vec![], false));
    let (mut backward, mut cursor) = (Vec::new(), all.last().unwrap().clone());
    loop {
        // The page is the one that touches the cursor, and is itself the newest first.
        let (ids, has_more) = page(&world, &owner, &format!("limit=7&ending_before={cursor}"));
        cursor.clone_from(&ids[0]);
        backward.insert(0, ids);
        if !has_more {
            break;
        }
    }
    assert_eq!(backward.iter().map(Vec::len).collect::<Vec<_>>(), [4, 7, 7, 7]);
    assert_eq!(backward.concat(), all[..25]);
    assert_eq!(page(&world, &owner, &format!("ending_before={}", all[0])), (vec![], false));
}

#[test]
fn list_goes_on_from_a_key_that_is_gone() {
    let (world, owner) = world();
    let all = twenty_six(&world, &owner);
    world.revoke(&owner, &all[10]);
    let (after, _) = page(&world, &owner, &format!("limit=3&starting_after={}", all[10]));
    assert_eq!(after, all[11..14]);
    let (before, _) = page(&world, &owner, &format!("limit=3&ending_before={}", all[10]));
    assert_eq!(before, all[7..10]);
    world.database.execute(&format!("DELETE FROM keys WHERE id = '{}'", all[12]));
    let (after, _) = page(&world, &owner, &format!("limit=1&starting_after={}", all[12].to_uppercase()));
    assert_eq!(after, all[13..14]);
}

#[test]
fn list_has_as_many_keys_as_the_limit_says() {
    let (world, owner) = world();
    let all = twenty_six(&world, &owner);
    for (query, length, has_more) in [
        ("", 26, false),
        ("limit=0", 0, true),
        ("limit=1", 1, true),
        ("limit=25", 25, true),
        ("limit=26", 26, false),
        ("limit=1000", 26, false),
        ("limit=2&limit=3", 3, true),
    ] {
        assert_eq!(page(&world, &owner, query), (all[..length].to_vec(), has_more), "{query}");
    }
    for wrong in ["", "1001", "-1", "x", "1.0", "%2B1x"] {
        let answer = world.get(&format!("/v1/keys?limit={wrong}"), &owner);
        assert_problem(&answer, 400, "validation_failed");
    }
    let both = format!("/v1/keys?starting_after={0}&ending_before={0}", all[0]);
    let answer = world.get(&both, &owner);
    assert_problem(&answer, 400, "validation_failed");
    assert!(answer.text("detail").contains("send only one of them"));
}

#[test]
fn list_filters_by_everything_and_by_all_at_once() {
    let (world, owner) = world();
    let (user_id, _, member) = world.colleague(&owner, "member");
    let make = |by: &str, name: &str, body: Value| {
        world.advance_ms(1);
        let mut body = body;
        body["name"] = json!(name);
        body["scopes"] = json!([]);
        world.create_from(by, &body).0
    };
    let active = make(&owner, "same", json!({}));
    let lasting = make(&owner, "same", json!({ "expires_in_days": 20, "label": "eu" }));
    let expired = make(&owner, "same", json!({ "expires_in_days": 10 }));
    let disabled = make(&owner, "same", json!({ "expires_in_days": 10 }));
    let revoked = make(&owner, "same", json!({ "expires_in_days": 10 }));
    let other = make(&owner, "other", json!({ "kind": "org" }));
    let members = make(&member, "same", json!({}));
    world.change(&owner, &disabled, &json!({ "enabled": false }));
    world.revoke(&owner, &revoked);
    // To the millisecond of the last expiry among these that has come.
    let expiry = world.database.value(&format!("SELECT expires_at FROM keys WHERE id = '{expired}'"));
    world.advance_ms(expiry.as_i64().unwrap() - world.clock.0.get().0);
    let ids = format!("{active},{expired},{revoked}");
    for (query, expected) in [
        ("name=same".to_owned(), vec![&members, &disabled, &expired, &lasting, &active]),
        ("name=Same".to_owned(), vec![]),
        ("name=sam".to_owned(), vec![]),
        ("name=other".to_owned(), vec![&other]),
        ("name=same&status=active".to_owned(), vec![&members, &lasting, &active]),
        ("name=same&status=expired".to_owned(), vec![&expired]),
        ("name=same&status=disabled".to_owned(), vec![&disabled]),
        ("name=same&status=revoked".to_owned(), vec![&revoked]),
        ("name=same&status=all".to_owned(), vec![&members, &revoked, &disabled, &expired, &lasting, &active]),
        (format!("id={ids}"), vec![&expired, &active]),
        (format!("id={ids}&status=all"), vec![&revoked, &expired, &active]),
        (format!("id={active}&id={expired},%20{lasting}"), vec![&expired, &lasting, &active]),
        (format!("id={}", active.to_uppercase()), vec![&active]),
        (format!("id={active},{active}"), vec![&active]),
        ("prefix=bit_eu_".to_owned(), vec![&lasting]),
        ("prefix=bit_eu&status=expired".to_owned(), vec![]),
        ("prefix=bit_org".to_owned(), vec![&other]),
        ("prefix=BIT_ORG".to_owned(), vec![]),
        ("prefix=%25".to_owned(), vec![]),
        (format!("user_id={user_id}&name=same"), vec![&members]),
        (format!("user_id={}", world.fresh_id()), vec![]),
        (format!("id={ids}&name=same&status=expired&prefix=bit_pat_"), vec![&expired]),
        (format!("name=same&status=all&starting_after={revoked}&limit=2"), vec![&disabled, &expired]),
        (format!("name=same&status=active&ending_before={active}&limit=1"), vec![&lasting]),
        (format!("id={ids}&prefix=bit&status=all&starting_after={revoked}"), vec![&expired, &active]),
        (format!("user_id={user_id}&prefix=bit&status=active&ending_before={other}&name=same"), vec![&members]),
    ] {
        let (ids, _) = page(&world, &owner, &query);
        assert_eq!(ids.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    // A filter by somebody else's user does not widen a member's reach.
    let owner_id = world.get("/v1/keys/self", &owner).text("user_id");
    assert_eq!(page(&world, &member, &format!("user_id={owner_id}")).0, Vec::<String>::new());
    assert_eq!(page(&world, &member, &format!("user_id={user_id}&name=same")).0, [members]);
}

#[test]
fn list_by_prefix_takes_what_people_copy_from_a_preview() {
    let (world, owner) = world();
    let (id, text) = world.create(&owner, "one", &[]);
    assert_eq!(page(&world, &owner, &format!("prefix={}", &text[..12])), (vec![id], false));
    // No more than the preview's 12 characters are kept, so nobody can say whether these match.
    let answer = world.get(&format!("/v1/keys?prefix={}", &text[..13]), &owner);
    assert_problem(&answer, 400, "validation_failed");
}

#[test]
fn patch_changes_each_field_and_nothing_else() {
    let (world, owner) = world();
    let (id, key) = world.create(&owner, "before", &["datasets:read"]);
    for (body, field, value) in [
        (json!({ "name": "after" }), "name", json!("after")),
        (json!({ "scopes": ["results:read"] }), "scopes", json!(["results:read"])),
        (json!({ "scopes": [] }), "scopes", json!([])),
        (json!({ "metadata": { "a": [null] } }), "metadata", json!({ "a": [null] })),
        (json!({ "expires_at": "2028-01-01" }), "expires_at", json!("2028-01-01T00:00:00.000Z")),
        (json!({ "expires_in_days": 1 }), "expires_at", json!("2027-01-16T08:00:00.000Z")),
        (json!({ "expires_at": null }), "expires_at", json!(null)),
        (json!({ "enabled": false }), "disabled_at", json!("2027-01-15T08:00:00.000Z")),
        (json!({ "enabled": true }), "disabled_at", json!(null)),
    ] {
        let mut before = get(&world, &owner, &id).json;
        let answer = patch(&world, &owner, &id, &body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.json);
        let after = answer.json;
        assert_eq!(after[field], value);
        assert!(after["updated_at"].as_str() > before["updated_at"].as_str(), "{body}");
        for changed in [field, "updated_at", "status"] {
            before[changed] = after[changed].clone();
        }
        assert_eq!(after, before, "{body}");
        assert_eq!(get(&world, &owner, &id).json, after);
        assert_eq!(world.verify(&owner, &key, &[])["metadata"], after["metadata"]);
    }
}

#[test]
fn patch_refuses_what_create_refuses() {
    let (world, owner) = world();
    let (id, _) = world.create(&owner, "key", &[]);
    let before = world.database.dump();
    for body in [
        json!({ "name": "" }),
        json!({ "scopes": ["nothing:read"] }),
        json!({ "metadata": { "a": "x".repeat(4096) } }),
        json!({ "expires_at": "2027-01-15T08:00:00Z" }),
        json!({ "expires_at": "soon" }),
        json!({ "expires_at": "2028-01-01", "expires_in_days": 1 }),
        json!({ "expires_in_days": 0 }),
        json!({ "enabled": "yes" }),
        json!({ "kind": "org" }),
        json!({ "role": "owner" }),
    ] {
        assert_problem(&patch(&world, &owner, &id, &body), 400, "validation_failed");
    }
    assert_eq!(world.database.dump(), before);
}

#[test]
fn patch_with_nothing_or_null_is_refused_and_leaves_no_trace() {
    let (world, owner) = world();
    let (id, _) = world.create(&owner, "n", &["datasets:read"]);
    let before = world.database.dump();
    for body in [
        json!({}),
        json!({ "name": null }),
        json!({ "scopes": null }),
        json!({ "metadata": null }),
        json!({ "enabled": null }),
        json!({ "expires_in_days": null }),
    ] {
        assert_problem(&patch(&world, &owner, &id, &body), 400, "validation_failed");
    }
    assert_eq!(world.database.dump(), before);
}

#[test]
fn patch_of_a_revoked_key_is_a_lasting_conflict() {
    let (world, owner) = world();
    let (id, _) = world.create(&owner, "key", &[]);
    world.revoke(&owner, &id);
    let answer = patch(&world, &owner, &id, &json!({ "name": "new" }));
    assert_problem(&answer, 409, "key_revoked");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}

#[test]
fn patch_never_gives_more_than_the_caller_holds() {
    let (world, owner) = world();
    let (_, narrow) = world.create_from(
        &owner,
        &json!({ "name": "narrow", "scopes": ["api-keys:*", "datasets:read"], "expires_in_days": 30 }),
    );
    let (_, _, admin) = world.colleague(&owner, "admin");
    let target = |scopes: &[&str], days: i64| {
        world.create_from(&owner, &json!({ "name": "t", "scopes": scopes, "expires_in_days": days })).0
    };
    let within = target(&["datasets:read"], 10);
    let beyond = target(&["datasets:write"], 10);
    let lasting = target(&["datasets:read"], 31);
    let (owners, _) = world.create(&owner, "owner's", &["api-keys:read"]);
    for (by, id, body, allowed) in [
        (&narrow, &within, json!({ "scopes": ["api-keys:read", "datasets:read"] }), true),
        (&narrow, &within, json!({ "scopes": ["datasets:*"] }), false),
        (&narrow, &within, json!({ "expires_in_days": 30 }), true),
        (&narrow, &within, json!({ "expires_in_days": 31 }), false),
        (&narrow, &within, json!({ "expires_at": null }), false),
        (&narrow, &within, json!({ "enabled": true }), true),
        (&narrow, &beyond, json!({ "name": "n", "metadata": {}, "enabled": false }), true),
        (&narrow, &beyond, json!({ "enabled": true }), false),
        (&narrow, &beyond, json!({ "expires_in_days": 20 }), false),
        (&narrow, &beyond, json!({ "scopes": ["datasets:read"] }), true),
        (&narrow, &lasting, json!({ "enabled": true }), true),
        (&narrow, &lasting, json!({ "expires_in_days": 30 }), true),
        (&admin, &owners, json!({ "enabled": false }), true),
        (&admin, &owners, json!({ "enabled": true }), false),
        (&admin, &owners, json!({ "scopes": [] }), true),
        (&admin, &owners, json!({ "scopes": ["api-keys:read"] }), false),
        (&admin, &owners, json!({ "expires_in_days": 2 }), true),
        (&admin, &owners, json!({ "expires_in_days": 1 }), true),
        (&admin, &owners, json!({ "expires_in_days": 2 }), false),
        (&admin, &owners, json!({ "expires_at": null }), false),
        (&admin, &owners, json!({ "name": "renamed" }), true),
    ] {
        let before = get(&world, &owner, id).json;
        let answer = patch(&world, by, id, &body);
        if allowed {
            assert_eq!(answer.status, 200, "{body}: {}", answer.json);
        } else {
            assert_problem(&answer, 403, "exceeds_own_access");
            assert_eq!(get(&world, &owner, id).json, before);
        }
    }
    // A key with full access can be narrowed, but not be given back by a key that has less.
    let (_, full_id, _) = world.colleague(&owner, "member");
    assert_eq!(patch(&world, &narrow, &full_id, &json!({ "enabled": false })).status, 200);
    assert_problem(&patch(&world, &narrow, &full_id, &json!({ "enabled": true })), 403, "exceeds_own_access");
}

#[test]
fn patch_that_another_overtook_is_a_conflict() {
    let (mut world, owner) = world();
    let (id, _) = world.create(&owner, "key", &[]);
    let meddle = format!("UPDATE keys SET name = 'theirs', updated_at = updated_at + 1 WHERE id = '{id}'");
    // The first batch reads the key, the second changes it.
    world.meddle(1, &meddle);
    let answer = patch(&world, &owner, &id, &json!({ "name": "mine", "enabled": false }));
    assert_problem(&answer, 409, "conflict");
    let key = get(&world, &owner, &id).json;
    assert_eq!((&key["name"], &key["status"]), (&json!("theirs"), &json!("active")));
    let events = world.get(&format!("/v1/keys/{id}/events"), &owner).json;
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "what did not happen is not recorded");
}

#[test]
fn revoke_overtakes_a_patch() {
    let (mut world, owner) = world();
    let (id, _) = world.create(&owner, "key", &[]);
    let meddle = format!("UPDATE keys SET revoked_at = {} WHERE id = '{id}'", START.0);
    // The first batch reads the key, the second changes it.
    world.meddle(1, &meddle);
    assert_problem(&patch(&world, &owner, &id, &json!({ "enabled": true })), 409, "conflict");
    assert_eq!(get(&world, &owner, &id).json["status"], "revoked");
}

#[test]
fn revoke_twice_changes_nothing_and_is_recorded_once() {
    let (world, owner) = world();
    let (id, key) = world.create(&owner, "key", &[]);
    let first = delete(&world, &owner, &id);
    assert_eq!(first.json["effective_at"], "2027-01-15T08:00:00.000Z");
    assert_eq!(first.json["status"], "revoked");
    world.advance_ms(1_000);
    let before = world.database.dump();
    let second = delete(&world, &owner, &id);
    assert_eq!((second.status, &second.json), (200, &first.json));
    assert_eq!(world.database.dump(), before);
    assert_problem(&world.get("/v1/keys/self", &key), 401, "key_revoked");
}

#[test]
fn a_key_can_revoke_itself() {
    let (world, owner) = world();
    let (id, key) = world.create(&owner, "key", &["api-keys:write"]);
    world.revoke(&key, &id);
    assert_problem(&delete(&world, &key, &id), 401, "key_revoked");
}

#[test]
fn events_tell_who_did_what_and_no_secret() {
    let (world, owner) = world();
    let own = world.get("/v1/keys/self", &owner);
    let (owners_id, owner_user) = (own.text("id"), own.text("user_id"));
    let (id, key) = world.create(&owner, "key", &["datasets:read"]);
    world.advance_ms(1_000);
    let mut request = crate::support::request(
        "PATCH",
        &format!("/v1/keys/{id}"),
        &owner,
        &json!({ "name": "new", "scopes": [], "enabled": false, "expires_at": null, "metadata": { "a": 1 } }),
    );
    request.headers.push(("cf-ray".to_owned(), "ray-1".to_owned()));
    request.headers.push(("cf-connecting-ip".to_owned(), "203.0.113.7".to_owned()));
    assert_eq!(world.send(&request).status, 200);
    world.advance_ms(1_000);
    world.revoke(&owner, &id);
    let answer = world.get(&format!("/v1/keys/{id}/events"), &owner);
    let events = answer.json["items"].as_array().unwrap();
    let actions: Vec<&Value> = events.iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["key.revoked", "key.updated", "key.created"]);
    assert_eq!(
        events[1],
        json!({
            "id": events[1]["id"],
            "subject": id,
            "action": "key.updated",
            "actor": { "kind": "key", "id": owners_id, "user_id": owner_user },
            "ip": "203.0.113.7",
            "request_id": "ray-1",
            "details": { "name": "new", "scopes": [], "enabled": false, "expires_at": null, "metadata": { "a": 1 } },
            "refusal": null,
            "at": "2027-01-15T08:00:01.000Z",
        })
    );
    assert_eq!(
        events[2]["details"],
        json!({ "name": "key", "kind": "pat", "scopes": ["datasets:read"], "expires_at": null })
    );
    assert!(!answer.json.to_string().contains(&key[12..key.len() - 4]));
    let digest = world.database.value(&format!("SELECT digest FROM keys WHERE id = '{id}'"));
    assert!(!answer.json.to_string().contains(digest.as_str().unwrap()));
    let first = world.get(&format!("/v1/keys/{owners_id}/events"), &owner).json;
    assert_eq!(first["items"][0]["actor"], json!({ "kind": "operator", "id": null, "user_id": null }));
}

#[test]
fn events_page_from_the_newest_to_the_oldest() {
    let (world, owner) = world();
    let (id, _) = world.create(&owner, "key", &[]);
    for number in 0..6 {
        world.change(&owner, &id, &json!({ "name": format!("name {number}") }));
    }
    let (mut seen, mut query) = (Vec::new(), "limit=3".to_owned());
    loop {
        let page = world.get(&format!("/v1/keys/{id}/events?{query}"), &owner).json;
        let ids: Vec<i64> =
            page["items"].as_array().unwrap().iter().map(|event| event["id"].as_i64().unwrap()).collect();
        query = format!("limit=3&starting_after={}", ids.last().unwrap());
        seen.push(ids);
        if page["has_more"] == json!(false) {
            break;
        }
    }
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert!(seen.concat().is_sorted_by(|newer, older| newer > older));
}

#[test]
fn scopes_lists_the_catalogue_and_what_the_key_holds() {
    let (world, owner) = world();
    let (_, key) = world.create(&owner, "key", &["datasets:*", "results:read"]);
    let answer = world.get("/v1/scopes", &key).json;
    let scopes = answer["scopes"].as_array().unwrap();
    let held: Vec<&str> = scopes
        .iter()
        .filter(|scope| scope["held"] == json!(true))
        .map(|scope| scope["scope"].as_str().unwrap())
        .collect();
    assert_eq!(held, ["datasets:read", "datasets:write", "results:read"]);
    assert!(scopes.iter().all(|scope| scope["description"].as_str().is_some_and(|text| !text.is_empty())));
    assert!(answer["wildcards"].as_array().unwrap().contains(&json!("datasets:*")));
    let all = world.get("/v1/scopes", &owner).json;
    assert!(all["scopes"].as_array().unwrap().iter().all(|scope| scope["held"] == json!(true)));
}

#[test]
fn lists_tell_that_the_owner_of_a_key_is_gone() {
    let (world, owner) = world();
    let (user_id, id, _) = world.colleague(&owner, "member");
    let status = |query: &str| {
        let keys = world.get(&format!("/v1/keys?user_id={user_id}{query}"), &owner).json["items"].clone();
        keys.as_array().unwrap().iter().map(|key| key["status"].clone()).collect::<Vec<_>>()
    };
    let execute = |sql: &str| world.database.execute(&sql.replace("THIS", &format!("'{id}'")));
    assert_eq!((status(""), status("&status=active")), (vec![json!("active")], vec![json!("active")]));
    execute("UPDATE keys SET disabled_at = 1 WHERE id = THIS");
    assert_eq!(status(""), ["disabled"]);
    world.database.execute(&format!("DELETE FROM memberships WHERE user_id = '{user_id}'"));
    assert_eq!(status(""), ["user_removed"]);
    execute("UPDATE keys SET disabled_at = NULL WHERE id = THIS");
    assert_eq!((status(""), status("&status=active")), (vec![json!("user_removed")], vec![]));
    let key = get(&world, &owner, &id).json;
    assert_eq!((&key["status"], &key["revoked_at"]), (&json!("user_removed"), &Value::Null));
    world.revoke(&owner, &id);
    assert_eq!(status("&status=all"), ["revoked"]);
}

#[test]
fn bundle_stands_for_its_scopes_at_that_moment() {
    let (world, owner) = world();
    let (id, key) = world.create(&owner, "reader", &["mcp", "api-keys:write"]);
    let scopes = get(&world, &owner, &id).json["scopes"].clone();
    assert_eq!(
        scopes,
        json!([
            "api-keys:write",
            "datasets:read",
            "evaluations:read",
            "live-evaluations:read",
            "live-evaluations:execute",
            "results:read",
            "review:read"
        ])
    );
    // A catalogue in which the bundle has grown changes no key.
    let grown = include_str!("../../catalogue.json").replace("\"mcp\": [", "\"mcp\": [\"traces:read\",");
    assert_ne!(grown, include_str!("../../catalogue.json"));
    let later = world.reconfigured(&[("CATALOGUE", &grown)]);
    assert_eq!(get(&later, &owner, &id).json["scopes"], scopes);
    assert_problem(&later.get("/v1/traces", &key), 403, "insufficient_scope");

    let full = world.change(&owner, &id, &json!({ "scopes": ["full"] }));
    assert_eq!((&full["scopes"], &full["full_access"]), (&Value::Null, &json!(true)));
    let narrowed = world.change(&owner, &id, &json!({ "scopes": ["query_only"] }));
    let reading: Vec<String> = world.app.config.catalogue.reading().map(|scope| scope.to_string()).collect();
    assert_eq!(narrowed["scopes"], json!(reading));
    let made = world.post("/v1/keys", &owner, &json!({ "name": "full", "scopes": ["full"] }));
    assert_eq!((made.status, &made.json["full_access"]), (201, &json!(true)));
}

#[test]
fn bundle_that_is_unknown_mixed_or_more_than_the_maker_holds_is_refused() {
    let (world, owner) = world();
    let (id, narrow) = world.create(&owner, "narrow", &["api-keys:write", "datasets:read"]);
    for (scopes, field, says) in [
        (json!(["api-keys:read", "reader"]), "scopes[1]", "the bundles are full, query_only, verifier, mcp"),
        (json!(["full", "api-keys:read"]), "scopes[0]", "must be the only entry"),
        (json!(["mcp", "nothing:read"]), "scopes[1]", "there is no scope `nothing:read`"),
        (json!([7]), "scopes[0]", "must be a text"),
    ] {
        let body = json!({ "scopes": scopes });
        for answer in [
            patch(&world, &owner, &id, &body),
            world.post("/v1/keys", &owner, &json!({ "name": "n", "scopes": scopes })),
        ] {
            assert_problem(&answer, 400, "validation_failed");
            assert_eq!(answer.field(), field, "{scopes}");
            assert!(answer.detail().contains(says), "{}", answer.json);
        }
    }
    for bundle in ["full", "mcp", "query_only"] {
        let body = json!({ "name": "n", "scopes": [bundle] });
        assert_problem(&world.post("/v1/keys", &narrow, &body), 403, "exceeds_own_access");
        assert_problem(&patch(&world, &narrow, &id, &json!({ "scopes": [bundle] })), 403, "exceeds_own_access");
    }
}

#[test]
fn scopes_lists_bundles_and_presets() {
    let (world, owner) = world();
    let answer = world.get("/v1/scopes", &owner).json;
    assert_eq!(answer["bundles"]["full"], Value::Null);
    assert!(answer["bundles"]["query_only"].as_array().unwrap().contains(&json!("traces:read")));
    assert_eq!(answer["presets"].as_array().unwrap().len(), 6);
    assert_eq!(answer["presets"][0]["scopes"], json!(["live-evaluations:execute"]));
}

#[test]
fn self_needs_no_scope_and_reaches_a_key_without_a_user() {
    let (world, owner) = world();
    let (id, key) = world.create_from(&owner, &json!({ "name": "org", "scopes": [], "kind": "org" }));
    assert_eq!(world.get("/v1/keys/self", &key).json["id"], json!(id));
}

#[test]
fn self_reaches_a_key_that_manages_nothing_and_acts_for_nobody() {
    let (world, owner) = world();
    let (id, key) = world.create_from(&owner, &json!({ "name": "org", "scopes": ["api-keys:*"], "kind": "org" }));
    world.database.execute(&format!("UPDATE keys SET role = 'member' WHERE id = '{id}'"));
    assert_eq!(world.get("/v1/keys/self", &key).json["id"], json!(id));
    assert_eq!(get(&world, &key, &id).status, 200);
    let owners = world.get("/v1/keys/self", &owner).text("id");
    assert_problem(&get(&world, &key, &owners), 404, "not_found");
    world.revoke(&key, &id);
}

#[test]
fn a_key_that_expired_works_again_once_it_is_extended() {
    let (world, owner) = world();
    let (id, key) = world.create_from(&owner, &json!({ "name": "n", "scopes": [], "expires_in_days": 1 }));
    world.advance_ms(DAY_MS);
    assert_problem(&world.get("/v1/keys/self", &key), 401, "api_key_expired");
    block_on(world.app.sweep(chores())).unwrap();
    world.change(&owner, &id, &json!({ "expires_in_days": 1 }));
    assert_eq!(world.get("/v1/keys/self", &key).json["status"], "active");
}

#[test]
fn uses_of_a_key_are_told_by_day_and_forgotten_after_thirty() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, key) = world.create(&owner, "counted", &["api-keys:read"]);
    let usage = |key: &str| {
        let answer = world.get(&format!("/v1/keys/{id}/usage"), key);
        assert_eq!(answer.status, 200, "{}", answer.json);
        let days = answer.json["days"].as_array().unwrap().clone();
        assert_eq!(days.len(), 30);
        let texts: Vec<&str> = days.iter().map(|day| day["day"].as_str().unwrap()).collect();
        assert!(texts.is_sorted());
        (
            texts[0].to_owned(),
            texts[29].to_owned(),
            days.iter().map(|day| day["uses"].as_i64().unwrap()).collect::<Vec<_>>(),
        )
    };
    let ((first, last, uses), io) = world.counted(|| usage(&owner));
    assert_eq!(io, (1, 0, 0));
    assert_eq!((&*first, &*last), ("2026-12-17T00:00:00.000Z", "2027-01-15T00:00:00.000Z"));
    assert_eq!(uses, [0; 30]);
    // What is used now is written at the next use, a minute later.
    for _ in 0..3 {
        world.get("/v1/keys/self", &key);
    }
    world.advance_ms(60_000);
    world.get("/v1/keys/self", &key);
    world.settle();
    assert_eq!(usage(&owner).2[29], 4);
    world.advance_ms(DAY_MS);
    world.get("/v1/keys/self", &key);
    world.settle();
    assert_eq!(usage(&owner).2[28..], [4, 1]);
    world.advance_ms(28 * DAY_MS);
    assert_eq!(usage(&owner).2[..2], [4, 1]);
    let days = || world.database.value(&format!("SELECT count(*) FROM key_uses WHERE key_id = '{id}'"));
    block_on(world.app.sweep(chores())).unwrap();
    assert_eq!(days(), 2);
    world.advance_ms(DAY_MS);
    block_on(world.app.sweep(chores())).unwrap();
    assert_eq!(days(), 1, "the first day is told of no more");
    assert_eq!(usage(&owner).2[0], 1);
    let (_, stranger) = world.create(&owner, "other", &["api-keys:write"]);
    assert_problem(&world.get(&format!("/v1/keys/{id}/usage"), &stranger), 403, "insufficient_scope");
    let (_, _, other) = world.stranger(&owner);
    assert_problem(&world.get(&format!("/v1/keys/{id}/usage"), &other), 404, "not_found");
}

#[test]
fn last_use_tells_the_client_but_not_that_of_a_verification() {
    let (world, owner) = world();
    let (id, key) = world.create(&owner, "used", &["api-keys:read"]);
    let used_from = |from: &Value, at: &str| {
        world.settle();
        let shown = get(&world, &owner, &id).json;
        assert_eq!((&shown["last_used_from"], shown["last_used_at"].as_str()), (from, Some(at)));
    };
    let present = |key: &str, ip: &str, user_agent: &str| {
        world.advance_ms(60_000);
        let mut request = request("GET", "/v1/scopes", key, &Value::Null);
        request.headers.push(("cf-connecting-ip".to_owned(), ip.to_owned()));
        request.headers.push(("user-agent".to_owned(), user_agent.to_owned()));
        assert_eq!(world.send(&request).status, 200);
        world.settle();
    };
    present(&key, "203.0.113.7", &format!("curl/8 \u{e9}\u{7}{}", "x".repeat(200)));
    let from = json!({ "ip": "203.0.113.7", "user_agent": format!("curl/8 {}", "x".repeat(93)) });
    used_from(&from, "2027-01-15T08:01:00.000Z");
    let rotated = world.post(&format!("/v1/keys/{id}/rotate"), &owner, &json!({ "grace_period_seconds": 3_600 }));
    assert_eq!(rotated.json["last_used_from"], Value::Null);
    assert_eq!(rotated.json["rotation"]["outgoing_last_used_from"], from);
    present(&key, "198.51.100.1", "");
    let shown = get(&world, &owner, &id).json;
    let from = json!({ "ip": "198.51.100.1", "user_agent": null });
    assert_eq!(shown["rotation"]["outgoing_last_used_from"], from);
    world.post(&format!("/v1/keys/{id}/rotate/cancel"), &owner, &Value::Null);
    used_from(&from, "2027-01-15T08:02:00.000Z");
    world.advance_ms(60_000);
    assert_eq!(world.verify(&owner, &key, &[])["valid"], true);
    world.advance_ms(60_000);
    world.get("/v1/scopes", &owner);
    used_from(&Value::Null, "2027-01-15T08:03:00.000Z");
}
