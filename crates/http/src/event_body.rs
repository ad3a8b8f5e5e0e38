//! Events of the audit log, as a page or as lines.

use bitting_keys::domain::audit::AuditRecord;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{message::Rfc3339, paging::Listed};

/// Writes each event on a line of its own.
pub fn lines(events: Vec<AuditRecord>) -> Vec<u8> {
    let line = |event| [serde_json::to_vec(&EventBody::new(event)).unwrap_or_default(), b"\n".to_vec()];
    events.into_iter().flat_map(line).flatten().collect()
}

/// An event of the audit log: a change, or a refused attempt.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct EventBody {
    /// The number of the event in its organization. Later events have higher numbers, without a gap.
    id: i64,
    /// The id of the key or other resource that was changed.
    subject: String,
    /// The action, such as `key.created`.
    action: String,
    /// The actor.
    actor: ActorBody,
    /// The IP address that the request came from.
    ip: Option<String>,
    /// The id of the request.
    request_id: Option<String>,
    /// The fields that were set, with their new values.
    details: Map<String, Value>,
    /// The error code of a refused attempt; null for a change.
    refusal: Option<String>,
    /// The time of the event.
    at: Rfc3339,
}

/// The actor of an event.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Actor")]
struct ActorBody {
    /// The kind of actor: `key`, `session` for a session on the settings pages without a key, `operator` for the operator
    /// of the service, whose keys can act in all organizations, or `system` for automatic changes.
    kind: String,
    /// The id of the key or the session.
    id: Option<String>,
    /// The id of the user that the actor acted for.
    user_id: Option<String>,
    /// The id of the session, for actions on the settings pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
}

impl ActorBody {
    fn new(kind: String, id: Option<String>, user_id: Option<String>, session_id: Option<String>) -> Self {
        let kind = if session_id.is_some() && session_id == id { "session".to_owned() } else { kind };
        Self { kind, id, user_id, session_id }
    }
}

impl Listed for EventBody {
    fn cursor(&self) -> String {
        self.id.to_string()
    }
}

impl EventBody {
    /// Converts an event.
    pub fn new(event: AuditRecord) -> Self {
        Self {
            id: event.id,
            subject: event.subject,
            action: event.action,
            actor: ActorBody::new(event.actor_kind, event.actor_id, event.actor_user_id, event.actor_session_id),
            ip: event.ip,
            request_id: event.request_id,
            details: event.details,
            refusal: event.refusal,
            at: Rfc3339(event.at),
        }
    }
}
