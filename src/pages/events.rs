//! What happened, as people read it.

use maud::{Markup, html};
use serde_json::Value;

use crate::{app::Principal, domain::time::UnixMillis, pages::time, storage::audit::Recorded};

/// Events of the audit trail, the newest first.
pub(crate) fn list(by: &Principal, events: &[Recorded], now: UnixMillis) -> Markup {
    html! {
        ul.events {
            @for event in events {
                li {
                    strong { (action(event)) } " " (time::relative(event.at, now)) " by " (actor(by, event))
                    @if !event.details.is_empty() {
                        dl.facts {
                            @for (name, value) in &event.details {
                                div { dt { (name.replace('_', " ")) } dd { (detail(name, value)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn action(event: &Recorded) -> String {
    match (event.action.as_str(), &event.refusal) {
        (_, Some(code)) => format!("Refused: {}", code.replace('_', " ")),
        ("key.created", _) => "Created".to_owned(),
        ("key.updated", _) => "Changed".to_owned(),
        ("key.revoked", _) => "Revoked".to_owned(),
        ("key.rotated", _) => "Rotated".to_owned(),
        ("key.rotation_finished", _) => "Rotation finished".to_owned(),
        ("key.rotation_cancelled", _) => "Rotation cancelled".to_owned(),
        (action, _) => action.replace(['.', '_'], " "),
    }
}

fn actor(by: &Principal, event: &Recorded) -> Markup {
    let you = by.snapshot.user_id.map(|id| id.to_string());
    let here = if event.actor_session_id.is_some() { ", on these pages" } else { "" };
    html! {
        @match (event.actor_kind.as_str(), &event.actor_id) {
            (_, _) if you.is_some() && event.actor_user_id == you => { "you" (here) }
            ("key", Some(id)) if event.actor_session_id.as_ref() != Some(id) => {
                a href={ "/settings/keys/" (id) } { "another key" } (here)
            }
            ("key", _) => { "somebody else" (here) }
            ("operator", _) => { "whoever runs this service" }
            _ => { "itself" }
        }
        @if let Some(ip) = &event.ip { ", from " (ip) }
    }
}

/// What was set to what.
fn detail(name: &str, value: &Value) -> Markup {
    let at = value.as_str().filter(|_| name.ends_with("_at")).and_then(UnixMillis::parse);
    html! {
        @match (name, at) {
            (_, Some(at)) => (time::date(at)),
            ("scopes", None) if value.is_null() => "full access",
            ("expires_at", None) if value.is_null() => "never",
            _ => (said(value)),
        }
    }
}

/// A value as a person would say it.
fn said(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(said).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
