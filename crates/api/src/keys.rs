//! `/v1/keys` and `/v1/scopes`.

use std::collections::BTreeMap;

use bitting_http::{
    call::Call,
    event_body::EventBody,
    input,
    message::Rfc3339,
    paging::{Limit, PageBody, PageQuery, between},
    problem::Problem,
    typed::{Confidential, IfMatch, InBody, InPath, InQuery, Json, MayRepeat, Versioned, Whole},
};
use bitting_keys::{
    app::{
        Principal,
        error::Error,
        keys::{Keys, NewKey},
    },
    domain::{
        catalogue::Preset,
        conditions::Conditions,
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

use crate::{
    descendants_body::{DescendantsBody, PreviewBody},
    key_body::{CreatedBody, Days, EndQuery, ForceQuery, KeyBody, SCOPE_OR_BUNDLE},
    key_verification::{self, SimulationBody, VerificationRequestBody, VerificationResultBody, VerifiedKeyBody},
};

/// The key in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct KeyPath {
    /// The id of the key.
    key_id: KeyId,
}

/// Combines the two fields for an expiry. `None` if neither was sent; `Some(None)` for never.
fn expiry(
    date: Option<Option<Rfc3339>>,
    days: Option<Days>,
    now: UnixMillis,
) -> Result<Option<Option<UnixMillis>>, Error> {
    match (date, days) {
        (Some(Some(_)), Some(_)) => {
            Err(Error::invalid("expires_in_days", "cannot be combined with `expires_at`; send only one of them"))
        }
        (None, None) => Ok(None),
        (Some(date), None) => Ok(Some(date.map(|Rfc3339(at)| at))),
        // Clients that are made from the document send null for what was not set.
        (None | Some(None), Some(Whole(days))) => Ok(Some(Some(now.plus_ms(days * DAY_MS)))),
    }
}

/// The error of a use case, with mistakes about the expiry at the field that was sent.
fn named_as_sent(error: Error, by_days: bool) -> Error {
    match error {
        Error::Invalid(mut mistakes) if by_days => {
            for field in mistakes.iter_mut().filter_map(|mistake| mistake.field.as_mut()) {
                if field == "expires_at" {
                    "expires_in_days".clone_into(field);
                }
            }
            Error::Invalid(mistakes)
        }
        error => error,
    }
}

/// The kind of a new key.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NewKeyKind {
    /// A personal key, which acts for the user who creates it.
    Pat,
    /// A key of the organization, which does not depend on any user.
    Org,
    /// A key of the project in `project_id`.
    Proj,
    /// A key of a live evaluation. It is refused with the advice to deploy one.
    #[schemars(skip)]
    Sk,
}

/// A key to create.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewKey")]
pub(crate) struct NewKeyBody {
    /// The name of the key.
    name: Name,
    /// The scopes of the key: scopes, names of bundles, or both. They resolve to at most 100 scopes.
    #[schemars(inner(regex(pattern = SCOPE_OR_BUNDLE)))]
    scopes: Vec<String>,
    /// The conditions of the key; null for none. If they are left out, the key has those of the key that sends the request.
    #[serde(default, deserialize_with = "input::present")]
    conditions: Option<Option<Conditions>>,
    /// The kind of the key. The default is the kind of the key that sends the request.
    kind: Option<NewKeyKind>,
    /// The project of the key. Required for the kind `proj`, and not allowed for any other.
    project_id: Option<ProjectId>,
    /// A label in the key's text, after the brand, such as an environment or a region.
    label: Option<Word>,
    /// The time when the key expires: a date-time with its offset, or a date; null for never. If neither this nor
    /// `expires_in_days` is sent, the key expires with the key that sends the request.
    #[serde(default, deserialize_with = "input::present")]
    expires_at: Option<Option<Rfc3339>>,
    /// The life of the key in days from now. Cannot be combined with `expires_at`.
    expires_in_days: Option<Days>,
    /// Free-form metadata of at most 4,096 bytes and 32 levels.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// Metadata of the operator, of the same size. Only an owner's or admin's key of the operator's own organization that
    /// holds `organization:write` can set it.
    #[serde(default)]
    operator_metadata: Map<String, Value>,
}

/// Creates a key and returns its secret once.
pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(body), MayRepeat): (InBody<NewKeyBody>, MayRepeat),
) -> Result<Confidential<CreatedBody, 201>, Problem> {
    let now = call.app.clock.now();
    let by_days = body.expires_in_days.is_some();
    let (scopes, expires_at) = Error::join(
        Keys::new(call.app).expand_scopes(&body.scopes),
        expiry(body.expires_at, body.expires_in_days, now),
    )?;
    let new = NewKey {
        name: body.name,
        kind: body.kind.map(|kind| match kind {
            NewKeyKind::Pat => KeyKind::Pat,
            NewKeyKind::Org => KeyKind::Org,
            NewKeyKind::Proj => KeyKind::Proj,
            NewKeyKind::Sk => KeyKind::Sk,
        }),
        project_id: body.project_id,
        label: body.label,
        scopes: Some(scopes),
        conditions: body.conditions.map(Option::unwrap_or_default),
        expires_at,
        metadata: body.metadata,
        operator_metadata: body.operator_metadata,
        device: None,
    };
    let created = Keys::new(call.app).create(principal, new).await;
    let created = created.map_err(|error| named_as_sent(error, by_days))?;
    Ok(Confidential(CreatedBody::new(created, now)))
}

/// Verifies a key. The status is 200 for valid and invalid keys. A key that the caller cannot see is reported as
/// unknown.
pub(crate) async fn verify(
    call: &Call<'_>,
    principal: &Principal,
    InBody(body): InBody<VerificationRequestBody>,
) -> Result<Confidential<VerificationResultBody>, Problem> {
    key_verification::verify(call, principal, body).await.map(Confidential)
}

/// Judges a use of a key that nobody has made, by its id. Nothing is written, and nothing is used up.
pub(crate) async fn simulate(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(KeyPath { key_id }), InBody(body)): (InPath<KeyPath>, InBody<SimulationBody>),
) -> Result<Json<VerifiedKeyBody>, Problem> {
    key_verification::simulate(call, principal, key_id, body).await.map(Json)
}

/// Returns a key.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(KeyPath { key_id }): InPath<KeyPath>,
) -> Result<Versioned<KeyBody>, Problem> {
    let key = Keys::new(call.app).get(principal, KeyRef::Id(key_id)).await?;
    Ok(Versioned(KeyBody::new(key, call.app.clock.now())))
}

/// Returns the key that sends the request.
pub(crate) async fn get_self(call: &Call<'_>, principal: &Principal, (): ()) -> Result<Versioned<KeyBody>, Problem> {
    let key = Keys::new(call.app).get(principal, KeyRef::Id(principal.snapshot.key_id)).await?;
    Ok(Versioned(KeyBody::new(key, call.app.clock.now())))
}

/// The beginning of a key's text. No more of it is stored, so a longer one could not be compared.
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

/// A filter by state.
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

/// The filters and the page of a list of keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// The maximum number of keys on the page. A page also ends when its keys are about 1 MB long.
    #[serde(default)]
    limit: Limit,
    /// The id of the last key on the previous page.
    starting_after: Option<KeyId>,
    /// The id of the first key on the next page, to go backwards. Cannot be combined with `starting_after`.
    ending_before: Option<KeyId>,
    /// Only keys with this name.
    name: Option<String>,
    /// Only keys with one of these ids, separated by commas or sent as several parameters.
    id: Option<Vec<KeyId>>,
    /// Only keys of this user.
    user_id: Option<UserId>,
    /// Only keys that this key created, or this session on the settings pages.
    created_by: Option<KeyId>,
    /// Only keys that were created for this user.
    created_by_user: Option<UserId>,
    /// Only keys whose text begins with this.
    prefix: Option<Prefix>,
    /// Only keys of this project.
    project_id: Option<ProjectId>,
    /// Only keys in this state. The default is all keys that are not revoked.
    status: Option<StatusName>,
}

/// Lists the keys that the caller can see.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Json<PageBody<KeyBody>>, Problem> {
    let filter = KeyFilter {
        name: query.name,
        ids: query.id,
        user_id: query.user_id,
        created_by: query.created_by,
        created_by_user: query.created_by_user,
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
    let cursor = between(query.starting_after, query.ending_before)?;
    let page = Keys::new(call.app).list(principal, &filter, cursor, limit).await?;
    let now = call.app.clock.now();
    Ok(Json(PageBody::at(cursor, page, |key| KeyBody::new(key, now))))
}

/// A change of a key. Fields that are left out do not change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyChange", extend("minProperties" = 1))]
pub(crate) struct ChangeBody {
    /// The name of the key.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// The scopes of the key: scopes, names of bundles, or both. They resolve to at most 100 scopes.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Vec<String>", inner(regex(pattern = SCOPE_OR_BUNDLE)))]
    scopes: Option<Vec<String>>,
    /// The conditions of the key, in place of all that it has; null for none.
    #[serde(default, deserialize_with = "input::present")]
    conditions: Option<Option<Conditions>>,
    /// Free-form metadata of at most 4,096 bytes and 32 levels.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Map<String, Value>")]
    metadata: Option<Map<String, Value>>,
    /// Metadata of the operator, of the same size. Only an owner's or admin's key of the operator's own organization that
    /// holds `organization:write` can set it: alone, also on a key of another organization.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Map<String, Value>")]
    operator_metadata: Option<Map<String, Value>>,
    /// The time when the key expires: a date-time with its offset, or a date; null for never.
    #[serde(default, deserialize_with = "input::present")]
    expires_at: Option<Option<Rfc3339>>,
    /// The life of the key in days from now. Cannot be combined with `expires_at`.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Days")]
    expires_in_days: Option<Days>,
    /// True if the key is enabled. A disabled key can be enabled again.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "bool")]
    enabled: Option<bool>,
}

/// Changes a key.
pub(crate) async fn change(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(KeyPath { key_id }), InQuery(ForceQuery { force }), IfMatch(expected), InBody(body)): (
        InPath<KeyPath>,
        InQuery<ForceQuery>,
        IfMatch,
        InBody<ChangeBody>,
    ),
) -> Result<Versioned<KeyBody>, Problem> {
    let now = call.app.clock.now();
    let by_days = body.expires_in_days.is_some();
    let (scopes, expires_at) = Error::join(
        body.scopes.map(|scopes| Keys::new(call.app).expand_scopes(&scopes)).transpose(),
        expiry(body.expires_at, body.expires_in_days, now),
    )?;
    let change = KeyChange {
        name: body.name,
        scopes,
        conditions: body.conditions.map(Option::unwrap_or_default),
        metadata: body.metadata,
        operator_metadata: body.operator_metadata,
        expires_at,
        enabled: body.enabled,
    };
    let before = Keys::new(call.app).get_to_change(principal, key_id, &change).await?;
    let key = Keys::new(call.app).change(principal, &before, &change, force, expected).await;
    let key = key.map_err(|error| named_as_sent(error, by_days))?;
    Ok(Versioned(KeyBody::new(key, now)))
}

/// The maximum grace period of a rotation: a year.
const MAX_GRACE_SECONDS: i64 = 365 * 24 * 60 * 60;

/// A rotation to start.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewRotation")]
pub(crate) struct RotateBody {
    /// The number of seconds for which the old secret still works.
    #[serde(default)]
    grace_period_seconds: Whole<0, MAX_GRACE_SECONDS>,
    /// A new expiry: a date-time with its offset, or a date; null for never. It makes an expired key valid again.
    #[serde(default, deserialize_with = "input::present")]
    expires_at: Option<Option<Rfc3339>>,
    /// The life of the key in days from now. Cannot be combined with `expires_at`.
    expires_in_days: Option<Days>,
}

/// Gives a key a new secret and returns it once.
pub(crate) async fn rotate(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(KeyPath { key_id }), InBody(body), MayRepeat): (InPath<KeyPath>, InBody<RotateBody>, MayRepeat),
) -> Result<Confidential<CreatedBody>, Problem> {
    let now = call.app.clock.now();
    let expires_at = expiry(body.expires_at, body.expires_in_days, now)?;
    let Whole(grace_seconds) = body.grace_period_seconds;
    let before = Keys::new(call.app).get(principal, KeyRef::Id(key_id)).await?;
    let rotated = Keys::new(call.app).rotate(principal, &before, grace_seconds * 1000, expires_at).await;
    let rotated = rotated.map_err(|error| named_as_sent(error, body.expires_in_days.is_some()))?;
    Ok(Confidential(CreatedBody::new(rotated, now)))
}

/// Ends the old secret of a rotation at once.
pub(crate) async fn finish_rotation(
    call: &Call<'_>,
    principal: &Principal,
    InPath(KeyPath { key_id }): InPath<KeyPath>,
) -> Result<Json<KeyBody>, Problem> {
    let before = Keys::new(call.app).get(principal, KeyRef::Id(key_id)).await?;
    let key = Keys::new(call.app).finish_rotation(principal, &before).await?;
    Ok(Json(KeyBody::new(key, call.app.clock.now())))
}

/// Ends the new secret of a rotation and keeps the old one.
pub(crate) async fn cancel_rotation(
    call: &Call<'_>,
    principal: &Principal,
    InPath(KeyPath { key_id }): InPath<KeyPath>,
) -> Result<Json<KeyBody>, Problem> {
    let before = Keys::new(call.app).get(principal, KeyRef::Id(key_id)).await?;
    let key = Keys::new(call.app).cancel_rotation(principal, &before).await?;
    Ok(Json(KeyBody::new(key, call.app.clock.now())))
}

/// A key that was revoked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RevokedKey")]
pub(crate) struct RevokedBody {
    #[serde(flatten)]
    about: KeyBody,
    /// The time from which routes that use the database refuse the key.
    effective_at: Option<Rfc3339>,
    /// The maximum time after that until every other route refuses it, too, in milliseconds.
    max_staleness_ms: i64,
    /// The number of things that have ended with the key; null without `with_descendants`.
    descendants: Option<DescendantsBody>,
}

/// Returns the keys, invitations, sign-in links and sessions that would end with a key.
pub(crate) async fn get_descendants(
    call: &Call<'_>,
    principal: &Principal,
    InPath(KeyPath { key_id }): InPath<KeyPath>,
) -> Result<Json<PreviewBody>, Problem> {
    let preview = Keys::new(call.app).descendants(principal, key_id).await?;
    Ok(Json(PreviewBody::new(preview, call.app.clock.now())))
}

/// Revokes a key for good.
pub(crate) async fn revoke(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(KeyPath { key_id }), InQuery(query)): (InPath<KeyPath>, InQuery<EndQuery>),
) -> Result<Json<RevokedBody>, Problem> {
    let (key, descendants) = if query.with_descendants {
        let (key, descendants) = Keys::new(call.app).revoke_with_descendants(principal, key_id, query.force).await?;
        (key, Some(DescendantsBody::new(descendants)))
    } else {
        (Keys::new(call.app).revoke(principal, key_id, query.force).await?, None)
    };
    Ok(Json(RevokedBody {
        effective_at: key.life.revoked_at.map(Rfc3339),
        about: KeyBody::new(key, call.app.clock.now()),
        max_staleness_ms: call.app.config.max_staleness_ms,
        descendants,
    }))
}

/// Revokes the secret of the request. Every key may do this, whatever its scopes, and even the last key of its
/// organization. The outgoing secret of a rotation revokes only itself, and the key keeps its new secret.
pub(crate) async fn revoke_self(call: &Call<'_>, principal: &Principal, (): ()) -> Result<Json<RevokedBody>, Problem> {
    let key = Keys::new(call.app).revoke_self(principal).await?;
    let now = call.app.clock.now();
    Ok(Json(RevokedBody {
        // An outgoing secret ends without its key.
        effective_at: Some(Rfc3339(key.life.revoked_at.unwrap_or(now))),
        about: KeyBody::new(key, now),
        max_staleness_ms: call.app.config.max_staleness_ms,
        descendants: None,
    }))
}

/// Lists the events of a key, the newest first.
pub(crate) async fn list_events(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(KeyPath { key_id }), InQuery(query)): (InPath<KeyPath>, InQuery<PageQuery<i64>>),
) -> Result<Json<PageBody<EventBody>>, Problem> {
    let Whole(limit) = query.limit;
    let page = Keys::new(call.app).events(principal, key_id, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(page, EventBody::new)))
}

/// The number of uses of a key on one day.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DailyUsage")]
struct DailyUsageBody {
    /// The beginning of the day, in UTC.
    day: Rfc3339,
    /// The number of uses.
    uses: i64,
}

/// The daily uses of a key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyUsage")]
pub(crate) struct UsageBody {
    /// The last 30 days, the oldest first.
    days: Vec<DailyUsageBody>,
}

/// Returns the uses of a key on each of the last 30 days.
pub(crate) async fn get_usage(
    call: &Call<'_>,
    principal: &Principal,
    InPath(KeyPath { key_id }): InPath<KeyPath>,
) -> Result<Json<UsageBody>, Problem> {
    let days = Keys::new(call.app).usage(principal, key_id).await?.into_iter();
    Ok(Json(UsageBody { days: days.map(|day| DailyUsageBody { day: Rfc3339(day.day), uses: day.uses }).collect() }))
}

/// A scope.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScopeDetails")]
struct ScopeBody {
    /// The scope.
    scope: Scope,
    /// The actions that the scope allows.
    description: String,
    /// True if the key that sends the request holds the scope.
    held: bool,
}

/// The scopes, bundles and presets of this service.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScopeCatalogue")]
pub(crate) struct CatalogueBody {
    /// The scopes.
    scopes: Vec<ScopeBody>,
    /// The wildcard scopes. Each allows every action on its resource.
    wildcards: Vec<String>,
    /// The bundles by name. A bundle can stand in a key's list of scopes; null is full access.
    bundles: BTreeMap<String, Scopes>,
    /// The presets: suggested scopes for common uses of a key.
    presets: Vec<Preset>,
}

/// Lists the scopes, bundles and presets.
pub(crate) async fn list_scopes(
    call: &Call<'_>,
    principal: &Principal,
    (): (),
) -> Result<Json<CatalogueBody>, Problem> {
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
