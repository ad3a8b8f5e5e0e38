//! `ETag` and `If-Match`: a change that was made from an older version changes nothing.

use crate::support::{
    Answer, World,
    problem::assert_problem,
    request,
    routes::{RouteCall, every_key_route, prepared},
};

/// The tag of the resource that a PATCH changes: that of the resource at its own path, or of the data set of a column.
fn tag(world: &World, route: &RouteCall, key: &str) -> String {
    let path = route.path.split("/columns/").next().unwrap().split('?').next().unwrap();
    let answer = world.get(path, key);
    assert_eq!(answer.status, 200, "GET {path}: {}", answer.json);
    answer.header("etag").unwrap_or_else(|| panic!("GET {path} has no ETag")).to_owned()
}

fn patch(world: &World, route: &RouteCall, key: &str, tag: &str) -> Answer {
    let mut request = request("PATCH", &route.path, key, &route.known.body);
    request.headers.push(("if-match".to_owned(), tag.to_owned()));
    world.send(&request)
}

/// The native routes that change a resource. A row of a data set has no version of its own.
fn changes(routes: Vec<RouteCall>) -> Vec<RouteCall> {
    let is_native = |route: &RouteCall| route.template.starts_with("/v1/") || route.template.starts_with("/api/");
    let mut routes: Vec<RouteCall> =
        routes.into_iter().filter(|route| route.method == "PATCH" && is_native(route)).collect();
    routes.retain(|route| !route.template.contains("/rows/") && !route.template.starts_with("/v1/api_key"));
    routes
}

#[test]
fn change_from_an_older_version_is_refused_and_changes_nothing() {
    let (_, _, targets) = prepared();
    let routes = changes(every_key_route(&targets));
    assert!(routes.len() >= 9, "{}", routes.len());
    for route in routes {
        let (world, owner, _) = prepared();
        let before = tag(&world, &route, &owner);
        for stale in ["\"1\"", "W/\"1\"", "1", "\"\"", "\"x\"", ""] {
            let rows = world.database.dump();
            assert_problem(&patch(&world, &route, &owner, stale), 412, "precondition_failed");
            assert_eq!(world.database.dump(), rows, "{} with {stale}", route.name());
        }
        let answer = patch(&world, &route, &owner, &before);
        assert_eq!(answer.status, 200, "{}: {}", route.name(), answer.json);
        let after = answer.header("etag").unwrap().to_owned();
        assert_ne!(after, before, "{} keeps the version", route.name());
        if !route.template.contains("/columns/") {
            assert_eq!(tag(&world, &route, &owner), after, "{}", route.name());
            assert_problem(&patch(&world, &route, &owner, &before), 412, "precondition_failed");
            assert_eq!(patch(&world, &route, &owner, "*").status, 200, "{}", route.name());
        }
    }
}

#[test]
fn missing_resource_is_not_found_whatever_version_is_asked_for() {
    let (world, owner, targets) = prepared();
    let unknown = targets.named("01900000-0000-7000-8000-000000000000");
    for route in changes(every_key_route(&unknown)) {
        if route.path.contains("01900000") {
            let answer = patch(&world, &route, &owner, "\"1\"");
            assert_problem(&answer, 404, "not_found");
        }
    }
    assert_eq!(world.get("/v1/keys/self", &owner).json["updated_at"].as_str().map(str::len), Some(24));
}
