//! Invitations: created by a member who vouches for the role, opened with a link, accepted once.

use serde_json::{Map, json};

use crate::{
    app::{
        App, Principal,
        error::Error,
        idempotency::Attempt,
        keys::Keys,
        sessions::{Client, Sessions, StartedSession},
    },
    domain::{
        audit::{Actor, AuditEvent},
        conditions::Conditions,
        grant::{Grant, Granted},
        id::{InvitationId, KeyId, OrganizationId, UserId},
        idempotency::FirstRequest,
        key::{Created, Key, Life, Name, Role},
        key_text::{KeyKind, KeyText},
        organization::Policy,
        page::Page,
        person::{Email, Invitation, InvitationFilter},
        scope::Scopes,
        standing::Standing,
        token::InvitationToken,
    },
    storage::{
        audit,
        batch::{Batch, Query},
        invitations, people, sessions,
    },
};

/// The error of an invitation for an address that is already invited.
const ALREADY_INVITED: Error = Error::Conflict {
    code: "already_invited",
    message: "This address already has an open invitation. Revoke it first.",
};

/// The error of an invitation for the address of a member.
const ALREADY_MEMBER: Error =
    Error::Conflict { code: "already_member", message: "A person with this address is already a member." };

/// The use cases of invitations.
pub struct Invitations<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Invitations<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Invitations<'_> {
    /// Invites a person. Returns the invitation and its token, which is shown only this once.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller cannot vouch for the role; [`Error::Conflict`] if a person with this
    /// address is already a member or invited.
    pub async fn create(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        email: Email,
        role: Role,
        lasts_ms: i64,
    ) -> Result<(Invitation, InvitationToken), Error> {
        principal.administers()?;
        let granted = principal.grants(&Grant::Link { role })?;
        let answer = |first: FirstRequest, (invitation, digest): (Invitation, String)| {
            let source = self.app.secret_bytes_again(principal, &first)?;
            let token = InvitationToken::generate(&self.app.config.brand, source).map_err(Error::Unavailable)?;
            let same = token.digest().to_hex() == digest;
            if same { Ok((invitation, token)) } else { Err(Error::Spent(first.subject)) }
        };
        self.app
            .once(principal, invitations::created_by_request, answer, async |attempt| {
                self.create_once(attempt, principal, organization_id, (email, role, granted), lasts_ms).await
            })
            .await
    }

    /// Creates an invitation in one attempt; see [`Invitations::create`].
    async fn create_once(
        &self,
        mut attempt: Attempt<'_>,
        principal: &Principal,
        organization_id: OrganizationId,
        (email, role, granted): (Email, Role, Granted),
        lasts_ms: i64,
    ) -> Result<(Invitation, InvitationToken), Error> {
        let now = self.app.now();
        // No key creates another that outlives it, and an invitation is no way around that.
        let key_expires_at = principal.snapshot.ends_at();
        let ends_at = now.plus_ms(lasts_ms);
        let source = attempt.secret_bytes()?;
        let token = InvitationToken::generate(&self.app.config.brand, source).map_err(Error::Unavailable)?;
        let invitation = Invitation {
            id: InvitationId::new(now, self.app.random_bits()?),
            organization_id,
            email,
            role,
            expires_at: key_expires_at.map_or(ends_at, |key_expires_at| key_expires_at.min(ends_at)),
            key_expires_at,
            created_at: now,
            created_by: principal.snapshot.key_id,
            created_by_user: principal.snapshot.user_id,
            parent_id: principal.snapshot.creator().parent_id,
        };
        let details = json!({
            "email": invitation.email,
            "role": role,
            "expires_at": invitation.expires_at.to_rfc3339(),
        });
        let created = AuditEvent::new(organization_id, invitation.id, "invitation.created", details, now);
        let mut batch = Batch::new();
        let is_member = batch.add(people::is_member(organization_id, &invitation.email));
        batch.execute(invitations::forget_expired(organization_id, now));
        let inserted = batch.add(invitations::insert(&invitation, token.digest(), granted));
        batch.execute(self.app.record_if_changed(principal, &created));
        let mut results = attempt.run_in_organization(organization_id, invitation.id, batch).await?;
        if results.take(inserted)? {
            return Ok((invitation, token));
        }
        Err(if results.take(is_member)? { ALREADY_MEMBER } else { ALREADY_INVITED })
    }

    /// Lists open invitations, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not administer the organization.
    pub async fn list(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        filter: InvitationFilter,
        before: Option<InvitationId>,
        limit: i64,
    ) -> Result<Page<Invitation>, Error> {
        principal.administers()?;
        let mut batch = Batch::new();
        let list = batch.add(invitations::list(organization_id, filter, before, limit, self.app.now()));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        Ok(results.take(list)?)
    }

    /// Revokes an invitation.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if it was accepted or has expired.
    pub async fn revoke(
        &self,
        principal: &Principal,
        organization_id: OrganizationId,
        id: InvitationId,
    ) -> Result<(), Error> {
        principal.administers()?;
        let now = self.app.now();
        let event = AuditEvent::new(organization_id, id, "invitation.revoked", json!({}), now);
        let mut batch = Batch::new();
        let revoked = batch.add(invitations::revoke(organization_id, id, now));
        batch.execute(self.app.record_if_changed(principal, &event));
        let mut results = self.app.in_organization(principal, organization_id, batch).await?;
        if results.take(revoked)? { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Returns the invitation of a token, with its organization's name and policy.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no open invitation with this token.
    pub async fn open(&self, token: &InvitationToken) -> Result<(Invitation, Name, Policy), Error> {
        let invitation = invitations::by_digest(token.digest(), self.app.now());
        invitation.run(&*self.app.database).await?.ok_or(Error::NotFound)
    }

    /// Accepts an invitation: creates a new user and a key of theirs. Of two simultaneous calls, one succeeds.
    ///
    /// The user is a new one even if another organization has a user with this address. The holder of a link has
    /// not proved that the address is theirs, and must not get into the other organization.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no open invitation with this token.
    pub async fn accept(
        &self,
        token: &InvitationToken,
        key_name: Name,
        request_id: String,
        ip: Option<String>,
    ) -> Result<Created, Error> {
        // An invitation never changes. It can only have ended when the batch below checks again.
        let (invitation, _, policy) = self.open(token).await?;
        let now = self.app.now();
        let user_id = UserId::new(now, self.app.random_bits()?);
        let text = KeyText::generate(&self.app.config.brand, None, KeyKind::Pat, |bytes| self.app.entropy.fill(bytes))
            .map_err(Error::Unavailable)?;
        let mut key = Key {
            id: KeyId::new(now, self.app.random_bits()?),
            number: 0,
            organization_id: invitation.organization_id,
            user_id: Some(user_id),
            project_id: None,
            bound_to: None,
            kind: KeyKind::Pat,
            name: key_name,
            preview: text.preview(),
            // The inviter held full access without conditions, too.
            scopes: Scopes::Full,
            conditions: Conditions::default(),
            role: invitation.role,
            metadata: Map::new(),
            operator_metadata: Map::new(),
            life: Life {
                expires_at: policy.expiry_unasked(invitation.key_expires_at, now),
                disabled_at: None,
                revoked_at: None,
            },
            created_at: now,
            creator: invitation.creator(),
            updated_at: now,
            last_used_at: None,
            last_used_from: None,
            rotation: None,
            standing: Standing::Good,
        };
        // They act by their new key.
        let actor = Actor {
            organization_id: None,
            key_id: Some(key.id),
            user_id: Some(user_id),
            session_id: None,
            request_id,
            ip,
        };
        let insert = Keys::new(self.app).insert(&key, &text, policy, Granted::by_invitation(&invitation));
        let number = self.join(token, &invitation, user_id, &actor, insert, &Keys::created_event(&key)).await?;
        key.number = number.ok_or(Error::NotFound)?;
        Ok(Created { key, text })
    }

    /// Accepts an invitation like [`Invitations::accept`], but starts a session in the browser instead of creating
    /// a key.
    ///
    /// # Errors
    /// As [`Invitations::accept`].
    pub async fn accept_and_sign_in(&self, token: &InvitationToken, client: &Client) -> Result<StartedSession, Error> {
        let (invitation, ..) = self.open(token).await?;
        let now = self.app.now();
        let user_id = UserId::new(now, self.app.random_bits()?);
        let new = Sessions::new(self.app).new_session(client, invitation.key_expires_at, now)?;
        let insert = sessions::insert_for_member(&new.row(), invitation.organization_id, user_id, invitation.creator());
        let created = new.created_event(invitation.organization_id, "invitation", Some(invitation.created_by));
        let joined = self.join(token, &invitation, user_id, &new.actor(user_id), insert, &created).await?;
        if joined { Ok(new.started) } else { Err(Error::NotFound) }
    }

    /// Creates the invited user, together with the key or the session by which they act, and its event.
    async fn join<T>(
        &self,
        token: &InvitationToken,
        invitation: &Invitation,
        user_id: UserId,
        actor: &Actor,
        insert: Query<T>,
        inserted: &AuditEvent,
    ) -> Result<T, Error> {
        let (now, digest, retention) = (inserted.at, token.digest(), self.app.config.audit_retention);
        let details = json!({ "invitation": invitation.id, "role": invitation.role });
        let joined = AuditEvent::new(invitation.organization_id, user_id, "member.joined", details, now);
        let mut batch = Batch::new();
        batch.execute(invitations::insert_user(digest, user_id, now));
        batch.execute(invitations::insert_membership(digest, user_id, now));
        batch.execute(audit::record_if_changed(actor, &joined, retention));
        let result = batch.add(insert);
        batch.execute(audit::record_if_changed(actor, inserted, retention));
        batch.execute(invitations::use_up(digest, user_id));
        Ok(batch.run(&*self.app.database).await?.take(result)?)
    }
}
