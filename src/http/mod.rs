//! HTTP: requests in, answers out. The only place that knows of statuses, headers and JSON shapes.

pub(crate) mod audit;
pub(crate) mod bootstrap;
pub(crate) mod braintrust;
pub(crate) mod confident;
pub(crate) mod datasets;
pub(crate) mod error_analysis;
pub(crate) mod evaluations;
pub(crate) mod forward;
pub(crate) mod input;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod live_evaluations;
pub(crate) mod mcp;
pub mod message;
pub mod openapi;
pub(crate) mod organizations;
pub(crate) mod people;
pub(crate) mod problem;
pub(crate) mod review;
pub mod routes;
pub(crate) mod runs;
pub(crate) mod shares;
pub(crate) mod surface;
pub(crate) mod teams;
pub(crate) mod tools;
pub(crate) mod trulayer;
pub(crate) mod typed;
pub(crate) mod verify;

use std::slice;

use matchit::Params;

use crate::{
    app::{App, Principal, audit::RefusedAttempt, error::Error, verify::Freshness},
    domain::{
        decision::{Refusal, decide},
        id,
        idempotency::Repeatable,
        key_text::KeyText,
        scope::Scope,
    },
};

use self::{
    message::{Body, KEY_HEADERS, Request, Response},
    problem::Problem,
    routes::{Access, Call, KeyHandler, Route},
    surface::Surface,
};

/// Answers a request. Whatever is in it, the answer is one of this service's own.
pub async fn handle(app: &App, request: &Request) -> Response {
    let request_id = request_id(app, request);
    let (surface, path) = Surface::of(&request.path);
    let mut response = match route(app, request, path, &request_id).await {
        Ok(response) => response,
        Err(problem) => {
            let path = routes::find(&request.method, path.unwrap_or_default()).map_or("", |(route, _)| route.path);
            log_failure(&request.method, path, &problem, &request_id);
            problem.response(surface, &request_id)
        }
    };
    response.headers.push(("X-Request-Id".into(), request_id));
    response
}

/// The request's id: the platform's, if it gave one.
pub(crate) fn request_id(app: &App, request: &Request) -> String {
    match request.header("cf-ray") {
        Some(ray) => ray.to_owned(),
        None => id::request_id(app.clock.now(), app.random_bits().unwrap_or_default()),
    }
}

/// Tells the log why something is not available. `path` is the route's and not the request's: people put
/// keys where ids belong.
pub(crate) fn log_failure(method: &str, path: &str, problem: &Problem, request_id: &str) {
    if let Problem::App(Error::Unavailable(cause)) = problem {
        log::error!("{method} {path} failed: {cause} (request {request_id})");
    }
}

/// The answer of a deployment whose configuration cannot be read; the log says what is wrong with it.
pub fn misconfigured() -> Response {
    Problem::App(Error::Unavailable(String::new())).response(Surface::Native, "")
}

async fn route(app: &App, request: &Request, path: Option<&str>, request_id: &str) -> Result<Response, Problem> {
    let own = path.ok_or(Problem::NoSuchPath).and_then(|path| Ok((path, routes::find(&request.method, path)?)));
    let (path, (route, params)) = match own {
        Err(Problem::NoSuchPath) => return forward::forward(app, request, request_id).await,
        own => own?,
    };
    if Surface::of(path).0 == Surface::Mcp {
        mcp::check_origin(request)?;
    }
    match &route.access {
        Access::Operator(_) if !bearer(request).is_some_and(|secret| app.is_operator(secret)) => {
            Err(Problem::NotOperator)
        }
        Access::Anybody(handler) | Access::Operator(handler) => {
            handler(&Call { app, request: &*request.read().await?, path, params, request_id }).await
        }
        Access::Key(scope, handler) => {
            let mut by = identify(app, request, request_id, Freshness::Bounded).await?;
            let call = Call { app, request, path, params, request_id };
            if admit(app, &by, scope.as_ref(), route.runs()).is_ok() {
                app.note_use(&by.snapshot);
            }
            let answer = act(&call, route, scope.as_ref(), *handler, &mut by).await;
            answer.map(|response| warned(response, &by))
        }
    }
}

/// Answers a call of a route in the name of a key, if the key is good and holds the scope.
async fn act(
    call: &Call<'_>,
    route: &'static Route,
    scope: Option<&Scope>,
    handler: KeyHandler,
    by: &mut Principal,
) -> Result<Response, Problem> {
    let &Call { app, path, request_id, .. } = call;
    let answer = async {
        admit(app, by, scope, route.runs())?;
        // Nobody's body is read who may not send one.
        let request = &*call.request.read().await?;
        by.repeatable = repeatable(request)?;
        let call = Call { app, request, path, params: call.params.clone(), request_id };
        let answer = handler(&call, by).await;
        let Err(Problem::App(Error::KeyChanged)) = answer else { return answer };
        // The guard stopped the batch, so nothing has happened yet: judge the key by what the database
        // says now, and let it try again if it is still good.
        let again = identify(app, request, request_id, Freshness::Strong).await?;
        *by = Principal { repeatable: by.repeatable.take(), ..again };
        admit(app, by, scope, route.runs())?;
        handler(&call, by).await
    };
    let answer = answer.await;
    if let Err(problem) = &answer
        && route.manages()
    {
        note_refusal(app, route.method, route.path, &call.params, by, problem);
    }
    answer
}

/// Notes an attempt to manage something if it was refused, and not merely asked wrongly or in vain.
pub(crate) fn note_refusal(
    app: &App,
    method: &'static str,
    route: &'static str,
    params: &Params<'_, '_>,
    by: &Principal,
    problem: &Problem,
) {
    let (401 | 403 | 404 | 409, code) = problem.status_and_code() else {
        return;
    };
    // The last that is an id, because the paths go from the whole to its parts. What is none is not
    // written down: people put keys where ids belong.
    let subject = params.iter().filter_map(|(_, value)| id::well_formed(value)).last();
    app.note_refusal(by, &RefusedAttempt { subject, code, method, route });
}

/// Lets a key pass if it is good and holds the scope. `runs` says that this is about the one thing that the key
/// of a live evaluation may do.
fn admit(app: &App, by: &Principal, scope: Option<&Scope>, runs: bool) -> Result<(), Problem> {
    let now = app.clock.now();
    decide(&by.snapshot, &[], now)?;
    if by.snapshot.live_evaluation_id.is_some() && !runs {
        return Err(Problem::LiveEvaluationKey);
    }
    Ok(decide(&by.snapshot, scope.map_or(&[], slice::from_ref), now)?)
}

/// Tells whoever uses a secret that a rotation is replacing until when it works: `Sunset` is an HTTP
/// date (RFC 8594).
fn warned(mut response: Response, by: &Principal) -> Response {
    if let Some(until) = by.snapshot.outgoing_until {
        let at = until.to_rfc3339();
        let warning = format!("This secret was replaced and works until {at}. Use the new one.");
        response.headers.push(("Sunset".into(), until.to_http_date()));
        response.headers.push(("X-Api-Key-Warning".into(), warning));
    }
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

/// The key that was sent, whatever it may do and be it at its end.
async fn identify(app: &App, request: &Request, request_id: &str, freshness: Freshness) -> Result<Principal, Problem> {
    let text = credential(request).ok_or(Problem::MissingKey)?;
    let text = KeyText::parse(text).map_err(|_| Refusal::Malformed)?;
    let found = app.find(&text, freshness).await?.ok_or(Refusal::Unknown)?;
    Ok(Principal {
        snapshot: found.snapshot,
        request_id: request_id.to_owned(),
        ip: request.header("cf-connecting-ip").map(str::to_owned),
        repeatable: None,
    })
}

/// What the header `Idempotency-Key` stands for, if it was sent.
fn repeatable(request: &Request) -> Result<Option<Repeatable>, Problem> {
    let Some(key) = request.header("idempotency-key") else { return Ok(None) };
    let caller = KeyText::parse(credential(request).unwrap_or_default()).map_err(|_| Refusal::Malformed)?;
    let body = match &request.body {
        Body::Bytes(bytes) => bytes.as_slice(),
        Body::TooLarge | Body::Unread(_) => &[],
    };
    let all = [request.method.as_bytes(), request.path.as_bytes(), request.query.as_bytes(), body];
    let must = "must be 1 to 255 visible ASCII characters";
    Repeatable::new(caller, key, &all).map(Some).ok_or_else(|| Error::invalid("Idempotency-Key", must).into())
}
