//! The review queue: runs are flagged, judged by people or rejected, and become rows of data sets. Who did what
//! and when stands in each item, so none of it is told again in the audit trail.

use crate::{
    app::{App, Principal, datasets::viewer, error::Error, keys::Page, take},
    domain::{
        access::Standing,
        dataset::{Cells, Dataset, MAX_ROWS},
        id::{DatasetId, ReviewId, RunId},
        key::Name,
        review::{Deed, Filter, ReviewItem, ReviewState},
    },
    ports::Row,
    storage::{
        datasets,
        review::{self, Decision, Seen},
    },
};

impl App {
    /// A page of the review queue, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_reviews(
        &self,
        by: &Principal,
        filter: Filter,
        after: Option<ReviewId>,
        limit: i64,
    ) -> Result<Page<ReviewItem>, Error> {
        let list = review::list(viewer(by)?, filter, after, limit + 1);
        let mut results = self.guarded(by, vec![list]).await?;
        Ok(Page::of(review::read(take(&mut results, 0))?, limit))
    }

    /// An item with its run.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub(crate) async fn review(&self, by: &Principal, id: ReviewId) -> Result<Seen, Error> {
        let mut results = self.guarded(by, vec![review::get(viewer(by)?, id)]).await?;
        review::read_seen(take(&mut results, 0))?.ok_or(Error::NotFound)
    }

    /// Puts a run into the queue.
    ///
    /// # Errors
    /// [`Error::Flagged`] if it is there already.
    pub async fn flag_run(&self, by: &Principal, run_id: RunId, reason: Option<String>) -> Result<ReviewItem, Error> {
        by.subscribed()?;
        match self.insert_review(by, run_id, reason).await {
            Err(error) if error.withdrawn() => Err(error),
            Err(error) => {
                let (first, mut results) = self.made_before(by, error, &[review::made]).await?;
                review::read(take(&mut results, 0))?.pop().ok_or(Error::Spent(first.subject))
            }
            flagged => flagged,
        }
    }

    async fn insert_review(&self, by: &Principal, run_id: RunId, reason: Option<String>) -> Result<ReviewItem, Error> {
        let viewer = viewer(by)?;
        let id = ReviewId::new(self.now(), self.random_bits()?);
        let flag = review::flag(viewer, id, run_id, reason.as_deref(), self.deed(by));
        let statements = vec![review::of_run(viewer, run_id), flag];
        let mut results = self.guarded_once(by, None, &id.to_string(), statements).await?;
        let (standing, before) = review::read_of_run(take(&mut results, 0))?.ok_or(Error::NotFound)?;
        match (review::read(take(&mut results, 1))?.pop(), before) {
            (Some(item), _) => Ok(item),
            (None, Some(before)) if standing >= Standing::Write => Err(Error::Flagged(before)),
            (None, _) => Err(Error::ReadOnly),
        }
    }

    fn deed(&self, by: &Principal) -> Deed {
        Deed { at: self.now(), key_id: by.snapshot.key_id, user_id: by.snapshot.user_id }
    }

    /// Judges an open item.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not open.
    pub async fn judge_review(
        &self,
        by: &Principal,
        id: ReviewId,
        verdict: Name,
        passed: Option<bool>,
        notes: Option<String>,
    ) -> Result<ReviewItem, Error> {
        let decision = Decision { state: ReviewState::Judged, verdict: Some(verdict), passed, notes };
        self.decide_review(by, id, &decision).await
    }

    /// Rejects an open item: there is nothing to judge.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not open.
    pub async fn reject_review(
        &self,
        by: &Principal,
        id: ReviewId,
        notes: Option<String>,
    ) -> Result<ReviewItem, Error> {
        let decision = Decision { state: ReviewState::Rejected, verdict: None, passed: None, notes };
        self.decide_review(by, id, &decision).await
    }

    async fn decide_review(&self, by: &Principal, id: ReviewId, decision: &Decision) -> Result<ReviewItem, Error> {
        let viewer = viewer(by)?;
        let statements = vec![review::get(viewer, id), review::decide(viewer, id, decision, self.deed(by))];
        let mut results = self.guarded(by, statements).await?;
        writable(take(&mut results, 0))?;
        let decided = review::read(take(&mut results, 1))?.pop();
        decided.ok_or(Error::Conflict { code: "not_open", message: "This was judged or rejected before." })
    }

    /// Makes a row of a data set of a judged item. Two round trips: what is there, and then both at once, the row and
    /// that the item has become it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the data set has no column for something; [`Error::Conflict`] if the item is not judged,
    /// or was promoted before.
    pub async fn promote_review(
        &self,
        by: &Principal,
        id: ReviewId,
        dataset_id: DatasetId,
    ) -> Result<ReviewItem, Error> {
        let viewer = viewer(by)?;
        let read = || vec![review::get(viewer, id), datasets::get(viewer, dataset_id)];
        let mut results = self.guarded(by, read()).await?;
        let row = promotable(&mut results)?;
        let mut statements = read();
        statements.push(review::promote(viewer, id, dataset_id, self.deed(by)));
        statements.extend(datasets::append_if_changed(viewer, dataset_id, &[row], self.now()));
        let mut results = self.guarded(by, statements).await?;
        // Somebody else may have been there in between.
        promotable(&mut results)?;
        review::read(take(&mut results, 2))?.pop().ok_or(Error::NotFound)
    }
}

/// The item, if it may be changed.
fn writable(rows: Vec<Row>) -> Result<Seen, Error> {
    let seen = review::read_seen(rows)?.ok_or(Error::NotFound)?;
    if seen.standing < Standing::Write { Err(Error::ReadOnly) } else { Ok(seen) }
}

/// The row that an item becomes in a data set, if it can: the results are those of both.
fn promotable(results: &mut [Vec<Row>]) -> Result<Cells, Error> {
    let Seen { item, inputs, .. } = writable(take(results, 0))?;
    let dataset = datasets::read(take(results, 1))?.pop().ok_or(Error::NotFound)?;
    if dataset.standing < Standing::Write {
        return Err(Error::ReadOnly);
    }
    match item.state {
        ReviewState::Judged => {}
        ReviewState::Promoted => {
            let message = "This is a row of a data set already. The item says which.";
            return Err(Error::Conflict { code: "already_promoted", message });
        }
        ReviewState::Open | ReviewState::Rejected => {
            return Err(Error::Conflict {
                code: "not_judged",
                message: "Only what a person has judged becomes a row.",
            });
        }
    }
    let Dataset { mut columns, row_count, .. } = dataset.dataset;
    let row = item.to_row(inputs, &columns).and_then(|row| columns.to_cells(row, false));
    let row = row.map_err(|why| Error::invalid("dataset", why))?;
    if row_count >= MAX_ROWS {
        return Err(Error::invalid("dataset", format!("a data set has at most {MAX_ROWS} rows")));
    }
    Ok(row)
}
