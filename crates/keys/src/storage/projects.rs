//! The `projects` table.

use crate::{
    domain::{
        id::{KeyId, OrganizationId, ProjectId},
        project::{Project, ProjectChange},
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{batch::Query, idempotency::SUBJECT},
};

/// The columns of a [`Project`].
const COLUMNS: &str = "id, organization_id, name, description, created_at";

/// The condition on a project that it is this one, and there.
const THIS: &str = "id = :id AND organization_id = :organization_id AND deleted_at IS NULL";

/// A new project's row.
pub fn insert(project: &Project) -> Statement {
    statement!(
        "INSERT INTO projects (id, organization_id, name, description, created_at) \
         VALUES (:id, :organization_id, :name, :description, :created_at)",
        id: project.id,
        organization_id: project.organization_id,
        name: project.name,
        description: project.description,
        created_at: project.created_at
    )
}

/// One project of an organization.
pub fn get(organization_id: OrganizationId, id: ProjectId) -> Query<Option<Project>> {
    Query::first(statement!(format!("SELECT {COLUMNS} FROM projects WHERE {THIS}"), organization_id, id))
}

/// The project of the key that was made under an Idempotency-Key, which is the caller's own.
pub fn made(key_id: KeyId, digest: &str) -> Query<Option<Project>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM projects WHERE id = (SELECT project_id FROM keys WHERE id = {SUBJECT}) \
         AND deleted_at IS NULL"
    );
    Query::first(statement!(sql, key_id, digest))
}

/// The newest projects of an organization, those from before `before` if it is given; `only` this one, if it is
/// given.
pub fn list(
    organization_id: OrganizationId,
    only: Option<ProjectId>,
    before: Option<ProjectId>,
    limit: i64,
) -> Query<Vec<Project>> {
    let this = if only.is_some() { " AND id = :only" } else { "" };
    // Ids are hexadecimal, so they all sort before the letter g.
    let sql = format!(
        "SELECT {COLUMNS} FROM projects WHERE organization_id = :organization_id AND deleted_at IS NULL{this} \
         AND id < coalesce(:before, 'g') ORDER BY id DESC LIMIT :limit"
    );
    Query::rows(statement!(sql, only, organization_id, before, limit))
}

/// Changes what is not `None`. Gives the project as it is now, or no row.
pub fn update(organization_id: OrganizationId, id: ProjectId, change: &ProjectChange) -> Query<Option<Project>> {
    let sql = format!(
        "UPDATE projects SET name = coalesce(:name, name), \
         description = CASE WHEN :sets_description THEN :description ELSE description END \
         WHERE {THIS} RETURNING {COLUMNS}"
    );
    Query::first(statement!(
        sql,
        organization_id,
        id,
        name: change.name,
        sets_description: change.description.is_some(),
        description: change.description.clone().flatten()
    ))
}

/// Ends a project, and by one row of the feed all its keys, however many there are. Gives the
/// project, or no row.
pub fn delete(organization_id: OrganizationId, id: ProjectId, now: UnixMillis) -> Query<Option<Project>> {
    let sql = format!("UPDATE projects SET deleted_at = :now WHERE {THIS} RETURNING {COLUMNS}");
    Query::first(statement!(sql, organization_id, id, now))
}
