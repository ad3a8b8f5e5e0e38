//! Leaked keys: everyone who holds the whole text of a key may end it, without a credential.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    app::{
        App,
        error::Error,
        public_keys::{Place, Publisher},
        sessions::Client,
    },
    domain::{
        key_text::{Digest, KeyText},
        public_key::{read_der_signature, read_scanner_keys},
    },
    ports::Statement,
    storage::leaks,
};

/// The maximum number of texts in a report.
pub const MAX_TEXTS: usize = 1_000;

/// GitHub, whose scanner reports leaked keys.
const GITHUB: Publisher<'_> = Publisher {
    name: "GitHub",
    place: Place::At { origin: "https://api.github.com", path: "/meta/public_keys/secret_scanning" },
    read: read_scanner_keys,
};

/// A text that may be a key, found somewhere.
#[derive(Debug, Clone)]
pub struct LeakedText {
    /// The text.
    pub text: String,
    /// The address of the place where it was found.
    pub url: Option<String>,
}

impl App {
    /// Ends the keys among these texts, or records their leak, as their organizations want it. A text that is not a key
    /// costs nothing. The guards against locking oneself out do not apply: the key is in the hands of others.
    ///
    /// # Errors
    /// The database's. Then nothing has happened, and the report can be repeated.
    pub async fn report_leaks(&self, texts: &[LeakedText], source: &'static str, client: &Client) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        let reported: Vec<Value> = texts
            .iter()
            .filter_map(|LeakedText { text, url }| {
                let digests = hexadecimal(&self.leaked_digests(text)?);
                seen.insert(digests.clone()).then(|| json!({ "digests": digests, "url": url }))
            })
            .collect();
        if reported.is_empty() {
            return Ok(());
        }
        let reported = Value::Array(reported);
        let (now, retention) = (self.now(), self.config.audit_retention);
        let from = (client.ip.as_deref(), client.request_id.as_str());
        let record = leaks::record(&reported, source, from, now, retention);
        let batch: Vec<Statement> = record.into_iter().chain(leaks::end(&reported, now)).collect();
        self.database.batch(batch).await?;
        Ok(())
    }

    /// True if GitHub's scanner has signed these bytes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if its keys cannot be read.
    pub async fn is_from_github(&self, key_id: &str, signature: &str, signed: &[u8]) -> Result<bool, Error> {
        let Some(signature) = read_der_signature(signature) else { return Ok(false) };
        let Some(key) = self.public_key(&self.isolate.scanner_keys, &GITHUB, key_id).await? else { return Ok(false) };
        self.signatures.verify(&key, signed, &signature).await.map_err(Error::Unavailable)
    }

    /// Tells of each text whether it is the text of a key, or was.
    ///
    /// # Errors
    /// The database's.
    pub async fn are_keys(&self, texts: &[LeakedText]) -> Result<Vec<bool>, Error> {
        let digests: Vec<Option<Vec<Digest>>> =
            texts.iter().map(|LeakedText { text, .. }| self.leaked_digests(text)).collect();
        let asked: Vec<Digest> = digests.iter().flatten().flatten().copied().collect();
        if asked.is_empty() {
            return Ok(vec![false; texts.len()]);
        }
        let known = leaks::known(&asked).run(&*self.database).await?;
        let is_known = |digest: &Digest| known.contains(&digest.to_hex());
        Ok(digests.iter().map(|digests| digests.iter().flatten().any(is_known)).collect())
    }

    /// Returns the digests under which a key with this text can be stored; `None` if it is not a key.
    fn leaked_digests(&self, text: &str) -> Option<Vec<Digest>> {
        KeyText::parse(text.trim()).ok().map(|key| self.config.hasher.candidates(&key))
    }
}

fn hexadecimal(digests: &[Digest]) -> Vec<String> {
    digests.iter().map(|digest| digest.to_hex()).collect()
}
