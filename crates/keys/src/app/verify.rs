//! Verification: memory, then KV and the holder of the feed, then the database, with the change feed to judge what was
//! kept.
//!
//! The promise: a revoked key is refused within `max_staleness_ms`, whatever KV returns. [`crate::domain::feed`]
//! explains how it is kept; this module defines the order of the sources. Nothing on this path writes to the
//! database or waits for a write. All keys of a request are looked up together, so that the database is asked once.

use std::rc::Rc;

use futures_util::future::{Either, join, join_all, select};

use crate::{
    app::{App, error::Error, isolate::Isolate},
    domain::{
        feed::{Feed, News},
        id::Seq,
        key_text::Digest,
        key_use::UsedFrom,
        lookup::{Found, Freshness, Lookup, Source},
        snapshot::Snapshot,
        time::UnixMillis,
    },
    ports::{DatabaseError, FeedHolder},
    storage::{
        batch::{Batch, Handle},
        changes,
        snapshots::{self, SnapshotRow},
    },
};

/// The number of reads of the database, if its answers come too late or were overtaken.
const ATTEMPTS: usize = 3;
/// The least time that an answer of the database may take, in milliseconds, even if the operator allows nothing
/// older than the request. Such an answer was current when it was read.
const LEAST_ANSWER_LIMIT_MS: i64 = 1_000;
/// The time that the holder of the feed has for an answer, in milliseconds. Then the database is asked.
const HOLDER_PATIENCE_MS: u32 = 300;
/// The time that the database has for an answer, in milliseconds, if the operator allows to go on without it.
const OUTAGE_PATIENCE_MS: u32 = 1_000;

/// A lookup under way.
struct Search<'a> {
    lookup: Lookup<'a>,
    digest: Digest,
    /// The value of KV, which the feed may not permit.
    cached: Option<Rc<Snapshot>>,
    fill_cache: bool,
    /// `None` while the search goes on.
    outcome: Option<Option<Found>>,
}

impl Search<'_> {
    /// True if the feed may vouch for the answer.
    fn is_bounded(&self, isolate: &Isolate) -> bool {
        match self.lookup.freshness {
            Freshness::Bounded => true,
            Freshness::AtLeast(seq) => seq <= isolate.feed(Feed::head),
            Freshness::Strong => false,
        }
    }

    fn goes_on(&self) -> bool {
        self.outcome.is_none()
    }
}

impl App {
    /// Looks up a key; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`App::find_all`].
    pub async fn find(&self, lookup: Lookup<'_>) -> Result<Option<Found>, Error> {
        let [found] = self.find_all([lookup]).await?;
        Ok(found)
    }

    /// Looks up keys together; `None` for one that does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is needed and does not answer in time; [`Error::TooMany`] for a key that
    /// this isolate does not know from an address that has sent too many wrong ones.
    pub async fn find_all<const N: usize>(&self, lookups: [Lookup<'_>; N]) -> Result<[Option<Found>; N], Error> {
        let mut searches = lookups.map(|lookup| Search {
            lookup,
            digest: self.config.hasher.current(lookup.key).0,
            cached: None,
            fill_cache: false,
            outcome: None,
        });
        self.search_memory(&mut searches, Source::Memory);
        if searches.iter().any(Search::goes_on) {
            for search in searches.iter().filter(|search| search.goes_on()) {
                if self.isolate.snapshot(search.digest).is_none() {
                    self.check_address(search.lookup.ip)?;
                }
            }
            if self.isolate.is_in_outage(self.now()) {
                self.search_degraded(&mut searches, Source::Memory).await;
            }
            self.search_nearby(&mut searches).await;
            self.search_database(&mut searches).await?;
        }
        Ok(searches.map(|search| search.outcome.flatten()))
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
    fn believe(&self, snapshot: &Rc<Snapshot>, source: Source, waited_for: Source) -> Option<Found> {
        let now = self.now();
        let age_ms = self.vouched_age_ms(now)?;
        if !self.isolate.feed(|feed| feed.permits(snapshot)) {
            return None;
        }
        if age_ms > self.config.max_staleness_ms / 2 {
            self.refresh_behind(now);
        }
        let (snapshot, seq) = (Rc::clone(snapshot), self.isolate.feed(Feed::head));
        Some(Found { snapshot, seq, source, age_ms, waited_for, degraded: false })
    }

    /// Answers from memory what it can.
    fn search_memory(&self, searches: &mut [Search<'_>], waited_for: Source) {
        if self.vouched_age_ms(self.now()).is_none() {
            return;
        }
        for search in searches.iter_mut().filter(|search| search.goes_on() && search.is_bounded(&self.isolate)) {
            let held = self.isolate.snapshot(search.digest);
            if let Some(found) = held.and_then(|held| self.believe(&held, Source::Memory, waited_for)) {
                search.outcome = Some(Some(found));
            } else if self.isolate.is_unknown(search.digest, self.now(), self.config.max_staleness_ms) {
                search.outcome = Some(None);
            }
        }
    }

    /// Asks KV, and the holder if the feed is too old, at the same time.
    async fn search_nearby(&self, searches: &mut [Search<'_>]) {
        let is_fresh = self.vouched_age_ms(self.now()).is_some();
        let holder = self.holder.as_ref().filter(|_| !is_fresh && self.config.max_staleness_ms > 0);
        let bounded = |search: &Search<'_>| search.goes_on() && search.is_bounded(&self.isolate);
        // If the database must be read for the feed in any case, that one read brings the keys, too, and KV could save
        // nothing.
        if !(is_fresh || holder.is_some()) || !searches.iter().any(bounded) {
            return;
        }
        let news = async {
            if let Some(holder) = holder {
                self.hear_holder(&**holder).await;
            }
        };
        // A snapshot in memory that the feed permits waits for a newer feed alone.
        let permitted = |held: Rc<Snapshot>| self.isolate.feed(|feed| feed.permits(&held));
        let lacks =
            |search: &&mut Search<'_>| bounded(search) && !self.isolate.snapshot(search.digest).is_some_and(permitted);
        let cached = join_all(searches.iter_mut().filter(lacks).map(async |search| {
            search.cached = self.cached(search.digest).await.map(Rc::new);
        }));
        let ((), asked) = join(news, cached).await;
        let asked = if asked.is_empty() { Source::Memory } else { Source::Kv };
        let waited_for = if holder.is_some() { Source::Holder } else { asked };
        self.search_memory(searches, waited_for);
        for search in searches.iter_mut().filter(|search| bounded(search)) {
            let cached = search.cached.as_ref();
            if let Some(found) = cached.and_then(|cached| self.believe(cached, Source::Kv, waited_for)) {
                self.isolate.keep(search.digest, &found.snapshot);
                search.outcome = Some(Some(found));
            } else {
                search.fill_cache = true;
            }
        }
    }

    /// Reads the feed's news from the holder. If it does not answer in time, the feed stays as old as it is.
    async fn hear_holder(&self, holder: &dyn FeedHolder) {
        let (since, sent_at) = (self.isolate.feed(Feed::head), self.now());
        let patience = self.clock.sleep(HOLDER_PATIENCE_MS);
        match select(holder.news(since), patience).await {
            Either::Left((Ok(answer), _)) => self.isolate.hear(&answer.news(since, sent_at)),
            Either::Left((Err(message), _)) => log::warn!("the holder of the feed failed, so D1 is asked: {message}"),
            Either::Right(_) => log::warn!("the holder of the feed did not answer in time, so D1 is asked"),
        }
    }

    /// Reads a snapshot from KV. A failure only costs a read of the database.
    async fn cached(&self, digest: Digest) -> Option<Snapshot> {
        let seal = self.config.cache_seal.as_ref()?;
        match self.cache.get(seal.name(digest)).await {
            Ok(value) => snapshots::from_cache(seal, digest, &value?),
            Err(message) => {
                log::warn!("KV did not answer, so the database is read: {message}");
                None
            }
        }
    }

    /// Asks the database for the rest, again if the answer comes too late or was overtaken. Of the first answer, a
    /// replica may give what the feed can vouch for.
    async fn search_database(&self, searches: &mut [Search<'_>]) -> Result<(), Error> {
        for attempt in 0..ATTEMPTS {
            if !searches.iter().any(Search::goes_on) {
                return Ok(());
            }
            let bounded = searches.iter().all(|search| !search.goes_on() || search.is_bounded(&self.isolate));
            let nearest =
                attempt == 0 && self.config.read_replicas && bounded && self.vouched_age_ms(self.now()).is_some();
            let Err(error) = self.ask(searches, nearest).await else { continue };
            if nearest {
                log::warn!("the nearest replica did not answer, so the primary is asked: {error:?}");
                continue;
            }
            self.isolate.note_outage(self.now());
            self.search_degraded(searches, Source::D1).await;
            if searches.iter().any(Search::goes_on) {
                return Err(error.into());
            }
        }
        if searches.iter().any(Search::goes_on) {
            return Err(Error::Unavailable(format!(
                "no answer of the database was fresh enough in {ATTEMPTS} attempts"
            )));
        }
        Ok(())
    }

    /// Reads the keys and the feed's news in one batch, and so at one moment.
    async fn ask(&self, searches: &mut [Search<'_>], nearest: bool) -> Result<(), DatabaseError> {
        let (since, sent_at) = (self.isolate.feed(Feed::head), self.now());
        let mut batch = Batch::new();
        let changes = batch.add(if nearest { changes::since_or_head(since) } else { changes::since(since) });
        let rows: Vec<(&mut Search<'_>, Handle<Option<SnapshotRow>>)> = searches
            .iter_mut()
            .filter(|search| search.goes_on())
            .map(|search| {
                let row = batch.add(snapshots::by_digest(&self.config.hasher.candidates(search.lookup.key)));
                (search, row)
            })
            .collect();
        let (mut results, is_current) = if nearest {
            batch.run_nearest(&*self.database).await?
        } else {
            (self.in_time(batch.run(&*self.database)).await?, true)
        };
        // A replica tells changes, but not that there are no more.
        let current_at = is_current.then_some(sent_at);
        let news = News { since, current_at, changes: results.take(changes)? };
        self.hear(&news);
        if news.is_of_another_past() {
            return Ok(());
        }
        let source = if is_current { Source::D1 } else { Source::Replica };
        for (search, row) in rows {
            match results.take(row)? {
                Some(row) => self.settle(search, row.at(news.head()), source, sent_at),
                // A new key writes no change, so that a replica cannot tell that there is none.
                None if !is_current => {}
                None => {
                    self.isolate.remember_unknown(search.digest, sent_at);
                    self.note_unknown_credential(search.lookup.ip);
                    search.outcome = Some(None);
                }
            }
        }
        Ok(())
    }

    /// Keeps a snapshot that the database has just given, and ends the search if it is fresh enough.
    fn settle(&self, search: &mut Search<'_>, snapshot: Snapshot, source: Source, sent_at: UnixMillis) {
        let snapshot = Rc::new(snapshot);
        self.isolate.keep(search.digest, &snapshot);
        let now = self.now();
        if search.fill_cache && self.isolate.claim_cache_write(search.digest, now) {
            self.fill_cache_behind(search.digest, &snapshot);
        }
        if source == Source::Replica {
            search.outcome = self.believe(&snapshot, source, source).map(Some);
            return;
        }
        let limit_ms = self.config.max_staleness_ms.max(LEAST_ANSWER_LIMIT_MS);
        // While this answer was under way, a newer one may have brought news that it lacks.
        let age_ms = now.ms_since(sent_at);
        if (0..=limit_ms).contains(&age_ms) && self.isolate.feed(|feed| feed.permits(&snapshot)) {
            let seq = self.isolate.feed(Feed::head);
            search.outcome = Some(Some(Found { snapshot, seq, source, age_ms, waited_for: source, degraded: false }));
        }
    }

    /// Waits for the database, but no longer than is useful if the operator allows to go on without it.
    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
        if self.config.outage_grace_ms == 0 {
            return answer.await;
        }
        match select(Box::pin(answer), self.clock.sleep(OUTAGE_PATIENCE_MS)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(DatabaseError::Failed(format!("no answer within {OUTAGE_PATIENCE_MS} ms"))),
        }
    }

    /// Answers what was verified before, for as long as the operator allows it while the database does not answer. Says
    /// nothing of keys that are not known.
    async fn search_degraded(&self, searches: &mut [Search<'_>], waited_for: Source) {
        let grace_ms = self.config.outage_grace_ms;
        let limit_ms = self.config.max_staleness_ms + grace_ms;
        for search in
            searches.iter_mut().filter(|search| search.goes_on() && search.is_bounded(&self.isolate) && grace_ms > 0)
        {
            let mut source = Source::Memory;
            let mut held = self.isolate.snapshot(search.digest);
            if held.is_none() {
                source = Source::Kv;
                held = match search.cached.take() {
                    None => self.cached(search.digest).await.map(Rc::new),
                    cached => cached,
                };
            }
            let age_ms = self.isolate.feed_age_ms(self.now()).filter(|age_ms| *age_ms <= limit_ms);
            let (Some(snapshot), Some(age_ms)) = (held, age_ms) else { continue };
            if self.isolate.feed(|feed| feed.permits(&snapshot)) {
                self.isolate.keep(search.digest, &snapshot);
                let waited_for = waited_for.max(source);
                let seq = snapshot.seq;
                search.outcome = Some(Some(Found { snapshot, seq, source, age_ms, waited_for, degraded: true }));
            }
        }
    }

    /// Refreshes the feed in the background, from the holder if there is one.
    fn refresh_behind(&self, now: UnixMillis) {
        if !self.isolate.claim_refresh(now, self.config.max_staleness_ms / 4) {
            return;
        }
        let app = self.clone();
        self.background.spawn(Box::pin(async move {
            if let Err(error) = app.refresh_nearby(Seq(0)).await {
                log::warn!("the feed was not refreshed; the next request reads the database: {error:?}");
            }
        }));
    }

    /// Refreshes the feed, up to `since` at least: from the holder if there is one and its answer is good enough,
    /// otherwise from the database.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn refresh_nearby(&self, since: Seq) -> Result<(), DatabaseError> {
        if let Some(holder) = &self.holder {
            self.hear_holder(&**holder).await;
            // The holder's feed is up to half the bound old, and was under way for a while.
            let age_ms = self.vouched_age_ms(self.now());
            if age_ms.is_some_and(|age_ms| age_ms <= self.config.max_staleness_ms * 3 / 4)
                && self.isolate.feed(Feed::head) >= since
            {
                return Ok(());
            }
        }
        self.refresh().await
    }

    /// Reads the feed's news from the database.
    ///
    /// # Errors
    /// The database's.
    pub async fn refresh(&self) -> Result<(), DatabaseError> {
        let (since, sent_at) = (self.isolate.feed(Feed::head), self.now());
        let changes = changes::since(since).run(&*self.database).await?;
        self.hear(&News { since, current_at: Some(sent_at), changes });
        Ok(())
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
