//! Conditions of keys: the clients for which a key works, and the times.

use std::net::IpAddr;

use bitting_http::message::Request;
use bitting_keys::domain::{
    client::{Client, Country},
    conditions::{Condition, Conditions},
    time::UnixMillis,
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{
    audit::world_with_orders,
    pages::{Browser, html},
    support::{Answer, START, World, problem::assert_problem, request},
};

const OFFICE: &str = "192.0.2.7";
const ELSEWHERE: &str = "198.51.100.9";
const MINUTE_MS: i64 = 60 * 1000;

const CONDITIONS: [Condition; 6] = [
    Condition::AllowedIps,
    Condition::DeniedIps,
    Condition::AllowedCountries,
    Condition::DeniedCountries,
    Condition::NotBefore,
    Condition::Hours,
];

/// The conditions that let in only the office.
fn office() -> Value {
    json!({ "allowed_ips": ["192.0.2.0/24"] })
}

/// A request from this address, located in this country.
fn from(request: Request, ip: &str, country: &str) -> Request {
    let mut request = request;
    for (name, value) in [("cf-connecting-ip", ip), ("cf-ipcountry", country)] {
        if !value.is_empty() {
            request.headers.push((name.to_owned(), value.to_owned()));
        }
    }
    request
}

/// A world, the owner's key, and the id and the text of a key with conditions.
fn scene(conditions: &Value) -> (World, String, String, String) {
    let world = World::new();
    let owner = world.bootstrap();
    let body = json!({ "name": "conditional", "scopes": ["api-keys:*"], "conditions": conditions });
    let (id, key) = world.create_from(&owner, &body);
    (world, owner, id, key)
}

fn verify_from(world: &World, by: &str, key: &str, client: &Value) -> Value {
    let answer = world.post("/v1/keys/verify", by, &json!({ "key": key, "client": client }));
    assert_eq!(answer.status, 200, "{}", answer.json);
    answer.json
}

#[track_caller]
fn assert_refused(told: &Value, condition: &str) {
    assert_eq!(
        (&told["valid"], &told["code"], &told["failed_condition"]),
        (&json!(false), &json!("conditions_not_met"), &json!(condition)),
        "{told}"
    );
}

#[test]
fn verification_judges_the_client_of_the_question() {
    for (conditions, good, bad, failed) in [
        (office(), json!({ "ip": OFFICE }), json!({ "ip": ELSEWHERE }), "allowed_ips"),
        (office(), json!({ "ip": "::ffff:192.0.2.7" }), json!({ "ip": "::192.0.2.7" }), "allowed_ips"),
        (json!({ "allowed_ips": ["::ffff:192.0.2.0/120"] }), json!({ "ip": OFFICE }), json!({}), "allowed_ips"),
        (
            json!({ "allowed_ips": ["2001:db8::/33"] }),
            json!({ "ip": "2001:db8:7::" }),
            json!({ "ip": "2001:db8:8000::" }),
            "allowed_ips",
        ),
        (json!({ "denied_ips": ["192.0.2.0/24"] }), json!({ "ip": ELSEWHERE }), json!({ "ip": OFFICE }), "denied_ips"),
        (
            json!({ "denied_ips": ["192.0.2.0/24"] }),
            json!({ "ip": "2001:db8::1" }),
            json!({ "country": "DE" }),
            "denied_ips",
        ),
        (
            json!({ "allowed_countries": ["DE", "FR"] }),
            json!({ "country": "FR" }),
            json!({ "country": "GB" }),
            "allowed_countries",
        ),
        (
            json!({ "allowed_countries": ["DE"] }),
            json!({ "country": "DE" }),
            json!({ "country": "XX" }),
            "allowed_countries",
        ),
        (
            json!({ "denied_countries": ["T1"] }),
            json!({ "country": "DE" }),
            json!({ "country": "T1" }),
            "denied_countries",
        ),
        (
            json!({ "denied_countries": ["AQ"] }),
            json!({ "country": "DE" }),
            json!({ "ip": OFFICE }),
            "denied_countries",
        ),
    ] {
        let (world, owner, _, key) = scene(&conditions);
        let told = verify_from(&world, &owner, &key, &good);
        assert_eq!(
            (&told["valid"], &told["conditional"], &told["fresh_for_ms"]),
            (&json!(true), &json!(true), &json!(0)),
            "{conditions}: {told}"
        );
        assert_refused(&verify_from(&world, &owner, &key, &bad), failed);
        // The address of the service that asks is not that of its client.
        let asked = request("POST", "/v1/keys/verify", &owner, &json!({ "key": key }));
        let told = world.send(&from(asked, OFFICE, "DE")).json;
        assert_refused(&told, failed);
    }
    let (world, owner, _, _) = scene(&office());
    let told = verify_from(&world, &owner, &owner, &json!({}));
    assert_eq!((&told["valid"], &told["conditional"]), (&json!(true), &json!(false)));
}

#[test]
fn verification_judges_the_time() {
    // The world begins on a Friday at 08:00 UTC.
    for (conditions, after_minutes) in [
        (json!({ "not_before": "2027-01-15T10:05:00.000+02:00" }), 5),
        (json!({ "hours": [{ "days": ["fri"], "from": "08:05", "to": "09:00" }] }), 5),
        (json!({ "hours": [{ "days": ["thu", "fri"], "from": "22:00", "to": "06:00" }] }), 14 * 60),
        (json!({ "hours": [{ "days": ["sat"], "from": "00:00", "to": "00:00" }] }), 16 * 60),
        (json!({ "hours": [{ "days": ["sun"], "from": "23:59", "to": "00:01" }] }), 2 * 24 * 60 + 16 * 60 - 1),
    ] {
        let (world, owner, _, key) = scene(&conditions);
        let failed = conditions.as_object().unwrap().keys().next().unwrap().clone();
        world.advance_ms(after_minutes * MINUTE_MS - 1);
        assert_refused(&verify_from(&world, &owner, &key, &json!({})), &failed);
        world.advance_ms(1);
        assert_eq!(verify_from(&world, &owner, &key, &json!({}))["valid"], true, "{conditions}");
    }
    // A period over midnight ends on the next day.
    let (world, owner, _, key) = scene(&json!({ "hours": [{ "days": ["fri"], "from": "22:00", "to": "06:00" }] }));
    for (minutes, valid) in [(14 * 60, true), (7 * 60 + 59, true), (1, false)] {
        world.advance_ms(minutes * MINUTE_MS);
        assert_eq!(verify_from(&world, &owner, &key, &json!({}))["valid"], valid, "{minutes}");
    }
}

#[test]
fn own_routes_judge_the_client_that_the_platform_tells() {
    type Present = fn(&World, &str, &str, &str) -> u16;
    let routes: [(&str, Present); 4] = [
        ("native", |world, key, ip, country| {
            world.send(&from(request("GET", "/v1/keys/self", key, &Value::Null), ip, country)).status
        }),
        ("vendor", |world, key, ip, country| {
            world.send(&from(request("GET", "/v1/api_key", key, &Value::Null), ip, country)).status
        }),
        ("MCP", |world, key, ip, country| {
            let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
            world.send(&from(request("POST", "/mcp", key, &ping), ip, country)).status
        }),
        ("pages", |world, key, ip, country| {
            let mut browser = Browser::new(world);
            let signing_in = browser.request("POST", "/sign-in", &[("key", key)], Some("https://keys.example.com"));
            browser.receive(&from(signing_in, ip, country)).status
        }),
    ];
    let conditions = json!({ "allowed_ips": ["192.0.2.0/24"], "allowed_countries": ["DE"] });
    for (name, present) in routes {
        let (world, _, _, key) = scene(&conditions);
        assert!(present(&world, &key, OFFICE, "DE") < 400, "{name}");
        for (ip, country) in
            [(ELSEWHERE, "DE"), (OFFICE, "FR"), (OFFICE, ""), ("", "DE"), ("", ""), (OFFICE, "XX"), ("x", "de")]
        {
            assert_eq!(present(&world, &key, ip, country), 403, "{name} from {ip} in {country}");
        }
    }
}

#[test]
fn gateway_lets_on_only_the_clients_that_meet_the_conditions() {
    let (world, owner) = world_with_orders();
    let body = json!({ "name": "k", "scopes": ["orders:read"], "conditions": office() });
    let (_, key) = world.create_from(&owner, &body);
    let status = |ip: &str| world.send(&from(request("GET", "/orders/7", &key, &Value::Null), ip, "")).status;
    // No server is behind it here.
    assert_eq!((status(OFFICE), status(ELSEWHERE), status("")), (502, 403, 403));
}

#[test]
fn session_holds_only_where_its_key_does() {
    let (world, _, _, key) = scene(&office());
    let mut browser = Browser::new(&world);
    let signing_in = browser.request("POST", "/sign-in", &[("key", &key)], Some("https://keys.example.com"));
    assert_eq!(browser.receive(&from(signing_in, OFFICE, "")).status, 303);
    let page = |ip: &str| world.send(&from(browser.request("GET", "/settings/keys", &[], None), ip, "")).status;
    assert_eq!((page(OFFICE), page(ELSEWHERE), page("")), (200, 303, 303));
    let told = html(&world.get("/sign-in?because=conditions_not_met", ""));
    assert!(told.contains("Your key is not for this client"), "{told}");
}

#[test]
fn refused_client_is_told_the_condition_and_not_what_it_allows() {
    let (world, owner, _, key) = scene(&office());
    let answer = world.send(&from(request("GET", "/v1/keys/self", &key, &Value::Null), ELSEWHERE, ""));
    assert_problem(&answer, 403, "conditions_not_met");
    assert!(answer.detail().contains("`allowed_ips`"), "{}", answer.detail());
    let asked = json!({ "key": key, "client": { "ip": ELSEWHERE }, "explain": true });
    let told = world.post("/v1/keys/verify", &owner, &asked).json;
    for text in [answer.json.to_string(), told.to_string()] {
        assert!(!text.contains("192.0.2"), "{text}");
    }
}

#[test]
fn refused_client_uses_nothing_up_and_is_noted() {
    let (world, owner, id, key) = scene(&office());
    world.get("/v1/scopes", &owner);
    world.settle();
    world.advance_ms(2 * MINUTE_MS);
    world.get("/v1/scopes", &owner);
    world.settle();
    let used = || {
        let keys = format!("SELECT json_array(last_used_at, last_used_from, updated_at) FROM keys WHERE id = '{id}'");
        [world.database.value(&keys), world.database.value("SELECT count(*) FROM key_uses WHERE key_id LIKE '019%'")]
    };
    let before = used();
    let told = verify_from(&world, &owner, &key, &json!({ "ip": ELSEWHERE, "country": "FR" }));
    assert_refused(&told, "allowed_ips");
    world.send(&from(request("GET", "/v1/keys/self", &key, &Value::Null), ELSEWHERE, ""));
    world.advance_ms(2 * MINUTE_MS);
    world.send(&from(request("GET", "/v1/scopes", &key, &Value::Null), ELSEWHERE, ""));
    world.settle();
    assert_eq!(used()[0], before[0]);
    let event = "SELECT details FROM audit_events WHERE action = 'refused' ORDER BY id LIMIT 1";
    let details: Value = serde_json::from_str(world.database.value(event).as_str().unwrap()).unwrap();
    assert_eq!(
        (&details["condition"], &details["client"]),
        (&json!("allowed_ips"), &json!({ "ip": ELSEWHERE, "country": "FR" })),
        "{details}"
    );
    let codes = format!(
        "SELECT group_concat(DISTINCT refusal) FROM audit_events WHERE subject = '{id}' AND action = 'refused'"
    );
    assert_eq!(world.database.value(&codes), "conditions_not_met");
}

#[test]
fn proxy_tells_of_its_caller_and_never_of_itself() {
    let (world, _, _, key) = scene(&json!({ "allowed_ips": ["192.0.2.0/24"] }));
    let elsewhere = ELSEWHERE;
    let ask = |question: &str, headers: &[(&str, &str)]| {
        let mut asked = request("GET", &format!("/v1/authorize?scope=api-keys:read{question}"), &key, &Value::Null);
        asked.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        world.send(&asked).status
    };
    let (own, forwarded) = ("&client=x-bitting-client-ip", "&client=x-forwarded-for");
    let proxy = ("cf-connecting-ip", "192.0.2.80");
    // Nothing that a caller sends is believed unless the proxy's question says that it is the proxy's word.
    for name in ["x-bitting-client-ip", "x-forwarded-for", "x-real-ip", "true-client-ip"] {
        assert_eq!(ask("", &[(name, OFFICE), proxy]), 403, "{name}");
    }
    assert_eq!(ask(own, &[("x-bitting-client-ip", OFFICE)]), 200);
    assert_eq!(ask(own, &[("x-bitting-client-ip", elsewhere), proxy]), 403);
    assert_eq!(ask(own, &[("x-forwarded-for", OFFICE), proxy]), 403);
    // Cloudflare appends the address of the proxy to what the proxy has sent.
    assert_eq!(ask(forwarded, &[("x-forwarded-for", &format!("{elsewhere}, {OFFICE}, 192.0.2.80")), proxy]), 200);
    assert_eq!(ask(forwarded, &[("x-forwarded-for", OFFICE)]), 200);
    assert_eq!(ask(forwarded, &[("x-forwarded-for", &format!("{OFFICE}, {elsewhere}, 192.0.2.80")), proxy]), 403);
    assert_eq!(ask(forwarded, &[("x-forwarded-for", "192.0.2.80"), proxy]), 403);
    assert_eq!(ask(forwarded, &[("x-bitting-client-ip", OFFICE), proxy]), 403);
    assert_eq!(ask("&client=x-real-ip", &[("x-real-ip", OFFICE)]), 400);
}

#[test]
fn proxys_own_key_is_judged_by_where_the_question_comes_from() {
    let (world, owner, _, _) = scene(&office());
    let body = json!({ "name": "proxy", "kind": "org", "scopes": ["api-keys:verify"], "conditions": office() });
    let (_, proxy) = world.create_from(&owner, &body);
    for (ip, status) in [(OFFICE, 200), (ELSEWHERE, 403), ("", 403)] {
        let mut asked = request("GET", "/v1/authorize?client=x-bitting-client-ip", &owner, &Value::Null);
        asked.headers.push(("x-bitting-proxy-key".to_owned(), proxy.clone()));
        asked.headers.push(("x-bitting-client-ip".to_owned(), OFFICE.to_owned()));
        assert_eq!(world.send(&from(asked, ip, "")).status, status, "{ip}");
    }
}

#[test]
fn proxy_tells_the_country_of_its_caller() {
    let (world, _, _, key) = scene(&json!({ "denied_countries": ["AQ"] }));
    for (question, country, status) in [
        ("?client=x-bitting-client-ip", "DE", 200),
        ("?client=x-bitting-client-ip", "AQ", 403),
        ("?client=x-bitting-client-ip", "", 403),
        ("?client=x-forwarded-for", "DE", 403),
        ("", "DE", 403),
    ] {
        let mut asked = request("GET", &format!("/v1/authorize{question}"), &key, &Value::Null);
        asked.headers.push(("x-bitting-client-country".to_owned(), country.to_owned()));
        // That of the proxy says nothing of its caller.
        assert_eq!(world.send(&from(asked, "192.0.2.80", "DE")).status, status, "{question} {country}");
    }
}

#[test]
fn change_of_conditions_holds_within_the_bound_whatever_is_cached() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, key) = world.create(&owner, "k", &[]);
    let isolate = world.another_isolate();
    for _ in 0..2 {
        assert_eq!(isolate.verify(&owner, &key, &[])["valid"], true);
        isolate.settle();
    }
    let seq = || world.database.value("SELECT max(seq) FROM changes").as_i64();
    let before = seq();
    let changed = world.change(&owner, &id, &json!({ "conditions": office() }));
    assert_eq!(changed["conditions"], office());
    assert!(seq() > before, "the feed did not move");
    isolate.advance_ms(5_001);
    for isolate in [&isolate, &world, &world.another_isolate(), &isolate] {
        assert_refused(&verify_from(isolate, &owner, &key, &json!({ "ip": ELSEWHERE })), "allowed_ips");
        assert_eq!(verify_from(isolate, &owner, &key, &json!({ "ip": OFFICE }))["valid"], true);
        isolate.settle();
    }
    // Of the same conditions the feed says nothing new, and of none that the key has them no more.
    assert_eq!(world.change(&owner, &id, &json!({ "conditions": null }))["conditions"], Value::Null);
    assert_eq!(world.change(&owner, &id, &json!({ "conditions": {} }))["conditions"], Value::Null);
    assert_eq!(world.verify(&owner, &key, &[])["valid"], true);
}

#[test]
fn conditions_are_stored_in_their_canonical_form() {
    let sent = json!({
        "allowed_ips": ["192.0.2.7/32", "10.0.0.0/8", "::ffff:10.1.0.0/112", "2001:DB8:0::/32", "::1", "0.0.0.0/0"],
        "denied_ips": null,
        "not_before": "2027-01-15T10:00:00+02:00",
        "hours": [{ "days": ["mon"], "from": "09:00", "to": "17:00" }],
    });
    let (world, owner, id, key) = scene(&sent);
    let expected = json!({
        "allowed_ips": ["192.0.2.7", "10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "::1", "0.0.0.0/0"],
        "not_before": "2027-01-15T08:00:00.000Z",
        "hours": [{ "days": ["mon"], "from": "09:00", "to": "17:00" }],
    });
    assert_eq!(world.get(&format!("/v1/keys/{id}"), &owner).json["conditions"], expected);
    assert_eq!(world.get("/v1/keys?name=conditional", &owner).json["items"][0]["conditions"], expected);
    let event = format!("SELECT details FROM audit_events WHERE subject = '{id}' AND action = 'key.created'");
    assert!(world.database.value(&event).as_str().unwrap().contains("\"conditions\":{\"allowed_ips\""));
    // Those of no key are left as they are by a change of something else.
    assert_eq!(world.change(&owner, &id, &json!({ "name": "n" }))["conditions"], expected);
    assert_eq!(world.get("/v1/keys/self", &owner).json["conditions"], Value::Null);
    drop(key);
}

#[test]
fn conditions_that_cannot_be_read_are_refused_with_what_is_wrong() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, _) = world.create(&owner, "k", &[]);
    let many = |count: usize| (0..count).map(|number| format!("10.0.0.{number}")).collect::<Vec<_>>();
    let hours = |period: Value| json!({ "hours": [period] });
    for (conditions, field, says) in [
        (json!({ "allowed_ips": [] }), "conditions.allowed_ips", "must not be empty"),
        (json!({ "allowed_ips": many(51) }), "conditions.allowed_ips", "at most 50 entries"),
        (json!({ "denied_ips": ["10.0.0.1/8"] }), "conditions.denied_ips", "bits beyond the first 8"),
        (
            json!({ "denied_ips": ["10.0.0.0/8", "2001:db8::1/32"] }),
            "conditions.denied_ips",
            "bits beyond the first 32",
        ),
        (json!({ "allowed_ips": ["10.0.0.0/33"] }), "conditions.allowed_ips", "no range"),
        (json!({ "allowed_ips": ["10.0.0.0/+8"] }), "conditions.allowed_ips", "no range"),
        (json!({ "allowed_ips": ["10.0.0.0/08"] }), "conditions.allowed_ips", "no range"),
        (json!({ "allowed_ips": ["10.0.0"] }), "conditions.allowed_ips", "no address"),
        (json!({ "allowed_ips": ["010.0.0.1"] }), "conditions.allowed_ips", "no address"),
        (json!({ "allowed_ips": ["fe80::1%eth0"] }), "conditions.allowed_ips", "no address"),
        (json!({ "allowed_ips": ["example.com"] }), "conditions.allowed_ips", "no address"),
        (json!({ "allowed_countries": ["de"] }), "conditions.allowed_countries", "in capitals"),
        (json!({ "denied_countries": ["UK"] }), "conditions.denied_countries", "ISO 3166-1"),
        (json!({ "denied_countries": ["XX"] }), "conditions.denied_countries", "ISO 3166-1"),
        (json!({ "not_before": "2027-01-15" }), "conditions.not_before", "with its offset"),
        (json!({ "not_before": "2027-01-15T10:00:00" }), "conditions.not_before", "with its offset"),
        (json!({ "not_before": 1_800_000_000 }), "conditions.not_before", "must be"),
        (hours(json!({ "days": [], "from": "09:00", "to": "17:00" })), "conditions.hours[0].days", "must not be empty"),
        (hours(json!({ "days": ["monday"], "from": "09:00", "to": "17:00" })), "conditions.hours[0].days", "`mon`"),
        (hours(json!({ "days": ["mon"], "from": "9:00", "to": "17:00" })), "conditions.hours[0].from", "like `09:30`"),
        (hours(json!({ "days": ["mon"], "from": "09:00", "to": "24:00" })), "conditions.hours[0].to", "like `09:30`"),
        (hours(json!({ "days": ["mon"], "from": "09:00" })), "conditions.hours[0].to", "is missing"),
        (json!({ "ips": ["10.0.0.1"] }), "conditions.ips", "not a field"),
    ] {
        let new = json!({ "name": "n", "scopes": [], "conditions": conditions });
        for answer in [
            world.post("/v1/keys", &owner, &new),
            world.call("PATCH", &format!("/v1/keys/{id}"), &owner, &json!({ "conditions": conditions })),
        ] {
            assert_problem(&answer, 400, "validation_failed");
            assert_eq!(answer.field(), field, "{}", answer.detail());
            assert!(answer.detail().contains(says), "{}", answer.detail());
        }
    }
    for (client, field) in [
        (json!({ "ip": "10.0.0.1:80" }), "client.ip"),
        (json!({ "ip": "10.0.0.0/8" }), "client.ip"),
        (json!({ "country": "de" }), "client.country"),
        (json!({ "address": "10.0.0.1" }), "client.address"),
    ] {
        let answer = world.post("/v1/keys/verify", &owner, &json!({ "key": owner, "client": client }));
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field);
    }
    let widest = json!({
        "allowed_ips": many(50), "denied_ips": many(50),
        "allowed_countries": vec!["DE"; 100], "denied_countries": vec!["FR"; 100],
        "hours": vec![json!({ "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "to": "00:00" }); 14],
    });
    assert_eq!(world.change(&owner, &id, &json!({ "conditions": widest }))["conditions"], widest);
}

fn create(world: &World, by: &str, body: &Value) -> Answer {
    world.send(&from(request("POST", "/v1/keys", by, body), OFFICE, ""))
}

#[test]
fn key_with_conditions_gives_none_that_are_wider() {
    let (world, owner, id, key) = scene(&office());
    for (conditions, status) in [
        (json!({ "conditions": null }), 403),
        (json!({ "conditions": {} }), 403),
        (json!({ "conditions": { "allowed_ips": ["192.0.0.0/16"] } }), 403),
        (json!({ "conditions": { "allowed_ips": ["192.0.2.0/25", "198.51.100.1"] } }), 403),
        (json!({ "conditions": { "denied_ips": ["198.51.100.1"] } }), 403),
        (json!({ "conditions": { "allowed_countries": ["DE"] } }), 403),
        (json!({ "conditions": { "allowed_ips": ["192.0.2.128/25", "192.0.2.1"], "allowed_countries": ["DE"] } }), 201),
        (json!({ "conditions": { "allowed_ips": ["0.0.0.0/0"], "denied_ips": ["0.0.0.0/0"] } }), 201),
        (json!({}), 201),
    ] {
        let mut body = json!({ "name": "child", "scopes": ["api-keys:read"] });
        body.as_object_mut().unwrap().extend(conditions.as_object().unwrap().clone());
        let answer = create(&world, &key, &body);
        assert_eq!(answer.status, status, "{conditions}: {}", answer.json);
        if status == 403 {
            assert_problem(&answer, 403, "exceeds_own_access");
            assert!(answer.detail().contains("conditions"), "{}", answer.detail());
        }
        if conditions == json!({}) {
            assert_eq!(answer.json["conditions"], office(), "a key has the conditions of its creator");
        }
    }
    // A key does not take its own away either, and narrows them.
    let patch = |conditions: &Value| {
        let path = format!("/v1/keys/{id}");
        world.send(&from(request("PATCH", &path, &key, &json!({ "conditions": conditions })), OFFICE, ""))
    };
    assert_problem(&patch(&Value::Null), 403, "exceeds_own_access");
    assert_eq!(patch(&json!({ "allowed_ips": [OFFICE] })).status, 200);
    assert_problem(&patch(&office()), 403, "exceeds_own_access");
    assert_eq!(world.change(&owner, &id, &json!({ "conditions": office() }))["conditions"], office());
}

#[test]
fn key_with_conditions_derives_no_token() {
    let (world, _, _, key) = scene(&office());
    let derive = request("POST", "/v1/tokens", &key, &json!({ "audience": "https://orders.example.com" }));
    let answer = world.send(&from(derive, OFFICE, ""));
    assert_problem(&answer, 403, "exceeds_own_access");
    assert!(answer.detail().contains("conditions"), "{}", answer.detail());
}

#[test]
fn session_of_a_key_with_conditions_gives_nothing_without_them() {
    let world = World::new();
    let owner = world.bootstrap();
    let (member, ..) = world.colleague(&owner, "member");
    let (id, key) = world.create_from(&owner, &json!({ "name": "k", "scopes": ["full"], "conditions": office() }));
    let mut browser = Browser::new(&world);
    let mut post = |path: &str, fields: &[(&str, &str)]| {
        let form = browser.request("POST", path, fields, Some("https://keys.example.com"));
        browser.receive(&from(form, OFFICE, ""))
    };
    assert_eq!(post("/sign-in", &[("key", &key)]).status, 303);
    let rows = || {
        let count = |table: &str| world.database.count(table);
        (count("keys"), count("invitations"), count("sign_in_links"), count("sessions"))
    };
    let before = rows();
    let new = [("name", "n"), ("owner", "organization"), ("full", "yes"), ("expires", "never")];
    let wider = [("allowed_ips", "0.0.0.0/0")];
    let own = [("name", "k"), ("full", "yes"), ("expires", "keep")];
    for (path, fields) in [
        ("/settings/keys/new".to_owned(), [&[("nonce", "1")], &new[..]].concat()),
        ("/settings/keys/new".to_owned(), [&[("nonce", "2")], &new[..], &wider[..]].concat()),
        (format!("/settings/keys/{id}/edit"), own.to_vec()),
        (
            "/settings/people".to_owned(),
            vec![("nonce", "3"), ("email", "b@example.com"), ("role", "member"), ("lasts", "7")],
        ),
        (format!("/settings/people/{member}/sign-in-link"), vec![("nonce", "4")]),
        (format!("/settings/people/{member}"), vec![("role", "admin")]),
    ] {
        let answer = post(&path, &fields);
        assert_eq!(answer.status, 403, "{path}: {}", html(&answer));
        assert!(html(&answer).contains("conditions"), "{path}: {}", html(&answer));
        assert_eq!(rows(), before, "{path}");
    }
    assert_eq!(world.get(&format!("/v1/keys/{id}"), &owner).json["conditions"], office());
    let narrower = [("nonce", "5"), ("allowed_ips", OFFICE)];
    assert_eq!(post("/settings/keys/new", &[&narrower[..], &new[..]].concat()).status, 200);
}

#[test]
fn explanation_lists_every_check_and_the_first_that_fails_decides() {
    let (world, owner, id, key) = scene(&json!({ "allowed_ips": ["192.0.2.0/24"], "denied_countries": ["AQ"] }));
    let explain = |client: Value, scopes: &[&str]| {
        let body = json!({ "key": key, "client": client, "scopes": scopes, "explain": true });
        world.post("/v1/keys/verify", &owner, &body).json
    };
    let failed = |told: &Value| -> Vec<String> {
        let checks = told["checks"].as_array().unwrap();
        let failed = checks.iter().filter(|check| check["passed"] == false);
        failed.map(|check| check["check"].as_str().unwrap().to_owned()).collect()
    };
    let good = explain(json!({ "ip": OFFICE, "country": "DE" }), &["api-keys:read"]);
    assert_eq!((&good["valid"], failed(&good).len()), (&json!(true), 0));
    let names: Vec<&str> =
        good["checks"].as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(
        names.join(" "),
        "revocation user project rotation organization enabled expiry not_before hours allowed_ips denied_ips \
         allowed_countries denied_countries scopes"
    );
    let bad = explain(json!({ "ip": ELSEWHERE }), &["datasets:read"]);
    assert_refused(&bad, "allowed_ips");
    assert_eq!(failed(&bad), ["allowed_ips", "denied_countries", "scopes"]);
    assert!(bad["checks"].to_string().contains("The client's country is not known."), "{bad}");
    world.revoke(&owner, &id);
    let revoked = explain(json!({ "ip": OFFICE, "country": "DE" }), &[]);
    assert_eq!((&revoked["code"], failed(&revoked)), (&json!("key_revoked"), vec!["revocation".to_owned()]));
    assert!(world.verify(&owner, &key, &[]).get("checks").is_none());
    // Of a stranger's key nothing is explained.
    let (_, _, stranger) = world.stranger(&owner);
    let body = json!({ "key": owner, "explain": true });
    assert_eq!(
        world.post("/v1/keys/verify", &stranger, &body).json,
        json!({ "valid": false, "code": "invalid_api_key" })
    );
}

#[test]
fn simulation_tells_what_a_verification_would_and_writes_nothing() {
    let (world, owner, id, key) =
        scene(&json!({ "allowed_ips": ["192.0.2.0/24"], "not_before": "2027-02-01T00:00:00Z" }));
    let path = format!("/v1/keys/{id}/simulate");
    world.get("/v1/scopes", &owner);
    world.settle();
    let before = world.database.dump();
    let simulate = |body: Value| {
        let answer = world.post(&path, &owner, &body);
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json
    };
    assert_refused(&simulate(json!({})), "not_before");
    let at = "2027-02-01T00:00:00Z";
    assert_refused(&simulate(json!({ "at": at, "client": { "ip": ELSEWHERE } })), "allowed_ips");
    let good = simulate(json!({ "at": at, "client": { "ip": OFFICE }, "scopes": ["api-keys:read"] }));
    assert_eq!((&good["valid"], &good["key_id"], &good["source"]), (&json!(true), &json!(id), &json!("d1")));
    let lacking = simulate(json!({ "at": at, "client": { "ip": OFFICE }, "scopes": ["datasets:read"] }));
    assert_eq!(
        (&lacking["code"], &lacking["missing_scopes"]),
        (&json!("insufficient_scope"), &json!(["datasets:read"]))
    );
    world.settle();
    assert_eq!(world.database.dump(), before);
    // It is for those who may see the key.
    let (_, _, stranger) = world.stranger(&owner);
    assert_problem(&world.post(&path, &stranger, &json!({})), 404, "not_found");
    let (_, _, member) = world.colleague(&owner, "member");
    assert_problem(&world.post(&path, &member, &json!({})), 404, "not_found");
    let (_, writer) = world.create(&owner, "writer", &["datasets:read"]);
    assert_problem(&world.post(&path, &writer, &json!({})), 403, "insufficient_scope");
    assert_problem(&world.post(&path, &owner, &json!({ "at": "tomorrow" })), 400, "validation_failed");
    assert_problem(&world.post(&path, &owner, &json!({ "scopes": ["orders:read"] })), 400, "validation_failed");
    // What it told of the later time is what a verification tells then.
    world.clock.0.set(UnixMillis::parse(at).unwrap());
    assert_eq!(verify_from(&world, &owner, &key, &json!({ "ip": OFFICE }))["valid"], true);
}

#[test]
fn last_key_that_manages_keys_gets_no_conditions_unless_forced() {
    let world = World::new();
    let owner = world.bootstrap();
    let id = world.get("/v1/keys/self", &owner).text("id");
    let patch =
        |query: &str| world.call("PATCH", &format!("/v1/keys/{id}{query}"), &owner, &json!({ "conditions": office() }));
    assert_problem(&patch(""), 409, "last_managing_key");
    // A key whose conditions nobody may meet is no replacement.
    let (spare, _) = world.create_from(&owner, &json!({ "name": "spare", "scopes": ["full"], "conditions": office() }));
    assert_problem(&patch(""), 409, "last_managing_key");
    world.change(&owner, &spare, &json!({ "conditions": null }));
    assert_eq!(patch("").status, 200);
}

#[test]
fn pages_show_conditions_change_them_and_try_a_request() {
    let (world, owner, id, key) = scene(&office());
    let mut browser = Browser::with_key(&world, &owner);
    let path = format!("/settings/keys/{id}");
    assert!(html(&browser.get(&path)).contains("192.0.2.0/24"));
    let edit = format!("{path}/edit");
    assert!(html(&browser.get(&edit)).contains("value=\"192.0.2.0/24\""));
    let fields = |more: &[(&'static str, &'static str)]| {
        let mut fields = vec![("name", "conditional"), ("scope", "api-keys:*"), ("expires", "keep")];
        fields.extend(more);
        fields
    };
    let conditions = || world.get(&format!("/v1/keys/{id}"), &owner).json["conditions"].clone();
    let typed = [
        ("allowed_ips", "192.0.2.0/24, 2001:db8::/32"),
        ("denied_ips", " "),
        ("allowed_countries", "de fr"),
        ("not_before", "2027-01-15T08:00:00Z"),
        ("hours", "mon,fri 09:00-17:00; sat 22:00-02:00"),
    ];
    assert_eq!(browser.post(&edit, &fields(&typed)).status, 303);
    let saved = json!({
        "allowed_ips": ["192.0.2.0/24", "2001:db8::/32"],
        "allowed_countries": ["DE", "FR"],
        "not_before": "2027-01-15T08:00:00.000Z",
        "hours": [
            { "days": ["mon", "fri"], "from": "09:00", "to": "17:00" },
            { "days": ["sat"], "from": "22:00", "to": "02:00" },
        ],
    });
    assert_eq!(conditions(), saved);
    for (field, text, says) in [
        ("allowed_ips", "192.0.2.1/24", "bits beyond"),
        ("denied_countries", "UK", "ISO 3166-1"),
        ("not_before", "tomorrow", "RFC 3339"),
        ("hours", "mon 9-17", "is no period"),
    ] {
        let answer = browser.post(&edit, &fields(&[(field, text)]));
        assert_eq!(answer.status, 400, "{field}");
        let page = html(&answer);
        assert!(page.contains(says) && page.contains(&format!("value=\"{text}\"")), "{field}: {page}");
    }
    assert_eq!(conditions(), saved);
    let tried = |browser: &mut Browser<'_>, query: &str| html(&browser.get(&format!("{path}/simulate?{query}")));
    let good = "scope=api-keys:read&ip=192.0.2.7&country=DE&at=2027-01-15T10:00:00Z";
    assert!(tried(&mut browser, good).contains("would be let in"));
    assert!(tried(&mut browser, "ip=198.51.100.9").contains("would be refused"));
    assert!(tried(&mut browser, "ip=nowhere").contains("This is no address"));
    assert_eq!(browser.post(&edit, &fields(&[])).status, 303);
    assert_eq!(conditions(), Value::Null);
    let new =
        [("name", "new"), ("owner", "me"), ("scope", "api-keys:read"), ("expires", "90"), ("allowed_ips", "192.0.2.7")];
    let page = html(&browser.fill("/settings/keys/new", "/settings/keys/new", &new));
    assert!(page.contains("bit_pat_"), "{page}");
    let newest = &world.get("/v1/keys?name=new", &owner).json["items"][0];
    assert_eq!(newest["conditions"], json!({ "allowed_ips": ["192.0.2.7"] }));
    drop(key);
}

/// Conditions as they are sent, from few values, so that they often meet.
fn arbitrary() -> impl Strategy<Value = Value> {
    let ranges = [
        "10.0.0.0/8",
        "10.0.0.0/9",
        "10.128.0.0/9",
        "10.0.0.1",
        "10.0.0.0/31",
        "0.0.0.0/0",
        "192.0.2.0/24",
        "192.0.2.7",
        "::/0",
        "2001:db8::/32",
        "2001:db8::/33",
        "2001:db8::1",
        "::ffff:10.0.0.0/105",
    ];
    let ips = || prop::option::weighted(0.4, prop::collection::vec(select(ranges.to_vec()), 1..4));
    let countries = || prop::option::weighted(0.4, prop::collection::vec(select(&["DE", "FR", "AQ", "T1"][..]), 1..4));
    let times = ["00:00", "08:00", "08:01", "12:00", "23:59"];
    let days = prop::collection::vec(select(&["thu", "fri", "sat", "sun", "mon"][..]), 1..4);
    let period = (days, select(times.to_vec()), select(times.to_vec()))
        .prop_map(|(days, from, to)| json!({ "days": days, "from": from, "to": to }));
    let hours = prop::option::weighted(0.4, prop::collection::vec(period, 1..3));
    let not_before = prop::option::weighted(0.3, select(&["2027-01-15T08:00:00Z", "2027-01-16T00:00:00.001Z"][..]));
    (ips(), ips(), countries(), countries(), not_before, hours).prop_map(
        |(allowed, denied, only, never, from, hours)| {
            json!({
                "allowed_ips": allowed, "denied_ips": denied, "allowed_countries": only, "denied_countries": never,
                "not_before": from, "hours": hours,
            })
        },
    )
}

fn arbitrary_client() -> impl Strategy<Value = (Option<&'static str>, Option<&'static str>)> {
    let ips = [
        "10.0.0.0",
        "10.0.0.1",
        "10.0.0.2",
        "10.200.0.1",
        "192.0.2.7",
        "192.0.2.8",
        "203.0.113.1",
        "2001:db8::1",
        "2001:db8:8000::",
        "::1",
        "::ffff:10.0.0.1",
    ];
    (
        prop::option::weighted(0.9, select(ips.to_vec())),
        prop::option::weighted(0.9, select(&["DE", "FR", "AQ", "T1", "GB"][..])),
    )
}

/// An instant near the edges of the periods above.
fn arbitrary_instant() -> impl Strategy<Value = i64> {
    let edge = select(&[0, 1, 8 * 60, 8 * 60 + 1, 12 * 60, 24 * 60 - 1][..]);
    (-7_i64..7, edge, -1_i64..2).prop_map(|(day, minute, ms)| {
        let midnight = START.0 - 8 * 60 * MINUTE_MS;
        midnight + (day * 24 * 60 + minute) * MINUTE_MS + ms
    })
}

/// The bits of an address as a text, with its version in front.
fn bits(text: &str) -> String {
    match text.parse::<IpAddr>().unwrap().to_canonical() {
        IpAddr::V4(address) => format!("4{:032b}", u32::from(address)),
        IpAddr::V6(address) => format!("6{:0128b}", u128::from(address)),
    }
}

/// True if an address begins with the bits that a range says.
fn begins(range: &str, ip: &str) -> bool {
    let (first, length) = range.split_once('/').unwrap_or((range, "128"));
    let mapped = first.starts_with("::ffff:");
    let length = length.parse::<usize>().unwrap() - if mapped { 96 } else { 0 };
    let shown = bits(first);
    bits(ip).starts_with(&shown[..(length + 1).min(shown.len())])
}

/// The example of conditions in the documentation, as it stands there.
fn naive(conditions: &Value, ip: Option<&str>, country: Option<&str>, at: i64) -> bool {
    let texts = |name: &str| -> Option<Vec<String>> { serde_json::from_value(conditions[name].clone()).unwrap() };
    let listed = |list: &[String], value: &str| list.iter().any(|range| begins(range, value));
    if let Some(list) = texts("allowed_ips")
        && !ip.is_some_and(|ip| listed(&list, ip))
    {
        return false;
    }
    if let Some(list) = texts("denied_ips")
        && ip.is_none_or(|ip| listed(&list, ip))
    {
        return false;
    }
    if let Some(list) = texts("allowed_countries")
        && !country.is_some_and(|country| list.iter().any(|listed| listed == country))
    {
        return false;
    }
    if let Some(list) = texts("denied_countries")
        && country.is_none_or(|country| list.iter().any(|listed| listed == country))
    {
        return false;
    }
    if let Some(from) = conditions["not_before"].as_str()
        && at < UnixMillis::parse(from).unwrap().0
    {
        return false;
    }
    let Some(periods) = conditions["hours"].as_array() else { return true };
    let week = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];
    let (day, time) = (at.div_euclid(24 * 60 * MINUTE_MS), at.rem_euclid(24 * 60 * MINUTE_MS));
    let name = |day: i64| week[usize::try_from(day.rem_euclid(7)).unwrap()];
    let ms = |text: &Value| {
        let text = text.as_str().unwrap();
        (text[..2].parse::<i64>().unwrap() * 60 + text[3..].parse::<i64>().unwrap()) * MINUTE_MS
    };
    periods.iter().any(|period| {
        let begins = |day: i64| period["days"].as_array().unwrap().iter().any(|listed| listed == name(day));
        let (from, to) = (ms(&period["from"]), ms(&period["to"]));
        if from < to {
            begins(day) && from <= time && time < to
        } else {
            (begins(day) && from <= time) || (begins(day - 1) && time < to)
        }
    })
}

fn read(conditions: &Value) -> Conditions {
    serde_json::from_value(conditions.clone()).unwrap()
}

fn admits(conditions: &Conditions, (ip, country): (Option<&str>, Option<&str>), at: i64) -> bool {
    let client = Client::told(ip, country);
    CONDITIONS.iter().all(|condition| conditions.meets(*condition, client, UnixMillis(at)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn conditions_are_judged_as_the_documentation_says(
        conditions in arbitrary(), client in arbitrary_client(), at in arbitrary_instant(),
    ) {
        prop_assert_eq!(admits(&read(&conditions), client, at), naive(&conditions, client.0, client.1, at));
    }

    #[test]
    fn conditions_within_others_admit_nobody_whom_those_do_not(
        [one, other] in [arbitrary(), arbitrary()],
        uses in prop::collection::vec((arbitrary_client(), arbitrary_instant()), 20),
    ) {
        let (one, other) = (read(&one), read(&other));
        prop_assert!(one.is_within(&one));
        prop_assert!(one.is_within(&Conditions::default()));
        if one.is_within(&other) {
            for (client, at) in uses {
                prop_assert!(!admits(&one, client, at) || admits(&other, client, at), "{:?} at {}", client, at);
            }
        }
    }

    #[test]
    fn conditions_read_back_as_they_were_written(conditions in arbitrary()) {
        let read_once = read(&conditions);
        prop_assert_eq!(read(&serde_json::to_value(&read_once).unwrap()), read_once);
    }
}

#[test]
fn within_is_true_as_often_as_people_expect() {
    for (one, other, within) in [
        (json!({ "allowed_ips": ["10.0.0.0/9"] }), json!({ "allowed_ips": ["10.0.0.0/8"] }), true),
        (json!({ "allowed_ips": ["10.0.0.0/8"] }), json!({ "allowed_ips": ["10.0.0.0/9", "10.128.0.0/9"] }), false),
        (json!({ "allowed_ips": ["10.0.0.1"] }), json!({ "denied_ips": ["192.0.2.0/24"] }), true),
        (json!({ "allowed_ips": ["10.0.0.1"] }), json!({ "denied_ips": ["10.0.0.0/8"] }), false),
        (json!({ "denied_ips": ["10.0.0.0/8"] }), json!({ "denied_ips": ["10.0.0.0/9"] }), true),
        (json!({ "denied_ips": ["10.0.0.0/9"] }), json!({ "denied_ips": ["10.0.0.0/8"] }), false),
        (json!({}), json!({ "denied_ips": ["10.0.0.0/8"] }), false),
        (json!({ "allowed_countries": ["DE"] }), json!({ "denied_countries": ["AQ"] }), true),
        (
            json!({ "allowed_countries": ["DE", "AQ"], "denied_countries": ["AQ"] }),
            json!({ "allowed_countries": ["DE"] }),
            true,
        ),
        (json!({ "not_before": "2027-01-15T08:00:00Z" }), json!({ "not_before": "2027-01-15T07:00:00Z" }), true),
        (json!({}), json!({ "not_before": "2027-01-15T07:00:00Z" }), false),
        (
            json!({ "hours": [{ "days": ["sun"], "from": "23:00", "to": "01:00" }] }),
            json!({ "hours": [{ "days": ["sun"], "from": "22:00", "to": "00:00" }, { "days": ["mon"], "from": "00:00", "to": "02:00" }] }),
            true,
        ),
        (
            json!({ "hours": [{ "days": ["mon"], "from": "08:59", "to": "17:00" }] }),
            json!({ "hours": [{ "days": ["mon"], "from": "09:00", "to": "17:00" }] }),
            false,
        ),
    ] {
        assert_eq!(read(&one).is_within(&read(&other)), within, "{one} within {other}");
    }
}

#[test]
fn countries_are_those_of_the_standard() {
    let known = (b'A'..=b'Z').flat_map(|first| (b'A'..=b'Z').map(move |second| [first, second]));
    let known = known.filter(|code| Country::parse(std::str::from_utf8(code).unwrap()).is_some()).count();
    // The 249 of ISO 3166-1, and Kosovo.
    assert_eq!(known, 250);
    for code in ["", " ", "D", "DEU", "de", "XX", "UK", "EU", "DE FR", "T2"] {
        assert_eq!(Country::parse(code), None, "{code}");
    }
    assert!(Country::parse("T1").is_some());
}
