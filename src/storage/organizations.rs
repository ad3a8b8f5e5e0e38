//! Organizations, users and memberships.

use serde::Deserialize;

use crate::{
    domain::{
        id::{OrganizationId, UserId},
        key::{Name, Role},
        project::Organization,
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{statement, typed},
};

/// The operator's own organization. There can be one: a second is refused by a unique index, and its
/// whole batch with it.
pub(crate) fn insert_operator(id: OrganizationId, name: &str, now: UnixMillis) -> Statement {
    statement!("INSERT INTO organizations (id, name, operator, created_at) VALUES (?1, ?2, 1, ?3)", id, name, now)
}

/// A user.
pub(crate) fn insert_user(id: UserId, email: &str, now: UnixMillis) -> Statement {
    statement!("INSERT INTO users (id, email, created_at) VALUES (?1, ?2, ?3)", id, email, now)
}

/// Makes a user a member.
pub(crate) fn insert_membership(
    organization_id: OrganizationId,
    user_id: UserId,
    role: Role,
    now: UnixMillis,
) -> Statement {
    statement!(
        "INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES (?1, ?2, ?3, ?4)",
        organization_id,
        user_id,
        role.as_str(),
        now
    )
}

/// One organization.
pub(crate) fn get(id: OrganizationId) -> Statement {
    statement!("SELECT id, name, created_at FROM organizations WHERE id = ?1", id)
}

/// Renames an organization; gives it as it is then.
pub(crate) fn rename(id: OrganizationId, name: &Name) -> Statement {
    statement!("UPDATE organizations SET name = ?2 WHERE id = ?1 RETURNING id, name, created_at", id, name.as_str())
}

/// Reads the rows of [`get`] and [`rename`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Organization>, DatabaseError> {
    #[derive(Deserialize)]
    struct OrganizationRow {
        id: OrganizationId,
        name: Name,
        created_at: UnixMillis,
    }
    let rows: Vec<OrganizationRow> = typed(rows)?;
    let organization = |row: OrganizationRow| Organization { id: row.id, name: row.name, created_at: row.created_at };
    Ok(rows.into_iter().map(organization).collect())
}
