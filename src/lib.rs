//! Bitting: an API-key service in one Cloudflare Worker.
//!
//! # The map
//!
//! | room | what is in it | may import |
//! |---|---|---|
//! | [`domain`] | what a key, a scope, a snapshot, a feed and a decision are; pure | nothing |
//! | [`ports`] | the eight things that the outside world gives | `domain` |
//! | [`storage`] | all SQL, and the form of what KV holds | `ports`, `domain` |
//! | [`app`] | the use cases, free of HTTP | `storage`, `ports`, `domain` |
//! | [`http`] | the tables of routes, authentication, the surfaces, the errors | `app`, `storage`'s types, `domain` |
//! | [`pages`] | the settings pages, rendered on the server: their table, sessions' cookies, forms | `http`'s first floor, `app`, `domain` |
//! | [`entry`] | the way of a request to the API, a page, or a route of the operator's | `http`, `pages`, `app`, `domain` |
//! | `platform` | workerd: D1, KV, clock, randomness, upstreams, log; converts, decides nothing | `ports`, `http`'s messages |
//! | `worker` | the events `fetch` and `scheduled`; wires the above together | all |
//!
//! # What always holds
//!
//! - A key's text is never stored, logged or sent again; only its digest is kept.
//! - A refusal of garbage needs no I/O.
//! - No snapshot is believed unless the change feed vouches for it; see [`domain::feed`].
//! - Every batch that acts for a key starts with the guard, which fails it whole if the key has changed.
//! - Every change of a key is one batch with its audit event, and the schema's triggers add its feed row.
//! - Verification writes nothing to the database.

pub mod app;
pub mod domain;
pub mod entry;
pub mod http;
pub mod pages;
#[cfg(target_arch = "wasm32")]
mod platform;
pub mod ports;
pub mod storage;
#[cfg(target_arch = "wasm32")]
mod worker;
