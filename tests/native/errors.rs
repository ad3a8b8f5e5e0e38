//! What every route answers when something is wrong: one table over all of them.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use bitting::entry::{self, tables};
use bitting_http::{
    body::{MAX_BATCH_BYTES, MAX_BODY_BYTES},
    call::ANY,
    message::{Body, Request},
};
use bitting_keys::app::config;
use proptest::{
    prelude::{Just, Strategy, any, prop},
    prop_oneof,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

use crate::support::{
    OPERATOR_SECRET, World,
    problem::{assert_envelope, assert_not_stored, assert_problem},
    read, request,
    routes::{RouteCall, Targets, every_key_route, every_route, prepared},
};

/// A good text of a key that nobody has.
pub(crate) const UNKNOWN: &str = "bit_pat_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1t0B34";

const METHODS: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", ""];

/// A world with keys to act on; gives the world, the owner's key, and those.
fn world() -> (World, String, Targets) {
    prepared()
}

fn with_authorization(mut request: Request, value: &str) -> Request {
    request.headers = vec![("authorization".to_owned(), value.to_owned())];
    request
}

fn with_bytes(mut request: Request, bytes: &[u8]) -> Request {
    request.body = Body::Bytes(bytes.to_vec());
    request
}

#[test]
fn every_route_refuses_a_request_without_a_good_credential() {
    let (world, owner, targets) = world();
    let key = &targets.key;
    let wrong_checksum = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
    for (authorization, code) in [
        ("", "missing_api_key"),
        (" ", "missing_api_key"),
        ("Bearer", "missing_api_key"),
        ("Bearer ", "malformed_api_key"),
        (&format!("Digest {owner}"), "missing_api_key"),
        (&format!("Basic {owner}"), "malformed_api_key"),
        ("Basic ", "malformed_api_key"),
        (&owner, "missing_api_key"),
        ("Bearer key", "malformed_api_key"),
        ("Bearer \0\u{7f}é🔑", "malformed_api_key"),
        (&format!("Bearer {owner} {owner}"), "malformed_api_key"),
        (&format!("Bearer {wrong_checksum}"), "malformed_api_key"),
        (&format!("Bearer {}", "a".repeat(1 << 20)), "malformed_api_key"),
        (&format!("Bearer {OPERATOR_SECRET}"), "malformed_api_key"),
        (&format!("Bearer {UNKNOWN}"), "invalid_api_key"),
    ] {
        for route in every_route(&targets).iter().filter(|route| route.access != "public") {
            let request = with_authorization(request(route.method, &route.path, "", &route.known.body), authorization);
            let (answer, io) = world.counted(|| world.send(&request));
            match route.access {
                "operator" if authorization.ends_with(OPERATOR_SECRET) => {
                    assert_eq!(answer.status, if route.template == "/v1/bootstrap" { 409 } else { 201 });
                }
                "operator" => assert_problem(&answer, 401, "invalid_operator_secret"),
                _ => assert_problem(&answer, 401, code),
            }
            assert!(
                code == "invalid_api_key" || route.access == "operator" || io == (0, 0, 0),
                "garbage must cost nothing: {io:?} for {authorization:?}"
            );
        }
    }
}

#[test]
fn every_key_route_refuses_a_key_that_is_no_longer_good() {
    let (world, owner, targets) = world();
    let organization_id = world.get("/v1/keys/self", &owner).text("organization_id");
    let full = |name: &str| {
        let user_id = world.user(&organization_id, "owner");
        let (id, key) = world.key_of(&owner, &organization_id, &user_id, "owner", None);
        world.change(&owner, &id, &json!({ "name": name }));
        (user_id, id, key)
    };
    let (_, revoked_id, revoked) = full("revoked");
    world.revoke(&owner, &revoked_id);
    let (_, disabled_id, disabled) = full("disabled");
    world.change(&owner, &disabled_id, &json!({ "enabled": false }));
    let (_, expired_id, expired) = full("expired");
    world.change(&owner, &expired_id, &json!({ "expires_in_days": 1 }));
    world.advance_ms(24 * 60 * 60 * 1000);
    let (removed_id, _, removed) = full("removed");
    world.database.execute(&format!("DELETE FROM memberships WHERE user_id = '{removed_id}'"));
    let (suspended_id, _, suspended) = world.stranger(&owner);
    world.database.execute(&format!("UPDATE organizations SET suspended_at = 1 WHERE id = '{suspended_id}'"));
    for (bad, status, code) in [
        (revoked, 401, "key_revoked"),
        (disabled, 401, "key_disabled"),
        (expired, 401, "api_key_expired"),
        (removed, 401, "user_removed"),
        (suspended, 403, "organization_suspended"),
    ] {
        for route in every_key_route(&targets) {
            assert_problem(&route.send(&world, &bad), status, code);
        }
    }
}

#[test]
fn every_route_with_a_scope_names_the_one_that_is_missing() {
    let (.., targets) = world();
    let every_other = |scope: &str| {
        let all = [
            "api-keys:read",
            "api-keys:write",
            "api-keys:verify",
            "organization:read",
            "organization:write",
            "projects:read",
            "projects:write",
            "datasets:read",
            "datasets:write",
            "results:read",
        ];
        all.into_iter().filter(|held| *held != scope).collect::<Vec<_>>()
    };
    for route in every_key_route(&targets) {
        let (world, owner, _) = world();
        let (_, nothing) = world.create(&owner, "nothing", &[]);
        if route.access == "any key" {
            assert_eq!(route.send(&world, &nothing).status, 200, "{route}");
            continue;
        }
        let (_, others) = world.create(&owner, "others", &every_other(route.access));
        for lacking in [&nothing, &others] {
            let answer = route.send(&world, lacking);
            assert_problem(&answer, 403, "insufficient_scope");
            assert_eq!(answer.detail(), format!("Insufficient API key scopes. Required: ['{}']", route.access));
        }
        let (_, enough) = world.create(&owner, "enough", &[route.access, "api-keys:read", "datasets:read"]);
        let answer = route.send(&world, &enough);
        if route.known.hands_out {
            // What they hand out may do more than this list of scopes says.
            assert_problem(&answer, 403, "exceeds_own_access");
            continue;
        }
        assert!(answer.status < 300, "{route}: {}", answer.json);
    }
}

#[test]
fn read_names_the_read_scope_word_for_word() {
    let (world, owner, ..) = world();
    let (_, nothing) = world.create(&owner, "nothing", &[]);
    let answer = world.get("/v1/keys", &nothing);
    assert_eq!(answer.detail(), "Insufficient API key scopes. Required: ['api-keys:read']");
}

#[test]
fn every_path_refuses_other_methods_and_names_its_own() {
    let (world, owner, targets) = world();
    let rows = every_route(&targets);
    for row in rows.iter().filter(|row| row.method != ANY) {
        let own: Vec<&str> =
            rows.iter().filter(|other| other.template == row.template).map(|other| other.method).collect();
        for method in METHODS.into_iter().filter(|method| !own.contains(method)) {
            let answer = world.call(method, &row.path, &owner, &row.known.body);
            assert_problem(&answer, 405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(own.join(", ").as_str()));
        }
    }
}

#[test]
fn head_is_answered_like_get() {
    let (world, owner, targets) = world();
    for route in every_key_route(&targets) {
        let head = world.call("HEAD", &route.path, &owner, &Value::Null);
        match route.method {
            "GET" => assert_eq!(head.json, route.send(&world, &owner).json, "{route}"),
            ANY => assert_eq!(head.status, 200),
            _ if tables().list().iter().any(|(method, path, _)| (*method, *path) == ("GET", route.template)) => {
                assert_eq!(head.status, 200);
            }
            _ => assert_problem(&head, 405, "method_not_allowed"),
        }
    }
}

#[test]
fn unknown_paths_are_404_for_everybody() {
    let (world, owner, Targets { id, .. }) = world();
    for path in [
        "",
        "//",
        "/v1",
        "/v1/",
        "/v1/keys/",
        "//v1/keys",
        "/V1/keys",
        "/v1/keys/self/events/1",
        "/v1/api_key/",
        "/braintrust",
        "/braintrust/v1/keys",
        "/braintrust/v1/projects",
        "/braintrust/braintrust/v1/api_key",
        "/confident",
        "/confident/",
        "/confident/v1",
        "/confident/v1/keys",
        "/confident/v1/api_key",
        "/confident/v3/projects",
        "/confidential/v1/projects",
        "/v1/projects/",
        "/v1/projectsx",
        "/v1/organizations/",
        "/v2/keys",
        "/v1/%6beys",
        "/v1/keys\0",
        "/v1/\u{fffd}",
        "/../v1/keys",
        &format!("/v1/keys/{id}/"),
        &format!("/{}", "a/".repeat(10_000)),
    ] {
        for key in ["", &owner] {
            assert_problem(&world.get(path, key), 404, "not_found");
        }
    }
}

#[test]
fn every_route_with_an_id_answers_404_to_what_is_no_id_or_nothing() {
    let (world, owner, targets) = world();
    let id = &targets.id;
    let unknown = world.fresh_id();
    for wrong in [
        unknown.as_str(),
        "x",
        "%00",
        "\0",
        "%",
        "%zz",
        "%c3%28",
        "é🔑",
        "..",
        "'",
        "1%20OR%201=1",
        &id.replace('-', ""),
        &format!("{{{id}}}"),
        &format!("{id}%20"),
        "0",
        "-1",
        "9223372036854775807",
        &"9".repeat(100_000),
    ] {
        // The wrong id stands for all that the path names, for the project alone, and for the key alone.
        let all = targets.named(wrong);
        let project = Targets { project: wrong.to_owned(), ..targets.clone() };
        let key = Targets { project: targets.project.clone(), ..all.clone() };
        for (wrong, named) in [(&all, ":"), (&project, ":project"), (&key, ":id")] {
            for route in every_key_route(wrong).iter().filter(|route| route.template.contains(named)) {
                assert_problem(&route.send(&world, &owner), 404, "not_found");
            }
        }
    }
}

/// A credential that the route takes.
fn credential<'a>(route: &RouteCall, owner: &'a str) -> &'a str {
    if route.access == "operator" { OPERATOR_SECRET } else { owner }
}

/// The routes that read a body, each with a credential that it takes.
fn routes_with_body(owner: &str, targets: &Targets) -> Vec<(Request, Value)> {
    let rows = every_route(targets).into_iter().filter(|route| !route.known.body.is_null());
    rows.map(|route| {
        let credential = credential(&route, owner);
        (request(route.method, &route.path, credential, &route.known.body), route.known.body)
    })
    .collect()
}

#[test]
fn every_body_that_is_not_json_is_refused() {
    let (world, owner, targets) = world();
    for (bytes, says) in [
        (&b""[..], "it is empty"),
        (b" ", ""),
        (b"{}{}", ""),
        (b"{", ""),
        (b"{\"name\":\"a\",}", ""),
        (b"name=a&scopes=b", ""),
        (b"\0", ""),
        (b"{\"name\":\"\0\"}", ""),
        (b"{\"name\":\"\xff\"}", ""),
        (b"\xff\xfe{\0}\0", ""),
        (b"{\"name\":\"\\ud800\"}", ""),
        (b"{\"name\":1e999}", ""),
        (b"NaN", ""),
        (b"{\"name\":\"a\"", ""),
    ] {
        for (request, _) in routes_with_body(&owner, &targets) {
            let answer = world.send(&with_bytes(request.clone(), bytes));
            if bytes.is_empty() && answer.status != 400 {
                // Where no field is required, no body is one without fields.
                let without_fields = world.send(&with_bytes(request, b"{}"));
                assert!(!without_fields.json.to_string().contains("is missing"), "{}", answer.request);
                continue;
            }
            if bytes.is_empty() && answer.code() == "validation_failed" {
                assert!(!answer.json.to_string().contains("is missing"), "{}", answer.json);
                continue;
            }
            assert_problem(&answer, 400, "malformed_json");
            assert!(answer.detail().starts_with("The body is not JSON: "), "{}", answer.json);
            assert!(answer.detail().contains(says), "{}", answer.json);
        }
    }
}

#[test]
fn every_body_that_is_too_large_is_refused() {
    let (world, owner, targets) = world();
    for route in every_route(&targets).into_iter().filter(|route| !route.known.body.is_null()) {
        let most = match route.name().as_str() {
            "POST /v1/leaks" => 128 * 1024,
            "POST /v1/ingest/batch" | "POST /api/datasets" | "POST /api/datasets/:dataset_id/rows" => MAX_BATCH_BYTES,
            _ => MAX_BODY_BYTES,
        };
        let mut request = request(route.method, &route.path, credential(&route, &owner), &Value::Null);
        request.body = Body::Unread(Rc::new(vec![b' '; most]));
        assert_problem(&world.send(&request), 400, "malformed_json");
        request.body = Body::Unread(Rc::new(vec![b' '; most + 1]));
        let answer = world.send(&request);
        assert_problem(&answer, 413, "body_too_large");
        assert!(answer.detail().contains(&most.to_string()));
    }
}

#[test]
fn every_body_of_another_shape_is_refused() {
    let (world, owner, targets) = world();
    for (request, _) in routes_with_body(&owner, &targets) {
        for shape in ["null", "true", "1", "\"text\"", "[]", "[1]", "[[[[]]]]", "[\"name\"]"] {
            let answer = world.send(&with_bytes(request.clone(), shape.as_bytes()));
            assert_problem(&answer, 400, "validation_failed");
        }
    }
}

#[test]
fn every_body_that_goes_on_behind_its_end_is_refused() {
    let (world, owner, targets) = world();
    for (request, body) in routes_with_body(&owner, &targets) {
        let answer = world.send(&with_bytes(request, format!("{body} {{}}").as_bytes()));
        assert_problem(&answer, 400, "malformed_json");
    }
}

#[test]
fn every_deeply_nested_body_is_refused() {
    let (world, owner, targets) = world();
    let levels = 10_000;
    let arrays = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = format!("{}{}", "{\"name\":".repeat(levels), "}".repeat(levels));
    let metadata = format!("{{\"metadata\":{arrays}}}");
    for (request, _) in routes_with_body(&owner, &targets) {
        for nested in [&arrays, &objects, &metadata, &metadata[..levels]] {
            let answer = world.send(&with_bytes(request.clone(), nested.as_bytes()));
            assert_eq!(answer.status, 400, "{}", answer.json);
            assert_envelope(&answer);
        }
    }
}

#[test]
fn every_field_of_another_type_is_refused_by_its_name() {
    let (world, owner, targets) = world();
    for (request, body) in routes_with_body(&owner, &targets) {
        for field in body.as_object().unwrap().keys() {
            for wrong in [json!(1.5), json!("\0"), json!([[1]]), json!([{ "a": null }])] {
                let mut body = body.clone();
                body[field] = wrong;
                let text = ["key", "description", "id", "method", "reason", "notes"].contains(&field.as_str())
                    && body[field].is_string();
                if text || request.path.contains("/rows/1") || (field == "rows" && body[field][0].is_object()) {
                    // Any text is a question that can be asked, a description or a reason that can be written, an id that a
                    // message can have, and a method that is not there; and anything is a value that a row can have.
                    continue;
                }
                let answer = world.send(&with_bytes(request.clone(), body.to_string().as_bytes()));
                assert_problem(&answer, 400, "validation_failed");
                assert!(answer.field().starts_with(field.as_str()), "{field}: {}", answer.json);
            }
        }
    }
}

#[test]
fn every_required_field_that_is_missing_is_named() {
    let (world, owner, targets) = world();
    for (request, body) in routes_with_body(&owner, &targets) {
        if request.method == "PATCH" {
            continue;
        }
        let optional = ["/rotate", "/reject", "/simulate", "/trusts/match", "/operator/sign-in-links"]
            .iter()
            .any(|end| request.path.ends_with(end))
            || (request.method == "PUT" && !body["description"].is_null());
        let answer = world.send(&with_bytes(request, b"{}"));
        if optional {
            assert!([200, 201].contains(&answer.status), "{}", answer.json);
            continue;
        }
        assert_problem(&answer, 400, "validation_failed");
        assert!(answer.detail().ends_with("is missing."), "{}", answer.json);
    }
}

#[test]
fn every_unknown_field_is_refused_but_in_what_a_vendors_library_reports() {
    let (world, owner, targets) = world();
    for (request, mut body) in routes_with_body(&owner, &targets) {
        body["surprise\u{0}"] = json!(1);
        let tolerant = ["/ingest/", "/feedback", "/v1/eval"].iter().any(|part| request.path.contains(part));
        let answer = world.send(&with_bytes(request, body.to_string().as_bytes()));
        if tolerant {
            assert!((200..300).contains(&answer.status), "{}", answer.json);
        } else {
            assert_problem(&answer, 400, "validation_failed");
        }
    }
}

#[test]
fn every_field_that_is_there_twice_is_refused() {
    let (world, owner, targets) = world();
    for (request, body) in routes_with_body(&owner, &targets) {
        let body = body.to_string();
        let twice = format!("{{{},{}}}", &body[1..body.len() - 1], &body[1..body.len() - 1]);
        let answer = world.send(&with_bytes(request, twice.as_bytes()));
        assert_problem(&answer, 400, "validation_failed");
    }
}

#[test]
fn metadata_so_deep_that_clients_could_not_read_a_list_is_refused() {
    let (world, owner, ..) = world();
    let create = |depth: usize| {
        let metadata = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let body = format!("{{\"name\":\"deep\",\"scopes\":[],\"metadata\":{metadata}}}");
        world.send(&with_bytes(request("POST", "/v1/keys", &owner, &Value::Null), body.as_bytes()))
    };
    assert_problem(&create(127), 400, "malformed_json");
    assert_problem(&create(126), 400, "validation_failed");
    assert_problem(&create(33), 400, "validation_failed");
    let created = create(32);
    assert_eq!(created.status, 201, "{}", created.json);
    let path = format!("/v1/keys/{}", created.text("id"));
    assert_eq!(world.get(&path, &owner).json["metadata"], created.json["metadata"]);
    let mut too_deep = created.json["metadata"].clone();
    too_deep = json!({ "metadata": { "a": [too_deep] } });
    assert_problem(&world.call("PATCH", &path, &owner, &too_deep), 400, "validation_failed");
}

#[test]
fn every_parameter_that_is_unknown_or_wrong_is_refused_by_its_name() {
    let (world, owner, Targets { id, .. }) = world();
    let events = format!("/v1/keys/{id}/events");
    for (path, query, field) in [
        ("/v1/keys", "surprise=1", "surprise"),
        ("/v1/keys", "a%00b=1", "a\\0b"),
        ("/v1/keys", "%ff=1", "\u{fffd}"),
        ("/v1/keys", "limit=-1", "limit"),
        ("/v1/keys", "limit=1001", "limit"),
        ("/v1/keys", "limit=x", "limit"),
        ("/v1/keys", "limit=1e2", "limit"),
        ("/v1/keys", "limit=99999999999999999999", "limit"),
        ("/v1/keys", "limit=1&limit=%00", "limit"),
        ("/v1/keys", "limit=", "limit"),
        ("/v1/keys", "status=good", "status"),
        // A filter that a client left empty by mistake must not list everything.
        ("/v1/keys", "user_id=", "user_id"),
        ("/v1/keys", "user_id=me", "user_id"),
        ("/v1/keys", "id=a,b", "id"),
        ("/v1/keys", "id=,", "id"),
        ("/v1/keys", "starting_after=x", "starting_after"),
        ("/v1/keys", "ending_before=%zz", "ending_before"),
        (&events, "limit=1001", "limit"),
        (&events, "starting_after=x", "starting_after"),
        (&events, "status=all", "status"),
    ] {
        let answer = world.get(&format!("{path}?{query}"), &owner);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.json["error"]["field"], field, "{}", answer.json);
    }
}

#[test]
fn a_database_that_fails_is_503_on_every_route_and_tells_nothing() {
    let (world, owner, targets) = world();
    // What asks the database for nothing: files, and a report without a key.
    let files = ["/openapi.json", "/errors", "/.well-known/api-key-format", "/.well-known/jwks.json", "/v1/leaks"];
    for route in every_route(&targets).into_iter().filter(|route| !files.contains(&route.template)) {
        world.advance_ms(60_000);
        let credential = credential(&route, &owner);
        world.database.fail_next("D1_ERROR: near \"secret_table\": syntax error");
        let answer = route.send(&world, credential);
        assert_problem(&answer, 503, "unavailable");
        assert!(!answer.json.to_string().contains("D1_ERROR"), "{}", answer.json);
    }
}

#[test]
fn request_id_is_the_platforms_if_it_gives_one() {
    let (world, owner, ..) = world();
    let mut with_ray = request("GET", "/v1/nothing", &owner, &Value::Null);
    with_ray.headers.push(("cf-ray".to_owned(), "9a1b2c3d4e5f6789-FRA".to_owned()));
    let answer = world.send(&with_ray);
    assert_problem(&answer, 404, "not_found");
    assert_eq!(answer.text("request_id"), "9a1b2c3d4e5f6789-FRA");
    let ids: BTreeSet<String> = (0..3).map(|_| world.get("/v1/nothing", "").text("request_id")).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn wrong_configuration_is_503_everywhere_names_the_request_and_repeats_nothing() {
    let world = World::new();
    let message = config::Config::read(|name| (name == "KEY_BRAND").then(|| "Se-cret".to_owned())).err().unwrap();
    assert!(message.starts_with("KEY_BRAND must be"), "{message}");
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let mut request = request("GET", path, "", &Value::Null);
        request.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let response = entry::misconfigured(&request, &message, &*world.app.clock, &*world.app.entropy);
        let header = |name: &str| {
            let header = response.headers.iter().find(|(given, _)| given == name);
            header.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let (id, kind) = (header("X-Request-Id"), header("Content-Type"));
        (response.status, id, kind, String::from_utf8(read(response.body)).unwrap())
    };
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("cf-ray", "ray-1")];
    for path in ["/v1/keys", "/nowhere", "/openapi.json", "/confident/v1/organization", "/v1/traces", "/mcp"] {
        for headers in [&[][..], &browser] {
            let (status, id, kind, body) = ask(path, headers);
            assert_eq!(status, 503);
            assert!(kind.ends_with("json"), "{path} {kind}");
            assert!(!id.is_empty() && body.contains(&id), "{body}");
            assert!(!body.contains("Se-cret") && !body.contains("KEY_BRAND"), "{body}");
        }
    }
    for path in ["/", "/sign-in", "/settings/keys", "/settings/nowhere"] {
        let (status, id, kind, body) = ask(path, &browser);
        assert_eq!((status, id.as_str(), kind.as_str()), (503, "ray-1", "text/html; charset=utf-8"));
        assert!(body.contains("configuration of this service is wrong") && body.contains("ray-1"), "{body}");
        assert!(!body.contains("Se-cret"), "{body}");
        assert!(ask(path, &[]).2.ends_with("json"), "no browser asks");
        let style = body.split('"').find(|text| text.starts_with("/settings/assets/style.")).unwrap();
        assert_eq!(ask(style, &[("accept", "text/css,*/*;q=0.1")]).0, 200);
    }
}

/// A part of a request: as it was, one of these, or noise.
fn spoilt(choices: &[&str]) -> impl Strategy<Value = Option<String>> + use<> {
    let choices: Vec<String> = choices.iter().map(|choice| (*choice).to_owned()).collect();
    prop_oneof![
        5 => Just(None),
        2 => prop::sample::select(choices).prop_map(Some),
        1 => any::<String>().prop_map(Some),
    ]
}

/// Queries of known parameters with good and bad values, or noise.
fn queries(id: &str) -> impl Strategy<Value = String> + use<> {
    let queries =
        ["limit", "starting_after", "ending_before", "name", "id", "ids", "user_id", "prefix", "status", "org_name"];
    let values = ["", "0", "-1", "9223372036854775807", "%00", "%", "%ff", "'", "Acme", "all", "expired", id];
    let queries: Vec<String> = queries.iter().flat_map(|name| values.map(|value| format!("{name}={value}"))).collect();
    let pairs = prop::collection::vec(prop::sample::select(queries), 0..4);
    prop_oneof![
        3 => Just(String::new()),
        3 => pairs.prop_map(|pairs| pairs.join("&")),
        1 => any::<String>(),
    ]
}

#[test]
fn no_request_makes_a_5xx_or_a_panic() {
    let (world, owner, targets) = world();
    let (_, narrow) = world.create(&owner, "narrow", &["api-keys:write"]);
    let revoked = Targets::new(&world, &owner);
    for id in [&revoked.id, &revoked.rotating, &revoked.org_key, &revoked.project_key] {
        world.revoke(&owner, id);
    }
    let mut rows = every_route(&targets);
    rows.extend(every_route(&revoked));
    let bearers = [&owner, &narrow, OPERATOR_SECRET, UNKNOWN].map(|credential| format!("Bearer {credential}"));
    let rows: Vec<Request> = rows
        .iter()
        .map(|route| request(route.method, &route.path, credential(route, &owner), &route.known.body))
        .collect();
    let bodies = [
        "{\"name\":\"a\",\"scopes\":[\"api-keys:*\"],\"expires_at\":\"+262142-12-31\"}",
        "{\"name\":\"a\",\"scopes\":[],\"expires_in_days\":9223372036854775807}",
        "{\"name\":\"a\",\"scopes\":[],\"metadata\":{\"\\u0000\":\"\\u0000\",\"n\":-1.7e308}}",
        "{\"expires_at\":\"9999-12-31T23:59:60Z\",\"enabled\":false}",
        "{\"expires_at\":\"-0001-01-01\"}",
    ];
    let requests = (
        prop::sample::select(rows),
        spoilt(&METHODS),
        spoilt(&["/v1", "/v1/keys/%00", "/v1/keys/\0", "/v1/keys/é", "/v1/api_key/..%2f"]),
        queries(&targets.id),
        spoilt(&[&bearers[0], &bearers[1], &bearers[2], &bearers[3], "", "Bearer", "Basic Og=="]),
        (spoilt(&bodies), any::<Option<(prop::sample::Index, u8, bool)>>()),
        any::<Option<String>>(),
    );
    let statuses = RefCell::new(BTreeSet::new());
    let config = Config { cases: 3_000, failure_persistence: None, ..Config::default() };
    // Always the same noise: a test that fails now and then teaches nobody anything.
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        .run(&requests, |(mut request, method, path, query, authorization, (body, spoil), ray)| {
            request.method = method.unwrap_or(request.method);
            request.path = path.unwrap_or(request.path);
            request.query = query;
            let is_page = request.path == "/";
            if let Some(authorization) = authorization {
                request.headers = vec![("authorization".to_owned(), authorization)];
            }
            request.headers.extend(ray.map(|ray| ("cf-ray".to_owned(), ray)));
            if let Some(body) = body {
                request.body = Body::Bytes(body.into_bytes());
            }
            if let (Body::Bytes(bytes), Some((at, byte, cut))) = (&mut request.body, spoil)
                && !bytes.is_empty()
            {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                bytes.truncate(if cut { at } else { bytes.len() });
            }
            let answer = world.send(&request);
            if answer.json["effective_at"].is_string() {
                // The noise goes on with the key that has just ended itself.
                world.database.execute("UPDATE keys SET revoked_at = NULL WHERE name IN ('first', 'narrow')");
            }
            // The API's document and the public keys are the same for everybody.
            if !["/openapi.json", "/.well-known/jwks.json"].contains(&&*request.path) || answer.status >= 400 {
                assert_not_stored(&answer);
            }
            assert!(answer.status < 500, "{}", answer.json);
            if is_page {
                return Ok(());
            }
            if answer.status >= 400 {
                assert_envelope(&answer);
            }
            statuses.borrow_mut().insert(answer.status);
            Ok(())
        })
        .unwrap();
    // The noise reached every kind of answer, or this test would prove little.
    let statuses: Vec<u16> = statuses.into_inner().into_iter().collect();
    assert_eq!(statuses, [200, 201, 202, 204, 400, 401, 403, 404, 405, 409]);
}

#[test]
fn type_of_every_problem_is_a_link_to_its_code() {
    let (world, owner, _) = prepared();
    let page = world.get("/errors", "").json.as_str().unwrap().to_owned();
    for (path, key) in [("/nowhere", owner.as_str()), ("/v1/keys", ""), ("/v1/keys?limit=x", owner.as_str())] {
        let answer = world.get(path, key);
        let link = answer.json["type"].as_str().unwrap().to_owned();
        let code = link.strip_prefix("/errors#").unwrap();
        assert_eq!(code, answer.code());
        assert!(page.contains(&format!("<h3 id=\"{code}\"><code>{code}</code></h3>")), "{code}");
    }
    assert!(!page.contains(".md") && !page.contains("<script") && !page.contains("<!-- "), "{page}");
}
