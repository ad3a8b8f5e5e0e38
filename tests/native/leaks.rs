//! Leaked keys: whoever holds the whole text of a key may end it.

use std::{cell::RefCell, rc::Rc};

use base64::prelude::{BASE64_STANDARD, Engine};
use bitting_http::message::Body;
use bitting_keys::ports::{ByteSource, Incoming, Limit, LocalFuture, Outgoing, Upstream, UpstreamError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Answer, Limits, Seal, World, problem::assert_problem, request};

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
fn report_that_ends_something_is_always_recorded_and_one_that_does_not_changes_nothing() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, key) = world.create(&owner, "leaked", &[]);
    let updated = || world.get(&format!("/v1/keys/{id}"), &owner).json["updated_at"].clone();
    for (response, expected) in [("notify", 1), ("disable", 2), ("disable", 2), ("revoke", 3), ("revoke", 3)] {
        on_leak(&world, &owner, response);
        let before = updated();
        let recorded = events(&world).len();
        report(&world, &[&key]);
        assert_eq!(events(&world).len(), expected, "{response}");
        let changes = recorded != expected && response != "notify";
        assert_eq!(updated() != before, changes, "{response}");
    }
    assert_eq!(code(&world, &key), "key_revoked");
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

/// GitHub, with a list of keys.
struct Github {
    answer: RefCell<Option<Value>>,
    asked: RefCell<usize>,
}

impl Upstream for Github {
    fn send(&self, request: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>> {
        assert_eq!(request.path, "/meta/public_keys/secret_scanning");
        *self.asked.borrow_mut() += 1;
        let answer = self.answer.borrow().clone().ok_or(UpstreamError::TimedOut);
        Box::pin(async move {
            let body: Rc<dyn ByteSource> = Rc::new(answer?.to_string().into_bytes());
            Ok(Incoming { status: 200, headers: Vec::new(), body: Some(body) })
        })
    }
}

fn from_github(world: &World, body: &str, key_id: &str, signature: &str) -> Answer {
    let mut request = request("POST", "/v1/leaks/github", "", &Value::Null);
    request.body = Body::Bytes(body.as_bytes().to_vec());
    request.headers.push(("github-public-key-identifier".to_owned(), key_id.to_owned()));
    request.headers.push(("github-public-key-signature".to_owned(), signature.to_owned()));
    world.send(&request)
}

/// A signature of the text, as DER in base64.
fn signature(text: &str) -> String {
    let r = Seal::sign("010203", text.as_bytes());
    BASE64_STANDARD.encode([&[0x30, 0x26, 0x02, 0x21, 0x00][..], &r, &[0x02, 0x01, 0x01]].concat())
}

#[test]
fn report_of_github_is_taken_if_it_is_signed_and_answered_with_verdicts() {
    let mut world = World::new();
    let owner = world.bootstrap();
    let (_, key) = world.create(&owner, "leaked", &[]);
    let keys = json!({ "public_keys": [{ "key_identifier": "one", "key": "-----BEGIN PUBLIC KEY-----\nAQID\n-----END PUBLIC KEY-----\n" }] });
    let github = Rc::new(Github { answer: RefCell::new(Some(keys)), asked: RefCell::default() });
    world.app.upstream = github.clone();
    let body = json!([
        { "token": key, "type": "bitting_key", "url": "https://github.com/a/b\n", "source": "content" },
        { "token": "nothing", "type": "bitting_key", "url": null },
    ])
    .to_string();
    let other = body.replace("nothing", "anything");
    for (body, key_id, signature) in
        [(&body, "one", String::new()), (&body, "two", signature(&body)), (&other, "one", signature(&body))]
    {
        assert_problem(&from_github(&world, body, key_id, &signature), 403, "invalid_signature");
    }
    assert_eq!(code(&world, &key), "good");
    let answer = from_github(&world, &body, "one", &signature(&body));
    let verdict = |text: &str, label: &str| {
        let token_hash = BASE64_STANDARD.encode(Sha256::digest(text));
        json!({ "token_hash": token_hash, "token_type": "bitting_key", "label": label })
    };
    let verdicts = json!([verdict(&key, "true_positive"), verdict("nothing", "false_positive")]);
    assert_eq!((answer.status, &answer.json), (200, &verdicts), "{}", answer.json);
    assert_eq!(code(&world, &key), "key_revoked");
    assert_eq!(events(&world)[0]["details"]["source"], json!("github"));
    assert_eq!(events(&world)[0]["details"]["url"], json!("https://github.com/a/b"));
    // A key that has ended was a key.
    assert_eq!(from_github(&world, &body, "one", &signature(&body)).json, verdicts);
    // An unknown key is asked for once in ten seconds.
    assert_eq!(*github.asked.borrow(), 1);
    world.advance_ms(10_000);
    from_github(&world, &body, "two", &signature(&body));
    assert_eq!(*github.asked.borrow(), 2);
    *github.answer.borrow_mut() = None;
    let fresh = world.another_isolate();
    assert_problem(&from_github(&fresh, &body, "one", &signature(&body)), 503, "unavailable");
    for (body, code) in [("{}", "validation_failed"), ("[{}]", "validation_failed"), ("x", "malformed_json")] {
        assert_problem(&from_github(&world, body, "one", &signature(body)), 400, code);
    }
}

#[test]
fn security_txt_names_the_contact_of_the_operator() {
    let mut world = World::new();
    assert_problem(&world.get("/.well-known/security.txt", ""), 404, "not_found");
    world.configure(&[("SECURITY_CONTACT", "mailto:security@example.com")]);
    let answer = world.get("/.well-known/security.txt", "");
    let text = answer.json.as_str().unwrap().to_owned();
    assert_eq!(
        text,
        "Contact: mailto:security@example.com\nExpires: 2027-07-14T08:00:00.000Z\nPreferred-Languages: en\n\
         Canonical: https://keys.example.com/.well-known/security.txt\n"
    );
}
