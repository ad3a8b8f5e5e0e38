//! The native surface: organizations and their projects.

use bitting_http::{
    call::Call,
    input,
    message::Rfc3339,
    paging::PageQuery,
    problem::Problem,
    typed::{Confidential, InBody, InPath, InQuery, Json, MayRepeat, Whole},
};
use bitting_keys::{
    app::{
        Principal,
        error::Error,
        organizations::{NewOrganization, Organizations},
        projects::Projects,
    },
    domain::{
        id::{OrganizationId, ProjectId},
        key::Name,
        organization::{self, MAX_CREDITS, MAX_KEYS_PER_USER, Organization, Subscription},
        person::Email,
        project::{self, Project},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    key_body::{CreatedBody, Days},
    organization_path::{OrganizationPath, OrganizationRef},
};

/// An organization and its settings; a setting that is null is not made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Organization")]
pub(crate) struct OrganizationBody {
    /// Its id.
    id: OrganizationId,
    /// Its name.
    name: Name,
    /// When it was made.
    created_at: Rfc3339,
    /// Since when it is suspended, if it is.
    suspended_at: Option<Rfc3339>,
    /// The life of a key whose maker says nothing of it, in days.
    default_expiry_days: Option<i64>,
    /// The longest life that a key can be given, in days.
    longest_expiry_days: Option<i64>,
    /// How many personal keys a user may have that are neither revoked nor expired.
    max_keys_per_user: Option<i64>,
    /// How long audit events are kept, in days; null: as long as the operator says.
    audit_retention_days: Option<i64>,
    /// How long traces are kept, in days; null: as long as the operator says.
    trace_retention_days: Option<i64>,
    /// Whether it may use the resource routes.
    subscription: Subscription,
    /// How many runs of live evaluations it has left; null: as many as it likes.
    credits: Option<i64>,
}

impl OrganizationBody {
    fn new(organization: Organization) -> Self {
        Self {
            id: organization.id,
            name: organization.name,
            created_at: Rfc3339(organization.created_at),
            suspended_at: organization.suspended_at.map(Rfc3339),
            default_expiry_days: organization.policy.default_expiry_days,
            longest_expiry_days: organization.policy.longest_expiry_days,
            max_keys_per_user: organization.policy.max_keys_per_user,
            audit_retention_days: organization.audit_retention_days,
            trace_retention_days: organization.trace_retention_days,
            subscription: organization.subscription,
            credits: organization.credits,
        }
    }
}

/// A page of organizations.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OrganizationPage")]
pub(crate) struct OrganizationPageBody {
    /// The organizations, the newest first.
    organizations: Vec<OrganizationBody>,
    /// Whether there are more.
    has_more: bool,
}

pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<PageQuery<OrganizationId>>,
) -> Result<Json<OrganizationPageBody>, Problem> {
    let Whole(limit) = query.limit;
    let page = Organizations::new(call.app).list(principal, query.starting_after, limit).await?;
    let organizations = page.items.into_iter().map(OrganizationBody::new).collect();
    Ok(Json(OrganizationPageBody { organizations, has_more: page.has_more }))
}

/// An organization to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOrganization")]
pub(crate) struct NewOrganizationBody {
    /// Its name.
    name: Name,
    /// Its owner's address.
    email: Email,
    /// The name of the owner's key.
    key_name: Name,
}

/// An organization that was just made, and its owner's key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedOrganization")]
pub(crate) struct CreatedOrganizationBody {
    /// The organization.
    organization: OrganizationBody,
    /// The owner's key.
    key: CreatedBody,
}

pub(crate) async fn create(
    call: &Call<'_>,
    principal: &Principal,
    (InBody(body), MayRepeat): (InBody<NewOrganizationBody>, MayRepeat),
) -> Result<Confidential<CreatedOrganizationBody, 201>, Problem> {
    let new = NewOrganization { name: body.name, email: body.email, key_name: body.key_name };
    let (organization, created) = Organizations::new(call.app).create(principal, new).await?;
    let key = CreatedBody::new(created, call.app.clock.now());
    Ok(Confidential(CreatedOrganizationBody { organization: OrganizationBody::new(organization), key }))
}

pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<OrganizationPath>,
) -> Result<Json<OrganizationBody>, Problem> {
    let organization = Organizations::new(call.app).get(principal, path.organization.id(principal)?).await?;
    Ok(Json(OrganizationBody::new(organization)))
}

/// What to change of an organization; what is left out stays, and null takes a setting back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrganizationChange", extend("minProperties" = 1))]
pub(crate) struct ChangeBody {
    /// Its name.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// The life of a key whose maker says nothing of it, in days; not longer than `longest_expiry_days`.
    #[serde(default, deserialize_with = "input::present")]
    default_expiry_days: Option<Option<Days>>,
    /// The longest life that a key can be given, in days.
    #[serde(default, deserialize_with = "input::present")]
    longest_expiry_days: Option<Option<Days>>,
    /// How many personal keys a user may have that are neither revoked nor expired.
    #[serde(default, deserialize_with = "input::present")]
    max_keys_per_user: Option<Option<Whole<1, MAX_KEYS_PER_USER>>>,
    /// How long audit events that are written from now on are kept, in days.
    #[serde(default, deserialize_with = "input::present")]
    audit_retention_days: Option<Option<Days>>,
    /// How long traces are kept, in days.
    #[serde(default, deserialize_with = "input::present")]
    trace_retention_days: Option<Option<Days>>,
    /// Whether all its keys are refused; for the operator.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "bool")]
    suspended: Option<bool>,
    /// Whether it may use the resource routes; for the operator.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Subscription")]
    subscription: Option<Subscription>,
    /// How many runs of live evaluations it has left, null for as many as it likes; for the operator.
    #[serde(default, deserialize_with = "input::present")]
    credits: Option<Option<Whole<0, MAX_CREDITS>>>,
}

pub(crate) async fn change(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(body)): (InPath<OrganizationPath>, InBody<ChangeBody>),
) -> Result<Json<OrganizationBody>, Problem> {
    let days = |days: Option<Option<Days>>| days.map(|days| days.map(|Whole(days)| days));
    let change = organization::OrganizationChange {
        name: body.name,
        default_expiry_days: days(body.default_expiry_days),
        longest_expiry_days: days(body.longest_expiry_days),
        max_keys_per_user: body.max_keys_per_user.map(|most| most.map(|Whole(most)| most)),
        audit_retention_days: days(body.audit_retention_days),
        trace_retention_days: days(body.trace_retention_days),
        suspended: body.suspended,
        subscription: body.subscription,
        credits: body.credits.map(|credits| credits.map(|Whole(credits)| credits)),
    };
    let organization =
        Organizations::new(call.app).update(principal, path.organization.id(principal)?, &change).await?;
    Ok(Json(OrganizationBody::new(organization)))
}

/// The project that a path names.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ProjectPath {
    /// The organization's id, or `self` for one's own.
    organization: OrganizationRef,
    /// The project's id.
    project: ProjectId,
}

/// A project.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub(crate) struct ProjectBody {
    /// Its id.
    id: ProjectId,
    /// The organization that it belongs to.
    organization_id: OrganizationId,
    /// Its name.
    name: Name,
    /// What a person wrote about it.
    description: Option<String>,
    /// When it was made.
    created_at: Rfc3339,
}

impl ProjectBody {
    fn new(project: Project) -> Self {
        Self {
            id: project.id,
            organization_id: project.organization_id,
            name: project.name,
            description: project.description,
            created_at: Rfc3339(project.created_at),
        }
    }
}

/// A page of projects.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProjectPage")]
pub(crate) struct ProjectPageBody {
    /// The projects, the newest first.
    projects: Vec<ProjectBody>,
    /// Whether there are more.
    has_more: bool,
}

pub(crate) async fn list_projects(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<PageQuery<ProjectId>>),
) -> Result<Json<ProjectPageBody>, Problem> {
    let Whole(limit) = query.limit;
    let page =
        Projects::new(call.app).list(principal, path.organization.id(principal)?, query.starting_after, limit).await?;
    let projects = page.items.into_iter().map(ProjectBody::new).collect();
    Ok(Json(ProjectPageBody { projects, has_more: page.has_more }))
}

/// A project to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewProject")]
pub(crate) struct NewProjectBody {
    /// Its name.
    name: Name,
    /// Whatever people want to know about it.
    description: Option<String>,
}

/// A project that was just made, and its first key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedProject")]
pub(crate) struct CreatedProjectBody {
    /// The project.
    project: ProjectBody,
    /// Its first key.
    key: CreatedBody,
}

pub(crate) async fn create_project(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(body), MayRepeat): (InPath<OrganizationPath>, InBody<NewProjectBody>, MayRepeat),
) -> Result<Confidential<CreatedProjectBody, 201>, Problem> {
    let id = path.organization.id(principal)?;
    let (project, created) = Projects::new(call.app).create(principal, id, body.name, body.description).await?;
    let key = CreatedBody::new(created, call.app.clock.now());
    Ok(Confidential(CreatedProjectBody { project: ProjectBody::new(project), key }))
}

pub(crate) async fn get_project(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<ProjectPath>,
) -> Result<Json<ProjectBody>, Problem> {
    let project = Projects::new(call.app).get(principal, path.organization.id(principal)?, path.project).await?;
    Ok(Json(ProjectBody::new(project)))
}

/// What to change of a project; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProjectChange", extend("minProperties" = 1))]
pub(crate) struct ProjectChangeBody {
    /// Its name.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// Whatever people want to know about it; null: nothing.
    #[serde(default, deserialize_with = "input::present")]
    description: Option<Option<String>>,
}

pub(crate) async fn change_project(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(body)): (InPath<ProjectPath>, InBody<ProjectChangeBody>),
) -> Result<Json<ProjectBody>, Problem> {
    let change = project::ProjectChange { name: body.name, description: body.description };
    if change == project::ProjectChange::default() {
        return Err(Error::Invalid { field: None, message: "There is nothing to change".to_owned() }.into());
    }
    let project =
        Projects::new(call.app).update(principal, path.organization.id(principal)?, path.project, &change).await?;
    Ok(Json(ProjectBody::new(project)))
}

/// A project that was deleted, and with it all its keys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeletedProject")]
pub(crate) struct DeletedProjectBody {
    #[serde(flatten)]
    about: ProjectBody,
    /// Routes that touch the database refuse the project's keys from here on.
    effective_at: Rfc3339,
    /// Everything else does so this much later at the latest.
    max_staleness_ms: i64,
}

pub(crate) async fn delete_project(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<ProjectPath>,
) -> Result<Json<DeletedProjectBody>, Problem> {
    let (project, deleted_at) =
        Projects::new(call.app).delete(principal, path.organization.id(principal)?, path.project).await?;
    Ok(Json(DeletedProjectBody {
        about: ProjectBody::new(project),
        effective_at: Rfc3339(deleted_at),
        max_staleness_ms: call.app.config.max_staleness_ms,
    }))
}
