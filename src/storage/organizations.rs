//! Organizations, users and memberships.

use serde::Deserialize;

use crate::{
    domain::{
        id::{KeyId, OrganizationId, UserId},
        key::{Name, Role},
        organization::{Change, Organization, Policy, Subscription},
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{idempotency::subject, statement, typed},
};

macro_rules! columns {
    () => {
        "id, name, suspended_at, created_at, default_expiry_days, longest_expiry_days, max_keys_per_user, \
         subscription, credits, audit_retention_days, trace_retention_days"
    };
}

/// A new organization's row. Of the operator's own there can be one: a second is refused by a unique
/// index, and its whole batch with it.
pub(crate) fn insert(organization: &Organization, operator: bool) -> Statement {
    statement!(
        "INSERT INTO organizations (id, name, operator, created_at) VALUES (?1, ?2, ?3, ?4)",
        organization.id,
        organization.name.as_str(),
        i64::from(operator),
        organization.created_at
    )
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
    statement!(concat!("SELECT ", columns!(), " FROM organizations WHERE id = ?1"), id)
}

/// The organization of the key that was made under an Idempotency-Key, which is the caller's own.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    statement!(
        concat!(
            "SELECT ",
            columns!(),
            " FROM organizations WHERE id = (SELECT organization_id FROM keys WHERE id = ",
            subject!(),
            ")"
        ),
        by,
        digest
    )
}

/// The newest organizations, those from before `before` if it is given.
pub(crate) fn list(before: Option<OrganizationId>, limit: i64) -> Statement {
    // Ids are hexadecimal, so they all sort before the letter g.
    statement!(
        concat!("SELECT ", columns!(), " FROM organizations WHERE id < coalesce(?1, 'g') ORDER BY id DESC LIMIT ?2"),
        before,
        limit
    )
}

/// A setting after the change: the second parameter if the first says so.
macro_rules! after {
    ($changes:literal, $new:literal, $column:literal) => {
        concat!("CASE WHEN ", $changes, " THEN ", $new, " ELSE ", $column, " END")
    };
}

/// Changes what is not `None`. Gives the organization as it is then; no row if it is not there, or if
/// its default expiry would come to be longer than its longest.
pub(crate) fn update(id: OrganizationId, change: &Change, now: UnixMillis) -> Statement {
    statement!(
        concat!(
            "UPDATE organizations SET name = coalesce(?2, name), default_expiry_days = ",
            after!("?3", "?4", "default_expiry_days"),
            ", longest_expiry_days = ",
            after!("?5", "?6", "longest_expiry_days"),
            ", max_keys_per_user = ",
            after!("?7", "?8", "max_keys_per_user"),
            ", audit_retention_days = ",
            after!("?9", "?10", "audit_retention_days"),
            ", trace_retention_days = ",
            after!("?11", "?12", "trace_retention_days"),
            ", suspended_at = CASE ?13 WHEN 1 THEN coalesce(suspended_at, ?14) WHEN 0 THEN NULL ELSE suspended_at END, \
             subscription = coalesce(?15, subscription), credits = ",
            after!("?16", "?17", "credits"),
            " WHERE id = ?1 AND coalesce(",
            after!("?3", "?4", "default_expiry_days"),
            " <= ",
            after!("?5", "?6", "longest_expiry_days"),
            ", 1) RETURNING ",
            columns!()
        ),
        id,
        change.name.as_ref().map(Name::as_str),
        i64::from(change.default_expiry_days.is_some()),
        change.default_expiry_days.flatten(),
        i64::from(change.longest_expiry_days.is_some()),
        change.longest_expiry_days.flatten(),
        i64::from(change.max_keys_per_user.is_some()),
        change.max_keys_per_user.flatten(),
        i64::from(change.audit_retention_days.is_some()),
        change.audit_retention_days.flatten(),
        i64::from(change.trace_retention_days.is_some()),
        change.trace_retention_days.flatten(),
        change.suspended.map(i64::from),
        now,
        change.subscription.map(Subscription::as_str),
        i64::from(change.credits.is_some()),
        change.credits.flatten()
    )
}

/// Reads the rows of [`get`], [`list`] and [`update`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Organization>, DatabaseError> {
    #[derive(Deserialize)]
    struct OrganizationRow {
        id: OrganizationId,
        name: Name,
        suspended_at: Option<UnixMillis>,
        created_at: UnixMillis,
        #[serde(flatten)]
        policy: Policy,
        subscription: Subscription,
        credits: Option<i64>,
        audit_retention_days: Option<i64>,
        trace_retention_days: Option<i64>,
    }
    let rows: Vec<OrganizationRow> = typed(rows)?;
    let organization = |row: OrganizationRow| Organization {
        id: row.id,
        name: row.name,
        suspended_at: row.suspended_at,
        created_at: row.created_at,
        policy: row.policy,
        subscription: row.subscription,
        credits: row.credits,
        audit_retention_days: row.audit_retention_days,
        trace_retention_days: row.trace_retention_days,
    };
    Ok(rows.into_iter().map(organization).collect())
}
