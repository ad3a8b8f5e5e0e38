//! The work of the cron trigger: seals the audit log, records expiries, and prunes outdated rows.
//!
//! No refusal depends on it: deadlines hold by themselves. Each chore is one atomic batch that leaves nothing
//! half-done, so a sweep can run twice, run at the same time as another, or die anywhere.

use std::collections::BTreeMap;

use crate::{
    app::{App, error::Error},
    domain::{
        idempotency::IDEMPOTENCY_WINDOW_MS,
        time::{DAY_MS, UnixMillis},
    },
    ports::Statement,
    storage::{audit_seals, changes, device_links, idempotency, key_uses, keys, sessions, trusts},
};

/// The time in which each chore may start batches, in milliseconds. The rest waits for the next sweep.
const BUDGET_MS: i64 = 20_000;
/// The number of rows in one batch.
const BATCH: i64 = 500;
/// The time for which changes are kept, in milliseconds: longer than any copy in KV lives. An isolate that has not read
/// the feed for longer starts again, and reads older snapshots again.
const KEPT_CHANGES_MS: i64 = 2 * DAY_MS;

/// The time for which expired keys of trusts are kept, in milliseconds. The audit log has their events for longer.
const KEPT_WORKLOAD_KEYS_MS: i64 = 3 * DAY_MS;

/// A part of the work of a sweep.
pub struct Chore {
    /// The name of the chore in the sweep's log.
    pub name: &'static str,
    /// The batch at an instant, with a maximum number of rows. It is repeated until its last statement returns
    /// fewer rows.
    pub batch: fn(&App, UnixMillis, i64) -> Vec<Statement>,
}

/// The number of rows that each chore changed, by the chore's name. Chores that changed none are left out.
pub type Swept = BTreeMap<&'static str, usize>;

/// The chores of keys and their organizations.
pub const CHORES: &[Chore] = &[
    Chore {
        name: "keys_expired",
        batch: |app, now, limit| {
            vec![keys::record_expiry(now, limit, app.config.audit_retention), keys::mark_expired(now, limit)]
        },
    },
    Chore { name: "rotations_finished", batch: |_, now, limit| vec![keys::forget_rotated(now, limit)] },
    Chore { name: "changes_pruned", batch: |_, now, limit| vec![changes::prune(now.plus_ms(-KEPT_CHANGES_MS), limit)] },
    Chore { name: "events_pruned", batch: |_, _, limit| audit_seals::prune(limit).into() },
    Chore { name: "days_pruned", batch: |_, now, limit| vec![key_uses::prune(now, limit)] },
    // Expired links are not counted.
    Chore {
        name: "sessions_pruned",
        batch: |_, now, limit| {
            vec![sessions::prune_links(now, limit), device_links::prune(now, limit), sessions::prune(now, limit)]
        },
    },
    // Expired trusts are not counted.
    Chore {
        name: "exchanged_tokens_pruned",
        batch: |_, now, limit| vec![trusts::prune(now, limit), trusts::prune_tokens(now, limit)],
    },
    Chore {
        name: "workload_keys_pruned",
        batch: |_, now, limit| vec![trusts::prune_keys(now.plus_ms(-KEPT_WORKLOAD_KEYS_MS), limit)],
    },
    Chore {
        name: "idempotency_keys_pruned",
        batch: |_, now, limit| vec![idempotency::prune(now.plus_ms(-IDEMPOTENCY_WINDOW_MS), limit)],
    },
];

impl App {
    /// Looks for lost changes, seals the audit log and runs chores, each until nothing is left or its time is up.
    ///
    /// # Errors
    /// The database's; finished batches stay done.
    pub async fn sweep(&self, chores: impl IntoIterator<Item = &Chore>) -> Result<Swept, Error> {
        self.step_over_lost_changes().await?;
        self.seal_audit_log().await?;
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

    /// Runs a batch until its last statement returns less than a full batch of rows. Returns the sum.
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
