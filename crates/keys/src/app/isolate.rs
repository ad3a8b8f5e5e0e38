//! The memory of one isolate between requests: the feed, snapshots, and digests without a key. Any of it can be
//! lost at any moment, which costs a read of the database.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use lru::LruCache;

use crate::domain::{
    feed::{Feed, News},
    id::{KeyId, OrganizationId},
    jwt::PublicKey,
    key_text::Digest,
    key_use::SecretUses,
    snapshot::Snapshot,
    time::UnixMillis,
};

/// The maximum number of snapshots in memory. At about half a kilobyte each, they take 5 MB of an isolate's 128.
const MAX_SNAPSHOTS: usize = 10_000;
/// The maximum number of unknown digests in memory.
const MAX_UNKNOWN: usize = 10_000;
/// The least time between two KV writes for one key, in milliseconds. However busy the feed is, a snapshot that
/// falls out of it is not written again sooner.
const CACHE_WRITE_INTERVAL_MS: i64 = 10 * 60 * 1000;
/// The least time between two writes of key uses, in milliseconds.
const USES_INTERVAL_MS: i64 = 60 * 1000;
/// The maximum number of secrets with unwritten uses. Beyond it, uses are lost.
const MAX_USES: usize = 5_000;

/// A snapshot in memory, with the time of its last write to KV.
struct SnapshotEntry {
    snapshot: Rc<Snapshot>,
    cached_at: Option<UnixMillis>,
}

/// The maximum number of refused attempts that one interval writes to the audit log. The rest is counted.
const MAX_REFUSALS: u32 = 100;
/// The interval in which refused attempts are counted, in milliseconds.
const REFUSALS_INTERVAL_MS: i64 = 60 * 1000;
/// The maximum number of organizations whose omitted attempts are counted.
const MAX_OMITTED: usize = 5_000;

/// The refused attempts of the interval that began at `since`.
#[derive(Default)]
struct Refusals {
    since: Option<UnixMillis>,
    written: u32,
    /// The number of omitted attempts per organization, since the last one in its audit log.
    omitted: HashMap<OrganizationId, i64>,
}

/// The memory of one isolate. No borrow outlives a method, so none is entry across an await.
pub struct Isolate {
    feed: RefCell<Feed>,
    snapshots: RefCell<LruCache<Digest, SnapshotEntry>>,
    unknown: RefCell<LruCache<Digest, UnixMillis>>,
    uses: RefCell<HashMap<(KeyId, bool), (UnixMillis, i64)>>,
    uses_written_at: Cell<Option<UnixMillis>>,
    refusals: RefCell<Refusals>,
    refresh_started_at: Cell<Option<UnixMillis>>,
    team_keys: RefCell<Option<(UnixMillis, Rc<[PublicKey]>)>>,
    team_keys_asked_at: Cell<Option<UnixMillis>>,
}

impl Default for Isolate {
    fn default() -> Self {
        Self {
            feed: RefCell::default(),
            // The tables grow as they fill: an isolate that sees few keys stays small.
            snapshots: RefCell::new(LruCache::unbounded()),
            unknown: RefCell::new(LruCache::unbounded()),
            uses: RefCell::default(),
            uses_written_at: Cell::new(None),
            refusals: RefCell::default(),
            refresh_started_at: Cell::new(None),
            team_keys: RefCell::default(),
            team_keys_asked_at: Cell::new(None),
        }
    }
}

impl Isolate {
    /// Reads the feed.
    pub fn feed<T>(&self, read: impl FnOnce(&Feed) -> T) -> T {
        read(&self.feed.borrow())
    }

    /// The age of the feed; see [`Feed::age_ms`].
    pub fn feed_age_ms(&self, now: UnixMillis) -> Option<i64> {
        self.feed.borrow_mut().age_ms(now)
    }

    /// Adds one read of the feed.
    pub fn hear(&self, news: &News) {
        self.feed.borrow_mut().apply(news);
    }

    /// The snapshot of this digest. It may be stale.
    pub fn snapshot(&self, digest: Digest) -> Option<Rc<Snapshot>> {
        self.snapshots.borrow_mut().get(&digest).map(|entry| Rc::clone(&entry.snapshot))
    }

    /// Keeps a snapshot, unless a newer one is there.
    pub fn keep(&self, digest: Digest, snapshot: &Rc<Snapshot>) {
        let mut snapshots = self.snapshots.borrow_mut();
        if let Some(entry) = snapshots.get_mut(&digest) {
            if entry.snapshot.seq <= snapshot.seq {
                entry.snapshot = Rc::clone(snapshot);
            }
            return;
        }
        bounded_put(
            &mut snapshots,
            MAX_SNAPSHOTS,
            digest,
            SnapshotEntry { snapshot: Rc::clone(snapshot), cached_at: None },
        );
    }

    /// True if this key's snapshot is due to be written to KV. If so, the next interval begins at `now`.
    pub fn claim_cache_write(&self, digest: Digest, now: UnixMillis) -> bool {
        let mut snapshots = self.snapshots.borrow_mut();
        let Some(entry) = snapshots.get_mut(&digest) else {
            return false;
        };
        let due = entry.cached_at.is_none_or(|at| has_elapsed(at, CACHE_WRITE_INTERVAL_MS, now));
        if due {
            entry.cached_at = Some(now);
        }
        due
    }

    /// True if a read of the database less than `max_age_ms` ago found no key with this digest.
    pub fn is_unknown(&self, digest: Digest, now: UnixMillis, max_age_ms: i64) -> bool {
        let asked_at = self.unknown.borrow_mut().get(&digest).copied();
        asked_at.is_some_and(|asked_at| (0..max_age_ms).contains(&now.ms_since(asked_at)))
    }

    /// Remembers that no key has this digest.
    pub fn remember_unknown(&self, digest: Digest, asked_at: UnixMillis) {
        bounded_put(&mut self.unknown.borrow_mut(), MAX_UNKNOWN, digest, asked_at);
    }

    /// Counts a use of a key's secret.
    pub fn note_use(&self, id: KeyId, outgoing: bool, now: UnixMillis) {
        let mut uses = self.uses.borrow_mut();
        if uses.len() >= MAX_USES && !uses.contains_key(&(id, outgoing)) {
            return;
        }
        let (at, count) = uses.entry((id, outgoing)).or_insert((now, 0));
        *at = now.max(*at);
        *count += 1;
    }

    /// The uses to be written, if a write is due. If so, the next interval begins at `now`.
    pub fn claim_uses(&self, now: UnixMillis) -> Option<Vec<SecretUses>> {
        let due = self.uses_written_at.get().is_none_or(|at| has_elapsed(at, USES_INTERVAL_MS, now));
        if !due || self.uses.borrow().is_empty() {
            return None;
        }
        self.uses_written_at.set(Some(now));
        let uses = self.uses.take().into_iter();
        Some(uses.map(|((id, outgoing), (at, count))| SecretUses { id, outgoing, at, count }).collect())
    }

    /// Claims the right to write a refused attempt to this organization's audit log, so that a flood costs little.
    /// Returns the number of attempts omitted from that log since the last one; `None` if this one must be omitted,
    /// too.
    pub fn claim_refusal(&self, organization_id: OrganizationId, now: UnixMillis) -> Option<i64> {
        let mut refusals = self.refusals.borrow_mut();
        if refusals.since.is_none_or(|since| has_elapsed(since, REFUSALS_INTERVAL_MS, now)) {
            refusals.since = Some(now);
            refusals.written = 0;
        }
        if refusals.written < MAX_REFUSALS {
            refusals.written += 1;
            return Some(refusals.omitted.remove(&organization_id).unwrap_or(0));
        }
        if refusals.omitted.len() < MAX_OMITTED || refusals.omitted.contains_key(&organization_id) {
            *refusals.omitted.entry(organization_id).or_insert(0) += 1;
        }
        None
    }

    /// Claims a refresh of the feed, and returns true if it may start now. Only one runs at a time, but one that
    /// was cut off blocks the next for at most `patience_ms`.
    pub fn claim_refresh(&self, now: UnixMillis, patience_ms: i64) -> bool {
        let free = self.refresh_started_at.get().is_none_or(|at| has_elapsed(at, patience_ms, now));
        if free {
            self.refresh_started_at.set(Some(now));
        }
        free
    }

    /// The public keys of the Cloudflare Access team, and the instant at which they were read.
    pub fn team_keys(&self) -> Option<(UnixMillis, Rc<[PublicKey]>)> {
        self.team_keys.borrow().clone()
    }

    /// Keeps the public keys of the Cloudflare Access team.
    pub fn keep_team_keys(&self, read_at: UnixMillis, keys: Vec<PublicKey>) {
        *self.team_keys.borrow_mut() = Some((read_at, keys.into()));
    }

    /// The instant of the last request for the public keys, successful or not.
    pub fn team_keys_asked_at(&self) -> Option<UnixMillis> {
        self.team_keys_asked_at.get()
    }

    /// Notes a request for the public keys.
    pub fn note_team_keys_asked(&self, at: UnixMillis) {
        self.team_keys_asked_at.set(Some(at));
    }

    /// Ends a refresh of the feed.
    pub fn release_refresh(&self) {
        self.refresh_started_at.set(None);
    }
}

/// True if this time since `at` is over. It also is if the clock was set back to before `at`.
fn has_elapsed(at: UnixMillis, ms: i64, now: UnixMillis) -> bool {
    !(0..ms).contains(&now.ms_since(at))
}

/// Adds an entry and evicts the least recently used ones beyond the limit.
fn bounded_put<V>(table: &mut LruCache<Digest, V>, most: usize, digest: Digest, value: V) {
    table.put(digest, value);
    while table.len() > most {
        table.pop_lru();
    }
}
