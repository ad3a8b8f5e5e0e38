//! The rule that no caller gives more than it holds: no other scopes, no wider conditions, no higher role, and no longer
//! life.
//!
//! Everything that lets a secret, a key, a person or a link live longer or do more is a [`Grant`]. [`Grant::check`]
//! is the only place that decides about one. The statements that prolong or widen something take the [`Granted`]
//! that it returns, so none of them runs undecided.

use std::fmt;

use crate::domain::{
    conditions::Conditions,
    key::{Key, KeyChange, Role},
    person::Invitation,
    scope::Scopes,
    snapshot::Snapshot,
    time::UnixMillis,
    trust::Trust,
};

/// Access that a caller gives or prolongs.
#[derive(Debug, Clone, Copy)]
pub enum Grant<'a> {
    /// A new key with this access.
    Key {
        /// The scopes.
        scopes: &'a Scopes,
        /// The conditions.
        conditions: &'a Conditions,
        /// The role.
        role: Role,
        /// The expiry; `None` for never.
        expires_at: Option<UnixMillis>,
    },
    /// A change of a key. To take access away needs nothing. To prolong, enable or widen a key needs everything
    /// that the key can do afterwards, as if the caller had created it.
    Change {
        /// The key before the change.
        before: &'a Key,
        /// The change.
        change: &'a KeyChange,
    },
    /// A new secret of a key, which the caller gets to see.
    Rotation {
        /// The key.
        key: &'a Key,
        /// The expiry after the rotation; `None` for never.
        expires_at: Option<UnixMillis>,
    },
    /// The outgoing secret of a key, which works for the key's whole life again if its rotation is cancelled.
    OutgoingSecret {
        /// The key.
        key: &'a Key,
    },
    /// A link or an invitation for a person with this role. The session or the key that comes of it ends with the
    /// caller at the latest.
    Link {
        /// The role.
        role: Role,
    },
    /// A higher role for a member. It has no end.
    Role {
        /// The role.
        role: Role,
    },
}

/// The proof that a grant was checked. Only this module creates one.
#[derive(Debug, Clone, Copy)]
pub struct Granted(());

impl Granted {
    /// The grant of the operator's secret, which stands above all keys.
    pub fn by_operator() -> Self {
        Self(())
    }

    /// The grant of a trust, which was checked when the trust was created.
    pub fn by_trust(_: &Trust) -> Self {
        Self(())
    }

    /// The grant of an open invitation, which was checked when the invitation was created.
    pub fn by_invitation(_: &Invitation) -> Self {
        Self(())
    }
}

/// The reason why a caller may not give some access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Excess {
    /// The caller lacks these scopes, as text.
    Scopes(String),
    /// The caller's role is below this one.
    Role(Role),
    /// The caller ends at this instant, before the access would.
    Life(UnixMillis),
    /// The caller's conditions are not met wherever these would be.
    Conditions,
    /// The key is a workload's, which gets another by another token.
    Workload,
    /// The caller has a list of scopes, and this takes full access.
    FullAccess,
    /// The caller has conditions, and this would have none.
    NoConditions,
    /// The caller ends at this instant, and a role has no end.
    RoleHasNoEnd(UnixMillis),
    /// The caller is the outgoing secret itself.
    OwnRotation,
    /// The caller ends before the end of the rotation, so the outgoing secret may have created it.
    EndsWithRotation(UnixMillis),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scopes(missing) => write!(f, "A key cannot grant what it does not hold: {missing}."),
            Self::Role(role) => write!(f, "Only a key with the role `{}` can do this.", role.as_str()),
            Self::Life(end) => write!(
                f,
                "A key cannot give a longer life than its own. This key ends at {}. Use a key that lasts longer.",
                end.to_rfc3339()
            ),
            Self::Conditions => f.write_str(
                "A key with conditions cannot grant wider ones. Each of its conditions must be there, and each allowed \
                 range within one of its own.",
            ),
            Self::NoConditions => {
                f.write_str("Only a key without conditions can do this, because what comes of it would have none.")
            }
            Self::Workload => f.write_str(
                "A workload's key cannot live longer than its trust gave it. Exchange another token for another key.",
            ),
            Self::FullAccess => f.write_str("Only a key with full access can do this."),
            Self::RoleHasNoEnd(end) => write!(
                f,
                "A role has no end, so only a key that never expires can raise one. This key ends at {}. \
                 Use a key without an expiry.",
                end.to_rfc3339()
            ),
            Self::OwnRotation => {
                f.write_str("The outgoing secret cannot cancel its own rotation. Use the new secret or another key.")
            }
            Self::EndsWithRotation(end) => write!(
                f,
                "Only a key that outlives the rotation can cancel it. This key ends at {}. \
                 Use the new secret or a key that lasts longer.",
                end.to_rfc3339()
            ),
        }
    }
}

impl Grant<'_> {
    /// Decides whether a caller may give this access. The guard of the caller's batch, and the statement's condition
    /// that the key is unchanged, keep the decision true until it takes effect.
    ///
    /// # Errors
    /// The part of the access that the caller does not hold.
    pub fn check(&self, holder: &Snapshot) -> Result<Granted, Excess> {
        match *self {
            Self::Key { scopes, conditions, role, expires_at } => {
                check_holds(holder, scopes, conditions, role, expires_at)?;
            }
            Self::Change { before, change } => {
                let scopes = change.scopes.as_ref().unwrap_or(&before.scopes);
                let conditions = change.conditions.as_ref().unwrap_or(&before.conditions);
                let expires_at = change.expires_at.unwrap_or(before.life.expires_at);
                check_workload(before, expires_at)?;
                let enables = change.enabled == Some(true) && before.life.disabled_at.is_some();
                let widens = !before.scopes.cover(scopes) || !conditions.is_within(&before.conditions);
                if enables || widens || expires_later(expires_at, before.life.expires_at) {
                    check_holds(holder, scopes, conditions, before.role, expires_at)?;
                }
            }
            Self::Rotation { key, expires_at } => {
                check_workload(key, expires_at)?;
                check_holds(holder, &key.scopes, &key.conditions, role_to_hold(holder, key), expires_at)?;
            }
            Self::OutgoingSecret { key } => {
                if holder.outgoing_until.is_some() {
                    return Err(Excess::OwnRotation);
                }
                check_holds(holder, &key.scopes, &key.conditions, role_to_hold(holder, key), key.life.expires_at)?;
                // All that the outgoing secret has created ends with it at the latest.
                let rotates_at = key.rotation.as_ref().map(|rotation| rotation.rotates_at);
                if let Some(end) = holder.ends_at()
                    && key.id != holder.key_id
                    && !expires_later(Some(end), rotates_at)
                {
                    return Err(Excess::EndsWithRotation(end));
                }
            }
            Self::Link { role } => check_unconditional(holder, role)?,
            Self::Role { role } => {
                check_unconditional(holder, role)?;
                if let Some(end) = holder.ends_at() {
                    return Err(Excess::RoleHasNoEnd(end));
                }
            }
        }
        Ok(Granted(()))
    }
}

/// The role that a caller must hold to see or restore a key's secret. It is the key's own role; if the caller is that
/// key, it is the key's effective role, because its user may have been demoted.
pub fn role_to_hold(holder: &Snapshot, key: &Key) -> Role {
    if key.id == holder.key_id { holder.role } else { key.role }
}

/// Checks that a caller may insist (`force`) on what its organization may regret: it has full access, and at least
/// the role of what it ends.
///
/// # Errors
/// The part that the caller does not hold.
pub fn check_may_force(holder: &Snapshot, role: Role) -> Result<(), Excess> {
    check_full(holder, role)
}

/// True if one expiry is later than another; `None` is never.
pub fn expires_later(this: Option<UnixMillis>, other: Option<UnixMillis>) -> bool {
    other.is_some_and(|other| this.is_none_or(|this| this > other))
}

/// Checks that a change does not prolong the key of a workload.
fn check_workload(before: &Key, expires_at: Option<UnixMillis>) -> Result<(), Excess> {
    let prolongs = expires_later(expires_at, before.life.expires_at);
    if before.creator.trust_id.is_some() && prolongs { Err(Excess::Workload) } else { Ok(()) }
}

/// Checks that a caller has full access and at least this role.
fn check_full(holder: &Snapshot, role: Role) -> Result<(), Excess> {
    if holder.scopes != Scopes::Full {
        return Err(Excess::FullAccess);
    }
    if role > holder.role { Err(Excess::Role(role)) } else { Ok(()) }
}

/// Checks that a caller has full access without conditions, and at least this role.
fn check_unconditional(holder: &Snapshot, role: Role) -> Result<(), Excess> {
    check_full(holder, role)?;
    if holder.conditions.is_none() { Ok(()) } else { Err(Excess::NoConditions) }
}

/// Checks that a caller holds these scopes under these conditions, and this role, until this expiry.
fn check_holds(
    holder: &Snapshot,
    scopes: &Scopes,
    conditions: &Conditions,
    role: Role,
    expires_at: Option<UnixMillis>,
) -> Result<(), Excess> {
    if !holder.scopes.cover(scopes) {
        return Err(Excess::Scopes(match scopes {
            Scopes::Full => "full access".to_owned(),
            Scopes::List(list) => {
                let missing: Vec<String> = holder.scopes.missing(list).iter().map(ToString::to_string).collect();
                missing.join(", ")
            }
        }));
    }
    if !conditions.is_within(&holder.conditions) {
        return Err(Excess::Conditions);
    }
    if role > holder.role {
        return Err(Excess::Role(role));
    }
    match holder.ends_at() {
        Some(end) if expires_later(expires_at, Some(end)) => Err(Excess::Life(end)),
        _ => Ok(()),
    }
}
