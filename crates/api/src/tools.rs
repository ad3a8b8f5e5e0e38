//! The tools of `/mcp`. Each is a route. Their definitions are generated from the API's document when this crate is
//! built; `build/tools.rs` explains which routes are tools.

use std::{collections::BTreeMap, sync::OnceLock};

use bitting_http::{
    dispatch::Action,
    message::{Body, Request},
    problem::Problem,
    route::Route,
    tables::Tables,
};
use bitting_keys::{app::error::Error, domain::scope::Scope};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

/// The characters that are encoded in a segment of a path. Ids have none of them.
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// A tool.
pub(crate) struct Tool {
    /// The name, which is that of the route's operation.
    pub(crate) name: String,
    /// The definition for clients.
    pub(crate) definition: &'static RawValue,
    /// The route.
    pub(crate) route: &'static Route,
    /// The scope that a key needs for it.
    pub(crate) scope: &'static Scope,
    /// The action of the route.
    pub(crate) action: Action<'static>,
    /// The names of the arguments that go into the query.
    query: Vec<String>,
    /// The source of the body.
    body: BodyFrom,
}

/// The source of the body of a request.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyFrom {
    /// The request has no body.
    Nothing,
    /// The body has all arguments that are neither in the path nor in the query.
    Rest,
    /// The body is the argument `body`.
    Body,
}

/// The entry of a tool in the file.
#[derive(Deserialize)]
struct Entry<'a> {
    query: Vec<String>,
    body: BodyFrom,
    #[serde(borrow)]
    definition: &'a RawValue,
}

/// Reads the tools, in the order of the tables.
fn read(tables: &Tables) -> Vec<Tool> {
    let mut entries: BTreeMap<String, Entry<'static>> =
        match serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/tools.json"))) {
            Ok(entries) => entries,
            Err(error) => {
                // The tests would find no tools.
                log::error!("tools.json: {error}");
                return Vec::new();
            }
        };
    let tool = |route: &'static Route| {
        let (document, action) = (route.document.as_ref()?, route.action()?);
        let scope = action.permission.scope.as_ref()?;
        let name = document.operation_id();
        let Entry { query, body, definition } = entries.remove(&name)?;
        Some(Tool { name, definition, route, scope, action, query, body })
    };
    tables.rows().filter_map(tool).collect()
}

/// Returns every tool. The file is read once per isolate.
pub(crate) fn all(tables: &Tables) -> impl Iterator<Item = &'static Tool> {
    static TOOLS: OnceLock<Vec<Tool>> = OnceLock::new();
    TOOLS.get_or_init(|| read(tables)).iter()
}

impl Tool {
    /// Builds the request of the route from these arguments, with the headers of the outer request.
    pub(crate) fn request(&self, outer: &Request, arguments: &Map<String, Value>) -> Result<Request, Problem> {
        let mut path = Vec::new();
        for segment in self.route.name.path.split('/') {
            path.push(match segment.strip_prefix(':') {
                None => segment.to_owned(),
                Some(name) => utf8_percent_encode(&text(name, required(arguments, name)?)?, IN_SEGMENT).to_string(),
            });
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut rest = Map::new();
        for (name, value) in arguments {
            if self.query.contains(name) {
                match value {
                    // A query has no null. An optional parameter is left out.
                    Value::Null => {}
                    Value::Array(values) => {
                        let texts: Result<Vec<String>, Problem> =
                            values.iter().map(|value| text(name, value)).collect();
                        query.append_pair(name, &texts?.join(","));
                    }
                    value => {
                        query.append_pair(name, &text(name, value)?);
                    }
                }
            } else if self.route.name.path.split('/').any(|segment| segment.strip_prefix(':') == Some(name)) {
                // The argument is in the path already.
            } else if self.body == BodyFrom::Rest {
                rest.insert(name.clone(), value.clone());
            } else if self.body == BodyFrom::Nothing || name != "body" {
                return Err(Error::invalid(&name.escape_debug().to_string(), "is not an argument of this tool").into());
            }
        }
        let body = match self.body {
            BodyFrom::Nothing => String::new(),
            BodyFrom::Rest => Value::Object(rest).to_string(),
            BodyFrom::Body => required(arguments, "body")?.to_string(),
        };
        Ok(Request {
            method: self.route.name.method.to_owned(),
            origin: outer.origin.clone(),
            path: path.join("/"),
            query: query.finish(),
            // The client's `Accept` is for the protocol. The responses of tools are JSON.
            headers: outer.headers.iter().filter(|(name, _)| name != "accept").cloned().collect(),
            body: Body::Bytes(body.into_bytes()),
        })
    }
}

fn required<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Problem> {
    Ok(arguments.get(name).ok_or_else(|| Error::invalid(name, "is missing"))?)
}

/// Writes a value as text for a path or a query.
fn text(name: &str, value: &Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(Error::invalid(name, "must be a text, a number, true or false").into()),
    }
}
