//! The key service: keys, their verification, and access to them.
//!
//! | room | contents | may import |
//! |---|---|---|
//! | [`domain`] | keys, scopes, snapshots, the feed, the decision, people, organizations; pure | nothing |
//! | [`ports`] | the services that the platform provides | `domain` |
//! | [`storage`] | all SQL of these, and the format of the entries in KV | `ports`, `domain` |
//! | [`app`] | the use cases, free of HTTP | `storage`, `ports`, `domain` |

pub mod app;
pub mod domain;
pub mod ports;
pub mod storage;
