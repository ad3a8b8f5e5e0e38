//! The settings pages: rendered on the server, usable with the keyboard alone and without a script. What they
//! do they do through the use cases, for the person who is signed in.

mod access;
mod assets;
mod audit;
mod chart;
mod conditions;
mod descendants;
mod devices;
mod field;
mod form;
mod invitations;
mod key;
mod key_form;
mod keys;
mod layout;
mod needs;
mod new_key;
mod organization;
mod people;
mod projects;
mod refused;
mod reveal;
mod routes;
mod session;
mod sign_in;
mod simulation;
mod table;
mod teams;
mod time;

use bitting_http::{
    body::{self, MAX_BODY_BYTES, Reading},
    call::Call,
    dispatch::{self, log_failure},
    message::{Request, Response},
    problem::Problem,
};
use bitting_keys::{
    app::{App, error::Error, sessions::SignedIn},
    domain::{
        catalogue::Catalogue,
        decision::{Refusal, decide},
    },
};
use matchit::Params;

use self::{
    layout::see_other,
    refused::problem_page,
    routes::{Access, PageRoute},
};

pub use self::routes::find;
pub use self::routes::table;

/// Answers a request for which a page was looked for.
pub async fn answer(
    app: &App,
    request: &Request,
    found: Result<(&'static PageRoute, Params<'_, '_>), Problem>,
    request_id: &str,
) -> Response {
    let mut response = match found {
        Ok((route, params)) => page(app, request, route, params, request_id).await,
        // The address of an answer to a form, asked for once more.
        Err(Problem::MethodNotAllowed(_)) if ["GET", "HEAD"].contains(&request.method.as_str()) => {
            see_other(routes::above(&request.path).unwrap_or("/"))
        }
        Err(problem) => problem_page(None, &problem),
    };
    if routes::at(&request.path).is_some_and(|route| route.has_secret_path) {
        layout::keep_address(&mut response);
    }
    response
}

/// The page of a deployment whose configuration is wrong, or what belongs to that; `None`: no browser asks for a page.
pub fn misconfigured(request: &Request, request_id: &str) -> Option<Response> {
    if let Some(response) = assets::at(&request.path) {
        return Some(response);
    }
    let is_browser = request.header("accept").is_some_and(|accept| accept.contains("text/html"));
    let is_page = !matches!(routes::find("GET", &request.path), Err(Problem::NoSuchPath));
    (is_browser && is_page).then(|| refused::misconfigured(request_id))
}

/// Checks that the operator's routes leave the pages' paths alone.
///
/// # Errors
/// The route that is in their way.
pub fn check(catalogue: &Catalogue) -> Result<(), String> {
    for (index, route) in catalogue.routes.iter().enumerate() {
        if route.target.is_some() && !matches!(routes::find("GET", &route.path), Err(Problem::NoSuchPath)) {
            return Err(format!("routes[{index}].path: {} belongs to the settings pages", route.path));
        }
    }
    Ok(())
}

/// Counts a form as a write of its organization. One that ends something is never refused for others.
///
/// # Errors
/// [`Error::TooMany`] beyond the operator's limit.
async fn count(call: &Call<'_>, session: &SignedIn) -> Result<(), Error> {
    let ends = ["revoke", "disable", "end", "remove", "delete", "sign-out"];
    let ends = ends.iter().any(|end| call.row.path.ends_with(end)) || call.row.path.contains("/rotate");
    let is_counted = call.row.method == "POST" && !ends;
    if !is_counted {
        return Ok(());
    }
    call.app.count_write(session.principal.snapshot.organization_id, true).await
}

async fn page(
    app: &App,
    request: &Request,
    route: &'static PageRoute,
    params: Params<'_, '_>,
    request_id: &str,
) -> Response {
    let failed = |session: Option<&SignedIn>, problem: &Problem| {
        log_failure(route.name.method, route.name.path, problem, request_id);
        problem_page(session.map(|session| (session, request.path.as_str())), problem)
    };
    if !session::can_be_kept(request) && !route.without_tls {
        return refused::needs_tls(request);
    }
    if route.name.method == "POST" && !form::is_from_here(request) {
        return refused::foreign_form();
    }
    if let Err(problem) = body::check_encoding(request) {
        return failed(None, &problem);
    }
    let request = match body::read(request, Reading::UpTo(MAX_BODY_BYTES)).await {
        Ok(request) => request,
        Err(problem) => return failed(None, &problem),
    };
    let call = Call { app, request: &request, row: route.name, path: &request.path, params, request_id };
    match &route.access {
        Access::Anybody(handler) => handler(&call).await.unwrap_or_else(|problem| failed(None, &problem)),
        Access::Session(needs, handler) => {
            // The guard stops what acts for a session that has just changed, before anything has happened:
            // then the session is judged by what the database says now, and tries again if it still may.
            for last in [false, true] {
                let session = match session::read(&call).await {
                    Ok(Some(session)) => session,
                    Ok(None) => return sign_in::ask(&call, None),
                    Err(problem) => return failed(None, &problem),
                };
                let scopes = needs.scope.as_slice();
                let answered =
                    match decide(&session.principal.snapshot, session.principal.uses(scopes, app.clock.now())) {
                        Ok(()) => match session.principal.administers() {
                            Err(error) if needs.admin => {
                                session::note_refusal(&call, &session, &error.into());
                                Ok(refused::for_admins(&call, &session))
                            }
                            _ => match count(&call, &session).await {
                                Ok(()) => handler(&call, &session).await,
                                Err(error) => Err(error.into()),
                            },
                        },
                        Err(refusal @ Refusal::MissingScopes(_)) => Err(refusal.into()),
                        Err(refusal) => {
                            dispatch::note_ended(&call, &session.principal, &refusal.clone().into());
                            return sign_in::ask(&call, Some(&refusal));
                        }
                    };
                match answered {
                    Err(Problem::App(Error::KeyChanged)) if !last => {}
                    Ok(response) => return response,
                    Err(problem) => {
                        session::note_refusal(&call, &session, &problem);
                        return failed(Some(&session), &problem);
                    }
                }
            }
            failed(None, &Error::KeyChanged.into())
        }
    }
}
