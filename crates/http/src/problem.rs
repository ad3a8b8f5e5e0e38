//! What every refusal and failure looks like: an RFC 9457 problem with a stable code for programs.

use bitting_keys::{
    app::error::Error,
    domain::{decision::Refusal, scope::Scope},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::message::Response;

/// How long a caller should wait before he tries again, in seconds.
const RETRY_AFTER_SECONDS: &str = "2";

/// Why a request was not answered as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// No credential was sent.
    MissingKey,
    /// The operator's secret is wrong or missing.
    NotOperator,
    /// There is no such path.
    NoSuchPath,
    /// The link of an invitation opens none, or none any more.
    NoInvitation,
    /// The request comes from a page of another site.
    ForeignOrigin,
    /// The path is there, but not with this method; the value lists those that are.
    MethodNotAllowed(String),
    /// The body has more bytes than these, which are the most that are read.
    BodyTooLarge(usize),
    /// The body is no JSON.
    MalformedJson(String),
    /// The key of a live evaluation was sent, which runs that and does nothing else.
    LiveEvaluationKey,
    /// The upstream did not begin to answer in time.
    UpstreamTimedOut,
    /// The upstream did not answer; the log says why.
    UpstreamFailed,
    /// The use case said no.
    App(Error),
}

/// A problem, and what every envelope says of it.
pub struct Report<'a> {
    /// The problem.
    pub problem: &'a Problem,
    /// The status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// The sentence that a person can act on.
    pub detail: &'a str,
    /// The request's id.
    pub request_id: &'a str,
}

/// The shape of a surface's errors: writes a problem as an answer with its status.
pub type Envelope = fn(&Report<'_>) -> Response;

/// The native envelope: a problem of RFC 9457.
pub fn envelope(report: &Report<'_>) -> Response {
    let Report { problem, status, code, detail, request_id } = *report;
    let field = match problem {
        Problem::App(Error::Invalid { field, .. }) => field.as_deref(),
        _ => None,
    };
    let body = ProblemBody {
        r#type: format!("urn:bitting:error:{code}"),
        title: title(status),
        status,
        detail,
        error: ErrorBody { code, message: detail, field },
        request_id,
    };
    Response::typed(status, "application/problem+json", &body)
}

/// Why a request was not answered as it was asked: a problem of RFC 9457, and what programs look at.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemBody<'a> {
    /// `urn:bitting:error:` and the code.
    r#type: String,
    /// What the status is called.
    title: &'a str,
    /// The status.
    status: u16,
    /// What to do, for people.
    detail: &'a str,
    /// The same for programs.
    error: ErrorBody<'a>,
    /// Names the request in the log.
    request_id: &'a str,
}

/// An error as programs look at it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorBody<'a> {
    /// What is wrong. Codes are stable.
    pub code: &'a str,
    /// The same for people.
    pub message: &'a str,
    /// Which field or parameter is wrong, if one is: `scopes[1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'a str>,
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
    /// The status and the stable code.
    pub fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            Self::MissingKey => (401, "missing_api_key"),
            Self::NotOperator => (401, "invalid_operator_secret"),
            Self::NoSuchPath | Self::NoInvitation | Self::App(Error::NotFound) => (404, "not_found"),
            Self::ForeignOrigin => (403, "foreign_origin"),
            Self::MethodNotAllowed(_) => (405, "method_not_allowed"),
            Self::BodyTooLarge(_) => (413, "body_too_large"),
            Self::MalformedJson(_) => (400, "malformed_json"),
            Self::LiveEvaluationKey => (403, "live_evaluation_key"),
            Self::UpstreamTimedOut => (504, "upstream_timeout"),
            Self::UpstreamFailed => (502, "upstream_failed"),
            Self::App(Error::Invalid { .. }) => (400, "validation_failed"),
            Self::App(Error::Exceeds(_)) => (403, "exceeds_own_access"),
            Self::App(Error::Forbidden { code, .. }) => (403, code),
            Self::App(Error::PaymentRequired { code, .. }) => (402, code),
            Self::App(
                Error::Conflict { code, .. } | Error::AlreadyExists { code, .. } | Error::InProgress { code, .. },
            ) => (409, code),
            Self::App(Error::Unready { code, .. }) => (503, code),
            Self::App(Error::TooMany) => (429, "rate_limited"),
            Self::App(Error::Reused) => (422, "idempotency_key_reused"),
            Self::App(Error::Spent(_)) => (409, "idempotency_key_spent"),
            Self::App(Error::Unavailable(_) | Error::KeyChanged) => (503, "unavailable"),
            Self::App(Error::Refused(refusal)) => {
                let status = match refusal {
                    Refusal::MissingScopes(_) | Refusal::OrganizationSuspended => 403,
                    _ => 401,
                };
                (status, refusal.code())
            }
        }
    }

    /// A sentence that a person can act on. Says nothing of what went wrong inside.
    pub fn detail(&self) -> String {
        match self {
            Self::MissingKey => "Send your API key in the header `Authorization: Bearer <key>`.".to_owned(),
            Self::NotOperator => {
                "Send the operator's secret (OPERATOR_SECRET) in the header `Authorization: Bearer <secret>`."
                    .to_owned()
            }
            Self::NoSuchPath => "There is nothing at this path.".to_owned(),
            Self::NoInvitation => {
                "This link opens no invitation: it was accepted or taken back, or has expired. Ask for another."
                    .to_owned()
            }
            Self::ForeignOrigin => "Pages of other sites may not ask here.".to_owned(),
            Self::MethodNotAllowed(allowed) => format!("This path takes {allowed}."),
            Self::BodyTooLarge(max_bytes) => format!("The body is larger than {max_bytes} bytes."),
            Self::LiveEvaluationKey => {
                "The key of a live evaluation runs it, by POST /api/eval/{live_evaluation}, and can do nothing else. \
                 Use a key that holds the scope for this."
                    .to_owned()
            }
            Self::UpstreamTimedOut => {
                "The server behind this path did not answer in time. It may have done what you asked.".to_owned()
            }
            Self::UpstreamFailed => {
                "The server behind this path did not answer. It may have done what you asked.".to_owned()
            }
            Self::MalformedJson(message) => format!("The body is not JSON: {message}."),
            Self::App(Error::Invalid { field: Some(field), message }) => format!("`{field}`: {message}."),
            Self::App(Error::Invalid { field: None, message }) => format!("{message}."),
            Self::App(Error::Exceeds(message) | Error::AlreadyExists { message, .. }) => message.clone(),
            Self::App(Error::NotFound) => "There is no such thing, or this key may not see it.".to_owned(),
            Self::App(
                Error::Forbidden { message, .. }
                | Error::PaymentRequired { message, .. }
                | Error::Conflict { message, .. }
                | Error::InProgress { message, .. }
                | Error::Unready { message, .. },
            ) => (*message).to_owned(),
            Self::App(Error::TooMany) => "There were too many attempts. Try again in a minute.".to_owned(),
            Self::App(Error::Reused) => {
                "This Idempotency-Key was sent with another request before. Take a new one for each.".to_owned()
            }
            Self::App(Error::Spent(id)) => {
                format!("The first request with this Idempotency-Key made {id}, whose answer cannot be given again.")
            }
            Self::App(Error::Unavailable(_) | Error::KeyChanged) => {
                "Something that this answer depends on is not available. Try again in a moment.".to_owned()
            }
            Self::App(Error::Refused(refusal)) => refusal_detail(refusal),
        }
    }

    /// This problem as an answer in an envelope.
    pub fn response(&self, envelope: Envelope, request_id: &str) -> Response {
        let (status, code) = self.status_and_code();
        let detail = self.detail();
        let mut response = envelope(&Report { problem: self, status, code, detail: &detail, request_id });
        match (status, self) {
            (401, Self::MissingKey | Self::NotOperator) => {
                response.headers.push(("WWW-Authenticate".into(), "Bearer realm=\"bitting\"".to_owned()));
            }
            // RFC 6750, section 3.1: a credential was sent, and it is not good.
            (401, _) => {
                response
                    .headers
                    .push(("WWW-Authenticate".into(), "Bearer realm=\"bitting\", error=\"invalid_token\"".to_owned()));
            }
            (409, Self::App(Error::InProgress { .. })) => {
                response.headers.push(("Retry-After".into(), RETRY_AFTER_SECONDS.to_owned()));
            }
            (405, Self::MethodNotAllowed(allowed)) => response.headers.push(("Allow".into(), allowed.clone())),
            // Clients of the Stainless family try a 409 again, which cannot help here.
            (409, _) => response.headers.push(("X-Should-Retry".into(), "false".to_owned())),
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

/// What a status is called.
pub fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        504 => "Gateway Timeout",
        _ => "Service Unavailable",
    }
}

fn refusal_detail(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Malformed => {
            "This is not an API key: its form or its checksum is wrong. Was it copied whole?".to_owned()
        }
        Refusal::Unknown => "There is no such API key.".to_owned(),
        Refusal::Revoked => "This API key was revoked. Use another one.".to_owned(),
        Refusal::Disabled => "This API key is disabled. Someone who manages keys can enable it.".to_owned(),
        Refusal::Expired => "This API key has expired. Use another one.".to_owned(),
        Refusal::UserRemoved => "The user of this API key is no longer in the organization.".to_owned(),
        Refusal::ProjectDeleted => "The project of this API key was deleted.".to_owned(),
        Refusal::RotatedOut => "This secret of the API key was replaced by a newer one. Use that.".to_owned(),
        Refusal::OrganizationSuspended => "The organization of this API key is suspended.".to_owned(),
        Refusal::MissingScopes(scopes) => {
            let quoted: Vec<String> = scopes.iter().map(|scope| format!("'{}'", Scope::as_str(scope))).collect();
            format!("Insufficient API key scopes. Required: [{}]", quoted.join(", "))
        }
    }
}
