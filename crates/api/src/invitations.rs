//! `/v1/organizations/:organization_id/invitations`, and `/v1/invitations/:token` for invited people.

use bitting_http::{
    call::Call,
    deleted::DeletedBody,
    message::Rfc3339,
    operation::Operation,
    paging::{Limit, Listed, PageBody},
    problem::Problem,
    typed::{Confidential, InBody, InPath, InQuery, Input, Json, MayRepeat, Whole},
};
use bitting_keys::{
    app::{Principal, error::Error, invitations::Invitations},
    domain::{
        id::{InvitationId, KeyId, UserId},
        key::{Name, Role},
        person::{Email, Invitation, InvitationFilter},
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

/// The maximum and the default life of an invitation, in days.
const MAX_DAYS: i64 = 30;
const DEFAULT_DAYS: i64 = 7;

/// The invitation in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct InvitationPath {
    /// The id of the organization, or `self` for the organization of the key.
    organization_id: OrganizationRef,
    /// The id of the invitation.
    invitation_id: InvitationId,
}

/// An open invitation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Invitation")]
pub(crate) struct InvitationBody {
    /// The id of the invitation. It does not open the invitation.
    id: InvitationId,
    /// The email address of the invited person.
    email: Email,
    /// The role that the invited person receives.
    role: Role,
    /// The time when the invitation was created.
    created_at: Rfc3339,
    /// The id of the key that created the invitation, or of the session on the settings pages if it was signed in
    /// without a key.
    created_by: KeyId,
    /// The id of the user for whom the creator acted.
    created_by_user: Option<UserId>,
    /// The time when the invitation expires.
    expires_at: Rfc3339,
    /// The time when the key of the invited person expires; null for never.
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
            created_by_user: invitation.created_by_user,
            expires_at: Rfc3339(invitation.expires_at),
            key_expires_at: invitation.key_expires_at.map(Rfc3339),
        }
    }
}

/// An invitation to create.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewInvitation")]
pub(crate) struct NewInvitationBody {
    /// The email address of the invited person.
    email: Email,
    /// The role that the invited person receives.
    role: Role,
    /// The life of the invitation, in days.
    #[serde(default)]
    expires_in_days: Whole<1, MAX_DAYS, DEFAULT_DAYS>,
}

/// A new invitation, with its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedInvitation")]
pub(crate) struct CreatedBody {
    #[serde(flatten)]
    about: InvitationBody,
    /// The secret that opens the invitation. It is shown only once.
    token: String,
    /// The address of the page where the invitation can be accepted. It contains the secret.
    link: String,
}

/// Creates an invitation and returns its secret once.
pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(body), MayRepeat): (InPath<OrganizationPath>, InBody<NewInvitationBody>, MayRepeat),
) -> Result<Confidential<CreatedBody, 201>, Problem> {
    let Whole(days) = body.expires_in_days;
    let id = path.organization_id.resolve(principal)?;
    let (invitation, token) =
        Invitations::new(call.app).create(principal, id, body.email, body.role, days * DAY_MS).await?;
    Ok(Confidential(CreatedBody {
        about: InvitationBody::new(invitation),
        link: format!("{}/invitations/{}", call.request.origin, token.expose()),
        token: token.expose().to_owned(),
    }))
}

impl Listed for InvitationBody {
    fn cursor(&self) -> String {
        self.id.to_string()
    }
}

/// The filters and the page of a list of invitations.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The maximum number of invitations on the page. A page also ends when its items are about 1 MB long.
    #[serde(default)]
    limit: Limit,
    /// The id of the last invitation on the previous page.
    starting_after: Option<InvitationId>,
    /// Only invitations that this key created, or this session on the settings pages.
    created_by: Option<KeyId>,
    /// Only invitations that were created for this user.
    created_by_user: Option<UserId>,
}

/// Lists the open invitations of an organization.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<ListQuery>),
) -> Result<Json<PageBody<InvitationBody>>, Problem> {
    let Whole(limit) = query.limit;
    let filter = InvitationFilter { created_by: query.created_by, created_by_user: query.created_by_user };
    let page = Invitations::new(call.app)
        .list(principal, path.organization_id.resolve(principal)?, filter, query.starting_after, limit)
        .await?;
    Ok(Json(PageBody::new(page, InvitationBody::new)))
}

/// Revokes an open invitation.
pub(crate) async fn revoke(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<InvitationPath>,
) -> Result<Json<DeletedBody>, Problem> {
    Invitations::new(call.app).revoke(principal, path.organization_id.resolve(principal)?, path.invitation_id).await?;
    Ok(Json(DeletedBody::new(call, path.invitation_id)))
}

/// The secret in the path.
#[derive(Deserialize, JsonSchema)]
struct LinkPath {
    /// The secret of the invitation.
    token: String,
}

/// The secret of an invitation. A malformed one opens no invitation.
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

/// Converts `NotFound`, whose text speaks of a key. Invited people have none.
fn without_key(error: Error) -> Problem {
    match error {
        Error::NotFound => Problem::NoInvitation,
        error => error.into(),
    }
}

/// An open invitation, as the invited person sees it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InvitationPreview")]
pub(crate) struct InvitationPreviewBody {
    /// The name of the organization.
    organization: Name,
    /// The email address of the invited person.
    email: Email,
    /// The role that the invited person receives.
    role: Role,
    /// The time when the invitation expires.
    expires_at: Rfc3339,
    /// Instructions to accept the invitation.
    next: &'static str,
}

/// Shows an open invitation to the invited person.
pub(crate) async fn get(call: &Call<'_>, Link(token): Link) -> Result<Json<InvitationPreviewBody>, Problem> {
    let invitations = Invitations::new(call.app);
    let opened = call.app.for_stranger(call.request.header("cf-connecting-ip"), invitations.open(&token)).await;
    let (invitation, organization, _) = opened.map_err(without_key)?;
    Ok(Json(InvitationPreviewBody {
        organization,
        email: invitation.email,
        role: invitation.role,
        expires_at: Rfc3339(invitation.expires_at),
        next: "To accept, send POST {\"key_name\": \"…\"} to this address followed by `/accept`. The response has \
               your first key. This works once.",
    }))
}

/// The acceptance of an invitation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InvitationAcceptance")]
pub(crate) struct InvitationAcceptanceBody {
    /// The name for the first key of the new member.
    key_name: Name,
}

/// Accepts an invitation, and returns the new member's first key with its secret once.
pub(crate) async fn accept(
    call: &Call<'_>,
    (Link(token), InBody(InvitationAcceptanceBody { key_name })): (Link, InBody<InvitationAcceptanceBody>),
) -> Result<Json<key_body::CreatedBody, 201>, Problem> {
    let ip = call.request.header("cf-connecting-ip");
    let invitations = Invitations::new(call.app);
    let accepted = invitations.accept(&token, key_name, call.request_id.to_owned(), ip.map(str::to_owned));
    let created = call.app.for_stranger(ip, accepted).await;
    Ok(Json(key_body::CreatedBody::new(created.map_err(without_key)?, call.app.clock.now())))
}
