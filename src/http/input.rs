//! Reading what was sent: a body of JSON into a type, a query into its parameters.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::{
    app::error::Error,
    http::{
        message::{Body, Request},
        problem::Problem,
    },
};

/// Reads the body as a `T`.
pub(crate) fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let Body::Bytes(bytes) = &request.body else {
        return Err(Problem::BodyTooLarge);
    };
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(value) if value.is_object() => {}
        // An array would be read as the fields' values in their order.
        Ok(_) => {
            return Err(Error::Invalid { field: None, message: "The body must be a JSON object".to_owned() }.into());
        }
        Err(error) => {
            let message = if bytes.is_empty() { "it is empty".to_owned() } else { error.to_string() };
            return Err(Problem::MalformedJson(message));
        }
    }
    // Read again, straight into the type: of two fields with one name a `Value` keeps the last, unseen
    // by whoever looked at the first.
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
