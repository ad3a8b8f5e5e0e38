//! The descendants of a key or a person, previewed, and ended with a key.

use crate::{
    app::{
        Principal,
        error::Error,
        keys::{Keys, LAST_KEY, reach, reach_to_change},
        lineage::check_may_end,
        people::{People, check_visible},
    },
    domain::{
        id::{KeyId, OrganizationId, UserId},
        key::Key,
        key_list::KeyRef,
        lineage::{Descendants, Root},
    },
    storage::{batch::Batch, keys, lineage, people},
};

/// A preview of a line.
pub struct Preview {
    /// The numbers.
    pub descendants: Descendants,
    /// The keys that end with the root, newest first, at most [`crate::domain::lineage::MAX_LISTED`].
    pub keys: Vec<Key>,
    /// The keys that stay, but whose secrets the person has seen by rotating them, at most [`crate::domain::lineage::MAX_LISTED`].
    pub seen: Vec<Key>,
}

impl Keys<'_> {
    /// Revokes a key and all that descends from it: keys, and the open invitations, links and sessions of each. All of
    /// it ends by one row of the feed, or nothing does.
    ///
    /// # Errors
    /// As [`Keys::revoke`], where all that ends counts; [`Error::Exceeds`] also if the caller lacks the role or the reach
    /// for any of it; [`Error::Conflict`] also if it is too much.
    pub async fn revoke_with_descendants(
        &self,
        principal: &Principal,
        id: KeyId,
        force: bool,
    ) -> Result<(Key, Descendants), Error> {
        if force {
            self.check_may_force(principal, id).await?;
        }
        let reach = reach_to_change(principal, id)?;
        let line = self.app.line(principal, principal.snapshot.organization_id, Root::Key(id), force);
        let retention = self.app.config.audit_retention;
        let mut batch = Batch::new();
        let descendants = batch.add(lineage::count(&line));
        batch.execute(lineage::record(&line, &principal.actor(), retention, Some(keys::ROOT_WITHIN_REACH), |params| {
            keys::with_reach(params, reach);
        }));
        batch.execute(lineage::end(&line, Some(keys::ROOT_WITHIN_REACH), |params| keys::with_reach(params, reach)));
        let is_left = batch.add(lineage::is_left(&line));
        let key = batch.add(keys::get(reach, KeyRef::Id(id)));
        let mut results = self.app.guarded(principal, batch).await?;
        let key = results.take(key)?.ok_or(Error::NotFound)?;
        let descendants = results.take(descendants)?.ok_or(Error::NotFound)?;
        check_may_end(descendants)?;
        if results.take(is_left)? { Err(LAST_KEY) } else { Ok((key, descendants)) }
    }

    /// Returns what would end with a key.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see the key.
    pub async fn descendants(&self, principal: &Principal, id: KeyId) -> Result<Preview, Error> {
        let reach = reach(principal, id == principal.snapshot.key_id)?;
        let line = self.app.line(principal, principal.snapshot.organization_id, Root::Key(id), false);
        let mut batch = Batch::new();
        let key = batch.add(keys::get(reach, KeyRef::Id(id)));
        let descendants = batch.add(lineage::count(&line));
        let list = batch.add(lineage::list(&line));
        let mut results = self.app.guarded(principal, batch).await?;
        results.take(key)?.ok_or(Error::NotFound)?;
        let descendants = results.take(descendants)?.ok_or(Error::NotFound)?;
        let keys = results.take(list)?;
        // A caller that does not administer the organization sees no one else's keys.
        let visible = |key: &Key| line.reaches_all || (key.user_id.is_some() && key.user_id == line.reached_user_id);
        Ok(Preview { descendants, keys: keys.into_iter().filter(visible).collect(), seen: Vec::new() })
    }
}

impl People<'_> {
    /// Returns what would end with a member, beside their own keys, and the keys that stay but whose secrets they have
    /// seen.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see them; [`Error::Exceeds`] if the caller does not administer the
    /// organization and the member is somebody else.
    pub async fn descendants(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: UserId,
    ) -> Result<Preview, Error> {
        check_visible(principal, id)?;
        let line = self.app.line(principal, organization_id, Root::User(id), false);
        let mut batch = Batch::new();
        let member = batch.add(people::get(organization_id, id));
        let descendants = batch.add(lineage::count(&line));
        let list = batch.add(lineage::list(&line));
        let seen = batch.add(lineage::seen(&line));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        results.take(member)?.ok_or(Error::NotFound)?;
        let descendants = results.take(descendants)?.ok_or(Error::NotFound)?;
        let (keys, seen) = (results.take(list)?, results.take(seen)?);
        // Keys without a person are seen by those who administer.
        let visible = |keys: Vec<Key>| if line.reaches_all { keys } else { Vec::new() };
        Ok(Preview { descendants, keys: visible(keys), seen: visible(seen) })
    }
}
