//! Credentials: the one that a request shows, the key behind it, and whether that may do what is asked.

use bitting_keys::{
    app::{App, Principal, error::Error, verify::Freshness},
    domain::{
        decision::{Refusal, decide},
        idempotency::Repeatable,
        key_text::KeyText,
        scope::Scope,
    },
};

use crate::{
    message::{Body, Request, Response},
    problem::Problem,
};

/// The headers in which Confident AI's libraries send a key, instead of `Authorization`.
pub const KEY_HEADERS: [&str; 3] = ["confident_api_key", "confident-api-key", "x-confident-api-key"];

/// The permission that a route asks of a key, and the kind of thing that it is for.
#[derive(Debug)]
pub struct Permission {
    /// The scope that the key must hold; `None`: any good key will do.
    pub scope: Option<Scope>,
    /// Whether the route manages something, so that refused attempts belong into the audit log. Sending traces or
    /// working on data sets and evaluations uses the product and does not manage it.
    pub manages: bool,
    /// Whether a key that is bound to one thing has it; such a key has no other.
    pub bound: bool,
    /// Whether the organization must have an active subscription.
    pub paid: bool,
}

impl Permission {
    /// A permission of every good key.
    pub const ANY_KEY: Self = Self { scope: None, manages: false, bound: false, paid: false };

    /// A permission to use the product.
    pub const fn to_use(scope: &'static str) -> Self {
        Self { scope: Some(Scope::named(scope)), manages: false, bound: false, paid: false }
    }

    /// A permission to manage something.
    pub const fn to_manage(scope: &'static str) -> Self {
        Self { scope: Some(Scope::named(scope)), manages: true, bound: false, paid: false }
    }

    /// The same permission, which keys that are bound to one thing have, too.
    #[must_use]
    pub const fn bound(mut self) -> Self {
        self.bound = true;
        self
    }

    /// The same permission for organizations with an active subscription alone.
    #[must_use]
    pub const fn paid(mut self) -> Self {
        self.paid = true;
        self
    }

    /// The permission that the operator asks for on a route of their own.
    pub fn to_forward(scope: &Scope) -> Self {
        Self { scope: Some(scope.clone()), paid: true, ..Self::ANY_KEY }
    }
}

/// Lets a key pass if it is good and has the permission.
///
/// # Errors
/// The refusal of the key, or [`Problem::LiveEvaluationKey`] or an unpaid subscription.
pub fn admit(app: &App, principal: &Principal, permission: &Permission) -> Result<(), Problem> {
    let scopes = permission.scope.as_slice();
    let decision = decide(&principal.snapshot, scopes, app.clock.now());
    // A key that is not good hears of that first, whatever it is for.
    let good = matches!(decision, Ok(()) | Err(Refusal::MissingScopes(_)));
    if good && principal.snapshot.bound_to.is_some() && !permission.bound {
        return Err(Problem::LiveEvaluationKey);
    }
    decision?;
    if permission.paid {
        principal.subscribed()?;
    }
    Ok(())
}

/// The credential in `Authorization: Bearer …`; the scheme's case does not matter (RFC 9110, 11.1).
pub fn bearer(request: &Request) -> Option<&str> {
    let (scheme, credential) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

/// The key that was sent: as a bearer, or in one of the headers of Confident AI's libraries.
fn credential(request: &Request) -> Option<&str> {
    let sent = |name: &&str| request.header(name).map(str::trim).filter(|value| !value.is_empty());
    bearer(request).or_else(|| KEY_HEADERS.iter().find_map(sent))
}

/// The key that was sent, whatever it may do and be it at its end.
///
/// # Errors
/// [`Problem::MissingKey`], or the refusal of a text that is no key or of a key that does not exist.
pub async fn identify(
    app: &App,
    request: &Request,
    request_id: &str,
    freshness: Freshness,
) -> Result<Principal, Problem> {
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

/// The meaning of the header `Idempotency-Key`, if it was sent.
///
/// # Errors
/// [`Error::Invalid`] if the header's value is no such key.
pub fn repeatable(request: &Request) -> Result<Option<Repeatable>, Problem> {
    let Some(key) = request.header("idempotency-key") else { return Ok(None) };
    let caller = KeyText::parse(credential(request).unwrap_or_default()).map_err(|_| Refusal::Malformed)?;
    let body = match &request.body {
        Body::Bytes(bytes) => bytes.as_slice(),
        Body::TooLarge(_) | Body::Unread(_) => &[],
    };
    let all = [request.method.as_bytes(), request.path.as_bytes(), request.query.as_bytes(), body];
    let must = "must be 1 to 255 visible ASCII characters";
    Repeatable::new(caller, key, &all).map(Some).ok_or_else(|| Error::invalid("Idempotency-Key", must).into())
}

/// Warns whoever uses a secret that a rotation is replacing: `Sunset` is an HTTP date (RFC 8594).
pub fn warned(mut response: Response, principal: &Principal) -> Response {
    if let Some(until) = principal.snapshot.outgoing_until {
        let at = until.to_rfc3339();
        let warning = format!("This secret was replaced and works until {at}. Use the new one.");
        response.headers.push(("Sunset".into(), until.to_http_date()));
        response.headers.push(("X-Api-Key-Warning".into(), warning));
    }
    response
}
