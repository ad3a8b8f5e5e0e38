//! `Idempotency-Key`: whoever repeats a request gets what the first one made, and nothing is made twice.

use std::collections::BTreeSet;

use bitting::entry::{self, chores};
use bitting_http::{call::ANY, message::Request};
use bitting_keys::domain::{
    idempotency::{IDEMPOTENCY_WINDOW_MS, Nonce, Repeatable},
    key_text::KeyText,
};
use futures::{executor::block_on, future::join};
use proptest::{prop_assert_eq, prop_assert_ne, proptest};
use serde_json::{Value, json};

use crate::support::{
    Answer, Rows, World,
    problem::assert_problem,
    read, request,
    routes::{Creates, RouteCall, Targets, every_key_route, prepared},
    secrets,
};

/// A world with an owner's key, which this isolate has in memory, and things for every route to be about.
struct Scene {
    world: World,
    owner: String,
    targets: Targets,
}

impl Scene {
    fn new() -> Self {
        let (world, owner, targets) = prepared();
        let scene = Self { world, owner, targets };
        scene.isolate(&scene.owner);
        scene
    }

    /// Another isolate, which has this key in memory.
    fn isolate(&self, key: &str) -> World {
        let world = self.world.another_isolate();
        assert_eq!(world.get("/v1/scopes", key).status, 200);
        world
    }

    /// The rows of everything but the feed and the uses of keys.
    fn rows(&self) -> String {
        let dump = self.world.database.dump();
        dump.lines().filter(|line| !line.starts_with("sqlite_")).collect::<Vec<_>>().join("\n")
    }

    fn count(&self) -> i64 {
        self.world.database.count("idempotency_keys")
    }

    fn create(&self, by: &str, fields: &Value) -> Answer {
        self.world.send(&with_key(request("POST", "/v1/keys", by, fields), "k1"))
    }

    fn rotate(&self, by: &str, id: &str, key: &str, grace_seconds: i64) -> Answer {
        let body = json!({ "grace_period_seconds": grace_seconds });
        self.world.send(&with_key(request("POST", &format!("/v1/keys/{id}/rotate"), by, &body), key))
    }
}

fn fields() -> Value {
    json!({ "name": "made", "scopes": ["datasets:read"] })
}

fn with_key(mut request: Request, key: &str) -> Request {
    request.headers.push(("idempotency-key".to_owned(), key.to_owned()));
    request
}

/// Every creating route, in a scene of its own, with its request.
fn each_creating_route(check: impl Fn(Scene, &RouteCall, Request)) {
    let mut routes = every_key_route(&Scene::new().targets);
    routes.retain(|route| route.known.creates != Creates::Nothing);
    assert!(routes.len() >= 15, "{} routes", routes.len());
    for route in &routes {
        let scene = Scene::new();
        let request = with_key(request(route.method, &route.path, &scene.owner, &route.known.body), "k1");
        check(scene, route, request);
    }
}

#[track_caller]
fn assert_same(route: &RouteCall, first: &Answer, second: &Answer) {
    assert!(first.status < 300, "{route}: {}", first.json);
    assert_eq!((first.status, &first.json), (second.status, &second.json), "{route}");
    assert_eq!(secrets(&first.json).len(), usize::from(route.known.creates == Creates::Secret), "{route}");
}

#[test]
fn repeated_request_makes_nothing_and_is_answered_as_the_first_one() {
    each_creating_route(|scene, route, request| {
        let world = scene.isolate(&scene.owner);
        let (first, first_io) = world.counted(|| world.send(&request));
        let rows = scene.rows();
        for world in [scene.isolate(&scene.owner), world] {
            let (second, io) = world.counted(|| world.send(&request));
            assert_same(route, &first, &second);
            assert!(io.0 <= first_io.0 + 1, "{route}: {io:?} after {first_io:?}");
            assert_eq!(scene.rows(), rows, "{route}");
        }
        for secret in secrets(&first.json) {
            assert!(!rows.contains(&secret) && !rows.contains(&secret[secret.len() - 49..]), "{route}");
            let works = match KeyText::parse(&secret) {
                Ok(_) => scene.world.verify(&scene.owner, &secret, &[])["valid"] == true,
                Err(_) => scene.world.get(&format!("/v1/invitations/{secret}"), "").status == 200,
            };
            assert!(works, "{route}");
        }
        assert!(!rows.contains("\"k1\""), "the Idempotency-Key itself is not stored");
    });
}

#[test]
fn making_something_takes_no_round_trip_more_with_a_key() {
    let trips = |with: bool| {
        let trips = std::cell::RefCell::new(Vec::new());
        each_creating_route(|scene, _, mut request| {
            request.headers.retain(|(name, _)| with || *name != "idempotency-key");
            let world = scene.isolate(&scene.owner);
            trips.borrow_mut().push(world.counted(|| world.send(&request)).1);
        });
        trips.into_inner()
    };
    assert_eq!(trips(true), trips(false));
}

#[test]
fn another_request_with_the_same_key_is_refused_and_makes_nothing() {
    each_creating_route(|scene, route, request| {
        assert!(scene.world.send(&request).status < 300);
        let rows = scene.rows();
        let mut other_body = request.clone();
        other_body.body = bitting_http::message::Body::Bytes([route.known.body.to_string().as_bytes(), b" "].concat());
        assert_problem(&scene.world.send(&other_body), 422, "idempotency_key_reused");
        let (other_path, body) = match route.template {
            "/v1/keys" => ("/v1/api_key", json!({ "name": "made" })),
            _ => ("/v1/keys", fields()),
        };
        let other = with_key(crate::support::request("POST", other_path, &scene.owner, &body), "k1");
        assert_problem(&scene.world.send(&other), 422, "idempotency_key_reused");
        assert_eq!(scene.rows(), rows, "{route}");
    });
}

#[test]
fn another_caller_with_the_same_key_makes_his_own() {
    let scene = Scene::new();
    let (_, _, colleague) = scene.world.colleague(&scene.owner, "owner");
    let answers = [&scene.owner, &colleague].map(|by| scene.create(by, &fields()));
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert_ne!(answers[0].text("id"), answers[1].text("id"));
    assert_ne!(answers[0].text("key"), answers[1].text("key"));
}

#[test]
fn without_a_key_every_request_makes_one_and_nothing_is_remembered() {
    each_creating_route(|scene, route, mut request| {
        request.headers.retain(|(name, _)| *name != "idempotency-key");
        let first = scene.world.send(&request);
        // A key rotates once at a time, and a run is flagged once.
        scene.world.database.execute(&format!(
            "UPDATE keys SET rotates_at = NULL, outgoing_digest = NULL WHERE id IN ('{}', '{}');
             DELETE FROM review_items",
            scene.targets.org_key, scene.targets.project_key
        ));
        let second = scene.world.send(&request);
        if ["already_invited", "team_exists"].contains(&second.code()) {
            // An address is invited once, and a name is that of one team.
            return;
        }
        assert!(first.status < 300 && second.status < 300, "{route}: {}", second.json);
        assert_ne!(first.json, second.json, "{route}");
        assert!(secrets(&first.json).is_disjoint(&secrets(&second.json)));
        assert_eq!(scene.count(), 0);
    });
}

#[test]
fn of_two_at_once_one_makes_it_and_both_are_told() {
    each_creating_route(|scene, route, request| {
        let isolate = || {
            let mut world = scene.isolate(&scene.owner);
            // Each batch lets the other take a turn.
            world.before_batches(|_, _| {});
            world
        };
        let (one, two) = (isolate(), isolate());
        let events = scene.world.database.count("audit_events");
        let (one, two) = block_on(join(entry::handle(&one.app, &request), entry::handle(&two.app, &request)));
        assert_eq!((one.status, one.status / 100), (two.status, 2), "{route}");
        assert_eq!(read(one.body), read(two.body), "{route}");
        assert_eq!(scene.world.database.count("audit_events"), events + route.known.events, "{route}");
        assert_eq!(scene.count(), 1);
    });
}

#[test]
fn answer_that_was_lost_is_given_when_the_request_comes_again() {
    for after in [false, true] {
        each_creating_route(|scene, route, request| {
            let last = {
                let copy = Scene::new();
                let world = copy.isolate(&copy.owner);
                world.counted(|| route.send(&world, &copy.owner)).1.0 - 1
            };
            let mut world = scene.isolate(&scene.owner);
            world.before_batches(move |database, number| match number == last {
                true if after => database.losing.set(true),
                true => database.fail_next("D1 is down"),
                false => {}
            });
            let rows = scene.rows();
            let events = scene.world.database.count("audit_events");
            assert_problem(&world.send(&request), 503, "unavailable");
            assert_eq!(scene.rows() == rows, !after, "{route}");
            let answer = world.send(&request);
            assert_same(route, &answer, &world.send(&request));
            assert_eq!(scene.world.database.count("audit_events"), events + route.known.events, "{route}");
        });
    }
}

#[test]
fn request_that_was_refused_is_not_remembered() {
    let scene = Scene::new();
    for body in [
        json!({ "name": "made", "scopes": ["no:scope"] }),
        json!({ "name": "made", "scopes": [], "kind": "proj", "project_id": scene.targets.id }),
    ] {
        assert_problem(&scene.create(&scene.owner, &body), 400, "validation_failed");
    }
    // A rotation is under way already, so this one does nothing.
    let (id, _) = scene.world.create(&scene.owner, "rotated", &[]);
    assert_eq!(
        scene.world.post(&format!("/v1/keys/{id}/rotate"), &scene.owner, &json!({ "grace_period_seconds": 9 })).status,
        200
    );
    assert_problem(&scene.rotate(&scene.owner, &id, "k1", 9), 409, "rotation_pending");
    assert_eq!(scene.count(), 0);
    assert_eq!(scene.create(&scene.owner, &fields()).status, 201);
    assert_eq!(scene.count(), 1);
}

#[test]
fn rotation_that_came_too_late_is_not_remembered() {
    let scene = Scene::new();
    let isolate = || {
        let mut world = scene.isolate(&scene.owner);
        world.before_batches(|_, _| {});
        world
    };
    let (one, two) = (isolate(), isolate());
    let rotate = |key: &str| {
        let path = format!("/v1/keys/{}/rotate", scene.targets.org_key);
        with_key(request("POST", &path, &scene.owner, &json!({})), key)
    };
    let (first, second) = (rotate("k1"), rotate("k2"));
    let (one, two) = block_on(join(entry::handle(&one.app, &first), entry::handle(&two.app, &second)));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!((statuses, scene.count()), ([200, 409], 1));
}

#[test]
fn after_the_window_a_request_is_a_new_one_and_nothing_is_left_to_derive_from() {
    let scene = Scene::new();
    let sweep = || block_on(scene.world.app.sweep(chores())).unwrap().rows("idempotency_keys_pruned");
    let nonce = || scene.world.database.value("SELECT nonce FROM idempotency_keys").as_str().unwrap().to_owned();
    let first = scene.create(&scene.owner, &fields()).text("key");
    let old = nonce();
    scene.world.advance_ms(IDEMPOTENCY_WINDOW_MS - 1);
    assert_eq!(sweep(), 0);
    assert_eq!(scene.create(&scene.owner, &fields()).text("key"), first);
    scene.world.advance_ms(1);
    let second = scene.create(&scene.owner, &fields());
    assert_eq!(second.status, 201);
    assert_ne!(second.text("key"), first);
    assert_eq!(scene.create(&scene.owner, &fields()).text("key"), second.text("key"));
    assert!(nonce() != old && !scene.world.database.dump().contains(&old));
    scene.world.advance_ms(IDEMPOTENCY_WINDOW_MS);
    // Refused for another reason, and not found before the sweep comes either.
    let wrong = json!({ "name": "made", "scopes": ["no:scope"] });
    assert_problem(&scene.create(&scene.owner, &wrong), 400, "validation_failed");
    assert_eq!((sweep(), sweep(), scene.count()), (1, 0, 0));
}

#[test]
fn sweep_prunes_in_batches() {
    let scene = Scene::new();
    scene.world.database.execute(
        "INSERT INTO idempotency_keys (key_id, digest, fingerprint, subject, created_at)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1201) SELECT 'k', i, 'f', 's', i FROM n",
    );
    scene.create(&scene.owner, &fields());
    assert_eq!(block_on(scene.world.app.sweep(chores())).unwrap().rows("idempotency_keys_pruned"), 1_201);
    assert_eq!(scene.count(), 1);
}

#[test]
fn caller_that_was_rotated_is_told_the_secret_by_the_text_that_asked_alone() {
    let scene = Scene::new();
    let (id, old) = scene.world.create(&scene.owner, "caller", &["api-keys:*", "datasets:*"]);
    let first = scene.create(&old, &fields());
    assert_eq!(first.status, 201, "{}", first.json);
    let new = scene.rotate(&scene.owner, &id, "k1", 60).text("key");
    let answer = scene.create(&new, &fields());
    assert_problem(&answer, 409, "idempotency_key_spent");
    assert!(answer.detail().contains(&first.text("id")), "{}", answer.detail());
    assert_eq!(scene.create(&old, &fields()).json, first.json);
    assert_eq!(scene.world.database.value("SELECT count(*) FROM keys WHERE name = 'made' AND kind = 'pat'"), 1);
}

#[test]
fn key_that_rotates_itself_is_told_its_new_secret_again_during_the_grace() {
    let scene = Scene::new();
    let (id, old) = scene.world.create(&scene.owner, "ci", &["api-keys:*"]);
    let first = scene.rotate(&old, &id, "k1", 60);
    assert_eq!(first.status, 200, "{}", first.json);
    assert_eq!(scene.rotate(&old, &id, "k1", 60).json, first.json);
    assert_problem(&scene.rotate(&first.text("key"), &id, "k1", 60), 409, "idempotency_key_spent");
    assert_problem(&scene.rotate(&old, &id, "k2", 60), 409, "rotation_pending");
}

#[test]
fn rotation_is_repeated_also_when_its_expiry_has_passed_or_the_key_is_disabled() {
    let scene = Scene::new();
    let path = format!("/v1/keys/{}/rotate", scene.targets.org_key);
    let rotate = with_key(request("POST", &path, &scene.owner, &json!({ "expires_at": "2027-01-15T09:00:00Z" })), "k1");
    let first = scene.world.send(&rotate);
    assert_eq!(first.status, 200, "{}", first.json);
    scene.world.advance_ms(60 * 60 * 1000);
    let second = scene.world.send(&rotate);
    assert_eq!(
        (second.status, second.text("key"), second.text("status")),
        (200, first.text("key"), "expired".to_owned())
    );
    let now = scene.world.clock.0.get().0;
    scene
        .world
        .database
        .execute(&format!("UPDATE keys SET disabled_at = {now} WHERE id = '{}'", scene.targets.org_key));
    assert_eq!(scene.world.send(&rotate).text("status"), "disabled");
}

#[test]
fn secret_that_is_not_the_newest_any_more_is_not_told_again() {
    for end in [
        "UPDATE keys SET revoked_at = 1 WHERE id = '{id}'",
        "UPDATE keys SET digest = 'another' WHERE id = '{id}'",
        "DELETE FROM keys WHERE id = '{id}'",
    ] {
        for path in ["/v1/keys", "/v1/api_key", "/v1/apikeys"] {
            let scene = Scene::new();
            let body = if path == "/v1/keys" { fields() } else { json!({ "name": "made" }) };
            let make = with_key(request("POST", path, &scene.owner, &body), "k1");
            let id = scene.world.send(&make).text("id");
            scene.world.database.execute(&end.replace("{id}", &id));
            let rows = scene.rows();
            let answer = scene.world.send(&make);
            assert_problem(&answer, 409, "idempotency_key_spent");
            assert!(answer.detail().contains(&id), "{}", answer.detail());
            assert_eq!((scene.rows(), secrets(&answer.json)), (rows, BTreeSet::new()));
        }
    }
    let scene = Scene::new();
    let id = scene.targets.org_key.clone();
    assert_eq!(scene.rotate(&scene.owner, &id, "k1", 0).status, 200);
    assert_eq!(scene.rotate(&scene.owner, &id, "k2", 0).status, 200);
    assert_problem(&scene.rotate(&scene.owner, &id, "k1", 0), 409, "idempotency_key_spent");
}

#[test]
fn deleted_project_is_not_told_again() {
    let scene = Scene::new();
    let make = with_key(request("POST", "/v2/projects", &scene.owner, &json!({ "name": "p" })), "k1");
    let id = scene.world.send(&make).json["data"]["project"]["id"].as_str().unwrap().to_owned();
    scene.world.call("DELETE", &format!("/v2/projects/{id}"), &scene.owner, &Value::Null);
    assert_problem(&scene.world.send(&make), 409, "idempotency_key_spent");
}

#[test]
fn caller_that_holds_less_by_now_is_not_told_a_secret_that_gives_more() {
    let scene = Scene::new();
    let (id, by) = scene.world.create(&scene.owner, "caller", &["api-keys:*", "datasets:*"]);
    assert_eq!(scene.create(&by, &fields()).status, 201);
    scene.world.change(&scene.owner, &id, &json!({ "scopes": ["api-keys:write"] }));
    assert_problem(&scene.create(&by, &fields()), 403, "exceeds_own_access");
}

#[test]
fn secret_is_told_again_after_the_pepper_has_changed() {
    let scene = Scene::new();
    let first = scene.create(&scene.owner, &fields());
    let peppered = scene.world.reconfigured(&[("KEY_PEPPER", "a pepper of the tests")]);
    let again = peppered.send(&with_key(request("POST", "/v1/keys", &scene.owner, &fields()), "k1"));
    assert_eq!(again.json, first.json);
}

#[test]
fn who_has_lost_what_he_did_something_with_is_not_told_of_it_again() {
    let world = World::new();
    let owner = world.bootstrap();
    let (user_id, _, key) = world.colleague(&owner, "member");
    let judge = json!({ "type": "exact_match", "column": "user_query", "expected": "why" });
    let evaluation = world.evaluation(&owner, &judge);
    let (live, _) = world.deploy(&owner, &evaluation);
    let shares = [
        format!("/api/evaluations/{evaluation}/shares/{user_id}"),
        format!("/api/live-evaluations/{live}/shares/{user_id}"),
    ];
    let share = |method: &str, access: &Value| {
        for path in &shares {
            assert!(world.call(method, path, &owner, access).status < 300);
        }
    };
    share("PUT", &json!({ "access": "write" }));
    let send = |path: &str, body: &Value| world.send(&with_key(request("POST", path, &key, body), path));
    let run = world.judge(&owner, &live, "how").text("public_id");
    let acts = [
        (format!("/api/evaluations/{evaluation}/variants"), json!({ "name": "v" }), 403),
        (format!("/api/live-evaluations/{live}/regenerate"), Value::Null, 403),
        ("/api/review".to_owned(), json!({ "run_id": run }), 403),
        (format!("/api/eval/{live}"), json!({ "inputs": { "user_query": "why" } }), 200),
    ];
    let first: Vec<Value> = acts.iter().map(|(path, body, _)| send(path, body).json).collect();
    for ((path, body, _), first) in acts.iter().zip(&first) {
        assert_eq!(send(path, body).json, *first, "{path}");
    }
    world.database.execute("UPDATE organizations SET subscription = 'inactive'");
    for (path, body, _) in &acts {
        assert_problem(&send(path, body), 402, "subscription_inactive");
    }
    world.database.execute("UPDATE organizations SET subscription = 'active'");
    share("PUT", &json!({ "access": "read" }));
    for (path, body, status) in &acts {
        assert_eq!(send(path, body).status, *status, "{path}");
    }
    share("DELETE", &Value::Null);
    for (path, body, _) in &acts {
        assert_problem(&send(path, body), 404, "not_found");
    }
}

#[test]
fn malformed_key_is_refused_by_every_route() {
    let scene = Scene::new();
    let rows = scene.rows();
    let longest = "k".repeat(255);
    for wrong in ["", " ", "a b", "a\tb", "ключ", "é", &format!("{longest}k")] {
        // The header in a question of a proxy is its caller's.
        for route in every_key_route(&scene.targets).iter().filter(|route| route.method != ANY) {
            let request = with_key(request(route.method, &route.path, &scene.owner, &route.known.body), wrong);
            let answer = scene.world.send(&request);
            assert_problem(&answer, 400, "validation_failed");
            assert_eq!(answer.field(), "Idempotency-Key", "{route}");
        }
    }
    assert_eq!(scene.rows(), rows);
    for good in [longest.as_str(), "!", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""] {
        let request = with_key(request("POST", "/v1/keys", &scene.owner, &fields()), good);
        assert_eq!(scene.world.send(&request).status, 201);
    }
}

#[test]
fn key_cannot_be_printed() {
    let request = Repeatable::new(caller(&[1; 64]), "order-4711", &[]).unwrap();
    assert_eq!(format!("{request:?}"), "Repeatable(hidden)");
}

/// A key's text made of these bytes, with the longest stem that there is.
fn caller(random: &[u8]) -> KeyText {
    let stem = "abcdefghijklmnop_abcdefghijklmnop_proj_".to_owned();
    let fill = |bytes: &mut [u8]| {
        bytes.iter_mut().zip(random.iter().cycle()).for_each(|(byte, random)| *byte = random % 248);
        Ok::<(), ()>(())
    };
    KeyText::renew(stem, bitting_keys::domain::key_text::KeyKind::Proj, fill).unwrap()
}

fn derived(caller: &KeyText, key: &str, nonce: [u8; 32]) -> Vec<u8> {
    let mut bytes = vec![0; 100];
    Repeatable::new(caller.clone(), key, &[]).unwrap().secret_bytes(&Nonce::new(nonce)).unwrap()(&mut bytes).unwrap();
    bytes
}

/// Computed by other means. The caller's text is longer than HMAC's block, so it must be no HMAC key.
#[test]
fn derivation_is_the_one_that_is_described() {
    let bytes = derived(&caller(&[7; 64]), "order-4711", [9; 32]);
    assert_eq!(hex::encode(bytes), VECTOR);
}

const VECTOR: &str = "ce9e8a12edae5f62d770a86dea34abee8f1e3066f506e47a9c717e076c19664c36da8db3fba8b125e4c53a00152ebac98ac6\
                      f3ea60e5007f57fa8b841070cefe0d81c18b3b059f7d06ffd3bcb04786ba060849b9e1b5aa1257a1ec7a026c79024f077561";

proptest! {
    /// Whatever of the three is another, nothing of the first secret is in the second.
    #[test]
    fn derivation_needs_the_caller_the_key_and_the_nonce(
        text: [u8; 32], other_text: [u8; 32], key in "[!-~]{1,40}", other_key in "[!-~]{1,40}", nonce: [u8; 32], other_nonce: [u8; 32],
    ) {
        let first = derived(&caller(&text), &key, nonce);
        prop_assert_eq!(&first, &derived(&caller(&text), &key, nonce));
        for (other, same) in [
            (derived(&caller(&other_text), &key, nonce), caller(&other_text) == caller(&text)),
            (derived(&caller(&text), &other_key, nonce), other_key == key),
            (derived(&caller(&text), &key, other_nonce), other_nonce == nonce),
        ] {
            if !same {
                for (one, two) in first.chunks(16).zip(other.chunks(16)).take(6) { prop_assert_ne!(one, two); }
            }
        }
    }

    /// What is another request is told apart, however its parts are cut.
    #[test]
    fn fingerprint_tells_requests_apart(text in "[ab]{2,9}", cut in 1_usize..8) {
        let fingerprint = |parts: &[&[u8]]| Repeatable::new(caller(&[1]), "k", parts).unwrap().fingerprint();
        let (one, two) = text.as_bytes().split_at(cut.min(text.len() - 1));
        prop_assert_ne!(fingerprint(&[one, two]), fingerprint(&[text.as_bytes(), b""]));
        prop_assert_ne!(fingerprint(&[one, two]), fingerprint(&[text.as_bytes()]));
        prop_assert_eq!(fingerprint(&[one, two]), fingerprint(&[one, two]));
    }
}
