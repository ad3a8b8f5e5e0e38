//! The review queue: runs are flagged, judged by people or rejected, and become rows of data sets. Each item says
//! who did that and when, so the audit log does not.

use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::key::Name,
    domain::page::Page,
    storage::batch::{Batch, Handle, Results},
};

use crate::{
    app::shares::{READ_ONLY, viewer, writable},
    domain::{
        access::{AccessLevel, Permitted, Viewer},
        dataset::{Cells, Dataset, MAX_ROWS},
        id::{DatasetId, ReviewId, RunId},
        review::{Attribution, ReviewFilter, ReviewItem, ReviewState},
    },
    storage::{
        datasets::{self, NewChunk},
        review::{self, ReviewDecision, ReviewDetails, RunStatus},
    },
};

/// The use cases of the review queue.
pub struct Reviews<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Reviews<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Reviews<'_> {
    /// A page of the review queue, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        principal: &Principal,
        filter: ReviewFilter,
        after: Option<ReviewId>,
        limit: i64,
    ) -> Result<Page<ReviewItem>, Error> {
        self.app.query(principal, review::list(viewer(principal)?, filter, after, limit)).await
    }

    /// An item with its run.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub(crate) async fn get(&self, principal: &Principal, id: ReviewId) -> Result<Permitted<ReviewDetails>, Error> {
        self.app.query(principal, review::get(viewer(principal)?, id)).await?.ok_or(Error::NotFound)
    }

    /// Puts a run into the queue.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if it is there already.
    pub async fn flag(
        &self,
        principal: &Principal,
        run_id: RunId,
        reason: Option<String>,
    ) -> Result<ReviewItem, Error> {
        let viewer = viewer(principal)?;
        self.app
            .once(
                principal,
                review::made,
                |_, item| Ok(item),
                async |attempt| {
                    let id = ReviewId::new(self.app.now(), self.app.random_bits()?);
                    let mut batch = Batch::new();
                    let status = batch.add(review::run_status(viewer, run_id));
                    let item =
                        batch.add(review::flag(viewer, id, run_id, reason.as_deref(), self.attribution(principal)));
                    let mut results = attempt.run(id, batch).await?;
                    let RunStatus { permission, item_id } = results.take(status)?.ok_or(Error::NotFound)?;
                    match (results.take(item)?, item_id) {
                        (Some(item), _) => Ok(item),
                        (None, Some(item_id)) if permission >= AccessLevel::Write => Err(Error::AlreadyExists {
                            code: "already_flagged",
                            message: format!("This run is in the review queue already, as {item_id}."),
                        }),
                        (None, _) => Err(READ_ONLY),
                    }
                },
            )
            .await
    }

    fn attribution(&self, principal: &Principal) -> Attribution {
        Attribution { at: self.app.now(), key_id: principal.snapshot.key_id, user_id: principal.snapshot.user_id }
    }

    /// Judges an open item.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not open.
    pub async fn judge(
        &self,
        principal: &Principal,
        id: ReviewId,
        verdict: Name,
        passed: Option<bool>,
        notes: Option<String>,
    ) -> Result<ReviewItem, Error> {
        let decision = ReviewDecision { state: ReviewState::Judged, verdict: Some(verdict), passed, notes };
        self.decide(principal, id, &decision).await
    }

    /// Rejects an open item: there is nothing to judge.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not open.
    pub async fn reject(
        &self,
        principal: &Principal,
        id: ReviewId,
        notes: Option<String>,
    ) -> Result<ReviewItem, Error> {
        let decision = ReviewDecision { state: ReviewState::Rejected, verdict: None, passed: None, notes };
        self.decide(principal, id, &decision).await
    }

    async fn decide(
        &self,
        principal: &Principal,
        id: ReviewId,
        decision: &ReviewDecision,
    ) -> Result<ReviewItem, Error> {
        let viewer = viewer(principal)?;
        let mut batch = Batch::new();
        let before = batch.add(review::get(viewer, id));
        let decided = batch.add(review::decide(viewer, id, decision, self.attribution(principal)));
        let mut results = self.app.guarded(principal, batch).await?;
        writable(results.take(before)?)?;
        let decided = results.take(decided)?;
        decided.ok_or(Error::Conflict { code: "not_open", message: "This item was already judged or rejected." })
    }

    /// Makes a row of a data set of a judged item. Two round trips: what is there, and then both at once, the row and
    /// that the item has become it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the data set has no column for something; [`Error::Conflict`] if the item is not judged,
    /// or was promoted before.
    pub async fn promote(
        &self,
        principal: &Principal,
        id: ReviewId,
        dataset_id: DatasetId,
    ) -> Result<ReviewItem, Error> {
        let viewer = viewer(principal)?;
        let mut batch = Batch::new();
        let promotion = Promotion::add(&mut batch, viewer, id, dataset_id);
        let row = promotion.row(&mut self.app.guarded(principal, batch).await?)?;
        let (first_row, store) = datasets::append_if_changed(viewer, dataset_id, &NewChunk::of(&row), self.app.now());
        let mut batch = Batch::new();
        let promotion = Promotion::add(&mut batch, viewer, id, dataset_id);
        let promoted = batch.add(review::promote(viewer, id, dataset_id, self.attribution(principal)));
        batch.execute(first_row);
        batch.extend(store);
        let mut results = self.app.guarded(principal, batch).await?;
        // Somebody else may have been there in between.
        promotion.row(&mut results)?;
        results.take(promoted)?.ok_or(Error::NotFound)
    }
}

/// An item and the data set into which it is to be promoted.
struct Promotion {
    item: Handle<Option<Permitted<ReviewDetails>>>,
    dataset: Handle<Option<Permitted<Dataset>>>,
}

impl Promotion {
    /// Adds the statements that read both.
    fn add(batch: &mut Batch, viewer: Viewer, id: ReviewId, dataset_id: DatasetId) -> Self {
        Self { item: batch.add(review::get(viewer, id)), dataset: batch.add(datasets::get(viewer, dataset_id)) }
    }

    /// The row that the item becomes in the data set, if it can.
    fn row(self, results: &mut Results) -> Result<Cells, Error> {
        let details = writable(results.take(self.item)?)?;
        promotable(details, writable(results.take(self.dataset)?)?)
    }
}

/// The row that an item becomes in a data set, if it can.
fn promotable(details: ReviewDetails, dataset: Dataset) -> Result<Cells, Error> {
    let ReviewDetails { item, inputs, .. } = details;
    match item.state {
        ReviewState::Judged => {}
        ReviewState::Promoted => {
            let message = "This is a row of a data set already. The item says which.";
            return Err(Error::Conflict { code: "already_promoted", message });
        }
        ReviewState::Open | ReviewState::Rejected => {
            return Err(Error::Conflict {
                code: "not_judged",
                message: "Only a judged item can become a row. Judge it first.",
            });
        }
    }
    let Dataset { mut columns, row_count, .. } = dataset;
    let row = item.to_row(inputs, &columns).and_then(|row| columns.to_cells(row, false));
    let row = row.map_err(|why| Error::invalid("dataset_id", why))?;
    if row_count >= MAX_ROWS {
        return Err(Error::invalid("dataset_id", format!("a data set has at most {MAX_ROWS} rows")));
    }
    Ok(row)
}
