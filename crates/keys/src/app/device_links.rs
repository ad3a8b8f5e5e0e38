//! Device links: the claim of a key that a person has approved; see [`crate::domain::device_link`].

use serde_json::json;

use crate::{
    app::{App, error::Error, keys::event},
    domain::{
        audit::Actor,
        key::{Created, NewSecret},
        key_text::KeyText,
        token::DeviceToken,
    },
    storage::{audit, batch::Batch, device_links},
};

impl App {
    /// Claims the key that a person has approved for a device, with its secret. Of two simultaneous calls, one
    /// succeeds.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nobody has approved the link yet, it has expired or was used, or the key was changed since.
    pub async fn claim_key(
        &self,
        token: &DeviceToken,
        request_id: String,
        ip: Option<String>,
    ) -> Result<Created, Error> {
        let (now, link) = (self.now(), token.digest());
        let waiting = device_links::waiting_key(link, now).run(&*self.database).await?.ok_or(Error::NotFound)?;
        let text = KeyText::renew(waiting.preview.stem.clone(), waiting.kind, |bytes| self.entropy.fill(bytes))
            .map_err(Error::Unavailable)?;
        let (digest, pepper_version) = self.config.hasher.current(&text);
        // Neither is read: the secret before has no holder, and the link has the expiry.
        let new = NewSecret { digest, pepper_version, preview: text.preview(), rotates_at: None, expires_at: None };
        // The program acts by its new key.
        let actor = Actor {
            organization_id: None,
            key_id: Some(waiting.id),
            user_id: waiting.user_id,
            session_id: None,
            request_id,
            ip,
        };
        let claimed = event(&waiting, "key.claimed", json!({}), now);
        let mut batch = Batch::new();
        let key = batch.add(device_links::claim(link, &new, now));
        batch.execute(audit::record_if_changed(&actor, &claimed, self.config.audit_retention));
        batch.execute(device_links::use_up(link));
        let key = batch.run(&*self.database).await?.take(key)?.ok_or(Error::NotFound)?;
        Ok(Created { key, text })
    }
}
