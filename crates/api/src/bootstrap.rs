//! The routes of the operator's secret: `POST /v1/bootstrap` creates the first organization, its owner and their key, and
//! `POST /v1/operator/sign-in-links` lets an owner of that organization in who has lost every key.

use bitting_http::{
    call::Call,
    message::Rfc3339,
    problem::Problem,
    typed::{InBody, Json, NamesInBody},
};
use bitting_keys::{
    app::{
        organizations::{NewOrganization, Organizations},
        sessions::Sessions,
    },
    domain::{id::UserId, key::Name, person::Email},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::key_body::CreatedBody;

/// The first organization and its owner.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BootstrapRequest")]
pub(crate) struct BootstrapRequestBody {
    /// The name of the organization.
    organization: Name,
    /// The owner's email address.
    email: Email,
    /// The name of the owner's key.
    key_name: Name,
}

/// The owner's key, and their link to the settings pages.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BootstrapResult")]
pub(crate) struct BootstrapResultBody {
    #[serde(flatten)]
    key: CreatedBody,
    /// A link that signs the owner in on the settings pages. It works once, within a day.
    sign_in_link: String,
}

/// Creates the first organization, its owner and their key, and returns the key's secret.
pub(crate) async fn create(
    call: &Call<'_>,
    InBody(BootstrapRequestBody { organization, email, key_name }): InBody<BootstrapRequestBody>,
) -> Result<Json<BootstrapResultBody, 201>, Problem> {
    let ip = call.request.header("cf-connecting-ip").map(str::to_owned);
    let first = NewOrganization { name: organization, email, key_name };
    let (created, token) = Organizations::new(call.app).bootstrap(first, call.request_id.to_owned(), ip).await?;
    Ok(Json(BootstrapResultBody {
        key: CreatedBody::new(created, call.app.clock.now()),
        sign_in_link: format!("{}/sign-in/{}", call.request.origin, token.expose()),
    }))
}

/// The owner who is to be signed in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OwnerLinkRequest")]
pub(crate) struct OwnerLinkRequestBody {
    /// The owner's address; without it, the owner who has been there longest.
    email: Option<Email>,
}

/// A link that signs an owner of the operator's organization in on the settings pages, once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnerLink")]
pub(crate) struct OwnerLinkBody {
    /// The owner.
    user_id: UserId,
    /// The owner's address.
    email: String,
    /// The page on which they sign in. The secret in it is shown this once.
    link: String,
    /// The instant from which on the link opens nothing.
    expires_at: Rfc3339,
}

/// Creates a link that signs in an owner of the operator's organization on the settings pages, at any time.
pub(crate) async fn create_sign_in_link(
    call: &Call<'_>,
    (InBody(OwnerLinkRequestBody { email }), NamesInBody): (InBody<OwnerLinkRequestBody>, NamesInBody),
) -> Result<Json<OwnerLinkBody, 201>, Problem> {
    let ip = call.request.header("cf-connecting-ip").map(str::to_owned);
    let (owner, token, expires_at) =
        Sessions::new(call.app).create_owner_link(email.as_ref(), call.request_id.to_owned(), ip).await?;
    Ok(Json(OwnerLinkBody {
        user_id: owner.user_id,
        email: owner.email,
        link: format!("{}/sign-in/{}", call.request.origin, token.expose()),
        expires_at: Rfc3339(expires_at),
    }))
}
