//! Pages of lists: their sizes and cursors.

use bitting_keys::{
    app::error::Error,
    domain::{id::KeyId, key_list::KeyCursor, page::Page},
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
    /// The maximum number of items on the page. A page also ends when its items are about 1 MB long.
    #[serde(default)]
    pub limit: Limit,
    /// The id of the last item on the previous page.
    pub starting_after: Option<T>,
}

/// An item of a paginated list.
pub trait Listed {
    /// Returns the cursor of the page that begins after this item.
    fn cursor(&self) -> String;
}

/// A page of a list, the newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct PageBody<T> {
    /// The items on the page.
    items: Vec<T>,
    /// True if there are more items after this page, or before it with `ending_before`.
    has_more: bool,
    /// The cursor of the next page: send it as `starting_after`, or as `ending_before` if that was sent. Null on the
    /// last page.
    next_cursor: Option<String>,
}

impl<T: Listed> PageBody<T> {
    /// Converts a page of items.
    pub fn new<U>(page: Page<U>, item: impl FnMut(U) -> T) -> Self {
        Self::towards(page, item, <[T]>::last)
    }

    /// Converts a page of keys that was asked for by a cursor.
    pub fn at<U>(cursor: KeyCursor, page: Page<U>, item: impl FnMut(U) -> T) -> Self {
        match cursor {
            KeyCursor::Start | KeyCursor::After(_) => Self::new(page, item),
            KeyCursor::Before(_) => Self::towards(page, item, <[T]>::first),
        }
    }

    /// Returns all items of a list that has one page.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, has_more: false, next_cursor: None }
    }

    fn towards<U>(page: Page<U>, item: impl FnMut(U) -> T, outermost: impl FnOnce(&[T]) -> Option<&T>) -> Self {
        let items: Vec<T> = page.items.into_iter().map(item).collect();
        let next_cursor = outermost(&items).filter(|_| page.has_more).map(Listed::cursor);
        Self { items, has_more: page.has_more, next_cursor }
    }
}

/// The error of a page that was asked for by its number and is longer than an answer may be. It cannot end early: the
/// next number would skip the rest.
pub fn page_too_long() -> Problem {
    let message =
        "is too large: these items are too long for one answer; ask for fewer, or go on with `starting_after`";
    Error::invalid("page_size", message).into()
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
