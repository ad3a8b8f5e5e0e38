//! The verifier, for threads.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::answer::{Answer, News};
use crate::clock::elapsed;
use crate::copies::{Copies, Entry, Name, missing_scopes};
use crate::key_text::is_well_formed;

/// The time without a question about the feed after one that was refused.
const REFUSED_FEED_MS: f64 = 60_000.0;

/// The attempts to get an answer that no change contradicts.
const ATTEMPTS: usize = 3;

/// A question to Bitting.
#[derive(Debug)]
pub struct Question {
    /// The address.
    pub url: String,
    /// The value of the header `Authorization`.
    pub authorization: String,
    /// The JSON to `POST`; `None` for a `GET`.
    pub body: Option<String>,
}

/// Bitting's answer.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

/// The way to Bitting: an HTTP client of your own.
pub trait Transport: Send + Sync + 'static {
    /// Asks Bitting, and gives up in good time: 3 seconds, say.
    ///
    /// # Errors
    /// If there is no answer.
    fn ask(&self, question: Question) -> Result<Response, String>;

    /// Does work beside its caller, by default on a thread of its own: a question about the feed, at most one in a quarter
    /// of the bound.
    fn spawn(&self, work: Box<dyn FnOnce() + Send>) {
        thread::spawn(work);
    }
}

/// The options of a verifier.
pub struct Options {
    /// The maximum number of keys in memory.
    pub max_keys: usize,
    /// A bound that is shorter than the deployment's, in milliseconds.
    pub max_staleness_ms: f64,
    /// Hears why Bitting could not be asked.
    pub on_error: Box<dyn Fn(&str) + Send + Sync>,
    /// The time in milliseconds, by a clock that is never set back and counts while the machine sleeps.
    pub clock: Box<dyn FnMut() -> f64 + Send>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_keys: 10_000,
            max_staleness_ms: f64::INFINITY,
            on_error: Box::new(|_| {}),
            clock: Box::new(elapsed()),
        }
    }
}

/// A client that presents a key. A key with conditions about what is not told is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Client {
    /// The address, from the connection or from a proxy of your own, never from a header that a caller can set.
    pub ip: Option<String>,
    /// The country: a code of ISO 3166-1, or what Cloudflare says.
    pub country: Option<String>,
}

/// The result of a verification.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// True if the key is valid and holds all required scopes.
    pub valid: bool,
    /// `valid`, or why the key is not: a code of Bitting's, `missing_api_key`, or `unavailable` if nobody can tell.
    pub code: String,
    /// The HTTP status for the caller: 200, 401, 403 or 503.
    pub status: u16,
    /// The required scopes that the key lacks, if it is otherwise valid.
    pub missing_scopes: Vec<String>,
    /// Bitting's answer about the key, if there is one.
    pub key: Option<Arc<Answer>>,
}

impl Verdict {
    fn new(answer: Arc<Answer>, scopes: &[&str]) -> Self {
        let missing_scopes = if answer.valid { missing_scopes(answer.scopes.as_deref(), scopes) } else { Vec::new() };
        let is_missing = !missing_scopes.is_empty();
        let code = if is_missing { "insufficient_scope" } else { &answer.code };
        Self {
            valid: answer.valid && !is_missing,
            status: status(code),
            code: code.to_owned(),
            missing_scopes,
            key: Some(answer),
        }
    }

    fn refused(code: &str) -> Self {
        Self { valid: false, code: code.to_owned(), status: status(code), missing_scopes: Vec::new(), key: None }
    }
}

fn status(code: &str) -> u16 {
    match code {
        "valid" => 200,
        "conditions_not_met" | "insufficient_scope" | "organization_suspended" => 403,
        "unavailable" => 503,
        _ => 401,
    }
}

/// A verifier of keys. One is for all threads of a process; its clones are the same one.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verifier").field("url", &self.0.url).finish_non_exhaustive()
    }
}

type About = (Name, Option<Client>);
type Asked = Result<Entry, String>;

struct Inner {
    url: String,
    authorization: String,
    transport: Box<dyn Transport>,
    on_error: Box<dyn Fn(&str) + Send + Sync>,
    state: Mutex<State>,
}

struct State {
    copies: Copies,
    clock: Box<dyn FnMut() -> f64 + Send>,
    last: f64,
    polled_at: f64,
    /// The questions that are under way, each with those who wait for its answer.
    asking: HashMap<About, Vec<Sender<Asked>>>,
}

impl State {
    /// The time by the clock, and later than each time before, so that it orders what happens within one tick.
    fn now(&mut self) -> f64 {
        self.last = (self.clock)().max(self.last + 0.0001);
        self.last
    }
}

/// A question that is under way. Whatever becomes of it, nobody waits for it any longer when it is dropped.
struct Asking<'a> {
    inner: &'a Inner,
    about: About,
    asked: Asked,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        for waiting in state.asking.remove(&self.about).unwrap_or_default() {
            // Who has gone away needs no answer.
            let _ = waiting.send(self.asked.clone());
        }
    }
}

impl Verifier {
    /// A verifier that asks Bitting at this address, with a key that has the scopes of the bundle `verifier`:
    /// `api-keys:verify` and `feed:read`.
    pub fn new(url: &str, key: &str, transport: impl Transport, options: Options) -> Self {
        Self(Arc::new(Inner {
            url: url.trim_end_matches('/').to_owned(),
            authorization: format!("Bearer {key}"),
            transport: Box::new(transport),
            on_error: options.on_error,
            state: Mutex::new(State {
                copies: Copies::new(options.max_keys, options.max_staleness_ms),
                clock: options.clock,
                last: f64::NEG_INFINITY,
                polled_at: f64::NEG_INFINITY,
                asking: HashMap::new(),
            }),
        }))
    }

    /// The number of keys in memory.
    pub fn keys(&self) -> usize {
        self.0.state().copies.len()
    }

    /// The number of callers that wait for the answer to another caller's question.
    pub fn waiting(&self) -> usize {
        self.0.state().asking.values().map(Vec::len).sum()
    }

    /// Verifies a key that must hold these scopes. An empty text is no key.
    pub fn verify(&self, key: &str, scopes: &[&str]) -> Verdict {
        self.verify_for(None, key, scopes)
    }

    /// Verifies a key that this client presents. Keys with conditions need it.
    pub fn verify_for(&self, client: Option<&Client>, key: &str, scopes: &[&str]) -> Verdict {
        if key.is_empty() {
            return Verdict::refused("missing_api_key");
        }
        if !is_well_formed(key) {
            return Verdict::refused("malformed_api_key");
        }
        let name = Name::from(Sha256::digest(key));
        let since = self.0.state().now();
        for attempt in 0..ATTEMPTS {
            if let Some(answer) = self.0.judge(&name, since) {
                self.after(name, key);
                return Verdict::new(answer, scopes);
            }
            match self.0.ask((name, client.cloned()), key, attempt > 0) {
                Ok(asked) if asked.answer.conditional => {
                    let mut state = self.0.state();
                    let now = state.now();
                    if let Some(answer) = state.copies.judge_entry(&asked, now, since) {
                        return Verdict::new(answer, scopes);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    (self.0.on_error)(&error);
                    return Verdict::refused("unavailable");
                }
            }
        }
        self.0
            .judge(&name, since)
            .map_or_else(|| Verdict::refused("unavailable"), |answer| Verdict::new(answer, scopes))
    }

    /// Does what is done behind an answer, for later ones. Its failure is no failure of this one.
    fn after(&self, name: Name, key: &str) {
        let (is_due, poll) = {
            let mut state = self.0.state();
            let now = state.now();
            (state.copies.note_use(&name, now), state.poll())
        };
        if let Some((after, sent_at)) = poll {
            let inner = Arc::clone(&self.0);
            self.0.spawn(move || inner.listen(after, sent_at));
        }
        if is_due {
            let (inner, key) = (Arc::clone(&self.0), key.to_owned());
            self.0.spawn(move || inner.ask((name, None), &key, false).map(|_| ()));
        }
    }
}

impl State {
    /// The `after` and the instant of a question about the feed, if it is time for one. No question is waited for longer
    /// than until the next one is due.
    fn poll(&mut self) -> Option<(Option<i64>, f64)> {
        let (sent_at, bound_ms) = (self.now(), self.copies.bound_ms());
        let is_young = self.copies.feed_age_ms(sent_at) <= bound_ms / 2.0;
        if is_young || sent_at - self.polled_at < bound_ms / 4.0 || bound_ms <= 0.0 {
            return None;
        }
        self.polled_at = sent_at;
        Some((self.copies.after(), sent_at))
    }
}

impl Inner {
    /// The state. A panic in a clock of the caller's leaves it as it was.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(self: &Arc<Self>, work: impl FnOnce() -> Result<(), String> + Send + 'static) {
        let inner = Arc::clone(self);
        self.transport.spawn(Box::new(move || {
            if let Err(error) = work() {
                (inner.on_error)(&error);
            }
        }));
    }

    fn judge(&self, name: &Name, since: f64) -> Option<Arc<Answer>> {
        let mut state = self.state();
        let now = state.now();
        state.copies.judge(name, now, since)
    }

    /// Asks about a key. Callers that come meanwhile for the same client wait for the same answer.
    fn ask(&self, about: About, key: &str, again: bool) -> Asked {
        let (sender, answer) = channel();
        {
            let mut state = self.state();
            if let Some(waiting) = state.asking.get_mut(&about) {
                waiting.push(sender);
                drop(state);
                return answer.recv().unwrap_or_else(|error| Err(error.to_string()));
            }
            state.asking.insert(about.clone(), Vec::new());
        }
        let mut asking = Asking { inner: self, about, asked: Err("the question was not finished".to_owned()) };
        asking.asked = self.ask_once(&asking.about, key, again);
        asking.asked.clone()
    }

    fn ask_once(&self, (name, client): &About, key: &str, again: bool) -> Asked {
        let mut body = json!({ "key": key });
        let mut add = |field: &str, value: Value| {
            body.as_object_mut().map(|body| body.insert(field.to_owned(), value));
        };
        if let Some(client) = client {
            add("client", json!(client));
        }
        let sent_at = {
            let mut state = self.state();
            match state.copies.contradiction(name) {
                Some(newer) => add("at_least", json!(newer)),
                None if again => add("freshness", json!("strong")),
                None => {}
            }
            state.now()
        };
        let response = self.call("/v1/keys/verify", Some(body.to_string()))?;
        let entry = Entry::new(Answer::read(&response.good("/v1/keys/verify")?)?, sent_at);
        self.state().copies.keep(*name, entry.clone());
        Ok(entry)
    }

    fn listen(&self, after: Option<i64>, sent_at: f64) -> Result<(), String> {
        let path = after.map_or_else(|| "/v1/feed".to_owned(), |after| format!("/v1/feed?after={after}"));
        let response = self.call(&path, None)?;
        if matches!(response.status, 401 | 403) {
            self.state().polled_at = sent_at + REFUSED_FEED_MS;
        }
        let news: News = serde_json::from_str(&response.good(&path)?).map_err(|error| error.to_string())?;
        self.state().copies.hear(news, after, sent_at);
        Ok(())
    }

    fn call(&self, path: &str, body: Option<String>) -> Result<Response, String> {
        let url = format!("{}{path}", self.url);
        self.transport.ask(Question { url, authorization: self.authorization.clone(), body })
    }
}

impl Response {
    fn good(self, path: &str) -> Result<String, String> {
        if self.status == 200 {
            return Ok(self.text);
        }
        let start: String = self.text.chars().take(300).collect();
        Err(format!("{path} was answered with {}: {start}", self.status))
    }
}

/// The key in the header `Authorization`.
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, key) = authorization.split_once(' ')?;
    let key = key.trim_matches(' ');
    let is_bearer = scheme.eq_ignore_ascii_case("bearer") && !key.is_empty() && !key.contains(char::is_whitespace);
    is_bearer.then_some(key)
}
