//! Leaked keys: whoever holds the whole text of a key may end it.

use bitting_keys::ports::Limit;
use serde_json::{Value, json};

use crate::support::{Answer, Limits, World, problem::assert_problem};

fn report(world: &World, keys: &[&str]) -> Answer {
    let answer = world.post("/v1/leaks", "", &json!({ "keys": keys, "url": "https://paste.example/1" }));
    assert_eq!((answer.status, &answer.json), (202, &json!({ "received": keys.len() })), "{}", answer.json);
    answer
}

fn code(world: &World, key: &str) -> String {
    let answer = world.another_isolate().get("/v1/keys/self", key);
    if answer.status == 200 { "good".to_owned() } else { answer.code().to_owned() }
}

fn on_leak(world: &World, owner: &str, response: &str) {
    let answer = world.call("PATCH", "/v1/organizations/self", owner, &json!({ "on_leak": response }));
    assert_eq!((answer.status, &answer.json["on_leak"]), (200, &json!(response)), "{}", answer.json);
}

fn events(world: &World) -> Vec<Value> {
    let text = world.database.value(
        "SELECT json_group_array(json_object('subject', subject, 'details', json(details))) \
         FROM (SELECT * FROM audit_events WHERE action = 'key.leaked' ORDER BY id)",
    );
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

#[test]
fn reported_key_ends_as_its_organization_wants_it() {
    for (response, after) in [("revoke", "key_revoked"), ("disable", "key_disabled"), ("notify", "good")] {
        let world = World::new();
        let owner = world.bootstrap();
        on_leak(&world, &owner, response);
        let (id, key) = world.create(&owner, "leaked", &["datasets:read"]);
        let (_, other) = world.create(&owner, "other", &["datasets:read"]);
        assert_eq!(world.get("/v1/keys/self", &key).status, 200);
        report(&world, &["nothing", &key, &key, &format!(" {key}\n")]);
        assert_eq!((code(&world, &key).as_str(), code(&world, &other).as_str()), (after, "good"), "{response}");
        // The isolate that knew the key learns of it from the feed.
        world.advance_ms(5_001);
        assert_eq!(world.get("/v1/keys/self", &key).status == 200, response == "notify");
        let details = json!({
            "source": "report", "response": response, "outgoing": false, "url": "https://paste.example/1",
        });
        assert_eq!(events(&world), [json!({ "subject": id, "details": details })]);
        report(&world, &[&key]);
        assert_eq!(events(&world).len(), 1, "a repeated report is not another event on the same day");
    }
}

#[test]
fn report_ends_the_last_key_of_an_organization_and_many_keys_at_once() {
    let world = World::new();
    let owner = world.bootstrap();
    let keys: Vec<String> = (0..50).map(|n| world.create(&owner, &format!("key {n}"), &[]).1).collect();
    let all: Vec<&str> = keys.iter().map(String::as_str).chain([owner.as_str()]).collect();
    let (_, (batches, ..)) = world.counted(|| report(&world, &all));
    assert_eq!(batches, 1);
    assert_eq!(events(&world).len(), 51);
    for key in all {
        assert_eq!(code(&world, key), "key_revoked");
    }
}

#[test]
fn reported_outgoing_secret_ends_without_its_key() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, old) = world.create(&owner, "rotated", &[]);
    let rotated = world.post(&format!("/v1/keys/{id}/rotate"), &owner, &json!({ "grace_period_seconds": 900 }));
    let new = rotated.text("key");
    assert_eq!(code(&world, &old), "good");
    report(&world, &[&old]);
    assert_eq!((code(&world, &old), code(&world, &new)), ("key_rotated".to_owned(), "good".to_owned()));
    assert_eq!(events(&world)[0]["details"]["outgoing"], json!(true));
    // A secret that has ended ends nothing.
    report(&world, &[&old]);
    assert_eq!(code(&world, &new), "good");
}

#[test]
fn report_of_texts_that_are_no_keys_asks_nothing_and_mistakes_are_told() {
    let mut world = World::new();
    world.bootstrap();
    let texts: Vec<String> = (0..1000).map(|n| format!("bit_pat_{n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (_, asked) = world.counted(|| report(&world, &texts));
    assert_eq!(asked, (0, 0, 0));
    let many: Vec<&str> = vec!["x"; 1001];
    for (body, field) in [
        (json!({ "keys": [] }), "keys"),
        (json!({ "keys": many }), "keys"),
        (json!({ "keys": "x" }), "keys"),
        (json!({ "keys": ["x"], "url": "a\nb" }), "url"),
        (json!({ "keys": ["x"], "url": "a".repeat(501) }), "url"),
        (json!({}), "keys"),
    ] {
        let answer = world.post("/v1/leaks", "", &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field);
    }
    world.app.limiter = Limits::new(Limit::LeakReports, 1);
    let body = json!({ "keys": ["x"] });
    assert_eq!(world.post("/v1/leaks", "", &body).status, 202);
    assert_problem(&world.post("/v1/leaks", "", &body), 429, "rate_limited");
}

#[test]
fn report_with_a_pepper_and_while_the_database_fails_is_right() {
    let mut world = World::new();
    let owner = world.bootstrap();
    let (_, plain) = world.create(&owner, "plain", &[]);
    world.configure(&[("KEY_PEPPER", "a-pepper-that-is-long-enough-for-it")]);
    let (_, peppered) = world.create(&owner, "peppered", &[]);
    world.database.fail_next("D1_ERROR: no");
    let body = json!({ "keys": [plain, peppered] });
    assert_problem(&world.post("/v1/leaks", "", &body), 503, "unavailable");
    assert_eq!((code(&world, &plain).as_str(), code(&world, &peppered).as_str()), ("good", "good"));
    report(&world, &[&plain, &peppered]);
    assert_eq!((code(&world, &plain).as_str(), code(&world, &peppered).as_str()), ("key_revoked", "key_revoked"));
}

#[test]
fn format_describes_every_key_and_no_other_text() {
    let world = World::new();
    let owner = world.bootstrap();
    let body = json!({ "name": "k", "scopes": [], "label": "eu1" });
    let (_, labelled) = world.create_from(&owner, &body);
    let format = world.get("/.well-known/api-key-format", "").json;
    let pattern = regex_lite::Regex::new(format["pattern"].as_str().unwrap()).unwrap();
    for key in [&owner, &labelled] {
        assert_eq!(pattern.find(&format!("key = \"{key}\";")).unwrap().as_str(), key);
        assert!(key.contains(format["keyword"].as_str().unwrap()));
        assert!(pattern.find(&key[..key.len() - 1]).is_none() && pattern.find(&format!("{key}0")).is_none());
    }
    assert_eq!(format["report_url"], json!("https://keys.example.com/v1/leaks"));
    for rule in ["gitleaks", "trufflehog"] {
        assert!(format[rule].as_str().unwrap().contains(format["pattern"].as_str().unwrap()), "{rule}");
    }
}
