//! The evaluation platform: data sets, evaluations, judges, live evaluations, results, review, error analysis and
//! traces, with the same rooms as the keys: [`domain`], `storage`, [`app`], and [`http`], its routes.

pub mod app;
pub mod domain;
pub mod http;
mod storage;
