//! Who may see and change what people make: data sets and whatever comes beside them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    id::{DatasetId, EvaluationId, LiveEvaluationId, OrganizationId, ProjectId, UserId},
    time::UnixMillis,
};

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

/// Something that people make and share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A data set.
    Dataset(DatasetId),
    /// An evaluation.
    Evaluation(EvaluationId),
    /// A live evaluation.
    LiveEvaluation(LiveEvaluationId),
}

impl fmt::Display for Resource {
    /// Its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset(id) => id.fmt(f),
            Self::Evaluation(id) => id.fmt(f),
            Self::LiveEvaluation(id) => id.fmt(f),
        }
    }
}

/// What somebody may do with what he sees, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Standing {
    /// To see it.
    Read,
    /// To change it, too.
    Write,
    /// To share it, too: it is his own.
    Own,
}

/// Which part of a list, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<T> {
    /// Behind what has this id.
    pub after: Option<T>,
    /// How many are left out at its beginning.
    pub skip: i64,
    /// How many at most.
    pub limit: i64,
}

/// What a share allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// To see it.
    Read,
    /// To change it, too.
    Write,
}

impl Access {
    /// The access's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// With whom something is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GranteeKind {
    /// A member of the organization.
    User,
    /// All who are in a team.
    Team,
}

/// That something is shared with somebody.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Share {
    /// The user's id, or the team's.
    pub grantee_id: String,
    /// Which of both.
    pub grantee_kind: GranteeKind,
    /// What it allows.
    pub access: Access,
    /// Since when; a change of the access does not change it.
    pub created_at: UnixMillis,
}
