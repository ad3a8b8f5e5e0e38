//! Requests and answers as plain values, made from and into the platform's own at its edge.

use std::{borrow::Cow, fmt, rc::Rc};

use bitting_keys::{domain::time::UnixMillis, ports::ByteSource};
use futures_util::{
    StreamExt,
    stream::{LocalBoxStream, Stream},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// JSON Lines: on each line one value.
pub const NDJSON: &str = "application/x-ndjson";

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method as it was sent.
    pub method: String,
    /// Where it was sent to: `https://keys.example.com`.
    pub origin: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// What follows the `?`, still encoded.
    pub query: String,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl Request {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// A request's body.
#[derive(Clone)]
pub enum Body {
    /// It is still on its way.
    Unread(Rc<dyn ByteSource>),
    /// All of it.
    Bytes(Vec<u8>),
    /// It has more bytes than these, which are the most that are read, and was not read to its end.
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

/// An answer. None of this service's own may be stored by a cache: any of them may carry a key or what a key may see.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Content,
}

/// An answer's body.
pub enum Content {
    /// All of it; none, if there are no bytes.
    Bytes(Vec<u8>),
    /// Piece by piece, for what may be larger than an isolate's memory. An error breaks the connection
    /// off, because the status was sent long before; its text is for the log alone.
    Stream(LocalBoxStream<'static, Result<Vec<u8>, String>>),
    /// An upstream's, passed on as it comes.
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
    /// An answer that its status says all of.
    pub fn empty(status: u16) -> Self {
        let headers = vec![("Cache-Control".into(), "no-store".to_owned())];
        Self { status, headers, body: Content::Bytes(Vec::new()) }
    }

    /// An answer with this JSON.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self::typed(status, "application/json", body)
    }

    /// An answer with this text.
    pub fn text(content_type: &str, text: &str) -> Self {
        Self { status: 200, headers: headers(content_type), body: Content::Bytes(text.as_bytes().to_vec()) }
    }

    /// An answer with this JSON under another media type.
    pub fn typed(status: u16, content_type: &str, body: &impl Serialize) -> Self {
        Self {
            status,
            headers: headers(content_type),
            // What is sent here has text keys and finite numbers, so it can always be written.
            body: Content::Bytes(serde_json::to_vec(body).unwrap_or_default()),
        }
    }

    /// An answer whose body comes piece by piece.
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

/// An instant as every surface writes it, RFC 3339 in UTC, and as the native one reads it: with any
/// offset, or a bare date, which means its first instant in UTC.
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
