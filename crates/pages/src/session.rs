//! Sessions: the cookie that a browser shows, how it gets one, and where it goes then.

use bitting_http::{
    call::Call,
    dispatch,
    message::{Request, Response},
    problem::Problem,
};
use bitting_keys::{
    app::sessions::{Client, Sessions, SignedIn, StartedSession},
    domain::{
        origin::{is_loopback, is_private},
        time::UnixMillis,
        token::SessionToken,
    },
};

use crate::layout::see_other;

/// The page on which everybody begins.
pub(crate) const START: &str = "/settings/keys";

/// Returns true if the request comes from the same machine, without TLS.
fn is_on_own_machine(request: &Request) -> bool {
    request.origin.starts_with("http://") && is_loopback(&request.origin)
}

/// Returns true if a browser would keep the cookie.
pub(crate) fn can_be_kept(request: &Request) -> bool {
    is_private(&request.origin)
}

/// The cookie's name, and what else is said of it. Where it is served over TLS, no other host and no plain
/// page can set or read it. On one's own machine there is no TLS, and not every browser would keep it then.
fn manners(request: &Request) -> (&'static str, &'static str) {
    if is_on_own_machine(request) { ("bitting", "") } else { ("__Host-bitting", " Secure;") }
}

/// Returns the session; `None` without one.
pub(crate) async fn read(call: &Call<'_>) -> Result<Option<SignedIn>, Problem> {
    let (name, _) = manners(call.request);
    let cookies = call.request.header("cookie").unwrap_or_default().split(';');
    let token = cookies.filter_map(|cookie| cookie.trim().split_once('=')).find(|(cookie, _)| *cookie == name);
    let Some(token) = token.and_then(|(_, token)| SessionToken::parse(token)) else { return Ok(None) };
    Ok(Sessions::new(call.app).get(&token, &client(call)).await?)
}

/// The header that lets the browser keep a session that was just started.
pub(crate) fn set(request: &Request, started: &StartedSession, now: UnixMillis) -> String {
    let (name, secure) = manners(request);
    let seconds = started.expires_at.ms_since(now) / 1000;
    format!("{name}={}; Path=/; HttpOnly;{secure} SameSite=Strict; Max-Age={seconds}", started.token.expose())
}

/// The header that lets the browser forget its session.
pub(crate) fn forget(request: &Request) -> String {
    let (name, secure) = manners(request);
    format!("{name}=; Path=/; HttpOnly;{secure} SameSite=Strict; Max-Age=0")
}

/// Returns the client of a request.
pub(crate) fn client(call: &Call<'_>) -> Client {
    Client {
        request_id: call.request_id.to_owned(),
        ip: call.request.header("cf-connecting-ip").map(str::to_owned),
        country: call.request.header("cf-ipcountry").map(str::to_owned),
        user_agent: call.request.header("user-agent").unwrap_or_default().to_owned(),
    }
}

/// Returns the client of a request to sign in or to open a link, which counts as one attempt.
pub(crate) async fn attempt(call: &Call<'_>) -> Result<Client, Problem> {
    let client = client(call);
    Sessions::new(call.app).count_attempt(&client).await?;
    Ok(client)
}

/// The page that a client wanted before they were asked to sign in, if it is one of those here.
pub(crate) fn wanted(to: &str) -> &str {
    // Every path below this is a page's.
    let is_page = to.strip_prefix("/settings/").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('?'));
    let in_header = to.bytes().all(|byte| byte.is_ascii_graphic());
    if is_page && in_header { to } else { START }
}

/// Sends a person who has just been signed in to a page, with their cookie. It replaces the cookie of a session before,
/// which could then be ended by the list of devices alone, so that session ends.
pub(crate) async fn signed_in_at(call: &Call<'_>, started: &StartedSession, to: &str) -> Response {
    if let Err(problem) = end_session_before(call).await {
        log::warn!("a session goes on for which there is another in its browser: {problem:?}");
    }
    let mut response = see_other(to);
    response.headers.push(("Set-Cookie".into(), set(call.request, started, call.app.clock.now())));
    response
}

async fn end_session_before(call: &Call<'_>) -> Result<(), Problem> {
    let Some(before) = read(call).await? else { return Ok(()) };
    Ok(Sessions::new(call.app).end(&before.principal, before.session_id).await?)
}

/// Notes an attempt to do something that was refused. Looking at something is none.
pub(crate) fn note_refusal(call: &Call<'_>, session: &SignedIn, problem: &Problem) {
    if call.row.method == "POST" {
        dispatch::note_refusal(call, &session.principal, problem);
    }
}
