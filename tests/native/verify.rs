//! Verification: where answers come from, what they cost, and how long they may be believed.

use bitting_http::message::Request;
use bitting_keys::{
    app::Principal,
    domain::{
        cache_seal::CacheSeal,
        id::BoundTo,
        key::{Life, Role},
        key_text::{Digest, KeyText},
        lookup::{Freshness, Lookup},
        scope::Scopes,
        snapshot::Snapshot,
    },
    storage::snapshots,
};
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::support::{Io, START, World, problem::assert_problem, request};

const STALENESS_MS: i64 = 5_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const NOTHING: Io = (0, 0, 0);
/// A good text of a key that nobody has, and its digest.
const UNKNOWN: &str = "bit_pat_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1t0B34";
const UNKNOWN_DIGEST: &str = "78e93a3522c43ecb5bceed409de9202273a59583a6824d8d53babd4ecaa81e03";

/// A world with an owner's key, and another key with its id.
struct Scene {
    world: World,
    owner: String,
    id: String,
    key: String,
}

impl Scene {
    fn new() -> Self {
        Self::with_config(&[])
    }

    fn with_config(variables: &[(&str, &str)]) -> Self {
        let world = World::with_config(variables);
        let owner = world.bootstrap();
        let (id, key) = world.create(&owner, "key", &["datasets:read"]);
        Self { world, owner, id, key }
    }

    /// An isolate whose feed is fresh and whose memory holds the owner's key alone.
    fn isolate(&self) -> World {
        let world = self.world.another_isolate();
        assert_eq!(world.get("/v1/scopes", &self.owner).status, 200);
        world
    }

    /// What an isolate says of the key, from where, and what that took.
    fn ask(&self, world: &World) -> (String, String, Io) {
        let (answer, io) = world.counted(|| world.verify(&self.owner, &self.key, &[]));
        let text = |field: &str| answer[field].as_str().unwrap_or("nowhere").to_owned();
        (text("code"), text("source"), io)
    }

    /// Expects that the key is good, and from where and at which cost this is known.
    #[track_caller]
    fn assert_valid(&self, world: &World, source: &str, io: Io) {
        let expected = ("valid".to_owned(), source.to_owned(), io);
        assert_eq!(self.ask(world), expected);
    }

    /// Lets KV hold the key's snapshot of this moment.
    fn fill_cache(&self) {
        self.assert_valid(&self.isolate(), "d1", (1, 1, 0));
        self.world.settle();
        assert_eq!(self.cached_snapshots(), 1);
    }

    /// How many of KV's values are about the key.
    fn cached_snapshots(&self) -> usize {
        let values = self.world.cache.values.borrow();
        values.values().filter(|value| value.contains(&self.id)).count()
    }

    fn execute(&self, sql: &str) {
        self.world.database.execute(&sql.replace("THIS", &format!("id = '{}'", self.id)));
    }
}

/// What the work behind the answers took.
fn settled(world: &World) -> Io {
    world.counted(|| world.settle()).1
}

#[test]
fn answer_tells_all_that_a_service_needs() {
    let scene = Scene::new();
    let id = scene.world.create_from(
        &scene.owner,
        &json!({ "name": "ci", "scopes": ["datasets:*"], "metadata": { "team": 1 }, "expires_in_days": 1 }),
    );
    let this = scene.world.get("/v1/keys/self", &scene.owner).json;
    assert_eq!(
        scene.world.verify(&scene.owner, &id.1, &["datasets:read"]),
        json!({
            "valid": true,
            "code": "valid",
            "key_id": id.0,
            "name": "ci",
            "kind": "pat",
            "owner": { "organization_id": this["organization_id"], "user_id": this["user_id"], "live_evaluation_id": null },
            "scopes": ["datasets:*"],
            "full_access": false,
            "metadata": { "team": 1 },
            "operator_metadata": {}, "conditional": false,
            "expires_at": "2027-01-16T08:00:00.000Z",
            "source": "d1",
            "waited_for": "d1",
            "degraded": false,
            "age_ms": 0,
            "fresh_for_ms": STALENESS_MS,
            "ends_in_ms": DAY_MS,
            "seq": 1,
            "subjects": [id.0, this["organization_id"], this["user_id"]],
        })
    );
    let lacking = scene.world.verify(&scene.owner, &id.1, &["results:read", "datasets:read", "review:*"]);
    assert_eq!(
        (&lacking["valid"], &lacking["code"], &lacking["missing_scopes"]),
        (&json!(false), &json!("insufficient_scope"), &json!(["results:read", "review:*"]))
    );
    let unknown_scope = json!({ "key": id.1, "scopes": ["datasets:read", "nothing:read"] });
    let answer = scene.world.post("/v1/keys/verify", &scene.owner, &unknown_scope);
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(answer.json["error"]["field"], "scopes[1]");
}

#[test]
fn cold_isolate_asks_the_database_once_for_the_key_and_the_feed() {
    let scene = Scene::new();
    let world = scene.world.another_isolate();
    let (answer, io) = world.counted(|| world.get("/v1/scopes", &scene.owner));
    assert_eq!((answer.status, io), (200, (1, 0, 0)));
    assert_eq!(settled(&world), NOTHING);
}

#[test]
fn sources_are_memory_then_kv_then_d1_at_these_costs() {
    let scene = Scene::new();
    let first = scene.isolate();
    scene.assert_valid(&first, "d1", (1, 1, 0));
    assert_eq!(settled(&first), (0, 0, 1));
    scene.assert_valid(&first, "memory", NOTHING);
    let second = scene.isolate();
    scene.assert_valid(&second, "kv", (0, 1, 0));
    scene.assert_valid(&second, "memory", NOTHING);
    assert_eq!(settled(&second), NOTHING);
}

#[test]
fn verification_writes_only_uses_behind_the_answer() {
    let scene = Scene::new();
    scene.world.later.drop_all();
    let before = scene.world.database.dump();
    let isolates = [scene.isolate(), scene.isolate()];
    for world in &isolates {
        for _ in 0..3 {
            scene.ask(world);
            world.verify(&scene.owner, UNKNOWN, &[]);
            world.advance_ms(3_000);
        }
    }
    assert_eq!(scene.world.database.dump(), before);
    scene.world.settle();
    assert_eq!(scene.world.database.use_writes.get(), 2, "the first use of each isolate");
    assert_ne!(scene.world.database.dump(), before);
    scene.world.database.execute("UPDATE keys SET last_used_at = NULL; DELETE FROM key_uses");
    assert_eq!(scene.world.database.dump(), before);
}

#[test]
fn ten_thousand_verifications_in_ten_minutes_write_uses_eleven_times() {
    let scene = Scene::new();
    scene.world.settle();
    let before = scene.world.database.use_writes.get();
    let world = scene.isolate();
    let written = || world.database.use_writes.get() - before;
    world.settle();
    assert_eq!(written(), 1, "the first use of an isolate is written at once");
    let changes = world.database.count("changes");
    for _ in 0..10_000 {
        assert_eq!(world.verify(&scene.owner, &scene.key, &[])["valid"], true);
        world.settle();
        world.advance_ms(60);
    }
    assert_eq!(scene.ask(&world).0, "valid");
    world.settle();
    assert_eq!(written(), 11, "and then one batch a minute, whatever was used");
    assert_eq!(world.database.count("changes"), changes, "a use is no change");
    let last_used_at = format!("SELECT last_used_at FROM keys WHERE id = '{}'", scene.id);
    // The eleventh batch left with the caller's own last use, before the key's was noted.
    assert_eq!(world.database.value(&last_used_at), START.0 + 599_940);
    let uses = format!("SELECT sum(uses) FROM key_uses WHERE key_id = '{}'", scene.id);
    assert_eq!(world.database.value(&uses), 10_000);
}

#[test]
fn feed_older_than_half_the_bound_is_refreshed_once_behind_the_answer() {
    let scene = Scene::new();
    let world = scene.isolate();
    scene.ask(&world);
    world.settle();
    world.advance_ms(STALENESS_MS / 2);
    scene.assert_valid(&world, "memory", NOTHING);
    assert_eq!(settled(&world), NOTHING, "just half is not too old");
    world.advance_ms(1);
    for _ in 0..3 {
        scene.assert_valid(&world, "memory", NOTHING);
    }
    assert_eq!(settled(&world), (1, 0, 0));
    assert_eq!(world.verify(&scene.owner, &scene.key, &[])["age_ms"], 0);
    assert_eq!(settled(&world), NOTHING);
}

#[test]
fn refresh_that_was_cut_off_does_not_stand_in_the_way_of_the_next() {
    let scene = Scene::new();
    let world = scene.isolate();
    scene.ask(&world);
    world.advance_ms(STALENESS_MS);
    scene.assert_valid(&world, "memory", NOTHING);
    world.later.drop_all();
    // The bound has passed, so the verification itself brings the feed.
    world.advance_ms(1);
    scene.assert_valid(&world, "d1", (1, 0, 0));
    world.advance_ms(STALENESS_MS / 2 + 1);
    scene.assert_valid(&world, "memory", NOTHING);
    world.later.drop_all();
    world.advance_ms(STALENESS_MS / 4 - 1);
    scene.assert_valid(&world, "memory", NOTHING);
    assert_eq!(settled(&world), NOTHING, "the refresh from before may still be under way");
    world.advance_ms(1);
    scene.assert_valid(&world, "memory", NOTHING);
    assert_eq!(settled(&world), (1, 0, 0));
}

#[test]
fn feed_beyond_the_bound_costs_one_batch_before_the_answer() {
    let scene = Scene::new();
    let world = scene.isolate();
    scene.ask(&world);
    world.settle();
    world.advance_ms(STALENESS_MS);
    scene.assert_valid(&world, "memory", NOTHING);
    world.later.drop_all();
    world.advance_ms(1);
    scene.assert_valid(&world, "d1", (1, 0, 0));
}

#[test]
fn clock_that_was_set_back_makes_the_feed_unknown() {
    let scene = Scene::new();
    let world = scene.isolate();
    scene.ask(&world);
    world.advance_ms(-1);
    // No age can be told, so both keys are read anew.
    scene.assert_valid(&world, "d1", (1, 0, 0));
}

#[test]
fn kv_that_fails_or_lies_costs_a_read_and_nothing_else() {
    let scene = Scene::new();
    scene.fill_cache();
    let (cache_key, good) = {
        let values = scene.world.cache.values.borrow();
        let (key, value) = values.iter().find(|(_, value)| value.contains(&scene.id)).unwrap();
        (key.clone(), value.clone())
    };
    let other = {
        let (_, key) = scene.world.create(&scene.owner, "other", &["datasets:*"]);
        let world = scene.isolate();
        world.verify(&scene.owner, &key, &[]);
        world.settle();
        let values = scene.world.cache.values.borrow();
        values.values().find(|value| value.contains("other")).unwrap().clone()
    };
    let (mac, content) = good.split_at(64);
    let [ahead, behind] = ["\"seq\":9", "\"seq\":-"].map(|seq| good.replace("\"seq\":", seq));
    let wider = good.replace("datasets:read", "datasets:*");
    let [zeros, short] = ["0".repeat(64) + content, mac[..62].to_owned() + content];
    let lies = ["", "null", "{}", "[", "\0", mac, content, &good[1..], &other, &ahead, &behind, &wider, &zeros, &short];
    for lie in lies {
        scene.world.cache.values.borrow_mut().insert(cache_key.clone(), lie.to_owned());
        let world = scene.isolate();
        let (answer, io) = world.counted(|| world.verify(&scene.owner, &scene.key, &[]));
        assert_eq!((&answer["key_id"], &answer["source"]), (&json!(scene.id), &json!("d1")), "{lie}");
        assert_eq!(io, (1, 1, 0), "{lie}");
        world.settle();
    }
    scene.world.cache.failing.set(true);
    let world = scene.isolate();
    scene.assert_valid(&world, "d1", (1, 1, 0));
    assert_eq!(settled(&world), (0, 0, 1));
    scene.assert_valid(&world, "memory", NOTHING);
}

/// The text of a key that was never created.
fn invented_key() -> KeyText {
    KeyText::parse(UNKNOWN).unwrap()
}

/// The snapshot with which a forger would be the operator: a key and an organization that do not exist, may do
/// everything, and never change.
fn operator_snapshot(seq: i64) -> Snapshot {
    let id = "01900000-0000-7000-8000-00000000f0f0";
    serde_json::from_value(json!({
        "seq": seq, "key_id": id, "organization_id": id, "operator": true, "policy": {}, "subscription": "active",
        "kind": "org", "name": "forged", "scopes": null, "conditions": {}, "role": "owner", "metadata": {}, "operator_metadata": {},
        "life": { "expires_at": null, "disabled_at": null, "revoked_at": null }, "standing": "good",
    }))
    .unwrap()
}

/// The digest of a key's text as this deployment stores it.
fn digest(world: &World, key: &str) -> Digest {
    world.app.config.hasher.current(&KeyText::parse(key).unwrap()).0
}

/// The seal of another deployment, or a guess.
fn foreign_seal() -> CacheSeal {
    CacheSeal::new("another-operator-secret-0123456789abcdef").unwrap()
}

#[test]
fn forged_snapshot_in_kv_is_read_from_the_database() {
    for variables in [&[][..], &[("KEY_PEPPER", "0123456789abcdef")]] {
        let scene = Scene::with_config(variables);
        let seal = scene.world.app.config.cache_seal.clone().unwrap();
        let head = scene.world.database.value("SELECT max(seq) FROM changes").as_i64().unwrap();
        // An invented key, and a customer's own, whose entry the customer finds by watching the names.
        for (key, code) in [(invented_key().expose(), "invalid_api_key"), (&scene.key, "insufficient_scope")] {
            let digest = digest(&scene.world, key);
            for seq in [0, head, head + 1, 1 << 53] {
                let forged = operator_snapshot(seq);
                let plain = serde_json::to_string(&forged).unwrap();
                let enveloped = json!({ "digest": digest.to_hex(), "snapshot": forged }).to_string();
                let signed = snapshots::to_cache(&foreign_seal(), digest, &forged).unwrap();
                let elsewhere = snapshots::to_cache(&seal, Digest::of("another key"), &forged).unwrap();
                for value in [plain, enveloped, signed, elsewhere] {
                    let names = [
                        seal.name(digest),
                        foreign_seal().name(digest),
                        format!("snapshot:4:{}", digest.to_hex()),
                        format!("snapshot:6:{}", digest.to_hex()),
                    ];
                    scene.world.cache.values.borrow_mut().extend(names.map(|name| (name, value.clone())));
                    for path in ["/v1/organizations", "/v1/keys"] {
                        let world = scene.isolate();
                        let (answer, io) = world.counted(|| world.get(path, key));
                        assert_eq!((answer.code(), io), (code, (1, 1, 0)), "{value}");
                    }
                }
            }
        }
    }
}

#[test]
fn sealed_snapshot_beyond_the_head_of_the_feed_is_not_believed() {
    let scene = Scene::new();
    let head = scene.world.database.value("SELECT max(seq) FROM changes").as_i64().unwrap();
    let seal = scene.world.app.config.cache_seal.clone().unwrap();
    let digest = digest(&scene.world, UNKNOWN);
    for (seq, source) in [(head, Some("kv")), (head + 1, None), (1 << 53, None)] {
        let value = snapshots::to_cache(&seal, digest, &operator_snapshot(seq)).unwrap();
        scene.world.cache.values.borrow_mut().insert(seal.name(digest), value);
        assert_eq!(scene.isolate().verify(&scene.owner, UNKNOWN, &[])["source"].as_str(), source, "{seq}");
    }
}

#[test]
fn guard_stops_a_snapshot_that_the_keys_own_row_does_not_confirm() {
    let scene = Scene::new();
    let seal = scene.world.app.config.cache_seal.clone().unwrap();
    let head = scene.world.database.value("SELECT max(seq) FROM changes").as_i64().unwrap();
    let put = |key: &str, forged: &Snapshot| {
        let digest = digest(&scene.world, key);
        let value = snapshots::to_cache(&seal, digest, forged).unwrap();
        scene.world.cache.values.borrow_mut().insert(seal.name(digest), value);
    };
    // Even with the secret, what is not in the database opens nothing there.
    put(UNKNOWN, &operator_snapshot(head));
    assert_problem(&scene.isolate().get("/v1/keys", UNKNOWN), 401, "invalid_api_key");
    let (_, _, stranger) = scene.world.stranger(&scene.owner);
    scene.execute("UPDATE keys SET role = 'member', scopes = '[\"organization:read\"]' WHERE name = 'handed over'");
    let narrow = found(&scene.world, &stranger);
    let forgeries = [
        Snapshot { scopes: Scopes::Full, ..narrow.clone() },
        Snapshot { role: Role::Owner, ..narrow.clone() },
        Snapshot { operator: true, ..narrow.clone() },
        Snapshot { user_id: None, ..narrow.clone() },
        Snapshot { organization_id: found(&scene.world, &scene.key).organization_id, ..narrow.clone() },
        Snapshot { bound_to: Some(BoundTo::new("live_1")), ..narrow.clone() },
        Snapshot { life: Life { expires_at: Some(START.plus_ms(1)), ..narrow.life }, ..narrow.clone() },
    ];
    let guarded = |snapshot: Snapshot| {
        let principal = Principal::new(snapshot.into(), "", None, None);
        block_on(scene.world.app.confirm(&principal)).is_ok()
    };
    assert!(guarded(narrow));
    for forged in forgeries {
        assert!(!guarded(forged.clone()), "{forged:?}");
    }
}

/// The snapshot of a key as the database has it.
fn found(world: &World, key: &str) -> Snapshot {
    let found =
        block_on(world.app.find(Lookup { key: &KeyText::parse(key).unwrap(), freshness: Freshness::Strong, ip: None }))
            .unwrap()
            .unwrap();
    (*found.snapshot).clone()
}

#[test]
fn without_the_operators_secret_kv_is_neither_read_nor_written() {
    let scene = Scene::new();
    scene.fill_cache();
    let without = scene.world.reconfigured(&[("OPERATOR_SECRET", "")]);
    assert_eq!(without.get("/v1/scopes", &scene.owner).status, 200);
    scene.assert_valid(&without, "d1", (1, 0, 0));
    assert_eq!(settled(&without), NOTHING);
    scene.assert_valid(&without, "memory", NOTHING);
    // Another secret does not open what the first has sealed, and fills KV anew.
    let other = scene.world.reconfigured(&[("OPERATOR_SECRET", "another-operator-secret-0123456789abcdef")]);
    assert_eq!(other.get("/v1/scopes", &scene.owner).status, 200);
    scene.assert_valid(&other, "d1", (1, 1, 0));
    assert_eq!(settled(&other), (0, 0, 1));
    assert_eq!(scene.cached_snapshots(), 2);
}

#[test]
fn names_and_values_in_kv_do_not_tell_the_digest() {
    for variables in [&[][..], &[("KEY_PEPPER", "0123456789abcdef")]] {
        let scene = Scene::with_config(variables);
        scene.fill_cache();
        let digest = digest(&scene.world, &scene.key).to_hex();
        for (name, value) in scene.world.cache.values.borrow().iter() {
            assert!(!name.contains(&digest) && !value.contains(&digest), "{name} {value}");
        }
    }
}

#[test]
fn database_that_fails_is_survived_until_the_bound_and_never_longer() {
    let scene = Scene::new();
    let world = scene.isolate();
    scene.ask(&world);
    world.settle();
    world.database.down.set(true);
    world.advance_ms(STALENESS_MS / 2 + 1);
    for _ in 0..2 {
        scene.assert_valid(&world, "memory", NOTHING);
        assert_eq!(settled(&world), (1, 0, 0), "a refresh that failed is tried again");
        scene.assert_valid(&world, "memory", NOTHING);
        assert_eq!(settled(&world), NOTHING, "but not at once");
        world.advance_ms(STALENESS_MS / 4);
    }
    let body = json!({ "key": scene.key });
    let answer = world.post("/v1/keys/verify", &scene.owner, &body);
    assert_problem(&answer, 503, "unavailable");
    assert_problem(&world.get("/v1/scopes", &scene.key), 503, "unavailable");
    world.database.down.set(false);
    scene.assert_valid(&world, "d1", (1, 0, 0));
}

#[test]
fn grace_lets_go_on_what_was_verified_and_nothing_else() {
    let scene = Scene::with_config(&[("OUTAGE_GRACE_SECONDS", "60")]);
    scene.fill_cache();
    let (_, never_seen) = scene.world.create(&scene.owner, "never seen", &[]);
    let world = scene.isolate();
    scene.ask(&world);
    world.verify(&scene.owner, UNKNOWN, &[]);
    world.settle();
    let elsewhere = scene.isolate();
    world.database.down.set(true);
    let verify = |world: &World, body: &Value| world.counted(|| world.post("/v1/keys/verify", &scene.owner, body));
    let body = json!({ "key": scene.key });
    world.advance_ms(STALENESS_MS + 1);
    let (answer, io) = verify(&world, &body);
    assert_eq!(
        (answer.json["code"].clone(), answer.json["degraded"].clone(), io),
        (json!("valid"), json!(true), (1, 0, 0))
    );
    assert_eq!(answer.json["age_ms"], STALENESS_MS + 1);
    let (answer, io) = verify(&world, &body);
    assert_eq!(
        (answer.json["degraded"].clone(), io),
        (json!(true), NOTHING),
        "a database that has just failed is not asked"
    );
    // An isolate that has only the caller in memory finds the key in KV.
    let (answer, io) = verify(&elsewhere, &body);
    assert_eq!((answer.json["degraded"].clone(), io), (json!(true), (1, 1, 0)));
    // Nothing is said of keys that nobody has verified, of strangers' keys, or to who wants it fresh; and nothing is done.
    for body in [json!({ "key": never_seen }), json!({ "key": UNKNOWN }), strong_of(&scene.key)] {
        assert_problem(&verify(&world, &body).0, 503, "unavailable");
    }
    assert_problem(&world.get("/v1/scopes", UNKNOWN), 503, "unavailable");
    assert_problem(&world.get("/v1/keys/self", &scene.owner), 503, "unavailable");
    // A new isolate knows nothing that could vouch for a value of KV.
    assert_problem(&verify(&scene.world.another_isolate(), &body).0, 503, "unavailable");
    world.advance_ms(60_000 - 1);
    assert_eq!(verify(&world, &body).0.json["degraded"], true);
    world.advance_ms(1);
    assert_problem(&verify(&world, &body).0, 503, "unavailable");
    world.database.down.set(false);
    world.advance_ms(1_000);
    let (answer, _) = verify(&world, &body);
    assert_eq!((answer.json["valid"].clone(), answer.json["degraded"].clone()), (json!(true), json!(false)));
    // What was known to be revoked stays so.
    scene.world.revoke(&scene.owner, &scene.id);
    assert_eq!(verify(&world, &strong_of(&scene.key)).0.json["code"], "key_revoked");
    world.database.down.set(true);
    world.advance_ms(STALENESS_MS + 1);
    assert_eq!(verify(&world, &body).0.json["code"], "key_revoked");
}

fn strong_of(key: &str) -> Value {
    json!({ "key": key, "freshness": "strong" })
}

#[test]
fn database_that_fails_does_not_stop_a_key_that_kv_holds() {
    let scene = Scene::new();
    scene.fill_cache();
    let world = scene.isolate();
    world.database.down.set(true);
    scene.assert_valid(&world, "kv", (0, 1, 0));
}

#[test]
fn revoked_key_is_refused_at_once_and_elsewhere_within_the_bound() {
    for ms in [0, 1, STALENESS_MS, STALENESS_MS + 1] {
        let scene = Scene::new();
        scene.fill_cache();
        let (here, warm) = (scene.isolate(), scene.isolate());
        scene.assert_valid(&here, "kv", (0, 1, 0));
        scene.assert_valid(&warm, "kv", (0, 1, 0));
        here.revoke(&scene.owner, &scene.id);
        assert_eq!(scene.ask(&here).0, "key_revoked");
        // KV still holds the snapshot from before, and goes on doing so.
        assert_eq!(scene.cached_snapshots(), 1);
        here.advance_ms(ms);
        let (code, source, _) = scene.ask(&warm);
        if ms > STALENESS_MS {
            assert_eq!((code.as_str(), source.as_str()), ("key_revoked", "d1"));
        } else {
            assert_eq!((code.as_str(), source.as_str()), ("valid", "memory"));
        }
        assert_eq!(scene.ask(&scene.isolate()).0, "key_revoked", "an isolate that read the feed later");
        warm.settle();
        assert_eq!(scene.ask(&warm).0 == "key_revoked", ms > STALENESS_MS / 2);
    }
}

#[test]
fn every_change_behind_a_key_reaches_other_isolates_within_the_bound() {
    let this = "UPDATE keys SET";
    for (sql, code) in [
        (format!("{this} revoked_at = 1 WHERE THIS"), "key_revoked"),
        (format!("{this} disabled_at = 1 WHERE THIS"), "key_disabled"),
        (format!("{this} expires_at = 1 WHERE THIS"), "api_key_expired"),
        (format!("{this} digest = 'rotated' WHERE THIS"), "key_rotated"),
        (format!("{this} digest = 'x' || digest WHERE THIS"), "key_rotated"),
        (
            format!(
                "{this} id = '01900000-0000-7000-8000-ffffffffffff' WHERE THIS; {this} revoked_at = 1 WHERE id = '01900000-0000-7000-8000-ffffffffffff'"
            ),
            "key_revoked",
        ),
        ("DELETE FROM keys WHERE THIS".to_owned(), "invalid_api_key"),
        ("DELETE FROM memberships WHERE user_id = USER".to_owned(), "user_removed"),
        ("UPDATE memberships SET user_id = OTHER WHERE user_id = USER".to_owned(), "user_removed"),
        ("UPDATE memberships SET organization_id = ELSEWHERE WHERE user_id = USER".to_owned(), "user_removed"),
        ("UPDATE organizations SET suspended_at = 1 WHERE id = ORGANIZATION".to_owned(), "organization_suspended"),
    ] {
        let scene = Scene::new();
        let world = &scene.world;
        let operators = world.get("/v1/keys/self", &scene.owner).text("organization_id");
        let organization = world.organization("Acme");
        let elsewhere = world.organization("Elsewhere");
        let (user, other) = (world.user(&organization, "member"), world.user(&operators, "member"));
        scene.execute(&format!("UPDATE keys SET organization_id = '{organization}', user_id = '{user}' WHERE THIS"));
        scene.fill_cache();
        let warm = scene.isolate();
        scene.assert_valid(&warm, "kv", (0, 1, 0));
        scene.execute(
            &sql.replace("USER", &format!("'{user}'"))
                .replace("OTHER", &format!("'{other}'"))
                .replace("ELSEWHERE", &format!("'{elsewhere}'"))
                .replace("ORGANIZATION", &format!("'{organization}'")),
        );
        assert_eq!(scene.ask(&scene.isolate()).0, code, "{sql}");
        warm.advance_ms(STALENESS_MS + 1);
        assert_eq!(scene.ask(&warm).0, code, "{sql}");
    }
}

#[test]
fn changes_that_let_more_pass_arrive_as_well() {
    let scene = Scene::new();
    let (user_id, id, key) = scene.world.colleague(&scene.owner, "member");
    for (undo, redo, code) in [
        ("UPDATE keys SET disabled_at = 1 WHERE THIS", "UPDATE keys SET disabled_at = NULL WHERE THIS", "key_disabled"),
        (
            "UPDATE organizations SET suspended_at = 1 WHERE operator = 0",
            "UPDATE organizations SET suspended_at = NULL",
            "organization_suspended",
        ),
        (
            "DELETE FROM memberships WHERE user_id = 'USER'",
            "INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES ('ORGANIZATION', 'USER', 'member', 0)",
            "user_removed",
        ),
    ] {
        let organization = scene.world.organization("Other");
        let fill = |sql: &str| {
            let sql = sql.replace("THIS", &format!("id = '{id}'")).replace("USER", &user_id);
            scene.execute(&sql.replace("ORGANIZATION", &organization));
        };
        fill("UPDATE memberships SET organization_id = 'ORGANIZATION' WHERE user_id = 'USER'");
        fill("UPDATE keys SET organization_id = 'ORGANIZATION' WHERE THIS");
        fill(undo);
        let world = scene.isolate();
        assert_eq!(world.verify(&scene.owner, &key, &[])["code"], code);
        fill(redo);
        world.advance_ms(STALENESS_MS + 1);
        assert_eq!(world.verify(&scene.owner, &key, &[])["code"], "valid");
    }
}

#[test]
fn lowered_role_reaches_other_isolates_within_the_bound() {
    let scene = Scene::new();
    let (user_id, _, key) = scene.world.colleague(&scene.owner, "admin");
    let world = scene.isolate();
    let others = format!("/v1/keys/{}", scene.id);
    assert_eq!(world.get(&others, &key).status, 200);
    scene.execute(&format!("UPDATE memberships SET role = 'member' WHERE user_id = '{user_id}'"));
    world.advance_ms(STALENESS_MS + 1);
    assert_problem(&world.get(&others, &key), 404, "not_found");
}

#[test]
fn without_staleness_every_request_asks_the_database_and_nothing_else() {
    let scene = Scene::with_config(&[("MAX_STALENESS_SECONDS", "0")]);
    let world = scene.isolate();
    for _ in 0..2 {
        scene.assert_valid(&world, "d1", (1, 0, 0));
        world.verify(&scene.owner, UNKNOWN, &[]);
    }
    assert_eq!(settled(&world), NOTHING);
    scene.isolate().revoke(&scene.owner, &scene.id);
    assert_eq!(scene.ask(&world).0, "key_revoked");
}

#[test]
fn longer_staleness_is_the_operators_choice_and_is_told() {
    let scene = Scene::with_config(&[("MAX_STALENESS_SECONDS", "300")]);
    let world = scene.isolate();
    scene.ask(&world);
    let revoked = scene.isolate().call("DELETE", &format!("/v1/keys/{}", scene.id), &scene.owner, &Value::Null);
    assert_eq!(revoked.json["max_staleness_ms"], 300_000);
    world.later.drop_all();
    world.advance_ms(300_000);
    assert_eq!(scene.ask(&world).0, "valid");
    world.advance_ms(1);
    assert_eq!(scene.ask(&world).0, "key_revoked");
}

#[test]
fn strong_question_is_answered_by_the_database_and_sees_the_last_change() {
    let scene = Scene::new();
    let world = scene.isolate();
    scene.ask(&world);
    world.settle();
    let strong = |world: &World| {
        let body = json!({ "key": scene.key, "freshness": "strong" });
        let (answer, io) = world.counted(|| world.post("/v1/keys/verify", &scene.owner, &body));
        (answer.json["code"].clone(), answer.json["source"].clone(), io)
    };
    assert_eq!(strong(&world), (json!("valid"), json!("d1"), (1, 0, 0)));
    scene.execute("UPDATE keys SET revoked_at = 1 WHERE THIS");
    assert_eq!(strong(&world), (json!("key_revoked"), json!("d1"), (1, 0, 0)));
    // It brought the news for everybody else, too.
    assert_eq!(scene.ask(&world), ("key_revoked".to_owned(), "memory".to_owned(), NOTHING));
    assert_eq!(settled(&world), NOTHING, "a strong answer is no reason to write to KV");
}

#[test]
fn unknown_key_is_remembered_for_the_bound_alone_and_never_in_kv() {
    let scene = Scene::new();
    let world = scene.isolate();
    let ask = |world: &World| {
        let (answer, io) = world.counted(|| world.verify(&scene.owner, UNKNOWN, &[]));
        (answer, io)
    };
    let unknown = json!({ "valid": false, "code": "invalid_api_key" });
    assert_eq!(ask(&world), (unknown.clone(), (1, 1, 0)));
    assert_eq!(ask(&world), (unknown.clone(), NOTHING));
    assert_eq!(settled(&world), NOTHING);
    assert!(scene.world.cache.values.borrow().is_empty());
    // Now the key exists after all.
    scene.execute(&format!("UPDATE keys SET digest = '{UNKNOWN_DIGEST}' WHERE THIS"));
    world.advance_ms(STALENESS_MS - 1);
    assert_eq!(ask(&world), (unknown, NOTHING));
    world.later.drop_all();
    world.advance_ms(1);
    assert_eq!(ask(&world).0["valid"], true);
}

#[test]
fn garbage_costs_nothing() {
    let scene = Scene::new();
    let world = scene.isolate();
    let wrong_checksum = format!("{}0", &UNKNOWN[..UNKNOWN.len() - 1]);
    for garbage in ["", " ", "key", "bit_pat_", &wrong_checksum, &"é".repeat(10_000), &format!(" {UNKNOWN}"), "\0"] {
        let (answer, io) = world.counted(|| world.verify(&scene.owner, garbage, &[]));
        assert_eq!(answer, json!({ "valid": false, "code": "malformed_api_key" }));
        assert_eq!(io, NOTHING, "{garbage:?}");
    }
}

#[test]
fn kv_is_written_at_most_once_in_ten_minutes_for_a_key_however_often_it_changes() {
    let scene = Scene::new();
    let world = scene.isolate();
    let mut written_at = Vec::new();
    for second in 0..1_300 {
        scene.execute(&format!("UPDATE keys SET name = 'name {second}' WHERE THIS"));
        world.later.drop_all();
        world.advance_ms(1_000);
        scene.ask(&world);
        let (_, _, puts) = settled(&world);
        if puts > 0 {
            assert_eq!(puts, 1);
            written_at.push(second);
        }
    }
    assert_eq!(written_at.len(), 3, "{written_at:?}");
    assert!(written_at.windows(2).all(|pair| pair[1] - pair[0] >= 600), "{written_at:?}");
}

#[test]
fn snapshot_that_left_the_feeds_window_is_read_again() {
    let scene = Scene::new();
    scene.fill_cache();
    // More changes than one read of the feed brings, so that a new isolate cannot reach back that far.
    scene.execute(
        "INSERT INTO changes (subject, at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)
         SELECT 'x' || i, 0 FROM n",
    );
    scene.assert_valid(&scene.isolate(), "d1", (1, 1, 0));
}

#[test]
fn thousand_changes_of_one_key_leave_the_others_in_the_feeds_window() {
    let scene = Scene::new();
    scene.fill_cache();
    let rows = scene.world.database.count("changes");
    let (other, _) = scene.world.create(&scene.owner, "restless", &[]);
    for number in 0..1_001 {
        scene.world.change(&scene.owner, &other, &json!({ "name": format!("name {number}") }));
    }
    assert_eq!(scene.world.database.count("changes"), rows + 1, "one row for the key, however often it changed");
    scene.assert_valid(&scene.isolate(), "kv", (0, 1, 0));
    // The key itself is read again.
    scene.execute("UPDATE keys SET disabled_at = 1 WHERE THIS");
    assert_eq!(scene.ask(&scene.isolate()).0, "key_disabled");
}

#[test]
fn no_text_of_a_key_is_stored_anywhere() {
    let scene = Scene::with_config(&[("KEY_PEPPER", "0123456789abcdef")]);
    let mut texts = vec![scene.owner.clone(), scene.key.clone()];
    for label in ["prod", "eu1"] {
        let body = json!({ "name": "k", "scopes": ["api-keys:*"], "label": label, "metadata": { "a": "b" } });
        texts.push(scene.world.create_from(&scene.owner, &body).1);
    }
    let made = scene.world.post("/v1/api_key", &scene.owner, &json!({ "name": "k" }));
    texts.push(made.text("key"));
    for text in &texts {
        let world = scene.isolate();
        world.verify(&scene.owner, text, &[]);
        world.get("/v1/keys", text);
        world.settle();
    }
    scene.world.revoke(&scene.owner, &scene.id);
    let cached: Vec<String> = {
        let values = scene.world.cache.values.borrow();
        values.iter().map(|(key, value)| format!("{key} {value}")).collect()
    };
    assert!(cached.len() > 3, "{cached:?}");
    let everything = scene.world.database.dump() + &cached.concat();
    for text in &texts {
        let secret = &text[text.len() - 49..];
        // Only what the preview shows is there: of the secret its start, of the checksum its end.
        for part in [text.as_str(), &secret[..43], &secret[10..30], &secret[33..], "0123456789abcdef"] {
            assert!(!everything.contains(part), "{part}");
        }
    }
}

#[test]
fn keys_go_on_working_when_a_pepper_is_set_and_changed_twice() {
    let first = "first-pepper-0123456789";
    let second = "second-pepper-0123456789";
    let plain = Scene::new();
    let owner = &plain.owner;
    let set = plain.world.reconfigured(&[("KEY_PEPPER", first)]);
    let (_, under_first) = set.create(owner, "under the first", &[]);
    let changed = plain.world.reconfigured(&[
        ("KEY_PEPPER", second),
        ("KEY_PEPPER_VERSION", "2"),
        ("KEY_PEPPER_PREVIOUS", first),
    ]);
    let (_, under_second) = changed.create(owner, "under the second", &[]);
    for world in [&changed, &changed.another_isolate()] {
        for key in [&plain.key, &under_first, &under_second] {
            for _ in 0..2 {
                assert_eq!(world.verify(owner, key, &[])["valid"], true);
                world.settle();
            }
        }
    }
    let versions = "SELECT group_concat(pepper_version) FROM (SELECT pepper_version FROM keys ORDER BY created_at, pepper_version)";
    assert_eq!(plain.world.database.value(versions), "0,0,1,2");
    // Without the pepper, or with one that is older by two, a key cannot be found.
    let third = plain.world.reconfigured(&[("KEY_PEPPER", "third"), ("KEY_PEPPER_PREVIOUS", second)]);
    assert_eq!(third.verify(owner, &under_second, &[])["valid"], true);
    for world in [third, plain.world.another_isolate()] {
        assert_eq!(world.verify(owner, &under_first, &[])["code"], "invalid_api_key");
    }
}

#[test]
fn key_of_another_organization_does_not_exist_but_for_the_operator() {
    let scene = Scene::new();
    let (_, _, stranger) = scene.world.stranger(&scene.owner);
    let unknown = json!({ "valid": false, "code": "invalid_api_key" });
    scene.execute("UPDATE keys SET revoked_at = 1 WHERE THIS");
    for key in [&scene.owner, &scene.key, UNKNOWN] {
        assert_eq!(scene.world.verify(&stranger, key, &[]), unknown);
        assert_eq!(scene.world.verify(&stranger, key, &["datasets:write"]), unknown);
    }
    assert_eq!(scene.world.verify(&stranger, &stranger, &[])["valid"], true);
    assert_eq!(scene.world.verify(&scene.owner, &stranger, &[])["valid"], true);
    assert_eq!(scene.world.verify(&scene.owner, &scene.key, &[])["code"], "key_revoked");
}

#[test]
fn expiry_holds_to_the_millisecond_without_a_sweep_whatever_the_source() {
    let scene = Scene::new();
    scene.world.change(&scene.owner, &scene.id, &json!({ "expires_in_days": 1 }));
    let (code_at, last) = (|world: &World| scene.ask(world), START.plus_ms(DAY_MS - 1));
    scene.world.clock.0.set(last.plus_ms(-10));
    scene.fill_cache();
    let (memory, kv) = (scene.isolate(), scene.isolate());
    scene.assert_valid(&memory, "kv", (0, 1, 0));
    scene.world.clock.0.set(last);
    scene.assert_valid(&memory, "memory", NOTHING);
    scene.world.advance_ms(1);
    let expired = |source: &str, io: Io| ("api_key_expired".to_owned(), source.to_owned(), io);
    assert_eq!(code_at(&memory), expired("memory", NOTHING));
    assert_eq!(code_at(&kv), expired("kv", (0, 1, 0)));
    let strong = json!({ "key": scene.key, "freshness": "strong" });
    assert_eq!(kv.post("/v1/keys/verify", &scene.owner, &strong).json["code"], "api_key_expired");
    assert_problem(&memory.get("/v1/keys/self", &scene.key), 401, "api_key_expired");
}

#[test]
fn refusal_tells_the_most_lasting_reason_first() {
    let scene = Scene::new();
    let (user_id, id, key) = scene.world.colleague(&scene.owner, "member");
    let organization = scene.world.organization("Other");
    let verify = || scene.world.another_isolate().verify(&scene.owner, &key, &[])["code"].clone();
    let set = |column: &str| scene.execute(&format!("UPDATE keys SET {column} = 1 WHERE id = '{id}'"));
    scene.execute(&format!(
        "UPDATE memberships SET organization_id = '{organization}' WHERE user_id = '{user_id}';
         UPDATE keys SET organization_id = '{organization}' WHERE id = '{id}'"
    ));
    assert_eq!(verify(), "valid");
    set("expires_at");
    assert_eq!(verify(), "api_key_expired");
    set("disabled_at");
    assert_eq!(verify(), "key_disabled");
    scene.execute(&format!("UPDATE organizations SET suspended_at = 1 WHERE id = '{organization}'"));
    assert_eq!(verify(), "organization_suspended");
    set("revoked_at");
    assert_eq!(verify(), "key_revoked");
}

#[test]
fn scheme_is_read_in_any_case() {
    let scene = Scene::new();
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
        let mut request: Request = request("GET", "/v1/keys/self", "", &Value::Null);
        request.headers = vec![("authorization".to_owned(), format!("{scheme} {} ", scene.key))];
        assert_eq!(scene.world.send(&request).status, 200, "{scheme}");
    }
}
