//! The change feed's table, and the guard, which reads it to tell whether a verified key may still act. The
//! schema's triggers write the rows, in the transaction of the change itself.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    domain::{
        feed::{Change, PAGE},
        id::{OrganizationId, ProjectId, Seq, Subject},
        key::Role,
        scope::Scopes,
        snapshot::Snapshot,
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    statement,
    storage::{batch::Query, json, typed},
};

/// The subject of the row that has the highest pruned number; see the trigger `changes_pruned`.
const PRUNED: &str = "pruned";

/// The last change of each subject from `since` on, inclusive, so that the answer always contains the head; the newest
/// first, at most [`PAGE`].
pub fn since(since: Seq) -> Query<Vec<Change>> {
    let newest = "SELECT seq, subject FROM changes WHERE seq >= :since ORDER BY seq DESC LIMIT :page";
    Query::new(statement!(newest, since, page: PAGE), read)
}

/// The same from a replica, whose head may be below `since`. It costs a row more.
pub fn since_or_head(since: Seq) -> Query<Vec<Change>> {
    let newest = "SELECT seq, subject FROM changes \
                  WHERE seq >= min(:since, (SELECT coalesce(max(seq), 0) FROM changes)) ORDER BY seq DESC LIMIT :page";
    Query::new(statement!(newest, since, page: PAGE), read)
}

fn read(rows: Vec<Row>) -> Result<Vec<Change>, DatabaseError> {
    #[derive(Deserialize)]
    struct ChangeRow {
        seq: Seq,
        subject: String,
    }
    let rows: Vec<ChangeRow> = typed(rows)?;
    let subject = |text: &str| (text != PRUNED).then(|| Subject::parse(text));
    Ok(rows.into_iter().map(|row| Change { seq: row.seq, subject: subject(&row.subject) }).collect())
}

/// The newest number of the feed.
pub fn head() -> Query<Option<Seq>> {
    Query::scalar(statement!("SELECT coalesce(max(seq), 0) FROM changes"))
}

/// Steps over all numbers that may have been given out before the database was restored, if `known` is one that it does
/// not know any more. All that was read before counts as pruned, and is read again. It can run any number of times.
pub fn step_over(known: Seq) -> Statement {
    let sql = "INSERT INTO changes (seq, subject, at) SELECT :known + 1000000, :pruned, 0 \
               WHERE (SELECT coalesce(max(seq), 0) FROM changes) < :known \
               ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq";
    statement!(sql, known, pruned: PRUNED)
}

/// Of these changes, those of the subjects that an organization's keys depend on, or one project's: the organization
/// itself, its keys, and their users and projects. A change of a subject that names nothing any more has none: nobody can
/// tell whose it was.
pub fn own(changes: &[Change], organization_id: OrganizationId, project_id: Option<ProjectId>) -> Query<Vec<Change>> {
    let sql = "WITH asked AS (SELECT value ->> 0 AS seq, value ->> 1 AS subject FROM json_each(:changes)), \
               told AS (SELECT seq, subject, (subject = :organization_id \
               OR EXISTS (SELECT 1 FROM keys WHERE id = subject AND organization_id = :organization_id \
               AND (:project_id IS NULL OR project_id = :project_id)) \
               OR EXISTS (SELECT 1 FROM keys WHERE organization_id = :organization_id AND user_id = subject \
               AND (:project_id IS NULL OR project_id = :project_id)) \
               OR EXISTS (SELECT 1 FROM keys WHERE organization_id = :organization_id AND project_id = subject \
               AND (:project_id IS NULL OR project_id = :project_id))) AS own FROM asked) \
               SELECT seq, CASE WHEN own THEN subject ELSE :pruned END AS subject FROM told \
               WHERE own OR NOT (EXISTS (SELECT 1 FROM keys WHERE id = subject) \
               OR EXISTS (SELECT 1 FROM users WHERE id = subject) OR EXISTS (SELECT 1 FROM projects WHERE id = subject) \
               OR EXISTS (SELECT 1 FROM organizations WHERE id = subject) \
               OR EXISTS (SELECT 1 FROM sessions WHERE id = subject))";
    let changes = json(&changes);
    Query::new(statement!(sql, changes, organization_id, project_id, pruned: PRUNED), read)
}

/// The first statement of every batch that acts for a key. It fails, and the whole batch with it, if anything
/// behind the snapshot has changed since the snapshot was read, if the feed no longer reaches back that far, or if the
/// key's own row does not say what the snapshot does. A session that was signed in without a key has no such row.
/// SQLite has no statement that fails on a condition outside a trigger. `abs()` of the least integer is its one
/// scalar that always fails, with "integer overflow".
pub fn guard(snapshot: &Snapshot) -> Statement {
    let role_or_more: Value = Role::ALL.into_iter().filter(|role| *role >= snapshot.role).map(Role::as_str).collect();
    let scopes = match &snapshot.scopes {
        Scopes::Full => None,
        Scopes::List(list) => Some(json(list)),
    };
    let keyless = snapshot.session_id.is_some_and(|session_id| session_id.as_key() == snapshot.key_id);
    statement!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM changes \
         WHERE subject IN (:key_id, :organization_id, :user_id, :project_id, :session_id) AND seq > :seq) \
         OR (SELECT seq FROM changes WHERE subject = :pruned) > :seq \
         OR NOT (:keyless OR EXISTS (SELECT 1 FROM keys k JOIN organizations o ON o.id = k.organization_id \
         WHERE k.id = :key_id AND k.organization_id = :organization_id AND o.operator = :operator \
         AND k.user_id IS :user_id AND k.project_id IS :project_id AND k.bound_to IS :bound_to \
         AND json(k.scopes) IS :scopes AND k.role IN (SELECT value FROM json_each(:role_or_more)) \
         AND k.expires_at IS :expires_at AND k.disabled_at IS :disabled_at AND k.revoked_at IS :revoked_at)) \
         THEN abs(-9223372036854775808) ELSE 1 END",
        seq: snapshot.seq,
        pruned: PRUNED,
        key_id: snapshot.key_id,
        organization_id: snapshot.organization_id,
        user_id: snapshot.user_id,
        project_id: snapshot.project_id,
        session_id: snapshot.session_id,
        keyless,
        operator: snapshot.operator,
        bound_to: snapshot.bound_to,
        scopes,
        role_or_more,
        expires_at: snapshot.life.expires_at,
        disabled_at: snapshot.life.disabled_at,
        revoked_at: snapshot.life.revoked_at
    )
}

/// Deletes changes from before `before`, at most `limit`, and returns one row for each. The trigger `changes_pruned`
/// notes how far. The numbers grow with the times, so only the first rows are looked at.
pub fn prune(before: UnixMillis, limit: i64) -> Statement {
    let sql = "DELETE FROM changes WHERE seq IN (SELECT seq FROM (SELECT seq, subject, at FROM changes \
               WHERE seq > 0 ORDER BY seq LIMIT :limit + 1) WHERE at <= :before AND subject <> :pruned LIMIT :limit) RETURNING seq";
    statement!(sql, before, limit, pruned: PRUNED)
}
