//! The audit log: written with every change and after every refused attempt, listed and exported.

use std::{collections::HashMap, fmt::Display, rc::Rc};

use futures_util::{
    StreamExt,
    future::ready,
    stream::{self, Stream},
};
use serde_json::{Value, json};

use crate::{
    app::{App, Principal, error::Error, notes::NoteKind},
    domain::{
        audit::{AuditEvent, AuditFilter, AuditRecord, NotedEvent, REFUSED},
        client::Client,
        decision::{Refusal, decide},
        key_use::SecretUses,
        page::Page,
        person::Member,
    },
    ports::Statement,
    storage::{audit, batch::Batch, key_uses, people},
};

/// The number of events that an export reads at once.
const EXPORT_PAGE: i64 = 1_000;
/// The actions of those who look at the audit log.
const READ: &str = "audit_log.read";
const EXPORTED: &str = "audit_log.exported";
/// The maximum number of people in the filter of the audit log.
const MAX_PEOPLE: i64 = 100;

/// A refused attempt to manage something.
#[derive(Debug, Clone)]
pub struct RefusedAttempt {
    /// The id of the resource; `None` for the organization.
    pub subject: Option<String>,
    /// The stable code of the refusal.
    pub code: &'static str,
    /// The method.
    pub method: &'static str,
    /// The route's path, not the request's, because people put keys into the place of ids.
    pub route: &'static str,
}

/// A page of the audit log, with the names that people need to read it.
pub struct AuditPage {
    /// The events.
    pub events: Page<AuditRecord>,
    /// The names, by id, of the keys, people, teams and projects in the events, as far as they still exist.
    pub names: HashMap<String, String>,
    /// The newest members of the organization.
    pub people: Vec<Member>,
}

impl App {
    /// Writes an event if the statement before it in the batch has changed a row.
    pub fn record_if_changed(&self, principal: &Principal, event: &AuditEvent) -> Statement {
        audit::record_if_changed(&principal.actor(), event, self.config.audit_retention)
    }

    /// Records a refused attempt in the audit log of the caller's organization, after the answer. In a flood most
    /// attempts are only counted; see [`crate::app::notes`].
    pub fn note_refusal(&self, principal: &Principal, attempt: &RefusedAttempt) {
        let organization_id = principal.snapshot.organization_id;
        let subject = attempt.subject.clone().unwrap_or_else(|| organization_id.to_string());
        let details = json!({ "method": attempt.method, "route": attempt.route });
        self.note(
            NoteKind::Attempt,
            NotedEvent {
                actor: principal.actor(),
                event: AuditEvent::new(organization_id, subject, REFUSED, details, self.now()),
                refusal: Some(attempt.code),
            },
        );
    }

    /// Records after the answer that a key was presented and refused, in the log of its organization: one event a minute
    /// at most of a key and a code, with the number of the others.
    pub fn note_refused_use(&self, principal: &Principal, refusal: &Refusal, mut details: Value) {
        let code = refusal.code();
        if let (Refusal::ConditionNotMet(condition), Some(details)) = (refusal, details.as_object_mut()) {
            let Client { ip, country } = principal.client;
            details.insert("condition".to_owned(), json!(condition.as_str()));
            details.insert(
                "client".to_owned(),
                json!({ "ip": ip, "country": country.map(|country| country.to_string()) }),
            );
        }
        let (key_id, organization_id) = (principal.snapshot.key_id.to_string(), principal.snapshot.organization_id);
        let event = AuditEvent::new(organization_id, &key_id, REFUSED, details, self.now());
        self.note(NoteKind::Use(code, key_id), NotedEvent { actor: principal.actor(), event, refusal: Some(code) });
    }

    /// Records after the answer that somebody has read something confidential, as [`App::note_refused_use`].
    pub fn note_read(&self, principal: &Principal, action: &'static str, subject: impl Display) {
        let subject = subject.to_string();
        let event = AuditEvent::new(principal.snapshot.organization_id, &subject, action, json!({}), self.now());
        self.note(NoteKind::Use(action, subject), NotedEvent { actor: principal.actor(), event, refusal: None });
    }

    /// Writes an event after the answer, or counts it for a later one.
    pub(crate) fn note(&self, kind: NoteKind, event: NotedEvent) {
        let now = self.now();
        let mut events = self.isolate.due_notes(now);
        events.extend(self.isolate.note(kind, event, now));
        self.write_behind(&[], &events);
    }

    /// Writes uses and noted events after the answer. They are lost if that fails.
    pub(crate) fn write_behind(&self, uses: &[SecretUses], events: &[NotedEvent]) {
        let mut statements = if uses.is_empty() { Vec::new() } else { key_uses::record(uses) };
        if !events.is_empty() {
            statements.push(audit::record_noted(events, self.config.audit_retention));
        }
        if statements.is_empty() {
            return;
        }
        let (database, uses, events) = (Rc::clone(&self.database), uses.len(), events.len());
        self.background.spawn(Box::pin(async move {
            if let Err(error) = database.batch(statements).await {
                log::warn!(
                    "the last uses of {uses} secrets and {events} events of the audit log were not recorded: {error:?}"
                );
            }
        }));
    }
}

/// The use cases of the audit log.
pub struct AuditLog<'a> {
    pub(crate) app: &'a App,
}

impl<'a> AuditLog<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl AuditLog<'_> {
    /// Lists events of the caller's organization, newest first: at most `limit`, starting after event `after`.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn list(
        &self,
        principal: &Principal,
        filter: &AuditFilter,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Page<AuditRecord>, Error> {
        let page = self.read(principal, filter, after, limit).await?;
        self.app.note_read(principal, READ, principal.snapshot.organization_id);
        Ok(page)
    }

    async fn read(
        &self,
        principal: &Principal,
        filter: &AuditFilter,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Page<AuditRecord>, Error> {
        principal.administers()?;
        self.app.query(principal, audit::list(principal.snapshot.organization_id, filter, after, limit)).await
    }

    /// Lists events like [`AuditLog::list`], with the names that people need to read them, in one round trip.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn page(
        &self,
        principal: &Principal,
        filter: &AuditFilter,
        after: Option<i64>,
        limit: i64,
    ) -> Result<AuditPage, Error> {
        principal.administers()?;
        let organization_id = principal.snapshot.organization_id;
        let mut batch = Batch::new();
        let events = batch.add(audit::list(organization_id, filter, after, limit));
        let names = batch.add(audit::names(organization_id, filter, after, limit));
        let people = batch.add(people::list(organization_id, None, None, MAX_PEOPLE));
        let mut results = self.app.guarded(principal, batch).await?;
        self.app.note_read(principal, READ, organization_id);
        Ok(AuditPage {
            events: results.take(events)?,
            names: results.take(names)?,
            people: results.take(people)?.items,
        })
    }

    /// Exports all events of the caller's organization after event `after`, newest first, in pieces. The first
    /// piece is read at once. If the key ends in between, the next piece is an error.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn export(
        &self,
        principal: &Principal,
        filter: AuditFilter,
        after: Option<i64>,
    ) -> Result<impl Stream<Item = Result<Vec<AuditRecord>, Error>> + use<>, Error> {
        let first = self.read(principal, &filter, after, EXPORT_PAGE).await?;
        self.app.note_read(principal, EXPORTED, principal.snapshot.organization_id);
        let start = (self.app.clone(), principal.clone(), filter, last(&first));
        let rest = stream::try_unfold(start, |(app, principal, filter, after)| async move {
            if after.is_none() {
                return Ok(None);
            }
            // The guard notices changes, but not the passing of time.
            decide(&principal.snapshot, principal.uses(&[], app.now())).map_err(Error::Refused)?;
            let page = AuditLog::new(&app).read(&principal, &filter, after, EXPORT_PAGE).await?;
            let next = last(&page);
            Ok(Some((page.items, (app, principal, filter, next))))
        });
        Ok(stream::once(ready(Ok(first.items))).chain(rest))
    }
}

/// The event after which the next page starts, if there is one.
fn last(page: &Page<AuditRecord>) -> Option<i64> {
    page.items.last().filter(|_| page.has_more).map(|event| event.id)
}
