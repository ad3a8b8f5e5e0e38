//! `POST /v1/bootstrap`: the first organization, owner and key.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    app::bootstrap::NewOrganization,
    domain::{key::Name, person::Email},
    http::{
        keys::CreatedBody,
        problem::Problem,
        routes::Call,
        typed::{InBody, Json},
    },
};

/// What to make first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Bootstrap")]
pub(crate) struct BootstrapBody {
    /// The organization's name.
    organization: Name,
    /// The owner's address.
    email: Email,
    /// The name of the owner's key.
    key_name: Name,
}

pub(crate) async fn create(
    call: &Call<'_>,
    InBody(BootstrapBody { organization, email, key_name }): InBody<BootstrapBody>,
) -> Result<Json<CreatedBody, 201>, Problem> {
    let ip = call.request.header("cf-connecting-ip").map(str::to_owned);
    let first = NewOrganization { name: organization, email, key_name };
    let created = call.app.bootstrap(first, call.request_id.to_owned(), ip).await?;
    Ok(Json(CreatedBody::new(created, call.app.clock.now())))
}
