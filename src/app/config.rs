//! The operator's choices: variables and secrets of the Worker.

use crate::domain::{
    catalogue::{Catalogue, Target, is_origin},
    key_text::{Hasher, Pepper, Word},
    time::DAY_MS,
};

/// The catalogue where the operator gives no other.
const CATALOGUE: &str = include_str!("../../catalogue.json");

/// The operator's choices, read once per isolate.
pub struct Config {
    /// The first word of every new key (`KEY_BRAND`).
    pub brand: Word,
    /// How long an answer may rest on what was read before, in milliseconds
    /// (`MAX_STALENESS_SECONDS`); 0: every request asks the database.
    pub max_staleness_ms: i64,
    /// How keys are hashed (`KEY_PEPPER`, `KEY_PEPPER_VERSION`, `KEY_PEPPER_PREVIOUS`).
    pub hasher: Hasher,
    /// What proves the operator (`OPERATOR_SECRET`); `None`: nothing does.
    pub operator_secret: Option<String>,
    /// How long audit events are kept, in milliseconds (`AUDIT_RETENTION_DAYS`).
    pub audit_retention_ms: i64,
    /// How long traces and what was said of them are kept, in milliseconds (`TRACE_RETENTION_DAYS`);
    /// `None`: for ever.
    pub trace_retention_ms: Option<i64>,
    /// The scopes, and the operator's own routes (`CATALOGUE`, or else the file `catalogue.json`).
    pub catalogue: Catalogue,
    /// The language model (`JUDGE_URL`); `None`: there is none.
    pub model: Option<Model>,
    /// Who lets people through to the settings pages (`ACCESS_TEAM_DOMAIN`); `None`: nobody.
    pub access: Option<Access>,
    /// What signs the requests that are forwarded (`FORWARD_SECRET`); `None`: they are not signed.
    pub forward_secret: Option<String>,
}

/// An application of Cloudflare Access.
pub struct Access {
    /// The team's domain: `acme.cloudflareaccess.com`.
    pub team_domain: String,
    /// The application's audience tag (`ACCESS_AUDIENCE`).
    pub audience: String,
}

/// The language model that judges.
pub struct Model {
    /// The server that has it.
    pub target: Target,
    /// Where its API begins there: `/v1`.
    pub path: String,
    /// What it is called there (`JUDGE_MODEL`).
    pub name: String,
    /// The key of its API (`JUDGE_API_KEY`).
    pub api_key: Option<String>,
}

impl Config {
    /// Reads the configuration; `get` gives a variable or a secret by its name.
    ///
    /// # Errors
    /// Which variable is wrong, and what it must be. The value itself is not repeated: it may be a secret.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let number = |name: &str, default: i64, least: i64, most: i64| match get(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) if (least..=most).contains(&number) => Ok(number),
                _ => Err(format!("{name} must be a whole number from {least} to {most}")),
            },
        };
        let brand = get("KEY_BRAND").unwrap_or_else(|| "bit".to_owned());
        let version = number("KEY_PEPPER_VERSION", 1, 1, 1_000_000)?;
        let current = get("KEY_PEPPER").map(|secret| Pepper { version, secret });
        let previous = get("KEY_PEPPER_PREVIOUS").map(|secret| Pepper { version: version - 1, secret });
        if current.is_none() && previous.is_some() {
            return Err("KEY_PEPPER_PREVIOUS is set, so KEY_PEPPER must be, too".to_owned());
        }
        let secret = |name: &str| match get(name) {
            Some(secret) if secret.len() < 32 => Err(format!("{name} must have at least 32 characters")),
            secret => Ok(secret),
        };
        let model = match (get("JUDGE_URL"), get("JUDGE_MODEL")) {
            (None, _) => None,
            (Some(_), None) => return Err("JUDGE_URL is set, so JUDGE_MODEL must be, too".to_owned()),
            (Some(url), Some(name)) => {
                let (target, path) = parse_url(&url).ok_or("JUDGE_URL must be the URL of an API, without a query")?;
                Some(Model { target, path, name, api_key: get("JUDGE_API_KEY") })
            }
        };
        let access = match (get("ACCESS_TEAM_DOMAIN"), get("ACCESS_AUDIENCE")) {
            (None, None) => None,
            (Some(team_domain), Some(audience)) if is_origin(&format!("https://{team_domain}")) => {
                Some(Access { team_domain, audience })
            }
            (Some(_), Some(_)) => return Err("ACCESS_TEAM_DOMAIN must be like `acme.cloudflareaccess.com`".to_owned()),
            _ => return Err("ACCESS_TEAM_DOMAIN and ACCESS_AUDIENCE must both be set, or neither".to_owned()),
        };
        let (from, text) = match get("CATALOGUE") {
            Some(text) => ("CATALOGUE", text),
            None => ("catalogue.json", CATALOGUE.to_owned()),
        };
        Ok(Self {
            brand: Word::parse(&brand)
                .ok_or("KEY_BRAND must be a lower-case letter, then lower-case letters and digits, 16 at most")?,
            max_staleness_ms: number("MAX_STALENESS_SECONDS", 5, 0, 300)? * 1000,
            hasher: Hasher { peppers: current.into_iter().chain(previous).collect() },
            operator_secret: secret("OPERATOR_SECRET")?,
            audit_retention_ms: number("AUDIT_RETENTION_DAYS", 365, 1, 36_500)? * DAY_MS,
            trace_retention_ms: match number("TRACE_RETENTION_DAYS", 0, 0, 36_500)? {
                0 => None,
                days => Some(days * DAY_MS),
            },
            catalogue: Catalogue::parse(&text).map_err(|message| format!("{from}: {message}"))?,
            model,
            access,
            forward_secret: secret("FORWARD_SECRET")?,
        })
    }
}

/// A URL as its origin and the path there.
fn parse_url(url: &str) -> Option<(Target, String)> {
    let url = url.trim_end_matches('/');
    let end = url.match_indices('/').nth(2).map_or(url.len(), |(end, _)| end);
    let (origin, path) = url.split_at_checked(end)?;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    (plain && is_origin(origin)).then(|| (Target::Upstream(origin.to_owned()), path.to_owned()))
}
