//! The browsers in which a person is signed in.

use bitting_http::{call::Call, message::Response, problem::Problem};
use bitting_keys::{
    app::{
        error::Error,
        sessions::{Sessions, SignedIn},
    },
    domain::id::SessionId,
};
use maud::html;

use crate::{
    layout::{Page, see_other},
    time,
};

pub(crate) async fn list(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let (sessions, now) = (Sessions::new(call.app).list(&session.principal).await?, call.app.clock.now());
    let content = html! {
        p { "The browsers in which you are signed in. Anyone using one of them can act as you." }
        ul.cards {
            @for device in &sessions {
                li.card {
                    h2 title=(device.user_agent) {
                        (browser(&device.user_agent))
                        @if device.id == session.session_id { " " span.badge { "this one" } }
                    }
                    p {
                        "Signed in " (time::relative(device.created_at, now))
                        @match &device.key_name {
                            Some(name) => { " with the key " strong { (name.as_str()) } }
                            None => " without a key",
                        }
                        ", last used " (time::relative(device.last_seen_at, now)) ". Ends on "
                        (time::date(device.expires_at)) "."
                    }
                    @if device.id != session.session_id {
                        form method="post" action={ "/settings/devices/" (device.id) "/end" } {
                            button.danger { "Sign out " span.hidden { (browser(&device.user_agent)) } }
                        }
                    }
                }
            }
        }
    };
    Ok(Page::of(call, session, "Devices", content).response(200))
}

pub(crate) async fn end(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let id = SessionId::parse(call.param("session")).ok_or(Error::NotFound)?;
    match Sessions::new(call.app).end(&session.principal, id).await {
        // It has ended, even if another request ended it.
        Ok(()) | Err(Error::NotFound) => Ok(see_other("/settings/devices")),
        Err(error) => Err(error.into()),
    }
}

/// Returns a name for a browser from its user agent.
fn browser(user_agent: &str) -> String {
    let named = |names: &[(&str, &'static str)]| {
        names.iter().find(|(sign, _)| user_agent.contains(sign)).map(|(_, name)| *name)
    };
    // Most name others, too, so that the rarer must be looked for first.
    let browser = named(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = named(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "A browser".to_owned(),
    }
}
