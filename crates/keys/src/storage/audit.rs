//! The audit log: changes and refused attempts, with their actors, times and addresses.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

// The evaluations' use cases know the type by this name.
pub use crate::domain::audit::AuditEvent as Event;

use crate::{
    domain::{
        audit::{Actor, AuditEvent, AuditFilter, AuditRecord, NotedEvent, ORGANIZATION_UPDATED, REFUSED, Retention},
        id::OrganizationId,
        page::Page,
    },
    ports::Statement,
    statement,
    storage::{Conditions, batch::Query, typed},
};

/// The instant until which an event is kept: by the organization's retention, else by the deployment's,
/// `:retention_ms`, and for `:least_retention_ms` at least. Both arguments are SQL.
pub fn keep_until(organization_id: &str, at: &str) -> String {
    format!("{at} + {}", term(organization_id))
}

fn term(organization_id: &str) -> String {
    format!(
        "max(:least_retention_ms, coalesce((SELECT audit_retention_days FROM organizations \
         WHERE organizations.id = {organization_id}) * 86400000, :retention_ms))"
    )
}

/// The instant like [`keep_until`], but no sooner than the newest event before it was kept: an event that shortens the
/// retention is kept by the longer one.
fn keep_until_by_longer(organization_id: &str, at: &str) -> String {
    format!(
        "{at} + max({}, coalesce((SELECT earlier.keep_until - earlier.at FROM audit_events AS earlier \
         WHERE earlier.organization_id = {organization_id} ORDER BY earlier.at DESC LIMIT 1), 0))",
        term(organization_id)
    )
}

/// The audit logs that receive an event: that of its organization, and that of the operator, if a key of theirs acts in
/// another organization. There it is the operator's act; here it says where it was done.
pub fn trails(actor: &Actor, organization_id: OrganizationId, details: &Value) -> Value {
    let from = actor.organization_id.filter(|own| *own != organization_id);
    let by_operator = actor.key_id.is_none() || from.is_some();
    let kind = if by_operator { "operator" } else { "key" };
    let mut trails = vec![json!({ "organization_id": organization_id, "kind": kind, "details": details })];
    if let Some(own) = from {
        let mut details = details.clone();
        if let Value::Object(details) = &mut details {
            details.insert("organization_id".to_owned(), json!(organization_id));
        }
        trails.push(json!({ "organization_id": own, "kind": "key", "details": details }));
    }
    trails.into()
}

/// Writes an event.
pub fn record(actor: &Actor, event: &AuditEvent, retention: Retention) -> Statement {
    insert("", actor, event, retention)
}

/// Writes an event if the statement before it in the batch has changed a row, so that only real changes are
/// recorded.
pub fn record_if_changed(actor: &Actor, event: &AuditEvent, retention: Retention) -> Statement {
    insert(" WHERE changes() > 0", actor, event, retention)
}

/// Writes noted events.
pub fn record_noted(events: &[NotedEvent], retention: Retention) -> Statement {
    let noted: Value = events.iter().map(noted_json).collect();
    let sql = format!(
        "INSERT INTO audit_events (organization_id, subject, action, actor_kind, \
         actor_id, actor_user_id, actor_session_id, ip, request_id, details, refusal, at, keep_until) \
         SELECT value ->> '$.organization_id', value ->> '$.subject', value ->> '$.action', \
         iif(value ->> '$.actor_id' IS NULL, 'system', 'key'), \
         value ->> '$.actor_id', value ->> '$.actor_user_id', value ->> '$.actor_session_id', value ->> '$.ip', \
         value ->> '$.request_id', value -> '$.details', value ->> '$.refusal', value ->> '$.at', {} \
         FROM json_each(:noted) AS noted",
        keep_until("value ->> '$.organization_id'", "(value ->> '$.at')")
    );
    statement!(sql, noted, retention_ms: retention.default_ms, least_retention_ms: retention.least_ms)
}

/// A noted event, as [`record_noted`] reads it.
fn noted_json(noted: &NotedEvent) -> Value {
    let NotedEvent { actor, event, refusal } = noted;
    json!({
        "organization_id": event.organization_id,
        "subject": event.subject,
        "action": event.action,
        "actor_id": actor.key_id,
        "actor_user_id": actor.user_id,
        "actor_session_id": actor.session_id,
        "ip": actor.ip,
        "request_id": actor.request_id,
        "details": event.details,
        "refusal": refusal,
        "at": event.at,
    })
}

/// Writes an event under a condition.
fn insert(condition: &str, actor: &Actor, event: &AuditEvent, retention: Retention) -> Statement {
    let until = if event.action == ORGANIZATION_UPDATED { keep_until_by_longer } else { keep_until };
    let sql = format!(
        "INSERT INTO audit_events (organization_id, subject, action, actor_kind, \
         actor_id, actor_user_id, actor_session_id, ip, request_id, details, at, keep_until) \
         SELECT value ->> '$.organization_id', :subject, :action, value ->> '$.kind', \
         :actor_id, :actor_user_id, :actor_session_id, :ip, :request_id, value -> '$.details', :at, {} \
         FROM json_each(:trails) AS trails{condition}",
        until("value ->> '$.organization_id'", ":at")
    );
    statement!(
        sql,
        trails: trails(actor, event.organization_id, &event.details),
        subject: event.subject,
        action: event.action,
        actor_id: actor.key_id,
        actor_user_id: actor.user_id,
        actor_session_id: actor.session_id,
        ip: actor.ip,
        request_id: actor.request_id,
        at: event.at,
        retention_ms: retention.default_ms,
        least_retention_ms: retention.least_ms
    )
}

/// An organization's events, newest first, starting after event `after` if it is present. If that event no longer
/// exists, there are none.
pub fn list(
    organization_id: OrganizationId,
    filter: &AuditFilter,
    after: Option<i64>,
    limit: i64,
) -> Query<Page<AuditRecord>> {
    let (conditions, sql) = select(organization_id, filter, after, limit);
    Query::page(conditions.statement(&sql), limit, &["details"])
}

/// The names, by id, of the organization's keys, people, teams and projects in the events of the same [`list`]. A
/// person's name is their address.
pub fn names(
    organization_id: OrganizationId,
    filter: &AuditFilter,
    after: Option<i64>,
    limit: i64,
) -> Query<HashMap<String, String>> {
    #[derive(Deserialize)]
    struct NameRow {
        id: String,
        name: String,
    }
    let (conditions, list) = select(organization_id, filter, after, limit);
    let sql = format!(
        "WITH listed AS MATERIALIZED ({list}), listed_ids AS MATERIALIZED (SELECT subject AS id FROM listed \
         UNION SELECT actor_id FROM listed UNION SELECT actor_user_id FROM listed \
         UNION SELECT value FROM listed, json_each(details) WHERE type = 'text') \
         SELECT id, name FROM keys WHERE organization_id = :organization_id AND id IN (SELECT id FROM listed_ids) \
         UNION ALL SELECT user_id, email FROM memberships JOIN users ON users.id = user_id \
         WHERE organization_id = :organization_id AND user_id IN (SELECT id FROM listed_ids) \
         UNION ALL SELECT id, name FROM teams \
         WHERE organization_id = :organization_id AND id IN (SELECT id FROM listed_ids) \
         UNION ALL SELECT id, name FROM projects \
         WHERE organization_id = :organization_id AND id IN (SELECT id FROM listed_ids)"
    );
    Query::new(conditions.statement(&sql), |rows| {
        Ok(typed::<NameRow>(rows)?.into_iter().map(|row| (row.id, row.name)).collect())
    })
}

/// The SQL of a list. Only the conditions of the filter are included, so that each can use its own index. A `+`
/// keeps SQLite from preferring one index to another that finds fewer rows.
fn select(
    organization_id: OrganizationId,
    filter: &AuditFilter,
    after: Option<i64>,
    limit: i64,
) -> (Conditions, String) {
    let mut conditions = Conditions::new("organization_id = :organization_id", "organization_id", organization_id);
    conditions.and_if("subject = :subject", "subject", filter.subject.as_ref());
    conditions.and_if("actor_id = :actor_id", "actor_id", filter.actor_id);
    conditions.and_if("actor_user_id = :actor_user_id", "actor_user_id", filter.user_id);
    let plus = if filter.subject.is_some() || filter.actor_id.is_some() || filter.user_id.is_some() { "+" } else { "" };
    conditions.and_if(&format!("{plus}action = :action"), "action", filter.action.as_ref());
    // Every refused attempt has this action, and so an index.
    let refused = match filter.refused {
        Some(false) => "action <> :refused".to_owned(),
        _ => format!("{plus}action = :refused"),
    };
    conditions.and_if(&refused, "refused", filter.refused.map(|_| REFUSED));
    conditions.and_if("at >= :since", "since", filter.since);
    conditions.and_if(if after.is_some() { "+at < :until" } else { "at < :until" }, "until", filter.until);
    let behind = "(at, audit_events.id) < (SELECT at, id FROM audit_events \
                  WHERE organization_id = :organization_id AND number = :after)";
    conditions.and_if(behind, "after", after);
    conditions.with("limit", limit + 1);
    let sql = format!(
        "SELECT number AS id, subject, action, actor_kind, actor_id, actor_user_id, actor_session_id, ip, request_id, details, \
         refusal, at FROM audit_events WHERE {} ORDER BY at DESC, audit_events.id DESC LIMIT :limit",
        conditions.sql()
    );
    (conditions, sql)
}
