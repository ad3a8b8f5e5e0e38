//! The operator's own routes, the catalogue that they stand in, and bodies that are still on their way.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    rc::Rc,
};

use bitting::entry::check;
use bitting_http::{body::MAX_BODY_BYTES, message::Body};
use bitting_keys::{
    domain::{catalogue::Target, key_text::hmac_sha256},
    ports::{ByteSource, Incoming, LocalFuture, Outgoing, Upstream, UpstreamError},
};
use futures::{
    StreamExt,
    stream::{self, LocalBoxStream},
};
use serde_json::{Value, json};

use crate::support::{
    Answer, START, World,
    problem::{assert_not_stored, assert_problem},
    request,
};

const SECRET: &str = "forward-secret-of-the-tests-0123456789";

/// A body that counts how often it is read.
struct Text {
    text: String,
    reads: Cell<usize>,
    breaks: bool,
}

impl Text {
    fn new(text: &str) -> Rc<Self> {
        Rc::new(Self { text: text.to_owned(), reads: Cell::new(0), breaks: false })
    }
}

impl ByteSource for Text {
    fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
        self.reads.set(self.reads.get() + 1);
        let bytes = self.text.as_bytes();
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let second = if self.breaks { Err("gone".to_owned()) } else { Ok(second.to_vec()) };
        stream::iter([Ok(first.to_vec()), second]).boxed_local()
    }
}

/// A server that remembers what it was asked and says what it is told to.
struct Server {
    asked: RefCell<Vec<Outgoing>>,
    answer: Box<dyn Fn() -> Result<Incoming, UpstreamError>>,
}

impl Upstream for Server {
    fn send(&self, request: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>> {
        self.asked.borrow_mut().push(request);
        let answer = (self.answer)();
        Box::pin(async { answer })
    }
}

impl Server {
    /// The one request since the last look.
    #[track_caller]
    fn asked_once(&self) -> Outgoing {
        let mut asked = self.asked.take();
        assert_eq!(asked.len(), 1);
        asked.remove(0)
    }
}

fn header<'a>(request: &'a Outgoing, name: &str) -> Option<&'a str> {
    let mut values = request.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
    let value = values.next().map(|(_, value)| value.as_str());
    assert!(values.next().is_none(), "{name} is there twice");
    value
}

/// The catalogue of the repository with these routes.
fn catalogue(routes: &Value) -> String {
    let mut file: Value = serde_json::from_str(include_str!("../../catalogue.json")).unwrap();
    file["resources"]["orders"] = json!({ "read": "See orders", "write": "Change orders" });
    file["routes"] = routes.clone();
    file.to_string()
}

fn routes() -> Value {
    json!([
        { "methods": ["GET"], "path": "/orders/:id", "scope": "orders:read", "upstream": "https://orders.example" },
        { "methods": ["PUT", "POST"], "path": "/orders/:id", "scope": "orders:write", "service": "ORDERS",
          "timeout_seconds": 7 },
        { "methods": ["GET"], "path": "/v1/*rest", "scope": "orders:read", "upstream": "https://orders.example" },
    ])
}

fn with_answer(answer: impl Fn() -> Result<Incoming, UpstreamError> + 'static) -> (World, String, Rc<Server>) {
    let mut world = World::with_config(&[("CATALOGUE", &catalogue(&routes())), ("FORWARD_SECRET", SECRET)]);
    let server = Rc::new(Server { asked: RefCell::default(), answer: Box::new(answer) });
    world.app.upstream = server.clone();
    let owner = world.bootstrap();
    (world, owner, server)
}

fn world() -> (World, String, Rc<Server>) {
    with_answer(|| {
        let headers = [("content-type", "application/json"), ("x-own", "1")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Ok(Incoming { status: 201, headers, body: Some(Text::new("{\"order\":1}")) })
    })
}

fn send(
    world: &World,
    method: &str,
    path: &str,
    key: &str,
    headers: &[(&str, &str)],
    body: Option<Rc<Text>>,
) -> Answer {
    let mut request = request(method, path, key, &Value::Null);
    request.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    if let Some(body) = body {
        request.body = Body::Unread(body);
    }
    world.send(&request)
}

#[test]
fn request_goes_on_as_it_came_and_so_does_the_answer() {
    let (world, owner, server) = world();
    let body = Text::new("the body");
    let answer = send(&world, "PUT", "/orders/7%20a?x=%20&y", &owner, &[("accept", "text/html")], Some(body.clone()));
    assert_eq!((answer.status, &answer.json), (201, &json!({ "order": 1 })));
    assert_eq!((answer.header("content-type"), answer.header("x-own")), (Some("application/json"), Some("1")));
    assert_not_stored(&answer);
    let asked = server.asked_once();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("PUT", "/orders/7%20a?x=%20&y"));
    assert_eq!((asked.target.clone(), asked.timeout_seconds), (Target::Service("ORDERS".to_owned()), 7));
    assert_eq!(header(&asked, "accept"), Some("text/html"));
    assert_eq!(header(&asked, "x-request-id"), answer.header("x-request-id"));
    let passed: Rc<dyn Any> = asked.body.unwrap();
    assert!(Rc::ptr_eq(&passed.downcast::<Text>().unwrap(), &body));
    assert_eq!(body.reads.get(), 0);

    send(&world, "GET", "/orders/7", &owner, &[], Some(body));
    let asked = server.asked_once();
    assert_eq!((asked.target, asked.timeout_seconds), (Target::Upstream("https://orders.example".to_owned()), 30));
    assert!(asked.body.is_none());
}

#[test]
fn upstream_is_told_who_asks_and_nobody_else_can_say_so() {
    let (world, owner, server) = world();
    let own = world.get("/v1/keys/self", &owner).json;
    let project = world.project(&owner, "a");
    let body =
        json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": ["orders:read", "datasets:read"] });
    let (id, key) = world.create_from(&owner, &body);
    let forged = [
        "x-bitting-key-id",
        "x_bitting_key_id",
        "x-bitting_user-id",
        "x-bitting-anything",
        "x-request-id",
        "x_request_id",
    ];
    let forged = forged.map(|name| (name, "forged"));
    for (key, expected) in [
        (&owner, [own["id"].as_str(), Some("pat"), own["user_id"].as_str(), None, Some("*")]),
        (&key, [Some(id.as_str()), Some("proj"), None, Some(project.as_str()), Some("orders:read datasets:read")]),
    ] {
        send(&world, "GET", "/orders/7", key, &forged, None);
        let asked = server.asked_once();
        let names = ["Key-Id", "Key-Kind", "User-Id", "Project-Id", "Scopes"];
        assert_eq!(names.map(|name| header(&asked, &format!("X-Bitting-{name}"))), expected);
        assert_eq!(header(&asked, "X-Bitting-Organization-Id"), own["organization_id"].as_str());
        assert!(asked.headers.iter().all(|(_, value)| value != "forged" && !value.contains(key.as_str())));
    }
}

#[test]
fn headers_that_belong_to_this_origin_or_this_connection_stay_here() {
    let (world, owner, server) = world();
    for (name, goes_on) in [
        ("accept-encoding", true),
        ("content-type", true),
        ("idempotency-key", true),
        ("x-own", true),
        ("x-user-agent", false),
        ("user-agent", true),
        ("traceparent", true),
        ("x-auth-token", true),
        ("proxyless", true),
        ("confident_api_key", false),
        ("x-confident-api-key", false),
        ("x-api-key", false),
        ("x_api_key", false),
        ("cookie", false),
        ("host", false),
        ("content-length", false),
        ("keep-alive", false),
        ("te", false),
        ("trailer", false),
        ("transfer-encoding", false),
        ("upgrade", false),
        ("proxy-authorization", false),
        ("cf-connecting-ip", false),
        ("cf_ipcountry", false),
        ("x-http-method-override", false),
        ("named", false),
    ] {
        send(&world, "GET", "/orders/7", &owner, &[("connection", "close, Named"), (name, "value")], None);
        let asked = server.asked_once();
        assert_eq!(header(&asked, name).is_some(), goes_on, "{name}");
        assert_eq!((header(&asked, "authorization"), header(&asked, "connection")), (None, None));
    }
}

#[test]
fn no_header_of_the_caller_passes_for_one_of_a_proxy() {
    let (world, owner, server) = world();
    let names = [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-User",
        "X-Forwarded-Uri",
        "X-Forwarded-Client-Cert",
        "X-Real-IP",
        "True-Client-IP",
        "Client-IP",
        "Client-Cert",
        "Remote-User",
        "Remote_User",
        "X-Remote-User",
        "X-Auth-Request-Email",
        "X-Goog-Authenticated-User-Email",
        "X-Goog-IAP-JWT-Assertion",
        "X-Amzn-Oidc-Identity",
        "X-MS-CLIENT-PRINCIPAL-NAME",
        "X-SSL-Client-Verify",
        "X-Client-Cert",
        "X-Envoy-Original-Path",
        "X-Original-Host",
        "X-Rewrite-URL",
        "X-Authenticated-Userid",
        "X-User-Id",
        "X-Consumer-Username",
        "Tailscale-User-Login",
        "Proxy",
        "X-Sendfile-Type",
        "X-Accel-Mapping",
        "X-Middleware-Subrequest",
        "X Bitting Key Id",
        "X-Bitting-Key-Id\u{e4}",
        "X.Bitting.User.Id",
        "X!Bitting!User!Id",
        "X.HTTP.Method.Override",
        "X_Forwarded.For",
        "Content.Length",
        "Confident.Api.Key",
        "Transfer~Encoding",
    ];
    for name in names {
        for name in [name, &name.to_lowercase()] {
            send(&world, "GET", "/orders/7", &owner, &[(name, "forged"), (name, "forged too")], None);
            let asked = server.asked_once();
            assert!(asked.headers.iter().all(|(_, value)| !value.contains("forged")), "{name}");
        }
    }
    // What the platform says is said in their place.
    send(
        &world,
        "GET",
        "/orders/7",
        &owner,
        &[("cf-connecting-ip", "192.0.2.7"), ("x-forwarded-for", "10.0.0.1")],
        None,
    );
    let asked = server.asked_once();
    let names = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"];
    assert_eq!(names.map(|name| header(&asked, name)), ["192.0.2.7", "https", "keys.example.com"].map(Some));
    send(&world, "GET", "/orders/7", &owner, &[("x-forwarded-for", "10.0.0.1")], None);
    assert_eq!(header(&server.asked_once(), "x-forwarded-for"), None);
}

#[test]
fn headers_of_the_answer_are_kept_but_for_those_of_its_connection_and_cookies() {
    let (world, owner, _) = with_answer(|| {
        let names = [
            "connection",
            "keep-alive",
            "set-cookie",
            "transfer-encoding",
            "x-request-id",
            "named",
            "clear-site-data",
            "strict-transport-security",
            "service-worker-allowed",
            "refresh",
            "alt-svc",
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "report-to",
            "nel",
            "location",
            "etag",
        ];
        let mut headers: Vec<(String, String)> = names.map(|name| (name.to_owned(), "Named".to_owned())).into();
        headers.push(("cache-control".to_owned(), "max-age=60".to_owned()));
        Ok(Incoming { status: 302, headers, body: None })
    });
    let answer = world.get("/orders/7", &owner);
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_ref()).collect();
    assert_eq!(
        (answer.status, names),
        (302, vec!["location", "etag", "cache-control", "Strict-Transport-Security", "X-Request-Id"])
    );
    assert_eq!(answer.header("cache-control"), Some("max-age=60"));
    assert_ne!(answer.header("strict-transport-security"), Some("Named"));
    assert_ne!(answer.header("x-request-id"), Some("Named"));
}

#[test]
fn refused_request_reaches_no_upstream_and_its_body_is_not_read() {
    let (world, owner, server) = world();
    let (id, reader) = world.create(&owner, "reader", &["orders:read"]);
    let body = Text::new("the body");
    let put = |key: &str| send(&world, "PUT", "/orders/7", key, &[], Some(body.clone()));
    assert_problem(&put(""), 401, "missing_api_key");
    assert_problem(&put("bit_pat_x"), 401, "malformed_api_key");
    assert_problem(&put(&reader), 403, "insufficient_scope");
    assert_eq!(world.get("/orders/7", &reader).status, 201);
    server.asked_once();
    let subscription = |is: &str| {
        let body = json!({ "subscription": is });
        assert_eq!(world.call("PATCH", "/v1/organizations/self", &owner, &body).status, 200);
    };
    subscription("inactive");
    assert_problem(&world.get("/orders/7", &reader), 402, "subscription_inactive");
    subscription("active");
    // The key of a live evaluation, whatever scope a route asks for.
    world.database.execute(&format!("UPDATE keys SET bound_to = 'live_{:032x}' WHERE id = '{id}'", 1));
    assert_problem(&world.get("/orders/7", &reader), 403, "live_evaluation_key");
    world.revoke(&owner, &id);
    assert_problem(&world.get("/orders/7", &reader), 401, "key_revoked");
    assert!(server.asked.borrow().is_empty());
    assert_eq!(body.reads.get(), 0);
}

#[test]
fn use_of_a_key_is_noted_and_a_secret_that_is_being_replaced_is_warned_of() {
    let (world, owner, _) = world();
    let (id, key) = world.create(&owner, "reader", &["orders:read"]);
    world.post(&format!("/v1/keys/{id}/rotate"), &owner, &json!({ "grace_period_seconds": 600 }));
    world.settle();
    let answer = world.get("/orders/7", &key);
    assert!(answer.status == 201 && answer.header("sunset").is_some() && answer.header("x-api-key-warning").is_some());
    world.advance_ms(60_000);
    world.get("/v1/scopes", &owner);
    world.settle();
    assert_eq!(world.get(&format!("/v1/keys/{id}"), &owner).json["rotation"]["outgoing_uses"], json!(1));
}

#[test]
fn path_or_method_without_a_route_is_refused_as_everywhere() {
    let (world, owner, server) = world();
    for path in ["/orders", "/orders/", "/orders/7/8", "/orders/7%2f8", "/orders/%ff", "/V1/a", "/else/%2e%2e/%252e"] {
        assert_problem(&world.get(path, &owner), 404, "not_found");
    }
    let answer = world.call("DELETE", "/orders/7", "", &Value::Null);
    assert_problem(&answer, 405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("GET, PUT, POST"));
    assert!(server.asked.borrow().is_empty());
    assert_eq!(world.call("HEAD", "/%6frders/7", &owner, &Value::Null).status, 201);
    assert_eq!(server.asked_once().method, "HEAD");
}

#[test]
fn path_that_servers_read_differently_is_refused_and_says_why() {
    let (world, owner, server) = world();
    for path in [
        "/orders/%2e%2e",
        "/orders/..",
        "/orders/7%5c8",
        "/orders/7%00",
        "/v1/a%2fb",
        "/v1/a//b",
        "/v1/a/%2e/b",
        "/v1/a/..;/b",
        "/orders/7;a=b",
        "/orders/7\\8",
        "/v1/a/..\\..\\b",
        "/orders/7%3Bb",
        "/orders/%252e%252e",
        "/orders/7%252F8",
        "/orders/%25%32%65",
        "/orders/%25252e",
        "/orders/%25u002e",
        "/orders/7%u002f8",
        "/orders/%%32%65",
        "/v1/%EF%BC%8E%EF%BC%8E/a",
        "/v1/a／b",
        "/orders/%E2%80%A5",
        "/orders/7%EF%BC%BC8",
    ] {
        let answer = world.get(path, &owner);
        assert_problem(&answer, 400, "ambiguous_path");
        assert!(answer.json["detail"].as_str().unwrap().contains("encoded twice"), "{path}");
    }
    assert!(server.asked.borrow().is_empty());
    // A sign alone is read alike by all, and so is text of any language.
    for path in [
        "/orders/100%25",
        "/orders/100%25%20off",
        "/orders/%E6%B3%A8%E6%96%87",
        "/orders/a.b..c",
        "/orders/50%25use",
        "/orders/...",
    ] {
        assert_eq!(world.get(path, &owner).status, 201, "{path}");
        assert_eq!(server.asked_once().path, path);
    }
}

#[test]
fn built_in_route_wins_over_one_of_the_operators() {
    let (world, owner, server) = world();
    assert_eq!(world.get("/v1/scopes", &owner).status, 200);
    assert_problem(&world.call("PUT", "/v1/keys", &owner, &Value::Null), 405, "method_not_allowed");
    assert!(server.asked.borrow().is_empty());
    assert_eq!(world.get("/v1/anything/else", &owner).status, 201);
    server.asked_once();
}

#[test]
fn check_refuses_clashing_routes_and_missing_scopes() {
    let checked = |text: &str| {
        let catalogue = bitting_keys::domain::catalogue::Catalogue::parse(text).unwrap();
        check(&catalogue)
    };
    for (path, good) in [
        ("/v1/orders", true),
        ("/:any", true),
        ("/*rest", true),
        ("/braintrust/orders", true),
        ("/v1/keys", false),
        ("/v1/keys/:key", false),
        ("/v1/keys/mine", false),
        ("/v1/keys/*rest", false),
        ("/braintrust/v1/api_key", false),
    ] {
        let route = json!([{ "methods": ["PUT"], "path": path, "scope": "orders:read", "service": "ORDERS" }]);
        let result = checked(&catalogue(&route));
        assert_eq!(result.is_ok(), good, "{path}: {result:?}");
        assert!(result.err().is_none_or(|message| message == format!("routes[0].path: {path} is Bitting's own")));
    }
    let mut file: Value = serde_json::from_str(&catalogue(&json!([]))).unwrap();
    file["evaluations"]["resources"].as_object_mut().unwrap().remove("traces");
    let message = checked(&file.to_string()).unwrap_err();
    assert!(message.contains("there is no scope `traces:write`, and POST /v1/ingest/batch needs it"), "{message}");
}

#[test]
fn upstream_that_does_not_answer_is_502_or_504_and_nothing_of_it_is_told() {
    for (error, status, code) in [
        (UpstreamError::Failed("connection to 10.0.0.7 refused".to_owned()), 502, "upstream_failed"),
        (UpstreamError::TimedOut, 504, "upstream_timeout"),
    ] {
        let (world, owner, _) = with_answer(move || Err(error.clone()));
        let answer = world.get("/orders/7", &owner);
        assert_problem(&answer, status, code);
        assert!(!answer.json.to_string().contains("10.0.0.7"));
    }
}

#[test]
fn answer_that_nobody_can_be_given_is_502() {
    for (status, given) in [(199, 502), (200, 200), (599, 599), (600, 502), (999, 502)] {
        let (world, owner, _) = with_answer(move || Ok(Incoming { status, headers: Vec::new(), body: None }));
        assert_eq!(world.get("/orders/7", &owner).status, given, "{status}");
    }
}

/// The signature of a request, as a server works it out.
fn signature(key: &str, host: &str, asked: &Outgoing) -> String {
    let names = ["Key-Id", "Key-Kind", "Organization-Id", "User-Id", "Project-Id", "Scopes"];
    let names = names.map(|name| format!("X-Bitting-{name}"));
    let rest = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id"];
    let value = |name: &str| header(asked, name).unwrap_or_default().to_owned();
    let first = [value("x-bitting-timestamp"), asked.method.clone(), host.to_owned(), asked.path.clone()];
    let lines: Vec<String> = first
        .into_iter()
        .chain([value("content-digest")])
        .chain(names.iter().map(|name| value(name)))
        .chain(rest.iter().map(|name| value(name)))
        .collect();
    hex::encode(hmac_sha256(key, &lines.join("\n")).unwrap())
}

/// The key that is derived for a target.
fn derived(target: &str) -> String {
    hex::encode(hmac_sha256(SECRET, target).unwrap())
}

#[test]
fn request_is_signed_with_the_secret_and_only_with_one() {
    let (mut world, owner, server) = world();
    let ip = ("cf-connecting-ip", "192.0.2.7");
    send(&world, "PUT", "/orders/7?x=1", &owner, &[("x-bitting-signature", "forged"), ip], None);
    let asked = server.asked_once();
    let signed = |key: &str, host: &str, asked: &Outgoing| {
        header(asked, "x-bitting-signature").unwrap() == signature(key, host, asked)
    };
    assert!(signed(&derived("service:ORDERS"), "orders", &asked));
    assert_eq!(header(&asked, "x-bitting-timestamp"), Some((START.0 / 1000).to_string().as_str()));
    // What a URL must encode is encoded before it is signed, as the upstream then sees it.
    send(&world, "PUT", "/orders/a{b}'|%7Dä?x='|{ä%zz", &owner, &[], None);
    let asked = server.asked_once();
    assert_eq!(asked.path, "/orders/a%7Bb%7D'|%7D%C3%A4?x=%27|{%C3%A4%zz");
    assert!(signed(&derived("service:ORDERS"), "orders", &asked));

    world = world.reconfigured(&[("CATALOGUE", &catalogue(&routes()))]);
    send(&world, "PUT", "/orders/7", &owner, &[("x-bitting-signature", "forged"), ("x-bitting-timestamp", "1")], None);
    let asked = server.asked_once();
    assert_eq!((header(&asked, "x-bitting-signature"), header(&asked, "x-bitting-timestamp")), (None, None));
}

#[test]
fn server_cannot_sign_for_another_and_a_route_can_have_a_secret_of_its_own() {
    let (mut world, owner, server) = world();
    send(&world, "GET", "/orders/7", &owner, &[], None);
    let asked = server.asked_once();
    let given = header(&asked, "x-bitting-signature").unwrap().to_owned();
    assert_eq!(given, signature(&derived("https://orders.example"), "orders.example", &asked));
    for other in [&*derived("service:ORDERS"), &*derived("https://others.example"), SECRET] {
        assert_ne!(given, signature(other, "orders.example", &asked));
    }
    let mut own = routes();
    own[0]["secret"] = json!("FORWARD_SECRET_ORDERS");
    let secret = "a-secret-of-the-orders-alone-0123456789";
    for vars in
        [&[("FORWARD_SECRET_ORDERS", secret), ("FORWARD_SECRET", SECRET)][..], &[("FORWARD_SECRET_ORDERS", secret)]]
    {
        let catalogue = catalogue(&own);
        let vars: Vec<_> = vars.iter().copied().chain([("CATALOGUE", &*catalogue)]).collect();
        world = world.reconfigured(&vars);
        send(&world, "GET", "/orders/7", &owner, &[], None);
        let asked = server.asked_once();
        assert_eq!(header(&asked, "x-bitting-signature").unwrap(), signature(secret, "orders.example", &asked));
    }
}

#[test]
fn digest_of_a_body_is_signed_where_the_route_has_it_read() {
    let (mut world, owner, server) = world();
    let mut routes = routes();
    routes[0]["signed_body_bytes"] = json!(8);
    routes[1]["signed_body_bytes"] = json!(8);
    world = world.reconfigured(&[("CATALOGUE", &catalogue(&routes)), ("FORWARD_SECRET", SECRET)]);
    let body = Text::new("the body");
    let forged = [("content-digest", "sha-256=:forged:"), ("content.digest", "forged")];
    send(&world, "PUT", "/orders/7", &owner, &forged, Some(body.clone()));
    let asked = server.asked_once();
    let digest = "sha-256=:+oJC6Z9IlmylFAkrQjO0RoUfQrV61QMb8TPh3XZ4fz4=:";
    let key = derived("service:ORDERS");
    assert_eq!(body.reads.get(), 1);
    assert_eq!(header(&asked, "content-digest"), Some(digest));
    assert_eq!(header(&asked, "x-bitting-signature").unwrap(), signature(&key, "orders", &asked));
    let passed: Rc<dyn Any> = asked.body.unwrap();
    assert_eq!(*passed.downcast::<Vec<u8>>().unwrap(), b"the body");
    // A larger one is refused, and none at all has a digest, too.
    assert_problem(&send(&world, "PUT", "/orders/7", &owner, &[], Some(Text::new("the body!"))), 413, "body_too_large");
    assert!(server.asked.borrow().is_empty());
    for method in ["PUT", "GET"] {
        send(&world, method, "/orders/7", &owner, &[], None);
        let asked = server.asked_once();
        let empty = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
        assert_eq!((header(&asked, "content-digest"), asked.body.is_none()), (Some(empty), true), "{method}");
    }
    // Elsewhere the caller's own digest goes on, and is signed as it is.
    send(&world, "GET", "/v1/a/b", &owner, &[("content-digest", "sha-256=:x:")], None);
    let asked = server.asked_once();
    assert_eq!(header(&asked, "content-digest"), Some("sha-256=:x:"));
    let key = derived("https://orders.example");
    assert_eq!(header(&asked, "x-bitting-signature").unwrap(), signature(&key, "orders.example", &asked));
}

#[test]
fn configuration_refuses_wrong_catalogue_and_short_secret() {
    let read = |name: &str, value: &str| {
        let config = bitting_keys::app::config::Config::read(|asked| (asked == name).then(|| value.to_owned()));
        config.err().unwrap_or_default()
    };
    assert_eq!(read("FORWARD_SECRET", &"x".repeat(31)), "FORWARD_SECRET must have at least 32 characters");
    assert_eq!(read("FORWARD_SECRET", &"x".repeat(32)), "");
    let named = json!([{ "methods": ["GET"], "path": "/x", "scope": "orders:read", "service": "A", "secret": "FORWARD_SECRET_A" }]);
    let missing = "CATALOGUE: routes[0].secret: the secret FORWARD_SECRET_A is not set";
    assert_eq!(read("CATALOGUE", &catalogue(&named)), missing);
    let wrong = catalogue(&json!([{ "methods": ["GET"], "path": "x", "scope": "orders:read", "service": "ORDERS" }]));
    assert!(read("CATALOGUE", &wrong).starts_with("CATALOGUE: routes[0].path: must be like"));
}

#[test]
fn body_of_a_built_in_route_is_read_once_and_only_for_a_good_key() {
    let (world, owner, _) = world();
    let (_, reader) = world.create(&owner, "reader", &["api-keys:read"]);
    let body = Text::new("{\"name\":\"n\",\"scopes\":[]}");
    let post = |key: &str, body: &Rc<Text>| send(&world, "POST", "/v1/keys", key, &[], Some(body.clone()));
    assert_problem(&post("", &body), 401, "missing_api_key");
    assert_problem(&post(&reader, &body), 403, "insufficient_scope");
    let bootstrap = send(&world, "POST", "/v1/bootstrap", &owner, &[], Some(body.clone()));
    assert_problem(&bootstrap, 401, "invalid_operator_secret");
    assert_eq!(body.reads.get(), 0);
    assert_eq!((post(&owner, &body).status, body.reads.get()), (201, 1));
    let large = Text::new(&" ".repeat(MAX_BODY_BYTES + 1));
    assert_problem(&post(&owner, &large), 413, "body_too_large");
    let broken = Rc::new(Text { text: String::new(), reads: Cell::new(0), breaks: true });
    assert_problem(&post(&owner, &broken), 400, "malformed_json");
}
