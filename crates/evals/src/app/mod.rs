//! The use cases of the evaluations, free of HTTP.

pub mod datasets;
pub mod error_analysis;
pub mod evaluations;
pub mod judge;
pub mod live_evaluations;
pub mod model;
pub mod review;
pub mod runs;
pub mod settings;
pub mod shares;
pub mod sweep;
pub mod traces;
