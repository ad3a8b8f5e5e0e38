//! JSON Web Tokens (RFC 7519) that are signed with RS256, ES256 or `EdDSA`.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value};

use crate::domain::time::UnixMillis;

/// The tolerated difference between the issuer's clock and this one, in milliseconds.
const LEEWAY_MS: i64 = 60_000;
/// The maximum length of a token, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// An algorithm of signatures with public keys. There are no others here: neither `none` nor one with a shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on the curve P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A token, parsed but not verified.
#[derive(Debug)]
pub struct Jwt {
    /// The algorithm of the signature.
    pub algorithm: Algorithm,
    /// The id of the key that the token names as its signer.
    pub key_id: String,
    /// The claims with a meaning here.
    pub claims: Claims,
    /// All claims.
    pub all_claims: Map<String, Value>,
    /// The signed bytes.
    pub signed: String,
    /// The signature.
    pub signature: Vec<u8>,
}

/// The claims of a token.
#[derive(Debug, Deserialize)]
pub struct Claims {
    iss: String,
    aud: Value,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    /// The id of the token.
    pub jti: Option<String>,
    /// The person's address. A token for a program has none.
    pub email: Option<String>,
}

/// True if an audience, a text or a list of them, has this one.
pub fn is_for(aud: &Value, audience: &str) -> bool {
    match aud {
        Value::String(name) => name == audience,
        Value::Array(names) => names.iter().any(|name| name == audience),
        _ => false,
    }
}

impl Jwt {
    /// Parses a token. `None` if the text is not a token, is signed with another algorithm, or has a critical
    /// extension.
    pub fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Header {
            alg: Algorithm,
            kid: String,
            crit: Option<IgnoredAny>,
        }
        (text.len() <= MAX_BYTES).then_some(())?;
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = json(header)?;
        header.crit.is_none().then_some(())?;
        Some(Self {
            algorithm: header.alg,
            key_id: header.kid,
            claims: json(claims)?,
            all_claims: json(claims)?,
            signed: signed.to_owned(),
            signature: bytes(signature)?,
        })
    }
}

impl Claims {
    /// True if the claims are for this issuer, this audience and this instant.
    pub fn hold(&self, issuer: &str, audience: &str, now: UnixMillis) -> bool {
        self.iss == issuer && is_for(&self.aud, audience) && self.are_current(now)
    }

    /// True if the token is valid at this instant.
    pub fn are_current(&self, now: UnixMillis) -> bool {
        self.nbf.is_none_or(|nbf| instant(nbf) <= now.plus_ms(LEEWAY_MS)) && now < self.expires_at()
    }

    /// The instant at which the token is too old, or has expired: `max_age_ms` after it was issued at the latest. `None`
    /// if it does not say when that was, or that lies in the future.
    pub fn ends_at(&self, max_age_ms: i64, now: UnixMillis) -> Option<UnixMillis> {
        let issued_at = self.iat.map(instant).filter(|at| *at <= now.plus_ms(LEEWAY_MS))?;
        Some(self.expires_at().min(issued_at.plus_ms(max_age_ms)))
    }

    /// The instant at which the token expires.
    pub fn expires_at(&self) -> UnixMillis {
        instant(self.exp)
    }
}

/// Converts seconds to an instant.
fn instant(seconds: i64) -> UnixMillis {
    UnixMillis(seconds.saturating_mul(1000))
}

/// Decodes base64url.
fn bytes(part: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(part).ok()
}

/// Reads JSON from base64url.
fn json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&bytes(part)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, BASE64_URL_SAFE_NO_PAD, Engine, Jwt, UnixMillis};

    fn encoded(text: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    fn token(header: &str, claims: &str) -> Option<Jwt> {
        Jwt::parse(&format!("{}.{}.{}", encoded(header), encoded(claims), encoded("signature")))
    }

    const HEADER: &str = r#"{"alg":"RS256","kid":"one","typ":"JWT"}"#;

    #[test]
    fn parse_takes_signatures_of_public_keys_alone() {
        let claims = r#"{"iss":"i","aud":["a"],"exp":1}"#;
        let jwt = token(HEADER, claims).unwrap();
        assert_eq!((jwt.key_id.as_str(), jwt.signature.as_slice()), ("one", &b"signature"[..]));
        for header in [
            r#"{"alg":"none","kid":"one"}"#,
            r#"{"alg":"None","kid":"one"}"#,
            r#"{"alg":"","kid":"one"}"#,
            r#"{"alg":"HS256","kid":"one"}"#,
            r#"{"alg":"rs256","kid":"one"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","alg":"none","kid":"one"}"#,
            r#"{"alg":"RS256","kid":"one","crit":["exp"]}"#,
            "{}",
            "x",
        ] {
            assert!(token(header, claims).is_none(), "{header}");
        }
        for (name, algorithm) in [("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa)] {
            let header = format!(r#"{{"alg":"{name}","kid":"one"}}"#);
            assert_eq!(token(&header, claims).unwrap().algorithm, algorithm);
        }
        for claims in ["", "{}", r#"{"iss":"i","aud":"a"}"#, r#"{"iss":"i","iss":"j","aud":"a","exp":1}"#] {
            assert!(token(HEADER, claims).is_none(), "{claims}");
        }
        for text in ["", ".", "..", "a.b.c", "a", "e30.e30.e30.e30"] {
            assert!(Jwt::parse(text).is_none(), "{text}");
        }
        let long = |chars| format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(chars));
        assert!(token(&long(10_000), claims).is_some() && token(&long(20_000), claims).is_none());
    }

    #[test]
    fn claims_hold_for_their_audience_and_their_time_alone() {
        let now = UnixMillis(1_000_000);
        for (claims, expected) in [
            (r#"{"iss":"i","aud":"a","exp":1001}"#, true),
            (r#"{"iss":"i","aud":["b","a"],"exp":1001,"nbf":1060}"#, true),
            (r#"{"iss":"i","aud":"a","exp":1000}"#, false),
            (r#"{"iss":"i","aud":"a","exp":1001,"nbf":1061}"#, false),
            (r#"{"iss":"j","aud":"a","exp":1001}"#, false),
            (r#"{"iss":"i","aud":"b","exp":1001}"#, false),
            (r#"{"iss":"i","aud":[],"exp":1001}"#, false),
            (r#"{"iss":"i","aud":1,"exp":1001}"#, false),
            (r#"{"iss":"i","aud":[1,["a"]],"exp":1001}"#, false),
        ] {
            assert_eq!(token(HEADER, claims).unwrap().claims.hold("i", "a", now), expected, "{claims}");
        }
    }

    #[test]
    fn ends_at_is_the_expiry_or_the_greatest_age() {
        let now = UnixMillis(1_000_000);
        for (claims, expected) in [
            (r#"{"iss":"i","aud":"a","exp":1010,"iat":990}"#, Some(1_010_000)),
            (r#"{"iss":"i","aud":"a","exp":9999,"iat":990}"#, Some(1_090_000)),
            (r#"{"iss":"i","aud":"a","exp":9999,"iat":1060}"#, Some(1_160_000)),
            (r#"{"iss":"i","aud":"a","exp":9999,"iat":1061}"#, None),
            (r#"{"iss":"i","aud":"a","exp":9999}"#, None),
        ] {
            let end = token(HEADER, claims).unwrap().claims.ends_at(100_000, now);
            assert_eq!(end, expected.map(UnixMillis), "{claims}");
        }
    }
}
