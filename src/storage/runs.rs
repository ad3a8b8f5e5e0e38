//! The table `runs`, and the credits that they cost.

use serde::Deserialize;

use crate::{
    domain::{
        access::Viewer,
        dataset::Row as Inputs,
        id::{EvaluationId, KeyId, LiveEvaluationId, OrganizationId, RunId, UserId},
        judge::Judgment,
        run::{Filter, Run, RunState},
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{
        ToParam,
        access::{self, about},
        database_now,
        idempotency::subject,
        json, json_text, json_text_or_null,
        live_evaluations::{self, visible},
        statement, typed,
    },
};

macro_rules! columns {
    () => {
        "runs.id, runs.organization_id, runs.live_evaluation_id, runs.evaluation_id, runs.key_id, runs.user_id, runs.state, \
         runs.inputs, runs.judgment, runs.created_at, runs.finished_at"
    };
}

/// Takes a credit, if there is one, for the live evaluation `id`, if it runs and may be seen. Who has as many as
/// he likes pays none. Stands right before [`insert`].
pub(crate) fn charge(viewer: Viewer, id: LiveEvaluationId) -> Statement {
    let sql = concat!(
        "UPDATE organizations SET credits = credits - 1 WHERE organizations.id = ?2 AND credits > 0 \
         AND EXISTS (SELECT 1 FROM live_evaluations WHERE active = 1 AND ",
        visible!("0"),
        ")"
    );
    about(sql, viewer, id, [])
}

/// A run's row, to be kept for `retention_ms` (`None`: for ever). Gives a row if [`charge`], right before it, has
/// taken a credit, or none is needed, and the live evaluation runs and may be seen.
pub(crate) fn insert(viewer: Viewer, run: &Run, retention_ms: Option<i64>) -> Statement {
    let sql = concat!(
        "INSERT INTO runs (id, organization_id, live_evaluation_id, evaluation_id, key_id, user_id, state, inputs, judgment, \
         passed, charged, created_at, finished_at, keep_until) \
         SELECT ?5, ?2, ?1, ?6, ?7, ?8, ?9, ?10, ?11, ?12, changes(), ?13, ?14, \
         ?13 + coalesce(trace_retention_days * 86400000, ?15) FROM organizations \
         WHERE organizations.id = ?2 AND (credits IS NULL OR changes() > 0) \
         AND EXISTS (SELECT 1 FROM live_evaluations WHERE active = 1 AND ",
        visible!("0"),
        ") RETURNING id"
    );
    let more = [
        run.id.to_param(),
        run.evaluation_id.to_param(),
        run.key_id.to_param(),
        run.user_id.to_param(),
        run.state.as_str().to_param(),
        json(&run.inputs).to_param(),
        run.judgment.as_ref().map(json).to_param(),
        run.judgment.as_ref().map(passed).to_param(),
        run.created_at.to_param(),
        run.finished_at.to_param(),
        retention_ms.to_param(),
    ];
    about(sql, viewer, run.live_evaluation_id, more)
}

fn passed(judgment: &Judgment) -> i64 {
    i64::from(judgment.passed)
}

/// Ends a run with what its judge said. Gives a row if it had not ended yet.
pub(crate) fn complete(id: RunId, judgment: &Judgment, now: UnixMillis) -> Statement {
    statement!(
        "UPDATE runs SET state = 'completed', judgment = ?2, passed = ?3, finished_at = ?4 \
         WHERE id = ?1 AND state = 'running' RETURNING id",
        id,
        json(judgment),
        passed(judgment),
        now
    )
}

/// Gives back the credit of a run that has not ended, and ends it as failed.
pub(crate) fn fail(organization_id: OrganizationId, id: RunId, now: UnixMillis) -> [Statement; 2] {
    [
        statement!(
            "UPDATE organizations SET credits = credits + 1 WHERE id = ?1 \
             AND EXISTS (SELECT 1 FROM runs WHERE id = ?2 AND state = 'running' AND charged = 1)",
            organization_id,
            id
        ),
        statement!("UPDATE runs SET state = 'failed', finished_at = ?2 WHERE id = ?1 AND state = 'running'", id, now),
    ]
}

/// The runs that began at `?1` at the latest and have not ended, at most `?2`. The order makes both statements
/// of a sweep's batch choose the same ones.
macro_rules! broken_off {
    () => {
        " FROM runs WHERE state = 'running' AND created_at <= ?1 ORDER BY created_at, id LIMIT ?2"
    };
}

/// Gives back the credits of runs that were broken off, and ends these as failed, at most `limit`; the last
/// statement gives one row for each.
pub(crate) fn fail_broken_off(since: UnixMillis, now: UnixMillis, limit: i64) -> Vec<Statement> {
    let give_back = concat!(
        "UPDATE organizations SET credits = credits + (SELECT sum(charged) FROM (SELECT organization_id, charged",
        broken_off!(),
        ") WHERE organization_id = organizations.id) WHERE id IN (SELECT organization_id FROM (SELECT organization_id",
        broken_off!(),
        ")) AND credits IS NOT NULL"
    );
    let fail = concat!(
        "UPDATE runs SET state = 'failed', finished_at = ?3 WHERE id IN (SELECT id",
        broken_off!(),
        ") RETURNING id"
    );
    vec![statement!(give_back, since, limit), statement!(fail, since, limit, now)]
}

/// The runs that need not be kept any longer, at most `?1`.
macro_rules! due {
    () => {
        "(SELECT id FROM runs WHERE keep_until IS NOT NULL AND keep_until <= "
    };
}

/// Deletes runs that need not be kept any longer, and what was said of them in the review queue, at most `limit`;
/// the last statement gives one row for each run.
pub(crate) fn prune(limit: i64) -> Vec<Statement> {
    let order = " ORDER BY keep_until, id LIMIT ?1)";
    let reviews = format!("DELETE FROM review_items WHERE run_id IN {}{}{order}", due!(), database_now!());
    let runs = format!("DELETE FROM runs WHERE id IN {}{}{order} RETURNING id", due!(), database_now!());
    vec![statement!(reviews, limit), statement!(runs, limit)]
}

/// One run, if its live evaluation may be seen.
pub(crate) fn get(viewer: Viewer, id: RunId) -> Statement {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM runs JOIN live_evaluations ON live_evaluations.id = runs.live_evaluation_id WHERE runs.id = ?1 AND ",
        access::may!("live_evaluations", "0")
    );
    about(sql, viewer, id, [])
}

/// Those of these runs whose live evaluations may be seen, in any order.
pub(crate) fn some(viewer: Viewer, ids: &[RunId]) -> Statement {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM runs JOIN live_evaluations ON live_evaluations.id = runs.live_evaluation_id \
         WHERE runs.id IN (SELECT value FROM json_each(?1)) AND ",
        access::may!("live_evaluations", "0")
    );
    about(sql, viewer, json(&ids), [])
}

/// The run that was made under an Idempotency-Key, which is the caller's own.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    statement!(concat!("SELECT ", columns!(), " FROM runs WHERE id = ", subject!()), by, digest)
}

/// A page of the runs of live evaluations that may be seen, the newest first.
pub(crate) fn list(viewer: Viewer, filter: Filter, after: Option<RunId>, limit: i64) -> Statement {
    // No id lies behind this one.
    let after = after.map_or_else(|| "run_g".to_owned(), |id| id.to_string());
    let (live, of_each) = live_evaluations::reached(viewer, filter.live_evaluation_id);
    // Of each live evaluation, and of each end, the newest, and of those the newest. The `+` keeps SQLite from reading
    // all of an organization instead.
    let sql = format!(
        "SELECT {} FROM runs WHERE id IN (SELECT value FROM {live}(SELECT value AS ended FROM json_each(?7)), \
         json_each((SELECT json_group_array(id) FROM (SELECT id FROM runs \
         WHERE {of_each} AND passed IS ended AND id < ?5 ORDER BY id DESC LIMIT ?6)))) \
         AND +organization_id = ?2 ORDER BY id DESC LIMIT ?6",
        columns!()
    );
    let ends = match filter.passed {
        None => "[null, 0, 1]",
        Some(false) => "[0]",
        Some(true) => "[1]",
    };
    let more = [after.to_param(), limit.to_param(), ends.to_param()];
    let of = filter.live_evaluation_id.map(|id| id.to_string()).unwrap_or_default();
    about(sql, viewer, of, more)
}

/// Reads the rows of [`get`], [`some`], [`made`] and [`list`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Run>, DatabaseError> {
    #[derive(Deserialize)]
    struct RunRow {
        id: RunId,
        organization_id: OrganizationId,
        live_evaluation_id: LiveEvaluationId,
        evaluation_id: EvaluationId,
        key_id: KeyId,
        user_id: Option<UserId>,
        state: RunState,
        #[serde(deserialize_with = "json_text")]
        inputs: Inputs,
        #[serde(deserialize_with = "json_text_or_null")]
        judgment: Option<Judgment>,
        created_at: UnixMillis,
        finished_at: Option<UnixMillis>,
    }
    let rows: Vec<RunRow> = typed(rows)?;
    let run = |row: RunRow| Run {
        id: row.id,
        organization_id: row.organization_id,
        live_evaluation_id: row.live_evaluation_id,
        evaluation_id: row.evaluation_id,
        key_id: row.key_id,
        user_id: row.user_id,
        state: row.state,
        inputs: row.inputs,
        judgment: row.judgment,
        created_at: row.created_at,
        finished_at: row.finished_at,
    };
    Ok(rows.into_iter().map(run).collect())
}
