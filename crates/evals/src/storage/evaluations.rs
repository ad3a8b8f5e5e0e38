//! The table `evaluations`.

use bitting_keys::{
    domain::{id::KeyId, page::Page, time::UnixMillis},
    ports::Statement,
    statement,
    storage::{batch::Query, idempotency::SUBJECT, json},
};

use crate::{
    domain::{
        access::{Part, Permitted, Viewer},
        evaluation::Evaluation,
        id::EvaluationId,
    },
    storage::access::{EVALUATIONS, viewed},
};

/// The columns of an [`Evaluation`].
const COLUMNS: &str = "id, organization_id, user_id, project_id, base_id, dataset_id, name, description, config, \
                       draft, created_at, updated_at";

/// The columns that can be long.
const TEXTS: [&str; 3] = ["name", "description", "config"];

/// The columns of an evaluation as a viewer sees it.
fn permitted() -> String {
    format!("{COLUMNS}, {}", EVALUATIONS.permission())
}

/// A new evaluation's row.
pub(crate) fn insert(evaluation: &Evaluation) -> Statement {
    let sql = format!(
        "INSERT INTO evaluations ({COLUMNS}) VALUES (:id, :organization, :user, :project, NULL, :dataset, :name, \
         :description, :config, :draft, :now, :now)"
    );
    statement!(
        sql,
        id: evaluation.id,
        organization: evaluation.organization_id,
        user: evaluation.user_id,
        project: evaluation.project_id,
        dataset: evaluation.dataset_id,
        name: evaluation.name.as_str(),
        description: evaluation.description,
        config: json(&evaluation.config),
        draft: i64::from(evaluation.draft),
        now: evaluation.created_at,
    )
}

/// A new variant's row. It belongs to the owner of its base. Inserts nothing if the base may not be changed or has
/// `most` variants.
pub(crate) fn insert_variant(viewer: Viewer, base_id: EvaluationId, variant: &Evaluation, most: i64) -> Query<bool> {
    let sql = format!(
        "INSERT INTO evaluations ({COLUMNS}) \
         SELECT :variant, organization_id, user_id, project_id, id, :dataset, :name, :description, :config, :draft, \
         :now, :now \
         FROM evaluations WHERE {} AND (SELECT count(*) FROM evaluations v WHERE v.base_id = :id) < :most RETURNING id",
        EVALUATIONS.changeable(),
    );
    Query::any(viewed!(
        viewer,
        sql,
        id: base_id,
        variant: variant.id,
        dataset: variant.dataset_id,
        name: variant.name.as_str(),
        description: variant.description,
        config: json(&variant.config),
        draft: i64::from(variant.draft),
        now: variant.created_at,
        most,
    ))
}

/// One evaluation, if it may be seen.
pub(crate) fn get(viewer: Viewer, id: EvaluationId) -> Query<Option<Permitted<Evaluation>>> {
    let sql = format!("SELECT {} FROM evaluations WHERE {}", permitted(), EVALUATIONS.visible());
    Query::first(viewed!(viewer, sql, id))
}

/// The evaluation that was made under an Idempotency-Key.
pub(crate) fn made(key_id: KeyId, digest: &str) -> Query<Option<Evaluation>> {
    let sql = format!("SELECT {COLUMNS} FROM evaluations WHERE id = {SUBJECT}");
    Query::first(statement!(sql, key_id, digest))
}

/// A part of the evaluations that may be seen, the newest first; without variants if `base_only`.
pub(crate) fn list(viewer: Viewer, base_only: bool, part: Part<EvaluationId>) -> Query<Page<Permitted<Evaluation>>> {
    let condition = if base_only { " AND base_id IS NULL" } else { "" };
    Query::page(EVALUATIONS.list(&permitted(), condition, viewer, part), part.limit, &TEXTS)
}

/// A page of those variants of an evaluation that may be seen, the newest first.
pub(crate) fn variants(
    viewer: Viewer,
    base_id: EvaluationId,
    after: Option<EvaluationId>,
    limit: i64,
) -> Query<Page<Permitted<Evaluation>>> {
    let sql = format!(
        "SELECT {} FROM evaluations WHERE base_id = :id AND id < coalesce(:after, '~') AND {} \
         ORDER BY id DESC LIMIT :limit",
        permitted(),
        EVALUATIONS.may_see(),
    );
    Query::page(viewed!(viewer, sql, id: base_id, after, limit: limit + 1), limit, &TEXTS)
}

/// Changes an evaluation that was read as it was at `evaluation.updated_at`. Gives it as it is now, or nothing
/// if it may not be changed or was changed since.
pub(crate) fn update(viewer: Viewer, evaluation: &Evaluation, now: UnixMillis) -> Query<Option<Permitted<Evaluation>>> {
    let sql = format!(
        "UPDATE evaluations SET name = :name, description = :description, config = :config, draft = :draft, \
         updated_at = max(:now, updated_at + 1) \
         WHERE {} AND updated_at = :read_at RETURNING {}",
        EVALUATIONS.changeable(),
        permitted(),
    );
    Query::first(viewed!(
        viewer,
        sql,
        id: evaluation.id,
        name: evaluation.name.as_str(),
        description: evaluation.description,
        config: json(&evaluation.config),
        draft: i64::from(evaluation.draft),
        now,
        read_at: evaluation.updated_at,
    ))
}

/// Deletes an evaluation, if it may be changed, and the schema its variants and all shares.
pub(crate) fn delete(viewer: Viewer, id: EvaluationId) -> Statement {
    let sql = format!("DELETE FROM evaluations WHERE {} RETURNING id", EVALUATIONS.changeable());
    viewed!(viewer, sql, id)
}
