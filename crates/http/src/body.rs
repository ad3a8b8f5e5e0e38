//! Bodies of requests, read up to the limit of their route or streamed to the handler.

use std::borrow::Cow;

use futures_util::StreamExt;

use crate::{
    message::{Body, Request},
    problem::Problem,
};

/// The maximum number of bytes of most bodies.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// The maximum number of bytes of a batch of traces, of a data set, or of rows for one.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The reading of a route's bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The body is read before the handler is called, up to this number of bytes.
    UpTo(usize),
    /// The handler reads the body piece by piece.
    Streamed,
}

/// Returns the request with its body read.
///
/// # Errors
/// [`Problem::MalformedJson`] if the connection broke.
pub async fn read(request: &Request, reading: Reading) -> Result<Cow<'_, Request>, Problem> {
    let (Body::Unread(source), Reading::UpTo(max_bytes)) = (&request.body, reading) else {
        return Ok(Cow::Borrowed(request));
    };
    let (mut pieces, mut bytes) = (source.pieces(), Vec::new());
    // The bytes are counted, since `Content-Length` is not always sent and need not be true.
    while let Some(piece) = pieces.next().await {
        bytes.extend(piece.map_err(|_| Problem::MalformedJson("the connection broke off".to_owned()))?);
        if bytes.len() > max_bytes {
            return Ok(Cow::Owned(Request { body: Body::TooLarge(max_bytes), ..request.clone() }));
        }
    }
    Ok(Cow::Owned(Request { body: Body::Bytes(bytes), ..request.clone() }))
}

/// Checks that a body is not compressed, which no route here reads.
///
/// # Errors
/// [`Problem::UnsupportedEncoding`] if it is.
pub fn check_encoding(request: &Request) -> Result<(), Problem> {
    let is_there = !matches!(request.method.as_str(), "GET" | "HEAD")
        && !matches!(&request.body, Body::Bytes(bytes) if bytes.is_empty());
    let plain = |encoding: &str| ["", "identity"].contains(&encoding.trim().to_ascii_lowercase().as_str());
    match request.header("content-encoding") {
        Some(encoding) if is_there && !encoding.split(',').all(plain) => Err(Problem::UnsupportedEncoding),
        _ => Ok(()),
    }
}

/// Returns the bytes of a body that was read.
///
/// # Errors
/// [`Problem::BodyTooLarge`] if it has more than the maximum.
pub fn bytes(request: &Request) -> Result<&[u8], Problem> {
    match &request.body {
        Body::Bytes(bytes) => Ok(bytes),
        Body::TooLarge(max_bytes) => Err(Problem::BodyTooLarge(*max_bytes)),
        // Only a handler that streams the body gets it unread.
        Body::Unread(_) => Ok(&[]),
    }
}
