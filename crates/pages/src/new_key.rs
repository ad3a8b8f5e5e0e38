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
        key::{Created, Role},
        key_text::{Digest, KeyKind},
        scope::{Scope, Scopes},
    },
};
use maud::{Markup, html};
use serde_json::Map;

use crate::{
    conditions::{self, ConditionFields},
    field::{FORM, Mistakes},
    form::{Form, nonce, query},
    key_form::{self, KeyFields},
    layout::{Page, back, notice},
    reveal,
};

/// The number of characters of a suggested name.
const MAX_NAME_CHARS: usize = 100;
const READ_PROJECTS: Scope = Scope::named("projects:read");

pub(crate) async fn show(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let recipes = recipes(call);
    let chosen = query(call.request, "recipe").parse::<usize>().ok();
    let scopes =
        chosen.and_then(|index| recipes.get(index)).map(|recipe| recipe.scopes.iter().map(ToString::to_string));
    let typed = KeyFields {
        name: query(call.request, "name").chars().take(MAX_NAME_CHARS).collect(),
        owner: String::new(),
        scopes: scopes.map(Iterator::collect).unwrap_or_default(),
        full: false,
        expires: key_form::usual_expiry(&session.principal, call.app.clock.now()),
        date: String::new(),
        // A new key can have no wider ones.
        conditions: ConditionFields::of(&session.principal.snapshot.conditions),
    };
    let device = device(&query(call.request, "device"))?;
    page(call, session, &typed, &Mistakes::default(), chosen, device).await
}

/// Reads the digest of a program's token, if the key is for a program that has shown a link.
fn device(digest: &str) -> Result<Option<Digest>, Error> {
    let read = || {
        let message = "is not whole; copy the link of the program again";
        Digest::from_hex(digest).ok_or_else(|| Error::invalid("device", message))
    };
    (!digest.is_empty()).then(read).transpose()
}

pub(crate) async fn create(call: &Call<'_>, session: &SignedIn) -> Result<Response, Problem> {
    let form = Form::read(call.request)?;
    let device = device(form.get("device"))?;
    let (typed, now) = (KeyFields::read(&form), call.app.clock.now());
    let mut mistakes = Mistakes::default();
    let name = mistakes.read("name", key_form::name(&typed));
    let owner = mistakes.read("owner", owner(&typed));
    let scopes = mistakes.read("scopes", key_form::scopes(call, &typed));
    let expires_at = mistakes.read("expires", key_form::expiry(&session.principal, now, &typed));
    let conditions = typed.conditions.conditions(&mut mistakes);
    let (Some(name), Some((kind, project_id)), Some(scopes), Some(expires_at), Some(conditions)) =
        (name, owner, scopes, expires_at, conditions)
    else {
        return page(call, session, &typed, &mistakes, None, device).await;
    };
    let new = NewKey {
        name,
        kind: Some(kind),
        project_id,
        label: None,
        scopes: Some(scopes),
        conditions: Some(conditions),
        expires_at: Some(expires_at),
        metadata: Map::new(),
        operator_metadata: Map::new(),
        device,
    };
    match Keys::new(call.app).create(&form.once(call, session)?, new).await {
        Ok(Created { key, .. }) if device.is_some() => Ok(approved(call, session, &key.id.to_string())),
        Err(Error::Spent(id)) if device.is_some() => Ok(approved(call, session, &id)),
        Ok(created) => Ok(reveal::page(call, session, &created, "Copy your new key")),
        Err(Error::Spent(id)) => Ok(reveal::key_gone(call, session, &id)),
        Err(error) => page(call, session, &typed, &key_form::mistakes(call, session, error)?, None, device).await,
    }
}

/// The page after a key was approved for a program.
fn approved(call: &Call<'_>, session: &SignedIn, id: &str) -> Response {
    let content = html! {
        p { "The program gets the key within a few seconds. Go back to it." }
        p.hint { "If it does not ask for it within ten minutes, the key expires and nobody has it." }
        p { a.button href={ "/settings/keys/" (id) } { "Go to the key" } }
    };
    Page::of(call, session, "Approved", content).response(200)
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
    device: Option<Digest>,
) -> Result<Response, Problem> {
    let (owners, now) = (owners(call, session).await?, call.app.clock.now());
    let content = if owners.is_empty() {
        notice("You are signed in with a project key, which cannot create other keys. Sign in with another key.")
    } else {
        html! {
            (back("/settings/keys", "API keys"))
            (mistakes.above(FORM))
            @if let Some(device) = device { (program_notice(device)) }
            (recipe_list(&recipes(call), &session.principal, chosen, device))
            form.card.wide method="post" action="/settings/keys/new" {
                (nonce(call)?)
                @if let Some(device) = device { input type="hidden" name="device" value=(device.to_hex()); }
                (key_form::name_field(typed, mistakes))
                (key_form::owner_field(&owners, typed, mistakes))
                (key_form::scope_fields(&call.app.config.catalogue, &session.principal, None, typed, mistakes))
                (key_form::expiry_fields(&session.principal, now, None, typed, mistakes))
                (conditions::fields(&typed.conditions, mistakes))
                div.actions {
                    button { @if device.is_some() { "Approve" } @else { "Create the key" } }
                    a href="/settings/keys" { "Cancel" }
                }
            }
        }
    };
    Ok(Page::of(call, session, "New API key", content).response(mistakes.status()))
}

/// Tells who gets the key, and by which code the person knows the program again.
fn program_notice(device: Digest) -> Markup {
    let code = device.to_hex().to_uppercase();
    let code = code.get(..4).zip(code.get(4..8)).map(|(start, end)| format!("{start}-{end}")).unwrap_or_default();
    html! {
        div.card {
            p { "A program on a device of yours asks for this key, and gets it when you approve. It shows the code:" }
            p { strong.mono { (code) } }
            p {
                "If you have not started such a program just now, or it shows another code, do not approve: whoever sent you \
                 this link would get the key."
            }
        }
    }
}

fn recipe_list(recipes: &[Recipe<'_>], by: &Principal, chosen: Option<usize>, device: Option<Digest>) -> Markup {
    let device = device.map(|device| format!("&device={}", device.to_hex())).unwrap_or_default();
    let texts = |scopes: &[Scope]| scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
    let within_reach = |recipe: &Recipe<'_>| by.snapshot.scopes.missing(recipe.scopes).is_empty();
    html! {
        section aria-labelledby="recipes" {
            h2 #recipes { "What is it for?" }
            p.hint { "Pick a use case to preselect scopes, or choose them yourself." }
            ul.recipes {
                @for (index, recipe) in recipes.iter().enumerate().filter(|(_, recipe)| within_reach(recipe)) {
                    li {
                        a href={ "/settings/keys/new?recipe=" (index) (device) "#name" } data-scopes=(texts(recipe.scopes))
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
