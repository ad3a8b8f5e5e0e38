//! The organization that a path of the native surface names.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::{
    app::{Principal, error::Error, organizations::organization_of},
    domain::{id::OrganizationId, schema::json_schema},
};

/// An organization as a path names it: by its id, or `self` for the caller's own.
pub(crate) struct Asked(Option<OrganizationId>);

impl Asked {
    /// The organization that this caller means.
    pub(crate) fn by(&self, by: &Principal) -> Result<OrganizationId, Error> {
        organization_of(by, self.0)
    }
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "self" {
            return Ok(Self(None));
        }
        let id = OrganizationId::parse(&text).ok_or_else(|| de::Error::custom("must be an id or `self`"))?;
        Ok(Self(Some(id)))
    }
}

json_schema!(Asked, "Asked", { "type": "string", "anyOf": [{ "const": "self" }, { "format": "uuid" }] });

/// The organization that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct OrganizationPath {
    /// The organization's id, or `self` for one's own.
    pub(crate) organization: Asked,
}
