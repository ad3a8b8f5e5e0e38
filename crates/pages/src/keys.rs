//! The list of keys.

use bitting_http::{call::Call, message::Response, problem::Problem};
use bitting_keys::{
    app::{keys::Keys, sessions::SignedIn},
    domain::{
        id::KeyId,
        key::{Key, KeyState, KeyStatus},
        key_list::{KeyCursor, KeyFilter, KeyOwner, MAX_LOOKED_THROUGH, StatusFilter},
        key_text::KeyKind,
        page::Page as PageOf,
        scope::Scopes,
        time::{DAY_MS, UnixMillis},
    },
};
use maud::{Markup, html};

use crate::{
    form::query,
    layout::{Page, tag},
    time,
};

/// The number of keys on a page.
const LIMIT: i64 = 50;
/// A key that was not used for so long is likely not needed any more, in milliseconds.
const UNUSED_MS: i64 = 90 * DAY_MS;
/// A key that expires within this time had better be looked after, in milliseconds.
const SOON_MS: i64 = 14 * DAY_MS;
/// The number of scopes of a key that the list shows.
const MAX_SCOPES: usize = 4;

/// The states by which the list can be asked for, the first if nothing is said: in the address, for people,
/// and as they are asked for.
const STATES: [(&str, &str, StatusFilter); 5] = [
    ("active", "Active", StatusFilter::Only(KeyState::Active)),
    ("disabled", "Disabled", StatusFilter::Only(KeyState::Disabled)),
    ("expired", "Expired", StatusFilter::Only(KeyState::Expired)),
    ("revoked", "Revoked", StatusFilter::Only(KeyState::Revoked)),
    ("all", "All", StatusFilter::All),
];

/// The filter, as the address has it. Values that are not understood are ignored.
struct Asked {
    status: (&'static str, &'static str, StatusFilter),
    name: String,
    person: String,
}

impl Asked {
    fn read(call: &Call<'_>) -> Self {
        let status = query(call.request, "status");
        let [active, ..] = STATES;
        Self {
            status: STATES.into_iter().find(|(name, ..)| *name == status).unwrap_or(active),
            name: query(call.request, "name").trim().to_owned(),
            person: query(call.request, "person").trim().to_owned(),
        }
    }

    /// The address of this list in another state, or of another page of it.
    fn address(&self, status: &str, page: Option<(&str, KeyId)>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("status", status);
        for (parameter, value) in [("name", &self.name), ("person", &self.person)] {
            if !value.is_empty() {
                query.append_pair(parameter, value);
            }
        }
        if let Some((direction, id)) = page {
            query.append_pair(direction, &id.to_string());
        }
        format!("/settings/keys?{}", query.finish())
    }

    fn filter(&self) -> KeyFilter {
        let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let (.., status) = self.status;
        KeyFilter { name_part: said(&self.name), owner: said(&self.person), status, ..KeyFilter::default() }
    }
}

pub(crate) async fn list(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let asked = Asked::read(call);
    let id = |parameter: &str| KeyId::parse(&query(call.request, parameter));
    let cursor = match (id("after"), id("before")) {
        (Some(id), _) => KeyCursor::After(id),
        (None, Some(id)) => KeyCursor::Before(id),
        (None, None) => KeyCursor::Start,
    };
    let (page, looked_until) =
        Keys::new(call.app).list_owned(&session.principal, &asked.filter(), cursor, LIMIT).await?;
    let everybody = session.principal.administers().is_ok();
    let now = call.app.clock.now();
    let content = html! {
        p { a.button href="/settings/keys/new" { "New API key" } }
        nav.tabs aria-label="Status" {
            @for (status, name, _) in STATES {
                a href=(asked.address(status, None)) aria-current=[(status == asked.status.0).then_some("true")] { (name) }
            }
        }
        (search(&asked, everybody))
        @if page.items.is_empty() { (nothing(&asked, cursor, looked_until)) } @else { (table(&page.items, everybody, now)) }
        (pages(&asked, &page, cursor, looked_until))
    };
    Ok(Page::of(call, session, "API keys", content).response(200))
}

fn search(asked: &Asked, everybody: bool) -> Markup {
    html! {
        form.search role="search" {
            input type="hidden" name="status" value=(asked.status.0);
            label { "Name" input type="search" name="name" value=(asked.name); }
            @if everybody {
                label { "Person" input type="search" name="person" value=(asked.person) placeholder="ann@example.com"; }
            }
            button.quiet { "Search" }
            @if !asked.name.is_empty() || !asked.person.is_empty() {
                a href={ "/settings/keys?status=" (asked.status.0) } { "Show all" }
            }
        }
    }
}

fn table(keys: &[(Key, KeyOwner)], everybody: bool, now: UnixMillis) -> Markup {
    // The roles say what the stylesheet takes away where a screen is narrow and each row becomes a card.
    html! {
        table.keys role="table" aria-label="API keys" {
            thead role="rowgroup" {
                tr role="row" {
                    @for column in ["Key", "Scopes", "Owner", "Created", "Last used", "Expires", "Status"] {
                        @if column != "Owner" || everybody { th scope="col" role="columnheader" { (column) } }
                    }
                }
            }
            tbody role="rowgroup" {
                @for (key, owner) in keys { (row(key, owner, everybody, now)) }
            }
        }
    }
}

fn row(key: &Key, owner: &KeyOwner, everybody: bool, now: UnixMillis) -> Markup {
    let active = key.status_at(now) == KeyStatus::Active;
    let unused = active && now.ms_since(key.last_used_at.unwrap_or(key.created_at)) >= UNUSED_MS;
    let soon = active && key.life.expires_at.is_some_and(|at| at.ms_since(now) <= SOON_MS);
    html! {
        tr role="row" {
            th scope="row" role="rowheader" {
                a.name href={ "/settings/keys/" (key.id) } { (key.name.as_str()) }
                code { (key.preview.start) "…" (key.preview.last4) }
            }
            td role="cell" data-label="Scopes" { (scopes(&key.scopes)) }
            @if everybody { td role="cell" data-label="Owner" { (owned_by(key, owner)) } }
            td role="cell" data-label="Created" { (time::day(key.created_at)) }
            td role="cell" data-label="Last used" {
                div {
                    @match key.last_used_at {
                        Some(at) => (time::relative(at, now)),
                        None => "never",
                    }
                    @if unused { " " (tag("warning", "unused for 90 days")) }
                }
            }
            td role="cell" data-label="Expires" {
                div {
                    @match key.life.expires_at {
                        Some(at) => (time::relative(at, now)),
                        None => "never",
                    }
                    @if soon { " " (tag("warning", "soon")) }
                }
            }
            td role="cell" data-label="Status" { (status(key.status_at(now))) }
        }
    }
}

/// A key's status.
pub(crate) fn status(status: KeyStatus) -> Markup {
    match status {
        KeyStatus::Active => tag("good", "active"),
        KeyStatus::Disabled => tag("warning", "disabled"),
        KeyStatus::Expired => tag("bad", "expired"),
        KeyStatus::Revoked => tag("bad", "revoked"),
        KeyStatus::UserRemoved => tag("bad", "person removed"),
        KeyStatus::ProjectDeleted => tag("bad", "project deleted"),
        KeyStatus::OrganizationSuspended => tag("bad", "organization suspended"),
    }
}

fn scopes(scopes: &Scopes) -> Markup {
    html! {
        @match scopes {
            Scopes::Full => (tag("warning", "full access")),
            Scopes::List(list) if list.is_empty() => "none",
            Scopes::List(list) => {
                ul.scopes {
                    @for scope in list.iter().take(MAX_SCOPES) { li { code { (scope) } } }
                    @if list.len() > MAX_SCOPES { li { "and " (list.len() - MAX_SCOPES) " more" } }
                }
            }
        }
    }
}

/// Renders the owner of a key.
pub(crate) fn owned_by(key: &Key, owner: &KeyOwner) -> Markup {
    html! {
        @match (key.kind, &owner.owner, &owner.project) {
            (_, Some(email), _) => (email),
            (_, None, Some(project)) => { "Project " (project) }
            (KeyKind::Sk, None, None) => "Live evaluation",
            (_, None, None) => "Organization",
        }
    }
}

fn nothing(asked: &Asked, cursor: KeyCursor, looked_until: Option<KeyId>) -> Markup {
    if looked_until.is_some() {
        return html! { p.card { "None of the " (MAX_LOOKED_THROUGH) " keys that were looked through fits this. There are more." } };
    }
    let (status, ..) = asked.status;
    let searched = !asked.name.is_empty() || !asked.person.is_empty();
    if searched || cursor != KeyCursor::Start || status != "active" {
        let all = asked.address("all", None);
        return html! { p.card { "No keys match. " @if status != "all" { a href=(all) { "Search in every status" } } } };
    }
    html! {
        div.card {
            h2 { "No keys yet" }
            p { "A key lets a program, a script or a CI job call the API without a person: " code { "Authorization: Bearer <key>" } "." }
            ul {
                li { "Create one key for each program and name it after that program, so that you know which one to revoke." }
                li { "Select only the scopes that the program needs. A leaked key can do no more than that." }
                li { "Set an expiry. If something still uses the key then, you will hear about it." }
            }
        }
    }
}

/// The way to the newer and the older keys, and on from where nothing was found.
fn pages(asked: &Asked, page: &PageOf<(Key, KeyOwner)>, cursor: KeyCursor, looked_until: Option<KeyId>) -> Markup {
    let (status, ..) = asked.status;
    let first = page.items.first().map(|(key, _)| key.id);
    let last = page.items.last().map(|(key, _)| key.id);
    let (newer, older) = match cursor {
        KeyCursor::Start => (None, last.filter(|_| page.has_more).or(looked_until)),
        KeyCursor::After(_) => (first, last.filter(|_| page.has_more).or(looked_until)),
        KeyCursor::Before(_) => (first.filter(|_| page.has_more).or(looked_until), last),
    };
    let newest = cursor != KeyCursor::Start && first.is_none();
    html! {
        @if newest || newer.is_some() || older.is_some() {
            nav.pages aria-label="Pages" {
                @if newest { a.button.quiet href=(asked.address(status, None)) { "Newest" } }
                @if let Some(id) = newer { a.button.quiet href=(asked.address(status, Some(("before", id)))) { "Newer" } }
                @if let Some(id) = older { a.button.quiet href=(asked.address(status, Some(("after", id)))) { "Older" } }
            }
        }
    }
}
