//! The creator of a key, an invitation, a link or a session.

use crate::domain::id::{KeyId, TrustId, UserId};

/// The creator of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Creator {
    /// The key, the session that was signed in without one, or the trust; `None` for the operator.
    pub id: Option<KeyId>,
    /// The user as whom it acted.
    pub user_id: Option<UserId>,
    /// The key from which the created thing descends.
    pub parent_id: Option<KeyId>,
    /// The trust that gave the key to a workload.
    pub trust_id: Option<TrustId>,
}
