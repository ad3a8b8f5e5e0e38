//! The check of `catalogue.json` by the code with which the Worker reads it, so that a wrong one is
//! found before it is deployed.

use std::error::Error;
use std::fs;

use domain::catalogue::Catalogue;

#[path = "../../../src/domain"]
#[expect(dead_code, reason = "nothing here uses the catalogue after it is read")]
mod domain {
    pub(crate) mod catalogue;
    pub(crate) mod schema;
    pub(crate) mod scope;
}

/// Returns an error that names the fault if the file at `path` is no catalogue.
pub(crate) fn check(path: &str) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    Catalogue::parse(&text).map_err(|message| format!("{path}: {message}"))?;
    Ok(())
}
