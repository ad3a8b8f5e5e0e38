//! The uses of the operator's secret: the first organization, with its owner and their key, once; and, at any time, a
//! link that signs an owner of that organization in.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    app::{
        App,
        error::Error,
        organizations::{NewOrganization, Organizations},
        sessions::Sessions,
    },
    domain::{
        audit::{Actor, AuditEvent},
        creator::Creator,
        grant::Granted,
        id::SignInLinkId,
        key::{Created, Role},
        person::{Email, Owner},
        session::{LINK_MS, NewSignInLink},
        time::{DAY_MS, UnixMillis},
        token::SignInToken,
    },
    ports::DatabaseError,
    storage::{audit, batch::Batch, people, sessions},
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
        let operator = Actor { organization_id: None, key_id: None, user_id: None, session_id: None, request_id, ip };
        let source = |bytes: &mut [u8]| self.app.entropy.fill(bytes);
        let (organization, created, mut batch) = self.found(first, true, &operator, source, Granted::by_operator())?;
        let token = SignInToken::generate(&self.app.config.brand, source).map_err(Error::Unavailable)?;
        if let Some(user_id) = created.key.user_id {
            let expires_at = created.key.created_at.plus_ms(FIRST_LINK_MS);
            batch.execute(sessions::insert_link(&NewSignInLink {
                id: SignInLinkId::new(created.key.created_at, self.app.random_bits()?),
                created_at: created.key.created_at,
                digest: token.digest(),
                organization_id: organization.id,
                user_id,
                roles: vec![created.key.role],
                key_expires_at: None,
                creator: Creator::default(),
                session_id: None,
                expires_at,
            }));
        }
        match batch.run(&*self.app.database).await {
            Ok(_) => Ok((created, token)),
            Err(DatabaseError::Unique) => Err(Error::Conflict {
                code: "already_bootstrapped",
                message: "The first organization already exists. Its key was shown when it was created. \
                          If all its keys are lost, create a link by POST /v1/operator/sign-in-links.",
            }),
            Err(error) => Err(error.into()),
        }
    }
}

impl Sessions<'_> {
    /// Creates a link that signs an owner of the operator's organization in: the one with this address, or without one
    /// the owner who has been there longest. The caller must have checked the operator's secret. So its
    /// holder cannot be locked out. Returns the owner, the link, which is shown only this once, and its expiry.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such owner.
    pub async fn create_owner_link(
        &self,
        email: Option<&Email>,
        request_id: String,
        ip: Option<String>,
    ) -> Result<(Owner, SignInToken, UnixMillis), Error> {
        let operator = Actor { organization_id: None, key_id: None, user_id: None, session_id: None, request_id, ip };
        let owner = people::operators_owner(email).run(&*self.app.database).await?.ok_or(Error::NotFound)?;
        let token = SignInToken::generate(&self.app.config.brand, |bytes| self.app.entropy.fill(bytes));
        let token = token.map_err(Error::Unavailable)?;
        let now = self.app.now();
        let expires_at = now.plus_ms(LINK_MS);
        let details = json!({ "expires_at": expires_at.to_rfc3339() });
        let created = AuditEvent::new(owner.organization_id, owner.user_id, "sign_in_link.created", details, now);
        let mut batch = Batch::new();
        batch.execute(sessions::insert_link(&NewSignInLink {
            id: SignInLinkId::new(now, self.app.random_bits()?),
            created_at: now,
            digest: token.digest(),
            organization_id: owner.organization_id,
            user_id: owner.user_id,
            roles: vec![Role::Owner],
            key_expires_at: None,
            creator: Creator::default(),
            session_id: None,
            expires_at,
        }));
        batch.execute(audit::record_if_changed(&operator, &created, self.app.config.audit_retention));
        let member = batch.add(people::get(owner.organization_id, owner.user_id));
        let member = batch.run(&*self.app.database).await?.take(member)?;
        // The owner may have been lowered or removed in between.
        if member.is_some_and(|member| member.role == Role::Owner) {
            return Ok((owner, token, expires_at));
        }
        Err(Error::NotFound)
    }
}
