//! Who may see and change what people make: data sets and whatever comes beside them.

use super::id::{OrganizationId, ProjectId, UserId};

/// In whose name somebody looks at what an organization's people have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// The organization: nobody sees beyond it.
    pub organization_id: OrganizationId,
    /// What of it.
    pub sight: Sight,
}

/// What of an organization somebody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All: a key of the organization.
    All,
    /// What belongs to this project: a project's key.
    Project(ProjectId),
    /// What this user owns, and what is shared with him or with one of his teams: a personal key.
    User(UserId),
}

impl Viewer {
    /// The user, if somebody looks as one.
    pub fn user_id(&self) -> Option<UserId> {
        match self.sight {
            Sight::User(id) => Some(id),
            Sight::All | Sight::Project(_) => None,
        }
    }

    /// The project, if somebody looks as one.
    pub fn project_id(&self) -> Option<ProjectId> {
        match self.sight {
            Sight::Project(id) => Some(id),
            Sight::All | Sight::User(_) => None,
        }
    }
}
