//! The audit trail: who did what to which key, when, and from where, and who was refused what.

use std::{collections::HashMap, fmt};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    domain::{
        id::{KeyId, OrganizationId, SessionId, UserId},
        time::UnixMillis,
    },
    ports::{DatabaseError, Param, Row, Statement},
    storage::{ToParam, database_now, json_text, statement, typed},
};

/// Who does something, and in which request.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// The key that acts; `None`: the operator.
    pub(crate) key_id: Option<KeyId>,
    /// The user as whom it acts.
    pub(crate) user_id: Option<UserId>,
    /// The session on the settings pages in which it acts.
    pub(crate) session_id: Option<SessionId>,
    /// The request.
    pub(crate) request_id: String,
    /// The address that the platform saw.
    pub(crate) ip: Option<String>,
}

/// What happened to a key, a project or an organization.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The organization in whose trail it stands.
    pub(crate) organization_id: OrganizationId,
    /// The id of what it happened to.
    pub(crate) subject: String,
    /// What happened: `key.created`.
    pub(crate) action: &'static str,
    /// What was set to what; never a secret.
    pub(crate) details: Value,
    /// When.
    pub(crate) at: UnixMillis,
}

impl Event {
    /// An event about what has this id.
    pub(crate) fn new(
        organization_id: OrganizationId,
        subject: impl fmt::Display,
        action: &'static str,
        details: Value,
        at: UnixMillis,
    ) -> Self {
        Self { organization_id, subject: subject.to_string(), action, details, at }
    }
}

/// Until when an event is kept: as its organization says, else as the deployment does. All three are SQL;
/// `$retention` is the deployment's, in milliseconds.
macro_rules! keep_until {
    ($organization:literal, $at:literal, $retention:literal) => {
        concat!(
            $at,
            " + coalesce((SELECT audit_retention_days FROM organizations WHERE organizations.id = ",
            $organization,
            ") * 86400000, ",
            $retention,
            ")"
        )
    };
}
pub(crate) use keep_until;

macro_rules! insert {
    () => {
        concat!(
            "INSERT INTO audit_events (organization_id, subject, action, actor_kind, actor_id, actor_user_id, actor_session_id, ip, \
             request_id, details, refusal, at, keep_until) \
             SELECT ?1, ?2, ?3, CASE WHEN ?4 IS NULL THEN 'operator' ELSE 'key' END, ?4, ?5, ?12, ?6, ?7, ?8, ?9, ?10, ",
            keep_until!("?1", "?10", "?11")
        )
    };
}

/// Writes an event, to be kept for `retention_ms`.
pub(crate) fn record(actor: &Actor, event: &Event, retention_ms: i64) -> Statement {
    insert(insert!(), actor, event, None, retention_ms)
}

/// Writes an event if the statement before it in the batch has changed a row: what did not happen
/// is not recorded.
pub(crate) fn record_if_changed(actor: &Actor, event: &Event, retention_ms: i64) -> Statement {
    insert(concat!(insert!(), " WHERE changes() > 0"), actor, event, None, retention_ms)
}

/// The action of every attempt that was refused.
pub(crate) const REFUSED: &str = "refused";

/// Writes an attempt, whose action is [`REFUSED`], and the code with which it was refused.
pub(crate) fn record_refusal(actor: &Actor, event: &Event, code: &str, retention_ms: i64) -> Statement {
    insert(insert!(), actor, event, Some(code), retention_ms)
}

fn insert(sql: &'static str, actor: &Actor, event: &Event, refusal: Option<&str>, retention_ms: i64) -> Statement {
    statement!(
        sql,
        event.organization_id,
        event.subject,
        event.action,
        actor.key_id,
        actor.user_id,
        actor.ip,
        actor.request_id,
        event.details,
        refusal,
        event.at,
        retention_ms,
        actor.session_id
    )
}

/// An event as it is read back.
#[derive(Debug, Clone, Deserialize)]
pub struct Recorded {
    /// Its number: what is written later has a higher one.
    pub id: i64,
    /// The id of what it happened to.
    pub subject: String,
    /// What happened.
    pub action: String,
    /// `key`, `operator` or `system`.
    pub actor_kind: String,
    /// The key that acted.
    pub actor_id: Option<String>,
    /// The user as whom it acted.
    pub actor_user_id: Option<String>,
    /// The session on the settings pages in which it acted.
    pub actor_session_id: Option<String>,
    /// From where.
    pub ip: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// What was set to what.
    #[serde(deserialize_with = "json_text")]
    pub details: Map<String, Value>,
    /// The code with which an attempt was refused.
    pub refusal: Option<String>,
    /// When.
    pub at: UnixMillis,
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// What happened.
    pub action: Option<String>,
    /// The id of what it happened to.
    pub subject: Option<String>,
    /// The key that acted.
    pub actor_id: Option<KeyId>,
    /// The user as whom it acted.
    pub user_id: Option<UserId>,
    /// From this instant on.
    pub since: Option<UnixMillis>,
    /// Before this instant.
    pub until: Option<UnixMillis>,
    /// Whether attempts that were refused, or what was done; `None`: both.
    pub refused: Option<bool>,
}

/// An organization's events, the newest first, those behind event `after` if it is given; behind one that
/// is not there (any more) there are none. The conditions are put together from what is asked, so that
/// each can use its own index; a `+` keeps one from being preferred to another that finds fewer rows.
pub(crate) fn list(organization_id: OrganizationId, filter: &Filter, after: Option<i64>, limit: i64) -> Statement {
    let mut sql =
        "SELECT id, subject, action, actor_kind, actor_id, actor_user_id, actor_session_id, ip, request_id, details, refusal, at \
                   FROM audit_events WHERE organization_id = ?1"
            .to_owned();
    let mut params = vec![organization_id.to_param()];
    let mut and = |condition: &str, param: Option<Param>| {
        if let Some(param) = param {
            params.push(param);
            sql.push_str(" AND ");
            sql.push_str(&condition.replace("{}", &format!("?{}", params.len())));
        }
    };
    and("subject = {}", filter.subject.as_ref().map(ToParam::to_param));
    and("actor_id = {}", filter.actor_id.as_ref().map(ToParam::to_param));
    and("actor_user_id = {}", filter.user_id.as_ref().map(ToParam::to_param));
    let narrow = filter.subject.is_some() || filter.actor_id.is_some() || filter.user_id.is_some();
    let of_kind = if narrow { "+action = {}" } else { "action = {}" };
    and(of_kind, filter.action.as_ref().map(ToParam::to_param));
    // Every refused attempt has this action, and so an index.
    let refused = if filter.refused == Some(false) { "action <> {}" } else { of_kind };
    and(refused, filter.refused.map(|_| REFUSED.to_param()));
    and("at >= {}", filter.since.as_ref().map(ToParam::to_param));
    let until = if after.is_some() { "+at < {}" } else { "at < {}" };
    and(until, filter.until.as_ref().map(ToParam::to_param));
    let behind = "(at, id) < (SELECT at, id FROM audit_events WHERE id = {} AND organization_id = ?1)";
    and(behind, after.as_ref().map(ToParam::to_param));
    params.push(limit.to_param());
    Statement { sql: format!("{sql} ORDER BY at DESC, id DESC LIMIT ?{}", params.len()), params }
}

/// Reads the rows of [`list()`].
pub(crate) fn read(rows: Vec<Row>) -> Result<Vec<Recorded>, DatabaseError> {
    typed(rows)
}

/// The names of those keys, people, teams and projects of the organization of which the events of a [`list()`] speak.
pub(crate) fn names(list: Statement) -> Statement {
    let Statement { sql: list, params } = list;
    let sql = format!(
        "WITH listed AS MATERIALIZED ({list}), listed_ids AS MATERIALIZED (SELECT subject AS id FROM listed \
         UNION SELECT actor_id FROM listed UNION SELECT actor_user_id FROM listed \
         UNION SELECT value FROM listed, json_each(details) WHERE type = 'text') \
         SELECT id, name FROM keys WHERE organization_id = ?1 AND id IN (SELECT id FROM listed_ids) \
         UNION ALL SELECT user_id, email FROM memberships JOIN users ON users.id = user_id \
         WHERE organization_id = ?1 AND user_id IN (SELECT id FROM listed_ids) \
         UNION ALL SELECT id, name FROM teams WHERE organization_id = ?1 AND id IN (SELECT id FROM listed_ids) \
         UNION ALL SELECT id, name FROM projects WHERE organization_id = ?1 AND id IN (SELECT id FROM listed_ids)"
    );
    Statement { sql, params }
}

/// Reads the rows of [`names`]: names by ids; of a person the address.
pub(crate) fn read_names(rows: Vec<Row>) -> Result<HashMap<String, String>, DatabaseError> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
        name: String,
    }
    let rows: Vec<Named> = typed(rows)?;
    Ok(rows.into_iter().map(|named| (named.id, named.name)).collect())
}

/// Deletes events that need not be kept any longer, at most `limit`; gives one row for each. The database's
/// own clock says so, as in the trigger that would refuse the others.
pub(crate) fn prune(limit: i64) -> Statement {
    statement!(
        concat!(
            "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events WHERE keep_until <= ",
            database_now!(),
            " ORDER BY keep_until LIMIT ?1) RETURNING id"
        ),
        limit
    )
}
