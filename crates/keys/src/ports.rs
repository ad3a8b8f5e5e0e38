//! The eight things that the outside world gives: a database, a cache, a clock, randomness, work
//! that goes on behind the answer, the operator's servers, a count of attempts, and the check of
//! signatures. The same core runs over workerd's, over SQLite in the
//! tests, and over a simulated world with delays and failures.

use std::{any::Any, future::Future, pin::Pin, rc::Rc};

use futures_util::{
    future::ready,
    stream::{self, LocalBoxStream},
};
use serde_json::{Map, Value};

use crate::domain::{catalogue::Target, jwt::PublicKey, time::UnixMillis};

/// A future of one isolate: workerd runs each isolate on one thread, so none needs to be `Send`.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A row as the database gives it: column names and values.
pub type Row = Map<String, Value>;

/// A value that is bound to a statement. Times and numbers must stay within ±2⁵³, because D1 passes
/// every number as a double.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// SQL's NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A text.
    Text(String),
}

/// One statement with its parameters, `?1` being the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The SQL.
    pub sql: String,
    /// The parameters.
    pub params: Vec<Param>,
}

/// Why the database did not carry out a batch. Nothing of the batch was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseError {
    /// The batch's guard stopped it: the key that asks has changed since it was verified.
    Guard,
    /// The Idempotency-Key was used before, so what the batch would make is made.
    Repeated,
    /// Another unique index refused a row.
    Unique,
    /// Anything else, with the message for the log.
    Failed(String),
}

impl DatabaseError {
    /// Tells errors apart by SQLite's message, which is all that D1 passes on.
    pub fn from_message(message: String) -> Self {
        // Only the guard's `abs()` of the least integer can overflow; see `storage::guard`.
        if message.contains("integer overflow") {
            Self::Guard
        } else if message.contains("UNIQUE constraint failed: idempotency_keys.") {
            Self::Repeated
        } else if message.contains("UNIQUE constraint failed") {
            Self::Unique
        } else {
            Self::Failed(message)
        }
    }
}

/// D1, or SQLite.
pub trait Database {
    /// Runs the statements in order, in one transaction and one round trip; gives the rows of each.
    ///
    /// # Errors
    /// [`DatabaseError`]; then no statement has had any effect.
    fn batch(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Vec<Vec<Row>>, DatabaseError>>;
}

/// KV: eventually consistent, and trusted for nothing.
pub trait Cache {
    /// The value of a key, or any value that it ever had, or none.
    ///
    /// # Errors
    /// The platform's message, for the log.
    fn get(&self, key: String) -> LocalFuture<'_, Result<Option<String>, String>>;

    /// Stores a value for `ttl_seconds` (KV's least is 60).
    ///
    /// # Errors
    /// The platform's message, for the log.
    fn put(&self, key: String, value: String, ttl_seconds: u64) -> LocalFuture<'_, Result<(), String>>;
}

/// The wall clock.
pub trait Clock {
    /// The present instant. On Cloudflare it moves only with I/O.
    fn now(&self) -> UnixMillis;

    /// Waits.
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

/// Work behind the answer (`waitUntil`): it may be cut off, so nothing may depend on it.
pub trait Background {
    /// Starts the work without waiting for it.
    fn spawn(&self, work: LocalFuture<'static, ()>);
}

/// A body that the platform holds and that is still on its way. Whoever passes it on hands it back to
/// the platform as it is, so that its bytes never come here.
pub trait ByteSource: Any {
    /// Its bytes as they come. An error says that it broke off, or that it was read before; the platform's
    /// message.
    fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>>;
}

/// A body that is here already.
impl ByteSource for Vec<u8> {
    fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
        Box::pin(stream::once(ready(Ok(self.clone()))))
    }
}

/// A request to one of the operator's servers.
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// Who is to answer.
    pub target: Target,
    /// The path, and the query if there is one.
    pub path: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Rc<dyn ByteSource>>,
    /// How long the answer may take to begin.
    pub timeout_seconds: u32,
}

/// The beginning of an upstream's answer.
pub struct Incoming {
    /// The status, that of a redirect too.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Rc<dyn ByteSource>>,
}

/// Why there is no answer of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamError {
    /// It did not begin in time.
    TimedOut,
    /// There was none; the platform's message, for the log.
    Failed(String),
}

/// The operator's servers: those behind his routes, and the one that has the model.
pub trait Upstream {
    /// Sends a request and waits for the beginning of the answer. Follows no redirect.
    ///
    /// # Errors
    /// [`UpstreamError`]; the request may have been carried out all the same.
    fn send(&self, request: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>>;
}

/// A count of what is attempted how often.
pub trait Limiter {
    /// Whether one more attempt from this address is within what the operator allows. How exactly that is
    /// counted, the platform says; if it cannot count, it is.
    fn admits(&self, address: String) -> LocalFuture<'_, bool>;
}

/// The check of signatures.
pub trait Verifier {
    /// Whether this is the key's signature of these bytes: RSASSA-PKCS1-v1_5 with SHA-256.
    ///
    /// # Errors
    /// The platform's message, for the log: the key is none.
    fn verify_rs256<'a>(
        &'a self,
        key: &'a PublicKey,
        signed: &'a [u8],
        signature: &'a [u8],
    ) -> LocalFuture<'a, Result<bool, String>>;
}
