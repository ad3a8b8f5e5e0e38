//! The audit log: events as they are written, events as they are read back, and the filter of a list.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{
    id::{KeyId, OrganizationId, SessionId, UserId},
    json,
    time::{DAY_MS, UnixMillis},
};

/// The action of every refused attempt.
pub const REFUSED: &str = "refused";

/// The action of every change of an organization.
pub const ORGANIZATION_UPDATED: &str = "organization.updated";

/// The operator's rules for the retention of events, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The retention in organizations that have not chosen one.
    pub default_ms: i64,
    /// The least retention, whatever an organization chooses.
    pub least_ms: i64,
}

impl Retention {
    /// The least retention in days.
    pub fn least_days(self) -> i64 {
        self.least_ms / DAY_MS
    }
}

/// The actor of an event, and the request that carried it out.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The organization of a key, which is another than the event's if the operator acts there; `None` for an actor that
    /// can act in one organization alone.
    pub organization_id: Option<OrganizationId>,
    /// The acting key; `None` for the operator.
    pub key_id: Option<KeyId>,
    /// The user that the key acts as.
    pub user_id: Option<UserId>,
    /// The session on the settings pages.
    pub session_id: Option<SessionId>,
    /// The id of the request.
    pub request_id: String,
    /// The client's address, as the platform reports it.
    pub ip: Option<String>,
}

/// A change of a key, a project, an organization, or anything else that has an id.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    /// The organization whose audit log receives the event.
    pub organization_id: OrganizationId,
    /// The id of the changed resource.
    pub subject: String,
    /// The kind of change, such as `key.created`.
    pub action: &'static str,
    /// The new values; never a secret.
    pub details: Value,
    /// The instant of the change.
    pub at: UnixMillis,
}

impl AuditEvent {
    /// Creates an event about the resource with this id.
    pub fn new(
        organization_id: OrganizationId,
        subject: impl fmt::Display,
        action: &'static str,
        details: Value,
        at: UnixMillis,
    ) -> Self {
        Self { organization_id, subject: subject.to_string(), action, details, at }
    }
}

/// An event that is written behind an answer: an attempt, a use or a read.
#[derive(Debug, Clone)]
pub struct NotedEvent {
    /// The actor.
    pub actor: Actor,
    /// The event.
    pub event: AuditEvent,
    /// The error code, if something was refused.
    pub refusal: Option<&'static str>,
}

impl NotedEvent {
    /// The same event, with the number of those like it that are not written.
    #[must_use]
    pub fn omitting(mut self, count: i64) -> Self {
        if let Value::Object(details) = &mut self.event.details
            && count > 0
        {
            details.insert("omitted".to_owned(), count.into());
        }
        self
    }
}

/// An event, as it is read back.
#[derive(Debug, Clone, Deserialize)]
pub struct AuditRecord {
    /// The event's number in its organization. The numbers have no gaps.
    pub id: i64,
    /// The id of the changed resource.
    pub subject: String,
    /// The kind of change.
    pub action: String,
    /// `key`, `operator` or `system`.
    pub actor_kind: String,
    /// The acting key.
    pub actor_id: Option<String>,
    /// The user that the key acted as.
    pub actor_user_id: Option<String>,
    /// The session on the settings pages.
    pub actor_session_id: Option<String>,
    /// The client's address, as the platform reported it.
    pub ip: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The new values.
    #[serde(deserialize_with = "json::text")]
    pub details: Map<String, Value>,
    /// The error code of a refused attempt.
    pub refusal: Option<String>,
    /// The instant of the change.
    pub at: UnixMillis,
}

/// The filter of a list of events; `None` filters nothing.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// The kind of change.
    pub action: Option<String>,
    /// The id of the changed resource.
    pub subject: Option<String>,
    /// The acting key.
    pub actor_id: Option<KeyId>,
    /// The user that the key acted as.
    pub user_id: Option<UserId>,
    /// The first instant, inclusive.
    pub since: Option<UnixMillis>,
    /// The last instant, exclusive.
    pub until: Option<UnixMillis>,
    /// `true` for refused attempts only, `false` for changes only, `None` for both.
    pub refused: Option<bool>,
}
