//! The one table of routes. A row says the method, the path, who may call, and the handler; a handler
//! that acts for a key cannot be put into a row that asks for none, because it would not compile.

use std::sync::LazyLock;

use matchit::{Params, Router};

use crate::{
    app::{App, Principal, live_evaluations::EXECUTE},
    domain::{catalogue::Catalogue, scope::Scope},
    http::{
        audit, bootstrap, braintrust, confident,
        datasets::{self, DatasetPath},
        error_analysis,
        evaluations::{self, EvaluationPath},
        invitations, keys,
        live_evaluations::{self, LiveEvaluationPath},
        mcp,
        message::{Request, Response},
        openapi::{self, Operation},
        organizations, people,
        problem::Problem,
        review, runs,
        surface::Surface,
        teams, trulayer,
        typed::{Input, Output},
        verify,
    },
    ports::LocalFuture,
};

/// What a handler gives.
pub(crate) type Answer<'a> = LocalFuture<'a, Result<Response, Problem>>;

/// A handler that acts for a key.
pub(crate) type KeyHandler = for<'a> fn(&'a Call<'a>, &'a Principal) -> Answer<'a>;

/// What a handler is given.
pub(crate) struct Call<'a> {
    /// The use cases.
    pub(crate) app: &'a App,
    /// The request.
    pub(crate) request: &'a Request,
    /// The path without its surface's prefix.
    pub(crate) path: &'a str,
    /// The path's parameters, still percent-encoded.
    pub(crate) params: Params<'a, 'a>,
    /// The request's id.
    pub(crate) request_id: &'a str,
}

impl Call<'_> {
    /// A parameter of the path; empty if the route has none of that name.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or_default()
    }
}

/// Who may call a route, and what answers.
pub(crate) enum Access {
    /// Whoever comes: what he shows is in the path.
    Anybody(for<'a> fn(&'a Call<'a>) -> Answer<'a>),
    /// Whoever has the operator's secret.
    Operator(for<'a> fn(&'a Call<'a>) -> Answer<'a>),
    /// Whoever has a good key, with this scope if one is named.
    Key(Option<Scope>, KeyHandler),
}

/// A row of the table.
pub(crate) struct Route {
    /// The method.
    pub(crate) method: &'static str,
    /// The path, without a surface's prefix; `:id`, `:project` and the like stand for its parameters.
    pub(crate) path: &'static str,
    /// Who may call, and what answers.
    pub(crate) access: Access,
    /// What the API's document says of it; the surfaces of others are documented by those others.
    pub(crate) document: Option<Document>,
}

/// What the API's document says of a route, beside its method, its path and who may call.
pub(crate) struct Document {
    /// The handler's name, which names the operation: `keys::create`.
    pub(crate) handler: &'static str,
    /// What it does, in a few words.
    pub(crate) summary: &'static str,
    /// Tells what its handler takes and gives.
    pub(crate) describe: fn(&mut Operation<'_>),
}

impl Document {
    /// The name of the operation, and of the tool: `keys_create`.
    pub(crate) fn operation_id(&self) -> String {
        // Without the type that a generic handler is for.
        let (name, _) = self.handler.split_once("::<").unwrap_or((self.handler, ""));
        name.replace("::", "_")
    }
}

impl Route {
    /// Whether it manages something, so that attempts that are refused belong into the audit trail. To send
    /// traces or to work on data sets and evaluations is to use the product and not to manage it.
    pub(crate) fn manages(&self) -> bool {
        match &self.access {
            Access::Key(Some(scope), _) => {
                let used = ["traces", "datasets", "evaluations", "review"];
                self.method != "GET" && scope.action() == "write" && !used.contains(&scope.resource())
            }
            Access::Anybody(_) | Access::Key(None, _) | Access::Operator(_) => false,
        }
    }

    /// Whether it runs live evaluations, the one thing that their own keys may do.
    pub(crate) fn runs(&self) -> bool {
        matches!(&self.access, Access::Key(Some(scope), _) if *scope == EXECUTE)
    }
}

const READ: Option<Scope> = Some(Scope::named("api-keys:read"));
const WRITE: Option<Scope> = Some(Scope::named("api-keys:write"));
const VERIFY: Option<Scope> = Some(Scope::named("api-keys:verify"));

/// A row. With a summary it is documented, and its handler takes an [`Input`] and gives an [`Output`];
/// without one it gives a [`Response`].
macro_rules! route {
    ($method:literal $path:literal anybody $handler:path, $summary:literal) => {
        Route {
            method: $method,
            path: $path,
            access: Access::Anybody(|call| {
                Box::pin(async { Ok($handler(call, Input::read(call)?).await?.response()) })
            }),
            document: document!($handler, $summary, describe),
        }
    };
    ($method:literal $path:literal operator $handler:path, $summary:literal) => {
        Route {
            method: $method,
            path: $path,
            access: Access::Operator(|call| {
                Box::pin(async { Ok($handler(call, Input::read(call)?).await?.response()) })
            }),
            document: document!($handler, $summary, describe),
        }
    };
    ($method:literal $path:literal $scope:ident $handler:path, $summary:literal) => {
        Route {
            method: $method,
            path: $path,
            access: Access::Key($scope, |call, by| {
                Box::pin(async { Ok($handler(call, by, Input::read(call)?).await?.response()) })
            }),
            document: document!($handler, $summary, describe_for_key),
        }
    };
    ($method:literal $path:literal $scope:ident $handler:path) => {
        Route {
            method: $method,
            path: $path,
            access: Access::Key($scope, |call, by| Box::pin($handler(call, by))),
            document: None,
        }
    };
}

macro_rules! document {
    ($handler:path, $summary:literal, $describe:ident) => {
        Some(Document {
            handler: stringify!($handler),
            summary: $summary,
            // The Worker serves the document as a file, and nothing that makes it belongs into the Worker.
            describe: if cfg!(target_arch = "wasm32") { |_| () } else { |operation| $describe(&$handler, operation) },
        })
    };
}

/// Documents what a handler takes and gives.
fn describe<I: Input, O: Output>(_: &impl AsyncFn(&Call<'_>, I) -> Result<O, Problem>, operation: &mut Operation<'_>) {
    I::describe(operation);
    O::describe(operation);
}

/// The same of a handler that acts for a key.
fn describe_for_key<I: Input, O: Output>(
    _: &impl AsyncFn(&Call<'_>, &Principal, I) -> Result<O, Problem>,
    operation: &mut Operation<'_>,
) {
    I::describe(operation);
    O::describe(operation);
}

const ORGANIZATION_READ: Option<Scope> = Some(Scope::named("organization:read"));
const ORGANIZATION_WRITE: Option<Scope> = Some(Scope::named("organization:write"));
const MEMBERS_READ: Option<Scope> = Some(Scope::named("members:read"));
const MEMBERS_WRITE: Option<Scope> = Some(Scope::named("members:write"));
const PROJECTS_READ: Option<Scope> = Some(Scope::named("projects:read"));
const PROJECTS_WRITE: Option<Scope> = Some(Scope::named("projects:write"));
const DATASETS_READ: Option<Scope> = Some(Scope::named("datasets:read"));
const DATASETS_WRITE: Option<Scope> = Some(Scope::named("datasets:write"));
const ERROR_ANALYSIS_EXECUTE: Option<Scope> = Some(Scope::named("error-analysis:execute"));
const EVALUATIONS_READ: Option<Scope> = Some(Scope::named("evaluations:read"));
const EVALUATIONS_WRITE: Option<Scope> = Some(Scope::named("evaluations:write"));
const TRACES_READ: Option<Scope> = Some(Scope::named("traces:read"));
const TRACES_WRITE: Option<Scope> = Some(Scope::named("traces:write"));
const LIVE_EVALUATIONS_READ: Option<Scope> = Some(Scope::named("live-evaluations:read"));
const LIVE_EVALUATIONS_WRITE: Option<Scope> = Some(Scope::named("live-evaluations:write"));
const LIVE_EVALUATIONS_EXECUTE: Option<Scope> = Some(EXECUTE);
const REVIEW_READ: Option<Scope> = Some(Scope::named("review:read"));
const REVIEW_WRITE: Option<Scope> = Some(Scope::named("review:write"));
const RESULTS_READ: Option<Scope> = Some(Scope::named("results:read"));
const AUDIT_READ: Option<Scope> = Some(Scope::named("audit:read"));
const ANY_KEY: Option<Scope> = None;

/// Every route.
pub(crate) const ROUTES: &[Route] = &[
    route!("GET" "/openapi.json" anybody openapi::get, "This document"),
    route!("POST" "/v1/bootstrap" operator bootstrap::create, "Make the first organization, its owner and his key, once"),
    route!("GET" "/v1/scopes" ANY_KEY keys::scopes, "List every scope, which of them this key holds, bundles and presets"),
    route!("GET" "/v1/keys" READ keys::list, "List keys, the newest first"),
    route!("POST" "/v1/keys" WRITE keys::create, "Make a key"),
    route!("POST" "/v1/keys/verify" VERIFY verify::verify, "Ask whether a key is good, and good for this"),
    route!("GET" "/v1/keys/self" ANY_KEY keys::get_self, "Get the key that asks"),
    route!("GET" "/v1/keys/:id" READ keys::get, "Get a key"),
    route!("PATCH" "/v1/keys/:id" WRITE keys::change, "Change a key"),
    route!("DELETE" "/v1/keys/:id" WRITE keys::revoke, "Revoke a key for good"),
    route!("POST" "/v1/keys/:id/rotate" WRITE keys::rotate, "Give a key a new secret"),
    route!("POST" "/v1/keys/:id/rotate/finish" WRITE keys::finish_rotation, "End the old secret before its time"),
    route!("POST" "/v1/keys/:id/rotate/cancel" WRITE keys::cancel_rotation, "End the new secret and keep the old one"),
    route!("GET" "/v1/keys/:id/events" READ keys::events, "List what happened to a key, the newest first"),
    route!("GET" "/v1/keys/:id/usage" READ keys::usage, "Count how often a key was used on each of the last 30 days"),
    route!("GET" "/v1/organizations" ORGANIZATION_READ organizations::list, "List organizations, the newest first"),
    route!("POST" "/v1/organizations" ORGANIZATION_WRITE organizations::create, "Make an organization, its owner and his key"),
    route!("GET" "/v1/organizations/:organization" ORGANIZATION_READ organizations::get, "Get an organization and its settings"),
    route!("PATCH" "/v1/organizations/:organization" ORGANIZATION_WRITE organizations::change, "Change an organization and its settings"),
    route!("GET" "/v1/organizations/:organization/projects" PROJECTS_READ organizations::list_projects, "List projects, the newest first"),
    route!("POST" "/v1/organizations/:organization/projects" PROJECTS_WRITE organizations::create_project, "Make a project and its first key"),
    route!("GET" "/v1/organizations/:organization/projects/:project" PROJECTS_READ organizations::get_project, "Get a project"),
    route!("PATCH" "/v1/organizations/:organization/projects/:project" PROJECTS_WRITE organizations::change_project, "Change a project"),
    route!("DELETE" "/v1/organizations/:organization/projects/:project" PROJECTS_WRITE organizations::delete_project, "Delete a project and end all its keys"),
    route!("GET" "/v1/audit-events" AUDIT_READ audit::list, "List or export the audit trail, the newest event first"),
    // The people of an organization.
    route!("GET" "/v1/organizations/:organization/members" MEMBERS_READ people::list, "List the people of an organization, the newest first"),
    route!("GET" "/v1/organizations/:organization/members/:user" MEMBERS_READ people::get, "Get somebody of an organization"),
    route!("PATCH" "/v1/organizations/:organization/members/:user" MEMBERS_WRITE people::change, "Change somebody's role"),
    route!("DELETE" "/v1/organizations/:organization/members/:user" MEMBERS_WRITE people::remove, "Remove somebody and end all his keys"),
    route!("POST" "/v1/organizations/:organization/members/:user/sign-in-links" MEMBERS_WRITE people::make_sign_in_link, "Make a link that signs somebody in"),
    route!("GET" "/v1/organizations/:organization/invitations" MEMBERS_READ invitations::list, "List open invitations, the newest first"),
    route!("POST" "/v1/organizations/:organization/invitations" MEMBERS_WRITE invitations::create, "Invite somebody"),
    route!("DELETE" "/v1/organizations/:organization/invitations/:invitation" MEMBERS_WRITE invitations::revoke, "Take an invitation back"),
    route!("GET" "/v1/organizations/:organization/teams" MEMBERS_READ teams::list, "List teams, the newest first"),
    route!("POST" "/v1/organizations/:organization/teams" MEMBERS_WRITE teams::create, "Make a team"),
    route!("GET" "/v1/organizations/:organization/teams/:team" MEMBERS_READ teams::get, "Get a team and everybody in it"),
    route!("PATCH" "/v1/organizations/:organization/teams/:team" MEMBERS_WRITE teams::rename, "Rename a team"),
    route!("DELETE" "/v1/organizations/:organization/teams/:team" MEMBERS_WRITE teams::delete, "Delete a team"),
    route!("PUT" "/v1/organizations/:organization/teams/:team/members/:user" MEMBERS_WRITE teams::add, "Put somebody into a team"),
    route!("DELETE" "/v1/organizations/:organization/teams/:team/members/:user" MEMBERS_WRITE teams::remove, "Take somebody out of a team"),
    route!("GET" "/v1/invitations/:token" anybody invitations::get, "See where an invitation leads to"),
    route!("POST" "/v1/invitations/:token/accept" anybody invitations::accept, "Accept an invitation and get a first key"),
    // Data sets.
    route!("GET" "/api/datasets" DATASETS_READ datasets::list, "List data sets"),
    route!("POST" "/api/datasets" DATASETS_WRITE datasets::create, "Make a data set"),
    route!("POST" "/api/datasets/upload" DATASETS_WRITE datasets::upload, "Upload a data set"),
    route!("GET" "/api/datasets/:dataset" DATASETS_READ datasets::get, "Get a data set and its first rows"),
    route!("PATCH" "/api/datasets/:dataset" DATASETS_WRITE datasets::change, "Change a data set"),
    route!("DELETE" "/api/datasets/:dataset" DATASETS_WRITE datasets::delete, "Delete a data set"),
    route!("POST" "/api/datasets/:dataset/columns" DATASETS_WRITE datasets::add_column, "Add a column"),
    route!("PATCH" "/api/datasets/:dataset/columns/:column" DATASETS_WRITE datasets::change_column, "Change a column"),
    route!("DELETE" "/api/datasets/:dataset/columns/:column" DATASETS_WRITE datasets::remove_column, "Remove a column"),
    route!("GET" "/api/datasets/:dataset/rows" DATASETS_READ datasets::list_rows, "List rows"),
    route!("POST" "/api/datasets/:dataset/rows" DATASETS_WRITE datasets::add_rows, "Add rows"),
    route!("POST" "/api/datasets/:dataset/rows/remove" DATASETS_WRITE datasets::remove_rows, "Remove rows"),
    route!("PATCH" "/api/datasets/:dataset/rows/:row" DATASETS_WRITE datasets::change_row, "Change a row"),
    route!("DELETE" "/api/datasets/:dataset/rows/:row" DATASETS_WRITE datasets::remove_row, "Remove a row"),
    route!("GET" "/api/datasets/:dataset/export" DATASETS_READ datasets::export, "Export all rows"),
    route!("GET" "/api/datasets/:dataset/shares" DATASETS_READ datasets::list_shares::<DatasetPath>, "List shares"),
    route!("PUT" "/api/datasets/:dataset/shares/:grantee" DATASETS_WRITE datasets::share::<DatasetPath>, "Share a data set"),
    route!("DELETE" "/api/datasets/:dataset/shares/:grantee" DATASETS_WRITE datasets::unshare::<DatasetPath>, "End a share"),
    // Evaluations.
    route!("GET" "/api/evaluations" EVALUATIONS_READ evaluations::list, "List evaluations"),
    route!("POST" "/api/evaluations" EVALUATIONS_WRITE evaluations::create, "Make an evaluation"),
    route!("POST" "/api/evaluations/generate" EVALUATIONS_WRITE evaluations::generate, "Generate a draft of an evaluation from a data set"),
    route!("GET" "/api/evaluations/:evaluation" EVALUATIONS_READ evaluations::get, "Get an evaluation"),
    route!("PATCH" "/api/evaluations/:evaluation" EVALUATIONS_WRITE evaluations::change, "Change an evaluation"),
    route!("DELETE" "/api/evaluations/:evaluation" EVALUATIONS_WRITE evaluations::delete, "Delete an evaluation and its variants"),
    route!("GET" "/api/evaluations/:evaluation/variants" EVALUATIONS_READ evaluations::list_variants, "List variants, the newest first"),
    route!("POST" "/api/evaluations/:evaluation/variants" EVALUATIONS_WRITE evaluations::create_variant, "Make a variant"),
    route!("GET" "/api/evaluations/:evaluation/shares" EVALUATIONS_READ evaluations::list_shares::<EvaluationPath>, "List shares"),
    route!("PUT" "/api/evaluations/:evaluation/shares/:grantee" EVALUATIONS_WRITE evaluations::share::<EvaluationPath>, "Share an evaluation and its variants"),
    route!("DELETE" "/api/evaluations/:evaluation/shares/:grantee" EVALUATIONS_WRITE evaluations::unshare::<EvaluationPath>, "End a share"),
    // Live evaluations, and what they have judged.
    route!("GET" "/api/live-evaluations" LIVE_EVALUATIONS_READ live_evaluations::list, "List live evaluations"),
    route!("POST" "/api/live-evaluations" LIVE_EVALUATIONS_WRITE live_evaluations::deploy, "Deploy an evaluation"),
    route!("GET" "/api/live-evaluations/:live_evaluation" LIVE_EVALUATIONS_READ live_evaluations::get, "Get a live evaluation"),
    route!("PATCH" "/api/live-evaluations/:live_evaluation" LIVE_EVALUATIONS_WRITE live_evaluations::change, "Change a live evaluation"),
    route!("POST" "/api/live-evaluations/:live_evaluation/activate" LIVE_EVALUATIONS_WRITE live_evaluations::activate, "Let a live evaluation run"),
    route!("POST" "/api/live-evaluations/:live_evaluation/deactivate" LIVE_EVALUATIONS_WRITE live_evaluations::deactivate, "Let a live evaluation run no more"),
    route!("POST" "/api/live-evaluations/:live_evaluation/regenerate" LIVE_EVALUATIONS_WRITE live_evaluations::regenerate, "Give a live evaluation a new key"),
    route!("POST" "/api/eval/:live_evaluation" LIVE_EVALUATIONS_EXECUTE runs::execute, "Run a live evaluation"),
    route!("GET" "/api/live-evaluations/:live_evaluation/shares" LIVE_EVALUATIONS_READ live_evaluations::list_shares::<LiveEvaluationPath>, "List shares"),
    route!("PUT" "/api/live-evaluations/:live_evaluation/shares/:grantee" LIVE_EVALUATIONS_WRITE live_evaluations::share::<LiveEvaluationPath>, "Share a live evaluation"),
    route!("DELETE" "/api/live-evaluations/:live_evaluation/shares/:grantee" LIVE_EVALUATIONS_WRITE live_evaluations::unshare::<LiveEvaluationPath>, "End a share"),
    route!("GET" "/api/results" RESULTS_READ runs::list, "List runs, the newest first"),
    route!("GET" "/api/results/:run" RESULTS_READ runs::get, "Get a run"),
    // What went wrong in them.
    route!("POST" "/api/error-analysis/suggest-notes" ERROR_ANALYSIS_EXECUTE error_analysis::suggest_notes, "Suggest notes about runs that did not pass"),
    route!("POST" "/api/error-analysis/suggest-categories" ERROR_ANALYSIS_EXECUTE error_analysis::suggest_categories, "Suggest categories for notes about errors"),
    route!("POST" "/api/error-analysis/consolidate-categories" ERROR_ANALYSIS_EXECUTE error_analysis::consolidate_categories, "Suggest fewer categories"),
    // The Model Context Protocol.
    route!("POST" "/mcp" ANY_KEY mcp::answer),
    // The review queue.
    route!("GET" "/api/review" REVIEW_READ review::list, "List what is in the review queue, the newest first"),
    route!("POST" "/api/review" REVIEW_WRITE review::flag, "Flag a run, so that people look at it"),
    route!("GET" "/api/review/:item" REVIEW_READ review::get, "Get an item of the review queue and its run"),
    route!("POST" "/api/review/:item/judge" REVIEW_WRITE review::judge, "Judge an open item"),
    route!("POST" "/api/review/:item/reject" REVIEW_WRITE review::reject, "Reject an open item"),
    route!("POST" "/api/review/:item/promote" REVIEW_WRITE review::promote, "Make a row of a data set of a judged item"),
    // Braintrust's surface.
    route!("GET" "/v1/api_key" READ braintrust::list),
    route!("POST" "/v1/api_key" WRITE braintrust::create),
    route!("GET" "/v1/api_key/:id" READ braintrust::get),
    route!("DELETE" "/v1/api_key/:id" WRITE braintrust::delete),
    // Confident AI's surface, in its two versions.
    route!("GET" "/v1/organization" ORGANIZATION_READ confident::get_organization),
    route!("PUT" "/v1/organization" ORGANIZATION_WRITE confident::update_organization),
    route!("GET" "/v1/organization/api-keys" READ confident::list),
    route!("POST" "/v1/organization/api-keys" WRITE confident::create),
    route!("GET" "/v1/organization/api-keys/:id" READ confident::get),
    route!("PUT" "/v1/organization/api-keys/:id" WRITE confident::update),
    route!("DELETE" "/v1/organization/api-keys/:id" WRITE confident::delete),
    route!("GET" "/v1/projects" PROJECTS_READ confident::list_projects),
    route!("POST" "/v1/projects" PROJECTS_WRITE confident::create_project),
    route!("GET" "/v1/projects/:project" PROJECTS_READ confident::get_project),
    route!("PUT" "/v1/projects/:project" PROJECTS_WRITE confident::update_project),
    route!("DELETE" "/v1/projects/:project" PROJECTS_WRITE confident::delete_project),
    route!("GET" "/v1/projects/:project/api-keys" READ confident::list),
    route!("POST" "/v1/projects/:project/api-keys" WRITE confident::create),
    route!("GET" "/v1/projects/:project/api-keys/:id" READ confident::get),
    route!("PUT" "/v1/projects/:project/api-keys/:id" WRITE confident::update),
    route!("DELETE" "/v1/projects/:project/api-keys/:id" WRITE confident::delete),
    route!("GET" "/v2/organization" ORGANIZATION_READ confident::get_organization),
    route!("PUT" "/v2/organization" ORGANIZATION_WRITE confident::update_organization),
    route!("GET" "/v2/organization/api-keys" READ confident::list),
    route!("POST" "/v2/organization/api-keys" WRITE confident::create),
    route!("GET" "/v2/organization/api-keys/:id" READ confident::get),
    route!("PUT" "/v2/organization/api-keys/:id" WRITE confident::update),
    route!("DELETE" "/v2/organization/api-keys/:id" WRITE confident::delete),
    route!("POST" "/v2/organization/api-keys/:id/rotate" WRITE confident::rotate),
    route!("GET" "/v2/projects" PROJECTS_READ confident::list_projects),
    route!("POST" "/v2/projects" PROJECTS_WRITE confident::create_project),
    route!("GET" "/v2/projects/:project" PROJECTS_READ confident::get_project),
    route!("PUT" "/v2/projects/:project" PROJECTS_WRITE confident::update_project),
    route!("DELETE" "/v2/projects/:project" PROJECTS_WRITE confident::delete_project),
    route!("GET" "/v2/projects/:project/api-keys" READ confident::list),
    route!("POST" "/v2/projects/:project/api-keys" WRITE confident::create),
    route!("GET" "/v2/projects/:project/api-keys/:id" READ confident::get),
    route!("PUT" "/v2/projects/:project/api-keys/:id" WRITE confident::update),
    route!("DELETE" "/v2/projects/:project/api-keys/:id" WRITE confident::delete),
    route!("POST" "/v2/projects/:project/api-keys/:id/rotate" WRITE confident::rotate),
    // TruLayer's surface.
    route!("GET" "/v1/apikeys" READ trulayer::list),
    route!("POST" "/v1/apikeys" WRITE trulayer::create),
    route!("DELETE" "/v1/apikeys/:id" WRITE trulayer::delete),
    route!("POST" "/v1/apikeys/:id/rotate" WRITE trulayer::rotate),
    route!("POST" "/v1/ingest/batch" TRACES_WRITE trulayer::ingest),
    route!("POST" "/v1/feedback" TRACES_WRITE trulayer::feedback),
    route!("POST" "/v1/eval" TRACES_WRITE trulayer::eval),
    route!("GET" "/v1/traces" TRACES_READ trulayer::list_traces),
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

/// The row for a method and a path, and the path's parameters.
///
/// # Errors
/// [`Problem::NoSuchPath`] or [`Problem::MethodNotAllowed`].
pub(crate) fn find<'a>(method: &str, path: &'a str) -> Result<(&'static Route, Params<'a, 'a>), Problem> {
    let matched = BY_PATH.at(path).map_err(|_| Problem::NoSuchPath)?;
    let method = if method == "HEAD" { "GET" } else { method };
    if let Some(route) = matched.value.iter().find(|route| route.method == method) {
        return Ok((route, matched.params));
    }
    let allowed: Vec<&str> = matched.value.iter().map(|route| route.method).collect();
    Err(Problem::MethodNotAllowed(allowed.join(", ")))
}

/// Whether the catalogue and the table fit together.
///
/// # Errors
/// Which scope of a route of the table is missing, or which route of the operator's is in the table's way.
pub fn check(catalogue: &Catalogue) -> Result<(), String> {
    for route in ROUTES {
        if let Access::Key(Some(scope), _) = &route.access {
            let needs = |message| format!("resources: {message}, and {} {} needs it", route.method, route.path);
            catalogue.check(scope).map_err(needs)?;
        }
    }
    for (index, route) in catalogue.routes.iter().enumerate() {
        // Its own parameters match those of the table, or nothing there.
        let (_, path) = Surface::of(&route.path);
        if BY_PATH.at(path.unwrap_or_default()).is_ok() {
            return Err(format!("routes[{index}].path: {} is Bitting's own", route.path));
        }
    }
    Ok(())
}

/// Every route as data: method, path, and the scope or what else it asks for.
pub fn table() -> Vec<(&'static str, &'static str, &'static str)> {
    let access = |route: &'static Route| match &route.access {
        Access::Anybody(_) => "anybody",
        Access::Operator(_) => "operator",
        Access::Key(None, _) => "any key",
        Access::Key(Some(scope), _) => scope.as_str(),
    };
    ROUTES.iter().map(|route| (route.method, route.path, access(route))).collect()
}
