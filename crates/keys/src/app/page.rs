//! Pages of lists.

use crate::domain::key_list::KeyCursor;

/// A page of a list, the newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// Whether there are more in the direction of the paging.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// The page of `limit` items for which one more was asked, to see whether there are more.
    pub fn of(mut items: Vec<T>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { items, has_more: has_more && limit > 0 }
    }

    /// The same of items that come in the order of a cursor, the oldest first before it.
    pub fn at(cursor: KeyCursor, items: Vec<T>, limit: i64) -> Self {
        let mut page = Self::of(items, limit);
        if matches!(cursor, KeyCursor::Before(_)) {
            page.items.reverse();
        }
        page
    }
}
