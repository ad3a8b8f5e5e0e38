//! The transport of requests: no secret is taken that others could read on the way.

use bitting_keys::domain::origin::{host, is_loopback, is_private};

use crate::{
    auth::KEY_HEADERS,
    message::{Request, Response},
    problem::Problem,
};

/// A year, in which a browser does not try plain HTTP again (RFC 6797).
const STRICT: &str = "max-age=31536000";

/// Checks that nobody could read the secret of a request on the way. Besides keys, bodies may hold secrets, and the
/// path of an invitation is one.
///
/// # Errors
/// [`Problem::PlainHttp`].
pub fn check(request: &Request) -> Result<(), Problem> {
    let reads = ["GET", "HEAD", "OPTIONS"].contains(&request.method.as_str());
    let has_credential = request.header("authorization").is_some()
        || KEY_HEADERS.iter().any(|name| request.header(name).is_some())
        || request.path.contains("/invitations/")
        // The URI that a proxy's caller asked for can hold a key.
        || request.path == "/v1/authorize";
    if is_private(&request.origin) || (reads && !has_credential) { Ok(()) } else { Err(Problem::PlainHttp) }
}

/// Tells browsers to come back over TLS alone. It is not said of the same machine, where other servers share the name,
/// nor of addresses, for which browsers ignore it.
pub fn insist_on_tls(request: &Request, response: &mut Response) {
    let host = host(&request.origin);
    let name = host.split(':').next().unwrap_or_default();
    let is_address = host.starts_with('[')
        || name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if request.origin.starts_with("https://") && !is_loopback(&request.origin) && !is_address {
        response.headers.push(("Strict-Transport-Security".into(), STRICT.to_owned()));
    }
}
