//! The rule that no key gives another more than it holds itself.

use crate::{
    app::{Principal, error::Error},
    domain::{
        key::{Key, Role},
        scope::Scopes,
        time::UnixMillis,
    },
};

/// True if one expiry is later than another; `None` is never.
pub fn expires_later(this: Option<UnixMillis>, other: Option<UnixMillis>) -> bool {
    other.is_some_and(|other| this.is_none_or(|this| this > other))
}

/// The role that a caller must hold to see a key's secret. It is the key's own role; if the caller is that key, it
/// is the key's effective role, because its user may have been demoted.
pub fn required_role(principal: &Principal, key: &Key) -> Role {
    if key.id == principal.snapshot.key_id { principal.snapshot.role } else { key.role }
}

/// Checks that a key gives no more than it holds: no other scopes, no higher role, and no later expiry.
///
/// # Errors
/// [`Error::Exceeds`] if it would give more.
pub fn check_holds(
    principal: &Principal,
    scopes: &Scopes,
    role: Role,
    expires_at: Option<UnixMillis>,
) -> Result<(), Error> {
    let holder = &principal.snapshot;
    if !holder.scopes.cover(scopes) {
        let beyond = match scopes {
            Scopes::Full => "full access".to_owned(),
            Scopes::List(list) => {
                let missing: Vec<String> = holder.scopes.missing(list).iter().map(ToString::to_string).collect();
                missing.join(", ")
            }
        };
        return Err(Error::Exceeds(format!("A key cannot grant what it does not hold: {beyond}.")));
    }
    if role > holder.role {
        return Err(Error::Exceeds(format!("Only a key with the role `{}` can do this.", role.as_str())));
    }
    if let Some(last) = holder.ends_at()
        && expires_later(expires_at, Some(last))
    {
        return Err(Error::Exceeds(format!(
            "A key cannot create one that outlives it. This key expires at {}.",
            last.to_rfc3339()
        )));
    }
    Ok(())
}
