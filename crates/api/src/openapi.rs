//! `GET /openapi.json`: the API's document, as a file.

use bitting_http::{call::Call, message::Response, operation::Operation, problem::Problem, typed::Output};
use serde_json::{Map, Value};

const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The entity tag of the document: a digest of it in quotes.
const ETAG: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.etag"));

/// The document as a response, for a caller that has it already or for one that has not.
pub(crate) enum File {
    /// The whole document.
    Document,
    /// The entity tag alone.
    NotModified,
}

impl Output for File {
    fn response(self) -> Response {
        let mut response = match self {
            Self::Document => Response::text("application/json", DOCUMENT),
            Self::NotModified => Response::empty(304),
        };
        response.headers.retain(|(name, _)| name != "Cache-Control");
        // It changes with a deployment only, and then the tag does.
        response.headers.push(("Cache-Control".into(), "public, max-age=300".to_owned()));
        response.headers.push(("ETag".into(), ETAG.to_owned()));
        response
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Map<String, Value>>(200, "application/json");
        operation.empty(304);
    }
}

/// Returns this document. With the header `If-None-Match` and the `ETag` of a copy, answers 304 if the copy is current.
pub(crate) async fn get(call: &Call<'_>, (): ()) -> Result<File, Problem> {
    let known = call.request.header("if-none-match").unwrap_or_default();
    let is_known = known.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == ETAG || tag == "*");
    Ok(if is_known { File::NotModified } else { File::Document })
}
