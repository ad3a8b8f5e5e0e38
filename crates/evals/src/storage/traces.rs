//! The tables `traces`, `feedback` and `evals`.

use bitting_keys::{
    domain::{
        id::{OrganizationId, ProjectId},
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{DATABASE_NOW, batch::Query, json, json_text_or_null},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{
    id::TraceId,
    trace::{EvalRequest, Place, StoredFeedback, Trace},
};

/// The most bytes of traces in one parameter. D1 takes values of up to 2,000,000; what stands around a
/// trace in the parameter has far less than the rest.
const MAX_PARAM_BYTES: usize = 1_800_000;
/// The most feedback, and the most requests for an evaluation, that a list has of one trace.
const MAX_LISTED: i64 = 10;

/// The traces that a key may see and send: all of an organization, or one project's in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceReach {
    /// The organization.
    pub(crate) organization_id: OrganizationId,
    /// Only this project's; what is sent becomes this project's.
    pub(crate) project_id: Option<ProjectId>,
}

/// The instant until which a trace, and what was said of it, is kept that came `:now`: as the organization
/// `:organization` says, else as the deployment does by `:retention`, in milliseconds, or NULL: for ever.
const KEEP_UNTIL: &str = ":now + coalesce(\
     (SELECT trace_retention_days FROM organizations WHERE organizations.id = :organization) * 86400000, :retention)";

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
            format!(
                "INSERT INTO traces (organization_id, id, project_id, trace, bytes, started_at, received_at, \
                 keep_until) \
                 SELECT :organization, value ->> '$.id', :project, value -> '$.trace', value ->> '$.bytes', \
                 value ->> '$.started_at', :now, {KEEP_UNTIL} \
                 FROM json_each(:traces) WHERE true ON CONFLICT (organization_id, id) DO NOTHING"
            ),
            organization: reach.organization_id,
            project: reach.project_id,
            now,
            traces: json(&rows.collect::<Vec<_>>()),
            retention: retention_ms,
        )
    };
    parameters.into_iter().map(insert).collect()
}

/// The row of a piece of feedback, to be kept for `retention_ms` (`None`: for ever).
pub(crate) fn insert_feedback(
    reach: TraceReach,
    stored: &StoredFeedback,
    now: UnixMillis,
    retention_ms: Option<i64>,
) -> Statement {
    statement!(
        format!(
            "INSERT INTO feedback (organization_id, trace_id, id, project_id, feedback, created_at, keep_until) \
             VALUES (:organization, :trace, :id, :project, :feedback, :now, {KEEP_UNTIL})"
        ),
        organization: reach.organization_id,
        trace: stored.trace_id,
        id: stored.id,
        project: reach.project_id,
        feedback: json(&stored.feedback),
        now,
        retention: retention_ms,
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
        format!(
            "INSERT INTO evals (organization_id, trace_id, id, project_id, evaluator_type, metric_name, created_at, \
             keep_until) \
             VALUES (:organization, :trace, :id, :project, :evaluator_type, :metric_name, :now, {KEEP_UNTIL})"
        ),
        organization: reach.organization_id,
        trace: request.trace_id,
        id: request.id,
        project: reach.project_id,
        evaluator_type: request.evaluator_type.as_str(),
        metric_name: request.metric_name.as_str(),
        now,
        retention: retention_ms,
    )
}

/// Deletes traces that need not be kept any longer, at most `limit`; gives one row for each.
pub(crate) fn prune(limit: i64) -> Statement {
    prune_table("traces", "organization_id, id", limit)
}

/// Deletes feedback that need not be kept any longer, at most `limit`; gives one row for each.
pub(crate) fn prune_feedback(limit: i64) -> Statement {
    prune_table("feedback", "organization_id, trace_id, id", limit)
}

/// Deletes requests for an evaluation that need not be kept any longer, at most `limit`; gives one row for each.
pub(crate) fn prune_evals(limit: i64) -> Statement {
    prune_table("evals", "organization_id, trace_id, id", limit)
}

fn prune_table(table: &str, key: &str, limit: i64) -> Statement {
    let sql = format!(
        "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} \
         WHERE keep_until IS NOT NULL AND keep_until <= {DATABASE_NOW} ORDER BY keep_until LIMIT :limit) RETURNING id",
    );
    statement!(sql, limit)
}

/// A trace in a list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ListedTrace {
    id: TraceId,
    started_at: UnixMillis,
    /// The trace with what was said of it; `None` where the page had no room for it any more.
    #[serde(deserialize_with = "json_text_or_null")]
    pub(crate) trace: Option<Box<RawValue>>,
}

impl ListedTrace {
    /// Its place in lists.
    pub(crate) fn place(&self) -> Place {
        Place { started_at: self.started_at, id: self.id }
    }
}

/// Selects the newest rows of a trace in another table, as JSON: those of the same project, or of a key without one.
/// The outer `json` is there because a subquery's value counts as a mere text.
fn newest(json: &str, table: &str) -> String {
    format!(
        "json((SELECT json_group_array(json(listed)) FROM (SELECT {json} AS listed FROM {table} \
         WHERE organization_id = traces.organization_id AND trace_id = traces.id \
         AND (project_id IS NULL OR project_id = traces.project_id) ORDER BY id DESC LIMIT :most)))"
    )
}

/// The traces within reach behind a place, the newest first, at most `limit`. Those that begin where
/// `max_bytes` are full come without their text, which is not even read then.
pub(crate) fn list(reach: TraceReach, after: Option<Place>, limit: i64, max_bytes: i64) -> Query<Vec<ListedTrace>> {
    let created_at = "strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch')";
    let feedback = format!("json_set(feedback, '$.id', id, '$.created_at', {created_at})");
    let evals = format!(
        "json_object('eval_id', id, 'evaluator_type', evaluator_type, 'metric_name', metric_name, \
         'status', 'pending', 'created_at', {created_at})"
    );
    let project = reach.project_id.map_or("", |_| " AND project_id = :project");
    let sql = format!(
        "SELECT place AS id, started_at, CASE WHEN bytes_before < :max_bytes THEN (\
         SELECT json_set(trace, '$.feedback', {}, '$.evals', {}) FROM traces \
         WHERE organization_id = :organization AND id = place) END AS trace \
         FROM (SELECT id AS place, started_at, \
         sum(bytes) OVER (ORDER BY started_at DESC, id DESC ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before \
         FROM traces WHERE organization_id = :organization{project} AND (started_at, id) < (:started_at, :id) \
         ORDER BY started_at DESC, id DESC LIMIT :limit)",
        newest(&feedback, "feedback"),
        newest(&evals, "evals"),
    );
    Query::rows(statement!(
        sql,
        organization: reach.organization_id,
        project: reach.project_id,
        // No instant lies behind this one, and D1 still passes it as it is.
        started_at: after.map_or(1 << 53, |place| place.started_at.0),
        id: after.map(|place| place.id.to_string()).unwrap_or_default(),
        limit,
        max_bytes,
        most: MAX_LISTED,
    ))
}
