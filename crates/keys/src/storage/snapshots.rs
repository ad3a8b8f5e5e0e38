//! The snapshot of a key: read from the database by its digest, and its format in KV.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    domain::{
        cache_seal::CacheSeal,
        conditions::Conditions,
        id::{BoundTo, KeyId, OrganizationId, ProjectId, Seq, SessionId, UserId},
        key::{Life, Name, Role},
        key_text::{Digest, KeyKind},
        organization::{Policy, Subscription},
        scope::Scopes,
        snapshot::Snapshot,
        standing::Standing,
        time::UnixMillis,
    },
    statement,
    storage::{batch::Query, json_text, json_text_or_null},
};

/// The columns behind a snapshot: those of its organization `o`, its membership `m` and its project `p`.
pub const STANDING_COLUMNS: &str = "o.operator, o.suspended_at, o.default_expiry_days, o.longest_expiry_days, \
    o.max_keys_per_user, o.subscription, m.role AS user_role, p.deleted_at AS project_deleted_at";

/// A key, with the columns behind its snapshot.
#[derive(Deserialize)]
pub struct SnapshotRow {
    session_id: Option<SessionId>,
    session_parent_id: Option<KeyId>,
    id: KeyId,
    organization_id: OrganizationId,
    user_id: Option<UserId>,
    project_id: Option<ProjectId>,
    bound_to: Option<BoundTo>,
    kind: KeyKind,
    name: Name,
    #[serde(deserialize_with = "json_text_or_null")]
    scopes: Scopes,
    #[serde(deserialize_with = "json_text_or_null")]
    conditions: Option<Conditions>,
    role: Role,
    #[serde(deserialize_with = "json_text")]
    metadata: Map<String, Value>,
    #[serde(deserialize_with = "json_text")]
    operator_metadata: Map<String, Value>,
    expires_at: Option<UnixMillis>,
    disabled_at: Option<UnixMillis>,
    revoked_at: Option<UnixMillis>,
    outgoing_until: Option<UnixMillis>,
    operator: i64,
    default_expiry_days: Option<i64>,
    longest_expiry_days: Option<i64>,
    max_keys_per_user: Option<i64>,
    subscription: Subscription,
    suspended_at: Option<UnixMillis>,
    user_role: Option<Role>,
    project_deleted_at: Option<UnixMillis>,
}

impl SnapshotRow {
    /// The snapshot, which was read at `seq`.
    pub fn at(self, seq: Seq) -> Snapshot {
        let standing = if self.suspended_at.is_some() {
            Standing::OrganizationSuspended
        } else if self.user_id.is_some() && self.user_role.is_none() {
            Standing::UserRemoved
        } else if self.project_deleted_at.is_some() {
            Standing::ProjectDeleted
        } else {
            Standing::Good
        };
        Snapshot {
            seq,
            session_id: self.session_id,
            session_parent_id: self.session_parent_id,
            key_id: self.id,
            organization_id: self.organization_id,
            operator: self.operator == 1,
            policy: Policy {
                default_expiry_days: self.default_expiry_days,
                longest_expiry_days: self.longest_expiry_days,
                max_keys_per_user: self.max_keys_per_user,
            },
            subscription: self.subscription,
            user_id: self.user_id,
            project_id: self.project_id,
            bound_to: self.bound_to,
            kind: self.kind,
            name: self.name,
            scopes: self.scopes,
            conditions: self.conditions.unwrap_or_default(),
            role: self.user_role.map_or(self.role, |user_role| user_role.min(self.role)),
            metadata: self.metadata,
            operator_metadata: self.operator_metadata,
            life: Life { expires_at: self.expires_at, disabled_at: self.disabled_at, revoked_at: self.revoked_at },
            outgoing_until: self.outgoing_until,
            standing,
        }
    }
}

/// One of the digests that a secret may have. There are at most three: under the current pepper, under the previous
/// one, and without.
pub fn candidate(candidates: &[Digest], index: usize) -> Option<Digest> {
    candidates.get(index).copied()
}

/// The start of a query for keys, up to their scopes.
const SELECT: &str = "SELECT k.id, k.organization_id, k.user_id, k.project_id, k.bound_to, k.kind, k.name, k.scopes, \
    k.conditions, k.role, k.metadata, k.operator_metadata, k.expires_at, k.disabled_at, k.revoked_at";

/// The tables of a query for keys.
const TABLES: &str = "FROM keys k JOIN organizations o ON o.id = k.organization_id \
    LEFT JOIN memberships m ON m.organization_id = k.organization_id AND m.user_id = k.user_id \
    LEFT JOIN projects p ON p.id = k.project_id";

/// The key that has or had a secret with one of these digests, with the columns behind its snapshot. A secret that is
/// neither the newest nor the outgoing one has ended; the instant does not matter, and is 0. It belongs into one batch with [`crate::storage::changes::since`], whose head is the snapshot's `seq`.
pub fn by_digest(candidates: &[Digest]) -> Query<Option<SnapshotRow>> {
    let sql = format!(
        "{SELECT}, CASE WHEN k.digest IN (:first, :second, :third) THEN NULL \
         WHEN k.outgoing_digest IN (:first, :second, :third) THEN k.rotates_at ELSE 0 END AS outgoing_until, \
         {STANDING_COLUMNS} {TABLES} \
         WHERE k.digest IN (:first, :second, :third) OR k.outgoing_digest IN (:first, :second, :third) \
         OR k.id = (SELECT key_id FROM ended_secrets WHERE digest IN (:first, :second, :third))"
    );
    Query::first(statement!(
        sql,
        first: candidate(candidates, 0),
        second: candidate(candidates, 1),
        third: candidate(candidates, 2)
    ))
}

/// A key by its id, with the columns behind the snapshot of its newest secret.
pub fn by_id(id: KeyId) -> Query<Option<SnapshotRow>> {
    Query::first(statement!(
        format!("{SELECT}, NULL AS outgoing_until, {STANDING_COLUMNS} {TABLES} WHERE k.id = :id"),
        id
    ))
}

/// The time for which KV keeps a snapshot, in seconds. It does not decide whether a snapshot may be used; the feed
/// does. It only keeps KV from filling with unused keys.
pub const CACHE_TTL_SECONDS: u64 = 24 * 60 * 60;

/// Writes the value for KV.
pub fn to_cache(seal: &CacheSeal, digest: Digest, snapshot: &Snapshot) -> Option<String> {
    Some(seal.seal(digest, &serde_json::to_string(snapshot).ok()?))
}

/// Reads a value from KV; `None` if this deployment did not write it for this digest.
pub fn from_cache(seal: &CacheSeal, digest: Digest, value: &str) -> Option<Snapshot> {
    serde_json::from_str(seal.open(digest, value)?).ok()
}
