//! The operator's choices: variables and secrets of the Worker.

use crate::domain::{
    catalogue::Catalogue,
    key_text::{Hasher, Pepper, Word},
    time::DAY_MS,
};

/// The catalogue where the operator gives no other.
const CATALOGUE: &str = include_str!("../../catalogue.json");

/// The operator's choices, read once per isolate.
pub struct Config {
    /// The first word of every new key (`KEY_BRAND`).
    pub brand: Word,
    /// How long an answer may rest on what was read before, in milliseconds
    /// (`MAX_STALENESS_SECONDS`); 0: every request asks the database.
    pub max_staleness_ms: i64,
    /// How keys are hashed (`KEY_PEPPER`, `KEY_PEPPER_VERSION`, `KEY_PEPPER_PREVIOUS`).
    pub hasher: Hasher,
    /// What proves the operator (`OPERATOR_SECRET`); `None`: nothing does.
    pub operator_secret: Option<String>,
    /// How long audit events are kept, in milliseconds (`AUDIT_RETENTION_DAYS`).
    pub audit_retention_ms: i64,
    /// How long traces and what was said of them are kept, in milliseconds (`TRACE_RETENTION_DAYS`);
    /// `None`: for ever.
    pub trace_retention_ms: Option<i64>,
    /// The scopes, and the operator's own routes (`CATALOGUE`, or else the file `catalogue.json`).
    pub catalogue: Catalogue,
    /// What signs the requests that are forwarded (`FORWARD_SECRET`); `None`: they are not signed.
    pub forward_secret: Option<String>,
}

impl Config {
    /// Reads the configuration; `get` gives a variable or a secret by its name.
    ///
    /// # Errors
    /// Which variable is wrong, and what it must be. The value itself is not repeated: it may be a secret.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let number = |name: &str, default: i64, least: i64, most: i64| match get(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) if (least..=most).contains(&number) => Ok(number),
                _ => Err(format!("{name} must be a whole number from {least} to {most}")),
            },
        };
        let brand = get("KEY_BRAND").unwrap_or_else(|| "bit".to_owned());
        let version = number("KEY_PEPPER_VERSION", 1, 1, 1_000_000)?;
        let current = get("KEY_PEPPER").map(|secret| Pepper { version, secret });
        let previous = get("KEY_PEPPER_PREVIOUS").map(|secret| Pepper { version: version - 1, secret });
        if current.is_none() && previous.is_some() {
            return Err("KEY_PEPPER_PREVIOUS is set, so KEY_PEPPER must be, too".to_owned());
        }
        let secret = |name: &str| match get(name) {
            Some(secret) if secret.len() < 32 => Err(format!("{name} must have at least 32 characters")),
            secret => Ok(secret),
        };
        let (from, text) = match get("CATALOGUE") {
            Some(text) => ("CATALOGUE", text),
            None => ("catalogue.json", CATALOGUE.to_owned()),
        };
        Ok(Self {
            brand: Word::parse(&brand)
                .ok_or("KEY_BRAND must be a lower-case letter, then lower-case letters and digits, 16 at most")?,
            max_staleness_ms: number("MAX_STALENESS_SECONDS", 5, 0, 300)? * 1000,
            hasher: Hasher { peppers: current.into_iter().chain(previous).collect() },
            operator_secret: secret("OPERATOR_SECRET")?,
            audit_retention_ms: number("AUDIT_RETENTION_DAYS", 365, 1, 36_500)? * DAY_MS,
            trace_retention_ms: match number("TRACE_RETENTION_DAYS", 0, 0, 36_500)? {
                0 => None,
                days => Some(days * DAY_MS),
            },
            catalogue: Catalogue::parse(&text).map_err(|message| format!("{from}: {message}"))?,
            forward_secret: secret("FORWARD_SECRET")?,
        })
    }
}
