//! A secret that is shown this once.

use maud::{Markup, html};

/// The secret, whole, and a button that copies it where there is a script.
pub(crate) fn secret(label: &str, text: &str) -> Markup {
    html! {
        div.card.secret {
            h2 { (label) }
            p.mono #secret { (text) }
            button type="button" data-copy="secret" hidden { "Copy" }
            " " span role="status" {}
        }
    }
}
