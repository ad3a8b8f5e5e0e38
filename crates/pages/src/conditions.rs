//! The conditions of a key, as a person types and reads them: one line of text for each.

use bitting_keys::domain::{
    client::Country,
    conditions::{Conditions, Day, Entries, Hours, IpRange, NotBefore, Period, TimeOfDay},
};
use maud::{Markup, html};

use crate::{
    field::{Field, Mistakes},
    form::Form,
};

/// The fields: the name of each, its label, and its hint.
const FIELDS: [(&str, &str, &str); 6] = [
    (
        "allowed_ips",
        "Only from these addresses",
        "Addresses and ranges with blanks between them: 192.0.2.7 2001:db8::/32.",
    ),
    ("denied_ips", "Not from these addresses", "Even if they are allowed above."),
    ("allowed_countries", "Only from these countries", "Codes with blanks between them: DE FR. T1 is Tor."),
    ("denied_countries", "Not from these countries", "Even if they are allowed above."),
    ("not_before", "Not before", "A date and a time with its offset: 2027-01-31T12:00:00Z."),
    ("hours", "Only at these hours", "In UTC, with semicolons between them: mon,tue,wed 09:00-17:00; sat 22:00-02:00."),
];

/// The fields as they were typed, in the order of [`FIELDS`].
#[derive(Clone, Default)]
pub(crate) struct ConditionFields([String; 6]);

impl ConditionFields {
    pub(crate) fn read(form: &Form) -> Self {
        Self(FIELDS.map(|(name, ..)| form.get(name).to_owned()))
    }

    /// Returns conditions as a person types them.
    pub(crate) fn of(conditions: &Conditions) -> Self {
        Self([
            list(conditions.allowed_ips.as_ref(), " "),
            list(conditions.denied_ips.as_ref(), " "),
            list(conditions.allowed_countries.as_ref(), " "),
            list(conditions.denied_countries.as_ref(), " "),
            conditions.not_before.map(String::from).unwrap_or_default(),
            conditions
                .hours
                .as_ref()
                .map(|hours| hours.iter().map(period).collect::<Vec<_>>().join("; "))
                .unwrap_or_default(),
        ])
    }

    /// Returns the conditions that were typed; `None` with what is wrong with them.
    pub(crate) fn conditions(&self, mistakes: &mut Mistakes) -> Option<Conditions> {
        let [allowed_ips, denied_ips, allowed_countries, denied_countries, not_before, hours] = &self.0;
        let range = |text: &str| IpRange::try_from(text.to_owned());
        let country = |text: &str| Country::try_from(text.to_ascii_uppercase());
        let allowed_ips = mistakes.read("allowed_ips", entries(allowed_ips, BETWEEN, range));
        let denied_ips = mistakes.read("denied_ips", entries(denied_ips, BETWEEN, range));
        let allowed_countries = mistakes.read("allowed_countries", entries(allowed_countries, BETWEEN, country));
        let denied_countries = mistakes.read("denied_countries", entries(denied_countries, BETWEEN, country));
        let not_before = Some(not_before).filter(|text| !text.is_empty());
        let not_before =
            mistakes.read("not_before", not_before.map(|text| NotBefore::try_from(text.clone())).transpose());
        let hours = mistakes.read("hours", periods(hours));
        Some(Conditions {
            allowed_ips: allowed_ips?,
            denied_ips: denied_ips?,
            allowed_countries: allowed_countries?,
            denied_countries: denied_countries?,
            not_before: not_before?,
            hours: hours?,
        })
    }
}

/// The characters between entries.
const BETWEEN: &[char] = &[' ', ',', ';', '\t', '\n', '\r'];

fn entries<T, const MAX: usize>(
    text: &str,
    between: &[char],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Entries<T, MAX>>, String> {
    Entries::new(parts(text, between, read)?)
}

fn parts<T>(text: &str, between: &[char], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(between).map(str::trim).filter(|part| !part.is_empty()).map(read).collect()
}

fn periods(text: &str) -> Result<Option<Hours>, String> {
    let periods = parts(text, &[';'], parse_period)?;
    if periods.is_empty() { Ok(None) } else { Hours::try_from(periods).map(Some) }
}

fn list<T: ToString, const MAX: usize>(entries: Option<&Entries<T, MAX>>, between: &str) -> String {
    entries.map(|list| list.iter().map(T::to_string).collect::<Vec<_>>().join(between)).unwrap_or_default()
}

fn period(period: &Period) -> String {
    let days: Vec<&str> = period.days.iter().map(|day| day.as_str()).collect();
    format!("{} {}-{}", days.join(","), period.from, period.to)
}

fn parse_period(text: &str) -> Result<Period, String> {
    let must = || format!("`{text}` is no period; write it like `mon,tue 09:00-17:00`");
    let (days, times) = text.split_once(' ').ok_or_else(must)?;
    let (from, to) = times.split_once('-').ok_or_else(must)?;
    let day = |name: &str| Day::ALL.into_iter().find(|day| day.as_str() == name).ok_or_else(must);
    let time = |text: &str| TimeOfDay::try_from(text.trim().to_owned()).map_err(|_| must());
    let days = entries(&days.to_ascii_lowercase(), &[','], day)?.ok_or_else(must)?;
    Ok(Period { days, from: time(from)?, to: time(to)? })
}

/// Renders the fields.
pub(crate) fn fields(typed: &ConditionFields, mistakes: &Mistakes) -> Markup {
    let is_open =
        typed.0.iter().any(|text| !text.is_empty()) || FIELDS.iter().any(|(name, ..)| mistakes.at(name).is_some());
    html! {
        details open[is_open] {
            summary { "Conditions" }
            p.hint { "Where and when it works. A service that does not tell Bitting about its client is refused." }
            @for ((name, label, hint), text) in FIELDS.iter().zip(&typed.0) {
                (Field::new(name, label, mistakes).hint(hint).text("text", text, false))
            }
        }
    }
}

/// Renders the conditions of a key.
pub(crate) fn facts(conditions: &Conditions) -> Markup {
    let typed = ConditionFields::of(conditions);
    html! {
        @for ((_, label, _), text) in FIELDS.iter().zip(&typed.0).filter(|(_, text)| !text.is_empty()) {
            dt { (label) } dd { code { (text) } }
        }
    }
}
