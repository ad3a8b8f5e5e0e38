//! The change feed's table, and the guard, which reads it to tell whether a verified key may still act. The
//! schema's triggers write the rows, in the transaction of the change itself.

use serde::Deserialize;

use crate::{
    domain::{
        feed::PAGE,
        id::{Seq, Subject},
        snapshot::Snapshot,
    },
    ports::Statement,
    statement,
    storage::{batch::Query, typed},
};

/// The newest changes from `since` on, inclusive, so that the answer always contains the head.
pub fn since(since: Seq) -> Query<Vec<(Seq, Subject)>> {
    #[derive(Deserialize)]
    struct ChangeRow {
        seq: Seq,
        subject: String,
    }
    let newest = "SELECT seq, subject FROM changes WHERE seq >= :since ORDER BY seq DESC LIMIT :page";
    Query::new(statement!(newest, since, page: PAGE), |rows| {
        let rows: Vec<ChangeRow> = typed(rows)?;
        Ok(rows.into_iter().map(|row| (row.seq, Subject::parse(&row.subject))).collect())
    })
}

/// The first statement of every batch that acts for a key. It fails, and the whole batch with it, if anything
/// behind the snapshot has changed since the snapshot was read, or if the feed no longer reaches back that far.
/// SQLite has no statement that fails on a condition outside a trigger. `abs()` of the least integer is its one
/// scalar that always fails, with "integer overflow".
pub fn guard(snapshot: &Snapshot) -> Statement {
    statement!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM changes \
         WHERE subject IN (:key_id, :organization_id, :user_id, :project_id, :session_id) AND seq > :seq) \
         OR (SELECT min(seq) FROM changes) > :seq + 1 \
         THEN abs(-9223372036854775808) ELSE 1 END",
        seq: snapshot.seq,
        key_id: snapshot.key_id,
        organization_id: snapshot.organization_id,
        user_id: snapshot.user_id,
        project_id: snapshot.project_id,
        session_id: snapshot.session_id
    )
}

/// Deletes the oldest changes except for the newest `keep`, at most `limit` of them, and returns one row for each.
pub fn prune(keep: i64, limit: i64) -> Statement {
    // `keep` is at least 1, so the newest row, which is the head, always stays.
    let sql = "DELETE FROM changes WHERE seq IN (SELECT seq FROM changes \
               WHERE seq <= (SELECT max(seq) FROM changes) - :keep ORDER BY seq LIMIT :limit) RETURNING seq";
    statement!(sql, keep: keep.max(1), limit)
}
