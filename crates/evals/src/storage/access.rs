//! The right to see or change what people have made: the one condition that says so, the lists of what a viewer
//! sees, and the table `shares`.

use std::fmt;

use bitting_keys::{
    domain::time::UnixMillis,
    ports::{Param, Statement},
    storage::{ToParam, batch::Query},
};

use crate::domain::access::{AccessLevel, Part, Resource, Share, ShareAccess, Sight, Viewer};

/// The most grantees of one thing.
const MAX_SHARES: i64 = 1_000;

/// The columns of a share.
const SHARE: &str = "grantee_id, grantee_kind, access, created_at";

/// A statement in the name of a viewer. Beside the parameters that are given it has `:organization`, `:sight` and
/// `:viewer`, which the conditions of a [`Table`] read.
macro_rules! viewed {
    ($viewer:expr, $sql:expr $(, $name:ident $(: $param:expr)?)* $(,)?) => {
        bitting_keys::storage::by_name(
            &$sql,
            $crate::storage::access::viewer_params($viewer)
                .into_iter()
                .chain([$((
                    stringify!($name),
                    bitting_keys::storage::ToParam::to_param(&bitting_keys::statement!(@ $name $($param)?)),
                )),*])
                .collect(),
        )
    };
}
pub(crate) use viewed;

/// The parameters that the conditions of a [`Table`] read.
pub(crate) fn viewer_params(viewer: Viewer) -> [(&'static str, Param); 3] {
    let (sight, id) = match viewer.sight {
        Sight::All => ("all", Param::Null),
        Sight::Project(id) => ("project", id.to_param()),
        Sight::User(id) => ("user", id.to_param()),
    };
    [("organization", viewer.organization_id.to_param()), ("sight", sight.to_param()), ("viewer", id)]
}

/// A table of what people make and share.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    name: &'static str,
    /// The beginning of its ids.
    prefix: &'static str,
    /// The condition that a row counts, with its `AND`; empty if every row does.
    present: &'static str,
}

/// Data sets.
pub(crate) const DATASETS: Table = Table { name: "datasets", prefix: "ds_", present: " AND ends_at IS NULL" };
/// Evaluations.
pub(crate) const EVALUATIONS: Table = Table { name: "evaluations", prefix: "eval_", present: "" };
/// Live evaluations.
pub(crate) const LIVE_EVALUATIONS: Table = Table { name: "live_evaluations", prefix: "live_", present: "" };

impl Table {
    fn of(resource: Resource) -> Self {
        match resource {
            Resource::Dataset(_) => DATASETS,
            Resource::Evaluation(_) => EVALUATIONS,
            Resource::LiveEvaluation(_) => LIVE_EVALUATIONS,
        }
    }

    /// The condition that the viewer may see a row.
    pub(crate) fn may_see(self) -> String {
        self.permits("")
    }

    /// The condition that the viewer may change a row.
    pub(crate) fn may_change(self) -> String {
        self.permits(" AND s.access = 'write'")
    }

    /// The condition that a row is the viewer's own, or shared with them by a share `s` of which this holds.
    fn permits(self, share: &str) -> String {
        let name = self.name;
        format!(
            "({name}.organization_id = :organization AND CASE :sight \
             WHEN 'all' THEN 1 \
             WHEN 'project' THEN {name}.project_id IS :viewer \
             ELSE {name}.user_id IS :viewer \
             OR EXISTS (SELECT 1 FROM shares s \
             WHERE s.resource_id = {name}.id AND s.grantee_id = :viewer{share}) \
             OR EXISTS (SELECT 1 FROM team_members t JOIN shares s ON s.grantee_id = t.team_id \
             AND s.resource_id = {name}.id \
             WHERE t.organization_id = :organization AND t.user_id = :viewer{share}) END)"
        )
    }

    /// The condition that a row is the viewer's own, so that they may share it.
    fn owns(self) -> String {
        let name = self.name;
        format!(
            "({name}.organization_id = :organization AND CASE :sight \
             WHEN 'all' THEN 1 \
             WHEN 'project' THEN {name}.project_id IS :viewer \
             ELSE {name}.user_id IS :viewer END)"
        )
    }

    /// The column `permission`: the most that the viewer may do with a row that they see, as [`AccessLevel`].
    pub(crate) fn permission(self) -> String {
        let (owns, may_change) = (self.owns(), self.may_change());
        format!("CASE WHEN {owns} THEN 'own' WHEN {may_change} THEN 'write' ELSE 'read' END AS permission")
    }

    /// The condition that a row is `:id`, is present, and that the viewer may see it.
    pub(crate) fn visible(self) -> String {
        self.by_id(&self.may_see())
    }

    /// The condition that a row is `:id`, is present, and that the viewer may change it.
    pub(crate) fn changeable(self) -> String {
        self.by_id(&self.may_change())
    }

    fn by_id(self, condition: &str) -> String {
        let Self { name, present, .. } = self;
        format!("{name}.id = :id{present} AND {condition}")
    }

    /// Selects these columns of a part of the rows that a viewer may see, the newest first, and one row more.
    /// `condition`, with its `AND`, must hold for them.
    pub(crate) fn list<T: fmt::Display>(
        self,
        columns: &str,
        condition: &str,
        viewer: Viewer,
        part: Part<T>,
    ) -> Statement {
        let Self { name, prefix, present } = self;
        // No id lies behind this one.
        let after = part.after.map_or_else(|| format!("{prefix}g"), |id| id.to_string());
        let listed = format!("{present}{condition}");
        let own = |owner: &str| {
            format!(
                "SELECT id FROM {name} WHERE organization_id = :organization{owner} AND id < :after{listed} \
                 ORDER BY id DESC"
            )
        };
        let ids = match viewer.sight {
            Sight::All => format!("{} LIMIT :limit OFFSET :skip", own("")),
            Sight::Project(_) => format!("{} LIMIT :limit OFFSET :skip", own(" AND project_id = :viewer")),
            Sight::User(_) => {
                // A share of something that is not listed must not take the place of another.
                let exists = match listed.as_str() {
                    "" => String::new(),
                    _ => format!(" AND EXISTS (SELECT 1 FROM {name} WHERE id = resource_id{listed})"),
                };
                let shared = |grantee: &str| {
                    format!(
                        "SELECT resource_id FROM shares WHERE grantee_id = {grantee} \
                         AND resource_id < :after AND resource_id >= '{prefix}'{exists} \
                         ORDER BY resource_id DESC LIMIT :limit + :skip"
                    )
                };
                // The newest of the user's own, of those shared with the user, and of those shared with each of
                // their teams; and of all these the newest.
                format!(
                    "SELECT id FROM (SELECT * FROM ({} LIMIT :limit + :skip) \
                     UNION SELECT * FROM ({}) \
                     UNION SELECT value FROM team_members t, \
                     json_each((SELECT json_group_array(resource_id) FROM ({}))) \
                     WHERE t.organization_id = :organization AND t.user_id = :viewer) \
                     ORDER BY id DESC LIMIT :limit OFFSET :skip",
                    own(" AND user_id = :viewer"),
                    shared(":viewer"),
                    shared("t.team_id"),
                )
            }
        };
        let sql = format!(
            "SELECT {columns} FROM {name} WHERE id IN ({ids}) AND organization_id = :organization{listed} \
             ORDER BY id DESC"
        );
        viewed!(viewer, sql, after, limit: part.limit + 1, skip: part.skip)
    }
}

/// The most that a viewer may do with something, if they may see it.
pub(crate) fn permission(viewer: Viewer, resource: Resource) -> Query<Option<AccessLevel>> {
    let table = Table::of(resource);
    let sql = format!("SELECT {} FROM {} WHERE {}", table.permission(), table.name, table.visible());
    Query::scalar(viewed!(viewer, sql, id: resource.to_string()))
}

/// Shares something with a member or a team of its organization, or changes what that allows. Gives the
/// share, or nothing if the viewer does not own what is shared, if there is no such grantee, or if there are
/// [`MAX_SHARES`] others.
pub(crate) fn share(
    viewer: Viewer,
    resource: Resource,
    grantee_id: &str,
    access: ShareAccess,
    now: UnixMillis,
) -> Query<Option<Share>> {
    let table = Table::of(resource);
    let sql = format!(
        "INSERT INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at) \
         SELECT {name}.id, :grantee, :organization, \
         CASE WHEN EXISTS (SELECT 1 FROM teams WHERE id = :grantee) THEN 'team' ELSE 'user' END, :access, :now \
         FROM {name} WHERE {owned} \
         AND (EXISTS (SELECT 1 FROM teams WHERE id = :grantee AND organization_id = :organization) \
         OR EXISTS (SELECT 1 FROM memberships WHERE organization_id = :organization AND user_id = :grantee)) \
         AND (SELECT count(*) FROM shares WHERE resource_id = :id AND grantee_id <> :grantee) < :most \
         ON CONFLICT (resource_id, grantee_id) DO UPDATE SET access = excluded.access \
         RETURNING {SHARE}",
        name = table.name,
        owned = table.by_id(&table.owns()),
    );
    Query::first(viewed!(
        viewer,
        sql,
        id: resource.to_string(),
        grantee: grantee_id,
        access: access.as_str(),
        now,
        most: MAX_SHARES,
    ))
}

/// Ends a share, if the viewer owns what is shared.
pub(crate) fn unshare(viewer: Viewer, resource: Resource, grantee_id: &str) -> Query<bool> {
    let table = Table::of(resource);
    let sql = format!(
        "DELETE FROM shares WHERE resource_id = :id AND grantee_id = :grantee \
         AND EXISTS (SELECT 1 FROM {} WHERE {}) RETURNING grantee_id",
        table.name,
        table.by_id(&table.owns()),
    );
    Query::any(viewed!(viewer, sql, id: resource.to_string(), grantee: grantee_id))
}

/// The shares of something, if the viewer may see it.
pub(crate) fn shares(viewer: Viewer, resource: Resource) -> Query<Vec<Share>> {
    let table = Table::of(resource);
    let sql = format!(
        "SELECT {SHARE} FROM shares WHERE resource_id = :id AND EXISTS (SELECT 1 FROM {} WHERE {}) ORDER BY grantee_id",
        table.name,
        table.visible(),
    );
    Query::rows(viewed!(viewer, sql, id: resource.to_string()))
}
