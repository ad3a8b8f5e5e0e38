//! Pages of lists.

use crate::domain::key_list::KeyCursor;

/// A page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items of the page.
    pub items: Vec<T>,
    /// True if there are more items in the direction of the paging.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Creates the page of `limit` items from a query for one more item, which tells whether there are more.
    pub fn of(mut items: Vec<T>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { items, has_more: has_more && limit > 0 }
    }

    /// Creates a page from items in the order of a cursor. Before a cursor that order is oldest first.
    pub fn at(cursor: KeyCursor, items: Vec<T>, limit: i64) -> Self {
        let mut page = Self::of(items, limit);
        if matches!(cursor, KeyCursor::Before(_)) {
            page.items.reverse();
        }
        page
    }
}
