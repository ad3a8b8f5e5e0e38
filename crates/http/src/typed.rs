//! Typed requests and responses of documented routes. The same type reads a request or writes a response, and
//! describes it in the API's document, so the two cannot differ.

use std::borrow::Cow;

use bitting_keys::{
    app::error::Error,
    domain::{expected::Expected, time::UnixMillis},
};
use percent_encoding::percent_decode_str;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{call::Call, input, message::Response, operation::Operation, problem::Problem};

/// The input of a handler: one of the types here, several in a tuple, or `()`.
pub trait Input: Sized {
    /// Reads the input from a request.
    ///
    /// # Errors
    /// The first problem of the request. Mistakes in several parts of it are told together.
    fn read(call: &Call<'_>) -> Result<Self, Problem>;
    /// Adds the documentation to an operation.
    fn describe(operation: &mut Operation<'_>);
}

/// The output of a handler.
pub trait Output {
    /// Writes the response.
    fn response(self) -> Response;
    /// Adds the documentation to an operation.
    fn describe(operation: &mut Operation<'_>);
}

impl Input for () {
    fn read(_: &Call<'_>) -> Result<Self, Problem> {
        Ok(())
    }

    fn describe(_: &mut Operation<'_>) {}
}

/// The parameters of the path, as a struct with a field for each. A path that cannot be read is not found.
pub struct InPath<T>(pub T);

impl<T: DeserializeOwned + JsonSchema> Input for InPath<T> {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        // Only names that people chose contain encoded characters.
        let decoded = call.params.iter().map(|(name, value)| (name, percent_decode_str(value).decode_utf8_lossy()));
        let decoded: Vec<(&str, Cow<'_, str>)> = decoded.collect();
        let pairs = decoded.iter().map(|(name, value)| (*name, value.as_ref()));
        T::deserialize(input::Parameters::new(pairs)).map(Self).map_err(|_| Error::NotFound.into())
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.parameters::<T>("path");
        operation.problem(404);
    }
}

/// The parameters of the query, as a struct with a field for each, which denies unknown ones.
pub struct InQuery<T>(pub T);

impl<T: DeserializeOwned + JsonSchema> Input for InQuery<T> {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        input::query(call.request).map(Self)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.parameters::<T>("query");
        operation.problem(400);
    }
}

/// The body, as a struct that denies unknown fields.
pub struct InBody<T>(pub T);

impl<T: DeserializeOwned + JsonSchema> Input for InBody<T> {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        input::body(call.request).map(Self)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.body::<T>();
        operation.problem(400);
        operation.problem(413);
    }
}

/// The body as a form, as a struct with a field for each parameter.
pub struct InForm<T>(pub T);

impl<T: DeserializeOwned + JsonSchema> Input for InForm<T> {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        input::form(call.request).map(Self)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.form::<T>();
    }
}

/// The mark of a route that honours `Idempotency-Key`. The dispatcher reads the header, and the use case acts once
/// for each key.
pub struct MayRepeat;

impl Input for MayRepeat {
    fn read(_: &Call<'_>) -> Result<Self, Problem> {
        Ok(Self)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.may_repeat();
        operation.problem(400);
        operation.problem(422);
    }
}

/// The version that the header `If-Match` asks for: the `ETag` of an answer.
pub struct IfMatch(pub Expected);

impl Input for IfMatch {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        let Some(tag) = call.request.header("if-match").map(str::trim).filter(|tag| *tag != "*") else {
            return Ok(Self(Expected::ANY));
        };
        let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
        // A tag that this service does not give is the tag of no version.
        let version = version.map(UnixMillis).ok_or(Error::VersionChanged)?;
        Ok(Self(Expected { version: Some(version) }))
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.if_match();
        operation.problem(412);
    }
}

/// A body that tells its version.
pub trait Version {
    /// Returns the time of the last change.
    fn version(&self) -> UnixMillis;
}

/// A JSON response with the version as its `ETag`, which a later change can send as `If-Match`.
pub struct Versioned<T>(pub T);

impl<T: Version + Serialize + JsonSchema> Output for Versioned<T> {
    fn response(self) -> Response {
        let UnixMillis(version) = self.0.version();
        let mut response = Json::<T>(self.0).response();
        response.headers.push(("ETag".into(), format!("\"{version}\"")));
        response
    }

    fn describe(operation: &mut Operation<'_>) {
        Json::<T>::describe(operation);
        operation.tagged();
    }
}

/// The mark of a route whose body names a resource, which may not exist or not be visible to the key.
pub struct NamesInBody;

impl Input for NamesInBody {
    fn read(_: &Call<'_>) -> Result<Self, Problem> {
        Ok(Self)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.problem(404);
    }
}

impl<A: Input, B: Input> Input for (A, B) {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        Problem::join(A::read(call), B::read(call))
    }

    fn describe(operation: &mut Operation<'_>) {
        A::describe(operation);
        B::describe(operation);
    }
}

impl<A: Input, B: Input, C: Input, D: Input> Input for (A, B, C, D) {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        let (((a, b), c), d) = Problem::join(<((A, B), C)>::read(call), D::read(call))?;
        Ok((a, b, c, d))
    }

    fn describe(operation: &mut Operation<'_>) {
        <((A, B), C)>::describe(operation);
        D::describe(operation);
    }
}

impl<A: Input, B: Input, C: Input> Input for (A, B, C) {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        let ((a, b), c) = Problem::join(Problem::join(A::read(call), B::read(call)), C::read(call))?;
        Ok((a, b, c))
    }

    fn describe(operation: &mut Operation<'_>) {
        A::describe(operation);
        B::describe(operation);
        C::describe(operation);
    }
}

/// A JSON response with its status.
pub struct Json<T, const STATUS: u16 = 200>(pub T);

impl<T: Serialize + JsonSchema, const STATUS: u16> Output for Json<T, STATUS> {
    fn response(self) -> Response {
        Response::json(STATUS, &self.0)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<T>(STATUS, "application/json");
    }
}

/// A JSON response of a route whose request or response contains a secret. The route is not a tool, because others
/// may keep what a model reads.
pub struct Confidential<T, const STATUS: u16 = 200>(pub T);

impl<T: Serialize + JsonSchema, const STATUS: u16> Output for Confidential<T, STATUS> {
    fn response(self) -> Response {
        Response::json(STATUS, &self.0)
    }

    fn describe(operation: &mut Operation<'_>) {
        Json::<T, STATUS>::describe(operation);
        operation.confidential();
    }
}

/// A response without a body.
pub struct NoContent;

impl Output for NoContent {
    fn response(self) -> Response {
        Response::empty(204)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.empty(204);
    }
}

/// A whole number within these bounds, with its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Whole<const MIN: i64, const MAX: i64, const DEFAULT: i64 = MIN>(pub i64);

impl<const MIN: i64, const MAX: i64, const DEFAULT: i64> Default for Whole<MIN, MAX, DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<'de, const MIN: i64, const MAX: i64, const DEFAULT: i64> Deserialize<'de> for Whole<MIN, MAX, DEFAULT> {
    #[expect(clippy::cast_possible_truncation, reason = "a number that the cast changes is out of bounds")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // JSON has one type of number: 3.0 is as whole as 3. An f64 is exact within the bounds.
        let number = f64::deserialize(deserializer).ok().filter(|number| number.fract() == 0.0);
        number
            .map(|number| number as i64)
            .filter(|number| (MIN..=MAX).contains(number))
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("must be a whole number from {MIN} to {MAX}")))
    }
}

impl<const MIN: i64, const MAX: i64, const DEFAULT: i64> JsonSchema for Whole<MIN, MAX, DEFAULT> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}
