//! The `keys` table: insertion, reads, lists, changes, revocation, and recorded expiry.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    domain::{
        audit::Retention,
        conditions,
        creator::Creator,
        grant::Granted,
        id::{BoundTo, KeyId, OrganizationId, ProjectId, TrustId, UserId},
        key::{Key, KeyChange, KeyState, Life, Name, NewSecret, Role, Rotation},
        key_list::{KeyCursor, KeyFilter, KeyOwner, KeyReach, KeyRef, MAX_LOOKED_THROUGH, StatusFilter},
        key_text::{Digest, KeyKind, Preview},
        key_use::UsedFrom,
        lock_out::{LASTING_MS, Loss},
        page::Page,
        scope::Scopes,
        standing::Standing,
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    statement,
    storage::{
        Conditions, audit::keep_until, batch::Query, idempotency::SUBJECT, json_text, json_text_or_null, page, typed,
        typed_pairs,
    },
};

/// The standing of a key, as [`crate::domain::standing::Standing`].
pub(crate) const STANDING: &str = "CASE \
    WHEN EXISTS (SELECT 1 FROM organizations o WHERE o.id = keys.organization_id AND o.suspended_at IS NOT NULL) \
    THEN 'organization_suspended' \
    WHEN keys.user_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM memberships m \
    WHERE m.organization_id = keys.organization_id AND m.user_id = keys.user_id) THEN 'user_removed' \
    WHEN EXISTS (SELECT 1 FROM projects p WHERE p.id = keys.project_id AND p.deleted_at IS NOT NULL) \
    THEN 'project_deleted' ELSE 'good' END";

/// The columns of a [`Key`].
pub(crate) const COLUMNS: &str = "id, number, organization_id, user_id, project_id, bound_to, kind, stem, start, \
    last4, name, scopes, conditions, role, metadata, operator_metadata, expires_at, disabled_at, revoked_at, created_at, created_by, \
    created_by_user, parent_id, trust_id, updated_at, last_used_at, last_used_from, rotates_at, outgoing_start, outgoing_last4, \
    outgoing_last_used_at, outgoing_last_used_from, outgoing_uses";

/// The columns that can be long.
const TEXTS: [&str; 5] = ["name", "scopes", "conditions", "metadata", "operator_metadata"];

/// The condition of a [`KeyReach`].
const WITHIN_REACH: &str = "organization_id = :organization_id AND (:user_id IS NULL OR user_id = :user_id) \
    AND (:project_id IS NULL OR project_id = :project_id)";

/// The condition that the key `:root` is within a [`KeyReach`]; see [`with_reach`].
pub const ROOT_WITHIN_REACH: &str = "EXISTS (SELECT 1 FROM keys WHERE id = :root \
    AND organization_id = :organization_id AND (:user_id IS NULL OR user_id = :user_id) \
    AND (:project_id IS NULL OR project_id = :project_id))";

/// Adds the parameters of [`ROOT_WITHIN_REACH`].
pub fn with_reach(params: &mut Conditions, reach: KeyReach) {
    params.with("user_id", reach.user_id);
    params.with("project_id", reach.project_id);
}

/// A row of the table.
#[derive(Deserialize)]
struct KeyRow {
    id: KeyId,
    number: i64,
    organization_id: OrganizationId,
    user_id: Option<UserId>,
    project_id: Option<ProjectId>,
    bound_to: Option<BoundTo>,
    kind: KeyKind,
    stem: String,
    start: String,
    last4: String,
    name: Name,
    #[serde(deserialize_with = "json_text_or_null")]
    scopes: Scopes,
    #[serde(deserialize_with = "json_text_or_null")]
    conditions: Option<conditions::Conditions>,
    role: Role,
    #[serde(deserialize_with = "json_text")]
    metadata: Map<String, Value>,
    #[serde(deserialize_with = "json_text")]
    operator_metadata: Map<String, Value>,
    expires_at: Option<UnixMillis>,
    disabled_at: Option<UnixMillis>,
    revoked_at: Option<UnixMillis>,
    created_at: UnixMillis,
    created_by: Option<KeyId>,
    created_by_user: Option<UserId>,
    parent_id: Option<KeyId>,
    trust_id: Option<TrustId>,
    updated_at: UnixMillis,
    last_used_at: Option<UnixMillis>,
    #[serde(deserialize_with = "json_text_or_null")]
    last_used_from: Option<UsedFrom>,
    rotates_at: Option<UnixMillis>,
    outgoing_start: Option<String>,
    outgoing_last4: Option<String>,
    outgoing_last_used_at: Option<UnixMillis>,
    #[serde(deserialize_with = "json_text_or_null")]
    outgoing_last_used_from: Option<UsedFrom>,
    outgoing_uses: i64,
    standing: Standing,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            number: row.number,
            organization_id: row.organization_id,
            user_id: row.user_id,
            project_id: row.project_id,
            bound_to: row.bound_to,
            kind: row.kind,
            name: row.name,
            preview: Preview { stem: row.stem, start: row.start, last4: row.last4 },
            scopes: row.scopes,
            conditions: row.conditions.unwrap_or_default(),
            role: row.role,
            metadata: row.metadata,
            operator_metadata: row.operator_metadata,
            life: Life { expires_at: row.expires_at, disabled_at: row.disabled_at, revoked_at: row.revoked_at },
            created_at: row.created_at,
            creator: Creator {
                id: row.created_by,
                user_id: row.created_by_user,
                parent_id: row.parent_id,
                trust_id: row.trust_id,
            },
            updated_at: row.updated_at,
            last_used_at: row.last_used_at,
            last_used_from: row.last_used_from,
            rotation: row.rotates_at.map(|rotates_at| Rotation {
                rotates_at,
                start: row.outgoing_start.unwrap_or_default(),
                last4: row.outgoing_last4.unwrap_or_default(),
                last_used_at: row.outgoing_last_used_at,
                last_used_from: row.outgoing_last_used_from,
                uses: row.outgoing_uses,
            }),
            standing: row.standing,
        }
    }
}

/// Reads all keys.
pub(crate) fn read_all(rows: Vec<Row>) -> Result<Vec<Key>, DatabaseError> {
    Ok(typed::<KeyRow>(rows)?.into_iter().map(Key::from).collect())
}

/// Reads the first key, if there is one.
pub(crate) fn read_first(rows: Vec<Row>) -> Result<Option<Key>, DatabaseError> {
    Ok(read_all(rows)?.into_iter().next())
}

/// The number of a user's personal keys that are not revoked and have such an expiry. It counts two ranges of an
/// index, so that expired keys are not read.
fn count_personal_keys(expiry: &str) -> String {
    format!(
        "(SELECT count(*) FROM keys WHERE organization_id = :organization_id AND user_id = :user_id \
         AND kind = 'pat' AND revoked_at IS NULL AND expires_at {expiry})"
    )
}

/// The insertion of a new key, with the organization's next number. It returns the number, or no row if the key's
/// project is not in the organization, or its user is not a member or already has `max_keys` working keys. A bound
/// key and that of a trust are inserted only if the statement before it in the batch has changed a row.
pub fn insert(key: &Key, digest: Digest, pepper_version: i64, max_keys: Option<i64>, _: Granted) -> Query<Option<i64>> {
    let sql = format!(
        "INSERT INTO keys (id, organization_id, number, user_id, project_id, kind, digest, pepper_version, stem, \
         start, last4, name, scopes, conditions, role, metadata, operator_metadata, expires_at, created_at, created_by, \
         created_by_user, parent_id, updated_at, bound_to, linked_by_user, trust_id) \
         SELECT :id, :organization_id, \
         (SELECT coalesce(max(number), 0) + 1 FROM keys WHERE organization_id = :organization_id), \
         :user_id, :project_id, :kind, :digest, :pepper_version, :stem, \
         :start, :last4, :name, :scopes, :conditions, :role, :metadata, :operator_metadata, :expires_at, :created_at, :created_by, \
         :created_by_user, :parent_id, :created_at, :bound_to, \
         coalesce((SELECT created_by_user FROM sessions WHERE id = :created_by AND key_id IS NULL), \
         (SELECT linked_by_user FROM trusts WHERE id = :trust_id)), :trust_id \
         WHERE (:project_id IS NULL OR EXISTS (SELECT 1 FROM projects WHERE id = :project_id \
         AND organization_id = :organization_id AND deleted_at IS NULL)) \
         AND (:user_id IS NULL OR EXISTS (SELECT 1 FROM memberships \
         WHERE organization_id = :organization_id AND user_id = :user_id)) \
         AND (:max_keys IS NULL OR :max_keys > {} + {}) \
         AND ((:bound_to IS NULL AND :trust_id IS NULL) OR changes() > 0) RETURNING number",
        count_personal_keys("IS NULL"),
        count_personal_keys("> :created_at")
    );
    let statement = statement!(
        sql,
        id: key.id,
        organization_id: key.organization_id,
        user_id: key.user_id,
        project_id: key.project_id,
        kind: key.kind,
        digest,
        pepper_version,
        stem: key.preview.stem,
        start: key.preview.start,
        last4: key.preview.last4,
        name: key.name,
        scopes: scopes_text(&key.scopes),
        conditions: conditions_text(&key.conditions),
        role: key.role,
        metadata: Value::Object(key.metadata.clone()),
        operator_metadata: Value::Object(key.operator_metadata.clone()),
        expires_at: key.life.expires_at,
        created_at: key.created_at,
        created_by: key.creator.id,
        created_by_user: key.creator.user_id,
        parent_id: key.creator.parent_id,
        bound_to: key.bound_to,
        trust_id: key.creator.trust_id,
        max_keys
    );
    Query::new(statement, read_number)
}

/// Reads the number of a new key.
///
/// # Errors
/// [`DatabaseError::Failed`] if a row does not have the expected columns.
pub fn read_number(rows: Vec<Row>) -> Result<Option<i64>, DatabaseError> {
    #[derive(Deserialize)]
    struct NumberRow {
        number: i64,
    }
    Ok(typed::<NumberRow>(rows)?.first().map(|row| row.number))
}

/// One key within reach.
pub fn get(reach: KeyReach, key: KeyRef) -> Query<Option<Key>> {
    let KeyReach { organization_id, user_id, project_id } = reach;
    let select = |condition: &str| {
        format!("SELECT {COLUMNS}, {STANDING} AS standing FROM keys WHERE {condition} AND {WITHIN_REACH}")
    };
    let statement = match key {
        KeyRef::Id(id) => statement!(select("id = :id"), id, organization_id, user_id, project_id),
        KeyRef::Number(number) => statement!(select("number = :number"), number, organization_id, user_id, project_id),
    };
    Query::new(statement, read_first)
}

/// One key of any organization, for the operator.
pub fn get_of_any(id: KeyId) -> Query<Option<Key>> {
    Query::new(statement!(format!("SELECT {COLUMNS}, {STANDING} AS standing FROM keys WHERE id = :id"), id), read_first)
}

/// The key that the caller created or rotated under an Idempotency-Key, with the stored digest of its newest
/// secret.
pub fn created_by_request(key_id: KeyId, digest: &str) -> Query<Option<(Key, String)>> {
    let sql = format!("SELECT {COLUMNS}, {STANDING} AS standing, digest FROM keys WHERE id = {SUBJECT}");
    Query::new(statement!(sql, key_id, digest), read_key_and_digest)
}

/// Reads the rows of [`created_by_request`].
///
/// # Errors
/// [`DatabaseError::Failed`] if a row does not have the expected columns.
pub fn read_key_and_digest(rows: Vec<Row>) -> Result<Option<(Key, String)>, DatabaseError> {
    #[derive(Deserialize)]
    struct DigestRow {
        digest: String,
    }
    let row = typed_pairs::<KeyRow, DigestRow>(rows)?.into_iter().next();
    Ok(row.map(|(key, DigestRow { digest })| (key.into(), digest)))
}

/// The order of a list's rows.
fn order(cursor: KeyCursor) -> &'static str {
    if matches!(cursor, KeyCursor::Before(_)) { "ASC" } else { "DESC" }
}

/// A page of the keys within reach, newest first. With [`KeyCursor::Before`] it is oldest first, so that the page
/// touches the cursor. Only the conditions of the filter are included, so that each combination can use its own
/// index.
pub fn list(reach: KeyReach, filter: &KeyFilter, cursor: KeyCursor, limit: i64, now: UnixMillis) -> Query<Page<Key>> {
    let mut conditions = indexed_conditions(reach, filter, cursor);
    add_unindexed(&mut conditions, filter, now);
    conditions.with("limit", limit + 1);
    let (conditions_sql, order) = (conditions.sql(), order(cursor));
    let sql = format!(
        "SELECT {COLUMNS}, {STANDING} AS standing FROM keys WHERE {conditions_sql} ORDER BY id {order} LIMIT :limit"
    );
    Query::new(page::bounded(conditions.statement(&sql), limit, &TEXTS), |rows| page::read(rows, read_all))
}

/// A page like [`list`], with the owner's name of each key, from the first [`MAX_LOOKED_THROUGH`] keys at the
/// cursor.
pub fn list_owned(
    reach: KeyReach,
    filter: &KeyFilter,
    cursor: KeyCursor,
    limit: i64,
    now: UnixMillis,
) -> Query<Page<(Key, KeyOwner)>> {
    let (mut conditions, last) = last_scanned(reach, filter, cursor);
    conditions.and(&match cursor {
        KeyCursor::Before(_) => format!("id <= coalesce(({last}), '~')"),
        KeyCursor::Start | KeyCursor::After(_) => format!("id >= coalesce(({last}), '')"),
    });
    add_unindexed(&mut conditions, filter, now);
    conditions.with("limit", limit + 1);
    let (conditions_sql, order) = (conditions.sql(), order(cursor));
    let sql = format!(
        "SELECT {COLUMNS}, {STANDING} AS standing, (SELECT email FROM users WHERE users.id = user_id) AS owner, \
         (SELECT name FROM projects WHERE projects.id = project_id) AS project, \
         (SELECT maker.name FROM keys AS maker WHERE maker.id = keys.created_by \
         AND maker.organization_id = keys.organization_id) AS creator_key, \
         (SELECT email FROM users WHERE users.id = keys.created_by_user AND NOT EXISTS (SELECT 1 FROM keys AS maker \
         WHERE maker.id = keys.created_by AND maker.organization_id <> keys.organization_id)) AS creator FROM keys \
         WHERE {conditions_sql} ORDER BY id {order} LIMIT :limit"
    );
    Query::new(page::bounded(conditions.statement(&sql), limit, &TEXTS), |rows| {
        page::read(rows, |rows| {
            Ok(typed_pairs::<KeyRow, KeyOwner>(rows)?.into_iter().map(|(key, owner)| (key.into(), owner)).collect())
        })
    })
}

/// The id of the last key that [`list_owned`] scans, if there may be more after it.
pub fn looked_until(reach: KeyReach, filter: &KeyFilter, cursor: KeyCursor) -> Query<Option<KeyId>> {
    let (conditions, sql) = last_scanned(reach, filter, cursor);
    Query::scalar(conditions.statement(&sql))
}

/// The conditions of a list, and the SQL for the id of the last scanned key.
fn last_scanned(reach: KeyReach, filter: &KeyFilter, cursor: KeyCursor) -> (Conditions, String) {
    let mut conditions = indexed_conditions(reach, filter, cursor);
    conditions.with("others_scanned", MAX_LOOKED_THROUGH - 1);
    let (conditions_sql, order) = (conditions.sql(), order(cursor));
    let sql = format!("SELECT id FROM keys WHERE {conditions_sql} ORDER BY id {order} LIMIT 1 OFFSET :others_scanned");
    (conditions, sql)
}

/// The conditions that have an index in the order of a list.
fn indexed_conditions(reach: KeyReach, filter: &KeyFilter, cursor: KeyCursor) -> Conditions {
    let mut conditions =
        Conditions::new("organization_id = :organization_id", "organization_id", reach.organization_id);
    conditions.and_if("user_id = :reached_user_id", "reached_user_id", reach.user_id);
    conditions.and_if("user_id = :user_id", "user_id", filter.user_id);
    conditions.and_if("created_by = :created_by", "created_by", filter.created_by);
    conditions.and_if("created_by_user = :created_by_user", "created_by_user", filter.created_by_user);
    conditions.and_if("project_id = :reached_project_id", "reached_project_id", reach.project_id);
    conditions.and_if("project_id = :project_id", "project_id", filter.project_id);
    let newest = "user_id = (SELECT id FROM users WHERE email = :owner AND EXISTS (SELECT 1 FROM keys AS own \
                  WHERE own.organization_id = :organization_id AND own.user_id = users.id) ORDER BY id DESC LIMIT 1)";
    conditions.and_if(newest, "owner", filter.owner.as_ref().map(|owner| owner.to_lowercase()));
    match cursor {
        KeyCursor::Start => {}
        KeyCursor::After(id) => conditions.and_if("id < :cursor", "cursor", Some(id)),
        KeyCursor::Before(id) => conditions.and_if("id > :cursor", "cursor", Some(id)),
    }
    conditions
}

/// Adds the other conditions of a list.
fn add_unindexed(conditions: &mut Conditions, filter: &KeyFilter, now: UnixMillis) {
    conditions.and_if("kind = :kind", "kind", filter.kind);
    conditions.and_if("name = :name", "name", filter.name.as_ref());
    conditions.and_if("instr(lower(name), lower(:name_part)) > 0", "name_part", filter.name_part.as_ref());
    let ids = filter.ids.as_ref().map(|ids| ids.iter().map(KeyId::to_string).collect::<Value>());
    conditions.and_if("id IN (SELECT value FROM json_each(:ids))", "ids", ids);
    if let Some(prefix) = &filter.prefix {
        conditions.and_if("start >= :prefix", "prefix", Some(prefix));
        // Texts are ASCII, so nothing that starts with the prefix sorts after this.
        conditions.and_if("start < :prefix_end", "prefix_end", Some(format!("{prefix}\u{7f}")));
    }
    match filter.status {
        StatusFilter::Only(KeyState::Active) => {
            conditions.and_if("(expires_at IS NULL OR expires_at > :now)", "now", Some(now));
            conditions.and(&format!("{STANDING} = 'good'"));
        }
        StatusFilter::Only(KeyState::Expired) => conditions.and_if("expires_at <= :now", "now", Some(now)),
        _ => {}
    }
    match filter.status {
        StatusFilter::Current => conditions.and("revoked_at IS NULL"),
        StatusFilter::Only(KeyState::Active | KeyState::Expired) => {
            conditions.and("revoked_at IS NULL AND disabled_at IS NULL");
        }
        StatusFilter::Only(KeyState::Disabled) => conditions.and("revoked_at IS NULL AND disabled_at IS NOT NULL"),
        StatusFilter::Only(KeyState::Revoked) => conditions.and("revoked_at IS NOT NULL"),
        StatusFilter::All => {}
    }
}

/// The end of every change of a key: within reach, not revoked, and not changed since it was read. `more` is
/// another condition, with its `AND`.
fn if_unchanged(more: &str) -> String {
    format!(
        " updated_at = max(:now, updated_at + 1) WHERE id = :id AND {WITHIN_REACH} AND revoked_at IS NULL \
         AND updated_at = :updated_at{more} RETURNING {COLUMNS}, {STANDING} AS standing"
    )
}

/// The rotation's columns if none is pending.
pub const NO_ROTATION: &str = "rotates_at = NULL, outgoing_digest = NULL, outgoing_pepper_version = NULL, \
    outgoing_start = NULL, outgoing_last4 = NULL, outgoing_last_used_at = NULL, outgoing_last_used_from = NULL, \
    outgoing_uses = 0,";

/// The condition that a key can manage keys, as in the index `keys_managing`. Whether a key with conditions can, nobody
/// knows.
pub const MANAGING: &str = "conditions IS NULL AND revoked_at IS NULL AND disabled_at IS NULL AND role <> 'member' \
    AND (scopes IS NULL OR instr(scopes, '\"api-keys:write\"') > 0 OR instr(scopes, '\"api-keys:*\"') > 0)";

/// The conditions on keys of which an organization keeps one each: a key that can manage keys, and one with full
/// access.
pub fn kept() -> [String; 2] {
    [MANAGING.to_owned(), format!("{MANAGING} AND scopes IS NULL")]
}

/// The condition that a key works at `:now`.
pub const WORKS: &str = "(expires_at IS NULL OR expires_at > :now)";

/// The condition that another key like `kept`, one of [`kept`], stays in the organization `:organization_id`: one of
/// the organization's own, or one of a member who administers it. It works beyond `:lasting`, or as long as what it
/// stands in for, which ends at `until` (SQL; NULL for never). The conditions `keys` and `people`, each with its
/// `AND`, select the keys, as `other`, and the memberships that count. The query goes from the members to their keys,
/// because the keys of removed members stay on record.
pub fn another_stays(kept: &str, until: &str, keys: &str, people: &str) -> String {
    let lasting = format!("(expires_at IS NULL OR expires_at > :lasting OR expires_at >= {until})");
    format!(
        "(EXISTS (SELECT 1 FROM keys AS other WHERE organization_id = :organization_id AND user_id IS NULL{keys} \
         AND {lasting} AND {kept}) \
         OR EXISTS (SELECT 1 FROM keys AS other WHERE organization_id = :organization_id \
         AND user_id IN (SELECT user_id FROM memberships WHERE organization_id = :organization_id \
         AND role <> 'member'{people}){keys} AND {lasting} AND {kept}))"
    )
}

/// The condition that the key `:id` may be taken away: for each of [`kept`], the key does not lose it, which
/// `loses` says in the same order, or another key stays.
fn may_lose(loses: [&str; 2]) -> String {
    let [managing, full] = kept();
    let stays = |kept: &str| another_stays(kept, "keys.expires_at", " AND id <> :id", "");
    let [loses_managing, loses_full] = loses;
    format!("(NOT ({loses_managing}) OR {}) AND (NOT ({loses_full}) OR {})", stays(&managing), stays(&full))
}

/// The parameters that say what a key loses.
const LOSES: [&str; 2] = [":loses_managing", ":loses_full"];

/// Changes a key that is not revoked and was not changed since it was read as `before`. A new expiry counts as not
/// yet recorded by the sweep. Returns the key after the change, or no row. There is also none if no other key can stand
/// in for what this one loses.
pub fn update(
    reach: KeyReach,
    before: &Key,
    change: &KeyChange,
    _: Granted,
    loss: Loss,
    now: UnixMillis,
) -> Query<Option<Key>> {
    let sql = format!(
        "UPDATE keys SET name = coalesce(:name, name), \
         scopes = CASE WHEN :sets_scopes THEN :scopes ELSE scopes END, \
         conditions = CASE WHEN :sets_conditions THEN :conditions ELSE conditions END, \
         metadata = coalesce(:metadata, metadata), \
         operator_metadata = coalesce(:operator_metadata, operator_metadata), \
         expires_at = CASE WHEN :sets_expiry THEN :expires_at ELSE expires_at END, \
         expired_at = CASE WHEN :sets_expiry THEN NULL ELSE expired_at END, \
         disabled_at = CASE :enabled WHEN 1 THEN NULL WHEN 0 THEN coalesce(disabled_at, :now) ELSE disabled_at END,{}",
        if_unchanged(&format!(" AND {}", may_lose(LOSES)))
    );
    let statement = statement!(
        sql,
        id: before.id,
        organization_id: reach.organization_id,
        user_id: reach.user_id,
        project_id: reach.project_id,
        updated_at: before.updated_at,
        name: change.name,
        sets_scopes: change.scopes.is_some(),
        scopes: change.scopes.as_ref().and_then(scopes_text),
        sets_conditions: change.conditions.is_some(),
        conditions: change.conditions.as_ref().and_then(conditions_text),
        metadata: change.metadata.clone().map(Value::Object),
        operator_metadata: change.operator_metadata.clone().map(Value::Object),
        sets_expiry: change.expires_at.is_some(),
        expires_at: change.expires_at.flatten(),
        enabled: change.enabled,
        loses_managing: loss.managing,
        loses_full: loss.full_access,
        lasting: now.plus_ms(LASTING_MS),
        now
    );
    Query::new(statement, read_first)
}

/// Gives a key a new secret. With `rotates_at` the old one becomes the outgoing one and works until then; without,
/// it ends now. Returns the key after the change, or no row if it was changed since `before`, or no other key can stand
/// in for what this one loses.
pub fn rotate(
    reach: KeyReach,
    before: &Key,
    new: &NewSecret,
    rotated_by_user: Option<UserId>,
    _: Granted,
    loss: Loss,
    now: UnixMillis,
) -> Query<Option<Key>> {
    let sql = format!(
        "UPDATE keys SET digest = :digest, pepper_version = :pepper_version, start = :start, last4 = :last4, \
         last_used_at = NULL, last_used_from = NULL, rotates_at = :rotates_at, outgoing_uses = 0, rotated_by_user = :rotated_by_user, \
         outgoing_digest = CASE WHEN :rotates_at IS NULL THEN NULL ELSE digest END, \
         outgoing_pepper_version = CASE WHEN :rotates_at IS NULL THEN NULL ELSE pepper_version END, \
         outgoing_start = CASE WHEN :rotates_at IS NULL THEN NULL ELSE start END, \
         outgoing_last4 = CASE WHEN :rotates_at IS NULL THEN NULL ELSE last4 END, \
         outgoing_last_used_at = CASE WHEN :rotates_at IS NULL THEN NULL ELSE last_used_at END, \
         outgoing_last_used_from = CASE WHEN :rotates_at IS NULL THEN NULL ELSE last_used_from END, \
         expires_at = :expires_at, expired_at = CASE WHEN expires_at IS :expires_at THEN expired_at ELSE NULL END,{}",
        if_unchanged(&format!(" AND {}", may_lose(LOSES)))
    );
    let statement = statement!(
        sql,
        id: before.id,
        organization_id: reach.organization_id,
        user_id: reach.user_id,
        project_id: reach.project_id,
        updated_at: before.updated_at,
        digest: new.digest,
        pepper_version: new.pepper_version,
        start: new.preview.start,
        last4: new.preview.last4,
        rotates_at: new.rotates_at,
        rotated_by_user,
        expires_at: new.expires_at,
        loses_managing: loss.managing,
        loses_full: loss.full_access,
        lasting: now.plus_ms(LASTING_MS),
        now
    );
    Query::new(statement, read_first)
}

/// Finishes a rotation early: the outgoing secret ends now.
pub fn finish_rotation(reach: KeyReach, before: &Key, now: UnixMillis) -> Query<Option<Key>> {
    end_rotation("", reach, before, now)
}

/// Cancels a rotation: the outgoing secret stays, and the new one ends.
pub fn cancel_rotation(reach: KeyReach, before: &Key, _: Granted, now: UnixMillis) -> Query<Option<Key>> {
    let outgoing = "digest = outgoing_digest, pepper_version = outgoing_pepper_version, start = outgoing_start, \
                    last4 = outgoing_last4, last_used_at = outgoing_last_used_at, \
                    last_used_from = outgoing_last_used_from, ";
    end_rotation(outgoing, reach, before, now)
}

/// Ends a rotation; `secret` is the SQL that assigns the remaining secret.
fn end_rotation(secret: &str, reach: KeyReach, before: &Key, now: UnixMillis) -> Query<Option<Key>> {
    let sql = format!("UPDATE keys SET {secret}{NO_ROTATION}{}", if_unchanged(""));
    let statement = statement!(
        sql,
        id: before.id,
        organization_id: reach.organization_id,
        user_id: reach.user_id,
        project_id: reach.project_id,
        updated_at: before.updated_at,
        now
    );
    Query::new(statement, read_first)
}

/// Deletes the outgoing secrets whose grace period is over, at most `limit`, and returns one row for each. They
/// have been refused since their deadline, by the deadline itself.
pub fn forget_rotated(now: UnixMillis, limit: i64) -> Statement {
    let sql = format!(
        "UPDATE keys SET {NO_ROTATION} updated_at = updated_at + 1 WHERE id IN (SELECT id FROM keys \
         WHERE rotates_at IS NOT NULL AND rotates_at <= :now ORDER BY rotates_at LIMIT :limit) RETURNING id"
    );
    statement!(sql, now, limit)
}

/// Revokes a key for good, with both its secrets. Does nothing, and so records nothing, if it is already revoked,
/// or if no other key can stand in for it and `force` is not set.
pub fn revoke(reach: KeyReach, id: KeyId, force: bool, now: UnixMillis) -> Statement {
    let [managing, full] = kept();
    let sql = format!(
        "UPDATE keys SET revoked_at = :now, updated_at = max(:now, updated_at + 1) WHERE id = :id AND {WITHIN_REACH} \
         AND revoked_at IS NULL AND (:force OR ({}))",
        may_lose([&format!("{WORKS} AND {managing}"), &format!("{WORKS} AND {full}")])
    );
    statement!(
        sql,
        id,
        organization_id: reach.organization_id,
        user_id: reach.user_id,
        project_id: reach.project_id,
        force,
        lasting: now.plus_ms(LASTING_MS),
        now
    )
}

/// The keys whose expiry has passed and is not recorded yet. The order makes both statements of a sweep's batch
/// choose the same keys.
const DUE: &str = "FROM keys WHERE expires_at <= :now AND expires_at IS NOT NULL AND expired_at IS NULL \
    AND revoked_at IS NULL ORDER BY expires_at, id LIMIT :limit";

/// Writes the audit event of each due key, at most `limit`, by these rules of retention. It must stand before
/// [`mark_expired`] in the same batch, after which the keys are no longer due.
pub fn record_expiry(now: UnixMillis, limit: i64, retention: Retention) -> Statement {
    let sql = format!(
        "INSERT INTO audit_events (organization_id, subject, action, actor_kind, details, at, keep_until) \
         SELECT organization_id, id, 'key.expired', 'system', \
         json_object('expires_at', strftime('%Y-%m-%dT%H:%M:%fZ', expires_at / 1000.0, 'unixepoch')), :now, {} {DUE}",
        keep_until("keys.organization_id", ":now")
    );
    statement!(sql, now, limit, retention_ms: retention.default_ms, least_retention_ms: retention.least_ms)
}

/// Marks due keys as recorded, at most `limit`, and returns one row for each. This is not part of the change feed:
/// every snapshot contains the deadline, which has held since its instant.
pub fn mark_expired(now: UnixMillis, limit: i64) -> Statement {
    let sql = format!("UPDATE keys SET expired_at = :now WHERE id IN (SELECT id {DUE}) RETURNING id");
    statement!(sql, now, limit)
}

/// The scopes as their column holds them: a JSON array, or NULL for full access.
fn scopes_text(scopes: &Scopes) -> Option<String> {
    match scopes {
        Scopes::Full => None,
        Scopes::List(_) => serde_json::to_string(scopes).ok(),
    }
}

/// The conditions as their column holds them: a JSON object, or NULL for none.
fn conditions_text(conditions: &conditions::Conditions) -> Option<String> {
    if conditions.is_none() { None } else { serde_json::to_string(conditions).ok() }
}
