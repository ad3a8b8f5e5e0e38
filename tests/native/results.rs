//! Results: what live evaluations have judged, for whoever sees these.

use bitting::entry::chores;
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::support::{Rows, World, problem::assert_problem};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The ids on a page.
fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|run| run["public_id"].as_str().unwrap().to_owned()).collect()
}

/// All ids of a list, page by page.
fn all(world: &World, by: &str, query: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().map_or_else(String::new, |id| format!("&starting_after={id}"));
        let answer = world.get(&format!("/api/results?limit=2{query}{after}"), by);
        assert_eq!(answer.status, 200, "{}", answer.json);
        found.extend(ids(&answer.json));
        if answer.json["has_more"] == json!(false) {
            return found;
        }
    }
}

#[test]
fn details_tell_what_was_judged_and_who_ran_it() {
    let world = World::new();
    let owner = world.bootstrap();
    let (live, key) = world.live_evaluation(&owner);
    let this = world.get("/v1/keys/self", &owner).json;
    let inputs = json!({ "user_query": "why", "bot_response": "because" });
    let by_owner = world.post(&format!("/api/eval/{live}"), &owner, &json!({ "inputs": inputs }));
    let details = world.get(&format!("/api/results/{}", by_owner.text("public_id")), &owner).json;
    assert_eq!((&details["inputs"], &details["key_id"], &details["user_id"]), (&inputs, &this["id"], &this["user_id"]));
    for field in ["public_id", "judgment", "passed", "score", "explanation", "created_at", "evaluation_id"] {
        assert_eq!(details[field], by_owner.json[field], "{field}");
    }
    let by_key = world.judge(&key, &live, "how").text("public_id");
    let details = world.get(&format!("/api/results/{by_key}"), &owner).json;
    assert_eq!((&details["user_id"], &details["passed"]), (&Value::Null, &json!(false)));
    assert_problem(&world.get("/api/results/run_0", &owner), 404, "not_found");
}

#[test]
fn everybody_lists_the_runs_of_what_he_sees_newest_first() {
    let world = World::new();
    let owner = world.bootstrap();
    let organization = world.get("/v1/keys/self", &owner).text("organization_id");
    let (user, _, colleague) = world.colleague(&owner, "member");
    let (_, _, stranger) = world.stranger(&owner);
    let (_, of_organization) =
        world.create_from(&owner, &json!({ "name": "org", "kind": "org", "scopes": ["results:read"] }));
    let project = world.project(&owner, "p");
    let scopes = ["evaluations:write", "live-evaluations:write", "live-evaluations:execute", "results:read"];
    let body = json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": scopes });
    let (_, of_project) = world.create_from(&owner, &body);
    let deploy = |by: &str| world.live_evaluation(by).0;
    let lives = [deploy(&owner), deploy(&owner), deploy(&owner), deploy(&colleague), deploy(&of_project)];
    let by = [&owner, &owner, &owner, &colleague, &of_project];
    let team = world.fresh_id();
    world.database.execute(&format!(
        "INSERT INTO teams (id, organization_id, name, created_at) VALUES ('{team}', '{organization}', 't', 0);
         INSERT INTO team_members (team_id, user_id, organization_id, created_at) VALUES ('{team}', '{user}', '{organization}', 0);
         INSERT INTO shares (resource_id, grantee_id, organization_id, grantee_kind, access, created_at)
         VALUES ('{}', '{user}', '{organization}', 'user', 'read', 0), ('{}', '{team}', '{organization}', 'team', 'read', 0)",
        lives[1], lives[2]
    ));
    // Of each live evaluation several, in turns, some of which fail.
    let mut runs = Vec::new();
    for turn in 0..4 {
        for (index, live) in lives.iter().enumerate() {
            world.advance_ms(1);
            let query = if (turn + index) % 3 == 0 { "why" } else { "how" };
            let answer = world.judge(by[index], live, query);
            runs.insert(0, (index, query == "why", answer.text("public_id")));
        }
    }
    // One that is not at its end.
    world.database.execute(&format!(
        "UPDATE runs SET state = 'running', passed = NULL, judgment = NULL WHERE id = '{}'",
        runs[1].2
    ));
    let expected = |sees: &[usize], passed: Option<bool>| -> Vec<String> {
        let end = |id: &str, end: bool| if id == runs[1].2 { None } else { Some(end) };
        let runs = runs.iter().filter(|(index, _, _)| sees.contains(index));
        let runs = runs.filter(|(_, ended, id)| passed.is_none() || end(id, *ended) == passed);
        runs.map(|(_, _, id)| id.clone()).collect()
    };
    for (key, sees) in [
        (&owner, &[0, 1, 2][..]),
        (&colleague, &[1, 2, 3]),
        (&of_organization, &[0, 1, 2, 3, 4]),
        (&of_project, &[4]),
        (&stranger, &[]),
    ] {
        assert_eq!(all(&world, key, ""), expected(sees, None), "{sees:?}");
        assert_eq!(all(&world, key, "&passed=true"), expected(sees, Some(true)), "{sees:?}");
        assert_eq!(all(&world, key, "&passed=false"), expected(sees, Some(false)), "{sees:?}");
        for (index, live) in lives.iter().enumerate() {
            let sees = if sees.contains(&index) { vec![index] } else { Vec::new() };
            assert_eq!(all(&world, key, &format!("&live_evaluation_id={live}")), expected(&sees, None));
            let passed = format!("&live_evaluation_id={live}&passed=true");
            assert_eq!(all(&world, key, &passed), expected(&sees, Some(true)));
        }
        for (index, _, id) in &runs {
            let status = world.get(&format!("/api/results/{id}"), key).status;
            assert_eq!(status, if sees.contains(index) { 200 } else { 404 });
        }
    }
}

#[test]
fn page_costs_the_same_among_many_runs() {
    let cost = |others: usize| {
        let world = World::new();
        let owner = world.bootstrap();
        let (live, _) = world.live_evaluation(&owner);
        let id = world.judge(&owner, &live, "why").text("public_id");
        world.database.execute(&format!(
            "INSERT INTO runs (id, organization_id, live_evaluation_id, evaluation_id, key_id, state, inputs, judgment, passed, charged, created_at)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {others})
             SELECT printf('run_%032x', i), organization_id, live_evaluation_id, evaluation_id, key_id, state, inputs, judgment, i % 2, 0, created_at
             FROM n, runs WHERE runs.id = '{id}'"
        ));
        let (_, of_organization) =
            world.create_from(&owner, &json!({ "name": "org", "kind": "org", "scopes": ["results:read"] }));
        let get = |path: &str, by: &str| world.steps(|| assert_eq!(world.get(path, by).status, 200, "{path}"));
        [&owner, &of_organization].map(|by| {
            [
                get("/api/results?limit=3", by),
                get("/api/results?limit=3&passed=false", by),
                get(&format!("/api/results/{id}"), by),
            ]
        })
    };
    assert_eq!(cost(10), cost(5_000));
}

#[test]
fn runs_are_kept_as_long_as_traces() {
    for (variables, days) in [
        (&[][..], Some(3)),
        (&[("TRACE_RETENTION_DAYS", "3")][..], None),
        (&[("TRACE_RETENTION_DAYS", "9")][..], Some(3)),
    ] {
        let world = World::with_config(variables);
        let owner = world.bootstrap();
        if let Some(days) = days {
            world.database.execute(&format!("UPDATE organizations SET trace_retention_days = {days}"));
        }
        let (live, key) = world.live_evaluation(&owner);
        let run = world.judge(&key, &live, "why").text("public_id");
        world.database.execute(&format!(
            "INSERT INTO review_items (id, organization_id, run_id, live_evaluation_id, state, flagged_at, flagged_by_key)
             SELECT 'rev_1', organization_id, id, live_evaluation_id, 'open', 0, key_id FROM runs WHERE id = '{run}'"
        ));
        let sweep = || block_on(world.app.sweep(chores())).unwrap().rows("runs_pruned");
        world.advance_ms(3 * DAY_MS - 1);
        assert_eq!(sweep(), 0);
        world.advance_ms(1);
        assert_eq!((sweep(), world.database.count("runs"), world.database.count("review_items")), (1, 0, 0));
    }
    let world = World::new();
    let owner = world.bootstrap();
    let (live, key) = world.live_evaluation(&owner);
    world.judge(&key, &live, "why");
    world.advance_ms(1_000 * DAY_MS);
    assert_eq!(block_on(world.app.sweep(chores())).unwrap().rows("runs_pruned"), 0);
}
