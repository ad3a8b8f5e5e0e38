//! Instants as people read them: in UTC here, and in the reader's own zone where the script runs.

use bitting_keys::domain::time::{DAY_MS, UnixMillis};
use maud::{Markup, html};

/// A date and a time of the day: `22 Nov 2026, 09:30 UTC`.
pub(crate) fn date(at: UnixMillis) -> Markup {
    html! { time datetime=(at.to_rfc3339()) { (utc(at)) } }
}

/// A date without the time of the day: `22 Nov 2026`; exactly when shows on hovering.
pub(crate) fn day(at: UnixMillis) -> Markup {
    html! { time datetime=(at.to_rfc3339()) title=(utc(at)) data-day { (day_text(at)) } }
}

/// Renders a time relative to now, as `3 days ago`, with the exact time on hovering.
pub(crate) fn relative(at: UnixMillis, now: UnixMillis) -> Markup {
    html! { time datetime=(at.to_rfc3339()) title=(utc(at)) { (span(at, now)) } }
}

/// The same where no element can stand.
pub(crate) fn day_text(at: UnixMillis) -> String {
    // `Sun, 22 Nov 2026 09:30:00 GMT`
    at.to_http_date().get(5..16).unwrap_or_default().trim_start_matches('0').to_owned()
}

fn utc(at: UnixMillis) -> String {
    format!("{}, {} UTC", day_text(at), at.to_http_date().get(17..22).unwrap_or_default())
}

fn span(at: UnixMillis, now: UnixMillis) -> String {
    let ms = now.ms_since(at);
    let (count, unit) = match ms.abs() {
        ms if ms < 60_000 => return if now >= at { "just now" } else { "in a moment" }.to_owned(),
        ms if ms < 60 * 60_000 => (ms / 60_000, "minute"),
        ms if ms < DAY_MS => (ms / (60 * 60_000), "hour"),
        ms if ms < 60 * DAY_MS => (ms / DAY_MS, "day"),
        ms if ms < 730 * DAY_MS => (ms / (30 * DAY_MS), "month"),
        ms => (ms / (365 * DAY_MS), "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if ms >= 0 { format!("{count} {unit}{plural} ago") } else { format!("in {count} {unit}{plural}") }
}

#[cfg(test)]
mod tests {
    use super::{UnixMillis, date, relative};

    #[test]
    fn instants_read_as_people_say_them() {
        let now = UnixMillis(1_800_000_000_000);
        for (ms, expected) in [
            (0, "just now"),
            (59_999, "just now"),
            (60_000, "1 minute ago"),
            (3_599_999, "59 minutes ago"),
            (3_600_000, "1 hour ago"),
            (86_400_000, "1 day ago"),
            (90 * 86_400_000, "3 months ago"),
            (800 * 86_400_000, "2 years ago"),
            (-1, "in a moment"),
            (-7 * 86_400_000, "in 7 days"),
        ] {
            let html = relative(now.plus_ms(-ms), now).into_string();
            assert!(html.contains(&format!(">{expected}</time>")), "{html}");
        }
        let html = date(UnixMillis(1_799_000_000_000)).into_string();
        assert_eq!(html, "<time datetime=\"2027-01-03T18:13:20.000Z\">3 Jan 2027, 18:13 UTC</time>");
    }
}
