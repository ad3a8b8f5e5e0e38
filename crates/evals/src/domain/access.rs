//! The right to see and change what people make: data sets, evaluations and live evaluations.

use std::fmt;

use bitting_keys::domain::{
    id::{OrganizationId, ProjectId, UserId},
    time::UnixMillis,
};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error},
};
use serde_json::{Map, Value};

use crate::domain::id::{DatasetId, EvaluationId, LiveEvaluationId};

/// The name in which a request looks at what an organization's people have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// The organization, whose borders no viewer sees across.
    pub organization_id: OrganizationId,
    /// The part of it that is seen.
    pub sight: Sight,
}

/// The part of an organization that a viewer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All: a key of the organization.
    All,
    /// The resources of this project, for a key of a project.
    Project(ProjectId),
    /// The resources that this user owns or that are shared with them or their teams, for a personal key.
    User(UserId),
}

impl Viewer {
    /// The user, if the viewer is one.
    pub fn user_id(&self) -> Option<UserId> {
        match self.sight {
            Sight::User(id) => Some(id),
            Sight::All | Sight::Project(_) => None,
        }
    }

    /// The project, if the viewer is one.
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

/// The most that a viewer may do with something that they see, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AccessLevel {
    /// Permits to see the resource.
    Read,
    /// Permits to change it, too.
    Write,
    /// Permits to share it, too: the viewer owns it.
    Own,
}

/// Something that a viewer sees, and what they may do with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Permitted<T> {
    /// The thing.
    pub item: T,
    /// The most that they may do with it.
    pub permission: AccessLevel,
}

/// Reads the columns of the thing and `permission` from one row. `serde(flatten)` would do the same for ten times the
/// code.
impl<'de, T: DeserializeOwned> Deserialize<'de> for Permitted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut row = Map::<String, Value>::deserialize(deserializer)?;
        let permission = row.remove("permission").unwrap_or_default();
        Ok(Self {
            permission: AccessLevel::deserialize(permission).map_err(D::Error::custom)?,
            item: T::deserialize(Value::Object(row)).map_err(D::Error::custom)?,
        })
    }
}

/// A part of a list, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<T> {
    /// The id behind which it begins.
    pub after: Option<T>,
    /// The number of items that are left out at its beginning.
    pub skip: i64,
    /// The most items.
    pub limit: i64,
}

/// The access that a share gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Access")]
pub enum ShareAccess {
    /// Permits to see the resource.
    Read,
    /// Permits to change it, too.
    Write,
}

impl ShareAccess {
    /// The access's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The kind of a grantee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GranteeKind {
    /// A member of the organization.
    User,
    /// Everybody in a team.
    Team,
}

/// A share of a resource with a member or a team.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Share {
    /// The user's id, or the team's.
    pub grantee_id: String,
    /// The kind of the grantee.
    pub grantee_kind: GranteeKind,
    /// The access that it gives.
    pub access: ShareAccess,
    /// The time from which on it is shared; a change of the access does not change it.
    pub created_at: UnixMillis,
}
