//! The feed for followers: services that verify keys themselves and ask for changes alone.

use crate::{
    app::{App, Principal, error::Error},
    domain::{
        feed::{Feed, Followed},
        id::Seq,
    },
    storage::changes,
};

impl App {
    /// Returns the feed for a follower that knows it up to `after`, and its age, in milliseconds. Without `after` the
    /// follower knows nothing yet, and starts from the head. The operator's keys see all subjects, and all other keys
    /// those on which the keys that they see depend.
    ///
    /// If nothing has changed, or if the caller is the operator's, a feed in memory that is fresh answers alone.
    ///
    /// # Errors
    /// [`Error::KeyChanged`] if the caller's key may have changed; otherwise the database's.
    pub async fn follow(&self, principal: &Principal, after: Option<Seq>) -> Result<(Followed, i64), Error> {
        let since = after.unwrap_or(Seq(0));
        // The follower adds its own time to the age, so that an older feed would leave it too little.
        let age_ms = self.isolate.feed_age_ms(self.now());
        if age_ms.is_none_or(|age_ms| age_ms > self.config.max_staleness_ms / 4)
            || self.isolate.feed(Feed::head) < since
        {
            self.refresh_nearby(since).await?;
        }
        self.still_good(principal)?;
        let followed = self.isolate.feed(|feed| feed.after(after.unwrap_or_else(|| feed.head())));
        let mut followed = followed.ok_or_else(|| Error::Unavailable("the feed was not read".to_owned()))?;
        if !followed.changes.is_empty() && !principal.snapshot.sees_all_organizations() {
            self.keep_own(principal, &mut followed).await?;
        }
        let age_ms = self.now().ms_since(followed.current_at).max(0);
        Ok((followed, age_ms))
    }

    /// Leaves out the subjects of others. A subject that names nothing any more moves `base`, so that nothing that may
    /// have depended on it is believed.
    async fn keep_own(&self, principal: &Principal, followed: &mut Followed) -> Result<(), Error> {
        let caller = &principal.snapshot;
        let own = changes::own(&followed.changes, caller.organization_id, caller.project_id);
        followed.changes = self.query(principal, own).await?;
        let gone = followed.changes.iter().filter(|change| change.subject.is_none());
        followed.base = gone.map(|change| change.seq).fold(followed.base, Seq::max);
        followed.changes.retain(|change| change.subject.is_some());
        Ok(())
    }
}
