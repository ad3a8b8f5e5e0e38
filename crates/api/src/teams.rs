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

/// The team in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TeamPath {
    /// The id of the organization, or `self` for the organization of the key.
    organization: OrganizationRef,
    /// The id of the team.
    team: TeamId,
}

/// The team and the member in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TeamMemberPath {
    /// The id of the organization, or `self` for the organization of the key.
    organization: OrganizationRef,
    /// The id of the team.
    team: TeamId,
    /// The id of the user.
    user: UserId,
}

/// A team of an organization.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Team")]
pub(crate) struct TeamBody {
    /// The id of the team.
    id: TeamId,
    /// The name of the team, unique in its organization.
    name: Name,
    /// The time when the team was created.
    created_at: Rfc3339,
}

impl TeamBody {
    fn new(team: Team) -> Self {
        Self { id: team.id, name: team.name, created_at: Rfc3339(team.created_at) }
    }
}

/// The name of a team.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TeamName")]
pub(crate) struct TeamNameBody {
    /// The name of the team, unique in its organization.
    name: Name,
}

/// A page of teams.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TeamPage")]
pub(crate) struct TeamPageBody {
    /// The teams, the newest first.
    teams: Vec<TeamBody>,
    /// True if there are more teams after this page.
    has_more: bool,
}

/// Lists the teams of an organization.
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

/// Creates a team.
pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(TeamNameBody { name }), MayRepeat): (
        InPath<OrganizationPath>,
        InBody<TeamNameBody>,
        MayRepeat,
    ),
) -> Result<Json<TeamBody, 201>, Problem> {
    let team = Teams::new(call.app).create(principal, path.organization.id(principal)?, name).await?;
    Ok(Json(TeamBody::new(team)))
}

/// A member of a team.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TeamMember")]
struct TeamMemberBody {
    /// The id of the user.
    user_id: UserId,
    /// The time when the user was added.
    added_at: Rfc3339,
}

/// A team with its members.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TeamDetails")]
pub(crate) struct TeamDetailsBody {
    #[serde(flatten)]
    about: TeamBody,
    /// The members of the team.
    members: Vec<TeamMemberBody>,
}

/// Returns a team with its members.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamPath>,
) -> Result<Json<TeamDetailsBody>, Problem> {
    let (team, members) = Teams::new(call.app).get(principal, path.organization.id(principal)?, path.team).await?;
    let member = |member: TeamMember| TeamMemberBody { user_id: member.user_id, added_at: Rfc3339(member.added_at) };
    Ok(Json(TeamDetailsBody { about: TeamBody::new(team), members: members.into_iter().map(member).collect() }))
}

/// Renames a team.
pub(crate) async fn rename(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(TeamNameBody { name })): (InPath<TeamPath>, InBody<TeamNameBody>),
) -> Result<Json<TeamBody>, Problem> {
    let team = Teams::new(call.app).rename(principal, path.organization.id(principal)?, path.team, &name).await?;
    Ok(Json(TeamBody::new(team)))
}

/// Deletes a team.
pub(crate) async fn delete(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamPath>,
) -> Result<NoContent, Problem> {
    Teams::new(call.app).delete(principal, path.organization.id(principal)?, path.team).await?;
    Ok(NoContent)
}

/// Adds a member to a team.
pub(crate) async fn add(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamMemberPath>,
) -> Result<NoContent, Problem> {
    Teams::new(call.app).add(principal, path.organization.id(principal)?, path.team, path.user).await?;
    Ok(NoContent)
}

/// Removes a member from a team.
pub(crate) async fn remove(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamMemberPath>,
) -> Result<NoContent, Problem> {
    Teams::new(call.app).remove(principal, path.organization.id(principal)?, path.team, path.user).await?;
    Ok(NoContent)
}
