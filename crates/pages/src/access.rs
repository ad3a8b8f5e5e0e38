//! Signing in as whom Cloudflare Access has let through.

use bitting_http::{call::Call, message::Response, problem::Problem};
use bitting_keys::{
    app::{cloudflare_access::VerifiedEmail, error::Error, sessions::Sessions},
    domain::person::Membership,
};
use maud::{Markup, html};

use crate::{
    form::Form,
    layout::{notice, see_other},
    session::{self, signed_in_at, wanted},
};

/// The identity that Cloudflare Access vouches for.
pub(crate) enum AccessState {
    /// Nothing: it is not in use here, or was passed by.
    Nothing,
    /// Something that is not good, or is not any more.
    Wrong,
    /// The address of the person, and the organizations that have a member with it.
    Known(VerifiedEmail, Vec<Membership>),
}

/// Reads what it says.
pub(crate) async fn access_state(call: &Call<'_>) -> Result<AccessState, Problem> {
    let token = call.request.header("cf-access-jwt-assertion");
    let (Some(access), Some(token)) = (&call.app.config.access, token) else { return Ok(AccessState::Nothing) };
    session::attempt(call).await?;
    let Some(verified) = Sessions::new(call.app).verify_access_token(access, token).await? else {
        return Ok(AccessState::Wrong);
    };
    let memberships = Sessions::new(call.app).memberships(&verified.email).await?;
    Ok(AccessState::Known(verified, memberships))
}

impl AccessState {
    /// Returns true if Access vouches for a person who is a member of no organization.
    pub(crate) fn is_stranger(&self) -> bool {
        matches!(self, Self::Known(_, memberships) if memberships.is_empty())
    }

    /// Returns true if the person can go on without a key.
    pub(crate) fn lets_in(&self) -> bool {
        matches!(self, Self::Known(_, memberships) if !memberships.is_empty())
    }

    /// It as a part of the page on which one signs in.
    pub(crate) fn part(&self, to: &str) -> Markup {
        match self {
            Self::Nothing => html! {},
            Self::Wrong => notice(
                "Cloudflare Access has let you through, but its statement about you is not valid here. Load \
                                   this page again, or tell the operator of this service.",
            ),
            Self::Known(verified, memberships) if memberships.is_empty() => html! {
                (notice(&format!("No organization here has a member with the address {}. Ask an owner or admin to invite \
                                  you.", verified.email.as_str())))
            },
            Self::Known(verified, memberships) => html! {
                p { "You are " strong { (verified.email.as_str()) } ", says Cloudflare Access." }
                @for (index, membership) in memberships.iter().enumerate() {
                    form.card method="post" action="/sign-in/access" {
                        input type="hidden" name="to" value=(to);
                        input type="hidden" name="user" value=(membership.user_id);
                        p.hint { "Your role there: " (membership.role.as_str()) "." }
                        button autofocus[index == 0] { "Go on to " (membership.organization.as_str()) }
                    }
                }
                h2 { "Or sign in with a key" }
            },
        }
    }
}

pub(crate) async fn sign_in(call: &Call<'_>) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let AccessState::Known(verified, memberships) = access_state(call).await? else { return Ok(see_other("/sign-in")) };
    let chosen = memberships.iter().find(|membership| membership.user_id.to_string() == form.get("user"));
    let started = Sessions::new(call.app)
        .begin_with_access(&verified, chosen.ok_or(Error::NotFound)?, &session::client(call))
        .await?;
    Ok(signed_in_at(call, &started, wanted(form.get("to"))).await)
}
