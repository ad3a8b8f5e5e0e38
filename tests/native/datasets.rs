//! Data sets: made, uploaded, read, changed, exported, shared, ended; and who may do what with whose.

use std::{cell::Cell, rc::Rc};

use bitting::entry::{self, chores};
use bitting_http::message::{Body, Content};
use bitting_keys::ports::ByteSource;
use futures::{
    StreamExt,
    executor::block_on,
    stream::{self, LocalBoxStream},
};
use serde_json::{Value, json};

use crate::support::{Answer, ManualClock, World, problem::assert_problem, request};

const STALENESS_MS: i64 = 5_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

/// Makes a data set; gives its id.
fn made(world: &World, by: &str, rows: &Value) -> String {
    let answer = world.post("/api/datasets", by, &json!({ "name": "made", "rows": rows }));
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer.text("public_id")
}

fn upload(world: &World, by: &str, format: &str, body: impl Into<Vec<u8>>) -> Answer {
    let mut request = request("POST", &format!("/api/datasets/upload?name=up&format={format}"), by, &Value::Null);
    request.body = Body::Bytes(body.into());
    world.send(&request)
}

/// A body that comes 64 KiB at a time.
fn in_pieces(body: &str) -> Body {
    struct Pieces(Vec<Vec<u8>>);
    impl ByteSource for Pieces {
        fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
            stream::iter(self.0.iter().cloned().map(Ok)).boxed_local()
        }
    }
    Body::Unread(Rc::new(Pieces(body.as_bytes().chunks(65_536).map(<[u8]>::to_vec).collect())))
}

fn upload_in_pieces(world: &World, by: &str, csv: &str) -> Answer {
    let mut request = request("POST", "/api/datasets/upload?name=up&format=csv", by, &Value::Null);
    request.body = in_pieces(csv);
    world.send(&request)
}

fn rows(world: &World, by: &str, id: &str, query: &str) -> Value {
    let answer = world.get(&format!("/api/datasets/{id}/rows?{query}"), by);
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer.json
}

/// `n` rows of CSV behind their header.
fn csv(n: usize) -> String {
    let rows: Vec<String> = (1..=n).map(|i| format!("q{i},\"an, \"\"answer\"\" {i}\"")).collect();
    format!("question,answer\n{}\n", rows.join("\n"))
}

#[test]
fn whole_life_of_a_data_set() {
    let (world, owner) = world();
    let body = json!({
        "name": "Questions", "description": "of people",
        "columns": [{ "name": "question" }, { "name": "verdict", "role": "judgment" }],
        "rows": [{ "question": "why", "verdict": "good" }, { "question": "how", "extra": { "a": [1, 2] } }],
    });
    let answer = world.post("/api/datasets", &owner, &body);
    assert_eq!(answer.status, 201, "{}", answer.json);
    let id = answer.text("public_id");
    assert!(id.starts_with("ds_") && id.len() == 35, "{id}");
    let columns = json!([
        { "name": "question", "role": "input" }, { "name": "verdict", "role": "judgment" }, { "name": "extra", "role": "input" },
    ]);
    assert_eq!((&answer.json["columns"], &answer.json["row_count"]), (&columns, &json!(2)));
    let path = format!("/api/datasets/{id}");
    let details = world.get(&path, &owner).json;
    assert_eq!(details["preview_row_ids"], json!([1, 2]));
    assert_eq!(details["preview"][1], json!({ "question": "how", "verdict": null, "extra": { "a": [1, 2] } }));
    assert_eq!((&details["access"], &details["name"]), (&json!("own"), &json!("Questions")));

    let judgments =
        json!([{ "name": "good?", "question": "Is it?", "verdicts": ["good", "bad"], "column": "verdict" }]);
    let change = json!({ "name": "Answers", "description": null, "judgments": judgments });
    let changed = world.call("PATCH", &path, &owner, &change).json;
    assert_eq!(
        (&changed["name"], &changed["description"], &changed["judgments"]),
        (&json!("Answers"), &Value::Null, &judgments)
    );

    let column =
        |method: &str, name: &str, body: Value| world.call(method, &format!("{path}/columns{name}"), &owner, &body);
    assert_eq!(column("POST", "", json!({ "name": "notes", "role": "notes" })).status, 201);
    let renamed = column("PATCH", "/verdict", json!({ "name": "the verdict" })).json;
    assert_eq!(renamed["judgments"][0]["column"], "the verdict", "who speaks of a column goes with it");
    assert_eq!(column("DELETE", "/the%20verdict", Value::Null).json["judgments"], json!([]));
    assert_problem(&column("DELETE", "/verdict", Value::Null), 404, "not_found");
    assert_problem(&column("PATCH", "/extra", json!({ "name": "notes" })), 400, "validation_failed");

    let added =
        world.post(&format!("{path}/rows"), &owner, &json!({ "rows": [{ "question": "who" }, { "notes": "n" }] }));
    assert_eq!(added.json, json!({ "row_ids": [3, 4] }), "{}", added.json);
    let row = world.call("PATCH", &format!("{path}/rows/3"), &owner, &json!({ "notes": "x", "extra": null }));
    assert_eq!(row.json, json!({ "question": "who", "extra": null, "notes": "x" }));
    assert_eq!(world.call("DELETE", &format!("{path}/rows/2"), &owner, &Value::Null).status, 200);
    assert_problem(&world.call("DELETE", &format!("{path}/rows/2"), &owner, &Value::Null), 404, "not_found");
    let removed = world.post(&format!("{path}/rows/remove"), &owner, &json!({ "row_ids": [1, 2, 99] }));
    assert_eq!(removed.json, json!({ "row_ids": [1] }));
    let left = rows(&world, &owner, &id, "");
    assert_eq!((&left["row_ids"], &left["total"]), (&json!([3, 4]), &json!(2)));
    assert_eq!(world.post(&format!("{path}/rows"), &owner, &json!({ "rows": [{}] })).json, json!({ "row_ids": [5] }));

    assert_eq!(world.call("DELETE", &path, &owner, &Value::Null).status, 200);
    for (method, below) in
        [("GET", ""), ("DELETE", ""), ("GET", "/rows"), ("GET", "/export?format=csv"), ("GET", "/shares")]
    {
        assert_problem(&world.call(method, &format!("{path}{below}"), &owner, &Value::Null), 404, "not_found");
    }
    assert_eq!(world.get("/api/datasets", &owner).json, json!({ "items": [], "has_more": false, "next_cursor": null }));
}

#[test]
fn uploads_of_every_form_are_the_same_and_come_back_as_they_were() {
    let (world, owner) = world();
    let csv = "question,answer\r\n\"a, \"\"b\"\"\",Zürich\r\n,2\r\n";
    let lines = "{\"question\":\"a, \\\"b\\\"\",\"answer\":\"Zürich\"}\n{\"question\":null,\"answer\":\"2\"}\n";
    let array = format!("[{}]", lines.trim_end().replace('\n', ","));
    for (format, body) in [("csv", csv), ("jsonl", lines), ("json", &array)] {
        let answer = upload(&world, &owner, format, body);
        assert_eq!((answer.status, &answer.json["row_count"]), (201, &json!(2)), "{}", answer.json);
        let export = |format: &str| {
            let path = format!("/api/datasets/{}/export?format={format}", answer.text("public_id"));
            world.get(&path, &owner)
        };
        assert_eq!(export("csv").json, csv);
        assert_eq!(export("csv").header("content-type"), Some("text/csv; charset=utf-8"));
        let expected: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(export("jsonl").json, json!(expected));
    }
}

#[test]
fn failed_upload_says_where_and_leaves_nothing() {
    let (world, owner) = world();
    let late = format!("{}\"x\",1,2\n", csv(5_000));
    for (format, body, field) in [
        ("csv", late.as_bytes(), "row 5001"),
        ("csv", b"a,a\n", "row 0, column \"a\""),
        ("csv", b"a,b\n1,\xff\n", "row 1, column \"b\""),
        ("json", b"{}", "row 0"),
        ("json", b"[{\"a\":1},2]", "row 2"),
        ("jsonl", b"{\"a\":1}\n\n{\"a\":}\n", "row 2"),
    ] {
        let answer = upload(&world, &owner, format, body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field);
        assert_eq!(world.get("/api/datasets", &owner).json["items"], json!([]));
    }
    block_on(world.app.sweep(chores())).unwrap();
    assert_eq!((world.database.count("datasets"), world.database.count("dataset_chunks")), (0, 0));
    for query in ["", "name=a", "format=csv", "name=&format=csv", "name=a&format=xml", "name=a&format=csv&x=1"] {
        let answer = world.post(&format!("/api/datasets/upload?{query}"), &owner, &Value::Null);
        assert_problem(&answer, 400, "validation_failed");
    }
}

#[test]
fn upload_that_the_database_fails_leaves_nothing() {
    for dies_at in 0..4 {
        let (mut world, owner) = world();
        world.get("/v1/keys/self", &owner);
        world.before_batches(move |database, number| database.down.set(number == dies_at));
        // Two batches' worth, so that the last row's is the third.
        let row = format!("{}\n", "x".repeat(1_000));
        let answer = upload_in_pieces(&world, &owner, &format!("a\n{}", row.repeat(4_500)));
        world.database.down.set(false);
        if answer.status == 201 {
            assert!(dies_at >= 3, "all was written before the batch {dies_at}");
            continue;
        }
        assert_problem(&answer, 503, "unavailable");
        assert_eq!(world.get("/api/datasets", &owner).json["items"], json!([]));
        world.advance_ms(DAY_MS + 1);
        // The first takes the rows, the second what they were of.
        block_on(world.app.sweep(chores())).unwrap();
        block_on(world.app.sweep(chores())).unwrap();
        assert_eq!((world.database.count("datasets"), world.database.count("dataset_chunks")), (0, 0), "{dies_at}");
    }
}

#[test]
fn pages_by_number_and_by_row_are_the_same_also_behind_gaps() {
    let (world, owner) = world();
    let id = upload(&world, &owner, "csv", csv(1_234)).text("public_id");
    // A whole chunk, the first row, the last, and some in between.
    let gone: Vec<i64> = (101..=200).chain([1, 1_234]).chain((300..700).step_by(7)).collect();
    let removed = world.post(&format!("/api/datasets/{id}/rows/remove"), &owner, &json!({ "row_ids": gone }));
    assert_eq!(removed.json["row_ids"].as_array().unwrap().len(), gone.len());
    let there: Vec<i64> = (1..=1_234).filter(|row| !gone.contains(row)).collect();
    for size in [1, 100, 333, 1_000] {
        let (mut by_page, mut by_row) = (Vec::new(), Vec::new());
        let pages = there.len().div_ceil(size);
        for page in (1..=pages + 1).filter(|page| size > 1 || *page % 97 == 1) {
            let body = rows(&world, &owner, &id, &format!("page={page}&page_size={size}"));
            assert_eq!((&body["total"], &body["total_pages"]), (&json!(there.len()), &json!(pages)));
            let ids: Vec<i64> = serde_json::from_value(body["row_ids"].clone()).unwrap();
            assert_eq!(
                ids,
                there.iter().skip((page - 1) * size).take(size).copied().collect::<Vec<_>>(),
                "{page} of {size}"
            );
            by_page.extend(ids);
        }
        let mut last = 0;
        loop {
            let body = rows(&world, &owner, &id, &format!("starting_after={last}&page_size={size}"));
            let ids: Vec<i64> = serde_json::from_value(body["row_ids"].clone()).unwrap();
            let Some(end) = ids.last() else { break };
            assert_eq!(body["rows"][ids.len() - 1]["question"], format!("q{end}"));
            last = *end;
            by_row.extend(ids);
            if size == 1 && by_row.len() > 150 {
                break;
            }
        }
        assert_eq!(by_row, there[..by_row.len()]);
        assert!(size == 1 || (by_row.len() == there.len() && by_page == there));
    }
}

#[test]
fn a_hundred_rows_are_one_row_of_the_database_and_a_page_reads_what_it_shows() {
    let (world, owner) = world();
    let id = upload(&world, &owner, "csv", csv(10_000)).text("public_id");
    let small = upload(&world, &owner, "csv", csv(100)).text("public_id");
    assert_eq!(world.database.count("dataset_chunks"), 101);
    let steps = |id: &str, query: &str| world.steps(|| drop(rows(&world, &owner, id, query)));
    let far = steps(&id, "page=90&page_size=100");
    assert!(far < steps(&small, "page=1&page_size=100") + 100 * 60, "{far}: the counts of 100 chunks, and one chunk");
    assert!(steps(&id, "starting_after=9000&page_size=100") < 3_000);
    let (_, io) = world.counted(|| world.get(&format!("/api/datasets/{id}"), &owner));
    assert_eq!(io, (1, 0, 0));
    // Rows that come one by one fill chunks, too.
    for _ in 0..150 {
        world.post(&format!("/api/datasets/{small}/rows"), &owner, &json!({ "rows": [{ "question": "more" }] }));
    }
    let chunks = format!("SELECT group_concat(row_count) FROM dataset_chunks WHERE dataset_id = '{small}'");
    assert_eq!(world.database.value(&chunks), "100,100,50");
}

#[test]
fn key_reaches_what_is_its_users_and_what_is_shared_and_nothing_else() {
    let (world, owner) = world();
    let organization = "/v1/organizations/self";
    let id = made(&world, &owner, &json!([{ "a": 1 }]));
    let (colleague_id, _, colleague) = world.colleague(&owner, "member");
    let (mate_id, _, mate) = world.colleague(&owner, "admin");
    let team = world.post(&format!("{organization}/teams"), &owner, &json!({ "name": "t" })).text("id");
    world.call("PUT", &format!("{organization}/teams/{team}/members/{mate_id}"), &owner, &Value::Null);
    let (_, org_key) = world.create_from(&owner, &json!({ "name": "o", "kind": "org", "scopes": ["datasets:*"] }));
    let (_, _, stranger) = world.stranger(&owner);
    let project = world.project(&owner, "p");
    let body = json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": ["datasets:*"] });
    let (_, project_key) = world.create_from(&owner, &body);
    world.advance_ms(1);
    let in_project = made(&world, &project_key, &json!([]));

    let path = format!("/api/datasets/{id}");
    let list = |key: &str| {
        let items = world.get("/api/datasets", key).json["items"].clone();
        items.as_array().unwrap().iter().map(|item| item["public_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let access = |key: &str| match world.get(&path, key) {
        answer if answer.status == 404 => "none".to_owned(),
        answer => answer.text("access"),
    };
    let change = |key: &str| world.call("PATCH", &path, key, &json!({ "name": "n" })).status;
    assert_eq!(
        [&owner, &colleague, &mate, &stranger, &project_key].map(|key| access(key)),
        ["own", "none", "none", "none", "none"]
    );
    assert_eq!(list(&project_key), std::slice::from_ref(&in_project));
    assert_eq!(list(&org_key), [in_project, id.clone()], "a key of the organization sees all of it");
    assert_eq!((access(&org_key), change(&org_key)), ("own".to_owned(), 200));

    let share = |grantee: &str, access: &str| {
        let answer = world.call("PUT", &format!("{path}/shares/{grantee}"), &owner, &json!({ "access": access }));
        assert_eq!(answer.status, 200, "{}", answer.json);
    };
    share(&colleague_id, "read");
    share(&team, "write");
    for (key, may, status) in [(&colleague, "read", 403), (&mate, "write", 200), (&stranger, "none", 404)] {
        assert_eq!((access(key).as_str(), change(key)), (may, status));
        let listed: &[String] = if may == "none" { &[] } else { std::slice::from_ref(&id) };
        assert_eq!(list(key), listed);
        let sharing = world.call("PUT", &format!("{path}/shares/{colleague_id}"), key, &json!({ "access": "write" }));
        assert_problem(
            &sharing,
            if may == "none" { 404 } else { 403 },
            if may == "none" { "not_found" } else { "exceeds_own_access" },
        );
    }
    assert_problem(&world.call("PATCH", &path, &colleague, &json!({ "name": "n" })), 403, "read_only");
    for (method, below, body) in [
        ("DELETE", "", Value::Null),
        ("POST", "/rows", json!({ "rows": [{ "a": 2 }] })),
        ("PATCH", "/rows/1", json!({ "a": 2 })),
        ("DELETE", "/rows/1", Value::Null),
        ("POST", "/columns", json!({ "name": "b" })),
    ] {
        let before = world.database.dump();
        assert_problem(&world.call(method, &format!("{path}{below}"), &colleague, &body), 403, "read_only");
        assert_problem(&world.call(method, &format!("{path}{below}"), &stranger, &body), 404, "not_found");
        assert_eq!(world.database.dump(), before);
    }

    share(&colleague_id, "write");
    assert_eq!((access(&colleague), change(&colleague)), ("write".to_owned(), 200));
    assert_eq!(world.call("DELETE", &format!("{path}/shares/{colleague_id}"), &owner, &Value::Null).status, 200);
    assert_eq!((access(&colleague), change(&colleague)), ("none".to_owned(), 404), "at once");
    assert_eq!(world.call("DELETE", &format!("{organization}/teams/{team}"), &owner, &Value::Null).status, 200);
    assert_eq!((access(&mate), list(&mate)), ("none".to_owned(), vec![]));
    assert_eq!(world.database.count("shares"), 0, "what is shared with nobody is not there");
    for nobody in [&team, &world.stranger(&owner).1, "x"] {
        let answer = world.call("PUT", &format!("{path}/shares/{nobody}"), &owner, &json!({ "access": "read" }));
        assert_problem(&answer, 404, "not_found");
    }
}

#[test]
fn a_person_who_leaves_loses_what_was_shared_with_him() {
    let (world, owner) = world();
    let id = made(&world, &owner, &json!([]));
    let (user_id, _, key) = world.colleague(&owner, "member");
    world.call("PUT", &format!("/api/datasets/{id}/shares/{user_id}"), &owner, &json!({ "access": "read" }));
    assert_eq!(world.get(&format!("/api/datasets/{id}"), &key).status, 200);
    world.call("DELETE", &format!("/v1/organizations/self/members/{user_id}?force=true"), &owner, &Value::Null);
    assert_eq!(world.database.count("shares"), 0);
    world.advance_ms(STALENESS_MS + 1);
    assert_problem(&world.get(&format!("/api/datasets/{id}"), &key), 401, "user_removed");
}

#[test]
fn lists_page_through_what_is_own_and_shared_without_a_gap() {
    let (world, owner) = world();
    let (user_id, _, key) = world.colleague(&owner, "member");
    let mut all = Vec::new();
    for index in 0..23 {
        world.advance_ms(1);
        let by = if index % 3 == 0 { &owner } else { &key };
        let id = made(&world, by, &json!([]));
        if index % 3 == 0 {
            world.call("PUT", &format!("/api/datasets/{id}/shares/{user_id}"), &owner, &json!({ "access": "read" }));
        }
        all.insert(0, id);
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/api/datasets?limit=4{after}"), &key).json;
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["public_id"].as_str().unwrap().to_owned()),
        );
        if page["has_more"] == false {
            break;
        }
        after = format!("&starting_after={}", seen.last().unwrap());
    }
    assert_eq!(seen, all);
}

#[test]
fn bad_input_is_refused_by_name_and_changes_nothing() {
    let (world, owner) = world();
    let id = made(&world, &owner, &json!([{ "a": 1 }]));
    let path = format!("/api/datasets/{id}");
    let deep: Value = serde_json::from_str(&format!("{}{}", "[".repeat(40), "]".repeat(40))).unwrap();
    for (method, below, body, field) in [
        ("PATCH", "", json!({}), ""),
        ("PATCH", "", json!({ "name": "a\u{7}" }), "name"),
        ("PATCH", "", json!({ "judgments": [{ "name": "j", "column": "nowhere" }] }), "judgments[0]"),
        ("POST", "/columns", json!({ "name": "a" }), "name"),
        ("POST", "/columns", json!({ "name": "b", "role": "king" }), "role"),
        ("POST", "/rows", json!({ "rows": [] }), "rows"),
        ("POST", "/rows", json!({ "rows": [{ "a": 1 }, { "b": 1 }] }), "rows[1]"),
        ("POST", "/rows", json!({ "rows": [{ "a": deep }] }), "rows[0]"),
        ("POST", "/rows/remove", json!({ "row_ids": [] }), "row_ids"),
        ("PATCH", "/rows/1", json!({ "b": 1 }), ""),
        ("PATCH", "/rows/1", json!({}), ""),
        ("GET", "/rows?page=0", Value::Null, "page"),
        ("GET", "/rows?page=1&starting_after=1", Value::Null, "page"),
        ("GET", "/rows?page_size=1001", Value::Null, "page_size"),
        ("GET", "/export?format=xml", Value::Null, "format"),
        ("PUT", "/shares/x", json!({ "access": "all" }), "access"),
    ] {
        let before = world.database.dump();
        let answer = world.call(method, &format!("{path}{below}"), &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field, "{method} {below} {body}: {}", answer.json);
        assert_eq!(world.database.dump(), before);
    }
}

#[test]
fn row_of_every_width_is_changed() {
    let (world, owner) = world();
    for width in [1, 15, 16, 31, 200] {
        let row = |value: &Value| (0..width).map(|n| (format!("c{n}"), value.clone())).collect::<Value>();
        let id = made(&world, &owner, &json!([row(&json!("before")), row(&json!("other"))]));
        for value in [json!("after"), json!(null), json!({ "a": [1, null] }), json!(12_345_678_901_234_567_890_u64)] {
            let path = format!("/api/datasets/{id}/rows/1");
            let changed = world.call("PATCH", &path, &owner, &row(&value));
            assert_eq!((changed.status, &changed.json), (200, &row(&value)), "{width} columns");
            assert_eq!(rows(&world, &owner, &id, "")["rows"], json!([row(&value), row(&json!("other"))]));
        }
    }
}

#[test]
fn rows_that_grow_beyond_their_chunk_are_changed_and_all_stay_where_they_are() {
    let (world, owner) = world();
    let id = made(&world, &owner, &(1..=45).map(|n| json!({ "a": n })).collect());
    let row = |method: &str, row: i64, body: &Value| {
        world.call(method, &format!("/api/datasets/{id}/rows/{row}"), &owner, body)
    };
    assert_eq!(row("DELETE", 20, &Value::Null).status, 200);
    // Bytes count, and not characters.
    let text = json!({ "a": "\u{1F600}".repeat(15_000) });
    for number in (1..=45).rev().filter(|number| *number != 20) {
        let changed = row("PATCH", number, &text);
        assert_eq!(changed.status, 200, "row {number}: {}", changed.json);
    }
    assert_problem(&row("PATCH", 20, &text), 404, "not_found");
    assert_eq!(row("DELETE", 21, &Value::Null).status, 200);
    let answer = world.post(&format!("/api/datasets/{id}/rows"), &owner, &json!({ "rows": [{ "a": 46 }] }));
    assert_eq!(answer.json, json!({ "row_ids": [46] }));
    let ids: Vec<i64> = (1..=46).filter(|number| ![20, 21].contains(number)).collect();
    let found = rows(&world, &owner, &id, "");
    assert_eq!((&found["row_ids"], &found["total"]), (&json!(ids), &json!(44)));
    assert_eq!(found["rows"].as_array().unwrap().iter().filter(|row| **row == text).count(), 43);
    assert_eq!(rows(&world, &owner, &id, "page=2&page_size=30")["row_ids"], json!(ids[30..]));
}

#[test]
fn what_a_database_row_cannot_hold_is_refused_by_name() {
    let (world, owner) = world();
    let id = made(&world, &owner, &json!([{ "a": 1 }]));
    let (long, longer) = ("x".repeat(70_000), "x".repeat(3_000_000));
    for (path, body, field) in [
        ("", json!({ "name": "n", "rows": [{ "a": 1 }, { "a": long }] }), "rows[1]"),
        ("", json!({ "name": "n", "rows": [{ "a": longer }] }), "rows[0]"),
        ("", json!({ "name": "n", "description": longer }), "description"),
        (&*format!("/{id}/rows"), json!({ "rows": [{ "a": longer }] }), "rows[0]"),
    ] {
        let answer = world.post(&format!("/api/datasets{path}"), &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field);
    }
    for (below, body) in [
        ("", json!({ "description": longer })),
        ("", json!({ "judgments": [{ "name": "j", "column": "a", "question": longer }] })),
        ("/rows/1", json!({ "a": long })),
    ] {
        let mut request = request("PATCH", &format!("/api/datasets/{id}{below}"), &owner, &Value::Null);
        request.body = in_pieces(&body.to_string());
        assert_problem(&world.send(&request), 413, "body_too_large");
    }
}

#[test]
fn sweep_takes_the_rows_of_what_was_deleted_and_nothing_else() {
    let (world, owner) = world();
    let gone = upload(&world, &owner, "csv", csv(60_000)).text("public_id");
    let kept = made(&world, &owner, &json!([{ "a": 1 }]));
    world.call("DELETE", &format!("/api/datasets/{gone}"), &owner, &Value::Null);
    block_on(world.app.sweep(chores())).unwrap();
    block_on(world.app.sweep(chores())).unwrap();
    assert_eq!((world.database.count("datasets"), world.database.count("dataset_chunks")), (1, 1));
    assert_eq!(rows(&world, &owner, &kept, "")["row_ids"], json!([1]));
}

#[test]
fn export_has_no_formula_and_an_upload_of_it_has_what_was_there() {
    let (world, owner) = world();
    let texts = ["=HYPERLINK(\"https://evil.example\")", "@SUM(1)", "-1+1", "'=1", "-5", "- a", "\t=1", "plain"];
    let lines: String = texts.iter().map(|text| json!({ "=column": text }).to_string() + "\n").collect();
    let id = upload(&world, &owner, "jsonl", &*lines).text("public_id");
    let export = |id: &str, format: &str| world.get(&format!("/api/datasets/{id}/export?format={format}"), &owner).json;
    let csv = export(&id, "csv");
    let expected = "'=column\r\n\"'=HYPERLINK(\"\"https://evil.example\"\")\"\r\n'@SUM(1)\r\n'-1+1\r\n''=1\r\n-5\r\n'- a\r\n'\t=1\r\nplain\r\n";
    assert_eq!(csv, expected);
    let again = upload(&world, &owner, "csv", csv.as_str().unwrap()).text("public_id");
    // JSON Lines are as they are, in both.
    assert_eq!((export(&id, "jsonl"), export(&again, "csv")), (export(&again, "jsonl"), csv));
}

#[test]
fn export_breaks_off_when_its_key_ends() {
    let (mut world, owner) = world();
    let id = upload(&world, &owner, "csv", csv(5_000)).text("public_id");
    let (key_id, key) = world.create(&owner, "export", &["datasets:read"]);
    world.get("/v1/scopes", &key);
    world.meddle(1, &format!("UPDATE keys SET revoked_at = 1 WHERE id = '{key_id}'"));
    let request = request("GET", &format!("/api/datasets/{id}/export?format=csv"), &key, &Value::Null);
    let Content::Stream(pieces) = block_on(entry::handle(&world.app, &request)).body else { panic!("no stream") };
    let pieces: Vec<Result<Vec<u8>, String>> = block_on(pieces.collect());
    assert_eq!(pieces.len(), 3, "the header, the first piece, and the end");
    assert_eq!(pieces[2], Err("KeyChanged".to_owned()));
}

#[test]
fn export_of_long_rows_comes_in_pieces_that_fit_into_memory() {
    let (world, owner) = world();
    let text = "x".repeat(60_000);
    let id = upload(&world, &owner, "csv", format!("a\n{}", format!("{text}\n").repeat(200))).text("public_id");
    let request = request("GET", &format!("/api/datasets/{id}/export?format=csv"), &owner, &Value::Null);
    let Content::Stream(pieces) = block_on(entry::handle(&world.app, &request)).body else { panic!("no stream") };
    let pieces: Vec<Vec<u8>> = block_on(pieces.map(Result::unwrap).collect());
    assert!(pieces.iter().all(|piece| piece.len() < 6_000_000), "{}", pieces.len());
    assert_eq!(pieces.concat(), format!("a\r\n{}", format!("{text}\r\n").repeat(200)).into_bytes());
}

#[test]
fn list_costs_the_same_however_much_is_shared_with_a_team() {
    let (world, owner) = world();
    let (user_id, _, key) = world.colleague(&owner, "member");
    let teams = "/v1/organizations/self/teams";
    let team = world.post(teams, &owner, &json!({ "name": "t" })).text("id");
    assert!(world.call("PUT", &format!("{teams}/{team}/members/{user_id}"), &owner, &Value::Null).status < 300);
    let id = made(&world, &owner, &json!([]));
    let shared = |count: i64| {
        let columns = "organization_id, user_id, name, columns, created_at, updated_at";
        world.database.execute(&format!(
            "INSERT INTO datasets (id, {columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             SELECT substr(id, 1, 31) || printf('%04x', i), {columns} FROM n, datasets WHERE id = '{id}' ON CONFLICT DO NOTHING;
             INSERT OR IGNORE INTO shares SELECT id, '{team}', organization_id, 'team', 'read', 0 FROM datasets WHERE id <> '{id}'"
        ));
        world
            .steps(|| assert_eq!(world.get("/api/datasets?limit=10", &key).json["items"].as_array().unwrap().len(), 10))
    };
    shared(100);
    let (few, many) = (shared(200), shared(5_000));
    assert!(many <= few + 100, "{many} steps, and {few} among few");
}

#[test]
fn what_was_deleted_takes_nobodys_place_in_a_list() {
    let (world, owner) = world();
    let (user_id, _, key) = world.colleague(&owner, "member");
    let kept = made(&world, &key, &json!([]));
    // One for each place of the page, and for the one that tells whether there are more.
    for _ in 0..2 {
        world.advance_ms(1);
        let gone = made(&world, &owner, &json!([]));
        world.call("PUT", &format!("/api/datasets/{gone}/shares/{user_id}"), &owner, &json!({ "access": "read" }));
        world.call("DELETE", &format!("/api/datasets/{gone}"), &owner, &Value::Null);
    }
    let page = world.get("/api/datasets?limit=1", &key).json;
    assert_eq!((&page["items"][0]["public_id"], &page["has_more"]), (&json!(kept), &json!(false)));
}

#[test]
fn upload_during_which_its_key_changes_is_to_be_sent_again() {
    struct Once(Cell<bool>);
    impl ByteSource for Once {
        fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
            let first = !self.0.replace(true);
            let piece = if first { Ok(b"a\n1\n".to_vec()) } else { Err("read before".to_owned()) };
            stream::iter([piece]).boxed_local()
        }
    }
    let (mut world, owner) = world();
    let (id, key) = world.create(&owner, "up", &["datasets:write"]);
    world.get("/v1/scopes", &key);
    world.meddle(0, &format!("UPDATE keys SET name = 'renamed' WHERE id = '{id}'"));
    let mut request = request("POST", "/api/datasets/upload?name=up&format=csv", &key, &Value::Null);
    request.body = Body::Unread(Rc::new(Once(Cell::new(false))));
    assert_problem(&world.send(&request), 503, "unavailable");
    assert_eq!(world.get("/api/datasets", &owner).json["items"], json!([]));
}

#[test]
fn upload_that_takes_longer_than_a_day_is_refused() {
    struct Slow(Rc<ManualClock>);
    impl ByteSource for Slow {
        fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
            let piece = async {
                self.0.0.set(self.0.0.get().plus_ms(DAY_MS));
                Ok(b"a\n1\n".to_vec())
            };
            stream::once(piece).boxed_local()
        }
    }
    let (world, owner) = world();
    let mut request = request("POST", "/api/datasets/upload?name=up&format=csv", &owner, &Value::Null);
    request.body = Body::Unread(Rc::new(Slow(world.clock.clone())));
    assert_problem(&world.send(&request), 400, "validation_failed");
    assert_eq!(world.get("/api/datasets", &owner).json["items"], json!([]));
}
