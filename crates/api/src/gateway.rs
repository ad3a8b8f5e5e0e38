//! The operator's routes. A request with a valid key is forwarded to the server behind the route, and the response
//! comes back. The body is read only where its digest is to be signed; that of the response never is.

use std::{borrow::Cow, rc::Rc};

use base64::prelude::{BASE64_STANDARD, Engine};
use bitting_http::{
    auth::{KEY_HEADERS, Permission, admit, identify, identity, with_rotation_warning},
    body::{self, Reading},
    dispatch::used_from,
    message::{Body, Content, Request, Response},
    problem::Problem,
};
use bitting_keys::{
    app::{App, Principal, error::Error},
    domain::{
        catalogue::{Route, Target},
        key_text,
        lookup::Freshness,
        origin,
    },
    ports::{ByteSource, Incoming, Outgoing, UpstreamError},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::operator_route;

/// The headers of a single connection.
const HOP_BY_HOP: [&str; 6] = ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
/// The other request headers that are not forwarded: the key, the cookies of this origin, headers that are written
/// anew, and one that some servers take for the address of their proxy.
const WITHHELD: [&str; 5] = ["authorization", "content-length", "cookie", "host", "proxy"];
/// The beginnings of request headers that are not forwarded, since only a proxy may say such things: where a request
/// came from, who sent it, and which method, host or path it was for.
const WITHHELD_PREFIXES: [&str; 74] = [
    // This service and its platform.
    "cf-",
    "x-bitting-",
    "x-request-id",
    // Where from, and for what.
    "client-ip",
    "fastly-client",
    "forwarded",
    "front-end-https",
    "true-client",
    "x-accel-",
    "x-arr-",
    "x-azure-",
    "x-client-ip",
    "x-cluster-client",
    "x-envoy-",
    "x-forwarded",
    "x-forwarder",
    "x-host",
    "x-http-destination",
    "x-http-host",
    "x-http-method",
    "x-matched-path",
    "x-method-override",
    "x-middleware-",
    "x-original",
    "x-originating",
    "x-proxy",
    "x-real-",
    "x-rewrite-",
    "x-scheme",
    "x-script-name",
    "x-sendfile",
    "x-url-scheme",
    "x-vercel-",
    // Who.
    "client-cert",
    "iv-",
    "mellon-",
    "oidc-",
    "remote-",
    "shib-",
    "sm-",
    "ssl-",
    "tailscale-",
    "x-amzn-mtls-",
    "x-amzn-oidc-",
    "x-anonymous-consumer",
    "x-appengine-",
    "x-auth-email",
    "x-auth-groups",
    "x-auth-request-",
    "x-auth-roles",
    "x-auth-user",
    "x-authenticated-",
    "x-authentik-",
    "x-client-cert",
    "x-client-dn",
    "x-client-verify",
    "x-consumer-",
    "x-credential-",
    "x-email",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "x-groups",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-oidc-",
    "x-pomerium-",
    "x-remote-",
    "x-roles",
    "x-saml-",
    "x-shib-",
    "x-ssl-",
    "x-user",
    "x-vouch-",
    "x-webauth-",
];
/// The headers of an answer that are not passed back, since they speak for the whole origin, where Bitting's pages are:
/// its cookies, its storage, its transport, its service workers, which pages read it, and where a page goes on.
const KEPT_FROM_CALLERS: [&str; 10] = [
    "accept-ch",
    "alt-svc",
    "clear-site-data",
    "nel",
    "origin-agent-cluster",
    "refresh",
    "service-worker-allowed",
    "set-cookie",
    "strict-transport-security",
    "x-request-id",
];
/// The beginnings of such headers.
const KEPT_FROM_CALLERS_PREFIXES: [&str; 3] = ["access-control-", "public-key-pins", "report"];

/// The characters that a URL encodes (WHATWG URL, 1.3). The platform would encode them on the way to the upstream. They
/// are encoded here, so that the signed path is the one that arrives.
const IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'\'').add(b'<').add(b'>');
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'\'').add(b'?').add(b'^').add(b'`').add(b'{').add(b'}');

/// Answers a request with one of the operator's routes.
pub(crate) async fn forward(app: &App, request: &Request, request_id: &str) -> Result<Response, Problem> {
    let route = operator_route::find(app, &request.method, &request.path, true)?;
    let target = route.target.as_ref().ok_or(Problem::NoSuchPath)?;
    let principal = identify(app, request, request_id, Freshness::Bounded).await?;
    let admitted = admit(app, &principal, &Permission::to_forward(&route.scope));
    if let Err(Problem::App(Error::Refused(refusal))) = &admitted
        && refusal.is_noted()
    {
        let details = json!({ "method": request.method, "route": route.path });
        app.note_refused_use(&principal, refusal, details);
    }
    admitted?;
    app.note_use(&principal.snapshot, used_from(request));
    let mut path = utf8_percent_encode(&request.path, IN_PATH).to_string();
    if !request.query.is_empty() {
        path.push('?');
        path.extend(utf8_percent_encode(&request.query, IN_QUERY));
    }
    let (body, digest) = body(request, route).await?;
    let outgoing = Outgoing {
        method: request.method.clone(),
        target: target.clone(),
        headers: headers(app, request, (route, target), &path, digest, &principal),
        path,
        body,
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

/// A body for the upstream.
type Upload = Option<Rc<dyn ByteSource>>;

/// Returns the body for the upstream, and its digest (RFC 9530) if the route wants it signed.
async fn body(request: &Request, route: &Route) -> Result<(Upload, Option<String>), Problem> {
    // The body of GET and HEAD has no meaning (RFC 9110, 9.3.1), and the platform would not send it.
    let has_body = !["GET", "HEAD"].contains(&request.method.as_str());
    let Some(most) = route.signed_body_bytes else {
        return Ok(match &request.body {
            Body::Unread(stream) if has_body => (Some(stream.clone()), None),
            _ => (None, None),
        });
    };
    let bytes =
        if has_body { body::bytes(&*body::read(request, Reading::UpTo(most)).await?)?.to_vec() } else { Vec::new() };
    let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(&bytes)));
    let upload: Upload = if bytes.is_empty() { None } else { Some(Rc::new(bytes)) };
    Ok((upload, Some(digest)))
}

/// Returns a header's name as servers read it that take every other character for a `-` or a `_`, as CGI does.
fn as_read(name: &str) -> String {
    name.chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' })
        .collect()
}

/// True if a name begins with one of these.
fn begins(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns the headers for the upstream: those of the request, what the platform says of it, and the identity of the
/// caller.
fn headers(
    app: &App,
    request: &Request,
    (route, target): (&Route, &Target),
    path: &str,
    digest: Option<String>,
    principal: &Principal,
) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in &request.headers {
        let read = as_read(name);
        let withheld = is_hop_by_hop(&read, &request.headers)
            || WITHHELD.iter().chain(&KEY_HEADERS).any(|withheld| as_read(withheld) == read)
            || begins(&read, &WITHHELD_PREFIXES)
            || (digest.is_some() && read == "content-digest");
        if !withheld {
            headers.push((name.clone(), value.clone()));
        }
    }
    if let Some(digest) = digest {
        headers.push(("Content-Digest".to_owned(), digest));
    }

    let caller: Vec<(&str, String)> = identity(principal)
        .into_iter()
        .chain([
            ("X-Forwarded-For", request.header("cf-connecting-ip").unwrap_or_default().to_owned()),
            ("X-Forwarded-Proto", request.origin.split(':').next().unwrap_or_default().to_owned()),
            ("X-Forwarded-Host", origin::host(&request.origin).to_owned()),
            ("X-Request-Id", principal.request_id.clone()),
        ])
        .collect();
    if let Some(key) = app.config.signing_key(route) {
        let timestamp = (app.clock.now().0 / 1000).to_string();
        let host = match target {
            Target::Upstream(origin) => origin::host(origin).to_owned(),
            // As URLs write it.
            Target::Service(name) => name.to_ascii_lowercase(),
        };
        let digests = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-digest"));
        // A repeated header arrives as one (RFC 9110, 5.3).
        let digest = digests.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ");
        let mut signed = vec![timestamp.as_str(), &request.method, &host, path, &digest];
        signed.extend(caller.iter().map(|(_, value)| value.as_str()));
        let signature = key_text::hmac_sha256(&key, &signed.join("\n")).map(hex::encode).unwrap_or_default();
        headers.push(("X-Bitting-Signature".to_owned(), signature));
        headers.push(("X-Bitting-Timestamp".to_owned(), timestamp));
    }
    // What there is not is left out.
    let sent = caller.into_iter().filter(|(_, value)| !value.is_empty());
    headers.extend(sent.map(|(name, value)| (name.to_owned(), value)));
    headers
}

/// True if a header belongs to a single connection and is not forwarded in either direction (RFC 9110, 7.6.1).
fn is_hop_by_hop(name: &str, headers: &[(String, String)]) -> bool {
    let mut connection =
        headers.iter().filter(|(name, _)| name == "connection").flat_map(|(_, value)| value.split(','));
    HOP_BY_HOP.contains(&name)
        || name.starts_with("proxy-")
        || connection.any(|named| named.trim().eq_ignore_ascii_case(name))
}

/// Converts the response of an upstream.
fn response(answer: Incoming) -> Response {
    let kept = |name: &str| {
        !is_hop_by_hop(name, &answer.headers)
            && !KEPT_FROM_CALLERS.contains(&name)
            && !begins(name, &KEPT_FROM_CALLERS_PREFIXES)
    };
    let kept = answer.headers.iter().filter(|(name, _)| kept(name)).cloned();
    let mut headers: Vec<(Cow<'static, str>, String)> = kept.map(|(name, value)| (name.into(), value)).collect();
    if !headers.iter().any(|(name, _)| name == "cache-control") {
        headers.push(("Cache-Control".into(), "no-store".to_owned()));
    }
    let body = answer.body.map_or(Content::Bytes(Vec::new()), Content::Unread);
    Response { status: answer.status, headers, body }
}
