//! The migrations, one after the other, make what `schema.sql` says, and keep what was there.

use std::fs;

use rusqlite::Connection;

use crate::support::{World, sqlite};

/// The migrations in their order: the name and the SQL of each.
fn migrations() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    files.iter().map(read).collect()
}

fn empty() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    connection
}

/// Everything that is in a schema, in an order of its own, without comments and however it was broken
/// into lines.
fn schema(connection: &Connection) -> Vec<String> {
    let sql = "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_master ORDER BY type, name";
    let without_comments = |text: String| {
        let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
        let text = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
        // ALTER TABLE adds a column behind the line break that stood before the table's end.
        text.replace(" ,", ",").replace(" )", ")")
    };
    sqlite::texts(connection, sql).into_iter().map(without_comments).collect()
}

#[test]
fn migrations_make_the_schema() {
    let migrated = empty();
    for (_, sql) in migrations() {
        migrated.execute_batch(&sql).unwrap();
    }
    let whole = empty();
    whole.execute_batch(include_str!("../../schema.sql")).unwrap();
    let (migrated, whole) = (schema(&migrated), schema(&whole));
    assert!(migrated.len() > 10, "{migrated:?}");
    assert_eq!(migrated, whole);
}

#[test]
fn migrations_are_numbered_without_a_gap() {
    for (index, (name, _)) in migrations().iter().enumerate() {
        let number = format!("{:04}_", index + 1);
        assert!(name.starts_with(&number), "{name}");
    }
}

/// Rows for each table of the first migration. Later migrations must keep them.
const ROWS: &str = "
    INSERT INTO organizations (id, name, operator, suspended_at, created_at) VALUES ('o1', 'Acme', 1, NULL, 1), ('o2', 'B', 0, 2, 3);
    INSERT INTO users (id, email, created_at) VALUES ('u1', 'a@example.com', 4);
    INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES ('o1', 'u1', 'owner', 5);
    INSERT INTO projects (id, organization_id, name, description, created_at, deleted_at)
    VALUES ('p1', 'o1', 'Chat', NULL, 5, NULL), ('p2', 'o2', 'Gone', 'a', 5, 6);
    INSERT INTO keys (id, organization_id, number, user_id, project_id, kind, digest, pepper_version, stem, start, last4, name, scopes, role,
                      metadata, expires_at, disabled_at, revoked_at, expired_at, created_at, created_by, updated_at, last_used_at,
                      rotates_at, outgoing_digest, outgoing_pepper_version, outgoing_start, outgoing_last4,
                      outgoing_last_used_at, outgoing_uses)
    VALUES ('k1', 'o1', 1, 'u1', NULL, 'pat', 'd1', 0, 'bit_pat_', 'bit_pat_abcd', 'wxyz', 'one', NULL, 'owner',
            '{}', NULL, NULL, NULL, NULL, 6, NULL, 6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0),
           ('k2', 'o1', 2, NULL, 'p1', 'proj', 'd2', 1, 'bit_proj_', 'bit_proj_abc', 'wxyz', 'two', '[\"datasets:*\"]', 'admin',
            '{\"a\":1}', 7, 8, 9, 10, 11, 'k1', 12, 13, 14, 'd3', 1, 'bit_proj_efg', 'stuv', 15, 16);
    INSERT INTO audit_events (id, organization_id, subject, action, actor_kind, actor_id, ip, request_id, details, at)
    VALUES (1, 'o1', 'k1', 'key.created', 'operator', NULL, '203.0.113.7', 'r', '{}', 13);
    INSERT INTO changes (subject, at) VALUES ('k2', 14);";

/// The columns of the tables, and their rows in them.
fn rows(connection: &Connection, columns: &[(String, String)]) -> Vec<String> {
    let select = |(table, columns): &(String, String)| {
        format!("SELECT '{table}: ' || json_array({columns}) FROM {table} ORDER BY 1")
    };
    columns.iter().flat_map(|table| sqlite::texts(connection, &select(table))).collect()
}

#[test]
fn migrations_keep_the_rows_that_are_there() {
    let database = empty();
    let mut migrations = migrations().into_iter();
    database.execute_batch(&migrations.next().unwrap().1).unwrap();
    database.execute_batch(ROWS).unwrap();
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let columns: Vec<(String, String)> = sqlite::texts(&database, names)
        .into_iter()
        .map(|table| {
            let columns = format!("SELECT group_concat(name) FROM pragma_table_info('{table}')");
            let columns = sqlite::texts(&database, &columns).remove(0);
            (table, columns)
        })
        .collect();
    let before = rows(&database, &columns);
    for table in ["organizations", "users", "memberships", "projects", "keys", "audit_events", "changes"] {
        assert!(before.iter().any(|row| row.starts_with(table)), "no row of {table}");
    }
    for (name, sql) in migrations {
        database.execute_batch(&sql).unwrap();
        assert_eq!(rows(&database, &columns), before, "{name}");
    }
}

#[test]
fn migration_to_one_change_for_each_subject_keeps_the_last_of_each_and_what_was_pruned() {
    let database = empty();
    let mut all = migrations().into_iter();
    for (_, sql) in all.by_ref().take_while(|(name, _)| !name.contains("one_change_per_subject")) {
        database.execute_batch(&sql).unwrap();
    }
    database
        .execute_batch(
            "INSERT INTO changes (seq, subject, at) VALUES (5, 'a', 1), (6, 'b', 2), (7, 'a', 3), (8, 'c', 4)",
        )
        .unwrap();
    let (_, sql) = migrations().into_iter().find(|(name, _)| name.contains("one_change_per_subject")).unwrap();
    database.execute_batch(&sql).unwrap();
    let rows = "SELECT seq || subject FROM changes ORDER BY seq";
    assert_eq!(sqlite::texts(&database, rows), ["4pruned", "6b", "7a", "8c"]);
}

#[test]
fn dump_shows_every_table() {
    let world = World::new();
    world.bootstrap();
    let dump = world.database.dump();
    for table in ["organizations", "users", "memberships", "keys", "audit_events", "changes"] {
        assert!(dump.contains(&format!("{table}|")), "{table}");
    }
}

#[test]
fn migration_to_quotas_counts_what_is_there() {
    let database = empty();
    let mut all = migrations().into_iter();
    database.execute_batch(&all.next().unwrap().1).unwrap();
    database.execute_batch(ROWS).unwrap();
    for (_, sql) in all {
        database.execute_batch(&sql).unwrap();
    }
    let usage = "SELECT json_array(organization_id, keys, projects, members, invitations, datasets, bytes) FROM usage ORDER BY 1";
    assert_eq!(sqlite::texts(&database, usage), [r#"["o1",1,1,1,0,0,0]"#, r#"["o2",0,0,0,0,0,0]"#]);
    let second = "UPDATE organizations SET max_keys = 1;
        INSERT INTO keys (id, organization_id, number, kind, digest, pepper_version, stem, start, last4, name, role, created_at, updated_at)
        VALUES ('k3', 'o1', 3, 'org', 'd9', 0, 's', 's', 'l', 'n', 'member', 1, 1)";
    assert_eq!(database.execute_batch(second).unwrap_err().to_string(), "quota exceeded: keys 1");
}

#[test]
fn organization_of_an_older_worker_is_counted_before_and_after_the_migration() {
    let database = empty();
    let organization = |id: &str| {
        format!(
            "INSERT INTO organizations (id, name, operator, created_at) VALUES ('{id}', 'Acme', 0, 1);
             INSERT INTO users (id, email, created_at) VALUES ('user {id}', '{id}@example.com', 1);
             INSERT INTO memberships (organization_id, user_id, role, created_at) VALUES ('{id}', 'user {id}', 'owner', 1);
             INSERT INTO keys (id, organization_id, number, user_id, kind, digest, pepper_version, stem, start, last4, name,
                               role, created_at, updated_at)
             VALUES ('key {id}', '{id}', 1, 'user {id}', 'pat', 'd{id}', 0, 's', 's', 'l', 'n', 'owner', 1, 1)"
        )
    };
    for (name, sql) in migrations() {
        database.execute_batch(&sql).unwrap();
        if name.contains("quotas") {
            database.execute_batch(&organization("o1")).unwrap();
        }
    }
    database.execute_batch(&organization("o2")).unwrap();
    let usage = "SELECT json_array(organization_id, keys, projects, members, invitations, datasets, bytes) FROM usage ORDER BY 1";
    assert_eq!(sqlite::texts(&database, usage), [r#"["o1",1,0,1,0,0,0]"#, r#"["o2",1,0,1,0,0,0]"#]);
    for id in ["o1", "o2"] {
        let second = format!(
            "UPDATE organizations SET max_members = 1 WHERE id = '{id}';
             INSERT INTO memberships (organization_id, user_id, role, created_at)
             SELECT '{id}', id, 'owner', 1 FROM users WHERE id <> 'user {id}'"
        );
        assert_eq!(database.execute_batch(&second).unwrap_err().to_string(), "quota exceeded: members 1");
    }
}
