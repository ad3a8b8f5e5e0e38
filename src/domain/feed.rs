//! The change feed as one isolate knows it: what makes a snapshot from anywhere safe to believe.
//!
//! The database numbers every change (`seq`, without gaps). A snapshot knows the `seq` at which it was
//! read; the feed knows the last change of each subject since `base`. A snapshot is untrue only if one
//! of its subjects changed behind its `seq`, and the feed can tell if it reaches back that far and was
//! read lately. Nothing is ever guessed: what the feed cannot tell is read again from the database.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{id::Subject, snapshot::Snapshot, time::UnixMillis};

/// The most changes that one read of the feed brings.
pub const PAGE: i64 = 1_000;

/// The most subjects that an isolate remembers before it starts anew from the newest change.
const MAX_SUBJECTS: usize = 20_000;

/// The number of a change. 0 stands before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub i64);

/// One read of the feed: the newest changes from `asked` on, `asked` included, the newest first,
/// at most [`PAGE`]. The newest change of all is never pruned, so the answer is empty only when
/// nothing has ever changed.
#[derive(Debug, Clone)]
pub struct News {
    /// The head that the isolate knew when it asked.
    pub asked: Seq,
    /// The instant before the question was sent: the answer may be that old.
    pub sent_at: UnixMillis,
    /// The changes.
    pub changes: Vec<(Seq, Subject)>,
}

impl News {
    /// The newest change that this answer knows.
    pub fn head(&self) -> Seq {
        self.changes.first().map_or(Seq(0), |(seq, _)| *seq)
    }
}

/// What an isolate knows of the changes.
#[derive(Debug, Default)]
pub struct Feed {
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    /// Every change behind this one is known; snapshots from before it cannot be judged.
    base: Seq,
    head: Seq,
    last_change: HashMap<Subject, Seq>,
    read_at: UnixMillis,
}

impl Feed {
    /// From where to ask for news.
    pub fn head(&self) -> Seq {
        self.known.as_ref().map_or(Seq(0), |known| known.head)
    }

    /// Takes in what a read of the feed brought.
    pub fn apply(&mut self, news: &News) {
        let head = news.head();
        // An answer that a newer one has overtaken is dropped whole: its age would make what is
        // known look fresher than it is, and its gaps would be judged against the wrong head.
        if head < self.head() {
            return;
        }
        // Numbers follow one another, unless someone has stepped over some after a restore: then
        // nothing from before that step can be judged any more.
        let run = news.changes.iter().zip((0..=head.0).rev()).take_while(|((seq, _), expected)| seq.0 == *expected);
        let run: Vec<&(Seq, Subject)> = run.map(|(change, _)| change).collect();
        let oldest = run.last().map_or(Seq(1), |(seq, _)| *seq);
        // Changes between `asked` and the oldest one here were cut off by the page or by pruning.
        let gap = oldest > Seq(news.asked.0.saturating_add(1));
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

    /// How old the feed is, in milliseconds. `None` when it was never read, or when the clock was
    /// set back behind that read: then nobody can say.
    pub fn age_ms(&self, now: UnixMillis) -> Option<i64> {
        let age = now.ms_since(self.known.as_ref()?.read_at);
        (age >= 0).then_some(age)
    }

    /// Whether the feed reaches back to this snapshot and knows of no change behind it.
    pub fn permits(&self, snapshot: &Snapshot) -> bool {
        self.known.as_ref().is_some_and(|known| {
            snapshot.seq >= known.base
                && snapshot
                    .subjects()
                    .all(|subject| known.last_change.get(&subject).is_none_or(|seq| *seq <= snapshot.seq))
        })
    }
}
