//! A database that was restored to an earlier time: nothing from the lost time is believed, and nobody has to say so.

use std::rc::Rc;

use bitting::entry::chores;
use futures::executor::block_on;
use rusqlite::MAIN_DB;
use serde_json::json;

use crate::support::{Later, World};

/// A deployment that will be restored to what it was when a key had no scopes yet.
struct Scene {
    world: World,
    owner: String,
    verifier: String,
    id: String,
    key: String,
    image: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let owner = world.bootstrap();
        let verifier = world.create(&owner, "verifier", &["api-keys:verify"]).1;
        let (id, key) = world.create(&owner, "key", &[]);
        world.change(&owner, &id, &json!({ "name": "before" }));
        let image = world.database.image();
        // What is lost afterwards: the key may do more, and KV knows of it.
        for _ in 0..20 {
            world.change(&owner, &id, &json!({ "scopes": ["datasets:read"] }));
        }
        let scene = Self { world, owner, verifier, id, key, image };
        let isolate = scene.isolate();
        assert!(scene.may_read(&isolate));
        scene.world.settle();
        scene
    }

    /// An isolate whose feed is fresh.
    fn isolate(&self) -> World {
        let isolate = self.world.another_isolate();
        assert_eq!(isolate.verify(&self.verifier, &self.verifier, &[])["valid"], true);
        isolate
    }

    fn may_read(&self, isolate: &World) -> bool {
        isolate.verify(&self.verifier, &self.key, &["datasets:read"])["valid"] == true
    }

    fn restore(&self) {
        let (mut connection, image) = (self.world.database.connection.borrow_mut(), self.image.as_slice());
        connection.deserialize_read_exact(MAIN_DB, image, image.len(), false).unwrap();
    }

    /// Changes something else until the feed has given all lost numbers out again.
    fn pass_lost_numbers(&self) {
        let other = self.world.create(&self.owner, "other", &[]).0;
        for number in 0..40 {
            self.world.change(&self.owner, &other, &json!({ "name": format!("name {number}") }));
        }
    }

    fn head(&self) -> i64 {
        self.world.database.value("SELECT max(seq) FROM changes").as_i64().unwrap()
    }
}

fn sweep(world: &World) {
    block_on(world.app.sweep(chores())).unwrap();
}

#[test]
fn isolate_that_knows_a_lost_number_steps_over_it_with_its_next_read() {
    let scene = Scene::new();
    let knows = scene.isolate();
    assert!(scene.may_read(&knows));
    let lost = scene.head();
    scene.restore();
    assert!(scene.head() < lost);
    knows.advance_ms(5_001);
    // The first question after the bound finds that its number is unknown, and asks again.
    let (may_read, io) = knows.counted(|| scene.may_read(&knows));
    assert_eq!((may_read, io), (false, (2, 0, 0)));
    knows.settle();
    assert!(scene.head() > lost, "the lost numbers are stepped over");
    let head = scene.head();
    scene.pass_lost_numbers();
    // Neither memory nor KV speaks for the lost time any more.
    for isolate in [&knows, &scene.isolate()] {
        assert!(!scene.may_read(isolate));
    }
    // A second isolate that knows the lost number changes nothing more.
    assert!(scene.head() < head + 1_000, "{} after {head}", scene.head());
}

#[test]
fn act_under_the_guard_notices_as_well_and_is_done() {
    let scene = Scene::new();
    let knows = scene.isolate();
    let lost = scene.head();
    scene.restore();
    assert_eq!(knows.get("/v1/keys/self", &scene.owner).status, 200);
    knows.settle();
    assert!(scene.head() > lost);
}

#[test]
fn sweep_notices_what_no_isolate_is_left_to_know() {
    let scene = Scene::new();
    sweep(&scene.world);
    scene.world.settle();
    let (lost, values) = (scene.head(), scene.world.cache.values.borrow().len());
    sweep(&scene.world);
    assert_eq!(scene.world.cache.values.borrow().len(), values, "a number that has not moved is not kept again");
    scene.restore();
    let mut fresh = scene.world.another_isolate();
    fresh.app.background = Rc::new(Later::default());
    sweep(&fresh);
    assert!(scene.head() > lost, "{} after {lost}", scene.head());
    let head = scene.head();
    sweep(&fresh);
    sweep(&fresh);
    assert_eq!(scene.head(), head, "once is enough");
    assert!(!scene.may_read(&scene.isolate()));
}

#[test]
fn forged_or_missing_number_in_kv_moves_nothing() {
    let scene = Scene::new();
    sweep(&scene.world);
    let head = scene.head();
    for value in ["", "999999999", &format!("{}999999999", "0".repeat(64))] {
        for kept in scene.world.cache.values.borrow_mut().values_mut() {
            value.clone_into(kept);
        }
        sweep(&scene.world);
        assert_eq!(scene.head(), head, "{value}");
    }
    scene.world.cache.failing.set(true);
    sweep(&scene.world);
    assert_eq!(scene.head(), head);
    assert!(!scene.id.is_empty());
}
