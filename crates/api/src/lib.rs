//! The API: the native routes, the surfaces of other vendors, the gateway, the answers to proxies, the tools of the
//! Model Context Protocol, and the document. Handlers are independent of each other. [`routes`] has the table of the
//! native routes. The [`document`], `tools` and `mcp` get the tables of the whole service.

mod audit;
mod authorize;
mod bootstrap;
mod descendants_body;
mod device_links;
pub mod document;
mod errors_page;
mod exchange;
mod feed;
mod gateway;
mod invitations;
#[cfg(feature = "mcp")]
mod json_rpc;
mod key_body;
mod key_verification;
mod keys;
mod leaks;
#[cfg(feature = "mcp")]
pub mod mcp;
mod members;
mod openapi;
mod operator_route;
mod organization_path;
mod organizations;
mod permissions;
pub mod routes;
mod security_txt;
mod teams;
mod tokens;
#[cfg(feature = "mcp")]
mod tools;
mod trusts;
pub mod vendors;

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

/// Answers a request with the route that was found for it, or with the problem.
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

/// Answers a request without a route of this service: by one of the operator's routes, if one matches.
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
        Access::Check(handler) => handler(&call).await,
        Access::Public(handler) | Access::Operator(handler) => {
            body::check_encoding(request)?;
            let request = &*body::read(request, route.reading).await?;
            handler(&call.with_request(request)).await
        }
        Access::Key(permission, handler) => {
            let (reading, bulk, subject) = (route.reading, route.bulk, route.subject);
            dispatch::answer(&call, Action { permission, reading, bulk, subject, handler }).await
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
