//! The whole policy of a verification, in one function.

use crate::domain::{
    key::KeyState,
    scope::Scope,
    snapshot::{Snapshot, Standing},
    time::UnixMillis,
};

/// Why a key is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The text is no key at all.
    Malformed,
    /// No such key, or none that the asker may know of.
    Unknown,
    /// Ended for good.
    Revoked,
    /// Switched off.
    Disabled,
    /// Past its expiry.
    Expired,
    /// The user whom it acts as is no longer in the organization.
    UserRemoved,
    /// The project that it belongs to was deleted.
    ProjectDeleted,
    /// A rotation has replaced this secret of the key.
    RotatedOut,
    /// Its organization is suspended.
    OrganizationSuspended,
    /// It is good, but does not hold these scopes.
    MissingScopes(Vec<Scope>),
}

impl Refusal {
    /// The stable name of this refusal, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed_api_key",
            Self::Unknown => "invalid_api_key",
            Self::Revoked => "key_revoked",
            Self::Disabled => "key_disabled",
            Self::Expired => "api_key_expired",
            Self::UserRemoved => "user_removed",
            Self::ProjectDeleted => "project_deleted",
            Self::RotatedOut => "key_rotated",
            Self::OrganizationSuspended => "organization_suspended",
            Self::MissingScopes(_) => "insufficient_scope",
        }
    }
}

/// Whether the key of this snapshot may do what `required` names, at `now`.
///
/// # Errors
/// The first reason against it, the most lasting first: a person who has to act should hear of the
/// revocation before the expiry, and of a missing scope only when the key works at all.
pub fn decide(snapshot: &Snapshot, required: &[Scope], now: UnixMillis) -> Result<(), Refusal> {
    let state = snapshot.life.state_at(now);
    match (state, snapshot.standing) {
        (KeyState::Revoked, _) => Err(Refusal::Revoked),
        (_, Standing::UserRemoved) => Err(Refusal::UserRemoved),
        (_, Standing::ProjectDeleted) => Err(Refusal::ProjectDeleted),
        _ if snapshot.outgoing_until.is_some_and(|until| until <= now) => Err(Refusal::RotatedOut),
        (_, Standing::OrganizationSuspended) => Err(Refusal::OrganizationSuspended),
        (KeyState::Disabled, _) => Err(Refusal::Disabled),
        (KeyState::Expired, _) => Err(Refusal::Expired),
        (KeyState::Active, Standing::Good) => match snapshot.scopes.missing(required) {
            missing if missing.is_empty() => Ok(()),
            missing => Err(Refusal::MissingScopes(missing)),
        },
    }
}
