//! Live evaluations: evaluations that are deployed and judge whatever is sent to them.

use serde::Deserialize;

use super::{
    evaluation::EvaluationConfig,
    id::{EvaluationId, KeyId, LiveEvaluationId, OrganizationId, ProjectId, UserId},
    json,
    key::Name,
    time::UnixMillis,
};

/// A live evaluation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LiveEvaluation {
    /// Its id.
    pub id: LiveEvaluationId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Whose it is; `None`: its project's, or the organization's.
    pub user_id: Option<UserId>,
    /// Its project.
    pub project_id: Option<ProjectId>,
    /// The evaluation that was deployed; it may have changed since, or be gone.
    pub evaluation_id: EvaluationId,
    /// Its name.
    pub name: Name,
    /// What a person wrote about it.
    pub description: Option<String>,
    /// What it judges, and how: as the evaluation was when it was deployed.
    #[serde(deserialize_with = "json::text")]
    pub config: EvaluationConfig,
    /// Whether it runs.
    #[serde(deserialize_with = "json::flag")]
    pub active: bool,
    /// The key of its own that works, if there is one.
    #[serde(deserialize_with = "json::text_or_null")]
    pub key: Option<WorkingKey>,
    /// When it was deployed.
    pub created_at: UnixMillis,
    /// When it was last changed.
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

/// What to change of a live evaluation; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct LiveEvaluationChange {
    /// The name.
    pub name: Option<Name>,
    /// The description; `Some(None)`: none.
    pub description: Option<Option<String>>,
    /// The evaluation whose columns and judge it takes over.
    pub evaluation_id: Option<EvaluationId>,
    /// Whether it runs.
    pub active: Option<bool>,
}
