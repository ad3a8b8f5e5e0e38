//! What is generated from a data set: the columns, and the judge that explains what people have said of its rows.

use bitting_evals::domain::{
    dataset::{ColumnRole, Columns, Dataset, DatasetRow},
    generate::{Agreement, Generated, generate},
    id::DatasetId,
    judge::Judge,
};
use bitting_keys::domain::{id::OrganizationId, key::Name, time::UnixMillis};
use serde_json::{Value, json};

fn name(text: &str) -> Name {
    Name::try_from(text.to_owned()).unwrap()
}

/// What is generated from a data set of these columns, judgment configurations and rows.
fn from(columns: &[(&str, ColumnRole)], judgments: Value, rows: &[Value]) -> Result<Generated, String> {
    let mut all = Columns::default();
    for (column, role) in columns {
        all.add(name(column), *role).unwrap();
    }
    let dataset = Dataset {
        id: DatasetId::new(UnixMillis(0), [0; 10]),
        organization_id: OrganizationId::new(UnixMillis(0), [0; 10]),
        user_id: None,
        project_id: None,
        name: name("d"),
        description: None,
        columns: all,
        judgments: serde_json::from_value(judgments).unwrap(),
        row_count: 0,
        created_at: UnixMillis(0),
        updated_at: UnixMillis(0),
    };
    let rows: Vec<DatasetRow> = rows.iter().map(|row| serde_json::from_value(row.clone()).unwrap()).collect();
    let generated = generate(&dataset, &rows)?;
    generated.config.check().unwrap();
    assert_eq!(generate(&dataset, &rows), Ok(generated.clone()), "the same again");
    Ok(generated)
}

use ColumnRole::{Expected, Ignored, Input, Judgment, Notes};

const CHAT: [(&str, ColumnRole); 5] =
    [("question", Input), ("answer", Input), ("reference", Expected), ("verdict", Judgment), ("notes", Notes)];

/// The judge of what is generated, and with how many verdicts it agrees, of how many.
fn judge(columns: &[(&str, ColumnRole)], rows: &[Value]) -> (Value, Option<(usize, usize)>) {
    let Generated { config, agreement } = from(columns, json!([]), rows).unwrap();
    (json!(config.judge), agreement.map(|Agreement { judged, agreed }| (agreed, judged)))
}

fn compares(kind: &str) -> Value {
    json!({ "type": kind, "column": "answer", "expected_column": "reference" })
}

#[test]
fn columns_are_the_inputs_with_the_type_that_all_values_have() {
    let columns = [
        ("text", Input),
        ("number", Input),
        ("mixed", Input),
        ("sometimes", Input),
        ("never", Input),
        ("list", Input),
        ("hidden", Ignored),
        ("verdict", Judgment),
        ("notes", Notes),
    ];
    let mut rows = vec![
        json!({ "text": "a", "number": 1, "mixed": 1, "sometimes": true, "list": [], "hidden": 1, "verdict": "good" }),
        json!({ "text": "b", "number": 1.5, "mixed": "1", "sometimes": null, "list": [1] }),
    ];
    let generated = |rows: &[Value]| json!(from(&columns, json!([]), rows).unwrap().config.columns);
    let expected = json!([
        { "name": "text", "type": "string", "required": true },
        { "name": "number", "type": "number", "required": true },
        { "name": "mixed", "type": "any", "required": true },
        { "name": "sometimes", "type": "boolean", "required": false },
        { "name": "never", "type": "any", "required": false },
        { "name": "list", "type": "array", "required": true },
    ]);
    assert_eq!(generated(&rows), expected);
    rows.resize(100, rows[0].clone());
    rows.push(json!({ "text": 7 }));
    assert_eq!(generated(&rows), expected, "the first hundred say it");
    let empty = generated(&[]);
    let says = |column: &Value| column["type"] == "any" && column["required"] == false;
    assert!(empty.as_array().unwrap().iter().all(says), "{empty}");
    let none = from(&[("verdict", Judgment)], json!([]), &rows);
    assert_eq!(none, Err("the data set has no column of the role `input`".to_owned()));
}

#[test]
fn without_verdicts_the_column_most_like_the_expected_one_is_to_be_the_same() {
    let row = |n: i32| json!({ "question": format!("What is {n} and {n}?"), "answer": format!("That is {n}, I think"), "reference": format!("That is {n}") });
    let rows: Vec<Value> = (0..5).map(row).collect();
    assert_eq!(judge(&CHAT, &rows), (compares("exact_match"), None));
    assert_eq!(judge(&CHAT, &[]), (compares("exact_match"), None), "the last one if nothing tells");
    let swapped: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "question": row["answer"], "answer": row["question"], "reference": row["reference"] }))
        .collect();
    assert_eq!(judge(&CHAT, &swapped).0["column"], "question");
    let names = json!(from(&CHAT, json!([]), &rows).unwrap().config.columns);
    let names: Vec<&Value> = names.as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["question", "answer", "reference"], "what is compared with is to be sent, too");
}

#[test]
fn rule_that_explains_the_verdicts_is_taken() {
    let row = |answer: &str, verdict: &str| json!({ "question": "q", "answer": answer, "reference": "The cat sat", "verdict": verdict });
    let same = [row("The cat sat", "good"), row("The cat sat.", "bad"), row("A dog", "bad")];
    assert_eq!(judge(&CHAT, &same), (compares("exact_match"), Some((3, 3))));
    let case = [row("the  cat SAT", "good"), row("The cat sat", "good"), row("The cat sat.", "bad")];
    assert_eq!(judge(&CHAT, &case), (compares("normalized_match"), Some((3, 3))));
    let within = [row("Well, the cat sat there", "yes"), row("Sat the cat", "no"), row("the cat sat", "yes")];
    let mut contains = compares("contains");
    contains["needs"] = json!("all");
    contains["normalized"] = json!(true);
    assert_eq!(judge(&CHAT, &within), (contains, Some((3, 3))));
    let alike = [
        row("the cat has sat", "pass"),
        row("cat sat, the", "pass"),
        row("the dog has run", "fail"),
        row("a cat is a cat", "fail"),
    ];
    let (overlap, agreement) = judge(&CHAT, &alike);
    assert_eq!((&overlap["type"], agreement), (&json!("token_overlap"), Some((4, 4))));
    assert_eq!(overlap["threshold"], json!(0.85), "{overlap}");
    // Those who judged good alone show that it need not be the same.
    let good = [row("the cat has sat", "good"), row("The cat sat", "good")];
    assert_eq!(judge(&CHAT, &good).0["type"], "token_overlap");
}

/// The answers and whether each is good.
fn judged(rows: impl Iterator<Item = (Value, bool)>) -> Vec<Value> {
    rows.map(|(answer, good)| json!({ "question": "q", "answer": answer, "verdict": good })).collect()
}

const UNEXPECTED: [(&str, ColumnRole); 3] = [("question", Input), ("answer", Input), ("verdict", Judgment)];

#[test]
fn rule_about_one_column_is_taken_if_it_is_more_than_chance() {
    let json_text = |n: i32| if n % 2 == 0 { json!(format!("{{\"n\": {n}}}")) } else { json!(format!("n = {n} }}")) };
    let cases: [(Vec<Value>, Value); 5] = [
        (
            judged((0..20).map(|n| (json!(n), n >= 7))),
            json!({ "type": "numeric_range", "column": "answer", "min": 7.0 }),
        ),
        (
            judged((0..20).map(|n| (json!(n.to_string()), n <= 7))),
            json!({ "type": "numeric_range", "column": "answer", "max": 7.0 }),
        ),
        (
            judged((1..=20).map(|n| (json!("é".repeat(n)), n <= 12))),
            json!({ "type": "length", "column": "answer", "unit": "characters", "max": 12 }),
        ),
        (
            judged((0..20).map(|n| (json!(if n % 3 == 0 { "yes" } else { "certainly" }), n % 3 == 0))),
            json!({ "type": "exact_match", "column": "answer", "expected": "yes" }),
        ),
        (
            judged((0..20).map(|n| (json_text(n), n % 2 == 0))),
            json!({ "type": "json_schema", "column": "answer", "schema": { "type": ["object", "array"] } }),
        ),
    ];
    for (rows, expected) in cases {
        assert_eq!(judge(&UNEXPECTED, &rows), (expected, Some((rows.len(), rows.len()))));
    }
    let one_wrong = judged((0..20).map(|n| (json!(n), n >= 7 && n != 15)));
    let (rule, agreement) = judge(&UNEXPECTED, &one_wrong);
    assert_eq!((&rule["min"], agreement), (&json!(7.0), Some((19, 20))));

    let too_few = judged((0..9).map(|n| (json!(n), n >= 5)));
    let too_alike = judged((0..40).map(|n| (json!("x"), n >= 3)));
    let no_pattern = judged((0..40).map(|n| (json!(n), n % 2 == 0)));
    let ratings: Vec<Value> = (0..20).map(|n| json!({ "answer": n, "verdict": n % 5 })).collect();
    let other_words: Vec<Value> =
        (0..20).map(|n| json!({ "answer": n, "verdict": if n > 5 { "grounded" } else { "made up" } })).collect();
    for rows in [too_few, too_alike, no_pattern, ratings, other_words] {
        let (judge, agreement) = judge(&UNEXPECTED, &rows);
        assert_eq!((&judge["type"], agreement), (&json!("model"), None), "{judge}");
    }
}

#[test]
fn model_is_told_the_question_the_verdicts_and_examples_of_each() {
    let judgments = json!([{ "name": "j", "question": "Is it grounded?", "verdicts": ["grounded", "made up", "unsure"], "column": "verdict" }]);
    let row = |n: i32| json!({ "question": format!("q{n}"), "answer": format!("a{n}"), "reference": "r", "verdict": if n < 8 { "grounded" } else { "made up" }, "notes": if n == 8 { json!("no source") } else { Value::Null } });
    let mut rows: Vec<Value> = (0..10).map(row).collect();
    rows.push(json!({ "question": "not judged" }));
    let generated = from(&CHAT, judgments.clone(), &rows).unwrap();
    let instructions = json!(generated.config.judge)["instructions"].as_str().unwrap().to_owned();
    let expected = "Is it grounded?

What people said of others:
- {\"question\":\"q0\",\"answer\":\"a0\"}: grounded
- {\"question\":\"q8\",\"answer\":\"a8\"}: made up, because: no source
- {\"question\":\"q1\",\"answer\":\"a1\"}: grounded
- {\"question\":\"q9\",\"answer\":\"a9\"}: made up
- {\"question\":\"q2\",\"answer\":\"a2\"}: grounded
- {\"question\":\"q3\",\"answer\":\"a3\"}: grounded";
    assert_eq!(instructions, expected);
    let chosen = |judge: &Judge| (json!(judge)["verdicts"].clone(), json!(judge)["passing"].clone());
    assert_eq!(chosen(&generated.config.judge), (json!(["grounded", "made up", "unsure"]), json!(["grounded"])));
    let words = from(
        &UNEXPECTED,
        json!([]),
        &[json!({ "answer": 1, "verdict": "wrong" }), json!({ "answer": 2, "verdict": "right" })],
    );
    assert_eq!(chosen(&words.unwrap().config.judge), (json!(["wrong", "right"]), json!(["right"])));
    assert_eq!(generated.config.columns.len(), 2, "the model is not told what is expected");
    // However long everything is, the model's instructions are as long as they may be.
    let long = "é".repeat(20_000);
    let verdicts: Vec<String> = (0..100).map(|n| format!("{n}{}", "v".repeat(200))).collect();
    let judgments = json!([{ "name": "j", "question": long, "verdicts": verdicts, "column": "verdict" }]);
    let rows: Vec<Value> = (0..50)
        .map(|n| json!({ "question": long, "answer": long, "verdict": format!("{long}{n}"), "notes": long }))
        .collect();
    from(&CHAT, judgments, &rows).unwrap();
    assert_eq!(
        judge(&UNEXPECTED, &[]).0,
        json!({ "type": "model", "instructions": "Is this good?", "verdicts": ["pass", "fail"], "passing": ["pass"] })
    );
}
