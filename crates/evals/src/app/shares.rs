//! The right to what people have made, and the shares by which they give it to others.

use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::key::Role,
    storage::{
        audit::Event,
        batch::{Batch, Query},
    },
};
use serde_json::{Value, json};

use crate::{
    domain::access::{AccessLevel, Permitted, Resource, Share, ShareAccess, Sight, Viewer},
    storage::access,
};

/// The viewer as whom the caller sees what people have made.
///
/// # Errors
/// [`Error::NotFound`] for a key without a user.
pub(crate) fn viewer(principal: &Principal) -> Result<Viewer, Error> {
    let caller = &principal.snapshot;
    let sight = match (caller.project_id, caller.user_id) {
        (Some(id), _) => Sight::Project(id),
        (None, Some(id)) => Sight::User(id),
        (None, None) if caller.role >= Role::Admin => Sight::All,
        (None, None) => return Err(Error::NotFound),
    };
    Ok(Viewer { organization_id: caller.organization_id, sight })
}

/// The refusal for a viewer who sees something and may not change it.
pub(crate) const READ_ONLY: Error = Error::Forbidden {
    code: "read_only",
    message: "This is shared with you to read. Ask its owner to share it with you to write.",
};

/// Something that the viewer may change.
///
/// # Errors
/// [`Error::NotFound`] when they do not see it; [`READ_ONLY`] when they may not change it.
pub(crate) fn writable<T>(found: Option<Permitted<T>>) -> Result<T, Error> {
    let Permitted { item, permission } = found.ok_or(Error::NotFound)?;
    if permission < AccessLevel::Write { Err(READ_ONLY) } else { Ok(item) }
}

/// The use cases of shares.
pub struct Shares<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Shares<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Shares<'_> {
    /// An event about something that people share.
    pub(crate) fn resource_event(
        &self,
        principal: &Principal,
        resource: Resource,
        action: &'static str,
        details: Value,
    ) -> Event {
        Event::new(principal.snapshot.organization_id, resource, action, details, self.app.now())
    }

    /// The shares of something.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn list(&self, principal: &Principal, resource: Resource) -> Result<Vec<Share>, Error> {
        let viewer = viewer(principal)?;
        let mut batch = Batch::new();
        let permission = batch.add(access::permission(viewer, resource));
        let shares = batch.add(access::shares(viewer, resource));
        let mut results = self.app.guarded(principal, batch).await?;
        results.take(permission)?.ok_or(Error::NotFound)?;
        Ok(results.take(shares)?)
    }

    /// Shares something with a member or a team of the organization, or changes what that allows.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for a caller who does not own it; [`Error::NotFound`] also when there is nobody to
    /// share it with.
    pub async fn create(
        &self,
        principal: &Principal,
        resource: Resource,
        grantee_id: &str,
        access: ShareAccess,
    ) -> Result<Share, Error> {
        let share = access::share(viewer(principal)?, resource, grantee_id, access, self.app.now());
        let action = match resource {
            Resource::Dataset(_) => "dataset.shared",
            Resource::Evaluation(_) => "evaluation.shared",
            Resource::LiveEvaluation(_) => "live_evaluation.shared",
        };
        let details = json!({ "with": grantee_id, "access": access });
        self.change_shares(principal, resource, share, action, details).await?.ok_or(Error::NotFound)
    }

    /// Ends a share.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for a caller who does not own what is shared.
    pub async fn end(&self, principal: &Principal, resource: Resource, grantee_id: &str) -> Result<(), Error> {
        let unshare = access::unshare(viewer(principal)?, resource, grantee_id);
        let action = match resource {
            Resource::Dataset(_) => "dataset.unshared",
            Resource::Evaluation(_) => "evaluation.unshared",
            Resource::LiveEvaluation(_) => "live_evaluation.unshared",
        };
        let details = json!({ "with": grantee_id });
        let ended = self.change_shares(principal, resource, unshare, action, details).await?;
        if ended { Ok(()) } else { Err(Error::NotFound) }
    }

    async fn change_shares<T>(
        &self,
        principal: &Principal,
        resource: Resource,
        change: Query<T>,
        action: &'static str,
        details: Value,
    ) -> Result<T, Error> {
        let event = self.resource_event(principal, resource, action, details);
        let mut batch = Batch::new();
        let changed = batch.add(change);
        batch.execute(self.app.record_if_changed(principal, &event));
        let permission = batch.add(access::permission(viewer(principal)?, resource));
        let mut results = self.app.guarded(principal, batch).await?;
        if results.take(permission)?.ok_or(Error::NotFound)? < AccessLevel::Own {
            return Err(Error::Exceeds("Only its owner can share this.".to_owned()));
        }
        Ok(results.take(changed)?)
    }
}
