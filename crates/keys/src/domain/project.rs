//! Projects, as people see them.

use serde::{Deserialize, Serialize};

use crate::domain::{
    id::{OrganizationId, ProjectId},
    key::Name,
    time::UnixMillis,
};

/// A project. A project's key sees only this.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// The id of the project.
    pub id: ProjectId,
    /// The project's organization.
    pub organization_id: OrganizationId,
    /// The name of the project.
    pub name: Name,
    /// A description for people.
    pub description: Option<String>,
    /// The creation time.
    pub created_at: UnixMillis,
    /// The time of the last change.
    pub updated_at: UnixMillis,
}

/// A change of a project; `None` leaves a field unchanged. Its JSON is written to the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProjectChange {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The description; an inner `None` removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
}
