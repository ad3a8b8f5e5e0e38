//! TruLayer's surface, at its own paths and under its prefix.

use std::rc::Rc;

use bitting::entry::tables;
use bitting_http::{
    body::{MAX_BATCH_BYTES, MAX_BODY_BYTES},
    call::ANY,
    message::Body,
};
use serde_json::{Value, json};

use crate::support::{Answer, World, problem::assert_not_stored, request};

const MOUNTS: [&str; 2] = ["", "/trulayer"];

fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

/// A trace as the library sends it.
fn trace(id: &str, started_at: &str) -> Value {
    json!({
        "id": id, "project_id": "my-project", "name": "answer", "input": "hello", "output": "wörld \u{1f511}",
        "cost": 0.1, "tags": ["a"], "metadata": { "depth": [{ "n": 18_446_744_073_709_551_615_u64 }] },
        "started_at": started_at, "ended_at": started_at,
        "spans": [{ "id": "s", "trace_id": id, "name": "call", "type": "llm", "prompt_tokens": 3 }],
    })
}

/// This many traces, a second between each and the next; the oldest first.
fn traces(world: &World, count: usize) -> Vec<Value> {
    let at = |second: usize| format!("2027-01-15T07:{:02}:{:02}.123456Z", second / 60, second % 60);
    (0..count).map(|second| trace(&world.fresh_id(), &at(second))).collect()
}

fn ingest(world: &World, by: &str, traces: &[Value]) -> Answer {
    world.post("/v1/ingest/batch", by, &json!({ "traces": traces }))
}

/// The ids of all traces that a key sees, page after page.
fn seen(world: &World, by: &str, limit: usize) -> Vec<String> {
    let (mut ids, mut query) = (Vec::new(), format!("limit={limit}"));
    loop {
        let page = world.get(&format!("/v1/traces?{query}"), by);
        assert_eq!(page.status, 200, "{}", page.json);
        let traces = page.json["traces"].as_array().unwrap();
        assert!(traces.len() <= limit);
        ids.extend(traces.iter().map(|trace| trace["id"].as_str().unwrap().to_owned()));
        assert_eq!(page.json["has_more"], page.json.get("next_cursor").is_some());
        let Some(cursor) = page.json.get("next_cursor") else { return ids };
        assert!(!traces.is_empty());
        query = format!("limit={limit}&cursor={}", cursor.as_str().unwrap());
    }
}

fn ids(traces: &[Value]) -> Vec<String> {
    traces.iter().map(|trace| trace["id"].as_str().unwrap().to_owned()).collect()
}

fn newest_first(traces: &[Value]) -> Vec<String> {
    let mut ids = ids(traces);
    ids.reverse();
    ids
}

/// Checks that an answer is this refusal, with `error` as a code.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.json["error"].as_str()), (status, Some(code)), "{}", answer.json);
    assert!(!answer.text("message").is_empty());
    assert_eq!(answer.header("x-request-id"), answer.json["request_id"].as_str());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    for (header, owed) in
        [("www-authenticate", status == 401 || code == "scope_forbidden"), ("retry-after", status == 503)]
    {
        assert_eq!(answer.header(header).is_some(), owed, "{status} and {header}");
    }
    assert_not_stored(answer);
}

/// A new organization's project's key: the project's id and the key's text.
fn project_key(world: &World, owner: &str, name: &str) -> (String, String) {
    let made = world.post("/v2/projects", owner, &json!({ "name": name }));
    assert_eq!(made.status, 200, "{}", made.json);
    let data = &made.json["data"];
    (data["project"]["id"].as_str().unwrap().to_owned(), data["apiKey"]["value"].as_str().unwrap().to_owned())
}

#[test]
fn whole_life_of_a_key_on_both_mounts() {
    let (world, owner) = world();
    for mount in MOUNTS {
        let path = format!("{mount}/v1/apikeys");
        world.advance_ms(1);
        let created = world.post(&path, &owner, &json!({ "name": "agent", "scopes": ["query"] }));
        assert_eq!(created.status, 201, "{}", created.json);
        assert_not_stored(&created);
        let (id, key) = (created.text("id"), created.text("key"));
        let listed = json!({
            "id": id, "name": "agent", "prefix": &key[..12], "scope": "query_only", "scopes": ["query"],
            "status": "active", "created_at": created.text("created_at"), "last_used_at": null, "expires_at": null,
            "revoked_at": null,
        });
        let mut with_key = listed.clone();
        with_key["key"] = json!(key);
        with_key["secret"] = json!(key);
        assert_eq!(created.json, with_key);
        assert_eq!(world.get(&path, &owner).json[0], listed);

        let rotated = world.post(&format!("{path}/{id}/rotate"), &owner, &Value::Null);
        assert_eq!((rotated.status, rotated.text("id")), (200, id.clone()), "{}", rotated.json);
        assert_refused(&world.get("/v1/traces", &key), 401, "invalid_api_key");
        let key = rotated.text("secret");
        assert_eq!(world.get("/v1/traces", &key).status, 200);

        for _ in 0..2 {
            let deleted = world.call("DELETE", &format!("{path}/{id}"), &owner, &Value::Null);
            assert_eq!((deleted.status, &deleted.json), (204, &Value::Null));
            assert_not_stored(&deleted);
            assert_eq!(deleted.header("content-type"), None);
        }
        let first = &world.get(&path, &owner).json[0];
        assert_eq!((&first["id"], &first["status"]), (&json!(id), &json!("revoked")));
        assert_eq!(first["revoked_at"], created.json["created_at"]);
        let refused = world.get("/v1/traces", &key);
        assert_eq!((refused.status, refused.code()), (401, "key_revoked"));
        assert!(refused.json["error"]["message"].is_string() && refused.json["request_id"].is_string());
        assert!(refused.header("www-authenticate").is_some());
    }
}

#[test]
fn scope_of_a_key_is_full_unless_query_is_asked_for() {
    let (world, owner) = world();
    for (asked, scope) in [
        (json!({}), "full"),
        (json!({ "scopes": [] }), "full"),
        (json!({ "scopes": null, "scope": null }), "full"),
        (json!({ "scope": "full", "scopes": [] }), "full"),
        (json!({ "scopes": ["query"] }), "query_only"),
        (json!({ "scope": "query_only" }), "query_only"),
        (json!({ "scope": "query_only", "scopes": [] }), "query_only"),
        (json!({ "scope": "query_only", "scopes": ["query"] }), "query_only"),
    ] {
        let mut body = asked.clone();
        body["name"] = json!("made");
        let created = world.post("/v1/apikeys", &owner, &body);
        assert_eq!((created.status, created.text("scope").as_str()), (201, scope), "{asked}");
        let native = world.get("/v1/keys/self", &created.text("key")).json;
        let reading: Vec<String> = world.app.config.catalogue.reading().map(|scope| scope.to_string()).collect();
        assert!(reading.contains(&"traces:read".to_owned()) && reading.len() > 5);
        assert_eq!(native["scopes"], if scope == "full" { Value::Null } else { json!(reading) });
    }
    for wrong in [
        json!({ "name": "made", "scope": "full", "scopes": ["query"] }),
        json!({ "name": "made", "scopes": ["everything"] }),
        json!({ "name": "made", "scope": "query" }),
        json!({ "name": "made", "Scope": "query_only" }),
        json!({ "name": " " }),
        json!({}),
    ] {
        assert_refused(&world.post("/v1/apikeys", &owner, &wrong), 400, "validation_failed");
    }
}

#[test]
fn key_gives_no_more_than_it_holds() {
    let (world, owner) = world();
    let (_, maker) = world.create(&owner, "maker", &["api-keys:*", "traces:*"]);
    let full = world.post("/v1/apikeys", &maker, &json!({ "name": "full" }));
    assert_eq!(full.text("scope"), "full");
    assert_eq!(world.get("/v1/keys/self", &full.text("key")).json["scopes"], json!(["api-keys:*", "traces:*"]));
    let query = world.post("/v1/apikeys", &maker, &json!({ "name": "query", "scopes": ["query"] }));
    let scopes = &world.get("/v1/keys/self", &query.text("key")).json["scopes"];
    assert_eq!(scopes, &json!(["api-keys:read", "traces:read"]));
}

#[test]
fn query_only_key_can_write_nothing_on_any_surface() {
    let (world, owner) = world();
    let created = world.post("/v1/apikeys", &owner, &json!({ "name": "agent", "scopes": ["query"] }));
    let (id, key) = (created.text("id"), created.text("key"));
    let (project, _) = project_key(&world, &owner, "project");
    ingest(&world, &owner, &traces(&world, 1));
    world.settle();
    let before = world.database.dump();
    let mut refused = 0;
    for (method, template, access) in tables().list() {
        // To end a key, nobody needs a scope, and a claim and an exchange need no key.
        let open = [
            ("DELETE", "/v1/keys/self"),
            ("POST", "/v1/leaks"),
            ("POST", "/v1/leaks/github"),
            ("POST", "/v1/device-links/claim"),
            ("POST", "/v1/tokens/exchange"),
        ];
        if open.contains(&(method, template)) {
            continue;
        }
        for prefix in ["", "/braintrust", "/confident", "/trulayer"] {
            let path = format!("{prefix}{}", template.replace(":id", &id).replace(":project", &project));
            let answer = world.call(method, &path, &key, &json!({}));
            assert_eq!(world.database.dump(), before, "{method} {path}");
            if ["GET", ANY].contains(&method) || template.ends_with("/simulate") {
                assert!(answer.status < 500, "{method} {path}: {}", answer.json);
            } else if prefix.is_empty() {
                let status = match access {
                    "operator" => 401,
                    "public" => 404,
                    // It changes nothing by itself.
                    "any key" => 400,
                    _ => 403,
                };
                assert_eq!(answer.status, status, "{method} {path}");
                refused += 1;
            } else {
                assert!([401, 403, 404].contains(&answer.status), "{method} {path}: {}", answer.json);
            }
        }
    }
    assert!(refused > 20, "{refused}");
    for path in ["/v1/ingest/batch", "/v1/feedback", "/v1/eval"] {
        for mount in MOUNTS {
            let answer = world.post(&format!("{mount}{path}"), &key, &json!({}));
            assert_refused(&answer, 403, "scope_forbidden");
            assert!(answer.text("message").contains("traces:write"));
        }
    }
    assert_eq!(seen(&world, &key, 10).len(), 1);
}

#[test]
fn key_without_a_list_of_scopes_acts_as_full() {
    let (world, owner) = world();
    let key = world.post("/v1/api_key", &owner, &json!({ "name": "older" })).text("key");
    assert_eq!(ingest(&world, &key, &traces(&world, 1)).status, 201);
    assert_eq!(world.get("/v1/apikeys", &owner).json[0]["scope"], "full");
}

#[test]
fn errors_have_the_shape_that_the_library_reads() {
    let (world, owner) = world();
    let (id, key) = world.create(&owner, "a", &["traces:write"]);
    for mount in MOUNTS {
        let path = &format!("{mount}/v1/ingest/batch");
        let last = if key.ends_with('a') { "b" } else { "a" };
        assert_refused(
            &world.post(path, &format!("{}{last}", &key[..key.len() - 1]), &json!({})),
            401,
            "invalid_api_key",
        );
        assert_refused(&world.post(path, "tl_0123", &json!({})), 401, "invalid_api_key");
        assert_refused(&world.post(path, "", &json!({})), 401, "missing_api_key");
        assert_refused(&world.post(path, &key, &json!({})), 400, "validation_failed");
        assert_refused(&world.get(path, &key), 405, "method_not_allowed");
        assert_refused(&world.get(&format!("{mount}/v1/ingest"), &key), 404, "not_found");
    }
    assert_refused(&world.get("/trulayer/v1/keys", &owner), 404, "not_found");
    world.database.fail_next("D1 is down");
    assert_refused(&ingest(&world, &key, &traces(&world, 1)), 503, "unavailable");
    let missing = world.fresh_id();
    for path in [format!("/v1/apikeys/{missing}"), "/v1/apikeys/x".to_owned()] {
        assert_refused(&world.call("DELETE", &path, &owner, &Value::Null), 404, "not_found");
        assert_refused(&world.post(&format!("{path}/rotate"), &owner, &Value::Null), 404, "not_found");
    }
    world.change(&owner, &id, &json!({ "enabled": false }));
    assert_refused(&ingest(&world, &key, &[]), 401, "key_disabled");
    let (_, key) = world.create_from(&owner, &json!({ "name": "b", "scopes": ["traces:write"], "expires_in_days": 1 }));
    world.advance_ms(24 * 60 * 60 * 1000);
    assert_refused(&ingest(&world, &key, &[]), 401, "api_key_expired");
}

#[test]
fn traces_are_read_back_as_they_were_sent_the_newest_first() {
    let (world, owner) = world();
    let sent = traces(&world, 7);
    // Not in their order, and from one that says no time of its own, which has the time of its coming.
    let mut untimed = trace(&world.fresh_id(), "");
    untimed["started_at"] = Value::Null;
    let answer = ingest(&world, &owner, &[&sent[3..], &sent[..3], std::slice::from_ref(&untimed)].concat());
    assert_eq!((answer.status, &answer.json["ingested"]), (201, &json!(8)), "{}", answer.json);
    let all = [&sent[..], &[untimed]].concat();
    for limit in [1, 2, 3, 8, 100] {
        assert_eq!(seen(&world, &owner, limit), newest_first(&all), "{limit}");
    }
    let mut expected = sent[6].clone();
    expected["feedback"] = json!([]);
    expected["evals"] = json!([]);
    assert_eq!(world.get("/trulayer/v1/traces", &owner).json["traces"][1], expected);
    for wrong in ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=1_x", "cursor=x_y", "offset=1"] {
        assert_refused(&world.get(&format!("/v1/traces?{wrong}"), &owner), 400, "validation_failed");
    }
}

#[test]
fn trace_that_comes_twice_is_stored_once() {
    let (world, owner) = world();
    let sent = traces(&world, 3);
    let mut changed = sent.clone();
    changed[0]["name"] = json!("changed");
    changed[1]["id"] = json!(changed[1]["id"].as_str().unwrap().to_uppercase());
    let first = ingest(&world, &owner, &[&sent[..], &sent[..1]].concat());
    assert_eq!((first.status, &first.json["ingested"]), (201, &json!(4)));
    let before = world.database.dump();
    world.advance_ms(1);
    let again = ingest(&world, &owner, &changed);
    assert_eq!((again.status, &again.json), (201, &json!({ "ingested": 3, "ids": ids(&sent) })));
    assert_eq!(world.database.dump(), before);
    assert_eq!(seen(&world, &owner, 10), newest_first(&sent));
}

#[test]
fn feedback_and_evals_are_told_with_their_trace() {
    let (world, owner) = world();
    let sent = traces(&world, 1);
    let id = &sent[0]["id"];
    // The trace comes last.
    for number in 0..12 {
        world.advance_ms(1);
        let body =
            json!({ "trace_id": id, "label": "good", "score": number, "comment": null, "metadata": { "n": null } });
        let answer = world.post("/v1/feedback", &owner, &body);
        assert_eq!((answer.status, &answer.json["trace_id"]), (201, id), "{}", answer.json);
    }
    let body = json!({ "trace_id": id, "evaluator_type": "llm", "metric_name": "tone" });
    let eval = world.post("/v1/eval", &owner, &body);
    assert_eq!((eval.status, &eval.json["status"]), (202, &json!("pending")), "{}", eval.json);
    ingest(&world, &owner, &sent);
    let page = world.get("/v1/traces", &owner).json;
    let told = &page["traces"][0];
    let feedback = told["feedback"].as_array().unwrap();
    assert_eq!(feedback.len(), 10);
    let mut newest = feedback[0].clone();
    assert!(newest.as_object_mut().unwrap().remove("id").is_some());
    assert_eq!(
        newest,
        json!({ "label": "good", "score": 11.0, "comment": null, "metadata": { "n": null },
                "created_at": "2027-01-15T08:00:00.012Z" })
    );
    assert_eq!(
        told["evals"],
        json!([{ "eval_id": eval.text("eval_id"), "evaluator_type": "llm", "metric_name": "tone", "status": "pending",
                 "created_at": "2027-01-15T08:00:00.012Z" }])
    );
    let before = world.database.dump();
    for (path, body) in [
        ("/v1/feedback", json!({ "trace_id": "x", "label": "good" })),
        ("/v1/feedback", json!({ "trace_id": id })),
        ("/v1/feedback", json!({ "trace_id": id, "label": "" })),
        ("/v1/feedback", json!({ "trace_id": id, "label": "good", "score": "1" })),
        ("/v1/feedback", json!({ "trace_id": id, "label": "good", "comment": "x".repeat(16_384) })),
        ("/v1/eval", json!({ "trace_id": id, "evaluator_type": "llm" })),
        ("/v1/eval", json!({ "trace_id": "x", "evaluator_type": "llm", "metric_name": "tone" })),
    ] {
        assert_refused(&world.post(path, &owner, &body), 400, "validation_failed");
    }
    assert_eq!(world.database.dump(), before);
}

#[test]
fn strangers_see_and_touch_nothing_of_each_other() {
    let (world, owner) = world();
    let (_, _, stranger) = world.stranger(&owner);
    let sent = traces(&world, 2);
    ingest(&world, &owner, &sent);
    assert_eq!(seen(&world, &stranger, 10), Vec::<String>::new());
    let mut theirs = sent.clone();
    theirs[0]["name"] = json!("theirs");
    assert_eq!(ingest(&world, &stranger, &theirs[..1]).status, 201);
    let about = json!({ "trace_id": sent[0]["id"], "label": "bad" });
    assert_eq!(world.post("/v1/feedback", &stranger, &about).status, 201);
    assert_eq!(seen(&world, &stranger, 10), ids(&sent[..1]));
    let mine = world.get("/v1/traces", &owner).json;
    assert_eq!((&mine["traces"][1]["name"], &mine["traces"][1]["feedback"]), (&json!("answer"), &json!([])));
    let page = world.get("/v1/traces?limit=1", &owner).json;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(world.get(&format!("/v1/traces?cursor={cursor}"), &stranger).json["traces"][0]["name"], "theirs");
}

#[test]
fn projects_key_sees_and_writes_its_project_alone() {
    let (world, owner) = world();
    let ((project, one), (_, other)) = (project_key(&world, &owner, "one"), project_key(&world, &owner, "other"));
    let sent = traces(&world, 3);
    ingest(&world, &owner, &sent[..1]);
    ingest(&world, &one, &sent[1..2]);
    ingest(&world, &other, &sent[2..]);
    assert_eq!(seen(&world, &one, 1), ids(&sent[1..2]));
    assert_eq!(seen(&world, &other, 10), ids(&sent[2..]));
    assert_eq!(seen(&world, &owner, 2), newest_first(&sent));
    assert_eq!(world.database.value(&format!("SELECT id FROM traces WHERE project_id = '{project}'")), sent[1]["id"]);
    // An id of another project is taken without a word, and changes nothing.
    assert_eq!(ingest(&world, &one, &sent[2..]).status, 201);
    assert_eq!(seen(&world, &one, 10), ids(&sent[1..2]));
    for (by, label) in [(&owner, "organization"), (&one, "own"), (&other, "other")] {
        world.advance_ms(1);
        let body = json!({ "trace_id": sent[1]["id"], "label": label });
        assert_eq!(world.post("/v1/feedback", by, &body).status, 201);
    }
    for by in [&one, &owner] {
        let page = world.get("/v1/traces", by).json;
        let traces = page["traces"].as_array().unwrap();
        let told = traces.iter().find(|trace| trace["id"] == sent[1]["id"]).unwrap();
        let labels: Vec<&Value> = told["feedback"].as_array().unwrap().iter().map(|given| &given["label"]).collect();
        assert_eq!(labels, ["own", "organization"]);
    }
}

#[test]
fn batch_is_one_round_trip_of_few_statements_whatever_its_size() {
    let (world, owner) = world();
    let sent = traces(&world, 1_000);
    ingest(&world, &owner, &[]);
    let (answer, (batches, _, _)) = world.counted(|| ingest(&world, &owner, &sent));
    assert_eq!((answer.status, &answer.json["ingested"], batches), (201, &json!(1_000), 1));
    assert_eq!(seen(&world, &owner, 100), newest_first(&sent));
    let mut one_more = sent;
    one_more.extend(traces(&world, 1));
    let answer = ingest(&world, &owner, &one_more);
    assert_refused(&answer, 400, "validation_failed");
    assert!(answer.text("message").contains("1001"), "{}", answer.json);
    assert_eq!(world.database.count("traces"), 1_000);
}

#[test]
fn long_traces_fill_a_page_before_its_limit() {
    let (world, owner) = world();
    let mut sent = traces(&world, 8);
    for trace in &mut sent {
        trace["input"] = json!("é".repeat(490_000));
    }
    for four in sent.chunks(4) {
        assert_eq!(ingest(&world, &owner, four).status, 201);
    }
    let page = world.get("/v1/traces", &owner).json;
    assert_eq!(page["traces"].as_array().unwrap().len(), 5);
    assert_eq!(page["has_more"], true);
    assert_eq!(seen(&world, &owner, 7), newest_first(&sent));
}

#[test]
fn what_is_too_large_is_refused_whole_and_named() {
    let (world, owner) = world();
    let mut sent = traces(&world, 3);
    sent[1]["input"] = json!("x".repeat(1_000_000));
    let answer = ingest(&world, &owner, &sent);
    assert_refused(&answer, 400, "validation_failed");
    assert!(answer.text("message").starts_with("`traces[1]`: has 1000"), "{}", answer.json);
    assert_eq!(world.database.count("traces"), 0);
    for mount in MOUNTS {
        let path = format!("{mount}/v1/ingest/batch");
        let mut large = request("POST", &path, &owner, &Value::Null);
        large.body = Body::Unread(Rc::new(vec![b' '; MAX_BATCH_BYTES + 1]));
        let answer = world.send(&large);
        assert_refused(&answer, 413, "body_too_large");
        assert!(answer.text("message").contains(&MAX_BATCH_BYTES.to_string()));
    }
    for path in ["/v1/feedback", "/v1/keys"] {
        let mut large = request("POST", path, &owner, &Value::Null);
        large.body = Body::Unread(Rc::new(vec![b' '; MAX_BODY_BYTES + 1]));
        assert_eq!(world.send(&large).status, 413, "{path}");
    }
}

#[test]
fn trace_that_cannot_be_stored_is_named_and_nothing_is_stored() {
    let (world, owner) = world();
    let sent = traces(&world, 2);
    for (field, value, says) in [
        ("id", json!("no id"), "`traces[1].id`"),
        ("id", json!(7), "`traces[1].id`"),
        ("id", Value::Null, "`traces[1].id`"),
        ("started_at", json!("yesterday"), "`traces[1].started_at`"),
    ] {
        let mut sent = sent.clone();
        sent[1][field] = value;
        let answer = ingest(&world, &owner, &sent);
        assert_refused(&answer, 400, "validation_failed");
        assert!(answer.text("message").starts_with(says), "{}", answer.json);
    }
    for wrong in [json!([]), json!({ "traces": {} }), json!({ "traces": [1] }), json!({ "traces": null })] {
        assert_refused(&world.post("/v1/ingest/batch", &owner, &wrong), 400, "validation_failed");
    }
    for text in ["", "{\"traces\":[", "{\"traces\":[{\"id\":\"\\ud800\"}]}", "{\"traces\":[]} x"] {
        let mut malformed = request("POST", "/v1/ingest/batch", &owner, &Value::Null);
        malformed.body = Body::Bytes(text.as_bytes().to_vec());
        assert_refused(&world.send(&malformed), 400, "malformed_json");
    }
    let mut deep = request("POST", "/v1/ingest/batch", &owner, &Value::Null);
    let nested = format!("{}{}", "[".repeat(120), "]".repeat(120));
    for (nesting, status) in [(nested.clone(), 201), (nested.replace("[]", &nested), 400)] {
        let id = world.fresh_id();
        deep.body = Body::Bytes(format!("{{\"traces\":[{{\"id\":\"{id}\",\"metadata\":{nesting}}}]}}").into_bytes());
        assert_eq!(world.send(&deep).status, status);
    }
    assert_eq!(world.get("/v1/traces", &owner).status, 200);
    assert_eq!(world.database.count("traces"), 1);
}

#[test]
fn key_that_was_revoked_a_moment_ago_stores_and_reads_nothing() {
    let (mut world, owner) = world();
    let (id, key) = world.create(&owner, "a", &["traces:*"]);
    let sent = traces(&world, 1);
    ingest(&world, &key, &sent);
    let revoke = format!("UPDATE keys SET revoked_at = 1 WHERE id = '{id}'");
    world.meddle(0, &revoke);
    let answer = ingest(&world, &key, &traces(&world, 1));
    assert_eq!((answer.status, answer.code()), (401, "key_revoked"));
    assert_eq!(world.database.count("traces"), 1);
    assert_eq!(world.get("/v1/traces", &key).status, 401);
}
