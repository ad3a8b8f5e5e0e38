//! The `invitations` table, which holds the open ones alone: what is accepted or revoked is deleted.

use serde::Deserialize;

use crate::{
    domain::{
        id::{InvitationId, KeyId, OrganizationId, UserId},
        key::Name,
        key_text::Digest,
        organization::Policy,
        person::Invitation,
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{idempotency::subject, statement, typed},
};

macro_rules! columns {
    () => {
        "id, organization_id, email, role, expires_at, key_expires_at, created_at, created_by"
    };
}

/// An organization's invitations that have expired end here, so that they pile up nowhere and stand in
/// nobody's way.
pub(crate) fn forget_expired(organization_id: OrganizationId, now: UnixMillis) -> Statement {
    statement!("DELETE FROM invitations WHERE organization_id = ?1 AND expires_at <= ?2", organization_id, now)
}

/// A new invitation's row; gives its id, or no row if somebody with this address is a member or invited.
pub(crate) fn insert(invitation: &Invitation, digest: Digest, invited_by: Option<UserId>) -> Statement {
    statement!(
        "INSERT INTO invitations (id, organization_id, email, role, digest, expires_at, key_expires_at, created_at, created_by, invited_by) \
         SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM organizations WHERE id = ?2 AND NOT EXISTS (SELECT 1 FROM users JOIN memberships \
         ON organization_id = ?2 AND user_id = users.id WHERE email = ?3) \
         ON CONFLICT (organization_id, email) DO NOTHING RETURNING id",
        invitation.id,
        invitation.organization_id,
        invitation.email.as_str(),
        invitation.role.as_str(),
        digest.to_hex(),
        invitation.expires_at,
        invitation.key_expires_at,
        invitation.created_at,
        invitation.created_by,
        invited_by
    )
}

/// A page of an organization's invitations, the newest first.
pub(crate) fn list(
    organization_id: OrganizationId,
    before: Option<InvitationId>,
    limit: i64,
    now: UnixMillis,
) -> Statement {
    statement!(
        concat!(
            "SELECT ",
            columns!(),
            " FROM invitations WHERE organization_id = ?1 AND id < coalesce(?2, '~') AND expires_at > ?3 \
             ORDER BY id DESC LIMIT ?4"
        ),
        organization_id,
        before,
        now,
        limit
    )
}

/// Reads the rows of [`list`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Invitation>, DatabaseError> {
    typed(rows)
}

/// The invitation that was made under an Idempotency-Key, which is the caller's own.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    statement!(concat!("SELECT ", columns!(), ", digest FROM invitations WHERE id = ", subject!()), by, digest)
}

/// Reads the rows of [`made`]: the invitation, and the digest of its token.
pub(crate) fn read_made(rows: Vec<Row>) -> Result<Option<(Invitation, String)>, DatabaseError> {
    #[derive(Deserialize)]
    struct MadeRow {
        #[serde(flatten)]
        invitation: Invitation,
        digest: String,
    }
    let rows: Vec<MadeRow> = typed(rows)?;
    Ok(rows.into_iter().next().map(|row| (row.invitation, row.digest)))
}

/// Takes an invitation back; gives a row if it was open.
pub(crate) fn revoke(organization_id: OrganizationId, id: InvitationId, now: UnixMillis) -> Statement {
    statement!(
        "DELETE FROM invitations WHERE id = ?1 AND organization_id = ?2 AND expires_at > ?3 RETURNING id",
        id,
        organization_id,
        now
    )
}

/// Ends the invitations that a person has made, in whatever organization, and could not make any more: all,
/// if he is gone. Stands directly behind the event of his change and does nothing if there was none: who
/// never was a member of this organization is no less than before.
pub(crate) fn end_beyond_reach(organization_id: OrganizationId, user_id: UserId) -> Statement {
    statement!(
        "DELETE FROM invitations WHERE changes() > 0 AND invited_by = ?2 AND NOT EXISTS (SELECT 1 FROM memberships AS own \
         WHERE own.organization_id = ?1 AND own.user_id = ?2 \
         AND (own.role = 'owner' OR (own.role = 'admin' AND invitations.role <> 'owner')))",
        organization_id,
        user_id
    )
}

/// The condition on an invitation that its token, whose digest is `?1`, still opens at `?2`.
macro_rules! open {
    () => {
        "digest = ?1 AND expires_at > ?2 AND suspended_at IS NULL"
    };
}

/// The invitation that a token opens, with its organization's name and policy.
pub(crate) fn by_digest(digest: Digest, now: UnixMillis) -> Statement {
    statement!(
        concat!(
            "SELECT invitations.id, organization_id, email, role, expires_at, key_expires_at, invitations.created_at, created_by, name, \
             default_expiry_days, longest_expiry_days, max_keys_per_user FROM invitations JOIN organizations ON organizations.id = organization_id WHERE ",
            open!()
        ),
        digest.to_hex(),
        now
    )
}

/// Reads the rows of [`by_digest`].
pub(crate) fn read_open(rows: Vec<Row>) -> Result<Option<(Invitation, Name, Policy)>, DatabaseError> {
    #[derive(Deserialize)]
    struct OpenRow {
        #[serde(flatten)]
        invitation: Invitation,
        name: Name,
        #[serde(flatten)]
        policy: Policy,
    }
    let rows: Vec<OpenRow> = typed(rows)?;
    Ok(rows.into_iter().next().map(|row| (row.invitation, row.name, row.policy)))
}

/// Makes the user whom a token invites, if it still opens. What else is done for him hangs on his being
/// there; [`use_up`] ends it. Without an invitation the address would be NULL, which `OR IGNORE` passes
/// over; an `INSERT … SELECT` may add many rows, and SQLite would look for what refers to each.
pub(crate) fn insert_user(digest: Digest, user_id: UserId, now: UnixMillis) -> Statement {
    statement!(
        concat!(
            "INSERT OR IGNORE INTO users (id, email, created_at) VALUES (?3, (SELECT email \
             FROM invitations JOIN organizations ON organizations.id = organization_id WHERE ",
            open!(),
            "), ?2)"
        ),
        digest.to_hex(),
        now,
        user_id
    )
}

/// Makes the new user a member.
pub(crate) fn insert_membership(digest: Digest, user_id: UserId, now: UnixMillis) -> Statement {
    statement!(
        "INSERT INTO memberships (organization_id, user_id, role, created_at) \
         SELECT organization_id, users.id, role, ?2 FROM invitations JOIN users ON users.id = ?3 WHERE digest = ?1",
        digest.to_hex(),
        now,
        user_id
    )
}

/// Ends an invitation by which this user has come.
pub(crate) fn use_up(digest: Digest, user_id: UserId) -> Statement {
    statement!(
        "DELETE FROM invitations WHERE digest = ?1 AND EXISTS (SELECT 1 FROM users WHERE id = ?2)",
        digest.to_hex(),
        user_id
    )
}
