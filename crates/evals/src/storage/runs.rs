//! The table `runs`, and the credits that they cost.

use bitting_keys::{
    domain::{
        id::{KeyId, OrganizationId},
        page::Page,
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{DATABASE_NOW, batch::Query, idempotency::SUBJECT, json},
};

use crate::{
    domain::{
        access::Viewer,
        id::{LiveEvaluationId, RunId},
        judge::Judgment,
        run::{Run, RunFilter},
    },
    storage::{
        access::{LIVE_EVALUATIONS, viewed},
        live_evaluations::Reach,
    },
};

/// The columns of a [`Run`].
const COLUMNS: &str = "runs.id, runs.organization_id, runs.live_evaluation_id, runs.evaluation_id, runs.key_id, \
                       runs.user_id, runs.state, runs.inputs, runs.judgment, runs.created_at, runs.finished_at";

/// The condition that the live evaluation `:id` runs and may be seen.
fn runs_now() -> String {
    format!("EXISTS (SELECT 1 FROM live_evaluations WHERE active = 1 AND {})", LIVE_EVALUATIONS.visible())
}

/// Takes a credit, if there is one, for the live evaluation `id`, if it runs and may be seen. An organization without a
/// limit pays none. Stands right before [`insert`].
pub(crate) fn charge(viewer: Viewer, id: LiveEvaluationId) -> Statement {
    let sql = format!(
        "UPDATE organizations SET credits = credits - 1 \
         WHERE organizations.id = :organization AND credits > 0 AND {}",
        runs_now(),
    );
    viewed!(viewer, sql, id)
}

/// A run's row, to be kept for `retention_ms` (`None`: for ever). Inserts it if [`charge`], right before it, has
/// taken a credit, or none is needed, and the live evaluation runs and may be seen.
pub(crate) fn insert(viewer: Viewer, run: &Run, retention_ms: Option<i64>) -> Query<bool> {
    let sql = format!(
        "INSERT INTO runs (id, organization_id, live_evaluation_id, evaluation_id, key_id, user_id, state, inputs, \
         judgment, passed, charged, created_at, finished_at, keep_until) \
         SELECT :run, :organization, :id, :evaluation, :key, :user, :state, :inputs, \
         :judgment, :passed, changes(), :created_at, :finished_at, \
         :created_at + coalesce(trace_retention_days * 86400000, :retention) \
         FROM organizations \
         WHERE organizations.id = :organization AND (credits IS NULL OR changes() > 0) AND {} RETURNING id",
        runs_now(),
    );
    Query::any(viewed!(
        viewer,
        sql,
        id: run.live_evaluation_id,
        run: run.id,
        evaluation: run.evaluation_id,
        key: run.key_id,
        user: run.user_id,
        state: run.state.as_str(),
        inputs: json(&run.inputs),
        judgment: run.judgment.as_ref().map(json),
        passed: run.judgment.as_ref().map(|judgment| i64::from(judgment.passed)),
        created_at: run.created_at,
        finished_at: run.finished_at,
        retention: retention_ms,
    ))
}

/// Ends a run with its judgment, unless it has ended before.
pub(crate) fn complete(id: RunId, judgment: &Judgment, now: UnixMillis) -> Query<bool> {
    Query::any(statement!(
        "UPDATE runs SET state = 'completed', judgment = :judgment, passed = :passed, finished_at = :now \
         WHERE id = :id AND state = 'running' RETURNING id",
        id,
        judgment: json(judgment),
        passed: i64::from(judgment.passed),
        now,
    ))
}

/// Takes a credit for a question to the language model, if there is one. True if it is paid; an organization without a
/// limit pays none.
pub(crate) fn charge_question(organization_id: OrganizationId) -> Query<bool> {
    Query::any(statement!(
        "UPDATE organizations SET credits = credits - 1 \
         WHERE id = :organization AND (credits IS NULL OR credits > 0) RETURNING id",
        organization: organization_id,
    ))
}

/// Gives back the credit of a question that the model has not answered.
pub(crate) fn give_back(organization_id: OrganizationId) -> Statement {
    statement!("UPDATE organizations SET credits = credits + 1 WHERE id = :organization", organization: organization_id)
}

/// Gives back the credit of a run that has not ended. Stands before [`fail`].
pub(crate) fn give_back_for(organization_id: OrganizationId, id: RunId) -> Statement {
    statement!(
        "UPDATE organizations SET credits = credits + 1 WHERE id = :organization \
         AND EXISTS (SELECT 1 FROM runs WHERE id = :id AND state = 'running' AND charged = 1)",
        organization: organization_id,
        id,
    )
}

/// Ends a run as failed, unless it has ended before.
pub(crate) fn fail(id: RunId, now: UnixMillis) -> Statement {
    statement!("UPDATE runs SET state = 'failed', finished_at = :now WHERE id = :id AND state = 'running'", id, now)
}

/// Ends runs that began at `since` at the latest and were broken off, as failed, at most `limit`; gives one row for
/// each. The model was asked, so their credits stay spent: who hangs up in time would have it for nothing.
pub(crate) fn fail_broken_off(since: UnixMillis, now: UnixMillis, limit: i64) -> Statement {
    statement!(
        "UPDATE runs SET state = 'failed', finished_at = :now WHERE id IN (SELECT id FROM runs \
         WHERE state = 'running' AND created_at <= :since ORDER BY created_at, id LIMIT :limit) RETURNING id",
        since,
        limit,
        now
    )
}

/// Deletes runs that need not be kept any longer, and what was said of them in the review queue, at most `limit`;
/// the last statement gives one row for each run.
pub(crate) fn prune(limit: i64) -> Vec<Statement> {
    let due = format!(
        "SELECT id FROM runs WHERE keep_until IS NOT NULL AND keep_until <= {DATABASE_NOW} ORDER BY keep_until, id LIMIT :limit",
    );
    vec![
        statement!(format!("DELETE FROM review_items WHERE run_id IN ({due})"), limit),
        statement!(format!("DELETE FROM runs WHERE id IN ({due}) RETURNING id"), limit),
    ]
}

/// One run, if its live evaluation may be seen.
pub(crate) fn get(viewer: Viewer, id: RunId) -> Query<Option<Run>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM runs JOIN live_evaluations ON live_evaluations.id = runs.live_evaluation_id \
         WHERE runs.id = :id AND {}",
        LIVE_EVALUATIONS.may_see(),
    );
    Query::first(viewed!(viewer, sql, id))
}

/// Those of these runs whose live evaluations may be seen, in any order.
pub(crate) fn some(viewer: Viewer, ids: &[RunId]) -> Query<Vec<Run>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM runs JOIN live_evaluations ON live_evaluations.id = runs.live_evaluation_id \
         WHERE runs.id IN (SELECT value FROM json_each(:ids)) AND {}",
        LIVE_EVALUATIONS.may_see(),
    );
    Query::rows(viewed!(viewer, sql, ids: json(&ids)))
}

/// The run that was made under an Idempotency-Key.
pub(crate) fn made(key_id: KeyId, digest: &str) -> Query<Option<Run>> {
    let sql = format!("SELECT {COLUMNS} FROM runs WHERE id = {SUBJECT}");
    Query::first(statement!(sql, key_id, digest))
}

/// A page of the runs of live evaluations that may be seen, the newest first.
pub(crate) fn list(viewer: Viewer, filter: RunFilter, after: Option<RunId>, limit: i64) -> Query<Page<Run>> {
    let Reach { table, condition } = Reach::new(viewer, filter.live_evaluation_id);
    // The newest of each live evaluation and of each end, and of all these the newest. The `+` keeps SQLite from
    // reading all of an organization instead.
    let sql = format!(
        "SELECT {COLUMNS} FROM runs WHERE id IN (\
         SELECT value FROM {table}(SELECT value AS ended FROM json_each(:ends)), \
         json_each((SELECT json_group_array(id) FROM (SELECT id FROM runs \
         WHERE {condition} AND passed IS ended AND id < :after ORDER BY id DESC LIMIT :limit)))) \
         AND +organization_id = :organization ORDER BY id DESC LIMIT :limit"
    );
    let ends = match filter.passed {
        None => "[null, 0, 1]",
        Some(false) => "[0]",
        Some(true) => "[1]",
    };
    // No id lies behind this one.
    let after = after.map_or_else(|| "run_g".to_owned(), |id| id.to_string());
    let list = viewed!(viewer, sql, id: filter.live_evaluation_id, after, limit: limit + 1, ends);
    Query::page(list, limit, &["inputs", "judgment"])
}
