//! The work of the cron trigger: records expiries, and prunes what need not be kept any longer.
//!
//! Nothing here is needed for a key to be refused in time: deadlines hold by themselves. Each chore is
//! one atomic batch that leaves nothing half-done, so a sweep can run twice, at the same time as
//! another, or die anywhere.

use std::collections::BTreeMap;

use crate::{
    app::{App, error::Error},
    domain::{idempotency::IDEMPOTENCY_WINDOW_MS, time::UnixMillis},
    ports::Statement,
    storage::{audit, changes, idempotency, key_uses, keys, sessions},
};

/// How long each chore goes on starting batches, in milliseconds. What is left waits for the next sweep.
const BUDGET_MS: i64 = 20_000;
/// Keys recorded, or rows pruned, in one batch.
const BATCH: i64 = 500;
/// How many of the newest changes stay. An isolate that has not asked for longer than that starts
/// anew, and snapshots from before are read again.
const KEPT_CHANGES: i64 = 10_000;

/// A part of the work of a sweep.
pub struct Chore {
    /// Its name, under which the sweep says how many rows it changed.
    pub name: &'static str,
    /// The batch at an instant, for so many rows at most. It is repeated until its last statement gives fewer rows.
    pub batch: fn(&App, UnixMillis, i64) -> Vec<Statement>,
}

/// The number of rows that each chore changed, by the chores' names. Those that changed none are left out.
pub type Swept = BTreeMap<&'static str, usize>;

/// The chores of keys and of what is behind them.
pub const CHORES: &[Chore] = &[
    Chore {
        name: "keys_expired",
        batch: |app, now, limit| {
            vec![keys::record_expiry(now, limit, app.config.audit_retention_ms), keys::mark_expired(now, limit)]
        },
    },
    Chore { name: "rotations_finished", batch: |_, now, limit| vec![keys::forget_rotated(now, limit)] },
    Chore { name: "changes_pruned", batch: |_, _, limit| vec![changes::prune(KEPT_CHANGES, limit)] },
    Chore { name: "events_pruned", batch: |_, _, limit| vec![audit::prune(limit)] },
    Chore { name: "days_pruned", batch: |_, now, limit| vec![key_uses::prune(now, limit)] },
    // Links to sign in that had expired are not counted.
    Chore {
        name: "sessions_pruned",
        batch: |_, now, limit| vec![sessions::prune_links(now, limit), sessions::prune(now, limit)],
    },
    Chore {
        name: "idempotency_keys_pruned",
        batch: |_, now, limit| vec![idempotency::prune(now.plus_ms(-IDEMPOTENCY_WINDOW_MS), limit)],
    },
];

impl App {
    /// Does chores, each until nothing is left or its time is up.
    ///
    /// # Errors
    /// The database's; what was done before stays done.
    pub async fn sweep(&self, chores: impl IntoIterator<Item = &Chore>) -> Result<Swept, Error> {
        let now = self.now();
        let mut swept = Swept::new();
        for chore in chores {
            let rows = self.repeat(|| (chore.batch)(self, now, BATCH)).await?;
            if rows > 0 {
                *swept.entry(chore.name).or_default() += rows;
            }
        }
        Ok(swept)
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
