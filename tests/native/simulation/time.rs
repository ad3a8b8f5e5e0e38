//! Virtual time, in which nothing takes longer than it says.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
};

use futures::{
    channel::oneshot,
    executor::{LocalPool, LocalSpawner},
    task::LocalSpawnExt,
};

/// The clock, and the tasks that wait for it.
pub(super) struct Time {
    now: Cell<i64>,
    timers: RefCell<BTreeMap<(i64, u64), oneshot::Sender<()>>>,
    timers_set: Cell<u64>,
    spawner: LocalSpawner,
}

impl Time {
    pub(super) fn new(pool: &LocalPool) -> Self {
        let timers_set = Cell::new(0);
        Self { now: Cell::new(0), timers: RefCell::default(), timers_set, spawner: pool.spawner() }
    }

    pub(super) fn now(&self) -> i64 {
        self.now.get()
    }

    pub(super) async fn sleep(&self, ms: i64) {
        let (wake, woken) = oneshot::channel();
        self.timers_set.set(self.timers_set.get() + 1);
        let at = (self.now() + ms, self.timers_set.get());
        self.timers.borrow_mut().insert(at, wake);
        let _ = woken.await;
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.spawner.spawn_local(work).unwrap();
    }

    /// Runs until nothing is left to happen.
    pub(super) fn run(&self, pool: &mut LocalPool) {
        loop {
            pool.run_until_stalled();
            let Some(((at, _), wake)) = self.timers.borrow_mut().pop_first() else {
                return;
            };
            self.now.set(at);
            let _ = wake.send(());
        }
    }
}
