//! The life of a key: made, listed, changed, revoked, and the rule that no key gives more than it holds.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::{
    app::{App, Principal, error::Error, take},
    domain::{
        id::{KeyId, OrganizationId, ProjectId},
        json::{MAX_DEPTH, depth},
        key::{Key, KeyKind, Life, Name, Role},
        key_text::{KeyText, Word},
        organization::Policy,
        scope::{Scope, Scopes},
        time::UnixMillis,
    },
    ports::{Row, Statement},
    storage::{
        audit::{self, Event, Recorded},
        key_uses::{self, DailyUses},
        keys::{self, Change, Cursor, Filter, KeyRef, Owner, Reach, Status},
    },
};

/// The most bytes of a key's metadata, as JSON.
const MAX_METADATA_BYTES: usize = 4_096;

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its name.
    pub name: Name,
    /// What it acts as; `None`: the same as its maker.
    pub kind: Option<KeyKind>,
    /// The project that it is to see, for a project's key.
    pub project_id: Option<ProjectId>,
    /// An environment or a region to stand in its text.
    pub label: Option<Word>,
    /// What it may do; `None`: the same as its maker.
    pub scopes: Option<Scopes>,
    /// Until when; `None`: as the organization's policy says, and no longer than its maker; `Some(None)`: for ever.
    pub expires_at: Option<Option<UnixMillis>>,
    /// Whatever its maker wants to know about it.
    pub metadata: Map<String, Value>,
}

/// A key that was just made: the one moment at which its text is known.
pub struct Created {
    /// The key.
    pub key: Key,
    /// Its text.
    pub text: KeyText,
}

/// A page of a list, the newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Whether there are more in the direction of the paging.
    pub has_more: bool,
}

/// A key and all that people want to know of it.
pub(crate) struct History {
    /// The key.
    pub(crate) key: Key,
    /// What people call its owner.
    pub(crate) owner: Owner,
    /// How often it was used on each of the last 30 days, the oldest first.
    pub(crate) days: Vec<DailyUses>,
    /// What happened to it.
    pub(crate) events: Page<Recorded>,
    /// Names by ids, as [`crate::app::audit::Trail`] has them.
    pub(crate) names: HashMap<String, String>,
}

impl<T> Page<T> {
    /// The page of `limit` items for which one more was asked, to see whether there are more.
    pub(super) fn of(mut items: Vec<T>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { items, has_more: has_more && limit > 0 }
    }

    /// The same of items that come in the order of a cursor, the oldest first before it.
    fn at(cursor: Cursor, items: Vec<T>, limit: i64) -> Self {
        let mut page = Self::of(items, limit);
        if matches!(cursor, Cursor::Before(_)) {
            page.items.reverse();
        }
        page
    }
}

impl App {
    /// What a list of scopes and names of bundles stands for by the catalogue of now.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the entry that is neither.
    pub(crate) fn expand_scopes(&self, entries: &[String]) -> Result<Scopes, Error> {
        self.config.catalogue.expand(entries).map_err(|(index, message)| wrong_scope(index, &message))
    }

    /// Every scope must be in the catalogue: one that is not would look granted and open nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the first that is not.
    pub(crate) fn check_scopes(&self, scopes: &[Scope]) -> Result<(), Error> {
        for (index, scope) in scopes.iter().enumerate() {
            self.config.catalogue.check(scope).map_err(|message| wrong_scope(index, &message))?;
        }
        Ok(())
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Exceeds`] when it would hold more than its maker; [`Error::Conflict`]
    /// when its user has as many keys as the organization allows.
    pub async fn create_key(&self, by: &Principal, new: NewKey) -> Result<Created, Error> {
        let (organization_id, policy) = (by.snapshot.organization_id, by.snapshot.policy);
        match self.create_key_after(by, organization_id, policy, new, Vec::new()).await {
            Err(error) => Ok(self.key_made_before(by, error, &[]).await?.0),
            created => created,
        }
    }

    /// Makes a key of an organization that has this policy, in one batch with, and behind, other
    /// statements. An error may come from repeating what was done before: ask [`App::key_made_before`].
    pub(super) async fn create_key_after(
        &self,
        by: &Principal,
        organization_id: OrganizationId,
        policy: Policy,
        new: NewKey,
        mut statements: Vec<Statement>,
    ) -> Result<Created, Error> {
        let maker = &by.snapshot;
        let now = self.now();
        let kind = new.kind.unwrap_or(maker.kind);
        let user_id = match kind {
            KeyKind::Pat => Some(maker.user_id.ok_or_else(|| {
                Error::Exceeds("A personal key acts as a user, and this key has none: ask for kind `org`.".to_owned())
            })?),
            KeyKind::Org | KeyKind::Proj if maker.role < Role::Admin => {
                return Err(Error::Exceeds(format!(
                    "Only an owner or an admin can make a key of kind `{}`.",
                    kind.as_str()
                )));
            }
            KeyKind::Org | KeyKind::Proj => None,
            KeyKind::Sk => {
                let message = "a live evaluation has its own: deploy one by POST /api/live-evaluations";
                return Err(Error::invalid("kind", message));
            }
        };
        if new.project_id.is_some() != (kind == KeyKind::Proj) {
            return Err(Error::invalid("project_id", "belongs to a key of kind `proj`, and to no other"));
        }
        // A project's key sees its project and administers nothing.
        let role = if kind == KeyKind::Proj { Role::Member } else { maker.role };
        let scopes = new.scopes.unwrap_or_else(|| maker.scopes.clone());
        check_metadata(&new.metadata)?;
        let expires_at = new.expires_at.unwrap_or_else(|| policy.expiry_unasked(maker.ends_at(), now));
        check_expiry(policy, expires_at, now)?;
        check_holds(by, &scopes, maker.role, expires_at)?;
        let nonce = self.nonce(by)?;
        let source = self.secret_bytes(by, nonce.as_ref());
        let text =
            KeyText::generate(&self.config.brand, new.label.as_ref(), kind, source).map_err(Error::Unavailable)?;
        let mut key = Key {
            id: KeyId::new(now, self.random_bits()?),
            number: 0,
            organization_id,
            user_id,
            project_id: new.project_id,
            live_evaluation_id: None,
            kind,
            name: new.name,
            preview: text.preview(),
            scopes,
            role,
            metadata: new.metadata,
            life: Life { expires_at, disabled_at: None, revoked_at: None },
            created_at: now,
            created_by: Some(maker.key_id),
            updated_at: now,
            last_used_at: None,
            rotation: None,
        };
        let created = Self::created_event(&key);
        let at = statements.len();
        statements.extend([self.insert_key(&key, &text, policy), self.record_if_changed(by, &created)]);
        let mut results = self.guarded_once(by, nonce, &key.id.to_string(), statements).await?;
        key.number = keys::read_number(take(&mut results, at))?.ok_or_else(|| match kind {
            KeyKind::Pat => KEY_LIMIT,
            _ => Error::invalid("project_id", "there is no such project in this organization"),
        })?;
        Ok(Created { key, text })
    }

    pub(super) fn insert_key(&self, key: &Key, text: &KeyText, policy: Policy) -> Statement {
        let (digest, pepper_version) = self.config.hasher.current(text);
        keys::insert(key, digest, pepper_version, policy.max_keys_per_user)
    }

    pub(super) fn created_event(key: &Key) -> Event {
        let details = json!({
            "name": key.name,
            "kind": key.kind,
            "scopes": key.scopes,
            "expires_at": key.life.expires_at.map(UnixMillis::to_rfc3339),
        });
        event(key, "key.created", details, key.created_at)
    }

    /// One key.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it.
    pub(crate) async fn get_key(&self, by: &Principal, key: KeyRef) -> Result<Key, Error> {
        let own = matches!(key, KeyRef::Id(id) if id == by.snapshot.key_id);
        let mut results = self.guarded(by, vec![keys::get(reach(by, own)?, key)]).await?;
        keys::read(take(&mut results, 0))?.pop().ok_or(Error::NotFound)
    }

    /// A page of at most `limit` keys, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn list_keys(
        &self,
        by: &Principal,
        filter: &Filter,
        cursor: Cursor,
        limit: i64,
    ) -> Result<Page<Key>, Error> {
        // One more than asked tells whether there are more.
        let list = keys::list(reach(by, false)?, filter, cursor, limit + 1, self.now());
        let mut results = self.guarded(by, vec![list]).await?;
        Ok(Page::at(cursor, keys::read(take(&mut results, 0))?, limit))
    }

    /// The same, with what people call the owner of each key, of as many keys as are looked through at once; and,
    /// if there are more, the last of these.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn list_owned_keys(
        &self,
        by: &Principal,
        filter: &Filter,
        cursor: Cursor,
        limit: i64,
    ) -> Result<(Page<(Key, Owner)>, Option<KeyId>), Error> {
        let reach = reach(by, false)?;
        let statements = vec![
            keys::list_owned(reach, filter, cursor, limit + 1, self.now()),
            keys::looked_until(reach, filter, cursor),
        ];
        let mut results = self.guarded(by, statements).await?;
        let page = Page::at(cursor, keys::read_owned(take(&mut results, 0))?, limit);
        Ok((page, keys::read_id(take(&mut results, 1))?))
    }

    /// Changes a key that was read as `before`.
    ///
    /// # Errors
    /// [`Error::Exceeds`] when the key would get more than the caller holds; [`Error::Conflict`] when
    /// it is revoked, or was changed by someone else since it was read.
    pub(crate) async fn change_key(
        &self,
        by: &Principal,
        before: &Key,
        change: &Change,
        force: bool,
    ) -> Result<Key, Error> {
        let now = self.now();
        if let Some(metadata) = &change.metadata {
            check_metadata(metadata)?;
        }
        if let Some(expires_at) = change.expires_at {
            check_expiry(by.snapshot.policy, expires_at, now)?;
        }
        if *change == Change::default() {
            return Err(Error::Invalid { field: None, message: "There is nothing to change".to_owned() });
        }
        check_changeable(before)?;
        if change.scopes.is_some() && before.live_evaluation_id.is_some() {
            return Err(Error::invalid("scopes", "the key of a live evaluation runs it, and can do nothing else"));
        }
        // Whoever makes a key do more, work again or last longer vouches for all that it can do then, as
        // if he made it. Taking away needs nothing but the scope to do it.
        let scopes = change.scopes.as_ref().unwrap_or(&before.scopes);
        let expires_at = change.expires_at.unwrap_or(before.life.expires_at);
        let revives = change.enabled == Some(true) && before.life.disabled_at.is_some();
        if revives || !before.scopes.cover(scopes) || lasts_longer(expires_at, before.life.expires_at) {
            check_holds(by, scopes, before.role, expires_at)?;
        }
        let update = keys::update(reach_to_change(by, before.id)?, before, change, force, now);
        match self.carry_out(by, update, &event(before, "key.updated", described(change), now)).await {
            Err(Error::Conflict { .. })
                if change.enabled == Some(false)
                    && self.get_key(by, KeyRef::Id(before.id)).await?.updated_at == before.updated_at =>
            {
                Err(LAST_MANAGING_KEY)
            }
            result => result,
        }
    }

    /// Carries out a change of a key that was read before, with its event, and gives the key as it is
    /// then. Of two at once, one finds the key changed.
    pub(super) async fn carry_out(&self, by: &Principal, change: Statement, event: &Event) -> Result<Key, Error> {
        changed(self.guarded(by, vec![change, self.record_if_changed(by, event)]).await?)
    }

    /// Ends a key for good. Revoking a revoked key changes nothing and is no error.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when it is there but the caller may not see it; [`Error::Conflict`] when it
    /// is the last key that can manage keys, unless this is forced.
    pub async fn revoke_key(&self, by: &Principal, id: KeyId, force: bool) -> Result<Key, Error> {
        let now = self.now();
        let reach = reach_to_change(by, id)?;
        let revoked = Event::new(by.snapshot.organization_id, id, "key.revoked", json!({}), now);
        let statements = vec![
            keys::revoke(reach, id, force, now),
            self.record_if_changed(by, &revoked),
            keys::get(reach, KeyRef::Id(id)),
        ];
        let mut results = self.guarded(by, statements).await?;
        let key = keys::read(take(&mut results, 2))?.pop().ok_or(Error::NotFound)?;
        if key.life.revoked_at.is_none() { Err(LAST_MANAGING_KEY) } else { Ok(key) }
    }

    /// How often a key was used on each of the last 30 days, the oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when the key is there but the caller may not see it.
    pub async fn key_usage(&self, by: &Principal, id: KeyId) -> Result<Vec<DailyUses>, Error> {
        let get = keys::get(reach(by, id == by.snapshot.key_id)?, KeyRef::Id(id));
        let mut results = self.guarded(by, vec![get, key_uses::of_key(id, self.now())]).await?;
        if take(&mut results, 0).is_empty() {
            return Err(Error::NotFound);
        }
        Ok(key_uses::read(take(&mut results, 1))?)
    }

    /// A key with what people call its owner, what [`App::key_usage`] and [`App::key_events`] say of it, and, for
    /// whoever administers the organization, what people call those of whom the events speak; in one round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when the key is there but the caller may not see it.
    pub(crate) async fn key_with_history(
        &self,
        by: &Principal,
        id: KeyId,
        after: Option<i64>,
        limit: i64,
    ) -> Result<History, Error> {
        let (reach, now) = (reach(by, id == by.snapshot.key_id)?, self.now());
        let this = Filter { ids: Some(vec![id]), status: Status::All, ..Filter::default() };
        let mut statements = vec![
            keys::list_owned(reach, &this, Cursor::Start, 1, now),
            key_uses::of_key(id, now),
            events_of(by, id, after, limit),
        ];
        if by.administers().is_ok() {
            statements.push(audit::names(events_of(by, id, after, limit)));
        }
        let mut results = self.guarded(by, statements).await?;
        let (key, owner) = keys::read_owned(take(&mut results, 0))?.pop().ok_or(Error::NotFound)?;
        Ok(History {
            key,
            owner,
            days: key_uses::read(take(&mut results, 1))?,
            events: Page::of(audit::read(take(&mut results, 2))?, limit),
            names: audit::read_names(take(&mut results, 3))?,
        })
    }

    /// What happened to a key, the newest first, behind event `after` if it is given.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when the key is there but the caller may not see it.
    pub async fn key_events(
        &self,
        by: &Principal,
        id: KeyId,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Page<Recorded>, Error> {
        let get = keys::get(reach(by, id == by.snapshot.key_id)?, KeyRef::Id(id));
        let mut results = self.guarded(by, vec![get, events_of(by, id, after, limit)]).await?;
        if take(&mut results, 0).is_empty() {
            return Err(Error::NotFound);
        }
        Ok(Page::of(audit::read(take(&mut results, 1))?, limit))
    }
}

/// A page of a key's events, and one more, to see whether there are more.
fn events_of(by: &Principal, id: KeyId, after: Option<i64>, limit: i64) -> Statement {
    let of_key = audit::Filter { subject: Some(id.to_string()), ..audit::Filter::default() };
    audit::list(by.snapshot.organization_id, &of_key, after, limit + 1)
}

/// The key as it is behind a change, which was the first statement.
pub(super) fn changed(mut results: Vec<Vec<Row>>) -> Result<Key, Error> {
    keys::read(take(&mut results, 0))?.pop().ok_or(Error::Conflict {
        code: "conflict",
        message: "Someone else changed this key at the same time. Read it again, then decide.",
    })
}

const KEY_LIMIT: Error = Error::Conflict {
    code: "key_limit",
    message: "This user has as many keys as the organization allows. Revoke one that is not needed any more.",
};

/// Nobody locks an organization out without having been told.
const LAST_MANAGING_KEY: Error = Error::Conflict {
    code: "last_managing_key",
    message: "This is the last key of the organization that can manage keys: without it nobody can make another. \
              Make one first, or ask `/v1/keys/{id}?force=true`.",
};

/// The keys that the caller may see: all of its organization for an admin, else its user's, or its
/// project's. Every key may see itself, `own` says that it is about that.
fn reach(by: &Principal, own: bool) -> Result<Reach, Error> {
    let caller = &by.snapshot;
    let all = Reach { organization_id: caller.organization_id, user_id: None, project_id: None };
    if caller.role >= Role::Admin || own {
        return Ok(all);
    }
    match (caller.user_id, caller.project_id) {
        (None, None) => Err(Error::NotFound),
        (user_id, project_id) => Ok(Reach { user_id, project_id, ..all }),
    }
}

/// The keys that the caller may change: those that it may see, but a project's key, which works in
/// many places, can change none but itself.
pub(super) fn reach_to_change(by: &Principal, id: KeyId) -> Result<Reach, Error> {
    let own = id == by.snapshot.key_id;
    if by.snapshot.project_id.is_some() && !own {
        by.administers()?;
    }
    reach(by, own)
}

/// What is revoked stays as it is.
pub(super) fn check_changeable(key: &Key) -> Result<(), Error> {
    if key.life.revoked_at.is_none() {
        return Ok(());
    }
    Err(Error::Conflict { code: "key_revoked", message: "A revoked key cannot be changed. Make a new one." })
}

pub(super) fn event(key: &Key, action: &'static str, details: Value, at: UnixMillis) -> Event {
    Event::new(key.organization_id, key.id, action, details, at)
}

/// The change as its audit event tells it.
fn described(change: &Change) -> Value {
    let mut details = Map::new();
    let mut tell = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            details.insert(name.to_owned(), value);
        }
    };
    tell("name", change.name.as_ref().map(|name| json!(name)));
    tell("scopes", change.scopes.as_ref().map(|scopes| json!(scopes)));
    tell("metadata", change.metadata.as_ref().map(|metadata| json!(metadata)));
    tell("expires_at", change.expires_at.map(|expires_at| json!(expires_at.map(UnixMillis::to_rfc3339))));
    tell("enabled", change.enabled.map(|enabled| json!(enabled)));
    Value::Object(details)
}

fn wrong_scope(index: usize, message: &str) -> Error {
    Error::invalid(&format!("scopes[{index}]"), format!("{message} (GET /v1/scopes lists all)"))
}

fn check_metadata(metadata: &Map<String, Value>) -> Result<(), Error> {
    let bytes = serde_json::to_string(metadata).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_METADATA_BYTES {
        return Err(Error::invalid(
            "metadata",
            format!("has {bytes} bytes as JSON; at most {MAX_METADATA_BYTES} are kept"),
        ));
    }
    if 1 + metadata.values().map(depth).max().unwrap_or(0) > MAX_DEPTH {
        return Err(Error::invalid("metadata", format!("is nested too deeply; at most {MAX_DEPTH} levels are kept")));
    }
    Ok(())
}

/// An expiry must lie in the future, and no later than the organization allows.
pub(super) fn check_expiry(policy: Policy, expires_at: Option<UnixMillis>, now: UnixMillis) -> Result<(), Error> {
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Error::invalid("expires_at", "must lie in the future; to end a key now, revoke it"));
    }
    if let Some(days) = policy.longest_expiry_days
        && lasts_longer(expires_at, policy.latest_expiry(now))
    {
        let must = format!("must lie within {days} days: keys of this organization may last no longer");
        return Err(Error::invalid("expires_at", must));
    }
    Ok(())
}

/// Whether one expiry is later than another; `None` is never.
fn lasts_longer(this: Option<UnixMillis>, other: Option<UnixMillis>) -> bool {
    other.is_some_and(|other| this.is_none_or(|this| this > other))
}

/// The role that a caller must hold to be told a key's secret: the key's own, or, if it is the caller itself,
/// what that is worth now that its user may have been lowered.
pub(super) fn role_to_hold(by: &Principal, key: &Key) -> Role {
    if key.id == by.snapshot.key_id { by.snapshot.role } else { key.role }
}

/// The rule: no key gives another more than it holds: neither scopes, nor a role, nor time.
pub(super) fn check_holds(
    by: &Principal,
    scopes: &Scopes,
    role: Role,
    expires_at: Option<UnixMillis>,
) -> Result<(), Error> {
    let holder = &by.snapshot;
    if !holder.scopes.cover(scopes) {
        let beyond = match scopes {
            Scopes::Full => "full access".to_owned(),
            Scopes::List(list) => {
                let missing: Vec<String> = holder.scopes.missing(list).iter().map(ToString::to_string).collect();
                missing.join(", ")
            }
        };
        return Err(Error::Exceeds(format!("A key cannot give what it does not hold itself: {beyond}.")));
    }
    if role > holder.role {
        return Err(Error::Exceeds(format!("Only a key with the role `{}` can do this.", role.as_str())));
    }
    if let Some(last) = holder.ends_at()
        && lasts_longer(expires_at, Some(last))
    {
        return Err(Error::Exceeds(format!(
            "A key cannot make another last longer than itself: this one expires at {}.",
            last.to_rfc3339()
        )));
    }
    Ok(())
}
