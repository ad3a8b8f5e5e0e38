//! `POST /mcp`: the protocol, the tools that a key sees, and their calls, which are those of the routes.

use std::{collections::BTreeMap, rc::Rc};

use bitting_http::{
    body::MAX_BODY_BYTES,
    message::{Body, Request},
};
use serde_json::{Map, Value, json};

use crate::support::{
    Answer, World,
    problem::assert_problem,
    request,
    routes::{RouteCall, Targets, every_key_route, prepared},
    secrets,
};

const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// A message with its headers: of a legacy client.
fn message(key: &str, method: &str, params: &Value) -> Request {
    request("POST", "/mcp", key, &json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
}

fn with_header(mut request: Request, name: &str, value: &str) -> Request {
    request.headers.push((name.to_owned(), value.to_owned()));
    request
}

/// The same as a modern client sends it.
fn modern(key: &str, method: &str, params: &Value) -> Request {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut request = with_header(message(key, method, &params), "mcp-protocol-version", MODERN);
    request = with_header(request, "mcp-method", method);
    match params["name"].as_str() {
        Some(name) => with_header(request, "mcp-name", name),
        None => request,
    }
}

/// The result of a request.
#[track_caller]
fn result(answer: &Answer) -> &Value {
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_eq!((&answer.json["jsonrpc"], &answer.json["id"]), (&json!("2.0"), &json!(1)));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json["result"]["resultType"], "complete", "{}", answer.json);
    &answer.json["result"]
}

/// Checks that a request was answered with this error.
#[track_caller]
fn assert_error(answer: &Answer, status: u16, code: i64) {
    assert_eq!((answer.status, &answer.json["error"]["code"]), (status, &json!(code)), "{}", answer.json);
    assert_eq!((&answer.json["jsonrpc"], &answer.json["id"]), (&json!("2.0"), &json!(1)));
    assert!(answer.json.get("result").is_none());
}

/// The names of the tools that a key sees.
fn listed(world: &World, key: &str) -> Vec<String> {
    let answer = world.send(&message(key, "tools/list", &json!({})));
    let tools = result(&answer)["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn call(world: &World, key: &str, name: &str, arguments: &Value) -> Answer {
    world.send(&message(key, "tools/call", &json!({ "name": name, "arguments": arguments })))
}

fn world() -> (World, String) {
    let world = World::new();
    let owner = world.bootstrap();
    (world, owner)
}

fn api() -> Value {
    serde_json::from_str(include_str!("../../api/openapi.json")).unwrap()
}

/// What the file says of each tool.
fn file() -> BTreeMap<String, Value> {
    let tools: BTreeMap<String, Value> = serde_json::from_str(&crate::support::tools::file(&api())).unwrap();
    assert!(tools.len() >= 40, "{} tools", tools.len());
    tools
}

/// The name of a route's operation, if it is documented.
fn operation(api: &Value, route: &RouteCall) -> Option<String> {
    let segment = |segment: &str| segment.strip_prefix(':').map_or(segment.to_owned(), |name| format!("{{{name}}}"));
    let path = route.template.split('/').map(segment).collect::<Vec<_>>().join("/");
    api["paths"][path][route.method.to_lowercase()]["operationId"].as_str().map(str::to_owned)
}

/// The arguments with which a tool does what this call of its route does.
fn arguments(tool: &Value, route: &RouteCall) -> Value {
    let mut arguments = Map::new();
    let (path, query) = route.path.split_once('?').unwrap_or((&route.path, ""));
    for (name, value) in route.template.split('/').zip(path.split('/')) {
        if let Some(name) = name.strip_prefix(':') {
            arguments.insert(name.to_owned(), json!(value));
        }
    }
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        arguments.insert(name.to_owned(), json!(value));
    }
    match tool["body"].as_str().unwrap() {
        "rest" => arguments.extend(route.known.body.as_object().unwrap().clone()),
        "body" => {
            arguments.insert("body".to_owned(), route.known.body.clone());
        }
        _ => assert!(route.known.body.is_null(), "{route}"),
    }
    arguments.into()
}

/// A scene for a call of a tool, and the call of its route.
fn scene(name: &str) -> (World, String, RouteCall) {
    let (world, owner, targets) = prepared();
    let api = api();
    let route =
        every_key_route(&targets).into_iter().find(|route| operation(&api, route).as_deref() == Some(name)).unwrap();
    (world, owner, route)
}

#[test]
fn every_client_is_told_what_there_is() {
    let (world, owner) = world();
    for asked in LEGACY {
        let params =
            json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let answer = world.send(&message(&owner, "initialize", &params));
        let told = result(&answer);
        assert_eq!((&told["protocolVersion"], &told["capabilities"]), (&json!(asked), &json!({ "tools": {} })));
        assert_eq!(told["serverInfo"]["name"], "bitting");
        let ping = with_header(message(&owner, "ping", &json!({})), "mcp-protocol-version", asked);
        result(&world.send(&ping));
    }
    for asked in [MODERN, "2024-11-05", "1900-01-01", ""] {
        let answer = world.send(&message(&owner, "initialize", &json!({ "protocolVersion": asked })));
        assert_eq!(result(&answer)["protocolVersion"], LEGACY[0]);
    }
    assert_error(&world.send(&message(&owner, "initialize", &json!({}))), 200, -32602);
    let answer = world.send(&modern(&owner, "server/discover", &json!({})));
    let told = result(&answer);
    assert_eq!(told["supportedVersions"], json!([MODERN, LEGACY[0], LEGACY[1], LEGACY[2]]));
    assert_eq!((&told["capabilities"], &told["ttlMs"]), (&json!({ "tools": {} }), &json!(0)));
    assert_eq!(told["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "bitting");
}

#[test]
fn what_asks_for_nothing_is_accepted_and_does_nothing() {
    let (world, owner) = world();
    let before = world.database.dump();
    for body in [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/unheard_of" }),
        // Nobody waits for its answer, so it is not a call.
        json!({ "jsonrpc": "2.0", "method": "tools/call", "params": { "name": "datasets_create", "arguments": { "name": "n" } } }),
    ] {
        let answer = world.post("/mcp", &owner, &body);
        assert_eq!((answer.status, &answer.json), (202, &Value::Null), "{body}");
    }
    world.settle();
    let uses = |line: &&str| line.starts_with("keys|") || line.starts_with("key_uses|");
    let rows = |dump: &str| dump.lines().filter(|line| !uses(line)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&world.database.dump()), rows(&before));
    let unheard = request("POST", "/mcp", &owner, &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert_problem(&world.send(&with_header(unheard, "mcp-protocol-version", "1900-01-01")), 400, "validation_failed");
}

#[test]
fn what_is_no_request_is_refused() {
    let (world, owner) = world();
    let mut broken = message(&owner, "ping", &json!({}));
    broken.body = Body::Bytes(b"{".to_vec());
    assert_eq!(world.send(&broken).json["error"]["code"], -32700);
    for body in [
        json!([]),
        json!([{ "jsonrpc": "2.0", "id": 1, "method": "ping" }]),
        json!({}),
        json!({ "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": null, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1.5, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": {}, "method": "ping" }),
        json!({ "jsonrpc": "2.0", "id": 1 }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": 1 }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": [] }),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": 1, "message": "m" } }),
    ] {
        let answer = world.post("/mcp", &owner, &body);
        assert_problem(&answer, 400, "validation_failed");
        assert_eq!(answer.json["error"]["code"], -32600, "{body}");
    }
    let answer = world.post("/mcp", &owner, &json!({ "jsonrpc": "2.0", "id": "a", "method": "ping" }));
    assert_eq!((answer.status, &answer.json["id"]), (200, &json!("a")));
    for method in ["", "tools", "Tools/list", "resources/list", "subscriptions/listen"] {
        assert_error(&world.send(&message(&owner, method, &json!({}))), 200, -32601);
        assert_error(&world.send(&modern(&owner, method, &json!({}))), 404, -32601);
    }
    assert_error(&world.send(&message(&owner, "tools/list", &json!({ "cursor": "2" }))), 200, -32602);
    assert_error(&world.send(&modern(&owner, "tools/list", &json!({ "cursor": "2" }))), 400, -32602);
}

#[test]
fn headers_that_do_not_say_what_the_body_says_are_refused() {
    let (world, owner) = world();
    let good = || modern(&owner, "tools/call", &json!({ "name": "datasets_list", "arguments": {} }));
    assert_eq!(result(&world.send(&good()))["isError"], false);
    let without = |name: &str| {
        let mut request = good();
        request.headers.retain(|(header, _)| header != name);
        request
    };
    for header in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
        assert_error(&world.send(&without(header)), 400, -32020);
        assert_error(&world.send(&with_header(without(header), header, "other")), 400, -32020);
    }
    let meta = |meta: Value| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "_meta": meta } });
        with_header(request("POST", "/mcp", &owner, &body), "mcp-protocol-version", MODERN)
    };
    for lacking in [
        json!({}),
        json!(1),
        json!({ "io.modelcontextprotocol/clientCapabilities": {} }),
        json!({ "io.modelcontextprotocol/protocolVersion": MODERN }),
    ] {
        assert_error(&world.send(&meta(lacking)), 400, -32602);
    }
    assert_error(&world.send(&meta(json!({ "io.modelcontextprotocol/protocolVersion": 1 }))), 400, -32020);
    for version in ["1900-01-01", "2024-11-05", ""] {
        let request = with_header(message(&owner, "ping", &json!({})), "mcp-protocol-version", version);
        let answer = world.send(&request);
        assert_error(&answer, 400, -32022);
        let data = json!({ "supported": [MODERN, LEGACY[0], LEGACY[1], LEGACY[2]], "requested": version });
        assert_eq!(answer.json["error"]["data"], data);
    }
}

#[test]
fn pages_of_other_sites_are_refused() {
    let (world, owner) = world();
    let from = |own: &str, origin: &str| {
        let mut request = with_header(message(&owner, "ping", &json!({})), "origin", origin);
        request.origin = own.to_owned();
        world.send(&request)
    };
    for own in [
        "https://keys.example.com",
        "http://127.0.0.1:8787",
        "http://localhost:8787",
        "http://localhost",
        "http://[::1]:1",
    ] {
        assert_eq!(from(own, own).status, 200, "{own}");
        for origin in
            ["https://evil.example", "null", "", "http://127.0.0.1:1", "https://keys.example.com.evil.example"]
        {
            let answer = from(own, origin);
            assert_problem(&answer, 403, "foreign_origin");
        }
    }
    // Here a name was made to lead to this machine, and nothing proves that it should: no certificate.
    for rebound in ["http://evil.example:8787", "http://localhost.evil.example", "http://127.0.0.1.evil.example:8787"] {
        assert_problem(&from(rebound, rebound), 403, "plain_http");
    }
    let mut unknown = message("", "ping", &json!({}));
    unknown.headers.push(("origin".to_owned(), "https://evil.example".to_owned()));
    assert_problem(&world.send(&unknown), 403, "foreign_origin");
}

#[test]
fn whoever_has_no_good_key_is_told_how_to_send_one() {
    let (world, _) = world();
    let answer = world.send(&message("", "initialize", &json!({})));
    assert_problem(&answer, 401, "missing_api_key");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"bitting\""));
    for method in ["GET", "DELETE"] {
        let answer = world.call(method, "/mcp", "", &Value::Null);
        assert_problem(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
}

#[test]
fn every_tool_stands_alone_and_has_a_name_that_clients_take() {
    let tools = file();
    for (name, tool) in &tools {
        let definition = &tool["definition"];
        assert_eq!(definition["name"], json!(name));
        let good = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        assert!((1..=64).contains(&name.len()) && name.chars().all(good), "{name}");
        assert!(!definition["description"].as_str().unwrap().is_empty());
        let schema = &definition["inputSchema"];
        assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)), "{name}");
        let properties = schema["properties"].as_object().unwrap();
        for required in schema["required"].as_array().unwrap() {
            assert!(properties.contains_key(required.as_str().unwrap()), "{name}");
        }
        let text = definition.to_string();
        assert!(!text.contains("#/components"), "{name}");
        for reference in text.split("\"#/$defs/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(!schema["$defs"][reference].is_null(), "{name}: {reference}");
        }
    }
    let hints = |name: &str| {
        let hints = &tools[name]["definition"]["annotations"];
        ["readOnlyHint", "destructiveHint", "idempotentHint"].map(|hint| hints[hint].as_bool().unwrap())
    };
    assert_eq!(hints("datasets_list"), [true, false, true]);
    assert_eq!(hints("datasets_delete"), [false, true, true]);
    assert_eq!(hints("datasets_create"), [false, false, false]);
    assert_eq!(hints("datasets_remove_rows"), [false, true, false]);
    assert_eq!(hints("datasets_share"), [false, true, true]);
    // A column can be called like a parameter of the path.
    let body = &tools["datasets_change_row"]["definition"]["inputSchema"]["properties"];
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["body", "dataset_id", "row_id"]);
}

#[test]
fn routes_that_stream_or_take_or_give_a_secret_are_no_tools() {
    let (tools, api) = (file(), api());
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let scoped = |route: &RouteCall| route.access.contains(':');
    let operations = every_key_route(&targets).into_iter().filter(scoped);
    let left_out: Vec<String> =
        operations.filter_map(|route| operation(&api, &route)).filter(|name| !tools.contains_key(name)).collect();
    assert_eq!(
        left_out,
        [
            "keys_create",
            "keys_verify",
            "keys_rotate",
            "organizations_create",
            "organizations_create_project",
            "members_create_sign_in_link",
            "invitations_create",
            "datasets_upload",
            "datasets_export",
            "live_evaluations_deploy",
            "live_evaluations_regenerate",
        ]
    );
}

#[test]
fn every_call_does_what_its_route_does() {
    for (name, tool) in file() {
        let (plain, key, route) = scene(&name);
        let before = plain.database.dump();
        plain.get("/v1/scopes", &key);
        let (expected, plain_io) = plain.counted(|| route.send(&plain, &key));
        assert!(expected.status < 300, "{name}: {}", expected.json);
        assert!(secrets(&expected.json).is_empty(), "{name}: answer with `Confidential`");
        let (world, key, route) = scene(&name);
        assert_eq!(world.database.dump(), before);
        world.get("/v1/scopes", &key);
        let (answer, io) = world.counted(|| call(&world, &key, &name, &arguments(&tool, &route)));
        assert_eq!(io, plain_io, "{name}");
        let result = result(&answer);
        assert_eq!(result["isError"], false, "{name}: {result}");
        assert_eq!((result["content"].as_array().unwrap().len(), &result["content"][0]["type"]), (1, &json!("text")));
        let text = result["content"][0]["text"].as_str().unwrap();
        if expected.json.is_null() {
            assert_eq!((text, result.get("structuredContent")), ("Done", None), "{name}");
        } else {
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected.json, "{name}");
            assert_eq!(result["structuredContent"], expected.json, "{name}");
        }
        plain.settle();
        world.settle();
        assert_eq!(world.database.dump(), plain.database.dump(), "{name}");
    }
}

#[test]
fn every_tool_is_there_for_who_holds_its_scope_and_for_nobody_else() {
    let (world, owner) = world();
    let api = api();
    let routes = every_key_route(&Targets::new(&world, &owner));
    let scopes = world.get("/v1/scopes", &owner).json;
    for (name, tool) in file() {
        let route = routes.iter().find(|route| operation(&api, route).as_ref() == Some(&name)).unwrap();
        let all = scopes["scopes"].as_array().unwrap().iter().map(|entry| entry["scope"].as_str().unwrap());
        let others: Vec<&str> = all.filter(|scope| *scope != route.access).collect();
        let (_, lacking) = world.create(&owner, "lacking", &others);
        assert!(!listed(&world, &lacking).contains(&name), "{name}");
        let before = world.database.dump();
        let arguments = arguments(&tool, route);
        let unknown = call(&world, &lacking, "surprise", &arguments);
        assert_error(&unknown, 200, -32602);
        for arguments in [&arguments, &json!({}), &json!({ "surprise": 1 })] {
            let answer = call(&world, &lacking, &name, arguments);
            let told = answer.json.to_string().replace(&name, "surprise");
            assert_eq!((answer.status, told), (200, unknown.json.to_string()), "{name}");
        }
        assert_eq!(world.database.dump(), before, "{name}");
        let (_, holding) = world.create(&owner, "holding", &[route.access]);
        assert!(listed(&world, &holding).contains(&name), "{name}");
        let answer = call(&world, &holding, &name, &arguments);
        assert_eq!(answer.json["result"]["resultType"], "complete", "{name}: {}", answer.json);
    }
}

#[test]
fn list_follows_the_scopes_at_once() {
    let (world, owner) = world();
    let tools = file();
    assert_eq!(listed(&world, &owner).len(), tools.len());
    let (_, nothing) = world.create(&owner, "nothing", &[]);
    assert_eq!(listed(&world, &nothing), Vec::<String>::new());
    let (id, key) = world.create(&owner, "reader", &["datasets:read"]);
    let read = ["datasets_list", "datasets_get", "datasets_list_rows", "datasets_list_shares"];
    assert_eq!(listed(&world, &key), read);
    let elsewhere = world.another_isolate();
    elsewhere.change(&owner, &id, &json!({ "scopes": ["audit:read"] }));
    assert_eq!(listed(&world, &key), ["audit_list", "audit_verify"]);
    elsewhere.revoke(&owner, &id);
    assert_problem(&world.send(&message(&key, "tools/list", &json!({}))), 401, "key_revoked");
    assert_problem(&call(&world, &key, "audit_list", &json!({})), 401, "key_revoked");
}

#[test]
fn call_of_a_key_that_has_just_ended_or_lost_its_scope_does_nothing() {
    for (sql, status) in [("revoked_at = 1", 401), ("scopes = '[]'", 200)] {
        let (world, owner) = world();
        let (id, key) = world.create(&owner, "writer", &["datasets:write"]);
        assert_eq!(call(&world, &key, "datasets_create", &json!({ "name": "first" })).json["result"]["isError"], false);
        world.database.execute(&format!("UPDATE keys SET {sql} WHERE id = '{id}'"));
        let answer = call(&world, &key, "datasets_create", &json!({ "name": "second" }));
        if status == 401 {
            assert_problem(&answer, 401, "key_revoked");
        } else {
            assert_error(&answer, 200, -32602);
        }
        assert_eq!(world.database.count("datasets"), 1);
    }
}

#[test]
fn problems_are_results_that_a_model_can_read() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let dataset = &targets.dataset;
    for (name, arguments, code, says) in [
        ("datasets_get", json!({ "dataset_id": world.fresh_id() }), "not_found", ""),
        ("datasets_get", json!({ "dataset_id": "" }), "not_found", ""),
        ("datasets_get", json!({ "dataset_id": "../keys" }), "not_found", ""),
        // Where this leads to is no data set.
        ("datasets_delete", json!({ "dataset_id": "upload" }), "not_found", ""),
        ("keys_get", json!({ "key_id": "self" }), "not_found", ""),
        ("datasets_get", json!({}), "validation_failed", "`dataset_id`: is missing."),
        ("datasets_get", json!({ "dataset_id": null }), "validation_failed", "`dataset_id`: must be a text"),
        ("datasets_get", json!({ "dataset_id": [dataset] }), "validation_failed", "`dataset_id`: must be a text"),
        (
            "datasets_get",
            json!({ "dataset_id": dataset, "a\0": 1 }),
            "validation_failed",
            "`a\\0`: is not an argument of this tool.",
        ),
        (
            "datasets_list",
            json!({ "surprise": 1 }),
            "validation_failed",
            "`surprise`: is not an argument of this tool.",
        ),
        ("datasets_list", json!({ "limit": 1_001 }), "validation_failed", "`limit`: must be"),
        ("datasets_list", json!({ "limit": { "a": 1 } }), "validation_failed", "`limit`: must be a text"),
        // A filter that was left empty by mistake must not list everything.
        ("keys_list", json!({ "id": [] }), "validation_failed", "`id`: "),
        ("keys_list", json!({ "id": [null] }), "validation_failed", "`id`: must be a text"),
        ("datasets_create", json!({}), "validation_failed", "`name`: is missing."),
        (
            "datasets_create",
            json!({ "name": "n", "surprise": 1 }),
            "validation_failed",
            "`surprise`: is not a field here; there are `name`",
        ),
        (
            "datasets_change_row",
            json!({ "dataset_id": dataset, "row_id": 1 }),
            "validation_failed",
            "`body`: is missing.",
        ),
        (
            "datasets_change_row",
            json!({ "dataset_id": dataset, "row_id": 1, "body": [] }),
            "validation_failed",
            "The body must be",
        ),
        (
            "datasets_change_row",
            json!({ "dataset_id": dataset, "row_id": 1, "body": {}, "a": 1 }),
            "validation_failed",
            "`a`: is not an argument",
        ),
        ("keys_finish_rotation", json!({ "key_id": targets.id }), "no_rotation", ""),
    ] {
        let answer = call(&world, &owner, name, &arguments);
        let result = result(&answer);
        let problem: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!((&result["isError"], &problem["error"]["code"]), (&json!(true), &json!(code)), "{name}: {problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with(says), "{name}: {problem}");
        assert_eq!(result["structuredContent"], problem);
        assert_eq!(answer.header("x-request-id"), problem["request_id"].as_str());
    }
    for params in [json!({}), json!({ "name": 1 }), json!({ "name": "datasets_list", "arguments": [] })] {
        assert_error(&world.send(&message(&owner, "tools/call", &params)), 200, -32602);
    }
}

#[test]
fn arguments_go_where_the_route_expects_them() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let add = |name: &str| json!({ "dataset_id": targets.dataset, "name": name, "role": "notes" });
    for name in ["a/b ?#%", "é🔑", "dataset", "."] {
        assert_eq!(call(&world, &owner, "datasets_add_column", &add(name)).json["result"]["isError"], false, "{name}");
    }
    let values = json!({ "a/b ?#%": 1, "dataset": "d" });
    let row = json!({ "dataset_id": targets.dataset, "row_id": 1, "body": values });
    let answer = call(&world, &owner, "datasets_change_row", &row);
    assert_eq!(result(&answer)["structuredContent"]["dataset"], "d", "{}", answer.json);
    for name in ["a/b ?#%", "é🔑", "."] {
        let gone =
            call(&world, &owner, "datasets_remove_column", &json!({ "dataset_id": targets.dataset, "column": name }));
        assert_eq!(result(&gone)["isError"], false, "{}", gone.json);
    }
    // In a query: a list, what is left out by null, and a truth value.
    let ids = json!({ "id": [targets.id, targets.org_key], "limit": 1, "name": null });
    let answer = call(&world, &owner, "keys_list", &ids);
    assert_eq!(result(&answer)["structuredContent"]["items"].as_array().unwrap().len(), 1);
    let force = json!({ "key_id": targets.id, "force": true });
    assert_eq!(result(&call(&world, &owner, "keys_revoke", &force))["structuredContent"]["status"], "revoked");
}

#[test]
fn refused_calls_are_in_the_audit_trail_like_those_of_the_route() {
    let (world, owner) = world();
    let targets = Targets::new(&world, &owner);
    let (_, reader) = world.create(&owner, "reader", &["api-keys:read"]);
    let refusals = "SELECT json_group_array(json_array(subject, refusal, json(details))) FROM (SELECT * FROM audit_events WHERE refusal IS NOT NULL ORDER BY id)";
    world.call("DELETE", &format!("/v1/keys/{}", targets.id), &reader, &Value::Null);
    assert_error(&call(&world, &reader, "keys_revoke", &json!({ "key_id": targets.id })), 200, -32602);
    world.settle();
    let told: Vec<Value> = serde_json::from_str(world.database.value(refusals).as_str().unwrap()).unwrap();
    let details = json!({ "method": "DELETE", "route": "/v1/keys/:key_id" });
    let refused = json!([targets.id, "insufficient_scope", details]);
    assert_eq!(told, [refused.clone(), refused]);
}

#[test]
fn one_call_is_one_use_of_the_key() {
    let (world, owner) = world();
    let (id, key) = world.create(&owner, "used", &["datasets:read"]);
    let rotated = world.post(&format!("/v1/keys/{id}/rotate"), &key, &json!({ "grace_period_seconds": 3_600 }));
    assert!(rotated.status >= 400, "it cannot");
    world.post(&format!("/v1/keys/{id}/rotate"), &owner, &json!({ "grace_period_seconds": 3_600 }));
    world.settle();
    world.advance_ms(120_000);
    let answer = call(&world, &key, "datasets_list", &json!({}));
    assert!(answer.header("sunset").is_some());
    world.settle();
    assert_eq!(world.get(&format!("/v1/keys/{id}"), &owner).json["rotation"]["outgoing_uses"], 1);
}

#[test]
fn message_that_is_too_large_is_refused() {
    let (world, owner) = world();
    let rows = json!({ "name": "n", "rows": [{ "a": "a".repeat(MAX_BODY_BYTES) }] });
    let mut large = message(&owner, "tools/call", &json!({ "name": "datasets_create", "arguments": rows }));
    let Body::Bytes(bytes) = large.body else { panic!("not read") };
    large.body = Body::Unread(Rc::new(bytes));
    assert_problem(&world.send(&large), 413, "body_too_large");
}
