//! The descendants of a key or a person, and the choice to end them, too.

use bitting_keys::{
    app::descendants::Preview,
    domain::{key::Key, time::UnixMillis},
};
use maud::{Markup, html};

use crate::time;

/// The number of keys that a page names.
const NAMED: usize = 20;

/// The keys, with their last uses.
pub(crate) fn named(keys: &[Key], now: UnixMillis) -> Markup {
    html! {
        ul {
            @for key in keys.iter().take(NAMED) {
                li {
                    a href={ "/settings/keys/" (key.id) } { (key.name.as_str()) } ", "
                    @match key.last_used_at {
                        Some(at) => { "last used " (time::relative(at, now)) }
                        None => "never used",
                    }
                }
            }
            @if keys.len() > NAMED { li { "and more" } }
        }
    }
}

/// The box that ends it, if anything descends from it.
pub(crate) fn choice(preview: &Preview, now: UnixMillis) -> Markup {
    let descendants = preview.descendants;
    let parts = [
        count(descendants.keys, "key"),
        count(descendants.invitations, "open invitation"),
        count(descendants.sign_in_links, "open sign-in link"),
        count(descendants.sessions, "browser that is signed in"),
        count(descendants.trusts, "trust"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    html! {
        @if descendants.too_many != 0 {
            p.hint { "More than 10,000 keys descend from it, so they cannot end together with it." }
        } @else if !parts.is_empty() && descendants.beyond != 0 {
            p.hint { "What descends from it, " (parts.join(", ")) ", can be ended by an owner only." }
        } @else if !parts.is_empty() {
            label.check {
                input type="checkbox" name="with_descendants" value="yes";
                span { "Also end what descends from it: " (parts.join(", ")) }
            }
            (named(&preview.keys, now))
            p.hint { "Choose this if it may be in the wrong hands. Otherwise these keys keep working." }
        }
    }
}

/// A number of things, if there are any.
fn count(number: i64, name: &str) -> Option<String> {
    match number {
        0 => None,
        1 => Some(format!("1 {name}")),
        _ if name.starts_with("browser") => Some(format!("{number} browsers that are signed in")),
        _ => Some(format!("{number} {name}s")),
    }
}
