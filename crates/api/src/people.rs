//! `/v1/organizations/:organization/members`.

use bitting_http::{
    call::Call,
    message::Rfc3339,
    paging::PageQuery,
    problem::Problem,
    typed::{Confidential, InBody, InPath, InQuery, Json, Whole},
};
use bitting_keys::{
    app::{Principal, people::People, sessions::Sessions},
    domain::{id::UserId, key::Role, person::Member},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    key_body::ForceQuery,
    organization_path::{OrganizationPath, OrganizationRef},
};

/// The user that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct MemberPath {
    /// The organization's id, or `self` for one's own.
    organization: OrganizationRef,
    /// The user's id.
    user: UserId,
}

/// Somebody in an organization.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub(crate) struct MemberBody {
    /// The user.
    user_id: UserId,
    /// His address.
    email: String,
    /// The most that he may do.
    role: Role,
    /// When he came.
    joined_at: Rfc3339,
}

impl MemberBody {
    fn new(member: Member) -> Self {
        Self { user_id: member.user_id, email: member.email, role: member.role, joined_at: Rfc3339(member.joined_at) }
    }
}

/// A page of members.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MemberPage")]
pub(crate) struct MemberPageBody {
    /// The members, the newest first.
    members: Vec<MemberBody>,
    /// Whether there are more.
    has_more: bool,
}

pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<PageQuery<UserId>>),
) -> Result<Json<MemberPageBody>, Problem> {
    let Whole(limit) = query.limit;
    let page =
        People::new(call.app).list(principal, path.organization.id(principal)?, query.starting_after, limit).await?;
    let members = page.items.into_iter().map(MemberBody::new).collect();
    Ok(Json(MemberPageBody { members, has_more: page.has_more }))
}

pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<MemberPath>,
) -> Result<Json<MemberBody>, Problem> {
    let member = People::new(call.app).get(principal, path.organization.id(principal)?, path.user).await?;
    Ok(Json(MemberBody::new(member)))
}

/// What to change of a member.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberChange")]
pub(crate) struct ChangeBody {
    /// The most that he may do.
    role: Role,
}

pub(crate) async fn change(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(ForceQuery { force }), InBody(ChangeBody { role })): (
        InPath<MemberPath>,
        InQuery<ForceQuery>,
        InBody<ChangeBody>,
    ),
) -> Result<Json<MemberBody>, Problem> {
    let member =
        People::new(call.app).set_role(principal, path.organization.id(principal)?, path.user, role, force).await?;
    Ok(Json(MemberBody::new(member)))
}

/// A link that signs a member in on the settings pages, once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SignInLink")]
pub(crate) struct SignInLinkBody {
    /// Where he finds a page to sign in. The secret in it is shown this once.
    link: String,
    /// From when on it opens nothing.
    expires_at: Rfc3339,
}

pub(crate) async fn make_sign_in_link(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<MemberPath>,
) -> Result<Confidential<SignInLinkBody, 201>, Problem> {
    // A link is worth a quarter of an hour: whoever repeats the request gets another.
    let principal = &Principal { repeatable: None, ..principal.clone() };
    let (token, expires_at) =
        Sessions::new(call.app).create_link(principal, path.organization.id(principal)?, path.user).await?;
    let link = format!("{}/sign-in/{}", call.request.origin, token.expose());
    Ok(Confidential(SignInLinkBody { link, expires_at: Rfc3339(expires_at) }))
}

/// Somebody who was removed, and with him all his keys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RemovedMember")]
pub(crate) struct RemovedBody {
    /// The user.
    user_id: UserId,
    /// Routes that touch the database refuse his keys from here on.
    effective_at: Rfc3339,
    /// Everything else does so this much later at the latest.
    max_staleness_ms: i64,
}

pub(crate) async fn remove(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(ForceQuery { force })): (InPath<MemberPath>, InQuery<ForceQuery>),
) -> Result<Json<RemovedBody>, Problem> {
    People::new(call.app).remove(principal, path.organization.id(principal)?, path.user, force).await?;
    Ok(Json(RemovedBody {
        user_id: path.user,
        effective_at: Rfc3339(call.app.clock.now()),
        max_staleness_ms: call.app.config.max_staleness_ms,
    }))
}
