//! The settings pages, as a browser without a script sees them.

use std::rc::Rc;

use bitting::entry;
use bitting_http::message::{Body, Request};
use bitting_keys::{domain::catalogue::Catalogue, ports::Limit};
use serde_json::{Value, json};

use crate::support::{Answer, Limits, OPERATOR_SECRET, World, problem::assert_problem, request};

/// A browser: it keeps the cookie that it was given, and says where its forms come from.
pub(crate) struct Browser<'a> {
    world: &'a World,
    pub(crate) cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self { world, cookie: None }
    }

    /// A browser that was signed in with this key.
    pub(crate) fn with_key(world: &'a World, key: &str) -> Self {
        let mut browser = Self::new(world);
        let answer = browser.post("/sign-in", &[("key", key)]);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/settings/keys")), "{}", answer.json);
        browser
    }

    /// A browser that was signed in by this link.
    pub(crate) fn with_link(world: &'a World, link: &str) -> Self {
        let mut browser = Self::new(world);
        let answer = browser.post(link.strip_prefix("https://keys.example.com").unwrap(), &[]);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/settings/keys")), "{}", answer.json);
        browser
    }

    /// A request as it sends it.
    pub(crate) fn request(&self, method: &str, path: &str, fields: &[(&str, &str)], origin: Option<&str>) -> Request {
        let mut request = request(method, path, "", &Value::Null);
        let mut header = |name: &str, value: &str| request.headers.push((name.to_owned(), value.to_owned()));
        header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0.0.0 Safari/537.36");
        if let Some(origin) = origin {
            header("origin", origin);
        }
        if let Some(cookie) = &self.cookie {
            header("cookie", &format!("theme=dark; {cookie}; other"));
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        request.body = Body::Bytes(body.into_bytes());
        request
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, fields: &[(&str, &str)], origin: Option<&str>) -> Answer {
        let request = self.request(method, path, fields, origin);
        self.receive(&request)
    }

    /// Sends a request, and keeps the cookie that it is given.
    pub(crate) fn receive(&mut self, request: &Request) -> Answer {
        let answer = self.world.send(request);
        if let Some(cookie) = answer.header("set-cookie") {
            let (pair, manners) = cookie.split_once(';').unwrap();
            assert!(manners.starts_with(" Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age="), "{cookie}");
            self.cookie = (!manners.ends_with("=0")).then(|| pair.to_owned());
        }
        answer
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send("POST", path, fields, Some("https://keys.example.com"))
    }

    /// Fills in a form that stands on a page and may be sent once.
    pub(crate) fn fill(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let nonce = nonce(&html(&self.get(page)));
        self.post(action, &[&[("nonce", nonce.as_str())], fields].concat())
    }

    /// Whether somebody is signed in here.
    pub(crate) fn is_signed_in(&mut self) -> bool {
        let answer = self.get("/settings/devices");
        if answer.status == 303 {
            assert!(answer.header("location").unwrap().starts_with("/sign-in?to=%2Fsettings%2Fdevices"));
            return false;
        }
        assert_eq!(answer.status, 200, "{}", answer.json);
        true
    }
}

/// The value of the hidden field by which a form is sent once.
pub(crate) fn nonce(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"nonce\" value=\"").unwrap_or_else(|| panic!("no nonce in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

pub(crate) fn html(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    answer.json.as_str().unwrap().to_owned()
}

/// A world with its owner: his key, and the link that signs him in.
pub(crate) fn world() -> (World, String, String) {
    let world = World::new();
    let first = json!({ "organization": "Acme", "email": "owner@example.com", "key_name": "first" });
    let answer = world.post("/v1/bootstrap", OPERATOR_SECRET, &first);
    assert_eq!(answer.status, 201, "{}", answer.json);
    (world, answer.text("key"), answer.text("sign_in_link"))
}

/// The paths of the table, with an id where one belongs.
fn paths() -> impl Iterator<Item = (&'static str, String, &'static str)> {
    let path = |path: &str| {
        let segment = |segment: &str| match segment.get(..1) {
            Some(":" | "*") => "01900000-0000-7000-8000-000000000000".to_owned(),
            _ => segment.to_owned(),
        };
        path.split('/').map(segment).collect::<Vec<_>>().join("/")
    };
    bitting_pages::table().into_iter().map(move |(method, template, access)| (method, path(template), access))
}

/// Whether a path leads to a page, and not to a file.
fn is_page(path: &str) -> bool {
    !path.contains("/assets/") && !path.ends_with("/export")
}

#[test]
fn every_page_sends_whoever_is_not_signed_in_to_where_he_can_be() {
    let (world, _, _) = world();
    for (method, path, access) in paths().filter(|(_, _, access)| *access != "anybody") {
        let mut browser = Browser::new(&world);
        let answer = if method == "GET" { browser.get(&path) } else { browser.post(&path, &[]) };
        let to = form_urlencoded::Serializer::new(String::new()).append_pair("to", &path).finish();
        let expected = if method == "GET" { format!("/sign-in?{to}") } else { "/sign-in?".to_owned() };
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(expected.as_str())),
            "{method} {path} {access}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn every_form_of_a_foreign_origin_is_refused_and_nothing_is_read_or_written() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    for (_, path, _) in paths().filter(|(method, _, _)| *method == "POST") {
        for origin in [None, Some("null"), Some("https://evil.example"), Some("https://keys.example.com.evil.example")]
        {
            let before = world.database.dump();
            let (answer, io) = world.counted(|| browser.send("POST", &path, &[("key", &owner)], origin));
            assert_eq!((answer.status, io), (403, (0, 0, 0)), "{path} {origin:?}");
            assert_eq!(world.database.dump(), before);
        }
    }
}

#[test]
fn every_page_says_what_a_browser_may_do_with_it() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    for (method, path, _) in paths().filter(|(method, path, _)| *method == "GET" && is_page(path)) {
        let answer = browser.send(method, &path, &[], None);
        if answer.status == 303 {
            continue;
        }
        let page = html(&answer);
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{path}");
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("onclick"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let secret = path.starts_with("/sign-in/") || path.starts_with("/invitations/");
        let referrer = if secret { "no-referrer" } else { "same-origin" };
        assert_eq!(answer.header("referrer-policy"), Some(referrer), "{path}");
        assert!(answer.header("x-request-id").is_some());
    }
}

#[test]
fn assets_are_kept_for_ever_under_names_that_change_with_them() {
    let (world, _, _) = world();
    let page = html(&Browser::new(&world).get("/sign-in"));
    let found: Vec<&str> = page.split('"').filter(|part| part.starts_with("/settings/assets/")).collect();
    assert_eq!(found.len(), 3, "{page}");
    for path in found {
        let mut request = request("GET", path, "", &Value::Null);
        request.headers.clear();
        let response = futures::executor::block_on(entry::handle(&world.app, &request));
        assert_eq!(response.status, 200, "{path}");
        let header =
            |name: &str| response.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
        assert_eq!(header("Cache-Control"), Some("public, max-age=31536000, immutable"));
    }
    assert_eq!(Browser::new(&world).get("/settings/assets/style.00000000.css").status, 404);
}

#[test]
fn unknown_pages_are_404_and_other_methods_405_as_a_page() {
    let (world, _, link) = world();
    for (mut browser, navigation) in [(Browser::with_link(&world, &link), true), (Browser::new(&world), false)] {
        let answer = browser.get("/settings/nowhere");
        assert_eq!(answer.status, 404);
        let page = html(&answer);
        assert!(page.contains("There is nothing here"));
        assert_eq!((page.contains("<nav"), page.contains("href=\"/sign-in\"")), (navigation, !navigation), "{page}");
    }
    let mut browser = Browser::new(&world);
    let answer = browser.send("DELETE", "/sign-in", &[], Some("https://keys.example.com"));
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")));
    html(&answer);
    let head = browser.send("HEAD", "/sign-in", &[], None);
    assert_eq!(head.status, 200);
    for path in ["/", "/settings"] {
        assert_eq!(browser.get(path).header("location"), Some("/settings/keys"));
    }
}

#[test]
fn sign_in_needs_a_managing_key_and_explains_refusals() {
    let (world, owner, _) = world();
    let (_, reader) = world.create(&owner, "reader", &["api-keys:read"]);
    let (id, revoked) = world.create(&owner, "revoked", &["api-keys:write"]);
    world.revoke(&owner, &id);
    let sessions = world.database.count("sessions");
    for (key, expected) in [
        ("", "not an API key"),
        ("bit_pat_x", "not an API key"),
        (&reader, "cannot manage keys"),
        (&revoked, "was revoked"),
    ] {
        let answer = Browser::new(&world).post("/sign-in", &[("key", key), ("to", "/settings/devices")]);
        assert_eq!(answer.status, 403, "{key}");
        let page = html(&answer);
        assert!(page.contains(expected) && page.contains("aria-invalid=\"true\""), "{page}");
        assert!(page.contains("value=\"/settings/devices\""), "where he wanted to go is not lost");
        assert!(key.is_empty() || !page.contains(key), "a key never comes back");
        assert!(answer.header("set-cookie").is_none());
    }
    assert_eq!(world.database.count("sessions"), sessions);
    let mut browser = Browser::new(&world);
    let answer = browser.post("/sign-in", &[("key", &format!(" {owner}\n")), ("to", "/settings/devices")]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/settings/devices")));
    let page = html(&browser.get("/settings/devices"));
    assert!(page.contains("Chrome on Linux") && page.contains("with the key <strong>first</strong>"), "{page}");
    assert!(page.contains("owner@example.com") && page.contains("Acme"), "{page}");
    // The token is nowhere in the database.
    let token = browser.cookie.unwrap();
    assert!(!world.database.dump().contains(token.split_once('=').unwrap().1));
}

#[test]
fn sign_in_goes_on_only_to_pages_of_this_origin() {
    let (world, owner, _) = world();
    for to in
        ["https://evil.example", "//evil.example", "/\\evil.example", "/v1/keys", "/settings/\r\nSet-Cookie: a=b", ""]
    {
        let answer = Browser::new(&world).post("/sign-in", &[("key", &owner), ("to", to)]);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/settings/keys")), "{to}");
    }
}

#[test]
fn a_link_signs_in_once_and_only_by_its_button() {
    let (world, _, link) = world();
    let path = link.strip_prefix("https://keys.example.com").unwrap();
    // As a scanner of mail does.
    for _ in 0..2 {
        let answer = Browser::new(&world).get(path);
        assert_eq!(answer.status, 200);
        assert!(html(&answer).contains("owner@example.com"));
    }
    let mut browser = Browser::with_link(&world, &link);
    assert!(browser.is_signed_in());
    assert!(html(&browser.get("/settings/devices")).contains("without a key"));
    let again = Browser::new(&world).post(path, &[]);
    assert_eq!((again.status, again.header("set-cookie")), (404, None));
    assert_eq!(Browser::new(&world).get(path).status, 404);
    assert_eq!(Browser::new(&world).get("/sign-in/nothing").status, 404);
    assert!(!world.database.dump().contains(path.strip_prefix("/sign-in/").unwrap()));
}

#[test]
fn of_two_at_once_a_link_signs_one_in() {
    let (mut world, _, link) = world();
    let path = link.strip_prefix("https://keys.example.com").unwrap().to_owned();
    // Somebody else uses it between the two batches of this one.
    let digest = world.database.value("SELECT digest FROM sign_in_links");
    world.meddle(1, &format!("DELETE FROM sign_in_links WHERE digest = '{}'", digest.as_str().unwrap()));
    let answer = Browser::new(&world).post(&path, &[]);
    assert_eq!((answer.status, world.database.count("sessions")), (404, 0));
}

#[test]
fn a_link_ends_with_its_time_its_user_and_its_organization() {
    let endings = [
        "UPDATE sign_in_links SET expires_at = 1",
        "DELETE FROM memberships",
        "UPDATE organizations SET suspended_at = 1",
    ];
    for ending in endings {
        let (world, _, link) = world();
        world.database.execute(ending);
        let path = link.strip_prefix("https://keys.example.com").unwrap();
        assert_eq!(Browser::new(&world).get(path).status, 404, "{ending}");
        assert_eq!(Browser::new(&world).post(path, &[]).status, 404, "{ending}");
    }
}

#[test]
fn signing_out_ends_the_session_for_good() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let mut copy = Browser { world: &world, cookie: browser.cookie.clone() };
    assert!(copy.is_signed_in());
    let answer = browser.post("/sign-out", &[]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/sign-in")));
    assert!(browser.cookie.is_none());
    assert!(!copy.is_signed_in());
    assert!(copy.cookie.is_none(), "a cookie that stands for nothing is taken back");
}

#[test]
fn a_session_ends_with_whatever_it_stands_on() {
    let key = "WHERE name = 'first'";
    let endings = [
        ("key", format!("UPDATE keys SET revoked_at = 1 {key}"), "&because=key_revoked"),
        ("key", format!("UPDATE keys SET disabled_at = 1 {key}"), "&because=key_disabled"),
        ("key", format!("UPDATE keys SET expires_at = 1 {key}"), "&because=api_key_expired"),
        // Another secret, by a rotation without grace.
        ("key", format!("UPDATE keys SET digest = 'another' {key}"), ""),
        ("key", format!("DELETE FROM keys {key}"), ""),
        ("both", "DELETE FROM memberships".to_owned(), "&because=user_removed"),
        ("both", "UPDATE organizations SET suspended_at = 1".to_owned(), "&because=organization_suspended"),
        ("both", "DELETE FROM sessions".to_owned(), ""),
        ("both", "UPDATE sessions SET expires_at = 1".to_owned(), ""),
        ("both", format!("UPDATE sessions SET last_seen_at = last_seen_at - {}", 7 * 86_400_000), ""),
        ("link", "UPDATE sessions SET key_expires_at = 1".to_owned(), "&because=api_key_expired"),
    ];
    for (by, ending, because) in endings {
        for with in ["key", "link"].iter().filter(|with| by == "both" || by == **with) {
            let (world, owner, link) = world();
            let mut browser =
                if *with == "key" { Browser::with_key(&world, &owner) } else { Browser::with_link(&world, &link) };
            assert!(browser.is_signed_in());
            world.database.execute(&ending);
            let answer = browser.get("/settings/devices");
            let expected = format!("/sign-in?to=%2Fsettings%2Fdevices{because}");
            assert_eq!((answer.status, answer.header("location")), (303, Some(expected.as_str())), "{with} {ending}");
            if !because.is_empty() {
                assert!(html(&browser.get(&expected)).contains("You were signed out."));
            }
        }
    }
}

#[test]
fn a_session_by_a_link_goes_on_whatever_becomes_of_keys() {
    let (world, _, link) = world();
    let mut browser = Browser::with_link(&world, &link);
    world.database.execute("UPDATE keys SET revoked_at = 1");
    assert!(browser.is_signed_in());
}

#[test]
fn a_session_by_an_outgoing_secret_ends_with_that() {
    let (world, owner, _) = world();
    let (id, key) = world.create(&owner, "rotated", &["api-keys:*"]);
    let (mut old, mut bystander) = (Browser::with_key(&world, &key), Browser::with_key(&world, &owner));
    let rotation = world.post(&format!("/v1/keys/{id}/rotate"), &owner, &json!({ "grace_period_seconds": 60 }));
    assert_eq!(rotation.status, 200, "{}", rotation.json);
    let mut new = Browser::with_key(&world, &rotation.text("key"));
    let mut late = Browser::with_key(&world, &key);
    assert!(old.is_signed_in() && new.is_signed_in() && late.is_signed_in());
    world.advance_ms(60_000);
    assert!(!old.is_signed_in() && !late.is_signed_in() && new.is_signed_in() && bystander.is_signed_in());
}

#[test]
fn every_batch_for_a_session_is_guarded() {
    for pass in 0..3 {
        for ending in ["DELETE FROM sessions WHERE id <> '{}'", "UPDATE keys SET revoked_at = 1"] {
            let (mut world, owner, _) = world();
            Browser::with_key(&world, &owner);
            let other = world.database.value("SELECT id FROM sessions").as_str().unwrap().to_owned();
            let cookie = Browser::with_key(&world, &owner).cookie;
            // The session is read, and then another is ended in its name.
            world.meddle(pass, &ending.replace("{}", &other));
            let mut browser = Browser { world: &world, cookie };
            let answer = browser.post(&format!("/settings/devices/{other}/end"), &[]);
            let in_time = pass == 2;
            let expected = if in_time { "/settings/devices" } else { "/sign-in?" };
            assert!(answer.header("location").unwrap().starts_with(expected), "{pass} {ending}");
            let left = world.database.value(&format!("SELECT count(*) FROM sessions WHERE id = '{other}'"));
            assert_eq!(left, i64::from(!in_time), "{pass} {ending}");
        }
    }
}

#[test]
fn devices_are_one_users_own_and_can_be_signed_out() {
    let (world, owner, link) = world();
    let (_, _, colleague) = world.colleague(&owner, "owner");
    let mut stranger = Browser::with_key(&world, &colleague);
    let theirs = world.database.value("SELECT id FROM sessions").as_str().unwrap().to_owned();
    let (mut one, mut two) = (Browser::with_key(&world, &owner), Browser::with_link(&world, &link));
    let page = html(&one.get("/settings/devices"));
    assert_eq!(page.matches("Chrome on Linux <span").count(), 1, "{page}");
    assert!(!page.contains(&theirs));
    let end = page.split('"').find(|part| part.ends_with("/end")).unwrap().to_owned();
    assert_eq!(one.post(&end, &[]).status, 303);
    assert!(!two.is_signed_in() && one.is_signed_in());
    // Another's is as if it were not there.
    assert_eq!(one.post(&format!("/settings/devices/{theirs}/end"), &[]).status, 303);
    assert!(stranger.is_signed_in());
    assert_eq!(one.post("/settings/devices/nothing/end", &[]).status, 404);
}

#[test]
fn a_session_can_do_no_more_than_its_key() {
    let (world, owner, _) = world();
    let (id, key) = world.create(&owner, "narrow", &["api-keys:write"]);
    let mut browser = Browser::with_key(&world, &key);
    assert!(browser.is_signed_in());
    let answer = browser.get("/settings/keys");
    assert_eq!(answer.status, 403);
    assert!(html(&answer).contains("api-keys:read"));
    world.change(&owner, &id, &json!({ "scopes": ["api-keys:read"] }));
    assert_eq!(browser.get("/settings/keys").status, 200);
    let session = "01900000-0000-7000-8000-000000000000";
    assert_eq!(browser.post(&format!("/settings/devices/{session}/end"), &[]).status, 403);
    world.settle();
    let refused = world.database.value("SELECT details FROM audit_events WHERE refusal = 'insufficient_scope'");
    assert!(refused.as_str().unwrap().contains("/settings/devices/:session/end"));
}

#[test]
fn the_trail_says_who_signed_in_and_out_and_in_which_session_something_was_done() {
    let (world, owner, link) = world();
    Browser::with_key(&world, &owner).post("/sign-out", &[]);
    Browser::with_link(&world, &link).post("/sign-out", &[]);
    let events = world.get("/v1/audit-events", &owner).json["items"].clone();
    let told: Vec<(&str, &str)> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["action"].as_str().unwrap(), event["actor"]["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("session.ended", "session"),
            ("session.created", "session"),
            ("session.ended", "key"),
            ("session.created", "key"),
            ("key.created", "operator")
        ]
    );
    for event in &events.as_array().unwrap()[..3] {
        assert_eq!(event["actor"]["session_id"], event["subject"], "{event}");
    }
}

#[test]
fn a_request_of_a_session_is_two_round_trips_and_one_write_in_an_hour() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let (_, io) = world.counted(|| browser.get("/settings/devices"));
    assert_eq!(io, (2, 0, 0));
    world.settle();
    let seen = || world.database.value("SELECT last_seen_at FROM sessions").as_i64().unwrap();
    let before = seen();
    world.advance_ms(3_599_999);
    browser.get("/settings/devices");
    world.settle();
    assert_eq!(seen(), before);
    world.advance_ms(1);
    browser.get("/settings/devices");
    world.settle();
    assert_eq!(seen(), before + 3_600_000);
    // Whoever comes every six days stays for thirty.
    for _ in 0..4 {
        world.advance_ms(6 * 86_400_000);
        assert!(browser.is_signed_in());
        world.settle();
    }
    world.advance_ms(6 * 86_400_000);
    assert!(!browser.is_signed_in());
}

#[test]
fn without_a_cookie_or_with_one_that_is_none_nothing_is_asked() {
    let (world, _, _) = world();
    for cookie in [None, Some("__Host-bitting=x"), Some("bitting=x"), Some("__Host-bitting=")] {
        let mut browser = Browser { world: &world, cookie: cookie.map(str::to_owned) };
        let (signed_in, io) = world.counted(|| browser.is_signed_in());
        assert_eq!((signed_in, io), (false, (0, 0, 0)), "{cookie:?}");
    }
}

#[test]
fn from_another_site_a_page_asks_for_itself_once_more() {
    let (world, owner, _) = world();
    let mut crossing = request("GET", "/settings/keys?status=all", "", &Value::Null);
    crossing.headers = vec![("sec-fetch-site".to_owned(), "cross-site".to_owned())];
    let answer = world.send(&crossing);
    assert_eq!((answer.status, answer.header("refresh")), (200, Some("0; url=/settings/keys?status=all")));
    let cookie = Browser::with_key(&world, &owner).cookie.unwrap();
    crossing.headers.push(("cookie".to_owned(), cookie));
    assert!(world.send(&crossing).header("refresh").is_none());
}

#[test]
fn on_ones_own_machine_the_cookie_needs_no_tls() {
    let (world, owner, _) = world();
    for (origin, expected) in [
        ("http://127.0.0.1:8787", "bitting="),
        ("http://localhost:8787", "bitting="),
        ("http://[::1]", "bitting="),
        ("https://keys.example.com", "__Host-bitting="),
    ] {
        let mut sign_in = request("POST", "/sign-in", "", &Value::Null);
        sign_in.origin = origin.to_owned();
        sign_in.headers = vec![("origin".to_owned(), origin.to_owned())];
        sign_in.body = Body::Bytes(format!("key={owner}").into_bytes());
        let answer = world.send(&sign_in);
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.starts_with(expected), "{cookie}");
        assert_eq!(cookie.contains("Secure;"), expected.starts_with("__Host-"), "{cookie}");
        assert!(cookie.contains("HttpOnly;") && cookie.contains("SameSite=Strict;"), "{cookie}");
    }
}

#[test]
fn without_tls_nobody_is_signed_in_and_the_page_says_what_to_do() {
    let (world, owner, link) = world();
    let link = link.strip_prefix("https://keys.example.com").unwrap();
    let invitation = invite(&world, &owner, "ann@example.com", "member");
    let before = world.database.dump();
    for origin in ["http://keys.example.com", "http://localhost.evil.example", "http://192.0.2.1:8787"] {
        for path in ["/", "/sign-in", "/sign-in/access", link, &invitation, "/settings/keys"] {
            for method in ["GET", "POST"].iter().filter(|method| !(**method == "GET" && path.ends_with("access"))) {
                if *method == "POST" && (path == "/" || path.starts_with("/settings")) {
                    continue;
                }
                let mut request = Browser::new(&world).request(method, path, &[("key", &owner)], Some(origin));
                request.origin = origin.to_owned();
                let (answer, io) = world.counted(|| world.send(&request));
                let page = html(&answer);
                assert_eq!((answer.status, answer.header("set-cookie"), io), (403, None, (0, 0, 0)), "{method} {path}");
                let instead = format!("href=\"https{}{path}\"", origin.strip_prefix("http").unwrap());
                assert!(page.contains("This needs https") && page.contains(&instead), "{page}");
            }
        }
    }
    assert_eq!(world.database.dump(), before);
}

/// All headers of this name.
fn every_header<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let named = answer.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn a_token_in_an_address_is_told_to_nobody_and_no_get_uses_it_up() {
    let (mut world, owner, link) = world();
    let link = link.strip_prefix("https://keys.example.com").unwrap().to_owned();
    let invitation = invite(&world, &owner, "ann@example.com", "member");
    let here = Some("https://keys.example.com");
    let keeps = |answer: &Answer, expected: u16, what: &str| {
        assert_eq!(answer.status, expected, "{what}");
        assert_eq!(every_header(answer, "referrer-policy"), ["no-referrer"], "{what}");
        assert_eq!(every_header(answer, "cache-control"), ["no-store"], "{what}");
    };
    for path in [&link, &invitation] {
        let before = world.database.dump();
        for method in ["GET", "HEAD", "GET"] {
            keeps(&Browser::new(&world).send(method, path, &[], None), 200, path);
        }
        keeps(&Browser::new(&world).send("DELETE", path, &[], here), 405, path);
        keeps(&Browser::new(&world).send("POST", path, &[], Some("https://evil.example")), 403, path);
        assert_eq!(world.database.dump(), before);
        for method in ["GET", "POST"] {
            world.database.fail_next("D1_ERROR: Network connection lost.");
            keeps(&Browser::new(&world).send(method, path, &[], here), 503, path);
            world.app.limiter = Limits::new(Limit::SignIns, 0);
            keeps(&Browser::new(&world).send(method, path, &[], here), 429, path);
            world.app.limiter = Rc::new(Limits::default());
        }
        keeps(&Browser::new(&world).post(path, &[]), 303, path);
        for method in ["GET", "POST"] {
            keeps(&Browser::new(&world).send(method, path, &[], here), 404, path);
        }
    }
}

#[test]
fn signing_in_again_ends_the_session_that_the_browser_had() {
    for by in ["key", "link", "invitation"] {
        let (world, owner, link) = world();
        let (path, fields) = match by {
            "key" => ("/sign-in".to_owned(), vec![("key", owner.as_str())]),
            "link" => (link.strip_prefix("https://keys.example.com").unwrap().to_owned(), vec![]),
            _ => (invite(&world, &owner, "ann@example.com", "member"), vec![]),
        };
        let mut browser = Browser::with_key(&world, &owner);
        let mut elsewhere = Browser::with_key(&world, &owner);
        let mut copy = Browser { world: &world, cookie: browser.cookie.clone() };
        // What does not sign in ends nothing.
        assert_eq!(browser.post("/sign-in", &[("key", "bit_pat_x")]).status, 403);
        assert_eq!(browser.post("/sign-in/nothing", &[]).status, 404);
        assert!(browser.is_signed_in(), "{by}");
        assert_eq!(browser.post(&path, &fields).status, 303);
        assert!(browser.is_signed_in() && elsewhere.is_signed_in() && !copy.is_signed_in(), "{by}");
        assert_eq!(world.database.count("sessions"), 2, "{by}");
        let ended = "SELECT count(*) FROM audit_events WHERE action = 'session.ended'";
        assert_eq!(world.database.value(ended), 1, "{by}");
    }
}

#[test]
fn signing_in_again_works_whatever_becomes_of_the_session_before() {
    // Before it is read, when it still can be ended, and right before its end, when that fails.
    for (pass, left) in [(2, 1), (3, 2)] {
        let (mut world, owner, _) = world();
        let cookie = Browser::with_key(&world, &owner).cookie;
        world.meddle(pass, "UPDATE keys SET revoked_at = 1");
        let mut browser = Browser { world: &world, cookie };
        assert_eq!(browser.post("/sign-in", &[("key", &owner)]).status, 303);
        assert_eq!(world.database.count("sessions"), left, "{pass}");
    }
}

#[test]
fn hostile_names_are_text_on_every_page() {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";
    let world = World::new();
    let first = json!({ "organization": HOSTILE, "email": "\"<img/src=x>\"@example.com", "key_name": HOSTILE });
    let answer = world.post("/v1/bootstrap", OPERATOR_SECRET, &first);
    let (owner, link) = (answer.text("key"), answer.text("sign_in_link"));
    let path = link.strip_prefix("https://keys.example.com").unwrap().to_owned();
    let mut browser = Browser::with_key(&world, &owner);
    world.database.execute("UPDATE sessions SET user_agent = '<script>alert(1)</script>'");
    let pages = paths().filter(|(method, _, _)| *method == "GET").map(|(_, path, _)| path);
    for path in pages.chain([path, format!("/sign-in?to={HOSTILE}&because={HOSTILE}")]) {
        let page = browser.get(&path);
        if page.status != 303 && is_page(&path) {
            let page = html(&page);
            assert!(!page.contains("<img") && !page.contains("<script>"), "{path}: {page}");
        }
    }
    assert!(html(&browser.get("/settings/devices")).contains("&lt;img src=x onerror=alert(1)&gt;"));
}

#[test]
fn routes_of_the_operator_stay_out_of_the_pages_way() {
    let catalogue = |path: &str| {
        let routes = json!([{ "methods": ["POST"], "path": path, "scope": "a:b", "service": "S" }]);
        let catalogue = json!({ "surfaces": [], "resources": { "a": { "b": "c" } }, "bundles": {}, "presets": [], "routes": routes });
        Catalogue::parse(&catalogue.to_string()).unwrap()
    };
    for path in ["/", "/settings", "/settings/mine", "/settings/:id", "/sign-in", "/sign-in/:name", "/:any/*rest"] {
        let reaches = bitting_pages::check(&catalogue(path)).is_err();
        assert_eq!(reaches, path != "/:any/*rest", "{path}");
    }
    assert!(bitting_pages::check(&catalogue("/orders/:id")).is_ok());
}

/// The names of the keys on a page of the list, in their order.
fn names(page: &str) -> Vec<&str> {
    let rows = page.split("<a class=\"name\"").skip(1);
    rows.map(|row| row.split(['>', '<']).nth(1).unwrap()).collect()
}

/// The address behind this text.
fn link<'a>(page: &'a str, text: &str) -> Option<&'a str> {
    let link = page.split("<a ").find(|link| link.contains(&format!(">{text}</a>")))?;
    link.split("href=\"").nth(1)?.split('"').next()
}

#[test]
fn the_list_shows_by_state_by_name_and_by_person() {
    let (world, owner, sign_in_link) = world();
    let later = |ms: i64| world.clock.0.get().plus_ms(ms).to_rfc3339();
    let (_, _, colleague) = world.colleague(&owner, "member");
    let address = world.database.value("SELECT email FROM users WHERE email <> 'owner@example.com'");
    let address = address.as_str().unwrap();
    world.create(&colleague, "colleague's 100%", &[]);
    world.create(&owner, "Data_export", &["datasets:read"]);
    world.create_from(&owner, &json!({ "name": "organization's", "kind": "org", "scopes": [] }));
    let (disabled, _) = world.create(&owner, "switched off", &[]);
    world.change(&owner, &disabled, &json!({ "enabled": false }));
    let (revoked, _) = world.create(&owner, "gone", &[]);
    world.revoke(&owner, &revoked);
    world.create_from(&owner, &json!({ "name": "old", "scopes": [], "expires_at": later(1_000) }));
    world.advance_ms(2_000);
    let mut browser = Browser::with_link(&world, &sign_in_link);
    let cases: [(&str, &[&str]); 14] = [
        ("", &["organization's", "Data_export", "colleague's 100%", "handed over", "first"]),
        ("?status=nonsense", &["organization's", "Data_export", "colleague's 100%", "handed over", "first"]),
        ("?status=disabled", &["switched off"]),
        ("?status=expired", &["old"]),
        ("?status=revoked", &["gone"]),
        (
            "?status=all&name=O",
            &["old", "gone", "switched off", "organization's", "Data_export", "colleague's 100%", "handed over"],
        ),
        ("?name=DATA_", &["Data_export"]),
        ("?name=0%25", &["colleague's 100%"]),
        ("?name=%25", &["colleague's 100%"]),
        ("?name=_", &["Data_export"]),
        ("?name=nothing", &[]),
        ("?person=nobody@example.com", &[]),
        ("?person=Owner@Example.com&name=i", &["first"]),
        ("?status=disabled&person=owner@example.com", &["switched off"]),
    ];
    for (query, expected) in cases {
        let page = html(&browser.get(&format!("/settings/keys{query}")));
        let unescaped = page.replace("&#39;", "'");
        let mut found = names(&unescaped);
        let mut expected = expected.to_vec();
        // Keys of one instant are in no order.
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
    let of_colleague = html(&browser.get(&format!("/settings/keys?person={address}")));
    assert_eq!(names(&of_colleague).len(), 2, "{of_colleague}");
    // He himself sees his own, and nobody else's.
    let mut theirs = Browser::with_key(&world, &colleague);
    let page = html(&theirs.get("/settings/keys?status=all&person=owner@example.com"));
    assert!(names(&page).is_empty() && !page.contains("Person"), "{page}");
    assert_eq!(names(&html(&theirs.get("/settings/keys"))).len(), 2);
}

#[test]
fn the_list_goes_through_all_keys_in_both_directions() {
    let (world, owner, _) = world();
    let id = world.get("/v1/keys/self", &owner).text("id");
    world.copy_key(&id, 120, "00000001", None);
    world.database.execute("UPDATE keys SET name = 'copy ' || number WHERE number > 1");
    let mut browser = Browser::with_key(&world, &owner);
    let (mut forth, mut path) = (Vec::new(), "/settings/keys?name=o".to_owned());
    loop {
        let page = html(&browser.get(&path));
        forth.push(names(&page).into_iter().map(str::to_owned).collect::<Vec<_>>());
        match link(&page, "Older") {
            Some(older) => path = older.replace("&amp;", "&"),
            None => break,
        }
    }
    assert_eq!(forth.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    let mut back = vec![forth[2].clone()];
    while let Some(newer) = link(&html(&browser.get(&path)), "Newer") {
        path = newer.replace("&amp;", "&");
        back.insert(0, names(&html(&browser.get(&path))).into_iter().map(str::to_owned).collect());
    }
    assert_eq!(back, forth);
}

#[test]
fn keys_that_nobody_uses_or_that_expire_soon_stand_out() {
    let (world, owner, sign_in_link) = world();
    let day = 86_400_000;
    world.create_from(&owner, &json!({ "name": "soon", "scopes": [], "expires_in_days": 104 }));
    world.create_from(&owner, &json!({ "name": "late", "scopes": [], "expires_in_days": 105 }));
    world.database.execute("UPDATE sign_in_links SET expires_at = expires_at * 2");
    world.advance_ms(90 * day - 1);
    world.create(&owner, "new", &[]);
    world.settle();
    let mut browser = Browser::with_link(&world, &sign_in_link);
    let marked = |page: &str| {
        let rows = page.split("<tr").filter(|row| row.contains("badge warning\">unused"));
        rows.flat_map(|row| names(row).into_iter().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert!(marked(&html(&browser.get("/settings/keys"))).is_empty());
    world.advance_ms(1);
    let page = html(&browser.get("/settings/keys"));
    let mut found = marked(&page);
    found.sort();
    // The owner's was used a moment ago.
    assert_eq!(found, ["late", "soon"]);
    let expiring: Vec<&str> =
        page.split("<tr").filter(|row| row.contains(">soon</span></div>")).flat_map(names).collect();
    assert_eq!(expiring, ["soon"], "{page}");
}

#[test]
fn a_list_without_keys_tells_what_they_are_for() {
    let (world, _, sign_in_link) = world();
    world.database.execute("UPDATE keys SET revoked_at = 1");
    let mut browser = Browser::with_link(&world, &sign_in_link);
    assert!(html(&browser.get("/settings/keys")).contains("No keys yet"));
    let page = html(&browser.get("/settings/keys?status=expired"));
    assert!(page.contains("No keys match.") && link(&page, "Search in every status").is_some(), "{page}");
}

/// Invites somebody; gives the path of the page behind the link.
fn invite(world: &World, by: &str, email: &str, role: &str) -> String {
    let body = json!({ "email": email, "role": role });
    let answer = world.post("/v1/organizations/self/invitations", by, &body);
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer.text("link").strip_prefix("https://keys.example.com").unwrap().to_owned()
}

#[test]
fn an_invitation_is_accepted_by_its_button_once_and_signs_in() {
    let (world, owner, _) = world();
    let path = invite(&world, &owner, "ann@example.com", "admin");
    for _ in 0..2 {
        let page = html(&Browser::new(&world).get(&path));
        assert!(page.contains("Acme") && page.contains("ann@example.com") && page.contains("admin"), "{page}");
    }
    let keys = world.database.count("keys");
    let mut browser = Browser::with_link(&world, &format!("https://keys.example.com{path}"));
    assert!(html(&browser.get("/settings/devices")).contains("ann@example.com"));
    assert_eq!((world.database.count("keys"), world.database.count("invitations")), (keys, 0));
    assert_eq!(Browser::new(&world).post(&path, &[]).status, 404);
    assert_eq!(Browser::new(&world).get(&path).status, 404);
    assert_eq!(Browser::new(&world).get("/invitations/nothing").status, 404);
    let events = world.get("/v1/audit-events?limit=2", &owner).json["items"].clone();
    assert_eq!((&events[0]["action"], &events[1]["action"]), (&json!("session.created"), &json!("member.joined")));
    for event in events.as_array().unwrap() {
        assert_eq!(event["actor"]["kind"], "session");
    }
}

#[test]
fn of_two_at_once_an_invitation_lets_one_in() {
    let (mut world, owner, _) = world();
    let path = invite(&world, &owner, "ann@example.com", "member");
    world.meddle(1, "DELETE FROM invitations");
    let answer = Browser::new(&world).post(&path, &[]);
    assert_eq!((answer.status, world.database.count("sessions"), world.database.count("users")), (404, 0, 1));
}

#[test]
fn who_comes_by_a_key_that_expires_has_no_longer_than_that() {
    let (world, owner, _) = world();
    let in_days = |days: i64| world.clock.0.get().plus_ms(days * 86_400_000).0;
    let key = json!({ "name": "short", "scopes": ["full"], "expires_in_days": 3 });
    let (_, short) = world.create_from(&owner, &key);
    let path = invite(&world, &short, "ann@example.com", "owner");
    Browser::with_link(&world, &format!("https://keys.example.com{path}"));
    let user_id = world.database.value("SELECT id FROM users WHERE email = 'owner@example.com'");
    let links = format!("/v1/organizations/self/members/{}/sign-in-links", user_id.as_str().unwrap());
    let made = world.post(&links, &short, &Value::Null);
    assert_eq!(made.status, 201, "{}", made.json);
    Browser::with_link(&world, &made.text("link"));
    for column in ["expires_at", "key_expires_at"] {
        let bounds = format!("SELECT group_concat(DISTINCT {column}) FROM sessions");
        assert_eq!(world.database.value(&bounds), in_days(3).to_string(), "{column}");
    }
}

#[test]
fn an_admin_makes_links_for_those_for_whom_he_can_vouch() {
    let (world, owner, _) = world();
    let (admin_id, _, admin) = world.colleague(&owner, "admin");
    let (member_id, _, member) = world.colleague(&owner, "member");
    let owner_id = world.database.value("SELECT id FROM users WHERE email = 'owner@example.com'");
    let owner_id = owner_id.as_str().unwrap();
    let (_, narrow) = world.create(&owner, "narrow", &["members:*"]);
    let path = |id: &str| format!("/v1/organizations/self/members/{id}/sign-in-links");
    let cases = [
        (owner.as_str(), owner_id, None),
        (&owner, &member_id, None),
        (&admin, &admin_id, None),
        (&admin, &member_id, None),
        (&admin, owner_id, Some((403, "exceeds_own_access"))),
        (&member, &member_id, Some((403, "exceeds_own_access"))),
        (&narrow, &member_id, Some((403, "exceeds_own_access"))),
        (&owner, "01900000-0000-7000-8000-00000000ffff", Some((404, "not_found"))),
        (&owner, "nobody", Some((404, "not_found"))),
    ];
    for (by, whom, expected) in cases {
        let before = world.database.count("sign_in_links");
        let answer = world.post(&path(whom), by, &Value::Null);
        if let Some((status, code)) = expected {
            assert_problem(&answer, status, code);
            assert_eq!(world.database.count("sign_in_links"), before);
            continue;
        }
        assert_eq!(answer.status, 201, "{}", answer.json);
        let in_a_quarter = world.clock.0.get().plus_ms(15 * 60 * 1000).to_rfc3339();
        assert_eq!(answer.text("expires_at"), in_a_quarter);
        let mut browser = Browser::with_link(&world, &answer.text("link"));
        assert!(browser.is_signed_in());
        let users = world.database.value("SELECT group_concat(user_id) FROM sessions");
        assert_eq!(users, whom);
        browser.post("/sign-out", &[]);
    }
}

#[test]
fn a_page_makes_a_link_and_shows_it_once() {
    let (world, owner, sign_in_link) = world();
    let (member_id, _, member) = world.colleague(&owner, "member");
    let path = format!("/settings/people/{member_id}");
    let mut browser = Browser::with_link(&world, &sign_in_link);
    assert!(html(&browser.get(&path)).contains("Create sign-in link"));
    let answer = browser.fill(&path, &format!("{path}/sign-in-link"), &[]);
    assert_eq!((answer.status, answer.header("referrer-policy")), (200, Some("no-referrer")));
    let page = html(&answer);
    let link = page.split(['<', '>', '"']).find(|text| text.starts_with("https://keys.example.com/sign-in/")).unwrap();
    let mut theirs = Browser::with_link(&world, link);
    assert!(!html(&theirs.get(&path)).contains("Create sign-in link"));
    assert_eq!(theirs.post(&format!("{path}/sign-in-link"), &[]).status, 403);
    assert!(html(&browser.get("/settings/audit")).contains("created a link that signs"));
    assert_eq!(Browser::with_key(&world, &member).post(&format!("{path}/sign-in-link"), &[]).status, 403);
}

#[test]
fn a_link_ends_with_any_change_of_whoever_made_it() {
    for ending in ["UPDATE memberships SET role = 'member'", "DELETE FROM memberships"] {
        let (world, owner, _) = world();
        let (admin_id, _, admin) = world.colleague(&owner, "admin");
        let (member_id, ..) = world.colleague(&owner, "member");
        let made =
            world.post(&format!("/v1/organizations/self/members/{member_id}/sign-in-links"), &admin, &Value::Null);
        let path = made.text("link").strip_prefix("https://keys.example.com").unwrap().to_owned();
        assert_eq!(Browser::new(&world).get(&path).status, 200);
        world.database.execute(&format!("{ending} WHERE user_id = '{admin_id}'"));
        assert_eq!(Browser::new(&world).post(&path, &[]).status, 404, "{ending}");
    }
}

#[test]
fn a_session_by_a_link_has_the_role_of_then_at_most() {
    let (world, owner, _) = world();
    let (member_id, ..) = world.colleague(&owner, "member");
    let made = world.post(&format!("/v1/organizations/self/members/{member_id}/sign-in-links"), &owner, &Value::Null);
    let mut browser = Browser::with_link(&world, &made.text("link"));
    world.database.execute("UPDATE memberships SET role = 'owner'");
    assert!(!html(&browser.get("/settings/keys")).contains("Person"), "he is no admin here");
}

#[test]
fn attempts_to_sign_in_are_counted_and_those_beyond_ask_nothing() {
    let (mut world, owner, link) = world();
    let invitation = invite(&world, &owner, "ann@example.com", "member");
    let link = link.strip_prefix("https://keys.example.com").unwrap().to_owned();
    world.app.limiter = Limits::new(Limit::SignIns, 2);
    let mut browser = Browser::new(&world);
    // What is no key at all is not counted.
    for _ in 0..5 {
        assert_eq!(browser.post("/sign-in", &[("key", "bit_pat_x")]).status, 403);
        assert_eq!(browser.get("/sign-in/x").status, 404);
    }
    assert_eq!(browser.get(&link).status, 200);
    assert_eq!(browser.post("/sign-in", &[("key", &owner)]).status, 303);
    browser.cookie = None;
    for (method, path) in
        [("POST", "/sign-in"), ("GET", &link), ("POST", &link), ("GET", &invitation), ("POST", &invitation)]
    {
        let send = || browser.send(method, path, &[("key", &owner)], Some("https://keys.example.com"));
        let (answer, io) = world.counted(send);
        assert_eq!((answer.status, io, answer.header("retry-after")), (429, (0, 0, 0), Some("60")), "{method} {path}");
        assert!(html(&answer).contains("Try again in a minute"));
    }
}
