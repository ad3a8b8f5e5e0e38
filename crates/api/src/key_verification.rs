//! The verification of a key, for `POST /v1/keys/verify`.

use std::{borrow::Cow, net::IpAddr, rc::Rc};

use bitting_http::{
    body,
    call::{Call, RowName},
    check_body::{CheckBody, checks},
    message::{Request, Rfc3339},
    problem::Problem,
    typed::Whole,
};
use bitting_keys::{
    app::{App, Principal, keys::Keys},
    domain::{
        client::{Client, Country},
        decision::{Refusal, Use, decide},
        id::{BoundTo, KeyId, OrganizationId, Seq, Subject, UserId},
        key::Name,
        key_text::{KeyKind, KeyText},
        lookup::{Found, Freshness, Lookup, Source},
        scope::{Scope, Scopes},
        snapshot::Snapshot,
        time::UnixMillis,
    },
    json_schema as reader_schema,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The greatest whole number that every client reads exactly.
pub(crate) const MAX_SEQ: i64 = (1 << 53) - 1;

/// The freshness of a verification.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Freshness")]
enum FreshnessName {
    /// The result can be a few seconds old, so a key that was just revoked may still be valid.
    Bounded,
    /// The result is read from the database.
    Strong,
}

/// A key to verify.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VerificationRequest")]
pub(crate) struct VerificationRequestBody {
    /// The text of the key.
    key: String,
    /// The scopes that the key must hold.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// The freshness of the result. The default is `bounded`.
    freshness: Option<FreshnessName>,
    /// The number of a change that the result must know of: the `seq` or the `head` of an earlier answer.
    at_least: Option<Whole<0, MAX_SEQ>>,
    /// The client that has presented the key to you. A condition of the key about what is not told here is not met.
    #[serde(default)]
    client: ClientBody,
    /// True to be told each check, and why it passes or does not.
    #[serde(default)]
    explain: bool,
}

/// The client that presents a key.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RequestClient")]
pub(crate) struct ClientBody {
    /// The address of the client, of IPv4 or IPv6.
    ip: Option<Address>,
    /// The country of the client: a code of ISO 3166-1 in capitals, `T1` for Tor, or `XX` if it is not known.
    country: Option<ClientCountry>,
}

impl From<ClientBody> for Client {
    fn from(body: ClientBody) -> Self {
        let ip = body.ip.map(|Address(ip)| ip);
        Self { ip, country: body.country.and_then(|ClientCountry(country)| country) }.canonical()
    }
}

/// An address.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Address(IpAddr);

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let must = "must be an address of IPv4 or IPv6, without a port";
        text.parse().map(Self).map_err(|_| must)
    }
}

reader_schema!(Address, "Address", { "type": "string", "pattern": "^[0-9a-fA-F.:]{2,45}$", "examples": ["192.0.2.7"] });

/// The country of a client, if it is known.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct ClientCountry(Option<Country>);

impl TryFrom<String> for ClientCountry {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        if code == "XX" { Ok(Self(None)) } else { Country::try_from(code).map(|country| Self(Some(country))) }
    }
}

reader_schema!(ClientCountry, "ClientCountry", { "type": "string", "pattern": "^([A-Z]{2}|T1)$", "examples": ["DE"] });

/// The result of a verification.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum VerificationResultBody {
    /// The result for a key that the caller can see.
    Found(Box<VerifiedKeyBody>),
    /// The result for any other text.
    Refused {
        /// False.
        valid: bool,
        /// The error code.
        code: &'static str,
    },
}

/// The codes of keys that are not valid and that the caller can see.
const REFUSED: [&str; 9] = [
    "api_key_expired",
    "conditions_not_met",
    "insufficient_scope",
    "key_disabled",
    "key_revoked",
    "key_rotated",
    "organization_suspended",
    "project_deleted",
    "user_removed",
];

/// The codes of all other texts.
const UNKNOWN: [&str; 2] = ["invalid_api_key", "malformed_api_key"];

// `valid` and `code` tell the three shapes apart, so that a typed client knows from `valid` whether there is a key.
impl JsonSchema for VerificationResultBody {
    fn schema_name() -> Cow<'static, str> {
        "VerificationResult".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let shapes = [
            generator.subschema_for::<ValidKey>(),
            generator.subschema_for::<InvalidKey>(),
            generator.subschema_for::<UnknownKey>(),
        ];
        json_schema!({ "description": "The result of a verification.", "oneOf": shapes })
    }
}

/// The schema of a valid key.
struct ValidKey;

/// The schema of a key that is not valid and that the caller can see.
struct InvalidKey;

/// The schema of any other text.
struct UnknownKey;

impl JsonSchema for ValidKey {
    fn schema_name() -> Cow<'static, str> {
        "ValidKey".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        verified(generator, "A valid key that holds all required scopes.", true, &["valid"])
    }
}

impl JsonSchema for InvalidKey {
    fn schema_name() -> Cow<'static, str> {
        "InvalidKey".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        verified(generator, "A key that is not valid, or that lacks a required scope.", false, &REFUSED)
    }
}

impl JsonSchema for UnknownKey {
    fn schema_name() -> Cow<'static, str> {
        "UnknownKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text that is no key, or a key that the caller cannot see.",
            "type": "object",
            "required": ["valid", "code"],
            "properties": outcome(false, &UNKNOWN),
        })
    }
}

/// Returns the schema of a key with its result.
fn verified(generator: &mut SchemaGenerator, description: &str, valid: bool, codes: &[&str]) -> Schema {
    let mut schema = VerifiedKeyBody::json_schema(generator);
    schema.insert("description".to_owned(), description.into());
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.extend(outcome(valid, codes));
    }
    schema
}

/// Returns the schemas of the members that tell the outcome.
fn outcome(valid: bool, codes: &[&str]) -> Map<String, Value> {
    let valid = json!({ "description": "True if the key is valid.", "type": "boolean", "const": valid });
    let code = json!({ "description": "`valid`, or the reason why the key is not.", "type": "string", "enum": codes });
    Map::from_iter([("valid".to_owned(), valid), ("code".to_owned(), code)])
}

fn freshness(name: Option<&FreshnessName>, at_least: Option<Whole<0, MAX_SEQ>>) -> Freshness {
    match (name, at_least) {
        (Some(FreshnessName::Strong), _) => Freshness::Strong,
        (_, Some(Whole(seq))) => Freshness::AtLeast(Seq(seq)),
        (_, None) => Freshness::Bounded,
    }
}

/// Reads the key to verify from a request whose body was read. A mistake in it is told later, to a caller that is known.
pub(crate) fn subject(request: &Request) -> Option<(KeyText, Freshness)> {
    /// The parts of the body that the lookup needs.
    #[derive(Deserialize)]
    struct SubjectBody<'a> {
        #[serde(borrow)]
        key: Cow<'a, str>,
        freshness: Option<FreshnessName>,
        at_least: Option<Whole<0, MAX_SEQ>>,
    }
    let body: SubjectBody<'_> = serde_json::from_slice(body::bytes(request).ok()?).ok()?;
    Some((KeyText::parse(&body.key).ok()?, freshness(body.freshness.as_ref(), body.at_least)))
}

/// Verifies a key for a caller.
pub(crate) async fn verify(
    call: &Call<'_>,
    principal: &Principal,
    body: VerificationRequestBody,
) -> Result<VerificationResultBody, Problem> {
    Keys::new(call.app).check_scopes(&body.scopes)?;
    let freshness = freshness(body.freshness.as_ref(), body.at_least);
    let Ok(text) = KeyText::parse(&body.key) else {
        return Ok(refused(&Refusal::Malformed));
    };
    let caller = &principal.snapshot;
    let lookup = Lookup { key: &text, freshness, ip: None };
    let found = match principal.subject.as_ref().and_then(|subject| subject.answer(lookup)) {
        Some(found) => found.clone(),
        None => call.app.find(lookup).await?,
    };
    call.app.still_good(principal)?;
    let found = found.filter(|found| can_see(caller, &found.snapshot));
    let Some(found) = found else {
        return Ok(refused(&Refusal::Unknown));
    };
    let asked = Use { scopes: &body.scopes, client: body.client.into(), at: call.app.clock.now() };
    let decision = decide(&found.snapshot, asked);
    match &decision {
        // The address is that of the service, and says nothing of the key's holder.
        Ok(()) => call.app.note_use(&found.snapshot, None),
        Err(refusal) if refusal.is_noted() => note_refused_use(call, principal, &found, (refusal, asked.client)),
        Err(_) => {}
    }
    let verified = VerifiedKeyBody::new(call.app, &found, principal, asked.at, decision.err());
    let checks = if body.explain { Some(checks(&found.snapshot, asked)) } else { None };
    Ok(VerificationResultBody::Found(Box::new(VerifiedKeyBody { checks, ..verified })))
}

/// Notes that a key which has ended, or which is not for this client, was presented to a service, in the log of the key's
/// organization.
fn note_refused_use(call: &Call<'_>, principal: &Principal, found: &Found, (refusal, client): (&Refusal, Client)) {
    let own = found.snapshot.organization_id == principal.snapshot.organization_id;
    let verified_by = if own { principal.snapshot.key_id.to_string() } else { "operator".to_owned() };
    let presented = Principal { snapshot: Rc::clone(&found.snapshot), client, repeatable: None, ..principal.clone() };
    let RowName { method, path: route } = call.row;
    let details = json!({ "method": method, "route": route, "verified_by": verified_by });
    call.app.note_refused_use(&presented, refusal, details);
}

/// True if the caller can see this key. The operator sees every key, a project's key those of its project, and all
/// other keys those of their organization.
pub(crate) fn can_see(caller: &Snapshot, key: &Snapshot) -> bool {
    let within = key.organization_id == caller.organization_id
        && caller.project_id.is_none_or(|project_id| key.project_id == Some(project_id));
    within || caller.sees_all_organizations()
}

/// Returns the result for a key that the caller cannot see, or that does not exist.
fn refused(refusal: &Refusal) -> VerificationResultBody {
    VerificationResultBody::Refused { valid: false, code: refusal.code() }
}

/// A use to try on a key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SimulationRequest")]
pub(crate) struct SimulationBody {
    /// The scopes that the key must hold.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// The time of the use: a date-time with its offset, or a date. The default is now.
    at: Option<Rfc3339>,
    /// The client of the use.
    #[serde(default)]
    client: ClientBody,
}

/// Judges a use of a key that nobody has made.
pub(crate) async fn simulate(
    call: &Call<'_>,
    principal: &Principal,
    key_id: KeyId,
    body: SimulationBody,
) -> Result<VerifiedKeyBody, Problem> {
    let keys = Keys::new(call.app);
    keys.check_scopes(&body.scopes)?;
    let at = body.at.map_or(call.app.clock.now(), |Rfc3339(at)| at);
    let asked = Use { scopes: &body.scopes, client: body.client.into(), at };
    let found = keys.find(principal, key_id).await?;
    let refusal = decide(&found.snapshot, asked).err();
    let checks = Some(checks(&found.snapshot, asked));
    Ok(VerifiedKeyBody { checks, ..VerifiedKeyBody::new(call.app, &found, principal, at, refusal) })
}

/// A key with the result of its verification.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VerifiedKey")]
#[expect(clippy::struct_excessive_bools, reason = "these are the members of an answer")]
pub(crate) struct VerifiedKeyBody {
    /// True if the key is valid and holds all required scopes.
    valid: bool,
    /// `valid`, or the code of the reason why it is not.
    code: &'static str,
    /// The id of the key.
    key_id: KeyId,
    /// The name of the key.
    name: Name,
    /// The kind of the key: what it acts as.
    kind: KeyKind,
    /// The owner of the key.
    owner: KeyOwner,
    /// The scopes of the key; null for full access within its owner's role.
    scopes: Scopes,
    /// True if `scopes` is null.
    full_access: bool,
    /// The required scopes that the key lacks, if it is otherwise valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_scopes: Option<Vec<Scope>>,
    /// True if the key has conditions, so that the result is for this client and this time alone: ask again each time.
    conditional: bool,
    /// The name of the first condition that is not met.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["not_before", "hours", "allowed_ips", "denied_ips", "allowed_countries", "denied_countries"]))]
    failed_condition: Option<&'static str>,
    /// The checks in their order, if `explain` was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<CheckBody>>,
    /// The metadata of the key, as written by those who manage it: its holder, if the key can change itself.
    metadata: Map<String, Value>,
    /// The operator's metadata of the key, which nobody else can change.
    operator_metadata: Map<String, Value>,
    /// The time when the key expires; null for never.
    expires_at: Option<Rfc3339>,
    /// The time when this secret stops working, if a rotation is replacing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    outgoing_until: Option<Rfc3339>,
    /// The source of the information about the key.
    #[schemars(extend("enum" = ["memory", "kv", "replica", "d1"]))]
    source: &'static str,
    /// The furthest source that this request has waited for, for its caller's key or for this one; null if the
    /// answer was ready.
    #[schemars(extend("enum" = ["kv", "holder", "replica", "d1", null]))]
    waited_for: Option<&'static str>,
    /// True if the database does not answer, and the information is older than it may be otherwise.
    degraded: bool,
    /// The maximum age of the information about the key, in milliseconds.
    age_ms: i64,
    /// The time for which the result may be used again without the feed, in milliseconds.
    fresh_for_ms: i64,
    /// The time after which this secret ends, in milliseconds, by its expiry or a rotation; null for never.
    ends_in_ms: Option<i64>,
    /// The number of the change up to which the result is known to be current.
    seq: Seq,
    /// The ids in the feed whose later change makes the result stale.
    subjects: Vec<Subject>,
}

/// The owner of a key.
#[derive(Serialize, JsonSchema)]
struct KeyOwner {
    /// The id of the organization.
    organization_id: OrganizationId,
    /// The id of the user, for a personal key.
    user_id: Option<UserId>,
    /// The id of the live evaluation, for the key of one.
    live_evaluation_id: Option<BoundTo>,
}

impl VerifiedKeyBody {
    fn new(app: &App, found: &Found, principal: &Principal, at: UnixMillis, refusal: Option<Refusal>) -> Self {
        let snapshot = &found.snapshot;
        let conditional = !snapshot.conditions.is_none();
        let waited_for = found.waited_for.max(principal.waited_for);
        Self {
            valid: refusal.is_none(),
            code: refusal.as_ref().map_or("valid", Refusal::code),
            key_id: snapshot.key_id,
            name: snapshot.name.clone(),
            kind: snapshot.kind,
            owner: KeyOwner {
                organization_id: snapshot.organization_id,
                user_id: snapshot.user_id,
                live_evaluation_id: snapshot.bound_to.clone(),
            },
            scopes: snapshot.scopes.clone(),
            full_access: snapshot.scopes == Scopes::Full,
            conditional,
            failed_condition: match &refusal {
                Some(Refusal::ConditionNotMet(condition)) => Some(condition.as_str()),
                _ => None,
            },
            missing_scopes: match refusal {
                Some(Refusal::MissingScopes(missing)) => Some(missing),
                _ => None,
            },
            checks: None,
            metadata: snapshot.metadata.clone(),
            operator_metadata: snapshot.operator_metadata.clone(),
            expires_at: snapshot.life.expires_at.map(Rfc3339),
            outgoing_until: snapshot.outgoing_until.filter(|until| until.0 > 0).map(Rfc3339),
            source: found.source.as_str(),
            waited_for: (waited_for > Source::Memory).then(|| waited_for.as_str()),
            degraded: found.degraded || principal.degraded,
            age_ms: found.age_ms,
            // No result about another client or another time may be used again.
            fresh_for_ms: if conditional { 0 } else { (app.config.max_staleness_ms - found.age_ms).max(0) },
            ends_in_ms: snapshot.ends_at().map(|end| end.ms_since(at).max(0)),
            seq: found.seq,
            subjects: snapshot.subjects().collect(),
        }
    }
}
