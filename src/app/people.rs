//! The people of an organization: seen, raised, lowered and removed.

use serde_json::json;

use crate::{
    app::{
        App, Principal,
        error::Error,
        keys::{Page, check_holds},
        take,
    },
    domain::{
        id::{OrganizationId, UserId},
        idempotency::Nonce,
        key::Role,
        person::Member,
        scope::Scopes,
    },
    ports::{Row, Statement},
    storage::{
        access,
        audit::Event,
        batch::{Batch, Query, Results},
        invitations, organizations,
        people::{self, Leave},
        teams,
    },
};

/// An organization without an owner could never have one again.
const LAST_OWNER: Error = Error::Conflict {
    code: "last_owner",
    message: "This is the only owner of the organization. Make somebody else an owner first.",
};

/// Nobody locks an organization out without having been told.
const LAST_MANAGING_PERSON: Error = Error::Conflict {
    code: "last_managing_key",
    message: "Nobody but this person has a key that can manage the organization's keys: without it nobody can make \
              another. Make one first, or ask again with `?force=true`.",
};

impl App {
    /// A page of at most `limit` members, the newest first; for whoever does not administer the
    /// organization himself alone.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key without a user that does not administer either.
    pub async fn list_members(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        before: Option<UserId>,
        limit: i64,
    ) -> Result<Page<Member>, Error> {
        let list = people::list(organization_id, sees(by)?, before, limit + 1);
        let mut results = self.in_organization(by, organization_id, vec![list]).await?;
        Ok(Page::of(people::read(take(&mut results, 0))?, limit))
    }

    /// One member.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when he is there but the caller may not see him.
    pub async fn get_member(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: UserId,
    ) -> Result<Member, Error> {
        check_sees(by, id)?;
        let mut results = self.in_organization(by, organization_id, vec![people::get(organization_id, id)]).await?;
        people::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// [`Error::Exceeds`] when the role, the one that he has or the one that he gets, is above the caller's,
    /// or the caller cannot vouch for it; [`Error::Conflict`] for the only owner, and, unless this is forced,
    /// for whoever alone can manage keys.
    pub async fn set_role(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: UserId,
        role: Role,
        force: bool,
    ) -> Result<Member, Error> {
        check_sees(by, id)?;
        by.administers()?;
        let now = self.now();
        let leave = leave(by, Some(role), force);
        let changed = Event::new(organization_id, id, "member.updated", json!({ "role": role }), now);
        let statements = vec![
            people::get(organization_id, id),
            people::is_last_owner(organization_id, id),
            people::set_role(organization_id, id, role, &leave, now),
            self.record_if_changed(by, &changed),
            invitations::end_beyond_reach(organization_id, id),
            people::get(organization_id, id),
        ];
        let mut results = self.in_organization(by, organization_id, statements).await?;
        let before = people::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)?;
        check_changes(by, before.role, Some(role))?;
        let after = people::read(take(&mut results, 5))?.pop().ok_or(Error::NotFound)?;
        match after.role == role {
            true => Ok(after),
            false if !take(&mut results, 1).is_empty() => Err(LAST_OWNER),
            false => Err(LAST_MANAGING_PERSON),
        }
    }

    /// Removes a person from an organization: all his keys end by one row of the feed, he leaves every
    /// team, and the invitations that he has made go with him. Everybody may remove himself.
    ///
    /// # Errors
    /// As [`App::set_role`] says.
    pub async fn remove_member(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: UserId,
        force: bool,
    ) -> Result<(), Error> {
        check_sees(by, id)?;
        let now = self.now();
        let leave = leave(by, None, force);
        let removed = Event::new(organization_id, id, "member.removed", json!({}), now);
        let statements = vec![
            people::get(organization_id, id),
            people::is_last_owner(organization_id, id),
            people::remove(organization_id, id, &leave, now),
            self.record_if_changed(by, &removed),
            invitations::end_beyond_reach(organization_id, id),
            teams::remove_from_all(organization_id, id),
            access::forget_grantee(organization_id, &id.to_string()),
            people::get(organization_id, id),
        ];
        let mut results = self.in_organization(by, organization_id, statements).await?;
        let before = people::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)?;
        check_changes(by, before.role, None)?;
        match take(&mut results, 7).is_empty() {
            true => Ok(()),
            false if !take(&mut results, 1).is_empty() => Err(LAST_OWNER),
            false => Err(LAST_MANAGING_PERSON),
        }
    }

    /// Runs statements about an organization, behind the guard.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such organization; nothing about it was written then.
    pub(super) async fn in_organization(
        &self,
        by: &Principal,
        id: OrganizationId,
        statements: Vec<Statement>,
    ) -> Result<Vec<Vec<Row>>, Error> {
        of_organization(self.guarded(by, about_organization(id, statements)).await?)
    }

    /// Runs a batch about an organization, behind the guard.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such organization; nothing about it was written then.
    pub(super) async fn in_organization_batch(
        &self,
        principal: &Principal,
        id: OrganizationId,
        mut batch: Batch,
    ) -> Result<Results, Error> {
        let organization = batch.prepend(Query::any(organizations::get(id)));
        let mut results = self.guarded_batch(principal, batch).await?;
        if results.take(organization)? { Ok(results) } else { Err(Error::NotFound) }
    }

    /// Like [`App::in_organization`], and once alone if the request has an Idempotency-Key.
    ///
    /// # Errors
    /// Also those of [`App::guarded_once`].
    pub(super) async fn in_organization_once(
        &self,
        by: &Principal,
        id: OrganizationId,
        nonce: Option<Nonce>,
        made: &str,
        statements: Vec<Statement>,
    ) -> Result<Vec<Vec<Row>>, Error> {
        of_organization(self.guarded_once(by, nonce, made, about_organization(id, statements)).await?)
    }
}

fn about_organization(id: OrganizationId, statements: Vec<Statement>) -> Vec<Statement> {
    [organizations::get(id)].into_iter().chain(statements).collect()
}

fn of_organization(mut results: Vec<Vec<Row>>) -> Result<Vec<Vec<Row>>, Error> {
    if take(&mut results, 0).is_empty() {
        return Err(Error::NotFound);
    }
    results.drain(..1);
    Ok(results)
}

/// The one person whom the caller may see; `None`: everybody, because he administers the organization.
pub(super) fn sees(by: &Principal) -> Result<Option<UserId>, Error> {
    if by.snapshot.role >= Role::Admin {
        return Ok(None);
    }
    by.snapshot.user_id.map(Some).ok_or(Error::NotFound)
}

fn check_sees(by: &Principal, id: UserId) -> Result<(), Error> {
    if sees(by)?.is_none_or(|own| own == id) { Ok(()) } else { Err(Error::NotFound) }
}

/// Whether the caller may let somebody into a role. Nobody gives more than he holds, and whoever lets a
/// person in gives him all that the role allows. So nobody raises himself either: no key has a role above
/// its user's.
pub(super) fn check_vouches(by: &Principal, role: Role) -> Result<(), Error> {
    if by.snapshot.scopes != Scopes::Full {
        let message = "A person may do everything that his role allows, so only a key with full access can let him.";
        return Err(Error::Exceeds(message.to_owned()));
    }
    check_holds(by, &Scopes::Full, role, by.snapshot.ends_at())
}

/// Whether the caller may take the role `from` somebody, and give him the one that he gets instead, if any.
fn check_changes(by: &Principal, from: Role, to: Option<Role>) -> Result<(), Error> {
    if from > by.snapshot.role {
        return Err(Error::Exceeds(format!("Only a key with the role `{}` can do this.", from.as_str())));
    }
    match to {
        Some(to) if to > from => check_vouches(by, to),
        _ => Ok(()),
    }
}

/// What the caller may take away, as the database asks for it.
fn leave(by: &Principal, to: Option<Role>, force: bool) -> Leave {
    let roles = Role::ALL.into_iter().filter(|from| check_changes(by, *from, to).is_ok()).collect();
    Leave { roles, force }
}
