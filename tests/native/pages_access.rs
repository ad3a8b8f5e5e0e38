//! Signing in on the settings pages as whom Cloudflare Access has let through.

use std::{cell::RefCell, rc::Rc};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use bitting_keys::{
    app::config::Config,
    domain::catalogue::Target,
    ports::{ByteSource, Incoming, LocalFuture, Outgoing, Upstream, UpstreamError},
};
use serde_json::{Value, json};

use crate::{
    pages::{Browser, html, world},
    support::{Answer, OPERATOR_SECRET, START, Seal, World},
};

const CONFIG: [(&str, &str); 2] = [("ACCESS_TEAM_DOMAIN", "acme.cloudflareaccess.com"), ("ACCESS_AUDIENCE", "aud-1")];

/// The team's server, which has these keys. `None`: it is down.
#[derive(Default)]
struct Team {
    keys: RefCell<Option<Value>>,
    asked: RefCell<usize>,
}

impl Upstream for Team {
    fn send(&self, request: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>> {
        assert_eq!(request.target, Target::Upstream("https://acme.cloudflareaccess.com".to_owned()));
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/cdn-cgi/access/certs"));
        *self.asked.borrow_mut() += 1;
        let keys = self.keys.borrow().clone().ok_or(UpstreamError::TimedOut);
        Box::pin(async move {
            let body: Rc<dyn ByteSource> = Rc::new(keys?.to_string().into_bytes());
            Ok(Incoming { status: 200, headers: Vec::new(), body: Some(body) })
        })
    }
}

fn keys(ids: &[&str]) -> Value {
    let key = |id: &&str| json!({ "kid": id, "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": format!("{id}-n") });
    json!({ "keys": ids.iter().map(key).collect::<Vec<_>>(), "public_cert": { "kid": "", "cert": "" } })
}

/// A world behind Cloudflare Access.
fn behind_access() -> (World, Rc<Team>) {
    let (mut world, _, _) = world();
    world.configure(&CONFIG);
    let team = Rc::new(Team { keys: RefCell::new(Some(keys(&["one"]))), ..Team::default() });
    world.app.upstream = team.clone();
    (world, team)
}

fn signed(header: &Value, claims: &Value, key: &str) -> String {
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = Seal::sign(&format!("{key}-n"), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// What Access says of somebody for an hour, with some of it said otherwise.
fn token(email: &str, otherwise: &Value) -> String {
    let now = START.0 / 1000;
    let mut claims = json!({
        "iss": "https://acme.cloudflareaccess.com",
        "aud": ["aud-1"],
        "email": email,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "type": "app",
        "sub": "c0ffee",
    });
    for (name, value) in otherwise.as_object().unwrap() {
        claims[name] = value.clone();
    }
    signed(&json!({ "alg": "RS256", "kid": "one", "typ": "JWT" }), &claims, "one")
}

/// Asks for the page on which one signs in, with this token.
fn show(world: &World, token: &str) -> Answer {
    let mut request = Browser::new(world).request("GET", "/sign-in?to=/settings/devices", &[], None);
    request.headers.push(("cf-access-jwt-assertion".to_owned(), token.to_owned()));
    world.send(&request)
}

/// Signs in with this token as this user.
fn sign_in<'a>(world: &'a World, token: &str, user: &str) -> (Browser<'a>, Answer) {
    let mut browser = Browser::new(world);
    let fields = [("user", user), ("to", "/settings/devices")];
    let mut request = browser.request("POST", "/sign-in/access", &fields, Some("https://keys.example.com"));
    request.headers.push(("cf-access-jwt-assertion".to_owned(), token.to_owned()));
    let answer = browser.receive(&request);
    (browser, answer)
}

fn owner_id(world: &World) -> String {
    let id = world.database.value("SELECT id FROM users WHERE email = 'owner@example.com'");
    id.as_str().unwrap().to_owned()
}

#[test]
fn whoever_is_vouched_for_goes_on_with_a_click_for_as_long_as_that_lasts() {
    let (world, _) = behind_access();
    let token = token("Owner@Example.com", &json!({}));
    let answer = show(&world, &token);
    let page = html(&answer);
    assert!(answer.status == 200 && page.contains("Go on to Acme") && page.contains("owner@example.com"), "{page}");
    let owner = owner_id(&world);
    let ((mut browser, answer), io) = world.counted(|| sign_in(&world, &token, &owner));
    assert_eq!((answer.status, answer.header("location"), io), (303, Some("/settings/devices"), (2, 0, 0)));
    assert!(answer.header("set-cookie").unwrap().ends_with("Max-Age=3600"));
    assert!(html(&browser.get("/settings/devices")).contains("without a key"));
    // He may do what he may by a link.
    assert!(html(&browser.get("/settings/keys")).contains("Person"));
    let details = world.database.value("SELECT details FROM audit_events WHERE action = 'session.created'");
    assert!(details.as_str().unwrap().contains("\"by\":\"cloudflare_access\""), "{details}");
    world.advance_ms(3_600_000);
    assert_eq!(browser.get("/settings/devices").status, 303);
}

#[test]
fn what_is_not_good_signs_nobody_in() {
    let good = json!({ "alg": "RS256", "kid": "one" });
    let now = START.0 / 1000;
    let claims = json!({ "iss": "https://acme.cloudflareaccess.com", "aud": "aud-1", "email": "owner@example.com", "exp": now + 60 });
    let whole = signed(&good, &claims, "one");
    let (rest, signature) = whole.rsplit_once('.').unwrap();
    let tokens = [
        ("garbage", "a.b.c".to_owned()),
        ("another audience", token("owner@example.com", &json!({ "aud": ["aud-2"] }))),
        ("no audience", token("owner@example.com", &json!({ "aud": [] }))),
        ("another team", token("owner@example.com", &json!({ "iss": "https://evil.cloudflareaccess.com" }))),
        ("over", token("owner@example.com", &json!({ "exp": now }))),
        ("not begun", token("owner@example.com", &json!({ "nbf": now + 61 }))),
        ("a program's", token("owner@example.com", &json!({ "email": null }))),
        ("an empty address", token("", &json!({}))),
        ("another's signature", signed(&good, &claims, "two")),
        ("no signature", format!("{rest}.")),
        ("a broken signature", format!("{rest}.{}", &signature[..40])),
        ("an unknown key", signed(&json!({ "alg": "RS256", "kid": "two" }), &claims, "two")),
        ("no algorithm", signed(&json!({ "alg": "none", "kid": "one" }), &claims, "one")),
        ("a shared secret", signed(&json!({ "alg": "HS256", "kid": "one" }), &claims, "one")),
    ];
    for (what, token) in tokens {
        let (world, _) = behind_access();
        let page = html(&show(&world, &token));
        assert!(page.contains("is not valid here") && !page.contains("Go on to"), "{what}: {page}");
        let (_, answer) = sign_in(&world, &token, &owner_id(&world));
        assert_eq!((answer.status, answer.header("location")), (303, Some("/sign-in")), "{what}");
        assert!(answer.header("set-cookie").is_none() && world.database.count("sessions") == 0, "{what}");
    }
    let (world, _) = behind_access();
    assert!(html(&show(&world, &whole)).contains("Go on to Acme"), "the rest is good");
}

#[test]
fn whoever_is_in_several_organizations_chooses_and_is_nobody_elses_user() {
    let (world, _) = behind_access();
    let (strangers, suspended) = (world.organization("Strangers"), world.organization("Suspended"));
    let (other, gone) = (world.user(&strangers, "member"), world.user(&suspended, "member"));
    let colleague = world.user(&strangers, "owner");
    world.database.execute(&format!(
        "UPDATE users SET email = 'owner@example.com' WHERE id IN ('{other}', '{gone}');
         UPDATE organizations SET suspended_at = 1 WHERE id = '{suspended}'"
    ));
    let token = token("owner@example.com", &json!({}));
    let page = html(&show(&world, &token));
    assert!(
        page.contains("Go on to Acme") && page.contains("Go on to Strangers") && !page.contains("Suspended"),
        "{page}"
    );
    let (mut browser, answer) = sign_in(&world, &token, &other);
    assert_eq!(answer.status, 303);
    assert!(html(&browser.get("/settings/devices")).contains("Strangers"));
    for user in [&colleague, &gone, "nobody"] {
        let (_, answer) = sign_in(&world, &token, user);
        assert_eq!((answer.status, answer.header("set-cookie")), (404, None), "{user}");
    }
}

#[test]
fn whoever_is_removed_at_that_moment_is_not_signed_in() {
    let (mut world, _) = behind_access();
    let (token, owner) = (token("owner@example.com", &json!({})), owner_id(&world));
    world.meddle(1, "DELETE FROM memberships");
    let (_, answer) = sign_in(&world, &token, &owner);
    assert_eq!((answer.status, world.database.count("sessions")), (404, 0));
}

#[test]
fn whoever_is_nobody_here_is_told_so() {
    let (world, _) = behind_access();
    let answer = show(&world, &token("<b>@example.com", &json!({})));
    let page = html(&answer);
    assert_eq!(answer.status, 403);
    assert!(page.contains("&lt;b&gt;@example.com") && page.contains("name=\"key\""), "{page}");
}

#[test]
fn keys_of_the_team_are_kept_and_asked_for_again_when_there_is_a_new_one() {
    let (world, team) = behind_access();
    let asked = || *team.asked.borrow();
    let long = json!({ "exp": START.0 / 1000 + 100_000 });
    let (first, second) = (token("owner@example.com", &long), {
        let claims = json!({ "iss": "https://acme.cloudflareaccess.com", "aud": "aud-1", "email": "owner@example.com", "exp": START.0 });
        signed(&json!({ "alg": "RS256", "kid": "two" }), &claims, "two")
    });
    let good = |token: &str| html(&show(&world, token)).contains("Go on to Acme");
    assert!(good(&first) && good(&first));
    assert_eq!(asked(), 1);
    // Nobody makes this service ask more often than every ten seconds.
    *team.keys.borrow_mut() = Some(keys(&["one", "two"]));
    world.advance_ms(9_999);
    assert!(!good(&second) && !good(&second));
    assert_eq!(asked(), 1);
    world.advance_ms(1);
    assert!(good(&second) && good(&first));
    assert_eq!(asked(), 2);
    // A key that the team has taken back is forgotten within an hour.
    *team.keys.borrow_mut() = Some(keys(&["two"]));
    world.advance_ms(3_600_000 - 1);
    assert!(good(&first));
    world.advance_ms(1);
    assert!(!good(&first));
    assert_eq!(asked(), 3);
}

#[test]
fn access_without_team_keys_is_refused_and_retried() {
    let token = token("owner@example.com", &json!({}));
    for wrong in [None, Some(json!([])), Some(json!({ "keys": "x" })), Some(json!({ "keys": ["x".repeat(70_000)] }))] {
        let (world, team) = behind_access();
        *team.keys.borrow_mut() = wrong;
        let answer = show(&world, &token);
        assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
        let (_, answer) = sign_in(&world, &token, &owner_id(&world));
        assert_eq!((answer.status, world.database.count("sessions"), *team.asked.borrow()), (503, 0, 1));
        *team.keys.borrow_mut() = Some(keys(&["one"]));
        world.advance_ms(9_999);
        assert_eq!((show(&world, &token).status, *team.asked.borrow()), (503, 1));
        world.advance_ms(1);
        assert_eq!((show(&world, &token).status, *team.asked.borrow()), (200, 2));
    }
}

#[test]
fn access_keys_once_read_survive_an_outage() {
    let (world, team) = behind_access();
    let good = token("owner@example.com", &json!({}));
    assert_eq!(show(&world, &good).status, 200);
    *team.keys.borrow_mut() = None;
    world.advance_ms(10_000);
    let now = START.0 / 1000;
    let claims = json!({ "iss": "https://acme.cloudflareaccess.com", "aud": "aud-1", "email": "owner@example.com", "exp": now + 60 });
    let strange = signed(&json!({ "alg": "RS256", "kid": "nobody's" }), &claims, "nobody's");
    assert_eq!(show(&world, &strange).status, 503);
    assert!(html(&show(&world, &strange)).contains("is not valid here"));
    assert!(html(&show(&world, &good)).contains("Go on to Acme"));
    assert_eq!(*team.asked.borrow(), 2);
}

#[test]
fn where_it_is_not_in_use_or_was_passed_by_nothing_is_asked() {
    let (world, _, _) = world();
    let (answer, io) = world.counted(|| show(&world, &token("owner@example.com", &json!({}))));
    assert_eq!((answer.status, io), (200, (0, 0, 0)));
    assert!(!html(&answer).contains("Cloudflare"));
    let (world, team) = behind_access();
    let (answer, io) = world.counted(|| Browser::new(&world).get("/sign-in"));
    assert_eq!((answer.status, io, *team.asked.borrow()), (200, (0, 0, 0), 0));
}

#[test]
fn configuration_wants_both_or_neither() {
    let read = |variables: &[(&str, &str)]| {
        let get = |name: &str| {
            let given = variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
            given.or((name == "OPERATOR_SECRET").then(|| OPERATOR_SECRET.to_owned()))
        };
        Config::read(get).map(|config| config.access.is_some())
    };
    assert_eq!(read(&CONFIG), Ok(true));
    assert_eq!(read(&[]), Ok(false));
    assert!(read(&CONFIG[..1]).is_err() && read(&CONFIG[1..]).is_err());
    for domain in ["https://acme.cloudflareaccess.com", "acme/x", "acme cloudflare"] {
        assert!(read(&[("ACCESS_TEAM_DOMAIN", domain), CONFIG[1]]).is_err(), "{domain}");
    }
}

#[test]
fn member_who_was_invited_by_a_key_that_ends_is_let_in_until_then() {
    let (mut world, owner, _) = world();
    world.configure(&CONFIG);
    let team = Rc::new(Team { keys: RefCell::new(Some(keys(&["one"]))), ..Team::default() });
    world.app.upstream = team;
    let short = world.post("/v1/api_key", &owner, &json!({ "name": "short" })).text("key");
    let id = world.get("/v1/keys/self", &short).text("id");
    world.change(&owner, &id, &json!({ "expires_at": "2027-01-15T08:10:00Z" }));
    let invitation = json!({ "email": "new@example.com", "role": "admin" });
    let invited = world.post("/v1/organizations/self/invitations", &short, &invitation);
    let accept = format!("/v1/invitations/{}/accept", invited.text("token"));
    assert_eq!(world.post(&accept, "", &json!({ "key_name": "mine" })).status, 201);
    let user = world.database.value("SELECT id FROM users WHERE email = 'new@example.com'");
    let user = user.as_str().unwrap();
    let token = token("new@example.com", &json!({}));
    let (mut browser, answer) = sign_in(&world, &token, user);
    assert_eq!(answer.status, 303, "{}", answer.json);
    assert!(browser.is_signed_in());
    world.advance_ms(10 * 60 * 1000);
    assert!(!browser.is_signed_in(), "the session has ended with the key");
    assert_eq!(sign_in(&world, &token, user).1.status, 404);
    // A caller without an end raises them without one.
    let path = format!("/v1/organizations/self/members/{user}");
    for role in ["member", "admin"] {
        assert_eq!(world.call("PATCH", &path, &owner, &json!({ "role": role })).status, 200);
    }
    let (mut browser, answer) = sign_in(&world, &token, user);
    assert_eq!(answer.status, 303, "{}", answer.json);
    world.advance_ms(20 * 60 * 1000);
    assert!(browser.is_signed_in());
}
