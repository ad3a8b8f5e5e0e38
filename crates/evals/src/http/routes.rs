//! The tables of the evaluations' routes.

use bitting_http::{
    auth::Permission,
    body::MAX_BATCH_BYTES,
    problem, route,
    route::{Route, Table},
};

use crate::http::{datasets, error_analysis, evaluations, live_evaluations, review, runs, traces};

use bitting_keys::domain::catalogue::Surface;

const DATASETS_READ: Permission = Permission::to_use("datasets:read").paid();
const DATASETS_WRITE: Permission = Permission::to_use("datasets:write").paid();
const ERROR_ANALYSIS_EXECUTE: Permission = Permission::to_use("error-analysis:execute").paid();
const EVALUATIONS_READ: Permission = Permission::to_use("evaluations:read").paid();
const EVALUATIONS_WRITE: Permission = Permission::to_use("evaluations:write").paid();
const LIVE_EVALUATIONS_READ: Permission = Permission::to_use("live-evaluations:read").paid();
const LIVE_EVALUATIONS_WRITE: Permission = Permission::to_manage("live-evaluations:write").paid();
const REVIEW_READ: Permission = Permission::to_use("review:read").paid();
const REVIEW_WRITE: Permission = Permission::to_use("review:write").paid();
const RESULTS_READ: Permission = Permission::to_use("results:read").paid();
const LIVE_EVALUATIONS_EXECUTE: Permission = runs::TO_EXECUTE;
const TRACES_READ: Permission = Permission::to_use("traces:read");
const TRACES_WRITE: Permission = Permission::to_use("traces:write");

/// The routes of data sets, evaluations, live evaluations, their runs, and the review queue.
pub static EVALUATIONS: Table = Table {
    surface: Some(Surface::Evaluations),
    prefix: None,
    envelope: problem::envelope,
    rows: &[
        // Data sets.
        route!(GET "/api/datasets" DATASETS_READ datasets::list, "List data sets"),
        route!(POST "/api/datasets" DATASETS_WRITE datasets::create, "Create a data set").limit(MAX_BATCH_BYTES).bulk(),
        route!(POST "/api/datasets/upload" DATASETS_WRITE datasets::upload, "Upload a data set").streamed().bulk(),
        route!(GET "/api/datasets/:dataset_id" DATASETS_READ datasets::get, "Get a data set and its first rows"),
        route!(PATCH "/api/datasets/:dataset_id" DATASETS_WRITE datasets::change, "Change a data set"),
        route!(DELETE "/api/datasets/:dataset_id" DATASETS_WRITE datasets::delete, "Delete a data set"),
        route!(POST "/api/datasets/:dataset_id/columns" DATASETS_WRITE datasets::add_column, "Add a column"),
        route!(PATCH "/api/datasets/:dataset_id/columns/:column" DATASETS_WRITE datasets::change_column, "Change a column"),
        route!(DELETE "/api/datasets/:dataset_id/columns/:column" DATASETS_WRITE datasets::remove_column, "Remove a column"),
        route!(GET "/api/datasets/:dataset_id/rows" DATASETS_READ datasets::list_rows, "List rows"),
        route!(POST "/api/datasets/:dataset_id/rows" DATASETS_WRITE datasets::add_rows, "Add rows")
            .limit(MAX_BATCH_BYTES)
            .bulk(),
        route!(POST "/api/datasets/:dataset_id/rows/remove" DATASETS_WRITE datasets::remove_rows, "Remove rows"),
        route!(PATCH "/api/datasets/:dataset_id/rows/:row_id" DATASETS_WRITE datasets::change_row, "Change a row")
            .bulk(),
        route!(DELETE "/api/datasets/:dataset_id/rows/:row_id" DATASETS_WRITE datasets::remove_row, "Remove a row"),
        route!(GET "/api/datasets/:dataset_id/export" DATASETS_READ datasets::export, "Export all rows"),
        route!(GET "/api/datasets/:dataset_id/shares" DATASETS_READ datasets::list_shares::<datasets::DatasetPath>, "List shares"),
        route!(PUT "/api/datasets/:dataset_id/shares/:grantee_id" DATASETS_WRITE datasets::share::<datasets::DatasetPath>, "Share a data set"),
        route!(DELETE "/api/datasets/:dataset_id/shares/:grantee_id" DATASETS_WRITE datasets::unshare::<datasets::DatasetPath>, "Remove a share"),
        // Evaluations.
        route!(GET "/api/evaluations" EVALUATIONS_READ evaluations::list, "List evaluations"),
        route!(POST "/api/evaluations" EVALUATIONS_WRITE evaluations::create, "Create an evaluation").bulk(),
        route!(POST "/api/evaluations/generate" EVALUATIONS_WRITE evaluations::generate, "Generate a draft of an evaluation"),
        route!(GET "/api/evaluations/:evaluation_id" EVALUATIONS_READ evaluations::get, "Get an evaluation"),
        route!(PATCH "/api/evaluations/:evaluation_id" EVALUATIONS_WRITE evaluations::change, "Change an evaluation").bulk(),
        route!(DELETE "/api/evaluations/:evaluation_id" EVALUATIONS_WRITE evaluations::delete, "Delete an evaluation and its variants"),
        route!(GET "/api/evaluations/:evaluation_id/variants" EVALUATIONS_READ evaluations::list_variants, "List variants, the newest first"),
        route!(POST "/api/evaluations/:evaluation_id/variants" EVALUATIONS_WRITE evaluations::create_variant, "Create a variant").bulk(),
        route!(GET "/api/evaluations/:evaluation_id/shares" EVALUATIONS_READ evaluations::list_shares::<evaluations::EvaluationPath>, "List shares"),
        route!(PUT "/api/evaluations/:evaluation_id/shares/:grantee_id" EVALUATIONS_WRITE evaluations::share::<evaluations::EvaluationPath>, "Share an evaluation and its variants"),
        route!(DELETE "/api/evaluations/:evaluation_id/shares/:grantee_id" EVALUATIONS_WRITE evaluations::unshare::<evaluations::EvaluationPath>, "Remove a share"),
        // Live evaluations and their runs.
        route!(GET "/api/live-evaluations" LIVE_EVALUATIONS_READ live_evaluations::list, "List live evaluations"),
        route!(POST "/api/live-evaluations" LIVE_EVALUATIONS_WRITE live_evaluations::deploy, "Deploy an evaluation"),
        route!(GET "/api/live-evaluations/:live_evaluation_id" LIVE_EVALUATIONS_READ live_evaluations::get, "Get a live evaluation"),
        route!(PATCH "/api/live-evaluations/:live_evaluation_id" LIVE_EVALUATIONS_WRITE live_evaluations::change, "Change a live evaluation"),
        route!(POST "/api/live-evaluations/:live_evaluation_id/activate" LIVE_EVALUATIONS_WRITE live_evaluations::activate, "Activate a live evaluation"),
        route!(POST "/api/live-evaluations/:live_evaluation_id/deactivate" LIVE_EVALUATIONS_WRITE live_evaluations::deactivate, "Deactivate a live evaluation"),
        route!(POST "/api/live-evaluations/:live_evaluation_id/regenerate" LIVE_EVALUATIONS_WRITE live_evaluations::regenerate, "Replace the key of a live evaluation"),
        route!(POST "/api/eval/:live_evaluation_id" LIVE_EVALUATIONS_EXECUTE runs::execute, "Run a live evaluation")
            .bulk(),
        route!(GET "/api/live-evaluations/:live_evaluation_id/shares" LIVE_EVALUATIONS_READ live_evaluations::list_shares::<live_evaluations::LiveEvaluationPath>, "List shares"),
        route!(PUT "/api/live-evaluations/:live_evaluation_id/shares/:grantee_id" LIVE_EVALUATIONS_WRITE live_evaluations::share::<live_evaluations::LiveEvaluationPath>, "Share a live evaluation"),
        route!(DELETE "/api/live-evaluations/:live_evaluation_id/shares/:grantee_id" LIVE_EVALUATIONS_WRITE live_evaluations::unshare::<live_evaluations::LiveEvaluationPath>, "Remove a share"),
        route!(GET "/api/results" RESULTS_READ runs::list, "List runs, the newest first"),
        route!(GET "/api/results/:run_id" RESULTS_READ runs::get, "Get a run"),
        // Error analysis.
        route!(POST "/api/error-analysis/suggest-notes" ERROR_ANALYSIS_EXECUTE error_analysis::suggest_notes, "Suggest notes about failed runs"),
        route!(POST "/api/error-analysis/suggest-categories" ERROR_ANALYSIS_EXECUTE error_analysis::suggest_categories, "Suggest categories for notes"),
        route!(POST "/api/error-analysis/consolidate-categories" ERROR_ANALYSIS_EXECUTE error_analysis::consolidate_categories, "Consolidate categories"),
        // The review queue.
        route!(GET "/api/review" REVIEW_READ review::list, "List the review queue, the newest first"),
        route!(POST "/api/review" REVIEW_WRITE review::flag, "Add a run to the review queue").bulk(),
        route!(GET "/api/review/:item_id" REVIEW_READ review::get, "Get an item of the review queue"),
        route!(POST "/api/review/:item_id/judge" REVIEW_WRITE review::judge, "Judge an item"),
        route!(POST "/api/review/:item_id/reject" REVIEW_WRITE review::reject, "Reject an item"),
        route!(POST "/api/review/:item_id/promote" REVIEW_WRITE review::promote, "Add a judged item to a data set")
            .bulk(),
    ],
};

/// The routes of traces, on the surface of TruLayer, whose libraries send them.
pub const TRACES: &[Route] = &[
    route!(POST "/v1/ingest/batch" TRACES_WRITE traces::ingest).limit(MAX_BATCH_BYTES).bulk(),
    route!(POST "/v1/feedback" TRACES_WRITE traces::feedback).bulk(),
    route!(POST "/v1/eval" TRACES_WRITE traces::eval).bulk(),
    route!(GET "/v1/traces" TRACES_READ traces::list_traces),
];
