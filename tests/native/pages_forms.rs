//! What all forms of the settings pages have in common: sent again they do nothing again, and what is refused is
//! told where it was asked.

use serde_json::json;

use crate::pages::{Browser, html, nonce, world};

/// What is typed into the fields of a form.
type Fields<'a> = Vec<(&'a str, &'a str)>;

/// The secret on a page that shows one.
fn secret(page: &str) -> Option<String> {
    page.split_once("id=\"key\" value=\"")?.1.split('"').next().map(str::to_owned)
}

#[test]
fn a_form_sent_again_makes_nothing_and_shows_no_secret() {
    let (world, owner, link) = world();
    let (user, ..) = world.colleague(&owner, "member");
    let (id, _) = world.create_from(&owner, &json!({ "name": "CI", "kind": "org", "scopes": [] }));
    let (key, person) = (format!("/settings/keys/{id}"), format!("/settings/people/{user}"));
    let new_key = [("name", "new"), ("owner", "me"), ("scope", "datasets:read"), ("expires", "30")];
    for mut browser in [Browser::with_key(&world, &owner), Browser::with_link(&world, &link)] {
        let email = format!("{}@example.com", world.fresh_id());
        let cases: [(&str, String, Fields<'_>, &str); 5] = [
            ("/settings/keys/new", "/settings/keys/new".to_owned(), new_key.to_vec(), "Go to the key"),
            (&key, format!("{key}/rotate"), vec![("grace", "0")], "Go to the key"),
            ("/settings/projects", "/settings/projects".to_owned(), vec![("name", "Website")], "Go to the key"),
            (
                "/settings/people",
                "/settings/people".to_owned(),
                vec![("email", &email), ("role", "member"), ("lasts", "7")],
                "Go to the people",
            ),
            (&person, format!("{person}/sign-in-link"), vec![], "Go to the person"),
        ];
        for (page, action, fields, on) in cases {
            let nonce = nonce(&html(&browser.get(page)));
            let form = [&[("nonce", nonce.as_str())], &fields[..]].concat();
            let first = browser.post(&action, &form);
            assert_eq!((first.status, first.header("referrer-policy")), (200, Some("no-referrer")), "{action}");
            let secret = secret(&html(&first)).unwrap();
            world.settle();
            let before = world.database.dump();
            for again in [&form[..], &[&[("nonce", nonce.as_str()), ("name", "another")], &fields[..]].concat()] {
                let answer = browser.post(&action, again);
                let page = html(&answer);
                assert_eq!(answer.status, 409, "{action} {page}");
                assert!(page.contains("can't be shown again") && page.contains(on), "{page}");
                assert!(!page.contains(&secret), "{action}");
            }
            // Without what makes it known it is not done at all.
            assert_eq!(browser.post(&action, &fields).status, 400, "{action}");
            world.settle();
            assert_eq!(world.database.dump(), before, "{action}");
        }
    }
}

#[test]
fn an_invitation_sent_again_after_it_was_taken_back_makes_no_other() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let nonce = nonce(&html(&browser.get("/settings/people")));
    let form = [("nonce", nonce.as_str()), ("email", "ann@example.com"), ("role", "member"), ("lasts", "7")];
    assert_eq!(browser.post("/settings/people", &form).status, 200);
    let page = html(&browser.get("/settings/people"));
    let path = page.split('"').find(|part| part.starts_with("/settings/people/invitations/")).unwrap().to_owned();
    assert_eq!(browser.post(&path, &[]).status, 303);
    assert_eq!(browser.post("/settings/people", &form).status, 409);
    assert_eq!(world.database.count("invitations"), 0);
}

#[test]
fn whoever_asks_again_for_the_address_of_a_form_comes_to_its_page() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let id = "01900000-0000-7000-8000-000000000000";
    for (method, template, _) in bitting_pages::table() {
        let segment = |segment: &'static str| if segment.starts_with(':') { id } else { segment };
        let path = template.split('/').map(segment).collect::<Vec<_>>().join("/");
        let answer = browser.get(&path);
        assert_ne!(answer.status, 405, "{template}");
        if method == "POST" && !bitting_pages::table().iter().any(|row| (row.0, row.1) == ("GET", template)) {
            let to = answer.header("location").unwrap();
            assert!(answer.status == 303 && path.starts_with(to), "{path} leads to {to}");
            assert_ne!(browser.get(to).status, 405, "{path} leads to {to}");
        }
    }
    for (path, to) in [
        (format!("/settings/keys/{id}/rotate/finish"), format!("/settings/keys/{id}")),
        (format!("/settings/teams/{id}/members"), format!("/settings/teams/{id}")),
        (format!("/settings/people/invitations/{id}/revoke"), "/settings/people".to_owned()),
        ("/sign-out".to_owned(), "/".to_owned()),
    ] {
        assert_eq!(browser.get(&path).header("location"), Some(to.as_str()));
    }
}

#[test]
fn what_is_refused_is_told_on_the_page_where_it_was_asked() {
    let (world, owner, _) = world();
    let admin = json!({ "name": "short", "kind": "org", "scopes": ["api-keys:*", "members:*"], "expires_in_days": 30 });
    let (_, narrow) = world.create_from(&owner, &admin);
    let (user, ..) = world.colleague(&owner, "member");
    let more = json!({ "name": "more", "kind": "org", "scopes": ["datasets:read"] });
    let (more, _) = world.create_from(&owner, &more);
    let (disabled, _) =
        world.create_from(&owner, &json!({ "name": "off", "kind": "org", "scopes": ["datasets:read"] }));
    world.change(&owner, &disabled, &json!({ "enabled": false }));
    let (rotating, _) = world.create_from(&owner, &json!({ "name": "turning", "kind": "org", "scopes": [] }));
    let (revoked, _) = world.create(&owner, "gone", &[]);
    world.revoke(&owner, &revoked);
    let team = world.post("/v1/organizations/self/teams", &owner, &json!({ "name": "Core" })).text("id");
    let (more, disabled) = (format!("/settings/keys/{more}"), format!("/settings/keys/{disabled}"));
    let (rotating, revoked) = (format!("/settings/keys/{rotating}"), format!("/settings/keys/{revoked}"));
    let (person, team) = (format!("/settings/people/{user}"), format!("/settings/teams/{team}"));
    let mut browser = Browser::with_key(&world, &owner);
    let begun = browser.fill(&rotating, &format!("{rotating}/rotate"), &[("grace", "86400")]);
    assert_eq!(begun.status, 200);
    let ghost = "01900000-0000-7000-8000-00000000ffff";
    let cases: [(&str, &str, String, Fields<'_>, u16, &str); 12] = [
        (&narrow, &more, format!("{more}/rotate"), vec![("grace", "3600")], 403, "does not hold"),
        (&owner, &more, format!("{more}/rotate"), vec![("grace", "3599")], 400, "Choose how long"),
        (&owner, &rotating, format!("{rotating}/rotate"), vec![("grace", "3600")], 409, "is already being rotated"),
        (&owner, &more, format!("{more}/rotate/finish"), vec![], 409, "is not being rotated"),
        (&owner, &more, format!("{more}/rotate/cancel"), vec![], 409, "is not being rotated"),
        (&narrow, &disabled, format!("{disabled}/enable"), vec![], 403, "does not hold"),
        (&owner, &revoked, format!("{revoked}/disable"), vec![], 409, "A revoked key cannot be changed"),
        (&owner, &revoked, format!("{revoked}/rotate"), vec![("grace", "0")], 409, "A revoked key cannot be changed"),
        (&owner, &revoked, format!("{revoked}/rotate/finish"), vec![], 409, "A revoked key cannot be changed"),
        (&narrow, &person, format!("{person}/sign-in-link"), vec![], 403, "full access"),
        (&owner, &team, format!("{team}/members"), vec![("user", ghost)], 400, "not in the organization any more"),
        (&owner, &team, format!("{team}/members"), vec![("user", "")], 400, "Choose a person"),
    ];
    for (by, page, action, fields, status, expected) in cases {
        let mut browser = Browser::with_key(&world, by);
        let title = |page: &str| page.split("<h1>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let before = title(&html(&browser.get(page)));
        let answer = browser.post(&action, &[&[("nonce", "n")], &fields[..]].concat());
        let told = html(&answer);
        assert_eq!((answer.status, title(&told)), (status, before), "{action} {told}");
        let messages: Vec<&str> = told.split("<p class=\"").filter(|part| part.contains(expected)).collect();
        let [message] = messages[..] else { panic!("{action}: {messages:?} {told}") };
        assert!(message.starts_with("error\"") || message.starts_with("notice bad\" role=\"alert\""), "{message}");
        assert_eq!(told.matches(" autofocus").count(), 1, "{action}");
        for (name, value) in fields.iter().filter(|(_, value)| ["3600"].contains(value)) {
            let kept = told.contains(&format!("value=\"{value}\" selected"));
            assert!(kept || !told.contains(&format!("name=\"{name}\"")), "{action} {told}");
        }
        // Loading its address again shows the page.
        let again = browser.get(&action);
        assert_eq!((again.status, again.header("location")), (303, Some(page)));
    }
}

#[test]
fn navigation_says_where_one_is() {
    let (world, owner, _) = world();
    let (id, _) = world.create(&owner, "CI", &["datasets:read"]);
    let mut browser = Browser::with_key(&world, &owner);
    let user = world.get("/v1/keys/self", &owner).text("user_id");
    for (path, section, how) in [
        ("/settings/keys".to_owned(), "/settings/keys", "page"),
        ("/settings/keys?status=all".to_owned(), "/settings/keys", "page"),
        ("/settings/keys/new".to_owned(), "/settings/keys", "true"),
        (format!("/settings/keys/{id}"), "/settings/keys", "true"),
        (format!("/settings/keys/{id}/revoke"), "/settings/keys", "true"),
        (format!("/settings/people/{user}/remove"), "/settings/people", "true"),
        ("/settings/audit".to_owned(), "/settings/audit", "page"),
        ("/settings/devices".to_owned(), "/settings/devices", "page"),
    ] {
        let page = html(&browser.get(&path));
        let navigation = page.split("<nav aria-label=\"Settings\">").nth(1).unwrap().split("</nav>").next().unwrap();
        let marked = format!("href=\"{section}\" aria-current=\"{how}\"");
        assert!(navigation.contains(&marked) && navigation.matches("aria-current").count() == 1, "{navigation}");
    }
}
