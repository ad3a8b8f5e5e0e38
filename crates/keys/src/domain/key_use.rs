//! The uses of keys: those not yet written, and those of a day.

use serde::{Deserialize, Serialize};

use crate::domain::{id::KeyId, time::UnixMillis};

/// The uses of one secret since the last write.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SecretUses {
    /// The key.
    pub id: KeyId,
    /// True if the outgoing secret was used.
    pub outgoing: bool,
    /// The time of the last use.
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
