//! The one condition that says who may see or change what people have made, and the table `shares`.

use crate::{
    domain::{
        access::{Share, Sight, Viewer},
        id::OrganizationId,
    },
    ports::{DatabaseError, Param, Row, Statement},
    storage::{ToParam, statement, typed},
};

/// The condition that the row of this table may be seen; with `1` for `$write`, changed. Reads the
/// parameters of [`sight`]: `?2` to `?4`.
macro_rules! may {
    ($table:literal, $write:literal) => {
        concat!(
            "(", $table, ".organization_id = ?2 AND CASE ?3 WHEN 'all' THEN 1 WHEN 'project' THEN ", $table, ".project_id IS ?4 \
             ELSE ", $table, ".user_id IS ?4 \
             OR EXISTS (SELECT 1 FROM shares s WHERE s.resource_id = ", $table, ".id AND s.grantee_id = ?4 AND (s.access = 'write' OR NOT ", $write, ")) \
             OR EXISTS (SELECT 1 FROM team_members t JOIN shares s ON s.grantee_id = t.team_id AND s.resource_id = ", $table, ".id \
             WHERE t.organization_id = ?2 AND t.user_id = ?4 AND (s.access = 'write' OR NOT ", $write, ")) END)"
        )
    };
}
pub(crate) use may;

/// The condition that what is in the row of this table belongs to whoever asks, so that he may share it.
macro_rules! owns {
    ($table:literal) => {
        concat!(
            "(",
            $table,
            ".organization_id = ?2 AND CASE ?3 WHEN 'all' THEN 1 WHEN 'project' THEN ",
            $table,
            ".project_id IS ?4 ELSE ",
            $table,
            ".user_id IS ?4 END)"
        )
    };
}
pub(crate) use owns;

/// Ends all that is shared with a user or a team who is in the organization no more.
pub(crate) fn forget_grantee(organization_id: OrganizationId, grantee_id: &str) -> Statement {
    statement!(
        "DELETE FROM shares WHERE grantee_id = ?2 AND organization_id = ?1 \
         AND NOT EXISTS (SELECT 1 FROM memberships WHERE organization_id = ?1 AND user_id = ?2) \
         AND NOT EXISTS (SELECT 1 FROM teams WHERE id = ?2)",
        organization_id,
        grantee_id
    )
}

/// Reads rows of shares.
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Share>, DatabaseError> {
    typed(rows)
}

/// What [`may`] and [`owns`] read at `?3` and `?4`.
pub(crate) fn sight(viewer: Viewer) -> (Param, Param) {
    match viewer.sight {
        Sight::All => ("all".to_param(), Param::Null),
        Sight::Project(id) => ("project".to_param(), id.to_param()),
        Sight::User(id) => ("user".to_param(), id.to_param()),
    }
}
