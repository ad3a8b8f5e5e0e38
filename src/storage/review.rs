//! The table `review_items`. Who may see an item is who may see the live evaluation of its run.

use serde::Deserialize;

use crate::{
    domain::{
        access::{Standing, Viewer},
        dataset::{MAX_ROWS, Row as Inputs},
        id::{DatasetId, KeyId, LiveEvaluationId, ReviewId, RunId, UserId},
        judge::Judgment,
        key::Name,
        review::{Deed, Filter, ReviewItem, ReviewState},
        time::UnixMillis,
    },
    ports::{DatabaseError, Param, Row, Statement},
    storage::{
        ToParam,
        access::{self, about},
        idempotency::subject,
        json, json_text, json_text_or_null, live_evaluations, statement, typed,
    },
};

macro_rules! columns {
    () => {
        "review_items.id, review_items.run_id, review_items.live_evaluation_id, review_items.state, review_items.reason, \
         review_items.verdict, review_items.passed, review_items.notes, review_items.dataset_id, review_items.row_id, \
         flagged_at, flagged_by_key, flagged_by_user, decided_at, decided_by_key, decided_by_user, \
         promoted_at, promoted_by_key, promoted_by_user"
    };
}

/// The condition that the live evaluation of the item may be changed.
macro_rules! changeable {
    () => {
        concat!(
            "EXISTS (SELECT 1 FROM live_evaluations WHERE live_evaluations.id = review_items.live_evaluation_id AND ",
            access::may!("live_evaluations", "1"),
            ")"
        )
    };
}

/// Puts a run into the queue. Gives the item, or no row if the live evaluation may not be changed or if the
/// run is there already.
pub(crate) fn flag(viewer: Viewer, id: ReviewId, run_id: RunId, reason: Option<&str>, by: Deed) -> Statement {
    let sql = concat!(
        "INSERT INTO review_items (id, organization_id, run_id, live_evaluation_id, state, reason, flagged_at, flagged_by_key, \
         flagged_by_user) SELECT ?5, runs.organization_id, runs.id, live_evaluations.id, 'open', ?6, ?7, ?8, ?9 \
         FROM runs JOIN live_evaluations ON live_evaluations.id = runs.live_evaluation_id WHERE runs.id = ?1 AND ",
        access::may!("live_evaluations", "1"),
        " ON CONFLICT (run_id) DO NOTHING RETURNING ",
        columns!()
    );
    about(sql, viewer, run_id, [id.to_param(), reason.to_param()].into_iter().chain(deed(by)))
}

fn deed(by: Deed) -> [Param; 3] {
    [by.at.to_param(), by.key_id.to_param(), by.user_id.to_param()]
}

/// What somebody may do with a run that he may see, and its item if it is in the queue.
pub(crate) fn of_run(viewer: Viewer, run_id: RunId) -> Statement {
    let sql = concat!(
        "SELECT ",
        access::standing!("live_evaluations"),
        ", (SELECT id FROM review_items WHERE run_id = runs.id) AS item_id \
         FROM runs JOIN live_evaluations ON live_evaluations.id = runs.live_evaluation_id WHERE runs.id = ?1 AND ",
        access::may!("live_evaluations", "0")
    );
    about(sql, viewer, run_id, [])
}

/// Reads the rows of [`of_run`].
pub(crate) fn read_of_run(rows: Vec<Row>) -> Result<Option<(Standing, Option<ReviewId>)>, DatabaseError> {
    #[derive(Deserialize)]
    struct RunRow {
        standing: Standing,
        item_id: Option<ReviewId>,
    }
    let rows: Vec<RunRow> = typed(rows)?;
    Ok(rows.first().map(|row| (row.standing, row.item_id)))
}

/// The item that was made under an Idempotency-Key.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    statement!(concat!("SELECT ", columns!(), " FROM review_items WHERE id = ", subject!()), by, digest)
}

/// A page of the items that may be seen, the newest first.
pub(crate) fn list(viewer: Viewer, filter: Filter, after: Option<ReviewId>, limit: i64) -> Statement {
    let (live, of_each) = live_evaluations::reached(viewer, filter.live_evaluation_id);
    // As with runs: of each live evaluation, and of each state, the newest, and of those the newest.
    let sql = format!(
        "SELECT {} FROM review_items WHERE id IN (SELECT value FROM {live}(SELECT value AS one FROM json_each(?7)), \
         json_each((SELECT json_group_array(id) FROM (SELECT id FROM review_items \
         WHERE {of_each} AND state = one AND id < coalesce(?5, '~') ORDER BY id DESC LIMIT ?6)))) \
         AND +organization_id = ?2 ORDER BY id DESC LIMIT ?6",
        columns!()
    );
    let states = filter.state.map_or_else(|| ReviewState::ALL.to_vec(), |state| vec![state]);
    let of = filter.live_evaluation_id.map(|id| id.to_string()).unwrap_or_default();
    about(sql, viewer, of, [after.to_param(), limit.to_param(), json(&states).to_param()])
}

/// An item with its run.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The item.
    pub(crate) item: ReviewItem,
    /// What was judged.
    pub(crate) inputs: Inputs,
    /// What the judge said.
    pub(crate) judgment: Option<Judgment>,
    /// What whoever asks may do with the live evaluation.
    pub(crate) standing: Standing,
}

/// An item with its run, if it may be seen.
pub(crate) fn get(viewer: Viewer, id: ReviewId) -> Statement {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", runs.inputs, runs.judgment, ",
        access::standing!("live_evaluations"),
        " FROM review_items JOIN runs ON runs.id = review_items.run_id \
         JOIN live_evaluations ON live_evaluations.id = review_items.live_evaluation_id WHERE review_items.id = ?1 AND ",
        access::may!("live_evaluations", "0")
    );
    about(sql, viewer, id, [])
}

#[derive(Deserialize)]
struct ItemRow {
    id: ReviewId,
    run_id: RunId,
    live_evaluation_id: LiveEvaluationId,
    state: ReviewState,
    reason: Option<String>,
    verdict: Option<Name>,
    passed: Option<i64>,
    notes: Option<String>,
    dataset_id: Option<DatasetId>,
    row_id: Option<i64>,
    flagged_at: UnixMillis,
    flagged_by_key: KeyId,
    flagged_by_user: Option<UserId>,
    decided_at: Option<UnixMillis>,
    decided_by_key: Option<KeyId>,
    decided_by_user: Option<UserId>,
    promoted_at: Option<UnixMillis>,
    promoted_by_key: Option<KeyId>,
    promoted_by_user: Option<UserId>,
}

impl ItemRow {
    fn item(self) -> ReviewItem {
        let deed = |at: Option<UnixMillis>, key_id: Option<KeyId>, user_id| {
            at.zip(key_id).map(|(at, key_id)| Deed { at, key_id, user_id })
        };
        ReviewItem {
            id: self.id,
            run_id: self.run_id,
            live_evaluation_id: self.live_evaluation_id,
            state: self.state,
            reason: self.reason,
            verdict: self.verdict,
            passed: self.passed.map(|passed| passed == 1),
            notes: self.notes,
            row: self.dataset_id.zip(self.row_id),
            flagged: Deed { at: self.flagged_at, key_id: self.flagged_by_key, user_id: self.flagged_by_user },
            decided: deed(self.decided_at, self.decided_by_key, self.decided_by_user),
            promoted: deed(self.promoted_at, self.promoted_by_key, self.promoted_by_user),
        }
    }
}

/// Reads the rows of [`flag`], [`made`], [`list()`], [`decide`] and [`promote`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<ReviewItem>, DatabaseError> {
    let rows: Vec<ItemRow> = typed(rows)?;
    Ok(rows.into_iter().map(ItemRow::item).collect())
}

/// Reads the rows of [`get`].
pub(crate) fn read_seen(rows: Vec<Row>) -> Result<Option<Seen>, DatabaseError> {
    #[derive(Deserialize)]
    struct SeenRow {
        #[serde(flatten)]
        item: ItemRow,
        #[serde(deserialize_with = "json_text")]
        inputs: Inputs,
        #[serde(deserialize_with = "json_text_or_null")]
        judgment: Option<Judgment>,
        standing: Standing,
    }
    let row: Option<SeenRow> = typed(rows)?.pop();
    Ok(row.map(|row| Seen {
        item: row.item.item(),
        inputs: row.inputs,
        judgment: row.judgment,
        standing: row.standing,
    }))
}

/// What a person says of a run.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    /// What that makes of its item: judged, or rejected.
    pub(crate) state: ReviewState,
    /// His verdict.
    pub(crate) verdict: Option<Name>,
    /// Whether that is a good one.
    pub(crate) passed: Option<bool>,
    /// Why.
    pub(crate) notes: Option<String>,
}

/// Judges or rejects an open item. Gives it as it is then, or no row if it is not open or may not be changed.
pub(crate) fn decide(viewer: Viewer, id: ReviewId, decision: &Decision, by: Deed) -> Statement {
    let sql = concat!(
        "UPDATE review_items SET state = ?5, verdict = ?6, passed = ?7, notes = ?8, \
         decided_at = ?9, decided_by_key = ?10, decided_by_user = ?11 WHERE review_items.id = ?1 AND state = 'open' AND ",
        changeable!(),
        " RETURNING ",
        columns!()
    );
    let set = [
        decision.state.as_str().to_param(),
        decision.verdict.as_ref().map(Name::as_str).to_param(),
        decision.passed.map(i64::from).to_param(),
        decision.notes.to_param(),
    ];
    about(sql, viewer, id, set.into_iter().chain(deed(by)))
}

/// Stands directly before the statements that append one row to a data set if this has changed a row: says that a
/// judged item has become that row. Gives the item as it is then, or no row if it is not judged, or if it
/// or the data set may not be changed.
pub(crate) fn promote(viewer: Viewer, id: ReviewId, dataset_id: DatasetId, by: Deed) -> Statement {
    let sql = concat!(
        "UPDATE review_items SET state = 'promoted', dataset_id = ?5, row_id = (SELECT next_row FROM datasets WHERE id = ?5), \
         promoted_at = ?6, promoted_by_key = ?7, promoted_by_user = ?8 \
         WHERE review_items.id = ?1 AND state = 'judged' AND ",
        changeable!(),
        " AND EXISTS (SELECT 1 FROM datasets WHERE datasets.id = ?5 AND ends_at IS NULL AND row_count < ?9 AND ",
        access::may!("datasets", "1"),
        ") RETURNING ",
        columns!()
    );
    let more = [dataset_id.to_param()].into_iter().chain(deed(by)).chain([MAX_ROWS.to_param()]);
    about(sql, viewer, id, more)
}
