//! Pages of lists: how long they are, and where they begin.

use bitting_keys::{
    app::{error::Error, page::Page},
    domain::{id::KeyId, key_list::KeyCursor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{input::Query, problem::Problem, typed::Whole};

/// The most items on a page.
pub const MAX_LIMIT: i64 = 1_000;
/// The number of items on a page if no other is asked for.
pub const DEFAULT_LIMIT: i64 = 100;

/// The number of items that a page has at most.
pub type Limit = Whole<0, MAX_LIMIT, DEFAULT_LIMIT>;

/// The page of a list that is asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageQuery<T> {
    /// How many items at most.
    #[serde(default)]
    pub limit: Limit,
    /// The id of the last item of the page before.
    pub starting_after: Option<T>,
}

/// A page of a list, the newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct PageBody<T> {
    /// What is on it.
    items: Vec<T>,
    /// Whether there are more.
    has_more: bool,
}

impl<T> PageBody<T> {
    /// A page with each item in its form for the wire.
    pub fn new<U>(page: Page<U>, item: impl FnMut(U) -> T) -> Self {
        Self { items: page.items.into_iter().map(item).collect(), has_more: page.has_more }
    }
}

/// `starting_after` or `ending_before`. The key itself need not be there any more: ids are ordered.
///
/// # Errors
/// [`Error::Invalid`] for a text that is no key id, or for both parameters at once.
pub fn cursor(query: &Query) -> Result<KeyCursor, Problem> {
    let after = query.read("starting_after", "a key id", KeyId::parse)?;
    let before = query.read("ending_before", "a key id", KeyId::parse)?;
    Ok(between(after, before)?)
}

/// The same of parameters that were read.
///
/// # Errors
/// [`Error::Invalid`] if both are given.
pub fn between(after: Option<KeyId>, before: Option<KeyId>) -> Result<KeyCursor, Error> {
    match (after, before) {
        (None, None) => Ok(KeyCursor::Start),
        (Some(id), None) => Ok(KeyCursor::After(id)),
        (None, Some(id)) => Ok(KeyCursor::Before(id)),
        (Some(_), Some(_)) => {
            Err(Error::invalid("ending_before", "you may only pass one of `starting_after` and `ending_before`"))
        }
    }
}
