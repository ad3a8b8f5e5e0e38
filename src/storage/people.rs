//! Memberships and the users behind them.

use crate::{
    domain::{
        id::{OrganizationId, UserId},
        key::Role,
        person::{Email, Member, Membership},
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{
        keys::{managed, managing},
        statement, typed,
    },
};

macro_rules! select {
    () => {
        "SELECT user_id, email, role, memberships.created_at AS joined_at \
         FROM memberships JOIN users ON users.id = user_id WHERE organization_id = ?1"
    };
}

/// A membership of `?1` and `?2` that belongs to the only owner.
macro_rules! last_owner {
    () => {
        "memberships.role = 'owner' AND NOT EXISTS (SELECT 1 FROM memberships AS other \
         WHERE other.organization_id = ?1 AND other.role <> 'member' AND other.role = 'owner' AND other.user_id <> ?2)"
    };
}

/// What both ends of a membership ask of it: its role is one of `?3`, a JSON array, it does not belong
/// to the only owner, and, unless `?4` forces it, the organization of `?1` can manage its keys at `?5`
/// without those of the user `?2`.
macro_rules! may_go {
    ($or:literal) => {
        concat!(
            "organization_id = ?1 AND user_id = ?2 AND role IN (SELECT value FROM json_each(?3)) AND NOT (",
            last_owner!(),
            ") AND (?4 OR ",
            $or,
            "memberships.role = 'member' OR NOT EXISTS (SELECT 1 FROM keys WHERE organization_id = ?1 AND user_id = ?2 \
             AND (expires_at IS NULL OR expires_at > ?5) AND ",
            managing!(),
            ") OR ",
            managed!("?1", "", " AND user_id <> ?2"),
            ")"
        )
    };
}

/// A page of an organization's members, the newest first; `only` this one, if it is given.
pub(crate) fn list(
    organization_id: OrganizationId,
    only: Option<UserId>,
    before: Option<UserId>,
    limit: i64,
) -> Statement {
    statement!(
        concat!(
            select!(),
            " AND user_id < coalesce(?2, '~') AND (?3 IS NULL OR user_id = ?3) ORDER BY user_id DESC LIMIT ?4"
        ),
        organization_id,
        before,
        only,
        limit
    )
}

/// One member.
pub(crate) fn get(organization_id: OrganizationId, user_id: UserId) -> Statement {
    statement!(concat!(select!(), " AND user_id = ?2"), organization_id, user_id)
}

/// The member with this address.
pub(crate) fn by_email(organization_id: OrganizationId, email: &Email) -> Statement {
    statement!(concat!(select!(), " AND email = ?2"), organization_id, email.as_str())
}

/// Where somebody with this address is, as one user or several, the newest first.
pub(crate) fn everywhere(email: &Email) -> Statement {
    statement!(
        "SELECT organization_id, organizations.name AS organization, user_id, role FROM users \
         JOIN memberships ON user_id = users.id JOIN organizations ON organizations.id = organization_id \
         WHERE email = ?1 AND suspended_at IS NULL ORDER BY users.id DESC LIMIT 100",
        email.as_str()
    )
}

/// Reads the rows of [`everywhere`].
pub(crate) fn read_everywhere(rows: Vec<Row>) -> Result<Vec<Membership>, DatabaseError> {
    typed(rows)
}

/// Reads the rows of [`list`], [`get`] and [`by_email`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Member>, DatabaseError> {
    typed(rows)
}

/// Gives a row if this is the organization's only owner.
pub(crate) fn is_last_owner(organization_id: OrganizationId, user_id: UserId) -> Statement {
    statement!(
        concat!("SELECT 1 FROM memberships WHERE organization_id = ?1 AND user_id = ?2 AND ", last_owner!()),
        organization_id,
        user_id
    )
}

/// Whom a change may concern, and whether it may leave an organization without a key that can manage keys.
#[derive(Debug, Clone)]
pub(crate) struct Leave {
    /// The roles that the caller may take from somebody.
    pub(crate) roles: Vec<Role>,
    /// Whether the caller insists.
    pub(crate) force: bool,
}

impl Leave {
    fn roles(&self) -> serde_json::Value {
        self.roles.iter().map(|role| role.as_str()).collect()
    }
}

/// Gives a member another role, if he has one of those that the caller may take, and somebody else owns
/// the organization and can manage its keys.
pub(crate) fn set_role(
    organization_id: OrganizationId,
    user_id: UserId,
    role: Role,
    leave: &Leave,
    now: UnixMillis,
) -> Statement {
    statement!(
        concat!("UPDATE memberships SET role = ?6 WHERE role <> ?6 AND ", may_go!("?6 <> 'member' OR ")),
        organization_id,
        user_id,
        leave.roles(),
        i64::from(leave.force),
        now,
        role.as_str()
    )
}

/// Ends a membership, and by the one row of the feed that the schema's trigger writes all the user's keys,
/// however many there are; under the same conditions as [`set_role`].
pub(crate) fn remove(organization_id: OrganizationId, user_id: UserId, leave: &Leave, now: UnixMillis) -> Statement {
    statement!(
        concat!("DELETE FROM memberships WHERE ", may_go!("")),
        organization_id,
        user_id,
        leave.roles(),
        i64::from(leave.force),
        now
    )
}
