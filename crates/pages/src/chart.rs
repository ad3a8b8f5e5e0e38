//! The usage of a key, as a picture and as a table.

use bitting_keys::domain::key_use::DailyUses;
use maud::{Markup, html};

use crate::time;

/// The picture's measures: how high the highest bar is, and how far one is from the next.
const HEIGHT: i64 = 60;
const STEP: usize = 10;

/// A bar for each day, the newest at the right. It is drawn here, so that it needs no script.
pub(crate) fn of(days: &[DailyUses]) -> Markup {
    let all: i64 = days.iter().map(|day| day.uses).sum();
    let Some(most) = days.iter().max_by_key(|day| day.uses).filter(|most| most.uses > 0) else {
        return html! { p { "Not used in the last " (days.len()) " days." } };
    };
    let told = format!(
        "Used {all} times in the last {} days, most on {}: {} times.",
        days.len(),
        time::day_text(most.day),
        most.uses
    );
    // What was used at all is to be seen.
    let height = |uses: i64| if uses == 0 { 0 } else { (uses.saturating_mul(HEIGHT) / most.uses).max(1) };
    html! {
        p { (told) }
        figure.chart {
            svg viewBox={ "0 0 " (days.len() * STEP) " " (HEIGHT + 1) } role="img" aria-label=(told) {
                @for (index, day) in days.iter().enumerate() {
                    rect x=(index * STEP + 1) y=(HEIGHT - height(day.uses)) width=(STEP - 2) height=(height(day.uses)) {
                        title { (time::day_text(day.day)) ": " (day.uses) }
                    }
                }
                rect.line x="0" y=(HEIGHT) width=(days.len() * STEP) height="1" {}
            }
            figcaption aria-hidden="true" {
                @for end in days.first().into_iter().chain(days.last()) { span { (time::day_text(end.day)) } }
            }
        }
        details {
            summary { "As a table" }
            table {
                thead { tr { th scope="col" { "Day (UTC)" } th scope="col" { "Uses" } } }
                tbody {
                    @for day in days.iter().rev().filter(|day| day.uses > 0) {
                        tr { td { (time::day_text(day.day)) } td { (day.uses) } }
                    }
                }
            }
        }
    }
}
