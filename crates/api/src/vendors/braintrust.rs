//! Braintrust's surface: `/v1/api_key`, in the form of its client libraries.
//!
//! The libraries have no scopes, kinds or expiry. A new key gets the scopes of the key that creates it.

use bitting_http::{
    call::Call,
    input::{self, Query},
    message::{Response, Rfc3339},
    paging::{DEFAULT_LIMIT, MAX_LIMIT, cursor},
    problem::{self, Problem},
    route,
    route::Table,
};
use bitting_keys::{
    app::{
        Principal,
        error::Error,
        keys::{Keys, NewKey},
        organizations::Organizations,
    },
    domain::{
        catalogue::Surface,
        id::{KeyId, OrganizationId, UserId},
        key::{Key, Name},
        key_list::{KeyFilter, KeyRef},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::permissions::{READ, WRITE};

/// Braintrust's surface.
pub static ROUTES: Table = Table {
    surface: Some(Surface::Braintrust),
    prefix: Some("/braintrust"),
    envelope: problem::envelope,
    rows: &[
        route!(GET "/v1/api_key" READ list),
        route!(POST "/v1/api_key" WRITE create),
        route!(GET "/v1/api_key/:id" READ get),
        route!(DELETE "/v1/api_key/:id" WRITE delete),
    ],
};

/// A key in the form of Braintrust's libraries.
#[derive(Serialize)]
struct ApiKey<'a> {
    id: KeyId,
    created: Rfc3339,
    name: &'a Name,
    preview_name: String,
    user_id: Option<UserId>,
    org_id: OrganizationId,
    /// The secret, only in the response to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> ApiKey<'a> {
    fn new(key: &'a Key) -> Self {
        Self {
            id: key.id,
            created: Rfc3339(key.created_at),
            name: &key.name,
            preview_name: format!("{}****{}", key.preview.stem, key.preview.last4),
            user_id: key.user_id,
            org_id: key.organization_id,
            key: None,
        }
    }
}

#[derive(Serialize)]
struct Objects<'a> {
    objects: Vec<ApiKey<'a>>,
}

/// Lists keys. The libraries use the last id of each page as the next cursor, and end at an empty page.
pub(crate) async fn list(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let query = Query::lenient(call.request);
    let filter = KeyFilter {
        name: query.get("api_key_name").map(str::to_owned),
        ids: query.list("ids", "a key id, or several", KeyId::parse)?,
        ..KeyFilter::default()
    };
    let cursor = cursor(&query)?;
    // Braintrust's document has no maximum. A shorter page does not end the iteration.
    let limit = query
        .read("limit", "a whole number, at least 0", |text| text.parse().ok())?
        .map_or(DEFAULT_LIMIT, |limit: u32| MAX_LIMIT.min(limit.into()));
    if let Some(organization) = query.get("org_name")
        && Organizations::new(call.app).get(principal, principal.snapshot.organization_id).await?.name.as_str()
            != organization
    {
        return Ok(Response::json(200, &Objects { objects: Vec::new() }));
    }
    let page = Keys::new(call.app).list(principal, &filter, cursor, limit).await?;
    let objects: Vec<ApiKey<'_>> = page.items.iter().map(ApiKey::new).collect();
    Ok(Response::json(200, &Objects { objects }))
}

/// Creates a key and returns its secret once.
pub(crate) async fn create(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NewKeyBody {
        name: Name,
        org_name: Option<String>,
    }
    let body: NewKeyBody = input::vendor_body(call.request)?;
    if let Some(organization) = body.org_name
        && Organizations::new(call.app).get(principal, principal.snapshot.organization_id).await?.name.as_str()
            != organization
    {
        return Err(Error::invalid("org_name", "must be the name of the key's own organization, or left out").into());
    }
    let new = NewKey {
        name: body.name,
        kind: None,
        project_id: None,
        label: None,
        scopes: None,
        conditions: None,
        expires_at: None,
        metadata: Map::new(),
        operator_metadata: Map::new(),
        device: None,
    };
    let created = Keys::new(call.app).create(principal, new).await?;
    let body = ApiKey { key: Some(created.text.expose()), ..ApiKey::new(&created.key) };
    Ok(Response::json(200, &body))
}

/// Returns a key.
pub(crate) async fn get(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let key = Keys::new(call.app).get(principal, KeyRef::Id(call.key_id()?)).await?;
    if key.life.revoked_at.is_some() {
        return Err(Error::NotFound.into());
    }
    Ok(Response::json(200, &ApiKey::new(&key)))
}

/// Revokes a key.
pub(crate) async fn delete(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let key = Keys::new(call.app).revoke(principal, call.key_id()?, false).await?;
    Ok(Response::json(200, &ApiKey::new(&key)))
}
