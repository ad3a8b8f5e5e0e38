//! Requests and responses as plain values. The platform converts its own types into these and back.

use std::{borrow::Cow, fmt, rc::Rc};

use bitting_keys::{domain::time::UnixMillis, ports::ByteSource};
use futures_util::{
    StreamExt,
    stream::{LocalBoxStream, Stream},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The media type of JSON Lines: one value on each line.
pub const NDJSON: &str = "application/x-ndjson";

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method as it was sent.
    pub method: String,
    /// The origin of the service, such as `https://keys.example.com`.
    pub origin: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query without the `?`, still encoded.
    pub query: String,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl Request {
    /// Returns the value of a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// A request's body.
#[derive(Clone)]
pub enum Body {
    /// The body has not been read yet.
    Unread(Rc<dyn ByteSource>),
    /// The whole body.
    Bytes(Vec<u8>),
    /// The body has more bytes than this maximum and was not read to its end.
    TooLarge(usize),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(_) => f.write_str("a stream"),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::TooLarge(_) => f.write_str("too large"),
        }
    }
}

/// A response. Caches may not store any response of this service, since it can contain a key or what a key may see.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Content,
}

/// The body of a response.
pub enum Content {
    /// The whole body; empty for a response without one.
    Bytes(Vec<u8>),
    /// A stream, for bodies that may not fit into the memory of an isolate. An error breaks the connection off,
    /// because the status has been sent already. Its text is for the log only.
    Stream(LocalBoxStream<'static, Result<Vec<u8>, String>>),
    /// The body of an upstream, passed on as it comes.
    Unread(Rc<dyn ByteSource>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Stream(_) | Self::Unread(_) => f.write_str("a stream"),
        }
    }
}

impl Response {
    /// Creates a response without a body.
    pub fn empty(status: u16) -> Self {
        let headers = vec![("Cache-Control".into(), "no-store".to_owned())];
        Self { status, headers, body: Content::Bytes(Vec::new()) }
    }

    /// Creates a response with this JSON.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self::typed(status, "application/json", body)
    }

    /// Creates a response with this text.
    pub fn text(content_type: &str, text: &str) -> Self {
        Self { status: 200, headers: headers(content_type), body: Content::Bytes(text.as_bytes().to_vec()) }
    }

    /// Creates a response with this JSON under another media type.
    pub fn typed(status: u16, content_type: &str, body: &impl Serialize) -> Self {
        Self {
            status,
            headers: headers(content_type),
            // All bodies have text keys and finite numbers, so they can always be written.
            body: Content::Bytes(serde_json::to_vec(body).unwrap_or_default()),
        }
    }

    /// Creates a response with a streamed body.
    pub fn stream(content_type: &str, pieces: impl Stream<Item = Result<Vec<u8>, String>> + 'static) -> Self {
        Self { status: 200, headers: headers(content_type), body: Content::Stream(pieces.boxed_local()) }
    }
}

fn headers(content_type: &str) -> Vec<(Cow<'static, str>, String)> {
    vec![
        ("Content-Type".into(), content_type.to_owned()),
        ("Cache-Control".into(), "no-store".to_owned()),
        ("X-Content-Type-Options".into(), "nosniff".to_owned()),
    ]
}

/// An instant in RFC 3339. It is written in UTC, and read with any offset. A date stands for its first instant in
/// UTC.
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339(pub UnixMillis);

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339())
    }
}

impl<'de> Deserialize<'de> for Rfc3339 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let must = "must be an RFC 3339 date-time with its offset, like 2027-01-31T12:00:00Z, or a date";
        let text = String::deserialize(deserializer)?;
        UnixMillis::parse(&text).map(Self).ok_or_else(|| de::Error::custom(must))
    }
}

impl JsonSchema for Rfc3339 {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rfc3339".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        if generator.contract().is_deserialize() {
            let string = |format: &str| json_schema!({ "type": "string", "format": format });
            return json_schema!({ "anyOf": [string("date-time"), string("date")] });
        }
        json_schema!({ "type": "string", "format": "date-time" })
    }
}
