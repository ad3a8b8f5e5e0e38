//! Projects: made with a key, seen by their keys alone, ended with all of them; and strangers, who see nothing.

use serde_json::{Value, json};

use crate::support::{
    World,
    problem::assert_problem,
    routes::{Targets, every_key_route},
};

const STALENESS_MS: i64 = 5_000;

fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

/// Makes a project; gives its id and its first key.
fn project(world: &World, owner: &str, name: &str) -> (String, String) {
    let data = world.post("/v1/projects", owner, &json!({ "name": name })).json["data"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&data["project"]["id"]), text(&data["apiKey"]["value"]))
}

/// Makes a further key of a project; gives its id and its text.
fn key_of_project(world: &World, owner: &str, project_id: &str) -> (String, String) {
    let body =
        json!({ "name": "more", "kind": "proj", "project_id": project_id, "scopes": ["api-keys:*", "projects:*"] });
    world.create_from(owner, &body)
}

fn code(world: &World, by: &str, key: &str) -> Value {
    world.verify(by, key, &[])["code"].clone()
}

#[test]
fn creating_a_project_tells_its_first_key_once() {
    let (world, owner) = world();
    let (id, key) = project(&world, &owner, "Chat");
    assert!(key.starts_with("bit_proj_"), "{key}");
    let shown = world.get("/v1/keys/self", &key).json;
    assert_eq!((&shown["kind"], &shown["project_id"]), (&json!("proj"), &json!(id)));
    assert_eq!((&shown["user_id"], &shown["role"]), (&Value::Null, &json!("member")));
    assert!(!world.database.dump().contains(&key));
    for path in ["/v1/projects", &format!("/v1/projects/{id}"), &format!("/v1/projects/{id}/api-keys"), "/v1/keys"] {
        let answer = world.get(path, &owner);
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert!(!answer.json.to_string().contains(&key), "{path}");
    }
    let actions = "SELECT group_concat(action) FROM (SELECT action FROM audit_events ORDER BY id DESC LIMIT 2)";
    assert_eq!(world.database.value(actions), "key.created,project.created");
}

#[test]
fn creating_a_project_does_all_or_nothing() {
    let (world, owner) = world();
    let before = world.database.dump();
    for (by, body, status, code) in [
        (&owner, json!({ "name": "" }), 400, "validation_failed"),
        (&world.colleague(&owner, "member").2, json!({ "name": "a" }), 403, "exceeds_own_access"),
    ] {
        assert_problem(&world.post("/v1/projects", by, &body), status, code);
    }
    assert_eq!(world.database.count("projects"), 0);
    world.database.fail_next("D1 is down");
    world.advance_ms(1);
    assert_problem(&world.another_isolate().post("/v1/projects", &owner, &json!({ "name": "a" })), 503, "unavailable");
    assert_eq!(world.database.count("projects"), 0, "{before}");
}

#[test]
fn key_of_a_project_sees_its_project_alone() {
    let (world, owner) = world();
    let (other_id, other) = project(&world, &owner, "Other");
    let (id, first) = project(&world, &owner, "Chat");
    let (more_id, more) = key_of_project(&world, &owner, &id);
    let first_id = world.get("/v1/keys/self", &first).text("id");
    let ids = |answer: &Value, list: &str| {
        let objects = answer[list].as_array().unwrap().iter();
        objects.map(|object| object["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut own = [first_id.clone(), more_id.clone()];
    own.sort_by(|a, b| b.cmp(a));
    for key in [&first, &more] {
        assert_eq!(ids(&world.get("/v1/keys?status=all", key).json, "items"), own);
        assert_eq!(ids(&world.get("/v1/api_key", key).json, "objects"), own);
        assert_eq!(ids(&world.get(&format!("/v1/keys?project_id={other_id}"), key).json, "items"), [""; 0]);
        assert_eq!(ids(&world.get("/v1/projects", key).json["data"], "projects"), [id.as_str()]);
        assert_eq!(world.get(&format!("/v2/projects/{id}"), key).json["data"]["name"], "Chat");
        assert_problem(&world.get(&format!("/v1/projects/{other_id}"), key), 404, "not_found");
        let others = [&other, &owner].map(|key| world.get("/v1/keys/self", key).text("id"));
        for path in others.iter().flat_map(|id| [format!("/v1/keys/{id}"), format!("/v1/keys/{id}/events")]) {
            assert_problem(&world.get(&path, key), 404, "not_found");
        }
        for sibling in &own {
            assert_eq!(world.get(&format!("/v1/keys/{sibling}"), key).status, 200);
        }
    }
}

#[test]
fn key_of_a_project_verifies_the_keys_of_its_project_alone() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let (id, key) = key_of_project(&world, &owner, &targets.project);
    world.database.execute(&format!("UPDATE keys SET scopes = NULL WHERE id = '{id}'"));
    let (_, sibling) = key_of_project(&world, &owner, &targets.project);
    let world = world.another_isolate();
    assert_eq!(world.verify(&key, &sibling, &[])["code"], "valid");
    assert_eq!(world.verify(&key, &owner, &[])["code"], "invalid_api_key");
}

#[test]
fn key_of_a_project_changes_nothing_but_itself() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let (id, key) = key_of_project(&world, &owner, &targets.project);
    let full_access = format!("UPDATE keys SET scopes = NULL WHERE id = '{id}'");
    world.database.execute(&full_access);
    let before = world.database.dump();
    let world = world.another_isolate();
    // What an application sends, its traces, its data sets and its evaluations are what the key is for.
    let using = ["traces:write", "datasets:write", "evaluations:write", "review:write", "error-analysis:execute"];
    for route in
        every_key_route(&targets).iter().filter(|route| route.method != "GET" && !using.contains(&route.access))
    {
        if route.ends_caller() {
            continue;
        }
        let answer = route.send(&world, &key);
        if ["/v1/authorize", "/v1/keys/verify", "/v1/tokens", "/mcp"].contains(&route.template) {
            continue;
        }
        assert!([403, 404].contains(&answer.status), "{route}: {}", answer.json);
    }
    let sibling = format!("/v1/keys/{}", targets.project_key);
    for (method, path, body) in [
        ("PATCH", sibling.clone(), json!({ "name": "n" })),
        ("DELETE", sibling.clone(), Value::Null),
        ("POST", format!("{sibling}/rotate"), json!({})),
    ] {
        assert_problem(&world.call(method, &path, &key, &body), 403, "exceeds_own_access");
    }
    let narrower = json!({ "name": "n", "kind": "proj", "project_id": targets.project, "scopes": [] });
    assert_problem(&world.post("/v1/keys", &key, &narrower), 403, "exceeds_own_access");
    assert_eq!(world.database.dump(), before);
    let own = format!("/v1/keys/{id}");
    assert_eq!(world.change(&key, &id, &json!({ "name": "renamed", "scopes": ["api-keys:*"] }))["name"], "renamed");
    assert_problem(&world.call("PATCH", &own, &key, &json!({ "scopes": ["datasets:*"] })), 403, "exceeds_own_access");
    assert_eq!(world.call("DELETE", &own, &key, &Value::Null).status, 200);
}

#[test]
fn key_of_a_project_is_made_for_a_project_of_the_own_organization_that_is_there() {
    let (world, owner) = world();
    let (id, _) = project(&world, &owner, "Chat");
    let (_, _, stranger) = world.stranger(&owner);
    let body = json!({ "name": "n", "kind": "proj", "project_id": id, "scopes": [] });
    let before = world.database.count("keys");
    for by in [&stranger, &owner] {
        if by == &owner {
            assert_eq!(world.call("DELETE", &format!("/v1/projects/{id}"), &owner, &Value::Null).status, 200);
        }
        let answer = world.post("/v1/keys", by, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), "project_id");
        assert_problem(
            &world.post(&format!("/v1/projects/{id}/api-keys"), by, &json!({ "name": "n" })),
            404,
            "not_found",
        );
    }
    assert_eq!(world.database.count("keys"), before);
    let (_, _, member) = world.colleague(&owner, "member");
    let (other, _) = project(&world, &owner, "Other");
    let body = json!({ "name": "n", "kind": "proj", "project_id": other, "scopes": [] });
    assert_problem(&world.post("/v1/keys", &member, &body), 403, "exceeds_own_access");
}

#[test]
fn deleting_a_project_of_ten_thousand_keys_writes_four_rows_and_ends_them_all() {
    let (world, owner) = world();
    let (id, first) = project(&world, &owner, "Chat");
    let (_, bystander) = project(&world, &owner, "Other");
    let (copied, second) = key_of_project(&world, &owner, &id);
    world.copy_key(&copied, 10_000, "00000001", None);
    let (_, last) = key_of_project(&world, &owner, &id);
    let keys = [&first, &second, &last];
    let other = world.another_isolate();
    for key in keys {
        assert_eq!(code(&other, &owner, key), "valid");
        assert_eq!(other.get("/v1/scopes", key).status, 200);
    }
    let total = || world.database.connection.borrow().total_changes();
    let (changes, written) = (world.database.count("changes"), total());
    let mut answer = None;
    let steps = world.steps(|| {
        answer = Some(world.call("DELETE", &format!("/v1/projects/{id}"), &owner, &Value::Null));
    });
    let answer = answer.unwrap();
    assert_eq!((answer.status, &answer.json["data"]), (200, &json!({ "id": id, "deleted": true })));
    assert_eq!(total() - written, 5, "the project, its audit event and its number, one row of the feed, the usage");
    assert!(steps < 1_000, "{steps} steps");
    let feed = "SELECT subject FROM changes ORDER BY seq DESC LIMIT 1";
    assert_eq!((world.database.count("changes"), world.database.value(feed)), (changes + 1, json!(id)));
    // Routes that ask the database know at once, also where nobody has heard of it.
    for key in keys {
        assert_problem(&other.get("/v1/keys/self", key), 401, "project_deleted");
        assert_eq!(code(&world, &owner, key), "project_deleted");
    }
    // An isolate that is asked nothing of the kind knows within the bound.
    let quiet = world.another_isolate();
    world.database.execute(&format!("UPDATE projects SET deleted_at = NULL WHERE id = '{id}'"));
    assert_eq!(code(&quiet, &owner, &second), "valid");
    world.database.execute(&format!("UPDATE projects SET deleted_at = 1 WHERE id = '{id}'"));
    assert_eq!(code(&quiet, &owner, &second), "valid");
    quiet.later.drop_all();
    world.advance_ms(STALENESS_MS + 1);
    assert_eq!(code(&quiet, &owner, &second), "project_deleted");
    assert_eq!(code(&quiet, &owner, &bystander), "valid");
}

#[test]
fn nothing_of_a_deleted_project_is_there_any_more() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    assert_eq!(world.call("DELETE", &format!("/v1/projects/{}", targets.project), &owner, &Value::Null).status, 200);
    let before = world.database.dump();
    for route in every_key_route(&targets).iter().filter(|route| route.template.contains(":project")) {
        assert_problem(&route.send(&world, &owner), 404, "not_found");
    }
    assert_eq!(world.database.dump(), before);
    assert_eq!(world.get("/v1/projects", &owner).json["data"]["projects"], json!([]));
}

#[test]
fn strangers_see_and_change_nothing_on_any_route() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let (_, _, stranger) = world.stranger(&owner);
    let (_, theirs) = world.create(&stranger, "theirs", &[]);
    world.get("/v1/scopes", &stranger);
    let secrets = [
        &targets.id,
        &targets.rotating,
        &targets.org_key,
        &targets.project,
        &targets.project_key,
        &targets.organization,
        &targets.member,
        &targets.colleague,
        &targets.team,
        &targets.invitation,
        &targets.token,
    ];
    for route in every_key_route(&targets) {
        let before = world.database.dump();
        let answer = route.send(&world, &stranger);
        if route.template.contains(':') || route.known.names_targets {
            assert_problem(&answer, 404, "not_found");
            assert_eq!(world.database.dump(), before, "{route}");
        } else if route.template == "/v1/keys/verify" {
            assert_eq!(answer.json, json!({ "valid": false, "code": "invalid_api_key" }));
        } else if route.name() == "POST /v1/organizations" {
            assert_problem(&answer, 403, "exceeds_own_access");
            assert_eq!(world.database.dump(), before);
        } else {
            assert!(answer.status < 300, "{route}: {}", answer.json);
        }
        let told = answer.json.to_string();
        assert!(secrets.iter().all(|id| !told.contains(id.as_str())), "{route}: {told}");
    }
    // A number means a key of the own organization, whatever others have under it.
    let of = |id: &str| world.database.value(&format!("SELECT number FROM keys WHERE id = '{id}'"));
    let paths = [
        format!("/v1/organization/api-keys/{}", of(&targets.org_key)),
        format!("/v1/projects/{}/api-keys/{}", targets.project, of(&targets.project_key)),
    ];
    // The last of the routes has ended the stranger's key.
    world.database.execute("UPDATE keys SET revoked_at = NULL WHERE name = 'handed over'");
    for path in paths {
        assert_eq!(world.get(&path, &owner).status, 200);
        assert_problem(&world.get(&path, &stranger), 404, "not_found");
    }
    assert_eq!(code(&world, &stranger, &theirs), "valid");
}

#[test]
fn numbers_count_the_keys_of_each_organization() {
    let (world, owner) = world();
    let (_, _, stranger) = world.stranger(&owner);
    world.database.execute("UPDATE keys SET number = 1 WHERE number <> 1");
    let numbers = |by: &str| {
        let make = |name: &str| {
            world.post("/v2/organization/api-keys", by, &json!({ "name": name })).json["data"]["id"].clone()
        };
        let first = make("a");
        let revoked = world.call("DELETE", &format!("/v2/organization/api-keys/{first}"), by, &Value::Null);
        assert_eq!(revoked.json["data"], json!({ "id": first, "deleted": true }));
        [first, make("b"), make("c")]
    };
    assert_eq!(numbers(&owner), [2, 3, 4], "and that of a revoked key is not used again");
    assert_eq!(numbers(&stranger), [2, 3, 4]);
}
