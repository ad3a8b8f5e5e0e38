//! Organizations, users and memberships.

use crate::{
    domain::{
        id::{OrganizationId, UserId},
        key::Role,
        time::UnixMillis,
    },
    ports::Statement,
    storage::statement,
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

/// The organization's name.
pub(crate) fn name(id: OrganizationId) -> Statement {
    statement!("SELECT name FROM organizations WHERE id = ?1", id)
}
