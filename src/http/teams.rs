//! `/v1/organizations/:organization/teams`.

use serde::{Deserialize, Serialize};

use crate::{
    app::{Principal, error::Error},
    domain::{
        id::{TeamId, UserId},
        key::Name,
        person::{Team, TeamMember},
    },
    http::{
        input::{self, Query},
        keys::limit,
        message::{Response, Rfc3339},
        organizations::path_organization,
        people::path_user,
        problem::Problem,
        routes::Call,
    },
};

#[derive(Serialize)]
struct TeamBody<'a> {
    id: TeamId,
    name: &'a Name,
    created_at: Rfc3339,
}

impl<'a> TeamBody<'a> {
    fn new(team: &'a Team) -> Self {
        Self { id: team.id, name: &team.name, created_at: Rfc3339(team.created_at) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: Name,
}

/// The team in the path. What is no id names nothing.
fn path_team(call: &Call<'_>) -> Result<TeamId, Error> {
    TeamId::parse(call.param("team")).ok_or(Error::NotFound)
}

pub(crate) async fn list(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct PageBody<'a> {
        teams: Vec<TeamBody<'a>>,
        has_more: bool,
    }
    let organization_id = path_organization(call, by)?;
    let query = Query::strict(call.request, &["limit", "starting_after"])?;
    let before = query.read("starting_after", "a team id", TeamId::parse)?;
    let page = call.app.list_teams(by, organization_id, before, limit(&query, 0)?).await?;
    let teams = page.items.iter().map(TeamBody::new).collect();
    Ok(Response::json(200, &PageBody { teams, has_more: page.has_more }))
}

pub(crate) async fn create(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let organization_id = path_organization(call, by)?;
    let Named { name } = input::body(call.request)?;
    let team = call.app.create_team(by, organization_id, name).await?;
    Ok(Response::json(201, &TeamBody::new(&team)))
}

pub(crate) async fn get(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct MemberBody {
        user_id: UserId,
        added_at: Rfc3339,
    }
    #[derive(Serialize)]
    struct WholeBody<'a> {
        #[serde(flatten)]
        about: TeamBody<'a>,
        members: Vec<MemberBody>,
    }
    let (team, members) = call.app.get_team(by, path_organization(call, by)?, path_team(call)?).await?;
    let member = |member: &TeamMember| MemberBody { user_id: member.user_id, added_at: Rfc3339(member.added_at) };
    let body = WholeBody { about: TeamBody::new(&team), members: members.iter().map(member).collect() };
    Ok(Response::json(200, &body))
}

pub(crate) async fn rename(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let (organization_id, id) = (path_organization(call, by)?, path_team(call)?);
    let Named { name } = input::body(call.request)?;
    let team = call.app.rename_team(by, organization_id, id, &name).await?;
    Ok(Response::json(200, &TeamBody::new(&team)))
}

pub(crate) async fn delete(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    call.app.delete_team(by, path_organization(call, by)?, path_team(call)?).await?;
    Ok(Response::empty(204))
}

pub(crate) async fn add(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    call.app.add_to_team(by, path_organization(call, by)?, path_team(call)?, path_user(call)?).await?;
    Ok(Response::empty(204))
}

pub(crate) async fn remove(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    call.app.remove_from_team(by, path_organization(call, by)?, path_team(call)?, path_user(call)?).await?;
    Ok(Response::empty(204))
}
