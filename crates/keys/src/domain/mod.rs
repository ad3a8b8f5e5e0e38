//! What a key, a scope, a snapshot, a feed and a decision are.
//!
//! Pure: nothing here does I/O, awaits, reads a clock or draws randomness;
//! time and randomness come in as arguments. Imports nothing else of the crate.

pub mod audit;
pub mod catalogue;
pub mod decision;
pub mod feed;
pub mod id;
pub mod idempotency;
pub mod json;
pub mod jwt;
pub mod key;
pub mod key_list;
pub mod key_text;
pub mod key_use;
pub mod organization;
pub mod person;
pub mod project;
pub mod schema;
pub mod scope;
pub mod session;
pub mod snapshot;
pub mod time;
pub mod token;
