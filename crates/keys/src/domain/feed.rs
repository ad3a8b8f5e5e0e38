//! The change feed as one isolate knows it. It decides whether a cached snapshot may be used.
//!
//! The database numbers every change (`seq`, without gaps). A snapshot carries the `seq` at which it was read; the
//! feed knows the last change of each subject since `base`. A snapshot is stale only if one of its subjects changed
//! after its `seq`. The feed can tell if it reaches back that far and was read recently. Nothing is guessed: if the
//! feed cannot tell, the database is read again.

use std::collections::HashMap;

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

/// One read of the feed: the changes from `since` on, inclusive, newest first, at most [`PAGE`]. The newest change
/// is never pruned, so the answer is empty only if there was never a change.
#[derive(Debug, Clone)]
pub struct News {
    /// The head that the isolate knew when it sent the query.
    pub since: Seq,
    /// The instant before the query was sent. The answer may be as old as this.
    pub sent_at: UnixMillis,
    /// The changes.
    pub changes: Vec<(Seq, Subject)>,
}

impl News {
    /// The newest change in this answer.
    pub fn head(&self) -> Seq {
        self.changes.first().map_or(Seq(0), |(seq, _)| *seq)
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
        // Numbers follow one another, except after a restore that skipped some. Then snapshots from before the skip
        // can no longer be judged.
        let run = news.changes.iter().zip((0..=head.0).rev()).take_while(|((seq, _), expected)| seq.0 == *expected);
        let run: Vec<&(Seq, Subject)> = run.map(|(change, _)| change).collect();
        let oldest = run.last().map_or(Seq(1), |(seq, _)| *seq);
        // Changes between `since` and the oldest one here were cut off by the page or by pruning.
        let gap = oldest > Seq(news.since.0.saturating_add(1));
        let known = match self.known.take() {
            Some(known) if !gap => known,
            before => Known {
                base: Seq(oldest.0 - 1),
                head,
                last_change: HashMap::new(),
                read_at: before.map_or(news.sent_at, |known| known.read_at),
            },
        };
        let known = self.known.insert(known);
        for (seq, subject) in run {
            let last = known.last_change.entry(*subject).or_insert(*seq);
            *last = (*last).max(*seq);
        }
        if known.last_change.len() > MAX_SUBJECTS {
            known.base = head;
            known.last_change.clear();
        }
        known.head = head;
        known.read_at = known.read_at.max(news.sent_at);
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

    use super::{Feed, MAX_SUBJECTS, News, Seq, Snapshot, Subject, UnixMillis};

    const KEY: &str = "01900000-0000-7000-8000-000000000001";
    const ORGANIZATION: &str = "01900000-0000-7000-8000-000000000002";
    const USER: &str = "01900000-0000-7000-8000-000000000003";
    const OTHER: &str = "01900000-0000-7000-8000-000000000004";

    /// A read of the feed with these changes, written as (seq, subject), newest first.
    fn news(since: i64, sent_at: i64, changes: &[(i64, &str)]) -> News {
        News {
            since: Seq(since),
            sent_at: UnixMillis(sent_at),
            changes: changes.iter().map(|(seq, subject)| (Seq(*seq), Subject::parse(subject))).collect(),
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
            "role": "member",
            "metadata": Map::new(),
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
            ("first read reaches back to the first change", &[news(0, 0, &[(2, OTHER), (1, OTHER)])], Some(0)),
            ("first read begins in the middle", &[news(0, 0, &[(9, OTHER), (8, OTHER)])], Some(7)),
            ("numbers were stepped over", &[news(0, 0, &[(9, OTHER), (8, OTHER), (2, KEY), (1, OTHER)])], Some(7)),
            ("key changed", &[news(0, 0, &[(2, OTHER), (1, KEY)])], Some(1)),
            ("organization changed", &[news(0, 0, &[(2, ORGANIZATION), (1, OTHER)])], Some(2)),
            ("user changed", &[news(0, 0, &[(3, OTHER), (2, USER), (1, OTHER)])], Some(2)),
            ("key changed twice in one read", &[news(0, 0, &[(3, KEY), (2, OTHER), (1, KEY)])], Some(3)),
            (
                "second read goes on where the first ended",
                &[news(0, 0, &[(4, OTHER)]), news(4, 1, &[(6, OTHER), (5, OTHER), (4, OTHER)])],
                Some(3),
            ),
            (
                "first row was pruned and nothing after it",
                &[news(0, 0, &[(4, OTHER)]), news(4, 1, &[(6, OTHER), (5, OTHER)])],
                Some(3),
            ),
            (
                "changes in between were pruned or did not fit",
                &[news(0, 0, &[(4, OTHER)]), news(4, 1, &[(7, OTHER), (6, OTHER)])],
                Some(5),
            ),
            (
                "two reads are under way from the same head and both arrive in order",
                &[
                    news(0, 0, &[(4, KEY)]),
                    news(4, 1, &[(5, OTHER), (4, KEY)]),
                    news(4, 1, &[(6, KEY), (5, OTHER), (4, KEY)]),
                ],
                Some(6),
            ),
            (
                "read that was overtaken would start the feed anew without what it lacks",
                &[news(0, 0, &[(9, KEY), (8, OTHER)]), news(0, 1, &[(8, OTHER)])],
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
            ("feed that starts again after a gap", vec![news(0, 20, &[(1, KEY)]), news(0, 10, &[(9, KEY)])], 80),
        ] {
            assert_eq!(feed(&all).age_ms(UnixMillis(100)), Some(expected), "{case}");
        }
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
            sent_at: UnixMillis(0),
            changes: (from.max(1)..=to).rev().map(|seq| (Seq(seq), subject(seq))).collect(),
        };
        let full = feed(&[read(0, most)]);
        assert!(full.permits(&snapshot(0)));
        let anew = feed(&[read(0, most), read(most, most + 1)]);
        assert!(!anew.permits(&snapshot(most)));
        assert!(anew.permits(&snapshot(most + 1)));
    }
}
