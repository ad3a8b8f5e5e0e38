//! The entry point: leads a request to the API, to the settings pages, or to one of the operator's routes.

#[cfg(feature = "evaluations")]
use std::rc::Rc;
use std::sync::LazyLock;

use bitting_api::routes;
#[cfg(all(feature = "evaluations", feature = "trulayer"))]
use bitting_http::route::Table;
use bitting_http::{
    cors,
    dispatch::request_id,
    message::{Request, Response},
    problem::Problem,
    route::Access,
    tables::{Found, Tables},
    transport,
};
use bitting_keys::{
    app::{
        App,
        error::Error,
        extensions::Extensions,
        sweep::{self, Chore},
    },
    domain::catalogue::{Catalogue, Surface},
    ports::{Clock, Entropy},
};

/// The routes of traces, on the surface of the libraries that send them.
#[cfg(all(feature = "evaluations", feature = "trulayer"))]
static TRACES: Table = Table {
    surface: Some(Surface::Trulayer),
    prefix: Some("/trulayer"),
    envelope: bitting_api::vendors::trulayer::envelope,
    rows: bitting_evals::http::routes::TRACES,
};

/// The surfaces that this build serves.
pub const SURFACES: &[Surface] = &[
    #[cfg(feature = "evaluations")]
    Surface::Evaluations,
    #[cfg(feature = "braintrust")]
    Surface::Braintrust,
    #[cfg(feature = "confident")]
    Surface::Confident,
    #[cfg(feature = "trulayer")]
    Surface::Trulayer,
    #[cfg(feature = "pages")]
    Surface::Pages,
    #[cfg(feature = "mcp")]
    Surface::Mcp,
];

/// The routes of every surface that is served.
static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    Tables::new(vec![
        &routes::KEYS,
        &routes::EXCHANGE,
        #[cfg(feature = "evaluations")]
        &bitting_evals::http::routes::EVALUATIONS,
        #[cfg(feature = "braintrust")]
        &bitting_api::vendors::braintrust::ROUTES,
        #[cfg(feature = "confident")]
        &bitting_api::vendors::confident::ROUTES,
        #[cfg(feature = "trulayer")]
        &bitting_api::vendors::trulayer::ROUTES,
        #[cfg(all(feature = "evaluations", feature = "trulayer"))]
        &TRACES,
        #[cfg(feature = "mcp")]
        &bitting_api::mcp::ROUTES,
    ])
});

/// Returns the routes of every surface that is served.
pub fn tables() -> &'static Tables {
    &TABLES
}

/// Returns the chores of every part of the service.
pub fn chores() -> impl Iterator<Item = &'static Chore> {
    #[cfg(feature = "evaluations")]
    let more = bitting_evals::app::sweep::CHORES;
    #[cfg(not(feature = "evaluations"))]
    let more = &[];
    sweep::CHORES.iter().chain(more)
}

/// Answers a request.
pub async fn handle(app: &App, request: &Request) -> Response {
    let tables = tables();
    let id = request_id(request, &*app.clock, &*app.entropy);
    let found = tables.find(&request.method, &request.path);
    let page = match found {
        Err(Problem::NoSuchPath) => page(app, request, &id).await,
        _ => None,
    };
    if let Some(page) = page {
        return finished(page, request, id);
    }
    let mut response = api(tables, app, request, found, &id).await;
    // Never on a page.
    cors::allow(app, request, &mut response);
    finished(response, request, id)
}

/// Answers a request for a route of the API, or of the operator's.
async fn api(
    tables: &'static Tables,
    app: &App,
    request: &Request,
    found: Result<Found<'_>, Problem>,
    request_id: &str,
) -> Response {
    let checked = transport::check(request);
    // Any success would let a proxy's caller in.
    let is_check = matches!(&found, Ok(found) if matches!(found.route.access, Access::Check(_)));
    if checked.is_ok()
        && !is_check
        && let Some(preflight) = cors::preflight(app, request)
    {
        return preflight;
    }
    match checked.and(found) {
        Err(Problem::NoSuchPath) => bitting_api::forward(tables, app, request, request_id).await,
        found => bitting_api::answer(tables, app, request, found, request_id).await,
    }
}

/// Answers a request for a page; `None`: there is no page at its path.
#[cfg(feature = "pages")]
async fn page(app: &App, request: &Request, request_id: &str) -> Option<Response> {
    match bitting_pages::find(&request.method, &request.path) {
        Err(Problem::NoSuchPath) => None,
        found => Some(bitting_pages::answer(app, request, found, request_id).await),
    }
}

#[cfg(not(feature = "pages"))]
fn page(_: &App, _: &Request, _: &str) -> std::future::Ready<Option<Response>> {
    std::future::ready(None)
}

/// Answers any request to a deployment whose configuration cannot be read. `message` is for the log only.
pub fn misconfigured(request: &Request, message: &str, clock: &dyn Clock, entropy: &dyn Entropy) -> Response {
    let id = request_id(request, clock, entropy);
    log::error!("the configuration is wrong: {message} (request {id})");
    #[cfg(feature = "pages")]
    if let Some(page) = bitting_pages::misconfigured(request, &id) {
        return finished(page, request, id);
    }
    let problem = Problem::App(Error::Unavailable(String::new()));
    finished(problem.response(tables().envelope(&request.path), &id), request, id)
}

/// Returns a response with the headers that every response has.
fn finished(mut response: Response, request: &Request, request_id: String) -> Response {
    transport::insist_on_tls(request, &mut response);
    response.headers.push(("X-Request-Id".into(), request_id));
    response
}

/// Reads the settings of the parts outside of the core. `get` returns a variable or a secret by its name.
///
/// # Errors
/// A message about the wrong variable.
pub fn extensions(get: impl Fn(&str) -> Option<String>) -> Result<Extensions, String> {
    let extensions = Extensions::default();
    #[cfg(feature = "evaluations")]
    let extensions = extensions.with(Rc::new(bitting_evals::app::settings::Settings::read(get)?));
    #[cfg(not(feature = "evaluations"))]
    drop(get);
    Ok(extensions)
}

/// Checks that the catalogue matches this build, its routes and its pages.
///
/// # Errors
/// A message about a surface or a scope that is missing, or an operator's route whose path is taken.
pub fn check(catalogue: &Catalogue) -> Result<(), String> {
    for surface in Surface::ALL {
        let (wanted, built) = (catalogue.surfaces.contains(&surface), SURFACES.contains(&surface));
        if wanted != built {
            let (is, must) = if built { ("is not in the list", "with") } else { ("is in the list", "without") };
            let name = surface.as_str();
            return Err(format!("surfaces: `{name}` {is}, and this Worker was built {must} it; build it anew"));
        }
    }
    tables().check(catalogue)?;
    #[cfg(feature = "pages")]
    bitting_pages::check(catalogue)?;
    Ok(())
}
