//! Shares: what the resources that people share have in common, below the path of each.

use bitting_http::{
    call::Call,
    deleted::DeletedBody,
    message::Rfc3339,
    paging::{Listed, PageBody},
    problem::Problem,
    typed::{InBody, InPath, Json},
};
use bitting_keys::app::Principal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::shares::Shares,
    domain::access::{GranteeKind, Resource, Share, ShareAccess},
};

/// The grantee that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct GranteePath {
    /// The id of a member or a team.
    grantee_id: String,
}

/// A share of a resource with a member or a team.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Share")]
pub(crate) struct ShareBody {
    /// The id of the member or the team.
    grantee_id: String,
    /// The kind of the grantee.
    grantee_kind: GranteeKind,
    /// The access that it gives.
    access: ShareAccess,
    /// The time of creation.
    created_at: Rfc3339,
}

impl ShareBody {
    fn new(share: Share) -> Self {
        let Share { grantee_id, grantee_kind, access, created_at } = share;
        Self { grantee_id, grantee_kind, access, created_at: Rfc3339(created_at) }
    }
}

impl Listed for ShareBody {
    fn cursor(&self) -> String {
        self.grantee_id.clone()
    }
}

/// The path of something that people share.
pub(crate) trait ResourcePath {
    /// The resource that it names.
    fn resource(&self) -> Resource;
}

/// Lists the shares of the resource.
pub(crate) async fn list_shares<P: ResourcePath>(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<P>,
) -> Result<Json<PageBody<ShareBody>>, Problem> {
    let shares = Shares::new(call.app).list(principal, path.resource()).await?;
    Ok(Json(PageBody::whole(shares.into_iter().map(ShareBody::new).collect())))
}

/// The access to give.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewShare")]
pub(crate) struct NewShareBody {
    /// The access to give.
    access: ShareAccess,
}

/// Shares the resource with a member or a team, or changes the access of a share.
pub(crate) async fn share<P: ResourcePath>(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), (InPath(grantee), InBody(body))): (InPath<P>, (InPath<GranteePath>, InBody<NewShareBody>)),
) -> Result<Json<ShareBody>, Problem> {
    let share = Shares::new(call.app).create(principal, path.resource(), &grantee.grantee_id, body.access).await?;
    Ok(Json(ShareBody::new(share)))
}

/// Ends a share.
pub(crate) async fn unshare<P: ResourcePath>(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InPath(grantee)): (InPath<P>, InPath<GranteePath>),
) -> Result<Json<DeletedBody>, Problem> {
    Shares::new(call.app).end(principal, path.resource(), &grantee.grantee_id).await?;
    Ok(Json(DeletedBody::new(call, grantee.grantee_id)))
}
