//! One key's life on the settings pages: made, shown once, looked at, changed, rotated, revoked.

use serde_json::{Value, json};

use crate::{
    pages::{Browser, html, nonce, world},
    support::{Answer, World},
};

const NEW: &str = "/settings/keys/new";

/// The secret on a page that reveals one.
fn secret(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"key\" value=\"").unwrap_or_else(|| panic!("no secret in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// The id of the key that a page leads to.
fn key_id(page: &str) -> String {
    let (_, rest) = page.split_once("\"/settings/keys/0").unwrap_or_else(|| panic!("no key in {page}"));
    format!("0{}", rest.split('"').next().unwrap())
}

/// Makes a key by the form, with these fields beside or instead of good ones.
fn submit(browser: &mut Browser<'_>, fields: &[(&str, &str)]) -> Answer {
    let mut all = fields.to_vec();
    for good in [("name", "CI"), ("owner", "me"), ("scope", "datasets:read"), ("expires", "90")] {
        if !fields.iter().any(|(name, _)| *name == good.0) {
            all.push(good);
        }
    }
    browser.fill(NEW, NEW, &all)
}

fn created(browser: &mut Browser<'_>, fields: &[(&str, &str)]) -> (String, String) {
    let answer = submit(browser, fields);
    assert_eq!(answer.status, 200, "{}", answer.json);
    let page = html(&answer);
    (key_id(&page), secret(&page))
}

/// How a key is told by the API.
fn key(world: &World, by: &str, id: &str) -> Value {
    world.get(&format!("/v1/keys/{id}"), by).json
}

#[test]
fn create_makes_the_key_that_was_described_and_shows_it_once() {
    let (world, owner, link) = world();
    let project = world.project(&owner, "Billing");
    for sign_in in ["key", "link"] {
        let mut browser =
            if sign_in == "key" { Browser::with_key(&world, &owner) } else { Browser::with_link(&world, &link) };
        for (fields, kind, scopes, days) in [
            (vec![], "pat", json!(["datasets:read"]), Some(90)),
            (vec![("owner", "organization"), ("expires", "30")], "org", json!(["datasets:read"]), Some(30)),
            (vec![("owner", project.as_str()), ("expires", "never")], "proj", json!(["datasets:read"]), None),
            (
                vec![("scope", "datasets:read"), ("scope", "results:read")],
                "pat",
                json!(["datasets:read", "results:read"]),
                Some(90),
            ),
            (vec![("full", "yes")], "pat", Value::Null, Some(90)),
            (vec![("expires", "date"), ("date", "2027-02-01")], "pat", json!(["datasets:read"]), None),
        ] {
            let answer = submit(&mut browser, &fields);
            assert_eq!(answer.status, 200, "{fields:?} {}", answer.json);
            assert_eq!(
                (answer.header("cache-control"), answer.header("referrer-policy")),
                (Some("no-store"), Some("no-referrer"))
            );
            let page = html(&answer);
            let (text, made) = (secret(&page), key(&world, &owner, &key_id(&page)));
            assert_eq!((&made["kind"], &made["scopes"]), (&json!(kind), &scopes), "{fields:?}");
            let expires_at = if fields.contains(&("date", "2027-02-01")) {
                json!("2027-02-01T00:00:00.000Z")
            } else {
                json!(days.map(|days| world.app.clock.now().plus_ms(days * 86_400_000).to_rfc3339()))
            };
            assert_eq!(made["expires_at"], expires_at, "{fields:?}");
            assert_eq!(world.get("/v1/keys/self", &text).text("id"), made["id"].as_str().unwrap());
            // In every snippet, against this very server.
            assert_eq!(page.matches(&text).count(), 8, "{page}");
            assert_eq!(page.matches("https://keys.example.com/v1/keys/self").count(), 3, "{page}");
            assert_eq!(page.matches("https://keys.example.com/mcp").count(), 4, "{page}");
            for path in ["/settings/keys", &format!("/settings/keys/{}", made["id"].as_str().unwrap())] {
                assert!(!html(&browser.get(path)).contains(&text));
            }
        }
    }
}

#[test]
fn create_sent_again_makes_no_other_key_and_shows_no_secret() {
    let (world, owner, link) = world();
    for mut browser in [Browser::with_key(&world, &owner), Browser::with_link(&world, &link)] {
        let nonce = nonce(&html(&browser.get(NEW)));
        let form =
            [("nonce", nonce.as_str()), ("name", "CI"), ("owner", "me"), ("scope", "datasets:read"), ("expires", "30")];
        let first = html(&browser.post(NEW, &form));
        let (text, keys) = (secret(&first), world.database.count("keys"));
        let another_name =
            [("nonce", nonce.as_str()), ("name", "CD"), ("owner", "me"), ("scope", "datasets:read"), ("expires", "30")];
        for form in [form, another_name] {
            let again = browser.post(NEW, &form);
            assert_eq!(again.status, 409);
            let page = html(&again);
            assert!(page.contains("can't be shown again") && !page.contains(&text), "{page}");
            assert_eq!(key_id(&page), key_id(&first));
        }
        assert_eq!(world.database.count("keys"), keys);
        // Without what makes it known it is not done at all.
        assert_eq!(browser.post(NEW, &form[1..]).status, 400);
        assert_eq!(world.database.count("keys"), keys);
    }
}

#[test]
fn create_says_beside_the_field_what_is_wrong_and_keeps_what_was_typed() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let keys = world.database.count("keys");
    for (field, wrong, expected) in [
        ("name", vec![("name", "  ")], "Give it a name"),
        ("name", vec![("name", "a\u{0}b")], "Must not contain control characters"),
        ("owner", vec![("owner", "nobody")], "Choose whose it is"),
        ("owner", vec![("owner", "01900000-0000-7000-8000-000000000000")], "No such project"),
        ("scopes", vec![("scope", "")], "neither a scope"),
        ("scopes", vec![("scope", "coffee:make")], "There is no scope"),
        ("expires", vec![("expires", "")], "Choose how long it works"),
        ("expires", vec![("expires", "0")], "Choose how long it works"),
        ("expires", vec![("expires", "date"), ("date", "")], "Give a date"),
        ("expires", vec![("expires", "date"), ("date", "2020-01-01")], "still to come"),
    ] {
        let mut fields = vec![("name", "Kept \"typed\" <name>"), ("scope", "results:read"), ("expires", "365")];
        fields.retain(|(name, _)| !wrong.iter().any(|(other, _)| other == name));
        fields.extend(&wrong);
        let answer = submit(&mut browser, &fields);
        assert_eq!(answer.status, 400, "{wrong:?} {}", answer.json);
        let page = html(&answer);
        let error = page.split(&format!("id=\"{field}-error\">")).nth(1).unwrap_or_else(|| panic!("{field} in {page}"));
        assert!(error.split('<').next().unwrap().contains(expected), "{error}");
        assert!(page.contains(&format!("aria-describedby=\"{field}-error {field}-hint\"")));
        assert_eq!(page.matches("autofocus").count(), 1, "{page}");
        for (name, kept) in [
            ("name", "value=\"Kept &quot;typed&quot; &lt;name&gt;\""),
            ("scope", "value=\"results:read\" checked"),
            ("expires", "value=\"365\" checked"),
        ] {
            assert!(page.contains(kept) || wrong.iter().any(|(field, _)| *field == name), "{name} {wrong:?} {page}");
        }
    }
    let nothing = browser.post(NEW, &[("nonce", "x"), ("name", "CI"), ("owner", "me"), ("expires", "30")]);
    assert!(nothing.status == 400 && html(&nothing).contains("Tick one at least"));
    assert_eq!(world.database.count("keys"), keys);
}

#[test]
fn create_offers_what_the_policy_allows_and_says_so() {
    let (world, owner, _) = world();
    let organization = world.get("/v1/keys/self", &owner).text("organization_id");
    let mut browser = Browser::with_key(&world, &owner);
    let page = html(&browser.get(NEW));
    for option in ["30", "60", "90", "365", "date", "never"] {
        assert!(page.contains(&format!("name=\"expires\" value=\"{option}\"")), "{option}");
    }
    assert!(page.contains("value=\"90\" checked"));
    for (default, longest, chosen, offered, not) in [
        ("7", "60", "7", vec!["7", "30", "60", "date"], vec!["90", "365", "never", "end"]),
        ("NULL", "60", "60", vec!["30", "60"], vec!["90", "never"]),
        ("NULL", "10", "10", vec!["10", "date"], vec!["30", "never"]),
        ("400", "NULL", "400", vec!["30", "400", "never"], vec!["end"]),
    ] {
        world.database.execute(&format!(
            "UPDATE organizations SET default_expiry_days = {default}, longest_expiry_days = {longest} WHERE id = '{organization}'"
        ));
        let page = html(&browser.get(NEW));
        assert!(page.contains(&format!("value=\"{chosen}\" checked")), "{default} {longest} {page}");
        for (options, expected) in [(offered, true), (not, false)] {
            for option in options {
                assert_eq!(
                    page.contains(&format!("name=\"expires\" value=\"{option}\"")),
                    expected,
                    "{longest} {option}"
                );
            }
        }
        assert_eq!(page.contains(&format!("last {longest} days at most")), longest != "NULL");
        // Whoever asks nevertheless is told, beside the field.
        if longest != "NULL" {
            for asked in ["365", "never"] {
                let answer = submit(&mut browser, &[("expires", asked)]);
                assert!(answer.status == 400 && html(&answer).contains("it cannot last longer"), "{}", answer.json);
            }
        }
        created(&mut browser, &[("expires", chosen)]);
    }
}

#[test]
fn create_gives_no_more_than_whoever_is_signed_in_holds() {
    let (world, owner, _) = world();
    let narrow = json!({ "name": "narrow", "scopes": ["api-keys:*", "datasets:read"], "expires_in_days": 20 });
    let (_, narrow) = world.create_from(&owner, &narrow);
    let mut browser = Browser::with_key(&world, &narrow);
    let page = html(&browser.get(NEW));
    assert!(page.contains("value=\"datasets:write\" disabled") && !page.contains("value=\"datasets:read\" disabled"));
    assert!(!page.contains("name=\"full\"") && !page.contains("Triage") && page.contains("you do not hold it"));
    assert!(page.contains("value=\"end\" checked") && !page.contains("value=\"30\""), "{page}");
    created(&mut browser, &[("expires", "end")]);
    for (fields, status, expected) in [
        ([("expires", "end"), ("scope", "datasets:write")], 403, "datasets:write"),
        ([("expires", "end"), ("full", "yes")], 403, "full access"),
        ([("expires", "30"), ("scope", "datasets:read")], 400, "it cannot last longer"),
    ] {
        let answer = submit(&mut browser, &fields);
        assert_eq!(answer.status, status, "{fields:?}");
        assert!(html(&answer).contains(expected), "{fields:?} {}", answer.json);
    }
    // A member makes keys for himself alone.
    let (_, _, member) = world.colleague(&owner, "member");
    let mut browser = Browser::with_key(&world, &member);
    let page = html(&browser.get(NEW));
    assert!(page.contains("value=\"me\"") && !page.contains("value=\"organization\""), "{page}");
    let answer = submit(&mut browser, &[("owner", "organization")]);
    assert!(answer.status == 403 && html(&answer).contains("Only an owner or an admin"), "{}", answer.json);
    // As many as he may have.
    world.database.execute("UPDATE organizations SET max_keys_per_user = 1");
    let answer = submit(&mut browser, &[]);
    assert!(answer.status == 409 && html(&answer).contains("as many keys as the organization allows"));
}

#[test]
fn recipes_tick_what_they_need() {
    let (world, owner, _) = world();
    let mut browser = Browser::with_key(&world, &owner);
    let plain = html(&browser.get(NEW));
    assert_eq!(plain.matches("checked").count(), 1, "the expiry alone");
    for recipe in plain.split("href=\"").filter_map(|part| part.split_once("#name\" data-scopes=\"")) {
        let page = html(&browser.get(recipe.0));
        let scopes: Vec<&str> = recipe.1.split('"').next().unwrap().split(' ').collect();
        assert_eq!(page.matches("checked").count(), 1 + scopes.len(), "{recipe:?}");
        for scope in scopes {
            assert!(page.contains(&format!("value=\"{scope}\" checked")), "{scope}");
        }
    }
    assert!(plain.contains(">Bundle mcp</a>") && plain.contains(">Review queue triage tool</a>"));
    assert_eq!(html(&browser.get("/settings/keys/new?recipe=99")).matches("checked").count(), 1);
}

#[test]
fn a_key_is_told_with_its_use_and_what_happened_to_it() {
    let (world, owner, _) = world();
    let (id, text) = world.create(&owner, "used", &["datasets:read"]);
    let (_, _, colleague) = world.colleague(&owner, "owner");
    let path = format!("/settings/keys/{id}");
    let mut browser = Browser::with_key(&world, &owner);
    let page = html(&browser.get(&path));
    assert!(page.contains("Not used in the last 30 days") && page.contains("owner@example.com"), "{page}");
    for _ in 0..3 {
        world.get("/v1/keys/self", &text);
    }
    world.advance_ms(120_000);
    world.get("/v1/keys/self", &text);
    world.settle();
    world.change(&owner, &id, &json!({ "name": "renamed" }));
    let (page, io) = {
        let (answer, io) = world.counted(|| browser.get(&path));
        (html(&answer), io)
    };
    assert_eq!(io, (2, 0, 0), "the session, and all the rest");
    for expected in [
        "<h1>renamed</h1>",
        "<svg",
        "role=\"img\"",
        "datasets:read",
        " changed the key ",
        " created the key ",
        "active",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    assert!(page.contains("Used 4 times") || page.contains("Used 3 times"), "{page}");
    let page = html(&Browser::with_key(&world, &colleague).get(&path));
    assert!(page.contains("<dd>owner@example.com"), "{page}");
    world.change(&owner, &id, &json!({ "enabled": false }));
    world.change(&owner, &id, &json!({ "enabled": true }));
    let page = html(&browser.get(&path));
    assert!(page.contains(" disabled the key ") && page.contains(" enabled the key "), "{page}");
    // The activity has pages.
    for number in 0..25 {
        world.change(&owner, &id, &json!({ "name": format!("name {number}") }));
    }
    let page = html(&browser.get(&path));
    assert!(page.contains("name 24") && !page.contains("<dd>name 4</dd>"));
    let older = page.split('"').find(|part| part.contains("?after=")).unwrap().split('#').next().unwrap().to_owned();
    let page = html(&browser.get(&older));
    assert!(page.contains("<dd>name 4</dd>") && page.contains(" created the key "), "{page}");
}

/// The address to which a button leads.
fn button(page: &str, label: &str) -> Option<String> {
    let before = page.split_once(&format!("\">{label}</a>"))?.0;
    Some(before.rsplit("href=\"").next().unwrap().replace("&amp;", "&"))
}

#[test]
fn a_search_looks_through_so_many_keys_and_goes_on_behind_them() {
    let count = |others: usize| {
        let (world, owner, _) = world();
        let (first, _) = world.create(&owner, "The needle in it", &["datasets:read"]);
        let (id, _) = world.create(&owner, "hay", &["datasets:read"]);
        world.copy_key(&id, others, "01b00000", None);
        world.database.execute(&format!("UPDATE keys SET disabled_at = 1 WHERE id = '{first}'"));
        let mut browser = Browser::with_key(&world, &owner);
        let mut steps = Vec::new();
        for query in ["name=needle&status=all", "status=disabled", "name=nothing&status=all", "status=revoked"] {
            let path = format!("/settings/keys?{query}");
            browser.get(&path);
            steps.push(world.steps(|| drop(browser.get(&path))));
            let (mut page, mut pages) = (html(&browser.get(&path)), 1);
            while let Some(older) = button(&page, "Older") {
                page = html(&browser.get(&older));
                pages += 1;
            }
            assert_eq!(pages, others / 5_000 + 1, "{query}");
            let found = ["name=needle&status=all", "status=disabled"].contains(&query);
            assert_eq!(page.contains("The needle in it"), found, "{query}");
            assert_eq!(button(&page, "Newest").is_some(), !found, "{query}");
            // And back again, as far as anything was found.
            let newer = button(&page, "Newer").map(|newer| html(&browser.get(&newer)));
            assert_eq!(newer.is_some(), found, "{query}");
            assert!(newer.is_none_or(|newer| newer.contains("that were looked through fits this")), "{query}");
        }
        steps
    };
    assert_eq!(count(11_000), count(21_000));
}

#[test]
fn list_hides_invisible_keys_and_forbidden_buttons() {
    let (world, owner, _) = world();
    let (id, _) = world.create(&owner, "mine", &["datasets:read"]);
    let (_, _, member) = world.colleague(&owner, "member");
    let (_, _, stranger) = world.stranger(&owner);
    for other in [&member, &stranger] {
        let mut browser = Browser::with_key(&world, other);
        for page in ["", "/edit", "/revoke"] {
            assert_eq!(browser.get(&format!("/settings/keys/{id}{page}")).status, 404, "{page}");
        }
        for act in ["edit", "enable", "disable", "rotate/finish", "rotate/cancel", "revoke"] {
            assert_eq!(browser.post(&format!("/settings/keys/{id}/{act}"), &[]).status, 404, "{act}");
        }
        let rotate = [("nonce", "x"), ("grace", "0")];
        assert_eq!(browser.post(&format!("/settings/keys/{id}/rotate"), &rotate).status, 404);
    }
    world.revoke(&owner, &id);
    let page = html(&Browser::with_key(&world, &owner).get(&format!("/settings/keys/{id}")));
    assert!(page.contains("revoked") && !page.contains("/edit\"") && !page.contains("Rotate"), "{page}");
}

#[test]
fn edit_changes_what_was_changed_and_nothing_else() {
    let (world, owner, _) = world();
    let body = json!({ "name": "before", "scopes": ["datasets:*", "results:read"], "expires_in_days": 10 });
    let (id, _) = world.create_from(&owner, &body);
    let path = format!("/settings/keys/{id}/edit");
    let mut browser = Browser::with_key(&world, &owner);
    let page = html(&browser.get(&path));
    for expected in [
        "value=\"before\"",
        "value=\"datasets:*\" checked",
        "value=\"datasets:write\" checked",
        "value=\"keep\" checked",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let same = [
        ("name", "before"),
        ("scope", "datasets:*"),
        ("scope", "datasets:read"),
        ("scope", "datasets:write"),
        ("scope", "results:read"),
        ("expires", "keep"),
    ];
    let before = key(&world, &owner, &id);
    assert_eq!(browser.post(&path, &same).status, 303);
    assert_eq!(key(&world, &owner, &id), before, "nothing was changed");
    let answer = browser.post(&path, &[("name", "after"), ("scope", "datasets:read"), ("expires", "never")]);
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(format!("/settings/keys/{id}?done=changed").as_str()))
    );
    let after = key(&world, &owner, &id);
    assert_eq!(
        (&after["name"], &after["scopes"], &after["expires_at"]),
        (&json!("after"), &json!(["datasets:read"]), &Value::Null)
    );
    let answer = browser.post(&path, &[("name", ""), ("expires", "keep")]);
    assert_eq!(answer.status, 400);
    let page = html(&answer);
    assert!(page.contains("Give it a name") && page.contains("Tick one at least"), "{page}");
    // What the key holds and whoever is signed in does not, he can take away or leave.
    let (_, narrow) = world.create(&owner, "narrow", &["api-keys:*"]);
    let mut browser = Browser::with_key(&world, &narrow);
    assert!(!html(&browser.get(&path)).contains("value=\"datasets:read\" checked disabled"));
    let answer = browser.post(&path, &[("name", "renamed"), ("scope", "datasets:read"), ("expires", "keep")]);
    assert_eq!(answer.status, 303, "{}", answer.json);
    let answer = browser.post(&path, &[("name", "renamed"), ("scope", "results:read"), ("expires", "keep")]);
    assert!(answer.status == 403 && html(&answer).contains("results:read"));
}

#[test]
fn rotate_shows_the_new_secret_once_and_both_until_it_is_finished_or_cancelled() {
    let (world, owner, _) = world();
    for (act, works) in [("finish", "new"), ("cancel", "old")] {
        let (id, old) = world.create(&owner, "rotated", &["datasets:read"]);
        let path = format!("/settings/keys/{id}");
        let mut browser = Browser::with_key(&world, &owner);
        let nonce = nonce(&html(&browser.get(&path)));
        let form = [("nonce", nonce.as_str()), ("grace", "86400")];
        let answer = browser.post(&format!("{path}/rotate"), &form);
        assert_eq!((answer.status, answer.header("referrer-policy")), (200, Some("no-referrer")), "{}", answer.json);
        let new = secret(&html(&answer));
        let again = browser.post(&format!("{path}/rotate"), &form);
        assert_eq!(again.status, 409);
        assert!(!html(&again).contains(&new) && html(&again).contains("can't be shown again"));
        for key in [&old, &new] {
            assert_eq!(world.get("/v1/keys/self", key).status, 200);
        }
        let page = html(&browser.get(&path));
        assert!(page.contains("New secret") && page.contains("Old secret"), "{page}");
        let answer = browser.post(&format!("{path}/rotate/{act}"), &[]);
        assert_eq!(answer.status, 303, "{}", answer.json);
        for (which, key) in [("old", &old), ("new", &new)] {
            assert_eq!(world.get("/v1/keys/self", key).status == 200, which == works, "{act} {which}");
        }
        let page = html(&browser.get(answer.header("location").unwrap()));
        assert!(page.contains("role=\"status\"") && !page.contains("Old secret"), "{page}");
        let late = browser.post(&format!("{path}/rotate/{act}"), &[]);
        assert!(late.status == 409 && html(&late).contains("This key is not being rotated"));
    }
}

#[test]
fn rotate_asks_for_what_it_needs() {
    let (world, owner, _) = world();
    let (_, id, _) = world.colleague(&owner, "member");
    let mut browser = Browser::with_key(&world, &owner);
    assert!(html(&browser.get(&format!("/settings/keys/{id}"))).contains("Only the key's owner can rotate it"));
    let (id, _) = world.create_from(&owner, &json!({ "name": "short", "scopes": [], "expires_in_days": 1 }));
    world.advance_ms(86_400_000);
    assert!(html(&browser.get(&format!("/settings/keys/{id}"))).contains("Give it more time"));
    let (id, _) = world.create(&owner, "CI", &["datasets:read"]);
    for form in [[("nonce", "x"), ("grace", "86399")], [("nonce", ""), ("grace", "0")]] {
        assert_eq!(browser.post(&format!("/settings/keys/{id}/rotate"), &form).status, 400, "{form:?}");
    }
}

#[test]
fn disable_and_enable_hold_at_once() {
    let (world, owner, _) = world();
    let (id, text) = world.create(&owner, "switched", &["datasets:read"]);
    let mut browser = Browser::with_key(&world, &owner);
    for (act, status, said) in [("disable", 401, "are refused until you enable it"), ("enable", 200, "works again")] {
        let answer = browser.post(&format!("/settings/keys/{id}/{act}"), &[]);
        assert_eq!(answer.status, 303, "{}", answer.json);
        assert!(html(&browser.get(answer.header("location").unwrap())).contains(said));
        assert_eq!(world.get("/v1/keys/self", &text).status, status, "{act}");
    }
}

#[test]
fn revoke_asks_for_the_name_and_ends_the_key_for_good() {
    let (world, owner, _) = world();
    let (id, text) = world.create(&owner, "two  blanks", &["datasets:read"]);
    let path = format!("/settings/keys/{id}/revoke");
    let mut browser = Browser::with_key(&world, &owner);
    let page = html(&browser.get(&path));
    assert!(
        page.contains("It was not used in the last 30 days") && page.contains("type=\"text\" value=\"\""),
        "{page}"
    );
    for typed in ["", "two blank", "TWO BLANKS"] {
        let answer = browser.post(&path, &[("name", typed)]);
        assert!(answer.status == 400 && html(&answer).contains("This is not its name"), "{typed}");
    }
    assert_eq!(world.get("/v1/keys/self", &text).status, 200);
    let answer = browser.post(&path, &[("name", "two blanks")]);
    assert_eq!(answer.status, 303, "{}", answer.json);
    assert_eq!(world.get("/v1/keys/self", &text).status, 401);
    assert!(html(&browser.get(answer.header("location").unwrap())).contains("was revoked"));
    // It is done, whoever asks for it again.
    assert_eq!(browser.get(&path).status, 303);
}

#[test]
fn the_last_key_that_can_manage_keys_ends_only_if_that_is_confirmed() {
    let narrowed = vec![("name", "first"), ("scope", "api-keys:read"), ("expires", "keep")];
    for (act, fields) in [("disable", vec![]), ("revoke", vec![("name", "first")]), ("edit", narrowed)] {
        let (world, owner, link) = world();
        let mut browser = Browser::with_link(&world, &link);
        let id = world.get("/v1/keys/self", &owner).text("id");
        let path = format!("/settings/keys/{id}/{act}");
        let answer = browser.post(&path, &fields);
        assert_eq!(answer.status, 409, "{act}");
        let page = html(&answer);
        assert!(page.contains("last key of the organization") && page.contains("name=\"force\""), "{page}");
        assert_eq!(world.post("/v1/api_key", &owner, &json!({ "name": "" })).status, 400, "it has the scope still");
        let confirmed = [fields, vec![("force", "yes")]].concat();
        assert_eq!(browser.post(&path, &confirmed).status, 303);
        let refused = world.post("/v1/api_key", &owner, &json!({ "name": "" })).status;
        assert_eq!(refused, if act == "edit" { 403 } else { 401 });
    }
}

#[test]
fn hostile_names_of_keys_and_projects_are_text() {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";
    let (world, owner, _) = world();
    world.project(&owner, HOSTILE);
    let mut browser = Browser::with_key(&world, &owner);
    let form = nonce(&html(&browser.get(NEW)));
    let fields =
        [("nonce", form.as_str()), ("name", HOSTILE), ("owner", "me"), ("scope", "datasets:read"), ("expires", "30")];
    let page = html(&browser.post(NEW, &fields));
    let id = key_id(&page);
    let path = format!("/settings/keys/{id}");
    let mut pages = vec![page, html(&browser.post(NEW, &fields)), html(&browser.post(NEW, &fields[..3]))];
    for path in [NEW, &path, &format!("{path}/edit"), &format!("{path}/revoke")] {
        pages.push(html(&browser.get(path)));
    }
    pages.push(html(&browser.post(&format!("{path}/revoke"), &[("name", "<img>")])));
    for page in &pages {
        assert!(!page.contains("<img") && !page.contains(" style=") && !page.contains("<style"), "{page}");
    }
    assert!(pages[0].contains("&lt;img src=x onerror=alert(1)&gt;"));
}
