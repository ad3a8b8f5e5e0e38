//! Handlers, their calls and their results.

use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::id::KeyId,
    ports::LocalFuture,
};
use matchit::Params;

use crate::{
    message::{Request, Response},
    problem::Problem,
};

/// The result of a handler.
pub type Answer<'a> = LocalFuture<'a, Result<Response, Problem>>;

/// A handler that acts for nobody.
pub type Handler = for<'a> fn(&'a Call<'a>) -> Answer<'a>;

/// A handler that acts for a key.
pub type KeyHandler = for<'a> fn(&'a Call<'a>, &'a Principal) -> Answer<'a>;

/// A handler that acts for a key, or a closure that stands for one.
pub type Act = dyn for<'a> Fn(&'a Call<'a>, &'a Principal) -> Answer<'a> + Sync;

/// The row of a table of routes or of pages for which a request came, as logs and the audit log name it. They do
/// not name the request's own path: people put keys where ids belong.
#[derive(Debug, Clone, Copy)]
pub struct RowName {
    /// The row's method.
    pub method: &'static str,
    /// The row's path, with its parameters as `:id`.
    pub path: &'static str,
}

/// A request, the use cases, and what is known of the request before its handler is called.
pub struct Call<'a> {
    /// The use cases.
    pub app: &'a App,
    /// The request.
    pub request: &'a Request,
    /// The row that has the handler.
    pub row: RowName,
    /// The path without its surface's prefix.
    pub path: &'a str,
    /// The path's parameters, still percent-encoded.
    pub params: Params<'a, 'a>,
    /// The request's id.
    pub request_id: &'a str,
}

impl<'a> Call<'a> {
    /// A parameter of the path; empty if the route has none of that name.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or_default()
    }

    /// The id of the key that the path names. Other texts name nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for any other text.
    pub fn key_id(&self) -> Result<KeyId, Error> {
        KeyId::parse(self.param("id")).ok_or(Error::NotFound)
    }

    /// The same call with the request's body read.
    pub fn with_request<'b>(&'b self, request: &'b Request) -> Call<'b>
    where
        'a: 'b,
    {
        Call { request, params: self.params.clone(), ..*self }
    }
}
