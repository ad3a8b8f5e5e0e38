//! The use cases, over ports and free of HTTP.

pub mod audit;
pub mod audit_seals;
pub mod bootstrap;
pub mod cloudflare_access;
pub mod config;
pub mod derived_tokens;
pub mod descendants;
pub mod device_links;
pub mod error;
pub mod exchange;
pub mod extensions;
pub mod follow;
pub mod holder;
pub mod idempotency;
pub mod invitations;
pub mod isolate;
pub mod keys;
pub mod leaks;
pub mod limits;
pub mod lineage;
pub mod notes;
pub mod organizations;
pub mod people;
pub mod projects;
pub mod public_keys;
pub mod restore;
pub mod room;
pub mod rotation;
pub mod sessions;
pub mod sweep;
pub mod teams;
pub mod trusts;
pub mod verify;

use std::rc::Rc;

use self::{config::Config, error::Error, extensions::Extensions, isolate::Isolate};
use crate::{
    domain::{
        audit::Actor,
        client::Client,
        decision::Use,
        feed::{Feed, News},
        grant::{Grant, Granted, check_may_force},
        idempotency::Repeatable,
        key::Role,
        lookup::{FoundSubject, Source},
        organization::Subscription,
        scope::Scope,
        snapshot::Snapshot,
        time::UnixMillis,
    },
    ports::{Background, Cache, Clock, Database, Entropy, FeedHolder, Limiter, Signatures, Upstream},
    storage::{
        batch::{Batch, Query, Results},
        changes,
    },
};

/// The dependencies of the use cases. Cheap to clone, so that background work can own a copy.
#[derive(Clone)]
pub struct App {
    /// The database: D1.
    pub database: Rc<dyn Database>,
    /// The holder of the feed, if the deployment has one.
    pub holder: Option<Rc<dyn FeedHolder>>,
    /// The cache: KV.
    pub cache: Rc<dyn Cache>,
    /// The clock.
    pub clock: Rc<dyn Clock>,
    /// Randomness.
    pub entropy: Rc<dyn Entropy>,
    /// The background work after an answer.
    pub background: Rc<dyn Background>,
    /// The operator's servers.
    pub upstream: Rc<dyn Upstream>,
    /// The rate limiter.
    pub limiter: Rc<dyn Limiter>,
    /// Signatures.
    pub signatures: Rc<dyn Signatures>,
    /// The configuration.
    pub config: Rc<Config>,
    /// The isolate's memory between requests.
    pub isolate: Rc<Isolate>,
    /// The settings of other parts of the service, which the core does not know.
    pub extensions: Extensions,
}

/// The caller: a verified key with its request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The key as it was verified.
    pub snapshot: Rc<Snapshot>,
    /// The id of the request.
    pub request_id: String,
    /// The client's address.
    pub ip: Option<String>,
    /// The client that presents the key, by which its conditions are judged.
    pub client: Client,
    /// The request's Idempotency-Key and fingerprint, if there are any. Only use cases that create something read
    /// it.
    pub repeatable: Option<Repeatable>,
    /// The key that was looked up together with the caller's, because the request is about it.
    pub subject: Option<FoundSubject>,
    /// The furthest source that the request has waited for.
    pub waited_for: Source,
    /// True if the key was accepted without the database, which does not answer.
    pub degraded: bool,
}

impl Principal {
    /// The caller of a request whose key the database has just given.
    pub fn new(snapshot: Rc<Snapshot>, request_id: &str, ip: Option<&str>, country: Option<&str>) -> Self {
        Self {
            snapshot,
            request_id: request_id.to_owned(),
            ip: ip.map(str::to_owned),
            client: Client::told(ip, country),
            repeatable: None,
            subject: None,
            waited_for: Source::D1,
            degraded: false,
        }
    }

    /// The caller's use of its key for these scopes.
    pub fn uses<'a>(&self, scopes: &'a [Scope], at: UnixMillis) -> Use<'a> {
        Use { scopes, client: self.client, at }
    }

    /// Checks that the caller administers its organization. A project's key never does.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if it does not.
    pub fn administers(&self) -> Result<(), Error> {
        if self.snapshot.role >= Role::Admin && self.snapshot.project_id.is_none() {
            return Ok(());
        }
        Err(Error::Exceeds("Only a key with the role `admin` or `owner` can do this.".to_owned()))
    }

    /// Checks that the caller administers the operator's own organization.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if it does not.
    pub fn operates(&self) -> Result<(), Error> {
        if self.snapshot.operator && self.administers().is_ok() {
            return Ok(());
        }
        Err(Error::Exceeds("Only an owner or admin of the operator's own organization can do this.".to_owned()))
    }

    /// Checks that the caller may give this access: nothing lives longer or does more without it.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not hold it.
    pub fn grants(&self, grant: &Grant<'_>) -> Result<Granted, Error> {
        Ok(grant.check(&self.snapshot)?)
    }

    /// Checks that the caller may insist on the end of something with this role, although its organization may be
    /// locked out then.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not have full access and at least this role.
    pub fn may_force(&self, role: Role) -> Result<(), Error> {
        Ok(check_may_force(&self.snapshot, role)?)
    }

    /// Checks that the caller's organization may use the resource routes.
    ///
    /// # Errors
    /// [`Error::PaymentRequired`] if its subscription is inactive.
    pub fn subscribed(&self) -> Result<(), Error> {
        match self.snapshot.subscription {
            Subscription::Active => Ok(()),
            Subscription::Inactive => Err(Error::PaymentRequired {
                code: "subscription_inactive",
                message: "The subscription of this organization is inactive. \
                          Ask the operator of this service to renew it.",
            }),
        }
    }

    /// The actor of the caller's events in the audit log.
    pub fn actor(&self) -> Actor {
        Actor {
            organization_id: Some(self.snapshot.organization_id),
            key_id: Some(self.snapshot.key_id),
            user_id: self.snapshot.user_id,
            session_id: self.snapshot.session_id,
            request_id: self.request_id.clone(),
            ip: self.ip.clone(),
        }
    }
}

impl App {
    /// Runs a batch for a caller, behind the guard: if anything behind the caller's key has changed since it was
    /// verified, nothing is read and nothing is written. The batch ends with a read of the feed, so that this
    /// isolate knows its own changes at once.
    ///
    /// # Errors
    /// [`Error::KeyChanged`] if the guard stopped the batch; otherwise the database's.
    pub async fn guarded(&self, principal: &Principal, mut batch: Batch) -> Result<Results, Error> {
        let (since, sent_at) = (self.isolate.feed(Feed::head), self.now());
        batch.execute_first(changes::guard(&principal.snapshot));
        let news = batch.add(changes::since(since));
        let mut results = batch.run(&*self.database).await?;
        self.hear(&News { since, current_at: Some(sent_at), changes: results.take(news)? });
        Ok(results)
    }

    /// Checks with the database that a key has not changed since it was verified.
    ///
    /// # Errors
    /// As [`App::guarded`].
    pub async fn confirm(&self, principal: &Principal) -> Result<(), Error> {
        self.guarded(principal, Batch::new()).await?;
        Ok(())
    }

    /// Runs one query for a caller, behind the guard.
    ///
    /// # Errors
    /// As [`App::guarded`].
    pub async fn query<T>(&self, principal: &Principal, query: Query<T>) -> Result<T, Error> {
        let mut batch = Batch::new();
        let handle = batch.add(query);
        Ok(self.guarded(principal, batch).await?.take(handle)?)
    }

    /// Replaces the guard for a read that was done without it. That read also brought the feed's news, which must
    /// permit the caller's snapshot.
    ///
    /// # Errors
    /// [`Error::KeyChanged`] if they do not.
    pub fn still_good(&self, principal: &Principal) -> Result<(), Error> {
        if self.isolate.feed(|feed| feed.permits(&principal.snapshot)) { Ok(()) } else { Err(Error::KeyChanged) }
    }

    /// The random part of a new id.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without randomness.
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
