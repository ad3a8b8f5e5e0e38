//! TruLayer's surface: keys with full access or for queries only, in the form of its libraries.

use bitting_http::{
    body,
    call::Call,
    input,
    message::{Request, Response, Rfc3339},
    paging::MAX_LIMIT,
    problem::{self, Problem, Report},
    route,
    route::Table,
};
use bitting_keys::{
    app::{
        Principal,
        error::Error,
        keys::{Keys, NewKey},
    },
    domain::{
        catalogue::{self, Surface},
        decision::Refusal,
        id::KeyId,
        key::{Created, Key, Name},
        key_list::{KeyFilter, KeyRef, StatusFilter},
        scope::Scopes,
        time::UnixMillis,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::permissions::{READ, WRITE};

/// TruLayer's surface.
pub static ROUTES: Table = Table {
    surface: Some(Surface::Trulayer),
    prefix: Some("/trulayer"),
    envelope,
    rows: &[
        route!(GET "/v1/apikeys" READ list),
        route!(POST "/v1/apikeys" WRITE create),
        route!(DELETE "/v1/apikeys/:id" WRITE delete),
        route!(POST "/v1/apikeys/:id/rotate" WRITE rotate),
    ],
};

/// An error in the form of TruLayer's libraries.
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorCode<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    request_id: &'a str,
}

/// A code, or an object for the error that TruLayer's document shows as one.
#[derive(Serialize)]
#[serde(untagged)]
enum ErrorCode<'a> {
    Code(&'a str),
    Object(problem::ErrorBody<'a>),
}

/// The envelope of this surface.
pub fn envelope(report: &Report<'_>) -> Response {
    let Report { problem, status, code, detail: message, request_id } = *report;
    let code = match problem {
        Problem::App(Error::Refused(Refusal::Revoked)) => {
            let error = ErrorCode::Object(problem::ErrorBody { code, message, field: None });
            return Response::json(status, &ErrorBody { error, message: None, request_id });
        }
        // Of the codes that fit, TruLayer's libraries stop retrying only at this one.
        Problem::App(Error::Refused(Refusal::Malformed | Refusal::RotatedOut)) => Refusal::Unknown.code(),
        Problem::App(Error::Refused(Refusal::MissingScopes(_))) => "scope_forbidden",
        _ => code,
    };
    Response::json(status, &ErrorBody { error: ErrorCode::Code(code), message: Some(message), request_id })
}

/// The access of a key, in TruLayer's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AccessLevel {
    /// All scopes of the key that creates it.
    Full,
    /// The scopes that only read.
    QueryOnly,
}

/// The only scope of TruLayer. A key without it has full access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TrulayerScope {
    Query,
}

impl AccessLevel {
    /// Returns `QueryOnly` for scopes that only read, and `Full` for all others.
    fn from_scopes(scopes: &Scopes) -> Self {
        match scopes {
            Scopes::List(list) if list.iter().all(|scope| scope.action() == catalogue::READ) => Self::QueryOnly,
            _ => Self::Full,
        }
    }
}

/// A key in the form of TruLayer's libraries.
#[derive(Serialize)]
struct ApiKey<'a> {
    id: KeyId,
    name: &'a Name,
    prefix: &'a str,
    scope: AccessLevel,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<[TrulayerScope; 1]>,
    status: &'static str,
    created_at: Rfc3339,
    last_used_at: Option<Rfc3339>,
    expires_at: Option<Rfc3339>,
    revoked_at: Option<Rfc3339>,
}

impl<'a> ApiKey<'a> {
    fn new(key: &'a Key, now: UnixMillis) -> Self {
        let scope = AccessLevel::from_scopes(&key.scopes);
        Self {
            id: key.id,
            name: &key.name,
            prefix: &key.preview.start,
            scope,
            scopes: (scope == AccessLevel::QueryOnly).then_some([TrulayerScope::Query]),
            status: key.status_at(now).as_str(),
            created_at: Rfc3339(key.created_at),
            last_used_at: key.last_used_at.map(Rfc3339),
            expires_at: key.life.expires_at.map(Rfc3339),
            revoked_at: key.life.revoked_at.map(Rfc3339),
        }
    }
}

/// Returns a response with a key and its new secret, which happens only once. TruLayer's documents disagree on the
/// name of the secret, so it has both.
fn revealed(call: &Call<'_>, status: u16, created: &Created) -> Response {
    #[derive(Serialize)]
    struct Revealed<'a> {
        #[serde(flatten)]
        about: ApiKey<'a>,
        key: &'a str,
        secret: &'a str,
    }
    let about = ApiKey::new(&created.key, call.app.clock.now());
    Response::json(status, &Revealed { about, key: created.text.expose(), secret: created.text.expose() })
}

/// Lists all visible keys, the newest first, with the revoked ones. TruLayer's libraries have no pages, so there are at
/// most 1,000.
pub(crate) async fn list(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let filter = KeyFilter { status: StatusFilter::All, ..KeyFilter::default() };
    let keys = Keys::new(call.app).list_whole(principal, &filter, MAX_LIMIT).await?;
    let now = call.app.clock.now();
    Ok(Response::json(200, &keys.iter().map(|key| ApiKey::new(key, now)).collect::<Vec<_>>()))
}

/// Creates a key and returns its secret once.
pub(crate) async fn create(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    /// A new key. Unknown fields are refused, because a key with a misspelt `scope` would have full access.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NewKeyBody {
        name: Name,
        scope: Option<AccessLevel>,
        scopes: Option<Vec<TrulayerScope>>,
    }
    let body: NewKeyBody = input::body(call.request)?;
    let query = body.scopes.is_some_and(|scopes| !scopes.is_empty());
    let access = match (body.scope, query) {
        (Some(AccessLevel::Full), true) => {
            return Err(Error::invalid("scopes", "must be empty or left out if `scope` is `full`").into());
        }
        (Some(access), _) => access,
        (None, true) => AccessLevel::QueryOnly,
        (None, false) => AccessLevel::Full,
    };
    let new = NewKey {
        name: body.name,
        kind: None,
        project_id: None,
        label: None,
        scopes: (access == AccessLevel::QueryOnly).then(|| read_scopes(call, &principal.snapshot.scopes)),
        conditions: None,
        expires_at: None,
        metadata: Map::new(),
        operator_metadata: Map::new(),
        device: None,
    };
    Ok(revealed(call, 201, &Keys::new(call.app).create(principal, new).await?))
}

/// Returns those of the held scopes that only read, as a list, so that scopes of a later catalogue are not included.
fn read_scopes(call: &Call<'_>, held: &Scopes) -> Scopes {
    Scopes::List(call.app.config.catalogue.reading().filter(|scope| held.grant(scope)).collect())
}

/// Revokes a key.
pub(crate) async fn delete(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    Keys::new(call.app).revoke(principal, call.key_id()?, false).await?;
    Ok(Response::empty(204))
}

/// Rotates a key and returns its new secret once. The old secret ends at once.
pub(crate) async fn rotate(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    check_no_fields(call.request)?;
    let before = Keys::new(call.app).get(principal, KeyRef::Id(call.key_id()?)).await?;
    Ok(revealed(call, 200, &Keys::new(call.app).rotate(principal, &before, 0, None).await?))
}

/// Checks that a request without fields has none.
///
/// # Errors
/// [`Error::Invalid`] with the first field of its body.
fn check_no_fields(request: &Request) -> Result<(), Problem> {
    let fields: Map<String, Value> = serde_json::from_slice(body::bytes(request)?).unwrap_or_default();
    let Some(field) = fields.keys().next() else { return Ok(()) };
    let message = "is not a field here; to restrict a key, create it with `POST /v1/keys`";
    Err(Error::invalid(field, message).into())
}
