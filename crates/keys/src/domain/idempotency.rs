//! Requests that may be repeated: whoever lost the answer sends the same request again with the same
//! `Idempotency-Key`, and gets what the first one made, its secret too.
//!
//! The secret is told again, and still it is stored nowhere. It was not drawn from the platform's
//! randomness, but derived from the text of the caller's own key, in the two steps of HKDF (RFC 5869):
//!
//! ```text
//! step    = HMAC-SHA-256(key: nonce,  message: caller's text)
//! block i = HMAC-SHA-256(key: step,   message: label, i, Idempotency-Key)
//! ```
//!
//! The database holds the nonce, 32 random bytes of this one request, and not the text, which has 256
//! random bits and comes with each request. So
//!
//! - the same caller derives the same secret again, for as long as there is the nonce;
//! - whoever has the database alone has nothing from which the secret follows, whoever has another key
//!   derives another secret, and without the Idempotency-Key, of which only the digest is stored, not
//!   even the caller's text is enough;
//! - when [`IDEMPOTENCY_WINDOW_MS`] is over the nonce is deleted, and nobody can derive the secret any more
//!   (a backup has the nonce, too, until it is deleted itself).
//!
//! A form on the settings pages has an Idempotency-Key, too, but only so that it is sent once: its secret is
//! drawn from the platform's randomness, has no nonce, and is never told again.
//!
//! The first step must not be left out: as a key HMAC takes a text of more than 64 bytes for its SHA-256,
//! and that is what is stored of keys where there is no pepper.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::domain::{key_text::KeyText, time::DAY_MS};

/// How long a request may be repeated, in milliseconds.
pub const IDEMPOTENCY_WINDOW_MS: i64 = DAY_MS;
/// The longest Idempotency-Key, in bytes.
const MAX_LENGTH: usize = 255;
/// No other use of the same derivation may ever have this label.
const LABEL: &[u8] = b"bitting idempotency 1";

/// A request that its caller may repeat. Like the text of the caller's key, which is in it, it has no
/// `Display` and no `Serialize`, and its `Debug` shows nothing.
#[derive(Clone)]
pub struct Repeatable {
    /// `None`: what was made once is not told again.
    caller: Option<KeyText>,
    key: String,
    fingerprint: [u8; 32],
}

impl Repeatable {
    /// A request with this Idempotency-Key, by the caller with this text. `request` is all that makes it
    /// the same request when it comes again. `None` if the Idempotency-Key is not 1 to 255 visible ASCII
    /// characters.
    pub fn new(caller: KeyText, key: &str, request: &[&[u8]]) -> Option<Self> {
        Some(Self { caller: Some(caller), ..Self::once(key, request)? })
    }

    /// The same for a request that makes something once, and is told then that it was made, but not the secret.
    pub fn once(key: &str, request: &[&[u8]]) -> Option<Self> {
        if !(1..=MAX_LENGTH).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        // Each part's own digest, so that none can run into the next.
        let parts = request.iter().fold(Sha256::new(), |all, part| all.chain_update(Sha256::digest(part)));
        Some(Self { caller: None, key: key.to_owned(), fingerprint: parts.finalize().into() })
    }

    /// The name under which the request is remembered: SHA-256 of the Idempotency-Key, in hexadecimal.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(&self.key))
    }

    /// The fingerprint, which another request with the same Idempotency-Key does not have, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        hex::encode(self.fingerprint)
    }

    /// Whether a secret that it makes can be told again.
    pub fn tells_again(&self) -> bool {
        self.caller.is_some()
    }

    /// Bytes for a new secret: the same ones for the same caller, Idempotency-Key and nonce. `None` if it is
    /// never told again.
    ///
    /// # Errors
    /// None: HMAC takes keys of any length (RFC 2104).
    pub fn secret_bytes(&self, nonce: &Nonce) -> Option<impl FnMut(&mut [u8]) -> Result<(), String> + use<>> {
        let (step, key) = (mac(&nonce.0, &[self.caller.as_ref()?.expose().as_bytes()]), self.key.clone());
        let mut number = 0_u32;
        Some(move |bytes: &mut [u8]| {
            for chunk in bytes.chunks_mut(32) {
                let block = mac(step.as_ref().map_err(Clone::clone)?, &[LABEL, &number.to_be_bytes(), key.as_bytes()])?;
                chunk.iter_mut().zip(block).for_each(|(byte, made)| *byte = made);
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

/// The first request with an Idempotency-Key, as it is remembered.
#[derive(Debug, Clone, Deserialize)]
pub struct FirstRequest {
    /// Its fingerprint.
    pub fingerprint: String,
    /// The nonce of the secret that it made, if that can be told again; see [`Nonce::parse`].
    pub nonce: Option<String>,
    /// The id of what it made.
    pub subject: String,
}

/// The database's part in a derivation: worth nothing without the caller's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// A new nonce of random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads the form in which it is stored.
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
