//! The kernel of HTTP: requests and responses as values, problems, typed input, tables of routes, authentication
//! and dispatch. It has no routes of its own.

pub mod auth;
pub mod body;
pub mod call;
pub mod check_body;
pub mod cors;
pub mod deleted;
pub mod dispatch;
pub mod event_body;
pub mod input;
pub mod message;
pub mod operation;
pub mod paging;
pub mod problem;
pub mod route;
pub mod router;
pub mod tables;
pub mod transport;
pub mod typed;
