//! The statements that end leaked keys: each acts for all keys of a report at once.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    domain::{audit::Retention, key_text::Digest, time::UnixMillis},
    ports::Statement,
    statement,
    storage::{audit::keep_until, batch::Query, keys::NO_ROTATION, typed},
};

/// The interval in which a leak that changes nothing is recorded once, in milliseconds: however often somebody reports
/// it, the audit log does not fill.
const RECORDED_MS: i64 = 24 * 60 * 60 * 1000;

/// The keys with a reported secret in this column, and their organizations. Each part of a report has its digests.
fn reported(column: &str) -> String {
    format!(
        "FROM json_each(:reported) AS report CROSS JOIN json_each(report.value, '$.digests') AS digest \
         CROSS JOIN keys ON {column} = digest.value CROSS JOIN organizations ON organizations.id = organization_id"
    )
}

/// Writes the event of each leaked key that is not revoked: the response, where the secret was found, and by whom.
/// The statements must stand before those that end the keys.
pub fn record(
    reported_secrets: &Value,
    source: &str,
    client: (Option<&str>, &str),
    now: UnixMillis,
    retention: Retention,
) -> [Statement; 2] {
    let (ip, request_id) = client;
    let since = now.plus_ms(-RECORDED_MS);
    [("digest", "false"), ("outgoing_digest", "true")].map(|(column, outgoing)| {
        let sql = format!(
            "INSERT INTO audit_events \
             (organization_id, subject, action, actor_kind, ip, request_id, details, at, keep_until) \
             SELECT organization_id, keys.id, 'key.leaked', 'system', :ip, :request_id, \
             json_object('source', :source, 'response', on_leak, 'outgoing', json('{outgoing}'), \
             'url', json_extract(report.value, '$.url')), :now, {} {} WHERE revoked_at IS NULL \
             AND (on_leak = 'revoke' OR {outgoing} AND on_leak <> 'notify' \
             OR on_leak = 'disable' AND disabled_at IS NULL OR NOT EXISTS (SELECT 1 FROM audit_events AS earlier \
             WHERE earlier.organization_id = organizations.id AND earlier.subject = keys.id \
             AND +earlier.action = 'key.leaked' AND earlier.at > :since))",
            keep_until("keys.organization_id", ":now"),
            reported(column)
        );
        statement!(sql, reported: reported_secrets, source, ip, request_id, now, since,
            retention_ms: retention.default_ms, least_retention_ms: retention.least_ms)
    })
}

/// Ends the keys whose secret was reported, as their organizations want it.
pub fn end(reported_secrets: &Value, now: UnixMillis) -> [Statement; 3] {
    let update = |set: &str, column: &str, condition: &str| {
        let sql = format!(
            "UPDATE keys SET {set} updated_at = max(:now, updated_at + 1) WHERE revoked_at IS NULL \
             AND id IN (SELECT keys.id {} WHERE {condition})",
            reported(column)
        );
        statement!(sql, reported: reported_secrets, now)
    };
    [
        update("revoked_at = :now,", "digest", "on_leak = 'revoke'"),
        update("disabled_at = :now,", "digest", "on_leak = 'disable' AND disabled_at IS NULL"),
        // The key has a new secret, which was not reported.
        update(NO_ROTATION, "outgoing_digest", "on_leak <> 'notify'"),
    ]
}

#[derive(Deserialize)]
struct DigestRow {
    digest: String,
}

/// Returns the digests among these that belong to a key, or did.
pub fn known(digests: &[Digest]) -> Query<Vec<String>> {
    let digests: Value = digests.iter().map(|digest| digest.to_hex()).collect();
    let sql = "SELECT value AS digest FROM json_each(:digests) WHERE EXISTS (SELECT 1 FROM keys WHERE digest = value) \
               OR EXISTS (SELECT 1 FROM keys WHERE outgoing_digest = value) \
               OR EXISTS (SELECT 1 FROM ended_secrets WHERE ended_secrets.digest = value)";
    Query::new(statement!(sql, digests), |rows| {
        Ok(typed::<DigestRow>(rows)?.into_iter().map(|row| row.digest).collect())
    })
}
