//! The check of `catalogue.json` by the code with which the Worker reads it, so that a wrong one is
//! found before it is deployed.

use std::error::Error;
use std::fs;

use bitting::entry;
use bitting_keys::domain::catalogue::Catalogue;

/// Returns an error that names the fault if the file at `path` is no catalogue, or does not fit to the routes.
pub(crate) fn check(path: &str) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let wrong = |message: String| format!("{path}: {message}");
    entry::check(&Catalogue::parse(&text).map_err(wrong)?).map_err(wrong)?;
    Ok(())
}
