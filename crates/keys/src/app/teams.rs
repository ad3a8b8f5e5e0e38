//! Teams: created, renamed, filled and deleted. They group members; keys do not depend on them.

use serde_json::json;

use crate::{
    app::{App, Principal, error::Error, people::visible_user},
    domain::{
        audit::AuditEvent,
        expected::Expected,
        id::{OrganizationId, TeamId, UserId},
        key::Name,
        page::Page,
        person::{Team, TeamMember},
    },
    storage::{batch::Batch, people, teams},
};

/// The maximum number of members, so that a team can be read and deleted in one batch.
const MAX_TEAM_MEMBERS: i64 = 1_000;

/// The error of a team whose name is taken.
const TEAM_EXISTS: Error =
    Error::Conflict { code: "team_exists", message: "Another team in this organization has this name." };

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
    /// [`Error::Exceeds`] if the caller does not administer the organization; [`Error::Conflict`] if another team
    /// has the name.
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
                teams::created_by_request,
                |_, team| Ok(team),
                async |attempt| {
                    let now = self.app.now();
                    let team =
                        Team { id: TeamId::new(now, self.app.random_bits()?), name, created_at: now, updated_at: now };
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

    /// Lists teams, newest first, at most `limit`. A caller that does not administer the organization sees only
    /// their own.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key without a user that does not administer the organization.
    pub async fn list(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        before: Option<TeamId>,
        limit: i64,
    ) -> Result<Page<Team>, Error> {
        let mut batch = Batch::new();
        let teams = batch.add(teams::list(organization_id, visible_user(principal)?, before, limit));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        Ok(results.take(teams)?)
    }

    /// Returns one team and its members.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see it.
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
    /// [`Error::Exceeds`] if the caller does not administer the organization; [`Error::Conflict`] if another team
    /// has the name.
    pub async fn rename(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
        name: &Name,
        expected: Expected,
    ) -> Result<Team, Error> {
        principal.administers()?;
        let now = self.app.now();
        let updated = AuditEvent::new(organization_id, id, "team.updated", json!({ "name": name }), now);
        let mut batch = Batch::new();
        let renamed = batch.add(teams::rename(organization_id, id, name, expected, now));
        batch.execute(self.app.record_if_changed(principal, &updated));
        let team = batch.add(teams::get(organization_id, id, None));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        if let Some(renamed) = results.take(renamed)? {
            return Ok(renamed);
        }
        expected.check(results.take(team)?.ok_or(Error::NotFound)?.updated_at)?;
        Err(TEAM_EXISTS)
    }

    /// Deletes a team.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
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

    /// Adds a member of the organization to a team. If they are already in it, nothing changes.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if they are not a member of the organization; [`Error::Conflict`] if the team is
    /// full.
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
            return Err(Error::Conflict { code: "team_full", message: "A team can have at most 1,000 members." });
        }
        Ok(())
    }

    /// Removes a member from a team.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if they are not in it.
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
