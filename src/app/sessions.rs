//! Sessions on the settings pages: begun with a key or a link, read with each request, and ended.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::{
    app::{App, Principal, error::Error, take, verify::Freshness},
    domain::{
        decision::{Refusal, decide},
        feed::Feed,
        id::SessionId,
        key::Name,
        key_text::KeyText,
        scope::Scope,
        session::{MAX_USER_AGENT_CHARS, SEEN_MS, SESSION_MS, Session, SignInLink},
        time::UnixMillis,
        token::{SessionToken, SignInToken},
    },
    storage::{
        audit::{self, Actor, Event},
        changes,
        sessions::{self, NewSession, Whose},
    },
};

/// What a key must hold whose holder signs in with it.
pub(crate) const SIGN_IN: Scope = Scope::named("api-keys:write");
/// The most sessions that are listed. Nobody has as many browsers.
const MAX_SESSIONS: i64 = 100;

/// Who asks to be signed in, as far as that shows.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The request's id.
    pub request_id: String,
    /// The address from which it came.
    pub ip: Option<String>,
    /// What the browser says of itself.
    pub user_agent: String,
}

/// A session that was just begun: the one moment at which its token is known.
pub struct Begun {
    /// What the browser has to show.
    pub token: SessionToken,
    /// When the session ends.
    pub expires_at: UnixMillis,
}

/// Whoever is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// In whose name he acts.
    pub by: Principal,
    /// The session.
    pub session_id: SessionId,
    /// The name of his organization.
    pub organization: Name,
    /// His address, or else the name of the key by which he was signed in.
    pub name: String,
}

impl App {
    /// Begins a session with a key. It can do what the key can, and ends with the secret that was shown.
    ///
    /// # Errors
    /// [`Error::Refused`] when the key is not good or cannot manage keys.
    pub async fn sign_in_with_key(&self, text: &KeyText, visitor: &Visitor) -> Result<Begun, Error> {
        let found = self.find(text, Freshness::Strong).await?.ok_or(Error::Refused(Refusal::Unknown))?;
        let now = self.now();
        decide(&found.snapshot, &[SIGN_IN], now).map_err(Error::Refused)?;
        self.note_use(&found.snapshot);
        let (id, begun) = self.begin(found.snapshot.ends_at(), now)?;
        let by = Principal {
            snapshot: found.snapshot,
            request_id: visitor.request_id.clone(),
            ip: visitor.ip.clone(),
            repeatable: None,
        };
        let user_agent = shortened(&visitor.user_agent);
        let insert = sessions::insert_for_key(
            &new_session(id, &begun, &user_agent, now),
            by.snapshot.key_id,
            &self.config.hasher.candidates(text),
        );
        let created = Event::new(by.snapshot.organization_id, id, "session.created", details(&user_agent), now);
        self.guarded(&by, vec![insert, self.record_if_changed(&by, &created)]).await?;
        Ok(begun)
    }

    /// What a link opens.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it opens nothing, or nothing any more.
    pub async fn open_sign_in_link(&self, token: &SignInToken) -> Result<SignInLink, Error> {
        let mut results = self.database.batch(vec![sessions::link_by_digest(token.digest(), self.now())]).await?;
        sessions::read_link(take(&mut results, 0))?.map(|(_, link)| link).ok_or(Error::NotFound)
    }

    /// Begins a session with a link, which opens nothing more then. Of two at once, one is signed in.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the link opens nothing, or nothing any more.
    pub async fn sign_in_with_link(&self, token: &SignInToken, visitor: &Visitor) -> Result<Begun, Error> {
        let now = self.now();
        let mut results = self.database.batch(vec![sessions::link_by_digest(token.digest(), now)]).await?;
        let (organization_id, link) = sessions::read_link(take(&mut results, 0))?.ok_or(Error::NotFound)?;
        let (id, begun) = self.begin(link.key_expires_at, now)?;
        let user_agent = shortened(&visitor.user_agent);
        // He acts by the session that he gets.
        let actor = Actor {
            key_id: Some(id.as_key()),
            user_id: Some(link.user_id),
            session_id: Some(id),
            request_id: visitor.request_id.clone(),
            ip: visitor.ip.clone(),
        };
        let created = Event::new(organization_id, id, "session.created", details(&user_agent), now);
        let statements = vec![
            sessions::insert_for_link(&new_session(id, &begun, &user_agent, now), token.digest()),
            audit::record_if_changed(&actor, &created, self.config.audit_retention_ms),
            sessions::use_up(token.digest()),
        ];
        let mut results = self.database.batch(statements).await?;
        if take(&mut results, 0).is_empty() { Err(Error::NotFound) } else { Ok(begun) }
    }

    /// The session with this token, whatever it may do; `None`: there is no such session, or none any more.
    /// The database is asked for each request, in one round trip, so that what was ended has ended.
    ///
    /// # Errors
    /// What the database says.
    pub async fn session(
        &self,
        token: &SessionToken,
        request_id: &str,
        ip: Option<&str>,
    ) -> Result<Option<SignedIn>, Error> {
        let (asked, now) = (self.isolate.feed(Feed::head), self.now());
        let read = vec![changes::news(asked), sessions::by_digest(token.digest(), now)];
        let mut results = self.database.batch(read).await?;
        let news = changes::read_news(asked, now, take(&mut results, 0))?;
        self.isolate.hear(&news);
        let Some((snapshot, who)) = sessions::read(news.head(), take(&mut results, 1))? else { return Ok(None) };
        let Some(session_id) = snapshot.session_id else { return Ok(None) };
        if now.ms_since(who.last_seen_at) >= SEEN_MS {
            self.note_seen(session_id, now);
        }
        let name = who.email.or(who.key_name.map(|name| name.as_str().to_owned())).unwrap_or_default();
        let by = Principal {
            snapshot: Rc::new(snapshot),
            request_id: request_id.to_owned(),
            ip: ip.map(str::to_owned),
            repeatable: None,
        };
        Ok(Some(SignedIn { by, session_id, organization: who.organization, name }))
    }

    /// The open sessions of whoever asks, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_sessions(&self, by: &Principal) -> Result<Vec<Session>, Error> {
        let mut results = self.guarded(by, vec![sessions::list(whose(by), MAX_SESSIONS, self.now())]).await?;
        Ok(sessions::read_list(take(&mut results, 0))?)
    }

    /// Ends a session of whoever asks.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is somebody else's.
    pub async fn end_session(&self, by: &Principal, id: SessionId) -> Result<(), Error> {
        let ended = Event::new(by.snapshot.organization_id, id, "session.ended", json!({}), self.now());
        let statements = vec![sessions::end(whose(by), id), self.record_if_changed(by, &ended)];
        let mut results = self.guarded(by, statements).await?;
        if take(&mut results, 0).is_empty() { Err(Error::NotFound) } else { Ok(()) }
    }

    /// A session to be begun, by what lasts until `ends_at`.
    fn begin(&self, ends_at: Option<UnixMillis>, now: UnixMillis) -> Result<(SessionId, Begun), Error> {
        let token = SessionToken::generate(&self.config.brand, |bytes| self.entropy.fill(bytes));
        let token = token.map_err(Error::Unavailable)?;
        let longest = now.plus_ms(SESSION_MS);
        let expires_at = ends_at.map_or(longest, |ends_at| ends_at.min(longest));
        Ok((SessionId::new(now, self.random_bits()?), Begun { token, expires_at }))
    }

    /// Writes down behind the answer that a session is in use.
    fn note_seen(&self, id: SessionId, now: UnixMillis) {
        let database = Rc::clone(&self.database);
        self.background.spawn(Box::pin(async move {
            if let Err(error) = database.batch(vec![sessions::record_seen(id, now)]).await {
                log::warn!("that a session was used is lost: {error:?}");
            }
        }));
    }
}

fn new_session<'a>(id: SessionId, begun: &Begun, user_agent: &'a str, now: UnixMillis) -> NewSession<'a> {
    NewSession { id, digest: begun.token.digest(), user_agent, created_at: now, expires_at: begun.expires_at }
}

fn shortened(user_agent: &str) -> String {
    user_agent.chars().take(MAX_USER_AGENT_CHARS).collect()
}

fn details(user_agent: &str) -> Value {
    json!({ "user_agent": user_agent })
}

fn whose(by: &Principal) -> Whose {
    let caller = &by.snapshot;
    Whose { organization_id: caller.organization_id, user_id: caller.user_id, key_id: caller.key_id }
}
