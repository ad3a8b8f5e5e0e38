//! Calls in the name of a key: admitted, tried once more after the guard stopped them, and noted if refused.

use bitting_keys::{
    app::{Principal, audit::RefusedAttempt, error::Error, verify::Freshness},
    domain::id,
    ports::{Clock, Entropy},
};

use crate::{
    auth::{Permission, admit, identify, repeatable, warned},
    body::{self, Reading},
    call::{Act, Call, RowName},
    message::{Request, Response},
    problem::Problem,
};

/// An action that a key may ask for.
#[derive(Clone, Copy)]
pub struct Action<'a> {
    /// The permission that the key must have.
    pub permission: &'a Permission,
    /// How the request's body is read.
    pub reading: Reading,
    /// The handler.
    pub handler: &'a Act,
}

/// Answers a call in the name of the key that its request shows.
///
/// # Errors
/// The refusal of the key, or the handler's problem.
pub async fn answer(call: &Call<'_>, action: Action<'_>) -> Result<Response, Problem> {
    let mut principal = identify(call.app, call.request, call.request_id, Freshness::Bounded).await?;
    let admitted = admit(call.app, &principal, action.permission);
    if admitted.is_ok() {
        call.app.note_use(&principal.snapshot);
    }
    let answer = act(call, action, &mut principal, admitted).await;
    answer.map(|response| warned(response, &principal))
}

/// Carries out an action for which the key was admitted, or else notes the refusal.
///
/// # Errors
/// The refusal of the key, or the handler's problem.
pub async fn act(
    call: &Call<'_>,
    action: Action<'_>,
    principal: &mut Principal,
    admitted: Result<(), Problem>,
) -> Result<Response, Problem> {
    let answer = match admitted {
        Ok(()) => attempt(call, action, principal).await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &answer
        && action.permission.manages
    {
        note_refusal(call, principal, problem);
    }
    answer
}

async fn attempt(call: &Call<'_>, action: Action<'_>, principal: &mut Principal) -> Result<Response, Problem> {
    // Only the body of an admitted key is read.
    let request = &*body::read(call.request, action.reading).await?;
    let call = &call.with_request(request);
    principal.repeatable = repeatable(request)?;
    let answer = (action.handler)(call, principal).await;
    let Err(Problem::App(Error::KeyChanged)) = answer else { return answer };
    // The guard stopped the batch, so nothing has happened yet: judge the key by what the database
    // says now, and let it try again if it is still good.
    let again = identify(call.app, request, call.request_id, Freshness::Strong).await?;
    *principal = Principal { repeatable: principal.repeatable.take(), ..again };
    admit(call.app, principal, action.permission)?;
    (action.handler)(call, principal).await
}

/// Notes an attempt to manage something if it was refused, and not merely asked wrongly or in vain.
pub fn note_refusal(call: &Call<'_>, principal: &Principal, problem: &Problem) {
    let (401 | 403 | 404 | 409, code) = problem.status_and_code() else {
        return;
    };
    // The last that is an id, because the paths go from the whole to its parts. What is none is not
    // written down: people put keys where ids belong.
    let subject = call.params.iter().filter_map(|(_, value)| id::well_formed(value)).last();
    let RowName { method, path: route } = call.row;
    call.app.note_refusal(principal, &RefusedAttempt { subject, code, method, route });
}

/// Tells the log why something is not available. `path` is the row's and not the request's: people put keys where ids
/// belong.
pub fn log_failure(method: &str, path: &str, problem: &Problem, request_id: &str) {
    if let Problem::App(Error::Unavailable(cause)) = problem {
        log::error!("{method} {path} failed: {cause} (request {request_id})");
    }
}

/// The request's id: the platform's, if it gave one.
pub fn request_id(request: &Request, clock: &dyn Clock, entropy: &dyn Entropy) -> String {
    if let Some(ray) = request.header("cf-ray") {
        return ray.to_owned();
    }
    let mut random = [0; 10];
    if let Err(message) = entropy.fill(&mut random) {
        log::error!("there is no randomness for the id of a request: {message}");
    }
    id::request_id(clock.now(), random)
}
