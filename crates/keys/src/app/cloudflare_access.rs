//! Sign-in through Cloudflare Access, which names the person by a token in a header.

use std::rc::Rc;

use futures_util::StreamExt;

use crate::{
    app::{
        config::Access,
        error::Error,
        sessions::{Client, Sessions, StartedSession},
    },
    domain::{
        catalogue::Target,
        creator::Creator,
        jwt::{Jwt, PublicKey},
        person::{Email, Membership},
        time::UnixMillis,
    },
    ports::{ByteSource, Outgoing},
    storage::{audit, batch::Batch, people, sessions},
};

/// The time for which the team's keys are kept, in milliseconds.
const KEYS_MS: i64 = 60 * 60 * 1000;
/// The least time before the keys are requested again, after an unknown key or a failure, in milliseconds. A forged
/// token must not cost a request.
const RETRY_MS: i64 = 10 * 1000;
/// The time in which the answer must begin, in seconds.
const TIMEOUT_SECONDS: u32 = 10;
/// The maximum size of the answer, in bytes.
const MAX_KEYS_BYTES: usize = 64 * 1024;

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
        let Some(jwt) = Jwt::parse(token) else { return refused("it is not a token, or not signed with RS256") };
        let issuer = format!("https://{}", access.team_domain);
        // The checks that need no request come first.
        if !jwt.claims.hold(&issuer, &access.audience, self.app.now()) {
            return refused("it is for another application, of another team, or has expired");
        }
        let Some(key) = self.team_key(&issuer, &jwt.key_id).await? else {
            return refused("the team has no key of this id");
        };
        let verified = self.app.verifier.verify_rs256(&key, jwt.signed.as_bytes(), &jwt.signature);
        if !verified.await.map_err(Error::Unavailable)? {
            return refused("its signature is wrong");
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
        let retention_ms = self.app.config.audit_retention_ms;
        batch.execute(audit::record_if_changed(&new.actor(user_id), &created, retention_ms));
        if batch.run(&*self.app.database).await?.take(started)? { Ok(new.started) } else { Err(Error::NotFound) }
    }

    /// Returns a public key of the team, from memory if possible.
    async fn team_key(&self, issuer: &str, id: &str) -> Result<Option<PublicKey>, Error> {
        let now = self.app.now();
        let within = |at: UnixMillis, ms: i64| (0..ms).contains(&now.ms_since(at));
        let find = |keys: &[PublicKey]| keys.iter().find(|key| key.id == id).cloned();
        let unavailable =
            |reason: &str| Error::Unavailable(format!("the keys of Cloudflare Access cannot be read: {reason}"));
        let kept = self.app.isolate.team_keys().filter(|(read_at, _)| within(*read_at, KEYS_MS)).map(|(_, keys)| keys);
        if let Some(key) = kept.as_deref().and_then(find) {
            return Ok(Some(key));
        }
        if self.app.isolate.team_keys_asked_at().is_some_and(|asked_at| within(asked_at, RETRY_MS)) {
            return if kept.is_some() { Ok(None) } else { Err(unavailable("the last attempt failed")) };
        }
        // Concurrent requests need not wait for keys that may not help them. Without any keys they must.
        if kept.is_some() {
            self.app.isolate.note_team_keys_asked(now);
        }
        let read = self.read_team_keys(issuer).await;
        self.app.isolate.note_team_keys_asked(now);
        let keys = read.map_err(|reason| unavailable(&reason))?;
        let key = find(&keys);
        self.app.isolate.keep_team_keys(now, keys);
        Ok(key)
    }

    /// Requests the public keys of the team.
    async fn read_team_keys(&self, issuer: &str) -> Result<Vec<PublicKey>, String> {
        let request = Outgoing {
            method: "GET".to_owned(),
            target: Target::Upstream(issuer.to_owned()),
            path: "/cdn-cgi/access/certs".to_owned(),
            headers: Vec::new(),
            body: None,
            timeout_seconds: TIMEOUT_SECONDS,
        };
        let answer = self.app.upstream.send(request).await.map_err(|error| format!("{error:?}"))?;
        let body: Option<Rc<dyn ByteSource>> = answer.body.filter(|_| answer.status == 200);
        let body = body.ok_or_else(|| format!("the answer has the status {}", answer.status))?;
        let (mut pieces, mut bytes) = (body.pieces(), Vec::new());
        while let Some(piece) = pieces.next().await {
            bytes.extend(piece?);
            if bytes.len() > MAX_KEYS_BYTES {
                return Err("the answer is too long".to_owned());
            }
        }
        PublicKey::set(&bytes).ok_or_else(|| "the answer is not a set of keys".to_owned())
    }
}
