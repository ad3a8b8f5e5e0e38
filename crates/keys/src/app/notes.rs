//! The memory of events that are written behind answers: refused attempts, uses of keys that have ended, and reads of
//! what is confidential. A flood of them costs little, because each key and each organization has a budget of its own,
//! so that nobody's flood hides what others do. What is beyond a budget waits, is counted, and is written later.

use std::collections::HashMap;

use lru::LruCache;

use crate::domain::{
    audit::NotedEvent,
    id::{KeyId, OrganizationId},
    time::{UnixMillis, has_elapsed},
};

/// The interval of all budgets, in milliseconds.
const INTERVAL_MS: i64 = 60 * 1000;
/// The maximum number of events that one interval writes for an organization: of attempts, and of all others.
const ORGANIZATION_BUDGET: u32 = 100;
/// The maximum number of attempts that one interval writes for a key.
const KEY_BUDGET: u32 = 30;
/// The maximum number of tallies of an organization. Beyond it, keys share one.
const MAX_TALLIES_OF_ORGANIZATION: usize = 100;
/// The maximum number of tallies. Beyond it, the organizations are forgotten that were noted the longest time ago.
const MAX_TALLIES: usize = 5_000;
/// The maximum number of events that are written at once.
const MAX_WRITTEN: usize = 500;

/// The kind of a noted event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// A refused attempt to manage something.
    Attempt,
    /// Anything else, of which one event a minute is enough: its action or code, and its subject.
    Use(&'static str, String),
}

impl NoteKind {
    /// The maximum number of events that one interval writes for one key.
    fn budget(&self) -> u32 {
        match self {
            Self::Attempt => KEY_BUDGET,
            Self::Use(..) => 1,
        }
    }
}

/// The number of events that were written in the interval that began at `since`.
#[derive(Default)]
struct Budget {
    since: Option<UnixMillis>,
    written: u32,
}

impl Budget {
    /// Begins the next interval, if this one is over.
    fn renew(&mut self, now: UnixMillis) {
        if self.since.is_none_or(|since| has_elapsed(since, INTERVAL_MS, now)) {
            *self = Self { since: Some(now), written: 0 };
        }
    }

    fn is_over(&self, now: UnixMillis) -> bool {
        self.since.is_none_or(|since| has_elapsed(since, INTERVAL_MS, now))
    }
}

/// The events of one kind and one key.
#[derive(Default)]
struct Tally {
    budget: Budget,
    /// The newest event that was not written, with the number of those.
    waiting: Option<(NotedEvent, i64)>,
}

#[derive(Default)]
struct OrganizationNotes {
    attempts: Budget,
    uses: Budget,
    /// The tallies; without a key, that of all keys for which there was no room.
    tallies: HashMap<(Option<KeyId>, NoteKind), Tally>,
}

impl OrganizationNotes {
    /// The key of an event's tally.
    fn tally_key(&mut self, kind: NoteKind, event: &NotedEvent, now: UnixMillis) -> (Option<KeyId>, NoteKind) {
        let own = (event.actor.key_id, kind);
        if self.tallies.contains_key(&own) {
            return own;
        }
        if self.tallies.len() >= MAX_TALLIES_OF_ORGANIZATION {
            self.tallies.retain(|_, tally| tally.waiting.is_some() || !tally.budget.is_over(now));
        }
        if self.tallies.len() < MAX_TALLIES_OF_ORGANIZATION {
            return own;
        }
        match own.1 {
            NoteKind::Attempt => (None, NoteKind::Attempt),
            NoteKind::Use(name, _) => (None, NoteKind::Use(name, String::new())),
        }
    }

    fn note(&mut self, kind: NoteKind, event: NotedEvent, now: UnixMillis) -> Option<NotedEvent> {
        let key = self.tally_key(kind, &event, now);
        let of_organization = if key.1 == NoteKind::Attempt { &mut self.attempts } else { &mut self.uses };
        let most = key.1.budget();
        let tally = self.tallies.entry(key).or_default();
        of_organization.renew(now);
        tally.budget.renew(now);
        let omitted = tally.waiting.take().map_or(0, |(_, count)| count);
        if tally.budget.written < most && of_organization.written < ORGANIZATION_BUDGET {
            tally.budget.written += 1;
            of_organization.written += 1;
            return Some(event.omitting(omitted));
        }
        tally.waiting = Some((event, omitted + 1));
        None
    }

    /// Takes what has waited for an interval, at most `room` events.
    fn due(&mut self, now: UnixMillis, room: usize) -> Vec<NotedEvent> {
        let mut due = Vec::new();
        for tally in self.tallies.values_mut() {
            if due.len() >= room {
                break;
            }
            if tally.budget.is_over(now)
                && let Some((event, count)) = tally.waiting.take()
            {
                tally.budget = Budget { since: Some(now), written: 1 };
                due.push(event.omitting(count - 1));
            }
        }
        due
    }
}

/// The noted events that were not written yet, by organization.
pub struct Notes {
    organizations: LruCache<OrganizationId, OrganizationNotes>,
    looked_at: Option<UnixMillis>,
}

impl Default for Notes {
    fn default() -> Self {
        Self { organizations: LruCache::unbounded(), looked_at: None }
    }
}

impl Notes {
    /// Returns the event as it is to be written now, with the number of those that were omitted; `None` if it waits.
    pub fn note(&mut self, kind: NoteKind, event: NotedEvent, now: UnixMillis) -> Option<NotedEvent> {
        let organization_id = event.event.organization_id;
        let organization = self.organizations.get_or_insert_mut(organization_id, OrganizationNotes::default);
        let written = organization.note(kind, event, now);
        while self.organizations.len() > 1 && self.tallies() > MAX_TALLIES {
            self.organizations.pop_lru();
        }
        written
    }

    fn tallies(&self) -> usize {
        self.organizations.iter().map(|(_, notes)| notes.tallies.len()).sum()
    }

    /// Takes what has waited for an interval. Looks at most once in an interval, as this is asked with every use.
    pub fn due(&mut self, now: UnixMillis) -> Vec<NotedEvent> {
        if self.looked_at.is_some_and(|at| !has_elapsed(at, INTERVAL_MS, now)) {
            return Vec::new();
        }
        self.looked_at = Some(now);
        let mut due = Vec::new();
        for (_, notes) in &mut self.organizations {
            due.extend(notes.due(now, MAX_WRITTEN - due.len()));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{KEY_BUDGET, KeyId, MAX_TALLIES, NoteKind, NotedEvent, Notes, ORGANIZATION_BUDGET, UnixMillis};
    use crate::domain::{
        audit::{Actor, AuditEvent, REFUSED},
        id::OrganizationId,
    };

    const START: UnixMillis = UnixMillis(1_000);

    fn event(organization: u8, key: u8) -> NotedEvent {
        let bits = |number: u8| [number; 10];
        let organization_id = OrganizationId::new(START, bits(organization));
        let actor = Actor {
            organization_id: Some(organization_id),
            key_id: Some(KeyId::new(START, bits(key))),
            user_id: None,
            session_id: None,
            request_id: String::new(),
            ip: None,
        };
        let event = AuditEvent::new(organization_id, "subject", REFUSED, json!({}), START);
        NotedEvent { actor, event, refusal: Some("not_found") }
    }

    fn written(notes: &mut Notes, organization: u8, key: u8, times: usize, at: UnixMillis) -> usize {
        (0..times).filter(|_| notes.note(NoteKind::Attempt, event(organization, key), at).is_some()).count()
    }

    #[test]
    fn budgets_are_of_keys_and_of_organizations() {
        let mut notes = Notes::default();
        assert_eq!(written(&mut notes, 1, 1, 200, START), KEY_BUDGET as usize);
        assert_eq!(written(&mut notes, 1, 2, 1, START), 1, "another key of the same organization");
        let rest: usize = (3..20).map(|key| written(&mut notes, 1, key, 200, START)).sum();
        assert_eq!(rest, (ORGANIZATION_BUDGET - KEY_BUDGET - 1) as usize);
        assert_eq!(written(&mut notes, 2, 1, 5, START), 5, "another organization");
        assert_eq!(written(&mut notes, 1, 1, 200, START.plus_ms(60_000)), KEY_BUDGET as usize);
    }

    #[test]
    fn all_that_was_noted_is_written_or_counted() {
        let mut notes = Notes::default();
        assert!(notes.due(START).is_empty());
        let count = |event: &NotedEvent| 1 + event.event.details["omitted"].as_i64().unwrap_or(0);
        let mut told = 0;
        for number in 0..1_000 {
            let key = u8::try_from(number % 250).unwrap();
            told += notes.note(NoteKind::Attempt, event(1, key), START).as_ref().map_or(0, count);
        }
        assert!(notes.due(START.plus_ms(59_999)).is_empty());
        told += notes.due(START.plus_ms(60_000)).iter().map(count).sum::<i64>();
        assert_eq!(told, 1_000);
    }

    #[test]
    fn memory_is_bounded_and_the_quiet_are_heard_in_any_flood() {
        let mut notes = Notes::default();
        for organization in 0..=255 {
            for key in 0..=255 {
                notes.note(NoteKind::Attempt, event(organization, key), START);
            }
        }
        assert!(notes.tallies() <= MAX_TALLIES, "{}", notes.tallies());
        assert!(notes.note(NoteKind::Attempt, event(0, 0), START).is_some());
        let once = || NoteKind::Use("key_revoked", "subject".to_owned());
        assert!(notes.note(once(), event(0, 0), START).is_some());
        assert!(notes.note(once(), event(0, 0), START).is_none());
    }
}
