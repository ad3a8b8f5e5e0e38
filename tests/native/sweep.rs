//! The cron trigger's work: it can run twice, at the same time as another, or die anywhere.

use bitting::entry::chores;
use bitting_keys::app::sweep::Swept;
use futures::{executor::block_on, future::join};
use serde_json::{Value, json};

use crate::support::{Rows, START, World};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A world with an owner's key and a key of which to make copies; their ids.
fn world() -> (World, String, String) {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, _) = world.create(&owner, "copied", &[]);
    (world, owner, id)
}

fn sweep(world: &World) -> Swept {
    block_on(world.app.sweep(chores())).unwrap()
}

fn expired(keys_expired: usize) -> Swept {
    [("keys_expired", keys_expired)].into_iter().filter(|(_, rows)| *rows > 0).collect()
}

/// How many events of an expiry there are, and for how many keys.
fn recorded(world: &World) -> (Value, Value) {
    let sql = |what: &str| format!("SELECT count({what} subject) FROM audit_events WHERE action = 'key.expired'");
    (world.database.value(&sql("")), world.database.value(&sql("DISTINCT")))
}

#[test]
fn sweep_records_what_has_expired_once() {
    let (world, owner, _) = world();
    let make = |days: i64| {
        let body = json!({ "name": "n", "scopes": [], "expires_in_days": days });
        world.create_from(&owner, &body).0
    };
    let (due, disabled, revoked, later) = (make(1), make(1), make(1), make(2));
    world.change(&owner, &disabled, &json!({ "enabled": false }));
    world.revoke(&owner, &revoked);
    world.advance_ms(DAY_MS - 1);
    assert_eq!(sweep(&world), expired(0));
    world.advance_ms(1);
    let changes = world.database.count("changes");
    assert_eq!(sweep(&world), expired(2));
    assert_eq!(sweep(&world), expired(0));
    assert_eq!(recorded(&world), (json!(2), json!(2)));
    assert_eq!(world.database.count("changes"), changes, "a deadline needs no feed row");
    for (id, count) in [(due, 1), (disabled, 1), (revoked, 0), (later, 0)] {
        let events = world.get(&format!("/v1/keys/{id}/events"), &owner).json;
        let events = events["items"].as_array().unwrap().clone();
        let events: Vec<&Value> = events.iter().filter(|event| event["action"] == "key.expired").collect();
        assert_eq!(events.len(), count);
        if let Some(event) = events.first() {
            assert_eq!(event["actor"], json!({ "kind": "system", "id": null, "user_id": null }));
            assert_eq!(event["details"], json!({ "expires_at": "2027-01-16T08:00:00.000Z" }));
            assert_eq!(event["at"], "2027-01-16T08:00:00.000Z");
        }
    }
}

#[test]
fn sweep_records_again_what_was_extended_and_has_expired_again() {
    let (world, owner, _) = world();
    let body = json!({ "name": "n", "scopes": [], "expires_in_days": 1 });
    let (id, _) = world.create_from(&owner, &body);
    world.advance_ms(DAY_MS);
    assert_eq!(sweep(&world), expired(1));
    world.change(&owner, &id, &json!({ "expires_in_days": 1 }));
    assert_eq!(sweep(&world), expired(0));
    world.advance_ms(DAY_MS);
    assert_eq!(sweep(&world).rows("keys_expired"), 1);
    assert_eq!(recorded(&world), (json!(2), json!(1)));
}

#[test]
fn sweep_works_in_batches_of_500() {
    let (world, _, id) = world();
    world.copy_key(&id, 1_201, "00000001", Some(START.0 - 2_000));
    let (swept, io) = world.counted(|| sweep(&world));
    // Three batches for the keys, one each to see how far the feed is, that no rotation is over and that nothing is to
    // be pruned. KV keeps how far the feed is.
    assert_eq!((swept, io), (expired(1_201), (21, 1, 1)));
    assert_eq!(recorded(&world), (json!(1_201), json!(1_201)));
}

#[test]
fn sweep_prunes_sessions_and_links_that_have_expired() {
    let (world, _, id) = world();
    let session = |name: &str, expires_at: i64| {
        format!(
            "INSERT INTO sessions (id, digest, organization_id, role, user_agent, created_at, last_seen_at, expires_at)
             SELECT '{name}', '{name}', organization_id, 'owner', '', 0, 0, {expires_at} FROM keys WHERE id = '{id}';
             INSERT INTO sign_in_links (digest, organization_id, user_id, role, expires_at)
             SELECT '{name}', organization_id, user_id, 'owner', {expires_at} FROM keys WHERE id = '{id}';"
        )
    };
    world.database.execute(&(session("over", START.0) + &session("open", START.0 + 1)));
    assert_eq!(sweep(&world).rows("sessions_pruned"), 1);
    assert_eq!(world.database.value("SELECT group_concat(id) FROM sessions"), "open");
    assert_eq!(world.database.value("SELECT group_concat(digest) FROM sign_in_links"), "open");
}

#[test]
fn sweep_stops_when_its_time_is_up_and_goes_on_at_the_next() {
    let (mut world, _, id) = world();
    world.copy_key(&id, 1_201, "00000001", Some(START.0 - 2_000));
    let clock = world.clock.clone();
    world.before_batches(move |_, _| clock.0.set(clock.0.get().plus_ms(11_000)));
    assert_eq!(sweep(&world), expired(1_000));
    assert_eq!(sweep(&world), expired(201));
    assert_eq!(recorded(&world), (json!(1_201), json!(1_201)));
}

#[test]
fn two_sweeps_at_once_share_the_work() {
    let (mut first, _, id) = world();
    first.copy_key(&id, 1_201, "00000001", Some(START.0 - 2_000));
    let mut second = first.another_isolate();
    // Each batch lets the other sweep take a turn.
    first.before_batches(|_, _| {});
    second.before_batches(|_, _| {});
    let (one, two) = block_on(join(first.app.sweep(chores()), second.app.sweep(chores())));
    let (one, two) = (one.unwrap().rows("keys_expired"), two.unwrap().rows("keys_expired"));
    assert!(one > 0 && two > 0 && one + two == 1_201, "{one} {two}");
    assert_eq!(recorded(&first), (json!(1_201), json!(1_201)));
}

#[test]
fn sweep_that_dies_anywhere_leaves_nothing_half_done() {
    for dies_at in 0..11 {
        let (mut world, _, id) = world();
        world.copy_key(&id, 1_201, "00000001", Some(START.0 - 2_000));
        world.before_batches(move |database, number| database.down.set(number == dies_at));
        assert!(block_on(world.app.sweep(chores())).is_err());
        let marked = world.database.value("SELECT count(*) FROM keys WHERE expired_at IS NOT NULL");
        assert_eq!(recorded(&world), (marked.clone(), marked), "died at {dies_at}");
        sweep(&world);
        assert_eq!(recorded(&world), (json!(1_201), json!(1_201)));
    }
}

#[test]
fn sweep_prunes_changes_that_no_copy_can_be_older_than() {
    let (world, owner, _) = world();
    let fill = |prefix: &str, at: i64| {
        world.database.execute(&format!(
            "INSERT INTO changes (subject, at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
             SELECT '{prefix}' || i, {at} FROM n"
        ));
    };
    let old = usize::try_from(world.database.count("changes")).unwrap();
    fill("old", START.0);
    fill("new", START.0 + 1);
    let newest = world.database.value("SELECT max(seq) FROM changes");
    world.advance_ms(2 * DAY_MS - 1);
    assert_eq!(sweep(&world).rows("changes_pruned"), 0);
    world.advance_ms(1);
    assert_eq!(sweep(&world).rows("changes_pruned"), 1_200 + old);
    assert_eq!(sweep(&world).rows("changes_pruned"), 0);
    let oldest = "SELECT group_concat(subject) FROM (SELECT subject FROM changes ORDER BY seq LIMIT 2)";
    assert_eq!(world.database.value(oldest), "pruned,new1");
    assert_eq!(world.database.value("SELECT max(seq) FROM changes"), newest);
    world.advance_ms(1);
    assert_eq!(sweep(&world).rows("changes_pruned"), 1_200);
    assert_eq!(world.database.value("SELECT max(seq) FROM changes"), newest, "the newest number is never lost");
    assert_eq!(world.database.count("changes"), 1);
    // Isolates that slept through it, and new ones, go on working.
    for world in [world.another_isolate(), world] {
        assert_eq!(world.get("/v1/keys", &owner).status, 200);
    }
}

#[test]
fn sweep_prunes_audit_events_behind_their_retention() {
    let world = World::with_config(&[("AUDIT_RETENTION_DAYS", "2")]);
    let owner = world.bootstrap();
    let (id, _) = world.create(&owner, "key", &[]);
    world.database.execute(
        "INSERT INTO audit_events (organization_id, subject, action, actor_kind, at, keep_until)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
         SELECT 'o', 's', 'key.updated', 'system', 1800000000000, 1800172800000 FROM n",
    );
    world.advance_ms(DAY_MS);
    world.change(&owner, &id, &json!({ "name": "new" }));
    world.advance_ms(DAY_MS - 1);
    assert_eq!(sweep(&world).rows("events_pruned"), 0, "they are kept to the last millisecond");
    world.advance_ms(1);
    assert_eq!(sweep(&world).rows("events_pruned"), 1_202);
    assert_eq!(sweep(&world).rows("events_pruned"), 0);
    let events = world.get(&format!("/v1/keys/{id}/events"), &owner).json;
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
}

#[test]
fn retention_of_an_event_is_the_one_from_when_it_was_written() {
    let mut world = World::with_config(&[("AUDIT_RETENTION_DAYS", "2")]);
    let owner = world.bootstrap();
    let body = json!({ "name": "n", "scopes": [], "expires_in_days": 1 });
    world.create_from(&owner, &body);
    world.configure(&[("AUDIT_RETENTION_DAYS", "1")]);
    world.advance_ms(DAY_MS);
    // The expiry is written now, with the shorter retention.
    assert_eq!(sweep(&world), expired(1));
    world.advance_ms(DAY_MS - 1);
    assert_eq!(sweep(&world).rows("events_pruned"), 0);
    world.advance_ms(1);
    assert_eq!(sweep(&world).rows("events_pruned"), 3);
}

/// A world with as many rows as this of each of the three tables that TruLayer's library fills.
fn traced(config: &[(&str, &str)], rows: usize) -> World {
    let world = World::with_config(config);
    let owner = world.bootstrap();
    let traces: Vec<Value> = (0..rows).map(|_| json!({ "id": world.fresh_id() })).collect();
    assert_eq!(world.post("/v1/ingest/batch", &owner, &json!({ "traces": traces })).status, 201);
    for trace in &traces {
        let feedback = json!({ "trace_id": trace["id"], "label": "good" });
        assert!(world.post("/v1/feedback", &owner, &feedback).status < 300);
        let eval = json!({ "trace_id": trace["id"], "evaluator_type": "llm", "metric_name": "tone" });
        assert!(world.post("/v1/eval", &owner, &eval).status < 300);
    }
    world
}

#[test]
fn sweep_prunes_traces_behind_their_retention() {
    let world = traced(&[("TRACE_RETENTION_DAYS", "2")], 501);
    world.advance_ms(2 * DAY_MS - 1);
    assert_eq!(sweep(&world).rows("traces_pruned"), 0, "they are kept to the last millisecond");
    world.advance_ms(1);
    let (swept, io) = world.counted(|| sweep(&world));
    // One batch for each of the thirteen other steps, and for each table a full one and one for the rest.
    assert_eq!((swept.rows("traces_pruned"), io), (3 * 501, (20, 1, 0)));
    assert_eq!(["traces", "feedback", "evals"].map(|table| world.database.count(table)), [0, 0, 0]);
}

#[test]
fn traces_are_kept_for_ever_when_nobody_says() {
    let world = traced(&[], 2);
    world.advance_ms(100 * 365 * DAY_MS);
    assert_eq!(sweep(&world).rows("traces_pruned"), 0);
    assert_eq!(["traces", "feedback", "evals"].map(|table| world.database.count(table)), [2, 2, 2]);
}

/// What a use case costs the database must not grow with what the database holds.
#[test]
fn cost_stays_the_same_among_many_keys() {
    let cost = |others: usize| {
        let (world, owner, id) = world();
        world.copy_key(&id, others, "00000001", None);
        world.copy_key(&id, others, "00000002", Some(START.0 + 1_000_000));
        world.copy_key(&id, 3, "00000003", Some(START.0 - 10));
        let (name, key) = world.create_from(&owner, &json!({ "name": "one", "scopes": [] }));
        let get =
            |world: &World, path: &str, by: &str| world.steps(|| assert_eq!(world.get(path, by).status, 200, "{path}"));
        let oldest = "00000001-0000-7000-8000-000000000001";
        [
            world.steps(|| assert_eq!(sweep(&world), expired(3))),
            world.steps(|| assert_eq!(sweep(&world), expired(0))),
            get(&world.another_isolate(), "/v1/keys/self", &key),
            get(&world, &format!("/v1/keys/{name}"), &owner),
            get(&world, "/v1/keys?limit=2", &owner),
            get(&world, "/v1/keys?name=one", &owner),
            get(&world, &format!("/v1/keys?limit=2&ending_before={oldest}"), &owner),
            world.steps(|| world.revoke(&owner, &name)),
        ]
    };
    let among_few = cost(10);
    assert!(among_few.iter().all(|steps| *steps > 0));
    assert_eq!(among_few, cost(10_000));
}
