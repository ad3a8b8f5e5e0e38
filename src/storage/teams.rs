//! Teams and who is in them.

use crate::{
    domain::{
        id::{KeyId, OrganizationId, TeamId, UserId},
        key::Name,
        person::{Team, TeamMember},
        time::UnixMillis,
    },
    ports::{DatabaseError, Row, Statement},
    storage::{idempotency::subject, statement, typed},
};

/// A new team's row; gives it, or no row if another has this name.
pub(crate) fn insert(organization_id: OrganizationId, team: &Team) -> Statement {
    statement!(
        "INSERT INTO teams (id, organization_id, name, created_at) SELECT ?1, id, ?3, ?4 FROM organizations WHERE id = ?2 \
         ON CONFLICT (organization_id, name) DO NOTHING RETURNING id, name, created_at",
        team.id,
        organization_id,
        team.name.as_str(),
        team.created_at
    )
}

/// The team that was made under an Idempotency-Key, which is the caller's own.
pub(crate) fn made(by: KeyId, digest: &str) -> Statement {
    statement!(concat!("SELECT id, name, created_at FROM teams WHERE id = ", subject!()), by, digest)
}

/// A page of an organization's teams, the newest first; those alone that this user is in, if one is given.
pub(crate) fn list(
    organization_id: OrganizationId,
    of: Option<UserId>,
    before: Option<TeamId>,
    limit: i64,
) -> Statement {
    let sql = match of {
        None => {
            "SELECT id, name, created_at FROM teams WHERE organization_id = ?1 AND id < coalesce(?3, '~') AND ?2 IS NULL \
             ORDER BY id DESC LIMIT ?4"
        }
        Some(_) => {
            "SELECT id, name, teams.created_at FROM team_members AS place CROSS JOIN teams ON id = team_id \
             WHERE place.organization_id = ?1 AND user_id = ?2 AND team_id < coalesce(?3, '~') \
             ORDER BY team_id DESC LIMIT ?4"
        }
    };
    statement!(sql, organization_id, of, before, limit)
}

/// One team; for a user who is in it alone, if one is given.
pub(crate) fn get(organization_id: OrganizationId, id: TeamId, of: Option<UserId>) -> Statement {
    statement!(
        "SELECT id, name, created_at FROM teams WHERE id = ?2 AND organization_id = ?1 \
         AND (?3 IS NULL OR EXISTS (SELECT 1 FROM team_members WHERE team_id = ?2 AND user_id = ?3))",
        organization_id,
        id,
        of
    )
}

/// Renames a team; gives it as it is then, or no row if there is none or another has this name.
pub(crate) fn rename(organization_id: OrganizationId, id: TeamId, name: &Name) -> Statement {
    statement!(
        "UPDATE teams SET name = ?3 WHERE id = ?2 AND organization_id = ?1 AND NOT EXISTS (SELECT 1 FROM teams AS other \
         WHERE other.organization_id = ?1 AND other.name = ?3 AND other.id <> ?2) RETURNING id, name, created_at",
        organization_id,
        id,
        name.as_str()
    )
}

/// Reads the rows of all of these.
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Team>, DatabaseError> {
    typed(rows)
}

/// Empties a team.
pub(crate) fn empty(organization_id: OrganizationId, id: TeamId) -> Statement {
    statement!("DELETE FROM team_members WHERE team_id = ?2 AND organization_id = ?1", organization_id, id)
}

/// Ends an empty team; gives a row if it was there.
pub(crate) fn delete(organization_id: OrganizationId, id: TeamId) -> Statement {
    statement!("DELETE FROM teams WHERE id = ?2 AND organization_id = ?1 RETURNING id", organization_id, id)
}

/// The first people of a team.
pub(crate) fn members(organization_id: OrganizationId, id: TeamId, limit: i64) -> Statement {
    statement!(
        "SELECT user_id, created_at AS added_at FROM team_members WHERE team_id = ?2 AND organization_id = ?1 \
         ORDER BY user_id LIMIT ?3",
        organization_id,
        id,
        limit
    )
}

/// One of a team's people.
pub(crate) fn member(organization_id: OrganizationId, id: TeamId, user_id: UserId) -> Statement {
    statement!(
        "SELECT user_id, created_at AS added_at FROM team_members \
         WHERE team_id = ?2 AND user_id = ?3 AND organization_id = ?1",
        organization_id,
        id,
        user_id
    )
}

/// Reads the rows of [`members`] and [`member`].
pub(crate) fn read_members(rows: Vec<Row>) -> Result<Vec<TeamMember>, DatabaseError> {
    typed(rows)
}

/// Puts a member of the organization into a team, unless he is in it or it has `most` people.
pub(crate) fn add(
    organization_id: OrganizationId,
    id: TeamId,
    user_id: UserId,
    most: i64,
    now: UnixMillis,
) -> Statement {
    statement!(
        "INSERT INTO team_members (team_id, user_id, organization_id, created_at) \
         SELECT teams.id, user_id, memberships.organization_id, ?5 \
         FROM teams JOIN memberships ON memberships.organization_id = teams.organization_id AND user_id = ?3 \
         WHERE teams.id = ?2 AND teams.organization_id = ?1 \
         AND (SELECT count(*) FROM team_members WHERE team_id = ?2) < ?4 \
         ON CONFLICT (team_id, user_id) DO NOTHING",
        organization_id,
        id,
        user_id,
        most,
        now
    )
}

/// Takes somebody out of a team; gives a row if he was in it.
pub(crate) fn remove(organization_id: OrganizationId, id: TeamId, user_id: UserId) -> Statement {
    statement!(
        "DELETE FROM team_members WHERE team_id = ?2 AND user_id = ?3 AND organization_id = ?1 RETURNING user_id",
        organization_id,
        id,
        user_id
    )
}

/// Takes somebody who is no longer a member out of all the organization's teams.
pub(crate) fn remove_from_all(organization_id: OrganizationId, user_id: UserId) -> Statement {
    statement!(
        "DELETE FROM team_members WHERE organization_id = ?1 AND user_id = ?2 \
         AND NOT EXISTS (SELECT 1 FROM memberships WHERE organization_id = ?1 AND user_id = ?2)",
        organization_id,
        user_id
    )
}
