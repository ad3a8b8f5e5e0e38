//! Why a use case did not do what it was asked.

use crate::{domain::decision::Refusal, ports::DatabaseError};

/// Why a use case did not do what it was asked. `http` knows how each looks on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// What was sent is wrong.
    Invalid {
        /// Where: `scopes[1]`.
        field: Option<String>,
        /// What, and what to do.
        message: String,
    },
    /// The caller's own key is not good, or not good for this.
    Refused(Refusal),
    /// It would give a key more than its maker holds.
    Exceeds(String),
    /// There is no such thing, or none that the caller may see.
    NotFound,
    /// It is there, but the caller may not do this with it.
    Forbidden {
        /// For programs.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// The organization has to pay first.
    PaymentRequired {
        /// For programs.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// It does not fit what is there now, and asking again will not help.
    Conflict {
        /// For programs.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// It is there already.
    AlreadyExists {
        /// For programs.
        code: &'static str,
        /// For people: names what is there.
        message: String,
    },
    /// It does not fit what is there now, and the same request may fit in a moment.
    InProgress {
        /// For programs.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// Something that the answer depends on cannot be asked, and the caller is told so.
    Unready {
        /// For programs.
        code: &'static str,
        /// For people.
        message: &'static str,
        /// The number of seconds after which it may be; `None`: nobody knows.
        retry_after_seconds: Option<u32>,
    },
    /// It was asked too often.
    TooMany,
    /// The Idempotency-Key belongs to another request.
    Reused,
    /// The first request with the Idempotency-Key made what has this id; the answer cannot be given again.
    Spent(String),
    /// Something that the answer depends on has failed; the text is for the log alone.
    Unavailable(String),
    /// The caller's key has changed since it was verified: verify anew, then try again.
    KeyChanged,
}

impl Error {
    /// A wrong field.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field.to_owned()), message: message.into() }
    }

    /// Whether the caller may not do this, or not any more. Then they are not told either what they did before.
    pub fn withdrawn(&self) -> bool {
        matches!(self, Self::NotFound | Self::Forbidden { .. })
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Guard => Self::KeyChanged,
            // `App::once` looks whether it was the same request.
            DatabaseError::Repeated => Self::Reused,
            DatabaseError::Unique => Self::Unavailable("a unique index refused a row".to_owned()),
            DatabaseError::Failed(message) => Self::Unavailable(message),
        }
    }
}
