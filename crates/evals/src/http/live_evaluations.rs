//! Live evaluations: `/api/live-evaluations`.

use bitting_http::{
    call::Call,
    input,
    message::Rfc3339,
    paging::{PageBody, PageQuery},
    problem::Problem,
    typed::{Confidential, InBody, InPath, InQuery, Json, MayRepeat, NamesInBody, Whole},
};
use bitting_keys::{
    app::{Principal, error::Error},
    domain::{
        id::{ProjectId, UserId},
        key::{Created, Name},
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
    live_evaluation: LiveEvaluationId,
}

impl ResourcePath for LiveEvaluationPath {
    fn resource(&self) -> Resource {
        Resource::LiveEvaluation(self.live_evaluation)
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
    /// What a person wrote about it.
    description: Option<String>,
    /// The evaluation that was deployed.
    evaluation: EvaluationId,
    /// The columns of what it judges, in their order.
    columns: Vec<InputColumn>,
    /// How it judges.
    judge: Judge,
    /// Whether it runs.
    active: bool,
    /// The text of its key in the answer that makes the key, and empty everywhere else.
    api_key: String,
    /// The beginning and the end of its key's text; null: the key was revoked.
    api_key_preview: Option<String>,
    /// The user whose it is.
    user_id: Option<UserId>,
    /// The project whose it is.
    project_id: Option<ProjectId>,
    /// When it was deployed.
    created_at: Rfc3339,
    /// When it was last changed.
    updated_at: Rfc3339,
}

impl LiveEvaluationBody {
    fn new(live: LiveEvaluation) -> Self {
        Self {
            public_id: live.id,
            name: live.name,
            description: live.description,
            evaluation: live.evaluation_id,
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
    evaluation: EvaluationId,
    /// What to call it; without it as the evaluation.
    name: Option<Name>,
    /// What to note about it.
    description: Option<String>,
}

pub(crate) async fn deploy(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(body), NamesInBody, MayRepeat): (InBody<NewLiveEvaluationBody>, NamesInBody, MayRepeat),
) -> Result<Confidential<LiveEvaluationBody, 201>, Problem> {
    let NewLiveEvaluationBody { evaluation, name, description } = body;
    let new = NewLiveEvaluation { evaluation_id: evaluation, name, description };
    Ok(Confidential(LiveEvaluationBody::with_key(LiveEvaluations::new(call.app).deploy(principal, new).await?)))
}

pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<PageQuery<LiveEvaluationId>>,
) -> Result<Json<PageBody<LiveEvaluationBody>>, Problem> {
    let Whole(limit) = query.limit;
    let page = LiveEvaluations::new(call.app).list(principal, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(page, LiveEvaluationBody::new)))
}

pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<LiveEvaluationPath>,
) -> Result<Json<LiveEvaluationBody>, Problem> {
    Ok(Json(LiveEvaluationBody::new(LiveEvaluations::new(call.app).get(principal, path.live_evaluation).await?)))
}

/// What to change of a live evaluation.
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
    evaluation: Option<EvaluationId>,
}

pub(crate) async fn change(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(body)): (InPath<LiveEvaluationPath>, InBody<ChangeBody>),
) -> Result<Json<LiveEvaluationBody>, Problem> {
    let ChangeBody { name, description, evaluation } = body;
    if name.is_none() && description.is_none() && evaluation.is_none() {
        return Err(Error::Invalid { field: None, message: "There is nothing to change".to_owned() }.into());
    }
    let change = LiveEvaluationChange { name, description, evaluation_id: evaluation, active: None };
    Ok(Json(LiveEvaluationBody::new(
        LiveEvaluations::new(call.app).change(principal, path.live_evaluation, change).await?,
    )))
}

async fn switch(
    call: &Call<'_>,
    principal: &Principal,
    id: LiveEvaluationId,
    active: bool,
) -> Result<Json<LiveEvaluationBody>, Problem> {
    let change = LiveEvaluationChange { active: Some(active), ..LiveEvaluationChange::default() };
    Ok(Json(LiveEvaluationBody::new(LiveEvaluations::new(call.app).change(principal, id, change).await?)))
}

pub(crate) async fn activate(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<LiveEvaluationPath>,
) -> Result<Json<LiveEvaluationBody>, Problem> {
    switch(call, principal, path.live_evaluation, true).await
}

pub(crate) async fn deactivate(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<LiveEvaluationPath>,
) -> Result<Json<LiveEvaluationBody>, Problem> {
    switch(call, principal, path.live_evaluation, false).await
}

pub(crate) async fn regenerate(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), MayRepeat): (InPath<LiveEvaluationPath>, MayRepeat),
) -> Result<Confidential<LiveEvaluationBody>, Problem> {
    Ok(Confidential(LiveEvaluationBody::with_key(
        LiveEvaluations::new(call.app).regenerate(principal, path.live_evaluation).await?,
    )))
}
