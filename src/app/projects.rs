//! Projects: made with a first key, changed, and ended with all their keys.

use serde_json::{Map, json};

use crate::{
    app::{
        App, Principal,
        error::Error,
        keys::{Created, NewKey, Page, page},
        take,
    },
    domain::{
        id::{OrganizationId, ProjectId},
        key::{KeyKind, Name},
        project::{Change, Project},
        time::UnixMillis,
    },
    storage::{audit::Event, organizations, projects},
};

impl App {
    /// Makes a project of an organization and its first key, in one batch.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization.
    pub async fn create_project(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        name: Name,
        description: Option<String>,
    ) -> Result<(Project, Created), Error> {
        by.administers()?;
        // The caller's snapshot knows the policy of his own organization alone. Another's is read first.
        // It cannot go away before the project is made: nothing deletes an organization.
        let policy = if organization_id == by.snapshot.organization_id {
            by.snapshot.policy
        } else {
            self.organization(by, organization_id).await?.policy
        };
        let now = self.now();
        let project = Project {
            id: ProjectId::new(now, self.random_bits()?),
            organization_id,
            name,
            description,
            created_at: now,
        };
        let details = json!({ "name": project.name, "description": project.description });
        let created = Event::new(organization_id, project.id, "project.created", details, now);
        let first_key = NewKey {
            name: project.name.clone(),
            kind: Some(KeyKind::Proj),
            project_id: Some(project.id),
            label: None,
            scopes: None,
            expires_at: None,
            metadata: Map::new(),
        };
        let before = vec![projects::insert(&project), self.record_if_changed(by, &created)];
        match self.create_key_after(by, organization_id, policy, first_key, before).await {
            Ok(key) => Ok((project, key)),
            Err(error) => {
                let (key, project) = self.key_made_before(by, error, &[projects::made]).await?;
                Ok((projects::read(project)?.pop().ok_or_else(|| Error::Spent(key.key.id.to_string()))?, key))
            }
        }
    }

    /// A page of at most `limit` of an organization's projects, the newest first; for a project's key
    /// its own.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the organization is not there.
    pub async fn list_projects(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        before: Option<ProjectId>,
        limit: i64,
    ) -> Result<Page<Project>, Error> {
        let list = match by.snapshot.project_id {
            Some(own) => projects::get(organization_id, own),
            None => projects::list(organization_id, before, limit + 1),
        };
        let mut results = self.guarded(by, vec![organizations::get(organization_id), list]).await?;
        if take(&mut results, 0).is_empty() {
            return Err(Error::NotFound);
        }
        let mut found = projects::read(take(&mut results, 1))?;
        found.retain(|project| before.is_none_or(|before| project.id < before));
        Ok(page(found, limit))
    }

    /// One project.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn get_project(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: ProjectId,
    ) -> Result<Project, Error> {
        if by.snapshot.project_id.is_some_and(|own| own != id) {
            return Err(Error::NotFound);
        }
        let mut results = self.guarded(by, vec![projects::get(organization_id, id)]).await?;
        projects::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Changes a project.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization.
    pub async fn update_project(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: ProjectId,
        change: &Change,
    ) -> Result<Project, Error> {
        by.administers()?;
        let updated = Event::new(organization_id, id, "project.updated", json!(change), self.now());
        let statements = vec![projects::update(organization_id, id, change), self.record_if_changed(by, &updated)];
        let mut results = self.guarded(by, statements).await?;
        projects::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Ends a project and all its keys: the feed tells everybody of the project, and so of them all.
    /// Gives what it was, and when it ended.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization.
    pub async fn delete_project(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: ProjectId,
    ) -> Result<(Project, UnixMillis), Error> {
        by.administers()?;
        let now = self.now();
        let deleted = Event::new(organization_id, id, "project.deleted", json!({}), now);
        let statements = vec![projects::delete(organization_id, id, now), self.record_if_changed(by, &deleted)];
        let mut results = self.guarded(by, statements).await?;
        let project = projects::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)?;
        Ok((project, now))
    }
}
