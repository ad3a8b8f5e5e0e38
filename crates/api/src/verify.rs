//! `POST /v1/keys/verify`: is this key good, and good for this?

use bitting_http::{
    call::Call,
    message::Rfc3339,
    problem::Problem,
    typed::{Confidential, InBody},
};
use bitting_keys::{
    app::{
        Principal,
        keys::Keys,
        verify::{Found, Freshness},
    },
    domain::{
        decision::{Refusal, decide},
        id::{BoundTo, KeyId, OrganizationId, UserId},
        key::Name,
        key_text::{KeyKind, KeyText},
        scope::{Scope, Scopes},
        snapshot::Snapshot,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How fresh an answer must be.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Freshness")]
enum FreshnessName {
    /// A revoked key may still pass for the few seconds of the staleness bound.
    Bounded,
    /// The database is asked.
    Strong,
}

/// A question about a key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Question")]
pub(crate) struct QuestionBody {
    /// The key's text.
    key: String,
    /// What it must be good for.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// How fresh the answer must be; `bounded` without it.
    freshness: Option<FreshnessName>,
}

/// The answer about a key.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Verdict")]
pub(crate) enum VerdictBody {
    /// About a key of which the caller may know.
    Found(Box<FoundBody>),
    /// About a key of which nothing may be told.
    Refused {
        /// Always false.
        valid: bool,
        /// Why.
        code: &'static str,
    },
}

/// Answers 200 to every well-formed question, whatever the key. A key of which the caller may not know
/// does not exist for it.
pub(crate) async fn verify(
    call: &Call<'_>,
    principal: &Principal,
    InBody(body): InBody<QuestionBody>,
) -> Result<Confidential<VerdictBody>, Problem> {
    Keys::new(call.app).check_scopes(&body.scopes)?;
    let freshness = match body.freshness {
        Some(FreshnessName::Strong) => Freshness::Strong,
        Some(FreshnessName::Bounded) | None => Freshness::Bounded,
    };
    let Ok(text) = KeyText::parse(&body.key) else {
        return Ok(refused(&Refusal::Malformed));
    };
    let caller = &principal.snapshot;
    let found = call.app.find(&text, freshness).await?;
    call.app.still_good(principal)?;
    let found = found.filter(|found| may_know(caller, &found.snapshot));
    let Some(found) = found else {
        return Ok(refused(&Refusal::Unknown));
    };
    let decision = decide(&found.snapshot, &body.scopes, call.app.clock.now());
    if decision.is_ok() {
        call.app.note_use(&found.snapshot);
    }
    Ok(Confidential(VerdictBody::Found(Box::new(FoundBody::new(&found, decision.err())))))
}

/// Whether the caller may be told anything about this key: the operator of every key, everybody else
/// of his organization's, and a project's key of its project's.
fn may_know(caller: &Snapshot, key: &Snapshot) -> bool {
    let within = key.organization_id == caller.organization_id
        && caller.project_id.is_none_or(|project_id| key.project_id == Some(project_id));
    within || (caller.operator && caller.project_id.is_none())
}

/// The answer about a key of which nothing may be told.
fn refused(refusal: &Refusal) -> Confidential<VerdictBody> {
    Confidential(VerdictBody::Refused { valid: false, code: refusal.code() })
}

/// A key of which the caller may know, and whether it is good.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Verification")]
pub(crate) struct FoundBody {
    /// Whether the key is good, and good for what was asked.
    valid: bool,
    /// `valid`, or why it is not.
    code: &'static str,
    /// The key's id.
    key_id: KeyId,
    /// What people call it.
    name: Name,
    /// What it acts as.
    kind: KeyKind,
    /// In whose name it acts.
    owner: Owner,
    /// What it may do; null: everything that its owner may.
    scopes: Scopes,
    /// Whether `scopes` is null.
    full_access: bool,
    /// Those of the scopes asked for that it lacks, if it is otherwise good.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_scopes: Option<Vec<Scope>>,
    /// Whatever its maker wants to know about it.
    metadata: Map<String, Value>,
    /// From when on it is expired; null: never.
    expires_at: Option<Rfc3339>,
    /// Set when the key was shown by the secret that a rotation is replacing: until when that works.
    #[serde(skip_serializing_if = "Option::is_none")]
    outgoing_until: Option<Rfc3339>,
    /// Where the answer came from: `memory`, `kv` or `d1`.
    source: &'static str,
    /// How old the news are that vouch for it.
    age_ms: i64,
}

/// In whose name a key acts.
#[derive(Serialize, JsonSchema)]
struct Owner {
    /// The organization.
    organization_id: OrganizationId,
    /// The user, for a personal key.
    user_id: Option<UserId>,
    /// The live evaluation, for the key of one.
    live_evaluation_id: Option<BoundTo>,
}

impl FoundBody {
    fn new(found: &Found, refusal: Option<Refusal>) -> Self {
        let snapshot = &found.snapshot;
        Self {
            valid: refusal.is_none(),
            code: refusal.as_ref().map_or("valid", Refusal::code),
            key_id: snapshot.key_id,
            name: snapshot.name.clone(),
            kind: snapshot.kind,
            owner: Owner {
                organization_id: snapshot.organization_id,
                user_id: snapshot.user_id,
                live_evaluation_id: snapshot.bound_to.clone(),
            },
            scopes: snapshot.scopes.clone(),
            full_access: snapshot.scopes == Scopes::Full,
            missing_scopes: match refusal {
                Some(Refusal::MissingScopes(missing)) => Some(missing),
                _ => None,
            },
            metadata: snapshot.metadata.clone(),
            expires_at: snapshot.life.expires_at.map(Rfc3339),
            outgoing_until: snapshot.outgoing_until.map(Rfc3339),
            source: found.source.as_str(),
            age_ms: found.age_ms,
        }
    }
}
