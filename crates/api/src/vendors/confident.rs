//! Confident AI's surface: `/v1` with objects in wrappers, as `confidentai` 0.2 asks for it, and `/v2`
//! with bare ones and rotation, as `confident-ai` asks for it. Fields that its clients need are there as
//! null when there is nothing to say.

use bitting_http::{
    call::Call,
    input,
    message::{Response, Rfc3339},
    paging::MAX_LIMIT,
    problem::{Problem, Report},
    route,
    route::Table,
};
use bitting_keys::{
    app::{
        Principal,
        error::{Error, Mistake},
        keys::{Keys, NewKey},
        organizations::Organizations,
        projects::Projects,
    },
    domain::{
        catalogue::Surface,
        expected::Expected,
        id::{KeyId, OrganizationId, ProjectId},
        key::{Created, Key, KeyChange, KeyStatus, Name},
        key_list::{KeyFilter, KeyRef},
        key_text::KeyKind,
        organization::{self, Organization},
        project::{self, Project},
        time::{DAY_MS, MAX_DAYS, UnixMillis},
    },
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

use crate::permissions::{ORGANIZATION_READ, ORGANIZATION_WRITE, PROJECTS_READ, PROJECTS_WRITE, READ, WRITE};

/// Confident AI's surface, in its two versions.
pub static ROUTES: Table = Table {
    surface: Some(Surface::Confident),
    prefix: Some("/confident"),
    envelope,
    rows: &[
        route!(GET "/v1/organization" ORGANIZATION_READ get_organization::<V1>),
        route!(PUT "/v1/organization" ORGANIZATION_WRITE update_organization::<V1>),
        route!(GET "/v1/organization/api-keys" READ list),
        route!(POST "/v1/organization/api-keys" WRITE create::<V1>),
        route!(GET "/v1/organization/api-keys/:id" READ get::<V1>),
        route!(PUT "/v1/organization/api-keys/:id" WRITE update::<V1>),
        route!(DELETE "/v1/organization/api-keys/:id" WRITE delete),
        route!(GET "/v1/projects" PROJECTS_READ list_projects),
        route!(POST "/v1/projects" PROJECTS_WRITE create_project),
        route!(GET "/v1/projects/:project" PROJECTS_READ get_project::<V1>),
        route!(PUT "/v1/projects/:project" PROJECTS_WRITE update_project::<V1>),
        route!(DELETE "/v1/projects/:project" PROJECTS_WRITE delete_project),
        route!(GET "/v1/projects/:project/api-keys" READ list),
        route!(POST "/v1/projects/:project/api-keys" WRITE create::<V1>),
        route!(GET "/v1/projects/:project/api-keys/:id" READ get::<V1>),
        route!(PUT "/v1/projects/:project/api-keys/:id" WRITE update::<V1>),
        route!(DELETE "/v1/projects/:project/api-keys/:id" WRITE delete),
        route!(GET "/v2/organization" ORGANIZATION_READ get_organization::<V2>),
        route!(PUT "/v2/organization" ORGANIZATION_WRITE update_organization::<V2>),
        route!(GET "/v2/organization/api-keys" READ list),
        route!(POST "/v2/organization/api-keys" WRITE create::<V2>),
        route!(GET "/v2/organization/api-keys/:id" READ get::<V2>),
        route!(PUT "/v2/organization/api-keys/:id" WRITE update::<V2>),
        route!(DELETE "/v2/organization/api-keys/:id" WRITE delete),
        route!(POST "/v2/organization/api-keys/:id/rotate" WRITE rotate),
        route!(GET "/v2/projects" PROJECTS_READ list_projects),
        route!(POST "/v2/projects" PROJECTS_WRITE create_project),
        route!(GET "/v2/projects/:project" PROJECTS_READ get_project::<V2>),
        route!(PUT "/v2/projects/:project" PROJECTS_WRITE update_project::<V2>),
        route!(DELETE "/v2/projects/:project" PROJECTS_WRITE delete_project),
        route!(GET "/v2/projects/:project/api-keys" READ list),
        route!(POST "/v2/projects/:project/api-keys" WRITE create::<V2>),
        route!(GET "/v2/projects/:project/api-keys/:id" READ get::<V2>),
        route!(PUT "/v2/projects/:project/api-keys/:id" WRITE update::<V2>),
        route!(DELETE "/v2/projects/:project/api-keys/:id" WRITE delete),
        route!(POST "/v2/projects/:project/api-keys/:id/rotate" WRITE rotate),
    ],
};

/// An error in the form of the vendor's libraries: `error` must be a text.
#[derive(Serialize)]
struct ErrorBody<'a> {
    success: bool,
    error: &'a str,
    code: &'a str,
    request_id: &'a str,
}

/// The envelope of this surface. The vendor's libraries take an error of any other shape for data.
pub(crate) fn envelope(report: &Report<'_>) -> Response {
    let Report { code, detail: error, request_id, .. } = *report;
    Response::json(report.status, &ErrorBody { success: false, error, code, request_id })
}

const HOUR_MS: i64 = 60 * 60 * 1000;
/// The maximum grace period of a rotation: a year.
const MAX_GRACE_HOURS: i64 = 365 * 24;

/// Wraps data in the envelope of a successful response.
fn success(data: &impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        success: bool,
        data: &'a T,
    }
    Response::json(200, &Envelope { success: true, data })
}

/// A version of this surface.
pub(crate) trait Version {
    /// Returns a response with one object. `wrapper` is the name of its kind.
    fn object(wrapper: &str, object: &impl Serialize) -> Response;
}

/// `/v1`, which sends objects in a wrapper.
pub(crate) struct V1;

/// `/v2`, which sends bare objects.
pub(crate) struct V2;

impl Version for V1 {
    fn object(wrapper: &str, object: &impl Serialize) -> Response {
        success(&Map::from_iter([(wrapper.to_owned(), json!(object))]))
    }
}

impl Version for V2 {
    fn object(_: &str, object: &impl Serialize) -> Response {
        success(object)
    }
}

/// A key. `value` is masked unless the key is new. During a rotation `shadowValue` is the new secret and `value` the
/// old one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiKey<'a> {
    id: i64,
    name: &'a Name,
    valid: bool,
    #[serde(rename = "created_at")]
    created_at: Rfc3339,
    expires_at: Option<Rfc3339>,
    value: String,
    shadow_value: Option<String>,
    rotates_at: Option<Rfc3339>,
    last_used: Option<Rfc3339>,
}

impl<'a> ApiKey<'a> {
    fn new(key: &'a Key, now: UnixMillis) -> Self {
        let masked = |last4: &str| format!("{}{last4}", "*".repeat(16));
        let rotation = key.rotation.as_ref().filter(|rotation| rotation.rotates_at > now);
        Self {
            id: key.number,
            name: &key.name,
            valid: key.status_at(now) == KeyStatus::Active,
            created_at: Rfc3339(key.created_at),
            expires_at: key.life.expires_at.map(Rfc3339),
            value: masked(rotation.map_or(&key.preview.last4, |rotation| &rotation.last4)),
            shadow_value: rotation.map(|_| masked(&key.preview.last4)),
            rotates_at: rotation.map(|rotation| Rfc3339(rotation.rotates_at)),
            last_used: key.last_used_at.map(Rfc3339),
        }
    }

    /// Creates a key with its new secret in the open, which happens only once.
    fn revealed(created: &'a Created, now: UnixMillis) -> Self {
        let text = created.text.expose().to_owned();
        let key = Self::new(&created.key, now);
        if key.rotates_at.is_some() { Self { shadow_value: Some(text), ..key } } else { Self { value: text, ..key } }
    }
}

/// Returns the project in the path; `None` if the path is about the organization.
fn path_project(call: &Call<'_>) -> Result<Option<ProjectId>, Error> {
    match call.param("project") {
        "" => Ok(None),
        text => ProjectId::parse(text).map(Some).ok_or(Error::NotFound),
    }
}

/// Returns the key in the path, by its number or id, if it belongs to the project or the organization in the path.
async fn path_key(call: &Call<'_>, principal: &Principal) -> Result<Key, Error> {
    let project_id = path_project(call)?;
    let key_ref = match call.param("id").parse() {
        Ok(number) => KeyRef::Number(number),
        Err(_) => KeyRef::Id(KeyId::parse(call.param("id")).ok_or(Error::NotFound)?),
    };
    principal.administers()?;
    if let Some(id) = project_id {
        // The keys of a deleted project are still stored, but its path is not found any more.
        Projects::new(call.app).get(principal, principal.snapshot.organization_id, id).await?;
    }
    let key = Keys::new(call.app).get(principal, key_ref).await?;
    let belongs = match project_id {
        Some(id) => key.kind == KeyKind::Proj && key.project_id == Some(id),
        None => key.kind == KeyKind::Org,
    };
    if belongs && key.life.revoked_at.is_none() { Ok(key) } else { Err(Error::NotFound) }
}

/// Lists the keys of the organization or the project, the newest first. The vendor's libraries have no pages, so there
/// are at most 1,000.
pub(crate) async fn list(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let project_id = path_project(call)?;
    principal.administers()?;
    if let Some(id) = project_id {
        Projects::new(call.app).get(principal, principal.snapshot.organization_id, id).await?;
    }
    let kind = if project_id.is_some() { KeyKind::Proj } else { KeyKind::Org };
    let filter = KeyFilter { project_id, kind: Some(kind), ..KeyFilter::default() };
    let keys = Keys::new(call.app).list_whole(principal, &filter, MAX_LIMIT).await?;
    let now = call.app.clock.now();
    let keys: Vec<ApiKey<'_>> = keys.iter().map(|key| ApiKey::new(key, now)).collect();
    Ok(success(&json!({ "apiKeys": keys })))
}

/// Creates a key and returns its secret once.
pub(crate) async fn create<V: Version>(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct NewKeyBody {
        name: Name,
        expires_in_days: Option<i64>,
    }
    let project_id = path_project(call)?;
    let body: NewKeyBody = input::vendor_body(call.request)?;
    let now = call.app.clock.now();
    let new = NewKey {
        name: body.name,
        kind: Some(if project_id.is_some() { KeyKind::Proj } else { KeyKind::Org }),
        project_id,
        label: None,
        scopes: None,
        conditions: None,
        expires_at: body.expires_in_days.map(|days| in_days(days, now)).transpose()?.map(Some),
        metadata: Map::new(),
        operator_metadata: Map::new(),
        device: None,
    };
    if let Some(id) = project_id {
        Projects::new(call.app).get(principal, principal.snapshot.organization_id, id).await?;
    }
    let created = Keys::new(call.app).create(principal, new).await.map_err(with_own_field)?;
    Ok(V::object("apiKey", &ApiKey::revealed(&created, now)))
}

fn in_days(days: i64, now: UnixMillis) -> Result<UnixMillis, Error> {
    if (1..=MAX_DAYS).contains(&days) {
        return Ok(now.plus_ms(days * DAY_MS));
    }
    Err(Error::invalid("expiresInDays", format!("must be a whole number from 1 to {MAX_DAYS}")))
}

/// Returns a key.
pub(crate) async fn get<V: Version>(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let key = path_key(call, principal).await?;
    Ok(V::object("apiKey", &ApiKey::new(&key, call.app.clock.now())))
}

/// Enables or disables a key.
pub(crate) async fn update<V: Version>(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct KeyChangeBody {
        valid: bool,
    }
    let KeyChangeBody { valid } = input::vendor_body(call.request)?;
    let before = path_key(call, principal).await?;
    let change = KeyChange { enabled: Some(valid), ..KeyChange::default() };
    let key = Keys::new(call.app).change(principal, &before, &change, false, Expected::ANY).await?;
    Ok(V::object("apiKey", &ApiKey::new(&key, call.app.clock.now())))
}

/// Revokes a key.
pub(crate) async fn delete(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let key = path_key(call, principal).await?;
    Keys::new(call.app).revoke(principal, key.id, false).await?;
    Ok(success(&json!({ "id": key.number, "deleted": true })))
}

/// Rotates a key and returns its new secret once.
pub(crate) async fn rotate(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct NewRotationBody {
        #[serde(default)]
        grace_period_in_hours: i64,
        #[serde(default, deserialize_with = "input::present")]
        expires_in_days: Option<Option<i64>>,
    }
    let body: NewRotationBody = input::vendor_body(call.request)?;
    if !(0..=MAX_GRACE_HOURS).contains(&body.grace_period_in_hours) {
        return Err(Error::invalid(
            "gracePeriodInHours",
            format!("must be a whole number from 0 to {MAX_GRACE_HOURS}"),
        )
        .into());
    }
    let now = call.app.clock.now();
    let expires_at = match body.expires_in_days {
        Some(Some(days)) => Some(Some(in_days(days, now)?)),
        Some(None) => Some(None),
        None => None,
    };
    let before = path_key(call, principal).await?;
    let grace_ms = body.grace_period_in_hours * HOUR_MS;
    let rotated = Keys::new(call.app).rotate(principal, &before, grace_ms, expires_at).await.map_err(with_own_field)?;
    Ok(success(&ApiKey::revealed(&rotated, now)))
}

/// Renames the field of an error to its name on this surface.
fn with_own_field(error: Error) -> Error {
    match error {
        Error::Invalid(mistakes) => Error::Invalid(
            mistakes
                .into_iter()
                .map(|Mistake { field, message }| {
                    let own = |field: String| match field.as_str() {
                        "expires_at" => "expiresInDays".to_owned(),
                        "grace_period_seconds" => "gracePeriodInHours".to_owned(),
                        _ => field,
                    };
                    Mistake { field: field.map(own), message }
                })
                .collect(),
        ),
        other => other,
    }
}

#[derive(Serialize)]
struct OrganizationBody<'a> {
    id: OrganizationId,
    name: &'a Name,
    /// The plan. The vendor's libraries need one; this service has none.
    plan: &'static str,
    created_at: Rfc3339,
}

fn organization<V: Version>(organization: &Organization) -> Response {
    let body = OrganizationBody {
        id: organization.id,
        name: &organization.name,
        plan: "FREE",
        created_at: Rfc3339(organization.created_at),
    };
    V::object("organization", &body)
}

/// Returns the organization of the key.
pub(crate) async fn get_organization<V: Version>(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    Ok(organization::<V>(&Organizations::new(call.app).get(principal, principal.snapshot.organization_id).await?))
}

/// Renames the organization of the key.
pub(crate) async fn update_organization<V: Version>(
    call: &Call<'_>,
    principal: &Principal,
) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct OrganizationChangeBody {
        name: Name,
    }
    let OrganizationChangeBody { name } = input::vendor_body(call.request)?;
    let change = organization::OrganizationChange { name: Some(name), ..organization::OrganizationChange::default() };
    let renamed = Organizations::new(call.app)
        .update(principal, principal.snapshot.organization_id, &change, Expected::ANY)
        .await?;
    Ok(organization::<V>(&renamed))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProjectBody<'a> {
    id: ProjectId,
    name: &'a Name,
    description: Option<&'a str>,
    organization_id: OrganizationId,
    #[serde(rename = "created_at")]
    created_at: Rfc3339,
    /// The governance policy. This service has none.
    governance_policy: Value,
}

impl<'a> ProjectBody<'a> {
    fn new(project: &'a Project) -> Self {
        Self {
            id: project.id,
            name: &project.name,
            description: project.description.as_deref(),
            organization_id: project.organization_id,
            created_at: Rfc3339(project.created_at),
            governance_policy: Value::Null,
        }
    }
}

/// Lists the projects, the newest first. The vendor's libraries have no pages, so there are at most 1,000.
pub(crate) async fn list_projects(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let projects = Projects::new(call.app).list_whole(principal, MAX_LIMIT).await?;
    let projects: Vec<ProjectBody<'_>> = projects.iter().map(ProjectBody::new).collect();
    Ok(success(&json!({ "projects": projects })))
}

/// Returns the project in the path.
fn project_id(call: &Call<'_>) -> Result<ProjectId, Error> {
    path_project(call)?.ok_or(Error::NotFound)
}

/// Creates a project, and returns its first key with its secret once.
pub(crate) async fn create_project(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NewProjectBody {
        name: Name,
        description: Option<String>,
        /// The address of the project's owner. Projects have none here.
        #[serde(rename = "email")]
        _email: Option<IgnoredAny>,
    }
    let body: NewProjectBody = input::vendor_body(call.request)?;
    let id = principal.snapshot.organization_id;
    let (project, created) = Projects::new(call.app).create(principal, id, body.name, body.description).await?;
    let key = ApiKey::revealed(&created, call.app.clock.now());
    Ok(success(&json!({ "project": ProjectBody::new(&project), "apiKey": key })))
}

/// Returns a project.
pub(crate) async fn get_project<V: Version>(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let project = Projects::new(call.app).get(principal, principal.snapshot.organization_id, project_id(call)?).await?;
    Ok(V::object("project", &ProjectBody::new(&project)))
}

/// Changes a project.
pub(crate) async fn update_project<V: Version>(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ProjectChangeBody {
        name: Option<Name>,
        description: Option<String>,
    }
    let body: ProjectChangeBody = input::vendor_body(call.request)?;
    let change = project::ProjectChange { name: body.name, description: body.description.map(Some) };
    let project = Projects::new(call.app)
        .update(principal, principal.snapshot.organization_id, project_id(call)?, &change, Expected::ANY)
        .await?;
    Ok(V::object("project", &ProjectBody::new(&project)))
}

/// Deletes a project and revokes all its keys.
pub(crate) async fn delete_project(call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let id = project_id(call)?;
    Projects::new(call.app).delete(principal, principal.snapshot.organization_id, id).await?;
    Ok(success(&json!({ "id": id, "deleted": true })))
}
