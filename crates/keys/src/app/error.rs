//! The error of a use case.

use crate::{
    domain::{decision::Refusal, expected::VersionChanged, grant::Excess, quota::QuotaExceeded},
    ports::DatabaseError,
};

/// The error of a use case. The crate `bitting-http` turns it into a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The request is invalid, for each of these reasons. There is at least one.
    Invalid(Vec<Mistake>),
    /// The caller's own key is not valid, or lacks a scope.
    Refused(Refusal),
    /// The request needs more than the caller's key holds.
    Exceeds(String),
    /// The resource does not exist, or the caller may not see it.
    NotFound,
    /// The resource exists, but the caller may not do this with it.
    Forbidden {
        /// For programs.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// The request is not one that the protocol of its route permits.
    BadRequest {
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
    /// The request conflicts with the current state, and a retry will not help.
    Conflict {
        /// For programs.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// The resource already exists.
    AlreadyExists {
        /// For programs.
        code: &'static str,
        /// For people. It names the existing resource.
        message: String,
    },
    /// The request conflicts with the current state, and a retry may succeed in a moment.
    InProgress {
        /// For programs.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// A dependency is not available, and the caller is told which.
    Unready {
        /// For programs.
        code: &'static str,
        /// For people.
        message: &'static str,
        /// The number of seconds after which a retry may succeed; `None` if that is unknown.
        retry_after_seconds: Option<u32>,
    },
    /// The organization has no quota left for this.
    QuotaExceeded(QuotaExceeded),
    /// The database has no room for anything large.
    DatabaseFull,
    /// The resource is not in the version that the caller expects.
    VersionChanged,
    /// There were too many attempts.
    TooMany,
    /// The Idempotency-Key belongs to another request.
    Reused,
    /// The first request with the Idempotency-Key created the resource with this id. The answer cannot be given
    /// again.
    Spent(String),
    /// A dependency has failed. The text is for the log only.
    Unavailable(String),
    /// The caller's key has changed since it was verified. Verify it again, then retry.
    KeyChanged,
}

/// A mistake in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The wrong field, such as `scopes[1]`; `None` for the whole request.
    pub field: Option<String>,
    /// The fault, and how to correct it.
    pub message: String,
}

impl Error {
    /// Creates the error of an invalid field.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Mistake { field: Some(field.to_owned()), message: message.into() }])
    }

    /// Creates the error of a request that is invalid as a whole.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::Invalid(vec![Mistake { field: None, message: message.into() }])
    }

    /// Returns the values of both results, or the mistakes of both.
    ///
    /// # Errors
    /// The first error; if both are [`Error::Invalid`], the mistakes of the second follow those of the first.
    pub fn join<A, B>(a: Result<A, Self>, b: Result<B, Self>) -> Result<(A, B), Self> {
        match (a, b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(a), Err(b)) => Err(a.and(b)),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// The first error; if both are [`Error::Invalid`], with the mistakes of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Invalid(mut mistakes), Self::Invalid(more)) => {
                mistakes.extend(more);
                Self::Invalid(mistakes)
            }
            (error, _) => error,
        }
    }

    /// True if the caller may no longer do this. Such a caller does not see earlier results either.
    pub fn access_lost(&self) -> bool {
        matches!(self, Self::NotFound | Self::Forbidden { .. })
    }
}

impl From<VersionChanged> for Error {
    fn from(_: VersionChanged) -> Self {
        Self::VersionChanged
    }
}

impl From<Excess> for Error {
    fn from(excess: Excess) -> Self {
        Self::Exceeds(excess.to_string())
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Guard => Self::KeyChanged,
            // `App::once` checks whether it was the same request.
            DatabaseError::Repeated => Self::Reused,
            DatabaseError::Unique => Self::Unavailable("a unique index refused a row".to_owned()),
            DatabaseError::Quota(exceeded) => Self::QuotaExceeded(exceeded),
            DatabaseError::Failed(message) => Self::Unavailable(message),
        }
    }
}
