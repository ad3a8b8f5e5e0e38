//! How often each route asks the database, for a key that this isolate vouches for: once, but for a few.

use crate::support::{
    World,
    routes::{Targets, every_key_route},
};

/// It reads what it changes or looks into, or the key that a path of Confident AI's names by its number.
const TWICE: [&str; 29] = [
    "PATCH /v1/keys/:id",
    "POST /v1/keys/:id/rotate",
    "POST /v1/keys/:id/rotate/finish",
    "POST /v1/keys/:id/rotate/cancel",
    "PATCH /api/datasets/:dataset",
    "POST /api/datasets/:dataset/columns",
    "PATCH /api/datasets/:dataset/columns/:column",
    "DELETE /api/datasets/:dataset/columns/:column",
    "POST /api/datasets/:dataset/rows",
    "PATCH /api/datasets/:dataset/rows/:row",
    "POST /api/evaluations/generate",
    "PATCH /api/evaluations/:evaluation",
    "POST /api/evaluations/:evaluation/variants",
    "POST /api/live-evaluations",
    "POST /api/live-evaluations/:live_evaluation/regenerate",
    "POST /api/eval/:live_evaluation",
    "POST /api/review/:item/promote",
    "PUT /v1/organization/api-keys/:id",
    "DELETE /v1/organization/api-keys/:id",
    "GET /v1/projects/:project/api-keys",
    "POST /v1/projects/:project/api-keys",
    "GET /v1/projects/:project/api-keys/:id",
    "PUT /v2/organization/api-keys/:id",
    "DELETE /v2/organization/api-keys/:id",
    "POST /v2/organization/api-keys/:id/rotate",
    "GET /v2/projects/:project/api-keys",
    "POST /v2/projects/:project/api-keys",
    "GET /v2/projects/:project/api-keys/:id",
    "POST /v1/apikeys/:id/rotate",
];

/// Both.
const THRICE: [&str; 5] = [
    "PUT /v1/projects/:project/api-keys/:id",
    "DELETE /v1/projects/:project/api-keys/:id",
    "PUT /v2/projects/:project/api-keys/:id",
    "DELETE /v2/projects/:project/api-keys/:id",
    "POST /v2/projects/:project/api-keys/:id/rotate",
];

#[test]
fn every_route_asks_the_database_once_but_for_these() {
    let world = World::new();
    let owner = world.bootstrap();
    let targets = Targets::new(&world, &owner);
    for route in every_key_route(&targets) {
        assert_eq!(world.get("/v1/scopes", &owner).status, 200);
        let (answer, (asked, ..)) = world.counted(|| route.send(&world, &owner));
        assert!(answer.status < 300, "{}: {}", route.name(), answer.json);
        let name = route.name();
        let expected = match name.as_str() {
            "GET /v1/scopes" => 0,
            name if TWICE.contains(&name) => 2,
            name if THRICE.contains(&name) => 3,
            _ => 1,
        };
        assert_eq!(asked, expected, "{name}");
        targets.restore(&world);
    }
}
