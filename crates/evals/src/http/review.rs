//! The review queue: `/api/review`.

use bitting_http::{
    call::Call,
    message::Rfc3339,
    paging::{Limit, Listed, PageBody},
    problem::Problem,
    typed::{InBody, InPath, InQuery, Json, MayRepeat, NamesInBody, Whole},
};
use bitting_keys::{
    app::Principal,
    domain::{
        id::{KeyId, UserId},
        key::Name,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::review::Reviews,
    domain::{
        access::{AccessLevel, Permitted},
        dataset::DatasetRow,
        id::{DatasetId, LiveEvaluationId, ReviewId, RunId},
        judge::Judgment,
        review::{Attribution, ReviewFilter, ReviewItem, ReviewState},
    },
};

/// The item that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ItemPath {
    /// The item's id.
    item_id: ReviewId,
}

/// The author and the time of a step.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Deed")]
struct AttributionBody {
    /// The time.
    at: Rfc3339,
    /// The key that did it.
    key_id: KeyId,
    /// The user as whom it acted.
    user_id: Option<UserId>,
}

impl AttributionBody {
    fn new(deed: Attribution) -> Self {
        Self { at: Rfc3339(deed.at), key_id: deed.key_id, user_id: deed.user_id }
    }
}

/// A run that people look at.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReviewItem")]
pub(crate) struct ItemBody {
    /// Its id.
    public_id: ReviewId,
    /// The run.
    run_id: RunId,
    /// The live evaluation of the run.
    live_evaluation_id: LiveEvaluationId,
    /// The state of the item.
    state: ReviewState,
    /// The reason for the flag.
    reason: Option<String>,
    /// A person's verdict.
    verdict: Option<Name>,
    /// True if the verdict is a passing one; null if the person did not tell.
    passed: Option<bool>,
    /// The reason for the verdict or the rejection.
    notes: Option<String>,
    /// The data set that it was promoted into.
    dataset_id: Option<DatasetId>,
    /// The row there.
    row_id: Option<i64>,
    /// The person or key that flagged the run.
    flagged: AttributionBody,
    /// The person or key that judged or rejected the item.
    decided: Option<AttributionBody>,
    /// The person or key that promoted the item.
    promoted: Option<AttributionBody>,
}

impl Listed for ItemBody {
    fn cursor(&self) -> String {
        self.public_id.to_string()
    }
}

impl ItemBody {
    fn new(item: ReviewItem) -> Self {
        Self {
            public_id: item.id,
            run_id: item.run_id,
            live_evaluation_id: item.live_evaluation_id,
            state: item.state,
            reason: item.reason,
            verdict: item.verdict,
            passed: item.passed,
            notes: item.notes,
            dataset_id: item.row.map(|(dataset_id, _)| dataset_id),
            row_id: item.row.map(|(_, row_id)| row_id),
            flagged: AttributionBody::new(item.flagged),
            decided: item.decided.map(AttributionBody::new),
            promoted: item.promoted.map(AttributionBody::new),
        }
    }
}

/// The items to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The state of the items. By default, any.
    state: Option<ReviewState>,
    /// The live evaluation whose runs they are.
    live_evaluation_id: Option<LiveEvaluationId>,
    /// The maximum number of items on the page. A page also ends when its items are about 1 MB long.
    #[serde(default)]
    limit: Limit,
    /// The id of the last item of the page before.
    starting_after: Option<ReviewId>,
}

/// Lists the items of the review queue, the newest first.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Json<PageBody<ItemBody>>, Problem> {
    let Whole(limit) = query.limit;
    let filter = ReviewFilter { state: query.state, live_evaluation_id: query.live_evaluation_id };
    let page = Reviews::new(call.app).list(principal, filter, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(page, ItemBody::new)))
}

/// A run that people look at, with what was judged.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReviewDetails")]
pub(crate) struct DetailsBody {
    #[serde(flatten)]
    about: ItemBody,
    /// The values that were judged.
    inputs: DatasetRow,
    /// The judgment of the run.
    judgment: Option<Judgment>,
    /// The access of the key that asks.
    access: AccessLevel,
}

/// Returns an item of the review queue with its run.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(ItemPath { item_id }): InPath<ItemPath>,
) -> Result<Json<DetailsBody>, Problem> {
    let Permitted { item: details, permission: access } = Reviews::new(call.app).get(principal, item_id).await?;
    let about = ItemBody::new(details.item);
    Ok(Json(DetailsBody { about, inputs: details.inputs, judgment: details.judgment, access }))
}

/// A run to look at.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewReviewItem")]
pub(crate) struct FlagBody {
    /// The run's id.
    run_id: RunId,
    /// The reason for the flag.
    reason: Option<String>,
}

/// Flags a run for review by people.
pub(crate) async fn flag(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(body), NamesInBody, MayRepeat): (InBody<FlagBody>, NamesInBody, MayRepeat),
) -> Result<Json<ItemBody, 201>, Problem> {
    Ok(Json(ItemBody::new(Reviews::new(call.app).flag(principal, body.run_id, body.reason).await?)))
}

/// A person's verdict about a run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewVerdict")]
pub(crate) struct JudgeBody {
    /// The verdict.
    verdict: Name,
    /// True if the verdict is a passing one.
    passed: Option<bool>,
    /// The reason for the verdict.
    notes: Option<String>,
}

/// Records the verdict of a person about an open item.
pub(crate) async fn judge(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(ItemPath { item_id }), InBody(body)): (InPath<ItemPath>, InBody<JudgeBody>),
) -> Result<Json<ItemBody>, Problem> {
    let JudgeBody { verdict, passed, notes } = body;
    Ok(Json(ItemBody::new(Reviews::new(call.app).judge(principal, item_id, verdict, passed, notes).await?)))
}

/// The reason to reject an item.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewRejection")]
pub(crate) struct RejectBody {
    /// The reason.
    notes: Option<String>,
}

/// Rejects an open item, which then needs no verdict.
pub(crate) async fn reject(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(ItemPath { item_id }), InBody(body)): (InPath<ItemPath>, InBody<RejectBody>),
) -> Result<Json<ItemBody>, Problem> {
    Ok(Json(ItemBody::new(Reviews::new(call.app).reject(principal, item_id, body.notes).await?)))
}

/// The data set that receives a judged run as a row.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPromotion")]
pub(crate) struct PromoteBody {
    /// The id of a data set.
    dataset_id: DatasetId,
}

/// Adds the run of a judged item as a row to a data set.
pub(crate) async fn promote(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(ItemPath { item_id }), InBody(body)): (InPath<ItemPath>, InBody<PromoteBody>),
) -> Result<Json<ItemBody>, Problem> {
    Ok(Json(ItemBody::new(Reviews::new(call.app).promote(principal, item_id, body.dataset_id).await?)))
}
