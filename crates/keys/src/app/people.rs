//! The members of an organization: listed, promoted, demoted and removed.

use serde_json::json;

use crate::{
    app::{App, Principal, error::Error, lineage::check_may_end},
    domain::{
        audit::AuditEvent,
        expected::Expected,
        grant::Grant,
        id::{OrganizationId, UserId},
        key::Role,
        lineage::{Descendants, Root},
        page::Page,
        person::{Member, RoleRemoval},
    },
    storage::{
        batch::{Batch, Results},
        invitations, lineage, organizations, people, teams,
    },
};

/// The error of a change that would leave an organization without an owner, which it could never get again.
const LAST_OWNER: Error = Error::Conflict {
    code: "last_owner",
    message: "This is the organization's only owner. Make another member an owner first.",
};

/// The error of a change that would lock the organization out without `force`.
const LAST_MANAGING_PERSON: Error = Error::Conflict {
    code: "last_managing_key",
    message: "This is the only member with a key that can manage the organization's keys, or with one that has full \
              access. Create another such key first that works for at least a week, or retry with `?force=true`.",
};

impl App {
    /// Runs a batch about an organization, behind the guard.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the organization does not exist; then nothing about it was written.
    pub async fn in_organization(
        &self,
        principal: &Principal,
        id: OrganizationId,
        mut batch: Batch,
    ) -> Result<Results, Error> {
        let exists = batch.prepend(organizations::exists(id));
        let mut results = self.guarded(principal, batch).await?;
        if results.take(exists)? { Ok(results) } else { Err(Error::NotFound) }
    }
}

/// The use cases of the members of an organization.
pub struct People<'a> {
    pub(crate) app: &'a App,
}

impl<'a> People<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl People<'_> {
    /// Lists members, newest first, at most `limit`. A caller that does not administer the organization sees only
    /// themselves.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key without a user that does not administer the organization.
    pub async fn list(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        before: Option<UserId>,
        limit: i64,
    ) -> Result<Page<Member>, Error> {
        let mut batch = Batch::new();
        let members = batch.add(people::list(organization_id, visible_user(principal)?, before, limit));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        Ok(results.take(members)?)
    }

    /// Returns one member.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see them.
    pub async fn get(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: UserId,
    ) -> Result<Member, Error> {
        check_visible(principal, id)?;
        let mut batch = Batch::new();
        let member = batch.add(people::get(organization_id, id));
        self.app.in_organization(principal, organization_id, batch).await?.take(member)?.ok_or(Error::NotFound)
    }

    /// Changes a member's role.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the old or the new role is above the caller's, if a caller with an end or without full
    /// access raises it, or if the caller may not force; [`Error::Conflict`] for the only owner, and, unless `force` is
    /// set, for the only member who can manage keys or has a key with full access.
    pub async fn set_role(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: UserId,
        role: Role,
        force: bool,
        expected: Expected,
    ) -> Result<Member, Error> {
        check_visible(principal, id)?;
        principal.administers()?;
        let now = self.app.now();
        let removal = removal(principal, Some(role), force)?;
        let updated = AuditEvent::new(organization_id, id, "member.updated", json!({ "role": role }), now);
        let mut batch = Batch::new();
        let before = batch.add(people::get(organization_id, id));
        let is_last_owner = batch.add(people::is_last_owner(organization_id, id));
        batch.execute(people::set_role(organization_id, id, role, &removal, expected, now));
        batch.execute(self.app.record_if_changed(principal, &updated));
        batch.execute(invitations::end_beyond_reach(organization_id, id));
        let after = batch.add(people::get(organization_id, id));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        let before = results.take(before)?.ok_or(Error::NotFound)?;
        check_changes(principal, before.role, Some(role))?;
        expected.check(before.updated_at)?;
        let after = results.take(after)?.ok_or(Error::NotFound)?;
        if after.role == role {
            return Ok(after);
        }
        Err(if results.take(is_last_owner)? { LAST_OWNER } else { LAST_MANAGING_PERSON })
    }

    /// Removes a member from an organization. All their keys end by one row of the feed. They leave every team, and
    /// the invitations that they created and the shares that they have are deleted. Every member may remove
    /// themselves. `with_descendants` also ends the keys without a person that descend from them, and the sessions of
    /// links that they created, by one more row.
    ///
    /// # Errors
    /// As [`People::set_role`].
    pub async fn remove(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: UserId,
        force: bool,
        with_descendants: bool,
    ) -> Result<Option<Descendants>, Error> {
        check_visible(principal, id)?;
        let now = self.app.now();
        let removal = removal(principal, None, force)?;
        let removed = AuditEvent::new(organization_id, id, "member.removed", json!({}), now);
        let mut batch = Batch::new();
        let before = batch.add(people::get(organization_id, id));
        let is_last_owner = batch.add(people::is_last_owner(organization_id, id));
        let descendants = if with_descendants {
            let line = self.app.line(principal, organization_id, Root::User(id), force);
            let descendants = batch.add(lineage::count(&line));
            let (actor, retention) = (principal.actor(), self.app.config.audit_retention);
            batch.extend(lineage::remove_member(&line, id, &removal, &actor, retention));
            Some(descendants)
        } else {
            batch.execute(people::remove(organization_id, id, &removal, now));
            None
        };
        batch.execute(self.app.record_if_changed(principal, &removed));
        batch.execute(invitations::end_beyond_reach(organization_id, id));
        batch.execute(teams::remove_from_all(organization_id, id));
        let after = batch.add(people::get(organization_id, id));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        let before = results.take(before)?.ok_or(Error::NotFound)?;
        check_changes(principal, before.role, None)?;
        let descendants = descendants.map(|descendants| results.take(descendants)).transpose()?.flatten();
        if results.take(after)?.is_none() {
            return Ok(descendants);
        }
        descendants.map(check_may_end).transpose()?;
        Err(if results.take(is_last_owner)? { LAST_OWNER } else { LAST_MANAGING_PERSON })
    }
}

/// The only user that the caller may see; `None` for a caller that administers the organization and may see
/// everyone.
///
/// # Errors
/// [`Error::NotFound`] for a key without a user that does not administer the organization.
pub fn visible_user(principal: &Principal) -> Result<Option<UserId>, Error> {
    if principal.snapshot.role >= Role::Admin {
        return Ok(None);
    }
    principal.snapshot.user_id.map(Some).ok_or(Error::NotFound)
}

/// Checks that the caller may see a user.
pub(crate) fn check_visible(principal: &Principal, id: UserId) -> Result<(), Error> {
    if visible_user(principal)?.is_none_or(|own| own == id) { Ok(()) } else { Err(Error::NotFound) }
}

/// Checks that the caller may take the role `from` from a member, and give them the role `to`, if there is one.
fn check_changes(principal: &Principal, from: Role, to: Option<Role>) -> Result<(), Error> {
    if from > principal.snapshot.role {
        return Err(Error::Exceeds(format!("Only a key with the role `{}` can do this.", from.as_str())));
    }
    match to {
        // No key has a role above its user's, so no caller can raise its own user either.
        Some(to) if to > from => principal.grants(&Grant::Role { role: to }).map(|_| ()),
        _ => Ok(()),
    }
}

/// The caller's permission to take a role from a member, as the database checks it.
///
/// # Errors
/// [`Error::Exceeds`] if the caller may not force.
fn removal(principal: &Principal, to: Option<Role>, force: bool) -> Result<RoleRemoval, Error> {
    if force {
        // The member's role is checked with every removal.
        principal.may_force(Role::Member)?;
    }
    let roles = Role::ALL.into_iter().filter(|from| check_changes(principal, *from, to).is_ok()).collect();
    Ok(RoleRemoval { roles, force })
}
