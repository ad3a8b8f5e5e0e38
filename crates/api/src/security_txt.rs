//! `GET /.well-known/security.txt` (RFC 9116).

use bitting_http::{call::Call, message::Response, operation::Operation, problem::Problem, typed::Output};
use bitting_keys::domain::time::DAY_MS;

/// The time for which the file is valid, in days. RFC 9116 recommends less than a year.
const VALID_DAYS: i64 = 180;

/// The file.
pub(crate) struct SecurityTxt(String);

impl Output for SecurityTxt {
    fn response(self) -> Response {
        Response::text("text/plain; charset=utf-8", &self.0)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<String>(200, "text/plain; charset=utf-8");
        operation.problem(404);
    }
}

/// Returns the operator's contact for reports about security, if `SECURITY_CONTACT` is set.
pub(crate) async fn get(call: &Call<'_>, (): ()) -> Result<SecurityTxt, Problem> {
    let contact = call.app.config.security_contact.as_ref().ok_or(Problem::NoSuchPath)?;
    let expires = call.app.clock.now().plus_ms(VALID_DAYS * DAY_MS).to_rfc3339();
    let origin = &call.request.origin;
    Ok(SecurityTxt(format!(
        "Contact: {contact}\nExpires: {expires}\nPreferred-Languages: en\nCanonical: {origin}/.well-known/security.txt\n"
    )))
}
