//! The `projects` table.

use crate::{
    domain::{
        expected::Expected,
        id::{KeyId, OrganizationId, ProjectId},
        page::Page,
        project::{Project, ProjectChange},
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{AS_EXPECTED, NEXT_VERSION, batch::Query, idempotency::SUBJECT},
};

/// The columns of a [`Project`].
const COLUMNS: &str = "id, organization_id, name, description, created_at, max(created_at, updated_at) AS updated_at";

/// The condition that a project has this id and is not deleted.
const THIS_PROJECT: &str = "id = :id AND organization_id = :organization_id AND deleted_at IS NULL";

/// The insertion of a new project, and its count.
pub fn insert(project: &Project) -> [Statement; 2] {
    let insert = statement!(
        "INSERT INTO projects (id, organization_id, name, description, created_at) \
         VALUES (:id, :organization_id, :name, :description, :created_at)",
        id: project.id,
        organization_id: project.organization_id,
        name: project.name,
        description: project.description,
        created_at: project.created_at
    );
    let count = "UPDATE usage SET projects = projects + 1 WHERE organization_id = :organization_id";
    // The insertion comes last, so that what is recorded if it changed something looks at it.
    [statement!(count, organization_id: project.organization_id), insert]
}

/// One project of an organization.
pub fn get(organization_id: OrganizationId, id: ProjectId) -> Query<Option<Project>> {
    Query::first(statement!(format!("SELECT {COLUMNS} FROM projects WHERE {THIS_PROJECT}"), organization_id, id))
}

/// The project of the key that the caller created under an Idempotency-Key.
pub fn created_by_request(key_id: KeyId, digest: &str) -> Query<Option<Project>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM projects WHERE id = (SELECT project_id FROM keys WHERE id = {SUBJECT}) \
         AND deleted_at IS NULL"
    );
    Query::first(statement!(sql, key_id, digest))
}

/// The newest projects of an organization, older than `before` if it is present; only the project `only`, if it is
/// present.
pub fn list(
    organization_id: OrganizationId,
    only: Option<ProjectId>,
    before: Option<ProjectId>,
    limit: i64,
) -> Query<Page<Project>> {
    let this = if only.is_some() { " AND id = :only" } else { "" };
    // Ids are hexadecimal, so they all sort before the letter g.
    let sql = format!(
        "SELECT {COLUMNS} FROM projects WHERE organization_id = :organization_id AND deleted_at IS NULL{this} \
         AND id < coalesce(:before, 'g') ORDER BY id DESC LIMIT :limit"
    );
    let list = statement!(sql, only, organization_id, before, limit: limit + 1);
    Query::page(list, limit, &["name", "description"])
}

/// Changes the fields that are not `None`, if the project is as expected. Returns the project after the change, or no
/// row.
pub fn update(
    organization_id: OrganizationId,
    id: ProjectId,
    change: &ProjectChange,
    expected: Expected,
    now: UnixMillis,
) -> Query<Option<Project>> {
    let sql = format!(
        "UPDATE projects SET name = coalesce(:name, name), \
         description = CASE WHEN :sets_description THEN :description ELSE description END, {NEXT_VERSION} \
         WHERE {THIS_PROJECT} AND {AS_EXPECTED} RETURNING {COLUMNS}"
    );
    Query::first(statement!(
        sql,
        organization_id,
        id,
        name: change.name,
        sets_description: change.description.is_some(),
        description: change.description.clone().flatten(),
        expected: expected.version,
        now
    ))
}

/// Deletes a project and thereby ends all its keys, by one row of the feed. Returns the project, or no row.
pub fn delete(organization_id: OrganizationId, id: ProjectId, now: UnixMillis) -> Query<Option<Project>> {
    let sql = format!("UPDATE projects SET deleted_at = :now WHERE {THIS_PROJECT} RETURNING {COLUMNS}");
    Query::first(statement!(sql, organization_id, id, now))
}
