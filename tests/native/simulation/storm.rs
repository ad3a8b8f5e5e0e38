//! A storm of new isolates: all places of the world start anew within a minute, on the real code and the real SQL.
//!
//! `BITTING_STORM=10000 cargo test storm -- --nocapture` tells the full one: 10,000 isolates in 300 places, 100,000 keys.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    env,
    fmt::Write,
    rc::{Rc, Weak},
};

use bitting_keys::{
    app::{App, config::Config, extensions::Extensions, holder::Holder, isolate::Isolate},
    domain::{
        decision::decide,
        feed::HeldNews,
        id::Seq,
        key_text::{Digest, KeyText},
        lookup::{Freshness, Lookup, Source},
        time::UnixMillis,
    },
    ports::{
        Background, Cache, Clock, Database, DatabaseError, Entropy, FeedHolder, LocalFuture, Nearest, Row, Statement,
    },
};
use futures::executor::LocalPool;

use super::time::Time;
use crate::support::{self, Limits, NoUpstream, START, Seal, SeededEntropy, sqlite::Sqlite};

const PLACES: usize = 300;
/// The time that a question to the primary takes from each region, there and back, in milliseconds.
const PRIMARY_MS: [i64; 9] = [10, 65, 90, 110, 120, 170, 190, 200, 220];
const HOLDER_MS: i64 = 20;
const KV_MS: i64 = 25;
/// The time within which all isolates start, and within which keys are verified, in milliseconds.
const START_MS: usize = 60_000;
const END_MS: i64 = 120_000;
/// The time between two verifications of an isolate, on average.
const PAUSE_MS: i64 = 10_000;

/// The storm, and what was asked in each second of it.
struct Storm {
    time: Time,
    random: SeededEntropy,
    database: Rc<Sqlite>,
    config: Rc<Config>,
    keys: Rc<[KeyText]>,
    kv: RefCell<HashMap<String, String>>,
    holders: Option<Vec<Rc<Holder>>>,
    polls: Vec<Cell<bool>>,
    asked: RefCell<BTreeMap<(&'static str, i64), u32>>,
    ended: RefCell<HashMap<usize, i64>>,
    waits: RefCell<BTreeMap<Source, u32>>,
}

impl Storm {
    fn ask(&self, what: &'static str) {
        *self.asked.borrow_mut().entry((what, self.time.now() / 1_000)).or_default() += 1;
    }

    fn pick(&self, count: usize) -> usize {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes).unwrap();
        usize::try_from(u64::from_le_bytes(bytes) % (count as u64)).unwrap()
    }

    /// A key: a few are verified often, most hardly ever.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a draw")]
    fn pick_key(&self) -> usize {
        let share = self.pick(1 << 20) as f64 / f64::from(1 << 20);
        ((self.keys.len() as f64).powf(share) as usize - 1).min(self.keys.len() - 1)
    }

    /// How often something was asked, in all and in the busiest second.
    fn counted(&self, what: &str) -> (u32, u32) {
        let asked = self.asked.borrow();
        let counts = asked.iter().filter(|((name, _), _)| *name == what).map(|(_, count)| *count);
        (counts.clone().sum(), counts.max().unwrap_or_default())
    }
}

/// The ports of one isolate, or of a holder.
struct Edge {
    storm: Weak<Storm>,
    region: usize,
    holds: bool,
}

impl Edge {
    fn storm(&self) -> Rc<Storm> {
        self.storm.upgrade().unwrap()
    }

    fn app(self: &Rc<Self>, config: &Rc<Config>, holder: Option<Rc<dyn FeedHolder>>) -> App {
        App {
            database: self.clone(),
            holder,
            cache: self.clone(),
            clock: self.clone(),
            entropy: self.clone(),
            background: self.clone(),
            upstream: Rc::new(NoUpstream),
            limiter: Rc::new(Limits::default()),
            signatures: Rc::new(Seal),
            config: Rc::clone(config),
            isolate: Rc::<Isolate>::default(),
            extensions: Extensions::default(),
        }
    }
}

impl Database for Edge {
    fn batch(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Vec<Vec<Row>>, DatabaseError>> {
        Box::pin(async move {
            let storm = self.storm();
            let way_ms = PRIMARY_MS[self.region] / 2;
            storm.time.sleep(way_ms).await;
            storm.ask(match statements.len() {
                _ if statements.iter().any(|statement| statement.sql.starts_with("INSERT INTO key_uses")) => "uses",
                1 if self.holds => "holders' polls",
                1 => "isolates' polls",
                _ => "keys",
            });
            let result = storm.database.run(&statements);
            storm.time.sleep(way_ms).await;
            result
        })
    }

    fn batch_nearest(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Nearest, DatabaseError>> {
        Box::pin(async move { Ok(Nearest { rows: self.batch(statements).await?, is_current: true }) })
    }

    fn size_bytes(&self) -> Option<i64> {
        None
    }
}

impl FeedHolder for Edge {
    fn news(&self, since: Seq) -> LocalFuture<'_, Result<HeldNews, String>> {
        Box::pin(async move {
            let storm = self.storm();
            storm.time.sleep(HOLDER_MS / 2).await;
            storm.ask("holders");
            let holder = Rc::clone(&storm.holders.as_ref().unwrap()[self.region]);
            if !storm.polls[self.region].replace(true) {
                let (storm, holder) = (Rc::clone(&storm), Rc::clone(&holder));
                storm.clone().time.spawn(async move {
                    while storm.time.now() < END_MS {
                        storm.time.sleep(holder.interval_ms()).await;
                        holder.poll().await;
                    }
                });
            }
            let answer = holder.news(since).await.map_err(|error| format!("{error:?}"));
            storm.time.sleep(HOLDER_MS / 2).await;
            answer
        })
    }
}

impl Cache for Edge {
    fn get(&self, key: String) -> LocalFuture<'_, Result<Option<String>, String>> {
        Box::pin(async move {
            let storm = self.storm();
            storm.ask("KV gets");
            storm.time.sleep(KV_MS).await;
            let value = storm.kv.borrow().get(&key).cloned();
            Ok(value)
        })
    }

    fn put(&self, key: String, value: String, _: u64) -> LocalFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let storm = self.storm();
            storm.ask("KV puts");
            // A value of KV takes its time to be seen everywhere.
            storm.time.sleep(5_000).await;
            storm.kv.borrow_mut().insert(key, value);
            Ok(())
        })
    }
}

impl Clock for Edge {
    fn now(&self) -> UnixMillis {
        START.plus_ms(self.storm().time.now())
    }

    fn sleep(&self, ms: u32) -> LocalFuture<'_, ()> {
        let storm = self.storm();
        Box::pin(async move { storm.time.sleep(ms.into()).await })
    }
}

impl Entropy for Edge {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        self.storm().random.fill(bytes)
    }
}

impl Background for Edge {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        self.storm().time.spawn(work);
    }
}

/// One isolate: it starts, and verifies a key now and then.
async fn isolate(storm: Rc<Storm>, number: usize) {
    storm.time.sleep(i64::try_from(storm.pick(START_MS)).unwrap()).await;
    let region = number % PLACES % PRIMARY_MS.len();
    let edge = Rc::new(Edge { storm: Rc::downgrade(&storm), region, holds: false });
    let holder = storm.holders.as_ref().map(|_| Rc::clone(&edge) as Rc<dyn FeedHolder>);
    let app = edge.app(&storm.config, holder);
    while storm.time.now() < END_MS {
        let key = storm.pick_key();
        // Each service asks with a key of its own.
        let caller = &storm.keys[number % 100];
        let lookup = |key| Lookup { key, freshness: Freshness::Bounded, ip: None };
        let [caller, found] = app.find_all([lookup(caller), lookup(&storm.keys[key])]).await.unwrap();
        let (caller, found) = (caller.unwrap(), found.unwrap());
        *storm.waits.borrow_mut().entry(found.waited_for.max(caller.waited_for)).or_default() += 1;
        if decide(&found.snapshot, support::used(&[], app.clock.now())).is_ok() {
            app.note_use(&found.snapshot, None);
            if let Some(ended_at) = storm.ended.borrow().get(&key) {
                let late_ms = storm.time.now() - ended_at;
                assert!(late_ms <= storm.config.max_staleness_ms, "key {key} was accepted {late_ms} ms after it ended");
            }
        }
        storm.time.sleep(i64::try_from(storm.pick(2 * usize::try_from(PAUSE_MS).unwrap())).unwrap()).await;
    }
}

/// A key that is used often ends, once a second.
async fn endings(storm: Rc<Storm>) {
    while storm.time.now() < END_MS {
        storm.time.sleep(1_000).await;
        let key = 100 + storm.pick(storm.keys.len() / 10);
        let digest = Digest::of(storm.keys[key].expose()).to_hex();
        storm
            .database
            .execute(&format!("UPDATE keys SET revoked_at = 1 WHERE digest = '{digest}' AND revoked_at IS NULL"));
        storm.ended.borrow_mut().entry(key).or_insert(storm.time.now());
    }
}

/// A database with so many keys, and their texts.
fn stage(count: usize) -> (support::World, Rc<[KeyText]>) {
    let world = support::World::new();
    let owner = world.bootstrap();
    let (id, _) = world.create(&owner, "key", &["datasets:read"]);
    world.database.execute("UPDATE organizations SET max_keys = 1000000");
    let random = SeededEntropy(Cell::new(7));
    let stem = "bit_pat_".to_owned();
    let keys: Vec<KeyText> = (0..count)
        .map(|_| {
            let text = bitting_keys::domain::key_text::with_secret(stem.clone(), |bytes| random.fill(bytes)).unwrap();
            KeyText::parse(&text).unwrap()
        })
        .collect();
    let columns = "organization_id, user_id, kind, pepper_version, stem, start, last4, name, scopes, role, created_at, updated_at";
    for (chunk, texts) in keys.chunks(1_000).enumerate() {
        let mut rows = String::new();
        for (index, text) in texts.iter().enumerate() {
            let number = 10 + chunk * 1_000 + index;
            let digest = Digest::of(text.expose()).to_hex();
            write!(rows, "{}({number}, '{digest}')", if index > 0 { ", " } else { "" }).unwrap();
        }
        world.database.execute(&format!(
            "INSERT INTO keys (id, number, digest, {columns}) SELECT printf('01900000-0000-7000-8000-%012x', new.column1), new.column1, \
             new.column2, {} FROM (VALUES {rows}) AS new, keys AS k WHERE k.id = '{id}'",
            columns.split(", ").map(|column| format!("k.{column}")).collect::<Vec<_>>().join(", ")
        ));
    }
    (world, keys.into())
}

fn tell(world: &support::World, keys: &Rc<[KeyText]>, isolates: usize, with_holders: bool) -> Rc<Storm> {
    let mut pool = LocalPool::new();
    let config = Rc::clone(&world.app.config);
    let storm = Rc::new_cyclic(|storm: &Weak<Storm>| {
        let holder = |region| {
            let edge = Rc::new(Edge { storm: storm.clone(), region, holds: true });
            Rc::new(Holder::new(edge.app(&config, None)))
        };
        Storm {
            time: Time::new(&pool),
            random: SeededEntropy(Cell::new(1)),
            database: Rc::clone(&world.database),
            config: Rc::clone(&config),
            keys: Rc::clone(keys),
            kv: RefCell::default(),
            holders: with_holders.then(|| (0..PRIMARY_MS.len()).map(holder).collect()),
            polls: PRIMARY_MS.iter().map(|_| Cell::new(false)).collect(),
            asked: RefCell::default(),
            ended: RefCell::default(),
            waits: RefCell::default(),
        }
    });
    for number in 0..isolates {
        storm.time.spawn(isolate(Rc::clone(&storm), number));
    }
    storm.time.spawn(endings(Rc::clone(&storm)));
    storm.time.run(&mut pool);
    storm
}

#[test]
#[expect(clippy::print_stdout, reason = "it is also a report")]
fn storm_of_new_isolates_keeps_the_bound_and_asks_the_primary_less_with_holders() {
    let isolates = env::var("BITTING_STORM").map_or(300, |text| text.parse::<usize>().unwrap());
    let mut polls = Vec::new();
    for with_holders in [false, true] {
        let (world, keys) = stage(10 * isolates);
        let storm = tell(&world, &keys, isolates, with_holders);
        let all: u32 = storm.waits.borrow().values().sum();
        println!("{isolates} isolates, {} keys, with holders: {with_holders}: {all} verifications", keys.len());
        for what in ["keys", "isolates' polls", "holders' polls", "uses", "holders", "KV gets", "KV puts"] {
            let (count, most) = storm.counted(what);
            println!("  {what}: {count} in all, {most} in the busiest second");
        }
        for (source, count) in &*storm.waits.borrow() {
            println!("  waited for {}: {:.1} %", source.as_str(), f64::from(*count) * 100.0 / f64::from(all));
        }
        polls.push(["keys", "isolates' polls", "holders' polls"].map(|what| storm.counted(what).0));
    }
    let [[keys, isolates_polls, _], [keys_held, isolates_polls_held, holders_polls]] = polls[..] else { panic!() };
    assert!(isolates_polls > 0 && isolates_polls_held == 0 && holders_polls <= 9 * 120, "{polls:?}");
    assert!(keys_held < keys, "KV answers for what the holder vouches for: {polls:?}");
}
