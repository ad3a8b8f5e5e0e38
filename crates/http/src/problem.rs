//! Problems: every refusal and failure, as RFC 9457 describes them, with a stable code for programs.

use bitting_keys::{
    app::error::{Error, Mistake},
    domain::{decision::Refusal, scope::Scope},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::message::Response;

/// The time that a caller should wait before the next attempt.
const RETRY_AFTER_SECONDS: &str = "2";

/// The reason why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// No credential was sent.
    MissingKey,
    /// Two different credentials were sent.
    SeveralKeys,
    /// The operator's secret is wrong or missing.
    NotOperator,
    /// There is no such path.
    NoSuchPath,
    /// No route of the operator's is for what the caller of a proxy asked for.
    UnlistedRoute,
    /// Servers read the path differently, so the one behind it could see another path than the one that was allowed.
    AmbiguousPath,
    /// The link does not open an invitation, or no longer.
    NoInvitation,
    /// The request comes from a page of another site.
    ForeignOrigin,
    /// The request holds a secret and came over plain HTTP.
    PlainHttp,
    /// The path does not allow this method. The value lists the allowed ones.
    MethodNotAllowed(String),
    /// The body has more bytes than this maximum.
    BodyTooLarge(usize),
    /// The body is compressed.
    UnsupportedEncoding,
    /// The body is a form with the file in it, and not the file.
    Multipart,
    /// The body is not JSON.
    MalformedJson(String),
    /// The key is for one live evaluation and can do nothing else.
    LiveEvaluationKey,
    /// The upstream did not start to answer in time.
    UpstreamTimedOut,
    /// The upstream did not answer; the log says why.
    UpstreamFailed,
    /// The use case failed.
    App(Error),
}

/// A problem with the facts for every envelope.
pub struct Report<'a> {
    /// The problem.
    pub problem: &'a Problem,
    /// The status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// The sentence for people, with what to do next.
    pub detail: &'a str,
    /// The request's id.
    pub request_id: &'a str,
}

/// The shape of a surface's errors: a function that writes a problem as a response.
pub type Envelope = fn(&Report<'_>) -> Response;

/// The native envelope: a problem of RFC 9457.
pub fn envelope(report: &Report<'_>) -> Response {
    let Report { problem, status, code, detail, request_id } = *report;
    let mistakes = match problem {
        Problem::App(Error::Invalid(mistakes)) => mistakes.as_slice(),
        _ => &[],
    };
    let field = mistakes.first().and_then(|mistake| mistake.field.as_deref());
    let body = ProblemBody {
        r#type: format!("/errors#{code}"),
        title: title(status),
        status,
        detail,
        error: ErrorBody { code, message: detail, field },
        errors: mistakes
            .iter()
            .map(|Mistake { field, message }| MistakeBody { field: field.as_deref(), message })
            .collect(),
        request_id,
    };
    Response::typed(status, "application/problem+json", &body)
}

/// An error, as an RFC 9457 problem.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemBody<'a> {
    /// The link to the explanation of the code, relative to the service: `/errors#not_found`.
    r#type: String,
    /// The name of the status.
    title: &'a str,
    /// The status.
    status: u16,
    /// The explanation for people.
    detail: &'a str,
    /// The error for programs.
    error: ErrorBody<'a>,
    /// All mistakes in the request, with the code `validation_failed`; at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<MistakeBody<'a>>,
    /// The id of the request, as the log has it.
    request_id: &'a str,
}

/// An error for programs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorBody<'a> {
    /// The stable code of the error.
    pub code: &'a str,
    /// The explanation for people; the same as `detail`.
    pub message: &'a str,
    /// The path of the first wrong field or parameter, such as `scopes[1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'a str>,
}

/// A mistake in the request.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Mistake")]
struct MistakeBody<'a> {
    /// The path of the wrong field or parameter, such as `scopes[1]`; absent for the whole request.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// The fault, and how to correct it.
    message: &'a str,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::App(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::App(Error::Refused(refusal))
    }
}

impl Problem {
    /// Returns the values of both results, or the mistakes of both.
    ///
    /// # Errors
    /// As for [`Error::join`].
    pub fn join<A, B>(a: Result<A, Self>, b: Result<B, Self>) -> Result<(A, B), Self> {
        match (a, b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(a), Err(b)) => Err(a.and(b)),
            (Err(problem), _) | (_, Err(problem)) => Err(problem),
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::App(a), Self::App(b)) => Self::App(a.and(b)),
            (problem, _) => problem,
        }
    }

    /// Returns the status and the stable code.
    pub fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            Self::MissingKey => (401, "missing_api_key"),
            Self::SeveralKeys => (400, "several_api_keys"),
            Self::NotOperator => (401, "invalid_operator_secret"),
            Self::NoSuchPath | Self::NoInvitation | Self::App(Error::NotFound) => (404, "not_found"),
            Self::UnlistedRoute => (403, "unlisted_route"),
            Self::AmbiguousPath => (400, "ambiguous_path"),
            Self::ForeignOrigin => (403, "foreign_origin"),
            Self::PlainHttp => (403, "plain_http"),
            Self::MethodNotAllowed(_) => (405, "method_not_allowed"),
            Self::BodyTooLarge(_) => (413, "body_too_large"),
            Self::UnsupportedEncoding | Self::Multipart => (415, "unsupported_media_type"),
            Self::MalformedJson(_) => (400, "malformed_json"),
            Self::LiveEvaluationKey => (403, "live_evaluation_key"),
            Self::UpstreamTimedOut => (504, "upstream_timeout"),
            Self::UpstreamFailed => (502, "upstream_failed"),
            Self::App(Error::Invalid(_)) => (400, "validation_failed"),
            Self::App(Error::Exceeds(_)) => (403, "exceeds_own_access"),
            Self::App(Error::BadRequest { code, .. }) => (400, code),
            Self::App(Error::Forbidden { code, .. }) => (403, code),
            Self::App(Error::PaymentRequired { code, .. }) => (402, code),
            Self::App(
                Error::Conflict { code, .. } | Error::AlreadyExists { code, .. } | Error::InProgress { code, .. },
            ) => (409, code),
            Self::App(Error::QuotaExceeded(_)) => (409, "quota_exceeded"),
            Self::App(Error::DatabaseFull) => (507, "database_full"),
            Self::App(Error::Unready { code, .. }) => (503, code),
            Self::App(Error::VersionChanged) => (412, "precondition_failed"),
            Self::App(Error::TooMany) => (429, "rate_limited"),
            Self::App(Error::Reused) => (422, "idempotency_key_reused"),
            Self::App(Error::Spent(_)) => (409, "idempotency_key_spent"),
            Self::App(Error::Unavailable(_) | Error::KeyChanged) => (503, "unavailable"),
            Self::App(Error::Refused(refusal)) => {
                let status = match refusal {
                    Refusal::MissingScopes(_) | Refusal::OrganizationSuspended | Refusal::ConditionNotMet(_) => 403,
                    _ => 401,
                };
                (status, refusal.code())
            }
        }
    }

    /// Returns the explanation for people. It reveals nothing about the inside of the service.
    pub fn detail(&self) -> String {
        match self {
            Self::MissingKey => {
                "Send your API key in the header `Authorization: Bearer <key>`, or in `X-API-Key`.".to_owned()
            }
            Self::SeveralKeys => {
                "This request has two different API keys, in `Authorization`, `X-API-Key` or another place. Send one."
                    .to_owned()
            }
            Self::NotOperator => {
                "Send the operator's secret (OPERATOR_SECRET) in the header `Authorization: Bearer <secret>`."
                    .to_owned()
            }
            Self::NoSuchPath => {
                "There is no route at this path. GET /openapi.json lists the routes of the API.".to_owned()
            }
            Self::UnlistedRoute => {
                "No key may do this, since no route in the catalogue is for this method and path. Ask the operator of \
                 this service to add one."
                    .to_owned()
            }
            Self::AmbiguousPath => {
                "Not all servers would read this path alike. Leave out what is encoded twice, encoded slashes, `..`, `\\`, \
                 `;`, control characters, and characters that look like a dot or a slash."
                    .to_owned()
            }
            Self::NoInvitation => {
                "This link opens no invitation: it was accepted or revoked, or has expired. Ask for a new one."
                    .to_owned()
            }
            Self::ForeignOrigin => {
                "Web pages of other origins cannot use this path. Send the request from a program instead.".to_owned()
            }
            Self::PlainHttp => {
                "This request came over http://, so others could read its key, or any other secret in it, on the way. \
                 Revoke that key, create another, and send it over https:// only."
                    .to_owned()
            }
            Self::MethodNotAllowed(allowed) => format!("This path does not allow the method. Use one of: {allowed}."),
            Self::BodyTooLarge(max_bytes) => format!("The body is too large. Send at most {max_bytes} bytes."),
            Self::UnsupportedEncoding => {
                "The body is compressed (`Content-Encoding`). Send it as it is, without that header.".to_owned()
            }
            Self::Multipart => {
                "The body is a form with the file in it (`multipart/…`). Send the file itself as the body, with curl by \
                 `--data-binary @file`."
                    .to_owned()
            }
            Self::LiveEvaluationKey => {
                "This key can only run its live evaluation, with POST /api/eval/{live_evaluation}. Use another key."
                    .to_owned()
            }
            Self::UpstreamTimedOut => {
                "The server behind this path did not answer in time. Check what it has done before you try again."
                    .to_owned()
            }
            Self::UpstreamFailed => {
                "The server behind this path did not answer. Check what it has done before you try again.".to_owned()
            }
            Self::MalformedJson(message) => format!("The body is not JSON: {message}."),
            Self::App(Error::Invalid(mistakes)) => mistakes_detail(mistakes),
            Self::App(Error::Exceeds(message) | Error::AlreadyExists { message, .. }) => message.clone(),
            Self::App(Error::NotFound) => "Not found, or not visible to this key.".to_owned(),
            Self::App(
                Error::BadRequest { message, .. }
                | Error::Forbidden { message, .. }
                | Error::PaymentRequired { message, .. }
                | Error::Conflict { message, .. }
                | Error::InProgress { message, .. }
                | Error::Unready { message, .. },
            ) => (*message).to_owned(),
            Self::App(Error::QuotaExceeded(exceeded)) => exceeded.to_string(),
            Self::App(Error::DatabaseFull) => {
                "The database is nearly full, so nothing large is stored. Keys can still be managed. Ask the operator of \
                 this service to make room."
                    .to_owned()
            }
            Self::App(Error::VersionChanged) => {
                "The resource has changed since you read the `ETag` in `If-Match`. Read it again, then decide."
                    .to_owned()
            }
            Self::App(Error::TooMany) => "Too many attempts. Try again in a minute.".to_owned(),
            Self::App(Error::Reused) => {
                "This Idempotency-Key was already used for another request. Use a new one for each request.".to_owned()
            }
            Self::App(Error::Spent(id)) => {
                format!(
                    "The first request with this Idempotency-Key created {id}. Its answer cannot be given again. \
                     Use a new Idempotency-Key to create another."
                )
            }
            Self::App(Error::Unavailable(_) | Error::KeyChanged) => {
                "The service is not available at the moment. Try again in a few seconds.".to_owned()
            }
            Self::App(Error::Refused(refusal)) => refusal_detail(refusal),
        }
    }

    /// Returns this problem as a response in an envelope.
    pub fn response(&self, envelope: Envelope, request_id: &str) -> Response {
        let (status, code) = self.status_and_code();
        let detail = self.detail();
        let mut response = envelope(&Report { problem: self, status, code, detail: &detail, request_id });
        match (status, self) {
            // RFC 6750, section 3.1, here and below.
            (403, Self::App(Error::Refused(Refusal::MissingScopes(scopes)))) => {
                let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
                let challenge =
                    format!("Bearer realm=\"bitting\", error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" "));
                response.headers.push(("WWW-Authenticate".into(), challenge));
            }
            (401, Self::MissingKey | Self::NotOperator) => {
                response.headers.push(("WWW-Authenticate".into(), "Bearer realm=\"bitting\"".to_owned()));
            }
            (401, _) => {
                response
                    .headers
                    .push(("WWW-Authenticate".into(), "Bearer realm=\"bitting\", error=\"invalid_token\"".to_owned()));
            }
            (409, Self::App(Error::InProgress { .. })) => {
                response.headers.push(("Retry-After".into(), RETRY_AFTER_SECONDS.to_owned()));
            }
            // RFC 9110, section 15.5.16.
            (415, Self::UnsupportedEncoding) => {
                response.headers.push(("Accept-Encoding".into(), "identity".to_owned()));
            }
            (405, Self::MethodNotAllowed(allowed)) => response.headers.push(("Allow".into(), allowed.clone())),
            // Clients of the Stainless family retry these, which cannot help here.
            (409 | 507, _) => response.headers.push(("X-Should-Retry".into(), "false".to_owned())),
            (_, Self::App(Error::Unready { retry_after_seconds: Some(seconds), .. })) => {
                response.headers.push(("Retry-After".into(), seconds.to_string()));
            }
            (429, _) => response.headers.push(("Retry-After".into(), "60".to_owned())),
            (503, _) => response.headers.push(("Retry-After".into(), RETRY_AFTER_SECONDS.to_owned())),
            _ => {}
        }
        response
    }
}

/// Returns the name of a status.
pub fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => "Service Unavailable",
    }
}

fn mistakes_detail(mistakes: &[Mistake]) -> String {
    let sentence = |Mistake { field, message }: &Mistake| match field {
        Some(field) => format!("`{field}`: {message}."),
        None => format!("{message}."),
    };
    mistakes.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

/// Returns the explanation of a refusal for people.
pub(crate) fn refusal_detail(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Malformed => {
            "This is not an API key: its form or its checksum is wrong. Check that you copied all of it.".to_owned()
        }
        Refusal::Unknown => "This API key does not exist. Use another one.".to_owned(),
        Refusal::Revoked => "This API key was revoked. Use another one.".to_owned(),
        Refusal::Disabled => {
            "This API key is disabled. Ask an administrator to enable it, or use another one.".to_owned()
        }
        Refusal::Expired => "This API key has expired. Use another one.".to_owned(),
        Refusal::UserRemoved => {
            "The user of this API key was removed from the organization. Use another key.".to_owned()
        }
        Refusal::ProjectDeleted => "The project of this API key was deleted. Use another key.".to_owned(),
        Refusal::RotatedOut => "This secret of the API key was replaced. Use the new one.".to_owned(),
        Refusal::OrganizationSuspended => {
            "The organization of this API key is suspended. Contact the operator.".to_owned()
        }
        Refusal::ConditionNotMet(condition) => format!(
            "This API key is not for this client, or not at this time: its condition `{}` is not met. Ask those who manage \
             it.",
            condition.as_str()
        ),
        Refusal::MissingScopes(scopes) => {
            let quoted: Vec<String> = scopes.iter().map(|scope| format!("'{}'", Scope::as_str(scope))).collect();
            format!("Insufficient API key scopes. Required: [{}]", quoted.join(", "))
        }
    }
}
