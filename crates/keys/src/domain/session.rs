//! Sessions on the settings pages, and the links that start one.

use serde::Deserialize;

use crate::domain::{
    creator::Creator,
    id::{KeyId, OrganizationId, SessionId, SignInLinkId, UserId},
    key::{Name, Role},
    key_text::Digest,
    time::{DAY_MS, UnixMillis},
};

/// The maximum duration of a session, in milliseconds.
pub const SESSION_MS: i64 = 30 * DAY_MS;
/// The time after which an unused session ends, in milliseconds.
pub const IDLE_MS: i64 = 7 * DAY_MS;
/// The validity of a sign-in link, in milliseconds.
pub const LINK_MS: i64 = 15 * 60 * 1000;
/// The precision of a session's last use, in milliseconds: it is written no more often.
pub const SEEN_MS: i64 = 60 * 60 * 1000;
/// The maximum length of a stored user agent, in characters.
pub const MAX_USER_AGENT_CHARS: usize = 300;

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    /// The id of the session.
    pub id: SessionId,
    /// The browser's user agent.
    pub user_agent: String,
    /// The name of the key that signed it in; `None` if a link did.
    pub key_name: Option<Name>,
    /// The instant at which it was signed in.
    pub created_at: UnixMillis,
    /// The last use, up to an hour late.
    pub last_seen_at: UnixMillis,
    /// The instant at which it ends, even if it is in use.
    pub expires_at: UnixMillis,
}

/// A link that signs a member in, once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SignInLink {
    /// The user that it signs in.
    pub user_id: UserId,
    /// The address of that user.
    pub email: String,
    /// The name of the organization.
    pub organization: Name,
    /// The maximum role of the session, even if the user's role rises later.
    pub role: Role,
    /// The instant at which the link expires.
    pub expires_at: UnixMillis,
    /// The latest expiry of keys that the user creates in the session; `None` for no limit.
    pub key_expires_at: Option<UnixMillis>,
    /// The key or session that created the link; `None` for the operator.
    pub created_by: Option<KeyId>,
}

/// An open link, as those see it who may create one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OpenSignInLink {
    /// The id of the link.
    pub id: SignInLinkId,
    /// The user that it signs in.
    pub user_id: UserId,
    /// The address of that user.
    pub email: String,
    /// The maximum role of the session.
    pub role: Role,
    /// The creation time.
    pub created_at: UnixMillis,
    /// The key or session that created it; `None` for the operator.
    pub created_by: Option<KeyId>,
    /// The user as whom that acted.
    #[serde(rename = "created_by_user_id")]
    pub created_by_user: Option<UserId>,
    /// The instant at which the link expires.
    pub expires_at: UnixMillis,
}

/// A session that is about to start.
pub struct NewSession<'a> {
    /// The id of the session.
    pub id: SessionId,
    /// The digest of the session's token.
    pub digest: Digest,
    /// The browser's user agent.
    pub user_agent: &'a str,
    /// The present instant.
    pub created_at: UnixMillis,
    /// The instant at which the session ends.
    pub expires_at: UnixMillis,
}

/// A link that is about to be created.
pub struct NewSignInLink {
    /// The id of the link.
    pub id: SignInLinkId,
    /// The present instant.
    pub created_at: UnixMillis,
    /// The digest of the link's token.
    pub digest: Digest,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The member that it signs in.
    pub user_id: UserId,
    /// The roles of which the member must have one.
    pub roles: Vec<Role>,
    /// The latest expiry of keys that the member creates in the session; `None` for no limit.
    pub key_expires_at: Option<UnixMillis>,
    /// The creator of the link, which ends with them.
    pub creator: Creator,
    /// The session in which the link is created, which it ends with.
    pub session_id: Option<SessionId>,
    /// The instant at which the link expires.
    pub expires_at: UnixMillis,
}

/// The sessions that a caller sees: those of its user, or of its key if it has no user.
#[derive(Debug, Clone, Copy)]
pub struct SessionReach {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: Option<UserId>,
    /// The key.
    pub key_id: KeyId,
}
