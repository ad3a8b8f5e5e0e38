//! The page behind the link of an invitation.

use bitting_http::{call::Call, message::Response, problem::Problem};
use bitting_keys::{
    app::{error::Error, invitations::Invitations},
    domain::token::InvitationToken,
};
use maud::html;

use crate::{
    layout::Page,
    session::{self, START, signed_in_at},
    time,
};

/// Shows an invitation with a button to accept it, as for links to sign in.
pub(crate) async fn show(call: &Call<'_>) -> Result<Response, Problem> {
    let Some(token) = InvitationToken::parse(call.param("token")) else { return Ok(dead()) };
    session::attempt(call).await?;
    let (invitation, organization, _) = match Invitations::new(call.app).open(&token).await {
        Err(Error::NotFound) => return Ok(dead()),
        opened => opened?,
    };
    let content = html! {
        form.card method="post" {
            p {
                strong { (organization.as_str()) } " invites " strong { (invitation.email.as_str()) } " to come in as "
                strong { (invitation.role.as_str()) } "."
            }
            p.hint { "You will be signed in in this browser. The invitation works once, until " (time::date(invitation.expires_at)) "." }
            button autofocus { "Accept the invitation" }
        }
    };
    Ok(Page { title: "Invitation", session: None, secret: false, content }.response(200))
}

pub(crate) async fn accept(call: &Call<'_>) -> Result<Response, Problem> {
    let Some(token) = InvitationToken::parse(call.param("token")) else { return Ok(dead()) };
    match Invitations::new(call.app).accept_and_sign_in(&token, &session::attempt(call).await?).await {
        Err(Error::NotFound) => Ok(dead()),
        started => Ok(signed_in_at(call, &started?, START).await),
    }
}

fn dead() -> Response {
    let content = html! {
        p { "This invitation was accepted or taken back, has expired, or its link was not copied whole. Ask for another." }
        p { a href="/sign-in" { "Sign in" } }
    };
    Page { title: "This link doesn't work", session: None, secret: false, content }.response(404)
}
