//! Rows of a table of routes. A handler for a key in a row without one does not compile.

use bitting_keys::{app::Principal, domain::catalogue::Surface};

use crate::{
    auth::{Permission, Subject},
    body::{MAX_BODY_BYTES, Reading},
    call::{Call, Handler, KeyHandler, RowName},
    dispatch::Action,
    operation::Operation,
    problem::{Envelope, Problem},
    typed::{Input, Output},
};

/// A table of the routes of one surface.
pub struct Table {
    /// The surface, which a deployment can leave out; `None` if the table is always served.
    pub surface: Option<Surface>,
    /// The prefix under which only the rows of this table are found. They are also found without it.
    pub prefix: Option<&'static str>,
    /// The shape of the errors.
    pub envelope: Envelope,
    /// The routes.
    pub rows: &'static [Route],
}

/// The access rule of a route, with its handler.
pub enum Access {
    /// The route needs no credential in the header.
    Public(Handler),
    /// The route needs the operator's secret.
    Operator(Handler),
    /// The route needs a valid key with this permission.
    Key(Permission, KeyHandler),
    /// The route tells whether the key of the request may do something, in answer to any method. The body is not read.
    Check(Handler),
    /// The route needs a valid key and calls other routes as tools. It is answered outside of the tables, because it
    /// reads them.
    Tools,
}

/// A row of a table.
pub struct Route {
    /// The method, and the path without a surface's prefix.
    pub name: RowName,
    /// The access rule, with the handler.
    pub access: Access,
    /// The way in which the body of the request is read.
    pub reading: Reading,
    /// True if the route stores something large, which it does not when the database is nearly full.
    pub bulk: bool,
    /// The key that a request is about, for a route that looks up a second key. The body of such a request is read before
    /// the caller is known.
    pub subject: Option<Subject>,
    /// The entry in the API's document. The surfaces of other vendors are documented by those vendors.
    pub document: Option<Document>,
}

/// The part of a route's entry in the API's document that its other fields do not have.
pub struct Document {
    /// The name of the handler, such as `keys::create`. The operation is named after it.
    pub handler: &'static str,
    /// The summary of the operation.
    pub summary: &'static str,
    /// Adds the request and the response.
    pub describe: fn(&mut Operation<'_>),
}

impl Document {
    /// Returns the name of the handler without the type argument of a generic one.
    pub fn handler_name(&self) -> &'static str {
        self.handler.split_once("::<").map_or(self.handler, |(name, _)| name)
    }

    /// Returns the name of the operation and of its tool, such as `keys_create`.
    pub fn operation_id(&self) -> String {
        self.handler_name().replace("::", "_")
    }
}

impl Route {
    /// Creates a row with the default limit for bodies.
    pub const fn new(method: &'static str, path: &'static str, access: Access, document: Option<Document>) -> Self {
        let name = RowName { method, path };
        Self { name, access, reading: Reading::UpTo(MAX_BODY_BYTES), bulk: false, subject: None, document }
    }

    /// The same row, for bodies of up to this number of bytes.
    #[must_use]
    pub const fn limit(mut self, max_bytes: usize) -> Self {
        self.reading = Reading::UpTo(max_bytes);
        self
    }

    /// The same row, with a handler that streams the body.
    #[must_use]
    pub const fn streamed(mut self) -> Self {
        self.reading = Reading::Streamed;
        self
    }

    /// The same row, of a route that stores something large.
    #[must_use]
    pub const fn bulk(mut self) -> Self {
        self.bulk = true;
        self
    }

    /// The same row, of a route that looks up the key that a request is about.
    #[must_use]
    pub const fn about(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Returns the action of a route for keys; `None` for all other routes.
    pub fn action(&self) -> Option<Action<'_>> {
        match &self.access {
            Access::Key(permission, handler) => {
                Some(Action { permission, reading: self.reading, bulk: self.bulk, subject: self.subject, handler })
            }
            Access::Public(_) | Access::Operator(_) | Access::Check(_) | Access::Tools => None,
        }
    }
}

/// Creates a row. With a summary it is documented, and its handler takes an [`Input`] and returns an [`Output`].
/// Without one the handler returns a [`Response`](crate::message::Response).
#[macro_export]
macro_rules! route {
    ($method:ident $path:literal public $handler:path, $summary:literal) => {
        $crate::route::Route::new(
            stringify!($method),
            $path,
            $crate::route::Access::Public($crate::route!(@typed $handler)),
            $crate::route!(@document $handler, $summary, describe),
        )
    };
    ($method:ident $path:literal operator $handler:path, $summary:literal) => {
        $crate::route::Route::new(
            stringify!($method),
            $path,
            $crate::route::Access::Operator($crate::route!(@typed $handler)),
            $crate::route!(@document $handler, $summary, describe),
        )
    };
    (ANY $path:literal check $handler:path, $summary:literal) => {
        $crate::route::Route::new(
            $crate::call::ANY,
            $path,
            $crate::route::Access::Check($crate::route!(@typed $handler)),
            $crate::route!(@document $handler, $summary, describe),
        )
    };
    ($method:ident $path:literal public $handler:path) => {
        $crate::route::Route::new(
            stringify!($method),
            $path,
            $crate::route::Access::Public(|call| Box::pin($handler(call))),
            None,
        )
    };
    ($method:ident $path:literal $permission:ident $handler:path, $summary:literal) => {
        $crate::route::Route::new(
            stringify!($method),
            $path,
            $crate::route::Access::Key($permission, |call, principal| {
                Box::pin(async {
                    let input = $crate::typed::Input::read(call)?;
                    Ok($crate::typed::Output::response($handler(call, principal, input).await?))
                })
            }),
            $crate::route!(@document $handler, $summary, describe_for_key),
        )
    };
    ($method:ident $path:literal $permission:ident $handler:path) => {
        $crate::route::Route::new(
            stringify!($method),
            $path,
            $crate::route::Access::Key($permission, |call, principal| Box::pin($handler(call, principal))),
            None,
        )
    };
    ($method:ident $path:literal tools) => {
        $crate::route::Route::new(stringify!($method), $path, $crate::route::Access::Tools, None)
    };
    (@typed $handler:path) => {
        |call| {
            Box::pin(async {
                let input = $crate::typed::Input::read(call)?;
                Ok($crate::typed::Output::response($handler(call, input).await?))
            })
        }
    };
    (@document $handler:path, $summary:literal, $describe:ident) => {
        Some($crate::route::Document {
            handler: stringify!($handler),
            summary: $summary,
            // The Worker serves the document as a file, so it does not contain the code that generates it.
            describe: if cfg!(target_arch = "wasm32") {
                |_| ()
            } else {
                |operation| $crate::route::$describe(&$handler, operation)
            },
        })
    };
}

/// Documents the request and the response of a handler.
pub fn describe<I: Input, O: Output>(
    _: &impl AsyncFn(&Call<'_>, I) -> Result<O, Problem>,
    operation: &mut Operation<'_>,
) {
    I::describe(operation);
    O::describe(operation);
}

/// Documents the request and the response of a handler for a key.
pub fn describe_for_key<I: Input, O: Output>(
    _: &impl AsyncFn(&Call<'_>, &Principal, I) -> Result<O, Problem>,
    operation: &mut Operation<'_>,
) {
    I::describe(operation);
    O::describe(operation);
}
