//! Why a use case did not do what it was asked.

use crate::{
    domain::{decision::Refusal, id::ReviewId},
    ports::DatabaseError,
};

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
    /// It is shared with the caller to read, not to change.
    ReadOnly,
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
    /// It was asked too often.
    TooMany,
    /// The Idempotency-Key belongs to another request.
    Reused,
    /// The first request with the Idempotency-Key made what has this id; the answer cannot be given again.
    Spent(String),
    /// The first request with the Idempotency-Key has not ended yet.
    Running,
    /// The run is in the review queue already, as this item.
    Flagged(ReviewId),
    /// Something that the answer depends on has failed; the text is for the log alone.
    Unavailable(String),
    /// A language model is to judge, and the operator has set up none.
    JudgeNotConfigured,
    /// The language model does not answer, or not what it was asked for; it may after so many seconds.
    JudgeUnavailable(u32),
    /// The caller's key has changed since it was verified: verify anew, then try again.
    KeyChanged,
    /// The Idempotency-Key was used before: answer with what was made then.
    Repeated,
}

impl Error {
    /// A wrong field.
    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field.to_owned()), message: message.into() }
    }

    /// Whether the caller may not do this, or not any more. Then he is not told either what he did before.
    pub(crate) fn withdrawn(&self) -> bool {
        matches!(self, Self::NotFound | Self::ReadOnly)
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Guard => Self::KeyChanged,
            DatabaseError::Repeated => Self::Repeated,
            DatabaseError::Unique => Self::Unavailable("a unique index refused a row".to_owned()),
            DatabaseError::Failed(message) => Self::Unavailable(message),
        }
    }
}
