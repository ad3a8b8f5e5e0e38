//! Derived tokens, as far as they can be told without Ed25519: what they say, when there is none, and what they cost.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR_SECRET, START, Seal, World, problem::assert_problem};

const TOKENS: &str = "/v1/tokens";

fn derive(world: &World, key: &str, body: &Value) -> Answer {
    world.post(TOKENS, key, body)
}

/// The header and the claims of a token whose signature is good by the published keys.
fn read(world: &World, answer: &Answer) -> (Value, Value) {
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", answer.json);
    let token = answer.text("token");
    let (input, signature) = token.rsplit_once('.').unwrap();
    let parts: Vec<Value> = input
        .split('.')
        .map(|part| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    let keys = world.get("/.well-known/jwks.json", "").json["keys"].clone();
    let key = keys.as_array().unwrap().iter().find(|key| key["kid"] == parts[0]["kid"]).unwrap().clone();
    let expected = Seal::sign(key["x"].as_str().unwrap(), input.as_bytes());
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap(), expected);
    (parts[0].clone(), parts[1].clone())
}

#[test]
fn token_says_who_the_key_is_and_until_which_change() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, key) = world.create(&owner, "service", &["datasets:read", "results:*"]);
    let answer = derive(&world, &key, &json!({ "audience": "https://orders.example.com", "scopes": ["results:read"] }));
    let (header, claims) = read(&world, &answer);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("JWT")));
    let verdict = world.verify(&owner, &key, &[]);
    let seconds = START.0 / 1000;
    let expected = json!({
        "iss": "https://keys.example.com", "sub": id, "aud": "https://orders.example.com",
        "iat": seconds, "exp": seconds + 300, "jti": claims["jti"], "scope": "results:read", "kind": "pat",
        "organization_id": verdict["owner"]["organization_id"], "user_id": verdict["owner"]["user_id"],
        "seq": verdict["seq"], "subjects": verdict["subjects"],
    });
    assert_eq!(claims, expected);
    assert_eq!(answer.json["scopes"], json!(["results:read"]));
    let again = read(&world, &derive(&world, &key, &json!({ "audience": "a" }))).1;
    assert_eq!(again["scope"], "datasets:read results:*");
    assert_ne!(again["jti"], claims["jti"]);
    let project = world.project(&owner, "p");
    let body = json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": [] });
    let of_project = read(&world, &derive(&world, &world.create_from(&owner, &body).1, &json!({ "audience": "a" }))).1;
    assert_eq!(
        (&of_project["project_id"], &of_project["user_id"], &of_project["scope"]),
        (&json!(project), &Value::Null, &json!(""))
    );
}

#[test]
fn token_says_no_more_than_its_key_and_ends_with_it() {
    let world = World::new();
    let owner = world.bootstrap();
    let (_, key) = world.create(&owner, "service", &["datasets:read"]);
    let audience = |scopes: Value| json!({ "audience": "a", "scopes": scopes });
    for scopes in
        [json!(["datasets:write"]), json!(["datasets:*"]), json!(["datasets:read", "api-keys:read"]), json!(["mcp"])]
    {
        assert_problem(&derive(&world, &key, &audience(scopes)), 403, "exceeds_own_access");
    }
    assert_problem(&derive(&world, &key, &audience(json!(["no:such"]))), 400, "validation_failed");
    // A key with full access names what it gives, and a token never has it all.
    for body in [json!({ "audience": "a" }), audience(json!(["full"]))] {
        assert_problem(&derive(&world, &owner, &body), 400, "validation_failed");
    }
    assert_eq!(
        read(&world, &derive(&world, &owner, &audience(json!(["datasets:write"])))).1["scope"],
        "datasets:write"
    );
    let end = START.plus_ms(90_500);
    let body = json!({ "name": "short", "scopes": ["datasets:read"], "expires_at": end.to_rfc3339() });
    let (id, short) = world.create_from(&owner, &body);
    let answer = derive(&world, &short, &json!({ "audience": "a" }));
    assert_eq!(read(&world, &answer).1["exp"], (START.0 + 90_000) / 1000);
    assert_eq!(answer.text("expires_at"), START.plus_ms(90_000).to_rfc3339());
    let rotation = json!({ "grace_period_seconds": 60 });
    assert_eq!(world.post(&format!("/v1/keys/{id}/rotate"), &owner, &rotation).status, 200);
    let outgoing = read(&world, &derive(&world, &short, &json!({ "audience": "a" }))).1;
    assert_eq!(outgoing["exp"], START.0 / 1000 + 60);
    for (seconds, status) in [(json!(0), 400), (json!(301), 400), (json!(1), 200), (json!(300), 200), (json!("9"), 400)]
    {
        let body = json!({ "audience": "a", "expires_in_seconds": seconds });
        assert_eq!(derive(&world, &key, &body).status, status, "{seconds}");
    }
    for audience in [json!(""), json!("a b"), json!("ä"), json!("a".repeat(256)), json!(null), json!(["a"])] {
        assert_problem(&derive(&world, &key, &json!({ "audience": audience })), 400, "validation_failed");
    }
}

#[test]
fn key_that_is_no_good_derives_nothing_and_a_token_is_no_key() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, key) = world.create(&owner, "service", &["datasets:read"]);
    let body = json!({ "audience": "a" });
    let token = derive(&world, &key, &body).text("token");
    for path in ["/v1/authorize", TOKENS] {
        assert_problem(&world.post(path, &token, &body), 401, "malformed_api_key");
    }
    assert_eq!(world.verify(&owner, &token, &[])["code"], "malformed_api_key");
    assert_problem(&derive(&world, "", &body), 401, "missing_api_key");
    let (_, live) = world.live_evaluation(&owner);
    assert_problem(&derive(&world, &live, &body), 403, "live_evaluation_key");
    let organization = world.get("/v1/keys/self", &owner).text("organization_id");
    world.database.execute(&format!("UPDATE organizations SET subscription = 'inactive' WHERE id = '{organization}'"));
    world.advance_ms(6_000);
    assert_problem(&derive(&world, &key, &body), 402, "subscription_inactive");
    world.database.execute(&format!("UPDATE organizations SET subscription = 'active' WHERE id = '{organization}'"));
    world.revoke(&owner, &id);
    assert_problem(&derive(&world, &key, &body), 401, "key_revoked");
}

#[test]
fn token_of_a_warm_key_costs_no_io_and_writes_nothing() {
    let world = World::new();
    let owner = world.bootstrap();
    let (_, key) = world.create(&owner, "service", &["datasets:read"]);
    let body = json!({ "audience": "a" });
    derive(&world, &key, &body);
    world.settle();
    let (answer, io) = world.counted(|| derive(&world, &key, &body));
    assert_eq!((answer.status, io), (200, (0, 0, 0)));
    let (keys, io) = world.counted(|| world.get("/.well-known/jwks.json", ""));
    assert_eq!((io, keys.header("cache-control")), ((0, 0, 0), Some("public, max-age=300")));
}

#[test]
fn token_of_a_key_that_changed_meanwhile_is_of_the_time_before() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, key) = world.create(&owner, "service", &["datasets:read"]);
    world.verify(&owner, &key, &[]);
    // Another isolate changes the key. This one believes its copy until it hears of it.
    let other = world.another_isolate();
    other.change(&owner, &id, &json!({ "scopes": [] }));
    let claims = read(&world, &derive(&world, &key, &json!({ "audience": "a" }))).1;
    let change = world.database.value(&format!("SELECT seq FROM changes WHERE subject = '{id}'"));
    assert!(claims["seq"].as_i64() < change.as_i64() && claims["subjects"].as_array().unwrap().contains(&json!(id)));
}

#[test]
fn signing_key_is_changed_without_an_invalid_token() {
    let secret = |name: &'static str| format!("{name}-secret-of-at-least-32-characters");
    let (one, two) = (secret("one"), secret("two"));
    let ids = |world: &World| {
        let keys = world.get("/.well-known/jwks.json", "").json["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let world = World::with_config(&[("TOKEN_SECRET", &one)]);
    let owner = world.bootstrap();
    let (_, key) = world.create(&owner, "service", &["datasets:read"]);
    let before = ids(&world);
    assert_eq!(
        (read(&world, &derive(&world, &key, &json!({ "audience": "a" }))).0["kid"].clone(), before.len()),
        (json!(before[0]), 1)
    );
    let world = world.reconfigured(&[("TOKEN_SECRET", &two), ("TOKEN_SECRET_PREVIOUS", &one)]);
    let after = ids(&world);
    assert_eq!((after.len(), &after[1]), (2, &before[0]));
    assert_eq!(read(&world, &derive(&world, &key, &json!({ "audience": "a" }))).0["kid"], after[0]);
    // Without a secret of its own, it is that of the operator; without any, there are no tokens.
    assert_ne!(ids(&world.reconfigured(&[])), before);
    let world = world.reconfigured(&[("OPERATOR_SECRET", "")]);
    assert!(ids(&world).is_empty());
    assert_problem(&derive(&world, &key, &json!({ "audience": "a" })), 503, "unavailable");
    assert!(OPERATOR_SECRET.len() >= 32);
}
