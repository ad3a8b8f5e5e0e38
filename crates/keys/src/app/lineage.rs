//! The extent of a line of descent for a caller, and the check that it may end.

use crate::{
    app::{App, Principal, error::Error},
    domain::{
        id::OrganizationId,
        key::Role,
        lineage::{Descendants, Line, Root},
    },
};

/// The error of a line that is too long to end at once.
const TOO_MANY: Error = Error::Conflict {
    code: "too_many_descendants",
    message: "More than 10,000 keys descend from this. Nothing has ended. End some of the keys that created them with \
              their descendants first: GET /v1/keys?created_by=… lists them.",
};

impl App {
    /// The line that begins at a root, as the caller may end it.
    pub(crate) fn line(&self, principal: &Principal, organization_id: OrganizationId, root: Root, force: bool) -> Line {
        let caller = &principal.snapshot;
        Line {
            root,
            organization_id,
            roles: Role::ALL.into_iter().filter(|role| *role <= caller.role).collect(),
            reaches_all: principal.administers().is_ok(),
            reached_user_id: caller.user_id,
            force,
            now: self.now(),
        }
    }
}

/// Checks that a line may end by this caller.
///
/// # Errors
/// [`Error::Conflict`] if it is too long; [`Error::Exceeds`] if something of it is beyond the caller's role or reach.
pub(crate) fn check_may_end(descendants: Descendants) -> Result<(), Error> {
    if descendants.too_many != 0 {
        return Err(TOO_MANY);
    }
    if descendants.beyond != 0 {
        return Err(Error::Exceeds(
            "Something that descends from this has a higher role than the key of the request, or belongs to somebody \
             whose keys it cannot manage. Nothing has ended. Use the key of an owner."
                .to_owned(),
        ));
    }
    Ok(())
}
