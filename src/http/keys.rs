//! The native surface: `/v1/keys` and `/v1/scopes`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    app::{
        Principal,
        error::Error,
        keys::{Created, NewKey},
    },
    domain::{
        id::{KeyId, OrganizationId, ProjectId, UserId},
        key::{Key, KeyKind, KeyState, Name, Role, Rotation},
        key_text::Word,
        scope::Scopes,
        time::{DAY_MS, MAX_DAYS, UnixMillis},
    },
    http::{
        audit,
        input::{self, Query},
        message::{Response, Rfc3339},
        problem::Problem,
        routes::Call,
    },
    storage::keys::{Change, Cursor, Filter, KeyRef, Status},
};

/// The most items on a page, and how many there are when nobody says.
pub(crate) const MAX_LIMIT: i64 = 1_000;
pub(crate) const DEFAULT_LIMIT: i64 = 100;

/// A key as the native surface shows it.
#[derive(Serialize)]
pub(crate) struct KeyBody<'a> {
    id: KeyId,
    name: &'a Name,
    kind: KeyKind,
    preview: String,
    scopes: &'a Scopes,
    full_access: bool,
    role: Role,
    status: &'static str,
    organization_id: OrganizationId,
    user_id: Option<UserId>,
    project_id: Option<ProjectId>,
    metadata: &'a Map<String, Value>,
    created_at: Rfc3339,
    created_by: Option<KeyId>,
    updated_at: Rfc3339,
    expires_at: Option<Rfc3339>,
    disabled_at: Option<Rfc3339>,
    revoked_at: Option<Rfc3339>,
    last_used_at: Option<Rfc3339>,
    rotation: Option<RotationBody>,
}

/// A rotation that is under way, and whether its outgoing secret is still in use.
#[derive(Serialize)]
struct RotationBody {
    rotates_at: Rfc3339,
    outgoing_preview: String,
    outgoing_last_used_at: Option<Rfc3339>,
    outgoing_uses: i64,
}

impl RotationBody {
    /// A rotation whose grace is over is over, also before the sweep has come by.
    fn new(rotation: &Rotation, now: UnixMillis) -> Option<Self> {
        (rotation.rotates_at > now).then(|| Self {
            rotates_at: Rfc3339(rotation.rotates_at),
            outgoing_preview: format!("{}…{}", rotation.start, rotation.last4),
            outgoing_last_used_at: rotation.last_used_at.map(Rfc3339),
            outgoing_uses: rotation.uses,
        })
    }
}

impl<'a> KeyBody<'a> {
    fn new(key: &'a Key, now: UnixMillis) -> Self {
        Self {
            id: key.id,
            name: &key.name,
            kind: key.kind,
            preview: format!("{}…{}", key.preview.start, key.preview.last4),
            scopes: &key.scopes,
            full_access: key.scopes == Scopes::Full,
            role: key.role,
            status: key.life.state_at(now).as_str(),
            organization_id: key.organization_id,
            user_id: key.user_id,
            project_id: key.project_id,
            metadata: &key.metadata,
            created_at: Rfc3339(key.created_at),
            created_by: key.created_by,
            updated_at: Rfc3339(key.updated_at),
            expires_at: key.life.expires_at.map(Rfc3339),
            disabled_at: key.life.disabled_at.map(Rfc3339),
            revoked_at: key.life.revoked_at.map(Rfc3339),
            last_used_at: key.last_used_at.map(Rfc3339),
            rotation: key.rotation.as_ref().and_then(|rotation| RotationBody::new(rotation, now)),
        }
    }
}

/// A key with its text: the one time that it is told, in the answer to making or rotating it.
#[derive(Serialize)]
pub(crate) struct CreatedBody<'a> {
    #[serde(flatten)]
    about: KeyBody<'a>,
    key: &'a str,
}

impl<'a> CreatedBody<'a> {
    pub(crate) fn new(call: &Call<'_>, created: &'a Created) -> Self {
        Self { about: KeyBody::new(&created.key, call.app.clock.now()), key: created.text.expose() }
    }
}

/// The answer to making or rotating a key.
pub(crate) fn created(call: &Call<'_>, status: u16, created: &Created) -> Response {
    Response::json(status, &CreatedBody::new(call, created))
}

/// The two ways to say an expiry, as one: `None`: nothing was said; `Some(None)`: never.
#[expect(clippy::option_option, reason = "absent, null and a value are three different things here")]
fn expiry(
    date: Option<Option<String>>,
    days: Option<i64>,
    now: UnixMillis,
) -> Result<Option<Option<UnixMillis>>, Error> {
    match (date, days) {
        (Some(_), Some(_)) => {
            Err(Error::invalid("expires_in_days", "give either `expires_at` or `expires_in_days`, not both"))
        }
        (None, None) => Ok(None),
        (Some(None), None) => Ok(Some(None)),
        (Some(Some(text)), None) => {
            let must = "must be an RFC 3339 date-time with its offset, like 2027-01-31T12:00:00Z, or a date";
            let at = UnixMillis::parse(&text).ok_or_else(|| Error::invalid("expires_at", must))?;
            Ok(Some(Some(at)))
        }
        (None, Some(days)) if (1..=MAX_DAYS).contains(&days) => Ok(Some(Some(now.plus_ms(days * DAY_MS)))),
        (None, Some(_)) => Err(Error::invalid("expires_in_days", format!("must be from 1 to {MAX_DAYS}"))),
    }
}

pub(crate) async fn create(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: Name,
        scopes: Vec<String>,
        kind: Option<KeyKind>,
        project_id: Option<ProjectId>,
        label: Option<String>,
        #[serde(default, deserialize_with = "input::present")]
        expires_at: Option<Option<String>>,
        expires_in_days: Option<i64>,
        #[serde(default)]
        metadata: Map<String, Value>,
    }
    let body: Body = input::body(call.request)?;
    let must = "must be a lower-case letter, then lower-case letters and digits, 16 at most";
    let label = body.label.map(|label| Word::parse(&label).ok_or_else(|| Error::invalid("label", must))).transpose()?;
    let now = call.app.clock.now();
    let new = NewKey {
        name: body.name,
        kind: body.kind,
        project_id: body.project_id,
        label,
        scopes: Some(call.app.expand_scopes(&body.scopes)?),
        expires_at: expiry(body.expires_at, body.expires_in_days, now)?,
        metadata: body.metadata,
    };
    Ok(created(call, 201, &call.app.create_key(by, new).await?))
}

/// The id in the path. What is no id names nothing.
pub(crate) fn path_id(call: &Call<'_>) -> Result<KeyId, Error> {
    KeyId::parse(call.param("id")).ok_or(Error::NotFound)
}

pub(crate) async fn get(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let key = call.app.get_key(by, KeyRef::Id(path_id(call)?)).await?;
    Ok(Response::json(200, &KeyBody::new(&key, call.app.clock.now())))
}

pub(crate) async fn get_self(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let key = call.app.get_key(by, KeyRef::Id(by.snapshot.key_id)).await?;
    Ok(Response::json(200, &KeyBody::new(&key, call.app.clock.now())))
}

pub(crate) async fn list(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct PageBody<'a> {
        keys: Vec<KeyBody<'a>>,
        has_more: bool,
    }
    let known = ["limit", "starting_after", "ending_before", "name", "id", "user_id", "prefix", "project_id", "status"];
    let query = Query::strict(call.request, &known)?;
    let filter = Filter {
        name: query.get("name").map(str::to_owned),
        ids: query.list("id", "a key id, or several with commas between them", KeyId::parse)?,
        user_id: query.read("user_id", "a user id", UserId::parse)?,
        project_id: query.read("project_id", "a project id", ProjectId::parse)?,
        kind: None,
        // No more of a text is kept, so nobody could say whether a longer prefix matches.
        prefix: query.read("prefix", "at most the first 12 characters of a key", |text| {
            (text.chars().count() <= 12).then(|| text.to_owned())
        })?,
        status: query
            .read("status", "one of active, disabled, expired, revoked, all", status)?
            .unwrap_or(Status::Current),
    };
    let page = call.app.list_keys(by, &filter, cursor(&query)?, limit(&query, 0)?).await?;
    let now = call.app.clock.now();
    let keys: Vec<KeyBody<'_>> = page.items.iter().map(|key| KeyBody::new(key, now)).collect();
    Ok(Response::json(200, &PageBody { keys, has_more: page.has_more }))
}

fn status(text: &str) -> Option<Status> {
    let states = [KeyState::Active, KeyState::Disabled, KeyState::Expired, KeyState::Revoked];
    match text {
        "all" => Some(Status::All),
        _ => states.into_iter().find(|state| state.as_str() == text).map(Status::Only),
    }
}

/// `limit`, from `least` to [`MAX_LIMIT`].
pub(crate) fn limit(query: &Query, least: i64) -> Result<i64, Problem> {
    let parse = |text: &str| text.parse().ok().filter(|limit| (least..=MAX_LIMIT).contains(limit));
    let limit = query.read("limit", &format!("a whole number from {least} to {MAX_LIMIT}"), parse)?;
    Ok(limit.unwrap_or(DEFAULT_LIMIT))
}

/// `starting_after` or `ending_before`. The key itself need not be there any more: ids are ordered.
pub(crate) fn cursor(query: &Query) -> Result<Cursor, Problem> {
    let after = query.read("starting_after", "a key id", KeyId::parse)?;
    let before = query.read("ending_before", "a key id", KeyId::parse)?;
    match (after, before) {
        (None, None) => Ok(Cursor::Start),
        (Some(id), None) => Ok(Cursor::After(id)),
        (None, Some(id)) => Ok(Cursor::Before(id)),
        (Some(_), Some(_)) => {
            Err(Error::invalid("ending_before", "you may only pass one of `starting_after` and `ending_before`").into())
        }
    }
}

/// Whether the caller insists on ending the last key that can manage keys.
pub(crate) fn forced(call: &Call<'_>) -> Result<bool, Problem> {
    let query = Query::strict(call.request, &["force"])?;
    let force = query.read("force", "true or false", |text| text.parse().ok())?;
    Ok(force.unwrap_or(false))
}

pub(crate) async fn change(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default, deserialize_with = "input::present")]
        name: Option<Name>,
        #[serde(default, deserialize_with = "input::present")]
        scopes: Option<Vec<String>>,
        #[serde(default, deserialize_with = "input::present")]
        metadata: Option<Map<String, Value>>,
        #[serde(default, deserialize_with = "input::present")]
        expires_at: Option<Option<String>>,
        #[serde(default, deserialize_with = "input::present")]
        expires_in_days: Option<i64>,
        #[serde(default, deserialize_with = "input::present")]
        enabled: Option<bool>,
    }
    let id = path_id(call)?;
    let force = forced(call)?;
    let body: Body = input::body(call.request)?;
    let now = call.app.clock.now();
    let change = Change {
        name: body.name,
        scopes: body.scopes.map(|scopes| call.app.expand_scopes(&scopes)).transpose()?,
        metadata: body.metadata,
        expires_at: expiry(body.expires_at, body.expires_in_days, now)?,
        enabled: body.enabled,
    };
    let before = call.app.get_key(by, KeyRef::Id(id)).await?;
    let key = call.app.change_key(by, &before, &change, force).await?;
    Ok(Response::json(200, &KeyBody::new(&key, now)))
}

/// The longest grace of a rotation, in seconds: a year.
const MAX_GRACE_SECONDS: i64 = 365 * 24 * 60 * 60;

pub(crate) async fn rotate(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        grace_period_seconds: i64,
        #[serde(default, deserialize_with = "input::present")]
        expires_at: Option<Option<String>>,
        expires_in_days: Option<i64>,
    }
    let id = path_id(call)?;
    let body: Body = input::body(call.request)?;
    if !(0..=MAX_GRACE_SECONDS).contains(&body.grace_period_seconds) {
        let must = format!("must be from 0 to {MAX_GRACE_SECONDS}");
        return Err(Error::invalid("grace_period_seconds", must).into());
    }
    let expires_at = expiry(body.expires_at, body.expires_in_days, call.app.clock.now())?;
    let before = call.app.get_key(by, KeyRef::Id(id)).await?;
    let rotated = call.app.rotate_key(by, &before, body.grace_period_seconds * 1000, expires_at).await?;
    Ok(created(call, 200, &rotated))
}

pub(crate) async fn finish_rotation(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let before = call.app.get_key(by, KeyRef::Id(path_id(call)?)).await?;
    let key = call.app.finish_rotation(by, &before).await?;
    Ok(Response::json(200, &KeyBody::new(&key, call.app.clock.now())))
}

pub(crate) async fn cancel_rotation(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let before = call.app.get_key(by, KeyRef::Id(path_id(call)?)).await?;
    let key = call.app.cancel_rotation(by, &before).await?;
    Ok(Response::json(200, &KeyBody::new(&key, call.app.clock.now())))
}

pub(crate) async fn revoke(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct RevokedBody<'a> {
        #[serde(flatten)]
        about: KeyBody<'a>,
        /// Routes that touch the database refuse the key from here on.
        effective_at: Option<Rfc3339>,
        /// Everything else does so this much later at the latest.
        max_staleness_ms: i64,
    }
    let key = call.app.revoke_key(by, path_id(call)?, forced(call)?).await?;
    let body = RevokedBody {
        about: KeyBody::new(&key, call.app.clock.now()),
        effective_at: key.life.revoked_at.map(Rfc3339),
        max_staleness_ms: call.app.config.max_staleness_ms,
    };
    Ok(Response::json(200, &body))
}

pub(crate) async fn events(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let id = path_id(call)?;
    let query = Query::strict(call.request, &["limit", "starting_after"])?;
    let page = call.app.key_events(by, id, audit::after(&query)?, limit(&query, 0)?).await?;
    Ok(audit::events(&page))
}

pub(crate) async fn scopes(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let catalogue = &call.app.config.catalogue;
    let scope =
        |(scope, allows)| json!({ "scope": scope, "description": allows, "held": by.snapshot.scopes.grant(&scope) });
    let bundle = |(name, scopes): &(String, Scopes)| (name.clone(), json!(scopes));
    Ok(Response::json(
        200,
        &json!({
            "scopes": catalogue.scopes().map(scope).collect::<Vec<_>>(),
            "wildcards": catalogue.wildcards().collect::<Vec<_>>(),
            "bundles": catalogue.bundles.iter().map(bundle).collect::<Map<_, _>>(),
            "presets": catalogue.presets,
        }),
    ))
}
