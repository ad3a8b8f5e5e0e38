//! Live evaluations: evaluations that are deployed and judge the inputs that are sent to them.

use bitting_keys::domain::{
    id::{KeyId, OrganizationId, ProjectId, UserId},
    json,
    key::Name,
    time::UnixMillis,
};
use serde::Deserialize;

use crate::domain::{
    evaluation::EvaluationConfig,
    id::{EvaluationId, LiveEvaluationId},
};

/// A live evaluation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LiveEvaluation {
    /// Its id.
    pub id: LiveEvaluationId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its owner; `None`: its project, or the organization.
    pub user_id: Option<UserId>,
    /// Its project.
    pub project_id: Option<ProjectId>,
    /// The evaluation that was deployed; it may have changed since, or be gone.
    pub evaluation_id: EvaluationId,
    /// Its name.
    pub name: Name,
    /// A person's note about it.
    pub description: Option<String>,
    /// Its columns and its judge: those of the evaluation when it was deployed.
    #[serde(deserialize_with = "json::text")]
    pub config: EvaluationConfig,
    /// True if it accepts runs.
    #[serde(deserialize_with = "json::flag")]
    pub active: bool,
    /// The key of its own that works, if there is one.
    #[serde(deserialize_with = "json::text_or_null")]
    pub key: Option<WorkingKey>,
    /// The time at which it was deployed.
    pub created_at: UnixMillis,
    /// The time of its last change.
    pub updated_at: UnixMillis,
}

/// The key of a live evaluation that works, as far as people may go on seeing it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WorkingKey {
    /// Its id.
    pub id: KeyId,
    /// The beginning and the end of its text.
    pub preview: String,
}

/// A change of a live evaluation; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct LiveEvaluationChange {
    /// The name.
    pub name: Option<Name>,
    /// The description; `Some(None)`: none.
    pub description: Option<Option<String>>,
    /// The evaluation whose columns and judge it takes over.
    pub evaluation_id: Option<EvaluationId>,
    /// True to accept runs.
    pub active: Option<bool>,
}
