//! Device links: a person approves one on the settings pages, and so gives a key to a program on another device.
//!
//! The program draws a token and shows a link with the token's digest. When a person approves it, the key is created with
//! a secret that nobody has seen, and with an end that is near. The program, which alone knows the token, claims the key:
//! it gets a new secret and its real expiry. A key that nobody claims expires by itself.

use crate::domain::{id::KeyId, key_text::Digest, time::UnixMillis};

/// The time in which an approved key can be claimed, in milliseconds.
pub const CLAIM_MS: i64 = 10 * 60 * 1000;

/// An approved device link.
pub struct DeviceLink {
    /// The digest of the program's token.
    pub digest: Digest,
    /// The key that it gives.
    pub key_id: KeyId,
    /// The expiry of the key from the claim on; `None` for never.
    pub key_expires_at: Option<UnixMillis>,
    /// The instant at which the link expires.
    pub expires_at: UnixMillis,
}
