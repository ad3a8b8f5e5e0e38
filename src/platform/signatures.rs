//! Signatures with `crypto.subtle`.

use bitting_keys::{
    domain::{
        derived_token::SigningKey,
        public_key::{Material, PublicKey},
    },
    ports::{LocalFuture, Signatures},
};
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;

/// `crypto.subtle`.
pub(crate) struct Subtle;

impl Signatures for Subtle {
    fn verify<'a>(
        &'a self,
        key: &'a PublicKey,
        signed: &'a [u8],
        signature: &'a [u8],
    ) -> LocalFuture<'a, Result<bool, String>> {
        Box::pin(async move { verify(key, signed, signature).await.map_err(|error| format!("{error:?}")) })
    }

    fn public_key<'a>(&'a self, key: &'a SigningKey) -> LocalFuture<'a, Result<String, String>> {
        Box::pin(async move { public_key(key).await.map_err(|error| format!("{error:?}")) })
    }

    fn sign<'a>(&'a self, key: &'a SigningKey, message: &'a [u8]) -> LocalFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async move { sign(key, message).await.map_err(|error| format!("{error:?}")) })
    }
}

/// The bytes of PKCS #8 before the 32 of an Ed25519 key (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Imports a signing key, which can be exported only where that is asked for.
async fn import(key: &SigningKey, extractable: bool) -> Result<JsValue, JsValue> {
    let pkcs8 = [&PKCS8_PREFIX[..], key.expose()].concat();
    let material = Uint8Array::from(pkcs8.as_slice());
    let algorithm = object(&[("name", "Ed25519".into())])?;
    let uses = Array::of1(&"sign".into());
    subtle("importKey", &Array::of5(&"pkcs8".into(), &material, &algorithm, &extractable.into(), &uses)).await
}

async fn public_key(key: &SigningKey) -> Result<String, JsValue> {
    let key = import(key, true).await?;
    let jwk = subtle("exportKey", &Array::of2(&"jwk".into(), &key)).await?;
    Reflect::get(&jwk, &"x".into())?.as_string().ok_or_else(|| "the exported key has no `x`".into())
}

async fn sign(key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, JsValue> {
    let (key, algorithm) = (import(key, false).await?, object(&[("name", "Ed25519".into())])?);
    let signature = subtle("sign", &Array::of3(&algorithm, &key, &Uint8Array::from(message))).await?;
    Ok(Uint8Array::new(&signature).to_vec())
}

async fn verify(key: &PublicKey, signed: &[u8], signature: &[u8]) -> Result<bool, JsValue> {
    let (format, material, import, algorithm): (_, JsValue, _, _) = match &key.material {
        Material::Rsa { n, e } => {
            let jwk = object(&[("kty", "RSA".into()), ("n", n.into()), ("e", e.into())])?;
            let algorithm = object(&[("name", "RSASSA-PKCS1-v1_5".into()), ("hash", "SHA-256".into())])?;
            ("jwk", jwk, algorithm.clone(), algorithm)
        }
        Material::P256 { spki } => {
            let import = object(&[("name", "ECDSA".into()), ("namedCurve", "P-256".into())])?;
            let algorithm = object(&[("name", "ECDSA".into()), ("hash", "SHA-256".into())])?;
            ("spki", Uint8Array::from(spki.as_slice()).into(), import, algorithm)
        }
        Material::Ed25519 { raw } => {
            let algorithm = object(&[("name", "Ed25519".into())])?;
            ("raw", Uint8Array::from(raw.as_slice()).into(), algorithm.clone(), algorithm)
        }
    };
    let uses = Array::of1(&"verify".into());
    let arguments = Array::of5(&format.into(), &material, &import, &JsValue::FALSE, &uses);
    let key = subtle("importKey", &arguments).await?;
    let (signature, signed) = (Uint8Array::from(signature), Uint8Array::from(signed));
    let good = subtle("verify", &Array::of4(&algorithm, &key, &signature, &signed)).await?;
    Ok(good.is_truthy())
}

async fn subtle(method: &str, arguments: &Array) -> Result<JsValue, JsValue> {
    let crypto = Reflect::get(&js_sys::global(), &"crypto".into())?;
    let subtle = Reflect::get(&crypto, &"subtle".into())?;
    let method: Function = Reflect::get(&subtle, &method.into())?.dyn_into()?;
    let promise: Promise = Reflect::apply(&method, &subtle, arguments)?.dyn_into()?;
    JsFuture::from(promise).await
}

fn object(entries: &[(&str, JsValue)]) -> Result<JsValue, JsValue> {
    let object = Object::new();
    for (name, value) in entries {
        Reflect::set(&object, &(*name).into(), value)?;
    }
    Ok(object.into())
}
