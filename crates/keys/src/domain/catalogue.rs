//! The catalogue: every resource and action that a scope can name, the bundles of scopes, the presets for keys, and
//! the operator's own routes. It is data: the file `catalogue.json`, or the operator's replacement for it.

use std::{fmt, marker::PhantomData};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};

use crate::domain::{
    json_input::{self, MAX_MISTAKES},
    origin::{is_canonical, is_origin, is_private},
    scope::{Scope, Scopes},
};

/// The action of every scope that only reads.
pub const READ: &str = "read";

/// The methods that an operator's route can take. HEAD is served by the route for GET.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The default and the maximum time for an upstream to answer, in seconds.
const DEFAULT_TIMEOUT_SECONDS: u32 = 30;
const MAX_TIMEOUT_SECONDS: u32 = 300;

/// The maximum of `signed_body_bytes`.
const MAX_SIGNED_BODY_BYTES: usize = 4 * 1024 * 1024;
/// The beginning of the names of secrets for single routes, so that no row hands another secret to a server.
const SECRET_PREFIX: &str = "FORWARD_SECRET_";

/// The maximum number of a key's scopes.
pub const MAX_SCOPES: usize = 100;

/// The catalogue, checked.
pub struct Catalogue {
    /// The surfaces that are served, without duplicates.
    pub surfaces: Vec<Surface>,
    resources: Vec<(String, Entries<String>)>,
    /// The bundles: named sets of scopes, resolved when the catalogue was read.
    pub bundles: Vec<(String, Scopes)>,
    /// The presets: the least scopes for a purpose.
    pub presets: Vec<Preset>,
    /// The operator's own routes, in the file's order.
    pub routes: Vec<Route>,
    /// The origins whose web pages may read answers.
    pub origins: Vec<String>,
    /// The parameter in the URIs of a proxy's callers that may hold their key; `None` if none does.
    pub key_parameter: Option<String>,
}

/// An optional part of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// The evaluation platform: data sets, evaluations, live evaluations, results, review, traces.
    Evaluations,
    /// The API for Braintrust's libraries.
    Braintrust,
    /// The API for Confident AI's libraries.
    Confident,
    /// The API for TruLayer's libraries.
    Trulayer,
    /// The settings pages.
    Pages,
    /// The Model Context Protocol.
    Mcp,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Self; 6] =
        [Self::Evaluations, Self::Braintrust, Self::Confident, Self::Trulayer, Self::Pages, Self::Mcp];

    /// The surface's name in the catalogue, which is also the name of its Cargo feature.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evaluations => "evaluations",
            Self::Braintrust => "braintrust",
            Self::Confident => "confident",
            Self::Trulayer => "trulayer",
            Self::Pages => "pages",
            Self::Mcp => "mcp",
        }
    }
}

/// A preset for a new key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The purpose of the key.
    pub title: String,
    /// The scopes that the purpose needs.
    pub scopes: Vec<Scope>,
    /// Advice for people who choose the preset.
    pub note: String,
}

/// An operator's route: requests that are forwarded to another server, by this service or by a proxy that asks it.
#[derive(Debug, Clone)]
pub struct Route {
    /// The methods, in capitals.
    pub methods: Vec<String>,
    /// The path. `:name` stands for one segment, and `*name` at the end for the rest.
    pub path: String,
    /// The scope that a key must hold.
    pub scope: Scope,
    /// The server that answers; `None` if a proxy forwards the requests and asks only whether it may.
    pub target: Option<Target>,
    /// The time in which the answer must begin, in seconds.
    pub timeout_seconds: u32,
    /// The variable with the secret that signs the route's requests; `None` for one derived from the target.
    pub secret: Option<String>,
    /// The most bytes of a body that is read and signed; `None` if bodies are streamed.
    pub signed_body_bytes: Option<usize>,
}

/// The server that answers an operator's route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A server, by its origin, such as `https://orders.internal.example`.
    Upstream(String),
    /// Another Worker, by the name of the service binding.
    Service(String),
}

/// The catalogue as it stands in its file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    surfaces: Vec<Surface>,
    resources: Entries<Entries<String>>,
    bundles: Entries<Option<Vec<String>>>,
    presets: Vec<Preset>,
    /// Additions that apply if [`Surface::Evaluations`] is served.
    evaluations: Option<Section>,
    routes: Vec<RouteEntry>,
    #[serde(default)]
    origins: Vec<String>,
    key_parameter: Option<String>,
}

/// The scopes of one surface, with their bundles and presets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    resources: Entries<Entries<String>>,
    bundles: Entries<Option<Vec<String>>>,
    presets: Vec<Preset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteEntry {
    methods: Vec<String>,
    path: String,
    scope: Scope,
    upstream: Option<String>,
    service: Option<String>,
    timeout_seconds: Option<u32>,
    secret: Option<String>,
    signed_body_bytes: Option<usize>,
}

/// A JSON object in its original order, without duplicate names.
struct Entries<T>(Vec<(String, T)>);

impl Catalogue {
    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// A message with the place and the fault.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = json_input::read(text.as_bytes()).map_err(|error| error.to_string())?;
        for (index, surface) in file.surfaces.iter().enumerate() {
            if file.surfaces.iter().take(index).any(|earlier| earlier == surface) {
                return Err(format!("surfaces[{index}]: `{}` appears twice", surface.as_str()));
            }
        }
        let evaluations = file.evaluations.filter(|_| file.surfaces.contains(&Surface::Evaluations));
        let own = Section { resources: file.resources, bundles: file.bundles, presets: file.presets };
        let mut catalogue = Self {
            surfaces: file.surfaces,
            resources: Vec::new(),
            bundles: Vec::new(),
            presets: Vec::new(),
            routes: Vec::new(),
            origins: Vec::new(),
            key_parameter: file.key_parameter,
        };
        if catalogue.key_parameter.as_deref().is_some_and(|name| !is_word(name)) {
            return Err("key_parameter: must consist of letters, digits and `_`".to_owned());
        }
        for (index, origin) in file.origins.into_iter().enumerate() {
            check_origin(&origin).map_err(|message| format!("origins[{index}]: {message}"))?;
            catalogue.origins.push(origin);
        }
        let mut named = Vec::new();
        for (place, section) in [("", Some(own)), ("evaluations.", evaluations)] {
            let Some(Section { resources, bundles, presets }) = section else { continue };
            for (name, actions) in resources.0 {
                let located = |message| format!("{place}resources.{name}{message}");
                catalogue.add_resource(&name, actions).map_err(located)?;
            }
            named.push((place, bundles.0, presets));
        }
        // A bundle may name every scope that only reads, so all scopes are known before the first bundle is read.
        for (place, bundles, presets) in named {
            for (name, entries) in bundles {
                let scopes = catalogue.bundle(&name, entries);
                let scopes = scopes.map_err(|message| format!("{place}bundles.{name}: {message}"))?;
                catalogue.bundles.push((name, scopes));
            }
            for (index, preset) in presets.into_iter().enumerate() {
                let located = |message| format!("{place}presets[{index}].scopes: {message}");
                preset.scopes.iter().try_for_each(|scope| catalogue.check(scope)).map_err(located)?;
                catalogue.presets.push(preset);
            }
        }
        for (index, entry) in file.routes.into_iter().enumerate() {
            catalogue.add_route(entry).map_err(|(field, message)| format!("routes[{index}].{field}: {message}"))?;
        }
        Ok(catalogue)
    }

    /// Every scope with its description, without wildcards.
    pub fn scopes(&self) -> impl Iterator<Item = (Scope, &str)> {
        let all = self.resources.iter().flat_map(|(resource, actions)| {
            actions.0.iter().map(move |(action, allows)| (format!("{resource}:{action}"), allows))
        });
        all.filter_map(|(scope, allows)| Some((Scope::try_from(scope).ok()?, allows.as_str())))
    }

    /// The wildcard of every resource.
    pub fn wildcards(&self) -> impl Iterator<Item = String> {
        self.resources.iter().map(|(resource, _)| format!("{resource}:*"))
    }

    /// Every scope that only reads.
    pub fn reading(&self) -> impl Iterator<Item = Scope> {
        self.with_action(READ)
    }

    /// True if the catalogue contains this scope.
    pub fn contains(&self, scope: &Scope) -> bool {
        let resource = self.resources.iter().find(|(resource, _)| resource == scope.resource());
        resource.is_some_and(|(_, actions)| {
            scope.action() == "*" || actions.0.iter().any(|(action, _)| action == scope.action())
        })
    }

    /// Resolves a list of scopes and names of bundles to scopes: each once, in the order of the catalogue, at most
    /// [`MAX_SCOPES`].
    ///
    /// # Errors
    /// The index of each wrong entry with a message; at most [`MAX_MISTAKES`] of them.
    pub fn expand(&self, entries: &[String]) -> Result<Scopes, Vec<(usize, String)>> {
        let mut list: Vec<Scope> = Vec::new();
        let mut wrong = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let found = match self.expand_entry(entry) {
                Ok(Scopes::List(scopes)) => Ok(scopes),
                Ok(Scopes::Full) if entries.len() == 1 => return Ok(Scopes::Full),
                Ok(Scopes::Full) => Err(format!("`{entry}` is full access, so it must be the only entry")),
                Err(message) => Err(message),
            };
            match found {
                Ok(scopes) => {
                    for scope in scopes {
                        if !list.contains(&scope) {
                            list.push(scope);
                        }
                    }
                }
                Err(message) => wrong.push((index, message)),
            }
            if let Err(message) = check_count(&list) {
                wrong.push((index, message));
                break;
            }
            if wrong.len() == MAX_MISTAKES {
                break;
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        list.sort_by_key(|scope| self.place(scope));
        Ok(Scopes::List(list))
    }

    /// Resolves a scope or the name of a bundle.
    fn expand_entry(&self, entry: &str) -> Result<Scopes, String> {
        if entry.contains(':') {
            let scope = Scope::try_from(entry.to_owned())?;
            self.check(&scope)?;
            return Ok(Scopes::List(vec![scope]));
        }
        let bundle = self.bundles.iter().find(|(name, _)| name == entry);
        bundle.map(|(_, scopes)| scopes.clone()).ok_or_else(|| {
            let names: Vec<&str> = self.bundles.iter().map(|(name, _)| name.as_str()).collect();
            let text = entry.escape_debug();
            let names = names.join(", ");
            format!("`{text}` is neither a scope (`resource:action`) nor a bundle; the bundles are {names}")
        })
    }

    /// The place of a scope in the catalogue: that of its resource, then that of its action, the wildcard first.
    fn place(&self, scope: &Scope) -> Option<(usize, Option<usize>)> {
        let resource = self.resources.iter().position(|(resource, _)| resource == scope.resource())?;
        let (_, actions) = self.resources.get(resource)?;
        Some((resource, actions.0.iter().position(|(action, _)| action == scope.action())))
    }

    /// The operator's routes that this service forwards, or those that a proxy forwards.
    pub fn routes(&self, forwarded: bool) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter(move |route| route.target.is_some() == forwarded)
    }

    /// The operator's routes at a path: those of the most specific template that matches it.
    pub fn routes_at(&self, path: &str, forwarded: bool) -> Vec<&Route> {
        let matching = self.routes(forwarded).filter(|route| matches(&route.path, path));
        let Some(found) = matching.min_by_key(|route| specificity(&route.path)) else { return Vec::new() };
        self.routes(forwarded).filter(|route| route.path == found.path).collect()
    }

    /// True if web pages of this origin may read answers.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|listed| listed == origin)
    }

    /// Checks that the catalogue contains this scope.
    ///
    /// # Errors
    /// A message that names the scope.
    pub fn check(&self, scope: &Scope) -> Result<(), String> {
        if self.contains(scope) { Ok(()) } else { Err(format!("there is no scope `{scope}`")) }
    }

    /// Every scope with this action.
    fn with_action<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = Scope> + 'a {
        self.scopes().map(|(scope, _)| scope).filter(move |scope| scope.action() == wanted)
    }

    /// Adds a resource. An error begins with the place within the resource, if there is one, and a colon.
    fn add_resource(&mut self, name: &str, actions: Entries<String>) -> Result<(), String> {
        if self.resources.iter().any(|(known, _)| known == name) {
            return Err(": appears twice".to_owned());
        }
        if actions.0.is_empty() || actions.0.iter().any(|(action, _)| action == "*") {
            return Err(": must list its actions by their names".to_owned());
        }
        for (action, _) in &actions.0 {
            Scope::try_from(format!("{name}:{action}")).map_err(|message| format!(".{action}: {message}"))?;
        }
        self.resources.push((name.to_owned(), actions));
        Ok(())
    }

    /// The scopes of a bundle. `*:read` stands for every scope with that action.
    fn bundle(&self, name: &str, entries: Option<Vec<String>>) -> Result<Scopes, String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err("a name may contain only lower-case letters, digits, `_` and `-`".to_owned());
        }
        if self.bundles.iter().any(|(known, _)| known == name) {
            return Err("appears twice".to_owned());
        }
        let Some(entries) = entries else { return Ok(Scopes::Full) };
        let mut list: Vec<Scope> = Vec::new();
        for entry in entries {
            let scopes = match entry.strip_prefix("*:") {
                Some(action) => self.with_action(action).collect(),
                None => vec![Scope::try_from(entry.clone())?],
            };
            if scopes.is_empty() {
                return Err(format!("no scope matches `{entry}`"));
            }
            for scope in scopes {
                self.check(&scope)?;
                if list.contains(&scope) {
                    return Err(format!("`{scope}` appears twice"));
                }
                list.push(scope);
            }
        }
        check_count(&list)?;
        Ok(Scopes::List(list))
    }

    /// Adds an operator's route. An error consists of the wrong field and a message.
    fn add_route(&mut self, entry: RouteEntry) -> Result<(), (&'static str, String)> {
        let RouteEntry { methods, path, scope, upstream, service, timeout_seconds, secret, signed_body_bytes } = entry;
        let forwarded = upstream.is_some() || service.is_some();
        let mut taken: Vec<&String> =
            self.routes(forwarded).filter(|route| route.path == path).flat_map(|route| &route.methods).collect();
        for method in &methods {
            if !METHODS.contains(&method.as_str()) {
                return Err(("methods", format!("`{method}` is not one of {}", METHODS.join(", "))));
            }
            if taken.contains(&method) {
                return Err(("methods", format!("{method} {path} appears twice")));
            }
            taken.push(method);
        }
        if methods.is_empty() {
            return Err(("methods", "must name at least one".to_owned()));
        }
        if !is_path(&path) {
            let message = "must be like `/orders/:id` or `/orders/*rest`, without a query";
            return Err(("path", message.to_owned()));
        }
        self.check(&scope).map_err(|message| ("scope", message))?;
        let target = match (upstream, service) {
            (Some(origin), None) => {
                check_origin(&origin).map_err(|message| ("upstream", message))?;
                Some(Target::Upstream(origin))
            }
            (None, Some(name)) if is_word(&name) => Some(Target::Service(name)),
            (None, Some(_)) => return Err(("service", "must be the name of a service binding".to_owned())),
            (Some(_), Some(_)) => return Err(("upstream", "give either `upstream` or `service`".to_owned())),
            (None, None) if timeout_seconds.is_some() || secret.is_some() || signed_body_bytes.is_some() => {
                let message =
                    "give `upstream` or `service`: without one, a proxy forwards, and only asks for the scope";
                return Err(("upstream", message.to_owned()));
            }
            (None, None) => None,
        };
        let timeout_seconds = timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        if !(1..=MAX_TIMEOUT_SECONDS).contains(&timeout_seconds) {
            return Err(("timeout_seconds", format!("must be from 1 to {MAX_TIMEOUT_SECONDS}")));
        }
        if secret.as_ref().is_some_and(|name| !(name.starts_with(SECRET_PREFIX) && is_word(name))) {
            return Err(("secret", format!("must be the name of a secret that begins with `{SECRET_PREFIX}`")));
        }
        if signed_body_bytes.is_some_and(|most| !(1..=MAX_SIGNED_BODY_BYTES).contains(&most)) {
            return Err(("signed_body_bytes", format!("must be from 1 to {MAX_SIGNED_BODY_BYTES}")));
        }
        let shape = specificity(&path);
        let same =
            |route: &&Route| route.path != path && specificity(&route.path) == shape && overlap(&route.path, &path);
        if let Some(other) = self.routes(forwarded).find(same) {
            return Err(("path", format!("{path} and {} match the same paths", other.path)));
        }
        self.routes.push(Route { methods, path, scope, target, timeout_seconds, secret, signed_body_bytes });
        Ok(())
    }
}

/// Checks an origin that secrets are sent to.
fn check_origin(origin: &str) -> Result<(), String> {
    if !is_origin(origin) || !is_canonical(origin) {
        let must = "must be an origin without a path, like `https://orders.internal.example`: in lower case, without";
        return Err(format!("{must} the port that its scheme has anyway"));
    }
    if !is_private(origin) {
        return Err("must begin with `https://`, since others could read what is sent over `http://`; only this \
                    machine (localhost, 127.0.0.1, [::1]) can do without"
            .to_owned());
    }
    Ok(())
}

/// True if a request can have this path, apart from `:name` and a last `*name`.
fn is_path(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else { return false };
    let plain = |segment: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,=@".contains(&byte);
        segment.bytes().all(fits) && ![".", ".."].contains(&segment)
    };
    let last = segments.split('/').count();
    segments.split('/').zip(1..).all(|(segment, number)| match segment.split_at_checked(1) {
        // An empty one is a slash at the end.
        None => number == last,
        Some((":", name)) => is_word(name),
        Some(("*", name)) => is_word(name) && number == last,
        Some(_) => plain(segment),
    })
}

/// The specificity of a path's template, segment by segment. Of two templates that match the same path, the lesser
/// value is the more specific: a text comes before a `:name`, and a `:name` before a `*name`.
fn specificity(template: &str) -> Vec<u8> {
    let rank = |segment: &str| match segment.bytes().next() {
        Some(b':') => 1,
        Some(b'*') => 2,
        _ => 0,
    };
    template.split('/').map(rank).collect()
}

/// True if two templates of the same specificity have the same texts at the same places.
fn overlap(first: &str, second: &str) -> bool {
    first.split('/').zip(second.split('/')).all(|(first, second)| first == second || first.starts_with([':', '*']))
}

/// True if a template matches a path. A `:name` stands for one segment, a `*name` for the rest; neither may be
/// empty.
fn matches(template: &str, path: &str) -> bool {
    let (mut templates, mut segments) = (template.split('/'), path.split('/'));
    loop {
        match (templates.next(), segments.next()) {
            (None, None) => return true,
            (Some(template), Some(segment)) if template.starts_with('*') => {
                return !segment.is_empty() || segments.next().is_some();
            }
            (Some(template), Some(segment)) if template.starts_with(':') && !segment.is_empty() => {}
            (Some(template), Some(segment)) if template == segment => {}
            _ => return false,
        }
    }
}

/// True if a text is the name of a parameter or of a service binding.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
        let mut entries: Vec<(String, T)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, T>()? {
            if entries.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("`{name}` appears twice")));
            }
            entries.push((name, value));
        }
        Ok(Entries(entries))
    }
}

/// Checks the number of a key's scopes.
fn check_count(list: &[Scope]) -> Result<(), String> {
    if list.len() <= MAX_SCOPES {
        return Ok(());
    }
    Err(format!(
        "makes more than {MAX_SCOPES} scopes, the most that a key can have; use wildcards such as `datasets:*`"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{Catalogue, MAX_MISTAKES, MAX_SCOPES, Scope, Scopes};

    const FILE: &str = include_str!("../../../../catalogue.json");

    /// Parses the repository's catalogue with one value replaced.
    fn with(pointer: &str, value: Value) -> Result<Catalogue, String> {
        let mut file: Value = serde_json::from_str(FILE).unwrap();
        let (place, name) = pointer.rsplit_once('/').unwrap();
        file.pointer_mut(place).unwrap()[name] = value;
        Catalogue::parse(&file.to_string())
    }

    fn with_routes(routes: Value) -> Result<Catalogue, String> {
        with("/routes", routes)
    }

    fn route() -> Value {
        json!({ "methods": ["GET"], "path": "/orders/:id", "scope": "datasets:read", "service": "ORDERS" })
    }

    #[test]
    fn file_in_the_repository_is_valid_and_contains_what_it_lists() {
        let catalogue = Catalogue::parse(FILE).unwrap();
        for (scope, allows) in catalogue.scopes() {
            assert!(catalogue.contains(&scope) && !allows.is_empty(), "{scope}");
        }
        for wildcard in catalogue.wildcards() {
            assert!(catalogue.contains(&Scope::try_from(wildcard).unwrap()));
        }
        assert!(!catalogue.contains(&Scope::named("datasets:execute")));
        assert!(!catalogue.contains(&Scope::named("nothing:*")));
        assert_eq!(catalogue.presets.len(), 6);
    }

    #[test]
    fn expand_gives_each_scope_once_in_the_order_of_the_catalogue() {
        let catalogue = Catalogue::parse(FILE).unwrap();
        let expand = |entries: &[&str]| {
            let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
            catalogue.expand(&entries)
        };
        assert_eq!(expand(&["full"]), Ok(Scopes::Full));
        assert_eq!(expand(&["query_only"]), Ok(Scopes::List(catalogue.reading().collect())));
        let Ok(Scopes::List(list)) = expand(&["datasets:read", "mcp", "mcp"]) else { panic!("no list") };
        assert_eq!(list.len(), 6);
        let Ok(Scopes::List(list)) = expand(&["review:read", "audit:*", "api-keys:write", "api-keys:*", "audit:*"])
        else {
            panic!("no list")
        };
        let list: Vec<&str> = list.iter().map(Scope::as_str).collect();
        assert_eq!(list, ["api-keys:*", "api-keys:write", "audit:*", "review:read"]);
        for (entries, index, says) in [
            (&["mcp", "full"][..], 1, "the only entry"),
            (&["full", "full"], 0, "the only entry"),
            (&["datasets:read", "reader"], 1, "the bundles are full, query_only, verifier, mcp"),
            (&["mcp", "datasets:fly"], 1, "there is no scope `datasets:fly`"),
            (&["Datasets:read"], 0, "is not a scope"),
            (&[""], 0, "neither"),
        ] {
            let wrong = expand(entries).unwrap_err();
            let [(at, message), ..] = wrong.as_slice() else { panic!("{entries:?}") };
            assert!(*at == index && message.contains(says), "{entries:?}: {wrong:?}");
        }
        let wrong = expand(&["datasets:fly", "mcp", "reader"]).unwrap_err();
        assert_eq!(wrong.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(expand(&["nobody"; 1000]).unwrap_err().len(), MAX_MISTAKES);
    }

    #[test]
    fn expand_refuses_more_scopes_than_a_key_can_have() {
        let actions = (0..=MAX_SCOPES).map(|action| (format!("a{action}"), json!("A"))).collect::<Map<_, _>>();
        let catalogue = with("/resources/many", Value::Object(actions)).unwrap();
        let entries: Vec<String> = (0..=MAX_SCOPES).map(|action| format!("many:a{action}")).collect();
        assert!(catalogue.expand(&entries[1..]).is_ok());
        let wrong = catalogue.expand(&entries).unwrap_err();
        let [(index, message)] = wrong.as_slice() else { panic!("{wrong:?}") };
        assert!(*index == MAX_SCOPES && message.contains("more than 100 scopes"), "{index}: {message}");
        let repeated: Vec<String> = (0..10_000).map(|_| "many:*".to_owned()).collect();
        assert_eq!(catalogue.expand(&repeated), Ok(Scopes::List(vec![Scope::named("many:*")])));
    }

    #[test]
    fn parse_says_what_is_wrong_and_where() {
        for (text, says) in [
            ("{", "it ends too early"),
            ("[]", "must be an object"),
            ("{]", "a mistake at line 1, column 2"),
            (r#"{"resources": {}, "bundles": {}, "presets": [], "routes": []}"#, "surfaces: is missing"),
            (r#"{"surfaces": [], "resources": {}, "bundles": {}, "presets": []}"#, "routes: is missing"),
            (
                r#"{"surfaces": [], "resources": {"a": {"x": "", "x": ""}}, "bundles": {}, "presets": [], "routes": []}"#,
                "`x` appears twice",
            ),
            (
                r#"{"surfaces": [], "resources": {"a": {"x": ""}, "a": {}}, "bundles": {}, "presets": [], "routes": []}"#,
                "`a` appears twice",
            ),
        ] {
            let message = Catalogue::parse(text).err().unwrap();
            assert!(message.contains(says), "{text}: {message}");
        }
        for (pointer, value, says) in [
            ("/surfaces", json!(["mcp", "mcp"]), "surfaces[1]: `mcp` appears twice"),
            ("/surfaces", json!(["shop"]), "surfaces[0]: must be one of `evaluations`, `braintrust`"),
            ("/evaluations/resources/audit", json!({ "read": "R" }), "evaluations.resources.audit: appears twice"),
            ("/evaluations/bundles/full", json!(null), "evaluations.bundles.full: appears twice"),
            ("/evaluations/resources/results", json!({}), "evaluations.resources.results: must list"),
            ("/evaluations/resources/results", json!({ "*": "all" }), "resources.results: must list"),
            (
                "/evaluations/resources/results",
                json!({ "Read": "R" }),
                "resources.results.Read: `results:Read` is not a scope",
            ),
            ("/bundles", json!({ "a:b": [] }), "bundles.a:b: a name may contain"),
            ("/bundles", json!({ "a": ["x:read"] }), "bundles.a: there is no scope `x:read`"),
            ("/bundles", json!({ "a": ["*:fly"] }), "bundles.a: no scope matches `*:fly`"),
            ("/bundles", json!({ "a": ["*:read", "datasets:read"] }), "bundles.a: `datasets:read` appears twice"),
            (
                "/evaluations/presets/1/scopes",
                json!(["x:read"]),
                "evaluations.presets[1].scopes: there is no scope `x:read`",
            ),
            ("/evaluations/presets/1/scopes", json!(["x"]), "`x` is not a scope"),
            ("/origins", json!(["https://a.example", "*"]), "origins[1]: must be an origin"),
            ("/origins", json!(["null"]), "origins[0]: must be an origin"),
            ("/origins", json!(["https://a.example/"]), "origins[0]: must be an origin"),
            ("/origins", json!(["http://a.example"]), "origins[0]: must begin with `https://`"),
        ] {
            let message = with(pointer, value).err().unwrap();
            assert!(message.contains(says), "{pointer}: {message}");
        }
    }

    #[test]
    fn parse_takes_and_refuses_routes() {
        for (field, value, good) in [
            ("methods", json!(["GET", "DELETE"]), true),
            ("methods", json!([]), false),
            ("methods", json!(["get"]), false),
            ("methods", json!(["HEAD"]), false),
            ("methods", json!(["GET", "GET"]), false),
            ("path", json!("/"), true),
            ("path", json!("/orders/"), true),
            ("path", json!("/orders/*rest"), true),
            ("path", json!("/v1/orders"), true),
            ("path", json!("orders"), false),
            ("path", json!("/orders//x"), false),
            ("path", json!("/orders?x=1"), false),
            ("path", json!("/orders/:"), false),
            ("path", json!("/orders/*rest/x"), false),
            ("path", json!("/orders/a:b"), false),
            ("path", json!("/orders/../x"), false),
            ("path", json!("/a b"), false),
            ("scope", json!("datasets:*"), true),
            ("scope", json!("orders:read"), false),
            ("scope", json!("full"), false),
            ("service", json!(""), false),
            ("service", json!("a b"), false),
            ("service", Value::Null, true),
            ("upstream", json!("https://a.example"), false),
            ("timeout_seconds", json!(1), true),
            ("timeout_seconds", json!(300), true),
            ("timeout_seconds", json!(0), false),
            ("timeout_seconds", json!(301), false),
            ("retries", json!(1), false),
            ("secret", json!("FORWARD_SECRET_ORDERS"), true),
            ("secret", json!("OPERATOR_SECRET"), false),
            ("secret", json!("FORWARD_SECRET"), false),
            ("secret", json!("FORWARD_SECRET_A B"), false),
            ("signed_body_bytes", json!(1), true),
            ("signed_body_bytes", json!(4_194_304), true),
            ("signed_body_bytes", json!(0), false),
            ("signed_body_bytes", json!(4_194_305), false),
        ] {
            let mut route = route();
            route[field] = value.clone();
            let parsed = with_routes(json!([route]));
            assert_eq!(parsed.is_ok(), good, "{field} {value}: {:?}", parsed.err());
        }
        for (origin, good) in [
            ("https://a.example", true),
            ("http://127.0.0.1:8080", true),
            ("https://[::1]:8080", true),
            ("http://localhost:8080", true),
            ("http://a.example", false),
            ("http://localhost.a.example", false),
            ("http://10.0.0.7", false),
            ("https://A.example", false),
            ("https://a.example:443", false),
            ("https://a.example/", false),
            ("https://a.example/x", false),
            ("https://user@a.example", false),
            ("https://", false),
            ("a.example", false),
            ("ftp://a.example", false),
        ] {
            let mut route = route();
            route["service"] = Value::Null;
            route["upstream"] = json!(origin);
            assert_eq!(with_routes(json!([route])).is_ok(), good, "{origin}");
        }
    }

    #[test]
    fn parse_takes_routes_that_a_proxy_forwards_beside_others() {
        let mut asked = route();
        asked["service"] = Value::Null;
        let catalogue = with_routes(json!([route(), asked])).unwrap();
        assert_eq!([true, false].map(|forwarded| catalogue.routes_at("/orders/7", forwarded).len()), [1, 1]);
        for (field, value) in
            [("timeout_seconds", json!(1)), ("secret", json!("FORWARD_SECRET_ORDERS")), ("signed_body_bytes", json!(1))]
        {
            let mut useless = asked.clone();
            useless[field] = value;
            assert!(with_routes(json!([useless])).err().unwrap().starts_with("routes[0].upstream: "), "{field}");
        }
        assert_eq!(
            with_routes(json!([asked, asked])).err().unwrap(),
            "routes[1].methods: GET /orders/:id appears twice"
        );
        for (name, good) in [("api_key", true), ("", false), ("api-key", false), ("a&b", false)] {
            assert_eq!(with("/key_parameter", json!(name)).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn parse_refuses_two_routes_that_contradict_each_other() {
        let with_second = |methods: Value, path: &str| {
            let mut second = route();
            (second["methods"], second["path"]) = (methods, json!(path));
            with_routes(json!([route(), second])).err()
        };
        assert_eq!(with_second(json!(["POST"]), "/orders/:id"), None);
        assert_eq!(with_second(json!(["GET"]), "/orders/new"), None);
        let twice = with_second(json!(["POST", "GET"]), "/orders/:id").unwrap();
        assert_eq!(twice, "routes[1].methods: GET /orders/:id appears twice");
        let other = with_second(json!(["POST"]), "/orders/:name").unwrap();
        assert_eq!(other, "routes[1].path: /orders/:name and /orders/:id match the same paths");
    }

    #[test]
    fn routes_at_gives_the_most_specific_route_of_those_that_match() {
        let mut routes = Vec::new();
        for path in ["/orders/*rest", "/orders/:id", "/orders/new", "/orders/:id/items", "/", "/a/:b/*rest", "/a/:b/c"]
        {
            let mut route = route();
            route["path"] = json!(path);
            routes.push(route);
        }
        let catalogue = with_routes(json!(routes)).unwrap();
        for (path, expected) in [
            ("/orders/new", Some("/orders/new")),
            ("/orders/7", Some("/orders/:id")),
            ("/orders/7/items", Some("/orders/:id/items")),
            ("/orders/new/items", Some("/orders/:id/items")),
            ("/orders/7/items/1", Some("/orders/*rest")),
            ("/orders/7/", Some("/orders/*rest")),
            ("/orders/", None),
            ("/orders", None),
            ("/a/1/c", Some("/a/:b/c")),
            ("/a/1/c/d", Some("/a/:b/*rest")),
            ("/a//c", None),
            ("/", Some("/")),
            ("//", None),
            ("", None),
        ] {
            let found = catalogue.routes_at(path, true);
            assert_eq!(found.first().map(|route| &*route.path), expected, "{path}");
        }
    }

    #[test]
    fn parse_leaves_out_what_belongs_to_a_surface_that_is_not_served() {
        let catalogue = with("/surfaces", json!(["pages"])).unwrap();
        assert!(catalogue.scopes().all(|(scope, _)| scope.resource() != "datasets"));
        assert!(catalogue.presets.is_empty() && catalogue.bundles.iter().all(|(name, _)| name != "mcp"));
        assert!(with_routes(json!([route()])).is_ok());
        let served = |surfaces: Value| {
            let mut file: Value = serde_json::from_str(FILE).unwrap();
            (file["surfaces"], file["routes"]) = (surfaces, json!([route()]));
            Catalogue::parse(&file.to_string()).err()
        };
        assert_eq!(served(json!(["evaluations"])), None);
        assert_eq!(served(json!([])).unwrap(), "routes[0].scope: there is no scope `datasets:read`");
    }
}
