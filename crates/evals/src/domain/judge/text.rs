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

/// The words of a text, and the number of times that each is there: runs of letters and digits, in lower case. In a script
/// without blanks between words, each character is one.
pub(crate) fn words(text: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    for run in text.split(|character: char| !character.is_alphanumeric()) {
        for word in run.split_inclusive(is_unspaced) {
            // The last character of such a part may be a word of its own behind another.
            let (before, own) = match word.chars().next_back() {
                Some(last) if is_unspaced(last) => word.split_at(word.len() - last.len_utf8()),
                _ => (word, ""),
            };
            for word in [before, own].into_iter().filter(|word| !word.is_empty()) {
                *words.entry(word.to_lowercase()).or_default() += 1;
            }
        }
    }
    words
}

/// True for a character of a script that has no blanks between words: Thai, Lao, Myanmar, Khmer, Japanese, Chinese.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
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
