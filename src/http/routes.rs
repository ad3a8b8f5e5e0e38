//! The tables of routes. A row says the method, the path, the permission, the handler, and how the body is read.

use std::{ptr, sync::LazyLock};

use matchit::Params;

use crate::{
    app::App,
    domain::{catalogue::Catalogue, scope::Scope},
    http::{
        audit,
        auth::Permission,
        body::MAX_BATCH_BYTES,
        bootstrap, braintrust,
        call::Call,
        confident, datasets, error_analysis, evaluations, invitations, json_rpc, keys, live_evaluations,
        message::Request,
        openapi, organizations, people,
        problem::{self, Envelope, Problem},
        review,
        route::{Access, Route, Table, route},
        router::Paths,
        runs, teams, trulayer, verify,
    },
};

const READ: Permission = Permission::to_use("api-keys:read");
const WRITE: Permission = Permission::to_manage("api-keys:write");
const VERIFY: Permission = Permission::to_use("api-keys:verify");
const ORGANIZATION_READ: Permission = Permission::to_use("organization:read");
const ORGANIZATION_WRITE: Permission = Permission::to_manage("organization:write");
const MEMBERS_READ: Permission = Permission::to_use("members:read");
const MEMBERS_WRITE: Permission = Permission::to_manage("members:write");
const PROJECTS_READ: Permission = Permission::to_use("projects:read");
const PROJECTS_WRITE: Permission = Permission::to_manage("projects:write");
const DATASETS_READ: Permission = Permission::to_use("datasets:read");
const DATASETS_WRITE: Permission = Permission::to_use("datasets:write");
const ERROR_ANALYSIS_EXECUTE: Permission = Permission::to_use("error-analysis:execute");
const EVALUATIONS_READ: Permission = Permission::to_use("evaluations:read");
const EVALUATIONS_WRITE: Permission = Permission::to_use("evaluations:write");
const TRACES_READ: Permission = Permission::to_use("traces:read");
const TRACES_WRITE: Permission = Permission::to_use("traces:write");
const LIVE_EVALUATIONS_READ: Permission = Permission::to_use("live-evaluations:read");
const LIVE_EVALUATIONS_WRITE: Permission = Permission::to_manage("live-evaluations:write");
const REVIEW_READ: Permission = Permission::to_use("review:read");
const REVIEW_WRITE: Permission = Permission::to_use("review:write");
const RESULTS_READ: Permission = Permission::to_use("results:read");
const AUDIT_READ: Permission = Permission::to_use("audit:read");
const LIVE_EVALUATIONS_EXECUTE: Permission = runs::TO_EXECUTE;
const ANY_KEY: Permission = Permission::ANY_KEY;

/// Keys, the organizations and people behind them, and the audit log.
static KEYS: Table = Table {
    prefix: None,
    envelope: problem::envelope,
    paid: false,
    rows: &[
        route!(GET "/openapi.json" anybody openapi::get, "This document"),
        route!(POST "/v1/bootstrap" operator bootstrap::create, "Make the first organization, its owner and his key, once"),
        route!(GET "/v1/scopes" ANY_KEY keys::scopes, "List every scope, which of them this key holds, bundles and presets"),
        route!(GET "/v1/keys" READ keys::list, "List keys, the newest first"),
        route!(POST "/v1/keys" WRITE keys::create, "Make a key"),
        route!(POST "/v1/keys/verify" VERIFY verify::verify, "Ask whether a key is good, and good for this"),
        route!(GET "/v1/keys/self" ANY_KEY keys::get_self, "Get the key that asks"),
        route!(GET "/v1/keys/:id" READ keys::get, "Get a key"),
        route!(PATCH "/v1/keys/:id" WRITE keys::change, "Change a key"),
        route!(DELETE "/v1/keys/:id" WRITE keys::revoke, "Revoke a key for good"),
        route!(POST "/v1/keys/:id/rotate" WRITE keys::rotate, "Give a key a new secret"),
        route!(POST "/v1/keys/:id/rotate/finish" WRITE keys::finish_rotation, "End the old secret before its time"),
        route!(POST "/v1/keys/:id/rotate/cancel" WRITE keys::cancel_rotation, "End the new secret and keep the old one"),
        route!(GET "/v1/keys/:id/events" READ keys::events, "List what happened to a key, the newest first"),
        route!(GET "/v1/keys/:id/usage" READ keys::usage, "Count how often a key was used on each of the last 30 days"),
        route!(GET "/v1/organizations" ORGANIZATION_READ organizations::list, "List organizations, the newest first"),
        route!(POST "/v1/organizations" ORGANIZATION_WRITE organizations::create, "Make an organization, its owner and his key"),
        route!(GET "/v1/organizations/:organization" ORGANIZATION_READ organizations::get, "Get an organization and its settings"),
        route!(PATCH "/v1/organizations/:organization" ORGANIZATION_WRITE organizations::change, "Change an organization and its settings"),
        route!(GET "/v1/organizations/:organization/projects" PROJECTS_READ organizations::list_projects, "List projects, the newest first"),
        route!(POST "/v1/organizations/:organization/projects" PROJECTS_WRITE organizations::create_project, "Make a project and its first key"),
        route!(GET "/v1/organizations/:organization/projects/:project" PROJECTS_READ organizations::get_project, "Get a project"),
        route!(PATCH "/v1/organizations/:organization/projects/:project" PROJECTS_WRITE organizations::change_project, "Change a project"),
        route!(DELETE "/v1/organizations/:organization/projects/:project" PROJECTS_WRITE organizations::delete_project, "Delete a project and end all its keys"),
        route!(GET "/v1/audit-events" AUDIT_READ audit::list, "List or export the audit trail, the newest event first"),
        // The people of an organization.
        route!(GET "/v1/organizations/:organization/members" MEMBERS_READ people::list, "List the people of an organization, the newest first"),
        route!(GET "/v1/organizations/:organization/members/:user" MEMBERS_READ people::get, "Get somebody of an organization"),
        route!(PATCH "/v1/organizations/:organization/members/:user" MEMBERS_WRITE people::change, "Change somebody's role"),
        route!(DELETE "/v1/organizations/:organization/members/:user" MEMBERS_WRITE people::remove, "Remove somebody and end all his keys"),
        route!(POST "/v1/organizations/:organization/members/:user/sign-in-links" MEMBERS_WRITE people::make_sign_in_link, "Make a link that signs somebody in"),
        route!(GET "/v1/organizations/:organization/invitations" MEMBERS_READ invitations::list, "List open invitations, the newest first"),
        route!(POST "/v1/organizations/:organization/invitations" MEMBERS_WRITE invitations::create, "Invite somebody"),
        route!(DELETE "/v1/organizations/:organization/invitations/:invitation" MEMBERS_WRITE invitations::revoke, "Take an invitation back"),
        route!(GET "/v1/organizations/:organization/teams" MEMBERS_READ teams::list, "List teams, the newest first"),
        route!(POST "/v1/organizations/:organization/teams" MEMBERS_WRITE teams::create, "Make a team"),
        route!(GET "/v1/organizations/:organization/teams/:team" MEMBERS_READ teams::get, "Get a team and everybody in it"),
        route!(PATCH "/v1/organizations/:organization/teams/:team" MEMBERS_WRITE teams::rename, "Rename a team"),
        route!(DELETE "/v1/organizations/:organization/teams/:team" MEMBERS_WRITE teams::delete, "Delete a team"),
        route!(PUT "/v1/organizations/:organization/teams/:team/members/:user" MEMBERS_WRITE teams::add, "Put somebody into a team"),
        route!(DELETE "/v1/organizations/:organization/teams/:team/members/:user" MEMBERS_WRITE teams::remove, "Take somebody out of a team"),
        route!(GET "/v1/invitations/:token" anybody invitations::get, "See where an invitation leads to"),
        route!(POST "/v1/invitations/:token/accept" anybody invitations::accept, "Accept an invitation and get a first key"),
    ],
};

/// Data sets, evaluations, their runs, and the review of those.
static EVALUATIONS: Table = Table {
    prefix: None,
    envelope: problem::envelope,
    paid: true,
    rows: &[
        // Data sets.
        route!(GET "/api/datasets" DATASETS_READ datasets::list, "List data sets"),
        route!(POST "/api/datasets" DATASETS_WRITE datasets::create, "Make a data set").limit(MAX_BATCH_BYTES),
        route!(POST "/api/datasets/upload" DATASETS_WRITE datasets::upload, "Upload a data set").streamed(),
        route!(GET "/api/datasets/:dataset" DATASETS_READ datasets::get, "Get a data set and its first rows"),
        route!(PATCH "/api/datasets/:dataset" DATASETS_WRITE datasets::change, "Change a data set"),
        route!(DELETE "/api/datasets/:dataset" DATASETS_WRITE datasets::delete, "Delete a data set"),
        route!(POST "/api/datasets/:dataset/columns" DATASETS_WRITE datasets::add_column, "Add a column"),
        route!(PATCH "/api/datasets/:dataset/columns/:column" DATASETS_WRITE datasets::change_column, "Change a column"),
        route!(DELETE "/api/datasets/:dataset/columns/:column" DATASETS_WRITE datasets::remove_column, "Remove a column"),
        route!(GET "/api/datasets/:dataset/rows" DATASETS_READ datasets::list_rows, "List rows"),
        route!(POST "/api/datasets/:dataset/rows" DATASETS_WRITE datasets::add_rows, "Add rows").limit(MAX_BATCH_BYTES),
        route!(POST "/api/datasets/:dataset/rows/remove" DATASETS_WRITE datasets::remove_rows, "Remove rows"),
        route!(PATCH "/api/datasets/:dataset/rows/:row" DATASETS_WRITE datasets::change_row, "Change a row"),
        route!(DELETE "/api/datasets/:dataset/rows/:row" DATASETS_WRITE datasets::remove_row, "Remove a row"),
        route!(GET "/api/datasets/:dataset/export" DATASETS_READ datasets::export, "Export all rows"),
        route!(GET "/api/datasets/:dataset/shares" DATASETS_READ datasets::list_shares::<datasets::DatasetPath>, "List shares"),
        route!(PUT "/api/datasets/:dataset/shares/:grantee" DATASETS_WRITE datasets::share::<datasets::DatasetPath>, "Share a data set"),
        route!(DELETE "/api/datasets/:dataset/shares/:grantee" DATASETS_WRITE datasets::unshare::<datasets::DatasetPath>, "End a share"),
        // Evaluations.
        route!(GET "/api/evaluations" EVALUATIONS_READ evaluations::list, "List evaluations"),
        route!(POST "/api/evaluations" EVALUATIONS_WRITE evaluations::create, "Make an evaluation"),
        route!(POST "/api/evaluations/generate" EVALUATIONS_WRITE evaluations::generate, "Generate a draft of an evaluation from a data set"),
        route!(GET "/api/evaluations/:evaluation" EVALUATIONS_READ evaluations::get, "Get an evaluation"),
        route!(PATCH "/api/evaluations/:evaluation" EVALUATIONS_WRITE evaluations::change, "Change an evaluation"),
        route!(DELETE "/api/evaluations/:evaluation" EVALUATIONS_WRITE evaluations::delete, "Delete an evaluation and its variants"),
        route!(GET "/api/evaluations/:evaluation/variants" EVALUATIONS_READ evaluations::list_variants, "List variants, the newest first"),
        route!(POST "/api/evaluations/:evaluation/variants" EVALUATIONS_WRITE evaluations::create_variant, "Make a variant"),
        route!(GET "/api/evaluations/:evaluation/shares" EVALUATIONS_READ evaluations::list_shares::<evaluations::EvaluationPath>, "List shares"),
        route!(PUT "/api/evaluations/:evaluation/shares/:grantee" EVALUATIONS_WRITE evaluations::share::<evaluations::EvaluationPath>, "Share an evaluation and its variants"),
        route!(DELETE "/api/evaluations/:evaluation/shares/:grantee" EVALUATIONS_WRITE evaluations::unshare::<evaluations::EvaluationPath>, "End a share"),
        // Live evaluations, and what they have judged.
        route!(GET "/api/live-evaluations" LIVE_EVALUATIONS_READ live_evaluations::list, "List live evaluations"),
        route!(POST "/api/live-evaluations" LIVE_EVALUATIONS_WRITE live_evaluations::deploy, "Deploy an evaluation"),
        route!(GET "/api/live-evaluations/:live_evaluation" LIVE_EVALUATIONS_READ live_evaluations::get, "Get a live evaluation"),
        route!(PATCH "/api/live-evaluations/:live_evaluation" LIVE_EVALUATIONS_WRITE live_evaluations::change, "Change a live evaluation"),
        route!(POST "/api/live-evaluations/:live_evaluation/activate" LIVE_EVALUATIONS_WRITE live_evaluations::activate, "Let a live evaluation run"),
        route!(POST "/api/live-evaluations/:live_evaluation/deactivate" LIVE_EVALUATIONS_WRITE live_evaluations::deactivate, "Let a live evaluation run no more"),
        route!(POST "/api/live-evaluations/:live_evaluation/regenerate" LIVE_EVALUATIONS_WRITE live_evaluations::regenerate, "Give a live evaluation a new key"),
        route!(POST "/api/eval/:live_evaluation" LIVE_EVALUATIONS_EXECUTE runs::execute, "Run a live evaluation"),
        route!(GET "/api/live-evaluations/:live_evaluation/shares" LIVE_EVALUATIONS_READ live_evaluations::list_shares::<live_evaluations::LiveEvaluationPath>, "List shares"),
        route!(PUT "/api/live-evaluations/:live_evaluation/shares/:grantee" LIVE_EVALUATIONS_WRITE live_evaluations::share::<live_evaluations::LiveEvaluationPath>, "Share a live evaluation"),
        route!(DELETE "/api/live-evaluations/:live_evaluation/shares/:grantee" LIVE_EVALUATIONS_WRITE live_evaluations::unshare::<live_evaluations::LiveEvaluationPath>, "End a share"),
        route!(GET "/api/results" RESULTS_READ runs::list, "List runs, the newest first"),
        route!(GET "/api/results/:run" RESULTS_READ runs::get, "Get a run"),
        // What went wrong in them.
        route!(POST "/api/error-analysis/suggest-notes" ERROR_ANALYSIS_EXECUTE error_analysis::suggest_notes, "Suggest notes about runs that did not pass"),
        route!(POST "/api/error-analysis/suggest-categories" ERROR_ANALYSIS_EXECUTE error_analysis::suggest_categories, "Suggest categories for notes about errors"),
        route!(POST "/api/error-analysis/consolidate-categories" ERROR_ANALYSIS_EXECUTE error_analysis::consolidate_categories, "Suggest fewer categories"),
        // The review queue.
        route!(GET "/api/review" REVIEW_READ review::list, "List what is in the review queue, the newest first"),
        route!(POST "/api/review" REVIEW_WRITE review::flag, "Flag a run, so that people look at it"),
        route!(GET "/api/review/:item" REVIEW_READ review::get, "Get an item of the review queue and its run"),
        route!(POST "/api/review/:item/judge" REVIEW_WRITE review::judge, "Judge an open item"),
        route!(POST "/api/review/:item/reject" REVIEW_WRITE review::reject, "Reject an open item"),
        route!(POST "/api/review/:item/promote" REVIEW_WRITE review::promote, "Make a row of a data set of a judged item"),
    ],
};

/// Braintrust's surface.
static BRAINTRUST: Table = Table {
    prefix: Some("/braintrust"),
    envelope: problem::envelope,
    paid: false,
    rows: &[
        route!(GET "/v1/api_key" READ braintrust::list),
        route!(POST "/v1/api_key" WRITE braintrust::create),
        route!(GET "/v1/api_key/:id" READ braintrust::get),
        route!(DELETE "/v1/api_key/:id" WRITE braintrust::delete),
    ],
};

/// Confident AI's surface, in its two versions.
static CONFIDENT: Table = Table {
    prefix: Some("/confident"),
    envelope: confident::envelope,
    paid: false,
    rows: &[
        route!(GET "/v1/organization" ORGANIZATION_READ confident::get_organization),
        route!(PUT "/v1/organization" ORGANIZATION_WRITE confident::update_organization),
        route!(GET "/v1/organization/api-keys" READ confident::list),
        route!(POST "/v1/organization/api-keys" WRITE confident::create),
        route!(GET "/v1/organization/api-keys/:id" READ confident::get),
        route!(PUT "/v1/organization/api-keys/:id" WRITE confident::update),
        route!(DELETE "/v1/organization/api-keys/:id" WRITE confident::delete),
        route!(GET "/v1/projects" PROJECTS_READ confident::list_projects),
        route!(POST "/v1/projects" PROJECTS_WRITE confident::create_project),
        route!(GET "/v1/projects/:project" PROJECTS_READ confident::get_project),
        route!(PUT "/v1/projects/:project" PROJECTS_WRITE confident::update_project),
        route!(DELETE "/v1/projects/:project" PROJECTS_WRITE confident::delete_project),
        route!(GET "/v1/projects/:project/api-keys" READ confident::list),
        route!(POST "/v1/projects/:project/api-keys" WRITE confident::create),
        route!(GET "/v1/projects/:project/api-keys/:id" READ confident::get),
        route!(PUT "/v1/projects/:project/api-keys/:id" WRITE confident::update),
        route!(DELETE "/v1/projects/:project/api-keys/:id" WRITE confident::delete),
        route!(GET "/v2/organization" ORGANIZATION_READ confident::get_organization),
        route!(PUT "/v2/organization" ORGANIZATION_WRITE confident::update_organization),
        route!(GET "/v2/organization/api-keys" READ confident::list),
        route!(POST "/v2/organization/api-keys" WRITE confident::create),
        route!(GET "/v2/organization/api-keys/:id" READ confident::get),
        route!(PUT "/v2/organization/api-keys/:id" WRITE confident::update),
        route!(DELETE "/v2/organization/api-keys/:id" WRITE confident::delete),
        route!(POST "/v2/organization/api-keys/:id/rotate" WRITE confident::rotate),
        route!(GET "/v2/projects" PROJECTS_READ confident::list_projects),
        route!(POST "/v2/projects" PROJECTS_WRITE confident::create_project),
        route!(GET "/v2/projects/:project" PROJECTS_READ confident::get_project),
        route!(PUT "/v2/projects/:project" PROJECTS_WRITE confident::update_project),
        route!(DELETE "/v2/projects/:project" PROJECTS_WRITE confident::delete_project),
        route!(GET "/v2/projects/:project/api-keys" READ confident::list),
        route!(POST "/v2/projects/:project/api-keys" WRITE confident::create),
        route!(GET "/v2/projects/:project/api-keys/:id" READ confident::get),
        route!(PUT "/v2/projects/:project/api-keys/:id" WRITE confident::update),
        route!(DELETE "/v2/projects/:project/api-keys/:id" WRITE confident::delete),
        route!(POST "/v2/projects/:project/api-keys/:id/rotate" WRITE confident::rotate),
    ],
};

/// TruLayer's surface.
static TRULAYER: Table = Table {
    prefix: Some("/trulayer"),
    envelope: trulayer::envelope,
    paid: false,
    rows: &[
        route!(GET "/v1/apikeys" READ trulayer::list),
        route!(POST "/v1/apikeys" WRITE trulayer::create),
        route!(DELETE "/v1/apikeys/:id" WRITE trulayer::delete),
        route!(POST "/v1/apikeys/:id/rotate" WRITE trulayer::rotate),
        route!(POST "/v1/ingest/batch" TRACES_WRITE trulayer::ingest).limit(MAX_BATCH_BYTES),
        route!(POST "/v1/feedback" TRACES_WRITE trulayer::feedback),
        route!(POST "/v1/eval" TRACES_WRITE trulayer::eval),
        route!(GET "/v1/traces" TRACES_READ trulayer::list_traces),
    ],
};

/// The Model Context Protocol.
static MCP: Table =
    Table { prefix: None, envelope: json_rpc::envelope, paid: false, rows: &[route!(POST "/mcp" tools)] };

/// Every table.
static TABLES: [&Table; 6] = [&KEYS, &EVALUATIONS, &BRAINTRUST, &CONFIDENT, &TRULAYER, &MCP];

/// The rows by path. Built once per isolate.
static PATHS: LazyLock<Paths<(&Table, &Route)>> = LazyLock::new(|| {
    let row = |table: &'static Table| table.rows.iter().map(move |route| (route.name, (table, route)));
    Paths::new(tables().flat_map(row))
});

/// Every table.
pub(crate) fn tables() -> impl Iterator<Item = &'static Table> {
    TABLES.into_iter()
}

/// Every row.
pub(crate) fn rows() -> impl Iterator<Item = &'static Route> {
    tables().flat_map(|table| table.rows)
}

/// The row for a request.
pub(crate) struct Found<'a> {
    /// Its table.
    pub(crate) table: &'static Table,
    /// The row.
    pub(crate) route: &'static Route,
    /// The path without the table's prefix.
    path: &'a str,
    /// The path's parameters.
    params: Params<'a, 'a>,
}

impl<'a> Found<'a> {
    /// The call that a request makes of this row.
    pub(crate) fn call(self, app: &'a App, request: &'a Request, request_id: &'a str) -> Call<'a> {
        Call { app, request, row: self.route.name, path: self.path, params: self.params, request_id }
    }
}

/// The row for a method and a path.
///
/// # Errors
/// [`Problem::NoSuchPath`] or [`Problem::MethodNotAllowed`].
pub(crate) fn find<'a>(method: &str, path: &'a str) -> Result<Found<'a>, Problem> {
    let (prefixed, path) = without_prefix(path);
    if let Some(prefixed) = prefixed {
        // Under a prefix there is that table alone.
        PATHS.at(path).filter(|(table, _)| ptr::eq(*table, prefixed)).ok_or(Problem::NoSuchPath)?;
    }
    let ((table, route), params) = PATHS.find(method, path)?;
    Ok(Found { table, route, path, params })
}

/// The shape of errors at a path: that of its surface, also where the surface has no row.
pub(crate) fn envelope(path: &str) -> Envelope {
    let (prefixed, path) = without_prefix(path);
    let stands_at = |table: &Table| table.rows.iter().any(|route| below(mount(route.name.path), path).is_some());
    prefixed.or_else(|| tables().find(|table| stands_at(table))).map_or(problem::envelope, |table| table.envelope)
}

/// The table whose prefix a path has, and the path without it.
fn without_prefix(path: &str) -> (Option<&'static Table>, &str) {
    let prefixed = tables().find_map(|table| Some((table, below(table.prefix?, path)?)));
    prefixed.map_or((None, path), |(table, path)| (Some(table), path))
}

/// The version and the collection with which a path begins: `/v1/traces`. A surface has all that is below.
fn mount(path: &str) -> &str {
    let end = path.match_indices('/').nth(2).map_or(path.len(), |(end, _)| end);
    path.get(..end).unwrap_or(path)
}

/// The rest of a path that is `start` or below it.
fn below<'a>(start: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(start).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the catalogue and the tables fit together.
///
/// # Errors
/// The scope of a route of the tables that is missing, or the operator's route that is in the tables' way.
pub fn check(catalogue: &Catalogue) -> Result<(), String> {
    for route in rows() {
        if let Access::Key(Permission { scope: Some(scope), .. }, _) = &route.access {
            let needs =
                |message| format!("resources: {message}, and {} {} needs it", route.name.method, route.name.path);
            catalogue.check(scope).map_err(needs)?;
        }
    }
    for (index, route) in catalogue.routes.iter().enumerate() {
        // Its own parameters match those of the tables, or nothing there.
        if !matches!(find("GET", &route.path), Err(Problem::NoSuchPath)) {
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
        Access::Key(Permission { scope, .. }, _) => scope.as_ref().map_or("any key", Scope::as_str),
        Access::Tools => "any key",
    };
    rows().map(|route| (route.name.method, route.name.path, access(route))).collect()
}
