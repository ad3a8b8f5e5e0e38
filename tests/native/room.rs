//! Room in the database: beyond the watermark nothing large is stored, and endings go on.

use std::rc::Rc;

use bitting_http::message::Body;
use bitting_keys::ports::ByteSource;
use futures::{
    StreamExt,
    stream::{self, LocalBoxStream},
};
use serde_json::{Value, json};

use crate::support::{
    OPERATOR_SECRET,
    problem::assert_problem,
    request,
    routes::{every_route, prepared},
};

const GB: i64 = 1_000_000_000;

/// The routes that store something large.
const BULK: [&str; 13] = [
    "POST /api/datasets",
    "POST /api/datasets/upload",
    "POST /api/datasets/:dataset_id/rows",
    "PATCH /api/datasets/:dataset_id/rows/:row_id",
    "POST /api/evaluations",
    "PATCH /api/evaluations/:evaluation_id",
    "POST /api/evaluations/:evaluation_id/variants",
    "POST /api/eval/:live_evaluation_id",
    "POST /api/review",
    "POST /api/review/:item_id/promote",
    "POST /v1/ingest/batch",
    "POST /v1/feedback",
    "POST /v1/eval",
];

#[test]
fn bulk_writes_are_refused_beyond_the_watermark_and_nothing_else_is() {
    let (_, _, targets) = prepared();
    let mut refused = 0;
    for route in every_route(&targets) {
        let (world, owner, _) = prepared();
        let key = match route.access {
            "public" => "",
            "operator" => OPERATOR_SECRET,
            _ => owner.as_str(),
        };
        world.get("/v1/keys/self", &owner);
        let is_bulk = BULK.contains(&format!("{} {}", route.method, route.template).as_str());
        world.database.size.set(Some(8 * GB + GB / 10));
        let (answer, asked) = world.counted(|| route.send(&world, key));
        if is_bulk {
            refused += 1;
            assert_problem(&answer, 507, "database_full");
            assert_eq!((answer.header("x-should-retry"), asked), (Some("false"), (0, 0, 0)), "{}", route.name());
        } else {
            assert_ne!(answer.status, 507, "{}", route.name());
        }
        // At the watermark itself there is still room.
        world.database.size.set(Some(8 * GB));
        assert_ne!(route.send(&world, key).status, 507, "{}", route.name());
    }
    assert!(refused >= BULK.len(), "{refused}");
}

#[test]
fn long_body_of_any_write_is_refused_beyond_the_watermark_and_what_ends_something_never_is() {
    let (world, owner, targets) = prepared();
    let key = format!("/v1/keys/{}", targets.id);
    let metadata = |length: usize| json!({ "text": "x".repeat(length) });
    world.get("/v1/keys/self", &owner);
    for (method, path, body) in [
        ("POST", "/v1/keys", json!({ "name": "n", "scopes": [], "metadata": metadata(3_000) })),
        ("PATCH", key.as_str(), json!({ "metadata": metadata(3_000) })),
    ] {
        world.database.size.set(Some(8 * GB + GB / 10));
        let (answer, asked) = world.counted(|| world.call(method, path, &owner, &body));
        assert_problem(&answer, 507, "database_full");
        assert_eq!(asked, (0, 0, 0), "{method}");
        world.database.size.set(Some(8 * GB));
        assert!(world.call(method, path, &owner, &body).status < 300, "{method}");
    }
    world.database.size.set(Some(8 * GB + GB / 10));
    world.change(&owner, &targets.id, &json!({ "metadata": metadata(1_000) }));
    assert_eq!(world.post(&format!("{key}/rotate"), &owner, &json!({})).status, 200);
    let texts: Vec<String> = (0..200).map(|number| format!("bit_pat_{number}")).collect();
    assert_eq!(world.post("/v1/leaks", "", &json!({ "keys": texts })).status, 202);
    world.revoke(&owner, &targets.id);
}

#[test]
fn unknown_size_refuses_nothing_and_the_limit_is_the_operators() {
    let (mut world, owner, targets) = prepared();
    let feedback = |world: &crate::support::World| {
        let body = json!({ "rows": [{ "question": "how" }] });
        world.post(&format!("/api/datasets/{}/rows", targets.dataset), &owner, &body).status
    };
    assert_eq!(feedback(&world), 201);
    world.configure(&[("DATABASE_LIMIT_BYTES", "1000000")]);
    world.database.size.set(Some(800_000));
    assert_eq!(feedback(&world), 201);
    world.database.size.set(Some(810_000));
    assert_eq!(feedback(&world), 507);
    // Whatever made room, the next answer of the database tells it.
    world.database.size.set(Some(1));
    assert_eq!(feedback(&world), 201);
}

#[test]
fn upload_stops_when_the_database_fills_up_and_nothing_of_it_is_seen() {
    struct Pieces(Vec<Vec<u8>>);
    impl ByteSource for Pieces {
        fn pieces(&self) -> LocalBoxStream<'_, Result<Vec<u8>, String>> {
            stream::iter(self.0.iter().cloned().map(Ok)).boxed_local()
        }
    }
    let (mut world, owner, _) = prepared();
    let before = world.get("/api/datasets", &owner).json;
    world.before_batches(|database, number| database.size.set((number > 0).then_some(9 * GB)));
    let csv = format!("a\n{}", format!("{}\n", "x".repeat(1_000)).repeat(9_000));
    let mut upload = request("POST", "/api/datasets/upload?name=up&format=csv", &owner, &Value::Null);
    upload.body = Body::Unread(Rc::new(Pieces(csv.as_bytes().chunks(65_536).map(<[u8]>::to_vec).collect())));
    assert_problem(&world.send(&upload), 507, "database_full");
    assert_eq!(world.get("/api/datasets", &owner).json, before);
}

#[test]
fn warning_is_due_once_an_hour() {
    let (world, ..) = prepared();
    let due = || world.app.isolate.claim_size_warning(world.clock.0.get());
    world.database.size.set(Some(7 * GB));
    assert_eq!(world.app.note_size(), 70);
    assert!(due(), "nothing was logged at 70 %");
    world.advance_ms(60 * 60 * 1000);
    world.database.size.set(Some(7 * GB + GB / 10));
    assert_eq!(world.app.note_size(), 71);
    assert!(!due());
    world.advance_ms(60 * 60 * 1000);
    assert!(due());
}
