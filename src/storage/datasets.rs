//! The tables `datasets` and `dataset_chunks`. A hundred rows of a data set are one row here, because D1
//! bills by the row; SQLite's JSON functions change one of them in its place.

use serde::Deserialize;

use crate::{
    domain::{
        access::{Part, Standing, Viewer},
        dataset::{Cells, Columns, Dataset, JudgmentConfig, MAX_ROWS},
        id::{DatasetId, KeyId, OrganizationId, ProjectId, UserId},
        key::Name,
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{
        ToParam,
        access::{self, about},
        idempotency::subject,
        json, json_text, statement, typed,
    },
};

/// The most rows of a data set in one row of `dataset_chunks`.
pub(crate) const CHUNK_ROWS: usize = 100;
/// About how many bytes of rows stand in one row of `dataset_chunks`. D1 takes 2,000,000.
pub(crate) const CHUNK_BYTES: usize = 200_000;
/// The most bytes that a chunk may become when its rows are changed.
const MAX_CHUNK_BYTES: i64 = 1_900_000;
/// How many chunks one statement stores: three parameters each, and D1 binds 100 at most.
const CHUNKS_AT_ONCE: usize = 33;
/// How many columns one call of `json_set` sets: D1 passes a function 32 arguments at most.
const SET_AT_ONCE: usize = 15;

macro_rules! columns {
    () => {
        "id, organization_id, user_id, project_id, name, description, columns, judgments, row_count, created_at, updated_at"
    };
}

/// The condition that the data set `?1` is there and may be seen, or with `1` changed.
macro_rules! visible {
    ($write:literal) => {
        concat!("datasets.id = ?1 AND ends_at IS NULL AND ", access::may!("datasets", $write))
    };
}

/// The condition, for statements about its chunks, that the data set `?1` may be changed.
macro_rules! changeable {
    () => {
        concat!(" EXISTS (SELECT 1 FROM datasets WHERE ", visible!("1"), ")")
    };
}

/// A new data set's row. With `ends_at` nobody sees it until [`complete`], which must come before that instant.
pub(crate) fn insert(dataset: &Dataset, ends_at: Option<UnixMillis>) -> Statement {
    statement!(
        "INSERT INTO datasets (id, organization_id, user_id, project_id, name, description, columns, judgments, \
         created_at, updated_at, ends_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)",
        dataset.id,
        dataset.organization_id,
        dataset.user_id,
        dataset.project_id,
        dataset.name.as_str(),
        dataset.description,
        json(&dataset.columns),
        json(&dataset.judgments),
        dataset.created_at,
        ends_at
    )
}

/// A chunk of an upload's rows, as it is stored.
pub(crate) struct NewChunk {
    first_row: i64,
    row_count: i64,
    cells: String,
}

impl NewChunk {
    /// These rows, of which the first has this id.
    pub(crate) fn new(first_row: i64, rows: &[Cells]) -> Self {
        Self { first_row, row_count: i64::try_from(rows.len()).unwrap_or(i64::MAX), cells: json(&rows) }
    }
}

/// Stores chunks, many with each statement: D1 also limits how many statements a request may send.
pub(crate) fn insert_chunks(id: DatasetId, chunks: &[NewChunk]) -> Vec<Statement> {
    let insert = |chunks: &[NewChunk]| {
        let mut params = vec![id.to_param()];
        let rows = chunks.iter().map(|chunk| {
            let at = params.len();
            params.extend([chunk.first_row.to_param(), chunk.row_count.to_param(), chunk.cells.to_param()]);
            format!("(?1, ?{}, ?{}, ?{})", at + 1, at + 2, at + 3)
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let sql = format!("INSERT INTO dataset_chunks (dataset_id, first_row, row_count, cells) VALUES {rows}");
        Statement { sql, params }
    };
    chunks.chunks(CHUNKS_AT_ONCE).map(insert).collect()
}

/// The end of an upload: from here on the data set is seen, with these columns and this many rows. Gives no row
/// if it came too late.
pub(crate) fn complete(id: DatasetId, columns: &Columns, rows: i64, now: UnixMillis) -> Statement {
    statement!(
        "UPDATE datasets SET ends_at = NULL, columns = ?2, row_count = ?3, next_row = ?3 + 1, updated_at = ?4 \
         WHERE id = ?1 AND ends_at > ?4 RETURNING id",
        id,
        json(columns),
        rows,
        now
    )
}

/// The end of an upload that failed: the sweep takes what there is of it.
pub(crate) fn abandon(id: DatasetId, now: UnixMillis) -> Statement {
    statement!("UPDATE datasets SET ends_at = ?2 WHERE id = ?1 AND ends_at IS NOT NULL", id, now)
}

/// A data set as somebody sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The data set.
    pub(crate) dataset: Dataset,
    /// What he may do with it.
    pub(crate) standing: Standing,
}

/// What [`Seen`] is read from.
macro_rules! seen {
    () => {
        concat!(columns!(), ", ", access::standing!("datasets"))
    };
}

/// One data set, if it may be seen.
pub(crate) fn get(viewer: Viewer, id: DatasetId) -> Statement {
    let sql = concat!("SELECT ", seen!(), " FROM datasets WHERE ", visible!("0"));
    about(sql, viewer, id, Vec::new())
}

/// The data set that was made under an Idempotency-Key, which is the caller's own.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", 'own' AS standing FROM datasets WHERE id = ",
        subject!(),
        " AND ends_at IS NULL"
    );
    statement!(sql, by, digest)
}

/// A part of the data sets that may be seen, the newest first.
pub(crate) fn list(viewer: Viewer, part: Part<DatasetId>) -> Statement {
    access::list(access::DATASETS, seen!(), "", viewer, part)
}

/// Reads the rows of [`get`], [`list`] and [`update`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Seen>, DatabaseError> {
    #[derive(Deserialize)]
    struct DatasetRow {
        id: DatasetId,
        organization_id: OrganizationId,
        user_id: Option<UserId>,
        project_id: Option<ProjectId>,
        name: Name,
        description: Option<String>,
        #[serde(deserialize_with = "json_text")]
        columns: Columns,
        #[serde(deserialize_with = "json_text")]
        judgments: Vec<JudgmentConfig>,
        row_count: i64,
        created_at: UnixMillis,
        updated_at: UnixMillis,
        standing: Standing,
    }
    let rows: Vec<DatasetRow> = typed(rows)?;
    let seen = |row: DatasetRow| Seen {
        dataset: Dataset {
            id: row.id,
            organization_id: row.organization_id,
            user_id: row.user_id,
            project_id: row.project_id,
            name: row.name,
            description: row.description,
            columns: row.columns,
            judgments: row.judgments,
            row_count: row.row_count,
            created_at: row.created_at,
            updated_at: row.updated_at,
        },
        standing: row.standing,
    };
    Ok(rows.into_iter().map(seen).collect())
}

/// Sets what is told of a data set that was read as it was at `before`. Gives it as it is now, or no
/// row if it may not be changed or was changed since.
pub(crate) fn update(viewer: Viewer, dataset: &Dataset, now: UnixMillis) -> Statement {
    let sql = concat!(
        "UPDATE datasets SET name = ?5, description = ?6, columns = ?7, judgments = ?8, updated_at = max(?9, updated_at + 1) WHERE ",
        visible!("1"),
        " AND updated_at = ?10 RETURNING ",
        seen!()
    );
    let set = vec![
        dataset.name.as_str().to_param(),
        dataset.description.to_param(),
        json(&dataset.columns).to_param(),
        json(&dataset.judgments).to_param(),
        now.to_param(),
        dataset.updated_at.to_param(),
    ];
    about(sql, viewer, dataset.id, set)
}

/// Ends a data set. The sweep takes its rows. Gives a row if it was there and may be changed.
pub(crate) fn delete(viewer: Viewer, id: DatasetId, now: UnixMillis) -> Statement {
    let sql = concat!("UPDATE datasets SET ends_at = ?5 WHERE ", visible!("1"), " RETURNING id");
    about(sql, viewer, id, vec![now.to_param()])
}

/// New rows at the end, at most [`CHUNK_ROWS`] of them; the first statement gives the id of the first, or
/// no row if the data set may not be changed or would become too large.
pub(crate) fn append(viewer: Viewer, id: DatasetId, rows: &[Cells], now: UnixMillis) -> [Statement; 3] {
    append_if("", viewer, id, rows, now)
}

/// The same if the statement before it in the batch has changed a row.
pub(crate) fn append_if_changed(viewer: Viewer, id: DatasetId, rows: &[Cells], now: UnixMillis) -> [Statement; 3] {
    append_if(" AND changes() > 0", viewer, id, rows, now)
}

fn append_if(condition: &str, viewer: Viewer, id: DatasetId, rows: &[Cells], now: UnixMillis) -> [Statement; 3] {
    let reserve = format!(
        "UPDATE datasets SET next_row = next_row + ?5, row_count = row_count + ?5, updated_at = max(?6, updated_at) \
         WHERE {} AND row_count + ?5 <= ?7{condition} RETURNING CAST(next_row - ?5 AS INTEGER) AS first_row",
        visible!("1")
    );
    // The ids are taken and no chunk has their rows yet: the last chunk takes them if it has room, else a new one does.
    let last = "(SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = ?1)";
    let extend = format!(
        "UPDATE dataset_chunks SET cells = substr(cells, 1, length(cells) - 1) || ',' || substr(?2, 2), row_count = row_count + ?3 \
         WHERE dataset_id = ?1 AND first_row = {last} \
         AND first_row + json_array_length(cells) + ?3 = (SELECT next_row FROM datasets WHERE id = ?1) \
         AND json_array_length(cells) + ?3 <= ?4 AND length(cells) + length(?2) <= ?5"
    );
    let start = "INSERT INTO dataset_chunks (dataset_id, first_row, row_count, cells) \
         SELECT id, next_row - ?3, ?3, ?2 FROM datasets WHERE id = ?1 AND next_row > coalesce((SELECT first_row + json_array_length(cells) \
         FROM dataset_chunks WHERE dataset_id = ?1 ORDER BY first_row DESC LIMIT 1), 1)";
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let cells = json(&rows);
    let chunk_bytes = i64::try_from(CHUNK_BYTES).unwrap_or(i64::MAX);
    let chunk_rows = i64::try_from(CHUNK_ROWS).unwrap_or(i64::MAX);
    [
        about(reserve, viewer, id, vec![count.to_param(), now.to_param(), MAX_ROWS.to_param()]),
        statement!(extend, id, cells, count, chunk_rows, chunk_bytes),
        statement!(start, id, cells, count),
    ]
}

/// Reads the rows of the first statement of [`append`]: the id of the first new row.
pub(crate) fn read_first_row(rows: Vec<Row>) -> Result<Option<i64>, DatabaseError> {
    #[derive(Deserialize)]
    struct FirstRow {
        first_row: i64,
    }
    let rows: Vec<FirstRow> = typed(rows)?;
    Ok(rows.first().map(|row| row.first_row))
}

/// The chunk that a row is in.
macro_rules! chunk_of_row {
    () => {
        "dataset_id = ?1 AND first_row = (SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = ?1 AND first_row <= ?5) \
         AND json_type(cells, '$[' || CAST(?5 - first_row AS INTEGER) || ']') = 'object' AND "
    };
}

/// Sets values of one row and leaves its others. Gives a row if it was there, may be changed, and has room in its chunk.
pub(crate) fn change_row(viewer: Viewer, id: DatasetId, row: i64, cells: &Cells) -> Statement {
    let mut changed = "cells".to_owned();
    for columns in cells.keys().collect::<Vec<_>>().chunks(SET_AT_ONCE) {
        let set = columns.iter().map(|column| {
            format!(", '$[' || CAST(?5 - first_row AS INTEGER) || '].\"{column}\"', ?7 -> '$.\"{column}\"'")
        });
        changed = format!("json_set({changed}{})", set.collect::<String>());
    }
    let sql = format!(
        "UPDATE dataset_chunks SET cells = {changed} WHERE {}{} AND octet_length(cells) + octet_length(?7) <= ?6 RETURNING 1 AS changed",
        chunk_of_row!(),
        changeable!()
    );
    about(sql, viewer, id, [row.to_param(), MAX_CHUNK_BYTES.to_param(), json(cells).to_param()])
}

/// Makes room for these values of a row: if its chunk has none, the rows before it and those behind it go into chunks of
/// their own, as far as they must. Stands before [`change_row`].
pub(crate) fn make_room(viewer: Viewer, id: DatasetId, row: i64, cells: &Cells) -> [Statement; 4] {
    // The chunk that goes on behind the cut, if there is one.
    let cut = "dataset_id = ?1 AND first_row = (SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = ?1 AND first_row < ?5) \
         AND json_array_length(cells) > ?5 - first_row";
    let part = |rows: &str| {
        format!(
            "(SELECT count(value) FROM json_each(cells) WHERE key {rows} ?5 - first_row), \
             (SELECT json_group_array(json(value)) FROM json_each(cells) WHERE key {rows} ?5 - first_row)"
        )
    };
    let start = format!(
        "INSERT INTO dataset_chunks (dataset_id, first_row, row_count, cells) SELECT dataset_id, ?5, {} FROM dataset_chunks \
         WHERE {cut} AND octet_length(cells) + octet_length(?7) > ?6 AND{}",
        part(">="),
        changeable!()
    );
    let shorten = format!(
        "UPDATE dataset_chunks SET (row_count, cells) = (SELECT {}) WHERE {cut} \
         AND EXISTS (SELECT 1 FROM dataset_chunks next WHERE next.dataset_id = ?1 AND next.first_row = ?5)",
        part("<")
    );
    let values = json(cells);
    let start = |at: i64| {
        about(start.clone(), viewer, id, [at.to_param(), MAX_CHUNK_BYTES.to_param(), values.clone().to_param()])
    };
    let shorten = |at: i64| about(shorten.clone(), viewer, id, [at.to_param()]);
    [start(row), shorten(row), start(row + 1), shorten(row + 1)]
}

/// Removes one row; its id is not used again. Gives a row if it was there and the data set may be changed.
pub(crate) fn remove_row(viewer: Viewer, id: DatasetId, row: i64) -> Statement {
    let sql = concat!(
        "UPDATE dataset_chunks SET cells = json_set(cells, '$[' || CAST(?5 - first_row AS INTEGER) || ']', NULL), \
         row_count = row_count - 1 WHERE ",
        chunk_of_row!(),
        changeable!(),
        " RETURNING 1 AS changed"
    );
    about(sql, viewer, id, vec![row.to_param()])
}

/// Stands directly behind [`change_row`] or [`remove_row`] in a batch: counts what that has removed,
/// and notes the change.
pub(crate) fn count_change(id: DatasetId, removes: bool, now: UnixMillis) -> Statement {
    statement!(
        "UPDATE datasets SET row_count = row_count - ?2 * changes(), updated_at = max(?3, updated_at) \
         WHERE id = ?1 AND changes() > 0",
        id,
        i64::from(removes),
        now
    )
}

/// The chunks of a data set that may be seen, from `$start` on, before which `$before` rows stand, until `$until` rows
/// have gone by, and of those the chunks with more than `$beyond` rows up to their end. It goes from chunk to chunk, and
/// looks at none behind the last that it needs.
macro_rules! chunks {
    ($start:literal, $before:literal, $until:literal, $beyond:literal) => {
        concat!(
            "WITH RECURSIVE part (place, rows_before, rows_after) AS (\
             SELECT first_row, ",
            $before,
            ", ",
            $before,
            " + row_count FROM dataset_chunks WHERE dataset_id = ?1 AND first_row = ",
            $start,
            " UNION ALL SELECT first_row, rows_after, rows_after + row_count FROM part JOIN dataset_chunks ON dataset_id = ?1 \
             AND first_row = (SELECT min(first_row) FROM dataset_chunks WHERE dataset_id = ?1 AND first_row > place) \
             WHERE rows_after < ",
            $until,
            ") SELECT place AS first_row, rows_before, (SELECT cells FROM dataset_chunks WHERE dataset_id = ?1 AND first_row = place) AS cells \
             FROM part WHERE rows_after > ",
            $beyond,
            " AND EXISTS (SELECT 1 FROM datasets WHERE ",
            visible!("0"),
            ")"
        )
    };
}

/// The chunks with the rows from `offset` on, as far as `limit` rows reach, of a data set that may be seen. As long as
/// no row was removed, a row's id says which it is. Behind a removed one this counts from the first chunk on, which is
/// never deleted before its data set.
pub(crate) fn page(viewer: Viewer, id: DatasetId, offset: i64, limit: i64) -> Statement {
    let sql = chunks!(
        "(SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = ?1 AND first_row <= \
         (SELECT CASE row_count WHEN next_row - 1 THEN ?5 + 1 ELSE 1 END FROM datasets WHERE id = ?1))",
        "first_row - 1",
        "?5 + ?6",
        "max(?5, rows_before)"
    );
    about(sql, viewer, id, vec![offset.to_param(), limit.to_param()])
}

/// The chunks with the rows behind one, as far as `limit` rows reach, of a data set that may be seen.
pub(crate) fn page_after(viewer: Viewer, id: DatasetId, after: i64, limit: i64) -> Statement {
    // The chunk that the row is in may hold nothing behind it, and what is removed fills no page.
    let most = limit + i64::try_from(CHUNK_ROWS).unwrap_or(i64::MAX);
    chunks_after(viewer, id, after, most, most)
}

/// The chunks from the one on in which this row is, or the next: so many at most, and no more than have so many rows.
pub(crate) fn chunks_after(viewer: Viewer, id: DatasetId, after: i64, rows: i64, chunks: i64) -> Statement {
    let sql = concat!(
        chunks!(
            "coalesce((SELECT max(first_row) FROM dataset_chunks WHERE dataset_id = ?1 AND first_row <= ?5), \
             (SELECT min(first_row) FROM dataset_chunks WHERE dataset_id = ?1))",
            "0",
            "?6",
            "rows_before"
        ),
        " LIMIT ?7"
    );
    about(sql, viewer, id, [after.to_param(), rows.to_param(), chunks.to_param()])
}

/// A part of a data set's rows.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    /// The id of its first row.
    pub(crate) first_row: i64,
    /// How many rows stand before it.
    pub(crate) rows_before: i64,
    /// Its rows; none where one was removed.
    pub(crate) rows: Vec<Option<Cells>>,
}

/// Reads the rows of [`page`], [`page_after`] and [`chunks_after`].
pub(crate) fn read_chunks(rows: Vec<Row>) -> Result<Vec<Chunk>, DatabaseError> {
    #[derive(Deserialize)]
    struct ChunkRow {
        first_row: i64,
        rows_before: i64,
        #[serde(deserialize_with = "json_text")]
        cells: Vec<Option<Cells>>,
    }
    let rows: Vec<ChunkRow> = typed(rows)?;
    let chunk = |row: ChunkRow| Chunk { first_row: row.first_row, rows_before: row.rows_before, rows: row.cells };
    Ok(rows.into_iter().map(chunk).collect())
}

/// The data sets that nobody will see any more at `?1`: what was deleted, and uploads that were broken off.
macro_rules! ended {
    () => {
        "ends_at IS NOT NULL AND ends_at <= ?1"
    };
}

/// Deletes data sets that nobody will see any more and that have no rows left, at most `limit`.
pub(crate) fn prune(now: UnixMillis, limit: i64) -> Statement {
    statement!(
        concat!(
            "DELETE FROM datasets WHERE id IN (SELECT id FROM datasets WHERE ",
            ended!(),
            " AND NOT EXISTS (SELECT 1 FROM dataset_chunks WHERE dataset_id = datasets.id) LIMIT ?2)"
        ),
        now,
        limit
    )
}

/// Ends the shares of data sets that nobody will see any more.
pub(crate) fn prune_shares(now: UnixMillis) -> Statement {
    statement!(concat!("DELETE FROM shares WHERE resource_id IN (SELECT id FROM datasets WHERE ", ended!(), ")"), now)
}

/// Deletes chunks of data sets that nobody will see any more, at most `limit`; gives one row for each.
pub(crate) fn prune_chunks(now: UnixMillis, limit: i64) -> Statement {
    statement!(
        concat!(
            "DELETE FROM dataset_chunks WHERE rowid IN (SELECT c.rowid FROM datasets JOIN dataset_chunks c ON c.dataset_id = datasets.id \
             WHERE ",
            ended!(),
            " LIMIT ?2) RETURNING 1 AS pruned"
        ),
        now,
        limit
    )
}
