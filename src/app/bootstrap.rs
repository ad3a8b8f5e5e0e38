//! The first organization, its owner and the first key, made once with the operator's secret.

use serde_json::Map;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    app::{App, error::Error, keys::Created},
    domain::{
        id::{KeyId, OrganizationId, UserId},
        key::{Key, KeyKind, Life, Name, Role},
        key_text::KeyText,
        person::Email,
        scope::Scopes,
    },
    ports::DatabaseError,
    storage::{
        audit::{self, Actor},
        organizations,
    },
};

/// What to make first.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The organization's name.
    pub organization: Name,
    /// The owner's address.
    pub email: Email,
    /// The key's name.
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

    /// Makes the operator's organization, its owner, and the owner's first key, which has full access.
    /// Whoever calls has proved to be the operator. Of two at once, one wins.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was done before.
    pub async fn bootstrap(&self, first: Bootstrap, request_id: String, ip: Option<String>) -> Result<Created, Error> {
        let now = self.now();
        let organization_id = OrganizationId::new(now, self.random_bits()?);
        let user_id = UserId::new(now, self.random_bits()?);
        let text = KeyText::generate(&self.config.brand, None, KeyKind::Pat, |bytes| self.entropy.fill(bytes))
            .map_err(Error::Unavailable)?;
        let key = Key {
            id: KeyId::new(now, self.random_bits()?),
            number: 1,
            organization_id,
            user_id: Some(user_id),
            project_id: None,
            kind: KeyKind::Pat,
            name: first.key_name,
            preview: text.preview(),
            scopes: Scopes::Full,
            role: Role::Owner,
            metadata: Map::new(),
            life: Life { expires_at: None, disabled_at: None, revoked_at: None },
            created_at: now,
            created_by: None,
            updated_at: now,
            last_used_at: None,
            rotation: None,
        };
        let operator = Actor { key_id: None, request_id, ip };
        let batch = vec![
            organizations::insert_operator(organization_id, first.organization.as_str(), now),
            organizations::insert_user(user_id, first.email.as_str(), now),
            organizations::insert_membership(organization_id, user_id, Role::Owner, now),
            self.insert_key(&key, &text),
            audit::record(&operator, &Self::created_event(&key)),
        ];
        match self.database.batch(batch).await {
            Ok(_) => Ok(Created { key, text }),
            Err(DatabaseError::Unique) => Err(Error::Conflict {
                code: "already_bootstrapped",
                message: "The first organization exists already. Its key was shown when it was made.",
            }),
            Err(error) => Err(error.into()),
        }
    }
}
