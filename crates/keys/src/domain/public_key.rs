//! Public keys of other services: those of a JSON Web Key Set (RFC 7517), and GitHub's P-256 keys, which sign its reports
//! of leaked secrets.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;

use crate::domain::jwt::Algorithm;

/// The number of bytes of each of the two numbers of a P-256 signature.
const NUMBER_BYTES: usize = 32;
/// The bytes of a P-256 key's `SubjectPublicKeyInfo` before its two coordinates (RFC 5480): the algorithm, the curve, and
/// that the point is not compressed.
const P256_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The id of the key.
    pub id: String,
    /// The key itself.
    pub material: Material,
}

/// A key and its algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rsa {
        /// The modulus, in base64url.
        n: String,
        /// The exponent, in base64url.
        e: String,
    },
    /// ECDSA on the curve P-256 with SHA-256. Signatures are the two numbers, 32 bytes each (IEEE P1363).
    P256 {
        /// The key as `SubjectPublicKeyInfo`, in DER.
        spki: Vec<u8>,
    },
    /// Ed25519 (RFC 8032).
    Ed25519 {
        /// The 32 bytes of the key.
        raw: Vec<u8>,
    },
}

impl Material {
    /// The algorithm of the key's signatures in tokens.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
            Self::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }
}

/// Reads the signing keys of a JSON Web Key Set and skips others; `None` if the text is not a set.
pub fn read_key_set(text: &[u8]) -> Option<Vec<PublicKey>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(text).ok()?;
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
    Some(keys.filter_map(Jwk::read).collect())
}

/// A key of a JSON Web Key Set (RFC 7518, 6; RFC 8037, 2). A text that another kind has may be anything.
#[derive(Deserialize)]
struct Jwk {
    kid: String,
    kty: String,
    r#use: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn read(self) -> Option<PublicKey> {
        let bytes = |text: Option<String>| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text?).ok()?;
            (bytes.len() == NUMBER_BYTES).then_some(bytes)
        };
        self.r#use.is_none_or(|purpose| purpose == "sig").then_some(())?;
        let material = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: self.n?, e: self.e? },
            ("EC", Some("P-256")) => {
                Material::P256 { spki: [P256_PREFIX.to_vec(), bytes(self.x)?, bytes(self.y)?].concat() }
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519 { raw: bytes(self.x)? },
            _ => return None,
        };
        Some(PublicKey { id: self.kid, material })
    }
}

/// Reads the keys of GitHub's secret scanning; `None` if the text is not a list of them.
pub fn read_scanner_keys(text: &[u8]) -> Option<Vec<PublicKey>> {
    #[derive(Deserialize)]
    struct List {
        public_keys: Vec<ScannerKey>,
    }
    #[derive(Deserialize)]
    struct ScannerKey {
        key_identifier: String,
        key: String,
    }
    let list: List = serde_json::from_slice(text).ok()?;
    let key = |ScannerKey { key_identifier, key }: ScannerKey| {
        let body: String = key.lines().filter(|line| !line.starts_with("-----")).collect();
        let spki = BASE64_STANDARD.decode(body).ok()?;
        Some(PublicKey { id: key_identifier, material: Material::P256 { spki } })
    };
    Some(list.public_keys.into_iter().filter_map(key).collect())
}

/// Converts a P-256 signature from DER (RFC 3279, 2.2.3), in base64, to its two numbers of 32 bytes each.
pub fn read_der_signature(text: &str) -> Option<Vec<u8>> {
    let der = BASE64_STANDARD.decode(text).ok()?;
    // The numbers of P-256 are short, so every length is a single byte.
    let [0x30, length, numbers @ ..] = der.as_slice() else { return None };
    if usize::from(*length) != numbers.len() {
        return None;
    }
    let (r, rest) = der_number(numbers)?;
    let (s, rest) = der_number(rest)?;
    rest.is_empty().then(|| [r, s].concat())
}

/// Reads a number in DER, and returns it with the bytes behind it.
fn der_number(bytes: &[u8]) -> Option<([u8; NUMBER_BYTES], &[u8])> {
    let [0x02, length, rest @ ..] = bytes else { return None };
    let (number, rest) = rest.split_at_checked(usize::from(*length))?;
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let significant = number.get(first..)?;
    let mut padded = [0; NUMBER_BYTES];
    padded.get_mut(NUMBER_BYTES.checked_sub(significant.len())?..)?.copy_from_slice(significant);
    Some((padded, rest))
}

#[cfg(test)]
mod tests {
    use super::{BASE64_STANDARD, Engine, Material, read_der_signature, read_key_set, read_scanner_keys};

    #[test]
    fn key_set_has_the_signing_keys_of_three_kinds() {
        let set = br#"{"keys":[{"kid":"short","kty":"EC","crv":"P-256","x":"","y":""},{"kid":"rsa","kty":"RSA","n":"AQ","e":"AQAB"},
            {"kid":"ec","kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"},
            {"kid":"ed","kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI","use":"sig"},
            {"kid":"x25519","kty":"OKP","crv":"X25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI"},
            {"kid":"p384","kty":"EC","crv":"P-384","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"},
            {"kid":"enc","kty":"RSA","n":"AQ","e":"AQAB","use":"enc"},{"kty":"RSA","n":"AQ","e":"AQAB"},
            {"kid":"shared","kty":"oct","k":"AQ"}],"public_cert":{}}"#;
        let keys = read_key_set(set).unwrap();
        assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["rsa", "ec", "ed"]);
        let Material::P256 { spki } = &keys[1].material else { panic!("{keys:?}") };
        assert_eq!((spki.len(), spki[..2].to_vec(), spki[90]), (91, vec![0x30, 0x59], 1));
        assert!(read_key_set(b"[]").is_none() && read_key_set(b"").is_none());
    }

    #[test]
    fn scanner_keys_are_read_from_pem() {
        let list = br#"{"public_keys":[{"key_identifier":"one","key":"-----BEGIN PUBLIC KEY-----\nAQID\nBAU=\n-----END PUBLIC KEY-----\n","is_current":true},{"key_identifier":"bad","key":"*"}]}"#;
        let keys = read_scanner_keys(list).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].material, Material::P256 { spki: vec![1, 2, 3, 4, 5] });
        assert!(read_scanner_keys(b"{}").is_none());
    }

    #[test]
    fn der_signature_becomes_two_numbers_of_32_bytes() {
        let read = |der: &[u8]| read_der_signature(&BASE64_STANDARD.encode(der));
        let signature = read(&[0x30, 0x07, 0x02, 0x02, 0x00, 0xff, 0x02, 0x01, 0x05]).unwrap();
        assert_eq!((signature.len(), signature[31], signature[63]), (64, 0xff, 5));
        assert!(signature.iter().enumerate().all(|(at, byte)| [31, 63].contains(&at) || *byte == 0));
        let long = [&[0x30, 0x26, 0x02, 0x21, 0x00][..], &[7; 32], &[0x02, 0x01, 0x01]].concat();
        assert_eq!(read(&long).unwrap()[..32], [7; 32]);
        for wrong in [
            &[][..],
            &[0x30],
            &[0x31, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x05],
            &[0x30, 0x07, 0x02, 0x01, 0x01, 0x02, 0x01, 0x05],
            &[0x30, 0x06, 0x02, 0x09, 0x01, 0x02, 0x01, 0x05],
            &[0x30, 0x07, 0x02, 0x01, 0x01, 0x02, 0x01, 0x05, 0x00],
            &[0x30, 0x03, 0x02, 0x01, 0x01],
            &[&[0x30, 0x26, 0x02, 0x21][..], &[7; 33], &[0x02, 0x01, 0x01]].concat(),
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert_eq!(read_der_signature("not base64!"), None);
    }
}
