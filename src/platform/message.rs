//! Requests and answers, between workerd's form and the core's.

use std::{any::Any, rc::Rc};

use futures_util::{StreamExt, TryStreamExt};
use worker::{ByteStream, Error, ResponseBuilder, web_sys::ReadableStream};

use crate::{
    http::message::{Body, Content, Request, Response},
    ports::{LocalFuture, Stream},
};

/// The request as the core reads it.
pub(crate) fn read(request: &worker::Request) -> Request {
    let url = request.inner().url();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query).to_owned();
    Request {
        // `Method` of the worker crate turns what it does not know into GET; the inner request does not.
        method: request.inner().method(),
        path: request.path(),
        query,
        headers: request.headers().entries().collect(),
        body: match request.inner().body() {
            Some(stream) => Body::Unread(Rc::new(Readable(stream))),
            None => Body::Bytes(Vec::new()),
        },
    }
}

/// A body as workerd holds it.
pub(crate) struct Readable(pub(crate) ReadableStream);

impl Readable {
    /// What the core hands back.
    pub(crate) fn of(stream: &Rc<dyn Stream>) -> worker::Result<&ReadableStream> {
        let stream: &dyn Any = &**stream;
        let readable = stream.downcast_ref::<Self>().map(|readable| &readable.0);
        readable.ok_or_else(|| Error::RustError("a body that is not workerd's".to_owned()))
    }
}

impl Stream for Readable {
    /// Read chunk by chunk and only as far as it may go, since a length is not always sent and need not
    /// be true.
    fn read(&self, max_bytes: usize) -> LocalFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move {
            let mut bytes = Vec::new();
            let mut stream = ByteStream::from(self.0.clone());
            while let Some(chunk) = stream.next().await {
                bytes.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
                if bytes.len() > max_bytes {
                    return Ok(None);
                }
            }
            Ok(Some(bytes))
        })
    }
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
        Content::Unread(stream) => Ok(builder.stream(Readable::of(&stream)?.clone())),
    }
}
