//! The operator's choices for the evaluations.

use bitting_keys::{
    app::{App, config::Variables, error::Error},
    domain::{
        catalogue::Target,
        origin::{is_origin, is_private},
        time::DAY_MS,
    },
};

/// The operator's choices for the evaluations, read once per isolate.
#[derive(Default)]
pub struct Settings {
    /// The language model (`JUDGE_URL`); `None`: there is none.
    pub model: Option<Model>,
    /// The time for which traces, runs and their feedback are kept, in milliseconds (`TRACE_RETENTION_DAYS`);
    /// `None`: for ever.
    pub trace_retention_ms: Option<i64>,
}

/// The language model that judges.
pub struct Model {
    /// The server that has it.
    pub target: Target,
    /// The path of its API: `/v1`.
    pub path: String,
    /// The name of the model (`JUDGE_MODEL`).
    pub name: String,
    /// The key of its API (`JUDGE_API_KEY`).
    pub api_key: Option<String>,
}

impl Settings {
    /// Reads the settings; `get` gives a variable or a secret by its name.
    ///
    /// # Errors
    /// Which variable is wrong, and what it must be. The value itself is not repeated: it may be a secret.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let variables = Variables(&get);
        let model = match (variables.get("JUDGE_URL"), variables.get("JUDGE_MODEL")) {
            (None, _) => None,
            (Some(_), None) => return Err("JUDGE_URL is set, so JUDGE_MODEL must be, too".to_owned()),
            (Some(url), Some(name)) => {
                let (target, path) = parse_url(&url).ok_or(
                    "JUDGE_URL must be the URL of an API, without a query, over https:// unless it is on this machine",
                )?;
                Some(Model { target, path, name, api_key: variables.get("JUDGE_API_KEY") })
            }
        };
        let trace_retention_ms = match variables.number("TRACE_RETENTION_DAYS", 0, 0, 36_500)? {
            0 => None,
            days => Some(days * DAY_MS),
        };
        Ok(Self { model, trace_retention_ms })
    }

    /// Returns the settings of this service.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the service was put together without them.
    pub(crate) fn of(app: &App) -> Result<&Self, Error> {
        app.extensions.get().ok_or_else(|| Error::Unavailable("the evaluations have no settings".to_owned()))
    }
}

/// A URL as its origin and the path there.
fn parse_url(url: &str) -> Option<(Target, String)> {
    let url = url.trim_end_matches('/');
    let end = url.match_indices('/').nth(2).map_or(url.len(), |(end, _)| end);
    let (origin, path) = url.split_at_checked(end)?;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    (plain && is_origin(origin) && is_private(origin)).then(|| (Target::Upstream(origin.to_owned()), path.to_owned()))
}
