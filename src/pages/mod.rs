//! The settings pages: rendered on the server, usable with the keyboard alone and without a script. What they
//! do they do through the use cases, in the name of whoever is signed in.

mod access;
mod assets;
mod audit;
mod chart;
mod devices;
mod field;
mod form;
mod invitations;
mod key;
mod key_form;
mod keys;
mod layout;
mod new_key;
mod organization;
mod people;
mod projects;
mod reveal;
mod routes;
mod session;
mod sign_in;
mod table;
mod teams;
mod time;

use std::slice;

use matchit::Params;

use crate::{
    app::{App, error::Error, sessions::SignedIn},
    domain::{
        catalogue::Catalogue,
        decision::{Refusal, decide},
    },
    http::{
        self,
        message::{Request, Response},
        problem::Problem,
        routes::Call,
    },
};

use self::{
    layout::problem_page,
    routes::{Access, PageRoute},
};

pub use self::routes::table;

/// Answers a request: with a page, or, where there is none, as the API does.
pub async fn handle(app: &App, request: &Request) -> Response {
    let found = match routes::find(&request.method, &request.path) {
        Err(Problem::NoSuchPath) => return http::handle(app, request).await,
        found => found,
    };
    let request_id = http::request_id(app, request);
    let mut response = match found {
        Ok((route, params)) => answer(app, request, route, params, &request_id).await,
        Err(problem) => problem_page(None, &problem),
    };
    if request.path.starts_with("/sign-in/") || request.path.starts_with("/invitations/") {
        layout::keep_address(&mut response);
    }
    response.headers.push(("X-Request-Id".into(), request_id));
    response
}

/// Whether the operator's routes leave the pages' paths alone.
///
/// # Errors
/// Which route of the operator's is in their way.
pub fn check(catalogue: &Catalogue) -> Result<(), String> {
    for (index, route) in catalogue.routes.iter().enumerate() {
        if !matches!(routes::find("GET", &route.path), Err(Problem::NoSuchPath)) {
            return Err(format!("routes[{index}].path: {} belongs to the settings pages", route.path));
        }
    }
    Ok(())
}

/// Notes an attempt that was refused, for the page that answers it itself.
fn note_refusal(call: &Call<'_>, who: &SignedIn, problem: &Problem) {
    if let Ok((route, _)) = routes::find(&call.request.method, &call.request.path) {
        http::note_refusal(call.app, route.method, route.path, &call.params, &who.by, problem);
    }
}

async fn answer(
    app: &App,
    request: &Request,
    route: &'static PageRoute,
    params: Params<'_, '_>,
    request_id: &str,
) -> Response {
    let failed = |who: Option<&SignedIn>, problem: &Problem| {
        http::log_failure(route.method, route.path, problem, request_id);
        problem_page(who, problem)
    };
    if !session::can_be_kept(request) && !request.path.starts_with("/settings/assets/") {
        return layout::needs_tls(request);
    }
    if route.method == "POST" && !form::is_from_here(request) {
        return layout::foreign_form();
    }
    let request = match request.read().await {
        Ok(request) => request,
        Err(problem) => return failed(None, &problem),
    };
    let call = Call { app, request: &request, path: &request.path, params, request_id };
    match &route.access {
        Access::Anybody(handler) => handler(&call).await.unwrap_or_else(|problem| failed(None, &problem)),
        Access::Session(scope, handler) => {
            // The guard stops what acts for a session that has just changed, before anything has happened:
            // then the session is judged by what the database says now, and tries again if it still may.
            for last in [false, true] {
                let who = match session::read(&call).await {
                    Ok(Some(who)) => who,
                    Ok(None) => return sign_in::ask(&call, None),
                    Err(problem) => return failed(None, &problem),
                };
                let admitted = decide(&who.by.snapshot, scope.as_ref().map_or(&[], slice::from_ref), app.clock.now());
                let answered = match admitted {
                    Ok(()) => handler(&call, &who).await,
                    Err(refusal @ Refusal::MissingScopes(_)) => Err(refusal.into()),
                    Err(refusal) => return sign_in::ask(&call, Some(&refusal)),
                };
                match answered {
                    Err(Problem::App(Error::KeyChanged)) if !last => {}
                    Ok(response) => return response,
                    Err(problem) => {
                        if route.method == "POST" {
                            http::note_refusal(app, route.method, route.path, &call.params, &who.by, &problem);
                        }
                        return failed(Some(&who), &problem);
                    }
                }
            }
            failed(None, &Error::KeyChanged.into())
        }
    }
}
