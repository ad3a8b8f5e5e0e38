//! `/v1/organizations/:organization/members`.

use serde::{Deserialize, Serialize};

use crate::{
    app::{Principal, error::Error},
    domain::{id::UserId, key::Role, person::Member},
    http::{
        input::{self, Query},
        keys::{forced, limit},
        message::{Response, Rfc3339},
        organizations::path_organization,
        problem::Problem,
        routes::Call,
    },
};

#[derive(Serialize)]
struct MemberBody<'a> {
    user_id: UserId,
    email: &'a str,
    role: Role,
    joined_at: Rfc3339,
}

impl<'a> MemberBody<'a> {
    fn new(member: &'a Member) -> Self {
        Self { user_id: member.user_id, email: &member.email, role: member.role, joined_at: Rfc3339(member.joined_at) }
    }
}

/// The user in the path. What is no id names nobody.
pub(crate) fn path_user(call: &Call<'_>) -> Result<UserId, Error> {
    UserId::parse(call.param("user")).ok_or(Error::NotFound)
}

pub(crate) async fn list(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct PageBody<'a> {
        members: Vec<MemberBody<'a>>,
        has_more: bool,
    }
    let organization_id = path_organization(call, by)?;
    let query = Query::strict(call.request, &["limit", "starting_after"])?;
    let before = query.read("starting_after", "a user id", UserId::parse)?;
    let page = call.app.list_members(by, organization_id, before, limit(&query, 0)?).await?;
    let members = page.items.iter().map(MemberBody::new).collect();
    Ok(Response::json(200, &PageBody { members, has_more: page.has_more }))
}

pub(crate) async fn get(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let member = call.app.get_member(by, path_organization(call, by)?, path_user(call)?).await?;
    Ok(Response::json(200, &MemberBody::new(&member)))
}

pub(crate) async fn change(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        role: Role,
    }
    let (organization_id, user_id) = (path_organization(call, by)?, path_user(call)?);
    let force = forced(call)?;
    let Body { role } = input::body(call.request)?;
    let member = call.app.set_role(by, organization_id, user_id, role, force).await?;
    Ok(Response::json(200, &MemberBody::new(&member)))
}

pub(crate) async fn remove(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct RemovedBody {
        user_id: UserId,
        /// Routes that touch the database refuse his keys from here on.
        effective_at: Rfc3339,
        /// Everything else does so this much later at the latest.
        max_staleness_ms: i64,
    }
    let (organization_id, user_id) = (path_organization(call, by)?, path_user(call)?);
    call.app.remove_member(by, organization_id, user_id, forced(call)?).await?;
    let body = RemovedBody {
        user_id,
        effective_at: Rfc3339(call.app.clock.now()),
        max_staleness_ms: call.app.config.max_staleness_ms,
    };
    Ok(Response::json(200, &body))
}
