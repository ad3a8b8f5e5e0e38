//! Keys, scopes, snapshots, the feed and the decision.
//!
//! This module is pure: it does no I/O, awaits nothing, and reads neither a clock nor randomness. Time and
//! randomness come in as arguments. It imports nothing else of the crate.

pub mod audit;
pub mod audit_seal;
pub mod cache_seal;
pub mod catalogue;
pub mod client;
pub mod conditions;
pub mod creator;
pub mod decision;
pub mod derived_token;
pub mod device_link;
pub mod expected;
pub mod feed;
pub mod grant;
pub mod id;
pub mod idempotency;
pub mod json;
pub mod json_input;
pub mod jwt;
pub mod key;
pub mod key_list;
pub mod key_text;
pub mod key_use;
pub mod lineage;
pub mod lock_out;
pub mod lookup;
pub mod organization;
pub mod origin;
pub mod page;
pub mod person;
pub mod project;
pub mod public_key;
pub mod quota;
pub mod region;
pub mod schema;
pub mod scope;
pub mod session;
pub mod snapshot;
pub mod standing;
pub mod time;
pub mod token;
pub mod trust;
