//! The tables of all surfaces, joined.

use bitting_keys::{
    app::App,
    domain::{catalogue::Catalogue, scope::Scope},
};
use matchit::Params;

use crate::{
    auth::Permission,
    call::Call,
    message::Request,
    problem::{self, Envelope, Problem},
    route::{Access, Route, Table},
    router::Paths,
};

/// The tables of a service, and their rows by path. They are created once per isolate.
pub struct Tables {
    tables: Vec<&'static Table>,
    paths: Paths<(&'static Table, &'static Route)>,
}

/// The route that was found for a request.
pub struct Found<'a> {
    /// The table of the route.
    pub table: &'static Table,
    /// The route.
    pub route: &'static Route,
    /// The path without the table's prefix.
    path: &'a str,
    /// The parameters of the path.
    params: Params<'a, 'a>,
}

impl<'a> Found<'a> {
    /// Returns the call of this route.
    pub fn call(self, app: &'a App, request: &'a Request, request_id: &'a str) -> Call<'a> {
        Call { app, request, row: self.route.name, path: self.path, params: self.params, request_id }
    }
}

impl Tables {
    /// Joins tables.
    pub fn new(tables: Vec<&'static Table>) -> Self {
        let row = |table: &'static Table| table.rows.iter().map(move |route| (route.name, (table, route)));
        Self { paths: Paths::new(tables.iter().copied().flat_map(row)), tables }
    }

    /// Returns every row with its table.
    pub fn rows_with_tables(&self) -> impl Iterator<Item = (&'static Table, &'static Route)> {
        self.tables.iter().flat_map(|table| table.rows.iter().map(|route| (*table, route)))
    }

    /// Returns every row.
    pub fn rows(&self) -> impl Iterator<Item = &'static Route> {
        self.rows_with_tables().map(|(_, route)| route)
    }

    /// Finds the route for a method and a path.
    ///
    /// # Errors
    /// [`Problem::NoSuchPath`] or [`Problem::MethodNotAllowed`].
    pub fn find<'a>(&'a self, method: &str, path: &'a str) -> Result<Found<'a>, Problem> {
        let (prefixed, path) = self.without_prefix(path);
        if let Some(prefixed) = prefixed {
            // Under a prefix only its surface is found.
            self.paths.at(path).filter(|(table, _)| table.prefix == prefixed.prefix).ok_or(Problem::NoSuchPath)?;
        }
        let ((table, route), params) = self.paths.find(method, path)?;
        Ok(Found { table, route, path, params })
    }

    /// Returns the shape of errors at a path: that of its surface, even if the surface has no such route.
    pub fn envelope(&self, path: &str) -> Envelope {
        let (prefixed, path) = self.without_prefix(path);
        let stands_at = |table: &Table| table.rows.iter().any(|route| below(mount(route.name.path), path).is_some());
        let table = prefixed.or_else(|| self.tables.iter().copied().find(|table| stands_at(table)));
        table.map_or(problem::envelope, |table| table.envelope)
    }

    /// Checks that the catalogue matches the tables.
    ///
    /// # Errors
    /// A message about a scope that a route requires and the catalogue lacks, or about an operator's route whose path
    /// is taken.
    pub fn check(&self, catalogue: &Catalogue) -> Result<(), String> {
        for route in self.rows() {
            if let Access::Key(Permission { scope: Some(scope), .. }, _) = &route.access {
                let needs =
                    |message| format!("resources: {message}, and {} {} needs it", route.name.method, route.name.path);
                catalogue.check(scope).map_err(needs)?;
            }
        }
        for (index, route) in catalogue.routes.iter().enumerate() {
            // The parameters of the operator's path match those of the tables, or nothing.
            if route.target.is_some() && !matches!(self.find("GET", &route.path), Err(Problem::NoSuchPath)) {
                return Err(format!("routes[{index}].path: {} is Bitting's own", route.path));
            }
        }
        Ok(())
    }

    /// Returns every route as data: method, path, and the scope or other access rule.
    pub fn list(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let access = |route: &'static Route| match &route.access {
            Access::Public(_) => "public",
            Access::Operator(_) => "operator",
            Access::Key(Permission { scope, .. }, _) => scope.as_ref().map_or("any key", Scope::as_str),
            Access::Check(_) | Access::Tools => "any key",
        };
        self.rows().map(|route| (route.name.method, route.name.path, access(route))).collect()
    }

    /// Returns the table whose prefix a path has, and the path without it.
    fn without_prefix<'a>(&self, path: &'a str) -> (Option<&'static Table>, &'a str) {
        let prefixed = self.tables.iter().find_map(|table| Some((*table, below(table.prefix?, path)?)));
        prefixed.map_or((None, path), |(table, path)| (Some(table), path))
    }
}

/// Returns the first two segments of a path, such as `/v1/traces`. A surface owns all paths below.
fn mount(path: &str) -> &str {
    let end = path.match_indices('/').nth(2).map_or(path.len(), |(end, _)| end);
    path.get(..end).unwrap_or(path)
}

/// Returns the rest of a path that is `start` or below it.
fn below<'a>(start: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(start).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}
