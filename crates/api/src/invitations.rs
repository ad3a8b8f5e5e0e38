//! `/v1/organizations/:organization/invitations`, and `/v1/invitations/:token` for whoever has the link.

use bitting_http::{
    call::Call,
    message::Rfc3339,
    operation::Operation,
    paging::PageQuery,
    problem::Problem,
    typed::{Confidential, InBody, InPath, InQuery, Input, Json, MayRepeat, NoContent, Whole},
};
use bitting_keys::{
    app::{Principal, error::Error, invitations::Invitations},
    domain::{
        id::{InvitationId, KeyId},
        key::{Name, Role},
        person::{Email, Invitation},
        time::DAY_MS,
        token::InvitationToken,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    key_body,
    organization_path::{OrganizationPath, OrganizationRef},
};

/// How long an invitation lasts at most, and when nobody says, in days.
const MAX_DAYS: i64 = 30;
const DEFAULT_DAYS: i64 = 7;

/// The invitation that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct InvitationPath {
    /// The organization's id, or `self` for one's own.
    organization: OrganizationRef,
    /// The invitation's id.
    invitation: InvitationId,
}

/// An open invitation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Invitation")]
pub(crate) struct InvitationBody {
    /// Its id, which opens nothing.
    id: InvitationId,
    /// For whom it is meant.
    email: Email,
    /// What he will be.
    role: Role,
    /// When it was made.
    created_at: Rfc3339,
    /// The key that made it.
    created_by: KeyId,
    /// From when on it is not there any more.
    expires_at: Rfc3339,
    /// When the key expires that whoever accepts it gets; null: never.
    key_expires_at: Option<Rfc3339>,
}

impl InvitationBody {
    fn new(invitation: Invitation) -> Self {
        Self {
            id: invitation.id,
            email: invitation.email,
            role: invitation.role,
            created_at: Rfc3339(invitation.created_at),
            created_by: invitation.created_by,
            expires_at: Rfc3339(invitation.expires_at),
            key_expires_at: invitation.key_expires_at.map(Rfc3339),
        }
    }
}

/// Somebody to be invited.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewInvitation")]
pub(crate) struct NewInvitationBody {
    /// His address.
    email: Email,
    /// What he will be.
    role: Role,
    /// How long the invitation lasts.
    #[serde(default)]
    expires_in_days: Whole<1, MAX_DAYS, DEFAULT_DAYS>,
}

/// An invitation that was just made, and what opens it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedInvitation")]
pub(crate) struct CreatedBody {
    #[serde(flatten)]
    about: InvitationBody,
    /// The secret that opens it, shown this once.
    token: String,
    /// Where whoever is invited finds a page to accept it, with the secret in it.
    link: String,
}

/// Invites somebody. The one answer that carries the token.
pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(body), MayRepeat): (InPath<OrganizationPath>, InBody<NewInvitationBody>, MayRepeat),
) -> Result<Confidential<CreatedBody, 201>, Problem> {
    let Whole(days) = body.expires_in_days;
    let id = path.organization.id(principal)?;
    let (invitation, token) =
        Invitations::new(call.app).create(principal, id, body.email, body.role, days * DAY_MS).await?;
    Ok(Confidential(CreatedBody {
        about: InvitationBody::new(invitation),
        link: format!("{}/invitations/{}", call.request.origin, token.expose()),
        token: token.expose().to_owned(),
    }))
}

/// A page of invitations.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InvitationPage")]
pub(crate) struct InvitationPageBody {
    /// The open invitations, the newest first.
    invitations: Vec<InvitationBody>,
    /// Whether there are more.
    has_more: bool,
}

pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<PageQuery<InvitationId>>),
) -> Result<Json<InvitationPageBody>, Problem> {
    let Whole(limit) = query.limit;
    let page = Invitations::new(call.app)
        .list(principal, path.organization.id(principal)?, query.starting_after, limit)
        .await?;
    let invitations = page.items.into_iter().map(InvitationBody::new).collect();
    Ok(Json(InvitationPageBody { invitations, has_more: page.has_more }))
}

pub(crate) async fn revoke(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<InvitationPath>,
) -> Result<NoContent, Problem> {
    Invitations::new(call.app).revoke(principal, path.organization.id(principal)?, path.invitation).await?;
    Ok(NoContent)
}

/// The path of the link.
#[derive(Deserialize, JsonSchema)]
struct LinkPath {
    /// The invitation's secret.
    token: String,
}

/// What the link opens an invitation with. What is no token opens nothing.
pub(crate) struct Link(InvitationToken);

impl Input for Link {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        let InPath(LinkPath { token }) = InPath::read(call)?;
        InvitationToken::parse(&token).map(Self).ok_or(Problem::NoInvitation)
    }

    fn describe(operation: &mut Operation<'_>) {
        InPath::<LinkPath>::describe(operation);
    }
}

/// Whoever has a link that opens nothing has no key of which to tell him.
fn named_here(error: Error) -> Problem {
    match error {
        Error::NotFound => Problem::NoInvitation,
        error => error.into(),
    }
}

/// Where an invitation leads to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenInvitation")]
pub(crate) struct OpenBody {
    /// The organization's name.
    organization: Name,
    /// For whom it is meant.
    email: Email,
    /// What he will be.
    role: Role,
    /// From when on it is not there any more.
    expires_at: Rfc3339,
    /// What to do with it, in words.
    next: &'static str,
}

/// What whoever opens the link is told, and what to do.
pub(crate) async fn get(call: &Call<'_>, Link(token): Link) -> Result<Json<OpenBody>, Problem> {
    let (invitation, organization, _) = Invitations::new(call.app).open(&token).await.map_err(named_here)?;
    Ok(Json(OpenBody {
        organization,
        email: invitation.email,
        role: invitation.role,
        expires_at: Rfc3339(invitation.expires_at),
        next: "POST {\"key_name\": \"…\"} to this address with `/accept` behind it: that lets you in, once, and \
               answers with your first key.",
    }))
}

/// How to come in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Acceptance")]
pub(crate) struct AcceptBody {
    /// The name of the first key.
    key_name: Name,
}

/// Lets the holder of the token in; the key in the answer is told this once.
pub(crate) async fn accept(
    call: &Call<'_>,
    (Link(token), InBody(AcceptBody { key_name })): (Link, InBody<AcceptBody>),
) -> Result<Json<key_body::CreatedBody, 201>, Problem> {
    let ip = call.request.header("cf-connecting-ip").map(str::to_owned);
    let created = Invitations::new(call.app).accept(&token, key_name, call.request_id.to_owned(), ip).await;
    Ok(Json(key_body::CreatedBody::new(created.map_err(named_here)?, call.app.clock.now())))
}
