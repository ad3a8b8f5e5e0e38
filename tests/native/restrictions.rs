//! Restrictions of keys on the vendors' surfaces: one that a surface does not know is refused and never lost.

use serde_json::{Value, json};

use crate::support::{Answer, World};

/// Restrictions in the words of other surfaces, none of which the vendors' own libraries send.
const RESTRICTIONS: [(&str, &str); 13] = [
    ("scopes", r#"["datasets:read"]"#),
    ("scope", r#""datasets:read""#),
    ("permissions", r#"["read"]"#),
    ("expires_in_days", "1"),
    ("expires_at", r#""2027-02-01T00:00:00Z""#),
    ("expires", "1800000000000"),
    ("kind", r#""proj""#),
    ("project_id", r#""01900000-0000-7000-8000-000000000001""#),
    ("role", r#""member""#),
    ("metadata", "{}"),
    ("label", r#""prod""#),
    ("enabled", "false"),
    ("Expiresindays", "1"),
];

#[track_caller]
fn assert_refused(answer: &Answer, field: &str) {
    assert_eq!((answer.status, answer.code()), (400, "validation_failed"), "{}: {}", answer.request, answer.json);
    assert!(answer.detail().contains("is not a field here"), "{}", answer.json);
    // TruLayer's keys can be restricted there, in its own words.
    let hint = answer.detail().contains("POST /v1/keys");
    assert!(hint || answer.request == "POST /v1/apikeys", "{}", answer.json);
    assert_eq!(answer.field(), field);
}

#[test]
fn restriction_that_a_surface_does_not_know_is_refused() {
    let world = World::new();
    let owner = world.bootstrap();
    let project = world.project(&owner, "p");
    let org_key =
        world.post("/v1/organization/api-keys", &owner, &json!({ "name": "k" })).json["data"]["apiKey"].clone();
    let key = format!("/v2/organization/api-keys/{}", org_key["id"]);
    let trulayer = world.post("/v1/apikeys", &owner, &json!({ "name": "k" })).text("id");
    let routes = [
        ("POST", "/v1/api_key".to_owned(), json!({ "name": "n" })),
        ("POST", "/v1/organization/api-keys".to_owned(), json!({ "name": "n" })),
        ("POST", "/v2/organization/api-keys".to_owned(), json!({ "name": "n" })),
        ("POST", format!("/v1/projects/{project}/api-keys"), json!({ "name": "n" })),
        ("POST", format!("/v2/projects/{project}/api-keys"), json!({ "name": "n" })),
        ("POST", "/v1/projects".to_owned(), json!({ "name": "n" })),
        ("POST", "/v2/projects".to_owned(), json!({ "name": "n" })),
        ("PUT", key.clone(), json!({ "valid": true })),
        ("POST", format!("{key}/rotate"), json!({})),
        ("POST", "/v1/apikeys".to_owned(), json!({ "name": "n" })),
        ("POST", format!("/v1/apikeys/{trulayer}/rotate"), json!({})),
    ];
    let before = world.database.count("keys");
    for (method, path, body) in &routes {
        for (field, value) in RESTRICTIONS {
            // TruLayer has both of these, with its own values.
            if path == "/v1/apikeys" && field.starts_with("scope") {
                continue;
            }
            let mut restricted = body.clone();
            restricted[field] = serde_json::from_str(value).unwrap();
            assert_refused(&world.call(method, path, &owner, &restricted), field);
        }
    }
    assert_eq!(world.database.count("keys"), before);
    for (method, path, body) in &routes {
        let answer = world.call(method, path, &owner, body);
        assert!(answer.status < 300, "{method} {path}: {}", answer.json);
    }
}

/// The bodies that the vendors' own libraries send, as they were read from their code.
#[test]
fn bodies_of_the_libraries_are_accepted() {
    let world = World::new();
    let owner = world.bootstrap();
    for (path, body) in [
        ("/v1/api_key", json!({ "name": "n" })),
        ("/v1/api_key", json!({ "name": "n", "org_name": null })),
        ("/v1/api_key", json!({ "name": "n", "org_name": "Acme" })),
        ("/v1/organization/api-keys", json!({ "name": "n" })),
        ("/v2/organization/api-keys", json!({ "name": "n" })),
        ("/v2/organization/api-keys", json!({ "name": "n", "expiresInDays": 3 })),
        ("/v1/projects", json!({ "name": "p", "description": "d", "email": "ann@example.com" })),
        ("/v2/projects", json!({ "name": "p", "email": null })),
        ("/v1/apikeys", json!({ "name": "n", "scopes": ["query"] })),
        ("/v1/apikeys", json!({ "name": "n" })),
    ] {
        let answer = world.post(path, &owner, &body);
        assert!(answer.status < 300, "{path} {body}: {}", answer.json);
    }
    let id = world.post("/v1/apikeys", &owner, &json!({ "name": "n" })).text("id");
    let rotated = world.call("POST", &format!("/v1/apikeys/{id}/rotate"), &owner, &Value::Null);
    assert_eq!(rotated.status, 200, "{}", rotated.json);
}
