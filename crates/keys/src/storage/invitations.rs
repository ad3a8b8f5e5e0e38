//! The `invitations` table. It holds only open invitations: accepted and revoked ones are deleted.

use serde::Deserialize;

use crate::{
    domain::{
        grant::Granted,
        id::{InvitationId, KeyId, OrganizationId, UserId},
        key::Name,
        key_text::Digest,
        organization::Policy,
        page::Page,
        person::{Invitation, InvitationFilter},
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{Conditions, batch::Query, idempotency::SUBJECT, typed},
};

/// The columns of an [`Invitation`], of this table alone.
const COLUMNS: &str = "invitations.id, organization_id, email, role, expires_at, key_expires_at, \
    invitations.created_at, created_by, invited_by, parent_id";

/// Deletes an organization's expired invitations, so that they neither pile up nor block new ones.
pub fn forget_expired(organization_id: OrganizationId, now: UnixMillis) -> Statement {
    let sql = "DELETE FROM invitations WHERE organization_id = :organization_id AND expires_at <= :now";
    statement!(sql, organization_id, now)
}

/// The insertion of a new invitation. It tells whether a row was inserted: there is none if a person with this
/// address is already a member or invited.
pub fn insert(invitation: &Invitation, digest: Digest, _: Granted) -> Query<bool> {
    Query::any(statement!(
        "INSERT INTO invitations (id, organization_id, email, role, digest, expires_at, key_expires_at, created_at, \
         created_by, invited_by, parent_id) \
         SELECT :id, id, :email, :role, :digest, :expires_at, :key_expires_at, :created_at, :created_by, :invited_by, \
         :parent_id \
         FROM organizations WHERE id = :organization_id AND NOT EXISTS (SELECT 1 FROM users JOIN memberships \
         ON organization_id = :organization_id AND user_id = users.id WHERE email = :email) \
         ON CONFLICT (organization_id, email) DO NOTHING RETURNING id",
        id: invitation.id,
        organization_id: invitation.organization_id,
        email: invitation.email,
        role: invitation.role,
        digest,
        expires_at: invitation.expires_at,
        key_expires_at: invitation.key_expires_at,
        created_at: invitation.created_at,
        created_by: invitation.created_by,
        invited_by: invitation.created_by_user,
        parent_id: invitation.parent_id
    ))
}

/// A page of an organization's invitations, newest first.
pub fn list(
    organization_id: OrganizationId,
    filter: InvitationFilter,
    before: Option<InvitationId>,
    limit: i64,
    now: UnixMillis,
) -> Query<Page<Invitation>> {
    let mut conditions = Conditions::new("organization_id = :organization_id", "organization_id", organization_id);
    conditions.and_if("created_by = :created_by", "created_by", filter.created_by);
    conditions.and_if("invited_by = :created_by_user", "created_by_user", filter.created_by_user);
    conditions.and("id < coalesce(:before, '~') AND expires_at > :now");
    conditions.with("before", before);
    conditions.with("now", now);
    conditions.with("limit", limit + 1);
    let sql = format!("SELECT {COLUMNS} FROM invitations WHERE {} ORDER BY id DESC LIMIT :limit", conditions.sql());
    Query::page(conditions.statement(&sql), limit, &["email"])
}

/// The invitation that the caller created under an Idempotency-Key, with the digest of its token.
pub fn created_by_request(key_id: KeyId, digest: &str) -> Query<Option<(Invitation, String)>> {
    #[derive(Deserialize)]
    struct CreatedInvitationRow {
        #[serde(flatten)]
        invitation: Invitation,
        digest: String,
    }
    let sql = format!("SELECT {COLUMNS}, digest FROM invitations WHERE id = {SUBJECT}");
    Query::new(statement!(sql, key_id, digest), |rows| {
        Ok(typed::<CreatedInvitationRow>(rows)?.into_iter().next().map(|row| (row.invitation, row.digest)))
    })
}

/// Revokes an invitation and tells whether it was open.
pub fn revoke(organization_id: OrganizationId, id: InvitationId, now: UnixMillis) -> Query<bool> {
    let sql = "DELETE FROM invitations WHERE id = :id AND organization_id = :organization_id AND expires_at > :now \
               RETURNING id";
    Query::any(statement!(sql, organization_id, id, now))
}

/// Deletes the invitations of a person, in every organization, that they could no longer create; all of them if the
/// person is gone. It stands directly after the event of the person's change and does nothing if there was none: a
/// person who never was a member of this organization has lost nothing.
pub fn end_beyond_reach(organization_id: OrganizationId, user_id: UserId) -> Statement {
    statement!(
        "DELETE FROM invitations WHERE changes() > 0 AND invited_by = :user_id \
         AND NOT EXISTS (SELECT 1 FROM memberships AS own \
         WHERE own.organization_id = :organization_id AND own.user_id = :user_id \
         AND (own.role = 'owner' OR (own.role = 'admin' AND invitations.role <> 'owner')))",
        organization_id,
        user_id
    )
}

/// The condition that an invitation is open and has this token. As long as the key that created it is disabled, it is
/// not.
const OPEN: &str = "digest = :digest AND expires_at > :now AND suspended_at IS NULL \
    AND NOT EXISTS (SELECT 1 FROM keys WHERE keys.id = invitations.created_by AND keys.disabled_at IS NOT NULL)";

/// Invitations joined with their organizations.
const WITH_ORGANIZATION: &str = "invitations JOIN organizations ON organizations.id = organization_id";

/// The open invitation of a token, with its organization's name and policy.
pub fn by_digest(digest: Digest, now: UnixMillis) -> Query<Option<(Invitation, Name, Policy)>> {
    #[derive(Deserialize)]
    struct OpenInvitationRow {
        #[serde(flatten)]
        invitation: Invitation,
        name: Name,
        #[serde(flatten)]
        policy: Policy,
    }
    let sql = format!(
        "SELECT {COLUMNS}, name, default_expiry_days, longest_expiry_days, max_keys_per_user \
         FROM {WITH_ORGANIZATION} WHERE {OPEN}"
    );
    Query::new(statement!(sql, digest, now), |rows| {
        Ok(typed::<OpenInvitationRow>(rows)?.into_iter().next().map(|row| (row.invitation, row.name, row.policy)))
    })
}

/// Creates the invited user if the invitation is open. The later statements depend on this user; [`use_up`] deletes
/// the invitation. Without an invitation the address would be NULL, which `OR IGNORE` skips. An `INSERT … SELECT`
/// may add many rows, and SQLite would look for references to each.
pub fn insert_user(digest: Digest, user_id: UserId, now: UnixMillis) -> Statement {
    let sql = format!(
        "INSERT OR IGNORE INTO users (id, email, created_at) \
         VALUES (:user_id, (SELECT email FROM {WITH_ORGANIZATION} WHERE {OPEN}), :now)"
    );
    statement!(sql, digest, user_id, now)
}

/// Makes the new user a member. A membership has no end, so it keeps the end of what the inviter could give.
pub fn insert_membership(digest: Digest, user_id: UserId, now: UnixMillis) -> Statement {
    statement!(
        "INSERT INTO memberships (organization_id, user_id, role, created_at, key_expires_at) \
         SELECT organization_id, users.id, role, :now, key_expires_at FROM invitations JOIN users ON users.id = :user_id \
         WHERE digest = :digest",
        digest,
        user_id,
        now
    )
}

/// Deletes the invitation that this user has accepted.
pub fn use_up(digest: Digest, user_id: UserId) -> Statement {
    let sql = "DELETE FROM invitations WHERE digest = :digest AND EXISTS (SELECT 1 FROM users WHERE id = :user_id)";
    statement!(sql, digest, user_id)
}
