//! The lookup of a key, and its result.

use std::rc::Rc;

use crate::domain::{id::Seq, key_text::KeyText, snapshot::Snapshot};

/// The freshness that an answer must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As fresh as the operator demands.
    Bounded,
    /// As fresh as the operator demands, and aware of all changes up to this one.
    AtLeast(Seq),
    /// Read from the database for this request.
    Strong,
}

/// The source of an answer, from the nearest to the furthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This isolate's memory.
    Memory,
    /// KV.
    Kv,
    /// The holder of the feed.
    Holder,
    /// A read replica of the database.
    Replica,
    /// The database.
    D1,
}

impl Source {
    /// The source's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Kv => "kv",
            Self::Holder => "holder",
            Self::Replica => "replica",
            Self::D1 => "d1",
        }
    }
}

/// An existing key, with the source and the age of its data. [`crate::domain::decision::decide`] decides whether
/// the key is good.
#[derive(Debug, Clone)]
pub struct Found {
    /// The key.
    pub snapshot: Rc<Snapshot>,
    /// The change up to which the data is known to be current.
    pub seq: Seq,
    /// The source.
    pub source: Source,
    /// The age of the feed that vouches for it, or of the database's own answer, in milliseconds.
    pub age_ms: i64,
    /// The furthest source that was waited for; [`Source::Memory`] if none was.
    pub waited_for: Source,
    /// True if the database does not answer, and the data is older than it may be otherwise.
    pub degraded: bool,
}

/// A key to look up.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// The text of the key.
    pub key: &'a KeyText,
    /// The freshness that the answer must have.
    pub freshness: Freshness,
    /// The address that sent the key, if it is a stranger's until the key is found.
    pub ip: Option<&'a str>,
}

/// The result of a lookup that was made together with the caller's.
#[derive(Debug, Clone)]
pub struct FoundSubject {
    key: KeyText,
    freshness: Freshness,
    found: Option<Found>,
}

impl FoundSubject {
    /// Joins a lookup with its result.
    pub fn new(lookup: Lookup<'_>, found: Option<Found>) -> Self {
        Self { key: lookup.key.clone(), freshness: lookup.freshness, found }
    }

    /// The result, if it is the one of this lookup.
    pub fn answer(&self, lookup: Lookup<'_>) -> Option<&Option<Found>> {
        (self.key == *lookup.key && self.freshness == lookup.freshness).then_some(&self.found)
    }
}
