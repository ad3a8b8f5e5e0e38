//! Error analysis: by the words, and by a language model that is believed only if it does what it was asked.

use bitting::entry;
use bitting_keys::ports::{Limit, UpstreamError};
use futures::{executor::block_on, future::join_all};
use serde_json::{Value, json};

use crate::support::{
    Limits, World,
    model::{CONFIG, Model, Turn},
    problem::assert_problem,
    request,
};

const NOTES: &str = "/api/error-analysis/suggest-notes";
const CATEGORIES: &str = "/api/error-analysis/suggest-categories";
const CONSOLIDATED: &str = "/api/error-analysis/consolidate-categories";

/// The id of a run that is not there.
fn no_run(world: &World) -> String {
    format!("run_{}", world.fresh_id().replace('-', ""))
}

fn suggested(world: &World, key: &str, path: &str, body: &Value) -> Value {
    let answer = world.post(path, key, body);
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer.json
}

/// The names of categories with the places of what is in them.
fn groups(answer: &Value, places: &str) -> Vec<(String, Value)> {
    let group = |category: &Value| (category["name"].as_str().unwrap().to_owned(), category[places].clone());
    answer["categories"].as_array().unwrap().iter().map(group).collect()
}

fn named(groups: &[(&str, Value)]) -> Vec<(String, Value)> {
    groups.iter().map(|(name, places)| ((*name).to_owned(), places.clone())).collect()
}

#[test]
fn the_note_about_a_run_is_what_its_judge_said() {
    let world = World::new();
    let owner = world.bootstrap();
    let (live, _) = world.live_evaluation(&owner);
    let run = |query: &str| world.judge(&owner, &live, query).text("public_id");
    let (first, second, passed) = (run("how"), run("when"), run("why"));
    let answer = suggested(&world, &owner, NOTES, &json!({ "run_ids": [second, first, second] }));
    let said = |query: &str| format!("fail: `user_query` is \"{query}\", and \"why\" was expected.");
    let notes = json!([
        { "run_id": second, "note": said("when") }, { "run_id": first, "note": said("how") }, { "run_id": second, "note": said("when") },
    ]);
    assert_eq!((&answer["method"], &answer["notes"]), (&json!("deterministic"), &notes));
    let answer = world.post(NOTES, &owner, &json!({ "run_ids": [first, passed] }));
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(answer.field(), "run_ids[1]");
}

#[test]
fn runs_that_somebody_may_not_see_are_404_and_those_of_what_is_shared_are_not() {
    let world = World::new();
    let owner = world.bootstrap();
    let (live, _) = world.live_evaluation(&owner);
    let (mine, other) = (world.judge(&owner, &live, "how").text("public_id"), no_run(&world));
    let (user, _, colleague) = world.colleague(&owner, "member");
    let (_, _, stranger) = world.stranger(&owner);
    let asked = |key: &str, runs: Value| world.post(NOTES, key, &json!({ "run_ids": runs }));
    assert_problem(&asked(&owner, json!([mine, other])), 404, "not_found");
    for key in [&colleague, &stranger] {
        assert_problem(&asked(key, json!([mine])), 404, "not_found");
    }
    world.database.execute(&format!(
        "INSERT INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at)
         SELECT '{live}', '{user}', organization_id, 'user', 'read', 0 FROM live_evaluations WHERE id = '{live}'"
    ));
    assert_eq!(asked(&colleague, json!([mine])).status, 200);
}

#[test]
fn a_model_writes_one_note_about_each_run() {
    let mut world = World::new();
    let owner = world.bootstrap();
    let (live, _) = world.live_evaluation(&owner);
    let query = "x".repeat(5_000);
    let runs =
        [world.judge(&owner, &live, "how").text("public_id"), world.judge(&owner, &live, &query).text("public_id")];
    let items = |notes: Value| Turn::says(&json!({ "items": notes }));
    let good = || items(json!([{ "number": 1, "note": "Too long." }, { "number": 0, "note": "Asks how." }]));
    for wrong in [
        json!([]),
        json!([{ "number": 0, "note": "x" }]),
        json!([{ "number": 0, "note": "x" }, { "number": 0, "note": "x" }]),
        json!([{ "number": 0, "note": "x" }, { "number": 2, "note": "x" }]),
        json!([{ "number": 0, "note": "x" }, { "number": 1, "note": " " }]),
        json!([{ "number": 0, "note": "x" }, { "number": 1, "note": "x".repeat(2_001) }]),
    ] {
        let model = Model::of(&mut world, [items(wrong.clone()), good()]);
        let answer = suggested(&world, &owner, NOTES, &json!({ "run_ids": runs }));
        let notes = json!([{ "run_id": runs[0], "note": "Asks how." }, { "run_id": runs[1], "note": "Too long." }]);
        assert_eq!((&answer["method"], &answer["notes"]), (&json!("model"), &notes), "{wrong}");
        let asked = model.asked.borrow();
        let data = asked[0].1["messages"][1]["content"].as_str().unwrap();
        assert!(data.contains("was expected") && data.contains("\"verdict\":\"fail\""), "{data}");
        assert!(data.len() < 3_500, "a model is shown so much of each run and no more: {}", data.len());
    }
}

#[test]
fn notes_are_sorted_by_the_words_that_they_share_whatever_their_order() {
    let world = World::new();
    let owner = world.bootstrap();
    let notes = [
        "The price is wrong.",
        "Rude tone",
        "Wrong prices for shoes",
        "tone was rude to the customer",
        "The refund policy is missing",
        "Price of shoes outdated",
        "???",
    ];
    let answer = suggested(&world, &owner, CATEGORIES, &json!({ "notes": notes }));
    assert_eq!(answer["method"], "deterministic");
    let expected = named(&[
        ("price, shoes, outdated", json!([0, 2, 5])),
        ("rude, tone, customer", json!([1, 3])),
        ("missing, policy, refund", json!([4])),
        ("other", json!([6])),
    ]);
    assert_eq!(groups(&answer, "notes"), expected);
    assert_eq!(answer["categories"][0]["description"], "3 notes, such as \"The price is wrong.\".");
    assert_eq!(answer["categories"][2]["description"], "1 note, such as \"The refund policy is missing\".");

    let mut reversed = notes;
    reversed.reverse();
    let answer = suggested(&world, &owner, CATEGORIES, &json!({ "notes": reversed }));
    let mirrored = groups(&answer, "notes").into_iter().map(|(name, places)| {
        let mut places: Vec<u64> = places.as_array().unwrap().iter().map(|place| 6 - place.as_u64().unwrap()).collect();
        places.sort_unstable();
        (name, json!(places))
    });
    assert_eq!(mirrored.collect::<Vec<_>>(), expected);
}

#[test]
fn many_notes_that_have_nothing_in_common_are_few_categories() {
    let world = World::new();
    let owner = world.bootstrap();
    let notes: Vec<String> = (0..500).map(|number| format!("w{number}x w{number}y")).collect();
    let answer = suggested(&world, &owner, CATEGORIES, &json!({ "notes": notes }));
    let categories = answer["categories"].as_array().unwrap();
    assert_eq!((categories.len(), &categories[19]["name"]), (20, &json!("other")));
    assert_eq!(categories[19]["notes"].as_array().unwrap().len(), 481);
}

#[test]
fn categories_with_the_same_names_come_together_under_that_of_the_largest() {
    let world = World::new();
    let owner = world.bootstrap();
    let categories = json!([
        { "name": "Wrong price" },
        { "name": "Rude tone", "description": "It is rude.", "notes": [1, 2] },
        { "name": "Price errors", "description": "The price is not that of the shop.", "notes": [0] },
        { "name": "Tone" },
        { "name": "Wrong answer" },
    ]);
    let answer = suggested(&world, &owner, CONSOLIDATED, &json!({ "categories": categories }));
    let expected =
        named(&[("Price errors", json!([0, 2])), ("Rude tone", json!([1, 3])), ("Wrong answer", json!([4]))]);
    assert_eq!(groups(&answer, "merged"), expected);
    let descriptions: Vec<_> = answer["categories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|category| category["description"].as_str().unwrap())
        .collect();
    assert_eq!(descriptions, ["The price is not that of the shop.", "It is rude.", ""]);
}

#[test]
fn what_was_suggested_can_be_consolidated_as_it_is() {
    let world = World::new();
    let owner = world.bootstrap();
    let suggested_first = suggested(&world, &owner, CATEGORIES, &json!({ "notes": ["a price", "a tone"] }));
    let body = json!({ "categories": suggested_first["categories"] });
    let answer = suggested(&world, &owner, CONSOLIDATED, &body);
    assert_eq!(groups(&answer, "merged"), named(&[("price", json!([0])), ("tone", json!([1]))]));
}

#[test]
fn a_model_is_believed_if_each_note_is_in_one_category() {
    let good = json!({ "items": [
        { "name": "Price", "description": "It is wrong.", "notes": [1, 0] },
        { "name": "Tone", "description": "It is rude.", "notes": [2] },
    ] });
    let body = json!({ "notes": ["a", "b", "c"] });
    for places in [
        json!([[0, 1]]),
        json!([[0, 1, 2, 2]]),
        json!([[0, 1], [1, 2]]),
        json!([[0, 1, 3]]),
        json!([[0, 1, 2], []]),
        json!([[0, 1, -2]]),
        json!([]),
    ] {
        let items: Vec<Value> = places
            .as_array()
            .unwrap()
            .iter()
            .map(|notes| json!({ "name": "x", "description": "", "notes": notes }))
            .collect();
        let mut world = World::new();
        let owner = world.bootstrap();
        let wrong = || Turn::says(&json!({ "items": items }));
        let model = Model::of(&mut world, [wrong(), Turn::says(&good)]);
        let answer = suggested(&world, &owner, CATEGORIES, &body);
        assert_eq!((&answer["method"], &answer["categories"]), (&json!("model"), &good["items"]), "{places}");
        assert_eq!(model.asked.borrow().len(), 2, "{places}");
        Model::of(&mut world, [wrong(), wrong()]);
        assert_problem(&world.post(CATEGORIES, &owner, &body), 503, "judge_unavailable");
    }
}

#[test]
fn a_model_is_shown_what_is_to_be_consolidated() {
    let mut world = World::new();
    let owner = world.bootstrap();
    let good = json!({ "items": [{ "name": "Price", "description": "It is wrong.", "merged": [0, 1] }] });
    let model = Model::of(&mut world, [Turn::says(&good)]);
    let body = json!({ "categories": [{ "name": "Price" }, { "name": "Prices", "notes": [1, 2] }] });
    let answer = suggested(&world, &owner, CONSOLIDATED, &body);
    assert_eq!((&answer["method"], &answer["categories"]), (&json!("model"), &good["items"]));
    let asked = model.asked.borrow();
    let data = asked[0].1["messages"][1]["content"].as_str().unwrap();
    assert!(data.contains("\"name\":\"Prices\"") && data.contains("\"count_of_notes\":2"), "{data}");
}

#[test]
fn a_model_that_is_down_is_503_and_never_the_words_instead() {
    let mut world = World::new();
    let owner = world.bootstrap();
    let busy = Turn::Answers(503, vec![("retry-after", "60")], Vec::new());
    Model::of(&mut world, [busy]);
    let answer = world.post(CATEGORIES, &owner, &json!({ "notes": ["a"] }));
    assert_problem(&answer, 503, "judge_unavailable");
    assert_eq!(answer.header("retry-after"), Some("60"));
}

#[test]
fn what_is_too_much_or_nothing_is_refused_before_anybody_is_asked() {
    let mut world = World::new();
    let owner = world.bootstrap();
    Model::of(&mut world, []);
    let run = no_run(&world);
    let many = vec!["x"; 501];
    for (path, body, field) in [
        (NOTES, json!({ "run_ids": [] }), "run_ids"),
        (NOTES, json!({ "run_ids": vec![run; 51] }), "run_ids"),
        (NOTES, json!({ "run_ids": ["x"] }), "run_ids[0]"),
        (CATEGORIES, json!({ "notes": [] }), "notes"),
        (CATEGORIES, json!({ "notes": many }), "notes"),
        (CATEGORIES, json!({ "notes": ["x", " "] }), "notes[1]"),
        (CATEGORIES, json!({ "notes": ["x".repeat(2_001)] }), "notes[0]"),
        (CATEGORIES, json!({ "notes": [1] }), "notes[0]"),
        (CONSOLIDATED, json!({ "categories": [] }), "categories"),
        (CONSOLIDATED, json!({ "categories": [{ "name": " " }] }), "categories[0].name"),
        (
            CONSOLIDATED,
            json!({ "categories": [{ "name": "x", "description": "x".repeat(2_001) }] }),
            "categories[0].description",
        ),
        (CONSOLIDATED, json!({ "categories": [{ "name": "x", "notes": vec![0; 501] }] }), "categories[0].notes"),
    ] {
        let answer = world.post(path, &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field);
    }
}

/// The three questions, each in the form that a model answers with no items.
fn questions(world: &World, owner: &str) -> [(&'static str, Value); 3] {
    let (live, _) = world.live_evaluation(owner);
    let run = world.judge(owner, &live, "how").text("public_id");
    let category = json!({ "name": "n", "description": "d", "notes": [0] });
    [
        (NOTES, json!({ "run_ids": [run] })),
        (CATEGORIES, json!({ "notes": ["a"] })),
        (CONSOLIDATED, json!({ "categories": [category] })),
    ]
}

#[test]
fn each_question_to_a_model_costs_one_credit_and_none_is_overdrawn() {
    let mut world = World::new();
    let owner = world.bootstrap();
    let credits = |world: &World| world.database.value("SELECT credits FROM organizations");
    let set = |world: &World, to: &str| world.database.execute(&format!("UPDATE organizations SET credits = {to}"));
    for (path, body) in questions(&world, &owner) {
        // By the words it is free.
        world.configure(&[]);
        set(&world, "0");
        assert_eq!(world.post(path, &owner, &body).status, 200, "{path}");
        let useless = || Turn::says(&json!({ "items": [] }));
        let failed = || Turn::Fails(UpstreamError::Failed("no connection".to_owned()));
        let model = Model::of(&mut world, [useless(), useless(), failed(), failed(), failed()]);
        let answer = world.post(path, &owner, &body);
        assert_problem(&answer, 402, "insufficient_credits");
        assert!(answer.json["detail"].as_str().unwrap().contains("0 credits"), "{}", answer.json);
        assert_eq!(model.asked.borrow().len(), 0, "{path}");
        // What it answers is paid for, also if it is of no use.
        set(&world, "2");
        assert_problem(&world.post(path, &owner, &body), 503, "judge_unavailable");
        assert_eq!((credits(&world), model.asked.borrow().len()), (json!(1), 2), "{path}");
        // If it cannot be reached, the credit goes back.
        assert_problem(&world.post(path, &owner, &body), 503, "judge_unavailable");
        assert_eq!((credits(&world), model.asked.borrow().len()), (json!(1), 5), "{path}");
        set(&world, "NULL");
        Model::of(&mut world, [useless(), useless()]);
        assert_problem(&world.post(path, &owner, &body), 503, "judge_unavailable");
        assert_eq!(credits(&world), Value::Null, "{path}");
    }
}

#[test]
fn question_beyond_the_limit_is_neither_asked_nor_charged() {
    let mut world = World::new();
    let owner = world.bootstrap();
    let questions = questions(&world, &owner);
    let model = Model::of(&mut world, []);
    world.app.limiter = Limits::new(Limit::Questions, 0);
    world.database.execute("UPDATE organizations SET credits = 1");
    for (path, body) in questions {
        assert_problem(&world.post(path, &owner, &body), 429, "rate_limited");
    }
    assert_eq!((world.database.value("SELECT credits FROM organizations"), model.asked.borrow().len()), (json!(1), 0));
}

#[test]
fn of_many_questions_at_once_only_the_paid_ones_are_asked() {
    let mut world = World::new();
    let owner = world.bootstrap();
    let answer = || Turn::says(&json!({ "items": [{ "name": "n", "description": "d", "notes": [0] }] }));
    let model = Model::of(&mut world, (0..3).map(|_| answer()));
    world.database.execute("UPDATE organizations SET credits = 3");
    let worlds: Vec<World> = (0..12)
        .map(|_| {
            let mut other = world.another_isolate();
            other.configure(&CONFIG);
            other.app.upstream = model.clone();
            other.get("/v1/scopes", &owner);
            other.before_batches(|_, _| {});
            other
        })
        .collect();
    let ask = request("POST", CATEGORIES, &owner, &json!({ "notes": ["a"] }));
    let answers = block_on(join_all(worlds.iter().map(|world| entry::handle(&world.app, &ask))));
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(402), model.asked.borrow().len()), (3, 9, 3));
    assert_eq!(world.database.value("SELECT credits FROM organizations"), json!(0));
}
