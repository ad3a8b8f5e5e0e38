//! Making a key.

use bitting_http::{call::Call, message::Response, paging::MAX_LIMIT, problem::Problem};
use bitting_keys::{
    app::{
        Principal,
        error::Error,
        keys::{Keys, NewKey},
        projects::Projects,
        sessions::SignedIn,
    },
    domain::{
        id::ProjectId,
        key::Role,
        key_text::KeyKind,
        scope::{Scope, Scopes},
    },
};
use maud::{Markup, html};
use serde_json::Map;

use crate::{
    field::{FORM, Mistakes},
    form::{Form, nonce, query},
    key_form::{self, KeyFields},
    layout::{Page, back, notice},
    reveal,
};

const READ_PROJECTS: Scope = Scope::named("projects:read");

pub(crate) async fn show(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let recipes = recipes(call);
    let chosen = query(call.request, "recipe").parse::<usize>().ok();
    let scopes =
        chosen.and_then(|index| recipes.get(index)).map(|recipe| recipe.scopes.iter().map(ToString::to_string));
    let typed = KeyFields {
        name: String::new(),
        owner: String::new(),
        scopes: scopes.map(Iterator::collect).unwrap_or_default(),
        full: false,
        expires: key_form::usual_expiry(&session.principal, call.app.clock.now()),
        date: String::new(),
    };
    page(call, session, &typed, &Mistakes::default(), chosen).await
}

pub(crate) async fn create(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let (typed, now) = (KeyFields::read(&form), call.app.clock.now());
    let mut mistakes = Mistakes::default();
    let name = mistakes.read("name", key_form::name(&typed));
    let owner = mistakes.read("owner", owner(&typed));
    let scopes = mistakes.read("scopes", key_form::scopes(call, &typed));
    let expires_at = mistakes.read("expires", key_form::expiry(&session.principal, now, &typed));
    let (Some(name), Some((kind, project_id)), Some(scopes), Some(expires_at)) = (name, owner, scopes, expires_at)
    else {
        return page(call, session, &typed, &mistakes, None).await;
    };
    let new = NewKey {
        name,
        kind: Some(kind),
        project_id,
        label: None,
        scopes: Some(scopes),
        expires_at: Some(expires_at),
        metadata: Map::new(),
        operator_metadata: Map::new(),
    };
    match Keys::new(call.app).create(&form.once(call, session)?, new).await {
        Ok(created) => Ok(reveal::page(call, session, &created, "Copy your new key")),
        Err(Error::Spent(id)) => Ok(reveal::key_gone(call, session, &id)),
        Err(error) => page(call, session, &typed, &key_form::mistakes(call, session, error)?, None).await,
    }
}

/// A purpose of a key, and the scopes for it.
struct Recipe<'a> {
    title: String,
    scopes: &'a [Scope],
    note: &'a str,
}

/// The operator's recipes, and the bundles, which are recipes without a word.
fn recipes<'a>(call: &Call<'a>) -> Vec<Recipe<'a>> {
    let catalogue = &call.app.config.catalogue;
    let preset = catalogue.presets.iter();
    let preset =
        preset.map(|preset| Recipe { title: preset.title.clone(), scopes: &preset.scopes, note: &preset.note });
    let bundle = catalogue.bundles.iter().filter_map(|(name, scopes)| match scopes {
        Scopes::List(scopes) => Some(Recipe { title: format!("Bundle {name}"), scopes, note: "" }),
        Scopes::Full => None,
    });
    preset.chain(bundle).collect()
}

/// Returns the owners that a key of this person can have.
async fn owners(call: &Call<'_>, session: &SignedIn) -> Result<Vec<(String, String)>, Error> {
    let caller = &session.principal.snapshot;
    let mut owners = Vec::new();
    if caller.user_id.is_some() {
        owners.push(("me".to_owned(), format!("Yours: {}", session.name)));
    }
    if caller.role >= Role::Admin {
        owners.push(("organization".to_owned(), format!("The organization's: {}", session.organization.as_str())));
        if caller.scopes.grant(&READ_PROJECTS) {
            let projects =
                Projects::new(call.app).list(&session.principal, caller.organization_id, None, MAX_LIMIT).await?;
            let option = |id: ProjectId, name: &str| (id.to_string(), format!("The project's: {name}"));
            owners.extend(projects.items.iter().map(|project| option(project.id, project.name.as_str())));
        }
    }
    Ok(owners)
}

/// Returns the owner that was chosen.
fn owner(typed: &KeyFields) -> Result<(KeyKind, Option<ProjectId>), &'static str> {
    match typed.owner.as_str() {
        "me" => Ok((KeyKind::Pat, None)),
        "organization" => Ok((KeyKind::Org, None)),
        project => match ProjectId::parse(project) {
            Some(id) => Ok((KeyKind::Proj, Some(id))),
            None => Err("choose whose it is"),
        },
    }
}

async fn page(
    call: &Call<'_>,
    session: &SignedIn,
    typed: &KeyFields,
    mistakes: &Mistakes,
    chosen: Option<usize>,
) -> Result<Response, Problem> {
    let (owners, now) = (owners(call, session).await?, call.app.clock.now());
    let content = if owners.is_empty() {
        notice("You are signed in with a project key, which cannot create other keys. Sign in with another key.")
    } else {
        html! {
            (back("/settings/keys", "API keys"))
            (mistakes.above(FORM))
            (recipe_list(&recipes(call), &session.principal, chosen))
            form.card.wide method="post" action="/settings/keys/new" {
                (nonce(call)?)
                (key_form::name_field(typed, mistakes))
                (key_form::owner_field(&owners, typed, mistakes))
                (key_form::scope_fields(&call.app.config.catalogue, &session.principal, None, typed, mistakes))
                (key_form::expiry_fields(&session.principal, now, None, typed, mistakes))
                div.actions {
                    button { "Create the key" }
                    a href="/settings/keys" { "Cancel" }
                }
            }
        }
    };
    Ok(Page::of(call, session, "New API key", content).response(mistakes.status()))
}

fn recipe_list(recipes: &[Recipe<'_>], by: &Principal, chosen: Option<usize>) -> Markup {
    let texts = |scopes: &[Scope]| scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
    let within_reach = |recipe: &Recipe<'_>| by.snapshot.scopes.missing(recipe.scopes).is_empty();
    html! {
        section aria-labelledby="recipes" {
            h2 #recipes { "What is it for?" }
            p.hint { "Pick a use case to preselect scopes, or choose them yourself." }
            ul.recipes {
                @for (index, recipe) in recipes.iter().enumerate().filter(|(_, recipe)| within_reach(recipe)) {
                    li {
                        a href={ "/settings/keys/new?recipe=" (index) "#name" } data-scopes=(texts(recipe.scopes))
                            title=(recipe.note) aria-current=[(chosen == Some(index)).then_some("true")] {
                            (recipe.title)
                        }
                    }
                }
            }
            p.hint role="status" data-recipe {
                @if let Some(recipe) = chosen.and_then(|index| recipes.get(index)) {
                    "Ticked: " (texts(recipe.scopes)) ". " (recipe.note)
                }
            }
        }
    }
}
