//! Repeatable requests. A caller that lost the answer sends the same request again with the same
//! `Idempotency-Key`, and gets the first result, including its secret.
//!
//! The secret can be shown again although it is stored nowhere: it is derived from the text of the caller's
//! own key, in the two steps of HKDF (RFC 5869), and not drawn from the platform's randomness:
//!
//! ```text
//! step    = HMAC-SHA-256(key: nonce,  message: caller's text)
//! block i = HMAC-SHA-256(key: step,   message: label, i, Idempotency-Key)
//! ```
//!
//! The database holds the nonce, 32 random bytes per request. It does not hold the caller's text, which has
//! 256 random bits and comes with each request. Therefore:
//!
//! - The same caller derives the same secret again, as long as the nonce exists.
//! - The database alone does not lead to the secret, and another key derives another secret. Without the
//!   Idempotency-Key, of which only the digest is stored, even the caller's text is not enough.
//! - After [`IDEMPOTENCY_WINDOW_MS`] the nonce is deleted, and the secret can no longer be derived. (A backup
//!   contains the nonce until the backup itself is deleted.)
//!
//! A form on the settings pages has an Idempotency-Key, too, but only so that it takes effect once. Its secret
//! is drawn from the platform's randomness, has no nonce, and is never shown again.
//!
//! The first step must not be left out: HMAC replaces a key of more than 64 bytes by its SHA-256, and that is
//! the stored hash of a key where there is no pepper.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::domain::{key_text::KeyText, time::DAY_MS};

/// The time for which a request may be repeated, in milliseconds.
pub const IDEMPOTENCY_WINDOW_MS: i64 = DAY_MS;
/// The maximum length of an Idempotency-Key, in bytes.
const MAX_LENGTH: usize = 255;
/// The label of this derivation. No other use of the same derivation may ever have it.
const LABEL: &[u8] = b"bitting idempotency 1";

/// A request that its caller may repeat. Like the text of the caller's key, which it contains, it has no `Display`
/// and no `Serialize`, and its `Debug` shows nothing.
#[derive(Clone)]
pub struct Repeatable {
    /// The text of the caller's key; `None` if a secret is shown only once.
    caller: Option<KeyText>,
    key: String,
    fingerprint: [u8; 32],
}

impl Repeatable {
    /// A request with this Idempotency-Key, from the caller with this text. `request` holds everything that
    /// identifies the request when it is sent again. `None` if the Idempotency-Key is not 1 to 255 visible ASCII
    /// characters.
    pub fn new(caller: KeyText, key: &str, request: &[&[u8]]) -> Option<Self> {
        Some(Self { caller: Some(caller), ..Self::once(key, request)? })
    }

    /// A request that creates something once. A repetition learns that it was created, but not the secret.
    pub fn once(key: &str, request: &[&[u8]]) -> Option<Self> {
        if !(1..=MAX_LENGTH).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        // Each part is hashed separately, so that none can run into the next.
        let parts = request.iter().fold(Sha256::new(), |all, part| all.chain_update(Sha256::digest(part)));
        Some(Self { caller: None, key: key.to_owned(), fingerprint: parts.finalize().into() })
    }

    /// The name of the request in the database: SHA-256 of the Idempotency-Key, in hexadecimal.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(&self.key))
    }

    /// The fingerprint, in hexadecimal. It differs for another request with the same Idempotency-Key.
    pub fn fingerprint(&self) -> String {
        hex::encode(self.fingerprint)
    }

    /// True if the secret can be shown again.
    pub fn can_show_again(&self) -> bool {
        self.caller.is_some()
    }

    /// Bytes for a new secret: the same ones for the same caller, Idempotency-Key and nonce. `None` if the secret
    /// is shown only once.
    ///
    /// # Errors
    /// None: HMAC takes keys of any length (RFC 2104).
    pub fn secret_bytes(&self, nonce: &Nonce) -> Option<impl FnMut(&mut [u8]) -> Result<(), String> + use<>> {
        let (step, key) = (mac(&nonce.0, &[self.caller.as_ref()?.expose().as_bytes()]), self.key.clone());
        let mut number = 0_u32;
        Some(move |bytes: &mut [u8]| {
            for chunk in bytes.chunks_mut(32) {
                let block = mac(step.as_ref().map_err(Clone::clone)?, &[LABEL, &number.to_be_bytes(), key.as_bytes()])?;
                chunk.iter_mut().zip(block).for_each(|(byte, derived)| *byte = derived);
                number += 1;
            }
            Ok(())
        })
    }
}

impl fmt::Debug for Repeatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repeatable(hidden)")
    }
}

/// The first request with an Idempotency-Key, as it is stored.
#[derive(Debug, Clone, Deserialize)]
pub struct FirstRequest {
    /// The fingerprint of the request.
    pub fingerprint: String,
    /// The nonce of the secret, if the secret can be shown again; see [`Nonce::parse`].
    pub nonce: Option<String>,
    /// The id of the created resource.
    pub subject: String,
}

/// The database's part in a derivation. It is useless without the caller's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// Creates a nonce from random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// This nonce in lower-case hexadecimal, as it is stored.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], String> {
    let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
    Ok(parts.iter().fold(mac, Mac::chain_update).finalize().into_bytes().into())
}
