//! The creator of a key, an invitation, a link or a session.

use crate::domain::id::{KeyId, UserId};

/// The creator of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Creator {
    /// The key, or the session that was signed in without one; `None` for the operator.
    pub id: Option<KeyId>,
    /// The user as whom it acted.
    pub user_id: Option<UserId>,
    /// The key from which the created thing descends.
    pub parent_id: Option<KeyId>,
}
