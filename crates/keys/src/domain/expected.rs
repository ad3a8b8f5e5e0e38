//! The version of a resource that a change was made from.

use crate::domain::time::UnixMillis;

/// The version of a resource that a caller expects to change: the time of its last change. With it, the change of
/// somebody else in between is not lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The version; `None` for any.
    pub version: Option<UnixMillis>,
}

/// The resource is in another version than expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionChanged;

impl Expected {
    /// Any version.
    pub const ANY: Self = Self { version: None };

    /// Checks the version that was found.
    ///
    /// # Errors
    /// [`VersionChanged`] if it is another one.
    pub fn check(self, found: UnixMillis) -> Result<(), VersionChanged> {
        if self.version.is_none_or(|expected| expected == found) { Ok(()) } else { Err(VersionChanged) }
    }
}
