//! The ids of the evaluations' things. Those that begin with a word are public.

use std::fmt;

use bitting_keys::{
    domain::{id::v7, time::UnixMillis},
    id, json_schema,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use uuid::Uuid;

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
