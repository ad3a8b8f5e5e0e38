//! Keys: created, listed, changed, revoked, and the rule that no key gives more than it holds.

use std::{collections::HashMap, rc::Rc};

use serde_json::{Map, Value, json};

use crate::{
    app::{
        App, Principal,
        error::{Error, Mistake},
        idempotency::Attempt,
    },
    domain::{
        audit::{AuditEvent, AuditFilter, AuditRecord},
        conditions::Conditions,
        device_link::{CLAIM_MS, DeviceLink},
        expected::Expected,
        feed::Feed,
        grant::{Grant, Granted, expires_later, role_to_hold},
        id::{KeyId, OrganizationId, ProjectId, UserId},
        json::{MAX_DEPTH, depth},
        key::{Created, Key, KeyChange, Life, Name, Role},
        key_list::{KeyCursor, KeyFilter, KeyOwner, KeyReach, KeyRef, StatusFilter},
        key_text::{Digest, KeyKind, KeyText, Word},
        key_use::DailyUses,
        lock_out::Loss,
        lookup::{Found, Source},
        organization::Policy,
        page::Page,
        scope::{Scope, Scopes},
        standing::Standing,
        time::UnixMillis,
    },
    storage::{
        audit,
        batch::{Batch, Query},
        device_links, key_uses, keys, snapshots,
    },
};

/// The maximum size of a key's metadata as JSON, in bytes; of the operator's as well.
const MAX_METADATA_BYTES: usize = 4_096;
/// The scope with which the operator sets its metadata, beside that for changing keys. With it the operator also sets
/// subscriptions, credits and quotas, so no customer's key holds it.
const SET_OPERATOR_METADATA: Scope = Scope::named("organization:write");

/// A key to be created.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The name of the key.
    pub name: Name,
    /// The kind of the key; `None` for the kind of the caller's key.
    pub kind: Option<KeyKind>,
    /// The project that a project's key sees.
    pub project_id: Option<ProjectId>,
    /// An environment or a region in the key's text.
    pub label: Option<Word>,
    /// The scopes of the key; `None` for the scopes of the caller's key.
    pub scopes: Option<Scopes>,
    /// The conditions of the key; `None` for the conditions of the caller's key.
    pub conditions: Option<Conditions>,
    /// The expiry. `None`: by the organization's policy, and no later than the caller's key; `Some(None)`: never.
    pub expires_at: Option<Option<UnixMillis>>,
    /// Metadata of those who manage the key.
    pub metadata: Map<String, Value>,
    /// Metadata of the operator. Only the operator can set it.
    pub operator_metadata: Map<String, Value>,
    /// The digest of the device link that gives the key to a program. `None`: the answer gives it to the caller.
    pub device: Option<Digest>,
}

/// A key with its owner, its usage and its activity.
pub struct History {
    /// The key.
    pub key: Key,
    /// The name that people know the owner by.
    pub owner: KeyOwner,
    /// The usage on each of the last 30 days, oldest first.
    pub days: Vec<DailyUses>,
    /// The activity: the key's events.
    pub events: Page<AuditRecord>,
    /// The names by id, as in [`crate::app::audit::AuditPage`].
    pub names: HashMap<String, String>,
}

/// The use cases of keys, from creation to revocation.
pub struct Keys<'a> {
    pub(crate) app: &'a App,
}

impl<'a> Keys<'a> {
    /// Returns the use cases over this service.
    pub fn new(app: &'a App) -> Self {
        Self { app }
    }
}

impl Keys<'_> {
    /// Resolves a list of scopes and names of bundles by the current catalogue.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the entry that is neither.
    pub fn expand_scopes(&self, entries: &[String]) -> Result<Scopes, Error> {
        self.app.config.catalogue.expand(entries).map_err(|wrong| {
            Error::Invalid(wrong.iter().map(|(index, message)| wrong_scope(*index, message)).collect())
        })
    }

    /// Checks that every scope is in the catalogue. An unknown one would look granted and give no access.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the first unknown scope.
    pub fn check_scopes(&self, scopes: &[Scope]) -> Result<(), Error> {
        for (index, scope) in scopes.iter().enumerate() {
            self.app
                .config
                .catalogue
                .check(scope)
                .map_err(|message| Error::Invalid(vec![wrong_scope(index, &message)]))?;
        }
        Ok(())
    }

    /// Creates a key.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Exceeds`] if it would hold more than the caller's key; [`Error::Conflict`] if
    /// its user already has as many keys as the organization allows.
    pub async fn create(&self, principal: &Principal, new: NewKey) -> Result<Created, Error> {
        let (organization_id, policy) = (principal.snapshot.organization_id, principal.snapshot.policy);
        self.app
            .once_key(principal, async |attempt| {
                self.create_after(attempt, principal, organization_id, policy, new, Batch::new()).await
            })
            .await
    }

    /// Creates a key in an organization with this policy, after the statements in the batch.
    ///
    /// # Errors
    /// As [`Keys::create`].
    pub async fn create_after(
        &self,
        mut attempt: Attempt<'_>,
        principal: &Principal,
        organization_id: OrganizationId,
        policy: Policy,
        new: NewKey,
        mut batch: Batch,
    ) -> Result<Created, Error> {
        let maker = &principal.snapshot;
        let now = self.app.now();
        let (kind, user_id) = choose_kind_and_user(principal, &new)?;
        // A project's key sees its project and administers nothing.
        let role = if kind == KeyKind::Proj { Role::Member } else { maker.role };
        let scopes = new.scopes.unwrap_or_else(|| maker.scopes.clone());
        let conditions = new.conditions.unwrap_or_else(|| maker.conditions.clone());
        check_metadata("metadata", &new.metadata)?;
        if !new.operator_metadata.is_empty() {
            check_operator_metadata(principal, &new.operator_metadata)?;
        }
        let expires_at = new.expires_at.unwrap_or_else(|| policy.expiry_unasked(maker.ends_at(), now));
        check_expiry(policy, expires_at, now)?;
        let device = new.device.map(|digest| (digest, now.plus_ms(CLAIM_MS)));
        let grant = Grant::Key { scopes: &scopes, conditions: &conditions, role: maker.role, expires_at };
        let granted = principal.grants(&grant)?;
        let source = attempt.secret_bytes()?;
        let text =
            KeyText::generate(&self.app.config.brand, new.label.as_ref(), kind, source).map_err(Error::Unavailable)?;
        let mut key = Key {
            id: KeyId::new(now, self.app.random_bits()?),
            number: 0,
            organization_id,
            user_id,
            project_id: new.project_id,
            bound_to: None,
            kind,
            name: new.name,
            preview: text.preview(),
            scopes,
            conditions,
            role,
            metadata: new.metadata,
            operator_metadata: new.operator_metadata,
            life: Life {
                expires_at: device.map(|(_, claimable_until)| claimable_until).into_iter().chain(expires_at).min(),
                disabled_at: None,
                revoked_at: None,
            },
            created_at: now,
            creator: maker.creator(),
            updated_at: now,
            last_used_at: None,
            last_used_from: None,
            rotation: None,
            standing: Standing::Good,
        };
        let number = batch.add(self.insert(&key, &text, policy, granted));
        if let Some((digest, claimable_until)) = device {
            let link = DeviceLink { digest, key_id: key.id, key_expires_at: expires_at, expires_at: claimable_until };
            batch.execute(device_links::insert(&link, granted));
        }
        batch.execute(self.app.record_if_changed(principal, &Self::created_event(&key)));
        let mut results = attempt.run(key.id, batch).await?;
        key.number = results.take(number)?.ok_or_else(|| match kind {
            KeyKind::Pat => KEY_LIMIT,
            _ => Error::invalid("project_id", "no such project in this organization"),
        })?;
        Ok(Created { key, text })
    }

    /// The insertion of a new key's row. It returns the key's number.
    pub fn insert(&self, key: &Key, text: &KeyText, policy: Policy, granted: Granted) -> Query<Option<i64>> {
        let (digest, pepper_version) = self.app.config.hasher.current(text);
        keys::insert(key, digest, pepper_version, policy.max_keys_per_user, granted)
    }

    /// The event of a key's creation.
    pub fn created_event(key: &Key) -> AuditEvent {
        let mut details = json!({
            "name": key.name,
            "kind": key.kind,
            "scopes": key.scopes,
            "expires_at": key.life.expires_at.map(UnixMillis::to_rfc3339),
        });
        if let (Some(details), false) = (details.as_object_mut(), key.operator_metadata.is_empty()) {
            details.insert("operator_metadata".to_owned(), json!(key.operator_metadata));
        }
        if let (Some(details), false) = (details.as_object_mut(), key.conditions.is_none()) {
            details.insert("conditions".to_owned(), json!(key.conditions));
        }
        event(key, "key.created", details, key.created_at)
    }

    /// Returns one key.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see it.
    pub async fn get(&self, principal: &Principal, key: KeyRef) -> Result<Key, Error> {
        let own = matches!(key, KeyRef::Id(id) if id == principal.snapshot.key_id);
        self.app.query(principal, keys::get(reach(principal, own)?, key)).await?.ok_or(Error::NotFound)
    }

    /// Finds a key as a verification of its newest secret would, in the database.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see it.
    pub async fn find(&self, principal: &Principal, id: KeyId) -> Result<Found, Error> {
        let reach = reach(principal, id == principal.snapshot.key_id)?;
        let sent_at = self.app.now();
        let mut batch = Batch::new();
        let key = batch.add(keys::get(reach, KeyRef::Id(id)));
        let row = batch.add(snapshots::by_id(id));
        let mut results = self.app.guarded(principal, batch).await?;
        results.take(key)?.ok_or(Error::NotFound)?;
        let seq = self.app.isolate.feed(Feed::head);
        let snapshot = Rc::new(results.take(row)?.ok_or(Error::NotFound)?.at(seq));
        let age_ms = self.app.now().ms_since(sent_at).max(0);
        Ok(Found { snapshot, seq, source: Source::D1, age_ms, waited_for: Source::D1, degraded: false })
    }

    /// Lists keys, newest first, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        principal: &Principal,
        filter: &KeyFilter,
        cursor: KeyCursor,
        limit: i64,
    ) -> Result<Page<Key>, Error> {
        let list = keys::list(reach(principal, false)?, filter, cursor, limit, self.app.now());
        Ok(self.app.query(principal, list).await?.read_at(cursor))
    }

    /// Lists keys like [`Keys::list`] for clients that know no pages, without metadata. They are read page by page, so
    /// that long keys do not fill the memory.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_whole(&self, principal: &Principal, filter: &KeyFilter, limit: i64) -> Result<Vec<Key>, Error> {
        let mut keys: Vec<Key> = Vec::new();
        loop {
            let cursor = keys.last().map_or(KeyCursor::Start, |key| KeyCursor::After(key.id));
            let left = limit - i64::try_from(keys.len()).unwrap_or(limit);
            let page = self.list(principal, filter, cursor, left).await?;
            keys.extend(page.items.into_iter().map(|key| Key {
                metadata: Map::new(),
                operator_metadata: Map::new(),
                ..key
            }));
            if !page.has_more || i64::try_from(keys.len()).is_ok_and(|listed| listed >= limit) {
                return Ok(keys);
            }
        }
    }

    /// Lists keys like [`Keys::list`], each with the name that people know its owner by. Only as many keys as one
    /// scan allows are read; if there are more, the last scanned key is returned, too.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_owned(
        &self,
        principal: &Principal,
        filter: &KeyFilter,
        cursor: KeyCursor,
        limit: i64,
    ) -> Result<(Page<(Key, KeyOwner)>, Option<KeyId>), Error> {
        let reach = reach(principal, false)?;
        let mut batch = Batch::new();
        let owned = batch.add(keys::list_owned(reach, filter, cursor, limit, self.app.now()));
        let looked_until = batch.add(keys::looked_until(reach, filter, cursor));
        let mut results = self.app.guarded(principal, batch).await?;
        Ok((results.take(owned)?.read_at(cursor), results.take(looked_until)?))
    }

    /// Returns a key that a change is about: one of any organization, if the change is the operator's alone.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see the key; [`Error::Exceeds`] if the change is the operator's, and
    /// the caller is not.
    pub async fn get_to_change(&self, principal: &Principal, id: KeyId, change: &KeyChange) -> Result<Key, Error> {
        if change.operator_metadata.is_some() {
            check_sets_operator_metadata(principal)?;
        }
        if change.is_operators() {
            return self.app.query(principal, keys::get_of_any(id)).await?.ok_or(Error::NotFound);
        }
        self.get(principal, KeyRef::Id(id)).await
    }

    /// Changes a key that was read as `before`.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if the key would get more than the caller's key holds, or the caller may not force;
    /// [`Error::Conflict`] if it is revoked, was changed since it was read, or would leave the organization without a
    /// key that can manage keys or without one with full access, unless `force` is set.
    pub async fn change(
        &self,
        principal: &Principal,
        before: &Key,
        change: &KeyChange,
        force: bool,
        expected: Expected,
    ) -> Result<Key, Error> {
        expected.check(before.updated_at)?;
        let now = self.app.now();
        if let Some(metadata) = &change.metadata {
            check_metadata("metadata", metadata)?;
        }
        if let Some(metadata) = &change.operator_metadata {
            check_operator_metadata(principal, metadata)?;
        }
        if let Some(expires_at) = change.expires_at {
            check_expiry(principal.snapshot.policy, expires_at, now)?;
        }
        if *change == KeyChange::default() {
            return Err(Error::invalid_request("There is nothing to change"));
        }
        check_changeable(before)?;
        if change.scopes.is_some() && before.bound_to.is_some() {
            return Err(Error::invalid("scopes", "cannot be changed on the key of a live evaluation"));
        }
        let granted = principal.grants(&Grant::Change { before, change })?;
        let loss = if force {
            principal.may_force(role_to_hold(&principal.snapshot, before))?;
            Loss::default()
        } else {
            let life = Life {
                expires_at: change.expires_at.unwrap_or(before.life.expires_at),
                disabled_at: match change.enabled {
                    None => before.life.disabled_at,
                    Some(true) => None,
                    Some(false) => Some(now),
                },
                ..before.life
            };
            let scopes = change.scopes.as_ref().unwrap_or(&before.scopes);
            Loss::of(before, scopes, change.conditions.as_ref().unwrap_or(&before.conditions), life, now)
        };
        let reach = if change.is_operators() {
            KeyReach { organization_id: before.organization_id, user_id: None, project_id: None }
        } else {
            reach_to_change(principal, before.id)?
        };
        let update = keys::update(reach, before, change, granted, loss, now);
        match self.carry_out(principal, update, &event(before, "key.updated", change_details(change), now)).await {
            Err(Error::Conflict { .. }) if !loss.is_none() && self.is_unchanged(principal, before).await? => {
                Err(LAST_KEY)
            }
            result => result,
        }
    }

    /// True if a key was not changed since it was read as `before`.
    pub(crate) async fn is_unchanged(&self, principal: &Principal, before: &Key) -> Result<bool, Error> {
        Ok(self.get(principal, KeyRef::Id(before.id)).await?.updated_at == before.updated_at)
    }

    /// Changes a key that was read before, writes the event, and returns the key after the change. Of two
    /// simultaneous changes, one finds the key changed.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the key was changed since it was read.
    pub async fn carry_out(
        &self,
        principal: &Principal,
        change: Query<Option<Key>>,
        event: &AuditEvent,
    ) -> Result<Key, Error> {
        let mut batch = Batch::new();
        let changed = batch.add(change);
        batch.execute(self.app.record_if_changed(principal, event));
        self.app.guarded(principal, batch).await?.take(changed)?.ok_or(CHANGED_MEANWHILE)
    }

    /// Revokes a key for good. Revoking a revoked key changes nothing and is no error.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see it; [`Error::Conflict`] if it is the last key that can
    /// manage keys or the last one with full access, unless `force` is set; [`Error::Exceeds`] if the caller may not
    /// force.
    pub async fn revoke(&self, principal: &Principal, id: KeyId, force: bool) -> Result<Key, Error> {
        if force {
            self.check_may_force(principal, id).await?;
        }
        self.end(principal, id, force).await
    }

    /// Checks that the caller may insist on the end of a key.
    ///
    /// # Errors
    /// [`Error::Exceeds`] if it may not; [`Error::NotFound`] also if the caller may not see the key.
    pub(crate) async fn check_may_force(&self, principal: &Principal, id: KeyId) -> Result<(), Error> {
        let key = self.get(principal, KeyRef::Id(id)).await?;
        principal.may_force(role_to_hold(&principal.snapshot, &key))
    }

    /// Ends the secret that the caller has presented, whatever the key may do, and even if its organization is locked
    /// out then: a secret that has leaked must be able to end. The newest secret ends the key. An outgoing secret
    /// ends only itself, because a rotation has replaced it.
    ///
    /// # Errors
    /// The database's.
    pub async fn revoke_self(&self, principal: &Principal) -> Result<Key, Error> {
        let id = principal.snapshot.key_id;
        if principal.snapshot.outgoing_until.is_none() {
            return self.end(principal, id, true).await;
        }
        let key = self.get(principal, KeyRef::Id(id)).await?;
        self.finish_rotation(principal, &key).await
    }

    /// Revokes a key; with `force` even the last one.
    async fn end(&self, principal: &Principal, id: KeyId, force: bool) -> Result<Key, Error> {
        let now = self.app.now();
        let reach = reach_to_change(principal, id)?;
        let revoked = AuditEvent::new(principal.snapshot.organization_id, id, "key.revoked", json!({}), now);
        let mut batch = Batch::new();
        batch.execute(keys::revoke(reach, id, force, now));
        batch.execute(self.app.record_if_changed(principal, &revoked));
        let key = batch.add(keys::get(reach, KeyRef::Id(id)));
        let key = self.app.guarded(principal, batch).await?.take(key)?.ok_or(Error::NotFound)?;
        if key.life.revoked_at.is_none() { Err(LAST_KEY) } else { Ok(key) }
    }

    /// The usage of a key on each of the last 30 days, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see the key.
    pub async fn usage(&self, principal: &Principal, id: KeyId) -> Result<Vec<DailyUses>, Error> {
        self.query_key(principal, id, key_uses::daily(id, self.app.now())).await
    }

    /// Returns a key with its owner's name, its [`Keys::usage`] and its [`Keys::events`], in one round trip. A
    /// caller that administers the organization also gets the names in the events.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see the key.
    pub async fn get_with_history(
        &self,
        principal: &Principal,
        id: KeyId,
        after: Option<i64>,
        limit: i64,
    ) -> Result<History, Error> {
        let (reach, now) = (reach(principal, id == principal.snapshot.key_id)?, self.app.now());
        let organization_id = principal.snapshot.organization_id;
        let this = KeyFilter { ids: Some(vec![id]), status: StatusFilter::All, ..KeyFilter::default() };
        let of_key = events_of(id);
        let mut batch = Batch::new();
        let key = batch.add(keys::list_owned(reach, &this, KeyCursor::Start, 1, now));
        let days = batch.add(key_uses::daily(id, now));
        let events = batch.add(audit::list(organization_id, &of_key, after, limit));
        let names = principal.administers().is_ok();
        let names = names.then(|| batch.add(audit::names(organization_id, &of_key, after, limit)));
        let mut results = self.app.guarded(principal, batch).await?;
        let (key, owner) = results.take(key)?.items.pop().ok_or(Error::NotFound)?;
        Ok(History {
            key,
            owner,
            days: results.take(days)?,
            events: results.take(events)?,
            names: names.map(|names| results.take(names)).transpose()?.unwrap_or_default(),
        })
    }

    /// Lists the events of a key, newest first, starting after event `after`.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if the caller may not see the key.
    pub async fn events(
        &self,
        principal: &Principal,
        id: KeyId,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Page<AuditRecord>, Error> {
        let list = audit::list(principal.snapshot.organization_id, &events_of(id), after, limit);
        self.query_key(principal, id, list).await
    }

    /// Runs a query about a key that the caller may see.
    async fn query_key<T>(&self, principal: &Principal, id: KeyId, query: Query<T>) -> Result<T, Error> {
        let mut batch = Batch::new();
        let key = batch.add(keys::get(reach(principal, id == principal.snapshot.key_id)?, KeyRef::Id(id)));
        let result = batch.add(query);
        let mut results = self.app.guarded(principal, batch).await?;
        results.take(key)?.ok_or(Error::NotFound)?;
        Ok(results.take(result)?)
    }
}

/// The events of one key.
fn events_of(id: KeyId) -> AuditFilter {
    AuditFilter { subject: Some(id.to_string()), ..AuditFilter::default() }
}

/// The kind of a new key, and the user that it acts as.
fn choose_kind_and_user(principal: &Principal, new: &NewKey) -> Result<(KeyKind, Option<UserId>), Error> {
    let maker = &principal.snapshot;
    let kind = new.kind.unwrap_or(maker.kind);
    let user_id = match kind {
        KeyKind::Pat => Some(maker.user_id.ok_or_else(|| {
            Error::Exceeds("This key has no user, so it cannot create a personal key. Use kind `org`.".to_owned())
        })?),
        KeyKind::Org | KeyKind::Proj if maker.role < Role::Admin => {
            return Err(Error::Exceeds(format!(
                "Only an owner or an admin can create a key of kind `{}`.",
                kind.as_str()
            )));
        }
        KeyKind::Org | KeyKind::Proj => None,
        KeyKind::Sk => {
            let message = "is created with its live evaluation: use POST /api/live-evaluations";
            return Err(Error::invalid("kind", message));
        }
    };
    if new.project_id.is_some() != (kind == KeyKind::Proj) {
        return Err(Error::invalid("project_id", "is only for keys of kind `proj`"));
    }
    Ok((kind, user_id))
}

/// The error of the slower of two simultaneous changes.
pub const CHANGED_MEANWHILE: Error =
    Error::Conflict { code: "conflict", message: "This key was changed at the same time. Read it again and retry." };

/// The error of a user who already has as many keys as the organization allows.
const KEY_LIMIT: Error = Error::Conflict {
    code: "key_limit",
    message: "This user already has as many keys as the organization allows. Revoke an unused one first.",
};

/// The error of a change that would lock the organization out without `force`.
pub(crate) const LAST_KEY: Error = Error::Conflict {
    code: "last_managing_key",
    message: "This is the organization's last key that can manage keys, or its last one with full access. \
              Create another one first that works for at least a week, or retry with `?force=true`.",
};

/// The keys that the caller may see: all of its organization for an admin, else those of its user or its project.
/// Every key may see itself; `own` tells that the request is about the caller's own key.
pub(crate) fn reach(principal: &Principal, own: bool) -> Result<KeyReach, Error> {
    let caller = &principal.snapshot;
    let all = KeyReach { organization_id: caller.organization_id, user_id: None, project_id: None };
    if caller.role >= Role::Admin || own {
        return Ok(all);
    }
    match (caller.user_id, caller.project_id) {
        (None, None) => Err(Error::NotFound),
        (user_id, project_id) => Ok(KeyReach { user_id, project_id, ..all }),
    }
}

/// The keys that the caller may change: those that it may see. A project's key, which works in many places, may
/// change only itself.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Exceeds`] if the caller may change no key.
pub fn reach_to_change(principal: &Principal, id: KeyId) -> Result<KeyReach, Error> {
    let own = id == principal.snapshot.key_id;
    if principal.snapshot.project_id.is_some() && !own {
        principal.administers()?;
    }
    reach(principal, own)
}

/// Checks that a key is not revoked.
///
/// # Errors
/// [`Error::Conflict`] if it is revoked.
pub fn check_changeable(key: &Key) -> Result<(), Error> {
    if key.life.revoked_at.is_none() {
        return Ok(());
    }
    Err(Error::Conflict { code: "key_revoked", message: "A revoked key cannot be changed. Make a new one." })
}

/// An event of a key, for the audit log.
pub(crate) fn event(key: &Key, action: &'static str, details: Value, at: UnixMillis) -> AuditEvent {
    AuditEvent::new(key.organization_id, key.id, action, details, at)
}

/// The details of a change in its event.
fn change_details(change: &KeyChange) -> Value {
    let mut details = Map::new();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            details.insert(name.to_owned(), value);
        }
    };
    add("name", change.name.as_ref().map(|name| json!(name)));
    add("scopes", change.scopes.as_ref().map(|scopes| json!(scopes)));
    add("conditions", change.conditions.as_ref().map(|conditions| json!(conditions)));
    add("metadata", change.metadata.as_ref().map(|metadata| json!(metadata)));
    add("operator_metadata", change.operator_metadata.as_ref().map(|metadata| json!(metadata)));
    add("expires_at", change.expires_at.map(|expires_at| json!(expires_at.map(UnixMillis::to_rfc3339))));
    add("enabled", change.enabled.map(|enabled| json!(enabled)));
    Value::Object(details)
}

/// The error of a wrong entry in a list of scopes.
fn wrong_scope(index: usize, message: &str) -> Mistake {
    Mistake { field: Some(format!("scopes[{index}]")), message: format!("{message} (GET /v1/scopes lists all)") }
}

/// Checks the size and the nesting of metadata.
fn check_metadata(field: &str, metadata: &Map<String, Value>) -> Result<(), Error> {
    let bytes = serde_json::to_string(metadata).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_METADATA_BYTES {
        return Err(Error::invalid(field, format!("has {bytes} bytes as JSON; the maximum is {MAX_METADATA_BYTES}")));
    }
    if 1 + metadata.values().map(depth).max().unwrap_or(0) > MAX_DEPTH {
        return Err(Error::invalid(field, format!("is nested too deeply; the maximum is {MAX_DEPTH} levels")));
    }
    Ok(())
}

/// Checks that a caller may set the operator's metadata: it could also set the subscription of any organization.
///
/// # Errors
/// [`Error::Exceeds`] if it may not.
fn check_sets_operator_metadata(principal: &Principal) -> Result<(), Error> {
    if principal.operates().is_ok() && principal.snapshot.scopes.grant(&SET_OPERATOR_METADATA) {
        return Ok(());
    }
    Err(Error::Exceeds(format!(
        "Only an owner's or admin's key of the operator's own organization with the scope `{SET_OPERATOR_METADATA}` can set \
         `operator_metadata`. Use `metadata`."
    )))
}

/// Checks the operator's metadata, and that the caller may set it.
///
/// # Errors
/// [`Error::Exceeds`] if it may not; [`Error::Invalid`] as for other metadata.
fn check_operator_metadata(principal: &Principal, metadata: &Map<String, Value>) -> Result<(), Error> {
    check_sets_operator_metadata(principal)?;
    check_metadata("operator_metadata", metadata)
}

/// Checks that an expiry lies in the future, and no later than the organization allows.
///
/// # Errors
/// [`Error::Invalid`] if it does not.
pub fn check_expiry(policy: Policy, expires_at: Option<UnixMillis>, now: UnixMillis) -> Result<(), Error> {
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Error::invalid("expires_at", "must be in the future; to end a key now, revoke it"));
    }
    if let Some(days) = policy.longest_expiry_days
        && expires_later(expires_at, policy.latest_expiry(now))
    {
        let message = format!("must be within {days} days, the longest that this organization allows");
        return Err(Error::invalid("expires_at", message));
    }
    Ok(())
}
