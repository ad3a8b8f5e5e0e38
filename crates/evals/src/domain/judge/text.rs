//! Texts as judges read and quote them.

use std::collections::HashMap;

use serde_json::Value;

/// The number of characters of a text that an explanation shows.
const SHOWN: usize = 120;
/// The number of characters before the decisive place that it shows.
const BEFORE: usize = 30;

/// A value as a text: a text as it is, anything else as JSON.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text without what people see past: case, and how much space there is between two words.
pub(crate) fn normalized(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a text: runs of letters and digits, in lower case, and how often each is there.
pub(crate) fn words(text: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *words.entry(word.to_lowercase()).or_default() += 1;
    }
    words
}

/// A text, or the part of it around the character with this number if it is long.
pub(crate) fn cut(text: &str, at: usize) -> String {
    let from = if text.chars().nth(SHOWN).is_none() { 0 } else { at.saturating_sub(BEFORE) };
    let mut rest = text.chars().skip(from);
    let part: String = rest.by_ref().take(SHOWN).collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if rest.next().is_some() { "…" } else { "" });
    format!("{before}{part}{after}")
}

/// The beginning of a text, between quotes.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", cut(text, 0))
}

/// A value in few words.
pub(crate) fn brief(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(members) => format!("an object of {}", members.len()),
        Value::String(text) => quoted(text),
        _ => value.to_string(),
    }
}

/// Returns the number of characters that two texts have in common at their beginning.
pub(crate) fn common(left: &str, right: &str) -> usize {
    left.chars().zip(right.chars()).take_while(|(left, right)| left == right).count()
}
