//! The standing of that on which a key depends.

use serde::{Deserialize, Serialize};

/// The standing of a key's organization, user and project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// All of them are good.
    Good,
    /// The organization is suspended.
    OrganizationSuspended,
    /// The key's user is no longer in the organization.
    UserRemoved,
    /// The key's project was deleted.
    ProjectDeleted,
}
