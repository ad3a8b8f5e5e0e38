//! `GET /openapi.json`: the API's document, as a file.

use serde_json::{Map, Value};

use crate::http::{call::Call, message::Response, operation::Operation, problem::Problem, typed::Output};

/// The document as an answer.
pub(crate) struct File;

impl Output for File {
    fn response(self) -> Response {
        Response::text("application/json", include_str!("openapi.json"))
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Map<String, Value>>(200, "application/json");
    }
}

pub(crate) async fn get(_: &Call<'_>, (): ()) -> Result<File, Problem> {
    Ok(File)
}
