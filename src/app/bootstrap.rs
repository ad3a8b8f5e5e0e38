//! An organization with its owner and their key: the first one, made once with the operator's secret, and
//! what every other one begins with, too.

use serde_json::Map;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    app::{App, error::Error, keys::Keys, organizations::Organizations},
    domain::{
        audit::Actor,
        id::{KeyId, OrganizationId, UserId},
        key::{Created, Key, Life, Name, Role},
        key_text::{KeyKind, KeyText},
        organization::{Organization, Policy, Subscription},
        person::Email,
        scope::Scopes,
        session::NewSignInLink,
        time::DAY_MS,
        token::SignInToken,
    },
    ports::DatabaseError,
    storage::{audit, batch::Batch, organizations, sessions},
};

/// How long the first link works, in milliseconds.
const FIRST_LINK_MS: i64 = DAY_MS;

/// An organization to be made.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// Its name.
    pub name: Name,
    /// Its owner's address.
    pub email: Email,
    /// The name of the owner's key.
    pub key_name: Name,
}

impl App {
    /// Whether this is the operator's secret. Digests are compared, in constant time, so that
    /// neither the secret's characters nor its length show in the time that it takes.
    pub fn is_operator(&self, secret: &str) -> bool {
        self.config.operator_secret.as_ref().is_some_and(|expected| {
            let (given, expected) = (Sha256::digest(secret), Sha256::digest(expected));
            given.as_slice().ct_eq(expected.as_slice()).into()
        })
    }
}

impl Organizations<'_> {
    /// Makes the operator's organization, its owner, the owner's first key, which has full access, and what
    /// signs them in on the settings pages.
    /// Whoever calls has proved to be the operator. Of two at once, one wins.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was done before.
    pub async fn bootstrap(
        &self,
        first: NewOrganization,
        request_id: String,
        ip: Option<String>,
    ) -> Result<(Created, SignInToken), Error> {
        let operator = Actor { key_id: None, user_id: None, session_id: None, request_id, ip };
        let source = |bytes: &mut [u8]| self.app.entropy.fill(bytes);
        let (organization, created, mut batch) = self.found(first, true, &operator, source)?;
        let token = SignInToken::generate(&self.app.config.brand, source).map_err(Error::Unavailable)?;
        if let Some(user_id) = created.key.user_id {
            let expires_at = created.key.created_at.plus_ms(FIRST_LINK_MS);
            batch.execute(sessions::insert_link(&NewSignInLink {
                digest: token.digest(),
                organization_id: organization.id,
                user_id,
                roles: vec![created.key.role],
                key_expires_at: None,
                created_by_user_id: None,
                expires_at,
            }));
        }
        match batch.run(&*self.app.database).await {
            Ok(_) => Ok((created, token)),
            Err(DatabaseError::Unique) => Err(Error::Conflict {
                code: "already_bootstrapped",
                message: "The first organization exists already. Its key was shown when it was made.",
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// An organization, its owner's first key, whose secret comes from `source`, and the batch that
    /// makes them. A new organization asks nothing of its keys, and so nothing of this one.
    pub(super) fn found(
        &self,
        new: NewOrganization,
        operator: bool,
        actor: &Actor,
        source: impl FnMut(&mut [u8]) -> Result<(), String>,
    ) -> Result<(Organization, Created, Batch), Error> {
        let now = self.app.now();
        let organization = Organization {
            id: OrganizationId::new(now, self.app.random_bits()?),
            name: new.name,
            suspended_at: None,
            created_at: now,
            policy: Policy::default(),
            subscription: Subscription::Active,
            credits: None,
            audit_retention_days: None,
            trace_retention_days: None,
        };
        let user_id = UserId::new(now, self.app.random_bits()?);
        let text = KeyText::generate(&self.app.config.brand, None, KeyKind::Pat, source).map_err(Error::Unavailable)?;
        let key = Key {
            id: KeyId::new(now, self.app.random_bits()?),
            number: 1,
            organization_id: organization.id,
            user_id: Some(user_id),
            project_id: None,
            live_evaluation_id: None,
            kind: KeyKind::Pat,
            name: new.key_name,
            preview: text.preview(),
            scopes: Scopes::Full,
            role: Role::Owner,
            metadata: Map::new(),
            life: Life { expires_at: None, disabled_at: None, revoked_at: None },
            created_at: now,
            created_by: actor.key_id,
            updated_at: now,
            last_used_at: None,
            rotation: None,
        };
        let mut batch = Batch::new();
        batch.execute(organizations::insert(&organization, operator));
        batch.execute(organizations::insert_user(user_id, &new.email, now));
        batch.execute(organizations::insert_membership(organization.id, user_id, Role::Owner, now));
        batch.execute(Keys::new(self.app).insert(&key, &text, organization.policy));
        batch.execute(audit::record(actor, &Keys::created_event(&key), self.app.config.audit_retention_ms));
        Ok((organization, Created { key, text }, batch))
    }
}
