//! The limits of free-form JSON, and readers for JSON in a text column.

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use serde_json::{Map, Value};

/// The maximum nesting of objects and arrays. JSON readers have such a limit, and one value must not make a whole
/// list unreadable.
pub const MAX_DEPTH: usize = 32;

/// The nesting depth of objects and arrays.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(values) => 1 + values.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// About how many bytes of memory a value takes beside itself.
pub fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|value| size_of::<Value>() + heap_bytes(value)).sum(),
        Value::Object(values) => object_heap_bytes(values),
        _ => 0,
    }
}

/// About how many bytes of memory an object takes beside itself. The nodes of its tree are half full at least.
pub fn object_heap_bytes(values: &Map<String, Value>) -> usize {
    let entry = 2 * (size_of::<String>() + size_of::<Value>());
    values.iter().map(|(name, value)| entry + name.len() + heap_bytes(value)).sum()
}

/// The same value with every number in one form, so that values are equal if JSON treats them as the same: `1.0`
/// becomes `1`.
#[must_use]
pub fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(canonical).collect(),
        Value::Object(values) => values.iter().map(|(name, value)| (name.clone(), canonical(value))).collect(),
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and fits")]
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < TOO_LARGE => (float as i64).into(),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and fits")]
            Some(float) if number.is_f64() && (TOO_LARGE..2.0 * TOO_LARGE).contains(&float) => (float as u64).into(),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

/// Whole numbers below this fit into an `i64`: 2⁶³.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

/// Reads a field that may be absent but, unless the type allows it, not null. With `default`, an
/// `Option<Option<T>>` tells null from absence.
///
/// # Errors
/// The deserializer's.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads a value from JSON text.
///
/// # Errors
/// The deserializer's.
pub fn text<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    serde_json::from_str(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// Reads a value from JSON text, and `null` from null.
///
/// # Errors
/// The deserializer's.
pub fn text_or_null<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    serde_json::from_str(text.as_deref().unwrap_or("null")).map_err(de::Error::custom)
}

/// Reads a Boolean from 1 or 0, because SQLite has no other.
///
/// # Errors
/// The deserializer's.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(i64::deserialize(deserializer)? == 1)
}
