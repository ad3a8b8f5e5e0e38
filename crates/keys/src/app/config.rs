//! The configuration: variables and secrets of the Worker.

use std::collections::BTreeMap;

use crate::domain::{
    audit::Retention,
    cache_seal::CacheSeal,
    catalogue::{Catalogue, Route, Target},
    derived_token::SigningKey,
    key_text::{Hasher, Pepper, Word, hmac_sha256},
    origin::is_origin,
    time::DAY_MS,
};

/// The default catalogue.
const CATALOGUE: &str = include_str!("../../../../catalogue.json");

/// The configuration, read once per isolate.
pub struct Config {
    /// The first word of every new key (`KEY_BRAND`).
    pub brand: Word,
    /// The maximum age of the data behind an answer, in milliseconds (`MAX_STALENESS_SECONDS`). 0 means that every
    /// request reads the database.
    pub max_staleness_ms: i64,
    /// The time for which answers go on from what was verified before while the database does not answer, in milliseconds
    /// (`OUTAGE_GRACE_SECONDS`).
    pub outage_grace_ms: i64,
    /// True if keys may be read from the nearest replica of the database (`READ_REPLICAS`).
    pub read_replicas: bool,
    /// The hash functions of keys (`KEY_PEPPER`, `KEY_PEPPER_VERSION`, `KEY_PEPPER_PREVIOUS`).
    pub hasher: Hasher,
    /// The secret that authenticates the operator (`OPERATOR_SECRET`); `None` if nobody can act as the operator.
    pub operator_secret: Option<String>,
    /// The seal on what KV holds, derived from the same secret; `None` if KV is not used.
    pub cache_seal: Option<CacheSeal>,
    /// The keys that sign derived tokens, the present one first (`TOKEN_SECRET`, `TOKEN_SECRET_PREVIOUS`, or else derived
    /// from `OPERATOR_SECRET`).
    pub signing_keys: Vec<SigningKey>,
    /// The retention of audit events (`AUDIT_RETENTION_DAYS`, `AUDIT_RETENTION_MIN_DAYS`).
    pub audit_retention: Retention,
    /// The size of the database, in bytes, at which it is full (`DATABASE_LIMIT_BYTES`).
    pub database_limit_bytes: i64,
    /// The scopes, and the operator's own routes (`CATALOGUE`, or else the file `catalogue.json`).
    pub catalogue: Catalogue,
    /// The sign-in through Cloudflare Access (`ACCESS_TEAM_DOMAIN`); `None` if it is off.
    pub access: Option<Access>,
    /// The address for reports about security (`SECURITY_CONTACT`): a URL, such as `mailto:security@example.com`.
    pub security_contact: Option<String>,
    /// The secret that the keys of targets are derived from (`FORWARD_SECRET`); `None` if only those routes are
    /// signed that have a secret of their own.
    forward_secret: Option<String>,
    /// The secrets of single routes, by their names.
    route_secrets: BTreeMap<String, String>,
}

/// An application of Cloudflare Access.
pub struct Access {
    /// The team's domain, such as `acme.cloudflareaccess.com`.
    pub team_domain: String,
    /// The application's audience tag (`ACCESS_AUDIENCE`).
    pub audience: String,
}

impl Config {
    /// Reads the configuration; `get` returns a variable or a secret by its name.
    ///
    /// # Errors
    /// The name of the wrong variable, and the values that it may have. The value itself is not repeated: it may be
    /// a secret.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let variables = Variables(&get);
        let brand = variables.get("KEY_BRAND").unwrap_or_else(|| "bit".to_owned());
        let version = variables.number("KEY_PEPPER_VERSION", 1, 1, 1_000_000)?;
        let current = variables.get("KEY_PEPPER").map(|secret| Pepper { version, secret });
        let previous = variables.get("KEY_PEPPER_PREVIOUS").map(|secret| Pepper { version: version - 1, secret });
        if current.is_none() && previous.is_some() {
            return Err("KEY_PEPPER_PREVIOUS is set, so KEY_PEPPER must be, too".to_owned());
        }
        let security_contact = variables.get("SECURITY_CONTACT");
        let is_url = |text: &String| {
            ["https://", "mailto:", "tel:"].iter().any(|scheme| text.starts_with(scheme))
                && text.chars().all(|at| at.is_ascii_graphic())
        };
        if security_contact.as_ref().is_some_and(|contact| !is_url(contact)) {
            return Err("SECURITY_CONTACT must be a URL like `mailto:security@example.com`".to_owned());
        }
        let access = match (variables.get("ACCESS_TEAM_DOMAIN"), variables.get("ACCESS_AUDIENCE")) {
            (None, None) => None,
            (Some(team_domain), Some(audience)) if is_origin(&format!("https://{team_domain}")) => {
                Some(Access { team_domain, audience })
            }
            (Some(_), Some(_)) => return Err("ACCESS_TEAM_DOMAIN must be like `acme.cloudflareaccess.com`".to_owned()),
            _ => return Err("ACCESS_TEAM_DOMAIN and ACCESS_AUDIENCE must both be set, or neither".to_owned()),
        };
        let retention_days = variables.number("AUDIT_RETENTION_DAYS", 365, 1, 36_500)?;
        let least_retention_days =
            variables.number("AUDIT_RETENTION_MIN_DAYS", retention_days.min(30), 1, retention_days)?;
        let operator_secret = variables.secret("OPERATOR_SECRET")?;
        let token_secret = variables.secret("TOKEN_SECRET")?;
        let token_secret_previous = variables.secret("TOKEN_SECRET_PREVIOUS")?;
        if token_secret.is_none() && token_secret_previous.is_some() {
            return Err("TOKEN_SECRET_PREVIOUS is set, so TOKEN_SECRET must be, too".to_owned());
        }
        let token_secrets = [token_secret.as_ref().or(operator_secret.as_ref()), token_secret_previous.as_ref()];
        let (from, text) = match variables.get("CATALOGUE") {
            Some(text) => ("CATALOGUE", text),
            None => ("catalogue.json", CATALOGUE.to_owned()),
        };
        let catalogue = Catalogue::parse(&text).map_err(|message| format!("{from}: {message}"))?;
        let mut route_secrets = BTreeMap::new();
        for (index, name) in
            catalogue.routes.iter().enumerate().filter_map(|(i, route)| Some((i, route.secret.as_ref()?)))
        {
            let missing = || format!("{from}: routes[{index}].secret: the secret {name} is not set");
            route_secrets.insert(name.clone(), variables.secret(name)?.ok_or_else(missing)?);
        }
        Ok(Self {
            brand: Word::parse(&brand)
                .ok_or("KEY_BRAND must be a lower-case letter, then lower-case letters and digits, 16 at most")?,
            max_staleness_ms: variables.number("MAX_STALENESS_SECONDS", 5, 0, 300)? * 1000,
            outage_grace_ms: variables.number("OUTAGE_GRACE_SECONDS", 0, 0, 86_400)? * 1000,
            read_replicas: variables.number("READ_REPLICAS", 0, 0, 1)? == 1,
            hasher: Hasher { peppers: current.into_iter().chain(previous).collect() },
            cache_seal: operator_secret.as_deref().and_then(CacheSeal::new),
            signing_keys: token_secrets.into_iter().flatten().filter_map(|secret| SigningKey::derive(secret)).collect(),
            operator_secret,
            audit_retention: Retention { default_ms: retention_days * DAY_MS, least_ms: least_retention_days * DAY_MS },
            database_limit_bytes: variables.number("DATABASE_LIMIT_BYTES", 10_000_000_000, 1, 1_000_000_000_000_000)?,
            catalogue,
            access,
            security_contact,
            forward_secret: variables.secret("FORWARD_SECRET")?,
            route_secrets,
        })
    }

    /// Returns the key that signs the requests of a route: its own secret, or one that is derived for its target, so
    /// that no server can sign for another. `None` if they are not signed.
    pub fn signing_key(&self, route: &Route) -> Option<String> {
        if let Some(name) = &route.secret {
            return self.route_secrets.get(name).cloned();
        }
        let target = match route.target.as_ref()? {
            Target::Upstream(origin) => origin.clone(),
            Target::Service(name) => format!("service:{name}"),
        };
        hmac_sha256(self.forward_secret.as_ref()?, &target).map(hex::encode)
    }
}

/// The variables and secrets of the Worker by their names. An empty one counts as not set.
pub struct Variables<'a>(pub &'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// Returns a text.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// Returns a whole number within bounds.
    ///
    /// # Errors
    /// The name of the variable, and the values that it may have.
    pub fn number(&self, name: &str, default: i64, least: i64, most: i64) -> Result<i64, String> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) if (least..=most).contains(&number) => Ok(number),
                _ => Err(format!("{name} must be a whole number from {least} to {most}")),
            },
        }
    }

    /// Returns a secret of at least 32 characters, which nobody can guess.
    ///
    /// # Errors
    /// The name of the variable, and the required length.
    pub fn secret(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name) {
            Some(secret) if secret.len() < 32 => Err(format!("{name} must have at least 32 characters")),
            secret => Ok(secret),
        }
    }
}
