//! The version of a resource that a change was made from.

use crate::{app::error::Error, domain::time::UnixMillis};

/// The version of a resource that a caller expects to change: the time of its last change. With it, the change of
/// somebody else in between is not lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The version; `None` for any.
    pub version: Option<UnixMillis>,
}

impl Expected {
    /// Any version.
    pub const ANY: Self = Self { version: None };

    /// Checks the version that was found.
    ///
    /// # Errors
    /// [`Error::VersionChanged`] if it is another one.
    pub fn check(self, found: UnixMillis) -> Result<(), Error> {
        if self.version.is_none_or(|expected| expected == found) { Ok(()) } else { Err(Error::VersionChanged) }
    }
}
