//! Judges that are rules: what passes, what fails and why, and which cannot be written.

use bitting_evals::domain::{
    dataset::DatasetRow,
    evaluation::EvaluationConfig,
    judge::{InvalidField, Judge, Judgment},
};
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use serde_json::{Map, Value, json};

fn row(value: Value) -> DatasetRow {
    serde_json::from_value(value).unwrap()
}

/// A judge of the column `a`.
fn judge(name: &str, rest: Value) -> Judge {
    let mut judge = json!({ "type": name, "column": "a" });
    judge.as_object_mut().unwrap().extend(serde_json::from_value::<Map<String, Value>>(rest).unwrap());
    let judge: Judge = serde_json::from_value(judge).unwrap();
    judge.check().unwrap();
    judge
}

fn judged(judge: &Judge, inputs: Value) -> Judgment {
    let judgment = judge.by_rule(&row(inputs)).judgment().unwrap();
    assert_eq!(judgment.verdict, if judgment.passed { "pass" } else { "fail" });
    assert!(judgment.explanation.chars().count() < 1_000, "{}", judgment.explanation);
    judgment
}

/// A rule, what else it says, a value, whether it passes, and why.
type Case<'a> = (&'a str, Value, Value, bool, &'a str);

fn judge_all(cases: &[Case<'_>]) {
    for (name, rest, value, passed, explanation) in cases {
        let judgment = judged(&judge(name, rest.clone()), json!({ "a": value }));
        assert_eq!((judgment.passed, judgment.explanation.as_str()), (*passed, *explanation), "{name} {rest} {value}");
        assert_eq!(judgment.score.is_some(), *name == "token_overlap");
    }
}

#[test]
fn rules_about_texts_pass_what_fits_and_say_why_the_rest_does_not() {
    let long = "x".repeat(500);
    judge_all(&[
        ("exact_match", json!({ "expected": "yes" }), json!("yes"), true, "`a` is \"yes\", as expected."),
        ("exact_match", json!({ "expected": "yes" }), json!("Yes"), false, "`a` is \"Yes\", and \"yes\" was expected."),
        ("exact_match", json!({ "expected": "1" }), json!(1), false, "`a` is 1, and \"1\" was expected."),
        ("exact_match", json!({ "expected": 1 }), json!(1.0), true, "`a` is 1.0, as expected."),
        (
            "exact_match",
            json!({ "expected": { "b": [1, 2], "c": null } }),
            json!({ "c": null, "b": [1.0, 2] }),
            true,
            "`a` is {\"b\":[1.0,2],\"c\":null}, as expected.",
        ),
        (
            "exact_match",
            json!({ "expected": 9_007_199_254_740_993_i64 }),
            json!(9_007_199_254_740_992_i64),
            false,
            "`a` is 9007199254740992, and 9007199254740993 was expected.",
        ),
        (
            "exact_match",
            json!({ "expected": format!("{long}y") }),
            json!(format!("{long}z{long}")),
            false,
            &format!("`a` is \"…{}z{}…\", and \"…{}y\" was expected.", &long[..30], &long[..89], &long[..30]),
        ),
        (
            "normalized_match",
            json!({ "expected": "New  York" }),
            json!(" new\n\u{a0}yORK"),
            true,
            "`a` is \"new york\", as expected.",
        ),
        (
            "normalized_match",
            json!({ "expected": "New York" }),
            json!("newyork"),
            false,
            "`a` is \"newyork\", and \"new york\" was expected.",
        ),
        ("normalized_match", json!({ "expected": "ÄRGER" }), json!("ärger"), true, "`a` is \"ärger\", as expected."),
        ("normalized_match", json!({ "expected": "TRUE" }), json!(true), true, "`a` is \"true\", as expected."),
        ("contains", json!({ "expected": ["b", "c"] }), json!("abc"), true, "`a` has all that it needs."),
        ("contains", json!({ "expected": ["b", "d"] }), json!("abc"), false, "`a` does not have \"d\" in it."),
        ("contains", json!({ "expected": ["d", "b"], "needs": "any" }), json!("abc"), true, "`a` has \"b\" in it."),
        (
            "contains",
            json!({ "expected": ["d", "B"], "needs": "any" }),
            json!("abc"),
            false,
            "`a` has none of what it needs.",
        ),
        (
            "contains",
            json!({ "expected": ["A  b"], "normalized": true }),
            json!("x a\nB y"),
            true,
            "`a` has all that it needs.",
        ),
        ("contains", json!({ "expected": ["\"b\":1"] }), json!({ "b": 1 }), true, "`a` has all that it needs."),
        ("regex", json!({ "pattern": "^[a-z]+\\d{2}$" }), json!("abc12"), true, "`a` matches with \"abc12\"."),
        ("regex", json!({ "pattern": "^[a-z]+$" }), json!("abc\n"), false, "`a` is \"abc\\n\", which does not match."),
        (
            "regex",
            json!({ "pattern": "(?i)ERROR: (.+)" }),
            json!("an error: no disk"),
            true,
            "`a` matches with \"error: no disk\".",
        ),
        ("regex", json!({ "pattern": "^4[0-9]{2}$" }), json!(404), true, "`a` matches with \"404\"."),
    ]);
}

#[test]
fn rules_about_numbers_pass_what_fits_and_say_why_the_rest_does_not() {
    judge_all(&[
        ("numeric_range", json!({ "min": 0, "max": 1 }), json!(1.0), true, "`a` is 1, which is in the range."),
        ("numeric_range", json!({ "min": 0, "max": 1 }), json!(1.01), false, "`a` is 1.01, which is more than 1."),
        ("numeric_range", json!({ "min": 0 }), json!(-1), false, "`a` is -1, which is less than 0."),
        ("numeric_range", json!({ "max": 7.5 }), json!(" 7.5 "), true, "`a` is 7.5, which is in the range."),
        ("numeric_range", json!({ "max": 7 }), json!("seven"), false, "`a` is \"seven\", which is no number."),
        ("numeric_range", json!({ "max": 7 }), json!("NaN"), false, "`a` is \"NaN\", which is no number."),
        ("numeric_range", json!({ "max": 7 }), json!("[1]"), false, "`a` is \"[1]\", which is no number."),
        ("numeric_range", json!({ "max": 7 }), json!(true), false, "`a` is \"true\", which is no number."),
        ("length", json!({ "min": 2, "max": 3.0 }), json!("äöü"), true, "`a` has 3 characters, which is in the range."),
        ("length", json!({ "max": 2 }), json!("äöü"), false, "`a` has 3 characters, which is more than 2."),
        ("length", json!({ "min": 1 }), json!(""), false, "`a` has 0 characters, which is less than 1."),
        (
            "length",
            json!({ "min": 2, "unit": "words" }),
            json!("one  two\n"),
            true,
            "`a` has 2 words, which is in the range.",
        ),
        (
            "token_overlap",
            json!({ "expected": "the cat sat", "threshold": 0.8 }),
            json!("The cat, it SAT."),
            true,
            "`a` has 3 of the 3 words that were expected, among 4 words: 0.86 where 0.8 is enough.",
        ),
        (
            "token_overlap",
            json!({ "expected": "the the dog", "threshold": 0.5 }),
            json!("the cat"),
            false,
            "`a` has 1 of the 3 words that were expected, among 2 words: 0.40 where 0.5 is enough.",
        ),
        (
            "token_overlap",
            json!({ "expected": "?", "threshold": 1 }),
            json!("!"),
            true,
            "`a` has 0 of the 0 words that were expected, among 0 words: 1.00 where 1 is enough.",
        ),
    ]);
}

#[test]
fn the_larger_a_pattern_the_shorter_the_texts_that_it_judges() {
    let large = judge("regex", json!({ "pattern": "^(?:[a-z]{0,20}){10}!" }));
    let small = judge("regex", json!({ "pattern": "^(a+)+$" }));
    let (short, long) = ("a".repeat(5_000), "a".repeat(60_000));
    assert!(judged(&small, json!({ "a": long })).passed);
    let explained = |text: &str| judged(&large, json!({ "a": text })).explanation;
    assert!(explained(&short).ends_with("which does not match."));
    assert_eq!(explained(&long), "`a` has 60000 bytes, too many for so large a pattern.");
    let schema = judge("json_schema", json!({ "schema": { "anyOf": [{ "pattern": "^(?:[a-z]{0,20}){10}!" }, true] } }));
    assert!(judged(&schema, json!({ "a": short })).passed);
    let judgment = judged(&schema, json!({ "a": long }));
    assert_eq!(judgment.explanation, "`a` does not fit the schema: the schema takes too long to judge it.");
}

#[test]
fn what_is_expected_may_stand_in_another_column() {
    for (name, rest, value, expected, passed) in [
        ("exact_match", json!({}), json!([1]), json!([1.0]), true),
        ("exact_match", json!({}), json!([1]), json!([2]), false),
        ("normalized_match", json!({}), json!("A"), json!("a "), true),
        ("contains", json!({}), json!("abc"), json!("b"), true),
        ("contains", json!({}), json!("abc"), json!(["b", "d"]), false),
        ("contains", json!({ "needs": "any" }), json!("abc"), json!(["b", "d"]), true),
        ("token_overlap", json!({ "threshold": 1 }), json!("a b"), json!("b a"), true),
    ] {
        let mut rest = rest;
        rest["expected_column"] = json!("b");
        let judge = judge(name, rest);
        let judgment = judged(&judge, json!({ "a": value, "b": expected }));
        assert_eq!(judgment.passed, passed, "{name}: {}", judgment.explanation);
        for inputs in [json!({ "a": value }), json!({ "a": value, "b": null })] {
            let judgment = judged(&judge, inputs);
            assert_eq!((judgment.passed, judgment.explanation.as_str()), (false, "`b` has no value to compare with."));
        }
    }
}

#[test]
fn no_value_fails_every_rule() {
    for (name, rest) in rules() {
        for inputs in [json!({}), json!({ "a": null }), json!({ "b": 1 })] {
            let judgment = judged(&judge(name, rest.clone()), inputs);
            assert_eq!((judgment.passed, judgment.explanation.as_str()), (false, "`a` has no value."), "{name}");
        }
    }
}

/// One of each rule.
fn rules() -> Vec<(&'static str, Value)> {
    vec![
        ("exact_match", json!({ "expected": "x" })),
        ("normalized_match", json!({ "expected": "x" })),
        ("contains", json!({ "expected": ["x"], "needs": "any", "normalized": true })),
        ("regex", json!({ "pattern": "(x|y)*z" })),
        (
            "json_schema",
            json!({ "schema": { "type": ["object", "string"], "additionalProperties": { "pattern": "^(a+)+$" } } }),
        ),
        ("numeric_range", json!({ "min": 0 })),
        ("length", json!({ "unit": "words", "min": 1 })),
        ("token_overlap", json!({ "expected": "x", "threshold": 0.5 })),
    ]
}

#[test]
fn judges_that_cannot_judge_are_refused_with_the_field() {
    for (judge, field, message) in [
        (
            json!({ "type": "exact_match", "column": "a" }),
            "judge.expected",
            "say either `expected` or `expected_column`",
        ),
        (
            json!({ "type": "exact_match", "column": "a", "expected": 1, "expected_column": "a" }),
            "judge.expected",
            "say either",
        ),
        (json!({ "type": "exact_match", "column": "a", "expected": null }), "judge.expected", "must not be null"),
        (json!({ "type": "exact_match", "column": "a", "expected": nested(33) }), "judge.expected", "32 levels"),
        (
            json!({ "type": "exact_match", "column": "a", "expected": "x".repeat(40_000) }),
            "judge.expected",
            "at most 32768 bytes",
        ),
        (json!({ "type": "exact_match", "column": "b", "expected": 1 }), "judge.column", "there is no column `b`"),
        (
            json!({ "type": "exact_match", "column": "a", "expected_column": "b" }),
            "judge.expected_column",
            "there is no column `b`",
        ),
        (
            json!({ "type": "normalized_match", "column": "a", "expected": "" }),
            "judge.expected",
            "1 to 10000 characters",
        ),
        (json!({ "type": "contains", "column": "a", "expected": [] }), "judge.expected", "must be 1 to 100 texts"),
        (
            json!({ "type": "contains", "column": "a", "expected": ["x", ""] }),
            "judge.expected[1]",
            "1 to 10000 characters",
        ),
        (
            json!({ "type": "regex", "column": "a", "pattern": "(" }),
            "judge.pattern",
            "is not a supported regular expression",
        ),
        (
            json!({ "type": "regex", "column": "a", "pattern": "(?=a)" }),
            "judge.pattern",
            "look-around is not supported",
        ),
        (
            json!({ "type": "regex", "column": "a", "pattern": r"(a)\1" }),
            "judge.pattern",
            "backreferences are not supported",
        ),
        (json!({ "type": "regex", "column": "a", "pattern": "((a{100}){100}){100}" }), "judge.pattern", "size limit"),
        (
            json!({ "type": "regex", "column": "a", "pattern": "(".repeat(900) }),
            "judge.pattern",
            "is not a supported regular expression",
        ),
        (
            json!({ "type": "regex", "column": "a", "pattern": "a".repeat(1_001) }),
            "judge.pattern",
            "at most 1000 characters",
        ),
        (json!({ "type": "numeric_range", "column": "a" }), "judge.min", "say `min`, `max` or both"),
        (json!({ "type": "numeric_range", "column": "a", "min": 2, "max": 1 }), "judge.min", "must not be above `max`"),
        (json!({ "type": "length", "column": "a", "min": 2, "max": 1 }), "judge.min", "must not be above `max`"),
        (
            json!({ "type": "token_overlap", "column": "a", "expected": "x", "threshold": 1.5 }),
            "judge.threshold",
            "from 0 to 1",
        ),
        (json!({ "type": "model", "instructions": "" }), "judge.instructions", "1 to 10000 characters"),
        (json!({ "type": "model", "instructions": "x", "verdicts": ["a"] }), "judge.verdicts", "2 to 20 verdicts"),
        (
            json!({ "type": "model", "instructions": "x", "verdicts": ["a", "b"] }),
            "judge.passing[0]",
            "must be one of `verdicts`",
        ),
        (
            json!({ "type": "model", "instructions": "x", "verdicts": ["a", "b", "a"], "passing": ["a"] }),
            "judge.verdicts[2]",
            "is there before",
        ),
        (json!({ "type": "model", "instructions": "x", "passing": [] }), "judge.passing", "one verdict at least"),
    ] {
        let config: EvaluationConfig =
            serde_json::from_value(json!({ "columns": [{ "name": "a" }], "judge": judge })).unwrap();
        let InvalidField { field: at, message: why } = config.check().unwrap_err();
        assert!(at == field && why.contains(message), "{judge}: {at}: {why}");
    }
}

#[test]
fn fields_that_no_judge_knows_and_nulls_are_no_judge() {
    for judge in [
        json!({ "type": "exact_match", "column": "a", "expected": 1, "more": 1 }),
        json!({ "type": "exact_match", "column": "a", "expected": 1, "expected_column": null }),
        json!({ "type": "numeric_range", "column": "a", "min": null, "max": 1 }),
        json!({ "type": "length", "column": "a", "min": 1.5 }),
        json!({ "type": "length", "column": "a", "min": -1 }),
        json!({ "type": "length", "column": "a", "min": 1_000_001 }),
        json!({ "type": "other", "column": "a" }),
        json!({ "column": "a", "expected": 1 }),
    ] {
        assert!(serde_json::from_value::<Judge>(judge.clone()).is_err(), "{judge}");
    }
}

#[test]
fn a_stored_judge_is_read_as_it_was_written() {
    for (name, rest) in rules() {
        let judge = judge(name, rest);
        let stored = serde_json::to_string(&judge).unwrap();
        assert!(!stored.contains("null"), "{stored}");
        assert_eq!(serde_json::from_str::<Judge>(&stored).unwrap(), judge);
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |value, _| json!([value]))
}

#[test]
fn a_schema_says_where_a_value_does_not_fit() {
    let person = json!({
        "$defs": { "person": {
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "minLength": 1 },
                "age": { "type": "integer", "minimum": 0 },
                "friends": { "type": "array", "items": { "$ref": "#/$defs/person" } },
            },
        } },
        "$ref": "#/$defs/person",
    });
    for (schema, value, why) in [
        (person.clone(), json!({ "name": "A", "friends": [{ "name": "B", "age": 3.0 }] }), ""),
        (person.clone(), json!("{\"name\": \"A\"}"), ""),
        (person.clone(), json!("A"), "it must be of type \"object\", and is \"A\""),
        (person.clone(), json!("[1]"), "it must be of type \"object\", and is an array of 1"),
        (person.clone(), json!({ "age": 1 }), "it must have \"name\""),
        (person.clone(), json!({ "name": "A", "size": 1 }), "\"size\" must not be there"),
        (
            person,
            json!({ "name": "A", "friends": [{ "name": "B" }, { "name": "C", "age": -1 }] }),
            "\"friends.1.age\" must be at least 0, and is -1",
        ),
        (
            json!({ "anyOf": [{ "const": 1 }, { "const": 2 }] }),
            json!(3),
            "it must be 1 (the first of `anyOf`, of which no other fits)",
        ),
        (
            json!({ "oneOf": [{ "minimum": 1 }, { "minimum": 2 }] }),
            json!(3),
            "it fits 2 of the schemas of `oneOf`, and must fit one",
        ),
        (json!({ "not": { "enum": [1, 2] } }), json!(2.0), "it fits the schema of `not`"),
        (json!({ "pattern": "^a+$" }), json!("b"), "it must match the pattern \"^a+$\", and is \"b\""),
        (json!({ "format": "email" }), json!("b"), ""),
        (json!(false), json!(1), "it must not be there"),
        (json!({ "uniqueItems": true }), json!([1, 2, 1.0]), "it must have no item twice, as 1"),
        (json!({}), nested(33), "it is nested more than 32 levels deep"),
    ] {
        let judgment = judged(&judge("json_schema", json!({ "schema": schema })), json!({ "a": value }));
        let expected = if why.is_empty() {
            "`a` fits the schema.".to_owned()
        } else {
            format!("`a` does not fit the schema: {why}.")
        };
        assert_eq!(judgment.explanation, expected, "{schema} {value}");
    }
}

#[test]
fn schemas_that_cannot_be_used_are_refused_with_the_place() {
    for (schema, field, message) in [
        (json!({ "properties": { "b": { "type": "text" } } }), "schema.properties.b.type", "one of the types"),
        (json!({ "allOf": [{}, { "minimum": "1" }] }), "schema.allOf[1].minimum", "must be a number"),
        (json!({ "allOf": [] }), "schema.allOf", "must be an array of schemas"),
        (json!({ "items": [{}] }), "schema.items", "must be a schema"),
        (json!({ "maxLength": -1 }), "schema.maxLength", "whole number"),
        (json!({ "multipleOf": 0 }), "schema.multipleOf", "above 0"),
        (json!({ "pattern": "(?<!a)b" }), "schema.pattern", "look-around"),
        (
            json!({ "patternProperties": { "(": {} } }),
            "schema.patternProperties",
            "is not a supported regular expression",
        ),
        (json!({ "$ref": "https://example.com/schema" }), "schema.$ref", "must be `#`, or `#/$defs/` and a name"),
        (json!({ "$ref": "#" }), "schema", "has a `$ref` that leads back to itself for the same value"),
        (json!({ "not": { "$ref": "#" } }), "schema", "has a `$ref` that leads back to itself for the same value"),
        (json!({ "$ref": "#/$defs/a" }), "schema.$ref", "must be `#`, or `#/$defs/` and a name"),
        (json!({ "$id": "a", "not": { "$id": "b" } }), "schema.not.$id", "is not a supported keyword"),
        (json!({ "unevaluatedProperties": false }), "schema.unevaluatedProperties", "is not a supported keyword"),
        (json!({ "required": "a" }), "schema.required", "must be an array of texts"),
        (json!({ "not": { "not": nested(33) } }), "schema", "32 levels"),
        (json!({ "$schema": "https://example.com/mine" }), "schema.$schema", "json-schema.org"),
        (json!("object"), "schema", "must be a schema"),
    ] {
        let judge: Judge =
            serde_json::from_value(json!({ "type": "json_schema", "column": "a", "schema": schema })).unwrap();
        let InvalidField { field: at, message: why } = judge.check().unwrap_err();
        assert!(at == field && why.contains(message), "{schema}: {at}: {why}");
    }
}

/// References to references would ask for 2⁴⁰ steps.
#[test]
fn a_schema_that_asks_for_too_many_steps_fails_soon() {
    let mut definitions = Map::new();
    for level in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/{}", level + 1) });
        definitions.insert(level.to_string(), json!({ "not": { "not": { "allOf": [next, next] } } }));
    }
    definitions.insert("40".to_owned(), json!({ "type": "number" }));
    let schema = json!({ "$defs": definitions, "$ref": "#/$defs/0" });
    let judgment = judged(&judge("json_schema", json!({ "schema": schema })), json!({ "a": 1 }));
    assert_eq!(judgment.explanation, "`a` does not fit the schema: the schema takes too long to judge it.");
}

/// What is compared, counted or matched is paid for, however often a schema asks for it.
#[test]
fn a_schema_that_asks_for_much_of_a_large_value_fails_soon() {
    let numbers: Vec<i64> = (0..5_000).collect();
    let names: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let members: Map<String, Value> = (0..5_000).map(|number| (number.to_string(), json!(number))).collect();
    for (much, value) in [
        (json!({ "const": numbers }), json!(numbers)),
        (json!({ "uniqueItems": true }), json!(numbers)),
        (json!({ "items": { "type": "integer" } }), json!(numbers)),
        (json!({ "minLength": 1 }), json!("a".repeat(60_000))),
        (json!({ "not": { "pattern": "b" } }), json!("a".repeat(60_000))),
        (json!({ "additionalProperties": true }), json!(members)),
        (json!({ "required": names }), json!(members)),
        (json!({ "patternProperties": { "[a-z]": false } }), json!(members)),
    ] {
        let passes = judge("json_schema", json!({ "schema": much }));
        assert!(judged(&passes, json!({ "a": value })).passed, "{much}");
        let times = |name: &str| vec![json!({ "$ref": format!("#/$defs/{name}") }); 40];
        let definitions = json!({ "much": much, "often": { "allOf": times("much") } });
        let often = judge("json_schema", json!({ "schema": { "$defs": definitions, "allOf": times("often") } }));
        let judgment = judged(&often, json!({ "a": value }));
        assert!(
            judgment.explanation.ends_with("the schema takes too long to judge it."),
            "{much}: {}",
            judgment.explanation
        );
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        proptest::strategy::Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9.eE+-]{0,12}".prop_map(Value::from),
        "[\\[\\]{}\":, a1]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-c$]{0,3}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_judged_by_any_rule(value in anything()) {
        for (name, rest) in rules() {
            judged(&judge(name, rest), json!({ "a": value }));
        }
    }

    #[test]
    fn any_value_is_exactly_itself(value in anything()) {
        let exact: Judge = serde_json::from_value(json!({ "type": "exact_match", "column": "a", "expected_column": "b" })).unwrap();
        let judgment = judged(&exact, json!({ "a": value, "b": value }));
        assert_eq!(judgment.passed, !value.is_null());
        if !value.is_null() {
            let schema = judge_of_schema(&json!({ "const": value }));
            // A text that is JSON is read.
            assert!(value.is_string() || judged(&schema, json!({ "a": value })).passed);
        }
    }

    #[test]
    fn any_pattern_is_refused_or_judges(pattern in any::<String>(), odd in "[a-c()\\[\\]{}*+?|\\\\^$.0-9,-]{0,30}", text in any::<String>()) {
        for pattern in [pattern, odd] {
            let regex: Judge = serde_json::from_value(json!({ "type": "regex", "column": "a", "pattern": pattern })).unwrap();
            if regex.check().is_ok() {
                judged(&regex, json!({ "a": text }));
            }
        }
    }

    #[test]
    fn any_schema_is_refused_or_judges(schema in any_schema(), value in anything()) {
        let judge = judge_of_schema(&schema);
        if judge.check().is_ok() {
            judged(&judge, json!({ "a": value }));
        }
    }
}

fn judge_of_schema(schema: &Value) -> Judge {
    serde_json::from_value(json!({ "type": "json_schema", "column": "a", "schema": schema })).unwrap()
}

/// Mostly schemas.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![
            json!({ "type": "string" }),
            json!({ "type": ["array", "null"] }),
            json!({ "minimum": 0.5, "multipleOf": 0.1 }),
            json!({ "maxLength": 3, "pattern": "(a|b)*c" }),
            json!({ "minItems": 1, "uniqueItems": true }),
            json!({ "required": ["a"], "dependentRequired": { "a": ["b"] } }),
            json!({ "$ref": "#" }),
        ]),
        anything(),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let keyword = prop::sample::select(vec![
            "not",
            "items",
            "contains",
            "if",
            "then",
            "else",
            "additionalProperties",
            "propertyNames",
        ]);
        let lists = prop::sample::select(vec!["allOf", "anyOf", "oneOf", "prefixItems"]);
        let maps = prop::sample::select(vec!["properties", "patternProperties", "dependentSchemas"]);
        prop_oneof![
            prop::collection::vec((keyword, inner.clone()), 1..4).prop_map(|members| members
                .into_iter()
                .map(|(name, schema)| (name.to_owned(), schema))
                .collect::<Map<_, _>>()
                .into()),
            (lists, prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(keyword, schemas)| json!({ keyword: schemas })),
            (maps, prop::collection::hash_map("[a-c]{1,2}", inner, 0..4))
                .prop_map(|(keyword, schemas)| json!({ keyword: schemas })),
        ]
    })
}
