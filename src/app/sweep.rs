//! The work of the cron trigger: records expiries, prunes the feed, the audit log, the traces, the
//! runs, the Idempotency-Keys and the sessions, and gives back the credits of runs that were broken off.
//!
//! Nothing here is needed for a key to be refused in time: deadlines hold by themselves. Each step is
//! one atomic batch that leaves nothing half-done, so a sweep can run twice, at the same time as
//! another, or die anywhere.

use crate::{
    app::{App, error::Error},
    domain::{idempotency::IDEMPOTENCY_WINDOW_MS, time::UnixMillis},
    ports::Statement,
    storage::{audit, changes, datasets, idempotency, key_uses, keys, runs, sessions, traces},
};

/// How long each step goes on starting batches, in milliseconds. What is left waits for the next sweep.
const BUDGET_MS: i64 = 20_000;
/// Keys recorded, or rows pruned, in one batch.
const BATCH: i64 = 500;
/// A run that has not ended after this time was broken off, in milliseconds: no model takes as long.
const RUN_MS: i64 = 10 * 60 * 1000;
/// How many of the newest changes stay. An isolate that has not asked for longer than that starts
/// anew, and snapshots from before are read again.
const KEPT_CHANGES: i64 = 10_000;

/// The work that a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Keys whose expiry was recorded.
    pub keys_expired: usize,
    /// Rotations whose outgoing secret was forgotten.
    pub rotations_finished: usize,
    /// Changes that were pruned from the feed.
    pub changes_pruned: usize,
    /// Audit events that had reached the end of their retention.
    pub events_pruned: usize,
    /// Chunks of data sets that were deleted, or whose upload was broken off.
    pub chunks_pruned: usize,
    /// Idempotency-Keys whose window was over.
    pub idempotency_keys_pruned: usize,
    /// Days of which it was told how often a key was used.
    pub days_pruned: usize,
    /// Sessions that had expired; links to sign in that had are not counted.
    pub sessions_pruned: usize,
    /// Traces, feedback and requests for an evaluation that had.
    pub traces_pruned: usize,
    /// Runs of live evaluations that were broken off and have their credit back.
    pub runs_failed: usize,
    /// Runs that had reached the end of their retention.
    pub runs_pruned: usize,
}

/// The rows of data sets that nobody sees any more, their shares, and themselves once they have no rows.
fn prune_datasets(now: UnixMillis) -> Vec<Statement> {
    vec![datasets::prune_shares(now), datasets::prune(now, BATCH), datasets::prune_chunks(now, BATCH)]
}

impl App {
    /// Records expiries and prunes, until nothing is left or the time is up.
    ///
    /// # Errors
    /// What the database says; what was done before stays done.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let now = self.now();
        let window_start = now.plus_ms(-IDEMPOTENCY_WINDOW_MS);
        let retention_ms = self.config.audit_retention_ms;
        let expire = || vec![keys::record_expiry(now, BATCH, retention_ms), keys::mark_expired(now, BATCH)];
        Ok(Swept {
            keys_expired: self.repeat(expire).await?,
            rotations_finished: self.repeat(|| vec![keys::forget_rotated(now, BATCH)]).await?,
            changes_pruned: self.repeat(|| vec![changes::prune(KEPT_CHANGES, BATCH)]).await?,
            events_pruned: self.repeat(|| vec![audit::prune(BATCH)]).await?,
            traces_pruned: self.repeat(|| vec![traces::prune(BATCH)]).await?
                + self.repeat(|| vec![traces::prune_feedback(BATCH)]).await?
                + self.repeat(|| vec![traces::prune_evals(BATCH)]).await?,
            runs_failed: self.repeat(|| runs::fail_broken_off(now.plus_ms(-RUN_MS), now, BATCH)).await?,
            runs_pruned: self.repeat(|| runs::prune(BATCH)).await?,
            chunks_pruned: self.repeat(|| prune_datasets(now)).await?,
            days_pruned: self.repeat(|| vec![key_uses::prune(now, BATCH)]).await?,
            sessions_pruned: self
                .repeat(|| vec![sessions::prune_links(now, BATCH), sessions::prune(now, BATCH)])
                .await?,
            idempotency_keys_pruned: self.repeat(|| vec![idempotency::prune(window_start, BATCH)]).await?,
        })
    }

    /// Runs a batch until its last statement gives fewer rows than a full batch; gives their sum.
    async fn repeat(&self, batch: impl Fn() -> Vec<Statement>) -> Result<usize, Error> {
        let started_at = self.now();
        let mut done = 0;
        loop {
            let rows = self.database.batch(batch()).await?.pop().unwrap_or_default().len();
            done += rows;
            if i64::try_from(rows).unwrap_or(i64::MAX) < BATCH || self.now().ms_since(started_at) > BUDGET_MS {
                return Ok(done);
            }
        }
    }
}
