//! Everything that can be tested without workerd: the API over the real router, the production SQL
//! and schema over SQLite, the simulation of several isolates, and the house's own order.

mod support;

mod keys;
mod simulation;
