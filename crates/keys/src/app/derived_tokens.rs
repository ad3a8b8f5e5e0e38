//! Derived tokens: created from a key that is good at this moment, without the database; see
//! [`crate::domain::derived_token`].

use std::rc::Rc;

use crate::{
    app::{App, Principal, error::Error},
    domain::{
        conditions::Conditions,
        derived_token::{DerivedClaims, PublishedKey, signed},
        feed::Feed,
        grant::Grant,
        id::v7,
        key::Role,
        scope::{Scope, Scopes},
        time::UnixMillis,
    },
};

/// A token to derive.
pub struct NewDerivedToken<'a> {
    /// The origin of the deployment.
    pub issuer: &'a str,
    /// The service that the token is for.
    pub audience: &'a str,
    /// The scopes; `None` for those of the key.
    pub scopes: Option<Vec<Scope>>,
    /// The life of the token, in seconds.
    pub seconds: i64,
}

/// A derived token.
pub struct DerivedToken {
    /// The token. It is shown only once.
    pub text: String,
    /// The scopes of the token.
    pub scopes: Vec<Scope>,
    /// The instant from which on the token is not valid.
    pub expires_at: UnixMillis,
}

impl App {
    /// Returns the public keys of the tokens' signatures, the one that signs first. They are derived once per isolate.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the platform fails.
    pub async fn published_keys(&self) -> Result<Rc<[PublishedKey]>, Error> {
        if let Some(keys) = self.isolate.published_keys() {
            return Ok(keys);
        }
        let mut keys = Vec::new();
        for key in &self.config.signing_keys {
            let public_key = self.signatures.public_key(key).await.map_err(Error::Unavailable)?;
            keys.push(PublishedKey::new(public_key));
        }
        Ok(self.isolate.keep_published_keys(keys))
    }

    /// Derives a token from the caller's key. It says no more than the key holds, and ends with it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no scopes are named and the key has full access; [`Error::Exceeds`] if the key does not hold
    /// the scopes, or has conditions; [`Error::Unavailable`] if no secret is set, or the key was accepted without the database.
    pub async fn derive_token(&self, principal: &Principal, new: NewDerivedToken<'_>) -> Result<DerivedToken, Error> {
        let (key, now) = (&principal.snapshot, self.now());
        if principal.degraded {
            return Err(Error::Unavailable("no token is derived while the database does not answer".to_owned()));
        }
        let scopes = match (new.scopes, &key.scopes) {
            (Some(scopes), _) => scopes,
            (None, Scopes::List(scopes)) => scopes.clone(),
            (None, Scopes::Full) => {
                let message = "is required, because the key has full access, which a token never has";
                return Err(Error::invalid("scopes", message));
            }
        };
        let seconds = |at: UnixMillis| at.0.div_euclid(1000);
        let issued_at = seconds(now);
        let latest = issued_at.saturating_add(new.seconds);
        let expires_at = key.ends_at().map_or(latest, |end| seconds(end).min(latest));
        let scopes = Scopes::List(scopes);
        principal.grants(&Grant::Key {
            scopes: &scopes,
            // A token is good for everyone who holds it.
            conditions: &Conditions::default(),
            role: Role::Member,
            expires_at: Some(UnixMillis(expires_at.saturating_mul(1000))),
        })?;
        let Scopes::List(scopes) = scopes else { return Err(Error::invalid("scopes", "must be a list")) };
        let published = self.published_keys().await?;
        let (Some(signing_key), Some(published)) = (self.config.signing_keys.first(), published.first()) else {
            return Err(Error::Unavailable("no token is signed without OPERATOR_SECRET or TOKEN_SECRET".to_owned()));
        };
        // A key that has changed meanwhile keeps the number from before the change, so that every follower refuses it.
        let seq = self.isolate.feed(|feed| if feed.permits(key) { Feed::head(feed) } else { key.seq });
        let claims = DerivedClaims {
            issuer: new.issuer,
            key_id: key.key_id,
            audience: new.audience,
            issued_at,
            expires_at,
            id: v7(now, self.random_bits()?).to_string(),
            scope: scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "),
            kind: key.kind,
            organization_id: key.organization_id,
            user_id: key.user_id,
            project_id: key.project_id,
            seq,
            subjects: key.subjects().collect(),
        };
        let input = claims.signing_input(published).map_err(Error::Unavailable)?;
        let signature = self.signatures.sign(signing_key, input.as_bytes()).await.map_err(Error::Unavailable)?;
        let expires_at = UnixMillis(expires_at.saturating_mul(1000));
        Ok(DerivedToken { text: signed(&input, &signature), scopes, expires_at })
    }
}
