//! Data sets, evaluations, judgments, runs and traces as pure values.

pub mod access;
pub mod csv;
pub mod dataset;
pub mod error_analysis;
pub mod evaluation;
pub mod generate;
pub mod id;
pub mod judge;
pub mod live_evaluation;
pub mod review;
pub mod run;
pub mod trace;
pub mod upload;
