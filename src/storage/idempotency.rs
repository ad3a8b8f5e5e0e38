//! The `idempotency_keys` table: which requests may be repeated, and what the first of each made.

use serde::Deserialize;

use crate::{
    domain::{
        id::KeyId,
        idempotency::{Nonce, Repeatable},
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{batch::Query, statement, typed},
};

/// The id of what was made under the Idempotency-Key of digest `?2` by the key `?1`.
macro_rules! subject {
    () => {
        "(SELECT subject FROM idempotency_keys WHERE key_id = ?1 AND digest = ?2)"
    };
}
pub(crate) use subject;

/// Forgets what was made under this Idempotency-Key up to `until`.
pub(crate) fn forget(by: KeyId, digest: &str, until: UnixMillis) -> Statement {
    statement!("DELETE FROM idempotency_keys WHERE key_id = ?1 AND digest = ?2 AND created_at <= ?3", by, digest, until)
}

/// Forgets that this was made under this Idempotency-Key.
pub(crate) fn forget_one(by: KeyId, digest: &str, made: &str) -> Statement {
    statement!("DELETE FROM idempotency_keys WHERE key_id = ?1 AND digest = ?2 AND subject = ?3", by, digest, made)
}

/// Remembers what the statement before it in the batch has made, if that has changed a row. Fails, and
/// the whole batch with it, if the Idempotency-Key was used before.
pub(crate) fn remember(
    by: KeyId,
    request: &Repeatable,
    nonce: Option<Nonce>,
    made: &str,
    now: UnixMillis,
) -> Statement {
    statement!(
        "INSERT INTO idempotency_keys (key_id, digest, fingerprint, nonce, subject, created_at) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE changes() > 0",
        by,
        request.digest(),
        request.fingerprint(),
        nonce.map(Nonce::to_hex),
        made,
        now
    )
}

/// What was made first under an Idempotency-Key.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct First {
    /// Of the request that made it.
    pub(crate) fingerprint: String,
    /// What its secret was derived with, if it has one; see [`Nonce::parse`].
    pub(crate) nonce: Option<String>,
    /// Its id.
    pub(crate) subject: String,
}

/// What was made under this Idempotency-Key after `since`.
pub(crate) fn get(by: KeyId, digest: &str, since: UnixMillis) -> Statement {
    statement!(
        "SELECT fingerprint, nonce, subject FROM idempotency_keys WHERE key_id = ?1 AND digest = ?2 AND created_at > ?3",
        by,
        digest,
        since
    )
}

/// What was made under this Idempotency-Key after `since`.
pub(crate) fn first(key_id: KeyId, digest: &str, since: UnixMillis) -> Query<Option<First>> {
    Query::first(get(key_id, digest, since))
}

/// Reads the rows of [`get`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Option<First>, DatabaseError> {
    Ok(typed(rows)?.pop())
}

/// Deletes what was made up to `until`, the oldest first, at most `limit`; gives one row for each.
pub(crate) fn prune(until: UnixMillis, limit: i64) -> Statement {
    statement!(
        "DELETE FROM idempotency_keys WHERE (key_id, digest) IN (SELECT key_id, digest FROM idempotency_keys \
         WHERE created_at <= ?1 ORDER BY created_at LIMIT ?2) RETURNING created_at",
        until,
        limit
    )
}
