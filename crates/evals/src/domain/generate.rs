//! Evaluations that are generated from a data set: a proposal, for a person to look at.
//!
//! What is judged are the data set's columns of the role `input`: a type is what all values of the first
//! `TYPED_ROWS` rows have, and a column is required if it has a value in each of them. How it is judged follows
//! from what people have said in the column of verdicts, which is that of the first judgment configuration, or the
//! first of the role `judgment`:
//!
//! 1. If there is a column of the role `expected`, rules are tried that compare an input column with the first of those:
//!    the same value, the same text, has it in it, has enough words in common. Without verdicts it is the same value.
//! 2. If there are `MIN_JUDGED` verdicts, and `MIN_OF_EACH` good and bad ones, so are rules about one input column
//!    alone: it has the value that most good rows have, is JSON, is a number or as long as at least or at most this.
//! 3. The rule that agrees with most verdicts is taken if that is with nine in ten, and if it is wrong about at most half
//!    as many as there are of the rarer kind: more than chance. Of rules that agree with as many the first one is taken,
//!    and the input column comes first that has most words in common with the expected one.
//! 4. Otherwise a model is to judge, and is told the question, the verdicts, and some rows as examples.
//!
//! A rule understands verdicts that are true, false, or one of the words of `GOOD` and `BAD`, and agrees with no
//! others. A model chooses from the verdicts of the judgment configuration and those that people have given; good ones
//! are those words again, or, if there is none, the first verdict.

use std::cmp::Ordering;

use bitting_keys::domain::key::Name;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::{
    dataset::{Column, ColumnRole, Dataset, DatasetRow, JudgmentConfig},
    evaluation::{EvaluationConfig, InputColumn, ValueType},
    judge::{Judge, ModelJudge, Needs, Unit, pass_or_fail},
};

/// The most rows that are looked at.
pub const SAMPLE_ROWS: i64 = 500;
/// The number of rows that decide the type of a column.
const TYPED_ROWS: usize = 100;
/// The most bytes of judged rows that rules are tried on.
const MAX_JUDGED_BYTES: usize = 256 * 1024;
/// The most input columns that rules are tried on.
const MAX_TRIED_COLUMNS: usize = 20;
/// The fewest verdicts for a rule about one column to be more than chance.
const MIN_JUDGED: usize = 10;
/// And how many good and bad ones.
const MIN_OF_EACH: usize = 3;
/// Verdicts that say that something is good, and that it is not, in lower case.
const GOOD: [&str; 13] =
    ["pass", "passed", "good", "yes", "true", "correct", "right", "ok", "accept", "accepted", "approved", "valid", "1"];
const BAD: [&str; 11] =
    ["fail", "failed", "bad", "no", "false", "incorrect", "wrong", "reject", "rejected", "invalid", "0"];
/// The most examples that a model is shown.
const MAX_EXAMPLES: usize = 6;
/// The most verdicts, or values of a column, that are told apart.
const MAX_KINDS: usize = 20;
/// The most characters of an example, and of the question.
const MAX_PART_CHARS: usize = 1_000;
/// The most characters of a value that a rule compares with.
const MAX_VALUE_CHARS: usize = 100;

/// The result of generating.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The columns and the judge.
    pub config: EvaluationConfig,
    /// The agreement of the judge with people; `None` if it is a model, or if there are no verdicts.
    pub agreement: Option<Agreement>,
}

/// The agreement of a rule with people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Agreement {
    /// The number of rows with a verdict, of those that were looked at.
    pub judged: usize,
    /// The number of these verdicts that it agrees with.
    pub agreed: usize,
}

/// An evaluation for a data set of which these are the first rows.
///
/// # Errors
/// The lack of the data set, for people.
pub fn generate(dataset: &Dataset, rows: &[DatasetRow]) -> Result<Generated, String> {
    let of_role = |role: ColumnRole| dataset.columns.iter().filter(move |column| column.role == role);
    let inputs: Vec<&Name> = of_role(ColumnRole::Input).map(|column| &column.name).collect();
    if inputs.is_empty() {
        return Err("the data set has no column of the role `input`".to_owned());
    }
    let expected = of_role(ColumnRole::Expected).map(|column| &column.name).next();
    let asked = dataset.judgments.first();
    let verdicts = match asked {
        Some(judgment) => Some(&judgment.column),
        None => of_role(ColumnRole::Judgment).map(|column| &column.name).next(),
    };
    let mut bytes = 0;
    let judged = rows.iter().filter_map(|row| Some((row, is_good(row.get(verdicts?)?))));
    let judged: Vec<(&DatasetRow, Option<bool>)> = judged
        .take_while(|(row, _)| {
            bytes += json(row).len();
            bytes <= MAX_JUDGED_BYTES
        })
        .collect();
    let explained = rule(&inputs, expected, rows, &judged);
    let agreement = explained.as_ref().map(|(_, agreed)| Agreement { judged: judged.len(), agreed: *agreed });
    let agreement = agreement.filter(|agreement| agreement.judged > 0);
    let by_model = || {
        let notes = of_role(ColumnRole::Notes).next();
        Judge::Model(model(&inputs, asked, verdicts, notes, rows))
    };
    let judge = explained.map_or_else(by_model, |(judge, _)| judge);
    // What a rule compares with must be sent, too.
    let compared = expected.filter(|name| judge.columns().any(|(_, read)| read == *name));
    let columns = inputs.into_iter().chain(compared).map(|name| input_column(name, rows)).collect();
    Ok(Generated { config: EvaluationConfig { columns, judge }, agreement })
}

fn input_column(name: &Name, rows: &[DatasetRow]) -> InputColumn {
    let values: Vec<Option<&Value>> = rows.iter().take(TYPED_ROWS).map(|row| row.get(name)).collect();
    let mut types = values.iter().flatten().map(|value| ValueType::of(value));
    let first = types.next().unwrap_or_default();
    let value_type = if types.all(|other| other == first) { first } else { ValueType::Any };
    let required = !values.is_empty() && values.iter().all(Option::is_some);
    InputColumn { name: name.clone(), value_type, required }
}

/// Returns true if a verdict is a passing one; `None` if its meaning is not known.
fn is_good(verdict: &Value) -> Option<bool> {
    let word = shown(verdict).trim().to_lowercase();
    let good = GOOD.contains(&word.as_str());
    (good || BAD.contains(&word.as_str())).then_some(good)
}

/// The rule that explains what people have said, and with how many of their verdicts it agrees.
fn rule(
    inputs: &[&Name],
    expected: Option<&Name>,
    rows: &[DatasetRow],
    judged: &[(&DatasetRow, Option<bool>)],
) -> Option<(Judge, usize)> {
    let known: Vec<(&DatasetRow, bool)> = judged.iter().filter_map(|(row, good)| Some((*row, (*good)?))).collect();
    let inputs = inputs.get(..MAX_TRIED_COLUMNS).unwrap_or(inputs);
    let mut candidates = Vec::new();
    if let Some(expected) = expected {
        let inputs = most_alike(inputs, expected, rows);
        if judged.is_empty() {
            return inputs.first().map(|column| (same(column, expected), 0));
        }
        candidates.extend(inputs.iter().map(|column| same(column, expected)));
        candidates.extend(inputs.iter().map(|column| Judge::NormalizedMatch {
            column: (*column).clone(),
            expected: None,
            expected_column: Some(expected.clone()),
        }));
        candidates.extend(inputs.iter().map(|column| Judge::Contains {
            column: (*column).clone(),
            expected: None,
            expected_column: Some(expected.clone()),
            needs: Needs::All,
            normalized: true,
        }));
        candidates.extend(inputs.iter().filter_map(|column| enough_in_common(column, expected, &known)));
    }
    let good = known.iter().filter(|(_, good)| *good).count();
    let rarer = good.min(known.len() - good);
    if known.len() >= MIN_JUDGED && rarer >= MIN_OF_EACH {
        candidates.extend(inputs.iter().flat_map(|column| of_one_column(column, &known)));
    }
    let agreed = |judge: &Judge| {
        let agrees =
            |(row, good): &&(&DatasetRow, bool)| judge.by_rule(row).judgment().is_some_and(|it| it.passed == *good);
        known.iter().filter(agrees).count()
    };
    // Of those that agree with as many, `max_by_key` takes the last.
    let tried = candidates.into_iter().rev().map(|judge| (agreed(&judge), judge));
    let (agreed, judge) = tried.max_by_key(|(agreed, _)| *agreed)?;
    let wrong = judged.len() - agreed;
    (wrong * 10 <= judged.len() && wrong * 2 <= rarer).then_some((judge, agreed))
}

fn same(column: &Name, expected: &Name) -> Judge {
    Judge::ExactMatch { column: column.clone(), expected: None, expected_column: Some(expected.clone()) }
}

fn in_common(column: &Name, expected: &Name, threshold: f64) -> Judge {
    let (column, expected_column) = (column.clone(), Some(expected.clone()));
    Judge::TokenOverlap { column, expected: None, expected_column, threshold }
}

/// Returns the similarity of a column to the expected one in a row; `None` if a value is missing.
fn score(row: &DatasetRow, column: &Name, expected: &Name) -> Option<f64> {
    in_common(column, expected, 0.0).by_rule(row).judgment()?.score
}

/// The columns, that which has most in common with the expected one first; if that says nothing, the last one.
fn most_alike<'a>(inputs: &[&'a Name], expected: &Name, rows: &[DatasetRow]) -> Vec<&'a Name> {
    let likeness =
        |column: &Name| -> f64 { rows.iter().take(TYPED_ROWS).filter_map(|row| score(row, column, expected)).sum() };
    let mut scored: Vec<(f64, &Name)> = inputs.iter().rev().map(|column| (likeness(column), *column)).collect();
    scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    scored.into_iter().map(|(_, column)| column).collect()
}

/// The overlap with the expected column from which on most rows are good.
fn enough_in_common(column: &Name, expected: &Name, judged: &[(&DatasetRow, bool)]) -> Option<Judge> {
    let scores = judged.iter().map(|(row, good)| (score(row, column, expected).unwrap_or(0.0), *good));
    // A little less is easier to read, and says the same of these rows if none is between.
    let threshold = (least(scores.collect())? * 100.0).floor() / 100.0;
    (threshold > 0.0).then(|| in_common(column, expected, threshold))
}

/// The rules about one column that could explain what people have said.
fn of_one_column(column: &Name, judged: &[(&DatasetRow, bool)]) -> Vec<Judge> {
    let mut rules = Vec::new();
    let mut values = Vec::new();
    for value in judged.iter().filter(|(_, good)| *good).filter_map(|(row, _)| row.get(column)) {
        put(&mut values, shown(value), value);
    }
    let most = values.iter().rev().max_by_key(|(_, same)| same.len());
    if let Some(value) =
        most.filter(|(text, _)| text.chars().count() <= MAX_VALUE_CHARS).and_then(|(_, same)| same.first())
    {
        rules.push(Judge::ExactMatch {
            column: column.clone(),
            expected: Some((*value).clone()),
            expected_column: None,
        });
    }
    rules.push(Judge::JsonSchema { column: column.clone(), schema: json!({ "type": ["object", "array"] }) });
    for (min, max) in bounds(column, judged, number) {
        rules.push(Judge::NumericRange { column: column.clone(), min, max });
    }
    for (unit, count) in [(Unit::Characters, characters as fn(&Value) -> Option<f64>), (Unit::Words, words)] {
        for (min, max) in bounds(column, judged, count) {
            let (min, max) = (min.map(whole), max.map(whole));
            rules.push(Judge::Length { column: column.clone(), unit, min, max });
        }
    }
    rules
}

/// Returns the bounds of a column's measure between which most rows are good; `None` if a value cannot be measured.
fn bounds(
    column: &Name,
    judged: &[(&DatasetRow, bool)],
    measure: fn(&Value) -> Option<f64>,
) -> Vec<(Option<f64>, Option<f64>)> {
    let measured = judged.iter().map(|(row, good)| Some((measure(row.get(column)?)?, *good)));
    let Some(measured) = measured.collect::<Option<Vec<(f64, bool)>>>() else { return Vec::new() };
    let mirrored = measured.iter().map(|(value, good)| (-value, *good)).collect();
    let (min, max) = (least(measured), least(mirrored).map(|value| -value));
    min.map(|min| (Some(min), None)).into_iter().chain(max.map(|max| (None, Some(max)))).collect()
}

/// The value from which on calling all good, and all below bad, agrees with most; of those the lowest.
fn least(mut values: Vec<(f64, bool)>) -> Option<f64> {
    values.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let mut agreed = values.iter().map(|(_, good)| i64::from(*good)).sum::<i64>();
    let mut best: Option<(i64, f64)> = None;
    let mut before = None;
    for (value, good) in values {
        let another = before.is_none_or(|before: f64| before.total_cmp(&value) != Ordering::Equal);
        if another && best.is_none_or(|(most, _)| agreed > most) {
            best = Some((agreed, value));
        }
        before = Some(value);
        agreed += if good { -1 } else { 1 };
    }
    best.map(|(_, value)| value)
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn characters(value: &Value) -> Option<f64> {
    Some(size(value.as_str()?.chars().count()))
}

fn words(value: &Value) -> Option<f64> {
    Some(size(value.as_str()?.split_whitespace().count()))
}

fn size(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a u32")]
fn whole(value: f64) -> u32 {
    value as u32
}

/// Puts something to its kind, or begins another kind.
fn put<T>(kinds: &mut Vec<(String, Vec<T>)>, kind: String, item: T) {
    if let Some((_, items)) = kinds.iter_mut().find(|(known, _)| *known == kind) {
        items.push(item);
    } else if kinds.len() < MAX_KINDS {
        kinds.push((kind, vec![item]));
    }
}

fn json(row: &DatasetRow) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

/// A value as people read it.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// A model that is asked the question and told rows that people have judged, of each verdict in turn.
fn model(
    inputs: &[&Name],
    asked: Option<&JudgmentConfig>,
    verdicts: Option<&Name>,
    notes: Option<&Column>,
    rows: &[DatasetRow],
) -> ModelJudge {
    let question = asked.and_then(|judgment| judgment.question.as_deref()).filter(|text| !text.trim().is_empty());
    let mut parts = vec![cut(question.unwrap_or("Is this good?"), MAX_PART_CHARS)];
    let mut judged: Vec<(String, Vec<&DatasetRow>)> = Vec::new();
    let told = asked.map(|judgment| judgment.verdicts.as_slice()).unwrap_or_default();
    let told = told.iter().take(MAX_KINDS).map(|verdict| cut(verdict.as_str(), MAX_VALUE_CHARS));
    judged.extend(told.map(|verdict| (verdict, Vec::new())));
    for (row, verdict) in rows.iter().filter_map(|row| Some((row, row.get(verdicts?)?))) {
        put(&mut judged, cut(&shown(verdict), MAX_VALUE_CHARS), row);
    }
    let in_turn = (0..MAX_EXAMPLES)
        .flat_map(|turn| judged.iter().filter_map(move |(verdict, rows)| Some((verdict, *rows.get(turn)?))));
    let examples: Vec<String> = in_turn
        .take(MAX_EXAMPLES)
        .map(|(verdict, row)| {
            let seen = inputs.iter().filter_map(|name| Some((name.as_str().to_owned(), row.get(name)?.clone())));
            let why = notes.and_then(|column| row.get(&column.name)).map(|why| format!(", because: {}", shown(why)));
            let seen = cut(&json(&DatasetRow(seen.collect())), MAX_PART_CHARS);
            format!("- {seen}: {verdict}{}", cut(&why.unwrap_or_default(), MAX_PART_CHARS / 4))
        })
        .collect();
    if !examples.is_empty() {
        parts.push(format!("What people said of others:\n{}", examples.join("\n")));
    }
    let named = judged.into_iter().filter_map(|(verdict, _)| Name::try_from(verdict).ok());
    let verdicts =
        Some(named.collect::<Vec<Name>>()).filter(|verdicts| verdicts.len() > 1).unwrap_or_else(pass_or_fail);
    let is_good = |verdict: &&Name| is_good(&Value::String(verdict.as_str().to_owned())) == Some(true);
    let mut passing: Vec<Name> = verdicts.iter().filter(is_good).cloned().collect();
    if passing.is_empty() {
        passing.extend(verdicts.first().cloned());
    }
    ModelJudge { instructions: parts.join("\n\n"), verdicts, passing }
}
