//! The use cases, over ports and free of HTTP.

pub mod audit;
pub mod bootstrap;
pub mod cloudflare_access;
pub mod config;
pub mod error;
pub mod extensions;
pub mod holding;
pub mod idempotency;
pub mod invitations;
pub mod isolate;
pub mod keys;
pub mod organizations;
pub mod page;
pub mod people;
pub mod projects;
pub mod rotation;
pub mod sessions;
pub mod sweep;
pub mod teams;
pub mod verify;

use std::rc::Rc;

use self::{config::Config, error::Error, extensions::Extensions, isolate::Isolate};
use crate::{
    domain::{
        audit::Actor,
        feed::{Feed, News},
        idempotency::Repeatable,
        key::Role,
        organization::Subscription,
        snapshot::Snapshot,
        time::UnixMillis,
    },
    ports::{Background, Cache, Clock, Database, Entropy, Limiter, Upstream, Verifier},
    storage::{
        batch::{Batch, Query, Results},
        changes,
    },
};

/// Everything that a use case needs. Cheap to clone, so that work behind the answer can own one.
#[derive(Clone)]
pub struct App {
    /// D1.
    pub database: Rc<dyn Database>,
    /// KV.
    pub cache: Rc<dyn Cache>,
    /// The clock.
    pub clock: Rc<dyn Clock>,
    /// Randomness.
    pub entropy: Rc<dyn Entropy>,
    /// Work behind the answer.
    pub background: Rc<dyn Background>,
    /// The operator's servers.
    pub upstream: Rc<dyn Upstream>,
    /// The count of attempts to sign in.
    pub limiter: Rc<dyn Limiter>,
    /// The check of signatures.
    pub verifier: Rc<dyn Verifier>,
    /// The operator's choices.
    pub config: Rc<Config>,
    /// The isolate's memory between requests.
    pub isolate: Rc<Isolate>,
    /// The choices of parts that the core does not know.
    pub extensions: Extensions,
}

/// The key in whose name a request acts, as it was when it was verified.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The key as it was verified.
    pub snapshot: Rc<Snapshot>,
    /// The request's id.
    pub request_id: String,
    /// The address from which it came.
    pub ip: Option<String>,
    /// The request's Idempotency-Key and fingerprint, if it has one. Only what makes something looks at it.
    pub repeatable: Option<Repeatable>,
}

impl Principal {
    /// Whether it administers its organization, which a project's key never does.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if it does not.
    pub fn administers(&self) -> Result<(), Error> {
        if self.snapshot.role >= Role::Admin && self.snapshot.project_id.is_none() {
            return Ok(());
        }
        Err(Error::Exceeds("Only a key with the role `admin` or `owner` can do this.".to_owned()))
    }

    /// Whether its organization may use the resource routes.
    ///
    /// # Errors
    /// [`Error::PaymentRequired`] if its subscription is inactive.
    pub fn subscribed(&self) -> Result<(), Error> {
        match self.snapshot.subscription {
            Subscription::Active => Ok(()),
            Subscription::Inactive => Err(Error::PaymentRequired {
                code: "subscription_inactive",
                message: "The subscription of this organization is inactive. \
                          Ask whoever runs this service to renew it.",
            }),
        }
    }

    /// The actor of its events in the audit log.
    pub fn actor(&self) -> Actor {
        Actor {
            key_id: Some(self.snapshot.key_id),
            user_id: self.snapshot.user_id,
            session_id: self.snapshot.session_id,
            request_id: self.request_id.clone(),
            ip: self.ip.clone(),
        }
    }
}

impl App {
    /// Runs a batch in the name of a key, behind the guard: if anything behind the key has changed
    /// since it was verified, nothing is read and nothing is written. The batch ends with the feed's
    /// news, so that this isolate knows at once what it has changed itself.
    ///
    /// # Errors
    /// [`Error::KeyChanged`] when the guard stopped it; otherwise what the database says.
    pub async fn guarded(&self, principal: &Principal, mut batch: Batch) -> Result<Results, Error> {
        let (asked, sent_at) = (self.isolate.feed(Feed::head), self.now());
        batch.execute_first(changes::guard(&principal.snapshot));
        let news = batch.add(changes::since(asked));
        let mut results = batch.run(&*self.database).await?;
        self.isolate.hear(&News { asked, sent_at, changes: results.take(news)? });
        Ok(results)
    }

    /// Asks the database whether a key is as it was when it was verified.
    ///
    /// # Errors
    /// As [`App::guarded`].
    pub async fn confirm(&self, principal: &Principal) -> Result<(), Error> {
        self.guarded(principal, Batch::new()).await?;
        Ok(())
    }

    /// Runs one query in the name of a key, behind the guard.
    ///
    /// # Errors
    /// As [`App::guarded`].
    pub async fn query<T>(&self, principal: &Principal, query: Query<T>) -> Result<T, Error> {
        let mut batch = Batch::new();
        let handle = batch.add(query);
        Ok(self.guarded(principal, batch).await?.take(handle)?)
    }

    /// The guard's stand-in where the database was read without it: the read brought the feed's news,
    /// and they must not speak against the key in whose name it was done.
    ///
    /// # Errors
    /// [`Error::KeyChanged`] when they do.
    pub fn still_good(&self, principal: &Principal) -> Result<(), Error> {
        if self.isolate.feed(|feed| feed.permits(&principal.snapshot)) { Ok(()) } else { Err(Error::KeyChanged) }
    }

    /// The random part of a new id.
    pub fn random_bits(&self) -> Result<[u8; 10], Error> {
        let mut bits = [0; 10];
        self.entropy.fill(&mut bits).map_err(Error::Unavailable)?;
        Ok(bits)
    }

    /// The present instant.
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }
}
