//! Organizations: created, suspended and resumed by the operator, changed by their admins.

use serde_json::{Map, json};

use crate::{
    app::{App, Principal, error::Error, keys::Keys},
    domain::{
        audit::{Actor, AuditEvent, ORGANIZATION_UPDATED},
        conditions::Conditions,
        creator::Creator,
        expected::Expected,
        grant::{Grant, Granted},
        id::{KeyId, OrganizationId, UserId},
        key::{Created, Key, Life, Name, Role},
        key_text::{KeyKind, KeyText},
        organization::{LeakResponse, Organization, OrganizationChange, Policy, Subscription},
        page::Page,
        person::Email,
        quota::Quotas,
        scope::Scopes,
        standing::Standing,
    },
    storage::{audit, batch::Batch, organizations},
};

/// The organization that a caller's request is about: its own, or any for an administrator of the operator's
/// organization.
///
/// # Errors
/// [`Error::NotFound`] for another organization.
pub fn organization_of(principal: &Principal, requested: Option<OrganizationId>) -> Result<OrganizationId, Error> {
    let own = principal.snapshot.organization_id;
    match requested {
        None => Ok(own),
        Some(id) if id == own || principal.operates().is_ok() => Ok(id),
        Some(_) => Err(Error::NotFound),
    }
}

/// An organization to be created.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// The name of the organization.
    pub name: Name,
    /// The owner's address.
    pub email: Email,
    /// The name of the owner's key.
    pub key_name: Name,
}

/// The use cases of organizations.
pub struct Organizations<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Organizations<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Organizations<'_> {
    /// Creates an organization, its owner, and the owner's first key, which has full access.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the operator's own organization with full access.
    pub async fn create(&self, principal: &Principal, new: NewOrganization) -> Result<(Organization, Created), Error> {
        principal.operates()?;
        // The answer hands out a key that may do everything in its organization and never expires.
        let (scopes, conditions) = (&Scopes::Full, &Conditions::default());
        let granted = principal.grants(&Grant::Key { scopes, conditions, role: Role::Admin, expires_at: None })?;
        self.app
            .once_key_with(principal, organizations::created_by_request, async |mut attempt| {
                let source = attempt.secret_bytes()?;
                let (founded, created, mut batch) = self.found(new, false, &principal.actor(), source, granted)?;
                let details = json!({ "name": founded.name });
                let (id, now) = (founded.id, founded.created_at);
                let event = AuditEvent::new(id, id, "organization.created", details, now);
                let organization = batch.add(organizations::get(id));
                batch.execute(self.app.record_if_changed(principal, &event));
                let mut results = attempt.run(created.key.id, batch).await?;
                Ok((results.take(organization)?.unwrap_or(founded), created))
            })
            .await
    }

    /// Lists organizations, newest first, at most `limit`: the caller's own, or all for an administrator of the
    /// operator's organization.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        principal: &Principal,
        before: Option<OrganizationId>,
        limit: i64,
    ) -> Result<Page<Organization>, Error> {
        if principal.operates().is_ok() {
            return self.app.query(principal, organizations::list(before, limit)).await;
        }
        let own = self.app.query(principal, organizations::get(principal.snapshot.organization_id)).await?;
        let mut items = Vec::from_iter(own);
        items.retain(|organization| before.is_none_or(|before| organization.id < before));
        let limit = usize::try_from(limit).unwrap_or(0);
        let has_more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { items, has_more })
    }

    /// Returns one organization.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not exist.
    pub async fn get(&self, principal: &Principal, id: OrganizationId) -> Result<Organization, Error> {
        self.app.query(principal, organizations::get(id)).await?.ok_or(Error::NotFound)
    }

    /// Changes an organization. Suspending it is one row of the feed, however many keys it has.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Exceeds`] if the caller does not administer it, or changes a field that only
    /// the operator may change; [`Error::Conflict`] if the operator's own organization would be suspended.
    pub async fn update(
        &self,
        principal: &Principal,
        id: OrganizationId,
        change: &OrganizationChange,
        expected: Expected,
    ) -> Result<Organization, Error> {
        principal.administers()?;
        if *change == OrganizationChange::default() {
            return Err(Error::invalid_request("There is nothing to change"));
        }
        let least = self.app.config.audit_retention.least_days();
        if change.audit_retention_days.flatten().is_some_and(|days| days < least) {
            let must = format!("must be at least {least}, because the operator keeps audit events for that long");
            return Err(Error::invalid("audit_retention_days", must));
        }
        if change.is_operators() {
            principal.operates()?;
            // There is only one operator's organization, and the caller that passed the check is in it.
            if change.suspended.is_some() && id == principal.snapshot.organization_id {
                return Err(Error::Conflict {
                    code: "operator_organization",
                    message: "The operator's own organization cannot be suspended, because nobody could resume it.",
                });
            }
        }
        let now = self.app.now();
        let updated = AuditEvent::new(id, id, ORGANIZATION_UPDATED, json!(change), now);
        let mut batch = Batch::new();
        let changed = batch.add(organizations::update(id, change, expected, now));
        batch.execute(self.app.record_if_changed(principal, &updated));
        let found = batch.add(organizations::get(id));
        let mut results = self.app.guarded(principal, batch).await?;
        let found = results.take(found)?.ok_or(Error::NotFound)?;
        if results.take(changed)? {
            return Ok(found);
        }
        expected.check(found.updated_at)?;
        // It exists as expected and was not changed, so its two expiries contradict each other.
        Err(match change.default_expiry_days {
            Some(_) => Error::invalid("default_expiry_days", "must not be longer than `longest_expiry_days`"),
            None => Error::invalid("longest_expiry_days", "must not be shorter than `default_expiry_days`"),
        })
    }

    /// Prepares an organization, its owner's first key, whose secret comes from `source`, and the batch that
    /// creates them. A new organization has no policy yet, so no rule applies to this key.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without randomness.
    pub fn found(
        &self,
        new: NewOrganization,
        operator: bool,
        actor: &Actor,
        source: impl FnMut(&mut [u8]) -> Result<(), String>,
        granted: Granted,
    ) -> Result<(Organization, Created, Batch), Error> {
        let now = self.app.now();
        let organization = Organization {
            id: OrganizationId::new(now, self.app.random_bits()?),
            name: new.name,
            suspended_at: None,
            created_at: now,
            updated_at: now,
            policy: Policy::default(),
            subscription: Subscription::Active,
            credits: None,
            audit_retention_days: None,
            trace_retention_days: None,
            on_leak: LeakResponse::Revoke,
            quotas: Quotas::default(),
            usage: Quotas::default(),
        };
        let user_id = UserId::new(now, self.app.random_bits()?);
        let text = KeyText::generate(&self.app.config.brand, None, KeyKind::Pat, source).map_err(Error::Unavailable)?;
        let key = Key {
            id: KeyId::new(now, self.app.random_bits()?),
            number: 1,
            organization_id: organization.id,
            user_id: Some(user_id),
            project_id: None,
            bound_to: None,
            kind: KeyKind::Pat,
            name: new.key_name,
            preview: text.preview(),
            scopes: Scopes::Full,
            conditions: Conditions::default(),
            role: Role::Owner,
            metadata: Map::new(),
            operator_metadata: Map::new(),
            life: Life { expires_at: None, disabled_at: None, revoked_at: None },
            created_at: now,
            // A new organization begins a line of its own.
            creator: Creator { id: actor.key_id, user_id: actor.user_id, ..Creator::default() },
            updated_at: now,
            last_used_at: None,
            last_used_from: None,
            rotation: None,
            standing: Standing::Good,
        };
        let mut batch = Batch::new();
        batch.execute(organizations::insert(&organization, operator));
        batch.execute(organizations::insert_user(user_id, &new.email, now));
        batch.execute(organizations::insert_membership(organization.id, user_id, Role::Owner, now));
        batch.execute(Keys::new(self.app).insert(&key, &text, organization.policy, granted));
        batch.execute(audit::record(actor, &Keys::created_event(&key), self.app.config.audit_retention));
        Ok((organization, Created { key, text }, batch))
    }
}
