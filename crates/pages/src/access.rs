//! Signing in as whom Cloudflare Access has let through.

use bitting_http::{call::Call, message::Response, problem::Problem};
use bitting_keys::{
    app::{cloudflare_access::Vouched, error::Error, sessions::Sessions},
    domain::person::Membership,
};
use maud::{Markup, html};

use crate::{
    form::Form,
    layout::{notice, see_other},
    session::{self, signed_in_at, wanted},
};

/// What Cloudflare Access says of whoever asks.
pub(crate) enum Said {
    /// Nothing: it is not in use here, or was passed by.
    Nothing,
    /// Something that is not good, or is not any more.
    Wrong,
    /// His address, and where somebody has that.
    Known(Vouched, Vec<Membership>),
}

/// Reads what it says.
pub(crate) async fn said(call: &Call<'_>) -> Result<Said, Problem> {
    let token = call.request.header("cf-access-jwt-assertion");
    let (Some(access), Some(token)) = (&call.app.config.access, token) else { return Ok(Said::Nothing) };
    session::attempt(call).await?;
    let Some(vouched) = Sessions::new(call.app).vouched(access, token).await? else { return Ok(Said::Wrong) };
    let memberships = Sessions::new(call.app).memberships(&vouched.email).await?;
    Ok(Said::Known(vouched, memberships))
}

impl Said {
    /// Whether it vouches for somebody who is nobody here.
    pub(crate) fn is_stranger(&self) -> bool {
        matches!(self, Self::Known(_, memberships) if memberships.is_empty())
    }

    /// Whether whoever asks can go on without a key.
    pub(crate) fn lets_in(&self) -> bool {
        matches!(self, Self::Known(_, memberships) if !memberships.is_empty())
    }

    /// It as a part of the page on which one signs in.
    pub(crate) fn part(&self, to: &str) -> Markup {
        match self {
            Self::Nothing => html! {},
            Self::Wrong => notice(
                "Cloudflare Access has let you through, but what it says of you is not good here. Load \
                                   this page again, or tell whoever runs this service.",
            ),
            Self::Known(vouched, memberships) if memberships.is_empty() => html! {
                (notice(&format!("Nobody with the address {} is in an organization here. Ask an owner or admin to invite \
                                  you.", vouched.email.as_str())))
            },
            Self::Known(vouched, memberships) => html! {
                p { "You are " strong { (vouched.email.as_str()) } ", says Cloudflare Access." }
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
    let Said::Known(vouched, memberships) = said(call).await? else { return Ok(see_other("/sign-in")) };
    let chosen = memberships.iter().find(|membership| membership.user_id.to_string() == form.get("user"));
    let begun = Sessions::new(call.app)
        .begin_vouched(&vouched, chosen.ok_or(Error::NotFound)?, &session::visitor(call))
        .await?;
    Ok(signed_in_at(call, &begun, wanted(form.get("to"))).await)
}
