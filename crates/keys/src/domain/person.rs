//! People: who is in an organization, who is invited into it, and teams.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        id::{InvitationId, KeyId, OrganizationId, TeamId, UserId},
        key::{Name, Role},
        time::UnixMillis,
    },
    json_schema,
};

/// A mail address in lower case: something before and behind one `@`, without blanks and control
/// characters, 254 bytes at most. Whether mail arrives there is another question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

impl Email {
    /// The longest address, in bytes (RFC 5321).
    pub const MAX_BYTES: usize = 254;

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let email = text.to_lowercase();
        let whole = |part: &str| !part.is_empty() && !part.contains('@');
        if !email.split_once('@').is_some_and(|(mailbox, host)| whole(mailbox) && whole(host)) {
            Err("an address has one `@`, and something before and behind it")
        } else if email.chars().any(|character| character.is_whitespace() || character.is_control()) {
            Err("an address must not contain blanks or control characters")
        } else if email.len() > Self::MAX_BYTES {
            Err("an address has at most 254 bytes")
        } else {
            Ok(Self(email))
        }
    }
}

json_schema!(Email, "Email", {
    "type": "string",
    "maxLength": Email::MAX_BYTES,
    "pattern": r"^[^@\s\u0000-\u001f\u007f-\u009f]+@[^@\s\u0000-\u001f\u007f-\u009f]+$",
});

/// Somebody in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// The address, whatever was taken for one when the user was made.
    pub email: String,
    /// The role: the most that they may do.
    pub role: Role,
    /// The instant at which they joined.
    pub joined_at: UnixMillis,
}

/// A place of somebody in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Membership {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The organization's name.
    pub organization: Name,
    /// The user as whom they are in it.
    pub user_id: UserId,
    /// The role: the most that they may do.
    pub role: Role,
}

/// The right to take a role from somebody.
#[derive(Debug, Clone)]
pub struct RoleRemoval {
    /// The roles that the caller may take.
    pub roles: Vec<Role>,
    /// Whether the organization may be left without a key that can manage keys.
    pub force: bool,
}

/// Somebody who may come into an organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The address of the person whom it is for.
    pub email: Email,
    /// The role that the invited person receives.
    pub role: Role,
    /// The instant at which it ends.
    pub expires_at: UnixMillis,
    /// The expiry of the key that the invited person receives; `None`: never.
    pub key_expires_at: Option<UnixMillis>,
    /// The instant at which it was made.
    pub created_at: UnixMillis,
    /// The key that made it.
    pub created_by: KeyId,
}

/// Some of the people of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its name, which no other team of the organization has.
    pub name: Name,
    /// The instant at which it was made.
    pub created_at: UnixMillis,
}

/// Somebody in a team.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TeamMember {
    /// The user.
    pub user_id: UserId,
    /// The instant at which they were added.
    pub added_at: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::Email;

    #[test]
    fn email_takes_any_script_and_refuses_what_is_none() {
        for (text, stored) in [
            ("a@b", Some("a@b")),
            ("Ann.Smith+x@Example.COM", Some("ann.smith+x@example.com")),
            ("JÜRGEN@Müller.example", Some("jürgen@müller.example")),
            ("用户@例え.jp", Some("用户@例え.jp")),
            (&format!("{}@b", "a".repeat(252)), Some(&format!("{}@b", "a".repeat(252)))),
            (&format!("{}@b", "a".repeat(253)), None),
            (&format!("{}@b", "é".repeat(127)), None),
            ("", None),
            ("@", None),
            ("a", None),
            ("a@", None),
            ("@b", None),
            ("a@b@c", None),
            ("a b@c", None),
            ("a@b\u{a0}c", None),
            ("a@b ", None),
            ("a@b\n", None),
            ("a\0@b", None),
            ("a@b\u{85}", None),
        ] {
            assert_eq!(Email::try_from(text.to_owned()).ok().as_ref().map(Email::as_str), stored, "{text:?}");
        }
    }
}
