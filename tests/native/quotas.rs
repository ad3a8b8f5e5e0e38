//! Quotas: how much of each thing an organization may have, on every surface, and the exact counts behind them.

use std::rc::Rc;

use bitting::entry::chores;
use bitting_http::message::Body;
use bitting_keys::ports::ByteSource;
use futures::{
    StreamExt,
    executor::block_on,
    stream::{self, LocalBoxStream},
};
use serde_json::{Value, json};

use crate::{
    pages::{Browser, html},
    support::{
        Answer, World,
        problem::assert_problem,
        request,
        routes::{Targets, prepared},
    },
};

const OWN: &str = "/v1/organizations/self";
const QUOTAS: [&str; 6] = ["keys", "projects", "members", "invitations", "datasets", "bytes"];

fn used(world: &World, by: &str, quota: &str) -> i64 {
    world.get(OWN, by).json["usage"][quota]["used"].as_i64().unwrap()
}

fn set(world: &World, by: &str, quota: &str, limit: &Value) -> Answer {
    world.call("PATCH", OWN, by, &json!({ "quotas": { quota: limit } }))
}

/// Requests that each add one of a thing, beside the key of a project that comes with it.
fn additions(targets: &Targets) -> Vec<(&'static str, String, Value)> {
    let named = || json!({ "name": "one more" });
    let of = |path: &str| format!("{OWN}/{path}");
    let invitation = |email: &str| json!({ "email": email, "role": "member" });
    vec![
        ("keys", "/v1/keys".to_owned(), json!({ "name": "one more", "scopes": [] })),
        ("keys", "/v1/api_key".to_owned(), named()),
        ("keys", "/v2/organization/api-keys".to_owned(), named()),
        ("keys", "/v1/apikeys".to_owned(), named()),
        ("keys", "/api/live-evaluations".to_owned(), json!({ "evaluation_id": targets.evaluation })),
        ("projects", of("projects"), named()),
        ("projects", "/v2/projects".to_owned(), named()),
        ("members", format!("/v1/invitations/{}/accept", targets.token), json!({ "key_name": "mine" })),
        ("invitations", of("invitations"), invitation("one@example.com")),
        ("datasets", "/api/datasets".to_owned(), named()),
        ("bytes", "/api/datasets".to_owned(), json!({ "name": "rows", "rows": [{ "a": "b" }] })),
        ("bytes", format!("/api/datasets/{}/rows", targets.dataset), json!({ "rows": [{ "question": "how" }] })),
        ("bytes", format!("/api/datasets/{}/rows/1", targets.dataset), json!({ "question": "how on earth" })),
        (
            "bytes",
            "/v1/ingest/batch".to_owned(),
            json!({ "traces": [{ "id": "01900000-0000-7000-8000-0000000fffff",
            "name": "n", "started_at": "2027-01-15T07:00:00Z" }] }),
        ),
        (
            "bytes",
            "/v1/feedback".to_owned(),
            json!({ "trace_id": "01900000-0000-7000-8000-0000000fffff", "label": "good", "comment": "more" }),
        ),
        (
            "bytes",
            "/v1/eval".to_owned(),
            json!({ "trace_id": "01900000-0000-7000-8000-0000000fffff", "evaluator_type": "e", "metric_name": "more" }),
        ),
        ("bytes", format!("/api/eval/{}", targets.live_evaluation), json!({ "inputs": { "answer": "why" } })),
    ]
}

#[test]
fn quota_is_refused_on_every_surface_with_its_number_and_nothing_changes() {
    let (_, _, targets) = prepared();
    for (quota, path, body) in additions(&targets) {
        let (world, owner, _) = prepared();
        let method = if path.contains("/rows/") { "PATCH" } else { "POST" };
        let limit = used(&world, &owner, quota);
        assert_eq!(set(&world, &owner, quota, &json!(limit)).status, 200);
        let before = world.database.dump();
        let answer = world.call(method, &path, &owner, &body);
        assert_problem(&answer, 409, "quota_exceeded");
        let told = answer.json.to_string();
        assert!(told.contains(&format!("may have {limit} ")) && told.contains("ask the operator"), "{told}");
        world.settle();
        let events = |dump: &str| dump.lines().filter(|line| !line.contains("refused")).count();
        assert_eq!(events(&world.database.dump()), events(&before), "{path}");
        // One more is enough, and lasts for one only.
        assert_eq!(set(&world, &owner, quota, &json!(limit + 1_000)).status, 200);
        let answer = world.call(method, &path, &owner, &body);
        assert!((200..=202).contains(&answer.status), "{path}: {}", answer.json);
        assert!(used(&world, &owner, quota) > limit, "{path}");
    }
}

#[test]
fn quota_lasts_exactly_as_far_as_it_says_and_what_ends_gives_back() {
    let (world, owner, targets) = prepared();
    let limit = used(&world, &owner, "keys") + 2;
    set(&world, &owner, "keys", &json!(limit));
    let (id, _) = world.create(&owner, "a", &[]);
    world.create(&owner, "b", &[]);
    let body = json!({ "name": "c", "scopes": [] });
    assert_problem(&world.post("/v1/keys", &owner, &body), 409, "quota_exceeded");
    world.revoke(&owner, &id);
    assert_eq!(world.post("/v1/keys", &owner, &body).status, 201);
    assert_problem(&world.post("/v1/keys", &owner, &body), 409, "quota_exceeded");
    // Below what is there: nothing is added, everything else goes on.
    assert_eq!(set(&world, &owner, "keys", &json!(0)).status, 200);
    world.change(&owner, &targets.id, &json!({ "name": "renamed" }));
    assert_eq!(world.post(&format!("/v1/keys/{}/rotate", targets.id), &owner, &json!({})).status, 200);
    world.revoke(&owner, &targets.id);
    assert_problem(&world.post("/v1/keys", &owner, &body), 409, "quota_exceeded");
    assert_eq!(set(&world, &owner, "keys", &Value::Null).status, 200);
    assert_eq!(world.post("/v1/keys", &owner, &body).status, 201);
    assert_eq!(world.get(OWN, &owner).json["usage"]["keys"]["limit"], 100_000);
}

#[test]
fn quota_is_the_operators_to_set_and_belongs_to_one_organization() {
    let (world, owner, targets) = prepared();
    let (strangers, _, stranger) = world.stranger(&owner);
    let admin = world.colleague(&owner, "admin").2;
    for quota in QUOTAS {
        assert_problem(&set(&world, &stranger, quota, &json!(1)), 403, "exceeds_own_access");
        let path = format!("/v1/organizations/{strangers}");
        let answer = world.call("PATCH", &path, &admin, &json!({ "quotas": { quota: 1 } }));
        assert_eq!((answer.status, &answer.json["quotas"][quota]), (200, &json!(1)), "{}", answer.json);
        assert_eq!(world.get(&path, &stranger).json["usage"][quota]["limit"], 1, "{quota}");
        assert_eq!(world.get(OWN, &owner).json["quotas"][quota], Value::Null, "{quota}");
    }
    for (limit, field) in [(json!(-1), "quotas.keys"), (json!(1.5), "quotas.keys"), (json!("1"), "quotas.keys")] {
        let answer = set(&world, &owner, "keys", &limit);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.json["error"]["field"], field);
    }
    assert_problem(&set(&world, &owner, "cats", &json!(1)), 400, "validation_failed");
    assert_problem(&world.call("PATCH", OWN, &owner, &json!({ "quotas": {} })), 400, "validation_failed");
    let event = world.get("/v1/audit-events?limit=1&action=organization.updated", &owner).json;
    // What was set for the other organization is in the operator's log, too, and says for whom.
    assert_eq!(event["items"][0]["details"]["organization_id"], json!(strangers), "{event}");
    assert_eq!(set(&world, &owner, "keys", &json!(7)).status, 200);
    let event = world.get("/v1/audit-events?limit=1", &owner).json;
    assert_eq!(event["items"][0]["details"], json!({ "quotas": { "keys": 7 } }));
    let _ = targets;
}

#[test]
fn usage_follows_everything_that_comes_and_goes() {
    let (world, owner, targets) = prepared();
    let usage = || QUOTAS.map(|quota| used(&world, &owner, quota));
    let before = usage();
    assert!(before.iter().all(|used| *used > 0), "{before:?}");
    let project = world.project(&owner, "two");
    assert_eq!(world.call("DELETE", &format!("{OWN}/projects/{project}"), &owner, &Value::Null).status, 200);
    for path in [format!("members/{}", targets.colleague), format!("invitations/{}", targets.invitation)] {
        assert!(world.call("DELETE", &format!("{OWN}/{path}"), &owner, &Value::Null).status < 300);
    }
    let answer = world.call("DELETE", &format!("/api/datasets/{}", targets.dataset), &owner, &Value::Null);
    assert!(answer.status < 300, "{}", answer.json);
    sweep_all(&world);
    let [keys, projects, members, invitations, datasets, bytes] = usage();
    // The first key of the project is there, although it is of no use.
    assert_eq!([keys, projects, members], [before[0] + 1, before[1], before[2] - 1]);
    assert_eq!([invitations, datasets], [before[3] - 1, before[4] - 1]);
    assert!(bytes < before[5], "{bytes}");
}

#[test]
fn upload_ends_where_the_bytes_do_and_nothing_of_it_stays() {
    struct Pieces(Vec<Vec<u8>>);
    impl ByteSource for Pieces {
        fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
            stream::iter(self.0.iter().cloned().map(Ok)).boxed_local()
        }
    }
    let (world, owner, _) = prepared();
    let before = usage_of(&world, &owner);
    set(&world, &owner, "bytes", &json!(5_000_000));
    let csv = format!("a\n{}", format!("{}\n", "x".repeat(1_000)).repeat(9_000));
    let upload = |csv: &str| {
        let mut request = request("POST", "/api/datasets/upload?name=up&format=csv", &owner, &Value::Null);
        request.body = Body::Unread(Rc::new(Pieces(csv.as_bytes().chunks(65_536).map(<[u8]>::to_vec).collect())));
        world.send(&request)
    };
    let sets = world.get("/api/datasets", &owner).json["items"].clone();
    let steps = world.steps(|| assert_problem(&upload(&csv), 409, "quota_exceeded"));
    assert!(steps > 0 && used(&world, &owner, "bytes") <= 5_000_000);
    assert_eq!(world.get("/api/datasets", &owner).json["items"], sets);
    sweep_all(&world);
    assert_eq!(usage_of(&world, &owner), before);
    assert_eq!(upload(&csv[..4_000_000]).status, 201);
}

/// Sweeps until data sets are gone: one goes after its last rows.
fn sweep_all(world: &World) {
    for _ in 0..2 {
        block_on(world.app.sweep(chores())).unwrap();
    }
}

fn usage_of(world: &World, by: &str) -> Vec<i64> {
    QUOTAS.iter().map(|quota| used(world, by, quota)).collect()
}

#[test]
fn two_at_once_never_overdraw_a_quota() {
    let (mut world, owner, _) = prepared();
    let limit = used(&world, &owner, "keys") + 1;
    set(&world, &owner, "keys", &json!(limit));
    // Somebody else takes the last place between the check of the caller and the insertion.
    world.before_batches(move |database, number| {
        if number == 0 {
            database.execute(
                "INSERT INTO keys (id, organization_id, number, kind, digest, pepper_version, stem, start, last4, name, \
                 scopes, role, created_at, updated_at) SELECT 'k', organization_id, 900, 'org', 'd', 0, 's', 's', 'l', 'n', \
                 '[]', 'member', 1, 1 FROM memberships LIMIT 1",
            );
        }
    });
    let body = json!({ "name": "c", "scopes": [] });
    assert_problem(&world.post("/v1/keys", &owner, &body), 409, "quota_exceeded");
    assert_eq!(used(&world, &owner, "keys"), limit);
}

#[test]
fn repeated_request_gets_its_answer_although_the_quota_is_used_up() {
    let (world, owner, _) = prepared();
    set(&world, &owner, "keys", &json!(used(&world, &owner, "keys") + 1));
    let mut create = request("POST", "/v1/keys", &owner, &json!({ "name": "once", "scopes": [] }));
    create.headers.push(("idempotency-key".to_owned(), "one".to_owned()));
    let first = world.send(&create);
    assert_eq!(first.status, 201, "{}", first.json);
    assert_eq!(world.send(&create).json, first.json);
}

#[test]
fn organization_page_tells_usage_and_a_form_says_what_is_full() {
    let (world, owner, _) = prepared();
    let mut browser = Browser::with_key(&world, &owner);
    let limit = used(&world, &owner, "projects");
    set(&world, &owner, "projects", &json!(limit));
    let page = html(&browser.get("/settings/organization"));
    assert!(page.contains(&format!("{limit} of {limit}")) && page.contains("of 1000000000"), "{page}");
    let answer = browser.fill("/settings/projects", "/settings/projects", &[("name", "One more")]);
    assert_eq!(answer.status, 409);
    assert!(html(&answer).contains(&format!("may have {limit} projects")), "{}", html(&answer));
}

#[test]
fn default_quotas_are_those_of_the_documents() {
    let (world, owner, _) = prepared();
    let docs = include_str!("../../docs/src/organizations.md");
    let organization = world.get(OWN, &owner).json;
    for quota in QUOTAS {
        let limit = organization["usage"][quota]["limit"].to_string();
        let row = docs.lines().find(|line| line.starts_with(&format!("| `{quota}` |"))).unwrap();
        assert!(row.replace(',', "").contains(&format!("| {limit} |")), "{row}");
    }
}

#[test]
fn create_costs_the_same_however_many_keys_there_are() {
    let (world, owner, targets) = prepared();
    let create = || world.steps(|| drop(world.create(&owner, "one", &[])));
    create();
    let before = create();
    world.copy_key(&targets.id, 20_000, "00000001", None);
    let after = create();
    assert!((after - before).abs() * 50 <= before, "{before} {after}");
}

#[test]
fn organization_whose_usage_is_not_counted_yet_can_be_read_and_changed() {
    let (world, owner, _) = prepared();
    world.database.execute("CREATE TABLE counted AS SELECT * FROM usage; DELETE FROM usage");
    for (method, body) in [("GET", Value::Null), ("PATCH", json!({ "default_expiry_days": 30 }))] {
        let answer = world.call(method, OWN, &owner, &body);
        assert_eq!((answer.status, &answer.json["usage"]["keys"]["used"]), (200, &json!(0)), "{}", answer.json);
    }
    world.database.execute("INSERT INTO usage SELECT * FROM counted; DROP TABLE counted");
}
