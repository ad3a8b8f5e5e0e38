//! The review queue: `/api/review`.

use serde_json::{Value, json};

use crate::support::{Answer, World, problem::assert_problem};

const QUEUE: &str = "/api/review";

/// A world with an owner, a live evaluation that is deployed, and a run of it.
struct Scene {
    world: World,
    owner: String,
    live: String,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let owner = world.bootstrap();
        let judge = json!({ "type": "contains", "column": "answer", "expected": ["why"] });
        let body = json!({ "name": "e", "columns": [{ "name": "question" }, { "name": "answer" }], "judge": judge });
        let evaluation = made(world.post("/api/evaluations", &owner, &body)).text("public_id");
        let deployed = world.post("/api/live-evaluations", &owner, &json!({ "evaluation_id": evaluation }));
        let live = made(deployed).text("public_id");
        Self { world, owner, live }
    }

    fn run(&self) -> String {
        let inputs = json!({ "inputs": { "question": "q", "answer": "because" } });
        let answer = self.world.post(&format!("/api/eval/{}", self.live), &self.owner, &inputs);
        assert!(answer.status < 300, "{}", answer.json);
        self.world.advance_ms(1);
        answer.text("public_id")
    }

    fn flag(&self, run: &str) -> String {
        made(self.world.post(QUEUE, &self.owner, &json!({ "run_id": run, "reason": "odd" }))).text("public_id")
    }

    fn act(&self, item: &str, act: &str, body: &Value) -> Answer {
        self.world.post(&format!("{QUEUE}/{item}/{act}"), &self.owner, body)
    }

    fn judged(&self) -> String {
        let item = self.flag(&self.run());
        let verdict = json!({ "verdict": "good", "passed": true, "notes": "it is fine" });
        assert_eq!(self.act(&item, "judge", &verdict).status, 200);
        item
    }

    fn dataset(&self, columns: &Value) -> String {
        made(self.world.post("/api/datasets", &self.owner, &json!({ "name": "d", "columns": columns })))
            .text("public_id")
    }
}

#[track_caller]
fn made(answer: Answer) -> Answer {
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer
}

fn columns() -> Value {
    json!([
        { "name": "question" },
        { "name": "answer" },
        { "name": "verdict", "role": "judgment" },
        { "name": "why", "role": "notes" },
    ])
}

#[test]
fn a_run_is_flagged_judged_and_promoted_once_each_with_who_and_when() {
    let scene = Scene::new();
    let who = scene.world.get("/v1/keys/self", &scene.owner).json;
    let run = scene.run();
    let (flagged, io) =
        scene.world.counted(|| scene.world.post(QUEUE, &scene.owner, &json!({ "run_id": run, "reason": "odd" })));
    let item = made(flagged);
    assert_eq!(io.0, 1);
    let deed = |item: &Answer, what: &str| {
        assert_eq!((&item.json[what]["key_id"], &item.json[what]["user_id"]), (&who["id"], &who["user_id"]), "{what}");
        assert!(item.json[what]["at"].is_string());
    };
    deed(&item, "flagged");
    assert_eq!((&item.json["state"], &item.json["reason"]), (&json!("open"), &json!("odd")));
    let again = scene.world.post(QUEUE, &scene.owner, &json!({ "run_id": run }));
    assert_problem(&again, 409, "already_flagged");
    let item = item.text("public_id");
    assert!(again.detail().contains(&item), "{}", again.detail());
    let dataset = scene.dataset(&columns());
    assert_problem(&scene.act(&item, "promote", &json!({ "dataset_id": dataset })), 409, "not_judged");

    let (judged, io) = scene
        .world
        .counted(|| scene.act(&item, "judge", &json!({ "verdict": "good", "passed": true, "notes": "it is fine" })));
    assert_eq!((judged.status, io.0, &judged.json["state"]), (200, 1, &json!("judged")), "{}", judged.json);
    deed(&judged, "decided");
    for (act, body) in [("judge", json!({ "verdict": "bad" })), ("reject", json!({}))] {
        assert_problem(&scene.act(&item, act, &body), 409, "not_open");
    }

    let (promoted, io) = scene.world.counted(|| scene.act(&item, "promote", &json!({ "dataset_id": dataset })));
    assert_eq!((promoted.status, io.0, &promoted.json["state"]), (200, 2, &json!("promoted")), "{}", promoted.json);
    deed(&promoted, "promoted");
    assert_problem(&scene.act(&item, "promote", &json!({ "dataset_id": dataset })), 409, "already_promoted");
    let rows = scene.world.get(&format!("/api/datasets/{dataset}/rows"), &scene.owner).json;
    let row = json!({ "question": "q", "answer": "because", "verdict": "good", "why": "it is fine" });
    assert_eq!((&rows["rows"], &rows["row_ids"]), (&json!([row]), &json!([promoted.json["row_id"]])));
    let shown = scene.world.get(&format!("{QUEUE}/{item}"), &scene.owner).json;
    assert_eq!((&shown["inputs"]["answer"], &shown["judgment"]["verdict"]), (&json!("because"), &json!("fail")));
}

#[test]
fn a_row_that_does_not_fit_changes_neither_the_item_nor_the_data_set() {
    let scene = Scene::new();
    let item = scene.judged();
    for missing in ["answer", "verdict", "why"] {
        let columns: Vec<Value> =
            columns().as_array().unwrap().iter().filter(|column| column["name"] != missing).cloned().collect();
        let dataset = scene.dataset(&json!(columns));
        let before = scene.world.database.dump();
        let answer = scene.act(&item, "promote", &json!({ "dataset_id": dataset }));
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), "dataset_id");
        assert_eq!(scene.world.database.dump(), before, "{missing}");
    }
    let unknown = format!("ds_{}", "0".repeat(32));
    assert_problem(&scene.act(&item, "promote", &json!({ "dataset_id": unknown })), 404, "not_found");
}

#[test]
fn somebody_else_who_promotes_in_between_leaves_one_row() {
    let mut scene = Scene::new();
    let (item, dataset) = (scene.judged(), scene.dataset(&columns()));
    // The second batch is the one that promotes.
    scene.world.meddle(1, &format!("UPDATE review_items SET state = 'promoted' WHERE id = '{item}'"));
    assert_problem(&scene.act(&item, "promote", &json!({ "dataset_id": dataset })), 409, "already_promoted");
    assert_eq!(scene.world.database.count("dataset_chunks"), 0);
    assert_eq!(scene.world.database.value(&format!("SELECT row_count FROM datasets WHERE id = '{dataset}'")), 0);
}

#[test]
fn the_queue_is_listed_by_state_and_by_live_evaluation_newest_first() {
    let scene = Scene::new();
    let items: Vec<String> = (0..5).map(|_| scene.flag(&scene.run())).collect();
    assert_eq!(scene.act(&items[1], "reject", &json!({ "notes": "no" })).status, 200);
    let listed = |query: &str| -> (Vec<String>, Value) {
        let (answer, io) = scene.world.counted(|| scene.world.get(&format!("{QUEUE}{query}"), &scene.owner));
        assert_eq!((answer.status, io.0), (200, 1), "{}", answer.json);
        let ids = answer.json["items"].as_array().unwrap().iter();
        (ids.map(|item| item["public_id"].as_str().unwrap().to_owned()).collect(), answer.json["has_more"].clone())
    };
    let newest_first: Vec<String> = items.iter().rev().cloned().collect();
    assert_eq!(listed(""), (newest_first.clone(), json!(false)));
    assert_eq!(listed("?state=rejected").0, [items[1].clone()]);
    assert_eq!(listed(&format!("?live_evaluation_id={}&state=open", scene.live)).0.len(), 4);
    assert_eq!(listed("?limit=2"), (newest_first[..2].to_vec(), json!(true)));
    let after = format!("?limit=3&starting_after={}", newest_first[1]);
    assert_eq!(listed(&after), (newest_first[2..].to_vec(), json!(false)));
    assert_problem(&scene.world.get("/api/review?state=closed", &scene.owner), 400, "validation_failed");
}

#[test]
fn live_evaluation_reader_changes_nothing_stranger_sees_nothing() {
    let scene = Scene::new();
    let (user_id, _, colleague) = scene.world.colleague(&scene.owner, "member");
    let run = scene.run();
    let item = scene.flag(&scene.run());
    let path = format!("{QUEUE}/{item}");
    let tries = |status: u16, code: &str| {
        let flag = scene.world.post(QUEUE, &colleague, &json!({ "run_id": run }));
        assert_problem(&flag, status, code);
        for (act, body) in [
            ("judge", json!({ "verdict": "good" })),
            ("reject", json!({})),
            ("promote", json!({ "dataset_id": scene.dataset(&columns()) })),
        ] {
            assert_problem(&scene.world.post(&format!("{path}/{act}"), &colleague, &body), status, code);
        }
    };
    assert_problem(&scene.world.get(&path, &colleague), 404, "not_found");
    assert_eq!(scene.world.get(QUEUE, &colleague).json["items"], json!([]));
    tries(404, "not_found");
    let share = format!("/api/live-evaluations/{}/shares/{user_id}", scene.live);
    let shared = |access: &str| {
        assert_eq!(scene.world.call("PUT", &share, &scene.owner, &json!({ "access": access })).status, 200);
    };
    shared("read");
    assert_eq!(scene.world.get(&path, &colleague).json["access"], "read");
    assert_eq!(scene.world.get(QUEUE, &colleague).json["items"][0]["public_id"], json!(item));
    tries(403, "read_only");
    shared("write");
    assert_eq!(scene.world.post(&format!("{path}/reject"), &colleague, &json!({})).status, 200);
    assert_eq!(scene.world.call("DELETE", &share, &scene.owner, &Value::Null).status, 200);
    assert_problem(&scene.world.get(&path, &colleague), 404, "not_found");
}
