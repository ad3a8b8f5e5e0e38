//! With whom people share what they have made.

use serde_json::{Value, json};

use crate::{
    app::{App, Principal, datasets::viewer, error::Error, take},
    domain::access::{Access, Resource, Share, Standing, Viewer},
    ports::{Row, Statement},
    storage::{access, audit::Event},
};

impl App {
    /// With whom something is shared.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn list_shares(&self, by: &Principal, resource: Resource) -> Result<Vec<Share>, Error> {
        let viewer = viewer(by)?;
        let statements = vec![access::standing_of(viewer, resource), access::shares(viewer, resource)];
        let mut results = self.guarded(by, statements).await?;
        if take(&mut results, 0).is_empty() {
            return Err(Error::NotFound);
        }
        Ok(access::read(take(&mut results, 1))?)
    }

    /// Shares something with a member or a team of the organization, or changes what that allows.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not own it; [`Error::NotFound`] also when there is nobody to
    /// share it with.
    pub async fn share(
        &self,
        by: &Principal,
        resource: Resource,
        grantee_id: &str,
        access: Access,
    ) -> Result<Share, Error> {
        let viewer = viewer(by)?;
        let share = access::share(viewer, resource, grantee_id, access, self.now());
        let action = match resource {
            Resource::Dataset(_) => "dataset.shared",
            Resource::Evaluation(_) => "evaluation.shared",
            Resource::LiveEvaluation(_) => "live_evaluation.shared",
        };
        let details = json!({ "with": grantee_id, "access": access });
        let mut results = self.change_shares(by, viewer, resource, share, action, details).await?;
        access::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Ends a share.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not own what is shared.
    pub async fn unshare(&self, by: &Principal, resource: Resource, grantee_id: &str) -> Result<(), Error> {
        let viewer = viewer(by)?;
        let unshare = access::unshare(viewer, resource, grantee_id);
        let action = match resource {
            Resource::Dataset(_) => "dataset.unshared",
            Resource::Evaluation(_) => "evaluation.unshared",
            Resource::LiveEvaluation(_) => "live_evaluation.unshared",
        };
        let details = json!({ "with": grantee_id });
        let mut results = self.change_shares(by, viewer, resource, unshare, action, details).await?;
        if take(&mut results, 0).is_empty() { Err(Error::NotFound) } else { Ok(()) }
    }

    async fn change_shares(
        &self,
        by: &Principal,
        viewer: Viewer,
        resource: Resource,
        change: Statement,
        action: &'static str,
        details: Value,
    ) -> Result<Vec<Vec<Row>>, Error> {
        let event = Event::new(by.snapshot.organization_id, resource, action, details, self.now());
        let statements = vec![change, self.record_if_changed(by, &event), access::standing_of(viewer, resource)];
        let mut results = self.guarded(by, statements).await?;
        let standing = access::read_standing(take(&mut results, 2))?.ok_or(Error::NotFound)?;
        if standing < Standing::Own {
            return Err(Error::Exceeds("Only its owner can share this.".to_owned()));
        }
        Ok(results)
    }
}
