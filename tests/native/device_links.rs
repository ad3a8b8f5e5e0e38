//! Device links: a person approves a key on the settings pages, and the program that showed the link claims it.

use bitting::entry::chores;
use bitting_keys::domain::time::DAY_MS;
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::{
    pages::{Browser, html, nonce, world},
    support::{Answer, Limits, World, problem::assert_problem, routes::device_token},
};

const CLAIM: &str = "/v1/device-links/claim";
const NEW: &str = "/settings/keys/new";
const MINUTE_MS: i64 = 60_000;

/// A program's token, and the page of its link.
fn link(seed: u8) -> (String, String, String) {
    let token = device_token(seed);
    let digest = token.digest().to_hex();
    (token.expose().to_owned(), format!("{NEW}?device={digest}&name=laptop"), digest)
}

fn approve(browser: &mut Browser<'_>, page: &str, digest: &str, fields: &[(&str, &str)]) -> Answer {
    let good = [("name", "laptop"), ("owner", "me"), ("scope", "api-keys:read"), ("expires", "30"), ("device", digest)];
    let kept = good.into_iter().filter(|(name, _)| !fields.iter().any(|(other, _)| other == name));
    browser.fill(page, NEW, &kept.chain(fields.iter().copied()).collect::<Vec<_>>())
}

/// An event between the approval and the claim: it gets the owner's key and the id of the key that waits.
type Happening<'a> = &'a dyn Fn(&World, &str, &str);

fn claim(world: &World, token: &str) -> Answer {
    world.post(CLAIM, "", &json!({ "token": token }))
}

#[test]
fn approved_key_is_claimed_once_with_the_scopes_and_the_expiry_that_were_chosen() {
    let (world, owner, _) = world();
    let (token, page, digest) = link(1);
    assert_problem(&claim(&world, &token), 409, "link_not_approved");
    let mut browser = Browser::with_key(&world, &owner);
    let shown = html(&browser.get(&page));
    let code = digest.to_uppercase();
    assert!(
        shown.contains(&format!("{}-{}", &code[..4], &code[4..8])) && shown.contains("value=\"laptop\""),
        "{shown}"
    );
    let approved = approve(&mut browser, &page, &digest, &[]);
    let said = html(&approved);
    assert!(approved.status == 200 && said.contains("Approved") && !said.contains("id=\"key\""), "{said}");
    // Nobody has the key yet, and it says so by its end.
    let waiting = world.get("/v1/keys?name=laptop", &owner).json["items"][0].clone();
    let soon = world.clock.0.get().plus_ms(10 * MINUTE_MS).to_rfc3339();
    assert_eq!((&waiting["expires_at"], &waiting["last_used_at"]), (&json!(soon), &Value::Null));
    let claimed = claim(&world, &token);
    assert_eq!((claimed.status, claimed.header("cache-control")), (201, Some("no-store")), "{}", claimed.json);
    let month = world.clock.0.get().plus_ms(30 * DAY_MS).to_rfc3339();
    assert_eq!((claimed.text("id"), claimed.text("expires_at")), (waiting["id"].as_str().unwrap().to_owned(), month));
    let verdict = world.verify(&owner, &claimed.text("key"), &["api-keys:read"]);
    assert_eq!((&verdict["code"], &verdict["scopes"]), (&json!("valid"), &json!(["api-keys:read"])));
    assert_problem(&claim(&world, &token), 409, "link_not_approved");
    assert_eq!(world.database.count("device_links"), 0);
    let events = world.get(&format!("/v1/keys/{}/events", claimed.text("id")), &owner).json;
    let event = &events["items"][0];
    assert_eq!((&event["action"], &event["actor"]["id"]), (&json!("key.claimed"), &waiting["id"]), "{event}");
}

#[test]
fn link_gives_nothing_after_its_time_or_after_a_change_of_the_key() {
    let late = |world: &World, _: &str, _: &str| world.advance_ms(10 * MINUTE_MS);
    let revoked = |world: &World, owner: &str, id: &str| world.revoke(owner, id);
    let disabled = |world: &World, owner: &str, id: &str| {
        world.change(owner, id, &json!({ "enabled": false }));
    };
    let shortened = |world: &World, owner: &str, id: &str| {
        world.change(owner, id, &json!({ "expires_in_days": 1 }));
    };
    let rotated = |world: &World, owner: &str, id: &str| {
        assert_eq!(world.post(&format!("/v1/keys/{id}/rotate"), owner, &json!({})).status, 200);
    };
    let cases: [(&str, Happening<'_>); 5] = [
        ("late", &late),
        ("revoked", &revoked),
        ("disabled", &disabled),
        ("shortened", &shortened),
        ("rotated", &rotated),
    ];
    for (name, happen) in cases {
        let (world, owner, _) = world();
        let (token, page, digest) = link(1);
        approve(&mut Browser::with_key(&world, &owner), &page, &digest, &[]);
        let id = world.get("/v1/keys?name=laptop", &owner).json["items"][0]["id"].as_str().unwrap().to_owned();
        happen(&world, &owner, &id);
        let before = world.get(&format!("/v1/keys/{id}"), &owner).json;
        assert_problem(&claim(&world, &token), 409, "link_not_approved");
        let after = world.get(&format!("/v1/keys/{id}"), &owner).json;
        assert_eq!((&after["expires_at"], &after["preview"]), (&before["expires_at"], &before["preview"]), "{name}");
    }
}

#[test]
fn approval_gives_no_more_than_the_person_holds() {
    let (world, owner, _) = world();
    let (token, page, digest) = link(1);
    let body = json!({ "name": "short", "scopes": ["api-keys:*"], "expires_in_days": 7 });
    let (_, short) = world.create_from(&owner, &body);
    let mut browser = Browser::with_key(&world, &short);
    for fields in [[("scope", "datasets:read")], [("full", "yes")], [("expires", "30")], [("expires", "never")]] {
        let answer = approve(&mut browser, &page, &digest, &fields);
        assert!([400, 403].contains(&answer.status), "{fields:?} {}", answer.status);
        assert_problem(&claim(&world, &token), 409, "link_not_approved");
    }
    assert_eq!(world.database.count("device_links"), 0);
    approve(&mut browser, &page, &digest, &[("expires", "end")]);
    let end = world.clock.0.get().plus_ms(7 * DAY_MS).to_rfc3339();
    assert_eq!(claim(&world, &token).text("expires_at"), end);
}

#[test]
fn answer_that_is_loaded_again_approves_once() {
    let (world, owner, _) = world();
    let (token, page, digest) = link(1);
    let mut browser = Browser::with_key(&world, &owner);
    let nonce = nonce(&html(&browser.get(&page)));
    let chosen = [("name", "laptop"), ("owner", "me"), ("scope", "api-keys:read"), ("expires", "30")];
    let fields = [&chosen[..], &[("nonce", &*nonce), ("device", &*digest)]].concat();
    for _ in 0..2 {
        assert!(html(&browser.post(NEW, &fields)).contains("Approved"));
    }
    assert_eq!(world.database.value("SELECT count(*) FROM keys WHERE name = 'laptop'"), 1);
    assert_eq!(claim(&world, &token).status, 201);
}

#[test]
fn last_approval_of_a_link_counts() {
    let (world, owner, _) = world();
    let (token, page, digest) = link(1);
    let mut browser = Browser::with_key(&world, &owner);
    approve(&mut browser, &page, &digest, &[("name", "first")]);
    approve(&mut browser, &page, &digest, &[("name", "second")]);
    assert_eq!(claim(&world, &token).text("name"), "second");
    assert_problem(&claim(&world, &token), 409, "link_not_approved");
}

#[test]
fn wrong_links_and_tokens_are_refused_without_io() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let (token, page, digest) = link(1);
    for wrong in ["ab", &digest[1..], &format!("g{}", &digest[1..]), &format!("{digest}00")] {
        assert_eq!(browser.get(&format!("{NEW}?device={wrong}")).status, 400, "{wrong}");
    }
    assert_eq!(approve(&mut browser, &page, "ab", &[]).status, 400);
    for wrong in ["", "bit_dev_", &token.replace("_dev_", "_inv_"), &format!("{token}0"), &token.to_uppercase()] {
        let (answer, io) = world.counted(|| claim(&world, wrong));
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(io, (0, 0, 0), "{wrong}");
    }
}

#[test]
fn claims_of_strangers_are_limited_by_their_address() {
    let mut world = World::new();
    world.app.limiter = Limits::new(bitting_keys::ports::Limit::UnknownCredentials, 3);
    let ask = |seed: u8| {
        let mut request = crate::support::request("POST", CLAIM, "", &json!({ "token": link(seed).0 }));
        request.headers.push(("cf-connecting-ip".to_owned(), "192.0.2.7".to_owned()));
        world.send(&request)
    };
    for seed in 1..=4 {
        assert_problem(&ask(seed), 409, "link_not_approved");
        world.settle();
    }
    assert_problem(&ask(5), 429, "rate_limited");
}

#[test]
fn sweep_deletes_links_that_have_expired() {
    let (world, owner, _) = world();
    let (_, page, digest) = link(1);
    approve(&mut Browser::with_key(&world, &owner), &page, &digest, &[]);
    world.advance_ms(10 * MINUTE_MS);
    block_on(world.app.sweep(chores())).unwrap();
    assert_eq!(world.database.count("device_links"), 0);
}
