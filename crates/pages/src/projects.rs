//! Projects: made with a first key, changed, and deleted with all their keys.

use bitting_http::{
    call::Call,
    message::Response,
    paging::{DEFAULT_LIMIT, MAX_LIMIT},
    problem::Problem,
};
use bitting_keys::{
    app::{error::Error, keys::Keys, projects::Projects, sessions::SignedIn},
    domain::{
        expected::Expected,
        id::ProjectId,
        key::Name,
        key_list::KeyFilter,
        project::{Project, ProjectChange},
    },
};
use maud::{Markup, html};

use crate::{
    field::{FORM, Field, Mistakes},
    form::{Form, nonce, query},
    layout::{Page, back, done, further, see_other},
    needs::{MANAGE_PROJECTS, READ, may},
    reveal,
    table::table,
    time,
};

const PROJECTS: &str = "/settings/projects";

/// The fields of a form for a project, as they were sent.
#[derive(Default)]
struct ProjectFields<'a> {
    name: &'a str,
    description: &'a str,
}

impl<'a> ProjectFields<'a> {
    fn read(form: &'a Form) -> Self {
        Self { name: form.get("name"), description: form.get("description") }
    }

    /// The description; `None`: nothing was typed.
    fn described(&self) -> Option<String> {
        (!self.description.is_empty()).then(|| self.description.to_owned())
    }

    fn fields(&self, mistakes: &Mistakes) -> Markup {
        let hint = "Optional.";
        html! {
            (mistakes.above(FORM))
            (Field::new("name", "Name", mistakes).text("text", self.name, true))
            (Field::new("description", "Description", mistakes).hint(hint).text("text", self.description, false))
        }
    }
}

pub(crate) async fn list(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    show(call, session, &ProjectFields::default(), &Mistakes::default()).await
}

async fn show(
    call: &Call<'_>,
    session: &SignedIn,
    typed: &ProjectFields<'_>,
    mistakes: &Mistakes,
) -> Result<Response, Problem> {
    let after = ProjectId::parse(&query(call.request, "after"));
    let page = Projects::new(call.app)
        .list(&session.principal, session.principal.snapshot.organization_id, after, DEFAULT_LIMIT)
        .await?;
    let now = call.app.clock.now();
    let content = html! {
        (done(call, &[("deleted", "The project was deleted, and all its keys have ended.")]))
        p.hint { "A project key sees that project only, and keeps working when people leave." }
        @if page.items.is_empty() { p { "There are no projects." } } @else {
            (table(&["Project", "Description", "Made"], page.items.iter().map(|project| vec![
                html! { a href={ (PROJECTS) "/" (project.id) } { (project.name.as_str()) } },
                html! { (project.description.as_deref().unwrap_or("–")) },
                time::relative(project.created_at, now),
            ])))
        }
        @if let (true, Some(last)) = (page.has_more, page.items.last()) {
            (further(call, &last.id.to_string(), "More projects"))
        }
        @if may(session, &MANAGE_PROJECTS) {
            form.card method="post" action=(PROJECTS) {
                h2 { "Create a project" }
                (nonce(call)?)
                (typed.fields(mistakes))
                p.hint { "You get its first key, which has full access to the project. It is shown once." }
                button { "Create project" }
            }
        } @else {
            p.hint { "Owners and admins can create projects." }
        }
    };
    Ok(Page::of(call, session, "Projects", content).response(mistakes.status()))
}

/// Makes a project. The answer has its first key, this once.
pub(crate) async fn create(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let typed = ProjectFields::read(&form);
    let mut mistakes = Mistakes::default();
    let Some(name) = mistakes.read("name", Name::try_from(typed.name.to_owned())) else {
        return show(call, session, &typed, &mistakes).await;
    };
    let organization_id = session.principal.snapshot.organization_id;
    match Projects::new(call.app).create(&form.once(call, session)?, organization_id, name, typed.described()).await {
        Ok((_, created)) => Ok(reveal::page(call, session, &created, "The first key of the project")),
        Err(Error::Spent(id)) => Ok(reveal::key_gone(call, session, &id)),
        Err(error) => show(call, session, &typed, &Mistakes::of(call, session, error, FORM, &[])?).await,
    }
}

async fn project(call: &Call<'_>, session: &SignedIn) -> Result<Project, Problem> {
    let id = ProjectId::parse(call.param("project")).ok_or(Error::NotFound)?;
    Ok(Projects::new(call.app).get(&session.principal, session.principal.snapshot.organization_id, id).await?)
}

pub(crate) async fn get(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let project = project(call, session).await?;
    let typed =
        ProjectFields { name: project.name.as_str(), description: project.description.as_deref().unwrap_or_default() };
    Ok(one(call, session, &project, &typed, &Mistakes::default()))
}

fn one(
    call: &Call<'_>,
    session: &SignedIn,
    project: &Project,
    typed: &ProjectFields<'_>,
    mistakes: &Mistakes,
) -> Response {
    let path = format!("{PROJECTS}/{}", project.id);
    let content = html! {
        (back(PROJECTS, "Projects"))
        (done(call, &[("changed", "The project was changed.")]))
        @if let Some(description) = &project.description { p { (description) } }
        dl.card {
            dt { "Made" } dd { (time::date(project.created_at)) }
            dt { "Id" } dd.mono { (project.id) }
        }
        @if may(session, &MANAGE_PROJECTS) {
            form.card method="post" action=(path) {
                h2 { "Change the project" }
                (typed.fields(mistakes))
                button { "Save" }
            }
            p { a.button.danger href={ (path) "/delete" } { "Delete the project …" } }
        } @else {
            p.hint { "Owners and admins can change projects." }
        }
    };
    Page::of(call, session, project.name.as_str(), content).response(mistakes.status())
}

pub(crate) async fn change(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let (typed, project) = (ProjectFields::read(&form), project(call, session).await?);
    let mut mistakes = Mistakes::default();
    let Some(name) = mistakes.read("name", Name::try_from(typed.name.to_owned())) else {
        return Ok(one(call, session, &project, &typed, &mistakes));
    };
    let description = typed.described();
    let change = ProjectChange {
        name: (name != project.name).then_some(name),
        description: (description != project.description).then_some(description),
    };
    let there = format!("{PROJECTS}/{}", project.id);
    if change == ProjectChange::default() {
        return Ok(see_other(&there));
    }
    match Projects::new(call.app)
        .update(&session.principal, project.organization_id, project.id, &change, Expected::ANY)
        .await
    {
        Ok(_) => Ok(see_other(&format!("{there}?done=changed"))),
        Err(error) => Ok(one(call, session, &project, &typed, &Mistakes::of(call, session, error, FORM, &[])?)),
    }
}

pub(crate) async fn ask_to_delete(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let project = project(call, session).await?;
    deletion(call, session, &project, "", &Mistakes::default()).await
}

async fn deletion(
    call: &Call<'_>,
    session: &SignedIn,
    project: &Project,
    typed: &str,
    mistakes: &Mistakes,
) -> Result<Response, Problem> {
    let keys = keys_of(call, session, project.id).await?;
    let path = format!("{PROJECTS}/{}", project.id);
    let name = project.name.as_str().trim();
    let content = html! {
        (back(&path, name))
        form.card method="post" action={ (path) "/delete" } {
            (mistakes.above(FORM))
            p {
                "All keys of the project end with it: "
                @match &keys {
                    Some(0) => "there are none.",
                    Some(1) => "one key.",
                    Some(count) => { strong { (count) " keys" } "." }
                    None => "whatever uses one of them is refused.",
                }
                " Whatever uses one of them is refused at once where the database is asked, and everywhere "
                (call.app.config.max_staleness_ms / 1000) " seconds later at the latest. This cannot be undone."
            }
            (Field::new("name", "Type the project's name to delete it", mistakes).hint(name)
                .text("text", typed, true))
            div.bar {
                button.danger { "Delete the project and end its keys" }
                a.button.quiet href=(path) { "Cancel" }
            }
        }
    };
    Ok(Page::of(call, session, "Delete a project", content).response(mistakes.status()))
}

/// Returns the number of keys that end with a project, as far as they are counted; `None` for a person who may not see
/// them.
async fn keys_of(call: &Call<'_>, session: &SignedIn, project_id: ProjectId) -> Result<Option<usize>, Problem> {
    if !may(session, &READ) {
        return Ok(None);
    }
    let filter = KeyFilter { project_id: Some(project_id), ..KeyFilter::default() };
    Ok(Some(Keys::new(call.app).list_whole(&session.principal, &filter, MAX_LIMIT).await?.len()))
}

pub(crate) async fn delete(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let (typed, project) = (form.get("name"), project(call, session).await?);
    let mut mistakes = Mistakes::default();
    if typed != project.name.as_str().trim() {
        mistakes.add("name", "this is not the project's name");
        return deletion(call, session, &project, typed, &mistakes).await;
    }
    match Projects::new(call.app).delete(&session.principal, project.organization_id, project.id).await {
        Ok(_) => Ok(see_other("/settings/projects?done=deleted")),
        Err(error) => deletion(call, session, &project, typed, &Mistakes::of(call, session, error, FORM, &[])?).await,
    }
}
