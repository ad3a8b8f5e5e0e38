//! The uses of keys: those not yet written, and those of a day.

use serde::{Deserialize, Serialize};

use crate::domain::{id::KeyId, time::UnixMillis};

/// The maximum length of an address, which that of IPv6 fits into.
const MAX_IP_CHARS: usize = 45;
/// The maximum length of the name of a client.
const MAX_USER_AGENT_CHARS: usize = 100;

/// The client that used a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedFrom {
    /// The client's address, as the platform reports it.
    pub ip: Option<String>,
    /// The beginning of the client's user agent.
    pub user_agent: Option<String>,
}

impl UsedFrom {
    /// Creates a client from headers of its request; `None` if neither was sent.
    pub fn new(ip: Option<&str>, user_agent: Option<&str>) -> Option<Self> {
        let cut = |text: Option<&str>, most| {
            let text: String = text?.chars().filter(|char| matches!(char, ' '..='~')).take(most).collect();
            (!text.is_empty()).then_some(text)
        };
        let from = Self { ip: cut(ip, MAX_IP_CHARS), user_agent: cut(user_agent, MAX_USER_AGENT_CHARS) };
        (from.ip.is_some() || from.user_agent.is_some()).then_some(from)
    }
}

/// The uses of one secret since the last write.
#[derive(Debug, Clone, Serialize)]
pub struct SecretUses {
    /// The key.
    pub id: KeyId,
    /// True if the outgoing secret was used.
    pub outgoing: bool,
    /// The time of the last use.
    pub at: UnixMillis,
    /// The number of uses.
    pub count: i64,
    /// The client of the last use; `None` if it is not known, or a service has verified the key.
    pub from: Option<UsedFrom>,
}

/// The uses of a key on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct DailyUses {
    /// The beginning of the day (UTC).
    pub day: UnixMillis,
    /// The number of uses.
    pub uses: i64,
}
