//! The public keys of another service: read when a signature names one, and kept for an hour.

use std::rc::Rc;

use futures_util::StreamExt;

use serde::Deserialize;

use crate::{
    app::{App, error::Error, isolate::KnownPublicKeys},
    domain::{
        catalogue::Target,
        jwt::Jwt,
        public_key::{PublicKey, read_key_set},
        time::UnixMillis,
        trust::{Issuer, is_url, split},
    },
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
    pub name: &'a str,
    /// The place of the keys.
    pub place: Place<'a>,
    /// The reader of the answer.
    pub read: fn(&[u8]) -> Option<Vec<PublicKey>>,
}

impl<'a> Publisher<'a> {
    /// An issuer of tokens, whose metadata tell where its keys are.
    pub fn issuer(issuer: &'a Issuer) -> Self {
        Self { name: issuer.as_str(), place: Place::Discovered(issuer), read: read_key_set }
    }
}

/// The place where a service publishes its keys.
pub enum Place<'a> {
    /// A known one.
    At {
        /// The origin, such as `https://acme.cloudflareaccess.com`.
        origin: &'a str,
        /// The path.
        path: &'a str,
    },
    /// The one in the metadata of an issuer (`OpenID` Connect Discovery 1.0).
    Discovered(&'a Issuer),
}

impl App {
    /// Checks the signature of a token. Returns the fault, if there is one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be checked.
    pub async fn signature_fault(
        &self,
        known: &KnownPublicKeys,
        publisher: &Publisher<'_>,
        jwt: &Jwt,
    ) -> Result<Option<&'static str>, Error> {
        let Some(key) = self.public_key(known, publisher, &jwt.key_id).await? else { return Ok(Some("unknown_key")) };
        // The algorithm is that of the key, whatever the token says.
        if key.material.algorithm() != jwt.algorithm {
            return Ok(Some("wrong_algorithm"));
        }
        let verified = self.signatures.verify(&key, jwt.signed.as_bytes(), &jwt.signature);
        let is_good = verified.await.map_err(Error::Unavailable)?;
        Ok((!is_good).then_some("wrong_signature"))
    }

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
        let bytes = match publisher.place {
            Place::At { origin, path } => self.get_bytes(origin, path).await?,
            Place::Discovered(issuer) => {
                let url = self.discover(issuer).await?;
                let (origin, path) = split(&url);
                self.get_bytes(origin, path).await?
            }
        };
        (publisher.read)(&bytes).ok_or_else(|| "the answer is not a set of keys".to_owned())
    }

    /// Returns the URL of an issuer's keys.
    async fn discover(&self, issuer: &Issuer) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let (origin, path) = issuer.metadata();
        let bytes = self.get_bytes(&origin, &path).await?;
        let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|error| format!("its metadata: {error}"))?;
        if metadata.issuer != issuer.as_str() {
            return Err("its metadata are those of another issuer".to_owned());
        }
        // Only an issuer on the same machine may have its keys there.
        let is_good = is_url(&metadata.jwks_uri)
            && (metadata.jwks_uri.starts_with("https://") || issuer.as_str().starts_with("http://"));
        if is_good { Ok(metadata.jwks_uri) } else { Err("its metadata have no good `jwks_uri`".to_owned()) }
    }

    /// Gets a short answer. A redirect is not followed.
    async fn get_bytes(&self, origin: &str, path: &str) -> Result<Vec<u8>, String> {
        let request = Outgoing {
            method: "GET".to_owned(),
            target: Target::Upstream(origin.to_owned()),
            path: path.to_owned(),
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
        Ok(bytes)
    }
}
