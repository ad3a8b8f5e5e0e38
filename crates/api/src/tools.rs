//! The tools of `/mcp`, each of which is a route. Their names and arguments are made of the API's document when this
//! crate is built; `build/tools.rs` says which routes are tools and why others are not.

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

/// What is encoded in a segment of a path; an id is recognised as it is.
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// A tool.
pub(crate) struct Tool {
    /// Its name, which is that of the route's operation.
    pub(crate) name: String,
    /// What is said of it to clients.
    pub(crate) definition: &'static RawValue,
    /// Its route.
    pub(crate) route: &'static Route,
    /// The scope that it needs.
    pub(crate) scope: &'static Scope,
    /// The action that a call of it asks for.
    pub(crate) action: Action<'static>,
    /// Which arguments go into the query.
    query: Vec<String>,
    /// What becomes the body.
    body: BodyFrom,
}

/// What becomes the body of a request.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyFrom {
    /// Nothing: there is none.
    Nothing,
    /// All arguments that go nowhere else.
    Rest,
    /// The argument `body`.
    Body,
}

/// What the file says of a tool.
#[derive(Deserialize)]
struct Entry<'a> {
    query: Vec<String>,
    body: BodyFrom,
    #[serde(borrow)]
    definition: &'a RawValue,
}

/// The tools in the order of the table of routes.
fn read(tables: &Tables) -> Vec<Tool> {
    let mut entries: BTreeMap<String, Entry<'static>> =
        match serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/tools.json"))) {
            Ok(entries) => entries,
            Err(error) => {
                // The tests of the tools would find none.
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

/// Every tool. The file is read once per isolate.
pub(crate) fn all(tables: &Tables) -> impl Iterator<Item = &'static Tool> {
    static TOOLS: OnceLock<Vec<Tool>> = OnceLock::new();
    TOOLS.get_or_init(|| read(tables)).iter()
}

impl Tool {
    /// The request that a call with these arguments stands for, which comes from where the call came from.
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
                    // Nobody can send null in a query: what is optional is left out.
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
                // It is in the path.
            } else if self.body == BodyFrom::Rest {
                rest.insert(name.clone(), value.clone());
            } else if self.body == BodyFrom::Nothing || name != "body" {
                return Err(Error::invalid(&name.escape_debug().to_string(), "is no argument of this tool").into());
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
            // Which types it takes says nothing about those of a tool, which are JSON.
            headers: outer.headers.iter().filter(|(name, _)| name != "accept").cloned().collect(),
            body: Body::Bytes(body.into_bytes()),
        })
    }
}

fn required<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Problem> {
    Ok(arguments.get(name).ok_or_else(|| Error::invalid(name, "is missing"))?)
}

/// A value as it stands in a path or a query.
fn text(name: &str, value: &Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(Error::invalid(name, "must be a text, a number or a truth value").into()),
    }
}
