//! Requests and answers, between workerd's form and the core's.

use futures_util::{StreamExt, TryStreamExt};
use worker::{Error, ResponseBuilder};

use crate::http::message::{Body, Content, HEADERS_READ, Request, Response, max_body_bytes};

/// The request as the core reads it.
pub(crate) async fn read(mut request: worker::Request) -> worker::Result<Request> {
    let url = request.inner().url();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query).to_owned();
    let mut headers = Vec::new();
    for name in HEADERS_READ {
        if let Some(value) = request.headers().get(name)? {
            headers.push((name, value));
        }
    }
    // `Method` of the worker crate turns what it does not know into GET; the inner request does not.
    let method = request.inner().method();
    let path = request.path();
    let origin = request.url()?.origin().ascii_serialization();
    let body = read_body(&mut request, max_body_bytes(&path)).await?;
    Ok(Request { method, origin, path, query, headers, body })
}

/// The body, read chunk by chunk and only as far as it may go, since a length is not always sent
/// and need not be true.
async fn read_body(request: &mut worker::Request, max_bytes: usize) -> worker::Result<Body> {
    let mut bytes = Vec::new();
    if request.inner().body().is_none() {
        return Ok(Body::Bytes(bytes));
    }
    let mut stream = request.stream()?;
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > max_bytes {
            return Ok(Body::TooLarge);
        }
    }
    Ok(Body::Bytes(bytes))
}

/// The answer as workerd sends it.
pub(crate) fn write(response: Response) -> worker::Result<worker::Response> {
    let mut builder = ResponseBuilder::new().with_status(response.status);
    for (name, value) in &response.headers {
        builder = builder.with_header(name, value)?;
    }
    match response.body {
        // A body of no bytes is still a body, which a 204 cannot have.
        Content::Bytes(bytes) if bytes.is_empty() => Ok(builder.empty()),
        Content::Bytes(bytes) => Ok(builder.fixed(bytes)),
        Content::Stream(pieces) => builder.from_stream(pieces.map_err(|cause| {
            log::error!("an answer was broken off: {cause}");
            Error::RustError(String::new())
        })),
    }
}
