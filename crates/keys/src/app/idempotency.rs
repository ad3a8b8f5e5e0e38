//! Requests that may be repeated; [`crate::domain::idempotency`] says how a secret can be told again
//! that is stored nowhere.
//!
//! A use case that makes something does it in an [`Attempt`], which [`App::once`] and its kin alone give: they
//! take care that it succeeds once, and answer with what was made before when it fails.

use crate::{
    app::{
        App, Principal,
        error::Error,
        holding::{check_holds, role_to_hold},
    },
    domain::{
        id::{KeyId, OrganizationId},
        idempotency::{FirstRequest, IDEMPOTENCY_WINDOW_MS, Nonce, Repeatable},
        key::{Created, Key, Role},
        key_text::KeyText,
        time::UnixMillis,
    },
    storage::{
        batch::{Batch, Query, Results},
        idempotency, keys, organizations,
    },
};

/// One attempt to make something, which succeeds once alone if its request has an Idempotency-Key. Only
/// [`App::once`] and its kin give one, and they answer with what was made before.
pub struct Attempt<'a> {
    app: &'a App,
    principal: &'a Principal,
    nonce: Option<Nonce>,
}

impl<'a> Attempt<'a> {
    fn new(app: &'a App, principal: &'a Principal) -> Self {
        Self { app, principal, nonce: None }
    }

    /// Bytes for a new secret: those that the same caller can get again, or random ones.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without randomness.
    pub fn secret_bytes(&mut self) -> Result<impl FnMut(&mut [u8]) -> Result<(), String> + use<'a>, Error> {
        self.nonce = self.app.nonce(self.principal)?;
        Ok(self.app.secret_bytes(self.principal, self.nonce.as_ref()))
    }

    /// Runs the batch that makes what has this id, behind the guard. Its last statement must change a row
    /// only if it was made: an insertion, or the event of one.
    ///
    /// # Errors
    /// As [`App::guarded`]; [`Error::Reused`], of whatever request, when the Idempotency-Key was used before.
    pub async fn run(self, made: impl ToString, mut batch: Batch) -> Result<Results, Error> {
        let Self { app, principal, nonce } = self;
        if let Some(request) = &principal.repeatable {
            let key_id = principal.snapshot.key_id;
            batch.execute_first(idempotency::forget(key_id, &request.digest(), app.window_start()));
            batch.execute(idempotency::remember(key_id, request, nonce, &made.to_string(), app.now()));
        }
        app.guarded(principal, batch).await
    }

    /// Like [`Attempt::run`], in an organization.
    ///
    /// # Errors
    /// Also [`Error::NotFound`] when there is no such organization; nothing was made then.
    pub async fn run_in_organization(
        self,
        id: OrganizationId,
        made: impl ToString,
        mut batch: Batch,
    ) -> Result<Results, Error> {
        let organization = batch.prepend(organizations::exists(id));
        let mut results = self.run(made, batch).await?;
        if results.take(organization)? { Ok(results) } else { Err(Error::NotFound) }
    }
}

impl App {
    /// Makes something, once alone if the request has an Idempotency-Key. When the attempt fails, for whatever
    /// reason, the first request with the same Idempotency-Key may have succeeded: a rotation is under way, an
    /// expiry has passed. What that one made is read by `made` then, and told by `answer`.
    ///
    /// Nothing is asked when the failure says nothing of the request ([`Error::Unavailable`],
    /// [`Error::KeyChanged`]), or when the caller may not do it any more ([`Error::NotFound`],
    /// [`Error::Forbidden`]): then nobody tells what was done before either.
    ///
    /// # Errors
    /// The attempt's if nothing was made before; [`Error::Reused`] if that was another request;
    /// [`Error::Spent`] if what was made is no more.
    pub async fn once<T, M>(
        &self,
        principal: &Principal,
        made: impl FnOnce(KeyId, &str) -> Query<Option<M>>,
        answer: impl FnOnce(FirstRequest, M) -> Result<T, Error>,
        attempt: impl AsyncFnOnce(Attempt<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let error = match attempt(Attempt::new(self, principal)).await {
            Err(error) => error,
            made => return made,
        };
        let (first, mut results, handle) =
            self.first(principal, error, |batch, key_id, digest| batch.add(made(key_id, digest))).await?;
        let made = results.take(handle)?.ok_or_else(|| Error::Spent(first.subject.clone()))?;
        answer(first, made)
    }

    /// Makes something of which the id is the whole answer, once alone like [`App::once`].
    ///
    /// # Errors
    /// As [`App::once`].
    pub async fn once_id<T>(
        &self,
        principal: &Principal,
        parse: impl FnOnce(&str) -> Option<T>,
        attempt: impl AsyncFnOnce(Attempt<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let error = match attempt(Attempt::new(self, principal)).await {
            Err(error) => error,
            made => return made,
        };
        let (first, ..) = self.first(principal, error, |_, _, _| ()).await?;
        parse(&first.subject).ok_or(Error::Spent(first.subject))
    }

    /// Makes a key, or a new secret of one, once alone like [`App::once`].
    ///
    /// # Errors
    /// As [`App::once`]; [`Error::Spent`] also if the secret is the key's newest one no more, or was derived
    /// from another secret of the caller; [`Error::Exceeds`] if the caller holds less by now.
    pub async fn once_key(
        &self,
        principal: &Principal,
        attempt: impl AsyncFnOnce(Attempt<'_>) -> Result<Created, Error>,
    ) -> Result<Created, Error> {
        let error = match attempt(Attempt::new(self, principal)).await {
            Err(error) => error,
            made => return made,
        };
        let (first, mut results, key) =
            self.first(principal, error, |batch, key_id, digest| batch.add(keys::made_key(key_id, digest))).await?;
        self.created_before(principal, &first, results.take(key)?)
    }

    /// Makes a key and, before it in the same batch, what it is for, once alone like [`App::once`]; `beside`
    /// reads that again.
    ///
    /// # Errors
    /// As [`App::once_key`]; [`Error::Spent`] also if what the key is for is no more.
    pub async fn once_key_with<T>(
        &self,
        principal: &Principal,
        beside: impl FnOnce(KeyId, &str) -> Query<Option<T>>,
        attempt: impl AsyncFnOnce(Attempt<'_>) -> Result<(T, Created), Error>,
    ) -> Result<(T, Created), Error> {
        let error = match attempt(Attempt::new(self, principal)).await {
            Err(error) => error,
            made => return made,
        };
        let ask = |batch: &mut Batch, key_id: KeyId, digest: &str| {
            (batch.add(keys::made_key(key_id, digest)), batch.add(beside(key_id, digest)))
        };
        let (first, mut results, (key, beside)) = self.first(principal, error, ask).await?;
        let created = self.created_before(principal, &first, results.take(key)?)?;
        let beside = results.take(beside)?.ok_or(Error::Spent(first.subject))?;
        Ok((beside, created))
    }

    /// The first request with the same Idempotency-Key, and the results of the queries that `ask` adds.
    async fn first<H>(
        &self,
        principal: &Principal,
        error: Error,
        ask: impl FnOnce(&mut Batch, KeyId, &str) -> H,
    ) -> Result<(FirstRequest, Results, H), Error> {
        let Some(request) = &principal.repeatable else { return Err(error) };
        if error.withdrawn() || matches!(error, Error::Unavailable(_) | Error::KeyChanged) {
            return Err(error);
        }
        let (key_id, digest) = (principal.snapshot.key_id, request.digest());
        let mut batch = Batch::new();
        let first = batch.add(idempotency::first(key_id, &digest, self.window_start()));
        let handles = ask(&mut batch, key_id, &digest);
        let mut results = self.guarded(principal, batch).await?;
        let first = results.take(first)?.ok_or(error)?;
        if first.fingerprint != request.fingerprint() {
            return Err(Error::Reused);
        }
        Ok((first, results, handles))
    }

    /// The key that the first request made or rotated, with its secret, if it can be told again.
    fn created_before(
        &self,
        principal: &Principal,
        first: &FirstRequest,
        made: Option<(Key, String)>,
    ) -> Result<Created, Error> {
        let spent = || Error::Spent(first.subject.clone());
        let (key, digest) = made.ok_or_else(spent)?;
        let source = self.secret_bytes_again(principal, first)?;
        let text = KeyText::renew(key.preview.stem.clone(), key.kind, source).map_err(Error::Unavailable)?;
        let newest = self.config.hasher.candidates(&text).iter().any(|candidate| candidate.to_hex() == digest);
        if key.life.revoked_at.is_some() || !newest {
            return Err(spent());
        }
        // How long it lasts does not matter: a key that rotated itself asks by its outgoing secret.
        // What a role is worth in one organization says nothing of another, which the operator has made.
        let own = key.organization_id == principal.snapshot.organization_id;
        let role = if own { role_to_hold(principal, &key) } else { Role::Admin };
        check_holds(principal, &key.scopes, role, principal.snapshot.ends_at())?;
        Ok(Created { key, text })
    }

    /// The bytes of the secret that the first request made.
    ///
    /// # Errors
    /// [`Error::Spent`] if it is never told again.
    pub fn secret_bytes_again(
        &self,
        principal: &Principal,
        first: &FirstRequest,
    ) -> Result<impl FnMut(&mut [u8]) -> Result<(), String>, Error> {
        let nonce = first.nonce.as_deref().and_then(Nonce::parse).ok_or_else(|| Error::Spent(first.subject.clone()))?;
        Ok(self.secret_bytes(principal, Some(&nonce)))
    }

    /// The nonce of a new secret, if the request may be repeated and is told it again.
    pub fn nonce(&self, principal: &Principal) -> Result<Option<Nonce>, Error> {
        if !principal.repeatable.as_ref().is_some_and(Repeatable::tells_again) {
            return Ok(None);
        }
        let mut random = [0; 32];
        self.entropy.fill(&mut random).map_err(Error::Unavailable)?;
        Ok(Some(Nonce::new(random)))
    }

    /// Bytes for a new secret: with a nonce those that the same caller gets again, else random ones.
    pub fn secret_bytes(
        &self,
        principal: &Principal,
        nonce: Option<&Nonce>,
    ) -> impl FnMut(&mut [u8]) -> Result<(), String> + use<'_> {
        let mut derived =
            principal.repeatable.as_ref().zip(nonce).and_then(|(request, nonce)| request.secret_bytes(nonce));
        move |bytes| match &mut derived {
            Some(fill) => fill(bytes),
            None => self.entropy.fill(bytes),
        }
    }

    /// The instant up to which what was made cannot be asked for again.
    pub fn window_start(&self) -> UnixMillis {
        self.now().plus_ms(-IDEMPOTENCY_WINDOW_MS)
    }
}
