//! The people of the organization: seen, invited, given another role, and removed.

use bitting_http::{
    call::Call,
    message::Response,
    paging::{DEFAULT_LIMIT, MAX_LIMIT},
    problem::Problem,
};
use bitting_keys::{
    app::{
        error::Error,
        invitations::Invitations,
        keys::Keys,
        people::People,
        sessions::{Sessions, SignedIn},
    },
    domain::{
        expected::Expected,
        id::{InvitationId, SignInLinkId, UserId},
        key::{Key, Role},
        key_list::{KeyCursor, KeyFilter},
        person::{Email, Invitation, InvitationFilter, Member},
        scope::Scopes,
        session::OpenSignInLink,
        time::{DAY_MS, UnixMillis},
        token::InvitationToken,
    },
};
use maud::{Markup, html};

use crate::{
    audit::AUDIT,
    descendants,
    field::{FORM, Field, Mistakes},
    form::{Form, nonce, query},
    layout::{Page, back, done, further, see_other},
    needs::{self, MANAGE_MEMBERS, MEMBERS_WRITE, READ, may},
    reveal,
    table::{ACTIONS, table},
    time,
};

const PEOPLE: &str = "/settings/people";
/// The lives of an invitation: days, name.
const LASTS: [(&str, &str); 4] = [("1", "1 day"), ("7", "7 days"), ("14", "14 days"), ("30", "30 days")];
const DEFAULT_LASTS: &str = "7";
/// The form that makes a link to sign in, as the place of what is wrong with it.
const LINK: &str = "link";
/// The number of keys that the page names before a person is removed.
const KEYS_NAMED: i64 = 20;

/// The fields of the form for an invitation, as they were sent.
struct InvitationFields<'a> {
    email: &'a str,
    role: &'a str,
    lasts: &'a str,
}

pub(crate) async fn list(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let typed = InvitationFields { email: "", role: Role::Member.as_str(), lasts: DEFAULT_LASTS };
    show(call, session, &typed, &Mistakes::default()).await
}

async fn show(
    call: &Call<'_>,
    session: &SignedIn,
    typed: &InvitationFields<'_>,
    mistakes: &Mistakes,
) -> Result<Response, Problem> {
    let (by, organization_id) = (&session.principal, session.principal.snapshot.organization_id);
    let after = UserId::parse(&query(call.request, "after"));
    let members = match People::new(call.app).list(by, organization_id, after, DEFAULT_LIMIT).await {
        // A key that acts as nobody and does not administer either.
        Err(Error::NotFound) => return Ok(nobody(call, session)),
        members => members?,
    };
    let administers = by.administers().is_ok();
    let open = if administers {
        let invitations = Invitations::new(call.app);
        Some((
            invitations.list(by, organization_id, InvitationFilter::default(), None, MAX_LIMIT).await?,
            Sessions::new(call.app).list_links(by, organization_id, None, None, MAX_LIMIT).await?,
        ))
    } else {
        None
    };
    let now = call.app.clock.now();
    let content = html! {
        (done(call, &[
            ("removed", "The person was removed, and all their keys have ended."),
            ("taken-back", "The invitation was revoked. Its link no longer works."),
            ("link-taken-back", "The sign-in link was revoked. It no longer works."),
        ]))
        @if !administers {
            p.hint { "You see only yourself here. Owners and admins see all members and can invite people." }
        }
        (table(&["Person", "Role", "Since", ACTIONS], members.items.iter().map(|member| vec![
            html! { (member.email) @if by.snapshot.user_id == Some(member.user_id) { " " span.badge { "you" } } },
            html! { (role_name(member.role)) },
            time::relative(member.joined_at, now),
            html! { a href={ (PEOPLE) "/" (member.user_id) } { "Details" span.hidden { " of " (member.email) } } },
        ])))
        @if let (true, Some(last)) = (members.has_more, members.items.last()) {
            (further(call, &last.user_id.to_string(), "More people"))
        }
        @if let Some((invitations, links)) = &open {
            (open_invitations(session, &invitations.items))
            (open_links(session, &links.items, now))
        }
        @if administers { (invite_form(call, session, typed, mistakes)?) }
    };
    Ok(Page::of(call, session, "People", content).response(mistakes.status()))
}

fn nobody(call: &Call<'_>, session: &SignedIn) -> Response {
    let content = html! {
        p { "You are signed in with a key that belongs to no person and does not administer the organization, so there \
             are no people here that you can see. Sign in with a personal key to see yourself." }
    };
    Page::of(call, session, "People", content).response(200)
}

fn open_invitations(session: &SignedIn, invitations: &[Invitation]) -> Markup {
    html! {
        h2 { "Open invitations" }
        @if invitations.is_empty() { p.hint { "There are none." } } @else {
            (table(&["For", "Role", "Ends", ACTIONS], invitations.iter().map(|invitation| vec![
                html! { (invitation.email.as_str()) },
                html! { (role_name(invitation.role)) },
                time::date(invitation.expires_at),
                take_back_button(session, invitation),
            ])))
        }
    }
}

/// The open sign-in links, if there are any: most of the time there are none.
fn open_links(session: &SignedIn, links: &[OpenSignInLink], now: UnixMillis) -> Markup {
    html! {
        @if !links.is_empty() {
            h2 { "Open sign-in links" }
            (table(&["For", "Created", "Ends", ACTIONS], links.iter().map(|link| vec![
                html! { (link.email) },
                time::relative(link.created_at, now),
                time::relative(link.expires_at, now),
                html! {
                    @if may(session, &MANAGE_MEMBERS) && link.role <= session.principal.snapshot.role {
                        form method="post" action={ "/settings/people/sign-in-links/" (link.id) "/revoke" } {
                            button.quiet { "Take back" span.hidden { " the link for " (link.email) } }
                        }
                    }
                },
            ])))
        }
    }
}

/// Takes a sign-in link back.
pub(crate) async fn take_back_link(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let id = SignInLinkId::parse(call.param("link")).ok_or(Error::NotFound)?;
    let organization_id = session.principal.snapshot.organization_id;
    match Sessions::new(call.app).take_back_link(&session.principal, organization_id, id).await {
        // It is gone, even if it was used.
        Ok(()) | Err(Error::NotFound) => Ok(see_other("/settings/people?done=link-taken-back")),
        Err(error) => Err(error.into()),
    }
}

fn take_back_button(session: &SignedIn, invitation: &Invitation) -> Markup {
    html! {
        @if may(session, &MANAGE_MEMBERS) {
            form method="post" action={ "/settings/people/invitations/" (invitation.id) "/revoke" } {
                button.quiet { "Take back" span.hidden { " the invitation for " (invitation.email.as_str()) } }
            }
        }
    }
}

fn invite_form(
    call: &Call<'_>,
    session: &SignedIn,
    typed: &InvitationFields<'_>,
    mistakes: &Mistakes,
) -> Result<Markup, Error> {
    Ok(html! {
        h2 #invite { "Invite a person" }
        (mistakes.above(FORM))
        @if !may(session, &MANAGE_MEMBERS) {
            p.hint { "The key that you are signed in with lacks the scope " code { "members:write" } "." }
        } @else if session.principal.snapshot.scopes != Scopes::Full {
            p.hint {
                "New members get full access within their role, so inviting needs a session with full access. Sign in with a \
                 key with full access, or by a link."
            }
        } @else {
            form.card method="post" action=(PEOPLE) aria-labelledby="invite" {
                (nonce(call)?)
                (Field::new("email", "Address", mistakes).hint("No mail is sent. You get a link to pass on.")
                    .text("email", typed.email, true))
                (Field::new("role", "Role", mistakes).hint(ROLES).select(&roles(session), typed.role))
                (Field::new("lasts", "The link works for", mistakes).select(&LASTS, typed.lasts))
                button { "Create invitation" }
            }
        }
    })
}

const ROLES: &str = "Members see and manage their own keys, admins all keys and the organization; owners also manage \
                     admins' and owners' roles.";

/// Returns the roles that the person can give: value, name.
fn roles(session: &SignedIn) -> Vec<(&'static str, &'static str)> {
    let most = session.principal.snapshot.role;
    Role::ALL.into_iter().filter(|role| *role <= most).map(|role| (role.as_str(), role_name(role))).collect()
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "Member",
        Role::Admin => "Admin",
        Role::Owner => "Owner",
    }
}

fn read_role(text: &str) -> Result<Role, &'static str> {
    Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or("choose one of the roles")
}

/// Invites a person, and shows the link once.
pub(crate) async fn invite(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let typed = InvitationFields { email: form.get("email"), role: form.get("role"), lasts: form.get("lasts") };
    let mut mistakes = Mistakes::default();
    let email = mistakes.read("email", Email::try_from(typed.email.to_owned()));
    let role = mistakes.read("role", read_role(typed.role));
    let days = LASTS.iter().find(|(days, _)| *days == typed.lasts).and_then(|(days, _)| days.parse::<i64>().ok());
    let days = mistakes.read("lasts", days.ok_or("choose how long the link works"));
    let (Some(email), Some(role), Some(days)) = (email, role, days) else {
        return show(call, session, &typed, &mistakes).await;
    };
    let organization_id = session.principal.snapshot.organization_id;
    match Invitations::new(call.app)
        .create(&form.once(call, session)?, organization_id, email, role, days * DAY_MS)
        .await
    {
        Ok((invitation, token)) => Ok(invited(call, session, &invitation, &token)),
        Err(Error::Spent(_)) => {
            let advice = "revoke the invitation and create another.";
            Ok(reveal::gone(call, session, advice, PEOPLE, "Go to the people"))
        }
        Err(error) => {
            let places = [("already_invited", "email"), ("already_member", "email")];
            show(call, session, &typed, &Mistakes::of(call, session, error, FORM, &places)?).await
        }
    }
}

fn invited(call: &Call<'_>, session: &SignedIn, invitation: &Invitation, token: &InvitationToken) -> Response {
    let link = format!("{}/invitations/{}", call.request.origin, token.expose());
    let content = html! {
        p {
            "Send this link to " strong { (invitation.email.as_str()) } ". The first person to open it joins "
            strong { (session.organization.as_str()) } " as " (role_name(invitation.role).to_lowercase())
            ", so send it where only they read it. It works once, until " (time::date(invitation.expires_at)) "."
        }
        (reveal::once("The link", &link, "Copy the link", PEOPLE))
        p { "If you lose it, revoke the invitation and create another." }
    };
    Page { secret: true, ..Page::of(call, session, "Invitation", content) }.response(200)
}

pub(crate) async fn take_back(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let id = InvitationId::parse(call.param("invitation")).ok_or(Error::NotFound)?;
    match Invitations::new(call.app).revoke(&session.principal, session.principal.snapshot.organization_id, id).await {
        // It is gone, even if another request revoked it.
        Ok(()) | Err(Error::NotFound) => Ok(see_other("/settings/people?done=taken-back")),
        Err(error) => Err(error.into()),
    }
}

async fn member(call: &Call<'_>, session: &SignedIn) -> Result<Member, Problem> {
    let id = UserId::parse(call.param("user")).ok_or(Error::NotFound)?;
    Ok(People::new(call.app).get(&session.principal, session.principal.snapshot.organization_id, id).await?)
}

pub(crate) async fn get(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let member = member(call, session).await?;
    person(call, session, &member, member.role.as_str(), &Mistakes::default(), false)
}

fn person(
    call: &Call<'_>,
    session: &SignedIn,
    member: &Member,
    role: &str,
    mistakes: &Mistakes,
    may_force: bool,
) -> Result<Response, Problem> {
    let own = session.principal.snapshot.user_id == Some(member.user_id);
    let below = member.role <= session.principal.snapshot.role;
    let path = format!("{PEOPLE}/{}", member.user_id);
    let content = html! {
        (back(PEOPLE, "People"))
        (done(call, &[("role", "The role was changed.")]))
        dl.card {
            dt { "Role" } dd { (role_name(member.role)) }
            dt { "Since" } dd { (time::date(member.joined_at)) }
            dt { "Id" } dd.mono { (member.user_id) }
        }
        @if may(session, &needs::AUDIT) {
            p { a href={ (AUDIT) "?person=" (member.user_id) } { "Activity of this person" } }
        }
        (mistakes.above(FORM))
        @if may(session, &MANAGE_MEMBERS) && below {
            form.card method="post" action=(path) {
                h2 { "Change the role" }
                (Field::new("role", "Role", mistakes).hint(ROLES).select(&roles(session), role))
                @if may_force { (force()) }
                button { "Change the role" }
            }
        } @else if session.principal.administers().is_ok() && !below {
            p.hint { "Only an owner can change or remove an owner." }
        } @else {
            p.hint { "Owners and admins can change roles." }
        }
        (mistakes.above(LINK))
        @if may(session, &MANAGE_MEMBERS) && below && session.principal.snapshot.scopes == Scopes::Full {
            form.card method="post" action={ (path) "/sign-in-link" } {
                h2 { "Sign-in link" }
                (nonce(call)?)
                p.hint { "It signs " (member.email) " in here without a key, once, within a quarter of an hour." }
                button.quiet { "Create sign-in link" }
            }
        }
        @if may(session, &MEMBERS_WRITE) && below && (own || session.principal.administers().is_ok()) {
            p { a.button.danger href={ (path) "/remove" } { (leave_or_remove(own)) } }
        }
    };
    Ok(Page::of(call, session, &member.email, content).response(mistakes.status()))
}

/// Creates a link that signs a person in, and shows it once.
pub(crate) async fn make_link(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let (form, member) = (Form::read(call.request)?, member(call, session).await?);
    let path = format!("{PEOPLE}/{}", member.user_id);
    let organization_id = session.principal.snapshot.organization_id;
    let made = Sessions::new(call.app).create_link(&form.once(call, session)?, organization_id, member.user_id).await;
    let (token, expires_at) = match made {
        Ok(made) => made,
        Err(Error::Spent(_)) => {
            return Ok(reveal::gone(call, session, "create another.", &path, "Go to the person"));
        }
        Err(error) => {
            let mistakes = Mistakes::of(call, session, error, LINK, &[])?;
            return person(call, session, &member, member.role.as_str(), &mistakes, false);
        }
    };
    let link = format!("{}/sign-in/{}", call.request.origin, token.expose());
    let content = html! {
        p {
            "Send this link to " strong { (member.email) } ". The first person to open it is signed in as this person, so \
             send it where only they can read it. It works once, until " (time::date(expires_at)) "."
        }
        (reveal::once("The link", &link, "Copy the link", &path))
        p { "If you lose it, create another." }
    };
    Ok(Page { secret: true, ..Page::of(call, session, "Sign-in link", content) }.response(200))
}

fn leave_or_remove(own: bool) -> &'static str {
    if own { "Leave the organization …" } else { "Remove from the organization …" }
}

/// Renders the box that confirms the removal of the last key that can manage keys.
fn force() -> Markup {
    html! {
        label.check {
            input type="checkbox" name="force" value="yes" required;
            " Do it anyway. The organization will have no key that can create or revoke keys."
        }
    }
}

/// Returns the mistake, and whether it can be confirmed. The API's message names a parameter instead.
fn insisting(
    call: &Call<'_>,
    session: &SignedIn,
    error: Error,
    field: &'static str,
) -> Result<(Mistakes, bool), Problem> {
    let mistakes = Mistakes::of(call, session, error, FORM, &[("last_owner", field)])?;
    if !mistakes.refused_with("last_managing_key") {
        return Ok((mistakes, false));
    }
    let message = "This person has the only key that can manage the organization's keys, or the only one with full access. \
                   Create another one first.";
    Ok((mistakes.saying(message), true))
}

pub(crate) async fn change_role(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let member = member(call, session).await?;
    let mut mistakes = Mistakes::default();
    let Some(role) = mistakes.read("role", read_role(form.get("role"))) else {
        return person(call, session, &member, member.role.as_str(), &mistakes, false);
    };
    let organization_id = session.principal.snapshot.organization_id;
    let forced = form.get("force") == "yes";
    match People::new(call.app)
        .set_role(&session.principal, organization_id, member.user_id, role, forced, Expected::ANY)
        .await
    {
        Ok(_) => Ok(see_other(&format!("{PEOPLE}/{}?done=role", member.user_id))),
        Err(error) => {
            let (mistakes, may_force) = insisting(call, session, error, "role")?;
            person(call, session, &member, role.as_str(), &mistakes, may_force)
        }
    }
}

pub(crate) async fn ask_to_remove(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let member = member(call, session).await?;
    removal(call, session, &member, &Mistakes::default(), false).await
}

async fn removal(
    call: &Call<'_>,
    session: &SignedIn,
    member: &Member,
    mistakes: &Mistakes,
    may_force: bool,
) -> Result<Response, Problem> {
    let keys = keys_of(call, session, member.user_id).await?;
    let preview = if may(session, &READ) {
        let organization_id = session.principal.snapshot.organization_id;
        Some(People::new(call.app).descendants(&session.principal, organization_id, member.user_id).await?)
    } else {
        None
    };
    let own = session.principal.snapshot.user_id == Some(member.user_id);
    let path = format!("{PEOPLE}/{}", member.user_id);
    let now = call.app.clock.now();
    let content = html! {
        (back(&path, &member.email))
        form.card method="post" action={ (path) "/remove" } {
            (mistakes.above(FORM))
            p { "This cannot be undone. With " strong { (member.email) } " end:" }
            ul {
                li {
                    @match &keys {
                        Some((keys, _)) if keys.is_empty() => "their keys: there are none that work",
                        Some((keys, has_more)) => {
                            "their keys, which are refused everywhere from then on:"
                            ul {
                                @for key in keys {
                                    li {
                                        strong { (key.name.as_str()) } ", "
                                        @match key.last_used_at {
                                            Some(at) => { "last used " (time::relative(at, now)) }
                                            None => "never used",
                                        }
                                    }
                                }
                                @if *has_more { li { "and more" } }
                            }
                        }
                        None => "all their keys, which are refused everywhere from then on",
                    }
                }
                li { "wherever they are signed in to these pages" }
                li { "their place in every team, and what was shared with them" }
                li { "open invitations that they made" }
            }
            p.hint {
                "Keys of the organization and of its projects do not end, unless you choose it, even if this person created \
                 them."
            }
            @if let Some(preview) = &preview {
                (descendants::choice(preview, now))
                @if !preview.seen.is_empty() {
                    p { "These keys stay, but this person has rotated them and so has seen their secrets. Rotate them again:" }
                    (descendants::named(&preview.seen, now))
                }
            }
            p.hint { "If you invite them again they join as a new person, without their old keys." }
            @if may_force { (force()) }
            div.bar {
                button.danger { @if own { "Leave the organization" } @else { "Remove " (member.email) } }
                a.button.quiet href=(path) { "Cancel" }
            }
        }
    };
    let title = if own { "Leave the organization" } else { "Remove a person" };
    Ok(Page::of(call, session, title, content).response(mistakes.status()))
}

/// Returns the keys that end with a person, as far as they are named, and whether there are more; `None` for a person
/// who may not see them.
async fn keys_of(call: &Call<'_>, session: &SignedIn, user_id: UserId) -> Result<Option<(Vec<Key>, bool)>, Problem> {
    if !may(session, &READ) {
        return Ok(None);
    }
    let filter = KeyFilter { user_id: Some(user_id), ..KeyFilter::default() };
    let page = Keys::new(call.app).list(&session.principal, &filter, KeyCursor::Start, KEYS_NAMED).await?;
    Ok(Some((page.items, page.has_more)))
}

pub(crate) async fn remove(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let member = member(call, session).await?;
    let (forced, with_descendants) = (form.get("force") == "yes", form.get("with_descendants") == "yes");
    match People::new(call.app)
        .remove(
            &session.principal,
            session.principal.snapshot.organization_id,
            member.user_id,
            forced,
            with_descendants,
        )
        .await
    {
        Ok(_) => Ok(see_other("/settings/people?done=removed")),
        Err(error) => {
            let (mistakes, may_force) = insisting(call, session, error, FORM)?;
            removal(call, session, &member, &mistakes, may_force).await
        }
    }
}
