//! What a key is, how it is verified, and who may touch what.
//!
//! | room | what is in it | may import |
//! |---|---|---|
//! | [`domain`] | keys, scopes, snapshots, the feed, the decision, people, organizations; pure | nothing |
//! | [`ports`] | the things that the outside world gives | `domain` |
//! | [`storage`] | all SQL of these, and the form of what KV holds | `ports`, `domain` |
//! | [`app`] | the use cases, free of HTTP | `storage`, `ports`, `domain` |

pub mod app;
pub mod domain;
pub mod ports;
pub mod storage;
