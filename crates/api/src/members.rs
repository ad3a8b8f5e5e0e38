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

/// The member in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct MemberPath {
    /// The id of the organization, or `self` for the organization of the key.
    organization: OrganizationRef,
    /// The id of the user.
    user: UserId,
}

/// A member of an organization.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub(crate) struct MemberBody {
    /// The id of the user.
    user_id: UserId,
    /// The email address.
    email: String,
    /// The role of the member, which limits all their keys.
    role: Role,
    /// The time when the member joined.
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
    /// True if there are more members after this page.
    has_more: bool,
}

/// Lists the members of an organization.
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

/// Returns a member of an organization.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<MemberPath>,
) -> Result<Json<MemberBody>, Problem> {
    let member = People::new(call.app).get(principal, path.organization.id(principal)?, path.user).await?;
    Ok(Json(MemberBody::new(member)))
}

/// A change of a member.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberChange")]
pub(crate) struct ChangeBody {
    /// The role of the member, which limits all their keys.
    role: Role,
}

/// Changes the role of a member.
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

/// A link that signs a member in on the settings pages once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SignInLink")]
pub(crate) struct SignInLinkBody {
    /// The address of the page that signs the member in. It contains a secret and is shown only once.
    link: String,
    /// The time when the link expires.
    expires_at: Rfc3339,
}

/// Creates a link that signs a member in on the settings pages.
pub(crate) async fn create_sign_in_link(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<MemberPath>,
) -> Result<Confidential<SignInLinkBody, 201>, Problem> {
    // A link lives for a quarter of an hour, so a repeated request creates another.
    let principal = &Principal { repeatable: None, ..principal.clone() };
    let (token, expires_at) =
        Sessions::new(call.app).create_link(principal, path.organization.id(principal)?, path.user).await?;
    let link = format!("{}/sign-in/{}", call.request.origin, token.expose());
    Ok(Confidential(SignInLinkBody { link, expires_at: Rfc3339(expires_at) }))
}

/// A removed member. Their keys are revoked, too.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RemovedMember")]
pub(crate) struct RemovedBody {
    /// The id of the user.
    user_id: UserId,
    /// The time from which routes that use the database refuse the member's keys.
    effective_at: Rfc3339,
    /// The maximum time after that until every other route refuses them, too, in milliseconds.
    max_staleness_ms: i64,
}

/// Removes a member and revokes all their keys.
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
