//! `POST /mcp`: the Model Context Protocol, with the transport Streamable HTTP and without sessions and streams.
//!
//! Since its revision 2026-07-28 each request is complete by itself, with `_meta` and headers. Clients of earlier
//! revisions begin with `initialize`. A call of a tool is a call of its route.

use std::ptr;

use bitting_http::{
    auth::{Permission, admit},
    body::Reading,
    call::{Act, Call},
    dispatch::{self, Action},
    input,
    message::{Content, Request, Response},
    problem::{self, Problem},
    route,
    route::Table,
    tables::Tables,
};
use bitting_keys::{
    app::{Principal, error::Error},
    domain::{catalogue::Surface, decision::Refusal, origin::is_private},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    json_rpc::{self, JSONRPC},
    tools::{self, Tool},
};

/// The Model Context Protocol.
pub static ROUTES: Table = Table {
    surface: Some(Surface::Mcp),
    prefix: None,
    envelope: json_rpc::envelope,
    rows: &[route!(POST "/mcp" tools)],
};

/// The revision whose requests are complete by themselves.
const MODERN: &str = "2026-07-28";
/// The newest revision that begins with `initialize`.
const NEWEST_LEGACY: &str = "2025-11-25";
/// The supported revisions.
const REVISIONS: [&str; 4] = [MODERN, NEWEST_LEGACY, "2025-06-18", UNNAMED];
/// The revision of a request without the header, which is newer than this revision.
const UNNAMED: &str = "2025-03-26";

/// The members of `_meta` that a modern request has.
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const HEADER_MISMATCH: i32 = -32020;
const UNSUPPORTED_VERSION: i32 = -32022;

/// A request, or a notification, which has no id.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    #[expect(dead_code, reason = "it has only one value")]
    jsonrpc: Version,
    #[serde(default, deserialize_with = "input::present")]
    id: Option<Id>,
    method: String,
    #[serde(default)]
    params: Map<String, Value>,
}

#[derive(Deserialize)]
enum Version {
    #[serde(rename = "2.0")]
    Two,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a text or a whole number")]
enum Id {
    Number(i64),
    Text(String),
}

/// The answer to a request.
#[derive(Serialize)]
struct Reply<'a> {
    jsonrpc: &'static str,
    id: &'a Id,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Result(Completed),
    Error(Failed),
}

/// A result, with the members that every result has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Completed {
    result_type: &'static str,
    #[serde(rename = "_meta")]
    meta: Value,
    #[serde(flatten)]
    result: Results,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Results {
    Plain(Value),
    #[serde(rename_all = "camelCase")]
    Tools {
        tools: Vec<&'static RawValue>,
        ttl_ms: u32,
        cache_scope: &'static str,
    },
    #[serde(rename_all = "camelCase")]
    Called {
        content: [Text; 1],
        #[serde(skip_serializing_if = "Option::is_none")]
        structured_content: Option<Box<RawValue>>,
        is_error: bool,
    },
}

#[derive(Serialize)]
struct Text {
    r#type: &'static str,
    text: String,
}

/// An error of the protocol.
#[derive(Serialize)]
struct Failed {
    code: i32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl Failed {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Returns the HTTP status. Clients of earlier revisions take 404 for the end of their session.
    fn status(&self, modern: bool) -> u16 {
        match self.code {
            UNSUPPORTED_VERSION | HEADER_MISMATCH => 400,
            METHOD_NOT_FOUND if modern => 404,
            _ if modern => 400,
            _ => 200,
        }
    }
}

/// Answers a message with a key.
pub(crate) async fn serve(tables: &'static Tables, call: &Call<'_>, reading: Reading) -> Result<Response, Problem> {
    check_origin(call)?;
    let permission = &Permission::ANY_KEY;
    let handler: &Act = &move |call, principal| Box::pin(answer(tables, call, principal));
    dispatch::answer(call, Action { permission, reading, bulk: false, subject: None, handler }).await
}

/// Refuses requests from web pages of other origins that the catalogue does not list. With DNS rebinding a foreign
/// name can lead here, so a name is accepted only if a certificate proves it or if it always stands for this machine.
fn check_origin(call: &Call<'_>) -> Result<(), Problem> {
    let Some(origin) = call.request.header("origin") else { return Ok(()) };
    let own = is_private(origin) && origin == call.request.origin;
    if own || call.app.config.catalogue.allows_origin(origin) { Ok(()) } else { Err(Problem::ForeignOrigin) }
}

async fn answer(tables: &'static Tables, call: &Call<'_>, principal: &Principal) -> Result<Response, Problem> {
    let message: Message = input::body(call.request)?;
    let version = call.request.header("mcp-protocol-version");
    let modern = version == Some(MODERN);
    let Some(id) = &message.id else {
        // No notification needs an action here.
        return match supported(version.unwrap_or(UNNAMED)) {
            Ok(()) => Ok(Response::empty(202)),
            Err(_) => Err(Error::invalid("MCP-Protocol-Version", "is not a supported revision").into()),
        };
    };
    let result = match check(call.request, &message) {
        Ok(()) => perform(tables, call, principal, &message).await?,
        Err(failed) => Err(failed),
    };
    let (status, outcome) = match result {
        Ok(result) => {
            let meta = json!({ "io.modelcontextprotocol/serverInfo": server_info() });
            (200, Outcome::Result(Completed { result_type: "complete", meta, result }))
        }
        Err(failed) => (failed.status(modern), Outcome::Error(failed)),
    };
    Ok(Response::json(status, &Reply { jsonrpc: JSONRPC, id, outcome }))
}

fn server_info() -> Value {
    json!({ "name": "bitting", "title": "Bitting", "version": env!("CARGO_PKG_VERSION") })
}

fn supported(version: &str) -> Result<(), Failed> {
    if REVISIONS.contains(&version) {
        return Ok(());
    }
    let data = Some(json!({ "supported": REVISIONS, "requested": version }));
    Err(Failed { data, ..Failed::new(UNSUPPORTED_VERSION, "Unsupported protocol version") })
}

/// Checks that the headers match the request, so that a proxy that reads only the headers sees the true request.
fn check(request: &Request, message: &Message) -> Result<(), Failed> {
    let sent = request.header("mcp-protocol-version");
    let meta = message.params.get("_meta").and_then(Value::as_object);
    let in_meta = meta.and_then(|meta| meta.get(META_VERSION));
    if in_meta.is_some_and(|version| version.as_str() != sent) {
        return Err(mismatch("MCP-Protocol-Version"));
    }
    let version = sent.unwrap_or(UNNAMED);
    supported(version)?;
    if version != MODERN {
        return Ok(());
    }
    for key in [META_VERSION, META_CAPABILITIES] {
        if meta.is_none_or(|meta| !meta.contains_key(key)) {
            return Err(Failed::new(INVALID_PARAMS, format!("`_meta` lacks `{key}`")));
        }
    }
    if request.header("mcp-method") != Some(&message.method) {
        return Err(mismatch("Mcp-Method"));
    }
    // The names of tools need no encoding, so an encoded name does not match any tool.
    let name = message.params.get("name").and_then(Value::as_str);
    if message.method == "tools/call" && name.is_some() && request.header("mcp-name") != name {
        return Err(mismatch("Mcp-Name"));
    }
    Ok(())
}

fn mismatch(header: &str) -> Failed {
    Failed::new(HEADER_MISMATCH, format!("Header mismatch: `{header}` is missing or differs from the body"))
}

async fn perform(
    tables: &'static Tables,
    call: &Call<'_>,
    principal: &Principal,
    message: &Message,
) -> Result<Result<Results, Failed>, Problem> {
    let params = &message.params;
    Ok(match &*message.method {
        "initialize" => initialize(params).map(Results::Plain),
        "ping" => Ok(Results::Plain(json!({}))),
        "server/discover" => {
            let about = json!({
                "supportedVersions": REVISIONS,
                "capabilities": { "tools": {} },
                "ttlMs": 0,
                "cacheScope": "public",
            });
            Ok(Results::Plain(about))
        }
        "tools/list" if params.get("cursor").is_some_and(|cursor| !cursor.is_null()) => {
            Err(Failed::new(INVALID_PARAMS, "`cursor` must be left out, because all tools are on one page"))
        }
        "tools/list" => {
            // The scopes of the key could have changed a moment ago.
            call.app.confirm(principal).await?;
            let tools = tools::all(tables).filter(|tool| principal.snapshot.scopes.grant(tool.scope));
            Ok(Results::Tools { tools: tools.map(|tool| tool.definition).collect(), ttl_ms: 0, cache_scope: "private" })
        }
        "tools/call" => call_tool(tables, call, principal, params).await?,
        method => Err(Failed::new(METHOD_NOT_FOUND, format!("Method not found: {method}"))),
    })
}

fn initialize(params: &Map<String, Value>) -> Result<Value, Failed> {
    let Some(asked) = params.get("protocolVersion").and_then(Value::as_str) else {
        return Err(Failed::new(INVALID_PARAMS, "`protocolVersion` is missing"));
    };
    let known = REVISIONS.into_iter().find(|version| *version == asked && *version != MODERN);
    let version = known.unwrap_or(NEWEST_LEGACY);
    Ok(json!({ "protocolVersion": version, "capabilities": { "tools": {} }, "serverInfo": server_info() }))
}

async fn call_tool(
    tables: &'static Tables,
    call: &Call<'_>,
    principal: &Principal,
    params: &Map<String, Value>,
) -> Result<Result<Results, Failed>, Problem> {
    let Some(name) = params.get("name").and_then(Value::as_str) else {
        return Ok(Err(Failed::new(INVALID_PARAMS, "`name` is missing")));
    };
    let nothing = Map::new();
    let arguments = match params.get("arguments") {
        None => &nothing,
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Ok(Err(Failed::new(INVALID_PARAMS, "`arguments` must be an object"))),
    };
    let unknown = || Ok(Err(Failed::new(INVALID_PARAMS, format!("Unknown tool: {name}"))));
    let Some(tool) = tools::all(tables).find(|tool| tool.name == name) else { return unknown() };
    let answer = send(tables, call, principal, tool, arguments).await;
    let response = match answer {
        // A key that may not call a tool does not learn that it exists, whatever else is wrong.
        Err(Problem::App(Error::Refused(Refusal::MissingScopes(_)))) => return unknown(),
        Err(_) if !principal.snapshot.scopes.grant(tool.scope) => return unknown(),
        Ok(response) => response,
        // These concern the key or the whole service, and not the call of a tool.
        Err(problem @ Problem::App(Error::Refused(_) | Error::Unavailable(_) | Error::KeyChanged)) => {
            return Err(problem);
        }
        Err(problem) => problem.response(problem::envelope, call.request_id),
    };
    let bytes = match response.body {
        Content::Bytes(bytes) => bytes,
        // No tool streams its response.
        Content::Stream(_) | Content::Unread(_) => Vec::new(),
    };
    let structured_content = String::from_utf8(bytes).ok().and_then(|json| RawValue::from_string(json).ok());
    let text = structured_content.as_ref().map_or("Done", |json| json.get()).to_owned();
    Ok(Ok(Results::Called {
        content: [Text { r#type: "text", text }],
        structured_content: structured_content.filter(|json| json.get().starts_with('{')),
        is_error: response.status >= 400,
    }))
}

/// Calls the route of a tool.
async fn send(
    tables: &'static Tables,
    call: &Call<'_>,
    principal: &Principal,
    tool: &'static Tool,
    arguments: &Map<String, Value>,
) -> Result<Response, Problem> {
    let request = tool.request(call.request, arguments)?;
    // An argument can lead to another route, as `self` does in the place of an id.
    let found = tables.find(&request.method, &request.path).ok();
    let found = found.filter(|found| ptr::eq(found.route, tool.route)).ok_or(Error::NotFound)?;
    let call = found.call(call.app, &request, call.request_id);
    let admitted = admit(call.app, principal, tool.action.permission);
    dispatch::act(&call, tool.action, &mut principal.clone(), admitted).await
}
