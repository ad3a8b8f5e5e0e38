//! The answer to DELETE.

use std::fmt::Display;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{call::Call, message::Rfc3339};

/// A resource that was deleted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Deleted")]
pub struct DeletedBody {
    /// The id of the resource.
    id: String,
    /// The time from which routes that use the database know of it.
    effective_at: Rfc3339,
    /// The maximum time after that until all other routes know of it, too, in milliseconds. 0 unless keys end with the
    /// resource.
    max_staleness_ms: i64,
}

impl DeletedBody {
    /// Describes the deletion of a resource without keys.
    pub fn new(call: &Call<'_>, id: impl Display) -> Self {
        Self { id: id.to_string(), effective_at: Rfc3339(call.app.clock.now()), max_staleness_ms: 0 }
    }

    /// Describes the deletion of a resource whose keys have ended with it.
    pub fn with_keys(call: &Call<'_>, id: impl Display) -> Self {
        Self { max_staleness_ms: call.app.config.max_staleness_ms, ..Self::new(call, id) }
    }
}
