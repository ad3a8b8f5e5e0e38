//! The `projects` table.

use serde::Deserialize;

use crate::{
    domain::{
        id::{KeyId, OrganizationId, ProjectId},
        key::Name,
        project::{Change, Project},
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

/// The newest projects of an organization, those from before `before` if it is given.
pub(crate) fn list(organization_id: OrganizationId, before: Option<ProjectId>, limit: i64) -> Statement {
    // Ids are hexadecimal, so they all sort before the letter g.
    statement!(
        concat!(
            "SELECT ",
            columns!(),
            " FROM projects WHERE organization_id = ?1 AND deleted_at IS NULL AND id < coalesce(?2, 'g') \
             ORDER BY id DESC LIMIT ?3"
        ),
        organization_id,
        before,
        limit
    )
}

/// Changes what is not `None`. Gives the project as it is now, or no row.
pub(crate) fn update(organization_id: OrganizationId, id: ProjectId, change: &Change) -> Statement {
    statement!(
        concat!(
            "UPDATE projects SET name = coalesce(?3, name), \
             description = CASE WHEN ?4 THEN ?5 ELSE description END \
             WHERE id = ?1 AND organization_id = ?2 AND deleted_at IS NULL RETURNING ",
            columns!()
        ),
        id,
        organization_id,
        change.name.as_ref().map(Name::as_str),
        i64::from(change.description.is_some()),
        change.description.as_ref().and_then(Option::as_deref)
    )
}

/// Ends a project, and by one row of the feed all its keys, however many there are. Gives the
/// project, or no row.
pub(crate) fn delete(organization_id: OrganizationId, id: ProjectId, now: UnixMillis) -> Statement {
    statement!(
        concat!(
            "UPDATE projects SET deleted_at = ?3 WHERE id = ?1 AND organization_id = ?2 AND deleted_at IS NULL RETURNING ",
            columns!()
        ),
        id,
        organization_id,
        now
    )
}

/// Reads the rows of all of these but [`insert`].
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
