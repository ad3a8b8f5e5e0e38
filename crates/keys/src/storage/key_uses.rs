//! The last uses of keys, and the table `key_uses`: the number of uses per key and day.

use serde::Serialize;
use serde_json::Value;

use crate::{
    domain::{
        id::KeyId,
        key_use::{DailyUses, SecretUses},
        time::{DAY_MS, UnixMillis},
    },
    ports::Statement,
    statement,
    storage::batch::Query,
};

/// The number of days in a key's usage, including today.
const DAYS: i64 = 30;

/// Writes uses. They are not part of the change feed.
pub fn record(uses: &[SecretUses]) -> Vec<Statement> {
    // A statement changes a row once, so a key's two secrets need two.
    let (outgoing, newest): (Vec<SecretUses>, Vec<SecretUses>) = uses.iter().cloned().partition(|used| used.outgoing);
    vec![last_uses(&newest), last_uses(&outgoing), daily_uses(uses)]
}

/// Writes the last uses of secrets, at most one per key. They are not part of the change feed.
fn last_uses(uses: &[SecretUses]) -> Statement {
    statement!(
        "UPDATE keys SET \
         last_used_at = CASE WHEN used.outgoing THEN last_used_at ELSE max(coalesce(last_used_at, 0), used.at) END, \
         last_used_from = CASE WHEN used.outgoing OR used.at < last_used_at THEN last_used_from ELSE used.source END, \
         outgoing_last_used_from = CASE WHEN used.outgoing AND rotates_at IS NOT NULL \
         AND used.at >= coalesce(outgoing_last_used_at, 0) THEN used.source ELSE outgoing_last_used_from END, \
         outgoing_last_used_at = CASE WHEN used.outgoing AND rotates_at IS NOT NULL \
         THEN max(coalesce(outgoing_last_used_at, 0), used.at) ELSE outgoing_last_used_at END, \
         outgoing_uses = CASE WHEN used.outgoing AND rotates_at IS NOT NULL \
         THEN outgoing_uses + used.count ELSE outgoing_uses END \
         FROM (SELECT value ->> '$.id' AS id, value ->> '$.outgoing' AS outgoing, value ->> '$.at' AS at, \
         value ->> '$.count' AS count, nullif(value -> '$.from', 'null') AS source \
         FROM json_each(:uses)) AS used WHERE keys.id = used.id",
        uses: json(uses)
    )
}

/// Adds uses to the counts of their days.
fn daily_uses(uses: &[SecretUses]) -> Statement {
    // A key that was deleted by hand must not stop all the others.
    let sql = format!(
        "INSERT INTO key_uses (day, key_id, uses) SELECT (value ->> '$.at') / {DAY_MS}, keys.id, value ->> '$.count' \
         FROM json_each(:uses) JOIN keys ON keys.id = value ->> '$.id' WHERE true \
         ON CONFLICT (day, key_id) DO UPDATE SET uses = uses + excluded.uses"
    );
    statement!(sql, uses: json(uses))
}

/// The day of an instant, counted since 1970 (UTC).
fn day(at: UnixMillis) -> i64 {
    at.0.div_euclid(DAY_MS)
}

/// The JSON array of a list, as a parameter.
fn json(list: &[impl Serialize]) -> Value {
    serde_json::to_value(list).unwrap_or_default()
}

/// The usage of a key on each of the last `DAYS` days, oldest first, including days without any.
pub fn daily(key_id: KeyId, now: UnixMillis) -> Query<Vec<DailyUses>> {
    let today = day(now);
    let days: Vec<i64> = (today - DAYS + 1..=today).collect();
    let sql = format!(
        "SELECT json_each.value * {DAY_MS} AS day, coalesce(uses, 0) AS uses \
         FROM json_each(:days) LEFT JOIN key_uses ON key_uses.day = json_each.value AND key_id = :key_id"
    );
    Query::rows(statement!(sql, key_id, days: json(&days)))
}

/// Deletes days older than a key's usage shows, at most `limit`, and returns one row for each.
pub fn prune(now: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM key_uses WHERE (day, key_id) IN \
               (SELECT day, key_id FROM key_uses WHERE day <= :last_day ORDER BY day, key_id LIMIT :limit) \
               RETURNING 1 AS pruned";
    statement!(sql, last_day: day(now) - DAYS, limit)
}
