//! Memberships and the users behind them.

use serde_json::Value;

use crate::{
    domain::{
        expected::Expected,
        id::{OrganizationId, UserId},
        key::Role,
        lock_out::LASTING_MS,
        page::Page,
        person::{Email, Member, Membership, Owner, RoleRemoval},
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{
        AS_EXPECTED, NEXT_VERSION,
        batch::Query,
        keys::{WORKS, another_stays, kept},
    },
};

/// The members of an organization.
const SELECT: &str = "SELECT user_id, email, role, memberships.created_at AS joined_at, \
    max(memberships.created_at, updated_at) AS updated_at \
    FROM memberships JOIN users ON users.id = user_id WHERE organization_id = :organization_id";

/// The condition that the membership of `:user_id` is the only owner's.
const LAST_OWNER: &str = "memberships.role = 'owner' AND NOT EXISTS (SELECT 1 FROM memberships AS other \
    WHERE other.organization_id = :organization_id AND other.role <> 'member' AND other.role = 'owner' \
    AND other.user_id <> :user_id)";

/// The condition that a role may be taken from a member: it is one of `:roles`, a JSON array, it is not the only
/// owner's, and for each kind of key that the organization keeps, the member has none that works at `:now`, or another
/// key stays. `:force` and the condition `unless` override the last part.
pub fn may_lose_role(unless: &str) -> String {
    let may_lose = |kept: &str| {
        let own =
            format!("FROM keys WHERE organization_id = :organization_id AND user_id = :user_id AND {WORKS} AND {kept}");
        // The end of the last of the member's keys.
        let until = format!("(SELECT CASE WHEN count(*) = count(expires_at) THEN max(expires_at) END {own})");
        format!("(NOT EXISTS (SELECT 1 {own}) OR {})", another_stays(kept, &until, "", " AND user_id <> :user_id"))
    };
    let [managing, full] = kept();
    format!(
        "organization_id = :organization_id AND user_id = :user_id AND role IN (SELECT value FROM json_each(:roles)) \
         AND NOT ({LAST_OWNER}) AND (:force OR {unless} OR memberships.role = 'member' \
         OR ({} AND {}))",
        may_lose(&managing),
        may_lose(&full)
    )
}

/// A page of an organization's members, newest first; only the member `only`, if it is present.
pub fn list(
    organization_id: OrganizationId,
    only: Option<UserId>,
    before: Option<UserId>,
    limit: i64,
) -> Query<Page<Member>> {
    let sql = format!(
        "{SELECT} AND user_id < coalesce(:before, '~') AND (:only IS NULL OR user_id = :only) \
         ORDER BY user_id DESC LIMIT :limit"
    );
    Query::page(statement!(sql, organization_id, only, before, limit: limit + 1), limit, &["email"])
}

/// One member.
pub fn get(organization_id: OrganizationId, user_id: UserId) -> Query<Option<Member>> {
    Query::first(statement!(format!("{SELECT} AND user_id = :user_id"), organization_id, user_id))
}

/// True if a person with this address is a member.
pub fn is_member(organization_id: OrganizationId, email: &Email) -> Query<bool> {
    Query::any(statement!(format!("{SELECT} AND email = :email"), organization_id, email))
}

/// The memberships of the users with this address, newest first.
pub fn memberships(email: &Email) -> Query<Vec<Membership>> {
    let sql = "SELECT organization_id, organizations.name AS organization, user_id, role FROM users \
               JOIN memberships ON user_id = users.id JOIN organizations ON organizations.id = organization_id \
               WHERE email = :email AND suspended_at IS NULL ORDER BY users.id DESC LIMIT 100";
    Query::rows(statement!(sql, email))
}

/// An owner of the operator's own organization: the one with this address, or without one the first.
pub fn operators_owner(email: Option<&Email>) -> Query<Option<Owner>> {
    let sql = "SELECT organization_id, user_id, email FROM organizations \
               JOIN memberships ON organization_id = organizations.id JOIN users ON users.id = user_id \
               WHERE operator = 1 AND role = 'owner' AND role <> 'member' AND (:email IS NULL OR email = :email) \
               ORDER BY user_id LIMIT 1";
    Query::first(statement!(sql, email))
}

/// True if this user is the organization's only owner.
pub fn is_last_owner(organization_id: OrganizationId, user_id: UserId) -> Query<bool> {
    let sql = format!(
        "SELECT 1 FROM memberships WHERE organization_id = :organization_id AND user_id = :user_id AND {LAST_OWNER}"
    );
    Query::any(statement!(sql, organization_id, user_id))
}

/// Changes a member's role, if the old one is among those that the caller may take, and other members still own the
/// organization and can manage its keys. A higher role comes from a caller without an end, so it has none either.
pub fn set_role(
    organization_id: OrganizationId,
    user_id: UserId,
    role: Role,
    removal: &RoleRemoval,
    expected: Expected,
    now: UnixMillis,
) -> Statement {
    let rank = "instr('member admin owner', :role) > instr('member admin owner', role)";
    let sql = format!(
        "UPDATE memberships SET role = :role, key_expires_at = CASE WHEN {rank} THEN NULL ELSE key_expires_at END, \
             {NEXT_VERSION} WHERE {AS_EXPECTED} AND role <> :role AND {}",
        may_lose_role(":role <> 'member'")
    );
    let (roles, lasting) = (names(&removal.roles), now.plus_ms(LASTING_MS));
    let expected = expected.version;
    statement!(sql, organization_id, user_id, role, roles, force: removal.force, expected, lasting, now)
}

/// Deletes a membership and thereby ends all the user's keys, by the one row of the feed that the schema's trigger
/// writes; under the same conditions as [`set_role`].
pub fn remove(organization_id: OrganizationId, user_id: UserId, removal: &RoleRemoval, now: UnixMillis) -> Statement {
    let sql = format!("DELETE FROM memberships WHERE {}", may_lose_role("false"));
    let (roles, lasting) = (names(&removal.roles), now.plus_ms(LASTING_MS));
    statement!(sql, organization_id, user_id, roles, force: removal.force, lasting, now)
}

/// The roles as a JSON array.
pub fn names(roles: &[Role]) -> Value {
    roles.iter().map(|role| role.as_str()).collect()
}
