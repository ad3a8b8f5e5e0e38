//! Teams: made, renamed, filled and deleted.

use bitting_http::{
    call::Call,
    message::Response,
    paging::{DEFAULT_LIMIT, MAX_LIMIT},
    problem::Problem,
};
use bitting_keys::{
    app::{error::Error, people::People, sessions::SignedIn, teams::Teams},
    domain::{
        expected::Expected,
        id::{TeamId, UserId},
        key::Name,
        person::{Member, Team, TeamMember},
    },
};
use maud::{Markup, html};

use crate::{
    field::{FORM, Field, Mistakes},
    form::{Form, query},
    layout::{Page, back, done, further, see_other},
    needs::{MANAGE_MEMBERS, may},
    table::{ACTIONS, table},
    time,
};

const TEAMS: &str = "/settings/teams";
/// The form that adds a person to a team.
const ADD: &str = "add";
/// The fields of the use case's refusals.
const PLACES: [(&str, &str); 1] = [("team_exists", "name")];

pub(crate) async fn list(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    show(call, session, "", &Mistakes::default()).await
}

async fn show(call: &Call<'_>, session: &SignedIn, name: &str, mistakes: &Mistakes) -> Result<Response, Problem> {
    let organization_id = session.principal.snapshot.organization_id;
    let after = TeamId::parse(&query(call.request, "after"));
    let page = match Teams::new(call.app).list(&session.principal, organization_id, after, DEFAULT_LIMIT).await {
        // A key that acts as nobody and does not administer either is in no team.
        Err(Error::NotFound) => None,
        page => Some(page?),
    };
    let teams = page.as_ref().map_or(&[][..], |page| &page.items);
    let now = call.app.clock.now();
    let content = html! {
        (done(call, &[("deleted", "The team was deleted. Its people are still in the organization.")]))
        p.hint {
            "Share data sets and evaluations with all members of a team at once."
            @if session.principal.administers().is_err() { " You see the teams that you are in." }
        }
        @if teams.is_empty() { p { "There are no teams" @if session.principal.administers().is_err() { " that you are in" } "." } }
        @else {
            (table(&["Team", "Made"], teams.iter().map(|team| vec![
                html! { a href={ (TEAMS) "/" (team.id) } { (team.name.as_str()) } },
                time::relative(team.created_at, now),
            ])))
        }
        @if let (true, Some(last)) = (page.as_ref().is_some_and(|page| page.has_more), teams.last()) {
            (further(call, &last.id.to_string(), "More teams"))
        }
        @if may(session, &MANAGE_MEMBERS) {
            form.card method="post" action=(TEAMS) {
                h2 { "Create a team" }
                (mistakes.above(FORM))
                (name_field(name, mistakes))
                button { "Create team" }
            }
        } @else {
            p.hint { "Owners and admins can create teams." }
        }
    };
    Ok(Page::of(call, session, "Teams", content).response(mistakes.status()))
}

fn name_field(name: &str, mistakes: &Mistakes) -> Markup {
    Field::new("name", "Name", mistakes).text("text", name, true)
}

pub(crate) async fn create(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let typed = form.get("name");
    let mut mistakes = Mistakes::default();
    let Some(name) = mistakes.read("name", Name::try_from(typed.to_owned())) else {
        return show(call, session, typed, &mistakes).await;
    };
    match Teams::new(call.app).create(&session.principal, session.principal.snapshot.organization_id, name).await {
        Ok(team) => Ok(see_other(&format!("{TEAMS}/{}?done=made", team.id))),
        Err(error) => show(call, session, typed, &Mistakes::of(call, session, error, FORM, &PLACES)?).await,
    }
}

fn team_id(call: &Call<'_>) -> Result<TeamId, Error> {
    TeamId::parse(call.param("team")).ok_or(Error::NotFound)
}

pub(crate) async fn get(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    one(call, session, None, &Mistakes::default()).await
}

/// One team; `name` is what was typed for its name.
async fn one(
    call: &Call<'_>,
    session: &SignedIn,
    name: Option<&str>,
    mistakes: &Mistakes,
) -> Result<Response, Problem> {
    let (by, organization_id) = (&session.principal, session.principal.snapshot.organization_id);
    let (team, members) = Teams::new(call.app).get(by, organization_id, team_id(call)?).await?;
    let people = People::new(call.app).list(by, organization_id, None, MAX_LIMIT).await?;
    let may = may(session, &MANAGE_MEMBERS);
    let path = format!("{TEAMS}/{}", team.id);
    let outside: Vec<(String, &str)> = people
        .items
        .iter()
        .filter(|person| !members.iter().any(|member| member.user_id == person.user_id))
        .map(|person| (person.user_id.to_string(), person.email.as_str()))
        .collect();
    let content = html! {
        (back(TEAMS, "Teams"))
        (done(call, &[
            ("made", "The team was created."),
            ("renamed", "The team was renamed."),
            ("added", "The person was added to the team."),
            ("removed", "The person was removed from the team."),
        ]))
        (in_team(call, &team, &members, &people.items, may))
        @if may {
            @if outside.is_empty() { p.hint { "All members are in this team." } } @else {
                form.card method="post" action={ (path) "/members" } {
                    h2 { "Add a person" }
                    (mistakes.above(ADD))
                    (Field::new("user", "Person", mistakes).select(&outside, ""))
                    button { "Add to the team" }
                }
            }
            form.card method="post" action=(path) {
                h2 { "Rename the team" }
                (mistakes.above(FORM))
                (name_field(name.unwrap_or(team.name.as_str()), mistakes))
                button { "Rename" }
            }
            p { a.button.danger href={ (path) "/delete" } { "Delete the team …" } }
        } @else {
            p.hint { "Owners and admins can change teams." }
        }
    };
    Ok(Page::of(call, session, team.name.as_str(), content).response(mistakes.status()))
}

/// Renders the members of a team. A person who does not administer the organization sees only their own address.
fn in_team(call: &Call<'_>, team: &Team, members: &[TeamMember], people: &[Member], may: bool) -> Markup {
    let now = call.app.clock.now();
    let address = |member: &TeamMember| {
        let person = people.iter().find(|person| person.user_id == member.user_id);
        person.map_or_else(|| format!("Person {}", member.user_id), |person| person.email.clone())
    };
    let take_out = |member: &TeamMember| {
        html! {
            form method="post" action={ (TEAMS) "/" (team.id) "/members/" (member.user_id) "/remove" } {
                button.quiet { "Take out" span.hidden { " " (address(member)) } }
            }
        }
    };
    let row = |member: &TeamMember| {
        let mut row = vec![html! { (address(member)) }, time::relative(member.added_at, now)];
        row.extend(may.then(|| take_out(member)));
        row
    };
    let columns: &[&str] =
        if may { &["Person", "In the team since", ACTIONS] } else { &["Person", "In the team since"] };
    html! {
        @if members.is_empty() { p { "This team has no members yet." } } @else {
            (table(columns, members.iter().map(row)))
        }
    }
}

pub(crate) async fn rename(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let (form, id) = (Form::read(call.request)?, team_id(call)?);
    let typed = form.get("name");
    let mut mistakes = Mistakes::default();
    let Some(name) = mistakes.read("name", Name::try_from(typed.to_owned())) else {
        return one(call, session, Some(typed), &mistakes).await;
    };
    match Teams::new(call.app)
        .rename(&session.principal, session.principal.snapshot.organization_id, id, &name, Expected::ANY)
        .await
    {
        Ok(_) => Ok(see_other(&format!("{TEAMS}/{id}?done=renamed"))),
        Err(error) => one(call, session, Some(typed), &Mistakes::of(call, session, error, FORM, &PLACES)?).await,
    }
}

pub(crate) async fn add(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let (form, id) = (Form::read(call.request)?, team_id(call)?);
    let mut mistakes = Mistakes::default();
    let user_id = UserId::parse(form.get("user")).ok_or("choose a person");
    let Some(user_id) = mistakes.read("user", user_id) else {
        return one(call, session, None, &mistakes).await;
    };
    match Teams::new(call.app).add(&session.principal, session.principal.snapshot.organization_id, id, user_id).await {
        Ok(()) => Ok(see_other(&format!("{TEAMS}/{id}?done=added"))),
        // Somebody who has left since; a team that is gone is no page.
        Err(Error::NotFound) => {
            mistakes.add("user", "this person is not in the organization any more");
            one(call, session, None, &mistakes).await
        }
        Err(error) => {
            one(call, session, None, &Mistakes::of(call, session, error, ADD, &[("team_full", "user")])?).await
        }
    }
}

pub(crate) async fn take_out(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let id = team_id(call)?;
    let user_id = UserId::parse(call.param("user")).ok_or(Error::NotFound)?;
    match Teams::new(call.app).remove(&session.principal, session.principal.snapshot.organization_id, id, user_id).await
    {
        // The person is out of the team, even if another request did that.
        Ok(()) | Err(Error::NotFound) => Ok(see_other(&format!("{TEAMS}/{id}?done=removed"))),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn ask_to_delete(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let id = team_id(call)?;
    let (team, members) =
        Teams::new(call.app).get(&session.principal, session.principal.snapshot.organization_id, id).await?;
    let path = format!("{TEAMS}/{id}");
    let content = html! {
        (back(&path, team.name.as_str()))
        form.card method="post" action={ (path) "/delete" } {
            p {
                @match members.len() {
                    0 => "This team has no members.",
                    1 => "One person is in this team, and stays in the organization with all keys.",
                    count => { (count) " people are in this team. They stay in the organization with all their keys." }
                }
                " What was shared with the team is no longer shared with it. This cannot be undone."
            }
            div.bar {
                button.danger { "Delete the team " (team.name.as_str()) }
                a.button.quiet href=(path) { "Cancel" }
            }
        }
    };
    Ok(Page::of(call, session, "Delete a team", content).response(200))
}

pub(crate) async fn delete(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    match Teams::new(call.app)
        .delete(&session.principal, session.principal.snapshot.organization_id, team_id(call)?)
        .await
    {
        Ok(()) | Err(Error::NotFound) => Ok(see_other("/settings/teams?done=deleted")),
        Err(error) => Err(error.into()),
    }
}
