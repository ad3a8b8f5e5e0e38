//! Conversion of requests and responses between workerd and the core.

use std::{any::Any, cell::Cell, rc::Rc};

use bitting_http::message::{Body, Content, Request, Response};
use bitting_keys::{domain::region, ports::ByteSource};
use futures_util::{
    StreamExt, TryStreamExt,
    future::ready,
    stream::{self, LocalBoxStream},
};
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use worker::{ByteStream, Error, ResponseBuilder, web_sys::ReadableStream};

/// Converts a request for the core.
pub(crate) fn read(request: &worker::Request) -> Request {
    let url = request.inner().url();
    // The origin ends at the third slash. A URL parser would add its tables of domain names to the Worker.
    let origin = url.match_indices('/').nth(2).and_then(|(end, _)| url.get(..end)).unwrap_or(&url).to_owned();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query).to_owned();
    // Cloudflare sends this header only where it is switched on, and elsewhere a client can.
    let headers = request.headers().entries().filter(|(name, _)| name != COUNTRY);
    let headers = headers.chain(located(request, "country").map(|country| (COUNTRY.to_owned(), country))).collect();
    Request {
        // `Method` of the worker crate turns unknown methods into GET; the inner request does not.
        method: request.inner().method(),
        origin,
        path: request.path(),
        query,
        headers,
        body: match request.inner().body() {
            Some(stream) => Body::Unread(Readable::source(stream)),
            None => Body::Bytes(Vec::new()),
        },
    }
}

/// The header with the client's country, as the platform locates it.
const COUNTRY: &str = "cf-ipcountry";

/// Returns what the platform says about the place of a client.
fn located(request: &worker::Request, name: &str) -> Option<String> {
    let get = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).ok();
    get(request.inner(), "cf").and_then(|location| get(&location, name)).and_then(|value| value.as_string())
}

/// Returns the region of a client, as the platform locates it.
pub(crate) fn region(request: &worker::Request) -> &'static str {
    let longitude = located(request, "longitude").and_then(|longitude| longitude.parse().ok());
    region::region(located(request, "continent").as_deref(), longitude)
}

/// A body as a stream of workerd.
pub(crate) struct Readable {
    stream: ReadableStream,
    read: Cell<bool>,
}

impl Readable {
    pub(crate) fn source(stream: ReadableStream) -> Rc<dyn ByteSource> {
        Rc::new(Self { stream, read: Cell::new(false) })
    }

    /// Returns the stream of workerd behind a source that the core passes back.
    pub(crate) fn stream(source: &Rc<dyn ByteSource>) -> worker::Result<&ReadableStream> {
        let source: &dyn Any = &**source;
        let readable = source.downcast_ref::<Self>().map(|readable| &readable.stream);
        readable.ok_or_else(|| Error::RustError("the body is not a stream of workerd".to_owned()))
    }
}

impl ByteSource for Readable {
    fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
        // For a second read workerd would trap, or return nothing.
        if self.read.replace(true) {
            return stream::once(ready(Err("the body was read before".to_owned()))).boxed_local();
        }
        ByteStream::from(self.stream.clone()).map_err(|error| error.to_string()).boxed_local()
    }
}

/// Converts a response for workerd.
pub(crate) fn write(response: Response) -> worker::Result<worker::Response> {
    let mut builder = ResponseBuilder::new().with_status(response.status);
    for (name, value) in &response.headers {
        builder = builder.with_header(name, value)?;
    }
    match response.body {
        // An empty body is still a body, which a 204 cannot have.
        Content::Bytes(bytes) if bytes.is_empty() => Ok(builder.empty()),
        Content::Bytes(bytes) => Ok(builder.fixed(bytes)),
        Content::Stream(pieces) => builder.from_stream(pieces.map_err(|cause| {
            log::error!("a response was broken off: {cause}");
            Error::RustError(String::new())
        })),
        Content::Unread(stream) => Ok(builder.stream(Readable::stream(&stream)?.clone())),
    }
}
