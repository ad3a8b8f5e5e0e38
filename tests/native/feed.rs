//! The change feed for followers: what they hear, what that costs, and what they do not hear of others.

use std::{cmp::Reverse, slice::from_ref};

use bitting_keys::domain::{
    feed::{Change, Feed, News, PAGE},
    id::{Seq, Subject},
    snapshot::Snapshot,
    time::UnixMillis,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Answer, World, problem::assert_problem, request};

const STALENESS_MS: i64 = 5_000;

/// A deployment with the operator's owner, and an organization with a follower and another key.
struct Scene {
    world: World,
    owner: String,
    organization_id: String,
    follower: String,
    id: String,
    key: String,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let owner = world.bootstrap();
        let (organization_id, _, stranger) = world.stranger(&owner);
        let verifier = json!({ "name": "service", "scopes": ["verifier"], "kind": "org" });
        let follower = world.create_from(&stranger, &verifier).1;
        let (id, key) = world.create(&stranger, "key", &["datasets:read"]);
        Self { world, owner, organization_id, follower, id, key }
    }

    fn head(&self) -> i64 {
        self.world.advance_ms(5_001);
        let first = self.world.get("/v1/feed", &self.follower);
        assert_eq!((first.status, &first.json["changes"]), (200, &json!([])), "{}", first.json);
        assert_eq!(first.json["base"], first.json["head"]);
        first.json["head"].as_i64().unwrap()
    }

    fn after(&self, key: &str, after: i64) -> Answer {
        self.world.advance_ms(5_001);
        let answer = self.world.get(&format!("/v1/feed?after={after}"), key);
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer
    }

    fn execute(&self, sql: &str) {
        self.world.database.execute(&sql.replace("THIS", &format!("id = '{}'", self.id)));
    }
}

/// The subjects of an answer, the newest first.
fn subjects(answer: &Answer) -> Vec<String> {
    let changes = answer.json["changes"].as_array().unwrap();
    changes.iter().map(|change| change[1].as_str().unwrap().to_owned()).collect()
}

#[test]
fn follower_hears_each_change_after_its_head_once() {
    let scene = Scene::new();
    let head = scene.head();
    let stranger = scene.world.get("/v1/keys/self", &scene.follower).text("id");
    scene.execute("UPDATE keys SET disabled_at = 1 WHERE THIS");
    scene.execute("UPDATE keys SET disabled_at = NULL WHERE THIS");
    scene.execute(&format!("UPDATE keys SET name = 'renamed' WHERE id = '{stranger}'"));
    let answer = scene.after(&scene.follower, head);
    assert_eq!(subjects(&answer), [stranger, scene.id.clone()]);
    assert_eq!((&answer.json["base"], &answer.json["head"]), (&json!(head), &json!(head + 3)));
    assert_eq!((&answer.json["age_ms"], &answer.json["max_staleness_ms"]), (&json!(0), &json!(5_000)));
    assert_eq!(subjects(&scene.after(&scene.follower, head + 3)), Vec::<String>::new());
}

#[test]
fn follower_hears_of_whatever_its_keys_depend_on() {
    let scene = Scene::new();
    let project_id = scene.world.fresh_id();
    let (organization_id, id) = (&scene.organization_id, &scene.id);
    let user_id = scene.world.verify(&scene.owner, &scene.key, &[])["owner"]["user_id"].as_str().unwrap().to_owned();
    scene.execute(&format!(
        "INSERT INTO projects (id, organization_id, name, created_at, updated_at) VALUES ('{project_id}', '{organization_id}', 'p', 0, 0);
         UPDATE usage SET projects = 1 WHERE organization_id = '{organization_id}';
         UPDATE keys SET project_id = '{project_id}' WHERE THIS"
    ));
    for (sql, subject) in [
        (format!("UPDATE organizations SET suspended_at = NULL WHERE id = '{organization_id}'"), organization_id),
        (format!("UPDATE projects SET deleted_at = NULL WHERE id = '{project_id}'"), &project_id),
        (format!("DELETE FROM memberships WHERE user_id = '{user_id}'"), &user_id),
        ("UPDATE keys SET name = 'x' WHERE THIS".to_owned(), id),
    ] {
        let head = scene.head();
        scene.execute(&sql);
        assert_eq!(subjects(&scene.after(&scene.follower, head)), from_ref(subject), "{sql}");
    }
}

#[test]
fn follower_of_one_organization_does_not_hear_of_another() {
    let scene = Scene::new();
    let head = scene.head();
    let (_, own) = scene.world.create(&scene.owner, "own", &["verifier"]);
    let (other, _) = scene.world.create(&scene.owner, "other", &["datasets:read"]);
    scene.world.revoke(&scene.owner, &other);
    let project_id = scene.world.project(&scene.owner, "theirs");
    scene.execute(&format!("UPDATE projects SET deleted_at = 1 WHERE id = '{project_id}'"));
    scene.world.colleague(&scene.owner, "member");
    scene.execute("UPDATE keys SET name = 'x' WHERE THIS");
    let answer = scene.after(&scene.follower, head);
    assert_eq!(subjects(&answer), from_ref(&scene.id));
    assert_eq!(answer.json["base"], head);
    // The operator hears of both.
    let all = subjects(&scene.after(&own, head));
    assert!(all.contains(&other) && all.contains(&scene.id) && all.contains(&project_id), "{all:?}");
}

#[test]
fn key_of_a_project_hears_of_its_project_alone() {
    let scene = Scene::new();
    let mine = scene.world.project(&scene.owner, "mine");
    let key = |project_id: &str, scope: &str| {
        let body = json!({ "name": "p", "kind": "proj", "project_id": project_id, "scopes": [scope] });
        scene.world.create_from(&scene.owner, &body)
    };
    let (id, follower) = key(&mine, "feed:read");
    let (other, _) = key(&scene.world.project(&scene.owner, "other"), "datasets:read");
    let head = scene.head();
    scene.execute(&format!("UPDATE keys SET name = 'x' WHERE id IN ('{other}', '{id}')"));
    scene.execute(&format!("UPDATE projects SET deleted_at = NULL WHERE id = '{mine}'"));
    scene.execute("UPDATE keys SET name = 'x' WHERE THIS");
    assert_eq!(subjects(&scene.after(&follower, head)), [mine, id]);
}

#[test]
fn subject_that_names_nothing_any_more_moves_the_base_and_is_not_told() {
    let scene = Scene::new();
    let head = scene.head();
    scene.execute("DELETE FROM keys WHERE THIS");
    let answer = scene.after(&scene.follower, head);
    let base = answer.json["base"].as_i64().unwrap();
    assert_eq!((subjects(&answer), base > head), (Vec::new(), true));
    assert_eq!(answer.json["head"], base);
}

#[test]
fn base_moves_when_changes_are_missing() {
    let scene = Scene::new();
    let head = scene.head();
    scene.execute("UPDATE keys SET name = 'x' WHERE THIS");
    // Beyond one page.
    let page = usize::try_from(PAGE).unwrap();
    scene.world.copy_key(&scene.id, page, "01910000", None);
    scene.execute("UPDATE keys SET name = 'y' WHERE id LIKE '01910000-%'");
    let answer = scene.after(&scene.follower, head);
    assert_eq!((&answer.json["base"], &answer.json["changes"]), (&answer.json["head"], &json!([])));
    // One less than a page fits into one answer.
    let head = answer.json["head"].as_i64().unwrap();
    scene.execute("UPDATE keys SET name = 'z' WHERE id LIKE '01910000-%' AND id NOT LIKE '%000001'");
    assert_eq!(subjects(&scene.after(&scene.follower, head)).len(), page - 1);
    // Changes that an isolate does not know any more, because they were pruned before it began.
    let head = scene.head();
    scene.execute("UPDATE keys SET name = 'p' WHERE THIS; DELETE FROM changes WHERE subject <> 'pruned'");
    let new = scene.world.another_isolate();
    let answer = new.get(&format!("/v1/feed?after={head}"), &scene.follower);
    assert_eq!((&answer.json["base"], &answer.json["changes"]), (&answer.json["head"], &json!([])));
    assert!(answer.json["base"].as_i64().unwrap() > head);
}

#[test]
fn feed_costs_nothing_while_nothing_has_changed() {
    let scene = Scene::new();
    let (_, operators) = scene.world.create(&scene.owner, "operator's follower", &["verifier"]);
    let head = scene.head();
    assert_eq!(scene.after(&operators, head).status, 200);
    let ask =
        |key: &str, after: i64| scene.world.counted(|| scene.world.get(&format!("/v1/feed?after={after}"), key)).1;
    assert_eq!((ask(&scene.follower, head), ask(&operators, head)), ((0, 0, 0), (0, 0, 0)), "a fresh feed");
    scene.world.advance_ms(2_000);
    assert_eq!(ask(&scene.follower, head), (1, 0, 0), "one query for the feed");
    assert_eq!(ask(&scene.follower, head), (0, 0, 0));
    scene.execute("UPDATE keys SET name = 'x' WHERE THIS");
    scene.world.advance_ms(2_000);
    assert_eq!(ask(&operators, head), (1, 0, 0), "the operator's follower needs no other");
    assert_eq!(
        (ask(&operators, head), ask(&scene.follower, head)),
        ((0, 0, 0), (1, 0, 0)),
        "one to filter the changes"
    );
    assert_eq!(ask(&scene.follower, head + 1), (0, 0, 0));
}

#[test]
fn follower_that_is_ahead_of_an_isolate_makes_it_read_on() {
    let scene = Scene::new();
    let head = scene.head();
    let behind = scene.world.another_isolate();
    assert_eq!(behind.get("/v1/feed", &scene.follower).json["head"], head);
    scene.execute("UPDATE keys SET name = 'x' WHERE THIS");
    let (answer, io) = behind.counted(|| behind.get(&format!("/v1/feed?after={}", head + 1), &scene.follower));
    assert_eq!((&answer.json["head"], &answer.json["changes"], io), (&json!(head + 1), &json!([]), (1, 0, 0)));
}

#[test]
fn unchanged_feed_is_304_with_its_age() {
    let scene = Scene::new();
    let head = scene.head();
    scene.world.advance_ms(700);
    let ask = |tag: &str| {
        let mut request = request("GET", &format!("/v1/feed?after={head}"), &scene.follower, &Value::Null);
        request.headers.push(("if-none-match".into(), tag.into()));
        scene.world.send(&request)
    };
    let answer = ask(&format!("\"{head}\""));
    assert_eq!((answer.status, answer.json.clone()), (304, Value::Null));
    assert_eq!(answer.header("x-feed-age-ms"), Some("700"));
    assert_eq!(answer.header("etag"), Some(format!("\"{head}\"").as_str()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let answer = ask("\"1\"");
    assert_eq!((answer.status, &answer.json["age_ms"]), (200, &json!(700)));
    assert_eq!(answer.header("etag"), Some(format!("\"{head}\"").as_str()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    scene.execute("UPDATE keys SET name = 'x' WHERE THIS");
    scene.world.advance_ms(2_000);
    assert_eq!(ask(&format!("\"{head}\"")).status, 200);
}

#[test]
fn feed_needs_its_scope_and_a_number() {
    let scene = Scene::new();
    assert_problem(&scene.world.get("/v1/feed", &scene.key), 403, "insufficient_scope");
    for after in ["-1", "x", "1.5", "9007199254740992"] {
        assert_problem(&scene.world.get(&format!("/v1/feed?after={after}"), &scene.follower), 400, "validation_failed");
    }
}

#[test]
fn revoked_follower_hears_nothing_more() {
    let scene = Scene::new();
    let head = scene.head();
    let id = scene.world.get("/v1/keys/self", &scene.follower).text("id");
    scene.execute(&format!("UPDATE keys SET revoked_at = 1 WHERE id = '{id}'"));
    scene.world.advance_ms(2_000);
    // The read of the feed tells at once.
    assert_problem(&scene.world.get(&format!("/v1/feed?after={head}"), &scene.follower), 401, "key_revoked");
}

#[test]
fn verification_tells_how_long_and_from_which_change_on_it_holds() {
    let scene = Scene::new();
    let head = scene.head();
    let verify = || scene.world.verify(&scene.follower, &scene.key, &[]);
    let answer = verify();
    let organization_id = &answer["owner"]["organization_id"];
    assert_eq!(answer["subjects"], json!([scene.id, organization_id, answer["owner"]["user_id"]]));
    assert_eq!((&answer["seq"], &answer["fresh_for_ms"]), (&json!(head), &json!(5_000)));
    assert_eq!(answer["ends_in_ms"], Value::Null);
    // What is in memory is current up to the head of the feed that permits it, however long ago it was read.
    scene.world.revoke(&scene.owner, &scene.world.create(&scene.owner, "other", &[]).0);
    scene.world.advance_ms(1_000);
    let answer = verify();
    assert_eq!((&answer["source"], &answer["fresh_for_ms"]), (&json!("memory"), &json!(4_000)));
    assert!(answer["seq"].as_i64().unwrap() > head, "{answer}");
    let ends = |sql: &str| {
        scene.execute(sql);
        scene.world.advance_ms(5_001);
        verify()["ends_in_ms"].clone()
    };
    let at = scene.world.clock.0.get().0 + 60_000;
    assert_eq!(ends(&format!("UPDATE keys SET expires_at = {at} WHERE THIS")), 54_999);
    assert_eq!(ends("UPDATE keys SET expires_at = 1 WHERE THIS"), 0);
}

#[test]
fn verification_knows_of_the_change_that_its_caller_names() {
    let scene = Scene::new();
    let isolate = scene.world.another_isolate();
    let verify = |at_least: Option<i64>| {
        let body = json!({ "key": scene.key, "at_least": at_least });
        isolate.counted(|| isolate.post("/v1/keys/verify", &scene.follower, &body).json)
    };
    let (answer, _) = verify(None);
    let head = answer["seq"].as_i64().unwrap();
    scene.execute("UPDATE keys SET revoked_at = 1 WHERE THIS");
    assert_eq!(verify(None).0["code"], "valid", "within the bound");
    assert_eq!(verify(Some(head)).0["code"], "valid", "nothing is asked for that the isolate does not know");
    let (answer, io) = verify(Some(head + 1));
    assert_eq!((&answer["code"], &answer["source"], io), (&json!("key_revoked"), &json!("d1"), (1, 0, 0)));
    assert_eq!(answer["seq"], head + 1);
    let (answer, io) = verify(Some(head + 1));
    assert_eq!((&answer["source"], io), (&json!("memory"), (0, 0, 0)));
    // A number that no change has yet is answered by the database, too.
    assert_eq!(verify(Some(head + 100)).0["source"], "d1");
}

/// A sequence of events in `tests/vectors/feed.json`.
#[derive(Deserialize)]
struct Vector {
    name: String,
    events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Event {
    Feed { feed: FeedAnswer, after: Option<i64>, sent_at: i64 },
    Verified { verified: VerifiedAnswer, sent_at: i64 },
    At { at: i64, verdict: String },
}

#[derive(Deserialize)]
struct FeedAnswer {
    base: i64,
    head: i64,
    age_ms: i64,
    max_staleness_ms: i64,
    changes: Vec<(Seq, Subject)>,
}

#[derive(Deserialize)]
struct VerifiedAnswer {
    code: String,
    seq: i64,
    subjects: [Value; 3],
    fresh_for_ms: i64,
    ends_in_ms: Option<i64>,
    outgoing_until: Option<String>,
    #[serde(default)]
    conditional: bool,
}

impl VerifiedAnswer {
    fn snapshot(&self) -> Snapshot {
        let [key_id, organization_id, user_id] = &self.subjects;
        serde_json::from_value(json!({
            "seq": self.seq, "key_id": key_id, "organization_id": organization_id, "user_id": user_id,
            "operator": false, "policy": {}, "subscription": "active", "kind": "pat", "name": "ci", "scopes": null,
            "conditions": {}, "role": "member", "metadata": {}, "operator_metadata": {},
            "life": { "expires_at": null, "disabled_at": null, "revoked_at": null }, "standing": "good",
        }))
        .unwrap()
    }
}

impl FeedAnswer {
    /// The answer as an isolate hears it, which gets rows and not `base` and `head`.
    fn news(self, after: Option<i64>, sent_at: i64) -> News {
        let nobody = Subject::parse("nobody");
        let mut changes: Vec<Change> =
            self.changes.iter().map(|(seq, subject)| Change { seq: *seq, subject: Some(*subject) }).collect();
        changes.push(Change { seq: Seq(self.head), subject: Some(nobody) });
        if after.is_none_or(|after| self.base > after) {
            changes.push(Change { seq: Seq(self.base), subject: None });
        }
        changes.sort_by_key(|change| Reverse(change.seq));
        News { since: Seq(after.unwrap_or(0)), current_at: Some(UnixMillis(sent_at - self.age_ms)), changes }
    }
}

/// The verdict of an isolate from the answer that it holds. One about a key with conditions tells of one client alone.
fn verdict(feed: &mut Feed, bound_ms: i64, held: Option<&(VerifiedAnswer, i64)>, now: i64) -> String {
    let Some((answer, sent_at)) = held.filter(|(answer, _)| !answer.conditional) else { return "ask".to_owned() };
    let age_ms = feed.age_ms(UnixMillis(now));
    let permitted = feed.permits(&answer.snapshot());
    let contradicted = age_ms.is_some() && !permitted && Seq(answer.seq) <= feed.head();
    let fresh = now - sent_at < answer.fresh_for_ms;
    let vouched = permitted && bound_ms > 0 && age_ms.is_some_and(|age_ms| age_ms <= bound_ms);
    if contradicted || !(fresh || vouched) {
        return "ask".to_owned();
    }
    let ended = answer.ends_in_ms.is_some_and(|ends_in_ms| now - sent_at >= ends_in_ms);
    match (ended, &answer.outgoing_until) {
        (false, _) => answer.code.clone(),
        (true, Some(_)) => "key_rotated".to_owned(),
        (true, None) => "api_key_expired".to_owned(),
    }
}

#[test]
fn vectors_for_followers_are_what_the_isolates_do() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/feed.json")).unwrap();
    for vector in vectors {
        let (mut feed, mut bound_ms) = (Feed::default(), STALENESS_MS);
        let mut held: Option<(VerifiedAnswer, i64)> = None;
        for event in vector.events {
            match event {
                Event::Feed { feed: answer, after, sent_at } => {
                    bound_ms = answer.max_staleness_ms;
                    feed.apply(&answer.news(after, sent_at));
                }
                Event::Verified { verified, sent_at } => {
                    if held.as_ref().is_none_or(|(held, _)| held.seq <= verified.seq) {
                        held = Some((verified, sent_at));
                    }
                }
                Event::At { at, verdict: expected } => {
                    assert_eq!(verdict(&mut feed, bound_ms, held.as_ref(), at), expected, "{} at {at}", vector.name);
                }
            }
        }
    }
}
