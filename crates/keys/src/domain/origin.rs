//! Origins: a scheme, a host, and perhaps a port.

/// The hosts that always stand for the machine itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// True if a text is a scheme, a host and an optional port.
pub fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(fits)
}

/// True if an origin is written as URLs write it (WHATWG URL, 4.4): in lower case, without its scheme's own port.
pub fn is_canonical(origin: &str) -> bool {
    let port = if origin.starts_with("https://") { ":443" } else { ":80" };
    !origin.bytes().any(|byte| byte.is_ascii_uppercase()) && !origin.ends_with(port) && !origin.ends_with(':')
}

/// Returns the host of an origin, with its port if it has one.
pub fn host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

/// True if an origin is on the same machine.
pub fn is_loopback(origin: &str) -> bool {
    let is_digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_digits);
    LOOPBACK.iter().any(|name| host(origin).strip_prefix(name).is_some_and(is_port))
}

/// True if nobody on the way to an origin can read what is sent: it is reached over TLS, or without leaving the
/// machine.
pub fn is_private(origin: &str) -> bool {
    origin.starts_with("https://") || is_loopback(origin)
}

#[cfg(test)]
mod tests {
    use super::{host, is_canonical, is_private};

    #[test]
    fn origin_is_private_over_tls_or_on_the_same_machine() {
        for (origin, private) in [
            ("https://a.example", true),
            ("http://localhost", true),
            ("http://localhost:3000", true),
            ("http://127.0.0.1:8787", true),
            ("http://[::1]:1", true),
            ("http://a.example", false),
            ("http://localhost.a.example", false),
            ("http://127.0.0.1.a.example:80", false),
            ("http://127.0.0.2", false),
            ("http://localhost:80@a.example", false),
            ("", false),
            ("null", false),
        ] {
            assert_eq!(is_private(origin), private, "{origin}");
        }
    }

    #[test]
    fn origin_is_canonical_in_lower_case_without_the_port_of_its_scheme() {
        for (origin, canonical) in [
            ("https://a.example", true),
            ("https://a.example:80", true),
            ("http://localhost:443", true),
            ("https://A.example", false),
            ("https://a.example:443", false),
            ("http://localhost:80", false),
            ("https://a.example:", false),
        ] {
            assert_eq!(is_canonical(origin), canonical, "{origin}");
        }
        assert_eq!((host("https://a.example:8443"), host("a")), ("a.example:8443", "a"));
    }
}
