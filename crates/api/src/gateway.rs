//! The operator's routes. A request with a valid key is forwarded to the server behind the route, and the response
//! comes back. Neither body is read here.

use std::borrow::Cow;

use bitting_http::{
    auth::{KEY_HEADERS, Permission, admit, identify, with_rotation_warning},
    message::{Body, Content, Request, Response},
    problem::Problem,
};
use bitting_keys::{
    app::{App, Principal, verify::Freshness},
    domain::{catalogue::Route, key_text, scope::Scopes},
    ports::{Incoming, Outgoing, UpstreamError},
};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The headers of a single connection.
const HOP_BY_HOP: [&str; 6] = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
/// The other request headers that are not forwarded: the key, the cookies of this origin, headers that are written
/// anew, and headers that make some servers see another request than the one that was allowed.
const WITHHELD: [&str; 10] = [
    "authorization",
    "content-length",
    "cookie",
    "host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-request-id",
    "x-rewrite-url",
];
/// The prefixes of headers that only the platform or this service may set.
const WITHHELD_PREFIXES: [&str; 2] = ["cf-", "x-bitting-"];

/// The characters that a URL encodes (WHATWG URL, 1.3). The platform would encode them on the way to the upstream. They
/// are encoded here, so that the signed path is the one that arrives.
const IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'\'').add(b'<').add(b'>');
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'\'').add(b'?').add(b'^').add(b'`').add(b'{').add(b'}');

/// Answers a request with one of the operator's routes.
pub(crate) async fn forward(app: &App, request: &Request, request_id: &str) -> Result<Response, Problem> {
    let route = find(app, request)?;
    let principal = identify(app, request, request_id, Freshness::Bounded).await?;
    admit(app, &principal, &Permission::to_forward(&route.scope))?;
    app.note_use(&principal.snapshot);
    let mut path = utf8_percent_encode(&request.path, IN_PATH).to_string();
    if !request.query.is_empty() {
        path.push('?');
        path.extend(utf8_percent_encode(&request.query, IN_QUERY));
    }
    let outgoing = Outgoing {
        method: request.method.clone(),
        target: route.target.clone(),
        headers: headers(app, request, &path, &principal),
        path,
        body: match &request.body {
            // The body of GET and HEAD has no meaning (RFC 9110, 9.3.1), and the platform would not send it.
            Body::Unread(stream) if !["GET", "HEAD"].contains(&request.method.as_str()) => Some(stream.clone()),
            _ => None,
        },
        timeout_seconds: route.timeout_seconds,
    };
    match app.upstream.send(outgoing).await {
        Ok(answer) if (200..=599).contains(&answer.status) => Ok(with_rotation_warning(response(answer), &principal)),
        // The platform throws for a response with such a status.
        Ok(answer) => {
            log::error!("{} {} was answered with {} (request {request_id})", request.method, route.path, answer.status);
            Err(Problem::UpstreamFailed)
        }
        Err(error) => {
            log::error!("{} {} was not answered: {error:?} (request {request_id})", request.method, route.path);
            Err(match error {
                UpstreamError::TimedOut => Problem::UpstreamTimedOut,
                UpstreamError::Failed(_) => Problem::UpstreamFailed,
            })
        }
    }
}

fn find<'a>(app: &'a App, request: &Request) -> Result<&'a Route, Problem> {
    let path = decoded(&request.path).ok_or(Problem::NoSuchPath)?;
    let routes = app.config.catalogue.routes_at(&path);
    if routes.is_empty() {
        return Err(Problem::NoSuchPath);
    }
    let method = if request.method == "HEAD" { "GET" } else { &request.method };
    let methods: Vec<&str> = routes.iter().flat_map(|route| &route.methods).map(String::as_str).collect();
    let route = routes.iter().find(|route| route.methods.iter().any(|taken| taken == method));
    route.copied().ok_or_else(|| Problem::MethodNotAllowed(methods.join(", ")))
}

/// Returns the path as the upstream reads it, so that the scope checked here is the scope of the path that the upstream
/// sees; `None` if servers read it differently.
fn decoded(path: &str) -> Option<Cow<'_, str>> {
    let text = percent_decode_str(path).decode_utf8().ok()?;
    let slashes = |text: &str| text.matches('/').count();
    let good = slashes(path) == slashes(&text)
        && !text.contains("//")
        // The platform converts it to a slash on the way to the upstream.
        && !text.contains('\\')
        // Some servers read `/..;/a` as `/../a`, and `/a;b` as `/a`.
        && !text.contains(';')
        && !text.contains(char::is_control)
        && text.split('/').all(|segment| segment != "." && segment != "..");
    good.then_some(text)
}

/// Returns the headers for the upstream: those of the request, and the identity of the caller.
fn headers(app: &App, request: &Request, path: &str, principal: &Principal) -> Vec<(String, String)> {
    let own = request.headers.iter().filter(|(name, _)| {
        // Some servers treat the two as the same.
        let name = name.replace('_', "-");
        !is_hop_by_hop(&name, &request.headers)
            && !WITHHELD.iter().chain(&KEY_HEADERS).any(|withheld| *withheld == name)
            && !WITHHELD_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    let mut headers: Vec<(String, String)> = own.cloned().collect();

    let caller = &principal.snapshot;
    let scopes = match &caller.scopes {
        Scopes::Full => "*".to_owned(),
        Scopes::List(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    };
    let identity = [
        ("X-Bitting-Key-Id", caller.key_id.to_string()),
        ("X-Bitting-Key-Kind", caller.kind.as_str().to_owned()),
        ("X-Bitting-Organization-Id", caller.organization_id.to_string()),
        ("X-Bitting-User-Id", caller.user_id.map(|id| id.to_string()).unwrap_or_default()),
        ("X-Bitting-Project-Id", caller.project_id.map(|id| id.to_string()).unwrap_or_default()),
        ("X-Bitting-Scopes", scopes),
        ("X-Request-Id", principal.request_id.clone()),
    ];
    if let Some(secret) = &app.config.forward_secret {
        let timestamp = (app.clock.now().0 / 1000).to_string();
        let mut signed = vec![timestamp.as_str(), &request.method, path];
        signed.extend(identity.iter().map(|(_, value)| value.as_str()));
        let signature = key_text::hmac_sha256(secret, &signed.join("\n")).map(hex::encode).unwrap_or_default();
        headers.push(("X-Bitting-Signature".to_owned(), signature));
        headers.push(("X-Bitting-Timestamp".to_owned(), timestamp));
    }
    // Without a user or a project the header is left out.
    let optional = ["X-Bitting-User-Id", "X-Bitting-Project-Id"];
    let sent = identity.into_iter().filter(|(name, value)| !(value.is_empty() && optional.contains(name)));
    headers.extend(sent.map(|(name, value)| (name.to_owned(), value)));
    headers
}

/// True if a header belongs to a single connection and is not forwarded in either direction (RFC 9110, 7.6.1).
fn is_hop_by_hop(name: &str, headers: &[(String, String)]) -> bool {
    let connection = headers.iter().find(|(name, _)| name == "connection").map_or("", |(_, value)| value);
    HOP_BY_HOP.contains(&name)
        || name.starts_with("proxy-")
        || connection.split(',').any(|named| named.trim().eq_ignore_ascii_case(name))
}

/// Converts the response of an upstream.
fn response(answer: Incoming) -> Response {
    // A cookie would be set for all of this origin, whose cookies are not forwarded to any upstream.
    let kept = |name: &str| !is_hop_by_hop(name, &answer.headers) && !["set-cookie", "x-request-id"].contains(&name);
    let kept = answer.headers.iter().filter(|(name, _)| kept(name)).cloned();
    let mut headers: Vec<(Cow<'static, str>, String)> = kept.map(|(name, value)| (name.into(), value)).collect();
    if !headers.iter().any(|(name, _)| name == "cache-control") {
        headers.push(("Cache-Control".into(), "no-store".to_owned()));
    }
    let body = answer.body.map_or(Content::Bytes(Vec::new()), Content::Unread);
    Response { status: answer.status, headers, body }
}
