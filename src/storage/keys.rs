//! The `keys` table: making, reading, listing, changing, revoking, and recording expiry.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    domain::{
        id::{KeyId, OrganizationId, UserId},
        key::{Key, KeyKind, KeyState, Life, Name, Role},
        key_text::{Digest, Preview},
        scope::Scopes,
        time::UnixMillis,
    },
    ports::{DatabaseError, Param, Row, Statement},
    storage::{ToParam, json_text, json_text_or_null, statement, typed},
};

/// The columns of a [`Key`].
macro_rules! columns {
    () => {
        "id, organization_id, user_id, kind, stem, start, last4, name, scopes, role, metadata, \
         expires_at, disabled_at, revoked_at, created_at, created_by, updated_at"
    };
}

/// Whose keys somebody may see and manage: all of an organization, or one user's in it.
/// Every statement here that reads or changes keys for somebody takes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// The organization.
    pub(crate) organization_id: OrganizationId,
    /// Only this user's.
    pub(crate) user_id: Option<UserId>,
}

/// A new key's row.
pub(crate) fn insert(key: &Key, digest: Digest, pepper_version: i64) -> Statement {
    statement!(
        "INSERT INTO keys (id, organization_id, user_id, kind, digest, pepper_version, stem, start, last4, name, \
         scopes, role, metadata, expires_at, created_at, created_by, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?15)",
        key.id,
        key.organization_id,
        key.user_id,
        key.kind.as_str(),
        digest.to_hex(),
        pepper_version,
        key.preview.stem,
        key.preview.start,
        key.preview.last4,
        key.name.as_str(),
        scopes_text(&key.scopes),
        key.role.as_str(),
        Value::Object(key.metadata.clone()),
        key.life.expires_at,
        key.created_at,
        key.created_by
    )
}

/// One key within reach.
pub(crate) fn get(reach: Reach, id: KeyId) -> Statement {
    statement!(
        concat!(
            "SELECT ",
            columns!(),
            " FROM keys WHERE id = ?1 AND organization_id = ?2 AND (?3 IS NULL OR user_id = ?3)"
        ),
        id,
        reach.organization_id,
        reach.user_id
    )
}

/// Reads the rows of [`get`], [`list`], [`update`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Key>, DatabaseError> {
    #[derive(Deserialize)]
    struct KeyRow {
        id: KeyId,
        organization_id: OrganizationId,
        user_id: Option<UserId>,
        kind: KeyKind,
        stem: String,
        start: String,
        last4: String,
        name: Name,
        #[serde(deserialize_with = "json_text_or_null")]
        scopes: Scopes,
        role: Role,
        #[serde(deserialize_with = "json_text")]
        metadata: Map<String, Value>,
        #[serde(flatten)]
        life: Life,
        created_at: UnixMillis,
        created_by: Option<KeyId>,
        updated_at: UnixMillis,
    }
    let rows: Vec<KeyRow> = typed(rows)?;
    let key = |row: KeyRow| Key {
        id: row.id,
        organization_id: row.organization_id,
        user_id: row.user_id,
        kind: row.kind,
        name: row.name,
        preview: Preview { stem: row.stem, start: row.start, last4: row.last4 },
        scopes: row.scopes,
        role: row.role,
        metadata: row.metadata,
        life: row.life,
        created_at: row.created_at,
        created_by: row.created_by,
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(key).collect())
}

/// Where a page of a list starts, by key id; ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// With the newest.
    Start,
    /// With the first that is older than this one.
    After(KeyId),
    /// So that it ends with the last that is newer than this one.
    Before(KeyId),
}

/// Which keys to list.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// With exactly this name.
    pub(crate) name: Option<String>,
    /// With one of these ids.
    pub(crate) ids: Option<Vec<KeyId>>,
    /// Of this user.
    pub(crate) user_id: Option<UserId>,
    /// Whose text starts with this.
    pub(crate) prefix: Option<String>,
    /// In which state.
    pub(crate) status: Status,
}

/// Which states to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// All but the revoked.
    Current,
    /// One state.
    Only(KeyState),
    /// All.
    All,
}

/// A page of the keys within reach, the newest first; with [`Cursor::Before`] the oldest first, so
/// that the page is the one that touches the cursor. The conditions are put together from what is
/// asked, so that each combination can use its own index.
pub(crate) fn list(reach: Reach, filter: &Filter, cursor: Cursor, limit: i64, now: UnixMillis) -> Statement {
    let mut sql = concat!("SELECT ", columns!(), " FROM keys WHERE organization_id = ?1").to_owned();
    let mut params = vec![reach.organization_id.to_param()];
    let mut and = |condition: &str, param: Param| {
        params.push(param);
        sql.push_str(" AND ");
        sql.push_str(&condition.replace('?', &format!("?{}", params.len())));
    };
    for user_id in [reach.user_id, filter.user_id].into_iter().flatten() {
        and("user_id = ?", user_id.to_param());
    }
    if let Some(name) = &filter.name {
        and("name = ?", name.to_param());
    }
    if let Some(ids) = &filter.ids {
        let ids: Value = ids.iter().map(KeyId::to_string).collect();
        and("id IN (SELECT value FROM json_each(?))", ids.to_param());
    }
    if let Some(prefix) = &filter.prefix {
        and("start >= ?", prefix.to_param());
        // Texts are ASCII, so nothing that starts with the prefix sorts behind this.
        and("start < ?", format!("{prefix}\u{7f}").to_param());
    }
    match cursor {
        Cursor::Start => {}
        Cursor::After(id) => and("id < ?", id.to_param()),
        Cursor::Before(id) => and("id > ?", id.to_param()),
    }
    match filter.status {
        Status::Only(KeyState::Active) => and("(expires_at IS NULL OR expires_at > ?)", now.to_param()),
        Status::Only(KeyState::Expired) => and("expires_at <= ?", now.to_param()),
        _ => {}
    }
    sql.push_str(match filter.status {
        Status::Current => " AND revoked_at IS NULL",
        Status::Only(KeyState::Active | KeyState::Expired) => " AND revoked_at IS NULL AND disabled_at IS NULL",
        Status::Only(KeyState::Disabled) => " AND revoked_at IS NULL AND disabled_at IS NOT NULL",
        Status::Only(KeyState::Revoked) => " AND revoked_at IS NOT NULL",
        Status::All => "",
    });
    let order = if matches!(cursor, Cursor::Before(_)) { "ASC" } else { "DESC" };
    params.push(limit.to_param());
    Statement { sql: format!("{sql} ORDER BY id {order} LIMIT ?{}", params.len()), params }
}

/// What a change sets; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Change {
    /// The name.
    pub(crate) name: Option<Name>,
    /// The scopes.
    pub(crate) scopes: Option<Scopes>,
    /// The metadata.
    pub(crate) metadata: Option<Map<String, Value>>,
    /// The expiry; `Some(None)`: never.
    pub(crate) expires_at: Option<Option<UnixMillis>>,
    /// Whether it is switched on.
    pub(crate) enabled: Option<bool>,
}

/// Changes a key that is not revoked and was not changed since it was read as `before`. A new expiry
/// has not been recorded by the sweep yet. Gives the key as it is now, or no row.
pub(crate) fn update(reach: Reach, before: &Key, change: &Change, now: UnixMillis) -> Statement {
    statement!(
        concat!(
            "UPDATE keys SET name = coalesce(?5, name), \
             scopes = CASE WHEN ?6 THEN ?7 ELSE scopes END, \
             metadata = coalesce(?8, metadata), \
             expires_at = CASE WHEN ?9 THEN ?10 ELSE expires_at END, \
             expired_at = CASE WHEN ?9 THEN NULL ELSE expired_at END, \
             disabled_at = CASE ?11 WHEN 1 THEN NULL WHEN 0 THEN coalesce(disabled_at, ?4) ELSE disabled_at END, \
             updated_at = max(?4, updated_at + 1) \
             WHERE id = ?1 AND organization_id = ?2 AND (?3 IS NULL OR user_id = ?3) \
             AND revoked_at IS NULL AND updated_at = ?12 RETURNING ",
            columns!()
        ),
        before.id,
        reach.organization_id,
        reach.user_id,
        now,
        change.name.as_ref().map(Name::as_str),
        i64::from(change.scopes.is_some()),
        change.scopes.as_ref().and_then(scopes_text),
        change.metadata.clone().map(Value::Object),
        i64::from(change.expires_at.is_some()),
        change.expires_at.flatten(),
        change.enabled.map(i64::from),
        before.updated_at
    )
}

/// Ends a key for good. Does nothing, and so records nothing, when it is revoked already.
pub(crate) fn revoke(reach: Reach, id: KeyId, now: UnixMillis) -> Statement {
    statement!(
        "UPDATE keys SET revoked_at = ?4, updated_at = max(?4, updated_at + 1) \
         WHERE id = ?1 AND organization_id = ?2 AND (?3 IS NULL OR user_id = ?3) AND revoked_at IS NULL",
        id,
        reach.organization_id,
        reach.user_id,
        now
    )
}

/// The keys whose expiry has passed and is not recorded yet. The order makes both statements of a
/// sweep's batch choose the same keys.
macro_rules! due {
    () => {
        " FROM keys WHERE expires_at <= ?1 AND expires_at IS NOT NULL AND expired_at IS NULL AND revoked_at IS NULL \
         ORDER BY expires_at, id LIMIT ?2"
    };
}

/// Writes an audit event for each of at most `limit` keys that are due. Must stand before
/// [`mark_expired`] in the same batch, which makes them due no more.
pub(crate) fn record_expiry(now: UnixMillis, limit: i64) -> Statement {
    statement!(
        concat!(
            "INSERT INTO audit_events (organization_id, subject, action, actor_kind, details, at) \
             SELECT organization_id, id, 'key.expired', 'system', json_object('expires_at', strftime('%Y-%m-%dT%H:%M:%fZ', expires_at / 1000.0, 'unixepoch')), ?1",
            due!()
        ),
        now,
        limit
    )
}

/// Marks at most `limit` keys that are due as recorded; gives one row for each. No trigger writes to
/// the feed for it: the deadline is in every snapshot and has held since its instant.
pub(crate) fn mark_expired(now: UnixMillis, limit: i64) -> Statement {
    statement!(concat!("UPDATE keys SET expired_at = ?1 WHERE id IN (SELECT id", due!(), ") RETURNING id"), now, limit)
}

/// The scopes as their column holds them: a JSON array, or NULL for full access.
fn scopes_text(scopes: &Scopes) -> Option<String> {
    match scopes {
        Scopes::Full => None,
        Scopes::List(_) => serde_json::to_string(scopes).ok(),
    }
}
