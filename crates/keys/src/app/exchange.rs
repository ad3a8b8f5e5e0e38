//! The exchange of a workload's token for a key (RFC 8693). It needs no credential of this service: the token is one.
//!
//! A stranger's request costs little: the token is parsed without a question, the trust is one row, and nothing is
//! fetched unless the issuer, the audience and all claims match it. The answer to everything that is wrong is the same;
//! the audit log of the trust's organization has the reason.

use serde_json::{Map, json};

use crate::{
    app::{App, error::Error, keys::Keys, notes::NoteKind, public_keys::Publisher, sessions::Client},
    domain::{
        audit::{Actor, AuditEvent, NotedEvent, REFUSED},
        conditions::Conditions,
        grant::Granted,
        id::{KeyId, TrustId},
        jwt::Jwt,
        key::{Created, Key, Life},
        key_text::{Digest, KeyText},
        organization::Policy,
        scope::{Scope, Scopes},
        standing::Standing,
        time::UnixMillis,
        trust::Trust,
    },
    storage::{audit, batch::Batch, trusts},
};

/// The greatest age of a token, in milliseconds.
const MAX_AGE_MS: i64 = 60 * 60 * 1000;

/// The error of every token that gives no key.
pub const INVALID_GRANT: Error = Error::BadRequest {
    code: "invalid_grant",
    message: "This token gives no key. Compare its claims with the trust by POST \
              /v1/organizations/self/trusts/match; the audit log of the organization has the reason.",
};

/// The error of scopes that the trust does not give.
const INVALID_SCOPE: Error =
    Error::BadRequest { code: "invalid_scope", message: "The trust does not give all of these scopes. Ask for fewer." };

/// A request for an exchange.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The trust.
    pub trust_id: TrustId,
    /// The workload's token.
    pub token: String,
    /// The scopes that the key needs; `None` for all of the trust's.
    pub scopes: Option<Vec<Scope>>,
}

impl App {
    /// Exchanges a workload's token for a key. Of two simultaneous calls with one token, one succeeds.
    ///
    /// # Errors
    /// [`INVALID_GRANT`]; [`Error::BadRequest`] if the trust does not give the scopes; [`Error::TooMany`];
    /// [`Error::Unavailable`] if the issuer's keys cannot be read.
    pub async fn exchange(&self, exchange: Exchange, client: &Client) -> Result<Created, Error> {
        let jwt = Jwt::parse(&exchange.token).ok_or(INVALID_GRANT)?;
        match self.for_stranger(client.ip.as_deref(), self.exchange_parsed(exchange, &jwt, client)).await {
            Err(Error::NotFound) => Err(INVALID_GRANT),
            exchanged => exchanged,
        }
    }

    /// [`App::exchange`]; [`Error::NotFound`] stands for [`INVALID_GRANT`].
    async fn exchange_parsed(&self, exchange: Exchange, jwt: &Jwt, client: &Client) -> Result<Created, Error> {
        let now = self.now();
        let trust = trusts::giving(exchange.trust_id, now).run(&*self.database).await?.ok_or(Error::NotFound)?;
        let refused = |reason: &'static str, claim: Option<&str>| {
            self.note_refused_exchange(&trust, reason, claim, client);
            Error::NotFound
        };
        if let Some(mismatch) = trust.mismatches(&jwt.all_claims).first() {
            return Err(refused("claim_mismatch", Some(mismatch.claim)));
        }
        if !jwt.claims.are_current(now) {
            return Err(refused("token_expired", None));
        }
        let token_ends_at = jwt.claims.ends_at(MAX_AGE_MS, now).filter(|end| *end > now);
        let token_ends_at = token_ends_at.ok_or_else(|| refused("token_too_old", Some("iat")))?;
        let known = self.isolate.issuer_keys(&trust.issuer);
        let publisher = Publisher::issuer(&trust.issuer);
        match self.signature_fault(&known, &publisher, jwt).await {
            Ok(None) => {}
            Ok(Some(fault)) => return Err(refused(fault, None)),
            Err(error) => {
                refused("issuer_unavailable", None);
                return Err(error);
            }
        }
        let scopes = trust.narrow(exchange.scopes).ok_or(INVALID_SCOPE)?;
        self.count_write(trust.organization_id, false).await?;
        let (key, text) = self.new_workload_key(&trust, scopes, jwt, now)?;
        let number = self.give(&trust, &key, &text, jwt, token_ends_at, client).await?;
        let number = number.ok_or_else(|| refused("token_exchanged_before", None))?;
        Ok(Created { key: Key { number, ..key }, text })
    }

    /// Uses up the token and inserts the key, both or neither. Returns the key's number.
    async fn give(
        &self,
        trust: &Trust,
        key: &Key,
        text: &KeyText,
        jwt: &Jwt,
        token_ends_at: UnixMillis,
        client: &Client,
    ) -> Result<Option<i64>, Error> {
        // A token without an id is what was signed: of some signatures there are several for the same text.
        let token = match &jwt.claims.jti {
            Some(id) => Digest::of(&format!("{} {id}", trust.issuer.as_str())),
            None => Digest::of(&jwt.signed),
        };
        let details = json!({
            "name": key.name,
            "scopes": key.scopes,
            "expires_at": key.life.expires_at.map(UnixMillis::to_rfc3339),
            "sub": subject(jwt),
        });
        let event = AuditEvent::new(key.organization_id, key.id, "key.exchanged", details, key.created_at);
        let actor = Actor { key_id: key.creator.id, user_id: None, ..actor(client) };
        let mut batch = Batch::new();
        batch.execute(trusts::use_up(trust.id, token, token_ends_at, key.created_at));
        let number = batch.add(Keys::new(self).insert(key, text, Policy::default(), Granted::by_trust(trust)));
        batch.execute(audit::record_if_changed(&actor, &event, self.config.audit_retention));
        Ok(batch.run(&*self.database).await?.take(number)?)
    }

    fn new_workload_key(
        &self,
        trust: &Trust,
        scopes: Vec<Scope>,
        jwt: &Jwt,
        now: UnixMillis,
    ) -> Result<(Key, KeyText), Error> {
        let text = KeyText::generate(&self.config.brand, None, trust.kind(), |bytes| self.entropy.fill(bytes))
            .map_err(Error::Unavailable)?;
        let key = Key {
            id: KeyId::new(now, self.random_bits()?),
            number: 0,
            organization_id: trust.organization_id,
            user_id: None,
            project_id: trust.project_id,
            bound_to: None,
            kind: trust.kind(),
            name: trust.key_name(&subject(jwt)),
            preview: text.preview(),
            scopes: Scopes::List(scopes),
            conditions: Conditions::default(),
            role: trust.role,
            metadata: Map::new(),
            operator_metadata: Map::new(),
            life: Life { expires_at: Some(trust.key_expires_at(now)), disabled_at: None, revoked_at: None },
            created_at: now,
            creator: trust.creator(),
            updated_at: now,
            last_used_at: None,
            last_used_from: None,
            rotation: None,
            standing: Standing::Good,
        };
        Ok((key, text))
    }

    /// Records a refused exchange after the answer: one event a minute at most of a trust and a reason. Nothing of it is
    /// the stranger's own text.
    fn note_refused_exchange(&self, trust: &Trust, reason: &'static str, claim: Option<&str>, client: &Client) {
        let details = json!({ "reason": reason, "claim": claim });
        let event = AuditEvent::new(trust.organization_id, trust.id, REFUSED, details, self.now());
        let noted = NotedEvent { actor: actor(client), event, refusal: Some("invalid_grant") };
        self.note(NoteKind::Use(reason, trust.id.to_string()), noted);
    }
}

/// The actor of an event without a key.
fn actor(client: &Client) -> Actor {
    Actor {
        organization_id: None,
        key_id: None,
        user_id: None,
        session_id: None,
        request_id: client.request_id.clone(),
        ip: client.ip.clone(),
    }
}

/// The subject of a token whose claims match a trust.
fn subject(jwt: &Jwt) -> String {
    jwt.all_claims.get("sub").and_then(|sub| sub.as_str()).unwrap_or_default().to_owned()
}
