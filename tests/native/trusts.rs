//! Trusts, and the exchange of a workload's token for a key.

use std::{cell::RefCell, rc::Rc};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use bitting::entry::chores;
use bitting_http::message::{Body, Request};
use bitting_keys::{
    app::sweep::Swept,
    domain::catalogue::Target,
    ports::{ByteSource, Incoming, Limit, LocalFuture, Outgoing, Upstream, UpstreamError},
};
use form_urlencoded::Serializer;
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::support::{Answer, Limits, Rows, START, Seal, World, problem::assert_problem, request, routes::new_trust};

const ISSUER: &str = "https://issuer.example";
const TRUSTS: &str = "/v1/organizations/self/trusts";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn sweep(world: &World) -> Swept {
    block_on(world.app.sweep(chores())).unwrap()
}

/// An issuer's server. `None`: it is down.
struct Issuer {
    metadata: RefCell<Value>,
    keys: RefCell<Option<Value>>,
    status: RefCell<u16>,
    asked: RefCell<Vec<String>>,
}

impl Issuer {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            metadata: RefCell::new(json!({ "issuer": ISSUER, "jwks_uri": format!("{ISSUER}/jwks") })),
            keys: RefCell::new(Some(keys(&["one"]))),
            status: RefCell::new(200),
            asked: RefCell::default(),
        })
    }
}

impl Upstream for Issuer {
    fn send(&self, request: Outgoing) -> LocalFuture<'_, Result<Incoming, UpstreamError>> {
        let Target::Upstream(origin) = &request.target else { panic!("{:?}", request.target) };
        self.asked.borrow_mut().push(format!("{origin}{}", request.path));
        let body = if request.path.ends_with("/.well-known/openid-configuration") {
            Some(self.metadata.borrow().clone())
        } else {
            self.keys.borrow().clone()
        };
        let status = *self.status.borrow();
        Box::pin(async move {
            let body: Rc<dyn ByteSource> = Rc::new(body.ok_or(UpstreamError::TimedOut)?.to_string().into_bytes());
            Ok(Incoming { status, headers: Vec::new(), body: Some(body) })
        })
    }
}

fn keys(ids: &[&str]) -> Value {
    let key = |id: &&str| json!({ "kid": id, "kty": "RSA", "e": "AQAB", "n": format!("{id}-n") });
    json!({ "keys": ids.iter().map(key).collect::<Vec<_>>() })
}

/// A world with an owner, a trust as [`new_trust`], and its issuer.
struct Scene {
    world: World,
    owner: String,
    issuer: Rc<Issuer>,
    trust: String,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new();
        let issuer = Issuer::new();
        world.app.upstream = issuer.clone();
        let owner = world.bootstrap();
        let trust = create(&world, &owner, &json!({}));
        Self { world, owner, issuer, trust }
    }

    fn exchange(&self, token: &str) -> Answer {
        exchange(&self.world, &[("audience", &self.trust), ("subject_token", token)])
    }

    /// The reasons of the refused exchanges, the newest first.
    fn reasons(&self) -> Vec<String> {
        self.world.settle();
        let events = self.world.get("/v1/audit-events?action=refused", &self.owner).json;
        let items = events["items"].as_array().unwrap().iter().filter(|event| event["subject"] == self.trust.as_str());
        items.map(|event| event["details"]["reason"].as_str().unwrap().to_owned()).collect()
    }
}

fn with(mut base: Value, otherwise: &Value) -> Value {
    for (name, value) in otherwise.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

fn create(world: &World, by: &str, otherwise: &Value) -> String {
    let answer = world.post(TRUSTS, by, &with(new_trust(), otherwise));
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer.text("id")
}

fn signed(header: &Value, claims: &Value, key: &str) -> String {
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = Seal::sign(key, signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn claims(otherwise: &Value) -> Value {
    let now = START.0 / 1000;
    let claims = json!({
        "iss": ISSUER, "aud": "https://keys.example.com", "sub": "repo:acme/web:ref:refs/heads/main",
        "iat": now, "nbf": now, "exp": now + 300, "jti": "first",
    });
    with(claims, otherwise)
}

fn token(otherwise: &Value) -> String {
    signed(&json!({ "alg": "RS256", "kid": "one" }), &claims(otherwise), "one-n")
}

fn form(fields: &[(&str, &str)]) -> Request {
    let mut sent = request("POST", "/v1/tokens/exchange", "", &Value::Null);
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields);
    sent.body = Body::Bytes(form.finish().into_bytes());
    sent.headers = vec![
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        ("cf-connecting-ip".to_owned(), "203.0.113.9".to_owned()),
    ];
    sent
}

fn exchange(world: &World, fields: &[(&str, &str)]) -> Answer {
    let fixed = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    world.send(&form(&[&fixed[..], fields].concat()))
}

fn assert_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.json["error"].as_str()), (status, Some(error)), "{}", answer.json);
    assert!(answer.json["error_description"].is_string() && answer.json["request_id"].is_string(), "{}", answer.json);
    assert!(answer.headers.contains(&("Cache-Control".into(), "no-store".to_owned())));
}

#[test]
fn exchange_gives_a_key_that_works_like_every_other_until_it_expires() {
    let scene = Scene::new();
    let answer = scene.exchange(&token(&json!({})));
    assert_eq!(answer.status, 200, "{}", answer.json);
    let key = answer.text("access_token");
    let about = json!({
        "access_token": key,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "datasets:read",
    });
    assert_eq!(answer.json, about);
    assert!(key.starts_with("bit_org_"), "{key}");
    let own = scene.world.get("/v1/keys/self", &key);
    assert_eq!(own.json["name"], "repo:acme/web:ref:refs/heads/main");
    assert_eq!(own.json["created_by"], scene.trust.as_str());
    assert_eq!(scene.world.verify(&scene.owner, &key, &["datasets:read"])["valid"], true);
    assert_eq!(scene.world.verify(&scene.owner, &key, &["datasets:write"])["valid"], false);
    let listed = scene.world.get(&format!("/v1/keys?created_by={}", scene.trust), &scene.owner);
    assert_eq!(listed.json["items"][0]["id"], own.json["id"]);
    let events = scene.world.get(&format!("/v1/keys/{}/events", own.text("id")), &scene.owner);
    let event = &events.json["items"][0];
    assert_eq!((&event["action"], &event["actor"]["id"]), (&json!("key.exchanged"), &json!(scene.trust)), "{event}");
    assert_eq!(event["details"]["sub"], "repo:acme/web:ref:refs/heads/main");
    assert_eq!(
        *scene.issuer.asked.borrow(),
        [format!("{ISSUER}/.well-known/openid-configuration"), format!("{ISSUER}/jwks")]
    );
    scene.world.advance_ms(600_000 - 1);
    assert_eq!(scene.world.verify(&scene.owner, &key, &[])["valid"], true);
    scene.world.advance_ms(1);
    assert_eq!(scene.world.verify(&scene.owner, &key, &[])["code"], "api_key_expired");
}

#[test]
fn exchange_of_a_token_happens_once() {
    let scene = Scene::new();
    let first = token(&json!({}));
    assert_eq!(scene.exchange(&first).status, 200);
    let dump = scene.world.database.value("SELECT count(*) FROM keys");
    assert_error(&scene.exchange(&first), 400, "invalid_grant");
    // Another token with the same id, and the same token for another trust.
    assert_error(&scene.exchange(&token(&json!({ "exp": START.0 / 1000 + 299 }))), 400, "invalid_grant");
    let other = create(&scene.world, &scene.owner, &json!({}));
    let answer = exchange(&scene.world, &[("audience", &other), ("subject_token", &first)]);
    assert_error(&answer, 400, "invalid_grant");
    assert_eq!(scene.world.database.value("SELECT count(*) FROM keys"), dump);
    assert_eq!(scene.exchange(&token(&json!({ "jti": "second" }))).status, 200);
    // Without an id it is the signed text that counts.
    let without = token(&json!({ "jti": null }));
    assert_eq!(scene.exchange(&without).status, 200);
    assert_error(&scene.exchange(&without), 400, "invalid_grant");
    // A sweep does not forget what could be presented again.
    sweep(&scene.world);
    assert_error(&scene.exchange(&first), 400, "invalid_grant");
    scene.world.advance_ms(300_000);
    assert_eq!(sweep(&scene.world).rows("exchanged_tokens_pruned"), 3);
    assert_error(&scene.exchange(&first), 400, "invalid_grant");
}

#[test]
fn exchange_refuses_what_does_not_match_with_one_answer_and_records_the_reason() {
    let now = START.0 / 1000;
    for (otherwise, reason, fetches) in [
        (json!({ "iss": "https://other.example" }), "claim_mismatch", false),
        (json!({ "iss": "https://issuer.example/" }), "claim_mismatch", false),
        (json!({ "aud": "https://other.example" }), "claim_mismatch", false),
        (json!({ "aud": [] }), "claim_mismatch", false),
        (json!({ "sub": "repo:acme-evil/web" }), "claim_mismatch", false),
        (json!({ "sub": null }), "claim_mismatch", false),
        (json!({ "sub": ["repo:acme/web"] }), "claim_mismatch", false),
        (json!({ "exp": now }), "token_expired", false),
        (json!({ "nbf": now + 61 }), "token_expired", false),
        (json!({ "iat": now + 61 }), "token_too_old", false),
        (json!({ "iat": now - 3600 }), "token_too_old", false),
        (json!({ "iat": null }), "token_too_old", false),
    ] {
        let scene = Scene::new();
        let answer = scene.exchange(&token(&otherwise));
        assert_error(&answer, 400, "invalid_grant");
        assert_eq!(scene.reasons(), [reason], "{otherwise}");
        assert_eq!(!scene.issuer.asked.borrow().is_empty(), fetches, "{otherwise}");
    }
    let rs256 = json!({ "alg": "RS256", "kid": "one" });
    for (header, key, reason) in [
        (rs256.clone(), "two-n", Some("wrong_signature")),
        (json!({ "alg": "RS256", "kid": "two" }), "one-n", Some("unknown_key")),
        (json!({ "alg": "ES256", "kid": "one" }), "one-n", Some("wrong_algorithm")),
        (json!({ "alg": "EdDSA", "kid": "one" }), "one-n", Some("wrong_algorithm")),
        (json!({ "alg": "HS256", "kid": "one" }), "one-n", None),
        (json!({ "alg": "none", "kid": "one" }), "one-n", None),
        (json!({ "alg": "RS256" }), "one-n", None),
    ] {
        let scene = Scene::new();
        let ((), io) = scene.world.counted(|| {
            assert_error(&scene.exchange(&signed(&header, &claims(&json!({})), key)), 400, "invalid_grant");
        });
        assert_eq!(io.0, usize::from(reason.is_some()), "{header}");
        assert_eq!(scene.reasons(), reason.into_iter().collect::<Vec<_>>(), "{header}");
    }
    let scene = Scene::new();
    let unknown = [("audience", "01900000-0000-7000-8000-00000000ffff"), ("subject_token", &token(&json!({})))];
    let answer = exchange(&scene.world, &unknown);
    let same = scene.exchange(&token(&json!({ "sub": "x" })));
    assert_eq!(answer.json["error_description"], same.json["error_description"]);
    assert_error(&answer, 400, "invalid_grant");
}

#[test]
fn request_is_a_form_of_rfc_8693_and_its_errors_are_those_of_rfc_6749() {
    let scene = Scene::new();
    let token = token(&json!({}));
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    let kind = ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token");
    let subject = ("subject_token", token.as_str());
    let audience = ("audience", scene.trust.as_str());
    for (fields, error) in [
        (vec![kind, subject, audience], "invalid_request"),
        (vec![grant, kind, audience], "invalid_request"),
        (vec![grant, kind, subject], "invalid_request"),
        (vec![grant, subject, audience], "invalid_request"),
        (vec![("grant_type", "client_credentials"), kind, subject, audience], "unsupported_grant_type"),
        (vec![grant, ("subject_token_type", "urn:x"), subject, audience], "invalid_request"),
        (vec![grant, kind, subject, ("audience", "https://keys.example.com")], "invalid_target"),
        (vec![grant, kind, subject, audience, ("scope", "")], "invalid_scope"),
        (vec![grant, kind, subject, audience, ("scope", "\"")], "invalid_scope"),
        (vec![grant, kind, subject, audience, ("scope", "datasets:read datasets:write")], "invalid_scope"),
        (vec![grant, kind, ("subject_token", "x"), audience], "invalid_grant"),
    ] {
        assert_error(&scene.world.send(&form(&fields)), 400, error);
    }
    let mut json = form(&[]);
    json.body = Body::Bytes(b"{}".to_vec());
    assert_error(&scene.world.send(&json), 400, "invalid_request");
    json.body = Body::Unread(Rc::new(vec![b'a'; 40_000]));
    assert_error(&scene.world.send(&json), 413, "invalid_request");
    // What the specification has beside these is ignored.
    let good = [grant, kind, subject, audience, ("resource", "https://a.example"), ("scope", "datasets:read")];
    assert_eq!(scene.world.send(&form(&good)).status, 200);
    assert_eq!(scene.world.get("/v1/tokens/exchange", "").status, 405);
}

#[test]
fn scopes_are_narrowed_and_never_widened() {
    let mut scene = Scene::new();
    scene.trust = create(&scene.world, &scene.owner, &json!({ "scopes": ["datasets:*", "traces:read"] }));
    for (number, (asked, given)) in [
        ("datasets:read", Some("datasets:read")),
        ("traces:read  datasets:*", Some("traces:read datasets:*")),
        ("traces:*", None),
        ("api-keys:write", None),
    ]
    .into_iter()
    .enumerate()
    {
        let token = token(&json!({ "jti": number.to_string() }));
        let fields = [("audience", scene.trust.as_str()), ("subject_token", &token), ("scope", asked)];
        let answer = exchange(&scene.world, &fields);
        match given {
            Some(given) => assert_eq!(answer.json["scope"], given, "{}", answer.json),
            None => assert_error(&answer, 400, "invalid_scope"),
        }
    }
}

#[test]
fn issuer_is_asked_seldom_and_believed_only_about_itself() {
    let scene = Scene::new();
    let again = |jti: &str| scene.exchange(&token(&json!({ "jti": jti, "exp": START.0 / 1000 + 3000 })));
    assert_eq!(again("1").status, 200);
    assert_eq!(again("2").status, 200);
    assert_eq!(scene.issuer.asked.borrow().len(), 2, "the keys are kept");
    // A new key is found, but unknown ones cost one request in ten seconds.
    *scene.issuer.keys.borrow_mut() = Some(keys(&["two"]));
    let rotated = |jti: &str| {
        let claims = claims(&json!({ "jti": jti, "exp": START.0 / 1000 + 3000 }));
        scene.exchange(&signed(&json!({ "alg": "RS256", "kid": "two" }), &claims, "two-n"))
    };
    assert_error(&rotated("3"), 400, "invalid_grant");
    scene.world.advance_ms(10_000);
    assert_eq!(rotated("3").status, 200);
    assert_error(&again("4"), 400, "invalid_grant");
    assert_eq!(scene.issuer.asked.borrow().len(), 4);

    for (metadata, status, keys) in [
        (json!({ "issuer": "https://other.example", "jwks_uri": format!("{ISSUER}/jwks") }), 200, true),
        (json!({ "issuer": ISSUER, "jwks_uri": "http://issuer.example/jwks" }), 200, true),
        (json!({ "issuer": ISSUER, "jwks_uri": "http://localhost/jwks" }), 200, true),
        (json!({ "issuer": ISSUER, "jwks_uri": "https://issuer.example/jwks?a=b" }), 200, true),
        (json!({ "issuer": ISSUER }), 200, true),
        (json!([]), 200, true),
        (json!({ "issuer": ISSUER, "jwks_uri": "https://keys.example/jwks" }), 302, true),
        (json!({ "issuer": ISSUER, "jwks_uri": "https://keys.example/jwks" }), 500, true),
        (json!({ "issuer": ISSUER, "jwks_uri": "https://keys.example/jwks" }), 200, false),
        (json!({ "issuer": ISSUER, "jwks_uri": "https://keys.example/jwks", "a": "a".repeat(70_000) }), 200, true),
    ] {
        let scene = Scene::new();
        *scene.issuer.metadata.borrow_mut() = metadata.clone();
        *scene.issuer.status.borrow_mut() = status;
        if !keys {
            *scene.issuer.keys.borrow_mut() = None;
        }
        assert_error(&scene.exchange(&token(&json!({}))), 503, "unavailable");
        assert_eq!(scene.reasons(), ["issuer_unavailable"], "{metadata}");
    }
    let scene = Scene::new();
    *scene.issuer.metadata.borrow_mut() = json!({ "issuer": ISSUER, "jwks_uri": "https://keys.example/a/jwks" });
    assert_eq!(scene.exchange(&token(&json!({}))).status, 200);
    assert_eq!(scene.issuer.asked.borrow()[1], "https://keys.example/a/jwks");
}

#[test]
fn keys_of_the_three_kinds_verify() {
    let scene = Scene::new();
    let bytes = |byte: u8| BASE64_URL_SAFE_NO_PAD.encode([byte; 32]);
    *scene.issuer.keys.borrow_mut() = Some(json!({ "keys": [
        { "kid": "ec", "kty": "EC", "crv": "P-256", "x": bytes(1), "y": bytes(2) },
        { "kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": bytes(3) },
    ] }));
    let spki = format!("3059301306072a8648ce3d020106082a8648ce3d03010703420004{}{}", "01".repeat(32), "02".repeat(32));
    for (kid, alg, key) in [("ec", "ES256", spki), ("ed", "EdDSA", "03".repeat(32))] {
        let header = json!({ "alg": alg, "kid": kid });
        let answer = scene.exchange(&signed(&header, &claims(&json!({ "jti": kid })), &key));
        assert_eq!(answer.status, 200, "{kid}: {}", answer.json);
    }
}

#[test]
fn trust_gives_no_more_than_its_creator_holds_and_ends_with_that() {
    let scene = Scene::new();
    let world = &scene.world;
    let admin =
        |body: &Value| world.create_from(&scene.owner, &with(json!({ "name": "maker", "kind": "org" }), body)).1;
    let maker = admin(&json!({ "scopes": ["api-keys:*", "datasets:read"], "expires_in_days": 1 }));
    for (otherwise, status) in [
        (json!({}), 201),
        (json!({ "scopes": ["datasets:write"] }), 403),
        (json!({ "scopes": ["datasets:*"] }), 403),
        (json!({ "scopes": [] }), 201),
    ] {
        assert_eq!(world.post(TRUSTS, &maker, &with(new_trust(), &otherwise)).status, status, "{otherwise}");
    }
    assert_problem(
        &world.post(TRUSTS, &scene.owner, &with(new_trust(), &json!({ "scopes": ["full"] }))),
        400,
        "validation_failed",
    );
    let none = admin(&json!({ "scopes": ["datasets:read"] }));
    assert_problem(&world.post(TRUSTS, &none, &new_trust()), 403, "insufficient_scope");
    let (.., member) = world.colleague(&scene.owner, "member");
    let project = world.project(&scene.owner, "p");
    let of_project =
        json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": ["api-keys:*", "datasets:read"] });
    let (_, of_project) = world.create_from(&scene.owner, &of_project);
    for key in [&member, &of_project] {
        assert_problem(&world.post(TRUSTS, key, &new_trust()), 403, "exceeds_own_access");
        assert_problem(&world.get(TRUSTS, key), 403, "exceeds_own_access");
        assert_problem(&world.get(&format!("{TRUSTS}/{}", scene.trust), key), 403, "exceeds_own_access");
        let path = format!("{TRUSTS}/{}", scene.trust);
        assert_problem(&world.call("DELETE", &path, key, &Value::Null), 403, "exceeds_own_access");
        assert_problem(
            &world.post(&format!("{TRUSTS}/match"), key, &json!({ "claims": {} })),
            403,
            "exceeds_own_access",
        );
    }
    // The key of a trust ends with it, and that with the key that created it.
    let trust = create(world, &maker, &json!({ "expires_in_seconds": 900 }));
    assert_eq!(world.get(&format!("{TRUSTS}/{trust}"), &scene.owner).json["expires_at"], "2027-01-16T08:00:00.000Z");
    world.advance_ms(DAY_MS - 60_000);
    let now = START.0 / 1000 + 24 * 3600 - 60;
    let late = |jti: &str| token(&json!({ "jti": jti, "iat": now, "nbf": now, "exp": now + 600 }));
    let answer = exchange(world, &[("audience", &trust), ("subject_token", &late("1"))]);
    assert_eq!(answer.json["expires_in"], 60, "{}", answer.json);
    world.advance_ms(60_000);
    assert_error(&exchange(world, &[("audience", &trust), ("subject_token", &late("2"))]), 400, "invalid_grant");
    sweep(world);
    assert_problem(&world.get(&format!("{TRUSTS}/{trust}"), &scene.owner), 404, "not_found");
}

#[test]
fn key_of_a_workload_is_not_prolonged_and_creates_nothing_that_outlives_it() {
    let mut scene = Scene::new();
    scene.trust = create(&scene.world, &scene.owner, &json!({ "scopes": ["api-keys:*", "members:*"] }));
    let answer = scene.exchange(&token(&json!({})));
    let key = answer.text("access_token");
    let world = &scene.world;
    let id = world.get("/v1/keys/self", &key).text("id");
    let path = format!("/v1/keys/{id}");
    for by in [&key, &scene.owner] {
        for body in [json!({ "expires_in_days": 1 }), json!({ "expires_at": null })] {
            assert_problem(&world.call("PATCH", &path, by, &body), 403, "exceeds_own_access");
        }
        let rotate = json!({ "expires_in_days": 1 });
        assert_problem(&world.post(&format!("{path}/rotate"), by, &rotate), 403, "exceeds_own_access");
    }
    for expiry in [json!({ "expires_in_days": 1 }), json!({ "expires_at": null })] {
        let body = with(json!({ "name": "child", "scopes": ["api-keys:*"] }), &expiry);
        assert_problem(&world.post("/v1/keys", &key, &body), 403, "exceeds_own_access");
    }
    let (child, _) = world.create(&key, "child", &["api-keys:*"]);
    let ends = |id: &str| world.get(&format!("/v1/keys/{id}"), &scene.owner).text("expires_at");
    assert_eq!(ends(&child), ends(&id));
    // A trust of its own ends with it as well.
    let own = create(world, &key, &json!({ "scopes": ["api-keys:read"] }));
    assert_eq!(world.get(&format!("{TRUSTS}/{own}"), &scene.owner).text("expires_at"), ends(&id));
    let invite = json!({ "email": "new@example.com", "role": "member" });
    let answer = world.post("/v1/organizations/self/invitations", &key, &invite);
    assert_problem(&answer, 403, "exceeds_own_access");
    let rotated = world.post(&format!("{path}/rotate"), &key, &Value::Null);
    assert_eq!((rotated.status, rotated.text("expires_at")), (200, ends(&id)), "{}", rotated.json);
}

#[test]
fn delete_ends_the_keys_of_a_trust_and_their_descendants_by_one_row_of_the_feed() {
    let mut scene = Scene::new();
    scene.trust = create(&scene.world, &scene.owner, &json!({ "scopes": ["api-keys:*"] }));
    let world = &scene.world;
    let keys: Vec<String> = (0..3)
        .map(|number| scene.exchange(&token(&json!({ "jti": number.to_string() }))).text("access_token"))
        .collect();
    let (child, child_key) = world.create(&keys[0], "child", &["api-keys:read"]);
    let (_, other) = world.create(&scene.owner, "other", &[]);
    let changes = || world.database.value("SELECT count(*) FROM changes").as_i64().unwrap();
    let before = changes();
    let path = format!("{TRUSTS}/{}", scene.trust);
    let answer = world.call("DELETE", &path, &scene.owner, &Value::Null);
    assert_eq!((answer.status, answer.text("id")), (200, scene.trust.clone()), "{}", answer.json);
    assert_eq!(answer.json["max_staleness_ms"], 5_000);
    assert!(changes() <= before + 1);
    for key in keys.iter().chain([&child_key]) {
        assert_eq!(world.verify(&scene.owner, key, &[])["code"], "key_revoked");
    }
    assert_eq!(world.verify(&scene.owner, &other, &[])["valid"], true);
    assert_error(&scene.exchange(&token(&json!({ "jti": "later" }))), 400, "invalid_grant");
    assert_problem(&world.call("DELETE", &path, &scene.owner, &Value::Null), 404, "not_found");
    let events = world.get(&format!("/v1/keys/{child}/events"), &scene.owner).json;
    assert_eq!(events["items"][0]["details"]["ended_with"]["trust"], scene.trust.as_str(), "{events}");
    let events = world.get("/v1/audit-events?action=trust.deleted", &scene.owner).json;
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
}

#[test]
fn trusts_end_with_those_who_created_them_if_their_descendants_do() {
    let scene = Scene::new();
    let world = &scene.world;
    let exchanged = |trust: &str, jti: &str| {
        exchange(world, &[("audience", trust), ("subject_token", &token(&json!({ "jti": jti })))])
    };
    let is_there = |trust: &str| world.get(&format!("{TRUSTS}/{trust}"), &scene.owner).status == 200;
    let body = json!({ "name": "maker", "kind": "org", "scopes": ["api-keys:*", "datasets:read"] });
    let (maker, maker_key) = world.create_from(&scene.owner, &body);
    let trust = create(world, &maker_key, &json!({}));
    let key = exchanged(&trust, "1").text("access_token");
    let preview = world.get(&format!("/v1/keys/{maker}/descendants"), &scene.owner).json;
    assert_eq!(
        (&preview["descendants"]["trusts"], &preview["descendants"]["keys"]),
        (&json!(1), &json!(1)),
        "{preview}"
    );
    // Without its descendants the key ends alone, as for other keys.
    world.revoke(&scene.owner, &maker);
    assert!(is_there(&trust));
    let path = format!("/v1/keys/{maker}?with_descendants=true");
    assert_eq!(world.call("DELETE", &path, &scene.owner, &Value::Null).status, 200);
    assert!(!is_there(&trust));
    assert_eq!(world.verify(&scene.owner, &key, &[])["code"], "key_revoked");

    let (user, _, admin) = world.colleague(&scene.owner, "admin");
    let trust = create(world, &admin, &json!({}));
    let key = exchanged(&trust, "2").text("access_token");
    let member = format!("/v1/organizations/self/members/{user}");
    let preview = world.get(&format!("{member}/descendants"), &scene.owner).json;
    assert_eq!(
        (&preview["descendants"]["trusts"], &preview["descendants"]["keys"]),
        (&json!(1), &json!(1)),
        "{preview}"
    );
    let answer = world.call("DELETE", &format!("{member}?with_descendants=true"), &scene.owner, &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert!(!is_there(&trust));
    assert_eq!(world.verify(&scene.owner, &key, &[])["code"], "key_revoked");
    assert!(is_there(&scene.trust));
}

#[test]
fn keys_of_trusts_do_not_count_and_go_some_days_after_their_end() {
    let scene = Scene::new();
    let world = &scene.world;
    let used = || world.database.value("SELECT sum(keys) FROM usage");
    let on_record = || world.database.value("SELECT count(*) FROM keys WHERE trust_id IS NOT NULL").as_i64().unwrap();
    let before = used();
    world.database.execute(&format!("UPDATE organizations SET max_keys = {before}"));
    for number in 0..5 {
        assert_eq!(scene.exchange(&token(&json!({ "jti": number.to_string() }))).status, 200);
    }
    let key = world.get(&format!("/v1/keys?created_by={}", scene.trust), &scene.owner).json;
    world.revoke(&scene.owner, key["items"][0]["id"].as_str().unwrap());
    assert_eq!(used(), before);
    world.advance_ms(600_000 + 3 * DAY_MS - 1);
    sweep(world);
    assert_eq!(on_record(), 5);
    let changes = world.database.value("SELECT max(seq) FROM changes");
    world.advance_ms(1);
    assert_eq!(sweep(world).rows("workload_keys_pruned"), 5);
    assert_eq!((on_record(), used()), (0, before));
    assert_eq!(world.database.value("SELECT max(seq) FROM changes"), changes, "no news for the feed");
    let events = world.get("/v1/audit-events?action=key.exchanged", &scene.owner).json;
    assert_eq!(events["items"].as_array().unwrap().len(), 5);
}

#[test]
fn trust_of_a_project_gives_keys_of_the_project_until_that_is_deleted() {
    let mut scene = Scene::new();
    let project = scene.world.project(&scene.owner, "p");
    scene.trust = create(&scene.world, &scene.owner, &json!({ "project_id": project }));
    let key = scene.exchange(&token(&json!({}))).text("access_token");
    assert!(key.starts_with("bit_proj_"), "{key}");
    let own = scene.world.get("/v1/keys/self", &key).json;
    assert_eq!((&own["project_id"], &own["role"]), (&json!(project), &json!("member")), "{own}");
    let other = json!({ "project_id": "01900000-0000-7000-8000-00000000ffff" });
    assert_problem(&scene.world.post(TRUSTS, &scene.owner, &with(new_trust(), &other)), 400, "validation_failed");
    let path = format!("/v1/organizations/self/projects/{project}");
    assert_eq!(scene.world.call("DELETE", &path, &scene.owner, &Value::Null).status, 200);
    assert_eq!(scene.world.verify(&scene.owner, &key, &[])["valid"], false);
    assert_error(&scene.exchange(&token(&json!({ "jti": "2" }))), 400, "invalid_grant");
}

#[test]
fn suspended_organizations_give_no_keys() {
    let scene = Scene::new();
    scene.world.database.execute("UPDATE organizations SET suspended_at = 1");
    assert_error(&scene.exchange(&token(&json!({}))), 400, "invalid_grant");
    assert!(scene.issuer.asked.borrow().is_empty());
}

#[test]
fn match_tells_which_claim_does_not_and_uses_nothing_up() {
    let scene = Scene::new();
    scene.world.advance_ms(1);
    let strict =
        create(&scene.world, &scene.owner, &json!({ "claims": { "sub": "repo:acme/web:*", "protected": "true" } }));
    let compare = |body: &Value| scene.world.post(&format!("{TRUSTS}/match"), &scene.owner, body);
    let answer = compare(&json!({ "token": token(&json!({})) }));
    assert_eq!(answer.json["claims"]["iss"], ISSUER, "{}", answer.json);
    let [first, second] = answer.json["trusts"].as_array().unwrap().as_slice() else { panic!("{}", answer.json) };
    let missing = json!([{ "claim": "protected", "expected": "true", "found": null }]);
    assert_eq!((&first["id"], &first["matches"], &first["mismatches"]), (&json!(strict), &json!(false), &missing));
    assert_eq!((&second["matches"], &second["mismatches"]), (&json!(true), &json!([])));
    let answer = compare(&json!({ "claims": claims(&json!({ "protected": true, "aud": ["a"], "sub": "x" })) }));
    let of_first: Vec<&Value> = answer.json["trusts"][0]["mismatches"].as_array().unwrap().iter().collect();
    assert_eq!(
        of_first,
        [
            &json!({ "claim": "aud", "expected": "https://keys.example.com", "found": null }),
            &json!({ "claim": "sub", "expected": "repo:acme/web:*", "found": "x" }),
        ]
    );
    assert_problem(&compare(&json!({ "token": "x" })), 400, "validation_failed");
    assert_problem(&compare(&json!({ "token": "x", "claims": {} })), 400, "validation_failed");
    assert!(scene.issuer.asked.borrow().is_empty());
    assert_eq!(scene.exchange(&token(&json!({}))).status, 200);
}

#[test]
fn trusts_are_bounded_and_belong_to_their_organization() {
    let scene = Scene::new();
    let (_, _, stranger) = scene.world.stranger(&scene.owner);
    let path = format!("{TRUSTS}/{}", scene.trust);
    assert_problem(&scene.world.get(&path, &stranger), 404, "not_found");
    assert_problem(&scene.world.call("DELETE", &path, &stranger, &Value::Null), 404, "not_found");
    assert_eq!(scene.world.get(TRUSTS, &stranger).json["items"], json!([]));
    let trust = create(&scene.world, &stranger, &json!({ "audience": "https://strangers.example" }));
    let answer = exchange(&scene.world, &[("audience", &trust), ("subject_token", &token(&json!({})))]);
    assert_error(&answer, 400, "invalid_grant");
    for _ in 0..98 {
        create(&scene.world, &scene.owner, &json!({}));
    }
    scene.world.advance_ms(1);
    let last = create(&scene.world, &scene.owner, &json!({}));
    assert_problem(&scene.world.post(TRUSTS, &scene.owner, &new_trust()), 409, "too_many_trusts");
    let page = scene.world.get(&format!("{TRUSTS}?limit=1"), &scene.owner).json;
    assert_eq!((&page["items"][0]["id"], &page["has_more"]), (&json!(last), &json!(true)));
    for wrong in [
        json!({ "claims": { "sub": "*" } }),
        json!({ "claims": { "sub": "repo:*" } }),
        json!({ "claims": { "ref": "main" } }),
        json!({ "claims": { "sub": "a", "aud": "b" } }),
        json!({ "issuer": "http://issuer.example" }),
        json!({ "audience": "" }),
        json!({ "expires_in_seconds": 901 }),
        json!({ "expires_in_seconds": 0 }),
    ] {
        let answer = scene.world.post(TRUSTS, &scene.owner, &with(new_trust(), &wrong));
        assert_problem(&answer, 400, "validation_failed");
    }
}

#[test]
fn strangers_are_limited_by_their_address_and_organizations_by_their_writes() {
    let mut scene = Scene::new();
    let limits = Limits::new(Limit::UnknownCredentials, 3);
    scene.world.app.limiter = limits.clone();
    for _ in 0..4 {
        assert_error(&scene.exchange(&token(&json!({ "sub": "x" }))), 400, "invalid_grant");
        scene.world.settle();
    }
    let (answer, io) = scene.world.counted(|| scene.exchange(&token(&json!({}))));
    assert_error(&answer, 429, "rate_limited");
    assert_eq!(io, (0, 0, 0));
    let mut scene = Scene::new();
    scene.world.app.limiter = Limits::new(Limit::Writes, 1);
    assert_eq!(scene.exchange(&token(&json!({}))).status, 200);
    assert_error(&scene.exchange(&token(&json!({ "jti": "2" }))), 429, "rate_limited");
}
