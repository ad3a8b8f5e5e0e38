//! Endings hold: everything that a caller gives or prolongs ends with the caller, and does no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use serde_json::{Value, json};

use crate::{
    pages::{Browser, html},
    support::{Answer, Snapshot, World, problem::assert_problem, request},
};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// A caller, and the most that it holds.
#[derive(Clone)]
struct Caller {
    name: &'static str,
    key: String,
    /// The SQL of its end; `NULL` for never.
    end: String,
    /// True if it has full access. The others hold no scope of data sets.
    full: bool,
    role: &'static str,
    /// The conditions of the key, in SQL.
    conditions: &'static str,
}

/// The conditions of a caller that has some, as JSON.
const OFFICE: &str = r#"{"allowed_ips":["192.0.2.0/24"]}"#;
const OFFICE_SQL: &str = r#"'{"allowed_ips":["192.0.2.0/24"]}'"#;

/// The ids that calls are about.
#[derive(Clone)]
struct Targets {
    organization: String,
    /// The key whose rotation is pending.
    rotating: String,
    /// Keys of the owner with full access: one without an end, one that ends, one that is disabled, and one with a
    /// list of scopes.
    endless: String,
    ending: String,
    disabled: String,
    narrow: String,
    /// A key with conditions, the same as those of the caller that has some.
    conditional: String,
    /// The owner, and a member.
    owner: String,
    member: String,
    /// A live evaluation.
    live: String,
}

/// A world, the owner's key, the callers and the targets.
struct Scene {
    world: World,
    owner: String,
    callers: Vec<Caller>,
    targets: Targets,
}

impl Scene {
    fn new() -> Self {
        static BEFORE: LazyLock<(Snapshot, String, Vec<Caller>, Targets)> = LazyLock::new(before);
        let (snapshot, owner, callers, targets) = &*BEFORE;
        Self {
            world: World::restored(snapshot),
            owner: owner.clone(),
            callers: callers.clone(),
            targets: targets.clone(),
        }
    }

    fn caller(&self, name: &str) -> Caller {
        self.callers.iter().find(|caller| caller.name == name).unwrap().clone()
    }
}

fn before() -> (Snapshot, String, Vec<Caller>, Targets) {
    let world = World::new();
    let owner = world.bootstrap();
    let this = world.get("/v1/keys/self", &owner).json;
    let full = |name: &str| {
        // A key without named scopes has those of its creator.
        let answer = world.post("/v1/api_key", &owner, &json!({ "name": name }));
        assert_eq!(answer.status, 200, "{}", answer.json);
        let key = answer.text("key");
        (world.get("/v1/keys/self", &key).text("id"), key)
    };
    let (rotating, outgoing) = full("leaked");
    let (endless, _) = full("endless");
    let (ending, _) = full("ending");
    world.change(&owner, &ending, &json!({ "expires_in_days": 1 }));
    let (disabled, _) = full("disabled");
    world.change(&owner, &disabled, &json!({ "enabled": false }));
    let (narrow, _) = world.create(&owner, "narrow target", &["api-keys:read"]);
    let (short_id, short) = full("short");
    world.change(&owner, &short_id, &json!({ "expires_at": "2027-01-15T08:00:20Z" }));
    let scopes = ["api-keys:*", "members:*", "organization:*", "projects:*", "audit:*", "live-evaluations:*"];
    let (_, of_few_scopes) = world.create(&owner, "of few scopes", &scopes);
    let (_, _, admin) = world.colleague(&owner, "admin");
    let (member, _, _) = world.colleague(&owner, "member");
    let (live, _) = world.live_evaluation(&owner);
    let body = json!({ "grace_period_seconds": HOUR_MS / 1000 });
    assert_eq!(world.post(&format!("/v1/keys/{rotating}/rotate"), &owner, &body).status, 200);
    let helper = json!({ "name": "helper", "scopes": ["api-keys:write"] });
    let (_, helper) = world.create_from(&outgoing, &helper);
    let with_helper = world.post("/v1/api_key", &outgoing, &json!({ "name": "full helper" })).text("key");
    let value = |sql: &str| world.database.value(sql).to_string();
    let of_rotation = value(&format!("SELECT rotates_at FROM keys WHERE id = '{rotating}'"));
    let of_short = value(&format!("SELECT expires_at FROM keys WHERE id = '{short_id}'"));
    let caller =
        |name, key, end: &str, full, role| Caller { name, key, end: end.to_owned(), full, role, conditions: "NULL" };
    let [(_, office), (conditional, _)] = ["office", "conditional"].map(|name| {
        let (id, key) = full(name);
        world.change(&owner, &id, &json!({ "conditions": serde_json::from_str::<Value>(OFFICE).unwrap() }));
        (id, key)
    });
    let callers = vec![
        Caller { conditions: OFFICE_SQL, ..caller("office", office, "NULL", true, "owner") },
        caller("outgoing", outgoing, &of_rotation, true, "owner"),
        caller("helper", helper, &of_rotation, false, "owner"),
        caller("full helper", with_helper, &of_rotation, true, "owner"),
        caller("short", short, &of_short, true, "owner"),
        caller("of few scopes", of_few_scopes, "NULL", false, "owner"),
        caller("admin", admin, "NULL", true, "admin"),
    ];
    let text = |field: &str| this[field].as_str().unwrap().to_owned();
    let (organization, user) = (text("organization_id"), text("user_id"));
    let targets =
        Targets { organization, rotating, endless, ending, disabled, narrow, conditional, owner: user, member, live };
    (world.snapshot(), owner, callers, targets)
}

/// A call that gives or prolongs something: its name, the method, the path, and the body.
type Call = fn(&Targets) -> (&'static str, String, Value);

const CALLS: [(&str, Call); 16] = [
    ("create a key", |_| {
        ("POST", "/v1/keys".to_owned(), json!({ "name": "n", "scopes": ["datasets:read"], "expires_at": null }))
    }),
    ("create a key of the organization", |_| {
        ("POST", "/v1/keys".to_owned(), json!({ "name": "n", "scopes": ["datasets:read"], "kind": "org" }))
    }),
    ("copy its own access", |_| ("POST", "/v1/api_key".to_owned(), json!({ "name": "n" }))),
    ("create a project", |of| {
        ("POST", format!("/v1/organizations/{}/projects", of.organization), json!({ "name": "n" }))
    }),
    ("regenerate the key of a live evaluation", |of| {
        ("POST", format!("/api/live-evaluations/{}/regenerate", of.live), Value::Null)
    }),
    ("prolong a key", |of| ("PATCH", format!("/v1/keys/{}", of.ending), json!({ "expires_at": null }))),
    ("prolong a key that ends later than itself", |of| {
        ("PATCH", format!("/v1/keys/{}", of.ending), json!({ "expires_in_days": 2 }))
    }),
    ("widen a key", |of| {
        ("PATCH", format!("/v1/keys/{}", of.narrow), json!({ "scopes": ["api-keys:read", "datasets:*"] }))
    }),
    ("take the conditions of a key away", |of| {
        ("PATCH", format!("/v1/keys/{}", of.conditional), json!({ "conditions": null }))
    }),
    ("widen the conditions of a key", |of| {
        let conditions = json!({ "allowed_ips": ["192.0.2.0/24", "198.51.100.7"] });
        ("PATCH", format!("/v1/keys/{}", of.conditional), json!({ "conditions": conditions }))
    }),
    ("enable a key", |of| ("PATCH", format!("/v1/keys/{}", of.disabled), json!({ "enabled": true }))),
    ("rotate a key", |of| ("POST", format!("/v1/keys/{}/rotate", of.endless), json!({}))),
    ("cancel a rotation", |of| ("POST", format!("/v1/keys/{}/rotate/cancel", of.rotating), Value::Null)),
    ("raise a member", |of| {
        let path = format!("/v1/organizations/{}/members/{}", of.organization, of.member);
        ("PATCH", path, json!({ "role": "owner" }))
    }),
    ("invite an owner", |of| {
        let path = format!("/v1/organizations/{}/invitations", of.organization);
        ("POST", path, json!({ "email": "new@example.com", "role": "owner" }))
    }),
    ("create a sign-in link for the owner", |of| {
        let path = format!("/v1/organizations/{}/members/{}/sign-in-links", of.organization, of.owner);
        ("POST", path, Value::Null)
    }),
];

/// Sends a call, and opens what comes of it: a link, an invitation in both ways, a session with a new key.
fn play(world: &World, key: &str, call: Call, targets: &Targets) -> Answer {
    let (method, path, body) = call(targets);
    let mut asked = request(method, &path, key, &body);
    asked.headers.push(("cf-connecting-ip".to_owned(), "192.0.2.7".to_owned()));
    let answer = world.send(&asked);
    if let Some(link) = answer.json["link"].as_str().filter(|link| link.contains("/sign-in/")) {
        Browser::with_link(world, link);
    }
    if let Some(token) = answer.json["token"].as_str() {
        let other = World::restored(&world.snapshot());
        let accepted = other.post(&format!("/v1/invitations/{token}/accept"), "", &json!({ "key_name": "first" }));
        assert_eq!(accepted.status, 201, "{}", accepted.json);
        Browser::new(world).post(&format!("/invitations/{token}"), &[]);
    }
    answer
}

/// Keeps the present rows, for [`excesses`].
fn remember(world: &World) {
    for table in ["keys", "memberships", "invitations", "sign_in_links", "sessions"] {
        world.database.execute(&format!("CREATE TEMP TABLE before_{table} AS SELECT * FROM {table}"));
    }
}

/// The rows of each table that live longer or do more than before, and than the caller allows.
fn excesses(world: &World, caller: &Caller) -> Vec<String> {
    let rank = |role: &str| format!("instr('member admin owner', {role})");
    let Caller { end, full, role, conditions, .. } = caller;
    let role = format!("'{role}'");
    let in_time = |column: &str| format!("({end} IS NULL OR ({column} IS NOT NULL AND {column} <= {end}))");
    let low = |column: &str| format!("{} <= {}", rank(column), rank(&role));
    let (in_life, in_role) = (in_time("n.expires_at"), low("n.role"));
    let vouched = format!("{full} AND {conditions} IS NULL AND {in_role} AND {}", in_time("n.key_expires_at"));
    let tables = [
        (
            "keys",
            "id",
            format!(
                "n.digest <> b.digest OR n.scopes IS NOT b.scopes OR n.conditions IS NOT b.conditions OR {} > {} \
                 OR (b.expires_at IS NOT NULL AND (n.expires_at IS NULL OR n.expires_at > b.expires_at)) \
                 OR (b.disabled_at IS NOT NULL AND n.disabled_at IS NULL) \
                 OR (b.revoked_at IS NOT NULL AND n.revoked_at IS NULL) OR n.rotates_at > b.rotates_at",
                rank("n.role"),
                rank("b.role")
            ),
            format!(
                "{in_life} AND {in_role} AND ({conditions} IS NULL OR n.conditions IS {conditions}) \
                 AND ({full} OR (n.scopes IS NOT NULL AND instr(n.scopes, 'datasets') = 0))"
            ),
        ),
        ("memberships", "user_id", format!("{} > {}", rank("n.role"), rank("b.role")), vouched.clone()),
        ("invitations", "id", "false".to_owned(), vouched.clone()),
        ("sign_in_links", "digest", "false".to_owned(), vouched.clone()),
        ("sessions", "id", "n.expires_at > b.expires_at".to_owned(), format!("{in_life} AND {vouched}")),
    ];
    let mut found = Vec::new();
    for (table, id, grew, allowed) in tables {
        let sql = format!(
            "SELECT json_group_array(n.{id}) FROM {table} n LEFT JOIN before_{table} b ON b.{id} = n.{id} \
             WHERE (b.{id} IS NULL OR {grew}) AND NOT ({allowed})"
        );
        let rows = world.database.value(&sql);
        if rows != json!("[]") {
            found.push(format!("{table}: {}", rows.as_str().unwrap()));
        }
    }
    found
}

#[test]
fn nothing_lives_longer_or_does_more_than_its_giver() {
    for (name, call) in CALLS {
        for caller in Scene::new().callers {
            let scene = Scene::new();
            remember(&scene.world);
            let answer = play(&scene.world, &caller.key, call, &scene.targets);
            let excesses = excesses(&scene.world, &caller);
            assert!(excesses.is_empty(), "{name} by {}: {} {} {excesses:?}", caller.name, answer.status, answer.json);
            assert!(answer.status < 500, "{name} by {}: {}", caller.name, answer.json);
        }
    }
}

#[test]
fn owners_key_without_an_end_may_do_all_of_it() {
    for (name, call) in CALLS {
        let scene = Scene::new();
        let before = scene.world.database.dump();
        let answer = play(&scene.world, &scene.owner, call, &scene.targets);
        assert!(answer.status < 300, "{name}: {}", answer.json);
        assert_ne!(scene.world.database.dump(), before, "{name}");
    }
}

/// The reason why a statement is no way around an ending.
enum Known {
    /// It runs in these of [`CALLS`].
    Tried(&'static [&'static str]),
    /// It gives nothing and prolongs nothing, for this reason.
    Gives(&'static str),
}

/// Every statement of `storage` that writes to the tables of keys, people, links and sessions.
const STATEMENTS: [(&str, Known); 33] = {
    use Known::{Gives, Tried};
    [
        (
            "keys::insert",
            Tried(&[
                "create a key",
                "create a key of the organization",
                "copy its own access",
                "create a project",
                "regenerate the key of a live evaluation",
            ]),
        ),
        (
            "keys::update",
            Tried(&[
                "prolong a key",
                "prolong a key that ends later than itself",
                "widen a key",
                "take the conditions of a key away",
                "widen the conditions of a key",
                "enable a key",
            ]),
        ),
        ("keys::rotate", Tried(&["rotate a key"])),
        ("keys::end_rotation", Tried(&["cancel a rotation"])),
        ("keys::forget_rotated", Gives("it deletes secrets whose grace period is over")),
        ("keys::revoke", Gives("it ends a key")),
        ("lineage::end", Gives("it ends keys")),
        ("lineage::remove_member", Gives("it ends a membership, sessions and invitations")),
        ("trusts::prune_keys", Gives("it deletes keys that have ended")),
        ("keys::mark_expired", Gives("it records what has ended")),
        ("device_links::claim", Gives("its approval has given all of it: tests/native/device_links.rs")),
        ("leaks::end", Gives("it ends keys and secrets")),
        ("key_uses::last_uses", Gives("it counts")),
        ("live_evaluations::revoke_key", Gives("it ends a key")),
        ("people::set_role", Tried(&["raise a member"])),
        ("people::remove", Gives("it ends a membership")),
        ("organizations::insert_membership", Gives("the first owner of a new organization")),
        ("invitations::insert", Tried(&["invite an owner"])),
        ("invitations::insert_membership", Tried(&["invite an owner"])),
        ("invitations::forget_expired", Gives("it deletes what has ended")),
        ("invitations::revoke", Gives("it ends an invitation")),
        ("invitations::end_beyond_reach", Gives("it ends invitations")),
        ("invitations::use_up", Gives("it ends an invitation")),
        ("sessions::insert_for_key", Gives("the session ends with the key: tests/native/pages.rs")),
        ("sessions::insert_for_link", Tried(&["create a sign-in link for the owner"])),
        ("sessions::insert_for_member", Tried(&["invite an owner"])),
        ("sessions::insert_link", Tried(&["create a sign-in link for the owner"])),
        ("sessions::take_back_link", Gives("it ends a link")),
        ("sessions::use_up", Gives("it ends a link")),
        ("sessions::record_seen", Gives("it moves only the last use, within the session's end")),
        ("sessions::end", Gives("it ends a session")),
        ("sessions::prune", Gives("it deletes what has ended")),
        ("sessions::prune_links", Gives("it deletes what has ended")),
    ]
};

/// The functions and constants of `storage` with a statement that writes to one of the tables.
fn writing_statements() -> BTreeSet<String> {
    let tables = ["keys", "memberships", "invitations", "sign_in_links", "sessions"];
    let writes = |sql: &str| {
        tables.iter().any(|table| {
            ["UPDATE ", "INSERT INTO ", "INSERT OR IGNORE INTO ", "REPLACE INTO ", "DELETE FROM "].iter().any(|verb| {
                let start = format!("{verb}{table}");
                sql.match_indices(&start).any(|(at, _)| {
                    !sql[at + start.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
                })
            })
        })
    };
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let mut found = BTreeSet::new();
    for krate in fs::read_dir(crates).unwrap() {
        let Ok(files) = fs::read_dir(krate.unwrap().path().join("src/storage")) else { continue };
        for file in files {
            let path = file.unwrap().path();
            let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            // A statement may go on in the next line, and a comment is none.
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let mut items: BTreeMap<String, String> = BTreeMap::new();
            let mut item = String::new();
            for line in lines {
                let words: Vec<&str> = line.split(|at: char| !at.is_alphanumeric() && at != '_').collect();
                let at = words.iter().position(|word| ["fn", "const", "static"].contains(word));
                if !line.starts_with(' ')
                    && let Some(name) = at.and_then(|at| words.get(at + 1))
                {
                    item = format!("{module}::{name}");
                }
                let line = line.trim();
                items.entry(item.clone()).or_default().push_str(line.strip_suffix('\\').unwrap_or(line));
            }
            found.extend(items.into_iter().filter(|(_, text)| writes(text)).map(|(item, _)| item));
        }
    }
    found
}

#[test]
fn every_statement_that_could_prolong_something_is_known_and_tried() {
    let known: BTreeSet<String> = STATEMENTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(writing_statements(), known, "see STATEMENTS: try a new statement by a call that runs it");
    for (name, how) in STATEMENTS {
        match how {
            Known::Tried(calls) => {
                for call in calls {
                    assert!(CALLS.iter().any(|(known, _)| known == call), "{name}: {call}");
                }
            }
            Known::Gives(reason) => assert!(!reason.is_empty(), "{name}"),
        }
    }
}

#[test]
fn rotation_is_not_cancelled_by_what_the_outgoing_secret_has_created() {
    let scene = Scene::new();
    let path = format!("/v1/keys/{}/rotate/cancel", scene.targets.rotating);
    let before = scene.world.database.dump();
    for name in ["outgoing", "helper", "full helper", "short", "of few scopes", "admin"] {
        let answer = scene.world.post(&path, &scene.caller(name).key, &Value::Null);
        assert_problem(&answer, 403, "exceeds_own_access");
    }
    assert_eq!(scene.world.database.dump(), before);
    assert_eq!(scene.world.post(&path, &scene.owner, &Value::Null).status, 200);
}

#[test]
fn rotation_that_ends_with_the_key_is_not_cancelled_by_a_helper() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, old) = world.create_from(&owner, &json!({ "name": "n", "scopes": ["api-keys:*"], "expires_in_days": 1 }));
    let rotate = json!({ "grace_period_seconds": 2 * 24 * HOUR_MS / 1000 });
    let new = world.post(&format!("/v1/keys/{id}/rotate"), &owner, &rotate).text("key");
    let (_, helper) = world.create(&old, "helper", &["api-keys:*"]);
    let cancel = |by: &str| world.post(&format!("/v1/keys/{id}/rotate/cancel"), by, &Value::Null);
    assert_problem(&cancel(&helper), 403, "exceeds_own_access");
    // The key itself ends with the rotation, too, but its new secret is not of the old one's making.
    assert_eq!(cancel(&new).status, 200);
}

#[test]
fn role_is_raised_only_by_a_key_without_an_end_and_the_error_says_so() {
    let scene = Scene::new();
    let path = format!("/v1/organizations/self/members/{}", scene.targets.member);
    let raise = |key: &str, role: &str| scene.world.call("PATCH", &path, key, &json!({ "role": role }));
    for name in ["outgoing", "full helper", "short"] {
        let answer = raise(&scene.caller(name).key, "admin");
        assert_problem(&answer, 403, "exceeds_own_access");
        assert!(answer.detail().contains("only a key that never expires can raise one"), "{}", answer.detail());
    }
    assert_eq!(raise(&scene.owner, "admin").status, 200);
    // To lower a person takes nothing that lasts.
    assert_eq!(raise(&scene.caller("short").key, "member").status, 200);
}

#[test]
fn every_key_ends_itself_without_a_scope_and_without_force() {
    let scene = Scene::new();
    let (live, of_live) = scene.world.live_evaluation(&scene.owner);
    let project = scene.world.project(&scene.owner, "p");
    let body = json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": [] });
    let (_, of_project) = scene.world.create_from(&scene.owner, &body);
    let (_, without_scopes) = scene.world.create(&scene.owner, "none", &[]);
    for key in [&of_live, &of_project, &without_scopes, &scene.caller("admin").key] {
        let id = scene.world.verify(&scene.owner, key, &[])["key_id"].as_str().unwrap().to_owned();
        let answer = scene.world.call("DELETE", "/v1/keys/self", key, &Value::Null);
        assert_eq!((answer.status, answer.text("id")), (200, id.clone()), "{}", answer.json);
        assert_eq!((answer.text("status"), answer.text("effective_at")), ("revoked".into(), answer.text("revoked_at")));
        assert_eq!(scene.world.verify(&scene.owner, key, &[])["code"], "key_revoked");
        assert_problem(&scene.world.call("DELETE", "/v1/keys/self", key, &Value::Null), 401, "key_revoked");
        let event =
            format!("SELECT action || ' ' || actor_id FROM audit_events WHERE subject = '{id}' ORDER BY id DESC");
        assert_eq!(scene.world.database.value(&event), json!(format!("key.revoked {id}")));
    }
    assert_eq!(scene.world.judge(&of_live, &live, "why").code(), "key_revoked");
}

#[test]
fn last_key_ends_itself_without_force() {
    let world = World::new();
    let owner = world.bootstrap();
    let id = world.get("/v1/keys/self", &owner).text("id");
    let answer = world.call("DELETE", &format!("/v1/keys/{id}"), &owner, &Value::Null);
    assert_problem(&answer, 409, "last_managing_key");
    assert_eq!(world.call("DELETE", "/v1/keys/self", &owner, &Value::Null).status, 200);
    assert_problem(&world.get("/v1/keys/self", &owner), 401, "key_revoked");
}

#[test]
fn outgoing_secret_ends_itself_and_not_the_key() {
    let world = World::new();
    let owner = world.bootstrap();
    let (id, old) = world.create(&owner, "n", &[]);
    let rotate = json!({ "grace_period_seconds": HOUR_MS / 1000 });
    let new = world.post(&format!("/v1/keys/{id}/rotate"), &owner, &rotate).text("key");
    let answer = world.call("DELETE", "/v1/keys/self", &old, &Value::Null);
    assert_eq!((answer.status, answer.text("status")), (200, "active".into()), "{}", answer.json);
    assert_eq!(answer.json["rotation"], Value::Null);
    assert_problem(&world.get("/v1/keys/self", &old), 401, "key_rotated");
    assert_eq!(world.get("/v1/keys/self", &new).status, 200);
    let event = format!("SELECT action || ' ' || actor_id FROM audit_events WHERE subject = '{id}' ORDER BY id DESC");
    assert_eq!(world.database.value(&event), json!(format!("key.rotation_finished {id}")));
}

#[test]
fn sign_in_link_ends_with_the_key_that_created_it() {
    let endings: [(&str, &str, Value); 6] = [
        ("PATCH", "", json!({ "conditions": { "denied_countries": ["AQ"] } })),
        ("DELETE", "", Value::Null),
        ("PATCH", "", json!({ "enabled": false })),
        ("PATCH", "", json!({ "scopes": ["members:*"] })),
        ("PATCH", "", json!({ "expires_in_days": 1 })),
        ("POST", "/rotate", json!({})),
    ];
    for (method, path, body) in endings {
        let scene = Scene::new();
        let by = scene.world.post("/v1/api_key", &scene.owner, &json!({ "name": "by" })).text("key");
        let id = scene.world.get("/v1/keys/self", &by).text("id");
        let link = |by: &str| {
            let path = format!("/v1/organizations/self/members/{}/sign-in-links", scene.targets.member);
            let link = scene.world.post(&path, by, &Value::Null).text("link");
            link.strip_prefix("https://keys.example.com").unwrap().to_owned()
        };
        let (ended, other) = (link(&by), link(&scene.owner));
        scene.world.change(&scene.owner, &id, &json!({ "name": "renamed" }));
        let answer = scene.world.call(method, &format!("/v1/keys/{id}{path}"), &scene.owner, &body);
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!(Browser::new(&scene.world).post(&ended, &[]).status, 404, "{method} {body}");
        assert_eq!(Browser::new(&scene.world).post(&other, &[]).status, 303, "{method} {body}");
    }
}

#[test]
fn sign_in_link_ends_with_the_session_in_which_it_was_created() {
    for with_key in [true, false] {
        let scene = Scene::new();
        let (world, owner) = (&scene.world, &scene.owner);
        let path = format!("/v1/organizations/self/members/{}/sign-in-links", scene.targets.owner);
        let mut browser = if with_key {
            Browser::with_key(world, owner)
        } else {
            Browser::with_link(world, &world.post(&path, owner, &Value::Null).text("link"))
        };
        let person = format!("/settings/people/{}", scene.targets.member);
        let page = html(&browser.fill(&person, &format!("{person}/sign-in-link"), &[]));
        let (_, link) = page.split_once("https://keys.example.com/sign-in/").unwrap();
        let link = format!("/sign-in/{}", link.split(['"', '<']).next().unwrap());
        assert_eq!(Browser::new(world).get(&link).status, 200);
        assert_eq!(browser.post("/sign-out", &[]).status, 303);
        assert_eq!(Browser::new(world).post(&link, &[]).status, 404, "{with_key}");
    }
}

#[test]
fn pages_give_a_session_no_more_than_its_secret() {
    for (act, target) in [("rotate/cancel", Scene::new().targets.rotating), ("enable", Scene::new().targets.disabled)] {
        for name in ["outgoing", "helper", "full helper", "short", "of few scopes", "admin"] {
            let scene = Scene::new();
            let caller = scene.caller(name);
            let mut browser = Browser::with_key(&scene.world, &caller.key);
            remember(&scene.world);
            let answer = browser.post(&format!("/settings/keys/{target}/{act}"), &[]);
            assert_eq!(answer.status, 403, "{act} by {name}: {}", answer.json);
            assert!(excesses(&scene.world, &caller).is_empty(), "{act} by {name}");
        }
        let scene = Scene::new();
        let mut browser = Browser::with_key(&scene.world, &scene.owner);
        assert_eq!(browser.post(&format!("/settings/keys/{target}/{act}"), &[]).status, 303, "{act}");
    }
}
