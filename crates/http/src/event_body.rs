//! An event of the audit log as it is written: on a page, or on a line.

use bitting_keys::{app::page::Page, domain::audit::AuditRecord};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::message::Rfc3339;

/// Events, each on a line of its own.
pub fn lines(events: Vec<AuditRecord>) -> Vec<u8> {
    let line = |event| [serde_json::to_vec(&EventBody::new(event)).unwrap_or_default(), b"\n".to_vec()];
    events.into_iter().flat_map(line).flatten().collect()
}

/// A page of events.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventPage")]
pub struct EventPageBody {
    /// The events, the newest first.
    events: Vec<EventBody>,
    /// Whether there are more.
    has_more: bool,
}

impl EventPageBody {
    /// A page with each event in its form for the wire.
    pub fn new(page: Page<AuditRecord>) -> Self {
        Self { events: page.items.into_iter().map(EventBody::new).collect(), has_more: page.has_more }
    }
}

/// Something that happened, or that somebody attempted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct EventBody {
    /// Its number: later events have higher ones.
    id: i64,
    /// The id of what it happened to.
    subject: String,
    /// What happened: `key.created`.
    action: String,
    /// Who did it.
    actor: ActorBody,
    /// From where.
    ip: Option<String>,
    /// In which request.
    request_id: Option<String>,
    /// What was set to what.
    details: Map<String, Value>,
    /// The code with which an attempt was refused.
    refusal: Option<String>,
    /// When.
    at: Rfc3339,
}

/// Who did something.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Actor")]
struct ActorBody {
    /// `key`, `session` for one on the settings pages that was not signed in by a key, `operator`, or `system`
    /// for what happens by itself.
    kind: String,
    /// The key, or that session.
    id: Option<String>,
    /// The user as whom it acted.
    user_id: Option<String>,
    /// The session in which it acted, if it acted on the settings pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
}

impl ActorBody {
    fn new(kind: String, id: Option<String>, user_id: Option<String>, session_id: Option<String>) -> Self {
        let kind = if session_id.is_some() && session_id == id { "session".to_owned() } else { kind };
        Self { kind, id, user_id, session_id }
    }
}

impl EventBody {
    fn new(event: AuditRecord) -> Self {
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
