//! The native surface: `/v1/keys` and `/v1/scopes`.

use std::collections::BTreeMap;

use bitting_http::{
    call::Call,
    event_body::EventPageBody,
    input,
    message::Rfc3339,
    paging::{Limit, PageQuery, between},
    problem::Problem,
    typed::{Confidential, InBody, InPath, InQuery, Json, MayRepeat, Whole},
};
use bitting_keys::{
    app::{
        Principal,
        error::Error,
        keys::{Keys, NewKey},
    },
    domain::{
        catalogue::Preset,
        id::{KeyId, ProjectId, UserId},
        key::{KeyChange, KeyState, Name},
        key_list::{KeyFilter, KeyRef, StatusFilter},
        key_text::{KeyKind, Word},
        scope::{Scope, Scopes},
        time::{DAY_MS, UnixMillis},
    },
    json_schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::key_body::{CreatedBody, Days, ForceQuery, KeyBody};

/// The key that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct KeyPath {
    /// The key's id.
    id: KeyId,
}

/// The two ways to say an expiry, as one: `None`: nothing was said; `Some(None)`: never.
fn expiry(
    date: Option<Option<Rfc3339>>,
    days: Option<Days>,
    now: UnixMillis,
) -> Result<Option<Option<UnixMillis>>, Error> {
    match (date, days) {
        (Some(_), Some(_)) => {
            Err(Error::invalid("expires_in_days", "give either `expires_at` or `expires_in_days`, not both"))
        }
        (None, None) => Ok(None),
        (Some(date), None) => Ok(Some(date.map(|Rfc3339(at)| at))),
        (None, Some(Whole(days))) => Ok(Some(Some(now.plus_ms(days * DAY_MS)))),
    }
}

/// What can stand in a list of scopes: a scope, or the name of a bundle. Which of them there are, the
/// operator says.
const SCOPE_OR_BUNDLE: &str = r"^([a-z][a-z0-9-]*:(\*|[a-z][a-z0-9-]*)|[a-z0-9_-]+)$";

/// What a key that is made can act as.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NewKind {
    /// As the user who makes it.
    Pat,
    /// As the organization, whoever comes and goes.
    Org,
    /// As the project of `project_id`.
    Proj,
    /// As a live evaluation: refused with the advice to deploy one.
    #[schemars(skip)]
    Sk,
}

/// A key to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewKey")]
pub(crate) struct NewKeyBody {
    /// What people call it.
    name: Name,
    /// What it may do: scopes, and names of bundles of them.
    #[schemars(inner(regex(pattern = SCOPE_OR_BUNDLE)))]
    scopes: Vec<String>,
    /// What it acts as; without it the same as the key that asks.
    kind: Option<NewKind>,
    /// The project that it is to see; for a key of kind `proj`, and for no other.
    project_id: Option<ProjectId>,
    /// An environment or a region to stand in its text, behind the brand.
    label: Option<Word>,
    /// From when on it is expired, a date-time with its offset or a date; null: never. Without it, and
    /// without `expires_in_days`, as long as the key that asks.
    #[serde(default, deserialize_with = "input::present")]
    expires_at: Option<Option<Rfc3339>>,
    /// The same in days from now. Give one of the two.
    expires_in_days: Option<Days>,
    /// Whatever its maker wants to know about it: at most 4,096 bytes and 32 levels.
    #[serde(default)]
    metadata: Map<String, Value>,
}

pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(body), MayRepeat): (InBody<NewKeyBody>, MayRepeat),
) -> Result<Confidential<CreatedBody, 201>, Problem> {
    let now = call.app.clock.now();
    let new = NewKey {
        name: body.name,
        kind: body.kind.map(|kind| match kind {
            NewKind::Pat => KeyKind::Pat,
            NewKind::Org => KeyKind::Org,
            NewKind::Proj => KeyKind::Proj,
            NewKind::Sk => KeyKind::Sk,
        }),
        project_id: body.project_id,
        label: body.label,
        scopes: Some(Keys::new(call.app).expand_scopes(&body.scopes)?),
        expires_at: expiry(body.expires_at, body.expires_in_days, now)?,
        metadata: body.metadata,
    };
    Ok(Confidential(CreatedBody::new(Keys::new(call.app).create(principal, new).await?, now)))
}

pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(KeyPath { id }): InPath<KeyPath>,
) -> Result<Json<KeyBody>, Problem> {
    let key = Keys::new(call.app).get(principal, KeyRef::Id(id)).await?;
    Ok(Json(KeyBody::new(key, call.app.clock.now())))
}

pub(crate) async fn get_self(call: &Call<'_>, principal: &Principal, (): ()) -> Result<Json<KeyBody>, Problem> {
    let key = Keys::new(call.app).get(principal, KeyRef::Id(principal.snapshot.key_id)).await?;
    Ok(Json(KeyBody::new(key, call.app.clock.now())))
}

/// The beginning of a key's text. No more of it is kept, so nobody could say whether a longer one matches.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Prefix(String);

impl Prefix {
    const MAX_CHARS: usize = 12;
}

impl TryFrom<String> for Prefix {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.chars().count() > Self::MAX_CHARS {
            return Err("must be at most the first 12 characters of a key");
        }
        Ok(Self(text))
    }
}

json_schema!(Prefix, "Prefix", { "type": "string", "maxLength": Prefix::MAX_CHARS });

/// Which keys to list, by their state.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum StatusName {
    Active,
    Disabled,
    Expired,
    Revoked,
    All,
}

/// Which keys to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// How many keys at most.
    #[serde(default)]
    limit: Limit,
    /// The id of the last key of the page before.
    starting_after: Option<KeyId>,
    /// The id of the first key of the page behind. Give at most one of the two.
    ending_before: Option<KeyId>,
    /// Keys with this name.
    name: Option<String>,
    /// Keys with one of these ids; with commas between them or sent more than once.
    id: Option<Vec<KeyId>>,
    /// Keys of this user.
    user_id: Option<UserId>,
    /// Keys whose text begins so.
    prefix: Option<Prefix>,
    /// Keys of this project.
    project_id: Option<ProjectId>,
    /// Keys in this state; without it all but the revoked.
    status: Option<StatusName>,
}

/// A page of keys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyPage")]
pub(crate) struct KeyPageBody {
    /// The keys, the newest first.
    keys: Vec<KeyBody>,
    /// Whether there are more in the direction of the paging.
    has_more: bool,
}

pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Json<KeyPageBody>, Problem> {
    let filter = KeyFilter {
        name: query.name,
        ids: query.id,
        user_id: query.user_id,
        project_id: query.project_id,
        prefix: query.prefix.map(|Prefix(prefix)| prefix),
        status: match query.status {
            None => StatusFilter::Current,
            Some(StatusName::All) => StatusFilter::All,
            Some(StatusName::Active) => StatusFilter::Only(KeyState::Active),
            Some(StatusName::Disabled) => StatusFilter::Only(KeyState::Disabled),
            Some(StatusName::Expired) => StatusFilter::Only(KeyState::Expired),
            Some(StatusName::Revoked) => StatusFilter::Only(KeyState::Revoked),
        },
        ..KeyFilter::default()
    };
    let Whole(limit) = query.limit;
    let page = Keys::new(call.app)
        .list(principal, &filter, between(query.starting_after, query.ending_before)?, limit)
        .await?;
    let now = call.app.clock.now();
    let keys = page.items.into_iter().map(|key| KeyBody::new(key, now)).collect();
    Ok(Json(KeyPageBody { keys, has_more: page.has_more }))
}

/// What to change of a key; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyChange", extend("minProperties" = 1))]
pub(crate) struct ChangeBody {
    /// What people call it.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// What it may do: scopes, and names of bundles of them.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Vec<String>", inner(regex(pattern = SCOPE_OR_BUNDLE)))]
    scopes: Option<Vec<String>>,
    /// Whatever people want to know about it: at most 4,096 bytes and 32 levels.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Map<String, Value>")]
    metadata: Option<Map<String, Value>>,
    /// From when on it is expired, a date-time with its offset or a date; null: never.
    #[serde(default, deserialize_with = "input::present")]
    expires_at: Option<Option<Rfc3339>>,
    /// The same in days from now. Give one of the two at most.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Days")]
    expires_in_days: Option<Days>,
    /// Whether it works; a disabled key can be enabled again.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "bool")]
    enabled: Option<bool>,
}

pub(crate) async fn change(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(KeyPath { id }), InQuery(ForceQuery { force }), InBody(body)): (
        InPath<KeyPath>,
        InQuery<ForceQuery>,
        InBody<ChangeBody>,
    ),
) -> Result<Json<KeyBody>, Problem> {
    let now = call.app.clock.now();
    let change = KeyChange {
        name: body.name,
        scopes: body.scopes.map(|scopes| Keys::new(call.app).expand_scopes(&scopes)).transpose()?,
        metadata: body.metadata,
        expires_at: expiry(body.expires_at, body.expires_in_days, now)?,
        enabled: body.enabled,
    };
    let before = Keys::new(call.app).get(principal, KeyRef::Id(id)).await?;
    let key = Keys::new(call.app).change(principal, &before, &change, force).await?;
    Ok(Json(KeyBody::new(key, now)))
}

/// The longest grace of a rotation, in seconds: a year.
const MAX_GRACE_SECONDS: i64 = 365 * 24 * 60 * 60;

/// How to rotate a key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewRotation")]
pub(crate) struct RotateBody {
    /// How long the old secret works on.
    #[serde(default)]
    grace_period_seconds: Whole<0, MAX_GRACE_SECONDS>,
    /// A new expiry, a date-time with its offset or a date; null: never. Revives an expired key.
    #[serde(default, deserialize_with = "input::present")]
    expires_at: Option<Option<Rfc3339>>,
    /// The same in days from now. Give one of the two at most.
    expires_in_days: Option<Days>,
}

pub(crate) async fn rotate(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(KeyPath { id }), InBody(body), MayRepeat): (InPath<KeyPath>, InBody<RotateBody>, MayRepeat),
) -> Result<Confidential<CreatedBody>, Problem> {
    let now = call.app.clock.now();
    let expires_at = expiry(body.expires_at, body.expires_in_days, now)?;
    let Whole(grace_seconds) = body.grace_period_seconds;
    let before = Keys::new(call.app).get(principal, KeyRef::Id(id)).await?;
    let rotated = Keys::new(call.app).rotate(principal, &before, grace_seconds * 1000, expires_at).await?;
    Ok(Confidential(CreatedBody::new(rotated, now)))
}

pub(crate) async fn finish_rotation(
    call: &Call<'_>,
    principal: &Principal,
    InPath(KeyPath { id }): InPath<KeyPath>,
) -> Result<Json<KeyBody>, Problem> {
    let before = Keys::new(call.app).get(principal, KeyRef::Id(id)).await?;
    let key = Keys::new(call.app).finish_rotation(principal, &before).await?;
    Ok(Json(KeyBody::new(key, call.app.clock.now())))
}

pub(crate) async fn cancel_rotation(
    call: &Call<'_>,
    principal: &Principal,
    InPath(KeyPath { id }): InPath<KeyPath>,
) -> Result<Json<KeyBody>, Problem> {
    let before = Keys::new(call.app).get(principal, KeyRef::Id(id)).await?;
    let key = Keys::new(call.app).cancel_rotation(principal, &before).await?;
    Ok(Json(KeyBody::new(key, call.app.clock.now())))
}

/// A key that was revoked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RevokedKey")]
pub(crate) struct RevokedBody {
    #[serde(flatten)]
    about: KeyBody,
    /// Routes that touch the database refuse the key from here on.
    effective_at: Option<Rfc3339>,
    /// Everything else does so this much later at the latest.
    max_staleness_ms: i64,
}

pub(crate) async fn revoke(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(KeyPath { id }), InQuery(ForceQuery { force })): (InPath<KeyPath>, InQuery<ForceQuery>),
) -> Result<Json<RevokedBody>, Problem> {
    let key = Keys::new(call.app).revoke(principal, id, force).await?;
    Ok(Json(RevokedBody {
        effective_at: key.life.revoked_at.map(Rfc3339),
        about: KeyBody::new(key, call.app.clock.now()),
        max_staleness_ms: call.app.config.max_staleness_ms,
    }))
}

pub(crate) async fn events(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(KeyPath { id }), InQuery(query)): (InPath<KeyPath>, InQuery<PageQuery<i64>>),
) -> Result<Json<EventPageBody>, Problem> {
    let Whole(limit) = query.limit;
    let page = Keys::new(call.app).events(principal, id, query.starting_after, limit).await?;
    Ok(Json(EventPageBody::new(page)))
}

/// How often a key was used on one day.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DailyUses")]
struct DailyUsesBody {
    /// The beginning of the day (UTC).
    day: Rfc3339,
    /// How often it was used.
    uses: i64,
}

/// How often a key was used, day by day.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Usage")]
pub(crate) struct UsageBody {
    /// The last 30 days, the oldest first.
    days: Vec<DailyUsesBody>,
}

pub(crate) async fn usage(
    call: &Call<'_>,
    principal: &Principal,
    InPath(KeyPath { id }): InPath<KeyPath>,
) -> Result<Json<UsageBody>, Problem> {
    let days = Keys::new(call.app).usage(principal, id).await?.into_iter();
    Ok(Json(UsageBody { days: days.map(|day| DailyUsesBody { day: Rfc3339(day.day), uses: day.uses }).collect() }))
}

/// A scope.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScopeEntry")]
struct ScopeBody {
    /// Its name.
    scope: Scope,
    /// What it allows.
    description: String,
    /// Whether the key that asks holds it.
    held: bool,
}

/// The catalogue of scopes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Catalogue")]
pub(crate) struct CatalogueBody {
    /// Every scope.
    scopes: Vec<ScopeBody>,
    /// The scopes that stand for every action of their resource.
    wildcards: Vec<String>,
    /// Names that stand for sets of scopes where a key is given scopes; null: everything.
    bundles: BTreeMap<String, Scopes>,
    /// Recipes for keys that can do what they are for, and no more.
    presets: Vec<Preset>,
}

pub(crate) async fn scopes(call: &Call<'_>, principal: &Principal, (): ()) -> Result<Json<CatalogueBody>, Problem> {
    let catalogue = &call.app.config.catalogue;
    let scope = |(scope, allows): (Scope, &str)| ScopeBody {
        held: principal.snapshot.scopes.grant(&scope),
        scope,
        description: allows.to_owned(),
    };
    Ok(Json(CatalogueBody {
        scopes: catalogue.scopes().map(scope).collect(),
        wildcards: catalogue.wildcards().collect(),
        bundles: catalogue.bundles.iter().cloned().collect(),
        presets: catalogue.presets.clone(),
    }))
}
