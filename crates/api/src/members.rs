//! `/v1/organizations/:organization_id/members`.

use bitting_http::{
    call::Call,
    deleted::DeletedBody,
    message::Rfc3339,
    paging::{Listed, PageBody, PageQuery},
    problem::Problem,
    typed::{Confidential, IfMatch, InBody, InPath, InQuery, Json, Version, Versioned, Whole},
};
use bitting_keys::{
    app::{Principal, people::People, sessions::Sessions},
    domain::{id::UserId, key::Role, person::Member, time::UnixMillis},
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
    organization_id: OrganizationRef,
    /// The id of the user.
    user_id: UserId,
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
    /// The time of the last change of the role.
    updated_at: Rfc3339,
}

impl MemberBody {
    fn new(member: Member) -> Self {
        Self {
            user_id: member.user_id,
            email: member.email,
            role: member.role,
            joined_at: Rfc3339(member.joined_at),
            updated_at: Rfc3339(member.updated_at),
        }
    }
}

impl Version for MemberBody {
    fn version(&self) -> UnixMillis {
        self.updated_at.0
    }
}

impl Listed for MemberBody {
    fn cursor(&self) -> String {
        self.user_id.to_string()
    }
}

/// Lists the members of an organization.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<PageQuery<UserId>>),
) -> Result<Json<PageBody<MemberBody>>, Problem> {
    let Whole(limit) = query.limit;
    let page = People::new(call.app)
        .list(principal, path.organization_id.resolve(principal)?, query.starting_after, limit)
        .await?;
    Ok(Json(PageBody::new(page, MemberBody::new)))
}

/// Returns a member of an organization.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<MemberPath>,
) -> Result<Versioned<MemberBody>, Problem> {
    let member = People::new(call.app).get(principal, path.organization_id.resolve(principal)?, path.user_id).await?;
    Ok(Versioned(MemberBody::new(member)))
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
    (InPath(path), InQuery(ForceQuery { force }), IfMatch(expected), InBody(ChangeBody { role })): (
        InPath<MemberPath>,
        InQuery<ForceQuery>,
        IfMatch,
        InBody<ChangeBody>,
    ),
) -> Result<Versioned<MemberBody>, Problem> {
    let member = People::new(call.app)
        .set_role(principal, path.organization_id.resolve(principal)?, path.user_id, role, force, expected)
        .await?;
    Ok(Versioned(MemberBody::new(member)))
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
        Sessions::new(call.app).create_link(principal, path.organization_id.resolve(principal)?, path.user_id).await?;
    let link = format!("{}/sign-in/{}", call.request.origin, token.expose());
    Ok(Confidential(SignInLinkBody { link, expires_at: Rfc3339(expires_at) }))
}

/// Removes a member and revokes all their keys.
pub(crate) async fn remove(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(ForceQuery { force })): (InPath<MemberPath>, InQuery<ForceQuery>),
) -> Result<Json<DeletedBody>, Problem> {
    People::new(call.app).remove(principal, path.organization_id.resolve(principal)?, path.user_id, force).await?;
    Ok(Json(DeletedBody::with_keys(call, path.user_id)))
}
