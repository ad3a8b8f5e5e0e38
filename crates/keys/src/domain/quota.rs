//! Quotas: the amount of each thing that an organization may have, as the operator says. The defaults stand in the
//! schema, in the view `quotas`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The maximum value of a quota.
pub const MAX_QUOTA: i64 = 1_000_000_000_000;

/// A thing of which an organization may have only so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// Keys that are not revoked.
    Keys,
    /// Projects.
    Projects,
    /// People.
    Members,
    /// Open invitations.
    Invitations,
    /// Data sets.
    Datasets,
    /// Bytes of the rows of data sets and of traces.
    Bytes,
}

impl Quota {
    /// All quotas.
    pub const ALL: [Self; 6] =
        [Self::Keys, Self::Projects, Self::Members, Self::Invitations, Self::Datasets, Self::Bytes];

    /// The name of the quota.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Projects => "projects",
            Self::Members => "members",
            Self::Invitations => "invitations",
            Self::Datasets => "datasets",
            Self::Bytes => "bytes",
        }
    }

    /// The name of the thing for people, and the way to have less of it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Keys => ("keys that are not revoked", "Revoke keys that nobody uses"),
            Self::Projects => ("projects", "Delete projects that nobody uses"),
            Self::Members => ("people", "Remove people who have left"),
            Self::Invitations => ("open invitations", "Revoke invitations that nobody will accept"),
            Self::Datasets => ("data sets", "Delete data sets that nobody uses, and wait a few minutes"),
            Self::Bytes => {
                ("bytes of data sets and traces", "Delete data sets that nobody uses, and wait a few minutes")
            }
        }
    }

    /// The name of the thing for people.
    pub fn thing(self) -> &'static str {
        self.words().0
    }
}

/// A value for each quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quotas<T> {
    /// Keys that are not revoked.
    pub keys: T,
    /// Projects.
    pub projects: T,
    /// People.
    pub members: T,
    /// Open invitations.
    pub invitations: T,
    /// Data sets.
    pub datasets: T,
    /// Bytes of the rows of data sets and of traces.
    pub bytes: T,
}

impl<T: Copy> Quotas<T> {
    /// The value of a quota.
    pub fn of(&self, quota: Quota) -> T {
        match quota {
            Quota::Keys => self.keys,
            Quota::Projects => self.projects,
            Quota::Members => self.members,
            Quota::Invitations => self.invitations,
            Quota::Datasets => self.datasets,
            Quota::Bytes => self.bytes,
        }
    }
}

/// The amount of a thing that an organization has, and may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// The amount that it has.
    pub used: i64,
    /// The amount that it may have.
    pub limit: i64,
}

/// The refusal of something for which an organization has no quota left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaExceeded {
    /// The quota.
    pub quota: Quota,
    /// Its value.
    pub limit: i64,
}

impl QuotaExceeded {
    /// Reads the message with which the schema's triggers stop a statement, wherever it stands in the database's.
    pub fn parse(message: &str) -> Option<Self> {
        let (_, found) = message.split_once("quota exceeded: ")?;
        let (name, rest) = found.split_once(' ')?;
        let digits = rest.split(|next: char| !next.is_ascii_digit()).next()?;
        let quota = Quota::ALL.into_iter().find(|quota| quota.as_str() == name)?;
        Some(Self { quota, limit: digits.parse().ok()? })
    }
}

impl fmt::Display for QuotaExceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (thing, remedy) = self.quota.words();
        let limit = self.limit;
        write!(
            formatter,
            "This organization may have {limit} {thing}, and this would be more. {remedy}, or ask the operator of this \
             service for more."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Quota, QuotaExceeded};

    #[test]
    fn message_of_a_trigger_is_read_wherever_it_stands() {
        let parse = |message: &str| QuotaExceeded::parse(message).map(|found| (found.quota, found.limit));
        for (message, expected) in [
            ("quota exceeded: keys 3", Some((Quota::Keys, 3))),
            ("D1_ERROR: quota exceeded: bytes 1000: SQLITE_CONSTRAINT", Some((Quota::Bytes, 1_000))),
            ("quota exceeded: cats 3", None),
            ("quota exceeded: keys", None),
            ("quota exceeded: keys many", None),
            ("UNIQUE constraint failed: keys.id", None),
        ] {
            assert_eq!(parse(message), expected, "{message}");
        }
    }
}
