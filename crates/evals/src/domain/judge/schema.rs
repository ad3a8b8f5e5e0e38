//! JSON Schema, draft 2020-12, but for what would reach out or look back: inner `$id`s, anchors, dynamic references,
//! `unevaluated…` and references to anything but `#` and `#/$defs/…`. The crates that know all of it would make
//! the Worker larger by a half. `format` and what else only describes is not judged, as the draft has it.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use bitting_keys::domain::json::{MAX_DEPTH, canonical, depth};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Number, Value};

use crate::domain::judge::{
    InvalidField,
    number::{compare, is_multiple},
    pattern::Pattern,
    text::{brief, quoted},
};

/// The most steps of judging one value: references to references can ask for any number of them.
const MAX_STEPS: usize = 200_000;
/// The most schemas within each other while a value is judged: a reference may lead to itself.
const MAX_NESTING: usize = 256;
/// The bytes of a text that count as one step more.
const STEP_BYTES: usize = 64;

/// The number of steps that a pattern's work takes at most: the most work for one text leaves a third of all steps to
/// the rest.
const WORK_STEPS: usize = 2;
/// The number of values of `enum` that a message shows.
const SHOWN: usize = 10;

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];

/// Checks that this is a schema that can be used here.
///
/// # Errors
/// The first place, beginning with `path`, where it is not.
pub(crate) fn check(schema: &Value, path: &str) -> Result<(), InvalidField> {
    if depth(schema) > MAX_DEPTH {
        return Err(InvalidField::new(path, format!("must not be nested more than {MAX_DEPTH} levels deep")));
    }
    let schema = canonical(schema);
    check_schema(&schema, &schema, path)?;
    if circles(&schema) {
        return Err(InvalidField::new(path, "has a `$ref` that leads back to itself for the same value"));
    }
    Ok(())
}

/// True if a schema asks for itself for the very value that it judges, which would never end.
fn circles(root: &Value) -> bool {
    let mut open = schemas(root);
    let (mut around, mut done) = (HashSet::new(), HashSet::new());
    // A schema stands on the stack twice: to be entered, and to be left once all that it asks for is done.
    while let Some(schema) = open.pop() {
        let place = std::ptr::from_ref(schema);
        if done.contains(&place) {
            continue;
        }
        if around.contains(&place) {
            around.remove(&place);
            done.insert(place);
            continue;
        }
        around.insert(place);
        open.push(schema);
        for next in same_value(root, schema) {
            let next_place = std::ptr::from_ref(next);
            if around.contains(&next_place) {
                return true;
            }
            if !done.contains(&next_place) {
                open.push(next);
            }
        }
    }
    false
}

/// The schemas from which a reference can start: the root and its definitions.
fn schemas(root: &Value) -> Vec<&Value> {
    let definitions = ["$defs", "definitions"].into_iter().filter_map(|name| root.get(name)?.as_object());
    std::iter::once(root).chain(definitions.flat_map(Map::values)).collect()
}

/// The schemas that a schema asks for the value that it judges itself.
fn same_value<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut asked = Vec::new();
    for (keyword, argument) in schema.as_object().into_iter().flatten() {
        match keyword.as_str() {
            "$ref" => asked.extend(argument.as_str().and_then(|to| referred(root, to))),
            "not" | "if" | "then" | "else" => asked.push(argument),
            "allOf" | "anyOf" | "oneOf" => asked.extend(list(argument)),
            "dependentSchemas" => asked.extend(argument.as_object().into_iter().flat_map(Map::values)),
            _ => {}
        }
    }
    asked
}

/// True if a text that is this value as JSON is judged as the value. A text stays one where the schema speaks of texts,
/// and what is no object and no array stays one unless the schema asks for another type.
pub(crate) fn reads(schema: &Value, value: &Value) -> bool {
    let mut schema = schema;
    for _ in 0..MAX_DEPTH {
        match (schema.get("type"), schema.get("$ref").and_then(Value::as_str).and_then(|to| referred(schema, to))) {
            (Some(types), _) => return types != "string" && !list(types).iter().any(|name| name == "string"),
            (None, Some(next)) => schema = next,
            (None, None) => break,
        }
    }
    let of_texts = ["pattern", "minLength", "maxLength"].iter().any(|keyword| schema.get(keyword).is_some());
    (value.is_object() || value.is_array()) && !of_texts
}

fn check_schema(root: &Value, schema: &Value, path: &str) -> Result<(), InvalidField> {
    let keywords = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(keywords) => keywords,
        _ => return Err(InvalidField::new(path, "must be a schema: an object, true or false")),
    };
    for (keyword, argument) in keywords {
        let at = format!("{path}.{keyword}");
        let invalid = |message: String| InvalidField::new(&at, message);
        let must = |good: bool, what: &str| if good { Ok(()) } else { Err(invalid(format!("must be {what}"))) };
        let compiles = |pattern: &str| Pattern::compile(pattern).map_err(invalid).map(drop);
        match keyword.as_str() {
            "$schema" => {
                let known = |url: &str| url.contains("://json-schema.org/draft");
                must(argument.as_str().is_some_and(known), "one of json-schema.org's")?;
            }
            "$comment" | "title" | "description" | "default" | "examples" | "deprecated" | "readOnly" | "writeOnly"
            | "format" | "contentEncoding" | "contentMediaType" | "contentSchema" | "const" => {}
            // Of the whole it is a name alone; within, references would begin there.
            "$id" if std::ptr::eq(schema, root) => {}
            "type" => {
                let known = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
                let several = |names: &Vec<Value>| names.len() <= TYPES.len() && names.iter().all(known);
                let good = known(argument) || argument.as_array().is_some_and(several);
                must(good, "one of the types of JSON Schema, or an array of them")?;
            }
            "enum" => must(argument.is_array(), "an array")?,
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => must(argument.is_number(), "a number")?,
            "multipleOf" => must(argument.as_f64().is_some_and(|number| number > 0.0), "a number above 0")?,
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minContains" | "maxContains" | "minProperties"
            | "maxProperties" => must(argument.is_u64(), "a whole number, 0 or more")?,
            "uniqueItems" => must(argument.is_boolean(), "true or false")?,
            "pattern" => match argument.as_str() {
                Some(pattern) => compiles(pattern)?,
                None => must(false, "a text")?,
            },
            "required" => must(texts(argument), "an array of texts")?,
            "dependentRequired" => {
                must(argument.as_object().is_some_and(|map| map.values().all(texts)), "an object of arrays of texts")?;
            }
            "$ref" => {
                must(
                    argument.as_str().is_some_and(|to| referred(root, to).is_some()),
                    "`#`, or `#/$defs/` and a name",
                )?;
            }
            "not" | "if" | "then" | "else" | "items" | "contains" | "additionalProperties" | "propertyNames" => {
                check_schema(root, argument, &at)?;
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => match argument.as_array() {
                Some(schemas) if !schemas.is_empty() => {
                    for (index, schema) in schemas.iter().enumerate() {
                        check_schema(root, schema, &format!("{at}[{index}]"))?;
                    }
                }
                _ => must(false, "an array of schemas")?,
            },
            "$defs" | "definitions" | "properties" | "patternProperties" | "dependentSchemas" => {
                must(argument.is_object(), "an object of schemas")?;
                for (name, schema) in argument.as_object().into_iter().flatten() {
                    if keyword == "patternProperties" {
                        compiles(name)?;
                    }
                    check_schema(root, schema, &format!("{at}.{name}"))?;
                }
            }
            _ => return Err(invalid("is not a supported keyword".to_owned())),
        }
    }
    Ok(())
}

fn texts(value: &Value) -> bool {
    value.as_array().is_some_and(|names| names.iter().all(Value::is_string))
}

/// The schema that a reference leads to.
fn referred<'a>(root: &'a Value, to: &str) -> Option<&'a Value> {
    if to == "#" {
        return Some(root);
    }
    let to = percent_decode_str(to).decode_utf8().ok()?;
    let (definitions, name) = to.strip_prefix("#/")?.split_once('/')?;
    // A slash would lead further, unless it is written as below (RFC 6901, 4).
    let name = (!name.contains('/')).then(|| name.replace("~1", "/").replace("~0", "~"))?;
    ["$defs", "definitions"].contains(&definitions).then(|| root.get(definitions)?.get(&name)).flatten()
}

/// A value's misfit with a schema.
enum Misfit {
    /// It does not: the way to the place, from its end, and what is wrong there.
    At(Vec<String>, String),
    /// It would take too long to tell, which no `anyOf` and no `not` can make good.
    Unknown,
}

/// The reason why a value does not fit a schema that was checked; `None`: it fits.
pub(crate) fn misfit(schema: &Value, value: &Value) -> Option<String> {
    if depth(value) > MAX_DEPTH {
        return Some(format!("it is nested more than {MAX_DEPTH} levels deep"));
    }
    let (root, value) = (canonical(schema), canonical(value));
    let mut judging = Judging { root: &root, steps: MAX_STEPS, nesting: 0, patterns: HashMap::new() };
    match judging.schema(&root, &value) {
        Ok(()) => None,
        Err(Misfit::Unknown) => Some("the schema takes too long to judge it".to_owned()),
        Err(Misfit::At(way, what)) if way.is_empty() => Some(format!("it {what}")),
        Err(Misfit::At(way, what)) => {
            let way: Vec<&str> = way.iter().rev().map(String::as_str).collect();
            Some(format!("{} {what}", quoted(&way.join("."))))
        }
    }
}

/// One value on its way through one schema.
struct Judging<'a> {
    root: &'a Value,
    /// The number of steps that are left.
    steps: usize,
    nesting: usize,
    patterns: HashMap<&'a str, Pattern>,
}

type Judged = Result<(), Misfit>;

/// Returns the misfit unless the value is good.
fn must(good: bool, what: impl FnOnce() -> String) -> Judged {
    if good { Ok(()) } else { Err(Misfit::At(Vec::new(), what())) }
}

/// Returns the same misfit, one step further away.
fn within(step: &str, judged: Judged) -> Judged {
    judged.map_err(|misfit| match misfit {
        Misfit::At(mut way, what) => {
            way.push(step.to_owned());
            Misfit::At(way, what)
        }
        Misfit::Unknown => Misfit::Unknown,
    })
}

/// Returns true if it fits, or the misfit of a check that takes too long.
fn fits(judged: Judged) -> Result<bool, Misfit> {
    match judged {
        Err(Misfit::At(..)) => Ok(false),
        judged => judged.map(|()| true),
    }
}

impl<'a> Judging<'a> {
    fn spend(&mut self, steps: usize) -> Judged {
        self.steps = self.steps.checked_sub(steps).ok_or(Misfit::Unknown)?;
        Ok(())
    }

    fn schema(&mut self, schema: &'a Value, value: &Value) -> Judged {
        self.spend(1 + value.as_str().map_or(0, str::len) / STEP_BYTES)?;
        if self.nesting == MAX_NESTING {
            return Err(Misfit::Unknown);
        }
        let Some(keywords) = schema.as_object() else {
            return must(schema != &Value::Bool(false), || "must not be there".to_owned());
        };
        self.nesting += 1;
        // What is of another type need not be told what else it is not.
        let judged = keywords.get("type").map_or(Ok(()), |types| of_type(types, value));
        let mut keywords_left = keywords.iter();
        let judged = judged.and_then(|()| {
            keywords_left.try_for_each(|(keyword, argument)| self.keyword(keywords, keyword, argument, value))
        });
        self.nesting -= 1;
        judged
    }

    fn keyword(&mut self, beside: &'a Map<String, Value>, keyword: &str, argument: &'a Value, value: &Value) -> Judged {
        match keyword {
            "const" => {
                self.spend(weight(argument))?;
                must(value == argument, || format!("must be {}", brief(argument)))
            }
            "enum" => {
                self.spend(weight(argument))?;
                must(list(argument).contains(value), || {
                    let shown: Vec<String> = list(argument).iter().take(SHOWN).map(brief).collect();
                    let more = if list(argument).len() > SHOWN { ", …" } else { "" };
                    format!("must be one of {}{more}", shown.join(", "))
                })
            }
            "$ref" => match argument.as_str().and_then(|to| referred(self.root, to)) {
                Some(schema) => self.schema(schema, value),
                None => Ok(()),
            },
            "allOf" => list(argument).iter().try_for_each(|schema| self.schema(schema, value)),
            "anyOf" => {
                let mut first = None;
                for schema in list(argument) {
                    match self.schema(schema, value) {
                        Err(Misfit::At(way, what)) => _ = first.get_or_insert((way, what)),
                        fits_or_unknown => return fits_or_unknown,
                    }
                }
                let what = |what| format!("{what} (the first of `anyOf`, of which no other fits)");
                first.map_or(Ok(()), |(way, why)| Err(Misfit::At(way, what(why))))
            }
            "oneOf" => {
                let mut count = 0;
                for schema in list(argument) {
                    count += usize::from(fits(self.schema(schema, value))?);
                }
                must(count == 1, || format!("fits {count} of the schemas of `oneOf`, and must fit one"))
            }
            "not" => must(!fits(self.schema(argument, value))?, || "fits the schema of `not`".to_owned()),
            "if" => {
                let then = if fits(self.schema(argument, value))? { "then" } else { "else" };
                beside.get(then).map_or(Ok(()), |schema| self.schema(schema, value))
            }
            _ => match value {
                Value::Number(number) => of_number(keyword, argument, number),
                Value::String(text) => self.of_text(keyword, argument, text),
                Value::Array(items) => self.of_array(beside, keyword, argument, items),
                Value::Object(members) => self.of_object(beside, keyword, argument, value, members),
                Value::Null | Value::Bool(_) => Ok(()),
            },
        }
    }

    fn of_text(&mut self, keyword: &str, argument: &'a Value, text: &str) -> Judged {
        let length = || text.chars().count();
        match (keyword, argument) {
            ("pattern", Value::String(pattern)) => must(self.matches(pattern, text)?, || {
                format!("must match the pattern {}, and is {}", quoted(pattern), quoted(text))
            }),
            ("minLength", _) => {
                must(at_least(length(), argument), || format!("must have {argument} characters or more"))
            }
            ("maxLength", _) => {
                must(at_most(length(), argument), || format!("must have {argument} characters at most"))
            }
            _ => Ok(()),
        }
    }

    /// Returns true if a text matches.
    fn matches(&mut self, pattern: &'a str, text: &str) -> Result<bool, Misfit> {
        if !self.patterns.contains_key(pattern) {
            self.spend(pattern.len())?;
            self.patterns.insert(pattern, Pattern::compile(pattern).map_err(|_| Misfit::Unknown)?);
        }
        let Some(pattern) = self.patterns.get(pattern) else { return Err(Misfit::Unknown) };
        self.steps = self.steps.checked_sub(pattern.work(text) * WORK_STEPS).ok_or(Misfit::Unknown)?;
        Ok(pattern.regex.is_match(text))
    }

    fn of_array(
        &mut self,
        beside: &'a Map<String, Value>,
        keyword: &str,
        argument: &'a Value,
        items: &[Value],
    ) -> Judged {
        let numbered = || items.iter().enumerate();
        match keyword {
            "prefixItems" => list(argument)
                .iter()
                .zip(numbered())
                .try_for_each(|(schema, (index, item))| within(&index.to_string(), self.schema(schema, item))),
            "items" => {
                let before = beside.get("prefixItems").map_or(0, |schemas| list(schemas).len());
                numbered()
                    .skip(before)
                    .try_for_each(|(index, item)| within(&index.to_string(), self.schema(argument, item)))
            }
            "contains" => {
                let mut count = 0;
                for item in items {
                    count += usize::from(fits(self.schema(argument, item))?);
                }
                let enough = beside.get("minContains").map_or(count > 0, |least| at_least(count, least));
                let good = enough && beside.get("maxContains").is_none_or(|most| at_most(count, most));
                must(good, || format!("has {count} items that fit `contains`"))
            }
            "minItems" => must(at_least(items.len(), argument), || format!("must have {argument} items or more")),
            "maxItems" => must(at_most(items.len(), argument), || format!("must have {argument} items at most")),
            "uniqueItems" if argument == &Value::Bool(true) => {
                self.spend(items.iter().map(weight).sum())?;
                let mut seen = HashSet::new();
                let twice = items.iter().find(|item| !seen.insert(*item));
                twice.map_or(Ok(()), |item| must(false, || format!("must have no item twice, as {}", brief(item))))
            }
            _ => Ok(()),
        }
    }

    fn of_object(
        &mut self,
        beside: &'a Map<String, Value>,
        keyword: &str,
        argument: &'a Value,
        value: &Value,
        members: &Map<String, Value>,
    ) -> Judged {
        let has = |name: &Value| name.as_str().is_some_and(|name| members.contains_key(name));
        let has_all = |names: &[Value]| {
            let missing = names.iter().find(|name| !has(name));
            missing.map_or(Ok(()), |name| {
                must(false, || format!("must have {}", quoted(name.as_str().unwrap_or_default())))
            })
        };
        let arguments = || argument.as_object().into_iter().flatten();
        match keyword {
            "required" => {
                self.spend(weight(argument))?;
                has_all(list(argument))
            }
            "dependentRequired" => {
                self.spend(weight(argument))?;
                arguments()
                    .filter(|(name, _)| members.contains_key(*name))
                    .try_for_each(|(_, names)| has_all(list(names)))
            }
            "dependentSchemas" => {
                self.spend(arguments().count())?;
                arguments()
                    .filter(|(name, _)| members.contains_key(*name))
                    .try_for_each(|(_, schema)| self.schema(schema, value))
            }
            "properties" => {
                self.spend(arguments().count())?;
                arguments().try_for_each(|(name, schema)| {
                    members.get(name).map_or(Ok(()), |value| within(name, self.schema(schema, value)))
                })
            }
            "patternProperties" => arguments().try_for_each(|(pattern, schema)| {
                members.iter().try_for_each(|(name, value)| {
                    if self.matches(pattern, name)? { within(name, self.schema(schema, value)) } else { Ok(()) }
                })
            }),
            "additionalProperties" => {
                self.spend(members.len())?;
                members.iter().try_for_each(|(name, value)| {
                    let named = beside.get("properties").is_some_and(|properties| properties.get(name).is_some());
                    if named || self.matches_any(beside.get("patternProperties"), name)? {
                        return Ok(());
                    }
                    within(name, self.schema(argument, value))
                })
            }
            "propertyNames" => {
                members.keys().try_for_each(|name| within(name, self.schema(argument, &Value::String(name.clone()))))
            }
            "minProperties" => {
                must(at_least(members.len(), argument), || format!("must have {argument} members or more"))
            }
            "maxProperties" => {
                must(at_most(members.len(), argument), || format!("must have {argument} members at most"))
            }
            _ => Ok(()),
        }
    }

    fn matches_any(&mut self, patterns: Option<&'a Value>, name: &str) -> Result<bool, Misfit> {
        for (pattern, _) in patterns.and_then(Value::as_object).into_iter().flatten() {
            if self.matches(pattern, name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the number of steps that it takes to look at all of a value.
fn weight(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(weight).sum::<usize>(),
        Value::String(text) => 1 + text.len() / STEP_BYTES,
        _ => 1,
    }
}

fn list(argument: &Value) -> &[Value] {
    argument.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn at_least(count: usize, least: &Value) -> bool {
    least.as_u64().is_none_or(|least| count as u64 >= least)
}

fn at_most(count: usize, most: &Value) -> bool {
    most.as_u64().is_none_or(|most| count as u64 <= most)
}

fn of_type(types: &Value, value: &Value) -> Judged {
    let is = |name: &Value| match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "string" => value.is_string(),
        _ => false,
    };
    let good = if types.is_array() { list(types).iter().any(is) } else { is(types) };
    must(good, || format!("must be of type {types}, and is {}", brief(value)))
}

fn of_number(keyword: &str, argument: &Value, number: &Number) -> Judged {
    let Value::Number(bound) = argument else { return Ok(()) };
    let order = compare(number, bound);
    let (good, what) = match keyword {
        "minimum" => (order != Ordering::Less, "at least"),
        "maximum" => (order != Ordering::Greater, "at most"),
        "exclusiveMinimum" => (order == Ordering::Greater, "more than"),
        "exclusiveMaximum" => (order == Ordering::Less, "less than"),
        "multipleOf" => (is_multiple(number, bound), "a multiple of"),
        _ => return Ok(()),
    };
    must(good, || format!("must be {what} {argument}, and is {number}"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{Value, check, misfit, reads};
    use serde_json::json;

    const SUITE: &str = include_str!("../../../../../tests/json-schema-test-suite/draft2020-12.jsonl");
    const REFUSED: &str = include_str!("../../../../../tests/json-schema-test-suite/refused.txt");

    #[test]
    fn schemas_of_the_official_test_suite_are_judged_right_or_refused() {
        let (mut refused, mut wrong, mut right) = (String::new(), Vec::new(), 0);
        for line in SUITE.lines() {
            let group: Value = serde_json::from_str(line).unwrap();
            let name = format!("{}: {}", group["file"].as_str().unwrap(), group["description"].as_str().unwrap());
            if let Err(invalid) = check(&group["schema"], "schema") {
                writeln!(refused, "{name} | {} {}", invalid.field, invalid.message).unwrap();
                continue;
            }
            for test in group["tests"].as_array().unwrap() {
                let why = misfit(&group["schema"], &test["data"]);
                if why.is_none() == (test["valid"] == true) {
                    right += 1;
                } else {
                    wrong.push(format!("{name}: {}: {why:?}", test["description"]));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        if std::env::var("UPDATE").is_ok() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/json-schema-test-suite/refused.txt");
            std::fs::write(file, &refused).unwrap();
        } else {
            assert_eq!(refused, REFUSED, "UPDATE=1 writes the list anew; look at what it then says");
        }
        assert!(right > 800, "{right}");
    }

    #[test]
    fn schema_that_asks_for_itself_is_refused() {
        for (schema, good) in [
            (json!({ "$ref": "#" }), false),
            (json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } }), false),
            (json!({ "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/a" } } }), false),
            (json!({ "anyOf": [{ "type": "string" }, { "$ref": "#" }] }), false),
            (json!({ "if": true, "then": { "not": { "$ref": "#" } } }), false),
            (json!({ "dependentSchemas": { "a": { "$ref": "#" } } }), false),
            (json!({ "items": { "$ref": "#" } }), true),
            (json!({ "properties": { "a": { "anyOf": [{ "type": "null" }, { "$ref": "#" }] } } }), true),
            (json!({ "allOf": [{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/a" }], "$defs": { "a": true } }), true),
        ] {
            assert_eq!(check(&schema, "schema").is_ok(), good, "{schema}");
        }
    }

    #[test]
    fn text_is_judged_as_one_where_the_schema_speaks_of_texts() {
        for (schema, value, expected) in [
            (json!({ "maxLength": 3 }), json!(123_456), false),
            (json!({ "pattern": "^[a-z]+$" }), json!({}), false),
            (json!({ "type": "string" }), json!({}), false),
            (json!({ "type": ["string", "null"] }), json!(null), false),
            (json!({ "type": "integer" }), json!(42), true),
            (json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "integer" } } }), json!(42), true),
            (json!({ "enum": ["42"] }), json!(42), false),
            (json!({ "type": "object" }), json!({}), true),
            (json!({ "required": ["a"] }), json!({}), true),
            (json!(true), json!([]), true),
            (json!(true), json!(1), false),
        ] {
            assert_eq!(reads(&schema, &value), expected, "{schema} {value}");
        }
    }
}
