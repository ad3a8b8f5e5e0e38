//! The rule that no organization locks itself out unawares: it keeps a key that can manage keys, and one with full
//! access, unless a caller insists.

use crate::domain::{
    conditions::Conditions,
    key::{Key, KeyState, Life, Role},
    scope::{Scope, Scopes},
    time::{DAY_MS, UnixMillis},
};

/// The time for which another key must still work to stand in for one that is taken away, in milliseconds: a week. A
/// key that lasts as long as the one that it stands in for suffices, too.
pub const LASTING_MS: i64 = 7 * DAY_MS;

/// The scope that a key must hold to manage keys.
const MANAGE: Scope = Scope::named("api-keys:write");

/// The abilities that a change takes from a key, or lets end soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loss {
    /// True if the key can no longer manage keys.
    pub managing: bool,
    /// True if the key no longer has full access.
    pub full_access: bool,
}

impl Loss {
    /// Returns what a key loses at `now`, if it has these scopes, these conditions and this life afterwards. A key with
    /// conditions has nothing to lose: nobody knows whether they can be met.
    pub fn of(before: &Key, scopes: &Scopes, conditions: &Conditions, life: Life, now: UnixMillis) -> Self {
        let administers = before.role != Role::Member;
        let works = administers && before.conditions.is_none() && before.life.state_at(now) == KeyState::Active;
        let ends_soon = life.expires_at.is_some_and(|end| {
            end <= now.plus_ms(LASTING_MS) && before.life.expires_at.is_none_or(|before| end < before)
        });
        let works_on = conditions.is_none() && life.state_at(now) == KeyState::Active && !ends_soon;
        let manages = |scopes: &Scopes| scopes.grant(&MANAGE);
        Self {
            managing: works && manages(&before.scopes) && !(works_on && manages(scopes)),
            full_access: works && before.scopes == Scopes::Full && !(works_on && *scopes == Scopes::Full),
        }
    }

    /// True if the key loses nothing.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}
