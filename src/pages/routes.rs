//! The table of pages: the method, the path, who may see it, and what answers.

use std::sync::LazyLock;

use matchit::{Params, Router};

use crate::{
    app::sessions::{SIGN_IN, SignedIn},
    domain::scope::Scope,
    http::{
        problem::Problem,
        routes::{Answer, Call},
    },
    pages::{assets, devices, invitations, keys, layout, sign_in},
};

/// Who may see a page, and what answers.
pub(crate) enum Access {
    /// Whoever comes.
    Anybody(for<'a> fn(&'a Call<'a>) -> Answer<'a>),
    /// Whoever is signed in, with this scope if one is named: the one that the API asks for the same.
    Session(Option<Scope>, for<'a> fn(&'a Call<'a>, &'a SignedIn) -> Answer<'a>),
}

/// A row of the table.
pub(crate) struct PageRoute {
    /// The method: GET, or POST for a form.
    pub(crate) method: &'static str,
    /// The path.
    pub(crate) path: &'static str,
    /// Who may see it, and what answers.
    pub(crate) access: Access,
}

macro_rules! page {
    ($method:literal $path:literal anybody $handler:path) => {
        PageRoute { method: $method, path: $path, access: Access::Anybody(|call| Box::pin($handler(call))) }
    };
    ($method:literal $path:literal $scope:ident $handler:path) => {
        PageRoute {
            method: $method,
            path: $path,
            access: Access::Session($scope, |call, who| Box::pin($handler(call, who))),
        }
    };
}

const ANY: Option<Scope> = None;
const READ: Option<Scope> = Some(Scope::named("api-keys:read"));
const WRITE: Option<Scope> = Some(SIGN_IN);

/// Every page, and every form.
pub(crate) const PAGES: &[PageRoute] = &[
    page!("GET" "/" anybody sign_in::home),
    page!("GET" "/sign-in" anybody sign_in::show),
    page!("POST" "/sign-in" anybody sign_in::with_key),
    page!("GET" "/sign-in/:token" anybody sign_in::show_link),
    page!("POST" "/sign-in/:token" anybody sign_in::with_link),
    page!("POST" "/sign-out" ANY sign_in::out),
    page!("GET" "/invitations/:token" anybody invitations::show),
    page!("POST" "/invitations/:token" anybody invitations::accept),
    page!("GET" "/settings" anybody sign_in::home),
    page!("GET" "/settings/keys" READ keys::list),
    page!("GET" "/settings/devices" ANY devices::list),
    page!("POST" "/settings/devices/:session/end" WRITE devices::end),
    page!("GET" "/settings/assets/:file" anybody assets::get),
    // What begins like a page belongs to the pages.
    page!("GET" "/settings/*rest" anybody layout::no_such_page),
];

/// The rows by path.
static BY_PATH: LazyLock<Router<Vec<&'static PageRoute>>> = LazyLock::new(|| {
    let mut router: Router<Vec<&'static PageRoute>> = Router::new();
    for path in PAGES.iter().map(|page| page.path).collect::<std::collections::BTreeSet<_>>() {
        if let Err(error) = router.insert(path, PAGES.iter().filter(|page| page.path == path).collect()) {
            log::error!("{path} cannot be routed: {error}");
        }
    }
    router
});

/// The row for a method and a path, and the path's parameters.
///
/// # Errors
/// [`Problem::NoSuchPath`] or [`Problem::MethodNotAllowed`].
pub(crate) fn find<'a>(method: &str, path: &'a str) -> Result<(&'static PageRoute, Params<'a, 'a>), Problem> {
    let matched = BY_PATH.at(path).map_err(|_| Problem::NoSuchPath)?;
    let method = if method == "HEAD" { "GET" } else { method };
    if let Some(page) = matched.value.iter().find(|page| page.method == method) {
        return Ok((page, matched.params));
    }
    let allowed: Vec<&str> = matched.value.iter().map(|page| page.method).collect();
    Err(Problem::MethodNotAllowed(allowed.join(", ")))
}

/// Every page as data: method, path, and the scope or what else it asks for.
pub fn table() -> Vec<(&'static str, &'static str, &'static str)> {
    let access = |page: &'static PageRoute| match &page.access {
        Access::Anybody(_) => "anybody",
        Access::Session(None, _) => "any session",
        Access::Session(Some(scope), _) => scope.as_str(),
    };
    PAGES.iter().map(|page| (page.method, page.path, access(page))).collect()
}
