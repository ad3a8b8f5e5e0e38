//! The verification of signatures with `crypto.subtle`.

use bitting_keys::{
    domain::public_key::{Material, PublicKey},
    ports::{LocalFuture, Verifier},
};
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;

/// `crypto.subtle`.
pub(crate) struct Subtle;

impl Verifier for Subtle {
    fn verify<'a>(
        &'a self,
        key: &'a PublicKey,
        signed: &'a [u8],
        signature: &'a [u8],
    ) -> LocalFuture<'a, Result<bool, String>> {
        Box::pin(async move { verify(key, signed, signature).await.map_err(|error| format!("{error:?}")) })
    }
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
