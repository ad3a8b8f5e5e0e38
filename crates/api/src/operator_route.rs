//! The operator's route for a request, whether this service forwards it or a proxy does.

use bitting_http::problem::Problem;
use bitting_keys::{app::App, domain::catalogue::Route};
use percent_encoding::percent_decode_str;

/// Finds the route for a method and a path as it was sent.
///
/// # Errors
/// [`Problem::NoSuchPath`], [`Problem::AmbiguousPath`], or [`Problem::MethodNotAllowed`].
pub(crate) fn find<'a>(app: &'a App, method: &str, path: &str, forwarded: bool) -> Result<&'a Route, Problem> {
    // As the upstream reads it, so that the scope checked here is the scope of the path that the upstream sees.
    let text = percent_decode_str(path).decode_utf8().map_err(|_| Problem::NoSuchPath)?;
    let routes = app.config.catalogue.routes_at(&text, forwarded);
    if routes.is_empty() {
        return Err(Problem::NoSuchPath);
    }
    if !is_unambiguous(path, &text) {
        return Err(Problem::AmbiguousPath);
    }
    let method = if method == "HEAD" { "GET" } else { method };
    let methods: Vec<&str> = routes.iter().flat_map(|route| &route.methods).map(String::as_str).collect();
    let route = routes.iter().find(|route| route.methods.iter().any(|taken| taken == method));
    route.copied().ok_or_else(|| Problem::MethodNotAllowed(methods.join(", ")))
}

/// True if all servers read a path alike. `text` is the path without its encoding.
fn is_unambiguous(path: &str, text: &str) -> bool {
    let slashes = |text: &str| text.matches('/').count();
    // Servers that normalize Unicode (NFKC), or convert it to a code page, take these for `.`, `/` and `\`.
    let is_alike = |character: char| "．․‥﹒／∕⁄℀℁℅℆＼﹨∖".contains(character);
    let is_encoded = |(at, _): (usize, &str)| {
        let rest = text.get(at + 1..).unwrap_or_default();
        // `%u002e` is read by some, too.
        let digits = rest.strip_prefix(['u', 'U']).unwrap_or(rest).bytes().take(2);
        digits.clone().count() == 2 && digits.clone().all(|byte| byte.is_ascii_hexdigit())
    };
    slashes(path) == slashes(text)
        && !text.contains("//")
        // The platform converts it to a slash on the way to the upstream.
        && !text.contains('\\')
        // Some servers read `/..;/a` as `/../a`, and `/a;b` as `/a`.
        && !text.contains(';')
        && !text.contains(char::is_control)
        && !text.contains(is_alike)
        // Some servers decode twice.
        && !text.match_indices('%').any(is_encoded)
        && text.split('/').all(|segment| segment != "." && segment != "..")
}
