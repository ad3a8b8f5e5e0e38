//! `/v1/authorize`, by which proxies ask before they forward, and the places in which a key is sent.

use std::{cell::Cell, rc::Rc};

use base64::prelude::{BASE64_STANDARD, Engine};
use bitting_http::message::{Body, Request};
use bitting_keys::ports::{ByteSource, Limit};
use futures::{StreamExt, stream, stream::LocalBoxStream};
use serde_json::{Value, json};

use crate::{
    errors::UNKNOWN,
    support::{
        Answer, Limits, World,
        problem::{assert_not_stored, assert_problem},
        request,
    },
};

const AUTHORIZE: &str = "/v1/authorize";

/// The catalogue of the repository with a product's scopes, these members, and a parameter that may hold a key.
fn catalogue(routes: &Value) -> String {
    let mut file: Value = serde_json::from_str(include_str!("../../catalogue.json")).unwrap();
    file["resources"]["orders"] = json!({ "read": "See orders", "write": "Change orders" });
    (file["routes"], file["key_parameter"]) = (routes.clone(), json!("api_key"));
    file["origins"] = json!(["https://app.example"]);
    file.to_string()
}

fn routes() -> Value {
    json!([
        { "methods": ["GET"], "path": "/orders/:id", "scope": "orders:read" },
        { "methods": ["PUT", "POST"], "path": "/orders/:id", "scope": "orders:write" },
        { "methods": ["GET"], "path": "/", "scope": "orders:read" },
        // Other hosts may have the paths that this one has.
        { "methods": ["GET"], "path": "/v1/keys", "scope": "orders:write" },
        { "methods": ["GET"], "path": "/settings/keys", "scope": "orders:write" },
        { "methods": ["GET"], "path": "/gateway", "scope": "orders:read", "upstream": "https://orders.example" },
    ])
}

struct Scene {
    world: World,
    owner: String,
    reader_id: String,
    reader: String,
    writer: String,
}

impl Scene {
    fn new(routes: &Value) -> Self {
        let world = World::with_config(&[("CATALOGUE", &catalogue(routes))]);
        let owner = world.bootstrap();
        let (reader_id, reader) = world.create(&owner, "reader", &["orders:read"]);
        let (_, writer) = world.create(&owner, "writer", &["orders:write"]);
        Self { world, owner, reader_id, reader, writer }
    }

    /// Asks as a proxy, with the headers of its caller.
    fn ask(&self, question: &str, headers: &[(&str, &str)]) -> Answer {
        self.world.send(&asking("GET", question, headers))
    }

    /// Asks for what a caller with this key wants to do.
    fn ask_for(&self, key: &str, method: &str, uri: &str) -> Answer {
        self.ask("", &[("x-api-key", key), ("x-forwarded-method", method), ("x-forwarded-uri", uri)])
    }
}

fn asking(method: &str, question: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = request(method, &format!("{AUTHORIZE}{question}"), "", &Value::Null);
    request.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    request
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[test]
fn key_in_any_place_is_answered_alike() {
    let scene = Scene::new(&json!([]));
    let (ended_id, ended) = scene.world.create(&scene.owner, "ended", &["orders:read"]);
    scene.world.revoke(&scene.owner, &ended_id);
    let garbage = format!("{}x", scene.reader);
    for (key, status, code, challenge) in [
        (&scene.reader, 200, "", None),
        (&garbage, 401, "malformed_api_key", Some("error=\"invalid_token\"")),
        (&UNKNOWN.to_owned(), 401, "invalid_api_key", Some("error=\"invalid_token\"")),
        (&ended, 401, "key_revoked", Some("error=\"invalid_token\"")),
        (&scene.writer, 403, "insufficient_scope", Some("error=\"insufficient_scope\", scope=\"orders:read\"")),
    ] {
        let uri = format!("/any?a=b&api_key={key}");
        for headers in [
            vec![("authorization", format!("Bearer {key}"))],
            vec![("authorization", format!("bEARER  {key} "))],
            vec![("authorization", basic(key, ""))],
            vec![("authorization", basic(key, "x-oauth-basic"))],
            vec![("authorization", basic("", key))],
            vec![("authorization", basic("api", key))],
            vec![("x-api-key", key.clone())],
            vec![("confident_api_key", key.clone())],
            vec![("confident-api-key", key.clone())],
            vec![("x-confident-api-key", format!(" {key}"))],
            vec![
                ("x-api-key", key.clone()),
                ("authorization", format!("Bearer {key}")),
                ("confident-api-key", String::new()),
            ],
            // A text that is no key is not the key's business.
            vec![("x-api-key", key.clone()), ("authorization", "Bearer e30.e30.e30".to_owned())],
            vec![("x-api-key", "another service's".to_owned()), ("authorization", format!("Bearer {key}"))],
            vec![("x-forwarded-uri", uri.clone()), ("x-forwarded-method", "POST".to_owned())],
            vec![("x-original-uri", uri.clone()), ("x-original-method", "POST".to_owned()), ("x-api-key", key.clone())],
        ] {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = scene.ask("?scope=orders:read", &headers);
            assert_not_stored(&answer);
            if status == 200 {
                assert_eq!((answer.status, &answer.json), (200, &Value::Null), "{headers:?}");
                assert_eq!(answer.header("x-bitting-key-id"), Some(scene.reader_id.as_str()));
                continue;
            }
            assert_problem(&answer, status, code);
            let sent = answer.header("www-authenticate").unwrap();
            assert!(sent.contains(challenge.unwrap()), "{sent}");
        }
        let uri = format!("?scope=orders:read&uri=/any?api_key={key}");
        assert_eq!(scene.ask(&uri, &[]).status, status);
    }
    assert_problem(&scene.ask("?scope=orders:read", &[]), 401, "missing_api_key");
}

#[test]
fn two_different_keys_are_refused_on_every_kind_of_route() {
    let scene = Scene::new(&routes());
    let bearer = format!("Bearer {}", scene.reader);
    for headers in [
        [("authorization", bearer.as_str()), ("x-api-key", scene.writer.as_str())],
        [("authorization", &basic(&scene.reader, &scene.writer)), ("accept", "*/*")],
        [("authorization", &basic("", &scene.reader)), ("confident-api-key", &scene.writer)],
        [("x-api-key", &scene.reader), ("confident_api_key", &scene.writer)],
    ] {
        for path in ["/v1/authorize?scope=orders:read", "/v1/keys/self", "/gateway", "/mcp", "/v1/api_key"] {
            let mut request = request(if path == "/mcp" { "POST" } else { "GET" }, path, "", &Value::Null);
            request.headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let (answer, io) = scene.world.counted(|| scene.world.send(&request));
            assert_eq!((answer.status, answer.code(), io), (400, "several_api_keys", (0, 0, 0)), "{path}");
        }
    }
    let uri = format!("?scope=orders:read&uri=/?api_key={}&api_key={}", scene.reader, scene.writer);
    assert_problem(&scene.ask(&uri, &[]), 400, "several_api_keys");
    let uri = format!("?scope=orders:read&uri=/?api_key={}", scene.writer);
    assert_problem(&scene.ask(&uri, &[("authorization", &bearer)]), 400, "several_api_keys");
}

#[test]
fn native_routes_the_gateway_and_retries_take_a_key_in_every_header() {
    let scene = Scene::new(&routes());
    for (name, value) in [("x-api-key", scene.owner.clone()), ("authorization", basic("", &scene.owner))] {
        let mut create = request("POST", "/v1/keys", "", &json!({ "name": "made", "scopes": [] }));
        create.headers = vec![(name.to_owned(), value.clone()), ("idempotency-key".to_owned(), name.to_owned())];
        let first = scene.world.send(&create);
        assert_eq!((first.status, scene.world.send(&create).status), (201, 201));
        let mut get = request("GET", "/v1/keys/self", "", &Value::Null);
        get.headers = vec![(name.to_owned(), value.clone())];
        assert_eq!(scene.world.send(&get).status, 200);
        // There is no server behind it.
        get.path = "/gateway".to_owned();
        assert_problem(&scene.world.send(&get), 502, "upstream_failed");
        // Others could read it on the way.
        get.origin = "http://keys.example.com".to_owned();
        assert_problem(&scene.world.send(&get), 403, "plain_http");
    }
    let mut asking = asking("GET", "", &[]);
    asking.origin = "http://keys.example.com".to_owned();
    assert_problem(&scene.world.send(&asking), 403, "plain_http");
    // A parameter is read from the URI that the proxy tells, and nowhere else.
    let uri = format!("/v1/keys/self?api_key={}", scene.owner);
    assert_problem(&scene.world.get(&uri, ""), 401, "missing_api_key");
    assert_problem(&scene.ask(&format!("?api_key={}", scene.owner), &[]), 400, "validation_failed");
}

#[test]
fn success_tells_who_the_caller_is_and_leaves_nothing_to_be_forged() {
    let scene = Scene::new(&json!([]));
    let this = scene.world.get("/v1/keys/self", &scene.reader).json;
    let project = scene.world.project(&scene.owner, "a");
    let body = json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": ["orders:read", "orders:write"] });
    let (id, key) = scene.world.create_from(&scene.owner, &body);
    for (key, expected) in [
        (&scene.reader, [this["id"].as_str(), Some("pat"), this["user_id"].as_str(), Some(""), Some("orders:read")]),
        (&key, [Some(&*id), Some("proj"), Some(""), Some(&*project), Some("orders:read orders:write")]),
    ] {
        let answer = scene.ask("", &[("x-api-key", key), ("x-bitting-user-id", "forged")]);
        let names = ["Key-Id", "Key-Kind", "User-Id", "Project-Id", "Scopes"];
        assert_eq!(names.map(|name| answer.header(&format!("X-Bitting-{name}"))), expected);
        assert_eq!(answer.header("x-bitting-organization-id"), this["organization_id"].as_str());
        assert!(answer.header("x-request-id").is_some());
    }
}

#[test]
fn all_scopes_must_be_held_and_be_known() {
    let scene = Scene::new(&json!([]));
    let ask = |question: &str, key: &str| scene.ask(question, &[("x-api-key", key)]);
    assert_eq!(ask("", &scene.reader).status, 200, "no scope is asked for");
    let answer = ask("?scope=orders:read&scope=orders:write&scope=datasets:read", &scene.reader);
    assert_problem(&answer, 403, "insufficient_scope");
    let challenge = "Bearer realm=\"bitting\", error=\"insufficient_scope\", scope=\"orders:write datasets:read\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
    assert_eq!(ask("?scope=orders:read&scope=orders:write", &scene.owner).status, 200);
    for question in
        ["?scope=", "?scope=orders:fly", "?scope=orders", "?scopes=orders:read", "?scope=orders:read,orders:write"]
    {
        assert_problem(&ask(question, &scene.owner), 400, "validation_failed");
    }
    // What a caller's URI holds is none of the proxy's parameters.
    let answer = ask("?scope=orders:write&uri=/orders/7?x=1&scope=orders:read&statuses=401", &scene.reader);
    assert_problem(&answer, 403, "insufficient_scope");
    assert_eq!(answer.header("x-bitting-status"), None);
}

#[test]
fn refusals_take_the_nearest_status_that_the_proxy_understands() {
    let scene = Scene::new(&routes());
    let listed = ("x-forwarded-method", "x-forwarded-uri");
    let ask = |statuses: &str, key: &str, uri: &str| {
        scene.ask(&format!("?statuses={statuses}"), &[("x-api-key", key), (listed.0, "GET"), (listed.1, uri)])
    };
    for (statuses, key, uri, status, truly) in [
        ("401,403", &*scene.reader, "/orders/7", 200, None),
        ("401,403", UNKNOWN, "/orders/7", 401, Some("401")),
        ("401,403", &scene.writer, "/orders/7", 403, Some("403")),
        ("401,403", &scene.reader, "/other", 403, Some("403")),
        ("401,403", &scene.reader, "/orders/%252e", 403, Some("400")),
        ("403", UNKNOWN, "/orders/7", 403, Some("401")),
        ("401", &scene.writer, "/orders/7", 401, Some("403")),
        ("403,401", &scene.reader, "/other", 403, Some("403")),
    ] {
        let answer = ask(statuses, key, uri);
        assert_eq!((answer.status, answer.header("x-bitting-status")), (status, truly), "{statuses} {uri}");
        assert_not_stored(&answer);
    }
    for statuses in ["", "200", "401,200", "500", "401;403", "401, 403", "401,"] {
        assert_problem(&ask(statuses, &scene.reader, "/orders/7"), 400, "validation_failed");
    }
    scene.world.call("PATCH", "/v1/organizations/self", &scene.owner, &json!({ "subscription": "inactive" }));
    assert_problem(&scene.ask_for(&scene.reader, "GET", "/orders/7"), 402, "subscription_inactive");
    let answer = ask("401,403", &scene.reader, "/orders/7");
    assert_eq!((answer.status, answer.header("x-bitting-status")), (403, Some("402")));
}

#[test]
fn no_answer_of_the_database_is_a_refusal() {
    let scene = Scene::new(&json!([]));
    let world = scene.world.another_isolate();
    let ask = |question: &str| {
        world.database.fail_next("down");
        world.send(&asking("GET", question, &[("x-api-key", &scene.reader)]))
    };
    let answer = ask("");
    assert_problem(&answer, 503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("2"));
    let answer = ask("?statuses=401,403");
    assert_eq!(
        (answer.status, answer.header("x-bitting-status"), answer.header("retry-after")),
        (403, Some("503"), Some("2"))
    );
}

#[test]
fn routes_of_the_catalogue_tell_the_scope() {
    let scene = Scene::new(&routes());
    for (key, method, uri, status, code) in [
        (&scene.reader, "GET", "/orders/7?scope=orders:write", 200, ""),
        (&scene.reader, "HEAD", "/%6frders/7", 200, ""),
        (&scene.reader, "PUT", "/orders/7", 403, "insufficient_scope"),
        (&scene.writer, "PUT", "/orders/7", 200, ""),
        (&scene.writer, "GET", "/orders/7", 403, "insufficient_scope"),
        (&scene.reader, "GET", "/", 200, ""),
        (&scene.writer, "GET", "/v1/keys", 200, ""),
        (&scene.writer, "GET", "/settings/keys", 200, ""),
        // Fail closed: what no route is for, nobody may do.
        (&scene.owner, "DELETE", "/orders/7", 403, "unlisted_route"),
        (&scene.owner, "put", "/orders/7", 403, "unlisted_route"),
        (&scene.owner, "GET", "/orders/7/8", 403, "unlisted_route"),
        (&scene.owner, "GET", "//orders/7", 403, "unlisted_route"),
        (&scene.owner, "GET", "/orders/%ff", 403, "unlisted_route"),
        (&scene.owner, "GET", "https://orders.example/orders/7", 403, "unlisted_route"),
        (&scene.owner, "GET", "", 403, "unlisted_route"),
        // This service forwards it.
        (&scene.owner, "GET", "/gateway", 403, "unlisted_route"),
        (&scene.owner, "GET", "/orders/..", 400, "ambiguous_path"),
        (&scene.owner, "GET", "/orders/%2e%2e", 400, "ambiguous_path"),
        (&scene.owner, "GET", "/orders/%252e%252e", 400, "ambiguous_path"),
        (&scene.owner, "GET", "/orders/a%2fb", 403, "unlisted_route"),
        (&scene.owner, "GET", "/orders/7;a=b", 400, "ambiguous_path"),
        (&scene.owner, "GET", "/orders/7#/x", 400, "ambiguous_path"),
        (&scene.owner, "GET", "/orders/注", 400, "ambiguous_path"),
        (&scene.reader, "GET", "/orders/%E6%B3%A8?注", 200, ""),
        (&scene.owner, "GET", "/orders/7%5c8", 400, "ambiguous_path"),
    ] {
        for names in [("x-forwarded-method", "x-forwarded-uri"), ("x-original-method", "x-original-uri")] {
            let answer = scene.ask("", &[("x-api-key", key), (names.0, method), (names.1, uri)]);
            assert_eq!(
                (answer.status, if status == 200 { "" } else { answer.code() }),
                (status, code),
                "{method} {uri}"
            );
        }
        // The fragment never arrives.
        if !uri.contains('#') {
            let answer = scene.world.send(&asking(method, &format!("?uri={uri}"), &[("x-api-key", key)]));
            assert_eq!(
                (answer.status, if status == 200 { "" } else { answer.code() }),
                (status, code),
                "{method} {uri}"
            );
        }
    }
    // The proxy that names the scope has decided.
    let both = [("x-api-key", &*scene.reader), ("x-forwarded-method", "DELETE"), ("x-forwarded-uri", "/other")];
    assert_eq!(scene.ask("?scope=orders:read", &both).status, 200);
    // The gateway does not know the routes of proxies.
    assert_problem(&scene.world.get("/orders/7", &scene.owner), 404, "not_found");
}

#[test]
fn proxy_that_does_not_say_all_or_passes_on_what_a_caller_says_is_refused() {
    let scene = Scene::new(&routes());
    let key = ("x-api-key", &*scene.owner);
    assert_problem(&scene.ask("", &[key]), 403, "unlisted_route");
    for lone in ["x-forwarded-uri", "x-original-uri", "x-forwarded-method", "x-original-method"] {
        // The method of the question is the proxy's.
        assert_problem(&scene.ask("", &[key, (lone, "/orders/7")]), 400, "validation_failed");
    }
    let nginx = [("x-original-method", "PUT"), ("x-original-uri", "/orders/7")];
    let forged = [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/orders/7")];
    assert_problem(&scene.ask("", &[&[key][..], &nginx, &forged].concat()), 400, "validation_failed");
    let same = [("x-forwarded-method", "PUT"), ("x-forwarded-uri", "/orders/7")];
    assert_eq!(scene.ask("", &[&[key][..], &nginx, &same].concat()).status, 200);
    // The parameter is the operator's, whatever headers a caller sends.
    let request = asking("PUT", "?uri=/orders/7", &[("x-api-key", &scene.reader), forged[0], forged[1]]);
    assert_problem(&scene.world.send(&request), 403, "insufficient_scope");
    // Paths below are no questions: a URL parser resolves the `..` in them, and would ask something else.
    for path in ["/v1/authorize/", "/v1/authorize/orders/7"] {
        assert_problem(&scene.world.get(path, &scene.owner), 404, "not_found");
    }
}

/// A body that must not be read.
struct Unread(Cell<bool>);

impl ByteSource for Unread {
    fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
        self.0.set(true);
        stream::empty().boxed_local()
    }
}

#[test]
fn any_method_is_answered_without_the_body_and_what_belongs_to_it() {
    let scene = Scene::new(&json!([]));
    let body = Rc::new(Unread(Cell::new(false)));
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"] {
        let mut request = asking(
            method,
            "?scope=orders:read",
            &[
                ("x-api-key", &scene.reader),
                ("content-encoding", "gzip"),
                ("content-type", "x"),
                ("idempotency-key", ""),
            ],
        );
        request.body = Body::Unread(body.clone());
        assert_eq!(scene.world.send(&request).status, 200, "{method}");
    }
    assert!(!body.0.get());
    // A success would let a page's preflight in, and with it everything that looks like one.
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
    assert_problem(&scene.world.send(&asking("OPTIONS", "", &preflight)), 401, "missing_api_key");
    let mut other = asking("OPTIONS", "", &preflight);
    other.path = "/v1/keys".to_owned();
    assert_eq!(scene.world.send(&other).status, 204);
}

#[test]
fn warm_key_costs_nothing_and_an_end_holds_within_the_bound() {
    let scene = Scene::new(&routes());
    let world = scene.world.another_isolate();
    let ask = || {
        world.counted(|| {
            let uri = [("x-api-key", &*scene.reader), ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/orders/7")];
            world.send(&asking("GET", "", &uri)).status
        })
    };
    assert_eq!(ask(), (200, (1, 0, 0)), "a cold isolate reads the key and the feed at once");
    world.settle();
    let before = world.database.dump();
    for _ in 0..100 {
        assert_eq!(ask(), (200, (0, 0, 0)));
        world.advance_ms(20);
    }
    assert_eq!(world.database.dump(), before, "nothing is written before the answer");
    scene.world.revoke(&scene.owner, &scene.reader_id);
    world.advance_ms(5_001);
    assert_eq!(ask(), (401, (1, 0, 0)));
    assert_eq!(ask(), (401, (0, 0, 0)));
}

#[test]
fn uses_and_ended_keys_are_noted() {
    let scene = Scene::new(&json!([]));
    let (id, ended) = scene.world.create(&scene.owner, "ended", &["orders:read"]);
    scene.ask("", &[("x-api-key", &scene.reader), ("cf-connecting-ip", "192.0.2.7"), ("user-agent", "curl")]);
    scene.world.revoke(&scene.owner, &id);
    assert_eq!(scene.ask("", &[("x-api-key", &ended)]).status, 401);
    scene.world.settle();
    scene.world.advance_ms(60_000);
    scene.world.get("/v1/scopes", &scene.owner);
    scene.world.settle();
    let key = scene.world.get(&format!("/v1/keys/{}", scene.reader_id), &scene.owner).json;
    assert!(key["last_used_at"].is_string());
    // The address is the proxy's.
    assert_eq!(key["last_used_from"], Value::Null);
    let events = scene.world.get(&format!("/v1/keys/{id}/events"), &scene.owner).json;
    let noted = &events["items"][0]["details"];
    assert_eq!((&noted["method"], &noted["route"]), (&json!("ANY"), &json!(AUTHORIZE)), "{events}");
}

#[test]
fn secret_that_is_being_replaced_is_warned_of() {
    let scene = Scene::new(&json!([]));
    let rotation = json!({ "grace_period_seconds": 600 });
    scene.world.post(&format!("/v1/keys/{}/rotate", scene.reader_id), &scene.owner, &rotation);
    let answer = scene.ask("?scope=orders:read", &[("x-api-key", &scene.reader)]);
    assert_eq!(answer.status, 200);
    assert!(answer.header("sunset").is_some() && answer.header("x-api-key-warning").is_some());
}

#[test]
fn key_of_the_proxy_keeps_its_callers_apart_from_its_address_and_to_its_organization() {
    let mut scene = Scene::new(&json!([]));
    let (_, stranger_id, stranger) = scene.world.stranger(&scene.owner);
    let (_, proxy) = scene.world.create(&scene.owner, "proxy", &["api-keys:verify"]);
    let (_, other) = scene.world.create(&scene.owner, "other", &["api-keys:read"]);
    let foreign = json!({ "name": "proxy", "kind": "org", "scopes": ["api-keys:verify"] });
    let (_, foreign_proxy) = scene.world.create_from(&stranger, &foreign);
    let ask = |scene: &Scene, key: &str, proxy: &str| {
        scene.ask("", &[("x-api-key", key), ("x-bitting-proxy-key", proxy), ("cf-connecting-ip", "192.0.2.7")])
    };
    assert_eq!(ask(&scene, &scene.reader, &proxy).status, 200);
    assert_problem(&ask(&scene, &scene.reader, &other), 403, "insufficient_scope");
    assert_problem(&ask(&scene, &scene.reader, "nonsense"), 401, "malformed_api_key");
    // The operator's organization learns of all keys, another of its own alone.
    assert_eq!(ask(&scene, &stranger, &proxy).header("x-bitting-key-id"), Some(&*stranger_id));
    assert_eq!(ask(&scene, &stranger, &foreign_proxy).status, 200);
    assert_problem(&ask(&scene, &scene.reader, &foreign_proxy), 401, "invalid_api_key");

    let limits = Limits::new(Limit::UnknownCredentials, 0);
    scene.world.app.limiter = limits.clone();
    assert_problem(&ask(&scene, UNKNOWN, &proxy), 401, "invalid_api_key");
    scene.world.settle();
    assert!(limits.counted.borrow().is_empty());
    scene.world.advance_ms(5_001);
    let asked = [("x-api-key", UNKNOWN), ("cf-connecting-ip", "192.0.2.7")];
    assert_problem(&scene.ask("", &asked), 401, "invalid_api_key");
    scene.world.settle();
    let asked = [("x-api-key", "bit_pat_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1t0B34"), asked[1]];
    scene.world.advance_ms(5_001);
    let answer = scene.ask("", &asked);
    assert_problem(&answer, 429, "rate_limited");
    assert_eq!(answer.header("retry-after"), Some("60"));
    let folded = scene.ask("?statuses=401,403", &asked);
    assert_eq!(
        (folded.status, folded.header("x-bitting-status"), folded.header("retry-after")),
        (403, Some("429"), Some("60"))
    );
}

#[test]
fn key_of_a_live_evaluation_is_for_nothing_else() {
    let scene = Scene::new(&json!([]));
    let sql = format!("UPDATE keys SET bound_to = 'live_{:032x}' WHERE id = '{}'", 1, scene.reader_id);
    scene.world.database.execute(&sql);
    assert_problem(&scene.ask("", &[("x-api-key", &scene.reader)]), 403, "live_evaluation_key");
}
