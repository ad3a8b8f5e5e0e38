//! A key as people see it, and the function that computes its state.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{
        conditions::Conditions,
        creator::Creator,
        id::{BoundTo, KeyId, OrganizationId, ProjectId, UserId},
        key_text::{Digest, KeyKind, KeyText, Preview},
        key_use::UsedFrom,
        scope::Scopes,
        standing::Standing,
        time::UnixMillis,
    },
    json_schema,
};

/// A role in an organization, from the least to the most powerful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees and manages their own keys.
    Member,
    /// Sees and manages all keys of the organization.
    Admin,
    /// An admin who also owns the organization.
    Owner,
}

impl Role {
    /// Every role, from the least to the most powerful.
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
    /// The key works.
    Active,
    /// The key is disabled and can be enabled again.
    Disabled,
    /// The key's expiry has passed.
    Expired,
    /// The key is revoked for good.
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

/// The status of a key in lists: its state, unless that on which it depends is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// The key works.
    Active,
    /// The key is disabled and can be enabled again.
    Disabled,
    /// The key's expiry has passed.
    Expired,
    /// The key is revoked for good.
    Revoked,
    /// The key's user is no longer in the organization.
    UserRemoved,
    /// The key's project was deleted.
    ProjectDeleted,
    /// The key's organization is suspended.
    OrganizationSuspended,
}

impl KeyStatus {
    /// The status's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::UserRemoved => "user_removed",
            Self::ProjectDeleted => "project_deleted",
            Self::OrganizationSuspended => "organization_suspended",
        }
    }
}

/// The instants that decide a key's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// The instant at which the key expires; `None` for never.
    pub expires_at: Option<UnixMillis>,
    /// The instant at which the key was disabled, if it is disabled.
    pub disabled_at: Option<UnixMillis>,
    /// The instant at which the key was revoked, if it was revoked.
    pub revoked_at: Option<UnixMillis>,
}

impl Life {
    /// The state at `now`. Revoked takes precedence, then disabled, then expired. A deadline is judged here at
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

/// A key as it is stored for people: everything but its digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The id of the key.
    pub id: KeyId,
    /// The key's number in its organization, for clients that use integers.
    pub number: i64,
    /// The key's organization.
    pub organization_id: OrganizationId,
    /// The user that a personal key acts as.
    pub user_id: Option<UserId>,
    /// The one project that a project's key sees, or the project of the resource that the key is bound to.
    pub project_id: Option<ProjectId>,
    /// The one resource that the key is bound to, for a key of kind `sk`.
    pub bound_to: Option<BoundTo>,
    /// The kind of the key.
    pub kind: KeyKind,
    /// The name of the key.
    pub name: Name,
    /// The visible parts of the key's text.
    pub preview: Preview,
    /// The scopes of the key.
    pub scopes: Scopes,
    /// The conditions of the key.
    pub conditions: Conditions,
    /// The maximum role of the key, even if its owner's role rises later.
    pub role: Role,
    /// Metadata of those who manage the key. Every verification returns it.
    pub metadata: Map<String, Value>,
    /// Metadata of the operator, beside it.
    pub operator_metadata: Map<String, Value>,
    /// The instants that decide the key's state.
    pub life: Life,
    /// The creation time.
    pub created_at: UnixMillis,
    /// The creator.
    pub creator: Creator,
    /// The time of the last change.
    pub updated_at: UnixMillis,
    /// The last use of the key's newest secret, up to a minute late.
    pub last_used_at: Option<UnixMillis>,
    /// The client of that use, if it is known.
    pub last_used_from: Option<UsedFrom>,
    /// The pending rotation.
    pub rotation: Option<Rotation>,
    /// The standing of the key's organization, user and project.
    pub standing: Standing,
}

impl Key {
    /// The status at `now`. The most lasting reason takes precedence, as in [`crate::domain::decision::decide`].
    pub fn status_at(&self, now: UnixMillis) -> KeyStatus {
        match (self.life.state_at(now), self.standing) {
            (KeyState::Revoked, _) => KeyStatus::Revoked,
            (_, Standing::UserRemoved) => KeyStatus::UserRemoved,
            (_, Standing::ProjectDeleted) => KeyStatus::ProjectDeleted,
            (_, Standing::OrganizationSuspended) => KeyStatus::OrganizationSuspended,
            (KeyState::Disabled, Standing::Good) => KeyStatus::Disabled,
            (KeyState::Expired, Standing::Good) => KeyStatus::Expired,
            (KeyState::Active, Standing::Good) => KeyStatus::Active,
        }
    }
}

/// A change of a key; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyChange {
    /// The name.
    pub name: Option<Name>,
    /// The scopes.
    pub scopes: Option<Scopes>,
    /// The conditions.
    pub conditions: Option<Conditions>,
    /// The metadata.
    pub metadata: Option<Map<String, Value>>,
    /// The operator's metadata.
    pub operator_metadata: Option<Map<String, Value>>,
    /// The expiry; `Some(None)` for never.
    pub expires_at: Option<Option<UnixMillis>>,
    /// True if the key is enabled.
    pub enabled: Option<bool>,
}

impl KeyChange {
    /// True if it changes the operator's metadata and nothing else.
    pub fn is_operators(&self) -> bool {
        self.operator_metadata.is_some() && Self { operator_metadata: None, ..self.clone() } == Self::default()
    }
}

/// A new secret, as it is stored, and the deadlines that a rotation sets with it.
pub struct NewSecret {
    /// The digest of the secret.
    pub digest: Digest,
    /// The version of the pepper in the digest.
    pub pepper_version: i64,
    /// The visible parts of the secret's text.
    pub preview: Preview,
    /// The end of the secret that it replaces; `None`: that ends at once.
    pub rotates_at: Option<UnixMillis>,
    /// The expiry of the key.
    pub expires_at: Option<UnixMillis>,
}

/// A rotation whose outgoing secret may still work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The instant at which the outgoing secret stops working.
    pub rotates_at: UnixMillis,
    /// The first 12 characters of the outgoing secret's text.
    pub start: String,
    /// The last 4 characters of the outgoing secret's text.
    pub last4: String,
    /// The last use of the outgoing secret, up to a minute late.
    pub last_used_at: Option<UnixMillis>,
    /// The client of that use, if it is known.
    pub last_used_from: Option<UsedFrom>,
    /// The number of uses since the rotation began.
    pub uses: i64,
}

/// A name: 1 to 255 characters, of which one can be seen, without control characters and those that turn the direction
/// of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The maximum length of a name, in characters.
    pub const MAX_CHARS: usize = 255;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.chars().all(is_unseen) {
            Err("must not be blank")
        } else if name.chars().count() > Self::MAX_CHARS {
            Err("must have at most 255 characters")
        } else if name.chars().any(char::is_control) {
            Err("must not contain control characters")
        } else if name.chars().any(is_bidi_control) {
            Err("must not contain characters that turn the direction of text")
        } else {
            Ok(Self(name))
        }
    }
}

/// True for a character of Unicode's property `Bidi_Control`. It would let a name look like another.
pub(crate) fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// True for a character that leaves no ink: blanks, controls, fillers, and Unicode's `Default_Ignorable_Code_Point`.
pub(crate) fn is_unseen(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

json_schema!(Name, "Name", {
    "type": "string",
    "minLength": 1,
    "maxLength": Name::MAX_CHARS,
    // At least one character can be seen, and none is a control character or turns the direction of text.
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*[^\s\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0][^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*$",
});

/// A new key. Its text is known only at this moment.
pub struct Created {
    /// The key.
    pub key: Key,
    /// The text of the key.
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
            ("\u{200b}".to_owned(), false),
            (" \u{2060}\u{feff}\u{3164}\u{2800}\u{e0020}".to_owned(), false),
            ("a\u{202e}b".to_owned(), false),
            ("a\u{2066}b\u{2069}".to_owned(), false),
            ("می\u{200c}خواهم".to_owned(), true),
            ("👩\u{200d}💻".to_owned(), true),
        ] {
            assert_eq!(Name::try_from(name.clone()).is_ok(), good, "{name:?}");
        }
    }
}
