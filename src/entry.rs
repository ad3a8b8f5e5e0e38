//! The one way in: a request is for the API, for the settings pages, or for a route of the operator's.

use crate::{
    app::{App, error::Error},
    domain::catalogue::Catalogue,
    http::{
        self,
        dispatch::request_id,
        message::{Request, Response},
        problem::Problem,
        routes,
    },
    pages,
    ports::{Clock, Entropy},
};

/// Answers a request.
pub async fn handle(app: &App, request: &Request) -> Response {
    let id = request_id(request, &*app.clock, &*app.entropy);
    let response = match routes::find(&request.method, &request.path) {
        Err(Problem::NoSuchPath) => match pages::find(&request.method, &request.path) {
            Err(Problem::NoSuchPath) => http::forward(app, request, &id).await,
            found => pages::answer(app, request, found, &id).await,
        },
        found => http::answer(app, request, found, &id).await,
    };
    named(response, id)
}

/// The answer of a deployment whose configuration cannot be read, to everybody; `message` is for the log alone.
pub fn misconfigured(request: &Request, message: &str, clock: &dyn Clock, entropy: &dyn Entropy) -> Response {
    let id = request_id(request, clock, entropy);
    log::error!("the configuration is wrong: {message} (request {id})");
    let response = pages::misconfigured(request, &id).unwrap_or_else(|| {
        Problem::App(Error::Unavailable(String::new())).response(routes::envelope(&request.path), &id)
    });
    named(response, id)
}

fn named(mut response: Response, request_id: String) -> Response {
    response.headers.push(("X-Request-Id".into(), request_id));
    response
}

/// Whether the catalogue fits to the routes and the pages.
///
/// # Errors
/// The scope that is missing, or the operator's route that is in the way.
pub fn check(catalogue: &Catalogue) -> Result<(), String> {
    routes::check(catalogue)?;
    pages::check(catalogue)
}
