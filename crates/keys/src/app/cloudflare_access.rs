//! Sign-in through Cloudflare Access, which names the person by a token in a header.

use crate::{
    app::{
        config::Access,
        error::Error,
        public_keys::{Place, Publisher},
        sessions::{Client, Sessions, StartedSession},
    },
    domain::{
        creator::Creator,
        jwt::Jwt,
        person::{Email, Membership},
        public_key::read_key_set,
        time::UnixMillis,
    },
    storage::{audit, batch::Batch, people, sessions},
};

/// An email address that Cloudflare Access has verified.
#[derive(Debug, Clone)]
pub struct VerifiedEmail {
    /// The email address.
    pub email: Email,
    /// The instant at which the token expires.
    pub expires_at: UnixMillis,
}

impl Sessions<'_> {
    /// Verifies a token and returns its person; `None` if the token is not valid, with the reason in the log.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the token cannot be checked.
    pub async fn verify_access_token(&self, access: &Access, token: &str) -> Result<Option<VerifiedEmail>, Error> {
        let refused = |reason: &str| {
            log::warn!("a token of Cloudflare Access is refused: {reason}");
            Ok(None)
        };
        let Some(jwt) = Jwt::parse(token) else { return refused("it is not a token, or not signed with a public key") };
        let issuer = format!("https://{}", access.team_domain);
        // The checks that need no request come first.
        if !jwt.claims.hold(&issuer, &access.audience, self.app.now()) {
            return refused("it is for another application, of another team, or has expired");
        }
        let team = Publisher {
            name: "Cloudflare Access",
            place: Place::At { origin: &issuer, path: "/cdn-cgi/access/certs" },
            read: read_key_set,
        };
        if let Some(fault) = self.app.signature_fault(&self.app.isolate.team_keys, &team, &jwt).await? {
            return refused(fault);
        }
        match jwt.claims.email.clone().map(Email::try_from) {
            Some(Ok(email)) => Ok(Some(VerifiedEmail { email, expires_at: jwt.claims.expires_at() })),
            _ => refused("it vouches for no address"),
        }
    }

    /// The organizations that have a member with this address.
    ///
    /// # Errors
    /// The database's.
    pub async fn memberships(&self, email: &Email) -> Result<Vec<Membership>, Error> {
        Ok(people::memberships(email).run(&*self.app.database).await?)
    }

    /// Starts a session for a person from Cloudflare Access, by one of their [`Sessions::memberships`]. It ends
    /// with the token at the latest.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the membership has ended since, or was given by an invitation whose end has passed.
    pub async fn begin_with_access(
        &self,
        verified: &VerifiedEmail,
        membership: &Membership,
        client: &Client,
    ) -> Result<StartedSession, Error> {
        let new = self.new_session(client, Some(verified.expires_at), self.app.now())?;
        let (organization_id, user_id) = (membership.organization_id, membership.user_id);
        let created = new.created_event(organization_id, "cloudflare_access", None);
        let mut batch = Batch::new();
        let started = batch.add(sessions::insert_for_member(&new.row(), organization_id, user_id, Creator::default()));
        let retention = self.app.config.audit_retention;
        batch.execute(audit::record_if_changed(&new.actor(user_id), &created, retention));
        if batch.run(&*self.app.database).await?.take(started)? { Ok(new.started) } else { Err(Error::NotFound) }
    }
}
