//! A key as people see it, and the one function that says what state it is in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{
        id::{BoundTo, KeyId, OrganizationId, ProjectId, UserId},
        key_text::{Digest, KeyKind, KeyText, Preview},
        scope::Scopes,
        time::UnixMillis,
    },
    json_schema,
};

/// What a user, or a key, may do in its organization, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees and manages his own keys.
    Member,
    /// Sees and manages all keys of the organization.
    Admin,
    /// An admin who also owns the organization.
    Owner,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Member, Self::Admin, Self::Owner];

    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// The state of a key at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It works.
    Active,
    /// Switched off; it can be switched on again.
    Disabled,
    /// Its expiry has passed.
    Expired,
    /// Ended for good.
    Revoked,
}

impl KeyState {
    /// The state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// The instants that decide a key's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// The instant from which the key is expired; `None`: never.
    pub expires_at: Option<UnixMillis>,
    /// The instant at which it was disabled, if it is.
    pub disabled_at: Option<UnixMillis>,
    /// The instant at which it was revoked, if it was.
    pub revoked_at: Option<UnixMillis>,
}

impl Life {
    /// The state at `now`. Revoked wins, then disabled, then expired. A deadline is judged here at
    /// every use, so it holds to the millisecond without any sweep.
    pub fn state_at(&self, now: UnixMillis) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.disabled_at.is_some() {
            KeyState::Disabled
        } else if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }
}

/// A key as it is kept for people: everything but its digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Its number in its organization, for clients that know keys by integers.
    pub number: i64,
    /// The organization that it belongs to.
    pub organization_id: OrganizationId,
    /// The user whom it acts as, for a personal key.
    pub user_id: Option<UserId>,
    /// The one project that it sees, for a project's key.
    pub project_id: Option<ProjectId>,
    /// The one live evaluation that it runs, for a key of kind `sk`.
    pub bound_to: Option<BoundTo>,
    /// Its kind.
    pub kind: KeyKind,
    /// The name that a person gave it.
    pub name: Name,
    /// The parts of its text that are kept.
    pub preview: Preview,
    /// Its scopes.
    pub scopes: Scopes,
    /// The most that it may do in its organization, however its owner's role grows later.
    pub role: Role,
    /// Whatever the maker wants to know about it; comes back with every verification.
    pub metadata: Map<String, Value>,
    /// The instants that decide its state.
    pub life: Life,
    /// The instant at which it was made.
    pub created_at: UnixMillis,
    /// The key that made it; `None`: the operator.
    pub created_by: Option<KeyId>,
    /// The instant of its last change.
    pub updated_at: UnixMillis,
    /// The last use of its newest secret, up to a minute late.
    pub last_used_at: Option<UnixMillis>,
    /// The rotation that is under way.
    pub rotation: Option<Rotation>,
}

/// A change of a key; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyChange {
    /// The name.
    pub name: Option<Name>,
    /// The scopes.
    pub scopes: Option<Scopes>,
    /// The metadata.
    pub metadata: Option<Map<String, Value>>,
    /// The expiry; `Some(None)`: never.
    pub expires_at: Option<Option<UnixMillis>>,
    /// Whether it is switched on.
    pub enabled: Option<bool>,
}

/// A secret as it is stored.
pub struct NewSecret {
    /// Its digest.
    pub digest: Digest,
    /// The version of the pepper in it.
    pub pepper_version: i64,
    /// The parts of its text that are kept.
    pub preview: Preview,
}

/// A rotation whose outgoing secret may still work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The instant at which the outgoing secret stops working.
    pub rotates_at: UnixMillis,
    /// The first 12 characters of the outgoing secret's text.
    pub start: String,
    /// The last 4 of it.
    pub last4: String,
    /// Its last use, up to a minute late.
    pub last_used_at: Option<UnixMillis>,
    /// How often it was used since the rotation began.
    pub uses: i64,
}

/// A name that a person gives: 1 to 255 characters, not blank, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 255;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.trim().is_empty() {
            Err("a name must not be blank")
        } else if name.chars().count() > Self::MAX_CHARS {
            Err("a name has at most 255 characters")
        } else if name.chars().any(char::is_control) {
            Err("a name must not contain control characters")
        } else {
            Ok(Self(name))
        }
    }
}

json_schema!(Name, "Name", {
    "type": "string",
    "minLength": 1,
    "maxLength": Name::MAX_CHARS,
    // One character at least is no space, and none is a control character.
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$",
});

/// A key that was just made: the one moment at which its text is known.
pub struct Created {
    /// The key.
    pub key: Key,
    /// Its text.
    pub text: KeyText,
}

#[cfg(test)]
mod tests {
    use super::{KeyState, Life, Name, UnixMillis};

    #[test]
    fn state_at_follows_the_order_revoked_disabled_expired() {
        let (past, now, future) = (UnixMillis(1), UnixMillis(2), UnixMillis(3));
        for (expires_at, disabled_at, revoked_at, expected) in [
            (None, None, None, KeyState::Active),
            (Some(future), None, None, KeyState::Active),
            (Some(now), None, None, KeyState::Expired),
            (Some(past), Some(past), None, KeyState::Disabled),
            (Some(past), Some(past), Some(past), KeyState::Revoked),
            (None, None, Some(past), KeyState::Revoked),
        ] {
            let life = Life { expires_at, disabled_at, revoked_at };
            assert_eq!(life.state_at(now), expected, "{life:?}");
        }
    }

    #[test]
    fn name_refuses_blanks_controls_and_excess() {
        for (name, good) in [
            ("ci".to_owned(), true),
            ("Schlüssel 🔑 für عربى".to_owned(), true),
            ("é".repeat(255), true),
            ("é".repeat(256), false),
            (String::new(), false),
            (" \u{a0}".to_owned(), false),
            ("a\0b".to_owned(), false),
            ("a\u{85}b".to_owned(), false),
        ] {
            assert_eq!(Name::try_from(name.clone()).is_ok(), good, "{name:?}");
        }
    }
}
