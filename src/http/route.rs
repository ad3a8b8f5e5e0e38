//! Rows of a table of routes. A handler that acts for a key cannot be put into a row that asks for none, because it
//! would not compile.

use crate::{
    app::Principal,
    http::{
        auth::Permission,
        body::{MAX_BODY_BYTES, Reading},
        call::{Call, Handler, KeyHandler, RowName},
        dispatch::Action,
        operation::Operation,
        problem::{Envelope, Problem},
        typed::{Input, Output},
    },
};

/// A table of routes: those of one surface, or of one part of the native one.
pub(crate) struct Table {
    /// The prefix under which the rows stand, too, and alone.
    pub(crate) prefix: Option<&'static str>,
    /// The shape of its errors.
    pub(crate) envelope: Envelope,
    /// The routes.
    pub(crate) rows: &'static [Route],
}

/// The party that may call a route, and the handler that answers.
pub(crate) enum Access {
    /// Anybody: whatever proves something is in the path.
    Anybody(Handler),
    /// Whoever has the operator's secret.
    Operator(Handler),
    /// A good key with this permission.
    Key(Permission, KeyHandler),
    /// A good key, which calls other routes as tools. Answered above the tables, because it looks at them.
    Tools,
}

/// A row of a table.
pub(crate) struct Route {
    /// The method, and the path without a surface's prefix.
    pub(crate) name: RowName,
    /// The party that may call, and the handler.
    pub(crate) access: Access,
    /// How the request's body is read.
    pub(crate) reading: Reading,
    /// The API's document about it; the surfaces of others are documented by those others.
    pub(crate) document: Option<Document>,
}

/// The part of the API's document that no other field of a route says.
pub(crate) struct Document {
    /// The handler's name, which names the operation: `keys::create`.
    pub(crate) handler: &'static str,
    /// The effect of a call, in a few words.
    pub(crate) summary: &'static str,
    /// Adds what the handler takes and gives.
    pub(crate) describe: fn(&mut Operation<'_>),
}

impl Document {
    /// The name of the operation, and of the tool: `keys_create`.
    pub(crate) fn operation_id(&self) -> String {
        // Without the type that a generic handler is for.
        let (name, _) = self.handler.split_once("::<").unwrap_or((self.handler, ""));
        name.replace("::", "_")
    }
}

impl Route {
    /// A row with a body of the usual length.
    pub(crate) const fn new(
        method: &'static str,
        path: &'static str,
        access: Access,
        document: Option<Document>,
    ) -> Self {
        let name = RowName { method, path };
        Self { name, access, reading: Reading::UpTo(MAX_BODY_BYTES), document }
    }

    /// The same row for bodies of so many bytes at most.
    pub(crate) const fn limit(mut self, max_bytes: usize) -> Self {
        self.reading = Reading::UpTo(max_bytes);
        self
    }

    /// The same row with a handler that reads the body itself, piece by piece.
    pub(crate) const fn streamed(mut self) -> Self {
        self.reading = Reading::Streamed;
        self
    }

    /// The action that a key asks for with this route; `None`: it is not for keys, or is for tools.
    pub(crate) fn action(&self) -> Option<Action<'_>> {
        match &self.access {
            Access::Key(permission, handler) => Some(Action { permission, reading: self.reading, handler }),
            Access::Anybody(_) | Access::Operator(_) | Access::Tools => None,
        }
    }
}

/// A row. With a summary it is documented, and its handler takes an [`Input`] and gives an [`Output`];
/// without one it gives a [`Response`](crate::http::message::Response).
macro_rules! route {
    ($method:ident $path:literal anybody $handler:path, $summary:literal) => {
        $crate::http::route::Route::new(
            stringify!($method),
            $path,
            $crate::http::route::Access::Anybody($crate::http::route::typed!($handler)),
            $crate::http::route::document!($handler, $summary, describe),
        )
    };
    ($method:ident $path:literal operator $handler:path, $summary:literal) => {
        $crate::http::route::Route::new(
            stringify!($method),
            $path,
            $crate::http::route::Access::Operator($crate::http::route::typed!($handler)),
            $crate::http::route::document!($handler, $summary, describe),
        )
    };
    ($method:ident $path:literal $permission:ident $handler:path, $summary:literal) => {
        $crate::http::route::Route::new(
            stringify!($method),
            $path,
            $crate::http::route::Access::Key($permission, |call, principal| {
                Box::pin(async {
                    let input = $crate::http::typed::Input::read(call)?;
                    Ok($crate::http::typed::Output::response($handler(call, principal, input).await?))
                })
            }),
            $crate::http::route::document!($handler, $summary, describe_for_key),
        )
    };
    ($method:ident $path:literal $permission:ident $handler:path) => {
        $crate::http::route::Route::new(
            stringify!($method),
            $path,
            $crate::http::route::Access::Key($permission, |call, principal| Box::pin($handler(call, principal))),
            None,
        )
    };
    ($method:ident $path:literal tools) => {
        $crate::http::route::Route::new(stringify!($method), $path, $crate::http::route::Access::Tools, None)
    };
}

macro_rules! typed {
    ($handler:path) => {
        |call| {
            Box::pin(async {
                let input = $crate::http::typed::Input::read(call)?;
                Ok($crate::http::typed::Output::response($handler(call, input).await?))
            })
        }
    };
}

macro_rules! document {
    ($handler:path, $summary:literal, $describe:ident) => {
        Some($crate::http::route::Document {
            handler: stringify!($handler),
            summary: $summary,
            // The Worker serves the document as a file, and nothing that makes it belongs into the Worker.
            describe: if cfg!(target_arch = "wasm32") {
                |_| ()
            } else {
                |operation| $crate::http::route::$describe(&$handler, operation)
            },
        })
    };
}

pub(crate) use {document, route, typed};

/// Documents what a handler takes and gives.
pub(crate) fn describe<I: Input, O: Output>(
    _: &impl AsyncFn(&Call<'_>, I) -> Result<O, Problem>,
    operation: &mut Operation<'_>,
) {
    I::describe(operation);
    O::describe(operation);
}

/// The same of a handler that acts for a key.
pub(crate) fn describe_for_key<I: Input, O: Output>(
    _: &impl AsyncFn(&Call<'_>, &Principal, I) -> Result<O, Problem>,
    operation: &mut Operation<'_>,
) {
    I::describe(operation);
    O::describe(operation);
}
