//! The text of a key: its format, its checksum and its hash.
//!
//! `<brand>_<kind>_<secret><checksum>` or `<brand>_<label>_<kind>_<secret><checksum>`. The secret is 43 base62
//! characters (256 bits), the checksum is the CRC-32 (IEEE) of everything before it as 6 base62 characters. Texts
//! are read from the end by position, never by splitting on `_`.
//!
//! **Never change this format.** Every key ever issued has it, and secret scanners know it;
//! `tests/vectors/key_text.json` holds the cases that must stay valid.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::json_schema;

/// Base62 in ASCII order, so that texts sort like the numbers that they stand for.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The length of the secret, in characters.
pub const SECRET_LENGTH: usize = 43;
/// The length of the checksum, in characters.
pub const CHECKSUM_LENGTH: usize = 6;
/// The maximum length of a brand or a label, in characters.
const WORD_LENGTH: usize = 16;

/// The kind of a key. Its name is part of the key's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// A personal key: acts as its user.
    Pat,
    /// An organization's key: administers the organization, independent of any person.
    Org,
    /// A project's key: sees one project.
    Proj,
    /// A bound key: acts for one live evaluation and has no user.
    Sk,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Pat, Self::Org, Self::Proj, Self::Sk];

    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pat => "pat",
            Self::Org => "org",
            Self::Proj => "proj",
            Self::Sk => "sk",
        }
    }

    /// Reads the name of a kind.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A key's whole text: the secret itself. It has no `Display` and no `Serialize`, and its `Debug` shows nothing, so
/// it cannot reach a log or an answer except through [`KeyText::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    text: String,
    stem_length: usize,
    kind: KeyKind,
}

/// The error for a text that is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedKey;

impl KeyText {
    /// Creates the text of a new key. `fill` provides random bytes.
    ///
    /// # Errors
    /// The error of `fill`, unchanged.
    pub fn generate<E>(
        brand: &Word,
        label: Option<&Word>,
        kind: KeyKind,
        fill: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut stem = brand.0.clone();
        for part in label.map(Word::as_str).into_iter().chain([kind.as_str()]) {
            stem.push('_');
            stem.push_str(part);
        }
        stem.push('_');
        Self::renew(stem, kind, fill)
    }

    /// Creates a new text for a key that keeps its stem: everything before the secret.
    ///
    /// # Errors
    /// The error of `fill`, unchanged.
    pub fn renew<E>(stem: String, kind: KeyKind, fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let stem_length = stem.len();
        Ok(Self { text: with_secret(stem, fill)?, stem_length, kind })
    }

    /// Reads a key's text. This needs no I/O, so a guess is cheap to refuse.
    ///
    /// # Errors
    /// [`MalformedKey`] if the format or the checksum is wrong.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        let stem = stem_of(text).ok_or(MalformedKey)?;
        let stem_length = stem.len();
        let stem = stem.strip_suffix('_').ok_or(MalformedKey)?;
        let (words, kind) = stem.rsplit_once('_').ok_or(MalformedKey)?;
        let kind = KeyKind::parse(kind).ok_or(MalformedKey)?;
        let (brand, label) = match words.split_once('_') {
            Some((brand, label)) => (brand, Some(label)),
            None => (words, None),
        };
        if Word::parse(brand).is_none() || label.is_some_and(|label| Word::parse(label).is_none()) {
            return Err(MalformedKey);
        }
        Ok(Self { text: text.to_owned(), stem_length, kind })
    }

    /// The secret in plain. Only two callers are allowed: the one answer that hands out a new key, and the
    /// derivation of another secret from it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The kind in the text.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The parts that stay visible to people.
    pub fn preview(&self) -> Preview {
        let cut = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default().to_owned();
        Preview {
            stem: cut(0, self.stem_length),
            start: cut(0, 12),
            last4: cut(self.text.len().saturating_sub(4), self.text.len()),
        }
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(hidden)")
    }
}

/// The visible parts of a key's text, by which people tell keys apart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Preview {
    /// Everything before the secret, such as `bit_pat_`.
    pub stem: String,
    /// The first 12 characters.
    pub start: String,
    /// The last 4 characters.
    pub last4: String,
}

/// A brand or a label: a lower-case letter, then lower-case letters and digits, at most 16 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Word(String);

impl Word {
    /// Reads a brand or a label. A label may also be a kind's name: texts are read by position.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= WORD_LENGTH
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        fits.then(|| Self(text.to_owned()))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Word {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("must be a lower-case letter, then lower-case letters and digits, 16 at most")
    }
}

json_schema!(Word, "Word", { "type": "string", "pattern": "^[a-z][a-z0-9]{0,15}$" });

/// The stored hash of a key's text: its SHA-256, or its HMAC-SHA-256 under the operator's pepper. A fast hash is
/// right here: the secret has 256 random bits, so a slow hash would not make guessing harder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The SHA-256 of a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Reads the stored form.
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The bytes of this digest.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// This digest in lower-case hexadecimal, as it is stored.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

/// The operator's secret that is mixed into every digest (`KEY_PEPPER`).
#[derive(Clone)]
pub struct Pepper {
    /// The version, 1 or more, which is stored beside each digest. 0 stands for no pepper.
    pub version: i64,
    /// The secret.
    pub secret: String,
}

/// The current hash function, and those before a pepper was set or changed.
#[derive(Clone, Default)]
pub struct Hasher {
    /// The peppers, newest first.
    pub peppers: Vec<Pepper>,
}

impl Hasher {
    /// The digest under which a new key is stored, with the version of its pepper.
    pub fn current(&self, key: &KeyText) -> (Digest, i64) {
        match self.peppers.first() {
            Some(pepper) => (peppered(pepper, key), pepper.version),
            None => (plain(key), 0),
        }
    }

    /// Every digest under which this key may be stored, newest first.
    pub fn candidates(&self, key: &KeyText) -> Vec<Digest> {
        let peppered = self.peppers.iter().map(|pepper| peppered(pepper, key));
        peppered.chain([plain(key)]).collect()
    }
}

/// The digest without a pepper.
fn plain(key: &KeyText) -> Digest {
    Digest::of(&key.text)
}

/// The digest under a pepper.
fn peppered(pepper: &Pepper, key: &KeyText) -> Digest {
    hmac_sha256(&pepper.secret, &key.text).map_or_else(|| plain(key), Digest)
}

/// HMAC-SHA-256 of a text under a secret. It is never `None`: HMAC takes a key of any length (RFC 2104).
pub fn hmac_sha256(secret: &str, text: &str) -> Option<[u8; 32]> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    Some(mac.chain_update(text).finalize().into_bytes().into())
}

/// Appends a new secret and the checksum to the stem. `fill` provides random bytes. A byte of 248 or more is
/// dropped: 248 is the largest multiple of 62 in a byte, and the rest would make some characters likelier.
///
/// # Errors
/// The error of `fill`, unchanged.
pub fn with_secret<E>(stem: String, mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<String, E> {
    let length = stem.len() + SECRET_LENGTH;
    let mut text = stem;
    while text.len() < length {
        let mut bytes = [0; 64];
        fill(&mut bytes)?;
        let missing = length - text.len();
        text.extend(bytes.iter().filter(|byte| **byte < 248).take(missing).map(|byte| base62(u32::from(*byte))));
    }
    text.push_str(&checksum(&text));
    Ok(text)
}

/// The part of a text before the secret; `None` if the format of the rest or the checksum is wrong.
pub fn stem_of(text: &str) -> Option<&str> {
    let (body, sum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_LENGTH)?)?;
    let (stem, secret) = body.split_at_checked(body.len().checked_sub(SECRET_LENGTH)?)?;
    let fits = secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) && checksum(body) == sum;
    fits.then_some(stem)
}

/// The CRC-32 of a text, as base62.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut sum = [0; CHECKSUM_LENGTH];
    for digit in sum.iter_mut().rev() {
        *digit = rest % 62;
        rest /= 62;
    }
    sum.into_iter().map(base62).collect()
}

/// The base62 digit of a number modulo 62.
fn base62(number: u32) -> char {
    ALPHABET.get((number % 62) as usize).map_or('0', |byte| char::from(*byte))
}
