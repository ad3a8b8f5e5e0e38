//! The table of pages: the method, the path, who may see it, and what answers.

use std::sync::LazyLock;

use bitting_http::{
    call::{Answer, Call, Handler, RowName},
    problem::Problem,
    router::Paths,
};
use bitting_keys::{app::sessions::SignedIn, domain::scope::Scope};
use matchit::Params;

use crate::{
    access, assets, audit, devices, invitations, key, keys,
    needs::{
        ANY, AUDIT, MANAGE_MEMBERS, MANAGE_ORGANIZATION, MANAGE_PROJECTS, MEMBERS_READ, MEMBERS_WRITE, Needs,
        ORGANIZATION_READ, PROJECTS_READ, READ, WRITE,
    },
    new_key, organization, people, projects, refused, sign_in, simulation, teams,
};

/// The party that may see a page, and the handler that answers.
pub(crate) enum Access {
    /// Everybody.
    Anybody(Handler),
    /// A person who is signed in with what the page needs.
    Session(Needs, for<'a> fn(&'a Call<'a>, &'a SignedIn) -> Answer<'a>),
}

/// A row of the table.
pub struct PageRoute {
    /// The method, GET, or POST for a form; and the path.
    pub(crate) name: RowName,
    /// The party that may see it, and the handler.
    pub(crate) access: Access,
    /// True if the path holds a secret, which no `Referer` and no cache may learn.
    pub(crate) has_secret_path: bool,
    /// True if it is served without TLS, too: it neither reads nor sets a session.
    pub(crate) without_tls: bool,
}

impl PageRoute {
    const fn new(method: &'static str, path: &'static str, access: Access) -> Self {
        Self { name: RowName { method, path }, access, has_secret_path: false, without_tls: false }
    }

    /// The same row for a path that holds a secret.
    const fn secret_path(mut self) -> Self {
        self.has_secret_path = true;
        self
    }

    /// The same row, served without TLS, too.
    const fn without_tls(mut self) -> Self {
        self.without_tls = true;
        self
    }
}

macro_rules! page {
    ($method:ident $path:literal anybody $handler:path) => {
        PageRoute::new(stringify!($method), $path, Access::Anybody(|call| Box::pin($handler(call))))
    };
    ($method:ident $path:literal $scope:ident $handler:path) => {
        PageRoute::new(
            stringify!($method),
            $path,
            Access::Session($scope, |call, session| Box::pin($handler(call, session))),
        )
    };
}

/// Every page, and every form.
static PAGES: &[PageRoute] = &[
    page!(GET "/" anybody sign_in::home),
    page!(GET "/sign-in" anybody sign_in::show),
    page!(POST "/sign-in" anybody sign_in::with_key),
    page!(POST "/sign-in/access" anybody access::sign_in),
    page!(GET "/sign-in/:token" anybody sign_in::show_link).secret_path(),
    page!(POST "/sign-in/:token" anybody sign_in::with_link).secret_path(),
    page!(POST "/sign-out" ANY sign_in::out),
    page!(GET "/invitations/:token" anybody invitations::show).secret_path(),
    page!(POST "/invitations/:token" anybody invitations::accept).secret_path(),
    page!(GET "/settings" anybody sign_in::home),
    page!(GET "/settings/keys" READ keys::list),
    page!(GET "/settings/keys/new" WRITE new_key::show),
    page!(POST "/settings/keys/new" WRITE new_key::create),
    page!(GET "/settings/keys/:id" READ key::show),
    page!(GET "/settings/keys/:id/simulate" READ simulation::show),
    page!(GET "/settings/keys/:id/edit" WRITE key::show_edit),
    page!(POST "/settings/keys/:id/edit" WRITE key::edit),
    page!(POST "/settings/keys/:id/rotate" WRITE key::rotate),
    page!(POST "/settings/keys/:id/rotate/finish" WRITE key::finish_rotation),
    page!(POST "/settings/keys/:id/rotate/cancel" WRITE key::cancel_rotation),
    page!(POST "/settings/keys/:id/enable" WRITE key::enable),
    page!(POST "/settings/keys/:id/disable" WRITE key::disable),
    page!(GET "/settings/keys/:id/revoke" WRITE key::show_revoke),
    page!(POST "/settings/keys/:id/revoke" WRITE key::revoke),
    page!(GET "/settings/devices" ANY devices::list),
    page!(POST "/settings/devices/:session/end" WRITE devices::end),
    page!(GET "/settings/people" MEMBERS_READ people::list),
    page!(POST "/settings/people" MANAGE_MEMBERS people::invite),
    page!(GET "/settings/people/:user" MEMBERS_READ people::get),
    page!(POST "/settings/people/:user" MANAGE_MEMBERS people::change_role),
    page!(POST "/settings/people/:user/sign-in-link" MANAGE_MEMBERS people::make_link),
    page!(GET "/settings/people/:user/remove" MEMBERS_WRITE people::ask_to_remove),
    page!(POST "/settings/people/:user/remove" MEMBERS_WRITE people::remove),
    page!(POST "/settings/people/invitations/:invitation/revoke" MANAGE_MEMBERS people::take_back),
    page!(POST "/settings/people/sign-in-links/:link/revoke" MANAGE_MEMBERS people::take_back_link),
    page!(GET "/settings/teams" MEMBERS_READ teams::list),
    page!(POST "/settings/teams" MANAGE_MEMBERS teams::create),
    page!(GET "/settings/teams/:team" MEMBERS_READ teams::get),
    page!(POST "/settings/teams/:team" MANAGE_MEMBERS teams::rename),
    page!(POST "/settings/teams/:team/members" MANAGE_MEMBERS teams::add),
    page!(POST "/settings/teams/:team/members/:user/remove" MANAGE_MEMBERS teams::take_out),
    page!(GET "/settings/teams/:team/delete" MANAGE_MEMBERS teams::ask_to_delete),
    page!(POST "/settings/teams/:team/delete" MANAGE_MEMBERS teams::delete),
    page!(GET "/settings/projects" PROJECTS_READ projects::list),
    page!(POST "/settings/projects" MANAGE_PROJECTS projects::create),
    page!(GET "/settings/projects/:project" PROJECTS_READ projects::get),
    page!(POST "/settings/projects/:project" MANAGE_PROJECTS projects::change),
    page!(GET "/settings/projects/:project/delete" MANAGE_PROJECTS projects::ask_to_delete),
    page!(POST "/settings/projects/:project/delete" MANAGE_PROJECTS projects::delete),
    page!(GET "/settings/organization" ORGANIZATION_READ organization::get),
    page!(POST "/settings/organization" MANAGE_ORGANIZATION organization::change),
    page!(GET "/settings/audit" AUDIT audit::list),
    page!(GET "/settings/audit/export" AUDIT audit::export),
    page!(GET "/settings/assets/:file" anybody assets::get).without_tls(),
    // What begins like a page belongs to the pages.
    page!(GET "/settings/*rest" anybody refused::no_such_page),
];

/// The rows by path.
static PATHS: LazyLock<Paths<&PageRoute>> = LazyLock::new(|| Paths::new(PAGES.iter().map(|page| (page.name, page))));

/// The row for a method and a path, and the path's parameters.
///
/// # Errors
/// [`Problem::NoSuchPath`] or [`Problem::MethodNotAllowed`].
pub fn find<'a>(method: &str, path: &'a str) -> Result<(&'static PageRoute, Params<'a, 'a>), Problem> {
    PATHS.find(method, path)
}

/// The row for a path, whatever the method.
pub(crate) fn at(path: &str) -> Option<&'static PageRoute> {
    PATHS.at(path)
}

/// The page above a path to which only a form leads: where that form is, or where one finds it.
pub(crate) fn above(path: &str) -> Option<&str> {
    let page = at(path)?;
    let (mut template, mut path) = (page.name.path, path);
    while let (Some((above, _)), Some((shorter, _))) = (template.rsplit_once('/'), path.rsplit_once('/')) {
        (template, path) = (above, shorter);
        if PAGES.iter().any(|page| page.name.method == "GET" && page.name.path == template) {
            return Some(path);
        }
    }
    None
}

/// Every page as data: method, path, and the scope or what else it asks for.
pub fn table() -> Vec<(&'static str, &'static str, &'static str)> {
    let access = |page: &'static PageRoute| match &page.access {
        Access::Anybody(_) => "anybody",
        Access::Session(needs, _) => needs.scope.as_ref().map_or("any session", Scope::as_str),
    };
    PAGES.iter().map(|page| (page.name.method, page.name.path, access(page))).collect()
}
