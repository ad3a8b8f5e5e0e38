//! Lines of descent: the preview of what ends with a key or a person, and the statements that end it.
//!
//! Keys that end so are revoked, all in one statement. They share one row of the feed; see the trigger
//! `keys_ended_with`, which also deletes their invitations and links. Their sessions are closed from then on, because
//! no session is open whose parent has ended so. Sessions that a person's links began without a key have no such parent,
//! so they are deleted, and the invitations that were created in them.

use serde_json::json;

use crate::{
    domain::{
        audit::{Actor, Retention},
        id::UserId,
        key::Key,
        lineage::{Descendants, Line, MAX_DESCENDANTS, MAX_LISTED, Root},
        lock_out::LASTING_MS,
        person::RoleRemoval,
        session::IDLE_MS,
    },
    ports::Statement,
    storage::{
        Conditions,
        audit::{keep_until, trails},
        batch::Query,
        keys::{COLUMNS, STANDING, WORKS, another_stays, kept, read_all},
        people::{may_lose_role, names},
    },
};

/// The table expressions of a line: `lineage`, the ids of the root's keys and of all that descend from them, and `begun`,
/// those of other people's sessions without a key that began with a link of the root or of such a session. Of both there
/// is one more than may end. `UNION`, of which D1 takes five terms, drops what was found before, so even a circle that
/// somebody made by hand has an end.
fn lineage(root: Root) -> String {
    let (sessions, base, others) = match root {
        Root::Key(_) => (
            "SELECT NULL WHERE false",
            "SELECT id FROM keys WHERE id = :root AND organization_id = :organization_id",
            "",
        ),
        Root::User(_) => (
            "SELECT id FROM sessions WHERE organization_id = :organization_id AND created_by_user = :root \
             AND created_by_user IS NOT NULL AND key_id IS NULL AND user_id IS NOT :root \
             UNION SELECT next.id FROM begun CROSS JOIN sessions AS next ON next.created_by = begun.id \
             AND next.organization_id = :organization_id AND next.key_id IS NULL AND next.user_id IS NOT :root \
             LIMIT :most + 1",
            "SELECT id FROM keys WHERE organization_id = :organization_id AND user_id = :root UNION \
             SELECT id FROM keys WHERE organization_id = :organization_id AND created_by_user = :root \
             AND created_by_user IS NOT NULL AND user_id IS NULL UNION \
             SELECT id FROM keys WHERE organization_id = :organization_id AND linked_by_user = :root \
             AND linked_by_user IS NOT NULL AND user_id IS NULL UNION \
             SELECT keys.id FROM (SELECT id FROM begun UNION ALL SELECT trusts.id FROM begun CROSS JOIN trusts \
             ON trusts.organization_id = :organization_id AND trusts.created_by = begun.id) AS maker \
             CROSS JOIN keys ON keys.organization_id = :organization_id AND keys.created_by = maker.id \
             AND keys.created_by IS NOT NULL WHERE keys.user_id IS NULL",
            " AND (child.user_id IS NULL OR child.user_id = :root)",
        ),
        Root::Trust(_) => (
            "SELECT NULL WHERE false",
            "SELECT id FROM keys WHERE trust_id = :root AND trust_id IS NOT NULL AND expires_at > :now \
             AND organization_id = :organization_id",
            "",
        ),
    };
    format!(
        "WITH RECURSIVE begun (id) AS ({sessions}), \
         lineage (id) AS ({base} UNION SELECT child.id FROM lineage CROSS JOIN keys AS child \
         ON child.parent_id = lineage.id AND child.organization_id = :organization_id{others} LIMIT :most + 1)"
    )
}

/// The ids of the sessions that end with the root.
const SESSIONS: &str = "SELECT sessions.id FROM lineage CROSS JOIN sessions ON sessions.parent_id = lineage.id \
    UNION SELECT id FROM begun";

/// The ids of the invitations that end with the root.
const INVITATIONS: &str = "SELECT invitations.id FROM lineage CROSS JOIN invitations \
    ON invitations.parent_id = lineage.id \
    UNION SELECT invitations.id FROM begun CROSS JOIN invitations ON invitations.created_by = begun.id";

/// The digests of the links that end with the root.
const LINKS: &str = "SELECT digest FROM lineage CROSS JOIN sign_in_links ON sign_in_links.parent_id = lineage.id \
    UNION SELECT digest FROM begun CROSS JOIN sign_in_links ON sign_in_links.session_id = begun.id";

/// The ids of the trusts that end with the root.
fn trusts(root: Root) -> &'static str {
    match root {
        Root::Key(_) => "SELECT trusts.id FROM lineage CROSS JOIN trusts ON trusts.parent_id = lineage.id",
        Root::User(_) => {
            "SELECT trusts.id FROM lineage CROSS JOIN trusts ON trusts.parent_id = lineage.id \
             UNION SELECT id FROM trusts WHERE organization_id = :organization_id \
             AND (created_by_user = :root OR linked_by_user = :root OR created_by IN (SELECT id FROM begun))"
        }
        Root::Trust(_) => {
            "SELECT :root AS id UNION SELECT trusts.id FROM lineage CROSS JOIN trusts ON trusts.parent_id = lineage.id"
        }
    }
}

/// The condition that a key, `keys`, is the root or its own.
fn is_root(root: Root) -> &'static str {
    match root {
        Root::Key(_) => "keys.id = :root",
        Root::User(_) => "keys.user_id IS :root",
        Root::Trust(_) => "false",
    }
}

/// The condition that more descends from the root than may end at once.
const TOO_MANY: &str = "((SELECT count(*) FROM lineage) > :most OR (SELECT count(*) FROM begun) > :most)";

/// The condition that the caller lacks the role or the reach for something that would end with the root.
fn beyond(root: Root) -> String {
    let lacks = |table: &str| {
        format!(
            "({table}.role NOT IN (SELECT value FROM json_each(:own_roles)) \
             OR NOT (:reaches_all OR coalesce({table}.user_id = :reached_user_id, 0)))"
        )
    };
    format!(
        "(EXISTS (SELECT 1 FROM lineage CROSS JOIN keys ON keys.id = lineage.id \
         WHERE keys.revoked_at IS NULL AND NOT {} AND {}) \
         OR EXISTS (SELECT 1 FROM ({SESSIONS}) AS ending CROSS JOIN sessions ON sessions.id = ending.id \
         WHERE sessions.key_id IS NULL AND sessions.expires_at > :now AND {}))",
        is_root(root),
        lacks("keys"),
        lacks("sessions")
    )
}

/// The condition that no other key can stand in for those that would end.
fn locks_out(root: Root) -> String {
    let people = match root {
        Root::Key(_) | Root::Trust(_) => "",
        Root::User(_) => " AND user_id <> :root",
    };
    let lost = |kept: &str| {
        let ending = format!("FROM lineage CROSS JOIN keys ON keys.id = lineage.id WHERE {WORKS} AND {kept}");
        let until = format!("(SELECT CASE WHEN count(*) = count(expires_at) THEN max(expires_at) END {ending})");
        let stays = another_stays(kept, &until, " AND id NOT IN (SELECT id FROM lineage)", people);
        format!("(EXISTS (SELECT 1 {ending}) AND NOT {stays})")
    };
    let [managing, full] = kept();
    format!("({} OR {})", lost(&managing), lost(&full))
}

/// The condition that the root may end with its descendants.
fn may_end(root: Root) -> String {
    format!("NOT {TOO_MANY} AND NOT {} AND (:force OR NOT {})", beyond(root), locks_out(root))
}

/// The statement with the parameters of a line.
fn statement(line: &Line, sql: &str, more: impl FnOnce(&mut Conditions)) -> Statement {
    let root = match line.root {
        Root::Key(id) => id.to_string(),
        Root::User(id) => id.to_string(),
        Root::Trust(id) => id.to_string(),
    };
    let mut params = Conditions::new("", "root", root);
    params.with("organization_id", line.organization_id);
    params.with("own_roles", names(&line.roles));
    params.with("reaches_all", line.reaches_all);
    params.with("reached_user_id", line.reached_user_id);
    params.with("force", line.force);
    params.with("lasting", line.now.plus_ms(LASTING_MS));
    params.with("now", line.now);
    // Every statement asks for this one, and D1 takes no parameters beyond the last that is asked for.
    params.with("most", MAX_DESCENDANTS);
    more(&mut params);
    params.statement(sql)
}

/// The numbers of what ends with the root, and whether it may.
pub fn count(line: &Line) -> Query<Option<Descendants>> {
    let sql = format!(
        "{} SELECT (SELECT count(*) FROM lineage CROSS JOIN keys ON keys.id = lineage.id \
         WHERE keys.revoked_at IS NULL AND NOT {}) AS keys, \
         (SELECT count(*) FROM ({INVITATIONS}) AS ending CROSS JOIN invitations ON invitations.id = ending.id \
         WHERE invitations.expires_at > :now) AS invitations, \
         (SELECT count(*) FROM ({LINKS}) AS ending CROSS JOIN sign_in_links ON sign_in_links.digest = ending.digest \
         WHERE sign_in_links.expires_at > :now) AS sign_in_links, \
         (SELECT count(*) FROM ({SESSIONS}) AS ending CROSS JOIN sessions ON sessions.id = ending.id \
         WHERE sessions.expires_at > :now AND sessions.last_seen_at > :idle_since) AS sessions, \
         (SELECT count(*) FROM ({})) AS trusts, {TOO_MANY} AS too_many, {} AS beyond",
        lineage(line.root),
        is_root(line.root),
        trusts(line.root),
        beyond(line.root)
    );
    Query::first(statement(line, &sql, |params| params.with("idle_since", line.now.plus_ms(-IDLE_MS))))
}

/// The keys that end with the root, newest first, at most [`MAX_LISTED`].
pub fn list(line: &Line) -> Query<Vec<Key>> {
    let sql = format!(
        "{} SELECT {COLUMNS}, {STANDING} AS standing FROM keys WHERE id IN (SELECT id FROM lineage) \
         AND revoked_at IS NULL AND NOT {} ORDER BY id DESC LIMIT :listed",
        lineage(line.root),
        is_root(line.root)
    );
    Query::new(statement(line, &sql, |params| params.with("listed", MAX_LISTED)), read_all)
}

/// The keys that stay when a person goes, but whose secrets they have seen by rotating them, newest first, at most
/// [`MAX_LISTED`].
pub fn seen(line: &Line) -> Query<Vec<Key>> {
    let sql = format!(
        "{} SELECT {COLUMNS}, {STANDING} AS standing FROM keys WHERE organization_id = :organization_id \
         AND rotated_by_user = :root AND rotated_by_user IS NOT NULL AND revoked_at IS NULL AND user_id IS NOT :root \
         AND id NOT IN (SELECT id FROM lineage) ORDER BY id DESC LIMIT :listed",
        lineage(line.root)
    );
    Query::new(statement(line, &sql, |params| params.with("listed", MAX_LISTED)), read_all)
}

/// The condition of the statements below, with that of the root, if there is one.
fn ending(root: Root, condition: Option<&str>) -> String {
    let condition = condition.map(|condition| format!(" AND {condition}")).unwrap_or_default();
    format!("{}{condition}", may_end(root))
}

/// Writes the event of each key that [`end`] ends, with the root. It stands before that in the same batch, under the
/// same condition.
pub fn record(
    line: &Line,
    actor: &Actor,
    retention: Retention,
    condition: Option<&str>,
    more: impl FnOnce(&mut Conditions),
) -> Statement {
    let kind = match line.root {
        Root::Key(_) => "key",
        Root::User(_) => "user",
        Root::Trust(_) => "trust",
    };
    let sql = format!(
        "{} INSERT INTO audit_events (organization_id, subject, action, actor_kind, actor_id, actor_user_id, \
         actor_session_id, ip, request_id, details, at, keep_until) \
         SELECT trail_id, keys.id, 'key.revoked', trail_kind, :actor_id, :actor_user_id, :actor_session_id, :ip, \
         :request_id, json_patch(CASE WHEN keys.id = :root THEN json_object('with_descendants', json('true')) \
         ELSE json_object('ended_with', json_object('{kind}', :root)) END, trail_details), :now, {} \
         FROM (SELECT value ->> '$.organization_id' AS trail_id, value ->> '$.kind' AS trail_kind, \
         value -> '$.details' AS trail_details FROM json_each(:trails)) \
         CROSS JOIN keys WHERE keys.id IN (SELECT id FROM lineage) AND keys.revoked_at IS NULL AND {}",
        lineage(line.root),
        keep_until("trail_id", ":now"),
        ending(line.root, condition)
    );
    statement(line, &sql, |params| {
        params.with("actor_id", actor.key_id);
        params.with("actor_user_id", actor.user_id);
        params.with("actor_session_id", actor.session_id);
        params.with("ip", actor.ip.clone());
        params.with("request_id", actor.request_id.as_str());
        params.with("trails", trails(actor, line.organization_id, &json!({})));
        params.with("retention_ms", retention.default_ms);
        params.with("least_retention_ms", retention.least_ms);
        more(params);
    })
}

/// Revokes the root and all that descends from it, or nothing. What was revoked before without its descendants ends
/// with them now.
pub fn end(line: &Line, condition: Option<&str>, more: impl FnOnce(&mut Conditions)) -> Statement {
    let sql = format!(
        "{} UPDATE keys SET revoked_at = coalesce(revoked_at, :now), ended_with = :root, \
         updated_at = max(:now, updated_at + 1) \
         WHERE id IN (SELECT id FROM lineage) AND ended_with IS NULL AND {}",
        lineage(line.root),
        ending(line.root, condition)
    );
    statement(line, &sql, more)
}

/// Returns whether something of the line has not ended with its root.
pub fn is_left(line: &Line) -> Query<bool> {
    let sql = format!(
        "{} SELECT 1 FROM lineage CROSS JOIN keys ON keys.id = lineage.id WHERE keys.ended_with IS NULL LIMIT 1",
        lineage(line.root)
    );
    Query::any(statement(line, &sql, |_| {}))
}

/// Deletes a trust, after the statements that end its keys, and tells whether there was one.
pub fn delete_trust(line: &Line) -> Query<bool> {
    let sql = format!(
        "{} DELETE FROM trusts WHERE id = :root AND organization_id = :organization_id AND {} RETURNING id",
        lineage(line.root),
        may_end(line.root)
    );
    Query::any(statement(line, &sql, |_| {}))
}

/// Deletes a membership like [`crate::storage::people::remove`], and ends all that descends from the member: the events of
/// the ended keys, their end, the end of invitations, trusts and sessions, and the end of the membership. Either all of it happens
/// or nothing.
pub fn remove_member(
    line: &Line,
    user_id: UserId,
    removal: &RoleRemoval,
    actor: &Actor,
    retention: Retention,
) -> [Statement; 6] {
    let may_lose = may_lose_role("false");
    let member = format!("EXISTS (SELECT 1 FROM memberships WHERE {may_lose})");
    let of_line = |sql: &str| format!("{} {sql} AND {}", lineage(line.root), may_end(line.root));
    let invitations = format!("DELETE FROM invitations WHERE created_by IN (SELECT id FROM begun) AND {member}");
    let trusts = format!("DELETE FROM trusts WHERE id IN ({}) AND {member}", trusts(line.root));
    let sessions = format!("DELETE FROM sessions WHERE id IN (SELECT id FROM begun) AND {member}");
    let membership = format!("DELETE FROM memberships WHERE {may_lose}");
    let more = |params: &mut Conditions| {
        params.with("user_id", user_id);
        params.with("roles", names(&removal.roles));
    };
    [
        record(line, actor, retention, Some(&member), more),
        end(line, Some(&member), more),
        statement(line, &of_line(&invitations), more),
        statement(line, &of_line(&trusts), more),
        statement(line, &of_line(&sessions), more),
        statement(line, &of_line(&membership), more),
    ]
}
