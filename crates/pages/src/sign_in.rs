//! Signing in with a key or by a link, and out.

use bitting_http::{
    call::Call,
    message::{Request, Response},
    problem::Problem,
};
use bitting_keys::{
    app::{
        error::Error,
        sessions::{Sessions, SignedIn},
    },
    domain::{decision::Refusal, key_text::KeyText, token::SignInToken},
};
use maud::{Markup, html};

use crate::{
    access,
    form::{Form, query},
    layout::{Page, notice, see_other},
    session::{self, START, signed_in_at, wanted},
    time,
};

pub(crate) async fn home(_: &Call<'_>) -> Result<Response, Problem> {
    Ok(see_other(START))
}

/// Asks for signing in, and ends the browser's session if that is not good any more. A request from another site
/// carries no cookie, although the browser may have one; the browser is sent here again.
pub(crate) fn ask(call: &Call<'_>, because: Option<&Refusal>) -> Response {
    let request = call.request;
    if request.method == "GET" && request.header("sec-fetch-site") == Some("cross-site") {
        return again(request);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    if request.method == "GET" {
        query.append_pair("to", &address(request));
    }
    if let Some(refusal) = because {
        query.append_pair("because", refusal.code());
    }
    let mut response = see_other(&format!("/sign-in?{}", query.finish()));
    if request.header("cookie").is_some() {
        response.headers.push(("Set-Cookie".into(), session::forget(request)));
    }
    response
}

/// The path and the query that a request asked for.
fn address(request: &Request) -> String {
    if request.query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, request.query) }
}

/// A page that asks for itself once more.
fn again(request: &Request) -> Response {
    let to = address(request);
    let content = html! { p { a href=(to) { "Continue to the settings" } } };
    let mut response = Page { title: "One moment", session: None, secret: false, content }.response(200);
    response.headers.push(("Refresh".into(), format!("0; url={to}")));
    response
}

pub(crate) async fn show(call: &Call<'_>) -> Result<Response, Problem> {
    // A request from another site may belong to a session; see `ask`.
    if call.request.header("sec-fetch-site") != Some("cross-site") && session::read(call).await?.is_some() {
        return Ok(see_other(START));
    }
    let because = query(call.request, "because");
    let refusals = [
        Refusal::Revoked,
        Refusal::Disabled,
        Refusal::Expired,
        Refusal::UserRemoved,
        Refusal::ProjectDeleted,
        Refusal::RotatedOut,
        Refusal::OrganizationSuspended,
    ];
    let refusal = refusals.into_iter().find(|refusal| refusal.code() == because);
    let reason = match &*because {
        "conditions_not_met" => Some("Your key is not for this client, or not at this time.".to_owned()),
        _ => refusal.map(|refusal| Problem::from(refusal).detail()),
    };
    let (access, to) = (access::access_state(call).await?, query(call.request, "to"));
    let content = html! {
        @if let Some(reason) = reason { (notice(&format!("You were signed out. {reason}"))) }
        (access.part(wanted(&to)))
        (key_form(wanted(&to), None, !access.lets_in()))
    };
    let status = if access.is_stranger() { 403 } else { 200 };
    Ok(Page { title: "Sign in", session: None, secret: false, content }.response(status))
}

fn key_form(to: &str, error: Option<&str>, focus: bool) -> Markup {
    html! {
        form.card method="post" action="/sign-in" {
            input type="hidden" name="to" value=(to);
            label for="key" { "API key" }
            p.hint #key-hint {
                "A key with " code { "api-keys:write" } ". You will be able to do here what it can do, until you sign \
                 out or it ends. It is not stored in this browser."
            }
            @if let Some(error) = error { p.error #key-error { (error) } }
            input #key type="password" name="key" required autofocus[focus] autocomplete="off" spellcheck="false"
                aria-describedby=(if error.is_some() { "key-error key-hint" } else { "key-hint" })
                aria-invalid=[error.map(|_| "true")];
            button { "Sign in" }
        }
        p.hint { "No key at hand? An owner or admin of your organization can create a link that signs you in." }
    }
}

pub(crate) async fn with_key(call: &Call<'_>) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let to = wanted(form.get("to"));
    let signed_in = match KeyText::parse(form.get("key")) {
        Ok(text) => Sessions::new(call.app).begin_with_key(&text, &session::attempt(call).await?).await,
        Err(_) => Err(Error::Refused(Refusal::Malformed)),
    };
    match signed_in {
        Ok(started) => Ok(signed_in_at(call, &started, to).await),
        Err(Error::Refused(refusal)) => {
            let error = match refusal {
                Refusal::MissingScopes(_) => {
                    "This key cannot manage keys: it lacks the scope api-keys:write.".to_owned()
                }
                refusal => Problem::from(refusal).detail(),
            };
            let page =
                Page { title: "Sign in", session: None, secret: false, content: key_form(to, Some(&error), true) };
            Ok(page.response(403))
        }
        Err(error) => Err(error.into()),
    }
}

/// A page with a button: whatever follows links by itself, as the scanners of mail do, uses none up.
pub(crate) async fn show_link(call: &Call<'_>) -> Result<Response, Problem> {
    let Some(token) = SignInToken::parse(call.param("token")) else { return Ok(dead_link()) };
    session::attempt(call).await?;
    let link = match Sessions::new(call.app).open_link(&token).await {
        Err(Error::NotFound) => return Ok(dead_link()),
        link => link?,
    };
    let content = html! {
        form.card method="post" {
            p { "You will be signed in to " strong { (link.organization.as_str()) } " as " strong { (link.email) } "." }
            p.hint { "This link works once, until " (time::date(link.expires_at)) "." }
            button autofocus { "Sign in" }
        }
    };
    Ok(Page { title: "Sign in", session: None, secret: false, content }.response(200))
}

pub(crate) async fn with_link(call: &Call<'_>) -> Result<Response, Problem> {
    let Some(token) = SignInToken::parse(call.param("token")) else { return Ok(dead_link()) };
    match Sessions::new(call.app).begin_with_link(&token, &session::attempt(call).await?).await {
        Err(Error::NotFound) => Ok(dead_link()),
        started => Ok(signed_in_at(call, &started?, START).await),
    }
}

fn dead_link() -> Response {
    let content = html! {
        p { "This link was used before, has expired, or was not copied whole. Ask for another." }
        p { a href="/sign-in" { "Sign in with a key" } }
    };
    Page { title: "This link doesn't work", session: None, secret: false, content }.response(404)
}

pub(crate) async fn out(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    Sessions::new(call.app).end(&session.principal, session.session_id).await?;
    let mut response = see_other("/sign-in");
    response.headers.push(("Set-Cookie".into(), session::forget(call.request)));
    Ok(response)
}
