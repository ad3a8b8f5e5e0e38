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
    domain::{
        id::{KeyId, SignInLinkId, UserId},
        key::Role,
        person::Member,
        session::OpenSignInLink,
        time::UnixMillis,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    descendants_body::{DescendantsBody, PreviewBody},
    key_body::{EndQuery, ForceQuery},
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
    (InPath(path), InQuery(EndQuery { force, with_descendants })): (InPath<MemberPath>, InQuery<EndQuery>),
) -> Result<Json<RemovedBody>, Problem> {
    let organization_id = path.organization_id.resolve(principal)?;
    let descendants =
        People::new(call.app).remove(principal, organization_id, path.user_id, force, with_descendants).await?;
    Ok(Json(RemovedBody {
        about: DeletedBody::with_keys(call, path.user_id),
        descendants: descendants.map(DescendantsBody::new),
    }))
}

/// A member who was removed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RemovedMember")]
pub(crate) struct RemovedBody {
    #[serde(flatten)]
    about: DeletedBody,
    /// The number of things that have ended with the member, beside their own keys; null without `with_descendants`.
    descendants: Option<DescendantsBody>,
}

/// Returns what would end with a member, beside their own keys, and the keys that would stay but whose secrets they have
/// seen.
pub(crate) async fn get_descendants(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<MemberPath>,
) -> Result<Json<PreviewBody>, Problem> {
    let organization_id = path.organization_id.resolve(principal)?;
    let preview = People::new(call.app).descendants(principal, organization_id, path.user_id).await?;
    Ok(Json(PreviewBody::new(preview, call.app.clock.now())))
}

/// The sign-in link in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SignInLinkPath {
    /// The id of the organization, or `self` for the organization of the key.
    organization_id: OrganizationRef,
    /// The id of the link.
    sign_in_link_id: SignInLinkId,
}

/// An open sign-in link, without its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenSignInLink")]
pub(crate) struct OpenSignInLinkBody {
    /// The id of the link. It opens nothing.
    id: SignInLinkId,
    /// The id of the user whom it signs in.
    user_id: UserId,
    /// The email address of that user.
    email: String,
    /// The maximum role of the session.
    role: Role,
    /// The time when the link was created.
    created_at: Rfc3339,
    /// The id of the key that created the link, or of the session on the settings pages if it was signed in without a
    /// key; null for the operator.
    created_by: Option<KeyId>,
    /// The id of the user for whom the creator acted.
    created_by_user: Option<UserId>,
    /// The time when the link expires.
    expires_at: Rfc3339,
}

impl OpenSignInLinkBody {
    fn new(link: OpenSignInLink) -> Self {
        Self {
            id: link.id,
            user_id: link.user_id,
            email: link.email,
            role: link.role,
            created_at: Rfc3339(link.created_at),
            created_by: link.created_by,
            created_by_user: link.created_by_user,
            expires_at: Rfc3339(link.expires_at),
        }
    }
}

impl Listed for OpenSignInLinkBody {
    fn cursor(&self) -> String {
        self.id.to_string()
    }
}

/// Lists the open sign-in links of an organization.
pub(crate) async fn list_sign_in_links(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<PageQuery<SignInLinkId>>),
) -> Result<Json<PageBody<OpenSignInLinkBody>>, Problem> {
    let Whole(limit) = query.limit;
    let organization_id = path.organization_id.resolve(principal)?;
    let page =
        Sessions::new(call.app).list_links(principal, organization_id, None, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(page, OpenSignInLinkBody::new)))
}

/// Revokes an open sign-in link.
pub(crate) async fn revoke_sign_in_link(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<SignInLinkPath>,
) -> Result<Json<DeletedBody>, Problem> {
    let organization_id = path.organization_id.resolve(principal)?;
    Sessions::new(call.app).take_back_link(principal, organization_id, path.sign_in_link_id).await?;
    Ok(Json(DeletedBody::new(call, path.sign_in_link_id)))
}
