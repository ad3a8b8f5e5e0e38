//! Forms: where they come from, and what was typed.

use crate::http::{
    message::{Body, MAX_BODY_BYTES, Request},
    problem::Problem,
};

/// Whether a form was sent by a page of this origin. A browser says so itself, and no page of another origin
/// can make it say otherwise. Pages with a secret in their address send no referrer, and with it `null` for an
/// origin; then what counts is `Sec-Fetch-Site`.
pub(crate) fn is_from_here(request: &Request) -> bool {
    match request.header("origin") {
        Some(origin) if origin != "null" => origin == request.origin,
        _ => request.header("sec-fetch-site") == Some("same-origin"),
    }
}

/// What was typed.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body.
    pub(crate) fn read(request: &Request) -> Result<Self, Problem> {
        // Whatever was still unread was read before the handler was called.
        let Body::Bytes(bytes) = &request.body else { return Err(Problem::BodyTooLarge(MAX_BODY_BYTES)) };
        Ok(Self(form_urlencoded::parse(bytes).into_owned().collect()))
    }

    /// What was typed into a field, without the blanks around it; empty if there is no such field.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    /// Everything that was chosen in a field that takes more than one.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect()
    }
}

/// A parameter of the query; empty if it was not sent.
pub(crate) fn query(request: &Request, name: &str) -> String {
    let mut pairs = form_urlencoded::parse(request.query.as_bytes());
    pairs.find(|(parameter, _)| parameter == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}
