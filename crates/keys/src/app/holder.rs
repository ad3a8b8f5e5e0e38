//! The holder of the feed: it reads the database in place of all isolates near it.
//!
//! It hands on what it knows together with its age, by its own clock. Who asks adds the time that the answer took, by
//! theirs. So ages add up from hop to hop, and the bound holds however many hops there are.

use std::cell::Cell;

use futures_util::lock::Mutex;

use crate::{
    app::{App, error::Error},
    domain::{
        feed::{Feed, HeldNews},
        id::Seq,
        time::{UnixMillis, has_elapsed},
    },
};

/// The time without a request after which the holder reads the feed no more, in milliseconds.
const IDLE_MS: i64 = 60 * 1000;

/// A holder of the feed. Its memory is that of an isolate which holds no keys.
pub struct Holder {
    app: App,
    /// One read of the feed at a time. All that wait for it take its news.
    turn: Mutex<()>,
    used_at: Cell<Option<UnixMillis>>,
    tried_at: Cell<Option<UnixMillis>>,
}

impl Holder {
    /// Creates a holder that knows nothing yet.
    pub fn new(app: App) -> Self {
        Self { app, turn: Mutex::default(), used_at: Cell::default(), tried_at: Cell::default() }
    }

    /// Answers an isolate that knows the feed up to `since`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn news(&self, since: Seq) -> Result<HeldNews, Error> {
        self.used_at.set(Some(self.app.now()));
        // The feed is read every half bound. A little later it is still worth more than a wait.
        let is_good = || self.age_ms().is_some_and(|age_ms| age_ms <= self.bound_ms() * 3 / 4) && self.head() >= since;
        if !is_good() {
            let _turn = self.turn.lock().await;
            if !is_good() && self.may_try() {
                self.refresh().await?;
            }
        }
        let changes = self.app.isolate.feed(|feed| feed.since(since));
        match (self.age_ms(), changes) {
            (Some(age_ms), Some(changes)) if age_ms <= self.bound_ms() => Ok(HeldNews { age_ms, changes }),
            _ => Err(Error::Unavailable("the feed could not be read a moment ago".to_owned())),
        }
    }

    /// Reads the feed while anybody uses it. Returns the time until it is due again, in milliseconds; `None` once
    /// nobody does.
    pub async fn poll(&self) -> Option<i64> {
        let used_at = self.used_at.get()?;
        if has_elapsed(used_at, IDLE_MS, self.app.now()) {
            return None;
        }
        let _turn = self.turn.lock().await;
        if self.may_try()
            && let Err(error) = self.refresh().await
        {
            log::warn!("the holder could not read the feed: {error:?}");
        }
        Some(self.interval_ms())
    }

    /// The time between two reads of the feed, in milliseconds.
    pub fn interval_ms(&self) -> i64 {
        self.bound_ms() / 2
    }

    async fn refresh(&self) -> Result<(), Error> {
        self.tried_at.set(Some(self.app.now()));
        Ok(self.app.refresh().await?)
    }

    /// True if the last read is not so recent that another would be too much for the database.
    fn may_try(&self) -> bool {
        self.tried_at.get().is_none_or(|at| has_elapsed(at, self.bound_ms() / 8, self.app.now()))
    }

    fn bound_ms(&self) -> i64 {
        self.app.config.max_staleness_ms
    }

    fn age_ms(&self) -> Option<i64> {
        self.app.isolate.feed_age_ms(self.app.now())
    }

    fn head(&self) -> Seq {
        self.app.isolate.feed(Feed::head)
    }
}
