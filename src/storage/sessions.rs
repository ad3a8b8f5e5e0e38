//! The tables `sessions` and `sign_in_links`, which hold what is open alone: what was signed out or used is
//! deleted.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    domain::{
        feed::Seq,
        id::{KeyId, OrganizationId, SessionId, UserId},
        key::{Name, Role},
        key_text::Digest,
        session::{IDLE_MS, Session, SignInLink},
        snapshot::Snapshot,
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{snapshots, statement, typed},
};

/// The columns of a [`Session`].
macro_rules! columns {
    () => {
        "s.id, s.user_agent, k.name AS key_name, s.created_at, s.last_seen_at, s.expires_at"
    };
}

/// The condition on a session that it is open, with the key of its own as `k`, at `?2`; idle since `?3` is
/// too long.
macro_rules! open {
    () => {
        "s.expires_at > ?2 AND s.last_seen_at > ?3 AND (s.key_id IS NULL OR k.id IS NOT NULL)"
    };
}

/// The key by which a session was signed in, as long as it has the secret with which.
macro_rules! join_key {
    () => {
        "LEFT JOIN keys k ON k.id = s.key_id AND s.key_digest IN (k.digest, k.outgoing_digest)"
    };
}

/// A session to be begun.
pub(crate) struct NewSession<'a> {
    /// Its id.
    pub(crate) id: SessionId,
    /// The digest of its token.
    pub(crate) digest: Digest,
    /// What its browser says of itself.
    pub(crate) user_agent: &'a str,
    /// Now.
    pub(crate) created_at: UnixMillis,
    /// When it ends.
    pub(crate) expires_at: UnixMillis,
}

/// A session by a key of which a secret with one of these digests was shown; the guard stands before it.
pub(crate) fn insert_for_key(session: &NewSession<'_>, key_id: KeyId, candidates: &[Digest]) -> Statement {
    let digests: Vec<String> = candidates.iter().map(|digest| digest.to_hex()).collect();
    // As in `snapshots::by_digest`, there are at most three.
    let digest = |index: usize| digests.get(index).cloned();
    statement!(
        "INSERT INTO sessions (id, digest, organization_id, user_id, key_id, key_digest, role, user_agent, created_at, \
         last_seen_at, expires_at) SELECT ?1, ?2, organization_id, user_id, id, \
         CASE WHEN digest IN (?4, ?5, ?6) THEN digest ELSE outgoing_digest END, role, ?7, ?8, ?8, ?9 \
         FROM keys WHERE id = ?3",
        session.id,
        session.digest.to_hex(),
        key_id,
        digest(0),
        digest(1),
        digest(2),
        session.user_agent,
        session.created_at,
        session.expires_at
    )
}

/// The condition on a link, whose digest is `?1`, that it still opens something at `?2`.
macro_rules! link {
    () => {
        "FROM sign_in_links l JOIN organizations o ON o.id = l.organization_id AND o.suspended_at IS NULL \
         JOIN memberships m ON m.organization_id = l.organization_id AND m.user_id = l.user_id \
         JOIN users u ON u.id = l.user_id \
         WHERE l.digest = ?1 AND l.expires_at > ?2"
    };
}

/// A session by a link, if that still opens one; gives its id. The link's own statement to end it is
/// [`use_up`].
pub(crate) fn insert_for_link(session: &NewSession<'_>, link: Digest) -> Statement {
    statement!(
        concat!(
            "INSERT INTO sessions (id, digest, organization_id, user_id, role, key_expires_at, user_agent, created_at, \
             last_seen_at, expires_at) SELECT ?3, ?4, l.organization_id, l.user_id, l.role, l.key_expires_at, ?5, ?2, ?2, \
             min(?6, coalesce(l.key_expires_at, ?6)) ",
            link!(),
            " RETURNING id"
        ),
        link.to_hex(),
        session.created_at,
        session.id,
        session.digest.to_hex(),
        session.user_agent,
        session.expires_at
    )
}

/// A session of a member who has just come; gives its id, or no row if he has not.
pub(crate) fn insert_for_member(
    session: &NewSession<'_>,
    organization_id: OrganizationId,
    user_id: UserId,
    key_expires_at: Option<UnixMillis>,
) -> Statement {
    statement!(
        "INSERT INTO sessions (id, digest, organization_id, user_id, role, key_expires_at, user_agent, created_at, \
         last_seen_at, expires_at) SELECT ?1, ?2, organization_id, user_id, role, ?5, ?6, ?7, ?7, ?8 \
         FROM memberships WHERE organization_id = ?3 AND user_id = ?4 RETURNING id",
        session.id,
        session.digest.to_hex(),
        organization_id,
        user_id,
        key_expires_at,
        session.user_agent,
        session.created_at,
        session.expires_at
    )
}

/// A link that is to be made.
pub(crate) struct NewLink {
    /// The digest of its token.
    pub(crate) digest: Digest,
    /// The organization.
    pub(crate) organization_id: OrganizationId,
    /// The member whom it signs in.
    pub(crate) user_id: UserId,
    /// The roles of which he must have one.
    pub(crate) roles: Vec<Role>,
    /// Until when what he makes may last; `None`: for ever.
    pub(crate) key_expires_at: Option<UnixMillis>,
    /// Who makes it.
    pub(crate) created_by_user_id: Option<UserId>,
    /// From when on it opens nothing.
    pub(crate) expires_at: UnixMillis,
}

/// A link for a member, if he has one of the roles.
pub(crate) fn insert_link(link: &NewLink) -> Statement {
    statement!(
        "INSERT INTO sign_in_links (digest, organization_id, user_id, role, key_expires_at, created_by_user_id, expires_at) \
         SELECT ?1, organization_id, user_id, role, ?5, ?6, ?7 FROM memberships WHERE organization_id = ?2 AND user_id = ?3 \
         AND role IN (SELECT value FROM json_each(?4))",
        link.digest.to_hex(),
        link.organization_id,
        link.user_id,
        link.roles.iter().map(|role| role.as_str()).collect::<Value>(),
        link.key_expires_at,
        link.created_by_user_id,
        link.expires_at
    )
}

/// The link with this digest, if it still opens something.
pub(crate) fn link_by_digest(digest: Digest, now: UnixMillis) -> Statement {
    statement!(
        concat!(
            "SELECT l.organization_id, l.user_id, u.email, o.name AS organization, l.role, l.expires_at, l.key_expires_at ",
            link!()
        ),
        digest.to_hex(),
        now
    )
}

/// Reads the rows of [`link_by_digest`].
pub(crate) fn read_link(rows: Vec<Row>) -> Result<Option<(OrganizationId, SignInLink)>, DatabaseError> {
    #[derive(Deserialize)]
    struct LinkRow {
        organization_id: OrganizationId,
        #[serde(flatten)]
        link: SignInLink,
    }
    let rows: Vec<LinkRow> = typed(rows)?;
    Ok(rows.into_iter().next().map(|row| (row.organization_id, row.link)))
}

/// Ends a link that was used.
pub(crate) fn use_up(link: Digest) -> Statement {
    statement!("DELETE FROM sign_in_links WHERE digest = ?1", link.to_hex())
}

/// The session with this token, and the snapshot in whose name it acts. Goes into one batch with
/// [`crate::storage::changes::news`], whose head is the snapshot's `seq`.
pub(crate) fn by_digest(digest: Digest, now: UnixMillis) -> Statement {
    statement!(
        concat!(
            "SELECT s.last_seen_at, k.name AS key_name, s.id AS session_id, coalesce(s.key_id, s.id) AS id, s.organization_id, s.user_id, k.project_id, \
             coalesce(k.kind, 'pat') AS kind, coalesce(k.name, 'session') AS name, k.scopes, coalesce(k.role, s.role) AS role, \
             coalesce(k.metadata, '{}') AS metadata, coalesce(k.expires_at, s.key_expires_at) AS expires_at, k.disabled_at, \
             k.revoked_at, CASE WHEN s.key_digest = k.outgoing_digest THEN k.rotates_at END AS outgoing_until, ",
            snapshots::behind!(),
            ", o.name AS organization, u.email \
             FROM sessions s JOIN organizations o ON o.id = s.organization_id ",
            join_key!(),
            " LEFT JOIN memberships m ON m.organization_id = s.organization_id AND m.user_id = s.user_id \
             LEFT JOIN users u ON u.id = s.user_id LEFT JOIN projects p ON p.id = k.project_id WHERE s.digest = ?1 AND ",
            open!()
        ),
        digest.to_hex(),
        now,
        now.plus_ms(-IDLE_MS)
    )
}

/// What is shown of whoever is signed in.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Who {
    /// When he was seen last, up to an hour late.
    pub(crate) last_seen_at: UnixMillis,
    /// The name of his organization.
    pub(crate) organization: Name,
    /// His address.
    pub(crate) email: Option<String>,
    /// The name of the key by which he was signed in.
    pub(crate) key_name: Option<Name>,
}

/// Reads the rows of [`by_digest`].
pub(crate) fn read(seq: Seq, rows: Vec<Row>) -> Result<Option<(Snapshot, Who)>, DatabaseError> {
    let who: Vec<Who> = typed(rows.clone())?;
    Ok(snapshots::read(seq, rows)?.zip(who.into_iter().next()))
}

/// Writes down that a session is in use.
pub(crate) fn record_seen(id: SessionId, now: UnixMillis) -> Statement {
    statement!("UPDATE sessions SET last_seen_at = max(last_seen_at, ?2) WHERE id = ?1", id, now)
}

/// Whose sessions somebody sees: those of his user, or of his key, which has none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose {
    /// The organization.
    pub(crate) organization_id: OrganizationId,
    /// The user.
    pub(crate) user_id: Option<UserId>,
    /// The key.
    pub(crate) key_id: KeyId,
}

/// A page of open sessions, the newest first.
pub(crate) fn list(whose: Whose, limit: i64, now: UnixMillis) -> Statement {
    macro_rules! list {
        ($whose:literal) => {
            concat!(
                "SELECT ",
                columns!(),
                " FROM sessions s ",
                join_key!(),
                " WHERE s.organization_id = ?1 AND ",
                $whose,
                " AND ",
                open!(),
                " ORDER BY s.id DESC LIMIT ?5"
            )
        };
    }
    let idle = now.plus_ms(-IDLE_MS);
    match whose.user_id {
        Some(user_id) => statement!(list!("s.user_id = ?4"), whose.organization_id, now, idle, user_id, limit),
        None => statement!(list!("s.key_id = ?4"), whose.organization_id, now, idle, whose.key_id, limit),
    }
}

/// Reads the rows of [`list`].
pub(crate) fn read_list(rows: Vec<Row>) -> Result<Vec<Session>, DatabaseError> {
    typed(rows)
}

/// Ends a session; gives a row if there was one.
pub(crate) fn end(whose: Whose, id: SessionId) -> Statement {
    statement!(
        "DELETE FROM sessions WHERE id = ?1 AND organization_id = ?2 AND CASE WHEN ?3 IS NULL THEN key_id = ?4 \
         ELSE user_id = ?3 END RETURNING id",
        id,
        whose.organization_id,
        whose.user_id,
        whose.key_id
    )
}

/// Deletes sessions that have expired, at most `limit`; gives one row for each.
pub(crate) fn prune(now: UnixMillis, limit: i64) -> Statement {
    statement!(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2) \
         RETURNING id",
        now,
        limit
    )
}

/// Deletes links that have expired, at most `limit`; gives one row for each.
pub(crate) fn prune_links(now: UnixMillis, limit: i64) -> Statement {
    statement!(
        "DELETE FROM sign_in_links WHERE digest IN (SELECT digest FROM sign_in_links WHERE expires_at <= ?1 \
         ORDER BY expires_at LIMIT ?2) RETURNING digest",
        now,
        limit
    )
}
