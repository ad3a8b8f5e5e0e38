//! Evaluations: `/api/evaluations`.

use bitting_http::{
    call::Call,
    deleted::DeletedBody,
    input,
    message::Rfc3339,
    paging::{Listed, PageBody, PageQuery, page_too_long},
    problem::Problem,
    typed::{IfMatch, InBody, InPath, InQuery, Json, MayRepeat, NamesInBody, Version, Versioned, Whole},
};
use bitting_keys::{
    app::{Principal, error::Error},
    domain::{
        id::{ProjectId, UserId},
        key::Name,
        page::Page,
        time::UnixMillis,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::evaluations::{EvaluationChange, Evaluations},
    domain::{
        access::{AccessLevel, Part, Permitted, Resource},
        dataset::MAX_COLUMNS,
        evaluation::{Evaluation, EvaluationConfig, InputColumn},
        generate::Agreement,
        id::{DatasetId, EvaluationId},
        judge::Judge,
    },
    http::shares::ResourcePath,
};

/// The number of evaluations that can be paged by number. Later pages are asked for by an id, which costs the same for
/// each.
const MAX_NUMBERED: i64 = 10_000;

pub(crate) use crate::http::shares::{list_shares, share, unshare};

/// The evaluation that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct EvaluationPath {
    /// The evaluation's id.
    evaluation_id: EvaluationId,
}

impl ResourcePath for EvaluationPath {
    fn resource(&self) -> Resource {
        Resource::Evaluation(self.evaluation_id)
    }
}

/// An evaluation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Evaluation")]
pub(crate) struct EvaluationBody {
    /// Its id.
    public_id: EvaluationId,
    /// Its name.
    name: Name,
    /// A description for people.
    description: Option<String>,
    /// The columns of what is judged, in their order.
    columns: Vec<InputColumn>,
    /// The judge.
    judge: Judge,
    /// True if it was generated and is not approved yet. A draft cannot be deployed.
    draft: bool,
    /// The evaluation of which it is a variant.
    base_id: Option<EvaluationId>,
    /// The data set that it was generated from.
    dataset_id: Option<DatasetId>,
    /// The user whose it is.
    user_id: Option<UserId>,
    /// The project whose it is.
    project_id: Option<ProjectId>,
    /// The access of the key that asks.
    access: AccessLevel,
    /// The time of creation.
    created_at: Rfc3339,
    /// The time of the last change.
    updated_at: Rfc3339,
}

impl EvaluationBody {
    fn new(Permitted { item: evaluation, permission: access }: Permitted<Evaluation>) -> Self {
        Self {
            public_id: evaluation.id,
            name: evaluation.name,
            description: evaluation.description,
            columns: evaluation.config.columns,
            judge: evaluation.config.judge,
            draft: evaluation.draft,
            base_id: evaluation.base_id,
            dataset_id: evaluation.dataset_id,
            user_id: evaluation.user_id,
            project_id: evaluation.project_id,
            access,
            created_at: Rfc3339(evaluation.created_at),
            updated_at: Rfc3339(evaluation.updated_at),
        }
    }
}

/// The evaluations to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The number of the page, from 1. Pages by number go as far as 10,000 evaluations.
    page: Option<Whole<1, 10_000>>,
    /// The number of evaluations on a page.
    #[serde(default)]
    page_size: Whole<1, 100, 25>,
    /// Instead of `page`: the id of the last evaluation of the page before. However far the page is, it is found at once.
    starting_after: Option<EvaluationId>,
    /// True to leave variants out.
    #[serde(default)]
    base_only: bool,
}

/// A page of evaluations.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EvaluationPage")]
pub(crate) struct EvaluationPageBody {
    /// The evaluations, the newest first.
    items: Vec<EvaluationBody>,
    /// The number of this page; null if it was asked for by an id.
    page: Option<i64>,
    /// The number of evaluations on a page.
    page_size: i64,
    /// True if there are more evaluations after this page.
    has_more: bool,
    /// The cursor of the next page: send it as `starting_after`. Null on the last page.
    next_cursor: Option<String>,
}

impl Version for EvaluationBody {
    fn version(&self) -> UnixMillis {
        self.updated_at.0
    }
}

impl Listed for EvaluationBody {
    fn cursor(&self) -> String {
        self.public_id.to_string()
    }
}

impl EvaluationPageBody {
    fn new(found: Page<Permitted<Evaluation>>, page: Option<i64>, page_size: i64) -> Self {
        let items: Vec<EvaluationBody> = found.items.into_iter().map(EvaluationBody::new).collect();
        let next_cursor = items.last().filter(|_| found.has_more).map(Listed::cursor);
        Self { items, page, page_size, has_more: found.has_more, next_cursor }
    }
}

/// Lists the evaluations that the caller owns or that are shared with them, the newest first.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Json<EvaluationPageBody>, Problem> {
    let Whole(limit) = query.page_size;
    let (page, after) = match (query.page, query.starting_after) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("page", "give either `page` or `starting_after`, not both").into());
        }
        (None, after @ Some(_)) => (None, after),
        (page, None) => (Some(page.unwrap_or_default().0), None),
    };
    let skip = (page.unwrap_or(1) - 1) * limit;
    if skip + limit > MAX_NUMBERED {
        let message = format!("pages by number end at {MAX_NUMBERED} evaluations; go on with `starting_after`");
        return Err(Error::invalid("page", message).into());
    }
    let found = Evaluations::new(call.app).list(principal, query.base_only, Part { after, skip, limit }).await?;
    if page.is_some() && found.has_more && i64::try_from(found.items.len()).is_ok_and(|items| items < limit) {
        return Err(page_too_long());
    }
    Ok(Json(EvaluationPageBody::new(found, page, limit)))
}

/// An evaluation to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewEvaluation")]
pub(crate) struct NewEvaluationBody {
    /// Its name.
    name: Name,
    /// A description for people.
    description: Option<String>,
    /// The columns of what is judged, in their order.
    #[schemars(length(min = 1, max = MAX_COLUMNS))]
    columns: Vec<InputColumn>,
    /// The judge.
    judge: Judge,
}

/// Creates an evaluation from its input columns and its judge.
pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(body), MayRepeat): (InBody<NewEvaluationBody>, MayRepeat),
) -> Result<Json<EvaluationBody, 201>, Problem> {
    let config = EvaluationConfig { columns: body.columns, judge: body.judge };
    Ok(Json(EvaluationBody::new(
        Evaluations::new(call.app).create(principal, body.name, body.description, config).await?,
    )))
}

/// The data set to generate an evaluation from.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewGenerated")]
pub(crate) struct GenerateBody {
    /// The id of a data set.
    dataset_id: DatasetId,
    /// The evaluation's name; that of the data set if you say nothing.
    name: Option<Name>,
}

/// A draft that was generated.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Generated")]
pub(crate) struct GeneratedBody {
    #[serde(flatten)]
    about: EvaluationBody,
    /// The agreement of its judge with the verdicts of people; null if the judge is a model, or if there are no
    /// verdicts.
    agreement: Option<Agreement>,
}

/// Generates a draft of an evaluation from the rows of a data set and the verdicts of people.
pub(crate) async fn generate(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(body), NamesInBody, MayRepeat): (InBody<GenerateBody>, NamesInBody, MayRepeat),
) -> Result<Json<GeneratedBody, 201>, Problem> {
    let (generated, agreement) = Evaluations::new(call.app).generate(principal, body.dataset_id, body.name).await?;
    Ok(Json(GeneratedBody { about: EvaluationBody::new(generated), agreement }))
}

/// Returns an evaluation.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(EvaluationPath { evaluation_id }): InPath<EvaluationPath>,
) -> Result<Versioned<EvaluationBody>, Problem> {
    Ok(Versioned(EvaluationBody::new(Evaluations::new(call.app).get(principal, evaluation_id).await?)))
}

/// The changes to an evaluation. A field that is left out stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EvaluationChange", extend("minProperties" = 1))]
pub(crate) struct ChangeBody {
    /// The name.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// The note about it; null takes it away.
    #[serde(default, deserialize_with = "input::present")]
    description: Option<Option<String>>,
    /// The columns of what is judged.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Vec<InputColumn>", length(min = 1, max = MAX_COLUMNS))]
    columns: Option<Vec<InputColumn>>,
    /// The judge.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Judge")]
    judge: Option<Judge>,
    /// `false` to approve a draft. An approved evaluation does not become a draft again.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "bool", extend("const" = false))]
    draft: Option<bool>,
}

/// Changes an evaluation. Live evaluations that are deployed keep the judge that they were deployed with.
pub(crate) async fn change(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(EvaluationPath { evaluation_id }), IfMatch(expected), InBody(body)): (
        InPath<EvaluationPath>,
        IfMatch,
        InBody<ChangeBody>,
    ),
) -> Result<Versioned<EvaluationBody>, Problem> {
    let ChangeBody { name, description, columns, judge, draft } = body;
    if name.is_none() && description.is_none() && columns.is_none() && judge.is_none() && draft.is_none() {
        return Err(Error::invalid_request("There is nothing to change").into());
    }
    if draft == Some(true) {
        return Err(Error::invalid("draft", "must be false: only a generated evaluation is a draft").into());
    }
    let change = EvaluationChange { name, description, columns, judge, reviewed: draft.is_some() };
    let changed = Evaluations::new(call.app).change(principal, evaluation_id, change, expected).await?;
    Ok(Versioned(EvaluationBody::new(changed)))
}

/// Deletes an evaluation and its variants.
pub(crate) async fn delete(
    call: &Call<'_>,
    principal: &Principal,
    InPath(EvaluationPath { evaluation_id }): InPath<EvaluationPath>,
) -> Result<Json<DeletedBody>, Problem> {
    Evaluations::new(call.app).delete(principal, evaluation_id).await?;
    Ok(Json(DeletedBody::new(call, evaluation_id)))
}

/// Lists the variants of an evaluation, the newest first.
pub(crate) async fn list_variants(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(EvaluationPath { evaluation_id }), InQuery(query)): (
        InPath<EvaluationPath>,
        InQuery<PageQuery<EvaluationId>>,
    ),
) -> Result<Json<PageBody<EvaluationBody>>, Problem> {
    let Whole(limit) = query.limit;
    let found = Evaluations::new(call.app).list_variants(principal, evaluation_id, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(found, EvaluationBody::new)))
}

/// A variant to be made: what is not said is as it is in the evaluation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewVariant")]
pub(crate) struct NewVariantBody {
    /// Its name.
    name: Name,
    /// A description for people; null for none.
    #[serde(default, deserialize_with = "input::present")]
    description: Option<Option<String>>,
    /// The columns of what is judged, in their order.
    #[schemars(length(min = 1, max = MAX_COLUMNS))]
    columns: Option<Vec<InputColumn>>,
    /// The judge.
    judge: Option<Judge>,
}

/// Creates a variant of an evaluation. A variant has the owner and the shares of its base.
pub(crate) async fn create_variant(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(EvaluationPath { evaluation_id }), InBody(body), MayRepeat): (
        InPath<EvaluationPath>,
        InBody<NewVariantBody>,
        MayRepeat,
    ),
) -> Result<Json<EvaluationBody, 201>, Problem> {
    let NewVariantBody { name, description, columns, judge } = body;
    let change = EvaluationChange { name: Some(name), description, columns, judge, reviewed: false };
    Ok(Json(EvaluationBody::new(Evaluations::new(call.app).create_variant(principal, evaluation_id, change).await?)))
}
