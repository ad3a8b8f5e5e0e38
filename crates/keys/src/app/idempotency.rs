//! Repeatable requests. [`crate::domain::idempotency`] explains how a secret that is stored nowhere can be shown
//! again.
//!
//! A use case that creates something does so in an [`Attempt`]. Only [`App::once`] and its variants hand one out.
//! They make sure that it succeeds once, and answer with the first result if it fails.

use crate::{
    app::{App, Principal, error::Error},
    domain::{
        grant::{Grant, role_to_hold},
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

/// One attempt to create something. It succeeds only once if its request has an Idempotency-Key. Only [`App::once`]
/// and its variants hand one out, and they answer with the first result.
pub struct Attempt<'a> {
    app: &'a App,
    principal: &'a Principal,
    nonce: Option<Nonce>,
}

impl<'a> Attempt<'a> {
    fn new(app: &'a App, principal: &'a Principal) -> Self {
        Self { app, principal, nonce: None }
    }

    /// Returns bytes for a new secret: derived ones that the same caller can get again, or random ones.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without randomness.
    pub fn secret_bytes(&mut self) -> Result<impl FnMut(&mut [u8]) -> Result<(), String> + use<'a>, Error> {
        self.nonce = self.app.nonce(self.principal)?;
        Ok(self.app.secret_bytes(self.principal, self.nonce.as_ref()))
    }

    /// Runs the batch that creates the resource with this id, behind the guard. Its last statement must change a
    /// row only if the resource was created: an insertion, or the event of one.
    ///
    /// # Errors
    /// As [`App::guarded`]; [`Error::Reused`] if the Idempotency-Key was used before, by this or another request.
    pub async fn run(self, id: impl ToString, mut batch: Batch) -> Result<Results, Error> {
        let Self { app, principal, nonce } = self;
        if let Some(request) = &principal.repeatable {
            let key_id = principal.snapshot.key_id;
            batch.execute_first(idempotency::forget(key_id, &request.digest(), app.window_start()));
            batch.execute(idempotency::store_first(key_id, request, nonce, &id.to_string(), app.now()));
        }
        app.guarded(principal, batch).await
    }

    /// Runs the batch like [`Attempt::run`], in an organization.
    ///
    /// # Errors
    /// Also [`Error::NotFound`] if the organization does not exist; then nothing was created.
    pub async fn run_in_organization(
        self,
        organization_id: OrganizationId,
        id: impl ToString,
        mut batch: Batch,
    ) -> Result<Results, Error> {
        let organization = batch.prepend(organizations::exists(organization_id));
        let mut results = self.run(id, batch).await?;
        if results.take(organization)? { Ok(results) } else { Err(Error::NotFound) }
    }
}

impl App {
    /// Creates something, only once if the request has an Idempotency-Key. If the attempt fails, the first request
    /// with the same Idempotency-Key may have succeeded and be the reason: a rotation is pending, an expiry has
    /// passed. Then `read_created` reads the first result, and `answer` turns it into the answer.
    ///
    /// The first result is not read if the failure is unrelated to the request ([`Error::Unavailable`],
    /// [`Error::KeyChanged`]), or if the caller has lost access ([`Error::NotFound`], [`Error::Forbidden`]): such a
    /// caller must not see earlier results either.
    ///
    /// # Errors
    /// The attempt's, if nothing was created before; [`Error::Reused`] if another request used the Idempotency-Key;
    /// [`Error::Spent`] if the created resource no longer exists.
    pub async fn once<T, M>(
        &self,
        principal: &Principal,
        read_created: impl FnOnce(KeyId, &str) -> Query<Option<M>>,
        answer: impl FnOnce(FirstRequest, M) -> Result<T, Error>,
        attempt: impl AsyncFnOnce(Attempt<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let error = match attempt(Attempt::new(self, principal)).await {
            Err(error) => error,
            created => return created,
        };
        let (first, mut results, handle) =
            self.first(principal, error, |batch, key_id, digest| batch.add(read_created(key_id, digest))).await?;
        let created = results.take(handle)?.ok_or_else(|| Error::Spent(first.subject.clone()))?;
        answer(first, created)
    }

    /// Creates something whose id is the whole answer, only once like [`App::once`].
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
            created => return created,
        };
        let (first, ..) = self.first(principal, error, |_, _, _| ()).await?;
        parse(&first.subject).ok_or(Error::Spent(first.subject))
    }

    /// Creates a key, or a new secret of one, only once like [`App::once`].
    ///
    /// # Errors
    /// As [`App::once`]; [`Error::Spent`] also if the secret is no longer the key's newest one, or was derived from
    /// another secret of the caller; [`Error::Exceeds`] if the caller holds less by now.
    pub async fn once_key(
        &self,
        principal: &Principal,
        attempt: impl AsyncFnOnce(Attempt<'_>) -> Result<Created, Error>,
    ) -> Result<Created, Error> {
        let error = match attempt(Attempt::new(self, principal)).await {
            Err(error) => error,
            created => return created,
        };
        let (first, mut results, key) = self
            .first(principal, error, |batch, key_id, digest| batch.add(keys::created_by_request(key_id, digest)))
            .await?;
        self.first_created(principal, &first, results.take(key)?)
    }

    /// Creates a key and, before it in the same batch, the resource that it belongs to, only once like
    /// [`App::once`]; `read_resource` reads that resource again.
    ///
    /// # Errors
    /// As [`App::once_key`]; [`Error::Spent`] also if the resource no longer exists.
    pub async fn once_key_with<T>(
        &self,
        principal: &Principal,
        read_resource: impl FnOnce(KeyId, &str) -> Query<Option<T>>,
        attempt: impl AsyncFnOnce(Attempt<'_>) -> Result<(T, Created), Error>,
    ) -> Result<(T, Created), Error> {
        let error = match attempt(Attempt::new(self, principal)).await {
            Err(error) => error,
            created => return created,
        };
        let add_queries = |batch: &mut Batch, key_id: KeyId, digest: &str| {
            (batch.add(keys::created_by_request(key_id, digest)), batch.add(read_resource(key_id, digest)))
        };
        let (first, mut results, (key, resource)) = self.first(principal, error, add_queries).await?;
        let created = self.first_created(principal, &first, results.take(key)?)?;
        let resource = results.take(resource)?.ok_or(Error::Spent(first.subject))?;
        Ok((resource, created))
    }

    /// The first request with the same Idempotency-Key, and the results of the queries that `add_queries` adds.
    async fn first<H>(
        &self,
        principal: &Principal,
        error: Error,
        add_queries: impl FnOnce(&mut Batch, KeyId, &str) -> H,
    ) -> Result<(FirstRequest, Results, H), Error> {
        let Some(request) = &principal.repeatable else { return Err(error) };
        if error.access_lost() || matches!(error, Error::Unavailable(_) | Error::KeyChanged) {
            return Err(error);
        }
        let (key_id, digest) = (principal.snapshot.key_id, request.digest());
        let mut batch = Batch::new();
        let first = batch.add(idempotency::first(key_id, &digest, self.window_start()));
        let handles = add_queries(&mut batch, key_id, &digest);
        let mut results = self.guarded(principal, batch).await?;
        let first = results.take(first)?.ok_or(error)?;
        if first.fingerprint != request.fingerprint() {
            return Err(Error::Reused);
        }
        Ok((first, results, handles))
    }

    /// The key that the first request created or rotated, with its secret, if it can be shown again.
    fn first_created(
        &self,
        principal: &Principal,
        first: &FirstRequest,
        stored: Option<(Key, String)>,
    ) -> Result<Created, Error> {
        let spent = || Error::Spent(first.subject.clone());
        let (key, digest) = stored.ok_or_else(spent)?;
        let source = self.secret_bytes_again(principal, first)?;
        let text = KeyText::renew(key.preview.stem.clone(), key.kind, source).map_err(Error::Unavailable)?;
        let newest = self.config.hasher.candidates(&text).iter().any(|candidate| candidate.to_hex() == digest);
        if key.life.revoked_at.is_some() || !newest {
            return Err(spent());
        }
        // The expiry does not matter: a key that rotated itself repeats the request with its outgoing secret. A
        // role in one organization says nothing of another, which the operator has created.
        let own = key.organization_id == principal.snapshot.organization_id;
        let role = if own { role_to_hold(&principal.snapshot, &key) } else { Role::Admin };
        let expires_at = principal.snapshot.ends_at();
        principal.grants(&Grant::Key { scopes: &key.scopes, conditions: &key.conditions, role, expires_at })?;
        Ok(Created { key, text })
    }

    /// The bytes of the secret that the first request created.
    ///
    /// # Errors
    /// [`Error::Spent`] if it is never shown again.
    pub fn secret_bytes_again(
        &self,
        principal: &Principal,
        first: &FirstRequest,
    ) -> Result<impl FnMut(&mut [u8]) -> Result<(), String>, Error> {
        let nonce = first.nonce.as_deref().and_then(Nonce::parse).ok_or_else(|| Error::Spent(first.subject.clone()))?;
        Ok(self.secret_bytes(principal, Some(&nonce)))
    }

    /// The nonce of a new secret, if the request may be repeated and shows the secret again.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without randomness.
    pub fn nonce(&self, principal: &Principal) -> Result<Option<Nonce>, Error> {
        if !principal.repeatable.as_ref().is_some_and(Repeatable::can_show_again) {
            return Ok(None);
        }
        let mut random = [0; 32];
        self.entropy.fill(&mut random).map_err(Error::Unavailable)?;
        Ok(Some(Nonce::new(random)))
    }

    /// Returns bytes for a new secret: with a nonce derived ones, which the same caller gets again, else random
    /// ones.
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

    /// The instant before which first requests are no longer available.
    pub fn window_start(&self) -> UnixMillis {
        self.now().plus_ms(-IDEMPOTENCY_WINDOW_MS)
    }
}
