//! Sessions on the settings pages, and the links that begin one.

use serde::Deserialize;

use crate::domain::{
    id::{KeyId, OrganizationId, SessionId, UserId},
    key::{Name, Role},
    key_text::Digest,
    time::{DAY_MS, UnixMillis},
};

/// How long a session lasts at most, in milliseconds.
pub const SESSION_MS: i64 = 30 * DAY_MS;
/// How long a session lasts that nobody uses, in milliseconds.
pub const IDLE_MS: i64 = 7 * DAY_MS;
/// How exact it is known when a session was last used, in milliseconds: it is written down no oftener.
pub const SEEN_MS: i64 = 60 * 60 * 1000;
/// The most characters that are kept of what a browser says of itself.
pub const MAX_USER_AGENT_CHARS: usize = 300;

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its name for itself.
    pub user_agent: String,
    /// The name of the key by which it was signed in; `None`: by a link.
    pub key_name: Option<Name>,
    /// The instant at which it was signed in.
    pub created_at: UnixMillis,
    /// Its last use, up to an hour late.
    pub last_seen_at: UnixMillis,
    /// The instant at which it ends, whatever it does.
    pub expires_at: UnixMillis,
}

/// A link that signs somebody in, once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SignInLink {
    /// The user whom it signs in.
    pub user_id: UserId,
    /// The address of that user.
    pub email: String,
    /// The name of the organization.
    pub organization: Name,
    /// The most that the user may do, whatever their role becomes.
    pub role: Role,
    /// The instant from which the link opens nothing.
    pub expires_at: UnixMillis,
    /// The latest expiry of the keys that the user makes; `None`: none.
    pub key_expires_at: Option<UnixMillis>,
}

/// A session that is about to begin.
pub struct NewSession<'a> {
    /// Its id.
    pub id: SessionId,
    /// The digest of its token.
    pub digest: Digest,
    /// The browser's name for itself.
    pub user_agent: &'a str,
    /// The present instant.
    pub created_at: UnixMillis,
    /// The instant at which it ends.
    pub expires_at: UnixMillis,
}

/// A link that is about to be made.
pub struct NewSignInLink {
    /// The digest of its token.
    pub digest: Digest,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The member whom it signs in.
    pub user_id: UserId,
    /// The roles of which the member must have one.
    pub roles: Vec<Role>,
    /// The latest expiry of the keys that the member makes; `None`: none.
    pub key_expires_at: Option<UnixMillis>,
    /// The user who makes it.
    pub created_by_user_id: Option<UserId>,
    /// The instant from which it opens nothing.
    pub expires_at: UnixMillis,
}

/// The sessions that a caller sees: those of its user, or of its key, if it has no user.
#[derive(Debug, Clone, Copy)]
pub struct SessionReach {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: Option<UserId>,
    /// The key.
    pub key_id: KeyId,
}
