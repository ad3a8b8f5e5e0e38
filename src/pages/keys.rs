//! The list of keys.

use maud::html;

use crate::{
    app::sessions::SignedIn,
    http::{message::Response, problem::Problem, routes::Call},
    pages::layout::Page,
};

pub(crate) async fn list(_: &Call<'_>, who: &SignedIn) -> Result<Response, Problem> {
    Ok(Page { title: "API keys", who: Some(who), secret: false, content: html! {} }.response(200))
}
