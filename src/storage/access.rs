//! Who may see or change what people have made: the one condition that says so, the lists of what somebody
//! sees, and the table `shares`.

use std::fmt;

use serde::Deserialize;

use crate::{
    domain::{
        access::{Access, Part, Resource, Share, Sight, Standing, Viewer},
        id::OrganizationId,
        time::UnixMillis,
    },
    ports::{DatabaseError, Param, Row, Statement},
    storage::{ToParam, statement, typed},
};

/// With how many something can be shared.
const MAX_SHARES: i64 = 1_000;

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

/// What whoever asks may do with what is in the row of this table, if he may see it, as [`Standing`].
macro_rules! standing {
    ($table:literal) => {
        concat!(
            "CASE WHEN ",
            $crate::storage::access::owns!($table),
            " THEN 'own' WHEN ",
            $crate::storage::access::may!($table, "1"),
            " THEN 'write' ELSE 'read' END AS standing"
        )
    };
}
pub(crate) use standing;

/// A table of what people make and share.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    /// Its name.
    name: &'static str,
    /// What its ids begin with.
    prefix: &'static str,
    /// The condition that what is in a row is there, with its `AND`; empty if every row is.
    there: &'static str,
    /// [`may!`] see, [`owns!`] and [`standing!`].
    visible: &'static str,
    owned: &'static str,
    standing: &'static str,
}

macro_rules! table {
    ($name:literal, $prefix:literal, $there:literal) => {
        Table {
            name: $name,
            prefix: $prefix,
            there: $there,
            visible: may!($name, "0"),
            owned: owns!($name),
            standing: standing!($name),
        }
    };
}

/// Data sets.
pub(crate) const DATASETS: Table = table!("datasets", "ds_", " AND ends_at IS NULL");
/// Evaluations.
pub(crate) const EVALUATIONS: Table = table!("evaluations", "eval_", "");
/// Live evaluations.
pub(crate) const LIVE_EVALUATIONS: Table = table!("live_evaluations", "live_", "");

impl Table {
    fn of(resource: Resource) -> Self {
        match resource {
            Resource::Dataset(_) => DATASETS,
            Resource::Evaluation(_) => EVALUATIONS,
            Resource::LiveEvaluation(_) => LIVE_EVALUATIONS,
        }
    }

    /// What follows `FROM`: the row `?1`, if it is there and this holds for it.
    fn one(self, holds: &str) -> String {
        let Self { name, there, .. } = self;
        format!("{name} WHERE {name}.id = ?1{there} AND {holds}")
    }
}

/// A statement about one thing, in somebody's name: `?1` is its id, `?2` to `?4` are what [`may!`] and
/// [`owns!`] read, and `more` follows.
pub(crate) fn about(
    sql: impl Into<String>,
    viewer: Viewer,
    id: impl fmt::Display,
    more: impl IntoIterator<Item = Param>,
) -> Statement {
    let (sight, whose) = sight(viewer);
    let params = [id.to_string().to_param(), viewer.organization_id.to_param(), sight, whose];
    Statement { sql: sql.into(), params: params.into_iter().chain(more).collect() }
}

/// A part of what somebody sees of a table, the newest first: these columns of it. With `only`, a
/// condition with its `AND`, nothing else.
pub(crate) fn list<T: fmt::Display>(
    table: Table,
    columns: &str,
    only: &str,
    viewer: Viewer,
    part: Part<T>,
) -> Statement {
    let Table { name, prefix, .. } = table;
    // No id lies behind this one.
    let after = part.after.map_or_else(|| format!("{prefix}g"), |id| id.to_string());
    let listed = format!("{}{only}", table.there);
    // What is not listed may be shared all the same, and must not take the place of what is.
    let found = if listed.is_empty() {
        String::new()
    } else {
        format!(" AND EXISTS (SELECT 1 FROM {name} WHERE id = resource_id{listed})")
    };
    let own = |column: &str, limit: &str| {
        format!(
            "SELECT id FROM {name} WHERE organization_id = ?2{column} AND id < ?5{listed} ORDER BY id DESC LIMIT {limit}"
        )
    };
    let ids = match viewer.sight {
        Sight::All => own("", "?6 OFFSET ?7"),
        Sight::Project(_) => own(" AND project_id = ?4", "?6 OFFSET ?7"),
        // Of what is his own, what is shared with him, and what is with each of his teams the newest, and of those the newest.
        Sight::User(_) => format!(
            "SELECT id FROM (SELECT * FROM ({}) UNION SELECT * FROM (SELECT resource_id FROM shares \
             WHERE grantee_id = ?4 AND resource_id < ?5 AND resource_id >= '{prefix}'{found} ORDER BY resource_id DESC LIMIT ?6 + ?7) \
             UNION SELECT value FROM team_members t, json_each((SELECT json_group_array(resource_id) FROM (SELECT resource_id FROM shares \
             WHERE grantee_id = t.team_id AND resource_id < ?5 AND resource_id >= '{prefix}'{found} ORDER BY resource_id DESC LIMIT ?6 + ?7))) \
             WHERE t.organization_id = ?2 AND t.user_id = ?4) \
             ORDER BY id DESC LIMIT ?6 OFFSET ?7",
            own(" AND user_id = ?4", "?6 + ?7")
        ),
    };
    let sql =
        format!("SELECT {columns} FROM {name} WHERE id IN ({ids}) AND organization_id = ?2{listed} ORDER BY id DESC");
    about(sql, viewer, "", [after.to_param(), part.limit.to_param(), part.skip.to_param()])
}

/// What somebody may do with something, if he may see it.
pub(crate) fn standing_of(viewer: Viewer, resource: Resource) -> Statement {
    let table = Table::of(resource);
    about(format!("SELECT {} FROM {}", table.standing, table.one(table.visible)), viewer, resource, [])
}

/// Reads the rows of [`standing_of`].
pub(crate) fn read_standing(rows: Vec<Row>) -> Result<Option<Standing>, DatabaseError> {
    #[derive(Deserialize)]
    struct StandingRow {
        standing: Standing,
    }
    let rows: Vec<StandingRow> = typed(rows)?;
    Ok(rows.first().map(|row| row.standing))
}

/// Shares something with a member or a team of its organization, or changes what that allows. Gives the
/// share, or no row if it is not the caller's, if there is nobody with this id, or if it is shared
/// with as many as it can be.
pub(crate) fn share(
    viewer: Viewer,
    resource: Resource,
    grantee_id: &str,
    access: Access,
    now: UnixMillis,
) -> Statement {
    let table = Table::of(resource);
    let sql = format!(
        "INSERT INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at) \
         SELECT {}.id, ?5, ?2, CASE WHEN EXISTS (SELECT 1 FROM teams WHERE id = ?5) THEN 'team' ELSE 'user' END, ?6, ?7 \
         FROM {} AND (EXISTS (SELECT 1 FROM teams WHERE id = ?5 AND organization_id = ?2) \
         OR EXISTS (SELECT 1 FROM memberships WHERE organization_id = ?2 AND user_id = ?5)) \
         AND (SELECT count(*) FROM shares WHERE resource_id = ?1 AND grantee_id <> ?5) < ?8 \
         ON CONFLICT (resource_id, grantee_id) DO UPDATE SET access = excluded.access \
         RETURNING grantee_id, grantee_kind, access, created_at",
        table.name,
        table.one(table.owned)
    );
    let more = [grantee_id.to_param(), access.as_str().to_param(), now.to_param(), MAX_SHARES.to_param()];
    about(sql, viewer, resource, more)
}

/// Ends a share. Gives a row if it was there and what is shared is the caller's.
pub(crate) fn unshare(viewer: Viewer, resource: Resource, grantee_id: &str) -> Statement {
    let table = Table::of(resource);
    let sql = format!(
        "DELETE FROM shares WHERE resource_id = ?1 AND grantee_id = ?5 AND EXISTS (SELECT 1 FROM {}) RETURNING grantee_id",
        table.one(table.owned)
    );
    about(sql, viewer, resource, [grantee_id.to_param()])
}

/// With whom something is shared that may be seen.
pub(crate) fn shares(viewer: Viewer, resource: Resource) -> Statement {
    let table = Table::of(resource);
    let sql = format!(
        "SELECT grantee_id, grantee_kind, access, created_at FROM shares WHERE resource_id = ?1 \
         AND EXISTS (SELECT 1 FROM {}) ORDER BY grantee_id",
        table.one(table.visible)
    );
    about(sql, viewer, resource, [])
}

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

/// Reads the rows of [`share`] and [`shares`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Share>, DatabaseError> {
    typed(rows)
}

/// What [`may!`] and [`owns!`] read at `?3` and `?4`.
fn sight(viewer: Viewer) -> (Param, Param) {
    match viewer.sight {
        Sight::All => ("all".to_param(), Param::Null),
        Sight::Project(id) => ("project".to_param(), id.to_param()),
        Sight::User(id) => ("user".to_param(), id.to_param()),
    }
}
