//! The change feed as one isolate knows it. It decides whether a cached snapshot may be used.
//!
//! The database numbers every change (`seq`) and keeps the last one of each subject. A snapshot carries the `seq` at
//! which it was read; the feed knows the last change of each subject since `base`. A snapshot is stale only if one of
//! its subjects changed after its `seq`. The feed can tell if it reaches back that far and was read recently. Nothing
//! is guessed: if the feed cannot tell, the database is read again.

use std::{cmp::Reverse, collections::HashMap};

use serde::{Deserialize, Serialize};

use crate::domain::{
    id::{Seq, Subject},
    snapshot::Snapshot,
    time::UnixMillis,
};

/// The maximum number of changes in one read of the feed.
pub const PAGE: i64 = 1_000;

/// The maximum number of subjects that an isolate remembers. Beyond it, the feed starts again from the newest
/// change.
const MAX_SUBJECTS: usize = 20_000;

/// A row of the feed. Its JSON is an array: `[7, "01900000-…"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Seq, Option<Subject>)", into = "(Seq, Option<Subject>)")]
pub struct Change {
    /// The number of the change.
    pub seq: Seq,
    /// The subject, which has not changed again since; `None` if all changes up to this one may have been pruned.
    pub subject: Option<Subject>,
}

impl From<(Seq, Option<Subject>)> for Change {
    fn from((seq, subject): (Seq, Option<Subject>)) -> Self {
        Self { seq, subject }
    }
}

impl From<Change> for (Seq, Option<Subject>) {
    fn from(Change { seq, subject }: Change) -> Self {
        (seq, subject)
    }
}

/// The feed for a follower that knows it up to some change: every change after `base` is in `changes`, or was known to
/// the follower.
#[derive(Debug)]
pub struct Followed {
    /// The change from which on nothing is missing. A follower that asked from an earlier one drops what it knows.
    pub base: Seq,
    /// The newest change.
    pub head: Seq,
    /// The instant up to which no change is missing.
    pub current_at: UnixMillis,
    /// The last change of each subject that changed, the newest first.
    pub changes: Vec<Change>,
}

/// The answer of a holder of the feed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldNews {
    /// The age of the holder's feed when it answered, in milliseconds, by its own clock.
    pub age_ms: i64,
    /// The rows, as a read of the database gives them.
    pub changes: Vec<Change>,
}

impl HeldNews {
    /// The answer as a read of the feed by who asked at `sent_at`. The ages of both ways add up, and no clocks are
    /// compared.
    pub fn news(self, since: Seq, sent_at: UnixMillis) -> News {
        News { since, current_at: Some(sent_at.plus_ms(-self.age_ms.max(0))), changes: self.changes }
    }
}

/// One read of the feed: the rows from `since` on, inclusive, newest first, at most [`PAGE`]. The newest number is
/// never lost, so the answer is empty only if there was never a change.
#[derive(Debug, Clone)]
pub struct News {
    /// The head that the isolate knew when it sent the query.
    pub since: Seq,
    /// The instant up to which no change is missing: before the query was sent to the primary. `None` for the answer of
    /// a replica, which may lack any number of the newest changes.
    pub current_at: Option<UnixMillis>,
    /// The rows.
    pub changes: Vec<Change>,
}

impl News {
    /// The newest change in this answer.
    pub fn head(&self) -> Seq {
        self.changes.first().map_or(Seq(0), |change| change.seq)
    }

    /// True if the primary has forgotten numbers that it once gave out: it was restored to an earlier time. The newest
    /// number is otherwise never lost.
    pub fn is_of_another_past(&self) -> bool {
        self.current_at.is_some() && self.since > Seq(0) && self.changes.is_empty()
    }

    /// The number after which this answer has the last change of every subject. Those up to it were known when the
    /// query was sent, or were pruned, or did not fit.
    fn floor(&self) -> Seq {
        let cut = i64::try_from(self.changes.len()).is_ok_and(|rows| rows >= PAGE);
        let oldest = self.changes.last().filter(|_| cut).map(|change| Seq(change.seq.0 - 1));
        let pruned = self.changes.iter().filter(|change| change.subject.is_none()).map(|change| change.seq);
        pruned.chain(oldest).fold(self.since, Seq::max)
    }
}

/// The changes that an isolate knows of.
#[derive(Debug, Default)]
pub struct Feed {
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    /// Every change after this one is known. Older snapshots cannot be judged.
    base: Seq,
    head: Seq,
    last_change: HashMap<Subject, Seq>,
    read_at: UnixMillis,
}

impl Feed {
    /// The newest known change, from which to read on.
    pub fn head(&self) -> Seq {
        self.known.as_ref().map_or(Seq(0), |known| known.head)
    }

    /// Adds one read of the feed.
    pub fn apply(&mut self, news: &News) {
        let head = news.head();
        // An answer that a newer one has overtaken is dropped whole: its age would make the feed look fresher than
        // it is, and its gaps would be judged against the wrong head.
        if head < self.head() {
            return;
        }
        let floor = news.floor();
        let before = self.known.take();
        let times = before.as_ref().map(|known| known.read_at).into_iter().chain(news.current_at);
        // A replica alone cannot begin a feed: nobody knows its age.
        let Some(read_at) = times.max() else { return };
        let known = match before {
            Some(known) if floor <= news.since => known,
            _ => Known { base: floor, head, last_change: HashMap::new(), read_at },
        };
        let known = self.known.insert(known);
        for change in &news.changes {
            if let Some(subject) = change.subject {
                let last = known.last_change.entry(subject).or_insert(change.seq);
                *last = (*last).max(change.seq);
            }
        }
        if known.last_change.len() > MAX_SUBJECTS {
            known.base = head;
            known.last_change.clear();
        }
        known.head = head;
        known.read_at = read_at;
    }

    /// The changes from `since` on for another reader of the feed, as a read of the database gives them; `None` if the
    /// feed was never read.
    pub fn since(&self, since: Seq) -> Option<Vec<Change>> {
        let known = self.known.as_ref()?;
        // Nearly every reader knows nearly everything.
        let newer = known.last_change.iter().filter(|(_, seq)| **seq >= since);
        let mut changes: Vec<Change> =
            newer.map(|(subject, seq)| Change { seq: *seq, subject: Some(*subject) }).collect();
        if known.base >= since || changes.is_empty() {
            changes.push(Change { seq: known.base, subject: None });
        }
        changes.sort_by_key(|change| Reverse(change.seq));
        changes.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
        Some(changes)
    }

    /// The feed for a follower that knows it up to `after`; `None` if the feed was never read. If this feed does not reach
    /// back that far, or if [`PAGE`] subjects have changed, the follower starts again from the head.
    pub fn after(&self, after: Seq) -> Option<Followed> {
        let mut changes = self.since(Seq(after.0 + 1))?;
        let known = self.known.as_ref()?;
        changes.retain(|change| change.subject.is_some());
        let is_whole = after >= known.base && i64::try_from(changes.len()).is_ok_and(|rows| rows < PAGE);
        if !is_whole {
            changes.clear();
        }
        let base = if is_whole { after.min(known.head) } else { known.head };
        Some(Followed { base, head: known.head, current_at: known.read_at, changes })
    }

    /// The age of the feed, in milliseconds. `None` if it was never read, or if the clock was set back to before
    /// that read. Then the age is unknown and the feed is forgotten. If it were kept, it would hide every newer
    /// read, and look fresh again once the clock had caught up with it.
    pub fn age_ms(&mut self, now: UnixMillis) -> Option<i64> {
        let age = now.ms_since(self.known.as_ref()?.read_at);
        if age < 0 {
            self.known = None;
        }
        (age >= 0).then_some(age)
    }

    /// True if the feed reaches back to this snapshot and knows of no later change of its subjects. A snapshot from
    /// beyond the head is of a database that this one is not, or of an answer that this isolate has not heard of yet.
    pub fn permits(&self, snapshot: &Snapshot) -> bool {
        self.known.as_ref().is_some_and(|known| {
            snapshot.seq >= known.base
                && snapshot.seq <= known.head
                && snapshot
                    .subjects()
                    .all(|subject| known.last_change.get(&subject).is_none_or(|seq| *seq <= snapshot.seq))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::{Change, Feed, MAX_SUBJECTS, News, PAGE, Seq, Snapshot, Subject, UnixMillis};

    const KEY: &str = "01900000-0000-7000-8000-000000000001";
    const ORGANIZATION: &str = "01900000-0000-7000-8000-000000000002";
    const USER: &str = "01900000-0000-7000-8000-000000000003";
    const OTHER: &str = "01900000-0000-7000-8000-000000000004";

    const PRUNED: &str = "pruned";

    /// A row of the feed.
    fn change(seq: i64, subject: &str) -> Change {
        Change { seq: Seq(seq), subject: (subject != PRUNED).then(|| Subject::parse(subject)) }
    }

    /// A read of the feed with these changes, written as (seq, subject), newest first.
    fn news(since: i64, sent_at: i64, changes: &[(i64, &str)]) -> News {
        News {
            since: Seq(since),
            current_at: Some(UnixMillis(sent_at)),
            changes: changes.iter().map(|(seq, subject)| change(*seq, subject)).collect(),
        }
    }

    fn feed(all: &[News]) -> Feed {
        let mut feed = Feed::default();
        for news in all {
            feed.apply(news);
        }
        feed
    }

    fn snapshot(seq: i64) -> Snapshot {
        serde_json::from_value(json!({
            "seq": seq,
            "key_id": KEY,
            "organization_id": ORGANIZATION,
            "operator": false,
            "policy": {},
            "subscription": "active",
            "user_id": USER,
            "kind": "pat",
            "name": "ci",
            "scopes": null,
            "conditions": {},
            "role": "member",
            "metadata": Map::new(),
            "operator_metadata": Map::new(),
            "life": { "expires_at": null, "disabled_at": null, "revoked_at": null },
            "standing": "good",
        }))
        .unwrap()
    }

    /// The first seq from which the feed permits snapshots. It must permit all later ones up to its head, and none
    /// beyond it.
    fn permits_from(feed: &Feed) -> Option<i64> {
        let permitted: Vec<i64> = (0..=20).filter(|seq| feed.permits(&snapshot(*seq))).collect();
        let first = permitted.first().copied();
        assert!(first.is_none_or(|first| permitted.into_iter().eq(first..=feed.head().0)));
        first
    }

    #[test]
    fn apply_permits_only_what_the_feed_can_tell() {
        let cases: [(&str, &[News], Option<i64>); 14] = [
            ("never read", &[], None),
            ("nothing has ever changed", &[news(0, 0, &[])], Some(0)),
            ("nothing was pruned", &[news(0, 0, &[(2, OTHER), (1, OTHER)])], Some(0)),
            (
                "earlier changes of the same subjects left their numbers",
                &[news(0, 0, &[(9, OTHER), (4, USER)])],
                Some(4),
            ),
            ("changes were pruned", &[news(0, 0, &[(9, OTHER), (8, OTHER), (7, PRUNED)])], Some(7)),
            ("all changes were pruned", &[news(0, 0, &[(9, PRUNED)])], Some(9)),
            ("numbers were stepped over after a restore", &[news(0, 0, &[(9, PRUNED), (2, KEY), (1, OTHER)])], Some(9)),
            ("key changed", &[news(0, 0, &[(2, OTHER), (1, KEY)])], Some(1)),
            ("organization changed", &[news(0, 0, &[(2, ORGANIZATION), (1, OTHER)])], Some(2)),
            ("user changed", &[news(0, 0, &[(3, OTHER), (2, USER), (1, OTHER)])], Some(2)),
            (
                "second read goes on where the first ended",
                &[news(0, 0, &[(4, OTHER), (3, PRUNED)]), news(4, 1, &[(6, OTHER)])],
                Some(3),
            ),
            (
                "changes in between were pruned",
                &[news(0, 0, &[(4, OTHER)]), news(4, 1, &[(7, OTHER), (6, OTHER), (5, PRUNED)])],
                Some(5),
            ),
            (
                "two reads are under way from the same head and both arrive in order",
                &[news(0, 0, &[(4, KEY)]), news(4, 1, &[(5, OTHER), (4, KEY)]), news(4, 1, &[(6, KEY), (5, OTHER)])],
                Some(6),
            ),
            (
                "read that was overtaken would start the feed anew without what it lacks",
                &[news(0, 0, &[(9, KEY), (8, OTHER)]), news(0, 1, &[(8, OTHER), (7, PRUNED)])],
                Some(9),
            ),
        ];
        for (case, all, expected) in cases {
            assert_eq!(permits_from(&feed(all)), expected, "{case}");
        }
    }

    #[test]
    fn apply_counts_the_age_from_the_newest_question() {
        for (case, all, expected) in [
            ("one read", vec![news(0, 10, &[])], 90),
            ("answer to an older question with the same news", vec![news(0, 20, &[]), news(0, 10, &[])], 80),
            (
                "answer to an older question with newer news",
                vec![news(0, 20, &[(1, KEY)]), news(0, 10, &[(2, KEY), (1, KEY)])],
                80,
            ),
            ("answer that was overtaken", vec![news(0, 10, &[(2, KEY), (1, KEY)]), news(0, 20, &[(1, KEY)])], 90),
            (
                "feed that starts again because changes were pruned",
                vec![news(0, 20, &[(1, KEY)]), news(0, 10, &[(9, KEY), (8, PRUNED)])],
                80,
            ),
        ] {
            assert_eq!(feed(&all).age_ms(UnixMillis(100)), Some(expected), "{case}");
        }
    }

    #[test]
    fn full_read_knows_only_what_fits() {
        let read = |asked: i64, head: i64| News {
            since: Seq(asked),
            current_at: Some(UnixMillis(0)),
            changes: (0..PAGE).map(|row| change(head - row, OTHER)).collect(),
        };
        assert_eq!(feed(&[read(0, PAGE + 5)]).known.unwrap().base, Seq(5));
        assert_eq!(feed(&[news(0, 0, &[(4, OTHER)]), read(4, PAGE + 4)]).known.unwrap().base, Seq(0), "it just fits");
        assert_eq!(feed(&[news(0, 0, &[(4, OTHER)]), read(4, PAGE + 5)]).known.unwrap().base, Seq(5));
    }

    #[test]
    fn read_that_was_under_way_when_the_feed_was_forgotten_reaches_back_to_its_question() {
        let mut feed = feed(&[news(0, 100, &[(4, OTHER)])]);
        assert_eq!(feed.age_ms(UnixMillis(40)), None);
        feed.apply(&news(4, 41, &[(6, OTHER)]));
        assert_eq!(permits_from(&feed), Some(4));
    }

    #[test]
    fn age_is_unknown_before_the_first_read() {
        assert_eq!(Feed::default().age_ms(UnixMillis(100)), None);
    }

    #[test]
    fn clock_that_was_set_back_starts_the_feed_anew() {
        let mut feed = feed(&[news(0, 100, &[(1, OTHER)])]);
        assert_eq!(feed.age_ms(UnixMillis(100)), Some(0));
        assert_eq!(feed.age_ms(UnixMillis(40)), None);
        assert_eq!(feed.age_ms(UnixMillis(101)), None, "it is not one millisecond old but 61");
        feed.apply(&news(feed.head().0, 41, &[(2, OTHER), (1, OTHER)]));
        assert_eq!(feed.age_ms(UnixMillis(45)), Some(4), "a newer read counts by the clock as it is now");
    }

    #[test]
    fn table_that_is_full_starts_anew_from_the_newest_change() {
        let most = i64::try_from(MAX_SUBJECTS).unwrap();
        let subject = |seq: i64| Subject::parse(&format!("02000000-0000-7000-8000-{seq:012}"));
        let read = |from: i64, to: i64| News {
            since: Seq(from),
            current_at: Some(UnixMillis(0)),
            changes: (from.max(1)..=to)
                .rev()
                .map(|seq| Change { seq: Seq(seq), subject: Some(subject(seq)) })
                .collect(),
        };
        // Each read brings what is new since the one before.
        let step = PAGE - 1;
        let reads = |to: i64| {
            (0..=to / step).map(|number| read(number * step, to.min((number + 1) * step))).collect::<Vec<_>>()
        };
        assert!(feed(&reads(most)).permits(&snapshot(0)));
        let anew = feed(&reads(most + 1));
        assert!(!anew.permits(&snapshot(most)));
        assert!(anew.permits(&snapshot(most + 1)));
    }
}
