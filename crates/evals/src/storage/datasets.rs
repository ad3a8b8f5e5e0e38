//! The tables `datasets` and `dataset_chunks`. A hundred rows of a data set are one row here, because D1
//! bills by the row; SQLite's JSON functions change one of them in its place.

use std::mem;

use bitting_keys::{
    domain::{id::KeyId, page::Page, time::UnixMillis},
    ports::Statement,
    statement,
    storage::{ToParam, batch::Query, idempotency::SUBJECT, json, json_text_or_null},
};
use serde::Deserialize;

use crate::{
    domain::{
        access::{Part, Permitted, Viewer},
        dataset::{Cells, Columns, Dataset, MAX_ROWS},
        id::DatasetId,
    },
    storage::access::{DATASETS, viewed},
};

/// The most rows of a data set in one row of `dataset_chunks`.
const CHUNK_ROWS: i64 = 100;
/// About how many bytes of rows stand in one row of `dataset_chunks`. D1 takes 2,000,000.
const CHUNK_BYTES: usize = 200_000;
/// The bytes of rows with which a page is full. It ends with the chunk that reaches them.
const PAGE_BYTES: i64 = 4_000_000;
/// The most bytes that a chunk may become when its rows are changed.
const MAX_CHUNK_BYTES: i64 = 1_900_000;
/// The number of chunks that one statement stores: three parameters each, and D1 binds 100 at most.
const CHUNKS_AT_ONCE: usize = 33;
/// The number of columns that one call of `json_set` sets: D1 passes a function 32 arguments at most.
const SET_AT_ONCE: usize = 15;

/// The columns of a [`Dataset`].
const COLUMNS: &str = "id, organization_id, user_id, project_id, name, description, columns, judgments, row_count, \
                       created_at, updated_at";

/// The condition, for statements about its chunks, that the data set `:id` may be changed.
fn dataset_changeable() -> String {
    format!("EXISTS (SELECT 1 FROM datasets WHERE {})", DATASETS.changeable())
}

/// Stores the row of a new data set. With `ends_at` it stays hidden until [`complete`], which must come before that
/// instant.
pub(crate) fn insert(dataset: &Dataset, ends_at: Option<UnixMillis>) -> Statement {
    statement!(
        "INSERT INTO datasets (id, organization_id, user_id, project_id, name, description, columns, judgments, \
         created_at, updated_at, ends_at) \
         VALUES (:id, :organization, :user, :project, :name, :description, :columns, :judgments, :now, :now, :ends_at)",
        id: dataset.id,
        organization: dataset.organization_id,
        user: dataset.user_id,
        project: dataset.project_id,
        name: dataset.name.as_str(),
        description: dataset.description,
        columns: json(&dataset.columns),
        judgments: json(&dataset.judgments),
        now: dataset.created_at,
        ends_at,
    )
}

/// Rows that are stored as one chunk.
#[derive(Default)]
pub(crate) struct NewChunk {
    /// The number of rows.
    pub(crate) row_count: i64,
    /// The bytes of the rows.
    bytes: usize,
    /// The rows as a JSON array, of which the end is still open.
    cells: String,
}

impl NewChunk {
    /// A chunk of one row.
    pub(crate) fn of(row: &Cells) -> Self {
        let mut chunk = Self::default();
        chunk.push(&json(row));
        chunk
    }

    fn push(&mut self, row: &str) {
        self.cells.push(if self.cells.is_empty() { '[' } else { ',' });
        self.cells.push_str(row);
        self.row_count += 1;
        self.bytes += row.len();
    }

    fn json(&self) -> String {
        format!("{}]", self.cells)
    }
}

/// Rows on their way into chunks of the size that a chunk should have.
#[derive(Default)]
pub(crate) struct Chunks {
    full: Vec<NewChunk>,
    open: NewChunk,
}

impl Chunks {
    /// Adds a row, as JSON, behind the others.
    pub(crate) fn push(&mut self, row: &str) {
        if self.open.bytes > 0 && self.open.bytes + row.len() > CHUNK_BYTES {
            self.close();
        }
        self.open.push(row);
        if self.open.row_count >= CHUNK_ROWS || self.open.bytes >= CHUNK_BYTES {
            self.close();
        }
    }

    fn close(&mut self) {
        self.full.push(mem::take(&mut self.open));
    }

    /// The bytes of the rows in full chunks.
    pub(crate) fn full_bytes(&self) -> usize {
        self.full.iter().map(|chunk| chunk.bytes).sum()
    }

    /// Takes the chunks that no further row goes into.
    pub(crate) fn take_full(&mut self) -> Vec<NewChunk> {
        mem::take(&mut self.full)
    }

    /// All chunks.
    pub(crate) fn finish(mut self) -> Vec<NewChunk> {
        if self.open.row_count > 0 {
            self.close();
        }
        self.full
    }
}

/// Stores the chunks of an upload, of which the first begins with the row `first_row`; many with each /// because D1 also limits how many statements a request may send.
pub(crate) fn insert_chunks(id: DatasetId, first_row: i64, chunks: &[NewChunk]) -> Vec<Statement> {
    let mut first_row = first_row;
    let insert = |chunks: &[NewChunk]| {
        let mut params = vec![id.to_param()];
        let rows = chunks.iter().map(|chunk| {
            let at = params.len();
            params.extend([first_row.to_param(), chunk.row_count.to_param(), chunk.json().to_param()]);
            first_row += chunk.row_count;
            format!("(?1, ?{}, ?{}, ?{})", at + 1, at + 2, at + 3)
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let sql = format!("INSERT INTO dataset_chunks (dataset_id, first_row, row_count, cells) VALUES {rows}");
        Statement { sql, params }
    };
    chunks.chunks(CHUNKS_AT_ONCE).map(insert).collect()
}

/// The end of an upload: from here on the data set is seen, with these columns and this many rows. Changes nothing
/// if it comes too late.
pub(crate) fn complete(id: DatasetId, columns: &Columns, rows: i64, now: UnixMillis) -> Query<bool> {
    Query::any(statement!(
        "UPDATE datasets SET ends_at = NULL, columns = :columns, row_count = :rows, next_row = :rows + 1, \
         updated_at = :now \
         WHERE id = :id AND ends_at > :now RETURNING id",
        id,
        columns: json(columns),
        rows,
        now,
    ))
}

/// The end of an upload that failed: the sweep takes what there is of it.
pub(crate) fn abandon(id: DatasetId, now: UnixMillis) -> Statement {
    statement!("UPDATE datasets SET ends_at = :now WHERE id = :id AND ends_at IS NOT NULL", id, now)
}

/// One data set, if it may be seen.
pub(crate) fn get(viewer: Viewer, id: DatasetId) -> Query<Option<Permitted<Dataset>>> {
    let sql = format!("SELECT {COLUMNS}, {} FROM datasets WHERE {}", DATASETS.permission(), DATASETS.visible());
    Query::first(viewed!(viewer, sql, id))
}

/// The data set that was made under an Idempotency-Key.
pub(crate) fn made(key_id: KeyId, digest: &str) -> Query<Option<Dataset>> {
    let sql = format!("SELECT {COLUMNS} FROM datasets WHERE id = {SUBJECT} AND ends_at IS NULL");
    Query::first(statement!(sql, key_id, digest))
}

/// A part of the data sets that may be seen, the newest first.
pub(crate) fn list(viewer: Viewer, part: Part<DatasetId>) -> Query<Page<Dataset>> {
    let list = DATASETS.list(COLUMNS, "", viewer, part);
    Query::page(list, part.limit, &["name", "description", "columns", "judgments"])
}

/// Changes a data set that was read as it was at `dataset.updated_at`. Gives it as it is now, or nothing
/// if it may not be changed or was changed since.
pub(crate) fn update(viewer: Viewer, dataset: &Dataset, now: UnixMillis) -> Query<Option<Dataset>> {
    let sql = format!(
        "UPDATE datasets SET name = :name, description = :description, columns = :columns, judgments = :judgments, \
         updated_at = max(:now, updated_at + 1) \
         WHERE {} AND updated_at = :read_at RETURNING {COLUMNS}",
        DATASETS.changeable(),
    );
    Query::first(viewed!(
        viewer,
        sql,
        id: dataset.id,
        name: dataset.name.as_str(),
        description: dataset.description,
        columns: json(&dataset.columns),
        judgments: json(&dataset.judgments),
        now,
        read_at: dataset.updated_at,
    ))
}

/// Ends a data set, if it may be changed. The sweep takes its rows.
pub(crate) fn delete(viewer: Viewer, id: DatasetId, now: UnixMillis) -> Statement {
    let sql = format!("UPDATE datasets SET ends_at = :now WHERE {} RETURNING id", DATASETS.changeable());
    viewed!(viewer, sql, id, now)
}

/// New rows at the end of a data set: the first statement gives the id of the first,
/// or nothing if the data set may not be changed or would become too large; the others, which follow it in the batch,
/// store them.
pub(crate) fn append(
    viewer: Viewer,
    id: DatasetId,
    rows: &NewChunk,
    now: UnixMillis,
) -> (Query<Option<i64>>, [Statement; 2]) {
    append_if("", viewer, id, rows, now)
}

/// Appends the chunk if the statement before it in the batch has changed a row.
pub(crate) fn append_if_changed(
    viewer: Viewer,
    id: DatasetId,
    rows: &NewChunk,
    now: UnixMillis,
) -> (Query<Option<i64>>, [Statement; 2]) {
    append_if(" AND changes() > 0", viewer, id, rows, now)
}

fn append_if(
    condition: &str,
    viewer: Viewer,
    id: DatasetId,
    rows: &NewChunk,
    now: UnixMillis,
) -> (Query<Option<i64>>, [Statement; 2]) {
    let (count, cells) = (rows.row_count, rows.json());
    let reserve = format!(
        "UPDATE datasets SET next_row = next_row + :count, row_count = row_count + :count, \
         updated_at = max(:now, updated_at) \
         WHERE {} AND row_count + :count <= :most{condition} \
         RETURNING CAST(next_row - :count AS INTEGER) AS first_row",
        DATASETS.changeable(),
    );
    // The ids are taken and no chunk has their rows yet: the last chunk takes them if it has room, else a new one does.
    let extend = statement!(
        "UPDATE dataset_chunks \
         SET cells = substr(cells, 1, length(cells) - 1) || ',' || substr(:cells, 2), row_count = row_count + :count \
         WHERE dataset_id = :id AND first_row = (SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = :id) \
         AND first_row + json_array_length(cells) + :count = (SELECT next_row FROM datasets WHERE id = :id) \
         AND json_array_length(cells) + :count <= :chunk_rows AND length(cells) + length(:cells) <= :chunk_bytes",
        id,
        cells,
        count,
        chunk_rows: CHUNK_ROWS,
        chunk_bytes: i64::try_from(CHUNK_BYTES).unwrap_or(i64::MAX),
    );
    let start = statement!(
        "INSERT INTO dataset_chunks (dataset_id, first_row, row_count, cells) \
         SELECT id, next_row - :count, :count, :cells FROM datasets \
         WHERE id = :id AND next_row > coalesce((SELECT first_row + json_array_length(cells) \
         FROM dataset_chunks WHERE dataset_id = :id ORDER BY first_row DESC LIMIT 1), 1)",
        id,
        cells,
        count,
    );
    (Query::scalar(viewed!(viewer, reserve, id, count, now, most: MAX_ROWS)), [extend, start])
}

/// The condition that a row of `dataset_chunks` has the row `:row` of the data set `:id` in it.
const HAS_ROW: &str = "dataset_id = :id \
     AND first_row = (SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = :id AND first_row <= :row) \
     AND json_type(cells, '$[' || CAST(:row - first_row AS INTEGER) || ']') = 'object'";

/// Sets values of one row and leaves its others, if the row is there, may be changed, and has room in its chunk.
pub(crate) fn change_row(viewer: Viewer, id: DatasetId, row: i64, cells: &Cells) -> Query<bool> {
    let mut changed = "cells".to_owned();
    for columns in cells.keys().collect::<Vec<_>>().chunks(SET_AT_ONCE) {
        let set = columns.iter().map(|column| {
            format!(", '$[' || CAST(:row - first_row AS INTEGER) || '].\"{column}\"', :cells -> '$.\"{column}\"'")
        });
        changed = format!("json_set({changed}{})", set.collect::<String>());
    }
    let sql = format!(
        "UPDATE dataset_chunks SET cells = {changed} WHERE {HAS_ROW} AND {} \
         AND octet_length(cells) + octet_length(:cells) <= :max_bytes RETURNING 1 AS changed",
        dataset_changeable(),
    );
    Query::any(viewed!(viewer, sql, id, row, max_bytes: MAX_CHUNK_BYTES, cells: json(cells)))
}

/// Makes room for these values of a row: if its chunk has none, the rows before it and those behind it go into
/// chunks of their own, as far as they must. Stands before [`change_row`].
pub(crate) fn make_room(viewer: Viewer, id: DatasetId, row: i64, cells: &Cells) -> [Statement; 4] {
    // The chunk that goes on behind the cut, if there is one.
    let cut = "dataset_id = :id \
         AND first_row = (SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = :id AND first_row < :cut) \
         AND json_array_length(cells) > :cut - first_row";
    let part = |rows: &str| {
        format!(
            "(SELECT count(value) FROM json_each(cells) WHERE key {rows} :cut - first_row), \
             (SELECT json_group_array(json(value)) FROM json_each(cells) WHERE key {rows} :cut - first_row)"
        )
    };
    let start = format!(
        "INSERT INTO dataset_chunks (dataset_id, first_row, row_count, cells) \
         SELECT dataset_id, :cut, {} FROM dataset_chunks \
         WHERE {cut} AND octet_length(cells) + octet_length(:cells) > :max_bytes AND {}",
        part(">="),
        dataset_changeable(),
    );
    let shorten = format!(
        "UPDATE dataset_chunks SET (row_count, cells) = (SELECT {}) WHERE {cut} \
         AND EXISTS (SELECT 1 FROM dataset_chunks next WHERE next.dataset_id = :id AND next.first_row = :cut)",
        part("<"),
    );
    let values = json(cells);
    let start = |cut: i64| viewed!(viewer, start, id, cut, max_bytes: MAX_CHUNK_BYTES, cells: values);
    let shorten = |cut: i64| statement!(shorten, id, cut);
    [start(row), shorten(row), start(row + 1), shorten(row + 1)]
}

/// Removes one row, if it is there and the data set may be changed; its id is not used again.
pub(crate) fn remove_row(viewer: Viewer, id: DatasetId, row: i64) -> Query<bool> {
    let sql = format!(
        "UPDATE dataset_chunks SET cells = json_set(cells, '$[' || CAST(:row - first_row AS INTEGER) || ']', NULL), \
         row_count = row_count - 1 WHERE {HAS_ROW} AND {} RETURNING 1 AS changed",
        dataset_changeable(),
    );
    Query::any(viewed!(viewer, sql, id, row))
}

/// Stands directly behind [`change_row`] or [`remove_row`] in a batch: counts what that has removed,
/// and notes the change.
pub(crate) fn count_change(id: DatasetId, removes: bool, now: UnixMillis) -> Statement {
    statement!(
        "UPDATE datasets SET row_count = row_count - :removes * changes(), updated_at = max(:now, updated_at) \
         WHERE id = :id AND changes() > 0",
        id,
        removes: i64::from(removes),
        now,
    )
}

/// Selects the chunks of a data set that may be seen, from the chunk `start` on, before which `before` rows stand,
/// until `until` rows have gone by, and of those the chunks with more than `beyond` rows up to their end. It goes from
/// chunk to chunk, and looks at none behind the last that it needs. Chunks that begin where [`PAGE_BYTES`] are full
/// come without their rows, which are not even read then.
fn chunks(start: &str, before: &str, until: &str, beyond: &str) -> String {
    format!(
        "WITH RECURSIVE part (place, rows_before, rows_after) AS (\
         SELECT first_row, {before}, {before} + row_count FROM dataset_chunks \
         WHERE dataset_id = :id AND first_row = {start} \
         UNION ALL SELECT first_row, rows_after, rows_after + row_count FROM part \
         JOIN dataset_chunks ON dataset_id = :id \
         AND first_row = (SELECT min(first_row) FROM dataset_chunks WHERE dataset_id = :id AND first_row > place) \
         WHERE rows_after < {until}) \
         SELECT place AS first_row, rows_before, CASE WHEN bytes_before < {PAGE_BYTES} THEN \
         (SELECT cells FROM dataset_chunks WHERE dataset_id = :id AND first_row = place) END AS cells \
         FROM (SELECT place, rows_before, sum(bytes) OVER (ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before \
         FROM (SELECT place, rows_before, (SELECT octet_length(cells) FROM dataset_chunks \
         WHERE dataset_id = :id AND first_row = place) AS bytes FROM part \
         WHERE rows_after > {beyond} AND EXISTS (SELECT 1 FROM datasets WHERE {})))",
        DATASETS.visible(),
    )
}

/// A part of a data set's rows.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Chunk {
    /// The id of its first row.
    pub(crate) first_row: i64,
    /// The number of rows that stand before it.
    pub(crate) rows_before: i64,
    /// Its rows; none where one was removed. `None` if the page had no room for them any more.
    #[serde(deserialize_with = "json_text_or_null")]
    pub(crate) cells: Option<Vec<Option<Cells>>>,
}

impl Chunk {
    /// The id of its last row, also if that was removed.
    pub(crate) fn last_row(&self) -> Option<i64> {
        let rows = i64::try_from(self.cells.as_ref()?.len()).ok()?;
        Some(self.first_row + rows - 1)
    }

    /// Its rows that are there, with their ids.
    pub(crate) fn numbered(self) -> impl Iterator<Item = (i64, Cells)> {
        (self.first_row..).zip(self.cells.into_iter().flatten()).filter_map(|(row, cells)| Some((row, cells?)))
    }
}

/// The chunks with the rows from `offset` on, as far as `limit` rows reach, of a data set that may be seen. As long as
/// no row was removed, a row's id says which it is. Behind a removed one this counts from the first chunk on, which is
/// never deleted before its data set.
pub(crate) fn page(viewer: Viewer, id: DatasetId, offset: i64, limit: i64) -> Query<Vec<Chunk>> {
    let sql = chunks(
        "(SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = :id AND first_row <= \
         (SELECT CASE row_count WHEN next_row - 1 THEN :offset + 1 ELSE 1 END FROM datasets WHERE id = :id))",
        "first_row - 1",
        ":offset + :limit",
        "max(:offset, rows_before)",
    );
    Query::rows(viewed!(viewer, sql, id, offset, limit))
}

/// The chunks with the rows behind one, as far as `limit` rows reach, of a data set that may be seen.
pub(crate) fn page_after(viewer: Viewer, id: DatasetId, after: i64, limit: i64) -> Query<Vec<Chunk>> {
    // The chunk that the row is in may hold nothing behind it, and what is removed fills no page.
    let most = limit + CHUNK_ROWS;
    chunks_after(viewer, id, after, most, most)
}

/// The chunks from the one on in which the row `after` is, or the next: `max_chunks` at most, and no more than have
/// `max_rows` rows.
pub(crate) fn chunks_after(
    viewer: Viewer,
    id: DatasetId,
    after: i64,
    max_rows: i64,
    max_chunks: i64,
) -> Query<Vec<Chunk>> {
    let chunks = chunks(
        "coalesce((SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = :id AND first_row <= :after), \
         (SELECT min(first_row) FROM dataset_chunks WHERE dataset_id = :id))",
        "0",
        ":max_rows",
        "rows_before",
    );
    Query::rows(viewed!(viewer, format!("{chunks} LIMIT :max_chunks"), id, after, max_rows, max_chunks))
}

/// The condition that a data set has ended: it was deleted, or its upload was broken off.
const ENDED: &str = "ends_at IS NOT NULL AND ends_at <= :now";

/// Deletes ended data sets that have no rows left, at most `limit`.
pub(crate) fn prune(now: UnixMillis, limit: i64) -> Statement {
    let sql = format!(
        "DELETE FROM datasets WHERE id IN (SELECT id FROM datasets WHERE {ENDED} \
         AND NOT EXISTS (SELECT 1 FROM dataset_chunks WHERE dataset_id = datasets.id) LIMIT :limit)"
    );
    statement!(sql, now, limit)
}

/// Ends the shares of ended data sets.
pub(crate) fn prune_shares(now: UnixMillis) -> Statement {
    let sql = format!("DELETE FROM shares WHERE resource_id IN (SELECT id FROM datasets WHERE {ENDED})");
    statement!(sql, now)
}

/// Deletes chunks of ended data sets, at most `limit`; returns one row for each.
pub(crate) fn prune_chunks(now: UnixMillis, limit: i64) -> Statement {
    let sql = format!(
        "DELETE FROM dataset_chunks WHERE rowid IN (SELECT c.rowid FROM datasets \
         JOIN dataset_chunks c ON c.dataset_id = datasets.id WHERE {ENDED} LIMIT :limit) RETURNING 1 AS pruned"
    );
    statement!(sql, now, limit)
}
