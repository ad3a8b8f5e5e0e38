//! The form with which a key is made or changed: its fields, and what was typed into them.

use bitting_http::{call::Call, problem::Problem};
use bitting_keys::{
    app::{Principal, error::Error, keys::Keys, sessions::SignedIn},
    domain::{
        catalogue::Catalogue,
        key::Name,
        scope::{Scope, Scopes},
        time::{DAY_MS, MAX_DAYS, UnixMillis},
    },
};
use maud::{Markup, html};

use crate::{
    conditions::ConditionFields,
    field::{FORM, Field, Mistakes},
    form::Form,
    layout::words,
    time,
};

/// The lives that the form offers, in days.
const LIVES: [i64; 4] = [30, 60, 90, 365];
const USUAL_LIFE: i64 = 90;

/// The fields of a form for a key, as they were sent.
pub(crate) struct KeyFields {
    pub(crate) name: String,
    /// The owner of the key.
    pub(crate) owner: String,
    pub(crate) scopes: Vec<String>,
    /// True for full access, whatever is ticked.
    pub(crate) full: bool,
    /// The expiry: a number of days, `end`, `date`, `never` or `keep`.
    pub(crate) expires: String,
    pub(crate) date: String,
    pub(crate) conditions: ConditionFields,
}

impl KeyFields {
    pub(crate) fn read(form: &Form) -> Self {
        Self {
            name: form.get("name").to_owned(),
            owner: form.get("owner").to_owned(),
            scopes: form.all("scope"),
            full: !form.get("full").is_empty(),
            expires: form.get("expires").to_owned(),
            date: form.get("date").to_owned(),
            conditions: ConditionFields::read(form),
        }
    }
}

/// Converts an error of the use case into mistakes in this form.
pub(crate) fn mistakes(call: &Call<'_>, session: &SignedIn, error: Error) -> Result<Mistakes, Problem> {
    let fields = [("name", "name"), ("expires_at", "expires"), ("project_id", "owner"), ("scopes", "scopes")];
    Mistakes::of(call, session, error, FORM, &fields)
}

pub(crate) fn name_field(typed: &KeyFields, mistakes: &Mistakes) -> Markup {
    Field::new("name", "Name", mistakes)
        .hint("The program or person that uses it: “CI pipeline”, “MCP on my laptop”.")
        .text("text", &typed.name, true)
}

/// The name that was typed.
pub(crate) fn name(typed: &KeyFields) -> Result<Name, &'static str> {
    if typed.name.is_empty() { Err("give it a name") } else { Name::try_from(typed.name.clone()) }
}

/// Renders the choice of the owner: values and their names.
pub(crate) fn owner_field(owners: &[(String, String)], typed: &KeyFields, mistakes: &Mistakes) -> Markup {
    Field::new("owner", "Owner", mistakes)
        .hint(
            "A personal key acts as you and ends when you leave. An organization key keeps working when people leave. \
             A project key sees that project only.",
        )
        .select(owners, &typed.owner)
}

/// Renders the scopes by their resources. A scope that the person does not hold cannot be ticked, unless the key
/// has it already.
pub(crate) fn scope_fields(
    catalogue: &Catalogue,
    by: &Principal,
    before: Option<&Scopes>,
    typed: &KeyFields,
    mistakes: &Mistakes,
) -> Markup {
    let all: Vec<(Scope, &str)> = catalogue.scopes().collect();
    let can_give = |scope: &Scope| by.snapshot.scopes.grant(scope) || before.is_some_and(|before| before.grant(scope));
    let some_missing = all.iter().any(|(scope, _)| !can_give(scope));
    let ticked = |scope: &Scope| typed.scopes.iter().any(|typed| typed == scope.as_str());
    // A wildcard can be kept, but not added: a person who wants all scopes ticks all.
    let wildcards: Vec<&Scope> = match before {
        Some(Scopes::List(list)) => list.iter().filter(|scope| scope.action() == "*").collect(),
        _ => Vec::new(),
    };
    let can_be_full = by.snapshot.scopes == Scopes::Full || before == Some(&Scopes::Full);
    let field = Field::new("scopes", "What it may do", mistakes).hint(html! {
        "Select only what the key needs. If it leaks, it can do no more than that."
        @if some_missing {
            " What cannot be ticked, you do not hold yourself, as you are signed in."
        }
    });
    field.group(&html! {
        div.grid {
            @for group in all.chunk_by(|(one, _), (next, _)| one.resource() == next.resource()) {
                @if let Some((first, _)) = group.first() {
                    div.resource role="group" aria-labelledby={ "resource-" (first.resource()) } {
                        p.title id={ "resource-" (first.resource()) } { (title(first.resource())) }
                        @for wildcard in wildcards.iter().filter(|scope| scope.resource() == first.resource()) {
                            (checkbox("scope", wildcard.as_str(), ticked(wildcard), true, false,
                                &html! { code { (wildcard) } " Everything here, also what is added later" }))
                        }
                        @for (scope, allows) in group {
                            (checkbox("scope", scope.as_str(), ticked(scope), can_give(scope),
                                field.is_first() && Some(scope) == all.first().map(|(scope, _)| scope),
                                &html! {
                                    code { (scope) } " " (allows)
                                    @if !can_give(scope) { " " span.badge { "you do not hold it" } }
                                }))
                        }
                    }
                }
            }
        }
        @if can_be_full {
            details open[typed.full] {
                summary { "Full access" }
                (checkbox("full", "yes", typed.full, true, false, &html! {
                    "Everything that its owner may do, now and later, regardless of the scopes above. "
                    strong { "Not recommended: " }
                    "if the key leaks, all of it is exposed."
                }))
            }
        }
    })
}

fn checkbox(name: &str, value: &str, checked: bool, enabled: bool, autofocus: bool, label: &Markup) -> Markup {
    html! {
        label.check {
            input type="checkbox" name=(name) value=(value) checked[checked && enabled] disabled[!enabled]
                autofocus[autofocus];
            span { (label) }
        }
    }
}

/// A resource's name as a heading: `live-evaluations` is `Live evaluations`.
fn title(resource: &str) -> String {
    match resource {
        "api-keys" => "API keys".to_owned(),
        resource => words(resource),
    }
}

/// The scopes that were ticked.
pub(crate) fn scopes(call: &Call<'_>, typed: &KeyFields) -> Result<Scopes, String> {
    if typed.full {
        return Ok(Scopes::Full);
    }
    if typed.scopes.is_empty() {
        return Err("tick one at least: a key without any can do nothing".to_owned());
    }
    Keys::new(call.app).expand_scopes(&typed.scopes).map_err(|error| match error {
        Error::Invalid(mistakes) => mistakes.into_iter().map(|mistake| mistake.message).collect::<Vec<_>>().join("; "),
        error => Problem::from(error).detail(),
    })
}

/// The latest instant at which a key can end that is made now, and why it is that; `None`: there is none.
fn latest(by: &Principal, now: UnixMillis) -> Option<UnixMillis> {
    by.snapshot.policy.latest_expiry(now).into_iter().chain(by.snapshot.ends_at()).min()
}

/// The lives in days that can be asked for.
fn lives(by: &Principal, now: UnixMillis) -> Vec<i64> {
    let (policy, latest) = (by.snapshot.policy, latest(by, now));
    let mut days: Vec<i64> =
        LIVES.into_iter().chain(policy.default_expiry_days).chain(policy.longest_expiry_days).collect();
    days.retain(|days| latest.is_none_or(|latest| in_days(*days, now) <= latest));
    days.sort_unstable();
    days.dedup();
    days
}

fn in_days(days: i64, now: UnixMillis) -> UnixMillis {
    now.plus_ms(days.saturating_mul(DAY_MS))
}

/// Returns the default expiry: the organization's, or else 90 days, or the longest that is allowed if that is
/// shorter.
pub(crate) fn usual_expiry(by: &Principal, now: UnixMillis) -> String {
    let lives = lives(by, now);
    let wanted = by.snapshot.policy.default_expiry_days.filter(|days| lives.contains(days)).unwrap_or(USUAL_LIFE);
    let days = lives.iter().rev().find(|days| **days <= wanted);
    days.map_or_else(|| "end".to_owned(), ToString::to_string)
}

/// Renders the choice of the expiry. `before` is the expiry now, if the key exists: `Some(None)` is never.
pub(crate) fn expiry_fields(
    by: &Principal,
    now: UnixMillis,
    before: Option<Option<UnixMillis>>,
    typed: &KeyFields,
    mistakes: &Mistakes,
) -> Markup {
    let (latest, longest) = (latest(by, now), by.snapshot.policy.longest_expiry_days);
    let option = |value: &str, label: &Markup| {
        html! {
            label.check {
                input type="radio" name="expires" value=(value) checked[typed.expires == value];
                span { (label) }
            }
        }
    };
    let first_day = |at: UnixMillis| at.to_rfc3339().get(..10).unwrap_or_default().to_owned();
    let field = Field::new("expires", "Expiry", mistakes).hint(html! {
        "A key with an expiry can't be left active by accident. "
        @if let Some(days) = longest { "Keys of this organization last " (days) " days at most. " }
        @if let Some(at) = by.snapshot.ends_at() {
            "None can last longer than what you are signed in with, which ends on " (time::date(at)) "."
        }
    });
    field.group(&html! {
        @match before {
            Some(Some(at)) => (option("keep", &html! { "Keep: " (time::date(at)) })),
            Some(None) => (option("keep", &html! { "Keep: no expiry" })),
            None => {}
        }
        @for days in lives(by, now) {
            (option(&days.to_string(), &html! {
                (days) " days"
                @if by.snapshot.policy.default_expiry_days == Some(days) { " " span.badge { "usual here" } }
            }))
        }
        @if by.snapshot.ends_at().is_some() && by.snapshot.ends_at() == latest {
            @if let Some(at) = latest {
                (option("end", &html! { "The longest that you can give: " (time::date(at)) }))
            }
        }
        div.check-with {
            (option("date", &html! { "On a date (00:00 UTC):" }))
            input type="date" name="date" value=(typed.date) aria-label="Expiry date"
                min=(first_day(in_days(1, now))) max=[latest.map(first_day)] data-chooses="date"
                autofocus[field.is_first()] aria-invalid=[field.invalid()];
        }
        @if latest.is_none() {
            (option("never", &html! { "No expiry" }))
        }
    })
}

/// Returns the expiry that was chosen; `Ok(None)` is never.
pub(crate) fn expiry(by: &Principal, now: UnixMillis, typed: &KeyFields) -> Result<Option<UnixMillis>, String> {
    let at = match typed.expires.as_str() {
        "never" => None,
        "end" => by.snapshot.ends_at(),
        "date" => Some(UnixMillis::parse(&typed.date).ok_or("give a date: a year, a month and a day")?),
        days => match days.parse::<i64>() {
            Ok(days @ 1..=MAX_DAYS) => Some(in_days(days, now)),
            _ => return Err("choose how long it works".to_owned()),
        },
    };
    if at.is_some_and(|at| at <= now) {
        return Err("choose a date that is still to come".to_owned());
    }
    match latest(by, now) {
        Some(latest) if at.is_none_or(|at| at > latest) => {
            Err(format!("choose {} or earlier: it cannot last longer", time::day_text(latest)))
        }
        _ => Ok(at),
    }
}
