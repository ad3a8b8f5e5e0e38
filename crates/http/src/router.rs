//! A router by path and method.

use std::collections::BTreeMap;

use matchit::{Params, Router};

use crate::{
    call::{ANY, RowName},
    problem::Problem,
};

/// The rows of tables by path.
pub struct Paths<R>(Router<Vec<(RowName, R)>>);

impl<R: Copy> Paths<R> {
    /// Creates a router. Rows with the same path keep their order.
    pub fn new(rows: impl Iterator<Item = (RowName, R)>) -> Self {
        let mut by_path: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (name, row) in rows {
            by_path.entry(name.path).or_default().push((name, row));
        }
        let mut router = Router::new();
        for (path, rows) in by_path {
            // Two paths that conflict are refused here. The test that calls every row finds the one that cannot be
            // reached.
            if let Err(error) = router.insert(path, rows) {
                log::error!("{path} cannot be routed: {error}");
            }
        }
        Self(router)
    }

    /// Finds the row for a method and a path, with the parameters of the path.
    ///
    /// # Errors
    /// [`Problem::NoSuchPath`] or [`Problem::MethodNotAllowed`].
    pub fn find<'a>(&'a self, method: &str, path: &'a str) -> Result<(R, Params<'a, 'a>), Problem> {
        let matched = self.0.at(path).map_err(|_| Problem::NoSuchPath)?;
        let method = if method == "HEAD" { "GET" } else { method };
        if let Some((_, row)) = matched.value.iter().find(|(name, _)| [method, ANY].contains(&name.method)) {
            return Ok((*row, matched.params));
        }
        let allowed: Vec<&str> = matched.value.iter().map(|(name, _)| name.method).collect();
        Err(Problem::MethodNotAllowed(allowed.join(", ")))
    }

    /// Returns the first row of a path, for any method.
    pub fn at(&self, path: &str) -> Option<R> {
        self.0.at(path).ok()?.value.first().map(|(_, row)| *row)
    }
}
