//! Everything that can be tested without workerd: the API over the real router, the production SQL
//! and schema over SQLite, the simulation of several isolates, and the house's own order.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test says what it expects by failing"
)]

mod support;

mod audit;
mod authorize;
mod bootstrap;
mod bounds;
mod braintrust;
mod conditions;
mod confident;
mod datasets;
mod device_links;
mod edges;
mod endings;
mod error_analysis;
mod errors;
mod evaluations;
mod feed;
mod forward;
mod generate;
mod guard;
mod idempotency;
mod input;
mod judges;
mod key_text;
mod keys;
mod kinds;
mod last_key;
mod leaks;
mod limits;
mod lineage;
mod live_evaluations;
mod mcp;
mod migrations;
mod model;
mod openapi;
mod operator_metadata;
mod organizations;
mod pages;
mod pages_access;
mod pages_forms;
mod pages_keys;
mod pages_organization;
mod people;
mod projects;
mod quotas;
mod restore;
mod restrictions;
mod results;
mod review;
mod room;
mod rotation;
mod round_trips;
mod simulation;
mod sweep;
mod tidy;
mod tokens;
mod trulayer;
mod trusts;
mod verify;
mod versions;
mod waits;
