//! Room in the database: what is large is refused before the database is full, so that endings can be written.

use crate::app::{App, error::Error};

/// The percentage of the database's limit beyond which nothing large is stored.
const FULL_PERCENT: i64 = 80;
/// The percentage of the database's limit beyond which the log warns.
const WARN_PERCENT: i64 = 70;

impl App {
    /// Checks that there is room for something large: rows, uploads, traces, runs and feedback, and keys with
    /// long metadata. Other keys, endings and events of the audit log need no check, and have the rest of the database to
    /// themselves.
    ///
    /// # Errors
    /// [`Error::DatabaseFull`] if there is not.
    pub fn check_room(&self) -> Result<(), Error> {
        if self.note_size() > FULL_PERCENT { Err(Error::DatabaseFull) } else { Ok(()) }
    }

    /// Warns in the log, at most once an hour, if the database is nearly full. Returns the percentage of its limit that
    /// it has, as its newest answer told; 0 before the first.
    pub fn note_size(&self) -> i64 {
        let (size, limit) = (self.database.size_bytes().unwrap_or(0), self.config.database_limit_bytes);
        let percent = size.saturating_mul(100) / limit.max(1);
        if percent > WARN_PERCENT && self.isolate.claim_size_warning(self.now()) {
            log::warn!(
                "the database has {size} bytes, {percent} % of DATABASE_LIMIT_BYTES; beyond {FULL_PERCENT} % nothing \
                 large is stored"
            );
        }
        percent
    }
}
