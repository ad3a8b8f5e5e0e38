//! The audit log: who did what, filtered, page by page, and as a file.

use std::collections::HashMap;

use bitting_http::{
    call::Call,
    event_body::lines,
    message::{NDJSON, Response},
    problem::Problem,
};
use bitting_keys::{
    app::{
        audit::{AuditLog, AuditPage},
        sessions::SignedIn,
    },
    domain::{
        audit::{AuditFilter, AuditRecord},
        id::{KeyId, UserId},
        time::{DAY_MS, UnixMillis},
    },
};
use futures_util::TryStreamExt;
use maud::{Markup, html};
use serde_json::Value;

use crate::{
    field::{Field, Mistakes},
    form::query,
    layout::{Page, further, words},
    needs::{MEMBERS_READ, may},
    time,
};

/// The path of the page.
pub(crate) const AUDIT: &str = "/settings/audit";
/// The number of events on a page.
const LIMIT: i64 = 50;

/// The actions that the filter offers. A test looks for each action that is written.
const ACTIONS: &[&str] = &[
    "audit_log.exported",
    "audit_log.read",
    "dataset.created",
    "dataset.deleted",
    "dataset.exported",
    "dataset.shared",
    "dataset.unshared",
    "evaluation.created",
    "evaluation.deleted",
    "evaluation.shared",
    "evaluation.unshared",
    "invitation.created",
    "invitation.revoked",
    "key.claimed",
    "key.created",
    "key.exchanged",
    "key.expired",
    "key.leaked",
    "key.revoked",
    "key.rotated",
    "key.rotation_cancelled",
    "key.rotation_finished",
    "key.updated",
    "live_evaluation.activated",
    "live_evaluation.deactivated",
    "live_evaluation.deployed",
    "live_evaluation.shared",
    "live_evaluation.unshared",
    "live_evaluation.updated",
    "member.joined",
    "member.removed",
    "member.updated",
    "organization.created",
    "organization.updated",
    "project.created",
    "project.deleted",
    "project.updated",
    "session.created",
    "session.ended",
    "sign_in_link.created",
    "sign_in_link.revoked",
    "team.created",
    "team.deleted",
    "team.member_added",
    "team.member_removed",
    "team.updated",
    "trust.created",
    "trust.deleted",
];

/// The filter, as the address has it.
struct Asked {
    action: String,
    key: String,
    person: String,
    subject: String,
    since: String,
    until: String,
    refused: bool,
}

impl Asked {
    fn read(call: &Call<'_>) -> Self {
        let typed = |name| query(call.request, name).trim().to_owned();
        Self {
            action: typed("action"),
            key: typed("key"),
            person: typed("person"),
            subject: typed("subject"),
            since: typed("since"),
            until: typed("until"),
            refused: typed("refused") == "yes",
        }
    }

    /// The same for the database. What cannot be read finds nothing, so it is told.
    fn filter(&self) -> (AuditFilter, Mistakes) {
        let mut mistakes = Mistakes::default();
        let mut instant = |field, text: &str| {
            let read = (!text.is_empty()).then(|| UnixMillis::parse(text).ok_or("must be a date, like 2027-01-31"));
            read.and_then(|read| mistakes.read(field, read))
        };
        let (since, until) = (instant("since", &self.since), instant("until", &self.until));
        // A day is meant as a whole.
        let until = until.map(|until| if self.until.len() > 10 { until } else { until.plus_ms(DAY_MS) });
        let key = (!self.key.is_empty()).then(|| KeyId::parse(&self.key).ok_or("must be the id of a key"));
        let person = (!self.person.is_empty()).then(|| UserId::parse(&self.person).ok_or("must be the id of a person"));
        let filter = AuditFilter {
            action: some(&self.action),
            subject: some(&self.subject),
            actor_id: key.and_then(|key| mistakes.read("key", key)),
            user_id: person.and_then(|person| mistakes.read("person", person)),
            since,
            until,
            refused: self.refused.then_some(true),
        };
        (filter, mistakes)
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(crate) async fn list(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let asked = Asked::read(call);
    let (filter, mistakes) = asked.filter();
    let after = query(call.request, "after").parse().ok();
    // What cannot be read finds nothing.
    let limit = if mistakes.is_empty() { LIMIT } else { 0 };
    let AuditPage { events: page, names, people } =
        AuditLog::new(call.app).page(&session.principal, &filter, after, limit).await?;
    let may_see_people = may(session, &MEMBERS_READ);
    let people = people.into_iter().filter(|_| may_see_people);
    let people = people.map(|member| (member.user_id.to_string(), member.email)).collect();
    let now = call.app.clock.now();
    let content = html! {
        (filters(&asked, people, &mistakes))
        @if mistakes.is_empty() {
            div.bar {
                @if after.is_some() { a href={ "?" (newest(call)) } { "Newest events" } }
                @if !page.items.is_empty() { a href={ (AUDIT) "/export?" (newest(call)) } { "Download all of these (NDJSON)" } }
            }
            @if page.items.is_empty() { p.card { "Nothing was found." } } @else {
                (events(&page.items, &names, session, now))
            }
            @if let (true, Some(last)) = (page.has_more, page.items.last()) {
                (further(call, &last.id.to_string(), "Older events"))
            }
        }
    };
    Ok(Page::of(call, session, "Audit log", content).response(mistakes.status()))
}

/// Returns the address of the filter's newest page.
fn newest(call: &Call<'_>) -> String {
    let asked = form_urlencoded::parse(call.request.query.as_bytes());
    let asked = asked.filter(|(name, value)| !value.is_empty() && name != "after");
    form_urlencoded::Serializer::new(String::new()).extend_pairs(asked).finish()
}

fn filters(asked: &Asked, people: Vec<(String, String)>, mistakes: &Mistakes) -> Markup {
    let mut actions = vec![(String::new(), "Everything".to_owned())];
    actions.extend(ACTIONS.iter().map(|action| ((*action).to_owned(), words(action))));
    let mut persons = vec![(String::new(), "Everybody".to_owned())];
    persons.extend(people);
    // Former members, and values that are not known here, stay in the filter.
    for (options, value) in [(&mut actions, &asked.action), (&mut persons, &asked.person)] {
        if !options.iter().any(|(known, _)| known == value) {
            options.push((value.clone(), value.clone()));
        }
    }
    // A browser shows nothing in a field for dates whose value is none. What was typed must stay.
    let date = |name, text: &str| if mistakes.at(name).is_some() || text.len() > 10 { "text" } else { "date" };
    html! {
        form.card.filters method="get" action=(AUDIT) {
            (Field::new("action", "Action", mistakes).select(&actions, &asked.action))
            (Field::new("person", "Actor", mistakes).select(&persons, &asked.person))
            (Field::new("since", "From (UTC)", mistakes).text(date("since", &asked.since), &asked.since, false))
            (Field::new("until", "To (UTC)", mistakes).text(date("until", &asked.until), &asked.until, false))
            (Field::new("key", "Actor: key id", mistakes)
                .text("text", &asked.key, false))
            (Field::new("subject", "Subject: id", mistakes)
                .text("text", &asked.subject, false))
            label.check {
                input type="checkbox" name="refused" value="yes" checked[asked.refused];
                " Only what was refused"
            }
            div.bar { button { "Show" } a href=(AUDIT) { "Show everything" } }
        }
    }
}

/// Events, each a line that can be opened.
pub(crate) fn events(
    events: &[AuditRecord],
    names: &HashMap<String, String>,
    session: &SignedIn,
    now: UnixMillis,
) -> Markup {
    html! { ul.events { @for event in events { li { (one(event, names, session, now)) } } } }
}

/// Renders an event: a sentence, and its details to open.
fn one(event: &AuditRecord, names: &HashMap<String, String>, session: &SignedIn, now: UnixMillis) -> Markup {
    let about = |parameter: &str, id: &str, text: &str| {
        html! { @if session.principal.administers().is_ok() { a href={ (AUDIT) "?" (parameter) "=" (id) } { (text) } } }
    };
    html! {
        details {
            summary {
                span {
                    (sentence(event, names, session))
                    @if event.refusal.is_some() { " " span.badge.bad { "refused" } }
                }
                span.when { (time::relative(event.at, now)) }
            }
            dl {
                dt { "When" } dd { (time::date(event.at)) }
                @for (name, value) in &event.details { dt { (words(name)) } dd { (told(name, value, names)) } }
                @if let Some(code) = &event.refusal { dt { "Refused with" } dd { code { (code) } } }
                dt { "What" } dd { code { (event.action) } }
                dt { "About" } dd { (named(&event.subject, names)) " " (about("subject", &event.subject, "its events")) }
                @if let Some(id) = &event.actor_user_id {
                    dt { "Person" } dd { (named(id, names)) " " (about("person", id, "what they did")) }
                }
                @if let (Some(id), true) = (&event.actor_id, event.actor_id != event.actor_session_id) {
                    dt { "Key" } dd { (named(id, names)) " " (about("key", id, "what it did")) }
                }
                @if let Some(id) = &event.actor_session_id { dt { "Session on these pages" } dd { code { (id) } } }
                @if let Some(ip) = &event.ip { dt { "From" } dd { code { (ip) } } }
                @if let Some(id) = &event.request_id { dt { "Request" } dd { code { (id) } } }
            }
        }
    }
}

/// Renders an id with its name, if that is known.
fn named(id: &str, names: &HashMap<String, String>) -> Markup {
    html! { @if let Some(name) = names.get(id) { (name) " " } code { (id) } }
}

/// Renders a value of an event's details.
fn told(name: &str, value: &Value, names: &HashMap<String, String>) -> Markup {
    match value {
        Value::Null if name == "scopes" => html! { "Full access" },
        Value::Null if name.ends_with("_at") => html! { "Never" },
        Value::Null => html! { "None" },
        Value::Bool(yes) => html! { @if *yes { "Yes" } @else { "No" } },
        Value::Number(number) => html! { (number) },
        Value::String(text) => match UnixMillis::parse(text).filter(|_| name.ends_with("_at")) {
            Some(at) => time::date(at),
            None if names.contains_key(text) => named(text, names),
            None => html! { (text) },
        },
        Value::Array(items) if items.is_empty() => html! { "None" },
        Value::Array(items) => html! { ul.scopes { @for item in items { li { (told(name, item, names)) } } } },
        Value::Object(fields) => {
            html! { dl { @for (name, value) in fields { dt { (name) } dd { (told("", value, names)) } } } }
        }
    }
}

/// Renders an event as a sentence.
fn sentence(event: &AuditRecord, names: &HashMap<String, String>, session: &SignedIn) -> Markup {
    let (noun, verb) = event.action.split_once('.').unwrap_or(("", &event.action));
    let (noun, own) = (noun.replace('_', " "), session.principal.snapshot.organization_id.to_string());
    let called = |id: &str| names.get(id).map(String::as_str).or((id == own).then_some(session.organization.as_str()));
    let told = |field: &str| event.details.get(field).and_then(Value::as_str);
    let subject = called(&event.subject).or_else(|| told("name").or(told("email")));
    let subject = html! {
        @match &subject { Some(name) => { strong { (name) } } None => { code { (event.subject) } } }
    };
    let somebody = told("user_id").map(|id| called(id).unwrap_or("a former member"));
    // A change of nothing else.
    let switched = event.details.get("enabled").filter(|_| event.details.len() == 1).and_then(Value::as_bool);
    let the = |did: &str| html! { " " (did) " the " (noun) " " (subject) };
    html! {
        strong { (actor(event, names)) }
        @match (noun.as_str(), verb) {
            ("member", "joined") => " joined the organization",
            ("member", "removed") => { " removed " (subject) " from the organization" }
            ("member", "updated") => { " made " (subject) " " (told("role").unwrap_or_default()) }
            ("session", "created") => " signed in to these pages",
            ("session", "ended") => " signed out of these pages",
            ("sign in link", "created") => { " created a link that signs " (subject) " in" }
            ("invitation", "created") => { " invited " (subject) }
            ("invitation", "revoked") => " revoked an invitation",
            ("team", "member_added") => { " put " (somebody.unwrap_or_default()) " into the team " (subject) }
            ("team", "member_removed") => { " took " (somebody.unwrap_or_default()) " out of the team " (subject) }
            ("key", "rotation_finished") => { " finished the rotation of the key " (subject) }
            ("key", "rotation_cancelled") => { " cancelled the rotation of the key " (subject) }
            ("key", "expired") => { ": the key " (subject) " expired" }
            ("", _) => {
                " tried " code { (told("method").unwrap_or_default()) " " (told("route").unwrap_or_default()) }
            }
            ("key", "updated") if switched == Some(true) => (the("enabled")),
            ("key", "updated") if switched == Some(false) => (the("disabled")),
            (_, "updated") => (the("changed")),
            (_, "unshared") => (the("stopped sharing")),
            (_, did) => (the(&did.replace('_', " "))),
        }
        @if let Some(other) = told("organization_id") { " in the organization " code { (other) } }
    }
}

/// Renders the actor of an event.
fn actor(event: &AuditRecord, names: &HashMap<String, String>) -> String {
    let called = |id: &Option<String>| id.as_ref().and_then(|id| names.get(id)).cloned();
    match event.actor_kind.as_str() {
        "operator" => "The operator".to_owned(),
        "system" => "By itself".to_owned(),
        _ => match (called(&event.actor_user_id), called(&event.actor_id)) {
            (Some(person), _) => person,
            (None, _) if event.actor_user_id.is_some() => "Former member".to_owned(),
            (None, Some(key)) => format!("The key {key}"),
            (None, None) => "A key".to_owned(),
        },
    }
}

/// Everything that was asked for, as a file.
pub(crate) async fn export(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let (filter, mistakes) = Asked::read(call).filter();
    if !mistakes.is_empty() {
        return list(call, session).await;
    }
    let pieces = AuditLog::new(call.app).export(&session.principal, filter, None).await?;
    let pieces = pieces.map_ok(lines).map_err(|error| format!("{error:?}"));
    let mut response = Response::stream(NDJSON, pieces);
    response.headers.push(("Content-Disposition".into(), "attachment; filename=\"audit-log.ndjson\"".to_owned()));
    Ok(response)
}
