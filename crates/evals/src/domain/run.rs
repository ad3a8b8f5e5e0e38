//! Runs: the judgments of live evaluations.

use bitting_keys::domain::{
    id::{KeyId, OrganizationId, UserId},
    json,
    time::UnixMillis,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    dataset::DatasetRow,
    id::{EvaluationId, LiveEvaluationId, RunId},
    judge::Judgment,
};

/// One judgment of a live evaluation, or the attempt at one.
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
    /// Its state.
    pub state: RunState,
    /// The values that are judged.
    #[serde(deserialize_with = "json::text")]
    pub inputs: DatasetRow,
    /// The judgment, once there is one.
    #[serde(deserialize_with = "json::text_or_null")]
    pub judgment: Option<Judgment>,
    /// The time at which it began.
    pub created_at: UnixMillis,
    /// The time at which it ended.
    pub finished_at: Option<UnixMillis>,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The judge is at it.
    Running,
    /// The judge has judged.
    Completed,
    /// The judge has failed. The credit went back if the language model had not answered.
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

/// A choice of runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunFilter {
    /// The live evaluation of the runs.
    pub live_evaluation_id: Option<LiveEvaluationId>,
    /// Those that passed, or did not.
    pub passed: Option<bool>,
}
