//! Cloudflare's rate limiting.

use bitting_keys::ports::{Limiter, LocalFuture};
use worker::Env;

/// The binding `SIGN_IN_ATTEMPTS`. Each location of Cloudflare has a count of its own, which is not exact.
pub(crate) struct RateLimit(pub(crate) Env);

impl Limiter for RateLimit {
    fn admits(&self, address: String) -> LocalFuture<'_, bool> {
        Box::pin(async move {
            let counted = async { self.0.rate_limiter("SIGN_IN_ATTEMPTS")?.limit(address).await };
            match counted.await {
                Ok(outcome) => outcome.success,
                Err(error) => {
                    log::warn!("attempts to sign in are not counted: {error}");
                    true
                }
            }
        })
    }
}
