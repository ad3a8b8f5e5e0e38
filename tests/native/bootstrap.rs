//! The operator's secret makes the first organization, owner and key, once.

use bitting_keys::{
    app::config::Config,
    domain::{audit::Retention, time::DAY_MS},
};
use futures::{executor::block_on, future::join};
use serde_json::{Value, json};

use crate::{
    pages::Browser,
    support::{Answer, OPERATOR_SECRET, World, problem::assert_problem, request},
};

fn first() -> Value {
    json!({ "organization": "Acme", "email": "owner@example.com", "key_name": "first" })
}

fn bootstrap(world: &World, secret: &str) -> Answer {
    world.post("/v1/bootstrap", secret, &first())
}

/// How many organizations, users, memberships, keys and events there are.
fn counts(world: &World) -> [i64; 5] {
    ["organizations", "users", "memberships", "keys", "audit_events"].map(|table| world.database.count(table))
}

#[test]
fn bootstrap_makes_an_organization_its_owner_and_a_key_with_full_access() {
    let world = World::new();
    let answer = bootstrap(&world, OPERATOR_SECRET);
    assert_eq!(answer.status, 201, "{}", answer.json);
    assert_eq!(counts(&world), [1, 1, 1, 1, 1]);
    let key = world.get("/v1/keys/self", &answer.text("key")).json;
    for (field, expected) in [
        ("name", json!("first")),
        ("kind", json!("pat")),
        ("role", json!("owner")),
        ("full_access", json!(true)),
        ("created_by", json!(null)),
        ("organization_id", world.database.value("SELECT id FROM organizations WHERE operator = 1")),
        ("user_id", world.database.value("SELECT id FROM users WHERE email = 'owner@example.com'")),
    ] {
        assert_eq!(key[field], expected, "{field}");
    }
}

#[test]
fn bootstrap_twice_is_a_conflict_that_changes_nothing() {
    let world = World::new();
    bootstrap(&world, OPERATOR_SECRET);
    let before = world.database.dump();
    let again = bootstrap(&world.another_isolate(), OPERATOR_SECRET);
    assert_problem(&again, 409, "already_bootstrapped");
    assert_eq!(again.header("x-should-retry"), Some("false"));
    assert_eq!(world.database.dump(), before);
}

#[test]
fn of_two_bootstraps_at_once_one_wins() {
    let mut one = World::new();
    let mut two = one.another_isolate();
    one.before_batches(|_, _| {});
    two.before_batches(|_, _| {});
    let request = request("POST", "/v1/bootstrap", OPERATOR_SECRET, &first());
    let handle = bitting::entry::handle;
    let (first, second) = block_on(join(handle(&one.app, &request), handle(&two.app, &request)));
    assert_eq!([first.status, second.status], [201, 409]);
    assert_eq!(counts(&one), [1, 1, 1, 1, 1]);
}

#[test]
fn bootstrap_refuses_every_secret_but_the_operators() {
    let world = World::new();
    for wrong in ["", " ", "x", &OPERATOR_SECRET[1..], &OPERATOR_SECRET.to_uppercase(), &format!("{OPERATOR_SECRET}x")]
    {
        assert_problem(&bootstrap(&world, wrong), 401, "invalid_operator_secret");
    }
    assert_eq!(counts(&world), [0; 5]);
}

#[test]
fn bootstrap_is_closed_when_no_secret_is_set() {
    let world = World::with_config(&[("OPERATOR_SECRET", "")]);
    for guess in ["", "x", OPERATOR_SECRET] {
        assert_problem(&bootstrap(&world, guess), 401, "invalid_operator_secret");
    }
    assert_eq!(counts(&world), [0; 5]);
}

#[test]
fn bootstrap_that_fails_leaves_nothing_half_written() {
    let world = World::new();
    world.database.fail_next("D1 is down");
    assert_problem(&bootstrap(&world, OPERATOR_SECRET), 503, "unavailable");
    assert_eq!(counts(&world), [0; 5]);
    // One that fails at its very last statement.
    world
        .database
        .execute("CREATE TRIGGER refuse BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'refused'); END");
    assert_problem(&bootstrap(&world, OPERATOR_SECRET), 503, "unavailable");
    assert_eq!(counts(&world), [0; 5]);
    assert_eq!(world.database.count("changes"), 0);
    world.database.execute("DROP TRIGGER refuse");
    assert_eq!(bootstrap(&world, OPERATOR_SECRET).status, 201);
}

#[test]
fn config_names_the_variable_that_is_wrong_and_never_its_value() {
    for (variable, value) in [
        ("OPERATOR_SECRET", "a-short-secret-of-31-characters"),
        ("KEY_BRAND", "Big"),
        ("KEY_BRAND", "a_b"),
        ("KEY_BRAND", "a2345678901234567"),
        ("MAX_STALENESS_SECONDS", "-1"),
        ("MAX_STALENESS_SECONDS", "301"),
        ("MAX_STALENESS_SECONDS", "5s"),
        ("AUDIT_RETENTION_MIN_DAYS", "0"),
        ("AUDIT_RETENTION_MIN_DAYS", "366"),
        ("AUDIT_RETENTION_DAYS", "0"),
        ("AUDIT_RETENTION_DAYS", "36501"),
        ("KEY_PEPPER_VERSION", "0"),
        ("KEY_PEPPER_PREVIOUS", "a pepper, but none that is newer"),
    ] {
        let read = Config::read(|name| (name == variable).then(|| value.to_owned()));
        let message = read.err().unwrap();
        assert!(message.starts_with(variable), "{message}");
        assert!(value.len() < 16 || !message.contains(value), "{message}");
    }
}

#[test]
fn config_needs_nothing_to_be_set() {
    let config = Config::read(|_| None).ok().unwrap();
    assert_eq!(config.brand.as_str(), "bit");
    assert_eq!(config.max_staleness_ms, 5_000);
    assert_eq!(config.audit_retention, Retention { default_ms: 365 * DAY_MS, least_ms: 30 * DAY_MS });
    assert!(config.operator_secret.is_none() && config.hasher.peppers.is_empty());
}

const OWNER_LINKS: &str = "/v1/operator/sign-in-links";

#[test]
fn operators_secret_lets_an_owner_in_who_has_lost_every_key() {
    let world = World::new();
    let owner = world.bootstrap();
    let user = world.get("/v1/keys/self", &owner).text("user_id");
    world.database.execute("UPDATE keys SET revoked_at = 1");
    for body in [json!({}), json!({ "email": null }), json!({ "email": "Owner@Example.com" })] {
        let answer = world.post(OWNER_LINKS, OPERATOR_SECRET, &body);
        assert_eq!(answer.status, 201, "{}", answer.json);
        assert_eq!((answer.text("user_id"), answer.text("email")), (user.clone(), "owner@example.com".to_owned()));
        assert_eq!(answer.text("expires_at"), "2027-01-15T08:15:00.000Z");
        let mut browser = Browser::with_link(&world, &answer.text("link"));
        assert!(browser.is_signed_in());
    }
    // A key that they create there can do everything, and has no end.
    let link = world.post(OWNER_LINKS, OPERATOR_SECRET, &json!({})).text("link");
    let mut browser = Browser::with_link(&world, &link);
    let fields = [("name", "again"), ("owner", "me"), ("full", "yes"), ("expires", "never")];
    assert_eq!(browser.fill("/settings/keys/new", "/settings/keys/new", &fields).status, 200);
    let key = "SELECT role || ' ' || (scopes IS NULL) || ' ' || (expires_at IS NULL) FROM keys WHERE name = 'again'";
    assert_eq!(world.database.value(key), json!("owner 1 1"));
}

#[test]
fn owners_link_of_the_operator_is_in_the_audit_log_and_works_once() {
    let world = World::new();
    world.bootstrap();
    let link = world.post(OWNER_LINKS, OPERATOR_SECRET, &json!({})).text("link");
    let path = link.strip_prefix("https://keys.example.com").unwrap();
    let event = "SELECT actor_kind || ' ' || (subject = (SELECT user_id FROM memberships)) || ' ' || \
                 (organization_id = (SELECT id FROM organizations WHERE operator = 1)) \
                 FROM audit_events WHERE action = 'sign_in_link.created'";
    assert_eq!(world.database.value(event), json!("operator 1 1"));
    assert!(!world.database.dump().contains(path.strip_prefix("/sign-in/").unwrap()));
    assert_eq!(Browser::new(&world).post(path, &[]).status, 303);
    assert_eq!(Browser::new(&world).post(path, &[]).status, 404);
}

#[test]
fn operators_secret_opens_nothing_but_the_operators_organization() {
    let world = World::new();
    assert_problem(&world.post(OWNER_LINKS, OPERATOR_SECRET, &json!({})), 404, "not_found");
    let owner = world.bootstrap();
    let (other, _, _) = world.stranger(&owner);
    let (admin, _, _) = world.colleague(&owner, "admin");
    let address = |id: &str| {
        let sql = format!("SELECT email FROM users WHERE id = '{id}'");
        world.database.value(&sql).as_str().unwrap().to_owned()
    };
    let stranger = format!("SELECT user_id FROM memberships WHERE organization_id = '{other}'");
    let stranger = world.database.value(&stranger).as_str().unwrap().to_owned();
    let before = world.database.dump();
    for email in [address(&stranger), address(&admin), "nobody@example.com".to_owned()] {
        assert_problem(&world.post(OWNER_LINKS, OPERATOR_SECRET, &json!({ "email": email })), 404, "not_found");
    }
    for wrong in ["", "x", &OPERATOR_SECRET[1..], &owner] {
        assert_problem(&world.post(OWNER_LINKS, wrong, &json!({})), 401, "invalid_operator_secret");
    }
    assert_eq!(world.database.dump(), before);
}
