//! The audit log: the events that are written, as they are read back, and the filter of a list.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{
    id::{KeyId, OrganizationId, SessionId, UserId},
    json,
    time::UnixMillis,
};

/// The action of every attempt that was refused.
pub const REFUSED: &str = "refused";

/// The one who acts, and the request in which they do.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The key that acts; `None`: the operator.
    pub key_id: Option<KeyId>,
    /// The user as whom it acts.
    pub user_id: Option<UserId>,
    /// The session on the settings pages in which it acts.
    pub session_id: Option<SessionId>,
    /// The request.
    pub request_id: String,
    /// The address that the platform saw.
    pub ip: Option<String>,
}

/// A change of a key, a project, an organization, or anything else that has an id.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    /// The organization in whose audit log it stands.
    pub organization_id: OrganizationId,
    /// The id of what was changed.
    pub subject: String,
    /// The kind of change: `key.created`.
    pub action: &'static str,
    /// The new values; never a secret.
    pub details: Value,
    /// The instant of the change.
    pub at: UnixMillis,
}

impl AuditEvent {
    /// An event about what has this id.
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

/// An event as it is read back.
#[derive(Debug, Clone, Deserialize)]
pub struct AuditRecord {
    /// Its number: what is written later has a higher one.
    pub id: i64,
    /// The id of what was changed.
    pub subject: String,
    /// The kind of change.
    pub action: String,
    /// `key`, `operator` or `system`.
    pub actor_kind: String,
    /// The key that acted.
    pub actor_id: Option<String>,
    /// The user as whom it acted.
    pub actor_user_id: Option<String>,
    /// The session on the settings pages in which it acted.
    pub actor_session_id: Option<String>,
    /// The address that the platform saw.
    pub ip: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// The new values.
    #[serde(deserialize_with = "json::text")]
    pub details: Map<String, Value>,
    /// The code with which an attempt was refused.
    pub refusal: Option<String>,
    /// The instant of the change.
    pub at: UnixMillis,
}

/// The events that a list shows; `None` asks nothing.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// The kind of change.
    pub action: Option<String>,
    /// The id of what was changed.
    pub subject: Option<String>,
    /// The key that acted.
    pub actor_id: Option<KeyId>,
    /// The user as whom it acted.
    pub user_id: Option<UserId>,
    /// The first instant.
    pub since: Option<UnixMillis>,
    /// The first instant that is left out.
    pub until: Option<UnixMillis>,
    /// Whether attempts that were refused, or what was done; `None`: both.
    pub refused: Option<bool>,
}
