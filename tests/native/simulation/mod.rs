//! The promise, on the code itself: however late, lost, old or overtaken the answers of the database
//! and of KV are, a key that has ended is refused everywhere within the staleness that the operator
//! allows, at once by whoever asks for a strong answer, and nothing is read or written in its name.
//!
//! `BITTING_HISTORIES=100000 cargo test simulation` runs longer; `BITTING_SEED=7 cargo test
//! simulation` tells one history again. `tests/mutations.rs` proves that this test can fail.

mod storm;
mod time;
mod world;

use std::{env, rc::Rc};

use bitting::entry;
use bitting_keys::{
    app::error::Error,
    domain::{
        decision::decide,
        feed::PAGE,
        key_text::KeyText,
        lookup::{Freshness, Lookup},
        scope::Scope,
    },
};
use serde_json::{Value, json};

use self::world::{HOLDERS, ISOLATES, REPLICAS, Stage, Tally, TestKey, World};
use crate::support;

/// How many histories are told when nobody says.
const HISTORIES: u64 = 150;
/// Keys 0 and 1 are of one organization and user, 2 and 3 of another and of its project. Key 1 descends from 0, and 3
/// from 2.
const KEYS: usize = 4;
const READ: [Scope; 1] = [Scope::named("datasets:read")];
const DEMANDS: [&[Scope]; 2] = [&[], &READ];
const ALL_SCOPES: [&str; 2] = ["api-keys:*", "datasets:read"];

/// Before every history: all changes are pruned, and all keys are good.
const RESET: &str = r#"
    UPDATE keys SET disabled_at = NULL, revoked_at = NULL, ended_with = NULL,
    scopes = '["api-keys:*", "datasets:read"]', updated_at = 0,
    digest = (SELECT digest FROM first_digests WHERE first_digests.id = keys.id);
    DELETE FROM ended_secrets;
    UPDATE organizations SET suspended_at = NULL;
    UPDATE projects SET deleted_at = NULL;
    DELETE FROM memberships;
    INSERT INTO memberships (organization_id, user_id, role, created_at)
    SELECT DISTINCT organization_id, user_id, 'owner', 0 FROM keys;
    DELETE FROM audit_events;
    DELETE FROM changes WHERE subject <> 'pruned';
"#;

/// Makes good whatever is not.
const BRING_BACK: &str = r#"
    UPDATE keys SET disabled_at = NULL, revoked_at = NULL, ended_with = NULL,
    scopes = '["api-keys:*", "datasets:read"]',
    digest = (SELECT digest FROM first_digests WHERE first_digests.id = keys.id)
    WHERE disabled_at IS NOT NULL OR revoked_at IS NOT NULL OR scopes = '["api-keys:*"]' OR digest LIKE 'rotated %';
    UPDATE organizations SET suspended_at = NULL WHERE suspended_at IS NOT NULL;
    UPDATE projects SET deleted_at = NULL WHERE deleted_at IS NOT NULL;
    INSERT OR IGNORE INTO memberships (organization_id, user_id, role, created_at)
    SELECT DISTINCT organization_id, user_id, 'owner', 0 FROM keys;
"#;

/// A second organization with a user and a project takes over two of the keys.
const SECOND_ORGANIZATION: &str = "
    INSERT INTO organizations (id, name, created_at) VALUES ('01900000-0000-7000-8000-000000000001', 'Second', 0);
    INSERT INTO usage (organization_id, projects) VALUES ('01900000-0000-7000-8000-000000000001', 1);
    INSERT INTO users VALUES ('01900000-0000-7000-8000-000000000002', 'second@example.com', 0);
    INSERT INTO projects (id, organization_id, name, created_at)
    VALUES ('01900000-0000-7000-8000-000000000003', '01900000-0000-7000-8000-000000000001', 'only', 0);
    UPDATE keys SET organization_id = '01900000-0000-7000-8000-000000000001',
    user_id = '01900000-0000-7000-8000-000000000002', project_id = '01900000-0000-7000-8000-000000000003'
    WHERE name IN ('2', '3');
    UPDATE keys SET parent_id = (SELECT id FROM keys AS parent WHERE parent.name = CAST(keys.name - 1 AS TEXT))
    WHERE name IN ('1', '3');
";

#[test]
fn key_that_has_ended_is_refused_in_time_in_every_history() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let stage = stage();
    if let Some(seed) = number("BITTING_SEED") {
        return tell(&stage, seed);
    }
    let histories = number("BITTING_HISTORIES").unwrap_or(HISTORIES);
    (0..histories).for_each(|seed| tell(&stage, seed));
    // A run that never comes to where the danger is would prove nothing.
    let count = |what| stage.tally.of(what);
    let answers = count("memory") + count("kv") + count("replica") + count("d1");
    for what in ["memory", "d1"] {
        assert!(count(what) * 5 >= answers, "{what}: {:?}", stage.tally);
    }
    for what in ["kv", "guard passed", "guard stopped", "accepted late, in time", "cut off"] {
        assert!(u64::from(count(what)) >= histories / 5, "{what}: {:?}", stage.tally);
    }
    assert!(count("unavailable") * 100 <= answers * 5, "{:?}", stage.tally);
    assert!(count("unavailable without trouble") * 1_000 <= answers, "{:?}", stage.tally);
}

fn stage() -> Rc<Stage> {
    let world = support::World::new();
    let owner = world.bootstrap();
    let keys = (0..KEYS).map(|key| {
        let (id, secret) = world.create(&owner, &key.to_string(), &ALL_SCOPES);
        let text = KeyText::parse(&secret).unwrap();
        TestKey { id, secret, text }
    });
    let keys = keys.collect();
    world.database.execute(SECOND_ORGANIZATION);
    // A history can rotate a key's secret out, and the next one begins with it.
    world.database.execute("CREATE TABLE first_digests AS SELECT id, digest FROM keys");
    // Each history begins with an empty audit trail.
    world.database.execute("DROP TRIGGER audit_events_kept");
    let config = |grace| {
        let variables = [("READ_REPLICAS", "1"), ("OUTAGE_GRACE_SECONDS", grace)];
        Rc::clone(&world.reconfigured(&variables).app.config)
    };
    let configs = ["0", "10"].map(config);
    Rc::new(Stage { database: world.database, configs, keys, tally: Tally::default() })
}

fn tell(stage: &Rc<Stage>, seed: u64) {
    stage.database.execute(RESET);
    World::play(stage, seed, script);
}

/// What happens in a history.
async fn script(world: Rc<World>) {
    // Each history has a character of its own, because dangers differ in what they need. Busy ones
    // have many answers under way at once; in quiet ones feeds and snapshots grow old. In some,
    // nearly everything happens to one isolate and one key, so that memory answers.
    let pause_ms = [150, 500, 1_500][world.pick(0..3)];
    let others_percent = [10, 30, 100][world.pick(0..3)];
    let (evictions, upheavals) = ([1, 6][world.pick(0..2)], [2, 9][world.pick(0..2)]);
    for _ in 0..world.pick(30..90) {
        world.sleep(world.duration(pause_ms)).await;
        let any = |count| {
            if world.chance(others_percent) { world.pick(0..count) } else { 0 }
        };
        let (isolate, key) = (any(ISOLATES), any(KEYS));
        let start_verify = |key| world.spawn_fragile(Box::pin(verify(Rc::clone(&world), isolate, key)));
        let start_request = |method, id: &str, body| {
            let path = format!("/v1/keys/{id}");
            world.spawn_fragile(Box::pin(request(Rc::clone(&world), isolate, key, method, path, body)));
        };
        let id = &world.stage.keys[key].id;
        // Of the other key of the same organization, or of itself.
        let other_id = &world.stage.keys[key ^ world.pick(0..2)].id;
        match world.pick(0..100) {
            dice if dice < evictions => {
                world.evict(isolate);
                // Some new isolates are asked for many keys before they have heard anything. Others are
                // asked for one, and later find the rest in KV.
                let asked_at_once = if world.chance(50) { 2 * KEYS } else { 1 };
                (0..asked_at_once).for_each(|key| start_verify(key % KEYS));
            }
            dice if dice < evictions + upheavals => {
                if world.chance(60) {
                    world.execute(&burst(&world));
                }
                if world.chance(60) {
                    world.execute(&prune(&world));
                }
            }
            18 => world.end_holder(world.pick(0..HOLDERS)),
            19 => world.catch_up(world.pick(0..REPLICAS)),
            20..26 => world.execute(BRING_BACK),
            26..36 => {
                world.execute(&end(&world, id));
                // Whoever is late is most easily found just after the promise has run out.
                for isolate in 0..ISOLATES {
                    let world = Rc::clone(&world);
                    world.clone().spawn(async move {
                        let allowed_ms = world.config.max_staleness_ms;
                        world.sleep(allowed_ms + 1 + world.duration(1_000)).await;
                        verify(world, isolate, key).await;
                    });
                }
            }
            36..42 => start_request("GET", "self", Value::Null),
            42..44 => {
                let with_descendants = if world.chance(50) { "?with_descendants=true" } else { "" };
                start_request("DELETE", &format!("{other_id}{with_descendants}"), Value::Null);
            }
            44..46 => start_request("PATCH", other_id, json!({ "enabled": world.chance(50) })),
            46..48 => start_request("PATCH", other_id, json!({ "scopes": &ALL_SCOPES[..world.pick(1..3)] })),
            48..51 => start_request("POST", "verify", json!({ "key": world.stage.keys[world.pick(0..KEYS)].secret })),
            51 => world.set_clock_back(isolate, 1 + world.duration(3_000)),
            52 if world.troubled => world.fail_primary(world.duration(8_000)),
            _ => start_verify(key),
        }
    }
}

async fn verify(world: Rc<World>, isolate: usize, key: usize) {
    let app = world.app(isolate, key);
    let tally = &world.stage.tally;
    let demand = world.pick(0..DEMANDS.len());
    let freshness = match world.pick(0..20) {
        0 => Freshness::Strong,
        // All that has happened until now.
        1 => Freshness::AtLeast(world.seq("SELECT coalesce(max(seq), 0) FROM changes")),
        _ => Freshness::Bounded,
    };
    let strong = freshness != Freshness::Bounded;
    let began = world.now();
    let lookup = Lookup { key: &world.stage.keys[key].text, freshness, ip: None };
    match app.find(lookup).await {
        Ok(Some(found)) => {
            tally.count(if found.degraded { "degraded" } else { found.source.as_str() });
            let subjects: Vec<_> = found.snapshot.subjects().map(|subject| json!(subject).to_string()).collect();
            let subjects = subjects.join(",").replace('"', "'");
            let last = world.seq(&format!("SELECT coalesce(max(seq), 0) FROM changes WHERE subject IN ({subjects})"));
            if found.snapshot.seq < last && last <= found.seq {
                world.broken(&format!("an answer that lacks change {} is said to be of {}", last.0, found.seq.0));
            }
            if decide(&found.snapshot, support::used(DEMANDS[demand], app.clock.now())).is_ok() {
                world.accepted(isolate, key, demand, strong, began, found.degraded);
            }
        }
        Ok(None) => world.broken("a key was not found"),
        Err(Error::Unavailable(_)) if world.is_down() => tally.count("unavailable while the primary is down"),
        Err(Error::Unavailable(_)) if world.troubled => tally.count("unavailable"),
        Err(Error::Unavailable(_)) => tally.count("unavailable without trouble"),
        Err(error) => world.broken(&format!("{error:?}")),
    }
}

/// A request of a key through the router. What its batches do is judged where they run; only a
/// verification runs none in the name of its caller, who is accepted when the answer is there.
async fn request(world: Rc<World>, isolate: usize, key: usize, method: &'static str, path: String, body: Value) {
    let app = world.app(isolate, key);
    let request = support::request(method, &path, &world.stage.keys[key].secret, &body);
    let began = world.now();
    let response = entry::handle(&app, &request).await;
    let verified = response.status == 200 && path.ends_with("verify");
    if response.status == 503 && !world.troubled {
        world.stage.tally.count("unavailable without trouble");
    }
    if verified {
        let body: Value = serde_json::from_slice(&support::read(response.body)).unwrap();
        world.accepted(isolate, key, 0, false, began, body["degraded"] == true);
    }
}

/// Ends what this key may do, or a part of it, in one of the ways there are.
fn end(world: &World, id: &str) -> String {
    match world.pick(0..8) {
        0 => format!("UPDATE keys SET revoked_at = 1 WHERE id = '{id}'"),
        1 => format!("UPDATE keys SET disabled_at = 1 WHERE id = '{id}'"),
        2 => format!("UPDATE keys SET scopes = '[\"api-keys:*\"]' WHERE id = '{id}'"),
        3 => format!(
            "UPDATE organizations SET suspended_at = 1 WHERE id = (SELECT organization_id FROM keys WHERE id = '{id}')"
        ),
        4 => format!("UPDATE projects SET deleted_at = 1 WHERE id = (SELECT project_id FROM keys WHERE id = '{id}')"),
        6 => format!("UPDATE keys SET revoked_at = 1, ended_with = '{id}' WHERE id = '{id}' OR parent_id = '{id}'"),
        5 => format!("UPDATE keys SET digest = 'rotated ' || id WHERE id = '{id}'"),
        _ => format!("DELETE FROM memberships WHERE user_id = (SELECT user_id FROM keys WHERE id = '{id}')"),
    }
}

/// Many changes of something else, often more than one read of the feed brings.
fn burst(world: &World) -> String {
    let page = usize::try_from(PAGE).unwrap();
    let changes = if world.chance(70) { world.pick(1..10) } else { world.pick(page - 5..page + page / 4) };
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {changes}) \
         INSERT INTO changes (subject, at) SELECT printf('02000000-0000-7000-8000-%012x', i), 0 FROM n WHERE true \
         ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq"
    )
}

/// Drops all but the newest few changes.
fn prune(world: &World) -> String {
    let kept = world.pick(1..5);
    format!("DELETE FROM changes WHERE seq <= (SELECT max(seq) FROM changes) - {kept}")
}
