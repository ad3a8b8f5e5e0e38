//! The calls that an answer waits for, and which of them it waits for one after the other.
//!
//! Every call of the outside world takes one round. Calls that were started together are over together, so the number
//! of rounds is the number of times that a caller waits.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bitting::entry;
use bitting_http::message::Request;
use bitting_keys::{
    app::{App, holder::Holder},
    domain::{feed::HeldNews, id::Seq, time::UnixMillis},
    ports::{
        Cache, Clock, Database, DatabaseError, FeedHolder, Incoming, LocalFuture, Nearest, Outgoing, Row, Statement,
        Upstream, UpstreamError,
    },
};
use serde_json::{Value, json};

use crate::support::{Later, World, request, sqlite::Sqlite};

/// The catalogue, with a route of the operator's.
fn catalogue() -> String {
    let mut catalogue: Value = serde_json::from_str(include_str!("../../catalogue.json")).unwrap();
    catalogue["routes"] = json!([{ "path": "/orders/:id", "methods": ["GET"], "scope": "datasets:read", "upstream": "https://orders.example.com" }]);
    catalogue.to_string()
}

/// The rounds of one answer, and the calls that began in each.
#[derive(Default)]
struct Rounds {
    number: Cell<usize>,
    calls: RefCell<Vec<(usize, &'static str)>>,
}

impl Rounds {
    /// One call, which is over in the next round.
    async fn take(&self, what: &'static str) {
        let began = self.number.get();
        self.calls.borrow_mut().push((began, what));
        poll_fn(|_| if self.number.get() > began { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Runs an answer to its end, and tells the calls of each round, in the order of the alphabet.
    fn run<T>(&self, answer: impl Future<Output = T>) -> (T, Vec<Vec<&'static str>>) {
        self.number.set(0);
        self.calls.borrow_mut().clear();
        let mut answer = pin!(answer);
        let mut context = Context::from_waker(Waker::noop());
        let result = loop {
            if let Poll::Ready(result) = answer.as_mut().poll(&mut context) {
                break result;
            }
            self.number.set(self.number.get() + 1);
            assert!(self.number.get() < 50, "the answer never comes: {:?}", self.calls.borrow());
        };
        let mut rounds = vec![Vec::new(); self.number.get()];
        for (round, what) in self.calls.borrow().iter() {
            rounds[*round].push(*what);
        }
        for round in &mut rounds {
            round.sort_unstable();
        }
        (result, rounds)
    }
}

/// The outside world of one isolate, each of whose calls takes a round.
struct Far {
    rounds: Rc<Rounds>,
    database: Rc<Sqlite>,
    near: App,
    holder: Holder,
    holder_is_slow: Cell<bool>,
}

impl Database for Far {
    fn batch(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Vec<Vec<Row>>, DatabaseError>> {
        Box::pin(async move {
            self.rounds.take("d1").await;
            self.database.run(&statements)
        })
    }

    fn batch_nearest(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Nearest, DatabaseError>> {
        Box::pin(async move {
            self.rounds.take("replica").await;
            self.database.batch_nearest(statements).await
        })
    }

    fn size_bytes(&self) -> Option<i64> {
        None
    }
}

impl FeedHolder for Far {
    fn news(&self, since: Seq) -> LocalFuture<'_, Result<HeldNews, String>> {
        Box::pin(async move {
            self.rounds.take("holder").await;
            if self.holder_is_slow.get() {
                std::future::pending::<()>().await;
            }
            self.holder.news(since).await.map_err(|error| format!("{error:?}"))
        })
    }
}

impl Cache for Far {
    fn get(&self, key: String) -> LocalFuture<'_, Result<Option<String>, String>> {
        Box::pin(async move {
            self.rounds.take("kv").await;
            self.near.cache.get(key).await
        })
    }

    fn put(&self, key: String, value: String, ttl_seconds: u64) -> LocalFuture<'_, Result<(), String>> {
        self.near.cache.put(key, value, ttl_seconds)
    }
}

impl Clock for Far {
    fn now(&self) -> UnixMillis {
        self.near.clock.now()
    }

    /// Patience lasts longer than any call, but for a holder that never answers.
    fn sleep(&self, _ms: u32) -> LocalFuture<'_, ()> {
        Box::pin(async {
            while !self.holder_is_slow.get() || self.rounds.number.get() < 2 {
                let began = self.rounds.number.get();
                poll_fn(|_| if self.rounds.number.get() > began { Poll::Ready(()) } else { Poll::Pending }).await;
            }
        })
    }
}

impl Upstream for Far {
    fn send(&self, _: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>> {
        Box::pin(async {
            self.rounds.take("upstream").await;
            Ok(Incoming { status: 200, headers: Vec::new(), body: None })
        })
    }
}

/// A deployment with a caller and another key.
struct Scene {
    world: World,
    owner: String,
    key: String,
    rounds: Rc<Rounds>,
}

impl Scene {
    fn new(replicas: bool) -> Self {
        let replicas = if replicas { "1" } else { "0" };
        let world = World::with_config(&[("CATALOGUE", &catalogue()), ("READ_REPLICAS", replicas)]);
        let owner = world.bootstrap();
        let (_, key) = world.create(&owner, "key", &["datasets:read"]);
        Self { world, owner, key, rounds: Rc::default() }
    }

    /// A new isolate, far from everything.
    fn isolate(&self, with_holder: bool) -> (App, Rc<Far>) {
        let near = self.world.another_isolate().app;
        let holder = Holder::new(self.world.another_isolate().app);
        let (rounds, database) = (Rc::clone(&self.rounds), Rc::clone(&self.world.database));
        let far = Rc::new(Far { rounds, database, near: near.clone(), holder, holder_is_slow: Cell::default() });
        let app = App {
            database: far.clone(),
            cache: far.clone(),
            clock: far.clone(),
            upstream: far.clone(),
            // What happens behind an answer is not waited for, and never happens here.
            background: Rc::new(Later::default()),
            holder: with_holder.then(|| far.clone() as Rc<dyn FeedHolder>),
            ..near
        };
        (app, far)
    }

    /// The rounds of one request, and the body of its answer.
    fn ask(&self, app: &App, request: &Request) -> (Vec<Vec<&'static str>>, Value) {
        let (response, rounds) = self.rounds.run(entry::handle(app, request));
        assert_eq!(response.status, 200, "{} {}", request.method, request.path);
        (rounds, serde_json::from_slice(&crate::support::read(response.body)).unwrap_or_default())
    }

    /// The rounds of a verification, and where it says that it came from and what it waited for.
    fn verify(&self, app: &App) -> (Vec<Vec<&'static str>>, Value) {
        self.verify_with(app, &json!({ "key": self.key }))
    }

    fn verify_with(&self, app: &App, body: &Value) -> (Vec<Vec<&'static str>>, Value) {
        let (rounds, answer) = self.ask(app, &request("POST", "/v1/keys/verify", &self.owner, body));
        assert_eq!(answer["valid"], true);
        (rounds, json!([answer["source"], answer["waited_for"]]))
    }

    /// Lets KV hold both keys.
    fn fill_cache(&self) {
        for caller in [&self.owner, &self.key] {
            let warm = self.world.create(&self.owner, "warm", &["api-keys:verify"]).1;
            let isolate = self.world.another_isolate();
            // Under a fresh feed, what KV lacks is written to it.
            isolate.verify(&warm, &warm, &[]);
            isolate.verify(&warm, caller, &[]);
        }
        self.world.settle();
    }
}

/// The calls of each round of an answer.
type Known = &'static [&'static [&'static str]];

fn rounds(of: &[&[&'static str]]) -> Vec<Vec<&'static str>> {
    of.iter().map(|round| round.to_vec()).collect()
}

#[test]
fn verification_by_a_new_isolate_waits_once_for_two_keys_and_the_feed() {
    let scene = Scene::new(false);
    let (app, _) = scene.isolate(false);
    assert_eq!(scene.verify(&app), (rounds(&[&["d1"]]), json!(["d1", "d1"])));
    assert_eq!(scene.verify(&app), (rounds(&[]), json!(["memory", null])));
    let strong = json!({ "key": scene.key, "freshness": "strong" });
    assert_eq!(scene.verify_with(&app, &strong), (rounds(&[&["d1"]]), json!(["d1", "d1"])));
    let (app, _) = scene.isolate(false);
    assert_eq!(scene.verify_with(&app, &strong), (rounds(&[&["d1"]]), json!(["d1", "d1"])));
}

#[test]
fn idle_isolate_says_that_it_waited() {
    let scene = Scene::new(false);
    let (app, _) = scene.isolate(false);
    scene.verify(&app);
    scene.world.advance_ms(6_000);
    assert_eq!(scene.verify(&app), (rounds(&[&["d1"]]), json!(["d1", "d1"])));
    let (app, far) = scene.isolate(true);
    scene.verify(&app);
    scene.world.advance_ms(6_000);
    assert_eq!(scene.verify(&app), (rounds(&[&["holder"]]), json!(["memory", "holder"])));
    // A caller may have to be looked up although the other key is known: the answer has waited all the same.
    let (_, key) = scene.world.create(&scene.owner, "verifier", &["api-keys:verify"]);
    let (waited, answer) = scene.ask(&app, &request("POST", "/v1/keys/verify", &key, &json!({ "key": scene.key })));
    assert_eq!(
        (waited, &answer["source"], &answer["waited_for"]),
        (rounds(&[&["kv"], &["d1"]]), &json!("memory"), &json!("d1"))
    );
    // A holder that does not answer costs its patience and no more.
    scene.world.advance_ms(6_000);
    far.holder_is_slow.set(true);
    assert_eq!(scene.verify(&app).0.last(), Some(&vec!["d1"]));
}

#[test]
fn kv_and_the_holder_are_asked_at_the_same_time() {
    let scene = Scene::new(false);
    let (app, _) = scene.isolate(true);
    assert_eq!(scene.verify(&app), (rounds(&[&["holder", "kv", "kv"], &["d1"]]), json!(["d1", "d1"])));
    scene.fill_cache();
    let (app, _) = scene.isolate(true);
    assert_eq!(scene.verify(&app), (rounds(&[&["holder", "kv", "kv"]]), json!(["kv", "holder"])));
    assert_eq!(scene.verify(&app), (rounds(&[]), json!(["memory", null])));
}

#[test]
fn replica_answers_under_a_fresh_feed_alone_and_never_that_there_is_no_key() {
    let scene = Scene::new(true);
    let replica = Sqlite::new(&scene.world.database.image(), crate::support::Instant::default());
    *scene.world.database.replica.borrow_mut() = Some(Rc::new(replica));
    let (app, _) = scene.isolate(true);
    assert_eq!(scene.verify(&app), (rounds(&[&["holder", "kv", "kv"], &["replica"]]), json!(["replica", "replica"])));
    let (app, _) = scene.isolate(false);
    assert_eq!(scene.verify(&app), (rounds(&[&["d1"]]), json!(["d1", "d1"])), "without a feed the primary is asked");
    // A key that the replica has not heard of.
    let (_, late) = scene.world.create(&scene.owner, "late", &[]);
    let (waited, answer) = scene.verify_with(&app, &json!({ "key": late }));
    assert_eq!((waited, answer), (rounds(&[&["kv"], &["replica"], &["d1"]]), json!(["d1", "d1"])));
    // A key that has changed since.
    let (app, _) = scene.isolate(true);
    let id = scene.world.get("/v1/keys/self", &scene.key).text("id");
    scene.world.change(&scene.owner, &id, &json!({ "name": "renamed" }));
    scene.world.cache.values.borrow_mut().clear();
    assert_eq!(scene.verify(&app).0, rounds(&[&["holder", "kv", "kv"], &["replica"], &["d1"]]));
}

#[test]
fn replication_that_is_off_costs_nothing() {
    let scene = Scene::new(true);
    let (app, _) = scene.isolate(true);
    // The primary answers in the replica's place, and its word is final.
    assert_eq!(scene.verify(&app), (rounds(&[&["holder", "kv", "kv"], &["replica"]]), json!(["d1", "d1"])));
    let unknown = json!({ "key": "bit_pat_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1t0B34" });
    let (waited, answer) = scene.ask(&app, &request("POST", "/v1/keys/verify", &scene.owner, &unknown));
    assert_eq!((waited, &answer["code"]), (rounds(&[&["kv"], &["replica"]]), &json!("invalid_api_key")));
}

#[test]
fn every_kind_of_path_waits_as_often_as_is_known() {
    let scene = Scene::new(false);
    scene.fill_cache();
    let verify = json!({ "key": scene.key });
    // Each path: by a new isolate, again at once, and after six idle seconds; without a holder and with one.
    let all: [(&str, &str, Value, [Known; 5]); 6] = [
        ("POST", "/v1/keys/verify", verify, [&[&["d1"]], &[], &[&["d1"]], &[&["holder", "kv", "kv"]], &[&["holder"]]]),
        (
            "GET",
            "/orders/1",
            Value::Null,
            [
                &[&["d1"], &["upstream"]],
                &[&["upstream"]],
                &[&["d1"], &["upstream"]],
                &[&["holder", "kv"], &["upstream"]],
                &[&["holder"], &["upstream"]],
            ],
        ),
        ("GET", "/v1/authorize", Value::Null, [&[&["d1"]], &[], &[&["d1"]], &[&["holder", "kv"]], &[&["holder"]]]),
        ("GET", "/v1/scopes", Value::Null, [&[&["d1"]], &[], &[&["d1"]], &[&["holder", "kv"]], &[&["holder"]]]),
        (
            "GET",
            "/v1/keys/self",
            Value::Null,
            [
                &[&["d1"], &["d1"]],
                &[&["d1"]],
                &[&["d1"], &["d1"]],
                &[&["holder", "kv"], &["d1"]],
                &[&["holder"], &["d1"]],
            ],
        ),
        (
            "GET",
            "/api/datasets",
            Value::Null,
            [
                &[&["d1"], &["d1"]],
                &[&["d1"]],
                &[&["d1"], &["d1"]],
                &[&["holder", "kv"], &["d1"]],
                &[&["holder"], &["d1"]],
            ],
        ),
    ];
    for (method, path, body, expected) in all {
        let request = request(method, path, &scene.owner, &body);
        let mut seen = Vec::new();
        for with_holder in [false, true] {
            let (app, _) = scene.isolate(with_holder);
            let cold = scene.ask(&app, &request).0;
            let warm = scene.ask(&app, &request).0;
            scene.world.advance_ms(6_000);
            let idle = scene.ask(&app, &request).0;
            seen.extend(if with_holder { vec![cold, idle] } else { vec![cold, warm, idle] });
        }
        assert_eq!(seen, expected.map(rounds), "{method} {path}");
    }
}
