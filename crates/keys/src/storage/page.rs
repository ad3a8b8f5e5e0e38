//! Lists whose pages end after a number of items, and after a number of bytes.

use serde::de::DeserializeOwned;

use crate::{
    domain::page::Page,
    ports::{DatabaseError, Row, Statement},
    storage::{ToParam, batch::Query, typed},
};

/// The bytes with which a page is full. It ends with the item that reaches them, so it always has one.
pub const PAGE_BYTES: i64 = 1024 * 1024;
/// The bytes that an item counts beside its long texts.
const ITEM_BYTES: i64 = 512;

/// The statement of a page: the rows of `list` until there are `limit` of them, or the columns in `texts` are as long
/// as a page may be. `list` selects one row more than `limit`, in the order of the list. Rows that are not on the page
/// stay in the database.
pub fn bounded(list: Statement, limit: i64, texts: &[&str]) -> Statement {
    let bytes =
        texts.iter().fold(ITEM_BYTES.to_string(), |sum, text| format!("{sum} + ifnull(octet_length({text}), 0)"));
    let Statement { sql, mut params } = list;
    let at = params.len();
    params.extend([limit.to_param(), PAGE_BYTES.to_param()]);
    // A window without an order takes the rows as they come, and they come in the order of the list.
    let sql = format!(
        "SELECT *, page_place > ?{} AS page_beyond FROM (SELECT *, row_number() OVER page AS page_place, lead(1) OVER page AS page_more, \
         sum({bytes}) OVER page - ({bytes}) AS page_bytes FROM ({sql}) AS listed \
         WINDOW page AS (ROWS UNBOUNDED PRECEDING)) AS listed WHERE page_place <= max(?{}, 1) AND page_bytes < ?{}",
        at + 1,
        at + 1,
        at + 2
    );
    Statement { sql, params }
}

/// Reads the rows of a [`bounded`] statement.
///
/// # Errors
/// Those of `read`.
pub fn read<T>(
    mut rows: Vec<Row>,
    read: impl FnOnce(Vec<Row>) -> Result<Vec<T>, DatabaseError>,
) -> Result<Page<T>, DatabaseError> {
    let more = rows.last().and_then(|row| row.get("page_more"));
    let mut has_more = more.is_some_and(|more| !more.is_null());
    // A page without items still tells whether there are some.
    if rows.first().and_then(|row| row.get("page_beyond")).is_some_and(|beyond| beyond != 0) {
        rows.clear();
        has_more = true;
    }
    Ok(Page { items: read(rows)?, has_more })
}

impl<T: DeserializeOwned> Query<Page<T>> {
    /// A query for a page; see [`bounded`].
    pub fn page(list: Statement, limit: i64, texts: &[&str]) -> Self {
        Self::new(bounded(list, limit, texts), |rows| read(rows, typed))
    }
}
