//! The verifier with a Bitting that is played.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::{Client, Options, Question, Response, Transport, Verdict, Verifier, bearer};
use serde_json::{Value, json};

const KEY: &str = "bit_pat_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1t0B34";

/// Bitting with one answer about every key. It knows no changes.
#[derive(Clone, Default)]
struct Scene {
    answer: Value,
    status: u16,
    asked: Arc<Mutex<Vec<String>>>,
    /// Holds the answers about keys back, until there is a word for each.
    held: Option<Arc<Mutex<Receiver<()>>>>,
    panics: bool,
}

impl Transport for Scene {
    fn ask(&self, question: Question) -> Result<Response, String> {
        assert_eq!(question.authorization, "Bearer own");
        let path = question.url.replace("https://bitting.example", "");
        self.asked.lock().unwrap().push(path.clone() + question.body.as_deref().unwrap_or_default());
        if path == "/v1/feed" {
            let news = json!({ "base": 7, "head": 7, "age_ms": 0, "max_staleness_ms": 5_000, "changes": [] });
            return Ok(Response { status: 200, text: news.to_string() });
        }
        if let Some(held) = &self.held {
            held.lock().unwrap().recv().unwrap();
        }
        assert!(!self.panics, "the transport panics");
        Ok(Response { status: self.status, text: self.answer.to_string() })
    }

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

fn scene(answer: Value) -> Scene {
    Scene { answer, status: 200, ..Scene::default() }
}

fn good() -> Value {
    json!({
        "valid": true, "code": "valid", "key_id": "k", "scopes": ["orders:read", "users:*"],
        "seq": 7, "subjects": ["a"], "fresh_for_ms": 5_000,
    })
}

fn verifier(scene: &Scene) -> Verifier {
    Verifier::new("https://bitting.example/", "own", scene.clone(), Options::default())
}

fn facts(verdict: &Verdict) -> (bool, &str, u16) {
    (verdict.valid, verdict.code.as_str(), verdict.status)
}

/// A scene whose answers are held back, with what lets them go.
fn held(scene: Scene) -> (Scene, Sender<()>) {
    let (go, held) = channel();
    (Scene { held: Some(Arc::new(Mutex::new(held))), ..scene }, go)
}

#[test]
fn verify_asks_nothing_for_a_warm_key() {
    let scene = scene(good());
    let verifier = verifier(&scene);
    for _ in 0..100 {
        let verdict = verifier.verify(KEY, &["orders:read", "users:write"]);
        assert_eq!(facts(&verdict), (true, "valid", 200));
        assert_eq!(verdict.key.unwrap().rest["key_id"], "k");
    }
    assert_eq!(*scene.asked.lock().unwrap(), [format!("/v1/keys/verify{{\"key\":\"{KEY}\"}}"), "/v1/feed".to_owned()]);
    assert_eq!(verifier.keys(), 1);
}

#[test]
fn verify_asks_once_for_callers_who_come_together() {
    let (scene, go) = held(scene(good()));
    let verifier = verifier(&scene);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..20).map(|_| scope.spawn(|| verifier.verify(KEY, &[]).valid)).collect();
        while verifier.waiting() < 19 {
            thread::yield_now();
        }
        go.send(()).unwrap();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    });
    assert_eq!(scene.asked.lock().unwrap().iter().filter(|asked| asked.contains("verify")).count(), 1);
}

#[test]
fn transport_that_panics_leaves_nobody_waiting() {
    let (scene, go) = held(scene(good()));
    let verifier = verifier(&Scene { panics: true, ..scene });
    thread::scope(|scope| {
        let callers: Vec<_> = (0..2).map(|_| scope.spawn(|| verifier.verify(KEY, &[]).code)).collect();
        while verifier.waiting() < 1 {
            thread::yield_now();
        }
        go.send(()).unwrap();
        let codes: Vec<_> = callers.into_iter().filter_map(|caller| caller.join().ok()).collect();
        assert_eq!(codes, ["unavailable"]);
    });
}

#[test]
fn verify_refuses_with_the_codes_of_the_other_libraries() {
    let full = json!({ "valid": true, "code": "valid", "scopes": null });
    let refused = |code: &str| json!({ "valid": false, "code": code });
    let checksum = KEY.replace("B34", "B35");
    for (case, key, status, answer, scopes, expected) in [
        ("no key", "", 200, json!({}), &[][..], (false, "missing_api_key", 401)),
        ("no checksum", checksum.as_str(), 200, json!({}), &[], (false, "malformed_api_key", 401)),
        ("no ASCII", "bit_pat_ä", 200, json!({}), &[], (false, "malformed_api_key", 401)),
        ("unknown key", KEY, 200, refused("invalid_api_key"), &[], (false, "invalid_api_key", 401)),
        ("suspended", KEY, 200, refused("organization_suspended"), &[], (false, "organization_suspended", 403)),
        ("server fails", KEY, 500, full.clone(), &[], (false, "unavailable", 503)),
        ("no valid", KEY, 200, json!({ "code": "valid", "scopes": null }), &[], (false, "unavailable", 503)),
        ("no scopes", KEY, 200, json!({ "valid": true, "code": "valid" }), &[], (false, "unavailable", 503)),
        ("no object", KEY, 200, json!("valid"), &[], (false, "unavailable", 503)),
        ("missing scope", KEY, 200, good(), &["orders:write"], (false, "insufficient_scope", 403)),
        ("full access", KEY, 200, full, &["orders:write"], (true, "valid", 200)),
    ] {
        let verdict = verifier(&Scene { status, ..scene(answer) }).verify(key, scopes);
        assert_eq!(facts(&verdict), expected, "{case}");
    }
}

#[test]
fn key_with_conditions_is_asked_about_for_each_client() {
    let mut answer = good();
    answer["conditional"] = json!(true);
    let scene = scene(answer);
    let verifier = verifier(&scene);
    for ip in ["192.0.2.7", "192.0.2.8"] {
        let client = Client { ip: Some(ip.to_owned()), country: None };
        assert!(verifier.verify_for(Some(&client), KEY, &[]).valid);
    }
    let asked = scene.asked.lock().unwrap();
    assert!(asked.len() == 2 && asked[0].contains("192.0.2.7") && asked[1].contains("192.0.2.8"), "{asked:?}");
    assert_eq!(verifier.keys(), 0);
}

#[test]
fn table_of_keys_has_a_bound() {
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/key_text.json")).unwrap();
    let texts: Vec<&str> =
        vectors["texts"].as_array().unwrap().iter().map(|text| text["text"].as_str().unwrap()).collect();
    let options = Options { max_keys: 2, ..Options::default() };
    let verifier = Verifier::new("https://bitting.example", "own", scene(good()), options);
    for text in texts.iter().take(3) {
        assert!(verifier.verify(text, &[]).valid, "{text}");
    }
    assert_eq!(verifier.keys(), 2);
}

#[test]
fn bearer_reads_the_header() {
    for (header, key) in [
        ("Bearer a", Some("a")),
        ("bearer   a ", Some("a")),
        ("Basic a", None),
        ("Bearer", None),
        ("Bearer a b", None),
        ("", None),
    ] {
        assert_eq!(bearer(header), key, "{header}");
    }
}
