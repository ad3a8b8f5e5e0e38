//! Typed ids. Each is a UUIDv7 (RFC 9562), so ids sort by the instant at which they were made.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use uuid::{Builder, Uuid};

use super::{schema::json_schema, time::UnixMillis};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id for this instant; `random` gives the bits that the instant leaves open.
            pub fn new(now: UnixMillis, random: [u8; 10]) -> Self {
                Self(v7(now, random))
            }

            /// Reads the usual hyphenated form, in either case.
            pub fn parse(text: &str) -> Option<Self> {
                (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
            }

            /// This id as a subject of the change feed.
            pub fn subject(self) -> Subject {
                Subject(self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| D::Error::custom("must be an id, which is a UUID with its hyphens"))
            }
        }

        json_schema!($name, "Id", { "type": "string", "format": "uuid" });

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A key's id. It survives changes of the key; the key's text is something else.
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
    /// An invitation's id. It opens nothing: that is what the token is for.
    InvitationId
}
id! {
    /// A team's id.
    TeamId
}
id! {
    /// The id of a session on the settings pages. It opens nothing: that is what the token is for.
    SessionId
}

id! {
    /// A trace's id. Its sender makes it.
    TraceId
}
id! {
    /// The id of a piece of feedback.
    FeedbackId
}
id! {
    /// The id of a request for an evaluation.
    EvalId
}

impl SessionId {
    /// The id by which a session is named where keys are.
    pub fn as_key(self) -> KeyId {
        KeyId(self.0)
    }
}

macro_rules! public_id {
    ($(#[$doc:meta])* $name:ident $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id for this instant; `random` gives the bits that the instant leaves open.
            pub fn new(now: UnixMillis, random: [u8; 10]) -> Self {
                Self(v7(now, random))
            }

            /// Reads an id, which has its prefix and 32 lower-case hexadecimal digits.
            pub fn parse(text: &str) -> Option<Self> {
                let digits = text.strip_prefix($prefix)?;
                let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                let good = digits.len() == 32 && digits.bytes().all(lower);
                good.then(|| Uuid::try_parse(digits).ok()).flatten().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let must = || D::Error::custom(concat!("must be an id that starts with `", $prefix, "`"));
                Self::parse(&text).ok_or_else(must)
            }
        }

        json_schema!($name, "PublicId", { "type": "string", "pattern": concat!("^", $prefix, "[0-9a-f]{32}$") });
    };
}

public_id! {
    /// A data set's id: `ds_…`, in the database as on the wire.
    DatasetId "ds_"
}
public_id! {
    /// An evaluation's id: `eval_…`.
    EvaluationId "eval_"
}
public_id! {
    /// A live evaluation's id: `live_…`.
    LiveEvaluationId "live_"
}
public_id! {
    /// The id of a run of a live evaluation: `run_…`.
    RunId "run_"
}
public_id! {
    /// The id of something in the review queue: `rev_…`.
    ReviewId "rev_"
}

/// The id of the one thing that a key is bound to. A part of the service that the core does not know has made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BoundTo(String);

impl BoundTo {
    /// Returns a thing by its id.
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

/// Whatever the change feed can say something about: a key, a user, a project, an organization, a session.
/// UUIDs are unique across tables, so a subject needs no kind beside its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject(Uuid);

impl Subject {
    /// Reads a subject. One that is no UUID concerns no key, and is the nil subject.
    pub fn parse(text: &str) -> Self {
        Self(Uuid::try_parse(text).unwrap_or_default())
    }
}

/// A request's id, for a request to which the platform gave none.
pub fn request_id(now: UnixMillis, random: [u8; 10]) -> String {
    v7(now, random).to_string()
}

/// What a path names, if it is an id or a number: in the form in which that is kept.
pub fn well_formed(text: &str) -> Option<String> {
    let number = || text.parse::<u32>().ok().map(|number| number.to_string());
    KeyId::parse(text).map(|id| id.to_string()).or_else(number)
}

fn v7(now: UnixMillis, random: [u8; 10]) -> Uuid {
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
