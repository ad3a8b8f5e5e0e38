//! The least that a Worker in Rust can do, as the measure of Bitting: a constant answer, and the work of a
//! verification (two checksums, two digests, two look-ups, an answer in JSON) without what makes it one.
#![cfg(target_arch = "wasm32")]

use std::{cell::RefCell, collections::HashMap};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Context, Env, Request, Response, Result, event};

thread_local! {
    /// The times at which keys were first seen, by their digests.
    static KNOWN: RefCell<HashMap<[u8; 32], u64>> = RefCell::default();
}

/// Answers with a constant at `/constant`, and with the least work of a verification anywhere else.
#[event(fetch)]
async fn fetch(mut request: Request, _env: Env, _context: Context) -> Result<Response> {
    if request.path() == "/constant" {
        return Response::ok("ok");
    }
    let authorization = request.headers().get("authorization")?.unwrap_or_default();
    let body = request.bytes().await?;
    let mut response = Response::ok(answer(&authorization, &body))?;
    response.headers_mut().set("content-type", "application/json")?;
    Ok(response)
}

/// The same work, as one synchronous call from JavaScript.
#[wasm_bindgen]
pub fn verify(authorization: &str, body: &str) -> String {
    answer(authorization, body.as_bytes())
}

fn answer(authorization: &str, body: &[u8]) -> String {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let caller = seen(authorization.trim_start_matches("Bearer "));
    let subject = seen(asked.get("key").and_then(Value::as_str).unwrap_or_default());
    json!({
        "valid": caller.is_some() && subject.is_some(),
        "code": "valid",
        "key_id": "019ac8a2-7f4e-7c3b-9d52-3a5b8e6f1c20",
        "name": "warm",
        "kind": "pat",
        "owner": {
            "organization_id": "019ac8a2-7f4d-7a11-8c42-1f9b6e3d5a70",
            "user_id": "019ac8a2-7f4d-7e21-b652-2c8a9f4e6d10",
            "project_id": null
        },
        "scopes": asked.get("scopes"),
        "metadata": {},
        "expires_at": null,
        "since": subject,
        "source": "memory",
        "age_ms": 1234
    })
    .to_string()
}

/// Returns the time at which a key was first seen; `None` if its checksum, in hex at its end, is wrong.
fn seen(key: &str) -> Option<u64> {
    let (text, checksum) = key.rsplit_once('-')?;
    if format!("{:08x}", crc32fast::hash(text.as_bytes())) != checksum {
        return None;
    }
    let digest: [u8; 32] = Sha256::digest(key).into();
    Some(KNOWN.with_borrow_mut(|known| *known.entry(digest).or_insert_with(|| worker::Date::now().as_millis())))
}
