//! Lineage: everything knows its creator, and a key or a person can end with all that descends from it.

use serde_json::{Value, json};

use crate::{
    pages::{Browser, html},
    support::{Answer, World, problem::assert_problem},
};

/// A world with an owner's key, and a key `leaked` of the same owner with full access: its id and its text.
struct Scene {
    world: World,
    owner: String,
    leaked: String,
    leaked_key: String,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let owner = world.bootstrap();
        let (leaked, leaked_key) = full(&world, &owner, "leaked");
        Self { world, owner, leaked, leaked_key }
    }

    fn end(&self, by: &str, id: &str) -> Answer {
        self.world.call("DELETE", &format!("/v1/keys/{id}?with_descendants=true"), by, &Value::Null)
    }

    fn code(&self, key: &str) -> Value {
        self.world.verify(&self.owner, key, &[])["code"].clone()
    }

    fn count(&self, table: &str, condition: &str) -> i64 {
        self.world.database.value(&format!("SELECT count(*) FROM {table} WHERE {condition}")).as_i64().unwrap()
    }
}

/// A key with all that its creator holds.
fn full(world: &World, by: &str, name: &str) -> (String, String) {
    let answer = world.post("/v1/api_key", by, &json!({ "name": name }));
    assert_eq!(answer.status, 200, "{}", answer.json);
    let key = answer.text("key");
    (world.get("/v1/keys/self", &key).text("id"), key)
}

fn invite(world: &World, by: &str, email: &str) -> Answer {
    let answer = world.post("/v1/organizations/self/invitations", by, &json!({ "email": email, "role": "owner" }));
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer
}

fn accept(world: &World, invitation: &Answer) -> String {
    let path = format!("/v1/invitations/{}/accept", invitation.text("token"));
    let answer = world.post(&path, "", &json!({ "key_name": "first" }));
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer.text("key")
}

/// A sign-in link for a member, as a path.
fn link(world: &World, by: &str, user: &str) -> String {
    let path = format!("/v1/organizations/self/members/{user}/sign-in-links");
    let link = world.post(&path, by, &Value::Null).text("link");
    link.strip_prefix("https://keys.example.com").unwrap().to_owned()
}

#[test]
fn everything_knows_its_creator_on_every_surface() {
    let Scene { world, owner, leaked, leaked_key } = Scene::new();
    let this = world.get("/v1/keys/self", &owner);
    let (me, user) = (this.text("id"), this.text("user_id"));
    assert_eq!((&this.json["created_by"], &this.json["created_by_user"]), (&Value::Null, &Value::Null));
    let made_by = |key: &str| {
        let this = world.get("/v1/keys/self", key).json;
        (this["created_by"].clone(), this["created_by_user"].clone())
    };
    let by = |id: &str| (json!(id), json!(user));
    assert_eq!(made_by(&leaked_key), by(&me));
    let (_, child) = world.create(&leaked_key, "child", &[]);
    assert_eq!(made_by(&child), by(&leaked));
    let (org, of_org) =
        world.create_from(&leaked_key, &json!({ "name": "o", "kind": "org", "scopes": ["api-keys:*", "members:*"] }));
    assert_eq!(made_by(&of_org), by(&leaked));
    // A key without a user creates for nobody.
    let (_, grandchild) = world.create(&of_org, "grandchild", &[]);
    assert_eq!(made_by(&grandchild), (json!(org), Value::Null));
    let project = world.post("/v1/organizations/self/projects", &leaked_key, &json!({ "name": "p" }));
    assert_eq!(made_by(project.json["key"]["key"].as_str().unwrap()), by(&leaked));
    // An accepted invitation.
    let invitation = invite(&world, &leaked_key, "new@example.com");
    assert_eq!((&invitation.json["created_by"], &invitation.json["created_by_user"]), (&json!(leaked), &json!(user)));
    assert_eq!(made_by(&accept(&world, &invitation)), by(&leaked));
    // A session that was signed in by a link, and its key.
    let mut browser =
        Browser::with_link(&world, &format!("https://keys.example.com{}", link(&world, &leaked_key, &user)));
    let page = browser.fill(
        "/settings/keys/new",
        "/settings/keys/new",
        &[("name", "in session"), ("owner", "me"), ("full", "yes"), ("expires", "never")],
    );
    assert_eq!(page.status, 200, "{}", html(&page));
    let row = "SELECT created_by = (SELECT id FROM sessions) || '|' || created_by_user || '|' || parent_id \
               FROM keys WHERE name = 'in session'";
    let row = row.replace("created_by = (SELECT id FROM sessions)", "(created_by = (SELECT id FROM sessions))");
    assert_eq!(world.database.value(&row), json!(format!("1|{user}|{leaked}")));
    let session = "SELECT created_by || '|' || created_by_user || '|' || parent_id FROM sessions";
    assert_eq!(world.database.value(session), json!(format!("{leaked}|{user}|{leaked}")));
    let started = "SELECT json_extract(details, '$.created_by') FROM audit_events WHERE action = 'session.created'";
    assert_eq!(world.database.value(started), json!(leaked));
    // The page of a key tells it.
    let page = html(&Browser::with_key(&world, &owner).get(&format!("/settings/keys/{org}")));
    assert!(page.contains("by owner@example.com, with the key leaked"), "{page}");
    // Rotation and change leave the line.
    let rotated = world.post(&format!("/v1/keys/{org}/rotate"), &owner, &json!({})).text("key");
    assert_eq!(made_by(&rotated), by(&leaked));
}

#[test]
fn lists_filter_by_creator() {
    let Scene { world, owner, leaked, leaked_key } = Scene::new();
    let user = world.get("/v1/keys/self", &owner).text("user_id");
    let (child, _) = world.create(&leaked_key, "child", &[]);
    world.create(&owner, "other", &[]);
    let (_, _, stranger) = world.stranger(&owner);
    let ids = |by: &str, query: &str| {
        let answer = world.get(&format!("/v1/keys?{query}"), by);
        assert_eq!(answer.status, 200, "{}", answer.json);
        let keys = answer.json["items"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned());
        keys.collect::<Vec<_>>()
    };
    assert_eq!(ids(&owner, &format!("created_by={leaked}")), [child]);
    assert_eq!(ids(&owner, &format!("created_by_user={user}&name=other")).len(), 1);
    assert_eq!(ids(&owner, &format!("created_by_user={user}")).len(), 3);
    assert_eq!(ids(&stranger, &format!("created_by={leaked}")), [""; 0]);
    let made = invite(&world, &leaked_key, "new@example.com").text("id");
    let invitations = |query: &str| {
        let answer = world.get(&format!("/v1/organizations/self/invitations?{query}"), &owner);
        answer.json["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(invitations(&format!("created_by={leaked}")), [json!(made)]);
    assert_eq!(invitations(&format!("created_by_user={user}")), [json!(made)]);
    assert!(invitations(&format!("created_by={made}")).is_empty());
}

#[test]
fn key_ends_with_all_that_descends_from_it_by_one_row_of_the_feed() {
    let scene = Scene::new();
    let Scene { world, owner, leaked, leaked_key } = &scene;
    let user = world.get("/v1/keys/self", owner).text("user_id");
    // Makers: the key, its child, the child's key of the organization, a person who joined, a session by a link.
    let (_, child) = full(world, leaked_key, "child");
    let (_, org) = world.create_from(&child, &json!({ "name": "org", "kind": "org", "scopes": ["api-keys:*"] }));
    let (_, of_org) = world.create(&org, "of org", &[]);
    let joined = accept(world, &invite(world, &child, "a@example.com"));
    let (_, of_joined) = full(world, &joined, "of joined");
    let mut browser = Browser::with_link(world, &format!("https://keys.example.com{}", link(world, &child, &user)));
    let made = browser.fill(
        "/settings/keys/new",
        "/settings/keys/new",
        &[("name", "in session"), ("owner", "me"), ("full", "yes"), ("expires", "never")],
    );
    assert_eq!(made.status, 200);
    let page = browser.fill(
        "/settings/people",
        "/settings/people",
        &[("email", "b@example.com"), ("role", "owner"), ("lasts", "7")],
    );
    let token = html(&page).split_once("https://keys.example.com/invitations/").unwrap().1.to_owned();
    let token = token.split(['"', '<']).next().unwrap().to_owned();
    let invited = invite(world, &of_joined, "c@example.com");
    let open = link(world, &of_joined, &user);
    let rest = [&child, &org, &of_org, &joined, &of_joined];
    for key in rest {
        assert_eq!(scene.code(key), "valid");
    }
    let preview = world.get(&format!("/v1/keys/{leaked}/descendants"), owner).json;
    let counts = json!({ "keys": 6, "invitations": 2, "sign_in_links": 1, "sessions": 1, "trusts": 0 });
    assert_eq!((&preview["descendants"], preview["keys"].as_array().unwrap().len()), (&counts, 6), "{preview}");
    assert_eq!(preview["may_end"], true);
    let (before, steps) = (scene.count("changes", "true"), world.database.value("SELECT max(seq) FROM changes"));
    let answer = scene.end(owner, leaked);
    assert_eq!((answer.status, &answer.json["descendants"]), (200, &counts), "{}", answer.json);
    let moved = scene.count("changes", &format!("seq > {steps}"));
    assert_eq!((moved, scene.count("changes", "true") - before <= 1), (1, true), "more than one row of the feed");
    for key in rest.into_iter().chain([leaked_key]) {
        assert_eq!(scene.code(key), "key_revoked");
        assert_problem(&world.get("/v1/keys/self", key), 401, "key_revoked");
    }
    assert!(!browser.is_signed_in());
    for token in [token, invited.text("token")] {
        let path = format!("/v1/invitations/{token}/accept");
        assert_eq!(world.post(&path, "", &json!({ "key_name": "n" })).status, 404);
    }
    assert_eq!(Browser::new(world).post(&open, &[]).status, 404);
    assert_eq!(world.get("/v1/keys/self", owner).status, 200);
    // Each key has its event, which says with what it ended.
    let events = format!("action = 'key.revoked' AND details = json('{{\"ended_with\":{{\"key\":\"{leaked}\"}}}}')");
    assert_eq!(scene.count("audit_events", &events), 6);
    assert_eq!(scene.count("audit_events", "action = 'key.revoked'"), 7);
    // Again: nothing more.
    let dump = world.database.dump();
    let answer = scene.end(owner, leaked);
    assert_eq!((answer.status, &answer.json["descendants"]["keys"]), (200, &json!(0)), "{}", answer.json);
    assert_eq!(world.database.dump(), dump);
}

#[test]
fn what_stays_by_default_ends_later_with_the_key() {
    let scene = Scene::new();
    let Scene { world, owner, leaked, leaked_key } = &scene;
    let user = world.get("/v1/keys/self", owner).text("user_id");
    let (child_id, child) = full(world, leaked_key, "child");
    let (_, grandchild) = full(world, &child, "grandchild");
    let mut browser = Browser::with_link(world, &format!("https://keys.example.com{}", link(world, &child, &user)));
    for id in [leaked, &child_id] {
        assert_eq!(world.call("DELETE", &format!("/v1/keys/{id}"), owner, &Value::Null).status, 200);
    }
    assert_eq!((scene.code(&grandchild), browser.is_signed_in()), (json!("valid"), true));
    let answer = scene.end(owner, leaked);
    assert_eq!(answer.json["descendants"]["keys"], 1, "{}", answer.json);
    assert_eq!((scene.code(&grandchild), browser.is_signed_in()), (json!("key_revoked"), false));
}

#[test]
fn caller_below_a_descendant_ends_nothing() {
    let scene = Scene::new();
    let Scene { world, owner, .. } = &scene;
    let (_, _, admin) = world.colleague(owner, "admin");
    let (_, member_id, member) = world.colleague(owner, "member");
    let (child, child_key) = full(world, &member, "child");
    // An owner's key descends from the member's, because that was once an owner's.
    let (owners, owners_key) = full(world, owner, "owner's");
    world.database.execute(&format!("UPDATE keys SET parent_id = '{child}' WHERE id = '{owners}'"));
    let before = world.database.dump();
    for caller in [&admin, &member, &child_key] {
        assert_problem(&scene.end(caller, &member_id), 403, "exceeds_own_access");
    }
    let dump = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("audit_events") && !line.starts_with("sqlite_seq"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(dump(&world.database.dump()), dump(&before));
    assert_eq!(world.get(&format!("/v1/keys/{member_id}/descendants"), &admin).json["may_end"], false);
    // Another member's key is beyond a member's reach, whatever its role.
    let (_, _, other) = world.colleague(owner, "member");
    assert_problem(&scene.end(&other, &member_id), 404, "not_found");
    let (own_id, own) = full(world, &other, "own");
    world.database.execute(&format!("UPDATE keys SET parent_id = '{own_id}' WHERE id = '{member_id}'"));
    assert_problem(&scene.end(&own, &own_id), 403, "exceeds_own_access");
    assert_eq!(scene.code(&owners_key), "valid");
    let answer = scene.end(owner, &own_id);
    assert_eq!((answer.status, &answer.json["descendants"]["keys"]), (200, &json!(3)), "{}", answer.json);
    assert_eq!(scene.code(&owners_key), "key_revoked");
}

#[test]
fn lineage_stops_at_the_organization_and_is_unknown_to_others() {
    let scene = Scene::new();
    let Scene { world, owner, leaked, leaked_key } = &scene;
    let (organization, theirs, stranger) = world.stranger(owner);
    assert_problem(&scene.end(&stranger, leaked), 404, "not_found");
    assert_problem(&world.get(&format!("/v1/keys/{leaked}/descendants"), &stranger), 404, "not_found");
    assert_problem(&scene.end(owner, &theirs), 404, "not_found");
    let body = json!({ "name": "Tenant", "email": "t@example.com", "key_name": "first" });
    let tenant = world.post("/v1/organizations", leaked_key, &body);
    assert_eq!(tenant.status, 201, "{}", tenant.json);
    world.database.execute(&format!("UPDATE keys SET parent_id = '{leaked}' WHERE id = '{theirs}'"));
    assert_eq!(scene.end(owner, leaked).status, 200);
    assert_eq!(world.get("/v1/keys/self", tenant.json["key"]["key"].as_str().unwrap_or_default()).status, 200);
    assert_eq!(world.get("/v1/keys/self", &stranger).text("organization_id"), organization);
}

#[test]
fn circle_that_was_made_by_hand_has_an_end() {
    let scene = Scene::new();
    let Scene { world, owner, leaked, leaked_key } = &scene;
    let (child, child_key) = full(world, leaked_key, "child");
    // No route sets a parent, and a parent is older than its child.
    let older =
        "EXISTS (SELECT 1 FROM keys AS parent WHERE parent.id = keys.parent_id AND parent.number >= keys.number)";
    assert_eq!(scene.count("keys", older), 0);
    world.database.execute(&format!("UPDATE keys SET parent_id = '{child}' WHERE id = '{leaked}'"));
    assert_eq!(scene.end(owner, leaked).json["descendants"]["keys"], 1);
    assert_eq!(scene.code(&child_key), "key_revoked");
}

#[test]
fn line_that_is_too_long_does_not_end() {
    let scene = Scene::new();
    let Scene { world, owner, leaked, leaked_key } = &scene;
    let (child, _) = full(world, leaked_key, "child");
    let columns = world.database.value(
        "SELECT group_concat(name) FROM pragma_table_info('keys') \
        WHERE name NOT IN ('id', 'number', 'digest', 'parent_id')",
    );
    let columns = columns.as_str().unwrap();
    let fill = |from: usize, to: usize| {
        world.database.execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to}) \
             INSERT INTO keys (id, number, digest, parent_id, {columns}) \
             SELECT printf('02000000-0000-7000-8000-%012x', i), 1000 + i, 'digest ' || i, '{child}', {columns} \
             FROM n, keys WHERE id = '{child}'"
        ));
    };
    fill(1, 9_999);
    let before = world.database.dump().len();
    assert_problem(&scene.end(owner, leaked), 409, "too_many_descendants");
    assert_eq!(world.database.dump().len(), before);
    assert_eq!(scene.code(leaked_key), "valid");
    let answer = scene.end(owner, &child);
    assert_eq!((answer.status, &answer.json["descendants"]["keys"]), (200, &json!(9_999)), "{}", answer.json);
    assert_eq!(scene.count("keys", "revoked_at IS NULL"), 2);
}

#[test]
fn lock_out_guard_counts_descendants() {
    let world = World::new();
    let owner = world.bootstrap();
    let id = world.get("/v1/keys/self", &owner).text("id");
    full(&world, &owner, "child");
    let end = |id: &str, more: &str| {
        world.call("DELETE", &format!("/v1/keys/{id}?with_descendants=true{more}"), &owner, &Value::Null)
    };
    // The child would stand in for the key, but ends with it.
    assert_problem(&end(&id, ""), 409, "last_managing_key");
    assert_eq!(world.call("DELETE", &format!("/v1/keys/{id}"), &owner, &Value::Null).status, 200);
    let world = World::new();
    let owner = world.bootstrap();
    let id = world.get("/v1/keys/self", &owner).text("id");
    full(&world, &owner, "child");
    let (_, _, other) = world.colleague(&owner, "owner");
    // Its creator made the colleague's key, too.
    let path = format!("/v1/keys/{id}?with_descendants=true");
    assert_problem(&world.call("DELETE", &path, &other, &Value::Null), 409, "last_managing_key");
    world.database.execute(
        "UPDATE keys SET parent_id = NULL WHERE role = 'owner' AND user_id <> (SELECT min(user_id) FROM memberships)",
    );
    assert_eq!(world.call("DELETE", &path, &other, &Value::Null).status, 200);
}

#[test]
fn invitation_ends_with_the_key_that_created_it() {
    let endings: [(&str, &str, Value, u16); 5] = [
        ("DELETE", "", Value::Null, 404),
        ("PATCH", "", json!({ "scopes": ["members:*"] }), 404),
        ("PATCH", "", json!({ "enabled": false }), 404),
        ("PATCH", "", json!({ "name": "renamed" }), 201),
        ("POST", "/rotate", json!({}), 201),
    ];
    for (method, path, body, status) in endings {
        let Scene { world, owner, leaked, leaked_key } = Scene::new();
        let token = invite(&world, &leaked_key, "new@example.com").text("token");
        let answer = world.call(method, &format!("/v1/keys/{leaked}{path}"), &owner, &body);
        assert_eq!(answer.status, 200, "{}", answer.json);
        let accept = || world.post(&format!("/v1/invitations/{token}/accept"), "", &json!({ "key_name": "n" })).status;
        assert_eq!(accept(), status, "{method} {body}");
        if body["enabled"] == json!(false) {
            // It was only paused.
            world.change(&owner, &leaked, &json!({ "enabled": true }));
            assert_eq!(accept(), 201);
        } else if status == 404 {
            invite(&world, &owner, "new@example.com");
        }
    }
}

#[test]
fn sign_in_links_are_listed_and_taken_back() {
    let Scene { world, owner, leaked, leaked_key } = Scene::new();
    let user = world.get("/v1/keys/self", &owner).text("user_id");
    let (member, _, members) = world.colleague(&owner, "member");
    let (_, _, admin) = world.colleague(&owner, "admin");
    let (_, _, stranger) = world.stranger(&owner);
    let (for_owner, for_member) = (link(&world, &leaked_key, &user), link(&world, &admin, &member));
    let list = |by: &str| world.get("/v1/organizations/self/sign-in-links", by);
    let links = list(&owner).json["items"].clone();
    assert_eq!(links.as_array().unwrap().len(), 2, "{links}");
    assert_eq!((&links[1]["created_by"], &links[1]["created_by_user"]), (&json!(leaked), &json!(user)));
    assert_eq!((&links[0]["user_id"], &links[0]["role"]), (&json!(member), &json!("member")));
    assert!(!links.to_string().contains(for_owner.rsplit('/').next().unwrap()));
    assert_eq!(list(&stranger).json["items"], json!([]));
    assert_problem(&list(&members), 403, "exceeds_own_access");
    let revoke = |by: &str, index: usize| {
        let id = links[index]["id"].as_str().unwrap();
        world.call("DELETE", &format!("/v1/organizations/self/sign-in-links/{id}"), by, &Value::Null)
    };
    assert_problem(&revoke(&stranger, 0), 404, "not_found");
    assert_problem(&revoke(&members, 0), 403, "exceeds_own_access");
    // An admin could not have created a link for an owner.
    assert_problem(&revoke(&admin, 1), 404, "not_found");
    assert_eq!(revoke(&admin, 0).status, 200);
    assert_problem(&revoke(&admin, 0), 404, "not_found");
    assert_eq!(Browser::new(&world).post(&for_member, &[]).status, 404);
    // On the pages.
    let mut browser = Browser::with_key(&world, &owner);
    let id = links[1]["id"].as_str().unwrap();
    let action = format!("/settings/people/sign-in-links/{id}/revoke");
    assert!(html(&browser.get("/settings/people")).contains(&action));
    assert_eq!(browser.post(&action, &[]).status, 303);
    assert!(!html(&browser.get("/settings/people")).contains("Open sign-in links"));
    assert_eq!(Browser::new(&world).post(&for_owner, &[]).status, 404);
}

/// A former owner: their id, what descends from them, and what they have only seen.
struct Leaver {
    user: String,
    org: String,
    of_org: String,
    theirs: String,
    invited: String,
    seen: String,
}

fn leaver(scene: &Scene) -> Leaver {
    let Scene { world, owner, .. } = scene;
    let (user, _, key) = world.colleague(owner, "owner");
    let (_, org) = world.create_from(&key, &json!({ "name": "deploy", "kind": "org", "scopes": ["api-keys:*"] }));
    let (_, of_org) = world.create(&org, "of deploy", &[]);
    let (_, theirs) = world.create(&key, "personal", &[]);
    let invited = accept(world, &invite(world, &key, "kept@example.com"));
    let (seen_id, _) = world.create_from(owner, &json!({ "name": "rotated", "kind": "org", "scopes": [] }));
    let seen = world.post(&format!("/v1/keys/{seen_id}/rotate"), &key, &json!({})).text("key");
    Leaver { user, org, of_org, theirs, invited, seen }
}

#[test]
fn person_leaves_with_or_without_what_they_created() {
    for with in [false, true] {
        let scene = Scene::new();
        let Leaver { user, org, of_org, theirs, invited, seen } = leaver(&scene);
        let Scene { world, owner, .. } = &scene;
        let preview = world.get(&format!("/v1/organizations/self/members/{user}/descendants"), owner).json;
        let names = |list: &Value| list.as_array().unwrap().iter().map(|key| key["name"].clone()).collect::<Vec<_>>();
        let mut ending = names(&preview["keys"]);
        ending.sort_by_key(Value::to_string);
        assert_eq!(ending, ["deploy", "of deploy"], "{preview}");
        assert_eq!((names(&preview["seen_keys"]), &preview["may_end"]), (vec![json!("rotated")], &json!(true)));
        assert_eq!(preview["descendants"]["keys"], 2);
        let path = format!("/v1/organizations/self/members/{user}?with_descendants={with}");
        let seq = world.database.value("SELECT max(seq) FROM changes");
        let answer = world.call("DELETE", &path, owner, &Value::Null);
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!(answer.json["descendants"]["keys"], if with { json!(2) } else { Value::Null });
        // The person, and their organization for all that ends with them.
        assert_eq!(scene.count("changes", &format!("seq > {seq}")), 1 + i64::from(with));
        let ended = if with { "key_revoked" } else { "valid" };
        assert_eq!((scene.code(&org), scene.code(&of_org)), (json!(ended), json!(ended)));
        assert_ne!(scene.code(&theirs), "valid");
        assert_eq!((scene.code(&invited), scene.code(&seen)), (json!("valid"), json!("valid")));
        assert_eq!(scene.count("audit_events", "action = 'member.removed'"), 1);
        let events = format!("details = json('{{\"ended_with\":{{\"user\":\"{user}\"}}}}')");
        assert_eq!(scene.count("audit_events", &events) > 0, with);
    }
}

/// Signs in by a link for a person that was created on the pages of somebody who is signed in.
fn link_in_session<'a>(world: &'a World, browser: &mut Browser<'_>, user: &str) -> Browser<'a> {
    let person = format!("/settings/people/{user}");
    let page = html(&browser.fill(&person, &format!("{person}/sign-in-link"), &[]));
    let (_, token) = page.split_once("https://keys.example.com/sign-in/").unwrap();
    Browser::with_link(world, &format!("https://keys.example.com/sign-in/{}", token.split(['"', '<']).next().unwrap()))
}

#[test]
fn person_leaves_with_the_sessions_of_links_that_they_created_without_a_key() {
    // They were signed in by somebody's link, or through Cloudflare Access; and the session that began with their link
    // is still open, or signed out.
    for (access, signed_out) in [(false, false), (true, false), (false, true), (true, true)] {
        let scene = Scene::new();
        let Scene { world, owner, .. } = &scene;
        let (leaver, _, _) = world.colleague(owner, "owner");
        let [other, third] = [(); 2].map(|()| world.colleague(owner, "owner").0);
        let mut theirs = Browser::with_link(world, &format!("https://keys.example.com{}", link(world, owner, &leaver)));
        if access {
            world.database.execute("UPDATE sessions SET created_by = NULL, created_by_user = NULL, parent_id = NULL");
        }
        let mut begun = link_in_session(world, &mut theirs, &other);
        let mut later = link_in_session(world, &mut begun, &third);
        for (name, owner) in [("of the organization", "organization"), ("of the other", "me")] {
            let fields = [("name", name), ("owner", owner), ("scope", "datasets:read"), ("expires", "30")];
            assert_eq!(begun.fill("/settings/keys/new", "/settings/keys/new", &fields).status, 200);
        }
        let invitation = [("email", "b@example.com"), ("role", "owner"), ("lasts", "7")];
        assert_eq!(begun.fill("/settings/people", "/settings/people", &invitation).status, 200);
        let mut own = Browser::with_link(world, &format!("https://keys.example.com{}", link(world, owner, &other)));
        if signed_out {
            begun.post("/sign-out", &[]);
        }
        let path = format!("/v1/organizations/self/members/{leaver}");
        let preview = world.get(&format!("{path}/descendants"), owner).json;
        let open = i64::from(!signed_out);
        let counts = json!({ "keys": 1, "invitations": open, "sign_in_links": 0, "sessions": 2 * open, "trusts": 0 });
        assert_eq!((&preview["descendants"], &preview["may_end"]), (&counts, &json!(true)), "{preview}");
        let (_, _, admin) = world.colleague(owner, "admin");
        let remove = |by: &str| world.call("DELETE", &format!("{path}?with_descendants=true"), by, &Value::Null);
        assert_problem(&remove(&admin), 403, "exceeds_own_access");
        assert!(later.is_signed_in());
        let answer = remove(owner);
        assert_eq!((answer.status, &answer.json["descendants"]), (200, &counts), "{}", answer.json);
        // Of a session that is over only the keys are known.
        assert_eq!(
            [&mut theirs, &mut begun, &mut later, &mut own].map(Browser::is_signed_in),
            [false, false, signed_out, true]
        );
        let works = |name: &str| scene.count("keys", &format!("name = '{name}' AND revoked_at IS NULL"));
        assert_eq!((works("of the organization"), works("of the other")), (0, 1));
        assert_eq!(scene.count("invitations", "true"), 1 - open);
        assert_eq!(scene.count("audit_events", "action = 'member.removed'"), 1);
    }
}

#[test]
fn removal_that_is_refused_ends_nothing() {
    let scene = Scene::new();
    let Leaver { user, org, of_org, .. } = leaver(&scene);
    let Scene { world, owner, .. } = &scene;
    let remove = |by: &str, user: &str| {
        let path = format!("/v1/organizations/self/members/{user}?with_descendants=true");
        world.call("DELETE", &path, by, &Value::Null)
    };
    let (_, _, admin) = world.colleague(owner, "admin");
    let (_, _, member) = world.colleague(owner, "member");
    let (_, _, stranger) = world.stranger(owner);
    assert_problem(&remove(&admin, &user), 403, "exceeds_own_access");
    assert_problem(&remove(&member, &user), 404, "not_found");
    assert_problem(&remove(&stranger, &user), 404, "not_found");
    // Lowered to a member, they cannot take the organization's keys with them, nor can an admin take an owner's key.
    let path = format!("/v1/organizations/self/members/{user}");
    assert_eq!(world.call("PATCH", &path, owner, &json!({ "role": "member" })).status, 200);
    let own = scene
        .world
        .database
        .value(&format!("SELECT count(*) FROM keys WHERE user_id = '{user}' AND revoked_at IS NULL"));
    assert_problem(&remove(&admin, &user), 403, "exceeds_own_access");
    assert_eq!((scene.code(&org), scene.code(&of_org)), (json!("valid"), json!("valid")));
    assert_eq!(scene.count("keys", &format!("user_id = '{user}' AND revoked_at IS NULL")), own.as_i64().unwrap());
    assert_eq!(remove(owner, &user).status, 200);
    // Whoever is gone cannot be removed again, and nothing more ends.
    let before = world.database.dump();
    assert_problem(&remove(owner, &user), 404, "not_found");
    assert_eq!(world.database.dump(), before);
}

#[test]
fn pages_offer_to_end_what_descends() {
    let scene = Scene::new();
    let Leaver { user, org, .. } = leaver(&scene);
    let Scene { world, owner, leaked, leaked_key } = &scene;
    let mut browser = Browser::with_key(world, owner);
    let page = html(&browser.get(&format!("/settings/people/{user}/remove")));
    for words in ["Also end what descends from it: 2 keys", "deploy", "rotated"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(browser.post(&format!("/settings/people/{user}/remove"), &[("with_descendants", "yes")]).status, 303);
    assert_eq!(scene.code(&org), "key_revoked");
    let (_, child) = full(world, leaked_key, "child");
    invite(world, leaked_key, "new@example.com");
    let path = format!("/settings/keys/{leaked}/revoke");
    let page = html(&browser.get(&path));
    assert!(page.contains("Also end what descends from it: 1 key, 1 open invitation"), "{page}");
    assert_eq!(browser.post(&path, &[("name", "leaked"), ("with_descendants", "yes")]).status, 303);
    assert_eq!(scene.code(&child), "key_revoked");
}
