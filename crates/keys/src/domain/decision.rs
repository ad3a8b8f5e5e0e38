//! The whole policy of a verification, in one function.

use crate::domain::{key::KeyState, scope::Scope, snapshot::Snapshot, standing::Standing, time::UnixMillis};

/// The reason why a key is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The text is not a key.
    Malformed,
    /// The key does not exist, or the caller may not know of it.
    Unknown,
    /// The key is revoked.
    Revoked,
    /// The key is disabled.
    Disabled,
    /// The key has expired.
    Expired,
    /// The key's user is no longer in the organization.
    UserRemoved,
    /// The key's project was deleted.
    ProjectDeleted,
    /// A rotation has replaced this secret of the key.
    RotatedOut,
    /// The key's organization is suspended.
    OrganizationSuspended,
    /// The key is valid, but lacks these scopes.
    MissingScopes(Vec<Scope>),
}

impl Refusal {
    /// True if the key, or the presented secret of it, has ended or is switched off.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Revoked
            | Self::Disabled
            | Self::Expired
            | Self::UserRemoved
            | Self::ProjectDeleted
            | Self::RotatedOut => true,
            Self::Malformed | Self::Unknown | Self::OrganizationSuspended | Self::MissingScopes(_) => false,
        }
    }

    /// The stable code of this refusal, for programs.
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

/// Decides whether a key may use the scopes in `required` at `now`.
///
/// # Errors
/// The first reason for a refusal, the most lasting first. A person who has to act should hear of the revocation
/// before the expiry, and of a missing scope only if the key works at all.
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
