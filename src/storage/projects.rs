//! The `projects` table.

use serde::Deserialize;

use crate::{
    domain::{
        id::{KeyId, OrganizationId, ProjectId},
        key::Name,
        project::Project,
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{idempotency::subject, statement, typed},
};

macro_rules! columns {
    () => {
        "id, organization_id, name, description, created_at"
    };
}

/// A new project's row.
pub(crate) fn insert(project: &Project) -> Statement {
    statement!(
        "INSERT INTO projects (id, organization_id, name, description, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        project.id,
        project.organization_id,
        project.name.as_str(),
        project.description,
        project.created_at
    )
}

/// One project of an organization.
pub(crate) fn get(organization_id: OrganizationId, id: ProjectId) -> Statement {
    statement!(
        concat!("SELECT ", columns!(), " FROM projects WHERE id = ?1 AND organization_id = ?2 AND deleted_at IS NULL"),
        id,
        organization_id
    )
}

/// The project of the key that was made under an Idempotency-Key, which is the caller's own.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    statement!(
        concat!(
            "SELECT ",
            columns!(),
            " FROM projects WHERE id = (SELECT project_id FROM keys WHERE id = ",
            subject!(),
            ") AND deleted_at IS NULL"
        ),
        by,
        digest
    )
}

/// The newest projects of an organization.
pub(crate) fn list(organization_id: OrganizationId, limit: i64) -> Statement {
    statement!(
        concat!(
            "SELECT ",
            columns!(),
            " FROM projects WHERE organization_id = ?1 AND deleted_at IS NULL ORDER BY id DESC LIMIT ?2"
        ),
        organization_id,
        limit
    )
}

/// Changes what is not `None`. Gives the project as it is now, or no row.
pub(crate) fn update(
    organization_id: OrganizationId,
    id: ProjectId,
    name: Option<&Name>,
    description: Option<&str>,
) -> Statement {
    statement!(
        concat!(
            "UPDATE projects SET name = coalesce(?3, name), description = coalesce(?4, description) \
             WHERE id = ?1 AND organization_id = ?2 AND deleted_at IS NULL RETURNING ",
            columns!()
        ),
        id,
        organization_id,
        name.map(Name::as_str),
        description
    )
}

/// Ends a project, and by one row of the feed all its keys, however many there are. Gives a row if it
/// was there.
pub(crate) fn delete(organization_id: OrganizationId, id: ProjectId, now: UnixMillis) -> Statement {
    statement!(
        "UPDATE projects SET deleted_at = ?3 WHERE id = ?1 AND organization_id = ?2 AND deleted_at IS NULL RETURNING id",
        id,
        organization_id,
        now
    )
}

/// Reads the rows of [`get`], [`made`], [`list`] and [`update`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Project>, DatabaseError> {
    #[derive(Deserialize)]
    struct ProjectRow {
        id: ProjectId,
        organization_id: OrganizationId,
        name: Name,
        description: Option<String>,
        created_at: UnixMillis,
    }
    let rows: Vec<ProjectRow> = typed(rows)?;
    let project = |row: ProjectRow| Project {
        id: row.id,
        organization_id: row.organization_id,
        name: row.name,
        description: row.description,
        created_at: row.created_at,
    };
    Ok(rows.into_iter().map(project).collect())
}
