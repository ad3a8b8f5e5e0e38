//! The SQL of the evaluations: one file per family of tables, each function one statement.

pub(crate) mod access;
pub(crate) mod datasets;
pub(crate) mod evaluations;
pub(crate) mod live_evaluations;
pub(crate) mod review;
pub(crate) mod runs;
pub(crate) mod traces;

use bitting_keys::{ports::Param, storage::ToParam};

use crate::domain::id::{DatasetId, EvalId, EvaluationId, FeedbackId, LiveEvaluationId, ReviewId, RunId, TraceId};

macro_rules! text_params {
    ($($kind:ty),*) => {
        $(impl ToParam for $kind {
            fn to_param(&self) -> Param {
                Param::Text(self.to_string())
            }
        })*
    };
}
text_params!(DatasetId, EvalId, EvaluationId, FeedbackId, LiveEvaluationId, ReviewId, RunId, TraceId);
