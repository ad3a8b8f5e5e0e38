//! Invitations: made by somebody who vouches, opened by whoever has the link, accepted once.

use serde_json::{Map, json};

use crate::{
    app::{
        App, Principal,
        error::Error,
        keys::{Created, Page, page},
        people::check_vouches,
        take,
    },
    domain::{
        id::{InvitationId, KeyId, OrganizationId, UserId},
        key::{Key, KeyKind, Life, Name, Role},
        key_text::KeyText,
        organization::Policy,
        person::{Email, Invitation, InvitationToken},
        scope::Scopes,
        time::UnixMillis,
    },
    storage::{
        audit::{self, Actor, Event},
        invitations, keys, people,
    },
};

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
        let fill = |bytes: &mut [u8]| self.entropy.fill(bytes);
        let token = InvitationToken::generate(&self.config.brand, fill).map_err(Error::Unavailable)?;
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
        let created = event(organization_id, invitation.id, "invitation.created", details, now);
        let statements = vec![
            invitations::forget_expired(organization_id, now),
            invitations::insert(&invitation, token.digest(), by.snapshot.user_id),
            self.record_if_changed(by, &created),
            people::by_email(organization_id, &invitation.email),
        ];
        let mut results = self.in_organization(by, organization_id, statements).await?;
        if !take(&mut results, 1).is_empty() {
            return Ok((invitation, token));
        }
        if take(&mut results, 3).is_empty() {
            return Err(Error::Conflict {
                code: "already_invited",
                message: "There is an open invitation for this address. Revoke it first.",
            });
        }
        Err(Error::Conflict { code: "already_member", message: "Somebody with this address is a member already." })
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
        Ok(page(invitations::read(take(&mut results, 0))?, limit))
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
            self.record_if_changed(by, &event(organization_id, id, "invitation.revoked", json!({}), now)),
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
        let organization_id = invitation.organization_id;
        let user_id = UserId::new(now, self.random_bits()?);
        let text = KeyText::generate(&self.config.brand, None, KeyKind::Pat, |bytes| self.entropy.fill(bytes))
            .map_err(Error::Unavailable)?;
        let mut key = Key {
            id: KeyId::new(now, self.random_bits()?),
            number: 0,
            organization_id,
            user_id: Some(user_id),
            project_id: None,
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
        let actor = Actor { key_id: Some(key.id), user_id: Some(user_id), request_id, ip };
        let retention_ms = self.config.audit_retention_ms;
        let joined = Event {
            organization_id,
            subject: user_id.to_string(),
            action: "member.joined",
            details: json!({ "invitation": invitation.id, "role": invitation.role }),
            at: now,
        };
        let digest = token.digest();
        let batch = vec![
            invitations::insert_user(digest, user_id, now),
            invitations::insert_membership(digest, user_id, now),
            audit::record_if_changed(&actor, &joined, retention_ms),
            self.insert_key(&key, &text, policy),
            audit::record_if_changed(&actor, &Self::created_event(&key), retention_ms),
            invitations::use_up(digest, user_id),
        ];
        let mut results = self.database.batch(batch).await?;
        key.number = keys::read_number(take(&mut results, 3))?.ok_or(Error::NotFound)?;
        Ok(Created { key, text })
    }
}

fn event(
    organization_id: OrganizationId,
    id: InvitationId,
    action: &'static str,
    details: serde_json::Value,
    at: UnixMillis,
) -> Event<'static> {
    Event { organization_id, subject: id.to_string(), action, details, at }
}
