//! What every refusal must look like.

use super::{Answer, Envelope};

/// Checks that an answer is this refusal, in its surface's envelope, with every header that it owes.
#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, status: u16, code: &str) {
    // TruLayer's libraries know two codes by names of their own.
    let code = match (answer.envelope, code) {
        (Envelope::Trulayer, "malformed_api_key") => "invalid_api_key",
        (Envelope::Trulayer, "insufficient_scope") => "scope_forbidden",
        _ => code,
    };
    assert_eq!((answer.status, answer.code()), (status, code), "{}: {}", answer.request, answer.json);
    assert_envelope(answer);
}

/// Checks the envelope of any answer with a status of 400 or more.
#[track_caller]
pub(crate) fn assert_envelope(answer: &Answer) {
    let (status, json) = (answer.status, &answer.json);
    let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
    match answer.envelope {
        Envelope::Problem => {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{json}");
            assert_eq!(json["type"], format!("/errors#{}", answer.code()));
            assert_eq!(json["status"], status);
            assert!(!answer.text("title").is_empty());
            assert_eq!(json["error"]["message"], answer.detail());
        }
        Envelope::Confident => {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{json}");
            assert_eq!(json["success"], false);
            assert_eq!(fields, ["code", "error", "request_id", "success"]);
        }
        // Of a revoked key its clients read an object, of everything else a text.
        Envelope::Trulayer if answer.code() == "key_revoked" && status == 401 => {
            assert_eq!(fields, ["error", "request_id"]);
        }
        Envelope::Trulayer => assert_eq!(fields, ["error", "message", "request_id"]),
        Envelope::Mcp => {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{json}");
            assert_eq!(fields, ["error", "id", "jsonrpc"]);
            assert_eq!(json["jsonrpc"], "2.0");
            assert!(json["id"].is_null());
            assert!(json["error"]["code"].is_i64());
        }
    }
    let detail = answer.detail();
    assert!(detail.ends_with(['.', '?', ']']), "no sentence: {detail}");
    for words in
        ["invalid type", "invalid value", "missing field", "duplicate field", "unknown variant", "unknown field"]
    {
        assert!(!detail.contains(words), "serde's words: {detail}");
    }
    let told = if answer.envelope == Envelope::Mcp { &json["error"]["data"] } else { json };
    assert_eq!(answer.header("x-request-id"), told["request_id"].as_str());
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    for (header, owed) in [
        ("www-authenticate", status == 401 || ["insufficient_scope", "scope_forbidden"].contains(&answer.code())),
        ("allow", status == 405),
        ("retry-after", [429, 503].contains(&status) || answer.code() == "run_in_progress"),
        ("x-should-retry", [409, 507].contains(&status) && answer.code() != "run_in_progress"),
    ] {
        assert_eq!(answer.header(header).is_some(), owed, "{status} and {header}");
    }
    assert_not_stored(answer);
}

/// Checks that no cache may keep the answer.
#[track_caller]
pub(crate) fn assert_not_stored(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", answer.json);
}
