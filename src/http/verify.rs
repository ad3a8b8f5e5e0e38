//! `POST /v1/keys/verify`: is this key good, and good for this?

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    app::{
        Principal,
        verify::{Found, Freshness},
    },
    domain::{
        decision::{Refusal, decide},
        id::{KeyId, OrganizationId, UserId},
        key::{KeyKind, Name},
        key_text::KeyText,
        scope::{Scope, Scopes},
        snapshot::Snapshot,
    },
    http::{
        input,
        message::{Response, Rfc3339},
        problem::Problem,
        routes::Call,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FreshnessName {
    Bounded,
    Strong,
}

/// Answers 200 to every well-formed question, whatever the key. A key of which the caller may not know
/// does not exist for it.
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
    call.app.check_scopes(&body.scopes)?;
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
    let found = found.filter(|found| may_know(caller, &found.snapshot));
    let Some(found) = found else {
        return Ok(refused(&Refusal::Unknown));
    };
    let decision = decide(&found.snapshot, &body.scopes, call.app.clock.now());
    if decision.is_ok() {
        call.app.note_use(&found.snapshot);
    }
    Ok(Response::json(200, &FoundBody::new(&found, decision.as_ref().err())))
}

/// Whether the caller may be told anything about this key: the operator of every key, everybody else
/// of his organization's, and a project's key of its project's.
fn may_know(caller: &Snapshot, key: &Snapshot) -> bool {
    let within = key.organization_id == caller.organization_id
        && caller.project_id.is_none_or(|project_id| key.project_id == Some(project_id));
    within || (caller.operator && caller.project_id.is_none())
}

/// The answer about a key of which nothing may be told.
fn refused(refusal: &Refusal) -> Response {
    Response::json(200, &json!({ "valid": false, "code": refusal.code() }))
}

#[derive(Serialize)]
struct FoundBody<'a> {
    valid: bool,
    code: &'static str,
    key_id: KeyId,
    name: &'a Name,
    kind: KeyKind,
    owner: Owner,
    scopes: &'a Scopes,
    full_access: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_scopes: Option<&'a [Scope]>,
    metadata: &'a Map<String, Value>,
    expires_at: Option<Rfc3339>,
    /// Set when the key was shown by the secret that a rotation is replacing: until when that works.
    #[serde(skip_serializing_if = "Option::is_none")]
    outgoing_until: Option<Rfc3339>,
    source: &'static str,
    age_ms: i64,
}

#[derive(Serialize)]
struct Owner {
    organization_id: OrganizationId,
    user_id: Option<UserId>,
}

impl<'a> FoundBody<'a> {
    fn new(found: &'a Found, refusal: Option<&'a Refusal>) -> Self {
        let snapshot = &found.snapshot;
        Self {
            valid: refusal.is_none(),
            code: refusal.map_or("valid", Refusal::code),
            key_id: snapshot.key_id,
            name: &snapshot.name,
            kind: snapshot.kind,
            owner: Owner { organization_id: snapshot.organization_id, user_id: snapshot.user_id },
            scopes: &snapshot.scopes,
            full_access: snapshot.scopes == Scopes::Full,
            missing_scopes: match refusal {
                Some(Refusal::MissingScopes(missing)) => Some(missing),
                _ => None,
            },
            metadata: &snapshot.metadata,
            expires_at: snapshot.life.expires_at.map(Rfc3339),
            outgoing_until: snapshot.outgoing_until.map(Rfc3339),
            source: found.source.as_str(),
            age_ms: found.age_ms,
        }
    }
}
