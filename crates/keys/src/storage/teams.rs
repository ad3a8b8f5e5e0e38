//! Teams and their members.

use crate::{
    domain::{
        expected::Expected,
        id::{KeyId, OrganizationId, TeamId, UserId},
        key::Name,
        page::Page,
        person::{Team, TeamMember},
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{AS_EXPECTED, NEXT_VERSION, batch::Query, idempotency::SUBJECT},
};

/// The columns of a [`Team`].
const COLUMNS: &str = "id, name, created_at, max(created_at, updated_at) AS updated_at";

/// The columns of a [`TeamMember`].
const MEMBER_COLUMNS: &str = "user_id, created_at AS added_at";

/// The insertion of a new team. It returns the team, or no row if another team has this name.
pub fn insert(organization_id: OrganizationId, team: &Team) -> Query<Option<Team>> {
    let sql = format!(
        "INSERT INTO teams (id, organization_id, name, created_at) \
         SELECT :id, id, :name, :created_at FROM organizations WHERE id = :organization_id \
         ON CONFLICT (organization_id, name) DO NOTHING RETURNING {COLUMNS}"
    );
    Query::first(statement!(sql, id: team.id, organization_id, name: team.name, created_at: team.created_at))
}

/// The team that the caller created under an Idempotency-Key.
pub fn created_by_request(key_id: KeyId, digest: &str) -> Query<Option<Team>> {
    Query::first(statement!(format!("SELECT {COLUMNS} FROM teams WHERE id = {SUBJECT}"), key_id, digest))
}

/// A page of an organization's teams, newest first; only those of the user `member`, if it is present.
pub fn list(
    organization_id: OrganizationId,
    member: Option<UserId>,
    before: Option<TeamId>,
    limit: i64,
) -> Query<Page<Team>> {
    let list = match member {
        None => statement!(
            "SELECT id, name, created_at, max(created_at, updated_at) AS updated_at FROM teams \
             WHERE organization_id = :organization_id AND id < coalesce(:before, '~') ORDER BY id DESC LIMIT :limit",
            organization_id,
            before,
            limit: limit + 1
        ),
        Some(user_id) => statement!(
            "SELECT id, name, teams.created_at, max(teams.created_at, updated_at) AS updated_at FROM team_members AS place CROSS JOIN teams ON id = team_id \
             WHERE place.organization_id = :organization_id AND user_id = :user_id \
             AND team_id < coalesce(:before, '~') ORDER BY team_id DESC LIMIT :limit",
            organization_id,
            user_id,
            before,
            limit: limit + 1
        ),
    };
    Query::page(list, limit, &["name"])
}

/// One team; only if the user `member`, if present, is in it.
pub fn get(organization_id: OrganizationId, id: TeamId, member: Option<UserId>) -> Query<Option<Team>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM teams WHERE id = :id AND organization_id = :organization_id \
         AND (:user_id IS NULL OR EXISTS (SELECT 1 FROM team_members WHERE team_id = :id AND user_id = :user_id))"
    );
    Query::first(statement!(sql, organization_id, id, user_id: member))
}

/// Renames a team. Returns the team after the change, or no row if it does not exist, is not as expected, or another
/// team has this name.
pub fn rename(
    organization_id: OrganizationId,
    id: TeamId,
    name: &Name,
    expected: Expected,
    now: UnixMillis,
) -> Query<Option<Team>> {
    let sql = format!(
        "UPDATE teams SET name = :name, {NEXT_VERSION} WHERE id = :id AND organization_id = :organization_id \
         AND {AS_EXPECTED} \
         AND NOT EXISTS (SELECT 1 FROM teams AS other \
         WHERE other.organization_id = :organization_id AND other.name = :name AND other.id <> :id) \
         RETURNING {COLUMNS}"
    );
    Query::first(statement!(sql, organization_id, id, name, expected: expected.version, now))
}

/// Removes all members of a team.
pub fn empty(organization_id: OrganizationId, id: TeamId) -> Statement {
    let sql = "DELETE FROM team_members WHERE team_id = :id AND organization_id = :organization_id";
    statement!(sql, organization_id, id)
}

/// Deletes an empty team and tells whether it existed.
pub fn delete(organization_id: OrganizationId, id: TeamId) -> Query<bool> {
    let sql = "DELETE FROM teams WHERE id = :id AND organization_id = :organization_id RETURNING id";
    Query::any(statement!(sql, organization_id, id))
}

/// The first members of a team.
pub fn members(organization_id: OrganizationId, id: TeamId, limit: i64) -> Query<Vec<TeamMember>> {
    let sql = format!(
        "SELECT {MEMBER_COLUMNS} FROM team_members WHERE team_id = :id AND organization_id = :organization_id \
         ORDER BY user_id LIMIT :limit"
    );
    Query::rows(statement!(sql, organization_id, id, limit))
}

/// True if this user is in a team.
pub fn has_member(organization_id: OrganizationId, id: TeamId, user_id: UserId) -> Query<bool> {
    let sql = "SELECT 1 FROM team_members \
               WHERE team_id = :id AND user_id = :user_id AND organization_id = :organization_id";
    Query::any(statement!(sql, organization_id, id, user_id))
}

/// Adds a member of the organization to a team, unless they are already in it or it has `most` members.
pub fn add(
    organization_id: OrganizationId,
    id: TeamId,
    user_id: UserId,
    most: i64,
    created_at: UnixMillis,
) -> Statement {
    statement!(
        "INSERT INTO team_members (team_id, user_id, organization_id, created_at) \
         SELECT teams.id, user_id, memberships.organization_id, :created_at \
         FROM teams JOIN memberships ON memberships.organization_id = teams.organization_id AND user_id = :user_id \
         WHERE teams.id = :id AND teams.organization_id = :organization_id \
         AND (SELECT count(*) FROM team_members WHERE team_id = :id) < :most \
         ON CONFLICT (team_id, user_id) DO NOTHING",
        organization_id,
        id,
        user_id,
        most,
        created_at
    )
}

/// Removes a member from a team and tells whether they were in it.
pub fn remove(organization_id: OrganizationId, id: TeamId, user_id: UserId) -> Query<bool> {
    let sql = "DELETE FROM team_members \
               WHERE team_id = :id AND user_id = :user_id AND organization_id = :organization_id RETURNING user_id";
    Query::any(statement!(sql, organization_id, id, user_id))
}

/// Removes a user who is no longer a member of the organization from all its teams.
pub fn remove_from_all(organization_id: OrganizationId, user_id: UserId) -> Statement {
    statement!(
        "DELETE FROM team_members WHERE organization_id = :organization_id AND user_id = :user_id \
         AND NOT EXISTS (SELECT 1 FROM memberships WHERE organization_id = :organization_id AND user_id = :user_id)",
        organization_id,
        user_id
    )
}
