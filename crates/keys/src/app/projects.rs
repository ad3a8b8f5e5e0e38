//! Projects: created with a first key, changed, and deleted with all their keys.

use serde_json::{Map, json};

use crate::{
    app::{
        App, Principal,
        error::Error,
        keys::{Keys, NewKey},
        organizations::Organizations,
    },
    domain::{
        audit::AuditEvent,
        expected::Expected,
        id::{OrganizationId, ProjectId},
        key::{Created, Name},
        key_text::KeyKind,
        page::Page,
        project::{Project, ProjectChange},
        time::UnixMillis,
    },
    storage::{batch::Batch, organizations, projects},
};

/// The maximum length of a project's description, in characters.
const MAX_DESCRIPTION_CHARS: usize = 2_000;

/// The use cases of projects.
pub struct Projects<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Projects<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Projects<'_> {
    /// Creates a project of an organization and its first key, in one batch.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn create(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        name: Name,
        description: Option<String>,
    ) -> Result<(Project, Created), Error> {
        principal.administers()?;
        check_description(description.as_deref())?;
        // The caller's snapshot contains only the policy of its own organization. Another's is read first. It
        // cannot disappear before the project is created: nothing deletes an organization.
        let policy = if organization_id == principal.snapshot.organization_id {
            principal.snapshot.policy
        } else {
            Organizations::new(self.app).get(principal, organization_id).await?.policy
        };
        self.app
            .once_key_with(principal, projects::created_by_request, async |attempt| {
                let now = self.app.now();
                let project = Project {
                    id: ProjectId::new(now, self.app.random_bits()?),
                    organization_id,
                    name,
                    description,
                    created_at: now,
                    updated_at: now,
                };
                let details = json!({ "name": project.name, "description": project.description });
                let created = AuditEvent::new(organization_id, project.id, "project.created", details, now);
                let first_key = NewKey {
                    name: project.name.clone(),
                    kind: Some(KeyKind::Proj),
                    project_id: Some(project.id),
                    label: None,
                    scopes: None,
                    conditions: None,
                    expires_at: None,
                    metadata: Map::new(),
                    operator_metadata: Map::new(),
                    device: None,
                };
                let mut batch = Batch::new();
                batch.extend(projects::insert(&project));
                batch.execute(self.app.record_if_changed(principal, &created));
                let key = Keys::new(self.app)
                    .create_after(attempt, principal, organization_id, policy, first_key, batch)
                    .await?;
                Ok((project, key))
            })
            .await
    }

    /// Lists an organization's projects, newest first, at most `limit`. A project's key sees its own.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the organization does not exist.
    pub async fn list(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        before: Option<ProjectId>,
        limit: i64,
    ) -> Result<Page<Project>, Error> {
        let mut batch = Batch::new();
        let exists = batch.add(organizations::exists(organization_id));
        let list = batch.add(projects::list(organization_id, principal.snapshot.project_id, before, limit));
        let mut results = self.app.guarded(principal, batch).await?;
        if results.take(exists)? { Ok(results.take(list)?) } else { Err(Error::NotFound) }
    }

    /// Lists the projects of the caller's organization, newest first, at most `limit`, for clients that know no pages.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_whole(&self, principal: &Principal, limit: i64) -> Result<Vec<Project>, Error> {
        let organization_id = principal.snapshot.organization_id;
        let mut projects: Vec<Project> = Vec::new();
        loop {
            let left = limit - i64::try_from(projects.len()).unwrap_or(limit);
            let before = projects.last().map(|project| project.id);
            let page = self.list(principal, organization_id, before, left).await?;
            projects.extend(page.items);
            if !page.has_more || i64::try_from(projects.len()).is_ok_and(|listed| listed >= limit) {
                return Ok(projects);
            }
        }
    }

    /// Returns one project.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see it.
    pub async fn get(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: ProjectId,
    ) -> Result<Project, Error> {
        if principal.snapshot.project_id.is_some_and(|own| own != id) {
            return Err(Error::NotFound);
        }
        self.app.query(principal, projects::get(organization_id, id)).await?.ok_or(Error::NotFound)
    }

    /// Changes a project.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn update(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: ProjectId,
        change: &ProjectChange,
        expected: Expected,
    ) -> Result<Project, Error> {
        principal.administers()?;
        let now = self.app.now();
        check_description(change.description.as_ref().and_then(Option::as_deref))?;
        let updated = AuditEvent::new(organization_id, id, "project.updated", json!(change), now);
        let mut batch = Batch::new();
        let changed = batch.add(projects::update(organization_id, id, change, expected, now));
        batch.execute(self.app.record_if_changed(principal, &updated));
        let found = batch.add(projects::get(organization_id, id));
        let mut results = self.app.guarded(principal, batch).await?;
        if let Some(changed) = results.take(changed)? {
            return Ok(changed);
        }
        expected.check(results.take(found)?.ok_or(Error::NotFound)?.updated_at)?;
        Err(Error::NotFound)
    }

    /// Deletes a project and ends all its keys by one row of the feed. Returns the project, and the instant of its
    /// deletion.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn delete(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: ProjectId,
    ) -> Result<(Project, UnixMillis), Error> {
        principal.administers()?;
        let now = self.app.now();
        let deleted = AuditEvent::new(organization_id, id, "project.deleted", json!({}), now);
        let mut batch = Batch::new();
        let project = batch.add(projects::delete(organization_id, id, now));
        batch.execute(self.app.record_if_changed(principal, &deleted));
        let project = self.app.guarded(principal, batch).await?.take(project)?.ok_or(Error::NotFound)?;
        Ok((project, now))
    }
}

/// Checks the length of a project's description.
fn check_description(description: Option<&str>) -> Result<(), Error> {
    if description.is_some_and(|description| description.chars().count() > MAX_DESCRIPTION_CHARS) {
        let message = format!("must have at most {MAX_DESCRIPTION_CHARS} characters");
        return Err(Error::invalid("description", message));
    }
    Ok(())
}
