//! A reader for JSON that people write, with plain words for what is wrong with it.
//!
//! [`InputError`] takes the place of serde's own errors: each kind of mistake reaches it as a call with the facts, and
//! not as a text. `Reader` lays itself around a deserializer to add the path of the field and the type that is
//! expected there.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display},
};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeSeed, Expected, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{MapDeserializer, SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

/// The maximum number of mistakes that are told at once.
pub const MAX_MISTAKES: usize = 20;

/// The texts that stand in for wrong and missing ones: a name or an e-mail address, an id, a date, and a URL.
const STAND_IN_TEXTS: [&str; 4] =
    ["a@example.com", "00000000-0000-7000-8000-000000000000", "2000-01-01", "https://a.example"];

/// The maximum number of names that an error lists.
const MAX_NAMES: usize = 12;

/// An error of the reader, with the path of the field that it is about.
#[derive(Debug)]
pub struct InputError {
    /// The path of the field, such as `scopes[1]`; empty for the whole input.
    pub path: String,
    fault: Fault,
}

/// A kind of mistake.
#[derive(Debug)]
enum Fault {
    /// A value of this type is in the wrong place. The expected type is not known.
    Misplaced(&'static str),
    /// The value is not what it must be.
    Type(Must),
    /// A field is missing.
    Missing,
    /// A field is not one of these.
    Unknown(&'static [&'static str]),
    /// A field appears twice.
    Duplicate,
    /// A value has a fault that its type describes.
    Custom(String),
    /// The input is not JSON, for this reason.
    Syntax(String),
}

/// The values that a type allows.
#[derive(Debug, Clone, Copy)]
enum Must {
    /// A description: "a list".
    Be(&'static str),
    /// One of these texts.
    BeOneOf(&'static [&'static str]),
}

impl InputError {
    fn new(fault: Fault) -> Self {
        Self { path: String::new(), fault }
    }

    fn about(field: &str, fault: Fault) -> Self {
        Self::new(fault).within(field)
    }

    /// Returns the mistake in the syntax, if the input is not JSON.
    pub fn syntax(&self) -> Option<&str> {
        match &self.fault {
            Fault::Syntax(message) => Some(message),
            _ => None,
        }
    }

    /// The same error, for a value in this field of an object.
    #[must_use]
    pub fn within(self, field: &str) -> Self {
        Self { path: joined(&field.escape_debug().to_string(), &self.path), ..self }
    }

    /// The same error, for a value at this index of a list.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        Self { path: joined(&format!("[{index}]"), &self.path), ..self }
    }

    /// The same error, with the type that was expected where it arose.
    fn or(self, must: Must) -> Self {
        match self.fault {
            Fault::Misplaced(_) if self.path.is_empty() => Self::new(Fault::Type(must)),
            _ => self,
        }
    }

    /// Describes the fault. `noun` is the word for a field: "field" or "parameter".
    pub fn message(&self, noun: &str) -> String {
        match &self.fault {
            Fault::Misplaced(found) => format!("contains {found} in the wrong place"),
            Fault::Type(Must::Be(description)) => format!("must be {description}"),
            Fault::Type(Must::BeOneOf([name])) => format!("must be `{name}`"),
            Fault::Type(Must::BeOneOf(names)) => format!("must be one of {}", quoted(names)),
            Fault::Missing => "is missing".to_owned(),
            Fault::Unknown(names) if names.is_empty() || names.len() > MAX_NAMES => {
                format!("is not a {noun} here")
            }
            Fault::Unknown(names) => format!("is not a {noun} here; there are {}", quoted(names)),
            Fault::Duplicate => "appears twice".to_owned(),
            Fault::Custom(message) => message.clone(),
            Fault::Syntax(message) => format!("is not JSON: {message}"),
        }
    }
}

/// Returns true if one of the values at these paths contains the other.
fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let rest = long.strip_prefix(short);
    rest.is_some_and(|rest| short.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Joins two parts of a path.
fn joined(parent: &str, child: &str) -> String {
    let separator = if parent.is_empty() || child.is_empty() || child.starts_with('[') { "" } else { "." };
    format!("{parent}{separator}{child}")
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message("field"))
    }
}

impl std::error::Error for InputError {}

impl de::Error for InputError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Fault::Custom(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::new(Fault::Misplaced(match found {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) => "a text",
            Unexpected::Unit | Unexpected::Option => "null",
            Unexpected::Seq => "a list",
            Unexpected::Map => "an object",
            _ => "a value",
        }))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::new(Fault::Custom("has the wrong number of values".to_owned()))
    }

    fn unknown_variant(_: &str, names: &'static [&'static str]) -> Self {
        Self::new(Fault::Type(Must::BeOneOf(names)))
    }

    fn unknown_field(field: &str, names: &'static [&'static str]) -> Self {
        Self::about(field, Fault::Unknown(names))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::about(field, Fault::Missing)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::about(field, Fault::Duplicate)
    }
}

/// Reads a value from JSON.
///
/// # Errors
/// The first mistake. Mistakes of the syntax come before all others.
pub fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, InputError> {
    check_syntax(json).map_err(|message| InputError::new(Fault::Syntax(message)))?;
    pass(json, &[], "")
}

/// Reads a value from JSON.
///
/// serde ends at the first mistake. To find the others, this reads the input again without the values that are known
/// to be wrong, and with stand-ins for the fields that are wrong or missing, until it finds nothing new.
///
/// # Errors
/// The mistakes, at most [`MAX_MISTAKES`] and at least one. A mistake of the syntax is the only one.
pub fn read_all<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, Vec<InputError>> {
    read(json).map_err(|error| mistakes(error, &mut |known, text| pass::<T>(json, known, text).err()))
}

/// Finds the mistakes behind the first one. Of its own, because all that is generic is compiled once for each type.
fn mistakes(first: InputError, pass: &mut dyn FnMut(&[Known], &str) -> Option<InputError>) -> Vec<InputError> {
    if first.syntax().is_some() {
        return vec![first];
    }
    let mut found = vec![first];
    let mut known: Vec<Known> = found.iter().map(Known::new).collect();
    let mut texts = STAND_IN_TEXTS.into_iter();
    let mut text = texts.next().unwrap_or_default();
    while found.len() < MAX_MISTAKES {
        let Some(error) = pass(&known, text) else { break };
        let field = error.path.split(['.', '[']).next().unwrap_or_default();
        if !known.iter().any(|known| overlap(&known.path, &error.path)) {
            known.push(Known::new(&error));
            found.push(error);
        } else if !known.iter().any(|known| known.path == field) {
            // Without its wrong parts, the value is wrong in another way. The whole of it is left out instead.
            known.push(Known { path: field.to_owned(), needed: true });
        } else if let Some(next) = texts.next() {
            text = next;
        } else {
            break;
        }
    }
    found
}

/// Finds a whole number of more than 64 bits, which would be rounded without a word: the error has its path. The input must
/// be JSON.
pub fn oversized(json: &[u8]) -> Option<InputError> {
    // Most inputs have no number with so many digits.
    if !json
        .chunk_by(|left, right| left.is_ascii_digit() && right.is_ascii_digit())
        .any(|run| run.len() >= LONG_DIGITS && run.first().is_some_and(u8::is_ascii_digit))
    {
        return None;
    }
    oversized_in(std::str::from_utf8(json).ok()?.trim(), 0)
}

fn oversized_in(json: &str, depth: usize) -> Option<InputError> {
    if depth > MAX_LOOKED_INTO || json.len() < LONG_DIGITS {
        return None;
    }
    match json.bytes().next()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
            let mut members = members.into_iter();
            members.find_map(|(name, value)| Some(oversized_in(value.get(), depth + 1)?.within(&name)))
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let mut items = items.into_iter().enumerate();
            items.find_map(|(index, item)| Some(oversized_in(item.get(), depth + 1)?.at(index)))
        }
        b'-' | b'0'..=b'9' => {
            let is_whole = !json.contains(['.', 'e', 'E']);
            let fits = json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok();
            let message = "is a whole number of more than 64 bits, which would be rounded; send it as a text";
            (is_whole && !fits).then(|| InputError::new(Fault::Custom(message.to_owned())))
        }
        _ => None,
    }
}

/// The number of digits from which on a whole number may have more than 64 bits.
const LONG_DIGITS: usize = 19;
/// The nesting down to which numbers are looked for. What is deeper is refused anyway.
const MAX_LOOKED_INTO: usize = 64;

/// Reads the value once, with this text where a text stands in.
#[inline(never)]
fn pass<'de, T: Deserialize<'de>>(json: &'de [u8], known: &[Known], text: &str) -> Result<T, InputError> {
    let state = State { error: Cell::new(None), known, text, path: RefCell::default() };
    T::deserialize(Reader { inner: &mut serde_json::Deserializer::from_slice(json), state: &state })
}

/// Checks that this is JSON. The error has the place of the first mistake.
fn check_syntax(json: &[u8]) -> Result<(), String> {
    let Err(error) = serde_json::from_slice::<Any>(json) else { return Ok(()) };
    Err(match json {
        [] => "it is empty".to_owned(),
        _ if error.is_eof() => "it ends too early".to_owned(),
        _ => format!("there is a mistake at line {}, column {}", error.line(), error.column()),
    })
}

/// A value that is known to be wrong or missing, and is not read again.
struct Known {
    path: String,
    /// True if the type may need the field, so that something has to stand in for it.
    needed: bool,
}

impl Known {
    fn new(error: &InputError) -> Self {
        Self { path: error.path.clone(), needed: !matches!(error.fault, Fault::Unknown(_)) }
    }
}

/// The state of a pass over the input.
struct State<'a> {
    /// The error that passes through the deserializer inside.
    error: Cell<Option<InputError>>,
    /// The values that are known to be wrong or missing.
    known: &'a [Known],
    /// The text that stands in for texts.
    text: &'a str,
    /// The path of the value that is being read. It is kept only if there are known mistakes.
    path: RefCell<String>,
}

impl State<'_> {
    /// Returns the path of the value that is being read.
    fn path(&self) -> String {
        self.path.try_borrow().map(|path| path.clone()).unwrap_or_default()
    }

    /// Reads a value at this path.
    fn at<V>(&self, path: String, read: impl FnOnce() -> V) -> V {
        if self.known.is_empty() {
            return read();
        }
        let before = self.path.replace(path);
        let value = read();
        self.path.replace(before);
        value
    }

    /// Returns true if the value at this path is known to be wrong or missing.
    fn knows(&self, path: &str) -> bool {
        self.known.iter().any(|known| known.path == path)
    }
}

/// A deserializer whose errors are [`InputError`]s. The errors of the one inside have no room for these, so they pass
/// it in the cell; without one there, the value has another type than expected.
struct Reader<'a, D> {
    inner: D,
    state: &'a State<'a>,
}

/// A seed or a visitor that gets a [`Reader`] for what it reads.
struct Within<'a, T> {
    inner: T,
    state: &'a State<'a>,
}

impl<T> Within<'_, T> {
    /// Leaves an error in the cell.
    fn leave<V, E: de::Error>(state: &State<'_>, result: Result<V, InputError>) -> Result<V, E> {
        result.map_err(|found| {
            state.error.set(Some(found));
            E::custom("")
        })
    }
}

/// Takes the error that was left in the cell.
fn take<V, E>(state: &State<'_>, result: Result<V, E>) -> Result<V, InputError> {
    result.map_err(|_| state.error.take().unwrap_or_else(|| InputError::new(Fault::Misplaced("a value"))))
}

impl<'de, D: Deserializer<'de>> Reader<'_, D> {
    /// Reads a text, a number, a Boolean or null.
    fn scalar<V: Visitor<'de>>(self, visitor: V, must: Must) -> Result<V::Value, InputError> {
        let scalar = self.inner.deserialize_any(ScalarVisitor).unwrap_or(Scalar::None);
        let read = match scalar {
            Scalar::Null => visitor.visit_unit(),
            Scalar::Bool(value) => visitor.visit_bool(value),
            Scalar::Signed(value) => visitor.visit_i64(value),
            Scalar::Unsigned(value) => visitor.visit_u64(value),
            Scalar::Float(value) => visitor.visit_f64(value),
            Scalar::Borrowed(value) => visitor.visit_borrowed_str(value),
            Scalar::Text(value) => visitor.visit_string(value),
            Scalar::None => Err(InputError::new(Fault::Misplaced("a value"))),
        };
        read.map_err(|error| error.or(must))
    }
}

/// Implements methods of a [`Deserializer`] that read a scalar.
macro_rules! scalars {
    ($($method:ident: $must:literal,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
            self.scalar(visitor, Must::Be($must))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Reader<'_, D> {
    type Error = InputError;

    scalars! {
        deserialize_bool: "true or false",
        deserialize_i8: "a whole number from -128 to 127",
        deserialize_i16: "a whole number from -32768 to 32767",
        deserialize_i32: "a whole number from -2147483648 to 2147483647",
        deserialize_i64: "a whole number",
        deserialize_u8: "a whole number from 0 to 255",
        deserialize_u16: "a whole number from 0 to 65535",
        deserialize_u32: "a whole number from 0 to 4294967295",
        deserialize_u64: "a whole number, at least 0",
        deserialize_f32: "a number",
        deserialize_f64: "a number",
        deserialize_char: "one character",
        deserialize_str: "a text",
        deserialize_string: "a text",
        deserialize_identifier: "a text",
        deserialize_unit: "null",
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        take(self.state, self.inner.deserialize_any(Within { inner: visitor, state: self.state }))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        take(self.state, self.inner.deserialize_ignored_any(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        take(self.state, self.inner.deserialize_option(Within { inner: visitor, state: self.state }))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, InputError> {
        take(self.state, self.inner.deserialize_newtype_struct(name, Within { inner: visitor, state: self.state }))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        let read = take(self.state, self.inner.deserialize_seq(Within { inner: visitor, state: self.state }));
        read.map_err(|error| error.or(Must::Be("a list")))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, InputError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, InputError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        let read = take(self.state, self.inner.deserialize_map(Within { inner: visitor, state: self.state }));
        read.map_err(|error| error.or(Must::Be("an object")))
    }

    /// Reads an object only. serde would also read an array, as the values of the fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        self.deserialize_map(visitor)
    }

    /// Reads the name of a variant. Variants with values are not for people to write.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        self.scalar(NameVisitor(visitor), Must::BeOneOf(names))
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit_struct }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Within<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        Self::leave(self.state, self.inner.visit_unit())
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        Self::leave(self.state, self.inner.visit_none())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<V::Value, E> {
        Self::leave(self.state, self.inner.visit_bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<V::Value, E> {
        Self::leave(self.state, self.inner.visit_i64(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<V::Value, E> {
        Self::leave(self.state, self.inner.visit_u64(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<V::Value, E> {
        Self::leave(self.state, self.inner.visit_f64(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<V::Value, E> {
        Self::leave(self.state, self.inner.visit_str(value))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<V::Value, E> {
        Self::leave(self.state, self.inner.visit_borrowed_str(value))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<V::Value, E> {
        Self::leave(self.state, self.inner.visit_string(value))
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        Self::leave(self.state, self.inner.visit_some(Reader { inner, state: self.state }))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        Self::leave(self.state, self.inner.visit_newtype_struct(Reader { inner, state: self.state }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let list = List { inner, path: self.state.path(), state: self.state, index: 0 };
        Self::leave(self.state, self.inner.visit_seq(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let object = Object::new(inner, self.state);
        Self::leave(self.state, self.inner.visit_map(object))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Within<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        Self::leave(self.state, self.inner.deserialize(Reader { inner, state: self.state }))
    }
}

/// A list, which adds its index to the errors of its values.
struct List<'a, A> {
    inner: A,
    state: &'a State<'a>,
    path: String,
    index: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for List<'_, A> {
    type Error = InputError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, InputError> {
        let state = self.state;
        loop {
            let index = self.index;
            self.index += 1;
            let path = joined(&self.path, &format!("[{index}]"));
            if !state.knows(&path) {
                let read = state.at(path, || self.inner.next_element_seed(Within { inner: seed, state }));
                return take(state, read).map_err(|error| error.at(index));
            }
            if take(state, self.inner.next_element::<IgnoredAny>())?.is_none() {
                return Ok(None);
            }
        }
    }
}

/// An object, which adds its fields to the errors of their values.
struct Object<'a, A> {
    inner: A,
    state: &'a State<'a>,
    path: String,
    /// The field that is being read.
    field: String,
    /// The fields that need a stand-in.
    absent: BTreeSet<String>,
    /// True if a stand-in is being read.
    stands_in: bool,
}

impl<'a, A> Object<'a, A> {
    fn new(inner: A, state: &'a State<'a>) -> Self {
        let path = state.path();
        let fields = state.known.iter().filter(|known| known.needed).filter_map(|known| {
            let field = known.path.strip_prefix(path.as_str())?;
            let field = if path.is_empty() { field } else { field.strip_prefix('.')? };
            (!field.is_empty() && !field.contains(['.', '['])).then(|| field.to_owned())
        });
        let absent = fields.collect();
        Self { inner, state, path, field: String::new(), absent, stands_in: false }
    }

    /// Returns the path of the field that is being read.
    fn field_path(&self) -> String {
        joined(&self.path, &self.field.escape_debug().to_string())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Object<'_, A> {
    type Error = InputError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, InputError> {
        loop {
            match take(self.state, self.inner.next_key())? {
                Some(field) => self.field = field,
                None => match self.absent.pop_first() {
                    Some(field) => {
                        self.field = field;
                        self.stands_in = true;
                        break;
                    }
                    None => return Ok(None),
                },
            }
            if self.state.known.is_empty() || !self.state.knows(&self.field_path()) {
                break;
            }
            take(self.state, self.inner.next_value::<IgnoredAny>())?;
        }
        let name: StrDeserializer<'_, InputError> = self.field.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, InputError> {
        let state = self.state;
        let read = if self.stands_in {
            seed.deserialize(StandIn(state.text))
        } else {
            let path = if state.known.is_empty() { String::new() } else { self.field_path() };
            take(state, state.at(path, || self.inner.next_value_seed(Within { inner: seed, state })))
        };
        read.map_err(|error| error.within(&self.field))
    }
}

/// A value that stands in for a wrong or missing one, so that the rest can be read. It is what most types take.
struct StandIn<'a>(&'a str);

impl<'de> Deserializer<'de> for StandIn<'_> {
    type Error = InputError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_str(self.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_bool(false)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_u64(1)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_f64(1.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_none()
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<()>()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_map(MapDeserializer::new(std::iter::empty::<((), ())>()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, InputError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, InputError> {
        let name: StrDeserializer<'_, InputError> = names.first().copied().unwrap_or_default().into_deserializer();
        visitor.visit_enum(name)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// Passes a text on as the name of a variant.
struct NameVisitor<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for NameVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<V::Value, E> {
        let name: StrDeserializer<'_, E> = name.into_deserializer();
        self.0.visit_enum(name)
    }
}

/// A value without parts.
enum Scalar<'de> {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Borrowed(&'de str),
    Text(String),
    /// The value is a list or an object.
    None,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false or null")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Borrowed(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(value))
    }
}

/// JSON of any kind that was read to its end and is kept nowhere: a `Value` of a large body would take many times
/// the memory.
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
