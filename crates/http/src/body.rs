//! Bodies of requests: read as far as their route allows, or left to the handler.

use std::borrow::Cow;

use futures_util::StreamExt;

use crate::{
    message::{Body, Request},
    problem::Problem,
};

/// The most bytes of most bodies that are read.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// The most bytes of a batch of traces, or of a data set or rows for one, that are read.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// How the body of a route's requests is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Before the handler is called, and so many bytes of it at most.
    UpTo(usize),
    /// By the handler, piece by piece.
    Streamed,
}

/// The request with its body read.
///
/// # Errors
/// [`Problem::MalformedJson`] if the body broke off.
pub async fn read(request: &Request, reading: Reading) -> Result<Cow<'_, Request>, Problem> {
    let (Body::Unread(source), Reading::UpTo(max_bytes)) = (&request.body, reading) else {
        return Ok(Cow::Borrowed(request));
    };
    let (mut pieces, mut bytes) = (source.pieces(), Vec::new());
    // The bytes are counted, since a length is not always sent and need not be true.
    while let Some(piece) = pieces.next().await {
        bytes.extend(piece.map_err(|_| Problem::MalformedJson("it broke off".to_owned()))?);
        if bytes.len() > max_bytes {
            return Ok(Cow::Owned(Request { body: Body::TooLarge(max_bytes), ..request.clone() }));
        }
    }
    Ok(Cow::Owned(Request { body: Body::Bytes(bytes), ..request.clone() }))
}

/// The bytes of a body that was read.
///
/// # Errors
/// [`Problem::BodyTooLarge`] if it has more than are read.
pub fn bytes(request: &Request) -> Result<&[u8], Problem> {
    match &request.body {
        Body::Bytes(bytes) => Ok(bytes),
        Body::TooLarge(max_bytes) => Err(Problem::BodyTooLarge(*max_bytes)),
        // Such a body was read before the handler was called, unless the handler reads it itself.
        Body::Unread(_) => Ok(&[]),
    }
}
