//! The nine services that the platform provides: a database, a holder of its change feed, a cache, a clock, randomness, background work, the
//! operator's servers, a rate limiter, and signatures. The same core runs over workerd's, over
//! SQLite in the tests, and over a simulated world with delays and failures.

use std::{any::Any, future::Future, pin::Pin, rc::Rc};

use futures_util::{
    future::ready,
    stream::{self, LocalBoxStream},
};
use serde_json::{Map, Value};

use crate::domain::{
    catalogue::Target, derived_token::SigningKey, feed::HeldNews, id::Seq, public_key::PublicKey, quota::QuotaExceeded,
    time::UnixMillis,
};

/// A future of one isolate. It need not be `Send`, because workerd runs each isolate on one thread.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A row from the database: column names and values.
pub type Row = Map<String, Value>;

/// A value that is bound to a statement. Times and numbers must stay within ±2⁵³, because D1 passes every number as
/// a double.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// SQL's NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A text.
    Text(String),
}

/// One statement with its parameters, of which `?1` is the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The SQL.
    pub sql: String,
    /// The parameters.
    pub params: Vec<Param>,
}

/// The reason why the database did not carry out a batch. No statement of the batch had any effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseError {
    /// The batch's guard stopped it: the caller's key has changed since it was verified.
    Guard,
    /// The Idempotency-Key was used before, so the batch's resource already exists.
    Repeated,
    /// Another unique index refused a row.
    Unique,
    /// The organization has no quota left.
    Quota(QuotaExceeded),
    /// Anything else, with the message for the log.
    Failed(String),
}

impl DatabaseError {
    /// Tells errors apart by SQLite's message, which is all that D1 returns.
    pub fn from_message(message: String) -> Self {
        // Only the guard's `abs()` of the least integer can overflow; see `storage::changes::guard`.
        if message.contains("integer overflow") {
            Self::Guard
        } else if message.contains("UNIQUE constraint failed: idempotency_keys.") {
            Self::Repeated
        } else if message.contains("UNIQUE constraint failed") {
            Self::Unique
        } else if let Some(exceeded) = QuotaExceeded::parse(&message) {
            Self::Quota(exceeded)
        } else {
            Self::Failed(message)
        }
    }
}

/// The answer of the nearest replica.
pub struct Nearest {
    /// The rows of each statement.
    pub rows: Vec<Vec<Row>>,
    /// True if the primary answered, so that nothing is missing.
    pub is_current: bool,
}

/// D1, or SQLite.
pub trait Database {
    /// Runs the statements in order, in one transaction and one round trip. Returns the rows of each.
    ///
    /// # Errors
    /// [`DatabaseError`]; then no statement has had any effect.
    fn batch(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Vec<Vec<Row>>, DatabaseError>>;

    /// Runs statements that only read on the nearest replica, which may be of any age.
    ///
    /// # Errors
    /// As [`Database::batch`].
    fn batch_nearest(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Nearest, DatabaseError>>;

    /// The size of the database in bytes, as its newest answer to this isolate told it; `None` before the first. Asks
    /// nothing.
    fn size_bytes(&self) -> Option<i64>;
}

/// The holder of the feed: one for many isolates, near to them. It asks the database in their place.
pub trait FeedHolder {
    /// Returns the feed's news from `since` on.
    ///
    /// # Errors
    /// The platform's message, for the log.
    fn news(&self, since: Seq) -> LocalFuture<'_, Result<HeldNews, String>>;
}

/// KV: eventually consistent, and trusted for nothing. What it returns is opened by
/// [`crate::domain::cache_seal::CacheSeal`] and judged by the feed.
pub trait Cache {
    /// Returns the value of a key, or any value that it ever had, or none.
    ///
    /// # Errors
    /// The platform's message, for the log.
    fn get(&self, key: String) -> LocalFuture<'_, Result<Option<String>, String>>;

    /// Stores a value for `ttl_seconds`, which KV requires to be at least 60.
    ///
    /// # Errors
    /// The platform's message, for the log.
    fn put(&self, key: String, value: String, ttl_seconds: u64) -> LocalFuture<'_, Result<(), String>>;
}

/// The wall clock.
pub trait Clock {
    /// The present instant. On Cloudflare it moves only with I/O.
    fn now(&self) -> UnixMillis;

    /// Waits for `ms` milliseconds.
    fn sleep(&self, ms: u32) -> LocalFuture<'_, ()>;
}

/// Randomness fit for secrets.
pub trait Entropy {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// The platform's message, for the log.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String>;
}

/// Background work after an answer (`waitUntil`). It may be cut off, so nothing may depend on it.
pub trait Background {
    /// Starts the work without waiting for it.
    fn spawn(&self, work: LocalFuture<'static, ()>);
}

/// A body that the platform holds and that is still arriving. It is handed back to the platform as it is, so that
/// its bytes never enter this program.
pub trait ByteSource: Any {
    /// The bytes of the body as they arrive. An error holds the platform's message: the body broke off, or was read
    /// before.
    fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>>;
}

/// A body in memory.
impl ByteSource for Vec<u8> {
    fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
        Box::pin(stream::once(ready(Ok(self.clone()))))
    }
}

/// A request to one of the operator's servers.
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// The server that the request is for.
    pub target: Target,
    /// The path, with the query if there is one.
    pub path: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Rc<dyn ByteSource>>,
    /// The time in which the answer must begin, in seconds.
    pub timeout_seconds: u32,
}

/// The beginning of an upstream's answer.
pub struct Incoming {
    /// The status. A redirect's status is passed on, too.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Rc<dyn ByteSource>>,
}

/// The reason why an upstream has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamError {
    /// The answer did not begin in time.
    TimedOut,
    /// The request failed; the platform's message, for the log.
    Failed(String),
}

/// The operator's servers: the targets of the operator's routes, and the server of the language model.
pub trait Upstream {
    /// Sends a request and waits for the beginning of the answer. Follows no redirect.
    ///
    /// # Errors
    /// [`UpstreamError`]. The request may have been carried out all the same.
    fn send(&self, request: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>>;
}

/// A rate limit of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Attempts to sign in on the settings pages, by address.
    SignIns,
    /// Credentials that nobody has, by address.
    UnknownCredentials,
    /// Reports of leaked keys, by address.
    LeakReports,
    /// Writes, by organization.
    Writes,
    /// Questions to the language model, by organization.
    Questions,
}

/// A rate limiter.
pub trait Limiter {
    /// Counts one more of these, and returns true if that is within the operator's limit. The platform defines the
    /// precision of the count; if it cannot count, it admits all.
    fn admits(&self, limit: Limit, of: String) -> LocalFuture<'_, bool>;
}

/// Signatures: their verification, and those of this deployment.
pub trait Signatures {
    /// True if this is the key's signature of these bytes.
    ///
    /// # Errors
    /// The platform's message, for the log: the key is not a valid one.
    fn verify<'a>(
        &'a self,
        key: &'a PublicKey,
        signed: &'a [u8],
        signature: &'a [u8],
    ) -> LocalFuture<'a, Result<bool, String>>;

    /// The public key of a signing key, in base64url.
    ///
    /// # Errors
    /// The platform's message, for the log.
    fn public_key<'a>(&'a self, key: &'a SigningKey) -> LocalFuture<'a, Result<String, String>>;

    /// Signs bytes with Ed25519.
    ///
    /// # Errors
    /// The platform's message, for the log.
    fn sign<'a>(&'a self, key: &'a SigningKey, message: &'a [u8]) -> LocalFuture<'a, Result<Vec<u8>, String>>;
}
