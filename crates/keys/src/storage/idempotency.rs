//! The `idempotency_keys` table: repeatable requests, each with the result of the first one.

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

/// The id of the resource that the key `:key_id` created under the Idempotency-Key with the digest `:digest`.
pub const SUBJECT: &str = "(SELECT subject FROM idempotency_keys WHERE key_id = :key_id AND digest = :digest)";

/// Deletes the result under this Idempotency-Key if it dates from `until` or before.
pub fn forget(key_id: KeyId, digest: &str, until: UnixMillis) -> Statement {
    let sql = "DELETE FROM idempotency_keys WHERE key_id = :key_id AND digest = :digest AND created_at <= :until";
    statement!(sql, key_id, digest, until)
}

/// Deletes one result under this Idempotency-Key.
pub fn forget_one(key_id: KeyId, digest: &str, subject: &str) -> Statement {
    let sql = "DELETE FROM idempotency_keys WHERE key_id = :key_id AND digest = :digest AND subject = :subject";
    statement!(sql, key_id, digest, subject)
}

/// Stores the result of the statement before it in the batch, if that has changed a row. It fails, and the whole
/// batch with it, if the Idempotency-Key was used before.
pub fn store_first(
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

/// Deletes results from `until` or before, oldest first, at most `limit`, and returns one row for each.
pub fn prune(until: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM idempotency_keys WHERE (key_id, digest) IN (SELECT key_id, digest FROM idempotency_keys \
               WHERE created_at <= :until ORDER BY created_at LIMIT :limit) RETURNING created_at";
    statement!(sql, until, limit)
}
