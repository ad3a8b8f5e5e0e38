//! The simulation of a use of a key: whether a request would be let in, and why not.

use bitting_http::{call::Call, check_body::checks, message::Response, problem::Problem};
use bitting_keys::{
    app::{keys::Keys, sessions::SignedIn},
    domain::{
        client::{Client, Country},
        decision::{Use, decide},
        scope::Scope,
        time::UnixMillis,
    },
};
use maud::{Markup, html};

use crate::{
    field::{Field, Mistakes},
    form::query,
    layout::{Page, back},
};

/// Renders the form.
pub(crate) fn form(path: &str, [scope, ip, country, at]: &[String; 4], mistakes: &Mistakes) -> Markup {
    html! {
        form.card method="get" action={ (path) "/simulate" } {
            (Field::new("scope", "Scope", mistakes).hint("What the request needs: datasets:read. Or nothing.").text("text", scope, false))
            (Field::new("ip", "Address of the client", mistakes).text("text", ip, false))
            (Field::new("country", "Country of the client", mistakes).hint("A code: DE.").text("text", country, false))
            (Field::new("at", "Time", mistakes).hint("2027-01-31T12:00:00Z. Or nothing, for now.").text("text", at, false))
            div.actions { button.quiet { "Try" } }
        }
    }
}

/// Shows the result of a simulation. Nothing is written.
pub(crate) async fn show(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let (id, mut mistakes) = (call.key_id()?, Mistakes::default());
    let typed = ["scope", "ip", "country", "at"].map(|name| query(call.request, name).trim().to_owned());
    let [scope, ip, country, at] = &typed;
    let known = |scope: Scope| call.app.config.catalogue.check(&scope).map(|()| scope);
    let scope = optional(scope).map(|text| Scope::try_from(text.to_owned()).and_then(known));
    let scope = mistakes.read("scope", scope.transpose());
    let ip = mistakes.read("ip", optional(ip).map(|text| text.parse().map_err(|_| "this is no address")).transpose());
    let country = optional(country).map(|text| Country::try_from(text.to_ascii_uppercase()));
    let country = mistakes.read("country", country.transpose());
    let at = optional(at).map(|text| UnixMillis::parse(text).ok_or("this is no time"));
    let at = mistakes.read("at", at.transpose());
    let found = Keys::new(call.app).find(&session.principal, id).await?;
    let path = format!("/settings/keys/{id}");
    let result = if let (Some(scope), Some(ip), Some(country), Some(at)) = (scope, ip, country, at) {
        let client = Client { ip, country }.canonical();
        let asked = Use { scopes: scope.as_slice(), client, at: at.unwrap_or(call.app.clock.now()) };
        let is_let_in = decide(&found.snapshot, asked).is_ok();
        html! {
            p.notice role="status" {
                @if is_let_in { "Yes: this request would be let in." } @else { "No: this request would be refused." }
            }
            dl.card {
                @for check in checks(&found.snapshot, asked) {
                    dt { code { (check.check) } }
                    dd { @if check.passed { "Passes. " } @else { strong { "Does not pass. " } } (check.detail) }
                }
            }
        }
    } else {
        html! {}
    };
    let content = html! {
        (back(&path, found.snapshot.name.as_str()))
        (result)
        (form(&path, &typed, &mistakes))
    };
    Ok(Page::of(call, session, "Would this request be let in?", content).response(mistakes.status()))
}

fn optional(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
