//! A database that was restored to an earlier time, which nobody has to tell.
//!
//! The feed's numbers go on from an earlier one then, and would be used again: a snapshot from the time that was lost
//! would look newer than it is. An isolate notices that the database does not know a number that it knows itself, and a
//! sweep that it does not know one that an earlier sweep has kept in KV. Either steps over all lost numbers, so that
//! everything from before is read again.

use crate::{
    app::{App, error::Error},
    domain::{feed::News, id::Seq, key_text::Digest},
    storage::changes,
};

/// The text behind the name of the highest number in KV. No key's text is like it.
const HEAD: &str = "head of the feed";
/// The time for which KV keeps the highest number, in seconds.
const HEAD_TTL_SECONDS: u64 = 90 * 24 * 60 * 60;

impl App {
    /// Adds one read of the feed.
    pub fn hear(&self, news: &News) {
        if !news.is_of_another_past() {
            return self.isolate.hear(news);
        }
        let known = news.since;
        log::error!("the database does not know change {} any more: it was restored, so all is read anew", known.0);
        self.isolate.forget_feed();
        let app = self.clone();
        self.background.spawn(Box::pin(async move {
            if let Err(error) = app.database.batch(vec![changes::step_over(known)]).await {
                log::error!(
                    "the lost numbers of the feed were not stepped over; the next request tries again: {error:?}"
                );
            }
        }));
    }

    /// Steps over lost numbers of the feed that only an earlier sweep knows, and keeps the highest for the next one.
    ///
    /// # Errors
    /// The database's. Without KV nothing is checked.
    pub async fn step_over_lost_changes(&self) -> Result<(), Error> {
        let Some(seal) = &self.config.cache_seal else { return Ok(()) };
        let digest = Digest::of(HEAD);
        let kept = self.cache.get(seal.name(digest)).await.unwrap_or_else(|message| {
            log::warn!("KV did not tell how far the feed was at the last sweep: {message}");
            None
        });
        let kept =
            kept.as_deref().and_then(|value| seal.open(digest, value)).and_then(|text| text.parse().ok()).map(Seq);
        let head = changes::head().run(&*self.database).await?.unwrap_or(Seq(0));
        match kept {
            Some(kept) if kept == head => return Ok(()),
            Some(kept) if kept > head => {
                log::error!("the database does not know change {} any more: it was restored", kept.0);
                self.database.batch(vec![changes::step_over(kept)]).await?;
                // The next sweep keeps the new number.
                return Ok(());
            }
            _ => {}
        }
        let value = seal.seal(digest, &head.0.to_string());
        if let Err(message) = self.cache.put(seal.name(digest), value, HEAD_TTL_SECONDS).await {
            log::warn!("KV did not keep how far the feed is: {message}");
        }
        Ok(())
    }
}
