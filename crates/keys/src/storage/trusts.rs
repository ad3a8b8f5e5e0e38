//! The `trusts` table, and that of the tokens that were exchanged.

use crate::{
    domain::{
        grant::Granted,
        id::{KeyId, OrganizationId, TrustId},
        key_text::Digest,
        page::Page,
        time::UnixMillis,
        trust::{MAX_LIVE_KEYS, MAX_TRUSTS, Trust},
    },
    ports::Statement,
    statement,
    storage::{batch::Query, idempotency::SUBJECT, json},
};

/// The columns of a [`Trust`].
const COLUMNS: &str = "id, organization_id, name, issuer, audience, claims, project_id, scopes, role, expires_in_seconds, \
    expires_at, created_at, created_by, created_by_user, parent_id";

/// The columns that can be long.
const TEXTS: [&str; 3] = ["name", "claims", "scopes"];

/// The insertion of a new trust. It returns the trust, or no row if its project is not in the organization, or that has
/// [`MAX_TRUSTS`] already.
pub fn insert(trust: &Trust, _: Granted) -> Query<Option<Trust>> {
    let sql = format!(
        "INSERT INTO trusts ({COLUMNS}, linked_by_user) \
         SELECT :id, id, :name, :issuer, :audience, :claims, :project_id, :scopes, :role, :expires_in_seconds, \
         :expires_at, :created_at, :created_by, :created_by_user, :parent_id, \
         (SELECT created_by_user FROM sessions WHERE id = :created_by AND key_id IS NULL) \
         FROM organizations WHERE id = :organization_id \
         AND (:project_id IS NULL OR EXISTS (SELECT 1 FROM projects WHERE id = :project_id \
         AND organization_id = :organization_id AND deleted_at IS NULL)) \
         AND (SELECT count(*) FROM trusts WHERE organization_id = :organization_id) < :most RETURNING {COLUMNS}"
    );
    Query::first(statement!(
        sql,
        id: trust.id,
        organization_id: trust.organization_id,
        name: trust.name,
        issuer: trust.issuer.as_str(),
        audience: trust.audience.as_str(),
        claims: json(&trust.claims),
        project_id: trust.project_id,
        scopes: json(&trust.scopes),
        role: trust.role,
        expires_in_seconds: trust.expires_in_seconds,
        expires_at: trust.expires_at,
        created_at: trust.created_at,
        created_by: trust.created_by,
        created_by_user: trust.created_by_user,
        parent_id: trust.parent_id,
        most: MAX_TRUSTS
    ))
}

/// Returns whether an organization has [`MAX_TRUSTS`].
pub fn are_full(organization_id: OrganizationId) -> Query<bool> {
    let sql = "SELECT 1 FROM trusts WHERE organization_id = :organization_id LIMIT 1 OFFSET :most - 1";
    Query::any(statement!(sql, organization_id, most: MAX_TRUSTS))
}

/// The trust that the caller created under an Idempotency-Key.
pub fn created_by_request(key_id: KeyId, digest: &str) -> Query<Option<Trust>> {
    Query::first(statement!(format!("SELECT {COLUMNS} FROM trusts WHERE id = {SUBJECT}"), key_id, digest))
}

/// A page of an organization's trusts, newest first.
pub fn list(organization_id: OrganizationId, before: Option<TrustId>, limit: i64) -> Query<Page<Trust>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM trusts WHERE organization_id = :organization_id AND id < coalesce(:before, '~') \
         ORDER BY id DESC LIMIT :limit"
    );
    Query::page(statement!(sql, organization_id, before, limit: limit + 1), limit, &TEXTS)
}

/// All trusts of an organization, newest first.
pub fn all(organization_id: OrganizationId) -> Query<Vec<Trust>> {
    let sql =
        format!("SELECT {COLUMNS} FROM trusts WHERE organization_id = :organization_id ORDER BY id DESC LIMIT :most");
    Query::rows(statement!(sql, organization_id, most: MAX_TRUSTS))
}

/// One trust of an organization.
pub fn get(organization_id: OrganizationId, id: TrustId) -> Query<Option<Trust>> {
    let sql = format!("SELECT {COLUMNS} FROM trusts WHERE id = :id AND organization_id = :organization_id");
    Query::first(statement!(sql, id, organization_id))
}

/// The condition that a trust gives keys at `:now`.
const GIVES: &str = "(expires_at IS NULL OR expires_at > :now) AND NOT EXISTS (SELECT 1 FROM organizations \
    WHERE organizations.id = trusts.organization_id AND suspended_at IS NOT NULL)";

/// One trust of any organization that gives keys, for an exchange.
pub fn giving(id: TrustId, now: UnixMillis) -> Query<Option<Trust>> {
    Query::first(statement!(format!("SELECT {COLUMNS} FROM trusts WHERE id = :id AND {GIVES}"), id, now))
}

/// Uses up a token. The key is inserted after it in the same batch, if this has inserted a row: there is none if the token
/// was exchanged before, the trust no longer gives keys, or it has given [`MAX_LIVE_KEYS`] that have not expired.
pub fn use_up(id: TrustId, token: Digest, expires_at: UnixMillis, now: UnixMillis) -> Statement {
    let sql = format!(
        "INSERT INTO exchanged_tokens (digest, expires_at) SELECT :token, :token_expires_at FROM trusts WHERE id = :id \
         AND {GIVES} AND (SELECT count(*) FROM keys WHERE trust_id = :id AND keys.expires_at > :now) < :most \
         ON CONFLICT (digest) DO NOTHING"
    );
    statement!(sql, id, token, token_expires_at: expires_at, now, most: MAX_LIVE_KEYS)
}

/// Deletes trusts that have expired, at most `limit`.
pub fn prune(now: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM trusts WHERE id IN \
               (SELECT id FROM trusts WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)";
    statement!(sql, now, limit)
}

/// Deletes exchanged tokens that have expired, at most `limit`, and returns one row for each.
pub fn prune_tokens(now: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM exchanged_tokens WHERE digest IN \
               (SELECT digest FROM exchanged_tokens WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit) \
               RETURNING digest";
    statement!(sql, now, limit)
}

/// Deletes keys of trusts that expired before `before`, at most `limit`, and returns one row for each.
pub fn prune_keys(before: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM keys WHERE id IN (SELECT id FROM keys WHERE trust_id IS NOT NULL AND expires_at <= :before \
               ORDER BY expires_at LIMIT :limit) RETURNING id";
    statement!(sql, before, limit)
}
