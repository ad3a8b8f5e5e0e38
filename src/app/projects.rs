//! Projects and their organization: made, renamed, and ended with all their keys.

use serde_json::{Map, json};

use crate::{
    app::{
        App, Principal,
        error::Error,
        keys::{Created, NewKey},
        take,
    },
    domain::{
        id::ProjectId,
        key::{KeyKind, Name},
        project::{Organization, Project},
        time::UnixMillis,
    },
    storage::{
        audit::{self, Event},
        organizations, projects,
    },
};

/// The most projects that one list tells.
const MAX_PROJECTS: i64 = 1_000;

impl App {
    /// Makes a project and its first key, in one batch.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization.
    pub async fn create_project(
        &self,
        by: &Principal,
        name: Name,
        description: Option<String>,
    ) -> Result<(Project, Created), Error> {
        by.administers()?;
        let now = self.now();
        let project = Project {
            id: ProjectId::new(now, self.random_bits()?),
            organization_id: by.snapshot.organization_id,
            name,
            description,
            created_at: now,
        };
        let details = json!({ "name": project.name, "description": project.description });
        let created = event(by, project.id, "project.created", details, now);
        let first_key = NewKey {
            name: project.name.clone(),
            kind: Some(KeyKind::Proj),
            project_id: Some(project.id),
            label: None,
            scopes: None,
            expires_at: None,
            metadata: Map::new(),
        };
        let before = vec![projects::insert(&project), audit::record(&by.actor(), &created)];
        match self.create_key_after(by, first_key, before).await {
            Ok(key) => Ok((project, key)),
            Err(error) => {
                let (key, project) = self.key_made_before(by, error).await?;
                Ok((project.ok_or_else(|| Error::Spent(key.key.id.to_string()))?, key))
            }
        }
    }

    /// The organization's projects, the newest first, 1,000 at most; for a project's key its own.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_projects(&self, by: &Principal) -> Result<Vec<Project>, Error> {
        if let Some(id) = by.snapshot.project_id {
            return Ok(vec![self.get_project(by, id).await?]);
        }
        let list = projects::list(by.snapshot.organization_id, MAX_PROJECTS);
        let mut results = self.guarded(by, vec![list]).await?;
        Ok(projects::read(take(&mut results, 0))?)
    }

    /// One project.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub async fn get_project(&self, by: &Principal, id: ProjectId) -> Result<Project, Error> {
        if by.snapshot.project_id.is_some_and(|own| own != id) {
            return Err(Error::NotFound);
        }
        let mut results = self.guarded(by, vec![projects::get(by.snapshot.organization_id, id)]).await?;
        projects::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Changes what is not `None`.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization.
    pub async fn update_project(
        &self,
        by: &Principal,
        id: ProjectId,
        name: Option<Name>,
        description: Option<String>,
    ) -> Result<Project, Error> {
        by.administers()?;
        let details = json!({ "name": name, "description": description });
        let updated = event(by, id, "project.updated", details, self.now());
        let statements = vec![
            projects::update(by.snapshot.organization_id, id, name.as_ref(), description.as_deref()),
            audit::record_if_changed(&by.actor(), &updated),
        ];
        let mut results = self.guarded(by, statements).await?;
        projects::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Ends a project and all its keys: the feed tells everybody of the project, and so of them all.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization.
    pub async fn delete_project(&self, by: &Principal, id: ProjectId) -> Result<(), Error> {
        by.administers()?;
        let now = self.now();
        let deleted = event(by, id, "project.deleted", json!({}), now);
        let statements = vec![
            projects::delete(by.snapshot.organization_id, id, now),
            audit::record_if_changed(&by.actor(), &deleted),
        ];
        let mut results = self.guarded(by, statements).await?;
        if take(&mut results, 0).is_empty() { Err(Error::NotFound) } else { Ok(()) }
    }

    /// The caller's organization.
    ///
    /// # Errors
    /// What the database says.
    pub async fn organization(&self, by: &Principal) -> Result<Organization, Error> {
        let mut results = self.guarded(by, vec![organizations::get(by.snapshot.organization_id)]).await?;
        organizations::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// Renames the caller's organization.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer it.
    pub async fn rename_organization(&self, by: &Principal, name: &Name) -> Result<Organization, Error> {
        by.administers()?;
        let id = by.snapshot.organization_id;
        let renamed = Event {
            organization_id: id,
            subject: id.to_string(),
            action: "organization.updated",
            details: json!({ "name": name }),
            at: self.now(),
        };
        let statements = vec![organizations::rename(id, name), audit::record_if_changed(&by.actor(), &renamed)];
        let mut results = self.guarded(by, statements).await?;
        organizations::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }
}

fn event(
    by: &Principal,
    id: ProjectId,
    action: &'static str,
    details: serde_json::Value,
    at: UnixMillis,
) -> Event<'static> {
    Event { organization_id: by.snapshot.organization_id, subject: id.to_string(), action, details, at }
}
