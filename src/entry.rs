//! The one way in: a request is for the API, for the settings pages, or for a route of the operator's.

use std::{rc::Rc, sync::LazyLock};

use crate::{
    app::{
        App,
        error::Error,
        evals_sweep,
        extensions::Extensions,
        settings::Settings,
        sweep::{self, Chore},
    },
    domain::catalogue::Catalogue,
    http::{
        self,
        dispatch::request_id,
        evals_routes,
        message::{Request, Response},
        problem::Problem,
        route::Table,
        routes,
        tables::Tables,
        trulayer,
    },
    pages,
    ports::{Clock, Entropy},
};

/// The routes of traces, on the surface of the libraries that send them.
static TRACES: Table = Table { prefix: Some("/trulayer"), envelope: trulayer::envelope, rows: evals_routes::TRACES };

/// The routes of every surface that is served.
static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    Tables::new(vec![
        &routes::KEYS,
        &evals_routes::EVALUATIONS,
        &routes::BRAINTRUST,
        &routes::CONFIDENT,
        &routes::TRULAYER,
        &TRACES,
        &routes::MCP,
    ])
});

/// Returns the routes of every surface that is served.
pub fn tables() -> &'static Tables {
    &TABLES
}

/// Returns the chores of every part of the service.
pub fn chores() -> impl Iterator<Item = &'static Chore> {
    sweep::CHORES.iter().chain(evals_sweep::CHORES)
}

/// Answers a request.
pub async fn handle(app: &App, request: &Request) -> Response {
    let tables = tables();
    let id = request_id(request, &*app.clock, &*app.entropy);
    let response = match tables.find(&request.method, &request.path) {
        Err(Problem::NoSuchPath) => match pages::find(&request.method, &request.path) {
            Err(Problem::NoSuchPath) => http::forward(tables, app, request, &id).await,
            found => pages::answer(app, request, found, &id).await,
        },
        found => http::answer(tables, app, request, found, &id).await,
    };
    named(response, id)
}

/// Answers everybody for a deployment whose configuration cannot be read; `message` is for the log alone.
pub fn misconfigured(request: &Request, message: &str, clock: &dyn Clock, entropy: &dyn Entropy) -> Response {
    let id = request_id(request, clock, entropy);
    log::error!("the configuration is wrong: {message} (request {id})");
    let response = pages::misconfigured(request, &id).unwrap_or_else(|| {
        Problem::App(Error::Unavailable(String::new())).response(tables().envelope(&request.path), &id)
    });
    named(response, id)
}

fn named(mut response: Response, request_id: String) -> Response {
    response.headers.push(("X-Request-Id".into(), request_id));
    response
}

/// Reads the settings of the parts that the core does not know; `get` gives a variable or a secret by its name.
///
/// # Errors
/// The variable that is wrong, and what it must be.
pub fn extensions(get: impl Fn(&str) -> Option<String>) -> Result<Extensions, String> {
    Ok(Extensions::default().with(Rc::new(Settings::read(get)?)))
}

/// Whether the catalogue fits to the routes and the pages.
///
/// # Errors
/// The scope that is missing, or the operator's route that is in the way.
pub fn check(catalogue: &Catalogue) -> Result<(), String> {
    tables().check(catalogue)?;
    pages::check(catalogue)
}
