//! Leaked keys: reports, and the format by which scanners find keys.

use bitting_http::{
    call::Call,
    problem::Problem,
    typed::{InBody, Json},
};
use bitting_keys::{
    app::{
        leaks::{LeakedText, MAX_TEXTS},
        sessions::Client,
    },
    domain::key_text::{CHECKSUM_LENGTH, SECRET_LENGTH},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The maximum size of a report, in bytes.
pub(crate) const MAX_BYTES: usize = 128 * 1024;

/// A report of leaked keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LeakReport")]
pub(crate) struct LeakReportBody {
    /// The keys, at most 1,000. Other texts are ignored.
    keys: LeakedKeys,
    /// The address of the place where they were found.
    url: Option<Url>,
}

/// The texts of a report.
#[derive(Deserialize)]
#[serde(try_from = "Vec<String>")]
struct LeakedKeys(Vec<String>);

impl TryFrom<Vec<String>> for LeakedKeys {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        if texts.is_empty() || texts.len() > MAX_TEXTS {
            return Err(format!("must have 1 to {MAX_TEXTS} texts"));
        }
        Ok(Self(texts))
    }
}

bitting_keys::json_schema!(LeakedKeys, "LeakedKeys", {
    "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": MAX_TEXTS,
});

/// The address of the place of a leak.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Url(String);

impl Url {
    const MAX_CHARS: usize = 500;
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.chars().count() > Self::MAX_CHARS || text.chars().any(char::is_control) {
            return Err(format!("must have at most {} characters, without control characters", Self::MAX_CHARS));
        }
        Ok(Self(text))
    }
}

bitting_keys::json_schema!(Url, "LeakUrl", { "type": "string", "maxLength": Url::MAX_CHARS });

/// The receipt of a report. It is the same whether the texts were keys or not.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LeakReceipt")]
pub(crate) struct LeakReceiptBody {
    /// The number of texts that were received.
    received: usize,
}

/// Reports keys that you have found in public. Anybody may, without a key. Each organization decides whether its leaked
/// keys are revoked, which is the default, disabled, or only recorded in its audit log. The answer is always the same.
pub(crate) async fn report(
    call: &Call<'_>,
    InBody(LeakReportBody { keys: LeakedKeys(keys), url }): InBody<LeakReportBody>,
) -> Result<Json<LeakReceiptBody, 202>, Problem> {
    let client = client(call);
    call.app.count_leak_report(client.ip.as_deref()).await?;
    let received = keys.len();
    let url = url.map(|Url(url)| url);
    let texts: Vec<LeakedText> = keys.into_iter().map(|text| LeakedText { text, url: url.clone() }).collect();
    call.app.report_leaks(&texts, "report", &client).await?;
    Ok(Json(LeakReceiptBody { received }))
}

fn client(call: &Call<'_>) -> Client {
    let header = |name: &str| call.request.header(name).map(str::to_owned);
    Client {
        request_id: call.request_id.to_owned(),
        ip: header("cf-connecting-ip"),
        user_agent: header("user-agent").unwrap_or_default(),
    }
}

/// The format of keys, for programs that search for leaked ones.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyFormat")]
pub(crate) struct KeyFormatBody {
    /// The first word of every key.
    brand: String,
    /// A regular expression that matches every key.
    pattern: String,
    /// A text that every key contains.
    keyword: String,
    /// The checksum at the end of every key, by which a scanner can tell a key from a text that looks like one.
    checksum: &'static str,
    /// The address that takes reports of leaked keys.
    report_url: String,
    /// A rule for gitleaks, in TOML.
    gitleaks: String,
    /// A detector for trufflehog, in YAML.
    trufflehog: String,
}

/// Returns the format of this service's keys, the address for reports of leaked ones, and rules for scanners.
pub(crate) async fn get_format(call: &Call<'_>, (): ()) -> Result<Json<KeyFormatBody>, Problem> {
    let brand = call.app.config.brand.as_str();
    let origin = &call.request.origin;
    let pattern = format!(
        r"\b{brand}_(?:[a-z][a-z0-9]{{0,15}}_)?(?:pat|org|proj|sk)_[0-9A-Za-z]{{{}}}\b",
        SECRET_LENGTH + CHECKSUM_LENGTH
    );
    let keyword = format!("{brand}_");
    Ok(Json(KeyFormatBody {
        brand: brand.to_owned(),
        gitleaks: format!(
            "[[rules]]\nid = \"{brand}-api-key\"\ndescription = \"API key of {origin}\"\nregex = '''{pattern}'''\n\
             keywords = [\"{keyword}\"]\n"
        ),
        trufflehog: format!(
            "detectors:\n  - name: {brand}-api-key\n    keywords:\n      - {keyword}\n    regex:\n      key: '{pattern}'\n"
        ),
        pattern,
        keyword,
        checksum: "The last 6 characters are the CRC-32 of all before them, as a number in base 62 with the digits 0-9, \
                   A-Z, a-z.",
        report_url: format!("{origin}/v1/leaks"),
    }))
}
