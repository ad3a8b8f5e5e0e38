//! The text of a key: its form can never change, because keys of that form are in use.

use std::collections::BTreeMap;

use bitting_keys::domain::key_text::{Digest, Hasher, KeyKind, KeyText, Pepper, Word};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_assume, proptest};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    generated: Vec<Generated>,
    texts: Vec<Parsed>,
    malformed: Vec<Malformed>,
}

#[derive(Deserialize)]
struct Generated {
    brand: String,
    label: Option<String>,
    kind: KeyKind,
    random: String,
    text: String,
}

#[derive(Deserialize)]
struct Parsed {
    text: String,
    kind: KeyKind,
    checksum: String,
    stem: String,
    start: String,
    last4: String,
    sha256: String,
    hmac: Vec<Peppered>,
}

#[derive(Deserialize)]
struct Peppered {
    pepper: String,
    digest: String,
}

#[derive(Deserialize)]
struct Malformed {
    text: String,
    why: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/key_text.json")).unwrap()
}

/// A source that gives these bytes in order, and an error when they are used up.
fn source(bytes: &[u8]) -> impl FnMut(&mut [u8]) -> Result<(), &'static str> {
    let mut rest = bytes.iter();
    move |buffer| {
        for byte in buffer {
            *byte = *rest.next().ok_or("used up")?;
        }
        Ok(())
    }
}

fn bit() -> Word {
    Word::parse("bit").unwrap()
}

#[test]
fn generate_makes_the_committed_texts() {
    for vector in vectors().generated {
        let random = hex::decode(&vector.random).unwrap();
        let brand = Word::parse(&vector.brand).unwrap();
        let label = vector.label.map(|label| Word::parse(&label).unwrap());
        let key = KeyText::generate(&brand, label.as_ref(), vector.kind, source(&random)).unwrap();
        assert_eq!(key.expose(), vector.text);
    }
}

#[test]
fn parse_reads_the_committed_texts() {
    for vector in vectors().texts {
        let key = KeyText::parse(&vector.text).unwrap();
        let preview = key.preview();
        assert_eq!(key.kind(), vector.kind, "{}", vector.text);
        assert!(key.expose().ends_with(&vector.checksum));
        assert_eq!(preview.stem, vector.stem);
        assert_eq!(preview.start, vector.start);
        assert_eq!(preview.last4, vector.last4);
    }
}

#[test]
fn digests_are_the_committed_ones() {
    for vector in vectors().texts {
        let key = KeyText::parse(&vector.text).unwrap();
        let (digest, version) = Hasher::default().current(&key);
        assert_eq!((digest.to_hex(), version), (vector.sha256.clone(), 0));
        let pepper = |version: i64, peppered: &Peppered| Pepper { version, secret: peppered.pepper.clone() };
        let hasher = Hasher { peppers: vec![pepper(7, &vector.hmac[0]), pepper(6, &vector.hmac[1])] };
        let (digest, version) = hasher.current(&key);
        assert_eq!((digest.to_hex(), version), (vector.hmac[0].digest.clone(), 7));
        let candidates: Vec<String> = hasher.candidates(&key).into_iter().map(Digest::to_hex).collect();
        let expected = [&vector.hmac[0].digest, &vector.hmac[1].digest, &vector.sha256];
        assert!(candidates.iter().eq(expected), "{candidates:?}");
    }
}

#[test]
fn parse_refuses_the_committed_malformed_texts() {
    for vector in vectors().malformed {
        assert!(KeyText::parse(&vector.text).is_err(), "{}: {:?}", vector.why, vector.text);
    }
}

#[test]
fn debug_shows_nothing_of_the_text() {
    let text = &vectors().texts[0].text;
    let key = KeyText::parse(text).unwrap();
    assert_eq!(format!("{key:?} {key:#?}"), "KeyText(hidden) KeyText(hidden)");
}

#[test]
fn generate_drops_every_byte_that_would_bias_the_alphabet() {
    // A secret made from one byte, again and again, shows what this byte maps to.
    let mut mapped: BTreeMap<char, u32> = BTreeMap::new();
    for byte in 0..=255_u8 {
        let mut random = vec![byte; 64];
        random.extend([61; 64]);
        let key = KeyText::generate(&bit(), None, KeyKind::Pat, source(&random)).unwrap();
        let secret = &key.expose()[8..51];
        let first = secret.chars().next().unwrap();
        assert!(secret.chars().all(|character| character == first), "{byte}: {secret}");
        if byte < 248 {
            *mapped.entry(first).or_default() += 1;
        } else {
            // Only what came after these bytes was used; they themselves would stand for '0' to '7'.
            assert_eq!(first, 'z', "{byte}");
        }
    }
    assert_eq!(mapped.len(), 62);
    assert!(mapped.values().all(|bytes| *bytes == 4), "{mapped:?}");
    assert!(mapped.keys().all(char::is_ascii_alphanumeric));
}

#[test]
fn generate_passes_on_the_failure_of_its_source() {
    let failed = KeyText::generate(&bit(), None, KeyKind::Pat, source(&[255; 64]));
    assert_eq!(failed.unwrap_err(), "used up");
}

fn words() -> impl Strategy<Value = Word> {
    "[a-z][a-z0-9]{0,15}".prop_map(|word| Word::parse(&word).unwrap())
}

fn keys() -> impl Strategy<Value = KeyText> {
    let kinds = prop::sample::select(KeyKind::ALL.to_vec());
    let parts = (words(), prop::option::of(words()), kinds, prop::collection::vec(0..248_u8, 64));
    parts.prop_map(|(brand, label, kind, random)| {
        KeyText::generate(&brand, label.as_ref(), kind, source(&random)).unwrap()
    })
}

/// A character that a careless or a clever person might put in.
fn characters() -> impl Strategy<Value = char> {
    let ascii = prop::char::range('!', '~');
    let other = prop::sample::select(vec!['_', ' ', '\0', '\n', 'é', 'О', '\u{200b}', '🔑']);
    proptest::prop_oneof![3 => ascii, 1 => other, 1 => any::<char>()]
}

proptest! {
    #[test]
    fn parse_reads_back_what_generate_made(key in keys()) {
        let parsed = KeyText::parse(key.expose()).unwrap();
        prop_assert_eq!(parsed.kind(), key.kind());
        prop_assert_eq!(parsed.preview(), key.preview());
        prop_assert!(parsed == key);
    }

    #[test]
    fn parse_refuses_a_text_with_one_character_changed(
        (key, at) in keys().prop_flat_map(|key| { let length = key.expose().len(); (Just(key), 0..length) }),
        other in characters(),
    ) {
        let text = key.expose();
        prop_assume!(!text[at..].starts_with(other));
        let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        prop_assert!(KeyText::parse(&changed).is_err(), "{changed:?}");
    }

    #[test]
    fn parse_refuses_a_text_with_one_character_added(
        (key, at) in keys().prop_flat_map(|key| { let length = key.expose().len(); (Just(key), 0..=length) }),
        other in characters(),
    ) {
        let (before, after) = key.expose().split_at(at);
        let changed = format!("{before}{other}{after}");
        prop_assert!(KeyText::parse(&changed).is_err(), "{changed:?}");
    }

    #[test]
    fn parse_refuses_any_part_of_a_text(
        (key, from, to) in keys().prop_flat_map(|key| {
            let length = key.expose().len();
            (Just(key), 0..length, 0..=length)
        }),
    ) {
        prop_assume!(from < to && (from, to) != (0, key.expose().len()));
        prop_assert!(KeyText::parse(&key.expose()[from..to]).is_err());
    }

    #[test]
    fn parse_takes_any_string_without_panic(text in any::<String>(), shape in "[a-z_]{0,20}[0-9A-Za-z_]{40,60}") {
        prop_assert!(KeyText::parse(&text).is_err());
        prop_assert!(KeyText::parse(&shape).is_err());
    }
}
