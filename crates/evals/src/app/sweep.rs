//! The chores of the evaluations.

use bitting_keys::app::sweep::Chore;

use crate::storage::{datasets, runs, traces};

/// A run that has not ended after this time was broken off, in milliseconds: no model takes as long.
const RUN_MS: i64 = 10 * 60 * 1000;

/// The chores: traces, runs and data sets that need not be kept any longer, and the credits of runs that were
/// broken off.
pub const CHORES: &[Chore] = &[
    Chore { name: "traces_pruned", batch: |_, _, limit| vec![traces::prune(limit)] },
    Chore { name: "traces_pruned", batch: |_, _, limit| vec![traces::prune_feedback(limit)] },
    Chore { name: "traces_pruned", batch: |_, _, limit| vec![traces::prune_evals(limit)] },
    Chore { name: "runs_failed", batch: |_, now, limit| vec![runs::fail_broken_off(now.plus_ms(-RUN_MS), now, limit)] },
    Chore { name: "runs_pruned", batch: |_, _, limit| runs::prune(limit) },
    // The rows of data sets that nobody sees any more, their shares, and themselves once they have no rows.
    Chore {
        name: "chunks_pruned",
        batch: |_, now, limit| {
            vec![datasets::prune_shares(now), datasets::prune(now, limit), datasets::prune_chunks(now, limit)]
        },
    },
];
