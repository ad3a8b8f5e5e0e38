//! Reading what was sent: a body of JSON into a type, a query into its parameters.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor},
};

use crate::{
    app::error::Error,
    http::{
        message::{Body, Request, max_body_bytes},
        problem::Problem,
    },
};

/// Reads the body as a `T`.
pub(crate) fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    // Whatever is still unread was read before the handler was called.
    let Body::Bytes(bytes) = &request.body else {
        return Err(Problem::BodyTooLarge(max_body_bytes(&request.path)));
    };
    if let Err(error) = serde_json::from_slice::<Any>(bytes) {
        let message = if bytes.is_empty() { "it is empty".to_owned() } else { error.to_string() };
        return Err(Problem::MalformedJson(message));
    }
    // An array would be read as the fields' values in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Error::Invalid { field: None, message: "The body must be a JSON object".to_owned() }.into());
    }
    // Read again, straight into the type, which refuses two fields with one name.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = Some(error.path().to_string()).filter(|path| path != ".");
        let message = error.inner().to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        // Serde puts what is missing into its message alone, and not into the path.
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        match missing.filter(|_| path.is_none()) {
            Some(field) => Error::invalid(field, "is missing").into(),
            None => Error::Invalid { field: path, message: message.to_owned() }.into(),
        }
    })
}

/// JSON of any kind that was read to its end and is kept nowhere: of a large body a `Value` would take
/// many times the room.
struct Any;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self, A::Error> {
        while values.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// Tells a field that is there, `null` even, from one that is not: for `Option<Option<T>>` with `default`.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The parameters of a query. A parameter without a value counts as not sent.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query, whose parameters must all be among `known`.
    pub(crate) fn strict(request: &Request, known: &[&str]) -> Result<Self, Problem> {
        let query = Self::lenient(request);
        match query.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(query),
            Some((name, _)) => {
                let message = format!("is no parameter here; there are {}", known.join(", "));
                Err(Error::invalid(&name.escape_debug().to_string(), message).into())
            }
        }
    }

    /// Reads the query, whatever is in it.
    pub(crate) fn lenient(request: &Request) -> Self {
        let pairs = form_urlencoded::parse(request.query.as_bytes()).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The values of a parameter that may be sent more than once.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, the last if it was sent more than once.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, read by `parse`, which says what it must be otherwise.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        must: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let read = |text: &str| parse(text).ok_or_else(|| Error::invalid(name, format!("must be {must}")).into());
        self.get(name).map(read).transpose()
    }

    /// The values of a parameter that may be sent more than once, or with commas, or both.
    pub(crate) fn list<T>(
        &self,
        name: &str,
        must: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Problem> {
        let parts: Vec<&str> = self.all(name).flat_map(|value| value.split(',')).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let values: Option<Vec<T>> = parts.into_iter().map(|part| parse(part.trim())).collect();
        values.map(Some).ok_or_else(|| Error::invalid(name, format!("must be {must}")).into())
    }
}
