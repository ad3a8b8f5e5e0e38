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
    pages::{
        access, assets, audit, devices, invitations, key, keys, layout, new_key, organization, people, projects,
        sign_in, teams,
    },
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
const MEMBERS_READ: Option<Scope> = Some(Scope::named("members:read"));
const MEMBERS_WRITE: Option<Scope> = Some(Scope::named("members:write"));
const PROJECTS_READ: Option<Scope> = Some(Scope::named("projects:read"));
const PROJECTS_WRITE: Option<Scope> = Some(Scope::named("projects:write"));
const ORGANIZATION_READ: Option<Scope> = Some(Scope::named("organization:read"));
const ORGANIZATION_WRITE: Option<Scope> = Some(Scope::named("organization:write"));
const AUDIT_READ: Option<Scope> = Some(Scope::named("audit:read"));

/// Every page, and every form.
pub(crate) const PAGES: &[PageRoute] = &[
    page!("GET" "/" anybody sign_in::home),
    page!("GET" "/sign-in" anybody sign_in::show),
    page!("POST" "/sign-in" anybody sign_in::with_key),
    page!("POST" "/sign-in/access" anybody access::sign_in),
    page!("GET" "/sign-in/:token" anybody sign_in::show_link),
    page!("POST" "/sign-in/:token" anybody sign_in::with_link),
    page!("POST" "/sign-out" ANY sign_in::out),
    page!("GET" "/invitations/:token" anybody invitations::show),
    page!("POST" "/invitations/:token" anybody invitations::accept),
    page!("GET" "/settings" anybody sign_in::home),
    page!("GET" "/settings/keys" READ keys::list),
    page!("GET" "/settings/keys/new" WRITE new_key::show),
    page!("POST" "/settings/keys/new" WRITE new_key::create),
    page!("GET" "/settings/keys/:id" READ key::show),
    page!("GET" "/settings/keys/:id/edit" WRITE key::show_edit),
    page!("POST" "/settings/keys/:id/edit" WRITE key::edit),
    page!("POST" "/settings/keys/:id/rotate" WRITE key::rotate),
    page!("POST" "/settings/keys/:id/rotate/finish" WRITE key::finish_rotation),
    page!("POST" "/settings/keys/:id/rotate/cancel" WRITE key::cancel_rotation),
    page!("POST" "/settings/keys/:id/enable" WRITE key::enable),
    page!("POST" "/settings/keys/:id/disable" WRITE key::disable),
    page!("GET" "/settings/keys/:id/revoke" WRITE key::show_revoke),
    page!("POST" "/settings/keys/:id/revoke" WRITE key::revoke),
    page!("GET" "/settings/devices" ANY devices::list),
    page!("POST" "/settings/devices/:session/end" WRITE devices::end),
    page!("GET" "/settings/people" MEMBERS_READ people::list),
    page!("POST" "/settings/people" MEMBERS_WRITE people::invite),
    page!("GET" "/settings/people/:user" MEMBERS_READ people::get),
    page!("POST" "/settings/people/:user" MEMBERS_WRITE people::change_role),
    page!("POST" "/settings/people/:user/sign-in-link" MEMBERS_WRITE people::make_link),
    page!("GET" "/settings/people/:user/remove" MEMBERS_WRITE people::ask_to_remove),
    page!("POST" "/settings/people/:user/remove" MEMBERS_WRITE people::remove),
    page!("POST" "/settings/invitations/:invitation/revoke" MEMBERS_WRITE people::take_back),
    page!("GET" "/settings/teams" MEMBERS_READ teams::list),
    page!("POST" "/settings/teams" MEMBERS_WRITE teams::create),
    page!("GET" "/settings/teams/:team" MEMBERS_READ teams::get),
    page!("POST" "/settings/teams/:team" MEMBERS_WRITE teams::rename),
    page!("POST" "/settings/teams/:team/members" MEMBERS_WRITE teams::add),
    page!("POST" "/settings/teams/:team/members/:user/remove" MEMBERS_WRITE teams::take_out),
    page!("GET" "/settings/teams/:team/delete" MEMBERS_WRITE teams::ask_to_delete),
    page!("POST" "/settings/teams/:team/delete" MEMBERS_WRITE teams::delete),
    page!("GET" "/settings/projects" PROJECTS_READ projects::list),
    page!("POST" "/settings/projects" PROJECTS_WRITE projects::create),
    page!("GET" "/settings/projects/:project" PROJECTS_READ projects::get),
    page!("POST" "/settings/projects/:project" PROJECTS_WRITE projects::change),
    page!("GET" "/settings/projects/:project/delete" PROJECTS_WRITE projects::ask_to_delete),
    page!("POST" "/settings/projects/:project/delete" PROJECTS_WRITE projects::delete),
    page!("GET" "/settings/organization" ORGANIZATION_READ organization::get),
    page!("POST" "/settings/organization" ORGANIZATION_WRITE organization::change),
    page!("GET" "/settings/audit" AUDIT_READ audit::list),
    page!("GET" "/settings/audit/export" AUDIT_READ audit::export),
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

/// Whether a page or a form is for whoever is signed in, by its scope and, of the trail, by his role.
pub(crate) fn is_for(who: &SignedIn, method: &str, path: &str) -> bool {
    let Ok((page, _)) = find(method, path) else { return false };
    let held = match &page.access {
        Access::Anybody(_) | Access::Session(None, _) => true,
        Access::Session(Some(scope), _) => who.by.snapshot.scopes.grant(scope),
    };
    held && (page.path != audit::AUDIT || who.by.administers().is_ok())
}

/// Whether a form that only those fill in who administer the organization is for whoever is signed in.
pub(crate) fn manages(who: &SignedIn, path: &str) -> bool {
    is_for(who, "POST", path) && who.by.administers().is_ok()
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
