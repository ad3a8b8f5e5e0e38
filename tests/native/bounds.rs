//! The bytes of an answer: each list is asked with the longest items that it can have.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Answer, World, problem::assert_problem, sqlite::texts};

/// The most that a page of any list may take, in bytes.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;
/// The most that a page of a data set's rows may take.
const MAX_ROWS_BYTES: usize = 5 * 1024 * 1024;

#[track_caller]
fn made(answer: Answer) -> Answer {
    assert!(answer.status < 300, "{}", answer.json);
    answer
}

/// The longest name: 255 characters of four bytes.
fn longest_name() -> String {
    "🔑".repeat(255)
}

/// Copies a row this many times. Each copy has an id of its own, and these other columns as SQL.
fn copy_row(world: &World, table: &str, id: &str, copies: usize, changed: &[(&str, &str)]) {
    let start = &id[..id.len() - 12];
    let columns = texts(&world.database.connection.borrow(), &format!("SELECT name FROM pragma_table_info('{table}')"));
    let value = |column: &String| match changed.iter().find(|(name, _)| name == column) {
        Some((_, sql)) => (*sql).to_owned(),
        None if column == "id" => format!("printf('{start}%012x', i)"),
        None => column.clone(),
    };
    let values = columns.iter().map(value).collect::<Vec<_>>().join(", ");
    world.database.execute(&format!(
        "INSERT INTO {table} ({}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {copies})
         SELECT {values} FROM n, {table} WHERE {table}.id = '{id}'",
        columns.join(", ")
    ));
}

/// Reads a list page by page, and expects that no page is too long and that they have all items, each once. Gives the
/// number of pages.
#[track_caller]
fn read_whole(world: &World, by: &str, path: &str, [items, id]: [&str; 2], expected: usize) -> usize {
    let (mut seen, mut pages, mut after) = (BTreeSet::new(), 0, String::new());
    loop {
        let (answer, (batches, ..)) = world.counted(|| world.get(&format!("{path}{after}"), by));
        assert_eq!((answer.status, batches), (200, 1), "{path}: {}", answer.json);
        let bytes = answer.json.to_string().len();
        assert!(bytes <= MAX_ANSWER_BYTES, "{path}: {bytes} bytes");
        let page = answer.json[items].as_array().unwrap();
        let new = page.iter().filter(|item| seen.insert(item[id].to_string())).count();
        assert_eq!(new, page.len(), "{path}: an item appears twice");
        pages += 1;
        if answer.json["has_more"] == false {
            break;
        }
        let last = page.last().unwrap_or_else(|| panic!("{path}: a page is empty, and there are more"));
        let cursor = answer.json["next_cursor"].as_str().unwrap();
        assert_eq!(cursor, last[id].to_string().trim_matches('"'), "{path}");
        after = format!("&starting_after={cursor}");
    }
    assert_eq!(seen.len(), expected, "{path}");
    pages
}

/// A world with an owner and the longest possible key; the key's id.
fn with_longest_key() -> (World, String, String) {
    let world = World::new();
    let owner = world.bootstrap();
    let catalogue = world.get("/v1/scopes", &owner).json;
    let scopes: Vec<&Value> = catalogue["scopes"].as_array().unwrap().iter().map(|scope| &scope["scope"]).collect();
    let ones = vec![1; 2_000];
    let body =
        json!({ "name": longest_name(), "scopes": scopes, "metadata": { "ones": ones, "text": "x".repeat(70) } });
    let (id, _) = world.create_from(&owner, &body);
    (world, owner, id)
}

#[test]
fn lists_of_the_longest_keys_end_their_pages_in_time() {
    let (world, owner, id) = with_longest_key();
    world.copy_key(&id, 1_000, "00000001", None);
    let pages = read_whole(&world, &owner, "/v1/keys?limit=1000", ["items", "id"], 1_002);
    assert!(pages > 5, "{pages}");
    // Backwards, the pages meet those before.
    let newest = world.get("/v1/keys?limit=3", &owner).json["items"][2]["id"].as_str().unwrap().to_owned();
    let before = world.get("/v1/keys?limit=1000&ending_before=00000001-0000-7000-8000-000000000001", &owner).json;
    assert_eq!(before["has_more"], true);
    assert!(before.to_string().len() <= MAX_ANSWER_BYTES);
    let page = before["items"].as_array().unwrap();
    assert_eq!(page.last().unwrap()["id"], "00000001-0000-7000-8000-000000000002");
    assert!(newest.as_str() > page[0]["id"].as_str().unwrap());
    // Braintrust's libraries go on until a page is empty.
    let (mut listed, mut after) = (0, String::new());
    loop {
        let answer = world.get(&format!("/v1/api_key?limit=1000{after}"), &owner).json;
        assert!(answer.to_string().len() <= MAX_ANSWER_BYTES);
        let Some(last) = answer["objects"].as_array().unwrap().last() else { break };
        listed += answer["objects"].as_array().unwrap().len();
        after = format!("&starting_after={}", last["id"].as_str().unwrap());
    }
    assert_eq!(listed, 1_002);
}

#[test]
fn lists_without_pages_have_a_thousand_of_the_longest_keys() {
    let (world, owner, id) = with_longest_key();
    world.copy_key(&id, 1_200, "00000001", None);
    world.database.execute("UPDATE keys SET kind = 'org', user_id = NULL WHERE id >= '00000001' AND id < '00000002'");
    for (path, pointer) in [("/v1/apikeys", ""), ("/v1/organization/api-keys", "/data/apiKeys")] {
        let answer = made(world.get(path, &owner));
        assert_eq!(answer.json.pointer(pointer).unwrap().as_array().unwrap().len(), 1_000, "{path}");
        assert!(answer.json.to_string().len() <= 2 * MAX_ANSWER_BYTES, "{path}");
    }
}

#[test]
fn page_of_short_keys_is_as_long_as_was_asked() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, _) = world.create(&owner, "an ordinary key", &["datasets:read", "evaluations:read", "api-keys:verify"]);
    world.copy_key(&id, 1_200, "00000001", None);
    let page = world.get("/v1/keys?limit=1000", &owner).json;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["has_more"]), (1_000, &json!(true)));
    for (limit, has_more) in [(0, true), (1, true), (1_000, true)] {
        let page = world.get(&format!("/v1/keys?limit={limit}"), &owner).json;
        assert_eq!((page["items"].as_array().unwrap().len(), &page["has_more"]), (limit, &json!(has_more)));
    }
}

#[test]
fn key_with_scopes_repeated_has_each_once() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, _) = world.create(&owner, "repeated", &["audit:*"].repeat(6_000));
    assert_eq!(world.get(&format!("/v1/keys/{id}"), &owner).json["scopes"], json!(["audit:*"]));
    let changed = world.change(&owner, &id, &json!({ "scopes": ["projects:read", "audit:read", "projects:read"] }));
    assert_eq!(changed["scopes"], json!(["projects:read", "audit:read"]));
}

#[test]
fn audit_log_of_the_longest_events_ends_its_pages_in_time() {
    let (world, owner, id) = with_longest_key();
    world.database.execute(&format!(
        "INSERT INTO audit_events (organization_id, subject, action, actor_kind, details, at, keep_until)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         SELECT organization_id, id, 'key.updated', 'system', json_object('metadata', json(metadata), 'name', name), i,
         at FROM n, keys, (SELECT 2000000000000 AS at) WHERE id = '{id}'"
    ));
    let all = usize::try_from(world.database.count("audit_events")).unwrap();
    assert!(read_whole(&world, &owner, "/v1/audit-events?limit=1000", ["items", "id"], all) > 3);
    let of_key = format!("/v1/keys/{id}/events?limit=1000");
    assert!(read_whole(&world, &owner, &of_key, ["items", "id"], 1_001) > 3);
}

#[test]
fn lists_of_the_organization_end_their_pages_in_time() {
    let world = World::new();
    let owner = world.bootstrap();
    let at = format!("/v1/organizations/{}", world.get("/v1/keys/self", &owner).text("organization_id"));
    let description = "é".repeat(2_000);
    let project = made(world.post(
        &format!("{at}/projects"),
        &owner,
        &json!({ "name": longest_name(), "description": description }),
    ));
    let project = project.json["project"]["id"].as_str().unwrap_or_else(|| panic!("{}", project.json)).to_owned();
    copy_row(&world, "projects", &project, 1_000, &[]);
    world.database.execute("UPDATE organizations SET max_projects = 1001; UPDATE usage SET projects = projects + 1000");
    assert!(read_whole(&world, &owner, &format!("{at}/projects?limit=1000"), ["items", "id"], 1_001) > 3);
    let whole = made(world.get("/v1/projects", &owner)).json;
    assert_eq!(whole["data"]["projects"].as_array().unwrap_or_else(|| panic!("{whole}")).len(), 1_000);
    let long = json!({ "name": "p", "description": "é".repeat(2_001) });
    assert_problem(&world.post(&format!("{at}/projects"), &owner, &long), 400, "validation_failed");
    let team = made(world.post(&format!("{at}/teams"), &owner, &json!({ "name": "🔑".repeat(250) }))).text("id");
    copy_row(&world, "teams", &team, 1_000, &[("name", "name || i")]);
    assert!(read_whole(&world, &owner, &format!("{at}/teams?limit=1000"), ["items", "id"], 1_001) > 1);
    let organization = world.organization(&longest_name());
    let id = ("id", "printf('01900001-0000-7000-8000-%012x', i)");
    copy_row(&world, "organizations", &organization, 1_000, &[id]);
    world.database.execute("INSERT OR IGNORE INTO usage (organization_id) SELECT id FROM organizations");
    assert!(read_whole(&world, &owner, "/v1/organizations?limit=1000", ["items", "id"], 1_002) > 1);
}

#[cfg(feature = "evaluations")]
mod evaluations {
    use super::{
        BTreeSet, MAX_ANSWER_BYTES, MAX_ROWS_BYTES, Value, World, assert_problem, copy_row, json, longest_name, made,
        read_whole,
    };

    #[test]
    fn lists_of_evaluations_end_their_pages_in_time() {
        let world = World::new();
        let owner = world.bootstrap();
        let texts: Vec<String> = (0..5).map(|number| format!("{number}{}", "x".repeat(9_000))).collect();
        let judge = json!({ "type": "contains", "column": "user_query", "expected": texts });
        let columns = json!([{ "name": "user_query", "type": "string", "required": true }]);
        let body = json!({ "name": longest_name(), "columns": columns, "judge": judge });
        let evaluation = made(world.post("/api/evaluations", &owner, &body)).text("public_id");
        let (live, _) = world.deploy(&owner, &evaluation);
        let run = made(world.judge(&owner, &live, &"y".repeat(40_000))).text("public_id");
        let reason = "🔑".repeat(2_000);
        let item =
            made(world.post("/api/review", &owner, &json!({ "run_id": run, "reason": reason }))).text("public_id");
        let columns: Vec<Value> =
            (0..200).map(|column| json!({ "name": format!("{column}{}", "c".repeat(200)) })).collect();
        let body = json!({ "name": "d", "description": "d".repeat(20_000), "columns": columns });
        let dataset = made(world.post("/api/datasets", &owner, &body)).text("public_id");
        copy_row(&world, "evaluations", &evaluation, 200, &[("base_id", "id")]);
        copy_row(&world, "live_evaluations", &live, 200, &[]);
        copy_row(&world, "runs", &run, 200, &[]);
        let copied_run = format!("printf('{}%012x', i)", &run[..run.len() - 12]);
        copy_row(&world, "review_items", &item, 200, &[("run_id", &copied_run)]);
        copy_row(&world, "datasets", &dataset, 200, &[]);
        let ids = ["items", "public_id"];
        let variants = format!("/api/evaluations/{evaluation}/variants?limit=100");
        assert!(read_whole(&world, &owner, &variants, ids, 200) > 3);
        assert!(read_whole(&world, &owner, "/api/live-evaluations?limit=1000", ids, 201) > 3);
        assert!(read_whole(&world, &owner, "/api/results?limit=1000", ids, 201) > 3);
        assert!(read_whole(&world, &owner, "/api/review?limit=1000", ids, 201) > 1);
        assert!(read_whole(&world, &owner, "/api/datasets?limit=1000", ids, 201) > 3);
        // A page by its number cannot end early without hiding what comes behind.
        assert_problem(&world.get("/api/evaluations?page_size=100&page=1", &owner), 400, "validation_failed");
        assert_eq!(world.get("/api/evaluations?page_size=10&page=20", &owner).json["has_more"], true);
    }

    #[test]
    fn pages_of_the_longest_rows_end_in_time() {
        let world = World::new();
        let owner = world.bootstrap();
        let body = json!({ "name": "d", "columns": [{ "name": "text" }] });
        let dataset = made(world.post("/api/datasets", &owner, &body)).text("public_id");
        let path = format!("/api/datasets/{dataset}/rows");
        let row = json!({ "text": "x".repeat(65_000) });
        for _ in 0..10 {
            made(world.post(&path, &owner, &json!({ "rows": vec![&row; 20] })));
        }
        assert_problem(&world.get(&format!("{path}?page_size=1000"), &owner), 400, "validation_failed");
        let page = made(world.get(&format!("{path}?page_size=50&page=4"), &owner)).json;
        assert_eq!((page["rows"].as_array().unwrap().len(), &page["has_more"]), (50, &json!(false)));
        let (mut seen, mut pages, mut after) = (BTreeSet::new(), 0, 0);
        loop {
            let page = made(world.get(&format!("{path}?page_size=1000&starting_after={after}"), &owner)).json;
            let bytes = page.to_string().len();
            assert!(bytes <= MAX_ROWS_BYTES, "{bytes} bytes");
            let ids: Vec<i64> = page["row_ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
            assert!(ids.iter().all(|id| seen.insert(*id)));
            pages += 1;
            if page["has_more"] == false {
                break;
            }
            after = *ids.last().unwrap();
        }
        assert_eq!((seen.len(), pages), (200, 4));
        // The details show the first rows, and the export has them all.
        let details = made(world.get(&format!("/api/datasets/{dataset}"), &owner)).json;
        assert_eq!(details["preview"].as_array().unwrap().len(), 10);
        assert!(details.to_string().len() <= MAX_ANSWER_BYTES);
        let export = made(world.get(&format!("/api/datasets/{dataset}/export?format=jsonl"), &owner));
        assert_eq!(export.json.as_array().unwrap().len(), 200);
    }

    #[test]
    fn export_goes_on_behind_removed_rows() {
        let world = World::new();
        let owner = world.bootstrap();
        let body = json!({ "name": "d", "columns": [{ "name": "text" }] });
        let dataset = made(world.post("/api/datasets", &owner, &body)).text("public_id");
        let path = format!("/api/datasets/{dataset}/rows");
        for _ in 0..3 {
            made(world.post(&path, &owner, &json!({ "rows": vec![json!({ "text": "x" }); 1_000] })));
        }
        for first in [1, 1_001] {
            let gone: Vec<i64> = (first..first + 1_000).collect();
            made(world.post(&format!("{path}/remove"), &owner, &json!({ "row_ids": gone })));
        }
        made(world.post(
            &format!("{path}/remove"),
            &owner,
            &json!({ "row_ids": (2_001..2_200).collect::<Vec<i64>>() }),
        ));
        let export = made(world.get(&format!("/api/datasets/{dataset}/export?format=jsonl"), &owner));
        assert_eq!(export.json.as_array().unwrap().len(), 801);
    }
}
