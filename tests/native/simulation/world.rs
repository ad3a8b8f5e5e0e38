//! The simulated world: virtual time, one database, one KV, and the edge at which a request of one
//! isolate meets them. Everything random comes from one seed, so a history can be told again.

use std::{
    array,
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    future::Future,
    ops::Range,
    rc::{Rc, Weak},
    time::Duration,
};

use bitting_keys::{
    app::{App, config::Config, error::Error, extensions::Extensions, holder::Holder, isolate::Isolate},
    domain::{feed::HeldNews, id::Seq, key_text::KeyText, time::UnixMillis},
    ports::{
        Background, Cache, Clock, Database, DatabaseError, Entropy, FeedHolder, LocalFuture, Nearest, Row, Statement,
    },
};
use futures::{
    executor::LocalPool,
    future::{Either, select},
};

use super::time::Time;
use crate::support::{Instant, Limits, NoUpstream, START, Seal, SeededEntropy, sqlite::Sqlite};

pub(super) const ISOLATES: usize = 3;
pub(super) const HOLDERS: usize = 2;
pub(super) const REPLICAS: usize = 2;
/// Whether each key is good, and whether it is good for a scope that keys lose and get back. This
/// SQL shares nothing with the code under test.
const GOOD: &str = "
    WITH known AS (
        SELECT k.id, k.scopes, k.revoked_at IS NULL AND k.disabled_at IS NULL AND o.suspended_at IS NULL
        AND k.digest IN (SELECT digest FROM first_digests)
        AND EXISTS (SELECT 1 FROM memberships m WHERE m.organization_id = o.id AND m.user_id = k.user_id)
        AND NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = k.project_id AND p.deleted_at IS NOT NULL) AS good
        FROM keys k JOIN organizations o ON o.id = k.organization_id
    )
    SELECT id, good, good AND scopes LIKE '%datasets:read%' FROM known
";

/// What outlives a history, because it is slow to make: the database and its keys.
pub(super) struct Stage {
    pub(super) database: Rc<Sqlite>,
    /// How the service is configured: without and with a grace for outages.
    pub(super) configs: [Rc<Config>; 2],
    pub(super) keys: Vec<TestKey>,
    pub(super) tally: Tally,
}

/// A key that the histories verify, revoke and bring back.
pub(super) struct TestKey {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) text: KeyText,
}

/// How often things happened, over all histories.
#[derive(Debug, Default)]
pub(super) struct Tally(RefCell<BTreeMap<&'static str, u32>>);

impl Tally {
    pub(super) fn count(&self, what: &'static str) {
        *self.0.borrow_mut().entry(what).or_default() += 1;
    }

    pub(super) fn of(&self, what: &'static str) -> u32 {
        self.0.borrow().get(what).copied().unwrap_or_default()
    }
}

/// How far the clock of an isolate is behind, and what that excuses: whoever cannot know that his
/// clock was set back takes what he read before for younger than it is, by that much and no more.
#[derive(Clone, Copy, Default)]
struct SetBack {
    behind_ms: i64,
    excused_ms: i64,
    excused_until: i64,
}

/// One history.
pub(super) struct World {
    pub(super) stage: Rc<Stage>,
    seed: u64,
    /// Whether calls fail, and KV answers with whatever it ever held.
    pub(super) troubled: bool,
    /// How many messages of a hundred are slow: in trouble, some or many.
    slow_percent: usize,
    random: SeededEntropy,
    time: Time,
    /// Every value that each key of KV ever held.
    kv: RefCell<HashMap<String, Vec<String>>>,
    isolates: [RefCell<Rc<Isolate>>; ISOLATES],
    /// The holders of the feed; `None` in histories whose isolates ask the database themselves.
    holders: Option<[RefCell<Rc<RunningHolder>>; HOLDERS]>,
    /// The replicas, each as old as it happens to be; `None` before its first use.
    replicas: [RefCell<Option<Rc<Sqlite>>>; REPLICAS],
    /// The time from which the primary answers again.
    up_from: Cell<i64>,
    pub(super) config: Rc<Config>,
    clocks: [Cell<SetBack>; ISOLATES],
    /// Since when each key is not good, and not good for the scope; `None`: it is.
    bad_since: RefCell<Vec<[Option<i64>; 2]>>,
}

impl World {
    /// A new history on the stage, run until nothing is left to happen.
    pub(super) fn play<F>(stage: &Rc<Stage>, seed: u64, script: impl FnOnce(Rc<Self>) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let slow_percent = [0, 8, 20, 45][usize::try_from(seed % 4).unwrap()];
        let mut pool = LocalPool::new();
        // Every third history goes on without the database for a while, and most have holders.
        let config = Rc::clone(&stage.configs[usize::from(seed.is_multiple_of(3))]);
        let world = Rc::new_cyclic(|world| Self {
            stage: Rc::clone(stage),
            seed,
            troubled: slow_percent > 0,
            slow_percent,
            random: SeededEntropy(Cell::new(seed)),
            time: Time::new(&pool),
            kv: RefCell::default(),
            isolates: Default::default(),
            holders: (seed % 5 > 1).then(|| array::from_fn(|_| RefCell::new(RunningHolder::new(world, &config)))),
            replicas: Default::default(),
            up_from: Cell::new(0),
            config: Rc::clone(&config),
            clocks: Default::default(),
            bad_since: RefCell::new(vec![[None; 2]; stage.keys.len()]),
        });
        world.spawn(script(Rc::clone(&world)));
        world.time.run(&mut pool);
    }

    pub(super) fn now(&self) -> i64 {
        self.time.now()
    }

    /// A number of this range, all equally likely.
    pub(super) fn pick(&self, range: Range<usize>) -> usize {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes).unwrap();
        range.start + usize::try_from(u64::from_le_bytes(bytes) % (range.len() as u64)).unwrap()
    }

    pub(super) fn chance(&self, percent: usize) -> bool {
        self.pick(0..100) < percent
    }

    /// A duration: most are shorter than `mean_ms`, a few are many times as long.
    pub(super) fn duration(&self, mean_ms: u32) -> i64 {
        let share = f64::from(u32::try_from(self.pick(1..1 << 20)).unwrap()) / f64::from(1 << 20);
        Duration::from_millis(mean_ms.into()).mul_f64(-share.ln()).as_millis().try_into().unwrap()
    }

    /// How long a message is under way. Slow ones are overtaken by others, and many of them take
    /// longer than the feed may be old.
    fn delay(&self) -> i64 {
        let slow = self.chance(self.slow_percent);
        self.duration(if slow { 5_000 } else { 60 })
    }

    /// What a value of KV becomes if a forger makes its snapshot look younger than it is.
    fn forged(&self, value: &str) -> String {
        let (before, rest) = value.split_once("\"seq\":").unwrap();
        let (seq, after) = rest.split_once(',').unwrap();
        let seq = seq.parse::<usize>().unwrap() + self.pick(1..20);
        format!("{before}\"seq\":{seq},{after}")
    }

    fn fails(&self, percent: usize) -> bool {
        self.troubled && self.chance(percent)
    }

    pub(super) async fn sleep(&self, ms: i64) {
        self.time.sleep(ms).await;
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.time.spawn(work);
    }

    /// Starts work that may be cut off: a caller who goes away, an isolate that ends.
    pub(super) fn spawn_fragile(self: &Rc<Self>, work: LocalFuture<'static, ()>) {
        if !self.fails(8) {
            return self.spawn(work);
        }
        let world = Rc::clone(self);
        self.spawn(async move {
            let end = Box::pin(world.sleep(world.duration(500)));
            if let Either::Right(_) = select(work, end).await {
                world.stage.tally.count("cut off");
            }
        });
    }

    /// The application as a request to this isolate meets it, made with the key at `by`.
    pub(super) fn app(self: &Rc<Self>, isolate: usize, by: usize) -> App {
        let edge = Rc::new(Edge { world: Rc::downgrade(self), isolate: Some(isolate), by });
        App {
            holder: self.holders.as_ref().map(|_| edge.clone() as Rc<dyn FeedHolder>),
            isolate: Rc::clone(&self.isolates[isolate].borrow()),
            ..edge.app(&self.config)
        }
    }

    /// Ends a holder, which forgets everything.
    pub(super) fn end_holder(&self, holder: usize) {
        if let Some(holders) = &self.holders {
            let world = holders[holder].borrow().world.clone();
            *holders[holder].borrow_mut() = RunningHolder::new(&world, &self.config);
        }
    }

    /// Lets a replica catch up with the primary.
    pub(super) fn catch_up(&self, replica: usize) {
        let image = self.stage.database.image();
        *self.replicas[replica].borrow_mut() = Some(Rc::new(Sqlite::new(&image, Instant::default())));
    }

    /// True if the primary fails, or has just begun to answer again.
    pub(super) fn is_down(&self) -> bool {
        self.now() < self.up_from.get() + 1_000
    }

    /// Lets the primary fail for a while.
    pub(super) fn fail_primary(&self, for_ms: i64) {
        self.up_from.set(self.now() + for_ms);
    }

    /// Ends an isolate; what it has begun may still come to its end.
    pub(super) fn evict(&self, isolate: usize) {
        *self.isolates[isolate].borrow_mut() = Rc::default();
    }

    pub(super) fn set_clock_back(&self, isolate: usize, by_ms: i64) {
        let before = self.clocks[isolate].get();
        let excused_ms = self.excused_ms(isolate) + by_ms;
        self.clocks[isolate].set(SetBack {
            behind_ms: before.behind_ms + by_ms,
            excused_ms,
            excused_until: self.now() + self.config.max_staleness_ms + self.config.outage_grace_ms + excused_ms,
        });
    }

    fn excused_ms(&self, isolate: usize) -> i64 {
        let clock = self.clocks[isolate].get();
        if self.now() <= clock.excused_until { clock.excused_ms } else { 0 }
    }

    /// Somebody changes the database by hand.
    pub(super) fn execute(&self, sql: &str) {
        self.stage.database.execute(sql);
        self.observe();
    }

    /// A number of the primary's feed.
    pub(super) fn seq(&self, sql: &str) -> Seq {
        Seq(self.stage.database.value(sql).as_i64().unwrap())
    }

    /// Asks the database itself which keys are good, at the commit of whatever may have changed it.
    fn observe(&self) {
        let connection = self.stage.database.connection.borrow();
        let mut statement = connection.prepare_cached(GOOD).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let id: String = row.get(0).unwrap();
            // The key with which the others were made is in no history.
            let Some(key) = self.stage.keys.iter().position(|key| key.id == id) else {
                continue;
            };
            for (demand, since) in self.bad_since.borrow_mut()[key].iter_mut().enumerate() {
                let good: bool = row.get(demand + 1).unwrap();
                *since = if good { None } else { since.or(Some(self.now())) };
            }
        }
    }

    /// A key was accepted just now, on a request that began at `began`: was that too late?
    pub(super) fn accepted(&self, isolate: usize, key: usize, demand: usize, strong: bool, began: i64, degraded: bool) {
        let Some(since) = self.bad_since.borrow()[key][demand] else {
            return;
        };
        self.stage.tally.count("accepted late, in time");
        let late_ms = self.now() - since - self.excused_ms(isolate);
        let grace_ms = if degraded { self.config.outage_grace_ms } else { 0 };
        if late_ms > self.config.max_staleness_ms + grace_ms || (strong && began > since) {
            self.broken(&format!("key {key} was accepted {late_ms} ms after it ended (strong: {strong})"));
        }
    }

    /// Fails the test in a way that can be repeated.
    pub(super) fn broken(&self, what: &str) -> ! {
        panic!("{what}, at {} ms of history {seed}: BITTING_SEED={seed} tells it again", self.now(), seed = self.seed);
    }
}

/// A holder, and whether it reads the feed by itself at the moment.
pub(super) struct RunningHolder {
    world: Weak<World>,
    holder: Holder,
    polls: Cell<bool>,
}

impl RunningHolder {
    fn new(world: &Weak<World>, config: &Rc<Config>) -> Rc<Self> {
        let edge = Rc::new(Edge { world: world.clone(), isolate: None, by: 0 });
        let holder = Holder::new(edge.app(config));
        Rc::new(Self { world: world.clone(), holder, polls: Cell::default() })
    }

    /// Answers, and reads the feed from then on, until nobody uses it or it ends.
    async fn news(self: Rc<Self>, since: Seq) -> Result<HeldNews, Error> {
        let world = self.world.upgrade().unwrap();
        if !self.polls.replace(true) {
            let (world, holder) = (Rc::downgrade(&world), Rc::downgrade(&self));
            let mut next_ms = Some(self.holder.interval_ms());
            self.world.upgrade().unwrap().spawn(async move {
                while let Some(ms) = next_ms {
                    let Some(world) = world.upgrade() else { return };
                    world.sleep(ms).await;
                    let Some(holder) = holder.upgrade() else { return };
                    next_ms = holder.holder.poll().await;
                    holder.polls.set(next_ms.is_some());
                }
            });
        }
        self.holder.news(since).await
    }
}

/// The ports, as one request to one isolate meets them, or a holder of the feed.
struct Edge {
    world: Weak<World>,
    isolate: Option<usize>,
    by: usize,
}

impl Edge {
    fn world(&self) -> Rc<World> {
        self.world.upgrade().unwrap()
    }

    fn app(self: Rc<Self>, config: &Rc<Config>) -> App {
        App {
            database: self.clone(),
            holder: None,
            cache: self.clone(),
            clock: self.clone(),
            entropy: self.clone(),
            background: self,
            upstream: Rc::new(NoUpstream),
            limiter: Rc::new(Limits::default()),
            signatures: Rc::new(Seal),
            config: Rc::clone(config),
            isolate: Rc::default(),
            extensions: Extensions::default(),
        }
    }
}

impl Edge {
    fn run(&self, statements: &[Statement]) -> Result<Vec<Vec<Row>>, DatabaseError> {
        let world = &self.world();
        let bad_since = world.bad_since.borrow()[self.by][0];
        let result = world.stage.database.run(statements);
        // What acts in the name of the key begins with the guard. All others look up keys, read the feed or note uses.
        if statements.first().is_some_and(|statement| statement.sql.contains("abs(-9223372036854775808)")) {
            match (&result, bad_since) {
                (Ok(_), None) => world.stage.tally.count("guard passed"),
                (Err(DatabaseError::Guard), _) => world.stage.tally.count("guard stopped"),
                (Err(error), _) => world.broken(&format!("the batch failed: {error:?}")),
                (Ok(_), Some(since)) => {
                    let late_ms = world.now() - since;
                    world.broken(&format!(
                        "a batch ran for key {} {late_ms} ms after it ended: {statements:?}",
                        self.by
                    ));
                }
            }
            world.observe();
        }
        result
    }
}

impl Database for Edge {
    fn batch(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Vec<Vec<Row>>, DatabaseError>> {
        Box::pin(async move {
            let world = &self.world();
            world.sleep(world.delay()).await;
            if world.fails(2) || world.now() < world.up_from.get() {
                return Err(DatabaseError::Failed("lost on the way there".to_owned()));
            }
            let result = self.run(&statements);
            world.sleep(world.delay()).await;
            if world.fails(2) {
                return Err(DatabaseError::Failed("lost on the way back".to_owned()));
            }
            result
        })
    }

    fn batch_nearest(&self, statements: Vec<Statement>) -> LocalFuture<'_, Result<Nearest, DatabaseError>> {
        Box::pin(async move {
            let world = &self.world();
            // To copy a database takes long, so that only every third history has replicas.
            if world.seed % 3 != 1 || world.chance(20) {
                return Ok(Nearest { rows: self.batch(statements).await?, is_current: true });
            }
            world.sleep(world.delay()).await;
            if world.fails(2) {
                return Err(DatabaseError::Failed("the replica is lost".to_owned()));
            }
            let replica = world.pick(0..REPLICAS);
            if world.replicas[replica].borrow().is_none() {
                world.catch_up(replica);
            }
            let database = world.replicas[replica].borrow().clone().unwrap();
            let rows = database.run(&statements)?;
            world.sleep(world.delay()).await;
            Ok(Nearest { rows, is_current: false })
        })
    }

    fn size_bytes(&self) -> Option<i64> {
        None
    }
}

impl FeedHolder for Edge {
    fn news(&self, since: Seq) -> LocalFuture<'_, Result<HeldNews, String>> {
        Box::pin(async move {
            let world = &self.world();
            world.sleep(world.delay()).await;
            if world.fails(5) {
                return Err("the isolate is cut off from the holder".to_owned());
            }
            let any =
                if world.chance(80) { self.isolate.unwrap_or_default() % HOLDERS } else { world.pick(0..HOLDERS) };
            let holder = world.holders.as_ref().unwrap()[any].borrow().clone();
            let answer = holder.news(since).await.map_err(|error| format!("{error:?}"))?;
            world.stage.tally.count("holder");
            let answer = serde_json::to_string(&answer).unwrap();
            world.sleep(world.delay()).await;
            serde_json::from_str(&answer).map_err(|error| error.to_string())
        })
    }
}

impl Cache for Edge {
    fn get(&self, key: String) -> LocalFuture<'_, Result<Option<String>, String>> {
        Box::pin(async move {
            let world = &self.world();
            if world.fails(5) {
                return Err("KV is down".to_owned());
            }
            // The worst moment for a key to end is while KV takes its time.
            if world.fails(10) {
                let id = &world.stage.keys[self.by].id;
                world.execute(&format!("UPDATE keys SET disabled_at = 1 WHERE id = '{id}'"));
                world.sleep(world.config.max_staleness_ms).await;
            }
            world.sleep(world.delay()).await;
            let value = {
                let kv = world.kv.borrow();
                let values = kv.get(&key).map_or(&[][..], Vec::as_slice);
                let any = world.pick(0..values.len() + 1);
                let value = if world.troubled { values.get(any).cloned() } else { values.last().cloned() };
                value.map(|value| if world.fails(20) { world.forged(&value) } else { value })
            };
            world.sleep(world.delay()).await;
            Ok(value)
        })
    }

    fn put(&self, key: String, value: String, _ttl_seconds: u64) -> LocalFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let world = &self.world();
            world.sleep(world.delay()).await;
            if world.fails(5) {
                return Err("KV is down".to_owned());
            }
            world.stage.tally.count("KV written");
            world.kv.borrow_mut().entry(key).or_default().push(value);
            Ok(())
        })
    }
}

impl Clock for Edge {
    fn now(&self) -> UnixMillis {
        let world = self.world();
        let behind_ms = self.isolate.map_or(0, |isolate| world.clocks[isolate].get().behind_ms);
        START.plus_ms(world.now() - behind_ms)
    }

    fn sleep(&self, ms: u32) -> LocalFuture<'_, ()> {
        let world = self.world();
        Box::pin(async move { world.sleep(ms.into()).await })
    }
}

impl Entropy for Edge {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        self.world().random.fill(bytes)
    }
}

impl Background for Edge {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        self.world().spawn_fragile(work);
    }
}
