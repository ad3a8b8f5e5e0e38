//! Bitting's answers, as a follower reads them.

use serde::Deserialize;
use serde_json::{Map, Value};

/// An answer about a key.
#[derive(Debug, Clone, Deserialize)]
pub struct Answer {
    /// True if the key is valid.
    pub valid: bool,
    /// `valid`, or why the key is not.
    pub code: String,
    /// The scopes that the key holds; `None` for everything.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// The change up to which the answer is known to be current.
    #[serde(default)]
    pub(crate) seq: Option<i64>,
    #[serde(default)]
    pub(crate) subjects: Vec<String>,
    #[serde(default)]
    pub(crate) age_ms: f64,
    #[serde(default)]
    pub(crate) fresh_for_ms: Option<f64>,
    #[serde(default)]
    pub(crate) ends_in_ms: Option<f64>,
    #[serde(default)]
    pub(crate) outgoing_until: Option<String>,
    #[serde(default)]
    pub(crate) conditional: bool,
    #[serde(default)]
    pub(crate) degraded: bool,
    /// The rest of the answer: `key_id`, `owner`, `operator_metadata` and so on.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// If the text is not such an answer, or calls a key valid and does not tell its scopes.
    pub fn read(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let tells_scopes = value.get("scopes").is_some();
        let answer: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if answer.valid && !tells_scopes {
            return Err("the answer to the verification has no `scopes`".to_owned());
        }
        Ok(answer)
    }
}

/// An answer of the feed.
#[derive(Debug, Clone, Deserialize)]
pub struct News {
    pub(crate) base: i64,
    pub(crate) head: i64,
    pub(crate) age_ms: f64,
    pub(crate) max_staleness_ms: f64,
    pub(crate) changes: Vec<(i64, String)>,
}
