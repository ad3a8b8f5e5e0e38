//! `/v1/organizations/:organization_id/trusts`.

use bitting_http::{
    call::Call,
    deleted::DeletedBody,
    message::Rfc3339,
    paging::{Listed, PageBody, PageQuery},
    problem::Problem,
    typed::{InBody, InPath, InQuery, Json, MayRepeat, Whole},
};
use bitting_keys::{
    app::{
        Principal,
        error::Error,
        keys::Keys,
        trusts::{NewTrust, Trusts, unverified_claims},
    },
    domain::{
        id::{KeyId, ProjectId, TrustId, UserId},
        key::Name,
        scope::{Scope, Scopes},
        trust::{Audience, ClaimPatterns, Issuer, MAX_SECONDS, Mismatch, Trust},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    key_body::SCOPE_OR_BUNDLE,
    organization_path::{OrganizationPath, OrganizationRef},
};

/// The trust in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TrustPath {
    /// The id of the organization, or `self` for the organization of the key.
    organization_id: OrganizationRef,
    /// The id of the trust.
    trust_id: TrustId,
}

/// A trust in an issuer of tokens.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Trust")]
pub(crate) struct TrustBody {
    /// The id of the trust. An exchange names it as its `audience`.
    id: TrustId,
    /// The name of the trust.
    name: Name,
    /// The issuer of the tokens.
    issuer: Issuer,
    /// The audience that a token must be for.
    audience: Audience,
    /// The patterns of the claims, by their names.
    claims: ClaimPatterns,
    /// The project of the keys; null for keys of the organization.
    project_id: Option<ProjectId>,
    /// The scopes of the keys.
    scopes: Vec<Scope>,
    /// The life of each key in seconds.
    expires_in_seconds: i64,
    /// The time when the trust expires: with the key that created it. Null for never.
    expires_at: Option<Rfc3339>,
    /// The time when the trust was created.
    created_at: Rfc3339,
    /// The id of the key that created the trust, or of the session on the settings pages if it was signed in without a
    /// key.
    created_by: KeyId,
    /// The id of the user for whom the creator acted.
    created_by_user: Option<UserId>,
}

impl TrustBody {
    fn new(trust: Trust) -> Self {
        Self {
            id: trust.id,
            name: trust.name,
            issuer: trust.issuer,
            audience: trust.audience,
            claims: trust.claims,
            project_id: trust.project_id,
            scopes: trust.scopes,
            expires_in_seconds: trust.expires_in_seconds,
            expires_at: trust.expires_at.map(Rfc3339),
            created_at: Rfc3339(trust.created_at),
            created_by: trust.created_by,
            created_by_user: trust.created_by_user,
        }
    }
}

impl Listed for TrustBody {
    fn cursor(&self) -> String {
        self.id.to_string()
    }
}

/// A trust to create.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewTrust")]
pub(crate) struct NewTrustBody {
    /// The name of the trust.
    name: Name,
    /// The issuer of the tokens, exactly as in their claim `iss`: an https URL. The service finds its keys by
    /// discovery (`/.well-known/openid-configuration`).
    issuer: Issuer,
    /// The audience that a token must be for, as in its claim `aud`. Choose one that is used for nothing else.
    audience: Audience,
    /// The project that the keys see. Without it they are keys of the organization.
    project_id: Option<ProjectId>,
    /// The scopes of the keys: scopes, names of bundles, or both, but not full access.
    #[schemars(inner(regex(pattern = SCOPE_OR_BUNDLE)))]
    scopes: Vec<String>,
    /// The life of each key in seconds.
    #[serde(default)]
    expires_in_seconds: Whole<1, MAX_SECONDS, MAX_SECONDS>,
    /// A pattern for each claim that a token must have: the whole text, or its beginning and `*`. The one for `sub` is
    /// required, and its beginning must name an owner, such as `repo:acme/*`.
    claims: ClaimPatterns,
}

/// Creates a trust: workloads exchange tokens of its issuer for keys with its scopes, by `POST /v1/tokens/exchange`. The
/// key of the request must administer the organization and hold the scopes; the trust expires with that key.
pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(body), MayRepeat): (InPath<OrganizationPath>, InBody<NewTrustBody>, MayRepeat),
) -> Result<Json<TrustBody, 201>, Problem> {
    let Scopes::List(scopes) = Keys::new(call.app).expand_scopes(&body.scopes)? else {
        return Err(Error::invalid("scopes", "must be a list: the key of a workload never has full access").into());
    };
    let Whole(expires_in_seconds) = body.expires_in_seconds;
    let new = NewTrust {
        name: body.name,
        issuer: body.issuer,
        audience: body.audience,
        claims: body.claims,
        project_id: body.project_id,
        scopes,
        expires_in_seconds,
    };
    let id = path.organization_id.resolve(principal)?;
    Ok(Json(TrustBody::new(Trusts::new(call.app).create(principal, id, new).await?)))
}

/// Lists the trusts of an organization.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<PageQuery<TrustId>>),
) -> Result<Json<PageBody<TrustBody>>, Problem> {
    let Whole(limit) = query.limit;
    let id = path.organization_id.resolve(principal)?;
    let page = Trusts::new(call.app).list(principal, id, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(page, TrustBody::new)))
}

/// Returns a trust.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TrustPath>,
) -> Result<Json<TrustBody>, Problem> {
    let id = path.organization_id.resolve(principal)?;
    Ok(Json(TrustBody::new(Trusts::new(call.app).get(principal, id, path.trust_id).await?)))
}

/// Deletes a trust, and revokes the keys that it has given and all that descends from them.
pub(crate) async fn delete(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<TrustPath>,
) -> Result<Json<DeletedBody>, Problem> {
    let id = path.organization_id.resolve(principal)?;
    Trusts::new(call.app).delete(principal, id, path.trust_id).await?;
    Ok(Json(DeletedBody::with_keys(call, path.trust_id)))
}

/// Claims to compare with the trusts, in one of the two fields.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TrustMatchRequest")]
pub(crate) struct MatchRequestBody {
    /// The claims, by their names.
    claims: Option<Map<String, Value>>,
    /// A token. Its signature is not checked, and it is not used up.
    token: Option<String>,
}

/// A claim that is otherwise than a trust asks for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrustMismatch")]
pub(crate) struct MismatchBody {
    /// The name of the claim.
    claim: String,
    /// The text or the pattern of the trust.
    expected: String,
    /// The claim as a text; null if there is none, or none that is a text.
    found: Option<String>,
}

impl MismatchBody {
    fn new(mismatch: Mismatch<'_>) -> Self {
        Self { claim: mismatch.claim.to_owned(), expected: mismatch.expected.to_owned(), found: mismatch.found }
    }
}

/// A trust, compared with claims.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrustMatch")]
pub(crate) struct MatchBody {
    /// The id of the trust.
    id: TrustId,
    /// The name of the trust.
    name: Name,
    /// True if a token with these claims matches the trust.
    matches: bool,
    /// The claims that do not match.
    mismatches: Vec<MismatchBody>,
}

/// The trusts of an organization, compared with claims.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrustMatches")]
pub(crate) struct MatchesBody {
    /// The claims that were compared.
    claims: Map<String, Value>,
    /// All trusts, the newest first.
    trusts: Vec<MatchBody>,
}

/// Compares claims with all trusts of an organization, and tells of each which claims do not match. Nothing is exchanged
/// or used up. The lifetime and the signature of a token are not checked.
pub(crate) async fn compare(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(body)): (InPath<OrganizationPath>, InBody<MatchRequestBody>),
) -> Result<Json<MatchesBody>, Problem> {
    let claims = match (body.claims, body.token) {
        (claims, None) => claims.unwrap_or_default(),
        (None, Some(token)) => unverified_claims(&token)?,
        (Some(_), Some(_)) => return Err(Error::invalid("token", "cannot be combined with `claims`").into()),
    };
    let trusts = Trusts::new(call.app).all(principal, path.organization_id.resolve(principal)?).await?;
    let compared = trusts.into_iter().map(|trust| {
        let mismatches: Vec<MismatchBody> = trust.mismatches(&claims).into_iter().map(MismatchBody::new).collect();
        MatchBody { matches: mismatches.is_empty(), mismatches, id: trust.id, name: trust.name }
    });
    Ok(Json(MatchesBody { trusts: compared.collect(), claims }))
}
