//! `/v1/device-links/claim`: a program gets the key that a person has approved for it on the settings pages.

use bitting_http::{
    call::Call,
    problem::Problem,
    typed::{Confidential, InBody},
};
use bitting_keys::{app::error::Error, domain::token::DeviceToken};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::key_body::CreatedBody;

/// The claim of a program.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeviceLinkClaim")]
pub(crate) struct ClaimBody {
    /// The token that the program has drawn: the brand, `_dev_`, and a secret with a checksum like that of a key. The link
    /// that a person approves contains its SHA-256.
    token: String,
}

/// Claims the key of an approved device link, once. Until a person approves it, the answer is 409 `link_not_approved`.
pub(crate) async fn claim(
    call: &Call<'_>,
    InBody(ClaimBody { token }): InBody<ClaimBody>,
) -> Result<Confidential<CreatedBody, 201>, Problem> {
    let must = "must be a device token with a valid checksum";
    let token = DeviceToken::parse(&token).ok_or_else(|| Error::invalid("token", must))?;
    let ip = call.request.header("cf-connecting-ip");
    let claimed = call.app.claim_key(&token, call.request_id.to_owned(), ip.map(str::to_owned));
    match call.app.for_stranger(ip, claimed).await {
        Ok(created) => Ok(Confidential(CreatedBody::new(created, call.app.clock.now()))),
        Err(Error::NotFound) => Err(NOT_APPROVED.into()),
        Err(error) => Err(error.into()),
    }
}

const NOT_APPROVED: Error = Error::Conflict {
    code: "link_not_approved",
    message: "Nobody has approved this device link, or it has expired or was used. Approve it on the settings pages, or \
              sign in again.",
};
