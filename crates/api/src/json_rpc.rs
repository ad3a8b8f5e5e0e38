//! The errors of JSON-RPC 2.0: the codes, and the envelope for problems.

use bitting_http::{
    message::Response,
    problem::{Problem, Report},
};
use bitting_keys::app::error::Error;
use serde::Serialize;

/// The version of JSON-RPC.
pub(crate) const JSONRPC: &str = "2.0";
/// The code for a body that is not JSON.
const PARSE_ERROR: i32 = -32700;
/// The code for a body that is not a message.
const INVALID_REQUEST: i32 = -32600;

/// An error of JSON-RPC. It has no id, because the request was not read.
#[derive(Serialize)]
struct ErrorBody<'a> {
    jsonrpc: &'static str,
    id: (),
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: i32,
    message: &'a str,
    data: ErrorData<'a>,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    code: &'a str,
    request_id: &'a str,
}

/// Writes a problem as an error of JSON-RPC.
pub(crate) fn envelope(report: &Report<'_>) -> Response {
    let code = match report.problem {
        Problem::MalformedJson(_) => PARSE_ERROR,
        Problem::App(Error::Invalid(_)) => INVALID_REQUEST,
        // JSON-RPC has no code for these and allows any other number.
        _ => report.status.into(),
    };
    let data = ErrorData { code: report.code, request_id: report.request_id };
    let error = ErrorObject { code, message: report.detail, data };
    Response::json(report.status, &ErrorBody { jsonrpc: JSONRPC, id: (), error })
}
