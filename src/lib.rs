//! Bitting: an API-key service in one Cloudflare Worker.
//!
//! # The map
//!
//! | room | what is in it | may import |
//! |---|---|---|
//! | [`bitting_keys`] | what a key is, how it is verified, who may touch what: domain, ports, storage, use cases | nothing |
//! | [`bitting_http`] | the kernel of HTTP: messages, problems, typed input, routes, authentication, dispatch | `keys` |
//! | [`bitting_api`] | the native routes, the vendors' surfaces, the gateway, MCP, the document | `keys`, `http` |
//! | [`bitting_pages`] | the settings pages, rendered on the server | `keys`, `http` |
//! | [`bitting_evals`] | the evaluation platform, all its layers | `keys`, `http` |
//! | [`entry`] | joins the tables of routes, and leads a request to the API, a page, or a route of the operator's | all of these |
//! | `platform` | workerd: D1, KV, clock, randomness, upstreams, log; converts, decides nothing | `keys`' ports, `http`'s messages |
//! | `worker` | the events `fetch` and `scheduled`; wires the platform to the rest | all |
//!
//! # What always holds
//!
//! - A key's text is never stored, logged or sent again; only its digest is kept.
//! - A refusal of garbage needs no I/O.
//! - No snapshot is believed unless the change feed vouches for it; see [`bitting_keys::domain::feed`].
//! - Every batch that acts for a key starts with the guard, which fails it whole if the key has changed.
//! - Every change of a key is one batch with its audit event, and the schema's triggers add its feed row.
//! - Verification writes nothing to the database.

pub mod entry;
#[cfg(target_arch = "wasm32")]
mod platform;
#[cfg(target_arch = "wasm32")]
mod worker;
