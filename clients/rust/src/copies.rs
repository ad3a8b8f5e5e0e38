//! The rules of a follower: which answers may be used again, and until when. `docs/src/feed.md` gives them their numbers.
//! There is no I/O here, and no clock: every instant is a number of milliseconds by one clock.

use std::collections::HashMap;
use std::sync::Arc;

use crate::answer::{Answer, News};

/// The bound as long as no answer has told it.
const DEFAULT_BOUND_MS: f64 = 5_000.0;

/// An answer to a caller's own question may be this old, even if nothing may be kept. It was current when it was read.
const LEAST_ANSWER_MS: f64 = 1_000.0;

/// An answer that was asked for so long ago is asked for again behind its use, so that Bitting knows that the key is used.
const ASK_AGAIN_MS: f64 = 600_000.0;

/// The maximum number of subjects whose last change is remembered.
const MAX_SUBJECTS: usize = 20_000;

/// The SHA-256 of a key, which itself is never kept.
pub(crate) type Name = [u8; 32];

/// An answer, and when it was asked for.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(crate) answer: Arc<Answer>,
    sent_at: f64,
    asked_at: f64,
    used: u64,
}

impl Entry {
    /// An answer to a question that was sent at this instant.
    pub fn new(answer: Answer, sent_at: f64) -> Self {
        Self { answer: Arc::new(answer), sent_at, asked_at: sent_at, used: 0 }
    }
}

/// The answers that are kept, and the feed that vouches for them.
#[derive(Debug)]
pub struct Copies {
    head: i64,
    /// `None` before the first answer of the feed.
    base: Option<i64>,
    last_change: HashMap<String, i64>,
    read_at: f64,
    bound_ms: f64,
    max_staleness_ms: f64,
    max_keys: usize,
    entries: HashMap<Name, Entry>,
    uses: u64,
}

impl Copies {
    /// No answers, and no feed.
    pub fn new(max_keys: usize, max_staleness_ms: f64) -> Self {
        Self {
            head: 0,
            base: None,
            last_change: HashMap::new(),
            read_at: f64::NEG_INFINITY,
            bound_ms: DEFAULT_BOUND_MS,
            max_staleness_ms,
            max_keys,
            entries: HashMap::new(),
            uses: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The `after` of the next question about the feed.
    pub(crate) fn after(&self) -> Option<i64> {
        (self.head > 0).then_some(self.head)
    }

    pub(crate) fn bound_ms(&self) -> f64 {
        self.bound_ms.min(self.max_staleness_ms)
    }

    pub(crate) fn feed_age_ms(&self, now: f64) -> f64 {
        now - self.read_at
    }

    /// Hears an answer of the feed to a question that was sent at `sent_at` with `after` (F1).
    pub fn hear(&mut self, news: News, after: Option<i64>, sent_at: f64) {
        if news.head < self.head {
            return;
        }
        self.bound_ms = news.max_staleness_ms;
        let is_whole = after.is_some_and(|after| news.base <= after);
        if self.base.is_none() || !is_whole {
            self.base = Some(news.base);
            self.last_change.clear();
        }
        for (seq, subject) in news.changes {
            let last = self.last_change.entry(subject).or_insert(seq);
            *last = seq.max(*last);
        }
        self.head = news.head;
        self.read_at = self.read_at.max(sent_at - news.age_ms);
        if self.last_change.len() > MAX_SUBJECTS {
            self.base = Some(self.head);
            self.last_change.clear();
        }
    }

    /// Keeps an answer about a key, unless a newer one is there. One about a key with conditions is for its caller alone,
    /// and what was kept about the key is dropped (F9).
    pub fn keep(&mut self, name: [u8; 32], entry: Entry) {
        let held = self.entries.get(&name).and_then(|held| held.answer.seq);
        if held.zip(entry.answer.seq).is_some_and(|(held, seq)| held > seq) {
            return;
        }
        self.entries.remove(&name);
        if entry.answer.conditional {
            return;
        }
        if self.entries.len() >= self.max_keys {
            self.make_room();
        }
        self.uses += 1;
        self.entries.insert(name, Entry { used: self.uses, ..entry });
    }

    /// Drops the tenth of the answers that were not used for longest, so that a full table is seldom looked through.
    fn make_room(&mut self) {
        let mut uses: Vec<u64> = self.entries.values().map(|entry| entry.used).collect();
        uses.sort_unstable();
        let last = uses.get(self.max_keys / 10).copied().unwrap_or(u64::MAX);
        self.entries.retain(|_, entry| entry.used > last);
    }

    /// Notes a use of a key. Returns true if it is time to ask about it again, and takes that as done.
    pub(crate) fn note_use(&mut self, name: &Name, now: f64) -> bool {
        let Some(entry) = self.entries.get_mut(name) else { return false };
        self.uses += 1;
        entry.used = self.uses;
        let is_due = now - entry.asked_at > ASK_AGAIN_MS;
        if is_due {
            entry.asked_at = now;
        }
        is_due
    }

    /// The number of the newest change that the answer about a key does not know of (F2.1).
    pub(crate) fn contradiction(&self, name: &Name) -> Option<i64> {
        self.entries.get(name).and_then(|entry| self.newer_than(&entry.answer))
    }

    fn newer_than(&self, answer: &Answer) -> Option<i64> {
        let (seq, base) = (answer.seq?, self.base?);
        let newer = answer.subjects.iter().filter_map(|subject| self.last_change.get(subject));
        Some(newer.fold(base, |newest, seq| newest.max(*seq))).filter(|newest| *newest > seq)
    }

    /// The answer about a key as it is at `now`; `None` if Bitting must be asked (F2, F3). A caller that came at `since` may
    /// use an answer to a question that was sent later, however short the bound is.
    pub fn judge(&self, name: &[u8; 32], now: f64, since: f64) -> Option<Arc<Answer>> {
        self.judge_entry(self.entries.get(name)?, now, since)
    }

    /// [`Copies::judge`] for an answer that was not kept.
    pub(crate) fn judge_entry(&self, entry: &Entry, now: f64, since: f64) -> Option<Arc<Answer>> {
        let answer = &entry.answer;
        if self.newer_than(answer).is_some() {
            return None;
        }
        let (elapsed_ms, bound_ms) = (now - entry.sent_at, self.bound_ms());
        let age_ms = elapsed_ms + answer.age_ms;
        let is_own = entry.sent_at >= since && (answer.degraded || age_ms <= bound_ms.max(LEAST_ANSWER_MS));
        let is_fresh = answer.fresh_for_ms.is_none_or(|fresh_for_ms| elapsed_ms < fresh_for_ms) && age_ms < bound_ms;
        let is_known = bound_ms > 0.0 && answer.seq.is_some_and(|seq| seq <= self.head);
        let is_vouched_for = is_known && self.feed_age_ms(now) <= bound_ms;
        if !is_own && (answer.conditional || !(is_fresh || is_vouched_for)) {
            return None;
        }
        if answer.valid && answer.ends_in_ms.is_some_and(|ends_in_ms| elapsed_ms >= ends_in_ms) {
            let code = if answer.outgoing_until.is_some() { "key_rotated" } else { "api_key_expired" };
            return Some(Arc::new(Answer { valid: false, code: code.to_owned(), ..Answer::clone(answer) }));
        }
        Some(Arc::clone(answer))
    }
}

/// The required scopes that are not held; `held` is `None` for everything (F6).
pub(crate) fn missing_scopes(held: Option<&[String]>, required: &[&str]) -> Vec<String> {
    let Some(held) = held else { return Vec::new() };
    let holds = |scope: &str| held.iter().any(|one| one == scope);
    let every = |scope: &str| format!("{}:*", scope.split_once(':').map_or(scope, |(resource, _)| resource));
    let missing = required.iter().filter(|scope| !holds(scope) && !holds(&every(scope)));
    missing.map(|scope| (*scope).to_owned()).collect()
}
