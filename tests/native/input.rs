//! Wrong input: the sentence and the field of each kind of mistake.

use std::collections::BTreeSet;

use bitting_http::message::Body;
use serde_json::{Value, json};

use crate::support::{
    Answer, OPERATOR_SECRET, World,
    problem::assert_problem,
    request,
    routes::{every_key_route, prepared},
};

/// A request with a mistake, and the detail and the field of its refusal.
type Case = (&'static str, &'static str, Value, &'static str, &'static str);

/// Checks the refusals of requests that send JSON.
#[track_caller]
fn assert_refused(world: &World, key: &str, cases: impl IntoIterator<Item = Case>) {
    for (method, path, body, detail, field) in cases {
        let key = if path == "/v1/bootstrap" { OPERATOR_SECRET } else { key };
        let answer = world.send(&request(method, path, key, &body));
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!((answer.detail().as_str(), answer.field().as_str()), (detail, field), "{method} {path} {body}");
    }
}

#[test]
fn missing_or_unknown_field_is_told_in_plain_words() {
    let (world, owner, _) = prepared();
    assert_refused(
        &world,
        &owner,
        [
            ("POST", "/v1/keys", json!({}), "`name`: is missing. `scopes`: is missing.", "name"),
            ("POST", "/v1/keys", json!({ "name": "n" }), "`scopes`: is missing.", "scopes"),
            ("POST", "/v1/bootstrap", json!({ "organization": "o", "key_name": "k" }), "`email`: is missing.", "email"),
            (
                "POST",
                "/v1/keys",
                json!({ "name": "n", "scopes": [], "scope": [] }),
                "`scope`: is not a field here; there are `name`, `scopes`, `conditions`, `kind`, `project_id`, `label`, \
                 `expires_at`, `expires_in_days`, `metadata`, `operator_metadata`.",
                "scope",
            ),
            (
                "PATCH",
                "/v1/organizations/self",
                json!({ "a\nb": 1 }),
                "`a\\nb`: is not a field here; there are `name`, `default_expiry_days`, `longest_expiry_days`, \
                 `max_keys_per_user`, `audit_retention_days`, `trace_retention_days`, `on_leak`, `suspended`, `subscription`, \
                 `credits`, `quotas`.",
                "a\\nb",
            ),
        ],
    );
}

#[test]
fn value_of_another_type_is_told_in_plain_words() {
    let (world, owner, _) = prepared();
    assert_refused(
        &world,
        &owner,
        [
            ("POST", "/v1/keys", json!({ "name": "n", "scopes": "a:b" }), "`scopes`: must be a list.", "scopes"),
            ("POST", "/v1/keys", json!({ "name": "n", "scopes": { "a": 1 } }), "`scopes`: must be a list.", "scopes"),
            ("POST", "/v1/keys", json!({ "name": "n", "scopes": null }), "`scopes`: must be a list.", "scopes"),
            ("POST", "/v1/keys", json!({ "name": 5, "scopes": [] }), "`name`: must be a text.", "name"),
            ("POST", "/v1/keys", json!({ "name": [], "scopes": [] }), "`name`: must be a text.", "name"),
            (
                "POST",
                "/v1/keys",
                json!({ "name": "n", "scopes": ["a:b", 1] }),
                "`scopes[1]`: must be a text.",
                "scopes[1]",
            ),
            (
                "POST",
                "/v1/keys",
                json!({ "name": "n", "scopes": [], "metadata": [] }),
                "`metadata`: must be an object.",
                "metadata",
            ),
            (
                "POST",
                "/v1/keys",
                json!({ "name": "n", "scopes": [], "expires_in_days": "1" }),
                "`expires_in_days`: must be a whole number from 1 to 36500.",
                "expires_in_days",
            ),
            (
                "POST",
                "/v1/keys",
                json!({ "name": "n", "scopes": [], "expires_at": 1 }),
                "`expires_at`: must be a text.",
                "expires_at",
            ),
            (
                "PATCH",
                "/v1/organizations/self",
                json!({ "suspended": "yes" }),
                "`suspended`: must be true or false.",
                "suspended",
            ),
            ("PATCH", "/v1/organizations/self", json!({ "name": null }), "`name`: must be a text.", "name"),
            ("POST", "/v1/keys", json!([]), "The body must be an object.", ""),
            ("POST", "/v1/keys", json!("name"), "The body must be an object.", ""),
        ],
    );
}

#[test]
fn value_that_is_none_of_a_few_is_told_in_plain_words() {
    let (world, owner, _) = prepared();
    assert_refused(
        &world,
        &owner,
        [
            (
                "POST",
                "/v1/organizations/self/invitations",
                json!({ "email": "a@example.com", "role": "king" }),
                "`role`: must be one of `member`, `admin`, `owner`.",
                "role",
            ),
            (
                "POST",
                "/v1/organizations/self/invitations",
                json!({ "email": "a@example.com", "role": 1 }),
                "`role`: must be one of `member`, `admin`, `owner`.",
                "role",
            ),
            (
                "POST",
                "/v1/keys/verify",
                json!({ "key": "k", "freshness": { "strong": null } }),
                "`freshness`: must be one of `bounded`, `strong`.",
                "freshness",
            ),
        ],
    );
}

#[test]
fn mistake_within_a_value_is_told_with_its_path() {
    let (world, owner, _) = prepared();
    assert_refused(
        &world,
        &owner,
        [
            (
                "POST",
                "/api/datasets",
                json!({ "name": "n", "columns": [{ "name": "a" }, {}] }),
                "`columns[1].name`: is missing.",
                "columns[1].name",
            ),
            ("POST", "/api/datasets", json!({ "name": "n", "rows": [1] }), "`rows[0]`: must be an object.", "rows[0]"),
            (
                "POST",
                "/api/evaluations",
                json!({ "name": "n", "judge": { "type": "oracle" } }),
                "`judge.type`: must be one of `exact_match`, `normalized_match`, `contains`, `regex`, \
                 `json_schema`, `numeric_range`, `length`, `token_overlap`, `model`.",
                "judge.type",
            ),
            (
                "POST",
                "/api/evaluations",
                json!({ "name": "n", "judge": {} }),
                "`judge.type`: is missing.",
                "judge.type",
            ),
            (
                "POST",
                "/api/evaluations",
                json!({ "name": "n", "judge": { "type": "exact_match", "column": 5 } }),
                "`judge`: contains a number in the wrong place.",
                "judge",
            ),
        ],
    );
}

#[test]
fn field_that_appears_twice_is_told_in_plain_words() {
    let (world, owner, _) = prepared();
    let mut request = request("POST", "/v1/keys", &owner, &Value::Null);
    request.body = Body::Bytes(br#"{"name": "a", "name": "b", "scopes": []}"#.to_vec());
    let answer = world.send(&request);
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!((answer.detail().as_str(), answer.field().as_str()), ("`name`: appears twice.", "name"));
}

#[test]
fn mistake_in_the_syntax_is_told_with_its_place() {
    let (world, owner, _) = prepared();
    for (text, detail) in [
        ("", "The body is not JSON: it is empty."),
        ("{\"name\":", "The body is not JSON: it ends too early."),
        ("{\n  \"name\" \"n\"\n}", "The body is not JSON: there is a mistake at line 2, column 10."),
        ("{} {}", "The body is not JSON: there is a mistake at line 1, column 4."),
    ] {
        let mut request = request("POST", "/v1/keys", &owner, &Value::Null);
        request.body = Body::Bytes(text.as_bytes().to_vec());
        let answer = world.send(&request);
        assert_problem(&answer, 400, "malformed_json");
        assert_eq!(answer.detail(), detail, "{text}");
    }
}

#[test]
fn mistake_in_a_query_is_told_in_plain_words() {
    let (world, owner, targets) = prepared();
    let events = format!("/v1/keys/{}/events?foo=1", targets.id);
    for (path, detail, field) in [
        (&*events, "`foo`: is not a parameter here; there are `limit`, `starting_after`.", "foo"),
        (
            "/v1/keys?foo=1",
            "`foo`: is not a parameter here; there are `limit`, `starting_after`, `ending_before`, `name`, `id`, \
             `user_id`, `created_by`, `created_by_user`, `prefix`, `project_id`, `status`.",
            "foo",
        ),
        ("/v1/keys?limit=many", "`limit`: must be a whole number from 0 to 1000.", "limit"),
        (
            "/v1/keys?status=good",
            "`status`: must be one of `active`, `disabled`, `expired`, `revoked`, `all`.",
            "status",
        ),
        ("/v1/audit-events?refused=perhaps", "`refused`: must be true or false.", "refused"),
        ("/v1/audit-events?starting_after=x", "`starting_after`: must be a whole number.", "starting_after"),
        ("/trulayer/v1/traces?foo=1", "`foo`: is not a parameter here; there are `limit`, `cursor`.", "foo"),
        ("/braintrust/v1/api_key?ids=x", "`ids`: must be a key id, or several.", "ids"),
    ] {
        let answer = world.get(path, &owner);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!((answer.detail().as_str(), answer.field().as_str()), (detail, field), "{path}");
    }
}

#[test]
fn mistake_on_the_surface_of_a_vendor_is_told_in_plain_words() {
    let (world, owner, _) = prepared();
    assert_refused(
        &world,
        &owner,
        [
            ("POST", "/braintrust/v1/api_key", json!({}), "`name`: is missing.", "name"),
            ("POST", "/braintrust/v1/api_key", json!({ "name": 1 }), "`name`: must be a text.", "name"),
            ("POST", "/confident/v1/organization/api-keys", json!({}), "`name`: is missing.", "name"),
            (
                "POST",
                "/confident/v2/organization/api-keys",
                json!({ "name": "n", "expiresInDays": "1" }),
                "`expiresInDays`: must be a whole number.",
                "expiresInDays",
            ),
            (
                "POST",
                "/trulayer/v1/apikeys",
                json!({ "name": "n", "foo": 1 }),
                "`foo`: is not a field here; there are `name`, `scope`, `scopes`.",
                "foo",
            ),
            (
                "POST",
                "/trulayer/v1/apikeys",
                json!({ "name": "n", "scope": "write" }),
                "`scope`: must be one of `full`, `query_only`.",
                "scope",
            ),
            (
                "POST",
                "/trulayer/v1/apikeys",
                json!({ "name": "n", "scopes": ["write"] }),
                "`scopes[0]`: must be `query`.",
                "scopes[0]",
            ),
            ("POST", "/trulayer/v1/ingest/batch", json!({ "traces": {} }), "`traces`: must be a list.", "traces"),
            (
                "POST",
                "/trulayer/v1/ingest/batch",
                json!({ "traces": [1] }),
                "`traces[0]`: must be an object.",
                "traces[0]",
            ),
            (
                "POST",
                "/trulayer/v1/ingest/batch",
                json!({ "traces": [{}] }),
                "`traces[0].id`: is missing.",
                "traces[0].id",
            ),
        ],
    );
}

#[test]
fn mistake_in_a_message_of_the_model_context_protocol_is_told_in_plain_words() {
    let (world, owner, _) = prepared();
    let call = |message: &Value| world.send(&request("POST", "/mcp", &owner, message));
    for (message, detail) in [
        (json!({ "jsonrpc": "2.0" }), "`method`: is missing."),
        (json!({ "jsonrpc": "1.0", "method": "ping" }), "`jsonrpc`: must be `2.0`."),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": 1 }), "`method`: must be a text."),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": [] }), "`params`: must be an object."),
        (json!({ "jsonrpc": "2.0", "id": {}, "method": "ping" }), "`id`: must be a text or a whole number."),
        (
            json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "foo": 1 }),
            "`foo`: is not a field here; there are `jsonrpc`, `id`, `method`, `params`.",
        ),
    ] {
        let answer = call(&message);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.detail(), detail, "{message}");
    }
    for (name, arguments, detail) in [
        ("keys_list", json!({ "limit": "many" }), "`limit`: must be a whole number from 0 to 1000."),
        ("keys_list", json!({ "foo": 1 }), "`foo`: is not an argument of this tool."),
        ("datasets_create", json!({ "name": 1 }), "`name`: must be a text."),
        (
            "datasets_create",
            json!({ "name": "n", "foo": 1 }),
            "`foo`: is not a field here; there are `name`, `description`, `columns`, `rows`.",
        ),
        ("datasets_get", json!({}), "`dataset_id`: is missing."),
        ("datasets_get", json!({ "dataset_id": {} }), "`dataset_id`: must be a text, a number, true or false."),
    ] {
        let params = json!({ "name": name, "arguments": arguments });
        let answer = call(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }));
        let text = answer.json["result"]["content"][0]["text"].as_str().unwrap_or_default();
        let problem: Value = serde_json::from_str(text).unwrap_or_default();
        assert_eq!(problem["detail"], detail, "{}", answer.json);
    }
}

#[test]
fn missing_scope_is_named_in_the_challenge_on_every_surface() {
    let (world, owner, _) = prepared();
    let (_, nothing) = world.create(&owner, "nothing", &[]);
    for path in [
        "/v1/keys",
        "/braintrust/v1/api_key",
        "/trulayer/v1/apikeys",
        "/confident/v1/organization/api-keys",
        "/confident/v2/organization/api-keys",
    ] {
        let answer = world.get(path, &nothing);
        assert_problem(&answer, 403, "insufficient_scope");
        let challenge = "Bearer realm=\"bitting\", error=\"insufficient_scope\", scope=\"api-keys:read\"";
        assert_eq!(answer.header("www-authenticate"), Some(challenge), "{path}");
    }
}

/// Returns the fields of the mistakes in an answer, sorted, with the last part of a path cut off: `scopes[1]` is in
/// `scopes`.
fn wrong_fields(answer: &Answer) -> BTreeSet<String> {
    let mistakes = answer.json["errors"].as_array().into_iter().flatten();
    mistakes
        .map(|mistake| mistake["field"].as_str().unwrap_or_default().split(['[', '.']).next().unwrap().into())
        .collect()
}

#[test]
fn every_wrong_field_of_a_body_is_told_at_once() {
    let (world, owner, targets) = prepared();
    let mut bodies = 0;
    for route in every_key_route(&targets) {
        let Some(fields) = route.known.body.as_object().filter(|fields| !fields.is_empty()) else { continue };
        let body: Value =
            fields.keys().map(|field| (field.clone(), json!([[[]]]))).chain([("zzz".into(), json!(1))]).collect();
        let answer = world.call(route.method, &route.path, &owner, &body);
        // Columns are the data set's own, and are told by the first that is wrong.
        if answer.json["errors"].is_null() || route.template.contains("/rows") {
            continue;
        }
        assert_problem(&answer, 400, "validation_failed");
        let told = wrong_fields(&answer);
        for field in body.as_object().unwrap().keys() {
            assert!(told.contains(field), "{}: {field} is not told: {}", route.name(), answer.detail());
        }
        bodies += 1;
    }
    assert!(bodies > 20, "{bodies}");
}

#[test]
fn every_missing_field_of_a_body_is_told_at_once() {
    let (world, owner, targets) = prepared();
    let document: Value = serde_json::from_str(include_str!("../../api/openapi.json")).unwrap();
    let mut bodies = 0;
    for route in every_key_route(&targets) {
        let template = route.template.split('/').map(|part| match part.strip_prefix(':') {
            Some(name) => format!("{{{name}}}"),
            None => part.to_owned(),
        });
        let template = template.collect::<Vec<_>>().join("/");
        let schema = &document["paths"][&template][route.method.to_lowercase()]["requestBody"]["content"]["application/json"]
            ["schema"];
        let schema = match schema["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).unwrap(),
            None => schema,
        };
        let required: BTreeSet<String> =
            schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect();
        if required.is_empty() {
            continue;
        }
        let answer = world.call(route.method, &route.path, &owner, &json!({}));
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(wrong_fields(&answer), required, "{}: {}", route.name(), answer.detail());
        bodies += 1;
    }
    assert!(bodies > 10, "{bodies}");
}

#[test]
fn mistakes_of_several_kinds_are_told_with_their_places() {
    let (world, owner, _) = prepared();
    let answer = world.call(
        "POST",
        "/v1/keys",
        &owner,
        &json!({ "name": "", "scopes": ["datasets:read", 5, {}], "expires_in_days": 0, "label": "-", "scope": [] }),
    );
    assert_problem(&answer, 400, "validation_failed");
    let errors: Vec<&str> =
        answer.json["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(errors, ["expires_in_days", "label", "name", "scope", "scopes[1]", "scopes[2]"], "{}", answer.json);
    assert_eq!(answer.field(), "expires_in_days");
    let answer = world.get("/v1/keys?limit=x&zzz=1&id=5", &owner);
    let errors: Vec<&str> =
        answer.json["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(errors, ["id", "limit", "zzz"], "{}", answer.json);
    let body =
        json!({ "name": "n", "scopes": ["datasets:fly", "nobody"], "expires_in_days": 1, "expires_at": "2028-01-01" });
    let answer = world.call("POST", "/v1/keys", &owner, &body);
    assert_eq!(wrong_fields(&answer), ["expires_in_days", "scopes"].map(str::to_owned).into(), "{}", answer.json);
}
