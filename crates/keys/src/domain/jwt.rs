//! JSON Web Tokens (RFC 7519) that are signed with RS256.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::domain::time::UnixMillis;

/// The tolerated difference between the issuer's clock and this one, in milliseconds.
const LEEWAY_MS: i64 = 60_000;
/// The maximum length of a token, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// A token, parsed but not verified.
#[derive(Debug)]
pub struct Jwt {
    /// The id of the key that the token names as its signer.
    pub key_id: String,
    /// The claims.
    pub claims: Claims,
    /// The signed bytes.
    pub signed: String,
    /// The signature.
    pub signature: Vec<u8>,
}

/// The claims of a token.
#[derive(Debug, Deserialize)]
pub struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    /// The person's address. A token for a program has none.
    pub email: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Jwt {
    /// Parses a token. `None` if the text is not a token, is not signed with RS256, or has a critical extension.
    pub fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Header {
            alg: String,
            kid: String,
            crit: Option<IgnoredAny>,
        }
        (text.len() <= MAX_BYTES).then_some(())?;
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = json(header)?;
        (header.alg == "RS256" && header.crit.is_none()).then_some(())?;
        Some(Self {
            key_id: header.kid,
            claims: json(claims)?,
            signed: signed.to_owned(),
            signature: bytes(signature)?,
        })
    }
}

impl Claims {
    /// True if the claims are for this issuer, this audience and this instant.
    pub fn hold(&self, issuer: &str, audience: &str, now: UnixMillis) -> bool {
        let to_us = match &self.aud {
            Audience::One(name) => name == audience,
            Audience::Many(names) => names.iter().any(|name| name == audience),
        };
        let begun = self.nbf.is_none_or(|nbf| instant(nbf) <= now.plus_ms(LEEWAY_MS));
        self.iss == issuer && to_us && begun && now < self.expires_at()
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
    use super::{BASE64_URL_SAFE_NO_PAD, Engine, Jwt, UnixMillis};

    fn encoded(text: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    fn token(header: &str, claims: &str) -> Option<Jwt> {
        Jwt::parse(&format!("{}.{}.{}", encoded(header), encoded(claims), encoded("signature")))
    }

    const HEADER: &str = r#"{"alg":"RS256","kid":"one","typ":"JWT"}"#;

    #[test]
    fn parse_takes_rs256_alone() {
        let claims = r#"{"iss":"i","aud":["a"],"exp":1}"#;
        let jwt = token(HEADER, claims).unwrap();
        assert_eq!((jwt.key_id.as_str(), jwt.signature.as_slice()), ("one", &b"signature"[..]));
        for header in [
            r#"{"alg":"none","kid":"one"}"#,
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
        for claims in ["", "{}", r#"{"iss":"i","aud":1,"exp":1}"#, r#"{"iss":"i","aud":"a"}"#] {
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
        ] {
            assert_eq!(token(HEADER, claims).unwrap().claims.hold("i", "a", now), expected, "{claims}");
        }
    }
}
