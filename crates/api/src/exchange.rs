//! `/v1/tokens/exchange`: the exchange of a workload's token for a key (RFC 8693). Requests are forms, and errors have
//! the shape of RFC 6749, because libraries for OAuth 2.0 send and read these.

use bitting_http::{
    call::Call,
    message::Response,
    operation::Operation,
    problem::{Problem, Report},
    typed::{InForm, Output},
};
use bitting_keys::{
    app::{error::Error, exchange::Exchange, sessions::Client},
    domain::{
        catalogue::MAX_SCOPES,
        id::TrustId,
        key::Created,
        scope::{Scope, Scopes},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The maximum size of a request, in bytes.
pub(crate) const MAX_BYTES: usize = 32 * 1024;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const TOKEN_TYPES: [&str; 2] = ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

const UNSUPPORTED_GRANT_TYPE: Error = Error::BadRequest {
    code: "unsupported_grant_type",
    message: "`grant_type` must be urn:ietf:params:oauth:grant-type:token-exchange.",
};

const INVALID_TARGET: Error =
    Error::BadRequest { code: "invalid_target", message: "`audience` must be the id of a trust." };

const INVALID_SCOPE: Error = Error::BadRequest {
    code: "invalid_scope",
    message: "`scope` must be scopes such as `datasets:read`, with spaces between them.",
};

/// A request to exchange a token. Other parameters are ignored.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenExchange")]
pub(crate) struct ExchangeBody {
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// The workload's token: a JSON Web Token that is signed with RS256, ES256 or `EdDSA`.
    subject_token: String,
    /// `urn:ietf:params:oauth:token-type:jwt`, or `urn:ietf:params:oauth:token-type:id_token`.
    subject_token_type: String,
    /// The id of the trust.
    audience: String,
    /// The scopes that the key needs, with spaces between them. Without it the key gets all scopes of the trust.
    scope: Option<String>,
}

/// A key for a workload, as RFC 8693 describes tokens.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExchangedToken")]
pub(crate) struct ExchangedBody {
    /// The key. It is shown only once.
    access_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    issued_token_type: &'static str,
    /// `Bearer`.
    token_type: &'static str,
    /// The life of the key in seconds.
    expires_in: i64,
    /// The scopes of the key, with spaces between them.
    scope: String,
}

/// An error, as RFC 6749 describes it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TokenError")]
struct TokenErrorBody<'a> {
    /// The code of the error, such as `invalid_grant`.
    error: &'a str,
    /// The explanation for people.
    error_description: String,
    /// The id of the request, as the log has it.
    request_id: &'a str,
}

/// The shape of the errors.
pub(crate) fn envelope(report: &Report<'_>) -> Response {
    let error = match report.code {
        "validation_failed" | "malformed_json" | "body_too_large" | "unsupported_media_type" => "invalid_request",
        code => code,
    };
    // RFC 6749, section 5.2, has these characters alone.
    let fits = |at: char| matches!(at, ' '..='!' | '#'..='[' | ']'..='~');
    let error_description = report.detail.chars().map(|at| if fits(at) { at } else { '?' }).collect();
    let body = TokenErrorBody { error, error_description, request_id: report.request_id };
    Response::typed(report.status, "application/json", &body)
}

impl Output for ExchangedBody {
    fn response(self) -> Response {
        Response::json(200, &self)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Self>(200, "application/json");
        operation.confidential();
        for status in [400, 409, 413, 429, 503] {
            operation.answer::<TokenErrorBody<'_>>(status, "application/json");
        }
    }
}

/// Exchanges a workload's token for a key that lives for minutes. A token is exchanged once. `audience` is the id of a
/// trust, which says which tokens are good and what the key may do.
pub(crate) async fn exchange(call: &Call<'_>, InForm(body): InForm<ExchangeBody>) -> Result<ExchangedBody, Problem> {
    if body.grant_type != GRANT_TYPE {
        return Err(UNSUPPORTED_GRANT_TYPE.into());
    }
    if !TOKEN_TYPES.contains(&body.subject_token_type.as_str()) {
        let must = format!("must be {}", TOKEN_TYPES.join(" or "));
        return Err(Error::invalid("subject_token_type", must).into());
    }
    let trust_id = TrustId::parse(&body.audience).ok_or(INVALID_TARGET)?;
    let scopes = body.scope.map(|scope| read_scopes(&scope)).transpose()?;
    let header = |name: &str| call.request.header(name).map(str::to_owned);
    let client = Client {
        request_id: call.request_id.to_owned(),
        ip: header("cf-connecting-ip"),
        country: None,
        user_agent: header("user-agent").unwrap_or_default(),
    };
    let exchange = Exchange { trust_id, token: body.subject_token, scopes };
    let Created { key, text } = call.app.exchange(exchange, &client).await?;
    let expires_at = key.life.expires_at.unwrap_or(key.created_at);
    let scopes = match &key.scopes {
        Scopes::Full => Vec::new(),
        Scopes::List(scopes) => scopes.iter().map(Scope::as_str).collect(),
    };
    Ok(ExchangedBody {
        access_token: text.expose().to_owned(),
        issued_token_type: ACCESS_TOKEN,
        token_type: "Bearer",
        expires_in: expires_at.ms_since(key.created_at) / 1000,
        scope: scopes.join(" "),
    })
}

/// Reads a list of scopes with spaces between them.
fn read_scopes(text: &str) -> Result<Vec<Scope>, Error> {
    let scopes: Result<Vec<Scope>, _> =
        text.split_ascii_whitespace().map(|at| Scope::try_from(at.to_owned())).collect();
    scopes.ok().filter(|scopes| (1..=MAX_SCOPES).contains(&scopes.len())).ok_or(INVALID_SCOPE)
}
