//! The table `live_evaluations`.

use bitting_keys::{
    domain::{expected::Expected, id::KeyId, json::flag, key::Name, page::Page, time::UnixMillis},
    ports::Statement,
    statement,
    storage::{batch::Query, idempotency::SUBJECT, json_text},
};
use serde::Deserialize;

use crate::{
    domain::{
        access::{Part, Permitted, Sight, Viewer},
        evaluation::EvaluationConfig,
        id::{EvaluationId, LiveEvaluationId},
        live_evaluation::{LiveEvaluation, LiveEvaluationChange},
    },
    storage::access::{EVALUATIONS, LIVE_EVALUATIONS, viewed},
};

/// The columns of a [`LiveEvaluation`].
const COLUMNS: &str = "id, organization_id, user_id, project_id, evaluation_id, name, description, config, active, \
                       created_at, updated_at, \
                       (SELECT json_object('id', id, 'preview', start || '…' || last4) FROM keys \
                       WHERE bound_to = live_evaluations.id AND revoked_at IS NULL) AS key";

/// The live evaluations that a viewer sees, for lists of what belongs to them.
pub(crate) struct Reach {
    /// A table `live` of them, with the comma behind it; empty for a viewer who sees all.
    pub(crate) table: String,
    /// The condition that a row belongs to one of them.
    pub(crate) condition: &'static str,
}

impl Reach {
    /// Creates the filter for all that the viewer sees, or with `only` for `:id` alone.
    pub(crate) fn new(viewer: Viewer, only: Option<LiveEvaluationId>) -> Self {
        let ids = match (only, viewer.sight) {
            (Some(_), _) => format!("SELECT id AS live FROM live_evaluations WHERE {}", LIVE_EVALUATIONS.visible()),
            (None, Sight::All) => {
                return Self { table: String::new(), condition: "organization_id = :organization" };
            }
            (None, Sight::Project(_)) => "SELECT id AS live FROM live_evaluations \
                 WHERE organization_id = :organization AND project_id = :viewer"
                .to_owned(),
            (None, Sight::User(_)) => "SELECT id AS live FROM live_evaluations \
                 WHERE organization_id = :organization AND user_id = :viewer \
                 UNION SELECT resource_id FROM shares \
                 WHERE grantee_id = :viewer AND resource_id >= 'live_' AND resource_id < 'live`' \
                 UNION SELECT s.resource_id FROM team_members t JOIN shares s ON s.grantee_id = t.team_id \
                 WHERE t.organization_id = :organization AND t.user_id = :viewer \
                 AND s.resource_id >= 'live_' AND s.resource_id < 'live`'"
                .to_owned(),
        };
        Self { table: format!("({ids}), "), condition: "live_evaluation_id = live" }
    }
}

/// A new live evaluation's row, of an evaluation that may be seen, is no draft, and was not changed since it was
/// read as it was at `read_at`.
pub(crate) fn insert(viewer: Viewer, live: &LiveEvaluation, read_at: UnixMillis) -> Statement {
    let sql = format!(
        "INSERT INTO live_evaluations (id, organization_id, user_id, project_id, evaluation_id, name, description, \
         config, created_at, updated_at) \
         SELECT :live, :organization, :user, :project, id, :name, :description, config, :now, :now FROM evaluations \
         WHERE evaluations.id = :id AND draft = 0 AND updated_at = :read_at AND {}",
        EVALUATIONS.may_see(),
    );
    viewed!(
        viewer,
        sql,
        id: live.evaluation_id,
        live: live.id,
        user: live.user_id,
        project: live.project_id,
        name: live.name.as_str(),
        description: live.description,
        now: live.created_at,
        read_at,
    )
}

/// One live evaluation, if it may be seen.
pub(crate) fn get(viewer: Viewer, id: LiveEvaluationId) -> Query<Option<Permitted<LiveEvaluation>>> {
    let sql = format!(
        "SELECT {COLUMNS}, {} FROM live_evaluations WHERE {}",
        LIVE_EVALUATIONS.permission(),
        LIVE_EVALUATIONS.visible(),
    );
    Query::first(viewed!(viewer, sql, id))
}

/// The live evaluation whose key was made under an Idempotency-Key.
pub(crate) fn made(key_id: KeyId, digest: &str) -> Query<Option<LiveEvaluation>> {
    let sql =
        format!("SELECT {COLUMNS} FROM live_evaluations WHERE id = (SELECT bound_to FROM keys WHERE id = {SUBJECT})");
    Query::first(statement!(sql, key_id, digest))
}

/// A part of the live evaluations that may be seen, the newest first.
pub(crate) fn list(viewer: Viewer, part: Part<LiveEvaluationId>) -> Query<Page<LiveEvaluation>> {
    let list = LIVE_EVALUATIONS.list(COLUMNS, "", viewer, part);
    Query::page(list, part.limit, &["name", "description", "config"])
}

/// Changes a live evaluation, if it may be changed, and the evaluation that it takes over may be seen and is no
/// draft; not if it is not as expected. Changes no row either if it would only make it run, or not, as it does already.
pub(crate) fn update(
    viewer: Viewer,
    id: LiveEvaluationId,
    change: &LiveEvaluationChange,
    expected: Expected,
    now: UnixMillis,
) -> Query<bool> {
    let sql = format!(
        "UPDATE live_evaluations SET name = coalesce(:name, name), \
         description = CASE WHEN :set_description THEN :description ELSE description END, \
         active = coalesce(:active, active), evaluation_id = coalesce(:evaluation, evaluation_id), \
         config = coalesce((SELECT config FROM evaluations WHERE id = :evaluation), config), \
         updated_at = max(:now, updated_at + 1) \
         WHERE {} AND (:expected IS NULL OR updated_at = :expected) AND (:active IS NULL OR active <> :active) \
         AND (:evaluation IS NULL OR EXISTS (SELECT 1 FROM evaluations \
         WHERE evaluations.id = :evaluation AND draft = 0 AND {})) RETURNING id",
        LIVE_EVALUATIONS.changeable(),
        EVALUATIONS.may_see(),
    );
    Query::any(viewed!(
        viewer,
        sql,
        id,
        name: change.name.as_ref().map(Name::as_str),
        set_description: i64::from(change.description.is_some()),
        description: change.description.clone().flatten(),
        active: change.active.map(i64::from),
        evaluation: change.evaluation_id,
        expected: expected.version,
        now,
    ))
}

/// Ends the key of a live evaluation, for good and with both its secrets, unless the live evaluation may not be changed
/// or was changed since it was read as `live`.
pub(crate) fn revoke_key(viewer: Viewer, live: &LiveEvaluation, now: UnixMillis) -> Statement {
    let sql = format!(
        "UPDATE keys SET revoked_at = :now, updated_at = max(:now, updated_at + 1) \
         WHERE id = :key AND revoked_at IS NULL \
         AND EXISTS (SELECT 1 FROM live_evaluations WHERE {} AND updated_at = :read_at)",
        LIVE_EVALUATIONS.changeable(),
    );
    let key = live.key.as_ref().map(|key| key.id);
    viewed!(viewer, sql, id: live.id, now, read_at: live.updated_at, key)
}

/// Notes that a live evaluation was changed. Gives it as it is now, or nothing if it may not be changed or was changed
/// since it was read as `live`.
pub(crate) fn touch(viewer: Viewer, live: &LiveEvaluation, now: UnixMillis) -> Query<Option<LiveEvaluation>> {
    let sql = format!(
        "UPDATE live_evaluations SET updated_at = max(:now, updated_at + 1) \
         WHERE {} AND updated_at = :read_at RETURNING {COLUMNS}",
        LIVE_EVALUATIONS.changeable(),
    );
    Query::first(viewed!(viewer, sql, id: live.id, now, read_at: live.updated_at))
}

/// The part of a live evaluation that is needed to run it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Deployment {
    /// The evaluation that was deployed.
    pub(crate) evaluation_id: EvaluationId,
    /// True if it accepts runs.
    #[serde(deserialize_with = "flag")]
    pub(crate) active: bool,
    /// The columns that it judges, and the judge.
    #[serde(deserialize_with = "json_text")]
    pub(crate) config: EvaluationConfig,
    /// The number of runs that its organization has left; `None`: any number.
    pub(crate) credits: Option<i64>,
}

/// A live evaluation that may be seen, and whose project is still there.
pub(crate) fn deployment(viewer: Viewer, id: LiveEvaluationId) -> Query<Option<Deployment>> {
    let sql = format!(
        "SELECT evaluation_id, active, config, (SELECT credits FROM organizations WHERE id = :organization) AS credits \
         FROM live_evaluations WHERE {} \
         AND NOT EXISTS (SELECT 1 FROM projects WHERE id = live_evaluations.project_id AND deleted_at IS NOT NULL)",
        LIVE_EVALUATIONS.visible(),
    );
    Query::first(viewed!(viewer, sql, id))
}
