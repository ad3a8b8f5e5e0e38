//! The ports on workerd: conversions of types, without decisions.

pub(crate) mod d1;
pub(crate) mod holder;
pub(crate) mod kv;
pub(crate) mod limiter;
pub(crate) mod log;
pub(crate) mod message;
pub(crate) mod signatures;
pub(crate) mod system;
pub(crate) mod upstream;
