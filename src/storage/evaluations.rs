//! The table `evaluations`.

use serde::Deserialize;

use crate::{
    domain::{
        access::{Part, Standing, Viewer},
        evaluation::{Evaluation, EvaluationConfig},
        id::{DatasetId, EvaluationId, KeyId, OrganizationId, ProjectId, UserId},
        key::Name,
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{
        ToParam,
        access::{self, about},
        idempotency::subject,
        json, json_text, statement, typed,
    },
};

macro_rules! columns {
    () => {
        "id, organization_id, user_id, project_id, base_id, dataset_id, name, description, config, draft, created_at, updated_at"
    };
}

/// An evaluation as somebody sees it.
macro_rules! seen {
    () => {
        concat!(columns!(), ", ", access::standing!("evaluations"))
    };
}

/// The condition that the evaluation `?1` may be seen, or with `1` changed.
macro_rules! visible {
    ($write:literal) => {
        concat!("evaluations.id = ?1 AND ", access::may!("evaluations", $write))
    };
}

/// A new evaluation's row.
pub(crate) fn insert(evaluation: &Evaluation) -> Statement {
    statement!(
        concat!(
            "INSERT INTO evaluations (",
            columns!(),
            ") VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8, ?9, ?10, ?10)"
        ),
        evaluation.id,
        evaluation.organization_id,
        evaluation.user_id,
        evaluation.project_id,
        evaluation.dataset_id,
        evaluation.name.as_str(),
        evaluation.description,
        json(&evaluation.config),
        i64::from(evaluation.draft),
        evaluation.created_at
    )
}

/// A new variant's row. It is whose its base is. Gives a row, or none if the base may not be changed or has
/// `most` variants.
pub(crate) fn insert_variant(viewer: Viewer, base_id: EvaluationId, variant: &Evaluation, most: i64) -> Statement {
    let sql = concat!(
        "INSERT INTO evaluations (",
        columns!(),
        ") SELECT ?5, organization_id, user_id, project_id, id, ?6, ?7, ?8, ?9, ?10, ?11, ?11 FROM evaluations WHERE ",
        visible!("1"),
        " AND (SELECT count(*) FROM evaluations v WHERE v.base_id = ?1) < ?12 RETURNING id"
    );
    let new = [
        variant.id.to_param(),
        variant.dataset_id.to_param(),
        variant.name.as_str().to_param(),
        variant.description.to_param(),
        json(&variant.config).to_param(),
        i64::from(variant.draft).to_param(),
        variant.created_at.to_param(),
        most.to_param(),
    ];
    about(sql, viewer, base_id, new)
}

/// One evaluation, if it may be seen.
pub(crate) fn get(viewer: Viewer, id: EvaluationId) -> Statement {
    about(concat!("SELECT ", seen!(), " FROM evaluations WHERE ", visible!("0")), viewer, id, [])
}

/// The evaluation that was made under an Idempotency-Key, as if it were the caller's own.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    let sql = concat!("SELECT ", columns!(), ", 'own' AS standing FROM evaluations WHERE id = ", subject!());
    statement!(sql, by, digest)
}

/// A part of the evaluations that may be seen, the newest first; without variants if `base_only`.
pub(crate) fn list(viewer: Viewer, base_only: bool, part: Part<EvaluationId>) -> Statement {
    let only = if base_only { " AND base_id IS NULL" } else { "" };
    access::list(access::EVALUATIONS, seen!(), only, viewer, part)
}

/// A page of those variants of an evaluation that may be seen, the newest first.
pub(crate) fn variants(viewer: Viewer, base_id: EvaluationId, after: Option<EvaluationId>, limit: i64) -> Statement {
    let sql = concat!(
        "SELECT ",
        seen!(),
        " FROM evaluations WHERE base_id = ?1 AND id < coalesce(?5, '~') AND ",
        access::may!("evaluations", "0"),
        " ORDER BY id DESC LIMIT ?6"
    );
    about(sql, viewer, base_id, [after.to_param(), limit.to_param()])
}

/// Reads the rows of [`get`], [`made`], [`list()`], [`variants`] and [`update`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<(Evaluation, Standing)>, DatabaseError> {
    #[derive(Deserialize)]
    struct EvaluationRow {
        id: EvaluationId,
        organization_id: OrganizationId,
        user_id: Option<UserId>,
        project_id: Option<ProjectId>,
        base_id: Option<EvaluationId>,
        dataset_id: Option<DatasetId>,
        name: Name,
        description: Option<String>,
        #[serde(deserialize_with = "json_text")]
        config: EvaluationConfig,
        draft: i64,
        created_at: UnixMillis,
        updated_at: UnixMillis,
        standing: Standing,
    }
    let rows: Vec<EvaluationRow> = typed(rows)?;
    let seen = |row: EvaluationRow| {
        let evaluation = Evaluation {
            id: row.id,
            organization_id: row.organization_id,
            user_id: row.user_id,
            project_id: row.project_id,
            base_id: row.base_id,
            dataset_id: row.dataset_id,
            name: row.name,
            description: row.description,
            config: row.config,
            draft: row.draft == 1,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        (evaluation, row.standing)
    };
    Ok(rows.into_iter().map(seen).collect())
}

/// Sets what is told of an evaluation that was read as it was at `updated_at`. Gives it as it is now, or no
/// row if it may not be changed or was changed since.
pub(crate) fn update(viewer: Viewer, evaluation: &Evaluation, now: UnixMillis) -> Statement {
    let sql = concat!(
        "UPDATE evaluations SET name = ?5, description = ?6, config = ?7, draft = ?8, updated_at = max(?9, updated_at + 1) WHERE ",
        visible!("1"),
        " AND updated_at = ?10 RETURNING ",
        seen!()
    );
    let set = [
        evaluation.name.as_str().to_param(),
        evaluation.description.to_param(),
        json(&evaluation.config).to_param(),
        i64::from(evaluation.draft).to_param(),
        now.to_param(),
        evaluation.updated_at.to_param(),
    ];
    about(sql, viewer, evaluation.id, set)
}

/// Deletes an evaluation, and the schema its variants and all shares. Gives a row if it was there and may be changed.
pub(crate) fn delete(viewer: Viewer, id: EvaluationId) -> Statement {
    about(concat!("DELETE FROM evaluations WHERE ", visible!("1"), " RETURNING id"), viewer, id, [])
}
