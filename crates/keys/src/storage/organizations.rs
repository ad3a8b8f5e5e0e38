//! Organizations, users and memberships.

use crate::{
    domain::{
        expected::Expected,
        id::{KeyId, OrganizationId, UserId},
        key::Role,
        organization::{Organization, OrganizationChange},
        page::Page,
        person::Email,
        quota::Quota,
        time::UnixMillis,
    },
    ports::Statement,
    statement,
    storage::{AS_EXPECTED, NEXT_VERSION, batch::Query, idempotency::SUBJECT, json},
};

/// Selects [`Organization`]s.
fn select() -> String {
    let list = |entry: fn(&str) -> String| {
        let entries: Vec<String> = Quota::ALL.iter().map(|quota| entry(quota.as_str())).collect();
        entries.join(", ")
    };
    format!(
        "SELECT id, name, suspended_at, created_at, default_expiry_days, longest_expiry_days, max_keys_per_user, \
         subscription, credits, audit_retention_days, trace_retention_days, \
         max(created_at, updated_at) AS updated_at, on_leak, json_object({}) AS quotas, \
         (SELECT json_object({}) FROM quotas LEFT JOIN usage ON usage.organization_id = quotas.organization_id \
         WHERE quotas.organization_id = organizations.id) AS usage FROM organizations",
        list(|name| format!("'{name}', max_{name}")),
        list(|name| format!("'{name}', json_object('used', coalesce(usage.{name}, 0), 'limit', quotas.{name})")),
    )
}

/// The insertion of a new organization. Only one can be the operator's own: a unique index refuses a second one, and its
/// whole batch with it.
pub fn insert(organization: &Organization, operator: bool) -> Statement {
    statement!(
        "INSERT INTO organizations (id, name, operator, created_at) VALUES (:id, :name, :operator, :created_at)",
        id: organization.id,
        name: organization.name,
        operator,
        created_at: organization.created_at
    )
}

/// The insertion of a new user.
pub fn insert_user(id: UserId, email: &Email, created_at: UnixMillis) -> Statement {
    let sql = "INSERT INTO users (id, email, created_at) VALUES (:id, :email, :created_at)";
    statement!(sql, id, email, created_at)
}

/// Makes a user a member.
pub fn insert_membership(
    organization_id: OrganizationId,
    user_id: UserId,
    role: Role,
    created_at: UnixMillis,
) -> Statement {
    statement!(
        "INSERT INTO memberships (organization_id, user_id, role, created_at) \
         VALUES (:organization_id, :user_id, :role, :created_at)",
        organization_id,
        user_id,
        role,
        created_at
    )
}

/// One organization.
pub fn get(id: OrganizationId) -> Query<Option<Organization>> {
    Query::first(statement!(format!("{} WHERE id = :id", select()), id))
}

/// True if the organization exists.
pub fn exists(id: OrganizationId) -> Query<bool> {
    Query::any(statement!("SELECT 1 FROM organizations WHERE id = :id", id))
}

/// The organization of the key that the caller created under an Idempotency-Key.
pub fn created_by_request(key_id: KeyId, digest: &str) -> Query<Option<Organization>> {
    let sql = format!("{} WHERE id = (SELECT organization_id FROM keys WHERE id = {SUBJECT})", select());
    Query::first(statement!(sql, key_id, digest))
}

/// The newest organizations, older than `before` if it is present.
pub fn list(before: Option<OrganizationId>, limit: i64) -> Query<Page<Organization>> {
    // Ids are hexadecimal, so they all sort before the letter g.
    let sql = format!("{} WHERE id < coalesce(:before, 'g') ORDER BY id DESC LIMIT :limit", select());
    Query::page(statement!(sql, before, limit: limit + 1), limit, &["name"])
}

/// The new value of a setting: the parameter of its name, if `:sets_…` is true.
fn after(column: &str) -> String {
    format!("CASE WHEN :sets_{column} THEN :{column} ELSE {column} END")
}

/// Changes the fields that are not `None`. Tells whether it did: not if the organization does not exist, is not as
/// expected, or if its default expiry would become longer than its longest.
pub fn update(id: OrganizationId, change: &OrganizationChange, expected: Expected, now: UnixMillis) -> Query<bool> {
    let settings = [
        "default_expiry_days",
        "longest_expiry_days",
        "max_keys_per_user",
        "audit_retention_days",
        "trace_retention_days",
        "credits",
    ];
    let settings = settings.iter().map(|column| format!("{column} = {}", after(column)));
    let quotas = Quota::ALL.iter().map(|quota| {
        let name = quota.as_str();
        format!("max_{name} = CASE WHEN json_type(:quotas, '$.{name}') IS NULL THEN max_{name} ELSE :quotas ->> '$.{name}' END")
    });
    let settings: Vec<String> = settings.chain(quotas).collect();
    let sql = format!(
        "UPDATE organizations SET name = coalesce(:name, name), {}, \
         suspended_at = CASE :suspended WHEN 1 THEN coalesce(suspended_at, :now) WHEN 0 THEN NULL \
         ELSE suspended_at END, \
         subscription = coalesce(:subscription, subscription), on_leak = coalesce(:on_leak, on_leak), {NEXT_VERSION} \
         WHERE id = :id AND {AS_EXPECTED} AND coalesce({} <= {}, 1) RETURNING id",
        settings.join(", "),
        after("default_expiry_days"),
        after("longest_expiry_days")
    );
    Query::any(statement!(
        sql,
        id,
        name: change.name,
        sets_default_expiry_days: change.default_expiry_days.is_some(),
        default_expiry_days: change.default_expiry_days.flatten(),
        sets_longest_expiry_days: change.longest_expiry_days.is_some(),
        longest_expiry_days: change.longest_expiry_days.flatten(),
        sets_max_keys_per_user: change.max_keys_per_user.is_some(),
        max_keys_per_user: change.max_keys_per_user.flatten(),
        sets_audit_retention_days: change.audit_retention_days.is_some(),
        audit_retention_days: change.audit_retention_days.flatten(),
        sets_trace_retention_days: change.trace_retention_days.is_some(),
        trace_retention_days: change.trace_retention_days.flatten(),
        sets_credits: change.credits.is_some(),
        credits: change.credits.flatten(),
        suspended: change.suspended,
        subscription: change.subscription,
        on_leak: change.on_leak,
        quotas: json(&change.quotas),
        expected: expected.version,
        now
    ))
}
