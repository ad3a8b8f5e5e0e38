//! Judges: what an evaluation asks of its inputs. Those of rules decide here; a model's verdict is asked
//! for elsewhere and only read here.

use std::collections::HashMap;

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{dataset::Row, key::Name};

/// The most characters of a regular expression.
const MAX_PATTERN_CHARS: usize = 1_000;
/// The most bytes that the program of a regular expression may take.
const MAX_PATTERN_BYTES: usize = 256 * 1024;
/// The most bytes of a JSON Schema.
const MAX_SCHEMA_BYTES: usize = 32 * 1024;

/// The verdict of a rule that holds.
pub const PASS: &str = "pass";
/// The verdict of a rule that does not.
pub const FAIL: &str = "fail";

/// What an input is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Expected {
    /// This text.
    Text(String),
    /// What another input says.
    Column(Name),
}

/// In what a length is counted, or an overlap compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Unicode's scalar values.
    Characters,
    /// Runs of letters and digits, in lower case.
    Words,
    /// What stands between blanks, as it stands.
    Tokens,
}

/// How an evaluation judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Judge {
    /// The input is what is expected.
    Exact {
        /// The input.
        column: Name,
        /// What it must be.
        expected: Expected,
        /// Whether case, punctuation and the number of blanks do not matter.
        #[serde(default)]
        normalised: bool,
    },
    /// The input contains what is expected.
    Contains {
        /// The input.
        column: Name,
        /// What must be in it.
        expected: Expected,
        /// Whether case, punctuation and the number of blanks do not matter.
        #[serde(default)]
        normalised: bool,
    },
    /// A part of the input matches a regular expression. It takes time in proportion to the input.
    Regex {
        /// The input.
        column: Name,
        /// The expression; `^` and `$` tie it to the ends.
        pattern: String,
        /// Whether the case of ASCII letters does not matter.
        #[serde(default)]
        ignore_case: bool,
    },
    /// The input is JSON that fits a schema.
    JsonSchema {
        /// The input: JSON, or a text that is JSON.
        column: Name,
        /// The JSON Schema.
        schema: Value,
    },
    /// The input is a number within these bounds.
    Range {
        /// The input: a number, or a text that is one.
        column: Name,
        /// The least.
        #[serde(default)]
        min: Option<f64>,
        /// The most.
        #[serde(default)]
        max: Option<f64>,
    },
    /// The input has a length within these bounds.
    Length {
        /// The input.
        column: Name,
        /// What is counted.
        unit: Unit,
        /// The least.
        #[serde(default)]
        min: Option<usize>,
        /// The most.
        #[serde(default)]
        max: Option<usize>,
    },
    /// The input shares enough with what is expected: the F1 measure of what both have in common.
    Overlap {
        /// The input.
        column: Name,
        /// What it is compared with.
        expected: Expected,
        /// What is compared.
        unit: Unit,
        /// From which measure on it passes, from 0 to 1.
        threshold: f64,
    },
    /// A model decides.
    Model {
        /// What it is told.
        instructions: String,
        /// The verdicts that it may give.
        verdicts: Vec<Name>,
    },
}

/// A judgment on some inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// In a word: `pass` or `fail` of a rule, one of its verdicts of a model.
    pub judgment: String,
    /// As a number from 0 to 1, where there is one.
    pub score: Option<f64>,
    /// Why.
    pub explanation: String,
}

/// What one row says, as text.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl Judge {
    /// The inputs that it reads.
    pub fn columns(&self) -> Vec<&Name> {
        let (column, expected) = match self {
            Self::Exact { column, expected, .. }
            | Self::Contains { column, expected, .. }
            | Self::Overlap { column, expected, .. } => (column, Some(expected)),
            Self::Regex { column, .. }
            | Self::JsonSchema { column, .. }
            | Self::Range { column, .. }
            | Self::Length { column, .. } => (column, None),
            Self::Model { .. } => return Vec::new(),
        };
        let other = match expected {
            Some(Expected::Column(other)) => Some(other),
            Some(Expected::Text(_)) | None => None,
        };
        [Some(column), other].into_iter().flatten().collect()
    }

    /// Whether it can judge at all.
    ///
    /// # Errors
    /// Which field is wrong, and why, for people.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        match self {
            Self::Exact { .. } | Self::Contains { .. } => Ok(()),
            Self::Regex { pattern, ignore_case, .. } => {
                expression(pattern, *ignore_case).map(|_| ()).map_err(|why| ("pattern", why))
            }
            Self::JsonSchema { schema, .. } => {
                if schema.to_string().len() > MAX_SCHEMA_BYTES {
                    return Err(("schema", format!("has more than {MAX_SCHEMA_BYTES} bytes")));
                }
                jsonschema::validator_for(schema).map(|_| ()).map_err(|why| ("schema", why.to_string()))
            }
            Self::Range { min, max, .. } => bounds(min.as_ref(), max.as_ref()),
            Self::Length { min, max, .. } => bounds(min.as_ref(), max.as_ref()),
            Self::Overlap { threshold, unit, .. } => {
                if !(0.0..=1.0).contains(threshold) {
                    return Err(("threshold", "must be from 0 to 1".to_owned()));
                }
                if *unit == Unit::Characters {
                    return Err(("unit", "must be `words` or `tokens`".to_owned()));
                }
                Ok(())
            }
            Self::Model { instructions, verdicts } => {
                if instructions.trim().is_empty() {
                    return Err(("instructions", "must not be blank".to_owned()));
                }
                if verdicts.len() < 2 || (1..verdicts.len()).any(|at| verdicts[..at].contains(&verdicts[at])) {
                    return Err(("verdicts", "must be at least two, each different".to_owned()));
                }
                Ok(())
            }
        }
    }

    /// The verdict of a rule; `None` for a model.
    pub fn decide(&self, inputs: &Row) -> Option<Verdict> {
        let value = |column: &Name| {
            let found = inputs.0.iter().find(|(name, _)| name == column.as_str());
            found.map_or(&Value::Null, |(_, value)| value)
        };
        let expected = |expected: &Expected| match expected {
            Expected::Text(text) => text.clone(),
            Expected::Column(column) => text(value(column)),
        };
        Some(match self {
            Self::Exact { column, expected: other, normalised } => {
                let (given, other) = (form(&text(value(column)), *normalised), form(&expected(other), *normalised));
                let holds = given == other;
                rule(holds, format!("`{}` {} `{}`.", shown(&given), if holds { "is" } else { "is not" }, shown(&other)))
            }
            Self::Contains { column, expected: other, normalised } => {
                let (given, other) = (form(&text(value(column)), *normalised), form(&expected(other), *normalised));
                let holds = given.contains(&other);
                let verb = if holds { "contains" } else { "does not contain" };
                rule(holds, format!("`{}` {verb} `{}`.", column.as_str(), shown(&other)))
            }
            Self::Regex { column, pattern, ignore_case } => {
                let given = text(value(column));
                match expression(pattern, *ignore_case) {
                    Ok(expression) => {
                        let found = expression.find(&given).map(|found| shown(found.as_str()));
                        let why = match &found {
                            Some(part) => format!("`{}` has `{part}`, which matches.", column.as_str()),
                            None => format!("Nothing in `{}` matches the pattern.", column.as_str()),
                        };
                        rule(found.is_some(), why)
                    }
                    Err(why) => rule(false, why),
                }
            }
            Self::JsonSchema { column, schema } => fits(column, value(column), schema),
            Self::Range { column, min, max } => {
                let given = value(column);
                let number = given.as_f64().or_else(|| given.as_str()?.trim().parse().ok());
                match number.filter(|number| number.is_finite()) {
                    None => rule(false, format!("`{}` is no number.", column.as_str())),
                    Some(number) => within(column, "", number, min.as_ref(), max.as_ref()),
                }
            }
            Self::Length { column, unit, min, max } => {
                let given = text(value(column));
                let length = match unit {
                    Unit::Characters => given.chars().count(),
                    Unit::Words | Unit::Tokens => parts(&given, *unit).len(),
                };
                let unit = match unit {
                    Unit::Characters => " characters",
                    Unit::Words => " words",
                    Unit::Tokens => " tokens",
                };
                within(column, unit, length, min.as_ref(), max.as_ref())
            }
            Self::Overlap { column, expected: other, unit, threshold } => {
                let score = overlap(&parts(&text(value(column)), *unit), &parts(&expected(other), *unit));
                let holds = score >= *threshold;
                let why = format!("The overlap is {score:.2}, and it passes from {threshold} on.");
                Verdict { score: Some(score), ..rule(holds, why) }
            }
            Self::Model { .. } => return None,
        })
    }
}

fn rule(holds: bool, explanation: String) -> Verdict {
    let judgment = if holds { PASS } else { FAIL };
    Verdict { judgment: judgment.to_owned(), score: Some(if holds { 1.0 } else { 0.0 }), explanation }
}

/// As much of a text as an explanation should repeat.
fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn form(text: &str, normalised: bool) -> String {
    if normalised { parts(text, Unit::Words).join(" ") } else { text.to_owned() }
}

fn parts(text: &str, unit: Unit) -> Vec<String> {
    match unit {
        Unit::Tokens | Unit::Characters => text.split_whitespace().map(str::to_owned).collect(),
        Unit::Words => {
            let words = text.split(|character: char| !character.is_alphanumeric());
            words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
        }
    }
}

/// The F1 measure of two bags: twice what they share, by what they have together.
#[expect(clippy::cast_precision_loss, reason = "texts have far fewer than 2^53 words")]
fn overlap(these: &[String], those: &[String]) -> f64 {
    if these.is_empty() && those.is_empty() {
        return 1.0;
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for part in those {
        *left.entry(part).or_default() += 1;
    }
    let shared = these.iter().filter(|part| match left.get_mut(part.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    2.0 * shared.count() as f64 / (these.len() + those.len()) as f64
}

fn expression(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    if pattern.chars().count() > MAX_PATTERN_CHARS {
        return Err(format!("has more than {MAX_PATTERN_CHARS} characters"));
    }
    let built = RegexBuilder::new(pattern).case_insensitive(ignore_case).size_limit(MAX_PATTERN_BYTES).build();
    built.map_err(|why| why.to_string())
}

fn fits(column: &Name, value: &Value, schema: &Value) -> Verdict {
    let parsed = match value {
        Value::String(text) => serde_json::from_str(text),
        other => Ok(other.clone()),
    };
    let Ok(value) = parsed else {
        return rule(false, format!("`{}` is not JSON.", column.as_str()));
    };
    match jsonschema::validator_for(schema) {
        Ok(validator) => match validator.iter_errors(&value).next() {
            None => rule(true, format!("`{}` fits the schema.", column.as_str())),
            Some(error) => {
                let path = error.instance_path().to_string();
                rule(false, format!("`{}{path}`: {}.", column.as_str(), shown(&error.to_string())))
            }
        },
        Err(why) => rule(false, why.to_string()),
    }
}

fn bounds<T: PartialOrd>(min: Option<&T>, max: Option<&T>) -> Result<(), (&'static str, String)> {
    match (min, max) {
        (None, None) => Err(("min", "or `max` must be given".to_owned())),
        (Some(min), Some(max)) if min > max => Err(("min", "must not be more than `max`".to_owned())),
        _ => Ok(()),
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    column: &Name,
    unit: &str,
    given: T,
    min: Option<&T>,
    max: Option<&T>,
) -> Verdict {
    let holds = min.is_none_or(|min| given >= *min) && max.is_none_or(|max| given <= *max);
    let bounds = match (min, max) {
        (Some(min), Some(max)) => format!("from {min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        (None, Some(max)) => format!("{max} or less"),
        (None, None) => "anything".to_owned(),
    };
    rule(holds, format!("`{}` has {given}{unit}, and {bounds} passes.", column.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Judge, PASS};

    fn judge(value: Value) -> Judge {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn decide_follows_the_rule() {
        let long = "a".repeat(50_000);
        for (rule, inputs, passes) in [
            (json!({ "type": "exact", "column": "a", "expected": { "text": "Yes." } }), json!({ "a": "Yes." }), true),
            (json!({ "type": "exact", "column": "a", "expected": { "text": "yes" } }), json!({ "a": "Yes." }), false),
            (
                json!({ "type": "exact", "column": "a", "expected": { "column": "b" }, "normalised": true }),
                json!({ "a": "  YES,  Sir! ", "b": "yes sir" }),
                true,
            ),
            (json!({ "type": "exact", "column": "a", "expected": { "text": "7" } }), json!({ "a": 7 }), true),
            (
                json!({ "type": "contains", "column": "a", "expected": { "text": "30 days" } }),
                json!({ "a": "in 30 days." }),
                true,
            ),
            (json!({ "type": "contains", "column": "a", "expected": { "text": "x" } }), json!({}), false),
            (json!({ "type": "regex", "column": "a", "pattern": "^\\d+$" }), json!({ "a": "123" }), true),
            (json!({ "type": "regex", "column": "a", "pattern": "^\\d+$" }), json!({ "a": "12x" }), false),
            (json!({ "type": "regex", "column": "a", "pattern": "(a*)*b" }), json!({ "a": long }), false),
            (
                json!({ "type": "json_schema", "column": "a", "schema": { "required": ["b"] } }),
                json!({ "a": "{\"b\":1}" }),
                true,
            ),
            (
                json!({ "type": "json_schema", "column": "a", "schema": { "required": ["b"] } }),
                json!({ "a": {} }),
                false,
            ),
            (json!({ "type": "json_schema", "column": "a", "schema": true }), json!({ "a": "no json" }), false),
            (json!({ "type": "range", "column": "a", "min": 1, "max": 2.5 }), json!({ "a": " 2.5 " }), true),
            (json!({ "type": "range", "column": "a", "min": 1 }), json!({ "a": "NaN" }), false),
            (json!({ "type": "range", "column": "a", "max": 1 }), json!({ "a": 1.01 }), false),
            (json!({ "type": "length", "column": "a", "unit": "characters", "max": 2 }), json!({ "a": "éé" }), true),
            (json!({ "type": "length", "column": "a", "unit": "words", "min": 3 }), json!({ "a": "one, two" }), false),
            (
                json!({ "type": "overlap", "column": "a", "expected": { "text": "the big dog" }, "unit": "words", "threshold": 0.66 }),
                json!({ "a": "The dog, big!" }),
                true,
            ),
            (
                json!({ "type": "overlap", "column": "a", "expected": { "text": "a a" }, "unit": "tokens", "threshold": 0.9 }),
                json!({ "a": "a b" }),
                false,
            ),
        ] {
            let judge = judge(rule);
            judge.check().unwrap();
            let verdict = judge.decide(&serde_json::from_value(inputs.clone()).unwrap()).unwrap();
            assert_eq!(verdict.judgment == PASS, passes, "{judge:?} {inputs}: {verdict:?}");
            assert!(verdict.explanation.ends_with('.'), "{verdict:?}");
        }
    }

    #[test]
    fn check_refuses_what_can_judge_nothing() {
        for (rule, field) in [
            (json!({ "type": "regex", "column": "a", "pattern": "(" }), "pattern"),
            (json!({ "type": "regex", "column": "a", "pattern": "(a{1000}){1000}" }), "pattern"),
            (json!({ "type": "json_schema", "column": "a", "schema": { "type": 7 } }), "schema"),
            (json!({ "type": "range", "column": "a" }), "min"),
            (json!({ "type": "length", "column": "a", "unit": "words", "min": 3, "max": 2 }), "min"),
            (
                json!({ "type": "overlap", "column": "a", "expected": { "text": "" }, "unit": "words", "threshold": 2 }),
                "threshold",
            ),
            (json!({ "type": "model", "instructions": " ", "verdicts": ["good", "bad"] }), "instructions"),
            (json!({ "type": "model", "instructions": "x", "verdicts": ["good", "good"] }), "verdicts"),
        ] {
            assert_eq!(judge(rule.clone()).check().unwrap_err().0, field, "{rule}");
        }
    }
}
