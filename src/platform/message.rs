//! Conversion of requests and responses between workerd and the core.

use std::{any::Any, cell::Cell, iter, rc::Rc};

use bitting_http::{
    body::MAX_BODY_BYTES,
    message::{Body, Content, Request, Response},
};
use bitting_keys::{domain::region, ports::ByteSource};
use futures_util::{
    StreamExt, TryFutureExt, TryStreamExt,
    future::ready,
    stream::{self, LocalBoxStream},
};
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{
    ByteStream, Error, ResponseBody,
    wasm_bindgen_futures::JsFuture,
    web_sys::{self, ReadableStream},
};

#[wasm_bindgen(module = "/src/platform/message.js")]
extern "C" {
    fn head(request: &web_sys::Request) -> String;
    fn bytes(request: &web_sys::Request) -> Promise;
    #[wasm_bindgen(catch)]
    fn respond(status: u16, headers: &str, body: &JsValue) -> Result<web_sys::Response, JsValue>;
}

/// Converts a request for the core.
pub(crate) fn read(request: &web_sys::Request) -> Request {
    let head = head(request);
    let mut lines = head.split('\n').map(str::to_owned);
    let (method, url) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let headers: Vec<(String, String)> = iter::from_fn(|| Some((lines.next()?, lines.next()?))).collect();
    // The origin ends at the third slash. A URL parser would add its tables of domain names to the Worker.
    let origin = url.match_indices('/').nth(2).and_then(|(end, _)| url.get(..end)).unwrap_or(&url).to_owned();
    let rest = url.get(origin.len()..).unwrap_or_default();
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (path, query) = (if path.is_empty() { "/" } else { path }.to_owned(), query.to_owned());
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, length)| length.parse::<usize>().ok());
    let body = match request.body() {
        Some(stream) => {
            let whole = length.is_some_and(|length| length <= MAX_BODY_BYTES).then(|| Clone::clone(request));
            Body::Unread(Rc::new(Readable { stream, whole, read: Cell::new(false) }))
        }
        None => Body::Bytes(Vec::new()),
    };
    Request { method, origin, path, query, headers, body }
}

/// Returns what the platform says about the place of a client.
fn located(request: &web_sys::Request, name: &str) -> Option<String> {
    let get = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).ok();
    get(request, "cf").and_then(|location| get(&location, name)).and_then(|value| value.as_string())
}

/// Returns the region of a client, as the platform locates it.
pub(crate) fn region(request: &web_sys::Request) -> &'static str {
    let longitude = located(request, "longitude").and_then(|longitude| longitude.parse().ok());
    region::region(located(request, "continent").as_deref(), longitude)
}

/// A body as a stream of workerd.
pub(crate) struct Readable {
    stream: ReadableStream,
    /// The request, if its body is so short that it is read at once.
    whole: Option<web_sys::Request>,
    read: Cell<bool>,
}

impl Readable {
    pub(crate) fn source(stream: ReadableStream) -> Rc<dyn ByteSource> {
        Rc::new(Self { stream, whole: None, read: Cell::new(false) })
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
        if let Some(request) = &self.whole {
            let bytes = JsFuture::from(bytes(request)).map_ok(|bytes| Uint8Array::new(&bytes).to_vec());
            return stream::once(bytes.map_err(|error| format!("{error:?}"))).boxed_local();
        }
        ByteStream::from(self.stream.clone()).map_err(|error| error.to_string()).boxed_local()
    }
}

/// Converts a response for workerd.
pub(crate) fn write(response: Response) -> worker::Result<web_sys::Response> {
    let mut head = String::new();
    for (name, value) in &response.headers {
        // The rest of such a value would be a header of its own.
        if value.contains('\n') {
            return Err(Error::RustError(format!("the value of {name} has a line break")));
        }
        head.extend([name, "\n", value, "\n"]);
    }
    let body = match response.body {
        // An empty body is still a body, which a 204 cannot have.
        Content::Bytes(bytes) if bytes.is_empty() => JsValue::NULL,
        Content::Bytes(bytes) => Uint8Array::from(bytes.as_slice()).into(),
        Content::Unread(stream) => Readable::stream(&stream)?.into(),
        Content::Stream(pieces) => {
            let pieces = pieces.map_err(|cause| {
                log::error!("a response was broken off: {cause}");
                Error::RustError(String::new())
            });
            match worker::Response::from_stream(pieces)?.body() {
                ResponseBody::Stream(stream) => stream.into(),
                ResponseBody::Empty | ResponseBody::Body(_) => JsValue::NULL,
            }
        }
    };
    Ok(respond(response.status, &head, &body)?)
}
