//! Teams: made, renamed, filled and ended. They say who belongs together; no key depends on them yet.

use serde_json::json;

use crate::{
    app::{App, Principal, error::Error, page::Page, people::visible_user},
    domain::{
        audit::AuditEvent,
        id::{OrganizationId, TeamId, UserId},
        key::Name,
        person::{Team, TeamMember},
    },
    storage::{batch::Batch, people, teams},
};

/// The most people in a team, so that it can be read and ended in one go.
const MAX_TEAM_MEMBERS: i64 = 1_000;

const TEAM_EXISTS: Error =
    Error::Conflict { code: "team_exists", message: "Another team of the organization has this name." };

/// The use cases of teams.
pub struct Teams<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Teams<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Teams<'_> {
    /// Creates a team.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization; [`Error::Conflict`] when
    /// another has the name.
    pub async fn create(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        name: Name,
    ) -> Result<Team, Error> {
        principal.administers()?;
        self.app
            .once(
                principal,
                teams::made,
                |_, team| Ok(team),
                async |attempt| {
                    let now = self.app.now();
                    let team = Team { id: TeamId::new(now, self.app.random_bits()?), name, created_at: now };
                    let created =
                        AuditEvent::new(organization_id, team.id, "team.created", json!({ "name": team.name }), now);
                    let mut batch = Batch::new();
                    let inserted = batch.add(teams::insert(organization_id, &team));
                    batch.execute(self.app.record_if_changed(principal, &created));
                    let mut results = attempt.run_in_organization(organization_id, team.id, batch).await?;
                    results.take(inserted)?.ok_or(TEAM_EXISTS)
                },
            )
            .await
    }

    /// A page of at most `limit` teams, the newest first; for whoever does not administer the organization
    /// those that they are in.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key without a user that does not administer either.
    pub async fn list(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        before: Option<TeamId>,
        limit: i64,
    ) -> Result<Page<Team>, Error> {
        let mut batch = Batch::new();
        let teams = batch.add(teams::list(organization_id, visible_user(principal)?, before, limit + 1));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        Ok(Page::of(results.take(teams)?, limit))
    }

    /// One team and its people.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn get(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
    ) -> Result<(Team, Vec<TeamMember>), Error> {
        let mut batch = Batch::new();
        let team = batch.add(teams::get(organization_id, id, visible_user(principal)?));
        let members = batch.add(teams::members(organization_id, id, MAX_TEAM_MEMBERS));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        let team = results.take(team)?.ok_or(Error::NotFound)?;
        Ok((team, results.take(members)?))
    }

    /// Renames a team.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization; [`Error::Conflict`] when
    /// another has the name.
    pub async fn rename(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
        name: &Name,
    ) -> Result<Team, Error> {
        principal.administers()?;
        let updated = AuditEvent::new(organization_id, id, "team.updated", json!({ "name": name }), self.app.now());
        let mut batch = Batch::new();
        let renamed = batch.add(teams::rename(organization_id, id, name));
        batch.execute(self.app.record_if_changed(principal, &updated));
        let team = batch.add(teams::get(organization_id, id, None));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        match results.take(renamed)? {
            Some(team) => Ok(team),
            None if results.take(team)?.is_none() => Err(Error::NotFound),
            None => Err(TEAM_EXISTS),
        }
    }

    /// Ends a team.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization.
    pub async fn delete(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
    ) -> Result<(), Error> {
        principal.administers()?;
        let event = AuditEvent::new(organization_id, id, "team.deleted", json!({}), self.app.now());
        let mut batch = Batch::new();
        batch.execute(teams::empty(organization_id, id));
        let deleted = batch.add(teams::delete(organization_id, id));
        batch.execute(self.app.record_if_changed(principal, &event));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        if results.take(deleted)? { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Puts a member of the organization into a team. If they are in it already, nothing changes.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when they are no member; [`Error::Conflict`] when the team is full.
    pub async fn add(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
        user_id: UserId,
    ) -> Result<(), Error> {
        principal.administers()?;
        let now = self.app.now();
        let added = AuditEvent::new(organization_id, id, "team.member_added", json!({ "user_id": user_id }), now);
        let mut batch = Batch::new();
        let team = batch.add(teams::get(organization_id, id, None));
        let member = batch.add(people::get(organization_id, user_id));
        batch.execute(teams::add(organization_id, id, user_id, MAX_TEAM_MEMBERS, now));
        batch.execute(self.app.record_if_changed(principal, &added));
        let is_in_team = batch.add(teams::has_member(organization_id, id, user_id));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        if results.take(team)?.is_none() || results.take(member)?.is_none() {
            return Err(Error::NotFound);
        }
        if !results.take(is_in_team)? {
            return Err(Error::Conflict { code: "team_full", message: "A team has at most 1,000 people." });
        }
        Ok(())
    }

    /// Takes somebody out of a team.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when they are not in it.
    pub async fn remove(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
        user_id: UserId,
    ) -> Result<(), Error> {
        principal.administers()?;
        let details = json!({ "user_id": user_id });
        let event = AuditEvent::new(organization_id, id, "team.member_removed", details, self.app.now());
        let mut batch = Batch::new();
        let removed = batch.add(teams::remove(organization_id, id, user_id));
        batch.execute(self.app.record_if_changed(principal, &event));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        if results.take(removed)? { Ok(()) } else { Err(Error::NotFound) }
    }
}
