//! `POST /v1/bootstrap`: the first organization, owner and key.

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

/// The owner's key, and how he gets to the settings pages.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Bootstrapped")]
pub(crate) struct BootstrappedBody {
    #[serde(flatten)]
    key: CreatedBody,
    /// Signs him in there once, within a day.
    sign_in_link: String,
}

pub(crate) async fn create(
    call: &Call<'_>,
    InBody(BootstrapBody { organization, email, key_name }): InBody<BootstrapBody>,
) -> Result<Json<BootstrappedBody, 201>, Problem> {
    let ip = call.request.header("cf-connecting-ip").map(str::to_owned);
    let first = NewOrganization { name: organization, email, key_name };
    let (created, token) = Organizations::new(call.app).bootstrap(first, call.request_id.to_owned(), ip).await?;
    Ok(Json(BootstrappedBody {
        key: CreatedBody::new(created, call.app.clock.now()),
        sign_in_link: format!("{}/sign-in/{}", call.request.origin, token.expose()),
    }))
}
