//! `POST /v1/bootstrap`: the first organization, owner and key.

use serde::Deserialize;

use crate::{
    app::bootstrap::NewOrganization,
    domain::{key::Name, person::Email},
    http::{input, keys, message::Response, problem::Problem, routes::Call},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    organization: Name,
    email: Email,
    key_name: Name,
}

pub(crate) async fn create(call: &Call<'_>) -> Result<Response, Problem> {
    let Body { organization, email, key_name } = input::body(call.request)?;
    let ip = call.request.header("cf-connecting-ip").map(str::to_owned);
    let first = NewOrganization { name: organization, email, key_name };
    Ok(keys::created(call, 201, &call.app.bootstrap(first, call.request_id.to_owned(), ip).await?))
}
