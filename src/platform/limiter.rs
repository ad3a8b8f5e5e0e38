//! Cloudflare's rate limiting.

use std::rc::Rc;

use bitting_keys::ports::{Limit, Limiter, LocalFuture};
use worker::Env;

/// The bindings for rate limits. Each location of Cloudflare has counts of its own, which are not exact.
pub(crate) struct RateLimits(pub(crate) Rc<Env>);

impl Limiter for RateLimits {
    fn admits(&self, limit: Limit, of: String) -> LocalFuture<'_, bool> {
        let binding = match limit {
            Limit::SignIns => "SIGN_IN_ATTEMPTS",
            Limit::UnknownCredentials => "UNKNOWN_CREDENTIALS",
            Limit::LeakReports => "LEAK_REPORTS",
            Limit::Writes => "WRITES",
            Limit::Questions => "QUESTIONS",
        };
        Box::pin(async move {
            let counted = async { self.0.rate_limiter(binding)?.limit(of).await };
            match counted.await {
                Ok(outcome) => outcome.success,
                Err(error) => {
                    log::warn!("{binding} are not counted: {error}");
                    true
                }
            }
        })
    }
}
