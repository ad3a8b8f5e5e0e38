//! What is asked of JSON that people may shape as they like.

use serde_json::Value;

/// The most objects and arrays within each other. Readers of JSON have such a limit, and one value must not
/// make the list that it stands in unreadable.
pub const MAX_DEPTH: usize = 32;

/// How many objects and arrays there are within each other.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(values) => 1 + values.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
