//! Projects and organizations, as people see them.

use super::{
    id::{OrganizationId, ProjectId},
    key::Name,
    time::UnixMillis,
};

/// A project: what a project's key sees, and nothing beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its name.
    pub name: Name,
    /// What a person wrote about it.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: Name,
    /// When it was made.
    pub created_at: UnixMillis,
}
