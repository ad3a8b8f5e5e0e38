//! `/v1/organizations/:organization/teams`.

use bitting_http::{
    call::Call,
    message::Rfc3339,
    paging::PageQuery,
    problem::Problem,
    typed::{InBody, InPath, InQuery, Json, MayRepeat, NoContent, Whole},
};
use bitting_keys::{
    app::{Principal, teams::Teams},
    domain::{
        id::{TeamId, UserId},
        key::Name,
        person::{Team, TeamMember},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::organization_path::{OrganizationPath, OrganizationRef};

/// The team that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TeamPath {
    /// The organization's id, or `self` for one's own.
    organization: OrganizationRef,
    /// The team's id.
    team: TeamId,
}

/// The team that a path names, and somebody to be put into it or taken out.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TeamMemberPath {
    /// The organization's id, or `self` for one's own.
    organization: OrganizationRef,
    /// The team's id.
    team: TeamId,
    /// The user's id.
    user: UserId,
}

/// Some of the people of an organization.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Team")]
pub(crate) struct TeamBody {
    /// Its id.
    id: TeamId,
    /// Its name, which no other team of the organization has.
    name: Name,
    /// When it was made.
    created_at: Rfc3339,
}

impl TeamBody {
    fn new(team: Team) -> Self {
        Self { id: team.id, name: team.name, created_at: Rfc3339(team.created_at) }
    }
}

/// A team's name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NamedTeam")]
pub(crate) struct NamedBody {
    /// What people call it; no other team of the organization may have that name.
    name: Name,
}

/// A page of teams.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TeamPage")]
pub(crate) struct TeamPageBody {
    /// The teams, the newest first.
    teams: Vec<TeamBody>,
    /// Whether there are more.
    has_more: bool,
}

pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<PageQuery<TeamId>>),
) -> Result<Json<TeamPageBody>, Problem> {
    let Whole(limit) = query.limit;
    let page =
        Teams::new(call.app).list(principal, path.organization.id(principal)?, query.starting_after, limit).await?;
    let teams = page.items.into_iter().map(TeamBody::new).collect();
    Ok(Json(TeamPageBody { teams, has_more: page.has_more }))
}

pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(NamedBody { name }), MayRepeat): (InPath<OrganizationPath>, InBody<NamedBody>, MayRepeat),
) -> Result<Json<TeamBody, 201>, Problem> {
    let team = Teams::new(call.app).create(principal, path.organization.id(principal)?, name).await?;
    Ok(Json(TeamBody::new(team)))
}

/// Somebody in a team.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TeamMember")]
struct TeamMemberBody {
    /// The user.
    user_id: UserId,
    /// Since when.
    added_at: Rfc3339,
}

/// A team and everybody in it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WholeTeam")]
pub(crate) struct WholeBody {
    #[serde(flatten)]
    about: TeamBody,
    /// Everybody in it.
    members: Vec<TeamMemberBody>,
}

pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamPath>,
) -> Result<Json<WholeBody>, Problem> {
    let (team, members) = Teams::new(call.app).get(principal, path.organization.id(principal)?, path.team).await?;
    let member = |member: TeamMember| TeamMemberBody { user_id: member.user_id, added_at: Rfc3339(member.added_at) };
    Ok(Json(WholeBody { about: TeamBody::new(team), members: members.into_iter().map(member).collect() }))
}

pub(crate) async fn rename(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(NamedBody { name })): (InPath<TeamPath>, InBody<NamedBody>),
) -> Result<Json<TeamBody>, Problem> {
    let team = Teams::new(call.app).rename(principal, path.organization.id(principal)?, path.team, &name).await?;
    Ok(Json(TeamBody::new(team)))
}

pub(crate) async fn delete(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamPath>,
) -> Result<NoContent, Problem> {
    Teams::new(call.app).delete(principal, path.organization.id(principal)?, path.team).await?;
    Ok(NoContent)
}

pub(crate) async fn add(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamMemberPath>,
) -> Result<NoContent, Problem> {
    Teams::new(call.app).add(principal, path.organization.id(principal)?, path.team, path.user).await?;
    Ok(NoContent)
}

pub(crate) async fn remove(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamMemberPath>,
) -> Result<NoContent, Problem> {
    Teams::new(call.app).remove(principal, path.organization.id(principal)?, path.team, path.user).await?;
    Ok(NoContent)
}
