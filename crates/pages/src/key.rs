//! One key: what it is, how it is used, and all that can be done to it.

use std::collections::HashMap;

use bitting_http::{call::Call, message::Response, problem::Problem};
use bitting_keys::{
    app::{
        error::Error,
        keys::{History, Keys},
        sessions::{SIGN_IN, SignedIn},
    },
    domain::{
        audit::AuditRecord,
        expected::Expected,
        key::{Key, KeyChange, Name, Rotation},
        key_list::{KeyOwner, KeyRef},
        key_text::Preview,
        key_use::UsedFrom,
        scope::{Scope, Scopes},
        time::UnixMillis,
    },
};
use maud::{Markup, html};

use crate::{
    audit::events,
    chart,
    conditions::{self, ConditionFields},
    descendants,
    field::{FORM, Field, Mistakes},
    form::{Form, nonce, query},
    key_form::{self, KeyFields},
    keys::{owned_by, status},
    layout::{Page, back, done, see_other},
    reveal, simulation, time,
};

/// The number of events on the page.
const EVENTS: i64 = 20;
/// The grace periods that the form offers, in seconds, with the default one.
const GRACES: [(&str, &str); 4] = [("0", "Not at all"), ("3600", "An hour"), ("86400", "A day"), ("604800", "A week")];
const DEFAULT_GRACE: &str = "86400";
/// The form that rotates a key, and those that end a rotation, as the place of what is wrong with them.
const ROTATION: &str = "rotation";

pub(crate) async fn show(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    page(call, session, DEFAULT_GRACE, &Mistakes::default()).await
}

/// The page; `grace` is what was chosen to rotate the key.
async fn page(call: &Call<'_>, session: &SignedIn, grace: &str, mistakes: &Mistakes) -> Result<Response, Problem> {
    let (id, now) = (call.key_id()?, call.app.clock.now());
    let after = query(call.request, "after").parse().ok();
    let History { key, owner, days, events: page, names } =
        Keys::new(call.app).get_with_history(&session.principal, id, after, EVENTS).await?;
    let names = if session.principal.administers().is_ok() { names } else { own_names(session, &key, &page.items) };
    let changeable = key.life.revoked_at.is_none() && session.principal.snapshot.scopes.grant(&SIGN_IN);
    let path = format!("/settings/keys/{id}");
    let content = html! {
        (back("/settings/keys", "API keys"))
        (done(call, &[
            ("changed", "The key was changed."),
            ("disabled", "The key is disabled. Requests with it are refused until you enable it."),
            ("enabled", "The key works again."),
            ("finished", "The rotation is finished: only the new secret works."),
            ("cancelled", "The rotation was cancelled: only the old secret works."),
            ("revoked", "The key was revoked."),
        ]))
        (facts(&key, &owner, now))
        (mistakes.above(FORM))
        @if changeable {
            div.actions {
                a.button.quiet href={ (path) "/edit" } { "Change" }
                @if key.life.disabled_at.is_some() { (act(&path, "enable", "Enable", "quiet")) }
                @else { (act(&path, "disable", "Disable", "quiet")) }
                a.button.danger href={ (path) "/revoke" } { "Revoke" }
            }
            (rotation(call, session, &key, grace, mistakes)?)
        } @else {
            (mistakes.above(ROTATION))
        }
        section aria-labelledby="simulation" {
            h2 #simulation { "Would a request be let in?" }
            (simulation::form(&path, &Default::default(), &Mistakes::default()))
        }
        section aria-labelledby="use" {
            h2 #use { "Usage" }
            (chart::of(&days))
        }
        section #trail aria-labelledby="events" {
            h2 #events { "Activity" }
            @if page.items.is_empty() { p { "No activity on record." } } @else {
                (events(&page.items, &names, session, now))
            }
            p.actions {
                @if after.is_some() { a href={ (path) "#trail" } { "The newest" } }
                @if let Some(last) = page.items.last().filter(|_| page.has_more) {
                    a href={ (path) "?after=" (last.id) "#trail" } { "Older" }
                }
            }
        }
    };
    Ok(Page::of(call, session, key.name.as_str(), content).response(mistakes.status()))
}

/// Returns the names of the actors for a person who does not administer the organization: they see their own name
/// and the key's.
fn own_names(session: &SignedIn, key: &Key, events: &[AuditRecord]) -> HashMap<String, String> {
    let others = events.iter().filter_map(|event| event.actor_user_id.clone());
    let mut names: HashMap<String, String> = others.map(|id| (id, "Someone else".to_owned())).collect();
    names.extend(session.principal.snapshot.user_id.map(|id| (id.to_string(), session.name.clone())));
    names.insert(key.id.to_string(), key.name.as_str().to_owned());
    names
}

fn preview(preview: &Preview) -> Markup {
    html! { code { (preview.start) "…" (preview.last4) } }
}

/// The client of a use.
fn from(used_from: Option<&UsedFrom>) -> Markup {
    html! {
        @if let Some(UsedFrom { ip, user_agent }) = used_from {
            @if let Some(ip) = ip { " from " code { (ip) } }
            @if let Some(user_agent) = user_agent { ", " code { (user_agent) } }
        }
    }
}

fn facts(key: &Key, owner: &KeyOwner, now: UnixMillis) -> Markup {
    html! {
        dl.card {
            dt { "Status" } dd { (status(key.status_at(now))) }
            dt { "Key" } dd { (preview(&key.preview)) }
            dt { "Owner" } dd { (owned_by(key, owner)) }
            dt { "Scopes" }
            dd {
                @match &key.scopes {
                    Scopes::Full => { strong { "Full access: " } "everything that its owner may" }
                    Scopes::List(list) if list.is_empty() => { "Nothing" }
                    Scopes::List(list) => ul.scopes { @for scope in list { li { code { (scope) } } } }
                }
            }
            (conditions::facts(&key.conditions))
            dt { "Created" }
            dd {
                (time::date(key.created_at))
                @if let Some(creator) = &owner.creator { " by " (creator) }
                @if let Some(creator) = &owner.creator_key { ", with the key " (creator) }
            }
            dt { "Last used" }
            dd {
                @match key.last_used_at { Some(at) => { (time::relative(at, now)) (from(key.last_used_from.as_ref())) }, None => "Never" }
            }
            @if let Some(at) = key.life.revoked_at { dt { "Revoked" } dd { (time::date(at)) } }
            @if let Some(at) = key.life.disabled_at { dt { "Disabled" } dd { (time::date(at)) } }
            dt { @if key.life.expires_at.is_some_and(|at| at <= now) { "Expired" } @else { "Expires" } }
            dd { @match key.life.expires_at { Some(at) => (time::date(at)), None => "Never" } }
        }
    }
}

/// A form that is one button.
fn act(path: &str, action: &str, label: &str, class: &str) -> Markup {
    html! { form method="post" action={ (path) "/" (action) } { button class=(class) { (label) } } }
}

/// A rotation that is under way, or the form that begins one.
fn rotation(call: &Call<'_>, session: &SignedIn, key: &Key, grace: &str, mistakes: &Mistakes) -> Result<Markup, Error> {
    let (path, now) = (format!("/settings/keys/{}", key.id), call.app.clock.now());
    let under_way = key.rotation.as_ref().filter(|rotation| rotation.rotates_at > now);
    let content = if let Some(rotation) = under_way {
        both_secrets(key, rotation, &path, now)
    } else if key.user_id.is_some() && key.user_id != session.principal.snapshot.user_id {
        html! { p { "Only the key's owner can rotate it, because the new secret is shown to the person who does." } }
    } else if key.life.expires_at.is_some_and(|at| at <= now) {
        html! { p { "It has expired. " a href={ (path) "/edit" } { "Give it more time" } " before you rotate it." } }
    } else {
        html! {
            p { "The key gets a new secret and keeps its name, scopes and history. The new secret is shown once." }
            form.actions method="post" action={ (path) "/rotate" } {
                (nonce(call)?)
                (Field::new("grace", "Keep the old secret working for", mistakes).select(&GRACES, grace))
                button.quiet { "Rotate" }
            }
        }
    };
    Ok(html! {
        section aria-labelledby="rotation" {
            h2 #rotation { "Rotation" }
            (mistakes.above(ROTATION))
            (content)
        }
    })
}

fn both_secrets(key: &Key, rotation: &Rotation, path: &str, now: UnixMillis) -> Markup {
    html! {
        p { "Two secrets work until " (time::date(rotation.rotates_at)) ". Finish when nothing uses the old one any more." }
        dl.card {
            dt { "New secret" }
            dd {
                (preview(&key.preview)) " "
                @match key.last_used_at { Some(at) => { "last used " (time::relative(at, now)) (from(key.last_used_from.as_ref())) }, None => "not used yet" }
            }
            dt { "Old secret" }
            dd {
                code { (rotation.start) "…" (rotation.last4) } " "
                @match rotation.last_used_at {
                    Some(at) => { "used " (rotation.uses) " times since, last " (time::relative(at, now)) (from(rotation.last_used_from.as_ref())) }
                    None => "not used since"
                }
            }
        }
        div.actions {
            (act(path, "rotate/finish", "Finish: end the old secret now", "quiet"))
            (act(path, "rotate/cancel", "Cancel: end the new secret", "quiet"))
        }
    }
}

async fn read(call: &Call<'_>, session: &SignedIn) -> Result<Key, Error> {
    Keys::new(call.app).get(&session.principal, KeyRef::Id(call.key_id()?)).await
}

fn to_page(key: &Key, done: &str) -> Response {
    see_other(&format!("/settings/keys/{}?done={done}", key.id))
}

pub(crate) async fn rotate(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let (form, mut mistakes) = (Form::read(call.request)?, Mistakes::default());
    let typed = form.get("grace");
    let offered = GRACES.iter().any(|(seconds, _)| *seconds == typed);
    let seconds = typed.parse::<i64>().ok().filter(|_| offered).ok_or("choose how long the old secret still works");
    let Some(seconds) = mistakes.read("grace", seconds) else {
        return page(call, session, typed, &mistakes).await;
    };
    let key = read(call, session).await?;
    match Keys::new(call.app).rotate(&form.once(call, session)?, &key, seconds * 1000, None).await {
        Ok(rotated) => Ok(reveal::page(call, session, &rotated, "Copy the new secret")),
        Err(Error::Spent(id)) => Ok(reveal::key_gone(call, session, &id)),
        Err(error) => page(call, session, typed, &Mistakes::of(call, session, error, ROTATION, &[])?).await,
    }
}

pub(crate) async fn finish_rotation(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let key = read(call, session).await?;
    answer(call, session, Keys::new(call.app).finish_rotation(&session.principal, &key).await, "finished", ROTATION)
        .await
}

pub(crate) async fn cancel_rotation(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let key = read(call, session).await?;
    answer(call, session, Keys::new(call.app).cancel_rotation(&session.principal, &key).await, "cancelled", ROTATION)
        .await
}

pub(crate) async fn enable(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let key = read(call, session).await?;
    let change = KeyChange { enabled: Some(true), ..KeyChange::default() };
    answer(
        call,
        session,
        Keys::new(call.app).change(&session.principal, &key, &change, false, Expected::ANY).await,
        "enabled",
        FORM,
    )
    .await
}

/// The page of a key, with what was done to it or, beside the form, why that was not done.
async fn answer(
    call: &Call<'_>,
    session: &SignedIn,
    changed: Result<Key, Error>,
    done: &str,
    form: &'static str,
) -> Result<Response, Problem> {
    match changed {
        Ok(key) => Ok(to_page(&key, done)),
        Err(error) => page(call, session, DEFAULT_GRACE, &Mistakes::of(call, session, error, form, &[])?).await,
    }
}

pub(crate) async fn disable(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let forced = !Form::read(call.request)?.get("force").is_empty();
    let key = read(call, session).await?;
    let change = KeyChange { enabled: Some(false), ..KeyChange::default() };
    match Keys::new(call.app).change(&session.principal, &key, &change, forced, Expected::ANY).await {
        Err(Error::Conflict { code: LAST_MANAGING_KEY, .. }) => {
            let content = html! {
                form.card method="post" {
                    (last_key_warning())
                    input type="hidden" name="force" value="yes";
                    div.actions {
                        button.danger autofocus { "Disable it anyway" }
                        a href={ "/settings/keys/" (key.id) } { "Keep it" }
                    }
                }
            };
            Ok(Page::of(call, session, "Disable the last key?", content).response(409))
        }
        changed => answer(call, session, changed, "disabled", FORM).await,
    }
}

const LAST_MANAGING_KEY: &str = "last_managing_key";

fn last_key_warning() -> Markup {
    html! {
        p role="alert" {
            strong { "This is the last key of the organization that can manage keys, or the last one with full access." }
            " Without it no program can create another. People who can sign in by a link still can, on these pages."
        }
    }
}

pub(crate) async fn show_revoke(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    revoke_page(call, session, "", &Mistakes::default()).await
}

pub(crate) async fn revoke(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let (form, mut mistakes) = (Form::read(call.request)?, Mistakes::default());
    let (key, typed) = (read(call, session).await?, form.get("name"));
    // As many blanks as one are not to be seen on a page.
    if !typed.split_whitespace().eq(key.name.as_str().split_whitespace()) {
        mistakes.add("name", "this is not its name");
        return revoke_page(call, session, typed, &mistakes).await;
    }
    let (keys, forced) = (Keys::new(call.app), !form.get("force").is_empty());
    let revoked = if form.get("with_descendants").is_empty() {
        keys.revoke(&session.principal, key.id, forced).await
    } else {
        keys.revoke_with_descendants(&session.principal, key.id, forced).await.map(|(key, _)| key)
    };
    match revoked {
        Ok(key) => Ok(to_page(&key, "revoked")),
        Err(error) => revoke_page(call, session, typed, &Mistakes::of(call, session, error, FORM, &[])?).await,
    }
}

async fn revoke_page(
    call: &Call<'_>,
    session: &SignedIn,
    typed: &str,
    mistakes: &Mistakes,
) -> Result<Response, Problem> {
    let now = call.app.clock.now();
    let History { key, days, .. } =
        Keys::new(call.app).get_with_history(&session.principal, call.key_id()?, None, 0).await?;
    if key.life.revoked_at.is_some() {
        return Ok(to_page(&key, "revoked"));
    }
    let line = Keys::new(call.app).descendants(&session.principal, key.id).await?;
    let (uses, name): (i64, &Name) = (days.iter().map(|day| day.uses).sum(), &key.name);
    let seconds = call.app.config.max_staleness_ms.div_euclid(1000);
    let path = format!("/settings/keys/{}", key.id);
    let content = html! {
        (back(&path, name.as_str()))
        p {
            "Whatever uses " strong { (name.as_str()) } " (" (preview(&key.preview)) ") is refused then: here at once, "
            "and everywhere within " (seconds) " seconds. "
            strong { "This cannot be undone." } " To stop it for a while, disable it."
        }
        p {
            @match key.last_used_at {
                None if uses == 0 => "It was not used in the last 30 days."
                None => { "It was used " (uses) " times in the last 30 days, but not by its newest secret." }
                Some(at) => {
                    "It was last used " (time::relative(at, now)) ", and " (uses) " times in the last 30 days."
                }
            }
            @if key.id == session.principal.snapshot.key_id { " " strong { "You are signed in with it, and will be signed out." } }
        }
        form.card method="post" action={ (path) "/revoke" } {
            @if mistakes.refused_with(LAST_MANAGING_KEY) {
                (last_key_warning())
                label.check { input type="checkbox" name="force" value="yes" required autofocus; span { "Revoke it anyway" } }
            } @else {
                (mistakes.above(FORM))
            }
            (descendants::choice(&line, now))
            (Field::new("name", "Type the key's name to confirm", mistakes).hint(name.as_str()).text("text", typed, true))
            div.actions {
                button.danger { "Revoke key" }
                a href=(path) { "Keep it" }
            }
        }
    };
    Ok(Page::of(call, session, "Revoke a key", content).response(mistakes.status()))
}

pub(crate) async fn show_edit(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let key = read(call, session).await?;
    let scopes = match &key.scopes {
        Scopes::List(list) => list.iter().flat_map(|scope| ticked(call, scope)).collect(),
        Scopes::Full => Vec::new(),
    };
    let typed = KeyFields {
        name: key.name.as_str().to_owned(),
        owner: String::new(),
        scopes,
        full: key.scopes == Scopes::Full,
        expires: "keep".to_owned(),
        date: String::new(),
        conditions: ConditionFields::of(&key.conditions),
    };
    Ok(edit_page(call, session, &key, &typed, &Mistakes::default()))
}

/// The boxes that stand for a scope: for a wildcard its own and those of all that it stands for.
fn ticked(call: &Call<'_>, held: &Scope) -> Vec<String> {
    let scopes = call.app.config.catalogue.scopes().map(|(scope, _)| scope);
    let meant = scopes.filter(|scope| held.grants(scope) && scope != held).map(|scope| scope.to_string());
    meant.chain([held.to_string()]).collect()
}

pub(crate) async fn edit(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let (form, now) = (Form::read(call.request)?, call.app.clock.now());
    let (typed, forced) = (KeyFields::read(&form), !form.get("force").is_empty());
    let key = read(call, session).await?;
    let mut mistakes = Mistakes::default();
    let name = mistakes.read("name", key_form::name(&typed));
    // A key that can do nothing is left so.
    let nothing = typed.scopes.is_empty() && !typed.full && key.scopes == Scopes::List(Vec::new());
    let scopes =
        if nothing { Some(key.scopes.clone()) } else { mistakes.read("scopes", key_form::scopes(call, &typed)) };
    let expires_at = if typed.expires == "keep" {
        Some(key.life.expires_at)
    } else {
        mistakes.read("expires", key_form::expiry(&session.principal, now, &typed))
    };
    let conditions = typed.conditions.conditions(&mut mistakes);
    let (Some(name), Some(scopes), Some(expires_at), Some(conditions)) = (name, scopes, expires_at, conditions) else {
        return Ok(edit_page(call, session, &key, &typed, &mistakes));
    };
    // What was left as it is is not changed.
    let change = KeyChange {
        name: (name != key.name).then_some(name),
        scopes: (!same(&scopes, &key.scopes)).then(|| without_meant(scopes)),
        conditions: (conditions != key.conditions).then_some(conditions),
        expires_at: (expires_at != key.life.expires_at).then_some(expires_at),
        ..KeyChange::default()
    };
    if change == KeyChange::default() {
        return Ok(to_page(&key, "changed"));
    }
    match Keys::new(call.app).change(&session.principal, &key, &change, forced, Expected::ANY).await {
        Ok(key) => Ok(to_page(&key, "changed")),
        Err(error) => Ok(edit_page(call, session, &key, &typed, &key_form::mistakes(call, session, error)?)),
    }
}

/// Returns true if two keys with these scopes could do the same, now and later.
fn same(one: &Scopes, other: &Scopes) -> bool {
    one.cover(other) && other.cover(one)
}

/// The scopes without those that a wildcard among them stands for already.
fn without_meant(scopes: Scopes) -> Scopes {
    let Scopes::List(list) = scopes else { return scopes };
    let meant = |scope: &Scope| list.iter().any(|other| other != scope && other.grants(scope));
    Scopes::List(list.iter().filter(|scope| !meant(scope)).cloned().collect())
}

fn edit_page(call: &Call<'_>, session: &SignedIn, key: &Key, typed: &KeyFields, mistakes: &Mistakes) -> Response {
    let now = call.app.clock.now();
    let path = format!("/settings/keys/{}", key.id);
    let content = html! {
        (back(&path, key.name.as_str()))
        @if !mistakes.refused_with(LAST_MANAGING_KEY) { (mistakes.above(FORM)) }
        form.card.wide method="post" action={ (path) "/edit" } {
            @if mistakes.refused_with(LAST_MANAGING_KEY) {
                (last_key_warning())
                label.check { input type="checkbox" name="force" value="yes" required autofocus; span { "Change it anyway" } }
            }
            (key_form::name_field(typed, mistakes))
            (key_form::scope_fields(&call.app.config.catalogue, &session.principal, Some(&key.scopes), typed, mistakes))
            (key_form::expiry_fields(&session.principal, now, Some(key.life.expires_at), typed, mistakes))
            (conditions::fields(&typed.conditions, mistakes))
            div.actions {
                button { "Save" }
                a href=(path) { "Cancel" }
            }
        }
    };
    Page::of(call, session, "Change a key", content).response(mistakes.status())
}
