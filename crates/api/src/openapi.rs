//! `GET /openapi.json`: the API's document, as a file.

use bitting_http::{call::Call, message::Response, operation::Operation, problem::Problem, typed::Output};
use serde_json::{Map, Value};

/// The document as an answer.
pub(crate) struct File;

impl Output for File {
    fn response(self) -> Response {
        Response::text("application/json", include_str!(concat!(env!("OUT_DIR"), "/openapi.json")))
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Map<String, Value>>(200, "application/json");
    }
}

pub(crate) async fn get(_: &Call<'_>, (): ()) -> Result<File, Problem> {
    Ok(File)
}
