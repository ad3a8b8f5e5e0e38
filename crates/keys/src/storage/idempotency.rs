//! The `idempotency_keys` table: which requests may be repeated, and what the first of each made.

use crate::{
    domain::{
        id::KeyId,
        idempotency::{FirstRequest, Nonce, Repeatable},
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::batch::Query,
};

/// The id of what was made under the Idempotency-Key of `:digest` by the key `:key_id`.
pub const SUBJECT: &str = "(SELECT subject FROM idempotency_keys WHERE key_id = :key_id AND digest = :digest)";

/// Forgets what was made under this Idempotency-Key up to `until`.
pub fn forget(key_id: KeyId, digest: &str, until: UnixMillis) -> Statement {
    let sql = "DELETE FROM idempotency_keys WHERE key_id = :key_id AND digest = :digest AND created_at <= :until";
    statement!(sql, key_id, digest, until)
}

/// Forgets that this was made under this Idempotency-Key.
pub fn forget_one(key_id: KeyId, digest: &str, subject: &str) -> Statement {
    let sql = "DELETE FROM idempotency_keys WHERE key_id = :key_id AND digest = :digest AND subject = :subject";
    statement!(sql, key_id, digest, subject)
}

/// Remembers what the statement before it in the batch has made, if that has changed a row. Fails, and
/// the whole batch with it, if the Idempotency-Key was used before.
pub fn remember(
    key_id: KeyId,
    request: &Repeatable,
    nonce: Option<Nonce>,
    subject: &str,
    now: UnixMillis,
) -> Statement {
    statement!(
        "INSERT INTO idempotency_keys (key_id, digest, fingerprint, nonce, subject, created_at) \
         SELECT :key_id, :digest, :fingerprint, :nonce, :subject, :now WHERE changes() > 0",
        key_id,
        digest: request.digest(),
        fingerprint: request.fingerprint(),
        nonce: nonce.map(Nonce::to_hex),
        subject,
        now
    )
}

/// The first request under this Idempotency-Key after `since`.
pub fn first(key_id: KeyId, digest: &str, since: UnixMillis) -> Query<Option<FirstRequest>> {
    let sql = "SELECT fingerprint, nonce, subject FROM idempotency_keys \
               WHERE key_id = :key_id AND digest = :digest AND created_at > :since";
    Query::first(statement!(sql, key_id, digest, since))
}

/// Deletes what was made up to `until`, the oldest first, at most `limit`; gives one row for each.
pub fn prune(until: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM idempotency_keys WHERE (key_id, digest) IN (SELECT key_id, digest FROM idempotency_keys \
               WHERE created_at <= :until ORDER BY created_at LIMIT :limit) RETURNING created_at";
    statement!(sql, until, limit)
}
