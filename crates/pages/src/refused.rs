//! Pages about refusals and failures.

use bitting_http::{
    call::Call,
    message::{Request, Response},
    problem::Problem,
};
use bitting_keys::{
    app::{error::Error, sessions::SignedIn},
    domain::{decision::Refusal, scope::Scope},
};
use maud::html;

use crate::{layout::Page, session};

/// The page of what went wrong.
pub(crate) fn problem_page(session: Option<(&SignedIn, &str)>, problem: &Problem) -> Response {
    let (status, _) = problem.status_and_code();
    let (title, text) = match problem {
        Problem::NoSuchPath | Problem::App(Error::NotFound) => {
            ("Not found", "There is nothing here, or you don't have access to it.".to_owned())
        }
        Problem::MethodNotAllowed(_) => ("Not possible", "This page doesn't support that action.".to_owned()),
        Problem::App(Error::Refused(Refusal::MissingScopes(scopes))) => {
            let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
            let text = "You are signed in with a key that lacks the scope for this";
            ("Not allowed", format!("{text}: {}. Sign in with another key, or by a link.", scopes.join(", ")))
        }
        problem if status == 403 => ("Not allowed", problem.detail()),
        problem if status == 429 => ("Too many attempts", problem.detail()),
        problem if status == 503 => ("Not available", problem.detail()),
        problem => ("Something is wrong", problem.detail()),
    };
    let back = if session.is_some() { ("/settings/keys", "Go to the API keys") } else { ("/sign-in", "Sign in") };
    let content = html! { p { (text) } p { a href=(back.0) { (back.1) } } };
    let mut response = Page { title, session, secret: false, content }.response(status);
    match problem {
        Problem::MethodNotAllowed(allowed) => response.headers.push(("Allow".into(), allowed.clone())),
        _ if status == 429 => response.headers.push(("Retry-After".into(), "60".to_owned())),
        _ if status == 503 => response.headers.push(("Retry-After".into(), "2".to_owned())),
        _ => {}
    }
    response
}

/// Renders the refusal of a page that only admins can use.
pub(crate) fn for_admins(call: &Call<'_>, session: &SignedIn) -> Response {
    let content = html! {
        p { "Only owners and admins of the organization can do this. Ask one of them." }
        p { a href="/settings/keys" { "Go to the API keys" } }
    };
    Page::of(call, session, "Not allowed", content).response(403)
}

/// The answer to a form that was not sent by one of these pages.
pub(crate) fn foreign_form() -> Response {
    let content = html! {
        p { "This form was sent by another site, so nothing was changed." }
        p { a href="/settings/keys" { "Go to the API keys" } }
    };
    Page { title: "Not allowed", session: None, secret: false, content }.response(403)
}

/// Renders the refusal of a request without TLS: the cookie would not be kept, and everything sent could be read.
pub(crate) fn needs_tls(request: &Request) -> Response {
    let host = request.origin.trim_start_matches("http://");
    let content = html! {
        p {
            "This address begins with " code { "http://" } ". What is sent over it can be read on the way, so you can't \
             sign in here."
        }
        p { a.button href={ "https://" (host) (request.path) } { "Continue with https" } }
        p.hint {
            "If nothing answers there, the operator of this service has to add a certificate. On your own machine \
             it works without one, at " code { "http://localhost" } "."
        }
    };
    Page { title: "This needs https", session: None, secret: false, content }.response(403)
}

/// Answers a request for a page that does not exist. Somebody who is signed in keeps the navigation.
pub(crate) async fn no_such_page(call: &Call<'_>) -> Result<Response, Problem> {
    let session = session::read(call).await?;
    Ok(problem_page(session.as_ref().map(|session| (session, call.path)), &Problem::NoSuchPath))
}

/// The page of a deployment whose configuration is wrong.
pub(crate) fn misconfigured(request_id: &str) -> Response {
    let content = html! {
        p { "The configuration of this service is wrong. It will not work until the operator has corrected it." }
        p.hint {
            "If that is you: the Worker's log names the variable that is wrong and says what it must be, with the \
             request " code { (request_id) } "."
        }
    };
    let mut response = Page { title: "Not configured", session: None, secret: false, content }.response(503);
    response.headers.push(("Retry-After".into(), "2".to_owned()));
    response
}
