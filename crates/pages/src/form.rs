//! Forms: where they come from, what was typed, and that some are sent once.

use bitting_http::{body, call::Call, message::Request, problem::Problem};
use bitting_keys::{
    app::{Principal, error::Error, sessions::SignedIn},
    domain::idempotency::Repeatable,
};
use maud::{Markup, html};

/// Returns true if a form was sent by a page of this origin. A browser tells that itself, and no page of another origin
/// can make it say otherwise. Pages with a secret in their address send no referrer, and with it `null` for an
/// origin; then what counts is `Sec-Fetch-Site`.
pub(crate) fn is_from_here(request: &Request) -> bool {
    match request.header("origin") {
        Some(origin) if origin != "null" => origin == request.origin,
        _ => request.header("sec-fetch-site") == Some("same-origin"),
    }
}

/// The fields of a form.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body.
    pub(crate) fn read(request: &Request) -> Result<Self, Problem> {
        Ok(Self(form_urlencoded::parse(body::bytes(request)?).into_owned().collect()))
    }

    /// Returns the value of a field without surrounding blanks; empty if there is no such field.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    /// Returns the session's principal for a form that is handled once. Loading the answer again, which shows a secret,
    /// sends the same form again; then nothing is created and no secret is shown. The form has a [`nonce`].
    pub(crate) fn once(&self, call: &Call<'_>, session: &SignedIn) -> Result<Principal, Error> {
        let request = Repeatable::once(self.get("nonce"), &[call.path.as_bytes()]);
        let repeatable = Some(request.ok_or_else(|| Error::invalid("nonce", "is missing; open the form anew"))?);
        Ok(Principal { repeatable, ..session.principal.clone() })
    }

    /// Everything that was chosen in a field that takes more than one.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect()
    }
}

/// The field by which a form is known when it is sent again. A browser must not fill it in.
pub(crate) fn nonce(call: &Call<'_>) -> Result<Markup, Error> {
    let nonce = hex::encode(call.app.random_bits()?);
    Ok(html! { input type="hidden" name="nonce" value=(nonce) autocomplete="off"; })
}

/// A parameter of the query; empty if it was not sent.
pub(crate) fn query(request: &Request, name: &str) -> String {
    let mut pairs = form_urlencoded::parse(request.query.as_bytes());
    pairs.find(|(parameter, _)| parameter == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}
