//! Reading what was sent: a body of JSON into a type, a query into its parameters.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{MapDeserializer, SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

pub use bitting_keys::domain::json::present;

use crate::{body, message::Request, problem::Problem};
use bitting_keys::app::error::Error;

/// Reads the body as a `T`.
///
/// # Errors
/// [`Problem::BodyTooLarge`], [`Problem::MalformedJson`], or [`Error::Invalid`] with the field that is wrong.
pub fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    // Read again, straight into the type, which refuses two fields with one name.
    let mut json = serde_json::Deserializer::from_slice(object(request)?);
    serde_path_to_error::deserialize(&mut json).map_err(|error| wrong_field(&error))
}

/// The bytes of a body that is a JSON object.
fn object(request: &Request) -> Result<&[u8], Problem> {
    let bytes = body::bytes(request)?;
    if let Err(error) = serde_json::from_slice::<Any>(bytes) {
        let message = if bytes.is_empty() { "it is empty".to_owned() } else { error.to_string() };
        return Err(Problem::MalformedJson(message));
    }
    // An array would be read as the fields' values in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Error::Invalid { field: None, message: "The body must be a JSON object".to_owned() }.into());
    }
    Ok(bytes)
}

fn wrong_field(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = Some(error.path().to_string()).filter(|path| path != ".");
    let message = error.inner().to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    // Serde puts what is missing into its message alone, and not into the path.
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match missing.filter(|_| path.is_none()) {
        Some(field) => Error::invalid(field, "is missing").into(),
        None => Error::Invalid { field: path, message: message.to_owned() }.into(),
    }
}

/// Reads the query as a `T`, which has a field for each parameter and denies unknown ones. Of a
/// parameter that was sent more than once the last counts, unless it is a list.
///
/// # Errors
/// [`Error::Invalid`] with the parameter that is wrong.
pub fn query<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let pairs: Vec<_> = form_urlencoded::parse(request.query.as_bytes()).collect();
    let pairs = pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    serde_path_to_error::deserialize(parameters(pairs)).map_err(|error| wrong_parameter(&error))
}

fn wrong_parameter(error: &serde_path_to_error::Error<de::value::Error>) -> Problem {
    // A list is one parameter: which of its values is wrong, its sender sees.
    let path = error.path().to_string();
    let name = path.split('[').next().unwrap_or_default().escape_debug().to_string();
    Error::invalid(&name, error.inner().to_string()).into()
}

/// Parameters, from which a type with a field for each can be read.
pub fn parameters<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> MapDeserializer<'a, btree_map::IntoIter<&'a str, Values<'a>>, de::value::Error> {
    let mut by_name: BTreeMap<&str, Values<'_>> = BTreeMap::new();
    for (name, value) in pairs {
        by_name.entry(name).or_default().0.push(value);
    }
    MapDeserializer::new(by_name.into_iter())
}

/// The values of one parameter: a list, with commas or sent more than once, or the last of them.
#[derive(Default)]
pub struct Values<'a>(Vec<&'a str>);

impl<'a> Values<'a> {
    fn last(&self) -> &'a str {
        self.0.last().copied().unwrap_or_default()
    }

    fn parse<T: FromStr>(&self, must: &str) -> Result<T, de::value::Error> {
        self.last().parse().map_err(|_| de::Error::custom(must))
    }
}

impl<'de> IntoDeserializer<'de> for Values<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Values<'de> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_str(self.last())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        // Python writes `True`.
        let text = self.last().to_ascii_lowercase();
        visitor.visit_bool(text.parse().map_err(|_| de::Error::custom("must be true or false"))?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_i64(self.parse("must be a whole number")?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let name: StrDeserializer<'de, Self::Error> = self.last().into_deserializer();
        visitor.visit_enum(name)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let parts = self.0.into_iter().flat_map(|value| value.split(','));
        visitor.visit_seq(SeqDeserializer::new(parts.map(|part| Self(vec![part.trim()]))))
    }

    /// Only what an `i64` looks like: `1e2` is for JSON.
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_i64(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct map struct identifier ignored_any
    }
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

/// The parameters of a query. A parameter without a value counts as not sent.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query, whose parameters must all be among `known`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the parameter that is not known.
    pub fn strict(request: &Request, known: &[&str]) -> Result<Self, Problem> {
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
    pub fn lenient(request: &Request) -> Self {
        let pairs = form_urlencoded::parse(request.query.as_bytes()).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The values of a parameter that may be sent more than once.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, the last if it was sent more than once.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, read by `parse`, which says what it must be otherwise.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `parse` does not read the value.
    pub fn read<T>(&self, name: &str, must: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let read = |text: &str| parse(text).ok_or_else(|| Error::invalid(name, format!("must be {must}")).into());
        self.get(name).map(read).transpose()
    }

    /// The values of a parameter that may be sent more than once, or with commas, or both.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `parse` does not read one of the values.
    pub fn list<T>(
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
