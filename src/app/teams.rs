//! Teams: made, renamed, filled and ended. They say who belongs together; no key depends on them yet.

use serde_json::json;

use crate::{
    app::{
        App, Principal,
        error::Error,
        keys::{Page, page},
        people::sees,
        take,
    },
    domain::{
        id::{OrganizationId, TeamId, UserId},
        key::Name,
        person::{Team, TeamMember},
    },
    storage::{audit::Event, people, teams},
};

/// The most people in a team, so that it can be read and ended in one go.
const MAX_TEAM_MEMBERS: i64 = 1_000;

const TEAM_EXISTS: Error =
    Error::Conflict { code: "team_exists", message: "Another team of the organization has this name." };

impl App {
    /// Makes a team.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization; [`Error::Conflict`] when
    /// another has the name.
    pub async fn create_team(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        name: Name,
    ) -> Result<Team, Error> {
        by.administers()?;
        let now = self.now();
        let team = Team { id: TeamId::new(now, self.random_bits()?), name, created_at: now };
        let created = Event::new(organization_id, team.id, "team.created", json!({ "name": team.name }), now);
        let statements = vec![teams::insert(organization_id, &team), self.record_if_changed(by, &created)];
        let made = self.in_organization_once(by, organization_id, None, &team.id.to_string(), statements).await;
        let made = made.and_then(|mut results| teams::read(take(&mut results, 0))?.pop().ok_or(TEAM_EXISTS));
        match made {
            Err(error) => {
                let (first, mut results) = self.made_before(by, error, &[teams::made]).await?;
                teams::read(take(&mut results, 0))?.pop().ok_or(Error::Spent(first.subject))
            }
            made => made,
        }
    }

    /// A page of at most `limit` teams, the newest first; for whoever does not administer the organization
    /// those that he is in.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key without a user that does not administer either.
    pub async fn list_teams(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        before: Option<TeamId>,
        limit: i64,
    ) -> Result<Page<Team>, Error> {
        let list = teams::list(organization_id, sees(by)?, before, limit + 1);
        let mut results = self.in_organization(by, organization_id, vec![list]).await?;
        Ok(page(teams::read(take(&mut results, 0))?, limit))
    }

    /// One team and its people.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn get_team(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
    ) -> Result<(Team, Vec<TeamMember>), Error> {
        let statements =
            vec![teams::get(organization_id, id, sees(by)?), teams::members(organization_id, id, MAX_TEAM_MEMBERS)];
        let mut results = self.in_organization(by, organization_id, statements).await?;
        let team = teams::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)?;
        Ok((team, teams::read_members(take(&mut results, 1))?))
    }

    /// Renames a team.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization; [`Error::Conflict`] when
    /// another has the name.
    pub async fn rename_team(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
        name: &Name,
    ) -> Result<Team, Error> {
        by.administers()?;
        let renamed = Event::new(organization_id, id, "team.updated", json!({ "name": name }), self.now());
        let statements = vec![
            teams::rename(organization_id, id, name),
            self.record_if_changed(by, &renamed),
            teams::get(organization_id, id, None),
        ];
        let mut results = self.in_organization(by, organization_id, statements).await?;
        match teams::read(take(&mut results, 0))?.pop() {
            Some(team) => Ok(team),
            None if take(&mut results, 2).is_empty() => Err(Error::NotFound),
            None => Err(TEAM_EXISTS),
        }
    }

    /// Ends a team.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization.
    pub async fn delete_team(&self, by: &Principal, organization_id: OrganizationId, id: TeamId) -> Result<(), Error> {
        by.administers()?;
        let deleted = Event::new(organization_id, id, "team.deleted", json!({}), self.now());
        let statements = vec![
            teams::empty(organization_id, id),
            teams::delete(organization_id, id),
            self.record_if_changed(by, &deleted),
        ];
        let mut results = self.in_organization(by, organization_id, statements).await?;
        if take(&mut results, 1).is_empty() { Err(Error::NotFound) } else { Ok(()) }
    }

    /// Puts a member of the organization into a team. If he is in it already, nothing changes.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when he is no member; [`Error::Conflict`] when the team is full.
    pub async fn add_to_team(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
        user_id: UserId,
    ) -> Result<(), Error> {
        by.administers()?;
        let now = self.now();
        let added = Event::new(organization_id, id, "team.member_added", json!({ "user_id": user_id }), now);
        let statements = vec![
            teams::get(organization_id, id, None),
            people::get(organization_id, user_id),
            teams::add(organization_id, id, user_id, MAX_TEAM_MEMBERS, now),
            self.record_if_changed(by, &added),
            teams::member(organization_id, id, user_id),
        ];
        let mut results = self.in_organization(by, organization_id, statements).await?;
        if take(&mut results, 0).is_empty() || take(&mut results, 1).is_empty() {
            return Err(Error::NotFound);
        }
        if take(&mut results, 4).is_empty() {
            return Err(Error::Conflict { code: "team_full", message: "A team has at most 1,000 people." });
        }
        Ok(())
    }

    /// Takes somebody out of a team.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when he is not in it.
    pub async fn remove_from_team(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: TeamId,
        user_id: UserId,
    ) -> Result<(), Error> {
        by.administers()?;
        let removed = Event::new(organization_id, id, "team.member_removed", json!({ "user_id": user_id }), self.now());
        let statements = vec![teams::remove(organization_id, id, user_id), self.record_if_changed(by, &removed)];
        let mut results = self.in_organization(by, organization_id, statements).await?;
        if take(&mut results, 0).is_empty() { Err(Error::NotFound) } else { Ok(()) }
    }
}
