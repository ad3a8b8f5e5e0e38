//! Shares: what the resources that people share have in common, below the path of each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::Principal,
    domain::access::{Access, GranteeKind, Resource, Share},
    http::{
        message::Rfc3339,
        problem::Problem,
        routes::Call,
        typed::{InBody, InPath, Json, NoContent},
    },
};

/// With whom something is shared, as a path names him.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct GranteePath {
    /// The id of a member or a team.
    grantee: String,
}

/// That something is shared with somebody.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Share")]
pub(crate) struct ShareBody {
    /// The id of the member or the team.
    grantee_id: String,
    /// Which of both.
    grantee_kind: GranteeKind,
    /// What it allows.
    access: Access,
    /// Since when.
    created_at: Rfc3339,
}

impl ShareBody {
    fn new(share: Share) -> Self {
        let Share { grantee_id, grantee_kind, access, created_at } = share;
        Self { grantee_id, grantee_kind, access, created_at: Rfc3339(created_at) }
    }
}

/// With whom something is shared.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Shares")]
pub(crate) struct SharesBody {
    /// All shares.
    shares: Vec<ShareBody>,
}

pub(crate) async fn list(call: &Call<'_>, by: &Principal, resource: Resource) -> Result<Json<SharesBody>, Problem> {
    let shares = call.app.list_shares(by, resource).await?;
    Ok(Json(SharesBody { shares: shares.into_iter().map(ShareBody::new).collect() }))
}

/// What a share is to allow.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewShare")]
pub(crate) struct NewShareBody {
    /// To see it, or to change it, too.
    access: Access,
}

/// With whom to share, and what that is to allow.
pub(crate) type NewShare = (InPath<GranteePath>, InBody<NewShareBody>);

pub(crate) async fn share(
    call: &Call<'_>,
    by: &Principal,
    resource: Resource,
    (InPath(GranteePath { grantee }), InBody(body)): NewShare,
) -> Result<Json<ShareBody>, Problem> {
    Ok(Json(ShareBody::new(call.app.share(by, resource, &grantee, body.access).await?)))
}

pub(crate) async fn unshare(
    call: &Call<'_>,
    by: &Principal,
    resource: Resource,
    InPath(GranteePath { grantee }): InPath<GranteePath>,
) -> Result<NoContent, Problem> {
    call.app.unshare(by, resource, &grantee).await?;
    Ok(NoContent)
}
