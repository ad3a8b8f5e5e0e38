//! The table `live_evaluations`.

use serde::Deserialize;

use crate::{
    domain::{
        access::{Part, Sight, Standing, Viewer},
        evaluation::EvaluationConfig,
        id::{EvaluationId, KeyId, LiveEvaluationId, OrganizationId, ProjectId, UserId},
        key::Name,
        live_evaluation::{Change, LiveEvaluation, WorkingKey},
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{
        ToParam,
        access::{self, about},
        idempotency::subject,
        json_text, json_text_or_null, statement, typed,
    },
};

macro_rules! columns {
    () => {
        "id, organization_id, user_id, project_id, evaluation_id, name, description, config, active, created_at, updated_at, \
         (SELECT json_object('id', id, 'preview', start || '…' || last4) FROM keys \
         WHERE live_evaluation_id = live_evaluations.id AND revoked_at IS NULL) AS key"
    };
}

/// The condition that the live evaluation `?1` may be seen, or with `1` changed.
macro_rules! visible {
    ($write:literal) => {
        concat!("live_evaluations.id = ?1 AND ", $crate::storage::access::may!("live_evaluations", $write))
    };
}
pub(crate) use visible;

/// For lists of what belongs to live evaluations: a table `live` of those that somebody sees (of this one alone, `?1`, if one is
/// asked for) with the comma behind it, and the condition that something is of one of these. Who sees all needs no table.
pub(crate) fn reached(viewer: Viewer, only: Option<LiveEvaluationId>) -> (&'static str, &'static str) {
    let live = match (only, viewer.sight) {
        (Some(_), _) => concat!("(SELECT id AS live FROM live_evaluations WHERE ", visible!("0"), "), "),
        (None, Sight::All) => return ("", "organization_id = ?2"),
        (None, Sight::Project(_)) => {
            "(SELECT id AS live FROM live_evaluations WHERE organization_id = ?2 AND project_id = ?4), "
        }
        (None, Sight::User(_)) => {
            "(SELECT id AS live FROM live_evaluations WHERE organization_id = ?2 AND user_id = ?4 \
             UNION SELECT resource_id FROM shares WHERE grantee_id = ?4 AND resource_id >= 'live_' AND resource_id < 'live`' \
             UNION SELECT s.resource_id FROM team_members t JOIN shares s ON s.grantee_id = t.team_id \
             WHERE t.organization_id = ?2 AND t.user_id = ?4 AND s.resource_id >= 'live_' AND s.resource_id < 'live`'), "
        }
    };
    (live, "live_evaluation_id = live")
}

/// What [`Seen`] is read from.
macro_rules! seen {
    () => {
        concat!(columns!(), ", ", access::standing!("live_evaluations"))
    };
}

/// A new live evaluation's row, of an evaluation that may be seen, is no draft, and was not changed since it was
/// read as it was at `read_at`.
pub(crate) fn insert(viewer: Viewer, live: &LiveEvaluation, read_at: UnixMillis) -> Statement {
    let sql = concat!(
        "INSERT INTO live_evaluations (id, organization_id, user_id, project_id, evaluation_id, name, description, config, \
         created_at, updated_at) SELECT ?5, ?2, ?6, ?7, id, ?8, ?9, config, ?10, ?10 FROM evaluations \
         WHERE evaluations.id = ?1 AND draft = 0 AND updated_at = ?11 AND ",
        access::may!("evaluations", "0")
    );
    let more = [
        live.id.to_param(),
        live.user_id.to_param(),
        live.project_id.to_param(),
        live.name.as_str().to_param(),
        live.description.to_param(),
        live.created_at.to_param(),
        read_at.to_param(),
    ];
    about(sql, viewer, live.evaluation_id, more)
}

/// A live evaluation as somebody sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The live evaluation.
    pub(crate) live: LiveEvaluation,
    /// What he may do with it.
    pub(crate) standing: Standing,
}

/// One live evaluation, if it may be seen.
pub(crate) fn get(viewer: Viewer, id: LiveEvaluationId) -> Statement {
    let sql = concat!("SELECT ", seen!(), " FROM live_evaluations WHERE ", visible!("0"));
    about(sql, viewer, id, [])
}

/// The live evaluation whose key was made under an Idempotency-Key, which is the caller's own.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", 'own' AS standing FROM live_evaluations WHERE id = (SELECT live_evaluation_id FROM keys WHERE id = ",
        subject!(),
        ")"
    );
    statement!(sql, by, digest)
}

/// A part of the live evaluations that may be seen, the newest first.
pub(crate) fn list(viewer: Viewer, part: Part<LiveEvaluationId>) -> Statement {
    access::list(access::LIVE_EVALUATIONS, seen!(), "", viewer, part)
}

/// Reads the rows of [`get`], [`made`] and [`list`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Seen>, DatabaseError> {
    #[derive(Deserialize)]
    struct LiveEvaluationRow {
        id: LiveEvaluationId,
        organization_id: OrganizationId,
        user_id: Option<UserId>,
        project_id: Option<ProjectId>,
        evaluation_id: EvaluationId,
        name: Name,
        description: Option<String>,
        #[serde(deserialize_with = "json_text")]
        config: EvaluationConfig,
        active: i64,
        created_at: UnixMillis,
        updated_at: UnixMillis,
        #[serde(deserialize_with = "json_text_or_null")]
        key: Option<WorkingKey>,
        standing: Standing,
    }
    let rows: Vec<LiveEvaluationRow> = typed(rows)?;
    let seen = |row: LiveEvaluationRow| Seen {
        live: LiveEvaluation {
            id: row.id,
            organization_id: row.organization_id,
            user_id: row.user_id,
            project_id: row.project_id,
            evaluation_id: row.evaluation_id,
            name: row.name,
            description: row.description,
            config: row.config,
            active: row.active == 1,
            key: row.key,
            created_at: row.created_at,
            updated_at: row.updated_at,
        },
        standing: row.standing,
    };
    Ok(rows.into_iter().map(seen).collect())
}

/// Changes a live evaluation, if it may be changed, and the evaluation that it takes over may be seen and is no
/// draft. Changes no row either if all it would do is to make it run, or not, as it does already.
pub(crate) fn update(viewer: Viewer, id: LiveEvaluationId, change: &Change, now: UnixMillis) -> Statement {
    let sql = concat!(
        "UPDATE live_evaluations SET name = coalesce(?5, name), description = CASE WHEN ?6 THEN ?7 ELSE description END, \
         active = coalesce(?8, active), evaluation_id = coalesce(?9, evaluation_id), \
         config = coalesce((SELECT config FROM evaluations WHERE id = ?9), config), \
         updated_at = max(?10, updated_at + 1) WHERE ",
        visible!("1"),
        " AND (?8 IS NULL OR active <> ?8) AND (?9 IS NULL OR EXISTS (SELECT 1 FROM evaluations \
         WHERE evaluations.id = ?9 AND draft = 0 AND ",
        access::may!("evaluations", "0"),
        "))"
    );
    let set = [
        change.name.as_ref().map(Name::as_str).to_param(),
        i64::from(change.description.is_some()).to_param(),
        change.description.clone().flatten().to_param(),
        change.active.map(i64::from).to_param(),
        change.evaluation_id.to_param(),
        now.to_param(),
    ];
    about(sql, viewer, id, set)
}

/// Ends the key of a live evaluation, for good and with both its secrets; and says of the live evaluation that it
/// was changed, which gives it as it is now. Neither does anything if it may not be changed, or was changed since it
/// was read as `before`.
pub(crate) fn revoke_key(viewer: Viewer, before: &LiveEvaluation, now: UnixMillis) -> [Statement; 2] {
    let revoke = concat!(
        "UPDATE keys SET revoked_at = ?5, updated_at = max(?5, updated_at + 1) \
         WHERE id = ?7 AND revoked_at IS NULL AND EXISTS (SELECT 1 FROM live_evaluations WHERE ",
        visible!("1"),
        " AND updated_at = ?6)"
    );
    let change = concat!(
        "UPDATE live_evaluations SET updated_at = max(?5, updated_at + 1) WHERE ",
        visible!("1"),
        " AND updated_at = ?6 RETURNING ",
        seen!()
    );
    let at = [now.to_param(), before.updated_at.to_param()];
    let key = before.key.as_ref().map(|key| key.id).to_param();
    [about(revoke, viewer, before.id, at.clone().into_iter().chain([key])), about(change, viewer, before.id, at)]
}

/// What somebody needs to know of a live evaluation to run it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Deployed {
    /// The evaluation that was deployed.
    pub(crate) evaluation_id: EvaluationId,
    /// 0: it does not run.
    pub(crate) active: i64,
    /// What it judges, and how.
    #[serde(deserialize_with = "json_text")]
    pub(crate) config: EvaluationConfig,
    /// How many runs its organization has left.
    pub(crate) credits: Option<i64>,
}

/// A live evaluation that may be seen, and whose project is still there.
pub(crate) fn deployed(viewer: Viewer, id: LiveEvaluationId) -> Statement {
    let sql = concat!(
        "SELECT evaluation_id, active, config, (SELECT credits FROM organizations WHERE id = ?2) AS credits \
         FROM live_evaluations WHERE ",
        visible!("0"),
        " AND NOT EXISTS (SELECT 1 FROM projects WHERE id = live_evaluations.project_id AND deleted_at IS NOT NULL)"
    );
    about(sql, viewer, id, [])
}

/// Reads the rows of [`deployed`].
pub(crate) fn read_deployed(rows: Vec<Row>) -> Result<Option<Deployed>, DatabaseError> {
    Ok(typed(rows)?.pop())
}
