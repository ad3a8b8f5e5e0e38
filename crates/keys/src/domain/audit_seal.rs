//! The seals of the audit log: a chain of hashes per organization. A seal is over some events and the seal before it, so
//! that no event can be changed, added or taken away later without another hash from there on.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::domain::time::{DAY_MS, UnixMillis};

/// The maximum time between the events of one seal, in milliseconds: they are pruned together.
const MAX_SPAN_MS: i64 = 60 * 60 * 1000;

/// An event, with all that a seal is over. The order of the fields is that of the hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealedEvent {
    /// The organization.
    pub organization_id: String,
    /// The number of the event in its organization.
    pub number: i64,
    subject: String,
    action: String,
    actor_kind: String,
    actor_id: Option<String>,
    actor_user_id: Option<String>,
    actor_session_id: Option<String>,
    ip: Option<String>,
    request_id: Option<String>,
    details: String,
    refusal: Option<String>,
    at: UnixMillis,
    keep_until: UnixMillis,
    /// The place of the event among all of the deployment. It is not sealed.
    #[serde(skip_serializing)]
    pub id: i64,
}

/// A seal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seal {
    /// The organization.
    pub organization_id: String,
    /// The number of the first event.
    pub first_number: i64,
    /// The number of the last event.
    pub last_number: i64,
    /// The place of the last event among all of the deployment.
    pub last_id: i64,
    /// The hash of the events.
    pub events_hash: String,
    /// The hash of the seal before this one, and of this seal.
    pub hash: String,
    /// The instant from which the events may be pruned.
    pub keep_until: UnixMillis,
    /// The time of the seal.
    pub sealed_at: UnixMillis,
}

impl Seal {
    /// The number of events.
    fn count(&self) -> i64 {
        self.last_number - self.first_number + 1
    }

    /// The hash of the seal, after the seal with the hash `previous`.
    fn chained(&self, previous: Option<&str>) -> String {
        let sealed = json!([
            previous,
            self.organization_id,
            self.first_number,
            self.last_number,
            self.keep_until,
            self.sealed_at,
            self.events_hash,
        ]);
        hex::encode(Sha256::digest(sealed.to_string()))
    }

    /// True if this seal is the first of its organization on its day (UTC).
    pub fn begins_day(&self, previous: Option<UnixMillis>) -> bool {
        previous.is_none_or(|previous| previous.0.div_euclid(DAY_MS) < self.sealed_at.0.div_euclid(DAY_MS))
    }
}

/// The hash of events, each as JSON on a line.
fn events_hash(events: &[SealedEvent]) -> String {
    let mut hash = Sha256::new();
    for event in events {
        hash.update(serde_json::to_vec(event).unwrap_or_default());
        hash.update(b"\n");
    }
    hex::encode(hash.finalize())
}

/// Seals events of one organization, in the order of their numbers, after the seal with the hash `previous`. Where a number is missing, and
/// where events are kept for another time, the next seal begins.
pub fn seal(events: &[SealedEvent], previous: Option<String>, now: UnixMillis) -> Vec<Seal> {
    let together = |first: &SealedEvent, before: &SealedEvent, event: &SealedEvent| {
        let term = |event: &SealedEvent| event.keep_until.ms_since(event.at);
        event.number == before.number + 1
            && term(event) == term(first)
            && event.at.ms_since(first.at).abs() <= MAX_SPAN_MS
    };
    let (mut seals, mut previous): (Vec<Seal>, _) = (Vec::new(), previous);
    let mut rest = events;
    while let Some(first) = rest.first() {
        let follows = rest.windows(2).take_while(|pair| match pair {
            [before, event] => together(first, before, event),
            _ => false,
        });
        let (sealed, others) = rest.split_at(follows.count() + 1);
        rest = others;
        let Some(last) = sealed.last() else { break };
        let mut seal = Seal {
            organization_id: first.organization_id.clone(),
            first_number: first.number,
            last_number: last.number,
            last_id: last.id,
            events_hash: events_hash(sealed),
            hash: String::new(),
            keep_until: sealed.iter().map(|event| event.keep_until).max().unwrap_or(now),
            sealed_at: now,
        };
        seal.hash = seal.chained(previous.as_deref());
        previous = Some(seal.hash.clone());
        seals.push(seal);
    }
    seals
}

/// A fault of the audit log, at the number of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The number of the event, or of the first event of the seal.
    pub number: i64,
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no event with this number.
    EventMissing,
    /// There is an event with a number whose event was pruned.
    EventAdded,
    /// One of the events of a seal, which begins with this number, is not what was sealed.
    EventChanged,
    /// The seal that begins with this number does not belong to the one before it.
    SealChanged,
}

/// The state of a check after some seals.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// The number of the last event.
    pub number: i64,
    /// The hash of the last seal.
    pub hash: Option<String>,
    /// The number of events that were pruned, of which only the seals were checked.
    pub pruned: i64,
}

impl Checked {
    /// Checks the next seal with its events, as far as they exist. `pruned` is true if they were all deleted after their retention.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&mut self, seal: &Seal, events: &[SealedEvent], pruned: bool, now: UnixMillis) -> Result<(), Fault> {
        if seal.first_number > self.number + 1 {
            let number = self.number + 1;
            let is_there = events.first().is_some_and(|event| event.number == number);
            let kind = if is_there { FaultKind::SealChanged } else { FaultKind::EventMissing };
            return Err(Fault { kind, number });
        }
        if seal.first_number != self.number + 1 || seal.count() < 1 || seal.chained(self.hash.as_deref()) != seal.hash {
            return Err(Fault { kind: FaultKind::SealChanged, number: seal.first_number });
        }
        let missing = follow(events, seal.first_number, seal.last_number);
        let due = seal.keep_until <= now;
        match (pruned && due, events.first(), missing) {
            (true, Some(event), _) => return Err(Fault { kind: FaultKind::EventAdded, number: event.number }),
            (true, None, _) => self.pruned += seal.count(),
            // Some have been deleted, and the others will be.
            (false, _, Some(_)) if due => self.pruned += seal.count(),
            (false, _, Some(number)) => return Err(Fault { kind: FaultKind::EventMissing, number }),
            (false, _, None) if events_hash(events) != seal.events_hash => {
                return Err(Fault { kind: FaultKind::EventChanged, number: seal.first_number });
            }
            (false, _, None) => {}
        }
        self.number = seal.last_number;
        self.hash = Some(seal.hash.clone());
        Ok(())
    }
}

/// The first number from `first` to `last` without an event.
fn follow(events: &[SealedEvent], first: i64, last: i64) -> Option<i64> {
    missing(first, events.iter().map(|event| event.number)).or_else(|| {
        let next = events.last().map_or(first, |event| event.number + 1);
        (next <= last).then_some(next)
    })
}

/// The first number that is missing among these, which should go on from `first`.
pub fn missing(first: i64, numbers: impl Iterator<Item = i64>) -> Option<i64> {
    (first..).zip(numbers).find(|(expected, number)| expected != number).map(|(expected, _)| expected)
}
