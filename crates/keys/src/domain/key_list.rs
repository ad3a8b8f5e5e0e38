//! Lists of keys: the caller's reach, the filter, and the position of a page.

use serde::Deserialize;

use crate::domain::{
    id::{KeyId, OrganizationId, ProjectId, UserId},
    key::KeyState,
    key_text::KeyKind,
};

/// The maximum number of keys that are scanned for a page with owners. A filter by state or by part of a name may
/// match few keys among many, and no index leads to them.
pub const MAX_LOOKED_THROUGH: i64 = 5_000;

/// The keys that a caller may see and manage: all of an organization, or those of one user or project in it. Every
/// statement that reads or changes keys for a caller takes one.
#[derive(Debug, Clone, Copy)]
pub struct KeyReach {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Only this user's keys.
    pub user_id: Option<UserId>,
    /// Only this project's keys.
    pub project_id: Option<ProjectId>,
}

/// A caller's reference to a key.
#[derive(Debug, Clone, Copy)]
pub enum KeyRef {
    /// The id of the key.
    Id(KeyId),
    /// The key's number in its organization.
    Number(i64),
}

/// The position of a page in a list, by key id. Ids sort by creation time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCursor {
    /// Starts with the newest key.
    Start,
    /// Starts after this key, with older ones.
    After(KeyId),
    /// Ends before this key, with newer ones.
    Before(KeyId),
}

/// The filter of a list of keys; `None` filters nothing.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// The exact name.
    pub name: Option<String>,
    /// A part of the name. ASCII letters match in either case.
    pub name_part: Option<String>,
    /// The ids, any of which matches.
    pub ids: Option<Vec<KeyId>>,
    /// The user.
    pub user_id: Option<UserId>,
    /// The key or session that created them.
    pub created_by: Option<KeyId>,
    /// The user as whom their creator acted.
    pub created_by_user: Option<UserId>,
    /// The address of the user. If there were several, the newest one.
    pub owner: Option<String>,
    /// The project.
    pub project_id: Option<ProjectId>,
    /// The kind.
    pub kind: Option<KeyKind>,
    /// The beginning of the key's text.
    pub prefix: Option<String>,
    /// The state.
    pub status: StatusFilter,
}

/// The filter by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusFilter {
    /// All keys that are not revoked.
    #[default]
    Current,
    /// Keys in one state.
    Only(KeyState),
    /// All keys.
    All,
}

/// The names that people know a key's owner by.
#[derive(Debug, Clone, Deserialize)]
pub struct KeyOwner {
    /// The address of the user.
    pub owner: Option<String>,
    /// The name of the project.
    pub project: Option<String>,
    /// The address of the user who created the key, if it was created in its own organization.
    pub creator: Option<String>,
    /// The name of the key that created it, likewise.
    pub creator_key: Option<String>,
}
