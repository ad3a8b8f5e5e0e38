//! `POST /v1/keys/verify`: is this key good, and good for this?

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    app::{
        Principal,
        keys::check_scopes,
        verify::{Found, Freshness},
    },
    domain::{
        decision::{Refusal, decide},
        key_text::KeyText,
        scope::{Scope, Scopes},
        time::UnixMillis,
    },
    http::{input, message::Response, problem::Problem, routes::Call},
};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FreshnessName {
    Bounded,
    Strong,
}

/// Answers 200 to every well-formed question, whatever the key. A key of another organization does
/// not exist for the caller, unless the caller's organization is the operator's.
pub(crate) async fn verify(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        key: String,
        #[serde(default)]
        scopes: Vec<Scope>,
        freshness: Option<FreshnessName>,
    }
    let body: Body = input::body(call.request)?;
    check_scopes(&body.scopes)?;
    let freshness = match body.freshness {
        Some(FreshnessName::Strong) => Freshness::Strong,
        Some(FreshnessName::Bounded) | None => Freshness::Bounded,
    };
    let Ok(text) = KeyText::parse(&body.key) else {
        return Ok(refused(&Refusal::Malformed));
    };
    let caller = &by.snapshot;
    let found = call.app.find(&text, freshness).await?;
    call.app.still_good(by)?;
    let found = found.filter(|found| caller.operator || found.snapshot.organization_id == caller.organization_id);
    let Some(found) = found else {
        return Ok(refused(&Refusal::Unknown));
    };
    let decision = decide(&found.snapshot, &body.scopes, call.app.clock.now());
    Ok(Response::json(200, &found_json(&found, decision.as_ref().err())))
}

fn refused(refusal: &Refusal) -> Response {
    Response::json(200, &json!({ "valid": false, "code": refusal.code() }))
}

fn found_json(found: &Found, refusal: Option<&Refusal>) -> Value {
    let snapshot = &found.snapshot;
    let mut json = json!({
        "valid": refusal.is_none(),
        "code": refusal.map_or("valid", Refusal::code),
        "key_id": snapshot.key_id,
        "name": snapshot.name,
        "kind": snapshot.kind,
        "owner": { "organization_id": snapshot.organization_id, "user_id": snapshot.user_id },
        "scopes": snapshot.scopes,
        "full_access": snapshot.scopes == Scopes::Full,
        "metadata": snapshot.metadata,
        "expires_at": snapshot.life.expires_at.map(UnixMillis::to_rfc3339),
        "source": found.source.as_str(),
        "age_ms": found.age_ms,
    });
    if let Some(Refusal::MissingScopes(missing)) = refusal {
        json["missing_scopes"] = json!(missing);
    }
    json
}
