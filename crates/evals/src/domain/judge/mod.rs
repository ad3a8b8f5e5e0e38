//! Judges: they decide whether something is good, and give the reasons.

mod number;
mod pattern;
mod schema;
mod text;

use std::collections::{HashMap, HashSet};

use bitting_keys::domain::{
    json::{MAX_DEPTH, canonical, depth, present},
    key::Name,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use self::{
    pattern::{MAX_WORK, Pattern},
    text::{common, cut, normalized, quoted, text, words},
};
use crate::domain::dataset::DatasetRow;

/// The most characters of a text that a judge holds.
const MAX_TEXT_CHARS: usize = 10_000;
/// The most texts that are looked for at once.
const MAX_TEXTS: usize = 100;
/// The most bytes of a schema, or of a value to compare with, as JSON.
const MAX_JSON_BYTES: usize = 32 * 1024;
/// The highest bound of a length.
const MAX_LENGTH: u32 = 1_000_000;
/// The most verdicts that a model chooses from.
const MAX_VERDICTS: usize = 20;

/// A judge. A rule fails a value that is missing. A rule about text reads any other value as its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Judge {
    /// Passes if the value of a column equals this one as JSON, whatever the order of members and the form of numbers.
    /// One
    /// of `expected` and `expected_column` is given.
    #[schemars(extend("oneOf" = either()))]
    ExactMatch {
        /// The name of the column.
        column: Name,
        /// The value.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(extend("type" = ["string", "number", "boolean", "array", "object"], "items" = {}))]
        expected: Option<Value>,
        /// The name of the column that has the value.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Name")]
        expected_column: Option<Name>,
    },
    /// Passes if the text of a column equals this one, whatever the case and the spaces between words. One of
    /// `expected` and `expected_column` is given.
    #[schemars(extend("oneOf" = either()))]
    NormalizedMatch {
        /// The name of the column.
        column: Name,
        /// The text.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "String", length(min = 1, max = MAX_TEXT_CHARS))]
        expected: Option<String>,
        /// The name of the column that has the text.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Name")]
        expected_column: Option<Name>,
    },
    /// It passes if the text of a column has these in it. One of `expected` and `expected_column` is given.
    #[schemars(extend("oneOf" = either()))]
    Contains {
        /// The name of the column.
        column: Name,
        /// The texts.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Vec<String>", length(min = 1, max = MAX_TEXTS))]
        #[schemars(inner(length(min = 1, max = MAX_TEXT_CHARS)))]
        expected: Option<Vec<String>>,
        /// The name of the column that has the text, or a list of them.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Name")]
        expected_column: Option<Name>,
        /// The number of them that it must have.
        #[serde(default)]
        needs: Needs,
        /// True to ignore case and the spaces between words.
        #[serde(default)]
        normalized: bool,
    },
    /// It passes if the text of a column has a part that matches: `^` and `$` make that the whole of it.
    Regex {
        /// The name of the column.
        column: Name,
        /// The regular expression, without look-around, backreferences and `\p`; `(?i)` at its beginning ignores
        /// the case of ASCII. `\s` takes every blank of Unicode, `\d`, `\w` and `\b` are those of ASCII.
        #[schemars(length(max = pattern::MAX_CHARS))]
        pattern: String,
    },
    /// It passes if the value of a column fits a JSON Schema. A text that is an object or an array as JSON is read first,
    /// unless the schema speaks of texts; any other is read where the schema asks for another type.
    JsonSchema {
        /// The name of the column.
        column: Name,
        /// The schema: draft 2020-12 without inner `$id`s, anchors, dynamic references and `unevaluated…`; a `$ref`
        /// is `#` or `#/$defs/` and a name.
        #[schemars(extend("anyOf" = [{ "type": "object", "additionalProperties": true }, { "type": "boolean" }]))]
        schema: Value,
    },
    /// It passes if the value of a column is a number within these bounds, of which it has one at least. A text
    /// that is a number is read first.
    #[schemars(extend("anyOf" = bounds()))]
    NumericRange {
        /// The name of the column.
        column: Name,
        /// The least that passes.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "f64")]
        min: Option<f64>,
        /// The most that passes.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "f64")]
        max: Option<f64>,
    },
    /// It passes if the text of a column is so long. It has one bound at least.
    #[schemars(extend("anyOf" = bounds()))]
    Length {
        /// The name of the column.
        column: Name,
        /// The unit that is counted.
        #[serde(default)]
        unit: Unit,
        /// The least that passes.
        #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "u32", range(max = MAX_LENGTH))]
        min: Option<u32>,
        /// The most that passes.
        #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "u32", range(max = MAX_LENGTH))]
        max: Option<u32>,
    },
    /// It passes if the text of a column has enough words in common with this one. The score is the F1 of the
    /// words, however they are ordered. One of `expected` and `expected_column` is given.
    #[schemars(extend("oneOf" = either()))]
    TokenOverlap {
        /// The name of the column.
        column: Name,
        /// The text.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "String", length(min = 1, max = MAX_TEXT_CHARS))]
        expected: Option<String>,
        /// The name of the column that has the text.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Name")]
        expected_column: Option<Name>,
        /// The least score that passes.
        #[schemars(range(min = 0, max = 1))]
        threshold: f64,
    },
    /// The operator's language model decides. It sees the values of all columns.
    Model(ModelJudge),
}

/// A judge that asks the operator's language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelJudge {
    /// The instructions to the model.
    #[schemars(length(min = 1, max = MAX_TEXT_CHARS))]
    pub instructions: String,
    /// The verdicts that it chooses from.
    #[serde(default = "pass_or_fail")]
    #[schemars(length(min = 2, max = MAX_VERDICTS), extend("uniqueItems" = true))]
    pub verdicts: Vec<Name>,
    /// Those of them that are good ones.
    #[serde(default = "pass")]
    #[schemars(length(min = 1, max = MAX_VERDICTS), extend("uniqueItems" = true))]
    pub passing: Vec<Name>,
}

/// The verdicts of a judge that has no others.
pub(crate) fn pass_or_fail() -> Vec<Name> {
    ["pass", "fail"].into_iter().filter_map(|name| Name::try_from(name.to_owned()).ok()).collect()
}

fn pass() -> Vec<Name> {
    pass_or_fail().into_iter().take(1).collect()
}

/// A number of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Each.
    #[default]
    All,
    /// One at least.
    Any,
}

/// The unit of a length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The characters.
    #[default]
    Characters,
    /// The words: all that stands between spaces.
    Words,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Characters => "characters",
            Self::Words => "words",
        }
    }
}

/// The judgment of a judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judgment {
    /// The verdict: `pass` or `fail`, or one of those that a model was given to choose from.
    pub verdict: String,
    /// True if the judgment passed.
    pub passed: bool,
    /// The score from 0 to 1, if the judge gives one.
    pub score: Option<f64>,
    /// The reasons, for people.
    pub explanation: String,
}

/// The document's rule for a judge that compares with a value or with a column.
fn either() -> Value {
    serde_json::json!([with("expected"), with("expected_column")])
}

/// The document's rule for a judge that has bounds.
fn bounds() -> Value {
    serde_json::json!([with("min"), with("max")])
}

/// The schema of an object that has this member.
fn with(member: &str) -> Value {
    serde_json::json!({ "required": [member], "properties": { member: {} } })
}

/// Reads a whole number, as which JSON has 3.0, too, that may be left out and must not be null.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.fract() != 0.0 || !(0.0..=f64::from(MAX_LENGTH)).contains(&number) {
        return Err(de::Error::custom(format!("must be a whole number from 0 to {MAX_LENGTH}")));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and within the bounds")]
    let whole = number as u32;
    Ok(Some(whole))
}

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidField {
    /// Its path: `judge.expected[1]`.
    pub field: String,
    /// The fault, and what to do.
    pub message: String,
}

impl InvalidField {
    /// A wrong field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// The decision about some values.
#[derive(Debug, Clone, PartialEq)]
pub enum Ruling<'a> {
    /// A rule has judged them.
    Judged(Judgment),
    /// A model is to judge them.
    Model(&'a ModelJudge),
}

impl Ruling<'_> {
    /// The judgment, if a rule has judged.
    pub fn judgment(self) -> Option<Judgment> {
        match self {
            Self::Judged(judgment) => Some(judgment),
            Self::Model(_) => None,
        }
    }
}

/// The columns that a judge reads.
enum Reads<'a> {
    /// The column that a rule judges, and the one that it compares it with.
    Columns(&'a Name, Option<&'a Name>),
    /// All.
    All(&'a ModelJudge),
}

impl Judge {
    /// The names of the columns that it reads, and the field that says each.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &Name)> {
        let (column, expected) = match self.reads() {
            Reads::Columns(column, expected) => (Some(column), expected),
            Reads::All(_) => (None, None),
        };
        column.map(|name| ("column", name)).into_iter().chain(expected.map(|name| ("expected_column", name)))
    }

    fn reads(&self) -> Reads<'_> {
        match self {
            Self::ExactMatch { column, expected_column, .. }
            | Self::NormalizedMatch { column, expected_column, .. }
            | Self::Contains { column, expected_column, .. }
            | Self::TokenOverlap { column, expected_column, .. } => Reads::Columns(column, expected_column.as_ref()),
            Self::Regex { column, .. }
            | Self::JsonSchema { column, .. }
            | Self::NumericRange { column, .. }
            | Self::Length { column, .. } => Reads::Columns(column, None),
            Self::Model(model) => Reads::All(model),
        }
    }

    /// Checks that it can judge.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidField> {
        match self {
            Self::ExactMatch { expected, expected_column, .. } => {
                one_of(expected.as_ref(), expected_column.as_ref())?;
                match expected {
                    Some(Value::Null) => {
                        Err(InvalidField::new("expected", "must not be null: a missing value never passes"))
                    }
                    Some(value) if depth(value) > MAX_DEPTH => Err(InvalidField::new(
                        "expected",
                        format!("must not be nested more than {MAX_DEPTH} levels deep"),
                    )),
                    Some(value) => check_bytes("expected", value),
                    None => Ok(()),
                }
            }
            Self::NormalizedMatch { expected, expected_column, .. } => {
                one_of(expected.as_ref(), expected_column.as_ref())?;
                expected.iter().try_for_each(|text| check_text("expected", text))
            }
            Self::TokenOverlap { expected, expected_column, threshold, .. } => {
                one_of(expected.as_ref(), expected_column.as_ref())?;
                expected.iter().try_for_each(|text| check_text("expected", text))?;
                let good = (0.0..=1.0).contains(threshold);
                if good { Ok(()) } else { Err(InvalidField::new("threshold", "must be a number from 0 to 1")) }
            }
            Self::Contains { expected, expected_column, .. } => {
                one_of(expected.as_ref(), expected_column.as_ref())?;
                let texts = expected.as_deref().unwrap_or_default();
                if expected.is_some() && !(1..=MAX_TEXTS).contains(&texts.len()) {
                    return Err(InvalidField::new("expected", format!("must be 1 to {MAX_TEXTS} texts")));
                }
                let mut numbered = texts.iter().enumerate();
                numbered.try_for_each(|(index, text)| check_text(&format!("expected[{index}]"), text))
            }
            Self::Regex { pattern, .. } => match Pattern::compile(pattern) {
                Ok(_) => Ok(()),
                Err(why) => Err(InvalidField::new("pattern", why)),
            },
            Self::JsonSchema { schema, .. } => {
                check_bytes("schema", schema)?;
                schema::check(schema, "schema")
            }
            Self::NumericRange { min, max, .. } => check_bounds(min.as_ref(), max.as_ref()),
            Self::Length { min, max, .. } => check_bounds(min.as_ref(), max.as_ref()),
            Self::Model(model) => model.check(),
        }
    }

    /// Judges these values, if it is a rule.
    pub fn by_rule(&self, inputs: &DatasetRow) -> Ruling<'_> {
        let (column, expected_column) = match self.reads() {
            Reads::Columns(column, expected) => (column, expected),
            Reads::All(model) => return Ruling::Model(model),
        };
        let Some(value) = inputs.get(column) else {
            return Ruling::Judged(judged(false, format!("`{}` has no value.", column.as_str())));
        };
        let expected = match expected_column {
            Some(other) => match inputs.get(other) {
                Some(expected) => expected.clone(),
                None => {
                    return Ruling::Judged(judged(
                        false,
                        format!("`{}` has no value to compare with.", other.as_str()),
                    ));
                }
            },
            None => self.literal(),
        };
        let column = column.as_str();
        Ruling::Judged(match self {
            Self::ExactMatch { .. } => exact_match(column, value, &expected),
            Self::NormalizedMatch { .. } => same_text(column, &normalized(&text(value)), &normalized(&text(&expected))),
            Self::Contains { needs, normalized, .. } => {
                let texts = match &expected {
                    Value::Array(texts) => texts.iter().map(text).collect(),
                    one => vec![text(one)],
                };
                contains(column, &text(value), &texts, *needs, *normalized)
            }
            Self::Regex { pattern, .. } => regex(column, &text(value), pattern),
            Self::JsonSchema { schema, .. } => json_schema(column, value, schema),
            Self::NumericRange { min, max, .. } => numeric_range(column, value, *min, *max),
            Self::Length { unit, min, max, .. } => length(column, &text(value), *unit, *min, *max),
            Self::TokenOverlap { threshold, .. } => token_overlap(column, &text(value), &text(&expected), *threshold),
            Self::Model(model) => return Ruling::Model(model),
        })
    }

    /// The value that it compares with, if that is no column's.
    fn literal(&self) -> Value {
        match self {
            Self::ExactMatch { expected, .. } => expected.clone().into(),
            Self::NormalizedMatch { expected, .. } | Self::TokenOverlap { expected, .. } => expected.clone().into(),
            Self::Contains { expected, .. } => expected.clone().into(),
            _ => Value::Null,
        }
    }
}

impl ModelJudge {
    fn check(&self) -> Result<(), InvalidField> {
        check_text("instructions", &self.instructions)?;
        if !(2..=MAX_VERDICTS).contains(&self.verdicts.len()) {
            return Err(InvalidField::new("verdicts", format!("must be 2 to {MAX_VERDICTS} verdicts")));
        }
        if self.passing.is_empty() {
            return Err(InvalidField::new("passing", "must be one verdict at least"));
        }
        for (field, names) in [("verdicts", &self.verdicts), ("passing", &self.passing)] {
            let mut seen = HashSet::new();
            for (index, name) in names.iter().enumerate() {
                if !seen.insert(name.as_str()) {
                    return Err(InvalidField::new(format!("{field}[{index}]"), "is there before"));
                }
                if !self.verdicts.contains(name) {
                    return Err(InvalidField::new(format!("{field}[{index}]"), "must be one of `verdicts`"));
                }
            }
        }
        Ok(())
    }
}

fn one_of<T>(expected: Option<&T>, expected_column: Option<&Name>) -> Result<(), InvalidField> {
    if expected.is_some() == expected_column.is_some() {
        return Err(InvalidField::new("expected", "say either `expected` or `expected_column`"));
    }
    Ok(())
}

fn check_text(field: &str, text: &str) -> Result<(), InvalidField> {
    if text.is_empty() || text.chars().count() > MAX_TEXT_CHARS {
        return Err(InvalidField::new(field, format!("must have 1 to {MAX_TEXT_CHARS} characters")));
    }
    Ok(())
}

fn check_bytes(field: &str, value: &Value) -> Result<(), InvalidField> {
    if value.to_string().len() > MAX_JSON_BYTES {
        return Err(InvalidField::new(field, format!("must have at most {MAX_JSON_BYTES} bytes")));
    }
    Ok(())
}

fn check_bounds<T: PartialOrd>(min: Option<T>, max: Option<T>) -> Result<(), InvalidField> {
    match (min, max) {
        (None, None) => Err(InvalidField::new("min", "say `min`, `max` or both")),
        (Some(min), Some(max)) if min > max => Err(InvalidField::new("min", "must not be above `max`")),
        _ => Ok(()),
    }
}

fn judged(passed: bool, explanation: String) -> Judgment {
    Judgment { verdict: if passed { "pass" } else { "fail" }.to_owned(), passed, score: None, explanation }
}

fn exact_match(column: &str, value: &Value, expected: &Value) -> Judgment {
    if canonical(value) == canonical(expected) {
        return judged(true, format!("`{column}` is {}, as expected.", cut(&value.to_string(), 0)));
    }
    if value.is_string() && expected.is_string() {
        return same_text(column, &text(value), &text(expected));
    }
    let (value, expected) = (value.to_string(), expected.to_string());
    let at = common(&value, &expected);
    judged(false, format!("`{column}` is {}, and {} was expected.", cut(&value, at), cut(&expected, at)))
}

fn same_text(column: &str, value: &str, expected: &str) -> Judgment {
    if value == expected {
        return judged(true, format!("`{column}` is {}, as expected.", quoted(value)));
    }
    let at = common(value, expected);
    let quoted = |text| format!("{:?}", cut(text, at));
    judged(false, format!("`{column}` is {}, and {} was expected.", quoted(value), quoted(expected)))
}

fn contains(column: &str, value: &str, texts: &[String], needs: Needs, ignoring: bool) -> Judgment {
    let read = |text: &str| if ignoring { normalized(text) } else { text.to_owned() };
    let value = read(value);
    let has = |text: &&String| value.contains(&read(text));
    let decisive = match needs {
        Needs::All => texts.iter().find(|text| !has(text)),
        Needs::Any => texts.iter().find(has),
    };
    let passed = decisive.is_some() == (needs == Needs::Any);
    let explanation = match (needs, decisive) {
        (Needs::All, None) => format!("`{column}` has all that it needs."),
        (Needs::All, Some(text)) => format!("`{column}` does not have {} in it.", quoted(text)),
        (Needs::Any, None) => format!("`{column}` has none of what it needs."),
        (Needs::Any, Some(text)) => format!("`{column}` has {} in it.", quoted(text)),
    };
    judged(passed, explanation)
}

fn regex(column: &str, value: &str, pattern: &str) -> Judgment {
    let pattern = match Pattern::compile(pattern) {
        Ok(pattern) => pattern,
        Err(why) => return judged(false, format!("The pattern {why}.")),
    };
    if pattern.work(value) > MAX_WORK {
        return judged(false, format!("`{column}` has {} bytes, too many for so large a pattern.", value.len()));
    }
    match pattern.regex.find(value) {
        Some(found) => judged(true, format!("`{column}` matches with {}.", quoted(found.as_str()))),
        None => judged(false, format!("`{column}` is {}, which does not match.", quoted(value))),
    }
}

fn json_schema(column: &str, value: &Value, schema: &Value) -> Judgment {
    // A text that is no JSON is a value like any other.
    let read = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    let read = read.filter(|read| schema::reads(schema, read));
    match schema::misfit(schema, read.as_ref().unwrap_or(value)) {
        None => judged(true, format!("`{column}` fits the schema.")),
        Some(why) => judged(false, format!("`{column}` does not fit the schema: {why}.")),
    }
}

fn numeric_range(column: &str, value: &Value, min: Option<f64>, max: Option<f64>) -> Judgment {
    let read = value.as_str().and_then(|text| serde_json::from_str(text.trim()).ok());
    let Some(number) = value.as_f64().or(read) else {
        return judged(false, format!("`{column}` is {}, which is no number.", quoted(&text(value))));
    };
    match (min, max) {
        (Some(min), _) if number < min => judged(false, format!("`{column}` is {number}, which is less than {min}.")),
        (_, Some(max)) if number > max => judged(false, format!("`{column}` is {number}, which is more than {max}.")),
        _ => judged(true, format!("`{column}` is {number}, which is in the range.")),
    }
}

fn length(column: &str, value: &str, unit: Unit, min: Option<u32>, max: Option<u32>) -> Judgment {
    let length = match unit {
        Unit::Characters => value.chars().count(),
        Unit::Words => value.split_whitespace().count(),
    };
    let has = format!("`{column}` has {length} {}", unit.as_str());
    match (min, max) {
        (Some(min), _) if length < min as usize => judged(false, format!("{has}, which is less than {min}.")),
        (_, Some(max)) if length > max as usize => judged(false, format!("{has}, which is more than {max}.")),
        _ => judged(true, format!("{has}, which is in the range.")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has so many words")]
fn token_overlap(column: &str, value: &str, expected: &str, threshold: f64) -> Judgment {
    let (value, expected) = (words(value), words(expected));
    let count = |words: &HashMap<String, usize>| words.values().sum::<usize>();
    let shared = |(word, times): (&String, &usize)| value.get(word).map_or(0, |there| *there.min(times));
    let shared: usize = expected.iter().map(shared).sum();
    let (has, wants) = (count(&value), count(&expected));
    // Two texts without any word are alike.
    let score = if has + wants == 0 { 1.0 } else { 2.0 * shared as f64 / (has + wants) as f64 };
    let explanation = format!(
        "`{column}` has {shared} of the {wants} words that were expected, among {has} words: \
         {score:.2} where {threshold} is enough."
    );
    Judgment { score: Some(score), ..judged(score >= threshold, explanation) }
}
