//! Authentication and authorization: the credential of a request, the key behind it, and its permissions.

use base64::prelude::{BASE64_STANDARD, Engine};
use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::{
        decision::{Refusal, decide},
        idempotency::Repeatable,
        key_text::KeyText,
        lookup::{Found, FoundSubject, Freshness, Lookup},
        scope::{Scope, Scopes},
    },
};

use crate::{
    message::{Body, Request, Response},
    problem::Problem,
};

/// The header in which a key may be sent, instead of `Authorization`.
pub const KEY_HEADER: &str = "x-api-key";
/// The headers in which a key may be sent: the one above, and those of Confident AI's libraries.
pub const KEY_HEADERS: [&str; 4] = [KEY_HEADER, "confident_api_key", "confident-api-key", "x-confident-api-key"];

/// The permission that a route requires of a key.
#[derive(Debug)]
pub struct Permission {
    /// The scope that the key must hold; `None` for any valid key.
    pub scope: Option<Scope>,
    /// True if the route manages something, so that refused attempts go into the audit log. Routes for traces, data
    /// sets and evaluations use the product and do not manage it.
    pub manages: bool,
    /// True if keys for a single live evaluation have it. Such keys have no other permission.
    pub bound: bool,
    /// True if the organization must have an active subscription.
    pub paid: bool,
}

impl Permission {
    /// The permission of every valid key.
    pub const ANY_KEY: Self = Self { scope: None, manages: false, bound: false, paid: false };

    /// A permission to use the product.
    pub const fn to_use(scope: &'static str) -> Self {
        Self { scope: Some(Scope::named(scope)), manages: false, bound: false, paid: false }
    }

    /// A permission to manage something.
    pub const fn to_manage(scope: &'static str) -> Self {
        Self { scope: Some(Scope::named(scope)), manages: true, bound: false, paid: false }
    }

    /// The same permission, also for keys for a single live evaluation.
    #[must_use]
    pub const fn bound(mut self) -> Self {
        self.bound = true;
        self
    }

    /// The same permission, only for organizations with an active subscription.
    #[must_use]
    pub const fn paid(mut self) -> Self {
        self.paid = true;
        self
    }

    /// The permission for one of the operator's routes.
    pub fn to_forward(scope: &Scope) -> Self {
        Self { scope: Some(scope.clone()), paid: true, ..Self::ANY_KEY }
    }
}

/// Checks that a key is valid and has the permission.
///
/// # Errors
/// The refusal of the key, [`Problem::LiveEvaluationKey`], or [`Error::PaymentRequired`].
pub fn admit(app: &App, principal: &Principal, permission: &Permission) -> Result<(), Problem> {
    admit_for(app, principal, permission, permission.scope.as_slice())
}

/// Checks that a key is valid, has the permission, and holds all of these scopes instead of the permission's own.
///
/// # Errors
/// As [`admit`].
pub fn admit_for(app: &App, principal: &Principal, permission: &Permission, scopes: &[Scope]) -> Result<(), Problem> {
    let decision = decide(&principal.snapshot, principal.uses(scopes, app.clock.now()));
    // A key that is not valid is told that first.
    let valid = matches!(decision, Ok(()) | Err(Refusal::MissingScopes(_)));
    if valid && principal.snapshot.bound_to.is_some() && !permission.bound {
        return Err(Problem::LiveEvaluationKey);
    }
    decision?;
    if permission.paid {
        principal.subscribed()?;
    }
    Ok(())
}

/// Returns the credential in `Authorization: Bearer …`. The case of the scheme does not matter (RFC 9110, 11.1).
pub fn bearer(request: &Request) -> Option<&str> {
    let (scheme, credential) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

/// Returns the user name and the password in `Authorization: Basic …` (RFC 7617).
fn basic(request: &Request) -> Option<String> {
    let (scheme, encoded) = request.header("authorization")?.split_once(' ')?;
    let decoded = || String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).unwrap_or_default()).unwrap_or_default();
    scheme.eq_ignore_ascii_case("basic").then(decoded)
}

/// Returns the key of a request, from `Authorization` and [`KEY_HEADERS`]. A text beside it that is no key belongs to
/// somebody else. Two keys are refused, because a server behind this one could believe the other.
///
/// # Errors
/// [`Problem::MissingKey`], [`Problem::SeveralKeys`], or [`Refusal::Malformed`].
pub fn key(request: &Request) -> Result<KeyText, Problem> {
    let basic = basic(request);
    let headers = request.headers.iter().filter(|(name, _)| KEY_HEADERS.contains(&name.as_str()));
    let headers = headers.map(|(_, value)| value.trim()).filter(|value| !value.is_empty());
    let parts = basic.iter().flat_map(|basic| basic.splitn(2, ':'));
    let texts: Vec<&str> = bearer(request).into_iter().chain(parts).chain(headers).collect();
    let mut keys = texts.iter().filter_map(|text| KeyText::parse(text).ok());
    let refusal = || if texts.is_empty() { Problem::MissingKey } else { Refusal::Malformed.into() };
    let key = keys.next().ok_or_else(refusal)?;
    if keys.all(|other| other == key) { Ok(key) } else { Err(Problem::SeveralKeys) }
}

/// Returns the headers that tell a server who sent a request. Those without a value are empty.
pub fn identity(principal: &Principal) -> [(&'static str, String); 6] {
    let caller = &principal.snapshot;
    let scopes = match &caller.scopes {
        Scopes::Full => "*".to_owned(),
        Scopes::List(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    };
    [
        ("X-Bitting-Key-Id", caller.key_id.to_string()),
        ("X-Bitting-Key-Kind", caller.kind.as_str().to_owned()),
        ("X-Bitting-Organization-Id", caller.organization_id.to_string()),
        ("X-Bitting-User-Id", caller.user_id.map(|id| id.to_string()).unwrap_or_default()),
        ("X-Bitting-Project-Id", caller.project_id.map(|id| id.to_string()).unwrap_or_default()),
        ("X-Bitting-Scopes", scopes),
    ]
}

/// Reads the key that a request is about from its body, if it was read, with the freshness that the answer must have.
pub type Subject = fn(&Request) -> Option<(KeyText, Freshness)>;

/// Finds the key of a request, and the one that it is about, with one question. Checks neither validity nor permissions.
///
/// # Errors
/// As [`identify`].
pub async fn identify_with_subject(
    app: &App,
    request: &Request,
    request_id: &str,
    subject: &(KeyText, Freshness),
) -> Result<Principal, Problem> {
    let text = key(request)?;
    let ip = request.header("cf-connecting-ip");
    let subject = Lookup { key: &subject.0, freshness: subject.1, ip: None };
    let [found, about] = app.find_all([Lookup { key: &text, freshness: Freshness::Bounded, ip }, subject]).await?;
    let about = FoundSubject::new(subject, about);
    principal(request, request_id, found).map(|principal| Principal { subject: Some(about), ..principal })
}

/// Finds the key of a request. Checks neither its validity nor its permissions.
///
/// # Errors
/// [`Problem::MissingKey`], [`Problem::SeveralKeys`], or a refusal: the text is not a key, or the key does not exist.
pub async fn identify(
    app: &App,
    request: &Request,
    request_id: &str,
    freshness: Freshness,
) -> Result<Principal, Problem> {
    let text = key(request)?;
    let ip = request.header("cf-connecting-ip");
    let found = app.find(Lookup { key: &text, freshness, ip }).await?;
    principal(request, request_id, found)
}

fn principal(request: &Request, request_id: &str, found: Option<Found>) -> Result<Principal, Problem> {
    let found = found.ok_or(Refusal::Unknown)?;
    let Found { snapshot, waited_for, degraded, .. } = found;
    let (ip, country) = (request.header("cf-connecting-ip"), request.header("cf-ipcountry"));
    Ok(Principal { waited_for, degraded, ..Principal::new(snapshot, request_id, ip, country) })
}

/// Reads the header `Idempotency-Key`, if it was sent.
///
/// # Errors
/// [`Error::Invalid`] if the value is not allowed.
pub fn repeatable(request: &Request) -> Result<Option<Repeatable>, Problem> {
    let Some(sent) = request.header("idempotency-key") else { return Ok(None) };
    let caller = key(request)?;
    let body = match &request.body {
        Body::Bytes(bytes) => bytes.as_slice(),
        Body::TooLarge(_) | Body::Unread(_) => &[],
    };
    let all = [request.method.as_bytes(), request.path.as_bytes(), request.query.as_bytes(), body];
    let must = "must be 1 to 255 visible ASCII characters";
    Repeatable::new(caller, sent, &all).map(Some).ok_or_else(|| Error::invalid("Idempotency-Key", must).into())
}

/// Adds a warning to the response if the key was sent with a secret that a rotation is replacing. `Sunset` is an
/// HTTP date (RFC 8594).
pub fn with_rotation_warning(mut response: Response, principal: &Principal) -> Response {
    if let Some(until) = principal.snapshot.outgoing_until {
        let at = until.to_rfc3339();
        let warning = format!("This secret was replaced and works until {at}. Use the new one.");
        response.headers.push(("Sunset".into(), until.to_http_date()));
        response.headers.push(("X-Api-Key-Warning".into(), warning));
    }
    response
}
