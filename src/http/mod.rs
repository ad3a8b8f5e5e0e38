//! HTTP: requests in, answers out. The only place that knows of statuses, headers and JSON shapes.

pub(crate) mod bootstrap;
pub(crate) mod braintrust;
pub(crate) mod confident;
pub(crate) mod input;
pub(crate) mod keys;
pub mod message;
pub mod openapi;
pub(crate) mod problem;
pub mod routes;
pub(crate) mod surface;
pub(crate) mod trulayer;
pub(crate) mod typed;
pub(crate) mod verify;

use std::slice;

use crate::{
    app::{App, Principal, error::Error, verify::Freshness},
    domain::{
        decision::{Refusal, decide},
        id,
        idempotency::Repeatable,
        key_text::KeyText,
        scope::Scope,
        time::UnixMillis,
    },
};

use self::{
    message::{Body, KEY_HEADERS, Request, Response},
    problem::Problem,
    routes::{Access, Call},
    surface::Surface,
};

/// Answers a request. Whatever is in it, the answer is one of this service's own.
pub async fn handle(app: &App, request: &Request) -> Response {
    let request_id = match request.header("cf-ray") {
        Some(ray) => ray.to_owned(),
        None => id::request_id(app.clock.now(), app.random_bits().unwrap_or_default()),
    };
    let (surface, path) = Surface::of(&request.path);
    let mut response = match route(app, request, path, &request_id).await {
        Ok(response) => response,
        Err(problem) => {
            if let Problem::App(Error::Unavailable(cause)) = &problem {
                // The route's path and not the request's: people put keys where ids belong.
                let path = routes::find(&request.method, path.unwrap_or_default()).map_or("", |(route, _)| route.path);
                log::error!("{} {path} failed: {cause} (request {request_id})", request.method);
            }
            problem.response(surface, &request_id)
        }
    };
    response.headers.push(("X-Request-Id", request_id));
    response
}

/// The answer of a deployment whose configuration cannot be read; the log says what is wrong with it.
pub fn misconfigured() -> Response {
    Problem::App(Error::Unavailable(String::new())).response(Surface::Native, "")
}

async fn route(app: &App, request: &Request, path: Option<&str>, request_id: &str) -> Result<Response, Problem> {
    let path = path.ok_or(Problem::NoSuchPath)?;
    let (route, params) = routes::find(&request.method, path)?;
    let call = Call { app, request, path, params, request_id };
    match &route.access {
        Access::Anyone(handler) => handler(&call).await,
        Access::Operator(handler) => match bearer(request) {
            Some(secret) if app.is_operator(secret) => handler(&call).await,
            _ => Err(Problem::NotOperator),
        },
        Access::Key(scope, handler) => {
            let by = authenticate(&call, scope.as_ref(), Freshness::Bounded).await?;
            call.app.note_use(&by.snapshot);
            let answer = match handler(&call, &by).await {
                // The guard stopped the batch, so nothing has happened yet: judge the key by what
                // the database says now, and let it try again if it is still good.
                Err(Problem::App(Error::KeyChanged)) => {
                    let by = authenticate(&call, scope.as_ref(), Freshness::Strong).await?;
                    handler(&call, &by).await
                }
                answer => answer,
            };
            answer.map(|response| match by.snapshot.outgoing_until {
                Some(until) => warned(response, until),
                None => response,
            })
        }
    }
}

/// Tells whoever uses a secret that a rotation is replacing until when it works: `Sunset` is an HTTP
/// date (RFC 8594).
fn warned(mut response: Response, until: UnixMillis) -> Response {
    let at = until.to_rfc3339();
    let warning = format!("This secret was replaced and works until {at}. Use the new one.");
    response.headers.push(("Sunset", until.to_http_date()));
    response.headers.push(("X-Api-Key-Warning", warning));
    response
}

/// The credential in `Authorization: Bearer …`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, credential) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

/// The key that was sent: as a bearer, or in one of the headers of Confident AI's libraries.
fn credential(request: &Request) -> Option<&str> {
    let sent = |name: &&str| request.header(name).map(str::trim).filter(|value| !value.is_empty());
    bearer(request).or_else(|| KEY_HEADERS.iter().find_map(sent))
}

async fn authenticate(call: &Call<'_>, scope: Option<&Scope>, freshness: Freshness) -> Result<Principal, Problem> {
    let request = call.request;
    let text = credential(request).ok_or(Problem::MissingKey)?;
    let text = KeyText::parse(text).map_err(|_| Refusal::Malformed)?;
    let found = call.app.find(&text, freshness).await?.ok_or(Refusal::Unknown)?;
    decide(&found.snapshot, scope.map_or(&[], slice::from_ref), call.app.clock.now())?;
    Ok(Principal {
        snapshot: found.snapshot,
        request_id: call.request_id.to_owned(),
        ip: request.header("cf-connecting-ip").map(str::to_owned),
        repeatable: repeatable(request, text)?,
    })
}

/// What the header `Idempotency-Key` stands for, if it was sent.
fn repeatable(request: &Request, caller: KeyText) -> Result<Option<Repeatable>, Problem> {
    let Some(key) = request.header("idempotency-key") else { return Ok(None) };
    let body = match &request.body {
        Body::Bytes(bytes) => bytes.as_slice(),
        Body::TooLarge => &[],
    };
    let all = [request.method.as_bytes(), request.path.as_bytes(), request.query.as_bytes(), body];
    let must = "must be 1 to 255 visible ASCII characters";
    Repeatable::new(caller, key, &all).map(Some).ok_or_else(|| Error::invalid("Idempotency-Key", must).into())
}
