//! The people of an organization: invited, raised, lowered, put into teams, and removed with all their keys.

use futures::{executor::block_on, future::join};
use serde_json::{Value, json};

use crate::support::{Answer, START, World, problem::assert_problem, request};

const STALENESS_MS: i64 = 5_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const MEMBERS: &str = "/v1/organizations/self/members";
const INVITATIONS: &str = "/v1/organizations/self/invitations";
const TEAMS: &str = "/v1/organizations/self/teams";

fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

fn user_of(world: &World, key: &str) -> String {
    world.get("/v1/keys/self", key).text("user_id")
}

fn organization_of(world: &World, key: &str) -> String {
    world.get("/v1/keys/self", key).text("organization_id")
}

fn delete(world: &World, path: &str, by: &str) -> Answer {
    world.call("DELETE", path, by, &Value::Null)
}

fn set_role(world: &World, by: &str, user: &str, role: &str) -> Answer {
    world.call("PATCH", &format!("{MEMBERS}/{user}"), by, &json!({ "role": role }))
}

fn remove(world: &World, by: &str, user: &str) -> Answer {
    delete(world, &format!("{MEMBERS}/{user}"), by)
}

fn invite(world: &World, by: &str, email: &str, role: &str) -> Answer {
    world.post(INVITATIONS, by, &json!({ "email": email, "role": role }))
}

/// Invites somebody; gives the token.
fn token(world: &World, by: &str, email: &str, role: &str) -> String {
    let answer = invite(world, by, email, role);
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer.text("token")
}

fn open(world: &World, token: &str) -> Answer {
    world.get(&format!("/v1/invitations/{token}"), "")
}

fn accept(world: &World, token: &str) -> Answer {
    world.post(&format!("/v1/invitations/{token}/accept"), "", &json!({ "key_name": "mine" }))
}

/// Lets somebody in; gives the user's id and his key.
fn join_as(world: &World, by: &str, email: &str, role: &str) -> (String, String) {
    let answer = accept(world, &token(world, by, email, role));
    assert_eq!(answer.status, 201, "{}", answer.json);
    (answer.text("user_id"), answer.text("key"))
}

/// What happened last, the newest first.
fn last_events(world: &World, count: usize) -> String {
    let sql =
        format!("SELECT group_concat(action) FROM (SELECT action FROM audit_events ORDER BY id DESC LIMIT {count})");
    world.database.value(&sql).as_str().unwrap().to_owned()
}

#[test]
fn person_is_invited_comes_works_and_goes() {
    let (world, owner) = world();
    let answer =
        world.post(INVITATIONS, &owner, &json!({ "email": "Ann@Example.com", "role": "admin", "expires_in_days": 3 }));
    assert_eq!(answer.status, 201, "{}", answer.json);
    let token = answer.text("token");
    assert!(token.starts_with("bit_inv_"), "{token}");
    assert_eq!(answer.text("link"), format!("https://keys.example.com/invitations/{token}"));
    assert_eq!(last_events(&world, 1), "invitation.created");
    // It is shown this once, and stored nowhere.
    let mut shown = answer.json.clone();
    shown.as_object_mut().unwrap().retain(|field, _| !["token", "link"].contains(&field.as_str()));
    let listed = world.get(INVITATIONS, &owner).json;
    assert_eq!(listed, json!({ "items": [shown], "has_more": false, "next_cursor": null }));
    assert_eq!((&shown["email"], &shown["role"]), (&json!("ann@example.com"), &json!("admin")));
    let secret = &token["bit_inv_".len()..];
    assert!(!world.database.dump().contains(secret));
    let (opened, io) = world.counted(|| open(&world, &token));
    assert_eq!((opened.status, io), (200, (1, 0, 0)), "{}", opened.json);
    for (field, expected) in [("organization", "Acme"), ("email", "ann@example.com"), ("role", "admin")] {
        assert_eq!(opened.json[field], expected);
    }
    assert_eq!(opened.json["expires_at"], shown["expires_at"]);

    let (accepted, io) = world.counted(|| accept(&world, &token));
    assert_eq!((accepted.status, io), (201, (2, 0, 0)), "{}", accepted.json);
    let (user, key) = (accepted.text("user_id"), accepted.text("key"));
    for (field, expected) in [
        ("organization_id", json!(organization_of(&world, &owner))),
        ("role", json!("admin")),
        ("full_access", json!(true)),
        ("kind", json!("pat")),
        ("name", json!("mine")),
    ] {
        assert_eq!(accepted.json[field], expected, "{field}");
    }
    assert_eq!(last_events(&world, 2), "key.created,member.joined");
    assert!(!world.database.dump().contains(secret));
    assert_eq!(world.get(INVITATIONS, &key).json["items"], json!([]));
    let member = world.get(&format!("{MEMBERS}/{user}"), &key).json;
    assert_eq!((&member["email"], &member["role"]), (&json!("ann@example.com"), &json!("admin")));
    assert_eq!(world.verify(&owner, &key, &["datasets:read"])["code"], "valid");

    let removed = remove(&world, &owner, &user);
    assert_eq!((removed.status, &removed.json["id"]), (200, &json!(user)), "{}", removed.json);
    assert_eq!(removed.json["max_staleness_ms"], STALENESS_MS);
    assert_eq!(last_events(&world, 1), "member.removed");
    assert_problem(&world.get("/v1/keys/self", &key), 401, "user_removed");
    assert_eq!(world.verify(&owner, &key, &[])["code"], "user_removed");
    assert_problem(&remove(&world, &owner, &user), 404, "not_found");
    assert_problem(&world.get(&format!("{MEMBERS}/{user}"), &owner), 404, "not_found");
    // He may come again, as somebody else.
    let (again, _) = join_as(&world, &owner, "ann@example.com", "member");
    assert_ne!(again, user);
}

#[test]
fn invitation_that_is_used_revoked_expired_or_unknown_is_one_and_the_same_404() {
    let (world, owner) = world();
    let used = token(&world, &owner, "used@b", "member");
    assert_eq!(accept(&world, &used).status, 201);
    let made = invite(&world, &owner, "revoked@b", "member");
    let revoked = made.text("token");
    let path = format!("{INVITATIONS}/{}", made.text("id"));
    assert_eq!(delete(&world, &path, &owner).status, 200);
    assert_eq!(last_events(&world, 1), "invitation.revoked");
    assert_problem(&delete(&world, &path, &owner), 404, "not_found");
    let expired = invite(&world, &owner, "expired@b", "member");
    world.advance_ms(7 * DAY_MS - 1);
    assert_eq!(open(&world, &expired.text("token")).status, 200);
    world.advance_ms(1);
    assert_problem(&delete(&world, &format!("{INVITATIONS}/{}", expired.text("id")), &owner), 404, "not_found");
    assert_eq!(world.get(INVITATIONS, &owner).json["items"], json!([]));
    let unknown = token(&world, &owner, "unknown@b", "member");
    world.database.execute("DELETE FROM invitations WHERE email = 'unknown@b'");
    let suspended = token(&world, &owner, "suspended@b", "member");
    world.database.execute("UPDATE organizations SET suspended_at = 1");
    let before = world.database.dump();
    let mut answers = Vec::new();
    for token in [&used, &revoked, &expired.text("token"), &unknown, &suspended] {
        for mut answer in [open(&world, token), accept(&world, token)] {
            assert_problem(&answer, 404, "not_found");
            assert!(answer.detail().starts_with("This link opens no invitation"), "{}", answer.detail());
            answer.json["request_id"] = Value::Null;
            answers.push(answer.json);
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.database.dump(), before);
    // What has expired is in nobody's way, and goes.
    world.database.execute("UPDATE organizations SET suspended_at = NULL");
    token(&world, &owner, "expired@b", "member");
    assert_eq!(world.database.count("invitations"), 2);
}

#[test]
fn token_that_is_none_is_refused_without_io() {
    let (world, owner) = world();
    let good = token(&world, &owner, "a@b", "member");
    let wrong_checksum = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    for wrong in [&wrong_checksum, "x", &owner, "%00", "é", &good[1..], &good.to_uppercase(), &"a".repeat(100_000)] {
        for answer in [&open, &accept as &dyn Fn(&World, &str) -> Answer] {
            let (answer, io) = world.counted(|| answer(&world, wrong));
            assert_problem(&answer, 404, "not_found");
            assert_eq!(io, (0, 0, 0));
        }
    }
    assert_problem(&world.get("/v1/keys/self", &good), 401, "malformed_api_key");
}

#[test]
fn of_two_who_accept_at_once_one_comes_in() {
    let (mut one, owner) = world();
    let token = token(&one, &owner, "a@b", "member");
    let mut two = one.another_isolate();
    one.before_batches(|_, _| {});
    two.before_batches(|_, _| {});
    let path = format!("/v1/invitations/{token}/accept");
    let request = request("POST", &path, "", &json!({ "key_name": "mine" }));
    let handle = bitting::entry::handle;
    let (users, keys) = (one.database.count("users"), one.database.count("keys"));
    let (first, second) = block_on(join(handle(&one.app, &request), handle(&two.app, &request)));
    assert_eq!([first.status, second.status], [201, 404]);
    assert_eq!((one.database.count("users"), one.database.count("keys")), (users + 1, keys + 1));
    assert_eq!(one.database.count("memberships"), 2);
}

#[test]
fn accepting_does_all_or_nothing() {
    for (ends, status) in [
        ("DELETE FROM invitations", 404),
        ("UPDATE invitations SET expires_at = 1", 404),
        ("UPDATE organizations SET suspended_at = 1", 404),
        ("CREATE TRIGGER refuse BEFORE DELETE ON invitations BEGIN SELECT RAISE(ABORT, 'refused'); END", 503),
        ("CREATE TRIGGER refuse BEFORE INSERT ON memberships BEGIN SELECT RAISE(ABORT, 'refused'); END", 503),
    ] {
        let (mut world, owner) = world();
        let token = token(&world, &owner, "a@b", "member");
        let tables = ["users", "memberships", "keys", "audit_events"];
        let counts = |world: &World| tables.map(|table| world.database.count(table));
        let before = counts(&world);
        // Between reading the invitation and using it.
        world.meddle(1, ends);
        assert_eq!(accept(&world, &token).status, status, "{ends}");
        assert_eq!(counts(&world), before, "{ends}");
    }
}

#[test]
fn address_is_in_an_organization_once() {
    let (world, owner) = world();
    assert_problem(&invite(&world, &owner, "OWNER@example.com", "member"), 409, "already_member");
    join_as(&world, &owner, "jürgen@example.com", "member");
    assert_problem(&invite(&world, &owner, "JÜRGEN@example.com", "member"), 409, "already_member");
    token(&world, &owner, "a@b", "member");
    let before = world.database.dump();
    assert_problem(&invite(&world, &owner, "A@B", "admin"), 409, "already_invited");
    assert_eq!(world.database.dump(), before);
    // In another organization the same address is somebody else.
    let (_, _, stranger) = world.stranger(&owner);
    let (theirs, _) = join_as(&world, &stranger, "owner@example.com", "member");
    assert_ne!(theirs, user_of(&world, &owner));
}

#[test]
fn address_and_name_take_any_script_and_no_control_characters() {
    let (world, owner) = world();
    for wrong in ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a\u{0}@b", "a@b\n", "a@b\u{85}", &"é@b".repeat(200)] {
        let answer = invite(&world, &owner, wrong, "member");
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), "email");
    }
    for (field, body) in [
        ("role", json!({ "email": "a@b", "role": "king" })),
        ("expires_in_days", json!({ "email": "a@b", "role": "member", "expires_in_days": 0 })),
        ("expires_in_days", json!({ "email": "a@b", "role": "member", "expires_in_days": 31 })),
    ] {
        let answer = world.post(INVITATIONS, &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.field(), field);
    }
    let (user, _) = join_as(&world, &owner, "用户@例え.jp", "member");
    assert_eq!(world.get(&format!("{MEMBERS}/{user}"), &owner).text("email"), "用户@例え.jp");
    assert_problem(&world.post(TEAMS, &owner, &json!({ "name": "a\u{1}" })), 400, "validation_failed");
    let team = world.post(TEAMS, &owner, &json!({ "name": "Équipe 🔑 عربى" }));
    assert_eq!((team.status, team.text("name")), (201, "Équipe 🔑 عربى".to_owned()));
    let first = json!({ "organization": "B", "email": "nobody", "key_name": "b" });
    let answer = World::new().post("/v1/bootstrap", crate::support::OPERATOR_SECRET, &first);
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(answer.field(), "email");
}

/// What callers of every kind may do, each tried in a world of its own.
#[test]
fn roles_say_who_may_do_what_to_whom() {
    const OK: &str = "";
    const NO: &str = "exceeds_own_access";
    const GONE: &str = "not_found";
    // The caller: what he lets happen to a member, an admin and another owner.
    let callers = ["owner", "admin", "member", "org key", "project key", "owner's list", "lesser key of an owner"];
    let table: [(&str, [&str; 7]); 18] = [
        ("see member", [OK, OK, GONE, OK, GONE, OK, GONE]),
        ("raise member to admin", [OK, OK, GONE, OK, GONE, NO, GONE]),
        ("raise member to owner", [OK, NO, GONE, OK, GONE, NO, GONE]),
        ("raise admin to owner", [OK, NO, GONE, OK, GONE, NO, GONE]),
        ("lower admin to member", [OK, OK, GONE, OK, GONE, OK, GONE]),
        ("lower owner to admin", [OK, NO, GONE, OK, GONE, OK, GONE]),
        ("remove member", [OK, OK, GONE, OK, GONE, OK, GONE]),
        ("remove admin", [OK, OK, GONE, OK, GONE, OK, GONE]),
        ("remove owner", [OK, NO, GONE, OK, GONE, OK, GONE]),
        ("raise himself to owner", [OK, NO, NO, GONE, GONE, OK, NO]),
        ("remove himself", [OK, OK, OK, GONE, GONE, OK, NO]),
        ("invite member", [OK, OK, NO, OK, NO, NO, NO]),
        ("invite owner", [OK, NO, NO, OK, NO, NO, NO]),
        ("revoke invitation", [OK, OK, NO, OK, NO, OK, NO]),
        ("make team", [OK, OK, NO, OK, NO, OK, NO]),
        ("see team of others", [OK, OK, GONE, OK, GONE, OK, GONE]),
        ("fill team", [OK, OK, NO, OK, NO, OK, NO]),
        ("delete team", [OK, OK, NO, OK, NO, OK, NO]),
    ];
    for (action, expected) in table {
        for (caller, expected) in callers.iter().zip(expected) {
            let (world, first) = world();
            let organization = organization_of(&world, &first);
            let targets: Vec<String> = ["member", "admin", "owner"].map(|role| world.user(&organization, role)).into();
            let target =
                |role: &str| targets[["member", "admin", "owner"].iter().position(|r| *r == role).unwrap()].clone();
            let (own, key) = match *caller {
                "org key" => {
                    let (id, key) = world.create_from(&first, &json!({ "name": "n", "kind": "org", "scopes": [] }));
                    world.database.execute(&format!("UPDATE keys SET scopes = NULL WHERE id = '{id}'"));
                    (world.fresh_id(), key)
                }
                "project key" => {
                    let project = world.project(&first, "n");
                    let body = json!({ "name": "n", "kind": "proj", "project_id": project, "scopes": ["members:*"] });
                    (world.fresh_id(), world.create_from(&first, &body).1)
                }
                "owner's list" => {
                    let user = world.user(&organization, "owner");
                    let key = world.key_of(&first, &organization, &user, "owner", Some(&["members:*"])).1;
                    (user, key)
                }
                "lesser key of an owner" => {
                    let user = world.user(&organization, "owner");
                    let key = world.key_of(&first, &organization, &user, "member", None).1;
                    (user, key)
                }
                role => {
                    let (user, _, key) = world.colleague(&first, role);
                    (user, key)
                }
            };
            let invitation = invite(&world, &first, "a@b", "member").text("id");
            let team = format!("{TEAMS}/{}", world.post(TEAMS, &first, &json!({ "name": "n" })).text("id"));
            let world = world.another_isolate();
            let before = world.database.dump();
            let words: Vec<&str> = action.split(' ').collect();
            let answer = match words.as_slice() {
                ["see", "team", ..] => world.get(&team, &key),
                ["see", role] => world.get(&format!("{MEMBERS}/{}", target(role)), &key),
                ["raise", "himself", "to", to] => set_role(&world, &key, &own, to),
                ["raise" | "lower", from, "to", to] => set_role(&world, &key, &target(from), to),
                ["remove", "himself"] => remove(&world, &key, &own),
                ["remove", role] => remove(&world, &key, &target(role)),
                ["invite", role] => invite(&world, &key, "new@b", role),
                ["revoke", _] => delete(&world, &format!("{INVITATIONS}/{invitation}"), &key),
                ["make", _] => world.post(TEAMS, &key, &json!({ "name": "made" })),
                ["fill", _] => {
                    let path = format!("{team}/members/{}", target("member"));
                    world.call("PUT", &path, &key, &Value::Null)
                }
                ["delete", _] => delete(&world, &team, &key),
                _ => panic!("{action}"),
            };
            let told = format!("{caller}, {action}: {}", answer.json);
            if expected == OK {
                assert!(answer.status < 300, "{told}");
            } else {
                assert_eq!(answer.code(), expected, "{told}");
                assert_eq!(world.database.dump(), before, "{told}");
            }
        }
    }
}

#[test]
fn key_that_expires_lets_nobody_in_for_longer() {
    let (world, owner) = world();
    let (id, _, key) = world.colleague(&owner, "owner");
    let expires_at = world.clock.0.get().plus_ms(DAY_MS).0;
    world.database.execute(&format!("UPDATE keys SET expires_at = {expires_at} WHERE user_id = '{id}'"));
    let invited = invite(&world, &key, "a@b", "owner");
    let end = world.get("/v1/keys/self", &key).text("expires_at");
    assert_eq!([invited.text("expires_at"), invited.text("key_expires_at")], [end.clone(), end.clone()]);
    let accepted = accept(&world, &invited.text("token"));
    assert_eq!((accepted.status, accepted.text("expires_at")), (201, end.clone()));
    let again = invite(&world, &accepted.text("key"), "b@b", "owner");
    assert_eq!(again.text("key_expires_at"), end);
    world.advance_ms(DAY_MS);
    assert_problem(&open(&world, &again.text("token")), 404, "not_found");
}

#[test]
fn member_sees_himself_and_the_teams_that_he_is_in_alone() {
    let (world, owner) = world();
    let (user, key) = join_as(&world, &owner, "a@b", "member");
    let (colleague, _) = join_as(&world, &owner, "b@b", "member");
    let team = |name: &str, user: &str| {
        let id = world.post(TEAMS, &owner, &json!({ "name": name })).text("id");
        let path = format!("{TEAMS}/{id}/members/{user}");
        assert_eq!(world.call("PUT", &path, &owner, &Value::Null).status, 204);
        id
    };
    let (own, others) = (team("own", &user), team("others", &colleague));
    let members = world.get(MEMBERS, &key).json;
    assert_eq!(members["items"].as_array().unwrap().len(), 1);
    assert_eq!(members["items"][0]["user_id"], json!(user));
    assert_eq!(members["has_more"], false);
    assert_eq!(world.get(&format!("{MEMBERS}/{user}"), &key).status, 200);
    assert_problem(&world.get(&format!("{MEMBERS}/{colleague}"), &key), 404, "not_found");
    let teams = world.get(TEAMS, &key).json;
    assert_eq!((teams["items"].as_array().unwrap().len(), &teams["items"][0]["id"]), (1, &json!(own)));
    assert_eq!(world.get(&format!("{TEAMS}/{own}"), &key).json["members"][0]["user_id"], json!(user));
    assert_problem(&world.get(&format!("{TEAMS}/{others}"), &key), 404, "not_found");
    assert_problem(&world.get(INVITATIONS, &key), 403, "exceeds_own_access");
    assert_eq!(world.get(TEAMS, &owner).json["items"].as_array().unwrap().len(), 2);
}

#[test]
fn only_owner_stays_one() {
    let (world, owner) = world();
    world.colleague(&owner, "admin");
    let user = user_of(&world, &owner);
    let before = world.database.dump();
    for role in ["admin", "member"] {
        assert_problem(&set_role(&world, &owner, &user, role), 409, "last_owner");
    }
    assert_problem(&remove(&world, &owner, &user), 409, "last_owner");
    assert_problem(&delete(&world, &format!("{MEMBERS}/{user}?force=true"), &owner), 409, "last_owner");
    assert_eq!(world.database.dump(), before);
    world.colleague(&owner, "owner");
    assert_eq!(remove(&world, &owner, &user).status, 200);
}

#[test]
fn two_owners_who_end_each_other_at_once_leave_one() {
    for role in [Some("admin"), Some("member"), None] {
        let (mut one, first) = world();
        let (second_id, _, second) = one.colleague(&first, "owner");
        let first_id = user_of(&one, &first);
        let mut two = one.another_isolate();
        for (world, key) in [(&one, &first), (&two, &second)] {
            assert_eq!(world.get("/v1/scopes", key).status, 200);
        }
        one.before_batches(|_, _| {});
        two.before_batches(|_, _| {});
        let end = |user: &str, key: &str| {
            let path = format!("{MEMBERS}/{user}");
            match role {
                Some(role) => request("PATCH", &path, key, &json!({ "role": role })),
                None => request("DELETE", &path, key, &Value::Null),
            }
        };
        let (end_second, end_first) = (end(&second_id, &first), end(&first_id, &second));
        let handle = bitting::entry::handle;
        let (ended, late) = block_on(join(handle(&one.app, &end_second), handle(&two.app, &end_first)));
        assert_eq!(ended.status, 200);
        assert!([401, 403, 404].contains(&late.status), "{}", late.status);
        let owners = "SELECT count(*) FROM memberships WHERE role = 'owner'";
        assert_eq!(one.database.value(owners), 1);
    }
}

#[test]
fn person_who_alone_can_manage_keys_goes_only_if_it_is_forced() {
    // The first owner's key can manage people alone, and his spare key is switched off.
    let scene = |also: &str| {
        let (world, first) = world();
        let (user, _, _) = world.colleague(&first, "owner");
        world.create(&first, "spare", &["api-keys:write"]);
        world.database.execute(&format!(
            "UPDATE keys SET scopes = '[\"members:*\"]' WHERE name = 'first';
             UPDATE keys SET scopes = '[\"api-keys:*\"]' WHERE name = 'handed over';
             UPDATE keys SET disabled_at = 1 WHERE name = 'spare';
             INSERT INTO users (id, email, created_at) VALUES ('u', 'u@b', 0); {also}"
        ));
        (world.another_isolate(), first, format!("{MEMBERS}/{user}"))
    };
    for (method, body) in [("DELETE", Value::Null), ("PATCH", json!({ "role": "member" }))] {
        let (world, key, path) = scene("");
        let before = world.database.dump();
        assert_problem(&world.call(method, &path, &key, &body), 409, "last_managing_key");
        assert_eq!(world.database.dump(), before);
        let forced = format!("{path}?force=true");
        assert_problem(&world.call(method, &forced, &key, &body), 403, "exceeds_own_access");
        assert_eq!(world.database.dump(), before);
        // A key that may force could manage keys itself, but this one does not for long.
        let ends = format!("UPDATE keys SET scopes = NULL, expires_at = {} WHERE name = 'first'", START.0 + 1_000);
        let (world, key, path) = scene(&ends);
        assert_problem(&world.call(method, &path, &key, &body), 409, "last_managing_key");
        assert_eq!(world.call(method, &format!("{path}?force=true"), &key, &body).status, 200);
        for (also, enough) in [
            // Somebody else can, or the organization itself, or he himself could not anyway.
            ("UPDATE keys SET disabled_at = NULL WHERE name = 'spare'", true),
            ("UPDATE keys SET disabled_at = NULL, user_id = NULL, kind = 'org' WHERE name = 'spare'", true),
            ("UPDATE keys SET disabled_at = 1 WHERE name = 'handed over'", true),
            ("UPDATE keys SET expires_at = 1 WHERE name = 'handed over'", true),
            ("UPDATE keys SET role = 'member' WHERE name = 'handed over'", true),
            // A key that has expired, or whose user is gone, or is a member now, can do nothing.
            ("UPDATE keys SET disabled_at = NULL, expires_at = 1 WHERE name = 'spare'", false),
            ("UPDATE keys SET disabled_at = NULL, user_id = 'u' WHERE name = 'spare'", false),
            (
                "UPDATE keys SET disabled_at = NULL, user_id = 'u' WHERE name = 'spare';
                 INSERT INTO memberships (organization_id, user_id, role, created_at)
                 SELECT id, 'u', 'member', 0 FROM organizations",
                false,
            ),
        ] {
            let (world, key, path) = scene(also);
            let answer = world.call(method, &path, &key, &body);
            assert_eq!(answer.status == 200, enough, "{also}: {}", answer.json);
        }
    }
    let (world, key, path) = scene("");
    let lowered = world.call("PATCH", &path, &key, &json!({ "role": "admin" }));
    assert_eq!(lowered.status, 200, "an admin still can: {}", lowered.json);
}

#[test]
fn removing_somebody_does_not_let_his_keys_stand_in_for_the_last_managing_key() {
    let (world, owner) = world();
    let (user, _, _) = world.colleague(&owner, "admin");
    assert_eq!(remove(&world, &owner, &user).status, 200);
    let id = world.get("/v1/keys/self", &owner).text("id");
    assert_problem(&delete(&world, &format!("/v1/keys/{id}"), &owner), 409, "last_managing_key");
}

#[test]
fn remove_person_of_ten_thousand_keys_writes_one_feed_row() {
    let (world, owner) = world();
    let (user, first_id, first) = world.colleague(&owner, "admin");
    world.copy_key(&first_id, 10_000, "00000001", None);
    let second = world.create(&first, "second", &["datasets:read"]).1;
    let team = world.post(TEAMS, &owner, &json!({ "name": "n" })).text("id");
    world.call("PUT", &format!("{TEAMS}/{team}/members/{user}"), &owner, &Value::Null);
    let open_still = token(&world, &first, "a@b", "member");
    let others = token(&world, &owner, "c@b", "member");
    let (other, quiet) = (world.another_isolate(), world.another_isolate());
    for world in [&other, &quiet] {
        for key in [&first, &second] {
            assert_eq!(world.verify(&owner, key, &[])["code"], "valid");
        }
    }
    let total = || world.database.connection.borrow().total_changes();
    let head = || world.database.value("SELECT max(seq) FROM changes").as_i64().unwrap();
    let (before, written) = (head(), total());
    let steps = world.steps(|| assert_eq!(remove(&world, &owner, &user).status, 200));
    assert_eq!(
        total() - written,
        8,
        "the membership, its row of the feed, the event and its number, a place in a team, an invitation, and the usage of two"
    );
    assert!(steps < 1_500, "{steps} steps");
    let feed = "SELECT subject FROM changes ORDER BY seq DESC LIMIT 1";
    assert_eq!((head(), world.database.value(feed)), (before + 1, json!(user)));
    assert_eq!(world.get(&format!("{TEAMS}/{team}"), &owner).json["members"], json!([]));
    assert_problem(&open(&world, &open_still), 404, "not_found");
    assert_eq!(open(&world, &others).status, 200);
    // Routes that ask the database refuse his keys at once; an isolate that has not heard within the bound.
    for key in [&first, &second] {
        assert_problem(&other.get("/v1/keys/self", key), 401, "user_removed");
        assert_eq!(quiet.verify(&owner, key, &[])["code"], "valid");
    }
    quiet.later.drop_all();
    world.advance_ms(STALENESS_MS + 1);
    for key in [&first, &second] {
        assert_eq!(quiet.verify(&owner, key, &[])["code"], "user_removed");
    }
}

#[test]
fn lower_role_ends_invitations_beyond_the_new_role() {
    let (world, owner) = world();
    let (user, _, key) = world.colleague(&owner, "owner");
    let tokens = ["member", "admin", "owner"].map(|role| token(&world, &key, &format!("{role}@b"), role));
    let left = || tokens.each_ref().map(|token| open(&world, token).status == 200);
    assert_eq!(set_role(&world, &owner, &user, "admin").json["role"], "admin");
    assert_eq!(last_events(&world, 1), "member.updated");
    assert_eq!(left(), [true, true, false]);
    let events = world.database.count("audit_events");
    assert_eq!(set_role(&world, &owner, &user, "admin").status, 200);
    assert_eq!(world.database.count("audit_events"), events, "nothing changed");
    assert_eq!(set_role(&world, &owner, &user, "member").status, 200);
    assert_eq!(left(), [false, false, false]);
    assert_problem(&invite(&world, &key, "d@b", "member"), 403, "exceeds_own_access");
}

#[test]
fn change_of_somebody_who_is_no_member_leaves_his_invitations_elsewhere_alone() {
    let (world, owner) = world();
    let (_, _, stranger) = world.stranger(&owner);
    let token = token(&world, &owner, "a@b", "member");
    let user = user_of(&world, &owner);
    assert_problem(&remove(&world, &stranger, &user), 404, "not_found");
    assert_problem(&set_role(&world, &stranger, &user, "member"), 404, "not_found");
    assert_eq!(open(&world, &token).status, 200);
}

#[test]
fn whoever_is_removed_takes_his_invitations_along_wherever_they_lead() {
    let (world, owner) = world();
    let (theirs, _, _) = world.stranger(&owner);
    let (user, _, key) = world.colleague(&owner, "owner");
    let own = token(&world, &key, "a@b", "member");
    let path = format!("/v1/organizations/{theirs}/invitations");
    let elsewhere = world.post(&path, &key, &json!({ "email": "a@b", "role": "member" })).text("token");
    let left = || [&own, &elsewhere].map(|token| open(&world, token).status);
    assert_eq!(left(), [200, 200]);
    assert_eq!(remove(&world, &owner, &user).status, 200);
    assert_eq!(left(), [404, 404]);
}

#[test]
fn key_of_a_lowered_person_can_still_rotate_itself() {
    let (world, owner) = world();
    let (user, id, key) = world.colleague(&owner, "owner");
    assert_eq!(set_role(&world, &owner, &user, "member").status, 200);
    let mut rotate = request("POST", &format!("/v1/keys/{id}/rotate"), &key, &json!({ "grace_period_seconds": 60 }));
    rotate.headers.push(("idempotency-key".to_owned(), "once".to_owned()));
    let (first, again) = (world.send(&rotate), world.send(&rotate));
    assert_eq!((first.status, again.status), (200, 200), "{} {}", first.json, again.json);
    assert_eq!(first.text("key"), again.text("key"));
}

#[test]
fn raised_person_keeps_his_keys_as_they_are() {
    let (world, owner) = world();
    let (user, key) = join_as(&world, &owner, "a@b", "member");
    assert_eq!(set_role(&world, &owner, &user, "owner").status, 200);
    assert_eq!(world.get("/v1/keys/self", &key).json["role"], "member");
    assert_problem(&invite(&world, &key, "c@b", "member"), 403, "exceeds_own_access");
}

#[test]
fn teams_are_made_filled_renamed_and_ended() {
    let (world, owner) = world();
    let (user, _) = join_as(&world, &owner, "a@b", "member");
    let (_, _, stranger) = world.stranger(&owner);
    let team = world.post(TEAMS, &owner, &json!({ "name": "red" }));
    let path = format!("{TEAMS}/{}", team.text("id"));
    world.post(TEAMS, &owner, &json!({ "name": "blue" }));
    assert_problem(&world.post(TEAMS, &owner, &json!({ "name": "red" })), 409, "team_exists");
    assert_problem(&world.call("PATCH", &path, &owner, &json!({ "name": "blue" })), 409, "team_exists");
    assert_eq!(world.post(TEAMS, &stranger, &json!({ "name": "red" })).status, 201);
    let renamed = world.call("PATCH", &path, &owner, &json!({ "name": "green" }));
    assert_eq!((renamed.status, renamed.text("name")), (200, "green".to_owned()));
    assert_eq!(last_events(&world, 1), "team.updated");
    let place = |user: &str| format!("{path}/members/{user}");
    for _ in 0..2 {
        assert_eq!(world.call("PUT", &place(&user), &owner, &Value::Null).status, 204);
        assert_eq!(last_events(&world, 2), "team.member_added,team.updated", "one event for the one change");
    }
    assert_eq!(world.get(&path, &owner).json["members"][0]["user_id"], json!(user));
    let theirs = user_of(&world, &stranger);
    for nobody in [&theirs, &world.fresh_id(), "x"] {
        assert_problem(&world.call("PUT", &place(nobody), &owner, &Value::Null), 404, "not_found");
        assert_problem(&delete(&world, &place(nobody), &owner), 404, "not_found");
    }
    assert_eq!(delete(&world, &place(&user), &owner).status, 200);
    assert_eq!(last_events(&world, 1), "team.member_removed");
    assert_problem(&delete(&world, &place(&user), &owner), 404, "not_found");
    world.call("PUT", &place(&user), &owner, &Value::Null);
    assert_eq!(delete(&world, &path, &owner).status, 200);
    assert_eq!((last_events(&world, 1).as_str(), world.database.count("team_members")), ("team.deleted", 0));
    assert_problem(&world.get(&path, &owner), 404, "not_found");
    assert_problem(&delete(&world, &path, &owner), 404, "not_found");
}

#[test]
fn team_has_a_thousand_people_at_most() {
    let (world, owner) = world();
    let organization = organization_of(&world, &owner);
    let team = world.post(TEAMS, &owner, &json!({ "name": "all" })).text("id");
    world.database.execute(&format!(
        "INSERT INTO users (id, email, created_at)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         SELECT printf('00000002-0000-7000-8000-%012x', i), i || '@b', 0 FROM n;
         INSERT INTO team_members (team_id, user_id, organization_id, created_at)
         SELECT '{team}', id, '{organization}', 0 FROM users WHERE id LIKE '00000002%' LIMIT 999"
    ));
    let (last, late) = (world.user(&organization, "member"), world.user(&organization, "member"));
    let put = |user: &str| world.call("PUT", &format!("{TEAMS}/{team}/members/{user}"), &owner, &Value::Null);
    assert_eq!(put(&last).status, 204);
    assert_problem(&put(&late), 409, "team_full");
    assert_eq!(put(&last).status, 204, "he is in it");
    assert_eq!(world.get(&format!("{TEAMS}/{team}"), &owner).json["members"].as_array().unwrap().len(), 1_000);
    assert_eq!(delete(&world, &format!("{TEAMS}/{team}"), &owner).status, 200);
    assert_eq!(world.database.count("team_members"), 0);
}

#[test]
fn lists_are_paged_newest_first() {
    let (world, owner) = world();
    for index in 0..3 {
        world.advance_ms(1);
        token(&world, &owner, &format!("{index}@b"), "member");
        world.post(TEAMS, &owner, &json!({ "name": index.to_string() }));
        join_as(&world, &owner, &format!("{index}@c"), "member");
    }
    for (path, id, count) in [(MEMBERS, "user_id", 4), (INVITATIONS, "id", 3), (TEAMS, "id", 3)] {
        let all = world.get(path, &owner).json["items"].clone();
        let ids: Vec<&str> = all.as_array().unwrap().iter().map(|item| item[id].as_str().unwrap()).collect();
        assert!(ids.len() == count && ids.is_sorted_by(|a, b| a > b), "{ids:?}");
        let mut paged = Vec::new();
        let mut query = "limit=1".to_owned();
        loop {
            let page = world.get(&format!("{path}?{query}"), &owner).json;
            paged.push(page["items"][0].clone());
            assert_eq!(page["has_more"], json!(page["next_cursor"].is_string()));
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("limit=1&starting_after={cursor}"),
                None => break,
            }
        }
        assert_eq!(json!(paged), all);
        for (wrong, field) in [("limit=1001", "limit"), ("starting_after=x", "starting_after"), ("role=a", "role")] {
            let answer = world.get(&format!("{path}?{wrong}"), &owner);
            assert_problem(&answer, 400, "validation_failed");
            assert_eq!(answer.field(), field);
        }
    }
}

#[test]
fn operator_manages_the_people_of_every_organization_that_is_there() {
    let (world, owner) = world();
    let (theirs, _, stranger) = world.stranger(&owner);
    let their_owner = user_of(&world, &stranger);
    let of = |organization: &str, path: &str| format!("/v1/organizations/{organization}/{path}");
    assert_eq!(world.get(&of(&theirs, "members"), &owner).json["items"][0]["user_id"], json!(their_owner));
    let invited = world.post(&of(&theirs, "invitations"), &owner, &json!({ "email": "a@b", "role": "owner" }));
    assert_eq!(invited.status, 201, "{}", invited.json);
    let joined = accept(&world, &invited.text("token"));
    assert_eq!(joined.text("organization_id"), theirs);
    assert_eq!(delete(&world, &of(&theirs, &format!("members/{their_owner}")), &owner).status, 200);
    assert_problem(&world.get(&of(&organization_of(&world, &owner), "members"), &joined.text("key")), 404, "not_found");
    let nowhere = world.fresh_id();
    let before = world.database.dump();
    for (method, path, body) in [
        ("GET", "members".to_owned(), Value::Null),
        ("GET", "invitations".to_owned(), Value::Null),
        ("GET", "teams".to_owned(), Value::Null),
        ("POST", "invitations".to_owned(), json!({ "email": "c@b", "role": "member" })),
        ("POST", "teams".to_owned(), json!({ "name": "n" })),
        ("DELETE", format!("members/{their_owner}"), Value::Null),
    ] {
        assert_problem(&world.call(method, &of(&nowhere, &path), &owner, &body), 404, "not_found");
    }
    assert_eq!(world.database.dump(), before);
}

#[test]
fn every_route_asks_the_database_once() {
    let (world, owner) = world();
    let (user, _) = join_as(&world, &owner, "a@b", "member");
    let team = world.post(TEAMS, &owner, &json!({ "name": "n" })).text("id");
    let invitation = invite(&world, &owner, "c@b", "member").text("id");
    world.get("/v1/keys/self", &owner);
    for (method, path, body) in [
        ("GET", MEMBERS.to_owned(), Value::Null),
        ("GET", format!("{MEMBERS}/{user}"), Value::Null),
        ("PATCH", format!("{MEMBERS}/{user}"), json!({ "role": "admin" })),
        ("GET", INVITATIONS.to_owned(), Value::Null),
        ("POST", INVITATIONS.to_owned(), json!({ "email": "d@b", "role": "member" })),
        ("DELETE", format!("{INVITATIONS}/{invitation}"), Value::Null),
        ("GET", TEAMS.to_owned(), Value::Null),
        ("POST", TEAMS.to_owned(), json!({ "name": "m" })),
        ("GET", format!("{TEAMS}/{team}"), Value::Null),
        ("PATCH", format!("{TEAMS}/{team}"), json!({ "name": "o" })),
        ("PUT", format!("{TEAMS}/{team}/members/{user}"), Value::Null),
        ("DELETE", format!("{TEAMS}/{team}/members/{user}"), Value::Null),
        ("DELETE", format!("{TEAMS}/{team}"), Value::Null),
        ("DELETE", format!("{MEMBERS}/{user}"), Value::Null),
    ] {
        let (answer, io) = world.counted(|| world.call(method, &path, &owner, &body));
        assert!(answer.status < 300, "{method} {path}: {}", answer.json);
        assert_eq!(io, (1, 0, 0), "{method} {path}");
    }
}
