//! `/v1/organizations/:organization/invitations`, and `/v1/invitations/:token` for whoever has the link.

use serde::{Deserialize, Serialize};

use crate::{
    app::{Principal, error::Error},
    domain::{
        id::{InvitationId, KeyId},
        key::{Name, Role},
        person::{Email, Invitation, InvitationToken},
        time::DAY_MS,
    },
    http::{
        input::{self, Query},
        keys::{self, limit},
        message::{Response, Rfc3339},
        organizations::path_organization,
        problem::Problem,
        routes::Call,
    },
};

/// How long an invitation lasts at most, and when nobody says, in days.
const MAX_DAYS: i64 = 30;
const DEFAULT_DAYS: i64 = 7;

#[derive(Serialize)]
struct InvitationBody<'a> {
    id: InvitationId,
    email: &'a Email,
    role: Role,
    created_at: Rfc3339,
    created_by: KeyId,
    expires_at: Rfc3339,
    key_expires_at: Option<Rfc3339>,
}

impl<'a> InvitationBody<'a> {
    fn new(invitation: &'a Invitation) -> Self {
        Self {
            id: invitation.id,
            email: &invitation.email,
            role: invitation.role,
            created_at: Rfc3339(invitation.created_at),
            created_by: invitation.created_by,
            expires_at: Rfc3339(invitation.expires_at),
            key_expires_at: invitation.key_expires_at.map(Rfc3339),
        }
    }
}

/// Invites somebody. The one answer that carries the token.
pub(crate) async fn create(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        email: Email,
        role: Role,
        expires_in_days: Option<i64>,
    }
    #[derive(Serialize)]
    struct CreatedBody<'a> {
        #[serde(flatten)]
        about: InvitationBody<'a>,
        token: &'a str,
        link: String,
    }
    let organization_id = path_organization(call, by)?;
    let body: Body = input::body(call.request)?;
    let days = body.expires_in_days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Error::invalid("expires_in_days", format!("must be from 1 to {MAX_DAYS}")).into());
    }
    let (invitation, token) = call.app.invite(by, organization_id, body.email, body.role, days * DAY_MS).await?;
    let body = CreatedBody {
        about: InvitationBody::new(&invitation),
        token: token.expose(),
        link: format!("{}/v1/invitations/{}", call.request.origin, token.expose()),
    };
    Ok(Response::json(201, &body))
}

pub(crate) async fn list(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct PageBody<'a> {
        invitations: Vec<InvitationBody<'a>>,
        has_more: bool,
    }
    let organization_id = path_organization(call, by)?;
    let query = Query::strict(call.request, &["limit", "starting_after"])?;
    let before = query.read("starting_after", "an invitation's id", InvitationId::parse)?;
    let page = call.app.list_invitations(by, organization_id, before, limit(&query, 0)?).await?;
    let invitations = page.items.iter().map(InvitationBody::new).collect();
    Ok(Response::json(200, &PageBody { invitations, has_more: page.has_more }))
}

pub(crate) async fn revoke(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let organization_id = path_organization(call, by)?;
    let id = InvitationId::parse(call.param("invitation")).ok_or(Error::NotFound)?;
    call.app.revoke_invitation(by, organization_id, id).await?;
    Ok(Response::empty(204))
}

/// The token in the path. What is none opens nothing.
fn path_token(call: &Call<'_>) -> Result<InvitationToken, Problem> {
    InvitationToken::parse(call.param("token")).ok_or(Problem::NoInvitation)
}

/// Whoever has a link that opens nothing has no key of which to tell him.
fn named_here(error: Error) -> Problem {
    match error {
        Error::NotFound => Problem::NoInvitation,
        error => error.into(),
    }
}

/// What whoever opens the link is told, and what to do.
pub(crate) async fn get(call: &Call<'_>) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct OpenBody<'a> {
        organization: &'a Name,
        email: &'a Email,
        role: Role,
        expires_at: Rfc3339,
        next: &'static str,
    }
    let (invitation, organization, _) = call.app.open_invitation(&path_token(call)?).await.map_err(named_here)?;
    let body = OpenBody {
        organization: &organization,
        email: &invitation.email,
        role: invitation.role,
        expires_at: Rfc3339(invitation.expires_at),
        next: "POST {\"key_name\": \"…\"} to this address with `/accept` behind it: that lets you in, once, and \
               answers with your first key.",
    };
    Ok(Response::json(200, &body))
}

/// Lets the holder of the token in; the key in the answer is told this once.
pub(crate) async fn accept(call: &Call<'_>) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        key_name: Name,
    }
    let token = path_token(call)?;
    let Body { key_name } = input::body(call.request)?;
    let ip = call.request.header("cf-connecting-ip").map(str::to_owned);
    let created = call.app.accept_invitation(&token, key_name, call.request_id.to_owned(), ip).await;
    Ok(keys::created(call, 201, &created.map_err(named_here)?))
}
