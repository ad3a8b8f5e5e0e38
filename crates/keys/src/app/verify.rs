//! Verification: memory, then KV, then the database, with the change feed to judge the first two.
//!
//! The promise: a revoked key is refused within `max_staleness_ms`, whatever KV returns. [`crate::domain::feed`]
//! explains how it is kept; this module defines the order of the sources. Nothing on this path writes to the
//! database or waits for a write.

use std::rc::Rc;

use crate::{
    app::{App, error::Error},
    domain::{
        cache_seal::CacheSeal,
        feed::{Feed, News},
        key_text::{Digest, KeyText},
        key_use::UsedFrom,
        snapshot::Snapshot,
        time::UnixMillis,
    },
    ports::DatabaseError,
    storage::{batch::Batch, changes, snapshots},
};

/// The number of reads of the database, if its answers come too late or were overtaken.
const ATTEMPTS: usize = 3;
/// The least time that an answer of the database may take, in milliseconds, even if the operator allows nothing
/// older than the request. Such an answer was current when it was read.
const LEAST_ANSWER_LIMIT_MS: i64 = 1_000;

/// The freshness that an answer must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As fresh as the operator demands.
    Bounded,
    /// Read from the database for this request.
    Strong,
}

/// The source of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This isolate's memory.
    Memory,
    /// KV.
    Kv,
    /// The database.
    D1,
}

impl Source {
    /// The source's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Kv => "kv",
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
    /// The source.
    pub source: Source,
    /// The age of the feed that vouches for it, or of the database's own answer, in milliseconds.
    pub age_ms: i64,
}

impl App {
    /// Looks up a key; `None` if it does not exist. `ip` is the address that sent it, if it is a stranger's until it is
    /// found.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is needed and does not answer in time; [`Error::TooMany`] for a key that
    /// this isolate does not know from an address that has sent too many wrong ones.
    pub async fn find(&self, key: &KeyText, freshness: Freshness, ip: Option<&str>) -> Result<Option<Found>, Error> {
        let (digest, _) = self.config.hasher.current(key);
        let mut fill_cache = false;
        // If the feed is too old, the database must be read in any case, and that one read brings both the key and
        // the feed. KV could save nothing.
        if freshness == Freshness::Bounded && self.vouched_age_ms(self.now()).is_some() {
            if let Some(found) = self.isolate.snapshot(digest).and_then(|held| self.believe(&held, Source::Memory)) {
                return Ok(Some(found));
            }
            if self.isolate.is_unknown(digest, self.now(), self.config.max_staleness_ms) {
                return Ok(None);
            }
            self.check_address(ip)?;
            if let Some(seal) = &self.config.cache_seal {
                let cached = self.cached(seal, digest).await;
                if let Some(found) = cached.and_then(|cached| self.believe(&Rc::new(cached), Source::Kv)) {
                    self.isolate.keep(digest, &found.snapshot);
                    return Ok(Some(found));
                }
                fill_cache = true;
            }
        }
        if self.isolate.snapshot(digest).is_none() {
            self.check_address(ip)?;
        }
        let found = self.find_in_database(key, digest, fill_cache).await?;
        if found.is_none() {
            self.note_unknown_credential(ip);
        }
        Ok(found)
    }

    /// Notes a use of a key, by a client if that is its holder. Uses are gathered in memory and written at most once a minute, after an answer. They
    /// are lost if the isolate dies first.
    pub fn note_use(&self, snapshot: &Snapshot, from: Option<UsedFrom>) {
        let now = self.now();
        self.isolate.note_use(snapshot.key_id, snapshot.outgoing_until.is_some(), from, now);
        if let Some(uses) = self.isolate.claim_uses(now) {
            self.write_behind(&uses, &self.isolate.due_notes(now));
        }
    }

    /// The feed's age, if the feed may vouch for a snapshot at `now`.
    fn vouched_age_ms(&self, now: UnixMillis) -> Option<i64> {
        let age_ms = self.isolate.feed_age_ms(now)?;
        let max_ms = self.config.max_staleness_ms;
        (max_ms > 0 && age_ms <= max_ms).then_some(age_ms)
    }

    /// The snapshot as an answer, if the feed vouches for it at this moment.
    fn believe(&self, snapshot: &Rc<Snapshot>, source: Source) -> Option<Found> {
        let now = self.now();
        let age_ms = self.vouched_age_ms(now)?;
        if !self.isolate.feed(|feed| feed.permits(snapshot)) {
            return None;
        }
        if age_ms > self.config.max_staleness_ms / 2 {
            self.refresh_behind(now);
        }
        Some(Found { snapshot: Rc::clone(snapshot), source, age_ms })
    }

    /// Reads a snapshot from KV. A failure only costs a read of the database.
    async fn cached(&self, seal: &CacheSeal, digest: Digest) -> Option<Snapshot> {
        match self.cache.get(seal.name(digest)).await {
            Ok(value) => snapshots::from_cache(seal, digest, &value?),
            Err(message) => {
                log::warn!("KV did not answer, so the database is read: {message}");
                None
            }
        }
    }

    /// Reads a key from the database, again if the answer comes too late or was overtaken.
    async fn find_in_database(&self, key: &KeyText, digest: Digest, fill_cache: bool) -> Result<Option<Found>, Error> {
        let limit_ms = self.config.max_staleness_ms.max(LEAST_ANSWER_LIMIT_MS);
        for _ in 0..ATTEMPTS {
            let sent_at = self.now();
            let Some(snapshot) = self.read_snapshot(key, sent_at).await? else {
                self.isolate.remember_unknown(digest, sent_at);
                return Ok(None);
            };
            let snapshot = Rc::new(snapshot);
            self.isolate.keep(digest, &snapshot);
            let now = self.now();
            if fill_cache && self.isolate.claim_cache_write(digest, now) {
                self.fill_cache_behind(digest, &snapshot);
            }
            // While this answer was under way, a newer one may have brought news that it lacks.
            let age_ms = now.ms_since(sent_at);
            if (0..=limit_ms).contains(&age_ms) && self.isolate.feed(|feed| feed.permits(&snapshot)) {
                return Ok(Some(Found { snapshot, source: Source::D1, age_ms }));
            }
        }
        Err(Error::Unavailable(format!("no answer of the database was fresh enough in {ATTEMPTS} attempts")))
    }

    /// Reads the key's snapshot and the feed's news in one batch, and so at one moment.
    async fn read_snapshot(&self, key: &KeyText, sent_at: UnixMillis) -> Result<Option<Snapshot>, DatabaseError> {
        let since = self.isolate.feed(Feed::head);
        let candidates = self.config.hasher.candidates(key);
        let mut batch = Batch::new();
        let changes = batch.add(changes::since(since));
        let found = batch.add(snapshots::by_digest(&candidates));
        let mut results = batch.run(&*self.database).await?;
        let changes = results.take(changes)?;
        let news = News { since, sent_at, changes };
        self.isolate.hear(&news);
        Ok(results.take(found)?.map(|row| row.at(news.head())))
    }

    /// Refreshes the feed in the background.
    fn refresh_behind(&self, now: UnixMillis) {
        if !self.isolate.claim_refresh(now, self.config.max_staleness_ms) {
            return;
        }
        let app = self.clone();
        self.background.spawn(Box::pin(async move {
            let since = app.isolate.feed(Feed::head);
            let sent_at = app.now();
            match changes::since(since).run(&*app.database).await {
                Ok(changes) => app.isolate.hear(&News { since, sent_at, changes }),
                Err(error) => log::warn!("the feed was not refreshed; the next request reads the database: {error:?}"),
            }
            app.isolate.release_refresh();
        }));
    }

    /// Writes a snapshot to KV in the background.
    fn fill_cache_behind(&self, digest: Digest, snapshot: &Rc<Snapshot>) {
        let Some(seal) = &self.config.cache_seal else { return };
        let Some(value) = snapshots::to_cache(seal, digest, snapshot) else { return };
        let (app, name) = (self.clone(), seal.name(digest));
        self.background.spawn(Box::pin(async move {
            let put = app.cache.put(name, value, snapshots::CACHE_TTL_SECONDS);
            if let Err(message) = put.await {
                log::warn!("KV did not store a snapshot, so other isolates read the database: {message}");
            }
        }));
    }
}
