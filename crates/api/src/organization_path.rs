//! The organization in a path of the native surface.

use bitting_keys::{
    app::{Principal, error::Error, organizations::organization_of},
    domain::id::OrganizationId,
    json_schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// A reference to an organization: its id, or `self` for the caller's own.
pub(crate) struct OrganizationRef(Option<OrganizationId>);

impl OrganizationRef {
    /// Returns the id of the organization.
    pub(crate) fn resolve(&self, principal: &Principal) -> Result<OrganizationId, Error> {
        organization_of(principal, self.0)
    }
}

impl<'de> Deserialize<'de> for OrganizationRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "self" {
            return Ok(Self(None));
        }
        let id = OrganizationId::parse(&text).ok_or_else(|| de::Error::custom("must be an id or `self`"))?;
        Ok(Self(Some(id)))
    }
}

json_schema!(OrganizationRef, "OrganizationRef", {
    "type": "string", "pattern": "^(self|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$",
});

/// The organization in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct OrganizationPath {
    /// The id of the organization, or `self` for the organization of the key.
    pub(crate) organization_id: OrganizationRef,
}
