//! A table of rows, by their paths and methods.

use std::collections::BTreeMap;

use matchit::{Params, Router};

use crate::{call::RowName, problem::Problem};

/// The rows of a table by path.
pub struct Paths<R>(Router<Vec<(RowName, R)>>);

impl<R: Copy> Paths<R> {
    /// Rows with their names. Rows of one path keep their order.
    pub fn new(rows: impl Iterator<Item = (RowName, R)>) -> Self {
        let mut by_path: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (name, row) in rows {
            by_path.entry(name.path).or_default().push((name, row));
        }
        let mut router = Router::new();
        for (path, rows) in by_path {
            // Two paths that contradict each other would be refused here; the test that calls every row
            // of the table finds the one that then cannot be reached.
            if let Err(error) = router.insert(path, rows) {
                log::error!("{path} cannot be routed: {error}");
            }
        }
        Self(router)
    }

    /// The row for a method and a path, and the path's parameters.
    ///
    /// # Errors
    /// [`Problem::NoSuchPath`] or [`Problem::MethodNotAllowed`].
    pub fn find<'a>(&'a self, method: &str, path: &'a str) -> Result<(R, Params<'a, 'a>), Problem> {
        let matched = self.0.at(path).map_err(|_| Problem::NoSuchPath)?;
        let method = if method == "HEAD" { "GET" } else { method };
        if let Some((_, row)) = matched.value.iter().find(|(name, _)| name.method == method) {
            return Ok((*row, matched.params));
        }
        let allowed: Vec<&str> = matched.value.iter().map(|(name, _)| name.method).collect();
        Err(Problem::MethodNotAllowed(allowed.join(", ")))
    }

    /// The first row of a path, whatever its method.
    pub fn at(&self, path: &str) -> Option<R> {
        self.0.at(path).ok()?.value.first().map(|(_, row)| *row)
    }
}
