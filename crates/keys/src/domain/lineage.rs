//! Lineage: the creator of a key, an invitation, a link or a session, and all that descends from a key or a person.
//!
//! Everything that a caller creates has a parent: the caller's key or, in a session without a key, the key that
//! created the session's link or invitation. A parent is older than its children, so there are no cycles, and each
//! stays in its line whatever happens to it: rotation, change, acceptance. Lines end at the organization's border.

use serde::Deserialize;

use crate::domain::{
    id::{KeyId, OrganizationId, TrustId, UserId},
    key::Role,
    time::UnixMillis,
};

/// The maximum number of keys in a line that ends in one request. If there are more, nothing ends.
pub const MAX_DESCENDANTS: i64 = 10_000;

/// The maximum number of keys that a preview lists.
pub const MAX_LISTED: i64 = 100;

/// The beginning of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// A key, with all that descends from it, be it other people's.
    Key(KeyId),
    /// A person, with all that descends from their keys and sessions, but for other people's personal keys.
    User(UserId),
    /// A trust, with the keys that it has given and all that descends from them.
    Trust(TrustId),
}

/// A line, and the caller who looks at it or ends it.
#[derive(Debug, Clone)]
pub struct Line {
    /// The beginning.
    pub root: Root,
    /// The organization, beyond which no line goes.
    pub organization_id: OrganizationId,
    /// The roles that the caller may end.
    pub roles: Vec<Role>,
    /// True if the caller reaches all keys of the organization.
    pub reaches_all: bool,
    /// The caller's user, whose keys the caller reaches in any case.
    pub reached_user_id: Option<UserId>,
    /// True if the organization may be locked out.
    pub force: bool,
    /// The present instant.
    pub now: UnixMillis,
}

/// The number of things that end with the root of a line, and the reasons why they may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Descendants {
    /// The keys, without the root's own.
    pub keys: i64,
    /// The open invitations.
    pub invitations: i64,
    /// The open sign-in links.
    pub sign_in_links: i64,
    /// The open sessions.
    pub sessions: i64,
    /// The trusts.
    pub trusts: i64,
    /// 1 if there are more than [`MAX_DESCENDANTS`].
    pub too_many: i64,
    /// 1 if the caller lacks the role or the reach for one of them.
    pub beyond: i64,
}
