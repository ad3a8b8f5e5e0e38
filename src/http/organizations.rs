//! The native surface: organizations and their projects.

use serde::{Deserialize, Serialize};

use crate::{
    app::{Principal, bootstrap::NewOrganization, error::Error, organizations::organization_of},
    domain::{
        id::{OrganizationId, ProjectId},
        key::Name,
        organization::{self, Organization},
        person::Email,
        project::{self, Project},
    },
    http::{
        input::{self, Query},
        keys::{CreatedBody, limit},
        message::{Response, Rfc3339},
        problem::Problem,
        routes::Call,
    },
};

/// The organization in the path: an id, or `self`. What is neither names nothing.
pub(crate) fn path_organization(call: &Call<'_>, by: &Principal) -> Result<OrganizationId, Error> {
    let asked = match call.param("organization") {
        "self" => None,
        text => Some(OrganizationId::parse(text).ok_or(Error::NotFound)?),
    };
    organization_of(by, asked)
}

#[derive(Serialize)]
struct OrganizationBody<'a> {
    id: OrganizationId,
    name: &'a Name,
    created_at: Rfc3339,
    suspended_at: Option<Rfc3339>,
    default_expiry_days: Option<i64>,
    longest_expiry_days: Option<i64>,
    max_keys_per_user: Option<i64>,
    audit_retention_days: Option<i64>,
    trace_retention_days: Option<i64>,
}

impl<'a> OrganizationBody<'a> {
    fn new(organization: &'a Organization) -> Self {
        Self {
            id: organization.id,
            name: &organization.name,
            created_at: Rfc3339(organization.created_at),
            suspended_at: organization.suspended_at.map(Rfc3339),
            default_expiry_days: organization.policy.default_expiry_days,
            longest_expiry_days: organization.policy.longest_expiry_days,
            max_keys_per_user: organization.policy.max_keys_per_user,
            audit_retention_days: organization.audit_retention_days,
            trace_retention_days: organization.trace_retention_days,
        }
    }
}

pub(crate) async fn list(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct PageBody<'a> {
        organizations: Vec<OrganizationBody<'a>>,
        has_more: bool,
    }
    let query = Query::strict(call.request, &["limit", "starting_after"])?;
    let before = query.read("starting_after", "an organization's id", OrganizationId::parse)?;
    let page = call.app.list_organizations(by, before, limit(&query, 0)?).await?;
    let organizations = page.items.iter().map(OrganizationBody::new).collect();
    Ok(Response::json(200, &PageBody { organizations, has_more: page.has_more }))
}

pub(crate) async fn create(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: Name,
        email: Email,
        key_name: Name,
    }
    #[derive(Serialize)]
    struct MadeBody<'a> {
        organization: OrganizationBody<'a>,
        key: CreatedBody<'a>,
    }
    let Body { name, email, key_name } = input::body(call.request)?;
    let (organization, created) = call.app.create_organization(by, NewOrganization { name, email, key_name }).await?;
    let body = MadeBody { organization: OrganizationBody::new(&organization), key: CreatedBody::new(call, &created) };
    Ok(Response::json(201, &body))
}

pub(crate) async fn get(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let organization = call.app.organization(by, path_organization(call, by)?).await?;
    Ok(Response::json(200, &OrganizationBody::new(&organization)))
}

pub(crate) async fn change(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default, deserialize_with = "input::present")]
        name: Option<Name>,
        #[serde(default, deserialize_with = "input::present")]
        default_expiry_days: Option<Option<i64>>,
        #[serde(default, deserialize_with = "input::present")]
        longest_expiry_days: Option<Option<i64>>,
        #[serde(default, deserialize_with = "input::present")]
        max_keys_per_user: Option<Option<i64>>,
        #[serde(default, deserialize_with = "input::present")]
        audit_retention_days: Option<Option<i64>>,
        #[serde(default, deserialize_with = "input::present")]
        trace_retention_days: Option<Option<i64>>,
        #[serde(default, deserialize_with = "input::present")]
        suspended: Option<bool>,
    }
    let id = path_organization(call, by)?;
    let body: Body = input::body(call.request)?;
    let change = organization::Change {
        name: body.name,
        default_expiry_days: body.default_expiry_days,
        longest_expiry_days: body.longest_expiry_days,
        max_keys_per_user: body.max_keys_per_user,
        audit_retention_days: body.audit_retention_days,
        trace_retention_days: body.trace_retention_days,
        suspended: body.suspended,
    };
    let organization = call.app.update_organization(by, id, &change).await?;
    Ok(Response::json(200, &OrganizationBody::new(&organization)))
}

#[derive(Serialize)]
struct ProjectBody<'a> {
    id: ProjectId,
    organization_id: OrganizationId,
    name: &'a Name,
    description: Option<&'a str>,
    created_at: Rfc3339,
}

impl<'a> ProjectBody<'a> {
    fn new(project: &'a Project) -> Self {
        Self {
            id: project.id,
            organization_id: project.organization_id,
            name: &project.name,
            description: project.description.as_deref(),
            created_at: Rfc3339(project.created_at),
        }
    }
}

/// The project in the path. What is no id names nothing.
fn path_project(call: &Call<'_>) -> Result<ProjectId, Error> {
    ProjectId::parse(call.param("project")).ok_or(Error::NotFound)
}

pub(crate) async fn list_projects(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct PageBody<'a> {
        projects: Vec<ProjectBody<'a>>,
        has_more: bool,
    }
    let id = path_organization(call, by)?;
    let query = Query::strict(call.request, &["limit", "starting_after"])?;
    let before = query.read("starting_after", "a project's id", ProjectId::parse)?;
    let page = call.app.list_projects(by, id, before, limit(&query, 0)?).await?;
    let projects = page.items.iter().map(ProjectBody::new).collect();
    Ok(Response::json(200, &PageBody { projects, has_more: page.has_more }))
}

pub(crate) async fn create_project(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: Name,
        description: Option<String>,
    }
    #[derive(Serialize)]
    struct MadeBody<'a> {
        project: ProjectBody<'a>,
        key: CreatedBody<'a>,
    }
    let id = path_organization(call, by)?;
    let body: Body = input::body(call.request)?;
    let (project, created) = call.app.create_project(by, id, body.name, body.description).await?;
    let body = MadeBody { project: ProjectBody::new(&project), key: CreatedBody::new(call, &created) };
    Ok(Response::json(201, &body))
}

pub(crate) async fn get_project(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    let project = call.app.get_project(by, path_organization(call, by)?, path_project(call)?).await?;
    Ok(Response::json(200, &ProjectBody::new(&project)))
}

pub(crate) async fn change_project(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default, deserialize_with = "input::present")]
        name: Option<Name>,
        #[serde(default, deserialize_with = "input::present")]
        description: Option<Option<String>>,
    }
    let (organization_id, id) = (path_organization(call, by)?, path_project(call)?);
    let body: Body = input::body(call.request)?;
    let change = project::Change { name: body.name, description: body.description };
    if change == project::Change::default() {
        return Err(Error::Invalid { field: None, message: "There is nothing to change".to_owned() }.into());
    }
    let project = call.app.update_project(by, organization_id, id, &change).await?;
    Ok(Response::json(200, &ProjectBody::new(&project)))
}

pub(crate) async fn delete_project(call: &Call<'_>, by: &Principal) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct DeletedBody<'a> {
        #[serde(flatten)]
        about: ProjectBody<'a>,
        /// Routes that touch the database refuse the project's keys from here on.
        effective_at: Rfc3339,
        /// Everything else does so this much later at the latest.
        max_staleness_ms: i64,
    }
    let organization_id = path_organization(call, by)?;
    let (project, deleted_at) = call.app.delete_project(by, organization_id, path_project(call)?).await?;
    let body = DeletedBody {
        about: ProjectBody::new(&project),
        effective_at: Rfc3339(deleted_at),
        max_staleness_ms: call.app.config.max_staleness_ms,
    };
    Ok(Response::json(200, &body))
}
