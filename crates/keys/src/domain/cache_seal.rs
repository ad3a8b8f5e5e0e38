//! The seal on what KV holds: only this deployment can write a value that it believes.
//!
//! Both keys are derived from the operator's secret, each for one purpose:
//!
//! ```text
//! name  = HMAC-SHA-256(key: HMAC(secret, NAMES),  message: digest)
//! value = HMAC-SHA-256(key: HMAC(secret, VALUES), message: version, digest, content), content
//! ```
//!
//! A name does not lead to the digest. A value that was written under another secret, for another digest, in
//! another version, or by another program, does not open.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::key_text::Digest;

/// The labels of the two derivations. No other use of the secret may ever have them.
const NAMES: &[u8] = b"bitting cache: names";
const VALUES: &[u8] = b"bitting cache: values";
/// The version of the content. Another version does not open.
const VERSION: &str = "6";
/// The length of a MAC in hexadecimal.
const MAC_LENGTH: usize = 64;

/// The keys that name and seal the values in KV. They are derived once per isolate.
#[derive(Clone)]
pub struct CacheSeal {
    names: Hmac<Sha256>,
    values: Hmac<Sha256>,
}

impl CacheSeal {
    /// Derives the keys from the operator's secret. It is never `None`: HMAC takes a key of any length (RFC 2104).
    pub fn new(secret: &str) -> Option<Self> {
        let derived = |label: &[u8]| {
            let key = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?.chain_update(label).finalize();
            Hmac::new_from_slice(&key.into_bytes()).ok()
        };
        Some(Self { names: derived(NAMES)?, values: derived(VALUES)? })
    }

    /// The name of the value of this digest.
    pub fn name(&self, digest: Digest) -> String {
        let name = self.names.clone().chain_update(digest.as_bytes()).finalize();
        format!("snapshot:{VERSION}:{}", hex::encode(name.into_bytes()))
    }

    /// Seals the content of this digest.
    pub fn seal(&self, digest: Digest, content: &str) -> String {
        hex::encode(self.mac(digest, content).finalize().into_bytes()) + content
    }

    /// Opens a value of this digest; `None` if [`CacheSeal::seal`] did not write it.
    pub fn open<'a>(&self, digest: Digest, value: &'a str) -> Option<&'a str> {
        let (mac, content) = value.split_at_checked(MAC_LENGTH)?;
        // It compares in constant time.
        self.mac(digest, content).verify_slice(&hex::decode(mac).ok()?).ok()?;
        Some(content)
    }

    fn mac(&self, digest: Digest, content: &str) -> Hmac<Sha256> {
        self.values.clone().chain_update(VERSION).chain_update(digest.as_bytes()).chain_update(content)
    }
}

#[cfg(test)]
mod tests {
    use hmac::Mac;

    use super::{CacheSeal, Digest};

    const SECRET: &str = "an-operator-secret-of-32-characters";

    #[test]
    fn open_accepts_only_what_was_sealed_for_the_digest() {
        let (seal, digest) = (CacheSeal::new(SECRET).unwrap(), Digest::of("key"));
        let value = seal.seal(digest, "{}");
        assert_eq!(seal.open(digest, &value), Some("{}"));
        let other = CacheSeal::new("another-operator-secret-of-32-characters").unwrap();
        assert_eq!(other.open(digest, &value), None, "another secret");
        assert_eq!(seal.open(Digest::of("other"), &value), None, "another digest");
        let wrong = [
            String::new(),
            "{}".to_owned(),
            format!("{}{{}}", "0".repeat(64)),
            format!("{value} "),
            value.replace("{}", "[]"),
            value.replacen(|first: char| first.is_ascii_hexdigit(), "é", 64),
            value.get(1..).unwrap().to_owned(),
        ];
        for wrong in wrong {
            assert_eq!(seal.open(digest, &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn value_of_an_older_worker_has_another_name_and_does_not_open() {
        let (seal, digest) = (CacheSeal::new(SECRET).unwrap(), Digest::of("key"));
        // The Worker before conditions wrote version 5.
        let mac = seal.values.clone().chain_update("5").chain_update(digest.as_bytes()).chain_update("{}");
        let older = hex::encode(mac.finalize().into_bytes()) + "{}";
        assert_eq!(seal.open(digest, &older), None);
        assert!(seal.name(digest).starts_with("snapshot:6:"), "{}", seal.name(digest));
    }

    #[test]
    fn name_depends_on_the_secret_and_hides_the_digest() {
        let (seal, digest) = (CacheSeal::new(SECRET).unwrap(), Digest::of("key"));
        assert_eq!(seal.name(digest), seal.name(digest));
        assert!(!seal.name(digest).contains(&digest.to_hex()));
        assert_ne!(seal.name(digest), seal.name(Digest::of("other")));
        assert_ne!(seal.name(digest), CacheSeal::new("other").unwrap().name(digest));
    }
}
