//! Projects, as people see them.

use serde::{Deserialize, Serialize};

use crate::domain::{
    id::{OrganizationId, ProjectId},
    key::Name,
    time::UnixMillis,
};

/// A project: what a project's key sees, and nothing beside it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its name.
    pub name: Name,
    /// A person's note about it.
    pub description: Option<String>,
    /// The instant at which it was made.
    pub created_at: UnixMillis,
}

/// A change of a project: whatever is not `None`. Its JSON stands in the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProjectChange {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The description; an inner `None` takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
}
