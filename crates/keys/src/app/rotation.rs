//! Rotation in place: a key gets a new secret and keeps its id, its name and its history.
//!
//! Every snapshot of the outgoing secret contains its deadline, so the deadline holds without any sweep.

use serde_json::json;

use crate::{
    app::{
        Principal,
        error::Error,
        idempotency::Attempt,
        keys::{CHANGED_MEANWHILE, Keys, check_changeable, check_expiry, event, reach_to_change},
    },
    domain::{
        grant::Grant,
        key::{Created, Key, Life, NewSecret},
        key_text::KeyText,
        lock_out::Loss,
        time::UnixMillis,
    },
    storage::{batch::Batch, keys},
};

impl Keys<'_> {
    /// Gives a key that was read as `before` a new secret, in place. The old secret works for another `grace_ms`,
    /// but never past the key's expiry; 0 ends it at once. `expires_at` sets a new expiry, and reactivates an
    /// expired key.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller could not have created such a key, since the answer contains its secret;
    /// [`Error::Conflict`] if a rotation is pending, the key was changed since it was read, or the new expiry would
    /// lock the organization out.
    pub async fn rotate(
        &self,
        principal: &Principal,
        before: &Key,
        grace_ms: i64,
        expires_at: Option<Option<UnixMillis>>,
    ) -> Result<Created, Error> {
        self.app
            .once_key(principal, async |attempt| {
                self.rotate_once(attempt, principal, before, grace_ms, expires_at).await
            })
            .await
    }

    /// Rotates a key in one attempt; see [`Keys::rotate`].
    async fn rotate_once(
        &self,
        mut attempt: Attempt<'_>,
        principal: &Principal,
        before: &Key,
        grace_ms: i64,
        expires_at: Option<Option<UnixMillis>>,
    ) -> Result<Created, Error> {
        let now = self.app.now();
        check_changeable(before)?;
        if before.user_id.is_some() && before.user_id != principal.snapshot.user_id {
            return Err(Error::Exceeds(
                "Only the key's owner can rotate it, because the answer contains the new secret.".to_owned(),
            ));
        }
        if before.rotation.as_ref().is_some_and(|rotation| rotation.rotates_at > now) {
            return Err(Error::Conflict {
                code: "rotation_pending",
                message: "This key is already being rotated. Finish or cancel that rotation first.",
            });
        }
        if let Some(expires_at) = expires_at {
            check_expiry(principal.snapshot.policy, expires_at, now)?;
        }
        let expired = before.life.expires_at.is_some_and(|expires_at| expires_at <= now);
        if expired && expires_at.is_none() {
            return Err(Error::invalid("expires_at", "is required to rotate an expired key"));
        }
        if expired && grace_ms > 0 {
            return Err(Error::invalid("grace_period_seconds", "must be 0 for an expired key"));
        }
        let expires_at = expires_at.unwrap_or(before.life.expires_at);
        let granted = principal.grants(&Grant::Rotation { key: before, expires_at })?;
        let loss = Loss::of(before, &before.scopes, &before.conditions, Life { expires_at, ..before.life }, now);
        let rotates_at = (grace_ms > 0).then(|| {
            let end = now.plus_ms(grace_ms);
            expires_at.map_or(end, |expires_at| expires_at.min(end))
        });
        let stem = before.preview.stem.clone();
        let text = KeyText::renew(stem, before.kind, attempt.secret_bytes()?).map_err(Error::Unavailable)?;
        let (digest, pepper_version) = self.app.config.hasher.current(&text);
        let new = NewSecret { digest, pepper_version, preview: text.preview(), rotates_at, expires_at };
        let details = json!({
            "rotates_at": rotates_at.map(UnixMillis::to_rfc3339),
            "expires_at": expires_at.map(UnixMillis::to_rfc3339),
        });
        let rotate = keys::rotate(
            reach_to_change(principal, before.id)?,
            before,
            &new,
            principal.snapshot.user_id,
            granted,
            loss,
            now,
        );
        let mut batch = Batch::new();
        let key = batch.add(rotate);
        batch.execute(self.app.record_if_changed(principal, &event(before, "key.rotated", details, now)));
        match attempt.run(before.id, batch).await?.take(key)? {
            Some(key) => Ok(Created { key, text }),
            None if !loss.is_none() && self.is_unchanged(principal, before).await? => Err(LAST_KEY_ENDS),
            None => Err(CHANGED_MEANWHILE),
        }
    }

    /// Finishes a rotation early: the outgoing secret ends now.
    ///
    /// # Errors
    /// [`Error::Conflict`] if no rotation is pending.
    pub async fn finish_rotation(&self, principal: &Principal, before: &Key) -> Result<Key, Error> {
        let now = self.app.now();
        check_rotating(before, now)?;
        let finish = keys::finish_rotation(reach_to_change(principal, before.id)?, before, now);
        self.carry_out(principal, finish, &event(before, "key.rotation_finished", json!({}), now)).await
    }

    /// Cancels a rotation: the outgoing secret stays, and the new one ends.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the caller does not hold all that the outgoing secret can do then, for as long;
    /// [`Error::Conflict`] if no rotation is pending.
    pub async fn cancel_rotation(&self, principal: &Principal, before: &Key) -> Result<Key, Error> {
        let now = self.app.now();
        check_rotating(before, now)?;
        let granted = principal.grants(&Grant::OutgoingSecret { key: before })?;
        let cancel = keys::cancel_rotation(reach_to_change(principal, before.id)?, before, granted, now);
        self.carry_out(principal, cancel, &event(before, "key.rotation_cancelled", json!({}), now)).await
    }
}

/// The error of a rotation whose new expiry would lock the organization out.
const LAST_KEY_ENDS: Error = Error::Conflict {
    code: "last_managing_key",
    message: "This is the organization's last key that can manage keys, or its last one with full access, and would end \
              within a week. Create another one first, give this one a later expiry, or rotate it without a new expiry \
              and then change the expiry with `?force=true`.",
};

/// Checks that a rotation of a key is pending.
fn check_rotating(key: &Key, now: UnixMillis) -> Result<(), Error> {
    check_changeable(key)?;
    if key.rotation.as_ref().is_some_and(|rotation| rotation.rotates_at > now) {
        return Ok(());
    }
    Err(Error::Conflict { code: "no_rotation", message: "This key is not being rotated." })
}
