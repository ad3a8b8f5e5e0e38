//! The table `review_items`. Those who may see the live evaluation of a run may see its item.

use bitting_keys::{
    domain::{
        id::{KeyId, UserId},
        key::Name,
        page::Page,
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    statement,
    storage::{batch::Query, idempotency::SUBJECT, json, json_text, json_text_or_null, page, typed},
};
use serde::{Deserialize, Deserializer};

use crate::{
    domain::{
        access::{AccessLevel, Permitted, Viewer},
        dataset::{DatasetRow, MAX_ROWS},
        id::{DatasetId, LiveEvaluationId, ReviewId, RunId},
        judge::Judgment,
        review::{Attribution, ReviewFilter, ReviewItem, ReviewState},
    },
    storage::{
        access::{DATASETS, LIVE_EVALUATIONS, viewed},
        live_evaluations::Reach,
    },
};

/// The columns of a [`ReviewItem`].
const COLUMNS: &str = "review_items.id, review_items.run_id, review_items.live_evaluation_id, review_items.state, \
                       review_items.reason, review_items.verdict, review_items.passed, review_items.notes, \
                       review_items.dataset_id, review_items.row_id, \
                       flagged_at, flagged_by_key, flagged_by_user, decided_at, decided_by_key, decided_by_user, \
                       promoted_at, promoted_by_key, promoted_by_user";

/// The condition that the live evaluation of an item may be changed.
fn changeable() -> String {
    format!(
        "EXISTS (SELECT 1 FROM live_evaluations WHERE live_evaluations.id = review_items.live_evaluation_id AND {})",
        LIVE_EVALUATIONS.may_change(),
    )
}

/// Puts a run into the queue. Gives the item, or nothing if the live evaluation may not be changed or if the
/// run is there already.
pub(crate) fn flag(
    viewer: Viewer,
    id: ReviewId,
    run_id: RunId,
    reason: Option<&str>,
    flagged: Attribution,
) -> Query<Option<ReviewItem>> {
    let sql = format!(
        "INSERT INTO review_items (id, organization_id, run_id, live_evaluation_id, state, reason, \
         flagged_at, flagged_by_key, flagged_by_user) \
         SELECT :id, runs.organization_id, runs.id, live_evaluations.id, 'open', :reason, :at, :key, :user \
         FROM runs JOIN live_evaluations ON live_evaluations.id = runs.live_evaluation_id \
         WHERE runs.id = :run AND {} \
         ON CONFLICT (run_id) DO NOTHING RETURNING {COLUMNS}",
        LIVE_EVALUATIONS.may_change(),
    );
    let Attribution { at, key_id, user_id } = flagged;
    item(viewed!(viewer, sql, run: run_id, id, reason, at, key: key_id, user: user_id))
}

/// A run as the queue knows it.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct RunStatus {
    /// The most that the viewer may do with its live evaluation.
    pub(crate) permission: AccessLevel,
    /// Its item, if it is in the queue.
    pub(crate) item_id: Option<ReviewId>,
}

/// A run as the queue knows it, if it may be seen.
pub(crate) fn run_status(viewer: Viewer, run_id: RunId) -> Query<Option<RunStatus>> {
    let sql = format!(
        "SELECT {}, (SELECT id FROM review_items WHERE run_id = runs.id) AS item_id \
         FROM runs JOIN live_evaluations ON live_evaluations.id = runs.live_evaluation_id \
         WHERE runs.id = :run AND {}",
        LIVE_EVALUATIONS.permission(),
        LIVE_EVALUATIONS.may_see(),
    );
    Query::first(viewed!(viewer, sql, run: run_id))
}

/// The item that was made under an Idempotency-Key.
pub(crate) fn made(key_id: KeyId, digest: &str) -> Query<Option<ReviewItem>> {
    item(statement!(format!("SELECT {COLUMNS} FROM review_items WHERE id = {SUBJECT}"), key_id, digest))
}

/// A page of the items that may be seen, the newest first.
pub(crate) fn list(
    viewer: Viewer,
    filter: ReviewFilter,
    after: Option<ReviewId>,
    limit: i64,
) -> Query<Page<ReviewItem>> {
    let Reach { table, condition } = Reach::new(viewer, filter.live_evaluation_id);
    // As with runs: the newest of each live evaluation and of each state, and of all these the newest.
    let sql = format!(
        "SELECT {COLUMNS} FROM review_items WHERE id IN (\
         SELECT value FROM {table}(SELECT value AS one FROM json_each(:states)), \
         json_each((SELECT json_group_array(id) FROM (SELECT id FROM review_items \
         WHERE {condition} AND state = one AND id < coalesce(:after, '~') ORDER BY id DESC LIMIT :limit)))) \
         AND +organization_id = :organization ORDER BY id DESC LIMIT :limit"
    );
    let states = filter.state.map_or_else(|| ReviewState::ALL.to_vec(), |state| vec![state]);
    let list = viewed!(viewer, sql, id: filter.live_evaluation_id, after, limit: limit + 1, states: json(&states));
    Query::new(page::bounded(list, limit, &["reason", "notes"]), |rows| {
        page::read(rows, |rows| Ok(items(rows)?.collect()))
    })
}

/// An item with its run.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReviewDetails {
    /// The item.
    #[serde(flatten, deserialize_with = "review_item")]
    pub(crate) item: ReviewItem,
    /// The values that were judged.
    #[serde(deserialize_with = "json_text")]
    pub(crate) inputs: DatasetRow,
    /// The judgment.
    #[serde(deserialize_with = "json_text_or_null")]
    pub(crate) judgment: Option<Judgment>,
}

/// An item with its run, if it may be seen.
pub(crate) fn get(viewer: Viewer, id: ReviewId) -> Query<Option<Permitted<ReviewDetails>>> {
    let sql = format!(
        "SELECT {COLUMNS}, runs.inputs, runs.judgment, {} \
         FROM review_items JOIN runs ON runs.id = review_items.run_id \
         JOIN live_evaluations ON live_evaluations.id = review_items.live_evaluation_id \
         WHERE review_items.id = :id AND {}",
        LIVE_EVALUATIONS.permission(),
        LIVE_EVALUATIONS.may_see(),
    );
    Query::first(viewed!(viewer, sql, id))
}

/// A person's decision about a run.
#[derive(Debug, Clone)]
pub(crate) struct ReviewDecision {
    /// The state that its item comes to: judged, or rejected.
    pub(crate) state: ReviewState,
    /// The verdict.
    pub(crate) verdict: Option<Name>,
    /// True if the verdict is a passing one.
    pub(crate) passed: Option<bool>,
    /// The reasons.
    pub(crate) notes: Option<String>,
}

/// Judges or rejects an open item. Gives it as it is then, or nothing if it is not open or may not be changed.
pub(crate) fn decide(
    viewer: Viewer,
    id: ReviewId,
    decision: &ReviewDecision,
    decided: Attribution,
) -> Query<Option<ReviewItem>> {
    let sql = format!(
        "UPDATE review_items SET state = :state, verdict = :verdict, passed = :passed, notes = :notes, \
         decided_at = :at, decided_by_key = :key, decided_by_user = :user \
         WHERE review_items.id = :id AND state = 'open' AND {} RETURNING {COLUMNS}",
        changeable(),
    );
    item(viewed!(
        viewer,
        sql,
        id,
        state: decision.state.as_str(),
        verdict: decision.verdict.as_ref().map(Name::as_str),
        passed: decision.passed.map(i64::from),
        notes: decision.notes,
        at: decided.at,
        key: decided.key_id,
        user: decided.user_id,
    ))
}

/// Stands directly before the statements that append one row to a data set if this has changed a row: says that a
/// judged item has become that row. Gives the item as it is then, or nothing if it is not judged, or if it
/// or the data set may not be changed.
pub(crate) fn promote(
    viewer: Viewer,
    id: ReviewId,
    dataset_id: DatasetId,
    promoted: Attribution,
) -> Query<Option<ReviewItem>> {
    let sql = format!(
        "UPDATE review_items SET state = 'promoted', dataset_id = :dataset, \
         row_id = (SELECT next_row FROM datasets WHERE id = :dataset), \
         promoted_at = :at, promoted_by_key = :key, promoted_by_user = :user \
         WHERE review_items.id = :id AND state = 'judged' AND {} \
         AND EXISTS (SELECT 1 FROM datasets \
         WHERE datasets.id = :dataset AND ends_at IS NULL AND row_count < :most AND {}) \
         RETURNING {COLUMNS}",
        changeable(),
        DATASETS.may_change(),
    );
    let Attribution { at, key_id, user_id } = promoted;
    item(viewed!(viewer, sql, id, dataset: dataset_id, at, key: key_id, user: user_id, most: MAX_ROWS))
}

/// A statement of whose first row the item is wanted, if there is one.
fn item(statement: Statement) -> Query<Option<ReviewItem>> {
    Query::new(statement, |rows| Ok(items(rows)?.next()))
}

fn items(rows: Vec<Row>) -> Result<impl Iterator<Item = ReviewItem>, DatabaseError> {
    Ok(typed::<ItemRow>(rows)?.into_iter().map(ReviewItem::from))
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

impl From<ItemRow> for ReviewItem {
    fn from(row: ItemRow) -> Self {
        let attribution = |at: Option<UnixMillis>, key_id: Option<KeyId>, user_id| {
            at.zip(key_id).map(|(at, key_id)| Attribution { at, key_id, user_id })
        };
        Self {
            id: row.id,
            run_id: row.run_id,
            live_evaluation_id: row.live_evaluation_id,
            state: row.state,
            reason: row.reason,
            verdict: row.verdict,
            passed: row.passed.map(|passed| passed == 1),
            notes: row.notes,
            row: row.dataset_id.zip(row.row_id),
            flagged: Attribution { at: row.flagged_at, key_id: row.flagged_by_key, user_id: row.flagged_by_user },
            decided: attribution(row.decided_at, row.decided_by_key, row.decided_by_user),
            promoted: attribution(row.promoted_at, row.promoted_by_key, row.promoted_by_user),
        }
    }
}

fn review_item<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ReviewItem, D::Error> {
    ItemRow::deserialize(deserializer).map(ReviewItem::from)
}
