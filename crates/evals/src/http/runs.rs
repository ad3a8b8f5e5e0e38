//! Runs of live evaluations: `/api/eval`, and what came of them: `/api/results`.

use bitting_http::{
    auth::{Permission, admit, identify},
    call::Call,
    message::Rfc3339,
    paging::{Limit, Listed, PageBody},
    problem::Problem,
    typed::{InBody, InPath, InQuery, Json, MayRepeat, Whole},
};
use bitting_keys::{
    app::Principal,
    domain::{
        id::{KeyId, UserId},
        lookup::Freshness,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::runs::Runs,
    domain::{
        dataset::DatasetRow,
        id::{EvaluationId, LiveEvaluationId, RunId},
        run::{Run, RunFilter, RunState},
    },
};

/// A run of a live evaluation and its judgment.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Run")]
pub(crate) struct RunBody {
    /// Its id.
    public_id: RunId,
    /// The live evaluation.
    live_evaluation_id: LiveEvaluationId,
    /// The evaluation that was deployed then.
    evaluation_id: EvaluationId,
    /// The state of the run.
    state: RunState,
    /// The verdict; null while there is none.
    judgment: Option<String>,
    /// True if the judgment passed.
    passed: Option<bool>,
    /// The score from 0 to 1, if the judge gives one.
    score: Option<f64>,
    /// An explanation for people.
    explanation: Option<String>,
    /// The time of the start.
    created_at: Rfc3339,
    /// The time of the end.
    finished_at: Option<Rfc3339>,
}

impl Listed for RunBody {
    fn cursor(&self) -> String {
        self.public_id.to_string()
    }
}

impl RunBody {
    fn new(run: Run) -> Self {
        let (judgment, passed, score, explanation) = match run.judgment {
            Some(judgment) => {
                (Some(judgment.verdict), Some(judgment.passed), judgment.score, Some(judgment.explanation))
            }
            None => (None, None, None, None),
        };
        Self {
            public_id: run.id,
            live_evaluation_id: run.live_evaluation_id,
            evaluation_id: run.evaluation_id,
            state: run.state,
            judgment,
            passed,
            score,
            explanation,
            created_at: Rfc3339(run.created_at),
            finished_at: run.finished_at.map(Rfc3339),
        }
    }
}

/// The permission to run a live evaluation.
pub(crate) const TO_EXECUTE: Permission = Permission::to_use("live-evaluations:execute").bound().paid();

/// The live evaluation that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ExecutePath {
    /// The live evaluation's id.
    live_evaluation_id: LiveEvaluationId,
}

/// The values to judge.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewRun")]
pub(crate) struct NewRunBody {
    /// Values by the names of the evaluation's columns.
    inputs: DatasetRow,
}

/// Runs a live evaluation on inputs, and returns the judgment. A run costs one credit. It is returned if the
/// language model cannot be reached, and spent if its answer is of no use.
pub(crate) async fn execute(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(ExecutePath { live_evaluation_id }), InBody(body), MayRepeat): (
        InPath<ExecutePath>,
        InBody<NewRunBody>,
        MayRepeat,
    ),
) -> Result<Json<RunBody>, Problem> {
    let run = Runs::new(call.app).execute(principal, live_evaluation_id, body.inputs).await?;
    // A model takes its time. The run is stored and paid for, and nobody is told of it whose key ended meanwhile.
    if call.app.still_good(principal).is_err() {
        let again = identify(call.app, call.request, call.request_id, Freshness::Strong).await?;
        admit(call.app, &again, &TO_EXECUTE)?;
    }
    Ok(Json(RunBody::new(run)))
}

/// The runs to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The maximum number of runs on the page. A page also ends when its runs are about 1 MB long.
    #[serde(default)]
    limit: Limit,
    /// The id of the last run of the page before.
    starting_after: Option<RunId>,
    /// Runs of this live evaluation.
    live_evaluation_id: Option<LiveEvaluationId>,
    /// Runs that passed, or those that did not.
    passed: Option<bool>,
}

/// Lists the runs of live evaluations, the newest first.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Json<PageBody<RunBody>>, Problem> {
    let Whole(limit) = query.limit;
    let filter = RunFilter { live_evaluation_id: query.live_evaluation_id, passed: query.passed };
    let page = Runs::new(call.app).list(principal, filter, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(page, RunBody::new)))
}

/// The run that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RunPath {
    /// The run's id.
    run_id: RunId,
}

/// A run with what was judged, and who ran it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunDetails")]
pub(crate) struct DetailsBody {
    #[serde(flatten)]
    about: RunBody,
    /// The values that were judged.
    inputs: DatasetRow,
    /// The key that ran it.
    key_id: KeyId,
    /// The user as whom that key acted; null: none.
    user_id: Option<UserId>,
}

/// Returns a run with its inputs.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(RunPath { run_id }): InPath<RunPath>,
) -> Result<Json<DetailsBody>, Problem> {
    let run = Runs::new(call.app).get(principal, run_id).await?;
    let (inputs, key_id, user_id) = (run.inputs.clone(), run.key_id, run.user_id);
    Ok(Json(DetailsBody { about: RunBody::new(run), inputs, key_id, user_id }))
}
