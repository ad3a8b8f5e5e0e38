//! The settings pages of the organization: people, teams, projects, settings and the audit log.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    pages::{Browser, html, world},
    support::{Answer, World},
};

/// Where an answer leads to, which says what was done.
fn sent_to(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.json);
    answer.header("location").unwrap().to_owned()
}

/// The page to which a form leads, with its notice.
fn follow(browser: &mut Browser<'_>, answer: &Answer) -> String {
    let to = sent_to(answer);
    let page = html(&browser.get(&to));
    assert!(page.contains("role=\"status\""), "{to}: {page}");
    // A code that is none of the page's says nothing.
    let (path, _) = to.split_once("?done=").unwrap();
    let page_of_another = html(&browser.get(&format!("{path}?done=<b>")));
    assert!(!page_of_another.contains("role=\"status\"") && !page_of_another.contains("<b>"), "{path}");
    page
}

/// What stands in a field of a page.
fn typed<'a>(page: &'a str, field: &str) -> &'a str {
    let tag = page.split("<input ").find(|tag| tag.starts_with(&format!("id=\"{field}\""))).unwrap_or_default();
    let tag = tag.split('>').next().unwrap_or_default();
    tag.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

/// What a page says is wrong with a field.
fn mistake<'a>(page: &'a str, field: &str) -> &'a str {
    let message = page.split(&format!("id=\"{field}-error\">")).nth(1).unwrap_or_default();
    let message = message.split("</p>").next().unwrap_or_default();
    assert!(message.is_empty() || page.contains(&format!("aria-describedby=\"{field}-error")), "{page}");
    message
}

fn last_event(world: &World, owner: &str) -> Value {
    world.get("/v1/audit-events?limit=1", owner).json["items"][0].clone()
}

#[test]
fn an_invitation_is_shown_once_and_lets_somebody_in() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let fields = [("email", " Ann@Example.com "), ("role", "admin"), ("lasts", "14")];
    let answer = browser.fill("/settings/people", "/settings/people", &fields);
    assert_eq!(answer.status, 200);
    assert_eq!(
        (answer.header("cache-control"), answer.header("referrer-policy")),
        (Some("no-store"), Some("no-referrer"))
    );
    let page = html(&answer);
    let link = page.split("https://keys.example.com/invitations/").nth(1).unwrap();
    let token = link.split('"').next().unwrap().to_owned();
    let list = html(&browser.get("/settings/people"));
    assert!(list.contains("ann@example.com") && !list.contains(&token), "{list}");
    let invitation = world.get(&format!("/v1/invitations/{token}"), "").json;
    assert_eq!((invitation["role"].as_str(), invitation["email"].as_str()), (Some("admin"), Some("ann@example.com")));
    // A second one for the same address is told beside the field, and what was typed stays.
    let again = browser.fill("/settings/people", "/settings/people", &fields);
    assert_eq!(again.status, 409);
    let page = html(&again);
    assert!(mistake(&page, "email").contains("open invitation"), "{page}");
    assert_eq!(typed(&page, "email"), "Ann@Example.com");
    assert!(page.contains("value=\"admin\" selected") && page.contains("value=\"14\" selected"), "{page}");
    let joined = world.post(&format!("/v1/invitations/{token}/accept"), "", &json!({ "key_name": "anns" }));
    assert_eq!(joined.status, 201);
    let list = html(&browser.get("/settings/people"));
    assert!(list.contains("There are none.") && list.contains("Details<span class=\"hidden\"> of ann@"), "{list}");
    assert!(
        mistake(&html(&browser.fill("/settings/people", "/settings/people", &fields)), "email")
            .contains("is already a member")
    );
}

#[test]
fn an_invitation_that_was_taken_back_opens_nothing() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let made = json!({ "email": "ann@example.com", "role": "member" });
    let token = world.post("/v1/organizations/self/invitations", &owner, &made).text("token");
    let page = html(&browser.get("/settings/people"));
    let path = page.split('"').find(|part| part.starts_with("/settings/people/invitations/")).unwrap().to_owned();
    // Twice, as by two admins at once.
    for _ in 0..2 {
        let answer = browser.post(&path, &[]);
        follow(&mut browser, &answer);
    }
    assert_eq!(world.get(&format!("/v1/invitations/{token}"), "").status, 404);
}

#[test]
fn what_is_wrong_with_an_invitation_is_told_beside_each_field() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let answer = browser.fill(
        "/settings/people",
        "/settings/people",
        &[("email", "\"><b>no"), ("role", "king"), ("lasts", "0")],
    );
    assert_eq!(answer.status, 400);
    let page = html(&answer);
    assert_eq!(typed(&page, "email"), "&quot;&gt;&lt;b&gt;no");
    for (field, expected) in
        [("email", "Must be an email address"), ("role", "Choose one"), ("lasts", "Choose how long")]
    {
        assert!(mistake(&page, field).starts_with(expected), "{page}");
    }
    assert_eq!(page.matches("aria-invalid=\"true\"").count(), 3);
    assert_eq!(page.matches(" autofocus").count(), 1, "the first is where one goes on");
    assert_eq!(world.database.count("invitations"), 0);
}

#[test]
fn a_role_is_changed_and_the_only_owner_keeps_his() {
    let (world, owner, _) = world();
    let (user, _, _) = world.colleague(&owner, "member");
    let mut browser = Browser::with_key(&world, &owner);
    let path = format!("/settings/people/{user}");
    let answer = browser.post(&path, &[("role", "admin")]);
    let page = follow(&mut browser, &answer);
    assert!(page.contains("<dd>Admin</dd>"), "{page}");
    assert_eq!(last_event(&world, &owner)["action"], "member.updated");
    assert_eq!(mistake(&html(&browser.post(&path, &[("role", "")])), "role"), "Choose one of the roles.");
    let own = world.get("/v1/keys/self", &owner).text("user_id");
    let answer = browser.post(&format!("/settings/people/{own}"), &[("role", "member")]);
    assert_eq!(answer.status, 409);
    let page = html(&answer);
    assert!(mistake(&page, "role").contains("only owner"), "{page}");
    assert!(!page.contains("name=\"force\""), "nothing forces that");
    let answer = browser.post(&format!("/settings/people/{own}/remove"), &[]);
    assert!(html(&answer).contains("only owner"));
    assert_eq!(browser.get("/settings/people/nobody").status, 404);
}

#[test]
fn a_removal_says_what_ends_and_ends_it() {
    let (world, owner, _) = world();
    let (user, _, key) = world.colleague(&owner, "admin");
    let mut browser = Browser::with_key(&world, &owner);
    let page = html(&browser.get(&format!("/settings/people/{user}/remove")));
    assert!(page.contains("<strong>handed over</strong>, never used"), "{page}");
    let answer = browser.post(&format!("/settings/people/{user}/remove"), &[]);
    let page = follow(&mut browser, &answer);
    assert!(!page.contains(&user), "{page}");
    assert_eq!(world.get("/v1/keys/self", &key).status, 401);
    assert_eq!(browser.post(&format!("/settings/people/{user}/remove"), &[]).status, 404);
}

#[test]
fn whoever_alone_can_manage_keys_is_removed_only_by_whoever_insists() {
    let (world, owner, link) = world();
    let own = world.get("/v1/keys/self", &owner).text("user_id");
    // Another owner, who has no key.
    let organization = world.get("/v1/keys/self", &owner).text("organization_id");
    world.user(&organization, "owner");
    let mut browser = Browser::with_link(&world, &link);
    for (path, fields) in [
        (format!("/settings/people/{own}"), vec![("role", "member")]),
        (format!("/settings/people/{own}/remove"), vec![]),
    ] {
        let answer = browser.post(&path, &fields);
        assert_eq!(answer.status, 409);
        let page = html(&answer);
        assert!(page.contains("This person has the only key") && page.contains("name=\"force\""), "{page}");
        assert!(!page.contains("?force=true"), "{page}");
    }
    let answer = browser.post(&format!("/settings/people/{own}/remove"), &[("force", "yes")]);
    assert_eq!(sent_to(&answer), "/settings/people?done=removed");
    assert!(!browser.is_signed_in(), "he has left");
}

#[test]
fn a_team_is_made_filled_renamed_and_deleted() {
    let (world, owner, _) = world();
    let (user, _, member) = world.colleague(&owner, "member");
    let mut browser = Browser::with_key(&world, &owner);
    assert!(html(&browser.get("/settings/teams")).contains("There are no teams."));
    assert_eq!(mistake(&html(&browser.post("/settings/teams", &[("name", " ")])), "name"), "Must not be blank.");
    let answer = browser.post("/settings/teams", &[("name", "Core")]);
    let path = sent_to(&answer).split('?').next().unwrap().to_owned();
    assert!(follow(&mut browser, &answer).contains("This team has no members yet."));
    let again = browser.post("/settings/teams", &[("name", "Core")]);
    assert_eq!(again.status, 409);
    assert!(mistake(&html(&again), "name").contains("has this name") && typed(&html(&again), "name") == "Core");

    assert_eq!(mistake(&html(&browser.post(&format!("{path}/members"), &[])), "user"), "Choose a person.");
    let answer = browser.post(&format!("{path}/members"), &[("user", &user)]);
    let page = follow(&mut browser, &answer);
    assert!(page.contains(&format!("Take out<span class=\"hidden\"> {user}@example.com")), "{page}");
    // Whoever is in it sees it, and changes nothing.
    let mut his = Browser::with_key(&world, &member);
    let page = html(&his.get(&path));
    assert!(page.contains("Core") && page.contains(&format!("{user}@example.com")), "{page}");
    assert!(!page.contains("Take out") && !page.contains("Rename the team"), "{page}");
    assert_eq!(his.post(&path, &[("name", "Mine")]).status, 403);

    let answer = browser.post(&path, &[("name", "Platform")]);
    assert!(follow(&mut browser, &answer).contains("<h1>Platform</h1>"));
    assert_eq!(mistake(&html(&browser.post(&path, &[("name", "")])), "name"), "Must not be blank.");
    let answer = browser.post(&format!("{path}/members/{user}/remove"), &[]);
    follow(&mut browser, &answer);
    assert_eq!(his.get(&path).status, 404);
    assert!(html(&browser.get(&format!("{path}/delete"))).contains("This team has no members."));
    let answer = browser.post(&format!("{path}/delete"), &[]);
    follow(&mut browser, &answer);
    assert_eq!(browser.get(&path).status, 404);
}

#[test]
fn a_project_shows_its_first_key_once_and_ends_it_when_its_name_was_typed() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let answer =
        browser.fill("/settings/projects", "/settings/projects", &[("name", ""), ("description", "About \"this\"")]);
    assert_eq!(answer.status, 400);
    assert_eq!(typed(&html(&answer), "description"), "About &quot;this&quot;");
    let answer =
        browser.fill("/settings/projects", "/settings/projects", &[("name", "Website"), ("description", "The shop")]);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let page = html(&answer);
    let key = page.split("bit_proj_").nth(1).unwrap().split('"').next().unwrap();
    let key = format!("bit_proj_{key}");
    assert_eq!(world.get("/v1/keys/self", &key).status, 200);
    let list = html(&browser.get("/settings/projects"));
    assert!(list.contains("Website") && list.contains("The shop") && !list.contains(&key), "{list}");

    let id = world.get("/v1/keys/self", &key).text("project_id");
    let path = format!("/settings/projects/{id}");
    let answer = browser.post(&path, &[("name", "Shop"), ("description", "")]);
    assert!(follow(&mut browser, &answer).contains("<h1>Shop</h1>"));
    assert_eq!(last_event(&world, &owner)["details"], json!({ "name": "Shop", "description": null }));
    assert_eq!(sent_to(&browser.post(&path, &[("name", "Shop")])), path, "nothing was changed");
    assert_eq!(mistake(&html(&browser.post(&path, &[("name", "")])), "name"), "Must not be blank.");

    let page = html(&browser.get(&format!("{path}/delete")));
    assert!(page.contains("one key."), "{page}");
    let answer = browser.post(&format!("{path}/delete"), &[("name", "Website")]);
    assert_eq!(mistake(&html(&answer), "name"), "This is not the project's name.");
    assert_eq!(world.get("/v1/keys/self", &key).status, 200);
    let answer = browser.post(&format!("{path}/delete"), &[("name", "Shop")]);
    follow(&mut browser, &answer);
    assert_eq!(world.get("/v1/keys/self", &key).status, 401);
    assert_eq!(browser.get(&path).status, 404);
}

#[test]
fn settings_of_the_organization_are_saved_if_all_of_them_are_right() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let answer = browser.post(
        "/settings/organization",
        &[
            ("name", "Acme"),
            ("default_expiry_days", "90"),
            ("longest_expiry_days", "30"),
            ("max_keys_per_user", "many"),
            ("audit_retention_days", "0"),
        ],
    );
    assert_eq!(answer.status, 400);
    let page = html(&answer);
    assert_eq!(mistake(&page, "default_expiry_days"), "Must not be longer than the longest expiry.");
    for (field, most) in [("max_keys_per_user", "1000000"), ("audit_retention_days", "36500")] {
        assert_eq!(mistake(&page, field), format!("Must be a whole number from 1 to {most}, or empty."));
    }
    assert_eq!((typed(&page, "default_expiry_days"), typed(&page, "max_keys_per_user")), ("90", "many"));
    assert_eq!(world.get("/v1/organizations/self", &owner).json["longest_expiry_days"], Value::Null);

    let fields = [("name", "Acme & Co"), ("default_expiry_days", "30"), ("longest_expiry_days", "90")];
    let answer = browser.post("/settings/organization", &fields);
    let page = follow(&mut browser, &answer);
    assert_eq!((typed(&page, "name"), typed(&page, "longest_expiry_days")), ("Acme &amp; Co", "90"));
    let told = json!({ "name": "Acme & Co", "default_expiry_days": 30, "longest_expiry_days": 90 });
    assert_eq!(last_event(&world, &owner)["details"], told, "what was not changed is not told");
    assert_eq!(sent_to(&browser.post("/settings/organization", &fields)), "/settings/organization");
    let answer = browser.post("/settings/organization", &[("name", "Acme & Co"), ("longest_expiry_days", "90")]);
    follow(&mut browser, &answer);
    assert_eq!(last_event(&world, &owner)["details"], json!({ "default_expiry_days": null }));
}

#[test]
fn members_are_told_what_they_may_not_do() {
    let (world, owner, _) = world();
    let (user, _, member) = world.colleague(&owner, "member");
    let own = world.get("/v1/keys/self", &owner).text("user_id");
    let mut browser = Browser::with_key(&world, &member);
    for (path, told) in [
        ("/settings/people".to_owned(), "You see only yourself here."),
        (format!("/settings/people/{user}"), "Owners and admins can change roles."),
        ("/settings/teams".to_owned(), "There are no teams that you are in."),
        ("/settings/projects".to_owned(), "Owners and admins can create projects."),
        ("/settings/organization".to_owned(), "Owners and admins can change these settings."),
    ] {
        let answer = browser.get(&path);
        assert_eq!(answer.status, 200, "{path}");
        let page = html(&answer);
        assert!(page.contains(told) && !page.contains("owner@example.com"), "{page}");
        assert!(!page.contains("class=\"card\" method=\"post\""), "no form that he may not send: {page}");
        assert!(!page.contains("Audit log"), "{page}");
    }
    for path in ["/settings/audit", "/settings/audit/export"] {
        let answer = browser.get(path);
        assert_eq!(answer.status, 403);
        assert!(html(&answer).contains("Only owners and admins"));
    }
    assert_eq!(browser.get(&format!("/settings/people/{own}")).status, 404);
    // What is sent all the same is refused, and stands in the trail.
    let sent: [(&str, &[(&str, &str)]); 4] = [
        ("/settings/people", &[("email", "a@b"), ("role", "member"), ("lasts", "7")]),
        ("/settings/teams", &[("name", "Mine")]),
        ("/settings/projects", &[("name", "Mine")]),
        ("/settings/organization", &[("name", "Mine")]),
    ];
    for (path, fields) in sent {
        let answer = browser.post(path, fields);
        assert_eq!(answer.status, 403, "{path}");
        assert!(html(&answer).contains("Only owners and admins"), "{path}");
        world.settle();
        let event = last_event(&world, &owner);
        assert_eq!(
            (event["refusal"].as_str(), event["details"]["route"].as_str()),
            (Some("exceeds_own_access"), Some(path))
        );
        world.advance_ms(60_000);
    }
    // Whoever leaves does so himself.
    assert!(html(&browser.get(&format!("/settings/people/{user}/remove"))).contains("<h1>Leave the organization</h1>"));
    browser.post(&format!("/settings/people/{user}/remove"), &[]);
    assert!(!browser.is_signed_in());
}

#[test]
fn a_key_leads_only_to_what_its_scopes_allow() {
    let (world, owner, _) = world();
    let (_, narrow) = world.create(&owner, "narrow", &["api-keys:*", "members:read", "projects:read"]);
    let mut browser = Browser::with_key(&world, &narrow);
    let page = html(&browser.get("/settings/people"));
    let navigation = page.split("<nav").nth(1).unwrap().split("</nav>").next().unwrap();
    let led: Vec<&str> = navigation.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(
        led,
        ["/settings/keys", "/settings/people", "/settings/teams", "/settings/projects", "/settings/devices"]
    );
    assert!(page.contains("lacks the scope <code>members:write</code>"), "{page}");
    for (path, scope) in [("/settings/organization", "organization:read"), ("/settings/audit", "audit:read")] {
        let answer = browser.get(path);
        assert_eq!(answer.status, 403);
        assert!(html(&answer).contains(scope));
    }
    // Whoever is let in may do everything, so a key that may not cannot let him in.
    let (_, wider) = world.create(&owner, "wider", &["api-keys:*", "members:*"]);
    let page = html(&Browser::with_key(&world, &wider).get("/settings/people"));
    assert!(
        page.contains("inviting needs a session with full access") && !page.contains("Create invitation"),
        "{page}"
    );
    // A project's key acts as nobody.
    let made = world.post("/v1/organizations/self/projects", &owner, &json!({ "name": "Site" }));
    let key = made.json["key"]["key"].as_str().unwrap().to_owned();
    let mut browser = Browser::with_key(&world, &key);
    assert!(html(&browser.get("/settings/people")).contains("belongs to no person"));
    assert!(html(&browser.get("/settings/projects")).contains("Site"));
    assert_eq!(browser.get("/settings/teams").status, 200);
}

#[test]
fn lists_go_on_page_by_page() {
    let (world, owner, _) = world();
    let organization = world.get("/v1/keys/self", &owner).text("organization_id");
    for _ in 0..100 {
        world.user(&organization, "member");
    }
    let mut browser = Browser::with_key(&world, &owner);
    let page = html(&browser.get("/settings/people?done=removed"));
    let next = page.split("href=\"?").nth(1).unwrap().split('"').next().unwrap();
    assert!(next.starts_with("after="), "{next}");
    let rest = html(&browser.get(&format!("/settings/people?{next}")));
    assert!(!rest.contains("More people") && !rest.contains("role=\"status\""), "{rest}");
    assert_eq!(page.matches("Details<").count() + rest.matches("Details<").count(), 101);
}

#[test]
fn the_trail_reads_as_sentences() {
    let (world, owner, _) = world();
    let (user, _, _) = world.colleague(&owner, "member");
    let mut browser = Browser::with_key(&world, &owner);
    let team = sent_to(&browser.post("/settings/teams", &[("name", "Core")]));
    let team = team.split('?').next().unwrap();
    browser.post(&format!("{team}/members"), &[("user", &user)]);
    browser.post(&format!("/settings/people/{user}"), &[("role", "admin")]);
    browser.fill(
        "/settings/people",
        "/settings/people",
        &[("email", "ann@example.com"), ("role", "member"), ("lasts", "7")],
    );
    browser.post("/settings/organization", &[("name", "Acme Ltd")]);
    browser.fill(
        "/settings/people",
        "/settings/people",
        &[("email", "owner@example.com"), ("role", "member"), ("lasts", "7")],
    );
    world.settle();
    let (answer, io) = world.counted(|| browser.get("/settings/audit"));
    assert_eq!(io, (2, 0, 0), "the session, and all the rest");
    let page = html(&answer);
    for sentence in [
        "signed in to these pages".to_owned(),
        "created the team <strong>Core</strong>".to_owned(),
        format!("put {user}@example.com into the team <strong>Core</strong>"),
        format!("made <strong>{user}@example.com</strong> admin"),
        "invited <strong>ann@example.com</strong>".to_owned(),
        "changed the organization <strong>Acme Ltd</strong>".to_owned(),
        "tried <code>POST /settings/people</code> <span class=\"badge bad\">refused".to_owned(),
    ] {
        assert!(page.contains(&format!("<strong>owner@example.com</strong> {sentence}")), "{sentence}: {page}");
    }
    assert!(page.contains("<strong>The operator</strong> created the key <strong>first</strong>"), "{page}");
    // Nobody learns a name from an id of another organization's that he put somewhere.
    let (_, stranger, _) = world.stranger(&owner);
    world.database.execute(&format!("UPDATE keys SET name = 'secret' WHERE id = '{stranger}'"));
    browser.post(&format!("/settings/people/{stranger}"), &[("role", "admin")]);
    world.settle();
    let page = html(&browser.get("/settings/audit"));
    assert!(page.contains(&stranger) && !page.contains("secret"), "{page}");
    // Who has left is not named any more.
    browser.post(&format!("/settings/people/{user}/remove"), &[]);
    let page = html(&browser.get("/settings/audit"));
    assert!(page.contains("put a former member into the team"), "{page}");
}

#[test]
fn what_was_set_to_what_is_told_without_code() {
    let (world, owner, _) = world();
    let metadata = json!({ "owner": { "team": "Core" }, "tags": ["a", 2], "none": null });
    let body = json!({ "name": "CI", "scopes": ["datasets:read", "results:read"], "metadata": metadata });
    let (id, _) = world.create_from(&owner, &body);
    world.change(&owner, &id, &json!({ "metadata": metadata, "expires_in_days": 30, "enabled": false, "scopes": [] }));
    world.post("/v1/organizations/self/invitations", &owner, &json!({ "email": "a@b.example", "role": "member" }));
    let page = html(&Browser::with_key(&world, &owner).get("/settings/audit"));
    for expected in [
        "<dt>Scopes</dt><dd><ul class=\"scopes\"><li>datasets:read</li><li>results:read</li></ul></dd>",
        "<dt>Scopes</dt><dd>None</dd>",
        "<dt>Scopes</dt><dd>Full access</dd>",
        "<dt>Enabled</dt><dd>No</dd>",
        "<dt>Expires at</dt><dd>Never</dd>",
        "<dt>Expires at</dt><dd><time datetime=",
        "<dt>owner</dt><dd><dl><dt>team</dt><dd>Core</dd></dl></dd>",
        "<li>a</li><li>2</li>",
        "<dt>none</dt><dd>None</dd>",
        &format!("<dt>About</dt><dd>CI <code>{id}</code>"),
        "<dt>Person</dt><dd>owner@example.com <code>",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(!page.contains("{&quot;") && !page.contains("[&quot;") && !page.contains(">null<"), "{page}");
}

#[test]
fn the_trail_is_filtered_paged_and_exported_alike() {
    let (world, owner, _) = world();
    let (_, other) = world.create(&owner, "other", &["api-keys:*"]);
    let id = world.get("/v1/keys/self", &other).text("id");
    let user = world.get("/v1/keys/self", &owner).text("user_id");
    for number in 0..60 {
        world.create(&other, &format!("number {number}"), &[]);
    }
    world.advance_ms(3 * 86_400_000);
    world.create(&owner, "late", &[]);
    world.post("/v1/keys", &other, &json!({ "name": "too much", "scopes": ["members:write"] }));
    world.settle();
    let mut browser = Browser::with_key(&world, &owner);
    let count = |browser: &mut Browser<'_>, query: &str| {
        let mut path = format!("/settings/audit?{query}");
        let mut total = 0;
        loop {
            let page = html(&browser.get(&path));
            total += page.matches("<details>").count();
            let older = page.split("Older events").next().filter(|_| page.contains("Older events"));
            let Some(older) = older else { break };
            let next = older.rsplit("href=\"?").next().unwrap().split('"').next().unwrap();
            path = format!("/settings/audit?{}", next.replace("&amp;", "&"));
        }
        let answer = browser.get(&format!("/settings/audit/export?{query}"));
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        assert!(answer.header("content-disposition").unwrap().contains("audit-log.ndjson"));
        assert_eq!(answer.json.as_array().map_or(0, Vec::len), total, "{query}");
        total
    };
    for (query, expected) in [
        ("action=key.created", 63),
        ("action=&key=&person=&since=&until=&action=", 65),
        (&format!("key={id}"), 61),
        (&format!("key={id}&action=key.created"), 60),
        (&format!("person={user}&action=session.created"), 1),
        (&format!("subject={id}"), 1),
        ("refused=yes", 1),
        ("since=2027-01-18", 3),
        ("until=2027-01-17", 62),
        ("until=2027-01-18&since=2027-01-18&action=key.created", 1),
        ("action=nothing.happened", 0),
    ] {
        assert_eq!(count(&mut browser, query), expected, "{query}");
    }
    // The filters stay as they were typed, and what is wrong is told.
    let page = html(&browser.get(&format!("/settings/audit?action=key.created&person={user}&refused=yes")));
    assert!(page.contains("value=\"key.created\" selected") && page.contains(" checked"), "{page}");
    for path in ["/settings/audit", "/settings/audit/export"] {
        let answer = browser.get(&format!("{path}?since=soon&key=<b>&person=x"));
        assert_eq!(answer.status, 400);
        let page = html(&answer);
        assert!(
            mistake(&page, "since").contains("must be a date") || mistake(&page, "since").contains("Must be a date")
        );
        assert!(mistake(&page, "key").contains("id of a key") && mistake(&page, "person").contains("id of a person"));
        assert_eq!((typed(&page, "since"), typed(&page, "key")), ("soon", "&lt;b&gt;"));
        // A field for dates would show nothing of this.
        assert!(page.contains("name=\"since\" type=\"text\"") && page.contains("name=\"until\" type=\"date\""));
    }
}

#[test]
fn everything_that_is_written_into_the_trail_can_be_asked_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let mut actions = BTreeSet::new();
    for room in ["keys/src/app", "keys/src/storage", "evals/src/app", "evals/src/storage"] {
        for file in fs::read_dir(root.join(room)).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let words = text.split(['"', '\'']).filter(|word| word.ends_with("ed"));
            let action = |word: &&str| {
                word.split_once('.').is_some_and(|(noun, verb)| {
                    [noun, verb].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
                })
            };
            actions.extend(words.filter(action).map(str::to_owned));
        }
    }
    assert!(actions.contains("key.created") && actions.contains("key.expired"), "{actions:?}");
    let (world, owner, _) = world();
    let page = html(&Browser::with_key(&world, &owner).get("/settings/audit"));
    for action in actions {
        assert!(
            page.contains(&format!("<option value=\"{action}\">")),
            "{action} is not in the list of crates/pages/src/audit.rs"
        );
    }
}

#[test]
fn hostile_names_are_text_on_the_pages_of_the_organization() {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";
    let (world, owner, _) = world();
    let (user, _, _) = world.colleague(&owner, "member");
    world.database.execute(&format!("UPDATE users SET email = '<img/src=x>@b' WHERE id = '{user}'"));
    let mut browser = Browser::with_key(&world, &owner);
    let team = sent_to(&browser.post("/settings/teams", &[("name", HOSTILE)]));
    let team = team.split('?').next().unwrap().to_owned();
    browser.post(&format!("{team}/members"), &[("user", &user)]);
    let made = browser.fill("/settings/projects", "/settings/projects", &[("name", HOSTILE), ("description", HOSTILE)]);
    let list = html(&browser.get("/settings/projects"));
    let project = list.split('"').find(|part| part.starts_with("/settings/projects/0")).unwrap().to_owned();
    browser.post("/settings/organization", &[("name", HOSTILE)]);
    browser.fill(
        "/settings/people",
        "/settings/people",
        &[("email", "<img/src=x>@example.com"), ("role", "member"), ("lasts", "7")],
    );
    let mut pages = vec![html(&made)];
    for path in [
        "/settings/people".to_owned(),
        format!("/settings/people/{user}"),
        format!("/settings/people/{user}/remove"),
        "/settings/teams".to_owned(),
        team.clone(),
        format!("{team}/delete"),
        "/settings/projects".to_owned(),
        project.clone(),
        format!("{project}/delete"),
        "/settings/organization".to_owned(),
        "/settings/audit".to_owned(),
        "/settings/audit?action=<img>&person=<img>&key=<img>&subject=<img>&since=<img>&after=<img>".to_owned(),
    ] {
        pages.push(html(&browser.get(&path)));
    }
    for page in pages {
        assert!(page.contains("&lt;img") && !page.contains("<img"), "{page}");
    }
}
