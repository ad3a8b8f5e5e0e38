//! Dispatch of calls with a key: admission, a second attempt after the guard stopped one, and a note if refused.

use std::borrow::Cow;

use bitting_keys::{
    app::{Principal, audit::RefusedAttempt, error::Error},
    domain::{id, key_use::UsedFrom, lookup::Freshness},
    ports::{Clock, Entropy},
};

use serde_json::json;

use crate::{
    auth::{Permission, Subject, admit, identify, identify_with_subject, key, repeatable, with_rotation_warning},
    body::{self, Reading},
    call::{Act, Call, RowName},
    message::{Request, Response},
    problem::Problem,
};

/// The actions of the scopes with which nothing is written.
const READING: [&str; 2] = ["read", "verify"];

/// A handler with its requirements.
#[derive(Clone, Copy)]
pub struct Action<'a> {
    /// The permission that the key must have.
    pub permission: &'a Permission,
    /// The way in which the body of the request is read.
    pub reading: Reading,
    /// True if it stores something large.
    pub bulk: bool,
    /// The key that a request is about, if it is about one.
    pub subject: Option<Subject>,
    /// The handler.
    pub handler: &'a Act,
}

/// Answers a call with the key of its request.
///
/// # Errors
/// The refusal of the key, or the handler's problem.
pub async fn answer(call: &Call<'_>, action: Action<'_>) -> Result<Response, Problem> {
    // A request about another key is read first, so that both keys are one question to the database.
    let request = &*match action.subject {
        Some(_) => {
            key(call.request)?;
            body::read(call.request, action.reading).await?
        }
        None => Cow::Borrowed(call.request),
    };
    let call = &call.with_request(request);
    let mut principal = match action.subject.and_then(|subject| subject(request)) {
        Some(subject) => identify_with_subject(call.app, request, call.request_id, &subject).await?,
        None => identify(call.app, request, call.request_id, Freshness::Bounded).await?,
    };
    let admitted = admit(call.app, &principal, action.permission);
    if admitted.is_ok() {
        call.app.note_use(&principal.snapshot, used_from(call.request));
    }
    let answer = act(call, action, &mut principal, admitted).await;
    answer.map(|response| with_rotation_warning(response, &principal))
}

/// Returns the client of a request.
pub fn used_from(request: &Request) -> Option<UsedFrom> {
    UsedFrom::new(request.header("cf-connecting-ip"), request.header("user-agent"))
}

/// Calls the handler if the key was admitted. Notes a refusal.
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
    if let Err(problem) = &answer {
        if action.permission.manages {
            note_refusal(call, principal, problem);
        } else {
            note_ended(call, principal, problem);
        }
    }
    answer
}

/// The length from which on the body of an act of management is something large, in bytes. Much of it is stored twice: in
/// its row, and in the event of the audit log.
const LARGE_BYTES: usize = 2_048;

async fn attempt(call: &Call<'_>, action: Action<'_>, principal: &mut Principal) -> Result<Response, Problem> {
    body::check_encoding(call.request)?;
    if action.bulk {
        call.app.check_room()?;
    }
    // The body is read for admitted keys only, unless the row says otherwise.
    let request = &*body::read(call.request, action.reading).await?;
    let call = &call.with_request(request);
    principal.repeatable = repeatable(request)?;
    if is_counted(call.row, action.permission) {
        if action.permission.manages && body::bytes(request).is_ok_and(|bytes| bytes.len() > LARGE_BYTES) {
            call.app.check_room()?;
        }
        call.app.count_write(principal.snapshot.organization_id, action.permission.manages).await?;
    }
    let answer = (action.handler)(call, principal).await;
    let Err(Problem::App(Error::KeyChanged)) = answer else { return answer };
    // The guard stopped the batch, so nothing has happened yet. The key is checked against the database, and the
    // handler is called again if the key is still valid.
    let again = identify(call.app, request, call.request_id, Freshness::Strong).await?;
    *principal = Principal { repeatable: principal.repeatable.take(), ..again };
    admit(call.app, principal, action.permission)?;
    (action.handler)(call, principal).await
}

/// True if a call counts as a write of its organization. What ends a key or a secret never does: a leaked key must not
/// stop its own revocation. A verification or a simulation is sent by POST and writes nothing.
fn is_counted(row: RowName, permission: &Permission) -> bool {
    let reads = permission.scope.as_ref().is_some_and(|scope| READING.contains(&scope.action()));
    let ends = row.method == "DELETE" || row.path.contains("/rotate");
    !matches!(row.method, "GET" | "HEAD") && !reads && !ends
}

/// Notes a refused attempt to manage something. Invalid requests and failures are not noted.
pub fn note_refusal(call: &Call<'_>, principal: &Principal, problem: &Problem) {
    let (401 | 403 | 404 | 409, code) = problem.status_and_code() else {
        return;
    };
    // The subject is the last id of the path, since paths go from the whole to its parts. Other texts are not
    // written down, because people put keys where ids belong.
    let subject = call.params.iter().filter_map(|(_, value)| id::well_formed(value)).last();
    let RowName { method, path: route } = call.row;
    call.app.note_refusal(principal, &RefusedAttempt { subject, code, method, route });
}

/// Notes the use of a key that has ended, or whose conditions are not met, whatever it was used for.
pub fn note_ended(call: &Call<'_>, principal: &Principal, problem: &Problem) {
    let RowName { method, path: route } = call.row;
    if let Problem::App(Error::Refused(refusal)) = problem
        && refusal.is_noted()
    {
        call.app.note_refused_use(principal, refusal, json!({ "method": method, "route": route }));
    }
}

/// Logs the cause of an unavailable dependency. `path` is that of the route and not of the request, because people put
/// keys where ids belong.
pub fn log_failure(method: &str, path: &str, problem: &Problem, request_id: &str) {
    if let Problem::App(Error::Unavailable(cause)) = problem {
        log::error!("{method} {path} failed: {cause} (request {request_id})");
    }
}

/// Returns the id of the request: the platform's, or a new one.
pub fn request_id(request: &Request, clock: &dyn Clock, entropy: &dyn Entropy) -> String {
    if let Some(ray) = request.header("cf-ray") {
        return ray.to_owned();
    }
    let mut random = [0; 10];
    if let Err(message) = entropy.fill(&mut random) {
        log::error!("no randomness for the id of a request: {message}");
    }
    id::request_id(clock.now(), random)
}
