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
        id::{KeyId, OrganizationId},
        idempotency::{FirstRequest, IDEMPOTENCY_WINDOW_MS, Nonce, Repeatable},
        key::{Key, Role},
        key_text::KeyText,
        time::UnixMillis,
    },
    ports::{Row, Statement},
    storage::{
        batch::{Batch, Query, Results},
        idempotency, keys, organizations, typed,
    },
};

/// One attempt to make something, which succeeds once alone if its request has an Idempotency-Key. Only
/// [`App::once`] and its kin give one, and they answer with what was made before.
pub(super) struct Attempt<'a> {
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
    pub(super) fn secret_bytes(&mut self) -> Result<impl FnMut(&mut [u8]) -> Result<(), String> + use<'a>, Error> {
        self.nonce = self.app.nonce(self.principal)?;
        Ok(self.app.secret_bytes(self.principal, self.nonce.as_ref()))
    }

    /// Runs the batch that makes what has this id, behind the guard. Its last statement must change a row
    /// only if it was made: an insertion, or the event of one.
    ///
    /// # Errors
    /// As [`App::guarded_batch`]; one that [`App::once`] knows when the Idempotency-Key was used before.
    pub(super) async fn run(self, made: impl ToString, mut batch: Batch) -> Result<Results, Error> {
        let Self { app, principal, nonce } = self;
        if let Some(request) = &principal.repeatable {
            let key_id = principal.snapshot.key_id;
            batch.execute_first(idempotency::forget(key_id, &request.digest(), app.window_start()));
            batch.execute(idempotency::remember(key_id, request, nonce, &made.to_string(), app.now()));
        }
        app.guarded_batch(principal, batch).await
    }

    /// Like [`Attempt::run`], in an organization.
    ///
    /// # Errors
    /// Also [`Error::NotFound`] when there is no such organization; nothing was made then.
    pub(super) async fn run_in_organization(
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
    /// [`Error::ReadOnly`]): then nobody tells what was done before either.
    ///
    /// # Errors
    /// The attempt's if nothing was made before; [`Error::Reused`] if that was another request;
    /// [`Error::Spent`] if what was made is no more.
    pub(super) async fn once<T, M>(
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
    pub(super) async fn once_id<T>(
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
    pub(super) async fn once_key(
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
    pub(super) async fn once_key_with<T>(
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

    /// What the first request with the same Idempotency-Key made, and the results of the queries that `ask` adds.
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
        let mut results = self.guarded_batch(principal, batch).await?;
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
    pub(super) fn secret_bytes_again(
        &self,
        principal: &Principal,
        first: &FirstRequest,
    ) -> Result<impl FnMut(&mut [u8]) -> Result<(), String>, Error> {
        let nonce = first.nonce.as_deref().and_then(Nonce::parse).ok_or_else(|| Error::Spent(first.subject.clone()))?;
        Ok(self.secret_bytes(principal, Some(&nonce)))
    }

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
    ) -> Result<(FirstRequest, Vec<Vec<Row>>), Error> {
        let Some(request) = &by.repeatable else { return Err(error) };
        if matches!(error, Error::Unavailable(_) | Error::KeyChanged) {
            return Err(error);
        }
        let (key_id, digest) = (by.snapshot.key_id, request.digest());
        let mut statements = vec![idempotency::first(key_id, &digest, self.window_start()).into()];
        statements.extend(read.iter().map(|read| read(key_id, &digest)));
        let mut results = self.guarded(by, statements).await?;
        let first = typed::<FirstRequest>(take(&mut results, 0))?.pop().ok_or(error)?;
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
        let mut read: Vec<fn(KeyId, &str) -> Statement> = vec![|key_id, digest| keys::made_key(key_id, digest).into()];
        read.extend(beside);
        let (first, mut results) = self.made_before(by, error, &read).await?;
        let spent = || Error::Spent(first.subject.clone());
        let (key, digest) = keys::read_made_key(take(&mut results, 0))?.ok_or_else(spent)?;
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
