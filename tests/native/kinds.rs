//! Kinds of faults that others had before: what an input of that kind is answered on every route that it can reach.

use bitting_http::message::{Body, Request};
use serde_json::{Value, json};

use crate::{
    pages::Browser,
    support::{
        Answer,
        problem::assert_problem,
        request,
        routes::{every_key_route, prepared},
    },
};

/// A request with these bytes as its body, and with headers.
fn with(method: &str, path: &str, key: &str, bytes: &[u8], headers: &[(&str, &str)]) -> Request {
    let mut request = request(method, path, key, &Value::Null);
    request.body = Body::Bytes(bytes.to_vec());
    request.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    request
}

#[test]
fn compressed_body_is_refused_on_every_route_that_takes_one() {
    let (world, owner, targets) = prepared();
    for route in every_key_route(&targets) {
        if route.method == "GET" || route.known.body.is_null() {
            continue;
        }
        let send = |encoding: &str| {
            let headers = [("content-encoding", encoding)];
            world.send(&with(route.method, &route.path, &owner, b"\x1f\x8b\x08\x00", &headers))
        };
        let answer = send("gzip");
        assert_problem(&answer, 415, "unsupported_media_type");
        assert_eq!(answer.header("accept-encoding"), Some("identity"), "{}", route.name());
        assert_ne!(send("identity").status, 415, "{}", route.name());
    }
    let mut browser = Browser::with_key(&world, &owner);
    let mut form = browser.request("POST", "/settings/projects", &[("name", "a")], Some("https://keys.example.com"));
    form.headers.push(("content-encoding".to_owned(), "br".to_owned()));
    assert_eq!(browser.receive(&form).status, 415);
}

#[test]
fn upload_as_a_form_is_refused_and_says_how_to_send_it() {
    let (world, owner, _) = prepared();
    let body = b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nquestion\r\nwhy\r\n--x--\r\n";
    let path = "/api/datasets/upload?name=t&format=csv";
    let answer = world.send(&with("POST", path, &owner, body, &[("content-type", "multipart/form-data; boundary=x")]));
    assert_problem(&answer, 415, "unsupported_media_type");
    assert!(answer.detail().contains("--data-binary"), "{}", answer.json);
    for kind in ["application/x-www-form-urlencoded", "text/csv", ""] {
        let answer = world.send(&with("POST", path, &owner, b"question\nwhy\n", &[("content-type", kind)]));
        assert_eq!(answer.status, 201, "{kind}: {}", answer.json);
    }
    let unclosed = b"q,a\nhi,\"unclosed\nyo,3\nha,4\n";
    let sets = world.database.count("dataset_chunks");
    let answer = world.send(&with("POST", path, &owner, unclosed, &[]));
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!((answer.field(), world.database.count("dataset_chunks")), ("row 1".to_owned(), sets), "{}", answer.json);
}

#[test]
fn json_is_read_with_a_byte_order_mark_and_a_form_is_told_that_it_is_one() {
    let (world, owner, _) = prepared();
    let marked = "\u{feff}{\"name\":\"x\",\"scopes\":[]}";
    assert_eq!(world.send(&with("POST", "/v1/keys", &owner, marked.as_bytes(), &[])).status, 201);
    assert_eq!(
        world.send(&with("POST", "/v1/apikeys", &owner, "\u{feff}{\"name\":\"x\"}".as_bytes(), &[])).status,
        201
    );
    for (kind, says) in [
        ("application/x-www-form-urlencoded", true),
        ("Multipart/form-data; boundary=x", true),
        ("application/json", false),
        ("", false),
    ] {
        let answer = world.send(&with("POST", "/v1/keys", &owner, b"name=x", &[("content-type", kind)]));
        assert_problem(&answer, 400, "malformed_json");
        assert_eq!(answer.detail().contains("that of a form"), says, "{kind}: {}", answer.json);
    }
    // Curl says that it is a form, whatever is sent.
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(world.send(&with("POST", "/v1/keys", &owner, b"{\"name\":\"x\",\"scopes\":[]}", &headers)).status, 201);
}

#[test]
fn no_body_is_one_without_fields_where_none_is_required() {
    let (world, owner, targets) = prepared();
    let rotate = format!("/v1/keys/{}/rotate", targets.id);
    assert_eq!(world.send(&with("POST", &rotate, &owner, b"", &[])).status, 200);
    assert_problem(&world.send(&with("POST", "/v1/keys", &owner, b"", &[])), 400, "malformed_json");
    assert_problem(&world.send(&with("PATCH", "/v1/organizations/self", &owner, b"", &[])), 400, "validation_failed");
}

#[test]
fn whole_number_of_more_than_64_bits_is_refused_with_its_field() {
    let (world, owner, targets) = prepared();
    let huge = "18446744073709551617";
    let rows = format!("/api/datasets/{}/rows", targets.dataset);
    let eval = format!("/api/eval/{}", targets.live_evaluation);
    for (path, body, field) in [
        ("/v1/keys", format!("{{\"name\":\"n\",\"scopes\":[],\"metadata\":{{\"a\":[0,{huge}]}}}}"), "metadata.a[1]"),
        (rows.as_str(), format!("{{\"rows\":[{{\"question\":1}},{{\"question\":{huge}}}]}}"), "rows[1].question"),
        (rows.as_str(), format!("{{\"rows\":[{{\"question\":-{huge}}}]}}"), "rows[0].question"),
        ("/api/datasets", format!("{{\"name\":\"n\",\"rows\":[{{\"a\":{huge}}}]}}"), "rows[0].a"),
        (eval.as_str(), format!("{{\"inputs\":{{\"answer\":{huge}}}}}"), "inputs.answer"),
    ] {
        let answer = world.send(&with("POST", path, &owner, body.as_bytes(), &[]));
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field, "{path}: {}", answer.json);
        if path == eval {
            // Its column takes texts alone.
            continue;
        }
        // The largest that fit, texts and fractions are as good as any.
        for good in [
            "18446744073709551615",
            "-9223372036854775808",
            "1e30",
            "0.12345678901234567890",
            "\"18446744073709551617\"",
        ] {
            let number = if body.contains(&format!("-{huge}")) { format!("-{huge}") } else { huge.to_owned() };
            let body = body.replace(&number, good);
            let answer = world.send(&with("POST", path, &owner, body.as_bytes(), &[]));
            assert!(answer.status < 300, "{path} {good}: {}", answer.json);
        }
    }
    // A trace is kept as it was sent.
    let trace = format!("{{\"traces\":[{{\"id\":\"{}\",\"metadata\":{{\"n\":{huge}}}}}]}}", world.fresh_id());
    assert_eq!(world.send(&with("POST", "/v1/ingest/batch", &owner, trace.as_bytes(), &[])).status, 201);
    let kept = world.database.value("SELECT trace FROM traces");
    assert!(kept.as_str().unwrap().contains(huge), "{kept}");
}

#[test]
fn name_that_cannot_be_seen_or_turns_text_is_refused_on_every_surface_and_form() {
    let (world, owner, targets) = prepared();
    let bodies = |name: &str| {
        [
            ("/v1/keys", json!({ "name": name, "scopes": [] })),
            ("/v1/api_key", json!({ "name": name })),
            ("/v1/apikeys", json!({ "name": name })),
            ("/v2/organization/api-keys", json!({ "name": name })),
            ("/v2/projects", json!({ "name": name })),
            ("/v1/organizations/self/projects", json!({ "name": name })),
            ("/v1/organizations/self/teams", json!({ "name": name })),
            ("/v1/organizations", json!({ "name": name, "email": "a@b.c", "key_name": "k" })),
            ("/v1/organizations/self/invitations", json!({ "email": format!("a{name}@b.c"), "role": "member" })),
            ("/api/datasets", json!({ "name": name })),
            ("/api/datasets", json!({ "name": "n", "rows": [{ name: 1 }] })),
        ]
    };
    for name in ["\u{200b}", "\u{2060}\u{3164}", "admin\u{202e}nimda", "\u{2066}a"] {
        for (path, body) in bodies(name) {
            let answer = world.post(path, &owner, &body);
            assert_eq!(answer.status, 400, "{path} {name:?}: {}", answer.json);
        }
        let path = format!("/v1/keys/{}", targets.id);
        assert_problem(&world.call("PATCH", &path, &owner, &json!({ "name": name })), 400, "validation_failed");
        let mut browser = Browser::with_key(&world, &owner);
        let projects = "/settings/projects";
        assert_eq!(browser.fill(projects, projects, &[("name", name)]).status, 400, "{name:?}");
        assert_eq!(browser.post("/settings/teams", &[("name", name)]).status, 400, "{name:?}");
    }
}

#[test]
fn expiry_beyond_the_year_9999_or_the_longest_life_is_told_at_the_field_that_was_sent() {
    let (world, owner, targets) = prepared();
    let create = |rest: Value| -> Answer {
        let mut body = json!({ "name": "x", "scopes": [] });
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        world.post("/v1/keys", &owner, &body)
    };
    for at in ["9999-12-31T23:59:59-23:59", "+10000-01-01", "+10000-01-01T00:00:00Z"] {
        let answer = create(json!({ "expires_at": at }));
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), "expires_at", "{at}");
    }
    assert_eq!(create(json!({ "expires_at": "9999-12-31T23:59:59Z" })).json["expires_at"], "9999-12-31T23:59:59.000Z");
    // What was not set may be sent as null.
    for rest in [
        json!({ "expires_in_days": 3, "expires_at": null }),
        json!({ "expires_in_days": null, "expires_at": "2027-01-18T08:00:00Z" }),
    ] {
        assert_eq!(create(rest).json["expires_at"], "2027-01-18T08:00:00.000Z");
    }
    let longest = json!({ "longest_expiry_days": 10 });
    assert_eq!(world.call("PATCH", "/v1/organizations/self", &owner, &longest).status, 200);
    let key = format!("/v1/keys/{}", targets.id);
    for (method, path, body) in [
        ("POST", "/v1/keys".to_owned(), json!({ "name": "x", "scopes": [], "expires_in_days": 11 })),
        ("PATCH", key.clone(), json!({ "expires_in_days": 11 })),
        ("POST", format!("{key}/rotate"), json!({ "expires_in_days": 11 })),
    ] {
        let answer = world.call(method, &path, &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), "expires_in_days", "{path}: {}", answer.json);
    }
}

#[test]
fn token_overlap_counts_characters_where_words_have_no_blanks() {
    let (world, owner, _) = prepared();
    let score = |expected: &str, value: &str| {
        let judge = json!({ "type": "token_overlap", "column": "user_query", "expected": expected, "threshold": 0.5 });
        let live = world.deploy(&owner, &world.evaluation(&owner, &judge)).0;
        world.judge(&owner, &live, value).json["score"]
            .as_f64()
            .unwrap_or_else(|| panic!("{}", world.judge(&owner, &live, value).json))
    };
    assert!((score("今天天气很好", "今天天气真的很好") - 12.0 / 14.0).abs() < 0.01);
    assert!(score("ขอบคุณมาก", "ขอบคุณ") > 0.7);
    assert!((score("GPT很好", "gpt 好") - 0.8).abs() < 0.01);
    assert!((score("good day", "good night") - 0.5).abs() < 0.01);
}
