//! Braintrust's surface, at its own paths and under its prefix, as its client libraries use it.

use serde_json::{Value, json};

use crate::support::{
    World,
    problem::{assert_not_stored, assert_problem},
};

const MOUNTS: [&str; 2] = ["/v1/api_key", "/braintrust/v1/api_key"];

fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

/// 10 keys, each in a millisecond of its own; all ids, the newest first. The owner's key is the oldest.
fn eleven(world: &World, owner: &str) -> Vec<String> {
    let mut ids = vec![world.get("/v1/keys/self", owner).text("id")];
    for number in 0..10 {
        world.advance_ms(1);
        ids.push(world.post("/v1/api_key", owner, &json!({ "name": format!("key {number}") })).text("id"));
    }
    ids.reverse();
    ids
}

/// The ids on a page.
fn page(world: &World, by: &str, query: &str) -> Vec<String> {
    let answer = world.get(&format!("/v1/api_key?{query}"), by);
    assert_eq!(answer.status, 200, "{query}: {}", answer.json);
    let fields = answer.json.as_object().unwrap().len();
    assert_eq!(fields, 1, "`objects` and nothing else");
    let objects = answer.json["objects"].as_array().unwrap().iter();
    objects.map(|object| object["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn whole_life_of_a_key_on_both_mounts() {
    let (world, owner) = world();
    let this = world.get("/v1/keys/self", &owner).json;
    for mount in MOUNTS {
        let created = world.post(mount, &owner, &json!({ "name": "ci", "org_name": "Acme" }));
        assert_eq!(created.status, 200, "{}", created.json);
        assert_not_stored(&created);
        assert_eq!(created.header("content-type"), Some("application/json"));
        let (id, key) = (created.text("id"), created.text("key"));
        let object = json!({
            "id": id,
            "created": "2027-01-15T08:00:00.000Z",
            "name": "ci",
            "preview_name": format!("bit_pat_****{}", &key[key.len() - 4..]),
            "user_id": this["user_id"],
            "org_id": this["organization_id"],
        });
        let mut with_key = object.clone();
        with_key["key"] = json!(key);
        assert_eq!(created.json, with_key);
        let path = format!("{mount}/{id}");
        assert_eq!(world.get(&path, &key).json, object);
        assert_eq!(world.get(&format!("{mount}?ids={id}"), &key).json, json!({ "objects": [object] }));
        let deleted = world.call("DELETE", &path, &owner, &Value::Null);
        assert_eq!((deleted.status, &deleted.json), (200, &object));
        assert_problem(&world.get(mount, &key), 401, "key_revoked");
        assert_problem(&world.get(&path, &owner), 404, "not_found");
        // A client whose connection broke deletes again.
        let again = world.call("DELETE", &path, &owner, &Value::Null);
        assert_eq!((again.status, again.json), (200, object));
    }
}

#[test]
fn create_reads_a_body_as_the_libraries_send_it() {
    let (world, owner) = world();
    for (body, status) in [
        (json!({ "name": "same" }), 200),
        (json!({ "name": "same", "org_name": null }), 200),
        (json!({ "name": "same", "org_name": "Acme" }), 200),
        (json!({ "name": "same", "org_name": "Acme", "later": [1] }), 400),
        (json!({ "name": "same", "org_name": "Other" }), 400),
        (json!({ "name": "" }), 400),
        (json!({ "org_name": "Acme" }), 400),
    ] {
        assert_eq!(world.post("/v1/api_key", &owner, &body).status, status, "{body}");
    }
    assert_eq!(page(&world, &owner, "api_key_name=same").len(), 3);
}

#[test]
fn create_gives_what_its_maker_holds() {
    let (world, owner) = world();
    let body = json!({ "name": "maker", "scopes": ["api-keys:*"], "expires_in_days": 3, "kind": "org" });
    let (_, maker) = world.create_from(&owner, &body);
    for (by, full_access, scopes, expires_at, kind) in [
        (&owner, true, json!(null), json!(null), "pat"),
        (&maker, false, json!(["api-keys:*"]), json!("2027-01-18T08:00:00.000Z"), "org"),
    ] {
        let made = world.post("/v1/api_key", by, &json!({ "name": "made" })).text("key");
        let made = world.get("/v1/keys/self", &made).json;
        assert_eq!(made["full_access"], full_access);
        assert_eq!(made["scopes"], scopes);
        assert_eq!(made["expires_at"], expires_at);
        assert_eq!(made["kind"], kind);
    }
}

#[test]
fn iteration_ends_on_an_empty_page_and_survives_deleting_what_was_seen() {
    let (world, owner) = world();
    let all = eleven(&world, &owner);
    let (mut seen, mut query) = (Vec::new(), "limit=4".to_owned());
    loop {
        let ids = page(&world, &owner, &query);
        let Some(last) = ids.last() else { break };
        query = format!("limit=4&starting_after={last}");
        for id in ids {
            if id != all[10] {
                world.call("DELETE", &format!("/v1/api_key/{id}"), &owner, &Value::Null);
            }
            seen.push(id);
        }
    }
    assert_eq!(seen, all);
    assert_eq!(page(&world, &owner, ""), all[10..]);
}

#[test]
fn list_pages_by_cursor_and_limit() {
    let (world, owner) = world();
    let all = eleven(&world, &owner);
    for (query, expected) in [
        (String::new(), &all[..]),
        ("limit=".to_owned(), &all[..]),
        ("limit=0".to_owned(), &[]),
        ("limit=3".to_owned(), &all[..3]),
        ("limit=1000".to_owned(), &all[..]),
        // The document names no largest limit, and a page may be shorter than what was asked.
        ("limit=1001".to_owned(), &all[..]),
        ("limit=4294967295".to_owned(), &all[..]),
        (format!("starting_after={}&limit=2", all[4]), &all[5..7]),
        (format!("starting_after={}", all[10]), &[]),
        (format!("ending_before={}&limit=2", all[4]), &all[2..4]),
        (format!("ending_before={}", all[4]), &all[..4]),
        (format!("ending_before={}", all[0]), &[]),
        (format!("starting_after={}&ending_before=&limit=", all[9]), &all[10..]),
        (format!("starting_after={}&x-later=1", all[9]), &all[10..]),
    ] {
        assert_eq!(page(&world, &owner, &query), expected, "{query}");
    }
}

#[test]
fn page_has_at_most_a_thousand_keys_whatever_the_limit() {
    let (world, owner) = world();
    let id = world.get("/v1/keys/self", &owner).text("id");
    world.copy_key(&id, 1_001, "00000001", None);
    for (query, length) in [("", 100), ("limit=999", 999), ("limit=1000", 1_000), ("limit=1001", 1_000)] {
        assert_eq!(page(&world, &owner, query).len(), length, "{query}");
    }
}

#[test]
fn list_refuses_what_cannot_be_meant() {
    let (world, owner) = world();
    let id = world.fresh_id();
    for (query, says) in [
        (format!("starting_after={id}&ending_before={id}"), "send only one of them"),
        ("limit=-1".to_owned(), "`limit`"),
        ("limit=x".to_owned(), "`limit`"),
        ("starting_after=x".to_owned(), "`starting_after`"),
        ("ending_before=x".to_owned(), "`ending_before`"),
        ("ids=x".to_owned(), "`ids`"),
        (format!("ids={id}%2C"), "`ids`"),
    ] {
        for mount in MOUNTS {
            let answer = world.get(&format!("{mount}?{query}"), &owner);
            assert_problem(&answer, 400, "validation_failed");
            assert!(answer.text("detail").contains(says), "{}", answer.json);
        }
    }
}

#[test]
fn list_reads_ids_in_every_encoding() {
    let (world, owner) = world();
    let all = eleven(&world, &owner);
    let (a, b, gone) = (&all[2], &all[5], world.fresh_id());
    world.call("DELETE", &format!("/v1/api_key/{}", all[7]), &owner, &Value::Null);
    for query in [
        format!("ids={a}%2C{b}"),
        format!("ids={a},{b}"),
        format!("ids={a}&ids={b}"),
        format!("ids={b}%2C{a}&ids={gone}"),
        format!("ids={a}%2C+{b}&ids="),
        format!("ids={a}&ids={b}%2C{}", all[7]),
    ] {
        assert_eq!(page(&world, &owner, &query), [a.as_str(), b], "{query}");
    }
    assert_eq!(page(&world, &owner, &format!("ids={a}")), [a.as_str()]);
    assert_eq!(page(&world, &owner, &format!("ids={gone}")), Vec::<String>::new());
    assert_eq!(page(&world, &owner, "ids="), page(&world, &owner, ""));
}

#[test]
fn list_filters_by_name_and_organization() {
    let (world, owner) = world();
    let all = eleven(&world, &owner);
    for (query, expected) in [
        ("api_key_name=key+9", &all[..1]),
        ("api_key_name=key%209", &all[..1]),
        ("api_key_name=key", &[]),
        ("org_name=Acme", &all[..]),
        ("org_name=acme", &[]),
        ("org_name=Other", &[]),
        ("org_name=Acme&api_key_name=key+9", &all[..1]),
        ("org_name=Other&api_key_name=key+9", &[]),
        ("org_name=&api_key_name=", &all[..]),
    ] {
        assert_eq!(page(&world, &owner, query), expected, "{query}");
    }
}

#[test]
fn id_that_the_caller_cannot_see_is_404() {
    let (world, owner) = world();
    let (_, strangers, _) = world.stranger(&owner);
    for id in [strangers, world.fresh_id(), "x".to_owned()] {
        for mount in MOUNTS {
            let path = format!("{mount}/{id}");
            assert_problem(&world.get(&path, &owner), 404, "not_found");
            assert_problem(&world.call("DELETE", &path, &owner, &Value::Null), 404, "not_found");
        }
    }
}
