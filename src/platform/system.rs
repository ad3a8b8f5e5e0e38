//! The clock, randomness, and work after the response.

use std::time::Duration;

use bitting_keys::{
    domain::time::UnixMillis,
    ports::{Background, Clock, Entropy, LocalFuture},
};
use worker::{Context, Delay};

/// `Date.now()` and `setTimeout`.
pub(crate) struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit for 285,000 years")]
    fn now(&self) -> UnixMillis {
        UnixMillis(js_sys::Date::now() as i64)
    }

    fn sleep(&self, ms: u32) -> LocalFuture<'_, ()> {
        Box::pin(Delay::from(Duration::from_millis(ms.into())))
    }
}

/// `crypto.getRandomValues`.
pub(crate) struct WebCrypto;

impl Entropy for WebCrypto {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        getrandom::fill(bytes).map_err(|error| error.to_string())
    }
}

/// `ctx.waitUntil`.
pub(crate) struct WaitUntil(pub(crate) Context);

impl Background for WaitUntil {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        self.0.wait_until(work);
    }
}
