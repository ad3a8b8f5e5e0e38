//! Live evaluations: `/api/live-evaluations`.

use bitting_http::{
    call::Call,
    input,
    message::Rfc3339,
    paging::{Listed, PageBody, PageQuery},
    problem::Problem,
    typed::{Confidential, IfMatch, InBody, InPath, InQuery, Json, MayRepeat, NamesInBody, Version, Versioned, Whole},
};
use bitting_keys::{
    app::{Principal, error::Error},
    domain::{
        expected::Expected,
        id::{ProjectId, UserId},
        key::{Created, Name},
        time::UnixMillis,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::live_evaluations::{LiveEvaluations, NewLiveEvaluation},
    domain::{
        access::Resource,
        evaluation::InputColumn,
        id::{EvaluationId, LiveEvaluationId},
        judge::Judge,
        live_evaluation::{LiveEvaluation, LiveEvaluationChange},
    },
    http::shares::ResourcePath,
};

pub(crate) use crate::http::shares::{list_shares, share, unshare};

/// The live evaluation that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct LiveEvaluationPath {
    /// The live evaluation's id.
    live_evaluation_id: LiveEvaluationId,
}

impl ResourcePath for LiveEvaluationPath {
    fn resource(&self) -> Resource {
        Resource::LiveEvaluation(self.live_evaluation_id)
    }
}

/// A live evaluation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LiveEvaluation")]
pub(crate) struct LiveEvaluationBody {
    /// Its id.
    public_id: LiveEvaluationId,
    /// Its name.
    name: Name,
    /// A description for people.
    description: Option<String>,
    /// The evaluation that was deployed.
    evaluation_id: EvaluationId,
    /// The columns of what it judges, in their order.
    columns: Vec<InputColumn>,
    /// The judge.
    judge: Judge,
    /// True if it accepts runs.
    active: bool,
    /// The text of its key in the answer that makes the key, and empty everywhere else.
    api_key: String,
    /// The beginning and the end of its key's text; null: the key was revoked.
    api_key_preview: Option<String>,
    /// The user whose it is.
    user_id: Option<UserId>,
    /// The project whose it is.
    project_id: Option<ProjectId>,
    /// The time of deployment.
    created_at: Rfc3339,
    /// The time of the last change.
    updated_at: Rfc3339,
}

impl Version for LiveEvaluationBody {
    fn version(&self) -> UnixMillis {
        self.updated_at.0
    }
}

impl Listed for LiveEvaluationBody {
    fn cursor(&self) -> String {
        self.public_id.to_string()
    }
}

impl LiveEvaluationBody {
    fn new(live: LiveEvaluation) -> Self {
        Self {
            public_id: live.id,
            name: live.name,
            description: live.description,
            evaluation_id: live.evaluation_id,
            columns: live.config.columns,
            judge: live.config.judge,
            active: live.active,
            api_key: String::new(),
            api_key_preview: live.key.map(|key| key.preview),
            user_id: live.user_id,
            project_id: live.project_id,
            created_at: Rfc3339(live.created_at),
            updated_at: Rfc3339(live.updated_at),
        }
    }

    fn with_key((live, created): (LiveEvaluation, Created)) -> Self {
        Self { api_key: created.text.expose().to_owned(), ..Self::new(live) }
    }
}

/// An evaluation to be deployed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewLiveEvaluation")]
pub(crate) struct NewLiveEvaluationBody {
    /// The evaluation, which is taken as it is now.
    evaluation_id: EvaluationId,
    /// The name. By default, the name of the evaluation.
    name: Option<Name>,
    /// A description for people.
    description: Option<String>,
}

/// Deploys an evaluation as a live evaluation, and returns its key once.
pub(crate) async fn deploy(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(body), NamesInBody, MayRepeat): (InBody<NewLiveEvaluationBody>, NamesInBody, MayRepeat),
) -> Result<Confidential<LiveEvaluationBody, 201>, Problem> {
    let NewLiveEvaluationBody { evaluation_id, name, description } = body;
    let new = NewLiveEvaluation { evaluation_id, name, description };
    Ok(Confidential(LiveEvaluationBody::with_key(LiveEvaluations::new(call.app).deploy(principal, new).await?)))
}

/// Lists the live evaluations that the caller owns or that are shared with them, the newest first.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<PageQuery<LiveEvaluationId>>,
) -> Result<Json<PageBody<LiveEvaluationBody>>, Problem> {
    let Whole(limit) = query.limit;
    let page = LiveEvaluations::new(call.app).list(principal, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(page, LiveEvaluationBody::new)))
}

/// Returns a live evaluation.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<LiveEvaluationPath>,
) -> Result<Versioned<LiveEvaluationBody>, Problem> {
    Ok(Versioned(LiveEvaluationBody::new(
        LiveEvaluations::new(call.app).get(principal, path.live_evaluation_id).await?,
    )))
}

/// The changes to a live evaluation. A field that is left out stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LiveEvaluationChange", extend("minProperties" = 1))]
pub(crate) struct ChangeBody {
    /// The name.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// The note about it; null takes it away.
    #[serde(default, deserialize_with = "input::present")]
    description: Option<Option<String>>,
    /// The evaluation whose columns and judge it takes over, as they are now.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "EvaluationId")]
    evaluation_id: Option<EvaluationId>,
}

/// Changes the name or the description of a live evaluation, or takes over the columns and the judge that an evaluation
/// has now.
pub(crate) async fn change(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), IfMatch(expected), InBody(body)): (InPath<LiveEvaluationPath>, IfMatch, InBody<ChangeBody>),
) -> Result<Versioned<LiveEvaluationBody>, Problem> {
    let ChangeBody { name, description, evaluation_id } = body;
    if name.is_none() && description.is_none() && evaluation_id.is_none() {
        return Err(Error::invalid_request("There is nothing to change").into());
    }
    let change = LiveEvaluationChange { name, description, evaluation_id, active: None };
    Ok(Versioned(LiveEvaluationBody::new(
        LiveEvaluations::new(call.app).change(principal, path.live_evaluation_id, change, expected).await?,
    )))
}

async fn switch(
    call: &Call<'_>,
    principal: &Principal,
    id: LiveEvaluationId,
    active: bool,
) -> Result<Json<LiveEvaluationBody>, Problem> {
    let change = LiveEvaluationChange { active: Some(active), ..LiveEvaluationChange::default() };
    Ok(Json(LiveEvaluationBody::new(
        LiveEvaluations::new(call.app).change(principal, id, change, Expected::ANY).await?,
    )))
}

/// Activates a live evaluation, which then accepts runs.
pub(crate) async fn activate(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<LiveEvaluationPath>,
) -> Result<Json<LiveEvaluationBody>, Problem> {
    switch(call, principal, path.live_evaluation_id, true).await
}

/// Deactivates a live evaluation, which then refuses runs.
pub(crate) async fn deactivate(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<LiveEvaluationPath>,
) -> Result<Json<LiveEvaluationBody>, Problem> {
    switch(call, principal, path.live_evaluation_id, false).await
}

/// Replaces the key of a live evaluation, and returns the new one once.
pub(crate) async fn regenerate(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), MayRepeat): (InPath<LiveEvaluationPath>, MayRepeat),
) -> Result<Confidential<LiveEvaluationBody>, Problem> {
    Ok(Confidential(LiveEvaluationBody::with_key(
        LiveEvaluations::new(call.app).regenerate(principal, path.live_evaluation_id).await?,
    )))
}
