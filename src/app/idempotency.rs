//! Requests that may be repeated; [`crate::domain::idempotency`] says how a secret can be told again
//! that is stored nowhere.
//!
//! A use case that makes something runs its batch by `guarded_once` instead of `guarded`. If that or any
//! check before it gives an error, it asks `made_before` with the statements that read what it makes
//! (`subject!` of `storage` is its id), or `id_made_before` if the id is all that it answers with, and
//! answers with what comes back. A new secret is filled by `secret_bytes`, with a `nonce`.

use crate::{
    app::{
        App, Principal,
        error::Error,
        keys::{Created, check_holds, role_to_hold},
        take,
    },
    domain::{
        id::KeyId,
        idempotency::{IDEMPOTENCY_WINDOW_MS, Nonce, Repeatable},
        key::Role,
        key_text::KeyText,
        time::UnixMillis,
    },
    ports::{Row, Statement},
    storage::{
        idempotency::{self, First},
        keys,
    },
};

impl App {
    /// What a new secret is derived with, if the request may be repeated and is told it again.
    pub(super) fn nonce(&self, by: &Principal) -> Result<Option<Nonce>, Error> {
        if !by.repeatable.as_ref().is_some_and(Repeatable::tells_again) {
            return Ok(None);
        }
        let mut random = [0; 32];
        self.entropy.fill(&mut random).map_err(Error::Unavailable)?;
        Ok(Some(Nonce::new(random)))
    }

    /// Bytes for a new secret: with a nonce those that the same caller gets again, else random ones.
    pub(super) fn secret_bytes(
        &self,
        by: &Principal,
        nonce: Option<&Nonce>,
    ) -> impl FnMut(&mut [u8]) -> Result<(), String> {
        let mut derived = by.repeatable.as_ref().zip(nonce).and_then(|(request, nonce)| request.secret_bytes(nonce));
        move |bytes| match &mut derived {
            Some(fill) => fill(bytes),
            None => self.entropy.fill(bytes),
        }
    }

    /// Runs a batch that makes what has this id, in the name of a key and behind the guard, and once
    /// alone if the request has an Idempotency-Key. Its last statement changes a row only if it was made:
    /// an insertion, or the event of one.
    ///
    /// # Errors
    /// [`Error::Repeated`] when the Idempotency-Key was used before; otherwise like [`App::guarded`].
    pub(super) async fn guarded_once(
        &self,
        by: &Principal,
        nonce: Option<Nonce>,
        made: &str,
        mut statements: Vec<Statement>,
    ) -> Result<Vec<Vec<Row>>, Error> {
        let Some(request) = &by.repeatable else {
            return self.guarded(by, statements).await;
        };
        let key_id = by.snapshot.key_id;
        statements.insert(0, idempotency::forget(key_id, &request.digest(), self.window_start()));
        statements.push(idempotency::remember(key_id, request, nonce, made, self.now()));
        let mut results = self.guarded(by, statements).await?;
        results.drain(..results.len().min(1));
        Ok(results)
    }

    /// What the first request with the same Idempotency-Key made, and the rows that `read` gives of it.
    /// Asked on every error, because what is refused now may be refused for having been done: a rotation
    /// is under way, an expiry has passed.
    ///
    /// # Errors
    /// `error` if there was none; [`Error::Reused`] if it was another request.
    pub(super) async fn made_before(
        &self,
        by: &Principal,
        error: Error,
        read: &[fn(KeyId, &str) -> Statement],
    ) -> Result<(First, Vec<Vec<Row>>), Error> {
        let Some(request) = &by.repeatable else { return Err(error) };
        if matches!(error, Error::Unavailable(_) | Error::KeyChanged) {
            return Err(error);
        }
        let (key_id, digest) = (by.snapshot.key_id, request.digest());
        let mut statements = vec![idempotency::get(key_id, &digest, self.window_start())];
        statements.extend(read.iter().map(|read| read(key_id, &digest)));
        let mut results = self.guarded(by, statements).await?;
        let first = idempotency::read(take(&mut results, 0))?.ok_or(error)?;
        if first.fingerprint != request.fingerprint() {
            return Err(Error::Reused);
        }
        results.drain(..results.len().min(1));
        Ok((first, results))
    }

    /// The id of what the first request made, as `parse` reads it.
    ///
    /// # Errors
    /// Like [`App::made_before`].
    pub(super) async fn id_made_before<T>(
        &self,
        by: &Principal,
        error: Error,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let (first, _) = self.made_before(by, error, &[]).await?;
        parse(&first.subject).ok_or(Error::Spent(first.subject))
    }

    /// The key that the first request made or rotated, with its secret, and the rows that `beside` gives.
    ///
    /// # Errors
    /// Like [`App::made_before`]; [`Error::Spent`] if the secret is the key's newest one no more, or was
    /// derived from another secret of the caller; [`Error::Exceeds`] if the caller holds less by now.
    pub(super) async fn key_made_before(
        &self,
        by: &Principal,
        error: Error,
        beside: &[fn(KeyId, &str) -> Statement],
    ) -> Result<(Created, Vec<Row>), Error> {
        let mut read: Vec<fn(KeyId, &str) -> Statement> = vec![keys::made];
        read.extend(beside);
        let (first, mut results) = self.made_before(by, error, &read).await?;
        let spent = || Error::Spent(first.subject.clone());
        let (key, digest) = keys::read_made(take(&mut results, 0))?.ok_or_else(spent)?;
        let nonce = first.nonce.as_deref().and_then(Nonce::parse).ok_or_else(spent)?;
        let source = self.secret_bytes(by, Some(&nonce));
        let text = KeyText::renew(key.preview.stem.clone(), key.kind, source).map_err(Error::Unavailable)?;
        let newest = self.config.hasher.candidates(&text).iter().any(|candidate| candidate.to_hex() == digest);
        if key.life.revoked_at.is_some() || !newest {
            return Err(spent());
        }
        // How long it lasts does not matter: a key that rotated itself asks by its outgoing secret.
        // What a role is worth in one organization says nothing of another, which the operator has made.
        let own = key.organization_id == by.snapshot.organization_id;
        let role = if own { role_to_hold(by, &key) } else { Role::Admin };
        check_holds(by, &key.scopes, role, by.snapshot.ends_at())?;
        Ok((Created { key, text }, take(&mut results, 1)))
    }

    /// Until when something was made that cannot be asked for again.
    fn window_start(&self) -> UnixMillis {
        self.now().plus_ms(-IDEMPOTENCY_WINDOW_MS)
    }
}
