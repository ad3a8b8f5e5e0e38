//! The API: the native routes, the surfaces of other vendors, the gateway, the tools of the Model Context Protocol,
//! and the document. No handler knows another; [`routes`] has the tables of all; the [`document`], `tools` and `mcp`
//! look at the tables of the whole service, which they are given.

mod audit;
mod bootstrap;
pub mod document;
mod gateway;
mod invitations;
#[cfg(feature = "mcp")]
mod json_rpc;
mod key_body;
mod keys;
#[cfg(feature = "mcp")]
pub mod mcp;
mod openapi;
mod organization_path;
mod organizations;
mod people;
mod permissions;
pub mod routes;
mod teams;
#[cfg(feature = "mcp")]
mod tools;
pub mod vendors;
mod verify;

use bitting_http::{
    auth::bearer,
    body,
    dispatch::{self, Action, log_failure},
    message::{Request, Response},
    problem::Problem,
    route::Access,
    tables::{Found, Tables},
};
use bitting_keys::app::App;

/// Answers a request for which a row was looked for. Whatever is in it, the answer is one of this service's own.
pub async fn answer(
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
pub async fn forward(tables: &Tables, app: &App, request: &Request, request_id: &str) -> Response {
    gateway::forward(app, request, request_id).await.unwrap_or_else(|problem| {
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
        #[cfg(feature = "mcp")]
        Access::Tools => mcp::serve(tables, &call, route.reading).await,
        #[cfg(not(feature = "mcp"))]
        Access::Tools => {
            let _ = tables;
            Err(Problem::NoSuchPath)
        }
    }
}
