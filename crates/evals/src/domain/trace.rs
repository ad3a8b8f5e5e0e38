//! Traces: what an application recorded of its work, and what was said of it later.

use bitting_keys::domain::{key::Name, time::UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::domain::id::{EvalId, FeedbackId, TraceId};

/// A trace as it was sent.
#[derive(Debug, Clone, Serialize)]
pub struct Trace {
    /// Its id, which its sender made.
    pub id: TraceId,
    /// The time at which it began.
    pub started_at: UnixMillis,
    /// All of it, a JSON object with its spans within.
    pub trace: Box<RawValue>,
}

/// The place of a trace in lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The time at which it began.
    pub started_at: UnixMillis,
    /// Its id.
    pub id: TraceId,
}

/// An opinion of a trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Feedback {
    /// The label.
    pub label: Name,
    /// The score.
    pub score: Option<f64>,
    /// The comment.
    pub comment: Option<String>,
    /// Any further data.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// A piece of feedback and the trace that it is about.
#[derive(Debug, Clone)]
pub struct StoredFeedback {
    /// Its id.
    pub id: FeedbackId,
    /// The trace, which may come later.
    pub trace_id: TraceId,
    /// The feedback.
    pub feedback: Feedback,
}

/// A request to evaluate a trace.
#[derive(Debug, Clone)]
pub struct EvalRequest {
    /// Its id.
    pub id: EvalId,
    /// The trace, which may come later.
    pub trace_id: TraceId,
    /// The kind of the evaluator.
    pub evaluator_type: Name,
    /// The metric.
    pub metric_name: Name,
}
