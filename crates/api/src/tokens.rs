//! `/v1/tokens`: short-lived tokens that a key derives, and the public keys that verify them.

use bitting_http::{
    call::Call,
    message::{Response, Rfc3339},
    operation::Operation,
    problem::Problem,
    typed::{Confidential, InBody, Output, Whole},
};
use bitting_keys::{
    app::{
        Principal,
        derived_tokens::{DerivedToken, NewDerivedToken},
        error::Error,
        keys::Keys,
    },
    domain::{
        derived_token::{MAX_SECONDS, PublishedKey},
        scope::{Scope, Scopes},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::key_body::SCOPE_OR_BUNDLE;

/// The maximum length of an audience, in characters.
const MAX_AUDIENCE_CHARS: usize = 255;
/// The time for which the public keys may be kept, in seconds: the longest life of a token.
const KEYS_SECONDS: i64 = MAX_SECONDS;

/// A token to derive from the key of the request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewToken")]
pub(crate) struct NewTokenBody {
    /// The service that the token is for, such as its origin. The service must refuse a token for another.
    #[schemars(length(min = 1, max = 255))]
    audience: String,
    /// The scopes of the token: scopes, names of bundles, or both. The default is the scopes of the key; a key with full
    /// access must name them.
    #[schemars(inner(regex(pattern = SCOPE_OR_BUNDLE)))]
    scopes: Option<Vec<String>>,
    /// The life of the token, in seconds. It ends with the key at the latest.
    #[serde(default)]
    expires_in_seconds: Whole<1, MAX_SECONDS, MAX_SECONDS>,
}

/// A derived token.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Token")]
pub(crate) struct TokenBody {
    /// The token: a JSON Web Token that is signed with Ed25519.
    token: String,
    /// The scopes of the token.
    scopes: Vec<Scope>,
    /// The time when the token expires.
    expires_at: Rfc3339,
}

/// Derives a short-lived token from the key of the request. Services verify it by the public keys of
/// `/.well-known/jwks.json`, and those that follow the feed refuse it as soon as they refuse the key.
pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    InBody(body): InBody<NewTokenBody>,
) -> Result<Confidential<TokenBody>, Problem> {
    let is_visible = |character: char| character.is_ascii_graphic();
    if body.audience.is_empty() || body.audience.len() > MAX_AUDIENCE_CHARS || !body.audience.chars().all(is_visible) {
        let message = format!("must have 1 to {MAX_AUDIENCE_CHARS} visible ASCII characters");
        return Err(Error::invalid("audience", message).into());
    }
    let scopes = body.scopes.map(|scopes| Keys::new(call.app).expand_scopes(&scopes)).transpose()?;
    let scopes = match scopes {
        None => None,
        Some(Scopes::List(scopes)) => Some(scopes),
        Some(Scopes::Full) => return Err(Error::invalid("scopes", "must not be full access; name the scopes").into()),
    };
    let Whole(seconds) = body.expires_in_seconds;
    let new = NewDerivedToken { issuer: &call.request.origin, audience: &body.audience, scopes, seconds };
    let DerivedToken { text, scopes, expires_at } = call.app.derive_token(principal, new).await?;
    Ok(Confidential(TokenBody { token: text, scopes, expires_at: Rfc3339(expires_at) }))
}

/// The public keys of this deployment (RFC 7517).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeySet")]
struct KeySetBody {
    /// The keys, the one that signs first.
    keys: Vec<PublicKeyBody>,
}

/// A public key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PublicKey")]
struct PublicKeyBody {
    /// The type of the key.
    #[schemars(extend("enum" = ["OKP"]))]
    kty: &'static str,
    /// The curve.
    #[schemars(extend("enum" = ["Ed25519"]))]
    crv: &'static str,
    /// The algorithm.
    #[schemars(extend("enum" = ["EdDSA"]))]
    alg: &'static str,
    /// The use of the key.
    #[serde(rename = "use")]
    #[schemars(extend("enum" = ["sig"]))]
    usage: &'static str,
    /// The id of the key, as in the header of a token.
    kid: String,
    /// The key, in base64url.
    x: String,
}

/// The public keys as a response that may be kept.
pub(crate) struct KeySet(KeySetBody);

impl Output for KeySet {
    fn response(self) -> Response {
        let mut response = Response::json(200, &self.0);
        response.headers.retain(|(name, _)| name != "Cache-Control");
        response.headers.push(("Cache-Control".into(), format!("public, max-age={KEYS_SECONDS}")));
        response
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<KeySetBody>(200, "application/json");
    }
}

/// Returns the public keys that verify derived tokens.
pub(crate) async fn get_key_set(call: &Call<'_>, (): ()) -> Result<KeySet, Problem> {
    let keys = call.app.published_keys().await?;
    let body = |key: &PublishedKey| PublicKeyBody {
        kty: "OKP",
        crv: "Ed25519",
        alg: "EdDSA",
        usage: "sig",
        kid: key.id.clone(),
        x: key.x.clone(),
    };
    Ok(KeySet(KeySetBody { keys: keys.iter().map(body).collect() }))
}
