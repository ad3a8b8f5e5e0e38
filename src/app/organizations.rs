//! Organizations: which one a caller means.

use crate::{
    app::{Principal, error::Error},
    domain::{id::OrganizationId, key::Role},
};

/// The organization that a caller means: his own, or, for whoever administers the operator's own
/// organization, any.
///
/// # Errors
/// [`Error::NotFound`] for somebody else's.
pub(crate) fn organization_of(by: &Principal, asked: Option<OrganizationId>) -> Result<OrganizationId, Error> {
    let caller = &by.snapshot;
    match asked {
        None => Ok(caller.organization_id),
        Some(id) if id == caller.organization_id => Ok(id),
        Some(id) if caller.operator && caller.role >= Role::Admin && caller.project_id.is_none() => Ok(id),
        Some(_) => Err(Error::NotFound),
    }
}
