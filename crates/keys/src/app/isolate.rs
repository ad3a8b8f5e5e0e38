//! The memory of one isolate between requests: the feed, snapshots, and digests that no key has.
//! All of it can be lost at any moment and costs a read of the database then.

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

/// The most snapshots in memory: at about half a kilobyte each, 5 MB of an isolate's 128.
const MAX_SNAPSHOTS: usize = 10_000;
/// The most unknown digests in memory.
const MAX_UNKNOWN: usize = 10_000;
/// The least time between two KV writes for one key, in milliseconds: however busy the feed, a
/// snapshot that falls out of it is written again only this often.
const CACHE_WRITE_INTERVAL_MS: i64 = 10 * 60 * 1000;
/// The least time between two writes of what was used when, in milliseconds.
const USES_INTERVAL_MS: i64 = 60 * 1000;
/// The most secrets whose uses wait to be written. Of more than that in a minute, the rest is lost.
const MAX_USES: usize = 5_000;

struct Held {
    snapshot: Rc<Snapshot>,
    cached_at: Option<UnixMillis>,
}

/// How many refused attempts are written to the audit log in one interval; those beyond are counted.
const MAX_REFUSALS: u32 = 100;
/// The interval in which refused attempts are counted, in milliseconds.
const REFUSALS_INTERVAL_MS: i64 = 60 * 1000;
/// The most organizations for which refused attempts are counted.
const MAX_OMITTED: usize = 5_000;

/// The refused attempts of the interval that began at `since`.
#[derive(Default)]
struct Refusals {
    since: Option<UnixMillis>,
    written: u32,
    /// How many were left out of each organization's audit log since it was last written to.
    omitted: HashMap<OrganizationId, i64>,
}

/// The memory of one isolate. No borrow outlives a method, so none is held while something awaits.
pub struct Isolate {
    feed: RefCell<Feed>,
    snapshots: RefCell<LruCache<Digest, Held>>,
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

    /// How old the feed is; see [`Feed::age_ms`].
    pub fn feed_age_ms(&self, now: UnixMillis) -> Option<i64> {
        self.feed.borrow_mut().age_ms(now)
    }

    /// Takes in what a read of the feed brought.
    pub fn hear(&self, news: &News) {
        self.feed.borrow_mut().apply(news);
    }

    /// The snapshot of this digest, believed or not.
    pub fn snapshot(&self, digest: Digest) -> Option<Rc<Snapshot>> {
        self.snapshots.borrow_mut().get(&digest).map(|held| Rc::clone(&held.snapshot))
    }

    /// Keeps a snapshot, unless a newer one is there.
    pub fn keep(&self, digest: Digest, snapshot: &Rc<Snapshot>) {
        let mut snapshots = self.snapshots.borrow_mut();
        if let Some(held) = snapshots.get_mut(&digest) {
            if held.snapshot.seq <= snapshot.seq {
                held.snapshot = Rc::clone(snapshot);
            }
            return;
        }
        bounded_put(&mut snapshots, MAX_SNAPSHOTS, digest, Held { snapshot: Rc::clone(snapshot), cached_at: None });
    }

    /// Whether it is time to write this key's snapshot to KV; if so, the time counts from `now`.
    pub fn claim_cache_write(&self, digest: Digest, now: UnixMillis) -> bool {
        let mut snapshots = self.snapshots.borrow_mut();
        let Some(held) = snapshots.get_mut(&digest) else {
            return false;
        };
        let due = held.cached_at.is_none_or(|at| is_over(at, CACHE_WRITE_INTERVAL_MS, now));
        if due {
            held.cached_at = Some(now);
        }
        due
    }

    /// Whether the database was asked for this digest less than `max_age_ms` ago and had no such key.
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

    /// The uses that wait to be written, if it is time to write them; the time counts from `now`.
    pub fn claim_uses(&self, now: UnixMillis) -> Option<Vec<SecretUses>> {
        let due = self.uses_written_at.get().is_none_or(|at| is_over(at, USES_INTERVAL_MS, now));
        if !due || self.uses.borrow().is_empty() {
            return None;
        }
        self.uses_written_at.set(Some(now));
        let uses = self.uses.take().into_iter();
        Some(uses.map(|((id, outgoing), (at, count))| SecretUses { id, outgoing, at, count }).collect())
    }

    /// Whether one more refused attempt may be written to this organization's audit log: a flood of them must not
    /// cost. If so, how many were left out of that log since the last; if not, this is one of them.
    pub fn claim_refusal(&self, organization_id: OrganizationId, now: UnixMillis) -> Option<i64> {
        let mut refusals = self.refusals.borrow_mut();
        if refusals.since.is_none_or(|since| is_over(since, REFUSALS_INTERVAL_MS, now)) {
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

    /// Whether to start a refresh of the feed now: only one at a time, but one that was cut off
    /// must not stand in the way for longer than `patience_ms`.
    pub fn claim_refresh(&self, now: UnixMillis, patience_ms: i64) -> bool {
        let free = self.refresh_started_at.get().is_none_or(|at| is_over(at, patience_ms, now));
        if free {
            self.refresh_started_at.set(Some(now));
        }
        free
    }

    /// The public keys of the team of Cloudflare Access, and when they were read.
    pub fn team_keys(&self) -> Option<(UnixMillis, Rc<[PublicKey]>)> {
        self.team_keys.borrow().clone()
    }

    /// Keeps them.
    pub fn keep_team_keys(&self, read_at: UnixMillis, keys: Vec<PublicKey>) {
        *self.team_keys.borrow_mut() = Some((read_at, keys.into()));
    }

    /// The instant at which they were asked for last, be it in vain.
    pub fn team_keys_asked_at(&self) -> Option<UnixMillis> {
        self.team_keys_asked_at.get()
    }

    /// Notes that they are asked for.
    pub fn note_team_keys_asked(&self, at: UnixMillis) {
        self.team_keys_asked_at.set(Some(at));
    }

    /// The refresh is over.
    pub fn release_refresh(&self) {
        self.refresh_started_at.set(None);
    }
}

/// Whether this time since `at` is over; it also is when the clock was set back behind `at`.
fn is_over(at: UnixMillis, ms: i64, now: UnixMillis) -> bool {
    !(0..ms).contains(&now.ms_since(at))
}

fn bounded_put<V>(table: &mut LruCache<Digest, V>, most: usize, digest: Digest, value: V) {
    table.put(digest, value);
    while table.len() > most {
        table.pop_lru();
    }
}
