//! `/v1/organizations` and `/v1/organizations/:organization_id/projects`.

use std::collections::BTreeMap;

use bitting_http::{
    call::Call,
    input,
    message::Rfc3339,
    paging::{Listed, PageBody, PageQuery},
    problem::Problem,
    typed::{Confidential, IfMatch, InBody, InPath, InQuery, Json, MayRepeat, Version, Versioned, Whole},
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
        organization::{self, LeakResponse, MAX_CREDITS, MAX_KEYS_PER_USER, Organization, Subscription},
        person::Email,
        project::{self, Project},
        quota::{MAX_QUOTA, Quota, Quotas, Usage},
        time::UnixMillis,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    key_body::{CreatedBody, Days},
    organization_path::{OrganizationPath, OrganizationRef},
};

/// An organization with its settings. A setting that is null is not set.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Organization")]
pub(crate) struct OrganizationBody {
    /// The id of the organization.
    id: OrganizationId,
    /// The name of the organization.
    name: Name,
    /// The time when the organization was created.
    created_at: Rfc3339,
    /// The time of the last change.
    updated_at: Rfc3339,
    /// The time when the organization was suspended; null if it is not.
    suspended_at: Option<Rfc3339>,
    /// The default life of a new key, in days.
    default_expiry_days: Option<i64>,
    /// The maximum life of a key, in days.
    longest_expiry_days: Option<i64>,
    /// The maximum number of personal keys of a user, without revoked and expired ones.
    max_keys_per_user: Option<i64>,
    /// The number of days for which audit events are kept; null for the operator's default.
    audit_retention_days: Option<i64>,
    /// The number of days for which traces are kept; null for the operator's default.
    trace_retention_days: Option<i64>,
    /// The state of the subscription, which the evaluation routes require.
    subscription: Subscription,
    /// The number of credits that are left, for runs of live evaluations and for questions to the language model; null for no limit.
    credits: Option<i64>,
    /// The response to a key that somebody has found in public and reported.
    on_leak: LeakResponse,
    /// The quotas that the operator has set; null for the default.
    quotas: Quotas<Option<i64>>,
    /// The amount of each thing that it has and may have.
    usage: Quotas<Usage>,
}

impl OrganizationBody {
    fn new(organization: Organization) -> Self {
        Self {
            id: organization.id,
            name: organization.name,
            created_at: Rfc3339(organization.created_at),
            updated_at: Rfc3339(organization.updated_at),
            suspended_at: organization.suspended_at.map(Rfc3339),
            default_expiry_days: organization.policy.default_expiry_days,
            longest_expiry_days: organization.policy.longest_expiry_days,
            max_keys_per_user: organization.policy.max_keys_per_user,
            audit_retention_days: organization.audit_retention_days,
            trace_retention_days: organization.trace_retention_days,
            subscription: organization.subscription,
            credits: organization.credits,
            on_leak: organization.on_leak,
            quotas: organization.quotas,
            usage: organization.usage,
        }
    }
}

impl Version for OrganizationBody {
    fn version(&self) -> UnixMillis {
        self.updated_at.0
    }
}

impl Listed for OrganizationBody {
    fn cursor(&self) -> String {
        self.id.to_string()
    }
}

/// Lists the organizations that the caller can see.
pub(crate) async fn list(
    call: &Call<'_>,
    principal: &Principal,
    InQuery(query): InQuery<PageQuery<OrganizationId>>,
) -> Result<Json<PageBody<OrganizationBody>>, Problem> {
    let Whole(limit) = query.limit;
    let page = Organizations::new(call.app).list(principal, query.starting_after, limit).await?;
    Ok(Json(PageBody::new(page, OrganizationBody::new)))
}

/// An organization to create.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOrganization")]
pub(crate) struct NewOrganizationBody {
    /// The name of the organization.
    name: Name,
    /// The owner's email address.
    email: Email,
    /// The name of the owner's key.
    key_name: Name,
}

/// A new organization, with its owner's key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedOrganization")]
pub(crate) struct CreatedOrganizationBody {
    /// The organization.
    organization: OrganizationBody,
    /// The owner's key.
    key: CreatedBody,
}

/// Creates an organization and its owner, and returns the owner's key with its secret once.
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

/// Returns an organization.
pub(crate) async fn get(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<OrganizationPath>,
) -> Result<Versioned<OrganizationBody>, Problem> {
    let organization = Organizations::new(call.app).get(principal, path.organization_id.resolve(principal)?).await?;
    Ok(Versioned(OrganizationBody::new(organization)))
}

/// A change of an organization. Fields that are left out do not change, and null removes a setting.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrganizationChange", extend("minProperties" = 1))]
pub(crate) struct ChangeBody {
    /// The name of the organization.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// The default life of a new key, in days, up to `longest_expiry_days`.
    #[serde(default, deserialize_with = "input::present")]
    default_expiry_days: Option<Option<Days>>,
    /// The maximum life of a key, in days.
    #[serde(default, deserialize_with = "input::present")]
    longest_expiry_days: Option<Option<Days>>,
    /// The maximum number of personal keys of a user, without revoked and expired ones.
    #[serde(default, deserialize_with = "input::present")]
    max_keys_per_user: Option<Option<Whole<1, MAX_KEYS_PER_USER>>>,
    /// The number of days for which new audit events are kept.
    #[serde(default, deserialize_with = "input::present")]
    audit_retention_days: Option<Option<Days>>,
    /// The number of days for which traces are kept.
    #[serde(default, deserialize_with = "input::present")]
    trace_retention_days: Option<Option<Days>>,
    /// The response to a key that somebody has found in public and reported.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "LeakResponse")]
    on_leak: Option<LeakResponse>,
    /// True to refuse all keys of the organization. Only the operator can set it.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "bool")]
    suspended: Option<bool>,
    /// The state of the subscription. Only the operator can set it.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Subscription")]
    subscription: Option<Subscription>,
    /// The number of credits that are left, for runs of live evaluations and for questions to the language model; null for no limit. Only the operator can set it.
    #[serde(default, deserialize_with = "input::present")]
    credits: Option<Option<Whole<0, MAX_CREDITS>>>,
    /// The quotas: the maximum of each thing; null for the default. Only the operator can set them.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "QuotaChangeBody")]
    quotas: Option<QuotaChangeBody>,
}

/// A change of quotas. Fields that are left out do not change, and null stands for the default.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QuotaChange", extend("minProperties" = 1))]
pub(crate) struct QuotaChangeBody {
    /// Keys that are not revoked.
    #[serde(default, deserialize_with = "input::present")]
    keys: Option<Option<Whole<0, MAX_QUOTA>>>,
    /// Projects.
    #[serde(default, deserialize_with = "input::present")]
    projects: Option<Option<Whole<0, MAX_QUOTA>>>,
    /// People.
    #[serde(default, deserialize_with = "input::present")]
    members: Option<Option<Whole<0, MAX_QUOTA>>>,
    /// Open invitations.
    #[serde(default, deserialize_with = "input::present")]
    invitations: Option<Option<Whole<0, MAX_QUOTA>>>,
    /// Data sets.
    #[serde(default, deserialize_with = "input::present")]
    datasets: Option<Option<Whole<0, MAX_QUOTA>>>,
    /// Bytes of the rows of data sets and of traces.
    #[serde(default, deserialize_with = "input::present")]
    bytes: Option<Option<Whole<0, MAX_QUOTA>>>,
}

impl QuotaChangeBody {
    /// The new values.
    fn values(self) -> BTreeMap<Quota, Option<i64>> {
        let values = [
            (Quota::Keys, self.keys),
            (Quota::Projects, self.projects),
            (Quota::Members, self.members),
            (Quota::Invitations, self.invitations),
            (Quota::Datasets, self.datasets),
            (Quota::Bytes, self.bytes),
        ];
        let set = values.into_iter().filter_map(|(quota, value)| Some((quota, value?)));
        set.map(|(quota, value)| (quota, value.map(|Whole(value)| value))).collect()
    }
}

/// Changes an organization.
pub(crate) async fn change(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), IfMatch(expected), InBody(body)): (InPath<OrganizationPath>, IfMatch, InBody<ChangeBody>),
) -> Result<Versioned<OrganizationBody>, Problem> {
    let days = |days: Option<Option<Days>>| days.map(|days| days.map(|Whole(days)| days));
    let change = organization::OrganizationChange {
        name: body.name,
        default_expiry_days: days(body.default_expiry_days),
        longest_expiry_days: days(body.longest_expiry_days),
        max_keys_per_user: body.max_keys_per_user.map(|most| most.map(|Whole(most)| most)),
        audit_retention_days: days(body.audit_retention_days),
        trace_retention_days: days(body.trace_retention_days),
        on_leak: body.on_leak,
        suspended: body.suspended,
        subscription: body.subscription,
        credits: body.credits.map(|credits| credits.map(|Whole(credits)| credits)),
        quotas: body.quotas.map(QuotaChangeBody::values).unwrap_or_default(),
    };
    let organization = Organizations::new(call.app)
        .update(principal, path.organization_id.resolve(principal)?, &change, expected)
        .await?;
    Ok(Versioned(OrganizationBody::new(organization)))
}

/// The project in the path.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ProjectPath {
    /// The id of the organization, or `self` for the organization of the key.
    organization_id: OrganizationRef,
    /// The id of the project.
    project_id: ProjectId,
}

/// A project.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub(crate) struct ProjectBody {
    /// The id of the project.
    id: ProjectId,
    /// The id of the organization that the project belongs to.
    organization_id: OrganizationId,
    /// The name of the project.
    name: Name,
    /// The description.
    description: Option<String>,
    /// The time when the project was created.
    created_at: Rfc3339,
    /// The time of the last change.
    updated_at: Rfc3339,
}

impl ProjectBody {
    fn new(project: Project) -> Self {
        Self {
            id: project.id,
            organization_id: project.organization_id,
            name: project.name,
            description: project.description,
            created_at: Rfc3339(project.created_at),
            updated_at: Rfc3339(project.updated_at),
        }
    }
}

impl Version for ProjectBody {
    fn version(&self) -> UnixMillis {
        self.updated_at.0
    }
}

impl Listed for ProjectBody {
    fn cursor(&self) -> String {
        self.id.to_string()
    }
}

/// Lists the projects of an organization.
pub(crate) async fn list_projects(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InQuery(query)): (InPath<OrganizationPath>, InQuery<PageQuery<ProjectId>>),
) -> Result<Json<PageBody<ProjectBody>>, Problem> {
    let Whole(limit) = query.limit;
    let page = Projects::new(call.app)
        .list(principal, path.organization_id.resolve(principal)?, query.starting_after, limit)
        .await?;
    Ok(Json(PageBody::new(page, ProjectBody::new)))
}

/// A project to create.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewProject")]
pub(crate) struct NewProjectBody {
    /// The name of the project.
    name: Name,
    /// The description.
    description: Option<String>,
}

/// A new project, with its first key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedProject")]
pub(crate) struct CreatedProjectBody {
    /// The project.
    project: ProjectBody,
    /// The first key of the project.
    key: CreatedBody,
}

/// Creates a project, and returns its first key with its secret once.
pub(crate) async fn create_project(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), InBody(body), MayRepeat): (InPath<OrganizationPath>, InBody<NewProjectBody>, MayRepeat),
) -> Result<Confidential<CreatedProjectBody, 201>, Problem> {
    let id = path.organization_id.resolve(principal)?;
    let (project, created) = Projects::new(call.app).create(principal, id, body.name, body.description).await?;
    let key = CreatedBody::new(created, call.app.clock.now());
    Ok(Confidential(CreatedProjectBody { project: ProjectBody::new(project), key }))
}

/// Returns a project.
pub(crate) async fn get_project(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<ProjectPath>,
) -> Result<Versioned<ProjectBody>, Problem> {
    let project =
        Projects::new(call.app).get(principal, path.organization_id.resolve(principal)?, path.project_id).await?;
    Ok(Versioned(ProjectBody::new(project)))
}

/// A change of a project. Fields that are left out do not change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProjectChange", extend("minProperties" = 1))]
pub(crate) struct ProjectChangeBody {
    /// The name of the project.
    #[serde(default, deserialize_with = "input::present")]
    #[schemars(with = "Name")]
    name: Option<Name>,
    /// The description; null for none.
    #[serde(default, deserialize_with = "input::present")]
    description: Option<Option<String>>,
}

/// Changes a project.
pub(crate) async fn change_project(
    call: &Call<'_>,
    principal: &Principal,
    (InPath(path), IfMatch(expected), InBody(body)): (InPath<ProjectPath>, IfMatch, InBody<ProjectChangeBody>),
) -> Result<Versioned<ProjectBody>, Problem> {
    let change = project::ProjectChange { name: body.name, description: body.description };
    if change == project::ProjectChange::default() {
        return Err(Error::invalid_request("There is nothing to change").into());
    }
    let project = Projects::new(call.app)
        .update(principal, path.organization_id.resolve(principal)?, path.project_id, &change, expected)
        .await?;
    Ok(Versioned(ProjectBody::new(project)))
}

/// A deleted project. Its keys are deleted, too.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeletedProject")]
pub(crate) struct DeletedProjectBody {
    #[serde(flatten)]
    about: ProjectBody,
    /// The time from which routes that use the database refuse the project's keys.
    effective_at: Rfc3339,
    /// The maximum time after that until every other route refuses them, too, in milliseconds.
    max_staleness_ms: i64,
}

/// Deletes a project and revokes all its keys.
pub(crate) async fn delete_project(
    call: &Call<'_>,
    principal: &Principal,
    InPath(path): InPath<ProjectPath>,
) -> Result<Json<DeletedProjectBody>, Problem> {
    let (project, deleted_at) =
        Projects::new(call.app).delete(principal, path.organization_id.resolve(principal)?, path.project_id).await?;
    Ok(Json(DeletedProjectBody {
        about: ProjectBody::new(project),
        effective_at: Rfc3339(deleted_at),
        max_staleness_ms: call.app.config.max_staleness_ms,
    }))
}
