//! Sessions on the settings pages: started with a key or a link, read with each request, and ended.

use std::rc::Rc;

use serde_json::json;

use crate::{
    app::{App, Principal, error::Error},
    domain::{
        audit::{Actor, AuditEvent},
        decision::{Refusal, decide},
        feed::{Feed, News},
        grant::Grant,
        id::{KeyId, OrganizationId, SessionId, SignInLinkId, UserId},
        key::{Name, Role},
        key_text::KeyText,
        key_use::UsedFrom,
        lookup::{Freshness, Lookup},
        page::Page,
        scope::Scope,
        session::{
            LINK_MS, MAX_USER_AGENT_CHARS, NewSession, NewSignInLink, OpenSignInLink, SEEN_MS, SESSION_MS, Session,
            SessionReach, SignInLink,
        },
        snapshot::Snapshot,
        time::UnixMillis,
        token::{SessionToken, SignInToken},
    },
    storage::{
        audit,
        batch::Batch,
        changes, people,
        sessions::{self, SessionRow},
    },
};

/// The scope that a key must hold to sign its holder in.
pub const SIGN_IN: Scope = Scope::named("api-keys:write");
/// The maximum number of sessions in a list. Nobody has as many browsers.
const MAX_SESSIONS: i64 = 100;

/// The client that requests a session.
#[derive(Debug, Clone)]
pub struct Client {
    /// The id of the request.
    pub request_id: String,
    /// The client's address.
    pub ip: Option<String>,
    /// The code of the client's country.
    pub country: Option<String>,
    /// The browser's user agent.
    pub user_agent: String,
}

impl Client {
    /// The client as the caller with a key or a session.
    fn principal(&self, snapshot: Rc<Snapshot>) -> Principal {
        Principal::new(snapshot, &self.request_id, self.ip.as_deref(), self.country.as_deref())
    }
}

/// A new session. Its token is known only at this moment.
pub struct StartedSession {
    /// The token that the browser must send.
    pub token: SessionToken,
    /// The instant at which the session ends.
    pub expires_at: UnixMillis,
}

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The principal that acts for the person.
    pub principal: Principal,
    /// The session.
    pub session_id: SessionId,
    /// The name of the person's organization.
    pub organization: Name,
    /// The person's address, or else the name of the key that signed them in.
    pub name: String,
}

/// The use cases of sessions on the settings pages, and of the links that start them.
pub struct Sessions<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Sessions<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Sessions<'_> {
    /// Counts an attempt to sign in from one address against the operator's limit.
    ///
    /// # Errors
    /// [`Error::TooMany`] beyond the limit.
    pub async fn count_attempt(&self, client: &Client) -> Result<(), Error> {
        self.app.count_sign_in(client.ip.as_deref()).await
    }

    /// Starts a session with a key. It can do everything the key can, and ends with the presented secret.
    ///
    /// # Errors
    /// [`Error::Refused`] if the key is not valid or cannot manage keys.
    pub async fn begin_with_key(&self, text: &KeyText, client: &Client) -> Result<StartedSession, Error> {
        let found = self
            .app
            .find(Lookup { key: text, freshness: Freshness::Strong, ip: client.ip.as_deref() })
            .await?
            .ok_or(Error::Refused(Refusal::Unknown))?;
        let now = self.app.now();
        let principal = client.principal(found.snapshot);
        if let Err(refusal) = decide(&principal.snapshot, principal.uses(&[SIGN_IN], now)) {
            let details = json!({ "method": "POST", "route": "/sign-in" });
            self.app.note_refused_use(&principal, &refusal, details);
            return Err(Error::Refused(refusal));
        }
        let used_from = UsedFrom::new(client.ip.as_deref(), Some(&client.user_agent));
        self.app.note_use(&principal.snapshot, used_from);
        let new = self.new_session(client, principal.snapshot.ends_at(), now)?;
        let candidates = self.app.config.hasher.candidates(text);
        let mut batch = Batch::new();
        batch.execute(sessions::insert_for_key(&new.row(), principal.snapshot.key_id, &candidates));
        let created = new.created_event(principal.snapshot.organization_id, "key", None);
        batch.execute(self.app.record_if_changed(&principal, &created));
        self.app.guarded(&principal, batch).await?;
        Ok(new.started)
    }

    /// Creates a link that signs a member in. Returns the link, which is shown only this once, and its expiry. As
    /// with an invitation, the caller vouches for everything that the member may do.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such member; [`Error::Exceeds`] if the caller cannot vouch for them;
    /// [`Error::Spent`] if the same request has already created a link.
    pub async fn create_link(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<(SignInToken, UnixMillis), Error> {
        principal.administers()?;
        let now = self.app.now();
        let token = SignInToken::generate(&self.app.config.brand, |bytes| self.app.entropy.fill(bytes));
        let token = token.map_err(Error::Unavailable)?;
        let key_expires_at = principal.snapshot.ends_at();
        let expires_at = now.plus_ms(LINK_MS);
        let expires_at = key_expires_at.map_or(expires_at, |key_expires_at| key_expires_at.min(expires_at));
        let link = NewSignInLink {
            id: SignInLinkId::new(now, self.app.random_bits()?),
            created_at: now,
            digest: token.digest(),
            organization_id,
            user_id,
            roles: Role::ALL
                .into_iter()
                .filter(|role| principal.grants(&Grant::Link { role: *role }).is_ok())
                .collect(),
            key_expires_at,
            creator: principal.snapshot.creator(),
            session_id: principal.snapshot.session_id,
            expires_at,
        };
        let details = json!({ "expires_at": expires_at.to_rfc3339() });
        let created = AuditEvent::new(organization_id, user_id, "sign_in_link.created", details, now);
        let mut batch = Batch::new();
        let member = batch.add(people::get(organization_id, user_id));
        batch.execute(sessions::insert_link(&link));
        batch.execute(self.app.record_if_changed(principal, &created));
        // A link is never shown again.
        let parse = |_: &str| None;
        let member = self.app.once_id(principal, parse, async |attempt| {
            let mut results = attempt.run_in_organization(organization_id, user_id, batch).await?;
            results.take(member)?.ok_or(Error::NotFound)
        });
        principal.grants(&Grant::Link { role: member.await?.role })?;
        Ok((token, expires_at))
    }

    /// Lists an organization's open links, newest first, at most `limit`; with `only`, those for this member.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn list_links(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        only: Option<UserId>,
        before: Option<SignInLinkId>,
        limit: i64,
    ) -> Result<Page<OpenSignInLink>, Error> {
        principal.administers()?;
        let mut batch = Batch::new();
        let list = batch.add(sessions::list_links(organization_id, only, before, limit, self.app.now()));
        Ok(self.app.in_organization(principal, organization_id, batch).await?.take(list)?)
    }

    /// Takes an open link back: it opens nothing any more.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization; [`Error::NotFound`] also if the link was
    /// used, has expired, or signs in with a role above the caller's.
    pub async fn take_back_link(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: SignInLinkId,
    ) -> Result<(), Error> {
        principal.administers()?;
        let now = self.app.now();
        let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| *role <= principal.snapshot.role).collect();
        let event = AuditEvent::new(organization_id, id, "sign_in_link.revoked", json!({}), now);
        let mut batch = Batch::new();
        let revoked = batch.add(sessions::take_back_link(organization_id, id, &roles, now));
        batch.execute(self.app.record_if_changed(principal, &event));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        if results.take(revoked)? { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Returns the link of a token, if it is still valid.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no valid link with this token.
    pub async fn open_link(&self, token: &SignInToken) -> Result<SignInLink, Error> {
        let link = sessions::link_by_digest(token.digest(), self.app.now()).run(&*self.app.database).await?;
        link.map(|(_, link)| link).ok_or(Error::NotFound)
    }

    /// Starts a session with a link and uses the link up. Of two simultaneous calls, one succeeds.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no valid link with this token.
    pub async fn begin_with_link(&self, token: &SignInToken, client: &Client) -> Result<StartedSession, Error> {
        let now = self.app.now();
        let link = sessions::link_by_digest(token.digest(), now).run(&*self.app.database).await?;
        let (organization_id, link) = link.ok_or(Error::NotFound)?;
        let new = self.new_session(client, link.key_expires_at, now)?;
        let created = new.created_event(organization_id, "link", link.created_by);
        let retention = self.app.config.audit_retention;
        let mut batch = Batch::new();
        let started = batch.add(sessions::insert_for_link(&new.row(), token.digest()));
        batch.execute(audit::record_if_changed(&new.actor(link.user_id), &created, retention));
        batch.execute(sessions::use_up(token.digest()));
        if batch.run(&*self.app.database).await?.take(started)? { Ok(new.started) } else { Err(Error::NotFound) }
    }

    /// Returns the session of a token, whatever it may do; `None` if there is no open session. Each request reads
    /// the database, in one round trip, so that an ended session stops working at once.
    ///
    /// # Errors
    /// [`Error::TooMany`] for an address with too many unknown credentials, or the database's.
    pub async fn get(&self, token: &SessionToken, client: &Client) -> Result<Option<SignedIn>, Error> {
        let ip = client.ip.as_deref();
        self.app.check_address(ip)?;
        let (since, now) = (self.app.isolate.feed(Feed::head), self.app.now());
        let mut batch = Batch::new();
        let changes = batch.add(changes::since(since));
        let session = batch.add(sessions::by_digest(token.digest(), now));
        let mut results = batch.run(&*self.app.database).await?;
        let news = News { since, current_at: Some(now), changes: results.take(changes)? };
        self.app.hear(&news);
        let Some((session, snapshot)) = results.take(session)? else {
            self.app.note_unknown_credential(ip);
            return Ok(None);
        };
        let SessionRow { last_seen_at, organization, email, key_name } = session;
        let name = email.or_else(|| key_name.map(|name| name.as_str().to_owned()));
        let snapshot = snapshot.at(news.head());
        let Some(session_id) = snapshot.session_id else { return Ok(None) };
        if now.ms_since(last_seen_at) >= SEEN_MS {
            self.note_session_use(session_id, now);
        }
        let principal = client.principal(Rc::new(snapshot));
        Ok(Some(SignedIn { principal, session_id, organization, name: name.unwrap_or_default() }))
    }

    /// Lists the caller's open sessions, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, principal: &Principal) -> Result<Vec<Session>, Error> {
        self.app.query(principal, sessions::list(reach(principal), MAX_SESSIONS, self.app.now())).await
    }

    /// Ends a session of the caller.
    ///
    /// # Errors
    /// [`Error::NotFound`] also for another person's session.
    pub async fn end(&self, principal: &Principal, id: SessionId) -> Result<(), Error> {
        let event = AuditEvent::new(principal.snapshot.organization_id, id, "session.ended", json!({}), self.app.now());
        let mut batch = Batch::new();
        let ended = batch.add(sessions::end(reach(principal), id));
        batch.execute(self.app.record_if_changed(principal, &event));
        if self.app.guarded(principal, batch).await?.take(ended)? { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Prepares a session that ends at `ends_at` at the latest.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without randomness.
    pub fn new_session<'a>(
        &self,
        client: &'a Client,
        ends_at: Option<UnixMillis>,
        now: UnixMillis,
    ) -> Result<PendingSession<'a>, Error> {
        let token = SessionToken::generate(&self.app.config.brand, |bytes| self.app.entropy.fill(bytes));
        let token = token.map_err(Error::Unavailable)?;
        let longest = now.plus_ms(SESSION_MS);
        Ok(PendingSession {
            id: SessionId::new(now, self.app.random_bits()?),
            client,
            user_agent: client.user_agent.chars().take(MAX_USER_AGENT_CHARS).collect(),
            created_at: now,
            started: StartedSession { token, expires_at: ends_at.map_or(longest, |ends_at| ends_at.min(longest)) },
        })
    }

    /// Records after the answer that a session is in use.
    fn note_session_use(&self, id: SessionId, now: UnixMillis) {
        let database = Rc::clone(&self.app.database);
        self.app.background.spawn(Box::pin(async move {
            if let Err(error) = database.batch(vec![sessions::record_seen(id, now)]).await {
                log::warn!("the last use of a session was not recorded: {error:?}");
            }
        }));
    }
}

/// A session that is about to start.
pub struct PendingSession<'a> {
    id: SessionId,
    client: &'a Client,
    user_agent: String,
    created_at: UnixMillis,
    /// The token and the end, for the browser.
    pub started: StartedSession,
}

impl PendingSession<'_> {
    /// The row of the session.
    pub fn row(&self) -> NewSession<'_> {
        NewSession {
            id: self.id,
            digest: self.started.token.digest(),
            user_agent: &self.user_agent,
            created_at: self.created_at,
            expires_at: self.started.expires_at,
        }
    }

    /// A user who acts by this session.
    pub fn actor(&self, user_id: UserId) -> Actor {
        Actor {
            organization_id: None,
            key_id: Some(self.id.as_key()),
            user_id: Some(user_id),
            session_id: Some(self.id),
            request_id: self.client.request_id.clone(),
            ip: self.client.ip.clone(),
        }
    }

    /// The event of the session's start, by these means, which this key or session has created.
    pub fn created_event(&self, organization_id: OrganizationId, means: &str, created_by: Option<KeyId>) -> AuditEvent {
        let mut details = json!({ "by": means, "user_agent": self.user_agent });
        if let (Some(details), Some(created_by)) = (details.as_object_mut(), created_by) {
            details.insert("created_by".to_owned(), json!(created_by));
        }
        AuditEvent::new(organization_id, self.id, "session.created", details, self.created_at)
    }
}

/// The sessions that the caller sees.
fn reach(principal: &Principal) -> SessionReach {
    let caller = &principal.snapshot;
    SessionReach { organization_id: caller.organization_id, user_id: caller.user_id, key_id: caller.key_id }
}
