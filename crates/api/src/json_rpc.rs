//! JSON-RPC 2.0 as far as errors need it: its codes, and a problem in its envelope.

use bitting_http::{
    message::Response,
    problem::{Problem, Report},
};
use bitting_keys::app::error::Error;
use serde::Serialize;

/// The version of JSON-RPC.
pub(crate) const JSONRPC: &str = "2.0";
/// The body is no JSON.
const PARSE_ERROR: i32 = -32700;
/// The body is no message.
const INVALID_REQUEST: i32 = -32600;

/// An error as JSON-RPC has it. It names no request, because that was not read.
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

/// The envelope.
pub(crate) fn envelope(report: &Report<'_>) -> Response {
    let code = match report.problem {
        Problem::MalformedJson(_) => PARSE_ERROR,
        Problem::App(Error::Invalid { .. }) => INVALID_REQUEST,
        // JSON-RPC has no code for these, and leaves all but its own numbers to us.
        _ => report.status.into(),
    };
    let data = ErrorData { code: report.code, request_id: report.request_id };
    let error = ErrorObject { code, message: report.detail, data };
    Response::json(report.status, &ErrorBody { jsonrpc: JSONRPC, id: (), error })
}
