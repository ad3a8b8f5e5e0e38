//! `/v1/organizations/:organization_id/teams`.

use bitting_http::{
    call::Call,
    deleted::DeletedBody,
    message::Rfc3339,
    paging::{Listed, PageBody, PageQuery},
    problem::Problem,
    typed::{IfMatch, InBody, InPath, InQuery, Json, MayRepeat, NoContent, Version, Versioned, Whole},
};
use bitting_keys::{
    app::{Principal, teams::Teams},
    domain::{
        id::{TeamId, UserId},
        key::Name,
        person::{Team, TeamMember},
        time::UnixMillis,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::organization_path::{OrganizationPath, OrganizationRef};

/// The team in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TeamPath {
    /// The id of the organization, or `self` for the organization of the key.
    organization_id: OrganizationRef,
    /// The id of the team.
    team_id: TeamId,
}

/// The team and the member in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TeamMemberPath {
    /// The id of the organization, or `self` for the organization of the key.
    organization_id: OrganizationRef,
    /// The id of the team.
    team_id: TeamId,
    /// The id of the user.
    user_id: UserId,
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
    /// The time of the last change of the name.
    updated_at: Rfc3339,
}

impl TeamBody {
    fn new(team: Team) -> Self {
        Self {
            id: team.id,
            name: team.name,
            created_at: Rfc3339(team.created_at),
            updated_at: Rfc3339(team.updated_at),
        }
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

impl Version for TeamBody {
    fn version(&self) -> UnixMillis {
        self.updated_at.0
    }
}

impl Listed for TeamBody {
    fn cursor(&self) -> String {
        self.id.to_string()
    }
}

/// Lists the teams of an organization.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<PageQuery<TeamId>>),
) -> Result<Json<PageBody<TeamBody>>, Problem> {
    let Whole(limit) = query.limit;
    let page = Teams::new(call.app)
        .list(principal, path.organization_id.resolve(principal)?, query.starting_after, limit)
        .await?;
    Ok(Json(PageBody::new(page, TeamBody::new)))
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
    let team = Teams::new(call.app).create(principal, path.organization_id.resolve(principal)?, name).await?;
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

impl Version for TeamDetailsBody {
    fn version(&self) -> UnixMillis {
        self.about.version()
    }
}

/// Returns a team with its members.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamPath>,
) -> Result<Versioned<TeamDetailsBody>, Problem> {
    let (team, members) =
        Teams::new(call.app).get(principal, path.organization_id.resolve(principal)?, path.team_id).await?;
    let member = |member: TeamMember| TeamMemberBody { user_id: member.user_id, added_at: Rfc3339(member.added_at) };
    Ok(Versioned(TeamDetailsBody { about: TeamBody::new(team), members: members.into_iter().map(member).collect() }))
}

/// Renames a team.
pub(crate) async fn rename(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), IfMatch(expected), InBody(TeamNameBody { name })): (InPath<TeamPath>, IfMatch, InBody<TeamNameBody>),
) -> Result<Versioned<TeamBody>, Problem> {
    let team = Teams::new(call.app)
        .rename(principal, path.organization_id.resolve(principal)?, path.team_id, &name, expected)
        .await?;
    Ok(Versioned(TeamBody::new(team)))
}

/// Deletes a team.
pub(crate) async fn delete(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamPath>,
) -> Result<Json<DeletedBody>, Problem> {
    Teams::new(call.app).delete(principal, path.organization_id.resolve(principal)?, path.team_id).await?;
    Ok(Json(DeletedBody::new(call, path.team_id)))
}

/// Adds a member to a team.
pub(crate) async fn add(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamMemberPath>,
) -> Result<NoContent, Problem> {
    Teams::new(call.app).add(principal, path.organization_id.resolve(principal)?, path.team_id, path.user_id).await?;
    Ok(NoContent)
}

/// Removes a member from a team.
pub(crate) async fn remove(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TeamMemberPath>,
) -> Result<Json<DeletedBody>, Problem> {
    Teams::new(call.app)
        .remove(principal, path.organization_id.resolve(principal)?, path.team_id, path.user_id)
        .await?;
    Ok(Json(DeletedBody::new(call, path.user_id)))
}
