//! Organizations: made by the operator, changed by their admins, suspended and resumed by the operator.

use serde_json::json;

use crate::{
    app::{
        App, Principal,
        bootstrap::NewOrganization,
        error::Error,
        keys::{Created, Page, check_holds},
        take,
    },
    domain::{
        id::OrganizationId,
        key::Role,
        organization::{Change, Organization},
        scope::Scopes,
    },
    storage::{audit::Event, organizations},
};

/// The organization that a caller means: his own, or, for whoever administers the operator's own
/// organization, any.
///
/// # Errors
/// [`Error::NotFound`] for somebody else's.
pub(crate) fn organization_of(by: &Principal, asked: Option<OrganizationId>) -> Result<OrganizationId, Error> {
    let own = by.snapshot.organization_id;
    match asked {
        None => Ok(own),
        Some(id) if id == own || operates(by) => Ok(id),
        Some(_) => Err(Error::NotFound),
    }
}

/// Whether a caller administers the operator's own organization.
fn operates(by: &Principal) -> bool {
    let caller = &by.snapshot;
    caller.operator && caller.role >= Role::Admin && caller.project_id.is_none()
}

fn check_operates(by: &Principal) -> Result<(), Error> {
    if operates(by) {
        return Ok(());
    }
    Err(Error::Exceeds("Only an owner or admin of the operator's own organization can do this.".to_owned()))
}

impl App {
    /// Makes an organization, its owner, and the owner's first key, which has full access.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the operator's own organization with full access.
    pub async fn create_organization(
        &self,
        by: &Principal,
        new: NewOrganization,
    ) -> Result<(Organization, Created), Error> {
        check_operates(by)?;
        // The answer hands out a key that may do everything in its organization and never expires.
        check_holds(by, &Scopes::Full, Role::Admin, None)?;
        let nonce = self.nonce(by)?;
        let source = self.secret_bytes(by, nonce.as_ref());
        let (organization, created, mut batch) = self.found(new, false, &by.actor(), source)?;
        let details = json!({ "name": organization.name });
        let event =
            Event::new(organization.id, organization.id, "organization.created", details, organization.created_at);
        batch.push(self.record_if_changed(by, &event));
        match self.guarded_once(by, nonce, &created.key.id.to_string(), batch).await {
            Ok(_) => Ok((organization, created)),
            Err(error) => {
                let (created, organization) = self.key_made_before(by, error, &[organizations::made]).await?;
                Ok((organizations::read(organization)?.pop().ok_or(Error::NotFound)?, created))
            }
        }
    }

    /// A page of at most `limit` organizations, the newest first: the caller's own, or, for whoever
    /// administers the operator's, all.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_organizations(
        &self,
        by: &Principal,
        before: Option<OrganizationId>,
        limit: i64,
    ) -> Result<Page<Organization>, Error> {
        let list = if operates(by) {
            organizations::list(before, limit + 1)
        } else {
            organizations::get(by.snapshot.organization_id)
        };
        let mut results = self.guarded(by, vec![list]).await?;
        let mut found = organizations::read(take(&mut results, 0))?;
        found.retain(|organization| before.is_none_or(|before| organization.id < before));
        Ok(Page::of(found, limit))
    }

    /// One organization.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not there.
    pub async fn organization(&self, by: &Principal, id: OrganizationId) -> Result<Organization, Error> {
        let mut results = self.guarded(by, vec![organizations::get(id)]).await?;
        organizations::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Changes an organization. Suspending it is one row of the feed, however many keys it has.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Exceeds`] for whoever does not administer it, or would change what only the
    /// operator may; [`Error::Conflict`] when the operator's own would be suspended.
    pub async fn update_organization(
        &self,
        by: &Principal,
        id: OrganizationId,
        change: &Change,
    ) -> Result<Organization, Error> {
        by.administers()?;
        if *change == Change::default() {
            return Err(Error::Invalid { field: None, message: "There is nothing to change".to_owned() });
        }
        if change.is_operators() {
            check_operates(by)?;
            // There is one operator's organization, and it is that of whoever passed the check.
            if change.suspended.is_some() && id == by.snapshot.organization_id {
                return Err(Error::Conflict {
                    code: "operator_organization",
                    message: "The operator's own organization cannot be suspended: nobody could resume it.",
                });
            }
        }
        let now = self.now();
        let updated = Event::new(id, id, "organization.updated", json!(change), now);
        let statements =
            vec![organizations::update(id, change, now), self.record_if_changed(by, &updated), organizations::get(id)];
        let mut results = self.guarded(by, statements).await?;
        if let Some(changed) = organizations::read(take(&mut results, 0))?.pop() {
            return Ok(changed);
        }
        // It is there and was not changed, so its two expiries did not fit each other.
        organizations::read(take(&mut results, 2))?.pop().ok_or(Error::NotFound)?;
        Err(match change.default_expiry_days {
            Some(_) => Error::invalid("default_expiry_days", "must not be longer than `longest_expiry_days`"),
            None => Error::invalid("longest_expiry_days", "must not be shorter than `default_expiry_days`"),
        })
    }
}
