//! The operator's servers: `fetch`, and service bindings.

use std::{any::Any, rc::Rc, time::Duration};

use bitting_keys::{
    domain::catalogue::Target,
    ports::{ByteSource, Incoming, LocalFuture, Outgoing, Upstream, UpstreamError},
};
use futures_util::future::{Either, select};
use js_sys::Uint8Array;
use worker::{
    AbortController, AbortSignal, Delay, Env, Fetch, ResponseBody,
    web_sys::{self, RequestCache, RequestRedirect},
};

use crate::platform::message::Readable;

/// `fetch`, and the service bindings of this Worker.
pub(crate) struct Fetcher(pub(crate) Rc<Env>);

impl Upstream for Fetcher {
    fn send(&self, request: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>> {
        Box::pin(async move {
            let controller = AbortController::default();
            let timeout = Delay::from(Duration::from_secs(request.timeout_seconds.into()));
            let answer = Box::pin(self.fetch(request, controller.signal()));
            match select(answer, timeout).await {
                Either::Left((answer, _)) => answer.map_err(|error| UpstreamError::Failed(error.to_string())),
                Either::Right(_) => {
                    controller.abort();
                    Err(UpstreamError::TimedOut)
                }
            }
        })
    }
}

impl Fetcher {
    async fn fetch(&self, request: Outgoing, signal: AbortSignal) -> worker::Result<Incoming> {
        let init = web_sys::RequestInit::new();
        init.set_method(&request.method);
        init.set_redirect(RequestRedirect::Manual);
        // A request without its key could be cached for other callers.
        init.set_cache(RequestCache::NoStore);
        init.set_signal(Some(&signal));
        let headers = worker::Headers::new();
        for (name, value) in &request.headers {
            headers.append(name, value)?;
        }
        init.set_headers(headers.as_ref());
        if let Some(body) = &request.body {
            let bytes: &dyn Any = &**body;
            match bytes.downcast_ref::<Vec<u8>>() {
                Some(bytes) => init.set_body(&Uint8Array::from(bytes.as_slice())),
                None => init.set_body(Readable::stream(body)?),
            }
        }
        let to = |url: String| -> worker::Result<worker::Request> {
            Ok(web_sys::Request::new_with_str_and_init(&url, &init)?.into())
        };
        let answer = match &request.target {
            Target::Upstream(origin) => {
                let request = to(format!("{origin}{}", request.path))?;
                Fetch::Request(request).send_with_signal(&signal).await?
            }
            Target::Service(name) => {
                let request = to(format!("https://{name}{}", request.path))?;
                self.0.service(name)?.fetch_request(request).await?
            }
        };
        let body: Option<Rc<dyn ByteSource>> = match answer.body() {
            ResponseBody::Stream(stream) => Some(Readable::source(stream.clone())),
            ResponseBody::Empty | ResponseBody::Body(_) => None,
        };
        Ok(Incoming { status: answer.status_code(), headers: answer.headers().entries().collect(), body })
    }
}
