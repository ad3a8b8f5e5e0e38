//! The organization: its name, and what it asks of its keys.

use bitting_http::{call::Call, message::Response, problem::Problem};
use bitting_keys::{
    app::{organizations::Organizations, sessions::SignedIn},
    domain::{
        expected::Expected,
        key::Name,
        organization::{LeakResponse, MAX_KEYS_PER_USER, Organization, OrganizationChange, Subscription},
        quota::Quota,
        time::MAX_DAYS,
    },
};
use maud::{Markup, html};

use crate::{
    field::{FORM, Field, Mistakes},
    form::Form,
    layout::{Page, capitalized, done, see_other},
    needs::{MANAGE_ORGANIZATION, may},
    time,
};

const ORGANIZATION: &str = "/settings/organization";

/// A setting that is a number or is not made.
struct Setting {
    field: &'static str,
    label: &'static str,
    hint: &'static str,
    unset: &'static str,
    most: i64,
    now: fn(&Organization) -> Option<i64>,
    change: fn(&mut OrganizationChange, Option<i64>),
}

const SETTINGS: [Setting; 5] = [
    Setting {
        field: "default_expiry_days",
        label: "Default expiry of keys, in days",
        hint: "For keys that are created without one. Empty: no expiry.",
        unset: "Never",
        most: MAX_DAYS,
        now: |organization| organization.policy.default_expiry_days,
        change: |change, days| change.default_expiry_days = Some(days),
    },
    Setting {
        field: "longest_expiry_days",
        label: "Longest expiry of keys, in days",
        hint: "No new key can have a longer one. Empty: no limit.",
        unset: "No limit",
        most: MAX_DAYS,
        now: |organization| organization.policy.longest_expiry_days,
        change: |change, days| change.longest_expiry_days = Some(days),
    },
    Setting {
        field: "max_keys_per_user",
        label: "Maximum personal keys per person",
        hint: "Revoked and expired keys don't count. Empty: no limit.",
        unset: "No limit",
        most: MAX_KEYS_PER_USER,
        now: |organization| organization.policy.max_keys_per_user,
        change: |change, most| change.max_keys_per_user = Some(most),
    },
    Setting {
        field: "audit_retention_days",
        label: "Keep the audit log for, in days",
        hint: "Applies to events from now on. Empty: set by the operator.",
        unset: "Set by the operator",
        most: MAX_DAYS,
        now: |organization| organization.audit_retention_days,
        change: |change, days| change.audit_retention_days = Some(days),
    },
    Setting {
        field: "trace_retention_days",
        label: "Keep traces for, in days",
        hint: "Empty: set by the operator.",
        unset: "Set by the operator",
        most: MAX_DAYS,
        now: |organization| organization.trace_retention_days,
        change: |change, days| change.trace_retention_days = Some(days),
    },
];

/// The responses to a leaked key, with their names.
const LEAK_RESPONSES: [(LeakResponse, &str); 3] = [
    (LeakResponse::Revoke, "Revoke it"),
    (LeakResponse::Disable, "Disable it"),
    (LeakResponse::Notify, "Note it in the audit log only"),
];

pub(crate) async fn get(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let organization =
        Organizations::new(call.app).get(&session.principal, session.principal.snapshot.organization_id).await?;
    Ok(show(call, session, &organization, None, &Mistakes::default()))
}

/// The page; `typed` is what was typed, if anything was.
fn show(
    call: &Call<'_>,
    session: &SignedIn,
    organization: &Organization,
    typed: Option<&Form>,
    mistakes: &Mistakes,
) -> Response {
    let content = html! {
        (done(call, &[("saved", "The settings were saved.")]))
        @if may(session, &MANAGE_ORGANIZATION) { (form(organization, typed, mistakes)) } @else {
            dl.card {
                dt { "Name" } dd { (organization.name.as_str()) }
                @for setting in &SETTINGS {
                    dt { (setting.label) }
                    dd { @match (setting.now)(organization) { Some(value) => (value), None => (setting.unset) } }
                }
                dt { "When a key is found in public" }
                dd { @for (response, name) in LEAK_RESPONSES { @if response == organization.on_leak { (name) } } }
            }
            p.hint { "Owners and admins can change these settings." }
        }
        h2 { "Set by the operator" }
        dl.card {
            dt { "Subscription" }
            dd {
                @match organization.subscription {
                    Subscription::Active => span.badge.good { "Active" },
                    Subscription::Inactive => {
                        span.badge.warning { "Inactive" }
                        " Keys can be managed, but what is behind them answers nothing until it is renewed."
                    }
                }
            }
            dt { "Credits" }
            dd {
                @match organization.credits {
                    Some(credits) => { (credits) " left, for runs of live evaluations and questions to the language model" }
                    None => "No limit",
                }
            }
            @for quota in Quota::ALL {
                @let usage = organization.usage.of(quota);
                dt { (capitalized(quota.thing())) }
                dd { (usage.used) " of " (usage.limit) }
            }
            dt { "Made" } dd { (time::date(organization.created_at)) }
            dt { "Id" } dd.mono { (organization.id) }
        }
    };
    Page::of(call, session, "Organization", content).response(mistakes.status())
}

fn form(organization: &Organization, typed: Option<&Form>, mistakes: &Mistakes) -> Markup {
    let value = |field: &str, now: String| typed.map_or(now, |form| form.get(field).to_owned());
    html! {
        form.card method="post" action=(ORGANIZATION) {
            (mistakes.above(FORM))
            (Field::new("name", "Name", mistakes)
                .text("text", &value("name", organization.name.as_str().to_owned()), true))
            @for setting in &SETTINGS {
                @let now = (setting.now)(organization).map(|value| value.to_string()).unwrap_or_default();
                (Field::new(setting.field, setting.label, mistakes).hint(setting.hint)
                    .number(&value(setting.field, now), setting.most))
            }
            (Field::new("on_leak", "When a key is found in public", mistakes)
                .hint("Anybody who has found the whole text of a key can report it.")
                .select(
                    &LEAK_RESPONSES.map(|(response, name)| (response.as_str(), name)),
                    &value("on_leak", organization.on_leak.as_str().to_owned()),
                ))
            p.hint { "New limits apply to new keys. Existing keys don't change." }
            button { "Save" }
        }
    }
}

pub(crate) async fn change(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let organization =
        Organizations::new(call.app).get(&session.principal, session.principal.snapshot.organization_id).await?;
    let (mut change, mut mistakes) = (OrganizationChange::default(), Mistakes::default());
    let name = mistakes.read("name", Name::try_from(form.get("name").to_owned()));
    change.name = name.filter(|name| *name != organization.name);
    for setting in &SETTINGS {
        let text = form.get(setting.field);
        let number = text.parse().ok().filter(|number| (1..=setting.most).contains(number));
        if !text.is_empty() && number.is_none() {
            mistakes.add(setting.field, &format!("must be a whole number from 1 to {}, or empty", setting.most));
        } else if number != (setting.now)(&organization) {
            (setting.change)(&mut change, number);
        }
    }
    match LEAK_RESPONSES.into_iter().find(|(response, _)| response.as_str() == form.get("on_leak")) {
        Some((response, _)) => change.on_leak = (response != organization.on_leak).then_some(response),
        None if form.get("on_leak").is_empty() => {}
        None => mistakes.add("on_leak", "choose one of the list"),
    }
    let policy = organization.policy;
    let days = (
        change.default_expiry_days.unwrap_or(policy.default_expiry_days),
        change.longest_expiry_days.unwrap_or(policy.longest_expiry_days),
    );
    if matches!(days, (Some(default), Some(longest)) if default > longest) {
        mistakes.add("default_expiry_days", "must not be longer than the longest expiry");
    }
    if !mistakes.is_empty() {
        return Ok(show(call, session, &organization, Some(&form), &mistakes));
    }
    if change == OrganizationChange::default() {
        return Ok(see_other(ORGANIZATION));
    }
    match Organizations::new(call.app).update(&session.principal, organization.id, &change, Expected::ANY).await {
        Ok(_) => Ok(see_other("/settings/organization?done=saved")),
        Err(error) => {
            Ok(show(call, session, &organization, Some(&form), &Mistakes::of(call, session, error, FORM, &[])?))
        }
    }
}
