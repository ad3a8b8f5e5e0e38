//! Trusts: the tokens of a workload's issuer that are exchanged for keys, and what such a key may do.
//!
//! A trust names the issuer, the audience and patterns for claims. A pattern is a text that the claim must equal, or one
//! with `*` at its end, which the claim must begin with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{
        creator::Creator,
        id::{KeyId, OrganizationId, ProjectId, TrustId, UserId},
        json,
        jwt::is_for,
        key::{Name, Role},
        key_text::KeyKind,
        origin::{is_origin, is_private},
        scope::{Scope, Scopes},
        time::UnixMillis,
    },
    json_schema,
};

/// The maximum number of trusts of an organization.
pub const MAX_TRUSTS: i64 = 100;
/// The maximum number of keys that a trust has given and that have not expired.
pub const MAX_LIVE_KEYS: i64 = 5_000;
/// The maximum life of a key that a trust gives, in seconds.
pub const MAX_SECONDS: i64 = 900;
/// The maximum number of bytes of an issuer, of an audience, and of a pattern.
const MAX_BYTES: usize = 255;
/// The maximum number of claims that a trust asks for.
const MAX_CLAIMS: usize = 16;
/// The claim that says who the workload is.
const SUBJECT: &str = "sub";
/// The claims that are checked in another way.
const OTHER_CLAIMS: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// The URL of an issuer, as its tokens write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Issuer(String);

impl Issuer {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin and the path of the issuer's metadata (`OpenID` Connect Discovery 1.0, 4.1).
    pub fn metadata(&self) -> (String, String) {
        let (origin, path) = split(&self.0);
        (origin.to_owned(), format!("{}/.well-known/openid-configuration", path.trim_end_matches('/')))
    }
}

impl TryFrom<String> for Issuer {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_url(&text) { Ok(Self(text)) } else { Err("must be an https:// URL without a query, at most 255 bytes") }
    }
}

json_schema!(Issuer, "Issuer", { "type": "string", "maxLength": MAX_BYTES, "pattern": "^https?://[!-~]+$" });

/// Splits a URL into its origin and its path.
pub fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url.get(host..).and_then(|rest| rest.find('/')).map_or(url.len(), |slash| host + slash);
    url.split_at_checked(end).unwrap_or((url, ""))
}

/// True for a URL that nobody on the way can read or answer, without a query.
pub fn is_url(url: &str) -> bool {
    let (origin, path) = split(url);
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\@".contains(&byte);
    url.len() <= MAX_BYTES && is_origin(origin) && is_private(origin) && path.bytes().all(is_plain)
}

/// The audience that a token must be for: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Audience(String);

impl Audience {
    /// The audience.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Audience {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text)) } else { Err("must be 1 to 255 visible ASCII characters") }
    }
}

json_schema!(Audience, "TokenAudience", { "type": "string", "maxLength": MAX_BYTES, "pattern": "^[!-~]+$" });

/// A pattern for a claim: the whole text, or its beginning and `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ClaimPattern(String);

impl ClaimPattern {
    /// The pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The beginning that a claim must have; `None` if the pattern is the whole text.
    fn beginning(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    fn matches(&self, text: &str) -> bool {
        self.beginning().map_or(self.0 == text, |beginning| text.starts_with(beginning))
    }

    /// True if the pattern says whose workload it is: what stands before `*` is at least two whole parts, each of which
    /// ends with `/` or `:`, such as `repo:acme/`.
    fn names_an_owner(&self) -> bool {
        let Some(beginning) = self.beginning() else { return true };
        let parts = beginning.split(['/', ':']).filter(|part| !part.is_empty());
        beginning.ends_with(['/', ':']) && parts.count() >= 2
    }
}

impl TryFrom<String> for ClaimPattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fixed = text.strip_suffix('*').unwrap_or(&text);
        if fixed.is_empty() {
            Err("must have a fixed part: a text, or its beginning and `*`")
        } else if fixed.contains('*') {
            Err("can have `*` at its end only")
        } else if text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            Err("must have at most 255 bytes, without control characters")
        } else {
            Ok(Self(text))
        }
    }
}

/// The patterns of a trust, by the names of the claims. One of them is that of `sub`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, ClaimPattern>")]
pub struct ClaimPatterns(BTreeMap<String, ClaimPattern>);

impl TryFrom<BTreeMap<String, ClaimPattern>> for ClaimPatterns {
    type Error = String;

    fn try_from(patterns: BTreeMap<String, ClaimPattern>) -> Result<Self, Self::Error> {
        let is_name =
            |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        let Some(subject) = patterns.get(SUBJECT) else {
            return Err("must have a pattern for `sub`, which says who the workload is".to_owned());
        };
        if !subject.names_an_owner() {
            return Err(
                "must name an owner in `sub`: before `*` there must be two parts that end with `/` or `:`, such \
                        as `repo:acme/*`"
                    .to_owned(),
            );
        }
        if patterns.len() > MAX_CLAIMS {
            return Err(format!("must have at most {MAX_CLAIMS} patterns"));
        }
        if let Some(other) = OTHER_CLAIMS.into_iter().find(|name| patterns.contains_key(*name)) {
            return Err(format!("cannot have a pattern for `{other}`, which is checked in any case"));
        }
        if !patterns.keys().all(is_name) {
            return Err("must have names of claims of 1 to 64 visible ASCII characters".to_owned());
        }
        Ok(Self(patterns))
    }
}

json_schema!(ClaimPatterns, "ClaimPatterns", {
    "type": "object",
    "properties": {
        "sub": {
            "description": "The pattern of who the workload is.",
            "type": "string", "minLength": 1, "maxLength": MAX_BYTES, "pattern": r"^[^*\u0000-\u001f\u007f-\u009f]+\*?$",
        },
    },
    "required": [SUBJECT],
    "maxProperties": MAX_CLAIMS,
    "propertyNames": { "pattern": "^[!-~]{1,64}$" },
    "additionalProperties": {
        "type": "string", "minLength": 1, "maxLength": MAX_BYTES, "pattern": r"^[^*\u0000-\u001f\u007f-\u009f]+\*?$",
    },
});

/// A trust.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Trust {
    /// The id of the trust.
    pub id: TrustId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The name of the trust.
    pub name: Name,
    /// The issuer of the tokens.
    pub issuer: Issuer,
    /// The audience of the tokens.
    pub audience: Audience,
    /// The patterns of the claims.
    #[serde(deserialize_with = "json::text")]
    pub claims: ClaimPatterns,
    /// The project of the keys; `None` for keys of the organization.
    pub project_id: Option<ProjectId>,
    /// The scopes of the keys.
    #[serde(deserialize_with = "json::text")]
    pub scopes: Vec<Scope>,
    /// The role of the keys.
    pub role: Role,
    /// The life of each key, in seconds.
    pub expires_in_seconds: i64,
    /// The end of the trust, which is that of the key that created it; `None` for never.
    pub expires_at: Option<UnixMillis>,
    /// The creation time.
    pub created_at: UnixMillis,
    /// The key or session that created the trust.
    pub created_by: KeyId,
    /// The user as whom that acted.
    pub created_by_user: Option<UserId>,
    /// The key from which the trust descends.
    pub parent_id: Option<KeyId>,
}

/// A claim that a token has otherwise than a trust asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch<'a> {
    /// The name of the claim.
    pub claim: &'a str,
    /// The text or the pattern that the trust asks for.
    pub expected: &'a str,
    /// The claim of the token as a text; `None` if it has none, or none that is a text.
    pub found: Option<String>,
}

impl Trust {
    /// The claims that do not match.
    pub fn mismatches<'a>(&'a self, claims: &Map<String, Value>) -> Vec<Mismatch<'a>> {
        let mut mismatches = Vec::new();
        let mut check = |matches: bool, claim: &'a str, expected: &'a str| {
            if !matches {
                mismatches.push(Mismatch { claim, expected, found: claims.get(claim).and_then(text) });
            }
        };
        check(claims.get("iss").and_then(Value::as_str) == Some(self.issuer.as_str()), "iss", self.issuer.as_str());
        check(claims.get("aud").is_some_and(|aud| is_for(aud, &self.audience.0)), "aud", self.audience.as_str());
        for (name, pattern) in &self.claims.0 {
            let matches = claims.get(name).and_then(text).is_some_and(|text| pattern.matches(&text));
            check(matches, name, pattern.as_str());
        }
        mismatches
    }

    /// The kind of the keys.
    pub fn kind(&self) -> KeyKind {
        if self.project_id.is_some() { KeyKind::Proj } else { KeyKind::Org }
    }

    /// The creator of the keys.
    pub fn creator(&self) -> Creator {
        Creator {
            id: Some(self.id.as_key()),
            user_id: self.created_by_user,
            parent_id: self.parent_id,
            trust_id: Some(self.id),
        }
    }

    /// The expiry of a key that is given at `now`.
    pub fn key_expires_at(&self, now: UnixMillis) -> UnixMillis {
        let end = now.plus_ms(self.expires_in_seconds.clamp(1, MAX_SECONDS) * 1000);
        self.expires_at.map_or(end, |expires_at| expires_at.min(end))
    }

    /// The name of a key for this subject, as far as it can be one.
    pub fn key_name(&self, subject: &str) -> Name {
        let seen = subject.chars().filter(|at| !at.is_control() && !crate::domain::key::is_bidi_control(*at));
        Name::try_from(seen.take(Name::MAX_CHARS).collect::<String>()).unwrap_or_else(|_| self.name.clone())
    }

    /// The scopes of a key: all of the trust's, or those that were asked for; `None` if the trust lacks one of them.
    pub fn narrow(&self, asked: Option<Vec<Scope>>) -> Option<Vec<Scope>> {
        let held = Scopes::List(self.scopes.clone());
        match asked {
            None => Some(self.scopes.clone()),
            Some(asked) => (!asked.is_empty() && held.missing(&asked).is_empty()).then_some(asked),
        }
    }
}

/// A claim as a text, if it is one, a number or a boolean.
fn text(claim: &Value) -> Option<String> {
    match claim {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(claim.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ClaimPattern, ClaimPatterns, Issuer};

    #[test]
    fn pattern_is_the_whole_text_or_its_beginning() {
        let pattern = |text: &str| ClaimPattern::try_from(text.to_owned());
        for (text, claim, matches) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "ab", true),
            ("a*", "b", false),
            ("repo:acme/*", "repo:acme/x", true),
            ("repo:acme/*", "repo:acme-evil/x", false),
        ] {
            assert_eq!(pattern(text).unwrap().matches(claim), matches, "{text} {claim}");
        }
        for text in ["", "*", "**", "a*b", "*a", "a\nb", &"a".repeat(256)] {
            assert!(pattern(text).is_err(), "{text}");
        }
    }

    #[test]
    fn subject_must_be_named_with_its_owner() {
        for (claims, good) in [
            (json!({ "sub": "repo:acme/web:ref:refs/heads/main" }), true),
            (json!({ "sub": "repo:acme/*" }), true),
            (json!({ "sub": "project_path:acme/web:*", "ref": "main*" }), true),
            (json!({ "sub": "spiffe://cluster.example/*" }), true),
            (json!({ "sub": "1234" }), true),
            (json!({ "sub": "1234*" }), false),
            (json!({ "sub": "repo:*" }), false),
            (json!({ "sub": "repo:acme*" }), false),
            (json!({ "sub": "repo://*" }), false),
            (json!({ "sub": "*" }), false),
            (json!({ "ref": "main" }), false),
            (json!({}), false),
            (json!({ "sub": "a", "aud": "b" }), false),
            (json!({ "sub": "a", "b c": "d" }), false),
            (json!({ "sub": "a", "": "d" }), false),
        ] {
            assert_eq!(serde_json::from_value::<ClaimPatterns>(claims.clone()).is_ok(), good, "{claims}");
        }
        let many: serde_json::Map<String, Value> = (0..16).map(|at| (at.to_string(), json!("a"))).collect();
        let mut many = Value::Object(many);
        many["sub"] = json!("a");
        assert!(serde_json::from_value::<ClaimPatterns>(many).is_err());
    }

    #[test]
    fn issuer_is_an_https_url_or_on_the_same_machine() {
        for (text, metadata) in [
            ("https://a.example", Some(("https://a.example", "/.well-known/openid-configuration"))),
            ("https://a.example/", Some(("https://a.example", "/.well-known/openid-configuration"))),
            ("https://a.example/b/C", Some(("https://a.example", "/b/C/.well-known/openid-configuration"))),
            ("http://127.0.0.1:8080/b", Some(("http://127.0.0.1:8080", "/b/.well-known/openid-configuration"))),
            ("http://a.example", None),
            ("https://", None),
            ("https:///b", None),
            ("https://a.example?b", None),
            ("https://a.example/?b", None),
            ("https://a.example/#b", None),
            ("https://b@a.example", None),
            ("https://a.example/b c", None),
            ("https://a.example\\b", None),
            ("ftp://a.example", None),
            ("a.example", None),
            ("", None),
        ] {
            let found = Issuer::try_from(text.to_owned()).ok().map(|issuer| issuer.metadata());
            let expected = metadata.map(|(origin, path)| (origin.to_owned(), path.to_owned()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
