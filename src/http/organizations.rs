//! Organizations: the one in the path.

use crate::{
    app::{Principal, error::Error, organizations::organization_of},
    domain::id::OrganizationId,
    http::routes::Call,
};

/// The organization in the path: an id, or `self`. What is neither names nothing.
pub(crate) fn path_organization(call: &Call<'_>, by: &Principal) -> Result<OrganizationId, Error> {
    let asked = match call.param("organization") {
        "self" => None,
        text => Some(OrganizationId::parse(text).ok_or(Error::NotFound)?),
    };
    organization_of(by, asked)
}
