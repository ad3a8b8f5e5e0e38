//! The edges of HTTP: web pages of other origins, and requests over plain HTTP.

use bitting_http::message::Request;
use serde_json::{Value, json};

use crate::support::{Answer, World, envelope, problem::assert_problem, request};

const APP: &str = "https://app.example";
const OTHER: &str = "https://other.example";

fn catalogue(origins: &Value, routes: &Value) -> String {
    let mut file: Value = serde_json::from_str(include_str!("../../catalogue.json")).unwrap();
    file["resources"]["orders"] = json!({ "read": "See orders" });
    (file["origins"], file["routes"]) = (origins.clone(), routes.clone());
    file.to_string()
}

fn world() -> (World, String) {
    let routes = json!([
        { "methods": ["GET", "OPTIONS"], "path": "/orders/:id", "scope": "orders:read", "upstream": "https://orders.example" },
    ]);
    let world = World::with_config(&[("CATALOGUE", &catalogue(&json!([APP, "http://localhost:3000"]), &routes))]);
    let owner = world.bootstrap();
    (world, owner)
}

fn sent(world: &World, method: &str, path: &str, key: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = request(method, path, key, &Value::Null);
    request.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    world.send(&request)
}

fn cors(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.iter().filter(|(name, _)| name.to_lowercase().starts_with("access-control-"));
    names.map(|(name, _)| name.as_ref()).collect()
}

#[test]
fn preflight_of_a_listed_origin_needs_no_key() {
    let (world, _) = world();
    for path in ["/orders/7", "/v1/keys", "/v1/keys/self", "/mcp", "/v1/api_key", "/api/datasets", "/nothing"] {
        for origin in [APP, "http://localhost:3000"] {
            let asks = [
                ("origin", origin),
                ("access-control-request-method", "PATCH"),
                ("access-control-request-headers", "authorization,content-type"),
            ];
            let answer = sent(&world, "OPTIONS", path, "", &asks);
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(origin)), "{path}");
            assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,content-type"));
            assert!(answer.header("access-control-allow-methods").unwrap().contains("PATCH"));
            assert_eq!(
                (answer.header("vary"), answer.header("access-control-allow-credentials")),
                (Some("Origin"), None)
            );
        }
    }
}

#[test]
fn other_origins_and_pages_are_allowed_nothing() {
    let (world, owner) = world();
    let origins = [
        OTHER,
        "null",
        "",
        "*",
        "HTTPS://app.example",
        "https://app.example.",
        "https://app.example:443",
        "https://app.example, https://other.example",
        "http://app.example",
        "https://app.example/",
    ];
    for origin in origins {
        let asks = [("origin", origin), ("access-control-request-method", "GET")];
        for (path, status) in [("/orders/7", 401), ("/v1/keys", 405)] {
            let answer = sent(&world, "OPTIONS", path, "", &asks);
            assert_eq!((answer.status, cors(&answer)), (status, vec![]), "{origin} {path}");
        }
        let answer = sent(&world, "GET", "/v1/keys", &owner, &asks[..1]);
        assert_eq!((answer.status, cors(&answer), answer.header("vary")), (200, vec![], Some("Origin")), "{origin}");
    }
    for path in ["/", "/sign-in", "/settings/keys", "/settings/assets/style.css"] {
        for method in ["OPTIONS", "GET"] {
            let answer = sent(&world, method, path, "", &[("origin", APP), ("access-control-request-method", "GET")]);
            assert!(cors(&answer).is_empty() && answer.status != 204, "{method} {path}");
        }
    }
    // Without a list nothing is said.
    let world = World::new();
    let owner = world.bootstrap();
    let answer = sent(&world, "GET", "/v1/keys", &owner, &[("origin", APP)]);
    assert_eq!((answer.status, cors(&answer), answer.header("vary")), (200, vec![], None));
    let asks = [("origin", APP), ("access-control-request-method", "GET")];
    assert_problem(&sent(&world, "OPTIONS", "/v1/keys", "", &asks), 405, "method_not_allowed");
}

#[test]
fn page_of_a_listed_origin_may_use_the_tools() {
    let (world, owner) = world();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for (origin, status) in [(APP, 200), (OTHER, 403), ("null", 403)] {
        let mut request = request("POST", "/mcp", &owner, &ping);
        request.headers.push(("origin".to_owned(), origin.to_owned()));
        assert_eq!(world.send(&request).status, status, "{origin}");
    }
}

#[test]
fn page_of_a_listed_origin_reads_answers_and_refusals() {
    let (world, owner) = world();
    for (path, key, status) in [
        ("/v1/keys", &*owner, 200),
        ("/v1/keys", "", 401),
        ("/orders/7", "", 401),
        ("/nothing", &owner, 404),
        ("/openapi.json", "", 200),
    ] {
        let answer = sent(&world, "GET", path, key, &[("origin", APP)]);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some(APP)), "{path}");
        assert_eq!(
            (answer.header("access-control-expose-headers"), answer.header("vary")),
            (Some("*"), Some("Origin"))
        );
    }
    // What is no preflight is a request like any other: it needs a key, and reaches the server (here, none).
    assert_eq!(sent(&world, "OPTIONS", "/orders/7", "", &[("origin", APP)]).status, 401);
    assert_eq!(sent(&world, "OPTIONS", "/orders/7", &owner, &[]).status, 502);
    let asks = [("access-control-request-method", "GET")];
    assert_problem(&sent(&world, "OPTIONS", "/orders/7", "", &asks), 401, "missing_api_key");
}

fn over(origin: &str, mut request: Request) -> Request {
    origin.clone_into(&mut request.origin);
    request
}

#[test]
fn credential_over_plain_http_is_refused_on_every_surface() {
    let (world, owner) = world();
    let mut seen = Vec::new();
    let rows = bitting::entry::tables().list().into_iter().map(|(method, path, _)| (method, path));
    for (method, path) in rows.chain([("GET", "/orders/7"), ("GET", "/nothing")]) {
        let plain = over("http://keys.example.com", request(method, path, &owner, &Value::Null));
        let answer = world.send(&plain);
        let text = answer.json.to_string();
        assert!(answer.status == 403 && text.contains("Revoke that key"), "{method} {path}: {} {text}", answer.status);
        let form = envelope(path);
        if !seen.contains(&form) {
            seen.push(form);
        }
    }
    assert_eq!(seen.len(), 4, "every form of errors");
    assert_problem(
        &world.send(&over("http://192.0.2.1:8787", request("GET", "/v1/keys", "x", &Value::Null))),
        403,
        "plain_http",
    );
    let mut confident = request("GET", "/v1/keys", "", &Value::Null);
    confident.headers.push(("confident_api_key".to_owned(), owner.clone()));
    assert_problem(&world.send(&over("http://keys.example.com", confident)), 403, "plain_http");
    // Not even as a preflight, which never has one.
    let mut preflight = request("OPTIONS", "/v1/keys", &owner, &Value::Null);
    for (name, value) in [("origin", APP), ("access-control-request-method", "GET")] {
        preflight.headers.push((name.to_owned(), value.to_owned()));
    }
    assert_problem(&world.send(&over("http://keys.example.com", preflight)), 403, "plain_http");
    // A body may hold a secret, and nothing else is refused.
    let body = json!({ "token": "bit_inv_x" });
    let accept = request("POST", "/v1/invitations/accept", "", &body);
    assert_problem(&world.send(&over("http://keys.example.com", accept)), 403, "plain_http");
    let invitation = request("GET", "/v1/invitations/bit_inv_x", "", &Value::Null);
    assert_problem(&world.send(&over("http://keys.example.com", invitation)), 403, "plain_http");
    let public = request("GET", "/openapi.json", "", &Value::Null);
    assert_eq!(world.send(&over("http://keys.example.com", public)).status, 200);
    for origin in ["http://localhost:8787", "http://127.0.0.1:8787", "http://[::1]:8787", "https://keys.example.com"] {
        assert_eq!(world.send(&over(origin, request("GET", "/v1/keys", &owner, &Value::Null))).status, 200, "{origin}");
    }
}

#[test]
fn answers_over_tls_insist_on_it() {
    let (world, owner) = world();
    for (origin, insists) in [
        ("https://keys.example.com", true),
        ("https://keys.example.com:8443", true),
        ("http://keys.example.com", false),
        ("https://localhost:8787", false),
        ("https://127.0.0.1", false),
        ("https://192.0.2.1:8443", false),
        ("https://[2001:db8::1]", false),
        ("http://localhost:8787", false),
    ] {
        for path in ["/v1/keys", "/sign-in", "/nothing", "/orders/7", "/settings/assets/style.css"] {
            let answer = world.send(&over(origin, request("GET", path, &owner, &Value::Null)));
            let count =
                answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("strict-transport-security"));
            assert_eq!(count.count(), usize::from(insists), "{origin}{path}");
        }
    }
}
