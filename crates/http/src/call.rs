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

/// A handler without a key.
pub type Handler = for<'a> fn(&'a Call<'a>) -> Answer<'a>;

/// A handler that acts for a key.
pub type KeyHandler = for<'a> fn(&'a Call<'a>, &'a Principal) -> Answer<'a>;

/// A handler that acts for a key, or a closure that stands for one.
pub type Act = dyn for<'a> Fn(&'a Call<'a>, &'a Principal) -> Answer<'a> + Sync;

/// The method of a row that answers any method.
pub const ANY: &str = "ANY";

/// The name of a row of a table of routes or pages. Logs and the audit log have this and not the path of the request,
/// because people put keys where ids belong.
#[derive(Debug, Clone, Copy)]
pub struct RowName {
    /// The method.
    pub method: &'static str,
    /// The path, with parameters such as `:id`.
    pub path: &'static str,
}

/// A request to a handler, with the use cases.
pub struct Call<'a> {
    /// The use cases.
    pub app: &'a App,
    /// The request.
    pub request: &'a Request,
    /// The row of the handler.
    pub row: RowName,
    /// The path without its surface's prefix.
    pub path: &'a str,
    /// The path's parameters, still percent-encoded.
    pub params: Params<'a, 'a>,
    /// The request's id.
    pub request_id: &'a str,
}

impl<'a> Call<'a> {
    /// Returns a parameter of the path, or an empty text if the route has none of that name.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or_default()
    }

    /// Returns the id of the key in the path.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the text is not an id.
    pub fn key_id(&self) -> Result<KeyId, Error> {
        KeyId::parse(self.param("id")).ok_or(Error::NotFound)
    }

    /// Returns the same call for another request.
    pub fn with_request<'b>(&'b self, request: &'b Request) -> Call<'b>
    where
        'a: 'b,
    {
        Call { request, params: self.params.clone(), ..*self }
    }
}
