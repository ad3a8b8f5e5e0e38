//! The surfaces: the native one, and those of other products whose client libraries work here unchanged.
//! Each is mounted on the paths that its libraries ask for, and also under a prefix of its own.

/// Whose manners a path has: how it answers errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    /// Bitting's own.
    Native,
    /// Braintrust's.
    Braintrust,
    /// Confident AI's.
    Confident,
    /// TruLayer's.
    Trulayer,
    /// The Model Context Protocol's.
    Mcp,
}

/// The prefixes.
const PREFIXES: [(&str, Surface); 3] =
    [("/braintrust", Surface::Braintrust), ("/confident", Surface::Confident), ("/trulayer", Surface::Trulayer)];

/// Where each surface stands without its prefix.
const MOUNTS: [(&str, Surface); 11] = [
    ("/v1/api_key", Surface::Braintrust),
    ("/v1/organization", Surface::Confident),
    ("/v1/projects", Surface::Confident),
    ("/v2/organization", Surface::Confident),
    ("/v2/projects", Surface::Confident),
    ("/v1/apikeys", Surface::Trulayer),
    ("/v1/ingest", Surface::Trulayer),
    ("/v1/feedback", Surface::Trulayer),
    ("/v1/eval", Surface::Trulayer),
    ("/v1/traces", Surface::Trulayer),
    ("/mcp", Surface::Mcp),
];

impl Surface {
    /// The surface of a path, and the path without the surface's prefix. Under a prefix there is that
    /// surface alone.
    pub(crate) fn of(path: &str) -> (Self, Option<&str>) {
        if let Some((surface, rest)) = find(&PREFIXES, path) {
            return (surface, Some(rest).filter(|rest| Self::mounted(rest) == surface));
        }
        (Self::mounted(path), Some(path))
    }

    fn mounted(path: &str) -> Self {
        find(&MOUNTS, path).map_or(Self::Native, |(surface, _)| surface)
    }
}

/// The entry at whose path, or below which, this path is; and what follows.
fn find<'a>(entries: &[(&str, Surface)], path: &'a str) -> Option<(Surface, &'a str)> {
    entries.iter().find_map(|(start, surface)| {
        let rest = path.strip_prefix(start)?;
        (rest.is_empty() || rest.starts_with('/')).then_some((*surface, rest))
    })
}
