//! The whole policy of a verification, in one list of checks.

use crate::domain::{
    client::Client, conditions::Condition, scope::Scope, snapshot::Snapshot, standing::Standing, time::UnixMillis,
};

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
    /// The key is valid, but not for this client or at this time.
    ConditionNotMet(Condition),
    /// The key is valid, but lacks these scopes.
    MissingScopes(Vec<Scope>),
}

impl Refusal {
    /// True if the audit log tells of it: somebody has presented a secret that has ended or is switched off, or one that
    /// is not for them.
    pub fn is_noted(&self) -> bool {
        match self {
            Self::Revoked
            | Self::Disabled
            | Self::Expired
            | Self::UserRemoved
            | Self::ProjectDeleted
            | Self::RotatedOut
            | Self::ConditionNotMet(_) => true,
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
            Self::ConditionNotMet(_) => "conditions_not_met",
            Self::MissingScopes(_) => "insufficient_scope",
        }
    }
}

/// Decides whether a key may be used so.
///
/// # Errors
/// The refusal of the first of [`Check::ALL`] that does not pass.
pub fn decide(snapshot: &Snapshot, asked: Use<'_>) -> Result<(), Refusal> {
    Check::ALL.into_iter().find_map(|check| check.refusal(snapshot, asked)).map_or(Ok(()), Err)
}

/// A use of a key that is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// The scopes that the key must hold.
    pub scopes: &'a [Scope],
    /// The client that presents the key.
    pub client: Client,
    /// The instant of the use.
    pub at: UnixMillis,
}

/// A check of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The key is not revoked.
    Revocation,
    /// The key's user is in the organization.
    User,
    /// The key's project exists.
    Project,
    /// The presented secret was not replaced.
    Rotation,
    /// The organization is not suspended.
    Organization,
    /// The key is enabled.
    Enabled,
    /// The key has not expired.
    Expiry,
    /// One of the key's conditions is met.
    Condition(Condition),
    /// The key holds the required scopes.
    Scopes,
}

impl Check {
    /// All checks in their order, the most lasting reasons for a refusal first. A person who has to act should hear of
    /// the revocation before the expiry, and of a missing scope only if the key works at all.
    pub const ALL: [Self; 14] = [
        Self::Revocation,
        Self::User,
        Self::Project,
        Self::Rotation,
        Self::Organization,
        Self::Enabled,
        Self::Expiry,
        Self::Condition(Condition::NotBefore),
        Self::Condition(Condition::Hours),
        Self::Condition(Condition::AllowedIps),
        Self::Condition(Condition::DeniedIps),
        Self::Condition(Condition::AllowedCountries),
        Self::Condition(Condition::DeniedCountries),
        Self::Scopes,
    ];

    /// The name of the check.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::User => "user",
            Self::Project => "project",
            Self::Rotation => "rotation",
            Self::Organization => "organization",
            Self::Enabled => "enabled",
            Self::Expiry => "expiry",
            Self::Condition(condition) => condition.as_str(),
            Self::Scopes => "scopes",
        }
    }

    /// The reason for which the check refuses a use of a key; `None` if it passes.
    pub fn refusal(self, snapshot: &Snapshot, asked: Use<'_>) -> Option<Refusal> {
        let refuses = |refuses: bool, refusal: Refusal| refuses.then_some(refusal);
        let (life, standing) = (&snapshot.life, snapshot.standing);
        let is_over = |end: Option<UnixMillis>| end.is_some_and(|end| end <= asked.at);
        match self {
            Self::Revocation => refuses(life.revoked_at.is_some(), Refusal::Revoked),
            Self::User => refuses(standing == Standing::UserRemoved, Refusal::UserRemoved),
            Self::Project => refuses(standing == Standing::ProjectDeleted, Refusal::ProjectDeleted),
            Self::Rotation => refuses(is_over(snapshot.outgoing_until), Refusal::RotatedOut),
            Self::Organization => refuses(standing == Standing::OrganizationSuspended, Refusal::OrganizationSuspended),
            Self::Enabled => refuses(life.disabled_at.is_some(), Refusal::Disabled),
            Self::Expiry => refuses(is_over(life.expires_at), Refusal::Expired),
            Self::Condition(condition) => {
                let is_met = snapshot.conditions.meets(condition, asked.client, asked.at);
                refuses(!is_met, Refusal::ConditionNotMet(condition))
            }
            Self::Scopes => {
                let missing = snapshot.scopes.missing(asked.scopes);
                (!missing.is_empty()).then_some(Refusal::MissingScopes(missing))
            }
        }
    }
}
