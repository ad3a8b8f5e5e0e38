//! Data sets: made, uploaded, read page by page, changed, exported, ended.

use std::mem;

use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::{decision::decide, expected::Expected, key::Name, page::Page, time::DAY_MS},
    storage::{
        self,
        audit::{self, Event},
        batch::{Batch, Query},
    },
};
use futures_util::{
    StreamExt,
    future::ready,
    stream::{self, LocalBoxStream},
};
use serde_json::json;

use crate::{
    app::shares::{Shares, viewer, writable},
    domain::{
        access::{AccessLevel, Part, Permitted, Resource},
        dataset::{ColumnRole, Columns, Dataset, DatasetRow, JudgmentConfig, MAX_ROW_BYTES, MAX_ROWS, check_judgments},
        id::DatasetId,
        upload::{BadRow, Format, Upload},
    },
    storage::datasets::{self, Chunk, Chunks, NewChunk},
};

/// The number of rows that the details of a data set show.
const PREVIEW_ROWS: i64 = 10;
/// The most rows that are added, or removed, at once; more are uploaded.
pub const MAX_ROWS_AT_ONCE: usize = 1_000;
/// An upload that is not complete after this time never will be, in milliseconds.
const UPLOAD_MS: i64 = DAY_MS;
/// The bytes of chunks that go into one batch of an upload.
const BATCH_BYTES: usize = 2_000_000;
/// The most characters of a description.
pub const MAX_DESCRIPTION_CHARS: usize = 20_000;
/// The most rows of a page.
pub const MAX_PAGE: i64 = 1_000;
/// The number of chunks that are read at once for an export: about 5 MB at most, however long the rows are.
const EXPORT_CHUNKS: i64 = 21;

/// A data set to be made.
#[derive(Debug, Clone)]
pub struct NewDataset {
    /// Its name.
    pub name: Name,
    /// A person's note about it.
    pub description: Option<String>,
}

/// A change of a data set; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct DatasetChange {
    /// The name.
    pub name: Option<Name>,
    /// The description; `Some(None)`: none.
    pub description: Option<Option<String>>,
    /// The judgment configurations.
    pub judgments: Option<Vec<JudgmentConfig>>,
    /// The columns.
    pub columns: Option<ColumnChange>,
}

/// A change of the columns.
#[derive(Debug, Clone)]
pub enum ColumnChange {
    /// A new one at the end.
    Add(Name, ColumnRole),
    /// Another name or role for the one with this name.
    Change(String, Option<Name>, Option<ColumnRole>),
    /// The one with this name goes, with its values.
    Remove(String),
}

/// A row with its id.
pub type NumberedRow = (i64, DatasetRow);

/// Some rows of a data set, with the data set as it was then.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The data set.
    pub dataset: Dataset,
    /// The most that the caller may do with it.
    pub permission: AccessLevel,
    /// The rows.
    pub rows: Vec<NumberedRow>,
    /// True if there are more rows behind these.
    pub has_more: bool,
    /// True if rows are missing because the others are as long as a page may be.
    pub is_cut: bool,
}

/// Reads rows as they were sent, and puts them into chunks.
fn read_chunks(columns: &mut Columns, rows: Vec<DatasetRow>, grow: bool) -> Result<Chunks, Error> {
    let mut chunks = Chunks::default();
    for (index, row) in rows.into_iter().enumerate() {
        let invalid = |message| Error::invalid(&format!("rows[{index}]"), message);
        let row = storage::json(&columns.to_cells(row, grow).map_err(invalid)?);
        if row.len() > MAX_ROW_BYTES {
            return Err(invalid(format!("has more than {MAX_ROW_BYTES} bytes")));
        }
        chunks.push(&row);
    }
    Ok(chunks)
}

/// The use cases of data sets and their rows.
pub struct Datasets<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Datasets<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Datasets<'_> {
    /// Makes a data set of these columns, and of all that stands in the rows, in one batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column or a row that does not fit.
    pub async fn create(
        &self,
        principal: &Principal,
        new: NewDataset,
        columns: Vec<(Name, ColumnRole)>,
        rows: Vec<DatasetRow>,
    ) -> Result<Dataset, Error> {
        let row_count = count(rows.len());
        let viewer = viewer(principal)?;
        let mut dataset = self.new_dataset(principal, new)?;
        for (index, (name, role)) in columns.into_iter().enumerate() {
            let invalid = |message| Error::invalid(&format!("columns[{index}]"), message);
            dataset.columns.add(name, role).map_err(invalid)?;
        }
        let chunks = read_chunks(&mut dataset.columns, rows, true)?;
        self.app
            .once(
                principal,
                datasets::made,
                |_, dataset| Ok(dataset),
                async |attempt| {
                    let mut batch = Batch::new();
                    batch.execute(datasets::insert(&dataset, None));
                    for chunk in chunks.finish() {
                        let (first_row, store) = datasets::append(viewer, dataset.id, &chunk, dataset.created_at);
                        batch.execute(first_row);
                        batch.extend(store);
                    }
                    let created = self.created(principal, &dataset);
                    batch.execute(audit::record(&principal.actor(), &created, self.app.config.audit_retention));
                    attempt.run(dataset.id, batch).await?;
                    Ok(Dataset { row_count, ..dataset })
                },
            )
            .await
    }

    /// Makes a data set of an upload, which is read piece by piece and may be larger than an isolate's
    /// memory. Until its last row is there nobody sees it, and if anything fails nobody ever does.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the row and the column of the first thing that is wrong.
    pub async fn upload(
        &self,
        principal: &Principal,
        new: NewDataset,
        format: Format,
        pieces: LocalBoxStream<'_, Result<Vec<u8>, String>>,
    ) -> Result<Dataset, Error> {
        let dataset = self.new_dataset(principal, new)?;
        let uploaded = self.store_upload(principal, &dataset, format, pieces).await;
        if uploaded.is_err() {
            // If this fails too, the sweep finds it.
            let abandoned = self.app.database.batch(vec![datasets::abandon(dataset.id, self.app.now())]).await;
            if let Err(error) = abandoned {
                log::warn!("what there is of a failed upload waits for a later sweep: {error:?}");
            }
        }
        uploaded
    }

    async fn store_upload(
        &self,
        principal: &Principal,
        dataset: &Dataset,
        format: Format,
        mut pieces: LocalBoxStream<'_, Result<Vec<u8>, String>>,
    ) -> Result<Dataset, Error> {
        let (mut upload, mut rows, mut chunks) = (Upload::new(format), Vec::new(), Chunks::default());
        let mut next_row = 1;
        let mut batch = Batch::new();
        batch.execute(datasets::insert(dataset, Some(dataset.created_at.plus_ms(UPLOAD_MS))));
        while let Some(piece) = pieces.next().await {
            // Either nobody waits for the answer any more, or the key changed and the body cannot be read again.
            let piece = piece.map_err(|why| Error::Unavailable(format!("an upload broke off: {why}")))?;
            upload.push(&piece, &mut rows).map_err(bad_row)?;
            rows.drain(..).for_each(|row| chunks.push(&storage::json(&row)));
            if chunks.full_bytes() >= BATCH_BYTES {
                next_row = insert_chunks(&mut batch, dataset.id, next_row, &chunks.take_full());
                self.app.guarded(principal, mem::take(&mut batch)).await?;
                self.app.check_room()?;
            }
        }
        let (columns, row_count) = upload.finish(&mut rows).map_err(bad_row)?;
        rows.drain(..).for_each(|row| chunks.push(&storage::json(&row)));
        insert_chunks(&mut batch, dataset.id, next_row, &chunks.finish());
        let completed = batch.add(datasets::complete(dataset.id, &columns, row_count, self.app.now()));
        batch.execute(self.app.record_if_changed(principal, &self.created(principal, dataset)));
        if !self.app.guarded(principal, batch).await?.take(completed)? {
            return Err(Error::invalid_request("The upload took longer than a day"));
        }
        Ok(Dataset { columns, row_count, ..dataset.clone() })
    }

    fn new_dataset(&self, principal: &Principal, new: NewDataset) -> Result<Dataset, Error> {
        let viewer = viewer(principal)?;
        if new.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION_CHARS) {
            return Err(Error::invalid("description", format!("must have at most {MAX_DESCRIPTION_CHARS} characters")));
        }
        let now = self.app.now();
        Ok(Dataset {
            id: DatasetId::new(now, self.app.random_bits()?),
            organization_id: viewer.organization_id,
            user_id: viewer.user_id(),
            project_id: viewer.project_id(),
            name: new.name,
            description: new.description,
            columns: Columns::default(),
            judgments: Vec::new(),
            row_count: 0,
            created_at: now,
            updated_at: now,
        })
    }

    fn created(&self, principal: &Principal, dataset: &Dataset) -> Event {
        let details = json!({ "name": dataset.name });
        Shares::new(self.app).resource_event(principal, Resource::Dataset(dataset.id), "dataset.created", details)
    }

    /// A page of at most `limit` data sets that the caller may see, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        principal: &Principal,
        after: Option<DatasetId>,
        limit: i64,
    ) -> Result<Page<Dataset>, Error> {
        let part = Part { after, skip: 0, limit };
        self.app.query(principal, datasets::list(viewer(principal)?, part)).await
    }

    /// A data set with its first rows.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn get(&self, principal: &Principal, id: DatasetId) -> Result<Rows, Error> {
        self.rows(principal, id, 0, PREVIEW_ROWS).await
    }

    /// The rows of a data set from `offset` on, at most `limit`.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn rows(&self, principal: &Principal, id: DatasetId, offset: i64, limit: i64) -> Result<Rows, Error> {
        let page = datasets::page(viewer(principal)?, id, offset, limit);
        let (dataset, chunks) = self.read_rows(principal, id, page).await?;
        let mut rows = rows(dataset, chunks, |position, _| (offset..offset + limit).contains(&position));
        rows.has_more = rows.is_cut || offset + limit < rows.dataset.row_count;
        Ok(rows)
    }

    /// The rows of a data set behind this one, at most `limit`.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn rows_after(
        &self,
        principal: &Principal,
        id: DatasetId,
        after: i64,
        limit: i64,
    ) -> Result<Rows, Error> {
        // One row more than the page has tells whether there are more.
        let page = datasets::page_after(viewer(principal)?, id, after, limit + 1);
        let (dataset, chunks) = self.read_rows(principal, id, page).await?;
        let mut rows = rows(dataset, chunks, |_, row| row > after);
        let limit = usize::try_from(limit).unwrap_or(0);
        rows.has_more = rows.is_cut || rows.rows.len() > limit;
        rows.rows.truncate(limit);
        Ok(rows)
    }

    async fn read_rows(
        &self,
        principal: &Principal,
        id: DatasetId,
        page: Query<Vec<Chunk>>,
    ) -> Result<(Permitted<Dataset>, Vec<Chunk>), Error> {
        let mut batch = Batch::new();
        let dataset = batch.add(datasets::get(viewer(principal)?, id));
        let chunks = batch.add(page);
        let mut results = self.app.guarded(principal, batch).await?;
        Ok((results.take(dataset)?.ok_or(Error::NotFound)?, results.take(chunks)?))
    }

    /// All rows of a data set, piece by piece, each piece behind the guard. The first was read when this
    /// returns, so that a caller who may not see it hears of that in time.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn export(
        &self,
        principal: &Principal,
        id: DatasetId,
    ) -> Result<(Dataset, LocalBoxStream<'static, Result<Vec<NumberedRow>, Error>>), Error> {
        let (first, next) = self.export_piece(principal, id, 0).await?;
        self.app.note_read(principal, "dataset.exported", id);
        let dataset = first.dataset.clone();
        let start = (self.app.clone(), principal.clone(), next);
        let rest = stream::try_unfold(start, move |(app, principal, after)| async move {
            let Some(after) = after else { return Ok(None) };
            // The guard hears of changes, but not of the passing of time.
            decide(&principal.snapshot, principal.uses(&[], app.now())).map_err(Error::Refused)?;
            let (piece, next) = Datasets::new(&app).export_piece(&principal, id, after).await?;
            Ok(Some((piece.rows, (app, principal, next))))
        });
        Ok((dataset, stream::once(ready(Ok(first.rows))).chain(rest).boxed_local()))
    }

    /// The rows behind this one, as many as are read at once, and the last of them if there may be more.
    async fn export_piece(
        &self,
        principal: &Principal,
        id: DatasetId,
        after: i64,
    ) -> Result<(Rows, Option<i64>), Error> {
        let page = datasets::chunks_after(viewer(principal)?, id, after, MAX_ROWS, EXPORT_CHUNKS);
        let (dataset, chunks) = self.read_rows(principal, id, page).await?;
        let full = count(chunks.len()) == EXPORT_CHUNKS;
        let last = chunks.iter().rev().find_map(Chunk::last_row);
        let piece = rows(dataset, chunks, |_, row| row > after);
        let next = last.filter(|_| full || piece.is_cut);
        Ok((piece, next))
    }

    /// Changes a data set, but for its rows. Two round trips: what is there, and what it becomes.
    ///
    /// # Errors
    /// [`Error::Conflict`] if someone else changed it first.
    pub async fn change(
        &self,
        principal: &Principal,
        id: DatasetId,
        change: DatasetChange,
        expected: Expected,
    ) -> Result<Dataset, Error> {
        let mut dataset = self.writable(principal, id).await?;
        expected.check(dataset.updated_at)?;
        dataset.name = change.name.unwrap_or(dataset.name);
        dataset.description = change.description.unwrap_or(dataset.description);
        match change.columns {
            None => {}
            Some(ColumnChange::Add(name, role)) => {
                dataset.columns.add(name, role).map_err(|why| Error::invalid("name", why))?;
            }
            Some(ColumnChange::Change(name, new_name, role)) => {
                dataset.columns.named(&name).ok_or(Error::NotFound)?;
                for judgment in dataset.judgments.iter_mut().filter(|judgment| judgment.column.as_str() == name) {
                    judgment.column = new_name.clone().unwrap_or_else(|| judgment.column.clone());
                }
                dataset.columns.change(&name, new_name, role).map_err(|why| Error::invalid("name", why))?;
            }
            Some(ColumnChange::Remove(name)) => {
                if !dataset.columns.remove(&name) {
                    return Err(Error::NotFound);
                }
                dataset.judgments.retain(|judgment| judgment.column.as_str() != name);
            }
        }
        dataset.judgments = change.judgments.unwrap_or(dataset.judgments);
        check_judgments(&dataset.judgments, &dataset.columns)
            .map_err(|(index, why)| Error::invalid(&format!("judgments[{index}]"), why))?;
        let changed = self.app.query(principal, datasets::update(viewer(principal)?, &dataset, self.app.now())).await?;
        changed.ok_or(Error::Conflict {
            code: "conflict",
            message: "Someone else changed this data set at the same time. Read it again, then decide.",
        })
    }

    async fn writable(&self, principal: &Principal, id: DatasetId) -> Result<Dataset, Error> {
        writable(self.app.query(principal, datasets::get(viewer(principal)?, id)).await?)
    }

    /// Ends a data set.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`].
    pub async fn delete(&self, principal: &Principal, id: DatasetId) -> Result<Dataset, Error> {
        let viewer = viewer(principal)?;
        let deleted =
            Shares::new(self.app).resource_event(principal, Resource::Dataset(id), "dataset.deleted", json!({}));
        let mut batch = Batch::new();
        let dataset = batch.add(datasets::get(viewer, id));
        batch.execute(datasets::delete(viewer, id, self.app.now()));
        batch.execute(self.app.record_if_changed(principal, &deleted));
        writable(self.app.guarded(principal, batch).await?.take(dataset)?)
    }

    /// Adds rows at the end, all or none; gives their ids.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a row that does not fit.
    pub async fn add_rows(
        &self,
        principal: &Principal,
        id: DatasetId,
        new: Vec<DatasetRow>,
    ) -> Result<Vec<i64>, Error> {
        if new.is_empty() || new.len() > MAX_ROWS_AT_ONCE {
            let message = format!("must have 1 to {MAX_ROWS_AT_ONCE} rows; upload more than that as a new data set");
            return Err(Error::invalid("rows", message));
        }
        let added = count(new.len());
        let mut dataset = self.writable(principal, id).await?;
        let chunks = read_chunks(&mut dataset.columns, new, false)?;
        if dataset.row_count + added > MAX_ROWS {
            return Err(Error::invalid("rows", format!("a data set has at most {MAX_ROWS} rows")));
        }
        let (viewer, now) = (viewer(principal)?, self.app.now());
        let (mut batch, mut appended) = (Batch::new(), Vec::new());
        for chunk in chunks.finish() {
            let (first_row, store) = datasets::append(viewer, id, &chunk, now);
            appended.push((batch.add(first_row), chunk.row_count));
            batch.extend(store);
        }
        let mut results = self.app.guarded(principal, batch).await?;
        let mut ids = Vec::new();
        for (first_row, row_count) in appended {
            // The right to write may have ended in between, and then all of them found nothing to change.
            let first_row = results.take(first_row)?.ok_or(Error::NotFound)?;
            ids.extend(first_row..first_row + row_count);
        }
        Ok(ids)
    }

    /// Sets values of one row and leaves its others.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column that is not there.
    pub async fn change_row(
        &self,
        principal: &Principal,
        id: DatasetId,
        row: i64,
        values: DatasetRow,
    ) -> Result<DatasetRow, Error> {
        if values.0.is_empty() {
            return Err(Error::invalid_request("There is nothing to change"));
        }
        let viewer = viewer(principal)?;
        let mut dataset = self.writable(principal, id).await?;
        let cells = dataset.columns.to_cells(values, false).map_err(Error::invalid_request)?;
        let change = async |mut batch: Batch| {
            let changed = batch.add(datasets::change_row(viewer, id, row, &cells));
            batch.execute(datasets::count_change(id, false, self.app.now()));
            let chunks = batch.add(datasets::page_after(viewer, id, row - 1, 1));
            let mut results = self.app.guarded(principal, batch).await?;
            let mut chunks = results.take(chunks)?.into_iter();
            let cells = chunks.find_map(|chunk| chunk.numbered().find(|(number, _)| *number == row));
            let (_, cells) = cells.ok_or(Error::NotFound)?;
            Ok::<_, Error>((results.take(changed)?, dataset.columns.to_row(cells)))
        };
        let (changed, values) = change(Batch::new()).await?;
        if changed {
            return Ok(values);
        }
        // It is there, so there was no room for it.
        let mut batch = Batch::new();
        batch.extend(datasets::make_room(viewer, id, row, &cells));
        let (changed, values) = change(batch).await?;
        if changed { Ok(values) } else { Err(Error::NotFound) }
    }

    /// Removes rows; gives the ids of those that were there.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are too many at once.
    pub async fn remove_rows(&self, principal: &Principal, id: DatasetId, ids: Vec<i64>) -> Result<Vec<i64>, Error> {
        if ids.is_empty() || ids.len() > MAX_ROWS_AT_ONCE {
            return Err(Error::invalid("row_ids", format!("must have 1 to {MAX_ROWS_AT_ONCE} ids")));
        }
        let (viewer, now) = (viewer(principal)?, self.app.now());
        let (mut batch, mut handles) = (Batch::new(), Vec::new());
        let dataset = batch.add(datasets::get(viewer, id));
        for row in ids {
            handles.push((row, batch.add(datasets::remove_row(viewer, id, row))));
            batch.execute(datasets::count_change(id, true, now));
        }
        let mut results = self.app.guarded(principal, batch).await?;
        writable(results.take(dataset)?)?;
        let mut removed = Vec::new();
        for (row, handle) in handles {
            if results.take(handle)? {
                removed.push(row);
            }
        }
        Ok(removed)
    }
}

/// Those rows of these chunks that are wanted, by their place among all and their id.
fn rows(dataset: Permitted<Dataset>, chunks: Vec<Chunk>, wanted: impl Fn(i64, i64) -> bool) -> Rows {
    let Permitted { item: dataset, permission } = dataset;
    let is_cut = chunks.iter().any(|chunk| chunk.cells.is_none());
    let mut found = Vec::new();
    for chunk in chunks {
        for (position, (row, cells)) in (chunk.rows_before..).zip(chunk.numbered()) {
            if wanted(position, row) {
                found.push((row, dataset.columns.to_row(cells)));
            }
        }
    }
    Rows { dataset, permission, rows: found, has_more: is_cut, is_cut }
}

/// Adds the statements that store the chunks of an upload; gives the id of the row behind them.
fn insert_chunks(batch: &mut Batch, id: DatasetId, first_row: i64, chunks: &[NewChunk]) -> i64 {
    batch.extend(datasets::insert_chunks(id, first_row, chunks));
    first_row + chunks.iter().map(|chunk| chunk.row_count).sum::<i64>()
}

fn bad_row(bad: BadRow) -> Error {
    let column = bad.column.map(|column| format!(", column {column:?}")).unwrap_or_default();
    Error::invalid(&format!("row {}{column}", bad.row), bad.message)
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
