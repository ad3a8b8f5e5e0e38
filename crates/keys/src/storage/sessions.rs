//! The tables `sessions` and `sign_in_links`. They hold only open ones: ended sessions and used links are deleted.

use serde::Deserialize;

use crate::{
    domain::{
        creator::Creator,
        id::{KeyId, OrganizationId, SessionId, SignInLinkId, UserId},
        key::{Name, Role},
        key_text::Digest,
        page::Page,
        session::{IDLE_MS, NewSession, NewSignInLink, OpenSignInLink, Session, SessionReach, SignInLink},
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{
        batch::Query,
        people::names,
        snapshots::{STANDING_COLUMNS, SnapshotRow, candidate},
        typed_pairs,
    },
};

/// The columns of a [`Session`].
const COLUMNS: &str = "s.id, s.user_agent, k.name AS key_name, s.created_at, s.last_seen_at, s.expires_at";

/// The condition that a session is open at `:now`, with its key as `k`. Sessions that have been idle since
/// `:idle_since` are closed, and so are those of a key that has ended with its descendants.
const OPEN: &str = "s.expires_at > :now AND s.last_seen_at > :idle_since AND (s.key_id IS NULL OR k.id IS NOT NULL) \
    AND NOT EXISTS (SELECT 1 FROM keys parent WHERE parent.id = s.parent_id AND parent.ended_with IS NOT NULL)";

/// The key that signed a session in, as long as it still has the secret that was presented then.
const JOIN_KEY: &str = "LEFT JOIN keys k ON k.id = s.key_id AND s.key_digest IN (k.digest, k.outgoing_digest)";

/// The insertion of a session by a key whose presented secret has one of these digests. The guard stands before it.
pub fn insert_for_key(session: &NewSession<'_>, key_id: KeyId, candidates: &[Digest]) -> Statement {
    statement!(
        "INSERT INTO sessions (id, digest, organization_id, user_id, key_id, key_digest, role, user_agent, created_at, \
         last_seen_at, expires_at, created_by, created_by_user, parent_id) \
         SELECT :id, :digest, organization_id, user_id, id, \
         CASE WHEN digest IN (:first, :second, :third) THEN digest ELSE outgoing_digest END, role, :user_agent, \
         :created_at, :created_at, :expires_at, id, user_id, id \
         FROM keys WHERE id = :key_id",
        id: session.id,
        digest: session.digest,
        key_id,
        first: candidate(candidates, 0),
        second: candidate(candidates, 1),
        third: candidate(candidates, 2),
        user_agent: session.user_agent,
        created_at: session.created_at,
        expires_at: session.expires_at
    )
}

/// A link, and the condition that it is valid.
const OPEN_LINK: &str = "sign_in_links l JOIN organizations o ON o.id = l.organization_id AND o.suspended_at IS NULL \
    JOIN memberships m ON m.organization_id = l.organization_id AND m.user_id = l.user_id \
    JOIN users u ON u.id = l.user_id WHERE l.digest = :link AND l.expires_at > :now";

/// The insertion of a session by a link, if the link is valid. It tells whether it was. [`use_up`] deletes the
/// link.
pub fn insert_for_link(session: &NewSession<'_>, link: Digest) -> Query<bool> {
    let sql = format!(
        "INSERT INTO sessions (id, digest, organization_id, user_id, role, key_expires_at, user_agent, created_at, \
         last_seen_at, expires_at, created_by, created_by_user, parent_id) \
         SELECT :id, :digest, l.organization_id, l.user_id, l.role, l.key_expires_at, :user_agent, :now, :now, \
         min(:expires_at, coalesce(l.key_expires_at, :expires_at)), l.created_by, l.created_by_user_id, l.parent_id \
         FROM {OPEN_LINK} RETURNING id"
    );
    Query::any(statement!(
        sql,
        id: session.id,
        digest: session.digest,
        link,
        user_agent: session.user_agent,
        now: session.created_at,
        expires_at: session.expires_at
    ))
}

/// The insertion of a session of a member without a key. It tells whether the member exists. If the invitation of the
/// member had an end, so has the session.
pub fn insert_for_member(
    session: &NewSession<'_>,
    organization_id: OrganizationId,
    user_id: UserId,
    creator: Creator,
) -> Query<bool> {
    Query::any(statement!(
        "INSERT INTO sessions (id, digest, organization_id, user_id, role, key_expires_at, user_agent, created_at, \
         last_seen_at, expires_at, created_by, created_by_user, parent_id) \
         SELECT :id, :digest, organization_id, user_id, role, key_expires_at, :user_agent, :created_at, :created_at, \
         min(:expires_at, coalesce(key_expires_at, :expires_at)), :created_by, :created_by_user, :parent_id \
         FROM memberships WHERE organization_id = :organization_id AND user_id = :user_id \
         AND coalesce(key_expires_at > :created_at, 1) RETURNING id",
        id: session.id,
        digest: session.digest,
        organization_id,
        user_id,
        user_agent: session.user_agent,
        created_at: session.created_at,
        expires_at: session.expires_at,
        created_by: creator.id,
        created_by_user: creator.user_id,
        parent_id: creator.parent_id
    ))
}

/// The insertion of a link for a member, if they have one of the roles.
pub fn insert_link(link: &NewSignInLink) -> Statement {
    statement!(
        "INSERT INTO sign_in_links (id, digest, organization_id, user_id, role, key_expires_at, created_by, \
         session_id, created_by_user_id, parent_id, created_at, expires_at) \
         SELECT :id, :digest, organization_id, user_id, role, :key_expires_at, :created_by, :session_id, \
         :created_by_user_id, :parent_id, :created_at, :expires_at \
         FROM memberships WHERE organization_id = :organization_id AND user_id = :user_id \
         AND role IN (SELECT value FROM json_each(:roles))",
        digest: link.digest,
        organization_id: link.organization_id,
        user_id: link.user_id,
        roles: names(&link.roles),
        key_expires_at: link.key_expires_at,
        id: link.id,
        created_by: link.creator.id,
        session_id: link.session_id,
        created_by_user_id: link.creator.user_id,
        parent_id: link.creator.parent_id,
        created_at: link.created_at,
        expires_at: link.expires_at
    )
}

/// The valid link with this digest, and its organization.
pub fn link_by_digest(link: Digest, now: UnixMillis) -> Query<Option<(OrganizationId, SignInLink)>> {
    #[derive(Deserialize)]
    struct OrganizationRow {
        organization_id: OrganizationId,
    }
    let sql = format!(
        "SELECT l.organization_id, l.user_id, u.email, o.name AS organization, l.role, l.expires_at, l.key_expires_at, \
         l.created_by FROM {OPEN_LINK}"
    );
    Query::new(statement!(sql, link, now), |rows| {
        let row = typed_pairs::<OrganizationRow, SignInLink>(rows)?.into_iter().next();
        Ok(row.map(|(OrganizationRow { organization_id }, link)| (organization_id, link)))
    })
}

/// The open links of an organization, newest first; with `only`, those for this member.
pub fn list_links(
    organization_id: OrganizationId,
    only: Option<UserId>,
    before: Option<SignInLinkId>,
    limit: i64,
    now: UnixMillis,
) -> Query<Page<OpenSignInLink>> {
    let sql = "SELECT l.id, l.user_id, u.email, l.role, l.created_at, l.created_by, l.created_by_user_id, l.expires_at \
               FROM sign_in_links l JOIN users u ON u.id = l.user_id \
               WHERE l.organization_id = :organization_id AND l.id < coalesce(:before, '~') \
               AND (:only IS NULL OR l.user_id = :only) AND l.expires_at > :now ORDER BY l.id DESC LIMIT :limit";
    Query::page(statement!(sql, organization_id, only, before, limit: limit + 1, now), limit, &["email"])
}

/// Deletes an open link for a member with one of these roles. Returns whether there was one.
pub fn take_back_link(
    organization_id: OrganizationId,
    id: SignInLinkId,
    roles: &[Role],
    now: UnixMillis,
) -> Query<bool> {
    let sql = "DELETE FROM sign_in_links WHERE organization_id = :organization_id AND id = :id AND expires_at > :now \
               AND role IN (SELECT value FROM json_each(:roles)) RETURNING id";
    Query::any(statement!(sql, organization_id, id, roles: names(roles), now))
}

/// Deletes a used link.
pub fn use_up(link: Digest) -> Statement {
    statement!("DELETE FROM sign_in_links WHERE digest = :link", link)
}

/// A session, with the columns of its snapshot.
#[derive(Deserialize)]
pub struct SessionRow {
    /// The last use, up to an hour late.
    pub last_seen_at: UnixMillis,
    /// The name of the session's organization.
    pub organization: Name,
    /// The address of the session's user.
    pub email: Option<String>,
    /// The name of the key that signed it in.
    pub key_name: Option<Name>,
}

/// The session with this token, and the snapshot that it acts with. It belongs into one batch with
/// [`crate::storage::changes::since`], whose head is the snapshot's `seq`.
pub fn by_digest(digest: Digest, now: UnixMillis) -> Query<Option<(SessionRow, SnapshotRow)>> {
    let sql = format!(
        "SELECT s.last_seen_at, k.name AS key_name, s.id AS session_id, s.parent_id AS session_parent_id, \
         coalesce(s.key_id, s.id) AS id, \
         s.organization_id, s.user_id, k.project_id, coalesce(k.kind, 'pat') AS kind, \
         coalesce(k.name, 'session') AS name, k.scopes, k.conditions, coalesce(k.role, s.role) AS role, \
         coalesce(k.metadata, '{{}}') AS metadata, \
         coalesce(k.operator_metadata, '{{}}') AS operator_metadata, coalesce(k.expires_at, s.key_expires_at) AS expires_at, \
         k.disabled_at, k.revoked_at, \
         CASE WHEN s.key_digest = k.outgoing_digest THEN k.rotates_at END AS outgoing_until, {STANDING_COLUMNS}, \
         o.name AS organization, u.email \
         FROM sessions s JOIN organizations o ON o.id = s.organization_id {JOIN_KEY} \
         LEFT JOIN memberships m ON m.organization_id = s.organization_id AND m.user_id = s.user_id \
         LEFT JOIN users u ON u.id = s.user_id LEFT JOIN projects p ON p.id = k.project_id \
         WHERE s.digest = :digest AND {OPEN}"
    );
    Query::new(statement!(sql, digest, now, idle_since: now.plus_ms(-IDLE_MS)), |rows| {
        Ok(typed_pairs(rows)?.into_iter().next())
    })
}

/// Records that a session is in use.
pub fn record_seen(id: SessionId, now: UnixMillis) -> Statement {
    statement!("UPDATE sessions SET last_seen_at = max(last_seen_at, :now) WHERE id = :id", id, now)
}

/// A page of open sessions, newest first.
pub fn list(reach: SessionReach, limit: i64, now: UnixMillis) -> Query<Vec<Session>> {
    let select = |condition: &str| {
        format!(
            "SELECT {COLUMNS} FROM sessions s {JOIN_KEY} WHERE s.organization_id = :organization_id AND {condition} \
             AND {OPEN} ORDER BY s.id DESC LIMIT :limit"
        )
    };
    let SessionReach { organization_id, user_id, key_id } = reach;
    let idle_since = now.plus_ms(-IDLE_MS);
    Query::rows(match user_id {
        Some(user_id) => {
            statement!(select("s.user_id = :user_id"), organization_id, user_id, now, idle_since, limit)
        }
        None => statement!(select("s.key_id = :key_id"), organization_id, key_id, now, idle_since, limit),
    })
}

/// Ends a session and tells whether there was one.
pub fn end(reach: SessionReach, id: SessionId) -> Query<bool> {
    Query::any(statement!(
        "DELETE FROM sessions WHERE id = :id AND organization_id = :organization_id \
         AND CASE WHEN :user_id IS NULL THEN key_id = :key_id ELSE user_id = :user_id END RETURNING id",
        id,
        organization_id: reach.organization_id,
        user_id: reach.user_id,
        key_id: reach.key_id
    ))
}

/// Deletes expired sessions, at most `limit`, and returns one row for each.
pub fn prune(now: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM sessions WHERE id IN \
               (SELECT id FROM sessions WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit) RETURNING id";
    statement!(sql, now, limit)
}

/// Deletes expired links, at most `limit`.
pub fn prune_links(now: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM sign_in_links WHERE digest IN \
               (SELECT digest FROM sign_in_links WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)";
    statement!(sql, now, limit)
}
