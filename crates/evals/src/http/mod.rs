//! The routes of the evaluations.

pub(crate) mod datasets;
pub(crate) mod error_analysis;
pub(crate) mod evaluations;
pub(crate) mod live_evaluations;
pub(crate) mod review;
pub mod routes;
pub(crate) mod runs;
pub(crate) mod shares;
pub(crate) mod traces;
