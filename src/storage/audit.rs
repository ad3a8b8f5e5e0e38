//! The audit trail: who did what to which key, when, and from where.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    domain::{
        id::{KeyId, OrganizationId},
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{json_text, statement, typed},
};

/// Who does something, and in which request.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// The key that acts; `None`: the operator.
    pub(crate) key_id: Option<KeyId>,
    /// The request.
    pub(crate) request_id: String,
    /// The address that the platform saw.
    pub(crate) ip: Option<String>,
}

/// What happened to a key, a project or an organization.
#[derive(Debug, Clone)]
pub(crate) struct Event<'a> {
    /// The organization in whose trail it stands.
    pub(crate) organization_id: OrganizationId,
    /// The id of what it happened to.
    pub(crate) subject: String,
    /// What happened: `key.created`.
    pub(crate) action: &'a str,
    /// What was set to what; never a secret.
    pub(crate) details: Value,
    /// When.
    pub(crate) at: UnixMillis,
}

macro_rules! insert {
    () => {
        "INSERT INTO audit_events (organization_id, subject, action, actor_kind, actor_id, ip, request_id, details, at) \
         SELECT ?1, ?2, ?3, CASE WHEN ?4 IS NULL THEN 'operator' ELSE 'key' END, ?4, ?5, ?6, ?7, ?8"
    };
}

/// Writes an event.
pub(crate) fn record(actor: &Actor, event: &Event<'_>) -> Statement {
    insert(insert!(), actor, event)
}

/// Writes an event if the statement before it in the batch has changed a row: what did not happen
/// is not recorded.
pub(crate) fn record_if_changed(actor: &Actor, event: &Event<'_>) -> Statement {
    insert(concat!(insert!(), " WHERE changes() > 0"), actor, event)
}

fn insert(sql: &'static str, actor: &Actor, event: &Event<'_>) -> Statement {
    statement!(
        sql,
        event.organization_id,
        event.subject,
        event.action,
        actor.key_id,
        actor.ip,
        actor.request_id,
        event.details,
        event.at
    )
}

/// An event as it is read back.
#[derive(Debug, Clone, Deserialize)]
pub struct Recorded {
    /// Its number: later events have higher ones.
    pub id: i64,
    /// What happened.
    pub action: String,
    /// `key`, `operator` or `system`.
    pub actor_kind: String,
    /// The key that acted.
    pub actor_id: Option<String>,
    /// From where.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// What was set to what.
    #[serde(deserialize_with = "json_text")]
    pub details: Map<String, Value>,
    /// When.
    pub at: UnixMillis,
}

/// The events of one key, the newest first, those before event `before` if it is given.
pub(crate) fn of_key(organization_id: OrganizationId, key_id: KeyId, before: Option<i64>, limit: i64) -> Statement {
    statement!(
        "SELECT id, action, actor_kind, actor_id, ip, request_id, details, at FROM audit_events \
         WHERE subject = ?1 AND organization_id = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4",
        key_id,
        organization_id,
        before.unwrap_or(i64::from(u32::MAX) << 20),
        limit
    )
}

/// Reads the rows of [`of_key`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Recorded>, DatabaseError> {
    typed(rows)
}

/// Deletes events from before `cutoff`, the oldest first, at most `limit`; gives one row for each.
/// Reads the oldest event alone when even that one is to stay. That condition stands in the bound of
/// `id`, because beside it SQLite would ask it for every row of the table.
pub(crate) fn prune(cutoff: UnixMillis, limit: i64) -> Statement {
    statement!(
        "DELETE FROM audit_events WHERE id IN (SELECT id FROM (SELECT id, at FROM audit_events \
         WHERE id < (SELECT CASE WHEN at < ?1 THEN 9223372036854775807 ELSE 0 END FROM audit_events WHERE id > 0 ORDER BY id LIMIT 1) \
         ORDER BY id LIMIT ?2) WHERE at < ?1) RETURNING id",
        cutoff,
        limit
    )
}
