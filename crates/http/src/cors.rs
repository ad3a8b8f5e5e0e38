//! Requests of web pages of other origins (Fetch, 3.3): those of the origins that the catalogue lists may read answers.
//! Credentials of the browser are never asked for: a page sends its key itself.

use bitting_keys::app::App;

use crate::message::{Request, Response};

/// The methods that a page may use. Each path refuses those that it does not have.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// The time for which a browser may remember that, in seconds.
const MAX_AGE_SECONDS: &str = "600";

/// Returns the answer to a preflight for a page of a listed origin; `None` for every other request.
pub fn preflight(app: &App, request: &Request) -> Option<Response> {
    listed(app, request)?;
    request.header("access-control-request-method").filter(|_| request.method == "OPTIONS")?;
    let mut response = Response::empty(204);
    response.headers.push(("Access-Control-Allow-Methods".into(), METHODS.to_owned()));
    // A `*` would not stand for `Authorization`.
    if let Some(names) = request.header("access-control-request-headers") {
        response.headers.push(("Access-Control-Allow-Headers".into(), names.to_owned()));
    }
    response.headers.push(("Access-Control-Max-Age".into(), MAX_AGE_SECONDS.to_owned()));
    Some(response)
}

/// Lets a page of a listed origin read a response.
pub fn allow(app: &App, request: &Request, response: &mut Response) {
    if app.config.catalogue.origins.is_empty() {
        return;
    }
    match response.headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("vary")) {
        Some((_, value)) => value.push_str(", Origin"),
        None => response.headers.push(("Vary".into(), "Origin".to_owned())),
    }
    if let Some(origin) = listed(app, request) {
        response.headers.push(("Access-Control-Allow-Origin".into(), origin.to_owned()));
        response.headers.push(("Access-Control-Expose-Headers".into(), "*".to_owned()));
    }
}

/// Returns the origin of the page that sent a request, if it is listed.
fn listed<'a>(app: &App, request: &'a Request) -> Option<&'a str> {
    request.header("origin").filter(|origin| app.config.catalogue.allows_origin(origin))
}
