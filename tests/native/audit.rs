//! The audit trail: everything that manages something is in it, done or refused, it can be read and
//! exported, and nobody can change it.

use bitting::entry;
use bitting_http::message::Content;
use futures::{StreamExt, executor::block_on};
use serde_json::{Value, json};

use crate::{
    pages::Browser,
    support::{
        Answer, START, World,
        problem::assert_problem,
        request,
        routes::{RouteCall, Targets, every_key_route, prepared},
    },
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const MINUTE_MS: i64 = 60 * 1000;
const IP: &str = "203.0.113.7";

/// The routes that manage something.
fn managing(targets: &Targets) -> Vec<RouteCall> {
    let mut routes = every_key_route(targets);
    let using = ["traces:write", "datasets:write", "evaluations:write", "review:write"];
    routes.retain(|route| route.method != "GET" && route.access.ends_with(":write") && !using.contains(&route.access));
    assert!(routes.len() > 30, "the routes were not found");
    routes
}

/// Sends a request whose id and address are known.
fn send(world: &World, route: &RouteCall, key: &str, request_id: &str) -> Answer {
    let mut request = request(route.method, &route.path, key, &route.known.body);
    request.headers.push(("cf-ray".to_owned(), request_id.to_owned()));
    request.headers.push(("cf-connecting-ip".to_owned(), IP.to_owned()));
    let answer = world.send(&request);
    world.settle();
    answer
}

/// The rows of the trail, each as an object, that fulfil a condition.
fn recorded(world: &World, condition: &str) -> Vec<Value> {
    let sql = format!(
        "SELECT json_group_array(json_object('organization_id', organization_id, 'subject', subject, 'action', action,
         'actor_kind', actor_kind, 'actor_id', actor_id, 'user_id', actor_user_id, 'ip', ip, 'details', json(details),
         'refusal', refusal, 'kept_ms', keep_until - at)) FROM audit_events WHERE {condition}"
    );
    let rows = world.database.value(&sql);
    serde_json::from_str(rows.as_str().unwrap()).unwrap()
}

fn in_request(world: &World, request_id: &str) -> Vec<Value> {
    recorded(world, &format!("request_id = '{request_id}'"))
}

fn in_all(world: &World) -> usize {
    usize::try_from(world.database.count("audit_events")).unwrap()
}

/// A world, its owner's key, and the ids of its organization, of that key and of its user.
fn world() -> (World, String, [String; 3]) {
    let world = World::new();
    let owner = world.bootstrap();
    let ids = own_ids(&world, &owner);
    (world, owner, ids)
}

/// The ids of a key's organization, of the key and of its user.
fn own_ids(world: &World, key: &str) -> [String; 3] {
    let own = world.get("/v1/keys/self", key);
    ["organization_id", "id", "user_id"].map(|field| own.text(field))
}

#[test]
fn every_managing_route_records_what_it_has_done() {
    for route in managing(&prepared().2) {
        let (world, owner, _) = prepared();
        let [organization_id, key_id, user_id] = own_ids(&world, &owner);
        let request_id = "ray-1";
        let answer = send(&world, &route, &owner, request_id);
        assert!(answer.status < 300, "{route}: {}", answer.json);
        let events = in_request(&world, request_id);
        assert_eq!(i64::try_from(events.len()), Ok(route.known.events), "{route}");
        for event in events {
            // What founds an organization stands in the trail of that one, too.
            let foreign = event["organization_id"] != organization_id.as_str();
            assert!(!foreign || route.name() == "POST /v1/organizations", "{route}");
            assert_eq!(
                [&event["actor_kind"], &event["actor_id"], &event["user_id"], &event["ip"]],
                [if foreign { "operator" } else { "key" }, key_id.as_str(), &user_id, IP],
                "{route}"
            );
            assert_eq!(event["refusal"], Value::Null);
            assert_eq!(event["kept_ms"], 365 * DAY_MS);
        }
    }
}

/// What an attempt was about: the last id in the path of its route, else the asker's own organization.
fn subject<'a>(route: &'a RouteCall, organization_id: &'a str) -> &'a str {
    let ids = route.path.rsplit('/').filter(|part| part.len() == 36);
    ids.into_iter().next().unwrap_or(organization_id)
}

#[test]
fn every_managing_route_records_what_it_has_refused() {
    let (world, owner, [organization_id, ..]) = world();
    let targets = Targets::new(&world, &owner);
    let (_, revoked_id, revoked) = world.colleague(&owner, "owner");
    world.revoke(&owner, &revoked_id);
    let (reading_id, reading) = world.create(&owner, "reading", &["api-keys:read"]);
    let (strangers, stranger_id, stranger) = world.stranger(&owner);
    let askers = [
        ("revoked", &revoked, &revoked_id, &organization_id, 401, "key_revoked"),
        ("reading", &reading, &reading_id, &organization_id, 403, "insufficient_scope"),
        ("stranger", &stranger, &stranger_id, &strangers, 404, "not_found"),
    ];
    for (name, key, key_id, organization_id, status, code) in askers {
        for (index, route) in managing(&targets).iter().enumerate() {
            if name == "stranger" && !route.template.contains(':') {
                // That is about his own organization.
                continue;
            }
            world.advance_ms(MINUTE_MS);
            let (request_id, before) = (format!("{name}-{index}"), in_all(&world));
            let answer = send(&world, route, key, &request_id);
            if name == "stranger" && answer.status == 400 {
                // His key of a project that is not his has a wrong `project_id`.
                assert!(route.template.ends_with("/:project/api-keys"), "{route}: {}", answer.json);
                assert_eq!(in_all(&world), before);
                continue;
            }
            assert_problem(&answer, status, code);
            let events = in_request(&world, &request_id);
            assert_eq!((events.len(), in_all(&world)), (1, before + 1), "{route}");
            let user_id = world.database.value(&format!("SELECT user_id FROM keys WHERE id = '{key_id}'"));
            let expected = json!({
                "organization_id": organization_id,
                "subject": subject(route, organization_id),
                "action": "refused",
                "actor_kind": "key",
                "actor_id": key_id,
                "user_id": user_id,
                "ip": IP,
                "details": { "method": route.method, "route": route.template },
                "refusal": code,
                "kept_ms": 365 * DAY_MS,
            });
            assert_eq!(events[0], expected);
        }
    }
}

#[test]
fn conflict_is_recorded_with_its_code() {
    let (world, owner, [_, key_id, _]) = world();
    assert_problem(
        &world.call("DELETE", &format!("/v1/keys/{key_id}"), &owner, &Value::Null),
        409,
        "last_managing_key",
    );
    world.settle();
    let events = recorded(&world, "action = 'refused'");
    assert_eq!([&events[0]["refusal"], &events[0]["subject"]], ["last_managing_key", &key_id]);
}

#[test]
fn refusal_that_the_guard_brought_about_is_recorded_once() {
    let (world, owner, _) = world();
    let (id, key) = world.create(&owner, "manager", &["api-keys:*"]);
    let world = world.another_isolate();
    assert_eq!(world.get("/v1/scopes", &key).status, 200);
    world.database.execute(&format!("UPDATE keys SET revoked_at = 1 WHERE id = '{id}'"));
    assert_problem(&world.call("DELETE", &format!("/v1/keys/{id}"), &key, &Value::Null), 401, "key_revoked");
    world.settle();
    assert_eq!(recorded(&world, "action = 'refused'").len(), 1);
}

#[test]
fn what_is_no_refused_attempt_to_manage_is_not_recorded() {
    let (world, owner, _) = world();
    let (id, deleted) = world.create(&owner, "deleted", &[]);
    world.database.execute(&format!("DELETE FROM keys WHERE id = '{id}'"));
    let (_, weak) = world.create(&owner, "weak", &[]);
    let before = in_all(&world);
    let new = json!({ "name": "new", "scopes": [] });
    let nowhere = format!("/v1/keys/{id}");
    let trace = json!({ "traces": [] });
    let answers = [
        // Strangers: whoever knows no key could fill the table otherwise.
        (world.post("/v1/keys", "", &new), 401),
        (world.post("/v1/keys", "nonsense", &new), 401),
        (world.post("/v1/keys", &deleted, &new), 401),
        // Reading, verifying and sending traces.
        (world.get(&nowhere, &weak), 403),
        (world.get(&nowhere, &owner), 404),
        (world.post("/v1/keys/verify", &weak, &json!({ "key": owner })), 403),
        (world.post("/v1/ingest/batch", &weak, &trace), 403),
        // What was asked wrongly, and what nobody could answer.
        (world.post("/v1/keys", &owner, &json!({})), 400),
        (world.post("/v1/nothing", &owner, &json!({})), 404),
        (world.call("PUT", "/v1/keys", &owner, &new), 405),
    ];
    for (answer, status) in answers {
        assert_eq!(answer.status, status, "{}", answer.json);
    }
    world.database.fail_next("D1 is down");
    assert_problem(&world.post("/v1/keys", &owner, &new), 503, "unavailable");
    world.settle();
    assert_eq!(in_all(&world), before);
}

#[test]
fn refused_attempt_is_answered_also_when_it_cannot_be_recorded() {
    let (world, owner, _) = world();
    let (_, weak) = world.create(&owner, "weak", &[]);
    world.settle();
    let before = in_all(&world);
    let (answer, _) = world.counted(|| world.post("/v1/keys", &weak, &json!({ "name": "n", "scopes": [] })));
    assert_problem(&answer, 403, "insufficient_scope");
    world.database.down.set(true);
    world.settle();
    world.database.down.set(false);
    assert_eq!(in_all(&world), before);
}

/// Lets a key be refused so many times.
fn refuse(world: &World, key: &str, times: usize) {
    let nowhere = format!("/v1/keys/{}", world.fresh_id());
    for _ in 0..times {
        assert!(world.call("DELETE", &nowhere, key, &Value::Null).status > 400);
        world.settle();
    }
}

/// How many refused attempts of an organization were written, and how many were counted in them.
fn refused(world: &World, organization: &str) -> (usize, i64) {
    let events = recorded(world, &format!("action = 'refused' AND organization_id = '{organization}'"));
    let omitted = events.iter().map(|event| event["details"]["omitted"].as_i64().unwrap_or(0)).sum();
    (events.len(), omitted)
}

#[test]
fn flood_of_refused_attempts_silences_neither_other_keys_nor_other_organizations() {
    let (world, owner, [organization_id, ..]) = world();
    let weak: Vec<String> = (0..5).map(|_| world.create(&owner, "weak", &[]).1).collect();
    let (strangers, _, stranger) = world.stranger(&owner);
    refuse(&world, &weak[0], 130);
    assert_eq!(refused(&world, &organization_id), (30, 0), "the budget of a key");
    refuse(&world, &weak[1], 1);
    assert_eq!(refused(&world, &organization_id), (31, 0), "another key");
    weak[1..].iter().for_each(|key| refuse(&world, key, 130));
    assert_eq!(refused(&world, &organization_id), (100, 0), "the budget of an organization");
    refuse(&world, &stranger, 5);
    assert_eq!(refused(&world, &strangers), (5, 0), "another organization");
    world.advance_ms(MINUTE_MS - 1);
    refuse(&world, &weak[0], 1);
    assert_eq!(refused(&world, &organization_id), (100, 0));
    world.advance_ms(1);
    refuse(&world, &stranger, 1);
    // Each key has one event for all that it was not granted: none is lost, and none is told twice.
    assert_eq!(refused(&world, &organization_id), (105, 130 * 5 + 2 - 105));
    assert_eq!(refused(&world, &strangers), (6, 0));
}

#[test]
fn omitted_attempts_are_written_behind_the_next_use_of_any_key() {
    let (world, owner, [organization_id, ..]) = world();
    let (_, weak) = world.create(&owner, "weak", &[]);
    refuse(&world, &weak, 40);
    assert_eq!(refused(&world, &organization_id), (30, 0));
    world.advance_ms(MINUTE_MS);
    let written = world.database.use_writes.get();
    assert_eq!(world.get("/v1/keys/self", &owner).status, 200);
    world.settle();
    assert_eq!(refused(&world, &organization_id), (31, 9));
    assert_eq!(world.database.use_writes.get(), written + 1, "in the batch that writes down uses");
    world.advance_ms(MINUTE_MS);
    assert_eq!(world.get("/v1/keys/self", &owner).status, 200);
    world.settle();
    assert_eq!(refused(&world, &organization_id), (31, 9), "they are told once");
}

#[test]
fn key_where_an_id_belongs_is_not_in_the_trail() {
    let (world, owner, [organization_id, ..]) = world();
    let targets = Targets::new(&world, &owner);
    let (_, weak) = world.create(&owner, "weak", &[]);
    let (_, secret) = world.create(&owner, "pasted", &[]);
    for route in managing(&targets.named(&secret)).iter().filter(|route| route.template.contains(':')) {
        world.advance_ms(MINUTE_MS);
        for (asker, key) in [("owner", &owner), ("weak", &weak)] {
            let request_id = format!("{asker} {}", route.name());
            let answer = send(&world, route, key, &request_id);
            assert!([403, 404].contains(&answer.status), "{}", answer.json);
            let events = in_request(&world, &request_id);
            assert_eq!(events[0]["subject"], organization_id);
        }
    }
    assert!(!world.database.dump().contains(&secret[12..secret.len() - 4]));
}

#[test]
fn number_where_an_id_belongs_is_the_subject() {
    let (world, owner, _) = world();
    let call = world.call("DELETE", "/v2/organization/api-keys/4711", &owner, &Value::Null);
    assert_problem(&call, 404, "not_found");
    world.settle();
    assert_eq!(recorded(&world, "action = 'refused'")[0]["subject"], "4711");
}

/// Puts events into the owner's organization, three in each millisecond: everything about one that lists
/// can ask for takes turns.
fn fill(world: &World, organization_id: &str, events: usize) {
    world.database.execute(&format!(
        "INSERT INTO audit_events (organization_id, subject, action, actor_kind, actor_id, actor_user_id, refusal, at, keep_until)
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {events})
         SELECT '{organization_id}', 'subject ' || (i % 2), iif(i % 5 < 2, 'refused', 'key.updated'), 'key',
         printf('00000000-0000-7000-8000-%012x', i % 3), printf('00000000-0000-7000-8000-%012x', i % 4),
         iif(i % 5 < 2, 'not_found', NULL), {} + i / 3, 1 << 50 FROM n",
        START.0 + 1_000
    ));
}

/// All pages of a list, one after the other.
fn pages(world: &World, key: &str, query: &str, limit: usize) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = world.get(&format!("/v1/audit-events?limit={limit}&{query}{cursor}"), key);
        assert_eq!(answer.status, 200, "{}", answer.json);
        events.extend(answer.json["items"].as_array().unwrap().clone());
        if answer.json["has_more"] == json!(false) {
            return events;
        }
        assert_eq!(answer.json["items"].as_array().unwrap().len(), limit);
        cursor = format!("&starting_after={}", events.last().unwrap()["id"]);
    }
}

/// The answer to somebody who wants lines.
fn export(world: &World, key: &str, query: &str) -> Answer {
    let mut request = request("GET", &format!("/v1/audit-events?{query}"), key, &Value::Null);
    request.headers.push(("accept".to_owned(), "application/x-ndjson".to_owned()));
    world.send(&request)
}

#[test]
fn list_tells_the_newest_first_by_every_filter_and_in_pages_of_any_size() {
    let (world, owner, [organization_id, key_id, user_id]) = world();
    fill(&world, &organization_id, 60);
    world.create(&owner, "key", &[]);
    // Nobody hears of these.
    fill(&world, "another", 60);
    let one = "00000000-0000-7000-8000-000000000001";
    let from = START.plus_ms(1_003).to_rfc3339();
    let to = START.plus_ms(1_010).to_rfc3339();
    let (at_from, at_to) = (START.0 + 1_003, START.0 + 1_010);
    let filters = [
        (String::new(), "true".to_owned()),
        ("action=key.updated".to_owned(), "action = 'key.updated'".to_owned()),
        ("subject=subject+1".to_owned(), "subject = 'subject 1'".to_owned()),
        (format!("actor_id={one}"), format!("actor_id = '{one}'")),
        (format!("user_id={one}"), format!("actor_user_id = '{one}'")),
        (format!("user_id={user_id}"), format!("actor_user_id = '{user_id}'")),
        (format!("actor_id={key_id}"), format!("actor_id = '{key_id}'")),
        (format!("since={from}"), format!("at >= {at_from}")),
        (format!("until={to}"), format!("at < {at_to}")),
        (format!("since={from}&until={to}"), format!("at >= {at_from} AND at < {at_to}")),
        ("refused=true".to_owned(), "refusal IS NOT NULL".to_owned()),
        ("refused=false".to_owned(), "refusal IS NULL".to_owned()),
        ("since=2027-01-16".to_owned(), "false".to_owned()),
        (
            format!("refused=true&subject=subject+0&until={to}&actor_id={one}"),
            format!("refusal IS NOT NULL AND subject = 'subject 0' AND at < {at_to} AND actor_id = '{one}'"),
        ),
    ];
    for (query, condition) in filters {
        let sql = format!(
            "SELECT json_group_array(number) FROM (SELECT number FROM audit_events \
             WHERE organization_id = '{organization_id}' AND {condition} ORDER BY at DESC, id DESC)"
        );
        let expected: Value = serde_json::from_str(world.database.value(&sql).as_str().unwrap()).unwrap();
        assert_eq!(expected == json!([]), condition == "false", "{query}");
        let whole = pages(&world, &owner, &query, 1_000);
        let ids: Value = whole.iter().map(|event| event["id"].clone()).collect();
        assert_eq!(ids, expected, "{query}");
        for limit in [1, 2, 7] {
            assert_eq!(pages(&world, &owner, &query, limit), whole, "{query} by {limit}");
        }
        let lines = export(&world, &owner, &query);
        // No lines at all are no JSON.
        let told = lines.json.as_array().cloned().unwrap_or_default();
        assert_eq!((lines.status, told), (200, whole), "{query}");
    }
    assert_eq!(world.get("/v1/audit-events", &owner).json["items"].as_array().unwrap().len(), 62);
}

#[test]
fn event_is_told_with_all_that_is_known_of_it() {
    let (world, owner, [_, key_id, user_id]) = world();
    let targets = Targets::new(&world, &owner).named(&world.fresh_id());
    let routes = managing(&targets);
    let route = routes.iter().find(|route| route.name() == "DELETE /v1/keys/:key_id").unwrap();
    send(&world, route, &owner, "ray");
    let answer = world.get("/v1/audit-events?limit=1", &owner).json;
    let id = &answer["items"][0]["id"];
    let expected = json!({
        "id": id,
        "subject": targets.id,
        "action": "refused",
        "actor": { "kind": "key", "id": key_id, "user_id": user_id },
        "ip": IP,
        "request_id": "ray",
        "details": { "method": "DELETE", "route": "/v1/keys/:key_id" },
        "refusal": "not_found",
        "at": "2027-01-15T08:00:00.000Z",
    });
    assert_eq!(answer, json!({ "items": [expected], "has_more": true, "next_cursor": id.to_string() }));
}

#[test]
fn list_refuses_what_it_does_not_understand() {
    let (world, owner, _) = world();
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("starting_after=x", "starting_after"),
        ("actor_id=x", "actor_id"),
        ("user_id=x", "user_id"),
        ("since=yesterday", "since"),
        ("until=2027-01-15T08:00:00", "until"),
        ("refused=maybe", "refused"),
        ("actor=x", "actor"),
    ] {
        for answer in [world.get(&format!("/v1/audit-events?{query}"), &owner), export(&world, &owner, query)] {
            assert_problem(&answer, 400, "validation_failed");
            assert_eq!(answer.field(), field, "{query}");
        }
    }
    let answer = export(&world, &owner, "limit=5");
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(answer.field(), "limit");
}

#[test]
fn list_behind_the_event_of_somebody_else_or_of_nobody_is_empty() {
    let (world, owner, [organization_id, ..]) = world();
    fill(&world, "another", 1);
    fill(&world, &organization_id, 1);
    for id in ["0", "999"] {
        let answer = world.get(&format!("/v1/audit-events?starting_after={id}"), &owner).json;
        assert_eq!(answer, json!({ "items": [], "has_more": false, "next_cursor": null }));
    }
}

#[test]
fn trail_is_for_those_who_administer_the_organization() {
    let (world, owner, _) = world();
    let (_, _, member) = world.colleague(&owner, "member");
    let (_, _, admin) = world.colleague(&owner, "admin");
    let (_, scoped) = world.create(&owner, "auditor", &["audit:read"]);
    let (_, unscoped) = world.create(&owner, "unscoped", &["api-keys:*"]);
    let project = world.project(&owner, "p");
    let of_project = json!({ "name": "p", "kind": "proj", "project_id": project, "scopes": ["audit:read"] });
    let (project_key_id, project_key) = world.create_from(&owner, &of_project);
    for key in [&owner, &admin, &scoped] {
        assert_eq!(world.get("/v1/audit-events", key).status, 200);
        assert_eq!(export(&world, key, "").status, 200);
    }
    let refused = |key: &str, code: &str| {
        for answer in [world.get("/v1/audit-events", key), export(&world, key, "")] {
            assert_problem(&answer, 403, code);
        }
    };
    refused(&member, "exceeds_own_access");
    refused(&project_key, "exceeds_own_access");
    refused(&unscoped, "insufficient_scope");
    // Not even one that was given a role by hand.
    world.database.execute(&format!("UPDATE keys SET role = 'admin' WHERE id = '{project_key_id}'"));
    refused(&project_key, "exceeds_own_access");
}

#[test]
fn export_reads_a_thousand_events_at_once() {
    let (world, owner, [organization_id, ..]) = world();
    fill(&world, &organization_id, 2_500);
    let whole = pages(&world, &owner, "", 1_000);
    let (lines, io) = world.counted(|| export(&world, &owner, ""));
    assert_eq!(io, (3, 0, 0));
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(lines.header("cache-control"), Some("no-store"));
    assert_eq!(lines.json, Value::Array(whole.clone()));
    let rest = export(&world, &owner, &format!("starting_after={}", whole[999]["id"]));
    assert_eq!(rest.json, Value::Array(whole[1_000..].to_vec()));
}

#[test]
fn export_asks_for_its_type_in_any_manner() {
    let (world, owner, _) = world();
    for (accept, lines) in [
        ("application/x-ndjson", true),
        ("text/plain, Application/X-NDJSON;q=0.9", true),
        ("application/json", false),
        ("*/*", false),
    ] {
        let mut request = request("GET", "/v1/audit-events", &owner, &Value::Null);
        request.headers.push(("accept".to_owned(), accept.to_owned()));
        assert_eq!(world.send(&request).json.is_array(), lines, "{accept}");
    }
}

/// Begins an export of several pieces and lets something happen behind the first. What comes then?
fn interrupted(meddle: impl Fn(&World, &str)) -> Vec<Result<usize, String>> {
    let (world, owner, [organization_id, ..]) = world();
    fill(&world, &organization_id, 2_500);
    let body = json!({ "name": "auditor", "scopes": ["audit:read"], "expires_in_days": 1 });
    let (id, key) = world.create_from(&owner, &body);
    let mut request = request("GET", "/v1/audit-events", &key, &Value::Null);
    request.headers.push(("accept".to_owned(), "application/x-ndjson".to_owned()));
    let response = block_on(entry::handle(&world.app, &request));
    let Content::Stream(mut pieces) = response.body else { panic!("no stream") };
    let lines = |piece: Vec<u8>| String::from_utf8(piece).unwrap().lines().count();
    let first = block_on(pieces.next()).unwrap().map(lines);
    assert_eq!(first, Ok(1_000));
    meddle(&world, &id);
    block_on(pieces.collect::<Vec<_>>()).into_iter().map(|piece| piece.map(lines)).collect()
}

#[test]
fn export_breaks_off_when_its_key_ends() {
    assert_eq!(interrupted(|_, _| ()), [Ok(1_000), Ok(502)]);
    let revoke = |world: &World, id: &str| {
        world.database.execute(&format!("UPDATE keys SET revoked_at = 1 WHERE id = '{id}'"));
    };
    assert_eq!(interrupted(revoke), [Err("KeyChanged".to_owned())]);
    assert_eq!(interrupted(|world, _| world.advance_ms(DAY_MS)), [Err("Refused(Expired)".to_owned())]);
    let down = |world: &World, _: &str| world.database.down.set(true);
    assert_eq!(interrupted(down).len(), 1);
}

#[test]
fn first_page_of_an_export_that_fails_is_a_proper_error() {
    let (world, owner, _) = world();
    world.database.fail_next("D1 is down");
    assert_problem(&export(&world, &owner, ""), 503, "unavailable");
}

#[test]
fn database_refuses_to_change_events_or_to_delete_them_too_early() {
    let (world, ..) = world();
    let refusal = |sql: &str| world.database.connection.borrow().execute(sql, []).unwrap_err().to_string();
    assert_eq!(refusal("UPDATE audit_events SET ip = NULL"), "an audit event is never changed");
    assert_eq!(refusal("UPDATE audit_events SET keep_until = 0"), "an audit event is never changed");
    assert_eq!(refusal("REPLACE INTO audit_events SELECT * FROM audit_events"), "an audit event is never replaced");
    let kept = "an audit event is kept until its retention is over";
    assert_eq!(refusal("DELETE FROM audit_events"), kept);
    world.advance_ms(365 * DAY_MS - 1);
    assert_eq!(refusal("DELETE FROM audit_events"), kept);
    world.advance_ms(1);
    // What is not sealed stays without an error.
    world.database.execute("DELETE FROM audit_events");
    assert!(world.database.count("audit_events") > 0);
    sweep(&world);
    world.database.execute("DELETE FROM audit_events");
    assert_eq!(world.database.count("audit_events"), 0);
}

/// What a page costs must grow neither with the trail nor with how far back it lies.
#[test]
fn cost_of_a_page_stays_the_same_in_a_long_trail() {
    let one = "00000000-0000-7000-8000-000000000001";
    let cost = |events: usize| {
        let (world, owner, [organization_id, ..]) = world();
        fill(&world, &organization_id, events);
        let until = START.plus_ms(2_000_000).to_rfc3339();
        [
            String::new(),
            "action=key.updated".to_owned(),
            "subject=subject+1".to_owned(),
            format!("actor_id={one}"),
            format!("user_id={one}"),
            "refused=true".to_owned(),
            "refused=false".to_owned(),
            format!("until={until}"),
            "since=2027-01-15".to_owned(),
            format!("starting_after=30&until={until}"),
            format!("starting_after=30&since=2027-01-15&until={until}"),
            "action=bootstrapped&subject=subject+none".to_owned(),
            "refused=true&subject=none".to_owned(),
        ]
        .map(|query| {
            let path = format!("/v1/audit-events?limit=2&{query}");
            world.steps(|| assert_eq!(world.get(&path, &owner).status, 200))
        })
    };
    assert_eq!(cost(60), cost(6_000));
}

#[test]
fn organization_retention_overrides_but_shortens_nothing() {
    let world = World::new();
    let owner = world.bootstrap();
    let settings = json!({ "audit_retention_days": 60, "trace_retention_days": 3 });
    assert_eq!(world.call("PATCH", "/v1/organizations/self", &owner, &settings).status, 200);
    world.create(&owner, "made", &["datasets:read"]);
    let trace = json!({ "traces": [{ "id": "01a3185c-0000-7000-8000-000000000001" }] });
    assert_eq!(world.post("/v1/ingest/batch", &owner, &trace).status, 201);
    let days = |sql: &str| world.database.value(&format!("SELECT group_concat(days) FROM ({sql})"));
    let events = days("SELECT (keep_until - at) / 86400000 AS days FROM audit_events ORDER BY id");
    assert_eq!(events, "365,365,60", "the bootstrap's, the setting's own, the new key's");
    assert_eq!(days("SELECT (keep_until - received_at) / 86400000 AS days FROM traces"), "3");
}

#[test]
fn event_that_shortens_the_retention_is_kept_by_the_longer_one_and_no_event_below_the_operators_least() {
    let (world, owner, [organization_id, ..]) = world();
    let set = |days: Value| {
        let change = json!({ "audit_retention_days": days });
        world.call("PATCH", "/v1/organizations/self", &owner, &change)
    };
    let kept = || {
        let days = "SELECT (keep_until - at) / 86400000 FROM audit_events ORDER BY id DESC LIMIT 1";
        world.database.value(days).as_i64().unwrap()
    };
    for (days, event, after) in [(json!(3_650), 3_650, 3_650), (json!(30), 3_650, 30), (Value::Null, 365, 365)] {
        assert_eq!(set(days.clone()).status, 200, "{days}");
        assert_eq!(kept(), event, "{days}");
        world.create(&owner, "key", &[]);
        assert_eq!(kept(), after, "{days}");
    }
    let before = in_all(&world);
    let answer = set(json!(29));
    assert_problem(&answer, 400, "validation_failed");
    assert_eq!(answer.field(), "audit_retention_days");
    assert_eq!(in_all(&world), before);
    // What an organization chose before the operator did.
    world
        .database
        .execute(&format!("UPDATE organizations SET audit_retention_days = 1 WHERE id = '{organization_id}'"));
    world.create(&owner, "key", &[]);
    assert_eq!(kept(), 30);
}

#[test]
fn acts_of_the_operator_in_another_organization_are_in_both_trails() {
    let (world, owner, [own, key_id, user_id]) = world();
    let (tenant, _, stranger) = world.stranger(&owner);
    let stranger_user = world.get("/v1/keys/self", &stranger).text("user_id");
    let member = world.user(&tenant, "member");
    let (id, _) = world.create(&stranger, "of the member", &[]);
    world.database.execute(&format!("UPDATE keys SET user_id = '{member}', role = 'member' WHERE id = '{id}'"));
    let path = format!("/v1/organizations/{tenant}");
    let people = format!("{path}/members");
    let acts = [
        ("PATCH", path.clone(), json!({ "credits": 5 }), 1),
        ("PATCH", path.clone(), json!({ "subscription": "inactive" }), 1),
        ("PATCH", path.clone(), json!({ "suspended": true }), 1),
        ("PATCH", path.clone(), json!({ "suspended": false }), 1),
        ("POST", format!("{people}/{stranger_user}/sign-in-links"), Value::Null, 1),
        ("POST", format!("{path}/invitations"), json!({ "email": "new@example.com", "role": "member" }), 1),
        ("POST", format!("{path}/teams"), json!({ "name": "team" }), 1),
        ("DELETE", format!("{people}/{member}?with_descendants=true&force=true"), Value::Null, 2),
    ];
    for (index, (method, path, body, events)) in acts.iter().enumerate() {
        let request_id = format!("act-{index}");
        let mut request = request(method, path, &owner, body);
        request.headers.push(("cf-ray".to_owned(), request_id.clone()));
        let answer = world.send(&request);
        assert!(answer.status < 300, "{method} {path}: {}", answer.json);
        let all = in_request(&world, &request_id);
        assert_eq!(all.len(), 2 * events, "{method} {path}");
        for (organization, kind) in [(&tenant, "operator"), (&own, "key")] {
            let of: Vec<_> = all.iter().filter(|event| event["organization_id"] == organization.as_str()).collect();
            assert_eq!(of.len(), *events, "{method} {path}");
            for event in of {
                assert_eq!(
                    [&event["actor_kind"], &event["actor_id"], &event["user_id"]],
                    [kind, key_id.as_str(), &user_id],
                    "{method} {path}"
                );
                let named = if kind == "key" { json!(tenant) } else { Value::Null };
                assert_eq!(event["details"]["organization_id"], named, "{method} {path}");
            }
        }
    }
    let told = world.get("/v1/audit-events?action=sign_in_link.created", &stranger).json;
    assert_eq!(told["items"][0]["actor"], json!({ "kind": "operator", "id": key_id, "user_id": user_id }));
    let told = world.get("/v1/audit-events?action=sign_in_link.created", &owner).json;
    assert_eq!(told["items"][0]["details"]["organization_id"], json!(tenant));
    // What a tenant does is in its own trail alone.
    world.create(&stranger, "own", &[]);
    let created = recorded(&world, "action = 'key.created' ORDER BY id");
    assert_eq!(
        [&created[created.len() - 1]["organization_id"], &created[created.len() - 1]["actor_kind"]],
        [&*tenant, "key"]
    );
}

/// A world with one of the operator's routes.
pub(crate) fn world_with_orders() -> (World, String) {
    let mut catalogue: Value = serde_json::from_str(include_str!("../../catalogue.json")).unwrap();
    catalogue["resources"]["orders"] = json!({ "read": "See orders" });
    let route =
        json!({ "methods": ["GET"], "path": "/orders/:id", "scope": "orders:read", "upstream": "https://o.example" });
    catalogue["routes"] = json!([route]);
    let world = World::with_config(&[("CATALOGUE", &catalogue.to_string())]);
    let owner = world.bootstrap();
    (world, owner)
}

/// A key that has ended, in one of these ways: its id, its text, and the code with which it is refused.
fn ended(world: &World, owner: &str, way: &str) -> (String, String, &'static str) {
    let body = json!({ "name": way, "scopes": ["api-keys:*", "orders:read"], "expires_in_days": 1 });
    let (id, key) = world.create_from(owner, &body);
    match way {
        "revoked" => world.revoke(owner, &id),
        "disabled" => drop(world.change(owner, &id, &json!({ "enabled": false }))),
        "expired" => world.advance_ms(DAY_MS),
        _ => {
            let body = json!({ "grace_period_seconds": 0 });
            assert_eq!(world.post(&format!("/v1/keys/{id}/rotate"), owner, &body).status, 200);
        }
    }
    let code = match way {
        "revoked" => "key_revoked",
        "disabled" => "key_disabled",
        "expired" => "api_key_expired",
        _ => "key_rotated",
    };
    (id, key, code)
}

#[test]
fn use_of_a_key_that_has_ended_is_recorded_wherever_it_is_used() {
    type Use = fn(&World, &str, &str) -> u16;
    let uses: [(&str, &str, Use); 6] = [
        ("GET", "/v1/keys/self", |world, key, _| world.get("/v1/keys/self", key).status),
        ("GET", "/v1/api_key", |world, key, _| world.get("/v1/api_key", key).status),
        ("GET", "/orders/:id", |world, key, _| world.get("/orders/7", key).status),
        ("POST", "/mcp", |world, key, _| {
            world.post("/mcp", key, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).status
        }),
        ("POST", "/sign-in", |world, key, _| Browser::new(world).post("/sign-in", &[("key", key)]).status),
        ("POST", "/v1/keys/verify", |world, key, owner| {
            assert_eq!(world.verify(owner, key, &[])["valid"], false);
            401
        }),
    ];
    for way in ["revoked", "disabled", "expired", "rotated out"] {
        let (world, owner) = world_with_orders();
        let [organization_id, owner_id, _] = own_ids(&world, &owner);
        let (id, key, code) = ended(&world, &owner, way);
        for (method, route, present) in &uses {
            world.advance_ms(MINUTE_MS);
            world.settle();
            let before = recorded(&world, "action = 'refused'").len();
            assert!([401, 403].contains(&present(&world, &key, &owner)), "{way}: {route}");
            world.settle();
            let events = recorded(&world, "action = 'refused' ORDER BY id");
            assert_eq!(events.len(), before + 1, "{way}: {route}");
            let event = &events[before];
            let mut details = json!({ "method": method, "route": route });
            if *route == "/v1/keys/verify" {
                details["verified_by"] = json!(owner_id);
            }
            assert_eq!(event["details"], details);
            assert_eq!(
                [&event["organization_id"], &event["subject"], &event["actor_id"], &event["refusal"]],
                [organization_id.as_str(), &id, &id, code]
            );
        }
    }
}

#[test]
fn uses_of_an_ended_key_are_one_event_a_minute_with_their_number() {
    let (world, owner, [organization_id, ..]) = world();
    let (id, key) = world.create(&owner, "ended", &["api-keys:read"]);
    world.revoke(&owner, &id);
    let present = |times: usize| {
        for _ in 0..times {
            assert_problem(&world.get("/v1/keys/self", &key), 401, "key_revoked");
            world.settle();
        }
    };
    present(50);
    assert_eq!(refused(&world, &organization_id), (1, 0));
    world.advance_ms(MINUTE_MS);
    present(50);
    assert_eq!(refused(&world, &organization_id), (2, 48), "the newest of the first minute");
    world.advance_ms(MINUTE_MS);
    world.get("/v1/scopes", &owner);
    world.settle();
    assert_eq!(refused(&world, &organization_id), (3, 48 + 49));
}

#[test]
fn texts_of_no_known_key_and_keys_that_lack_a_scope_leave_no_event_of_a_use() {
    let (world, owner, _) = world();
    let (id, deleted) = world.create(&owner, "deleted", &[]);
    world.database.execute(&format!("DELETE FROM keys WHERE id = '{id}'"));
    let (_, weak) = world.create(&owner, "weak", &[]);
    let (_, _, stranger) = world.stranger(&owner);
    let (revoked_id, revoked) = world.create(&owner, "revoked", &[]);
    world.revoke(&owner, &revoked_id);
    world.settle();
    let before = in_all(&world);
    for key in ["", "nonsense", &deleted, &weak] {
        assert!(world.get("/v1/keys", key).status >= 401);
    }
    // Whoever may not see a key can fill nobody's log with it.
    assert_eq!(world.verify(&stranger, &revoked, &[])["code"], "invalid_api_key");
    world.settle();
    assert_eq!(in_all(&world), before);
    assert_eq!(Browser::new(&world).post("/sign-in", &[("key", &weak)]).status, 403);
    world.settle();
    assert_eq!(recorded(&world, "refusal = 'insufficient_scope'")[0]["details"]["route"], "/sign-in");
}

#[test]
fn reads_and_exports_are_recorded_once_a_minute() {
    let (world, owner, [organization_id, key_id, _]) = world();
    let dataset =
        world.post("/api/datasets", &owner, &json!({ "name": "d", "rows": [{ "q": "a" }] })).text("public_id");
    let before = in_all(&world);
    for _ in 0..3 {
        assert_eq!(world.get("/v1/audit-events", &owner).status, 200);
        assert_eq!(export(&world, &owner, "").status, 200);
        world.settle();
    }
    assert_eq!(world.get(&format!("/api/datasets/{dataset}/export?format=csv"), &owner).status, 200);
    world.settle();
    assert_eq!(in_all(&world), before + 3);
    for (action, subject) in
        [("audit_log.read", &organization_id), ("audit_log.exported", &organization_id), ("dataset.exported", &dataset)]
    {
        let events = recorded(&world, &format!("action = '{action}'"));
        assert_eq!(events.len(), 1, "{action}");
        assert_eq!([&events[0]["subject"], &events[0]["actor_id"]], [subject, &key_id], "{action}");
    }
    world.advance_ms(MINUTE_MS);
    world.get("/v1/scopes", &owner);
    world.settle();
    assert_eq!(recorded(&world, "details ->> '$.omitted' = 1").len(), 2);
}

fn sweep(world: &World) {
    block_on(world.app.sweep(entry::chores())).unwrap();
}

/// The outcome of a check of a whole log: whether it is valid, its fault, and the numbers of what was pruned and not sealed.
fn verified(world: &World, key: &str) -> (bool, Value, [i64; 3]) {
    let (mut cursor, mut pruned) = (String::new(), 0);
    loop {
        let answer = world.get(&format!("/v1/audit-events/verify{cursor}"), key);
        assert_eq!(answer.status, 200, "{}", answer.json);
        pruned += answer.json["pruned"].as_i64().unwrap();
        if answer.json["has_more"] == true {
            cursor = format!("?starting_after={}", answer.text("next_cursor"));
            continue;
        }
        let number = |field: &str| answer.json[field].as_i64().unwrap();
        let numbers = [number("verified_up_to"), pruned, number("unsealed")];
        return (answer.json["valid"] == true, answer.json["fault"].clone(), numbers);
    }
}

#[test]
fn events_are_numbered_without_a_gap_in_each_organization() {
    let (world, owner, targets) = prepared();
    let (_, _, stranger) = world.stranger(&owner);
    for _ in 0..3 {
        let body = json!({ "name": "short", "scopes": [], "expires_in_days": 1 });
        world.create_from(&owner, &body);
        world.create(&stranger, "own", &[]);
    }
    let path = format!("/v1/organizations/self/members/{}?with_descendants=true&force=true", targets.member);
    assert!(world.call("DELETE", &path, &owner, &Value::Null).status < 300);
    world.advance_ms(DAY_MS);
    sweep(&world);
    let gaps = "SELECT count(*) FROM (SELECT organization_id FROM audit_events GROUP BY organization_id \
                HAVING min(number) <> 1 OR max(number) <> count(*) OR count(DISTINCT number) <> count(*))";
    assert_eq!(world.database.value(gaps), 0);
    assert!(world.database.value("SELECT count(DISTINCT organization_id) FROM audit_events").as_i64() > Some(1));
    // Nobody learns how much others do.
    let newest = world.get("/v1/audit-events?limit=1", &stranger).json["items"][0]["id"].clone();
    assert_eq!(newest, 3);
}

/// A world with ten events that are sealed, and three that are not.
fn sealed() -> (World, String, String) {
    let (world, owner, [organization_id, ..]) = world();
    (0..9).for_each(|_| drop(world.create(&owner, "key", &[])));
    sweep(&world);
    (0..3).for_each(|_| drop(world.create(&owner, "key", &[])));
    (world, owner, organization_id)
}

#[test]
fn check_of_the_log_finds_what_was_changed_by_hand() {
    let triggers = "DROP TRIGGER audit_events_stay; DROP TRIGGER audit_events_kept; DROP TRIGGER audit_events_appended;
                    DROP TRIGGER audit_seals_stay; DROP TRIGGER audit_seals_kept;";
    let (world, owner, _) = sealed();
    assert_eq!(verified(&world, &owner), (true, Value::Null, [10, 0, 3]));
    let insert = |number: &str| {
        format!(
            "INSERT INTO audit_events (organization_id, subject, action, actor_kind, actor_id, ip, details, at, keep_until, number) \
             SELECT organization_id, subject, action, actor_kind, actor_id, ip, details, at, keep_until, {number} \
             FROM audit_events WHERE number = 4"
        )
    };
    let tampered: [(String, &str, i64); 13] = [
        ("DELETE FROM audit_events WHERE number = 3".to_owned(), "event_missing", 3),
        ("DELETE FROM audit_events WHERE number = 10".to_owned(), "event_missing", 10),
        ("DELETE FROM audit_events WHERE number = 12".to_owned(), "event_missing", 12),
        ("DELETE FROM audit_events".to_owned(), "event_missing", 1),
        ("UPDATE audit_events SET details = '{}' WHERE number = 3".to_owned(), "event_changed", 1),
        ("UPDATE audit_events SET ip = '203.0.113.9' WHERE number = 3".to_owned(), "event_changed", 1),
        ("UPDATE audit_events SET keep_until = 1 WHERE number = 3".to_owned(), "event_changed", 1),
        (format!("DELETE FROM audit_events WHERE number = 3; {}", insert("3")), "event_changed", 1),
        (insert("20"), "event_missing", 14),
        (
            "UPDATE audit_seals SET keep_until = 1; DELETE FROM audit_events WHERE number = 3".to_owned(),
            "seal_changed",
            1,
        ),
        (
            "UPDATE audit_seals SET pruned = 1; DELETE FROM audit_events WHERE number < 11".to_owned(),
            "event_missing",
            1,
        ),
        ("UPDATE audit_seals SET hash = events_hash".to_owned(), "seal_changed", 1),
        (
            "UPDATE audit_seals SET first_number = 2; DELETE FROM audit_events WHERE number = 1".to_owned(),
            "event_missing",
            1,
        ),
    ];
    for (sql, code, number) in tampered {
        let (world, owner, _) = sealed();
        world.database.execute(triggers);
        world.database.execute(&sql);
        let (valid, fault, _) = verified(&world, &owner);
        assert_eq!((valid, fault), (false, json!({ "code": code, "number": number })), "{sql}");
    }
    // The seal of a chain that was written anew differs from the one that somebody has kept.
    let kept = world.get("/v1/audit-events/verify", &owner).json["newest_seal"].clone();
    assert_eq!(kept["number"], 10);
    world.database.execute(triggers);
    world
        .database
        .execute("UPDATE audit_events SET ip = NULL, details = '{}' WHERE number = 3; DELETE FROM audit_seals");
    sweep(&world);
    let forged = world.get("/v1/audit-events/verify", &owner).json;
    assert_eq!(forged["valid"], true);
    assert_ne!(forged["newest_seal"]["hash"], kept["hash"]);
}

#[test]
fn pruned_log_can_still_be_checked_and_gives_no_number_again() {
    let (world, owner, organization_id) = sealed();
    let life = json!({ "audit_retention_days": 30 });
    assert_eq!(world.call("PATCH", "/v1/organizations/self", &owner, &life).status, 200);
    world.create(&owner, "short", &[]);
    sweep(&world);
    let seals = world.database.count("audit_seals");
    sweep(&world);
    assert_eq!(world.database.count("audit_seals"), seals, "there was nothing new");
    world.advance_ms(30 * DAY_MS);
    sweep(&world);
    sweep(&world);
    assert_eq!(verified(&world, &owner), (true, Value::Null, [15, 1, 0]));
    world.create(&owner, "later", &[]);
    assert_eq!(world.get("/v1/audit-events?limit=1", &owner).json["items"][0]["id"], 16);
    world.advance_ms(365 * DAY_MS);
    sweep(&world);
    sweep(&world);
    assert_eq!(world.database.count("audit_events"), 0);
    assert_eq!(verified(&world, &owner), (true, Value::Null, [16, 16, 0]));
    world.create(&owner, "last", &[]);
    assert_eq!(world.get("/v1/audit-events?limit=1", &owner).json["items"][0]["id"], 17);
    world.database.execute(&format!(
        "INSERT INTO audit_events (organization_id, subject, action, actor_kind, at, keep_until, number) \
         VALUES ('{organization_id}', 's', 'key.updated', 'key', 1, 1, 3)"
    ));
    let (valid, fault, _) = verified(&world, &owner);
    assert_eq!((valid, fault), (false, json!({ "code": "event_added", "number": 3 })));
}

#[test]
fn sweep_of_an_older_worker_leaves_no_gap_in_the_log() {
    let (world, owner, _) = sealed();
    for days in [json!(30), Value::Null] {
        let life = json!({ "audit_retention_days": days });
        assert_eq!(world.call("PATCH", "/v1/organizations/self", &owner, &life).status, 200);
        world.create(&owner, "key", &[]);
    }
    world.advance_ms(30 * DAY_MS);
    let older = "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events \
                 WHERE keep_until <= CAST(unixepoch('subsec') * 1000 AS INTEGER) ORDER BY keep_until LIMIT 1000)";
    world.database.execute(older);
    assert_eq!(verified(&world, &owner), (true, Value::Null, [10, 0, 7]));
    sweep(&world);
    world.advance_ms(365 * DAY_MS);
    world.database.execute(older);
    assert_eq!(world.database.count("audit_events"), 0);
    assert_eq!(verified(&world, &owner), (true, Value::Null, [17, 17, 0]));
}

#[test]
fn long_log_is_checked_part_by_part() {
    let (world, owner, [organization_id, ..]) = world();
    fill(&world, &organization_id, 1_300);
    sweep(&world);
    assert_eq!(verified(&world, &owner), (true, Value::Null, [1_301, 0, 0]));
    let first = world.get("/v1/audit-events/verify", &owner).json;
    assert_eq!(first["has_more"], true);
    for wrong in ["1302", "-1", "2"] {
        let answer = world.get(&format!("/v1/audit-events/verify?starting_after={wrong}"), &owner);
        assert_problem(&answer, 400, "validation_failed");
    }
    // Another organization's log is none of theirs.
    let (_, _, stranger) = world.stranger(&owner);
    world.create(&stranger, "own", &[]);
    assert_eq!(verified(&world, &stranger), (true, Value::Null, [0, 0, 1]));
}
