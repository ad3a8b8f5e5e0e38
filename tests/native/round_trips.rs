//! How often each route asks the database, for a key that this isolate vouches for: once, but for a few.

use crate::support::routes::{every_key_route, prepared};

#[test]
fn every_route_asks_the_database_as_often_as_is_known() {
    for route in every_key_route(&prepared().2) {
        let (world, owner, _) = prepared();
        assert_eq!(world.get("/v1/scopes", &owner).status, 200);
        let (answer, (batches, ..)) = world.counted(|| route.send(&world, &owner));
        assert!(answer.status < 300, "{route}: {}", answer.json);
        assert_eq!(batches, route.known.round_trips, "{route}");
    }
}
