//! Organizations: made and suspended by the operator, with settings that every way to make a key obeys,
//! and their projects.

use bitting::entry;
use futures::{executor::block_on, future::join};
use serde_json::{Value, json};

use crate::support::{
    Answer, START, World,
    problem::assert_problem,
    request,
    routes::{Targets, every_key_route},
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const STALENESS_MS: i64 = 5_000;
const ALL: &str = "/v1/organizations";
const OWN: &str = "/v1/organizations/self";

fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

fn at(id: &str) -> String {
    format!("{ALL}/{id}")
}

fn patch(world: &World, path: &str, by: &str, body: &Value) -> Answer {
    world.call("PATCH", path, by, body)
}

/// Changes an organization and expects that to work.
#[track_caller]
fn set(world: &World, path: &str, by: &str, body: &Value) -> Value {
    let answer = patch(world, path, by, body);
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer.json
}

/// Another organization, made by the operator; gives its id, and its owner's key's id and text.
fn found(world: &World, operator: &str, name: &str) -> (String, String, String) {
    let answer = world.post(ALL, operator, &json!({ "name": name, "email": "b@example.com", "key_name": "first" }));
    assert_eq!(answer.status, 201, "{}", answer.json);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&answer.json["organization"]["id"]), text(&answer.json["key"]["id"]), text(&answer.json["key"]["key"]))
}

fn ids(answer: &Answer) -> Vec<String> {
    let items = answer.json["items"].as_array().unwrap_or_else(|| panic!("no items in {}", answer.json)).iter();
    items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// All ids of a list, read in pages.
fn walked(world: &World, path: &str, by: &str, limit: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let answer = world.get(&format!("{path}?limit={limit}{after}"), by);
        let page = ids(&answer);
        assert!(page.len() <= limit);
        all.extend(page);
        let next = answer.json["next_cursor"].as_str();
        assert_eq!(answer.json["has_more"], json!(next.is_some()));
        match next {
            Some(cursor) => after = format!("&starting_after={cursor}"),
            None => return all,
        }
    }
}

/// The actions of an organization's trail, the newest first.
fn trail(world: &World, id: &str) -> Value {
    let sql = "SELECT group_concat(action) FROM (SELECT action FROM audit_events WHERE organization_id =";
    world.database.value(&format!("{sql} '{id}' ORDER BY id DESC)"))
}

#[test]
fn creating_an_organization_tells_its_owners_key_once() {
    let (world, owner) = world();
    let maker = world.get("/v1/keys/self", &owner).text("id");
    let body = json!({ "name": "Beta", "email": "b@example.com", "key_name": "first" });
    let (answer, io) = world.counted(|| world.post(ALL, &owner, &body));
    assert_eq!((answer.status, io.0), (201, 1), "{}", answer.json);
    let (organization, key) = (&answer.json["organization"], &answer.json["key"]);
    let id = organization["id"].as_str().unwrap();
    assert_eq!((&organization["name"], &organization["suspended_at"]), (&json!("Beta"), &Value::Null));
    let text = key["key"].as_str().unwrap();
    assert!(text.starts_with("bit_pat_") && !world.database.dump().contains(text), "{text}");
    let shown = world.get("/v1/keys/self", text).json;
    for (field, expected) in [
        ("kind", json!("pat")),
        ("role", json!("owner")),
        ("full_access", json!(true)),
        ("expires_at", Value::Null),
        ("created_by", json!(maker)),
        ("organization_id", json!(id)),
        ("user_id", world.database.value("SELECT id FROM users WHERE email = 'b@example.com'")),
    ] {
        assert_eq!((&shown[field], &key[field]), (&expected, &expected), "{field}");
    }
    assert_eq!(trail(&world, id), "organization.created,key.created");
    assert_eq!(world.get(&at(id), &owner).json, *organization);
    assert_eq!(world.get(OWN, text).json, *organization);
}

#[test]
fn key_of_a_second_organization_sees_nothing_of_the_first() {
    let (world, owner) = world();
    let first = world.get(OWN, &owner).text("id");
    let (id, key_id, key) = found(&world, &owner, "Beta");
    let project = world.project(&owner, "Chat");
    assert_eq!(ids(&world.get(ALL, &key)), [id.as_str()]);
    assert_eq!(ids(&world.get("/v1/keys?status=all", &key)), [key_id.as_str()]);
    assert_eq!(world.verify(&key, &owner, &[])["code"], "invalid_api_key");
    assert_eq!(world.verify(&owner, &key, &[])["code"], "valid");
    let before = world.database.dump();
    let projects = format!("{}/projects", at(&first));
    let one = format!("{projects}/{project}");
    for (method, path, body) in [
        ("GET", &at(&first), Value::Null),
        ("PATCH", &at(&first), json!({ "suspended": true })),
        ("PATCH", &at(&first), json!({ "name": "mine" })),
        ("GET", &projects, Value::Null),
        ("POST", &projects, json!({ "name": "mine" })),
        ("GET", &one, Value::Null),
        ("PATCH", &one, json!({ "name": "mine" })),
        ("DELETE", &one, Value::Null),
        ("GET", &format!("{OWN}/projects/{project}"), Value::Null),
        ("PATCH", &format!("{OWN}/projects/{project}"), json!({ "name": "mine" })),
        ("DELETE", &format!("{OWN}/projects/{project}"), Value::Null),
    ] {
        assert_problem(&world.call(method, path, &key, &body), 404, "not_found");
    }
    assert_eq!(world.database.dump(), before);
}

#[test]
fn create_organization_needs_full_access_operator_admin() {
    let (world, owner) = world();
    let colleague = |role: &str| world.colleague(&owner, role);
    let (_, ending_id, ending) = colleague("owner");
    world.database.execute(&format!("UPDATE keys SET expires_at = {} WHERE id = '{ending_id}'", START.0 + DAY_MS));
    let (id, of_project) = world.create_from(
        &owner,
        &json!({ "name": "p", "kind": "proj", "project_id": world.project(&owner, "Chat"), "scopes": [] }),
    );
    world.database.execute(&format!("UPDATE keys SET scopes = NULL, role = 'owner' WHERE id = '{id}'"));
    let body = json!({ "name": "Beta", "email": "b@example.com", "key_name": "first" });
    for (by, status) in [
        (world.stranger(&owner).2, 403),
        (found(&world, &owner, "Beta").2, 403),
        (colleague("member").2, 403),
        (colleague("admin").2, 201),
        (world.create(&owner, "scoped", &["organization:*", "api-keys:*"]).1, 403),
        (ending, 403),
        (of_project, 403),
        (owner.clone(), 201),
    ] {
        let before = world.database.dump();
        let answer = world.another_isolate().post(ALL, &by, &body);
        if status == 201 {
            assert_eq!(answer.status, 201, "{}", answer.json);
        } else {
            assert_problem(&answer, 403, "exceeds_own_access");
            assert_eq!(world.database.dump(), before);
        }
    }
}

#[test]
fn creating_an_organization_or_a_project_does_all_or_nothing() {
    let (mut world, owner) = world();
    let (id, ..) = found(&world, &owner, "Beta");
    let calls = [
        (ALL.to_owned(), json!({ "name": "c", "email": "c@example.com", "key_name": "first" })),
        (format!("{OWN}/projects"), json!({ "name": "c" })),
        (format!("{}/projects", at(&id)), json!({ "name": "c" })),
    ];
    let before = world.database.dump();
    // Each fails at its very last statement, and the last event is the only one that is refused.
    world.database.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_events
         WHEN NEW.action = 'organization.created' OR (NEW.action = 'key.created' AND EXISTS (SELECT 1 FROM projects))
         BEGIN SELECT RAISE(ABORT, 'refused'); END",
    );
    for (path, body) in &calls {
        assert_problem(&world.post(path, &owner, body), 503, "unavailable");
        assert_eq!(world.database.dump(), before, "{path}");
    }
    world.database.execute("DROP TRIGGER refuse");
    // And no key that has just ended makes any of them.
    let first = world.get("/v1/keys/self", &owner).text("id");
    world.meddle(0, &format!("UPDATE keys SET revoked_at = 1 WHERE id = '{first}'"));
    for (path, body) in &calls {
        assert_problem(&world.post(path, &owner, body), 401, "key_revoked");
    }
    assert_eq!((world.database.count("organizations"), world.database.count("projects")), (2, 0));
}

#[test]
fn list_organizations_shows_all_to_the_operator_alone() {
    let (world, owner) = world();
    let (_, _, member) = world.colleague(&owner, "member");
    let mut made = vec![world.get(OWN, &owner).text("id")];
    for name in ["a", "b", "c", "d"] {
        world.advance_ms(1);
        made.push(found(&world, &owner, name).0);
    }
    made.reverse();
    for limit in [1, 2, 5, 1_000] {
        assert_eq!(walked(&world, ALL, &owner, limit), made, "{limit}");
    }
    assert_eq!(ids(&world.get(ALL, &owner)), made);
    assert_eq!(
        world.get(&format!("{ALL}?limit=0"), &owner).json,
        json!({ "items": [], "has_more": true, "next_cursor": null })
    );
    let own = made.last().unwrap();
    assert_eq!(walked(&world, ALL, &member, 1), [own.as_str()], "a member is no operator");
    let after_own = world.get(&format!("{ALL}?starting_after={own}"), &member);
    assert_eq!(after_own.json, json!({ "items": [], "has_more": false, "next_cursor": null }));
    for (query, field) in [("limit=1001", "limit"), ("starting_after=x", "starting_after"), ("status=all", "status")] {
        for path in [ALL.to_owned(), format!("{OWN}/projects")] {
            let answer = world.get(&format!("{path}?{query}"), &owner);
            assert_problem(&answer, 400, "validation_failed");
            assert_eq!(answer.field(), field);
        }
    }
}

#[test]
fn settings_are_set_shown_and_cleared_with_an_event_of_what_was_set() {
    let (world, owner) = world();
    let id = world.get(OWN, &owner).text("id");
    let fields = [
        ("name", json!("Acme 2")),
        ("longest_expiry_days", json!(90)),
        ("default_expiry_days", json!(90)),
        ("max_keys_per_user", json!(50)),
        ("audit_retention_days", json!(30)),
        ("trace_retention_days", json!(36_500)),
    ];
    let details = "SELECT details FROM audit_events WHERE action = 'organization.updated' ORDER BY id DESC LIMIT 1";
    for (field, value) in &fields {
        let change = json!({ *field: value });
        let before = world.get(OWN, &owner).json;
        let (events, changed) = (world.database.count("audit_events"), set(&world, OWN, &owner, &change));
        let mut expected = before;
        expected[field] = value.clone();
        expected["updated_at"] = changed["updated_at"].clone();
        assert_eq!(changed, expected);
        assert_eq!(world.get(&at(&id), &owner).json, expected);
        assert_eq!(world.database.value(details), change.to_string());
        assert_eq!(world.database.count("audit_events"), events + 1);
    }
    let cleared: Value = fields[1..].iter().map(|(field, _)| ((*field).to_owned(), Value::Null)).collect();
    let changed = set(&world, OWN, &owner, &cleared);
    assert!(fields[1..].iter().all(|(field, _)| changed[field].is_null()), "{changed}");
    assert_eq!(changed["name"], "Acme 2");
    let told: Value = serde_json::from_str(world.database.value(details).as_str().unwrap()).unwrap();
    assert_eq!(told, cleared);
    // One batch, that one, and the next request reads the key anew.
    assert_eq!(world.counted(|| set(&world, OWN, &owner, &json!({ "name": "a" }))).1.0, 2);
}

#[test]
fn every_wrong_setting_is_refused_by_its_name() {
    let (world, owner) = world();
    let days = "must be a whole number from 1 to 36500";
    let wrong = [
        (json!({}), "", "There is nothing to change"),
        (json!({ "name": null }), "name", ""),
        (json!({ "name": " " }), "name", "blank"),
        (json!({ "default_expiry_days": 0 }), "default_expiry_days", days),
        (json!({ "default_expiry_days": 36_501 }), "default_expiry_days", days),
        (json!({ "longest_expiry_days": -1 }), "longest_expiry_days", days),
        (json!({ "audit_retention_days": 0 }), "audit_retention_days", days),
        (json!({ "audit_retention_days": 29 }), "audit_retention_days", "must be at least 30"),
        (json!({ "trace_retention_days": i64::MAX }), "trace_retention_days", days),
        (json!({ "max_keys_per_user": 0 }), "max_keys_per_user", "must be a whole number from 1 to 1000000"),
        (json!({ "max_keys_per_user": i64::MAX }), "max_keys_per_user", "must be a whole number from 1 to 1000000"),
        (json!({ "max_keys_per_user": "3" }), "max_keys_per_user", "must be a whole number"),
        (json!({ "suspended": null }), "suspended", "must be true or false"),
        (json!({ "subscription": null }), "subscription", ""),
        (json!({ "subscription": "free" }), "subscription", "must be one of `active`"),
        (json!({ "credits": -1 }), "credits", "must be a whole number from 0 to"),
        (json!({ "default_expiry_days": 9, "longest_expiry_days": 8 }), "default_expiry_days", "not be longer"),
        (json!({ "default_expiry_days": 31 }), "default_expiry_days", "not be longer"),
        (json!({ "longest_expiry_days": 9 }), "longest_expiry_days", "not be shorter"),
        (json!({ "longest_expiry_days": 9, "name": "n" }), "longest_expiry_days", "not be shorter"),
    ];
    set(&world, OWN, &owner, &json!({ "default_expiry_days": 10, "longest_expiry_days": 30 }));
    let before = world.database.dump();
    for (body, field, message) in wrong {
        let answer = patch(&world, OWN, &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field, "{body}");
        assert!(answer.detail().contains(message), "{}", answer.json);
    }
    assert_eq!(world.database.dump(), before);
    for good in [
        json!({ "default_expiry_days": 30 }),
        json!({ "default_expiry_days": 31, "longest_expiry_days": 31 }),
        json!({ "longest_expiry_days": null, "default_expiry_days": 36_500 }),
        json!({ "longest_expiry_days": 1, "default_expiry_days": null }),
    ] {
        set(&world, OWN, &owner, &good);
    }
}

#[test]
fn of_two_settings_that_do_not_fit_the_later_is_refused() {
    let (mut world, owner) = world();
    // Somebody sets the other one right before, past all that was judged until then.
    world.meddle(0, "UPDATE organizations SET longest_expiry_days = 5");
    let answer = patch(&world, OWN, &owner, &json!({ "default_expiry_days": 6 }));
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(world.get(OWN, &owner).json["default_expiry_days"], Value::Null);
}

#[test]
fn who_may_read_and_change_an_organization() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let (_, _, admin) = world.colleague(&owner, "admin");
    let (_, _, member) = world.colleague(&owner, "member");
    let scopes = ["organization:*", "projects:*"];
    let body = json!({ "name": "p", "kind": "proj", "project_id": targets.project, "scopes": scopes });
    let (_, of_project) = world.create_from(&owner, &body);
    let (other, _, others) = found(&world, &owner, "Beta");
    let project = format!("{OWN}/projects/{}", targets.project);
    for (by, changes) in [(&owner, true), (&admin, true), (&member, false), (&of_project, false)] {
        assert_eq!(world.get(OWN, by).json["name"], "Acme");
        assert_eq!(ids(&world.get(&format!("{OWN}/projects"), by)), [targets.project.as_str()]);
        assert_eq!(world.get(&project, by).json["name"], "target");
        for (method, path, body) in [
            ("PATCH", OWN, json!({ "name": "Acme" })),
            ("PATCH", OWN, json!({ "max_keys_per_user": 90 })),
            ("POST", &format!("{OWN}/projects"), json!({ "name": "a" })),
            ("PATCH", &project, json!({ "name": "target" })),
        ] {
            let before = world.database.dump();
            let answer = world.call(method, path, by, &body);
            if changes {
                assert!(answer.status < 300, "{}", answer.json);
                world.database.execute("UPDATE projects SET deleted_at = 1 WHERE name = 'a'");
            } else {
                assert_problem(&answer, 403, "exceeds_own_access");
                assert_eq!(world.database.dump(), before);
            }
        }
        // Another organization is there for whoever administers the operator's.
        for path in [at(&other), format!("{}/projects", at(&other))] {
            let answer = world.get(&path, by);
            if changes { assert_eq!(answer.status, 200) } else { assert_problem(&answer, 404, "not_found") }
        }
    }
    for body in [json!({ "suspended": false }), json!({ "subscription": "active" }), json!({ "credits": null })] {
        assert_problem(&patch(&world, OWN, &others, &body), 403, "exceeds_own_access");
    }
}

#[test]
fn suspending_an_organization_of_ten_thousand_keys_writes_one_row_to_the_feed() {
    let (world, owner) = world();
    let (id, key_id, first) = found(&world, &owner, "Beta");
    let (_, second) = world.create(&first, "second", &["api-keys:read"]);
    world.copy_key(&key_id, 10_000, "00000001", None);
    let keys = [&first, &second];
    let [other, quiet] = [world.another_isolate(), world.another_isolate()];
    for key in keys {
        for isolate in [&other, &quiet] {
            assert_eq!(isolate.verify(&owner, key, &[])["code"], "valid");
            assert_eq!(isolate.get("/v1/scopes", key).status, 200);
        }
    }
    world.settle();
    let total = || world.database.connection.borrow().total_changes();
    let (changes, written) = (world.database.count("changes"), total());
    let mut suspended = Value::Null;
    let steps = world.steps(|| suspended = set(&world, &at(&id), &owner, &json!({ "suspended": true })));
    assert_eq!(suspended["suspended_at"], "2027-01-15T08:00:00.000Z");
    assert_eq!(
        total() - written,
        6,
        "the organization, its audit event and its number in both trails, one row of the feed"
    );
    assert_eq!(world.database.count("changes"), changes + 1);
    assert!(steps < 1_500, "{steps} steps");
    assert_eq!(trail(&world, &id).as_str().unwrap().split(',').next(), Some("organization.updated"));
    for key in keys {
        assert_problem(&other.get("/v1/keys/self", key), 403, "organization_suspended");
        assert_eq!(world.verify(&owner, key, &[])["code"], "organization_suspended");
        assert_eq!(quiet.verify(&owner, key, &[])["code"], "valid", "nothing has told this isolate yet");
    }
    quiet.later.drop_all();
    world.advance_ms(STALENESS_MS + 1);
    for key in keys {
        assert_eq!(quiet.verify(&owner, key, &[])["code"], "organization_suspended");
    }
    // Suspending it again leaves the instant as it was; resuming it lets every key work again.
    assert_eq!(set(&world, &at(&id), &owner, &json!({ "suspended": true }))["suspended_at"], suspended["suspended_at"]);
    let resumed = set(&world, &at(&id), &owner, &json!({ "suspended": false }));
    assert_eq!(resumed["suspended_at"], Value::Null);
    world.advance_ms(STALENESS_MS + 1);
    for key in keys {
        for isolate in [&world, &other, &quiet] {
            assert_eq!(isolate.get("/v1/keys/self", key).status, 200);
            assert_eq!(isolate.verify(&owner, key, &[])["code"], "valid");
        }
    }
}

#[test]
fn operators_own_organization_cannot_be_suspended() {
    let (world, owner) = world();
    let id = world.get(OWN, &owner).text("id");
    let before = world.database.dump();
    for path in [OWN, &at(&id)] {
        for suspended in [true, false] {
            let body = json!({ "suspended": suspended, "name": "n" });
            assert_problem(&patch(&world, path, &owner, &body), 409, "operator_organization");
        }
    }
    assert_eq!(world.database.dump(), before);
}

#[test]
fn inactive_subscription_is_402_on_every_resource_route_and_on_no_other() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    assert_eq!(world.get(OWN, &owner).json["subscription"], "active");
    let inactive = set(&world, OWN, &owner, &json!({ "subscription": "inactive" }));
    assert_eq!(inactive["subscription"], "inactive");
    let before = world.database.dump();
    let [resources, others]: [Vec<_>; 2] = [true, false].map(|api| {
        every_key_route(&targets).into_iter().filter(|route| api == route.path.starts_with("/api/")).collect()
    });
    assert!(resources.len() > 17, "{}", resources.len());
    for route in &resources {
        assert_problem(&route.send(&world, &owner), 402, "subscription_inactive");
    }
    assert_eq!(world.database.dump(), before);
    for route in others.iter().filter(|route| route.method == "GET") {
        assert_eq!(route.send(&world, &owner).status, 200, "{route}");
    }
    set(&world, OWN, &owner, &json!({ "subscription": "active" }));
    for route in resources.iter().filter(|route| route.method == "GET") {
        assert_eq!(route.send(&world, &owner).status, 200, "{route}");
    }
}

#[test]
fn subscription_that_ends_reaches_other_isolates_within_the_bound() {
    let (world, owner) = world();
    let (id, _, key) = found(&world, &owner, "Beta");
    let other = world.another_isolate();
    assert_eq!(other.get("/api/datasets", &key).status, 200);
    set(&world, &at(&id), &owner, &json!({ "subscription": "inactive" }));
    assert_problem(&other.get("/api/datasets", &key), 402, "subscription_inactive");
}

#[test]
fn credits_are_the_operators_to_set() {
    let (world, owner) = world();
    let (id, _, key) = found(&world, &owner, "Beta");
    let credits = || world.get(OWN, &key).json["credits"].clone();
    assert_eq!(credits(), Value::Null);
    for given in [json!(10), json!(0), json!(null)] {
        set(&world, &at(&id), &owner, &json!({ "credits": given }));
        assert_eq!(credits(), given);
        set(&world, &at(&id), &owner, &json!({ "name": "renamed" }));
        assert_eq!(credits(), given, "nothing was said of them");
    }
}

/// Every way to make a key about whose expiry nothing is said: what is asked, and what is sent.
fn ways_to_make_a_key(project: &str) -> Vec<(String, Value)> {
    let named = json!({ "name": "made" });
    let of_project = json!({ "name": "made", "scopes": [], "kind": "proj", "project_id": project });
    vec![
        ("/v1/keys".into(), json!({ "name": "made", "scopes": [] })),
        ("/v1/keys".into(), json!({ "name": "made", "scopes": [], "kind": "org" })),
        ("/v1/keys".into(), of_project),
        ("/v1/api_key".into(), named.clone()),
        ("/v1/apikeys".into(), named.clone()),
        ("/v1/organization/api-keys".into(), named.clone()),
        ("/v2/organization/api-keys".into(), named.clone()),
        (format!("/v1/projects/{project}/api-keys"), named.clone()),
        (format!("/v2/projects/{project}/api-keys"), named.clone()),
        ("/v1/projects".into(), named.clone()),
        ("/v2/projects".into(), named.clone()),
        (format!("{OWN}/projects"), named),
    ]
}

#[test]
fn every_way_to_make_a_key_gives_the_expiry_that_the_policy_says() {
    for (default, longest, maker, expected) in [
        (None, None, None, None),
        (Some(10), None, None, Some(10)),
        (None, Some(20), None, Some(20)),
        (Some(10), Some(20), None, Some(10)),
        (Some(20), Some(20), Some(15), Some(15)),
        (Some(10), Some(20), Some(15), Some(10)),
        (None, None, Some(15), Some(15)),
    ] {
        let (world, owner) = world();
        let project = world.project(&owner, "Chat");
        set(&world, OWN, &owner, &json!({ "default_expiry_days": default, "longest_expiry_days": longest }));
        if let Some(days) = maker {
            world.database.execute(&format!("UPDATE keys SET expires_at = {}", START.0 + days * DAY_MS));
        }
        for (path, body) in ways_to_make_a_key(&project) {
            let answer = world.post(&path, &owner, &body);
            assert!(answer.status < 300, "{path}: {}", answer.json);
            let expires_at = world.database.value("SELECT expires_at FROM keys ORDER BY number DESC LIMIT 1");
            let expected = expected.map(|days| START.0 + days * DAY_MS);
            assert_eq!(expires_at, json!(expected), "{path}, {default:?}, {longest:?}, {maker:?}");
        }
    }
}

#[test]
fn every_way_to_set_an_expiry_refuses_one_beyond_the_longest() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let org_key = world.create_from(&owner, &json!({ "name": "rotates", "kind": "org", "scopes": [] })).0;
    let project = &targets.project;
    set(&world, OWN, &owner, &json!({ "longest_expiry_days": 20 }));
    let native =
        [json!({ "expires_at": null }), json!({ "expires_in_days": 21 }), json!({ "expires_at": "2027-02-05" })];
    let days = [json!({ "expiresInDays": 21 })];
    let days_or_never = [json!({ "expiresInDays": 21 }), json!({ "expiresInDays": null })];
    let named = json!({ "name": "made" });
    let ways: [(&str, String, Value, &[Value]); 10] = [
        ("POST", "/v1/keys".into(), json!({ "name": "made", "scopes": [] }), &native),
        ("POST", "/v1/keys".into(), json!({ "name": "made", "scopes": [], "kind": "org" }), &native),
        ("PATCH", format!("/v1/keys/{}", targets.id), json!({}), &native),
        ("POST", format!("/v1/keys/{org_key}/rotate"), json!({}), &native),
        ("POST", "/v1/organization/api-keys".into(), named.clone(), &days),
        ("POST", "/v2/organization/api-keys".into(), named.clone(), &days),
        ("POST", format!("/v1/projects/{project}/api-keys"), named.clone(), &days),
        ("POST", format!("/v2/projects/{project}/api-keys"), named, &days),
        ("POST", format!("/v2/organization/api-keys/{org_key}/rotate"), json!({}), &days_or_never),
        ("POST", format!("/v2/projects/{project}/api-keys/{}/rotate", targets.project_key), json!({}), &days_or_never),
    ];
    for (method, path, body, expiries) in ways {
        let with = |expiry: &Value| {
            let mut body = body.clone();
            body.as_object_mut().unwrap().extend(expiry.as_object().unwrap().clone());
            world.call(method, &path, &owner, &body)
        };
        let before = world.database.dump();
        for expiry in expiries {
            let answer = with(expiry);
            assert_problem(&answer, 400, "validation_failed");
            let field = match (expiries.len(), expiry.get("expires_in_days")) {
                (3, None) => "expires_at",
                (3, Some(_)) => "expires_in_days",
                _ => "expiresInDays",
            };
            assert_eq!(answer.field(), field, "{path} {expiry}");
            assert!(answer.detail().contains("within 20 days"), "{}", answer.json);
        }
        assert_eq!(world.database.dump(), before, "{path}");
        let last = if expiries.len() == 3 { json!({ "expires_in_days": 20 }) } else { json!({ "expiresInDays": 20 }) };
        let answer = with(&last);
        assert!(answer.status < 300, "{path}: {}", answer.json);
    }
}

#[test]
fn key_that_lasts_longer_than_a_tightened_policy_stays_as_it_is() {
    let (world, owner) = world();
    let (id, _) = world.create_from(&owner, &json!({ "name": "old", "scopes": [], "expires_in_days": 300 }));
    let expires_at = world.get(&format!("/v1/keys/{id}"), &owner).text("expires_at");
    set(&world, OWN, &owner, &json!({ "longest_expiry_days": 20, "max_keys_per_user": 1 }));
    for body in [json!({ "name": "new" }), json!({ "enabled": false }), json!({ "enabled": true, "scopes": [] })] {
        assert_eq!(world.change(&owner, &id, &body)["expires_at"], expires_at);
    }
    let rotated = world.post(&format!("/v1/keys/{id}/rotate"), &owner, &json!({}));
    assert_eq!((rotated.status, rotated.text("expires_at")), (200, expires_at));
    let path = format!("/v1/keys/{id}");
    for expiry in [json!({ "expires_in_days": 200 }), json!({ "expires_at": null })] {
        assert_problem(&patch(&world, &path, &owner, &expiry), 400, "validation_failed");
    }
    world.change(&owner, &id, &json!({ "expires_in_days": 20 }));
    // An expired key is revived for no longer either.
    world.advance_ms(21 * DAY_MS);
    for days in [21, 20] {
        let answer = world.post(&format!("/v1/keys/{id}/rotate"), &owner, &json!({ "expires_in_days": days }));
        assert_eq!(answer.status, if days == 20 { 200 } else { 400 }, "{}", answer.json);
    }
}

#[test]
fn user_makes_as_many_personal_keys_as_the_organization_allows() {
    let (world, owner) = world();
    let project = world.project(&owner, "Chat");
    let (_, _, colleague) = world.colleague(&owner, "owner");
    set(&world, OWN, &owner, &json!({ "max_keys_per_user": 3 }));
    let make = |body: &Value| world.post("/v1/keys", &owner, body);
    let personal = json!({ "name": "a", "scopes": [] });
    // The first key is one of the three, and one that is disabled still counts.
    let (disabled, _) = world.create(&owner, "b", &[]);
    world.change(&owner, &disabled, &json!({ "enabled": false }));
    assert_eq!(make(&json!({ "name": "c", "scopes": [], "expires_in_days": 1 })).status, 201);
    let full = |full: bool| {
        for (path, body) in ways_to_make_a_key(&project) {
            let is_personal = ["/v1/api_key", "/v1/apikeys"].contains(&path.as_str())
                || body == json!({ "name": "made", "scopes": [] });
            let before = world.database.dump();
            if is_personal && full {
                let (answer, io) = world.counted(|| world.post(&path, &owner, &body));
                assert_problem(&answer, 409, "key_limit");
                assert_eq!((world.database.dump(), io.0), (before, 1), "{path}");
            } else if !is_personal {
                assert!(world.post(&path, &owner, &body).status < 300, "{path}");
            }
        }
    };
    assert_eq!(world.get("/v1/keys/self", &owner).status, 200);
    full(true);
    assert_eq!(world.post("/v1/keys", &colleague, &personal).status, 201, "each user has his own");
    // An expired key does not count, nor does one that was revoked.
    world.advance_ms(DAY_MS);
    world.create(&owner, "d", &[]);
    full(true);
    world.revoke(&owner, &disabled);
    world.create(&owner, "e", &[]);
    full(true);
    set(&world, OWN, &owner, &json!({ "max_keys_per_user": null }));
    world.create(&owner, "f", &[]);
}

#[test]
fn counting_a_users_keys_does_not_read_those_that_expired() {
    let (world, owner) = world();
    let (id, _) = world.create(&owner, "a", &[]);
    set(&world, OWN, &owner, &json!({ "max_keys_per_user": 5 }));
    let steps = |name: &str| world.steps(|| drop(world.create(&owner, name, &[])));
    steps("warm");
    let few = steps("b");
    world.copy_key(&id, 10_000, "00000001", Some(0));
    let many = steps("c");
    assert!(many < few + 100, "{few} steps, then {many}");
}

#[test]
fn of_two_creates_at_once_one_finds_the_limit_reached() {
    let (world, owner) = world();
    set(&world, OWN, &owner, &json!({ "max_keys_per_user": 2 }));
    let isolate = || {
        let mut world = world.another_isolate();
        assert_eq!(world.get("/v1/scopes", &owner).status, 200);
        // Each batch lets the other take a turn.
        world.before_batches(|_, _| {});
        world
    };
    let (one, two) = (isolate(), isolate());
    let create = request("POST", "/v1/keys", &owner, &json!({ "name": "a", "scopes": [] }));
    let (one, two) = block_on(join(entry::handle(&one.app, &create), entry::handle(&two.app, &create)));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(world.database.count("keys"), 2);
    assert_eq!(world.database.value("SELECT count(*) FROM audit_events WHERE action = 'key.created'"), 2);
}

#[test]
fn settings_take_effect_at_once_on_every_isolate() {
    let (world, owner) = world();
    let others = [world.another_isolate(), world.another_isolate()];
    for other in &others {
        assert_eq!(other.get("/v1/scopes", &owner).status, 200);
    }
    set(&world, OWN, &owner, &json!({ "longest_expiry_days": 20 }));
    let body = json!({ "name": "a", "scopes": [], "expires_in_days": 21 });
    let (answer, io) = world.counted(|| world.post("/v1/keys", &owner, &body));
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(io.0, 1, "this isolate knows that it must read the key anew, and nothing more is asked");
    // Elsewhere the guard finds out, since making a key touches the database: first nothing is known.
    let (answer, io) = others[0].counted(|| others[0].post("/v1/keys", &owner, &body));
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(io.0, 2, "the guard's batch, then the key anew");
    // And the same where the policy that was known refuses: within the bound, by the feed alone.
    set(&world, OWN, &owner, &json!({ "longest_expiry_days": 30 }));
    assert_problem(&others[0].post("/v1/keys", &owner, &body), 400, "validation_failed");
    others[0].later.drop_all();
    world.advance_ms(STALENESS_MS + 1);
    assert_eq!(others[0].post("/v1/keys", &owner, &body).status, 201);
    assert_eq!(others[1].post("/v1/keys", &owner, &body).status, 201);
}

#[test]
fn operator_manages_the_projects_of_another_organization() {
    let (world, owner) = world();
    let (id, _, theirs) = found(&world, &owner, "Beta");
    set(&world, &at(&id), &owner, &json!({ "default_expiry_days": 7 }));
    set(&world, OWN, &owner, &json!({ "default_expiry_days": 8 }));
    let projects = format!("{}/projects", at(&id));
    let made = world.post(&projects, &owner, &json!({ "name": "Chat", "description": "d" }));
    assert_eq!(made.status, 201, "{}", made.json);
    let (project, key) = (&made.json["project"], &made.json["key"]);
    assert_eq!((&project["organization_id"], &key["organization_id"]), (&json!(id), &json!(id)));
    assert_eq!((&key["kind"], &key["role"], &key["project_id"]), (&json!("proj"), &json!("member"), &project["id"]));
    assert_eq!(key["expires_at"], "2027-01-22T08:00:00.000Z", "as the other organization says");
    let text = key["key"].as_str().unwrap();
    assert_eq!(world.get(OWN, text).json["id"], json!(id));
    let path = format!("{projects}/{}", project["id"].as_str().unwrap());
    for by in [&owner, &theirs] {
        assert_eq!(world.get(&path, by).json, *project);
        assert_eq!(
            world.get(&projects, by).json,
            json!({ "items": [project], "has_more": false, "next_cursor": null })
        );
    }
    assert_eq!(patch(&world, &path, &owner, &json!({ "name": "Talk" })).json["name"], "Talk");
    assert_eq!(world.call("DELETE", &path, &owner, &Value::Null).status, 200);
    assert_problem(&world.get("/v1/keys/self", text), 401, "project_deleted");
    let expected = "project.deleted,project.updated,key.created,project.created,organization.updated,organization.created,key.created";
    assert_eq!(trail(&world, &id), expected);
}

#[test]
fn organization_that_is_not_there_is_404_for_the_operator() {
    let (world, owner) = world();
    let (unknown, project) = (world.fresh_id(), world.project(&owner, "Chat"));
    let before = world.database.dump();
    for id in [unknown.as_str(), "selfish", "SELF", "0"] {
        let (one, projects) = (at(id), format!("{}/projects", at(id)));
        let of_it = format!("{projects}/{project}");
        for (method, path, body) in [
            ("GET", &one, Value::Null),
            ("PATCH", &one, json!({ "suspended": true })),
            ("PATCH", &one, json!({ "default_expiry_days": 1 })),
            ("GET", &projects, Value::Null),
            ("POST", &projects, json!({ "name": "a" })),
            ("GET", &of_it, Value::Null),
            ("PATCH", &of_it, json!({ "name": "a" })),
            ("DELETE", &of_it, Value::Null),
        ] {
            assert_problem(&world.call(method, path, &owner, &body), 404, "not_found");
        }
    }
    assert_eq!(world.database.dump(), before);
}

#[test]
fn project_is_made_changed_and_deleted() {
    let (world, owner) = world();
    let projects = format!("{OWN}/projects");
    let made = world.post(&projects, &owner, &json!({ "name": "Chat", "description": "d" })).json;
    let id = made["project"]["id"].as_str().unwrap().to_owned();
    let key = made["key"]["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("bit_proj_") && !world.database.dump().contains(&key));
    let path = format!("{projects}/{id}");
    let details = || world.database.value("SELECT details FROM audit_events ORDER BY id DESC LIMIT 1");
    for (body, name, description) in [
        (json!({ "name": "Talk" }), "Talk", json!("d")),
        (json!({ "description": null }), "Talk", Value::Null),
        (json!({ "description": "e", "name": "Chat" }), "Chat", json!("e")),
    ] {
        let changed = patch(&world, &path, &owner, &body).json;
        assert_eq!((&changed["name"], &changed["description"]), (&json!(name), &description), "{body}");
        assert_eq!(world.get(&path, &owner).json, changed);
        let told: Value = serde_json::from_str(details().as_str().unwrap()).unwrap();
        assert_eq!(told, body);
    }
    for (body, field) in [(json!({}), ""), (json!({ "name": null }), "name"), (json!({ "id": "x" }), "id")] {
        let answer = patch(&world, &path, &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field);
    }
    let other = world.project(&owner, "Other");
    let page = world.get(&projects, &key).json;
    assert_eq!(page, json!({ "items": [world.get(&path, &owner).json], "has_more": false, "next_cursor": null }));
    assert_eq!(world.get(&format!("{projects}?starting_after={id}"), &key).json["items"], json!([]));
    assert_problem(&world.get(&format!("{projects}/{other}"), &key), 404, "not_found");
    let before = world.get(&path, &owner).json;
    let deleted = world.call("DELETE", &path, &owner, &Value::Null);
    assert_eq!((deleted.status, deleted.text("effective_at")), (200, "2027-01-15T08:00:00.000Z".to_owned()));
    assert_eq!(deleted.json["max_staleness_ms"], STALENESS_MS);
    assert_eq!((&deleted.json["id"], &deleted.json["name"]), (&before["id"], &before["name"]));
    for method in ["GET", "DELETE"] {
        assert_problem(&world.call(method, &path, &owner, &Value::Null), 404, "not_found");
    }
    assert_problem(&world.get("/v1/keys/self", &key), 401, "project_deleted");
}

#[test]
fn projects_are_listed_newest_first_in_pages() {
    let (world, owner) = world();
    let projects = format!("{OWN}/projects");
    let mut made: Vec<String> = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        world.advance_ms(1);
        made.insert(0, world.project(&owner, name));
    }
    for limit in [1, 2, 5, 1_000] {
        assert_eq!(walked(&world, &projects, &owner, limit), made, "{limit}");
    }
    let confident = world.get("/v1/projects", &owner).json["data"]["projects"].clone();
    assert_eq!(confident.as_array().unwrap().len(), 5);
}

#[test]
fn every_route_takes_one_round_trip_on_the_own_organization() {
    let (world, owner) = world();
    let project = world.project(&owner, "Chat");
    let (id, ..) = found(&world, &owner, "Beta");
    let routes = |organization: &str, project: &str| {
        let (one, projects) = (at(organization), format!("{}/projects", at(organization)));
        let of_it = format!("{projects}/{project}");
        vec![
            ("GET", ALL.to_owned(), Value::Null),
            ("GET", one.clone(), Value::Null),
            ("PATCH", one, json!({ "name": "n" })),
            ("GET", projects.clone(), Value::Null),
            ("POST", projects, json!({ "name": "n" })),
            ("GET", of_it.clone(), Value::Null),
            ("PATCH", of_it.clone(), json!({ "name": "n" })),
            ("DELETE", of_it, Value::Null),
        ]
    };
    let theirs = world.post(&format!("{}/projects", at(&id)), &owner, &json!({ "name": "Chat" })).json;
    let theirs = theirs["project"]["id"].as_str().unwrap().to_owned();
    for (own, routes) in [(true, routes("self", &project)), (false, routes(&id, &theirs))] {
        for (method, path, body) in routes {
            world.get("/v1/keys/self", &owner);
            let (answer, io) = world.counted(|| world.call(method, &path, &owner, &body));
            assert!(answer.status < 300, "{path}: {}", answer.json);
            // The policy of another organization is in no snapshot, so it is read before a key is made.
            let expected = if method == "POST" && !own { 2 } else { 1 };
            assert_eq!(io, (expected, 0, 0), "{method} {path}");
        }
    }
}
