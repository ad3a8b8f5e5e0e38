//! The first organization, with its owner and their key. The operator's secret creates it, once.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    app::{
        App,
        error::Error,
        organizations::{NewOrganization, Organizations},
    },
    domain::{audit::Actor, grant::Granted, key::Created, session::NewSignInLink, time::DAY_MS, token::SignInToken},
    ports::DatabaseError,
    storage::sessions,
};

/// The validity of the first link, in milliseconds.
const FIRST_LINK_MS: i64 = DAY_MS;

impl App {
    /// True if this is the operator's secret. Digests are compared, in constant time, so that the duration reveals
    /// neither the secret's characters nor its length.
    pub fn is_operator(&self, secret: &str) -> bool {
        self.config.operator_secret.as_ref().is_some_and(|expected| {
            let (presented, expected) = (Sha256::digest(secret), Sha256::digest(expected));
            presented.as_slice().ct_eq(expected.as_slice()).into()
        })
    }
}

impl Organizations<'_> {
    /// Creates the operator's organization, its owner, the owner's first key, which has full access, and a link
    /// that signs them in on the settings pages. The caller must have checked the operator's secret. Of two
    /// simultaneous calls, one succeeds.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the organization already exists.
    pub async fn bootstrap(
        &self,
        first: NewOrganization,
        request_id: String,
        ip: Option<String>,
    ) -> Result<(Created, SignInToken), Error> {
        let operator = Actor { key_id: None, user_id: None, session_id: None, request_id, ip };
        let source = |bytes: &mut [u8]| self.app.entropy.fill(bytes);
        let (organization, created, mut batch) = self.found(first, true, &operator, source, Granted::by_operator())?;
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
                message: "The first organization already exists. Its key was shown when it was created.",
            }),
            Err(error) => Err(error.into()),
        }
    }
}
