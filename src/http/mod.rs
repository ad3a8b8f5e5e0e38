//! HTTP: requests in, answers out. The only place that knows of statuses, headers and JSON shapes.

pub(crate) mod audit;
pub(crate) mod bootstrap;
pub(crate) mod braintrust;
pub(crate) mod confident;
pub(crate) mod input;
pub(crate) mod invitations;
pub(crate) mod keys;
pub mod message;
pub(crate) mod organizations;
pub(crate) mod people;
pub(crate) mod problem;
pub mod routes;
pub(crate) mod surface;
pub(crate) mod teams;
pub(crate) mod trulayer;
pub(crate) mod verify;

use std::slice;

use crate::{
    app::{App, Principal, audit::RefusedAttempt, error::Error, verify::Freshness},
    domain::{
        decision::{Refusal, decide},
        id,
        idempotency::Repeatable,
        key_text::KeyText,
        time::UnixMillis,
    },
};

use self::{
    message::{Body, KEY_HEADERS, Request, Response},
    problem::Problem,
    routes::{Access, Call, Route},
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
        Access::Anybody(handler) => handler(&call).await,
        Access::Operator(handler) => match bearer(request) {
            Some(secret) if app.is_operator(secret) => handler(&call).await,
            _ => Err(Problem::NotOperator),
        },
        Access::Key(scope, handler) => {
            let admit = |by: &Principal| decide(&by.snapshot, scope.as_ref().map_or(&[], slice::from_ref), app.now());
            let mut by = identify(&call, Freshness::Bounded).await?;
            let mut answer = match admit(&by) {
                Ok(()) => {
                    app.note_use(&by.snapshot);
                    handler(&call, &by).await
                }
                Err(refusal) => Err(refusal.into()),
            };
            // The guard stopped the batch, so nothing has happened yet: judge the key by what the
            // database says now, and let it try again if it is still good.
            if let Err(Problem::App(Error::KeyChanged)) = answer {
                by = identify(&call, Freshness::Strong).await?;
                answer = match admit(&by) {
                    Ok(()) => handler(&call, &by).await,
                    Err(refusal) => Err(refusal.into()),
                };
            }
            if let Err(problem) = &answer
                && route.manages()
            {
                note_refusal(&call, route, &by, problem);
            }
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

/// Notes an attempt to manage something if it was refused, and not merely asked wrongly or in vain.
fn note_refusal(call: &Call<'_>, route: &'static Route, by: &Principal, problem: &Problem) {
    let (401 | 403 | 404 | 409, code) = problem.status_and_code() else {
        return;
    };
    // The last that is an id, because the paths go from the whole to its parts. What is none is not
    // written down: people put keys where ids belong.
    let subject = call.params.iter().filter_map(|(_, value)| id::well_formed(value)).last();
    let attempt = RefusedAttempt { subject, code, method: route.method, route: route.path };
    call.app.note_refusal(by, &attempt);
}

/// The key that was sent, whatever it may do and be it at its end.
async fn identify(call: &Call<'_>, freshness: Freshness) -> Result<Principal, Problem> {
    let request = call.request;
    let text = credential(request).ok_or(Problem::MissingKey)?;
    let text = KeyText::parse(text).map_err(|_| Refusal::Malformed)?;
    let found = call.app.find(&text, freshness).await?.ok_or(Refusal::Unknown)?;
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
