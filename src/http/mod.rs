//! HTTP: requests in, answers out. The only place that knows of statuses, headers and JSON shapes.
//!
//! # Its floors
//!
//! 1. The ground, which knows no route: [`message`], [`problem`], [`body`], `input`, `operation`,
//!    `call`, `typed`, `paging`, `auth`, `dispatch`, `route`, `router`, `json_rpc`.
//! 2. Handlers, and the shapes that they share. No handler knows another.
//! 3. [`routes`], the tables of all handlers; above them the [`document`], `tools` and `mcp`, which look at the
//!    tables; and here at the top the answer to a request.

pub(crate) mod audit;
pub(crate) mod auth;
pub mod body;
pub(crate) mod bootstrap;
pub(crate) mod braintrust;
pub(crate) mod call;
pub(crate) mod confident;
pub(crate) mod datasets;
pub(crate) mod dispatch;
pub mod document;
pub(crate) mod error_analysis;
pub(crate) mod evals_routes;
pub(crate) mod evaluations;
pub(crate) mod event_body;
pub(crate) mod forward;
pub(crate) mod input;
pub(crate) mod invitations;
pub(crate) mod json_rpc;
pub(crate) mod key_body;
pub(crate) mod keys;
pub(crate) mod live_evaluations;
pub(crate) mod mcp;
pub mod message;
pub(crate) mod openapi;
pub(crate) mod operation;
pub(crate) mod organization_path;
pub(crate) mod organizations;
pub(crate) mod paging;
pub(crate) mod people;
pub(crate) mod problem;
pub(crate) mod review;
pub(crate) mod route;
pub(crate) mod router;
pub(crate) mod routes;
pub(crate) mod runs;
pub(crate) mod shares;
pub mod tables;
pub(crate) mod teams;
pub(crate) mod tools;
pub(crate) mod traces;
pub(crate) mod trulayer;
pub(crate) mod typed;
pub(crate) mod verify;

use crate::app::App;

use self::{
    auth::bearer,
    dispatch::{Action, log_failure},
    message::{Request, Response},
    problem::Problem,
    route::Access,
    tables::{Found, Tables},
};

/// Answers a request for which a row was looked for. Whatever is in it, the answer is one of this service's own.
pub(crate) async fn answer(
    tables: &'static Tables,
    app: &App,
    request: &Request,
    found: Result<Found<'_>, Problem>,
    request_id: &str,
) -> Response {
    match found {
        Ok(found) => {
            let (table, row) = (found.table, found.route.name);
            route(tables, app, request, found, request_id).await.unwrap_or_else(|problem| {
                log_failure(row.method, row.path, &problem, request_id);
                problem.response(table.envelope, request_id)
            })
        }
        Err(problem) => problem.response(tables.envelope(&request.path), request_id),
    }
}

/// Answers a request for which there is no row: by a route of the operator's, if one fits.
pub(crate) async fn forward(tables: &Tables, app: &App, request: &Request, request_id: &str) -> Response {
    forward::forward(app, request, request_id).await.unwrap_or_else(|problem| {
        log_failure(&request.method, "", &problem, request_id);
        problem.response(tables.envelope(&request.path), request_id)
    })
}

async fn route(
    tables: &'static Tables,
    app: &App,
    request: &Request,
    found: Found<'_>,
    request_id: &str,
) -> Result<Response, Problem> {
    let route = found.route;
    let call = found.call(app, request, request_id);
    match &route.access {
        Access::Operator(_) if !bearer(request).is_some_and(|secret| app.is_operator(secret)) => {
            Err(Problem::NotOperator)
        }
        Access::Anybody(handler) | Access::Operator(handler) => {
            let request = &*body::read(request, route.reading).await?;
            handler(&call.with_request(request)).await
        }
        Access::Key(permission, handler) => {
            dispatch::answer(&call, Action { permission, reading: route.reading, handler }).await
        }
        Access::Tools => mcp::serve(tables, &call, route.reading).await,
    }
}
