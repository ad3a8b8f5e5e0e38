//! `/v1/authorize`: whether a key is good, told by the status alone. Proxies ask this for each request before they
//! forward it.

use std::borrow::Cow;

use bitting_http::{
    auth::{self, KEY_HEADER, Permission, admit, admit_for, identify, with_rotation_warning},
    call::Call,
    dispatch::{log_failure, note_ended},
    message::{Request, Response},
    operation::Operation,
    problem::{self, Problem},
    typed::{Input, Output},
};
use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::{client::Client, decision::Refusal, lookup::Freshness, scope::Scope},
};
use serde_json::json;

use crate::{key_verification::can_see, operator_route, permissions::VERIFY};

/// The header with the key of the proxy itself.
const PROXY_KEY: &str = "x-bitting-proxy-key";
/// The header with the true status of an answer that has another.
const STATUS: &str = "X-Bitting-Status";
/// The statuses that a proxy can list.
const STATUSES: [(&str, u16); 2] = [("401", 401), ("403", 403)];
/// The pairs of headers in which proxies tell what their caller asked for.
const ASKED: [(&str, &str); 2] = [("x-forwarded-method", "x-forwarded-uri"), ("x-original-method", "x-original-uri")];

/// The headers in which a proxy tells of its caller, if it says so by `client=x-bitting-client-ip`.
const CLIENT_IP: &str = "x-bitting-client-ip";
const CLIENT_COUNTRY: &str = "x-bitting-client-country";
/// The header in which it tells its caller's address by `client=x-forwarded-for`.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The query of the operator's proxy.
pub(crate) struct Question {
    /// The scopes that the key must hold; if there are none, the catalogue's routes tell the scope.
    scopes: Vec<Scope>,
    /// The statuses that the proxy understands; empty for all.
    statuses: Vec<u16>,
    /// The header in which the proxy tells its caller's address. No header is believed otherwise, because a proxy may
    /// pass on what its caller has sent.
    client: Option<&'static str>,
    /// The path and the query that the caller asked for.
    uri: Option<String>,
}

impl Input for Question {
    fn read(call: &Call<'_>) -> Result<Self, Problem> {
        let query = call.request.query.as_str();
        // The proxy appends the URI as it came, so whatever follows is its caller's and none of these parameters.
        let (own, uri) = match query.strip_prefix("uri=") {
            Some(uri) => ("", Some(uri)),
            None => query.split_once("&uri=").map_or((query, None), |(own, uri)| (own, Some(uri))),
        };
        let mut question = Self { scopes: Vec::new(), statuses: Vec::new(), client: None, uri: uri.map(str::to_owned) };
        for (name, value) in form_urlencoded::parse(own.as_bytes()) {
            match &*name {
                "scope" => {
                    let scope = Scope::try_from(value.into_owned());
                    let known = scope.and_then(|scope| call.app.config.catalogue.check(&scope).map(|()| scope));
                    question.scopes.push(known.map_err(|message| Error::invalid("scope", message))?);
                }
                "client" => {
                    let header = [CLIENT_IP, FORWARDED_FOR].into_iter().find(|known| *known == value);
                    let must = || Error::invalid("client", format!("must be `{CLIENT_IP}` or `{FORWARDED_FOR}`"));
                    question.client = Some(header.ok_or_else(must)?);
                }
                "statuses" => {
                    let statuses = value.split(',').map(|status| STATUSES.into_iter().find(|known| known.0 == status));
                    let read: Option<Vec<_>> = statuses.map(|known| known.map(|(_, status)| status)).collect();
                    let must = "must be `401`, `403`, or `401,403`";
                    question.statuses = read.ok_or_else(|| Error::invalid("statuses", must))?;
                }
                _ => return Err(Error::invalid(&name.escape_debug().to_string(), "is not a parameter here").into()),
            }
        }
        Ok(question)
    }

    fn describe(operation: &mut Operation<'_>) {
        let text = json!({ "type": "string" });
        let statuses = json!({ "type": "string", "enum": ["401", "403", "401,403"] });
        for (name, schema, description) in [
            (
                "scope",
                json!({ "type": "array", "items": text }),
                "The scopes that the key must hold, each as a parameter of its own. Without one, the routes of the \
                 catalogue tell the scope.",
            ),
            (
                "statuses",
                statuses,
                "The statuses that the proxy understands. A refusal with another status gets one of these, and the true \
                 one is in `X-Bitting-Status`.",
            ),
            (
                "client",
                json!({ "type": "string", "enum": [CLIENT_IP, FORWARDED_FOR] }),
                "The header in which the proxy tells its caller's address, for keys with conditions. The proxy must set \
                 it, and pass on nothing of its caller's.",
            ),
            (
                "uri",
                text.clone(),
                "The path and the query that the caller asked for, as they came. It must be the last parameter.",
            ),
        ] {
            let parameter = json!({ "name": name, "in": "query", "description": description, "schema": schema });
            operation.parameters.push(parameter);
        }
        for status in [400, 402, 403, 429] {
            operation.problem(status);
        }
    }
}

/// The answer to a proxy.
pub(crate) struct Decision(Response);

impl Output for Decision {
    fn response(self) -> Response {
        self.0
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.empty(200);
    }
}

/// The request that a proxy's caller sent.
struct Asked<'a> {
    method: &'a str,
    uri: &'a str,
}

/// Tells a proxy by the status whether the key of its caller is good: 200, with the headers `X-Bitting-Key-Id` and so on
/// that tell who it is, or a refusal. Answers any method, and reads no body.
pub(crate) async fn check(call: &Call<'_>, question: Question) -> Result<Decision, Problem> {
    let answer = decide(call, &question).await;
    match answer {
        Err(problem) if !question.statuses.is_empty() => {
            log_failure(call.row.method, call.row.path, &problem, call.request_id);
            Ok(Decision(folded(problem.response(problem::envelope, call.request_id), &question.statuses)))
        }
        answer => answer.map(Decision),
    }
}

/// Gives a refusal one of these statuses: its own if it is listed. 401 is about the key alone, so another refusal gets it
/// only if nothing else is listed.
fn folded(mut response: Response, statuses: &[u16]) -> Response {
    let status = response.status;
    let listed = statuses.iter().min_by_key(|listed| (**listed != status, **listed == 401));
    response.headers.push((STATUS.into(), status.to_string()));
    response.status = listed.copied().unwrap_or(status);
    response
}

async fn decide(call: &Call<'_>, question: &Question) -> Result<Response, Problem> {
    let app = call.app;
    let parameter = &app.config.catalogue.key_parameter;
    let is_of_use = question.scopes.is_empty() || parameter.is_some();
    let asked = if is_of_use { asked(call.request, question)? } else { None };
    let scopes = match &*question.scopes {
        [] => scopes_of_route(app, asked.as_ref())?,
        scopes => Cow::Borrowed(scopes),
    };
    let mut request = Cow::Borrowed(call.request);
    if let (Some(parameter), Some(Asked { uri, .. })) = (parameter, &asked) {
        let query = uri.split_once('?').map_or("", |(_, query)| query);
        let keys = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == parameter);
        let keys: Vec<_> = keys.map(|(_, key)| (KEY_HEADER.to_owned(), key.into_owned())).collect();
        if !keys.is_empty() {
            request.to_mut().headers.extend(keys);
        }
    }
    let proxy = match call.request.header(PROXY_KEY) {
        None => None,
        Some(key) => {
            let headers = vec![(KEY_HEADER.to_owned(), key.to_owned())];
            let own = Request { headers, ..call.request.clone() };
            let (ip, country) = (call.request.header("cf-connecting-ip"), call.request.header("cf-ipcountry"));
            let proxy = identify(app, &own, call.request_id, Freshness::Bounded).await?;
            let proxy = Principal { client: Client::told(ip, country), ..proxy };
            admit(app, &proxy, &VERIFY)?;
            app.note_use(&proxy.snapshot, None);
            // The address is that of the proxy, which must not pay for what its callers send.
            request.to_mut().headers.retain(|(name, _)| name != "cf-connecting-ip");
            Some(proxy)
        }
    };
    let principal = identify(app, &request, call.request_id, Freshness::Bounded).await?;
    let principal = Principal { client: client(call.request, question), ..principal };
    if proxy.is_some_and(|proxy| !can_see(&proxy.snapshot, &principal.snapshot)) {
        return Err(Refusal::Unknown.into());
    }
    let permission = Permission { paid: true, ..Permission::ANY_KEY };
    let admitted = admit_for(app, &principal, &permission, &scopes);
    if let Err(problem) = &admitted {
        note_ended(call, &principal, problem);
    }
    admitted?;
    // Address and user agent are those of the proxy.
    app.note_use(&principal.snapshot, None);
    let mut response = Response::empty(200);
    // Those without a value, too, so that they replace what a caller sends.
    response.headers.extend(auth::identity(&principal).map(|(name, value)| (name.into(), value)));
    Ok(with_rotation_warning(response, &principal))
}

/// Returns the proxy's caller, as far as the proxy tells of them. Never the proxy itself, from which the question comes.
fn client(request: &Request, question: &Question) -> Client {
    match question.client {
        None => Client::default(),
        Some(FORWARDED_FOR) => {
            let mut told = request.header(FORWARDED_FOR).unwrap_or_default().rsplit(',').map(str::trim);
            let last = told.next();
            // Cloudflare appends the address from which the question comes.
            Client::told(if last == request.header("cf-connecting-ip") { told.next() } else { last }, None)
        }
        Some(header) => Client::told(request.header(header), request.header(CLIENT_COUNTRY)),
    }
}

/// Returns the request that a proxy's caller sent, as far as the proxy tells it.
fn asked<'a>(request: &'a Request, question: &'a Question) -> Result<Option<Asked<'a>>, Problem> {
    if let Some(uri) = &question.uri {
        return Ok(Some(Asked { method: &request.method, uri }));
    }
    let mut told: Option<Asked<'a>> = None;
    for (method, uri) in ASKED {
        let (method, uri) = match (request.header(method), request.header(uri)) {
            (None, None) => continue,
            (Some(method), Some(uri)) => (method, uri),
            // The method of the question is not that of the request that is asked about.
            _ => return Err(Error::invalid(uri, format!("must come with `{method}`; the proxy sets both")).into()),
        };
        if told.is_some_and(|told| (told.method, told.uri) != (method, uri)) {
            let message = "is not what other headers say; the proxy must remove those that it does not set";
            return Err(Error::invalid("x-original-uri", message).into());
        }
        told = Some(Asked { method, uri });
    }
    Ok(told)
}

/// Returns the scope of the catalogue's route for a request; none if no route of the catalogue is for proxies.
fn scopes_of_route(app: &App, asked: Option<&Asked<'_>>) -> Result<Cow<'static, [Scope]>, Problem> {
    if app.config.catalogue.routes(false).next().is_none() {
        return Ok(Cow::Borrowed(&[]));
    }
    let Asked { method, uri } = asked.ok_or(Problem::UnlistedRoute)?;
    let path = uri.split_once('?').map_or(*uri, |(path, _)| path);
    // Neither a fragment nor other characters are part of a request. Servers that see them read them differently.
    if !path.is_ascii() || path.contains('#') {
        return Err(Problem::AmbiguousPath);
    }
    match operator_route::find(app, method, path, false) {
        Ok(route) => Ok(Cow::Owned(vec![route.scope.clone()])),
        Err(Problem::NoSuchPath | Problem::MethodNotAllowed(_)) => Err(Problem::UnlistedRoute),
        Err(problem) => Err(problem),
    }
}
