//! Rows of a table of routes. A handler that acts for a key cannot be put into a row that asks for none, because it
//! would not compile.

use bitting_keys::{app::Principal, domain::catalogue::Surface};

use crate::{
    auth::Permission,
    body::{MAX_BODY_BYTES, Reading},
    call::{Call, Handler, KeyHandler, RowName},
    dispatch::Action,
    operation::Operation,
    problem::{Envelope, Problem},
    typed::{Input, Output},
};

/// A table of routes: those of one surface, or of one part of the native one.
pub struct Table {
    /// The surface that a deployment can leave out; `None`: it is always served.
    pub surface: Option<Surface>,
    /// The prefix under which the rows stand, too, and alone.
    pub prefix: Option<&'static str>,
    /// The shape of its errors.
    pub envelope: Envelope,
    /// The routes.
    pub rows: &'static [Route],
}

/// The party that may call a route, and the handler that answers.
pub enum Access {
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
pub struct Route {
    /// The method, and the path without a surface's prefix.
    pub name: RowName,
    /// The party that may call, and the handler.
    pub access: Access,
    /// How the request's body is read.
    pub reading: Reading,
    /// The API's document about it; the surfaces of others are documented by those others.
    pub document: Option<Document>,
}

/// The part of the API's document that no other field of a route says.
pub struct Document {
    /// The handler's name, which names the operation: `keys::create`.
    pub handler: &'static str,
    /// The effect of a call, in a few words.
    pub summary: &'static str,
    /// Adds what the handler takes and gives.
    pub describe: fn(&mut Operation<'_>),
}

impl Document {
    /// Returns the handler's name without the type that a generic handler is for.
    pub fn handler_name(&self) -> &'static str {
        self.handler.split_once("::<").map_or(self.handler, |(name, _)| name)
    }

    /// Returns the name of the operation, and of the tool: `keys_create`.
    pub fn operation_id(&self) -> String {
        self.handler_name().replace("::", "_")
    }
}

impl Route {
    /// A row with a body of the usual length.
    pub const fn new(method: &'static str, path: &'static str, access: Access, document: Option<Document>) -> Self {
        let name = RowName { method, path };
        Self { name, access, reading: Reading::UpTo(MAX_BODY_BYTES), document }
    }

    /// The same row for bodies of so many bytes at most.
    #[must_use]
    pub const fn limit(mut self, max_bytes: usize) -> Self {
        self.reading = Reading::UpTo(max_bytes);
        self
    }

    /// The same row with a handler that reads the body itself, piece by piece.
    #[must_use]
    pub const fn streamed(mut self) -> Self {
        self.reading = Reading::Streamed;
        self
    }

    /// The action that a key asks for with this route; `None`: it is not for keys, or is for tools.
    pub fn action(&self) -> Option<Action<'_>> {
        match &self.access {
            Access::Key(permission, handler) => Some(Action { permission, reading: self.reading, handler }),
            Access::Anybody(_) | Access::Operator(_) | Access::Tools => None,
        }
    }
}

/// A row. With a summary it is documented, and its handler takes an [`Input`] and gives an [`Output`];
/// without one it gives a [`Response`](crate::message::Response).
#[macro_export]
macro_rules! route {
    ($method:ident $path:literal anybody $handler:path, $summary:literal) => {
        $crate::route::Route::new(
            stringify!($method),
            $path,
            $crate::route::Access::Anybody($crate::route!(@typed $handler)),
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
            // The Worker serves the document as a file, and nothing that makes it belongs into the Worker.
            describe: if cfg!(target_arch = "wasm32") {
                |_| ()
            } else {
                |operation| $crate::route::$describe(&$handler, operation)
            },
        })
    };
}

/// Documents what a handler takes and gives.
pub fn describe<I: Input, O: Output>(
    _: &impl AsyncFn(&Call<'_>, I) -> Result<O, Problem>,
    operation: &mut Operation<'_>,
) {
    I::describe(operation);
    O::describe(operation);
}

/// The same of a handler that acts for a key.
pub fn describe_for_key<I: Input, O: Output>(
    _: &impl AsyncFn(&Call<'_>, &Principal, I) -> Result<O, Problem>,
    operation: &mut Operation<'_>,
) {
    I::describe(operation);
    O::describe(operation);
}
