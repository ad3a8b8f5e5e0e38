//! The one table of routes. A row says the method, the path, who may call, and the handler; a handler
//! that acts for a key cannot be put into a row that asks for none, because it would not compile.

use std::sync::LazyLock;

use matchit::Router;

use crate::{
    app::{App, Principal},
    domain::scope::Scope,
    http::{
        bootstrap, braintrust, keys,
        message::{Request, Response},
        problem::Problem,
        verify,
    },
    ports::LocalFuture,
};

/// What a handler gives.
pub(crate) type Answer<'a> = LocalFuture<'a, Result<Response, Problem>>;

/// What a handler is given.
pub(crate) struct Call<'a> {
    /// The use cases.
    pub(crate) app: &'a App,
    /// The request.
    pub(crate) request: &'a Request,
    /// The path's parameter, if the route has one; still percent-encoded.
    pub(crate) id: &'a str,
    /// The request's id.
    pub(crate) request_id: &'a str,
}

/// Who may call a route, and what answers.
pub(crate) enum Access {
    /// Whoever has the operator's secret.
    Operator(for<'a> fn(&'a Call<'a>) -> Answer<'a>),
    /// Whoever has a good key, with this scope if one is named.
    Key(Option<Scope>, for<'a> fn(&'a Call<'a>, &'a Principal) -> Answer<'a>),
}

/// A row of the table.
pub(crate) struct Route {
    /// The method.
    pub(crate) method: &'static str,
    /// The path; `:id` stands for its parameter.
    pub(crate) path: &'static str,
    /// Who may call, and what answers.
    pub(crate) access: Access,
}

const READ: Option<Scope> = Some(Scope::named("api-keys:read"));
const WRITE: Option<Scope> = Some(Scope::named("api-keys:write"));
const VERIFY: Option<Scope> = Some(Scope::named("api-keys:verify"));

macro_rules! route {
    ($method:literal $path:literal operator $handler:path) => {
        Route { method: $method, path: $path, access: Access::Operator(|call| Box::pin($handler(call))) }
    };
    ($method:literal $path:literal $scope:ident $handler:path) => {
        Route { method: $method, path: $path, access: Access::Key($scope, |call, by| Box::pin($handler(call, by))) }
    };
}

const ANY_KEY: Option<Scope> = None;

/// Every route.
pub(crate) const ROUTES: &[Route] = &[
    route!("POST" "/v1/bootstrap" operator bootstrap::create),
    route!("GET" "/v1/scopes" ANY_KEY keys::scopes),
    route!("GET" "/v1/keys" READ keys::list),
    route!("POST" "/v1/keys" WRITE keys::create),
    route!("POST" "/v1/keys/verify" VERIFY verify::verify),
    route!("GET" "/v1/keys/self" ANY_KEY keys::get_self),
    route!("GET" "/v1/keys/:id" READ keys::get),
    route!("PATCH" "/v1/keys/:id" WRITE keys::change),
    route!("DELETE" "/v1/keys/:id" WRITE keys::revoke),
    route!("GET" "/v1/keys/:id/events" READ keys::events),
    // Braintrust's surface, at its own paths and under its prefix.
    route!("GET" "/v1/api_key" READ braintrust::list),
    route!("POST" "/v1/api_key" WRITE braintrust::create),
    route!("GET" "/v1/api_key/:id" READ braintrust::get),
    route!("DELETE" "/v1/api_key/:id" WRITE braintrust::delete),
    route!("GET" "/braintrust/v1/api_key" READ braintrust::list),
    route!("POST" "/braintrust/v1/api_key" WRITE braintrust::create),
    route!("GET" "/braintrust/v1/api_key/:id" READ braintrust::get),
    route!("DELETE" "/braintrust/v1/api_key/:id" WRITE braintrust::delete),
];

/// The rows by path. Built once per isolate.
static BY_PATH: LazyLock<Router<Vec<&'static Route>>> = LazyLock::new(|| {
    let mut router: Router<Vec<&'static Route>> = Router::new();
    for path in ROUTES.iter().map(|route| route.path).collect::<std::collections::BTreeSet<_>>() {
        let rows = ROUTES.iter().filter(|route| route.path == path).collect();
        // Two paths that contradict each other would be refused here; the test that calls every row
        // of the table finds the one that then cannot be reached.
        if let Err(error) = router.insert(path, rows) {
            log::error!("{path} cannot be routed: {error}");
        }
    }
    router
});

/// The row for a request, and the path's parameter.
///
/// # Errors
/// [`Problem::NoSuchPath`] or [`Problem::MethodNotAllowed`].
pub(crate) fn find(request: &Request) -> Result<(&'static Route, &str), Problem> {
    let matched = BY_PATH.at(&request.path).map_err(|_| Problem::NoSuchPath)?;
    let method = if request.method == "HEAD" { "GET" } else { &request.method };
    if let Some(route) = matched.value.iter().find(|route| route.method == method) {
        return Ok((route, matched.params.get("id").unwrap_or_default()));
    }
    let allowed: Vec<&str> = matched.value.iter().map(|route| route.method).collect();
    Err(Problem::MethodNotAllowed(allowed.join(", ")))
}

/// Every route as data: method, path, and the scope or what else it asks for.
pub fn table() -> Vec<(&'static str, &'static str, &'static str)> {
    let access = |route: &'static Route| match &route.access {
        Access::Operator(_) => "operator",
        Access::Key(None, _) => "any key",
        Access::Key(Some(scope), _) => scope.as_str(),
    };
    ROUTES.iter().map(|route| (route.method, route.path, access(route))).collect()
}
