//! The uses of keys: those that wait to be written, and those of a day.

use serde::{Deserialize, Serialize};

use crate::domain::{id::KeyId, time::UnixMillis};

/// The uses of one secret since they were last written.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SecretUses {
    /// The key.
    pub id: KeyId,
    /// Whether by its outgoing secret.
    pub outgoing: bool,
    /// The last of them.
    pub at: UnixMillis,
    /// The number of uses.
    pub count: i64,
}

/// The uses of a key on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct DailyUses {
    /// The beginning of the day (UTC).
    pub day: UnixMillis,
    /// The number of uses.
    pub uses: i64,
}
