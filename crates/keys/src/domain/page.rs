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
    /// The same page, newest first. Before a cursor it was read oldest first.
    #[must_use]
    pub fn read_at(mut self, cursor: KeyCursor) -> Self {
        if matches!(cursor, KeyCursor::Before(_)) {
            self.items.reverse();
        }
        self
    }
}
