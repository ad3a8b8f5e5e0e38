//! Evaluations and their variants: made, read, changed, listed, shared, ended; and who may do what with whose.

use serde_json::{Value, json};

use crate::support::{World, problem::assert_problem, routes::new_evaluation};

fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

/// Makes an evaluation; gives its id.
fn made(world: &World, by: &str) -> String {
    let answer = world.post("/api/evaluations", by, &new_evaluation());
    assert_eq!(answer.status, 201, "{}", answer.json);
    world.advance_ms(1);
    answer.text("public_id")
}

/// Makes a variant; gives its id.
fn variant(world: &World, by: &str, of: &str) -> String {
    let answer = world.post(&format!("/api/evaluations/{of}/variants"), by, &json!({ "name": "variant" }));
    assert_eq!(answer.status, 201, "{}", answer.json);
    world.advance_ms(1);
    answer.text("public_id")
}

/// The ids of the evaluations that a list shows.
fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
    items.iter().map(|item| item["public_id"].as_str().unwrap().to_owned()).collect()
}

fn list(world: &World, by: &str, query: &str) -> Vec<String> {
    ids(&world.get(&format!("/api/evaluations?page_size=100&{query}"), by).json)
}

#[test]
fn whole_life_of_an_evaluation() {
    let (world, owner) = world();
    let new = new_evaluation();
    world.get("/v1/scopes", &owner);
    let (answer, io) = world.counted(|| world.post("/api/evaluations", &owner, &new));
    assert_eq!((answer.status, io.0), (201, 1), "{}", answer.json);
    let id = answer.text("public_id");
    assert!(id.starts_with("eval_") && id.len() == 37, "{id}");
    for field in ["name", "description", "columns", "judge"] {
        assert_eq!(answer.json[field], new[field]);
    }
    assert_eq!(
        ["draft", "base_id", "dataset_id", "access"].map(|field| answer.json[field].clone()),
        [json!(false), Value::Null, Value::Null, json!("own")]
    );
    let path = format!("/api/evaluations/{id}");
    assert_eq!(world.get(&path, &owner).json, answer.json);

    let judge = json!({ "type": "exact_match", "column": "reply", "expected": 42 });
    let change = json!({
        "name": "Replies", "description": null, "columns": [{ "name": "reply" }], "judge": judge, "draft": false,
    });
    let changed = world.call("PATCH", &path, &owner, &change);
    assert_eq!(changed.status, 200, "{}", changed.json);
    assert_eq!(changed.json["columns"], json!([{ "name": "reply", "type": "any", "required": true }]));
    assert_eq!(
        (&changed.json["name"], &changed.json["description"], &changed.json["judge"]),
        (&json!("Replies"), &Value::Null, &judge)
    );
    assert_eq!(world.get(&path, &owner).json, changed.json);

    assert_eq!(world.call("DELETE", &path, &owner, &Value::Null).status, 200);
    for (method, below, body) in [
        ("GET", "", Value::Null),
        ("PATCH", "", json!({ "name": "n" })),
        ("DELETE", "", Value::Null),
        ("GET", "/variants", Value::Null),
        ("POST", "/variants", json!({ "name": "n" })),
        ("GET", "/shares", Value::Null),
    ] {
        assert_problem(&world.call(method, &format!("{path}{below}"), &owner, &body), 404, "not_found");
    }
    assert_eq!(list(&world, &owner, ""), Vec::<String>::new());
}

#[test]
fn bad_input_is_refused_by_name_and_changes_nothing() {
    let (world, owner) = world();
    let id = made(&world, &owner);
    let with = |field: &str, value: Value| {
        let mut body = new_evaluation();
        body[field] = value;
        body
    };
    let nowhere = json!({ "type": "exact_match", "column": "nowhere", "expected": 1 });
    for (method, below, body, field) in [
        ("POST", "", with("name", json!("")), "name"),
        ("POST", "", with("columns", json!([])), "columns"),
        ("POST", "", with("columns", json!([{ "name": "answer" }, { "name": "answer" }])), "columns[1].name"),
        ("POST", "", with("columns", json!([{ "name": "answer", "type": "date" }])), "columns[0].type"),
        ("POST", "", with("judge", nowhere.clone()), "judge.column"),
        ("POST", "", with("judge", json!({ "type": "oracle" })), "judge.type"),
        ("POST", "", with("draft", json!(true)), "draft"),
        ("POST", "/variants", json!({}), "name"),
        ("POST", "/variants", json!({ "name": "v", "columns": [{ "name": "b" }] }), "judge.column"),
        ("POST", "/variants", json!({ "name": "v", "judge": nowhere }), "judge.column"),
        ("PATCH", "", json!({}), ""),
        ("PATCH", "", json!({ "draft": true }), "draft"),
        ("PATCH", "", json!({ "columns": null }), "columns"),
        ("PATCH", "", json!({ "columns": [{ "name": "b" }] }), "judge.column"),
        ("PUT", "/shares/x", json!({ "access": "all" }), "access"),
    ] {
        let path = if (method, below) == ("POST", "") { String::new() } else { format!("/{id}{below}") };
        let before = world.database.dump();
        let answer = world.call(method, &format!("/api/evaluations{path}"), &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field, "{method} {below} {body}: {}", answer.json);
        assert_eq!(world.database.dump(), before);
    }
    for (query, field) in [
        ("page=0", "page"),
        ("page_size=101", "page_size"),
        ("base_only=yes", "base_only"),
        ("page=2&starting_after=eval_00000000000000000000000000000000", "page"),
        ("starting_after=ds_00000000000000000000000000000000", "starting_after"),
    ] {
        let answer = world.get(&format!("/api/evaluations?{query}"), &owner);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field, "{query}: {}", answer.json);
    }
}

#[test]
fn change_that_somebody_else_overtakes_is_a_conflict() {
    let (mut world, owner) = world();
    let id = made(&world, &owner);
    world.meddle(2, &format!("UPDATE evaluations SET name = 'his', updated_at = updated_at + 1 WHERE id = '{id}'"));
    let path = format!("/api/evaluations/{id}");
    world.get(&path, &owner);
    let answer = world.call("PATCH", &path, &owner, &json!({ "name": "mine" }));
    assert_problem(&answer, 409, "conflict");
    assert_eq!(world.get(&path, &owner).text("name"), "his");
}

#[test]
fn variant_is_a_copy_that_belongs_to_the_base() {
    let (world, owner) = world();
    let id = made(&world, &owner);
    let path = format!("/api/evaluations/{id}/variants");
    let first = world.post(&path, &owner, &json!({ "name": "first" })).json;
    world.advance_ms(1);
    assert_eq!(
        (&first["base_id"], &first["columns"], &first["description"]),
        (&json!(id), &new_evaluation()["columns"], &json!("d"))
    );
    let judge = json!({ "type": "exact_match", "column": "answer", "expected": "43" });
    let body = json!({ "name": "second", "description": null, "judge": judge });
    let of_first = format!("/api/evaluations/{}/variants", first["public_id"].as_str().unwrap());
    let second = world.post(&of_first, &owner, &body).json;
    assert_eq!(
        (&second["base_id"], &second["judge"], &second["description"]),
        (&json!(id), &judge, &Value::Null),
        "a variant of a variant is one of the base"
    );
    assert_eq!(world.get(&path, &owner).json["items"], json!([second, first]));
    let page = world.get(&format!("{path}?limit=1"), &owner).json;
    assert_eq!((ids(&page).len(), &page["has_more"], &page["page"]), (1, &json!(true), &Value::Null));
    let after = format!("{path}?starting_after={}", second["public_id"].as_str().unwrap());
    assert_eq!(world.get(&after, &owner).json["items"], json!([first]));
    assert_eq!(ids(&world.get(&of_first, &owner).json), Vec::<String>::new());

    let all = ["base_only=false", "base_only=False"].map(|query| list(&world, &owner, query).len());
    let bases = ["base_only=true", "base_only=True"].map(|query| list(&world, &owner, query));
    assert_eq!((all, bases), ([3, 3], [vec![id.clone()], vec![id.clone()]]));

    assert_eq!(world.call("DELETE", &format!("/api/evaluations/{id}"), &owner, &Value::Null).status, 200);
    assert_eq!(world.database.count("evaluations"), 0, "the variants go with it");
}

#[test]
fn an_evaluation_has_at_most_a_hundred_variants() {
    let (world, owner) = world();
    let id = made(&world, &owner);
    for _ in 0..100 {
        variant(&world, &owner, &id);
    }
    let answer = world.post(&format!("/api/evaluations/{id}/variants"), &owner, &json!({ "name": "one more" }));
    assert_problem(&answer, 409, "variant_limit");
    assert_eq!(world.database.count("evaluations"), 101);
    let steps = world.steps(|| drop(world.call("DELETE", &format!("/api/evaluations/{id}"), &owner, &Value::Null)));
    assert_eq!(world.database.count("evaluations"), 0);
    assert!(steps < 20_000, "{steps}");
}

#[test]
fn pages_by_number_and_by_id_are_the_same_and_end_where_they_say() {
    let (world, owner) = world();
    let (user_id, _, key) = world.colleague(&owner, "member");
    let mut all = Vec::new();
    for index in 0..23 {
        let id = made(&world, if index % 3 == 0 { &owner } else { &key });
        if index % 3 == 0 {
            let share = format!("/api/evaluations/{id}/shares/{user_id}");
            assert_eq!(world.call("PUT", &share, &owner, &json!({ "access": "read" })).status, 200);
        }
        all.insert(0, id);
    }
    let (mut by_page, mut by_id) = (Vec::new(), Vec::new());
    for page in 1..=6 {
        let body = world.get(&format!("/api/evaluations?page={page}&page_size=4"), &key).json;
        assert_eq!((&body["page"], &body["page_size"]), (&json!(page), &json!(4)));
        assert_eq!(body["has_more"], json!(page < 6));
        by_page.extend(ids(&body));
    }
    let mut after = String::new();
    loop {
        let body = world.get(&format!("/api/evaluations?page_size=4{after}"), &key).json;
        by_id.extend(ids(&body));
        if body["has_more"] == false {
            break;
        }
        after = format!("&starting_after={}", by_id.last().unwrap());
    }
    assert_eq!((&by_page, &by_id), (&all, &all));
    let body = world.get("/api/evaluations", &key).json;
    assert_eq!((&body["page"], &body["page_size"]), (&json!(1), &json!(25)));
    assert_eq!(world.get("/api/evaluations?page=100&page_size=100", &key).json["items"], json!([]));
    for query in ["page=101&page_size=100", "page=10000&page_size=2", "page=10000"] {
        let answer = world.get(&format!("/api/evaluations?{query}"), &key);
        assert_problem(&answer, 400, "validation_failed");
        assert!(answer.detail().contains("`starting_after`"), "{}", answer.detail());
    }
}

#[test]
fn list_costs_what_it_shows_and_not_what_there_is() {
    let (world, owner) = world();
    let (user_id, _, key) = world.colleague(&owner, "member");
    let (first, mine) = (made(&world, &owner), made(&world, &key));
    for of in [&first, &mine] {
        world.database.execute(&format!(
            "INSERT OR IGNORE INTO evaluations (id, organization_id, user_id, base_id, name, config, created_at, updated_at)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
             SELECT substr(id, 1, 33) || printf('%04x', i), organization_id, user_id, CASE i % 2 WHEN 0 THEN id END, name, config, 0, 0
             FROM n, evaluations WHERE id = '{of}'"
        ));
    }
    world.database.execute(&format!(
        "INSERT OR IGNORE INTO shares SELECT id, '{user_id}', organization_id, 'user', 'read', 0 FROM evaluations WHERE user_id <> '{user_id}'"
    ));
    for (query, most) in [("", 15_000), ("base_only=true", 25_000), ("page=30&page_size=100", 350_000)] {
        let steps = world.steps(|| drop(world.get(&format!("/api/evaluations?{query}"), &key)));
        assert!(steps < most, "{query}: {steps}");
    }
}

#[test]
fn key_reaches_what_is_its_users_and_what_is_shared_and_nothing_else() {
    let (world, owner) = world();
    let organization = "/v1/organizations/self";
    let id = made(&world, &owner);
    let before = variant(&world, &owner, &id);
    let (colleague_id, _, colleague) = world.colleague(&owner, "member");
    let (mate_id, _, mate) = world.colleague(&owner, "admin");
    let team = world.post(&format!("{organization}/teams"), &owner, &json!({ "name": "t" })).text("id");
    world.call("PUT", &format!("{organization}/teams/{team}/members/{mate_id}"), &owner, &Value::Null);
    let (_, org_key) = world.create_from(&owner, &json!({ "name": "o", "kind": "org", "scopes": ["evaluations:*"] }));
    let (_, _, stranger) = world.stranger(&owner);
    let project = world.project(&owner, "p");
    let body = json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": ["evaluations:*"] });
    let (_, project_key) = world.create_from(&owner, &body);
    let in_project = made(&world, &project_key);

    let path = format!("/api/evaluations/{id}");
    let access = |key: &str, id: &str| match world.get(&format!("/api/evaluations/{id}"), key) {
        answer if answer.status == 404 => "none".to_owned(),
        answer => answer.text("access"),
    };
    let everybody = [&owner, &colleague, &mate, &stranger, &project_key, &org_key];
    assert_eq!(everybody.map(|key| access(key, &id)), ["own", "none", "none", "none", "none", "own"]);
    assert_eq!(list(&world, &project_key, ""), std::slice::from_ref(&in_project));
    assert_eq!(list(&world, &org_key, ""), [in_project, before.clone(), id.clone()]);

    let share = |grantee: &str, access: &str| {
        let answer = world.call("PUT", &format!("{path}/shares/{grantee}"), &owner, &json!({ "access": access }));
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!((answer.text("grantee_id"), answer.text("access")), (grantee.to_owned(), access.to_owned()));
    };
    share(&colleague_id, "read");
    share(&team, "write");
    let after = variant(&world, &mate, &id);
    assert_eq!(world.get(&format!("/api/evaluations/{after}"), &owner).text("access"), "own", "whose the base is");
    for of in [&id, &before, &after] {
        assert_eq!([&colleague, &mate].map(|key| access(key, of)), ["read", "write"]);
    }
    for (key, status) in [(&colleague, 403), (&stranger, 404)] {
        let code = if status == 403 { "read_only" } else { "not_found" };
        for (method, below, body) in [
            ("PATCH", "", json!({ "name": "n" })),
            ("DELETE", "", Value::Null),
            ("POST", "/variants", json!({ "name": "n" })),
        ] {
            let was = world.database.dump();
            assert_problem(&world.call(method, &format!("{path}{below}"), key, &body), status, code);
            assert_eq!(world.database.dump(), was);
        }
        let listed = if status == 403 { vec![after.clone(), before.clone(), id.clone()] } else { vec![] };
        assert_eq!(list(&world, key, ""), listed);
        assert_eq!(ids(&world.get("/api/evaluations?base_only=true", key).json), listed[listed.len().min(2)..]);
    }
    let sharing = world.call("PUT", &format!("{path}/shares/{colleague_id}"), &mate, &json!({ "access": "write" }));
    assert_problem(&sharing, 403, "exceeds_own_access");
    assert_eq!(world.get(&format!("{path}/shares"), &mate).json["items"].as_array().unwrap().len(), 2);

    share(&colleague_id, "write");
    assert_eq!([&id, &before, &after].map(|of| access(&colleague, of)), ["write", "write", "write"]);
    assert_eq!(world.call("DELETE", &format!("{path}/shares/{colleague_id}"), &owner, &Value::Null).status, 200);
    assert_eq!([&id, &before, &after].map(|of| access(&colleague, of)), ["none", "none", "none"], "at once");
    assert_eq!(world.call("DELETE", &path, &mate, &Value::Null).status, 200, "who may change it may end it");
    assert_eq!(world.database.count("shares"), 0);
}

#[test]
fn a_variant_that_is_shared_alone_gives_nothing_of_its_base() {
    let (world, owner) = world();
    let id = made(&world, &owner);
    let of = variant(&world, &owner, &id);
    let (user_id, _, key) = world.colleague(&owner, "member");
    let share = format!("/api/evaluations/{of}/shares/{user_id}");
    assert_eq!(world.call("PUT", &share, &owner, &json!({ "access": "write" })).status, 200);
    assert_eq!(list(&world, &key, ""), std::slice::from_ref(&of));
    assert_eq!(world.call("PATCH", &format!("/api/evaluations/{of}"), &key, &json!({ "name": "n" })).status, 200);
    assert_problem(&world.get(&format!("/api/evaluations/{id}"), &key), 404, "not_found");
    let before = world.database.dump();
    let answer = world.post(&format!("/api/evaluations/{of}/variants"), &key, &json!({ "name": "n" }));
    assert_problem(&answer, 403, "read_only");
    assert_eq!(world.database.dump(), before);
}

#[test]
fn what_happened_to_an_evaluation_is_in_the_trail() {
    let (world, owner) = world();
    let id = made(&world, &owner);
    let of = variant(&world, &owner, &id);
    let (user_id, ..) = world.colleague(&owner, "member");
    let path = format!("/api/evaluations/{id}");
    world.call("PUT", &format!("{path}/shares/{user_id}"), &owner, &json!({ "access": "read" }));
    world.call("DELETE", &format!("{path}/shares/{user_id}"), &owner, &Value::Null);
    world.call("DELETE", &path, &owner, &Value::Null);
    let of_subject = |subject: &str| {
        let events = world.get(&format!("/v1/audit-events?subject={subject}"), &owner).json["items"].clone();
        let action = |event: &Value| (event["action"].as_str().unwrap().to_owned(), event["details"].clone());
        events.as_array().unwrap().iter().rev().map(action).collect::<Vec<_>>()
    };
    let expected = [
        ("evaluation.created", json!({ "name": "made", "dataset_id": null })),
        ("evaluation.shared", json!({ "with": user_id, "access": "read" })),
        ("evaluation.unshared", json!({ "with": user_id })),
        ("evaluation.deleted", json!({})),
    ];
    assert_eq!(of_subject(&id), expected.map(|(action, details)| (action.to_owned(), details)));
    let variant = ("evaluation.created".to_owned(), json!({ "name": "variant", "base_id": id }));
    assert_eq!(of_subject(&of), [variant]);
}

#[test]
fn draft_is_generated_from_a_data_set_and_stays_one_until_somebody_looks_at_it() {
    let (world, owner) = world();
    let row = |n: i32| json!({ "question": format!("q{n}"), "answer": n, "right": if n == 3 { 0 } else { n }, "verdict": if n == 3 { "bad" } else { "good" } });
    let roles = [("question", "input"), ("answer", "input"), ("right", "expected"), ("verdict", "judgment")];
    let new = json!({
        "name": "Sums",
        "columns": roles.map(|(name, role)| json!({ "name": name, "role": role })),
        "rows": (1..8).map(row).collect::<Vec<_>>(),
    });
    let dataset = world.post("/api/datasets", &owner, &new).text("public_id");
    let generate = |key: &str| world.post("/api/evaluations/generate", key, &json!({ "dataset_id": dataset }));
    let (draft, io) = world.counted(|| generate(&owner));
    assert_eq!((draft.status, io), (201, (2, 0, 0)), "{}", draft.json);
    assert_eq!(
        ["name", "dataset_id", "draft", "agreement", "judge"].map(|field| draft.json[field].clone()),
        [
            json!("Sums"),
            json!(dataset),
            json!(true),
            json!({ "judged": 7, "agreed": 7 }),
            json!({ "type": "exact_match", "column": "answer", "expected_column": "right" }),
        ]
    );
    let path = format!("/api/evaluations/{}", draft.text("public_id"));
    let changed = world.call("PATCH", &path, &owner, &json!({ "name": "n" })).json;
    assert_eq!((&changed["draft"], &changed["dataset_id"]), (&json!(true), &json!(dataset)));
    let copy = world.post(&format!("{path}/variants"), &owner, &json!({ "name": "n" })).json;
    assert_eq!((&copy["draft"], &copy["dataset_id"]), (&json!(true), &json!(dataset)));
    assert_eq!(world.call("PATCH", &path, &owner, &json!({ "draft": false })).json["draft"], false);
    assert_eq!(world.get(&path, &owner).json["draft"], false);

    let (user_id, _, colleague) = world.colleague(&owner, "member");
    assert_problem(&generate(&colleague), 404, "not_found");
    let share = format!("/api/datasets/{dataset}/shares/{user_id}");
    world.call("PUT", &share, &owner, &json!({ "access": "read" }));
    assert_eq!(generate(&colleague).text("user_id"), user_id, "what may be read is enough");
    let empty = world.post("/api/datasets", &owner, &json!({ "name": "empty" })).text("public_id");
    let answer = world.post("/api/evaluations/generate", &owner, &json!({ "dataset_id": empty }));
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(answer.field(), "dataset_id");
}
