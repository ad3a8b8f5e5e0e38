//! The seals of the audit log, and the events as they are sealed.

use serde::Deserialize;

use crate::{
    domain::{
        audit_seal::{Seal, SealedEvent},
        id::OrganizationId,
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{DATABASE_NOW, batch::Query, json},
};

/// The columns of an event that are sealed.
const SEALED: &str = "id, organization_id, number, subject, action, actor_kind, actor_id, actor_user_id, \
    actor_session_id, ip, request_id, details, refusal, at, keep_until";
/// The columns of a seal.
const COLUMNS: &str =
    "organization_id, first_number, last_number, last_id, events_hash, hash, keep_until, sealed_at, pruned";

/// The oldest events of all organizations that are not sealed yet, at most `limit`.
pub fn unsealed(limit: i64) -> Query<Vec<SealedEvent>> {
    let sql = format!(
        "SELECT {SEALED} FROM audit_events WHERE id > coalesce((SELECT max(last_id) FROM audit_seals), 0) \
         ORDER BY id LIMIT :limit"
    );
    Query::rows(statement!(sql, limit))
}

/// The newest seal of an organization.
#[derive(Debug, Clone, Deserialize)]
pub struct NewestSeal {
    /// The organization.
    pub organization_id: String,
    /// The number of the last event.
    pub last_number: i64,
    /// The hash of the seal.
    pub hash: String,
    /// The time of the seal.
    pub sealed_at: UnixMillis,
}

/// The newest seals of organizations, if they have any.
pub fn newest_of(organization_ids: &[&str]) -> Query<Vec<NewestSeal>> {
    let sql = "SELECT organization_id, last_number, hash, sealed_at FROM json_each(:organization_ids) \
               CROSS JOIN audit_seals ON organization_id = value \
               AND last_number = (SELECT max(last_number) FROM audit_seals WHERE organization_id = value)";
    Query::rows(statement!(sql, organization_ids: json(&organization_ids)))
}

/// Writes seals. If another sweep has written one of them, nothing is written.
pub fn insert(seals: &[Seal]) -> Statement {
    let sql = "INSERT INTO audit_seals \
               (organization_id, first_number, last_number, last_id, events_hash, hash, keep_until, sealed_at) \
               SELECT value ->> '$.organization_id', value ->> '$.first_number', value ->> '$.last_number', \
               value ->> '$.last_id', value ->> '$.events_hash', value ->> '$.hash', value ->> '$.keep_until', \
               value ->> '$.sealed_at' FROM json_each(:seals)";
    statement!(sql, seals: json(&seals))
}

/// A seal, with 1 if its events are pruned.
#[derive(Debug, Clone, Deserialize)]
pub struct SealRow {
    organization_id: String,
    first_number: i64,
    last_number: i64,
    last_id: i64,
    events_hash: String,
    hash: String,
    keep_until: UnixMillis,
    sealed_at: UnixMillis,
    pruned: i64,
}

impl SealRow {
    /// The seal, and whether its events are pruned.
    pub fn read(self) -> (Seal, bool) {
        let seal = Seal {
            organization_id: self.organization_id,
            first_number: self.first_number,
            last_number: self.last_number,
            last_id: self.last_id,
            events_hash: self.events_hash,
            hash: self.hash,
            keep_until: self.keep_until,
            sealed_at: self.sealed_at,
        };
        (seal, self.pruned == 1)
    }
}

/// An organization's seals after the event with this number, in their order, at most `limit`.
pub fn list(organization_id: OrganizationId, after: i64, limit: i64) -> Query<Vec<SealRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_seals WHERE organization_id = :organization_id AND last_number > :after \
         ORDER BY last_number LIMIT :limit"
    );
    Query::rows(statement!(sql, organization_id, after, limit))
}

/// The seal whose last event has this number.
pub fn at(organization_id: OrganizationId, number: i64) -> Query<Option<SealRow>> {
    let sql =
        format!("SELECT {COLUMNS} FROM audit_seals WHERE organization_id = :organization_id AND last_number = :number");
    Query::first(statement!(sql, organization_id, number))
}

/// The newest seal of an organization.
pub fn newest(organization_id: OrganizationId) -> Query<Option<SealRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit_seals WHERE organization_id = :organization_id ORDER BY last_number DESC LIMIT 1"
    );
    Query::first(statement!(sql, organization_id))
}

/// An organization's events with numbers after `after`, up to `last`, at most `limit`, as they are sealed.
pub fn events(organization_id: OrganizationId, after: i64, last: i64, limit: i64) -> Query<Vec<SealedEvent>> {
    let sql = format!(
        "SELECT {SEALED} FROM audit_events WHERE organization_id = :organization_id AND number > :after \
         AND number <= :last ORDER BY number LIMIT :limit"
    );
    Query::rows(statement!(sql, organization_id, after, last, limit))
}

/// Deletes the events of seals whose retention is over, at most `limit`, and returns one row for each. The statement before
/// it notes of which seals all events are gone. The database's own clock decides, as in the trigger that would refuse to delete the others.
pub fn prune(limit: i64) -> [Statement; 2] {
    let due = format!("audit_seals WHERE pruned = 0 AND keep_until <= {DATABASE_NOW}");
    let mark = format!(
        "UPDATE audit_seals SET pruned = 1 WHERE (organization_id, last_number) IN \
         (SELECT organization_id, last_number FROM {due} AND NOT EXISTS (SELECT 1 FROM audit_events \
         WHERE audit_events.organization_id = audit_seals.organization_id \
         AND number BETWEEN first_number AND last_number) ORDER BY keep_until LIMIT :limit)"
    );
    let delete = format!(
        "DELETE FROM audit_events WHERE id IN (SELECT audit_events.id FROM audit_seals CROSS JOIN audit_events \
         ON audit_events.organization_id = audit_seals.organization_id \
         AND audit_events.number BETWEEN audit_seals.first_number AND audit_seals.last_number \
         WHERE audit_seals.pruned = 0 AND audit_seals.keep_until <= {DATABASE_NOW} \
         AND audit_events.keep_until <= {DATABASE_NOW} \
         ORDER BY audit_seals.keep_until LIMIT :limit) RETURNING id"
    );
    [statement!(mark, limit), statement!(delete, limit)]
}
