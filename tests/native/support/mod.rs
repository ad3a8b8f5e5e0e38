//! A world for the core to live in: SQLite for D1, a map for KV, a clock and randomness of our own.

pub(crate) mod clients;
pub(crate) mod examples;
pub(crate) mod handlers;
pub(crate) mod model;
pub(crate) mod problem;
pub(crate) mod reference;
pub(crate) mod routes;
pub(crate) mod sqlite;
#[path = "../../../crates/api/build/tools.rs"]
pub(crate) mod tools;

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::{BTreeSet, HashMap},
    rc::Rc,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use bitting::entry;
use bitting_http::message::{Body, Content, Request};
use bitting_keys::{
    app::{App, config::Config, extensions::Extensions, sweep::Swept},
    domain::{
        client::Client,
        decision::Use,
        derived_token::SigningKey,
        key_text::KeyText,
        public_key::{Material, PublicKey},
        scope::Scope,
        time::UnixMillis,
        token::InvitationToken,
    },
    ports::{
        Background, Cache, Clock, Entropy, Incoming, Limit, Limiter, LocalFuture, Outgoing, Signatures, Upstream,
        UpstreamError,
    },
};
use futures::{TryStreamExt, executor::block_on};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::sqlite::{Meddled, Sqlite};

pub(crate) const OPERATOR_SECRET: &str = "operator-secret-of-the-tests-0123456789";
/// The instant at which every test starts: 2027-01-15T08:00:00Z.
pub(crate) const START: UnixMillis = UnixMillis(1_800_000_000_000);

/// An instant that a test sets and that SQLite's functions can read, too.
#[derive(Clone, Default)]
pub(crate) struct Instant(Arc<AtomicI64>);

impl Instant {
    pub(crate) fn get(&self) -> UnixMillis {
        UnixMillis(self.0.load(Relaxed))
    }

    pub(crate) fn set(&self, at: UnixMillis) {
        self.0.store(at.0, Relaxed);
    }
}

/// A clock that moves when a test says so, or somebody waits.
pub(crate) struct ManualClock(pub(crate) Instant);

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        self.0.get()
    }

    fn sleep(&self, ms: u32) -> LocalFuture<'_, ()> {
        Box::pin(async move { self.0.set(self.0.get().plus_ms(ms.into())) })
    }
}

/// Randomness that is the same in every run: SplitMix64.
pub(crate) struct SeededEntropy(pub(crate) Cell<u64>);

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        for byte in bytes {
            let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.0.set(state);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z ^ (z >> 31)).to_le_bytes()[0];
        }
        Ok(())
    }
}

/// A KV that works, until a test says otherwise.
#[derive(Default)]
pub(crate) struct MapCache {
    pub(crate) values: RefCell<HashMap<String, String>>,
    pub(crate) failing: Cell<bool>,
    pub(crate) gets: Cell<usize>,
    pub(crate) puts: Cell<usize>,
}

impl Cache for MapCache {
    fn get(&self, key: String) -> LocalFuture<'_, Result<Option<String>, String>> {
        self.gets.set(self.gets.get() + 1);
        Box::pin(async move {
            if self.failing.get() { Err("KV is down".to_owned()) } else { Ok(self.values.borrow().get(&key).cloned()) }
        })
    }

    fn put(&self, key: String, value: String, _ttl_seconds: u64) -> LocalFuture<'_, Result<(), String>> {
        self.puts.set(self.puts.get() + 1);
        Box::pin(async move {
            if self.failing.get() {
                return Err("KV is down".to_owned());
            }
            self.values.borrow_mut().insert(key, value);
            Ok(())
        })
    }
}

/// Work behind the answers, done when a test lets it.
#[derive(Default)]
pub(crate) struct Later(RefCell<Vec<LocalFuture<'static, ()>>>);

impl Background for Later {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        self.0.borrow_mut().push(work);
    }
}

impl Later {
    /// Cuts the work off, as the platform may.
    pub(crate) fn drop_all(&self) {
        self.0.borrow_mut().clear();
    }
}

/// No servers behind any route.
pub(crate) struct NoUpstream;

impl Upstream for NoUpstream {
    fn send(&self, _: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>> {
        Box::pin(async { Err(UpstreamError::Failed("there is no such server".to_owned())) })
    }
}

/// Admits so many of one kind, and all of every other. Keeps what was counted.
#[derive(Default)]
pub(crate) struct Limits {
    pub(crate) limited: Option<(Limit, usize)>,
    pub(crate) counted: RefCell<Vec<(Limit, String)>>,
}

impl Limits {
    pub(crate) fn new(limit: Limit, most: usize) -> Rc<Self> {
        Rc::new(Self { limited: Some((limit, most)), counted: RefCell::default() })
    }
}

impl Limiter for Limits {
    fn admits(&self, limit: Limit, of: String) -> LocalFuture<'_, bool> {
        let one = (limit, of);
        let before = self.counted.borrow().iter().filter(|counted| **counted == one).count();
        self.counted.borrow_mut().push(one);
        let admitted = self.limited.is_none_or(|(limited, most)| limited != limit || before < most);
        Box::pin(async move { admitted })
    }
}

/// Knows what its keys have signed: SHA-256 of the key and the text is enough where nobody is to be deceived.
pub(crate) struct Seal;

impl Seal {
    pub(crate) fn sign(key: &str, signed: &[u8]) -> Vec<u8> {
        Sha256::new().chain_update(key).chain_update(signed).finalize().to_vec()
    }
}

impl Signatures for Seal {
    fn verify<'a>(
        &'a self,
        key: &'a PublicKey,
        signed: &'a [u8],
        signature: &'a [u8],
    ) -> LocalFuture<'a, Result<bool, String>> {
        let good = match &key.material {
            Material::Rsa { n, .. } => Self::sign(n, signed) == signature,
            // The first of the two numbers.
            Material::P256 { spki } => {
                signature.get(..32).is_some_and(|first| Self::sign(&hex::encode(spki), signed) == first)
            }
            Material::Ed25519 { raw } => Self::sign(&hex::encode(raw), signed) == signature,
        };
        Box::pin(async move { Ok(good) })
    }

    fn public_key<'a>(&'a self, key: &'a SigningKey) -> LocalFuture<'a, Result<String, String>> {
        Box::pin(async move { Ok(hex::encode(Self::sign("public", key.expose()))) })
    }

    fn sign<'a>(&'a self, key: &'a SigningKey, message: &'a [u8]) -> LocalFuture<'a, Result<Vec<u8>, String>> {
        let public = hex::encode(Self::sign("public", key.expose()));
        Box::pin(async move { Ok(Self::sign(&public, message)) })
    }
}

/// One isolate over one database and one KV.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) database: Rc<Sqlite>,
    pub(crate) cache: Rc<MapCache>,
    pub(crate) clock: Rc<ManualClock>,
    pub(crate) later: Rc<Later>,
    entropy: Rc<SeededEntropy>,
    others: Rc<Cell<u32>>,
}

/// A world before anything has happened.
static EMPTY: LazyLock<Snapshot> =
    LazyLock::new(|| Snapshot { database: sqlite::empty(), cache: HashMap::new(), at: START, entropy: 1, others: 0 });

/// All of a world but what its isolates have in memory, so that many tests can start where one has come to.
pub(crate) struct Snapshot {
    database: Vec<u8>,
    cache: HashMap<String, String>,
    at: UnixMillis,
    entropy: u64,
    others: u32,
}

/// Calls of the outside world: batches of the database, reads of KV, writes of KV. Batches that write
/// down uses are counted apart, in [`Sqlite::use_writes`], because no answer waits for them.
pub(crate) type Io = (usize, usize, usize);

/// An answer, read.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// What was asked, for the messages of failures.
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(Cow<'static, str>, String)>,
    pub(crate) json: Value,
    /// The envelope of errors that the request's surface has.
    pub(crate) envelope: Envelope,
}

/// The shapes of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// RFC 9457, on the native surface and Braintrust's.
    Problem,
    /// Confident AI's.
    Confident,
    /// TruLayer's, which has two.
    Trulayer,
    /// That of JSON-RPC.
    Mcp,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The stable code of a refusal.
    pub(crate) fn code(&self) -> &str {
        let code = match self.envelope {
            Envelope::Confident => &self.json["code"],
            Envelope::Mcp => &self.json["error"]["data"]["code"],
            Envelope::Trulayer if self.json["error"].is_string() => &self.json["error"],
            Envelope::Problem | Envelope::Trulayer => &self.json["error"]["code"],
        };
        code.as_str().unwrap_or("(none)")
    }

    /// The sentence of a refusal.
    pub(crate) fn detail(&self) -> String {
        match self.envelope {
            Envelope::Problem => self.text("detail"),
            Envelope::Confident => self.text("error"),
            Envelope::Mcp => self.json["error"]["message"].as_str().unwrap().to_owned(),
            Envelope::Trulayer => {
                let nested = self.json["error"]["message"].as_str();
                nested.map_or_else(|| self.text("message"), str::to_owned)
            }
        }
    }

    /// The field that a refusal is about; the surfaces of others name it in the sentence alone.
    pub(crate) fn field(&self) -> String {
        if self.envelope != Envelope::Problem {
            return self
                .detail()
                .strip_prefix('`')
                .and_then(|rest| rest.split('`').next())
                .unwrap_or_default()
                .to_owned();
        }
        self.json["error"]["field"].as_str().unwrap_or_default().to_owned()
    }

    /// A text of the answer's JSON.
    pub(crate) fn text(&self, field: &str) -> String {
        self.json[field].as_str().unwrap_or_else(|| panic!("no text `{field}` in {}", self.json)).to_owned()
    }
}

impl World {
    /// An empty world.
    pub(crate) fn new() -> Self {
        Self::with_config(&[])
    }

    /// An empty world, configured by these variables beside the operator's secret.
    pub(crate) fn with_config(variables: &[(&str, &str)]) -> Self {
        Self::of(&EMPTY, variables)
    }

    /// A new isolate of the world of which the snapshot was taken.
    pub(crate) fn restored(snapshot: &Snapshot) -> Self {
        Self::of(snapshot, &[])
    }

    /// What a new isolate of this world finds.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.settle();
        Snapshot {
            database: self.database.image(),
            cache: self.cache.values.borrow().clone(),
            at: self.clock.0.get(),
            entropy: self.entropy.0.get(),
            others: self.others.get(),
        }
    }

    fn of(snapshot: &Snapshot, variables: &[(&str, &str)]) -> Self {
        let instant = Instant(Arc::new(AtomicI64::new(snapshot.at.0)));
        let database = Rc::new(Sqlite::new(&snapshot.database, instant.clone()));
        let values = RefCell::new(snapshot.cache.clone());
        let cache = Rc::new(MapCache { values, ..MapCache::default() });
        let clock = Rc::new(ManualClock(instant));
        let entropy = Rc::new(SeededEntropy(Cell::new(snapshot.entropy)));
        let others = Rc::new(Cell::new(snapshot.others));
        let later = Rc::new(Later::default());
        let app = App {
            database: database.clone(),
            holder: None,
            cache: cache.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            background: later.clone(),
            upstream: Rc::new(NoUpstream),
            limiter: Rc::new(Limits::default()),
            signatures: Rc::new(Seal),
            config: Rc::new(config(variables)),
            isolate: Rc::default(),
            extensions: extensions(variables),
        };
        Self { app, database, cache, clock, later, entropy, others }
    }

    /// Deploys this world anew with another configuration.
    pub(crate) fn configure(&mut self, variables: &[(&str, &str)]) {
        self.app.config = Rc::new(config(variables));
        self.app.extensions = extensions(variables);
    }

    /// Another isolate of the same deployment: the same database, KV and clock, nothing in memory.
    pub(crate) fn another_isolate(&self) -> Self {
        let app = App { isolate: Rc::default(), ..self.app.clone() };
        Self {
            app,
            database: self.database.clone(),
            cache: self.cache.clone(),
            clock: self.clock.clone(),
            later: self.later.clone(),
            entropy: self.entropy.clone(),
            others: self.others.clone(),
        }
    }

    /// The same deployment after its configuration was changed: new isolates, the same data.
    pub(crate) fn reconfigured(&self, variables: &[(&str, &str)]) -> Self {
        let mut world = self.another_isolate();
        world.configure(variables);
        world
    }

    /// Lets `sql` run after so many more batches of this isolate, right before the next one.
    pub(crate) fn meddle(&mut self, pass: usize, sql: &str) {
        let sql = sql.to_owned();
        self.before_batches(move |database, number| {
            if number == pass {
                database.execute(&sql);
            }
        });
    }

    /// Lets something happen before each batch of this isolate; the first has the number 0.
    pub(crate) fn before_batches(&mut self, before: impl Fn(&Sqlite, usize) + 'static) {
        self.app.database =
            Rc::new(Meddled { database: self.database.clone(), batches: Cell::new(0), before: Box::new(before) });
    }

    /// The steps that SQLite takes for `work`.
    pub(crate) fn steps(&self, work: impl FnOnce()) -> i64 {
        let before = self.database.steps.get();
        work();
        self.database.steps.get() - before
    }

    /// Puts this many keys into the database, copies of the one with this id but for their ids,
    /// digests and expiries, which follow each other by one millisecond each.
    pub(crate) fn copy_key(&self, id: &str, copies: usize, prefix: &str, expires_at: Option<i64>) {
        let expires_at = expires_at.map_or("NULL".to_owned(), |at| format!("{at} + i"));
        let columns = "organization_id, user_id, project_id, kind, pepper_version, stem, start, last4, name, scopes, role, metadata, \
                       created_at, created_by, updated_at";
        self.database.execute(&format!(
            "INSERT INTO keys (id, number, digest, expires_at, {columns})
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {copies})
             SELECT printf('{prefix}-0000-7000-8000-%012x', i), i + (SELECT max(number) FROM keys), '{prefix}' || i, {expires_at}, {columns}
             FROM n, keys WHERE keys.id = '{id}'"
        ));
    }

    pub(crate) fn advance_ms(&self, ms: i64) {
        self.clock.0.set(self.clock.0.get().plus_ms(ms));
    }

    /// Does the work that was left behind the answers.
    pub(crate) fn settle(&self) {
        loop {
            let work = std::mem::take(&mut *self.later.0.borrow_mut());
            if work.is_empty() {
                return;
            }
            work.into_iter().for_each(block_on);
        }
    }

    /// Sends a request as it stands.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        let response = block_on(entry::handle(&self.app, request));
        let body = read(response.body);
        let lines = response.headers.contains(&("Content-Type".into(), "application/x-ndjson".to_owned()));
        let json = match body.as_slice() {
            [] => Value::Null,
            _ if lines => body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(value).collect(),
            body if response
                .headers
                .iter()
                .any(|(name, value)| name == "Content-Type" && value.starts_with("text/")) =>
            {
                json!(String::from_utf8_lossy(body))
            }
            body => value(body),
        };
        Answer {
            request: format!("{} {}", request.method, request.path),
            status: response.status,
            headers: response.headers,
            json,
            envelope: envelope(&request.path),
        }
    }

    /// Sends a request with a key and a body.
    pub(crate) fn call(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        self.send(&request(method, path, key, body))
    }

    pub(crate) fn get(&self, path: &str, key: &str) -> Answer {
        self.call("GET", path, key, &Value::Null)
    }

    pub(crate) fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.call("POST", path, key, body)
    }

    /// Makes the operator's organization; gives its owner's key, which has full access. His link is not used.
    pub(crate) fn bootstrap(&self) -> String {
        let first = json!({ "organization": "Acme", "email": "owner@example.com", "key_name": "first" });
        let answer = self.post("/v1/bootstrap", OPERATOR_SECRET, &first);
        assert_eq!(answer.status, 201, "{}", answer.json);
        self.database.execute("DELETE FROM sign_in_links");
        answer.text("key")
    }

    /// Makes a key with these scopes; gives its id and its text.
    pub(crate) fn create(&self, by: &str, name: &str, scopes: &[&str]) -> (String, String) {
        let answer = self.post("/v1/keys", by, &json!({ "name": name, "scopes": scopes }));
        assert_eq!(answer.status, 201, "{}", answer.json);
        (answer.text("id"), answer.text("key"))
    }

    /// Makes a key from this body; gives its id and its text.
    pub(crate) fn create_from(&self, by: &str, body: &Value) -> (String, String) {
        let answer = self.post("/v1/keys", by, body);
        assert_eq!(answer.status, 201, "{}", answer.json);
        (answer.text("id"), answer.text("key"))
    }

    /// Changes a key and expects that to work.
    pub(crate) fn change(&self, by: &str, id: &str, body: &Value) -> Value {
        let answer = self.call("PATCH", &format!("/v1/keys/{id}"), by, body);
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json
    }

    /// Revokes a key and expects that to work.
    pub(crate) fn revoke(&self, by: &str, id: &str) {
        let answer = self.call("DELETE", &format!("/v1/keys/{id}"), by, &Value::Null);
        assert_eq!(answer.status, 200, "{}", answer.json);
    }

    /// Makes a project; gives its id. Its first key is of no use to the caller.
    pub(crate) fn project(&self, by: &str, name: &str) -> String {
        let answer = self.post("/v1/projects", by, &json!({ "name": name }));
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json["data"]["project"]["id"].as_str().unwrap().to_owned()
    }

    /// Makes an evaluation of `user_query` and, if it is there, `bot_response`; gives its id.
    pub(crate) fn evaluation(&self, by: &str, judge: &Value) -> String {
        let column = |name: &str, required: bool| json!({ "name": name, "type": "string", "required": required });
        let columns = [column("user_query", true), column("bot_response", false)];
        let answer = self.post("/api/evaluations", by, &json!({ "name": "Tone", "columns": columns, "judge": judge }));
        assert_eq!(answer.status, 201, "{}", answer.json);
        answer.text("public_id")
    }

    /// Makes and deploys an evaluation that passes those who ask why; gives the live evaluation's id and its key.
    pub(crate) fn live_evaluation(&self, by: &str) -> (String, String) {
        let judge = json!({ "type": "exact_match", "column": "user_query", "expected": "why" });
        self.deploy(by, &self.evaluation(by, &judge))
    }

    /// Deploys an evaluation; gives the live evaluation's id and its key.
    pub(crate) fn deploy(&self, by: &str, evaluation: &str) -> (String, String) {
        let answer = self.post("/api/live-evaluations", by, &json!({ "evaluation_id": evaluation }));
        assert_eq!(answer.status, 201, "{}", answer.json);
        (answer.text("public_id"), answer.text("api_key"))
    }

    /// Lets a live evaluation judge a query.
    pub(crate) fn judge(&self, by: &str, live: &str, query: &str) -> Answer {
        self.post(&format!("/api/eval/{live}"), by, &json!({ "inputs": { "user_query": query } }))
    }

    /// An id that nothing has yet.
    pub(crate) fn fresh_id(&self) -> String {
        self.others.set(self.others.get() + 1);
        format!("01900000-0000-7000-8000-{:012x}", self.others.get())
    }

    /// Another organization; gives its id.
    pub(crate) fn organization(&self, name: &str) -> String {
        let id = self.fresh_id();
        self.database.execute(&format!(
            "INSERT INTO organizations (id, name, created_at) VALUES ('{id}', '{name}', 0);
                 INSERT INTO usage (organization_id) VALUES ('{id}')"
        ));
        id
    }

    /// Another user of an organization; gives its id.
    pub(crate) fn user(&self, organization_id: &str, role: &str) -> String {
        let id = self.fresh_id();
        self.database.execute(&format!(
            "INSERT INTO users (id, email, created_at) VALUES ('{id}', '{id}@example.com', 0);
             INSERT INTO memberships (organization_id, user_id, role, created_at)
             VALUES ('{organization_id}', '{id}', '{role}', 0)"
        ));
        id
    }

    /// A personal key of a user, with these scopes (`None`: full access). No route makes keys for
    /// somebody else, so one is made by the owner and handed over in the database.
    pub(crate) fn key_of(
        &self,
        owner: &str,
        organization_id: &str,
        user_id: &str,
        role: &str,
        scopes: Option<&[&str]>,
    ) -> (String, String) {
        let (id, key) = self.create(owner, "handed over", scopes.unwrap_or(&[]));
        let scopes = if scopes.is_some() { "scopes" } else { "NULL" };
        self.database.execute(&format!(
            "UPDATE keys SET organization_id = '{organization_id}', user_id = '{user_id}', role = '{role}', \
             scopes = {scopes} WHERE id = '{id}'"
        ));
        (id, key)
    }

    /// A new user of the key's own organization, and a full-access key of his; gives the user's id,
    /// the key's id and its text.
    pub(crate) fn colleague(&self, owner: &str, role: &str) -> (String, String, String) {
        let organization_id = self.get("/v1/keys/self", owner).text("organization_id");
        let user_id = self.user(&organization_id, role);
        let (id, key) = self.key_of(owner, &organization_id, &user_id, role, None);
        (user_id, id, key)
    }

    /// The owner of another organization: the organization's id, the key's id and its text.
    pub(crate) fn stranger(&self, owner: &str) -> (String, String, String) {
        let organization_id = self.organization("Strangers");
        let user_id = self.user(&organization_id, "owner");
        let (id, key) = self.key_of(owner, &organization_id, &user_id, "owner", None);
        (organization_id, id, key)
    }

    /// What `work` gives, and the calls of the outside world that it took.
    pub(crate) fn counted<T>(&self, work: impl FnOnce() -> T) -> (T, Io) {
        let io = || (self.database.batches.get(), self.cache.gets.get(), self.cache.puts.get());
        let before = io();
        let result = work();
        let after = io();
        (result, (after.0 - before.0, after.1 - before.1, after.2 - before.2))
    }

    /// Asks whether a key is good for these scopes.
    pub(crate) fn verify(&self, by: &str, key: &str, scopes: &[&str]) -> Value {
        let answer = self.post("/v1/keys/verify", by, &json!({ "key": key, "scopes": scopes }));
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json
    }
}

/// A use of a key for these scopes, by a client of which nothing is known.
pub(crate) fn used(scopes: &[Scope], at: UnixMillis) -> Use<'_> {
    Use { scopes, client: Client::default(), at }
}

/// All bytes of an answer's body.
pub(crate) fn read(body: Content) -> Vec<u8> {
    match body {
        Content::Bytes(bytes) => bytes,
        Content::Stream(pieces) => block_on(pieces.try_concat()).unwrap(),
        Content::Unread(source) => block_on(source.pieces().try_concat()).unwrap(),
    }
}

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

/// The rows that a chore of a sweep changed.
pub(crate) trait Rows {
    fn rows(&self, chore: &str) -> usize;
}

impl Rows for Swept {
    fn rows(&self, chore: &str) -> usize {
        self.get(chore).copied().unwrap_or_default()
    }
}

/// These variables, and the operator's secret.
fn variable(variables: &[(&str, &str)], name: &str) -> Option<String> {
    let given = variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    given.or_else(|| match name {
        "OPERATOR_SECRET" => Some(OPERATOR_SECRET.to_owned()),
        "CATALOGUE" if !cfg!(feature = "evaluations") => Some(catalogue_of_this_build()),
        _ => None,
    })
}

/// The repository's catalogue with the surfaces that this build serves.
fn catalogue_of_this_build() -> String {
    let mut file: Value = serde_json::from_str(include_str!("../../../catalogue.json")).unwrap();
    file["surfaces"] = entry::SURFACES.iter().map(|surface| surface.as_str()).collect();
    file.to_string()
}

/// The configuration that these variables make.
fn config(variables: &[(&str, &str)]) -> Config {
    let config = Config::read(|name| variable(variables, name)).unwrap();
    entry::check(&config.catalogue).unwrap();
    config
}

/// The settings that these variables make.
fn extensions(variables: &[(&str, &str)]) -> Extensions {
    entry::extensions(|name| variable(variables, name)).unwrap()
}

/// The envelope of errors below a path.
pub(crate) fn envelope(path: &str) -> Envelope {
    let below = |mount: &&str| path == *mount || path.starts_with(&format!("{mount}/"));
    let confident = ["/confident", "/v1/organization", "/v1/projects", "/v2/organization", "/v2/projects"];
    let trulayer = ["/trulayer", "/v1/apikeys", "/v1/ingest", "/v1/feedback", "/v1/eval", "/v1/traces"];
    if confident.iter().any(&below) {
        Envelope::Confident
    } else if trulayer.iter().any(&below) {
        Envelope::Trulayer
    } else if below(&"/mcp") {
        Envelope::Mcp
    } else {
        Envelope::Problem
    }
}

/// A request with a key (none, if it is empty) and a body (none, if it is null).
pub(crate) fn request(method: &str, path: &str, key: &str, body: &Value) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let authorization = (!key.is_empty()).then(|| ("authorization", format!("Bearer {key}")));
    Request {
        method: method.to_owned(),
        origin: "https://keys.example.com".to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: authorization.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: Body::Bytes(if body.is_null() { Vec::new() } else { body.to_string().into_bytes() }),
    }
}

/// The secrets in an answer.
pub(crate) fn secrets(json: &Value) -> BTreeSet<String> {
    match json {
        Value::String(text) => {
            let secret = KeyText::parse(text).is_ok() || InvitationToken::parse(text).is_some();
            secret.then(|| text.clone()).into_iter().collect()
        }
        Value::Array(values) => values.iter().flat_map(secrets).collect(),
        Value::Object(values) => values.values().flat_map(secrets).collect(),
        _ => BTreeSet::new(),
    }
}
