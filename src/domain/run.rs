//! Runs: what live evaluations have judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    dataset::DatasetRow,
    id::{EvaluationId, KeyId, LiveEvaluationId, OrganizationId, RunId, UserId},
    json,
    judge::Judgment,
    time::UnixMillis,
};

/// What a live evaluation has judged, or is about to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The live evaluation.
    pub live_evaluation_id: LiveEvaluationId,
    /// The evaluation that was deployed then.
    pub evaluation_id: EvaluationId,
    /// The key that ran it.
    pub key_id: KeyId,
    /// The user as whom that key acted.
    pub user_id: Option<UserId>,
    /// How far it is.
    pub state: RunState,
    /// What was judged.
    #[serde(deserialize_with = "json::text")]
    pub inputs: DatasetRow,
    /// What the judge said.
    #[serde(deserialize_with = "json::text_or_null")]
    pub judgment: Option<Judgment>,
    /// When it began.
    pub created_at: UnixMillis,
    /// When it ended.
    pub finished_at: Option<UnixMillis>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The judge is at it.
    Running,
    /// The judge has said what it says.
    Completed,
    /// The judge has failed, and the credit went back.
    Failed,
}

impl RunState {
    /// The state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// Which runs to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunFilter {
    /// Of this live evaluation.
    pub live_evaluation_id: Option<LiveEvaluationId>,
    /// Those that passed, or did not.
    pub passed: Option<bool>,
}
