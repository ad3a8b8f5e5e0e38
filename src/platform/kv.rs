//! KV as the [`Cache`] port.

use std::rc::Rc;

use bitting_keys::ports::{Cache, LocalFuture};
use worker::Env;

/// The binding `CACHE`, looked up for each use.
pub(crate) struct Kv(pub(crate) Rc<Env>);

impl Cache for Kv {
    fn get(&self, key: String) -> LocalFuture<'_, Result<Option<String>, String>> {
        Box::pin(async move {
            let store = self.0.kv("CACHE").map_err(|error| error.to_string())?;
            store.get(&key).text().await.map_err(|error| error.to_string())
        })
    }

    fn put(&self, key: String, value: String, ttl_seconds: u64) -> LocalFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let store = self.0.kv("CACHE").map_err(|error| error.to_string())?;
            let put = store.put(&key, value).map_err(|error| error.to_string())?;
            put.expiration_ttl(ttl_seconds).execute().await.map_err(|error| error.to_string())
        })
    }
}
