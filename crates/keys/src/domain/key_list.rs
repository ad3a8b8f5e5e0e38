//! Lists of keys: the keys that a caller reaches, the filter, and the place of a page.

use serde::Deserialize;

use crate::domain::{
    id::{KeyId, OrganizationId, ProjectId, UserId},
    key::KeyState,
    key_text::KeyKind,
};

/// The most keys that are looked through for a page that lists them with their owners, for people: of those
/// in one state, or with something in their name, there may be few among many, and no index leads to them.
pub const MAX_LOOKED_THROUGH: i64 = 5_000;

/// The keys that a caller may see and manage: all of an organization, or one user's or project's in it.
/// Every statement that reads or changes keys for a caller takes one.
#[derive(Debug, Clone, Copy)]
pub struct KeyReach {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Only this user's.
    pub user_id: Option<UserId>,
    /// Only this project's.
    pub project_id: Option<ProjectId>,
}

/// The name by which a caller asks for a key.
#[derive(Debug, Clone, Copy)]
pub enum KeyRef {
    /// Its id.
    Id(KeyId),
    /// Its number in its organization.
    Number(i64),
}

/// The place of a page in a list, by key id; ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCursor {
    /// Starts with the newest.
    Start,
    /// Starts with the first that is older than this one.
    After(KeyId),
    /// Ends with the last that is newer than this one.
    Before(KeyId),
}

/// The keys that a list shows; `None` asks nothing.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// Exactly this name.
    pub name: Option<String>,
    /// A part of the name, in whichever case its ASCII letters are.
    pub name_part: Option<String>,
    /// One of these ids.
    pub ids: Option<Vec<KeyId>>,
    /// This user.
    pub user_id: Option<UserId>,
    /// The user with this address; the newest, if there were several.
    pub owner: Option<String>,
    /// This project.
    pub project_id: Option<ProjectId>,
    /// This kind.
    pub kind: Option<KeyKind>,
    /// The beginning of the text.
    pub prefix: Option<String>,
    /// The state.
    pub status: StatusFilter,
}

/// The states that a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusFilter {
    /// All but the revoked.
    #[default]
    Current,
    /// One state.
    Only(KeyState),
    /// All.
    All,
}

/// The name by which people know the owner of a key.
#[derive(Debug, Clone, Deserialize)]
pub struct KeyOwner {
    /// The user's address.
    pub owner: Option<String>,
    /// The project's name.
    pub project: Option<String>,
}
