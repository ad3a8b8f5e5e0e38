//! Scopes: `resource:action`, and the wildcard `resource:*`. Only `*` is special.

use std::{borrow::Cow, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::json_schema;

/// A well-formed scope. It need not be in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Scope(Cow<'static, str>);

impl Scope {
    /// A scope that the code itself names. A test checks that each is in the catalogue.
    pub const fn named(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The scope's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon.
    pub fn resource(&self) -> &str {
        self.0.split_once(':').map_or("", |(resource, _)| resource)
    }

    /// The part after the colon: an action, or `*`.
    pub fn action(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, action)| action)
    }

    /// True if this scope grants `required`.
    pub fn grants(&self, required: &Self) -> bool {
        self == required || (self.action() == "*" && self.resource() == required.resource())
    }
}

impl TryFrom<String> for Scope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        match text.split_once(':') {
            Some((resource, action)) if text.len() <= 64 && word(resource) && (action == "*" || word(action)) => {
                Ok(Self(Cow::Owned(text)))
            }
            _ => Err(format!("`{}` is not a scope; write `resource:action` or `resource:*`", text.escape_debug())),
        }
    }
}

// The catalogue, which the operator can replace, decides which scopes exist.
json_schema!(Scope, "Scope", {
    "type": "string",
    "maxLength": 64,
    "pattern": r"^[a-z][a-z0-9-]*:(\*|[a-z][a-z0-9-]*)$",
});

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The scopes of a key: a list, which may be empty, or `null` for full access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Option<Vec<Scope>>", into = "Option<Vec<Scope>>")]
#[schemars(inline)]
pub enum Scopes {
    /// Everything that the key's owner may do.
    Full,
    /// These scopes only.
    List(Vec<Scope>),
}

impl Scopes {
    /// True if these scopes grant `required`.
    pub fn grant(&self, required: &Scope) -> bool {
        match self {
            Self::Full => true,
            Self::List(held) => held.iter().any(|scope| scope.grants(required)),
        }
    }

    /// The scopes in `required` that these scopes do not grant.
    pub fn missing(&self, required: &[Scope]) -> Vec<Scope> {
        required.iter().filter(|scope| !self.grant(scope)).cloned().collect()
    }

    /// True if a key with these scopes could do everything that a key with `other` could.
    pub fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Full, _) => true,
            (Self::List(_), Self::Full) => false,
            (Self::List(_), Self::List(wanted)) => self.missing(wanted).is_empty(),
        }
    }
}

impl From<Option<Vec<Scope>>> for Scopes {
    fn from(list: Option<Vec<Scope>>) -> Self {
        list.map_or(Self::Full, Self::List)
    }
}

impl From<Scopes> for Option<Vec<Scope>> {
    fn from(scopes: Scopes) -> Self {
        match scopes {
            Scopes::Full => None,
            Scopes::List(list) => Some(list),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, Scopes};

    fn scope(text: &str) -> Scope {
        Scope::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn try_from_refuses_what_is_not_resource_and_action() {
        for text in [
            "",
            "datasets",
            "datasets:",
            ":read",
            "*:read",
            "datasets:re*",
            "Datasets:read",
            "a:b:c",
            "a b:c",
            "a:*b",
            "-a:b",
        ] {
            assert!(Scope::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn grants_only_itself_and_what_its_wildcard_covers() {
        for (held, required, expected) in [
            ("datasets:read", "datasets:read", true),
            ("datasets:read", "datasets:write", false),
            ("datasets:*", "datasets:write", true),
            ("datasets:*", "datasets:*", true),
            ("datasets:read", "datasets:*", false),
            ("data:*", "datasets:read", false),
        ] {
            assert_eq!(scope(held).grants(&scope(required)), expected, "{held} {required}");
        }
    }

    #[test]
    fn cover_never_lets_a_list_make_more_than_itself() {
        let list = |scopes: &[&str]| Scopes::List(scopes.iter().map(|text| scope(text)).collect());
        assert!(Scopes::Full.cover(&Scopes::Full));
        assert!(Scopes::Full.cover(&list(&["datasets:*"])));
        assert!(!list(&["datasets:*"]).cover(&Scopes::Full));
        assert!(list(&["datasets:*"]).cover(&list(&["datasets:read", "datasets:write"])));
        assert!(!list(&["datasets:read"]).cover(&list(&["datasets:*"])));
        assert!(list(&[]).cover(&list(&[])));
        assert!(!list(&[]).grant(&scope("datasets:read")));
    }
}
