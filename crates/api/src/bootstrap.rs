//! `POST /v1/bootstrap`: the first organization, its owner and their key.

use bitting_http::{
    call::Call,
    problem::Problem,
    typed::{InBody, Json},
};
use bitting_keys::{
    app::organizations::{NewOrganization, Organizations},
    domain::{key::Name, person::Email},
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
