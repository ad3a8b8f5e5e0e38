//! The memory of one isolate between requests: the feed, snapshots, and digests without a key. Any of it can be
//! lost at any moment, which costs a read of the database.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use lru::LruCache;

use crate::{
    app::notes::{NoteKind, Notes},
    domain::{
        audit::NotedEvent,
        derived_token::PublishedKey,
        feed::{Feed, News},
        id::KeyId,
        key_text::Digest,
        key_use::{SecretUses, UsedFrom},
        public_key::PublicKey,
        snapshot::Snapshot,
        time::{UnixMillis, has_elapsed},
        trust::Issuer,
    },
};

/// The maximum size of the snapshots in memory, of an isolate's 128 MB. A key of average length takes about a
/// kilobyte, the longest about a hundred.
const MAX_SNAPSHOT_BYTES: usize = 8 * 1024 * 1024;
/// The bytes that a snapshot takes in the table beside its own.
const ENTRY_BYTES: usize = 256;
/// The maximum number of unknown digests in memory.
const MAX_UNKNOWN: usize = 10_000;
/// The maximum number of addresses that are blocked.
const MAX_BLOCKED: usize = 5_000;
/// The maximum number of issuers whose keys are in memory.
const MAX_ISSUERS: usize = 50;
/// The time for which an address with too many unknown credentials is blocked, in milliseconds.
const BLOCKED_MS: i64 = 60 * 1000;
/// The least time between two KV writes for one key, in milliseconds. However busy the feed is, a snapshot that
/// falls out of it is not written again sooner.
const CACHE_WRITE_INTERVAL_MS: i64 = 10 * 60 * 1000;
/// The least time between two writes of key uses, in milliseconds.
const USES_INTERVAL_MS: i64 = 60 * 1000;
/// The maximum number of secrets with unwritten uses. Beyond it, uses are lost. With their clients they must fit into one
/// parameter of D1, 2 MB.
const MAX_USES: usize = 4_000;

/// A snapshot in memory, with the time of its last write to KV.
struct SnapshotEntry {
    snapshot: Rc<Snapshot>,
    cached_at: Option<UnixMillis>,
    bytes: usize,
}

/// Snapshots by their digests, the least recently used ones first, with the sum of their bytes.
struct Snapshots {
    table: LruCache<Digest, SnapshotEntry>,
    bytes: usize,
}

impl Snapshots {
    /// Keeps a snapshot, unless a newer one is there, and evicts others until all fit.
    fn keep(&mut self, digest: Digest, snapshot: &Rc<Snapshot>) {
        let before = self.table.get(&digest);
        if before.is_some_and(|entry| entry.snapshot.seq > snapshot.seq) {
            return;
        }
        let cached_at = before.and_then(|entry| entry.cached_at);
        let bytes = ENTRY_BYTES + snapshot.memory_bytes();
        let replaced = self.table.put(digest, SnapshotEntry { snapshot: Rc::clone(snapshot), cached_at, bytes });
        self.bytes = self.bytes - replaced.map_or(0, |entry| entry.bytes) + bytes;
        while self.bytes > MAX_SNAPSHOT_BYTES
            && let Some((_, evicted)) = self.table.pop_lru()
        {
            self.bytes -= evicted.bytes;
        }
    }
}

/// The time after a failure in which the database is not asked for what can be answered without it, in milliseconds.
const OUTAGE_RETRY_MS: i64 = 1_000;
/// The least time between two warnings about the size of the database, in milliseconds.
const SIZE_WARNING_INTERVAL_MS: i64 = 60 * 60 * 1000;
/// The public keys of another service, and the times of the last answer and the last request.
#[derive(Default)]
pub struct KnownPublicKeys {
    keys: RefCell<Option<(UnixMillis, Rc<[PublicKey]>)>>,
    asked_at: Cell<Option<UnixMillis>>,
}

impl KnownPublicKeys {
    /// The keys, and the instant at which they were read.
    pub fn keys(&self) -> Option<(UnixMillis, Rc<[PublicKey]>)> {
        self.keys.borrow().clone()
    }

    /// Keeps the keys.
    pub fn keep(&self, read_at: UnixMillis, keys: Vec<PublicKey>) {
        *self.keys.borrow_mut() = Some((read_at, keys.into()));
    }

    /// The instant of the last request for the keys, successful or not.
    pub fn asked_at(&self) -> Option<UnixMillis> {
        self.asked_at.get()
    }

    /// Notes a request for the keys.
    pub fn note_asked(&self, at: UnixMillis) {
        self.asked_at.set(Some(at));
    }
}

/// The memory of one isolate. No borrow outlives a method, so none is entry across an await.
pub struct Isolate {
    feed: RefCell<Feed>,
    snapshots: RefCell<Snapshots>,
    unknown: RefCell<LruCache<Digest, UnixMillis>>,
    blocked: RefCell<LruCache<String, UnixMillis>>,
    uses: RefCell<HashMap<(KeyId, bool), SecretUses>>,
    uses_written_at: Cell<Option<UnixMillis>>,
    notes: RefCell<Notes>,
    refresh_started_at: Cell<Option<UnixMillis>>,
    outage_at: Cell<Option<UnixMillis>>,
    /// The public keys of the Cloudflare Access team.
    pub team_keys: KnownPublicKeys,
    /// The public keys of GitHub's secret scanning.
    pub scanner_keys: KnownPublicKeys,
    issuer_keys: RefCell<LruCache<String, Rc<KnownPublicKeys>>>,
    size_warned_at: Cell<Option<UnixMillis>>,
    published_keys: RefCell<Option<Rc<[PublishedKey]>>>,
}

impl Default for Isolate {
    fn default() -> Self {
        Self {
            feed: RefCell::default(),
            // The tables grow as they fill: an isolate that sees few keys stays small.
            snapshots: RefCell::new(Snapshots { table: LruCache::unbounded(), bytes: 0 }),
            unknown: RefCell::new(LruCache::unbounded()),
            blocked: RefCell::new(LruCache::unbounded()),
            uses: RefCell::default(),
            uses_written_at: Cell::new(None),
            notes: RefCell::default(),
            refresh_started_at: Cell::new(None),
            outage_at: Cell::new(None),
            team_keys: KnownPublicKeys::default(),
            scanner_keys: KnownPublicKeys::default(),
            issuer_keys: RefCell::new(LruCache::unbounded()),
            size_warned_at: Cell::new(None),
            published_keys: RefCell::default(),
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

    /// Forgets the feed, so that nothing from before is believed until it was read anew.
    pub fn forget_feed(&self) {
        *self.feed.borrow_mut() = Feed::default();
    }

    /// Adds one read of the feed.
    pub fn hear(&self, news: &News) {
        self.feed.borrow_mut().apply(news);
    }

    /// The public keys of this deployment, if they were derived.
    pub fn published_keys(&self) -> Option<Rc<[PublishedKey]>> {
        self.published_keys.borrow().clone()
    }

    /// Keeps the public keys of this deployment.
    pub fn keep_published_keys(&self, keys: Vec<PublishedKey>) -> Rc<[PublishedKey]> {
        let keys: Rc<[PublishedKey]> = keys.into();
        *self.published_keys.borrow_mut() = Some(Rc::clone(&keys));
        keys
    }

    /// The snapshot of this digest. It may be stale.
    pub fn snapshot(&self, digest: Digest) -> Option<Rc<Snapshot>> {
        self.snapshots.borrow_mut().table.get(&digest).map(|entry| Rc::clone(&entry.snapshot))
    }

    /// Keeps a snapshot, unless a newer one is there.
    pub fn keep(&self, digest: Digest, snapshot: &Rc<Snapshot>) {
        self.snapshots.borrow_mut().keep(digest, snapshot);
    }

    /// True if this key's snapshot is due to be written to KV. If so, the next interval begins at `now`.
    pub fn claim_cache_write(&self, digest: Digest, now: UnixMillis) -> bool {
        let mut snapshots = self.snapshots.borrow_mut();
        let Some(entry) = snapshots.table.get_mut(&digest) else {
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
        let mut unknown = self.unknown.borrow_mut();
        unknown.put(digest, asked_at);
        while unknown.len() > MAX_UNKNOWN {
            unknown.pop_lru();
        }
    }

    /// True if this address is blocked, because it has sent too many unknown credentials.
    pub fn is_blocked(&self, network: &str, now: UnixMillis) -> bool {
        let since = self.blocked.borrow_mut().get(network).copied();
        since.is_some_and(|since| !has_elapsed(since, BLOCKED_MS, now))
    }

    /// Blocks an address for a minute.
    pub fn block(&self, network: String, now: UnixMillis) {
        let mut blocked = self.blocked.borrow_mut();
        blocked.put(network, now);
        while blocked.len() > MAX_BLOCKED {
            blocked.pop_lru();
        }
    }

    /// The public keys of an issuer of tokens, which one of the trusts names.
    pub fn issuer_keys(&self, issuer: &Issuer) -> Rc<KnownPublicKeys> {
        let mut issuers = self.issuer_keys.borrow_mut();
        let keys = Rc::clone(issuers.get_or_insert_mut(issuer.as_str().to_owned(), Rc::default));
        while issuers.len() > MAX_ISSUERS {
            issuers.pop_lru();
        }
        keys
    }

    /// Counts a use of a key's secret.
    pub fn note_use(&self, id: KeyId, outgoing: bool, from: Option<UsedFrom>, now: UnixMillis) {
        let mut uses = self.uses.borrow_mut();
        if uses.len() >= MAX_USES && !uses.contains_key(&(id, outgoing)) {
            return;
        }
        let secret = uses.entry((id, outgoing)).or_insert(SecretUses { id, outgoing, at: now, count: 0, from: None });
        secret.at = now.max(secret.at);
        secret.count += 1;
        secret.from = from;
    }

    /// The uses to be written, if a write is due. If so, the next interval begins at `now`.
    pub fn claim_uses(&self, now: UnixMillis) -> Option<Vec<SecretUses>> {
        let due = self.uses_written_at.get().is_none_or(|at| has_elapsed(at, USES_INTERVAL_MS, now));
        if !due || self.uses.borrow().is_empty() {
            return None;
        }
        self.uses_written_at.set(Some(now));
        Some(self.uses.take().into_values().collect())
    }

    /// Returns an event as it is to be written now, with the number of those that were omitted; `None` if it waits.
    pub fn note(&self, kind: NoteKind, event: NotedEvent, now: UnixMillis) -> Option<NotedEvent> {
        self.notes.borrow_mut().note(kind, event, now)
    }

    /// Takes the noted events that have waited for long enough.
    pub fn due_notes(&self, now: UnixMillis) -> Vec<NotedEvent> {
        self.notes.borrow_mut().due(now)
    }

    /// Claims a warning about the size of the database. If it is due, the next interval begins at `now`.
    pub fn claim_size_warning(&self, now: UnixMillis) -> bool {
        let due = self.size_warned_at.get().is_none_or(|at| has_elapsed(at, SIZE_WARNING_INTERVAL_MS, now));
        if due {
            self.size_warned_at.set(Some(now));
        }
        due
    }

    /// Claims a refresh of the feed, and returns true if it may start now. If so, the next interval begins at `now`,
    /// whatever becomes of this one.
    pub fn claim_refresh(&self, now: UnixMillis, interval_ms: i64) -> bool {
        let due = self.refresh_started_at.get().is_none_or(|at| has_elapsed(at, interval_ms, now));
        if due {
            self.refresh_started_at.set(Some(now));
        }
        due
    }

    /// Notes that the database has not answered.
    pub fn note_outage(&self, now: UnixMillis) {
        self.outage_at.set(Some(now));
    }

    /// True if the database has not answered a moment ago, so that it is not worth while to ask it again.
    pub fn is_in_outage(&self, now: UnixMillis) -> bool {
        self.outage_at.get().is_some_and(|at| !has_elapsed(at, OUTAGE_RETRY_MS, now))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Digest, Isolate, MAX_SNAPSHOT_BYTES, Rc, Snapshot};

    /// A snapshot with metadata of about this many bytes as JSON.
    fn snapshot(seq: i64, metadata_bytes: usize) -> Rc<Snapshot> {
        let id = "01900000-0000-7000-8000-000000000001";
        let snapshot = serde_json::from_value(json!({
            "seq": seq, "key_id": id, "organization_id": id, "operator": false, "policy": {}, "subscription": "active",
            "kind": "org", "name": "ci", "scopes": [], "conditions": {}, "role": "owner",
            "metadata": { "ones": vec![1; metadata_bytes / 2] }, "operator_metadata": {},
            "life": { "expires_at": null, "disabled_at": null, "revoked_at": null }, "standing": "good",
        }));
        Rc::new(snapshot.unwrap())
    }

    #[test]
    fn snapshots_in_memory_are_bounded_by_their_bytes() {
        let isolate = Isolate::default();
        let digest = |number: usize| Digest::of(&number.to_string());
        for number in 0..1_000 {
            isolate.keep(digest(number), &snapshot(1, 4_000));
        }
        let held = (0..1_000).filter(|number| isolate.snapshot(digest(*number)).is_some()).count();
        assert!((50..500).contains(&held), "{held}");
        assert!(isolate.snapshot(digest(999)).is_some() && isolate.snapshot(digest(0)).is_none());
        for number in 0..20_000 {
            isolate.keep(digest(number), &snapshot(1, 2));
        }
        let held = (0..20_000).filter(|number| isolate.snapshot(digest(*number)).is_some()).count();
        assert!((5_000..20_000).contains(&held), "{held}");
        assert!(isolate.snapshots.borrow().bytes <= MAX_SNAPSHOT_BYTES);
    }

    #[test]
    fn keep_counts_a_replaced_snapshot_once_and_leaves_a_newer_one() {
        let isolate = Isolate::default();
        let digest = Digest::of("key");
        isolate.keep(digest, &snapshot(2, 4_000));
        isolate.keep(digest, &snapshot(1, 2));
        assert_eq!(isolate.snapshot(digest).unwrap().seq.0, 2);
        isolate.keep(digest, &snapshot(3, 2));
        let bytes = isolate.snapshots.borrow().bytes;
        let alone = Isolate::default();
        alone.keep(digest, &snapshot(3, 2));
        assert_eq!(bytes, alone.snapshots.borrow().bytes);
    }
}
