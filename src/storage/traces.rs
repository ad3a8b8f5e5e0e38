//! The tables `traces`, `feedback` and `evals`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    domain::{
        id::{OrganizationId, ProjectId, TraceId},
        time::UnixMillis,
        trace::{EvalRequest, GivenFeedback, Place, Trace},
    },
    ports::{DatabaseError, Row, Statement},
    storage::{ToParam, database_now, json_text_or_null, statement, typed},
};

/// The most bytes of traces in one parameter. D1 takes values of up to 2,000,000; what stands around a
/// trace in the parameter has far less than the rest.
const MAX_PARAM_BYTES: usize = 1_800_000;
/// The most feedback, and the most requests for an evaluation, that a list tells of one trace.
const MAX_TOLD: i64 = 10;

/// Whose traces somebody may see and send: all of an organization, or one project's in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceReach {
    /// The organization.
    pub(crate) organization_id: OrganizationId,
    /// Only this project's; what is sent becomes this project's.
    pub(crate) project_id: Option<ProjectId>,
}

/// Until when a trace, and what was said of it, is kept: as the organization `?1` says, else as the
/// deployment does. Both are SQL; `$retention` is the deployment's, in milliseconds, or NULL: for ever.
macro_rules! keep_until {
    ($at:literal, $retention:literal) => {
        concat!(
            $at,
            " + coalesce((SELECT trace_retention_days FROM organizations WHERE organizations.id = ?1) * 86400000, ",
            $retention,
            ")"
        )
    };
}

/// The rows of new traces, to be kept for `retention_ms` (`None`: for ever), in as few statements as their
/// length allows. A trace that is there already stays as it is.
pub(crate) fn insert(
    reach: TraceReach,
    traces: &[Trace],
    now: UnixMillis,
    retention_ms: Option<i64>,
) -> Vec<Statement> {
    #[derive(Serialize)]
    struct NewRow<'a> {
        #[serde(flatten)]
        trace: &'a Trace,
        bytes: usize,
    }
    let mut parameters: Vec<Vec<&Trace>> = Vec::new();
    let mut room = 0;
    for trace in traces {
        let bytes = trace.trace.get().len();
        if bytes > room {
            parameters.push(Vec::new());
            room = MAX_PARAM_BYTES;
        }
        room = room.saturating_sub(bytes);
        if let Some(rows) = parameters.last_mut() {
            rows.push(trace);
        }
    }
    let insert = |rows: Vec<&Trace>| {
        let rows = rows.into_iter().map(|trace| NewRow { trace, bytes: trace.trace.get().len() });
        statement!(
            concat!(
                "INSERT INTO traces (organization_id, id, project_id, trace, bytes, started_at, received_at, keep_until) \
                 SELECT ?1, value ->> '$.id', ?2, value -> '$.trace', value ->> '$.bytes', value ->> '$.started_at', ?3, ",
                keep_until!("?3", "?5"),
                " FROM json_each(?4) WHERE true ON CONFLICT (organization_id, id) DO NOTHING"
            ),
            reach.organization_id,
            reach.project_id,
            now,
            serde_json::to_string(&rows.collect::<Vec<_>>()).unwrap_or_default(),
            retention_ms
        )
    };
    parameters.into_iter().map(insert).collect()
}

/// The row of a piece of feedback, to be kept for `retention_ms` (`None`: for ever).
pub(crate) fn insert_feedback(
    reach: TraceReach,
    given: &GivenFeedback,
    now: UnixMillis,
    retention_ms: Option<i64>,
) -> Statement {
    statement!(
        concat!(
            "INSERT INTO feedback (organization_id, trace_id, id, project_id, feedback, created_at, keep_until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ",
            keep_until!("?6", "?7"),
            ")"
        ),
        reach.organization_id,
        given.trace_id,
        given.id,
        reach.project_id,
        serde_json::to_value(&given.feedback).unwrap_or_default(),
        now,
        retention_ms
    )
}

/// The row of a request to evaluate a trace, to be kept for `retention_ms` (`None`: for ever).
pub(crate) fn insert_eval(
    reach: TraceReach,
    request: &EvalRequest,
    now: UnixMillis,
    retention_ms: Option<i64>,
) -> Statement {
    statement!(
        concat!(
            "INSERT INTO evals (organization_id, trace_id, id, project_id, evaluator_type, metric_name, created_at, \
             keep_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ",
            keep_until!("?7", "?8"),
            ")"
        ),
        reach.organization_id,
        request.trace_id,
        request.id,
        reach.project_id,
        request.evaluator_type.as_str(),
        request.metric_name.as_str(),
        now,
        retention_ms
    )
}

macro_rules! prune {
    ($name:ident, $what:literal, $table:literal, $key:literal) => {
        #[doc = concat!("Deletes ", $what, " that need not be kept any longer, at most `limit`; gives one row for each.")]
        pub(crate) fn $name(limit: i64) -> Statement {
            statement!(
                concat!(
                    "DELETE FROM ",
                    $table,
                    " WHERE (",
                    $key,
                    ") IN (SELECT ",
                    $key,
                    " FROM ",
                    $table,
                    " WHERE keep_until IS NOT NULL AND keep_until <= ",
                    database_now!(),
                    " ORDER BY keep_until LIMIT ?1) RETURNING id"
                ),
                limit
            )
        }
    };
}
prune!(prune, "traces", "traces", "organization_id, id");
prune!(prune_feedback, "feedback", "feedback", "organization_id, trace_id, id");
prune!(prune_evals, "requests for an evaluation", "evals", "organization_id, trace_id, id");

/// A trace as a list tells it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ListedTrace {
    id: TraceId,
    started_at: UnixMillis,
    /// The trace with what was said of it; `None` where the page had no room for it any more.
    #[serde(deserialize_with = "json_text_or_null")]
    pub(crate) trace: Option<Box<RawValue>>,
}

impl ListedTrace {
    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        Place { started_at: self.started_at, id: self.id }
    }
}

/// The rows of one trace in another table that a list tells: the newest, from the same project or from
/// a key that has none. The outer `json` is there because a subquery's value counts as a mere text.
macro_rules! told {
    ($json:literal, $table:literal) => {
        concat!(
            "json((SELECT json_group_array(json(told)) FROM (SELECT ",
            $json,
            " AS told FROM ",
            $table,
            " WHERE organization_id = traces.organization_id AND trace_id = traces.id \
             AND (project_id IS NULL OR project_id = traces.project_id) ORDER BY id DESC LIMIT ?6)))"
        )
    };
}

macro_rules! list {
    ($project:literal) => {
        concat!(
            "SELECT place AS id, started_at, CASE WHEN bytes_before < ?5 THEN (SELECT json_set(trace, '$.feedback', ",
            told!(
                "json_set(feedback, '$.id', id, \
                 '$.created_at', strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch'))",
                "feedback"
            ),
            ", '$.evals', ",
            told!(
                "json_object('eval_id', id, 'evaluator_type', evaluator_type, 'metric_name', metric_name, 'status', 'pending', \
                 'created_at', strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch'))",
                "evals"
            ),
            ") FROM traces WHERE organization_id = ?1 AND id = place) END AS trace FROM (SELECT id AS place, started_at, \
             sum(bytes) OVER (ORDER BY started_at DESC, id DESC ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before \
             FROM traces WHERE organization_id = ?1",
            $project,
            " AND (started_at, id) < (?2, ?3) ORDER BY started_at DESC, id DESC LIMIT ?4)"
        )
    };
}

/// The traces within reach behind a place, the newest first, at most `limit`. Those that begin where
/// `max_bytes` are full come without their text, which is not even read then.
pub(crate) fn list(reach: TraceReach, after: Option<Place>, limit: i64, max_bytes: i64) -> Statement {
    // No instant lies behind this one, and D1 still passes it as it is.
    let started_at = after.map_or(1 << 53, |place| place.started_at.0);
    let id = after.map(|place| place.id.to_string()).unwrap_or_default();
    let mut statement = statement!(list!(""), reach.organization_id, started_at, id, limit, max_bytes, MAX_TOLD);
    if let Some(project_id) = reach.project_id {
        list!(" AND project_id = ?7").clone_into(&mut statement.sql);
        statement.params.push(project_id.to_param());
    }
    statement
}

/// Reads the rows of [`list()`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<ListedTrace>, DatabaseError> {
    typed(rows)
}
