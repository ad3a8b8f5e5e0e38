//! Rate limits: what a stranger and a tenant can make the service ask, and who is refused for it.

use bitting_http::{call::ANY, message::Request};
use bitting_keys::{
    domain::{
        key_text::{KeyKind, KeyText, Word},
        token::{InvitationToken, SessionToken},
    },
    ports::Limit,
};
use serde_json::{Value, json};

use crate::{
    errors::UNKNOWN,
    pages::Browser,
    support::{
        Answer, Limits, OPERATOR_SECRET, World,
        problem::assert_problem,
        request,
        routes::{every_key_route, every_route, prepared},
    },
};

/// A request from an address.
fn from(ip: &str, mut request: Request) -> Request {
    request.headers.push(("cf-connecting-ip".to_owned(), ip.to_owned()));
    request
}

/// Fills a secret with a number.
fn fill(number: u8) -> impl FnMut(&mut [u8]) -> Result<(), ()> {
    move |bytes| {
        bytes.fill(number);
        Ok(())
    }
}

/// A good text of a key that nobody has.
fn unknown(number: u8) -> String {
    KeyText::generate(&Word::parse("bit").unwrap(), None, KeyKind::Pat, fill(number)).unwrap().expose().to_owned()
}

fn guess(world: &World, ip: &str, key: &str) -> Answer {
    let answer = world.send(&from(ip, request("GET", "/v1/keys/self", key, &Value::Null)));
    world.settle();
    answer
}

#[test]
fn stranger_who_guesses_is_refused_before_anything_is_asked() {
    let (mut world, owner, targets) = prepared();
    world.app.limiter = Limits::new(Limit::UnknownCredentials, 20);
    assert_eq!(guess(&world, "192.0.2.1", &owner).status, 200);
    for number in 0..21 {
        assert_problem(&guess(&world, "192.0.2.1", &unknown(number)), 401, "invalid_api_key");
    }
    let (answer, asked) = world.counted(|| guess(&world, "192.0.2.1", &unknown(30)));
    assert_problem(&answer, 429, "rate_limited");
    assert_eq!((answer.header("retry-after"), asked), (Some("60"), (0, 0, 0)));
    // A key that this isolate knows goes on working from there, and every key from everywhere else.
    assert_eq!(guess(&world, "192.0.2.1", &owner).status, 200);
    assert_problem(&guess(&world, "192.0.2.1", &targets.key), 429, "rate_limited");
    assert_eq!(guess(&world, "192.0.2.2", &targets.key).status, 200);
    assert_eq!(guess(&world, "192.0.2.1", &targets.key).status, 200);
    // A subscriber's other addresses are the same subscriber.
    for number in 100..121_u8 {
        guess(&world, &format!("2001:db8::{number}"), &unknown(number));
    }
    assert_problem(&guess(&world, "2001:db8::9999", &unknown(60)), 429, "rate_limited");
    assert_problem(&guess(&world, "2001:db8:0:1::1", &unknown(61)), 401, "invalid_api_key");
    // A minute later it may try again.
    world.advance_ms(60_000);
    assert_problem(&guess(&world, "192.0.2.1", &unknown(40)), 401, "invalid_api_key");
}

#[test]
fn good_keys_and_repeated_guesses_never_count() {
    let (world, owner, targets) = prepared();
    let limits = Limits::new(Limit::UnknownCredentials, 0);
    let mut world = world;
    world.app.limiter = limits.clone();
    for key in [&owner, &targets.key, &owner] {
        assert_eq!(guess(&world, "192.0.2.1", key).status, 200);
    }
    assert_eq!(limits.counted.borrow().len(), 0);
    assert_problem(&guess(&world, "192.0.2.1", "bit_pat_x"), 401, "malformed_api_key");
    assert_eq!(limits.counted.borrow().len(), 0);
    assert_problem(&guess(&world, "192.0.2.1", UNKNOWN), 401, "invalid_api_key");
    // The isolate remembers that nobody has it.
    assert_problem(&guess(&world, "192.0.2.1", UNKNOWN), 401, "invalid_api_key");
    assert_eq!(limits.counted.borrow().len(), 1);
}

#[test]
fn every_surface_and_every_kind_of_credential_is_limited_in_its_own_envelope() {
    let (mut world, _, targets) = prepared();
    world.app.limiter = Limits::new(Limit::UnknownCredentials, 0);
    guess(&world, "192.0.2.1", &unknown(1));
    for route in every_key_route(&targets) {
        let asked = from("192.0.2.1", request(route.method, &route.path, &unknown(2), &route.known.body));
        let (answer, asked) = world.counted(|| world.send(&asked));
        assert_eq!((answer.status, asked), (429, (0, 0, 0)), "{}: {}", route.name(), answer.json);
        assert_eq!(answer.header("retry-after"), Some("60"), "{}", route.name());
    }
    // Invitations and sessions are looked up, too.
    let brand = Word::parse("bit").unwrap();
    let (mut world, ..) = prepared();
    world.app.limiter = Limits::new(Limit::UnknownCredentials, 1);
    let invitation = InvitationToken::generate(&brand, fill(1)).unwrap();
    let link = format!("/v1/invitations/{}", invitation.expose());
    for status in [404, 404, 429] {
        let answer = world.send(&from("192.0.2.1", request("GET", &link, "", &Value::Null)));
        world.settle();
        assert_eq!(answer.status, status, "{}", answer.json);
    }
    let body = json!({ "key_name": "k" });
    let answer = world.send(&from("192.0.2.1", request("POST", &format!("{link}/accept"), "", &body)));
    assert_problem(&answer, 429, "rate_limited");
    let mut browser = Browser::new(&world);
    browser.cookie = Some(format!("__Host-bitting={}", SessionToken::generate(&brand, fill(1)).unwrap().expose()));
    for (ip, status) in [("192.0.2.1", 429), ("192.0.2.9", 303), ("192.0.2.9", 303), ("192.0.2.9", 429)] {
        let asked = from(ip, browser.request("GET", "/settings/devices", &[], None));
        assert_eq!(world.send(&asked).status, status, "{ip}");
        world.settle();
    }
}

#[test]
fn writes_of_an_organization_are_limited_but_what_ends_something_never_is() {
    let (_, _, targets) = prepared();
    for route in every_route(&targets) {
        let (mut world, owner, _) = prepared();
        world.app.limiter = Limits::new(Limit::Writes, 0);
        let key = match route.access {
            "public" => "",
            "operator" => OPERATOR_SECRET,
            _ => owner.as_str(),
        };
        let answer = route.send(&world, key);
        let is_counted = !["public", "operator"].contains(&route.access)
            && !["GET", "DELETE", ANY].contains(&route.method)
            && !route.template.contains("/rotate")
            && !["/verify", "/simulate"].iter().any(|reading| route.template.ends_with(reading));
        assert_eq!(answer.status == 429, is_counted, "{}: {}", route.name(), answer.json);
    }
}
