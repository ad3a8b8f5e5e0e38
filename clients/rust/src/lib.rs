//! A verifier of Bitting's API keys that keeps results in the memory of this process, and refuses a revoked key within the
//! deployment's bound, 5 seconds by default, by following Bitting's change feed.
//!
//! It fails closed: if Bitting cannot be asked and what is in memory is too old, the verdict is `unavailable` with 503. The
//! HTTP client is yours, behind [`Transport`].

mod answer;
mod clock;
mod copies;
mod key_text;
#[cfg(test)]
mod tests;
mod verifier;

pub use answer::{Answer, News};
pub use copies::{Copies, Entry};
pub use verifier::{Client, Options, Question, Response, Transport, Verdict, Verifier, bearer};
