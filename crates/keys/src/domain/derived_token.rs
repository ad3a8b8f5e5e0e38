//! Derived tokens: JSON Web Tokens (RFC 7519) that say for a few minutes what a key was, signed with Ed25519 (RFC 8037).
//!
//! Anybody can verify one with the public key and without asking. It also names the feed's number at which it was true
//! and the key's subjects, as the answer to a verification does. So a verifier that follows the feed refuses the token of
//! a revoked key as soon as it refuses the key.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::domain::{
    id::{KeyId, OrganizationId, ProjectId, Seq, Subject, UserId},
    key_text::{KeyKind, hmac_sha256},
};

/// The longest life of a token, in seconds.
pub const MAX_SECONDS: i64 = 300;
/// The label of the derivation of signing keys. No other use of the secret may ever have it.
const LABEL: &str = "bitting tokens: Ed25519";

/// The private key: 32 bytes that are derived from a secret of the operator (RFC 8032, 5.1.5). Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// Derives the key from a secret. It is never `None`: HMAC takes a key of any length (RFC 2104).
    pub fn derive(secret: &str) -> Option<Self> {
        hmac_sha256(secret, LABEL).map(Self)
    }

    /// The bytes of the key. Only the platform, which signs, may read them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

/// A public key of this deployment, as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// The id of the key: its thumbprint (RFC 7638).
    pub id: String,
    /// The key, in base64url.
    pub x: String,
}

impl PublishedKey {
    /// Names a public key, given in base64url.
    pub fn new(x: String) -> Self {
        // The members in this order and without blanks are what is hashed (RFC 8037, appendix A.3).
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        Self { id: BASE64_URL_SAFE_NO_PAD.encode(thumbprint), x }
    }
}

/// The claims of a token.
#[derive(Serialize)]
pub struct DerivedClaims<'a> {
    /// The origin of the deployment.
    #[serde(rename = "iss")]
    pub issuer: &'a str,
    /// The key.
    #[serde(rename = "sub")]
    pub key_id: KeyId,
    /// The service that the token is for.
    #[serde(rename = "aud")]
    pub audience: &'a str,
    /// The instant of the derivation, in seconds.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// The instant from which on the token is not valid, in seconds.
    #[serde(rename = "exp")]
    pub expires_at: i64,
    /// The id of the token.
    #[serde(rename = "jti")]
    pub id: String,
    /// The scopes, separated by blanks (RFC 8693, 4.2).
    pub scope: String,
    /// The kind of the key.
    pub kind: KeyKind,
    /// The organization of the key.
    pub organization_id: OrganizationId,
    /// The user of a personal key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The project of a project's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The number of the change up to which this is known to be true.
    pub seq: Seq,
    /// The ids in the feed whose later change ends the token.
    pub subjects: Vec<Subject>,
}

impl DerivedClaims<'_> {
    /// The part of the token that is signed.
    ///
    /// # Errors
    /// The serializer's message.
    pub fn signing_input(&self, key: &PublishedKey) -> Result<String, String> {
        let header = json!({ "alg": "EdDSA", "kid": key.id, "typ": "JWT" }).to_string();
        let claims = serde_json::to_string(self).map_err(|error| error.to_string())?;
        let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
        Ok(format!("{}.{}", encode(&header), encode(&claims)))
    }
}

/// Joins what was signed with its signature.
pub fn signed(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::{PublishedKey, SigningKey};

    #[test]
    fn id_of_a_key_is_its_thumbprint() {
        // RFC 8037, appendix A.3.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let key = PublishedKey::new(x.to_owned());
        assert_eq!((key.x.as_str(), key.id.as_str()), (x, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    }

    #[test]
    fn signing_key_is_derived_for_this_use_and_hides_itself() {
        let key = SigningKey::derive("an-operator-secret-of-32-characters").unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(hidden)");
        assert_ne!(key, SigningKey::derive("another-operator-secret-of-32-chars").unwrap());
        assert_eq!(hex::encode(key.expose()).len(), 64);
    }
}
