//! TruLayer's surface: its keys with their two scopes, and what its libraries send with them.

use bitting_http::{
    call::Call,
    input,
    message::{Response, Rfc3339},
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
        key_list::{KeyCursor, KeyFilter, KeyRef, StatusFilter},
        scope::{Scope, Scopes},
        time::UnixMillis,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Map;

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

/// An error as its libraries read it.
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorCode<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    request_id: &'a str,
}

/// A code alone, but for what their document shows as an object.
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
        // Its libraries stop asking at this code, and at no other that fits.
        Problem::App(Error::Refused(Refusal::Malformed)) => Refusal::Unknown.code(),
        Problem::App(Error::Refused(Refusal::MissingScopes(_))) => "scope_forbidden",
        _ => code,
    };
    Response::json(status, &ErrorBody { error: ErrorCode::Code(code), message: Some(message), request_id })
}

/// What a key may do, in TruLayer's two words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Access {
    /// All that its maker may.
    Full,
    /// Read.
    QueryOnly,
}

/// TruLayer's only scope. A key without it has full access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TrulayerScope {
    Query,
}

impl Access {
    /// A list of nothing but reading can write nothing; any other key is shown as one that can.
    fn of(scopes: &Scopes) -> Self {
        match scopes {
            Scopes::List(list) if list.iter().all(|scope| scope.action() == catalogue::READ) => Self::QueryOnly,
            _ => Self::Full,
        }
    }
}

/// A key as TruLayer shows it.
#[derive(Serialize)]
struct ApiKey<'a> {
    id: KeyId,
    name: &'a Name,
    prefix: &'a str,
    scope: Access,
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
        let scope = Access::of(&key.scopes);
        Self {
            id: key.id,
            name: &key.name,
            prefix: &key.preview.start,
            scope,
            scopes: (scope == Access::QueryOnly).then_some([TrulayerScope::Query]),
            status: key.life.state_at(now).as_str(),
            created_at: Rfc3339(key.created_at),
            last_used_at: key.last_used_at.map(Rfc3339),
            expires_at: key.life.expires_at.map(Rfc3339),
            revoked_at: key.life.revoked_at.map(Rfc3339),
        }
    }
}

/// A key with its new text: the one time that it is told. The vendor's documents disagree on the text's name.
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

/// All keys within reach, the newest first, also those that were revoked; its clients know no pages, so
/// 1,000 at most.
pub(crate) async fn list(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let filter = KeyFilter { status: StatusFilter::All, ..KeyFilter::default() };
    let page = Keys::new(call.app).list(principal, &filter, KeyCursor::Start, MAX_LIMIT).await?;
    let now = call.app.clock.now();
    Ok(Response::json(200, &page.items.iter().map(|key| ApiKey::new(key, now)).collect::<Vec<_>>()))
}

pub(crate) async fn create(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    /// What is not known here is refused: a key whose `scope` was misspelt would have full access.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: Name,
        scope: Option<Access>,
        scopes: Option<Vec<TrulayerScope>>,
    }
    let body: Body = input::body(call.request)?;
    let query = body.scopes.is_some_and(|scopes| !scopes.is_empty());
    let access = match (body.scope, query) {
        (Some(Access::Full), true) => {
            return Err(Error::invalid("scopes", "must be empty, or left out, where `scope` is `full`").into());
        }
        (Some(access), _) => access,
        (None, true) => Access::QueryOnly,
        (None, false) => Access::Full,
    };
    let new = NewKey {
        name: body.name,
        kind: None,
        project_id: None,
        label: None,
        scopes: (access == Access::QueryOnly).then(|| reading(call, &principal.snapshot.scopes)),
        expires_at: None,
        metadata: Map::new(),
    };
    Ok(revealed(call, 201, &Keys::new(call.app).create(principal, new).await?))
}

/// What a key that may only read gets of its maker: a list, so that what the catalogue comes to name
/// later is not in it.
fn reading(call: &Call<'_>, held: &Scopes) -> Scopes {
    let reading: Vec<Scope> = call.app.config.catalogue.reading().filter(|scope| held.grant(scope)).collect();
    Scopes::List(reading)
}

pub(crate) async fn delete(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    Keys::new(call.app).revoke(principal, call.key_id()?, false).await?;
    Ok(Response::empty(204))
}

/// The old secret ends at once.
pub(crate) async fn rotate(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let before = Keys::new(call.app).get(principal, KeyRef::Id(call.key_id()?)).await?;
    Ok(revealed(call, 200, &Keys::new(call.app).rotate(principal, &before, 0, None).await?))
}
