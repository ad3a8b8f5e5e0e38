//! Typed ids. Each is a UUIDv7 (RFC 9562), so ids sort by creation time.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::{domain::time::UnixMillis, json_schema};

/// Defines the type of an id: a UUIDv7 that is written with its hyphens.
#[macro_export]
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Creates an id for this instant; `random` fills the remaining bits.
            pub fn new(now: $crate::domain::time::UnixMillis, random: [u8; 10]) -> Self {
                Self($crate::domain::id::v7(now, random))
            }

            /// Reads the usual hyphenated form, in either case.
            pub fn parse(text: &str) -> Option<Self> {
                (text.len() == 36).then(|| uuid::Uuid::try_parse(text).ok()).flatten().map(Self)
            }

            /// This id as a subject of the change feed.
            pub fn subject(self) -> $crate::domain::id::Subject {
                $crate::domain::id::Subject::from(self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("must be an id, which is a UUID with its hyphens"))
            }
        }

        $crate::json_schema!($name, "Id", { "type": "string", "format": "uuid" });

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A key's id. It stays the same when the key changes; the key's text is something else.
    KeyId
}
id! {
    /// An organization's id.
    OrganizationId
}
id! {
    /// A project's id.
    ProjectId
}
id! {
    /// A user's id.
    UserId
}

id! {
    /// An invitation's id. It gives no access; the token does.
    InvitationId
}
id! {
    /// A team's id.
    TeamId
}
id! {
    /// A sign-in link's id. It opens nothing; the token does.
    SignInLinkId
}
id! {
    /// The id of a session on the settings pages. It gives no access; the token does.
    SessionId
}

id! {
    /// A trust's id.
    TrustId
}

impl TrustId {
    /// This trust's id, for places that expect a key's id: the creator of its keys.
    pub fn as_key(self) -> KeyId {
        KeyId(self.0)
    }
}

impl SessionId {
    /// This session's id, for places that expect a key's id.
    pub fn as_key(self) -> KeyId {
        KeyId(self.0)
    }
}

/// The id of the one resource that a key is bound to. Another part of the service creates it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BoundTo(String);

impl BoundTo {
    /// Wraps the id of a resource.
    pub fn new(id: impl fmt::Display) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for BoundTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

json_schema!(BoundTo, "BoundTo", { "type": "string", "pattern": "^live_[0-9a-f]{32}$" });

/// The number of a change. 0 stands before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub i64);

json_schema!(Seq, "Seq", { "type": "integer", "minimum": 0 });

/// A subject of the change feed: a key, a user, a project, an organization, or a session. UUIDs are unique across
/// tables, so a subject needs no kind beside its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(Uuid);

impl From<Uuid> for Subject {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

json_schema!(Subject, "Subject", { "type": "string", "format": "uuid" });

impl Subject {
    /// Reads a subject. A text that is not a UUID concerns no key and becomes the nil subject.
    pub fn parse(text: &str) -> Self {
        Self(Uuid::try_parse(text).unwrap_or_default())
    }
}

/// A request's id, for a request that has none from the platform.
pub fn request_id(now: UnixMillis, random: [u8; 10]) -> String {
    v7(now, random).to_string()
}

/// The stored form of an id or a number in a path; `None` if the text is neither.
pub fn well_formed(text: &str) -> Option<String> {
    let number = || text.parse::<u32>().ok().map(|number| number.to_string());
    KeyId::parse(text).map(|id| id.to_string()).or_else(number)
}

/// Returns a UUIDv7 for an instant; `random` fills the remaining bits.
pub fn v7(now: UnixMillis, random: [u8; 10]) -> Uuid {
    Builder::from_unix_timestamp_millis(u64::try_from(now.0).unwrap_or(0), &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::{KeyId, UnixMillis};

    #[test]
    fn ids_sort_by_their_instant() {
        let older = KeyId::new(UnixMillis(1_763_000_000_000), [0xff; 10]);
        let newer = KeyId::new(UnixMillis(1_763_000_000_001), [0x00; 10]);
        assert!(older < newer);
        assert!(older.to_string() < newer.to_string());
        assert_eq!(KeyId::parse(&older.to_string()), Some(older));
    }

    #[test]
    fn parse_refuses_other_forms() {
        for text in ["", "self", "0190b5f0a5e07000800000000000abcd", "0190b5f0-a5e0-7000-8000-00000000abc\0"] {
            assert_eq!(KeyId::parse(text), None, "{text:?}");
        }
    }
}
