//! Pages of lists: their sizes and cursors.

use bitting_keys::{
    app::{error::Error, page::Page},
    domain::{id::KeyId, key_list::KeyCursor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{input::Query, problem::Problem, typed::Whole};

/// The maximum number of items on a page.
pub const MAX_LIMIT: i64 = 1_000;
/// The default number of items on a page.
pub const DEFAULT_LIMIT: i64 = 100;

/// The maximum number of items on one page.
pub type Limit = Whole<0, MAX_LIMIT, DEFAULT_LIMIT>;

/// The parameters of a paginated list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageQuery<T> {
    /// The maximum number of items on the page.
    #[serde(default)]
    pub limit: Limit,
    /// The id of the last item on the previous page.
    pub starting_after: Option<T>,
}

/// A page of a list, the newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct PageBody<T> {
    /// The items on the page.
    items: Vec<T>,
    /// True if there are more items after this page.
    has_more: bool,
}

impl<T> PageBody<T> {
    /// Converts a page of items.
    pub fn new<U>(page: Page<U>, item: impl FnMut(U) -> T) -> Self {
        Self { items: page.items.into_iter().map(item).collect(), has_more: page.has_more }
    }
}

/// Reads `starting_after` or `ending_before`. The key need not exist any more, because ids are ordered.
///
/// # Errors
/// [`Error::Invalid`] if the text is not a key id, or if both parameters were sent.
pub fn cursor(query: &Query) -> Result<KeyCursor, Problem> {
    let after = query.read("starting_after", "a key id", KeyId::parse)?;
    let before = query.read("ending_before", "a key id", KeyId::parse)?;
    Ok(between(after, before)?)
}

/// Returns the cursor for these parameters.
///
/// # Errors
/// [`Error::Invalid`] if both are given.
pub fn between(after: Option<KeyId>, before: Option<KeyId>) -> Result<KeyCursor, Error> {
    match (after, before) {
        (None, None) => Ok(KeyCursor::Start),
        (Some(id), None) => Ok(KeyCursor::After(id)),
        (None, Some(id)) => Ok(KeyCursor::Before(id)),
        (Some(_), Some(_)) => {
            Err(Error::invalid("ending_before", "cannot be combined with `starting_after`; send only one of them"))
        }
    }
}
