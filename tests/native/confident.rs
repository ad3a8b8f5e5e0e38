//! Confident AI's surface, in both versions, at its own paths and under its prefix.

use serde_json::{Value, json};

use crate::support::{
    Answer, World,
    problem::{assert_not_stored, assert_problem},
    request,
    routes::{Targets, every_route, prepared},
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const NOW: &str = "2027-01-15T08:00:00.000Z";

fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

/// What an answer that went well carries.
#[track_caller]
fn data(answer: &Answer) -> &Value {
    assert_eq!((answer.status, &answer.json["success"]), (200, &json!(true)), "{}", answer.json);
    assert_eq!(answer.json.as_object().unwrap().len(), 2, "`success`, `data` and nothing else");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_not_stored(answer);
    &answer.json["data"]
}

/// Where keys are, in each version and on each mount; each with the wrapper of one key, if there is one.
fn lists(project: &str) -> Vec<(String, Option<&'static str>)> {
    let mut lists = Vec::new();
    for mount in ["", "/confident"] {
        for (version, wrapper) in [("v1", Some("apiKey")), ("v2", None)] {
            lists.push((format!("{mount}/{version}/organization/api-keys"), wrapper));
            lists.push((format!("{mount}/{version}/projects/{project}/api-keys"), wrapper));
        }
    }
    lists
}

/// One object of an answer, out of its wrapper.
#[track_caller]
fn unwrapped(answer: &Answer, wrapper: Option<&str>) -> Value {
    let data = data(answer);
    let Some(wrapper) = wrapper else { return data.clone() };
    assert_eq!(data.as_object().unwrap().len(), 1, "{data}");
    data[wrapper].clone()
}

fn masked(key: &str) -> String {
    format!("****************{}", &key[key.len() - 4..])
}

#[test]
fn organization_is_shown_and_renamed() {
    let (world, owner) = world();
    let id = world.get("/v1/keys/self", &owner).text("organization_id");
    for (path, wrapper) in [
        ("/v1/organization", Some("organization")),
        ("/v2/organization", None),
        ("/confident/v1/organization", Some("organization")),
        ("/confident/v2/organization", None),
    ] {
        let mut expected = json!({ "id": id, "name": "Acme", "plan": "FREE", "created_at": NOW });
        assert_eq!(unwrapped(&world.get(path, &owner), wrapper), expected);
        expected["name"] = json!(path);
        assert_eq!(unwrapped(&world.call("PUT", path, &owner, &json!({ "name": path })), wrapper), expected);
        assert_eq!(unwrapped(&world.get(path, &owner), wrapper), expected);
        world.call("PUT", path, &owner, &json!({ "name": "Acme" }));
    }
    let events =
        format!("SELECT count(*) FROM audit_events WHERE action = 'organization.updated' AND subject = '{id}'");
    assert_eq!(world.database.value(&events), 8);
}

#[test]
fn whole_life_of_a_key_on_every_mount() {
    let (world, owner) = world();
    let project = world.project(&owner, "Chat");
    for (list, wrapper) in lists(&project) {
        let created = unwrapped(&world.post(&list, &owner, &json!({ "name": "ci" })), wrapper);
        let key = created["value"].as_str().unwrap().to_owned();
        let kind = if list.contains("/projects/") { "bit_proj_" } else { "bit_org_" };
        assert!(key.starts_with(kind), "{key}");
        let number = created["id"].as_i64().unwrap();
        let mut shown = json!({
            "id": number,
            "name": "ci",
            "valid": true,
            "created_at": NOW,
            "expiresAt": null,
            "value": key,
            "shadowValue": null,
            "rotatesAt": null,
            "lastUsed": null,
        });
        assert_eq!(created, shown);
        assert_eq!(world.get("/v1/scopes", &key).status, 200);
        shown["value"] = json!(masked(&key));
        let all = data(&world.get(&list, &owner)).clone();
        assert_eq!(all.as_object().unwrap().len(), 1);
        assert!(all["apiKeys"].as_array().unwrap().contains(&shown), "{all}");
        let id = world.get("/v1/keys/self", &key).text("id");
        for path in [format!("{list}/{number}"), format!("{list}/{id}")] {
            assert_eq!(unwrapped(&world.get(&path, &owner), wrapper), shown);
            for valid in [false, true] {
                shown["valid"] = json!(valid);
                assert_eq!(unwrapped(&world.call("PUT", &path, &owner, &json!({ "valid": valid })), wrapper), shown);
                assert_eq!(unwrapped(&world.get(&path, &owner), wrapper), shown);
                assert_eq!(world.get("/v1/keys/self", &key).status, if valid { 200 } else { 401 });
            }
        }
        let path = format!("{list}/{number}");
        let deleted = world.call("DELETE", &path, &owner, &Value::Null);
        assert_eq!(data(&deleted), &json!({ "id": number, "deleted": true }));
        for (method, path, body) in [
            ("GET", path.clone(), Value::Null),
            ("PUT", path.clone(), json!({ "valid": true })),
            ("DELETE", path.clone(), Value::Null),
            ("POST", format!("{}/rotate", path.replace("/v1/", "/v2/")), json!({})),
        ] {
            assert_problem(&world.call(method, &path, &owner, &body), 404, "not_found");
        }
        let left = data(&world.get(&list, &owner))["apiKeys"].clone();
        assert!(left.as_array().unwrap().iter().all(|left| left["id"] != number), "{left}");
        assert_problem(&world.get("/v1/keys/self", &key), 401, "key_revoked");
    }
}

#[test]
fn projects_are_made_listed_changed_and_deleted() {
    let (world, owner) = world();
    let organization_id = world.get("/v1/keys/self", &owner).text("organization_id");
    for (path, wrapper) in [
        ("/v1/projects", Some("project")),
        ("/v2/projects", None),
        ("/confident/v1/projects", Some("project")),
        ("/confident/v2/projects", None),
    ] {
        world.advance_ms(1);
        let answer = world.post(path, &owner, &json!({ "name": "Chat", "email": "a@example.com" }));
        let created = data(&answer);
        assert_eq!(created.as_object().unwrap().len(), 2);
        let key = created["apiKey"]["value"].as_str().unwrap();
        assert_eq!(world.get("/v1/keys/self", key).json["project_id"], created["project"]["id"]);
        assert_eq!(created["apiKey"].as_object().unwrap().len(), 9, "every field of a key");
        let mut project = json!({
            "id": created["project"]["id"],
            "name": "Chat",
            "description": null,
            "organizationId": organization_id,
            "created_at": created["project"]["created_at"],
            "governancePolicy": null,
        });
        assert_eq!(created["project"], project);
        let described = world.post(path, &owner, &json!({ "name": "Described", "description": "for people" }));
        assert_eq!(data(&described)["project"]["description"], "for people");
        let list = data(&world.get(path, &owner))["projects"].clone();
        assert!(list.as_array().unwrap().contains(&project), "{list}");
        let one = format!("{path}/{}", project["id"].as_str().unwrap());
        assert_eq!(unwrapped(&world.get(&one, &owner), wrapper), project);
        for body in
            [json!({ "name": "Renamed" }), json!({ "description": "words" }), json!({}), json!({ "name": null })]
        {
            for field in ["name", "description"].into_iter().filter(|field| body[field].is_string()) {
                project[field] = body[field].clone();
            }
            assert_eq!(unwrapped(&world.call("PUT", &one, &owner, &body), wrapper), project);
        }
        let deleted = world.call("DELETE", &one, &owner, &Value::Null);
        assert_eq!(data(&deleted), &json!({ "id": project["id"], "deleted": true }));
        assert_problem(&world.call("DELETE", &one, &owner, &Value::Null), 404, "not_found");
    }
}

#[test]
fn keys_are_listed_newest_first_and_apart_by_what_they_belong_to() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let other = world.project(&owner, "Other");
    let number = |id: &str| world.database.value(&format!("SELECT number FROM keys WHERE id = '{id}'"));
    world.advance_ms(1);
    let newer = data(&world.post("/v2/organization/api-keys", &owner, &json!({ "name": "newer" })))["id"].clone();
    let ids = |path: &str| {
        let keys = data(&world.get(path, &owner))["apiKeys"].clone();
        keys.as_array().unwrap().iter().map(|key| key["id"].clone()).collect::<Vec<_>>()
    };
    let org_key = number(&targets.org_key);
    assert_eq!(ids("/v1/organization/api-keys"), [newer, org_key.clone()]);
    assert!(ids(&format!("/v1/projects/{}/api-keys", targets.project)).contains(&number(&targets.project_key)));
    assert_eq!(ids(&format!("/v1/projects/{other}/api-keys")).len(), 1, "its first key alone");
    for (list, strange) in [
        ("/v2/organization/api-keys".to_owned(), vec![&targets.id, &targets.project_key]),
        (format!("/v2/projects/{}/api-keys", targets.project), vec![&targets.id, &targets.org_key]),
        (format!("/v2/projects/{other}/api-keys"), vec![&targets.id, &targets.org_key, &targets.project_key]),
    ] {
        for id in strange.into_iter().flat_map(|id| [id.clone(), number(id).to_string()]) {
            for (method, end, body) in [
                ("GET", "", Value::Null),
                ("PUT", "", json!({ "valid": false })),
                ("DELETE", "", Value::Null),
                ("POST", "/rotate", json!({})),
            ] {
                assert_problem(&world.call(method, &format!("{list}/{id}{end}"), &owner, &body), 404, "not_found");
            }
        }
    }
}

#[test]
fn expiry_and_its_end_are_shown() {
    let (world, owner) = world();
    let project = world.project(&owner, "Chat");
    for (list, wrapper) in lists(&project) {
        let made_at = world.clock.0.get();
        let created = unwrapped(&world.post(&list, &owner, &json!({ "name": "ci", "expiresInDays": 1 })), wrapper);
        assert_eq!(
            (&created["valid"], &created["expiresAt"]),
            (&json!(true), &json!(made_at.plus_ms(DAY_MS).to_rfc3339()))
        );
        let path = format!("{list}/{}", created["id"]);
        world.advance_ms(DAY_MS);
        assert_eq!(unwrapped(&world.get(&path, &owner), wrapper)["valid"], false);
        for days in [json!(0), json!(-1), json!(36_501), json!(i64::MAX), json!("1")] {
            let answer = world.post(&list, &owner, &json!({ "name": "ci", "expiresInDays": days }));
            assert_problem(&answer, 400, "validation_failed");
            assert_eq!(answer.field(), "expiresInDays");
        }
    }
}

#[test]
fn rotation_shows_the_new_secret_where_the_libraries_look_for_it() {
    let (world, owner) = world();
    let project = world.project(&owner, "Chat");
    for (list, _) in lists(&project).into_iter().filter(|(_, wrapper)| wrapper.is_none()) {
        let made_at = world.clock.0.get();
        let created = data(&world.post(&list, &owner, &json!({ "name": "ci" }))).clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let path = format!("{list}/{}", created["id"]);
        let rotate = |body: Value| world.post(&format!("{path}/rotate"), &owner, &body);
        let mut expected = created.clone();
        let rotated = data(&rotate(json!({}))).clone();
        let first = text(&rotated["value"]);
        assert_ne!(created["value"], rotated["value"]);
        expected["value"] = json!(first);
        assert_eq!(rotated, expected, "the old secret has ended and leaves no trace");
        let rotated = data(&rotate(json!({ "gracePeriodInHours": 2, "expiresInDays": 1 }))).clone();
        let second = text(&rotated["shadowValue"]);
        expected["value"] = json!(masked(&first));
        expected["shadowValue"] = json!(second);
        expected["rotatesAt"] = json!(made_at.plus_ms(2 * DAY_MS / 24).to_rfc3339());
        expected["expiresAt"] = json!(made_at.plus_ms(DAY_MS).to_rfc3339());
        assert_eq!(rotated, expected);
        for key in [&first, &second] {
            assert_eq!(world.get("/v1/keys/self", key).status, 200);
        }
        assert!(world.get("/v1/scopes", &first).header("sunset").is_some());
        expected["shadowValue"] = json!(masked(&second));
        assert_eq!(data(&world.get(&path, &owner)), &expected);
        assert_problem(&rotate(json!({})), 409, "rotation_pending");
        world.advance_ms(2 * DAY_MS / 24);
        let over = data(&world.get(&path, &owner)).clone();
        assert_eq!(
            (&over["value"], &over["shadowValue"], &over["rotatesAt"]),
            (&json!(masked(&second)), &Value::Null, &Value::Null)
        );
        assert_eq!(data(&rotate(json!({ "expiresInDays": null })))["expiresAt"], Value::Null);
        for (hours, good) in [(-1, false), (365 * 24 + 1, false), (i64::MAX, false), (365 * 24, true)] {
            let answer = rotate(json!({ "gracePeriodInHours": hours }));
            assert_eq!(answer.status, if good { 200 } else { 400 }, "{}", answer.json);
            assert!(good || answer.field() == "gracePeriodInHours");
        }
        world.call("DELETE", &path, &owner, &Value::Null);
    }
}

#[test]
fn expired_key_is_revived_by_a_rotation() {
    let (world, owner) = world();
    let list = "/v2/organization/api-keys";
    let id = data(&world.post(list, &owner, &json!({ "name": "ci", "expiresInDays": 1 })))["id"].clone();
    world.advance_ms(DAY_MS);
    let rotate = |body: Value| world.post(&format!("{list}/{id}/rotate"), &owner, &body);
    assert_problem(&rotate(json!({})), 400, "validation_failed");
    assert_problem(&rotate(json!({ "expiresInDays": 1, "gracePeriodInHours": 1 })), 400, "validation_failed");
    assert_eq!(data(&rotate(json!({ "expiresInDays": 1 })))["valid"], true);
}

#[test]
fn key_is_read_from_each_header_of_the_libraries() {
    let (world, owner) = world();
    for header in ["authorization", "confident_api_key", "confident-api-key", "x-confident-api-key"] {
        for path in ["/v1/organization", "/v2/organization", "/v1/keys/self"] {
            let with = |value: &str| {
                let mut request = request("GET", path, "", &Value::Null);
                request.headers.push((
                    header.to_owned(),
                    if header == "authorization" { format!("Bearer {value}") } else { value.to_owned() },
                ));
                world.send(&request)
            };
            assert_eq!(with(&owner).status, 200, "{header}");
            assert_eq!(with(&format!(" {owner} ")).status, 200, "{header}");
            assert_problem(&with("key"), 401, "malformed_api_key");
        }
    }
    // A text that is no key is not the key's business, wherever it stands; an empty header is none.
    let send = |headers: &[(&str, &str)]| {
        let mut request = request("GET", "/v1/organization", "", &Value::Null);
        request.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        world.send(&request)
    };
    assert_eq!(send(&[("authorization", "Bearer x"), ("confident_api_key", &owner)]).status, 200);
    assert_eq!(send(&[("authorization", ""), ("confident_api_key", ""), ("x-confident-api-key", &owner)]).status, 200);
    assert_problem(&send(&[("confident_api_key", " ")]), 401, "missing_api_key");
}

#[test]
fn whoever_does_not_administer_the_organization_manages_no_keys_and_no_projects() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let (_, _, member) = world.colleague(&owner, "member");
    let body = json!({ "name": "n", "expiresInDays": 3 });
    let of_project = data(&world.post(&format!("/v1/projects/{}/api-keys", targets.project), &owner, &body))["apiKey"]
        ["value"]
        .clone();
    let before = world.database.dump();
    let world = world.another_isolate();
    for route in every_route(&targets).iter().filter(|route| !route.template.contains("/organizations/")) {
        let answer = || (route.send(&world, &member), route.send(&world, of_project.as_str().unwrap()));
        if route.template.contains("api-keys")
            || (route.method != "GET" && ["organization", "projects"].iter().any(|of| route.template.contains(of)))
        {
            let (member, of_project) = answer();
            assert_problem(&member, 403, "exceeds_own_access");
            assert_problem(&of_project, 403, "exceeds_own_access");
        }
    }
    assert_eq!(world.database.dump(), before);
}

#[test]
fn every_route_of_a_surface_answers_under_its_prefix_as_without() {
    for route in every_route(&prepared().2) {
        let mut answers = Vec::new();
        for prefixed in [false, true] {
            let (world, owner, _) = prepared();
            let prefix = match route.template {
                path if path.starts_with("/v1/api_key") => "/braintrust",
                path if !path.contains("/organizations")
                    && ["organization", "projects"].iter().any(|of| path.contains(of)) =>
                {
                    "/confident"
                }
                path => {
                    for prefix in ["/braintrust", "/confident"] {
                        let answer = world.call(route.method, &format!("{prefix}{path}"), &owner, &route.known.body);
                        assert_problem(&answer, 404, "not_found");
                    }
                    break;
                }
            };
            let path = if prefixed { format!("{prefix}{}", route.path) } else { route.path.clone() };
            let answer = world.call(route.method, &path, &owner, &route.known.body);
            assert_eq!(answer.status, 200, "{path}: {}", answer.json);
            answers.push((answer.json, answer.headers));
        }
        assert!(answers.is_empty() || answers[0] == answers[1], "{answers:?}");
    }
}
