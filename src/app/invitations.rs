//! Invitations: made by somebody who vouches, opened by whoever has the link, accepted once.

use serde_json::{Map, json};

use crate::{
    app::{
        App, Principal,
        error::Error,
        keys::{Created, Page},
        people::check_vouches,
        sessions::{Begun, Visitor},
        take,
    },
    domain::{
        id::{InvitationId, KeyId, OrganizationId, UserId},
        idempotency::Nonce,
        key::{Key, KeyKind, Life, Name, Role},
        key_text::KeyText,
        organization::Policy,
        person::{Email, Invitation},
        scope::Scopes,
        token::InvitationToken,
    },
    ports::{Row, Statement},
    storage::{
        audit::{self, Actor, Event},
        invitations, keys, people, sessions,
    },
};

const ALREADY_INVITED: Error = Error::Conflict {
    code: "already_invited",
    message: "There is an open invitation for this address. Revoke it first.",
};

const ALREADY_MEMBER: Error =
    Error::Conflict { code: "already_member", message: "Somebody with this address is a member already." };

impl App {
    /// Invites somebody; gives the invitation, and its token this once.
    ///
    /// # Errors
    /// [`Error::Exceeds`] when the caller cannot vouch for the role; [`Error::Conflict`] when somebody
    /// with this address is a member or invited already.
    pub async fn invite(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        email: Email,
        role: Role,
        lasts_ms: i64,
    ) -> Result<(Invitation, InvitationToken), Error> {
        by.administers()?;
        check_vouches(by, role)?;
        let now = self.now();
        // No key makes another that lasts longer than itself, in this way neither.
        let key_expires_at = by.snapshot.ends_at();
        let ends_at = now.plus_ms(lasts_ms);
        let nonce = self.nonce(by)?;
        let source = self.secret_bytes(by, nonce.as_ref());
        let token = InvitationToken::generate(&self.config.brand, source).map_err(Error::Unavailable)?;
        let invitation = Invitation {
            id: InvitationId::new(now, self.random_bits()?),
            organization_id,
            email,
            role,
            expires_at: key_expires_at.map_or(ends_at, |key_expires_at| key_expires_at.min(ends_at)),
            key_expires_at,
            created_at: now,
            created_by: by.snapshot.key_id,
        };
        let details = json!({
            "email": invitation.email,
            "role": role,
            "expires_at": invitation.expires_at.to_rfc3339(),
        });
        let created = Event::new(organization_id, invitation.id, "invitation.created", details, now);
        let statements = vec![
            people::by_email(organization_id, &invitation.email),
            invitations::forget_expired(organization_id, now),
            invitations::insert(&invitation, token.digest(), by.snapshot.user_id),
            self.record_if_changed(by, &created),
        ];
        let id = invitation.id.to_string();
        let error = match self.in_organization_once(by, organization_id, nonce, &id, statements).await {
            Ok(mut results) => match (take(&mut results, 0).is_empty(), take(&mut results, 2).is_empty()) {
                (_, false) => return Ok((invitation, token)),
                (false, true) => ALREADY_MEMBER,
                (true, true) => ALREADY_INVITED,
            },
            Err(error) => error,
        };
        self.invited_before(by, error).await
    }

    /// The invitation that the first request with this Idempotency-Key made, with its token.
    async fn invited_before(&self, by: &Principal, error: Error) -> Result<(Invitation, InvitationToken), Error> {
        let (first, mut results) = self.made_before(by, error, &[invitations::made]).await?;
        let spent = || Error::Spent(first.subject.clone());
        let (invitation, digest) = invitations::read_made(take(&mut results, 0))?.ok_or_else(spent)?;
        let nonce = first.nonce.as_deref().and_then(Nonce::parse).ok_or_else(spent)?;
        let source = self.secret_bytes(by, Some(&nonce));
        let token = InvitationToken::generate(&self.config.brand, source).map_err(Error::Unavailable)?;
        if token.digest().to_hex() == digest { Ok((invitation, token)) } else { Err(spent()) }
    }

    /// A page of at most `limit` open invitations, the newest first.
    ///
    /// # Errors
    /// [`Error::Exceeds`] for whoever does not administer the organization.
    pub async fn list_invitations(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        before: Option<InvitationId>,
        limit: i64,
    ) -> Result<Page<Invitation>, Error> {
        by.administers()?;
        let list = invitations::list(organization_id, before, limit + 1, self.now());
        let mut results = self.in_organization(by, organization_id, vec![list]).await?;
        Ok(Page::of(invitations::read(take(&mut results, 0))?, limit))
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it was accepted or has expired.
    pub async fn revoke_invitation(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        id: InvitationId,
    ) -> Result<(), Error> {
        by.administers()?;
        let now = self.now();
        let statements = vec![
            invitations::revoke(organization_id, id, now),
            self.record_if_changed(by, &Event::new(organization_id, id, "invitation.revoked", json!({}), now)),
        ];
        let mut results = self.in_organization(by, organization_id, statements).await?;
        if take(&mut results, 0).is_empty() { Err(Error::NotFound) } else { Ok(()) }
    }

    /// The invitation that a token opens, with its organization's name and policy.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it opens none, or none any more.
    pub async fn open_invitation(&self, token: &InvitationToken) -> Result<(Invitation, Name, Policy), Error> {
        let mut results = self.database.batch(vec![invitations::by_digest(token.digest(), self.now())]).await?;
        invitations::read_open(take(&mut results, 0))?.ok_or(Error::NotFound)
    }

    /// Lets in whoever has the token, as a new user with a key of his own. Of two at once, one is let in.
    ///
    /// The user is a new one even if there is one with this address in another organization: who holds
    /// a link has not proved that the address is his, and would come into what is not.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the token opens no invitation, or none any more.
    pub async fn accept_invitation(
        &self,
        token: &InvitationToken,
        key_name: Name,
        request_id: String,
        ip: Option<String>,
    ) -> Result<Created, Error> {
        // An invitation never changes: it can only have ended when the batch below asks again.
        let (invitation, _, policy) = self.open_invitation(token).await?;
        let now = self.now();
        let user_id = UserId::new(now, self.random_bits()?);
        let text = KeyText::generate(&self.config.brand, None, KeyKind::Pat, |bytes| self.entropy.fill(bytes))
            .map_err(Error::Unavailable)?;
        let mut key = Key {
            id: KeyId::new(now, self.random_bits()?),
            number: 0,
            organization_id: invitation.organization_id,
            user_id: Some(user_id),
            project_id: None,
            live_evaluation_id: None,
            kind: KeyKind::Pat,
            name: key_name,
            preview: text.preview(),
            // Whoever invited held full access himself.
            scopes: Scopes::Full,
            role: invitation.role,
            metadata: Map::new(),
            life: Life {
                expires_at: policy.expiry_unasked(invitation.key_expires_at, now),
                disabled_at: None,
                revoked_at: None,
            },
            created_at: now,
            created_by: None,
            updated_at: now,
            last_used_at: None,
            rotation: None,
        };
        // He acts by the key that he gets.
        let actor = Actor { key_id: Some(key.id), user_id: Some(user_id), session_id: None, request_id, ip };
        let insert = self.insert_key(&key, &text, policy);
        let rows = self.join(token, &invitation, user_id, &actor, insert, &Self::created_event(&key)).await?;
        key.number = keys::read_number(rows)?.ok_or(Error::NotFound)?;
        Ok(Created { key, text })
    }

    /// The same for a browser, which gets a session in the place of a key.
    ///
    /// # Errors
    /// As [`App::accept_invitation`] says.
    pub async fn accept_and_sign_in(&self, token: &InvitationToken, visitor: &Visitor) -> Result<Begun, Error> {
        let (invitation, ..) = self.open_invitation(token).await?;
        let now = self.now();
        let user_id = UserId::new(now, self.random_bits()?);
        let new = self.new_session(visitor, invitation.key_expires_at, now)?;
        let insert =
            sessions::insert_for_member(&new.row(), invitation.organization_id, user_id, invitation.key_expires_at);
        let created = new.created_event(invitation.organization_id, "invitation");
        let rows = self.join(token, &invitation, user_id, &new.actor(user_id), insert, &created).await?;
        if rows.is_empty() { Err(Error::NotFound) } else { Ok(new.begun) }
    }

    /// Makes the user whom an invitation is for and gives him, with its event, what he acts by: the rows of the
    /// statement that does it.
    async fn join(
        &self,
        token: &InvitationToken,
        invitation: &Invitation,
        user_id: UserId,
        actor: &Actor,
        insert: Statement,
        inserted: &Event,
    ) -> Result<Vec<Row>, Error> {
        let (now, digest, retention_ms) = (inserted.at, token.digest(), self.config.audit_retention_ms);
        let details = json!({ "invitation": invitation.id, "role": invitation.role });
        let joined = Event::new(invitation.organization_id, user_id, "member.joined", details, now);
        let batch = vec![
            invitations::insert_user(digest, user_id, now),
            invitations::insert_membership(digest, user_id, now),
            audit::record_if_changed(actor, &joined, retention_ms),
            insert,
            audit::record_if_changed(actor, inserted, retention_ms),
            invitations::use_up(digest, user_id),
        ];
        let mut results = self.database.batch(batch).await?;
        Ok(take(&mut results, 3))
    }
}
