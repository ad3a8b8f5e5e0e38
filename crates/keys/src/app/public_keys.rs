//! The public keys of another service: read when a signature names one, and kept for an hour.

use std::rc::Rc;

use futures_util::StreamExt;

use crate::{
    app::{App, error::Error, isolate::KnownPublicKeys},
    domain::{catalogue::Target, public_key::PublicKey, time::UnixMillis},
    ports::{ByteSource, Outgoing},
};

/// The time for which the keys are kept, in milliseconds.
const KEYS_MS: i64 = 60 * 60 * 1000;
/// The least time before the keys are requested again, after an unknown key or a failure, in milliseconds. A forged
/// signature must not cost a request.
const RETRY_MS: i64 = 10 * 1000;
/// The time in which the answer must begin, in seconds.
const TIMEOUT_SECONDS: u32 = 10;
/// The maximum size of the answer, in bytes.
const MAX_KEYS_BYTES: usize = 64 * 1024;

/// A service that publishes its keys.
pub struct Publisher<'a> {
    /// The name of the service, for the log.
    pub name: &'static str,
    /// The origin, such as `https://acme.cloudflareaccess.com`.
    pub origin: &'a str,
    /// The path of the keys.
    pub path: &'static str,
    /// The reader of the answer.
    pub read: fn(&[u8]) -> Option<Vec<PublicKey>>,
}

impl App {
    /// Returns a public key by its id, from memory if possible; `None` if the service has no such key.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the keys cannot be read.
    pub async fn public_key(
        &self,
        known: &KnownPublicKeys,
        publisher: &Publisher<'_>,
        id: &str,
    ) -> Result<Option<PublicKey>, Error> {
        let now = self.now();
        let within = |at: UnixMillis, ms: i64| (0..ms).contains(&now.ms_since(at));
        let find = |keys: &[PublicKey]| keys.iter().find(|key| key.id == id).cloned();
        let unavailable =
            |reason: &str| Error::Unavailable(format!("the keys of {} cannot be read: {reason}", publisher.name));
        let kept = known.keys().filter(|(read_at, _)| within(*read_at, KEYS_MS)).map(|(_, keys)| keys);
        if let Some(key) = kept.as_deref().and_then(find) {
            return Ok(Some(key));
        }
        if known.asked_at().is_some_and(|asked_at| within(asked_at, RETRY_MS)) {
            return if kept.is_some() { Ok(None) } else { Err(unavailable("the last attempt failed")) };
        }
        // Concurrent requests need not wait for keys that may not help them. Without any keys they must.
        if kept.is_some() {
            known.note_asked(now);
        }
        let read = self.request_public_keys(publisher).await;
        known.note_asked(now);
        let keys = read.map_err(|reason| unavailable(&reason))?;
        let key = find(&keys);
        known.keep(now, keys);
        Ok(key)
    }

    async fn request_public_keys(&self, publisher: &Publisher<'_>) -> Result<Vec<PublicKey>, String> {
        let request = Outgoing {
            method: "GET".to_owned(),
            target: Target::Upstream(publisher.origin.to_owned()),
            path: publisher.path.to_owned(),
            // GitHub refuses a request without this header.
            headers: vec![("user-agent".to_owned(), "bitting".to_owned())],
            body: None,
            timeout_seconds: TIMEOUT_SECONDS,
        };
        let answer = self.upstream.send(request).await.map_err(|error| format!("{error:?}"))?;
        let body: Option<Rc<dyn ByteSource>> = answer.body.filter(|_| answer.status == 200);
        let body = body.ok_or_else(|| format!("the answer has the status {}", answer.status))?;
        let (mut pieces, mut bytes) = (body.pieces(), Vec::new());
        while let Some(piece) = pieces.next().await {
            bytes.extend(piece?);
            if bytes.len() > MAX_KEYS_BYTES {
                return Err("the answer is too long".to_owned());
            }
        }
        (publisher.read)(&bytes).ok_or_else(|| "the answer is not a set of keys".to_owned())
    }
}
