//! Trusts: created, listed, tried, and deleted with the keys that they have given.

use serde_json::{Map, Value, json};

use crate::{
    app::{App, Principal, error::Error, lineage::check_may_end},
    domain::{
        audit::AuditEvent,
        conditions::Conditions,
        grant::Grant,
        id::{OrganizationId, ProjectId, TrustId},
        key::{Name, Role},
        lineage::{Descendants, Root},
        page::Page,
        scope::{Scope, Scopes},
        trust::{Audience, ClaimPatterns, Issuer, Trust},
    },
    storage::{batch::Batch, lineage, trusts},
};

/// The error of an organization with as many trusts as it may have.
const TOO_MANY_TRUSTS: Error =
    Error::Conflict { code: "too_many_trusts", message: "An organization has at most 100 trusts. Delete one first." };

/// A trust to be created.
#[derive(Debug, Clone)]
pub struct NewTrust {
    /// The name of the trust.
    pub name: Name,
    /// The issuer of the tokens.
    pub issuer: Issuer,
    /// The audience of the tokens.
    pub audience: Audience,
    /// The patterns of the claims.
    pub claims: ClaimPatterns,
    /// The project of the keys; `None` for keys of the organization.
    pub project_id: Option<ProjectId>,
    /// The scopes of the keys.
    pub scopes: Vec<Scope>,
    /// The life of each key, in seconds.
    pub expires_in_seconds: i64,
}

/// The use cases of trusts.
pub struct Trusts<'a> {
    app: &'a App,
}

impl<'a> Trusts<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Trusts<'_> {
    /// Creates a trust. It ends with the caller's key at the latest, because it gives what that holds.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization, or does not hold the scopes;
    /// [`Error::Invalid`] if there is no such project; [`Error::Conflict`] if there are too many trusts.
    pub async fn create(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        new: NewTrust,
    ) -> Result<Trust, Error> {
        principal.administers()?;
        let maker = &principal.snapshot;
        let (expires_at, creator) = (maker.ends_at(), maker.creator());
        let scopes = Scopes::List(new.scopes.clone());
        // A workload's key has no conditions.
        let conditions = Conditions::default();
        let grant = Grant::Key { scopes: &scopes, conditions: &conditions, role: maker.role, expires_at };
        let granted = principal.grants(&grant)?;
        self.app
            .once(
                principal,
                trusts::created_by_request,
                |_, trust| Ok(trust),
                async |attempt| {
                    let now = self.app.now();
                    let trust = Trust {
                        id: TrustId::new(now, self.app.random_bits()?),
                        organization_id,
                        // A project's key sees its project and administers nothing.
                        role: if new.project_id.is_some() { Role::Member } else { maker.role },
                        name: new.name,
                        issuer: new.issuer,
                        audience: new.audience,
                        claims: new.claims,
                        project_id: new.project_id,
                        scopes: new.scopes,
                        expires_in_seconds: new.expires_in_seconds,
                        expires_at,
                        created_at: now,
                        created_by: maker.key_id,
                        created_by_user: creator.user_id,
                        parent_id: creator.parent_id,
                    };
                    let details = json!({
                        "name": trust.name,
                        "issuer": trust.issuer,
                        "audience": trust.audience,
                        "claims": trust.claims,
                        "project_id": trust.project_id,
                        "scopes": trust.scopes,
                        "expires_in_seconds": trust.expires_in_seconds,
                    });
                    let created = AuditEvent::new(organization_id, trust.id, "trust.created", details, now);
                    let mut batch = Batch::new();
                    let are_full = batch.add(trusts::are_full(organization_id));
                    let inserted = batch.add(trusts::insert(&trust, granted));
                    batch.execute(self.app.record_if_changed(principal, &created));
                    let mut results = attempt.run_in_organization(organization_id, trust.id, batch).await?;
                    match results.take(inserted)? {
                        Some(trust) => Ok(trust),
                        None if results.take(are_full)? => Err(TOO_MANY_TRUSTS),
                        None => Err(Error::invalid("project_id", "no such project in this organization")),
                    }
                },
            )
            .await
    }

    /// Lists trusts, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn list(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        before: Option<TrustId>,
        limit: i64,
    ) -> Result<Page<Trust>, Error> {
        principal.administers()?;
        let mut batch = Batch::new();
        let list = batch.add(trusts::list(organization_id, before, limit));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        Ok(results.take(list)?)
    }

    /// Returns one trust.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization; [`Error::NotFound`].
    pub async fn get(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: TrustId,
    ) -> Result<Trust, Error> {
        principal.administers()?;
        let mut batch = Batch::new();
        let trust = batch.add(trusts::get(organization_id, id));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        results.take(trust)?.ok_or(Error::NotFound)
    }

    /// Returns all trusts of an organization, to compare claims with them.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn all(&self, principal: &Principal, organization_id: OrganizationId) -> Result<Vec<Trust>, Error> {
        principal.administers()?;
        let mut batch = Batch::new();
        let trusts = batch.add(trusts::all(organization_id));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        Ok(results.take(trusts)?)
    }

    /// Deletes a trust and ends the keys that it has given, with all that descends from them, by one row of the feed.
    /// They live for minutes, so no organization is locked out by it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Exceeds`] if the caller does not administer the organization or lacks the role of one
    /// of the keys; [`Error::Conflict`] if they are too many.
    pub async fn delete(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: TrustId,
    ) -> Result<Descendants, Error> {
        principal.administers()?;
        let line = self.app.line(principal, organization_id, Root::Trust(id), true);
        let (actor, retention) = (principal.actor(), self.app.config.audit_retention);
        let deleted_event = AuditEvent::new(organization_id, id, "trust.deleted", json!({}), line.now);
        let mut batch = Batch::new();
        let trust = batch.add(trusts::get(organization_id, id));
        let descendants = batch.add(lineage::count(&line));
        batch.execute(lineage::record(&line, &actor, retention, None, |_| {}));
        batch.execute(lineage::end(&line, None, |_| {}));
        batch.execute(lineage::delete_trust(&line));
        batch.execute(self.app.record_if_changed(principal, &deleted_event));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        results.take(trust)?.ok_or(Error::NotFound)?;
        let descendants = results.take(descendants)?.ok_or(Error::NotFound)?;
        check_may_end(descendants)?;
        Ok(descendants)
    }
}

/// Reads claims from a token, without a check of its signature.
///
/// # Errors
/// [`Error::Invalid`] if the text is not a token.
pub fn unverified_claims(token: &str) -> Result<Map<String, Value>, Error> {
    let must =
        "must be a JSON Web Token that is signed with RS256, ES256 or EdDSA, and has `kid`, `iss`, `aud` and `exp`";
    crate::domain::jwt::Jwt::parse(token).map(|jwt| jwt.all_claims).ok_or_else(|| Error::invalid("token", must))
}
