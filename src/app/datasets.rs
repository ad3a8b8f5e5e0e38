//! Data sets: made, uploaded, read page by page, changed, exported, ended.

use futures_util::{
    StreamExt,
    future::ready,
    stream::{self, LocalBoxStream},
};
use serde_json::{Value, json};

use crate::{
    app::{App, Principal, error::Error, keys::Page, take},
    domain::{
        access::{Part, Sight, Standing, Viewer},
        dataset::{Cells, ColumnRole, Columns, Dataset, JudgmentConfig, MAX_ROW_BYTES, MAX_ROWS, Row, check_judgments},
        decision::decide,
        id::DatasetId,
        key::{Name, Role},
        time::DAY_MS,
        upload::{BadRow, Format, Upload},
    },
    ports::Statement,
    storage::{
        audit::{self, Event},
        datasets::{self, CHUNK_BYTES, CHUNK_ROWS, Chunk, NewChunk, Seen},
    },
};

/// How many rows the details of a data set show.
const PREVIEW_ROWS: i64 = 10;
/// The most rows that are added, or removed, at once; more are uploaded.
pub const MAX_ROWS_AT_ONCE: usize = 1_000;
/// An upload that is not complete after this time never will be, in milliseconds.
const UPLOAD_MS: i64 = DAY_MS;
/// How many bytes of chunks go into one batch of an upload.
const BATCH_BYTES: usize = 2_000_000;
/// The most characters of a description.
pub const MAX_DESCRIPTION_CHARS: usize = 20_000;
/// The most rows of a page.
pub const MAX_PAGE: i64 = 1_000;
/// How many chunks are read at once for an export: about 5 MB at most, however long the rows are.
const EXPORT_CHUNKS: i64 = 21;

/// A data set to be made.
#[derive(Debug, Clone)]
pub struct NewDataset {
    /// Its name.
    pub name: Name,
    /// What a person wrote about it.
    pub description: Option<String>,
}

/// What to change; `None` leaves as it is.
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

/// What to change about the columns.
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
pub type Numbered = (i64, Row);

/// Some rows of a data set, with the data set as it was then.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The data set.
    pub dataset: Dataset,
    /// What the caller may do with it.
    pub standing: Standing,
    /// The rows.
    pub rows: Vec<Numbered>,
}

/// Reads rows as they were sent.
fn cells(columns: &mut Columns, rows: Vec<Row>, grow: bool) -> Result<Vec<Cells>, Error> {
    let rows = rows.into_iter().enumerate();
    let read = |(index, row): (usize, Row)| {
        let cells = columns.to_cells(row, grow).and_then(|cells| match size(&cells) {
            0..=MAX_ROW_BYTES => Ok(cells),
            _ => Err(format!("has more than {MAX_ROW_BYTES} bytes")),
        });
        cells.map_err(|message| Error::invalid(&format!("rows[{index}]"), message))
    };
    rows.map(read).collect()
}

/// Puts rows into chunks of the size that a chunk should have.
fn chunks(rows: &[Cells]) -> impl Iterator<Item = (usize, &[Cells])> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(CHUNK_ROWS).take_while(|row| {
            let before = bytes;
            bytes += size(row);
            before == 0 || bytes <= CHUNK_BYTES
        });
        let (chunk, behind) = rest.split_at_checked(fits.count()).filter(|(chunk, _)| !chunk.is_empty())?;
        rest = behind;
        Some((bytes, chunk))
    })
}

/// How many bytes a row has as JSON.
fn size(row: &Cells) -> usize {
    serde_json::to_string(row).map_or(usize::MAX, |text| text.len())
}

impl App {
    /// Makes a data set of these columns, and of all that stands in the rows, in one batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column or a row that does not fit.
    pub async fn create_dataset(
        &self,
        by: &Principal,
        new: NewDataset,
        columns: Vec<(Name, ColumnRole)>,
        rows: Vec<Row>,
    ) -> Result<Dataset, Error> {
        let viewer = viewer(by)?;
        let mut dataset = self.new_dataset(by, viewer, new)?;
        for (index, (name, role)) in columns.into_iter().enumerate() {
            let at = |message| Error::invalid(&format!("columns[{index}]"), message);
            dataset.columns.add(name, role).map_err(at)?;
        }
        let rows = cells(&mut dataset.columns, rows, true)?;
        let mut statements = vec![datasets::insert(&dataset, None)];
        for (_, chunk) in chunks(&rows) {
            statements.extend(datasets::append(viewer, dataset.id, chunk, dataset.created_at));
        }
        let created = self.created(by, &dataset);
        statements.push(audit::record(&by.actor(), &created, self.config.audit_retention_ms));
        match self.guarded_once(by, None, &dataset.id.to_string(), statements).await {
            Ok(_) => Ok(Dataset { row_count: count(rows.len()), ..dataset }),
            Err(error) => {
                let (first, mut results) = self.made_before(by, error, &[datasets::made]).await?;
                let made = datasets::read(take(&mut results, 0))?.pop().ok_or(Error::Spent(first.subject))?;
                Ok(made.dataset)
            }
        }
    }

    /// Makes a data set of an upload, which is read piece by piece and may be larger than an isolate's
    /// memory. Until its last row is there nobody sees it, and if anything fails nobody ever does.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the row and the column of the first thing that is wrong.
    pub async fn upload_dataset(
        &self,
        by: &Principal,
        new: NewDataset,
        format: Format,
        pieces: LocalBoxStream<'_, Result<Vec<u8>, String>>,
    ) -> Result<Dataset, Error> {
        let dataset = self.new_dataset(by, viewer(by)?, new)?;
        let uploaded = self.store_upload(by, &dataset, format, pieces).await;
        if uploaded.is_err() {
            // If this fails too, the sweep finds it.
            let abandoned = self.database.batch(vec![datasets::abandon(dataset.id, self.now())]).await;
            if let Err(error) = abandoned {
                log::warn!("what there is of a failed upload waits for a later sweep: {error:?}");
            }
        }
        uploaded
    }

    async fn store_upload(
        &self,
        by: &Principal,
        dataset: &Dataset,
        format: Format,
        mut pieces: LocalBoxStream<'_, Result<Vec<u8>, String>>,
    ) -> Result<Dataset, Error> {
        let (mut upload, mut rows, mut next_row, mut bytes) = (Upload::new(format), Vec::new(), 1, 0);
        let mut statements = vec![datasets::insert(dataset, Some(dataset.created_at.plus_ms(UPLOAD_MS)))];
        let mut filled = Vec::new();
        while let Some(piece) = pieces.next().await {
            // Either nobody waits for the answer any more, or the key changed and the body cannot be read again.
            let piece = piece.map_err(|why| Error::Unavailable(format!("an upload broke off: {why}")))?;
            let before = rows.len();
            upload.push(&piece, &mut rows).map_err(bad_row)?;
            if rows.len() == before || rows.iter().map(size).sum::<usize>() < CHUNK_BYTES && rows.len() < CHUNK_ROWS {
                continue;
            }
            // What does not fill a chunk yet waits for the rest of it.
            let mut taken = 0;
            for (chunk_bytes, chunk) in chunks(&rows) {
                if taken + chunk.len() == rows.len() && chunk.len() < CHUNK_ROWS && chunk_bytes < CHUNK_BYTES {
                    break;
                }
                filled.push(NewChunk::new(next_row, chunk));
                next_row += count(chunk.len());
                taken += chunk.len();
                bytes += chunk_bytes;
            }
            rows.drain(..taken);
            if bytes >= BATCH_BYTES {
                statements.extend(datasets::insert_chunks(dataset.id, &std::mem::take(&mut filled)));
                self.guarded(by, std::mem::take(&mut statements)).await?;
                bytes = 0;
            }
        }
        let (columns, row_count) = upload.finish(&mut rows).map_err(bad_row)?;
        for (_, chunk) in chunks(&rows) {
            filled.push(NewChunk::new(next_row, chunk));
            next_row += count(chunk.len());
        }
        statements.extend(datasets::insert_chunks(dataset.id, &filled));
        statements.push(datasets::complete(dataset.id, &columns, row_count, self.now()));
        statements.push(self.record_if_changed(by, &self.created(by, dataset)));
        let at = statements.len() - 2;
        let mut results = self.guarded(by, statements).await?;
        if take(&mut results, at).is_empty() {
            return Err(Error::Invalid { field: None, message: "The upload took longer than a day".to_owned() });
        }
        Ok(Dataset { columns, row_count, ..dataset.clone() })
    }

    fn new_dataset(&self, by: &Principal, viewer: Viewer, new: NewDataset) -> Result<Dataset, Error> {
        if new.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION_CHARS) {
            return Err(Error::invalid("description", format!("must have at most {MAX_DESCRIPTION_CHARS} characters")));
        }
        let now = self.now();
        Ok(Dataset {
            id: DatasetId::new(now, self.random_bits()?),
            organization_id: by.snapshot.organization_id,
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

    fn created(&self, by: &Principal, dataset: &Dataset) -> Event {
        self.event(by, dataset.id, "dataset.created", json!({ "name": dataset.name }))
    }

    /// A page of at most `limit` data sets that the caller may see, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn list_datasets(
        &self,
        by: &Principal,
        after: Option<DatasetId>,
        limit: i64,
    ) -> Result<Page<Seen>, Error> {
        let part = Part { after, skip: 0, limit: limit + 1 };
        let mut results = self.guarded(by, vec![datasets::list(viewer(by)?, part)]).await?;
        Ok(Page::of(datasets::read(take(&mut results, 0))?, limit))
    }

    /// A data set with its first rows.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn dataset(&self, by: &Principal, id: DatasetId) -> Result<Rows, Error> {
        self.dataset_rows(by, id, 0, PREVIEW_ROWS).await
    }

    /// The rows of a data set from `offset` on, at most `limit`.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn dataset_rows(&self, by: &Principal, id: DatasetId, offset: i64, limit: i64) -> Result<Rows, Error> {
        let viewer = viewer(by)?;
        let page = datasets::page(viewer, id, offset, limit);
        let (seen, chunks) = self.read_rows(by, datasets::get(viewer, id), page).await?;
        let wanted = |position: i64, _: i64| (offset..offset + limit).contains(&position);
        Ok(rows(seen, chunks, wanted))
    }

    /// The rows of a data set behind this one, at most `limit`.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn dataset_rows_after(
        &self,
        by: &Principal,
        id: DatasetId,
        after: i64,
        limit: i64,
    ) -> Result<Rows, Error> {
        let viewer = viewer(by)?;
        let page = datasets::page_after(viewer, id, after, limit);
        let (seen, chunks) = self.read_rows(by, datasets::get(viewer, id), page).await?;
        let mut rows = rows(seen, chunks, |_, row| row > after);
        rows.rows.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(rows)
    }

    async fn read_rows(&self, by: &Principal, get: Statement, page: Statement) -> Result<(Seen, Vec<Chunk>), Error> {
        let mut results = self.guarded(by, vec![get, page]).await?;
        let seen = datasets::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)?;
        Ok((seen, datasets::read_chunks(take(&mut results, 1))?))
    }

    /// All rows of a data set, piece by piece, each piece behind the guard. The first was read when this
    /// returns, so that whoever may not see it hears of that in time.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn export_dataset(
        &self,
        by: &Principal,
        id: DatasetId,
    ) -> Result<(Dataset, LocalBoxStream<'static, Result<Vec<Numbered>, Error>>), Error> {
        let (first, next) = self.export_piece(by, id, 0).await?;
        let dataset = first.dataset.clone();
        let rest = stream::try_unfold((self.clone(), by.clone(), next), move |(app, by, after)| async move {
            let Some(after) = after else { return Ok(None) };
            // The guard hears of changes, but not of the passing of time.
            decide(&by.snapshot, &[], app.now()).map_err(Error::Refused)?;
            let (piece, next) = app.export_piece(&by, id, after).await?;
            Ok(Some((piece.rows, (app, by, next))))
        });
        Ok((dataset, stream::once(ready(Ok(first.rows))).chain(rest).boxed_local()))
    }

    /// The rows behind this one, as many as are read at once, and the last of them if there may be more.
    async fn export_piece(&self, by: &Principal, id: DatasetId, after: i64) -> Result<(Rows, Option<i64>), Error> {
        let viewer = viewer(by)?;
        let page = datasets::chunks_after(viewer, id, after, MAX_ROWS, EXPORT_CHUNKS);
        let (seen, chunks) = self.read_rows(by, datasets::get(viewer, id), page).await?;
        let full = count(chunks.len()) == EXPORT_CHUNKS;
        let piece = rows(seen, chunks, |_, row| row > after);
        let last = piece.rows.last().filter(|_| full).map(|(row, _)| *row);
        Ok((piece, last))
    }

    /// Changes what is told of a data set. Two round trips: what is there, and what it becomes.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else was faster.
    pub(crate) async fn change_dataset(
        &self,
        by: &Principal,
        id: DatasetId,
        change: DatasetChange,
    ) -> Result<Dataset, Error> {
        let viewer = viewer(by)?;
        let mut dataset = self.writable_dataset(by, viewer, id).await?;
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
        let mut results = self.guarded(by, vec![datasets::update(viewer, &dataset, self.now())]).await?;
        let changed = datasets::read(take(&mut results, 0))?.pop().map(|seen| seen.dataset);
        changed.ok_or(Error::Conflict {
            code: "conflict",
            message: "Someone else changed this data set at the same time. Read it again, then decide.",
        })
    }

    /// The data set, if the caller may change it.
    async fn writable_dataset(&self, by: &Principal, viewer: Viewer, id: DatasetId) -> Result<Dataset, Error> {
        let mut results = self.guarded(by, vec![datasets::get(viewer, id)]).await?;
        let seen = datasets::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)?;
        if seen.standing >= Standing::Write { Ok(seen.dataset) } else { Err(Error::ReadOnly) }
    }

    fn event(&self, by: &Principal, id: DatasetId, action: &'static str, details: Value) -> Event {
        Event::new(by.snapshot.organization_id, id, action, details, self.now())
    }

    /// Ends a data set.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ReadOnly`].
    pub async fn delete_dataset(&self, by: &Principal, id: DatasetId) -> Result<Dataset, Error> {
        let viewer = viewer(by)?;
        let deleted = self.event(by, id, "dataset.deleted", json!({}));
        let statements = vec![
            datasets::get(viewer, id),
            datasets::delete(viewer, id, self.now()),
            self.record_if_changed(by, &deleted),
        ];
        let mut results = self.guarded(by, statements).await?;
        let seen = datasets::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)?;
        if seen.standing >= Standing::Write { Ok(seen.dataset) } else { Err(Error::ReadOnly) }
    }

    /// Adds rows at the end, all or none; gives their ids.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a row that does not fit.
    pub async fn add_rows(&self, by: &Principal, id: DatasetId, new: Vec<Row>) -> Result<Vec<i64>, Error> {
        if new.is_empty() || new.len() > MAX_ROWS_AT_ONCE {
            let message = format!("must have 1 to {MAX_ROWS_AT_ONCE} rows; upload more than that as a new data set");
            return Err(Error::invalid("rows", message));
        }
        let viewer = viewer(by)?;
        let mut dataset = self.writable_dataset(by, viewer, id).await?;
        let new = cells(&mut dataset.columns, new, false)?;
        if dataset.row_count + count(new.len()) > MAX_ROWS {
            return Err(Error::invalid("rows", format!("a data set has at most {MAX_ROWS} rows")));
        }
        let now = self.now();
        let appended = chunks(&new).map(|(_, chunk)| (chunk.len(), datasets::append(viewer, id, chunk, now)));
        let (sizes, statements): (Vec<usize>, Vec<_>) = appended.unzip();
        let mut results = self.guarded(by, statements.into_iter().flatten().collect()).await?;
        let mut ids = Vec::new();
        for (index, size) in sizes.into_iter().enumerate() {
            // The right to write may have ended in between, and then all of them found nothing to change.
            let first = datasets::read_first_row(take(&mut results, index * 3))?.ok_or(Error::NotFound)?;
            ids.extend(first..first + count(size));
        }
        Ok(ids)
    }

    /// Sets values of one row and leaves its others.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column that is not there.
    pub async fn change_row(&self, by: &Principal, id: DatasetId, row: i64, values: Row) -> Result<Row, Error> {
        if values.0.is_empty() {
            return Err(Error::Invalid { field: None, message: "There is nothing to change".to_owned() });
        }
        let viewer = viewer(by)?;
        let mut dataset = self.writable_dataset(by, viewer, id).await?;
        let cells =
            dataset.columns.to_cells(values, false).map_err(|why| Error::Invalid { field: None, message: why })?;
        let now = self.now();
        let change = || {
            vec![
                datasets::change_row(viewer, id, row, &cells),
                datasets::count_change(id, false, now),
                datasets::page_after(viewer, id, row - 1, 1),
            ]
        };
        let seen = Seen { dataset, standing: Standing::Write };
        let found = |chunks| {
            let mut found = rows(seen.clone(), chunks, |_, there| there == row).rows;
            found.pop().map(|(_, row)| row).ok_or(Error::NotFound)
        };
        let mut results = self.guarded(by, change()).await?;
        let mut changed = found(datasets::read_chunks(take(&mut results, 2))?)?;
        if take(&mut results, 0).is_empty() {
            // It is there, so there was no room for it.
            let mut statements = datasets::make_room(viewer, id, row, &cells).to_vec();
            let at = statements.len();
            statements.extend(change());
            let mut results = self.guarded(by, statements).await?;
            changed = found(datasets::read_chunks(take(&mut results, at + 2))?)?;
            if take(&mut results, at).is_empty() {
                return Err(Error::NotFound);
            }
        }
        Ok(changed)
    }

    /// Removes rows; gives the ids of those that were there.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are too many at once.
    pub async fn remove_rows(&self, by: &Principal, id: DatasetId, gone: Vec<i64>) -> Result<Vec<i64>, Error> {
        if gone.is_empty() || gone.len() > MAX_ROWS_AT_ONCE {
            return Err(Error::invalid("row_ids", format!("must have 1 to {MAX_ROWS_AT_ONCE} ids")));
        }
        let viewer = viewer(by)?;
        let now = self.now();
        let mut statements = vec![datasets::get(viewer, id)];
        for row in &gone {
            statements.extend([datasets::remove_row(viewer, id, *row), datasets::count_change(id, true, now)]);
        }
        let mut results = self.guarded(by, statements).await?;
        let seen = datasets::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)?;
        if seen.standing < Standing::Write {
            return Err(Error::ReadOnly);
        }
        let removed = gone.into_iter().enumerate();
        Ok(removed.filter(|(index, _)| !take(&mut results, 1 + index * 2).is_empty()).map(|(_, row)| row).collect())
    }
}

/// Those rows of these chunks that are wanted, by their place among all and their id.
fn rows(seen: Seen, chunks: Vec<Chunk>, wanted: impl Fn(i64, i64) -> bool) -> Rows {
    let mut found = Vec::new();
    for chunk in chunks {
        let numbered = (chunk.first_row..).zip(chunk.rows).filter_map(|(row, cells)| Some((row, cells?)));
        for (position, (row, cells)) in (chunk.rows_before..).zip(numbered) {
            if wanted(position, row) {
                found.push((row, seen.dataset.columns.to_row(cells)));
            }
        }
    }
    Rows { dataset: seen.dataset, standing: seen.standing, rows: found }
}

fn bad_row(bad: BadRow) -> Error {
    let column = bad.column.map(|column| format!(", column {column:?}")).unwrap_or_default();
    Error::invalid(&format!("row {}{column}", bad.row), bad.message)
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// What the caller sees of what people have made.
///
/// # Errors
/// [`Error::NotFound`] for a key that acts as nobody; [`Error::PaymentRequired`].
pub(crate) fn viewer(by: &Principal) -> Result<Viewer, Error> {
    by.subscribed()?;
    let caller = &by.snapshot;
    let sight = match (caller.project_id, caller.user_id) {
        (Some(id), _) => Sight::Project(id),
        (None, Some(id)) => Sight::User(id),
        (None, None) if caller.role >= Role::Admin => Sight::All,
        (None, None) => return Err(Error::NotFound),
    };
    Ok(Viewer { organization_id: caller.organization_id, sight })
}
