//! The `device_links` table: approved links whose key has not been claimed.

use crate::{
    domain::{
        device_link::DeviceLink,
        grant::Granted,
        key::{Key, NewSecret},
        key_text::Digest,
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{
        batch::Query,
        keys::{COLUMNS, STANDING, read_first},
    },
};

/// The insertion of a link for a key that an earlier statement of the batch has inserted. The last approval of a link
/// counts.
pub fn insert(link: &DeviceLink, _: Granted) -> Statement {
    statement!(
        "INSERT INTO device_links (digest, key_id, key_expires_at, expires_at) \
         SELECT :digest, id, :key_expires_at, :expires_at FROM keys WHERE id = :key_id \
         ON CONFLICT (digest) DO UPDATE SET key_id = excluded.key_id, key_expires_at = excluded.key_expires_at, \
         expires_at = excluded.expires_at",
        digest: link.digest,
        key_id: link.key_id,
        key_expires_at: link.key_expires_at,
        expires_at: link.expires_at
    )
}

/// The condition that a key waits to be claimed with a link: what was changed since the approval does not.
const WAITING: &str = "id = (SELECT key_id FROM device_links WHERE digest = :link AND expires_at > :now) \
    AND updated_at = created_at AND revoked_at IS NULL AND disabled_at IS NULL";

/// The key that waits to be claimed with a link.
pub fn waiting_key(link: Digest, now: UnixMillis) -> Query<Option<Key>> {
    let sql = format!("SELECT {COLUMNS}, {STANDING} AS standing FROM keys WHERE {WAITING}");
    Query::new(statement!(sql, link, now), read_first)
}

/// Gives the key that waits a new secret and its real expiry. Of two simultaneous claims, one returns the key.
pub fn claim(link: Digest, new: &NewSecret, now: UnixMillis) -> Query<Option<Key>> {
    let sql = format!(
        "UPDATE keys SET digest = :digest, pepper_version = :pepper_version, start = :start, last4 = :last4, \
         expires_at = (SELECT key_expires_at FROM device_links WHERE digest = :link), expired_at = NULL, \
         updated_at = max(:now, updated_at + 1) WHERE {WAITING} RETURNING {COLUMNS}, {STANDING} AS standing"
    );
    let statement = statement!(
        sql,
        link,
        digest: new.digest,
        pepper_version: new.pepper_version,
        start: new.preview.start,
        last4: new.preview.last4,
        now
    );
    Query::new(statement, read_first)
}

/// Deletes a link.
pub fn use_up(link: Digest) -> Statement {
    statement!("DELETE FROM device_links WHERE digest = :link", link)
}

/// Deletes expired links, at most `limit`.
pub fn prune(now: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM device_links WHERE digest IN \
               (SELECT digest FROM device_links WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)";
    statement!(sql, now, limit)
}
