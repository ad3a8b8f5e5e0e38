//! People: the members of an organization, its invitations and its teams.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        creator::Creator,
        id::{InvitationId, KeyId, OrganizationId, TeamId, UserId},
        key::{Name, Role, is_bidi_control, is_unseen},
        time::UnixMillis,
    },
    json_schema,
};

/// An email address in lower case: text before and after one `@`, without spaces and control characters, at most
/// 254 bytes. It is not checked that mail arrives there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

impl Email {
    /// The maximum length of an address, in bytes (RFC 5321).
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
            Err("must be an email address, such as `ann@example.com`")
        } else if email.chars().any(|character| is_unseen(character) || is_bidi_control(character)) {
            Err("must not contain spaces, control characters or characters that cannot be seen")
        } else if email.len() > Self::MAX_BYTES {
            Err("must have at most 254 bytes")
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

/// A member of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// The user.
    pub user_id: UserId,
    /// The address, as it was given when the user was created. It need not be a valid one.
    pub email: String,
    /// The role: the most that the member may do.
    pub role: Role,
    /// The instant at which the member joined.
    pub joined_at: UnixMillis,
    /// The time of the last change.
    pub updated_at: UnixMillis,
}

/// An owner of the operator's own organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Owner {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The user.
    pub user_id: UserId,
    /// The address.
    pub email: String,
}

/// A person's membership in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Membership {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The organization's name.
    pub organization: Name,
    /// The user that represents the person there.
    pub user_id: UserId,
    /// The role: the most that the person may do there.
    pub role: Role,
}

/// The permission to take a role from a member.
#[derive(Debug, Clone)]
pub struct RoleRemoval {
    /// The roles that the caller may take.
    pub roles: Vec<Role>,
    /// True if the organization may be left without a key that can manage keys.
    pub force: bool,
}

/// An invitation into an organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Invitation {
    /// The id of the invitation.
    pub id: InvitationId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The address of the invited person.
    pub email: Email,
    /// The role that the invited person receives.
    pub role: Role,
    /// The instant at which the invitation expires.
    pub expires_at: UnixMillis,
    /// The expiry of the key that the invited person receives; `None` for never.
    pub key_expires_at: Option<UnixMillis>,
    /// The creation time.
    pub created_at: UnixMillis,
    /// The key or session that created the invitation.
    pub created_by: KeyId,
    /// The user as whom that acted.
    #[serde(rename = "invited_by")]
    pub created_by_user: Option<UserId>,
    /// The key from which all descends that comes of the invitation.
    pub parent_id: Option<KeyId>,
}

/// The filter of a list of invitations; `None` filters nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct InvitationFilter {
    /// The key or session that created them.
    pub created_by: Option<KeyId>,
    /// The user as whom their creator acted.
    pub created_by_user: Option<UserId>,
}

impl Invitation {
    /// The creator of the key or the session that comes of the invitation.
    pub fn creator(&self) -> Creator {
        Creator { id: Some(self.created_by), user_id: self.created_by_user, parent_id: self.parent_id, trust_id: None }
    }
}

/// A team of an organization's members.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Team {
    /// The id of the team.
    pub id: TeamId,
    /// The name, which is unique in the organization.
    pub name: Name,
    /// The creation time.
    pub created_at: UnixMillis,
    /// The time of the last change.
    pub updated_at: UnixMillis,
}

/// A member of a team.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TeamMember {
    /// The user.
    pub user_id: UserId,
    /// The instant at which the user was added.
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
