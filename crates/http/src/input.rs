//! Typed input: the body as JSON, and the parameters of the query.

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map},
    str::FromStr,
};

use bitting_keys::{
    app::error::{Error, Mistake},
    domain::json_input::{self, InputError, MAX_MISTAKES},
};
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor,
        value::{SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

pub use bitting_keys::domain::json::present;

use crate::{body, message::Request, problem::Problem};

/// Reads the body as a `T`.
///
/// # Errors
/// [`Problem::BodyTooLarge`], [`Problem::MalformedJson`], or [`Error::Invalid`] with the wrong fields.
pub fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let read = body_as_sent(request)?;
    match json_input::oversized(body_bytes(request)?) {
        Some(error) => Err(invalid(&[error], "field")),
        None => Ok(read),
    }
}

/// Reads the body as a `T` that keeps parts of it as they were sent, with numbers of any size.
///
/// # Errors
/// Those of [`body()`], but for numbers.
pub fn body_as_sent<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let bytes = body_bytes(request)?;
    // No body is like one without fields, where no field is required.
    if bytes.is_empty()
        && let Ok(value) = json_input::read(b"{}")
    {
        return Ok(value);
    }
    json_input::read_all(bytes).map_err(|errors| wrong_body(request, &errors))
}

fn wrong_body(request: &Request, errors: &[InputError]) -> Problem {
    match errors.iter().find_map(InputError::syntax) {
        Some(message) if is_form(request) => Problem::MalformedJson(format!(
            "{message}; its `Content-Type` is that of a form, and this path takes JSON, such as {{\"name\": \"ci\"}}"
        )),
        Some(message) => Problem::MalformedJson(message.to_owned()),
        None => invalid(errors, "field"),
    }
}

/// The bytes of the body, without a byte order mark (RFC 8259, 8.1).
fn body_bytes(request: &Request) -> Result<&[u8], Problem> {
    let bytes = body::bytes(request)?;
    Ok(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes))
}

/// True if the header `Content-Type` is that of a form. Programs that send JSON often leave it so, without harm.
fn is_form(request: &Request) -> bool {
    let form = |kind: &str| kind.starts_with("multipart/") || kind.starts_with("application/x-www-form-urlencoded");
    request.header("content-type").is_some_and(|kind| form(&kind.trim().to_ascii_lowercase()))
}

/// Reads the body of a request that creates or changes a key on a vendor's surface, as a `T` that denies unknown
/// fields. A restriction that a surface does not know must not be lost without a word: the key would have full access.
///
/// # Errors
/// Those of [`body()`]; the error of an unknown field also says where keys can be restricted.
pub fn vendor_body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    body(request).map_err(|problem| match problem {
        Problem::App(Error::Invalid(mut mistakes)) => {
            for Mistake { message, .. } in &mut mistakes {
                if message.starts_with("is not a field here") {
                    message.push_str("; to restrict a key, create it with `POST /v1/keys`");
                }
            }
            Error::Invalid(mistakes).into()
        }
        problem => problem,
    })
}

/// Reads the query as a `T`, which has a field for each parameter and denies unknown ones. If a parameter was sent
/// more than once, the last one counts, unless it is a list.
///
/// # Errors
/// [`Error::Invalid`] with the wrong parameters.
pub fn query<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    parameters(request.query.as_bytes())
}

/// Reads the body, a form like a query, as a `T`.
///
/// # Errors
/// As [`query`], and [`Problem::BodyTooLarge`].
pub fn form<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    parameters(body::bytes(request)?)
}

fn parameters<T: DeserializeOwned>(sent: &[u8]) -> Result<T, Problem> {
    let mut pairs: Vec<Pair<'_>> = form_urlencoded::parse(sent).collect();
    let read = |pairs: &[Pair<'_>]| {
        T::deserialize(Parameters::new(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))))
    };
    read(&pairs).map_err(|error| wrong_query(error, &mut pairs, &|pairs| read(pairs).err()))
}

/// A parameter of the query.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Finds the mistakes behind the first one.
fn wrong_query(
    first: InputError,
    pairs: &mut Vec<Pair<'_>>,
    read: &dyn Fn(&[Pair<'_>]) -> Option<InputError>,
) -> Problem {
    let mut errors: Vec<InputError> = Vec::new();
    let mut next = Some(first);
    while let Some(error) = next {
        // What is wrong is left out, to find what else is. A parameter that is missing then ends the search.
        let sent = pairs.len();
        pairs.retain(|(name, _)| *name != error.path);
        if errors.iter().all(|known| known.path != error.path) {
            errors.push(error);
        }
        if pairs.len() == sent || errors.len() == MAX_MISTAKES {
            break;
        }
        next = read(pairs);
    }
    invalid(&errors, "parameter")
}

/// Turns errors of the reader into a problem. `noun` is the word for what has the fault.
fn invalid(errors: &[InputError], noun: &str) -> Problem {
    let mistakes = errors.iter().map(|error| match error.message(noun) {
        message if error.path.is_empty() => Mistake { field: None, message: format!("The body {message}") },
        message => Mistake { field: Some(error.path.clone()), message },
    });
    Error::Invalid(mistakes.collect()).into()
}

/// Parameters of a path or a query, from which a type with a field for each can be read.
pub struct Parameters<'a> {
    entries: btree_map::IntoIter<&'a str, Values<'a>>,
    current: Option<(&'a str, Values<'a>)>,
}

impl<'a> Parameters<'a> {
    /// Creates parameters from names and values. A name may appear more than once.
    pub fn new(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut by_name: BTreeMap<&str, Values<'_>> = BTreeMap::new();
        for (name, value) in pairs {
            by_name.entry(name).or_default().0.push(value);
        }
        Self { entries: by_name.into_iter(), current: None }
    }
}

impl<'de> Deserializer<'de> for Parameters<'de> {
    type Error = InputError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Parameters<'de> {
    type Error = InputError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, InputError> {
        self.current = self.entries.next();
        let Some((name, _)) = &self.current else { return Ok(None) };
        let name: StrDeserializer<'_, InputError> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, InputError> {
        let (name, values) = self.current.take().unwrap_or_default();
        seed.deserialize(values).map_err(|error| error.within(name))
    }
}

/// The values of one parameter. A list can be sent with commas, as several parameters, or both. Otherwise the last
/// value counts.
#[derive(Default)]
pub struct Values<'a>(Vec<&'a str>);

impl<'a> Values<'a> {
    fn last(&self) -> &'a str {
        self.0.last().copied().unwrap_or_default()
    }

    fn parse<T: FromStr>(&self, must: &str) -> Result<T, InputError> {
        self.last().parse().map_err(|_| InputError::custom(must))
    }
}

impl<'de> IntoDeserializer<'de, InputError> for Values<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Values<'de> {
    type Error = InputError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_str(self.last())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        // Python's libraries write `True`.
        let text = self.last().to_ascii_lowercase();
        visitor.visit_bool(text.parse().map_err(|_| InputError::custom("must be true or false"))?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_i64(self.parse("must be a whole number")?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        let name: StrDeserializer<'de, InputError> = self.last().into_deserializer();
        visitor.visit_enum(name)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        let parts = self.0.into_iter().flat_map(|value| value.split(','));
        visitor.visit_seq(SeqDeserializer::new(parts.map(|part| Self(vec![part.trim()]))))
    }

    /// Reads an `i64` as a number. `1e2` is for JSON only.
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        self.deserialize_i64(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct map struct identifier ignored_any
    }
}

/// The parameters of a query. A parameter with an empty value counts as not sent.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query and refuses parameters that are not in `known`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the unknown parameter.
    pub fn strict(request: &Request, known: &[&str]) -> Result<Self, Problem> {
        let query = Self::lenient(request);
        match query.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(query),
            Some((name, _)) => {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                let message = format!("is not a parameter here; there are {}", known.join(", "));
                Err(Error::invalid(&name.escape_debug().to_string(), message).into())
            }
        }
    }

    /// Reads the query and ignores unknown parameters.
    pub fn lenient(request: &Request) -> Self {
        let pairs = form_urlencoded::parse(request.query.as_bytes()).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Returns the values of a parameter that can be sent more than once.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a parameter; the last one if it was sent more than once.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Reads the value of a parameter with `parse`. `must` describes valid values.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `parse` returns `None`.
    pub fn read<T>(&self, name: &str, must: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let read = |text: &str| parse(text).ok_or_else(|| Error::invalid(name, format!("must be {must}")).into());
        self.get(name).map(read).transpose()
    }

    /// Reads the values of a parameter that can be sent more than once, with commas, or both.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `parse` returns `None` for one of the values.
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
