//! The `keys` table: making, reading, listing, changing, revoking, and recording expiry.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    domain::{
        id::{KeyId, LiveEvaluationId, OrganizationId, ProjectId, UserId},
        key::{Key, KeyKind, KeyState, Life, Name, Role, Rotation},
        key_text::{Digest, Preview},
        scope::Scopes,
        time::UnixMillis,
    },
    ports::{DatabaseError, Param, Row, Statement},
    storage::{
        ToParam, audit::keep_until, batch::Query, idempotency::subject, json_text, json_text_or_null, statement, typed,
    },
};

/// The columns of a [`Key`].
macro_rules! columns {
    () => {
        "id, number, organization_id, user_id, project_id, live_evaluation_id, kind, stem, start, last4, name, scopes, role, metadata, \
         expires_at, disabled_at, revoked_at, created_at, created_by, updated_at, last_used_at, \
         rotates_at, outgoing_start, outgoing_last4, outgoing_last_used_at, outgoing_uses"
    };
}

/// Whose keys somebody may see and manage: all of an organization, or one user's in it.
/// Every statement here that reads or changes keys for somebody takes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// The organization.
    pub(crate) organization_id: OrganizationId,
    /// Only this user's.
    pub(crate) user_id: Option<UserId>,
    /// Only this project's.
    pub(crate) project_id: Option<ProjectId>,
}

/// The condition that a [`Reach`] makes of `?2`, `?3` and `?4`.
macro_rules! within_reach {
    () => {
        "organization_id = ?2 AND (?3 IS NULL OR user_id = ?3) AND (?4 IS NULL OR project_id = ?4)"
    };
}

/// How many personal keys the user `?3` has in the organization `?2` that are not revoked, of those with
/// such an expiry. Two such ranges of an index are counted, and what has expired is not read.
macro_rules! held {
    ($expiry:literal) => {
        concat!(
            "(SELECT count(*) FROM keys WHERE organization_id = ?2 AND user_id = ?3 AND kind = 'pat' \
             AND revoked_at IS NULL AND expires_at ",
            $expiry,
            ")"
        )
    };
}

/// A new key's row, with the organization's next number; gives the number, or no row if the key's
/// project is not one of the organization's, or its user is no member or has `max_keys` already that
/// still work. The key of a live evaluation is made if the statement before it in the batch has changed a row.
pub(crate) fn insert(key: &Key, digest: Digest, pepper_version: i64, max_keys: Option<i64>) -> Statement {
    statement!(
        concat!(
            "INSERT INTO keys (id, organization_id, number, user_id, project_id, kind, digest, pepper_version, stem, \
             start, last4, name, scopes, role, metadata, expires_at, created_at, created_by, updated_at, live_evaluation_id) \
             SELECT ?1, ?2, (SELECT coalesce(max(number), 0) + 1 FROM keys WHERE organization_id = ?2), \
             ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?16, ?19 \
             WHERE (?4 IS NULL OR EXISTS \
             (SELECT 1 FROM projects WHERE id = ?4 AND organization_id = ?2 AND deleted_at IS NULL)) \
             AND (?3 IS NULL OR EXISTS (SELECT 1 FROM memberships WHERE organization_id = ?2 AND user_id = ?3)) \
             AND (?18 IS NULL OR ?18 > ",
            held!("IS NULL"),
            " + ",
            held!("> ?16"),
            ") AND (?19 IS NULL OR changes() > 0) RETURNING number"
        ),
        key.id,
        key.organization_id,
        key.user_id,
        key.project_id,
        key.kind.as_str(),
        digest.to_hex(),
        pepper_version,
        key.preview.stem,
        key.preview.start,
        key.preview.last4,
        key.name.as_str(),
        scopes_text(&key.scopes),
        key.role.as_str(),
        Value::Object(key.metadata.clone()),
        key.life.expires_at,
        key.created_at,
        key.created_by,
        max_keys,
        key.live_evaluation_id
    )
}

/// Reads the rows of [`insert`].
pub(crate) fn read_number(rows: Vec<Row>) -> Result<Option<i64>, DatabaseError> {
    #[derive(Deserialize)]
    struct NumberRow {
        number: i64,
    }
    let rows: Vec<NumberRow> = typed(rows)?;
    Ok(rows.first().map(|row| row.number))
}

/// How somebody names a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyRef {
    /// By its id.
    Id(KeyId),
    /// By its number in its organization.
    Number(i64),
}

/// One key within reach.
pub(crate) fn get(reach: Reach, key: KeyRef) -> Statement {
    let (sql, name) = match key {
        KeyRef::Id(id) => {
            (concat!("SELECT ", columns!(), " FROM keys WHERE id = ?1 AND ", within_reach!()), id.to_param())
        }
        KeyRef::Number(number) => {
            (concat!("SELECT ", columns!(), " FROM keys WHERE number = ?1 AND ", within_reach!()), number.to_param())
        }
    };
    let reach = [reach.organization_id.to_param(), reach.user_id.to_param(), reach.project_id.to_param()];
    Statement { sql: sql.to_owned(), params: [name].into_iter().chain(reach).collect() }
}

/// The key that was made, or given a new secret, under an Idempotency-Key, which is the caller's own.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    statement!(concat!("SELECT ", columns!(), ", digest FROM keys WHERE id = ", subject!()), by, digest)
}

/// The key that was made, or given a new secret, under an Idempotency-Key, which is the caller's own, and the
/// digest of its newest secret as it is stored.
pub(crate) fn made_key(key_id: KeyId, digest: &str) -> Query<Option<(Key, String)>> {
    Query::new(made(key_id, digest), read_made)
}

/// Reads the rows of [`made`]: the key, and the digest of its newest secret as it is stored.
pub(crate) fn read_made(rows: Vec<Row>) -> Result<Option<(Key, String)>, DatabaseError> {
    let digest = rows.first().and_then(|row| row.get("digest")).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(read(rows)?.pop().map(|key| (key, digest)))
}

/// Reads the rows of [`get`], [`list`], [`update`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Key>, DatabaseError> {
    #[derive(Deserialize)]
    struct KeyRow {
        id: KeyId,
        number: i64,
        organization_id: OrganizationId,
        user_id: Option<UserId>,
        project_id: Option<ProjectId>,
        live_evaluation_id: Option<LiveEvaluationId>,
        kind: KeyKind,
        stem: String,
        start: String,
        last4: String,
        name: Name,
        #[serde(deserialize_with = "json_text_or_null")]
        scopes: Scopes,
        role: Role,
        #[serde(deserialize_with = "json_text")]
        metadata: Map<String, Value>,
        #[serde(flatten)]
        life: Life,
        created_at: UnixMillis,
        created_by: Option<KeyId>,
        updated_at: UnixMillis,
        last_used_at: Option<UnixMillis>,
        rotates_at: Option<UnixMillis>,
        outgoing_start: Option<String>,
        outgoing_last4: Option<String>,
        outgoing_last_used_at: Option<UnixMillis>,
        outgoing_uses: i64,
    }
    let rows: Vec<KeyRow> = typed(rows)?;
    let key = |row: KeyRow| Key {
        id: row.id,
        number: row.number,
        organization_id: row.organization_id,
        user_id: row.user_id,
        project_id: row.project_id,
        live_evaluation_id: row.live_evaluation_id,
        kind: row.kind,
        name: row.name,
        preview: Preview { stem: row.stem, start: row.start, last4: row.last4 },
        scopes: row.scopes,
        role: row.role,
        metadata: row.metadata,
        life: row.life,
        created_at: row.created_at,
        created_by: row.created_by,
        updated_at: row.updated_at,
        last_used_at: row.last_used_at,
        rotation: row.rotates_at.map(|rotates_at| Rotation {
            rotates_at,
            start: row.outgoing_start.unwrap_or_default(),
            last4: row.outgoing_last4.unwrap_or_default(),
            last_used_at: row.outgoing_last_used_at,
            uses: row.outgoing_uses,
        }),
    };
    Ok(rows.into_iter().map(key).collect())
}

/// Where a page of a list starts, by key id; ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// With the newest.
    Start,
    /// With the first that is older than this one.
    After(KeyId),
    /// So that it ends with the last that is newer than this one.
    Before(KeyId),
}

impl Cursor {
    fn order(self) -> &'static str {
        if matches!(self, Self::Before(_)) { "ASC" } else { "DESC" }
    }
}

/// Which keys to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// With exactly this name.
    pub(crate) name: Option<String>,
    /// With this in their name, in whichever case its ASCII letters are.
    pub(crate) name_part: Option<String>,
    /// With one of these ids.
    pub(crate) ids: Option<Vec<KeyId>>,
    /// Of this user.
    pub(crate) user_id: Option<UserId>,
    /// Of the user with this address; of the newest, if there were several.
    pub(crate) owner: Option<String>,
    /// Of this project.
    pub(crate) project_id: Option<ProjectId>,
    /// Of this kind.
    pub(crate) kind: Option<KeyKind>,
    /// Whose text starts with this.
    pub(crate) prefix: Option<String>,
    /// In which state.
    pub(crate) status: Status,
}

/// Which states to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Status {
    /// All but the revoked.
    #[default]
    Current,
    /// One state.
    Only(KeyState),
    /// All.
    All,
}

/// A page of the keys within reach, the newest first; with [`Cursor::Before`] the oldest first, so
/// that the page is the one that touches the cursor. The conditions are put together from what is
/// asked, so that each combination can use its own index.
pub(crate) fn list(reach: Reach, filter: &Filter, cursor: Cursor, limit: i64, now: UnixMillis) -> Statement {
    let (mut within, mut params) = within(reach, filter, cursor);
    within.push_str(&fitting(filter, now, &mut params));
    params.push(limit.to_param());
    let sql = concat!("SELECT ", columns!(), " FROM keys WHERE ").to_owned() + &within;
    Statement { sql: format!("{sql} ORDER BY id {} LIMIT ?{}", cursor.order(), params.len()), params }
}

/// How many keys are looked through for a page at most that lists them with their owners, for people: of those
/// in one state, or with something in their name, there may be few among many, and no index leads to them.
pub(crate) const LOOKED_THROUGH: i64 = 5_000;

/// The same with what people call the owner of each, of the first [`LOOKED_THROUGH`] keys at the cursor.
pub(crate) fn list_owned(reach: Reach, filter: &Filter, cursor: Cursor, limit: i64, now: UnixMillis) -> Statement {
    let select = concat!(
        "SELECT ",
        columns!(),
        ", (SELECT email FROM users WHERE users.id = user_id) AS owner, \
         (SELECT name FROM projects WHERE projects.id = project_id) AS project FROM keys"
    );
    let Statement { sql: last, mut params } = looked_until(reach, filter, cursor);
    let (within, _) = within(reach, filter, cursor);
    let bound = match cursor {
        Cursor::Before(_) => format!("id <= coalesce(({last}), '~')"),
        Cursor::Start | Cursor::After(_) => format!("id >= coalesce(({last}), '')"),
    };
    let fitting = fitting(filter, now, &mut params);
    params.push(limit.to_param());
    let order = cursor.order();
    let sql = format!("{select} WHERE {within} AND {bound}{fitting} ORDER BY id {order} LIMIT ?{}", params.len());
    Statement { sql, params }
}

/// The id of the last key that [`list_owned`] looks through, if there may be more behind it.
pub(crate) fn looked_until(reach: Reach, filter: &Filter, cursor: Cursor) -> Statement {
    let (within, mut params) = within(reach, filter, cursor);
    params.push((LOOKED_THROUGH - 1).to_param());
    let order = cursor.order();
    let sql = format!("SELECT id FROM keys WHERE {within} ORDER BY id {order} LIMIT 1 OFFSET ?{}", params.len());
    Statement { sql, params }
}

/// Reads the rows of [`looked_until`].
pub(crate) fn read_id(rows: Vec<Row>) -> Result<Option<KeyId>, DatabaseError> {
    #[derive(Deserialize)]
    struct IdRow {
        id: KeyId,
    }
    let rows: Vec<IdRow> = typed(rows)?;
    Ok(rows.first().map(|row| row.id))
}

/// What people call the owner of a key.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Owner {
    /// The user's address.
    pub(crate) owner: Option<String>,
    /// The project's name.
    pub(crate) project: Option<String>,
}

/// Reads the rows of [`list_owned`].
pub(crate) fn read_owned(rows: Vec<Row>) -> Result<Vec<(Key, Owner)>, DatabaseError> {
    let owners: Vec<Owner> = typed(rows.clone())?;
    Ok(read(rows)?.into_iter().zip(owners).collect())
}

/// Adds a condition with a parameter, for which `{}` stands.
fn and(sql: &mut String, params: &mut Vec<Param>, condition: &str, param: Param) {
    params.push(param);
    sql.push_str(" AND ");
    sql.push_str(&condition.replace("{}", &format!("?{}", params.len())));
}

/// The conditions for which there is an index in the order of a list, and their parameters.
fn within(reach: Reach, filter: &Filter, cursor: Cursor) -> (String, Vec<Param>) {
    let mut sql = "organization_id = ?1".to_owned();
    let mut params = vec![reach.organization_id.to_param()];
    let mut and = |condition: &str, param: Param| and(&mut sql, &mut params, condition, param);
    for user_id in [reach.user_id, filter.user_id].into_iter().flatten() {
        and("user_id = {}", user_id.to_param());
    }
    for project_id in [reach.project_id, filter.project_id].into_iter().flatten() {
        and("project_id = {}", project_id.to_param());
    }
    if let Some(owner) = &filter.owner {
        let newest = "user_id = (SELECT id FROM users WHERE email = {} AND EXISTS (SELECT 1 FROM keys AS own \
                      WHERE own.organization_id = ?1 AND own.user_id = users.id) ORDER BY id DESC LIMIT 1)";
        and(newest, owner.to_lowercase().to_param());
    }
    match cursor {
        Cursor::Start => {}
        Cursor::After(id) => and("id < {}", id.to_param()),
        Cursor::Before(id) => and("id > {}", id.to_param()),
    }
    (sql, params)
}

/// The other conditions.
fn fitting(filter: &Filter, now: UnixMillis, params: &mut Vec<Param>) -> String {
    let mut sql = String::new();
    let mut and = |condition: &str, param: Param| and(&mut sql, params, condition, param);
    if let Some(kind) = filter.kind {
        and("kind = {}", kind.as_str().to_param());
    }
    if let Some(name) = &filter.name {
        and("name = {}", name.to_param());
    }
    if let Some(part) = &filter.name_part {
        and("instr(lower(name), lower({})) > 0", part.to_param());
    }
    if let Some(ids) = &filter.ids {
        let ids: Value = ids.iter().map(KeyId::to_string).collect();
        and("id IN (SELECT value FROM json_each({}))", ids.to_param());
    }
    if let Some(prefix) = &filter.prefix {
        and("start >= {}", prefix.to_param());
        // Texts are ASCII, so nothing that starts with the prefix sorts behind this.
        and("start < {}", format!("{prefix}\u{7f}").to_param());
    }
    match filter.status {
        Status::Only(KeyState::Active) => and("(expires_at IS NULL OR expires_at > {})", now.to_param()),
        Status::Only(KeyState::Expired) => and("expires_at <= {}", now.to_param()),
        _ => {}
    }
    sql.push_str(match filter.status {
        Status::Current => " AND revoked_at IS NULL",
        Status::Only(KeyState::Active | KeyState::Expired) => " AND revoked_at IS NULL AND disabled_at IS NULL",
        Status::Only(KeyState::Disabled) => " AND revoked_at IS NULL AND disabled_at IS NOT NULL",
        Status::Only(KeyState::Revoked) => " AND revoked_at IS NOT NULL",
        Status::All => "",
    });
    sql
}

/// What a change sets; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Change {
    /// The name.
    pub(crate) name: Option<Name>,
    /// The scopes.
    pub(crate) scopes: Option<Scopes>,
    /// The metadata.
    pub(crate) metadata: Option<Map<String, Value>>,
    /// The expiry; `Some(None)`: never.
    pub(crate) expires_at: Option<Option<UnixMillis>>,
    /// Whether it is switched on.
    pub(crate) enabled: Option<bool>,
}

/// The end of every change of a key: within reach, not revoked, and not changed since it was read.
macro_rules! unchanged {
    () => {
        unchanged!("")
    };
    ($and:expr) => {
        concat!(
            " updated_at = max(?5, updated_at + 1) WHERE id = ?1 AND ",
            within_reach!(),
            " AND revoked_at IS NULL AND updated_at = ?6",
            $and,
            " RETURNING ",
            columns!()
        )
    };
}

/// The rotation's columns when none is under way.
macro_rules! no_rotation {
    () => {
        "rotates_at = NULL, outgoing_digest = NULL, outgoing_pepper_version = NULL, outgoing_start = NULL, \
         outgoing_last4 = NULL, outgoing_last_used_at = NULL, outgoing_uses = 0,"
    };
}

/// Whether a key can manage keys, as the index `keys_managing` has it.
macro_rules! managing {
    () => {
        "revoked_at IS NULL AND disabled_at IS NULL AND role <> 'member' AND (scopes IS NULL \
         OR instr(scopes, '\"api-keys:write\"') > 0 OR instr(scopes, '\"api-keys:*\"') > 0)"
    };
}

/// Whether a key that works at `?5` can manage the keys of an organization: one of the organization's
/// own, or one of a person who administers it. What is to be left out stands in `$key`, a condition on
/// keys, and in `$person`, one on memberships. Goes from the people to their keys, because the keys of
/// those who are gone stay on record.
macro_rules! managed {
    ($organization:literal, $key:literal, $person:literal) => {
        concat!(
            "(EXISTS (SELECT 1 FROM keys WHERE organization_id = ",
            $organization,
            " AND user_id IS NULL",
            $key,
            " AND (expires_at IS NULL OR expires_at > ?5) AND ",
            $crate::storage::keys::managing!(),
            ") OR EXISTS (SELECT 1 FROM keys WHERE organization_id = ",
            $organization,
            " AND user_id IN (SELECT user_id FROM memberships WHERE organization_id = ",
            $organization,
            " AND role <> 'member'",
            $person,
            ")",
            $key,
            " AND (expires_at IS NULL OR expires_at > ?5) AND ",
            $crate::storage::keys::managing!(),
            "))"
        )
    };
}
pub(crate) use {managed, managing};

/// Whether the organization of `?2` can manage its keys without the key `?1`, at `?5`.
macro_rules! can_do_without {
    () => {
        concat!("(NOT (", managing!(), ") OR ", managed!("?2", " AND id <> ?1", ""), ")")
    };
}

/// Changes a key that is not revoked and was not changed since it was read as `before`. A new expiry
/// has not been recorded by the sweep yet. Gives the key as it is now, or no row; none also when it would
/// disable the last key that can manage keys, unless it is forced.
pub(crate) fn update(reach: Reach, before: &Key, change: &Change, force: bool, now: UnixMillis) -> Statement {
    statement!(
        concat!(
            "UPDATE keys SET name = coalesce(?7, name), \
             scopes = CASE WHEN ?8 THEN ?9 ELSE scopes END, \
             metadata = coalesce(?10, metadata), \
             expires_at = CASE WHEN ?11 THEN ?12 ELSE expires_at END, \
             expired_at = CASE WHEN ?11 THEN NULL ELSE expired_at END, \
             disabled_at = CASE ?13 WHEN 1 THEN NULL WHEN 0 THEN coalesce(disabled_at, ?5) ELSE disabled_at END,",
            unchanged!(concat!(" AND (?13 IS NOT 0 OR ?14 OR ", can_do_without!(), ")"))
        ),
        before.id,
        reach.organization_id,
        reach.user_id,
        reach.project_id,
        now,
        before.updated_at,
        change.name.as_ref().map(Name::as_str),
        i64::from(change.scopes.is_some()),
        change.scopes.as_ref().and_then(scopes_text),
        change.metadata.clone().map(Value::Object),
        i64::from(change.expires_at.is_some()),
        change.expires_at.flatten(),
        change.enabled.map(i64::from),
        i64::from(force)
    )
}

/// Gives a key a new secret. With `rotates_at` the old one becomes the outgoing one and works until
/// then; without, it ends here. Gives the key as it is now, or no row if it was changed since `before`.
pub(crate) fn rotate(
    reach: Reach,
    before: &Key,
    new: &NewSecret,
    rotates_at: Option<UnixMillis>,
    expires_at: Option<UnixMillis>,
    now: UnixMillis,
) -> Statement {
    statement!(
        concat!(
            "UPDATE keys SET digest = ?7, pepper_version = ?8, start = ?9, last4 = ?10, last_used_at = NULL, \
             rotates_at = ?11, outgoing_uses = 0, \
             outgoing_digest = CASE WHEN ?11 IS NULL THEN NULL ELSE digest END, \
             outgoing_pepper_version = CASE WHEN ?11 IS NULL THEN NULL ELSE pepper_version END, \
             outgoing_start = CASE WHEN ?11 IS NULL THEN NULL ELSE start END, \
             outgoing_last4 = CASE WHEN ?11 IS NULL THEN NULL ELSE last4 END, \
             outgoing_last_used_at = CASE WHEN ?11 IS NULL THEN NULL ELSE last_used_at END, \
             expires_at = ?12, expired_at = CASE WHEN expires_at IS ?12 THEN expired_at ELSE NULL END,",
            unchanged!()
        ),
        before.id,
        reach.organization_id,
        reach.user_id,
        reach.project_id,
        now,
        before.updated_at,
        new.digest.to_hex(),
        new.pepper_version,
        new.preview.start,
        new.preview.last4,
        rotates_at,
        expires_at
    )
}

/// A secret as it is stored.
pub(crate) struct NewSecret {
    /// Its digest.
    pub(crate) digest: Digest,
    /// The version of the pepper in it.
    pub(crate) pepper_version: i64,
    /// What is kept of its text.
    pub(crate) preview: Preview,
}

/// Ends the outgoing secret of a rotation before its time.
pub(crate) fn finish_rotation(reach: Reach, before: &Key, now: UnixMillis) -> Statement {
    end_rotation(concat!("UPDATE keys SET ", no_rotation!(), unchanged!()), reach, before, now)
}

/// Takes a rotation back: the outgoing secret stays, the new one ends.
pub(crate) fn cancel_rotation(reach: Reach, before: &Key, now: UnixMillis) -> Statement {
    let sql = concat!(
        "UPDATE keys SET digest = outgoing_digest, pepper_version = outgoing_pepper_version, \
         start = outgoing_start, last4 = outgoing_last4, last_used_at = outgoing_last_used_at, ",
        no_rotation!(),
        unchanged!()
    );
    end_rotation(sql, reach, before, now)
}

fn end_rotation(sql: &'static str, reach: Reach, before: &Key, now: UnixMillis) -> Statement {
    statement!(sql, before.id, reach.organization_id, reach.user_id, reach.project_id, now, before.updated_at)
}

/// Forgets the outgoing secrets whose grace is over, at most `limit`; gives one row for each. They were
/// refused from their deadline on, by the deadline itself.
pub(crate) fn forget_rotated(now: UnixMillis, limit: i64) -> Statement {
    statement!(
        concat!(
            "UPDATE keys SET ",
            no_rotation!(),
            " updated_at = updated_at + 1 WHERE id IN (SELECT id FROM keys \
             WHERE rotates_at IS NOT NULL AND rotates_at <= ?1 ORDER BY rotates_at LIMIT ?2) RETURNING id"
        ),
        now,
        limit
    )
}

/// Ends a key for good, with both its secrets. Does nothing, and so records nothing, when it is
/// revoked already, or is the last key that can manage keys and this is not forced.
pub(crate) fn revoke(reach: Reach, id: KeyId, force: bool, now: UnixMillis) -> Statement {
    statement!(
        concat!(
            "UPDATE keys SET revoked_at = ?5, updated_at = max(?5, updated_at + 1) WHERE id = ?1 AND ",
            within_reach!(),
            " AND revoked_at IS NULL AND (?6 OR ",
            can_do_without!(),
            ")"
        ),
        id,
        reach.organization_id,
        reach.user_id,
        reach.project_id,
        now,
        i64::from(force)
    )
}

/// The keys whose expiry has passed and is not recorded yet. The order makes both statements of a
/// sweep's batch choose the same keys.
macro_rules! due {
    () => {
        " FROM keys WHERE expires_at <= ?1 AND expires_at IS NOT NULL AND expired_at IS NULL AND revoked_at IS NULL \
         ORDER BY expires_at, id LIMIT ?2"
    };
}

/// Writes an audit event, to be kept for `retention_ms`, for each of at most `limit` keys that are due. Must
/// stand before [`mark_expired`] in the same batch, which makes them due no more.
pub(crate) fn record_expiry(now: UnixMillis, limit: i64, retention_ms: i64) -> Statement {
    statement!(
        concat!(
            "INSERT INTO audit_events (organization_id, subject, action, actor_kind, details, at, keep_until) \
             SELECT organization_id, id, 'key.expired', 'system', json_object('expires_at', strftime('%Y-%m-%dT%H:%M:%fZ', expires_at / 1000.0, 'unixepoch')), ?1, ",
            keep_until!("keys.organization_id", "?1", "?3"),
            due!()
        ),
        now,
        limit,
        retention_ms
    )
}

/// Marks at most `limit` keys that are due as recorded; gives one row for each. No trigger writes to
/// the feed for it: the deadline is in every snapshot and has held since its instant.
pub(crate) fn mark_expired(now: UnixMillis, limit: i64) -> Statement {
    statement!(concat!("UPDATE keys SET expired_at = ?1 WHERE id IN (SELECT id", due!(), ") RETURNING id"), now, limit)
}

/// The scopes as their column holds them: a JSON array, or NULL for full access.
fn scopes_text(scopes: &Scopes) -> Option<String> {
    match scopes {
        Scopes::Full => None,
        Scopes::List(_) => serde_json::to_string(scopes).ok(),
    }
}
